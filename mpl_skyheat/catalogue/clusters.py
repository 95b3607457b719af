"""Tables in partitions that workers read: dask's DataFrame and lsdb's Catalog.

They are recognised by classes of packages that are loaded already; none is imported. What is done
with their partitions is `counting.workers`'.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpl_skyheat.catalogue.batches import Batch, Batches
from mpl_skyheat.catalogue.hats import OF_CELLS
from mpl_skyheat.catalogue.readers import FileTable
from mpl_skyheat.sky.reach import SkyReach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpl_skyheat.catalogue.batches import Wanted


class LazyTables(NamedTuple):
    """Partitions as `dask.delayed.Delayed`, their names in errors, and the number left out."""

    tables: list[Any]
    names: list[str]
    left_out: int = 0


class Partitions(Batches):
    """Partitions of a table of dask, which computes each on its own."""

    @abstractmethod
    def lazy(self, wanted: Wanted) -> LazyTables:
        """The partitions that may have rows in reach."""

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        found = self.lazy(wanted)
        for table, name in zip(found.tables, found.names, strict=True):
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

    def lazy(self, wanted: Wanted) -> LazyTables:
        parts = list(self.frame[list(wanted.columns)].to_delayed())
        return LazyTables(parts, [f"partition {i}" for i in range(len(parts))])


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

    def lazy(self, wanted: Wanted) -> LazyTables:
        cells = self.catalogue.get_ordered_healpix_pixels()
        parts = self.catalogue[list(wanted.columns)].to_delayed()
        some, names = [], []
        for cell, part, may in zip(cells, parts, self._in_reach(cells, wanted), strict=True):
            if may:
                some.append(part)
                names.append(f"Norder={cell.order}, Npix={cell.pixel}")
        return LazyTables(some, names, len(cells) - len(some))

    def _in_reach(self, cells: Sequence[Any], wanted: Wanted) -> Any:
        """Which partitions may have rows in reach, by their cells."""
        kind = str(getattr(self._told, "catalog_type", ""))
        names = tuple(name for name, _ in wanted.positions)
        own = (self._told.ra_column, self._told.dec_column)
        if kind not in OF_CELLS or names != own or not isinstance(wanted.reach, SkyReach):
            return np.ones(len(cells), bool)
        # The shape is that of no cells, too, which a cone that misses the catalogue leaves.
        known = np.array([(cell.order, cell.pixel) for cell in cells], np.int64).reshape(-1, 2)
        return wanted.reach.cells(*known.T)


@dataclass(frozen=True)
class Computed(Batches):
    """Partitions that have been computed, as a worker's task has them, and their names."""

    tables: tuple[Any, ...]
    names: tuple[str, ...]

    @property
    def head(self) -> FileTable:
        table = self.tables[0]
        return FileTable(list(table.columns), lambda wanted: {n: table[n] for n in wanted})

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        for table, name in zip(self.tables, self.names, strict=True):
            yield Batch({column: table[column] for column in wanted.columns}, name)
