"""Cells of HEALPix in nested order (Górski et al. 2005, ApJ 622, 759): centres and sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray, IntArray

# The finest order, whose numbers HATS catalogues have in a column.
FINEST = 29

# Row (in quarters of the way from the north pole) and column (in eighths of a turn) of the
# southernmost corner of each of the twelve cells of order 0.
BASE_ROWS = np.array([2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4])
BASE_COLUMNS = np.array([1, 3, 5, 7, 0, 2, 4, 6, 1, 3, 5, 7])


def cell_centres(order: int, pixel: IntArray) -> FloatArray:
    """Unit vectors (n, 3) of the centres of cells."""
    side = 1 << order
    pixel = np.asarray(pixel, np.int64)
    face, within = pixel >> (2 * order), pixel & (side * side - 1)
    x, y = _compact(within), _compact(within >> 1)
    # Ring, from 1 at the north pole, and place along it in units of half a cell.
    ring = BASE_ROWS[face] * side - x - y - 1
    is_north, is_south = ring < side, ring > 3 * side
    in_ring = np.where(is_north, ring, np.where(is_south, 4 * side - ring, side)).astype(float)
    place = BASE_COLUMNS[face] * in_ring + x - y
    lon = 0.25 * np.pi * place / in_ring
    # Equations 4 and 8 of Górski et al.; 1 − |z| of the caps as such, for digits at the poles.
    beside = in_ring**2 / (3.0 * side**2)
    z = np.where(
        is_north, 1 - beside, np.where(is_south, beside - 1, (2 * side - ring) * 2 / (3.0 * side))
    )
    in_cap = is_north | is_south
    across = np.sqrt(np.where(in_cap, beside * (2 - beside), (1 - z) * (1 + z)))
    return np.stack([across * np.cos(lon), across * np.sin(lon), z], axis=-1)


def cell_radius(order: int) -> float:
    """Angle (rad) within which every cell lies around its centre.

    That of the cells whose corner is where the polar caps begin, which reach farthest.
    """
    side = 1 << order
    z = 1 - (1 - 1 / side) ** 2 / 3
    centre = np.array([np.sqrt(5) / 3 * np.cos(np.pi / (4 * side)),
                       np.sqrt(5) / 3 * np.sin(np.pi / (4 * side)), 2 / 3])  # fmt: skip
    corner = np.array([np.sqrt(1 - z * z), 0.0, z])
    return float(2 * np.arcsin(0.5 * np.linalg.norm(centre - corner)))


def _compact(bits: IntArray) -> IntArray:
    """Every second bit of numbers, from the last one on."""
    bits = bits & 0x5555555555555555
    for shift in (1, 2, 4, 8, 16):
        mask = {1: 0x3333333333333333, 2: 0x0F0F0F0F0F0F0F0F, 4: 0x00FF00FF00FF00FF,
                8: 0x0000FFFF0000FFFF, 16: 0x00000000FFFFFFFF}[shift]  # fmt: skip
        bits = (bits | (bits >> shift)) & mask
    return bits
