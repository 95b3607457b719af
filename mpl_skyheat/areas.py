"""The solid angle of every pixel of a grid, however the sky is projected and wherever it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.grid import Projection, SkyGrid, separation, to_vectors
from mpl_skyheat.patches import interpolated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# A pixel counts as sky only if its position comes back to within this many pixels: projections
# that repeat the sky beyond their edge give a position there, too, but no point ever lands on it.
ROUND_TRIP = 0.1

# Pixels along each side of a large grid that tell whether it shows any sky twice.
SAMPLE = 65

# Pixels that are cut by the edge of the sky are split into this many cells a side; half as many on
# maps of so many pixels, where the edge is that much straighter within a pixel.
SPLIT = 8
FINE_MAP = 500

# The edge is found by so many bisections: near the limb of a SIN, solid angle goes as the root of
# the distance from it.
EDGE_STEPS = 16

# Pixels with a smaller diagonal (rad) have sides that pass for great circles.
SMALL = np.radians(1.5)

# The sides of a pixel near a pole are bent, and no great circles, if they turn by more (rad) from
# one to the opposite.
BENT = 0.03

# Pixels that are too large or too bent, but not cut by the edge of the sky, are split into so many
# cells a side, and into more if these are still too bent (rad).
CUTS = (3, BENT), (8, np.inf)

# What is shorter (rad) is a point, but for rounding.
A_POINT = 1e-12

# A smaller change of the solid angle from pixel to pixel does not matter to where in a pixel a map
# is evaluated.
STEEP = 0.05

# Solid angles come from polynomials where these hold to this relative accuracy.
SMOOTH_ACCURACY = 1e-7


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
    sky = SkyTest(grid, to_sky, to_plane)
    if min(grid.shape) > FINE_MAP and not _repeats(grid, sky):
        sky = SkyTest(grid, to_sky, None)
    areas, known = smooth_solid_angles(grid, sky)
    if known.all():
        return areas
    sound, unrepeated = known.copy(), known.copy()
    corners, near_sky = _nodes(grid, to_sky, known)
    for row, column in _in_parts(near_sky & ~known):
        pixels = row, column
        areas[pixels], sound[pixels] = _areas_within(corners(row, column), SMALL, BENT)
        unrepeated[pixels] = sky(grid.x.centres[column], grid.y.centres[row])
    sound &= unrepeated
    inner = _inner(near_sky & unrepeated)
    for cut, most_bent in CUTS:
        for row, column in _in_parts(inner & ~sound):
            cells = _cells(grid, row, column, cut, to_sky)
            areas[row, column], sound[row, column] = _area_of_cells(cells, SMALL, most_bent)
    areas[~sound] = 0.0
    split = SPLIT if max(grid.shape) < FINE_MAP else SPLIT // 2
    for row, column in _in_parts(near_sky & ~sound):
        left, bottom = grid.x.edges[column], grid.y.edges[row]
        areas[row, column] = _split_areas(left, bottom, grid.x.step, grid.y.step, sky, split=split)
    return areas


def smooth_solid_angles(grid: SkyGrid, sky: SkyTest) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Solid angles from polynomials, and where they are known, which is not near the sky's edge.

    They are so smooth in most of a map that those of a hundred places give them all.
    """

    def areas_at(x: FloatArray, y: FloatArray) -> FloatArray:
        corners = to_vectors(
            *sky.to_sky(
                np.stack([x + 0.5 * grid.x.step * side for side in (-1, 1, 1, -1)]),
                np.stack([y + 0.5 * grid.y.step * side for side in (-1, -1, 1, 1)]),
            )
        )
        areas, sound = _areas_within(corners, SMALL, BENT)
        return np.where(sound & sky(x, y), areas, np.nan)[np.newaxis]

    (areas,), known = interpolated(grid, areas_at, sky, rtol=SMOOTH_ACCURACY)
    return areas, known


