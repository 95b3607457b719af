"""Loading of the compiled (numba) code, where it saves time and can be had."""

from __future__ import annotations

import logging
import sys
import warnings
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock
from typing import Any

from mpl_skyheat.compute import tile_layout
from mpl_skyheat.compute.warning import SkyHeatmapWarning

# Points and pixels from which on compiled code saves the seconds that importing numba takes.
FIRST = 3_000_000

# Points and pixels from which on compiled code saves time once it is loaded.
ONCE_LOADED = 100_000

# The modules of compiled functions.
MODULES = ("mpl_skyheat.compute.numba_tiles", "mpl_skyheat.compute.numba_sphere")

# What numba raises for an entry of its cache that is truncated or of another version: all that
# pickle's documentation names.
BROKEN_ENTRY = (AttributeError, EOFError, ImportError, IndexError, UnpicklingError)

LOG = logging.getLogger("mpl_skyheat")

_is_available = True
_lock = Lock()


def is_worth_compiling(number: int) -> bool:
    """Whether compiled code would save time for a number of points and pixels."""
    return number >= (ONCE_LOADED if is_loaded() else FIRST)


def should_compile(number: int) -> bool:
    """Whether compiled code saves time for a number of points and pixels, and can be loaded."""
    return is_worth_compiling(number) and _load()


def is_loaded() -> bool:
    """Whether compiled code is loaded in this process."""
    return all(name in sys.modules for name in MODULES)


def run(name: str, *arguments: Any) -> Any:
    """Call a compiled function; if numba cannot use its cache, compile again without it."""
    try:
        return _function(name)(*arguments)
    except (OSError, *BROKEN_ENTRY) as error:  # from numba's cache, before the function ran
        with _lock:
            if isinstance(error, OSError):
                options: Any = import_module("mpl_skyheat.compute.numba_options")
                options.has_cache = False
            else:
                _remove_cache()
            for module in MODULES:
                sys.modules.pop(module, None)
        return _function(name)(*arguments)


def _remove_cache() -> None:
    """Remove the files of all compiled functions from numba's cache."""
    for name in MODULES:
        for function in vars(import_module(name)).values():
            folder = getattr(getattr(function, "stats", None), "cache_path", None)
            if folder is not None:
                for entry in Path(folder).glob(f"{name.rpartition('.')[2]}.*.nb[ic]"):
                    entry.unlink(missing_ok=True)


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
        except ImportError as error:  # also numba's own, for a numpy that it does not support
            _is_available = False
            warnings.warn(
                f"large catalogues take long, as numba cannot be imported: {error}",
                SkyHeatmapWarning,
                stacklevel=2,
            )
            return False
        for name, value in vars(tile_layout).items():
            if name.isupper() and getattr(modules[0], name, value) != value:
                raise AssertionError(f"{name} of compiled code and of tiles must be equal")
        if not _is_cached(modules[0].locate.stats.cache_path):
            LOG.info("compiling code for large catalogues, once: about 20 s")
    return _is_available


def _is_cached(folder: str | None) -> bool:
    """Whether compiled code is in numba's cache, from an earlier run."""
    return folder is not None and any(Path(folder).glob("numba_tiles.locate-*.nbi"))
