"""Functions of a map's pixels that are smooth over most of it, from a few of their values.

The grid is cut into blocks, on which the function is interpolated at Chebyshev nodes and compared
at points between them. Pixels near an edge, a pole or a tear, or without sky, remain unknown: the
caller evaluates the function in each of them.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev

from mpl_skyheat.compute.threads import product
from mpl_skyheat.sky.sky_edge import HAIR

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.sky.grid import Axis, SkyGrid

    # Places x, y on the plane -> whether they show sky.
    IsSky = Callable[[FloatArray, FloatArray], BoolArray]
    # Places x, y on the plane, of one shape -> k values, of shape (k, *shape), or NaN.
    Values = Callable[[FloatArray, FloatArray], FloatArray]


# Degree of the polynomials, along x and along y.
DEGREE = 10

# Shortest side (pixels) of a grid: on smaller ones, polynomials take longer than the pixels.
SMALLEST_GRID = 2 * DEGREE

# Shortest side (pixels) that blocks are cut to.
SMALLEST = 32

# The comparison reaches beyond a block by this fraction of its half-width, though not beyond the
# grid, so that an edge of the sky nearby is noticed.
REACH = 0.1

# Number of blocks that are evaluated together.
TOGETHER = 32


def interpolated(
    grid: SkyGrid,
    function: Values,
    is_sky: IsSky,
    *,
    number: int = 1,
    rtol: float = 0.0,
    atol: float = 0.0,
) -> tuple[FloatArray, BoolArray]:
    """A function of k = ``number`` values in the pixels of a grid, to ``rtol`` and ``atol``.

    Of shape (k, ny, nx); and where it is known (elsewhere 0).
    """
    values = np.zeros((number, *grid.shape))
    known = np.zeros(grid.shape, bool)
    if min(grid.shape) < SMALLEST_GRID:
        return values, known
    ny, nx = grid.shape
    # Bottom, top, left and right of each block.
    todo = np.array([[0, ny, 0, nx]])
    while len(todo):
        blocks, todo = todo[-TOGETHER:], todo[:-TOGETHER]
        fits, is_lost, coefficients = _fitted(grid, blocks, function, number, rtol, atol)
        fits[fits] = _has_border(grid, blocks[fits], is_sky)
        for block, terms in zip(blocks[fits], coefficients[fits], strict=True):
            inner = np.s_[block[0] : block[1], block[2] : block[3]]
            values[:, *inner] = _evaluated(grid, block, terms)
            known[inner] = True
        # (Blocks without any value are not cut further.)
        todo = np.concatenate([todo, _cut(blocks[~fits & ~is_lost])])
    return values, known


def _has_border(grid: SkyGrid, blocks: IntArray, is_sky: IsSky) -> BoolArray:
    """Whether blocks have sky all along their outer edges, at two places in every pixel.

    A gap in the sky that lies between the points of the comparison crosses an edge of the block.
    """
    if not len(blocks):
        return np.zeros(0, bool)
    (x, number_x), (y, number_y) = _halves(*blocks.T[2:]), _halves(*blocks.T[:2])
    ends_x, ends_y = (np.cumsum(number) for number in (number_x, number_y))
    starts_x, starts_y = ends_x - number_x, ends_y - number_y
    sides = [(x, np.repeat(y[at], number_x), starts_x) for at in (starts_y, ends_y - 1)]
    sides += [(np.repeat(x[at], number_y), y, starts_y) for at in (starts_x, ends_x - 1)]
    places_x, places_y = (np.concatenate([side[i] for side in sides]) for i in (0, 1))
    found = is_sky(grid.x.place(places_x), grid.y.place(places_y))
    parts = np.split(found, np.cumsum([len(side[0]) for side in sides])[:-1])
    along = [
        np.logical_and.reduceat(part, starts)
        for part, (_, _, starts) in zip(parts, sides, strict=True)
    ]
    return np.asarray(np.all(along, axis=0))


def _halves(start: IntArray, stop: IntArray) -> tuple[FloatArray, IntArray]:
    """Edges and middles of all blocks' pixels, `HAIR` inside at both ends; numbers of each."""
    number = 2 * (stop - start) + 1
    ends = np.cumsum(number)
    halves: FloatArray = 0.5 * (np.arange(ends[-1]) + np.repeat(2 * start - ends + number, number))
    halves[ends - number] += HAIR
    halves[ends - 1] -= HAIR
    return halves, number


