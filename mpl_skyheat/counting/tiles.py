"""Tiles of the sky on which any projection is a polynomial, certified against the exact one.

The sky, in the longitudes and latitudes of a catalogue, is cut into rows of tiles. On a tile that
holds points, the map from the sky to pixels, f(lon, lat) → (x, y), whatever it is made of, is
interpolated by polynomials at Padua points. They are compared with f at other points, and where
they are off by more than `TOLERANCE` the tile is cut in four. What is left after a few cuts (where
a projection tears the sky, or has a pole or a hole) is left to the exact route.

Most points are far enough from the edges of their pixels for a draft: the low terms of a
polynomial, with a margin that bounds the sum of the other terms.

Polynomial and comparison reach beyond the tile: a curve along which the sky is torn cannot touch
the tile without passing between points of the comparison in its surroundings, too.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import chebyshev

from mpl_skyheat.compute.threads import product
from mpl_skyheat.compute.tile_layout import (
    DEGREE,
    DRAFT_DEGREE,
    EDGE,
    LEAF,
    OUTSIDE,
    ROUGH,
    TORN,
    UNMADE,
)
from mpl_skyheat.sky.vectors import to_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray

    # Longitudes, latitudes (deg) -> x, y in pixels of the map, whose edges are at whole numbers.
    ToPixels = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]
    # x, y -> longitudes, latitudes (deg).
    ToSky = ToPixels


# Terms of a polynomial.
TERMS = (DEGREE + 1) * (DEGREE + 2) // 2

# Terms of a draft.
DRAFT_TERMS = (DRAFT_DEGREE + 1) * (DRAFT_DEGREE + 2) // 2

# Numbers that a tile has: polynomials for x and y, drafts of both, and the margin of the drafts.
WIDTH = 2 * TERMS + 2 * DRAFT_TERMS + 1

# Largest error (pixels) of a polynomial where it is compared with the exact route. Must stay far
# below `tile_layout.EDGE`.
TOLERANCE = 1e-7

# Extent of polynomial and comparison, in half-widths of the tile.
REACH = 1.2

# Errors (pixels) above this come from a tear in the sky, not from the degree of the polynomial.
TEAR = 1e-2

# A step (pixels) this many times as long as other steps on a tile crosses a tear.
LEAP = 20

# Points along each side of a tile at which polynomial and exact route are compared.
CHECKS = 8

# Smallest height (deg) of a row of tiles, before tiles are cut.
SMALLEST = 1.5

# Largest height (deg) of a row of tiles.
LARGEST = 15

# Times that a tile may be cut in four.
CUTS = 6

# Points that a tile must hold to be made: making it takes about as long as projecting them.
WORTH = TERMS + CHECKS**2

# Positions along each side of the map that show where on the sky it is.
LATTICE = 65

# The same for a map with an edge of the sky on it.
FINE_LATTICE = 257

# A box farther than this many steps of the lattice from its nearest position is off the map.
BEYOND = 4

# The same for a box without any position on the plane: it can only lie between lattice positions.
BETWEEN = 1.5

# Tiles after which the fraction of useful ones decides whether more are made.
ENOUGH = 2000

# Fraction of useful tiles below which no more are made.
FEW = 0.1


class SkyTiles:
    """The tree of tiles, as arrays that compiled code can read.

    Tiles lie in rows of one height, ``per_height`` rows in a degree, upwards from ``bottom``. Row r
    has the nodes first[r] … first[r + 1], eastwards from west[r], per_width[r] of them in a degree.
    Each node has in ``boxes`` the longitude and latitude of its centre and the factors that scale
    offsets from it to −1 … 1; in ``child`` the first of its four parts, or its kind
    (`tile_layout`); in ``coefficients`` its polynomials for x and y, their drafts, and the margin.
    """

    def __init__(self, to_pixels: ToPixels, shape: tuple[int, int], footprint: Footprint) -> None:
        self._to_pixels, self._shape, self._footprint = to_pixels, shape, footprint
        lon, lat, radius = footprint.circle
        self.height = float(np.clip(2.2 * radius, SMALLEST, LARGEST))
        # One tile is centred on the map, so that a small map has no other.
        rows_below = int(np.ceil((lat + 90) / self.height - 0.5))
        self.bottom = lat - (rows_below + 0.5) * self.height
        rows = rows_below + 1 + int(np.ceil((90 - lat) / self.height - 0.5))
        edges = np.clip(self.bottom + self.height * np.arange(rows + 1), -90, 90)
        farthest = np.maximum(np.abs(edges[:-1]), np.abs(edges[1:]))
        number = np.maximum(np.floor(360 * np.cos(np.radians(farthest)) / self.height), 12)
        number = number.astype(np.intp)
        self.first = np.concatenate([[0], np.cumsum(number)])
        self.per_width = number / 360.0
        self.per_height = 1 / self.height
        self.west = lon - 0.5 / self.per_width
        column = np.arange(self.first[-1]) - np.repeat(self.first[:-1], number)
        width = np.repeat(360.0 / number, number)
        middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * (edges[1:] - edges[:-1])
        self.boxes = np.column_stack(
            [
                np.repeat(self.west, number) + (column + 0.5) * width,
                np.repeat(middle, number),
                2 / width,
                np.repeat(1 / np.maximum(half, 1e-12), number),
            ]
        )
        self.child = np.full(len(self.boxes), UNMADE, np.intp)
        self.coefficients = np.zeros((len(self.boxes), WIDTH))
        self._level = np.zeros(len(self.boxes), np.intp)
        self._expected = np.zeros(len(self.boxes))
        self._made = self._useful = 0

    def make(self, hits: IntArray) -> None:
        """Make the tiles that hold enough points, and cut those that have no polynomial.

        ``hits`` are numbers of further points in each tile without a polynomial.
        """
        self._expected[: len(hits)] += hits
        nodes = np.flatnonzero((self.child == UNMADE) & (self._expected >= WORTH))
        while self._made <= ENOUGH or self._useful >= FEW * self._made:
            if len(nodes):
                kind, self.coefficients[nodes] = self._fitted(self.boxes[nodes])
                self.child[nodes] = kind
                self._made += len(nodes)
                self._useful += int(np.count_nonzero(np.isin(kind, (LEAF, OUTSIDE))))
            # A torn tile's parts need more points: half of them are torn, and found so in vain.
            parts = np.select([self.child == ROUGH, self.child == TORN], [4, 5], np.inf)
            nodes = np.flatnonzero((self._expected >= parts * WORTH) & (self._level < CUTS))
            if not len(nodes):
                return
            nodes = self._cut(nodes)

    def _cut(self, nodes: IntArray) -> IntArray:
        """Cut nodes in four; return the new nodes."""
        start, count = len(self.boxes), 4 * len(nodes)
        self.child[nodes] = start + 4 * np.arange(len(nodes))
        parts = np.repeat(self.boxes[nodes], 4, axis=0)
        right, up = np.tile([-1, 1, -1, 1], len(nodes)), np.tile([-1, -1, 1, 1], len(nodes))
        parts[:, 0] += 0.5 * right / parts[:, 2]
        parts[:, 1] += 0.5 * up / parts[:, 3]
        parts[:, 2:] *= 2
        self.boxes = np.concatenate([self.boxes, parts])
        self.child = np.concatenate([self.child, np.full(count, UNMADE)])
        self.coefficients = np.concatenate([self.coefficients, np.zeros((count, WIDTH))])
        self._level = np.concatenate([self._level, np.repeat(self._level[nodes] + 1, 4)])
        expected = np.repeat(self._expected[nodes] / 4, 4)
        self._expected = np.concatenate([self._expected, expected])
        return np.arange(start, start + count)

    def _fitted(self, boxes: FloatArray) -> tuple[IntArray, FloatArray]:
        """The kind of each box, and its polynomials if it is a LEAF."""
        down, up = _ranges(boxes)
        x, y = self._evaluated(boxes, *_places(down, up, *_even()))
        ny, nx = self._shape
        with np.errstate(invalid="ignore"):
            on_map = (x > -1) & (x < nx + 1) & (y > -1) & (y < ny + 1)
        is_outside = np.asarray(~on_map.any(axis=1))
        if is_outside.any():
            is_nowhere = np.asarray(np.isnan(x[is_outside]).all(axis=1))
            is_outside[is_outside] = ~self._footprint.is_near(boxes[is_outside], is_nowhere)
        # Where the comparison shows a tear, values at the nodes would only show it again.
        todo = np.flatnonzero(~is_outside & ~_are_torn(x, y))
        places = _places(down[todo], up[todo], *_padua())
        at_nodes, at_checks = np.stack(self._evaluated(boxes[todo], *places)), np.stack([x, y])
        errors, coefficients = np.full(len(boxes), np.inf), np.zeros((len(boxes), WIDTH))
        # Most tiles are far from the poles and have equal pairs. Complex numbers are sorted fast.
        pairs, group = np.unique((down + 1j * up)[todo, 0], return_inverse=True)
        for number, pair in enumerate(pairs.tolist()):
            alike = np.flatnonzero(group == number)
            rows, matrices = todo[alike], _matrices(pair.real, pair.imag)
            fit = _fit(at_nodes[:, alike], at_checks[:, rows], *matrices)
            coefficients[rows], errors[rows] = fit
        # An error of NaN makes a tile TORN.
        kind = np.where(errors <= TOLERANCE, LEAF, np.where(errors < TEAR, ROUGH, TORN))
        kind[is_outside] = OUTSIDE
        return kind, coefficients

    def _evaluated(
        self, boxes: FloatArray, u: FloatArray, v: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Pixel x and y, of shape (boxes, places), at places u, v in −1 … 1 of boxes."""
        lon = boxes[:, :1] + u / boxes[:, 2:3]
        lat = np.clip(boxes[:, 1:2] + v / boxes[:, 3:], -90, 90)
        if not lon.size:
            return lon, lat
        x, y = self._to_pixels(lon.ravel(), lat.ravel())
        return x.reshape(lon.shape), y.reshape(lon.shape)


