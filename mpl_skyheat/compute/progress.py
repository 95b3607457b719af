"""How far a job is, shown as a bar of tqdm, or told to a function."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # Called with the number done, and that of all or None where it is not known.
    Told = Callable[[int, int | None], Any]


@contextmanager
def rows_told(progress: bool | Told) -> Iterator[Callable[[int], None] | None]:
    """A function to be called with the number of rows that have been read; None if nobody asks."""
    if not progress:
        yield None
    elif callable(progress):
        yield lambda done: progress(done, None)
    else:
        with _bar() as bar:
            yield lambda done: bar.update(done - bar.n)


def _bar() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise ImportError(
            "progress=True needs tqdm (pip install tqdm), or give a function of the numbers of "
            "rows done and of all"
        ) from error
    return tqdm(unit=" rows", unit_scale=True)
