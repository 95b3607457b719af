"""Access to the columns of tables of every accepted kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.masked import Masked

from mpl_skyheat.catalogue.names import (
    FRAMES,
    NAMES,
    RARER_NAMES,
    SEXAGESIMAL,
    _check_names,
    _kind,
)
from mpl_skyheat.catalogue.readers import FileTable

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

# Most characters of the names of columns in a message.
MOST_LISTED = 200


class Table:
    """The columns of a table of any accepted kind, by name."""

    def __init__(self, data: Any) -> None:
        if type(data).__module__.startswith("astropy.io.fits") and hasattr(data, "header"):
            data = data.data  # of a table HDU
        self._data = data
        self.names = _column_names(data)
        self._labels = set(self.names)

    def is_name(self, given: Any) -> bool:
        """Whether an argument is the name of a column: as `is_name`, or any name that is there."""
        try:
            return is_name(given) or given in self._labels
        except TypeError:  # arrays have no hash
            return False

    def __getitem__(self, name: Any) -> Any:
        self.check(name)
        column = self._data[name]
        definitions = getattr(self._data, "columns", None)
        if definitions is not None and hasattr(definitions, "units"):  # FITS_rec
            return _fits_column(column, definitions[name])
        return column

    def column(self, name: Any, argument: str) -> Any:
        """The column of a name that was given as an argument, which errors name."""
        try:
            return self[name]
        except ValueError as error:
            raise ValueError(f"{argument}: {error}") from error

    def check(self, *names: Any) -> None:
        """Raise a ValueError if there is not just one column of each of the names."""
        for name in names:
            number = self.names.count(name)
            if number > 1:
                times = "twice" if number == 2 else f"{number} times"
                raise ValueError(f"the column {name!r} is there {times} in data: keep one of them")
            if number == 0:
                hint = ""
                if any(isinstance(label, tuple) for label in self.names):
                    hint = ": in a MultiIndex a column's name is a tuple of them"
                named = repr(name[:60] if isinstance(name, str) else name)
                raise ValueError(f"no column {named} in data; it has {_listed(self.names)}{hint}")

    def select(self, points: tuple[Any, ...], frame: BaseCoordinateFrame | None) -> tuple[Any, ...]:
        """Replace names among the points by columns; without points, find the usual columns."""
        return tuple(self[p] if self.is_name(p) else p for p in self.find(points, frame))

    def find(self, points: tuple[Any, ...], frame: BaseCoordinateFrame | None) -> tuple[Any, ...]:
        """The points that are given; if there are none, the names of the usual columns."""
        if not points:
            return self._recognise(frame)
        if len(points) == 2 and all(isinstance(p, str) for p in points):
            _check_names(points, frame)
        return points

    def _is_sky_coord(self, name: Any) -> bool:
        if isinstance(self._data, FileTable):
            return name in self._data.coordinates
        return isinstance(self._data[name], SkyCoord)

    def _pairs(self, usual: Sequence[tuple[str, str]]) -> list[tuple[str, ...]]:
        """The pairs of columns that are of ``usual`` names, in lower case."""
        words = {word for pair in usual for word in pair}
        texts = (name for name in dict.fromkeys(self.names) if isinstance(name, str))
        known = [name for name in texts if name.lower() in words]
        pairs = product(known, repeat=2)
        return [(lon, lat) for lon, lat in pairs if (lon.lower(), lat.lower()) in usual]

    def _recognise(self, frame: BaseCoordinateFrame | None) -> tuple[str, ...]:
        usual, rarer = [("x", "y")], []  # type: Any, Any
        if frame is not None:
            kind = _kind(frame) or "equatorial"
            if kind == "equatorial" and isinstance(self._data, FileTable) and self._data.positions:
                return tuple(self._data.positions)
            usual, rarer = NAMES[kind], RARER_NAMES.get(kind, ())
        found = self._pairs(usual) or self._pairs(rarer)
        found = found or [(n,) for n in self.names if self._is_sky_coord(n)]
        if len(found) == 1:
            return found[0]
        listed = "; ".join("/".join(pair) for pair in found) or "none"
        names = {str(name).lower() for name in self.names}
        kinds = (
            kind
            for kind, pairs in NAMES.items()
            if not found and pairs != usual and any(names.issuperset(pair) for pair in pairs)
        )
        other = next(kinds, None)
        if frame is not None and other:
            remedy = f"they are {other}: give frame='{FRAMES[other]}', whatever the map's is"
        elif not found and names.issuperset(SEXAGESIMAL):
            remedy = "make a SkyCoord of the columns RAh, RAm, RAs, DE-, DEd, DEm and DEs"
        else:
            remedy = "name the two, as in sky_heatmap('ra', 'dec', data=table)"
        raise ValueError(
            f"data must have one recognisable pair of columns such as {'/'.join(usual[0])}; found "
            f"{listed} among {_listed(self.names)}: {remedy}"
        )


def is_table(data: Any) -> bool:
    """Whether this is a table of an accepted kind."""
    try:
        return bool(Table(data).names)
    except TypeError:
        return False


def is_name(given: Any) -> bool:
    """Whether an argument beside ``data`` is the name of a column: a text, a number, or a tuple.

    Columns of pandas without names have numbers, those of a MultiIndex tuples.
    """
    if isinstance(given, tuple):
        return any(isinstance(part, str) for part in given)
    return isinstance(given, str | int | np.integer) and not isinstance(given, bool)


def _listed(names: Sequence[Any]) -> str:
    """Names for a message, of which there may be very many."""
    text = ", ".join(map(str, names)) or "nothing"
    if len(text) <= MOST_LISTED:
        return text
    return f"{text[:MOST_LISTED].rpartition(', ')[0] or text[:60]}, … ({len(names):,} in all)"


def _fits_column(column: Any, definition: Any) -> Any:
    """Give a FITS column its unit (TUNIT), and mask its null value (TNULL).

    TNULL is an integer as stored, before it is scaled (TSCAL) and shifted (TZERO).
    """
    if definition.null not in (None, "") and column.dtype.kind in "iuf":
        null = definition.null
        if definition.bscale not in (None, "", 1):
            null = null * np.float64(definition.bscale)
        if definition.bzero not in (None, "", 0):
            null = null + definition.bzero
        column = np.ma.masked_where(column == null, column)
    if not definition.unit:
        return column
    unit = u.Unit(definition.unit, parse_strict="silent")
    column = Masked(column, mask=np.ma.getmaskarray(column)) << unit
    column.info.name = definition.name
    return column


def _column_names(data: Any) -> list[Any]:
    for names in (
        getattr(data, "colnames", None),  # astropy
        getattr(data, "column_names", None),  # pyarrow
        getattr(getattr(data, "dtype", None), "names", None),  # FITS_rec, structured arrays
        getattr(data, "variables", None),  # xarray, with its coordinates
        list(data.keys()) if callable(getattr(data, "keys", None)) else None,  # dicts, zarr, pandas
        getattr(data, "columns", None),  # polars
    ):
        if isinstance(names, Sequence | Mapping):  # not pandas' columns of those names
            return list(names)
    kind = type(data).__name__
    hint = ": ax.sky_heatmap(sky_map) draws a map" if kind == "SkyMap" else ""
    raise TypeError(
        "data must be a table (astropy, pandas, polars, pyarrow, FITS, a structured array or a "
        f"dict of columns); got {kind}{hint}"
    )
