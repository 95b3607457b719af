"""`Field`: sums under kernels, a function on the sky that can be read anywhere.

A `PlaneField` smooths the histogram of pixels; a `SphereField` the rows at their true positions,
spread with splines on a lattice. Each image is transformed once for all kernels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.compute.loader import should_compile
from mpl_skyheat.compute.threads import Team
from mpl_skyheat.counting.spreading import PointSpread
from mpl_skyheat.sky.frames import rotate
from mpl_skyheat.sky.kept import Kept
from mpl_skyheat.smoothing.kernel_base import NARROW, RadialKernel
from mpl_skyheat.smoothing.pixels import SkyPixels, SkyPlaces
from mpl_skyheat.smoothing.plane import PAD_MODES, ImageTransforms, Transfer
from mpl_skyheat.smoothing.rings import RingWaves

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.sky.geometry import MapGeometry
    from mpl_skyheat.smoothing.kernel_base import PixelKernel, Terms
    from mpl_skyheat.smoothing.plane import Boundary
    from mpl_skyheat.smoothing.rings import SmoothSphere

# The names of the images of solid angles, of what was observed and of all, among those of channels.
EXPOSURE, ALL_SKY = "exposure", "all sky"

_kept: Kept[FloatArray] = Kept()

# Distances within a kernel's reach at which its largest value is looked for.
DISTANCES = 256


class Field(ABC):
    """Sums of a catalogue under kernels.

    K is a kernel, or the product of two (`kernel_base.PixelKernel.product`). A density is
    ``smoothed("n", K) / exposure(K)``, its variance ``smoothed("w2", K²) / exposure(K)²``.

    ``randoms`` are those that say what was observed, in place of solid angles.
    """

    def __init__(self, sums: Sums, randoms: RandomField | None = None) -> None:
        sums.settle()
        self.sums, self.geometry, self.randoms = sums, sums.geometry, randoms
        # Exposures by kernel, of what was observed and of all.
        self._exposures: dict[Any, FloatArray] = {}

    @abstractmethod
    def of(self, sums: Sums) -> Field:
        """The field of other sums on the same geometry, such as a part of these."""

    @abstractmethod
    def smoothed(self, channel: str, kernel: PixelKernel) -> FloatArray:
        """K ∗ a channel in the map's pixels, (ny, nx); NaN where there is no sky."""

    def smoothed_squares(self, channel: str, kernel: PixelKernel, other: PixelKernel) -> FloatArray:
        """K₁K₂ ∗ a channel of squared amounts, for variances: as `smoothed` with the product."""
        return self.smoothed(channel, kernel.product(other))

    # To which numbers of rows, S1² / S2, are exact.
    accuracy = 1e-6

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of what is read."""
        return self.geometry.grid.shape

    def has_means(self, kernel: PixelKernel) -> BoolArray:
        """Which pixels have the mean over them, as a kernel is narrower; none on the plane."""
        del kernel
        return np.zeros(self.shape, bool)

    @abstractmethod
    def peak(self, kernel: PixelKernel) -> float:
        """The most that one row adds to `smoothed`."""

    def exposure(self, kernel: PixelKernel) -> FloatArray:
        """K ∗ the solid angle (sr) that was observed: `smoothed` over it is a density.

        One number where it is the same in all pixels.
        """
        return self.randoms.exposure(kernel) if self.randoms else self.exposure_of_coverage(kernel)

    def exposure_of_squares(self, kernel: PixelKernel, other: PixelKernel) -> FloatArray:
        """K₁K₂ ∗ the solid angle that was observed: as `exposure` with the product."""
        if self.randoms is not None:
            return self.randoms.exposure_of_squares(kernel, other)
        return self.exposure_of_coverage(kernel.product(other))

    @abstractmethod
    def exposure_of_coverage(self, kernel: PixelKernel) -> FloatArray:
        """The exposure by the coverage; of all of the sky that is shown without one."""

    @abstractmethod
    def full_exposure(self, kernel: PixelKernel) -> FloatArray:
        """The exposure if all of the sky that is shown had been observed."""

    def density(self, channel: str, terms: Terms) -> FloatArray:
        """Σ cⱼ (Kⱼ ∗ channel) / (Kⱼ ∗ exposure) in the map's pixels, per sr.

        Dividing term by term keeps a uniform field flat to its edge for every kernel, and exactly
        zero for a difference of two.
        """
        total = np.zeros(self.shape)
        for factor, kernel in terms:
            # Rounding of the FFT may hide the exposure of a sliver of sky: 0 there, not NaN.
            exposure, none = self.exposure(kernel), np.zeros(total.shape)
            smoothed = self.smoothed(channel, kernel)
            total += factor * np.divide(smoothed, exposure, out=none, where=exposure > 0)
        return total


class PlaneField(Field):
    """Smoothed bins of the pixel plane, with one pixel scale for the whole map.

    ``metric`` is the 2 × 2 metric (rad²) of a pixel at the centre of the map. ``boundary`` is
    "sky", where the geometry has a margin with the sky beyond the map, or says how the map itself
    is continued: "fill", "wrap", "reflect". ``margin`` are the pixels that the widest kernel
    reaches along x and y. ``transfers`` are those of kernels that another field has found.
    """

    def __init__(
        self,
        sums: Sums,
        metric: FloatArray,
        boundary: Boundary,
        margin: tuple[int, int],
        randoms: RandomField | None = None,
        *,
        transfers: dict[Any, Transfer] | None = None,
    ) -> None:
        super().__init__(sums, randoms)
        self._metric, self._boundary, self._margin = metric, boundary, margin
        images = {
            name: np.asarray(image, float)
            for name, image in sums.pixels.items()
            if sums.channels[name].is_smoothable
        }
        if boundary == "sky":
            area = self.geometry.wide_solid_angles
            images |= {EXPOSURE: area, ALL_SKY: area}
            if sums.observed is not None:
                images[EXPOSURE] = area * sums.observed.pixels.fractions
        else:
            (x, y), core = margin, self.geometry.core
            mode: Any = PAD_MODES[boundary]
            images = {
                name: np.pad(image[core], ((y, y), (x, x)), mode=mode)
                for name, image in images.items()
            }
        self._transforms = ImageTransforms(images, margin)
        self._transfers: dict[Any, Transfer] = {} if transfers is None else transfers

    def of(self, sums: Sums) -> PlaneField:
        own = self._metric, self._boundary, self._margin, self.randoms
        return PlaneField(sums, *own, transfers=self._transfers)

    def smoothed(self, channel: str, kernel: PixelKernel) -> FloatArray:
        return self._transforms.convolved(channel, self._transfer(kernel))

    def _transfer(self, kernel: PixelKernel) -> Transfer:
        if kernel.key not in self._transfers:
            self._transfers[kernel.key] = self._transforms.transfer(kernel.raster(self._metric))
        return self._transfers[kernel.key]

    def peak(self, kernel: PixelKernel) -> float:
        return self._transfer(kernel).peak

    def smoothed_at(
        self, channel: str, kernel: PixelKernel, lon: FloatArray, lat: FloatArray
    ) -> FloatArray:
        """K ∗ a channel at positions (deg), by cubic splines between the pixels' centres."""
        from scipy.ndimage import map_coordinates

        grid = self.geometry.grid
        x, y = self.geometry.plane.to_plane(lon, lat)
        places = np.stack([grid.y.number(y) - 0.5, grid.x.number(x) - 0.5])
        found = np.full(np.shape(x), np.nan)
        known = np.isfinite(places).all(axis=0)
        known &= grid.x.contains(x) & grid.y.contains(y)
        image = self.smoothed(channel, kernel)
        found[known] = map_coordinates(image, places[:, known], order=3, mode="nearest")
        return found

    def exposure_of_coverage(self, kernel: PixelKernel) -> FloatArray:
        if self.sums.observed is None:
            return self.full_exposure(kernel)
        return self._found_exposure(EXPOSURE, kernel, self.sums.observed.pixels.coverage.key)

    def full_exposure(self, kernel: PixelKernel) -> FloatArray:
        if self._boundary != "sky":
            # An explicit boundary says what lies beyond the grid: nothing is divided out there.
            return self.geometry.solid_angles * self._transfer(kernel).total
        return self._found_exposure(ALL_SKY, kernel, ALL_SKY)

    def _found_exposure(self, image: str, kernel: PixelKernel, coverage: Any) -> FloatArray:
        """K ∗ an image of solid angles, kept for the next map if the coverage has a key."""
        if (image, kernel.key) not in self._exposures:
            own = self._metric.tobytes(), kernel.key, coverage
            self._exposures[image, kernel.key] = _kept_exposure(
                self.geometry, own, lambda: self.smoothed(image, kernel)
            )
        return self._exposures[image, kernel.key]


