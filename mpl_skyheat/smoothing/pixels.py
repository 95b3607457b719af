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
from mpl_skyheat.sky.sky_edge import NODES_TOGETHER, SkyTest, lattice_in_pixels
from mpl_skyheat.sky.solid_angles import cells_with_sky
from mpl_skyheat.smoothing.kernel_base import NARROW, RadialKernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.compute.arrays import FloatArray, IntArray
    from mpl_skyheat.sky.geometry import MapGeometry

    # Longitude and latitude (rad) on the lattice.
    Positions = tuple[FloatArray, FloatArray]
    # Positions -> values; exact or interpolated between the bins of a lattice.
    Smooth = Callable[[Positions], FloatArray]


# Cells in the width σ of the kernel, along each side of a pixel for the mean over it.
CELLS_PER_WIDTH = 4

# Fewest and most cells along each side: a mean over more is not worth its time.
FEWEST_CELLS = 4
MOST_CELLS = 32

# Cells along each side where the fewest find no sky: at least as many as solid angles look into.
CELLS_OF_SLIVER = 8

# Accuracy (bins of the lattice) of the interpolated positions of pixels.
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
        """The values of a smooth map in the pixels; NaN in pixels without sky."""
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
        """The positions of the pixels' centres; NaN where the centre is off the sky."""

        def sky(x: FloatArray, y: FloatArray) -> FloatArray:
            return np.asarray(self._turned(x, y))

        images, known = interpolated(self._grid, sky, self._sky, number=2, atol=accuracy)
        lon, lat = images.reshape(2, -1)[:, self._flat]
        unknown = np.flatnonzero(~known.ravel()[self._flat])
        rows, columns = np.divmod(self._flat[unknown], self._grid.x.count)
        x, y = self._grid.x.centres[columns], self._grid.y.centres[rows]
        lon[unknown], lat[unknown] = self._turned(x, y)
        # Interpolated centres show sky. A projection may go on beyond its sky, to other centres.
        is_off = unknown[~self._sky(x, y)]
        lon[is_off] = lat[is_off] = np.nan
        return lon, lat

    def _turned(self, x: FloatArray, y: FloatArray) -> Positions:
        lon, lat = self._plane.to_sky(x, y)
        return rotate(lon, lat, self._turn, is_compiled=self._is_compiled)

    def _means(self, smooth: Smooth, kernel: RadialKernel, flat: IntArray) -> FloatArray:
        """Means over the pixels with flat indices, as told by their solid angles."""
        rows, columns = np.divmod(flat, self._grid.x.count)
        length = np.maximum(self._lengths(rows, columns), np.sqrt(self._area.ravel()[flat]))
        wanted = np.ceil(CELLS_PER_WIDTH * length / kernel.resolution_length)
        cells = np.clip(wanted, FEWEST_CELLS, MOST_CELLS).astype(int)
        means: FloatArray = np.full(len(flat), np.nan)
        for number in np.unique(cells):
            some = cells == number
            means[some] = self._cell_means(smooth, rows[some], columns[some], int(number))
        some = np.isnan(means)
        means[some] = self._cell_means(smooth, rows[some], columns[some], CELLS_OF_SLIVER)
        return np.asarray(np.nan_to_num(means))

    def _lengths(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Lengths (rad) of what pixels show of the sky, from three places along each side."""
        x, y = lattice_in_pixels(self._grid, rows, columns, 2)
        vectors = self._sky.vectors(x, y)
        # By rounding, a WCS may end a hair before the outline of its sky.
        on_sky = self._sky(x, y)[..., np.newaxis] & np.isfinite(vectors)
        vectors = np.where(on_sky, vectors, 0.0)
        middle = vectors.sum(axis=(1, 2)) / np.maximum(on_sky.sum(axis=(1, 2)), 1)
        distance = np.linalg.norm(vectors - middle[:, np.newaxis, np.newaxis], axis=-1)
        return np.asarray(2 * np.where(on_sky[..., 0], distance, 0.0).max(axis=(1, 2), initial=0.0))

    def _cell_means(
        self, smooth: Smooth, rows: IntArray, columns: IntArray, cells: int
    ) -> FloatArray:
        """Means over pixels, from the value in the middle of each cell's sky; NaN without sky."""
        means: FloatArray = np.empty(len(rows))
        together = max(NODES_TOGETHER // (cells + 1) ** 2, 1)
        for start in range(0, len(rows), together):
            some = slice(start, start + together)
            areas, middles = cells_with_sky(self._sky, rows[some], columns[some], cells)
            values, has_sky = np.zeros(areas.shape), areas > 0
            x, y, z = (middles[has_sky] @ self._turn.T).T
            values[has_sky] = smooth((np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))))
            with np.errstate(invalid="ignore"):
                means[some] = (areas * values).sum(axis=(1, 2)) / areas.sum(axis=(1, 2))
        return means