def _fitted(
    grid: SkyGrid, blocks: IntArray, function: Values, number: int, rtol: float, atol: float
) -> tuple[BoolArray, BoolArray, FloatArray]:
    """Which blocks a polynomial fits, which have no value, and the terms (blocks, k, y, x)."""
    nodes, checks, to_terms, from_terms = _points()
    terms = np.zeros((len(blocks), number, len(nodes), len(nodes)))
    judges = _across(grid, blocks, checks, function)
    finite = np.isfinite(judges)
    fits = np.asarray(finite.all(axis=(1, 2, 3)))
    is_lost = np.asarray(~finite.any(axis=(1, 2, 3)))
    if not fits.any():
        return fits, is_lost, terms
    terms[fits] = to_terms @ _across(grid, blocks[fits], nodes, function) @ to_terms.T
    with np.errstate(invalid="ignore"):
        error = np.abs(from_terms @ terms[fits] @ from_terms.T - judges[fits])
        fits[fits] = (error <= rtol * np.abs(judges[fits]) + atol).all(axis=(1, 2, 3))
    return fits, is_lost, terms


@cache
def _points() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Nodes, checks between them (−1 … 1), and the matrices nodes -> terms and terms -> checks."""
    nodes = np.asarray(chebyshev.chebpts1(DEGREE + 1), float)
    checks = np.concatenate([[-1.0], 0.5 * (nodes[1:] + nodes[:-1]), [1.0]])
    to_terms = np.asarray(np.linalg.inv(chebyshev.chebvander(nodes, DEGREE)), float)
    return nodes, checks, to_terms, np.asarray(chebyshev.chebvander(checks, DEGREE), float)


def _across(grid: SkyGrid, blocks: IntArray, t: FloatArray, function: Values) -> FloatArray:
    """The function (blocks, k, y, x) at t × t in −1 … 1 of blocks."""
    y = _places(grid.y, blocks[:, 0], blocks[:, 1], t)[:, :, None]
    x = _places(grid.x, blocks[:, 2], blocks[:, 3], t)[:, None, :]
    return np.moveaxis(function(*np.broadcast_arrays(x, y)), 0, 1)


def _range(axis: Axis, start: IntArray, stop: IntArray) -> tuple[FloatArray, FloatArray]:
    """First and last pixel that the comparison reaches to, in pixels from the first centre."""
    reach = REACH * 0.5 * (stop - start)
    return np.maximum(start - reach, 0), np.minimum(stop - 1 + reach, axis.count - 1)


def _places(axis: Axis, start: IntArray, stop: IntArray, t: FloatArray) -> FloatArray:
    """Places on the plane (blocks, t) at t in −1 … 1 of `_range`."""
    first, last = _range(axis, start, stop)
    numbers = 0.5 * (first + last)[:, None] + 0.5 * (last - first)[:, None] * t
    return axis.place(numbers + 0.5)


def _evaluated(grid: SkyGrid, block: IntArray, terms: FloatArray) -> FloatArray:
    """The values of a polynomial in all pixels of its block."""
    vanders = []
    for axis, start, stop in ((grid.y, *block[:2]), (grid.x, *block[2:])):
        first, last = _range(axis, start, stop)
        vanders.append(_vander(int(stop - start), float(first - start), float(last - start)))
    rows = vanders[0] @ terms
    values = product(rows.reshape(-1, DEGREE + 1), np.ascontiguousarray(vanders[1].T))
    return values.reshape(*rows.shape[:2], -1)


@lru_cache(maxsize=64)
def _vander(count: int, first: float, last: float) -> FloatArray:
    """The Chebyshev polynomials at 0 … count, where −1 … 1 is first … last."""
    t = (2 * np.arange(count) - (first + last)) / (last - first)
    return np.asarray(chebyshev.chebvander(t, DEGREE), float)


def _cut(blocks: IntArray) -> IntArray:
    """Blocks, cut in two along each side that is long enough; smaller blocks are dropped."""
    sides = blocks[:, 1::2] - blocks[:, ::2]
    blocks, sides = (v[(sides >= 2 * SMALLEST).any(axis=1)] for v in (blocks, sides))
    for axis in (0, 1):
        low, high = 2 * axis, 2 * axis + 1
        side = blocks[:, high] - blocks[:, low]
        # A side that is less than half as long as the other is not cut.
        is_long = (side >= 2 * SMALLEST) & (2 * side > blocks[:, 3 - low] - blocks[:, 2 - low])
        middle = (blocks[:, low] + blocks[:, high]) // 2
        first, second = blocks.copy(), blocks[is_long].copy()
        first[is_long, high] = middle[is_long]
        second[:, low] = middle[is_long]
        blocks = np.concatenate([first, second])
    return blocks