class SphereField(Field):
    """Rows at their positions on the sphere, spread with splines on the geometry's lattice.

    ``pixels`` are the map's, if another field has found their places. Smoothed lattices are only
    ``kept`` where the field is read again and again.
    """

    accuracy = 1e-2

    def __init__(
        self,
        sums: Sums,
        team: Team | None = None,
        randoms: RandomField | None = None,
        *,
        pixels: SkyPixels | None = None,
        kept: dict[Any, SmoothSphere] | None = None,
        read_at: SkyPlaces | None = None,
    ) -> None:
        super().__init__(sums, randoms)
        assert self.geometry.sphere is not None
        self._sphere, self._team = self.geometry.sphere, team or Team(1)
        self._waves: dict[tuple[str, int], RingWaves] = {}
        self._pixels = pixels
        self._seen_waves: RingWaves | None = None
        self._kept_smooth, self._read_at = kept, read_at

    def of(self, sums: Sums) -> SphereField:
        return SphereField(sums, self._team, self.randoms, pixels=self._placed)

    def on(self, places: SkyPlaces) -> SphereField:
        """The field, read at other places, of which no pixel has the mean over the rows in it."""
        randoms = None if self.randoms is None else self.randoms.on(places)
        if self._kept_smooth is None:
            self._kept_smooth = {}
        return SphereField(self.sums, self._team, randoms, kept=self._kept_smooth, read_at=places)

    @property
    def shape(self) -> tuple[int, ...]:
        return super().shape if self._read_at is None else self._read_at.shape

    def smoothed(self, channel: str, kernel: PixelKernel) -> FloatArray:
        assert isinstance(kernel, RadialKernel)
        return self._read(self._smooth(channel, kernel), kernel)

    def _read(self, smooth: SmoothSphere, kernel: RadialKernel) -> FloatArray:
        if self._read_at is not None:
            return self._read_at.values(smooth, kernel)
        return self._placed.values(smooth, kernel)

    @property
    def _placed(self) -> SkyPixels:
        """The map's pixels with their places on the lattice."""
        if self._pixels is None:
            self._pixels = SkyPixels(self.geometry, self._team)
        return self._pixels

    def smoothed_in_bins(self, channel: str, kernel: RadialKernel) -> FloatArray:
        """K ∗ a channel at the centres of the lattice's bins, (rings, columns)."""
        return self._in_bins(self._smooth(channel, kernel))

    def exposure_in_bins(self, kernel: RadialKernel) -> FloatArray:
        """K ∗ the solid angle (sr) that was observed, at the centres of the lattice's bins."""
        lattice, observed = self._sphere.lattice, self.sums.observed
        if observed is None or observed.bins is None:
            return self.full_exposure(kernel)
        if self._seen_waves is None:
            spread = PointSpread(lattice, kernel.spline_order)
            areas = observed.bins.fractions * lattice.bin_areas[:, np.newaxis]
            lon, lat = lattice.centres
            spread.add(lon.ravel(), lat.ravel(), areas.ravel())
            order = kernel.spline_order
            self._seen_waves = RingWaves(lattice, spread.bins, order, self._team)
        return self._in_bins(self._seen_waves.smoothed(kernel))

    def _in_bins(self, smooth: SmoothSphere) -> FloatArray:
        lon, lat = self._sphere.lattice.centres
        return smooth((lon.ravel(), lat.ravel())).reshape(lon.shape)

    def smoothed_squares(self, channel: str, kernel: PixelKernel, other: PixelKernel) -> FloatArray:
        squares = super().smoothed_squares(channel, kernel, other)
        if self._read_at is not None:
            return squares
        both = kernel.product(other)
        assert isinstance(both, RadialKernel)
        # Per sr: ∫K₁K₂ dΩ is 1 over the solid angle that both kernels fill. A pixel that is wider
        # has the mean over it, whose variance is that of its own rows.
        overlap = both.density_integral(self._sphere.lattice.lat_step)
        area, core = self.geometry.solid_angles, self.geometry.core
        is_wide = overlap * area > 1
        squares[is_wide] = self.sums.pixels[channel][core][is_wide] / area[is_wide] ** 2
        return squares

    def has_means(self, kernel: PixelKernel) -> BoolArray:
        assert isinstance(kernel, RadialKernel)
        if self._read_at is not None:
            return super().has_means(kernel)
        return np.asarray(kernel.resolution_length < NARROW * np.sqrt(self.geometry.solid_angles))

    def peak(self, kernel: PixelKernel) -> float:
        assert isinstance(kernel, RadialKernel)
        distances = np.linspace(0, kernel.reach, DISTANCES)
        peak = float(kernel.density(distances, self._sphere.lattice.lat_step).max())
        # A pixel that is wider than the kernel has the mean over it. (A map may show no sky.)
        largest = float(self.geometry.solid_angles.max())
        return min(peak, 1 / largest) if largest else peak

    def smoothed_at(
        self, channel: str, kernel: PixelKernel, lon: FloatArray, lat: FloatArray
    ) -> FloatArray:
        """K ∗ a channel at positions (deg, in the frame of the plane)."""
        assert isinstance(kernel, RadialKernel)
        lon, lat = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        places = rotate(lon.ravel(), lat.ravel(), self._sphere.turn, is_compiled=False)
        return self._smooth(channel, kernel)(places).reshape(lon.shape)

    def exposure_of_coverage(self, kernel: PixelKernel) -> FloatArray:
        observed = self.sums.observed
        if observed is None or observed.left_out is None:
            return self.full_exposure(kernel)
        if kernel.key not in self._exposures:
            # What is read at other places is not kept for the next map.
            key = observed.pixels.coverage.key if self._read_at is None else None
            self._exposures[kernel.key] = _kept_exposure(
                self.geometry, (kernel.key, key), lambda: self._observed_exposure(kernel)
            )
        return self._exposures[kernel.key]

    def full_exposure(self, kernel: PixelKernel) -> FloatArray:
        # All of the sky is there, whatever the map shows of it.
        assert isinstance(kernel, RadialKernel)
        return np.full((), kernel.density_integral(self._sphere.lattice.lat_step))

    def _observed_exposure(self, kernel: PixelKernel) -> FloatArray:
        """K ∗ what was observed, as ∫K less K ∗ what was not: exact far from the edge."""
        assert isinstance(kernel, RadialKernel)
        smooth = self._once(("left out", kernel.key), lambda: self._smooth_left_out(kernel))
        full = self.full_exposure(kernel)
        return np.clip(full - self._read(smooth, kernel), 0.0, full)

    def _smooth_left_out(self, kernel: RadialKernel) -> SmoothSphere:
        assert self.sums.observed is not None
        assert self.sums.observed.left_out is not None
        lon, lat, areas = self.sums.observed.left_out
        spread = PointSpread(self._sphere.lattice, kernel.spline_order)
        if should_compile(len(lon)):
            degrees = np.degrees(lon), np.degrees(lat)
            spread.add_compiled(*degrees, areas, np.eye(3), self._team)
        else:
            spread.add(lon, lat, areas)
        waves = RingWaves(self._sphere.lattice, spread.bins, kernel.spline_order, self._team)
        return waves.smoothed(kernel)

    def _smooth(self, channel: str, kernel: RadialKernel) -> SmoothSphere:
        return self._once((channel, kernel.key), lambda: self._smoothed_channel(channel, kernel))

    def _smoothed_channel(self, channel: str, kernel: RadialKernel) -> SmoothSphere:
        key = channel, kernel.spline_order
        if key not in self._waves:
            bins = self.sums.bins(*key)
            self._waves[key] = RingWaves(self._sphere.lattice, bins, key[1], self._team)
        return self._waves[key].smoothed(kernel)

    def _once(self, key: Any, find: Callable[[], SmoothSphere]) -> SmoothSphere:
        """A smoothed lattice, found once if these are kept."""
        if self._kept_smooth is None:
            return find()
        if key not in self._kept_smooth:
            self._kept_smooth[key] = find()
        return self._kept_smooth[key]


