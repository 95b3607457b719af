"""A catalogue in memory, read as blocks of finite positions in one frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from mmap import mmap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units as u

from mpl_skyheat.catalogue.columns import Column, _column
from mpl_skyheat.catalogue.guesses import SAMPLE, other_than_degrees
from mpl_skyheat.sky.frames import ROTATED_FRAMES, transformed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray

# Rows of a block: enough to hide the overhead of a call into astropy, few enough for the
# temporaries of a coordinate transform to stay in the processor's cache.
BLOCK_ROWS = 2**16

# Rows of a batch that compiled code shares among its threads.
ARRAY_ROWS = 2**21

# Latitudes up to this far (deg) beyond a pole are clipped: π/2 rad as a float32 is above 90 deg.
POLE_TOLERANCE = 1e-5

# Numbers that stand for a missing value in many tables, with either sign.
MISSING = 99, 999, 9999, 99999


@dataclass(frozen=True)
class Block:
    """Rows of a catalogue with finite positions (deg, or plain x and y), weights and values.

    ``shares`` are the parts of rows that count here. ``kept`` tells which of the rows that were
    read these are; None for all of them.
    """

    lon: FloatArray
    lat: FloatArray
    weights: FloatArray | None
    values: FloatArray | None
    shares: FloatArray | None
    dropped: int
    kept: BoolArray | None = None


class Rows(NamedTuple):
    """Unchecked rows of a catalogue from row ``start`` on, with NaN where one is masked."""

    start: int
    lon: FloatArray
    lat: FloatArray
    weights: FloatArray | None
    values: FloatArray | None
    widths: FloatArray | None
    shares: FloatArray | None


class Part(NamedTuple):
    """Where rows from ``start`` on are from: ``name``, a file or chunk, from row ``first`` on."""

    start: int
    name: str
    first: int = 0

    def after(self, rows: int) -> Part:
        """The part where a number of other rows are before it."""
        return Part(rows + self.start, self.name, self.first)


@dataclass(frozen=True)
class Catalogue:
    """Positions in one frame (None: Cartesian x and y), with optional weights and values.

    ``widths`` are those of kernels (rad, or pixels), ``shares`` the parts of rows that count here
    while others count elsewhere.

    ``parts`` say where rows are from, for messages about them. ``coordinates`` are the positions
    again, of a SkyCoord with distances or in a frame with an origin. Before these rows a number of
    others was ``skipped``, which cannot be on the map.
    """

    frame: BaseCoordinateFrame | None
    lon: Column
    lat: Column
    weights: Column | None = None
    values: Column | None = None
    widths: Column | None = None
    shares: Column | None = None
    parts: tuple[Part, ...] = (Part(0, ""),)
    coordinates: BaseCoordinateFrame | None = None
    skipped: int = 0

    def __post_init__(self) -> None:
        for column in (self.lat, self.weights, self.values, self.widths):
            if column is None:
                continue
            shapes = [c.shape or (1,) for c in (self.lon, column)]  # a number is one row
            kind, got = "shape", shapes  # type: str, list[Any]
            if len(shapes[0]) == len(shapes[1]) == 1:
                kind, got = "length", np.ravel(shapes).tolist()
            if shapes[0] != shapes[1]:
                names = f"{self.lon.name} and {column.name}"
                raise ValueError(f"{names} must have the same {kind}; got {got[0]} and {got[1]}")

    def __len__(self) -> int:
        return len(self.lon)

    def in_frame(self, frame: BaseCoordinateFrame | None) -> Catalogue:
        """The catalogue for a map in a frame, in which directions are all that counts.

        What an observer sees of something near depends on its distance, which is dropped here. In
        equal frames, and between frames of directions, it does not matter.
        """
        if self.coordinates is None or self.frame is None or frame is None:
            return self
        are_of_directions = isinstance(self.frame, ROTATED_FRAMES) and isinstance(
            frame, ROTATED_FRAMES
        )
        if are_of_directions or self.frame.is_equivalent_frame(frame):
            return replace(self, coordinates=None)
        given: Any = self.coordinates
        is_masked = getattr(given, "masked", False)
        # astropy does not transform masked positions to every frame.
        sky = transformed(given.unmasked if is_masked else given, frame).spherical
        lon, lat = (
            _column(np.ma.array(angle.deg, mask=given.mask) if is_masked else angle.deg, name)
            for angle, name in ((sky.lon, self.lon.name), (sky.lat, self.lat.name))
        )
        return replace(self, frame=frame, lon=lon, lat=lat, coordinates=None)

    @property
    def weights_unit(self) -> u.UnitBase:
        """Unit of the weights; dimensionless where there are none."""
        unit = self.weights.unit if self.weights is not None else None
        return unit or u.dimensionless_unscaled

    @property
    def values_unit(self) -> u.UnitBase:
        """Unit of the values; dimensionless where there is none."""
        unit = self.values.unit if self.values is not None else None
        return unit or u.dimensionless_unscaled

    @property
    def widths_unit(self) -> u.UnitBase | None:
        """Unit of the widths, rad or pix; None without any."""
        return self.widths.unit if self.widths is not None else None

    @property
    def narrowest(self) -> float | None:
        """The smallest of the widths above 0; None without any."""
        if self.widths is None:
            return None
        widths = self.widths.array(slice(None))
        return float(widths.min(initial=np.inf, where=widths > 0))

    def typical_value(self) -> float:
        """The median of some values, 0 without any: sums of squares about it keep their digits."""
        some = self._some_values()
        return float(np.median(some)) if len(some) else 0.0

    @property
    def has_values(self) -> bool:
        """Whether any of the `SAMPLE` values that `typical_value` is found from is finite."""
        return len(self._some_values()) > 0

    def _some_values(self) -> FloatArray:
        if self.values is None:
            return np.zeros(0)
        some = self.values.block(slice(None, None, len(self) // SAMPLE + 1))
        return np.asarray(some[np.isfinite(some)])

    @property
    def is_in_memory(self) -> bool:
        """Whether rows can be sampled cheaply: no position is in a memory-mapped file."""
        return not any(_is_mapped(c.values) for c in (self.lon, self.lat))

    @property
    def doubt(self) -> str:
        """What numbers without a unit look like in place of degrees; "" if they do not."""
        if self.frame is None or self.lon.unit is not None or self.lat.unit is not None:
            return ""
        some = slice(None, None, len(self) // SAMPLE + 1)
        return other_than_degrees(self.lon.array(some), self.lat.array(some))

    def blocks(self) -> Iterator[Block]:
        """Yield the catalogue block by block, each as `rows` returns it."""
        for start in range(0, len(self), BLOCK_ROWS):
            yield self.rows(slice(start, start + BLOCK_ROWS))

    def chunks(self) -> Iterator[Catalogue]:
        """Yield the catalogue itself, which is in one piece (unlike a `Stream`)."""
        yield self

    gathered = chunks

    def within(self, reach: Any) -> Catalogue:
        """The catalogue without what is out of reach of a map: in memory, all of it."""
        del reach
        return self

    def held(self) -> Catalogue:
        """The catalogue itself, which is in memory, or mapped to it."""
        return self

    def arrays(self, rows: int = ARRAY_ROWS) -> Iterator[Rows]:
        """Yield all rows in batches, unchecked. Callers must not modify the arrays."""
        for start in range(0, len(self), rows):
            part = slice(start, start + rows)
            columns = (
                None if column is None else column.array(part)
                for column in (self.weights, self.values, self.widths, self.shares)
            )
            yield Rows(start, self.lon.array(part), self.lat.array(part), *columns)

    def rows(self, rows: slice | IntArray) -> Block:
        """Return the finite ones of some rows.

        A latitude beyond ±90 deg, a negative weight or a width that is not positive is a ValueError
        that names its row.
        """
        lon, lat = self.lon.block(rows), self.lat.block(rows)
        weights = self.weights.block(rows) if self.weights is not None else None
        values = self.values.block(rows) if self.values is not None else None
        widths = self.widths.block(rows) if self.widths is not None else None
        shares = self.shares.block(rows) if self.shares is not None else None
        keep = np.isfinite(lon) & np.isfinite(lat)
        for column in (weights, values, widths):
            if column is not None:
                keep &= np.isfinite(column)
        self.check_amounts(keep, weights, widths, rows)
        if self.frame is not None:
            lat = self.checked_latitudes(lon, lat, rows)
        if keep.all():
            return Block(lon, lat, weights, values, shares, 0)
        dropped = len(keep) - int(np.count_nonzero(keep))
        weights, values, shares = (
            None if c is None else c[keep] for c in (weights, values, shares)
        )
        return Block(lon[keep], lat[keep], weights, values, shares, dropped, keep)

    def check_amounts(
        self,
        usable: BoolArray,
        weights: FloatArray | None,
        widths: FloatArray | None,
        rows: slice | IntArray,
    ) -> None:
        """Raise a ValueError if a usable row has a negative weight, or a width that is 0 or less.

        ``rows`` are those of the catalogue that the others have been read from.
        """
        if weights is not None:
            self.check_rows(usable & (weights < 0), weights, rows, "weights must not be negative")
        if widths is not None:
            rule = "kernel must have a positive width for each row (NaN leaves a row out)"
            self.check_rows(usable & (widths <= 0), widths, rows, rule)

    def checked_latitudes(
        self, lon: FloatArray, lat: FloatArray, rows: slice | IntArray
    ) -> FloatArray:
        """Return latitudes clipped to ±90 deg; one farther beyond than rounding is an error."""
        beyond = np.isfinite(lat) & (np.abs(lat) > 90 + POLE_TOLERANCE)
        if beyond.any():
            names = self.lon.name, self.lat.name
            hint = _latitude_hint(lon, lat, beyond, names)
            self.check_rows(beyond, lat, rows, f"{names[1]} must lie within ±90 deg{hint}")
        return np.clip(lat, -90, 90)

    def check_rows(
        self, bad: BoolArray, values: FloatArray, rows: slice | IntArray, rule: str
    ) -> None:
        """Raise a ValueError that names the first bad row and its value, if there is one."""
        if not bad.any():
            return
        first = int(np.argmax(bad))
        row = int(rows.start + first if isinstance(rows, slice) else rows[first])
        part = [part for part in self.parts if part.start <= row][-1]
        place = f"in {part.name}: " if part.name else ""
        number = row - part.start + part.first
        raise ValueError(f"{place}{rule}; row {number} has {values[first]:g}")


def _is_mapped(array: Any) -> bool:
    """Whether an array is, or is a view of, a memory-mapped file."""
    while array is not None and not isinstance(array, np.memmap | mmap):
        array = getattr(array, "base", None)
    return array is not None


def _latitude_hint(
    lon: FloatArray, lat: FloatArray, beyond: BoolArray, names: tuple[str, str]
) -> str:
    """Name the probable cause of latitudes beyond the poles; an empty text for none."""
    if abs(lat[np.argmax(beyond)]) in MISSING:
        return " (what is missing must be NaN or masked)"
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[known], lat[known]
    if not len(lon) or lat.min() < 0:
        return ""
    if np.abs(lon).max() <= 90 and lat.max() <= 360 and np.median(lat) > 90:
        return f" (are {names[0]} and {names[1]} swapped?)"
    is_colatitude = np.median(lat) > 60 and lat.max() <= 180
    return f" (write 90 - {names[1]} if it is a colatitude)" if is_colatitude else ""
