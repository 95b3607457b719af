"""From rows to the statistic of a map, in two steps: sums, and what is found from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.catalogue.streams import Stream
from mpl_skyheat.compute.progress import rows_told
from mpl_skyheat.counting.sums import Sums
from mpl_skyheat.counting.workers import add_rows
from mpl_skyheat.coverage.observed import observed_sky
from mpl_skyheat.maps.adaptive import adaptive_moments
from mpl_skyheat.maps.background import about_background
from mpl_skyheat.maps.moments import PixelMoments, SmoothMoments, sums_of_randoms
from mpl_skyheat.maps.row_ladder import RowLadder
from mpl_skyheat.maps.statistic_table import channels_of
from mpl_skyheat.maps.statistics import statistic_of
from mpl_skyheat.sky.reach import reach_of
from mpl_skyheat.smoothing.adaptive import Adaptive

if TYPE_CHECKING:
    from typing import Any

    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.counting.exact_route import ProjectedBlock
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.statistics import Found
    from mpl_skyheat.maps.where import Where
    from mpl_skyheat.smoothing.field import Field

# By how much rounding may lower the observed fraction of what a kernel sees.
ROUNDING = 1e-6


def summed(
    catalogue: Catalogue | Stream,
    where: Where,
    request: MapRequest,
    team: Team,
    blocks: list[ProjectedBlock] | None = None,
) -> tuple[Sums, Sums | None]:
    """The sums of a catalogue's rows, and of the random points that say what was observed.

    ``blocks`` are the rows, if they have been projected already.
    """
    near = catalogue.within(reach_of(where.geometry, catalogue.frame))
    sums = _empty_sums(near, where, request)
    add_rows(sums, near, team, blocks, progress=request.progress)
    return sums, sums_of_randoms(request, where.geometry, sums.observed, team)


def summed_by_width(
    catalogue: Catalogue | Stream,
    where: Where,
    request: MapRequest,
    team: Team,
    blocks: list[ProjectedBlock] | None = None,
) -> tuple[Sums, RowLadder]:
    """The sums of all rows in pixels, and those of rows that each have a width of their own.

    All rows are read, as how far each of them reaches is in its row.
    """
    sums = _empty_sums(catalogue, where, request)
    ladder = RowLadder(request, where, catalogue, sums, team)
    with rows_told(request.progress if isinstance(catalogue, Stream) else False) as told:
        for chunk in catalogue.gathered():
            sums.add(chunk, team=team, projected=blocks)
            ladder.add(chunk)
            if told is not None:
                told(sums.rows["read"])
    return sums, ladder


def _empty_sums(catalogue: Catalogue | Stream, where: Where, request: MapRequest) -> Sums:
    channels = channels_of(
        request.statistic,
        has_weights=catalogue.weights is not None,
        counts_rows=request.min_count is not None and request.kernel is None,
    )
    if request.rows_kernel is not None:
        # Rows are shared between widths: their number is no integer.
        channels = tuple("w" if name == "n" else name for name in channels)
    # A sum has no difference that would lose digits.
    offset = 0.0 if request.statistic == "sum" else catalogue.typical_value()
    observed = None
    if request.coverage is not None:
        observed = observed_sky(where.geometry, request.coverage, catalogue.frame)
    return Sums(where.geometry, channels, offset=offset, observed=observed)


def found_in(
    sums: Sums, field: Field | None, where: Where, request: MapRequest, team: Team
) -> Found:
    """The statistic of sums, smoothed if there is a field of them."""
    if field is None:
        return statistic_of(sums, PixelMoments(sums), where, request)
    if request.background is not None:
        return about_background(field, where, request, team)
    if isinstance(request.kernel, Adaptive):
        moments = adaptive_moments(request.kernel, field, where, request)
        return statistic_of(sums, moments, where, request)
    return statistic_of(sums, SmoothMoments(field, request.terms), where, request)


def map_values(
    found: Found,
    factor: float,
    where: Where,
    request: MapRequest,
    *,
    area: FloatArray,
    coverage: FloatArray | None,
    rows: Any,
) -> FloatArray:
    """A statistic in the unit of the map, NaN where it is masked.

    That is where there is no ``area`` on the sky, where nothing was observed, where the kernel sees
    too little of it, and where there are too few ``rows``, if ``min_count`` asks for some.
    """
    values = np.where(area > 0, factor * found.values, np.nan)
    if coverage is not None:
        least = request.min_coverage if request.kernel is not None else 0.0
        values[(coverage <= 0) | (found.seen < least * (1 - ROUNDING))] = np.nan
    if request.min_count is None:
        return values
    if rows is None:  # of boundary="wrap", where the kernel reaches around the map
        raise ValueError(
            f"min_count={request.min_count:g} needs a number of rows under the kernel, which there "
            "is none of where it reaches around the map: take boundary='sky' or 'fill'"
        )
    # The number of rows under a kernel is as exact as smoothing is.
    slack = 5e-3 if where.choice.geometry == "sphere" else 1e-6
    values[~(rows >= (1 - slack) * request.min_count)] = np.nan
    return values
