"""What files, folders and engines have in common: tables that come in batches, column by column."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpl_skyheat.catalogue.readers import FileTable
    from mpl_skyheat.sky.reach import PlaneReach, SkyReach


class Wanted(NamedTuple):
    """Names of the ``columns`` to be read of a table, and the map in whose ``reach`` rows must be.

    ``positions`` are the names of the columns of longitude and latitude, with the degrees that are
    one of theirs; none if the positions are SkyCoords, or all rows are wanted.
    """

    columns: tuple[str, ...]
    positions: tuple[tuple[str, float], ...] = ()
    reach: SkyReach | PlaneReach | None = None

    def within(self, reach: SkyReach | PlaneReach | None) -> Wanted:
        """The same columns, of rows in another reach."""
        return Wanted(self.columns, self.positions, reach)


class Batch(NamedTuple):
    """A table of some rows, from row ``first`` on of what errors call ``name``.

    ``skipped`` is the number of rows before it that are out of reach; without others, there is no
    table.
    """

    table: Any
    name: str = ""
    first: int = 0
    skipped: int = 0


class Batches(ABC):
    """Tables with the same columns, which are read in batches."""

    # Whether they can be read once only.
    is_read_once = False

    @property
    @abstractmethod
    def head(self) -> FileTable:
        """The names of columns, and a function that returns columns by name, without rows."""

    @abstractmethod
    def read(self, wanted: Wanted) -> Iterator[Batch]:
        """Yield batches of any size."""
