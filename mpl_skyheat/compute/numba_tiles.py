"""Compiled code that finds the pixels of points by the polynomials of tiles, and counts them.

It is imported only by `loader`. Its functions release the GIL, and write to arrays they are given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from mpl_skyheat.compute.numba_options import compiled

# The numbers of `tile_layout`, repeated, as numba compiles this module anew when its own file
# changes, but not when another does. `loader` compares them.
LEAF = -1
OUTSIDE = -2
OFF = -1
ASK = -2
DEGREE = 13
DRAFT_DEGREE = 5
EDGE = 1e-5

# Pixel index not known yet: the point is in another tile, or near an edge of its draft's pixel.
_LATER = -3

# A tile's coefficients: the polynomials for x and y, their drafts, and the drafts' margin (pixels).
Y = (DEGREE + 1) * (DEGREE + 2) // 2
DRAFT_X = 2 * Y
DRAFT_Y = DRAFT_X + (DRAFT_DEGREE + 1) * (DRAFT_DEGREE + 2) // 2
MARGIN = DRAFT_Y + (DRAFT_DEGREE + 1) * (DRAFT_DEGREE + 2) // 2

# Points, at least, that are located together, in vector registers, by the tile of the first one.
CHUNK = 48

# Points, at most, that are located together if all are in that tile.
LONGEST = 6144

# Points of which those left by that are sorted by tile together.
BLOCK = 2**16

# Longitudes beyond this (deg) have too few digits, and are left to the exact route.
FAR = 1e4


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
    """Evaluate Σ cᵢⱼ uⁱ vʲ of total degree 5 (DRAFT_DEGREE), unrolled for vector registers."""
    # fmt: off
    u5 = c[k]
    u4 = c[k+1] * v + c[k+2]
    u3 = (c[k+3] * v + c[k+4]) * v + c[k+5]
    u2 = ((c[k+6] * v + c[k+7]) * v + c[k+8]) * v + c[k+9]
    u1 = (((c[k+10] * v + c[k+11]) * v + c[k+12]) * v + c[k+13]) * v + c[k+14]
    u0 = ((((c[k+15] * v + c[k+16]) * v + c[k+17]) * v + c[k+18]) * v + c[k+19]) * v + c[k+20]
    # fmt: on
    return ((((u5 * u + u4) * u + u3) * u + u2) * u + u1) * u + u0


@njit(inline="always")
def _pixel(x: float, y: float, across: float, up: float, margin: float, otherwise: int) -> Any:
    """Flat index of the pixel at x, y (pixels); ``otherwise`` within a margin of its edges.

    Without branches, so that it runs in vector registers.
    """
    column, row = np.floor(x), np.floor(y)
    dx, dy = x - column, y - row
    # Less than the margin: rounding must not put points at the map's edge off the map.
    off = margin - 0.5 * EDGE
    on_map = (x > -off) & (x < across + off) & (y > -off) & (y < up + off)
    near = (dx < margin) | (dx > 1 - margin) | (dy < margin) | (dy > 1 - margin)
    found = np.int32(row * across + column)
    found = np.int32(otherwise) if near else found
    return found if on_map else np.int32(OFF)


@njit(inline="always")
def _top(lon: float, lat: float, rows: Any, boxes: Any) -> Any:
    """Undivided tile that holds a position, and the place (−1 … 1 along both axes) in it."""
    bottom, per_height, first, west, per_width = rows
    row = min(max(int((lat - bottom) * per_height), 0), len(west) - 1)
    east = lon - west[row]
    east = (east - 360.0 * np.floor(east * (1 / 360.0))) * per_width[row]
    column = min(int(east), first[row + 1] - first[row] - 1)
    node = first[row] + column
    return node, 2.0 * (east - column) - 1.0, (lat - boxes[node, 1]) * boxes[node, 3]


@njit(inline="always")
def _part(node: int, u: float, v: float, child: Any) -> Any:
    """Smallest part of a tile that holds a place u, v (−1 … 1) of it, and the place in the part."""
    while child[node] >= 0:
        right, up = u >= 0, v >= 0
        node = child[node] + int(right) + 2 * int(up)
        u = 2.0 * u - 1.0 if right else 2.0 * u + 1.0
        v = 2.0 * v - 1.0 if up else 2.0 * v + 1.0
    return node, u, v


@njit(inline="always")
def _in_box(lon: float, lat: float, box: Any) -> Any:
    """Place (−1 … 1 along both axes) of a position in a tile, and whether it is in the tile."""
    east = lon - box[0] + 180.0
    u = (east - 360.0 * np.floor(east * (1 / 360.0)) - 180.0) * box[2]
    v = (lat - box[1]) * box[3]
    return u, v, (abs(u) <= 1.0) & (abs(v) <= 1.0) & (abs(lon) < FAR) & (abs(lat) < 90.0)


@compiled
def _run_end(lon: Any, lat: Any, low: int, stop: int, box: Any) -> int:
    """End of a run of points: a chunk, doubled while all added points are in the tile.

    It matters for speed only, as each point is tested again.
    """
    end, most = min(low + CHUNK, stop), min(low + LONGEST, stop)
    while end < most:
        following = min(2 * end - low, most)
        if _number_in_box(lon[end:following], lat[end:following], box) < following - end:
            break
        end = following
    return end


@compiled
def _number_in_box(lon: Any, lat: Any, box: Any) -> Any:
    number = np.int32(0)
    for k in range(len(lon)):
        _, _, here = _in_box(lon[k], lat[k], box)
        number += np.int32(here)
    return number


@compiled
def _locate_together(
    lon: Any, lat: Any, box: Any, c: Any, kind: int, size: Any, pixels: Any
) -> Any:
    """Find the pixels of the points in one tile for which its draft suffices; count the others."""
    across, up = float(size[0]), float(size[1])
    later, left = np.int32(_LATER), np.int32(0)
    outside = np.int32(OFF) if kind == OUTSIDE else np.int32(0)
    for k in range(len(lon)):  # without branches, for vector registers
        u, v, here = _in_box(lon[k], lat[k], box)
        x, y = _draft(c, DRAFT_X, u, v), _draft(c, DRAFT_Y, u, v)
        found = _pixel(x, y, across, up, c[MARGIN], _LATER) | outside
        pixel = found if here else later
        pixels[k] = pixel
        left += np.int32(pixel == later)
    return left


@compiled
def locate(lon: Any, lat: Any, rows: Any, tree: Any, hits: Any, size: Any, pixels: Any) -> int:
    """Find the pixels of points (deg): flat indices, OFF or ASK; return the number of ASK.

    ``hits`` counts the points in each tile that has no polynomial. ``size`` are nx and ny.
    """
    boxes, child, terms = tree
    asked = 0
    is_ordered = True
    # Points left for the second, sorted pass: row, tile, position in the tile.
    points, nodes = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32)
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
                node, east, up = _top(lon[low], lat[low], rows, boxes)
                node, _, _ = _part(node, east, up, child)
                if child[node] == LEAF or child[node] == OUTSIDE:
                    high = _run_end(lon, lat, low, stop, boxes[node])
                    some = lon[low:high], lat[low:high], boxes[node], terms[node]
                    left = _locate_together(*some, child[node], size, pixels[low:high])
                # Where four tiles meet, each has a quarter of an ordered chunk.
                is_ordered = 8 * left < 7 * (high - low)
            if left == 0:
                continue
            for k in range(low, high):
                if pixels[k] != _LATER:
                    continue
                if _is_position(lon[k], lat[k]):
                    points[waiting] = k
                    waiting += 1
                else:
                    pixels[k] = ASK
                    asked += 1
        # Loops of one step each, as the processor then predicts branches better.
        for i in range(waiting):
            k = points[i]
            nodes[i], u[i], v[i] = _top(lon[k], lat[k], rows, boxes)
        _find_parts(nodes[:waiting], u, v, child)
        places = points[:waiting], nodes[:waiting], u, v
        asked += _locate_sorted(*places, child, terms, hits, size, pixels)
    return asked


@njit(inline="always")
def _is_position(lon: float, lat: float) -> Any:
    """Whether polynomials may serve a position; at a pole astropy's result may depend on lon."""
    return (abs(lon) < FAR) & (abs(lat) < 90.0)


