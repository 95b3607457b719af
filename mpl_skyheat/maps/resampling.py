"""A map on the pixels of an Axes."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.counting.exact_route import bounds_of, project_blocks
from mpl_skyheat.maps.sky_map import SkyMap
from mpl_skyheat.sky.geometry import MapGeometry
from mpl_skyheat.sky.grid import grid_of_bins, native_grid
from mpl_skyheat.sky.grid_wcs import grid_wcs
from mpl_skyheat.sky.planes import plane_of_wcs, project
from mpl_skyheat.sky.shipping import are_equal
from mpl_skyheat.smoothing.kernel_base import angular_kernels

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.maps.surface import Surface
    from mpl_skyheat.sky.grid import SkyGrid, View
    from mpl_skyheat.sky.planes import Plane
    from mpl_skyheat.smoothing.kernel_base import KernelAlgebra

# Pixels along each side of Axes that have none of their own.
PIXELS = 500

# Pixels of a smoothed map whose mean is taken, if so many are in one of the Axes' pixels: between
# fewer, splines are right.
SEVERAL = 4

# Corners are this far (pixels) inside the map, so that rounding moves none into another pixel.
INSET = 1e-6


def frame_of_pixels(sky_map: SkyMap) -> BaseCoordinateFrame | None:
    """The frame of a map's WCS, in which Axes without one show it; None of Cartesian x, y."""
    return None if sky_map.meta.get("frame") == "flat" else plane_of_wcs(sky_map.wcs).frame


def corners_of(sky_map: SkyMap) -> Catalogue:
    """The corners of a map's pixels, as points whose bounds are the map's."""
    sides = (np.linspace(INSET - 0.5, n - 0.5 - INSET, n + 1) for n in sky_map.data.shape[::-1])
    x, y = (v.ravel() for v in np.meshgrid(*sides))
    if sky_map.meta.get("frame") == "flat":
        return read_catalogue(sky_map.wcs.low_level_wcs.pixel_to_world_values(x, y), None, "flat")
    plane = plane_of_wcs(sky_map.wcs)
    return read_catalogue(plane.to_sky(x, y), None, plane.frame)


def resampled(
    sky_map: SkyMap, plane: Plane, view: View, unit: Any, label: str | None
) -> tuple[SkyMap, SkyGrid]:
    """The map's values, in a unit, in a view's pixels; masked where it has none.

    The value at a pixel's centre, or the mean of the map's pixels with their centres in it. If they
    are the map's own pixels, this is the map itself.
    """
    if unit is not None:
        sky_map = sky_map.to(unit)
    if label is not None:
        sky_map = copy(sky_map)
        sky_map.label = label
    if sky_map.solid_angle is None:
        raise ValueError("solid_angle must be that of the map's pixels to draw it; got None")
    grid = _grid_of(sky_map, plane, view)
    wcs = grid_wcs(plane, grid)
    if grid.shape == sky_map.data.shape and are_equal(wcs.low_level_wcs, sky_map.wcs.low_level_wcs):
        return sky_map, grid
    x, y = (v.ravel() for v in np.meshgrid(grid.x.centres, grid.y.centres))
    position: Any = (x, y)
    if plane.frame is not None:
        lon, lat = plane.to_sky(x, y)
        is_sky = np.isfinite(lon) & np.isfinite(lat)
        position = (SkyCoord(lon[is_sky], lat[is_sky], unit="deg", frame=plane.frame),)
    else:
        is_sky = np.ones(x.shape, bool)
    values = np.full(x.shape, np.nan)
    values[is_sky] = sky_map.value_at(*position, interpolate=sky_map.is_smoothed).value
    if plane.frame is not None:
        means, is_coarse = _means(sky_map, plane, grid)
        values[is_coarse] = means[is_coarse]
    values = values.reshape(grid.shape)
    return _on_grid(sky_map, values, plane, grid), grid


def on_surface(
    sky_map: SkyMap, surface: Surface, plane: Plane, view: View
) -> tuple[SkyMap, SkyGrid]:
    """The map's surface at a view's pixels, or at finer ones, for contours without steps."""
    grid = _grid_of(sky_map, plane, view)
    grid = grid.split(max(PIXELS // max(grid.shape), 1))
    x, y = np.meshgrid(grid.x.centres, grid.y.centres)
    values = surface.at(*surface.places(plane.frame, *plane.to_sky(x, y)))
    return _on_grid(sky_map, values, plane, grid), grid


def _grid_of(sky_map: SkyMap, plane: Plane, view: View) -> SkyGrid:
    """The pixels of a view, or some where the plane has none; all of the map if it is not known."""
    bins = PIXELS, PIXELS
    if not view.is_known:
        view = view.filled(bounds_of(partial(project_blocks, corners_of(sky_map), plane), plane))
        if plane.frame is None:
            bins = sky_map.data.shape[::-1]
    return native_grid(view) if plane.has_pixels else grid_of_bins(view, *bins)


def _on_grid(sky_map: SkyMap, values: FloatArray, plane: Plane, grid: SkyGrid) -> SkyMap:
    """A map of values (ny, nx) on a grid, which show what another does."""
    area_unit = u.dimensionless_unscaled if plane.frame is None else u.sr
    return SkyMap(
        values,
        unit=sky_map.unit,
        wcs=grid_wcs(plane, grid),
        solid_angle=MapGeometry(plane, grid).solid_angles << area_unit,
        kernel=None if _is_in_pixels(sky_map.kernel) else sky_map.kernel,
        label=sky_map.label,
        meta=sky_map.meta | {"smoothed": sky_map.is_smoothed},
    )


def _is_in_pixels(kernel: KernelAlgebra | None) -> bool:
    """Whether a kernel, or a part of it, is as wide as some pixels, and another map's differ."""
    return kernel is not None and len(angular_kernels(kernel.terms)) < len(kernel.terms)


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
    values = np.ravel(sky_map.data)
    ny, nx = grid.shape
    inside = np.isfinite(values) & (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    pixel = (row[inside] * nx + column[inside]).astype(int)
    number, areas, sums = (
        np.bincount(pixel, w, ny * nx) for w in (None, area[inside], area[inside] * values[inside])
    )
    is_coarse = (number >= (SEVERAL if sky_map.is_smoothed else 2)) & (areas > 0)
    return np.divide(sums, areas, out=np.zeros(ny * nx), where=is_coarse), is_coarse
