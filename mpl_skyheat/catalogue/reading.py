"""Catalogues in every accepted form, from the arguments of the public functions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord, UnitSphericalRepresentation

from mpl_skyheat.catalogue.batches import Wanted
from mpl_skyheat.catalogue.blocks import Catalogue, Part
from mpl_skyheat.catalogue.columns import _column, _in_degrees, column_of_widths
from mpl_skyheat.catalogue.engines import batches_of, is_engine
from mpl_skyheat.catalogue.files import FileColumns, read_file
from mpl_skyheat.catalogue.names import _axis_names
from mpl_skyheat.catalogue.streams import Batched, Listed, Once, Stream
from mpl_skyheat.catalogue.tables import Table, is_name, is_table
from mpl_skyheat.sky.frames import ROTATED_FRAMES, find_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.catalogue.batches import Batches
    from mpl_skyheat.catalogue.columns import Column
    from mpl_skyheat.catalogue.readers import FileTable
    from mpl_skyheat.compute.arrays import FloatArray


def read_points(
    points: tuple[Any, ...],
    data: Any = None,
    frame: Any = "icrs",
    weights: Any = None,
    values: Any = None,
    widths: Any = None,
) -> Catalogue | Stream:
    """Make a catalogue, or a stream of chunks, of the arguments of `mpl_skyheat.sky_map`.

    ``widths`` are those of its kernel, a column's name or an array, if each row has its own.
    """
    columns = weights, values, widths
    if data is None and len(points) == 1 and is_engine(points[0]):
        data, points = points[0], ()
    batches = batches_of(data)
    if batches is not None:
        _check_named(points, columns, "comes in batches")
        return _read_batches(batches, points, frame, columns)
    read_table = RowReader(points, frame, columns)
    if isinstance(data, Iterator):
        _check_named(points, columns, "is an iterator of tables")
        return _read_once(data, read_table)
    if isinstance(data, list | tuple):
        if not data:
            raise ValueError("data must have at least one table; got an empty list")
        if not is_table(data[0]) and not isinstance(data[0], str | os.PathLike):
            raise TypeError(
                f"data must be a table, or a list of tables; got a list of {type(data[0]).__name__}"
                ": pass arrays themselves, as in sky_map(ra, dec)"
            )
        _check_named(points, columns, "is a list of tables")
        return Stream(read_table(data[0]), Listed(data, read_table))
    if len(points) != 1 or not isinstance(points[0], Iterator):
        return read_catalogue(points, data, frame, *columns)
    return _read_chunks(points[0], frame, *columns)


def _check_named(points: tuple[Any, ...], columns: tuple[Any, ...], what: str) -> None:
    """Raise a TypeError unless all columns are named, of data that have more than one table."""
    given = *points, *(column for column in columns if column is not None)
    if not all(map(is_name, given)):
        raise TypeError(
            "points, weights, values and the kernel's widths must be names of columns where data "
            f"{what}; got {', '.join(type(name).__name__ for name in given)}"
        )


def _read_chunks(
    chunks: Iterator[Any], frame: Any, weights: Any, values: Any, widths: Any
) -> Stream:
    """The stream of an iterator of positions, with weights or without."""
    if weights is not None:
        raise ValueError(
            "weights must come with the points, as chunks of (ra, dec, weights), where those are "
            f"an iterator; got {weights!r}"
        )
    if values is not None:
        raise ValueError(
            "values must be the name of a column of the chunks, given as data=, where points come "
            f"from an iterator; got {values!r:.60}"
        )

    if widths is not None:
        raise ValueError(
            "kernel must have one width for all rows where points come from an iterator: give its "
            f"chunks as tables, data=, for widths in a column; got {widths!r:.60}"
        )

    def read_chunk(chunk: Any) -> Catalogue:
        chunk = tuple(chunk) if isinstance(chunk, tuple | list) else (chunk,)
        number = 1 if chunk and isinstance(chunk[0], SkyCoord | BaseCoordinateFrame) else 2
        if not chunk or len(chunk) > number + 1:
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

    return _read_once(chunks, read_chunk)


def _read_once(items: Iterator[Any], read: Callable[[Any], Catalogue]) -> Stream:
    """The stream of an iterator."""
    for first in items:
        head = read(first)
        return Stream(head, Once(head, map(read, items)))
    raise ValueError("points must have at least one chunk; got an iterator without any")


def _read_batches(
    batches: Batches, points: tuple[Any, ...], frame: Any, given: tuple[Any, ...]
) -> Stream:
    """The stream of batches of tables, of which the columns that are needed are read."""
    try:
        described = batches.head
        table = Table(described)
        names = table.find(points, find_frame(frame))
        columns = _names_of(table, *names, *given)
        make = RowReader(names, frame, given)
        head = make(described.load(columns))
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        name = getattr(batches, "name", "")
        is_named = not name or str(error).startswith(name)
        raise kind(str(error) if is_named else f"{name}: {error}") from error
    positions: tuple[tuple[str, float], ...] = ()
    if len(names) == 2:
        axes = head.lon, head.lat
        positions = tuple((n, axis.factor) for n, axis in zip(names, axes, strict=True))
    return Stream(head, Batched(batches, Wanted(tuple(columns), positions), make, head))


def _names_of(table: Table, *given: Any) -> list[Any]:
    """Those of some arguments that are names of columns; a ValueError if one is not there."""
    names = list(dict.fromkeys(name for name in given if table.is_name(name)))
    table.check(*names)
    return names


@dataclass(frozen=True)
class RowReader:
    """Makes a catalogue of each of many tables, by arguments of `mpl_skyheat.sky_map`."""

    points: tuple[Any, ...]
    frame: Any
    columns: tuple[Any, ...]

    def __call__(self, table: Any) -> Catalogue:
        return read_catalogue(self.points, table, self.frame, *self.columns)


def read_catalogue(
    points: tuple[Any, ...],
    data: Any = None,
    frame: Any = "icrs",
    weights: Any = None,
    values: Any = None,
    widths: Any = None,
) -> Catalogue:
    """Make a catalogue, which is in one piece, of the arguments of `mpl_skyheat.sky_map`."""
    columns = weights, values, widths
    data = read_data(points, data, frame, *columns)
    if not isinstance(data, FileColumns):
        return _read_catalogue(points, data, frame, *columns)
    try:
        catalogue = _read_catalogue(points, data.table, frame, *columns)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{data.path}: {error}") from error
    return replace(catalogue, parts=(Part(0, str(data.path)),))


def read_data(
    points: tuple[Any, ...],
    data: Any,
    frame: Any = "icrs",
    *columns: Any,
) -> Any:
    """Replace the name of a file by the columns of it that are needed; anything else stays."""
    if not isinstance(data, str | os.PathLike):
        return data
    sky_frame = find_frame(frame)

    def choose(in_file: FileTable) -> list[str]:
        table = Table(in_file)
        return _names_of(table, *table.find(points, sky_frame), *columns)

    return read_file(data, choose)


def _read_catalogue(
    points: tuple[Any, ...], data: Any, frame: Any, weights: Any, values: Any, widths: Any
) -> Catalogue:
    sky_frame = find_frame(frame)
    given = points
    if data is None and len(points) == 1 and is_table(points[0]):
        data, points = points[0], ()
    if data is not None:
        table = Table(data)
        points = table.select(points, sky_frame)
        weights, values, widths = (
            table.column(c, name) if table.is_name(c) else c
            for c, name in ((weights, "weights"), (values, "values"), (widths, "kernel"))
        )
    more: Any = {
        name: _column(column, name)
        for name, column in (("weights", weights), ("values", values))
        if column is not None
    }
    if widths is not None:
        more["widths"] = column_of_widths(widths, "kernel")
    if len(points) == 1 and isinstance(points[0], SkyCoord | BaseCoordinateFrame):
        sky_frame, points, more["coordinates"] = _of_coordinates(points[0])
    elif len(points) == 1 and given and is_name(given[0]):
        raise TypeError(
            f"points must be named in pairs with data=table; got the single name {given[0]!r}"
        )
    elif len(points) != 2:
        got = ", ".join(type(p).__name__ for p in given) or "nothing"
        raise TypeError(
            "points must be two arrays (ra, dec), one SkyCoord, two column names with data=table, "
            f"or data=table alone; got {got}"
        )
    lon, lat = _axes(points, sky_frame)
    return Catalogue(sky_frame, lon, lat, **more)


def read_positions(
    position: tuple[Any, ...], frame: Any, of_map: BaseCoordinateFrame | None
) -> tuple[FloatArray, FloatArray, BaseCoordinateFrame | None]:
    """Positions (deg, or plain x and y), of any shape, and their frame, for a map in a frame."""
    if len(position) == 2:
        axes = _axes(position, find_frame(frame))
        position = np.broadcast_arrays(*(a.block(slice(None)).reshape(a.shape) for a in axes))
    elif len(position) != 1 or not isinstance(position[0], SkyCoord | BaseCoordinateFrame):
        got = ", ".join(repr(p) for p in position) or "nothing"
        raise TypeError(f"position must be one SkyCoord, or two numbers or arrays; got {got}")
    shape = position[0].shape
    catalogue = read_catalogue(tuple(position), frame=frame).in_frame(of_map)
    lon, lat = (column.block(slice(None)) for column in (catalogue.lon, catalogue.lat))
    if catalogue.frame is not None:
        lat = catalogue.checked_latitudes(lon, lat, slice(0, None))
    return lon.reshape(shape), lat.reshape(shape), catalogue.frame


def _axes(points: tuple[Any, ...], frame: BaseCoordinateFrame | None) -> list[Column]:
    """The columns of longitude and latitude (deg), or of plain x and y."""
    names = _axis_names(frame)
    columns = [_column(p, name) for p, name in zip(points, names, strict=True)]
    return [_in_degrees(column, frame) for column in columns]


def _of_coordinates(
    coordinates: Any,
) -> tuple[BaseCoordinateFrame, tuple[Any, ...], BaseCoordinateFrame | None]:
    """The frame of a SkyCoord, its longitudes and latitudes, and itself if they are not enough."""
    frame = getattr(coordinates, "frame", coordinates)
    if not frame.has_data:
        raise ValueError(f"points must have positions; got the frame {frame!r} without data")
    sky = frame.represent_as(UnitSphericalRepresentation)
    has_distance = frame.data.norm().unit != u.dimensionless_unscaled
    is_enough = isinstance(frame, ROTATED_FRAMES) and not has_distance
    return frame.replicate_without_data(), (sky.lon, sky.lat), None if is_enough else frame
