"""`kernel="auto"`: the width of a Gaussian that fits a catalogue best, by cross-validation.

Least-squares cross-validation (Rudemo 1982, Scand. J. Statist. 9, 65; Bowman 1984, Biometrika 71,
353) takes the width with the smallest ∫f̂² dΩ − 2 Σᵢ f̂₋ᵢ(xᵢ), which is the integrated squared error
of the density f̂ but for a constant. f̂₋ᵢ is the density without row i.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy import units as u

from mpl_skyheat.compute.loader import LOG, should_compile
from mpl_skyheat.compute.warning import SkyHeatmapWarning
from mpl_skyheat.counting.spreading import PointSpread
from mpl_skyheat.counting.sums import Sums
from mpl_skyheat.counting.workers import add_rows
from mpl_skyheat.coverage.observed import observed_sky
from mpl_skyheat.maps.moments import sums_of_randoms
from mpl_skyheat.maps.statistic_table import channels_of
from mpl_skyheat.maps.units import readable_angle
from mpl_skyheat.maps.where import pixels_of_view
from mpl_skyheat.sky.frames import rotate
from mpl_skyheat.sky.geometry import MapGeometry, SphereLattice
from mpl_skyheat.sky.reach import reach_of
from mpl_skyheat.smoothing.choice import GridKernels, choose_geometry
from mpl_skyheat.smoothing.kernel_base import RadialKernel
from mpl_skyheat.smoothing.kernels import Gaussian
from mpl_skyheat.smoothing.plane import ImageTransforms
from mpl_skyheat.smoothing.rings import RingWaves

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.catalogue.streams import Stream
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.counting.exact_route import ProjectedBlock
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.sky.grid import View
    from mpl_skyheat.sky.planes import Plane
    from mpl_skyheat.smoothing.kernel_base import PixelKernel

# The narrowest width (pixels), and the widest as a fraction of the map's shorter side.
NARROWEST, WIDEST = 2.0, 0.25

# Ratio of one width to the next.
STEP = np.sqrt(2)

# To which fraction of the width the best is found between two of them.
ACCURACY = 0.05

# Wider Gaussians (pixels) are laid on pixels that are twice as large: the cost of all widths is
# then that of the narrowest few.
FINE_ENOUGH = 8.0

# Fraction of the sky that pixels off it at their centres may show.
WHOLE = 1e-2

# Fewest rows under the kernel, in the mean over rows: with fewer, the width follows the noise.
FEWEST = 5.0


@dataclass(frozen=True)
class Binned:
    """Rows in bins, and what was observed of these: Σw, Σw², and the solid angle.

    Of any shape, and in any order.
    """

    weight: FloatArray
    squared: FloatArray
    area: FloatArray


@dataclass(frozen=True)
class Smoothed:
    """Bins under a kernel K: S1, E1, K(0), and what finds S2."""

    bins: Binned
    s1: FloatArray
    e1: FloatArray
    own: float
    find_s2: Callable[[], FloatArray]

    @property
    def score(self) -> float:
        """∫f̂² dΩ − 2 Σ w f̂₋ᵢ, of densities by what was observed."""
        bins, total = self.bins, self.bins.weight.sum()
        pairs = total**2 - bins.squared.sum()
        square = ((self.s1 / self.e1) ** 2 * bins.area).sum()
        others = ((bins.weight * self.s1 - bins.squared * self.own) / self.e1).sum()
        return float(square - 2 * others * total**2 / pairs)

    @property
    def n_eff(self) -> float:
        """The effective number of rows under the kernel, S1²/S2, in the mean over rows."""
        weight = self.bins.weight
        there = weight > 0
        n_eff = self.s1[there] ** 2 / self.find_s2()[there]
        return float(np.average(n_eff, weights=weight[there]))


class OnPlane:
    """Bins of a plane under Gaussians, of which nothing beyond the map is known.

    ``metric`` is that of a pixel, in rad², or of 1 for widths in pixels.
    """

    def __init__(self, bins: Binned, metric: FloatArray) -> None:
        self._levels, self._metric = [bins], metric
        self._side = float(np.linalg.det(metric) ** 0.25)

    def under(self, sigma: float) -> Smoothed:
        """The bins under a Gaussian of σ in rad."""
        level = int(max(np.ceil(np.log2(sigma / self._side / FINE_ENOUGH)), 0))
        while len(self._levels) <= level:
            last = self._levels[-1]
            self._levels.append(Binned(*map(_merged, (last.weight, last.squared, last.area))))
        bins = self._levels[level]
        kernel, metric = Gaussian(sigma * u.rad), self._metric * 4.0**level
        raster, (x, y) = kernel.raster(metric), kernel.half_sizes(metric)
        images = {
            name: np.pad(getattr(bins, name), ((y, y), (x, x)))
            for name in ("weight", "squared", "area")
        }
        transforms = ImageTransforms(images, (x, y))
        transfer = transforms.transfer(raster)
        seen = bins.area > 0
        return Smoothed(
            Binned(bins.weight[seen], bins.squared[seen], bins.area[seen]),
            transforms.convolved("weight", transfer)[seen],
            transforms.convolved("area", transfer)[seen],
            transfer.peak,
            lambda: transforms.convolved("squared", transforms.transfer(raster**2))[seen],
        )


class OnSphere:
    """Bins of a map under Gaussians on the sphere, as points in the pixels' centres."""

    def __init__(
        self, bins: Binned, geometry: MapGeometry, centre: tuple[float, float], team: Team
    ) -> None:
        self._geometry, self._centre, self._team = geometry, centre, team
        grid = geometry.grid
        x, y = np.meshgrid(grid.x.centres, grid.y.centres)
        lon, lat = geometry.plane.to_sky(x, y)
        seen = (bins.area > 0) & np.isfinite(lon) & np.isfinite(lat)
        self._bins = Binned(bins.weight[seen], bins.squared[seen], bins.area[seen])
        self._lon, self._lat = lon[seen], lat[seen]
        # Where all of the sky was observed, so was all under a kernel.
        self._is_whole = bool(self._bins.area.sum() > (1 - WHOLE) * 4 * np.pi)

    def under(self, sigma: float) -> Smoothed:
        """The bins under a Gaussian of σ in rad."""
        kernel, bins = Gaussian(sigma * u.rad), self._bins
        where = self._geometry.plane, self._geometry.grid, self._centre
        sphere = SphereLattice.covering(*where, kernel.bin_size, kernel.reach, (3,))
        is_compiled = should_compile(len(self._lon))
        places = rotate(self._lon, self._lat, sphere.turn, is_compiled=is_compiled)

        def smoothed(amounts: FloatArray, under: PixelKernel) -> FloatArray:
            assert isinstance(under, RadialKernel)
            spread, some = PointSpread(sphere.lattice, 3), amounts > 0
            if is_compiled:
                degrees = self._lon[some], self._lat[some]
                spread.add_compiled(*degrees, amounts[some], sphere.turn, self._team)
            else:
                spread.add(places[0][some], places[1][some], amounts[some])
            waves = RingWaves(sphere.lattice, spread.bins, 3, self._team)
            return waves.smoothed(under)(places)

        return Smoothed(
            bins,
            smoothed(bins.weight, kernel),
            np.ones(len(places[0])) if self._is_whole else smoothed(bins.area, kernel),
            1 / kernel.integral,
            partial(smoothed, bins.squared, kernel.product(kernel)),
        )


