"""What the rows in a region of a map add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from mpl_skyheat.coverage.forms import ArrayCoverage
from mpl_skyheat.coverage.parsing import find_coverage
from mpl_skyheat.maps.places import frame_of_points
from mpl_skyheat.maps.significance import SIGNIFICANCES
from mpl_skyheat.maps.statistic_table import OF_ROWS
from mpl_skyheat.sky.planes import plane_of_wcs

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray
    from mpl_skyheat.coverage.base import Coverage

# Statistics of which the rows, or their weights, are added up.
ADDING = (*OF_ROWS, *SIGNIFICANCES)


def total_of(sky_map: Any, region: Any) -> tuple[u.Quantity, u.Quantity]:
    """What the rows in a region add up to, and its standard error: see `SkyMap.total`."""
    amount, variance = sky_map.amount, sky_map.amount_variance
    stat = sky_map.meta.get("stat")
    if amount is None and sky_map.counts is not None and stat in ADDING:
        amount = variance = sky_map.counts << u.dimensionless_unscaled
    if amount is None or variance is None:
        raise TypeError(
            "total is of densities, counts, significances and sums as they were made, not of "
            f"results of arithmetic; got a map of {stat!r}"
        )
    inside = _inside(sky_map, region)
    return amount[inside].sum(), np.sqrt(variance[inside].sum())


def _inside(sky_map: Any, region: Any) -> BoolArray:
    """Which pixels have their centre in a region."""
    inside = np.ones(sky_map.data.shape, bool)
    if region is None:
        return inside
    found = find_coverage(region).coverage
    if found is None:
        raise TypeError(f"region must be one of the sky, not of random points; got {region!r}")
    for part in found.parts:
        inside &= _inside_part(sky_map, part)
    return inside


def _inside_part(sky_map: Any, region: Coverage) -> BoolArray:
    shape = sky_map.data.shape
    if isinstance(region, ArrayCoverage):
        if region.pixels.shape != shape:
            raise ValueError(
                f"region must have the map's shape, {shape}; got an array of shape "
                f"{region.pixels.shape}"
            )
        return region.pixels > 0
    if sky_map.meta.get("frame") == "flat":
        raise TypeError("region must be an array on a map of Cartesian x, y")
    plane = plane_of_wcs(sky_map.wcs)
    y, x = (v.ravel() for v in np.indices(shape))
    lon, lat = plane.to_sky(x, y)
    known = np.flatnonzero(np.isfinite(lon) & np.isfinite(lat))
    inside = np.zeros(x.shape, bool)
    in_frame = region.of_points(frame_of_points(sky_map))
    inside[known] = in_frame.fractions_in(lon[known], lat[known], plane.frame) > 0
    return inside.reshape(shape)
