"""`Sums`: a catalogue reduced to sums over the pixels of a map and the lattice of the sphere.

Each row is added once. Sums of parts, made in one process or in several, are added with ``+``.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.catalogue.streams import Stream
from mpl_skyheat.compute.loader import is_worth_compiling, run, should_compile
from mpl_skyheat.compute.memory import allowed_bytes
from mpl_skyheat.compute.progress import rows_told
from mpl_skyheat.compute.threads import Team
from mpl_skyheat.compute.tile_layout import LOST, OFF
from mpl_skyheat.counting.channels import find_channels, recentred
from mpl_skyheat.counting.compiled_route import MOST_PIXELS, CompiledRoute
from mpl_skyheat.counting.exact_route import ProjectedBlock, pixels_of, project_blocks
from mpl_skyheat.counting.spreading import PointSpread
from mpl_skyheat.sky.frames import change_frame, frame_rotation, rotate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from numpy.typing import NDArray

    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.compute.progress import Told
    from mpl_skyheat.coverage.observed import ObservedSky
    from mpl_skyheat.sky.geometry import MapGeometry


class Head(NamedTuple):
    """The first row with a position, in deg, and what rows look like in place of degrees."""

    lon: float
    lat: float
    doubt: str


# Value of a pixel without rows, and the function that combines two values, by `Channel.extreme`.
COMBINE = {-1: (np.inf, np.minimum), 0: (0, np.add), 1: (-np.inf, np.maximum)}

# Memory that sorting held values takes, as a multiple of theirs, with themselves.
SORTING = 3.5


class Sums:
    """Sums of a catalogue's rows on a geometry.

    ``channels`` are names of `channels.CHANNELS`, to which those are added that they need. Values
    are summed as their differences from ``offset``. Only rows are added that lie in what was
    ``observed``. ``rows`` has the numbers of rows ``read``, ``dropped`` (not finite or masked),
    ``unseen`` (on the map, where nothing was observed), ``inside`` and ``outside`` the map; read is
    the sum of the others. Rows that are ``skipped`` were not read, as they cannot be on the map.
    """

    def __init__(
        self,
        geometry: MapGeometry,
        channels: Iterable[str] = ("n",),
        *,
        offset: float = 0.0,
        observed: ObservedSky | None = None,
    ) -> None:
        self.geometry, self.offset, self.observed = geometry, offset, observed
        self.channels = find_channels(channels)
        self.head: Head | None = None
        self._in_core: BoolArray | None = None
        self.rows = dict.fromkeys(("read", "dropped", "unseen", "inside", "outside", "skipped"), 0)
        # Partitions that cannot reach the map, and were not read to count their rows.
        self.parts_skipped = 0
        # Sums over pixels in one dimension, and over the lattice by channel and spline order.
        self.flat: dict[str, NDArray[Any]] = {}
        self.spreads: dict[tuple[str, int], PointSpread] = {}
        sphere = geometry.sphere
        # Flat pixels and values of all rows on the wide grid, if a channel holds them.
        self.held: list[tuple[IntArray, FloatArray]] = []
        self.held_bytes = 0
        for name, channel in self.channels.items():
            if channel.is_held:
                continue
            dtype = np.int64 if channel.is_count else float
            self.flat[name] = np.full(self._size, COMBINE[channel.extreme][0], dtype)
            if sphere is not None and channel.is_smoothable:
                for order in sphere.orders:
                    self.spreads[name, order] = PointSpread(sphere.lattice, order)

    @property
    def pixels(self) -> dict[str, NDArray[Any]]:
        """Each channel's sum over the wide grid, (ny, nx): int64 for "n", else float64."""
        shape = self.geometry.wide.shape
        return {name: flat.reshape(shape) for name, flat in self.flat.items()}

    def bins(self, channel: str, order: int) -> FloatArray:
        """A channel's sums over the lattice, spread with splines of an order."""
        return self.spreads[channel, order].bins

    def add(
        self,
        catalogue: Catalogue | Stream,
        *,
        team: Team | None = None,
        projected: list[ProjectedBlock] | None = None,
        is_large: bool | None = None,
        progress: bool | Told = False,
    ) -> Sums:
        """Add the rows of a catalogue; return the sums.

        ``projected`` are the catalogue's rows, if they have been projected already. ``is_large``
        says whether compiled code is worth loading for the job that this is a part of; by default
        the numbers of rows and of pixels decide. ``progress`` shows how far this is, of a stream.
        """
        team = team or Team(1)
        chunks, is_compiled = self._decided(catalogue, is_large)
        is_tiled = is_compiled and projected is None
        is_tiled = is_tiled and self.geometry.plane.is_smooth and self._size < MOST_PIXELS
        if is_tiled:
            assert catalogue.frame is not None
            route = CompiledRoute(catalogue.frame, self.geometry, team)
        with rows_told(progress if isinstance(catalogue, Stream) else False) as told:
            for chunk in chunks:
                self.rows["skipped"] += chunk.skipped
                if self.head is None:
                    self.head = _head_of(chunk)
                if is_tiled:
                    self._add_by_tiles(chunk, route, team)
                else:
                    blocks = project_blocks(chunk, self.geometry.plane)
                    self._add_blocks(chunk, blocks if projected is None else projected)
                if self.spreads:
                    self._spread(chunk, is_compiled, team)
                if told is not None:
                    told(self.rows["read"])
        if is_tiled and "n" in self.flat:
            route.settle(self.flat["n"])
        for spread in self.spreads.values():
            spread.settle()
        self._in_core = None
        return self.finish_rows()

    def finish_rows(self) -> Sums:
        """Find the numbers of rows that follow from others; return the sums."""
        told = self.rows
        if list(self.channels) == ["n"] and self.geometry.margin != (0, 0):
            told["inside"] = int(self.pixels["n"][self.geometry.core].sum())
        told["outside"] = told["read"] - told["dropped"] - told["unseen"] - told["inside"]
        return self

    def __add__(self, other: Sums) -> Sums:
        """The sums of the rows of both; the other's are moved to this offset."""
        if self.channels != other.channels or self.geometry != other.geometry:
            raise ValueError("sums must have the same geometry and channels to be added")
        if _key_of(self.observed) != _key_of(other.observed):
            raise ValueError("sums must have the same coverage to be added")
        total = Sums(self.geometry, self.channels, offset=self.offset, observed=self.observed)
        shift = other.offset - self.offset
        theirs = recentred(other.flat, shift)
        for name in self.flat:
            extreme = self.channels[name].extreme
            total.flat[name] = COMBINE[extreme][1](self.flat[name], theirs[name])
        total.held = self.held + other.held
        total.held_bytes = self.held_bytes + other.held_bytes
        for order in {order for _, order in self.spreads}:
            mine, them = (
                {name: s.total for (name, o), s in sums.spreads.items() if o == order}
                for sums in (self, other)
            )
            moved = recentred(them, shift)
            for name in mine:
                total.spreads[name, order].total = mine[name] + moved[name]
        total.rows = {name: self.rows[name] + other.rows[name] for name in self.rows}
        total.parts_skipped = self.parts_skipped + other.parts_skipped
        total.head = self.head or other.head
        return total

    @property
    def nbytes(self) -> int:
        """Bytes of the sums, without those of values that are held."""
        spreads = (spread.total for spread in self.spreads.values())
        return sum(array.nbytes for array in chain(self.flat.values(), spreads))

    @property
    def has_rows(self) -> bool:
        """Whether any row adds to a sum."""
        spreads = (spread.total for spread in self.spreads.values())
        return any(array.any() for array in chain(self.flat.values(), spreads))

    def part(self, pixels: BoolArray, bins: BoolArray | None = None) -> Sums:
        """The sums in some pixels of the wide grid, and in some bins of the lattice."""
        part = Sums(self.geometry, self.channels, offset=self.offset, observed=self.observed)
        for name, flat in self.flat.items():
            np.copyto(part.flat[name], flat, where=pixels.ravel())
        if bins is not None:
            part.spreads = {key: spread.part(bins) for key, spread in self.spreads.items()}
        return part

    def _decided(
        self, catalogue: Catalogue | Stream, is_large: bool | None
    ) -> tuple[Iterator[Catalogue], bool]:
        """The chunks, and whether compiled code is worth loading for all of them together.

        Of a stream, rows are read ahead until their number is enough, or the stream ends.
        """
        chunks, held = catalogue.gathered(), []
        if self.geometry.plane.frame is None:
            return chunks, False
        # Smoothing on the sphere uses compiled code for the map's pixels, too.
        known = self._size if self.spreads else 0
        for chunk in chunks:
            held.append(chunk)
            known += len(chunk)
            if is_large is not None or is_worth_compiling(known):
                break
        if is_large is not None:
            known = MOST_PIXELS if is_large else 0
        is_compiled = should_compile(known)
        return chain(held, chunks), is_compiled

    @property
    def _size(self) -> int:
        ny, nx = self.geometry.wide.shape
        return ny * nx

    def _add_blocks(self, chunk: Catalogue, blocks: Iterable[ProjectedBlock]) -> None:
        """Add rows by the exact route."""
        self.rows["read"] += len(chunk)
        for block, x, y in blocks:
            self.rows["dropped"] += block.dropped
            on_grid, pixels = pixels_of(self.geometry, self.geometry.plane, x, y)
            if self.observed is not None:
                places = block.lon[on_grid], block.lat[on_grid]
                seen = self.observed.pixels.sees(pixels, *places, chunk.frame)
                self.rows["unseen"] += self._number_in_core(pixels[~seen])
                pixels = pixels[seen]
                on_grid[on_grid] = seen
            weights, values, shares = (
                None if column is None else column[on_grid]
                for column in (block.weights, block.values, block.shares)
            )
            self._add_at(pixels, weights, values, shares, Team(1), is_compiled=False)

    def _add_by_tiles(self, chunk: Catalogue, route: CompiledRoute, team: Team) -> None:
        """Add rows by the compiled route."""
        columns = chunk.weights, chunk.values, chunk.widths, chunk.shares
        is_plain = self.observed is None and all(column is None for column in columns)
        if is_plain and list(self.channels) == ["n"]:
            dropped, on_grid = route.count(chunk, self.flat["n"])
            self.rows["read"] += len(chunk)
            self.rows["dropped"] += dropped
            self.rows["inside"] += on_grid  # and on the margin, which `add` subtracts
            return
        for rows, pixels in route.located(chunk):
            usable = np.asarray(pixels != LOST)
            for column in (rows.weights, rows.values, rows.widths):
                if column is not None:
                    usable &= np.isfinite(column)
            part = slice(rows.start, rows.start + len(rows.lon))
            chunk.check_amounts(usable, rows.weights, rows.widths, part)
            self.rows["read"] += len(pixels)
            self.rows["dropped"] += len(pixels) - int(np.count_nonzero(usable))
            pixels[~usable] = OFF
            if self.observed is not None:
                seen = self.observed.pixels.sees(pixels, rows.lon, rows.lat, chunk.frame)
                unseen = np.flatnonzero(~seen)
                self.rows["unseen"] += self._number_in_core(pixels[unseen])
                pixels[unseen] = OFF
            amounts = rows.weights, rows.values, rows.shares
            self._add_at(pixels, *amounts, team, is_compiled=True)

    def _add_at(
        self,
        pixels: NDArray[Any],
        weights: FloatArray | None,
        values: FloatArray | None,
        shares: FloatArray | None,
        team: Team,
        *,
        is_compiled: bool,
    ) -> None:
        """Add rows by flat pixel, which may be OFF the map if code is compiled.

        They are added to a channel one after the other, so that no bit of a sum depends on how the
        rows were cut into blocks; threads share the channels.
        """

        def add(_: int, name: str) -> None:
            channel = self.channels[name]
            amounts = channel.amounts(weights, values, self.offset, shares)
            if channel.is_held:
                assert amounts is not None
                self._hold(pixels, amounts)
            elif channel.extreme:
                assert amounts is not None
                on_grid = pixels >= 0
                combine = COMBINE[channel.extreme][1]
                combine.at(self.flat[name], pixels[on_grid], amounts[on_grid])
            elif not is_compiled:
                np.add.at(self.flat[name], pixels, 1 if amounts is None else amounts)
            elif channel.is_count:
                run("tally", pixels, self.flat[name])
            else:
                amounts = np.ones(len(pixels)) if amounts is None else amounts
                run("add", pixels, amounts, self.flat[name])

        team.share(self.channels, add)
        self.rows["inside"] += self._number_in_core(pixels)

    def _number_in_core(self, pixels: NDArray[Any]) -> int:
        """How many flat pixels of the wide grid, or OFF, are on the map without its margin."""
        if self.geometry.margin == (0, 0):
            return int(np.count_nonzero(pixels >= 0))
        if self._in_core is None:
            in_core = np.zeros(self.geometry.wide.shape, bool)
            in_core[self.geometry.core] = True
            # OFF … LOST, −1 … −3, index these from the end.
            self._in_core = np.append(in_core.ravel(), [False] * -LOST)
        return int(np.count_nonzero(self._in_core[pixels]))

    def _hold(self, pixels: NDArray[Any], values: FloatArray) -> None:
        on_grid = np.flatnonzero(pixels >= 0)
        self.held.append((pixels[on_grid].astype(np.intp), values[on_grid]))
        self.held_bytes += sum(column.nbytes for column in self.held[-1])
        takes = SORTING * self.held_bytes
        if takes > allowed_bytes():
            raise ValueError(
                f"statistic='median' holds the values of all rows, {takes / 2**30:.3g} GiB for the "
                "rows so far, more than half of this machine's memory: take 'mean', or a part of "
                "the catalogue"
            )

    def medians(self) -> FloatArray:
        """The middle value of the rows in each of the map's pixels; NaN without rows."""
        found = np.full(self._size, np.nan)
        if self.held:
            pixels, values = (np.concatenate(column) for column in zip(*self.held, strict=True))
            order = np.lexsort((values, pixels))
            pixels, values = pixels[order], values[order]
            starts = np.flatnonzero(np.diff(pixels, prepend=-1))
            counts = np.diff(np.append(starts, len(pixels)))
            low, high = (values[starts + half] for half in ((counts - 1) // 2, counts // 2))
            found[pixels[starts]] = 0.5 * (low + high)
        return found.reshape(self.geometry.wide.shape)[self.geometry.core]

    def _spread(self, chunk: Catalogue, is_compiled: bool, team: Team) -> None:
        """Spread rows over the lattice."""
        plane, sphere = self.geometry.plane, self.geometry.sphere
        assert plane.frame is not None
        assert chunk.frame is not None
        assert sphere is not None
        rotation = frame_rotation(chunk.frame, plane.frame)
        to_lattice = sphere.turn if rotation is None else sphere.turn @ rotation
        if is_compiled and rotation is not None:
            for rows in chunk.arrays():
                lon = rows.lon
                for column in (rows.weights, rows.values):
                    if column is not None:
                        lon = np.where(np.isfinite(column), lon, np.nan)
                if self.observed is not None:
                    places = rotate(lon, rows.lat, to_lattice, is_compiled=True)
                    seen = self._seen_on_lattice(places, lon, rows.lat, chunk)
                    lon = np.where(seen, lon, np.nan)
                given = rows.weights, rows.values, self.offset, rows.shares
                for (name, _), spread in self.spreads.items():
                    amounts = self.channels[name].amounts(*given)
                    spread.add_compiled(lon, rows.lat, amounts, to_lattice, team)
            return
        for block in chunk.blocks():
            lon, lat = block.lon, block.lat
            weights, values, shares = block.weights, block.values, block.shares
            there = lon, lat
            if rotation is None:
                there = change_frame(lon, lat, chunk.frame, plane.frame)
            positions = rotate(*there, to_lattice, is_compiled=False)
            if self.observed is not None:
                seen = self._seen_on_lattice(positions, lon, lat, chunk)
                positions = positions[0][seen], positions[1][seen]
                weights, values, shares = (
                    None if c is None else c[seen] for c in (weights, values, shares)
                )
            given = weights, values, self.offset, shares
            for (name, _), spread in self.spreads.items():
                spread.add(*positions, self.channels[name].amounts(*given))

    def _seen_on_lattice(
        self,
        places: tuple[FloatArray, FloatArray],
        lon: FloatArray,
        lat: FloatArray,
        chunk: Catalogue,
    ) -> BoolArray:
        """Which rows are observed, by their places (rad) on the lattice and positions (deg).

        Rows off the lattice, which reach no pixel of the map, pass for observed.
        """
        assert self.geometry.sphere is not None
        assert self.observed is not None
        assert self.observed.bins is not None
        on_lattice, bins = self.geometry.sphere.lattice.bins_of(*places)
        seen = np.ones(len(lon), bool)
        asked = lon[on_lattice], lat[on_lattice]
        seen[on_lattice] = self.observed.bins.sees(bins, *asked, chunk.frame)
        return seen

    def settle(self) -> None:
        """Move sums in pixels without sky to the nearest pixels with sky.

        A sliver of sky may be too thin for `solid_angles` to find, and still hold a point. This is
        done once, on complete sums, so that parts of a job need no solid angles.
        """
        has_sky = self.geometry.wide_solid_angles.ravel() > 0
        without = np.flatnonzero(~has_sky)
        has_rows = np.zeros(len(without), bool)
        for name, flat in self.flat.items():
            has_rows |= flat[without] != COMBINE[self.channels[name].extreme][0]
        if not has_rows.any() or not has_sky.any():
            return
        strays = without[has_rows]
        from scipy.ndimage import distance_transform_edt

        shape = self.geometry.wide.shape
        nearest = distance_transform_edt(
            ~has_sky.reshape(shape), return_distances=False, return_indices=True
        )
        there = np.ravel_multi_index(tuple(nearest.reshape(2, -1)[:, strays]), shape)
        for name, flat in self.flat.items():
            start, combine = COMBINE[self.channels[name].extreme]
            combine.at(flat, there, flat[strays])
            flat[strays] = start
        if self.held:
            moved = np.arange(self._size)
            moved[strays] = there
            self.held = [(moved[pixels], values) for pixels, values in self.held]


def _key_of(observed: ObservedSky | None) -> Any:
    """What tells coverages apart whose sums must not be added; all functions pass for one."""
    return None if observed is None else (observed.pixels.coverage.key,)


def _head_of(chunk: Catalogue) -> Head | None:
    """The first row of a chunk that has a position; None if no row has."""
    for block in chunk.blocks():
        if len(block.lon):
            return Head(float(block.lon[0]), float(block.lat[0]), chunk.doubt)
    return None
