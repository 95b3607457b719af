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


def statistic_of(
    sums: Sums, channel: str, where: Where, request: MapRequest, team: Team
) -> FloatArray:
    """The statistic of a channel: a density (per sr or data unit²) or counts per pixel.

    A smoothed count is the smoothed density times the pixel's solid angle, which is the smoothed
    sum if the boundary is explicit. Without a kernel, a count is the sum itself.
    """
    geometry, kernels = where.geometry, where.kernels
    is_density = request.statistic == "density"
    if not kernels.terms:
        sums.settle()
        counts = sums.pixels[channel][geometry.core].astype(float)
        if is_density:
            with np.errstate(divide="ignore", invalid="ignore"):
                counts /= geometry.solid_angles
        return counts
    field: Field
    if where.choice.geometry == "sphere":
        field = SphereField(sums, team)
    else:
        field = PlaneField(sums, kernels.metric, request.boundary, kernels.margin())
    density = field.density(channel, kernels.terms)
    return density if is_density else density * geometry.solid_angles
