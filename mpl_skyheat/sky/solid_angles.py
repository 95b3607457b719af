"""The solid angle of every pixel of a grid, however the sky is projected and wherever it ends.

Most solid angles come from polynomials, or are all equal on an equal-area projection. In the pixels
that the sky's edge cuts, the edge is traced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.sky.block_polynomials import interpolated
from mpl_skyheat.sky.grid import SkyGrid
from mpl_skyheat.sky.pixel_scale import local_areas
from mpl_skyheat.sky.sky_edge import (
    HAIR,
    SkyTest,
    cell_corners,
    grown,
    in_parts,
    lattice_in_pixels,
    places_all_over,
    repeat_before,
    sky_polygons,
)
from mpl_skyheat.sky.vectors import separation

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.sky.grid import Projection
    from mpl_skyheat.sky.outlines import Outline

    Pixels = tuple[IntArray, IntArray]
    Places = tuple[FloatArray, FloatArray]

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

# Diagonal (rad) from which on pixels amid the sky are traced, too, as at the limb of a SIN.
LARGE = np.radians(6)

# Bisections for the sky's edge on the side of a cell on the sphere. Near the limb of a SIN, the
# angle from it goes as the root of the distance: 2^-24 of a cell is 2^-12 in angle.
SPHERE_STEPS = 24

# The same on the plane of an equal-area projection: 2^-10 of a cell is 1e-4 of a pixel.
PLANE_STEPS = 10

# Places (0 … 1) along the followed sides of a cell, close together at the ends: at the limb of a
# SIN, sides bend most there.
ALONG = 0.5 * (1 - np.cos(np.linspace(0, np.pi, 9)))

# Places along sides that are not followed.
STRAIGHT = np.array([0.0, 1.0])

# Side (pixels) of the blocks that are searched for sky first.
BLOCK = 4

# Shortest side (pixels) of grids on which pixels count as off the sky by nearby corners.
FEW_PIXELS = 20

# Places along each side of a map over which the median area and shape of pixels are taken.
PLACES = 16

# Fraction of a pixel's sides. Typical areas and shapes are those of so small a part at a pixel's
# centre: where all of the sky is two rows of pixels high, whole pixels have corners off the sky.
SMALL_PART = 1e-2

# Median side (rad) of pixels above which all are cut into parts.
NARROW = 0.5 * LARGE

# Number of parts of all pixels of a grid from which on parts are wider than that.
MOST_PARTS = 2**21

# Side (rad) of the squares on which equal areas are measured: straight, and no digits are lost.
TINY = 1e-5

# Relative accuracy of solid angles from polynomials.
SMOOTH_ACCURACY = 1e-7


def polygon_area(corners: FloatArray) -> FloatArray:
    """Solid angles (sr) of spherical polygons, convex or not, from corners (m, …, 3) in order.

    The signed sum of triangles, tan(Ω/2) = a·(b × c) / (1 + a·b + b·c + c·a) (Van Oosterom &
    Strackee 1983, IEEE Trans. Biomed. Eng. 30, 125). Differences of corners keep it exact for tiny
    pixels.
    """
    return np.asarray(np.abs(_triangles(corners).sum(axis=0)))


def _triangles(corners: FloatArray) -> FloatArray:
    """Signed solid angles (sr; m - 2, …) of the triangles from a polygon's first corner."""
    a, b, c = corners[0], corners[1:-1], corners[2:]
    triple = np.einsum("...i,...i", a, np.cross(b - a, c - a))
    dots = (np.einsum("...i,...i", p, q) for p, q in ((a, b), (b, c), (c, a)))
    return np.asarray(2 * np.arctan2(triple, 1 + sum(dots)))


