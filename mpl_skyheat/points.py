"""Catalogues in every accepted form, read as blocks of float64 positions in one frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import product
from mmap import mmap
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import (
    FK4,
    FK5,
    ICRS,
    BarycentricMeanEcliptic,
    BaseCoordinateFrame,
    FK4NoETerms,
    Galactic,
    SkyCoord,
    Supergalactic,
    UnitSphericalRepresentation,
    frame_transform_graph,
)
from astropy.utils.masked import Masked

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

# Rows read at a time: large enough to hide the cost of a call into astropy, small enough for the
# temporaries of a coordinate transform to stay in cache.
BLOCK_ROWS = 2**16

# Rows read at a time by compiled code, and shared among its threads.
ARRAY_ROWS = 2**21

# The pole, as a float32 in rad, is this close to 90 deg.
POLE_TOLERANCE = 1e-5

# What stands for a missing value in many tables, with either sign.
MISSING = 99, 999, 9999, 99999

# Whether positions are in radians is told from about so many, if these are enough. The mean of
# sin² of the latitude is 1/3 of the whole sky, and lower than this of what gathers around a plane.
SOME, ENOUGH = 1000, 50
LOW = 0.42

# Frames that are rotations of the sky (and the E-terms of FK4): the direction in one of them gives
# the direction in every other, whatever the distance. From all others, positions go to ICRS first.
ROTATED_FRAMES = (
    BarycentricMeanEcliptic,
    FK4,
    FK4NoETerms,
    FK5,
    Galactic,
    ICRS,
    Supergalactic,
)

# Names that catalogues give to their longitude and latitude, by kind of frame; case is ignored.
EQUATORIAL_NAMES = (
    ("ra", "dec"),
    ("ra", "de"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("_ra.icrs", "_de.icrs"),
    ("_ra_icrs", "_de_icrs"),
    ("ramean", "decmean"),
    ("_ra", "_de"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("ra_deg", "dec_deg"),
    ("alpha_j2000", "delta_j2000"),
    ("s_ra", "s_dec"),
)
GALACTIC_NAMES = (
    ("l", "b"),
    ("glon", "glat"),
    ("gal_l", "gal_b"),
    ("gal_lon", "gal_lat"),
)
ECLIPTIC_NAMES = (("elon", "elat"), ("ecl_lon", "ecl_lat"), ("lambda", "beta"))

# These kinds, and a frame of each.
NAMES = {"equatorial": EQUATORIAL_NAMES, "Galactic": GALACTIC_NAMES, "ecliptic": ECLIPTIC_NAMES}
FRAMES = {
    "equatorial": "icrs",
    "Galactic": "galactic",
    "ecliptic": "barycentricmeanecliptic",
}


@dataclass(frozen=True)
class Block:
    """Some rows of a catalogue: finite positions (deg, or plain x and y) and their weights."""

    lon: FloatArray
    lat: FloatArray
    weights: FloatArray | None
    dropped: int
    # Which rows these are of those that were read; None: all.
    kept: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Column:
    """A one-dimensional column that is converted to float64 a block of rows at a time."""

    name: str
    values: Any
    shape: tuple[int, ...]
    unit: u.UnitBase | None = None
    mask: NDArray[np.bool_] | None = None
    # What its values are multiplied with: from its unit to the one that is wanted.
    factor: float = 1.0

    def __len__(self) -> int:
        return len(self.values)

    def array(self, rows: slice) -> FloatArray:
        """Return what `block` does, in place of a copy where it can: not to be written to."""
        if (
            self.mask is not None
            or self.factor != 1.0
            or isinstance(self.values, np.ma.MaskedArray)
        ):
            return self.block(rows)
        return np.ascontiguousarray(self.values[rows], dtype=float)

    def block(self, rows: slice | NDArray[np.intp]) -> FloatArray:
        """Return these rows, in deg if they are ``angles``, with NaN where they are masked."""
        values = np.ma.filled(np.ma.asarray(self.values[rows]).astype(float), np.nan)
        if self.mask is not None:
            values = np.where(self.mask[rows], np.nan, values)
        return values * self.factor


@dataclass(frozen=True)
class Catalogue:
    """Positions in one frame (None: Cartesian x and y), with optional weights."""

    frame: BaseCoordinateFrame | None
    lon: Column
    lat: Column
    weights: Column | None = None
    # What to call it in a message about one of its rows.
    name: str = ""

    def __post_init__(self) -> None:
        for column in (self.lat, self.weights):
            if column is not None and column.shape != self.lon.shape:
                names = f"{self.lon.name} and {column.name}"
                if len(column.shape) == len(self.lon.shape) == 1:
                    raise ValueError(
                        f"{names} must have the same length; got {len(self.lon)} and {len(column)}"
                    )
                raise ValueError(
                    f"{names} must have the same shape; got {self.lon.shape} and {column.shape}"
                )

    def __len__(self) -> int:
        return len(self.lon)

    @property
    def weights_unit(self) -> u.UnitBase:
        """The unit of the weights, dimensionless where there are none."""
        unit = self.weights.unit if self.weights else None
        return unit or u.dimensionless_unscaled

    @property
    def is_in_memory(self) -> bool:
        """Tell whether reading some rows of all is cheap."""
        return not any(_is_mapped(c.values) for c in (self.lon, self.lat))

    @property
    def looks_like_radians(self) -> bool:
        """Tell whether bare numbers are spread as those of the whole sky are in radians."""
        if self.frame is None or self.lon.unit is not None:
            return False
        some = slice(None, None, len(self) // SOME + 1)
        lon, lat = self.lon.array(some), self.lat.array(some)
        known = np.isfinite(lon) & np.isfinite(lat)
        lon, lat = lon[known] / np.pi, lat[known] / np.pi
        if len(lon) < ENOUGH:
            return False
        is_within = lon.min() > -1.01 and lon.max() < 2.01 and np.abs(lat).max() < 0.501
        is_whole = 1.8 < np.ptp(lon) < 2.01 and np.ptp(lat) > 0.9
        # A field that reaches as far in deg has more at high latitudes.
        return bool(is_within and is_whole and np.mean(np.sin(np.pi * lat) ** 2) < LOW)

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Block]:
        """Yield the catalogue block by block, without the rows that are not finite.

        Raises
        ------
        ValueError
            If a latitude is beyond ±90 deg or a weight is negative; the message names the row.
        """
        for start in range(0, len(self), rows):
            yield self._block(slice(start, start + rows))

    def chunks(self) -> Iterator[Catalogue]:
        """Yield the catalogue, which is in one piece."""
        yield self

    def arrays(
        self, rows: int = ARRAY_ROWS
    ) -> Iterator[tuple[FloatArray, FloatArray, FloatArray | None]]:
        """Yield positions and weights (NaN: none) of all rows, unchecked; not to be written to."""
        for start in range(0, len(self), rows):
            part = slice(start, start + rows)
            weights = None if self.weights is None else self.weights.array(part)
            yield self.lon.array(part), self.lat.array(part), weights

    def rows(self, rows: NDArray[np.intp]) -> Block:
        """Return these rows, as `blocks` does."""
        return self._block(rows)

    def _block(self, rows: slice | NDArray[np.intp]) -> Block:
        lon, lat = self.lon.block(rows), self.lat.block(rows)
        weights = self.weights.block(rows) if self.weights else None
        keep = np.isfinite(lon) & np.isfinite(lat)
        if weights is not None:
            keep &= np.isfinite(weights)
            negative = keep & (weights < 0)
            _check_rows(negative, weights, rows, "weights must not be negative", self.name)
        if self.frame is not None:
            lat = _checked_latitudes(lon, lat, self, rows)
        if keep.all():
            return Block(lon, lat, weights, 0)
        dropped = len(keep) - int(np.count_nonzero(keep))
        weights = None if weights is None else weights[keep]
        return Block(lon[keep], lat[keep], weights, dropped, keep)


class Stream:
    """A catalogue that comes in chunks, each of which is a `Catalogue`, and can be read once."""

    def __init__(self, chunks: Iterator[Any], read: Callable[[Any], Catalogue]) -> None:
        self._read, self._rest = read, chunks
        first = next(chunks, None)
        if first is None:
            raise ValueError("points must have at least one chunk; got an iterator without any")
        self._first: Catalogue | None = read(first)
        self.frame, self.weights = self._first.frame, self._first.weights
        self.lon, self.lat = self._first.lon, self._first.lat
        self.weights_unit = self._first.weights_unit

    def chunks(self) -> Iterator[Catalogue]:
        """Yield the chunks.

        Raises
        ------
        ValueError
            If they have been read, or one of them has another frame or unit than the first.
        """
        if self._first is None:
            raise ValueError(
                "points must be arrays or a table where they are to be read more than once, as for "
                "the bounds of a map; got an iterator, which can be read once"
            )
        chunk, self._first = self._first, None
        yield chunk
        for number, item in enumerate(self._rest, 1):
            chunk = replace(self._read(item), name=f" of chunk {number}")
            self._check(chunk, number)
            yield chunk

    def _check(self, chunk: Catalogue, number: int) -> None:
        is_same_frame = (self.frame is None and chunk.frame is None) or (
            self.frame is not None
            and chunk.frame is not None
            and self.frame.is_equivalent_frame(chunk.frame)
        )
        if not is_same_frame:
            raise ValueError(
                f"points must be in one frame; got {chunk.frame!r} in chunk {number}, after "
                f"{self.frame!r}"
            )
        has_same = (self.weights is None) == (chunk.weights is None)
        if not has_same or self.weights_unit != chunk.weights_unit:
            raise ValueError(
                f"weights must be alike in all chunks; got another unit, or none, in chunk {number}"
            )


def _is_mapped(array: Any) -> bool:
    """Tell whether an array is in a file that is mapped into memory."""
    while array is not None and not isinstance(array, np.memmap | mmap):
        array = getattr(array, "base", None)
    return array is not None


def _checked_latitudes(
    lon: FloatArray, lat: FloatArray, catalogue: Catalogue, rows: slice | NDArray[np.intp]
) -> FloatArray:
    """Return latitudes clipped to ±90 deg; beyond by more than a float32's error is an error."""
    beyond = np.isfinite(lat) & (np.abs(lat) > 90 + POLE_TOLERANCE)
    if beyond.any():
        names = catalogue.lon.name, catalogue.lat.name
        rule = f"{names[1]} must lie within ±90 deg{_latitude_hint(lon, lat, beyond, names)}"
        _check_rows(beyond, lat, rows, rule, catalogue.name)
    return np.clip(lat, -90, 90)