def _are_torn(x: FloatArray, y: FloatArray) -> BoolArray:
    """Whether x, y (pixels), of shape (boxes, CHECKS²), are undefined or leap in each box."""
    cells = np.stack([x, y]).reshape(2, -1, CHECKS, CHECKS)
    along, up = (np.abs(np.diff(cells, axis=axis)).sum(axis=0) for axis in (2, 3))
    steps = np.concatenate([along.reshape(len(x), -1), up.reshape(len(x), -1)], axis=1)
    longest = LEAP * (np.median(steps, axis=1) + 1)
    return np.asarray(~(steps.max(axis=1) <= longest))  # NaN is torn


def _fit(
    nodes: FloatArray, checks: FloatArray, to_series: FloatArray, to_checks: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Coefficients of tiles, and their errors, from x and y (pixels) at the nodes and checks."""
    to_terms, to_draft = _drafting()
    high = TERMS - DRAFT_TERMS
    series = product(nodes.reshape(-1, TERMS), to_series)
    terms, drafts = product(series, to_terms), product(series[:, high:], to_draft)
    found = product(terms, to_checks).reshape(checks.shape)
    rest = np.abs(series[:, :high]).sum(axis=1).reshape(2, -1)
    margin = EDGE + rest.max(axis=0)[:, np.newaxis]
    parts = *terms.reshape(2, -1, TERMS), *drafts.reshape(2, -1, DRAFT_TERMS), margin
    return np.concatenate(parts, axis=1), np.abs(found - checks).max(axis=(0, 2))


class Footprint:
    """The part of the sky, in the longitudes and latitudes of a catalogue, that a map shows.

    ``to_sky`` takes pixels, with edges at whole numbers.
    """

    def __init__(self, to_sky: ToSky, shape: tuple[int, int]) -> None:
        self._to_sky, self._shape = to_sky, shape
        self._vectors = self._lattice(LATTICE)
        # Made by the first call of `is_near`: small maps need none.
        self._trees: list[tuple[float, Any]] | None = None

    def _lattice(self, count: int) -> FloatArray:
        """Unit vectors of an even lattice over the map; NaN where there is no sky."""
        ny, nx = self._shape
        x, y = np.meshgrid(np.linspace(0, nx, count), np.linspace(0, ny, count))
        lon, lat = (v.reshape(x.shape) for v in self._to_sky(x.ravel(), y.ravel()))
        return to_vectors(lon, lat)

    def _make_trees(self) -> list[tuple[float, Any]]:
        """Trees of positions all over the map, each with the longest step (chord) in it.

        Steps of one tree differ by less than a factor of two, so that `is_near` is strict.
        """
        from scipy.spatial import KDTree

        vectors = self._vectors
        if not np.isfinite(vectors).all():
            vectors = self._lattice(FINE_LATTICE)
        known = np.isfinite(vectors[..., 0])
        # Some projections stand still at the edge of the sky: the step there is up to 2.4 times as
        # long as the one before it, which `BEYOND` allows for.
        positions, step = vectors[known], _longest_steps(vectors)[known]
        step[step == 0] = np.inf  # a position without neighbours: the map may go on anywhere
        trees = []
        while len(step):
            long = step >= 0.5 * step.max()
            trees.append((float(step.max()), KDTree(positions[long])))
            positions, step = positions[~long], step[~long]
        return trees

    @property
    def circle(self) -> tuple[float, float, float]:
        """Centre and radius (deg) of a circle around the map; on the equator if that is wide."""
        known = self._vectors[np.isfinite(self._vectors[..., 0])]
        mean = known.sum(axis=0) if len(known) else np.zeros(3)
        length = np.linalg.norm(mean)
        if length < 0.5 * max(len(known), 1):
            return 0.0, 0.0, 180.0
        distance = np.linalg.norm(known - mean / length, axis=1).max()
        radius = float(np.degrees(2 * np.arcsin(min(0.5 * distance, 1.0))))
        lon, lat = np.arctan2(mean[1], mean[0]), np.arcsin(mean[2] / length)
        return float(np.degrees(lon)), float(np.degrees(lat)), radius

    def is_near(self, boxes: FloatArray, is_nowhere: BoolArray) -> BoolArray:
        """Which boxes the map may have a part in.

        ``is_nowhere`` says which boxes have no position on the plane at any of the places looked
        at. These reach beyond the box, so that the edge of the sky, nearly straight there, is not
        in it: the map can only have a part in it between two known positions.
        """
        centre = to_vectors(boxes[:, 0], boxes[:, 1])
        height = np.radians(1 / boxes[:, 3])
        # At most as wide as on the parallel nearest to the equator.
        lowest = np.maximum(np.abs(np.radians(boxes[:, 1])) - height, 0)
        size = np.hypot(np.radians(1 / boxes[:, 2]) * np.cos(lowest), height)
        if self._trees is None:
            self._trees = self._make_trees()
        near = np.full(len(boxes), not self._trees)
        beyond = np.where(is_nowhere, BETWEEN, BEYOND)
        for step, tree in self._trees:
            near |= tree.query(centre)[0] <= REACH * size + beyond * step
        return near


def _longest_steps(vectors: FloatArray) -> FloatArray:
    """The longest distance from each position of a lattice to its neighbours; 0 without any."""
    longest = np.zeros(vectors.shape[:2])
    for axis in (0, 1):
        step = np.nan_to_num(np.linalg.norm(np.diff(vectors, axis=axis), axis=-1))
        before, after = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        longest[before] = np.maximum(longest[before], step)
        longest[after] = np.maximum(longest[after], step)
    return longest


@cache
def _even() -> tuple[FloatArray, FloatArray]:
    """An even lattice over −1 … 1, with its edges."""
    side = np.linspace(-1, 1, CHECKS)
    return np.tile(side, CHECKS), np.repeat(side, CHECKS)


@cache
def _padua() -> tuple[FloatArray, FloatArray]:
    """The Padua points, at which interpolation of total degree is nearly the best approximation.

    Caliari, De Marchi & Vianello (2005, Appl. Math. Comput. 165, 261).
    """
    j, k = np.meshgrid(np.arange(DEGREE + 1), np.arange(DEGREE + 2))
    chosen = (j + k) % 2 == 0
    s: FloatArray = np.cos(np.pi * j[chosen] / DEGREE)
    t: FloatArray = np.cos(np.pi * k[chosen] / (DEGREE + 1))
    return s, t


def _ranges(boxes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How far down and up, in half-heights, the comparison goes in each box: not beyond the poles.

    Both have the shape (boxes, 1).
    """
    lat, per_height = boxes[:, 1:2], boxes[:, 3:]
    # Rounded, so that `_matrices` makes few different ones.
    down, up = (
        np.minimum((lat + 90) * per_height, REACH),
        np.minimum((90 - lat) * per_height, REACH),
    )
    return np.asarray(np.round(down, 9)), np.asarray(np.round(up, 9))


def _places(down: Any, up: Any, s: FloatArray, t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Places u, v in boxes from s, t in −1 … 1 of the comparison."""
    return REACH * s, 0.5 * (up - down) + 0.5 * (up + down) * t


@cache
def _matrices(down: float, up: float) -> tuple[FloatArray, FloatArray]:
    """Matrices from values at the nodes to a series, and from terms to values at the checks.

    The series is in products of Chebyshev polynomials. Each row of a product is one polynomial.
    """
    u, v = _places(down, up, *_padua())
    a, b = _series()
    at_nodes = chebyshev.chebvander(u, DEGREE)[:, a] * chebyshev.chebvander(v, DEGREE)[:, b]
    u, v = _places(down, up, *_even())
    i, j = _powers(DEGREE)
    at_checks = u[:, np.newaxis] ** i * v[:, np.newaxis] ** j
    to_series = np.linalg.inv(at_nodes)
    return np.asarray(to_series.T), np.asarray(at_checks.T)


@cache
def _drafting() -> tuple[FloatArray, FloatArray]:
    """Matrices from a series to the terms of the polynomial, and from its end to the draft's.

    Chebyshev polynomials are in −1 … 1 all over a tile, so that no point is off by more than the
    sum of the other coefficients of the series.
    """
    power = np.zeros((DEGREE + 1, DEGREE + 1))
    for n in range(DEGREE + 1):
        power[n, : n + 1] = chebyshev.cheb2poly(np.eye(DEGREE + 1)[n, : n + 1])
    (a, b), (i, j), (c, d) = _series(), _powers(DEGREE), _powers(DRAFT_DEGREE)
    to_terms = power[np.ix_(a, i)] * power[np.ix_(b, j)]
    to_draft = power[np.ix_(c, c)] * power[np.ix_(d, d)]
    return to_terms, to_draft


def _powers(degree: int) -> tuple[IntArray, IntArray]:
    """Powers of u and of v in the order in which `numba_tiles` reads coefficients."""
    pairs = [(i, j) for i in range(degree, -1, -1) for j in range(degree - i, -1, -1)]
    i, j = np.array(pairs).T
    return i, j


def _series() -> tuple[IntArray, IntArray]:
    """Degrees in u and in v of the terms of a series, of which the draft's terms are the end."""
    a, b = _powers(DEGREE)
    order = np.argsort(a + b <= DRAFT_DEGREE, kind="stable")
    return a[order], b[order]
