"""Where on a plane the sky ends: which places show sky, and how its edge cuts pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.sky.grid import SLACK, Projection, SkyGrid
from mpl_skyheat.sky.vectors import circles, separation, to_vectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray


# Positions that come back to within this many map pixels are not looked at any closer.
ROUND_TRIP = 0.1

# Distance (pixels) of nodes from the sides of their pixel, so that nodes on a line along which the
# projection cuts the sky are on the pixel's own side of it.
HAIR = 1e-6

# Number of nodes that are evaluated together: their temporaries stay in cache.
NODES_TOGETHER = 2**17


@dataclass(frozen=True)
class SkyTest:
    """Whether places of a plane show sky, by a closed-form ``outline`` or else by round trips.

    Projections may repeat the sky beyond its edge: such a place has a position, on which no point
    ever lands, as the position's own place is elsewhere and comes back to itself. An inexact
    inverse, fitted or of a table, moves that place on by about as much again.
    """

    grid: SkyGrid
    to_sky: Projection
    to_plane: Projection
    outline: Callable[[FloatArray, FloatArray], BoolArray] | None = None

    def __call__(self, x: FloatArray, y: FloatArray) -> BoolArray:
        if self.outline is not None:
            return self.outline(x, y)
        lon, lat = self.to_sky(x, y)
        on_sky = np.isfinite(lon) & np.isfinite(lat)
        back, off = self._round_trip(x[on_sky], y[on_sky], lon[on_sky], lat[on_sky])
        comes_back = off < ROUND_TRIP
        left = np.flatnonzero(off >= ROUND_TRIP)
        if len(left):
            x_back, y_back = (v[left] for v in back)
            _, off_again = self._round_trip(x_back, y_back, *self.to_sky(x_back, y_back))
            # (NaN beyond a bounding box, where an inexact inverse may end, is no repeated sky.)
            comes_back[left] = ~(off_again < 0.5 * off[left])
        on_sky[on_sky] = comes_back
        return np.asarray(on_sky)

    def _round_trip(
        self, x: FloatArray, y: FloatArray, lon: FloatArray, lat: FloatArray
    ) -> tuple[tuple[FloatArray, FloatArray], FloatArray]:
        """Where the positions of places come back to, and how far (map pixels) from these."""
        back = self.to_plane(lon, lat)
        x_off, y_off = ((b - a) / s for b, a, s in zip(back, (x, y), self.grid.steps, strict=True))
        return back, np.hypot(x_off, y_off)

    def vectors(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Unit vectors (last axis) of places that show sky."""
        return to_vectors(*self.to_sky(x, y))


