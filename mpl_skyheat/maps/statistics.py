"""Statistics of maps: pure functions of sums over pixels, or of sums under kernels.

`moments` says what S1, S2, V1, V2, Q1 and Q2 are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.maps.moments import ExposedMoments, PixelMoments
from mpl_skyheat.maps.significance import ratio
from mpl_skyheat.maps.statistic_table import EXTREMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.units import Quantity, UnitBase

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.maps.moments import Moments
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.significance import KernelSums
    from mpl_skyheat.maps.where import Where

# Fraction of K(0) below which the kernel's sum over rows is too low for a mean: else a lone row
# would have a disc of its own value, 5 σ wide.
FEWEST_UNDER_KERNEL = 0.01


def _nothing(*_: Any) -> None:
    return None


@dataclass(frozen=True)
class Found:
    """A statistic in the map's pixels, and what finds its error and the effective number of rows.

    Most maps are drawn, and these never asked for, which take as long as the values. All are NaN
    where they are not known, and None where they have no meaning.
    """

    values: FloatArray
    # The observed fraction of the pixel, or of what the kernel sees of full coverage.
    seen: FloatArray
    error: Callable[[], FloatArray | None] = _nothing
    n_eff: Callable[[], FloatArray | None] = _nothing
    # Finds S1, E1 and E2, for the comparison of two maps; None where these have no meaning.
    kernel_sums: Callable[[UnitBase | None], KernelSums | None] = _nothing
    # Effective counts under the kernel, and off it: of a significance.
    n_on: FloatArray | None = None
    n_off: FloatArray | None = None
    # The sums that it is found from, if all rows have one kernel; None of extremes.
    exposed: ExposedMoments | None = None
    # The width of the kernel at each pixel, where that is not the same everywhere.
    scales: Quantity | None = None


def statistic_of(sums: Sums, moments: Moments, where: Where, request: MapRequest) -> Found:
    """The statistic that is asked for, per sr (or data unit²) if it is a density.

    A smoothed count, or sum, is the smoothed density times the pixel's solid angle, which is the
    smoothed sum if the boundary is explicit.
    """
    name = request.statistic
    if name in EXTREMES:
        n_eff = moments.first("n")  # Not `moments`, which has the values of all rows for a median.
        return Found(_extreme(sums, name, moments), moments.seen(), n_eff=lambda: n_eff)
    with np.errstate(over="ignore", invalid="ignore"):
        values = VALUES[name](moments)
        if name == "std":
            values = _of_rows(values, _std, moments)
    exposed = moments if isinstance(moments, ExposedMoments) else None
    found = Found(values, moments.seen(), exposed=exposed, scales=moments.scales)
    if has_no_spread(sums, where, request):
        return found
    if name in ERRORS:
        found = replace(found, error=lambda: _error(name, moments))
    if request.is_signed:
        return found
    found = replace(found, n_eff=lambda: rows_at(moments))
    return found if exposed is None else replace(found, kernel_sums=exposed.kernel_sums)


def has_no_spread(sums: Sums, where: Where, request: MapRequest) -> bool:
    """Whether there are no errors: squares of weights overflow, or a row and its images are one."""
    if not np.isfinite(sums.pixels.get("w2", 0.0)).all():
        return True
    if request.kernel is None or request.boundary != "wrap":
        return request.kernel is not None and request.boundary == "reflect"
    reach, shape = where.kernels.margin(), where.geometry.grid.shape[::-1]
    return any(2 * r > n for r, n in zip(reach, shape, strict=True))


def _error(name: str, moments: Moments) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        error = ERRORS[name](moments)
        return _of_rows(error, _mean_error, moments) if name == "mean" else error


def rows_at(moments: Moments) -> FloatArray:
    """The effective number of rows at each pixel: in it where the kernel is narrower."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _of_rows(moments.n_eff(), PixelMoments.n_eff, moments)


