"""Rows spread over the bins of a lattice with the weights of a B-spline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.compute.loader import run
from mpl_skyheat.sky.lattice import PAD

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.sky.lattice import Lattice

# Partial sums of a channel. Not the number of threads, on which sums would then depend in their
# last bits.
PARTS = 4


class PointSpread:
    """The sum of one channel, spread with splines of one order, 1 or 3."""

    def __init__(self, lattice: Lattice, order: int) -> None:
        self.lattice, self._order = lattice, order
        self.total = np.zeros(lattice.padded_shape)
        self._parts: FloatArray | None = None

    def add(self, lon: FloatArray, lat: FloatArray, amounts: FloatArray | None) -> None:
        """Add amounts at positions (rad), without those off the lattice."""
        lattice = self.lattice
        row, column = lattice.position(lon, lat)
        if not lattice.has_poles:
            near = (np.abs(row - 0.5 * (lattice.rings - 1)) < 0.5 * lattice.rings) & (
                np.abs(column - 0.5 * (lattice.columns - 1)) < 0.5 * lattice.columns
            )
            row, column = row[near], column[near]
            amounts = None if amounts is None else amounts[near]
        top, row_weights = _spline_weights(row, self._order)
        left, column_weights = _spline_weights(column, self._order)
        width, flat = self.total.shape[1], self.total.reshape(-1)
        corner = (top + PAD) * width + left + PAD
        for i, in_row in enumerate(row_weights):
            share = in_row if amounts is None else in_row * amounts
            for j, in_column in enumerate(column_weights):
                np.add.at(flat, corner + (i * width + j), share * in_column)

    def add_compiled(
        self,
        lon: FloatArray,
        lat: FloatArray,
        amounts: FloatArray | None,
        turn: FloatArray,
        team: Team,
    ) -> None:
        """Add amounts at positions (deg), which ``turn`` rotates onto the lattice, but for NaN."""
        lattice = self.lattice
        if self._parts is None:
            self._parts = np.zeros((PARTS, *lattice.padded_shape))
        parts = self._parts
        size = lattice.rings, lattice.columns, lattice.lat_step, lattice.lon_step
        bins = size, lattice.has_poles, self._order, PAD
        bounds = np.linspace(0, len(lon), PARTS + 1).astype(int)

        def work(_: int, part: int) -> None:
            rows = slice(bounds[part], bounds[part + 1])
            some = np.ones(1) if amounts is None else amounts[rows]
            weights = some, amounts is not None
            run("spread", lon[rows], lat[rows], *weights, turn, bins, parts[part])

        team.share(range(PARTS), work)

    def settle(self) -> None:
        """Add the partial sums of compiled code to the total."""
        if self._parts is not None:
            self.total += self._parts.sum(axis=0)
            self._parts = None

    @property
    def bins(self) -> FloatArray:
        """The sums per bin. Sums beyond the lattice's edges are added where they belong."""
        self.settle()
        wide, columns = self.total.copy(), self.lattice.columns
        wide[:, columns : columns + PAD] += wide[:, :PAD]
        wide[:, PAD : 2 * PAD] += wide[:, -PAD:]
        wide = wide[:, PAD:-PAD]
        bins = wide[PAD:-PAD].copy()
        if self.lattice.has_poles:
            bins[:PAD] += np.roll(wide[:PAD][::-1], columns // 2, axis=1)
            bins[-PAD:] += np.roll(wide[-PAD:][::-1], columns // 2, axis=1)
        return bins

    def part(self, kept: BoolArray) -> PointSpread:
        """The sums in some bins of the lattice, 0 in the others."""
        part = PointSpread(self.lattice, self._order)
        part.total[PAD:-PAD, PAD:-PAD] = np.where(kept, self.bins, 0.0)
        return part


def _spline_weights(position: FloatArray, order: int) -> tuple[IntArray, list[FloatArray]]:
    """The first bin that each point reaches, and its weights on this and the following bins."""
    below = np.floor(position)
    t = position - below
    first = below.astype(np.intp) - order // 2
    if order == 1:
        return first, [1 - t, t]
    s = 1 - t
    return first, [
        s**3 / 6,
        (4 - 6 * t**2 + 3 * t**3) / 6,
        (4 - 6 * s**2 + 3 * s**3) / 6,
        t**3 / 6,
    ]
