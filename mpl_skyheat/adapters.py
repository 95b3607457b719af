"""The planes that Axes show: one small adapter for each kind of Axes.

Packages other than matplotlib and astropy are looked for only where they are loaded already, as
they are if one of their Axes is passed in.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.wcs.wcsapi import BaseHighLevelWCS
from matplotlib.transforms import Affine2D

from mpl_skyheat.grid import UNKNOWN, View, grid_of_bins, local_areas, nearest_sky, to_vectors
from mpl_skyheat.planes import Plane, ProjectedWCS, celestial_plane, flat_plane, view_of_shape
from mpl_skyheat.projection import change_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.coordinates import BaseCoordinateFrame
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mpl_skyheat.points import Catalogue, Stream

    FloatArray = NDArray[np.float64]

SUPPORTED = (
    "sky_heatmap draws on a WCSAxes whose two axes are celestial (plt.subplot(projection=wcs)), on "
    "matplotlib's mollweide, aitoff, hammer and lambert axes, on those of cartopy and skyproj, and "
    "on plain axes (in degrees, or Cartesian x, y with frame='flat')"
)

# Half-axes of the whole sky on matplotlib's geographic axes.
GEO_SIZES = {
    "mollweide": (2 * np.sqrt(2), np.sqrt(2)),
    "hammer": (2 * np.sqrt(2), np.sqrt(2)),
    "aitoff": (np.pi, np.pi / 2),
    "lambert": (2.0, 2.0),
}

# The cosine of how far from its middle a gnomonic projection goes.
HORIZON = 1e-9

# Points without a gap as wide as this in longitude (deg) are all around the sky.
WIDE_GAP = 30

# Along the longer side of what an Axes of another package shows, unless a map says otherwise.
FEWEST_PIXELS = 240

# A projection shows equal areas if most of so many places a side have them to this precision, as
# measured with steps of this size (deg, or less); and none is off by more than the last number, for
# the bends of the projection there.
PLACES, MOST, ALIKE, STEP, BENT = 16, 0.9, 1e-6, 0.1, 1e-3


def plane_of_axes(
    ax: Axes, catalogue: Catalogue | Stream, frame: Any, center: float | None
) -> Plane:
    """Return the plane that an Axes shows.

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
        return _plane_of_wcsaxes(ax)
    if name in GEO_SIZES:
        return _plane_of_geo_axes(ax, frame, center or 0.0)
    if is_of_cartopy:
        return _plane_in_data(ax, _cartopy_projection(crs), frame)
    if is_of_skyproj:
        plane = _plane_in_data(ax, _skyproj_projection(crs), frame)
        # All others have a patch in the shape of the sky.
        return replace(plane, outline=_outline(plane.to_sky, plane.view))
    if name == "rectilinear":
        limits = _limits_of_plain_axes(ax)
        if frame is None:
            return _with_freshness(flat_plane(limits), limits)
        return _plane_in_degrees(catalogue, frame, limits)
    raise TypeError(f"{SUPPORTED}; got {type(ax).__name__}")


