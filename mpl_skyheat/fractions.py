"""How much of every pixel of a grid shows sky, as a fraction of its area on the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.grid import to_vectors
from mpl_skyheat.patches import covered
from mpl_skyheat.skyedge import (
    LARGE_MAP,
    SkyTest,
    at_corners,
    cell_corners,
    in_parts,
    marked,
    places_all_over,
    repeat_corners,
    sky_polygons,
    split_pixels,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# Pixels that are cut by the edge of the sky are split into this many cells a side; into fewer on
# maps that are long, or large along both sides, where the edge is that much straighter in a pixel.
SPLIT = 8
SPLIT_OF_LONG, SPLIT_OF_LARGE = 4, 2

# Whether a notch of the sky's edge ends between a pixel's corners is seen by so many cells a side.
NOTCH, NOTCH_OF_LONG = 4, 2

# The edge is found on the side of a cell by so many bisections: to 1/128 of it, on either side.
EDGE_STEPS = 6

# The shape of pixels is that at so many places a side.
SOME = 8

# On grids with a shorter side, no pixel is given up as off the sky by its corners.
FEW = 20


def sky_fractions(sky: SkyTest) -> FloatArray:
    """Return the part (0 … 1) of every pixel that shows sky."""
    grid = sky.grid
    known, empty = covered(grid, sky)
    if known.all():
        return np.ones(grid.shape)
    nodes, unknown = at_corners(known), at_corners(~known & ~empty)
    rows, columns = marked(unknown)
    nodes[rows, columns] |= sky(grid.x.edges[columns], grid.y.edges[rows])
    corners = nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, :-1], nodes[1:, 1:]
    whole = np.all(corners, axis=0)
    elongation = _elongation(sky)
    # The sky may bulge into a pixel between two corners: then it touches the pixel beside it, or
    # one that is as far away as pixels are long.
    near_sky = _grown(np.any(corners, axis=0), elongation) | (min(grid.shape) < FEW)
    split, notch = SPLIT, NOTCH
    if max(grid.shape) >= LARGE_MAP:
        split = SPLIT_OF_LARGE if min(grid.shape) > LARGE_MAP else SPLIT_OF_LONG
        notch = NOTCH_OF_LONG
    near_edge = _grown(near_sky & ~whole, 1 + elongation) & near_sky & whole & ~known
    for row, column in in_parts(near_edge):
        # A notch may end in them, between their corners.
        x, y = split_pixels(grid.x.edges[column], grid.y.edges[row], *grid.steps, notch)
        whole[row, column] = sky(x, y).all(axis=(1, 2))
    fractions: FloatArray = whole.astype(float)
    for row, column in in_parts(near_sky & ~whole):
        left, bottom = grid.x.edges[column], grid.y.edges[row]
        fractions[row, column] = _split_fractions(left, bottom, sky, split)
    return fractions


def _elongation(sky: SkyTest) -> int:
    """Return how many pixels side by side are about as long as one is."""
    grid = sky.grid
    x, y = places_all_over(grid, SOME)
    step = 1e-2
    here, right, above = (
        to_vectors(*sky.to_sky(x + dx * step * grid.x.step, y + dy * step * grid.y.step))
        for dx, dy in ((0, 0), (1, 0), (0, 1))
    )
    width, height = (np.linalg.norm(there - here, axis=-1) for there in (right, above))
    known = (width > 0) & (height > 0)  # (and no NaN)
    if not known.any():
        return 1
    ratio = float(np.median(width[known] / height[known]))
    return int(np.clip(np.round(max(ratio, 1 / ratio)), 1, max(grid.shape)))


def _grown(pixels: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Mark pixels around marked ones, too, so many times."""
    for _ in range(steps):
        rows = pixels.copy()
        rows[1:] |= pixels[:-1]
        rows[:-1] |= pixels[1:]
        pixels = rows.copy()
        pixels[:, 1:] |= rows[:, :-1]
        pixels[:, :-1] |= rows[:, 1:]
    return pixels


def _split_fractions(left: FloatArray, bottom: FloatArray, sky: SkyTest, split: int) -> FloatArray:
    """Return the fractions of pixels, from a lattice in each."""
    x, y = split_pixels(left, bottom, *sky.grid.steps, split)
    nodes = cell_corners(sky(x, y))
    fractions = nodes.all(axis=0).astype(float)
    cut = nodes.any(axis=0) & (fractions == 0)
    if cut.any():
        polygon_x, polygon_y, present = sky_polygons(
            cell_corners(x)[:, cut],
            cell_corners(y)[:, cut],
            nodes[:, cut],
            sky,
            EDGE_STEPS,
            midway=True,
        )
        repeat_corners(polygon_x, present)
        repeat_corners(polygon_y, present)
        cell = sky.grid.x.step * sky.grid.y.step / split**2
        fractions[cut] = _polygon_area(polygon_x, polygon_y) / abs(cell)
    return np.asarray(fractions.mean(axis=(1, 2)))


def _polygon_area(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the areas of polygons from their corners (m, n) in order."""
    x, y = x - x[0], y - y[0]
    return np.asarray(0.5 * np.abs((x[:-1] * y[1:] - x[1:] * y[:-1]).sum(axis=0)))
