"""FITS WCSs in place of WCSs that have no header, such as those of matplotlib's own projections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, Sip
from astropy.wcs.wcsapi import BaseHighLevelWCS

from mpl_skyheat.sky.grid_wcs import resampled_fits_wcs
from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.sky.shipping import TABLES
from mpl_skyheat.sky.views import AXES, ZENITHAL, blank_wcs
from mpl_skyheat.sky.wrapped_wcs import GridWCS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpl_skyheat.compute.arrays import FloatArray

# Places along each side of a map at which a WCS is compared, and how far (pixels) they are off the
# centres of the outermost pixels: a place on the rim of the sky has another one opposite.
SAMPLES, OFF_RIM = 41, 0.3

# A projection of FITS is that of a map if positions agree to this (map pixels), which is rounding.
SAME = 1e-6

# A polynomial in place of a projection must be right to this (map pixels).
FITTED = 0.01

# Degree of that polynomial: higher ones gain little, and readers know SIPs of up to 9.
DEGREE = 5

# Projections of FITS whose reference point is on the equator.
EQUATORIAL = ("CAR", "MOL", "AIT", "SFL", "CEA", "MER", "PAR")


def as_fits_wcs(wcs: Any, shape: tuple[int, ...]) -> WCS:
    """The FITS WCS of a map's WCS, or of equal positions; else a TAN-SIP right to 0.01 pixel.

    Raises
    ------
    ValueError
        If there is none, as for a projection that FITS does not have, on too large a field.
    """
    low_level = wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs
    if isinstance(low_level, WCS):
        return low_level
    plane = plane_of_wcs(wcs)
    frame: Any = plane.frame
    sides = (np.linspace(OFF_RIM, n - 1 - OFF_RIM, SAMPLES) for n in shape[::-1])
    x, y = (v.ravel() for v in np.meshgrid(*sides))
    world = np.asarray(low_level.pixel_to_world_values(x, y))
    sky = np.asarray(plane.to_sky(x, y))
    is_sky = np.isfinite(sky).all(axis=0)
    pixel, sky, world = (v[:, is_sky] for v in (np.stack([x, y]), sky, world))
    inner = low_level.innermost if isinstance(low_level, GridWCS) else low_level
    if isinstance(inner, WCS):
        found = _resampled(low_level, pixel, world) or _linear(_bare(inner), pixel, world)
        if found is not None:
            return found
    if frame.name not in AXES:
        raise ValueError(
            f"wcs must be in a frame that FITS has a name for ({', '.join(AXES)}), for a map to be "
            f"written; got {frame.name!r}"
        )
    middle = np.asarray(plane.to_sky(*(np.array([0.5 * (n - 1)]) for n in shape[::-1])))[:, 0]
    origin = np.ravel(inner.pixel_to_world_values(0.0, 0.0))
    for start in _projections(frame, [place for place in (origin, middle) if _is_sky(place)]):
        if (found := _linear(start, pixel, sky)) is not None:
            return found
    fitted = _polynomial(frame, middle, shape, pixel, sky) if _is_sky(middle) else None
    if fitted is None:
        raise ValueError(
            "wcs must be one that FITS can say for a map to be written: no projection of FITS has "
            f"the positions of these pixels, and no TAN-SIP has them to {FITTED} pixel; got "
            f"{type(inner).__name__}: make the map with the WCS of mpl_skyheat.subplot, or in the "
            "own pixels of an image"
        )
    return fitted


def _resampled(wcs: GridWCS, pixel: FloatArray, world: FloatArray) -> WCS | None:
    """The WCS of a grid on a FITS WCS by its own keywords; None if they do not suffice."""
    base, grid, swap, frame = wcs.parts
    has_tables = any(getattr(base, name, None) is not None for name in TABLES)
    if swap or frame is not None or not isinstance(base, WCS) or has_tables:
        return None
    found = resampled_fits_wcs(base, grid)
    there = found.all_pix2world(pixel.T, 0)
    return found if np.allclose(there.T, world, rtol=0, atol=1e-9) else None


def _is_sky(place: FloatArray) -> bool:
    return bool(np.isfinite(place).all())


def _bare(wcs: WCS) -> WCS:
    """The projection of a FITS WCS, with degrees on its plane as pixels, and without distortion."""
    bare = WCS(naxis=2)
    bare.wcs.ctype = [str(ctype).removesuffix("-SIP") for ctype in wcs.wcs.ctype]
    for name in ("cunit", "crval", "lonpole", "latpole", "radesys", "equinox"):
        value = getattr(wcs.wcs, name)
        if not (isinstance(value, float) and np.isnan(value)):
            setattr(bare.wcs, name, value)
    bare.wcs.set_pv(wcs.wcs.get_pv())
    return _with_plane(bare)


def _with_plane(wcs: WCS) -> WCS:
    wcs.wcs.crpix, wcs.wcs.cdelt = [1.0, 1.0], [1.0, 1.0]
    wcs.wcs.set()
    return wcs


def _projections(frame: Any, places: list[FloatArray]) -> Iterator[WCS]:
    """The projections of FITS with a reference point at places (deg), or on their meridians."""
    for lon, lat in places:
        for code in (*EQUATORIAL, *ZENITHAL):
            center = SkyCoord(lon, lat if code in ZENITHAL else 0.0, unit="deg", frame=frame)
            yield _with_plane(blank_wcs(frame, center, 1 * u.deg, code))


def _linear(start: WCS, pixel: FloatArray, world: FloatArray) -> WCS | None:
    """A WCS on whose plane (deg) a map's pixels are a grid; None if they are not to `SAME`."""
    plane = start.wcs_world2pix(world.T, 0).T
    terms = np.vstack([np.ones(pixel.shape[1]), pixel])
    if not np.isfinite(plane).all() or pixel.shape[1] < len(terms):
        return None
    constant, *matrix = np.linalg.lstsq(terms.T, plane.T, rcond=None)[0]
    matrix = np.transpose(matrix)
    misses = np.linalg.lstsq(matrix, plane - constant[:, None] - matrix @ pixel, rcond=None)[0]
    if np.abs(misses).max() > SAME:
        return None
    _set_matrix(start, matrix)
    start.wcs.crpix = 1 - np.linalg.solve(matrix, constant)
    start.wcs.set()
    return start


