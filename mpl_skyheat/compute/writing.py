"""Files that are written whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Endings of the names of FITS files; others would be opened by what cannot read them.
FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz")


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a new file, to be written, which then takes the place of another.

    It is in the same folder and has the same ending. After an error, such as a full disk, it is
    gone, and what was there is as it was.
    """
    target = Path(os.path.realpath(path))  # a link to a file stays one
    if target.exists() and not target.is_file():
        yield target  # a device or a pipe
        return
    new = target.with_name(f".skyheat-{secrets.token_hex(8)}{target.suffix}")
    try:
        yield new
        with new.open("rb+") as file:
            os.fsync(file.fileno())  # some file systems tell only now that the disk is full
        if target.exists():
            shutil.copymode(target, new)
        new.replace(target)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)