def _latitude_hint(
    lon: FloatArray, lat: FloatArray, beyond: NDArray[np.bool_], names: tuple[str, str]
) -> str:
    """Return what may be wrong where there are latitudes beyond the poles."""
    if abs(lat[np.argmax(beyond)]) in MISSING:
        return " (what is missing must be NaN or masked)"
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[known], lat[known]
    if not len(lon):
        return ""
    are_latitudes = (np.abs(lon) <= 90).all()
    are_longitudes = (lat >= 0).all() and (lat <= 360).all() and np.median(lat) > 90
    if are_latitudes and are_longitudes:
        return f" (are {names[0]} and {names[1]} swapped?)"
    return ""


def _check_rows(
    bad: NDArray[np.bool_],
    values: FloatArray,
    rows: slice | NDArray[np.intp],
    rule: str,
    of: str,
) -> None:
    if bad.any():
        first = int(np.argmax(bad))
        row = rows.start + first if isinstance(rows, slice) else rows[first]
        raise ValueError(f"{rule}; row {row}{of} has {values[first]:g}")


def read_points(
    points: tuple[Any, ...], data: Any = None, frame: Any = "icrs", weights: Any = None
) -> Catalogue | Stream:
    """Return the catalogue, or the stream, that the arguments of `mpl_skyheat.sky_map` stand for.

    Raises
    ------
    TypeError, ValueError
        As `read_catalogue`; and if weights are given beside points that come in chunks.
    """
    if isinstance(data, Iterator):
        given = *points, *(() if weights is None else (weights,))
        if not all(isinstance(name, str) for name in given):
            raise TypeError(
                "points and weights must be names of columns where data is an iterator of tables; "
                f"got {', '.join(type(name).__name__ for name in given)}"
            )
        return Stream(data, lambda table: read_catalogue(points, table, frame, weights))
    if len(points) != 1 or not isinstance(points[0], Iterator):
        return read_catalogue(points, data, frame, weights)
    if weights is not None:
        raise ValueError(
            "weights must come with the points, as chunks of (ra, dec, weights), where those are "
            f"an iterator; got {weights!r}"
        )

    def read(chunk: Any) -> Catalogue:
        chunk = tuple(chunk) if isinstance(chunk, tuple | list) else (chunk,)
        number = 1 if isinstance(chunk[0], SkyCoord | BaseCoordinateFrame) else 2
        if len(chunk) > number + 1:
            raise TypeError(
                "points must come in chunks of (ra, dec), (ra, dec, weights), a SkyCoord or "
                f"(SkyCoord, weights); got {len(chunk)} items"
            )
        if number == 2 and np.ndim(chunk[0]) == 0:
            raise TypeError(
                "points must come in chunks of many, each (ra, dec) arrays; got one by one, as "
                f"{chunk!r}: pass the two arrays themselves"
            )
        return read_catalogue(chunk[:number], None, frame, *chunk[number:])

    return Stream(points[0], read)


