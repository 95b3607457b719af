"""The solid angle of every pixel of a grid, however the sky is projected and wherever it ends.

Most solid angles come from polynomials, or are all equal on an equal-area projection. In the pixels
that the sky's edge cuts, the edge is traced.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.sky.block_polynomials import interpolated
from mpl_skyheat.sky.pixel_scale import local_areas
from mpl_skyheat.sky.sky_edge import (
    HAIR,
    SkyTest,
    at_corners,
    cell_corners,
    grown,
    in_parts,
    lattice_in_pixels,
    marked,
    places_all_over,
    sky_polygons,
)
from mpl_skyheat.sky.vectors import separation

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.sky.grid import Projection, SkyGrid
    from mpl_skyheat.sky.outlines import Outline


# Largest diagonal (rad) of pixels whose sides pass for great circles.
SMALL = np.radians(1.5)

# Opposite sides of a pixel that turn by more than this angle (rad) are bent, as near a pole.
BENT = 0.03

# Angle (rad) between opposite sides, times length over width, from which a cell's sides are
# followed: beside the limb of a SIN, cells are long.
LITTLE_BENT = 0.01

# Length (rad) below which a side of a pixel is a point at a pole, but for rounding.
A_POINT = 1e-12

# Cells along each side of a pixel at the edge of the sky.
CELLS = 8

# Longer side (pixels) of maps with fewer cells: the edge is straighter in their pixels.
LARGE_MAP = 500

# Cells along each side of such a pixel of a large map.
CELLS_OF_LARGE = 4

# Diagonal (rad) above which cells are halved, as in pixels of tens of degrees.
LARGE_CELL = np.radians(6)

# Most cells along each side of a pixel.
MOST_CELLS = 64

# Bisections for the sky's edge on the side of a cell on the sphere. Near the limb of a SIN, the
# angle from it goes as the root of the distance: 2^-24 of a cell is 2^-12 in angle.
SPHERE_STEPS = 24

# The same on the plane of an equal-area projection: 2^-10 of a cell is 1e-4 of a pixel.
PLANE_STEPS = 10

# Places (0 … 1) along the followed sides of a cell, close together at the ends: at the limb of a
# SIN, sides bend most there.
ALONG = 0.5 * (1 - np.cos(np.linspace(0, np.pi, 9)))

# Side (pixels) of the blocks that are searched for sky first.
BLOCK = 8

# Shortest side (pixels) of grids on which pixels count as off the sky by nearby corners.
FEW_PIXELS = 20

# Places along each side of a map over which the median area and shape of pixels are taken.
PLACES = 16

# Side (rad) of the squares on which equal areas are measured: straight, and no digits are lost.
TINY = 1e-5

# Relative accuracy of solid angles from polynomials.
SMOOTH_ACCURACY = 1e-7


def quadrilateral_area(corners: FloatArray) -> FloatArray:
    """Solid angle (sr) of spherical quadrilaterals from corners (4, …, 3) in order.

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
    """Solid angle (sr) of every pixel's part on the sky; 0 where it has none."""
    sky = SkyTest(grid, to_sky, to_plane, outline)
    whole = _whole_area(sky) if is_equal_area else None
    if whole is not None and sky.outline is not None:
        areas = np.zeros(grid.shape)
        known, is_off = _blocks_of_sky(sky, _elongation(sky))
    else:
        areas, known = smooth_solid_angles(grid, sky)
        is_off = np.zeros(grid.shape, bool)
    if whole is not None:
        areas[known] = whole
    if known.all():
        return areas
    is_inner, is_at_edge = _inner_and_edge(sky, known, is_off, _elongation(sky))
    if whole is not None:
        areas[is_inner] = whole
    else:
        _add_quadrilaterals(areas, is_inner, sky)
    cells = CELLS if max(grid.shape) < LARGE_MAP else CELLS_OF_LARGE
    for row, column in in_parts(is_at_edge, cells):
        # (Cells leave out a hair along the sides of pixels.)
        areas[row, column] = _traced(sky, row, column, cells, whole) / (1 - 2 * HAIR) ** 2
    return areas


def _whole_area(sky: SkyTest) -> float | None:
    """Solid angle (sr) of every whole pixel on an equal-area projection; None without sky."""
    grid = sky.grid
    x, y = places_all_over(grid, PLACES)
    areas = local_areas(sky.to_sky, x, y, *grid.steps)
    known = np.isfinite(areas)
    if not known.any():
        return None
    part = min(TINY / float(np.sqrt(np.median(areas[known]))), 1.0)
    areas = local_areas(sky.to_sky, x[known], y[known], *(part * step for step in grid.steps))
    return float(np.nanmedian(areas) / part**2)


