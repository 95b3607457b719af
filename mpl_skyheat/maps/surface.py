"""A map as a continuous surface: bilinear between the centres of pixels, up to the edge of the sky.

Contours run along it, and sources are evaluated on it. Centres off the sky have the value from
across the sky's edge, so that contours which are cut there end at one place of the sky.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.sky.grid import SLACK, Axis, SkyGrid
from mpl_skyheat.sky.planes import plane_of_wcs, project
from mpl_skyheat.sky.sky_edge import SkyTest, grown
from mpl_skyheat.sky.vectors import to_positions, to_vectors

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray

    # Values at the nodes (ny, nx), masked where there is none, and the nodes' pixel coordinates.
    Nodes = tuple[FloatArray, FloatArray, Any]

# Bisections for the edge of the sky: 2^-30 of a pixel.
STEPS = 30

# Times that centres off the sky are read across its edge, some of whose corners are such centres:
# values differ by 0.5 % of a source's peak, σ of three pixels, from those after a thousand.
ROUNDS = 100

# Distance (pixels) within which the border of a map's pixels passes by a place at the sky's edge.
NEARBY = 2.0

# Weights of neighbours beside and across from a pixel without a value, which has their mean: the
# latter count where there are no others.
BESIDE, ACROSS = 1.0, 1e-9


class Surface:
    """The surface of a map's values, in its pixel coordinates (centres at whole numbers).

    Parameters
    ----------
    sky_map : SkyMap
        The map, whose masked pixels the surface does not cover.
    """

    def __init__(self, sky_map: Any) -> None:
        self.shape: tuple[int, int] = sky_map.data.shape
        self.valid: BoolArray = ~sky_map.mask
        self.plane = None if sky_map.meta.get("frame") == "flat" else plane_of_wcs(sky_map.wcs)
        self._wcs = sky_map.wcs
        # With one more pixel on all sides: the outer half of a pixel at the edge needs it.
        self._values = np.pad(np.asarray(sky_map.data, float), 1, constant_values=np.nan)
        self._sky: SkyTest | None = None
        # Pixels, with those around, in which the sky may end.
        self._near_edge = np.zeros(self._values.shape, bool)
        if self.plane is not None:
            y, x = (Axis(-0.5, 1, n) for n in self.shape)
            self._sky = SkyTest(
                SkyGrid(x, y), self.plane.to_sky, self.plane.to_plane, self.plane.shows
            )
            self._continue_beyond_the_sky(self._sky, sky_map.solid_angle)
        self._fill_beside()

    @property
    def frame(self) -> BaseCoordinateFrame | None:
        """The frame of the map's pixels; None for Cartesian x, y."""
        return None if self.plane is None else self.plane.frame

    def at(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """The surface at pixel coordinates; NaN outside the map and in masked pixels."""
        found = np.full(np.shape(x), np.nan)
        inside = self.covers(x, y)
        rows, columns, weights = corners(x[inside], y[inside])
        found[inside] = (weights * self._values[rows + 1, columns + 1]).sum(axis=0)
        return found

    def covers(self, x: FloatArray, y: FloatArray) -> BoolArray:
        """Whether pixel coordinates are in a pixel that is not masked."""
        ny, nx = self.shape
        with np.errstate(invalid="ignore"):
            inside = np.asarray(np.abs(x - 0.5 * (nx - 1)) <= 0.5 * nx + SLACK)
            inside &= np.abs(y - 0.5 * (ny - 1)) <= 0.5 * ny + SLACK
        inside[inside] = self.valid[self.own_pixels(x[inside], y[inside])]
        return np.asarray(inside)

    def own_pixels(self, x: FloatArray, y: FloatArray) -> tuple[IntArray, IntArray]:
        """Rows and columns of the pixels that places of the map are in."""
        rows, columns = (
            np.clip(np.floor(v + 0.5).astype(int), 0, n - 1)
            for v, n in zip((y, x), self.shape, strict=True)
        )
        return rows, columns

    def places(
        self, frame: BaseCoordinateFrame | None, lon: FloatArray, lat: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Pixel coordinates of positions (deg) in a frame, or of x, y on a map of these."""
        if self.plane is None:
            x, y = self._wcs.low_level_wcs.world_to_pixel_values(lon, lat)
        else:
            x, y = project(self.plane, frame, lon, lat)
        return np.asarray(x), np.asarray(y)

    def positions(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions (deg, in the frame of the plane), or x, y, of pixel coordinates."""
        if self.plane is None:
            lon, lat = self._wcs.low_level_wcs.pixel_to_world_values(x, y)
            return np.asarray(lon), np.asarray(lat)
        return self.plane.to_sky(x, y)

    def nodes(self) -> Nodes:
        """Columns and rows of nodes, and the values on them, between which contours are found.

        The map's edges are among the nodes. If pixels are masked, all edges of pixels are: contours
        then end at the edges of these.
        """
        ny, nx = self.shape
        if self.valid.all():
            y, x = (np.concatenate([[-0.5], np.arange(n), [n - 0.5]]) for n in (ny, nx))
        else:
            y, x = (0.5 * np.arange(2 * n + 1) - 0.5 for n in (ny, nx))
        values = _between(_between(self._values, y + 1, 0), x + 1, 1)
        if not self.valid.all():
            # Every quarter of a pixel has its centre as a corner.
            values[1::2, 1::2][~self.valid] = np.nan
        return x, y, np.ma.masked_invalid(values)

    @property
    def meets_edge(self) -> bool:
        """Whether the sky ends on the map."""
        return bool(self._near_edge.any())

    def clipped(self, line: FloatArray) -> list[FloatArray]:
        """The parts of a line (n, 2) that are on the sky, which end at its edge."""
        return [places for places, is_on_sky in self._parts(line) if is_on_sky]

    def outlined(self, polygon: FloatArray) -> FloatArray:
        """A closed polygon (n, 2) that follows the sky's edge in place of what is off the sky.

        It has no corners if nothing of it is on the sky.
        """
        parts = self._parts(polygon)
        if len(parts) == 1:
            places, is_on_sky = parts[0]
            if is_on_sky:
                return places
            # Off the sky is the outline of all of it, or a sliver beyond its edge.
            places = self._moved_to_edge(places)
            return places if abs(_area(places)) > 1 else places[:0]
        found = []
        for i, (places, is_on_sky) in enumerate(parts):
            if is_on_sky:
                found.append(places)
            elif i < len(parts) - 1:  # The last is the first place again.
                before, after = parts[i - 1 if i else -2][0][-1], parts[i + 1][0][0]
                found.append(_without_spikes(self._moved_to_edge(places), before, after))
        return np.concatenate([*found, found[0][:1]])

    def _parts(self, line: FloatArray) -> list[tuple[FloatArray, bool]]:
        """The parts of a line in order, and whether they are on the sky.

        Those on the sky end at its edge. A closed line that leaves the sky begins there.
        """
        on_sky = self._on_sky(line)
        if on_sky.all() or not on_sky.any():
            return [(line, bool(on_sky[0]))]
        if np.array_equal(line[0], line[-1]):
            turn = int(np.flatnonzero(on_sky[:-1] & ~on_sky[1:])[0]) + 1
            order = np.concatenate([np.arange(turn, len(line) - 1), np.arange(turn + 1)])
            line, on_sky = line[order], on_sky[order]
        after = np.flatnonzero(np.diff(on_sky)) + 1
        first = on_sky[after - 1][:, np.newaxis]
        edges = self._edge(
            np.where(first, line[after - 1], line[after]),
            np.where(first, line[after], line[after - 1]),
        )
        parts = []
        for i, places in enumerate(np.split(line, after)):
            is_on_sky = bool(on_sky[0]) == (i % 2 == 0)
            if is_on_sky:
                places = np.concatenate([edges[max(i - 1, 0) : i], places, edges[i : i + 1]])
            parts.append((places, is_on_sky))
        return parts

    def _moved_to_edge(self, places: FloatArray) -> FloatArray:
        """Places (n, 2) off the sky, moved to its edge nearby."""
        rows, columns = self.own_pixels(*places.T)
        nearest = [index[rows + 1, columns + 1] - 1.0 for index in self._nearest_on_sky[::-1]]
        return self._edge(np.stack(nearest, axis=-1), places)

    def _on_sky(self, places: FloatArray) -> BoolArray:
        """Which places (n, 2) are on the sky; only those near its edge are looked at."""
        on_sky = np.ones(len(places), bool)
        rows, columns = self.own_pixels(*places.T)
        near = self._near_edge[rows + 1, columns + 1]
        if self._sky is not None and near.any():
            on_sky[near] = self._sky(*places[near].T)
        return on_sky

    def _edge(self, inner: FloatArray, outer: FloatArray) -> FloatArray:
        """Places (n, 2) just on the sky, between those that are and that are not."""
        assert self._sky is not None
        step: FloatArray = outer - inner
        for _ in range(STEPS if len(inner) else 0):
            step *= 0.5
            middle: FloatArray = np.asarray(inner + step)
            inner = np.where(self._sky(middle[:, 0], middle[:, 1])[:, np.newaxis], middle, inner)
        return inner

    def _continue_beyond_the_sky(self, sky: SkyTest, solid_angle: Any) -> None:
        """Set centres off the sky to the value from across its edge, where the map has that."""
        near = np.ones(self._values.shape, bool)
        if solid_angle is not None:
            near[3:-3, 3:-3] = grown(np.asarray(solid_angle) <= 0, 2)[2:-2, 2:-2]
        row, column = np.nonzero(near)
        off = np.zeros(near.shape, bool)
        off[row, column] = ~sky(column.astype(float) - 1, row.astype(float) - 1)
        if not off.any() or off.all():
            return
        from scipy.ndimage import distance_transform_edt

        self._near_edge = grown(off, 1)
        self._nearest_on_sky = distance_transform_edt(
            off, return_distances=False, return_indices=True
        )
        self._values[off] = np.nan  # A mean over a part of a pixel is not the value at its centre.
        row, column = np.nonzero(off & grown(np.pad(self.valid, 1), 1))
        x, y = self._across_the_edge(row, column)
        known = np.isfinite(x) & np.isfinite(y)
        known[known] = self.covers(x[known], y[known])
        rows, columns, weights = corners(x[known], y[known])
        for _ in range(ROUNDS):
            found = self._values[rows + 1, columns + 1]
            shares = np.where(np.isfinite(found), weights, 0.0)
            with np.errstate(invalid="ignore"):
                means = (shares * np.nan_to_num(found)).sum(axis=0) / shares.sum(axis=0)
            self._values[row[known], column[known]] = means

    def _across_the_edge(self, row: IntArray, column: IntArray) -> tuple[FloatArray, FloatArray]:
        """Pixel coordinates where the sky goes on that ends before centres of padded pixels.

        A centre is as far beyond the edge, on a great circle, as its mirror image is within.
        """
        outer = np.stack([column, row], axis=-1).astype(float) - 1
        nearest = [index[row, column] for index in self._nearest_on_sky]
        edge = self._edge(np.stack(nearest[::-1], axis=-1) - 1.0, outer)
        within = 2 * edge - outer
        at_edge, inner = (to_vectors(*self.positions(v[:, 0], v[:, 1])) for v in (edge, within))
        cosine = (at_edge * inner).sum(axis=-1, keepdims=True)
        return self.places(None, *to_positions(2 * cosine * at_edge - inner))

    def _fill_beside(self) -> None:
        """Set centres without a value, beside some with one, to the mean of those."""
        from scipy.ndimage import convolve

        known = np.isfinite(self._values)
        share = np.full((3, 3), ACROSS)
        share[1], share[:, 1] = BESIDE, BESIDE
        total, weight = (
            convolve(v, share, mode="constant")
            for v in (np.where(known, self._values, 0.0), known.astype(float))
        )
        wanted = ~known & (weight > 0)
        self._values[wanted] = total[wanted] / weight[wanted]


def _between(values: FloatArray, places: FloatArray, axis: int) -> FloatArray:
    """Values at whole or half places along an axis."""
    first = np.floor(places).astype(int)
    part = places - first
    after = first + (part > 0)  # A NaN beside a whole place has no part in it.
    part = np.expand_dims(part, 1 - axis)
    return np.asarray((1 - part) * values.take(first, axis) + part * values.take(after, axis))


def _area(polygon: FloatArray) -> float:
    """The area within a closed polygon (n, 2), by the shoelace formula."""
    (x, y), (next_x, next_y) = polygon[:-1].T, polygon[1:].T
    return 0.5 * float((x * next_y - next_x * y).sum())


def _without_spikes(places: FloatArray, before: FloatArray, after: FloatArray) -> FloatArray:
    """Places (n, 2) along an edge, without those that pass by its two ends again."""
    near = np.flatnonzero(np.linalg.norm(places - before, axis=-1) < NEARBY)
    places = places[near[-1] + 1 if len(near) else 0 :]
    near = np.flatnonzero(np.linalg.norm(places - after, axis=-1) < NEARBY)
    return places[: near[0] if len(near) else None]


def corners(x: FloatArray, y: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Rows, columns and bilinear weights (4, …) of the centres of pixels around places.

    Rows and columns go from −1 to one beyond the last.
    """
    left, below = np.floor(x).astype(int), np.floor(y).astype(int)
    across, up = x - left, y - below
    rows = np.stack([below, below, below + 1, below + 1])
    columns = np.stack([left, left + 1, left, left + 1])
    weights = np.stack([(1 - across) * (1 - up), across * (1 - up), (1 - across) * up, across * up])
    return rows, columns, weights
