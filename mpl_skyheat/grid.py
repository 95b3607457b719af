"""The pixels of a map, cut on a flat plane: edges, indices, solid angles and the sky among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# x, y -> longitude and latitude in deg, NaN off the sky (and x, y of a point, the other way).
Projection = Callable[["Any", "Any"], tuple["FloatArray", "FloatArray"]]

# Without pixel_size and bins, a map has at most this many pixels along its longer side.
DEFAULT_LIMIT = 1024

# A pixel counts as sky only if its position comes back to within this many pixels: projections
# that repeat the sky beyond their edge give a position there, too, but no point ever lands on it.
ROUND_TRIP = 0.1

# Pixels that are large, or cut by the edge of the sky, are split into this many cells a side.
SPLIT = 8

# The edge is found by so many bisections: near the limb of a SIN, solid angle goes as the root of
# the distance from it.
EDGE_STEPS = 16

# Pixels with a smaller diagonal (rad) have sides that pass for great circles.
SMALL = np.radians(1.5)

# Solid angles come from a polynomial of this degree where it holds to this relative accuracy.
SMOOTH_DEGREE = 10
SMOOTH_ACCURACY = 1e-7


class View(NamedTuple):
    """A rectangle of the plane, NaN where it is not known yet."""

    x_min: float
    x_max: float
    y_min: float
    y_max: float

    @property
    def centre(self) -> tuple[float, float]:
        return 0.5 * (self.x_min + self.x_max), 0.5 * (self.y_min + self.y_max)

    @property
    def is_known(self) -> bool:
        return not np.isnan(self).any()

    def filled(self, other: View) -> View:
        """Return the view with its unknown (NaN) sides taken from another."""
        return View(*(b if np.isnan(a) else a for a, b in zip(self, other, strict=True)))


UNKNOWN = View(np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Axis:
    """Equal bins along one axis of the plane, numbered from ``first`` at ``origin``.

    ``origin`` and ``step`` do not change when bins are added at either end, so that bins keep
    their edges to the bit.
    """

    origin: float
    step: float
    count: int
    first: int = 0
    # The upper edge of a last bin that holds its edge, too, as in `numpy.histogram`.
    closed_at: float | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The outer edges."""
        last = self.origin + self.step * (self.first + self.count)
        return self.origin + self.step * self.first, last if self.closed_at is None else (
            self.closed_at
        )

    @property
    def edges(self) -> FloatArray:
        numbers = np.arange(self.first, self.first + self.count + 1)
        edges = np.asarray(self.origin + self.step * numbers, dtype=float)
        if self.closed_at is not None:
            edges[-1] = self.closed_at
        return edges

    @property
    def centres(self) -> FloatArray:
        return np.asarray((np.arange(self.count) + (self.first + 0.5)) * self.step + self.origin)

    def grown(self, margin: int) -> Axis:
        """Return the axis with ``margin`` more bins at both ends."""
        return replace(
            self,
            first=self.first - margin,
            count=self.count + 2 * margin,
            closed_at=self.closed_at if margin == 0 else None,
        )

    def contains(self, x: FloatArray) -> NDArray[np.bool_]:
        """Tell which x lie in a bin (NaN does not)."""
        low, high = self.bounds
        below = (x < high) if self.closed_at is None else (x <= high)
        return np.asarray((x >= low) & below)

    def index(self, x: FloatArray) -> NDArray[np.intp]:
        """Return the bins of x that lie in one: edges[i] <= x < edges[i + 1], to the bit."""
        edges = self.edges
        i = np.floor((x - self.origin) / self.step).astype(np.intp) - self.first
        np.clip(i, 0, self.count - 1, out=i)
        # The division may round across an edge.
        i -= x < edges[i]
        i += (x >= edges[i + 1]) & (i < self.count - 1)
        return np.asarray(i)