def smooth_solid_angles(grid: SkyGrid, sky: SkyTest) -> tuple[FloatArray, BoolArray]:
    """Solid angles (sr) from polynomials, and where they are known: not near the sky's edge."""

    def areas_at(x: FloatArray, y: FloatArray) -> FloatArray:
        corners = sky.vectors(
            np.stack([x + 0.5 * grid.x.step * side for side in (-1, 1, 1, -1)]),
            np.stack([y + 0.5 * grid.y.step * side for side in (-1, -1, 1, 1)]),
        )
        areas = quadrilateral_area(corners)
        are_straight = _are_straight(corners, sky.vectors(x, y))
        return np.where(are_straight & sky(x, y), areas, np.nan)[np.newaxis]

    (areas,), known = interpolated(grid, areas_at, sky, rtol=SMOOTH_ACCURACY)
    return areas, known


def _blocks_of_sky(sky: SkyTest, reach: int) -> tuple[BoolArray, BoolArray]:
    """Pixels of blocks that show sky all over, and of blocks that show none.

    By the corners of all blocks within ``reach`` blocks: outlines in closed form have no spikes
    that are longer than they are wide.
    """
    grid = sky.grid
    nodes = [np.append(np.arange(0, axis.count, BLOCK), axis.count) for axis in (grid.y, grid.x)]
    sizes = [np.diff(numbers) for numbers in nodes]
    # A notch in the sky may begin beyond the map.
    beyond = BLOCK * np.arange(1, reach + 1)
    along_y, along_x = (np.concatenate([-beyond[::-1], n, n[-1] + beyond]) for n in nodes)
    has_sky, is_whole = _of_corners(sky(*np.meshgrid(grid.x.place(along_x), grid.y.place(along_y))))
    within = np.s_[reach:-reach, reach:-reach]
    full, empty = ~grown(~is_whole, reach)[within], ~grown(has_sky, reach)[within]
    if empty.all():  # all of a small sky may be in one block
        empty[:] = False
    full, empty = (np.repeat(np.repeat(v, sizes[0], 0), sizes[1], 1) for v in (full, empty))
    return full, empty


