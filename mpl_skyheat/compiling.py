"""When compiled code pays for itself."""

from __future__ import annotations

import sys

# From so many points or pixels on: for loading the compiler, too, and once that is loaded.
FIRST = 2_000_000
ONCE_LOADED = 100_000


def is_worth(number: int) -> bool:
    """Tell whether compiled code pays for so many points or pixels."""
    return number >= (ONCE_LOADED if "mpl_skyheat.compiled" in sys.modules else FIRST)
