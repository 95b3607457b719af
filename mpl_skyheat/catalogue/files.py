"""Catalogue files: `read_file` is the one place where the package opens one."""

from __future__ import annotations

import os
import warnings
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpl_skyheat.catalogue.readers import READERS, ending_of
from mpl_skyheat.compute.warning import SkyHeatmapWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mpl_skyheat.catalogue.readers import FileTable


@dataclass(frozen=True)
class FileColumns:
    """Columns that were read from a file, as a table of any accepted kind."""

    path: Path
    table: Any = field(repr=False)


def read_file(
    name: str | os.PathLike[str], choose: Callable[[FileTable], Sequence[str]]
) -> FileColumns:
    """Read columns of the first table of a file that has them.

    ``choose`` returns the names of the columns that are needed, or raises a ValueError where a
    table does not have them. If none has, that of the first is raised, with the file's name.
    """
    path = checked_path(name)
    kind, reader = READERS[ending_of(path)]
    refusal, found = None, None
    with closing(reader(path)) as tables:
        for table in _named(tables, path, kind):
            try:
                wanted = choose(table)
            except ValueError as error:
                refusal = refusal or error
                continue
            if found is None:
                found, place = _load(table, wanted, path, kind), table.place
                continue
            warnings.warn(
                f"{path} has these columns in {place} and in {table.place}: the first is read",
                SkyHeatmapWarning,
                stacklevel=6,  # of a call of sky_map or sky_heatmap
            )
            break
    if refusal is not None and found is None:
        raise ValueError(f"{path}: {refusal}") from refusal
    if found is None:
        raise ValueError(f"{path} has no table that can be read")
    return FileColumns(path, found)


def checked_path(name: str | os.PathLike[str]) -> Path:
    """The path of a catalogue file that is there and has a known ending; else an error."""
    if "://" in str(name):
        raise ValueError(f"data must be a file on this machine; got {str(name)!r}: download it")
    path = Path(name).expanduser()
    try:
        is_folder, is_there, is_file = path.is_dir(), path.exists(), path.is_file()
    except OSError as error:
        raise type(error)(f"{path} cannot be read: {error.strerror}") from error
    if is_folder:
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if ending_of(path) not in READERS:
        raise ValueError(
            f"data must be a table, or a file whose name ends in {', '.join(READERS)} (.gz may "
            f"follow); got {str(name)!r}"
        )
    if not is_there:
        raise FileNotFoundError(f"no such file: {path}")
    if not is_file:
        raise ValueError(f"{path} is not a regular file")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"no permission to read {path}")
    return path


def _named(tables: Iterator[Any], path: Path, kind: str) -> Iterator[Any]:
    """Yield tables, with `named_errors`."""
    with named_errors(path, kind):
        yield from tables


@contextmanager
def named_errors(name: object, kind: str) -> Iterator[None]:
    """Have an error of a reader, which may be of any class, name what it reads as which kind."""
    try:
        yield
    except ImportError:
        raise
    except MemoryError as error:
        raise ValueError(f"{name} does not fit in memory") from error
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        text = f"{text} is missing" if isinstance(error, KeyError) else text
        raise ValueError(f"{name} cannot be read as {kind}: {text}") from error


def _load(table: FileTable, wanted: Sequence[str], path: Path, kind: str) -> Any:
    """The columns that are wanted; an error that names the file if they cannot be read."""
    return next(_named((table.load(wanted) for _ in range(1)), path, kind)) if wanted else {}
