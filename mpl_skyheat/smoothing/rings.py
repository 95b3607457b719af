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

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.compute.loader import run, should_compile
from mpl_skyheat.compute.threads import PRODUCT, Team, product
from mpl_skyheat.sky.lattice import PAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.sky.lattice import Lattice
    from mpl_skyheat.smoothing.kernel_base import RadialKernel

# Reach (bins) of the splines' prefilter: its effect decays to 0.27²⁰ ~ 4e-12, below `NOISE`.
FAR = 20

# Values below this fraction of the largest are FFT noise and set to 0, so that log scales do not
# show them.
NOISE = 1e-10

# The pole of the recursions that give a cubic spline's coefficients.
POLE = np.sqrt(3) - 2

# Functions of up to this many values are transformed by a matrix if it is small enough for a
# `PRODUCT`: that is faster than an FFT.
MANY = 60

# Number of rings, or orders of their transforms, that a thread works on at a time.
TOGETHER = 128

# Rings nearest to the pole whose kernel values are found together: few, as the kernel reaches far
# along them.
FIRST_BLOCK = 12

# Most rings whose kernel values are found together: enough that threads rarely wait for Python.
BLOCK = 96


class RingWaves:
    """The Fourier transforms of a lattice's rings, made once for any number of kernels.

    ``order`` is that of the splines, 1 or 3, that rows were spread with.
    """

    def __init__(
        self, lattice: Lattice, bins: FloatArray, order: int, team: Team | None = None
    ) -> None:
        from scipy import fft

        self.lattice, self.order, self.team = lattice, order, team or Team(1)
        # Sums of values on both sides of their offset.
        self.is_signed = bool(bins.min() < 0)
        number = np.arange(lattice.columns // 2 + 1)
        self._turn = np.where(number % 2, -1.0, 1.0)
        # A cubic spline's samples are its coefficients times (2 + cos ω) / 3; both ends of K.
        sharper = (3 / (2 + np.cos(2 * np.pi * number / lattice.columns))) ** 2
        # Of shape (rings, 2, orders): arithmetic with real numbers is faster.
        self._waves = np.zeros((lattice.rings, 2, len(number)))
        # Rings farther than this from points hold only noise.
        self._near = _within(np.asarray(bins.any(axis=1)), FAR)

        def transform(_: int, rings: slice) -> None:
            transforms = np.asarray(fft.rfft(bins[rings], axis=1))
            self._waves[rings, 0], self._waves[rings, 1] = transforms.real, transforms.imag
            if order == 3:
                self._waves[rings] *= sharper

        self.team.share(_few(_runs(self._near)), transform)
        self._prefilter(self._waves, self._near)

    def smoothed(self, kernel: RadialKernel) -> SmoothSphere:
        """The sum of a kernel over the rows."""
        from scipy import fft

        lattice = self.lattice
        farthest = int(_reach(lattice, kernel) / lattice.lat_step) + 1
        offsets = range(min(farthest + 1, lattice.rings))
        waves = self._convolved(kernel, offsets)
        near = _within(self._near, len(offsets) + FAR)
        self._prefilter(waves, near)
        smooth = np.zeros((lattice.rings, lattice.columns))

        def transform_back(_: int, rings: slice) -> None:
            transforms = np.empty((rings.stop - rings.start, len(self._turn)), complex)
            transforms.real, transforms.imag = waves[rings, 0], waves[rings, 1]
            smooth[rings] = fft.irfft(transforms, lattice.columns, axis=1)

        self.team.share(_few(_runs(near)), transform_back)
        return SmoothSphere(self, smooth)

    def _prefilter(self, waves: FloatArray, near: BoolArray) -> None:
        """Turn samples on marked rings into coefficients of splines, in place."""
        if self.order != 3:
            return
        turn = self._turn
        if not should_compile(waves.size):
            for rings in _runs(near):
                _prefilter(waves[rings], turn)
            return

        def work(_: int, orders: slice) -> None:
            for rings in _runs(near):
                start = POLE ** np.arange(1, min(rings.stop - rings.start, FAR) + 1)
                run("prefilter", waves[rings], turn, orders.start, orders.stop, start)

        self.team.share(_few([slice(0, len(turn))]), work)

    def _convolved(self, kernel: RadialKernel, offsets: range) -> FloatArray:
        """Σⱼ K̂ₘ(φᵢ, φⱼ) wavesⱼₘ over rings j, for all rings i and orders m.

        K̂ₘ is real, depends on the two latitudes only, is symmetric in them, and the same in both
        hemispheres.
        """
        waves = self._waves
        # Two sums, however many threads there are: the result does not depend on that.
        sums = np.zeros((2, *waves.shape))
        has_points = np.asarray(waves.any(axis=(1, 2)))
        in_either = has_points | has_points[::-1]
        is_compiled = should_compile(waves.size)

        def work(_: int, half: int) -> None:
            # One buffer for all products: allocating it anew takes longer than a product.
            buffer = np.empty((0 if is_compiled else BLOCK, *waves.shape[1:]))
            for offset in offsets[half::2]:
                for i in _blocks(self.lattice, offset, in_either):
                    transfer = _transfer(self.lattice, kernel, i, offset)
                    if is_compiled:
                        run("add_rings", waves, has_points, transfer, i.start, offset, sums[half])
                    else:
                        self._add_rings(transfer, i, offset, sums[half], buffer)

        self.team.share(range(2), work)
        return np.asarray(sums[0] + sums[1])

    def _add_rings(
        self, transfer: FloatArray, i: slice, offset: int, result: FloatArray, buffer: FloatArray
    ) -> None:
        """Add smoothed rings i to the rings at an offset, and these to i, in both hemispheres."""
        # The same two rings in the other hemisphere, unless they are these two.
        last = len(result) - 1
        count = i.stop - i.start - int(2 * (i.stop - 1) + offset == last)
        k = slice(last - i.start - offset - count + 1, last - i.start - offset + 1)
        for rings, factors in ((i, transfer), (k, transfer[:count][::-1])):
            products, column = buffer[: len(factors)], factors[:, np.newaxis]
            there = slice(rings.start + offset, rings.stop + offset)
            for to, of in ((rings, there), (there, rings)) if offset else ((rings, rings),):
                result[to] += np.multiply(column, self._waves[of], out=products)


def _within(marked: BoolArray, distance: int) -> BoolArray:
    """Elements within a distance of a marked one."""
    from scipy.ndimage import maximum_filter1d

    return np.asarray(maximum_filter1d(marked, 2 * distance + 1, mode="constant"))


def _runs(marked: BoolArray) -> Iterator[slice]:
    """Runs of marked elements."""
    (ends,) = np.nonzero(np.diff(marked, prepend=False, append=False))
    yield from map(slice, ends[::2].tolist(), ends[1::2].tolist())


def _few(runs: Iterable[slice]) -> list[slice]:
    """Parts of runs, of at most `TOGETHER`, for threads to share."""
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
    """A smooth density per steradian, anywhere on the lattice of waves."""

    def __init__(self, waves: RingWaves, smooth: FloatArray) -> None:
        self._lattice, self._order = waves.lattice, waves.order
        self._is_signed = waves.is_signed
        self._noise = NOISE * float(np.abs(smooth).max())
        # Of the splines that the density is the sum of.
        self.coefficients = self._framed(smooth)

    def _framed(self, smooth: FloatArray) -> FloatArray:
        """The lattice with ``PAD`` more rings and columns of the sky beyond its edges."""
        if self._lattice.has_poles:
            half = self._lattice.columns // 2
            south = np.roll(smooth[:PAD][::-1], half, axis=1)
            north = np.roll(smooth[-PAD:][::-1], half, axis=1)
            smooth = np.concatenate([south, smooth, north])
        else:
            smooth = np.pad(smooth, ((PAD, PAD), (0, 0)))
        return np.concatenate([smooth[:, -PAD:], smooth, smooth[:, :PAD]], axis=1)

    def __call__(self, places: tuple[FloatArray, FloatArray]) -> FloatArray:
        """The density (per sr) at positions (rad); exactly zero out of reach of all points."""
        values = self._compiled(*places) if should_compile(len(places[0])) else self._exact(*places)
        size = np.abs(values) if self._is_signed else values
        return np.where(size <= self._noise, 0.0, values)

    def _exact(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        from scipy.ndimage import map_coordinates

        values = np.full(lon.shape, np.nan)
        known = np.isfinite(lon)
        row, column = self._lattice.position(lon[known], lat[known])
        places = np.stack([row + PAD, column + PAD])
        values[known] = map_coordinates(
            self.coefficients, places, order=self._order, prefilter=False
        )
        return values

    def _compiled(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        values, lattice = np.empty(lon.shape), self._lattice
        size = lattice.rings, lattice.columns, lattice.lat_step, lattice.lon_step
        run("read_off", lon, lat, size, self._order, PAD, self.coefficients, values)
        return values


def _reach(lattice: Lattice, kernel: RadialKernel) -> float:
    """The reach (rad) of a kernel whose steps are as wide as a bin."""
    return kernel.reach + (0.5 * lattice.lat_step if kernel.has_steps else 0.0)


def _blocks(lattice: Lattice, offset: int, has_points: BoolArray) -> Iterator[slice]:
    """Blocks of southern rings i where rings i or i + offset have points."""
    pairs, stop = (lattice.rings - offset + 1) // 2, 0
    while stop < pairs:
        start = stop
        stop = min(max(2 * start, FIRST_BLOCK), start + BLOCK, pairs)
        if has_points[start:stop].any() or has_points[start + offset : stop + offset].any():
            yield slice(start, stop)


def _transfer(lattice: Lattice, kernel: RadialKernel, i: slice, offset: int) -> FloatArray:
    """K̂ₘ(φᵢ, φᵢ₊ₒ) for rings i and an offset o."""
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
    return _cosine_transform(kernel.density(separation, lattice.lat_step), half)


def _cosine_transform(values: FloatArray, half: int) -> FloatArray:
    """Transforms of real, even functions on 2 × half places, from their first, nonzero values."""
    near = values.shape[1]
    if near > MANY or 2 * near * (half + 1) > PRODUCT:
        from scipy.fft import dct

        return np.asarray(dct(values, type=1, n=half + 1, axis=1))
    return product(values, _cosines(half)[:near])


@lru_cache(maxsize=4)
def _cosines(half: int) -> FloatArray:
    """The matrix (places, orders) of the transform, for up to `MANY` places."""
    # (Whole numbers below 2 × half keep the argument exact.)
    turns = np.outer(np.arange(min(MANY, half + 1)), np.arange(half + 1)) % (2 * half)
    cosines = np.cos(turns * (np.pi / half))
    cosines[1:half] *= 2
    return np.asarray(cosines)
