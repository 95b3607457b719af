"""How much of every pixel of a grid shows sky, as a fraction of its area on the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.patches import covered
from mpl_skyheat.skyedge import (
    LARGE_MAP,
    SkyTest,
    around,
    at_corners,
    cell_corners,
    in_parts,
    repeat_corners,
    sky_polygons,
    split_pixels,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# Pixels that are cut by the edge of the sky are split into this many cells a side; fewer on large
# maps, where the edge is that much straighter within a pixel.
SPLIT = 8
LARGE_SPLIT = 2

# The edge is found on the side of a cell by so many bisections.
EDGE_STEPS = 10


def sky_fractions(sky: SkyTest) -> FloatArray:
    """Return the part (0 … 1) of every pixel that shows sky."""
    grid = sky.grid
    known, empty = covered(grid, sky)
    if known.all():
        return np.ones(grid.shape)
    nodes, unknown = at_corners(known), at_corners(~known & ~empty)
    rows, columns = np.nonzero(unknown)
    nodes[rows, columns] |= sky(grid.x.edges[columns], grid.y.edges[rows])
    corners = nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, :-1], nodes[1:, 1:]
    whole = np.all(corners, axis=0)
    # The sky may bulge into a pixel between two corners: then it touches the pixel beside it.
    near_sky = np.any(around(np.any(corners, axis=0)), axis=0)
    fractions: FloatArray = whole.astype(float)
    split = SPLIT if max(grid.shape) < LARGE_MAP else LARGE_SPLIT
    for row, column in in_parts(near_sky & ~whole):
        left, bottom = grid.x.edges[column], grid.y.edges[row]
        fractions[row, column] = _split_fractions(left, bottom, sky, split)
    return fractions


def _split_fractions(left: FloatArray, bottom: FloatArray, sky: SkyTest, split: int) -> FloatArray:
    """Return the fractions of pixels, from a lattice in each."""
    x, y = split_pixels(left, bottom, *sky.grid.steps, split)
    nodes = cell_corners(sky(x, y))
    fractions = nodes.all(axis=0).astype(float)
    cut = nodes.any(axis=0) & (fractions == 0)
    if cut.any():
        polygon_x, polygon_y, present = sky_polygons(
            cell_corners(x)[:, cut], cell_corners(y)[:, cut], nodes[:, cut], sky, EDGE_STEPS
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
