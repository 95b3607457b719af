"""The whole job without matplotlib: from a catalogue on a plane to a `SkyMap`."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS
from astropy.utils.exceptions import AstropyUserWarning

from mpl_skyheat.areas import solid_angles
from mpl_skyheat.counting import Tally
from mpl_skyheat.geometry import GridKernels, choose_geometry
from mpl_skyheat.grid import (
    DEFAULT_LIMIT,
    UNKNOWN,
    SkyGrid,
    View,
    grid_of_bins,
    grid_of_steps,
    native_grid,
    nearest_sky,
    pixel_metric,
    pixel_steps,
)
from mpl_skyheat.kernels import RadialKernel
from mpl_skyheat.memory import allowed_bytes
from mpl_skyheat.options import MapOptions
from mpl_skyheat.planes import Plane, flat_plane, grid_wcs, plane_of_wcs
from mpl_skyheat.points import Catalogue, Stream, find_frame, read_points
from mpl_skyheat.skymap import SkyMap
from mpl_skyheat.smoothing import smooth_padded, smooth_ratio
from mpl_skyheat.threads import Team, thread_count

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame
    from numpy.typing import NDArray

    from mpl_skyheat.sphere import SphereSum

    FloatArray = NDArray[np.float64]
    Counts = NDArray[np.int64] | FloatArray

# The default bins along each side of a map on a plane that has no pixels of its own; more, up to
# `DEFAULT_LIMIT`, where so many of them would not fit into the width of the kernel.
FEWEST_BINS = 100
BINS_PER_KERNEL = 2

DEG2, ARCMIN2, ARCSEC2 = u.deg**2, u.arcmin**2, u.arcsec**2

# Pixels that tell how large most are.
SOME = 4096

# What a map takes while it is made, per pixel: counts, transforms, and most of all the solid angles
# of a map on which no polynomial gives them.
BYTES_PER_PIXEL = 140


def sky_map(
    *points: Any,
    wcs: Any = None,
    shape: tuple[int, int] | None = None,
    data: Any = None,
    frame: Any = "icrs",
    weights: Any = None,
    statistic: str = "density",
    pixel_size: Any = None,
    bins: int | tuple[int, int] | None = None,
    kernel: Any = None,
    boundary: str = "sky",
    geometry: str = "auto",
    unit: Any = None,
    label: str | None = None,
    threads: int | None = None,
) -> SkyMap:
    """Make a smoothed, calibrated density map of a catalogue of sky positions.

    Parameters
    ----------
    *points, data, frame, weights, statistic, pixel_size, bins, kernel, boundary, geometry, \
    unit, label, threads
        As in `sky_heatmap`.
    wcs : `~astropy.wcs.WCS` or other celestial WCS
        Two celestial axes. Its pixels are the map's, unless ``pixel_size`` or ``bins`` is given;
        more than 1024 of them along a side are merged k × k. Not needed with ``frame="flat"``.
    shape : (int, int), optional
        Size (ny, nx) of the region to map, in pixels of ``wcs``; by default the shape that the
        WCS has, else the points' bounds.

    Returns
    -------
    SkyMap
        The map with its unit, WCS, mask, counts and solid angles.

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
    options = MapOptions.checked(
        frame=frame,
        statistic=statistic,
        pixel_size=pixel_size,
        bins=bins,
        kernel=kernel,
        boundary=boundary,
        geometry=geometry,
        unit=unit,
        label=label,
        threads=threads,
    )
    catalogue = read_points(points, data, frame, weights)
    return make_map(catalogue, _map_plane(wcs, shape, catalogue), options)[0]


def _map_plane(wcs: Any, shape: Any, catalogue: Catalogue | Stream) -> Plane:
    if catalogue.frame is None:
        if wcs is not None or shape is not None:
            raise TypeError("frame='flat' takes no wcs and no shape: its x, y are plain numbers")
        return flat_plane(UNKNOWN)
    if wcs is None:
        raise TypeError("wcs must be given for positions on the sky; got None")
    if shape is not None:
        pair = np.asarray(shape)
        if pair.shape != (2,) or pair.dtype.kind not in "iu" or (pair < 1).any():
            raise ValueError(f"shape must be two positive integers (ny, nx); got {shape!r}")
    return plane_of_wcs(wcs, shape)


