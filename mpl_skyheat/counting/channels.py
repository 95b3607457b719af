"""Channels: the sums that a map needs, and what a row adds to each.

A row has a weight w (1 if there are none) and maybe a value v. The sums are of v − offset, with
an offset near the mean of v: else rounding would ruin the sums of squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpl_skyheat.compute.arrays import FloatArray


@dataclass(frozen=True)
class Channel:
    """The sum Σ wᵃ vᵇ, with the powers a and b, an extreme of v, or all v.

    ``extreme`` is 0 for a sum, −1 for the least v and 1 for the greatest. If ``is_held``, the
    values of all rows are held, as the middle one needs them.
    """

    name: str
    w_power: int = 0
    v_power: int = 0
    extreme: int = 0
    is_held: bool = False
    # Whether rows count 1 if their weight is positive, else 0.
    is_seen: bool = False

    @property
    def is_smoothable(self) -> bool:
        """Whether it is a sum, which can be smoothed, and no extreme."""
        return self.extreme == 0 and not self.is_held

    @property
    def is_count(self) -> bool:
        """Whether it is the number of rows, an integer."""
        return self == CHANNELS["n"]

    def amounts(
        self,
        weights: FloatArray | None,
        values: FloatArray | None,
        offset: float,
        shares: FloatArray | None = None,
    ) -> FloatArray | None:
        """Amounts that rows add, times the shares of them that count here; None if each adds 1."""
        if self.is_seen:
            seen = None if weights is None else (weights > 0).astype(float)
            return seen if shares is None else shares * (1.0 if seen is None else seen)
        factors: list[FloatArray] = [] if shares is None else [shares]
        if self.w_power and weights is not None:
            with np.errstate(over="ignore", under="ignore"):
                factors.append(weights if self.w_power == 1 else weights**self.w_power)
        if self.v_power:
            if values is None:
                raise ValueError(f"channel {self.name!r} needs values; got a catalogue without")
            shifted = values - offset if self.is_smoothable and offset else values
            factors.append(shifted if self.v_power == 1 else shifted**self.v_power)
        if not factors:
            return None
        return reduce(np.multiply, factors)


# The sums of the definitions: S1 = Σw, S2 = Σw²; V1, V2 = Σwv, Σwv²; Q1, Q2 = Σw²v, Σw²v².
CHANNELS = {
    channel.name: channel
    for channel in (
        Channel("n"),
        Channel("seen", is_seen=True),
        Channel("w", 1),
        Channel("w2", 2),
        Channel("wv", 1, 1),
        Channel("wv2", 1, 2),
        Channel("w2v", 2, 1),
        Channel("w2v2", 2, 2),
        Channel("min", v_power=1, extreme=-1),
        Channel("max", v_power=1, extreme=1),
        Channel("median", v_power=1, is_held=True),
    )
}

# By channel: the sums of lower powers of v by which `recentred` moves it to another offset.
LOWER = {"wv": ("w",), "wv2": ("w", "wv"), "w2v": ("w2",), "w2v2": ("w2", "w2v")}


def find_channels(names: Iterable[str]) -> dict[str, Channel]:
    """Channels by name, with the lower powers of v by which `recentred` moves them."""
    wanted: dict[str, Channel] = {}
    for name in names:
        if name not in CHANNELS:
            raise ValueError(f"channels must be of {', '.join(CHANNELS)}; got {name!r}")
        for needed in (*LOWER.get(name, ()), name):
            wanted[needed] = CHANNELS[needed]
    if not wanted:
        raise ValueError("channels must name at least one sum; got none")
    return wanted


def recentred(sums: dict[str, FloatArray], shift: float) -> dict[str, FloatArray]:
    """Sums about an offset that is lower by ``shift``: of v + shift in place of v."""
    moved = dict(sums)
    for zeroth, first, second in (("w", "wv", "wv2"), ("w2", "w2v", "w2v2")):
        if second in sums:
            moved[second] = sums[second] + 2 * shift * sums[first] + shift**2 * sums[zeroth]
        if first in sums:
            moved[first] = sums[first] + shift * sums[zeroth]
    return moved
