"""Values of a smooth map in the pixels of a grid: at their centres, or as means over them.

A pixel has the value at its centre. Where the kernel is narrower than that pixel, or the centre is
off the sky, it has the mean over the part of the pixel that shows sky.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.compute.loader import should_compile
from mpl_skyheat.compute.threads import Team
from mpl_skyheat.sky.block_polynomials import interpolated
from mpl_skyheat.sky.frames import rotate
from mpl_skyheat.sky.grid import SkyGrid
from mpl_skyheat.sky.sky_edge import NODES_TOGETHER, SkyTest, lattice_in_pixels
from mpl_skyheat.sky.solid_angles import cells_with_sky
from mpl_skyheat.smoothing.kernel_base import NARROW, RadialKernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.sky.geometry import MapGeometry
    from mpl_skyheat.sky.planes import Plane

    # Longitude and latitude (rad) on the lattice.
    Positions = tuple[FloatArray, FloatArray]
    # Positions -> values; exact or interpolated between the bins of a lattice.
    Smooth = Callable[[Positions], FloatArray]


# Nodes of a Gauss-Legendre rule in a bin of the lattice, along the diagonal of a pixel for the mean
# over it: with Gaussians of 2.5 bins, means are right to 1e-4.
NODES_PER_BIN = 0.5

# Fewest and most nodes along each side.
FEWEST_NODES, MOST_NODES = 4, 32

# A pixel whose solid angle the rule finds to this fraction is smooth, and shows sky all over.
SMOOTH = 1e-3

# Cells in the resolution length of the kernel, along the diagonal of pixels that are not smooth,
# and nodes for kernels with steps.
CELLS_PER_WIDTH = 4

# Fewest and most cells along each side: a mean over more is not worth its time.
FEWEST_CELLS = 4
MOST_CELLS = 32

# Cells along each side where the fewest find no sky: at least as many as solid angles look into.
CELLS_OF_SLIVER = 8

# Accuracy (bins of the lattice) of the interpolated positions of pixels.
ACCURACY = 1e-5


class SkyPlaces(ABC):
    """Places at which smooth maps are read."""

    shape: tuple[int, ...]

    @abstractmethod
    def values(self, smooth: Smooth, kernel: RadialKernel) -> FloatArray:
        """The values of a smooth map at the places; NaN where there is no sky."""


class SkyPoints(SkyPlaces):
    """Positions (deg) on the sky, which ``turn`` takes to the lattice."""

    def __init__(self, lon: FloatArray, lat: FloatArray, turn: FloatArray) -> None:
        self.shape = np.shape(lon)
        places = np.ravel(lon), np.ravel(lat)
        self._places = rotate(*places, turn, is_compiled=should_compile(len(places[0])))

    def values(self, smooth: Smooth, kernel: RadialKernel) -> FloatArray:
        del kernel
        return smooth(self._places).reshape(self.shape)


class SkyPixels(SkyPlaces):
    """The pixels of a map that show sky, in bands of rows that the threads of a team share."""

    def __init__(self, geometry: MapGeometry, team: Team) -> None:
        self._grid, self.shape = geometry.grid, geometry.grid.shape
        # As in counting: each thread has a copy of the WCS. Without copies, one thread asks.
        self._planes = geometry.plane.twins(team.size)
        self._team = team if len(self._planes) == team.size else Team(1)
        self._rows = self._grid.bands()
        self._bands = [_Band(geometry, rows) for rows in self._rows]

        def place(thread: int, band: _Band) -> None:
            band.place(self._planes[thread])

        self._team.share(self._bands, place)

    def values(self, smooth: Smooth, kernel: RadialKernel) -> FloatArray:
        image = np.empty(self._grid.shape)

        def read(thread: int, number: int) -> None:
            values = self._bands[number].values(self._planes[thread], smooth, kernel)
            image[self._rows[number]] = values

        self._team.share(range(len(self._bands)), read)
        return image


class _Band:
    """Some rows of a map; ``plane`` is everywhere the copy of the thread that is at work."""

    def __init__(self, geometry: MapGeometry, rows: slice) -> None:
        assert geometry.sphere is not None
        grid = geometry.grid
        self._grid = SkyGrid(grid.x, grid.y.part(rows.start, rows.stop))
        self._turn = geometry.sphere.turn
        self._accuracy = ACCURACY * geometry.sphere.lattice.lat_step
        areas = geometry.solid_angles[rows].ravel()
        # Flat indices of the pixels that show sky, and solid angles (sr) of what they show.
        self._flat = np.flatnonzero(areas > 0)
        self._areas = areas[self._flat]
        self._is_compiled = should_compile(len(self._flat))

    def place(self, plane: Plane) -> None:
        """Find the positions of the pixels' centres; NaN where the centre is off the sky."""

        def positions(x: FloatArray, y: FloatArray) -> FloatArray:
            return np.asarray(self._turned(plane, x, y))

        sky = self._sky(plane)
        images, known = interpolated(self._grid, positions, sky, number=2, atol=self._accuracy)
        lon, lat = images.reshape(2, -1)[:, self._flat]
        # Interpolated pixels show sky all over.
        self._is_inner = known.ravel()[self._flat]
        unknown = np.flatnonzero(~self._is_inner)
        rows, columns = np.divmod(self._flat[unknown], self._grid.x.count)
        x, y = self._grid.x.centres[columns], self._grid.y.centres[rows]
        lon[unknown], lat[unknown] = self._turned(plane, x, y)
        # Interpolated centres show sky. A projection may go on beyond its sky, to other centres.
        is_off = unknown[~sky(x, y)]
        lon[is_off] = lat[is_off] = np.nan
        self._lon, self._lat = lon, lat

    def values(self, plane: Plane, smooth: Smooth, kernel: RadialKernel) -> FloatArray:
        """The values of a smooth map in the band's pixels; NaN in pixels without sky."""
        is_narrow = kernel.resolution_length < NARROW * np.sqrt(self._areas)
        wants_mean = is_narrow | np.isnan(self._lon)
        values = np.empty(len(self._flat))
        values[~wants_mean] = smooth((self._lon[~wants_mean], self._lat[~wants_mean]))
        values[wants_mean] = self._means(self._sky(plane), smooth, kernel, wants_mean)
        image = np.full(self._grid.shape, np.nan)
        image.ravel()[self._flat] = values
        return image

    def _sky(self, plane: Plane) -> SkyTest:
        return SkyTest(self._grid, plane.to_sky, plane.to_plane, plane.shows)

    def _turned(self, plane: Plane, x: FloatArray, y: FloatArray) -> Positions:
        lon, lat = plane.to_sky(x, y)
        return rotate(lon, lat, self._turn, is_compiled=self._is_compiled)

    def _means(
        self, sky: SkyTest, smooth: Smooth, kernel: RadialKernel, wanted: BoolArray
    ) -> FloatArray:
        """Means over the wanted pixels, as told by their solid angles."""
        rows, columns = np.divmod(self._flat[wanted], self._grid.x.count)
        length = np.maximum(_lengths(sky, rows, columns), np.sqrt(self._areas[wanted]))
        per_length = CELLS_PER_WIDTH / kernel.resolution_length
        cells = np.ceil(per_length * length).astype(int)
        if not kernel.has_steps:
            per_length = NODES_PER_BIN / kernel.bin_size
        nodes = np.clip(np.ceil(per_length * length), FEWEST_NODES, MOST_NODES).astype(int)
        means: FloatArray = np.full(len(rows), np.nan)
        areas = self._areas[wanted]
        for number in np.unique(nodes):
            some = nodes == number
            places = rows[some], columns[some], areas[some]
            means[some] = self._smooth_means(sky, smooth, *places, int(number))
        is_edge = np.isnan(means)
        # Cells divide all of a pixel, of which a sliver may show sky.
        shown = _shown(sky, rows[is_edge], columns[is_edge])
        cells[is_edge] = np.clip(np.ceil(cells[is_edge] / shown), FEWEST_CELLS, MOST_CELLS)
        for number in np.unique(cells[is_edge]):
            some = is_edge & (cells == number)
            means[some] = self._cell_means(sky, smooth, rows[some], columns[some], int(number))
        some = np.isnan(means)
        means[some] = self._cell_means(sky, smooth, rows[some], columns[some], CELLS_OF_SLIVER)
        return np.asarray(np.nan_to_num(means))

    def _smooth_means(
        self,
        sky: SkyTest,
        smooth: Smooth,
        rows: IntArray,
        columns: IntArray,
        areas: FloatArray,
        nodes: int,
    ) -> FloatArray:
        """Means over pixels by a Gauss-Legendre rule; NaN where the sky is not smooth in a pixel.

        The rule is then wrong about the solid angle, too.
        """
        t, weights = np.polynomial.legendre.leggauss(nodes)
        to_slopes = _slopes(t)
        grid, means = sky.grid, np.empty(len(rows))
        for some in _parts(len(rows), nodes):
            x, y = (
                axis.centres[at[some], np.newaxis] + 0.5 * axis.step * t
                for axis, at in ((grid.x, columns), (grid.y, rows))
            )
            x, y = np.broadcast_arrays(x[:, np.newaxis], y[:, :, np.newaxis])
            vectors = sky.vectors(x, y)
            along_x = to_slopes @ vectors
            along_y = (to_slopes @ vectors.swapaxes(1, 2)).swapaxes(1, 2)
            jacobian = np.linalg.norm(np.cross(along_x, along_y), axis=-1)
            shares = jacobian * weights * weights[:, np.newaxis]
            found = shares.sum(axis=(1, 2))
            with np.errstate(invalid="ignore"):
                is_smooth = np.abs(found / areas[some] - 1) < SMOOTH
            part = np.full(len(found), np.nan)
            values = smooth(self._on_lattice(vectors[is_smooth].reshape(-1, 3)))
            values = values.reshape(-1, nodes, nodes)
            part[is_smooth] = (shares[is_smooth] * values).sum(axis=(1, 2)) / found[is_smooth]
            means[some] = part
        return means

    def _on_lattice(self, vectors: FloatArray) -> Positions:
        """Longitude and latitude (rad) on the lattice of vectors (n, 3) in the plane's frame."""
        x, y, z = (vectors @ self._turn.T).T
        return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))

    def _cell_means(
        self, sky: SkyTest, smooth: Smooth, rows: IntArray, columns: IntArray, cells: int
    ) -> FloatArray:
        """Means over pixels, from the value in the middle of each cell's sky; NaN without sky."""
        means: FloatArray = np.empty(len(rows))
        for some in _parts(len(rows), cells + 1):
            areas, middles = cells_with_sky(sky, rows[some], columns[some], cells)
            values, has_sky = np.zeros(areas.shape), areas > 0
            values[has_sky] = smooth(self._on_lattice(middles[has_sky]))
            with np.errstate(invalid="ignore"):
                means[some] = (areas * values).sum(axis=(1, 2)) / areas.sum(axis=(1, 2))
        return means


