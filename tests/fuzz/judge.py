"""Judges of random calls: counts must be astropy's, and an error must name an argument."""

import re
import warnings
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from fuzz.calls import GEO, Call, arguments_of, frame_of, make_call
from matplotlib.figure import Figure

import mpl_skyheat as sh
from mpl_skyheat.compute import loader
from mpl_skyheat.maps import where
from mpl_skyheat.sky import geometry

# Points this far (pixels) from an edge may be on either side of it, by rounding.
ROUNDING = 1e-6

# How far (pixels) beyond an edge of a map it is asked whether the sky goes on.
BEYOND = 1e-3

# Bytes that a map may take: those of some 2000² pixels.
MEMORY = 2**29

# What errors call arguments that have no name in a call, and an argument that is handed on.
POSITIONS = {"points", "lon", "lat", "ra", "dec", "l", "b", "elon", "elat", "x", "y"}
HANDED_ON = {"colorbar": "location"}


def force_compiled(patch: pytest.MonkeyPatch) -> None:
    """Have everything done by compiled code that can be."""
    patch.setattr(loader, "FIRST", 0)
    patch.setattr(loader, "ONCE_LOADED", 0)


def warm_up() -> None:
    """Load, and if need be compile, all that a call may take."""
    wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    with pytest.MonkeyPatch.context() as patch:
        force_compiled(patch)
        for weights in (None, [1.0]):
            options = {"shape": (3, 3), "kernel": "2 deg", "geometry": "sphere"}
            sh.sky_map([1.0], [1.0], weights=weights, wcs=wcs, **options)


def judge(seed: int, number: int) -> str:
    """Make a call; return "" or the text of a refusal if it is answered right, or else raise."""
    call = make_call(seed, number)
    try:
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
            warnings.simplefilter("error")
            # The package's own lead to the line that called it.
            warnings.filterwarnings("ignore", category=AstropyUserWarning, module=__name__)
            # (Larger maps, of fine pixels between far points, would take their time.)
            for module in (where, geometry):
                patch.setattr(module, "allowed_bytes", lambda: MEMORY)
            if call.is_compiled:
                force_compiled(patch)
            try:
                sky_map, ax = perform(call)
            except (TypeError, ValueError) as error:
                # (Axes may show no sky, of which is told first.)
                names = {call.planted, HANDED_ON.get(call.planted), "wcs"}
                if not call.planted:
                    names = arguments_of(call.function) | arguments_of("sky_heatmap") | POSITIONS
                if names & set(re.findall(r"\w+", str(error))):
                    return str(error)
                raise
            expect(not call.planted, f"{call.planted} is not refused")
            check_rows(call, sky_map)
            check_counts(call, sky_map, ax)
    except Exception as error:
        text = f"call {number} of seed {seed}: {type(error).__name__}: {error}"
        again = f"FUZZ_SEED={seed} FUZZ_CALL={number} pytest tests/fuzz/test_calls.py"
        raise AssertionError(f"{text}\n{call}\nTo make it again: {again}") from error
    return ""


def perform(call: Call) -> tuple[Any, Any]:
    """Make the call, and draw what it makes; return the map and the Axes."""
    if call.function == "sky_map":
        return sh.sky_map(*call.points, **call.options), None
    figure = Figure(figsize=(3, 2), dpi=50)
    if call.function == "subplot":
        of_points = {k: v for k, v in call.options.items() if k in ("frame", "data")}
        ax = sh.subplot(*call.points, **of_points, **{"figure": figure} | call.layout)
    else:
        ax = figure.add_subplot(projection=call.axes if call.axes in GEO else call.wcs)
    heat = ax.sky_heatmap(*call.points, **call.options)
    figure.canvas.draw()
    return heat.sky_map, ax


def expect(is_right: Any, text: str) -> None:
    if not is_right:
        raise AssertionError(text)


def known(call: Call) -> Any:
    """Which rows are neither NaN nor masked."""
    is_known = np.isfinite(call.lon) & np.isfinite(call.lat)
    for column in (call.weights, call.values):
        if column is not None:
            is_known = is_known & np.isfinite(column)
    return is_known


