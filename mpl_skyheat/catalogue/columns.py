"""Columns of numbers of every accepted kind, converted a block of rows at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from astropy.utils.masked import Masked

from mpl_skyheat.catalogue.column_units import unit_of

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Column:
    """A flattened column that is converted to float64 a block of rows at a time.

    ``shape`` is the one it was given in; ``factor`` converts its values, such as angles to deg.
    ``label`` is its name in the table that it is from.
    """

    name: str
    values: Any
    shape: tuple[int, ...]
    unit: u.UnitBase | None = None
    factor: float = 1.0
    label: str = ""

    def __len__(self) -> int:
        return len(self.values)

    def array(self, rows: slice) -> FloatArray:
        """Rows as from `block`, a view where possible. Callers must not modify it."""
        if isinstance(self.values, np.ma.MaskedArray) or self.factor != 1.0:
            return self.block(rows)
        return np.ascontiguousarray(self.values[rows], dtype=float)

    def block(self, rows: slice | IntArray) -> FloatArray:
        """A copy of rows, times the factor, with NaN where they are masked."""
        values: Any = np.ma.asarray(self.values[rows]).astype(float)
        return np.asarray(values.filled(np.nan) * self.factor)


def _column(values: Any, name: str) -> Column:
    """Make a column of any accepted kind of values, without copying them."""
    if isinstance(values, str):
        raise TypeError(f"{name} is the column name {values!r}: pass the table too, as data=table")
    if isinstance(values, SkyCoord | BaseCoordinateFrame):
        raise TypeError(f"{name} must be numbers or angles; got a SkyCoord (pass it on its own)")
    if isinstance(values, list | tuple) and any(isinstance(v, u.Quantity) for v in values[:1]):
        values = u.Quantity(values)
    unit = unit_of(values)
    if name == "values":
        # Means of magnitudes are what many ask for: mag(AB) is mag.
        unit = unit.function_unit if isinstance(unit, u.FunctionUnitBase) else unit
    elif unit == u.mag:
        raise TypeError(f"{name} must have a linear unit; got 'mag' (take 10**(-0.4 * magnitude))")
    elif isinstance(unit, u.FunctionUnitBase):
        raise TypeError(f"{name} must have a linear unit; got '{unit}' (take its physical value)")
    array = _array(values, name)
    if array.dtype.kind == "O":
        array = _of_objects(array)
    if array.dtype.kind == "b" and name == "values":
        array = array.astype(float)  # of a flag, whose mean is a fraction
    label = getattr(values, "name", None) or getattr(getattr(values, "info", None), "name", None)
    if array.dtype.kind not in "fiu":
        hint = " (make it numbers, or read sexagesimal text with SkyCoord)"
        hint = hint if array.dtype.kind in "SUO" else ""
        raise TypeError(f"{name} must be numbers or angles; got an array of {array.dtype}{hint}")
    return Column(name, array.reshape(-1), array.shape, unit, label=str(label or ""))


def _array(values: Any, name: str) -> Any:
    if isinstance(values, u.Quantity):
        values = values.value
    elif hasattr(values, "units") and hasattr(values, "magnitude"):  # of pint
        values = values.magnitude
    if isinstance(values, Masked):
        return np.ma.array(values.unmasked, mask=values.mask)
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.asarray(values)
    if type(values).__module__.startswith("pandas"):
        from pandas.api.types import is_numeric_dtype

        if is_numeric_dtype(values):  # np.asarray would make objects of pandas' nullable types
            return values.to_numpy(dtype=float, na_value=np.nan)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise TypeError(f"{name} must be a flat sequence of numbers; got {values!r}") from error
    return array.astype(float) if array.size == 0 else array


def _of_objects(array: Any) -> Any:
    """Floats of an array of numbers, decimals and None; the array itself if it has others."""
    array, missing = np.ma.getdata(array), np.ma.getmaskarray(array).copy()
    none = [v is None or type(v).__name__ == "NAType" for v in array.flat]  # NAType is pandas'
    missing |= np.array(none, bool).reshape(array.shape)
    numbers = array[~missing]
    if any(isinstance(number, str | bytes | bool) for number in numbers):
        return array
    floats = np.full(array.shape, np.nan)
    try:
        floats[~missing] = numbers.astype(float)
    except (TypeError, ValueError):
        return array
    return floats


def _in_degrees(column: Column, frame: BaseCoordinateFrame | None) -> Column:
    """Make a column of angles read in deg; without a frame (flat maps) it must have no unit."""
    unit = column.unit
    if unit is None or (unit == u.dimensionless_unscaled and frame is None):
        return column
    if unit == u.hour and column.name == "ra":
        unit = u.hourangle
    got = f"got unit '{str(unit)[:60]}'" + (f" of column {column.label!r}" if column.label else "")
    if frame is None:
        raise ValueError(f"{column.name} must be plain numbers with frame='flat'; {got}")
    if not unit.is_equivalent(u.deg):
        raise ValueError(f"{column.name} must be an angle (plain numbers are degrees); {got}")
    return replace(column, factor=float(unit.to(u.deg)))


def column_of_widths(values: Any, argument: str) -> Column:
    """Make a column of widths, read in rad, or in pixels; an error names the argument."""
    column = _column(values, argument)
    unit, of = column.unit, f" of column {column.label!r}" if column.label else ""
    for base in (u.rad, u.pix):
        if unit is not None and unit.is_equivalent(base):
            return replace(column, factor=float(unit.to(base)), unit=base)
    got = f"got unit '{str(unit)[:60]}'{of}"
    if unit is None or unit == u.dimensionless_unscaled:
        name = column.label or "pos_err"
        got = (
            f"got numbers without a unit{of}: give them one, as in "
            f"data[{name!r}].unit = 'arcsec', or Gaussian(data[{name!r}] * u.arcsec)"
        )
    raise ValueError(f"{argument} of rows must be angles (or in pixels of the map); {got}")