def _parts(pixels: int, nodes: int) -> Iterator[slice]:
    """Parts of a number of pixels, with at most `NODES_TOGETHER` of nodes × nodes in each."""
    together = max(NODES_TOGETHER // nodes**2, 1)
    for start in range(0, pixels, together):
        yield slice(start, start + together)


def _slopes(t: FloatArray) -> FloatArray:
    """The matrix that takes a polynomial's values at nodes t to its slopes there."""
    terms = np.polynomial.legendre.legvander(t, len(t) - 1)
    slopes = np.stack(
        [
            np.polynomial.legendre.legval(t, np.polynomial.legendre.legder(row))
            for row in np.eye(len(t))
        ],
        axis=1,
    )
    return np.asarray(slopes @ np.linalg.inv(terms))


def _shown(sky: SkyTest, rows: IntArray, columns: IntArray) -> FloatArray:
    """The fraction of pixels' sides, the lesser of both, along which there is sky."""
    on_sky = sky(*lattice_in_pixels(sky.grid, rows, columns, CELLS_OF_SLIVER))
    along = [np.maximum(on_sky.any(axis=axis).mean(axis=1), 1 / CELLS_OF_SLIVER) for axis in (1, 2)]
    return np.asarray(np.minimum(*along))


def _lengths(sky: SkyTest, rows: IntArray, columns: IntArray) -> FloatArray:
    """Lengths (rad) of what pixels show of the sky, from three places along each side."""
    x, y = lattice_in_pixels(sky.grid, rows, columns, 2)
    vectors = sky.vectors(x, y)
    # By rounding, a WCS may end a hair before the outline of its sky.
    on_sky = sky(x, y)[..., np.newaxis] & np.isfinite(vectors)
    vectors = np.where(on_sky, vectors, 0.0)
    middle = vectors.sum(axis=(1, 2)) / np.maximum(on_sky.sum(axis=(1, 2)), 1)
    distance = np.linalg.norm(vectors - middle[:, np.newaxis, np.newaxis], axis=-1)
    return np.asarray(2 * np.where(on_sky[..., 0], distance, 0.0).max(axis=(1, 2), initial=0.0))
