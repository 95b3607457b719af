"""The planes that Axes show: one small adapter for each kind of Axes.

Packages other than matplotlib and astropy are looked for only where they are loaded already, as
they are if one of their Axes is passed in.
"""

from __future__ import annotations

import sys
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.wcs.wcsapi import BaseHighLevelWCS
from matplotlib.transforms import Affine2D

from mpl_skyheat.plotting.projections import (
    GEO_SIZES,
    CartopyProjection,
    DegreeProjection,
    GeoProjection,
    Scaled,
    SkyprojProjection,
)
from mpl_skyheat.sky.frames import change_frame
from mpl_skyheat.sky.grid import UNKNOWN, View, grid_of_bins
from mpl_skyheat.sky.pixel_scale import local_areas, nearest_sky
from mpl_skyheat.sky.planes import (
    FlatPlane,
    Plane,
    ProjectedPlane,
    celestial_plane,
    view_of_shape,
)

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame
    from matplotlib.axes import Axes

    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.catalogue.streams import Stream
    from mpl_skyheat.compute.arrays import FloatArray

SUPPORTED = (
    "sky_heatmap draws on a WCSAxes whose two axes are celestial (plt.subplot(projection=wcs)), on "
    "matplotlib's mollweide, aitoff, hammer and lambert axes, on those of cartopy and skyproj, and "
    "on plain axes (in degrees, or Cartesian x, y with frame='flat')"
)

# Points without a gap as wide as this in longitude (deg) are all around the sky.
WIDE_GAP = 30

# Along the longer side of what an Axes of another package shows, unless a map says otherwise.
FEWEST_PIXELS = 240

# A projection shows equal areas if most of so many places a side have them to this precision, as
# measured with steps of this size (deg, or less); and none is off by more than the last number, for
# the bends of the projection there.
PLACES, MOST, ALIKE, STEP, BENT = 16, 0.9, 1e-6, 0.1, 1e-3


@dataclass(frozen=True)
class AxesView:
    """What an Axes shows of a plane, and how.

    Attributes
    ----------
    plane : Plane
        The plane that the image lies on.
    view : View
        The rectangle to map, NaN where the points' bounds are to be taken.
    is_fresh : (bool, bool)
        Whether the x and the y limits of the Axes are still those of an empty one.
    transform : `~matplotlib.transforms.Transform` or None
        Takes the plane to the screen; None stands for ``ax.transData``.
    outline : array or None
        Corners of a polygon around the sky, where the patch of the Axes is not one.
    center : float or None
        The longitude (deg) in the middle, where the Axes would label it with another.
    """

    plane: Plane
    view: View
    is_fresh: tuple[bool, bool] = (False, False)
    transform: Any = None
    outline: FloatArray | None = None
    center: float | None = None


def view_of_axes(
    ax: Axes, catalogue: Catalogue | Stream, frame: Any, center: float | None
) -> AxesView:
    """Return the plane that an Axes shows, and how it does.

    ``frame`` is that of the drawn sky where the Axes does not tell it, None for Cartesian x and y;
    ``center`` is the longitude (deg) in the middle of matplotlib's geographic axes.

    Raises
    ------
    TypeError
        If the Axes is of no supported kind, or not of the kind that the frame asks for.
    ValueError
        If ``center`` is given for an Axes that has a centre of its own.
    """
    from astropy.visualization.wcsaxes import WCSAxes

    name, crs = getattr(ax, "name", None), getattr(ax, "projection", None)
    if center is not None and name not in GEO_SIZES:
        raise ValueError(
            f"center must be left out on {type(ax).__name__}, which has its own; got {center:g} deg"
        )
    is_of_cartopy = is_of(ax, "cartopy.mpl.geoaxes", "GeoAxes")
    is_of_skyproj = is_of(ax, "skyproj.skyaxes", "SkyAxes")
    shows_sky = isinstance(ax, WCSAxes) or name in GEO_SIZES or is_of_cartopy or is_of_skyproj
    if frame is None and shows_sky:
        raise TypeError(
            f"frame='flat' is for x, y on a plain Axes; got {type(ax).__name__}, on which "
            f"positions are sky coordinates (say which with frame=). {SUPPORTED}"
        )
    if isinstance(ax, WCSAxes):
        return _view_of_wcsaxes(ax)
    if name in GEO_SIZES:
        return _view_of_geo_axes(ax, frame, center or 0.0)
    if is_of_cartopy:
        return _view_in_data(ax, CartopyProjection.of(crs), frame)
    if is_of_skyproj:
        shown = _view_in_data(ax, SkyprojProjection.of(crs), frame)
        # All others have a patch in the shape of the sky.
        return replace(shown, outline=_outline(shown.plane.to_sky, shown.view))
    if name == "rectilinear":
        limits = _limits_of_plain_axes(ax)
        if frame is None:
            return AxesView(FlatPlane(), limits, _freshness(limits))
        return _view_in_degrees(catalogue, frame, limits)
    raise TypeError(f"{SUPPORTED}; got {type(ax).__name__}")


