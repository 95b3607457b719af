"""`sky_heatmap`, and its registration as a method of every Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.maps.contours import SkyContour
    from mpl_skyheat.maps.sky_map import SkyMap
    from mpl_skyheat.maps.statistic_table import StatisticName
    from mpl_skyheat.plotting.axes_planes import AxesView
    from mpl_skyheat.plotting.colorbars import Side
    from mpl_skyheat.plotting.contour_sets import SkyContourSet
    from mpl_skyheat.plotting.heatmap import SkyHeatmap
    from mpl_skyheat.sky.grid import SkyGrid, View
    from mpl_skyheat.smoothing.choice import Geometry
    from mpl_skyheat.smoothing.plane import Boundary


def sky_heatmap(
    ax: Axes,
    *points: Any,
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
    center: Any = None,
    coverage: Any = None,
    min_coverage: float = 0.5,
    min_count: float | None = None,
    background: Any = None,
    unit: Any = None,
    label: str | None = None,
    colorbar: bool | Side | dict[str, Any] = False,
    live: bool = False,
    threads: int | None = None,
    progress: Any = False,
    **image_kwargs: Any,
) -> SkyHeatmap:
    """Draw a smoothed, calibrated density map of a catalogue of sky positions.

    Importing the package makes this a method: ``ax.sky_heatmap(ra, dec, ...)``.

    Parameters
    ----------
    ax : `~astropy.visualization.wcsaxes.WCSAxes` or `~matplotlib.axes.Axes`
        A WCSAxes whose two axes are celestial, in any projection and frame, empty or with an
        image on it; one of matplotlib's mollweide, aitoff, hammer and lambert axes (longitude
        grows to the left, as ``ax.plot(-lon, lat)`` puts it), or one of cartopy's or skyproj's,
        which show the sky in ``frame``; a plain Axes, in degrees or with ``frame="flat"``. An
        Axes that shows something keeps its limits; an empty one is set to the map.
    *points : array-like, `~astropy.units.Quantity`, `~astropy.coordinates.SkyCoord` or str
        Longitudes and latitudes (ra, dec), where bare numbers are degrees; one SkyCoord in any
        frame; the names of columns of ``data``; or nothing, if ``data`` has one usual pair of
        columns (ra/dec, RAJ2000/DEJ2000, l/b with ``frame="galactic"``, ...). Arrays of any
        shape are read as one-dimensional. Rows that are not finite, or masked, are dropped and
        counted in the map's ``meta``. Or an iterator of chunks: (ra, dec), (ra, dec, weights) or
        a SkyCoord each, for catalogues larger than memory. Or a `SkyMap` to draw, as it is if the
        Axes' pixels are its own; else the mean of its pixels with their centres in each of these,
        or the value at its centre where they are larger, between pixels if the map is smoothed.
        With a SkyMap, only ``unit``, ``label``, ``colorbar``, ``center`` and arguments of the image
        are accepted.
    data : table-like, str or path-like, optional
        An astropy, pandas, polars, pyarrow, xarray or FITS table, a zarr or HDF5 group, a
        structured array or a dict, which may be the first argument, too; or the name of a FITS,
        ECSV, CSV, VOTable or Parquet file (.gz may follow, but for Parquet), of which the columns
        that are needed are read; or a list or an iterator of such tables or names. Larger than
        memory may be Parquet, by the name of a file, folder, pattern (``"survey/*.parquet"``) or
        HATS catalogue, or an address that pyarrow or fsspec opens; a pyarrow Dataset, Scanner or
        ParquetFile; a polars LazyFrame; and a duckdb relation. Of these the columns that are
        needed are read, batch by batch; of Parquet, also in a Dataset without a filter, not those
        row groups that cannot be on the map or within its kernel's reach, as their statistics say.
        Their rows are counted as skipped in the map's ``meta``.
    frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
        The frame of bare numbers: any name that astropy knows, or a frame; ``"flat"`` for
        Cartesian x, y on a plain Axes. An Axes that knows no frame (all but WCSAxes) shows the sky
        in this one. Later maps on one of matplotlib's geographic axes must have the same.
    weights : array-like or str, optional
        A weight for each point, not negative, or the name of a column. A unit carries over to
        the map.
    values : array-like or str, optional
        A value for each point, of any sign, or the name of a column, whose statistic is mapped: by
        default the mean. A unit, also mag, carries over to the map.
    statistic : str, optional
        One of {"density", "count", "sum", "mean", "std", "median", "min", "max", "excess",
        "significance", "lima"}: points per unit solid angle (the default), or points per pixel; of
        ``values`` six, the last three of them without a kernel only; the density less that of the
        ``background``, or how sure it is that there are more, or fewer, points under the kernel
        than it tells: in units of σ, by the binomial test (Z_Bi) or as Li & Ma.
    pixel_size : `~astropy.units.Quantity` ['angle'] or str, optional
        Side of the map's pixels, exact at the centre of the view; a number in data units with
        ``frame="flat"``.
    bins : int or (int, int), optional
        Pixels across the view, (nx, ny), in place of ``pixel_size``. With neither, the Axes'
        own WCS pixels are taken, merged k × k to at most 1024 along the longer side. On a plain
        Axes, which has none, 100 bins each way; on those of a projection, pixels of 1 deg at the
        centre or less; of both up to 1024 along the longer side if the kernel is so narrow.
    kernel : `~astropy.units.Quantity` ['angle'], str, kernel or array-like, optional
        Smoothing: σ of a Gaussian as an angle (``2*u.arcmin``, ``"2 arcmin"``) or in map pixels
        (``2*u.pix``); one of `Gaussian`, `TopHat`, `Epanechnikov`, `Moffat`, `Annulus` or a sum or
        difference of them; an astropy ``Kernel2D`` or a 2-D array of odd shape, in map pixels.
        With ``"auto"``, the Gaussian, from 2 pixels to a quarter of the map, whose density is
        nearest to that of other points of the same sky, by least-squares cross-validation (Rudemo
        1982; Bowman 1984): `SkyMap.kernel` is what it found. For densities and counts. Or
        `Adaptive`, whose width follows the points, or a `Gaussian` with a width for each row: those
        have no statistics about a background, and are not live.
    boundary : {"sky", "fill", "wrap", "reflect"}, optional
        What lies beyond the map. With ``"sky"``, the sky: points outside the map within the
        kernel's reach are counted, and what shows no sky is divided out, so that a uniform field
        is flat to the map's edge. The others act on the map alone, with zeros, its far side, or its
        mirror image, as in astropy.convolution and scipy.ndimage.
    geometry : {"auto", "plane", "sphere"}, optional
        Where to smooth: on the plane, with the pixel scale at the centre of the view, or on the
        sphere, with great-circle separations. With ``"auto"``, on the plane unless that would be
        off by more than 1 % of a source's peak. A kernel in map pixels, and an explicit boundary,
        have a meaning on the plane only; where that is off, a warning says by how much.
    coverage : callable, array, image, MOC, regions, HEALPix map, Randoms, str or list, optional
        What was observed: the fraction of each pixel that density and kernel are of. A function of
        a SkyCoord; an array of the map's shape; an image with a WCS (NDData, an HDU,
        ``(array, wcs)``); a ``mocpy.MOC``; sky regions of the package regions (a ``Regions`` is
        their union, ``include=False`` are holes); a HEALPix map, as ``(values, HEALPix)`` or of
        healsparse; `Randoms`; the name of a file of these; or a list, of which all must have
        observed. Points where nothing was observed are left out, and nothing is drawn there.
    min_coverage : float, optional
        Pixels where the kernel sees less than this fraction of what it would see of full coverage
        are masked.
    min_count : float, optional
        Pixels with fewer points than this are masked: those in the pixel, or under the kernel the
        effective number (``SkyMap.n_eff``).
    background : Annulus, `~astropy.units.Quantity` ['angle'], str or kernel, optional
        With ``statistic="excess"``, "significance" and "lima", what is around each pixel: an
        `Annulus` outside the kernel, or a sum of them; for "excess" any kernel, or the σ of a
        Gaussian.
    center : `~astropy.units.Quantity` ['angle'], float or SkyCoord, optional
        The longitude (deg) in the middle of matplotlib's geographic axes; by default that of the
        map that they show already, or 0.
    unit : `~astropy.units.Unit` or str, optional
        Unit of the map; that of a density is by default deg⁻² where the longer side of the view is
        at least 1°, arcmin⁻² where it is at least 1′, and arcsec⁻² below.
    label : str, optional
        What is counted ("stars"), or what the values are ("radial velocity"), for the colorbar.
    colorbar : bool, str or dict, optional
        Add a colorbar, on the side named ("left"); a dict gives `SkyHeatmap.add_colorbar` its
        arguments.
    live : bool, optional
        Read the map anew at the device pixels of each draw: pan, zoom, resize and ``savefig`` at
        any dpi show it sharply. Values at a place do not change, nor do colours, until
        ``heat.autoscale()``. Smoothing is then on the sphere; without a kernel, bins stay the
        map's, and several are shown as one where they are smaller than a device pixel.
    threads : int, optional
        Threads to project a large catalogue with; by default NUMBA_NUM_THREADS or OMP_NUM_THREADS
        of the environment, else as many as there are cores; at most 8 for each core. The map does
        not depend on it, but for rounding.
    progress : bool or callable, optional
        Show how far a stream, files or workers are: with tqdm, or with dask's own bar. A function
        is called with the number of rows read and None, or of groups of partitions done and of all.
    **image_kwargs
        Arguments of `~matplotlib.axes.Axes.imshow`: ``cmap``, ``norm``, ``vmin``, ``vmax``,
        ``alpha``, ``zorder``, ``interpolation``, ... Limits may be Quantities, and ``norm`` may be
        "sqrt" or "centered", too. By default the scale starts at 0; with a difference of kernels
        it is symmetric about 0, with the colormap "coolwarm". With ``values``, ``alpha="density"``
        fades the map where there are few points: opacity is their density under the same kernel,
        linear from 0 up to what 95 % of the pixels with a value are below, from which on the map
        is opaque. A colorbar then comes with a key, `SkyHeatmap.add_density_key`.

    Returns
    -------
    SkyHeatmap
        The image, which has been added to the Axes.

    Raises
    ------
    TypeError
        If the Axes is of no supported kind, or an argument of no accepted form.
    ValueError
        If an argument has a value that it cannot have. The message names the argument, the value
        and what to write in its place.

    Notes
    -----
    With nₚ the points (or sum of weights) in pixel p, Ωₚ its solid angle on the sky and K the
    kernel, the density is nₚ / Ωₚ, smoothed (K ∗ n)ₚ / (K ∗ Ω)ₚ, and the smoothed count is the
    smoothed density times Ωₚ. With an explicit boundary, nothing is divided out: the count is K ∗ n
    and the density (K ∗ n) / Ω. Pixels without points are 0; pixels without sky are masked.

    With weights w and values v, the smoothed mean is m = Σ w v K / Σ w K (Nadaraya 1964, Theory
    Probab. Appl. 9, 141; Watson 1964, Sankhyā A 26, 359), the smoothed sum (Σ w v K / K ∗ Ω) Ωₚ,
    and the standard deviation √[(Σ w v² K / Σ w K − m²) / (1 − 1/n)] with n = (Σ w K)² / Σ w² K²,
    the effective number of points (Kish 1965, Survey Sampling, 8.2). Means and deviations are
    masked where Σ K is below 1 % of K(0). Standard errors, in ``SkyMap.uncertainty``, are those of
    independent points: √(Σ w² K²) / (K ∗ Ω) of a density.

    Significances are those of effective counts N = S1 E1 / E2 (Bohm & Zech 2014, NIM A 748, 1)
    under the kernel and in the background, with S1 = Σ w K, E1 = K ∗ Ω and E2 = K² ∗ Ω of what was
    observed, and of the ratio α of their effective solid angles E1² / E2. With weights, both are
    divided by the background's mean weight (S2 / E2) / (S1 / E1). "significance" is Z_Bi with mid-p
    (Cousins, Linnemann & Tucker 2008, NIM A 595, 480; Lancaster 1961, J. Am. Stat. Assoc. 56, 223),
    "lima" eq. 17 of Li & Ma (1983, ApJ 272, 317). Pixels are masked where less than a fifth of the
    background was observed.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from astropy import units as u
    >>> from astropy.wcs import WCS
    >>> import mpl_skyheat
    >>> wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 56.75, "CRVAL2": 24.12,
    ...            "CRPIX1": 60.5, "CRPIX2": 60.5, "CDELT1": -0.05, "CDELT2": 0.05,
    ...            "NAXIS1": 120, "NAXIS2": 120})
    >>> ax = plt.subplot(projection=wcs)
    >>> stars = mpl_skyheat.datasets.bright_stars()
    >>> heat = ax.sky_heatmap(data=stars, kernel=12 * u.arcmin, label="stars")
    >>> plt.close()
    """
    given = dict(locals())
    if not isinstance(ax, Axes):
        raise TypeError(
            f"ax must be an Axes, as in ax.sky_heatmap(ra, dec); got {type(ax).__name__}"
        )
    # Imported at first use, so that importing the package is fast.
    from mpl_skyheat.catalogue.reading import read_points
    from mpl_skyheat.maps.making import make_map
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.sky_map import SkyMap
    from mpl_skyheat.plotting.heatmap import SkyHeatmap, check_image_keywords
    from mpl_skyheat.plotting.opacity import check_alpha, check_has_values, fading_of
    from mpl_skyheat.plotting.showing import view_on
    from mpl_skyheat.sky.frames import find_frame

    if len(points) == 1 and isinstance(points[0], SkyMap):
        return _draw_map(ax, points[0], given)
    request = MapRequest.of_call(given, is_picture=True)
    bar = _colorbar_arguments(colorbar)
    check_image_keywords(image_kwargs)
    if fades := check_alpha(image_kwargs.get("alpha"), live=live):
        check_has_values(request.statistic)
    catalogue = read_points(points, data, frame, weights, values, request.widths)
    on_axes = view_on(ax, catalogue, find_frame(frame), center)
    made = make_map(catalogue, on_axes.plane, on_axes.view, request)
    drawing = _plain_alpha(image_kwargs, fades=fades)
    if made.live is not None:
        from mpl_skyheat.plotting.live_heatmap import LiveHeatmap

        heat: SkyHeatmap = LiveHeatmap(
            ax, made.sky_map, made.grid.extent, live=made.live, **drawing
        )
        return _added(heat, on_axes, made.view, bar)
    fading = fading_of(made.sky_map) if fades else None
    heat = SkyHeatmap(ax, made.sky_map, made.grid.extent, fading=fading, **drawing)
    return _added(heat, on_axes, made.view, bar)


def sky_contour(
    ax: Axes,
    *points_or_map: Any,
    levels: Any = None,
    enclosed: Any = None,
    points: Any = None,
    leave_one_out: bool = True,
    filled: bool = False,
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
    center: Any = None,
    coverage: Any = None,
    min_coverage: float = 0.5,
    min_count: float | None = None,
    background: Any = None,
    unit: Any = None,
    label: str | None = None,
    threads: int | None = None,
    progress: Any = False,
    **contour_kwargs: Any,
) -> SkyContourSet:
    """Draw contours of a catalogue's smoothed density, over what the Axes shows.

    Importing the package makes this a method: ``ax.sky_contour(ra, dec, kernel="2 arcmin")``.

    Parameters
    ----------
    ax : `~astropy.visualization.wcsaxes.WCSAxes` or `~matplotlib.axes.Axes`
        As in `sky_heatmap`. An Axes that shows something keeps its limits.
    *points_or_map : array-like, `~astropy.units.Quantity`, `~astropy.coordinates.SkyCoord` or str
        Points, as in `sky_heatmap`; or a `SkyMap`, on any pixels, whose contours are drawn.
    levels : int, float, `~astropy.units.Quantity` or list of these, optional
        Levels, as numbers in the map's unit or with a unit; an int is the number of them, for
        matplotlib to choose, as it does by default.
    enclosed : float or list of float, optional
        Fractions of the sources (0 … 1) that are to be inside, in place of levels; see
        `SkyMap.contour`.
    points : `~astropy.coordinates.SkyCoord`, table, file or tuple, optional
        The sources that a fraction is of, as in `SkyMap.contour`: by default the points that the
        map is made of, each where it is. Of a `SkyMap`, of an iterator of chunks, and of more than
        8 million rows that are not in memory, the centres of pixels stand for the points in these.
    leave_one_out : bool, optional
        Evaluate each source without itself; see `SkyMap.contour`.
    filled : bool, optional
        Fill the areas between levels, as `~matplotlib.axes.Axes.contourf` does; with ``enclosed``,
        also that inside the innermost.
    data, frame, weights, values, statistic, pixel_size, bins, kernel, boundary, geometry, center
        As in `sky_heatmap`.
    coverage, min_coverage, min_count, background, unit, label, threads, progress
        As in `sky_heatmap`.
    **contour_kwargs
        Arguments of `~matplotlib.axes.Axes.contour`: ``colors``, ``cmap``, ``norm``,
        ``linewidths``, ``linestyles``, ``alpha``, ``zorder``, ... Lists have the order of the
        levels or fractions as given.

    Returns
    -------
    `~matplotlib.contour.ContourSet`
        For `~matplotlib.axes.Axes.clabel`, which writes fractions in percent. Its ``sky_contours``
        are the `SkyContour` of each level, with areas.

    Raises
    ------
    TypeError, ValueError
        As `sky_heatmap` and `SkyMap.contour`; and of arguments that contours do not have.

    Notes
    -----
    Contours run between the centres of pixels, linearly, up to the map's edge. They have no seam
    at 0h; where the sky ends on the map, they are cut, and go on at the other side.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from astropy.wcs import WCS
    >>> import mpl_skyheat
    >>> wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 56.75, "CRVAL2": 24.12,
    ...            "CRPIX1": 60.5, "CRPIX2": 60.5, "CDELT1": -0.05, "CDELT2": 0.05,
    ...            "NAXIS1": 120, "NAXIS2": 120})
    >>> ax = plt.subplot(projection=wcs)
    >>> stars = mpl_skyheat.datasets.bright_stars()
    >>> lines = ax.sky_contour(data=stars, kernel="12 arcmin", enclosed=[0.1, 0.5], colors="C0")
    >>> sorted({label.get_text() for label in ax.clabel(lines)})
    ['10 %', '50 %']
    >>> plt.close()
    """
    given = dict(locals())
    if not isinstance(ax, Axes):
        raise TypeError(
            f"ax must be an Axes, as in ax.sky_contour(ra, dec); got {type(ax).__name__}"
        )
    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.catalogue.reading import read_points
    from mpl_skyheat.maps.making import make_map
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.maps.sky_map import SkyMap
    from mpl_skyheat.plotting.contour_sets import check_contour_keywords, find_contours
    from mpl_skyheat.plotting.showing import view_on
    from mpl_skyheat.sky.frames import find_frame

    check_contour_keywords(contour_kwargs, "sky_contour")
    if len(points_or_map) == 1 and isinstance(points_or_map[0], SkyMap):
        return _contour_map(ax, points_or_map[0], given)
    request = MapRequest.of_call(given, is_picture=True)
    catalogue = read_points(points_or_map, data, frame, weights, values, request.widths)
    needs_points = points is None and enclosed is not None
    catalogue = catalogue.held() if needs_points else catalogue
    on_axes = view_on(ax, catalogue, find_frame(frame), center)
    sky_map, grid, view, _ = make_map(catalogue, on_axes.plane, on_axes.view, request)
    if needs_points and isinstance(catalogue, Catalogue):
        points = catalogue
    contours = find_contours(
        sky_map, levels=levels, enclosed=enclosed, points=points, leave_one_out=leave_one_out
    )
    return _add_contours(ax, sky_map, contours, on_axes, view, grid, given)


def _contour_map(ax: Axes, sky_map: SkyMap, given: dict[str, Any]) -> SkyContourSet:
    """Draw contours of a map that is made already, with the arguments of `sky_contour` by name."""
    from mpl_skyheat.maps.resampling import corners_of, frame_of_pixels, on_surface
    from mpl_skyheat.maps.surface import Surface
    from mpl_skyheat.plotting.contour_sets import find_contours
    from mpl_skyheat.plotting.showing import check_left_out, view_on

    taken = {"ax", "points_or_map", "levels", "enclosed", "points", "leave_one_out", "filled"}
    check_left_out(sky_contour, given, taken | {"unit", "center", "contour_kwargs"})
    sky_map = sky_map if given["unit"] is None else sky_map.to(given["unit"])
    surface = Surface(sky_map)
    options = {name: given[name] for name in ("levels", "enclosed", "points", "leave_one_out")}
    contours = find_contours(sky_map, **options, surface=surface)
    on_axes = view_on(ax, corners_of(sky_map), frame_of_pixels(sky_map), given["center"])
    drawn, grid = on_surface(sky_map, surface, on_axes.plane, on_axes.view)
    return _add_contours(ax, drawn, contours, on_axes, on_axes.view, grid, given)


def _add_contours(
    ax: Axes,
    sky_map: SkyMap,
    contours: list[SkyContour] | None,
    on_axes: AxesView,
    view: View,
    grid: SkyGrid,
    given: dict[str, Any],
) -> SkyContourSet:
    """The contours of a map on its Axes' plane, added to the Axes."""
    from mpl_skyheat.plotting.contour_sets import draw_contours
    from mpl_skyheat.plotting.showing import show
    from mpl_skyheat.sky.grid import View

    transform = ax.transData if on_axes.transform is None else on_axes.transform
    options = {name: given[name] for name in ("levels", "filled")} | given["contour_kwargs"]

    def add() -> SkyContourSet:
        return draw_contours(ax, sky_map, grid.extent, transform, contours=contours, **options)

    known = view if on_axes.view.is_known else View(*grid.extent)
    drawn: SkyContourSet = show(ax, on_axes, known, add)
    return drawn


