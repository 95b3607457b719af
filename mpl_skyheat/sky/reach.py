"""Which parts of the sky may count on a map, asked of cells, boxes and ranges of a catalogue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpl_skyheat.sky.frames import change_frame, frame_rotation
from mpl_skyheat.sky.healpix_cells import FINEST, cell_centres, cell_radius
from mpl_skyheat.sky.lattice import PAD
from mpl_skyheat.sky.vectors import separation, to_positions, to_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.coordinates import BaseCoordinateFrame
    from numpy.typing import NDArray

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.sky.geometry import MapGeometry, SphereLattice
    from mpl_skyheat.sky.grid import Axis, Projection

# Blocks that a map is cut into, about, each of which a cap holds; and steps along each side of a
# block, at whose ends its sky is looked at.
BLOCKS, STEPS = 576, 4

# Halvings of a step in which the sky ends, to find where.
BISECTIONS = 40

# Positions all over the sky, of which those on a map that no cap holds get caps of their own. Each
# is within twice their mean distance, √(4π / SPREAD), of the next ones.
SPREAD = 12_000

# By how much (rad) caps are wider than they need be: more than rounding.
SLACK = 1e-7

# The same (rad) in frames that are no rotation of the map's: more than aberration, and refraction
# at the horizon.
BENT = np.radians(1.0)

# Bins of a lattice over which the prefilter of splines damps the effect of a row to 0.27³⁰ ~ 1e-17.
NO_EFFECT = 30

# Cells that a range of HEALPix numbers is cut into, at most.
CELLS = 16

# Products of caps and what is asked about that are held at a time.
TOGETHER = 2**21


class Caps(NamedTuple):
    """Caps of the sphere: unit vectors (n, 3) of their centres, and radii (rad)."""

    centres: FloatArray
    radii: FloatArray


class SkyReach(ABC):
    """A part of the sky whose points may count, as caps that hold all of it.

    True is a maybe; False is for sure.
    """

    @property
    @abstractmethod
    def caps(self) -> Caps:
        """The caps, in the frame of what is asked about."""

    def cells(self, order: IntArray, pixel: IntArray) -> BoolArray:
        """Whether points in HEALPix cells (nested numbers of each order) may count."""
        shift = 2 * (FINEST - np.asarray(order, np.int64))
        return self.ranges(pixel << shift, ((pixel + 1) << shift) - 1)

    def _circles_reach(self, order: IntArray, pixel: IntArray) -> BoolArray:
        """Whether the circles around HEALPix cells meet a cap.

        Of large cells, circles reach far beyond: `cells` cuts these first.
        """
        order, pixel = np.broadcast_arrays(order, pixel)
        reached = np.zeros(pixel.shape, bool)
        for some in np.unique(order):
            rows = np.flatnonzero(order == some)
            limits = np.cos(np.minimum(self.caps.radii + cell_radius(int(some)), np.pi))
            for part in _parts(len(rows), len(limits)):
                cosines = cell_centres(int(some), pixel[rows[part]]) @ self.caps.centres.T
                reached[rows[part]] = (cosines >= limits).any(axis=1)
        return reached

    def ranges(self, low: IntArray, high: IntArray) -> BoolArray:
        """Whether points may count whose HEALPix numbers (nested, order 29) are in ranges."""
        low, high = (np.clip(v, 0, 12 * 4**FINEST - 1) for v in (low, high))
        order = np.zeros(len(low), int)
        for finer in range(1, FINEST + 1):
            shift = 2 * (FINEST - finer)
            order[(high >> shift) - (low >> shift) < CELLS] = finer
        shifts = 2 * (FINEST - order)
        numbers = (low >> shifts)[:, np.newaxis] + np.arange(CELLS)
        is_in = numbers <= (high >> shifts)[:, np.newaxis]
        # Of order 0, of which there are fewer than `CELLS`, every range is in reach of this.
        reached = np.zeros(numbers.shape, bool)
        orders = np.broadcast_to(order[:, np.newaxis], numbers.shape)
        reached[is_in] = self._circles_reach(orders[is_in], numbers[is_in])
        return np.asarray(reached.any(axis=1))

    def boxes(
        self, west: FloatArray, east: FloatArray, south: FloatArray, north: FloatArray
    ) -> BoolArray:
        """Whether points may count whose longitudes and latitudes (deg) are within bounds.

        Longitudes may be any turns away; bounds that are NaN are unknown.
        """
        lon, lat = (np.radians(v) for v in to_positions(self.caps.centres))
        reached = np.ones(len(west), bool)
        is_known = np.isfinite(west) & np.isfinite(east) & np.isfinite(south) & np.isfinite(north)
        # Latitudes beyond the poles are an error, which whoever reads them will raise.
        rows = np.flatnonzero(is_known & (south >= -90) & (north <= 90))
        for part in _parts(len(rows), len(lon)):
            bounds = (np.radians(v[rows[part]])[:, np.newaxis] for v in (west, east, south, north))
            reached[rows[part]] = (_to_box(lon, lat, *bounds) <= self.caps.radii).any(axis=1)
        return reached


class MapReach(SkyReach):
    """The part of the sky whose points, in a frame, may count on a map."""

    def __init__(self, geometry: MapGeometry, frame: BaseCoordinateFrame) -> None:
        self._geometry, self._frame = geometry, frame

    @cached_property
    def caps(self) -> Caps:
        own = self._geometry.plane.frame
        assert own is not None
        centres, radii = caps_of(self._geometry)
        rotation = frame_rotation(own, self._frame)
        slack = SLACK if rotation is not None else BENT
        if rotation is not None:
            centres = centres @ rotation.T
        else:
            centres = to_vectors(*change_frame(*to_positions(centres), own, self._frame))
        return Caps(centres, radii + slack)


class PlaneReach:
    """The rectangle of x and y whose points may count on a map without a sky."""

    def __init__(self, geometry: MapGeometry) -> None:
        self._bounds = (*geometry.wide.x.bounds, *geometry.wide.y.bounds)

    def boxes(
        self, west: FloatArray, east: FloatArray, south: FloatArray, north: FloatArray
    ) -> BoolArray:
        """Whether points within bounds of x and y, NaN where unknown, may count."""
        left, right, bottom, top = self._bounds
        return ~((east < left) | (west > right) | (north < bottom) | (south > top))


def reach_of(geometry: MapGeometry, frame: BaseCoordinateFrame | None) -> SkyReach | PlaneReach:
    """What may count on a map, of points in a frame; None for plain x and y."""
    return PlaneReach(geometry) if frame is None else MapReach(geometry, frame)


def caps_of(geometry: MapGeometry) -> Caps:
    """Caps that hold all positions that may count on a map, in the frame of its plane."""
    on_map = _caps_of_grid(geometry)
    sphere = geometry.sphere
    if sphere is None:
        return on_map
    if sphere.lattice.has_poles:
        # All points are on the lattice; those far off have no effect on the map, nor on the width
        # of the kernel at places that have one.
        far = 2 * sphere.reach + NO_EFFECT * sphere.lattice.lat_step
        return Caps(on_map.centres, on_map.radii + far)
    return Caps(*map(np.concatenate, zip(on_map, _caps_of_window(sphere), strict=True)))


def _caps_of_grid(geometry: MapGeometry) -> Caps:
    """Caps that hold the sky on a map and its margin."""
    plane, grid = geometry.plane, geometry.wide
    number = _squarish(grid.x.step * grid.x.count, grid.y.step * grid.y.count)
    x, y = np.meshgrid(*(_nodes(*both) for both in zip((grid.x, grid.y), number, strict=True)))
    nodes = _vectors_at(plane.to_sky, x, y)
    rims = [_rim(plane.to_sky, x, y, nodes, axis) for axis in (0, 1)]
    samples = [_in_blocks(values) for values in (nodes, *rims)]
    steps = [_in_blocks(_steps(nodes, rims[axis], axis)) for axis in (0, 1)]
    # Between samples the sky may bulge beyond them, by far less than half a step; more where a
    # table may have features of its own.
    slack = np.maximum(*(step[..., 0].max(axis=1) for step in steps))
    slack *= 0.5 if plane.is_smooth else 2.0
    caps = _around(np.concatenate(samples, axis=1), slack)
    if np.isfinite(nodes).all():
        return caps
    # Slivers of sky may lie between the nodes.
    strays = _strays(geometry, caps)
    if len(strays) >= len(caps.radii):  # the nodes say little of where on the sky the map is
        return Caps(np.eye(3)[:1], np.full(1, np.pi))
    gaps = np.full(len(strays), 2 * np.sqrt(4 * np.pi / SPREAD))
    return Caps(np.concatenate([caps.centres, strays]), np.append(caps.radii, gaps))


def _squarish(width: float, height: float) -> tuple[int, int]:
    """Numbers of blocks along x and y, `BLOCKS` in all, that are about as wide as they are high."""
    along_x = int(np.clip(round(np.sqrt(BLOCKS * width / height)), 1, BLOCKS))
    return along_x, max(BLOCKS // along_x, 1)


def _nodes(axis: Axis, blocks: int) -> FloatArray:
    """Places of nodes along an axis of a grid, from beyond one end to beyond the other."""
    hair = 1e-3
    return axis.place(np.linspace(-hair, axis.count + hair, blocks * STEPS + 1))


def _vectors_at(to_sky: Projection, x: FloatArray, y: FloatArray) -> FloatArray:
    """Unit vectors (last axis) of places on a plane; NaN off the sky."""
    lon, lat = to_sky(x.ravel(), y.ravel())
    vectors = to_vectors(lon, lat)
    vectors[~np.isfinite(vectors).all(axis=-1)] = np.nan
    return vectors.reshape(*x.shape, 3)


def _rim(
    to_sky: Projection, x: FloatArray, y: FloatArray, nodes: FloatArray, axis: int
) -> FloatArray:
    """Vectors of where the sky ends between neighbouring nodes along an axis; NaN elsewhere."""
    on_sky = np.isfinite(nodes[..., 0])
    first, last = _ends(on_sky, axis)
    found = np.full((*first.shape, 3), np.nan)
    crossed = first != last
    if not crossed.any():
        return found
    starts = first[crossed]
    places = [[end[crossed] for end in _ends(v, axis)] for v in (x, y)]
    edge = np.array([np.where(starts, a, b) for a, b in places])
    step = np.array([np.where(starts, b - a, a - b) for a, b in places])
    vectors = np.full((edge.shape[1], 3), np.nan)
    for _ in range(BISECTIONS):
        step *= 0.5
        there = _vectors_at(to_sky, *(edge + step))
        shows = np.isfinite(there[:, 0])
        edge[:, shows] += step[:, shows]
        vectors[shows] = there[shows]
    found[crossed] = vectors
    return found


def _ends(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Values at the first and the last end of each step between nodes along an axis."""
    if axis == 1:
        return values[:, :-1], values[:, 1:]
    return values[:-1], values[1:]


