"""Access to the columns of tables of every accepted kind."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.masked import Masked

from mpl_skyheat.catalogue.names import FRAMES, NAMES, _check_names, _kind
from mpl_skyheat.catalogue.readers import FileTable

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    def __getitem__(self, name: str) -> Any:
        self.check(name)
        column = self._data[name]
        definitions = getattr(self._data, "columns", None)
        if definitions is not None and hasattr(definitions, "units"):  # FITS_rec
            return _fits_column(column, definitions[name])
        return column

    def check(self, *names: str) -> None:
        """Raise a ValueError if there is no column of one of the names."""
        for name in names:
            if name not in self.names:
                raise ValueError(f"no column {name[:60]!r} in data; it has {_listed(self.names)}")

    def select(self, points: tuple[Any, ...], frame: BaseCoordinateFrame | None) -> tuple[Any, ...]:
        """Replace names among the points by columns; without points, find the usual columns."""
        return tuple(self[p] if isinstance(p, str) else p for p in self.find(points, frame))

    def find(self, points: tuple[Any, ...], frame: BaseCoordinateFrame | None) -> tuple[Any, ...]:
        """The points that are given; if there are none, the names of the usual columns."""
        if not points:
            return self._recognise(frame)
        if len(points) == 2 and all(isinstance(p, str) for p in points):
            _check_names(points, frame)
        return points

    def _is_sky_coord(self, name: str) -> bool:
        if isinstance(self._data, FileTable):
            return name in self._data.coordinates
        return isinstance(self._data[name], SkyCoord)

    def _recognise(self, frame: BaseCoordinateFrame | None) -> tuple[str, ...]:
        usual = (("x", "y"),) if frame is None else NAMES[_kind(frame) or "equatorial"]
        words = {word for pair in usual for word in pair}
        known = [name for name in self.names if name.lower() in words]
        found: list[tuple[str, ...]] = [
            (lon, lat)
            for lon, lat in product(known, repeat=2)
            if (lon.lower(), lat.lower()) in usual
        ]
        found = found or [(n,) for n in self.names if self._is_sky_coord(n)]
        if len(found) == 1:
            return found[0]
        listed = "; ".join("/".join(pair) for pair in found) or "none"
        names = {name.lower() for name in self.names}
        kinds = (
            kind
            for kind, pairs in NAMES.items()
            if not found and pairs != usual and any(names.issuperset(pair) for pair in pairs)
        )
        other = next(kinds, None)
        if frame is not None and other:
            remedy = f"they are {other}: give frame='{FRAMES[other]}', whatever the map's is"
        else:
            remedy = "name the two, as in sky_heatmap('ra', 'dec', data=table)"
        raise ValueError(
            f"data must have one recognisable pair of columns such as {'/'.join(usual[0])}; found "
            f"{listed} among {_listed(self.names)}: {remedy}"
        )


def _listed(names: Sequence[str]) -> str:
    """Names for a message, of which there may be very many."""
    text = ", ".join(names) or "nothing"
    if len(text) <= MOST_LISTED:
        return text
    return f"{text[:MOST_LISTED].rpartition(', ')[0] or text[:60]}, … ({len(names):,} in all)"


def _fits_column(column: Any, definition: Any) -> Any:
    """Give a FITS column its unit (TUNIT), and mask its null value (TNULL)."""
    if definition.null not in (None, "") and column.dtype.kind in "iu":
        column = np.ma.masked_equal(column, definition.null)
    if not definition.unit:
        return column
    unit = u.Unit(definition.unit)
    return Masked(column, mask=np.ma.getmaskarray(column)) << unit


def _column_names(data: Any) -> list[str]:
    for names in (
        getattr(data, "colnames", None),  # astropy
        getattr(data, "column_names", None),  # pyarrow
        getattr(getattr(data, "dtype", None), "names", None),  # FITS_rec, structured arrays
        list(data) if isinstance(data, Mapping) else None,
        getattr(data, "columns", None),  # pandas, polars
    ):
        if names is not None:
            return [str(name) for name in names]
    raise TypeError(
        "data must be a table (astropy, pandas, polars, pyarrow, FITS, a structured array or a "
        f"dict of columns); got {type(data).__name__}"
    )
