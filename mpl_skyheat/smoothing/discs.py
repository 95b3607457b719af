"""Areas of discs in the pixels of a raster, exactly: of a disc's edge, samples would be ragged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray


def disc_in_pixels(radius: float, metric: FloatArray, half: tuple[int, int]) -> FloatArray:
    """The fraction of each pixel that is in a disc around the middle one.

    ``metric`` is that of `PixelKernel.raster`, and ``half`` the pixels on each side of the middle
    one, along x and y.
    """
    # Offsets d in pixels become vectors, in units of the radius, whose length is √(dᵀ G d).
    to_plane = np.linalg.cholesky(metric).T / radius
    columns, rows = (np.arange(-n, n + 1) for n in half)
    centres = to_plane @ np.stack([v.ravel() for v in np.meshgrid(columns, rows)])
    corners = to_plane @ (0.5 * np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]]))
    distance = np.hypot(*centres)
    half_diagonal = np.hypot(*corners).max()
    fractions = (distance < 1).astype(float)
    is_cut = np.abs(distance - 1) <= half_diagonal
    x, y = centres[:, is_cut, np.newaxis] + corners[:, np.newaxis]
    area = _areas_in_unit_disc(x, y, np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)).sum(axis=1)
    fractions[is_cut] = area / abs(np.linalg.det(to_plane))
    return np.asarray(np.clip(fractions, 0, 1).reshape(len(rows), len(columns)))


def _areas_in_unit_disc(
    ax: FloatArray, ay: FloatArray, bx: FloatArray, by: FloatArray
) -> FloatArray:
    """Signed areas that the triangles of the origin, a and b share with the unit disc.

    A triangle where the side ab is in the disc, and sectors before and after that.
    """
    dx, dy = bx - ax, by - ay
    squared, along = dx**2 + dy**2, ax * dx + ay * dy
    root = np.sqrt(np.maximum(along**2 - squared * (ax**2 + ay**2 - 1), 0))
    enters, leaves = (np.clip((-along + s * root) / squared, 0, 1) for s in (-1, 1))
    px, py = ax + enters * dx, ay + enters * dy
    qx, qy = ax + leaves * dx, ay + leaves * dy
    sectors = np.arctan2(ax * py - ay * px, ax * px + ay * py)
    sectors += np.arctan2(qx * by - qy * bx, qx * bx + qy * by)
    return np.asarray(0.5 * (px * qy - py * qx + sectors))