def read_catalogue(
    points: tuple[Any, ...], data: Any = None, frame: Any = "icrs", weights: Any = None
) -> Catalogue:
    """Return the catalogue that the arguments of `mpl_skyheat.sky_map` stand for, in one piece.

    Raises
    ------
    TypeError
        If the points are of no accepted form.
    ValueError
        If the columns are unknown, of different lengths or not angles.
    """
    sky_frame = find_frame(frame)
    if data is not None:
        table = Table(data)
        points = table.select(points, sky_frame)
        weights = table[weights] if isinstance(weights, str) else weights
    weights_column = None if weights is None else _column(weights, "weights")
    if len(points) == 1 and isinstance(points[0], SkyCoord | BaseCoordinateFrame):
        return _from_coordinates(points[0], weights_column)
    if len(points) != 2:
        raise TypeError(_no_points(points))
    names = _axis_names(sky_frame)
    lon, lat = (_column(p, name) for p, name in zip(points, names, strict=True))
    return Catalogue(
        sky_frame, _in_degrees(lon, sky_frame), _in_degrees(lat, sky_frame), weights_column
    )


def read_positions(
    position: tuple[Any, ...], frame: Any
) -> tuple[FloatArray, FloatArray, BaseCoordinateFrame | None]:
    """Return positions (deg, or plain x and y), of any shape, and their frame.

    Raises
    ------
    TypeError, ValueError
        As `read_catalogue`, for positions that are no SkyCoord and no two arrays of numbers.
    """
    if len(position) == 2:
        position = np.broadcast_arrays(*map(_of_any_shape, position), subok=True)
    elif len(position) != 1 or not isinstance(position[0], SkyCoord | BaseCoordinateFrame):
        got = ", ".join(repr(p) for p in position) or "nothing"
        raise TypeError(f"position must be one SkyCoord, or two numbers or arrays; got {got}")
    shape = position[0].shape
    catalogue = read_catalogue(tuple(position), frame=frame)
    lon, lat = (column.block(slice(None)) for column in (catalogue.lon, catalogue.lat))
    if catalogue.frame is not None:
        lat = _checked_latitudes(lon, lat, catalogue, slice(0, None))
    return lon.reshape(shape), lat.reshape(shape), catalogue.frame


