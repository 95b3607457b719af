"""Peaks of maps: maxima above a threshold, and how often noise makes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mpl_skyheat.maps.significance import SIGNIFICANCES
from mpl_skyheat.maps.units import unit_of_view
from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.sky.vectors import to_positions, to_vectors
from mpl_skyheat.smoothing.kernel_base import parse_width, terms_of
from mpl_skyheat.smoothing.profiles import full_width, roughness

if TYPE_CHECKING:
    from astropy.table import QTable

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.sky.planes import Plane

# Threshold (σ) of peaks of a significance.
THRESHOLD = 5.0

# Below this many σ the expected number of peaks of noise is not that of isolated ones.
LEAST_SIGMA = 2.0

# Places along each side of a pixel at which the sky is looked for, if none is at its centre.
PARTS = 16

# Directions in which the sky beside a pixel at a map's edge is looked at, and how far (pixels).
DIRECTIONS, BESIDE = 8, 1.5


# How columns of a table of peaks are printed.
FORMATS = dict.fromkeys(("peak_value", "n_on", "n_off", "density"), ".4g")
FORMATS |= dict.fromkeys(("p_pre_trial", "p_post_trial"), ".2e")


def find_peaks(sky_map: Any, threshold: Any, min_separation: Any, n_peaks: int | None) -> QTable:
    """The peaks of a map: see `SkyMap.find_peaks`."""
    if sky_map.meta.get("frame") == "flat":
        raise TypeError("find_peaks needs a map of the sky; got one of Cartesian x, y")
    if sky_map.solid_angle is None:
        raise ValueError("solid_angle must be that of the map's pixels for its peaks; got None")
    if n_peaks is not None and (
        isinstance(n_peaks, bool) or not isinstance(n_peaks, int | np.integer) or n_peaks < 1
    ):
        raise ValueError(f"n_peaks must be a positive integer, or None for all; got {n_peaks!r}")
    least = _least_value(sky_map, threshold)
    separation = _separation(sky_map, min_separation)
    plane = plane_of_wcs(sky_map.wcs)
    rows, columns = _maxima(_with_positions(sky_map.data, plane), least)
    is_true = ~_is_lower_than_beyond(sky_map, plane, rows, columns)
    rows, columns = rows[is_true], columns[is_true]
    lon, lat = _refined(sky_map.data, plane, rows, columns)
    order = np.lexsort((columns, rows, -sky_map.data[rows, columns]))
    kept = order[_apart(to_vectors(lon[order], lat[order]), separation, n_peaks)]
    return _table(sky_map, plane, rows[kept], columns[kept], lon[kept], lat[kept])


def _least_value(sky_map: Any, threshold: Any) -> float:
    """The threshold in the map's unit."""
    if threshold is None:
        if sky_map.meta.get("stat") not in SIGNIFICANCES:
            raise ValueError(
                "threshold must be given, but for significances: a number in the map's unit, "
                f"{sky_map.unit or 'which has none'}, or a Quantity; got None, with a map of "
                f"{sky_map.meta.get('stat')!r}"
            )
        return THRESHOLD
    unit = sky_map.unit or u.dimensionless_unscaled
    try:
        least = float(threshold.to_value(unit) if isinstance(threshold, u.Quantity) else threshold)
    except (TypeError, ValueError, u.UnitConversionError):
        least = math.nan
    if isinstance(threshold, str | bool) or not math.isfinite(least):
        raise ValueError(
            f"threshold must be a finite number in the map's unit, {unit or 'which has none'}, or "
            f"a Quantity; got {threshold!r:.60}"
        )
    return least


def _separation(sky_map: Any, min_separation: Any) -> float:
    """The least separation (rad) of two peaks."""
    if min_separation is not None:
        width = parse_width(min_separation, "min_separation", in_pixels=False)
        return float(width.to_value(u.rad))
    terms = terms_of(sky_map.kernel)
    width = full_width(terms, _side(sky_map)) if terms else None
    if width is None:
        raise ValueError(
            "min_separation must be an angle, such as 1*u.deg, where the kernel has no full width "
            f"at half maximum; got None, with {sky_map.kernel!r}"
        )
    return width


def _side(sky_map: Any) -> float:
    """The median side (rad) of a map's pixels."""
    areas = sky_map.solid_angle.to_value(u.sr)
    return float(np.sqrt(np.median(areas[areas > 0])))