@dataclass(frozen=True)
class SkyGrid:
    """The pixels of a map; arrays over them have shape (ny, nx)."""

    x: Axis
    y: Axis

    @property
    def shape(self) -> tuple[int, int]:
        return self.y.count, self.x.count

    @property
    def steps(self) -> tuple[float, float]:
        return self.x.step, self.y.step

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Outer edges as matplotlib takes them: left, right, bottom, top."""
        return *self.x.bounds, *self.y.bounds

    def grown(self, margin_x: int, margin_y: int) -> SkyGrid:
        """Return the grid with more pixels on all sides."""
        return SkyGrid(self.x.grown(margin_x), self.y.grown(margin_y))

    def index(self, x: FloatArray, y: FloatArray) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Return which points lie on the grid, and the flat pixel indices of those."""
        inside = self.x.contains(x) & self.y.contains(y)
        columns, rows = self.x.index(x[inside]), self.y.index(y[inside])
        return inside, rows * self.x.count + columns


def native_grid(view: View) -> SkyGrid:
    """Cut a view into the plane's own unit pixels, k × k of them merged above `DEFAULT_LIMIT`."""
    left, right = np.floor(view.x_min + 0.5), np.ceil(view.x_max + 0.5)
    bottom, top = np.floor(view.y_min + 0.5), np.ceil(view.y_max + 0.5)
    longest = max(right - left, top - bottom, 1.0)
    merge = int(np.ceil(longest / DEFAULT_LIMIT))

    def axis(low: float, high: float) -> Axis:
        return Axis(low - 0.5, merge, max(int(np.ceil((high - low) / merge)), 1))

    return SkyGrid(axis(left, right), axis(bottom, top))


def grid_of_bins(view: View, nx: int, ny: int, *, closed: bool = False) -> SkyGrid:
    """Cut a view into nx × ny equal bins."""

    def axis(low: float, high: float, count: int) -> Axis:
        if low == high:  # as numpy.histogram does for values that are all the same
            low, high = low - 0.5, high + 0.5
        return Axis(low, (high - low) / count, count, closed_at=high if closed else None)

    return SkyGrid(axis(view.x_min, view.x_max, nx), axis(view.y_min, view.y_max, ny))


def grid_of_steps(view: View, step_x: float, step_y: float, *, closed: bool = False) -> SkyGrid:
    """Cover a view with pixels of a given size, overhanging it evenly by at most one pixel.

    What is ``closed`` holds the view's upper edges, too.
    """

    def axis(low: float, high: float, step: float) -> Axis:
        across = (high - low) / step
        count = int(np.floor(across)) + 1 if closed else int(np.ceil(across * (1 - 1e-9)))
        count = max(count, 1)
        return Axis(0.5 * (low + high) - 0.5 * count * step, step, count)

    return SkyGrid(axis(view.x_min, view.x_max, step_x), axis(view.y_min, view.y_max, step_y))