def check_rows(call: Call, sky_map: Any) -> None:
    """Check the numbers of rows, where there are values, and the sum of the smoothed ones."""
    meta, area = sky_map.meta, np.asarray(sky_map.solid_angle)
    number, dropped = call.lon.size, np.count_nonzero(~known(call))
    expect(meta["read"] == number, f"read {meta['read']} rows of {number}")
    expect(meta["dropped"] == dropped, f"dropped {meta['dropped']} rows, not {dropped}")
    total = meta["dropped"] + meta["unseen"] + meta["inside"] + meta["outside"]
    expect(total == number, f"dropped + unseen + inside + outside is {total} of {number}")
    expect((area >= 0).all() and np.isfinite(area).all(), "a solid angle is negative or NaN")
    is_full = call.values is None and call.options.get("min_count") is None
    has_value = np.isfinite(sky_map.data)
    expect((area > 0)[has_value].all(), "there are values where there is no sky")
    if sky_map.coverage is not None:
        check_coverage(call, sky_map)
    elif is_full or call.options.get("statistic") == "sum":
        is_right = has_value.all(where=area > 0) or call.options.get("min_count") is not None
        expect(is_right, "NaN is where there is sky")
    check_values(call, sky_map)
    rows, columns = np.divmod(np.linspace(0, area.size - 1, 300).astype(int), area.shape[1])
    low = sky_map.wcs.low_level_wcs
    x, y = low.world_to_pixel_values(*low.pixel_to_world_values(columns, rows))
    is_sky = np.hypot(x - columns, y - rows) < 1e-3
    expect((area[rows, columns][is_sky] > 0).all(), "a pixel whose centre shows sky has no area")
    if call.weights is None:
        expect(sky_map.counts.sum() == meta["inside"], "the counts are not the points inside")
    ny, nx = sky_map.counts.shape
    beside = sky_map.counts.copy()
    beside[int(0.39 * ny) : int(0.61 * ny) + 1, int(0.39 * nx) : int(0.61 * nx) + 1] = 0
    # (Inverses of projections may be off.)
    if call.is_within and not call.planted and (area > 0).all() and not beside.any():
        lost = sky_map.counts.sum() - sky_map.data.sum()
        expect(abs(lost) <= 1e-6 * sky_map.counts.sum(), f"a smoothed sum is {lost} too small")


def check_coverage(call: Call, sky_map: Any) -> None:
    """Check that nothing is where nothing was observed, and something wherever all was."""
    seen = sky_map.coverage
    expect(((seen >= 0) & (seen <= 1)).all(), "a coverage is beyond 0 and 1")
    expect(sky_map.mask[seen == 0].all(), "there are values where nothing was observed")
    expect(not sky_map.counts[seen == 0].any(), "rows are where nothing was observed")
    if call.values is None and not call.options.get("min_count"):
        is_bare = call.options.get("kernel") is None or call.options.get("min_coverage") == 0
        if is_bare:
            lost = sky_map.mask & (seen == 1) & (np.asarray(sky_map.solid_angle) > 0)
            expect(not lost.any(), "NaN is where all was observed")


def check_values(call: Call, sky_map: Any) -> None:
    """Check that means and extremes are among the values, and errors and n_eff not negative."""
    with np.errstate(invalid="ignore"):
        if call.options.get("statistic") in ("mean", "median", "min", "max"):
            least, most = np.nanmin(call.values, initial=0), np.nanmax(call.values, initial=0)
            # (Sums on the sphere are right to 5e-4 of a row's peak; means are from 1e-2 of it.)
            within = 0.05 if sky_map.meta["geometry"] == "sphere" else 1e-6
            slack = within * max(most - least, 1e-6 * max(abs(most), abs(least)))
            outside = (sky_map.data < least - slack) | (sky_map.data > most + slack)
            expect(not outside.any(), "a mean is beyond all values")
        for array in (sky_map.n_eff, getattr(sky_map.uncertainty, "array", None)):
            expect(array is None or not (array < 0).any(), "an error or a number is negative")


