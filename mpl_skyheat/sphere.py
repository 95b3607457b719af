"""Smoothing on the sphere: brings a catalogue, kernels in angle and a plane's pixels together.

Positions are turned so that the middle of the map lies at longitude and latitude zero of the
lattice of `rings`: that of a field is then a small window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.areas import SPLIT, slopes, whole_pixels
from mpl_skyheat.grid import SkyGrid, to_vectors
from mpl_skyheat.kernels import NARROW
from mpl_skyheat.memory import allowed_bytes
from mpl_skyheat.patches import interpolated
from mpl_skyheat.projection import change_frame, frame_rotation
from mpl_skyheat.rings import Lattice, PointSpread, SmoothSphere

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from astropy.coordinates import BaseCoordinateFrame
    from numpy.typing import NDArray

    from mpl_skyheat.kernels import RadialKernel
    from mpl_skyheat.planes import Plane
    from mpl_skyheat.points import Catalogue

    FloatArray = NDArray[np.float64]
    # Longitude and latitude in rad on the lattice.
    Positions = tuple[FloatArray, FloatArray]


# How well (in bins) positions of pixels on the lattice are interpolated.
ACCURACY = 1e-5

# A kernel with a core of so many pixels is smooth over a pixel: its value somewhere in it will do.
WIDE = 1.9

# Values may be off those at the pixels' centres by so much: by less than 1 %.
LEEWAY = 0.0095


class SphereSum:
    """Σ cᵢ Σₚ wₚ Kᵢ(separation) per sr in the pixels of a grid, over points that come in chunks."""

    def __init__(
        self,
        frame: BaseCoordinateFrame,
        plane: Plane,
        centre: tuple[float, float],
        grid: SkyGrid,
        area: FloatArray,
        terms: Sequence[tuple[float, RadialKernel]],
        threads: int,
    ) -> None:
        assert plane.frame is not None
        self._plane, self._grid, self._terms, self._threads = plane, grid, terms, threads
        self._centre = centre
        middle = plane.to_sky(np.array([centre[0]]), np.array([centre[1]]))
        self._turn = _rotation_to_origin(float(middle[0][0]), float(middle[1][0]))
        self._rotation = frame_rotation(frame, plane.frame)
        self._spreads: list[PointSpread] = []
        if not (area > 0).any():
            return
        self._pixels = self._pixels_of(area)
        lattices = [self._pixels.lattice(kernel) for _, kernel in terms]
        _check_memory(lattices)
        self._spreads = [
            PointSpread(lattice, kernel.spline_order)
            for lattice, (_, kernel) in zip(lattices, terms, strict=True)
        ]

    def _pixels_of(self, area: FloatArray) -> _Pixels:
        finest = min(kernel.bin_size for _, kernel in self._terms)
        accuracy = ACCURACY * finest
        return _Pixels(self._plane, self._grid, area, self._centre, self._turn, accuracy)

    def add(self, chunk: Catalogue, *, is_compiled: bool) -> None:
        """Add points, in the frame that was told before."""
        if is_compiled and self._rotation is not None:
            whole = self._turn @ self._rotation
            for lon, lat, weights in chunk.arrays():
                for spread in self._spreads:
                    spread.add_turned(lon, lat, weights, whole, self._threads)
            return
        for block in chunk.blocks():
            lon, lat = block.lon, block.lat
            if self._rotation is None:
                lon, lat = change_frame(lon, lat, chunk.frame, self._plane.frame)
            whole = self._turn if self._rotation is None else self._turn @ self._rotation
            turned = _positions(whole @ to_vectors(lon, lat).T)
            for spread in self._spreads:
                spread.add(*turned, block.weights)

    def density(self, area: FloatArray) -> FloatArray:
        """Return the sum in the pixels with an area; NaN in the others."""
        if not self._spreads:
            return np.full(self._grid.shape, np.nan)
        pixels = self._pixels
        if np.count_nonzero(area) != pixels.count:  # points have shown more sky
            pixels = self._pixels_of(area)
        density = np.zeros(self._grid.shape)
        for spread, (factor, kernel) in zip(self._spreads, self._terms, strict=True):
            smooth = SmoothSphere(spread.lattice, spread.bins, kernel, self._threads)
            density += factor * pixels.values(smooth, kernel.core)
        return density


def _check_memory(lattices: Sequence[Lattice]) -> None:
    needed = sum(lattice.bytes for lattice in lattices)
    if needed > allowed_bytes():
        finest = max(lattices, key=lambda lattice: lattice.bytes)
        raise ValueError(
            f"kernel is too narrow for so much sky: smoothing on the sphere takes {finest.rings} x "
            f"{finest.columns} bins and {needed / 2**30:.3g} GiB, more than half of this machine's "
            "memory; a wider kernel, a smaller region, or geometry='plane' would do"
        )


def _rotation_to_origin(lon: float, lat: float) -> FloatArray:
    """Return the rotation that takes a position (deg) to zero, with north kept up."""
    (x,) = to_vectors(np.array([lon]), np.array([lat]))
    (z,) = to_vectors(np.array([lon]), np.array([lat + 90.0]))
    return np.stack([x, np.cross(z, x), z])


def _positions(vectors: FloatArray) -> Positions:
    """Return longitude and latitude (rad) of vectors (3, …)."""
    x, y, z = vectors
    return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))


class _Pixels:
    """The pixels of a grid that show sky, on the lattice."""

    def __init__(
        self,
        plane: Plane,
        grid: SkyGrid,
        area: FloatArray,
        centre: tuple[float, float],
        turn: FloatArray,
        accuracy: float,
    ) -> None:
        self._plane, self._grid, self._turn, self._accuracy = plane, grid, turn, accuracy
        self._on_sky = area > 0
        self._side = float(np.sqrt(area.max()))
        column, row = (
            a.index(np.array([v])) for a, v in zip((grid.x, grid.y), centre, strict=True)
        )
        self._side_at_centre = float(np.sqrt(area[row, column][0]))
        rows, columns = np.nonzero(self._on_sky)
        self._x, self._y = grid.x.centres[columns], grid.y.centres[rows]
        whole = whole_pixels(grid, self._on_sky, plane.to_sky, plane.to_plane)
        steep, *self._slopes = slopes(area, whole)
        self._steep = np.flatnonzero(steep[self._on_sky])
        self._centres = self._places(0.0, 0.0)

    @property
    def count(self) -> int:
        """The number of pixels."""
        return len(self._x)

    def lattice(self, kernel: RadialKernel) -> Lattice:
        """Return the lattice that a kernel needs for all pixels."""
        lon, lat = self._centres
        if not np.isfinite(lon).all():  # at the edge of the sky
            return Lattice.whole(kernel.bin_size)
        lat_limit = float(np.abs(lat).max()) + self._side
        lon_limit = float(np.abs(lon).max()) + self._side / max(np.cos(lat_limit), 0.1)
        return Lattice.covering(lat_limit, lon_limit, kernel.reach, kernel.bin_size)

    def _sky(self, x: FloatArray, y: FloatArray) -> Positions:
        return _positions(self._turn @ to_vectors(*self._plane.to_sky(x, y)).T)

    def _places(self, dx: float, dy: float) -> Positions:
        """Return the positions of places in the pixels, so far (on the plane) from the centre."""

        def sky(x: FloatArray, y: FloatArray) -> FloatArray:
            vectors = to_vectors(*self._plane.to_sky(x + dx, y + dy))
            return np.asarray(_positions(np.moveaxis(vectors @ self._turn.T, -1, 0)))

        def is_sky(x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
            return np.isfinite(self._plane.to_sky(x + dx, y + dy)[0])

        places, known = interpolated(self._grid, sky, is_sky, number=2, atol=self._accuracy)
        places, unknown = places[:, self._on_sky], ~known[self._on_sky]
        places[:, unknown] = self._sky(self._x[unknown] + dx, self._y[unknown] + dy)
        return places[0], places[1]

    def values(self, smooth: Callable[[Positions], FloatArray], core: float) -> FloatArray:
        """Return the values of a smooth map in the pixels; NaN in those without sky.

        A pixel has the value at its centre, all but; or with a kernel narrower than that the mean,
        and with one that is little wider, if pixels there narrow towards a pole.
        """
        if core >= NARROW * self._side:
            values = smooth(self._centres)
            if core >= WIDE * self._side_at_centre:
                self._even_out(values, smooth)
            else:
                steep = np.zeros(self.count, bool)
                steep[self._steep] = True
                values[steep] = self._means(smooth, SPLIT, steep)
        else:
            split = int(np.ceil(1.5 * self._side / core))
            values = self._means(smooth, split, np.ones(self.count, bool))
        lost = np.isnan(values)
        # The edge of the sky runs between such a pixel's centre and its corners.
        if lost.any():
            values[lost] = self._means(smooth, SPLIT, lost)
        image = np.full(self._grid.shape, np.nan)
        image[self._on_sky] = values
        return _filled(image, self._on_sky)

    def _even_out(self, values: FloatArray, smooth: Callable[[Positions], FloatArray]) -> None:
        """Change values at centres by less than `LEEWAY`, so that the map keeps its integral.

        With the solid angle ω of the plane's points, ∫ f ω over a pixel is f Ω at its centre, and
        (2 ∇f·∇ω + ω ∇²f) / 24 = (∇·(ω ∇f) + ∇f·∇ω) / 24 to the next order. The first term
        cancels between pixels; the second is as much as the value at ∇ω / 24ω from the centre has,
        and matters where the pixels of a cylindrical map narrow towards a pole.
        """
        at = self._steep
        shift_x, shift_y = (
            v / 24 * step for v, step in zip(self._slopes, self._grid.steps, strict=True)
        )
        better = smooth(self._sky(self._x[at] + shift_x, self._y[at] + shift_y))
        low, high = values[at] * (1 - LEEWAY), values[at] * (1 + LEEWAY)
        values[at] = np.where(np.isnan(better), values[at], np.clip(better, low, high))

    def _means(
        self, smooth: Callable[[Positions], FloatArray], split: int, wanted: NDArray[np.bool_]
    ) -> FloatArray:
        """Return means over split × split places in wanted pixels; NaN if there is no sky at any.

        Weighted with the solid angle around these places.
        """
        slope_x, slope_y = np.zeros((2, self.count))
        slope_x[self._steep], slope_y[self._steep] = self._slopes
        x, y, slope_x, slope_y = (v[wanted] for v in (self._x, self._y, slope_x, slope_y))
        total, number = np.zeros(x.shape), np.zeros(x.shape)
        offsets = (np.arange(split) + 0.5) / split - 0.5
        for i in offsets:
            for j in offsets:
                dx, dy = i * self._grid.x.step, j * self._grid.y.step
                places = self._places(dx, dy) if wanted.all() else self._sky(x + dx, y + dy)
                weight = np.where(np.isfinite(places[0]), 1 + slope_x * i + slope_y * j, 0.0)
                found = weight > 0
                total[found] += weight[found] * smooth((places[0][found], places[1][found]))
                number += weight * found
        with np.errstate(invalid="ignore"):
            return np.asarray(total / number)


def _filled(image: FloatArray, wanted: NDArray[np.bool_]) -> FloatArray:
    """Give slivers of sky that no sample has found the mean of the pixels around them."""
    rows, columns = np.nonzero(wanted & np.isnan(image))
    around = np.pad(image, 1, constant_values=np.nan)
    for row, column in zip(rows, columns, strict=True):
        near = around[row : row + 3, column : column + 3]
        image[row, column] = np.nanmean(near) if np.isfinite(near).any() else 0.0
    return image
