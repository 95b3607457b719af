"""Where a map is made: from what is asked for to its geometry, before any row is added."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy import units as u

from mpl_skyheat.compute.memory import allowed_bytes
from mpl_skyheat.sky.geometry import MapGeometry, SphereLattice
from mpl_skyheat.sky.grid import (
    DEFAULT_LIMIT,
    SkyGrid,
    View,
    grid_of_bins,
    grid_of_steps,
    native_grid,
)
from mpl_skyheat.sky.pixel_scale import nearest_sky, pixel_metric, pixel_steps
from mpl_skyheat.smoothing.adaptive import Adaptive
from mpl_skyheat.smoothing.choice import (
    PLANE_TOLERANCE,
    POINTLIKE,
    Choice,
    GridKernels,
    choose_geometry,
)
from mpl_skyheat.smoothing.kernel_base import angular_kernels

if TYPE_CHECKING:
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.sky.planes import Plane
    from mpl_skyheat.smoothing.kernel_base import Terms

# Fewest bins along each side of a map on a plane that has no pixels of its own.
FEWEST_BINS = 100

# Bins in the resolution length of a kernel: a narrow kernel makes a map of more bins.
BINS_PER_KERNEL = 2

# Bytes that a map takes while it is made, per pixel: counts, transforms, and most of all the solid
# angles of a map on which no polynomial gives them.
BYTES_PER_PIXEL = 140

# Most pixels of a margin that is larger than its map: more take some 10 s to be transformed.
MOST_OF_MARGIN = 2**25

# Most pixels that a kernel reaches along x or y.
MOST_ALONG = 2**13

# Part of the sides of a live map, on each side, that its lattice reaches beyond it: an Axes whose
# edges are between two device pixels shows up to one of these more than its limits.
LIVE_MARGIN = 0.02

# Smallest side (deg) of pixels: positions up to 360 deg are rounded to some 3e-14 deg.
FINEST_PIXEL = 1e-11


class Where(NamedTuple):
    """A map's geometry, the kernel on its pixels, the choice of plane or sphere, and the centre."""

    geometry: MapGeometry
    kernels: GridKernels
    choice: Choice
    centre: tuple[float, float]


def choose_where(
    request: MapRequest, plane: Plane, view: View, *, closed: bool, finest: float | None = None
) -> Where:
    """The geometry of a map of a view, with the kernel laid on its pixels.

    A ``closed`` view holds its upper edges: bounds that come from the points hold the outermost of
    them, as in `numpy.histogram2d`. ``finest`` is a width (rad) that pixels must resolve, too.
    """
    centre, grid = pixels_of_view(request, plane, view, closed=closed, finest=finest)
    return where_on(request, plane, grid, centre, request.all_terms)


def where_on(
    request: MapRequest, plane: Plane, grid: SkyGrid, centre: tuple[float, float], terms: Terms
) -> Where:
    """The geometry of a map on a grid with room for kernels, which are laid on its pixels.

    Without any, as long as those of rows are not known, it is a plane.
    """
    kernels = GridKernels(terms, plane, centre, grid)
    asked = "auto" if request.rows_kernel and not terms else request.geometry
    choice = choose_geometry(kernels, asked=asked, boundary=request.boundary)
    _check_memory(request, grid, kernels, choice.geometry)
    _check_digits(kernels)
    _check_narrowest(request, kernels, choice)
    if choice.geometry == "sphere":
        radial = kernels.angular
        step, reach = min(k.bin_size for k in radial), max(k.reach for k in radial)
        orders = sorted({k.spline_order for k in radial})
        reached = _with_edges(grid) if request.live else grid
        lattice = SphereLattice.covering(plane, reached, centre, step, reach, orders)
        return Where(MapGeometry(plane, grid, sphere=lattice), kernels, choice, centre)
    margin = kernels.margin() if request.boundary == "sky" else (0, 0)
    return Where(MapGeometry(plane, grid, margin), kernels, choice, centre)