def _draw_map(ax: Axes, sky_map: SkyMap, given: dict[str, Any]) -> SkyHeatmap:
    """Draw a map that is made already, with the arguments of `sky_heatmap` by name."""
    from mpl_skyheat.maps.resampling import corners_of, frame_of_pixels, resampled
    from mpl_skyheat.plotting.heatmap import SkyHeatmap, check_image_keywords
    from mpl_skyheat.plotting.opacity import Fading, check_alpha, fading_of
    from mpl_skyheat.plotting.showing import check_left_out, view_on

    taken = {"ax", "points", "unit", "label", "colorbar", "center", "image_kwargs"}
    check_left_out(sky_heatmap, given, taken)
    bar = _colorbar_arguments(given["colorbar"])
    image_kwargs = given["image_kwargs"]
    check_image_keywords(image_kwargs)
    fades = check_alpha(image_kwargs.get("alpha"))
    fading = fading_of(sky_map) if fades else None
    on_axes = view_on(ax, corners_of(sky_map), frame_of_pixels(sky_map), given["center"])
    drawn, grid = resampled(sky_map, on_axes.plane, on_axes.view, given["unit"], given["label"])
    if fading is not None:
        density, _ = resampled(fading.density, on_axes.plane, on_axes.view, None, None)
        fading = Fading(density, fading.opaque_from)
    drawing = _plain_alpha(image_kwargs, fades=fades)
    heat = SkyHeatmap(ax, drawn, grid.extent, fading=fading, **drawing)
    return _added(heat, on_axes, on_axes.view, bar)