def _area_and_centroid(corners: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Solid angles (sr) of small polygons, and vectors (…, 3) to their centroids.

    The mean of their corners would be drawn to where these are many, as along the sky's edge.
    """
    triangles = _triangles(corners)
    area = triangles.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (triangles / area)[..., np.newaxis]
    centroid = (shares * (corners[0] + corners[1:-1] + corners[2:])).sum(axis=0) / 3
    return np.abs(area), centroid


def solid_angles(
    grid: SkyGrid,
    to_sky: Projection,
    to_plane: Projection,
    *,
    is_equal_area: bool = False,
    outline: Outline | None = None,
) -> FloatArray:
    """Solid angle (sr) of every pixel's part on the sky; 0 where it has none.

    Pixels that are wider or higher than `NARROW` are the sums of their parts.
    """
    sky = SkyTest(grid, to_sky, to_plane, outline)
    places = _places_with_sky(sky)
    parts_x, parts_y = _parts_of_pixels(sky, places)
    fine = SkyGrid(grid.x.split(parts_x), grid.y.split(parts_y))
    areas = _areas(SkyTest(fine, to_sky, to_plane, outline), places, is_equal_area=is_equal_area)
    if parts_x == parts_y == 1:
        return areas
    areas = areas.reshape(grid.y.count, parts_y, grid.x.count, parts_x)
    return np.asarray(areas.sum(axis=(1, 3)))


def _parts_of_pixels(sky: SkyTest, places: Places) -> tuple[int, int]:
    """Numbers of parts that pixels are cut into along x and y, by their median sides at places."""
    a, b, _, d = _small_corners(sky, places)
    if not a.size:
        return 1, 1
    width, height = (float(np.median(separation(a, end))) / SMALL_PART for end in (b, d))
    # Wider parts of more pixels: a margin without sky is cut, too.
    narrow = max(NARROW, np.sqrt(width * height * np.prod(sky.grid.shape) / MOST_PARTS))
    return max(int(np.ceil(width / narrow)), 1), max(int(np.ceil(height / narrow)), 1)


def _areas(sky: SkyTest, places: Places, *, is_equal_area: bool) -> FloatArray:
    """Solid angle (sr) of every pixel of a grid, from places that show sky."""
    grid = sky.grid
    whole = _whole_area(sky, places) if is_equal_area else None
    if whole is not None and sky.outline is not None:
        areas, todo = _areas_of_blocks(sky, whole, _elongation(sky, places))
    else:
        areas, known = smooth_solid_angles(grid, sky)
        todo = ~known
        if whole is not None:
            areas[known] = whole
    if not todo.any():
        return areas
    inner, at_edge = _inner_and_edge(sky, todo, _elongation(sky, places))
    cells = CELLS if max(grid.shape) < LARGE_MAP else CELLS_OF_LARGE
    if whole is not None:
        areas[inner] = whole
        for part in in_parts(*at_edge, cells):
            areas[part] = whole * _fractions(sky, *part, cells)
        return areas
    for row, column in in_parts(*inner, 1):
        areas[row, column], is_large = _of_whole(sky, row, column, BENT)
        if is_large.any():
            large = row[is_large], column[is_large]
            areas[large] = _traced(sky, *large, CELLS)
    for part in in_parts(*at_edge, cells):
        areas[part] = _traced(sky, *part, cells)
    return areas


def _places_with_sky(sky: SkyTest) -> Places:
    """The x and y of places all over a map at which `SMALL_PART` of a pixel shows sky.

    Empty arrays if none does.
    """
    for number in (PLACES, PLACES**2):  # all of the sky may lie between the first
        x, y = (v.ravel() for v in places_all_over(sky.grid, number))
        has_sky = np.isfinite(_small_corners(sky, (x, y))).all(axis=(0, -1))
        if has_sky.any():
            break
    return x[has_sky], y[has_sky]


def _small_corners(sky: SkyTest, places: Places) -> FloatArray:
    """Vectors (4, n, 3) to the corners of `SMALL_PART` of a pixel around each place."""
    return sky.vectors(*_corners(sky.grid, *places, SMALL_PART))


def _whole_area(sky: SkyTest, places: Places) -> float | None:
    """Solid angle (sr) of every whole pixel on an equal-area projection; None without sky."""
    corners = _small_corners(sky, places)
    side = float(np.sqrt(np.median(polygon_area(corners)))) if corners.size else 0.0
    if side == 0:
        return None
    part = min(SMALL_PART * TINY / side, 1.0)
    areas = local_areas(sky.to_sky, *places, *(part * step for step in sky.grid.steps))
    return float(np.nanmedian(areas) / part**2)


def smooth_solid_angles(grid: SkyGrid, sky: SkyTest) -> tuple[FloatArray, BoolArray]:
    """Solid angles (sr) from polynomials, and where they are known: not near the sky's edge."""

    def areas_at(x: FloatArray, y: FloatArray) -> FloatArray:
        corners = sky.vectors(*_corners(grid, x, y))
        is_straight = (_size(corners, sky.vectors(x, y)) < SMALL) & (_turn(corners) < BENT)
        return np.where(is_straight & sky(x, y), polygon_area(corners), np.nan)[np.newaxis]

    (areas,), known = interpolated(grid, areas_at, sky, rtol=SMOOTH_ACCURACY)
    return areas, known


def _areas_of_blocks(sky: SkyTest, whole: float, reach: int) -> tuple[FloatArray, BoolArray]:
    """Areas of pixels in blocks that show sky all over, and pixels of blocks that show some.

    By the corners of all blocks within ``reach``, the length over width of pixels: outlines in
    closed form have no spikes that are longer than they are wide.
    """
    grid = sky.grid
    # A notch in the sky may begin beyond the map.
    along_x, along_y = (
        axis.place(np.arange(-reach * BLOCK, axis.count + (reach + 1) * BLOCK, float(BLOCK)))
        for axis in (grid.x, grid.y)
    )
    corners = cell_corners(sky(*np.meshgrid(along_x, along_y))[np.newaxis])[:, 0]
    within = np.s_[reach:-reach, reach:-reach]
    is_full = ~grown(~np.all(corners, axis=0), reach)[within]
    has_sky = grown(np.any(corners, axis=0), reach)[within]
    # All of a small sky may be in one block.
    todo = ~is_full & (has_sky | ~has_sky.any() | (min(grid.shape) < FEW_PIXELS))
    in_row, in_column = (np.arange(axis.count) // BLOCK for axis in (grid.y, grid.x))
    areas = np.where(is_full, whole, 0.0).take(in_column, axis=1).take(in_row, axis=0)
    return np.asarray(areas), todo.take(in_column, axis=1).take(in_row, axis=0)


def _inner_and_edge(sky: SkyTest, todo: BoolArray, reach: int) -> tuple[Pixels, Pixels]:
    """Rows and columns of marked pixels amid the sky, and of those within ``reach`` of its edge."""
    grid = sky.grid
    # (np.nonzero is slow in two dimensions.)
    row, column = np.divmod(np.flatnonzero(todo), grid.x.count)
    along_x = grid.x.count + 1
    first = row * along_x + column
    nodes = np.zeros((grid.y.count + 1) * along_x, bool)
    corners = [first, first + 1, first + along_x, first + along_x + 1]
    for corner in corners:
        nodes[corner] = True
    wanted = np.flatnonzero(nodes)
    at_y, at_x = np.divmod(wanted, along_x)
    nodes[wanted] = sky(grid.x.edges[at_x], grid.y.edges[at_y])
    on_sky = np.stack([nodes[corner] for corner in corners])
    is_whole, has_sky = on_sky.all(axis=0), np.asarray(on_sky.any(axis=0))
    unseen = np.flatnonzero(~has_sky)
    has_sky[unseen] = sky(grid.x.centres[column[unseen]], grid.y.centres[row[unseen]])
    # Between two corners, the sky may bulge into a pixel, or a notch of its edge may end in one:
    # beside a pixel that the edge cuts, or as far away from it as pixels are long. (All of a small
    # sky may be in one pixel.)
    is_cut = ~is_whole & (has_sky | ~has_sky.any() | (min(grid.shape) < FEW_PIXELS))
    near_edge = np.zeros(grid.shape, bool)
    near_edge[row[is_cut], column[is_cut]] = True
    is_at_edge = grown(near_edge, reach)[row, column]
    is_inner = is_whole & ~is_at_edge
    return (row[is_inner], column[is_inner]), (row[is_at_edge], column[is_at_edge])


def _elongation(sky: SkyTest, places: Places) -> int:
    """Length over width of a typical pixel, rounded, at least 1."""
    shapes = _shape(_small_corners(sky, places))
    known = np.isfinite(shapes)
    typical = float(np.median(shapes[known])) if known.any() else 1.0
    return int(np.clip(np.round(typical), 1, max(sky.grid.shape)))


def _corners(
    grid: SkyGrid, x: FloatArray, y: FloatArray, part: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """The x and y (4, …) of the corners of pixels around places, or of a part of their sides."""
    half_x, half_y = (0.5 * part * step for step in grid.steps)
    return (
        np.stack([x + half_x * side for side in (-1, 1, 1, -1)]),
        np.stack([y + half_y * side for side in (-1, -1, 1, 1)]),
    )


def _of_whole(
    sky: SkyTest, row: IntArray, column: IntArray, bent: float
) -> tuple[FloatArray, BoolArray]:
    """Areas (sr) of pixels that show sky all over, and which of them are too large for these.

    Sides that turn by ``bent`` (rad) or more are followed.
    """
    centre = sky.grid.x.centres[column], sky.grid.y.centres[row]
    x, y = _corners(sky.grid, *centre, 1 - 2 * HAIR)
    corners = sky.vectors(x, y)
    areas, size = polygon_area(corners), _size(corners, sky.vectors(*centre))
    is_large = ~(size < LARGE)
    is_bent = ~is_large & ~((size < SMALL) & (_turn(corners) < bent))
    on_sky = np.ones((4, np.count_nonzero(is_bent)), bool)
    sides = sky_polygons(x[:, is_bent], y[:, is_bent], on_sky, sky, 0, ALONG)
    areas[is_bent] = polygon_area(_vectors(sky, *sides))
    return areas / (1 - 2 * HAIR) ** 2, is_large


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


def _traced(sky: SkyTest, row: IntArray, column: IntArray, cells: int) -> FloatArray:
    """Areas (sr) of pixels that the sky's edge may cut."""
    x, y = lattice_in_pixels(sky.grid, row, column, cells)
    on_sky = sky(x, y)
    areas, is_whole = np.zeros(len(row)), on_sky.all(axis=(1, 2))
    is_left = np.asarray(on_sky.any(axis=(1, 2)))
    areas[is_whole], is_left[is_whole] = _of_whole(sky, row[is_whole], column[is_whole], 0.0)
    left = np.flatnonzero(is_left)
    found, _ = _of_cells(sky, x[left], y[left], on_sky[left], LITTLE_BENT, SPHERE_STEPS, ALONG)
    areas[left] = found.sum(axis=(1, 2)) / (1 - 2 * HAIR) ** 2
    return areas


def _fractions(sky: SkyTest, row: IntArray, column: IntArray, cells: int) -> FloatArray:
    """Fractions of pixels that show sky, by areas on the plane."""
    x, y = lattice_in_pixels(sky.grid, row, column, cells)
    on_sky = sky(x, y)
    fractions = on_sky.all(axis=(1, 2)).astype(float)
    some = on_sky.any(axis=(1, 2)) & (fractions < 1)
    nodes = cell_corners(on_sky[some])
    found = np.asarray(nodes.all(axis=0) / cells**2)
    is_cut = nodes.any(axis=0) & ~nodes.all(axis=0)
    x, y = (cell_corners(v[some])[:, is_cut] for v in (x, y))
    cut = _plane_area(*sky_polygons(x, y, nodes[:, is_cut], sky, PLANE_STEPS, STRAIGHT))
    # (Cells leave out a hair along the sides of pixels.)
    found[is_cut] = cut / abs(np.prod(sky.grid.steps)) / (1 - 2 * HAIR) ** 2
    fractions[some] = found.sum(axis=(1, 2))
    return fractions


def cells_with_sky(
    sky: SkyTest, row: IntArray, column: IntArray, cells: int
) -> tuple[FloatArray, FloatArray]:
    """Areas (sr; n, cells, cells) of cells in pixels, and vectors (…, 3) to their middles.

    Of what they show of the sky, with straight sides; those that show none have an area of 0.
    """
    x, y = lattice_in_pixels(sky.grid, row, column, cells)
    return _of_cells(sky, x, y, sky(x, y), None, PLANE_STEPS, STRAIGHT)


def _of_cells(
    sky: SkyTest,
    x: FloatArray,
    y: FloatArray,
    on_sky: BoolArray,
    bent: float | None,
    steps: int,
    along: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Areas of cells, and vectors to their middles.

    The sky's edge is followed, and sides from ``bent`` on, the angle between opposite ones times
    length over width.
    """
    nodes = cell_corners(on_sky)
    corners = cell_corners(np.where(on_sky[..., np.newaxis], sky.vectors(x, y), np.nan))
    areas, middles = _area_and_centroid(corners)
    is_followed = np.isnan(areas)
    if bent is not None:
        # Of two cells that share a bent side, both follow it.
        with np.errstate(invalid="ignore"):  # of a cell that is a line, 0 × ∞: it is followed
            is_followed |= ~(_turn(corners) * _shape(corners) < bent)
    areas[is_followed] = 0.0
    is_followed &= nodes.any(axis=0)
    x, y = (cell_corners(v)[:, is_followed] for v in (x, y))
    polygons = _vectors(sky, *sky_polygons(x, y, nodes[:, is_followed], sky, steps, along))
    areas[is_followed], middles[is_followed] = _area_and_centroid(polygons)
    return areas, middles


def _plane_area(x: FloatArray, y: FloatArray) -> FloatArray:
    """Areas of plane polygons from their corners (m, n) in order."""
    x, y = x - x[0], y - y[0]
    return np.asarray(0.5 * np.abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum(axis=0)))


def _vectors(sky: SkyTest, x: FloatArray, y: FloatArray) -> FloatArray:
    """Unit vectors (m, n, 3) to the corners of polygons; a corner off the sky repeats the last."""
    corners = sky.vectors(x, y)
    repeat_before(corners, np.isnan(corners[..., :1]))
    return corners
