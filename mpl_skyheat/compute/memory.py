"""How much memory a map may take."""

from __future__ import annotations

import os


def allowed_bytes() -> float:
    """Return half of the machine's memory in bytes; 4 GiB where it cannot be asked for."""
    try:
        return 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return 4 * 2.0**30