def to_vectors(lon: FloatArray, lat: FloatArray) -> FloatArray:
    """Return unit vectors (along the last axis) of positions in deg."""
    lon, lat = np.radians(lon), np.radians(lat)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def separation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the angle (rad) between unit vectors, 2 arcsin(|a − b| / 2): exact for small ones."""
    return np.asarray(2 * np.arcsin(np.clip(0.5 * np.linalg.norm(a - b, axis=-1), 0, 1)))


def pixel_steps(to_sky: Projection, at: tuple[float, float], size: float) -> tuple[float, float]:
    """Return the steps along x and y that subtend ``size`` (rad) where centred on a point.

    Raises
    ------
    ValueError
        If there is none: all around a pole, a parallel is shorter than that.
    """
    steps: list[float] = []
    for direction in ((1.0, 0.0), (0.0, 1.0)):
        step = 1e-3
        for _ in range(4):  # the angle is all but proportional to the step
            chord = _chord(to_sky, at, direction, step)
            if np.isnan(chord):  # such a pixel hangs over the edge of the sky
                break
            step *= size / chord
            if step < 1e-6:  # and wholly so here, where rounding would show
                break
        if step > 1e-6 and not abs(_chord(to_sky, at, direction, 0.5 * step) / size - 0.5) < 0.05:
            lon, lat = (float(v[0]) for v in to_sky(np.array([at[0]]), np.array([at[1]])))
            raise ValueError(
                f"pixel_size must fit in at the centre of the view, {lon:.5g}, {lat:.5g} deg; got "
                f"{np.degrees(size):.3g} deg, which no step along {'xy'[len(steps)]} spans there: "
                "give bins=, or a view with its centre farther from the pole"
            )
        steps.append(step)
    return steps[0], steps[1]


def _chord(
    to_sky: Projection,
    at: tuple[float, float],
    direction: tuple[float, float],
    step: float,
) -> float:
    """Angle (rad) between the two ends of a step centred on a point."""
    ends = np.array([-0.5, 0.5]) * step
    sky = to_sky(at[0] + direction[0] * ends, at[1] + direction[1] * ends)
    first, last = to_vectors(*sky)
    return float(separation(first, last))


def pixel_metric(to_sky: Projection, at: tuple[float, float], grid: SkyGrid) -> FloatArray:
    """Return the 2 x 2 metric (rad²) of a map pixel at a point.

    An offset of d = (dx, dy) map pixels subtends √(dᵀ G d), G = Jᵀ J of the central differences J
    of the position's unit vector.
    """
    steps = np.array([grid.x.step, grid.y.step])
    h = np.maximum(1e-2 * steps, 1e-4)  # in smaller steps, rounding would show
    offset_x = np.array([1, -1, 0, 0]) * h[0]
    offset_y = np.array([0, 0, 1, -1]) * h[1]
    right, left, up, down = to_vectors(*to_sky(at[0] + offset_x, at[1] + offset_y))
    # Steps that are refused later on must not underflow when squared here.
    jacobian = np.stack([right - left, up - down], axis=1) / (2 * h) * np.maximum(steps, 1e-75)
    return np.asarray(jacobian.T @ jacobian)


def local_areas(
    to_sky: Projection,
    x: FloatArray,
    y: FloatArray,
    step_x: float = 1.0,
    step_y: float = 1.0,
) -> FloatArray:
    """Return the areas (sr) that pixels have by the scale at their centres x, y.

    From the cross product of the diagonals of a small square there.
    """
    side = 0.1
    dx = 0.5 * side * step_x * np.array([-1, 1, 1, -1])
    dy = 0.5 * side * step_y * np.array([-1, -1, 1, 1])
    corners = to_vectors(*to_sky(np.add.outer(dx, x), np.add.outer(dy, y)))
    cross = np.cross(corners[2] - corners[0], corners[3] - corners[1])
    return np.asarray(0.5 * np.linalg.norm(cross, axis=-1) / side**2)


def nearest_sky(to_sky: Projection, view: View) -> tuple[float, float] | None:
    """Return the point nearest to a view's centre with sky all around it; None if there is none."""
    centre = view.centre
    width, height = (max(side, 1e-3) for side in (view.x_max - view.x_min, view.y_max - view.y_min))
    around = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * (width, height) / 128
    i, j = np.meshgrid(np.linspace(-0.5, 0.5, 65), np.linspace(-0.5, 0.5, 65))
    for x, y in (([centre[0]], [centre[1]]), (centre[0] + width * i, centre[1] + height * j)):
        lon, _ = to_sky(np.add.outer(around[:, 0], x), np.add.outer(around[:, 1], y))
        distance = np.hypot(np.subtract(x, centre[0]), np.subtract(y, centre[1]))
        distance[~np.isfinite(lon).all(axis=0)] = np.inf
        best = np.unravel_index(np.argmin(distance), distance.shape)
        if np.isfinite(distance[best]):
            return float(np.asarray(x)[best]), float(np.asarray(y)[best])
    return None


def quadrilateral_area(corners: FloatArray) -> FloatArray:
    """Return the solid angle (sr) of spherical quadrilaterals from corners (4, …, 3) in order.

    The sum of two triangles, tan(Ω/2) = a·(b × c) / (1 + a·b + b·c + c·a) (Van Oosterom & Strackee
    1983, IEEE Trans. Biomed. Eng. 30, 125). Differences of corners keep it exact for tiny pixels.
    """
    a, b, c, d = corners
    return np.abs(_triangle_area(a, b, c) + _triangle_area(a, c, d))


