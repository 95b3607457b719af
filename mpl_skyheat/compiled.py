"""Kernels that numba compiles: sky positions to pixels by the polynomials of `tiles`.

This module imports numba, and is imported only for catalogues that are large enough to pay for it.
The kernels release the GIL, and read and write arrays that they are given.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial

from mpl_skyheat import compiling, tiles

if TYPE_CHECKING:
    from collections.abc import Callable

# Those of `tiles`, written out: numba compiles this module anew when it changes, but not when
# another does.
NAMES = "LEAF", "OUTSIDE", "DEGREE", "DRAFT_DEGREE", "ASK", "EDGE"
VALUES = LEAF, OUTSIDE, DEGREE, DRAFT_DEGREE, ASK, EDGE = -1, -2, 13, 5, -2, 1e-5
if tuple(getattr(tiles, name) for name in NAMES) != VALUES:
    raise AssertionError("the compiled code and the tiles are of different versions")

# What a point's pixel is, beside ASK, if it is none: off the map; or not known yet, in another tile
# or within a draft's margin of an edge.
OFF, _LATER = -1, -3

# Where the polynomial for y, the drafts, and their margin are among the coefficients of a tile.
Y = (DEGREE + 1) * (DEGREE + 2) // 2
DRAFT_TERMS = (DRAFT_DEGREE + 1) * (DRAFT_DEGREE + 2) // 2
DRAFT_X, DRAFT_Y, MARGIN = 2 * Y, 2 * Y + DRAFT_TERMS, 2 * Y + 2 * DRAFT_TERMS

# Points that are tried together, in vector registers, with the tile of the first of them; the most
# of them if all are in that tile; and those that are sorted by tile where that fails.
CHUNK, LONGEST, BLOCK = 48, 6144, 2**16

# Longitudes beyond this (deg) have lost digits: they are left to the exact route.
FAR = 1e4

# Positions that are turned together.
TURNED = 512

# The power series of sin(r) / r and cos(r) in r², and a polynomial for arctan(t) / t in t², up to
# t = tan(π/8).
SINE = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(8))
COSINE = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(8))
TAN_PI_8 = math.tan(math.pi / 8)
ARCTANGENT = tuple(
    Chebyshev.interpolate(lambda z: np.arctan(np.sqrt(z)) / np.sqrt(z), 10, domain=[0, TAN_PI_8**2])
    .convert(kind=Polynomial)
    .coef.tolist()
)

# Reordering sums is safe here: where rounding is not far less than EDGE, no polynomial passes the
# comparison.
FAST = {"contract", "nsz", "arcp"}


def _compile(function: Callable[..., Any]) -> Any:
    """Compile at first use, and keep the result on disk where that can be written to."""
    options: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    if compiling.has_cache:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for it
            pass
    return njit(**options)(function)


@njit(inline="always")
def _polynomial(c: Any, k: int, u: float, v: float) -> Any:
    """Evaluate Σ cᵢⱼ uⁱ vʲ of total degree DEGREE."""
    total = 0.0
    for terms in range(1, DEGREE + 2):
        factor = 0.0
        for _ in range(terms):
            factor = factor * v + c[k]
            k += 1
        total = total * u + factor
    return total


@njit(inline="always")
def _draft(c: Any, k: int, u: float, v: float) -> Any:
    """Evaluate Σ cᵢⱼ uⁱ vʲ of total degree 5, which is DRAFT_DEGREE.

    Written out, so that it runs in vector registers.
    """
    # fmt: off
    u5 = c[k]
    u4 = c[k+1] * v + c[k+2]
    u3 = (c[k+3] * v + c[k+4]) * v + c[k+5]
    u2 = ((c[k+6] * v + c[k+7]) * v + c[k+8]) * v + c[k+9]
    u1 = (((c[k+10] * v + c[k+11]) * v + c[k+12]) * v + c[k+13]) * v + c[k+14]
    u0 = ((((c[k+15] * v + c[k+16]) * v + c[k+17]) * v + c[k+18]) * v + c[k+19]) * v + c[k+20]
    # fmt: on
    return ((((u5 * u + u4) * u + u3) * u + u2) * u + u1) * u + u0


@_compile
def fit(
    nodes_x: Any,
    nodes_y: Any,
    checks_x: Any,
    checks_y: Any,
    rows: Any,
    places: Any,
    to_series: Any,
    to_terms: Any,
    to_draft: Any,
    to_checks: Any,
    coefficients: Any,
    errors: Any,
) -> None:
    """Fit polynomials to the values (pixels) at the nodes of tiles, and compare them at others.

    ``rows`` and ``places`` are where tiles are in the values at the nodes, and in the others.
    """
    for k in range(len(rows)):
        row, place = rows[k], places[k]
        c = coefficients[place]
        x = nodes_x[row], checks_x[place], c[:Y], c[DRAFT_X:DRAFT_Y]
        y = nodes_y[row], checks_y[place], c[Y:DRAFT_X], c[DRAFT_Y:MARGIN]
        error_x, rest_x = _fit_one(*x, to_series, to_terms, to_draft, to_checks)
        error_y, rest_y = _fit_one(*y, to_series, to_terms, to_draft, to_checks)
        c[MARGIN] = EDGE + max(rest_x, rest_y)
        errors[place] = np.maximum(error_x, error_y)  # (or NaN)


@_compile
def _fit_one(
    nodes: Any,
    checks: Any,
    terms: Any,
    draft: Any,
    to_series: Any,
    to_terms: Any,
    to_draft: Any,
    to_checks: Any,
) -> Any:
    """Return the largest error of a polynomial, and what its draft may be off from it by."""
    series, found = np.zeros(len(terms)), np.zeros(len(checks))
    _add_product(to_series, nodes, series)
    high = len(terms) - len(draft)
    _add_product(to_terms, series, terms)
    _add_product(to_draft, series[high:], draft)
    _add_product(to_checks, terms, found)
    return np.abs(found - checks).max(), np.abs(series[:high]).sum()


@njit(inline="always")
def _add_product(columns: Any, factors: Any, products: Any) -> None:
    """Add the product of a matrix and a vector."""
    for k in range(len(factors)):
        for i in range(len(products)):
            products[i] += columns[k, i] * factors[k]


@_compile
def are_torn(x: Any, y: Any, size: int, leap: float) -> Any:
    """Tell where positions (pixels) on lattices of a size (n, size²) are lost, or leap."""
    torn = np.empty(len(x), np.bool_)
    for row in range(len(x)):
        torn[row] = _is_torn(x[row], y[row], size, leap)
    return torn


@_compile
def _is_torn(x: Any, y: Any, size: int, leap: float) -> Any:
    """Tell so of one lattice."""
    steps, count = np.empty(2 * size * (size - 1)), 0
    for k in range(size * size):
        if not (abs(x[k]) < np.inf and abs(y[k]) < np.inf):
            return True
        for other, has_other in ((k + 1, (k + 1) % size > 0), (k + size, k + size < size * size)):
            if has_other:
                steps[count] = abs(x[other] - x[k]) + abs(y[other] - y[k])
                count += 1
    # One step is so many times as long as half of them with a pixel added.
    return 2 * (leap * (steps + 1) < steps.max()).sum() > count


@njit(inline="always")
def _pixel(x: float, y: float, across: float, up: float, margin: float, otherwise: int) -> Any:
    """Return the flat index of the pixel that x and y (in pixels) lie in.

    ``otherwise`` is what is returned within a margin of its edges. Without branches, so that it
    runs in vector registers.
    """
    column, row = np.floor(x), np.floor(y)
    dx, dy = x - column, y - row
    # Not quite as far off the map, where rounding may say of some of these that they are not near.
    off = margin - 0.5 * EDGE
    on_map = (x > -off) & (x < across + off) & (y > -off) & (y < up + off)
    near = (dx < margin) | (dx > 1 - margin) | (dy < margin) | (dy > 1 - margin)
    found = np.int32(row * across + column)
    found = np.int32(otherwise) if near else found
    return found if on_map else np.int32(OFF)


@njit(inline="always")
def _top(
    lon: float, lat: float, bottom: float, per_height: float, first: Any, west: Any, per_width: Any
) -> Any:
    """Return the tile of the uncut sky that holds a position, and where across it (−1 … 1)."""
    row = min(max(int((lat - bottom) * per_height), 0), len(west) - 1)
    east = lon - west[row]
    east = (east - 360.0 * np.floor(east * (1 / 360.0))) * per_width[row]
    column = min(int(east), first[row + 1] - first[row] - 1)
    return first[row] + column, 2.0 * (east - column) - 1.0


@njit(inline="always")
def _part(node: int, u: float, v: float, child: Any) -> Any:
    """Return the part of a tile that has been cut, down to the last cut, and where in that."""
    while child[node] >= 0:
        right, up = u >= 0, v >= 0
        node = child[node] + int(right) + 2 * int(up)
        u = 2.0 * u - 1.0 if right else 2.0 * u + 1.0
        v = 2.0 * v - 1.0 if up else 2.0 * v + 1.0
    return node, u, v


@njit(inline="always")
def _in_box(lon: float, lat: float, box: Any) -> Any:
    """Return where across a tile a position is (−1 … 1), and whether it is in it at all."""
    east = lon - box[0] + 180.0
    u = (east - 360.0 * np.floor(east * (1 / 360.0)) - 180.0) * box[2]
    v = (lat - box[1]) * box[3]
    return u, v, (abs(u) <= 1.0) & (abs(v) <= 1.0) & (abs(lon) < FAR) & (abs(lat) < 90.0)


@_compile
def _run_end(lon: Any, lat: Any, low: int, stop: int, box: Any) -> int:
    """Return where a run of points ends: a chunk, doubled while all that this adds are in a tile.

    Nothing but speed depends on it: each point is looked at again.
    """
    end, most = min(low + CHUNK, stop), min(low + LONGEST, stop)
    while end < most:
        following = min(2 * end - low, most)
        if _number_in_box(lon[end:following], lat[end:following], box) < following - end:
            break
        end = following
    return end


@_compile
def _number_in_box(lon: Any, lat: Any, box: Any) -> Any:
    number = np.int32(0)
    for k in range(len(lon)):
        _, _, here = _in_box(lon[k], lat[k], box)
        number += np.int32(here)
    return number


@_compile
def _locate_together(
    lon: Any, lat: Any, box: Any, c: Any, kind: int, across: float, up: float, pixels: Any
) -> Any:
    """Find the pixels of those points in one tile, of a kind, that its draft is certain of.

    Returns how many points are left for later.
    """
    later, left = np.int32(_LATER), np.int32(0)
    outside = np.int32(OFF) if kind == OUTSIDE else np.int32(0)
    # Without branches, so that it runs in vector registers.
    for k in range(len(lon)):
        u, v, here = _in_box(lon[k], lat[k], box)
        x, y = _draft(c, DRAFT_X, u, v), _draft(c, DRAFT_Y, u, v)
        found = _pixel(x, y, across, up, c[MARGIN], _LATER) | outside
        pixel = found if here else later
        pixels[k] = pixel
        left += np.int32(pixel == later)
    return left


@_compile
def locate(
    lon: Any,
    lat: Any,
    bottom: float,
    per_height: float,
    first: Any,
    west: Any,
    per_width: Any,
    boxes: Any,
    child: Any,
    coefficients: Any,
    hits: Any,
    nx: int,
    ny: int,
    pixels: Any,
) -> int:
    """Find the pixels of points (deg): flat indices, or OFF or ASK; return how many are the latter.

    ``hits`` counts the points in each tile that has no polynomial.
    """
    asked = 0
    is_ordered = True
    # Those that are not in one tile with their neighbours, or whose pixels a draft leaves open, and
    # where in which tile they are.
    rows, nodes = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
    u, v = np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, len(lon), BLOCK):
        stop = min(start + BLOCK, len(lon))
        waiting = 0
        high = start
        while high < stop:
            low, high = high, min(high + CHUNK, stop)
            pixels[low:high] = _LATER
            left = high - low
            if (is_ordered or (low // CHUNK) % 4 == 0) and _is_position(lon[low], lat[low]):
                node, at = _top(lon[low], lat[low], bottom, per_height, first, west, per_width)
                node, _, _ = _part(node, at, (lat[low] - boxes[node, 1]) * boxes[node, 3], child)
                if child[node] == LEAF or child[node] == OUTSIDE:
                    high = _run_end(lon, lat, low, stop, boxes[node])
                    left = _locate_together(
                        lon[low:high],
                        lat[low:high],
                        boxes[node],
                        coefficients[node],
                        child[node],
                        float(nx),
                        float(ny),
                        pixels[low:high],
                    )
                # (Where four tiles meet, each has but a quarter of an ordered chunk.)
                is_ordered = 8 * left < 7 * (high - low)
            if left == 0:
                continue
            for k in range(low, high):
                if pixels[k] != _LATER:
                    continue
                if _is_position(lon[k], lat[k]):
                    rows[waiting] = k
                    waiting += 1
                else:
                    pixels[k] = ASK
                    asked += 1
        # One step at a time, for as few surprises to the processor as can be.
        for i in range(waiting):
            k = rows[i]
            node, u[i] = _top(lon[k], lat[k], bottom, per_height, first, west, per_width)
            nodes[i], v[i] = node, (lat[k] - boxes[node, 1]) * boxes[node, 3]
        _find_parts(nodes[:waiting], u, v, child)
        asked += _locate_sorted(
            rows[:waiting], nodes[:waiting], u, v, child, coefficients, hits, nx, ny, pixels
        )
    return asked


@njit(inline="always")
def _is_position(lon: float, lat: float) -> Any:
    """Tell whether a position may be in a tile.

    At a pole the exact route may go by the longitude, which polynomials do not know there.
    """
    return (abs(lon) < FAR) & (abs(lat) < 90.0)


@_compile
def _find_parts(nodes: Any, u: Any, v: Any, child: Any) -> None:
    """Replace tiles that have been cut by the parts of them that hold points."""
    cut = np.empty(len(nodes) + 1, np.int32)
    count = 0
    for i in range(len(nodes)):
        cut[count] = i
        count += child[nodes[i]] >= 0
    for i in cut[:count]:
        nodes[i], u[i], v[i] = _part(nodes[i], u[i], v[i], child)


@_compile
def _locate_sorted(
    rows: Any,
    nodes: Any,
    u: Any,
    v: Any,
    child: Any,
    coefficients: Any,
    hits: Any,
    nx: int,
    ny: int,
    pixels: Any,
) -> int:
    """Find the pixels of points in the order of their tiles; return how many are to be asked of."""
    count = len(rows)
    end = np.zeros(len(child) + 1, np.int32)
    for k in range(count):
        end[nodes[k] + 1] += 1
    for node in range(len(child)):
        end[node + 1] += end[node]
    # end[node] is where the node's points begin, and after this loop where they end.
    order = np.empty(count, np.int32)
    for k in range(count):
        order[end[nodes[k]]] = k
        end[nodes[k]] += 1
    across, up = float(nx), float(ny)
    asked = 0
    u_of, v_of = np.empty(count), np.empty(count)
    found = np.empty(count, np.int32)
    for i in range(count):
        u_of[i], v_of[i] = u[order[i]], v[order[i]]
    start = 0
    while start < count:
        node = nodes[order[start]]
        stop = end[node]
        if child[node] == LEAF:
            c = coefficients[node]
            _draft_pixels(u_of[start:stop], v_of[start:stop], c, across, up, found[start:stop])
        elif child[node] == OUTSIDE:
            found[start:stop] = OFF
        else:
            found[start:stop] = ASK
            asked += stop - start
            hits[node] += stop - start
        start = stop
    for i in range(count):
        k, pixel = order[i], found[i]
        if pixel == _LATER:
            c = coefficients[nodes[k]]
            x, y = _polynomial(c, 0, u[k], v[k]), _polynomial(c, Y, u[k], v[k])
            pixel = _pixel(x, y, across, up, EDGE, ASK)
            asked += pixel == ASK
        pixels[rows[k]] = pixel
    return asked


@_compile
def _draft_pixels(u: Any, v: Any, c: Any, across: float, up: float, found: Any) -> None:
    """Find the pixels of those points in one tile that its draft is certain of."""
    for k in range(len(u)):
        x, y = _draft(c, DRAFT_X, u[k], v[k]), _draft(c, DRAFT_Y, u[k], v[k])
        found[k] = _pixel(x, y, across, up, c[MARGIN], _LATER)


@_compile
def tally(pixels: Any, counts: Any) -> int:
    """Count points by pixel; return how many of them are on the map."""
    total = 0
    for k in range(len(pixels)):
        if pixels[k] >= 0:
            counts[pixels[k]] += 1
            total += 1
    return total


@_compile
def add(pixels: Any, weights: Any, in_core: Any, sums: Any) -> tuple[int, int, int]:
    """Add weights by pixel, in their order.

    Returns how many points are in the core, how many are dropped, and the first row with a negative
    weight (−1: none).
    """
    inside = dropped = 0
    for k in range(len(pixels)):
        weight = weights[k]
        if not abs(weight) < np.inf:
            dropped += 1
            continue
        if weight < 0:
            return inside, dropped, k
        if pixels[k] >= 0:
            sums[pixels[k]] += weight
            inside += in_core[pixels[k]]
    return inside, dropped, -1


@njit(inline="always")
def _sine_cosine(angle: float) -> Any:
    """Return sine and cosine of an angle (deg), to 1e-15; in vector registers, as libm's are not.

    By their power series, on ± 45 deg.
    """
    quarter = np.floor(angle * (1 / 90.0) + 0.5)
    r = (angle - 90.0 * quarter) * (np.pi / 180)
    z = r * r
    s, c = SINE, COSINE
    odd = ((((((s[7] * z + s[6]) * z + s[5]) * z + s[4]) * z + s[3]) * z + s[2]) * z + s[1]) * z
    even = ((((((c[7] * z + c[6]) * z + c[5]) * z + c[4]) * z + c[3]) * z + c[2]) * z + c[1]) * z
    sine, cosine = r + r * odd, 1.0 + even
    turn = quarter - 4.0 * np.floor(0.25 * quarter)
    is_odd = (turn == 1.0) | (turn == 3.0)
    first = cosine if is_odd else sine
    second = sine if is_odd else cosine
    return (
        -first if turn >= 2.0 else first,
        -second if (turn == 1.0) | (turn == 2.0) else second,
    )


@njit(inline="always")
def _arctangent(y: float, x: float) -> Any:
    """Return arctan2(y, x), to 1e-15; by a polynomial for ± 22.5 deg."""
    across, up = abs(x), abs(y)
    low, high = min(across, up), max(across, up)
    is_wide = low > TAN_PI_8 * high
    top = low - high if is_wide else low
    bottom = low + high if is_wide else high
    t = top / (bottom + 1e-300)  # (0 for 0, 0)
    z, a = t * t, ARCTANGENT
    terms = (((((a[10] * z + a[9]) * z + a[8]) * z + a[7]) * z + a[6]) * z + a[5]) * z + a[4]
    terms = (((terms * z + a[3]) * z + a[2]) * z + a[1]) * z + a[0]
    angle = t * terms + (0.25 * np.pi if is_wide else 0.0)
    angle = 0.5 * np.pi - angle if up > across else angle
    angle = np.pi - angle if x < 0 else angle
    return -angle if y < 0 else angle


@_compile
def turned(lon: Any, lat: Any, turn: Any, turned_lon: Any, turned_lat: Any) -> None:
    """Write the longitudes and latitudes (rad) of positions (deg) that are turned by a matrix.

    Both are NaN where either is not finite.
    """
    t00, t01, t02 = turn[0, 0], turn[0, 1], turn[0, 2]
    t10, t11, t12 = turn[1, 0], turn[1, 1], turn[1, 2]
    t20, t21, t22 = turn[2, 0], turn[2, 1], turn[2, 2]
    for k in range(len(lon)):
        c, cosine = _sine_cosine(min(max(lat[k], -90.0), 90.0))
        sine, b = _sine_cosine(lon[k])
        a, b = cosine * b, cosine * sine
        x = t00 * a + t01 * b + t02 * c
        y = t10 * a + t11 * b + t12 * c
        z = t20 * a + t21 * b + t22 * c
        turned_lon[k] = _arctangent(y, x)
        turned_lat[k] = _arctangent(z, np.sqrt(x * x + y * y))


@_compile
def spread(
    lon: Any,
    lat: Any,
    weights: Any,
    is_weighted: bool,
    turn: Any,
    is_turned: bool,
    rings: int,
    columns: int,
    lat_step: float,
    lon_step: float,
    has_poles: bool,
    order: int,
    pad: int,
    sums: Any,
) -> None:
    """Spread points over the bins of a lattice with B-spline weights.

    They are turned by a matrix from elsewhere (deg), or are on the lattice (rad). What is not
    finite is left out.
    """
    column, row, share = np.empty(TURNED), np.empty(TURNED), np.empty(TURNED)
    left, across = np.empty(TURNED, np.int32), np.empty((4, TURNED))
    bottom, up = np.empty(TURNED, np.int32), np.empty((4, TURNED))
    for start in range(0, len(lon), TURNED):
        stop = min(start + TURNED, len(lon))
        number = stop - start
        if is_turned:
            turned(lon[start:stop], lat[start:stop], turn, column, row)
        else:
            column[:number], row[:number] = lon[start:stop], lat[start:stop]
        for k in range(number):
            weight = weights[start + k] if is_weighted else 1.0
            x, y = column[k] / lon_step, row[k] / lat_step
            is_on = (abs(x) < np.inf) & (abs(y) < np.inf) & (abs(weight) < np.inf)
            is_on &= has_poles | ((abs(x) < 0.5 * columns) & (abs(y) < 0.5 * rings))
            column[k] = (x if is_on else 0.0) + 0.5 * (columns - 1)
            row[k] = (y if is_on else 0.0) + 0.5 * (rings - 1)
            share[k] = weight if is_on else 0.0
        _splines(column[:number], order, pad, left, across)
        _splines(row[:number], order, pad, bottom, up)
        _add_splines(share[:number], left, across, bottom, up, order, sums)


@_compile
def _splines(places: Any, order: int, pad: int, first: Any, weights: Any) -> None:
    """Write the first bin that a B-spline at each place reaches, and its weights from there on."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    for k in range(len(places)):
        below = np.floor(places[k])
        first[k] = np.int32(below) + np.int32(pad - order // 2)
        w0[k], w1[k], w2[k], w3[k] = _spline(places[k] - below, order)


@_compile
def _add_splines(
    share: Any, left: Any, across: Any, bottom: Any, up: Any, order: int, sums: Any
) -> None:
    """Add the products of splines along rows and columns to the bins that they reach.

    All of these must be there: nothing is checked.
    """
    # (Numbers without a sign: no index is one from the end.)
    flat, width = sums.reshape(-1), np.uint64(sums.shape[1])
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    for k in range(len(share)):
        at = np.uint64(bottom[k]) * width + np.uint64(left[k])
        for i in range(order + 1):
            part = share[k] * up[i, k]
            flat[at] += part * across[0, k]
            flat[at + one] += part * across[1, k]
            if order == 3:
                flat[at + two] += part * across[2, k]
                flat[at + three] += part * across[3, k]
            at += width


@_compile
def add_rings(
    waves: Any, has_points: Any, transfer: Any, first: int, offset: int, result: Any
) -> None:
    """Add what rings from the first on, and those at an offset, give each other.

    Both in the one hemisphere and in the other; ``waves`` and ``result`` have the shape (rings, 2,
    orders), ``transfer`` (pairs, orders). Rings without points have nothing to give.
    """
    last = len(waves) - 1
    for row in range(len(transfer)):
        i = first + row
        j = i + offset
        _add_pair(waves, has_points, transfer[row], i, j, result)
        if i + j != last:  # else these are those in the other hemisphere
            _add_pair(waves, has_points, transfer[row], last - j, last - i, result)


@_compile
def _add_pair(waves: Any, has_points: Any, transfer: Any, i: int, j: int, result: Any) -> None:
    if has_points[j]:
        _add_ring(waves[j], transfer, result[i])
    if i != j and has_points[i]:
        _add_ring(waves[i], transfer, result[j])


@_compile
def _add_ring(of: Any, transfer: Any, to: Any) -> None:
    for part in range(2):
        for m in range(len(transfer)):
            to[part, m] += transfer[m] * of[part, m]


@_compile
def prefilter(waves: Any, turn: Any, first: int, last: int, powers: Any) -> None:
    """Turn samples of some orders, of shape (rings, 2, orders), into coefficients of cubic splines.

    As in `rings`; ``powers`` are those of the pole from the first on, for the rings that the first
    one is begun from.
    """
    pole = powers[0]
    end = len(waves) - 1
    for part in range(2):
        for m in range(first, last):
            total = 0.0
            for k in range(len(powers)):
                total += powers[k] * waves[k, part, m]
            waves[0, part, m] = 6 * (waves[0, part, m] + turn[m] * total)
        for i in range(1, end + 1):
            for m in range(first, last):
                waves[i, part, m] = 6 * waves[i, part, m] + pole * waves[i - 1, part, m]
        for m in range(first, last):
            waves[end, part, m] *= -pole / (1 - pole * turn[m])
        for i in range(end - 1, -1, -1):
            for m in range(first, last):
                waves[i, part, m] = pole * (waves[i + 1, part, m] - waves[i, part, m])


@_compile
def read_off(
    lon: Any,
    lat: Any,
    rings: int,
    columns: int,
    lat_step: float,
    lon_step: float,
    order: int,
    pad: int,
    coefficients: Any,
    values: Any,
) -> None:
    """Write the values of a spline on a lattice at positions (rad) on it."""
    height, width = coefficients.shape
    for k in range(len(lon)):
        if not abs(lon[k]) < np.inf:
            values[k] = np.nan
            continue
        top, row = _corner(lat[k] / lat_step + 0.5 * (rings - 1), order, pad)
        left, column = _corner(lon[k] / lon_step + 0.5 * (columns - 1), order, pad)
        # (No place is off the lattice, but memory must not be read there.)
        top, left = min(max(top, 0), height - 4), min(max(left, 0), width - 4)
        up, across = _spline(row, order), _spline(column, order)
        value = 0.0
        for i in range(order + 1):
            along = coefficients[top + i, left] * across[0]
            along += coefficients[top + i, left + 1] * across[1]
            if order == 3:
                along += coefficients[top + i, left + 2] * across[2]
                along += coefficients[top + i, left + 3] * across[3]
            value += up[i] * along
        values[k] = value


@njit(inline="always")
def _corner(place: float, order: int, pad: int) -> Any:
    """Return the first bin that a spline at a place reaches, and where between bins it is."""
    below = np.floor(place)
    return int(below) - order // 2 + pad, place - below


@njit(inline="always")
def _spline(t: float, order: int) -> Any:
    """Return the weights of a B-spline of order 1 or 3 on the bins around a point."""
    s = 1 - t
    if order == 1:
        return s, t, 0.0, 0.0
    return (
        s * s * s / 6,
        (4 - 6 * t * t + 3 * t * t * t) / 6,
        (4 - 6 * s * s + 3 * s * s * s) / 6,
        t * t * t / 6,
    )
