"""Factors that make sums over the pixels of a map right, where the sky ends or pixels are long."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.compiling import is_worth
from mpl_skyheat.rings import Belt, PointSpread, Smoothing, SmoothSphere
from mpl_skyheat.skyedge import marked
from mpl_skyheat.skypixels import LEEWAY, WIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mpl_skyheat.skypixels import SkyPixels

    FloatArray = NDArray[np.float64]

# Bins are scaled within `LEEWAY`, by less than 1 %, if the values of a source then add up to what
# the map shows of it but for so much: what pixels show is then right to 1 % whatever the sources.
# And that must do for narrow kernels, and where the map ends: at the limb of a SIN, say, most of
# the solid angle of its longest pixels is beyond their centres, and what brings sums right there
# takes from what is shown elsewhere.
LOSS = 8e-4

# Else factors of bins and pixels are found in at most so many rounds, until a uniform sky is flat
# to so much. Values are then right to about 1 % for many sources that are spread over the kernel.
ROUNDS, FLAT = 12, 0.004

# Factors of pixels are taken farther than would be right without those of bins (Thibault et al.
# 2021, Algorithms 14, 143), which saves one round in four.
RELAXATION = 1.5

# No factor is beyond these limits: what hardly any pixel shows is not made up for.
LIMITS = 0.5, 2.0

# Where the map shows less than the first part of a kernel, its edge cuts the sum anyway; more than
# the second is all.
ALL = 0.99, 0.999

# Pixels, few as they are beside points, are shared among sums of so many parts.
SHARES = 2

# Bins at the edge of what a map shows are cut in so many parts along each side.
CUT = 8


class Factors(NamedTuple):
    """What the bins of a lattice (rings × columns) are multiplied with, and the pixels' values."""

    of_bins: FloatArray
    of_pixels: FloatArray


def balanced(pixels: SkyPixels, smoothing: Smoothing, belt: Belt) -> Factors:
    """Return factors with which every source in a belt adds up to what the map shows of it.

    A uniform sky stays flat: as rows and columns of a matrix are made to have given sums (Sinkhorn
    & Knopp 1967, Pacific J. Math. 21, 343).
    """
    lattice, kernel = smoothing.lattice, smoothing.kernel
    sums = _Sums(pixels, smoothing)
    shown, wanted = sums.shown(sums.grown(belt)), sums.wanted(sums.grown(belt))
    of_bins = _ratio(wanted, shown)
    lossy = (np.abs(_at_centres(of_bins * shown - wanted)) > LOSS).any(axis=1)
    of_pixels = np.ones(pixels.count)
    is_narrow = kernel.spread < WIDE * pixels.side_at_centre
    if not lossy.any() or is_narrow or not pixels.have_no_hole(kernel):
        return Factors(of_bins, of_pixels)
    belt = sums.grown(Belt.around(lattice.latitudes[lossy]))
    at, rings = pixels.in_belt(belt), lattice.rings_in(belt)
    for _ in range(ROUNDS):
        of_bins[rings] = 1 / np.clip(shown[rings], *LIMITS)
        flat = pixels.sampled(sums.uniform_sky(of_bins, sums.grown(belt)), at)
        if np.abs(flat * of_pixels[at] - 1).max() < FLAT:
            break
        better = of_pixels[at] ** (1 - RELAXATION) * np.clip(flat, *LIMITS) ** -RELAXATION
        of_pixels[at] = np.clip(better, *LIMITS)
        shown = sums.shown(belt, of_pixels)
    else:
        of_bins[rings] = 1 / np.clip(shown[rings], *LIMITS)
    return Factors(of_bins, of_pixels)


def _ratio(wanted: FloatArray, shown: FloatArray) -> FloatArray:
    """Return wanted / shown within `LEEWAY`; nearer to 1 where the map does not show all."""
    part = np.clip((wanted - ALL[0]) / (ALL[1] - ALL[0]), 0, 1)
    ratio = np.divide(wanted, shown, out=np.ones(shown.shape), where=part > 0)
    return np.asarray(np.clip(ratio, *LEEWAY) ** part)


