"""A map on the pixels of an Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mpl_skyheat.maps.sky_map import SkyMap
from mpl_skyheat.sky.grid import grid_of_bins, native_grid
from mpl_skyheat.sky.grid_wcs import grid_wcs
from mpl_skyheat.sky.planes import plane_of_wcs, project

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.sky.grid import SkyGrid, View
    from mpl_skyheat.sky.planes import Plane

# Pixels along each side of Axes that have none of their own.
PIXELS = 500


def resampled(
    sky_map: SkyMap, plane: Plane, view: View, unit: Any, label: str | None
) -> tuple[SkyMap, SkyGrid]:
    """The map's values, in a unit, in a view's pixels; masked where it has none.

    The value at a pixel's centre, or the mean of the map's pixels with their centres in it.
    """
    if not view.is_known:
        raise ValueError("ax must have limits, or a WCS with a shape, to draw a map on it")
    if sky_map.solid_angle is None:
        raise ValueError("solid_angle must be that of the map's pixels to draw it; got None")
    grid = native_grid(view) if plane.has_pixels else grid_of_bins(view, PIXELS, PIXELS)
    x, y = (v.ravel() for v in np.meshgrid(grid.x.centres, grid.y.centres))
    area = SkyMap(sky_map.solid_angle, wcs=sky_map.wcs, meta=sky_map.meta)
    position: Any = (x, y)
    if plane.frame is not None:
        lon, lat = plane.to_sky(x, y)
        is_sky = np.isfinite(lon) & np.isfinite(lat)
        position = (SkyCoord(lon[is_sky], lat[is_sky], unit="deg", frame=plane.frame),)
    else:
        is_sky = np.ones(x.shape, bool)
    values, areas = np.full(x.shape, np.nan), np.zeros(x.shape)
    found = sky_map.value_at(*position)
    native = found.unit
    try:
        found = found if unit is None else found.to(unit)
    except (TypeError, ValueError, u.UnitConversionError) as error:
        raise ValueError(f"unit must be one of the map's, {found.unit}; got {unit!r}") from error
    values[is_sky] = found.value
    if plane.frame is not None:
        means, is_coarse = _means(sky_map, plane, grid)
        values[is_coarse] = (means[is_coarse] << native).to_value(found.unit)
    areas[is_sky] = np.nan_to_num(area.value_at(*position).value)
    values, areas = values.reshape(grid.shape), areas.reshape(grid.shape)
    meta = {"statistic": None, "kernel": None, "label": None, "frame": "icrs"} | sky_map.meta
    meta["label"] = meta["label"] if label is None else label
    drawn = SkyMap(
        values,
        unit=found.unit,
        mask=np.isnan(values),
        wcs=grid_wcs(plane, grid),
        solid_angle=areas << sky_map.solid_angle.unit,
        meta=meta,
    )
    return drawn, grid


def _means(sky_map: Any, plane: Plane, grid: SkyGrid) -> tuple[FloatArray, BoolArray]:
    """The mean value of the map's pixels in each pixel of a grid, and where there are several."""
    own = plane_of_wcs(sky_map.wcs)
    y, x = np.indices(sky_map.data.shape)
    lon, lat = own.to_sky(x.ravel(), y.ravel())
    column, row = (
        np.floor(axis.number(place))
        for axis, place in zip((grid.x, grid.y), project(plane, own.frame, lon, lat), strict=True)
    )
    area = np.ravel(sky_map.solid_angle.value)
    values = np.ravel(np.ma.filled(np.ma.array(sky_map.data, mask=sky_map.mask), np.nan))
    ny, nx = grid.shape
    inside = np.isfinite(values) & (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    pixel = (row[inside] * nx + column[inside]).astype(int)
    number, areas, sums = (
        np.bincount(pixel, w, ny * nx) for w in (None, area[inside], area[inside] * values[inside])
    )
    is_coarse = (number > 1) & (areas > 0)
    return np.divide(sums, areas, out=np.zeros(ny * nx), where=is_coarse), is_coarse
