"""The planes that Axes show: one small adapter for each kind of Axes."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import SkyOffsetFrame
from astropy.wcs.wcsapi import BaseHighLevelWCS
from matplotlib.transforms import Affine2D

from mpl_skyheat.compute.loaded import is_of
from mpl_skyheat.plotting.projections import (
    GEO_SIZES,
    CartopyProjection,
    DegreeProjection,
    GeoProjection,
    Scaled,
    SkyprojProjection,
)
from mpl_skyheat.sky.frames import change_frame
from mpl_skyheat.sky.grid import View, grid_of_bins
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

# Points whose widest gap in longitude is narrower than this (deg) are all around the sky.
WIDE_GAP = 30

# Default number of pixels along the longer side of the view of an Axes without pixels of its own.
FEWEST_PIXELS = 240


@dataclass(frozen=True)
class AxesView:
    """The plane that an Axes shows, and how the image is put on the Axes."""

    plane: Plane
    # NaN where the bounds of the points are to be taken.
    view: View
    # Limits of the Axes; NaN for an axis that nobody has set, and in which nothing is drawn.
    limits: View
    # From the plane to the screen; None stands for ax.transData.
    transform: Any = None
    # Corners of a polygon around the sky, where the patch of the Axes has another shape.
    outline: FloatArray | None = None
    # Longitude (deg) in the middle, where matplotlib would label it 0°.
    center: float | None = None
    # Whether nothing is drawn on a plain Axes, and no limits are set: it is to be set up.
    is_empty: bool = False


def view_of_axes(
    ax: Axes, catalogue: Catalogue | Stream, frame: Any, center: float | None
) -> AxesView:
    """The plane of an Axes, where ``frame`` is that of an Axes without one, None for flat x, y.

    ``center`` is the longitude (deg) in the middle of matplotlib's geographic axes.
    """
    from astropy.visualization.wcsaxes import WCSAxes

    name, crs = getattr(ax, "name", None), getattr(ax, "projection", None)
    if center is not None and name not in GEO_SIZES:
        hint = "" if center else " (colours that are symmetric about 0 are norm='centered')"
        raise ValueError(
            f"center must be left out on {type(ax).__name__}, which has its own; got {center:g} deg"
            f"{hint}"
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
        # The patch of a SkyAxes is a rectangle; that of other Axes has the shape of the sky.
        return replace(shown, outline=_outline(shown.plane.to_sky, shown.view))
    if name == "rectilinear":
        limits = _limits_of_plain_axes(ax)
        is_empty = not ax.has_data() and _is_open(ax, "x") and _is_open(ax, "y")
        if frame is None:
            return AxesView(FlatPlane(), limits, limits)
        return _view_in_degrees(catalogue, frame, limits, is_empty=is_empty)
    raise TypeError(f"{SUPPORTED}; got {type(ax).__name__}")


def _view_of_wcsaxes(ax: Any) -> AxesView:
    world_to_pixel = ax.get_transform("world") - ax.transData
    wcs = getattr(world_to_pixel, "wcs", None)
    if wcs is None:
        raise TypeError(f"{SUPPORTED}; got a WCSAxes that is not made from a WCS")
    wcs = wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs
    swap = world_to_pixel.invert_xy
    try:
        plane = celestial_plane(wcs, header=ax.wcs, swap=swap)
    except ValueError as error:
        raise TypeError(f"{SUPPORTED}; got a WCSAxes whose {error}") from error
    shape = view_of_shape(wcs, None)
    if swap:
        shape = View(*shape[2:], *shape[:2])
    limits = _limits_of_wcsaxes(ax)
    return AxesView(plane, limits.filled(shape), limits)


def _limits_of_wcsaxes(ax: Any) -> View:
    """The limits of a WCSAxes, NaN where nobody has set them."""
    x, y = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    x_min, x_max = (np.nan, np.nan) if x == [0, 1] and ax.get_autoscalex_on() else x
    y_min, y_max = (np.nan, np.nan) if y == [0, 1] and ax.get_autoscaley_on() else y
    return View(x_min, x_max, y_min, y_max)


def _limits_of_plain_axes(ax: Any) -> View:
    """The limits of a plain Axes, NaN where nobody has set them and nothing is drawn in them.

    Something may be drawn on an Axes that shares them.
    """
    limits: list[float] = []
    for name in "xy":
        scale = getattr(ax, f"get_{name}scale")()
        if scale != "linear":
            raise ValueError(
                f"ax must have linear scales; got a {scale} {name} axis: map the logarithm of "
                f"{name} with frame='flat' instead"
            )
        siblings = getattr(ax, f"get_shared_{name}_axes")().get_siblings(ax)
        is_known = not _is_open(ax, name) or any(sibling.has_data() for sibling in siblings)
        limits += sorted(getattr(ax, f"get_{name}lim")()) if is_known else (np.nan, np.nan)
    return View(*limits)


def _is_open(ax: Any, name: str) -> bool:
    """Whether an axis ("x" or "y") still scales itself to what is drawn, as no user has set it."""
    return bool(getattr(ax, f"get_autoscale{name}_on")())


def _view_of_geo_axes(ax: Any, frame: BaseCoordinateFrame, center: float) -> AxesView:
    width, height = GEO_SIZES[ax.name]
    # Copied, as a transform refers to its parents, which lead to all of the figure.
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
    """The plane of a projection, in units of a degree or less at the centre of the view."""
    centre = nearest_sky(projection.to_sky, view)
    if centre is None:
        raise ValueError(f"ax shows no sky within its limits, {tuple(view)}")
    step = 1e-3 * (view.x_max - view.x_min)
    x, y = np.array(centre)[:, None]
    (area,) = local_areas(projection.to_sky, x, y, step, step)
    degree = float(step / np.degrees(np.sqrt(area)))
    longest = max(view.x_max - view.x_min, view.y_max - view.y_min)
    scale = min(degree, longest / FEWEST_PIXELS)
    scaled, view = Scaled(projection, scale), View(*(side / scale for side in view))
    plane = ProjectedPlane(scaled, frame, is_equal_area=_is_equal_area(scaled.to_sky, view))
    return AxesView(plane, view, view, transform=Affine2D().scale(scale) + transform)


def _is_equal_area(to_sky: Any, view: View) -> bool:
    """Whether a projection keeps areas, as measured with 16 × 16 squares all over the view."""
    grid = grid_of_bins(view, 16, 16)
    x, y = np.meshgrid(grid.x.centres, grid.y.centres)
    side = 0.1  # deg at the centre of the view, or less
    areas = local_areas(to_sky, x, y, side, side)
    areas = areas[np.isfinite(areas)]
    if not len(areas):
        return False
    errors = np.abs(areas / np.median(areas) - 1)
    # Squares across a bend of the projection are off by more than the others.
    return bool(np.quantile(errors, 0.9) < 1e-6 and errors.max() < 1e-3)


def _outline(to_sky: Any, view: View) -> FloatArray:
    """Corners, on the plane, of a polygon around the sky in a view.

    Found by bisection along rays from the middle, which may leave the sky only once.
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
    catalogue: Catalogue | Stream, frame: BaseCoordinateFrame, limits: View, *, is_empty: bool
) -> AxesView:
    """The plane of a plain Axes in degrees; that of an empty one is centred on the points."""
    center = 0.5 * (limits.x_min + limits.x_max)
    if np.isnan(center):
        center = _middle_longitude(catalogue, frame)
    plane = ProjectedPlane(DegreeProjection(center), frame, has_pixels=False)
    return AxesView(plane, limits, limits, is_empty=is_empty)


