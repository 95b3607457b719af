"""HATS catalogues: Parquet files by HEALPix cell, with a list of these cells.

The format is that of the LSST Interdisciplinary Network for Collaboration and Computing
(https://hats.readthedocs.io); files are read as it says, without its package.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.catalogue.batches import Batch, Batches
from mpl_skyheat.catalogue.files import named_errors
from mpl_skyheat.catalogue.parquet import HealpixColumn, Partition
from mpl_skyheat.sky.healpix_cells import FINEST
from mpl_skyheat.sky.reach import SkyReach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpl_skyheat.catalogue.batches import Wanted
    from mpl_skyheat.catalogue.places import Place
    from mpl_skyheat.catalogue.readers import FileTable
    from mpl_skyheat.compute.arrays import BoolArray

# Files that make a folder the root of a catalogue, and of a collection of one with its margins.
PROPERTIES = ("hats.properties", "properties")
COLLECTION = "collection.properties"

# Types of catalogues whose partitions have the rows of their cells, and no others.
OF_CELLS = ("object", "source", "nested")

# Cells in a folder, which is named after the first of them.
IN_FOLDER = 10_000

# The usual name of the column of HEALPix numbers.
HEALPIX = "_healpix_29"


@dataclass(frozen=True)
class HatsCatalogue(Batches):
    """The main table of a HATS catalogue.

    ``orders`` and ``pixels`` are the cells of its partitions. ``rows`` is the number of rows that
    its properties tell, if they do.
    """

    place: Place
    orders: tuple[int, ...]
    pixels: tuple[int, ...]
    positions: tuple[str, ...]
    healpix: HealpixColumn
    suffix: str = ".parquet"
    rows: int | None = None

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def head(self) -> FileTable:
        return self._partitions_of(0)[0].head

    def read(self, wanted: Wanted) -> Iterator[Batch]:
        may, seen = self._in_reach(wanted), 0
        for i in np.flatnonzero(may):
            for partition in self._partitions_of(int(i)):
                for batch in partition.read(wanted):
                    seen += batch.skipped + _rows_of(batch)
                    yield batch
        if not may.all():
            yield Batch(None, self.name, skipped=self._others(seen, may))

    def _in_reach(self, wanted: Wanted) -> BoolArray:
        """Which partitions may have rows in reach, by their cells."""
        names = tuple(name for name, _ in wanted.positions)
        if names != self.positions or not isinstance(wanted.reach, SkyReach):
            return np.ones(len(self.orders), bool)
        return wanted.reach.cells(np.array(self.orders), np.array(self.pixels, np.int64))

    def _others(self, seen: int, may: BoolArray) -> int:
        """The number of rows in partitions that have not been looked into."""
        if self.rows is not None and self.rows >= seen:
            return self.rows - seen
        left = (part for i in np.flatnonzero(~may) for part in self._partitions_of(int(i)))
        return sum(part.number_of_rows() for part in left)

    def _partitions_of(self, i: int) -> list[Partition]:
        order, pixel = self.orders[i], self.pixels[i]
        folder = f"dataset/Norder={order}/Dir={pixel // IN_FOLDER * IN_FOLDER}"
        where = self.place.child(f"{folder}/Npix={pixel}")
        name = f"Norder={order}, Npix={pixel}"
        options: Any = {"healpix": self.healpix, "positions": self.positions}
        if self.suffix != "/":
            return [Partition(where.filesystem, where.path + self.suffix, name, **options)]
        return [
            Partition(file.filesystem, file.path, f"{name}, {PurePosixPath(file.path).name}",
                      **options)
            for file in where.parquet_files()
        ]  # fmt: skip


def _rows_of(batch: Batch) -> int:
    return 0 if batch.table is None else len(next(iter(batch.table.values())))


def hats_catalogue(place: Place) -> HatsCatalogue | None:
    """The main table of the HATS catalogue or collection at a place; None if it is none."""
    with named_errors(place.name, "a HATS catalogue"):
        collection = place.text(COLLECTION)
        if collection is not None:
            main = _parsed(collection).get("hats_primary_table_url", "")
            if not main or "://" in main or main.startswith("/") or ".." in main.split("/"):
                raise ValueError(f"its main table is not in it, but at {main!r}: give that itself")
            place = place.child(main)
        text = next(filter(None, map(place.text, PROPERTIES)), None)
        properties = _parsed(text or "")
        if not any(key.startswith("hats_") for key in properties):
            if collection is not None:
                raise ValueError(f"there is no hats.properties in {place.name}")
            return None
        return _of_properties(place, properties)


def _of_properties(place: Place, properties: dict[str, str]) -> HatsCatalogue:
    kind = properties.get("dataproduct_type", "object")
    if kind not in OF_CELLS:
        raise ValueError(f"it is a table of the type {kind!r}, not of objects or sources")
    positions = tuple(properties.get(f"hats_col_{axis}", axis) for axis in ("ra", "dec"))
    column = properties.get("hats_col_healpix", HEALPIX)
    order = int(properties.get("hats_col_healpix_order", FINEST))
    cells = _cells(place)
    if not cells:
        raise ValueError("it has no partition")
    rows = properties.get("hats_nrows", "")
    return HatsCatalogue(
        place,
        tuple(order for order, _ in cells),
        tuple(pixel for _, pixel in cells),
        positions,
        HealpixColumn(column, positions, order),
        properties.get("hats_npix_suffix", ".parquet"),
        int(rows) if rows.isdecimal() else None,
    )


def _cells(place: Place) -> list[tuple[int, int]]:
    """Order and pixel of each partition: as they are listed, else as the names of files say."""
    text = place.text("partition_info.csv")
    if text is not None:
        rows = csv.DictReader(text.splitlines())
        listed = [(int(row["Norder"]), int(row["Npix"])) for row in rows]
        return list(dict.fromkeys(listed))
    paths = (file.path for file in place.child("dataset").parquet_files())
    found = (re.search(r"Norder=(\d+)/Dir=\d+/Npix=(\d+)", path) for path in paths)
    return sorted({(int(match[1]), int(match[2])) for match in found if match})


def _parsed(text: str) -> dict[str, str]:
    """The entries of a file of properties, "name = value" by lines."""
    entries = (re.split(r"\s*[=:]\s*", line.strip(), maxsplit=1) for line in text.splitlines())
    pairs = (entry for entry in entries if len(entry) == 2 and not entry[0].startswith(("#", "!")))
    return {name: value.replace("\\", "") for name, value in pairs}