def _maxima(values: FloatArray, least: float) -> tuple[IntArray, IntArray]:
    """Rows and columns of pixels that no neighbour exceeds, one of each plateau."""
    from scipy.ndimage import center_of_mass, find_objects, label, maximum_filter

    filled = np.where(np.isfinite(values), values, -np.inf)
    is_high = (filled >= least) & (filled >= maximum_filter(filled, 3, mode="nearest"))
    # A pixel beside an equal one that is no maximum belongs to a slope.
    others = np.where(is_high, -np.inf, filled)
    is_slope = is_high & (maximum_filter(others, 3, mode="nearest") >= filled)
    labels, number = label(is_high, np.ones((3, 3)))
    has_slope = np.zeros(number + 1, bool)
    has_slope[labels[is_slope]] = True
    rows, columns = np.nonzero(is_high)
    sizes = np.bincount(labels[rows, columns], minlength=number + 1)
    is_alone = (sizes[labels[rows, columns]] == 1) & ~is_slope[rows, columns]
    found = [(rows[is_alone], columns[is_alone])]
    parts = find_objects(labels)
    for plateau in np.flatnonzero((sizes > 1) & ~has_slope):
        box = parts[plateau - 1]
        inside = labels[box] == plateau
        y, x = np.nonzero(inside)
        middle = center_of_mass(inside)
        nearest = np.argmin(np.hypot(y - middle[0], x - middle[1]))
        found.append((y[[nearest]] + box[0].start, x[[nearest]] + box[1].start))
    all_rows, all_columns = (np.concatenate(part) for part in zip(*found, strict=True))
    return all_rows, all_columns


def _with_positions(values: FloatArray, plane: Plane) -> FloatArray:
    """Values, NaN in slivers of sky at the rim that are too thin for a position."""
    rows, columns = np.nonzero(_edge(values))
    lon, _ = _positions(plane, columns, rows)
    is_lost = ~np.isfinite(lon)
    found = values.copy()
    found[rows[is_lost], columns[is_lost]] = np.nan
    return found


def _edge(values: FloatArray) -> BoolArray:
    """Pixels beside the map's edge, or beside a masked one."""
    from scipy.ndimage import minimum_filter

    known = np.isfinite(values)
    least = minimum_filter(known.astype(np.uint8), 3, mode="constant")
    return np.asarray(known & (least == 0))


def _is_lower_than_beyond(
    sky_map: Any, plane: Plane, rows: IntArray, columns: IntArray
) -> BoolArray:
    """Which pixels at the map's edge are exceeded by one that is beside them on the sky.

    Where a map is cut open, at 0h or along its rim, neighbours on the sky are far apart in it.
    """
    lower = np.zeros(len(rows), bool)
    edge = np.flatnonzero(_edge(sky_map.data)[rows, columns])
    if not len(edge):
        return lower
    lon, lat = _positions(plane, columns[edge], rows[edge])
    coords = SkyCoord(lon, lat, unit="deg", frame=plane.frame)
    side = np.sqrt(sky_map.solid_angle.to_value(u.sr)[rows[edge], columns[edge]]) * u.rad
    for k in range(DIRECTIONS):
        there = coords.directional_offset_by(k * 360 / DIRECTIONS * u.deg, BESIDE * side)
        beside = sky_map.value_at(there).value
        lower[edge] |= beside > sky_map.data[rows[edge], columns[edge]]
    return lower


