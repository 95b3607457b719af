"""The WCS of a map's pixels: a FITS WCS where one can say it, else a wrapper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.wcs import WCS
from astropy.wcs.wcsapi import HighLevelWCSWrapper

from mpl_skyheat.sky.wrapped_wcs import GridWCS, pixel_centre, pixel_number

if TYPE_CHECKING:
    from astropy.wcs.wcsapi import BaseHighLevelWCS

    from mpl_skyheat.sky.grid import SkyGrid
    from mpl_skyheat.sky.planes import Plane


def grid_wcs(plane: Plane, grid: SkyGrid) -> BaseHighLevelWCS:
    """Return the WCS of a grid's pixels: a FITS WCS where one can say it, else a wrapper."""
    if plane.wcs is None:
        return _linear_wcs(grid)
    if isinstance(plane.wcs, WCS) and _is_whole(grid, plane.wcs):
        return plane.wcs
    if isinstance(plane.wcs, WCS) and plane.wcs.naxis == 2 and not plane.wcs.has_distortion:
        resampled = _resampled_fits_wcs(plane.wcs, grid)
        if _agree(resampled, plane.wcs, grid):
            return resampled
    return HighLevelWCSWrapper(GridWCS(plane.wcs, grid))


def _is_whole(grid: SkyGrid, wcs: WCS) -> bool:
    """Tell whether a grid's pixels are all of a WCS's own."""
    return wcs.array_shape == grid.shape and all(
        (axis.origin, axis.step, axis.first) == (-0.5, 1, 0) for axis in (grid.x, grid.y)
    )


def _linear_wcs(grid: SkyGrid) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.crpix = [1.0, 1.0]
    wcs.wcs.crval = [grid.x.centres[0], grid.y.centres[0]]
    wcs.wcs.cdelt = [grid.x.step, grid.y.step]
    wcs.pixel_shape = grid.shape[::-1]
    return wcs


def _resampled_fits_wcs(source: WCS, grid: SkyGrid) -> WCS:
    """Rewrite CRPIXj and PCi_j, CDELTi (or CDi_j) for other pixels on the same plane.

    With steps s, CDELTi PCi_j sj = (CDELTi si) (PCi_j sj / si), which keeps PC a rotation.
    """
    wcs = source.deepcopy()
    steps = np.array([grid.x.step, grid.y.step])
    # CRPIX is 1-based.
    wcs.wcs.crpix = [
        pixel_number(axis, crpix - 1) + 1
        for axis, crpix in zip((grid.x, grid.y), source.wcs.crpix, strict=True)
    ]
    if wcs.wcs.has_cd():
        wcs.wcs.cd = source.wcs.cd * steps
    else:
        wcs.wcs.pc = source.wcs.get_pc() * steps / steps[:, np.newaxis]
        wcs.wcs.cdelt = source.wcs.get_cdelt() * steps
    wcs.pixel_shape = grid.shape[::-1]
    wcs.wcs.set()
    return wcs


def _agree(resampled: WCS, source: WCS, grid: SkyGrid) -> bool:
    """Tell whether a rewritten WCS has the sky where the source has it.

    It has not where a distortion works on the intermediate coordinates as CDELT scales them (TPV).
    """
    i, j = np.meshgrid(*(np.linspace(0, axis.count - 1, 5) for axis in (grid.x, grid.y)))
    there = source.wcs_pix2world(pixel_centre(grid.x, i), pixel_centre(grid.y, j), 0)
    here = resampled.wcs_pix2world(i, j, 0)
    return bool(np.allclose(here, there, rtol=0, atol=1e-9, equal_nan=True))