def check_counts(call: Call, sky_map: Any, ax: Any) -> None:
    """Hold counts against floor(x + ½) of astropy's positions in pixels."""
    use = known(call)
    weights = np.ones(use.sum()) if call.weights is None else np.asarray(call.weights)[use]
    lon, lat, area = call.lon[use], call.lat[use], np.asarray(sky_map.solid_angle)
    if not lon.size:
        expect(not sky_map.counts.any(), "there are counts of nothing")
        return
    wcs = ax.wcs if call.function == "subplot" else call.wcs
    world = lon, lat
    if call.frame is not None:
        sky = SkyCoord(lon, np.clip(lat, -90, 90), unit="deg", frame=call.frame)
        frame = sky.frame if wcs is None else frame_of(wcs)
        # Equal frames need no transform, which would lose the longitude of a pole.
        at = (sky if sky.is_equivalent_frame(frame) else sky.transform_to(frame)).spherical
        is_swapped = wcs is not None and wcs.wcs.lng == 1
        world = (at.lat.deg, at.lon.deg) if is_swapped else (at.lon.deg, at.lat.deg)
    has_size = call.has_size or (call.function == "subplot" and wcs.pixel_shape == area.shape[::-1])
    if has_size and not {"bins", "pixel_size"} & set(call.options):
        x, y = wcs.world_to_pixel_values(*world)
        margin = 0.0
    else:
        x, y = sky_map.wcs.low_level_wcs.world_to_pixel_values(*world)
        side = np.sqrt(area.max()) or 1.0
        if call.axes == "flat":
            side = np.ptp(sky_map.wcs.low_level_wcs.pixel_to_world_values([0, 1], [0, 1]), 1).min()
        margin = min(max(ROUNDING, 1e-15 * np.abs(world).max() / side), 0.5)
    least, most = bounds(wcs, x, y, weights, area.shape, margin)
    # Points in a sliver of sky without a solid angle are moved to the nearest pixel that has one.
    most += most[area == 0].sum()
    if sky_map.coverage is not None:
        least = np.zeros(least.shape)
    counts, slack = sky_map.counts, 1e-9 * sky_map.counts.max(initial=0)
    wrong = np.argwhere(((counts < least - slack) & (area > 0)) | (counts > most + slack))
    for row, column in wrong[:1]:
        wanted = f"{least[row, column]:g} to {most[row, column]:g}"
        raise AssertionError(
            f"{len(wrong)} counts are wrong: x={column}, y={row} of {counts.shape[::-1]} has "
            f"{counts[row, column]:g}, not {wanted}"
        )


def bounds(wcs: Any, x: Any, y: Any, weights: Any, shape: Any, margin: float) -> tuple[Any, Any]:
    """The least and the most that pixels may count, as points within a margin of edges are free."""
    near = (np.abs(x) < 1e15) & (np.abs(y) < 1e15)
    places, weights = np.stack([x, y])[:, near], weights[near]
    # At the end of the sky, points on the upper edge are in the last pixel.
    inner = np.clip(places, -0.5, np.array([shape[::-1]]).T - 0.5 - 1e-9)
    off = places - inner
    is_moved = (off != 0).any(axis=0) & (np.abs(off) <= max(ROUNDING, margin)).all(axis=0)
    is_free = is_moved & (margin > 0)
    if margin == 0:
        beyond = inner + BEYOND * np.sign(off)
        world = wcs.pixel_to_world_values(*beyond)
        back = wcs.world_to_pixel_values(*world)
        goes_on = (np.hypot(*(back - beyond)) < 0.1 * BEYOND) & (np.abs(world[wcs.wcs.lat]) <= 90)
        is_moved &= ~goes_on
    places = np.where(is_moved, inner, places)
    signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])[..., np.newaxis]
    columns, rows = np.moveaxis(np.floor(places + margin * signs + 0.5).astype(int), 1, 0)
    is_free = is_free | np.ptp(columns, axis=0).astype(bool) | np.ptp(rows, axis=0).astype(bool)
    on_map = (columns >= 0) & (columns < shape[1]) & (rows >= 0) & (rows < shape[0])
    least, most = np.zeros(shape), np.zeros(shape)
    for k in range(4):
        sure, free = on_map[k] & ~is_free, on_map[k] & is_free
        np.add.at(most, (rows[k, free], columns[k, free]), weights[free])
        if k == 0:
            for sums_of_pixels in (least, most):
                np.add.at(sums_of_pixels, (rows[k, sure], columns[k, sure]), weights[sure])
    return least, most