class RandomField:
    """Random points, of which ``per_sr`` a steradian are where all is observed."""

    def __init__(self, field: Field, per_sr: float) -> None:
        self._field, self._per_sr = field, per_sr
        self._has_weights = "w2" in field.sums.channels
        self._exposures: dict[Any, FloatArray] = {}

    def on(self, places: SkyPlaces) -> RandomField:
        """The same, read at other places of the sphere."""
        assert isinstance(self._field, SphereField)
        return RandomField(self._field.on(places), self._per_sr)

    def exposure(self, kernel: PixelKernel) -> FloatArray:
        """K ∗ the solid angle (sr) that was observed, Σ K / ρ over the randoms."""
        if kernel.key not in self._exposures:
            self._exposures[kernel.key] = self._field.smoothed(self._channel, kernel) / self._per_sr
        return self._exposures[kernel.key]

    def exposure_of_squares(self, kernel: PixelKernel, other: PixelKernel) -> FloatArray:
        """K₁K₂ ∗ the solid angle (sr) that was observed."""
        return self._field.smoothed_squares(self._channel, kernel, other) / self._per_sr

    @property
    def _channel(self) -> str:
        return "w" if self._has_weights else "n"

    def covariance(self, kernel: PixelKernel, other: PixelKernel) -> FloatArray:
        """The covariance of the exposures of two kernels, Σ K₁K₂ / ρ²."""
        channel = "w2" if self._has_weights else "n"
        return self._field.smoothed_squares(channel, kernel, other) / self._per_sr**2


def _kept_exposure(
    geometry: MapGeometry, own: tuple[Any, ...], find: Callable[[], FloatArray]
) -> FloatArray:
    """The exposure for a geometry, kernel and coverage; not kept without a key of the coverage."""
    if None in own:
        return find()

    def find_once() -> FloatArray:
        exposure = find()
        exposure.setflags(write=False)
        return exposure

    return _kept.get(geometry, own, find_once, bytes_of=lambda exposure: exposure.nbytes)
