"""The solid angle of every pixel of a grid, however the sky is projected and wherever it ends."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.fractions import FEW, sky_fractions
from mpl_skyheat.grid import Projection, SkyGrid, local_areas, separation, to_vectors
from mpl_skyheat.patches import interpolated
from mpl_skyheat.skyedge import (
    LARGE_MAP,
    SkyTest,
    around,
    at_corners,
    cell_corners,
    in_parts,
    inner_pixels,
    marked,
    places_all_over,
    repeat_corners,
    sky_polygons,
    sky_test,
    split_pixels,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mpl_skyheat.outlines import Outline

    FloatArray = NDArray[np.float64]

# Pixels with a smaller diagonal (rad) have sides that pass for great circles.
SMALL = np.radians(1.5)

# The sides of a pixel near a pole are bent, and no great circles, if they turn by more (rad) from
# one to the opposite.
BENT = 0.03

# Pixels that are too large or too bent, but not cut by the edge of the sky, are split into so many
# cells a side, and into more if these are still too bent (rad).
CUTS = (3, BENT), (8, np.inf)

# Pixels that the edge of the sky may cut are split into so many cells a side, or into so many on
# large maps. Where lines of pixels turn fast, as beside the limb of a SIN, cells of these may bend
# by so much (rad) and no more, and by less if they are long.
CELLS = 6
CELLS_OF_LARGE = 4
LITTLE_BENT = 0.01

# So near the edge of the sky (in pixels), the sides of all pixels are taken for bent: beside the
# limb of a SIN, fine ones are so long that angles between opposite sides do not tell.
BAND = 3

# What is shorter (rad) is a point, but for rounding.
A_POINT = 1e-12

# A smaller change of the solid angle from pixel to pixel does not matter to where in a pixel a map
# is evaluated.
STEEP = 0.05

# The pixel of an equal-area projection is measured by the median of so many places a side, with
# squares of this size (rad).
SOME = 16
TINY = 1e-5

# The sides of bent cells are taken through these places (0 and 1 are the ends of what is on the
# sky), close together where a limb may end them: there, a SIN bends them the most.
ALONG = 0.5 * (1 - np.cos(np.linspace(0, np.pi, 9)))

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


def solid_angles(
    grid: SkyGrid,
    to_sky: Projection,
    to_plane: Projection,
    *,
    is_equal_area: bool = False,
    outline: Outline | None = None,
) -> FloatArray:
    """Return the solid angle (sr) of every pixel's part on the sky; 0 where it has none."""
    sky = sky_test(grid, to_sky, to_plane, outline)
    whole = _whole_area(sky) if is_equal_area else None
    if whole is not None:
        return whole * sky_fractions(sky)
    areas, known = smooth_solid_angles(grid, sky)
    if known.all():
        return areas
    sound, unrepeated = known.copy(), known.copy()
    corners, near_sky, near_edge = _nodes(grid, to_sky, known)
    for row, column in in_parts(near_sky & ~known):
        pixels = row, column
        areas[pixels], sound[pixels] = _areas_within(corners(row, column), SMALL, BENT)
        unrepeated[pixels] = sky(grid.x.centres[column], grid.y.centres[row])
    sound &= unrepeated
    for row, column in in_parts(near_edge & sound & ~known):
        areas[row, column] = _traced_pixels(grid, row, column, sky)
    inner = inner_pixels(near_sky & unrepeated)
    for cut, most_bent in CUTS:
        for row, column in in_parts(inner & ~sound):
            cells = _cells(grid, row, column, cut, to_sky)
            areas[row, column], sound[row, column] = _area_of_cells(cells, SMALL, most_bent)
    areas[~sound] = 0.0
    split = CELLS if max(grid.shape) < LARGE_MAP else CELLS_OF_LARGE
    for row, column in in_parts(near_sky & ~sound):
        left, bottom = grid.x.edges[column], grid.y.edges[row]
        areas[row, column] = _split_areas(left, bottom, grid.x.step, grid.y.step, sky, split)
    return areas


