"""Values of a smooth map in the pixels of a grid: at their centres, or as means over them.

A pixel has the value at its centre. Where the kernel is narrower than that pixel, or the centre is
off the sky, it has the mean over the part of the pixel that shows sky.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.areas import cells_with_sky
from mpl_skyheat.compiling import is_worth
from mpl_skyheat.kernels import NARROW
from mpl_skyheat.patches import interpolated
from mpl_skyheat.projection import turned
from mpl_skyheat.rings import Lattice
from mpl_skyheat.skyedge import NODES_TOGETHER, SkyTest, sky_test

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mpl_skyheat.grid import SkyGrid
    from mpl_skyheat.kernels import RadialKernel
    from mpl_skyheat.planes import Plane

    FloatArray = NDArray[np.float64]
    # Longitude and latitude in rad on the lattice.
    Positions = tuple[FloatArray, FloatArray]
    # Positions -> values; exact or interpolated between the bins of a lattice.
    Smooth = Callable[[Positions], FloatArray]

# Cells along each side of a pixel for the mean over it: at least so many, and so many in the width
# (σ) of the kernel.
CELLS, CELLS_PER_WIDTH = 8, 1.5

# Most cells along each side: a mean over more is not worth its time.
MOST_CELLS = 32


class SkyPixels:
    """The pixels of a grid that show sky, on a lattice that is turned against the plane's frame.

    ``area`` are the solid angles (sr, 0 off the sky); ``accuracy`` is that of positions (rad).
    """

    def __init__(
        self, plane: Plane, grid: SkyGrid, area: FloatArray, turn: FloatArray, accuracy: float
    ) -> None:
        self._plane, self._grid, self._area, self._turn = plane, grid, area, turn
        # Flat indices of the pixels that show sky.
        self._flat = np.flatnonzero(area > 0)
        self._is_compiled = is_worth(len(self._flat))
        self._sky: SkyTest = sky_test(grid, plane.to_sky, plane.to_plane, plane.shows)
        self._centres = self._positions_of_centres(accuracy)

    def lattice(self, kernel: RadialKernel) -> Lattice:
        """Return the lattice that a kernel needs for all pixels."""
        lon, lat = self._centres
        side = float(np.sqrt(self._area.max()))
        if np.isnan(lon).any():  # at the edge of the sky
            return Lattice.whole(kernel.bin_size)
        lat_limit = float(np.abs(lat).max()) + side
        lon_limit = float(np.abs(lon).max()) + side / max(np.cos(lat_limit), 0.1)
        return Lattice.covering(lat_limit, lon_limit, kernel.reach, kernel.bin_size)

    def values(self, smooth: Smooth, kernel: RadialKernel) -> FloatArray:
        """Return the values of a smooth map in the pixels; NaN in those without sky."""
        lon, lat = self._centres
        is_narrow = kernel.core < NARROW * np.sqrt(self._area.ravel()[self._flat])
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
        return turned(lon, lat, self._turn, is_compiled=self._is_compiled)

    def _means(self, smooth: Smooth, kernel: RadialKernel, flat: NDArray[np.intp]) -> FloatArray:
        """Return the means over the pixels with flat indices, as told by their solid angles.

        From cells of pixels, by the value in the middle of what each shows of the sky.
        """
        rows, columns = np.divmod(flat, self._grid.x.count)
        side = np.sqrt(self._area.ravel()[flat])
        wanted = np.ceil(CELLS_PER_WIDTH * side / kernel.core)
        cells = np.clip(wanted, CELLS, MOST_CELLS).astype(int)
        means = np.zeros(len(flat))
        for number in np.unique(cells):
            alike = np.flatnonzero(cells == number)
            together = max(NODES_TOGETHER // (number + 1) ** 2, 1)
            for start in range(0, len(alike), together):
                some = alike[start : start + together]
                means[some] = self._mean(smooth, rows[some], columns[some], int(number))
        return means

    def _mean(
        self, smooth: Smooth, rows: NDArray[np.intp], columns: NDArray[np.intp], cells: int
    ) -> FloatArray:
        areas, middles = cells_with_sky(self._sky, rows, columns, cells)
        values, has_sky = np.zeros(areas.shape), areas > 0
        x, y, z = (middles[has_sky] @ self._turn.T).T
        values[has_sky] = smooth((np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))))
        return np.asarray((areas * values).sum(axis=(1, 2)) / areas.sum(axis=(1, 2)))
