"""A catalogue that comes in chunks, from an iterator, a list, files or an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.catalogue.blocks import ARRAY_ROWS, Catalogue, Part
from mpl_skyheat.catalogue.clusters import Computed, Partitions
from mpl_skyheat.catalogue.columns import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from astropy import units as u
    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.catalogue.batches import Batches, Wanted
    from mpl_skyheat.catalogue.blocks import Block
    from mpl_skyheat.catalogue.clusters import LazyTables

# Attributes of a `Catalogue` that are columns.
COLUMNS = ("lon", "lat", "weights", "values", "widths")

# Most rows that are held in memory where they are needed more than once.
MOST_HELD = 2**23


class Source(ABC):
    """Where the chunks of a stream are from."""

    @property
    def is_read_once(self) -> bool:
        """Whether the chunks are gone once they have been read."""
        return False

    @abstractmethod
    def chunks(self, reach: Any) -> Iterator[Catalogue]:
        """Begin to read; rows out of reach of a map (None: no rows are) may be skipped."""


class Once(Source):
    """The chunks of an iterator, of which the first is there already."""

    @property
    def is_read_once(self) -> bool:
        return True

    def __init__(self, first: Catalogue, rest: Iterator[Catalogue]) -> None:
        self._chunks: Iterator[Catalogue] | None = chain([first], rest)

    def chunks(self, reach: Any) -> Iterator[Catalogue]:
        del reach
        if self._chunks is None:
            raise ValueError(
                "points must be arrays or a table where they are to be read more than once, as for "
                "the bounds of a map; got an iterator, which can be read once"
            )
        chunks, self._chunks = self._chunks, None
        return chunks


@dataclass(frozen=True)
class Listed(Source):
    """The chunks that a function makes of the items of a list, whenever they are asked for."""

    items: Sequence[Any]
    make: Callable[[Any], Catalogue]

    def chunks(self, reach: Any) -> Iterator[Catalogue]:
        del reach
        return map(self.make, self.items)


@dataclass(frozen=True)
class Batched(Source):
    """The chunks that a function makes of batches of tables, with the columns that it needs.

    ``empty`` is one without rows.
    """

    batches: Batches
    wanted: Wanted
    make: Callable[[Any], Catalogue]
    empty: Catalogue

    @property
    def is_read_once(self) -> bool:
        return self.batches.is_read_once

    def chunks(self, reach: Any) -> Iterator[Catalogue]:
        for batch in self.batches.read(self.wanted.within(reach)):
            if batch.table is None:
                yield replace(self.empty, skipped=batch.skipped)
                continue
            try:
                chunk = self.make(batch.table)
            except (TypeError, ValueError) as error:
                kind = TypeError if isinstance(error, TypeError) else ValueError
                raise kind(f"in {batch.name}: {error}" if batch.name else str(error)) from error
            part = Part(0, batch.name, batch.first)
            yield replace(chunk, parts=(part,), skipped=batch.skipped)


class Stream:
    """A catalogue that comes in chunks, each of which is a `Catalogue`.

    ``head`` has the columns of the chunks, with rows or without: all chunks must have its frame and
    units.
    """

    def __init__(
        self,
        head: Catalogue,
        source: Source,
        *,
        sky: BaseCoordinateFrame | None = None,
        reach: Any = None,
    ) -> None:
        self._head, self._source, self._sky, self._reach = head, source, sky, reach
        self._read_ahead: list[Catalogue] = []
        self._rest: Iterator[Catalogue] | None = None

    @property
    def frame(self) -> BaseCoordinateFrame | None:
        return self._head.frame

    @property
    def lon(self) -> Column:
        return self._head.lon

    @property
    def lat(self) -> Column:
        return self._head.lat

    @property
    def weights(self) -> Column | None:
        return self._head.weights

    @property
    def values(self) -> Column | None:
        return self._head.values

    @property
    def weights_unit(self) -> u.UnitBase:
        return self._head.weights_unit

    @property
    def values_unit(self) -> u.UnitBase:
        return self._head.values_unit

    @property
    def widths(self) -> Column | None:
        return self._head.widths

    @property
    def widths_unit(self) -> u.UnitBase | None:
        return self._head.widths_unit

    @property
    def is_read_once(self) -> bool:
        """Whether the chunks are gone once they have been read."""
        return self._source.is_read_once

    @property
    def narrowest(self) -> None:
        """The smallest of the widths, which is not known before all chunks have been read."""

    def lazy_tables(self) -> LazyTables | None:
        """The tables that workers compute, of those with rows in reach; None of other streams."""
        source = self._source
        if not isinstance(source, Batched) or not isinstance(source.batches, Partitions):
            return None
        return source.batches.lazy(source.wanted.within(self._reach))

    def of_tables(self, tables: Sequence[Any], names: Sequence[str]) -> Stream:
        """A stream of computed tables with the same columns, by their names in errors."""
        assert isinstance(self._source, Batched)
        source = replace(self._source, batches=Computed(tuple(tables), tuple(names)))
        return Stream(self._head, source, sky=self._sky)

    def typical_value(self) -> float:
        """The median of some values of the first chunk that has any, up to which chunks are read.

        They are kept for `chunks`, as copies, as the iterator may use a chunk's arrays again.
        """
        if self.values is None:
            return 0.0
        chunks = self.chunks()
        ahead: list[Catalogue] = []
        while not (ahead and ahead[-1].has_values) and (more := next(chunks, None)) is not None:
            ahead.append(_joined([more]))
        self._read_ahead, self._rest = ahead, chunks
        return ahead[-1].typical_value() if ahead else 0.0

    def in_frame(self, frame: BaseCoordinateFrame | None) -> Stream:
        """This stream, with chunks for a map in a frame (`Catalogue.in_frame`)."""
        return Stream(self._head, self._source, sky=frame, reach=self._reach)

    def within(self, reach: Any) -> Stream:
        """This stream without rows that are out of reach, which are counted as skipped.

        ``reach`` has methods of `SkyReach`, which are called when rows are about to be read.
        """
        return Stream(self._head, self._source, sky=self._sky, reach=reach)

    def chunks(self) -> Iterator[Catalogue]:
        """Yield the chunks, checked against the first; a ValueError if they are gone."""
        ahead, rest = self._read_ahead, self._rest
        self._read_ahead, self._rest = [], None
        if rest is not None:
            yield from ahead
            yield from rest
            return
        for number, chunk in enumerate(self._source.chunks(self._reach)):
            named = chunk
            if chunk.parts == (Part(0, ""),):  # a file has its name there
                named = replace(chunk, parts=(Part(0, f"chunk {number}"),))
            self._check(named, named.parts[0].name)
            yield named.in_frame(self._sky)

    def blocks(self) -> Iterator[Block]:
        """Yield the catalogue block by block."""
        for chunk in self.chunks():
            yield from chunk.blocks()

    def gathered(self, rows: int = ARRAY_ROWS) -> Iterator[Catalogue]:
        """Yield copies of the chunks, joined until they have a number of rows or more.

        In small batches compiled code takes three times as long for a row. Copies, as the iterator
        may use a chunk's arrays again for the next one.
        """
        copies = (_joined([chunk]) for chunk in self.chunks())
        for copied in copies:
            held = [copied]
            while sum(map(len, held)) < rows and (more := next(copies, None)) is not None:
                held.append(more)
            yield _joined(held) if len(held) > 1 else copied

    def held(self) -> Catalogue | Stream:
        """All rows in memory, if they are few and could be read again; else the stream."""
        needs_sky = self._head.coordinates is not None and self._sky is None
        if self.is_read_once or needs_sky:
            return self
        held: list[Catalogue] = []
        for chunk in self.chunks():
            held.append(_joined([chunk]))
            if sum(map(len, held)) > MOST_HELD:
                return self
        return _joined(held) if held else self

    def _check(self, chunk: Catalogue, name: str) -> None:
        is_same_frame = self.frame is chunk.frame  # None for both
        if self.frame is not None and chunk.frame is not None:
            is_same_frame = self.frame.is_equivalent_frame(chunk.frame)
        if not is_same_frame:
            raise ValueError(
                f"points must be in one frame; got {chunk.frame!r} in {name}, after {self.frame!r}"
            )
        for column in ("weights", "values", "widths"):
            first, own = (
                (getattr(c, column) is None, getattr(c, f"{column}_unit")) for c in (self, chunk)
            )
            if first != own:
                raise ValueError(
                    f"{column} must be alike in all chunks; got another unit, or none, in {name}"
                )


def _joined(chunks: list[Catalogue]) -> Catalogue:
    """A copy of the rows of one or more catalogues with the same columns."""
    starts = np.cumsum([0, *map(len, chunks)]).tolist()
    parts = tuple(
        part.after(start)
        for start, chunk in zip(starts, chunks, strict=False)
        for part in chunk.parts
    )
    first, columns = chunks[0], {}  # type: Any, Any
    for name in COLUMNS:
        column = getattr(first, name)
        if column is not None:
            rows = [getattr(chunk, name).array(slice(None)) for chunk in chunks]
            label = column.label
            joined = np.concatenate(rows)
            columns[name] = Column(column.name, joined, (starts[-1],), column.unit, label=label)
    skipped = sum(chunk.skipped for chunk in chunks)
    return Catalogue(first.frame, parts=parts, skipped=skipped, **columns)