def is_of(thing: Any, module: str, name: str) -> bool:
    """Tell whether something is of a class of another package, without importing that."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(thing, getattr(loaded, name))


def _view_of_wcsaxes(ax: Any) -> AxesView:
    world_to_pixel = ax.get_transform("world") - ax.transData
    wcs = getattr(world_to_pixel, "wcs", None)
    if wcs is None:
        raise TypeError(f"{SUPPORTED}; got a WCSAxes that is not made from a WCS")
    wcs = wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs
    swap = world_to_pixel.invert_xy
    shape = view_of_shape(wcs, None)
    if swap:
        shape = View(*shape[2:], *shape[:2])
    limits = _limits_of_wcsaxes(ax)
    try:
        plane = celestial_plane(wcs, header=ax.wcs, swap=swap)
    except ValueError as error:
        raise TypeError(f"{SUPPORTED}; got a WCSAxes whose {error}") from error
    return AxesView(plane, limits.filled(shape), _freshness(limits))


def _freshness(limits: View) -> tuple[bool, bool]:
    """Tell whether the limits of an Axes in x and in y are still those of an empty one."""
    return bool(np.isnan(limits.x_min)), bool(np.isnan(limits.y_min))


def _limits_of_wcsaxes(ax: Any) -> View:
    """Return the limits of a WCSAxes, unknown where they are still those of a fresh one."""
    x, y = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    x_min, x_max = (np.nan, np.nan) if x == [0, 1] and ax.get_autoscalex_on() else x
    y_min, y_max = (np.nan, np.nan) if y == [0, 1] and ax.get_autoscaley_on() else y
    return View(x_min, x_max, y_min, y_max)


def _limits_of_plain_axes(ax: Axes) -> View:
    for name, scale in (("x", ax.get_xscale()), ("y", ax.get_yscale())):
        if scale != "linear":
            raise ValueError(
                f"ax must have linear scales; got a {scale} {name} axis: map the logarithm of "
                f"{name} with frame='flat' instead"
            )
    x, y = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    # Limits that nobody set and nothing is drawn in yet are not a choice.
    if ax.get_autoscalex_on() and _is_empty(ax.get_shared_x_axes(), ax):
        x = [np.nan, np.nan]
    if ax.get_autoscaley_on() and _is_empty(ax.get_shared_y_axes(), ax):
        y = [np.nan, np.nan]
    return View(*x, *y)


def _is_empty(shared: Any, ax: Axes) -> bool:
    """Tell whether nothing is drawn on an Axes and on those that share its limits."""
    return not any(sibling.has_data() for sibling in shared.get_siblings(ax))


def _view_of_geo_axes(ax: Any, frame: BaseCoordinateFrame, center: float) -> AxesView:
    width, height = GEO_SIZES[ax.name]
    # (A copy has no parents: the transform itself leads to all of the figure.)
    projection = GeoProjection(copy(ax.transProjection), ax.name, center)
    view = View(-width, width, -height, height)
    transform = Affine2D().scale(1 / projection.stretch, 1) + ax.transAffine + ax.transAxes
    return replace(_projected_view(projection, frame, view, transform), center=center)


def _view_in_data(ax: Any, projection: Any, frame: BaseCoordinateFrame) -> AxesView:
    view = View(*sorted(ax.get_xlim()), *sorted(ax.get_ylim()))
    return _projected_view(projection, frame, view, ax.transData)


def _projected_view(
    projection: Any, frame: BaseCoordinateFrame, view: View, transform: Any
) -> AxesView:
    """Return the plane of a projection, in units of a degree or less at the centre of the view."""
    centre = nearest_sky(projection.to_sky, view)
    if centre is None:
        raise ValueError(f"ax shows no sky within its limits, {tuple(view)}")
    step = 1e-3 * (view.x_max - view.x_min)
    at = np.array([centre[0]]), np.array([centre[1]])
    (area,) = local_areas(projection.to_sky, at[0], at[1], step, step)
    degree = float(step / np.degrees(np.sqrt(area)))
    longest = max(view.x_max - view.x_min, view.y_max - view.y_min)
    scale = min(degree, longest / FEWEST_PIXELS)
    scaled, view = Scaled(projection, scale), View(*(side / scale for side in view))
    plane = ProjectedPlane(scaled, frame, is_equal_area=_is_equal_area(scaled.to_sky, view))
    return AxesView(plane, view, transform=Affine2D().scale(scale) + transform)


def _is_equal_area(to_sky: Any, view: View) -> bool:
    """Tell whether a view shows equal areas as such, from squares all over it."""
    grid = grid_of_bins(view, PLACES, PLACES)
    x, y = np.meshgrid(grid.x.centres, grid.y.centres)
    areas = local_areas(to_sky, x, y, STEP, STEP)
    areas = areas[np.isfinite(areas)]
    if not len(areas):
        return False
    errors = np.abs(areas / np.median(areas) - 1)
    return bool(np.quantile(errors, MOST) < ALIKE and errors.max() < BENT)


def _outline(to_sky: Any, view: View) -> FloatArray:
    """Return the corners, on the plane, of a polygon around what shows sky of a view.

    It is found along rays from the middle, none of which may leave the sky and enter it again.
    """
    direction = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    x, y = view.centre
    reach = np.hypot(view.x_max - view.x_min, view.y_max - view.y_min)
    inner, outer = np.zeros_like(direction), np.full_like(direction, reach)
    for _ in range(40):
        middle = 0.5 * (inner + outer)
        lon, _ = to_sky(x + middle * np.cos(direction), y + middle * np.sin(direction))
        inner = np.where(np.isfinite(lon), middle, inner)
        outer = np.where(np.isfinite(lon), outer, middle)
    return np.column_stack([x + outer * np.cos(direction), y + outer * np.sin(direction)])


def _view_in_degrees(
    catalogue: Catalogue | Stream, frame: BaseCoordinateFrame, limits: View
) -> AxesView:
    """Return the plane of a plain Axes in degrees; one that is empty is centred on the points."""
    center = 0.5 * (limits.x_min + limits.x_max)
    if np.isnan(center):
        center = _mean_longitude(catalogue, frame)
    plane = ProjectedPlane(DegreeProjection(center), frame, has_pixels=False)
    return AxesView(plane, UNKNOWN.filled(limits), _freshness(limits))


def _mean_longitude(catalogue: Catalogue | Stream, frame: BaseCoordinateFrame) -> float:
    """Return the circular mean (deg, 0 … 360) of the longitudes of a catalogue's first points.

    Of those that are all around the sky it is 180.
    """
    assert catalogue.frame is not None
    for block in (block for chunk in catalogue.chunks() for block in chunk.blocks()):
        if len(block.lon):
            lon, _ = change_frame(block.lon, block.lat, catalogue.frame, frame)
            ordered = np.sort(lon)
            if np.diff(ordered, append=ordered[0] + 360).max() < WIDE_GAP:
                return 180.0
            return float(np.degrees(np.angle(np.exp(1j * np.radians(lon)).mean())) % 360)
    return 0.0
