"""Maps that are read anew at the pixels of a screen: of a field, or of bins.

A field is a function on the sky, which costs the same to read at any zoom, and has the same value
at a place on every screen. Where a screen's pixel is wider than the kernel, it has the mean over
it. Without a kernel, bins stay those of the map, and k × k of them are shown as one where they are
smaller than the screen's pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units as u

from mpl_skyheat.catalogue.streams import Stream
from mpl_skyheat.compute.threads import Team, thread_count
from mpl_skyheat.counting.sums import COMBINE
from mpl_skyheat.maps.moments import PixelMoments, field_of
from mpl_skyheat.maps.statistics import statistic_of
from mpl_skyheat.maps.summing import found_in, map_values, summed
from mpl_skyheat.maps.units import readable_angle
from mpl_skyheat.maps.where import LIVE_MARGIN, Where, choose_where
from mpl_skyheat.sky.geometry import MapGeometry
from mpl_skyheat.sky.grid import SkyGrid, View, grid_of_bins, widened
from mpl_skyheat.smoothing.field import SphereField
from mpl_skyheat.smoothing.kernel_base import angular_kernels
from mpl_skyheat.smoothing.pixels import SkyPixels, SkyPoints

if TYPE_CHECKING:
    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.sky.geometry import SphereLattice
    from mpl_skyheat.smoothing.field import Field

# Most bins of the lattice of a field, which is held as long as its picture: some 0.5 GB.
MOST_BINS = 8e6

# Pixels of a picture that are read together, to bound the memory of a print at many dots per inch.
TOGETHER = 2**20

# A new field reaches beyond a view by this fraction of its sides, so that a pan rarely needs one.
BEYOND = 0.5


def check_lattice(where: Where, request: MapRequest) -> None:
    """Raise a ValueError if the lattice of a field that is to be held is too large."""
    sphere = where.geometry.sphere
    if sphere is None or not is_too_large(where):
        return
    excess = sphere.lattice.rings * sphere.lattice.columns / MOST_BINS
    narrowest = min(kernel.resolution_length for kernel in angular_kernels(request.all_terms))
    width = readable_angle(1.05 * np.sqrt(excess) * narrowest * u.rad)
    raise ValueError(
        f"kernel must be at least {width:.2g} wide in so large a view with live=True, whose field "
        f"is held; got {request.kernel!r}: a smaller region, or live=False, would do"
    )


def is_too_large(where: Where) -> bool:
    """Whether the lattice has more than `MOST_BINS`."""
    sphere = where.geometry.sphere
    return sphere is not None and sphere.lattice.rings * sphere.lattice.columns > MOST_BINS


class HeldField(NamedTuple):
    """A field, the sums and the place that it was made of, and the view that it reaches."""

    sums: Sums
    field: SphereField
    where: Where
    view: View

    @property
    def sphere(self) -> SphereLattice:
        sphere = self.where.geometry.sphere
        assert sphere is not None
        return sphere

    @property
    def has_all_sky(self) -> bool:
        """Whether the lattice is all of the sphere, and no row was left out as out of reach."""
        is_skipped = self.sums.rows["skipped"] or self.sums.parts_skipped
        return self.sphere.lattice.has_poles and not is_skipped

    def reaches(self, view: View) -> bool:
        """Whether all of a view can be read."""
        if self.has_all_sky and self.sums.observed is None:
            return True
        left, right, bottom, top = self.view
        slack = 1e-6 * (right - left), 1e-6 * (top - bottom)
        return bool(
            left - slack[0] <= view.x_min
            and view.x_max <= right + slack[0]
            and bottom - slack[1] <= view.y_min
            and view.y_max <= top + slack[1]
        )

    def holds(self, x: FloatArray, y: FloatArray) -> BoolArray:
        """Which places of the plane can be read."""
        if self.has_all_sky:
            return np.ones(x.shape, bool)
        left, right, bottom, top = self.view
        return (x >= left) & (x <= right) & (y >= bottom) & (y <= top)

    def is_seen(self, x: FloatArray, y: FloatArray) -> BoolArray:
        """Where something was observed, by the pixels of the map."""
        if self.sums.observed is None:
            return np.ones(x.shape, bool)
        on_map, pixels = self.where.geometry.wide.index(x, y)
        seen = np.zeros(x.shape, bool)
        seen[on_map] = self.sums.observed.pixels.fractions.ravel()[pixels] > 0
        return seen


class LiveField:
    """The field of a map, read at the pixels of any view, or at positions.

    Parameters
    ----------
    catalogue : Catalogue or Stream, optional
        The rows, in the frame of the plane, of which a new field is made for a view that this one
        does not reach; without them, nothing is shown there.
    held : HeldField
        The field of the map. It is kept beside a new one, for positions on the map and for the way
        back.
    request : MapRequest
        The arguments of the map.
    factor : float
        From the unit of the sums to that of the map.
    """

    def __init__(
        self,
        catalogue: Catalogue | Stream | None,
        held: HeldField,
        request: MapRequest,
        factor: float,
    ) -> None:
        self._catalogue, self._request, self._factor = catalogue, request, factor
        self._first, self._latest = held, held

    def read(self, view: View, shape: tuple[int, int]) -> tuple[FloatArray, View]:
        """The map's values in ny × nx pixels of a view, in its unit; NaN where there are none."""
        held = self._field_for(view)
        # Threads would take longer to start than a screen to be read.
        is_print = shape[0] * shape[1] > TOGETHER
        team = Team(thread_count(self._request.threads) if is_print else 1)
        grid = grid_of_bins(view, *shape[::-1])
        values: FloatArray = np.empty(grid.shape)
        rows = max(TOGETHER // shape[1], 1)
        for start in range(0, shape[0], rows):
            part = slice(start, min(start + rows, shape[0]))
            some = SkyGrid(grid.x, grid.y.part(part.start, part.stop))
            values[part] = self._read_grid(held, some, team)
        team.rest()
        return values, view

    def at(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """The map's values, in its unit, at places (n,) of the plane; NaN off the sky."""
        values: FloatArray = np.full(x.shape, np.nan)
        is_open = np.ones(x.shape, bool)
        for held in (self._latest, self._first):
            some = is_open & held.holds(x, y)
            if some.any():
                values[some] = self._at(held, x[some], y[some])
            is_open &= ~some
        return values

    def _at(self, held: HeldField, x: FloatArray, y: FloatArray) -> FloatArray:
        lon, lat = held.where.geometry.plane.to_sky(x, y)
        places = SkyPoints(lon, lat, held.sphere.turn)
        values = self._values(held, held.field.on(places), Team(1))
        values[~(np.isfinite(lon) & held.is_seen(x, y))] = np.nan
        return values

    def _read_grid(self, held: HeldField, grid: SkyGrid, team: Team) -> FloatArray:
        geometry = MapGeometry(held.where.geometry.plane, grid, sphere=held.sphere)
        geometry.measure(team)
        values = self._values(held, held.field.on(SkyPixels(geometry, team)), team)
        x, y = np.meshgrid(grid.x.centres, grid.y.centres)
        is_there = (geometry.solid_angles > 0) & held.holds(x, y) & held.is_seen(x, y)
        values[~is_there] = np.nan
        return values

    def _values(self, held: HeldField, field: Field, team: Team) -> FloatArray:
        request, everywhere = self._request, np.ones(())
        found = found_in(held.sums, field, held.where, request, team)
        return map_values(
            found,
            self._factor,
            held.where,
            request,
            area=everywhere,
            coverage=everywhere if request.has_coverage else None,
            rows=None if request.min_count is None else found.n_eff(),
        )

    def _field_for(self, view: View) -> HeldField:
        """A field that reaches a view, made anew if there are rows to make it of and it is small.

        Else the latest one, of which what it reaches is shown.
        """
        for held in (self._latest, self._first):
            if held.reaches(view):
                return held
        made = None if self._catalogue is None else self._made_for(view, self._catalogue)
        if made is not None:
            self._latest = made
        return self._latest

    def _made_for(self, view: View, catalogue: Catalogue | Stream) -> HeldField | None:
        """The field of a view and its surroundings, or of the view; None if both are too large."""
        plane, request = self._first.where.geometry.plane, self._request
        for some in (widened(view, BEYOND), view):
            try:
                where = choose_where(request, plane, some, closed=False)
            except ValueError:  # no sky in it, or too large a lattice
                continue
            if is_too_large(where):
                continue
            team = Team(thread_count(request.threads))
            where.geometry.measure(team)
            sums, randoms = summed(catalogue, where, request, team)
            field = field_of(sums, where, request, team, randoms)
            assert isinstance(field, SphereField)
            team.rest()
            return HeldField(sums, field, where, some)
        return None


class LiveBins:
    """The bins of a map, of which k × k are shown as one where a screen's pixels are larger."""

    def __init__(self, sums: Sums, where: Where, request: MapRequest, factor: float) -> None:
        self._sums, self._where, self._request, self._factor = sums, where, request, factor
        self._kept: tuple[tuple[int, int], FloatArray] | None = None

    def read(self, view: View, shape: tuple[int, int]) -> tuple[FloatArray, View]:
        """The map's values in bins, or means over k × k of them, and the view that they fill."""
        grid = self._where.geometry.grid
        ny, nx = shape
        across = (view.x_max - view.x_min) / nx, (view.y_max - view.y_min) / ny
        k_x, k_y = (
            max(int(size / axis.step * (1 + 1e-9)), 1)
            for size, axis in zip(across, (grid.x, grid.y), strict=True)
        )
        values = self._merged(k_x, k_y)
        columns, left, right = _shown(grid.x, k_x, view.x_min, view.x_max)
        rows, bottom, top = _shown(grid.y, k_y, view.y_min, view.y_max)
        return values[rows, columns], View(left, right, bottom, top)

    def _merged(self, k_x: int, k_y: int) -> FloatArray:
        if self._kept is None or self._kept[0] != (k_x, k_y):
            moments = MergedBins(self._sums, k_x, k_y)
            found = statistic_of(self._sums, moments, self._where, self._request)
            values = map_values(
                found,
                self._factor,
                self._where,
                self._request,
                area=moments.area,
                coverage=moments.seen() if self._request.has_coverage else None,
                rows=None if self._request.min_count is None else moments.first("n"),
            )
            self._kept = (k_x, k_y), values
        return self._kept[1]


class MergedBins(PixelMoments):
    """Sums over the rows in k_x × k_y pixels."""

    def __init__(self, sums: Sums, k_x: int, k_y: int) -> None:
        super().__init__(sums)
        self._sums = {
            name: _merged(image, k_x, k_y, *COMBINE[sums.channels[name].extreme])
            for name, image in self._sums.items()
        }
        whole = _merged(sums.geometry.solid_angles, k_x, k_y)
        self.area = _merged(self.area, k_x, k_y)
        if sums.observed is not None:
            self._observed = np.divide(self.area, whole, out=np.zeros(whole.shape), where=whole > 0)


def _merged(
    image: FloatArray, k_x: int, k_y: int, start: float = 0, combine: Any = np.add
) -> FloatArray:
    """Sums, or extremes, over k_y × k_x pixels; beyond the upper edges is what adds nothing."""
    ny, nx = image.shape
    padded = np.pad(image, ((0, -ny % k_y), (0, -nx % k_x)), constant_values=start)
    blocks = padded.reshape(padded.shape[0] // k_y, k_y, padded.shape[1] // k_x, k_x)
    return np.asarray(combine.reduce(combine.reduce(blocks, axis=3), axis=1))


def _shown(axis: Any, k: int, low: float, high: float) -> tuple[slice, float, float]:
    """Which bins of k of an axis a view holds, and the edges of these."""
    count, step = -(-axis.count // k), k * axis.step
    origin = axis.bounds[0]
    first = int(np.clip(np.floor((low - origin) / step), 0, count - 1))
    stop = int(np.clip(np.ceil((high - origin) / step), first + 1, count))
    return slice(first, stop), origin + first * step, origin + stop * step


def live_map(
    catalogue: Catalogue | Stream,
    view: View,
    sums: Sums,
    field: Field | None,
    where: Where,
    request: MapRequest,
    factor: float,
) -> LiveField | LiveBins:
    """What reads a map anew, of all that it was made from."""
    if not isinstance(field, SphereField):
        return LiveBins(sums, where, request, factor)
    is_gone = isinstance(catalogue, Stream) and catalogue.is_read_once
    # `where_on` makes the lattice of a live map larger than its view by so much.
    held = HeldField(sums, field, where, widened(view, LIVE_MARGIN))
    return LiveField(None if is_gone else catalogue, held, request, factor)