def _nodes(
    grid: SkyGrid, to_sky: Projection, known: NDArray[np.bool_]
) -> tuple[Callable[..., FloatArray], NDArray[np.bool_]]:
    """Return what gives the corners (4, n, 3) of pixels near the sky, and which these are.

    Those that are known need none: they show sky.
    """
    on_sky, needed = _at_corners(known), _at_corners(~known)
    rows, columns = np.nonzero(needed)
    lon, lat = to_sky(grid.x.edges[columns], grid.y.edges[rows])
    finite = np.isfinite(lon) & np.isfinite(lat)
    on_sky[rows, columns] |= finite
    # Off the sky, there is but one vector: NaN.
    vectors = np.append(to_vectors(lon[finite], lat[finite]), np.full((1, 3), np.nan), axis=0)
    number = np.full(needed.shape, len(vectors) - 1)
    number[rows[finite], columns[finite]] = np.arange(len(vectors) - 1)
    # The sky may bulge into a pixel between two corners: then it touches the pixel beside it.
    touched = on_sky[:-1, :-1] | on_sky[:-1, 1:] | on_sky[1:, :-1] | on_sky[1:, 1:]
    near_sky = np.any(_around(touched), axis=0)

    def corners(row: NDArray[np.intp], column: NDArray[np.intp]) -> FloatArray:
        return np.asarray(
            [vectors[number[row + i, column + j]] for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))]
        )

    return corners, near_sky


