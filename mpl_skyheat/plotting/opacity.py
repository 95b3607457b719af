"""``alpha="density"``: a map of values that fades where there are few rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from mpl_skyheat.maps.statistic_table import STATISTICS
from mpl_skyheat.maps.units import unit_of_view
from mpl_skyheat.plotting.drawn_values import drawn_values, is_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.maps.sky_map import SkyMap

# The word that takes the place of a number.
DENSITY = "density"

# Fraction of a map's pixels with a value that are not opaque. Opacity by the largest density would
# leave one cluster on an empty map.
FADED = 0.95

# Opacity of pixels below which limits of the colour scale do not follow their values.
FAINT = 0.1


@dataclass(frozen=True)
class Fading:
    """The density of rows in the pixels of a map, and that from which on these are opaque."""

    density: SkyMap
    opaque_from: u.Quantity

    def opacity(self, ax: Axes) -> FloatArray:
        """The opacity (0 … 1) of the pixels of a map that is drawn on an Axes."""
        full = self.opaque_from.to_value(self.density.unit)
        return np.asarray(np.clip(np.nan_to_num(drawn_values(self.density, ax)) / full, 0, 1))


def check_alpha(alpha: Any, *, live: bool = False) -> bool:
    """Whether the density is to be the opacity; a ValueError for any other text.

    Of a live map, whose pixels are those of the screen, opacity is one number.
    """
    if isinstance(alpha, str) and alpha != DENSITY:
        raise ValueError(
            "alpha must be a number of 0 to 1, an array of the map's shape, or 'density'; got "
            f"{alpha!r:.60}"
        )
    if live and (isinstance(alpha, str) or np.ndim(alpha) > 0):
        got = repr(alpha) if isinstance(alpha, str) else f"an array of shape {np.shape(alpha)}"
        raise ValueError(f"alpha must be a number with live=True; got {got}")
    return isinstance(alpha, str)


def check_has_values(statistic: str | None) -> None:
    """Raise a ValueError if a statistic is not one of values, whose rows have a density beside."""
    if statistic not in STATISTICS or not STATISTICS[statistic].needs_values:
        raise ValueError(
            "values must be given with alpha='density', which fades a map of values where there "
            f"are few rows; got a map of {statistic!r}"
        )


def density_of(sky_map: SkyMap) -> SkyMap:
    """The density S1 / E1 of the rows of a map of values, under its kernel, on the same pixels.

    Without a kernel, of the rows in each pixel. A ValueError if the map does not know it.
    """
    check_has_values(sky_map.meta.get("stat"))
    area = sky_map.solid_angle
    if (sums := sky_map.kernel_sums) is not None:
        density, unit = sums.density, sums.unit or u.dimensionless_unscaled
    elif sky_map.kernel is None and sky_map.counts is not None and area is not None:
        # Medians and extremes have no sums, but rows.
        seen = area.value if sky_map.coverage is None else area.value * sky_map.coverage
        density = np.divide(sky_map.counts, seen, out=np.zeros(seen.shape), where=seen > 0)
        unit = u.dimensionless_unscaled
    else:
        raise ValueError(
            "alpha='density' needs the density of the rows, which this map does not know: it is "
            "made with boundary='reflect' or a kernel of more than one width, or put together of "
            "other arrays; draw one from the points with values=, or give alpha= an array of the "
            "map's shape"
        )
    if sky_map.meta.get("frame") == "flat" or area is None:
        per_area = density << unit
    else:
        of_view = unit_of_view(area.value, max(sky_map.data.shape))
        per_area = (density << unit / u.sr).to(unit / of_view)
    found = sky_map.like(np.where(sky_map.mask, np.nan, per_area.value), per_area.unit, DENSITY)
    found.meta |= {"smoothed": sky_map.is_smoothed}
    return found


def fading_of(sky_map: SkyMap) -> Fading:
    """How a map of values fades; a ValueError if it does not know the density of its rows."""
    density = density_of(sky_map)
    return Fading(density, opaque_density(density))


def opaque_density(density: SkyMap) -> u.Quantity:
    """The density from which on a map is opaque, linear from 0: the `FADED` quantile of pixels.

    Pixels at the rim, which show little sky, do not count.
    """
    whole = density.data[is_whole(density) & ~density.mask]
    some = whole if len(whole) else density.data[~density.mask]
    if not len(some):
        return u.Quantity(1.0, density.unit)
    level = float(np.quantile(some, FADED)) or float(some.max()) or 1.0
    return u.Quantity(level, density.unit)