def _of_corners(on_sky: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Pixels with sky at any corner, and pixels with sky at all corners."""
    either, both = on_sky[:-1] | on_sky[1:], on_sky[:-1] & on_sky[1:]
    return either[:, :-1] | either[:, 1:], both[:, :-1] & both[:, 1:]


def _inner_and_edge(
    sky: SkyTest, known: BoolArray, is_off: BoolArray, reach: int
) -> tuple[BoolArray, BoolArray]:
    """Pixels not known yet amid the sky, and pixels not known yet near its edge."""
    grid = sky.grid
    on_sky, wanted = at_corners(known), at_corners(~known & ~is_off)
    rows, columns = marked(wanted)
    on_sky[rows, columns] |= sky(grid.x.edges[columns], grid.y.edges[rows])
    has_sky, is_whole = _of_corners(on_sky)
    # Between two corners, the sky may bulge into a pixel, or a notch of its edge may end in one:
    # beside a pixel that shows it at a corner, or as far away as pixels are long.
    near_sky = grown(has_sky, reach) | (min(grid.shape) < FEW_PIXELS)
    is_at_edge = near_sky & grown(near_sky & ~is_whole, reach) & ~known
    return is_whole & ~is_at_edge & ~known, is_at_edge


def _elongation(sky: SkyTest) -> int:
    """Length over width of a typical pixel, rounded, at least 1."""
    grid = sky.grid
    x, y = places_all_over(grid, PLACES)
    step = 1e-2
    here, right, above = (
        sky.vectors(x + dx * step * grid.x.step, y + dy * step * grid.y.step)
        for dx, dy in ((0, 0), (1, 0), (0, 1))
    )
    width, height = (np.linalg.norm(there - here, axis=-1) for there in (right, above))
    known = (width > 0) & (height > 0)  # (and no NaN)
    if not known.any():
        return 1
    ratio = float(np.median(width[known] / height[known]))
    return int(np.clip(np.round(max(ratio, 1 / ratio)), 1, max(grid.shape)))


def _add_quadrilaterals(areas: FloatArray, pixels: BoolArray, sky: SkyTest) -> None:
    """Set the areas of pixels that show sky all over; bent sides are followed."""
    grid = sky.grid
    for row, column in in_parts(pixels, 1):
        left, right = grid.x.edges[column], grid.x.edges[column + 1]
        bottom, top = grid.y.edges[row], grid.y.edges[row + 1]
        x, y = np.stack([left, right, right, left]), np.stack([bottom, bottom, top, top])
        corners = sky.vectors(x, y)
        middle = sky.vectors(x.mean(axis=0), y.mean(axis=0))
        found, is_bent = quadrilateral_area(corners), ~_are_straight(corners, middle)
        is_large = ~(_size(corners, middle) < LARGE_CELL)
        is_bent &= ~is_large
        found[is_bent] = _followed(sky, x[:, is_bent], y[:, is_bent])
        if is_large.any():
            traced = _traced(sky, row[is_large], column[is_large], CELLS, None)
            found[is_large] = traced / (1 - 2 * HAIR) ** 2
        areas[row, column] = found


def _followed(sky: SkyTest, x: FloatArray, y: FloatArray) -> FloatArray:
    """Areas (sr) of cells (4, n) that show sky all over, along their bent sides."""
    on_sky = np.ones(x.shape, bool)
    return _polygon_area(_corners_of(sky, sky_polygons(x, y, on_sky, sky, 0, ALONG)))


def _are_straight(corners: FloatArray, middle: FloatArray) -> BoolArray:
    """Whether the sides of quadrilaterals (4, …, 3) pass for great circles."""
    return np.asarray((_size(corners, middle) < SMALL) & (_turn(corners) < BENT))


def _turn(corners: FloatArray) -> FloatArray:
    """The larger angle (rad) between opposite sides of quadrilaterals (4, …, 3)."""
    a, b, c, d = corners
    along = np.linalg.norm(_direction(b - a) - _direction(c - d), axis=-1)
    across = np.linalg.norm(_direction(d - a) - _direction(c - b), axis=-1)
    # (A side that is a point has no direction, NaN.)
    return np.asarray(np.fmax(along, across))


def _shape(corners: FloatArray) -> FloatArray:
    """Length over width of quadrilaterals (4, …, 3); infinite for a line."""
    a, b, c, d = corners
    along, across = (np.linalg.norm(v, axis=-1) for v in (b - a + c - d, d - a + c - b))
    short, long = np.fmin(along, across), np.fmax(along, across)
    return np.asarray(np.divide(long, short, out=np.full(long.shape, np.inf), where=short > 0))


def _direction(side: FloatArray) -> FloatArray:
    """Vectors over their lengths; NaN for a side that is a point, at a pole."""
    length = np.linalg.norm(side, axis=-1, keepdims=True)
    return np.asarray(side / np.where(length > A_POINT, length, np.nan))


def _size(corners: FloatArray, middle: FloatArray) -> FloatArray:
    """Twice the distance (rad) of the farthest of corners (4, …, 3) from the middle of a pixel.

    Corners of a pixel that goes around the sky lie close together.
    """
    return np.asarray(2 * np.max([separation(corner, middle) for corner in corners], axis=0))


def _diagonal(corners: FloatArray) -> FloatArray:
    """The longer diagonal (rad) of spherical quadrilaterals (4, …, 3)."""
    diagonals = separation(corners[0], corners[2]), separation(corners[1], corners[3])
    return np.asarray(np.fmax(*diagonals))


def _traced(
    sky: SkyTest,
    row: IntArray,
    column: IntArray,
    cells: int,
    whole: float | None,
) -> FloatArray:
    """Areas (sr) of pixels that the sky's edge may cut; of equal areas, ``whole`` is a pixel's."""
    x, y = lattice_in_pixels(sky.grid, row, column, cells)
    on_sky = sky(x, y)
    if whole is not None:
        nodes = cell_corners(on_sky)
        fractions = np.asarray(nodes.all(axis=0) * ((1 - 2 * HAIR) / cells) ** 2, float)
        is_cut = nodes.any(axis=0) & ~nodes.all(axis=0)
        if is_cut.any():
            at = cell_corners(x)[:, is_cut], cell_corners(y)[:, is_cut], nodes[:, is_cut]
            polygons = sky_polygons(*at, sky, PLANE_STEPS, np.array([0.0, 1.0]))
            fractions[is_cut] = _plane_area(*polygons) / abs(np.prod(sky.grid.steps))
        return np.asarray(whole * fractions.sum(axis=(1, 2)))
    outer = np.s_[:, [0, 0, -1, -1], [0, -1, -1, 0]]
    areas, is_small = _small_and_whole(
        sky, x[outer].T, y[outer].T, np.asarray(on_sky.all(axis=(1, 2)))
    )
    left = np.flatnonzero(~is_small)
    if len(left):
        areas[left], is_large = _of_cells(sky, x[left], y[left], on_sky[left])
        again = left[is_large] if cells < MOST_CELLS else left[:0]
        if len(again):
            areas[again] = _traced(sky, row[again], column[again], 2 * cells, None)
    return areas


def _small_and_whole(
    sky: SkyTest, x: FloatArray, y: FloatArray, is_whole: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Areas of pixels with corners (4, n) that are whole and not large; and which are."""
    areas, is_small = np.zeros(len(is_whole)), is_whole.copy()
    whole_x, whole_y = x[:, is_whole], y[:, is_whole]
    middle = sky.vectors(whole_x.mean(axis=0), whole_y.mean(axis=0))
    is_small[is_whole] = _size(sky.vectors(whole_x, whole_y), middle) < LARGE_CELL
    areas[is_small] = _followed(sky, x[:, is_small], y[:, is_small])
    return areas, is_small


def cells_with_sky(
    sky: SkyTest, row: IntArray, column: IntArray, cells: int
) -> tuple[FloatArray, FloatArray]:
    """Areas (sr; n, cells, cells) of cells in pixels, and vectors (…, 3) to their middles.

    Of what they show of the sky, with straight sides; those that show none have an area of 0.
    """
    x, y = lattice_in_pixels(sky.grid, row, column, cells)
    on_sky = sky(x, y)
    nodes = cell_corners(on_sky)
    corners = cell_corners(np.where(on_sky[..., np.newaxis], sky.vectors(x, y), np.nan))
    areas, middles = quadrilateral_area(corners), corners.mean(axis=0)
    is_cut = nodes.any(axis=0) & ~nodes.all(axis=0)
    if is_cut.any():
        at = cell_corners(x)[:, is_cut], cell_corners(y)[:, is_cut], nodes[:, is_cut]
        polygons = _corners_of(sky, sky_polygons(*at, sky, PLANE_STEPS, np.array([0.0, 1.0])))
        areas[is_cut], middles[is_cut] = _polygon_area(polygons), polygons.mean(axis=0)
    return np.nan_to_num(areas), middles


def _of_cells(
    sky: SkyTest, x: FloatArray, y: FloatArray, on_sky: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Areas of pixels by their lattices, and which of them have cells that are large."""
    nodes = cell_corners(on_sky)
    corners = cell_corners(np.where(on_sky[..., np.newaxis], sky.vectors(x, y), np.nan))
    areas = np.where(nodes.all(axis=0), quadrilateral_area(corners), 0.0)
    # Of two cells that share a bent side, both follow it.
    is_bent = nodes.any(axis=0) & ~(_turn(corners) * _shape(corners) < LITTLE_BENT)
    if is_bent.any():
        at = cell_corners(x)[:, is_bent], cell_corners(y)[:, is_bent], nodes[:, is_bent]
        polygons = _corners_of(sky, sky_polygons(*at, sky, SPHERE_STEPS, ALONG))
        areas[is_bent] = _polygon_area(polygons)
    is_large = (_diagonal(corners) > LARGE_CELL).any(axis=(1, 2))
    return np.asarray(areas.sum(axis=(1, 2))), is_large


def _plane_area(x: FloatArray, y: FloatArray) -> FloatArray:
    """Areas of plane polygons from their corners (m, n) in order."""
    x, y = x - x[0], y - y[0]
    return np.asarray(0.5 * np.abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum(axis=0)))


def _corners_of(sky: SkyTest, polygons: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Unit vectors (m, n, 3) to the corners of polygons; a corner off the sky repeats the last."""
    corners = sky.vectors(*polygons)
    is_lost = np.isnan(corners[..., 0])
    if is_lost.any():
        for i in (*range(len(corners)), *range(len(corners))):
            corners[i, is_lost[i]] = corners[i - 1, is_lost[i]]
    return corners


def _polygon_area(corners: FloatArray) -> FloatArray:
    """Areas (sr) of spherical polygons, convex or not, from their corners (m, n, 3) in order."""
    return np.abs(sum(_triangle_area(corners[0], *pair) for pair in pairwise(corners[1:])))
