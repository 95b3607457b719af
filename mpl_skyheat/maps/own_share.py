"""What one row adds to a map where it is: for the value of the map without that row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.maps.surface import corners
from mpl_skyheat.sky.vectors import separation, to_vectors
from mpl_skyheat.smoothing.kernel_base import RadialKernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy import units as u

    from mpl_skyheat.compute.arrays import FloatArray, IntArray
    from mpl_skyheat.maps.moments import ExposedMoments
    from mpl_skyheat.maps.surface import Surface
    from mpl_skyheat.maps.where import Where
    from mpl_skyheat.smoothing.kernel_base import PixelKernel

# Fractions of a row's own share that what is left of the map without it must exceed to be another
# row's: smoothing is as exact, on the plane and on the sphere.
PLANE_ROUNDING, SPHERE_ROUNDING = 1e-6, 2e-3


@dataclass(frozen=True)
class Term:
    """A kernel (None without smoothing), its factor, and what it sees: K ∗ Ωc, per K."""

    factor: float
    kernel: PixelKernel | None
    exposure: FloatArray


@dataclass(frozen=True)
class OwnShare:
    """What one row of weight 1 adds to a map of densities or counts, Σ aⱼ Kⱼ / E1ⱼ.

    ``factors`` take it from per sr to ``unit``: those of pixels in a map of counts, else one.
    ``metric`` is that of a pixel of the plane (rad²). On the sphere it is None, steps of kernels
    have a width (rad), and a row adds at most ``most`` (per sr), as a pixel that is wider than the
    kernel has the mean over it.
    """

    terms: tuple[Term, ...]
    factors: FloatArray
    unit: u.UnitBase
    metric: FloatArray | None
    step_width: float = 0.0
    most: FloatArray | None = None

    @property
    def rounding(self) -> float:
        return SPHERE_ROUNDING if self.metric is None else PLANE_ROUNDING

    def at(self, surface: Surface, x: FloatArray, y: FloatArray) -> FloatArray:
        """The share of rows at pixel coordinates of a map, read where they are as the map is."""
        rows, columns, weights = corners(x, y)
        ny, nx = surface.shape
        # Beyond the map's edge, its surface goes on as it is at the outermost centres.
        rows, columns = np.clip(rows, 0, ny - 1), np.clip(columns, 0, nx - 1)
        if self.metric is None:
            find = self._on_sphere(surface, rows, columns, x, y)
        else:
            find = self._on_plane(surface, rows, columns, x, y)
        total: FloatArray = np.zeros(rows.shape)
        for term in self.terms:
            seen = np.broadcast_to(term.exposure, surface.shape)[rows, columns]
            share = term.factor * find(term.kernel)
            total += np.divide(share, seen, out=np.zeros(rows.shape), where=seen > 0)
        total *= np.broadcast_to(self.factors, surface.shape)[rows, columns]
        weights = np.where(surface.valid[rows, columns] & np.isfinite(total), weights, 0.0)
        own: FloatArray = (weights * np.nan_to_num(total)).sum(axis=0)
        known = weights.sum(axis=0)
        return np.asarray(np.divide(own, known, out=np.zeros(x.shape), where=known > 0))

    def _on_plane(
        self, surface: Surface, rows: IntArray, columns: IntArray, x: FloatArray, y: FloatArray
    ) -> Callable[[PixelKernel | None], FloatArray]:
        """A kernel's pixels about those that rows of the catalogue are counted in."""
        assert self.metric is not None
        metric = self.metric
        own_row, own_column = surface.own_pixels(x, y)
        down, across = rows - own_row, columns - own_column

        def find(kernel: PixelKernel | None) -> FloatArray:
            if kernel is None:
                return np.asarray((down == 0) & (across == 0), float)
            raster = np.pad(kernel.raster(metric), 1)
            middle_y, middle_x = (n // 2 for n in raster.shape)
            return np.asarray(raster[middle_y + down, middle_x + across])

        return find

    def _on_sphere(
        self, surface: Surface, rows: IntArray, columns: IntArray, x: FloatArray, y: FloatArray
    ) -> Callable[[PixelKernel | None], FloatArray]:
        """A kernel at the centres of pixels, from the true positions; NaN off the sky."""
        # A projection takes longer than anything else here: once for every pixel.
        width = surface.shape[1]
        pixels, which = np.unique((rows * width + columns).ravel(), return_inverse=True)
        places = (pixels % width).astype(float), (pixels // width).astype(float)
        centres = to_vectors(*surface.positions(*places))[which].reshape(*rows.shape, 3)
        apart = separation(centres, to_vectors(*surface.positions(x, y)))

        def find(kernel: PixelKernel | None) -> FloatArray:
            assert isinstance(kernel, RadialKernel)
            assert self.most is not None
            density = kernel.density(np.nan_to_num(apart), self.step_width)
            share = np.minimum(density, self.most[rows, columns])
            return np.where(np.isfinite(apart), share, np.nan)

        return find


def own_share(
    moments: ExposedMoments, where: Where, *, is_count: bool, unit: u.UnitBase, factor: float
) -> OwnShare:
    """The share of a row in a map of densities or counts.

    ``moments`` are the sums that the map is found from; ``factor`` takes the statistic to the unit
    of the map.
    """
    terms: Any = where.kernels.terms or ((1.0, None),)
    seen = [
        Term(factor, kernel, area)
        for (factor, kernel), area in zip(terms, moments.exposures(), strict=True)
    ]
    factors = factor * (moments.area if is_count else np.ones(()))
    sphere = where.geometry.sphere
    if sphere is None:
        return OwnShare(tuple(seen), factors, unit, where.kernels.metric)
    with np.errstate(divide="ignore"):
        most = 1 / where.geometry.solid_angles
    return OwnShare(tuple(seen), factors, unit, None, sphere.lattice.lat_step, most)
