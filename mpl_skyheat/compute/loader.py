"""When compiled code pays for itself, and what is done where it cannot be had or kept."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from threading import Lock
from typing import Any

from mpl_skyheat.compute import tile_layout

# Points and pixels from which on compiled code is worth its time: with the seconds that loading the
# compiler takes, and once that is loaded.
FIRST = 3_000_000
ONCE_LOADED = 100_000

# The modules of compiled functions, which import numba, and the one that holds how they compile.
OPTIONS = "mpl_skyheat.compute.numba_options"
MODULES = ("mpl_skyheat.compute.numba_tiles", "mpl_skyheat.compute.numba_sphere")

_is_available = True
_lock = Lock()


def should_compile(number: int) -> bool:
    """Tell whether compiled code pays for a number of points and pixels, and can be had."""
    return number >= (ONCE_LOADED if is_loaded() else FIRST) and _load()


def is_loaded() -> bool:
    """Tell whether compiled code is loaded in this process."""
    return all(name in sys.modules for name in MODULES)


def run(name: str, *arguments: Any) -> Any:
    """Call a compiled function; where its code cannot be kept on disk, compile without that."""
    try:
        return _function(name)(*arguments)
    except OSError:  # from numba, before anything was done
        with _lock:
            options: Any = import_module(OPTIONS)
            if options.has_cache:
                options.has_cache = False
                for module in MODULES:
                    sys.modules.pop(module, None)
        return _function(name)(*arguments)


def _function(name: str) -> Any:
    for module in map(import_module, MODULES):
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"there is no compiled function {name!r}")


def _load() -> bool:
    global _is_available
    if _is_available and not is_loaded():
        try:
            modules = [import_module(name) for name in MODULES]
        except ImportError as error:  # numba, or one that does not go with this numpy
            _is_available = False
            warnings.warn(
                f"large catalogues take long, as numba cannot be imported: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
            return False
        for name, value in tile_layout.SHARED.items():
            if getattr(modules[0], name) != value:
                raise AssertionError(f"{name} of compiled code and of tiles must be equal")
    return _is_available
