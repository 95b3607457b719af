"""Maps on the pixels of HEALPix (Górski et al. 2005, ApJ 622, 759), and files of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from mpl_skyheat.compute.memory import allowed_bytes
from mpl_skyheat.compute.writing import replacing
from mpl_skyheat.maps.interpolation import interpolated, seams_of
from mpl_skyheat.maps.map_files import check_target, fits_unit
from mpl_skyheat.maps.statistic_table import is_per_pixel
from mpl_skyheat.sky.frames import change_frame, find_sky_frame
from mpl_skyheat.sky.planes import plane_of_wcs, project
from mpl_skyheat.sky.vectors import separation, to_vectors

if TYPE_CHECKING:
    import os

    from astropy_healpix import HEALPix

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.sky.planes import Plane

# What HEALPix files have where there is no value.
UNSEEN = -1.6375e30

# Pixels whose positions are found at a time.
CHUNK = 2**20

# Bytes that a map takes while it is made, per HEALPix pixel.
BYTES_PER_PIXEL = 48

# Parts across a HEALPix pixel that a mean over it needs for sums to be kept: it counts them.
PARTS = 4

# Pixels of a smoothed map are averaged where this many are in a HEALPix pixel.
SEVERAL = 4

# COORDSYS of frames.
COORDSYS = {"icrs": "C", "fk5": "C", "galactic": "G", "barycentricmeanecliptic": "E"}


def to_healpix(sky_map: Any, nside: Any, order: str, frame: Any) -> tuple[u.Quantity, HEALPix]:
    """A map's values in HEALPix pixels: see `SkyMap.to_healpix`."""
    try:
        from astropy_healpix import HEALPix
    except ImportError as error:
        raise ImportError(
            "to_healpix needs astropy-healpix: pip install 'mpl-skyheat[healpix]'"
        ) from error
    is_number = isinstance(nside, int | np.integer) and not isinstance(nside, bool)
    if not is_number or not 0 < nside <= 2**29 or nside & (nside - 1):
        raise ValueError(f"nside must be a power of two, such as 256; got {nside!r}")
    takes = BYTES_PER_PIXEL * 12 * int(nside) ** 2
    if takes > allowed_bytes():
        raise ValueError(
            f"nside={nside} takes {takes / 2**30:.3g} GiB, more than half of this machine's memory"
        )
    if order not in ("ring", "nested"):
        raise ValueError(f"order must be 'ring' or 'nested'; got {order!r}")
    if sky_map.meta.get("frame") == "flat":
        raise TypeError("to_healpix needs a map of the sky; got one of Cartesian x, y")
    if sky_map.solid_angle is None:
        raise ValueError("solid_angle must be that of the map's pixels for HEALPix; got None")
    plane = plane_of_wcs(sky_map.wcs)
    frame = plane.frame if frame is None else find_sky_frame("frame", frame)
    healpix = HEALPix(int(nside), order, frame)
    values = np.array(sky_map.quantity.value)
    is_of_pixels = is_per_pixel(sky_map.meta)
    solid_angle = sky_map.solid_angle.to_value(u.sr)
    if is_of_pixels:
        with np.errstate(divide="ignore", invalid="ignore"):
            values /= solid_angle
    values[~np.isfinite(values)] = np.nan
    area = healpix.pixel_area.to_value(u.sr)
    wanted = SEVERAL if sky_map.is_smoothed else 1
    is_fine = wanted * _lengths(plane, values.shape) ** 2 <= area
    found = _at_centres(values, plane, healpix, is_smooth=sky_map.is_smoothed)
    sums, areas = _sums(values, solid_angle, is_fine & np.isfinite(values), plane, healpix)
    is_mean = (areas > 0) & (np.isnan(found) | (areas > 0.5 * area))
    np.divide(sums, areas, out=found, where=is_mean)
    return (found * area if is_of_pixels else found) << sky_map.quantity.unit, healpix


