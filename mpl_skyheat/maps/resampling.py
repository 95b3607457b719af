"""A map on the pixels of an Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mpl_skyheat.maps.sky_map import SkyMap
from mpl_skyheat.sky.grid import grid_of_bins, native_grid
from mpl_skyheat.sky.grid_wcs import grid_wcs

if TYPE_CHECKING:
    from mpl_skyheat.sky.grid import SkyGrid, View
    from mpl_skyheat.sky.planes import Plane

# Pixels along each side of Axes that have none of their own.
PIXELS = 500


def resampled(
    sky_map: SkyMap, plane: Plane, view: View, unit: Any, label: str | None
) -> tuple[SkyMap, SkyGrid]:
    """The map's values, in a unit, at the centres of a view's pixels; masked where it has none."""
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
    try:
        found = found if unit is None else found.to(unit)
    except (TypeError, ValueError, u.UnitConversionError) as error:
        raise ValueError(f"unit must be one of the map's, {found.unit}; got {unit!r}") from error
    values[is_sky] = found.value
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
