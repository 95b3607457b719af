"""Statistics about a background around each pixel: the excess over it, and its significance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from mpl_skyheat.maps.moments import SmoothMoments
from mpl_skyheat.maps.significance import SIGNIFICANCES, KernelSums, ratio
from mpl_skyheat.maps.statistics import (
    Found,
    density_error,
    has_no_spread,
    rows_at,
)
from mpl_skyheat.sky.grid import bands_of
from mpl_skyheat.smoothing.kernels import Annulus
from mpl_skyheat.smoothing.profiles import distance_with, fraction_in

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.where import Where
    from mpl_skyheat.smoothing.field import Field

# Fraction of the background's full exposure below which a pixel is masked.
LEAST_SEEN = 0.2

# Largest part of the kernel that may reach into the background.
MOST_SHARED = 0.02


def about_background(field: Field, where: Where, request: MapRequest, team: Team) -> Found:
    """The excess over the background (per sr, or data unit²), or its significance."""
    assert request.background is not None
    sums = field.sums
    on = SmoothMoments(field, request.terms)
    off = SmoothMoments(field, request.background.terms)
    if request.statistic == "excess":
        found = _excess(field, on, sums, where, request)
    else:
        found = _significance(on, off, sums, where, request, team)
    found.values[np.broadcast_to(off.seen() < LEAST_SEEN, found.values.shape)] = np.nan
    return found


def _excess(
    field: Field, on: SmoothMoments, sums: Sums, where: Where, request: MapRequest
) -> Found:
    """The density less that of the background, whose factors are divided by their sum."""
    assert request.background is not None
    around = request.background.terms
    total = sum(factor for factor, _ in around)
    difference = SmoothMoments(
        field, request.terms + tuple((-factor / total, kernel) for factor, kernel in around)
    )
    found = Found(difference.density(difference.weight), on.seen())
    if has_no_spread(sums, where, request):
        return found
    found = replace(found, error=lambda: density_error(difference))
    return found if request.is_signed else replace(found, n_eff=lambda: rows_at(on))


def _significance(
    on: SmoothMoments,
    off: SmoothMoments,
    sums: Sums,
    where: Where,
    request: MapRequest,
    team: Team,
) -> Found:
    """The significance of effective counts under the kernel, given those of the background."""
    if has_no_spread(sums, where, request):
        raise ValueError(
            f"boundary must be 'sky' or 'fill' with statistic={request.statistic!r} where a kernel "
            "reaches around the map, so that no point counts twice (and weights must have squares "
            f"that are finite); got {request.boundary!r}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        around = off.kernel_sums()
        around = replace(around, mean_weight=_mean_weight(off, around))
        found = on.kernel_sums()
        under = replace(found, mean_weight=around.mean_weight)
        n_on, n_off = under.counts, around.counts
        alpha = ratio(under.solid_angle, around.solid_angle)
    values: FloatArray = np.full(n_on.shape, np.nan)
    find = SIGNIFICANCES[request.statistic]

    def work(_: int, rows: slice) -> None:
        known = (alpha[rows] > 0) & np.isfinite(n_on[rows] + n_off[rows])
        values[rows][known] = find(n_on[rows][known], n_off[rows][known], alpha[rows][known])

    team.share(bands_of(len(values), values.size), work)
    return Found(
        values,
        on.seen(),
        n_eff=lambda: rows_at(on),
        kernel_sums=lambda unit: replace(found, unit=unit),
        n_on=n_on,
        n_off=n_off,
    )


def _mean_weight(off: SmoothMoments, around: KernelSums) -> FloatArray | float:
    """w̄ = (S2 / E2) / (S1 / E1) of the background; of all rows where it has none."""
    if not off.has_weights:
        return 1.0
    local = ratio(ratio(off.s2(), around.e2), around.density)
    return np.where(local > 0, local, around.mean_weight)


def shared_fraction(request: MapRequest, where: Where) -> float | None:
    """The part of the kernel's integral that lies in the background; None of an excess.

    Above `MOST_SHARED`, a ValueError names the smallest hole that would do.
    """
    if request.background is None or request.statistic == "excess":
        return None
    side = None if request.is_flat else float(np.linalg.det(where.kernels.metric) ** 0.25)
    shared = fraction_in(request.terms, request.background.terms, side)
    if shared > MOST_SHARED:
        hole = _width_text(distance_with(MOST_SHARED, request.terms, side), side, request)
        raise ValueError(
            f"background must not reach into the kernel: {request.background!r} has {shared:.3g} "
            f"of {request.kernel!r}, more than {MOST_SHARED}; an inner radius of {hole} or more "
            "would do"
        )
    return shared


def _width_text(width: float, side: float | None, request: MapRequest) -> str:
    """A width (rad; pixels if ``side`` is None) in the unit of the background, rounded up."""
    assert request.background is not None
    ring = request.background.terms[0][1]
    assert isinstance(ring, Annulus)
    unit = ring.inner.unit
    if side is None:
        value = width
    elif unit.is_equivalent(u.pix):
        value = width / side
    else:
        value = float((width * u.rad).to_value(unit))
    scale = 10.0 ** (2 - math.floor(math.log10(value)))
    return f"'{math.ceil(value * scale) / scale:g} {unit}'"
