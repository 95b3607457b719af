"""Gaussians of rows that each have a width of their own, on a ladder of a few widths.

A row's width σ lies between two rungs of the ladder, a < σ < b = 2^⅛ a. It is shared between them
so that σ² = (1 − t) a² + t b²: the sum is the Gaussian of σ to 1 % of its peak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from mpl_skyheat.catalogue.columns import column_of_widths
from mpl_skyheat.smoothing.kernel_base import GAUSSIAN_FWHM, VaryingKernel

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray, IntArray
    from mpl_skyheat.smoothing.kernel_base import Terms

# Rungs of the ladder in a factor of two.
PER_OCTAVE = 8

# By how much σ² grows from one rung to the next.
GROWTH = 2 ** (2 / PER_OCTAVE) - 1


class RowGaussian(VaryingKernel):
    """`Gaussian` with a width for each row: those in a column of ``data``, or in an array.

    ``widths`` are the name of the column, or a Quantity with a width for each row; times
    ``factor`` they are σ.
    """

    def __init__(self, widths: Any, *, is_fwhm: bool = False) -> None:
        self.widths, self.is_fwhm = widths, is_fwhm
        if not isinstance(widths, str):
            column = column_of_widths(widths, "fwhm" if is_fwhm else "sigma")
            assert column.unit is not None
            self.widths = column.block(slice(None)) << column.unit

    @property
    def factor(self) -> float:
        """The factor from the widths that are given to σ."""
        return 1 / GAUSSIAN_FWHM if self.is_fwhm else 1.0

    @property
    def terms(self) -> Terms:
        return ()  # No width is known before the rows are.

    @property
    def identity(self) -> tuple[Any, ...]:
        widths = self.widths
        if not isinstance(widths, str):
            widths = widths.value.tobytes(), str(widths.unit)
        return "rows", widths, self.is_fwhm

    def __repr__(self) -> str:
        name = "fwhm=" if self.is_fwhm else ""
        if isinstance(self.widths, str):
            return f"Gaussian({name}{self.widths!r})"
        return f"Gaussian({name}<widths of {len(self.widths)} rows>)"


def is_of_rows(width: Any) -> bool:
    """Whether this is the name of a column, or widths of rows, and not one width."""
    if not isinstance(width, str):
        return np.ndim(width) > 0
    try:
        u.Quantity(width)
    except (TypeError, ValueError):
        return bool(width.strip()) and width != "auto"  # which is a width for all rows
    return False


def rungs_of(sigma: FloatArray, least: int) -> tuple[IntArray, FloatArray]:
    """The numbers of the lower rungs of widths, and the shares of the upper ones.

    Widths below the rung ``least`` are on it.
    """
    number = np.floor(PER_OCTAVE * np.log2(sigma))
    share = ((sigma / width_of(number)) ** 2 - 1) / GROWTH
    # (Rounding may put a width that is on a rung just below it.)
    share = np.clip(share, 0.0, 1.0)
    is_below = number < least
    lower = np.where(is_below, least, number).astype(np.intp)
    return lower, np.where(is_below, 0.0, share)


def width_of(rung: Any) -> Any:
    """The width of a rung by its number: 1, in the unit of widths, of rung 0."""
    return 2.0 ** (rung / PER_OCTAVE)
