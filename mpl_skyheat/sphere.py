"""Smoothing on the sphere: brings a catalogue, kernels in angle and a plane's pixels together.

Positions are turned so that the middle of the map lies at longitude and latitude zero of the
lattice of `rings`: that of a field is then a small window.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.areas import slopes, whole_pixels
from mpl_skyheat.compiling import is_worth
from mpl_skyheat.fractions import SPLIT
from mpl_skyheat.grid import SkyGrid, to_vectors
from mpl_skyheat.kernels import NARROW
from mpl_skyheat.memory import allowed_bytes
from mpl_skyheat.patches import interpolated
from mpl_skyheat.projection import change_frame, frame_rotation, turned
from mpl_skyheat.rings import Lattice, PointSpread, SmoothSphere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from astropy.coordinates import BaseCoordinateFrame
    from numpy.typing import NDArray

    from mpl_skyheat.kernels import RadialKernel
    from mpl_skyheat.planes import Plane
    from mpl_skyheat.points import Catalogue
    from mpl_skyheat.threads import Team

    FloatArray = NDArray[np.float64]
    # Longitude and latitude in rad on the lattice.
    Positions = tuple[FloatArray, FloatArray]


# The pixels of a map of the whole sky add up to it but for this fraction.
WHOLE = 1e-3

# How well (in bins) positions of pixels on the lattice are interpolated.
ACCURACY = 1e-5

# A kernel with a core of so many pixels is smooth over a pixel: its value somewhere in it will do.
WIDE = 1.9

# On a map of the whole sky, sums over pixels are right to 0.1 % with a core of this many or more;
# or of so many, if its outline has notches.
FINE, FINE_AT_NOTCHES = 3.9, 7.5

# An outline has notches if it runs along the sides of so many times the root of the number of
# pixels: those of pseudocylindrical maps do so 5 times, and that of HPX 7 times.
RAGGED = 6

# Values may be so much smaller or larger than they should be, for the sake of sums over pixels: by
# less than 1 %.
LEEWAY = 0.9902, 1.0098


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
        team: Team,
    ) -> None:
        assert plane.frame is not None
        self._plane, self._grid, self._terms, self._team = plane, grid, terms, team
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
                    spread.add_turned(lon, lat, weights, whole, self._team)
            return
        for block in chunk.blocks():
            lon, lat = block.lon, block.lat
            if self._rotation is None:
                lon, lat = change_frame(lon, lat, chunk.frame, self._plane.frame)
            whole = self._turn if self._rotation is None else self._turn @ self._rotation
            positions = turned(lon, lat, whole, is_compiled=False)
            for spread in self._spreads:
                spread.add(*positions, block.weights)

    def density(self, area: FloatArray) -> FloatArray:
        """Return the sum in the pixels with an area; NaN in the others."""
        if not self._spreads:
            return np.full(self._grid.shape, np.nan)
        pixels = self._pixels
        if np.count_nonzero(area) != pixels.count:  # points have shown more sky
            pixels = self._pixels_of(area)
        density = np.zeros(self._grid.shape)
        for spread, (factor, kernel) in zip(self._spreads, self._terms, strict=True):
            bins = spread.bins
            if pixels.are_coarse(kernel):
                bins /= np.clip(self._shown(pixels, spread.lattice, kernel), *LEEWAY)
            smooth = SmoothSphere(spread.lattice, bins, kernel, self._team)
            density += factor * pixels.values(smooth, kernel)
        return density

    def _shown(self, pixels: _Pixels, lattice: Lattice, kernel: RadialKernel) -> FloatArray:
        """Return how much of a source in each bin the pixels' values add up to.

        The kernel is symmetric: that is the map, at the bin, of the solid angles of the pixels.
        """
        spread = PointSpread(lattice, kernel.spline_order)
        for lon, lat, area in pixels.places_and_areas():
            if is_worth(len(lon)):
                turn, place = np.eye(3), (np.degrees(lon), np.degrees(lat))
                spread.add_turned(*place, area, turn, self._team)
            else:
                spread.add(lon, lat, area)
        smooth = SmoothSphere(lattice, spread.bins, kernel, self._team)
        return smooth(lattice.centres()).reshape(lattice.rings, lattice.columns)


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
        # Their flat indices.
        self._flat = np.flatnonzero(area > 0)
        self._is_compiled = is_worth(len(self._flat))
        self._side = float(np.sqrt(area.max()))
        column, row = (
            a.index(np.array([v])) for a, v in zip((grid.x, grid.y), centre, strict=True)
        )
        self._side_at_centre = float(np.sqrt(area[row, column][0]))
        self._is_whole_sky = abs(float(area.sum()) / (4 * np.pi) - 1) < WHOLE
        self._area = area
        self._steep, *self._slopes = self._steep_pixels(area)
        self._centres = self._places(0.0, 0.0)

    @property
    def count(self) -> int:
        """The number of pixels."""
        return len(self._flat)

    def _middle(self, at: NDArray[Any]) -> Positions:
        """Return x and y of the centres of pixels."""
        rows, columns = np.divmod(self._flat[at], self._grid.x.count)
        return self._grid.x.centres[columns], self._grid.y.centres[rows]

    def _steep_pixels(self, area: FloatArray) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
        """Return at which pixels the solid angle is steep, and its slopes there."""
        if self._plane.is_equal_area:
            return np.zeros(0, np.intp), np.zeros(0), np.zeros(0)
        whole = whole_pixels(self._grid, area > 0, self._plane.to_sky, self._plane.to_plane)
        steep, slope_x, slope_y = slopes(area, whole)
        return np.flatnonzero(steep.ravel()[self._flat]), slope_x, slope_y

    def lattice(self, kernel: RadialKernel) -> Lattice:
        """Return the lattice that a kernel needs for all pixels."""
        lon, lat = self._centres
        if self._is_whole_sky or not np.isfinite(lon).all():  # at the edge of the sky
            return Lattice.whole(kernel.bin_size)
        lat_limit = float(np.abs(lat).max()) + self._side
        lon_limit = float(np.abs(lon).max()) + self._side / max(np.cos(lat_limit), 0.1)
        return Lattice.covering(lat_limit, lon_limit, kernel.reach, kernel.bin_size)

    def _sky(self, x: FloatArray, y: FloatArray) -> Positions:
        """Return the positions of places on the plane."""
        lon, lat = self._plane.to_sky(x, y)
        return turned(lon, lat, self._turn, is_compiled=self._is_compiled)

    def _places(self, dx: float, dy: float) -> Positions:
        """Return the positions of places in the pixels, so far (on the plane) from the centre."""

        def sky(x: FloatArray, y: FloatArray) -> FloatArray:
            return np.asarray(self._sky(x + dx, y + dy))

        def is_sky(x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
            return np.isfinite(self._plane.to_sky(x + dx, y + dy)[0])

        places, known = interpolated(self._grid, sky, is_sky, number=2, atol=self._accuracy)
        lon, lat = (v.ravel()[self._flat] for v in places)
        unknown = np.flatnonzero(~known.ravel()[self._flat])
        x, y = self._middle(unknown)
        lon[unknown], lat[unknown] = self._sky(x + dx, y + dy)
        return lon, lat

    def are_coarse(self, kernel: RadialKernel) -> bool:
        """Tell whether sums over the pixels may be off, where the sky ends or is stretched.

        What the edge of the map cuts goes on elsewhere only if that shows the whole sky; and of a
        kernel with steps, so few pixels show more or less everywhere.
        """
        if kernel.has_steps or not self._is_whole_sky:
            return False
        fine = FINE_AT_NOTCHES if self._is_ragged else FINE
        return WIDE <= kernel.core / self._side_at_centre < fine

    @cached_property
    def _is_ragged(self) -> bool:
        on_sky = np.pad(self._area > 0, 1)
        sides = np.count_nonzero(on_sky[1:] != on_sky[:-1])
        sides += np.count_nonzero(on_sky[:, 1:] != on_sky[:, :-1])
        return bool(sides > RAGGED * np.sqrt(self.count))

    def places_and_areas(self) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
        """Yield the positions at which pixels have their values, and the solid angle of each."""
        lon, lat = self._centres
        lost = ~np.isfinite(lon)
        parts = [places for _, _, places in self._split(SPLIT, lost)] if lost.any() else []
        number = np.zeros(np.count_nonzero(lost), int)
        for places_lon, _ in parts:
            number += np.isfinite(places_lon).sum(axis=0)
        area = self._with_slivers(self._flat[lost][number == 0]).ravel()[self._flat]
        yield lon[~lost], lat[~lost], area[~lost]
        share = area[lost] / np.maximum(number, 1)
        for lon, lat in parts:
            found = np.isfinite(lon)
            yield lon[found], lat[found], np.broadcast_to(share, lon.shape)[found]

    def _with_slivers(self, slivers: NDArray[np.intp]) -> FloatArray:
        """Return solid angles in which pixels have those of the slivers that `_fill` fills."""
        area = self._area.copy()
        known = area > 0
        known.ravel()[slivers] = False
        rows, columns, is_there = _around(slivers, area.shape)
        known_near = known[rows, columns] & is_there
        share = self._area.ravel()[slivers] / np.maximum(known_near.sum(axis=0), 1)
        np.add.at(area, (rows, columns), np.where(known_near, share, 0.0))
        area.ravel()[slivers] = 0.0
        return area

    def values(self, smooth: Callable[[Positions], FloatArray], kernel: RadialKernel) -> FloatArray:
        """Return the values of a smooth map in the pixels; NaN in those without sky.

        A pixel has the value at its centre, all but; or with a kernel narrower than that the mean,
        and with one that is little wider, if pixels there narrow towards a pole.
        """
        core = kernel.core
        if core >= NARROW * self._side:
            values = smooth(self._centres)
            if core >= WIDE * self._side_at_centre:
                if not self.are_coarse(kernel):
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
        image.ravel()[self._flat] = values
        _fill(image, self._flat[np.isnan(values)])
        return image

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
        x, y = self._middle(at)
        better = smooth(self._sky(x + shift_x, y + shift_y))
        low, high = (values[at] * limit for limit in LEEWAY)
        values[at] = np.where(np.isnan(better), values[at], np.clip(better, low, high))

    def _means(
        self, smooth: Callable[[Positions], FloatArray], split: int, wanted: NDArray[np.bool_]
    ) -> FloatArray:
        """Return means over split × split places in wanted pixels; NaN if there is no sky at any.

        Weighted with the solid angle around these places.
        """
        slopes = np.zeros((2, self.count))
        slopes[:, self._steep] = self._slopes
        slope_x, slope_y = slopes[:, wanted]
        total, number = np.zeros((2, len(slope_x)))
        for i, j, (lon, lat) in self._split(split, wanted):
            weight = np.where(np.isfinite(lon), 1 + slope_x * i + slope_y * j, 0.0)
            found = weight > 0
            values = np.zeros(weight.shape)
            values[found] = smooth((lon[found], lat[found]))
            total += (weight * values).sum(axis=0)
            number += (weight * found).sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / number)

    def _split(
        self, split: int, wanted: NDArray[np.bool_]
    ) -> Iterator[tuple[FloatArray, float, Positions]]:
        """Yield split × split places in wanted pixels, as fractions from the centre, and positions.

        One place at a time where all pixels are wanted, else a row of them.
        """
        offsets = (np.arange(split) + 0.5) / split - 0.5
        x, y = self._middle(wanted)
        for j in offsets:
            dy = j * self._grid.y.step
            if wanted.all():
                for i in offsets:
                    lon, lat = self._places(i * self._grid.x.step, dy)
                    yield np.array([[i]]), j, (lon[np.newaxis], lat[np.newaxis])
            else:
                i = offsets[:, np.newaxis]
                there = x + i * self._grid.x.step
                yield i, j, self._sky(there, np.broadcast_to(y + dy, there.shape))


def _fill(image: FloatArray, wanted: NDArray[np.intp]) -> None:
    """Give slivers of sky (flat indices) that no sample has found the mean of what is around them.

    Zero if that is not known either.
    """
    if not len(wanted):
        return
    rows, columns, is_there = _around(wanted, image.shape)
    near = image[rows, columns]
    known = np.isfinite(near) & is_there
    total = np.where(known, near, 0.0).sum(axis=0)
    image.ravel()[wanted] = total / np.maximum(known.sum(axis=0), 1)


def _around(
    wanted: NDArray[np.intp], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Return rows and columns (9, n) of pixels (flat indices) and of those around them.

    The third array tells which of these are on the image.
    """
    up, across = np.indices((3, 3)).reshape(2, 9, 1) - 1
    rows, columns = np.divmod(wanted, shape[1])
    rows, columns = rows + up, columns + across
    is_there = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return np.clip(rows, 0, shape[0] - 1), np.clip(columns, 0, shape[1] - 1), is_there
