"""Columns of numbers of every accepted kind, converted a block of rows at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.utils.masked import Masked

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Column:
    """A one-dimensional column that is converted to float64 a block of rows at a time."""

    name: str
    values: Any
    shape: tuple[int, ...]
    unit: u.UnitBase | None = None
    mask: BoolArray | None = None
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

    def block(self, rows: slice | IntArray) -> FloatArray:
        """Return these rows, in deg if they are ``angles``, with NaN where they are masked."""
        values = np.ma.filled(np.ma.asarray(self.values[rows]).astype(float), np.nan)
        if self.mask is not None:
            values = np.where(self.mask[rows], np.nan, values)
        return values * self.factor


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
