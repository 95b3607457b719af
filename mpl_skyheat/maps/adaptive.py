"""Sums of maps whose kernel is narrow for some rows or pixels, and wide for others.

A ladder is a field for each width: of the rows that are spread with it (`LadderMoments`), or of all
rows, to be read in the pixels that have it (`GatherMoments`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.maps.moments import Moments, PeakedMoments, bounded
from mpl_skyheat.maps.significance import ratio
from mpl_skyheat.smoothing.adaptive import Adaptive, rungs_on_lattice, rungs_on_plane
from mpl_skyheat.smoothing.field import Field, SphereField

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from astropy.units import Quantity

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.where import Where
    from mpl_skyheat.smoothing.kernels import Gaussian


class Rung(NamedTuple):
    """A width: the field of the rows that are spread with it, and one that knows what was seen."""

    kernel: Gaussian
    rows: Field
    sky: Field


class LadderMoments(Moments):
    """Sums over the rungs of a ladder, each of the rows that are spread with its own width.

    ``sums`` are those of all rows in the pixels. ``rungs`` makes the ladder, one rung after the
    other, as all their transforms together may be larger than memory. ``seen`` is the observed
    fraction of each pixel's surroundings, ``accuracy`` that of the fields, and ``scales`` the width
    of the kernel at each pixel, if places have one.
    """

    def __init__(
        self,
        sums: Sums,
        rungs: Callable[[], Iterable[Rung]],
        *,
        seen: FloatArray,
        accuracy: float,
        scales: Quantity | None = None,
    ) -> None:
        super().__init__(sums)
        self._rungs, self._seen, self._accuracy, self.scales = rungs, seen, accuracy, scales
        self._kept: dict[tuple[str, bool], FloatArray] = {}

    def has_rows(self, fewest: float) -> BoolArray:
        # Of each width, in units of its own K(0): else wide kernels would never have enough.
        channel = self.seen_rows
        near = self._total(lambda r: r.rows.smoothed(channel, r.kernel) / r.rows.peak(r.kernel))
        return np.asarray(near >= fewest)

    def first(self, channel: str) -> FloatArray:
        if (channel, False) not in self._kept:
            self._kept[channel, False] = self._total(lambda r: r.rows.smoothed(channel, r.kernel))
        return self._kept[channel, False]

    def second(self, channel: str) -> FloatArray:
        if (channel, True) not in self._kept:
            self._kept[channel, True] = self._total(lambda r: self._squares(r, channel))
        return self._kept[channel, True]

    def s2(self) -> FloatArray:
        return np.minimum(self.second(self.squared("w2")), self.s1() ** 2)

    def density(self, channel: str) -> FloatArray:
        """Σₛ (Kₛ ∗ wₛ) / E1ₛ over the rungs s."""
        return self._total(
            lambda r: ratio(r.rows.smoothed(channel, r.kernel), r.sky.exposure(r.kernel))
        )

    def density_variance(self, channel: str) -> FloatArray:
        """Σₛ (Kₛ² ∗ wₛ²) / E1ₛ², of squared weights at most the square of the density."""
        variance = self._total(
            lambda r: ratio(self._squares(r, channel), r.sky.exposure(r.kernel) ** 2)
        )
        if channel != self.squared("w2"):
            return variance
        return np.minimum(variance, self.density(self.weight) ** 2)

    def seen(self) -> FloatArray:
        return self._seen

    @property
    def more_than_one(self) -> float:
        return 1 + self._accuracy

    def _total(self, find: Callable[[Rung], FloatArray]) -> FloatArray:
        total = np.zeros(self.area.shape)
        for rung in self._rungs():
            total += find(rung)
        return total

    def _squares(self, rung: Rung, channel: str) -> FloatArray:
        """K² ∗ a channel of squared amounts; of squared weights bounded as `PeakedMoments.s2`."""
        squares = rung.rows.smoothed_squares(channel, rung.kernel, rung.kernel)
        if channel != self.squared("w2"):
            return squares
        s1, peak = rung.rows.smoothed(self.weight, rung.kernel), rung.rows.peak(rung.kernel)
        return bounded(squares, peak * self.heaviest * s1)


class GatherMoments(PeakedMoments):
    """Sums of all rows under the kernel of each pixel: the narrowest with points enough."""

    def __init__(self, field: Field, kernel: Adaptive) -> None:
        super().__init__(field.sums)
        self._field, self._kernel = field, kernel
        self._rung = kernel.first_with_enough(map(self._number, kernel.rungs))
        self._n = self._selected(self._number)
        self.scales = kernel.scales(self._rung)
        self._kept: dict[tuple[str, bool], FloatArray] = {}

    def _number(self, kernel: Gaussian) -> FloatArray:
        """The effective number of points S1 E1 / E2 / w̄, with w̄ = Σ w² K / Σ w K."""
        s1, e1 = self._field.smoothed(self.weight, kernel), self._field.exposure(kernel)
        number = ratio(s1 * e1, self._field.exposure_of_squares(kernel, kernel))
        if not self.has_weights:
            return number
        return ratio(number, ratio(self._field.smoothed("w2", kernel), s1))

    @property
    def peak(self) -> FloatArray:
        return self._selected(lambda kernel: np.asarray(self._field.peak(kernel)))

    def first(self, channel: str) -> FloatArray:
        if (channel, False) not in self._kept:
            found = self._selected(lambda kernel: self._field.smoothed(channel, kernel))
            self._kept[channel, False] = found
        return self._kept[channel, False]

    def second(self, channel: str) -> FloatArray:
        if (channel, True) not in self._kept:
            squares = self._field.smoothed_squares
            found = self._selected(lambda kernel: squares(channel, kernel, kernel))
            self._kept[channel, True] = found
        return self._kept[channel, True]

    def density(self, channel: str) -> FloatArray:
        """(n − ½) / A of the n found, and n / A where even the widest kernel has too few."""
        exposure = self._selected(self._field.exposure)
        chosen = self._n >= self._kernel.n_points
        factor = np.where(chosen, 1 - ratio(np.full(self._n.shape, 0.5), self._n), 1.0)
        return factor * ratio(self.first(channel), exposure)

    def density_variance(self, channel: str) -> FloatArray:
        """The square of the density over √n."""
        del channel
        return ratio(self.density(self.weight) ** 2, self._n)

    def seen(self) -> FloatArray:
        return seen_at(self._field, self._kernel, self._rung)

    @property
    def is_of_pixel(self) -> BoolArray:
        has_means = self._selected(lambda kernel: self._field.has_means(kernel).astype(float))
        return np.asarray(has_means > 0)

    @property
    def more_than_one(self) -> float:
        return 1 + self._field.accuracy

    def _selected(self, find: Callable[[Gaussian], FloatArray]) -> FloatArray:
        return selected(self._kernel, self._rung, find)


def selected(
    kernel: Adaptive, rungs: IntArray, find: Callable[[Gaussian], FloatArray]
) -> FloatArray:
    """What is found with a kernel, in each pixel with that of its own rung."""
    found = np.full(rungs.shape, np.nan)
    for number in np.unique(rungs):
        here = rungs == number
        found[here] = np.broadcast_to(find(kernel.rungs[number]), rungs.shape)[here]
    return found


def seen_at(field: Field, kernel: Adaptive, rungs: IntArray) -> FloatArray:
    """What the kernel of each pixel sees of what it would see of full coverage."""
    if field.sums.observed is None:
        return np.ones(())
    return selected(
        kernel, rungs, lambda rung: ratio(field.exposure(rung), field.full_exposure(rung))
    )


def adaptive_moments(kernel: Adaptive, field: Field, where: Where, request: MapRequest) -> Moments:
    """The sums of a field under an adaptive kernel in the map's pixels."""
    if kernel.mode == "gather":
        return GatherMoments(field, kernel)
    sums = field.sums
    weight = "w" if "w" in sums.channels else "n"
    bins = None
    if isinstance(field, SphereField):
        bins = rungs_on_lattice(kernel, field, weight)
        core = wide = bins.ravel()[where.geometry.lattice_bins()]
    else:
        metric, margin = where.kernels.metric, where.kernels.margin()
        wide = rungs_on_plane(kernel, sums, weight, metric, request.boundary, margin)
        core = wide[where.geometry.core]

    def rungs() -> Iterator[Rung]:
        for number, rung in enumerate(kernel.rungs):
            part = sums.part(wide == number, None if bins is None else bins == number)
            if part.has_rows:
                yield Rung(rung, field.of(part), field)

    seen, scales = seen_at(field, kernel, core), kernel.scales(core)
    return LadderMoments(sums, rungs, seen=seen, accuracy=field.accuracy, scales=scales)
