"""The memory that a map may take."""

from __future__ import annotations

import os


def allowed_bytes() -> float:
    """Half of the machine's memory (bytes); 4 GiB if the system does not tell."""
    try:
        return 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return 4 * 2.0**30
