"""The pass over a catalogue: how many points fall in every pixel, and what became of every row.

Large catalogues go the compiled route of `tiles` and `compiled`, over all cores; what that leaves
undecided, and small catalogues, go the exact one, through astropy. The counts are the same.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from mpl_skyheat.binning import Accumulator
from mpl_skyheat.compiling import is_worth, run
from mpl_skyheat.grid import Projection, View, local_areas
from mpl_skyheat.points import ARRAY_ROWS, Stream
from mpl_skyheat.projection import change_frame, frame_rotation, project, turned
from mpl_skyheat.skyedge import pulled_in
from mpl_skyheat.threads import Team, shared, thread_count
from mpl_skyheat.tiles import ASK, OFF, Footprint, SkyTiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mpl_skyheat.grid import SkyGrid
    from mpl_skyheat.planes import Plane
    from mpl_skyheat.points import Catalogue
    from mpl_skyheat.sphere import SphereSum

    FloatArray = NDArray[np.float64]
    Positions = tuple[FloatArray, FloatArray]
    # x, y and weights
    Projected = tuple[FloatArray, FloatArray, FloatArray | None]
    Counts = NDArray[np.int64] | FloatArray
    Pixels = NDArray[np.int32]

# Points where the plane shows less than this fraction of the median solid angle per pixel do not
# set a map's bounds: towards its horizon a gnomonic projection stretches the sky without limit.
STRETCHED = 1e-3

# What is lower (deg) is a line, which a map shows so much beside, on both sides.
A_LINE, HALF = 1e-6, 0.5

# Rows that are shared among the threads, and those that one of them works on at a time.
BATCH = ARRAY_ROWS
PART = 2**16

# Points that are asked of the exact route at a time: the fewer, the more of it is overhead.
ASKED = 2**18

# Points that show where tiles are worth it.
SAMPLE = 2**14

# Fewer rows than these are not worth a second thread.
ALONE = 2000

# What a compiled route can number.
MOST_PIXELS = 2**31

# Counts that the threads may have of their own (bytes).
MOST_OWN_COUNTS = 2**29

# On maps of less (sr), points are not taken for those of the whole sky in radians.
LARGE = 0.1


class Tally:
    """The pass over the catalogue: bounds, counts per pixel, and what became of every row."""

    def __init__(
        self, catalogue: Catalogue | Stream, plane: Plane, team: Team | None = None
    ) -> None:
        self._catalogue, self._plane = catalogue, plane
        self._team = team or Team(thread_count(None))
        # Kept only where the bounds have to be found before the points can be counted.
        self._kept: list[Projected] | None = None
        self.rows = {"read": 0, "dropped": 0, "inside": 0, "outside": 0}
        self._first: Catalogue | None = None  # that has points, to tell of them
        self._is_in_radians = False

    def bounds(self) -> View:
        """Return the bounds of the points on the plane; one pixel if there are none."""
        if isinstance(self._catalogue, Stream):
            raise ValueError(
                "points must be arrays or a table, which can be read twice, where the bounds of "
                "the map come from them; got an iterator: give the WCS a shape, or the Axes limits"
            )
        self._meet(self._catalogue)
        self._kept = [p for chunk in self._catalogue.chunks() for p in self._projected(chunk)]
        x, y = (np.concatenate([np.empty(0), *(block[i] for block in self._kept)]) for i in (0, 1))
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known], y[known]
        if not len(x):
            return View(-0.5, 0.5, -0.5, 0.5)
        if self._plane.frame is not None:
            x, y = _unstretched(self._plane, x, y)
        view = View(float(x.min()), float(x.max()), float(y.min()), float(y.max()))
        is_in_degrees = self._plane.frame is not None and not self._plane.has_pixels
        return _beside_pole(view) if is_in_degrees else view

    def counts(
        self,
        grid: SkyGrid,
        core: tuple[slice, slice],
        sphere: SphereSum | None = None,
    ) -> Counts:
        """Count the points on a grid; those in its core are inside the map.

        ``sphere`` gets all points, too, in the same pass.
        """
        in_core = np.zeros(grid.shape, bool)
        in_core[core] = True
        inner = grid.part(core)
        has_margin = not in_core.all()
        is_weighted = self._catalogue.weights is not None
        total = Accumulator(grid.shape, weighted=is_weighted)
        if self._kept is not None:
            self._add(iter(self._kept), grid, inner, in_core, total)
        route = None
        # What the bounds were taken from can be read again, or it would not have got so far.
        for chunk in self._catalogue.chunks() if self._kept is None or sphere is not None else ():
            self._meet(chunk)
            # What is smoothed on the sphere has work for compiled code in its pixels, too.
            known = self.rows["read"] + len(chunk) + (0 if sphere is None else in_core.size)
            is_compiled = self._plane.frame is not None and is_worth(known)
            can_tile = self._plane.is_smooth and total.total.size < MOST_PIXELS
            if self._kept is not None:
                pass
            elif is_compiled and can_tile:
                route = route or CompiledRoute(
                    self._catalogue, self._plane, grid, self._team, inner
                )
                dropped, inside = route.add(chunk, in_core, total)
                self.rows["read"] += len(chunk)
                self.rows["dropped"] += dropped
                self.rows["inside"] += inside
            else:
                self._add(self._projected(chunk), grid, inner, in_core, total)
            if sphere is not None:
                sphere.add(chunk, is_compiled=is_compiled)
        if route is not None:
            route.finish(total)
        if not is_weighted and has_margin:
            # (What was counted so far is on the grid, but not all of it in the core.)
            self.rows["inside"] = int(total.image[core].sum())
        self.rows["outside"] = self.rows["read"] - self.rows["dropped"] - self.rows["inside"]
        return total.image

    def _projected(self, chunk: Catalogue) -> Iterator[Projected]:
        self.rows["read"] += len(chunk)
        for block in chunk.blocks():
            self.rows["dropped"] += block.dropped
            x, y = project(self._plane, chunk.frame, block.lon, block.lat)
            yield x, y, block.weights

    def _add(
        self,
        blocks: Iterator[Projected],
        grid: SkyGrid,
        inner: SkyGrid,
        in_core: NDArray[np.bool_],
        total: Accumulator,
    ) -> None:
        for x, y, weights in blocks:
            on_grid, pixels = grid.index(*_pulled_in(inner, self._plane, x, y))
            total.add(pixels, None if weights is None else weights[on_grid])
            some = pixels if weights is None else pixels[in_core.ravel()[pixels]]
            self.rows["inside"] += len(some)

    def warn_if_all_are_outside(self, centre: tuple[float, float]) -> None:
        """Warn of a map without a single point, as by swapped columns or positions in rad."""
        if 0 < self.rows["read"] == self.rows["dropped"]:
            needed = "a position" if self._catalogue.weights is None else "a position and a weight"
            warnings.warn(
                f"none of the {self.rows['read']} rows has {needed} that is finite and not masked: "
                "the map is empty",
                AstropyUserWarning,
                stacklevel=4,
            )
            return
        if self.rows["inside"] or not self.rows["outside"] or self._first is None:
            return
        block = next((block for block in self._first.blocks() if len(block.lon)), None)
        if block is None:
            return
        lon, lat = block.lon[0], block.lat[0]
        middle = f"x={centre[0]:.5g}, y={centre[1]:.5g}"
        names = self._catalogue.lon.name, self._catalogue.lat.name
        if self._plane.frame is not None and self._catalogue.frame is not None:
            sky = self._plane.to_sky(np.array([centre[0]]), np.array([centre[1]]))
            ra, dec = change_frame(*sky, self._plane.frame, self._catalogue.frame)
            middle = f"{names[0]}={ra[0]:.5g}, {names[1]}={dec[0]:.5g} deg"
        warnings.warn(
            f"none of the {self.rows['outside']} points is on the map: the first of them is at "
            f"{names[0]}={lon:.5g}, {names[1]}={lat:.5g}, the map's centre at {middle}; "
            "are units, order and frame right?",
            AstropyUserWarning,
            stacklevel=4,
        )

    def warn_if_in_radians(self, solid_angle: float) -> None:
        """Warn if points are spread over a map (sr) as the whole sky would be in radians."""
        if self._is_in_radians and solid_angle > LARGE:
            warnings.warn(
                "positions are read as degrees, but look like those of the whole sky in radians: "
                "write ra*u.rad, dec*u.rad if they are",
                AstropyUserWarning,
                stacklevel=4,
            )

    def _meet(self, chunk: Catalogue) -> None:
        """Note what the first chunk with a row has to tell."""
        if not self._first:
            self._first = chunk
            self._is_in_radians = chunk.looks_like_radians


def _beside_pole(view: View) -> View:
    """Return bounds (deg) that are opened, if they are a line so near to a pole, to what sky is."""
    if view.y_max - view.y_min > A_LINE or abs(view.y_max) < 90 - HALF:
        return view
    x_min, x_max, y_min, y_max = view
    y_min, y_max = (y_min - HALF, 90.0) if y_max > 0 else (-90.0, y_max + HALF)
    return View(x_min, x_max, y_min, y_max)


def _unstretched(plane: Plane, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Leave out the points that a projection has moved towards infinity."""
    some = np.s_[:: len(x) // 10_000 + 1]
    areas = local_areas(plane.to_sky, x[some], y[some])
    if np.isnan(areas).all():  # at a pole, on a plane in degrees
        return x, y
    smallest = STRETCHED * np.nanmedian(areas)
    extremes = [x.argmin(), x.argmax(), y.argmin(), y.argmax()]
    # (Unknown at the edge of the sky.)
    if not (local_areas(plane.to_sky, x[extremes], y[extremes]) < smallest).any():
        return x, y
    keep = ~(local_areas(plane.to_sky, x, y) < smallest)
    return x[keep], y[keep]


class CompiledRoute:
    """Counting on the polynomials of `tiles`, batch by batch and in threads.

    ``inner`` is the part of a grid that is the map, where it has a margin.
    """

    def __init__(
        self,
        catalogue: Catalogue | Stream,
        plane: Plane,
        grid: SkyGrid,
        team: Team,
        inner: SkyGrid | None = None,
    ) -> None:
        assert catalogue.frame is not None
        assert plane.frame is not None
        self._grid, self._inner, self._team = grid, inner or grid, team
        # One for every thread; what has no twins is asked by one.
        self._planes = plane.twins(team.size)
        self._askers = team if len(self._planes) == team.size else Team(1)
        frame, own_frame = catalogue.frame, plane.frame
        is_same = frame.is_equivalent_frame(own_frame)
        rotation = None if is_same else frame_rotation(frame, own_frame)

        def to_pixels(to_plane: Projection, lon: FloatArray, lat: FloatArray) -> Positions:
            if rotation is None:
                lon, lat = change_frame(lon, lat, frame, own_frame)
            else:
                lon, lat = _rotated(lon, lat, rotation)
            x, y = to_plane(lon, lat)
            return grid.x.number(x), grid.y.number(y)

        def to_sky(x: FloatArray, y: FloatArray) -> Positions:
            lon, lat = plane.to_sky(grid.x.place(x), grid.y.place(y))
            if rotation is None:
                return change_frame(lon, lat, own_frame, frame)
            return _rotated(lon, lat, rotation.T)

        each = [partial(to_pixels, plane.to_plane) for plane in self._planes]
        footprint = Footprint(to_sky, grid.shape)
        self._tiles = SkyTiles(shared(each, self._askers), grid.shape, footprint, self._askers)
        self._others: list[NDArray[np.int64]] = []
        self._counters = team

    def add(
        self, chunk: Catalogue, in_core: NDArray[np.bool_], total: Accumulator
    ) -> tuple[int, int]:
        """Add points; return how many are dropped, and how many are inside.

        That is on the grid, or, if they have weights, in its core.
        """
        if chunk.is_in_memory:
            every = max(len(chunk) // SAMPLE, 1)
            some = np.s_[::every]
            self._plan(chunk.lon.array(some), chunk.lat.array(some), every)
        if chunk.weights is None:
            return self._count(chunk, total.total)
        return self._sum(chunk, in_core, total.total)

    def finish(self, total: Accumulator) -> None:
        """Add what the other threads have counted."""
        for counts in self._others:
            total.total += counts
        self._others = []

    def _count(
        self,
        chunk: Catalogue,
        total: NDArray[np.int64],
    ) -> tuple[int, int]:
        if not self._others:
            # Each thread has counts of its own, if they are not too large; one has the total.
            own = max(min(self._team.size, MOST_OWN_COUNTS // total.nbytes), 1)
            self._counters = self._team if own == self._team.size else Team(own)
            self._others = [np.zeros(total.shape, np.int64) for _ in range(own - 1)]
        counts = [total, *self._others]
        start = dropped = counted = 0
        asked: list[NDArray[np.intp]] = []
        for lon, lat, _ in self._batches(chunk):
            rows, in_batch = self._count_batch(lon, lat, counts)
            asked.append(start + rows)
            counted += in_batch
            start += len(lon)
            if sum(map(len, asked)) >= ASKED or start == len(chunk):
                pixels, without = self._ask(chunk, np.concatenate(asked))
                counted += run("tally", pixels, counts[0])
                dropped += without
                asked = []
        return dropped, counted

    def _count_batch(
        self,
        lon: FloatArray,
        lat: FloatArray,
        totals: list[NDArray[np.int64]],
    ) -> tuple[NDArray[np.intp], int]:
        """Count points; return the rows to ask the exact route for, and how many were counted."""
        parts = np.empty((len(totals), PART), np.int32)
        asked: list[NDArray[np.intp]] = []
        counted = [0] * len(totals)

        def work(number: int, rows: slice) -> None:
            pixels = parts[number, : rows.stop - rows.start]
            if self._locate(lon[rows], lat[rows], pixels):
                asked.append(rows.start + np.flatnonzero(pixels == ASK))
            counted[number] += run("tally", pixels, totals[number])

        self._counters.share(_parts(len(lon), self._counters), work)
        return np.concatenate([np.empty(0, np.intp), *asked]), sum(counted)

    def _sum(
        self,
        chunk: Catalogue,
        in_core: NDArray[np.bool_],
        total: FloatArray,
    ) -> tuple[int, int]:
        """Add the weights up in the order of the catalogue, however many threads there are."""
        start = dropped = inside = 0
        for lon, lat, weights in self._batches(chunk):
            assert weights is not None
            pixels = self._located(lon, lat)
            asked = np.flatnonzero(pixels == ASK)
            pixels[asked], _ = self._ask(chunk, start + asked)
            lost = asked[~(np.isfinite(lon[asked]) & np.isfinite(lat[asked]))]
            if len(lost):
                # They are dropped with those that have no weight.
                weights = weights.copy()
                weights[lost] = np.nan
            in_batch, without, negative = run("add", pixels, weights, in_core.ravel(), total)
            if negative >= 0:
                chunk.rows(np.array([start + negative]))  # raises
            inside, dropped, start = inside + in_batch, dropped + without, start + len(lon)
        return dropped, inside

    def _batches(
        self, chunk: Catalogue
    ) -> Iterator[tuple[FloatArray, FloatArray, FloatArray | None]]:
        for lon, lat, weights in chunk.arrays(BATCH):
            if not chunk.is_in_memory:
                every = max(len(lon) // SAMPLE, 1)
                self._plan(lon[::every].copy(), lat[::every].copy(), every)
            yield lon, lat, weights

    def _located(self, lon: FloatArray, lat: FloatArray) -> Pixels:
        """Return the pixels of the points of a batch, OFF or ASK."""
        pixels = np.empty(len(lon), np.int32)

        def work(_: int, rows: slice) -> None:
            self._locate(lon[rows], lat[rows], pixels[rows])

        self._team.share(_parts(len(lon), self._team), work)
        return pixels

    def _plan(self, lon: FloatArray, lat: FloatArray, every: int) -> None:
        """Make the tiles that one in so many points shows to be worth it."""
        hits = np.zeros(len(self._tiles.child), np.intp)
        self._locate(lon, lat, np.empty(len(lon), np.int32), hits)
        self._tiles.make(hits * every)

    def _locate(
        self,
        lon: FloatArray,
        lat: FloatArray,
        pixels: Pixels,
        hits: NDArray[np.intp] | None = None,
    ) -> int:
        """Find the pixels of points; return how many are to be asked of the exact route.

        ``hits``, if wanted, counts the points in each tile that has no polynomial.
        """
        t, (ny, nx) = self._tiles, self._grid.shape
        hits = np.zeros(len(t.child), np.intp) if hits is None else hits
        rows = t.bottom, t.per_height, t.first, t.west, t.per_width
        tree = t.boxes, t.child, t.coefficients
        return int(run("locate", lon, lat, *rows, *tree, hits, nx, ny, pixels))

    def _ask(self, chunk: Catalogue, rows: NDArray[np.intp]) -> tuple[Pixels, int]:
        """Return the pixels of rows by the exact route, and how many of them are dropped."""
        pixels = np.full(len(rows), OFF, np.int32)
        dropped = [0] * len(self._planes)

        def work(number: int, part: slice) -> None:
            block = chunk.rows(rows[part])
            plane = self._planes[number]
            x, y = project(plane, chunk.frame, block.lon, block.lat)
            on_grid, index = self._grid.index(*_pulled_in(self._inner, plane, x, y))
            found = np.full(len(x), OFF, np.int32)
            found[on_grid] = index
            pixels[part][slice(None) if block.kept is None else block.kept] = found
            dropped[number] += block.dropped

        self._askers.share(_parts(len(rows), self._askers), work)
        return pixels, sum(dropped)


def _rotated(lon: FloatArray, lat: FloatArray, rotation: FloatArray) -> Positions:
    """Return positions (deg), rotated by compiled code."""
    # (In the order of rows that it is compiled for.)
    lon, lat = turned(lon, lat, np.ascontiguousarray(rotation), is_compiled=True)
    lon = np.degrees(lon)
    return np.where(lon < 0, lon + 360, lon), np.degrees(lat)


def _pulled_in(grid: SkyGrid, plane: Plane, x: FloatArray, y: FloatArray) -> Positions:
    """Return points on the map, though rounding may put them beyond where it and the sky end."""
    if plane.frame is None:
        return x, y
    return pulled_in(grid, plane.to_sky, plane.to_plane, x, y)


def _parts(count: int, team: Team) -> list[slice]:
    """Cut 0 … count in parts for a team to share."""
    size = min(max(-(-count // team.size), ALONE), PART)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
