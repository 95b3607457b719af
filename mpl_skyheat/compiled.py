"""Kernels that numba compiles: sky positions to pixels by the polynomials of `tiles`.

This module imports numba, and is imported only for catalogues that are large enough to pay for it.
The kernels release the GIL, and read and write arrays that they are given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from mpl_skyheat import compiling, tiles

if TYPE_CHECKING:
    from collections.abc import Callable

# Those of `tiles`, written out: numba compiles this module anew when it changes, but not when
# another does.
LEAF, OUTSIDE, TERMS, ASK = -1, -2, 55, -2
if (LEAF, OUTSIDE, TERMS, ASK) != (tiles.LEAF, tiles.OUTSIDE, tiles.TERMS, tiles.ASK):
    raise AssertionError("the compiled code and the tiles are of different versions")

# What a point's pixel is, beside ASK, if it is none: off the map, or in a tile that comes later.
OFF, _ELSEWHERE = -1, -3

# A polynomial is certified to a hundredth of this (pixels): nearer to an edge, the exact route
# decides.
EDGE = 1e-5

# Points that are evaluated together; those of one tile in vector registers.
CHUNK = 128

# Longitudes beyond this (deg) have lost digits: they are left to the exact route.
FAR = 1e4

# Reordering sums is safe here: rounding moves no point by more than 1e-10 pixels.
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
    """Evaluate Σ cᵢⱼ uⁱ vʲ of total degree 9; written out so that it runs in vector registers."""
    # fmt: off
    u9 = c[k]
    u8 = c[k+1] * v + c[k+2]
    u7 = (c[k+3] * v + c[k+4]) * v + c[k+5]
    u6 = ((c[k+6] * v + c[k+7]) * v + c[k+8]) * v + c[k+9]
    u5 = (((c[k+10] * v + c[k+11]) * v + c[k+12]) * v + c[k+13]) * v + c[k+14]
    u4 = ((((c[k+15] * v + c[k+16]) * v + c[k+17]) * v + c[k+18]) * v + c[k+19]) * v + c[k+20]
    u3 = ((((((c[k+21] * v + c[k+22]) * v + c[k+23]) * v + c[k+24]) * v + c[k+25]) * v + c[k+26])
          * v + c[k+27])
    u2 = (((((((c[k+28] * v + c[k+29]) * v + c[k+30]) * v + c[k+31]) * v + c[k+32]) * v + c[k+33])
          * v + c[k+34]) * v + c[k+35])
    u1 = ((((((((c[k+36] * v + c[k+37]) * v + c[k+38]) * v + c[k+39]) * v + c[k+40]) * v +
          c[k+41]) * v + c[k+42]) * v + c[k+43]) * v + c[k+44])
    u0 = (((((((((c[k+45] * v + c[k+46]) * v + c[k+47]) * v + c[k+48]) * v + c[k+49]) * v +
          c[k+50]) * v + c[k+51]) * v + c[k+52]) * v + c[k+53]) * v + c[k+54])
    # fmt: on
    return (
        (((((((u9 * u + u8) * u + u7) * u + u6) * u + u5) * u + u4) * u + u3) * u + u2) * u + u1
    ) * u + u0


@_compile
def _pixel(x: float, y: float, nx: int, ny: int) -> int:
    """Return the flat index of the pixel that x and y (in pixels) lie in."""
    column, row = np.floor(x), np.floor(y)
    dx, dy = x - column, y - row
    if not ((x > -EDGE) & (x < nx + EDGE) & (y > -EDGE) & (y < ny + EDGE)):
        return OFF
    if (dx < EDGE) | (dx > 1 - EDGE) | (dy < EDGE) | (dy > 1 - EDGE):
        return ASK
    return int(row * nx + column)


@_compile
def _find(
    lon: float,
    lat: float,
    bottom: float,
    per_height: float,
    first: Any,
    west: Any,
    per_width: Any,
    boxes: Any,
    child: Any,
) -> tuple[int, float, float]:
    """Return the node of the tile that holds a position, and where in it (−1 … 1)."""
    row = min(max(int((lat - bottom) * per_height), 0), len(west) - 1)
    east = lon - west[row]
    east = (east - 360.0 * np.floor(east * (1 / 360.0))) * per_width[row]
    column = min(int(east), first[row + 1] - first[row] - 1)
    node = first[row] + column
    u = 2.0 * (east - column) - 1.0
    v = (lat - boxes[node, 1]) * boxes[node, 3]
    while child[node] >= 0:
        right, up = u >= 0, v >= 0
        node = child[node] + int(right) + 2 * int(up)
        u = 2.0 * u - 1.0 if right else 2.0 * u + 1.0
        v = 2.0 * v - 1.0 if up else 2.0 * v + 1.0
    return node, u, v


@_compile
def _locate_together(
    lon: Any, lat: Any, box: Any, c: Any, is_outside: bool, nx: int, ny: int, pixels: Any
) -> Any:
    """Find the pixels of those points that are in one tile.

    Returns how many points are still elsewhere, and how many new ones are to be asked of.
    """
    across, up = float(nx), float(ny)
    off, ask, elsewhere = np.int32(OFF), np.int32(ASK), np.int32(_ELSEWHERE)
    outside = off if is_outside else np.int32(0)
    left, asked = np.int32(0), np.int32(0)
    # Without branches, so that it runs in vector registers.
    for k in range(len(lon)):
        east = lon[k] - box[0] + 180.0
        u = (east - 360.0 * np.floor(east * (1 / 360.0)) - 180.0) * box[2]
        v = (lat[k] - box[1]) * box[3]
        here = (abs(u) <= 1.0) & (abs(v) <= 1.0) & (abs(lon[k]) < FAR) & (abs(lat[k]) <= 90.0)
        here &= pixels[k] == elsewhere
        x, y = _polynomial(c, 0, u, v), _polynomial(c, TERMS, u, v)
        column, row = np.floor(x), np.floor(y)
        dx, dy = x - column, y - row
        on_map = (x > -EDGE) & (x < across + EDGE) & (y > -EDGE) & (y < up + EDGE)
        near = (dx < EDGE) | (dx > 1 - EDGE) | (dy < EDGE) | (dy > 1 - EDGE)
        found = np.int32(row * across + column)
        found = ask if near else found
        found = (found if on_map else off) | outside
        pixel = found if here else pixels[k]
        pixels[k] = pixel
        left += np.int32(pixel == elsewhere)
        asked += np.int32(here & (pixel == ask))
    return left, asked


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
    count = len(lon)
    asked = 0
    is_ordered = True
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        for k in range(start, stop):
            pixels[k] = _ELSEWHERE
        left, k = stop - start, start
        # Where points come in no order, tiles hold but a few of those that follow each other.
        tries = 4 if is_ordered or (start // CHUNK) % 16 == 0 else 0
        while tries > 0 and left > CHUNK // 12:
            while pixels[k] != _ELSEWHERE:
                k += 1
            tries -= 1
            if not (abs(lon[k]) < FAR and abs(lat[k]) <= 90.0):
                break
            node, _, _ = _find(
                lon[k], lat[k], bottom, per_height, first, west, per_width, boxes, child
            )
            if child[node] != LEAF and child[node] != OUTSIDE:
                break
            before = left
            left, near = _locate_together(
                lon[start:stop],
                lat[start:stop],
                boxes[node],
                coefficients[node],
                child[node] == OUTSIDE,
                nx,
                ny,
                pixels[start:stop],
            )
            asked += near
            is_ordered = before - left > CHUNK // 8
            if not is_ordered:
                break
        if left == 0:
            continue
        for k in range(start, stop):
            if pixels[k] != _ELSEWHERE:
                continue
            pixel = ASK
            if abs(lon[k]) < FAR and abs(lat[k]) <= 90.0:
                node, u, v = _find(
                    lon[k], lat[k], bottom, per_height, first, west, per_width, boxes, child
                )
                if child[node] == LEAF:
                    c = coefficients[node]
                    pixel = _pixel(_polynomial(c, 0, u, v), _polynomial(c, TERMS, u, v), nx, ny)
                elif child[node] == OUTSIDE:
                    pixel = OFF
                else:
                    hits[node] += 1
            asked += pixel == ASK
            pixels[k] = pixel
    return asked


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


@_compile
def spread(
    lon: Any,
    lat: Any,
    weights: Any,
    is_weighted: bool,
    turn: Any,
    rings: int,
    columns: int,
    lat_step: float,
    lon_step: float,
    has_poles: bool,
    order: int,
    pad: int,
    sums: Any,
) -> None:
    """Spread points (deg), turned by a matrix, over the bins of a lattice with B-spline weights.

    What is not finite is left out.
    """
    in_row, in_column = np.zeros(4), np.zeros(4)
    to_radians = np.pi / 180
    for k in range(len(lon)):
        weight = weights[k] if is_weighted else 1.0
        if not (abs(lon[k]) < np.inf and abs(lat[k]) < np.inf and abs(weight) < np.inf):
            continue
        longitude, latitude = lon[k] * to_radians, min(max(lat[k], -90.0), 90.0) * to_radians
        cosine = np.cos(latitude)
        a, b, c = cosine * np.cos(longitude), cosine * np.sin(longitude), np.sin(latitude)
        x = turn[0, 0] * a + turn[0, 1] * b + turn[0, 2] * c
        y = turn[1, 0] * a + turn[1, 1] * b + turn[1, 2] * c
        z = turn[2, 0] * a + turn[2, 1] * b + turn[2, 2] * c
        row = np.arctan2(z, np.sqrt(x * x + y * y)) / lat_step
        column = np.arctan2(y, x) / lon_step
        if not has_poles and not (abs(row) < 0.5 * rings and abs(column) < 0.5 * columns):
            continue
        row += 0.5 * (rings - 1)
        column += 0.5 * (columns - 1)
        below, left = np.floor(row), np.floor(column)
        _spline(row - below, order, in_row)
        _spline(column - left, order, in_column)
        top, first = int(below) - order // 2 + pad, int(left) - order // 2 + pad
        for i in range(order + 1):
            share = in_row[i] * weight
            for j in range(order + 1):
                sums[top + i, first + j] += share * in_column[j]


@_compile
def _spline(t: float, order: int, weights: Any) -> None:
    """Write the weights of a B-spline of order 1 or 3 on the bins around a point."""
    s = 1 - t
    if order == 1:
        weights[0], weights[1] = s, t
        return
    weights[0] = s * s * s / 6
    weights[1] = (4 - 6 * t * t + 3 * t * t * t) / 6
    weights[2] = (4 - 6 * s * s + 3 * s * s * s) / 6
    weights[3] = t * t * t / 6


@_compile
def _write_vectors(lon: Any, lat: Any, vectors: Any) -> None:
    """Write the unit vectors of a row of positions (deg)."""
    to_radians = np.pi / 180
    for k in range(len(lon)):
        cosine = np.cos(lat[k] * to_radians)
        vectors[0, k] = cosine * np.cos(lon[k] * to_radians)
        vectors[1, k] = cosine * np.sin(lon[k] * to_radians)
        vectors[2, k] = np.sin(lat[k] * to_radians)


@_compile
def _triangle(a: Any, i: int, b: Any, j: int, c: Any, k: int) -> float:
    """Return the signed solid angle of a triangle, as `areas.quadrilateral_area` does."""
    ax, ay, az = a[0, i], a[1, i], a[2, i]
    bx, by, bz = b[0, j], b[1, j], b[2, j]
    cx, cy, cz = c[0, k], c[1, k], c[2, k]
    px, py, pz = bx - ax, by - ay, bz - az
    qx, qy, qz = cx - ax, cy - ay, cz - az
    triple = ax * (py * qz - pz * qy) + ay * (pz * qx - px * qz) + az * (px * qy - py * qx)
    dots = ax * bx + ay * by + az * bz + bx * cx + by * cy + bz * cz + cx * ax + cy * ay + cz * az
    return 2 * np.arctan2(triple, 1 + dots)  # type: ignore[no-any-return]


@_compile
def _square(a: Any, i: int, b: Any, j: int) -> Any:
    """Return the square of the distance between two vectors."""
    x, y, z = a[0, i] - b[0, j], a[1, i] - b[1, j], a[2, i] - b[2, j]
    return x * x + y * y + z * z


@_compile
def cell_areas(lon: Any, lat: Any, longest: float, areas: Any, sound: Any) -> None:
    """Write the solid angles between the nodes of a lattice (deg), where they are sound.

    They are not, and 0, where a corner is NaN or a diagonal longer than a chord of ``longest``.
    """
    ny, nx = areas.shape
    below, above = np.empty((3, nx + 1)), np.empty((3, nx + 1))
    _write_vectors(lon[0], lat[0], below)
    for j in range(ny):
        _write_vectors(lon[j + 1], lat[j + 1], above)
        for i in range(nx):
            area = abs(
                _triangle(below, i, below, i + 1, above, i + 1)
                + _triangle(below, i, above, i + 1, above, i)
            )
            diagonal = max(_square(below, i, above, i + 1), _square(below, i + 1, above, i))
            is_sound = abs(area) < np.inf and diagonal < longest * longest
            sound[j, i] = is_sound
            areas[j, i] = area if is_sound else 0.0
        below, above = above, below
