"""Classes of other packages, none of which is imported to ask for them."""

from __future__ import annotations

import sys
from typing import Any


def is_of(thing: Any, module: str, name: str) -> bool:
    """Whether an object is of a class of another package, which is not imported for that."""
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(thing, found)
