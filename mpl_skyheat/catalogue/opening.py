"""Catalogues of Parquet files by the name of a file, folder, pattern, HATS table or address."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mpl_skyheat.catalogue.hats import HEALPIX, hats_catalogue
from mpl_skyheat.catalogue.parquet import HealpixColumn, ParquetFiles, Partition
from mpl_skyheat.catalogue.places import PARQUET, is_pattern, place_at, places_like
from mpl_skyheat.catalogue.readers import READERS, ending_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mpl_skyheat.catalogue.batches import Batches
    from mpl_skyheat.catalogue.places import Place

# What a partition of HATS has in its path, after the root of its table.
DATASET = "/dataset/Norder="


def is_parquet(name: str | os.PathLike[str]) -> bool:
    """Whether a name is that of a Parquet file, or of something that may have such files."""
    text = os.fspath(name)
    path = Path(text)
    if text.lower().endswith(PARQUET):
        return True
    if "://" in text or is_pattern(text):
        return ending_of(path) not in READERS
    return os.path.isdir(path.expanduser())  # False for a name that cannot be looked up


def open_parquet(name: str | os.PathLike[str]) -> Batches:
    """The Parquet files of a name: of one, a folder, a glob, a HATS catalogue, or an address."""
    text = os.fspath(name)
    _check_pyarrow(text)
    if is_pattern(text):
        return _together(places_like(text), text)
    place = place_at(text)
    if text.lower().endswith(PARQUET) and place.is_file:
        return _together([place], text)
    # (Before it is asked for files: a server may call a folder one.)
    found: Batches | None = hats_catalogue(place)
    if found is None:
        found = _together([place] if place.is_file else place.parquet_files(), text)
    return found


def open_several(names: Sequence[str | os.PathLike[str]]) -> ParquetFiles:
    """Parquet files of a list of names, as one catalogue."""
    _check_pyarrow(os.fspath(names[0]))
    return _together(map(place_at, names), "data")


def _check_pyarrow(name: str) -> None:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            f"{name} is read by pyarrow, which is missing: pip install 'mpl-skyheat[parquet]'"
        ) from error
    del parquet


def _together(places: Iterable[Place], name: str) -> ParquetFiles:
    """Files as one catalogue; a ValueError if there are none, or some have rows of others again."""
    places = list(places)
    if not places:
        raise FileNotFoundError(f"no Parquet file in {name}")
    tables = {place.path.partition(DATASET)[0] for place in places if DATASET in place.path}
    if len(tables) > 1:
        listed = ", ".join(sorted(tables))
        raise ValueError(
            f"{name} has several tables of HATS, of which one may have the rows of another again: "
            f"{listed[:200]}: give one of them"
        )
    healpix = HealpixColumn(HEALPIX, ("ra", "dec"))
    partitions = (Partition(p.filesystem, p.path, p.name, healpix) for p in places)
    return ParquetFiles(tuple(partitions), name)
