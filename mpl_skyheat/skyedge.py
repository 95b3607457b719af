"""Where on a plane the sky ends: which places show any, and the edge that cuts pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.grid import SLACK, Projection, SkyGrid, circles, separation, to_vectors
from mpl_skyheat.patches import HAIR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import NDArray

    from mpl_skyheat.outlines import Outline

    FloatArray = NDArray[np.float64]

# A pixel counts as sky only if its position comes back to within this many pixels: projections
# that repeat the sky beyond their edge give a position there, too, but no point ever lands on it.
ROUND_TRIP = 0.1

# Pixels along each side of a large grid that tell whether it shows any sky twice.
SAMPLE = 65

# A test may be off at the edge of the sky by its round trips: not by so many pixels along a row.
BESIDE = 0.5

# Maps with so many pixels along both sides are large.
LARGE_MAP = 500

# The edge is found by so many bisections: near the limb of a SIN, where the angle from it goes as
# the root of the distance on the plane, 2^-24 of a cell is 2^-12 in angle.
EDGE_STEPS = 24


@dataclass(frozen=True)
class SkyTest:
    """Tells which points of a plane show sky; without ``to_plane``, all that have a position.

    Those in the ``outline``, if that is known.
    """

    grid: SkyGrid
    to_sky: Projection
    to_plane: Projection | None
    outline: Outline | None = None

    def __call__(self, x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
        """Tell where the sky that is shown is projected to this very point.

        A projection may go on beyond its edge, with sky that it shows elsewhere already.
        """
        if self.outline is not None:
            return self.outline(x, y)
        return self._is_back(x, y, *self.to_sky(x, y))

    def vectors(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return unit vectors to the sky, too."""
        lon, lat = self.to_sky(x, y)
        return to_vectors(lon, lat), self._is_back(x, y, lon, lat)

    def _is_back(
        self, x: FloatArray, y: FloatArray, lon: FloatArray, lat: FloatArray
    ) -> NDArray[np.bool_]:
        on_sky = np.isfinite(lon) & np.isfinite(lat)
        if self.outline is not None:
            return np.asarray(on_sky & self.outline(x, y))
        if self.to_plane is None:
            return np.asarray(on_sky)
        x_back, y_back = self.to_plane(lon[on_sky], lat[on_sky])
        x_off, y_off = x_back - x[on_sky], y_back - y[on_sky]
        on_sky[on_sky] = np.hypot(x_off / self.grid.x.step, y_off / self.grid.y.step) < ROUND_TRIP
        return np.asarray(on_sky)