def snap_to_sky_edge(
    grid: SkyGrid, to_sky: Projection, to_plane: Projection, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Points, moved into the edge pixels where rounding put them just outside and the sky ends.

    Points at the very edge of the sky (where longitudes are cut, at a pole, at the rim) are so in
    some pixel of an all-sky map, though pixels do not hold their upper edges.
    """
    places, axes = [x, y], (grid.x, grid.y)
    for k, axis in enumerate(axes):
        rows = np.flatnonzero(axis.is_just_beyond(places[k]))
        if not len(rows):
            continue
        inner = [a.nearest(v[rows]) for a, v in zip(axes, places, strict=True)]
        side = np.sign(places[k][rows] - inner[k])
        around = _sky_around(inner, k, side * axis.step, to_sky)
        beyond = side * axis.beyond(to_plane(*around)[k])
        # The sky goes on if a place around is beyond the edge, too, and may if one is NaN.
        ends = (beyond <= SLACK).all(axis=0)
        places[k] = places[k].copy()
        places[k][rows[ends]] = inner[k][ends]
    return places[0], places[1]


def _sky_around(
    places: list[FloatArray], k: int, outward: FloatArray, to_sky: Projection
) -> tuple[FloatArray, FloatArray]:
    """Positions (8, n) around places at the edge of a grid, a quarter of a pixel away.

    ``outward`` is the step of a pixel along axis ``k``, away from the grid.
    """
    here, inward = list(places), list(places)
    here[k], inward[k] = places[k] - 0.01 * outward, places[k] - 0.26 * outward
    lon, lat = to_sky(*here)
    radius = separation(to_vectors(lon, lat), to_vectors(*to_sky(*inward)))
    return circles(lon, lat, radius, 8)


def places_all_over(grid: SkyGrid, number: int) -> tuple[FloatArray, FloatArray]:
    """The x and y of ``number`` × ``number`` places, evenly over a grid."""
    t = (np.arange(number) + 0.5) / number
    x, y = np.meshgrid(*(axis.place(axis.count * t) for axis in (grid.x, grid.y)))
    return x, y


def grown(pixels: BoolArray, steps: int) -> BoolArray:
    """Marked pixels and all within ``steps`` pixels of them, also diagonally."""
    done = 0
    while done < steps:
        # A shift by this leaves no gap.
        shift = min(2 * done + 1, steps - done)
        for axis in (0, 1):
            before, pixels = np.moveaxis(pixels, axis, 0), pixels.copy()
            after = np.moveaxis(pixels, axis, 0)
            after[shift:] |= before[:-shift]
            after[:-shift] |= before[shift:]
        done += shift
    return pixels


def in_parts(rows: IntArray, columns: IntArray, cells: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Rows and columns of pixels, with at most `NODES_TOGETHER` nodes of cells at a time."""
    number = max(NODES_TOGETHER // (cells + 1) ** 2, 1)
    for start in range(0, len(rows), number):
        yield rows[start : start + number], columns[start : start + number]


def lattice_in_pixels(
    grid: SkyGrid, row: IntArray, column: IntArray, cells: int
) -> tuple[FloatArray, FloatArray]:
    """The x and y (n, cells + 1, cells + 1) of the nodes that cut pixels into cells."""
    t = HAIR + (1 - 2 * HAIR) * np.linspace(0, 1, cells + 1)
    x = grid.x.edges[column][:, None, None] + grid.x.step * t
    y = grid.y.edges[row][:, None, None] + grid.y.step * t[:, None]
    x, y = np.broadcast_arrays(x, y)
    return x, y


def cell_corners(nodes: NDArray[Any]) -> NDArray[Any]:
    """Values (4, n, ny, nx, …) at the corners, in order around, of the cells between nodes."""
    return np.stack([nodes[:, :-1, :-1], nodes[:, :-1, 1:], nodes[:, 1:, 1:], nodes[:, 1:, :-1]])


def sky_polygons(
    x: FloatArray,
    y: FloatArray,
    on_sky: BoolArray,
    sky: SkyTest,
    steps: int,
    along: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """The x and y (m, n) of polygons around the sky in cells (4, n) that its edge cuts.

    They follow the sides of a cell, through places ``along`` (0 … 1) the part of each that shows
    sky. The sky's edge on a side is found by ``steps`` bisections. Places of sides without sky
    repeat the place before, which adds no area.
    """
    corners = np.stack([x, y])
    nexts, on_next = np.roll(corners, -1, axis=1), np.roll(on_sky, -1, axis=0)
    crossed = np.flatnonzero(on_sky != on_next)
    first, last = (v.reshape(2, -1)[:, crossed] for v in (corners, nexts))
    starts_on = on_sky.ravel()[crossed]
    edge, step = np.where(starts_on, first, last), np.where(starts_on, last - first, first - last)
    for _ in range(steps if len(crossed) else 0):
        step *= 0.5
        middle = edge + step
        edge = np.where(sky(*middle), middle, edge)
    crossings = corners.copy()
    crossings.reshape(2, -1)[:, crossed] = edge
    start, stop = np.where(on_sky, corners, crossings), np.where(on_next, nexts, crossings)
    is_missing = ~(on_sky | on_next)
    repeat_before(stop.swapaxes(0, 1), is_missing)
    start = np.where(is_missing, stop, start)
    places = start[:, :, np.newaxis] + (stop - start)[:, :, np.newaxis] * along[:, np.newaxis]
    x, y = places.reshape(2, 4 * len(along), -1)
    return x, y


def repeat_before(places: NDArray[Any], is_missing: BoolArray) -> None:
    """Set missing places (m, …) around polygons to the one before, which adds no area."""
    if is_missing.any():
        for i in (*range(len(places)), *range(len(places))):
            np.copyto(places[i], places[i - 1], where=is_missing[i])
