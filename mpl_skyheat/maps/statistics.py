"""Statistics of maps: pure functions of sums over pixels, or of sums under kernels.

S1 = Σ w K and S2 = Σ w² K² are sums over rows of weights w (1 if there are none) under a kernel K;
with values v, V1 = Σ w v K, V2 = Σ w v² K, Q1 = Σ w² v K², Q2 = Σ w² v² K². Without a kernel they
are sums over the rows in a pixel. Values are summed about an offset near their mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.maps.significance import KernelSums, ratio
from mpl_skyheat.maps.statistic_table import EXTREMES
from mpl_skyheat.smoothing.field import Field, PlaneField, RandomField, SphereField

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.units import UnitBase

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.where import Where
    from mpl_skyheat.smoothing.kernel_base import PixelKernel, Terms

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


class Moments(ABC):
    """Sums over the map's pixels from which statistics are found."""

    def __init__(self, sums: Sums) -> None:
        self.sums, self.offset, self.first_sums = sums, sums.offset, sums.pixels
        self.area = sums.geometry.solid_angles
        if sums.observed is not None:
            self.area = self.area * sums.observed.pixels.fractions[sums.geometry.core]
        self._core = sums.geometry.core
        self.has_weights = "w2" in sums.channels
        self._names = sums.channels
        self._s2: FloatArray | None = None

    @abstractmethod
    def first(self, channel: str) -> FloatArray:
        """The sum of a channel, with K."""

    @abstractmethod
    def second(self, channel: str) -> FloatArray:
        """The sum of a channel, with K²."""

    @abstractmethod
    def density(self, channel: str) -> FloatArray:
        """The sum of a channel over the solid angle (sr) that it is from."""

    @abstractmethod
    def density_variance(self, channel: str) -> FloatArray:
        """The variance of a density, from the channel of squared amounts."""

    @abstractmethod
    def seen(self) -> FloatArray:
        """The observed fraction of each pixel, or of what the kernel sees of full coverage."""

    @abstractmethod
    def exposures(self) -> list[FloatArray]:
        """The observed solid angle (sr) of each pixel, or that which each kernel sees."""

    @abstractmethod
    def exposure(self) -> FloatArray:
        """E1: K ∗ the solid angle (sr) that was observed."""

    @abstractmethod
    def exposure_of_squares(self) -> FloatArray:
        """E2: K² ∗ the solid angle that was observed."""

    def amount(self, channel: str) -> FloatArray:
        """The sum of a channel over each pixel: its density times the pixel's solid angle."""
        return self.density(channel) * self.area

    def amount_variance(self, channel: str) -> FloatArray:
        """The variance of an amount, from the channel of squared amounts."""
        return self.density_variance(channel) * self.area**2

    @property
    @abstractmethod
    def peak(self) -> float:
        """K(0): what one row adds to `first` where it is."""

    @property
    def more_than_one(self) -> float:
        """Effective number of rows from which their scatter is known."""
        return 1 + 1e-6

    @property
    def weight(self) -> str:
        """The channel of S1."""
        return "w" if "w" in self._names else "n"

    def squared(self, channel: str) -> str:
        """The channel of w² in place of w, which are the same without weights."""
        if not self.has_weights:
            return {"w2": self.weight, "w2v": "wv", "w2v2": "wv2"}[channel]
        return channel

    def s1(self) -> FloatArray:
        return self.first(self.weight)

    def s2(self) -> FloatArray:
        """S2 of a kernel that is nowhere negative.

        It is at most S1² and K(0) w S1 of the largest weight, which it is where rounding hides it:
        beside many rows, S2 is lost in the rounding of an FFT where S1 is not.
        """
        if self._s2 is None:
            most = np.minimum(self.s1(), self.peak * self.heaviest)
            most *= self.s1()
            found = self.second(self.squared("w2"))
            np.copyto(most, found, where=(found > 0) & (found < most))
            self._s2 = most
        return self._s2

    @property
    def heaviest(self) -> float:
        """At least the largest weight of a row."""
        if not self.has_weights:
            return 1.0
        return float(np.sqrt(self.first_sums["w2"].max(initial=0.0)))

    @property
    def mean_weight(self) -> float:
        """Σw² / Σw of all rows on the map, whose sums are then those of as many counts."""
        if not self.has_weights:
            return 1.0
        w2, w = (float(self.first_sums[name][self._core].sum()) for name in ("w2", "w"))
        return w2 / w if w2 > 0 else 1.0

    def kernel_sums(self, unit: UnitBase | None = None) -> KernelSums:
        """S1, E1 and E2 in all pixels; ``unit`` is that of the weights."""
        s1 = self.s1()
        e1, e2 = (
            np.broadcast_to(e, s1.shape) for e in (self.exposure(), self.exposure_of_squares())
        )
        return KernelSums(s1, e1, e2, self.mean_weight, unit)

    def n_eff(self) -> FloatArray:
        """S1² / S2 (Kish 1965, Survey Sampling, 8.2)."""
        return ratio(self.s1() ** 2, self.s2())