def _of_any_shape(values: Any) -> Any:
    """Return an array or Quantity; NaN where it is masked."""
    if isinstance(values, list | tuple) and any(isinstance(v, u.Quantity) for v in values[:1]):
        values = u.Quantity(values)
    if isinstance(values, Masked):
        values = values.filled(np.nan)
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    return values if isinstance(values, u.Quantity) else np.asarray(values)


def find_frame(frame: Any) -> BaseCoordinateFrame | None:
    """Return the astropy frame of a name, class or object; None for "flat".

    Raises
    ------
    ValueError
        If astropy has no such frame.
    """
    if isinstance(frame, str) and frame == "flat":
        return None
    return find_sky_frame("frame", frame, also="'flat' or ")


def find_sky_frame(name: str, value: Any, *, also: str = "") -> BaseCoordinateFrame:
    """Return the frame of the sky that an argument asks for, which may ``also`` be something else.

    Raises
    ------
    ValueError
        If astropy has no such frame, or it is none of the sky. The message names the argument.
    """
    if isinstance(value, str):
        if value == "flat":
            raise ValueError(f"{name} must be a frame of the sky; got 'flat'")
        found = frame_transform_graph.lookup_name(value.lower())
        if found is None:
            names = sorted(frame_transform_graph.get_names())
            close = get_close_matches(value.lower(), names, 1, cutoff=0.5)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"{name} must be {also}one of {', '.join(names)}; got {value!r}{hint}")
        return _complete(found())
    if isinstance(value, type) and issubclass(value, BaseCoordinateFrame):
        return _complete(value())
    if isinstance(value, SkyCoord):
        value = value.frame
    if isinstance(value, BaseCoordinateFrame):
        return _complete(value.replicate_without_data())
    raise ValueError(f"{name} must be the name of an astropy frame or a frame; got {value!r}")


