"""What is found for a geometry, kept for the next map on it, as of a figure with several panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mpl_skyheat.sky.shipping import ShippingError, packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.sky.geometry import MapGeometry

# Number of things of one kind that are kept.
MOST_KEPT = 4

# Most bytes of a thing that is kept: of maps up to 2000 pixels wide, and of coverages that have no
# large arrays of their own.
LARGEST_KEPT = 2**25

T = TypeVar("T")


class Kept(Generic[T]):
    """Things of one kind, by geometry and all else that they depend on.

    Geometries are known by their bytes, as a WCS may be changed in place between two maps. There is
    no lock: each access to a dict is atomic.
    """

    def __init__(self) -> None:
        self._things: dict[Any, T] = {}

    def get(
        self,
        geometry: MapGeometry,
        own: Any,
        find: Callable[[], T],
        *,
        bytes_of: Callable[[T], int],
    ) -> T:
        """The thing for a geometry and what else it depends on, found once for equal ones."""
        try:
            key = packed(geometry), own
        except ShippingError:  # a WCS of another package
            return find()
        if (kept := self._things.get(key)) is not None:
            return kept
        found = find()
        if bytes_of(found) <= LARGEST_KEPT:
            self._things[key] = found
            for oldest in list(self._things)[:-MOST_KEPT]:
                self._things.pop(oldest, None)
        return found

    def clear(self) -> None:
        self._things.clear()
