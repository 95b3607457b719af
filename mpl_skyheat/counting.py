"""The pass over a catalogue: how many points fall in every pixel, and what became of every row.

Large catalogues go the compiled route of `tiles` and `compiled`, over all cores; what that leaves
undecided, and small catalogues, go the exact one, through astropy. The counts are the same.
"""

from __future__ import annotations

import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from mpl_skyheat.binning import Accumulator
from mpl_skyheat.grid import View, local_areas
from mpl_skyheat.projection import change_frame, project
from mpl_skyheat.tiles import SkyTiles, footprint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from mpl_skyheat.grid import SkyGrid
    from mpl_skyheat.planes import Plane
    from mpl_skyheat.points import Catalogue

    FloatArray = NDArray[np.float64]
    Counts = NDArray[np.int64] | FloatArray
    Pixels = NDArray[np.int32]

# Points where the plane shows less than this fraction of the median solid angle per pixel do not
# set a map's bounds: towards its horizon a gnomonic projection stretches the sky without limit.
STRETCHED = 1e-3

# From so many points on, the compiled route pays for itself: for loading the compiler, too, and
# once that is loaded.
COMPILED_FROM = 1_000_000
COMPILED_FROM_ONCE_LOADED = 100_000

# Rows read at a time on the compiled route, and those that a thread works on at a time.
BATCH = 2**21
PART = 2**16

# Points that show where tiles are worth it.
SAMPLE = 2**14

# Counts that the threads may have of their own (bytes).
MOST_OWN_COUNTS = 2**30

THREAD_VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


def thread_count(threads: int | None) -> int:
    """Return the number of threads asked for, in the environment, or of the cores at hand."""
    if threads is not None:
        return threads
    for name in THREAD_VARIABLES:
        value = os.environ.get(name, "")
        if value.isdecimal() and int(value) > 0:
            return int(value)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


class Tally:
    """The pass over the catalogue: bounds, counts per pixel, and what became of every row."""

    def __init__(self, catalogue: Catalogue, plane: Plane, threads: int | None = None) -> None:
        self._catalogue, self._plane, self._threads = catalogue, plane, thread_count(threads)
        # Kept only where the bounds have to be found before the points can be counted.
        self._kept: list[tuple[FloatArray, FloatArray, FloatArray | None]] | None = None
        self.rows = {"read": len(catalogue), "dropped": 0, "inside": 0, "outside": 0}

    def _blocks(self) -> Iterator[tuple[FloatArray, FloatArray, FloatArray | None]]:
        for block in self._catalogue.blocks():
            self.rows["dropped"] += block.dropped
            x, y = project(self._plane, self._catalogue.frame, block.lon, block.lat)
            yield x, y, block.weights

    def bounds(self) -> View:
        """Return the bounds of the points on the plane; one pixel if there are none."""
        self._kept = list(self._blocks())
        x, y = (np.concatenate([np.empty(0), *(block[i] for block in self._kept)]) for i in (0, 1))
        known = np.isfinite(x) & np.isfinite(y)
        x, y = x[known], y[known]
        if not len(x):
            return View(-0.5, 0.5, -0.5, 0.5)
        if self._plane.frame is not None:
            x, y = _unstretched(self._plane, x, y)
        return View(float(x.min()), float(x.max()), float(y.min()), float(y.max()))

    def counts(self, grid: SkyGrid, core: tuple[slice, slice]) -> Counts:
        """Count the points on a grid; those in its core are inside the map."""
        in_core = np.zeros(grid.shape, bool)
        in_core[core] = True
        if self._kept is None and self._plane.frame is not None and is_worth(len(self._catalogue)):
            route = CompiledRoute(self._catalogue, self._plane, grid, self._threads)
            counts = route.run(in_core)
            self.rows["dropped"], self.rows["inside"] = route.dropped, route.inside
        else:
            counts = self._exact_counts(grid, in_core)
        self.rows["outside"] = self.rows["read"] - self.rows["dropped"] - self.rows["inside"]
        return counts

    def _exact_counts(self, grid: SkyGrid, in_core: NDArray[np.bool_]) -> Counts:
        total = Accumulator(grid.shape, weighted=self._catalogue.weights is not None)
        for x, y, weights in self._blocks() if self._kept is None else self._kept:
            on_grid, pixels = grid.index(x, y)
            total.add(pixels, None if weights is None else weights[on_grid])
            self.rows["inside"] += int(np.count_nonzero(in_core.ravel()[pixels]))
        return total.image

    def warn_if_all_are_outside(self, centre: tuple[float, float]) -> None:
        """Warn of a map without a single point, as by swapped columns or positions in rad."""
        if self.rows["inside"] or not self.rows["outside"]:
            return
        block = next(block for block in self._catalogue.blocks() if len(block.lon))
        middle = f"x={centre[0]:.5g}, y={centre[1]:.5g}"
        names = self._catalogue.lon.name, self._catalogue.lat.name
        if self._plane.frame is not None and self._catalogue.frame is not None:
            sky = self._plane.to_sky(np.array([centre[0]]), np.array([centre[1]]))
            lon, lat = change_frame(*sky, self._plane.frame, self._catalogue.frame)
            middle = f"{names[0]}={lon[0]:.5g}, {names[1]}={lat[0]:.5g} deg"
        warnings.warn(
            f"none of the {self.rows['outside']} points is on the map: the first of them is at "
            f"{names[0]}={block.lon[0]:.5g}, {names[1]}={block.lat[0]:.5g}, the map's centre at "
            f"{middle}; are units, order and frame right?",
            AstropyUserWarning,
            stacklevel=4,
        )


