"""Channels: the sums that a map needs, and what a row adds to each.

A row has a weight w (1 if there are none) and maybe a value v. Values are taken about an offset
near their mean, or rounding would ruin the sums of their squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpl_skyheat.compute.arrays import FloatArray


@dataclass(frozen=True)
class Channel:
    """One sum, Σ wᵃ vᵇ, or an extreme of v.

    Parameters
    ----------
    name : str
        What it is called in `Sums`.
    w_power, v_power : int
        The powers a and b.
    extreme : int
        0 for a sum, −1 for the least v and 1 for the greatest.
    """

    name: str
    w_power: int = 0
    v_power: int = 0
    extreme: int = 0

    @property
    def is_smoothable(self) -> bool:
        """Tell whether it adds up, so that it can be smoothed."""
        return self.extreme == 0

    @property
    def is_count(self) -> bool:
        """Tell whether it counts rows."""
        return self == CHANNELS["n"]

    def amounts(
        self, weights: FloatArray | None, values: FloatArray | None, offset: float
    ) -> FloatArray | None:
        """Return what rows add, as an array; None if each adds 1."""
        factors: list[FloatArray] = []
        if self.w_power and weights is not None:
            factors.append(weights if self.w_power == 1 else weights**self.w_power)
        if self.v_power:
            assert values is not None
            shifted = values if self.extreme else values - offset
            factors.append(shifted if self.v_power == 1 else shifted**self.v_power)
        if not factors:
            return None
        return factors[0] if len(factors) == 1 else np.multiply(*factors)


# The sums of the definitions: S1 = Σw, S2 = Σw²; V1, V2 = Σwv, Σwv²; Q1, Q2 = Σw²v, Σw²v².
CHANNELS = {
    channel.name: channel
    for channel in (
        Channel("n"),
        Channel("w", 1),
        Channel("w2", 2),
        Channel("wv", 1, 1),
        Channel("wv2", 1, 2),
        Channel("w2v", 2, 1),
        Channel("w2v2", 2, 2),
        Channel("min", v_power=1, extreme=-1),
        Channel("max", v_power=1, extreme=1),
    )
}

# Σ wᵃ vᵇ about another offset needs the sums of the lower powers of v.
LOWER = {"wv": ("w",), "wv2": ("w", "wv"), "w2v": ("w2",), "w2v2": ("w2", "w2v")}


def find_channels(names: Iterable[str]) -> dict[str, Channel]:
    """Return channels by name, with those that they need to be added about another offset.

    Raises
    ------
    ValueError
        If there is no such channel.
    """
    wanted: dict[str, Channel] = {}
    for name in names:
        if name not in CHANNELS:
            raise ValueError(f"channels must be of {', '.join(CHANNELS)}; got {name!r}")
        for needed in (*LOWER.get(name, ()), name):
            wanted[needed] = CHANNELS[needed]
    return wanted


def recentred(sums: dict[str, FloatArray], shift: float) -> dict[str, FloatArray]:
    """Return sums about an offset that is lower by ``shift``: of v + shift in place of v."""
    moved = dict(sums)
    for zeroth, first, second in (("w", "wv", "wv2"), ("w2", "w2v", "w2v2")):
        if second in sums:
            moved[second] = sums[second] + 2 * shift * sums[first] + shift**2 * sums[zeroth]
        if first in sums:
            moved[first] = sums[first] + shift * sums[zeroth]
    return moved