def make_map(
    catalogue: Catalogue | Stream, plane: Plane, options: MapOptions
) -> tuple[SkyMap, SkyGrid, View]:
    """Make the map of a catalogue on a plane; also return its grid and the region in view."""
    if (catalogue.frame is None) != (plane.frame is None):
        raise TypeError("frame='flat' takes plain x, y; got positions on the sky")
    team = Team(thread_count(options.threads))
    tally = Tally(catalogue, plane, team)
    view = plane.view if plane.view.is_known else plane.view.filled(tally.bounds())
    centre = _sky_centre(plane, view)
    grid = _cut_grid(plane, view, centre, options)
    kernels = GridKernels(options.kernel, plane, centre, grid)
    choice = choose_geometry(options, kernels)
    _check_memory(options, grid, kernels, choice.geometry)
    for warning in filter(None, (choice.warning, kernels.warning)):
        warnings.warn(warning, AstropyUserWarning, stacklevel=3)
    has_margin = options.boundary == "sky" and choice.geometry == "plane"
    margin_x, margin_y = kernels.margin() if has_margin else (0, 0)
    wide = grid.grown(margin_x, margin_y)
    core = np.s_[margin_y : margin_y + grid.y.count, margin_x : margin_x + grid.x.count]
    area = _areas(plane, wide)
    sphere = None
    if choice.geometry == "sphere" and catalogue.frame is not None:
        terms = kernels.angular_terms
        sphere = _sphere_sum(catalogue.frame, plane, centre, wide, area, terms, team)
    counts = tally.counts(wide, core, sphere)
    _move_strays(counts, area)
    tally.warn_if_all_are_outside(centre)
    tally.warn_if_in_radians(float(area[core].sum()))
    if sphere is not None:
        density = sphere.density()
        values = density if options.statistic == "density" else density * area
    else:
        values = _plane_statistic(options, counts, area, core, kernels)
    unit, factor = _map_unit(options, plane, catalogue, area[core])
    off_sky = area[core] <= 0
    sky_map = SkyMap(
        np.where(off_sky, np.nan, values * factor),
        unit=unit,
        mask=off_sky,
        wcs=grid_wcs(plane, grid),
        counts=counts[core].copy(),
        solid_angle=area[core] << (u.dimensionless_unscaled if plane.frame is None else u.sr),
        meta=options.summary
        | {"frame": _frame_in_meta(options.frame, catalogue.frame)}
        | tally.rows
        | choice.summary
        | {"plane_error": kernels.error},
    )
    return sky_map, grid, view


def _frame_in_meta(asked: Any, own: BaseCoordinateFrame | None) -> Any:
    """Return the frame that was asked for; if it is the default, that of a SkyCoord."""
    is_default = isinstance(asked, str) and asked == "icrs"
    if own is None or not is_default or own.is_equivalent_frame(ICRS()):
        return asked
    return own.name if own.is_equivalent_frame(find_frame(own.name)) else own


def _sky_centre(plane: Plane, view: View) -> tuple[float, float]:
    """Return the point where the pixel size and the kernel are exact: the view's centre."""
    if plane.frame is None:
        return view.centre
    centre = nearest_sky(plane.to_sky, view)
    if centre is None:
        raise ValueError(
            f"the region to map shows no sky; got pixels {view.x_min:g} to {view.x_max:g} in x, "
            f"{view.y_min:g} to {view.y_max:g} in y"
        )
    return centre


def _cut_grid(
    plane: Plane, view: View, centre: tuple[float, float], options: MapOptions
) -> SkyGrid:
    size, bins = options.pixel_size, options.bins
    if not plane.has_pixels and size is None:
        bins = bins or _default_bins(plane, view, centre, options)
    # Bounds that come from the points hold the outermost of them, as in numpy.histogram2d.
    closed = not plane.view.is_known
    if bins is not None:
        return grid_of_bins(view, *bins, closed=closed)
    if size is None:
        return native_grid(view)
    steps = (size, size) if plane.frame is None else pixel_steps(plane.to_sky, centre, size)
    return grid_of_steps(view, *steps, closed=closed)


def _default_bins(
    plane: Plane, view: View, centre: tuple[float, float], options: MapOptions
) -> tuple[int, int]:
    """Return the bins (nx, ny) that show the kernel on a plane without pixels of its own."""
    bins = np.array([FEWEST_BINS, FEWEST_BINS])
    terms = () if options.kernel is None else options.kernel.terms
    cores = [k.core for _, k in terms if isinstance(k, RadialKernel) and not k.in_pixels]
    if plane.frame is not None and cores:
        metric = pixel_metric(plane.to_sky, centre, grid_of_bins(view, *bins))
        # At a pole, a bin has no width.
        finer = np.nan_to_num(np.sqrt(np.diag(metric)) * BINS_PER_KERNEL / min(cores))
        wanted = bins * np.maximum(finer, 1)
        fitting = np.ceil(wanted * min(1, DEFAULT_LIMIT / wanted.max())).astype(int)
        bins = np.maximum(fitting, bins)
    return int(bins[0]), int(bins[1])