def _at_corners(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the corners of marked pixels."""
    nodes = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), bool)
    for rows in (np.s_[:-1], np.s_[1:]):
        for columns in (np.s_[:-1], np.s_[1:]):
            nodes[rows, columns] |= pixels
    return nodes


def whole_pixels(
    grid: SkyGrid, on_sky: NDArray[np.bool_], to_sky: Projection, to_plane: Projection
) -> NDArray[np.bool_]:
    """Tell which pixels the edge of the sky does not cut."""
    # What is cut at a corner may have sky all around.
    whole = _inner(_inner(on_sky))
    rows, columns = np.nonzero(on_sky & ~whole)
    # A hair inside, so that nodes on a branch cut fall on the pixel's side of it.
    corners = (0.5 - 1e-3) * np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]])
    x = np.add.outer(grid.x.step * corners[0], grid.x.centres[columns])
    y = np.add.outer(grid.y.step * corners[1], grid.y.centres[rows])
    whole[rows, columns] = SkyTest(grid, to_sky, to_plane)(x, y).all(axis=0)
    return whole


def slopes(
    areas: FloatArray, whole: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], FloatArray, FloatArray]:
    """Return the pixels at which the solid angle ω is steep, and ∇ω / ω (per pixel) of these.

    From whole pixels only: the mean of the steps to both sides, or that to one of them.
    """
    steep = _at_steps(areas, whole)
    steep |= _at_steps(areas.T, whole.T).T
    rows, columns = np.nonzero(steep)
    if not len(rows):
        return steep, np.zeros(0), np.zeros(0)
    known = np.pad(np.where(whole, areas, np.nan), 1, constant_values=np.nan)
    rows, columns = rows + 1, columns + 1
    area = known[rows, columns]
    ahead = np.stack([known[rows, columns + 1], known[rows + 1, columns]]) - area
    behind = area - np.stack([known[rows, columns - 1], known[rows - 1, columns]])
    ahead, behind = (
        np.where(np.isfinite(step), step, other)
        for step, other in ((ahead, behind), (behind, ahead))
    )
    slope_x, slope_y = np.nan_to_num(0.5 * (ahead + behind) / area)
    return steep, slope_x, slope_y


def _at_steps(areas: FloatArray, whole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark whole pixels beside such ones, in the next row, that are larger or smaller by far."""
    below, above = areas[:-1], areas[1:]
    steep = np.abs(above - below) > STEEP * below
    steep &= whole[:-1] & whole[1:]
    marked = np.zeros(areas.shape, bool)
    marked[:-1] |= steep
    marked[1:] |= steep
    return marked


def _inner(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of the marked pixels have marked ones all around."""
    return np.asarray(np.all(_around(pixels), axis=0))


def _around(pixels: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the pixels shifted to all sides; False beyond the edges."""
    ny, nx = pixels.shape
    padded = np.pad(pixels, 1)
    return [padded[i : i + ny, j : j + nx] for i in range(3) for j in range(3)]


def _in_parts(
    pixels: NDArray[np.bool_],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the rows and columns of marked pixels, some thousand at a time."""
    rows, columns = np.nonzero(pixels)
    for start in range(0, len(rows), 4096):
        yield rows[start : start + 4096], columns[start : start + 4096]


def _cells(
    grid: SkyGrid, row: NDArray[np.intp], column: NDArray[np.intp], cut: int, to_sky: Projection
) -> FloatArray:
    """Return the lattice that cuts each pixel in cut × cut cells, as unit vectors."""
    t = np.linspace(0, 1, cut + 1)
    x = grid.x.edges[column][:, None, None] + grid.x.step * t
    y = grid.y.edges[row][:, None, None] + grid.y.step * t[:, None]
    return to_vectors(*to_sky(*np.broadcast_arrays(x, y)))


def _area_of_cells(
    vectors: FloatArray, largest: float, most_bent: float
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Areas of pixels that are cut in cells, and whether all of a pixel's cells are sound."""
    areas, sound = _cell_areas(vectors, largest, most_bent)
    return np.asarray(areas.sum(axis=(1, 2))), np.asarray(sound.all(axis=(1, 2)))


def _cell_areas(
    vectors: FloatArray, largest: float, most_bent: float = np.inf
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Areas between the nodes of a lattice (…, ny, nx, 3); 0 and False where they are not sound."""
    corners = np.stack(
        [
            vectors[..., :-1, :-1, :],
            vectors[..., :-1, 1:, :],
            vectors[..., 1:, 1:, :],
            vectors[..., 1:, :-1, :],
        ]
    )
    return _areas_within(corners, largest, most_bent)


def _areas_within(
    corners: FloatArray, largest: float, most_bent: float = np.inf
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Areas of quadrilaterals (4, …, 3) with great circles for sides; 0, False where these are not.

    Their diagonals must be below a limit, and so must be the angles between opposite sides (rad).
    """
    areas = quadrilateral_area(corners)
    # Corners off the sky are NaN, and so is the area.
    sound = np.isfinite(areas) & (_diagonal(corners) < largest)
    if np.isfinite(most_bent):
        sound &= _bend(corners) < most_bent
    return np.where(sound, areas, 0.0), sound


def _bend(corners: FloatArray) -> FloatArray:
    """Return the larger of the angles (rad) between opposite sides of quadrilaterals (4, …, 3)."""
    a, b, c, d = corners
    along = np.linalg.norm(_direction(b - a) - _direction(c - d), axis=-1)
    across = np.linalg.norm(_direction(d - a) - _direction(c - b), axis=-1)
    return np.asarray(np.fmax(along, across))


def _direction(side: FloatArray) -> FloatArray:
    """Return vectors over their lengths; NaN for a side that is but a point, at a pole."""
    length = np.linalg.norm(side, axis=-1, keepdims=True)
    return np.asarray(side / np.where(length > A_POINT, length, np.nan))


def _diagonal(corners: FloatArray) -> FloatArray:
    """Return the longer diagonal (rad) of spherical quadrilaterals (4, …, 3)."""
    diagonals = separation(corners[0], corners[2]), separation(corners[1], corners[3])
    return np.asarray(np.fmax(*diagonals))


@dataclass(frozen=True)
class SkyTest:
    """Tells which points of a plane show sky; without ``to_plane``, all that have a position."""

    grid: SkyGrid
    to_sky: Projection
    to_plane: Projection | None

    def __call__(self, x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
        """Tell where the sky that is shown is projected to this very point.

        A projection may go on beyond its edge, with sky that it shows elsewhere already.
        """
        return self._is_back(x, y, *self.to_sky(x, y))

    def vectors(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return unit vectors to the sky, too."""
        lon, lat = self.to_sky(x, y)
        return to_vectors(lon, lat), self._is_back(x, y, lon, lat)

    def _is_back(
        self, x: FloatArray, y: FloatArray, lon: FloatArray, lat: FloatArray
    ) -> NDArray[np.bool_]:
        on_sky = np.isfinite(lon) & np.isfinite(lat)
        if self.to_plane is None:
            return np.asarray(on_sky)
        x_back, y_back = self.to_plane(lon[on_sky], lat[on_sky])
        x_off, y_off = x_back - x[on_sky], y_back - y[on_sky]
        on_sky[on_sky] = np.hypot(x_off / self.grid.x.step, y_off / self.grid.y.step) < ROUND_TRIP
        return np.asarray(on_sky)


def _repeats(grid: SkyGrid, sky: SkyTest) -> bool:
    """Tell whether sky is shown again anywhere on a sample and on the border of a grid."""
    number_x, number_y = (
        np.unique(np.linspace(0, axis.count - 1, SAMPLE).astype(int)) for axis in (grid.x, grid.y)
    )
    tested = np.zeros(grid.shape, bool)
    tested[np.ix_(number_y, number_x)] = True
    tested[[0, -1]] = tested[:, [0, -1]] = True
    rows, columns = np.nonzero(tested)
    x, y = grid.x.centres[columns], grid.y.centres[rows]
    return not np.array_equal(SkyTest(grid, sky.to_sky, None)(x, y), sky(x, y))


def _split_areas(
    left: FloatArray,
    bottom: FloatArray,
    width: float,
    height: float,
    sky: SkyTest,
    *,
    split: int = SPLIT,
    again: bool = True,
) -> FloatArray:
    """Areas of cells that are large or partly off the sky, from a lattice in each.

    Parts that are still large, across a branch cut maybe, are split once more.
    """
    # A hair inside, so that nodes on a branch cut fall on the cell's side of it.
    t = 1e-6 + (1 - 2e-6) * np.linspace(0, 1, split + 1)
    x, y = np.broadcast_arrays(
        left[:, None, None] + width * t, bottom[:, None, None] + height * t[:, None]
    )
    vectors, on_sky = sky.vectors(x, y)
    largest = 4 * SMALL if again else np.inf
    areas, sound = _cell_areas(np.where(on_sky[..., None], vectors, np.nan), largest)
    nodes = _corners(on_sky)
    cut = nodes.any(axis=0) & ~nodes.all(axis=0)
    if cut.any():
        areas[cut] = _clipped_areas(_corners(x)[:, cut], _corners(y)[:, cut], nodes[:, cut], sky)
    large = ~sound & nodes.all(axis=0)
    if again and large.any():
        corners = x[:, :-1, :-1][large], y[:, :-1, :-1][large]
        areas[large] = _split_areas(
            *corners, width / split, height / split, sky, split=split, again=False
        )
    return np.asarray(areas.sum(axis=(1, 2)))


def _corners(nodes: NDArray[Any]) -> NDArray[Any]:
    """Return the values (4, n, ny, nx) at the corners, in order around, of lattices' cells."""
    return np.stack([nodes[:, :-1, :-1], nodes[:, :-1, 1:], nodes[:, 1:, 1:], nodes[:, 1:, :-1]])


def _clipped_areas(
    x: FloatArray, y: FloatArray, on_sky: NDArray[np.bool_], sky: SkyTest
) -> FloatArray:
    """Areas of the parts on the sky of cells (4, n) that the edge of the sky cuts.

    A part is the polygon of the corners on the sky and the points where the edge crosses the
    sides.
    """
    crossing_x, crossing_y = _edge_crossings(x, y, on_sky, sky)
    vectors, known = sky.vectors(
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
    x: FloatArray, y: FloatArray, on_sky: NDArray[np.bool_], sky: SkyTest
) -> tuple[FloatArray, FloatArray]:
    """Return points just on the sky where its edge crosses the sides of cells, by bisection."""
    x_next, y_next, on_next = (np.roll(v, -1, axis=0) for v in (x, y, on_sky))
    crossed = on_sky != on_next
    begins_on = on_sky[crossed]
    x_on, x_off = np.where(begins_on, (x[crossed], x_next[crossed]), (x_next[crossed], x[crossed]))
    y_on, y_off = np.where(begins_on, (y[crossed], y_next[crossed]), (y_next[crossed], y[crossed]))
    for _ in range(EDGE_STEPS):
        x_mid, y_mid = 0.5 * (x_on + x_off), 0.5 * (y_on + y_off)
        is_on = sky(x_mid, y_mid)
        x_on, x_off = np.where(is_on, x_mid, x_on), np.where(is_on, x_off, x_mid)
        y_on, y_off = np.where(is_on, y_mid, y_on), np.where(is_on, y_off, y_mid)
    crossing_x, crossing_y = x.copy(), y.copy()
    crossing_x[crossed], crossing_y[crossed] = x_on, y_on
    return crossing_x, crossing_y
