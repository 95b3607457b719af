"""The pixels of a map, cut on a flat plane: edges, indices, scale and the sky among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray

# x, y -> longitude and latitude in deg, NaN off the sky (and x, y of a point, the other way).
Projection = Callable[["Any", "Any"], tuple["FloatArray", "FloatArray"]]

# Points up to this many pixels outside the map's outer edge count as on it: that is rounding. Must
# stay below `tiles.EDGE`.
SLACK = 1e-6

# Relative width of bounds below which all points are at one place, but for the rounding of their
# transforms: a bin of them would be below the digits of positions.
SAME = 1e-11

# Without pixel_size and bins, a map has at most this many pixels along its longer side.
DEFAULT_LIMIT = 1024

# Pixels in a band of rows, about: some bands for each thread, of blocks as large as polynomials
# fit.
BAND = 2**19


class View(NamedTuple):
    """A rectangle of the plane, NaN where it is not known yet."""

    x_min: float
    x_max: float
    y_min: float
    y_max: float

    @property
    def centre(self) -> tuple[float, float]:
        return 0.5 * (self.x_min + self.x_max), 0.5 * (self.y_min + self.y_max)

    @property
    def is_known(self) -> bool:
        return not np.isnan(self).any()

    def across(self, steps: tuple[float, float]) -> tuple[float, float]:
        """Pixels of given sides across the view, along x and along y."""
        return (self.x_max - self.x_min) / steps[0], (self.y_max - self.y_min) / steps[1]

    def filled(self, other: View) -> View:
        """The view with its unknown (NaN) sides taken from another."""
        return View(*(b if np.isnan(a) else a for a, b in zip(self, other, strict=True)))


UNKNOWN = View(np.nan, np.nan, np.nan, np.nan)


def widened(view: View, part: float) -> View:
    """A view with a part of its sides more on each side."""
    more_x, more_y = part * (view.x_max - view.x_min), part * (view.y_max - view.y_min)
    return View(view.x_min - more_x, view.x_max + more_x, view.y_min - more_y, view.y_max + more_y)


@dataclass(frozen=True)
class Axis:
    """Equal bins along one axis of the plane, numbered from ``first`` at ``origin``.

    ``origin`` and ``step`` do not change when bins are added at either end, so that bins keep
    their edges to the bit.
    """

    origin: float
    step: float
    count: int
    first: int = 0
    # The upper edge of a last bin that holds its edge, too, as in `numpy.histogram`.
    closed_at: float | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """The outer edges."""
        last = self.origin + self.step * (self.first + self.count)
        first = self.origin + self.step * self.first
        return first, last if self.closed_at is None else self.closed_at

    @property
    def edges(self) -> FloatArray:
        numbers = np.arange(self.first, self.first + self.count + 1)
        edges = np.asarray(self.origin + self.step * numbers, dtype=float)
        if self.closed_at is not None:
            edges[-1] = self.closed_at
        return edges

    @property
    def centres(self) -> FloatArray:
        return np.asarray((np.arange(self.count) + (self.first + 0.5)) * self.step + self.origin)

    def grown(self, margin: int) -> Axis:
        """The axis with ``margin`` more bins at both ends."""
        if margin == 0:
            return self
        # What lies on a closed upper edge must stay in the last bin.
        widened = 1.0 if self.closed_at is None else 1 + 1e-12
        return Axis(self.origin, self.step * widened, self.count + 2 * margin, self.first - margin)

    def part(self, start: int, stop: int) -> Axis:
        """Bins ``start`` to ``stop`` of the axis."""
        closed_at = self.closed_at if stop == self.count else None
        return Axis(self.origin, self.step, stop - start, self.first + start, closed_at)

    def merged(self, number: int) -> Axis:
        """The axis with one bin in place of ``number``, the last one beyond its end."""
        return Axis(self.bounds[0], number * self.step, -(-self.count // number))

    def split(self, number: int) -> Axis:
        """The axis with each bin cut in ``number``."""
        counts = number * self.count, number * self.first
        return Axis(self.origin, self.step / number, *counts, self.closed_at)

    def contains(self, x: FloatArray) -> BoolArray:
        """Whether x lies in a bin (NaN does not)."""
        low, high = self.bounds
        below = (x < high) if self.closed_at is None else (x <= high)
        return np.asarray((x >= low) & below)

    def beyond(self, x: FloatArray) -> FloatArray:
        """Bins from the upper edge to x beyond it, or (< 0) from the lower one; 0 between them."""
        low, high = self.bounds
        return np.asarray((np.maximum(x - high, 0) + np.minimum(x - low, 0)) / self.step)

    def is_just_beyond(self, x: FloatArray) -> BoolArray:
        """Whether x lies outside all bins, but by not more than rounding."""
        low, high = self.bounds
        slack = SLACK * self.step
        return np.asarray((x < low) & (x >= low - slack) | (x >= high) & (x <= high + slack))

    def nearest(self, x: FloatArray) -> FloatArray:
        """The nearest x that lies in a bin."""
        low, high = self.bounds
        return np.asarray(np.clip(x, low, np.nextafter(high, low)))

    def number(self, x: FloatArray) -> FloatArray:
        """The position of x in units of bins, whose edges are at whole numbers."""
        return np.asarray((x - self.origin) / self.step - self.first)

    def place(self, number: FloatArray) -> FloatArray:
        """The x at a position in units of bins."""
        return np.asarray((number + self.first) * self.step + self.origin)

    def index(self, x: FloatArray) -> IntArray:
        """The bin i of x that lies in one: edges[i] <= x < edges[i + 1], to the bit."""
        edges = self.edges
        i = np.floor((x - self.origin) / self.step).astype(np.intp) - self.first
        np.clip(i, 0, self.count - 1, out=i)
        # The division may round across an edge.
        i -= x < edges[i]
        i += (x >= edges[i + 1]) & (i < self.count - 1)
        return np.asarray(i)


@dataclass(frozen=True)
class SkyGrid:
    """The pixels of a map; arrays over them have shape (ny, nx)."""

    x: Axis
    y: Axis

    @property
    def shape(self) -> tuple[int, int]:
        return self.y.count, self.x.count

    @property
    def steps(self) -> tuple[float, float]:
        return self.x.step, self.y.step

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Outer edges as matplotlib takes them: left, right, bottom, top."""
        return *self.x.bounds, *self.y.bounds

    def grown(self, margin_x: int, margin_y: int) -> SkyGrid:
        """The grid with more pixels on all sides."""
        return SkyGrid(self.x.grown(margin_x), self.y.grown(margin_y))

    def merged(self, number: int) -> SkyGrid:
        """The grid with one pixel in place of number × number, the last ones beyond its edge."""
        return SkyGrid(self.x.merged(number), self.y.merged(number))

    def split(self, number: int) -> SkyGrid:
        """The grid with number × number pixels in place of each."""
        return SkyGrid(self.x.split(number), self.y.split(number))

    def bands(self, places: int = 1) -> list[slice]:
        """The rows in bands of about `BAND` pixels, or places in these, for threads to share.

        As many whatever the number of threads, on which no result depends then.
        """
        ny, nx = self.shape
        return bands_of(ny, nx * ny * places)

    def index(self, x: FloatArray, y: FloatArray) -> tuple[BoolArray, IntArray]:
        """Which points lie on the grid, and the flat pixel indices of the points that do."""
        inside = self.x.contains(x) & self.y.contains(y)
        columns, rows = self.x.index(x[inside]), self.y.index(y[inside])
        return inside, rows * self.x.count + columns


