"""Lines along great circles on a plane, cut where the plane is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.sky.vectors import to_positions, to_vectors

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.sky.grid import Projection, View

# Longest part (rad) of a line between two of its places, on the sky ...
LONGEST = float(np.radians(0.5))

# ... and, in view, as a fraction of the diagonal of the view: chords are then within 1e-5 of it of
# a curve as round as the view.
PART = 1 / 200

# Two places of the sky that are nearer (rad) are one, at which the plane is cut if they are not
# near each other on it.
SAME = 1e-12

# Bisections from 180 deg to there, at most.
ROUNDS = 45


def line_on_plane(
    to_plane: Projection, lon: FloatArray, lat: FloatArray, view: View
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Places (x, y) of a line along great circles between positions (deg) on a plane.

    NaN is where it is interrupted: at the edge of the sky, where longitudes are cut, and where a
    position is NaN. The numbers tell which places are the positions given. Two neighbours that are
    opposite each other are a ValueError, as all great circles through one lead to the other.

    Places are halved until they follow the curve in the view, and until a cut is found to `SAME`.
    """
    vectors = to_vectors(lon, lat)
    _check_not_opposite(vectors, lon, lat)
    x, y = _projected(to_plane, vectors)
    is_given = np.ones(len(vectors), bool)
    longest = PART * np.hypot(view.x_max - view.x_min, view.y_max - view.y_min)
    for _ in range(ROUNDS):
        gap = np.linalg.norm(np.diff(vectors, axis=0), axis=-1)
        ends_sky = np.diff(np.isfinite(x))
        is_open = (gap > LONGEST) | (gap > SAME) & (ends_sky | _is_apart(x, y, view, longest))
        first = np.flatnonzero(is_open)
        if not len(first):
            break
        middle = vectors[first] + vectors[first + 1]
        middle /= np.linalg.norm(middle, axis=-1, keepdims=True)
        more_x, more_y = _projected(to_plane, middle)
        vectors = np.insert(vectors, first + 1, middle, axis=0)
        x, y = np.insert(x, first + 1, more_x), np.insert(y, first + 1, more_y)
        is_given = np.insert(is_given, first + 1, False)
    cuts = np.flatnonzero(_is_apart(x, y, view, longest)) + 1
    x, y = (np.insert(v, cuts, np.nan) for v in (x, y))
    return x, y, np.flatnonzero(np.insert(is_given, cuts, False))


def _projected(to_plane: Projection, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Places of vectors, NaN where they are not on the plane."""
    x, y = np.full((2, len(vectors)), np.nan)
    known = np.isfinite(vectors).all(axis=-1)
    x[known], y[known] = to_plane(*to_positions(vectors[known]))
    is_off = ~(np.isfinite(x) & np.isfinite(y))
    x[is_off] = y[is_off] = np.nan
    return x, y


def _is_apart(x: FloatArray, y: FloatArray, view: View, longest: float) -> BoolArray:
    """Which neighbours are far from each other, and may have the view between them.

    A curve leaves the box around its ends by less than their distance.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.hypot(np.diff(x), np.diff(y))
        found = distance > longest
        for v, low, high in ((x, view.x_min, view.x_max), (y, view.y_min, view.y_max)):
            found &= np.minimum(v[:-1], v[1:]) - distance <= high
            found &= np.maximum(v[:-1], v[1:]) + distance >= low
    return np.asarray(found)


def _check_not_opposite(vectors: FloatArray, lon: FloatArray, lat: FloatArray) -> None:
    opposite = np.linalg.norm(vectors[:-1] + vectors[1:], axis=-1) < 1e-9
    if opposite.any():
        i = int(np.flatnonzero(opposite)[0])
        raise ValueError(
            "coords must have no two neighbours that are 180 deg apart, as all great circles "
            f"through one lead to the other; got ({lon[i]:g}, {lat[i]:g}) and ({lon[i + 1]:g}, "
            f"{lat[i + 1]:g}) deg: give positions between them"
        )
