"""Tables in partitions that workers read: dask's DataFrame and lsdb's Catalog.

They are recognised by classes of packages that are loaded already; none is imported. What is done
with their partitions is `counting.workers`'.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpl_skyheat.catalogue.batches import Batch, Batches
from mpl_skyheat.catalogue.hats import OF_CELLS
from mpl_skyheat.catalogue.parquet import FINEST
from mpl_skyheat.catalogue.readers import FileTable
from mpl_skyheat.sky.reach import SkyReach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpl_skyheat.catalogue.batches import Wanted


class LazyTable(NamedTuple):
    """A table that is yet to be computed, by a `dask.delayed.Delayed`, and its name in errors."""

    table: Any
    name: str


class Partitions(Batches):
    """Tables that dask computes, each on its own."""

    def lazy(self, wanted: Wanted) -> tuple[list[LazyTable], int]:
        """The tables that may have rows in reach, and the number of partitions that have none."""
        raise NotImplementedError

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        for table, name in self.lazy(wanted)[0]:
            yield Batch(table.compute(), name)


@dataclass(frozen=True)
class DaskFrame(Partitions):
    """A `dask.dataframe.DataFrame`."""

    frame: Any

    @property
    def head(self) -> FileTable:
        from dask.dataframe.utils import make_meta

        empty = make_meta(self.frame).iloc[:0]
        return FileTable(list(empty.columns), lambda wanted: {n: empty[n] for n in wanted})

    def lazy(self, wanted: Wanted) -> tuple[list[LazyTable], int]:
        parts = self.frame[list(wanted.columns)].to_delayed()
        return [LazyTable(part, f"partition {i}") for i, part in enumerate(parts)], 0


@dataclass(frozen=True)
class LsdbCatalogue(Partitions):
    """A `lsdb.Catalog`, whose partitions have the rows of HEALPix cells."""

    catalogue: Any

    @cached_property
    def _told(self) -> Any:
        return self.catalogue.hc_structure.catalog_info

    @property
    def head(self) -> FileTable:
        empty = self.catalogue.meta.iloc[:0]
        told = self._told
        pair = tuple(getattr(told, name, None) or "" for name in ("ra_column", "dec_column"))
        names = list(empty.columns)
        return FileTable(
            names,
            lambda wanted: {name: empty[name] for name in wanted},
            positions=pair if set(pair) <= set(names) else (),
        )

    def lazy(self, wanted: Wanted) -> tuple[list[LazyTable], int]:
        cells = self.catalogue.get_ordered_healpix_pixels()
        parts = self.catalogue[list(wanted.columns)].to_delayed()
        may = self._in_reach(cells, wanted)
        named = [
            LazyTable(part, f"Norder={cell.order}, Npix={cell.pixel}")
            for cell, part, is_wanted in zip(cells, parts, may, strict=True)
            if is_wanted
        ]
        return named, len(cells) - len(named)

    def _in_reach(self, cells: Sequence[Any], wanted: Wanted) -> Any:
        """Which partitions may have rows in reach, by their cells."""
        kind = str(getattr(self._told, "catalog_type", ""))
        names = tuple(name for name, _ in wanted.positions)
        own = (self._told.ra_column, self._told.dec_column)
        if kind not in OF_CELLS or names != own or not isinstance(wanted.reach, SkyReach):
            return np.ones(len(cells), bool)
        shift = 2 * (FINEST - np.array([cell.order for cell in cells], int))
        pixel = np.array([cell.pixel for cell in cells], np.int64)
        return wanted.reach.ranges(pixel << shift, ((pixel + 1) << shift) - 1)


@dataclass(frozen=True)
class Computed(Batches):
    """Tables that are there, by name: those of a worker's task."""

    tables: tuple[Any, ...]
    names: tuple[str, ...]

    @property
    def head(self) -> FileTable:
        table = self.tables[0]
        return FileTable(list(table.columns), lambda wanted: {n: table[n] for n in wanted})

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        for table, name in zip(self.tables, self.names, strict=True):
            yield Batch({column: table[column] for column in wanted.columns}, name)