class PixelMoments(Moments):
    """Sums over the rows in each pixel."""

    def __init__(self, sums: Sums) -> None:
        sums.settle()
        super().__init__(sums)
        core = sums.geometry.core
        self._sums = {name: image[core] for name, image in sums.pixels.items()}
        self._observed = np.ones(())
        if sums.observed is not None:
            self._observed = sums.observed.pixels.fractions[core]

    peak = 1.0

    def first(self, channel: str) -> FloatArray:
        return np.asarray(self._sums[channel], float)

    second = amount = amount_variance = first

    def exposure(self) -> FloatArray:
        return self.area

    exposure_of_squares = exposure

    def seen(self) -> FloatArray:
        return self._observed

    def exposures(self) -> list[FloatArray]:
        return [self.area]

    def density(self, channel: str) -> FloatArray:
        return ratio(self.first(channel), self.area)

    def density_variance(self, channel: str) -> FloatArray:
        return ratio(self.first(channel), self.area**2)


class SmoothMoments(Moments):
    """Sums under a kernel, or a linear combination of kernels, in each pixel."""

    def __init__(self, field: Field, terms: Terms) -> None:
        super().__init__(field.sums)
        self._field, self._terms = field, terms
        # Smoothed channels, each by name and whether with K².
        self._kept: dict[tuple[str, bool], FloatArray] = {}

    @property
    def peak(self) -> float:
        return sum(factor * self._field.peak(kernel) for factor, kernel in self._terms)

    def first(self, channel: str) -> FloatArray:
        if (channel, False) not in self._kept:
            smoothed = (f * self._field.smoothed(channel, kernel) for f, kernel in self._terms)
            self._kept[channel, False] = sum(smoothed, start=np.zeros(()))
        return self._kept[channel, False]

    def second(self, channel: str) -> FloatArray:
        if (channel, True) not in self._kept:
            self._kept[channel, True] = self._products(channel, lambda _: np.ones(()))
        return self._kept[channel, True]

    def density(self, channel: str) -> FloatArray:
        if len(self._terms) > 1:
            return self._field.density(channel, self._terms)
        return ratio(self.first(channel), self._field.exposure(self._terms[0][1]))

    def exposure(self) -> FloatArray:
        return np.asarray(sum(f * self._field.exposure(kernel) for f, kernel in self._terms))

    def exposure_of_squares(self) -> FloatArray:
        return self._over_pairs(self._field.exposure_of_squares)

    def kernel_sums(self, unit: UnitBase | None = None) -> KernelSums:
        """S1, E1 and E2; those of the rows in a pixel where the kernel is narrower."""
        found, alone = super().kernel_sums(unit), self.is_of_pixel
        if self._field.randoms is not None or not alone.any():
            return found
        rows = PixelMoments(self._field.sums).kernel_sums(unit)
        s1, e1, e2 = (
            np.where(alone, *both)
            for both in ((rows.s1, found.s1), (rows.e1, found.e1), (rows.e2, found.e2))
        )
        return KernelSums(s1, e1, e2, found.mean_weight, unit)

    def seen(self) -> FloatArray:
        field = self._field
        if field.sums.observed is None and field.randoms is None:
            return np.ones(())
        fractions = [ratio(field.exposure(k), field.full_exposure(k)) for _, k in self._terms]
        return np.asarray(np.min(np.broadcast_arrays(*fractions), axis=0))

    def exposures(self) -> list[FloatArray]:
        return [self._field.exposure(kernel) for _, kernel in self._terms]

    @property
    def is_of_pixel(self) -> BoolArray:
        """Which pixels have the mean over them, as they are wider than the kernels."""
        means = [self._field.has_means(kernel) for _, kernel in self._terms]
        return np.asarray(np.all(means, axis=0))

    @property
    def more_than_one(self) -> float:
        return 1 + self._field.accuracy

    def density_variance(self, channel: str) -> FloatArray:
        is_signed = any(f < 0 or kernel.has_negatives for f, kernel in self._terms)
        if len(self._terms) == 1 and not is_signed and channel == self.squared("w2"):
            variance = ratio(self.s2(), self._field.exposure(self._terms[0][1]) ** 2)
        else:
            variance = self._products(channel, self._field.exposure)
        return variance if self._field.randoms is None else variance + self._scatter_of_randoms()

    def _scatter_of_randoms(self) -> FloatArray:
        """Σᵢⱼ aᵢaⱼ (S1ᵢ/Eᵢ²)(S1ⱼ/Eⱼ²) Cᵢⱼ, of the covariance C of exposures by random points."""
        field = self._field
        assert field.randoms is not None
        slopes = [
            factor * ratio(field.smoothed(self.weight, kernel), field.exposure(kernel) ** 2)
            for factor, kernel in self._terms
        ]
        total = np.zeros(field.geometry.grid.shape)
        for i, (_, kernel) in enumerate(self._terms):
            for j, (_, other) in enumerate(self._terms):
                total += slopes[i] * slopes[j] * field.randoms.covariance(kernel, other)
        return total

    def _products(self, channel: str, exposure: Callable[[PixelKernel], FloatArray]) -> FloatArray:
        """Σᵢⱼ aᵢaⱼ (KᵢKⱼ ∗ channel) / (EᵢEⱼ) over pairs of kernels."""

        def part(kernel: PixelKernel, other: PixelKernel) -> FloatArray:
            squares = self._field.smoothed_squares(channel, kernel, other)
            return ratio(squares, exposure(kernel) * exposure(other))

        return self._over_pairs(part)

    def _over_pairs(self, part: Callable[[PixelKernel, PixelKernel], FloatArray]) -> FloatArray:
        """Σᵢⱼ aᵢaⱼ part(Kᵢ, Kⱼ), of a part that is symmetric in the kernels."""
        total = np.zeros(self._field.geometry.grid.shape)
        for i, (factor, kernel) in enumerate(self._terms):
            for j, (other_factor, other) in enumerate(self._terms[: i + 1]):
                total += factor * other_factor * (1 if i == j else 2) * part(kernel, other)
        return total