def _check_memory(options: MapOptions, grid: SkyGrid, kernels: GridKernels, geometry: str) -> None:
    """Refuse a map that would not fit in memory, with the pixel size or bins that would."""
    ny, nx = (min(n, 10**150) for n in grid.shape)  # what a float holds, squared
    has_margin = bool(kernels) and geometry == "plane"

    def needed(coarser: float) -> float:
        margin_x, margin_y = kernels.margin(coarser=coarser) if has_margin else (0, 0)
        return BYTES_PER_PIXEL * (nx / coarser + 2 * margin_x) * (ny / coarser + 2 * margin_y)

    allowed = allowed_bytes()
    if needed(1.0) <= allowed:
        return
    margin = ", with the margin of its kernel," if has_margin else ""
    takes = (
        f"a map of {nx:.6g} x {ny:.6g} pixels{margin} takes about {needed(1.0) / 2**30:.3g} GiB, "
        "more than half of this machine's memory"
    )
    if needed(float(max(nx, ny))) > allowed:
        raise ValueError(f"kernel is too wide: {takes}; a narrower one would do")
    coarser = 1.05
    while needed(coarser) > allowed:
        coarser *= 1.05
    if options.bins is not None:
        fewer = tuple(max(int(n / coarser), 1) for n in options.bins)
        raise ValueError(f"bins are too many: {takes}; bins={fewer} would do")
    if options.pixel_size is None:
        raise ValueError(f"kernel is too wide: {takes}; a larger pixel_size would do")
    size = f"{options.pixel_size * coarser:.3g}"
    if not options.is_flat:
        size = _angle_text(options.pixel_size * coarser * u.rad)
    raise ValueError(f"pixel_size is too small: {takes}; pixel_size={size} would do")


def _angle_text(angle: u.Quantity) -> str:
    for unit in (u.deg, u.arcmin, u.arcsec):
        if angle >= 0.1 * unit:
            break
    return f"{angle.to_value(unit):.3g}*u.{unit.name}"


def _areas(plane: Plane, grid: SkyGrid) -> FloatArray:
    """Return the solid angle (sr) of each pixel, or its area on a plane of x and y."""
    if plane.frame is None:
        return np.full(grid.shape, grid.x.step * grid.y.step)
    return solid_angles(
        grid,
        plane.to_sky,
        plane.to_plane,
        is_equal_area=plane.is_equal_area,
        outline=plane.shows,
    )


def _sphere_sum(*arguments: Any) -> SphereSum:
    from mpl_skyheat.sphere import SphereSum

    return SphereSum(*arguments)


def _move_strays(counts: Counts, area: FloatArray) -> None:
    """Move what is in pixels without sky to the nearest pixels with sky, in place.

    A sliver of sky may be too thin for solid angles to find it, but not for a point.
    """
    has_sky = area > 0
    rows, columns = np.nonzero((counts != 0) & ~has_sky)
    if not len(rows) or not has_sky.any():
        return
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(~has_sky, return_distances=False, return_indices=True)
    there = tuple(axis[rows, columns] for axis in nearest)
    np.add.at(counts, there, counts[rows, columns])
    counts[rows, columns] = 0


def _plane_statistic(
    options: MapOptions,
    counts: Counts,
    area: FloatArray,
    core: tuple[slice, slice],
    kernels: GridKernels,
) -> FloatArray:
    """Return the density (per sr or square data unit) or the counts of the core's pixels."""
    is_density = options.statistic == "density"
    with np.errstate(divide="ignore", invalid="ignore"):
        if kernels and options.boundary == "sky":
            density = smooth_ratio(counts.astype(float), area, kernels.rasters())
            return density if is_density else density * area[core]
        # An explicit boundary says what lies beyond the grid: nothing is divided out there.
        image = counts[core].astype(float)
        if kernels:
            image = smooth_padded(image, kernels.rasters(), options.boundary)
        return image / area[core] if is_density else image


def _map_unit(
    options: MapOptions, plane: Plane, catalogue: Catalogue | Stream, area: FloatArray
) -> tuple[u.UnitBase, float]:
    """Return the map's unit, and the factor from per sr (or per square data unit) to it."""
    of_weights = catalogue.weights_unit
    if options.statistic == "count" or plane.frame is None:
        if options.unit is not None:
            raise ValueError(f"unit must be left out with frame='flat'; got {options.unit}")
        return of_weights, 1.0
    per_sr = _per(of_weights, u.sr)
    unit = _per(of_weights, _unit_of_area(area)) if options.unit is None else options.unit
    try:
        return unit, _factor(per_sr, unit)
    except u.UnitConversionError as error:
        wanted = "per solid angle, such as u.deg**-2"
        if of_weights != u.dimensionless_unscaled:
            wanted = f"that of the weights per solid angle, such as {of_weights / u.deg**2}"
        raise ValueError(f"unit must be {wanted}; got {unit}") from error


@cache
def _per(unit: u.UnitBase, area: u.UnitBase) -> u.UnitBase:
    """Return a unit per area (a slow question, for maps of few points)."""
    return unit / area


@cache
def _factor(unit: u.UnitBase, other: u.UnitBase) -> float:
    """Return the factor from one unit to another (as slow a question)."""
    return float(unit.to(other))


def _unit_of_area(area: FloatArray) -> u.UnitBase:
    """Return the unit that suits the pixels' side, so that maps on one grid compare."""
    some = area.ravel()[:: max(area.size // SOME, 1)]
    some = some[some > 0] if (some > 0).any() else area[area > 0]
    side = float(np.degrees(np.sqrt(np.median(some)))) if len(some) else 1.0
    for limit, unit in ((0.1, DEG2), (0.1 / 60, ARCMIN2)):
        if side >= 0.999 * limit:
            return unit
    return ARCSEC2
