"""Statistics of maps: pure functions of sums under kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.smoothing.field import Field, PlaneField, SphereField

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.where import Where


def field_of(sums: Sums, where: Where, request: MapRequest, team: Team) -> Field:
    """Return the field that a map is read from."""
    if where.choice.geometry == "sphere":
        return SphereField(sums, team)
    kernels = where.kernels
    return PlaneField(sums, kernels.metric, request.boundary, kernels.margin())


def statistic_of(
    sums: Sums, channel: str, where: Where, request: MapRequest, team: Team
) -> FloatArray:
    """Return the statistic of a channel: a density (per sr or data unit²) or counts per pixel.

    The smoothed count is the smoothed density times the pixel's solid angle; of a pixel that is
    not smoothed, and on a map with an explicit boundary, it is the sum itself.
    """
    geometry, terms = where.geometry, where.kernels.terms
    is_density = request.statistic == "density"
    if not terms:
        sums.settle()
        counts = sums.pixels[channel][geometry.core].astype(float)
        return _per_area(counts, geometry.solid_angles) if is_density else counts
    density = field_of(sums, where, request, team).density(channel, terms)
    return density if is_density else density * geometry.solid_angles


def _per_area(counts: FloatArray, solid_angles: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(counts, solid_angles, out=counts)