def _steps(nodes: FloatArray, rims: FloatArray, axis: int) -> FloatArray:
    """Steps (rad; last axis of length 1) between nodes, up to where the sky ends in them."""
    first, last = _ends(nodes, axis)
    is_cut = np.isfinite(rims)
    first = np.where(is_cut & np.isnan(first), rims, first)
    last = np.where(is_cut & np.isnan(last), rims, last)
    return np.asarray(np.nan_to_num(separation(first, last))[..., np.newaxis])


def _in_blocks(values: FloatArray) -> FloatArray:
    """Values (ny, nx, k) of nodes, or of steps between them, as (blocks, values in a block, k).

    A block has the nodes at both of its ends.
    """
    rows, columns = (
        STEPS * np.arange(number // STEPS)[:, np.newaxis] + np.arange(STEPS + (number % STEPS == 1))
        for number in values.shape[:2]
    )
    blocks = values[rows[:, np.newaxis, :, np.newaxis], columns[np.newaxis, :, np.newaxis, :]]
    return np.asarray(blocks.reshape(len(rows) * len(columns), -1, values.shape[-1]))


def _around(samples: FloatArray, slack: FloatArray) -> Caps:
    """Caps around samples (blocks, n, 3), NaN off the sky, wider by a slack (rad)."""
    is_there = np.isfinite(samples[..., 0])
    shown = is_there.any(axis=1)
    samples, is_there, slack = samples[shown], is_there[shown], slack[shown]
    middle = np.where(is_there[..., np.newaxis], samples, 0).sum(axis=1)
    length = np.linalg.norm(middle, axis=1)
    # Samples all around the sky have no middle; any cap that holds them will do.
    middle[length < 1e-6] = 1.0, 0.0, 0.0
    middle /= np.linalg.norm(middle, axis=1)[:, np.newaxis]
    distance = separation(samples, middle[:, np.newaxis])
    return Caps(middle, np.where(is_there, distance, 0).max(axis=1) + slack)


def _strays(geometry: MapGeometry, caps: Caps) -> FloatArray:
    """Vectors of positions, of some all over the sky, on the map but in no cap."""
    number = np.arange(SPREAD) + 0.5
    # A spiral whose turns are a golden angle each has equal areas around all its points.
    lon = (180 * (3 - np.sqrt(5)) * number) % 360
    lat = np.degrees(np.arcsin(1 - 2 * number / SPREAD))
    x, y = geometry.plane.to_plane(lon, lat)
    on_map, _ = geometry.wide.index(x, y)
    vectors = to_vectors(lon[on_map], lat[on_map])
    is_held = np.zeros(len(vectors), bool)
    limits = np.cos(np.minimum(caps.radii, np.pi))
    for part in _parts(len(vectors), len(limits)):
        is_held[part] = (vectors[part] @ caps.centres.T >= limits).any(axis=1)
    return vectors[~is_held]


def _caps_of_window(sphere: SphereLattice) -> Caps:
    """Caps that hold a window of the lattice, in the frame of the plane."""
    lattice = sphere.lattice
    halves = [
        step * (number / 2 + PAD)
        for step, number in (
            (lattice.lon_step, lattice.columns),
            (lattice.lat_step, lattice.rings),
        )
    ]
    edges = [
        half * np.linspace(-1, 1, blocks + 1)
        for half, blocks in zip(halves, _squarish(*halves), strict=True)
    ]
    lon, lat = np.meshgrid(*(np.degrees(edge) for edge in edges))
    corners = to_vectors(lon, np.clip(lat, -90, 90))
    blocks = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]])
    lon, lat = (0.25 * (v[:-1, :-1] + v[1:, :-1] + v[:-1, 1:] + v[1:, 1:]) for v in (lon, lat))
    middle = to_vectors(lon, lat)
    # The farthest place of a block of less than 180° from its middle is a corner.
    radii = separation(blocks, middle).max(axis=0)
    return Caps(middle.reshape(-1, 3) @ sphere.turn, radii.ravel())