class Bandwidth(NamedTuple):
    """The best of the widths of a Gaussian, and the mean number of rows under it."""

    width: float
    n_eff: float


def best_width(bins: OnPlane | OnSphere, widths: FloatArray) -> Bandwidth:
    """The width with the smallest score, among and between some that grow.

    The widest of a field without structure.
    """
    from scipy.optimize import minimize_scalar

    def score(logarithm: float) -> float:
        return bins.under(float(np.exp(logarithm))).score

    logarithms = np.log(widths)
    scores = np.array([score(logarithm) for logarithm in logarithms])
    best = int(scores.argmin())
    width = float(widths[best])
    if 0 < best < len(widths) - 1:
        around = logarithms[best - 1], logarithms[best + 1]
        found = minimize_scalar(score, bounds=around, options={"xatol": ACCURACY})
        width = float(np.exp(found.x))
    return Bandwidth(width, bins.under(width).n_eff)


def with_best_width(
    catalogue: Catalogue | Stream,
    blocks: list[ProjectedBlock] | None,
    plane: Plane,
    view: View,
    request: MapRequest,
    team: Team,
    *,
    closed: bool,
) -> tuple[MapRequest, float]:
    """The request of a map with ``kernel="auto"`` with the kernel, and the rows under that.

    ``blocks`` are the catalogue's rows, if they have been projected already. A ``closed`` view
    holds its upper edges, as for `choose_where`.
    """
    centre, grid = pixels_of_view(request, plane, view, closed=closed)
    shorter = min(grid.shape)
    if WIDEST * shorter < NARROWEST:
        raise ValueError(
            f"kernel='auto' looks for a width from {NARROWEST:g} pixels to a quarter of the map, "
            f"which is narrower; got {shorter} pixels along the shorter side"
        )
    geometry = MapGeometry(plane, grid)
    geometry.measure(team)
    binned = _binned(catalogue, blocks, geometry, request, team)
    if binned.weight.sum() ** 2 <= binned.squared.sum():
        raise ValueError(
            "kernel='auto' needs several points on the map, of which the width is found; got "
            f"{np.count_nonzero(binned.weight)}"
        )
    unit = u.pix if request.is_flat else u.rad
    pixel = GridKernels((), plane, centre, grid)
    number = int(np.log(WIDEST * shorter / NARROWEST) / np.log(STEP) + 1e-9) + 1
    widths = NARROWEST * pixel.side * STEP ** np.arange(number)
    widest = GridKernels(Gaussian(widths[-1] << unit).terms, plane, centre, grid)
    choice = choose_geometry(widest, asked=request.geometry, boundary=request.boundary)
    bins: OnPlane | OnSphere = OnPlane(binned, pixel.metric)
    if choice.geometry == "sphere":
        bins = OnSphere(binned, geometry, centre, team)
    found = best_width(bins, widths)
    chosen, first, last = (
        readable_angle(width << unit) for width in (found.width, widths[0], widths[-1])
    )
    if not found.n_eff >= FEWEST:
        raise ValueError(
            f"kernel='auto' finds no width: under the best Gaussian, of σ = {chosen}, are "
            f"{found.n_eff:.2g} points, fewer than {FEWEST:g}, whose structure is noise: give a "
            "width"
        )
    LOG.info(
        "kernel='auto' is a Gaussian of σ = %s, of %d widths from %s to %s: %.3g points under it",
        *(chosen, number, first, last, found.n_eff),
    )
    if found.width == widths[0]:
        warnings.warn(
            f"kernel='auto' took the narrowest width, {chosen}, of {NARROWEST:g} pixels: with a "
            "finer pixel_size, a narrower one may fit better",
            SkyHeatmapWarning,
            stacklevel=5,
        )
    return replace(request, kernel=Gaussian(chosen)), found.n_eff