def _at_centres(coefficients: FloatArray) -> FloatArray:
    """Return the values of cubic splines in the middles of bins, but for those at the edges."""
    rows = np.pad(coefficients, ((1, 1), (0, 0)), mode="edge")
    rows = (rows[:-2] + 4 * rows[1:-1] + rows[2:]) / 6
    columns = np.pad(rows, ((0, 0), (1, 1)), mode="wrap")
    return np.asarray((columns[:, :-2] + 4 * columns[:, 1:-1] + columns[:, 2:]) / 6)


def _is_at_edge(is_shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which bins differ from one beside them; rings close on themselves."""
    ny, nx = is_shown.shape
    padded = np.pad(np.pad(is_shown, ((1, 1), (0, 0)), mode="edge"), ((0, 0), (1, 1)), mode="wrap")
    around = [padded[i : i + ny, j : j + nx] for i in range(3) for j in range(3)]
    return np.asarray(np.any(around, axis=0) & ~np.all(around, axis=0))


class _Sums:
    """Sums over pixels and over bins, of the kernel between them."""

    def __init__(self, pixels: SkyPixels, smoothing: Smoothing) -> None:
        self._pixels, self._smooth = pixels, smoothing
        self._lattice, self._kernel = smoothing.lattice, smoothing.kernel
        # (Few, as most rounds are in the same belt.)
        self._places = lru_cache(2)(pixels.places_and_areas)

    def grown(self, belt: Belt) -> Belt:
        """Return a belt with all within the kernel's reach."""
        return belt.grown(self._kernel.reach + 4 * self._lattice.lat_step)

    def shown(self, belt: Belt, of_pixels: FloatArray | None = None) -> FloatArray:
        """Return what the pixels' values of a source in each bin add up to, 1 beyond a belt.

        The kernel and the splines are symmetric: that is what smoothing gives, at the bin, of the
        solid angles of the pixels.
        """
        lattice = self._lattice
        spread = PointSpread(lattice, self._kernel.spline_order, SHARES)
        for lon, lat, area, whose in self._places(self.grown(belt)):
            weights = area if of_pixels is None else area * of_pixels[whose]
            if is_worth(self._pixels.count):
                spread.add_compiled(lon, lat, weights, None, self._smooth.team)
            else:
                spread.add(lon, lat, weights)
        return self._within(belt, self._smooth(spread.bins))

    def wanted(self, belt: Belt) -> FloatArray:
        """Return what they should add up to, 1 beyond a belt: the part of the kernel on the map.

        That is what smoothing gives of a uniform sky where the map shows it.
        """
        lattice = self._lattice
        if self._pixels.have_no_hole(self._kernel):
            return np.ones((lattice.rings, lattice.columns))
        wide = self.grown(belt)
        everywhere = self.uniform_sky(self._parts_shown(wide), wide)
        return self._within(belt, everywhere)

    def _within(self, belt: Belt, smooth: SmoothSphere) -> FloatArray:
        return np.where(self._lattice.rings_in(belt)[:, np.newaxis], smooth.coefficients, 1.0)

    def _parts_shown(self, belt: Belt) -> FloatArray:
        """Return the parts of the bins in a belt that the map shows."""
        pixels, lattice = self._pixels, self._lattice
        rows, columns = np.indices((lattice.rings, lattice.columns))
        lon, lat = lattice.places(rows, columns)
        # (Far from a map, distortions cannot be inverted.)
        near = np.cos(lon) * np.cos(lat) > np.cos(min(pixels.farthest, np.pi))
        near &= lattice.rings_in(belt)[:, np.newaxis]
        is_shown = np.zeros(near.shape, bool)
        is_shown[near] = pixels.show(lon[near], lat[near])
        rows, columns = marked(_is_at_edge(is_shown) & near)
        offsets = (np.arange(CUT) + 0.5) / CUT - 0.5
        up, across = (v.reshape(-1, 1) for v in np.meshgrid(offsets, offsets))
        finer = pixels.show(*lattice.places(rows + up, columns + across))
        parts = is_shown.astype(float)
        parts[rows, columns] = finer.mean(axis=0)
        return parts

    def uniform_sky(self, of_bins: FloatArray, belt: Belt) -> SmoothSphere:
        """Return the map of bins of the same density, times factors, in a belt."""
        rings = self._lattice.uniform(self._kernel.spline_order)
        rings[~self._lattice.rings_in(belt)] = 0.0
        return self._smooth(rings[:, np.newaxis] * of_bins)