def _refined(
    values: FloatArray, plane: Plane, rows: IntArray, columns: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Positions (deg) of the tops of parabolas through each maximum and its neighbours."""
    padded = np.pad(values, 1, constant_values=np.nan)
    around = {(i, j): padded[rows + 1 + i, columns + 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)}
    here = around[0, 0]
    slope_x = 0.5 * (around[0, 1] - around[0, -1])
    slope_y = 0.5 * (around[1, 0] - around[-1, 0])
    xx = around[0, 1] + around[0, -1] - 2 * here
    yy = around[1, 0] + around[-1, 0] - 2 * here
    xy = 0.25 * (around[1, 1] + around[-1, -1] - around[1, -1] - around[-1, 1])
    determinant = xx * yy - xy**2
    with np.errstate(divide="ignore", invalid="ignore"):
        dx = (xy * slope_y - yy * slope_x) / determinant
        dy = (xy * slope_x - xx * slope_y) / determinant
        # The top of a parabola that is none is not within the pixel.
        is_top = (determinant > 0) & (np.abs(dx) <= 1) & (np.abs(dy) <= 1)
    dx, dy = np.where(is_top, dx, 0.0), np.where(is_top, dy, 0.0)
    lon, lat = plane.to_sky(columns + dx, rows + dy)
    is_off = ~(np.isfinite(lon) & np.isfinite(lat))
    lon[is_off], lat[is_off] = _positions(plane, columns[is_off], rows[is_off])
    return lon, lat


def _positions(plane: Plane, columns: IntArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Positions (deg) of pixels: of their centres, or of the middle of the sky in them."""
    lon, lat = plane.to_sky(columns + 0.0, rows + 0.0)
    is_off = ~(np.isfinite(lon) & np.isfinite(lat))
    along = (np.arange(PARTS) + 0.5) / PARTS - 0.5
    x = columns[is_off, np.newaxis, np.newaxis] + along
    y = rows[is_off, np.newaxis, np.newaxis] + along[:, np.newaxis]
    vectors = to_vectors(*plane.to_sky(*np.broadcast_arrays(x, y)))
    middle = np.nansum(vectors, axis=(1, 2))
    middle[~middle.any(axis=-1)] = np.nan
    lon[is_off], lat[is_off] = to_positions(middle)
    return lon, lat


def _apart(vectors: FloatArray, separation: float, number: int | None) -> IntArray:
    """Indices of positions, in their order, of which no two are nearer than a separation."""
    from scipy.spatial import cKDTree

    kept: list[int] = []
    if not len(vectors):
        return np.array(kept, int)
    is_free = np.ones(len(vectors), bool)
    tree, chord = cKDTree(vectors), 2 * math.sin(0.5 * min(separation, math.pi))
    for i in range(len(vectors)):
        if is_free[i]:
            kept.append(i)
            is_free[tree.query_ball_point(vectors[i], chord)] = False
        if number is not None and len(kept) == number:
            break
    return np.array(kept, int)


def _table(
    sky_map: Any,
    plane: Plane,
    rows: IntArray,
    columns: IntArray,
    lon: FloatArray,
    lat: FloatArray,
) -> QTable:
    from astropy.table import QTable
    from scipy.special import ndtr

    values = sky_map.data[rows, columns]
    nothing = np.full(len(rows), np.nan)
    n_on, n_off = (
        nothing if counts is None else counts[rows, columns]
        for counts in (sky_map.n_on, sky_map.n_off)
    )
    is_significance = sky_map.meta.get("stat") in SIGNIFICANCES
    table = QTable()
    table["id"] = np.arange(1, len(rows) + 1)
    table["coord"] = SkyCoord(lon, lat, unit="deg", frame=plane.frame)
    table["peak_value"] = values << (sky_map.unit or u.dimensionless_unscaled)
    table["n_on"], table["n_off"] = n_on, n_off
    table["density"] = _densities(sky_map)[rows, columns]
    table["p_pre_trial"] = ndtr(-values) if is_significance else nothing
    table["p_post_trial"] = -np.expm1(-_expected(sky_map, values)) if is_significance else nothing
    for name, form in FORMATS.items():  # of what is printed; files have all digits
        table[name].info.format = form
    return table


def _densities(sky_map: Any) -> u.Quantity:
    """The density under the kernel, NaN where it is not known."""
    sums = sky_map.kernel_sums
    if sums is None:
        return np.full(sky_map.data.shape, np.nan) << u.deg**-2
    of_weights = sums.unit or u.dimensionless_unscaled
    areas = sky_map.solid_angle.to_value(u.sr)
    unit = of_weights / unit_of_view(areas, max(areas.shape))
    return (sums.density << of_weights / u.sr).to(unit)


def _expected(sky_map: Any, sigmas: FloatArray) -> FloatArray:
    """The number of maxima above each of some σ that noise makes on the map's area A.

    A Λ (2π)^−3/2 u exp(−u²/2) (Adler 1981, The Geometry of Random Fields, 6.9), Λ half the mean
    square gradient of the noise. NaN of kernels that are not smooth, and below `LEAST_SIGMA`.
    """
    known = sky_map.kernel is not None
    smoothness = roughness(sky_map.kernel.terms, _side(sky_map)) if known else math.nan
    area = float(sky_map.solid_angle.to_value(u.sr)[~sky_map.mask].sum())
    expected = area * smoothness / (2 * math.pi) ** 1.5 * sigmas * np.exp(-(sigmas**2) / 2)
    return np.where(sigmas >= LEAST_SIGMA, expected, np.nan)