def bands_of(rows: int, places: float) -> list[slice]:
    """Rows in bands of about `BAND` of a number of places in all."""
    number = min(max(round(places / BAND), 1), rows)
    edges = np.linspace(0, rows, number + 1).astype(int).tolist()
    return [slice(*ends) for ends in pairwise(edges)]


def native_grid(view: View, *, is_merged: bool = True) -> SkyGrid:
    """A view in the plane's own unit pixels.

    If ``is_merged``, k × k of them are merged above `DEFAULT_LIMIT`.
    """
    left, right = np.floor(view.x_min + 0.5), np.ceil(view.x_max + 0.5)
    bottom, top = np.floor(view.y_min + 0.5), np.ceil(view.y_max + 0.5)
    longest = max(right - left, top - bottom, 1.0)
    # (A float: points beside the horizon of a TAN may be 1e20 pixels away.)
    merge = float(np.ceil(longest / DEFAULT_LIMIT)) if is_merged else 1.0

    def axis(low: float, high: float) -> Axis:
        return Axis(low - 0.5, merge, max(int(np.ceil((high - low) / merge)), 1))

    return SkyGrid(axis(left, right), axis(bottom, top))


def grid_of_bins(view: View, nx: int, ny: int, *, closed: bool = False) -> SkyGrid:
    """A view in nx × ny equal bins."""

    def axis(low: float, high: float, count: int) -> Axis:
        if high - low <= SAME * max(abs(low), abs(high)):
            low, high = low - 0.5, high + 0.5  # as numpy.histogram does
        return Axis(low, (high - low) / count, count, closed_at=high if closed else None)

    return SkyGrid(axis(view.x_min, view.x_max, nx), axis(view.y_min, view.y_max, ny))


def grid_of_steps(view: View, step_x: float, step_y: float, *, closed: bool = False) -> SkyGrid:
    """Pixels of a given size that cover a view, and overhang it evenly by at most one pixel.

    If ``closed``, the view's upper edges are in pixels, too.
    """

    def axis(low: float, high: float, step: float) -> Axis:
        across = (high - low) / step
        count = int(np.floor(across)) + 1 if closed else int(np.ceil(across * (1 - 1e-9)))
        count = max(count, 1)
        return Axis(0.5 * (low + high) - 0.5 * count * step, step, count)

    return SkyGrid(axis(view.x_min, view.x_max, step_x), axis(view.y_min, view.y_max, step_y))
