"""Maps that are read anew at the pixels of a screen: of a field, or of bins.

A field is a function on the sky, which costs the same to read at any zoom, and has the same value
at a place on every screen. Where a screen's pixel is wider than the kernel, it has the mean over
it. Without a kernel, bins stay those of the map, and k × k of them are shown as one where they are
smaller than the screen's pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from mpl_skyheat.catalogue.streams import Stream
from mpl_skyheat.compute.threads import Team, thread_count
from mpl_skyheat.counting.sums import COMBINE
from mpl_skyheat.maps.moments import PixelMoments, field_of
from mpl_skyheat.maps.statistics import statistic_of
from mpl_skyheat.maps.summing import found_in, has_too_few, mask_unseen, summed
from mpl_skyheat.maps.units import readable_angle
from mpl_skyheat.maps.where import Where, choose_where
from mpl_skyheat.sky.geometry import MapGeometry
from mpl_skyheat.sky.grid import SkyGrid, View, grid_of_bins
from mpl_skyheat.smoothing.field import SphereField
from mpl_skyheat.smoothing.kernel_base import angular_kernels
from mpl_skyheat.smoothing.pixels import SkyPixels, SkyPoints

if TYPE_CHECKING:
    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.maps.request import MapRequest
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


class LiveField:
    """The field of a map, read at the pixels of any view, or at positions.

    Parameters
    ----------
    catalogue : Catalogue, optional
        The rows, in the frame of the plane, of which a new field is made for a view that this one
        does not reach; without them, nothing is shown there.
    sums, field, where
        What the map was made from.
    view : View
        What the field reaches.
    request : MapRequest
        The arguments of the map.
    factor : float
        From the unit of the sums to that of the map.
    """

    def __init__(
        self,
        catalogue: Catalogue | Stream | None,
        sums: Sums,
        field: SphereField,
        where: Where,
        view: View,
        request: MapRequest,
        factor: float,
    ) -> None:
        self._catalogue, self._request, self._factor = catalogue, request, factor
        self._hold(sums, field, where, view)

    def _hold(self, sums: Sums, field: SphereField, where: Where, view: View) -> None:
        self._sums, self._field, self._where, self._view = sums, field, where, view

    def read(self, view: View, shape: tuple[int, int]) -> tuple[FloatArray, View]:
        """The map's values in ny × nx pixels of a view, in its unit; NaN where there are none."""
        if not self._reaches(view):
            self._reach(view)
        # Threads would take longer to start than a screen to be read.
        is_print = shape[0] * shape[1] > TOGETHER
        team = Team(thread_count(self._request.threads) if is_print else 1)
        grid = grid_of_bins(view, *shape[::-1])
        values: FloatArray = np.empty(grid.shape)
        rows = max(TOGETHER // shape[1], 1)
        for start in range(0, shape[0], rows):
            part = slice(start, min(start + rows, shape[0]))
            some = SkyGrid(grid.x, grid.y.part(part.start, part.stop))
            values[part] = self._read_grid(some, team)
        team.rest()
        return values, view

    def at(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """The map's values, in its unit, at places of the plane; NaN off the sky."""
        sphere = self._where.geometry.sphere
        assert sphere is not None
        lon, lat = self._where.geometry.plane.to_sky(x, y)
        places = SkyPoints(lon, lat, sphere.turn)
        values = self._values(self._field.on(places), Team(1))
        values[~np.isfinite(lon)] = np.nan
        return self._masked(values, x, y)

    def _read_grid(self, grid: SkyGrid, team: Team) -> FloatArray:
        base = self._where.geometry
        geometry = MapGeometry(base.plane, grid, sphere=base.sphere)
        geometry.measure(team)
        values = self._values(self._field.on(SkyPixels(geometry, team)), team)
        values[geometry.solid_angles <= 0] = np.nan
        x, y = np.meshgrid(grid.x.centres, grid.y.centres)
        return self._masked(values, x, y)

    def _values(self, field: Field, team: Team) -> FloatArray:
        found = found_in(self._sums, field, self._where, self._request, team)
        values = self._factor * found.values
        has_seen = self._request.has_coverage
        mask_unseen(values, np.ones(()) if has_seen else None, found.seen, self._request)
        if self._request.min_count is not None:
            values[has_too_few(found.n_eff(), self._request.min_count, "sphere")] = np.nan
        return values

    def _masked(self, values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
        """Values at places of the plane, NaN out of reach, and where nothing was observed."""
        sphere, observed = self._where.geometry.sphere, self._sums.observed
        assert sphere is not None
        if not sphere.lattice.has_poles:
            left, right, bottom, top = self._view
            values[~((x >= left) & (x <= right) & (y >= bottom) & (y <= top))] = np.nan
        if observed is not None:
            on_map, pixels = self._where.geometry.wide.index(x, y)
            fractions = np.zeros(values.shape)
            fractions[on_map] = observed.pixels.fractions.ravel()[pixels]
            values[fractions <= 0] = np.nan
        return values

    def _reaches(self, view: View) -> bool:
        sphere = self._where.geometry.sphere
        assert sphere is not None
        if sphere.lattice.has_poles and self._sums.observed is None:
            return True
        left, right, bottom, top = self._view
        slack = 1e-6 * (right - left), 1e-6 * (top - bottom)
        return bool(
            left - slack[0] <= view.x_min
            and view.x_max <= right + slack[0]
            and bottom - slack[1] <= view.y_min
            and view.y_max <= top + slack[1]
        )

    def _reach(self, view: View) -> None:
        """Make the field anew for a view, if there are rows to make it of and it is small enough.

        Else what it reaches is shown.
        """
        if self._catalogue is None:
            return
        team = Team(thread_count(self._request.threads))
        more_x, more_y = BEYOND * (view.x_max - view.x_min), BEYOND * (view.y_max - view.y_min)
        wide = View(
            *(view.x_min - more_x, view.x_max + more_x),
            *(view.y_min - more_y, view.y_max + more_y),
        )
        for some in (wide, view):
            try:
                where = choose_where(self._request, self._where.geometry.plane, some, closed=False)
            except ValueError:  # no sky in it, or too large a lattice
                continue
            if is_too_large(where):
                continue
            where.geometry.measure(team)
            sums, randoms = summed(self._catalogue, where, self._request, team)
            field = field_of(sums, where, self._request, team, randoms)
            assert isinstance(field, SphereField)
            self._hold(sums, field, where, some)
            team.rest()
            return


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
            values = self._factor * found.values
            values[moments.area <= 0] = np.nan
            coverage = moments.seen() if self._request.has_coverage else None
            mask_unseen(values, coverage, found.seen, self._request)
            least = self._request.min_count
            if least is not None:
                values[has_too_few(moments.first("n"), least, "plane")] = np.nan
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
    rows = None if is_gone else catalogue
    return LiveField(rows, sums, field, where, view, request, factor)
