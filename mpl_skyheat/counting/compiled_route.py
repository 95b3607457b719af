"""The pixels of many points by polynomials on tiles of the sky, in compiled code and in threads.

Points that the polynomials leave undecided take the exact route, so that both give equal counts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.catalogue.blocks import ARRAY_ROWS
from mpl_skyheat.compute.loader import run
from mpl_skyheat.compute.threads import Team, shared
from mpl_skyheat.compute.tile_layout import ASK, LOST, OFF
from mpl_skyheat.counting.exact_route import pixels_of
from mpl_skyheat.counting.tiles import Footprint, SkyTiles
from mpl_skyheat.sky.frames import change_frame, frame_rotation, rotate
from mpl_skyheat.sky.planes import project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.coordinates import BaseCoordinateFrame
    from numpy.typing import NDArray

    from mpl_skyheat.catalogue.blocks import Catalogue, Rows
    from mpl_skyheat.compute.arrays import FloatArray, IntArray
    from mpl_skyheat.sky.geometry import MapGeometry
    from mpl_skyheat.sky.grid import Projection

    Positions = tuple[FloatArray, FloatArray]
    Pixels = NDArray[np.int32]

# Rows that all threads work on together.
BATCH = ARRAY_ROWS

# Rows that one thread works on at a time.
PART = 2**16

# Undecided rows that are collected before they take the exact route: each call has its overhead.
ASKED = 2**18

# Rows sampled to find which tiles hold enough points to be made.
SAMPLE = 2**14

# Fewer rows than these are not worth a second thread.
ALONE = 2000

# Compiled code stores pixel indices as int32.
MOST_PIXELS = 2**31

# Bytes of memory for the counts that threads have of their own; with more, fewer threads count.
MOST_OWN_COUNTS = 2**29


class CompiledRoute:
    """Pixels on a map of rows in one frame; its tiles serve all catalogues in that frame."""

    def __init__(self, frame: BaseCoordinateFrame, geometry: MapGeometry, team: Team) -> None:
        self._geometry, self._team = geometry, team
        grid = self._grid = geometry.wide
        # WCS objects are not thread-safe: each thread has a copy. Without copies, one thread asks.
        self._planes = geometry.plane.twins(team.size)
        self._askers = team if len(self._planes) == team.size else Team(1)
        own_frame = geometry.plane.frame
        assert own_frame is not None
        rotation = None
        if not frame.is_equivalent_frame(own_frame):
            rotation = frame_rotation(frame, own_frame)

        def to_pixels(to_plane: Projection, lon: FloatArray, lat: FloatArray) -> Positions:
            if rotation is None:
                lon, lat = change_frame(lon, lat, frame, own_frame)
            else:
                lon, lat = _rotated(lon, lat, rotation)
            x, y = to_plane(lon, lat)
            return grid.x.number(x), grid.y.number(y)

        def to_sky(x: FloatArray, y: FloatArray) -> Positions:
            lon, lat = geometry.plane.to_sky(grid.x.place(x), grid.y.place(y))
            if rotation is None:
                return change_frame(lon, lat, own_frame, frame)
            return _rotated(lon, lat, rotation.T)

        each = [partial(to_pixels, plane.to_plane) for plane in self._planes]
        footprint = Footprint(to_sky, grid.shape)
        self._tiles = SkyTiles(shared(each, self._askers), grid.shape, footprint)
        self._own_counts: list[NDArray[np.int64]] = []
        self._counters = team

    def count(self, chunk: Catalogue, total: NDArray[np.int64]) -> tuple[int, int]:
        """Count rows by flat pixel; return how many are dropped, and how many are on the grid.

        The counts of other threads are in the total after `settle` only.
        """
        if not self._own_counts:
            # Each thread has counts of its own, if they are not too large; one has the total.
            own = max(min(self._team.size, MOST_OWN_COUNTS // total.nbytes), 1)
            self._counters = self._team if own == self._team.size else Team(own)
            self._own_counts = [np.zeros(total.shape, np.int64) for _ in range(own - 1)]
        counts = [total, *self._own_counts]
        parts = np.empty((len(counts), PART), np.int32)
        dropped, counted = 0, [0] * len(counts)
        asked: list[IntArray] = []
        for rows in self._batches(chunk):

            def work(number: int, part: slice, rows: Rows = rows) -> None:
                pixels = parts[number, : part.stop - part.start]
                if self._locate(rows.lon[part], rows.lat[part], pixels):
                    asked.append(rows.start + part.start + np.flatnonzero(pixels == ASK))
                counted[number] += run("tally", pixels, counts[number])

            self._counters.share(_parts(len(rows.lon), self._counters), work)
            is_last = rows.start + len(rows.lon) == len(chunk)
            if asked and (is_last or sum(map(len, asked)) >= ASKED):
                pixels, without = self._ask(chunk, np.sort(np.concatenate(asked)))
                counted[0] += run("tally", pixels, total)
                dropped += without
                asked.clear()
        return dropped, sum(counted)

    def settle(self, total: NDArray[np.int64]) -> None:
        """Add the counts of the other threads."""
        for counts in self._own_counts:
            total += counts
        self._own_counts = []

    def located(self, chunk: Catalogue) -> Iterator[tuple[Rows, Pixels]]:
        """Yield batches of rows, and flat pixels: OFF off the map, LOST without a position."""
        for rows in self._batches(chunk):
            pixels = np.empty(len(rows.lon), np.int32)

            def work(_: int, part: slice, rows: Rows = rows, pixels: Pixels = pixels) -> None:
                self._locate(rows.lon[part], rows.lat[part], pixels[part])

            self._team.share(_parts(len(pixels), self._team), work)
            asked = np.flatnonzero(pixels == ASK)
            pixels[asked], _ = self._ask(chunk, rows.start + asked)
            yield rows, pixels

    def _batches(self, chunk: Catalogue) -> Iterator[Rows]:
        if chunk.is_in_memory:
            every = max(len(chunk) // SAMPLE, 1)
            some = np.s_[::every]
            self._plan(chunk.lon.array(some), chunk.lat.array(some), every)
        for rows in chunk.arrays(BATCH):
            if not chunk.is_in_memory:
                every = max(len(rows.lon) // SAMPLE, 1)
                self._plan(rows.lon[::every].copy(), rows.lat[::every].copy(), every)
            yield rows

    def _plan(self, lon: FloatArray, lat: FloatArray, every: int) -> None:
        """Make the tiles that hold enough rows, by a sample of one row in ``every``."""
        hits = np.zeros(len(self._tiles.child), np.intp)
        self._locate(lon, lat, np.empty(len(lon), np.int32), hits)
        self._tiles.make(hits * every)

    def _locate(
        self, lon: FloatArray, lat: FloatArray, pixels: Pixels, hits: IntArray | None = None
    ) -> int:
        """Find the pixels of rows; return how many are undecided.

        ``hits`` counts the rows in each tile that has no polynomial.
        """
        t, size = self._tiles, self._grid.shape[::-1]
        hits = np.zeros(len(t.child), np.intp) if hits is None else hits
        rows = t.bottom, t.per_height, t.first, t.west, t.per_width
        tree = t.boxes, t.child, t.coefficients
        return int(run("locate", lon, lat, rows, tree, hits, size, pixels))

    def _ask(self, chunk: Catalogue, rows: IntArray) -> tuple[Pixels, int]:
        """The pixels of rows by the exact route, and how many of the rows are dropped."""
        pixels = np.full(len(rows), LOST, np.int32)
        dropped = [0] * len(self._planes)

        def work(number: int, part: slice) -> None:
            block = chunk.rows(rows[part])
            plane = self._planes[number]
            x, y = project(plane, chunk.frame, block.lon, block.lat)
            on_grid, index = pixels_of(self._geometry, plane, x, y)
            found = np.full(len(x), OFF, np.int32)
            found[on_grid] = index
            pixels[part][slice(None) if block.kept is None else block.kept] = found
            dropped[number] += block.dropped

        self._askers.share(_parts(len(rows), self._askers), work)
        return pixels, sum(dropped)


def _rotated(lon: FloatArray, lat: FloatArray, rotation: FloatArray) -> Positions:
    """Positions (deg), rotated by compiled code, which takes a matrix in C order."""
    lon, lat = rotate(lon, lat, np.ascontiguousarray(rotation), is_compiled=True)
    lon = np.degrees(lon)
    return np.where(lon < 0, lon + 360, lon), np.degrees(lat)


def _parts(count: int, team: Team) -> list[slice]:
    """Slices of 0 … count for a team to share."""
    size = min(max(-(-count // team.size), ALONE), PART)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