def is_of(thing: Any, module: str, name: str) -> bool:
    """Tell whether something is of a class of another package, without importing that."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(thing, getattr(loaded, name))


def _plane_of_wcsaxes(ax: Any) -> Plane:
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
        plane = celestial_plane(wcs, limits.filled(shape), header=ax.wcs, swap=swap)
    except ValueError as error:
        raise TypeError(f"{SUPPORTED}; got a WCSAxes whose {error}") from error
    return _with_freshness(plane, limits)


def _with_freshness(plane: Plane, limits: View) -> Plane:
    return replace(plane, is_fresh=(bool(np.isnan(limits.x_min)), bool(np.isnan(limits.y_min))))


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


@dataclass(frozen=True)
class GeoProjection:
    """One of matplotlib's geographic projections, with longitude to the left as the sky has it."""

    transform: Any
    name: str
    center: float

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        lon, lat = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        x = -np.radians(_wrapped(lon, self.center) - self.center)
        if self.name == "mollweide":
            return _mollweide(x, np.radians(lat))
        with np.errstate(divide="ignore", invalid="ignore"):
            points = np.column_stack([x.ravel(), np.radians(lat).ravel()])
            points = self.transform.transform(points)
        x, y = (v.reshape(lon.shape) for v in points.T)
        return x * self.stretch, y

    @property
    def stretch(self) -> float:
        """What matplotlib leaves to the Axes' aspect: the sky is twice as wide as high."""
        return 2.0 if self.name == "aitoff" else 1.0

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.name == "aitoff":
                lon, lat = _inverse_aitoff(x, y)
            elif self.name == "lambert":
                lon, lat = self._inverse_lambert(x, y)
            else:
                points = np.column_stack([x.ravel(), y.ravel()])
                points = self.transform.inverted().transform(points)
                lon, lat = (v.reshape(x.shape) for v in points.T)
            width, height = GEO_SIZES[self.name]
            off = (x / width) ** 2 + (y / height) ** 2 > 1
        lon, lat = (np.where(off, np.nan, np.degrees(v)) for v in (lon, lat))
        return self.center - lon, lat

    def _inverse_lambert(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Invert the Lambert projection, of which matplotlib's inverse is right for one half only.

        Its centre is found from where the projection puts the pole, 2 sin(c/2) from the middle, and
        the origin.
        """
        (_, pole), origin = self.transform.transform([(0.0, 0.5 * np.pi), (0.0, 0.0)])
        latitude = 0.5 * np.pi - 2 * np.arcsin(0.5 * pole)
        longitude = -_inverse_azimuthal(origin[0], origin[1], latitude)[0]
        lon, lat = _inverse_azimuthal(x, y, latitude)
        return lon + longitude, lat


def _mollweide(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the Mollweide projection (Snyder 1987, USGS PP 1395, p. 251), to the last digits.

    That of matplotlib is off by up to 0.1 deg, and by how much depends on which positions it is
    given at once.
    """
    # With e = π/2 − θ, 2 e − sin 2 e = π (1 − sin |φ|), which Newton's method solves from where the
    # left side is 4/3 e³, as it is at the pole.
    right = 2 * np.pi * np.sin(0.25 * np.pi - 0.5 * np.abs(lat)) ** 2
    e = np.cbrt(0.75 * right)
    for _ in range(6):
        is_far = e > 1e-3
        step = (right - 2 * e + np.sin(2 * e)) / np.where(is_far, 4 * np.sin(e) ** 2, 1)
        e = e + np.where(is_far, step, 0)
    x = 2 * np.sqrt(2) / np.pi * lon * np.sin(e)
    return x, np.copysign(np.sqrt(2) * np.cos(e), lat)


def _inverse_azimuthal(x: Any, y: Any, latitude: float) -> tuple[FloatArray, FloatArray]:
    """Invert the azimuthal equal-area projection (Snyder 1987, USGS PP 1395, p. 186)."""
    distance = np.hypot(x, y)
    c = 2 * np.arcsin(0.5 * distance)
    # sin(c) / distance
    ratio = np.where(distance > 0, np.sin(c) / np.where(distance > 0, distance, 1), 1)
    sine = np.cos(c) * np.sin(latitude) + y * ratio * np.cos(latitude)
    east, north = x * ratio, np.cos(c) * np.cos(latitude) - y * ratio * np.sin(latitude)
    return np.asarray(np.arctan2(east, north)), np.asarray(np.arcsin(np.clip(sine, -1, 1)))


def _inverse_aitoff(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Invert the Aitoff projection, which matplotlib does not.

    It is the azimuthal equidistant projection of (λ/2, φ) with x doubled (Snyder 1993, Flattening
    the Earth, p. 130).
    """
    distance = np.hypot(0.5 * x, y)
    sinc = np.sinc(distance / np.pi)  # sin(r) / r
    half_lon = np.arctan2(0.5 * x * sinc, np.cos(distance))
    return 2 * half_lon, np.arcsin(np.clip(y * sinc, -1, 1))


@dataclass(frozen=True)
class ForeignProjection:
    """A projection of another package, which off the sky returns some position or other.

    ``radius`` is that of the sphere, in units of the plane.
    """

    forward: Callable[[FloatArray, FloatArray], Any]
    inverse: Callable[[FloatArray, FloatArray], Any]
    radius: float

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        # cartopy leaves longitudes beyond ±180 deg where they are, in one of its projections.
        return _finite(self.forward(*_arrays(_wrapped(np.asarray(lon, float), 0.0), lat)), lon)

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        lon, lat = _finite(self.inverse(*_arrays(x, y)), x)
        # That position is elsewhere on the plane.
        again = self.to_plane(lon, lat)
        on_sky = np.hypot(again[0] - x, again[1] - y) < 1e-6 * self.radius
        on_sky &= np.abs(lat) <= 90
        return np.where(on_sky, lon, np.nan), np.where(on_sky, lat, np.nan)


def _cartopy_projection(crs: Any) -> ForeignProjection:
    geodetic = sys.modules["cartopy.crs"].Geodetic(globe=crs.globe)
    # In deg on a plate carrée, else in m.
    radius = float(np.hypot(np.ptp(crs.x_limits), np.ptp(crs.y_limits))) / 6
    return ForeignProjection(
        lambda lon, lat: crs.transform_points(geodetic, lon, lat),
        lambda x, y: geodetic.transform_points(crs, x, y),
        radius,
    )


def _skyproj_projection(crs: Any) -> ForeignProjection:
    def forward(lon: FloatArray, lat: FloatArray) -> Any:
        points = crs.transform_points(lon, lat)
        if crs.name == "gnom":
            # Beyond its horizon, skyproj leaves in place what it finds in memory.
            middle = to_vectors(crs.lon_0, crs.lat_0)
            points[to_vectors(lon, lat) @ middle < HORIZON] = np.nan
        return points

    return ForeignProjection(
        forward,
        lambda x, y: crs.transform_points(x, y, inverse=True),
        float(crs.radius),
    )


def _arrays(a: Any, b: Any) -> tuple[FloatArray, FloatArray]:
    """Return two flat, writeable arrays."""
    a, b = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    return a.ravel().copy(), b.ravel().copy()


def _finite(points: Any, like: Any) -> tuple[FloatArray, FloatArray]:
    points = np.asarray(points, float)[..., :2].reshape(-1, 2)
    points = np.where(np.isfinite(points).all(axis=1, keepdims=True), points, np.nan)
    x, y = (v.reshape(np.shape(like)) for v in points.T)
    return x, y


@dataclass(frozen=True)
class DegreeProjection:
    """Longitude and latitude in degrees as x and y, without a tear within 180 deg of a centre."""

    center: float

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        return _wrapped(np.asarray(lon, float), self.center), np.asarray(lat, float)

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        on_sky = (np.abs(x - self.center) <= 180) & (np.abs(y) <= 90)
        return np.where(on_sky, x, np.nan), np.where(on_sky, y, np.nan)


def _wrapped(lon: FloatArray, center: float) -> FloatArray:
    return np.asarray((lon - center + 180) % 360 - 180 + center)


@dataclass(frozen=True)
class Scaled:
    """A projection in units of so many of its own."""

    projection: Any
    scale: float

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        x, y = self.projection.to_plane(lon, lat)
        return x / self.scale, y / self.scale

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        sky: tuple[FloatArray, FloatArray] = self.projection.to_sky(
            np.asarray(x) * self.scale, np.asarray(y) * self.scale
        )
        return sky


def _plane_of_geo_axes(ax: Any, frame: BaseCoordinateFrame, center: float) -> Plane:
    width, height = GEO_SIZES[ax.name]
    projection = GeoProjection(ax.transProjection, ax.name, center)
    view = View(-width, width, -height, height)
    transform = Affine2D().scale(1 / projection.stretch, 1) + ax.transAffine + ax.transAxes
    plane = _projected_plane(projection, frame, view, transform)
    return replace(plane, center=center)


def _plane_in_data(ax: Any, projection: Any, frame: BaseCoordinateFrame) -> Plane:
    view = View(*sorted(ax.get_xlim()), *sorted(ax.get_ylim()))
    return _projected_plane(projection, frame, view, ax.transData)


def _projected_plane(
    projection: Any, frame: BaseCoordinateFrame, view: View, transform: Any
) -> Plane:
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
    return Plane(
        scaled.to_plane,
        scaled.to_sky,
        frame,
        view,
        ProjectedWCS(scaled.to_plane, scaled.to_sky, frame),
        transform=Affine2D().scale(scale) + transform,
        is_equal_area=_is_equal_area(scaled.to_sky, view),
    )


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


def _plane_in_degrees(
    catalogue: Catalogue | Stream, frame: BaseCoordinateFrame, limits: View
) -> Plane:
    """Return the plane of a plain Axes in degrees; one that is empty is centred on the points."""
    center = 0.5 * (limits.x_min + limits.x_max)
    if np.isnan(center):
        center = _mean_longitude(catalogue, frame)
    projection = DegreeProjection(center)
    wcs = ProjectedWCS(projection.to_plane, projection.to_sky, frame)
    plane = Plane(
        projection.to_plane, projection.to_sky, frame, UNKNOWN.filled(limits), wcs, has_pixels=False
    )
    return _with_freshness(plane, limits)


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