def _triangle_area(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    triple = np.einsum("...i,...i", a, np.cross(b - a, c - a))
    dots = (np.einsum("...i,...i", p, q) for p, q in ((a, b), (b, c), (c, a)))
    return np.asarray(2 * np.arctan2(triple, 1 + sum(dots)))


def solid_angles(grid: SkyGrid, to_sky: Projection, to_plane: Projection) -> FloatArray:
    """Return the solid angle (sr) of every pixel's part on the sky; 0 where it has none."""
    smooth = _smooth_solid_angles(grid, to_sky, to_plane)
    if smooth is not None:
        return smooth
    areas, sound, near_sky = _corner_solid_angles(grid, to_sky)
    unrepeated = _unrepeated(grid, to_sky, to_plane)
    sound &= unrepeated
    for row, column in _in_parts(_inner(near_sky & unrepeated) & ~sound):
        areas[row, column], sound[row, column] = _large_areas(grid, row, column, to_sky)
    areas[~sound] = 0.0
    sky = _SkyTest(grid, to_sky, to_plane)
    for row, column in _in_parts(near_sky & ~sound):
        left, bottom = grid.x.edges[column], grid.y.edges[row]
        areas[row, column] = _split_areas(left, bottom, grid.x.step, grid.y.step, sky)
    return areas


def _inner(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of the marked pixels have marked ones all around."""
    ny, nx = pixels.shape
    padded = np.pad(pixels, 1)
    around = [padded[i : i + ny, j : j + nx] for i in range(3) for j in range(3)]
    return np.asarray(np.all(around, axis=0))


def _in_parts(
    pixels: NDArray[np.bool_],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the rows and columns of marked pixels, some thousand at a time."""
    rows, columns = np.nonzero(pixels)
    for start in range(0, len(rows), 4096):
        yield rows[start : start + 4096], columns[start : start + 4096]


def _large_areas(
    grid: SkyGrid, row: NDArray[np.intp], column: NDArray[np.intp], to_sky: Projection
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Areas of pixels with sky all over them but sides too long for great circles, cut in nine."""
    t = np.linspace(0, 1, 4)
    x = grid.x.edges[column][:, None, None] + grid.x.step * t
    y = grid.y.edges[row][:, None, None] + grid.y.step * t[:, None]
    areas, sound = _cell_areas(to_vectors(*to_sky(*np.broadcast_arrays(x, y))), SMALL)
    return np.asarray(areas.sum(axis=(1, 2))), np.asarray(sound.all(axis=(1, 2)))


def _smooth_solid_angles(
    grid: SkyGrid, to_sky: Projection, to_plane: Projection
) -> FloatArray | None:
    """Solid angles from a polynomial, or None where it does not reproduce the exact ones.

    A local field's are so smooth that a hundred exact ones give them all. The polynomial is judged
    at as many other places, the four corners among them.
    """
    if min(grid.shape) < 2 * SMOOTH_DEGREE:
        return None
    nodes = chebyshev.chebpts1(SMOOTH_DEGREE + 1)
    checks = np.concatenate([[-1], 0.5 * (nodes[1:] + nodes[:-1]), [1]])
    areas = _areas_across(grid, nodes, to_sky, to_plane)
    judges = _areas_across(grid, checks, to_sky, to_plane)
    if areas is None or judges is None:
        return None
    inverse = np.linalg.inv(chebyshev.chebvander(nodes, SMOOTH_DEGREE))
    coefficients = inverse @ areas @ inverse.T

    def evaluate(x: FloatArray, y: FloatArray) -> FloatArray:
        columns = chebyshev.chebvander(x, SMOOTH_DEGREE)
        return np.asarray(chebyshev.chebvander(y, SMOOTH_DEGREE) @ coefficients @ columns.T)

    if not np.allclose(evaluate(checks, checks), judges, rtol=SMOOTH_ACCURACY, atol=0):
        return None
    return evaluate(np.linspace(-1, 1, grid.x.count), np.linspace(-1, 1, grid.y.count))


def _areas_across(
    grid: SkyGrid, t: FloatArray, to_sky: Projection, to_plane: Projection
) -> FloatArray | None:
    """Solid angles of pixels centred at t × t, with −1 … 1 spanning the grid's pixel centres.

    None if one of them is off the sky, or too large for its sides to pass for great circles.
    """
    x, y = np.meshgrid(
        *(0.5 * (c[0] + c[-1]) + 0.5 * (c[-1] - c[0]) * t for c in (grid.x.centres, grid.y.centres))
    )
    if not _SkyTest(grid, to_sky, to_plane)(x, y)[1].all():
        return None
    vectors = to_vectors(
        *to_sky(
            x + 0.5 * grid.x.step * np.array([-1, 1, 1, -1])[:, None, None],
            y + 0.5 * grid.y.step * np.array([-1, -1, 1, 1])[:, None, None],
        )
    )
    small = _diagonal(vectors) < SMALL
    return quadrilateral_area(vectors) if small.all() else None


def _corner_solid_angles(
    grid: SkyGrid, to_sky: Projection
) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Solid angles from the pixels' corners, for which these are sound, and which are near sky."""
    vectors = to_vectors(*to_sky(*np.meshgrid(grid.x.edges, grid.y.edges)))
    areas, sound = _cell_areas(vectors, SMALL)
    node = np.isfinite(vectors[..., 0])
    touched = np.zeros((grid.shape[0] + 2, grid.shape[1] + 2), bool)
    touched[1:-1, 1:-1] = node[:-1, :-1] | node[:-1, 1:] | node[1:, :-1] | node[1:, 1:]
    # The sky may bulge into a pixel between two corners: then it touches the pixel beside it.
    near = touched[:-2] | touched[1:-1] | touched[2:]
    return areas, sound, near[:, :-2] | near[:, 1:-1] | near[:, 2:]


def _cell_areas(vectors: FloatArray, largest: float) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Areas between the nodes of a lattice (…, ny, nx, 3); 0 and False where they are not sound."""
    corners = np.stack(
        [
            vectors[..., :-1, :-1, :],
            vectors[..., :-1, 1:, :],
            vectors[..., 1:, 1:, :],
            vectors[..., 1:, :-1, :],
        ]
    )
    areas = quadrilateral_area(corners)
    # Corners off the sky are NaN, and so is the area.
    sound = np.isfinite(areas) & (_diagonal(corners) < largest)
    return np.where(sound, areas, 0.0), sound


def _diagonal(corners: FloatArray) -> FloatArray:
    """Return the longer diagonal (rad) of spherical quadrilaterals (4, …, 3)."""
    diagonals = separation(corners[0], corners[2]), separation(corners[1], corners[3])
    return np.asarray(np.fmax(*diagonals))


@dataclass(frozen=True)
class _SkyTest:
    """Tells which points of a plane show sky."""

    grid: SkyGrid
    to_sky: Projection
    to_plane: Projection

    def __call__(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return unit vectors to the sky, and where the sky there is projected to this very point.

        A projection may go on beyond its edge, with sky that it shows elsewhere already.
        """
        lon, lat = self.to_sky(x, y)
        on_sky = np.isfinite(lon) & np.isfinite(lat)
        x_back, y_back = self.to_plane(lon[on_sky], lat[on_sky])
        x_off, y_off = x_back - x[on_sky], y_back - y[on_sky]
        on_sky[on_sky] = np.hypot(x_off / self.grid.x.step, y_off / self.grid.y.step) < ROUND_TRIP
        return to_vectors(lon, lat), on_sky


def _unrepeated(grid: SkyGrid, to_sky: Projection, to_plane: Projection) -> NDArray[np.bool_]:
    """Tell which pixels' centres come back; all, if none of a sample and of the border fails."""
    sample_x, sample_y = (
        np.unique(np.linspace(0, axis.count - 1, 33).astype(int)) for axis in (grid.x, grid.y)
    )
    tested = np.zeros(grid.shape, bool)
    tested[np.ix_(sample_y, sample_x)] = True
    tested[[0, -1]] = tested[:, [0, -1]] = True
    x, y = np.meshgrid(grid.x.centres, grid.y.centres)
    sky = _SkyTest(grid, to_sky, to_plane)
    vectors, on_sky = sky(x[tested], y[tested])
    if np.array_equal(np.isfinite(vectors[..., 0]), on_sky):
        return np.ones(grid.shape, bool)
    return sky(x, y)[1]


def _split_areas(
    left: FloatArray,
    bottom: FloatArray,
    width: float,
    height: float,
    sky: _SkyTest,
    *,
    again: bool = True,
) -> FloatArray:
    """Areas of cells that are large or partly off the sky, from a lattice in each.

    Parts that are still large, across a branch cut maybe, are split once more.
    """
    # A hair inside, so that nodes on a branch cut fall on the cell's side of it.
    t = 1e-6 + (1 - 2e-6) * np.linspace(0, 1, SPLIT + 1)
    x, y = np.broadcast_arrays(
        left[:, None, None] + width * t, bottom[:, None, None] + height * t[:, None]
    )
    vectors, on_sky = sky(x, y)
    largest = 4 * SMALL if again else np.inf
    areas, sound = _cell_areas(np.where(on_sky[..., None], vectors, np.nan), largest)
    nodes = _corners(on_sky)
    cut = nodes.any(axis=0) & ~nodes.all(axis=0)
    if cut.any():
        areas[cut] = _clipped_areas(_corners(x)[:, cut], _corners(y)[:, cut], nodes[:, cut], sky)
    large = ~sound & nodes.all(axis=0)
    if again and large.any():
        corners = x[:, :-1, :-1][large], y[:, :-1, :-1][large]
        areas[large] = _split_areas(*corners, width / SPLIT, height / SPLIT, sky, again=False)
    return np.asarray(areas.sum(axis=(1, 2)))


def _corners(nodes: NDArray[Any]) -> NDArray[Any]:
    """Return the values (4, n, ny, nx) at the corners, in order around, of lattices' cells."""
    return np.stack([nodes[:, :-1, :-1], nodes[:, :-1, 1:], nodes[:, 1:, 1:], nodes[:, 1:, :-1]])


def _clipped_areas(
    x: FloatArray, y: FloatArray, on_sky: NDArray[np.bool_], sky: _SkyTest
) -> FloatArray:
    """Areas of the parts on the sky of cells (4, n) that the edge of the sky cuts.

    A part is the polygon of the corners on the sky and the points where the edge crosses the
    sides.
    """
    crossing_x, crossing_y = _edge_crossings(x, y, on_sky, sky)
    vectors, known = sky(
        np.stack([x, crossing_x], axis=1).reshape(8, -1),
        np.stack([y, crossing_y], axis=1).reshape(8, -1),
    )
    present = np.stack([on_sky, on_sky != np.roll(on_sky, -1, axis=0)], axis=1).reshape(8, -1)
    # Where the polygon has no corner, the one before is repeated: that adds no area.
    for _ in range(2):
        for i in range(8):
            missing = ~(present[i] & known[i])
            vectors[i, missing] = vectors[i - 1, missing]
    return np.abs(sum(_triangle_area(vectors[0], vectors[i], vectors[i + 1]) for i in range(1, 7)))


def _edge_crossings(
    x: FloatArray, y: FloatArray, on_sky: NDArray[np.bool_], sky: _SkyTest
) -> tuple[FloatArray, FloatArray]:
    """Return points just on the sky where its edge crosses the sides of cells, by bisection."""
    x_next, y_next, on_next = (np.roll(v, -1, axis=0) for v in (x, y, on_sky))
    crossed = on_sky != on_next
    begins_on = on_sky[crossed]
    x_on, x_off = np.where(begins_on, (x[crossed], x_next[crossed]), (x_next[crossed], x[crossed]))
    y_on, y_off = np.where(begins_on, (y[crossed], y_next[crossed]), (y_next[crossed], y[crossed]))
    for _ in range(EDGE_STEPS):
        x_mid, y_mid = 0.5 * (x_on + x_off), 0.5 * (y_on + y_off)
        _, is_on = sky(x_mid, y_mid)
        x_on, x_off = np.where(is_on, x_mid, x_on), np.where(is_on, x_off, x_mid)
        y_on, y_off = np.where(is_on, y_mid, y_on), np.where(is_on, y_off, y_mid)
    crossing_x, crossing_y = x.copy(), y.copy()
    crossing_x[crossed], crossing_y[crossed] = x_on, y_on
    return crossing_x, crossing_y
