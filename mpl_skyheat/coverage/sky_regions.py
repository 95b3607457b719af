"""Coverage by the sky regions of the package regions: inside and outside on the sphere.

`regions.SkyRegion.contains` works in the pixels of a WCS, in which a circle is no circle. Here
circles and annuli go by separation, and polygons by great circles; other shapes are laid on the
tangential plane at their centre, on which these are ellipses and rectangles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord
from astropy.wcs import WCS

from mpl_skyheat.coverage.base import EdgedCoverage, key_of
from mpl_skyheat.sky.vectors import separation, to_positions, to_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray

    # Unit vectors (n, 3) -> which are inside.
    Inside = Callable[[FloatArray], BoolArray]
    # Unit vectors (n, 3) -> the distance (rad) of each from an edge.
    Distance = Callable[[FloatArray], FloatArray]

# Largest radius (rad) of shapes on a tangential plane: 10 deg, where a radius is 1 % too long.
LARGEST_SHAPE = np.radians(10)

# Largest radius (rad) of a polygon, whose sides are straight on a tangential plane.
LARGEST_POLYGON = np.radians(80)

# Sides of polygons that stand for ellipses where their edges are looked for, and by how much these
# are inside them, in radii.
SIDES = 32
SAGITTA = 1 - np.cos(np.pi / SIDES)

# Pixels of the tangential planes.
PIXEL = 1 * u.arcsec


# Circles that are wider than this many times the median, as of cells across a tear of a map, are
# not compared with edges, which all would be near to them.
WIDE = 4


class Edge(NamedTuple):
    """A part of the edge of a region, within a radius (rad) of a centre (deg, ICRS)."""

    lon: float
    lat: float
    radius: float
    distance: Distance


class Shape(NamedTuple):
    """A region within a radius (rad) of its centre (deg, ICRS); a hole if not ``is_included``.

    Shapes of a kind are equal if their ``numbers`` are.
    """

    lon: float
    lat: float
    radius: float
    inside: Inside
    edges: list[Edge]
    numbers: FloatArray
    is_included: bool


class RegionsCoverage(EdgedCoverage):
    """The union of regions, without those of which ``meta["include"]`` is False.

    With holes only, all of the sky but these.
    """

    def __init__(self, regions: Iterable[Any]) -> None:
        self.frame = ICRS()
        regions = list(regions)
        shapes = [shape_of(region) for region in regions]
        kinds = [
            f"{type(r).__name__} {s.is_included}" for r, s in zip(regions, shapes, strict=True)
        ]
        self.key = key_of(" ".join(kinds), *(shape.numbers for shape in shapes))
        self._included = [shape for shape in shapes if shape.is_included]
        self._holes = [shape for shape in shapes if not shape.is_included]

    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        order, vectors, lat = _ascending(lon, lat)
        observed = np.full(len(lon), not self._included)
        for shapes, value in ((self._included, True), (self._holes, False)):
            for shape in shapes:
                near = _near(vectors, lat, shape, 0.0)
                observed[near[shape.inside(vectors[near])]] = value
        found = np.empty(len(lon))
        found[order] = observed
        return found

    def certain(self, lon: FloatArray, lat: FloatArray, radius: FloatArray) -> FloatArray:
        found = self.fractions(lon, lat)
        is_wide = radius > WIDE * np.median(radius) if len(radius) else np.zeros(0, bool)
        found[is_wide] = np.nan
        others = np.flatnonzero(~is_wide)
        order, vectors, lat = _ascending(lon[others], lat[others])
        order = others[order]
        radius = radius[order]
        reach = float(radius.max(initial=0.0))
        for edge in (edge for shape in (*self._included, *self._holes) for edge in shape.edges):
            near = _near(vectors, lat, edge, reach)
            found[order[near[edge.distance(vectors[near]) <= radius[near]]]] = np.nan
        return found


def _ascending(lon: FloatArray, lat: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """The order of positions (deg) by latitude, and their vectors and latitudes in that order."""
    order = np.argsort(lat, kind="stable")
    return order, to_vectors(lon[order], lat[order]), lat[order]


def _near(vectors: FloatArray, lat: FloatArray, shape: Shape | Edge, reach: float) -> IntArray:
    """Which positions, that ascend in latitude (deg), may be within a reach (rad) of a shape."""
    radius = (shape.radius + reach) * (1 + 1e-9) + 1e-11
    start = np.searchsorted(lat, shape.lat - np.degrees(radius), "left")
    stop = np.searchsorted(lat, shape.lat + np.degrees(radius), "right")
    band = np.arange(start, stop)
    if radius >= np.pi:
        return band
    centre = to_vectors(np.array(shape.lon), np.array(shape.lat))
    # By the chord: the cosine of a small angle has no digits.
    chord = np.linalg.norm(vectors[start:stop] - centre, axis=-1)
    return np.asarray(band[chord <= 2 * np.sin(0.5 * radius)])


def shape_of(region: Any) -> Shape:
    """The shape of a sky region; a ValueError or TypeError if it has none on the sphere."""
    kind = type(region).__name__
    is_included = bool(region.meta.get("include", True))
    if kind == "CircleSkyRegion":
        radius = _rad(region.radius)
        return _ring(region.center, 0.0, radius, is_included)
    if kind == "CircleAnnulusSkyRegion":
        return _ring(
            region.center, _rad(region.inner_radius), _rad(region.outer_radius), is_included
        )
    if kind == "PolygonSkyRegion":
        return _polygon(region, is_included)
    if kind in ("EllipseSkyRegion", "RectangleSkyRegion"):
        sizes = [_rad(region.width), _rad(region.height)]
        return _on_tangential_plane(region, sizes, is_included)
    if kind in ("EllipseAnnulusSkyRegion", "RectangleAnnulusSkyRegion"):
        sizes = [_rad(region.outer_width), _rad(region.outer_height)]
        return _on_tangential_plane(region, sizes, is_included)
    raise TypeError(
        "coverage must be of sky regions that have an area: circles, annuli, polygons, ellipses or "
        f"rectangles; got a {kind}"
    )


def _rad(angle: Any) -> float:
    return float(angle.to_value(u.rad))


def _place(center: SkyCoord) -> tuple[float, float]:
    """Longitude and latitude (deg) in ICRS."""
    sky = center.icrs
    return float(sky.ra.deg), float(sky.dec.deg)


def _ring(center: SkyCoord, inner: float, outer: float, is_included: bool) -> Shape:
    lon, lat = _place(center)
    middle = to_vectors(np.array(lon), np.array(lat))

    def inside(vectors: FloatArray) -> BoolArray:
        distance = separation(vectors, middle)
        return np.asarray((distance <= outer) & (distance >= inner))

    def from_edge(vectors: FloatArray) -> FloatArray:
        distance = separation(vectors, middle)
        to_outer = np.abs(distance - outer)
        return np.minimum(to_outer, np.abs(distance - inner)) if inner else to_outer

    edges = [Edge(lon, lat, outer, from_edge)]
    return Shape(lon, lat, outer, inside, edges, np.array([lon, lat, inner, outer]), is_included)


def _polygon(region: Any, is_included: bool) -> Shape:
    """A polygon of great circles, which are straight lines on a tangential plane."""
    corners = to_vectors(*(v.deg for v in (region.vertices.icrs.ra, region.vertices.icrs.dec)))
    middle = corners.sum(axis=0)
    middle /= np.linalg.norm(middle) or 1.0
    radius = float(separation(corners, middle).max())
    if not radius < LARGEST_POLYGON:
        raise ValueError(
            "coverage must have polygons of less than 80 deg from their centre to a corner; got "
            f"{np.degrees(radius):.3g} deg: cut it in parts"
        )
    east = np.cross([0.0, 0.0, 1.0], middle)
    east = np.array([1.0, 0.0, 0.0]) if np.linalg.norm(east) < 1e-9 else east
    east /= np.linalg.norm(east)
    axes = np.stack([east, np.cross(middle, east)])

    def plane(vectors: FloatArray) -> FloatArray:
        return np.asarray(vectors @ axes.T / (vectors @ middle)[:, np.newaxis])

    outline = plane(corners)

    def inside(vectors: FloatArray) -> BoolArray:
        return _in_polygon(plane(vectors), outline)

    lon, lat = _degrees(middle)
    return Shape(lon, lat, radius, inside, _sides(corners, 0.0), corners, is_included)


def _degrees(vector: FloatArray) -> tuple[float, float]:
    lon, lat = to_positions(vector)
    return float(lon), float(lat)


def _sides(corners: FloatArray, room: float) -> list[Edge]:
    """The great circles between corners, of which distances are less by some room (rad)."""
    return [_side(a, b, room) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]


def _side(a: FloatArray, b: FloatArray, room: float) -> Edge:
    pole = np.cross(a, b)
    length = np.linalg.norm(pole)

    def distance(vectors: FloatArray) -> FloatArray:
        least = np.minimum(separation(vectors, a), separation(vectors, b))
        if length > 0:
            is_beside = (vectors @ np.cross(pole, a) > 0) & (vectors @ np.cross(b, pole) > 0)
            across = np.abs(np.arcsin(np.clip(vectors @ (pole / length), -1, 1)))
            least = np.where(is_beside, across, least)
        return np.asarray(least - room)

    return Edge(*_degrees(a + b), 0.5 * float(separation(a, b)) + room, distance)


def _in_polygon(places: FloatArray, corners: FloatArray) -> BoolArray:
    """Which places (n, 2) are in a polygon: those with an odd number of sides to the right."""
    order = np.argsort(places[:, 1])
    x, y = places[order].T
    odd = np.zeros(len(places), bool)
    # Places in ascending order between the heights of two corners are a slice.
    numbers = np.searchsorted(y, corners[:, 1])
    after = np.roll(corners, -1, axis=0), np.roll(numbers, -1)
    for (ax, ay), i, (bx, by), j in zip(corners, numbers, *after, strict=True):
        between = slice(min(i, j), max(i, j))
        if i != j:
            odd[between] ^= x[between] < ax + (y[between] - ay) * ((bx - ax) / (by - ay))
    inside = np.empty(len(places), bool)
    inside[order] = odd
    return inside


def _on_tangential_plane(region: Any, sizes: list[float], is_included: bool) -> Shape:
    from regions import PixCoord

    lon, lat = _place(region.center)
    radius = 0.5 * float(np.hypot(sizes[0], sizes[1]))
    if not radius < LARGEST_SHAPE:
        raise ValueError(
            f"coverage must have no {type(region).__name__} beyond 10 deg from its centre; got "
            f"{np.degrees(radius):.3g} deg: a PolygonSkyRegion would do"
        )
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = lon, lat
    wcs.wcs.cdelt = -PIXEL.to_value(u.deg), PIXEL.to_value(u.deg)
    wcs.wcs.radesys = "ICRS"
    on_plane = region.to_pixel(wcs)
    on_plane.meta = {}  # `contains` is of the shape here, also of one that is left out.

    def inside(vectors: FloatArray) -> BoolArray:
        ra = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0]))
        dec = np.degrees(np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1])))
        return np.asarray(on_plane.contains(PixCoord(*wcs.wcs_world2pix(ra, dec, 0))))

    outlines = _outlines(on_plane)
    # Of a polygon for an ellipse, which is inside it by up to this.
    room = float(SAGITTA * radius)
    edges = [
        edge
        for outline in outlines
        for edge in _sides(to_vectors(*wcs.wcs_pix2world(*outline, 0)), room)
    ]
    numbers = np.concatenate([[lon, lat], *outlines], axis=None)
    return Shape(lon, lat, 1.02 * radius, inside, edges, numbers, is_included)


def _outlines(on_plane: Any) -> list[tuple[FloatArray, FloatArray]]:
    """The corners (pixels) of a rectangle, or of polygons for an ellipse; of an annulus, both."""
    kinds = (
        [(on_plane.width, on_plane.height)]
        if hasattr(on_plane, "width")
        else [
            (on_plane.inner_width, on_plane.inner_height),
            (on_plane.outer_width, on_plane.outer_height),
        ]
    )
    turn = (np.arange(SIDES) + 0.5) * (2 * np.pi / SIDES)
    x, y = 0.5 * np.cos(turn), 0.5 * np.sin(turn)
    if "Rectangle" in type(on_plane).__name__:
        x, y = 0.5 * np.array([-1.0, 1.0, 1.0, -1.0]), 0.5 * np.array([-1.0, -1.0, 1.0, 1.0])
    angle = on_plane.angle.to_value(u.rad)
    cosine, sine = np.cos(angle), np.sin(angle)
    return [
        (
            on_plane.center.x + cosine * width * x - sine * height * y,
            on_plane.center.y + sine * width * x + cosine * height * y,
        )
        for width, height in kinds
    ]
