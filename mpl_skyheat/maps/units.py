"""Units of maps: by default by the width of the view, so that maps of one view compare."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from mpl_skyheat.maps.statistic_table import STATISTICS

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.maps.request import MapRequest

# Pixels that are sampled for the median solid angle.
SOME = 4096


def map_unit(
    request: MapRequest,
    of_weights: u.UnitBase,
    of_values: u.UnitBase,
    solid_angles: FloatArray,
    across: float,
) -> tuple[u.UnitBase, float]:
    """The map's unit, and the factor from that of its sums (per sr, or square data unit) to it.

    ``across`` is the number of pixels along the longer side of the view.
    """
    kind, unit = STATISTICS[request.statistic].unit, request.unit
    if kind == "none":
        return u.dimensionless_unscaled, 1.0
    if kind != "area":
        own = {"weights": of_weights, "values": of_values}.get(kind)
        return _converted(own or _product(of_weights, of_values), unit)
    if request.is_flat:
        if unit is not None:
            raise ValueError(f"unit must be left out with frame='flat'; got {unit}")
        return of_weights, 1.0
    if unit is None:
        unit = _per(of_weights, unit_of_view(solid_angles, across))
    try:
        return unit, _factor(of_weights, unit)
    except u.UnitConversionError as error:
        wanted = "per solid angle, such as u.deg**-2"
        if of_weights != u.dimensionless_unscaled:
            wanted = f"that of the weights per solid angle, such as {of_weights / u.deg**2}"
        raise ValueError(f"unit must be {wanted}; got {unit}") from error


def _product(of_weights: u.UnitBase, of_values: u.UnitBase) -> u.UnitBase:
    """The unit of weights times values."""
    if of_weights == u.dimensionless_unscaled:
        return of_values
    return of_weights * of_values


def _converted(own: u.UnitBase, unit: u.UnitBase | None) -> tuple[u.UnitBase, float]:
    if unit is None:
        return own, 1.0
    try:
        return unit, float(own.to(unit))
    except u.UnitConversionError as error:
        its = str(own) or "none (they are plain numbers)"
        raise ValueError(f"unit must be one of the values, which is {its}; got {unit}") from error


@cache
def _per(unit: u.UnitBase, area: u.UnitBase) -> u.UnitBase:
    """A unit per area; kept, as astropy takes longer for it than for a map of few points."""
    return unit / area


@cache
def _factor(of_weights: u.UnitBase, unit: u.UnitBase) -> float:
    """The factor from per sr to a unit; kept for the same reason."""
    return float((of_weights / u.sr).to(unit))


def unit_of_view(area: FloatArray, across: float) -> u.UnitBase:
    """The unit that suits the width of a view, by the size of most pixels."""
    some = area.ravel()[:: max(area.size // SOME, 1)]
    some = some[some > 0] if (some > 0).any() else area[area > 0]
    side = float(np.degrees(np.sqrt(np.median(some)))) if len(some) else np.inf
    for limit, unit in ((1.0, u.deg), (1 / 60, u.arcmin)):
        if across * side >= 0.999 * limit:
            return unit**2
    return u.arcsec**2


def readable_angle(angle: u.Quantity) -> u.Quantity:
    """An angle, or a number of pixels, with four digits in the unit that suits its size."""
    unit = angle.unit
    if unit.is_equivalent(u.rad):
        unit = next((unit for unit in (u.deg, u.arcmin) if angle >= 0.1 * unit), u.arcsec)
    return float(f"{angle.to_value(unit):.4g}") << unit
