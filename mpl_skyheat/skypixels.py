"""The pixels of a map that show sky: where they are on the sphere, and their values."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpl_skyheat.areas import slopes, whole_pixels
from mpl_skyheat.compiling import is_worth
from mpl_skyheat.fractions import SPLIT
from mpl_skyheat.kernels import NARROW
from mpl_skyheat.patches import interpolated
from mpl_skyheat.projection import turned
from mpl_skyheat.rings import EVERYWHERE, Belt, Lattice
from mpl_skyheat.skyedge import inner_pixels, marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from mpl_skyheat.grid import SkyGrid
    from mpl_skyheat.kernels import RadialKernel
    from mpl_skyheat.planes import Plane

    FloatArray = NDArray[np.float64]
    # Longitude and latitude in rad on the lattice.
    Positions = tuple[FloatArray, FloatArray]
    # Places in pixels: x and y from the centre, in pixels, and their positions, (places, pixels).
    Places = tuple[FloatArray, float, Positions]


# The pixels of a map of the whole sky add up to it but for this fraction.
WHOLE = 1e-3

# One that has no hole but for so much, or for this part of the square of a kernel's core: pixels at
# its edge add up to that little less.
CLOSED, CLOSED_TO_KERNEL = 3e-5, 0.02

# A kernel with a core of so many pixels is smooth over a pixel: its value somewhere in it will do.
WIDE = 1.9

# On a map of the whole sky, sums over pixels are right to 0.1 % with a core of this many or more;
# or of so many, if its edge cuts pixels all along a side of the map, or has notches.
FINE, FINE_AT_CUTS, FINE_AT_NOTCHES = 3.9, 4.3, 7.5

# An outline has notches if it runs along the sides of so many times the root of the number of
# pixels: those of pseudocylindrical maps do so 5 times, and that of HPX 7 times.
RAGGED = 6

# Nor are they right where pixels are so many times as long as the core, from corner to corner:
# their lengths then differ, and the errors of sums over them do not cancel.
LONG = 0.65

# Values at centres may be changed so much, for the sake of sums over pixels: by less than 1 %.
LEEWAY = 0.9902, 1.0098

# Those of a field in the midst of the sky are looked at where they are so many times as long as in
# its middle.
UNEVEN = 1.25

# The solid angles of pixels that narrow to a pole are less than this part of that of the largest;
# so are those of a TAN farther from its centre than 62°.
NARROWED = 0.1

# Pixels are about as long as one in so many along each side, but at the edge of the sky. There they
# may be so many times as long as the next ones are far away.
EVERY, AT_EDGE = 8, 1.2


class PlacesAndAreas(NamedTuple):
    """Positions (rad) at which pixels have values, their solid angles, and which pixels' these are.

    Four arrays of one length.
    """

    lon: FloatArray
    lat: FloatArray
    area: FloatArray
    whose: NDArray[np.intp]


class SkyPixels:
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
        # Of a pixel (rad).
        at_centre = float(area[row, column][0])
        self.side_at_centre = float(np.sqrt(at_centre or np.median(area[area > 0])))
        self._missing = 1 - float(area.sum()) / (4 * np.pi)
        self._is_whole_sky = abs(self._missing) < WHOLE
        # A field in the midst of the sky: all pixels show some, and none narrows to nothing.
        self._is_field = not self._is_whole_sky and bool(area.min() > NARROWED * area.max())
        self._area = area
        # Along straight sides; those of equal-area projections are bent.
        self._has_cuts = False
        self._steep, *self._slopes = self._steep_pixels(area)
        images = self._images(0.0, 0.0)
        self.centres = self._chosen(images)
        self._lost = np.isnan(self.centres[0])
        self._lengths, self._their_lat = self._some_lengths(images)

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
        on_sky = area > 0
        whole = whole_pixels(self._grid, on_sky, self._plane.to_sky, self._plane.to_plane)
        self._has_cuts = bool((on_sky & ~whole).any())
        steep, slope_x, slope_y = slopes(area, whole)
        return np.flatnonzero(steep.ravel()[self._flat]), slope_x, slope_y

    def lattice(self, kernel: RadialKernel) -> Lattice:
        """Return the lattice that a kernel needs for all pixels."""
        lon, lat = self.centres
        if self._is_whole_sky or self._lost.any():  # at the edge of the sky
            return Lattice.whole(kernel.bin_size)
        lat_limit = float(np.abs(lat).max()) + self._side
        lon_limit = float(np.abs(lon).max()) + self._side / max(np.cos(lat_limit), 0.1)
        return Lattice.covering(lat_limit, lon_limit, kernel.reach, kernel.bin_size)

    def _sky(self, x: FloatArray, y: FloatArray) -> Positions:
        """Return the positions of places on the plane."""
        lon, lat = self._plane.to_sky(x, y)
        return turned(lon, lat, self._turn, is_compiled=self._is_compiled)

    def _images(self, dx: float, dy: float) -> FloatArray:
        """Return the positions of places in all pixels, so far (on the plane) from the centre."""

        def sky(x: FloatArray, y: FloatArray) -> FloatArray:
            return np.asarray(self._sky(x + dx, y + dy))

        def is_sky(x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
            return np.isfinite(self._plane.to_sky(x + dx, y + dy)[0])

        images, known = interpolated(self._grid, sky, is_sky, number=2, atol=self._accuracy)
        unknown = np.flatnonzero(~known.ravel()[self._flat])
        x, y = self._middle(unknown)
        images.reshape(2, -1)[:, self._flat[unknown]] = self._sky(x + dx, y + dy)
        return images

    def _chosen(self, images: FloatArray) -> Positions:
        """Return the positions of the pixels that show sky, of those of all."""
        lon, lat = images.reshape(2, -1)
        return lon[self._flat], lat[self._flat]

    def _some_lengths(self, images: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how long (rad) pixels are, all over the map and at the edge of the sky, and where.

        From how far away on the sphere those beside them are; that is their latitude.
        """
        on_sky = self._area > 0
        is_edge = on_sky & ~inner_pixels(on_sky) & (not self._is_field)
        chosen = is_edge.copy()
        chosen[::EVERY, ::EVERY] = on_sky[::EVERY, ::EVERY]
        rows, columns = marked(chosen)
        lon, lat = images[:, rows, columns]
        squares = np.zeros((2, len(rows)))
        for up, across in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            beside = (
                np.clip(rows + up, 0, on_sky.shape[0] - 1),
                np.clip(columns + across, 0, on_sky.shape[1] - 1),
            )
            other_lon, other_lat = images[:, *beside]
            haversine = np.sin(0.5 * (other_lat - lat)) ** 2
            haversine += np.cos(lat) * np.cos(other_lat) * np.sin(0.5 * (other_lon - lon)) ** 2
            squares[across] = np.fmax(squares[across], np.where(on_sky[beside], 4 * haversine, 0))
        lengths = np.sqrt(squares.sum(axis=0)) * np.where(is_edge[rows, columns], AT_EDGE, 1.0)
        return lengths, lat

    def in_belt(self, belt: Belt) -> NDArray[np.intp]:
        """Return the pixels in a belt; if their centre is off the sky, what is farthest out."""
        lat = self.centres[1].copy()
        if self._lost.any():
            every = np.concatenate([places[1] for _, _, places in self._split_lost])
            lowest, highest = np.fmin.reduce(every), np.fmax.reduce(every)
            lat[self._lost] = np.where(highest > -lowest, highest, lowest)
        return np.flatnonzero(belt.holds(lat))

    def uneven_belt(self, kernel: RadialKernel) -> Belt | None:
        """Return the belt in which sums over the pixels may be off.

        That is so where the sky ends or is stretched, for kernels of few of the pixels there; None
        if nowhere. Of a kernel with steps, so few pixels show more or less everywhere; and what a
        map shows twice adds up to more.
        """
        pixels = kernel.core / self.side_at_centre
        if kernel.has_steps or pixels < WIDE or self._missing < -WHOLE:
            return None
        is_long = self._lengths > LONG * kernel.core
        if self._is_field:
            is_long &= self._lengths > UNEVEN * np.sqrt(2) * self.side_at_centre
        fine = FINE_AT_CUTS if self._has_cuts else FINE
        if not self._is_field and pixels < (FINE_AT_NOTCHES if self._is_ragged else fine):
            return EVERYWHERE
        if not is_long.any():
            return None
        if not self._plane.is_equal_area:
            return EVERYWHERE
        around = max(EVERY * self._side, float(self._lengths[is_long].max()))
        return Belt.around(self._their_lat[is_long], around)

    def show(self, lon: FloatArray, lat: FloatArray) -> NDArray[np.bool_]:
        """Tell which positions on the lattice (rad) are in one of them."""
        there = np.degrees(lon).ravel(), np.degrees(lat).ravel()
        back = turned(*there, np.ascontiguousarray(self._turn.T), is_compiled=self._is_compiled)
        x, y = self._plane.to_plane(np.degrees(back[0]) % 360, np.degrees(back[1]))
        inside, flat = self._grid.index(x, y)
        inside[inside] = self._area.ravel()[flat] > 0
        return inside.reshape(lon.shape)

    @property
    def farthest(self) -> float:
        """How far (rad) from the lattice's origin they may reach."""
        lon, lat = self.centres
        nearest = np.nanmin(np.cos(lon) * np.cos(lat))
        return float(np.arccos(np.clip(nearest, -1, 1)) + max(self._lengths.max(), 2 * self._side))

    def have_no_hole(self, kernel: RadialKernel) -> bool:
        """Tell whether all sources are shown: what is of one elsewhere is not to be made up for."""
        closed = max(CLOSED, CLOSED_TO_KERNEL * kernel.core**2)
        return self._is_whole_sky and self._missing < closed

    @cached_property
    def _is_ragged(self) -> bool:
        on_sky = np.pad(self._area > 0, 1)
        sides = np.count_nonzero(on_sky[1:] != on_sky[:-1])
        sides += np.count_nonzero(on_sky[:, 1:] != on_sky[:, :-1])
        return bool(sides > RAGGED * np.sqrt(self.count))

    def places_and_areas(self, belt: Belt) -> list[PlacesAndAreas]:
        """Return where pixels have their values in a belt, in two parts, of which any may be empty.

        First those that have them at their centres; then those whose centres are off the sky, at
        places that are on it.
        """
        lost = np.flatnonzero(self._lost)
        where = np.zeros((0, 2, len(lost)))
        if len(lost):
            where = np.concatenate([np.stack(places, 1) for _, _, places in self._split_lost])
        number = np.isfinite(where[:, 0]).sum(axis=0)
        area = self._with_slivers(self._flat[lost[number == 0]]).ravel()[self._flat]
        share = area[lost] / np.maximum(number, 1)
        parts = []
        for lon, lat, areas, whose in (
            (*self.centres, area, np.arange(self.count)),
            (where[:, 0], where[:, 1], share, lost),
        ):
            near = belt.holds(lat)
            columns = (np.broadcast_to(v, near.shape)[near] for v in (lon, lat, areas, whose))
            parts.append(PlacesAndAreas(*columns))
        return parts

    def _with_slivers(self, slivers: NDArray[np.intp]) -> FloatArray:
        """Return solid angles in which pixels have those of the slivers that `fill` fills."""
        if not len(slivers):
            return self._area
        area = self._area.copy()
        known = area > 0
        known.ravel()[slivers] = False
        rows, columns, is_there = around(slivers, area.shape)
        known_near = known[rows, columns] & is_there
        share = self._area.ravel()[slivers] / np.maximum(known_near.sum(axis=0), 1)
        np.add.at(area, (rows, columns), np.where(known_near, share, 0.0))
        area.ravel()[slivers] = 0.0
        return area

    def values(
        self,
        smooth: Callable[[Positions], FloatArray],
        kernel: RadialKernel,
        factors: FloatArray | None = None,
    ) -> FloatArray:
        """Return the values of a smooth map in the pixels; NaN in those without sky.

        A pixel has the value at its centre, times a factor if these are given, else all but; or the
        mean, with a kernel narrower than a pixel, or little wider where these narrow to a pole.
        """
        core = kernel.core
        if core >= NARROW * self._side:
            values = self.sampled(smooth)
            if core < WIDE * self.side_at_centre:
                steep = np.zeros(self.count, bool)
                steep[self._steep] = True
                values[steep] = self._means(smooth, steep, self._split(SPLIT, steep))
            elif factors is None:
                self._even_out(values, smooth)
            else:
                values *= factors
        else:
            split = int(np.ceil(1.5 * self._side / core))
            every = np.ones(self.count, bool)
            values = self._means(smooth, every, self._split(split, every))
            if self._lost.any():
                means, lost = self._means(smooth, self._lost, self._split_lost), self._lost
                values[lost] = np.where(np.isnan(values[lost]), means, values[lost])
        image = np.full(self._grid.shape, np.nan)
        image.ravel()[self._flat] = values
        fill(image, self._flat[np.isnan(values)])
        return image

    def sampled(
        self, smooth: Callable[[Positions], FloatArray], at: NDArray[np.intp] | None = None
    ) -> FloatArray:
        """Return the values of a map at the centres of pixels; means where these are off the sky.

        At all of them, or some.
        """
        some = slice(None) if at is None else at
        lon, lat = self.centres
        values, lost = smooth((lon[some], lat[some])), self._lost[some]
        if lost.any():
            means = np.empty(self.count)
            means[self._lost] = self._means(smooth, self._lost, self._split_lost)
            values[lost] = means[some][lost]
        return values

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
        self,
        smooth: Callable[[Positions], FloatArray],
        wanted: NDArray[np.bool_],
        places: Iterable[Places],
    ) -> FloatArray:
        """Return means over places in wanted pixels; NaN if there is no sky at any.

        Weighted with the solid angle around these places.
        """
        slope_x, slope_y = self._slopes_of(wanted)
        total, number = np.zeros((2, len(slope_x)))
        for i, j, (lon, lat) in places:
            weight = np.where(np.isfinite(lon), 1 + slope_x * i + slope_y * j, 0.0)
            found = weight > 0
            values = np.zeros(weight.shape)
            values[found] = smooth((lon[found], lat[found]))
            total += (weight * values).sum(axis=0)
            number += (weight * found).sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / number)

    def _slopes_of(self, wanted: NDArray[np.bool_]) -> FloatArray:
        """Return the slopes of solid angle of wanted pixels, along x and y."""
        if not len(self._steep):
            return np.zeros((2, np.count_nonzero(wanted)))
        slopes = np.zeros((2, self.count))
        slopes[:, self._steep] = self._slopes
        return slopes[:, wanted]

    @cached_property
    def _split_lost(self) -> list[Places]:
        """Places in the pixels whose centres are off the sky, as its edge runs through them."""
        return list(self._split(SPLIT, self._lost)) if self._lost.any() else []

    def _split(self, split: int, wanted: NDArray[np.bool_]) -> Iterator[Places]:
        """Yield split × split places in wanted pixels.

        One place at a time where all pixels are wanted, else a row of them.
        """
        offsets = (np.arange(split) + 0.5) / split - 0.5
        x, y = self._middle(wanted)
        for j in offsets:
            dy = j * self._grid.y.step
            if wanted.all():
                for i in offsets:
                    lon, lat = self._chosen(self._images(i * self._grid.x.step, dy))
                    yield np.array([[i]]), j, (lon[np.newaxis], lat[np.newaxis])
            else:
                i = offsets[:, np.newaxis]
                there = x + i * self._grid.x.step
                yield i, j, self._sky(there, np.broadcast_to(y + dy, there.shape))


def fill(image: FloatArray, wanted: NDArray[np.intp]) -> None:
    """Give slivers of sky (flat indices) that no sample has found the mean of what is around them.

    Zero if that is not known either.
    """
    if not len(wanted):
        return
    rows, columns, is_there = around(wanted, image.shape)
    near = image[rows, columns]
    known = np.isfinite(near) & is_there
    total = np.where(known, near, 0.0).sum(axis=0)
    image.ravel()[wanted] = total / np.maximum(known.sum(axis=0), 1)


def around(
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
