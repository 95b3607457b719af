"""Values of a smooth map in the pixels of a grid: at their centres, or as means over them.

A pixel has the value at its centre. Where the kernel is narrower than that pixel, or the centre is
off the sky, it has the mean over the part of the pixel that shows sky.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.compute.loader import should_compile
from mpl_skyheat.sky.block_polynomials import interpolated
from mpl_skyheat.sky.frames import rotate
from mpl_skyheat.sky.sky_edge import NODES_TOGETHER, SkyTest
from mpl_skyheat.sky.solid_angles import cells_with_sky
from mpl_skyheat.smoothing.kernel_base import NARROW, RadialKernel

if TYPE_CHECKING:
    # Longitude and latitude in rad on the lattice.
    from collections.abc import Callable

    from mpl_skyheat.compute.arrays import FloatArray, IntArray
    from mpl_skyheat.sky.geometry import MapGeometry

    Positions = tuple[FloatArray, FloatArray]
    # Positions -> values; exact or interpolated between the bins of a lattice.
    Smooth = Callable[[Positions], FloatArray]


# Cells along each side of a pixel for the mean over it: at least so many, and so many in the width
# (σ) of the kernel.
CELLS, CELLS_PER_WIDTH = 8, 1.5

# Most cells along each side: a mean over more is not worth its time.
MOST_CELLS = 32


# How well (in bins of the lattice) positions of pixels are interpolated.
ACCURACY = 1e-5


class SkyPixels:
    """The pixels of a map that show sky, on the lattice of its geometry."""

    def __init__(self, geometry: MapGeometry) -> None:
        assert geometry.sphere is not None
        plane = geometry.plane
        self._plane, self._grid, self._area = plane, geometry.grid, geometry.solid_angles
        self._turn = geometry.sphere.turn
        # Flat indices of the pixels that show sky.
        self._flat = np.flatnonzero(self._area > 0)
        self._is_compiled = should_compile(len(self._flat))
        self._sky = SkyTest(self._grid, plane.to_sky, plane.to_plane, plane.shows)
        self._centres = self._positions_of_centres(ACCURACY * geometry.sphere.lattice.lat_step)

    def values(self, smooth: Smooth, kernel: RadialKernel) -> FloatArray:
        """Return the values of a smooth map in the pixels; NaN in those without sky."""
        lon, lat = self._centres
        is_narrow = kernel.resolution_length < NARROW * np.sqrt(self._area.ravel()[self._flat])
        wants_mean = is_narrow | np.isnan(lon)
        values = np.empty(len(self._flat))
        values[~wants_mean] = smooth((lon[~wants_mean], lat[~wants_mean]))
        values[wants_mean] = self._means(smooth, kernel, self._flat[wants_mean])
        image = np.full(self._grid.shape, np.nan)
        image.ravel()[self._flat] = values
        return image

    def _positions_of_centres(self, accuracy: float) -> Positions:
        """Return the positions of the pixels' centres; NaN where these are off the sky."""

        def sky(x: FloatArray, y: FloatArray) -> FloatArray:
            return np.asarray(self._turned(x, y))

        images, known = interpolated(self._grid, sky, self._sky, number=2, atol=accuracy)
        lon, lat = images.reshape(2, -1)[:, self._flat]
        unknown = np.flatnonzero(~known.ravel()[self._flat])
        rows, columns = np.divmod(self._flat[unknown], self._grid.x.count)
        x, y = self._grid.x.centres[columns], self._grid.y.centres[rows]
        lon[unknown], lat[unknown] = self._turned(x, y)
        # What is known shows sky; a projection may go on beyond it, and a cut pixel's centre there.
        is_off = unknown[~self._sky(x, y)]
        lon[is_off] = lat[is_off] = np.nan
        return lon, lat

    def _turned(self, x: FloatArray, y: FloatArray) -> Positions:
        lon, lat = self._plane.to_sky(x, y)
        return rotate(lon, lat, self._turn, is_compiled=self._is_compiled)

    def _means(self, smooth: Smooth, kernel: RadialKernel, flat: IntArray) -> FloatArray:
        """Return the means over the pixels with flat indices, as told by their solid angles.

        From cells of pixels, by the value in the middle of what each shows of the sky.
        """
        rows, columns = np.divmod(flat, self._grid.x.count)
        side = np.sqrt(self._area.ravel()[flat])
        wanted = np.ceil(CELLS_PER_WIDTH * side / kernel.resolution_length)
        cells = np.clip(wanted, CELLS, MOST_CELLS).astype(int)
        means = np.zeros(len(flat))
        for number in np.unique(cells):
            alike = np.flatnonzero(cells == number)
            together = max(NODES_TOGETHER // (number + 1) ** 2, 1)
            for start in range(0, len(alike), together):
                some = alike[start : start + together]
                means[some] = self._mean(smooth, rows[some], columns[some], int(number))
        return means

    def _mean(self, smooth: Smooth, rows: IntArray, columns: IntArray, cells: int) -> FloatArray:
        areas, middles = cells_with_sky(self._sky, rows, columns, cells)
        values, has_sky = np.zeros(areas.shape), areas > 0
        x, y, z = (middles[has_sky] @ self._turn.T).T
        values[has_sky] = smooth((np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))))
        return np.asarray((areas * values).sum(axis=(1, 2)) / areas.sum(axis=(1, 2)))