def _lengths(plane: Plane, shape: tuple[int, ...]) -> FloatArray:
    """How long (rad) pixels are on the sky: those of a CAR are not fine at its poles, but thin."""
    y, x = np.indices(shape)
    places = to_vectors(*plane.to_sky(x.ravel(), y.ravel())).reshape(*shape, 3)
    longest = np.zeros(shape)
    for along, across in ((longest, places), (longest.T, places.transpose(1, 0, 2))):
        step = separation(across[1:], across[:-1])
        for part in (along[1:], along[:-1]):
            np.fmax(part, step, out=part)
    return longest


def _at_centres(
    values: FloatArray, plane: Plane, healpix: HEALPix, *, is_smooth: bool
) -> FloatArray:
    """The map's values at the centres of all HEALPix pixels."""
    found = np.empty(healpix.npix)
    seams = seams_of(plane, values.shape)
    for start in range(0, healpix.npix, CHUNK):
        pixels = np.arange(start, min(start + CHUNK, healpix.npix))
        lon, lat = healpix.healpix_to_lonlat(pixels)
        x, y = project(plane, healpix.frame, lon.deg, lat.deg)
        found[pixels] = interpolated(values, x, y, seams, is_smooth=is_smooth)
    return found


def _sums(
    values: FloatArray,
    solid_angle: FloatArray,
    is_taken: BoolArray,
    plane: Plane,
    healpix: HEALPix,
) -> tuple[FloatArray, FloatArray]:
    """Sums of value times solid angle, and of solid angle, of the map's pixels in HEALPix pixels.

    Pixels are divided among the HEALPix pixels in which their parts are.
    """
    sums, areas = np.zeros((2, healpix.npix))
    rows, columns = np.nonzero(is_taken)
    if not len(rows):
        return sums, areas
    side = np.sqrt(solid_angle[is_taken].max() / healpix.pixel_area.to_value(u.sr))
    number = int(np.ceil(PARTS * side))
    offsets = (np.arange(number) + 0.5) / number - 0.5
    part = solid_angle[is_taken] / number**2
    for dx, dy in ((dx, dy) for dy in offsets for dx in offsets):
        lon, lat = plane.to_sky(columns + dx, rows + dy)
        is_sky = np.isfinite(lon) & np.isfinite(lat)
        moved = change_frame(lon[is_sky], lat[is_sky], plane.frame, healpix.frame)
        pixels = healpix.lonlat_to_healpix(*(v << u.deg for v in moved))
        area = part[is_sky]
        areas += np.bincount(pixels, area, healpix.npix)
        sums += np.bincount(pixels, area * values[is_taken][is_sky], healpix.npix)
    return sums, areas


def write_healpix(
    sky_map: Any,
    file: str | os.PathLike[str],
    *,
    overwrite: bool,
    nside: Any = None,
    order: str = "ring",
    frame: Any = None,
) -> None:
    """Write a map as a table of HEALPix pixels: see `SkyMap.write`."""
    from astropy.io import fits

    check_target(file, overwrite=overwrite)
    values, healpix = to_healpix(sky_map, nside, order, frame)
    system = COORDSYS.get(healpix.frame.name)
    if system is None:
        raise ValueError(
            f"frame must be one that HEALPix files have a name for ({', '.join(COORDSYS)}); got "
            f"{healpix.frame.name!r}: give frame='icrs'"
        )
    column = fits.Column(
        name=str(sky_map.meta.get("stat") or "value").upper(),
        format="D",
        array=np.where(np.isnan(values.value), UNSEEN, values.value),
        unit=fits_unit(values.unit),
    )
    table = fits.BinTableHDU.from_columns([column])
    table.header.update({
        "PIXTYPE": "HEALPIX",
        "ORDERING": {"ring": "RING", "nested": "NESTED"}[order],
        "COORDSYS": system,
        "NSIDE": healpix.nside,
        "FIRSTPIX": 0,
        "LASTPIX": healpix.npix - 1,
        "INDXSCHM": "IMPLICIT",
        "OBJECT": "FULLSKY",
        "BAD_DATA": UNSEEN,
    })  # fmt: skip
    with replacing(file) as new:
        table.writeto(new)
