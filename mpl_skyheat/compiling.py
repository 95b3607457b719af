"""When compiled code pays for itself, and what is done where it cannot be had."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from threading import Lock
from typing import Any

# From so many points or pixels on: for loading the compiler, too, and once that is loaded.
FIRST = 3_000_000
ONCE_LOADED = 100_000

MODULE = "mpl_skyheat.compiled"

# Whether compiled code is kept on disk; not where that turns out to be full.
has_cache = True
_can_compile = True
_lock = Lock()


def is_worth(number: int) -> bool:
    """Tell whether compiled code pays for so many points or pixels, and can be had."""
    return number >= (ONCE_LOADED if MODULE in sys.modules else FIRST) and _is_there()


def _is_there() -> bool:
    global _can_compile
    if _can_compile and MODULE not in sys.modules:
        try:
            import_module("mpl_skyheat.compiled")
        except ImportError as error:  # numba, or one that does not go with this numpy
            _can_compile = False
            warnings.warn(
                f"large catalogues take long, as numba cannot be imported: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
    return _can_compile


def run(name: str, *arguments: Any) -> Any:
    """Call a compiled function; where its code cannot be kept on disk, without that."""
    global has_cache
    function = getattr(import_module("mpl_skyheat.compiled"), name)
    try:
        return function(*arguments)
    except OSError:  # from numba, before anything was done
        with _lock:
            if has_cache:
                has_cache = False
                del sys.modules[MODULE]
            module = import_module("mpl_skyheat.compiled")
        return getattr(module, name)(*arguments)
