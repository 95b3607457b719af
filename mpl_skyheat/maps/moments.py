"""Sums over the rows in the map's pixels, or under kernels: what statistics are found from.

S1 = Σ w K and S2 = Σ w² K² are sums over rows of weights w (1 if there are none) under a kernel K;
with values v, V1 = Σ w v K, V2 = Σ w v² K, Q1 = Σ w² v K², Q2 = Σ w² v² K². Without a kernel they
are sums over the rows in a pixel. Values are summed about an offset near their mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.counting.sums import Sums
from mpl_skyheat.counting.workers import add_rows
from mpl_skyheat.maps.significance import KernelSums, ratio
from mpl_skyheat.sky.reach import reach_of
from mpl_skyheat.smoothing.field import Field, PlaneField, RandomField, SphereField

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.units import Quantity, UnitBase

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.coverage.observed import ObservedSky
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.where import Where
    from mpl_skyheat.sky.geometry import MapGeometry
    from mpl_skyheat.smoothing.kernel_base import PixelKernel, Terms


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

    def amount(self, channel: str) -> FloatArray:
        """The sum of a channel over each pixel: its density times the pixel's solid angle."""
        return self.density(channel) * self.area

    def amount_variance(self, channel: str) -> FloatArray:
        """The variance of an amount, from the channel of squared amounts."""
        return self.density_variance(channel) * self.area**2

    @property
    def is_of_pixel(self) -> BoolArray:
        """Which pixels have the mean over them, as they are wider than the kernels."""
        return np.zeros((), bool)

    # The width of the kernel at each pixel, where that is not the same everywhere.
    scales: Quantity | None = None

    @abstractmethod
    def has_rows(self, fewest: float) -> BoolArray:
        """Where the kernel's sum over rows with a weight is ``fewest`` K(0) or more."""

    @property
    def more_than_one(self) -> float:
        """Effective number of rows from which their scatter is known."""
        return 1 + 1e-6

    @property
    def seen_rows(self) -> str:
        """The channel of rows with a weight, each of which counts 1."""
        return "seen" if "seen" in self._names else self.weight

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

    @abstractmethod
    def s2(self) -> FloatArray:
        """S2 of a kernel that is nowhere negative, also where rounding hides it."""

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

    def n_eff(self) -> FloatArray:
        """S1² / S2 (Kish 1965, Survey Sampling, 8.2)."""
        return ratio(self.s1() ** 2, self.s2())


class PeakedMoments(Moments):
    """Sums in each pixel under one kernel, which is the same for all rows."""

    def __init__(self, sums: Sums) -> None:
        super().__init__(sums)
        self._s2: FloatArray | None = None

    @property
    @abstractmethod
    def peak(self) -> FloatArray | float:
        """K(0): what one row adds to `first` where it is."""

    def has_rows(self, fewest: float) -> BoolArray:
        return np.asarray(self.first(self.seen_rows) >= fewest * self.peak)

    def s2(self) -> FloatArray:
        """S2, at most S1² and K(0) w S1 of the largest weight, which it is where rounding hides it.

        Beside many rows, S2 is lost in the rounding of an FFT where S1 is not.
        """
        if self._s2 is None:
            most = np.minimum(self.s1(), self.peak * self.heaviest)
            most *= self.s1()
            self._s2 = bounded(self.second(self.squared("w2")), most)
        return self._s2


def bounded(found: FloatArray, most: FloatArray) -> FloatArray:
    """What is found, or the most that it can be where it is above that, or lost in rounding."""
    return np.where((found > 0) & (found < most), found, most)


class ExposedMoments(PeakedMoments):
    """Sums with the same kernel in all pixels: of maps that may be compared."""

    @abstractmethod
    def exposures(self) -> list[FloatArray]:
        """The observed solid angle (sr) of each pixel, or that which each kernel sees."""

    @abstractmethod
    def exposure(self) -> FloatArray:
        """E1: K ∗ the solid angle (sr) that was observed."""

    @abstractmethod
    def exposure_of_squares(self) -> FloatArray:
        """E2: K² ∗ the solid angle that was observed."""

    def kernel_sums(self, unit: UnitBase | None = None) -> KernelSums:
        """S1, E1 and E2 in all pixels; ``unit`` is that of the weights."""
        s1 = self.s1()
        e1, e2 = (
            np.broadcast_to(e, s1.shape) for e in (self.exposure(), self.exposure_of_squares())
        )
        return KernelSums(s1, e1, e2, self.mean_weight, unit)


class PixelMoments(ExposedMoments):
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


class SmoothMoments(ExposedMoments):
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
        total = np.zeros(field.shape)
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
        total = np.zeros(self._field.shape)
        for i, (factor, kernel) in enumerate(self._terms):
            for j, (other_factor, other) in enumerate(self._terms[: i + 1]):
                total += factor * other_factor * (1 if i == j else 2) * part(kernel, other)
        return total


def sums_of_randoms(
    request: MapRequest, geometry: MapGeometry, observed: ObservedSky | None, team: Team
) -> Sums | None:
    """The sums of the random points that say what was observed, if there are any."""
    if request.randoms is None:
        return None
    catalogue = request.randoms.catalogue.in_frame(geometry.plane.frame)
    catalogue = catalogue.within(reach_of(geometry, catalogue.frame))
    channels = ("n",) if catalogue.weights is None else ("w", "w2")
    sums = Sums(geometry, channels, observed=observed)
    add_rows(sums, catalogue, team)
    return sums


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