def _whole_area(sky: SkyTest) -> float | None:
    """Return the solid angle (sr) of every whole pixel on an equal-area projection, if one is."""
    grid = sky.grid
    x, y = places_all_over(grid, SOME)
    areas = local_areas(sky.to_sky, x, y, *grid.steps)
    known = np.isfinite(areas)
    if not known.any():
        return None
    # So small that all is straight, and so large that no digits are lost.
    part = min(TINY / float(np.sqrt(np.median(areas[known]))), 1.0)
    areas = local_areas(sky.to_sky, x[known], y[known], *(part * step for step in grid.steps))
    return float(np.nanmedian(areas) / part**2)


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
) -> tuple[Callable[..., FloatArray], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return what gives the corners (4, n, 3) of pixels near the sky, and which these are.

    Those that are known need none: they show sky. Also return which pixels are near the sky's edge.
    """
    on_sky, needed = at_corners(known), at_corners(~known)
    rows, columns = marked(needed)
    lon, lat = to_sky(grid.x.edges[columns], grid.y.edges[rows])
    finite = np.isfinite(lon) & np.isfinite(lat)
    on_sky[rows, columns] |= finite
    # Off the sky, there is but one vector: NaN.
    vectors = np.append(to_vectors(lon[finite], lat[finite]), np.full((1, 3), np.nan), axis=0)
    number = np.full(needed.shape, len(vectors) - 1)
    number[rows[finite], columns[finite]] = np.arange(len(vectors) - 1)
    # The sky may bulge into a pixel between two corners: then it touches the pixel beside it.
    at_corner = on_sky[:-1, :-1], on_sky[:-1, 1:], on_sky[1:, :-1], on_sky[1:, 1:]
    near_sky = np.any(around(np.any(at_corner, axis=0)), axis=0) | (min(grid.shape) < FEW)
    near_edge = ~np.all(at_corner, axis=0)
    for _ in range(BAND):
        near_edge = np.any(around(near_edge), axis=0)

    def corners(row: NDArray[np.intp], column: NDArray[np.intp]) -> FloatArray:
        return np.asarray(
            [vectors[number[row + i, column + j]] for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))]
        )

    return corners, near_sky, near_edge


def whole_pixels(
    grid: SkyGrid, on_sky: NDArray[np.bool_], to_sky: Projection, to_plane: Projection
) -> NDArray[np.bool_]:
    """Tell which pixels the edge of the sky does not cut."""
    # What is cut at a corner may have sky all around.
    whole = inner_pixels(inner_pixels(on_sky))
    rows, columns = marked(on_sky & ~whole)
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
    rows, columns = marked(steep)
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
    areas, sound = _areas_within(_lattice_cells(vectors), largest, most_bent)
    return np.asarray(areas.sum(axis=(1, 2))), np.asarray(sound.all(axis=(1, 2)))


def _lattice_cells(vectors: FloatArray) -> FloatArray:
    """Return the corners (4, …, ny, nx, 3), in order around, of a lattice's cells."""
    return np.stack(
        [
            vectors[..., :-1, :-1, :],
            vectors[..., :-1, 1:, :],
            vectors[..., 1:, 1:, :],
            vectors[..., 1:, :-1, :],
        ]
    )


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


def _elongation(corners: FloatArray) -> FloatArray:
    """Return how much longer quadrilaterals (4, …, 3) are than wide; infinite for a line."""
    a, b, c, d = corners
    along, across = (np.linalg.norm(v, axis=-1) for v in (b - a + c - d, d - a + c - b))
    shorter = np.fmin(along, across)
    longer = np.fmax(along, across)
    return np.asarray(
        np.divide(longer, shorter, out=np.full(longer.shape, np.inf), where=shorter > 0)
    )


def _direction(side: FloatArray) -> FloatArray:
    """Return vectors over their lengths; NaN for a side that is but a point, at a pole."""
    length = np.linalg.norm(side, axis=-1, keepdims=True)
    return np.asarray(side / np.where(length > A_POINT, length, np.nan))


def _diagonal(corners: FloatArray) -> FloatArray:
    """Return the longer diagonal (rad) of spherical quadrilaterals (4, …, 3)."""
    diagonals = separation(corners[0], corners[2]), separation(corners[1], corners[3])
    return np.asarray(np.fmax(*diagonals))


def _split_areas(
    left: FloatArray,
    bottom: FloatArray,
    width: float,
    height: float,
    sky: SkyTest,
    split: int,
    *,
    again: bool = True,
) -> FloatArray:
    """Areas of pixels that are large or partly off the sky, from a lattice in each.

    Cells that are still large, across a branch cut maybe, are split once more. What is large then
    is taken as it is: so coarse a map has nothing finer to lose.
    """
    x, y = split_pixels(left, bottom, width, height, split)
    vectors, on_sky = sky.vectors(x, y)
    largest = 4 * SMALL if again else np.inf
    corners = _lattice_cells(np.where(on_sky[..., None], vectors, np.nan))
    areas, sound = _areas_within(corners, largest)
    sound &= _bend(corners) * _elongation(corners) < LITTLE_BENT
    nodes = cell_corners(on_sky)
    large = nodes.all(axis=0) & (_diagonal(corners) >= largest)
    traced = nodes.any(axis=0) & ~sound & ~large
    if traced.any():
        areas[traced] = _traced_areas(
            cell_corners(x)[:, traced], cell_corners(y)[:, traced], nodes[:, traced], sky
        )
    if large.any():
        corner = x[:, :-1, :-1][large], y[:, :-1, :-1][large]
        size = width / split, height / split
        areas[large] = _split_areas(*corner, *size, sky, split, again=False)
    return np.asarray(areas.sum(axis=(1, 2)))


def _traced_areas(
    x: FloatArray, y: FloatArray, on_sky: NDArray[np.bool_], sky: SkyTest
) -> FloatArray:
    """Areas of the parts on the sky of cells (4, n) with bent sides or cut by its edge.

    Where the edge crosses two sides, it is taken for the great circle in between, which the limb
    of a SIN and the meridians around other maps are.
    """
    polygon_x, polygon_y, present = sky_polygons(x, y, on_sky, sky)
    along_x, along_y = _along_sides(polygon_x, present), _along_sides(polygon_y, present)
    vectors = to_vectors(*sky.to_sky(along_x, along_y))
    # The ends of sides are on the sky, and with them what is in between.
    shows_sky = np.repeat(on_sky | np.roll(on_sky, -1, axis=0), len(ALONG), axis=0)
    repeat_corners(vectors, shows_sky & np.isfinite(vectors[..., 0]))
    # Triangles with signs, so that polygons need not be convex; all have the same orientation.
    return np.abs(sum(_triangle_area(vectors[0], *pair) for pair in pairwise(vectors[1:])))


def _traced_pixels(
    grid: SkyGrid, row: NDArray[np.intp], column: NDArray[np.intp], sky: SkyTest
) -> FloatArray:
    """Areas of whole pixels, with bent sides."""
    left, right = grid.x.edges[column], grid.x.edges[column + 1]
    bottom, top = grid.y.edges[row], grid.y.edges[row + 1]
    x, y = np.stack([left, right, right, left]), np.stack([bottom, bottom, top, top])
    return _traced_areas(x, y, np.ones(x.shape, bool), sky)


def _along_sides(polygon: FloatArray, present: NDArray[np.bool_]) -> FloatArray:
    """Return places along the sides of cells, from coordinates of `sky_polygons` (8, n)."""
    corners, crossings, on_sky = polygon[::2], polygon[1::2], present[::2]
    start = np.where(on_sky, corners, crossings)
    stop = np.roll(np.where(on_sky, corners, np.roll(crossings, 1, axis=0)), -1, axis=0)
    places = start[:, np.newaxis] + (stop - start)[:, np.newaxis] * ALONG[:, np.newaxis]
    return np.asarray(places.reshape(-1, polygon.shape[1]))
