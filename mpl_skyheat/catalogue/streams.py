"""A catalogue that comes in chunks and can be read once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.catalogue.blocks import ARRAY_ROWS, Catalogue
from mpl_skyheat.catalogue.columns import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from astropy.coordinates import BaseCoordinateFrame

# Attributes of a `Catalogue` that are columns.
COLUMNS = ("lon", "lat", "weights", "values", "widths")


class Stream:
    """A catalogue that comes in chunks, each of which is a `Catalogue`, and can be read once."""

    def __init__(self, chunks: Iterator[Any], read: Callable[[Any], Catalogue]) -> None:
        self._read, self._rest = read, chunks
        first = next(chunks, None)
        if first is None:
            raise ValueError("points must have at least one chunk; got an iterator without any")
        # All chunks must have the frame and the units of the first.
        head = read(first)
        self._first: Catalogue | None = head
        self.frame, self.weights, self.values = head.frame, head.weights, head.values
        self.lon, self.lat = head.lon, head.lat
        self.weights_unit, self.values_unit = head.weights_unit, head.values_unit
        self.widths, self.widths_unit = head.widths, head.widths_unit
        self._sky: BaseCoordinateFrame | None = None
        self._read_ahead: list[Catalogue] = []

    @property
    def narrowest(self) -> None:
        """The smallest of the widths, which is not known before all chunks have been read."""

    def typical_value(self) -> float:
        """The median of some values of the first chunk that has any, up to which chunks are read.

        They are kept for `chunks`.
        """
        assert self._first is not None
        ahead = [self._first, *self._read_ahead]
        while self.values is not None and not ahead[-1].has_values:
            item = next(self._rest, None)
            if item is None:
                break
            ahead.append(self._next(item, len(ahead)))
            self._read_ahead.append(ahead[-1])
        return ahead[-1].typical_value()

    def in_frame(self, frame: BaseCoordinateFrame | None) -> Stream:
        """This stream, whose chunks are for a map in a frame from now on (`Catalogue.in_frame`)."""
        self._sky = frame
        return self

    def chunks(self) -> Iterator[Catalogue]:
        """Yield the chunks, checked against the first; a ValueError if they have been read."""
        if self._first is None:
            raise ValueError(
                "points must be arrays or a table where they are to be read more than once, as for "
                "the bounds of a map; got an iterator, which can be read once"
            )
        chunk, self._first = self._first, None
        yield chunk.in_frame(self._sky)
        ahead, self._read_ahead = self._read_ahead, []
        for chunk in ahead:
            yield chunk.in_frame(self._sky)
        for number, item in enumerate(self._rest, 1 + len(ahead)):
            yield self._next(item, number).in_frame(self._sky)

    def _next(self, item: Any, number: int) -> Catalogue:
        chunk = self._read(item)
        if chunk.parts == ((0, ""),):  # a file has its name there
            chunk = replace(chunk, parts=((0, f" of chunk {number}"),))
        self._check(chunk, number)
        return chunk

    def gathered(self, rows: int = ARRAY_ROWS) -> Iterator[Catalogue]:
        """Yield copies of the chunks, joined until they have a number of rows or more.

        In small batches compiled code takes three times as long for a row. Copies, as the iterator
        may use a chunk's arrays again for the next one.
        """
        copies = (_joined([chunk]) for chunk in self.chunks())
        for copy in copies:
            held = [copy]
            while sum(map(len, held)) < rows and (more := next(copies, None)) is not None:
                held.append(more)
            yield _joined(held) if len(held) > 1 else copy

    def _check(self, chunk: Catalogue, number: int) -> None:
        is_same_frame = self.frame is chunk.frame  # None for both
        if self.frame is not None and chunk.frame is not None:
            is_same_frame = self.frame.is_equivalent_frame(chunk.frame)
        if not is_same_frame:
            raise ValueError(
                f"points must be in one frame; got {chunk.frame!r} in chunk {number}, after "
                f"{self.frame!r}"
            )
        for name in ("weights", "values", "widths"):
            first, own = (
                (getattr(c, name) is None, getattr(c, f"{name}_unit")) for c in (self, chunk)
            )
            if first != own:
                raise ValueError(
                    f"{name} must be alike in all chunks; got another unit, or none, in chunk "
                    f"{number}"
                )


def _joined(chunks: list[Catalogue]) -> Catalogue:
    """A copy of the rows of one or more catalogues with the same columns."""
    starts = np.cumsum([0, *map(len, chunks)]).tolist()
    parts = tuple(
        (start + row, name)
        for start, chunk in zip(starts, chunks, strict=False)
        for row, name in chunk.parts
    )
    first, columns = chunks[0], {}  # type: Any, Any
    for name in COLUMNS:
        column = getattr(first, name)
        if column is not None:
            rows = [getattr(chunk, name).array(slice(None)) for chunk in chunks]
            columns[name] = Column(column.name, np.concatenate(rows), (starts[-1],), column.unit)
    return Catalogue(first.frame, parts=parts, **columns)
