"""The accumulator: how many points, and what sum of weights, fall in every pixel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


@dataclass
class Accumulator:
    """Counts and weights per pixel, added block by block.

    Points are added one after the other, so the result does not depend, not even in the last bit,
    on how they were cut into blocks.
    """

    shape: tuple[int, int]
    weighted: bool
    total: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        pixels = self.shape[0] * self.shape[1]
        self.total = np.zeros(pixels, np.float64 if self.weighted else np.int64)

    def add(self, pixels: NDArray[np.intp], weights: FloatArray | None) -> None:
        """Add points by flat pixel index."""
        if self.weighted:
            np.add.at(self.total, pixels, 1.0 if weights is None else weights)
        else:
            np.add.at(self.total, pixels, 1)

    @property
    def image(self) -> NDArray[np.int64] | FloatArray:
        """The sums as a map of shape (ny, nx)."""
        return self.total.reshape(self.shape)
