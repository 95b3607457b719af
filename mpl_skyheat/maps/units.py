"""Units of maps: by default by the size of their pixels, so that maps on one grid compare."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.maps.request import MapRequest

# Pixels that are sampled for the median solid angle.
SOME = 4096


def map_unit(
    request: MapRequest, of_weights: u.UnitBase, solid_angles: FloatArray
) -> tuple[u.UnitBase, float]:
    """The map's unit, and the factor from per sr (or per square data unit) to it."""
    if request.statistic == "count" or request.is_flat:
        if request.unit is not None:
            raise ValueError(f"unit must be left out with frame='flat'; got {request.unit}")
        return of_weights, 1.0
    unit = _per(of_weights, _unit_of_area(solid_angles)) if request.unit is None else request.unit
    try:
        return unit, _factor(of_weights, unit)
    except u.UnitConversionError as error:
        wanted = "per solid angle, such as u.deg**-2"
        if of_weights != u.dimensionless_unscaled:
            wanted = f"that of the weights per solid angle, such as {of_weights / u.deg**2}"
        raise ValueError(f"unit must be {wanted}; got {unit}") from error


@cache
def _per(unit: u.UnitBase, area: u.UnitBase) -> u.UnitBase:
    """A unit per area; kept, as astropy takes longer for it than for a map of few points."""
    return unit / area


@cache
def _factor(of_weights: u.UnitBase, unit: u.UnitBase) -> float:
    """The factor from per sr to a unit; kept for the same reason."""
    return float((of_weights / u.sr).to(unit))


def _unit_of_area(area: FloatArray) -> u.UnitBase:
    """The unit that suits the side of most pixels."""
    some = area.ravel()[:: max(area.size // SOME, 1)]
    some = some[some > 0] if (some > 0).any() else area[area > 0]
    side = float(np.degrees(np.sqrt(np.median(some)))) if len(some) else 1.0
    for limit, unit in ((0.1, u.deg), (0.1 / 60, u.arcmin)):
        if side >= 0.999 * limit:
            return unit**2
    return u.arcsec**2