def _with_edges(grid: SkyGrid) -> SkyGrid:
    """A grid with `LIVE_MARGIN` of its sides more on each side, in whole pixels."""
    ny, nx = grid.shape
    return grid.grown(int(np.ceil(LIVE_MARGIN * nx)), int(np.ceil(LIVE_MARGIN * ny)))


def pixels_of_view(
    request: MapRequest, plane: Plane, view: View, *, closed: bool, finest: float | None = None
) -> tuple[tuple[float, float], SkyGrid]:
    """The centre of a view, and its pixels; ``closed`` and ``finest`` as in `choose_where`."""
    centre = _sky_centre(plane, view)
    cores = [kernel.resolution_length for kernel in angular_kernels(request.terms)]
    cores += [] if finest is None else [finest]
    return centre, _cut_grid(request, plane, view, centre, closed=closed, cores=cores)


def _sky_centre(plane: Plane, view: View) -> tuple[float, float]:
    """The point at which pixel size and kernel are exact: the view's centre, or the nearest sky."""
    if plane.frame is None:
        return view.centre
    centre = nearest_sky(plane.to_sky, view)
    if centre is None:
        raise ValueError(
            "wcs (or that of the Axes) must show sky in the region to map; it shows none in pixels "
            f"{view.x_min:g} to {view.x_max:g} in x, {view.y_min:g} to {view.y_max:g} in y"
        )
    return centre


def _cut_grid(
    request: MapRequest,
    plane: Plane,
    view: View,
    centre: tuple[float, float],
    *,
    closed: bool,
    cores: list[float],
) -> SkyGrid:
    """The pixels of a view, which resolve kernels' cores (rad) if nothing else says their size."""
    size, bins = request.pixel_size, request.bins
    if not plane.has_pixels and size is None:
        bins = bins or _default_bins(request, cores, plane, view, centre)
    if bins is not None:
        return grid_of_bins(view, *bins, closed=closed)
    if size is None:
        grid = native_grid(view, is_merged=request.is_picture)
        if plane.has_own_pixels:
            return grid
        return _split_for_kernel(grid, request, cores, plane, centre)
    steps = (size, size) if plane.frame is None else pixel_steps(plane.to_sky, centre, size)
    return grid_of_steps(view, *steps, closed=closed)


def _default_bins(
    request: MapRequest, cores: list[float], plane: Plane, view: View, centre: tuple[float, float]
) -> tuple[int, int]:
    """Bins (nx, ny) that resolve kernels' cores (rad), on a plane without pixels of its own."""
    bins = np.array([FEWEST_BINS, FEWEST_BINS])
    if request.is_auto:
        return DEFAULT_LIMIT, DEFAULT_LIMIT
    if plane.frame is not None and cores:
        metric = pixel_metric(plane.to_sky, centre, grid_of_bins(view, *bins))
        # At a pole, a bin has no width.
        finer = np.nan_to_num(np.sqrt(np.diag(metric)) * BINS_PER_KERNEL / min(cores))
        wanted = bins * np.maximum(finer, 1)
        fitting = np.ceil(wanted * min(1, DEFAULT_LIMIT / wanted.max())).astype(int)
        bins = np.maximum(fitting, bins)
    return int(bins[0]), int(bins[1])


