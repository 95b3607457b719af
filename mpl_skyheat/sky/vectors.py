"""Positions on the sky as unit vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray


def to_vectors(lon: FloatArray, lat: FloatArray) -> FloatArray:
    """Unit vectors (along the last axis) of positions in deg."""
    lon, lat = np.radians(lon), np.radians(lat)
    cosine = np.cos(lat)
    return np.stack([cosine * np.cos(lon), cosine * np.sin(lon), np.sin(lat)], axis=-1)


def to_positions(vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Longitude (0 … 360) and latitude (deg) of vectors along the last axis."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    lon, lat = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
    return np.degrees(lon) % 360, np.degrees(lat)


def circles(
    lon: FloatArray, lat: FloatArray, radius: FloatArray | float, number: int
) -> tuple[FloatArray, FloatArray]:
    """Positions (deg; number, n) on circles of a radius (rad) around n positions (deg)."""
    turn = (2 * np.pi / number) * np.arange(number)[:, None, None]
    radius = np.asarray(radius)[..., None]
    centre, east = to_vectors(lon, lat), to_vectors(lon + 90, np.zeros_like(lat))
    direction = np.sin(turn) * east + np.cos(turn) * np.cross(centre, east)
    return to_positions(np.cos(radius) * centre + np.sin(radius) * direction)


def separation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Angle (rad) between unit vectors, 2 arcsin(|a − b| / 2): exact for small angles."""
    return np.asarray(2 * np.arcsin(np.clip(0.5 * np.linalg.norm(a - b, axis=-1), 0, 1)))