def _binned(
    catalogue: Catalogue | Stream,
    blocks: list[ProjectedBlock] | None,
    geometry: MapGeometry,
    request: MapRequest,
    team: Team,
) -> Binned:
    """The rows on a map, and the solid angle that was observed of each pixel."""
    observed = None
    if request.coverage is not None:
        observed = observed_sky(geometry, request.coverage, catalogue.frame)
    channels = channels_of("density", has_weights=catalogue.weights is not None, counts_rows=False)
    sums = Sums(geometry, channels, observed=observed)
    near = catalogue.within(reach_of(geometry, catalogue.frame))
    add_rows(sums, near, team, blocks)
    sums.settle()
    weight, squared = (sums.pixels[name] for name in (channels[0], channels[-1]))
    area = geometry.solid_angles
    randoms = sums_of_randoms(request, geometry, observed, team)
    if randoms is not None and request.randoms is not None:
        area = next(iter(randoms.pixels.values())) / request.randoms.per_sr
    elif observed is not None:
        area = area * observed.pixels.fractions
    # The width does not depend on the unit of weights, but squares of extreme ones are no numbers.
    largest = float(np.max(weight, initial=0.0)) or 1.0
    weight, squared = np.asarray(weight / largest, float), squared / largest / largest
    if weight.any() and not 0 < squared.max() < np.inf:
        raise ValueError(
            "weights must have squares that are finite and not 0 with kernel='auto'; got some that "
            f"add up to {largest:g} in a pixel"
        )
    area = np.asarray(area, float)
    seen = area > 0
    return Binned(np.where(seen, weight, 0.0), np.where(seen, squared, 0.0), area)


def _merged(image: FloatArray) -> FloatArray:
    """Sums over 2 × 2 pixels."""
    ny, nx = image.shape
    padded = np.pad(image, ((0, ny % 2), (0, nx % 2)))
    return np.asarray(padded.reshape(-(-ny // 2), 2, -(-nx // 2), 2).sum(axis=(1, 3)))
