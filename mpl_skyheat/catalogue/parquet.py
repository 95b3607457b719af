"""Parquet files, alone or together, of which row groups that cannot reach a map are not read."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.catalogue.batches import Batch, Batches
from mpl_skyheat.catalogue.blocks import ARRAY_ROWS
from mpl_skyheat.catalogue.files import named_errors
from mpl_skyheat.catalogue.readers import ArrowColumns
from mpl_skyheat.sky.healpix_cells import FINEST
from mpl_skyheat.sky.reach import SkyReach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpl_skyheat.catalogue.batches import Wanted
    from mpl_skyheat.catalogue.readers import FileTable
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray

# The last of the HEALPix numbers in statistics.
LAST_NUMBER = 12 * 4**FINEST - 1


@dataclass(frozen=True)
class HealpixColumn:
    """A column of HEALPix numbers (nested), and the columns of the positions that they are of."""

    name: str
    positions: tuple[str, ...]
    order: int = FINEST


@dataclass(frozen=True)
class Partition(Batches):
    """A Parquet file: a catalogue on its own, or a part of one.

    ``name`` is what errors call it. ``filesystem`` is one of pyarrow; where a reader has the
    ``file`` open already, there is none. ``row_groups`` are those that are the catalogue's; None
    for all.
    """

    filesystem: Any
    path: str
    name: str
    healpix: HealpixColumn | None = None
    positions: tuple[str, ...] = ()
    row_groups: tuple[int, ...] | None = None
    file: Any = None
    metadata: Any = None

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The open file, as a `pyarrow.parquet.ParquetFile`."""
        if self.file is not None:
            yield self.file
            return
        from pyarrow import parquet

        is_remote = self.filesystem.type_name != "local"
        with (
            self.filesystem.open_input_file(self.path) as content,
            parquet.ParquetFile(content, metadata=self.metadata, pre_buffer=is_remote) as file,
        ):
            yield file

    @property
    def head(self) -> FileTable:
        with named_errors(self.name, "Parquet"), self.opened() as file:
            schema = file.schema_arrow
        columns = ArrowColumns(schema)
        return columns.described(
            lambda wanted: columns.taken(schema.empty_table(), wanted), self.positions
        )

    def number_of_rows(self) -> int:
        """The number of rows, as the file says it."""
        with named_errors(self.name, "Parquet"), self.opened() as file:
            return sum(RowGroups(file.metadata, self.row_groups).rows)

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        with named_errors(self.name, "Parquet"), self.opened() as file:
            columns = ArrowColumns(file.schema_arrow)
            groups = RowGroups(file.metadata, self.row_groups)
            stored, skipped = columns.stored(wanted.columns), 0
            missing = [name for name in stored if name not in columns.names]
            if missing:
                raise ValueError(f"it has no column {missing[0]!r}")
            for run in groups.runs(wanted, self.healpix):
                if not run.is_read:
                    skipped += run.rows
                    continue
                first = run.first
                for table in _tables(file, run, stored):
                    yield Batch(columns.taken(table, wanted.columns), self.name, first, skipped)
                    first, skipped = first + table.num_rows, 0
            if skipped:
                yield Batch(None, self.name, skipped=skipped)


@dataclass(frozen=True)
class Run:
    """Row groups one after the other, from a row of the file on, which are read or skipped."""

    numbers: list[int]
    first: int
    rows: int
    is_read: bool


