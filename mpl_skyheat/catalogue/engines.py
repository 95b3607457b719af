"""Tables that others read: datasets of pyarrow, lazy frames of polars, relations of duckdb.

They are recognised by classes of packages that are loaded already; none is imported.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mpl_skyheat.catalogue.batches import Batch, Batches
from mpl_skyheat.catalogue.blocks import ARRAY_ROWS
from mpl_skyheat.catalogue.clusters import DaskFrame, LsdbCatalogue
from mpl_skyheat.catalogue.hats import HEALPIX
from mpl_skyheat.catalogue.opening import is_parquet, open_parquet, open_several
from mpl_skyheat.catalogue.parquet import HealpixColumn, Partition
from mpl_skyheat.catalogue.readers import ArrowColumns, FileTable
from mpl_skyheat.compute.loaded import is_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mpl_skyheat.catalogue.batches import Wanted


def batches_of(data: Any) -> Batches | None:
    """Data that come in batches: Parquet by name, or of an engine; None for anything else."""
    if isinstance(data, Batches):
        return data
    if isinstance(data, str | os.PathLike):
        return open_parquet(data) if is_parquet(data) else None
    if isinstance(data, list | tuple):
        are_names = data and all(isinstance(name, str | os.PathLike) for name in data)
        return open_several(data) if are_names and all(map(is_parquet, data)) else None
    return next((make(data) for kind, make in KINDS.items() if is_of(data, *kind)), None)


def is_engine(data: Any) -> bool:
    """Whether these are data of an engine, whatever has their columns."""
    return any(is_of(data, *kind) for kind in KINDS)


@dataclass(frozen=True)
class ArrowDataset(Batches):
    """A `pyarrow.dataset.Dataset`: of Parquet files, row groups; else what it yields."""

    dataset: Any

    @cached_property
    def _columns(self) -> ArrowColumns:
        return ArrowColumns(self.dataset.schema)

    @property
    def head(self) -> FileTable:
        return _head_of(self._columns, self.dataset.schema)

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        stored = self._columns.stored(wanted.columns)
        try:
            fragments = list(self.dataset.get_fragments())
        except ValueError:  # of a dataset with a filter, which its fragments do not know
            yield from _taken(self.dataset.to_batches(columns=stored), self._columns, wanted)
            return
        for fragment in fragments:
            if is_of(fragment, "pyarrow.dataset", "ParquetFileFragment") and set(stored) <= set(
                fragment.physical_schema.names
            ):
                yield from _partition_of(fragment).read(wanted)
                continue
            batches = fragment.to_batches(schema=self.dataset.schema, columns=stored)
            yield from _taken(batches, self._columns, wanted, name=getattr(fragment, "path", ""))


def _partition_of(fragment: Any) -> Partition:
    numbers = tuple(group.id for group in fragment.row_groups)
    return Partition(
        fragment.filesystem,
        fragment.path,
        fragment.path,
        HealpixColumn(HEALPIX, ("ra", "dec")),
        row_groups=numbers,
        metadata=fragment.metadata,
    )


@dataclass(frozen=True)
class ArrowScanner(Batches):
    """A `pyarrow.dataset.Scanner`, of which all columns are read."""

    scanner: Any
    is_read_once = True

    @cached_property
    def _columns(self) -> ArrowColumns:
        return ArrowColumns(self.scanner.projected_schema)

    @property
    def head(self) -> FileTable:
        return _head_of(self._columns, self.scanner.projected_schema)

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        return _taken(self.scanner.to_batches(), self._columns, wanted)


@dataclass(frozen=True)
class PolarsFrame(Batches):
    """A `polars.LazyFrame`."""

    frame: Any

    @property
    def head(self) -> FileTable:
        schema = self.frame.collect_schema()
        empty = sys.modules["polars"].DataFrame(schema=schema)
        return FileTable(list(schema.names()), lambda wanted: {n: empty[n] for n in wanted})

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        chosen, first = self.frame.select(wanted.columns), 0
        if hasattr(chosen, "collect_batches"):
            tables = chosen.collect_batches(chunk_size=ARRAY_ROWS)
        else:  # of before 1.34, which does not read in batches
            tables = [chosen.collect()]
        for table in tables:
            yield Batch({name: table[name] for name in wanted.columns}, "the LazyFrame", first)
            first += len(table)


@dataclass(frozen=True)
class DuckRelation(Batches):
    """A `duckdb.DuckDBPyRelation`."""

    relation: Any

    @property
    def head(self) -> FileTable:
        def load(wanted: Sequence[str]) -> dict[str, Any]:
            schema = self._reader(wanted, self.relation.limit(0)).schema
            return ArrowColumns(schema).taken(schema.empty_table(), wanted)

        return FileTable(list(self.relation.columns), load)

    def _reader(self, columns: Sequence[str], relation: Any) -> Any:
        quoted = ('"' + name.replace('"', '""') + '"' for name in columns)
        chosen = relation.project(", ".join(quoted))
        name = "to_arrow_reader" if hasattr(chosen, "to_arrow_reader") else "fetch_arrow_reader"
        return getattr(chosen, name)(ARRAY_ROWS)

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        reader = self._reader(wanted.columns, self.relation)
        return _taken(reader, ArrowColumns(reader.schema), wanted, name="the relation")


def _parquet_file(file: Any) -> Partition:
    """A `pyarrow.parquet.ParquetFile`, which its owner closes."""
    return Partition(None, "", "the ParquetFile", HealpixColumn(HEALPIX, ("ra", "dec")), file=file)


def _head_of(columns: ArrowColumns, schema: Any) -> FileTable:
    return columns.described(lambda wanted: columns.taken(schema.empty_table(), wanted))


def _taken(
    batches: Iterable[Any], columns: ArrowColumns, wanted: Wanted, *, name: str = ""
) -> Iterator[Batch]:
    """Yield batches of Arrow as tables; without a name, each has its number in the stream."""
    table_of, first = sys.modules["pyarrow"].Table.from_batches, 0
    for batch in batches:
        yield Batch(columns.taken(table_of([batch]), wanted.columns), name, first if name else 0)
        first += batch.num_rows


# What makes batches of objects, by the module and the name of their class.
KINDS: dict[tuple[str, str], Callable[[Any], Batches]] = {
    ("pyarrow.dataset", "Dataset"): ArrowDataset,
    ("pyarrow.dataset", "Scanner"): ArrowScanner,
    ("pyarrow.parquet", "ParquetFile"): _parquet_file,
    ("polars", "LazyFrame"): PolarsFrame,
    ("duckdb", "DuckDBPyRelation"): DuckRelation,
    ("dask.dataframe", "DataFrame"): DaskFrame,
    ("lsdb", "Catalog"): LsdbCatalogue,
}
