"""Smoothing on the sphere, with isotropic kernels on rings of constant latitude.

The exact map is f(y) = Σₚ wₚ K(xₚ, y) over points xₚ. Both ends of K are interpolated with splines
between the bins of an equirectangular lattice: the points are spread over the bins around them with
B-spline weights, the lattice is convolved, and the result is read off at the pixels, between bins.
Spline prefilters on both sides make this the spline interpolation of K itself. On rings of constant
latitude an isotropic K is, for each order m of the Fourier transform along the ring, a banded
matrix over rings: exact at the poles and across 0h, at the cost of the sky that is covered.

Nothing here knows of frames: the lattice has its own poles, and the map's centre at its origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.binning import Accumulator
from mpl_skyheat.compiling import is_worth, run
from mpl_skyheat.threads import PRODUCT, Team, product

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from mpl_skyheat.kernels import RadialKernel

    FloatArray = NDArray[np.float64]

# Rings and columns around the lattice that hold what is spread beyond its edges.
PAD = 3

# Rings and columns kept between what is read off and the edge of a partial lattice: over so many
# bins the spline prefilter forgets the edge, to 0.27¹⁰ ~ 2e-6.
MARGIN = 10

# What the prefilter of splines takes so many bins away is 0.27²⁰ ~ 4e-12 of what it was: `NOISE`.
FAR = 20

# Bins are never wider (rad): weights spread along a ring pull a point towards its pole.
WIDEST_BIN = np.radians(1.5)

# What is below this fraction of the largest value is rounding error: exactly zero.
NOISE = 1e-10

# Points are shared among sums of so many parts, which do not depend on the number of threads.
PARTS = 4

# The pole of the recursions that give a cubic spline's coefficients.
POLE = np.sqrt(3) - 2

# Functions of up to so many values are transformed by a matrix, if two fit in a `PRODUCT`: that is
# faster than an FFT.
MANY = 60

# Values that a thread reads off at a time.
READ = 2**16

# Rings, or orders of their transforms, that a thread works on at a time.
TOGETHER = 128

# Rings for which kernel values are found together: not all, as the kernel reaches the farther along
# a ring, the nearer that is to a pole, where they are fewer; nor so few that threads wait for the
# interpreter.
FIRST_BLOCK = 12
BLOCK = 96


@dataclass(frozen=True)
class Lattice:
    """Bins of ``rings`` × ``columns`` about latitude and longitude zero.

    A lattice that reaches the poles has rings of 360 deg; another is a window, surrounded by sky
    that the kernel does not reach across.
    """

    rings: int
    columns: int
    lat_step: float
    lon_step: float
    has_poles: bool

    @classmethod
    def covering(cls, lat: float, lon: float, reach: float, bin_size: float) -> Lattice:
        """Return the lattice for pixels within ± lat and ± lon (rad), and a kernel's reach."""
        from scipy.fft import next_fast_len

        step = min(bin_size, WIDEST_BIN)
        lat_limit = lat + reach + MARGIN * step
        if lat_limit >= np.radians(85):
            return cls.whole(bin_size)
        # A circle of radius ρ around latitude φ spans ± arcsin(sin ρ / sin(90° − φ)) in longitude.
        across = np.arcsin(min(np.sin(min(reach, np.pi / 2)) / np.cos(lat_limit), 1.0))
        lon_limit = lon + across + MARGIN * step / np.cos(lat_limit)
        if lon_limit >= np.radians(150):
            return cls.whole(bin_size)
        rings = 2 * int(np.ceil(lat_limit / step))
        columns = 2 * next_fast_len(int(np.ceil(lon_limit / step)), real=True)
        return cls(rings, columns, step, step, has_poles=False)

    @classmethod
    def whole(cls, bin_size: float) -> Lattice:
        """Return the lattice of the whole sphere."""
        from scipy.fft import next_fast_len

        step = min(bin_size, WIDEST_BIN)
        rings = 2 * int(np.ceil(np.pi / 2 / step))
        columns = 2 * next_fast_len(int(np.ceil(np.pi / step)), real=True)
        return cls(rings, columns, np.pi / rings, 2 * np.pi / columns, has_poles=True)

    @property
    def bytes(self) -> float:
        """What smoothing on the lattice takes."""
        return (136.0 + 8 * PARTS) * self.rings * self.columns

    @property
    def latitudes(self) -> FloatArray:
        return np.asarray((np.arange(self.rings) - 0.5 * (self.rings - 1)) * self.lat_step, float)

    def position(self, lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return row and column (0 at the centre of the first bin) of positions (rad)."""
        row = lat / self.lat_step + 0.5 * (self.rings - 1)
        return row, lon / self.lon_step + 0.5 * (self.columns - 1)


class PointSpread:
    """Points, spread over the bins of a lattice with the weights of a B-spline."""

    def __init__(self, lattice: Lattice, order: int) -> None:
        self.lattice, self._order = lattice, order
        self._shape = lattice.rings + 2 * PAD, lattice.columns + 2 * PAD
        self._total = Accumulator(self._shape, weighted=True)
        self._parts: FloatArray | None = None

    def add(self, lon: FloatArray, lat: FloatArray, weights: FloatArray | None) -> None:
        """Add points (rad); those off the lattice are left out."""
        row, column = self.lattice.position(lon, lat)
        if not self.lattice.has_poles:
            near = (np.abs(row - 0.5 * (self.lattice.rings - 1)) < 0.5 * self.lattice.rings) & (
                np.abs(column - 0.5 * (self.lattice.columns - 1)) < 0.5 * self.lattice.columns
            )
            row, column = row[near], column[near]
            weights = None if weights is None else weights[near]
        top, row_weights = _spline_weights(row, self._order)
        left, column_weights = _spline_weights(column, self._order)
        corner = (top + PAD) * self._shape[1] + left + PAD
        for i, in_row in enumerate(row_weights):
            share = in_row if weights is None else in_row * weights
            for j, in_column in enumerate(column_weights):
                self._total.add(corner + (i * self._shape[1] + j), share * in_column)

    def add_compiled(
        self,
        lon: FloatArray,
        lat: FloatArray,
        weights: FloatArray | None,
        turn: FloatArray | None,
        team: Team,
    ) -> None:
        """Add points by compiled code: (rad), or (deg) and turned onto the lattice by a matrix."""
        lattice = self.lattice
        if self._parts is None:
            self._parts = np.zeros((PARTS, *self._shape))
        parts = self._parts
        size = lattice.rings, lattice.columns, lattice.lat_step, lattice.lon_step
        matrix = np.eye(3) if turn is None else turn
        bounds = np.linspace(0, len(lon), PARTS + 1).astype(int)

        def work(_: int, part: int) -> None:
            rows = slice(bounds[part], bounds[part + 1])
            some = np.ones(1) if weights is None else weights[rows]
            run(
                "spread", lon[rows], lat[rows], some, weights is not None, matrix, turn is not None,
                *size, lattice.has_poles, self._order, PAD, parts[part],
            )  # fmt: skip

        team.share(range(PARTS), work)

    @property
    def bins(self) -> FloatArray:
        """The sums per bin, with what lies beyond the edges of the lattice folded into it."""
        wide = np.array(self._total.image, dtype=float)
        if self._parts is not None:
            wide += self._parts.sum(axis=0)
        columns = self.lattice.columns
        wide[:, columns : columns + PAD] += wide[:, :PAD]
        wide[:, PAD : 2 * PAD] += wide[:, -PAD:]
        wide = wide[:, PAD:-PAD]
        bins = wide[PAD:-PAD].copy()
        if self.lattice.has_poles:
            bins[:PAD] += np.roll(wide[:PAD][::-1], columns // 2, axis=1)
            bins[-PAD:] += np.roll(wide[-PAD:][::-1], columns // 2, axis=1)
        return bins


def _spline_weights(position: FloatArray, order: int) -> tuple[NDArray[np.intp], list[FloatArray]]:
    """Return the first bin that a point reaches, and its weights on this and the following ones."""
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


class Smoothing:
    """Smooths what bins of a lattice hold with a kernel."""

    def __init__(self, lattice: Lattice, kernel: RadialKernel, team: Team | None = None) -> None:
        self.lattice, self.kernel, self.team = lattice, kernel, team or Team(1)
        farthest = int(_reach(lattice, kernel) / lattice.lat_step) + 1
        self._offsets = range(min(farthest + 1, lattice.rings))

    def __call__(self, bins: FloatArray) -> SmoothSphere:
        """Return the sum of the kernel over points that are spread over bins."""
        from scipy import fft

        lattice, order = self.lattice, self.kernel.spline_order
        number = np.arange(lattice.columns // 2 + 1)
        turn = np.where(number % 2, -1.0, 1.0)
        # A cubic spline's samples are its coefficients times (2 + cos ω) / 3; both ends of K.
        sharper = (3 / (2 + np.cos(2 * np.pi * number / lattice.columns))) ** 2
        # Of shape (rings, 2, orders): arithmetic with real numbers is faster.
        waves = np.zeros((lattice.rings, 2, len(number)))
        # (Rings so far from points have nothing that would not be set to zero.)
        near = _within(np.asarray(bins.any(axis=1)), FAR)

        def transform(_: int, rings: slice) -> None:
            transforms = np.asarray(fft.rfft(bins[rings], axis=1))
            waves[rings, 0], waves[rings, 1] = transforms.real, transforms.imag
            if order == 3:
                waves[rings] *= sharper

        self.team.share(_few(_runs(near)), transform)
        self._prefilter(waves, near, turn)
        waves = self._convolved(waves)
        near = _within(near, len(self._offsets) + FAR)
        self._prefilter(waves, near, turn)
        smooth = np.zeros(bins.shape)

        def transform_back(_: int, rings: slice) -> None:
            transforms = np.empty((rings.stop - rings.start, len(number)), complex)
            transforms.real, transforms.imag = waves[rings, 0], waves[rings, 1]
            smooth[rings] = fft.irfft(transforms, lattice.columns, axis=1)

        self.team.share(_few(_runs(near)), transform_back)
        return SmoothSphere(lattice, smooth, order, self.team)

    def _prefilter(self, waves: FloatArray, near: NDArray[np.bool_], turn: FloatArray) -> None:
        """Turn samples on the rings that are marked into coefficients of splines, in place."""
        if self.kernel.spline_order != 3:
            return

        if not is_worth(waves.size):
            for rings in _runs(near):
                _prefilter(waves[rings], turn)
            return

        def work(_: int, orders: slice) -> None:
            for rings in _runs(near):
                start = POLE ** np.arange(1, min(rings.stop - rings.start, FAR) + 1)
                run("prefilter", waves[rings], turn, orders.start, orders.stop, start)

        self.team.share(_few([slice(0, len(turn))]), work)

    def _convolved(self, waves: FloatArray) -> FloatArray:
        """Return Σⱼ K̂ₘ(φᵢ, φⱼ) wavesⱼₘ over rings j, for all rings i and orders m.

        K̂ₘ is real, depends on the two latitudes only, is symmetric in them, and the same in both
        hemispheres.
        """
        # Two sums, however many threads there are: the result does not depend on that.
        sums = np.zeros((2, *waves.shape))
        has_points = np.asarray(waves.any(axis=(1, 2)))
        in_either = has_points | has_points[::-1]

        is_compiled = is_worth(waves.size)

        def work(_: int, half: int) -> None:
            add = None if is_compiled else _RingSum(waves, sums[half])
            for offset in self._offsets[half::2]:
                for i in _blocks(self.lattice, offset, in_either):
                    transfer = _transfer(self.lattice, self.kernel, i, offset)
                    if add is None:
                        run("add_rings", waves, has_points, transfer, i.start, offset, sums[half])
                    else:
                        add(i, offset, transfer)

        self.team.share(range(2), work)
        return np.asarray(sums[0] + sums[1])


def _within(marked: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Mark what is not farther than so many places from what is marked."""
    from scipy.ndimage import maximum_filter1d

    return np.asarray(maximum_filter1d(marked, 2 * distance + 1, mode="constant"))


def _runs(marked: NDArray[np.bool_]) -> Iterator[slice]:
    """Yield the runs of what is marked."""
    (ends,) = np.nonzero(np.diff(marked, prepend=False, append=False))
    yield from map(slice, ends[::2].tolist(), ends[1::2].tolist())


def _few(runs: Iterable[slice]) -> list[slice]:
    """Cut runs in parts for threads to share."""
    return [
        slice(start, min(start + TOGETHER, run.stop))
        for run in runs
        for start in range(run.start, run.stop, TOGETHER)
    ]


def _prefilter(waves: FloatArray, turn: FloatArray) -> None:
    """Turn samples along the meridians into the coefficients of a cubic spline, in place.

    By the two recursions of Unser (1999, IEEE Signal Process. Mag. 16(6), 22). Beyond a pole, the
    meridian goes on half a turn away: sample −1 − k is sample k times ``turn``. (At the edges of
    rings that do not reach it, that has no effect on what is kept.)
    """
    waves *= 6.0
    near = waves[:FAR]
    waves[0] += turn * np.tensordot(POLE ** np.arange(1, len(near) + 1), near, axes=1)
    part = np.empty(waves.shape[1:])
    for i in range(1, len(waves)):
        waves[i] += np.multiply(waves[i - 1], POLE, out=part)
    waves[-1] *= -POLE / (1 - POLE * turn)
    for i in range(len(waves) - 2, -1, -1):
        np.subtract(waves[i + 1], waves[i], out=part)
        np.multiply(part, POLE, out=waves[i])


class SmoothSphere:
    """A smooth density per steradian, anywhere on a lattice."""

    def __init__(self, lattice: Lattice, smooth: FloatArray, order: int, team: Team) -> None:
        self._lattice, self._order, self._team = lattice, order, team
        self._noise = NOISE * float(np.abs(smooth).max())
        self._coefficients = self._framed(smooth)

    @property
    def coefficients(self) -> FloatArray:
        """The coefficients (rings × columns) of the splines that the density is the sum of."""
        return self._coefficients[PAD:-PAD, PAD:-PAD]

    def _framed(self, smooth: FloatArray) -> FloatArray:
        """Return the lattice with ``PAD`` more rings and columns of the sky beyond its edges."""
        if self._lattice.has_poles:
            half = self._lattice.columns // 2
            south = np.roll(smooth[:PAD][::-1], half, axis=1)
            north = np.roll(smooth[-PAD:][::-1], half, axis=1)
            smooth = np.concatenate([south, smooth, north])
        else:
            smooth = np.pad(smooth, ((PAD, PAD), (0, 0)))
        return np.concatenate([smooth[:, -PAD:], smooth, smooth[:, :PAD]], axis=1)

    def __call__(self, places: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Return the density (per sr) at positions (rad); exactly zero out of reach of all."""
        values = self._compiled(*places) if is_worth(len(places[0])) else self._exact(*places)
        return np.where(values <= self._noise, 0.0, values)

    def _exact(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        from scipy.ndimage import map_coordinates

        values = np.full(lon.shape, np.nan)
        known = np.isfinite(lon)
        row, column = self._lattice.position(lon[known], lat[known])
        places = np.stack([row + PAD, column + PAD])
        values[known] = map_coordinates(
            self._coefficients, places, order=self._order, prefilter=False
        )
        return values

    def _compiled(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        """Read off in threads, by compiled code."""
        values = np.empty(lon.shape)
        lattice = self._lattice
        size = lattice.rings, lattice.columns, lattice.lat_step, lattice.lon_step

        def work(_: int, start: int) -> None:
            rows = slice(start, start + READ)
            run(
                "read_off", lon[rows], lat[rows], *size, self._order, PAD,
                self._coefficients, values[rows],
            )  # fmt: skip

        self._team.share(range(0, len(lon), READ), work)
        return values


def _reach(lattice: Lattice, kernel: RadialKernel) -> float:
    """Return how far (rad) a kernel reaches with its steps as wide as a bin."""
    return kernel.reach + (0.5 * lattice.lat_step if kernel.has_steps else 0.0)


class _RingSum:
    """The sum of what rings give each other."""

    def __init__(self, waves: FloatArray, result: FloatArray) -> None:
        self._waves, self._result = waves, result
        # What is made anew for every product takes longer than the product.
        self._products = np.empty((BLOCK, *waves.shape[1:]))

    def __call__(self, i: slice, offset: int, transfer: FloatArray) -> None:
        """Add what rings i and those at an offset give each other, in both hemispheres."""
        self._add(i, offset, transfer)
        # The same two rings in the other hemisphere, unless they are these two.
        last = len(self._waves) - 1
        count = i.stop - i.start - int(2 * (i.stop - 1) + offset == last)
        k = slice(last - i.start - offset - count + 1, last - i.start - offset + 1)
        self._add(k, offset, transfer[:count][::-1])

    def _add(self, i: slice, offset: int, transfer: FloatArray) -> None:
        j = slice(i.start + offset, i.stop + offset)
        products = self._products[: len(transfer)]
        factors = transfer[:, np.newaxis]
        for to, of in ((i, j), (j, i)) if offset else ((i, i),):
            self._result[to] += np.multiply(factors, self._waves[of], out=products)


def _blocks(lattice: Lattice, offset: int, has_points: NDArray[np.bool_]) -> Iterator[slice]:
    """Yield blocks of rings i of the southern half where these, or i + offset, have points."""
    pairs, stop = (lattice.rings - offset + 1) // 2, 0
    while stop < pairs:
        start = stop
        stop = min(max(2 * start, FIRST_BLOCK), start + BLOCK, pairs)
        if has_points[start:stop].any() or has_points[start + offset : stop + offset].any():
            yield slice(start, stop)


def _transfer(lattice: Lattice, kernel: RadialKernel, i: slice, offset: int) -> FloatArray:
    """Return K̂ₘ(φᵢ, φᵢ₊ₒ) for rings i and an offset o."""
    half = lattice.columns // 2
    haversine_lat = np.sin(0.5 * offset * lattice.lat_step) ** 2
    haversine_lon = np.sin(0.5 * np.arange(half + 1) * lattice.lon_step) ** 2
    haversine_reach = np.sin(0.5 * min(_reach(lattice, kernel), np.pi)) ** 2
    cosines = np.cos(lattice.latitudes)
    cosines = cosines[i] * cosines[i.start + offset : i.stop + offset]
    limit = (haversine_reach - haversine_lat) / cosines.min()
    near = min(int(np.searchsorted(haversine_lon, limit)) + 2, half + 1)
    haversine = haversine_lat + cosines[:, None] * haversine_lon[:near]
    separation = 2 * np.arcsin(np.sqrt(np.minimum(haversine, 1.0)))
    smeared = lattice.lat_step if kernel.has_steps else 0.0
    values = kernel.smeared_profile(separation, smeared) / kernel.integral
    return _cosine_transform(values, half)


def _cosine_transform(values: FloatArray, half: int) -> FloatArray:
    """Return the transforms of real, even functions on 2 × half places, from those of one half.

    What is not given is zero.
    """
    near = values.shape[1]
    if near > MANY or 2 * near * (half + 1) > PRODUCT:
        from scipy.fft import dct

        return np.asarray(dct(values, type=1, n=half + 1, axis=1))
    return product(values, _cosines(half)[:near])


@lru_cache(maxsize=4)
def _cosines(half: int) -> FloatArray:
    """Return the matrix (places, orders) of the transform, of the first places."""
    # (Whole numbers below 2 × half keep the argument exact.)
    turns = np.outer(np.arange(min(MANY, half + 1)), np.arange(half + 1)) % (2 * half)
    cosines = np.cos(turns * (np.pi / half))
    cosines[1:half] *= 2
    return np.asarray(cosines)