def _split_for_kernel(
    grid: SkyGrid,
    request: MapRequest,
    cores: list[float],
    plane: Plane,
    centre: tuple[float, float],
) -> SkyGrid:
    """A grid whose pixels, which are nobody's, are split where a kernel is narrower."""
    most = max(DEFAULT_LIMIT // max(grid.shape), 1)
    if request.is_auto:
        return grid.split(most)
    if not cores:
        return grid
    side = np.nan_to_num(np.linalg.det(pixel_metric(plane.to_sky, centre, grid)) ** 0.25)
    return grid.split(int(np.clip(np.round(side * BINS_PER_KERNEL / min(cores)), 1, most)))


def _check_digits(kernels: GridKernels) -> None:
    """Refuse pixels on the sky that are finer than positions are rounded to."""
    side = float(np.degrees(np.sqrt(np.diag(kernels.metric).max())))
    if not kernels.is_flat and side < FINEST_PIXEL:
        raise ValueError(
            f"the map's pixels are too fine, {side:.2g} deg, for positions in double precision: "
            f"give a wider region, or a pixel_size or bins of more than {FINEST_PIXEL:g} deg"
        )


def _check_narrowest(request: MapRequest, kernels: GridKernels, choice: Choice) -> None:
    """Refuse widths far below a pixel where a wide map must be smoothed on the sphere for others.

    (A kernel that is narrow alone is smoothed on the plane: see `choose_geometry`.)
    """
    is_off = kernels.error > PLANE_TOLERANCE and request.geometry == "auto"
    is_on_plane = choice.geometry == "plane" and kernels.is_angular and kernels.is_narrow
    if isinstance(request.kernel, Adaptive) and is_off and is_on_plane:
        least = _angle_text(POINTLIKE * kernels.side * u.rad)
        raise ValueError(
            f"kernel must not be narrower than {POINTLIKE} pixels, {least}, on a map that is too "
            f"wide to be smoothed on the plane; got {request.kernel!r}"
        )


def _check_memory(request: MapRequest, grid: SkyGrid, kernels: GridKernels, geometry: str) -> None:
    """Refuse a map that would not fit in memory, or is nearly all margin of a wide kernel.

    The message has the pixel size or bins that would do.
    """
    ny, nx = (min(n, 10**150) for n in grid.shape)  # so that the square is a finite float
    has_margin = bool(kernels.terms) and geometry == "plane"

    def pixels(coarser: float) -> float:
        margin_x, margin_y = kernels.margin(coarser=coarser) if has_margin else (0, 0)
        return (nx / coarser + 2 * margin_x) * (ny / coarser + 2 * margin_y)

    def fits(coarser: float) -> bool:
        own, all_of_it = nx * ny / coarser**2, pixels(coarser)
        is_margin = all_of_it - own > max(MOST_OF_MARGIN, 3 * own)
        # Of pixels that are far longer than wide, as many are at the edges of the sky.
        is_margin |= has_margin and max(kernels.margin(coarser=coarser)) > MOST_ALONG
        return BYTES_PER_PIXEL * all_of_it <= allowed_bytes() and not is_margin

    if fits(1.0):
        return
    margin = ", with the margin of its kernel," if has_margin else ""
    takes = BYTES_PER_PIXEL * pixels(1.0)
    why = "more than half of this machine's memory"
    if takes <= allowed_bytes():
        why = "nearly all for the margin"
    text = f"a map of {nx:.6g} x {ny:.6g} pixels{margin} takes about {takes / 2**30:.3g} GiB, {why}"
    if not fits(float(max(nx, ny))):
        raise ValueError(f"kernel is too wide: {text}; a narrower one would do")
    coarser = 1.05
    while not fits(coarser):
        coarser *= 1.05
    if request.bins is not None:
        fewer = tuple(max(int(n / coarser), 1) for n in request.bins)
        raise ValueError(f"bins are too many: {text}; bins={fewer} would do")
    if request.pixel_size is None and request.kernel is None:
        raise ValueError(f"wcs has too many pixels: {text}; a pixel_size or bins would do")
    if request.pixel_size is None:
        raise ValueError(f"kernel is too wide: {text}; a larger pixel_size would do")
    size = f"{request.pixel_size * coarser:.3g}"
    if not request.is_flat:
        size = _angle_text(request.pixel_size * coarser * u.rad)
    raise ValueError(f"pixel_size is too small: {text}; pixel_size={size} would do")


def _angle_text(angle: u.Quantity) -> str:
    unit = next((unit for unit in (u.deg, u.arcmin) if angle >= 0.1 * unit), u.arcsec)
    return f"{angle.to_value(unit):.3g}*u.{unit.name}"