def _complete(frame: BaseCoordinateFrame) -> BaseCoordinateFrame:
    """Return a frame whose positions are on the sky; without time and place, AltAz's are not."""
    if not isinstance(frame, ROTATED_FRAMES):
        try:
            pole = UnitSphericalRepresentation(0 * u.deg, 90 * u.deg)
            frame.realize_frame(pole).transform_to(ICRS())
        except Exception as error:
            raise ValueError(
                f"frame {frame.name!r} must come with all that it needs, as a frame object such as "
                f"AltAz(obstime=..., location=...); got {frame!r}, for which astropy says: {error}"
            ) from error
    return frame


class Table:
    """Column access to a table of any accepted kind."""

    def __init__(self, data: Any) -> None:
        if type(data).__module__.startswith("astropy.io.fits") and hasattr(data, "header"):
            data = data.data  # of a table HDU
        self._data = data
        self.names = _column_names(data)

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise ValueError(f"no column {name!r} in data; it has {', '.join(self.names)}")
        column = self._data[name]
        definitions = getattr(self._data, "columns", None)
        if definitions is not None and hasattr(definitions, "units"):  # FITS_rec
            return _fits_column(column, definitions[name])
        return column

    def select(self, points: tuple[Any, ...], frame: BaseCoordinateFrame | None) -> tuple[Any, ...]:
        """Return the points with names replaced by columns, which are found if none is named."""
        if not points:
            points = self._recognise(frame)
        elif len(points) == 2 and all(isinstance(p, str) for p in points):
            _check_names(points, frame)
        columns = tuple(self[p] if isinstance(p, str) else p for p in points)
        if len(columns) == 1 and not isinstance(columns[0], SkyCoord | BaseCoordinateFrame):
            raise TypeError(_no_points(points))
        return columns

    def _recognise(self, frame: BaseCoordinateFrame | None) -> tuple[str, ...]:
        usual = _usual_names(frame)
        found: list[tuple[str, ...]] = [
            (lon, lat)
            for lon, lat in product(self.names, repeat=2)
            if (lon.lower(), lat.lower()) in usual
        ]
        found = found or [(n,) for n in self.names if isinstance(self._data[n], SkyCoord)]
        if len(found) == 1:
            return found[0]
        listed = "; ".join("/".join(pair) for pair in found) or "none"
        other = None if found else self._other_kind(usual)
        if frame is not None and other:
            remedy = f"they are {other}: give frame='{FRAMES[other]}', whatever the map's is"
        else:
            remedy = "name the two, as in sky_heatmap('ra', 'dec', data=table)"
        raise ValueError(
            f"data must have one recognisable pair of columns such as {'/'.join(usual[0])}; found "
            f"{listed} among {', '.join(self.names)}: {remedy}"
        )

    def _other_kind(self, usual: tuple[tuple[str, str], ...]) -> str | None:
        """Return of which other kind the columns are; None if they are of none."""
        names = {name.lower() for name in self.names}
        for kind, pairs in NAMES.items():
            if pairs != usual and any(names.issuperset(pair) for pair in pairs):
                return kind
        return None


def _fits_column(column: Any, definition: Any) -> Any:
    """Return a FITS column with its unit, and with its null value masked."""
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


def _check_names(names: tuple[str, ...], frame: BaseCoordinateFrame | None) -> None:
    """Raise a ValueError for columns such as l and b in an equatorial frame, as is the default."""
    if frame is None or _kind(frame) != "equatorial":
        return
    for kind, pairs in NAMES.items():
        if kind != "equatorial" and (names[0].lower(), names[1].lower()) in pairs:
            raise ValueError(
                f"frame must be that of the columns; got {frame.name!r} for {names[0]} and "
                f"{names[1]}, which are {kind} by their names: give frame='{FRAMES[kind]}' (or "
                "the columns as arrays, if their names mislead)"
            )


def _kind(frame: BaseCoordinateFrame) -> str | None:
    """Return the kind of frame that names of columns tell; None if they do not."""
    if frame.name == "galactic":
        return "Galactic"
    if "ecliptic" in frame.name:
        return "ecliptic"
    return "equatorial" if "ra" in frame.get_representation_component_names() else None


