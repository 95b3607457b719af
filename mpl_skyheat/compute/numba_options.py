"""How functions are compiled by numba, and whether the result is kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import njit

if TYPE_CHECKING:
    from collections.abc import Callable

# Whether compiled code is kept on disk. The loader sets it to False where the disk is full.
has_cache = True

# Reordering sums is safe here: where rounding is not far less than the margin at the edges of
# pixels (`tile_layout.EDGE`), no polynomial passes the comparison with the exact route.
FAST = {"contract", "nsz", "arcp"}


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at first use, and keep the result on disk where that can be written to."""
    options: dict[str, Any] = {"nogil": True, "fastmath": FAST, "error_model": "numpy"}
    if has_cache:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # there is no folder for it
            pass
    return njit(**options)(function)