def _middle_longitude(catalogue: Catalogue | Stream, frame: BaseCoordinateFrame) -> float:
    """The middle (deg) of the longitudes of a catalogue, among the numbers that it gives them.

    That of the sky, 180 or 0, if they are all around it.
    """
    catalogue = catalogue.in_frame(frame)
    assert catalogue.frame is not None
    is_occupied, low, high = np.zeros(360, bool), np.inf, -np.inf
    for block in (block for chunk in catalogue.chunks() for block in chunk.blocks()):
        lon = block.lon
        if not catalogue.frame.is_equivalent_frame(frame):
            lon, _ = change_frame(lon, block.lat, catalogue.frame, frame)
        if isinstance(frame, SkyOffsetFrame):
            lon = (lon + 180) % 360 - 180
        if len(lon):
            is_occupied[np.floor(lon % 360).astype(int) % 360] = True
            low, high = min(low, lon.min()), max(high, lon.max())
    if not is_occupied.any():
        return 0.0
    # Longitudes (whole degrees) on both sides of each gap; the last gap goes on to the first.
    occupied = np.flatnonzero(is_occupied)
    gaps = np.diff(occupied, append=occupied[0] + 360)
    widest = int(gaps.argmax())
    if gaps[widest] - 1 < WIDE_GAP:
        return 0.0 if low < 0 else 180.0
    if high - low <= 360 - (gaps[widest] - 1):
        return float(0.5 * (low + high))
    # Numbers on both sides of 0h: those from the far end of the gap on grow without a jump.
    middle = float(occupied[widest] + gaps[widest] + 0.5 * (361 - gaps[widest]))
    return middle % 360
