"""Values of a map at any place: in the nearest pixel, or between the centres of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.sky.grid import SLACK
from mpl_skyheat.sky.vectors import separation, to_vectors

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.sky.planes import Plane

# Pixels around a place that a spline takes in: its coefficients fall by 0.27 with each.
REACH = 12

# Within this many pixels of masked ones values are interpolated bilinearly, as a spline would take
# in what was put in the place of these.
NEAR = 2

# Edges of a map meet if they are closer than this fraction of a pixel, of which places are looked
# at that are closer to them by far.
MEET, INSET = 1e-3, 1e-6

# Places along an edge that are looked at, of which this many must be on the sky: the left and the
# right tip of an ellipse meet, too.
PLACES, FEWEST = 9, 3


class Seams(NamedTuple):
    """Edges of a map beyond which its own pixels go on, as on a map of the whole sky in CAR."""

    # Whether the right edge is the left one.
    wraps: bool = False
    # Whether the lower and the upper edge are one point each, a pole, on a map that wraps.
    poles: tuple[bool, bool] = (False, False)


def seams_of(plane: Plane | None, shape: tuple[int, int]) -> Seams:
    """The seams of a map with pixels of a shape on a plane; None has none."""
    if plane is None:
        return Seams()
    ny, nx = shape
    low, right, top = INSET - 0.5, nx - 0.5 - INSET, ny - 0.5 - INSET
    x, y = np.linspace(low, right, PLACES), np.linspace(low, top, PLACES)

    def column(x: float) -> FloatArray:
        return to_vectors(*plane.to_sky(np.full(PLACES, x), y))

    def row(y: float) -> FloatArray:
        return to_vectors(*plane.to_sky(x, np.full(PLACES, y)))

    if not _meet(column(low), column(right), column(low + 1)):
        return Seams()
    south, north = row(low), row(top)
    poles = _meet(south, south[:1], row(low + 1)), _meet(north, north[:1], row(top - 1))
    return Seams(True, poles)


def _meet(edge: FloatArray, other: FloatArray, inner: FloatArray) -> bool:
    """Whether places (unit vectors) are the others, for the size of pixels that end at ``inner``.

    Those that are off the sky do not count.
    """
    apart, size = separation(edge, other), separation(edge, inner)
    is_sky = np.isfinite(apart)
    return bool(is_sky.sum() >= FEWEST and (apart <= MEET * size)[is_sky].all())


def nearest(values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """The values of the pixels at positions; NaN outside the map."""
    found = np.full(x.shape, np.nan)
    ny, nx = values.shape
    inside = np.abs(x - 0.5 * (nx - 1)) <= 0.5 * nx + SLACK
    inside &= np.abs(y - 0.5 * (ny - 1)) <= 0.5 * ny + SLACK
    columns = np.clip(np.floor(x[inside] + 0.5).astype(int), 0, nx - 1)
    rows = np.clip(np.floor(y[inside] + 0.5).astype(int), 0, ny - 1)
    found[inside] = values[rows, columns]
    return found


def interpolated(
    values: FloatArray, x: FloatArray, y: FloatArray, seams: Seams, *, is_smooth: bool
) -> FloatArray:
    """Values between the centres of pixels; NaN where the nearest pixel has none.

    By cubic splines if the map is smooth, but bilinearly near pixels that are NaN.
    """
    found = np.full(x.shape, np.nan)
    inside = np.isfinite(nearest(values, x, y))
    x, y = x[inside], y[inside]
    if not x.size:
        return found
    part, left, bottom = _part_around(values, x, y, seams)
    x, y = x - left, y - bottom
    between = _bilinear(part, x, y)
    if is_smooth:
        # (The upper edge of the last pixel is rounded to one beyond it.)
        row, column = (
            np.minimum(np.rint(v).astype(int), n - 1)
            for v, n in zip((y, x), part.shape, strict=True)
        )
        is_clear = ~_near(np.isnan(part))[row, column]
        between[is_clear] = _spline(part, x[is_clear], y[is_clear])
    found[inside] = between
    return found


def _part_around(
    values: FloatArray, x: FloatArray, y: FloatArray, seams: Seams
) -> tuple[FloatArray, int, int]:
    """The pixels around positions, beyond seams too, and numbers of their first column and row."""
    ny, nx = values.shape
    left, right = int(np.floor(x.min())) - REACH, int(np.ceil(x.max())) + REACH + 1
    bottom, top = int(np.floor(y.min())) - REACH, int(np.ceil(y.max())) + REACH + 1
    below = max(-bottom, 0) if seams.poles[0] else 0
    above = max(top - ny, 0) if seams.poles[1] else 0
    start = max(bottom, 0)
    rows = [values[start:top]]
    if below:
        rows.insert(0, _across_pole(values[:below])[::-1])
    if above:
        rows.append(_across_pole(values[-above:])[::-1])
    part = np.concatenate(rows)
    if seams.wraps:
        part = np.take(part, np.arange(left, right) % nx, axis=1)
    else:
        left = max(left, 0)
        part = part[:, left:right]
    return part, left, start - min(below, ny)


def _across_pole(rows: FloatArray) -> FloatArray:
    """Rows of a map that wraps, on the other side of its pole."""
    half = rows.shape[1] // 2
    return 0.5 * (np.roll(rows, half, axis=1) + np.roll(rows, rows.shape[1] - half, axis=1))


def _near(is_missing: BoolArray) -> BoolArray:
    """Pixels within `NEAR` of missing ones."""
    from scipy.ndimage import maximum_filter

    return np.asarray(maximum_filter(is_missing, 2 * NEAR + 1, mode="nearest"))


def _bilinear(values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Values between the centres of pixels that have one."""
    from scipy.ndimage import map_coordinates

    known = np.isfinite(values)
    total, weight = (
        map_coordinates(image, (y, x), order=1, mode="nearest")
        for image in (np.where(known, values, 0.0), known.astype(float))
    )
    return np.asarray(total / weight)


def _spline(values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Values of a cubic spline, which goes on beyond the edges with the slope that it has there."""
    from scipy.ndimage import distance_transform_edt, map_coordinates

    is_missing = np.isnan(values)
    if is_missing.any():
        places = distance_transform_edt(is_missing, return_distances=False, return_indices=True)
        values = values[tuple(places)]
    padded = np.pad(values, REACH, mode="reflect", reflect_type="odd")
    found = map_coordinates(padded, (y + REACH, x + REACH), order=3)
    # Beside steep slopes splines swing: a density is not negative for that.
    return np.asarray(np.maximum(found, 0) if values.min() >= 0 else found)
