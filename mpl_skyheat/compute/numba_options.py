"""Options with which numba compiles, and its cache on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

# Whether compiled code is cached on disk. The loader sets it to False if that fails.
has_cache = True

# Contraction to fused operations, products with reciprocals and unsigned zeros are safe: where
# rounding is not far below `tile_layout.EDGE`, no polynomial passes its comparison with astropy.
FAST = {"contract", "nsz", "arcp"}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call, and cache the result on disk if there is a folder."""
    options: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    if has_cache:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no folder can be written to
            pass
    return njit(**options)(function)