def field_of(
    sums: Sums,
    where: Where,
    request: MapRequest,
    team: Team,
    randoms: Sums | None = None,
) -> Field:
    """The field of sums; ``randoms`` are those of the random points of the request, if any."""
    kernels = where.kernels

    def of(sums: Sums, randoms: RandomField | None = None) -> Field:
        if where.choice.geometry == "sphere":
            return SphereField(sums, team, randoms)
        return PlaneField(sums, kernels.metric, request.boundary, kernels.margin(), randoms)

    if randoms is None or request.randoms is None:
        return of(sums)
    return of(sums, RandomField(of(randoms), request.randoms.per_sr))


def moments_of(
    sums: Sums,
    where: Where,
    request: MapRequest,
    team: Team,
    randoms: Sums | None = None,
) -> Moments:
    """The sums in the map's pixels, smoothed if there is a kernel."""
    if not request.terms:
        return PixelMoments(sums)
    return SmoothMoments(field_of(sums, where, request, team, randoms), request.terms)


def statistic_of(
    sums: Sums,
    where: Where,
    request: MapRequest,
    team: Team,
    randoms: Sums | None = None,
) -> Found:
    """The statistic that is asked for, per sr (or data unit²) if it is a density.

    A smoothed count, or sum, is the smoothed density times the pixel's solid angle, which is the
    smoothed sum if the boundary is explicit.
    """
    name = request.statistic
    if name in EXTREMES:
        rows = PixelMoments(sums)
        return Found(_extreme(sums, name, rows), rows.seen(), n_eff=lambda: rows.first("n"))
    moments = moments_of(sums, where, request, team, randoms)
    with np.errstate(over="ignore", invalid="ignore"):
        values = VALUES[name](moments)
        if name == "std":
            values = _of_rows(values, _std, moments)
    found = Found(values, moments.seen())
    if has_no_spread(sums, where, request):
        return found
    if name in ERRORS:
        found = replace(found, error=lambda: _error(name, moments))
    if request.is_signed:
        return found
    return replace(found, n_eff=lambda: rows_at(moments), kernel_sums=moments.kernel_sums)


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
    if not isinstance(moments, SmoothMoments) or not (alone := moments.is_of_pixel).any():
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
    rows = moments.first("seen" if "seen" in moments.first_sums else moments.weight)
    return np.asarray((rows >= FEWEST_UNDER_KERNEL * moments.peak) & (moments.s1() > 0))


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


def _extreme(sums: Sums, name: str, moments: PixelMoments) -> FloatArray:
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
