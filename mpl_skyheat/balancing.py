"""Factors that make sums over the pixels of an all-sky map right, where these are few or long."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.compiling import is_worth
from mpl_skyheat.rings import Lattice, PointSpread, SmoothSphere
from mpl_skyheat.skypixels import LEEWAY, WIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mpl_skyheat.kernels import RadialKernel
    from mpl_skyheat.skypixels import SkyPixels
    from mpl_skyheat.threads import Team

    FloatArray = NDArray[np.float64]
    # The lowest and the highest, both in the north and in the south (rad).
    Latitudes = tuple[float, float]

# Bins are scaled within `LEEWAY`, by less than 1 %, if the values of a source then add up to what
# it is but for so much: what pixels show is then right to 1 % whatever the sources. And that must
# do for narrow kernels, and maps with a hole.
LOSS = 8e-4

# Else factors of bins and pixels are found in at most so many rounds, until a uniform sky is flat
# to so much. Values are then right to about 1 % for many sources that are spread over the kernel.
ROUNDS, FLAT = 12, 0.008

# No factor is beyond these limits: what hardly any pixel shows is not made up for.
LIMITS = 0.5, 2.0


class Factors(NamedTuple):
    """What the bins of a lattice (rings × columns) are multiplied with, and the pixels' values."""

    of_bins: FloatArray
    of_pixels: FloatArray


def balanced(
    pixels: SkyPixels, lattice: Lattice, kernel: RadialKernel, team: Team
) -> Factors | None:
    """Return factors with which every source adds up to what it is, and a uniform sky is flat.

    As rows and columns of a matrix are made to have given sums (Sinkhorn & Knopp 1967, Pacific J.
    Math. 21, 343). None if none are needed.
    """
    latitudes = pixels.uneven_latitudes(kernel)
    if latitudes is None:
        return None
    sums = _Sums(pixels, lattice, kernel, team)
    shown = sums.shown(sums.grown(latitudes))
    of_bins = 1 / np.clip(shown, *LEEWAY)
    lossy = (np.abs(_at_centres(of_bins * shown - 1)) > LOSS).any(axis=1)
    of_pixels = np.ones(pixels.count)
    is_narrow = kernel.spread < WIDE * pixels.side_at_centre
    if not lossy.any() or is_narrow or not pixels.have_no_hole(kernel):
        return Factors(of_bins, of_pixels)
    lat = np.abs(lattice.latitudes[lossy])
    latitudes = sums.grown((float(lat.min()), float(lat.max())))
    at, rings = pixels.between(*latitudes), lattice.between(*latitudes)
    for _ in range(ROUNDS):
        of_bins[rings] = 1 / np.clip(shown[rings], *LIMITS)
        flat = pixels.sampled(sums.uniform_sky(of_bins, sums.grown(latitudes)))[at]
        if np.abs(flat * of_pixels[at] - 1).max() < FLAT:
            break
        of_pixels[at] = 1 / np.clip(flat, *LIMITS)
        shown = sums.shown(latitudes, of_pixels)
    else:
        of_bins[rings] = 1 / np.clip(shown[rings], *LIMITS)
    return Factors(of_bins, of_pixels)


def _at_centres(coefficients: FloatArray) -> FloatArray:
    """Return the values of cubic splines in the middles of bins, but for those at the edges."""
    rows = np.pad(coefficients, ((1, 1), (0, 0)), mode="edge")
    rows = (rows[:-2] + 4 * rows[1:-1] + rows[2:]) / 6
    columns = np.pad(rows, ((0, 0), (1, 1)), mode="wrap")
    return np.asarray((columns[:, :-2] + 4 * columns[:, 1:-1] + columns[:, 2:]) / 6)


class _Sums:
    """Sums over pixels and over bins, of the kernel between them."""

    def __init__(
        self, pixels: SkyPixels, lattice: Lattice, kernel: RadialKernel, team: Team
    ) -> None:
        self._pixels, self._lattice, self._kernel, self._team = pixels, lattice, kernel, team

    def grown(self, latitudes: Latitudes) -> Latitudes:
        """Return the latitudes within the kernel's reach of others."""
        reach = self._kernel.reach + 4 * self._lattice.lat_step
        return latitudes[0] - reach, latitudes[1] + reach

    def shown(self, latitudes: Latitudes, of_pixels: FloatArray | None = None) -> FloatArray:
        """Return what the pixels' values of a source in each bin add up to, 1 beyond latitudes.

        The kernel and the splines are symmetric: that is what smoothing gives, at the bin, of the
        solid angles of the pixels.
        """
        lattice = self._lattice
        spread = PointSpread(lattice, self._kernel.spline_order)
        for lon, lat, area in self._pixels.places_and_areas(*self.grown(latitudes), of_pixels):
            if is_worth(len(lon)):
                turn, place = np.eye(3), (np.degrees(lon), np.degrees(lat))
                spread.add_turned(*place, area, turn, self._team)
            else:
                spread.add(lon, lat, area)
        shown = self._smooth(spread.bins).coefficients
        return np.where(lattice.between(*latitudes)[:, np.newaxis], shown, 1.0)

    def uniform_sky(self, of_bins: FloatArray, latitudes: Latitudes) -> SmoothSphere:
        """Return the map of bins of the same density, times factors, between latitudes."""
        rings = self._lattice.uniform(self._kernel.spline_order)
        rings[~self._lattice.between(*latitudes)] = 0.0
        return self._smooth(rings[:, np.newaxis] * of_bins)

    def _smooth(self, bins: FloatArray) -> SmoothSphere:
        return SmoothSphere(self._lattice, bins, self._kernel, self._team)