def _of_rows(
    smoothed: FloatArray, function: Callable[[PixelMoments], FloatArray], moments: Moments
) -> FloatArray:
    """What is found under a kernel; of the rows in a pixel where the kernel is narrower.

    S1² and S2 of means over a pixel do not belong together.
    """
    if not (alone := moments.is_of_pixel).any():
        return smoothed
    return np.where(alone, function(PixelMoments(moments.sums)), smoothed)


def _density(moments: Moments) -> FloatArray:
    return moments.density(moments.weight)


def density_error(moments: Moments) -> FloatArray:
    return _root(moments.density_variance(moments.squared("w2")))


def _count(moments: Moments) -> FloatArray:
    return moments.amount(moments.weight)


def _count_error(moments: Moments) -> FloatArray:
    return _root(moments.amount_variance(moments.squared("w2")))


def _sum(moments: Moments) -> FloatArray:
    """Σ w v: V1/E1 × Ω, of values about 0."""
    return moments.amount("wv")


def _sum_error(moments: Moments) -> FloatArray:
    """√Q2/E1 × Ω."""
    return _root(moments.amount_variance(moments.squared("w2v2")))


def _root(variance: FloatArray) -> FloatArray:
    """σ of a variance, which rounding may make negative."""
    return np.sqrt(np.maximum(variance, 0.0))


def _has_enough(moments: Moments) -> BoolArray:
    """Where there are rows enough for a mean, of those with a weight."""
    return moments.has_rows(FEWEST_UNDER_KERNEL) & (moments.s1() > 0)


def _mean(moments: Moments) -> FloatArray:
    """The weighted mean V1/S1 (Nadaraya 1964; Watson 1964)."""
    return _mean_about_offset(moments) + moments.offset


def _mean_about_offset(moments: Moments) -> FloatArray:
    return np.where(_has_enough(moments), ratio(moments.first("wv"), moments.s1()), np.nan)


def _mean_error(moments: Moments) -> FloatArray:
    """Without weights std/√n_eff; with weights √(Q2 − 2mQ1 + m²S2)/S1 × √(n_eff/(n_eff − 1))."""
    mean = _mean_about_offset(moments)
    if moments.squared("w2") == "w2":
        q1, q2 = moments.second("w2v"), moments.second("w2v2")
        scatter = np.maximum(q2 - 2 * mean * q1 + mean**2 * moments.s2(), 0.0)
        return np.sqrt(ratio(scatter, moments.s1() ** 2) * _bessel(moments))
    return np.sqrt(_variance(moments, mean) / moments.n_eff())


def _std(moments: Moments) -> FloatArray:
    """√[(V2/S1 − m²) / (1 − 1/n_eff)]; its square is unbiased, not itself."""
    return np.sqrt(_variance(moments, _mean_about_offset(moments)))


def _variance(moments: Moments, mean: FloatArray) -> FloatArray:
    scatter = np.maximum(ratio(moments.first("wv2"), moments.s1()) - mean**2, 0.0)
    return np.asarray(scatter * _bessel(moments))


def _bessel(moments: Moments) -> FloatArray:
    """n_eff / (n_eff − 1); NaN where the scatter of rows is not known, of one row."""
    n_eff = moments.n_eff()
    known = n_eff > moments.more_than_one
    factor = np.full(n_eff.shape, np.nan)
    factor[known] = n_eff[known] / (n_eff[known] - 1)
    return factor


def _extreme(sums: Sums, name: str, moments: Moments) -> FloatArray:
    """The least, greatest or middle value of the rows in each pixel; NaN without rows."""
    values = sums.medians() if name == "median" else moments.first(name)
    return np.where(moments.first("n") > 0, values, np.nan)


VALUES: dict[str, Callable[[Moments], FloatArray]] = {
    "density": _density,
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "std": _std,
}

# Of the standard deviation there is no error: it depends on the fourth moment of the values.
ERRORS: dict[str, Callable[[Moments], FloatArray]] = {
    "density": density_error,
    "count": _count_error,
    "sum": _sum_error,
    "mean": _mean_error,
}
