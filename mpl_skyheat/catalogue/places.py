"""Where Parquet is: files, folders and globs of this machine, and addresses that pyarrow opens.

Nothing is opened but what the user has named, and what is below it.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mpl_skyheat.catalogue.files import checked_path, named_errors

# Endings of the names of Parquet files.
PARQUET = (".parquet", ".pq", ".parq")

# First letters of files and folders that have no rows of the catalogue, as for pyarrow; and the
# name of a file of HATS that has some of its rows again.
HIDDEN = ("_", ".")
THUMBNAIL = "data_thumbnail.parquet"

# What makes the name of a file a pattern of many.
WILD = ("*", "?", "[")


@dataclass(frozen=True)
class Place:
    """A path in a filesystem of pyarrow; ``name`` is what the user calls it."""

    filesystem: Any
    path: str
    name: str

    def child(self, path: str) -> Place:
        """A path below this one."""
        return Place(self.filesystem, f"{self.path.rstrip('/')}/{path}", f"{self.name}/{path}")

    def text(self, child: str) -> str | None:
        """The text of a small file below this path; None if there is no such file."""
        path = self.child(child).path
        if not self.filesystem.get_file_info(path).is_file:
            return None
        with self.filesystem.open_input_stream(path, compression=None) as file:
            content: bytes = file.read()
        return content.decode()

    @property
    def is_file(self) -> bool:
        """Whether there is a file at this path."""
        with named_errors(self.name, "Parquet"):
            return bool(self.filesystem.get_file_info(self.path).is_file)

    def parquet_files(self) -> list[Place]:
        """All Parquet files below this path, by name."""
        from pyarrow import fs

        with named_errors(self.name, "Parquet"):
            selector = fs.FileSelector(self.path, recursive=True)
            infos = self.filesystem.get_file_info(selector)
        # With forward slashes on every machine.
        paths = sorted(info.path for info in infos if info.is_file)
        root = self.path.rstrip("/")
        below = ((path, path[len(root) :].lstrip("/")) for path in paths)
        return [
            Place(self.filesystem, path, f"{self.name.rstrip('/')}/{name}")
            for path, name in below
            if name.lower().endswith(PARQUET) and not _is_hidden(name)
        ]


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(HIDDEN) for part in parts) or parts[-1] == THUMBNAIL


def is_pattern(text: str) -> bool:
    """Whether a name is a pattern of many files, and not one of a file."""
    if "://" in text:
        return "*" in text  # other letters have other meanings in an address
    return any(letter in text for letter in WILD) and not os.path.exists(text)


def place_at(name: str | os.PathLike[str]) -> Place:
    """The place of a name; an error if there is neither a folder nor a file that can be read."""
    from pyarrow import fs

    text = os.fspath(name)
    if "://" in text:
        return _place_of_url(text)
    path = Path(text).expanduser()
    if not path.is_dir():
        checked_path(path)
    return Place(fs.LocalFileSystem(), path.as_posix(), text.rstrip("/") or "/")


def _place_of_url(url: str) -> Place:
    """The place of an address, by pyarrow, or by fsspec for what it does not know."""
    from pyarrow import ArrowInvalid, fs

    with named_errors(url, "Parquet"):
        try:
            known, path = fs.FileSystem.from_uri(url)
        except ArrowInvalid:
            filesystem, path = _by_fsspec(url)
            known = fs.PyFileSystem(fs.FSSpecHandler(filesystem))
    return Place(known, path, url.rstrip("/"))


def _by_fsspec(url: str) -> tuple[Any, str]:
    """The filesystem of fsspec, and the path in it, of an address."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        text = f"{url} is opened by fsspec, which is missing: pip install fsspec"
        raise ImportError(text) from error
    filesystem, path = url_to_fs(url)
    return filesystem, path


def places_like(pattern: str) -> list[Place]:
    """The Parquet files whose names are as a pattern says; those at an address by fsspec."""
    from pyarrow import fs

    if "://" in pattern:
        with named_errors(pattern, "Parquet"):
            filesystem, path = _by_fsspec(pattern)
            found = [name for name in filesystem.glob(path) if filesystem.isfile(name)]
        where: Any = fs.PyFileSystem(fs.FSSpecHandler(filesystem))
    else:
        paths = map(Path, glob.glob(str(Path(pattern).expanduser()), recursive=True))
        found = [path.as_posix() for path in paths if path.is_file()]
        where = fs.LocalFileSystem()
    return [
        Place(where, name, name)
        for name in sorted(found)
        if name.lower().endswith(PARQUET) and PurePosixPath(name).name != THUMBNAIL
    ]
