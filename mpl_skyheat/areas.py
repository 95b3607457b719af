"""The solid angle of every pixel of a grid, however the sky is projected and wherever it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev

from mpl_skyheat.compiling import is_worth, run
from mpl_skyheat.grid import Projection, SkyGrid, separation, to_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# A pixel counts as sky only if its position comes back to within this many pixels: projections
# that repeat the sky beyond their edge give a position there, too, but no point ever lands on it.
ROUND_TRIP = 0.1

# Pixels that are large, or cut by the edge of the sky, are split into this many cells a side; half
# as many on maps of so many pixels, where the edge is that much straighter within a pixel.
SPLIT = 8
FINE_MAP = 500

# The edge is found by so many bisections: near the limb of a SIN, solid angle goes as the root of
# the distance from it.
EDGE_STEPS = 16

# Pixels with a smaller diagonal (rad) have sides that pass for great circles.
SMALL = np.radians(1.5)

# Solid angles come from a polynomial of this degree where it holds to this relative accuracy.
SMOOTH_DEGREE = 10
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
    smooth = smooth_solid_angles(grid, to_sky, to_plane)
    if smooth is not None:
        return smooth
    areas, sound, near_sky = corner_solid_angles(grid, to_sky)
    unrepeated = _unrepeated(grid, to_sky, to_plane)
    sound &= unrepeated
    for row, column in _in_parts(_inner(near_sky & unrepeated) & ~sound):
        areas[row, column], sound[row, column] = _large_areas(grid, row, column, to_sky)
    areas[~sound] = 0.0
    sky = _SkyTest(grid, to_sky, to_plane)
    split = SPLIT if max(grid.shape) < FINE_MAP else SPLIT // 2
    for row, column in _in_parts(near_sky & ~sound):
        left, bottom = grid.x.edges[column], grid.y.edges[row]
        areas[row, column] = _split_areas(left, bottom, grid.x.step, grid.y.step, sky, split=split)
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


def smooth_solid_angles(
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


def corner_solid_angles(
    grid: SkyGrid, to_sky: Projection
) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Solid angles from the pixels' corners, for which these are sound, and which are near sky."""
    lon, lat = to_sky(*np.meshgrid(grid.x.edges, grid.y.edges))
    node = np.isfinite(lon) & np.isfinite(lat)
    if is_worth(node.size):
        areas, sound = _compiled_cell_areas(lon, lat)
    else:
        areas, sound = _cell_areas(to_vectors(lon, lat), SMALL)
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


def _compiled_cell_areas(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Areas between the nodes of a lattice (deg), as `_cell_areas` gives them."""
    areas = np.empty((lon.shape[0] - 1, lon.shape[1] - 1))
    sound = np.empty(areas.shape, bool)
    lon, lat = np.ascontiguousarray(lon), np.ascontiguousarray(lat)
    run("cell_areas", lon, lat, 2 * np.sin(0.5 * SMALL), areas, sound)
    return areas, sound


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
        areas[large] = _split_areas(
            *corners, width / split, height / split, sky, split=split, again=False
        )
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
