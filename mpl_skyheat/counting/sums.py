"""`Sums`: all that is kept of a catalogue, over the pixels of a map and the sphere's lattice.

Rows are added once, in any number of parts, in one process or in many; parts add up.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.compute.loader import run, should_compile
from mpl_skyheat.compute.threads import Team
from mpl_skyheat.compute.tile_layout import LOST, OFF
from mpl_skyheat.counting.channels import find_channels, recentred
from mpl_skyheat.counting.compiled_route import MOST_PIXELS, CompiledRoute
from mpl_skyheat.counting.exact_route import ProjectedBlock, pixels_of
from mpl_skyheat.counting.spreading import PointSpread
from mpl_skyheat.sky.frames import change_frame, frame_rotation, rotate
from mpl_skyheat.sky.planes import project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from mpl_skyheat.catalogue.blocks import Block, Catalogue, Rows
    from mpl_skyheat.catalogue.streams import Stream
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.sky.geometry import MapGeometry

    # Longitudes and latitudes (deg, in the frame of the catalogue) -> which rows are added.
    RowFilter = Callable[[FloatArray, FloatArray], BoolArray]


class Head(NamedTuple):
    """The first row with a position, in deg, and whether rows look like positions in radians."""

    lon: float
    lat: float
    looks_like_radians: bool


EXTREMES = {-1: (np.inf, np.minimum), 1: (-np.inf, np.maximum)}


class Sums:
    """Sums of a catalogue's rows on a geometry.

    Parameters
    ----------
    geometry : MapGeometry
        Where.
    channels : sequence of str, optional
        Names of `channels.CHANNELS`; those that they need beside them are added.
    offset : float, optional
        What values are taken about.

    Attributes
    ----------
    pixels : dict of str to array
        Each channel's sum over the geometry's wide grid, of shape (ny, nx): int64 for "n", else
        float64.
    rows : dict of str to int
        Rows ``read``, ``dropped`` (not finite or masked), ``unseen`` (left out by a filter),
        ``inside`` and ``outside`` the map; read is the sum of the others.
    """

    def __init__(
        self, geometry: MapGeometry, channels: Iterable[str] = ("n",), *, offset: float = 0.0
    ) -> None:
        self.geometry, self.offset = geometry, offset
        self.channels = find_channels(channels)
        self.head: Head | None = None
        self._in_core: BoolArray | None = None
        self.rows = dict.fromkeys(("read", "dropped", "unseen", "inside", "outside"), 0)
        # The sums over pixels in one dimension, and over the lattice by channel and spline order.
        self.flat: dict[str, NDArray[Any]] = {}
        self.spreads: dict[tuple[str, int], PointSpread] = {}
        size = geometry.wide.shape[0] * geometry.wide.shape[1]
        for name, channel in self.channels.items():
            if channel.extreme:
                self.flat[name] = np.full(size, EXTREMES[channel.extreme][0])
            else:
                self.flat[name] = np.zeros(size, np.int64 if channel.is_count else float)
            sphere = geometry.sphere
            if sphere is not None and channel.is_smoothable:
                for order in sphere.orders:
                    self.spreads[name, order] = PointSpread(sphere.lattice, order)

    @property
    def pixels(self) -> dict[str, NDArray[Any]]:
        """Each channel's sum over the wide grid."""
        shape = self.geometry.wide.shape
        return {name: flat.reshape(shape) for name, flat in self.flat.items()}

    def bins(self, channel: str, order: int) -> FloatArray:
        """Return a channel's sums over the lattice, spread with splines of an order."""
        return self.spreads[channel, order].bins

    def add(
        self,
        catalogue: Catalogue | Stream,
        *,
        team: Team | None = None,
        row_filter: RowFilter | None = None,
        projected: list[ProjectedBlock] | None = None,
        is_large: bool | None = None,
    ) -> Sums:
        """Add the rows of a catalogue; return the sums.

        Parameters
        ----------
        catalogue : Catalogue or Stream
            The rows.
        team : Team, optional
            The threads to share the work.
        row_filter : callable, optional
            Takes longitudes and latitudes (deg, in the catalogue's frame), and tells which rows are
            added; the others are counted as unseen.
        projected : list of ProjectedBlock, optional
            The catalogue's rows, if they have been projected already.
        is_large : bool, optional
            Whether the job that this is a part of is worth compiled code; by default that is told
            from the number of rows and of pixels.
        """
        team = team or Team(1)
        chunks, is_compiled = self._decided(catalogue, is_large)
        is_tiled = is_compiled and projected is None and self._can_be_tiled
        if is_tiled:
            assert catalogue.frame is not None
            route = CompiledRoute(catalogue.frame, self.geometry, team)
        for chunk in chunks:
            self._meet(chunk)
            if is_tiled:
                self._add_by_tiles(chunk, route, row_filter)
            else:
                blocks = projected if projected is not None else self._projected(chunk)
                self._add_blocks(chunk, blocks, row_filter)
            if self.spreads:
                self._spread(chunk, is_compiled, team, row_filter)
        if is_tiled and "n" in self.flat:
            route.settle(self.flat["n"])
        for spread in self.spreads.values():
            spread.settle()
        self._in_core = None
        self._tell_outside()
        return self

    def __add__(self, other: Sums) -> Sums:
        """Return the sums of the rows of both; the other's values are taken about this offset.

        Raises
        ------
        ValueError
            If their geometries or their channels differ.
        """
        if self.channels != other.channels or self.geometry != other.geometry:
            raise ValueError("sums must have the same geometry and channels to be added")
        total = Sums(self.geometry, self.channels, offset=self.offset)
        shift = other.offset - self.offset
        theirs = recentred(other.flat, shift)
        for name, channel in self.channels.items():
            if channel.extreme:
                total.flat[name] = EXTREMES[channel.extreme][1](self.flat[name], other.flat[name])
            else:
                total.flat[name] = self.flat[name] + theirs[name]
        for order in {order for _, order in self.spreads}:
            mine, them = (
                {name: s.total for (name, o), s in sums.spreads.items() if o == order}
                for sums in (self, other)
            )
            moved = recentred(them, shift)
            for name in mine:
                total.spreads[name, order].total = mine[name] + moved[name]
        total.rows = {name: self.rows[name] + other.rows[name] for name in self.rows}
        total.head = self.head or other.head
        return total

    def _decided(
        self, catalogue: Catalogue | Stream, is_large: bool | None
    ) -> tuple[Iterator[Catalogue], bool]:
        """Return the chunks, and whether compiled code is worth its time for all of them.

        Of a stream, as many rows are read ahead as it takes to tell.
        """
        chunks, held = catalogue.gathered(), []
        if self.geometry.plane.frame is None:
            return chunks, False
        # What is smoothed on the sphere has work for compiled code in its pixels, too.
        known = self._size if self.spreads else 0
        for chunk in chunks:
            held.append(chunk)
            known += len(chunk)
            if is_large is not None or should_compile(known):
                break
        is_compiled = should_compile(known) if is_large is None else is_large
        return chain(held, chunks), is_compiled

    @property
    def _size(self) -> int:
        ny, nx = self.geometry.wide.shape
        return ny * nx

    @property
    def _can_be_tiled(self) -> bool:
        return self.geometry.plane.is_smooth and self._size < MOST_PIXELS

    def _projected(self, chunk: Catalogue) -> Iterator[ProjectedBlock]:
        plane = self.geometry.plane
        for block in chunk.blocks():
            yield ProjectedBlock(block, *project(plane, chunk.frame, block.lon, block.lat))

    def _add_blocks(
        self, chunk: Catalogue, blocks: Iterable[ProjectedBlock], row_filter: RowFilter | None
    ) -> None:
        """Add rows by the exact route."""
        self.rows["read"] += len(chunk)
        for block, x, y in blocks:
            self.rows["dropped"] += block.dropped
            on_grid, pixels = pixels_of(self.geometry, self.geometry.plane, x, y)
            if row_filter is not None:
                seen = row_filter(block.lon, block.lat)
                self.rows["unseen"] += int(np.count_nonzero(~seen))
                pixels, on_grid = pixels[seen[on_grid]], on_grid & seen
            weights, values = (
                None if column is None else column[on_grid]
                for column in (block.weights, block.values)
            )
            self._add_at(pixels, weights, values)

    def _add_by_tiles(
        self, chunk: Catalogue, route: CompiledRoute, row_filter: RowFilter | None
    ) -> None:
        """Add rows by the compiled route."""
        is_plain = chunk.weights is None and chunk.values is None and row_filter is None
        if is_plain and list(self.channels) == ["n"]:
            dropped, on_grid = route.count(chunk, self.flat["n"])
            self.rows["read"] += len(chunk)
            self.rows["dropped"] += dropped
            self.rows["inside"] += on_grid  # of a margin, too: `_tell_outside`
            return
        for rows, pixels in route.located(chunk):
            usable = _usable(rows, pixels)
            _check_weights(chunk, rows, usable)
            self.rows["read"] += len(pixels)
            self.rows["dropped"] += len(pixels) - int(np.count_nonzero(usable))
            if row_filter is not None:
                seen = row_filter(rows.lon, rows.lat)
                self.rows["unseen"] += int(np.count_nonzero(usable & ~seen))
                usable &= seen
            pixels[~usable] = OFF
            self._add_compiled(pixels, rows)

    def _add_compiled(self, pixels: NDArray[np.int32], rows: Rows) -> None:
        """Add rows by flat pixel, those that are OFF to none, in compiled code."""
        for name, channel in self.channels.items():
            amounts = channel.amounts(rows.weights, rows.values, self.offset)
            if channel.is_count:
                run("tally", pixels, self.flat[name])
            elif channel.extreme:
                assert amounts is not None
                on = pixels >= 0
                EXTREMES[channel.extreme][1].at(self.flat[name], pixels[on], amounts[on])
            else:
                amounts = np.ones(len(pixels)) if amounts is None else amounts
                run("add", pixels, amounts, self.flat[name])
        self._count_inside(pixels)

    def _add_at(
        self, pixels: NDArray[np.intp], weights: FloatArray | None, values: FloatArray | None
    ) -> None:
        """Add rows on the grid by flat pixel, one after the other.

        So that sums do not depend, not even in the last bit, on how rows were cut into blocks.
        """
        for name, channel in self.channels.items():
            amounts = channel.amounts(weights, values, self.offset)
            if channel.extreme:
                assert amounts is not None
                EXTREMES[channel.extreme][1].at(self.flat[name], pixels, amounts)
            else:
                np.add.at(self.flat[name], pixels, 1 if amounts is None else amounts)
        self._count_inside(pixels)

    def _count_inside(self, pixels: NDArray[Any]) -> None:
        """Count the rows that are on the map itself."""
        if self._in_core is None:
            in_core = np.zeros(self.geometry.wide.shape, bool)
            in_core[self.geometry.core] = True
            # With what OFF and LOST, which count from the end, stand for.
            self._in_core = np.append(in_core.ravel(), [False] * -LOST)
        self.rows["inside"] += int(np.count_nonzero(self._in_core[pixels]))

    def _spread(
        self, chunk: Catalogue, is_compiled: bool, team: Team, row_filter: RowFilter | None
    ) -> None:
        """Spread rows over the lattice."""
        plane, sphere = self.geometry.plane, self.geometry.sphere
        assert plane.frame is not None
        assert chunk.frame is not None
        assert sphere is not None
        rotation = frame_rotation(chunk.frame, plane.frame)
        if is_compiled and rotation is not None:
            whole = sphere.turn @ rotation
            for rows in chunk.arrays():
                lon = rows.lon
                if row_filter is not None:
                    lon = np.where(row_filter(rows.lon, rows.lat), rows.lon, np.nan)
                for (name, _), spread in self.spreads.items():
                    amounts = self.channels[name].amounts(rows.weights, rows.values, self.offset)
                    amounts = _without_lost(amounts, rows)
                    spread.add_compiled(lon, rows.lat, amounts, whole, team)
            return
        for block in chunk.blocks():
            self._spread_block(block, chunk, rotation, row_filter)

    def _spread_block(
        self,
        block: Block,
        chunk: Catalogue,
        rotation: FloatArray | None,
        row_filter: RowFilter | None,
    ) -> None:
        plane, sphere = self.geometry.plane, self.geometry.sphere
        assert sphere is not None
        lon, lat, weights, values = block.lon, block.lat, block.weights, block.values
        if row_filter is not None:
            seen = row_filter(lon, lat)
            lon, lat = lon[seen], lat[seen]
            weights, values = (None if c is None else c[seen] for c in (weights, values))
        if rotation is None:
            assert chunk.frame is not None
            assert plane.frame is not None
            lon, lat = change_frame(lon, lat, chunk.frame, plane.frame)
        whole = sphere.turn if rotation is None else sphere.turn @ rotation
        positions = rotate(lon, lat, whole, is_compiled=False)
        for (name, _), spread in self.spreads.items():
            spread.add(*positions, self.channels[name].amounts(weights, values, self.offset))

    def _meet(self, chunk: Catalogue) -> None:
        """Note what the first chunk with rows has to tell."""
        if self.head is None and len(chunk):
            block = next((block for block in chunk.blocks() if len(block.lon)), None)
            if block is not None:
                at = float(block.lon[0]), float(block.lat[0])
                self.head = Head(*at, chunk.looks_like_radians)

    def _tell_outside(self) -> None:
        rows = self.rows
        if list(self.channels) == ["n"] and self.geometry.margin != (0, 0):
            rows["inside"] = int(self.pixels["n"][self.geometry.core].sum())
        rows["outside"] = rows["read"] - rows["dropped"] - rows["unseen"] - rows["inside"]

    def settle(self) -> None:
        """Move what is in pixels without sky to the nearest pixels with sky.

        A sliver of sky may be too thin for solid angles to find it, but not for a point. Done once,
        on sums that are complete: parts of a job need no solid angles.
        """
        has_sky = self.geometry.wide_solid_angles.ravel() > 0
        first = next(iter(self.channels.values()))
        empty = EXTREMES[first.extreme][0] if first.extreme else 0
        strays = np.flatnonzero((self.flat[first.name] != empty) & ~has_sky)
        if not len(strays) or not has_sky.any():
            return
        from scipy.ndimage import distance_transform_edt

        shape = self.geometry.wide.shape
        nearest = distance_transform_edt(
            ~has_sky.reshape(shape), return_distances=False, return_indices=True
        )
        there = np.ravel_multi_index(tuple(nearest.reshape(2, -1)[:, strays]), shape)
        for name, channel in self.channels.items():
            flat = self.flat[name]
            if channel.extreme:
                start, extreme = EXTREMES[channel.extreme]
                extreme.at(flat, there, flat[strays])
            else:
                start = 0
                np.add.at(flat, there, flat[strays])
            flat[strays] = start


def _usable(rows: Rows, pixels: NDArray[np.int32]) -> BoolArray:
    """Tell which rows have all that they must have."""
    usable = pixels != LOST
    for column in (rows.weights, rows.values):
        if column is not None:
            usable &= np.isfinite(column)
    return np.asarray(usable)


def _check_weights(chunk: Catalogue, rows: Rows, usable: BoolArray) -> None:
    if rows.weights is not None:
        part = slice(rows.start, rows.start + len(rows.lon))
        bad = usable & (rows.weights < 0)
        chunk.check_rows(bad, rows.weights, part, "weights must not be negative")


def _without_lost(amounts: FloatArray | None, rows: Rows) -> FloatArray | None:
    """Return amounts, NaN where a row lacks a weight or a value."""
    for column in (rows.weights, rows.values):
        if column is not None and not np.isfinite(column).all():
            amounts = np.ones(len(column)) if amounts is None else amounts
            amounts = np.where(np.isfinite(column), amounts, np.nan)
    return amounts