def _unstretched(plane: Plane, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Leave out the points that a projection has moved towards infinity."""
    some = np.s_[:: len(x) // 10_000 + 1]
    smallest = STRETCHED * np.nanmedian(local_areas(plane.to_sky, x[some], y[some]))
    extremes = [x.argmin(), x.argmax(), y.argmin(), y.argmax()]
    # (Unknown at the edge of the sky.)
    if not (local_areas(plane.to_sky, x[extremes], y[extremes]) < smallest).any():
        return x, y
    keep = ~(local_areas(plane.to_sky, x, y) < smallest)
    return x[keep], y[keep]


def is_worth(points: int) -> bool:
    """Tell whether the compiled route pays for so many points."""
    is_loaded = "mpl_skyheat.compiled" in sys.modules
    return points >= (COMPILED_FROM_ONCE_LOADED if is_loaded else COMPILED_FROM)


class CompiledRoute:
    """Counting on the polynomials of `tiles`, batch by batch and in threads."""

    def __init__(self, catalogue: Catalogue, plane: Plane, grid: SkyGrid, threads: int) -> None:
        assert catalogue.frame is not None
        assert plane.frame is not None
        self._catalogue, self._plane, self._grid, self._threads = catalogue, plane, grid, threads
        frame, own_frame = catalogue.frame, plane.frame

        def to_pixels(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
            x, y = project(plane, frame, lon, lat)
            return grid.x.number(x), grid.y.number(y)

        def to_sky(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
            sky = plane.to_sky(grid.x.place(x), grid.y.place(y))
            return change_frame(*sky, own_frame, frame)

        self._tiles = SkyTiles(to_pixels, grid.shape, footprint_of(to_sky, grid.shape))
        self.dropped = self.inside = 0

    def run(self, in_core: NDArray[np.bool_]) -> Counts:
        """Count all points; those where ``in_core`` is set are inside the map."""
        with ThreadPoolExecutor(self._threads) as pool:
            if self._catalogue.weights is None:
                total = self._count(pool)
                self.inside = int(total[in_core].sum())
                return total
            return self._add(pool, in_core)

    def _count(self, pool: ThreadPoolExecutor) -> NDArray[np.int64]:
        from mpl_skyheat.compiled import tally

        size = self._grid.x.count * self._grid.y.count
        # Each thread has counts of its own, if they are not too large.
        own = max(min(self._threads, MOST_OWN_COUNTS // (8 * size)), 1)
        totals = np.zeros((own, size), np.int64)
        asked: list[NDArray[np.intp]] = []
        for start, lon, lat in self._batches():
            asked.append(start + self._count_batch(pool, lon, lat, totals))
            if sum(map(len, asked)) >= PART:
                tally(self._ask(np.concatenate(asked)), totals[0])
                asked = []
        for rows in asked:
            tally(self._ask(rows), totals[0])
        return np.asarray(totals.sum(axis=0).reshape(self._grid.shape))

    def _count_batch(
        self, pool: ThreadPoolExecutor, lon: FloatArray, lat: FloatArray, totals: NDArray[np.int64]
    ) -> NDArray[np.intp]:
        """Count points; return the rows to ask the exact route for."""
        from mpl_skyheat.compiled import ASK, tally

        hits = np.zeros((len(totals), len(self._tiles.child)), np.intp)
        parts = np.empty((len(totals), PART), np.int32)
        asked: list[NDArray[np.intp]] = []

        def work(number: int, rows: slice) -> None:
            pixels = parts[number, : rows.stop - rows.start]
            if self._locate(lon[rows], lat[rows], hits[number], pixels):
                asked.append(rows.start + np.flatnonzero(pixels == ASK))
            tally(pixels, totals[number])

        _in_threads(pool, len(totals), len(lon), work)
        self._tiles.make(hits.sum(axis=0))
        return np.concatenate([np.empty(0, np.intp), *asked])

    def _add(self, pool: ThreadPoolExecutor, in_core: NDArray[np.bool_]) -> FloatArray:
        """Add the weights up in the order of the catalogue, however many threads there are."""
        from mpl_skyheat.compiled import ASK, add

        assert self._catalogue.weights is not None
        sums = np.zeros(self._grid.shape)
        for start, lon, lat in self._batches():
            pixels = self._located(pool, lon, lat)
            asked = np.flatnonzero(pixels == ASK)
            weights = self._catalogue.weights.array(slice(start, start + len(lon)))
            dropped = self.dropped
            pixels[asked] = self._ask(start + asked)
            lost = asked[~(np.isfinite(lon[asked]) & np.isfinite(lat[asked]))]
            if len(lost):
                # They are dropped with those that have no weight.
                weights = weights.copy()
                weights[lost] = np.nan
            inside, without, negative = add(pixels, weights, in_core.ravel(), sums.reshape(-1))
            if negative >= 0:
                self._catalogue.rows(np.array([start + negative]))  # raises
            self.inside += inside
            self.dropped = dropped + without
        return sums

    def _batches(self) -> Iterator[tuple[int, FloatArray, FloatArray]]:
        lon, lat, count = self._catalogue.lon, self._catalogue.lat, len(self._catalogue)
        if self._catalogue.is_in_memory:
            every = max(count // SAMPLE, 1)
            self._plan(lon.array(np.s_[::every]), lat.array(np.s_[::every]), every)
        for start in range(0, count, BATCH):
            rows = slice(start, start + BATCH)
            batch = lon.array(rows), lat.array(rows)
            if not self._catalogue.is_in_memory:
                every = max(len(batch[0]) // SAMPLE, 1)
                self._plan(batch[0][::every].copy(), batch[1][::every].copy(), every)
            yield start, *batch

    def _located(self, pool: ThreadPoolExecutor, lon: FloatArray, lat: FloatArray) -> Pixels:
        """Return the pixels of the points of a batch, OFF or ASK."""

        pixels = np.empty(len(lon), np.int32)
        hits = np.zeros((self._threads, len(self._tiles.child)), np.intp)

        def work(number: int, rows: slice) -> None:
            self._locate(lon[rows], lat[rows], hits[number], pixels[rows])

        _in_threads(pool, self._threads, len(lon), work)
        self._tiles.make(hits.sum(axis=0))
        return pixels

    def _plan(self, lon: FloatArray, lat: FloatArray, every: int) -> None:
        """Make the tiles that one in so many points shows to be worth it."""
        hits = np.zeros(len(self._tiles.child), np.intp)
        self._locate(lon, lat, hits, np.empty(len(lon), np.int32))
        self._tiles.make(hits * every)

    def _locate(
        self, lon: FloatArray, lat: FloatArray, hits: NDArray[np.intp], pixels: Pixels
    ) -> int:
        """Find the pixels of points; return how many are to be asked of the exact route."""
        from mpl_skyheat.compiled import locate

        t, (ny, nx) = self._tiles, self._grid.shape
        tree = (t.bottom, t.height, t.first, t.west, t.width, t.boxes, t.child, t.coefficients)
        return int(locate(lon, lat, *tree, hits, nx, ny, pixels))

    def _ask(self, rows: NDArray[np.intp]) -> Pixels:
        """Return the pixels of rows by the exact route, and count those that are dropped."""
        pixels = np.full(len(rows), -1, np.int32)
        if not len(rows):
            return pixels
        block = self._catalogue.rows(rows)
        self.dropped += block.dropped
        x, y = project(self._plane, self._catalogue.frame, block.lon, block.lat)
        on_grid, found = self._grid.index(x, y)
        at = np.arange(len(rows)) if block.kept is None else np.flatnonzero(block.kept)
        pixels[at[on_grid]] = found
        return pixels


def _in_threads(
    pool: ThreadPoolExecutor, threads: int, count: int, work: Callable[[int, slice], Any]
) -> None:
    """Share 0 … count among threads; ``work`` gets the number of a thread and a part at a time."""

    def share(number: int) -> None:
        for start in range(number * PART, count, threads * PART):
            work(number, slice(start, min(start + PART, count)))

    if threads == 1:
        share(0)
        return
    for _ in pool.map(share, range(threads)):
        pass
