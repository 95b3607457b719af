"""The whole job without matplotlib: from a catalogue to a `SkyMap`."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.io.fits import Header
from astropy.wcs import WCS

from mpl_skyheat.catalogue.blocks import Catalogue
from mpl_skyheat.catalogue.reading import read_points
from mpl_skyheat.catalogue.streams import Stream
from mpl_skyheat.compute.threads import Team, thread_count
from mpl_skyheat.compute.warning import SkyHeatmapWarning
from mpl_skyheat.counting.exact_route import bounds_of, project_blocks
from mpl_skyheat.maps.background import shared_fraction
from mpl_skyheat.maps.bandwidth import with_best_width
from mpl_skyheat.maps.doubts import warn_of_density, warn_of_rows
from mpl_skyheat.maps.live import check_lattice, live_map
from mpl_skyheat.maps.moments import field_of
from mpl_skyheat.maps.own_share import own_share
from mpl_skyheat.maps.request import MapRequest
from mpl_skyheat.maps.sky_map import SkyMap
from mpl_skyheat.maps.statistic_table import EXTREMES, OF_ROWS, STATISTICS
from mpl_skyheat.maps.statistics import statistic_of
from mpl_skyheat.maps.summing import (
    found_in,
    map_values,
    summed,
    summed_by_width,
)
from mpl_skyheat.maps.totals import ADDING
from mpl_skyheat.maps.units import map_unit
from mpl_skyheat.maps.where import Where, choose_where
from mpl_skyheat.sky.frames import find_sky_frame, frame_text
from mpl_skyheat.sky.grid import UNKNOWN, View
from mpl_skyheat.sky.grid_wcs import grid_wcs
from mpl_skyheat.sky.planes import FlatPlane, plane_of_wcs, view_of_shape
from mpl_skyheat.smoothing.adaptive import Adaptive

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.counting.exact_route import ProjectedBlock
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.maps.live import LiveBins, LiveField
    from mpl_skyheat.maps.statistic_table import StatisticName
    from mpl_skyheat.maps.statistics import Found
    from mpl_skyheat.sky.grid import SkyGrid
    from mpl_skyheat.sky.planes import Plane
    from mpl_skyheat.smoothing.choice import Geometry
    from mpl_skyheat.smoothing.plane import Boundary


def sky_map(
    *points: Any,
    wcs: Any = None,
    shape: tuple[int, int] | None = None,
    data: Any = None,
    frame: Any = "icrs",
    weights: Any = None,
    values: Any = None,
    statistic: StatisticName | None = None,
    pixel_size: Any = None,
    bins: int | tuple[int, int] | None = None,
    kernel: Any = None,
    boundary: Boundary = "sky",
    geometry: Geometry = "auto",
    coverage: Any = None,
    min_coverage: float = 0.5,
    min_count: float | None = None,
    background: Any = None,
    unit: Any = None,
    label: str | None = None,
    threads: int | None = None,
    progress: Any = False,
) -> SkyMap:
    """Make a smoothed, calibrated density map of a catalogue of sky positions.

    Parameters
    ----------
    *points, data, frame, weights, values, statistic, pixel_size, bins, kernel
        As in `sky_heatmap`.
    boundary, geometry, coverage, min_coverage, min_count, background, unit, label
        As in `sky_heatmap`.
    threads, progress
        As in `sky_heatmap`.
    wcs : `~astropy.wcs.WCS` or other celestial WCS, `~astropy.io.fits.Header` or SkyMap
        Two celestial axes, those of a FITS header, or those of a map, of which the pixels are
        taken. Its pixels are the map's, unless ``pixel_size`` or ``bins`` is given. Not needed with
        ``frame="flat"``.
    shape : (int, int), optional
        Size (ny, nx) of the region to map, in pixels of ``wcs``; by default the shape that the
        WCS has, else the points' bounds.

    Returns
    -------
    SkyMap
        The map with its unit, WCS, mask, standard errors, counts and solid angles.

    Raises
    ------
    TypeError, ValueError
        As `sky_heatmap`; and if ``wcs`` or ``shape`` is not what it must be.

    Examples
    --------
    >>> from astropy.wcs import WCS
    >>> from mpl_skyheat import datasets, sky_map
    >>> wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 56.75, "CRVAL2": 24.12,
    ...            "CRPIX1": 20.5, "CRPIX2": 20.5, "CDELT1": -0.15, "CDELT2": 0.15})
    >>> stars = datasets.bright_stars()
    >>> pleiades = sky_map(data=stars, wcs=wcs, shape=(40, 40), kernel="12 arcmin")
    >>> pleiades.unit
    Unit("1 / deg2")
    """
    request = MapRequest.of_call(locals())
    catalogue = read_points(points, data, frame, weights, values, request.widths)
    plane, view = _plane_and_view(wcs, shape, catalogue)
    return make_map(catalogue, plane, view, request).sky_map


class Made(NamedTuple):
    """A map, its pixels on the plane, the region in view, and what reads it elsewhere if asked."""

    sky_map: SkyMap
    grid: SkyGrid
    view: View
    live: LiveField | LiveBins | None


def make_map(catalogue: Catalogue | Stream, plane: Plane, view: View, request: MapRequest) -> Made:
    """The map of a catalogue, its pixels on the plane, and the region in view.

    Sides of the view that are NaN follow the points.
    """
    _check_points(catalogue, plane, request)
    frame = _frame_in_meta(request.frame, catalogue.frame)
    catalogue = catalogue.in_frame(plane.frame)
    team = Team(thread_count(request.threads))
    blocks, region, is_closed = None, view, not view.is_known
    if is_closed:
        catalogue = catalogue.held()
        if isinstance(catalogue, Catalogue):
            blocks = list(project_blocks(catalogue, plane))
        region = view.filled(_bounds(catalogue, plane, blocks))
    more_meta: dict[str, Any] = {}
    if request.is_auto:
        request, more_meta["autoneff"] = with_best_width(
            catalogue, blocks, plane, region, request, team, closed=is_closed
        )
    finest = _finest(catalogue, request)
    where = choose_where(request, plane, region, closed=is_closed, finest=finest)
    if request.live:
        check_lattice(where, request)
    if (shared := shared_fraction(request, where)) is not None:
        more_meta["shared"] = shared
    _warn_of_smoothing(where, stacklevel=4)
    where.geometry.measure(team)
    if request.rows_kernel is not None:
        sums, ladder = summed_by_width(catalogue, where, request, team, blocks)
        where, field, randoms = ladder.where, None, None
        more_meta["planeerr"] = ladder.error
        _warn_of_smoothing(where, stacklevel=4)
        found = statistic_of(sums, ladder.moments(), where, request)
    else:
        sums, randoms = summed(catalogue, where, request, team, blocks)
        field = field_of(sums, where, request, team, randoms) if request.terms else None
        found = found_in(sums, field, where, request, team)
    warn_of_rows(sums, catalogue, where.centre, stacklevel=4)
    if randoms is not None:
        warn_of_density(found.seen, stacklevel=4)
    in_unit = _unit(catalogue, region, where, request)
    meta = _meta(sums, where, request, catalogue, frame) | more_meta
    made = _map_of(sums, found, where, request, catalogue, team, in_unit=in_unit, meta=meta)
    live = None
    if request.live:
        live = live_map(catalogue, region, sums, field, where, request, in_unit[1])
    team.rest()
    return Made(made, where.geometry.grid, region, live)


def _check_points(catalogue: Catalogue | Stream, plane: Plane, request: MapRequest) -> None:
    """Raise an error if the points do not fit the plane, or what is asked for."""
    if not request.is_flat == (catalogue.frame is None) == (plane.frame is None):
        raise TypeError("frame='flat' takes plain x, y; got positions on the sky")
    if catalogue.weights is not None and request.statistic in EXTREMES:
        raise ValueError(
            f"weights must be left out with statistic={request.statistic!r}, on which they have no "
            "effect; got some"
        )
    if request.is_auto and isinstance(catalogue, Stream) and catalogue.is_read_once:
        raise ValueError(
            "points must be arrays or a table, which can be read twice, with kernel='auto', "
            "whose width comes from them; got an iterator: give a width"
        )


def _warn_of_smoothing(where: Where, *, stacklevel: int) -> None:
    """Warn of a map that is smoothed where it should not be, or by a kernel that does nothing."""
    for text in filter(None, (where.choice.warning, where.kernels.warning)):
        warnings.warn(text, SkyHeatmapWarning, stacklevel=stacklevel)


def _finest(catalogue: Catalogue | Stream, request: MapRequest) -> float | None:
    """The narrowest kernel (rad) of the rows, if they have their own; None of widths in pixels."""
    kernel, narrowest = request.rows_kernel, catalogue.narrowest
    if kernel is None or narrowest is None or catalogue.widths_unit != u.rad:
        return None
    return kernel.factor * narrowest


def _bounds(
    catalogue: Catalogue | Stream, plane: Plane, blocks: list[ProjectedBlock] | None
) -> View:
    """Bounds on a plane of rows, which may be projected already."""
    if blocks is None and isinstance(catalogue, Stream) and catalogue.is_read_once:
        raise ValueError(
            "points must be arrays or a table, which can be read twice, where the bounds of "
            "the map come from them; got an iterator: give the WCS a shape, or the Axes limits"
        )
    return bounds_of(lambda: project_blocks(catalogue, plane) if blocks is None else blocks, plane)


def _map_of(
    sums: Sums,
    found: Found,
    where: Where,
    request: MapRequest,
    catalogue: Catalogue | Stream,
    team: Team,
    *,
    in_unit: tuple[u.UnitBase, float],
    meta: dict[str, Any],
) -> SkyMap:
    """The map of the statistic of sums, in a unit, by the factor from theirs."""
    geometry, (unit, factor) = where.geometry, in_unit
    coverage = _coverage(sums, found, request)
    rows, find_n_eff = None, found.n_eff
    if request.min_count is not None and request.kernel is None:
        rows = sums.pixels["n"][geometry.core]
    elif request.min_count is not None:
        rows = found.n_eff()
        find_n_eff = partial(np.asarray, rows)
    area = geometry.solid_angles
    values = map_values(found, factor, where, request, area=area, coverage=coverage, rows=rows)
    later = _left_for_later(found, where, request, catalogue, unit=unit, factor=factor)
    later["n_eff"] = find_n_eff
    is_flat = geometry.plane.frame is None
    return SkyMap(
        values,
        unit=unit,
        wcs=grid_wcs(geometry.plane, geometry.grid),
        counts=_counts(sums, catalogue)[geometry.core].copy(),
        later={name: partial(_and_rest, find, team) for name, find in later.items()},
        coverage=coverage,
        **_amounts(sums, catalogue, request.statistic),
        **{name: _unmasked(getattr(found, name), values) for name in ("n_on", "n_off")},
        scales=found.scales,
        solid_angle=geometry.solid_angles << (u.dimensionless_unscaled if is_flat else u.sr),
        kernel=request.kernel,
        label=request.label or (catalogue.values.label if catalogue.values is not None else None),
        meta=meta,
    )


def _unit(
    catalogue: Catalogue | Stream, view: View, where: Where, request: MapRequest
) -> tuple[u.UnitBase, float]:
    """The unit of a map, and the factor from that of its sums to it."""
    geometry = where.geometry
    across = max(view.across(geometry.grid.steps))
    units = catalogue.weights_unit, catalogue.values_unit
    return map_unit(request, *units, geometry.solid_angles, across)


def _left_for_later(
    found: Found,
    where: Where,
    request: MapRequest,
    catalogue: Catalogue | Stream,
    *,
    unit: u.UnitBase,
    factor: float,
) -> dict[str, Callable[[], Any]]:
    """What finds what a map is rarely asked for, by the names of `SkyMap`'s argument ``later``.

    ``factor`` takes the statistic to the unit of the map.
    """
    later: dict[str, Callable[[], Any]] = {
        "error": partial(_scaled, found.error, factor),
        "kernel_sums": partial(found.kernel_sums, catalogue.weights_unit),
    }
    if found.exposed is not None and request.statistic in OF_ROWS and not request.is_signed:
        is_count = request.statistic == "count"
        later["own_share"] = partial(
            own_share, found.exposed, where, is_count=is_count, unit=unit, factor=factor
        )
    return later


def _meta(
    sums: Sums, where: Where, request: MapRequest, catalogue: Catalogue | Stream, frame: Any
) -> dict[str, Any]:
    """What a map says of its making: see `SkyMap`."""
    return {
        "stat": request.statistic,
        "smoothed": request.kernel is not None,
        "signed": request.is_signed or STATISTICS[request.statistic].needs_background,
        "boundary": request.boundary,
        "mincount": request.min_count,
        "mincover": request.min_coverage if request.has_coverage else None,
        "values": catalogue.values.label if catalogue.values is not None else None,
        "frame": frame,
        **sums.rows,
        **({"skippart": sums.parts_skipped} if sums.parts_skipped else {}),
        "geometry": where.choice.geometry,
        "reason": where.choice.reason,
        "planeerr": where.kernels.error,
        **({"adaptive": request.kernel.mode} if isinstance(request.kernel, Adaptive) else {}),
    }


def _coverage(sums: Sums, found: Found, request: MapRequest) -> FloatArray | None:
    """The observed fraction of each pixel; by random points, of what the kernel sees."""
    if request.randoms is not None:
        return np.nan_to_num(found.seen)
    if sums.observed is None:
        return None
    return sums.observed.pixels.fractions[sums.geometry.core].copy()


def _and_rest(find: Callable[[], Any], team: Team) -> Any:
    """What a function finds, after which the threads of a team end."""
    try:
        return find()
    finally:
        team.rest()


def _scaled(find: Callable[[], FloatArray | None], factor: float) -> FloatArray | None:
    found = find()
    return None if found is None else factor * found


def _unmasked(counts: FloatArray | None, values: FloatArray) -> FloatArray | None:
    return None if counts is None else np.where(np.isfinite(values), counts, np.nan)


def _counts(sums: Sums, catalogue: Catalogue | Stream) -> Any:
    """Rows in each pixel, as integers, or the sums of their weights."""
    if catalogue.weights is not None:
        return sums.pixels["w"]
    return sums.pixels["n"] if "n" in sums.pixels else sums.pixels["w"].astype(np.int64)


def _amounts(sums: Sums, catalogue: Catalogue | Stream, statistic: str) -> dict[str, u.Quantity]:
    """What the rows in each pixel add up to, and its variance, where counts do not say it."""
    core, squared = sums.geometry.core, "w2" if catalogue.weights is not None else "w"
    if statistic == "sum":
        names, unit = ("wv", f"{squared}v2"), catalogue.weights_unit * catalogue.values_unit
    elif statistic in ADDING and catalogue.weights is not None:
        names, unit = ("w", "w2"), catalogue.weights_unit
    else:
        return {}
    amount, variance = (sums.pixels[name][core].copy() for name in names)
    return {"amount": amount << unit, "amount_variance": variance << unit**2}


def _plane_and_view(wcs: Any, shape: Any, catalogue: Catalogue | Stream) -> tuple[Plane, View]:
    if catalogue.frame is None:
        if wcs is not None or shape is not None:
            raise TypeError("frame='flat' takes no wcs and no shape: its x, y are plain numbers")
        return FlatPlane(), UNKNOWN
    if wcs is None:
        raise TypeError("wcs must be given for positions on the sky; got None")
    if shape is not None:
        pair = np.asarray(shape)
        if pair.shape != (2,) or pair.dtype.kind not in "iu" or (pair < 1).any():
            raise ValueError(f"shape must be two positive integers (ny, nx); got {shape!r}")
    if isinstance(wcs, SkyMap):
        shape = wcs.data.shape if shape is None else shape
        wcs = wcs.wcs
    if isinstance(wcs, Header):
        wcs = WCS(wcs).celestial
    plane = plane_of_wcs(wcs)
    return plane, view_of_shape(wcs, shape)


def _frame_in_meta(asked: Any, own: BaseCoordinateFrame | None) -> str:
    """The frame that was asked for, in words; if that is the default, the frame of a SkyCoord."""
    is_default = isinstance(asked, str) and asked == "icrs"
    if is_default and own is not None and not own.shape:
        return frame_text(own)
    return asked.lower() if isinstance(asked, str) else frame_text(find_sky_frame("frame", asked))
