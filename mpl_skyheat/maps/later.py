"""`Later`: a value that takes long, and is found when somebody asks for it."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Later:
    """A value that a function finds when it is first asked for, by one thread, and that is kept.

    If the function raises an error, the next to ask calls it again. Pickled and copied deeply, this
    is the value alone: the function, which may hold sums and transforms, is let go once it has
    returned.

    Parameters
    ----------
    find : callable
        Finds the value, without an argument.
    lock : `threading.RLock`, optional
        The lock of all values that are found from the same sums, such as those of one map: these
        and their copies of a WCS are for one thread at a time.
    """

    def __init__(self, find: Callable[[], Any], lock: Any = None) -> None:
        self._find: Callable[[], Any] | None = find
        self._lock = RLock() if lock is None else lock
        self._value: Any = None

    def get(self) -> Any:
        """The value, found now if it has not been."""
        with self._lock:
            if self._find is not None:
                self._value = self._find()
                self._find = None
        return self._value

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _known, (self.get(),)


def _known(value: Any) -> Later:
    return Later(lambda: value)