def _set_matrix(wcs: WCS, matrix: FloatArray) -> None:
    """Set CDELT and PC, the latter a rotation where it can be."""
    scale = np.copysign(np.linalg.norm(matrix, axis=1), np.diag(matrix))
    wcs.wcs.cdelt, wcs.wcs.pc = scale, matrix / scale[:, None]


def _polynomial(
    frame: Any, middle: FloatArray, shape: tuple[int, ...], pixel: FloatArray, sky: FloatArray
) -> WCS | None:
    """A TAN-SIP that is fitted to positions (deg) of pixels; None if it is not right."""
    center = SkyCoord(*middle, unit="deg", frame=frame)
    wcs = _with_plane(blank_wcs(frame, center, 1 * u.deg, "TAN"))
    plane = wcs.wcs_world2pix(sky.T, 0).T
    powers = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i) if i + j > 0]
    if not np.isfinite(plane).all() or pixel.shape[1] < 2 * len(powers):
        return None
    half = 0.5 * max(*shape, 2)
    centre = 0.5 * (np.array(shape[::-1]) - 1)
    x, y = (pixel - centre[:, None]) / half
    terms = np.stack([x**i * y**j for i, j in powers])
    found = np.linalg.lstsq(terms.T, plane.T, rcond=None)[0].T
    matrix = found[:, [powers.index((1, 0)), powers.index((0, 1))]]
    misses = half * np.linalg.solve(matrix, plane - found @ terms)
    if np.abs(misses).max() > FITTED:
        return None
    sip = np.zeros((2, DEGREE + 1, DEGREE + 1))
    for (i, j), both in zip(powers, np.linalg.solve(matrix, found).T, strict=True):
        if i + j > 1:
            sip[:, i, j] = both * half ** (1 - i - j)
    _set_matrix(wcs, matrix / half)
    wcs.wcs.crpix = centre + 1
    wcs.wcs.ctype = [f"{ctype}-SIP" for ctype in wcs.wcs.ctype]
    wcs.sip = Sip(*sip, None, None, centre + 1)
    wcs.wcs.set()
    return wcs
