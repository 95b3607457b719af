"""A catalogue in memory, read as blocks of finite positions in one frame."""

from __future__ import annotations

from dataclasses import dataclass
from mmap import mmap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units as u

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.catalogue.columns import Column
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray

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


@dataclass(frozen=True)
class Block:
    """Some rows of a catalogue: finite positions (deg, or plain x and y), weights and values."""

    lon: FloatArray
    lat: FloatArray
    weights: FloatArray | None
    values: FloatArray | None
    dropped: int
    # Which rows these are of those that were read; None: all.
    kept: BoolArray | None = None


class Rows(NamedTuple):
    """Rows of a catalogue from ``start`` on, as they are: NaN where something is missing."""

    start: int
    lon: FloatArray
    lat: FloatArray
    weights: FloatArray | None
    values: FloatArray | None


@dataclass(frozen=True)
class Catalogue:
    """Positions in one frame (None: Cartesian x and y), with optional weights and values.

    ``parts`` names the chunks of a stream that it has been gathered from, each with its first row,
    for messages about rows.
    """

    frame: BaseCoordinateFrame | None
    lon: Column
    lat: Column
    weights: Column | None = None
    values: Column | None = None
    parts: tuple[tuple[int, str], ...] = ((0, ""),)

    def __post_init__(self) -> None:
        for column in (self.lat, self.weights, self.values):
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

    def gathered(self) -> Iterator[Catalogue]:
        """Yield the catalogue, which is in one piece."""
        yield self

    def arrays(self, rows: int = ARRAY_ROWS) -> Iterator[Rows]:
        """Yield positions, weights and values of all rows, unchecked; not to be written to."""
        for start in range(0, len(self), rows):
            part = slice(start, start + rows)
            weights, values = (
                None if column is None else column.array(part)
                for column in (self.weights, self.values)
            )
            yield Rows(start, self.lon.array(part), self.lat.array(part), weights, values)

    def rows(self, rows: IntArray) -> Block:
        """Return these rows, as `blocks` does."""
        return self._block(rows)

    def _block(self, rows: slice | IntArray) -> Block:
        lon, lat = self.lon.block(rows), self.lat.block(rows)
        weights = self.weights.block(rows) if self.weights else None
        values = self.values.block(rows) if self.values else None
        keep = np.isfinite(lon) & np.isfinite(lat)
        for column in (weights, values):
            if column is not None:
                keep &= np.isfinite(column)
        if weights is not None:
            self.check_rows(keep & (weights < 0), weights, rows, "weights must not be negative")
        if self.frame is not None:
            lat = self.checked_latitudes(lon, lat, rows)
        if keep.all():
            return Block(lon, lat, weights, values, 0)
        dropped = len(keep) - int(np.count_nonzero(keep))
        weights, values = (None if c is None else c[keep] for c in (weights, values))
        return Block(lon[keep], lat[keep], weights, values, dropped, keep)

    def checked_latitudes(
        self, lon: FloatArray, lat: FloatArray, rows: slice | IntArray
    ) -> FloatArray:
        """Return latitudes clipped to ±90 deg; more than rounding beyond is an error."""
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
        start, name = max(part for part in self.parts if part[0] <= row)
        raise ValueError(f"{rule}; row {row - start}{name} has {values[first]:g}")


def _is_mapped(array: Any) -> bool:
    """Tell whether an array is in a file that is mapped into memory."""
    while array is not None and not isinstance(array, np.memmap | mmap):
        array = getattr(array, "base", None)
    return array is not None


def _latitude_hint(
    lon: FloatArray, lat: FloatArray, beyond: BoolArray, names: tuple[str, str]
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