class RowGroups:
    """Row groups of a Parquet file: their rows, and what their statistics say of them."""

    def __init__(self, metadata: Any, numbers: Sequence[int] | None = None) -> None:
        self._metadata = metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self.numbers = list(range(len(sizes))) if numbers is None else list(numbers)
        starts = np.cumsum([0, *sizes]).tolist()
        self._firsts = [starts[number] for number in self.numbers]
        self.rows = [sizes[number] for number in self.numbers]

    def runs(self, wanted: Wanted, healpix: HealpixColumn | None) -> Iterator[Run]:
        """Yield all row groups in order, some together; what is in reach is asked run by run."""
        start = 0
        while start < len(self.numbers):
            stop = start + 1
            while stop < len(self.numbers) and sum(self.rows[start : stop + 1]) <= ARRAY_ROWS:
                stop += 1
            yield from self._parted(start, self._in_reach(start, stop, wanted, healpix))
            start = stop

    def _parted(self, start: int, is_read: BoolArray) -> Iterator[Run]:
        """Yield row groups from one on, as runs of neighbours that are all read, or all skipped."""
        stop = start + len(is_read)
        breaks = [start]
        for i in range(start + 1, stop):
            follows = self._firsts[i] == self._firsts[i - 1] + self.rows[i - 1]
            if is_read[i - start] != is_read[i - 1 - start] or not follows:
                breaks.append(i)
        for first, last in zip(breaks, [*breaks[1:], stop], strict=True):
            part = slice(first, last)
            rows = sum(self.rows[part])
            read = bool(is_read[first - start])
            yield Run(self.numbers[part], self._firsts[first], rows, read)

    def _in_reach(
        self, start: int, stop: int, wanted: Wanted, healpix: HealpixColumn | None
    ) -> BoolArray:
        """Whether row groups may have rows in reach, by all that is known of each."""
        may = np.ones(stop - start, bool)
        names = tuple(name for name, _ in wanted.positions)
        if wanted.reach is None or not names:
            return may
        if (
            healpix is not None
            and healpix.positions == names
            and isinstance(wanted.reach, SkyReach)
        ):
            may &= wanted.reach.ranges(*self._numbers_in(start, stop, healpix))
        bounds = [
            bound * factor
            for name, factor in wanted.positions
            for bound in self._bounds_of(start, stop, name)
        ]
        return may & wanted.reach.boxes(*bounds)

    def _numbers_in(
        self, start: int, stop: int, healpix: HealpixColumn
    ) -> tuple[IntArray, IntArray]:
        """The least and the largest HEALPix number of order 29 in row groups."""
        low, high = np.zeros(stop - start, np.int64), np.full(stop - start, LAST_NUMBER)
        shift = 2 * (FINEST - healpix.order)
        for i in range(start, stop):
            found = self._statistics(i, healpix.name)
            if found is not None and isinstance(found.min, int):
                low[i - start] = found.min << shift
                high[i - start] = ((found.max + 1) << shift) - 1
        return low, high

    def _bounds_of(self, start: int, stop: int, name: str) -> tuple[FloatArray, FloatArray]:
        """The least and the largest value of a column in row groups; NaN where unknown."""
        bounds = np.full((2, stop - start), np.nan)
        for i in range(start, stop):
            found = self._statistics(i, name)
            # (Of other types, such as dates, an error is raised once they are read.)
            if found is not None and type(found.min) in (int, float, Decimal):
                bounds[:, i - start] = float(found.min), float(found.max)
        return bounds[0], bounds[1]

    def _statistics(self, i: int, name: str) -> Any:
        """The statistics of a column in a row group, if there are any."""
        column = self._columns.get(name)
        if column is None:
            return None
        found = self._metadata.row_group(self.numbers[i]).column(column).statistics
        return found if found is not None and found.has_min_max else None

    @cached_property
    def _columns(self) -> dict[str, int]:
        schema = self._metadata.schema
        return {schema.column(i).path: i for i in range(self._metadata.num_columns)}


def _tables(file: Any, run: Run, columns: list[str]) -> Iterator[Any]:
    """Yield the rows of a run as Arrow tables of not many more than `ARRAY_ROWS` rows."""
    if run.rows <= ARRAY_ROWS:
        yield file.read_row_groups(run.numbers, columns=columns)
        return
    from pyarrow import Table

    for batch in file.iter_batches(ARRAY_ROWS, row_groups=run.numbers, columns=columns):
        yield Table.from_batches([batch])


@dataclass(frozen=True)
class ParquetFiles(Batches):
    """The Parquet files of a folder, or of a list of them, as one catalogue."""

    partitions: tuple[Partition, ...]
    name: str

    @property
    def head(self) -> FileTable:
        return self.partitions[0].head

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        for partition in self.partitions:
            yield from partition.read(wanted)