def _plain_alpha(image_kwargs: dict[str, Any], *, fades: bool) -> dict[str, Any]:
    """Arguments of the image, whose opacity is left for later if it is to be the density."""
    return {k: v for k, v in image_kwargs.items() if not (fades and k == "alpha")}


def _added(
    heat: SkyHeatmap, on_axes: AxesView, view: View, bar: dict[str, Any] | None
) -> SkyHeatmap:
    """The image, added to its Axes with a colorbar of arguments ``bar``, if any.

    Arguments that a colorbar does not take are an error before the Axes is changed.
    """
    from mpl_skyheat.plotting.colorbars import rehearse_colorbar
    from mpl_skyheat.plotting.showing import make_current, show
    from mpl_skyheat.sky.grid import View

    ax: Any = heat.axes
    if bar is not None:
        rehearse_colorbar(heat, **bar)
    known = view if on_axes.view.is_known else View(*heat.get_extent())
    show(ax, on_axes, known, lambda: ax.add_image(heat))
    make_current(ax, heat)
    if bar is not None:
        heat.add_colorbar(**bar)
        if heat.opaque_from is not None:
            heat.add_density_key()
    return heat


def _colorbar_arguments(colorbar: Any) -> dict[str, Any] | None:
    """Arguments of `SkyHeatmap.add_colorbar`, None without a colorbar."""
    from mpl_skyheat.plotting.colorbars import check_location

    if isinstance(colorbar, str):
        check_location(colorbar, "colorbar")
        return {"location": colorbar}
    if isinstance(colorbar, dict):
        return colorbar
    if colorbar is None or isinstance(colorbar, bool | np.bool_):
        return {} if colorbar else None
    raise TypeError(
        "colorbar must be True, a side such as 'left', or a dict of arguments of "
        f"SkyHeatmap.add_colorbar; got {colorbar!r:.60}"
    )


# Functions that are methods of every Axes.
METHODS: dict[str, Callable[..., Any]] = {"sky_heatmap": sky_heatmap, "sky_contour": sky_contour}


def register() -> None:
    """Make `sky_heatmap` and `sky_contour` methods of every `~matplotlib.axes.Axes`.

    Importing the package does.

    Raises
    ------
    RuntimeError
        If Axes have another attribute of one of these names already.
    """
    for name, method in METHODS.items():
        present = getattr(Axes, name, method)
        if present is not method:
            raise RuntimeError(
                f"Axes.{name} must not be taken; got {present!r}, set by another package"
            )
    for name, method in METHODS.items():
        setattr(Axes, name, method)


def unregister() -> None:
    """Take the methods back from `~matplotlib.axes.Axes`."""
    for name, method in METHODS.items():
        if getattr(Axes, name, None) is method:
            delattr(Axes, name)