def pulled_in(
    grid: SkyGrid, to_sky: Projection, to_plane: Projection, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return points, moved onto a grid where that ends with the sky and only rounding parts them.

    What is at the very edge of the sky (where longitudes are cut, at a pole, at the rim) is in some
    pixel of a map of all of it, though bins hold but their lower edges.
    """
    places, axes = [x, y], (grid.x, grid.y)
    for k, axis in enumerate(axes):
        rows = np.flatnonzero(axis.is_just_beyond(places[k]))
        if not len(rows):
            continue
        inner = [a.nearest(v[rows]) for a, v in zip(axes, places, strict=True)]
        side = np.sign(places[k][rows] - inner[k])
        around = _sky_around(inner, k, side * axis.step, to_sky)
        beyond = side * axis.beyond(to_plane(*around)[k])
        # The sky goes on if some of that is beyond the edge, too; with NaN, it may.
        ends = (beyond <= SLACK).all(axis=0)
        places[k] = places[k].copy()
        places[k][rows[ends]] = inner[k][ends]
    return places[0], places[1]


def _sky_around(
    places: list[FloatArray], k: int, outward: FloatArray, to_sky: Projection
) -> tuple[FloatArray, FloatArray]:
    """Return positions (8, n) around places at the edge of a grid, a fraction of a pixel away.

    ``outward`` is the step of a pixel along axis ``k``, to where there may be no more sky.
    """
    here, inward = list(places), list(places)
    here[k], inward[k] = places[k] - 0.01 * outward, places[k] - 0.26 * outward
    lon, lat = to_sky(*here)
    radius = separation(to_vectors(lon, lat), to_vectors(*to_sky(*inward)))
    return circles(lon, lat, radius, 8)


def sky_test(
    grid: SkyGrid, to_sky: Projection, to_plane: Projection, outline: Outline | None = None
) -> SkyTest:
    """Return the test for a grid.

    By its outline, if that is right; without the way back if it is large and shows no sky twice.
    """
    sky = SkyTest(grid, to_sky, to_plane)
    if outline is not None and _is_outline(outline, sky):
        return SkyTest(grid, to_sky, to_plane, outline)
    if min(grid.shape) > LARGE_MAP and not _repeats(sky):
        return SkyTest(grid, to_sky, None)
    return sky


def _is_outline(outline: Outline, sky: SkyTest) -> bool:
    """Tell whether an outline and a test agree all over a grid, and beside the outline's edge."""
    grid = sky.grid
    x, y = places_all_over(grid, SAMPLE)
    inside = outline(x, y)
    row, column = marked(inside[:, 1:] != inside[:, :-1])
    # Between two of one row that differ, the edge is found by bisection.
    y_there = y[row, column]
    here, there = x[row, column], x[row, column + 1]
    at_start = inside[row, column]
    for _ in range(EDGE_STEPS):
        middle = 0.5 * (here + there)
        is_near = outline(middle, y_there) == at_start
        here, there = np.where(is_near, middle, here), np.where(is_near, there, middle)
    step = BESIDE * np.sign(there - here) * np.abs(grid.x.step)
    x = np.concatenate([x.ravel(), here - step, there + step])
    y = np.concatenate([y.ravel(), y_there, y_there])
    return np.array_equal(outline(x, y), sky(x, y))


def _repeats(sky: SkyTest) -> bool:
    """Tell whether sky is shown again anywhere on a sample and on the border of a grid."""
    grid = sky.grid
    number_x, number_y = (
        np.unique(np.linspace(0, axis.count - 1, SAMPLE).astype(int)) for axis in (grid.x, grid.y)
    )
    tested = np.zeros(grid.shape, bool)
    tested[np.ix_(number_y, number_x)] = True
    tested[[0, -1]] = tested[:, [0, -1]] = True
    rows, columns = marked(tested)
    x, y = grid.x.centres[columns], grid.y.centres[rows]
    return not np.array_equal(SkyTest(grid, sky.to_sky, None)(x, y), sky(x, y))


def places_all_over(grid: SkyGrid, number: int) -> tuple[FloatArray, FloatArray]:
    """Return the x and y of so many places a side, evenly over a grid."""
    t = (np.arange(number) + 0.5) / number
    x, y = np.meshgrid(*(axis.place(axis.count * t) for axis in (grid.x, grid.y)))
    return x, y


def at_corners(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark the corners of marked pixels."""
    nodes = np.zeros((pixels.shape[0] + 1, pixels.shape[1] + 1), bool)
    for rows in (np.s_[:-1], np.s_[1:]):
        for columns in (np.s_[:-1], np.s_[1:]):
            nodes[rows, columns] |= pixels
    return nodes


def inner_pixels(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which of the marked pixels have marked ones all around."""
    padded = np.pad(pixels, 1)
    rows = padded[:-2] & padded[1:-1] & padded[2:]
    return np.asarray(rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:])


def around(pixels: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return the pixels shifted to all sides; False beyond the edges."""
    ny, nx = pixels.shape
    padded = np.pad(pixels, 1)
    return [padded[i : i + ny, j : j + nx] for i in range(3) for j in range(3)]


def marked(pixels: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns of marked pixels: np.nonzero is slow in two dimensions."""
    rows, columns = np.unravel_index(np.flatnonzero(pixels), pixels.shape)
    return rows, columns


def in_parts(
    pixels: NDArray[np.bool_],
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the rows and columns of marked pixels, some thousand at a time."""
    rows, columns = marked(pixels)
    for start in range(0, len(rows), 4096):
        yield rows[start : start + 4096], columns[start : start + 4096]


def cell_corners(nodes: NDArray[Any]) -> NDArray[Any]:
    """Return the values (4, n, ny, nx) at the corners, in order around, of lattices' cells."""
    return np.stack([nodes[:, :-1, :-1], nodes[:, :-1, 1:], nodes[:, 1:, 1:], nodes[:, 1:, :-1]])


def split_pixels(
    left: FloatArray, bottom: FloatArray, width: float, height: float, split: int
) -> tuple[FloatArray, FloatArray]:
    """Return the x and y (n, split + 1, split + 1) of lattices that cut pixels in split × split."""
    # A hair inside, so that nodes on a branch cut fall on the pixel's side of it.
    t = HAIR + (1 - 2 * HAIR) * np.linspace(0, 1, split + 1)
    x, y = np.broadcast_arrays(
        left[:, None, None] + width * t, bottom[:, None, None] + height * t[:, None]
    )
    return x, y


def sky_polygons(
    x: FloatArray,
    y: FloatArray,
    on_sky: NDArray[np.bool_],
    sky: SkyTest,
    steps: int = EDGE_STEPS,
    *,
    midway: bool = False,
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return the x and y (8, n) of polygons around what is on the sky of cells (4, n).

    They have corners at those of the cells that are on the sky and where its edge crosses the
    sides; the third array tells where they have one. Crossings are on the sky, or, ``midway``
    between what is and what is not, as likely off it.
    """
    crossing_x, crossing_y, crossed = _edge_crossings(x, y, on_sky, sky, steps, midway=midway)
    polygon_x, polygon_y = (
        np.stack(pair, axis=1).reshape(8, -1) for pair in ((x, crossing_x), (y, crossing_y))
    )
    return polygon_x, polygon_y, np.stack([on_sky, crossed], axis=1).reshape(8, -1)


def repeat_corners(values: NDArray[Any], present: NDArray[np.bool_]) -> None:
    """Repeat the corner before where a polygon (m, n, …) has none: that adds no area."""
    for _ in range(2):
        for i in range(len(values)):
            missing = ~present[i]
            values[i, missing] = values[i - 1, missing]


def _edge_crossings(
    x: FloatArray,
    y: FloatArray,
    on_sky: NDArray[np.bool_],
    sky: SkyTest,
    steps: int,
    *,
    midway: bool,
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Return points where the sky's edge crosses sides of cells, and which it crosses."""
    x_next, y_next, on_next = (np.roll(v, -1, axis=0) for v in (x, y, on_sky))
    crossed = on_sky != on_next
    begins_on = on_sky[crossed]
    x_on, x_off = np.where(begins_on, (x[crossed], x_next[crossed]), (x_next[crossed], x[crossed]))
    y_on, y_off = np.where(begins_on, (y[crossed], y_next[crossed]), (y_next[crossed], y[crossed]))
    for _ in range(steps):
        x_mid, y_mid = 0.5 * (x_on + x_off), 0.5 * (y_on + y_off)
        is_on = sky(x_mid, y_mid)
        x_on, x_off = np.where(is_on, x_mid, x_on), np.where(is_on, x_off, x_mid)
        y_on, y_off = np.where(is_on, y_mid, y_on), np.where(is_on, y_off, y_mid)
    if midway:
        x_on, y_on = 0.5 * (x_on + x_off), 0.5 * (y_on + y_off)
    crossing_x, crossing_y = x.copy(), y.copy()
    crossing_x[crossed], crossing_y[crossed] = x_on, y_on
    return crossing_x, crossing_y, crossed