@compiled
def _find_parts(nodes: Any, u: Any, v: Any, child: Any) -> None:
    """Replace divided tiles by the parts of them that hold the points."""
    cut = np.empty(len(nodes) + 1, np.int32)
    count = 0
    for i in range(len(nodes)):
        cut[count] = i
        count += child[nodes[i]] >= 0
    for i in cut[:count]:
        nodes[i], u[i], v[i] = _part(nodes[i], u[i], v[i], child)


@compiled
def _locate_sorted(
    rows: Any, nodes: Any, u: Any, v: Any, child: Any, terms: Any, hits: Any, size: Any, pixels: Any
) -> int:
    """Find the pixels of points in the order of their tiles; return the number of ASK."""
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
    across, up = float(size[0]), float(size[1])
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
            c = terms[node]
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
            c = terms[nodes[k]]
            x, y = _polynomial(c, 0, u[k], v[k]), _polynomial(c, Y, u[k], v[k])
            pixel = _pixel(x, y, across, up, EDGE, ASK)
            asked += pixel == ASK
        pixels[rows[k]] = pixel
    return asked


@compiled
def _draft_pixels(u: Any, v: Any, c: Any, across: float, up: float, found: Any) -> None:
    """Find the pixels of points in one tile for which its draft suffices."""
    for k in range(len(u)):
        x, y = _draft(c, DRAFT_X, u[k], v[k]), _draft(c, DRAFT_Y, u[k], v[k])
        found[k] = _pixel(x, y, across, up, c[MARGIN], _LATER)


@compiled
def tally(pixels: Any, counts: Any) -> int:
    """Count points by pixel; return the number of those on the map."""
    total = 0
    for k in range(len(pixels)):
        if pixels[k] >= 0:
            counts[pixels[k]] += 1
            total += 1
    return total


@compiled
def add(pixels: Any, amounts: Any, sums: Any) -> None:
    """Add ``amounts`` of rows to the ``sums`` of pixels, row by row; none of rows off the map."""
    for k in range(len(pixels)):
        if pixels[k] >= 0:
            sums[pixels[k]] += amounts[k]