def _usual_names(frame: BaseCoordinateFrame | None) -> tuple[tuple[str, str], ...]:
    if frame is None:
        return (("x", "y"),)
    return NAMES[_kind(frame) or "equatorial"]


def _axis_names(frame: BaseCoordinateFrame | None) -> tuple[str, str]:
    if frame is None:
        return "x", "y"
    is_equatorial = "ra" in frame.get_representation_component_names()
    return ("ra", "dec") if is_equatorial else ("lon", "lat")


def _no_points(points: tuple[Any, ...]) -> str:
    if len(points) == 1 and isinstance(points[0], str):
        return f"points must be named in pairs with data=table; got the single name {points[0]!r}"
    got = ", ".join(type(p).__name__ for p in points) or "nothing"
    return (
        "points must be two arrays (ra, dec), one SkyCoord, two column names with data=table, or "
        f"data=table alone; got {got}"
    )


def _from_coordinates(
    coordinates: SkyCoord | BaseCoordinateFrame, weights: Column | None
) -> Catalogue:
    frame = getattr(coordinates, "frame", coordinates)
    if not frame.has_data:
        raise ValueError(f"points must have positions; got the frame {frame!r} without data")
    if not isinstance(frame, ROTATED_FRAMES):
        frame = frame.transform_to(ICRS())
    sky = frame.represent_as(UnitSphericalRepresentation)
    names = _axis_names(frame)
    frame = frame.replicate_without_data()
    lon, lat = _column(sky.lon, names[0]), _column(sky.lat, names[1])
    return Catalogue(frame, _in_degrees(lon, frame), _in_degrees(lat, frame), weights)


def _column(values: Any, name: str) -> Column:
    """Return one column of any accepted kind, without copying its values."""
    if isinstance(values, str):
        raise TypeError(f"{name} is the column name {values!r}: pass the table too, as data=table")
    if isinstance(values, SkyCoord | BaseCoordinateFrame):
        raise TypeError(f"{name} must be numbers or angles; got a SkyCoord (pass it on its own)")
    if isinstance(values, list | tuple) and any(isinstance(v, u.Quantity) for v in values[:1]):
        values = u.Quantity(values)
    unit = getattr(values, "unit", None)
    if unit == u.mag:
        raise TypeError(f"{name} must have a linear unit; got 'mag' (take 10**(-0.4 * magnitude))")
    if isinstance(unit, u.UnitBase | None):
        pass
    elif isinstance(unit, u.FunctionUnitBase):
        raise TypeError(f"{name} must have a linear unit; got '{unit}' (take its physical value)")
    else:  # another package's columns may have a unit of their own kind
        unit = None
    mask = values.mask if isinstance(values, Masked) else None
    array = _array(values, name)
    if array.dtype.kind not in "fiu":
        hint = " (make it numbers, or read sexagesimal text with SkyCoord)"
        hint = hint if array.dtype.kind in "SUO" else ""
        raise TypeError(f"{name} must be numbers or angles; got an array of {array.dtype}{hint}")
    return Column(
        name,
        array.reshape(-1),
        np.atleast_1d(array).shape,
        unit,
        None if mask is None else np.reshape(mask, -1),
    )


def _array(values: Any, name: str) -> Any:
    if isinstance(values, Masked):
        values = values.unmasked
    if isinstance(values, u.Quantity):
        return np.asarray(values.value)
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.asarray(values)
    if type(values).__module__.startswith("pandas"):
        from pandas.api.types import is_numeric_dtype

        if is_numeric_dtype(values):  # its nullable types would become objects
            return values.to_numpy(dtype=float, na_value=np.nan)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise TypeError(f"{name} must be a flat sequence of numbers; got {values!r}") from error
    return array.astype(float) if array.size == 0 else array


def _in_degrees(column: Column, frame: BaseCoordinateFrame | None) -> Column:
    """Return a column of longitudes or latitudes, to be read in deg (as it is without a frame)."""
    unit = column.unit
    if unit is None or (unit == u.dimensionless_unscaled and frame is None):
        return column
    if frame is None:
        raise ValueError(
            f"{column.name} must be plain numbers with frame='flat'; got unit '{unit}'"
        )
    if not unit.is_equivalent(u.deg):
        raise ValueError(
            f"{column.name} must be an angle (plain numbers are degrees); got unit '{unit}'"
        )
    return replace(column, factor=float(unit.to(u.deg)))
