"""The WCS of a map's pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs import WCS, Sip
from astropy.wcs.wcsapi import HighLevelWCSWrapper

from mpl_skyheat.sky.wrapped_wcs import GridWCS

if TYPE_CHECKING:
    from astropy.wcs.wcsapi import BaseHighLevelWCS

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.grid import SkyGrid
    from mpl_skyheat.sky.planes import Plane


def grid_wcs(plane: Plane, grid: SkyGrid) -> BaseHighLevelWCS:
    """Make the WCS of a grid's pixels: a FITS WCS if its keywords suffice, else a wrapper."""
    wcs = plane.wcs
    if wcs is None:
        return _linear_wcs(grid)
    if isinstance(wcs, WCS):
        axes = [(axis.origin, axis.step, axis.first) for axis in (grid.x, grid.y)]
        if wcs.array_shape == grid.shape and axes == [(-0.5, 1, 0)] * 2:
            return wcs
        if wcs.naxis == 2 and not wcs.has_distortion:
            resampled = resampled_fits_wcs(wcs, grid)
            if _agree(resampled, wcs, grid):
                return resampled
    return HighLevelWCSWrapper(GridWCS(wcs, grid))


def _linear_wcs(grid: SkyGrid) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.crpix = [1.0, 1.0]
    wcs.wcs.crval = [grid.x.centres[0], grid.y.centres[0]]
    wcs.wcs.cdelt = [grid.x.step, grid.y.step]
    wcs.pixel_shape = grid.shape[::-1]
    return wcs


def resampled_fits_wcs(source: WCS, grid: SkyGrid) -> WCS:
    """Rewrite CRPIXj and PCi_j, CDELTi (or CDi_j) for other pixels on the same plane, and a SIP.

    With steps s, CDELTi PCi_j sj = (CDELTi si) (PCi_j sj / si), which keeps PC a rotation.
    """
    wcs = source.deepcopy()
    steps = np.array([grid.x.step, grid.y.step])
    # CRPIX is 1-based.
    wcs.wcs.crpix = [
        axis.number(crpix - 1) + 0.5
        for axis, crpix in zip((grid.x, grid.y), source.wcs.crpix, strict=True)
    ]
    if wcs.wcs.has_cd():
        wcs.wcs.cd = source.wcs.cd * steps
    else:
        wcs.wcs.pc = source.wcs.get_pc() * steps / steps[:, np.newaxis]
        wcs.wcs.cdelt = source.wcs.get_cdelt() * steps
    if source.sip is not None:
        wcs.sip = _resampled_sip(source.sip, steps, wcs.wcs.crpix)
    wcs.pixel_shape = grid.shape[::-1]
    if source.pixel_bounds is not None:
        wcs.pixel_bounds = [
            bounds and tuple(axis.number(np.array(bounds)) - 0.5)
            for axis, bounds in zip((grid.x, grid.y), source.pixel_bounds, strict=True)
        ]
    wcs.wcs.set()
    return wcs


def _resampled_sip(source: Sip, steps: FloatArray, crpix: FloatArray) -> Sip:
    """A SIP about the pixel ``crpix`` for pixels that are larger by ``steps``.

    An offset of u, v pixels is moved by A_pq uᵖ vᑫ: in units of sx, by A_pq sxᵖ⁻¹ syᑫ.
    """

    def scaled(array: FloatArray | None, step: float) -> FloatArray | None:
        if array is None:
            return None
        powers = np.arange(len(array))
        return np.asarray(array * np.outer(steps[0] ** powers, steps[1] ** powers) / step)

    sides = zip((source.a, source.b, source.ap, source.bp), (*steps, *steps), strict=True)
    return Sip(*(scaled(array, step) for array, step in sides), crpix)


def _agree(resampled: WCS, source: WCS, grid: SkyGrid) -> bool:
    """Whether a rewritten WCS has the sky where the source has it, to 1e-9 deg.

    It has not if a distortion acts on the intermediate coordinates, which CDELT scales (TPV).
    """
    i, j = np.meshgrid(*(np.linspace(0, axis.count - 1, 5) for axis in (grid.x, grid.y)))
    there = source.wcs_pix2world(grid.x.place(i + 0.5), grid.y.place(j + 0.5), 0)
    here = resampled.wcs_pix2world(i, j, 0)
    return bool(np.allclose(here, there, rtol=0, atol=1e-9, equal_nan=True))
