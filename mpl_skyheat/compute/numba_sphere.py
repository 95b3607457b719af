"""Compiled code for the sphere: rotating and spreading points, adding rings, reading splines.

It is imported only by `loader`. Its functions release the GIL, and write to arrays they are given.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial import Chebyshev, Polynomial

from mpl_skyheat.compute.numba_options import compiled

# Positions that are rotated together: their temporary arrays fit the processor's first cache.
CHUNK = 512

# Power series of sin(r) / r and of cos(r), in r².
SINE = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(8))
COSINE = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(8))

# A polynomial in t² for arctan(t) / t, for t up to tan(π/8).
TAN_PI_8 = math.tan(math.pi / 8)
ARCTANGENT = tuple(
    Chebyshev.interpolate(lambda z: np.arctan(np.sqrt(z)) / np.sqrt(z), 10, domain=[0, TAN_PI_8**2])
    .convert(kind=Polynomial)
    .coef.tolist()
)


@njit(inline="always")
def _sine_cosine(angle: float) -> Any:
    """Sine and cosine of an angle (deg), to 1e-15, by power series on ±45 deg.

    Unlike those of libm they run in vector registers.
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
    """The arctan2(y, x), to 1e-15, by a polynomial on ±22.5 deg."""
    across, up = abs(x), abs(y)
    low, high = min(across, up), max(across, up)
    is_wide = low > TAN_PI_8 * high
    top = low - high if is_wide else low
    bottom = low + high if is_wide else high
    t = top / (bottom + 1e-300)  # 0 for (0, 0)
    z, a = t * t, ARCTANGENT
    terms = (((((a[10] * z + a[9]) * z + a[8]) * z + a[7]) * z + a[6]) * z + a[5]) * z + a[4]
    terms = (((terms * z + a[3]) * z + a[2]) * z + a[1]) * z + a[0]
    angle = t * terms + (0.25 * np.pi if is_wide else 0.0)
    angle = 0.5 * np.pi - angle if up > across else angle
    angle = np.pi - angle if x < 0 else angle
    return -angle if y < 0 else angle


@compiled
def rotate(lon: Any, lat: Any, turn: Any, rotated_lon: Any, rotated_lat: Any) -> None:
    """Write the longitude and latitude (rad) of positions (deg) rotated by a matrix.

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
        rotated_lon[k] = _arctangent(y, x)
        rotated_lat[k] = _arctangent(z, np.sqrt(x * x + y * y))


@compiled
def spread(
    lon: Any, lat: Any, weights: Any, is_weighted: bool, turn: Any, lattice: Any, sums: Any
) -> None:
    """Add weights at positions (deg), rotated by a matrix, to the bins of a lattice, by B-splines.

    Rows that are not finite are left out. ``lattice`` has its size, that is, rings, columns and
    their steps (rad), whether it has poles, the order of the splines, and the bins beyond its edge.
    """
    (rings, columns, lat_step, lon_step), has_poles, order, pad = lattice
    column, row, share = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    left, across = np.empty(CHUNK, np.int32), np.empty((4, CHUNK))
    bottom, up = np.empty(CHUNK, np.int32), np.empty((4, CHUNK))
    for start in range(0, len(lon), CHUNK):
        stop = min(start + CHUNK, len(lon))
        number = stop - start
        rotate(lon[start:stop], lat[start:stop], turn, column, row)
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


@compiled
def _splines(places: Any, order: int, pad: int, first: Any, weights: Any) -> None:
    """Write the first bin that a B-spline at each place reaches, and its weights from there on."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    for k in range(len(places)):
        below = np.floor(places[k])
        first[k] = np.int32(below) + np.int32(pad - order // 2)
        w0[k], w1[k], w2[k], w3[k] = _spline(places[k] - below, order)


@compiled
def _add_splines(
    share: Any, left: Any, across: Any, bottom: Any, up: Any, order: int, sums: Any
) -> None:
    """Add products of splines along rows and columns to the bins that they reach, unchecked."""
    # Indices without a sign, as numba need not test whether they count from the end.
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


@compiled
def add_rings(
    waves: Any, has_points: Any, transfer: Any, first: int, offset: int, result: Any
) -> None:
    """Add to rings from the first on, and to those at an offset, the smoothed waves of each other.

    In both hemispheres. ``waves`` and ``result`` have the shape (rings, 2, orders), ``transfer``
    (pairs, orders). Rings without points add nothing.
    """
    last = len(waves) - 1
    for row in range(len(transfer)):
        i = first + row
        j = i + offset
        _add_pair(waves, has_points, transfer[row], i, j, result)
        if i + j != last:  # else the pair is its own mirror image in the other hemisphere
            _add_pair(waves, has_points, transfer[row], last - j, last - i, result)


@compiled
def _add_pair(waves: Any, has_points: Any, transfer: Any, i: int, j: int, result: Any) -> None:
    if has_points[j]:
        _add_ring(waves[j], transfer, result[i])
    if i != j and has_points[i]:
        _add_ring(waves[i], transfer, result[j])


@compiled
def _add_ring(of: Any, transfer: Any, to: Any) -> None:
    for part in range(2):
        for m in range(len(transfer)):
            to[part, m] += transfer[m] * of[part, m]


@compiled
def prefilter(waves: Any, turn: Any, first: int, last: int, powers: Any) -> None:
    """Replace samples, of shape (rings, 2, orders), by coefficients of cubic splines.

    ``powers`` are z, z², … of the filter's pole z, for the rings that start the recursion.
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


@compiled
def read_off(
    lon: Any, lat: Any, size: Any, order: int, pad: int, coefficients: Any, values: Any
) -> None:
    """Write the values of a spline on a lattice at positions (rad)."""
    rings, columns, lat_step, lon_step = size
    height, width = coefficients.shape
    for k in range(len(lon)):
        if not abs(lon[k]) < np.inf:
            values[k] = np.nan
            continue
        top, row = _corner(lat[k] / lat_step + 0.5 * (rings - 1), order, pad)
        left, column = _corner(lon[k] / lon_step + 0.5 * (columns - 1), order, pad)
        # No position is off the lattice; the limits guard memory.
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
    """First bin that a spline at a place reaches, and the place's fraction of a bin."""
    below = np.floor(place)
    return int(below) - order // 2 + pad, place - below


@njit(inline="always")
def _spline(t: float, order: int) -> Any:
    """Weights of a B-spline of order 1 or 3 on the bins around a place."""
    s = 1 - t
    if order == 1:
        return s, t, 0.0, 0.0
    return (
        s * s * s / 6,
        (4 - 6 * t * t + 3 * t * t * t) / 6,
        (4 - 6 * s * s + 3 * s * s * s) / 6,
        t * t * t / 6,
    )