def _to_box(
    lon: FloatArray,
    lat: FloatArray,
    west: FloatArray,
    east: FloatArray,
    south: FloatArray,
    north: FloatArray,
) -> FloatArray:
    """Angles (rad) from positions (m,) to the nearest place in boxes (n, 1) of the sphere."""
    past = (lon - west) % (2 * np.pi)
    is_beside = past > east - west
    away = np.where(is_beside, np.minimum(past - (east - west), 2 * np.pi - past), 0.0)
    # The latitude of the nearest place on the meridian that is nearest.
    nearest = np.arctan2(np.sin(lat), np.cos(lat) * np.cos(away))
    ends = np.minimum(_angle(lat, south, away), _angle(lat, north, away))
    is_within = (nearest >= south) & (nearest <= north)
    return np.where(is_within, np.minimum(_angle(lat, nearest, away), ends), ends)


def _angle(lat: FloatArray, other: FloatArray, away: FloatArray) -> FloatArray:
    """The angle (rad) between two positions ``away`` in longitude, by haversines."""
    haversine = np.sin(0.5 * (lat - other)) ** 2
    haversine = haversine + np.cos(lat) * np.cos(other) * np.sin(0.5 * away) ** 2
    return np.asarray(2 * np.arcsin(np.sqrt(np.clip(haversine, 0, 1))))


def _parts(rows: int, caps: int) -> Iterator[slice]:
    """Slices of rows, few enough to be held beside all caps."""
    size = max(TOGETHER // max(caps, 1), 1)
    return (slice(start, start + size) for start in range(0, rows, size))
