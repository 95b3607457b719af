"""`SkyHeatmap`: the image of a `SkyMap` on an Axes, and its colorbar."""

from __future__ import annotations

import warnings
from contextlib import suppress
from copy import copy
from difflib import get_close_matches
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from matplotlib.colors import AsinhNorm, LogNorm, Normalize
from matplotlib.image import AxesImage, interpolations_names
from matplotlib.ticker import MaxNLocator

from mpl_skyheat.catalogue.reading import read_positions
from mpl_skyheat.compute.warning import SkyHeatmapWarning
from mpl_skyheat.maps.making import sky_map
from mpl_skyheat.maps.surface import Surface
from mpl_skyheat.plotting.colorbars import (
    FullLength,
    Side,
    check_arguments,
    make_side_axes,
    set_ticks,
)
from mpl_skyheat.plotting.colour_scale import LINEAR_PART, find_norm, look_of, set_open_limits
from mpl_skyheat.plotting.contour_sets import (
    SkyContourSet,
    check_contour_keywords,
    draw_contours,
    find_contours,
)
from mpl_skyheat.plotting.corner_marks import KernelMark, ScaleBar
from mpl_skyheat.plotting.density_key import add_density_key
from mpl_skyheat.plotting.drawn_values import drawn_values, is_whole
from mpl_skyheat.plotting.opacity import FAINT
from mpl_skyheat.plotting.peak_marks import PeakMarks
from mpl_skyheat.sky.planes import plane_of_wcs, project

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from numpy.typing import NDArray

    from mpl_skyheat.maps.sky_map import SkyMap
    from mpl_skyheat.plotting.colour_scale import NormName
    from mpl_skyheat.plotting.opacity import Fading

# What other packages call arguments of `sky_heatmap`.
FOREIGN_NAMES = {"gridsize": "bins", "npix": "bins", "binsz": "pixel_size", "bw": "kernel"}
FOREIGN_NAMES |= {"smooth": "kernel", "opacity": "alpha", "n_jobs": "threads"}
FOREIGN_NAMES |= {"workers": "threads", "stat": "statistic", "C": "values", "mincnt": "min_count"}
FOREIGN_NAMES |= {"reduce_C_function": "statistic", "cmin": "min_count"}
FOREIGN_NAMES |= dict.fromkeys(("moc", "footprint", "randoms"), "coverage")


class SkyHeatmap(AxesImage):
    """The image of a sky map, as `sky_heatmap` returns it.

    Bins of three device pixels or more are drawn as crisp squares, somewhat smaller ones with
    soft edges (``interpolation="nearest"``: crisp), and of those smaller than a device pixel the
    average is drawn, as it should be for a density. What shows no sky is not drawn.

    Parameters
    ----------
    ax : `~matplotlib.axes.Axes`
        The Axes that the map was made for.
    sky_map : SkyMap
        The map.
    extent : (float, float, float, float)
        Left, right, bottom and top edge of the map in data coordinates.
    fading : Fading, optional
        The opacity of the pixels, by the density of rows in them.
    norm, vmin, vmax, **kwargs
        As in `sky_heatmap`.

    Attributes
    ----------
    sky_map : SkyMap
        The map as it was made; ``set_data`` changes the picture only.
    opaque_from : `~astropy.units.Quantity` or None
        With ``alpha="density"``, the density from which on colours are opaque.
    """

    def __init__(
        self,
        ax: Axes,
        sky_map: SkyMap,
        extent: tuple[float, float, float, float],
        *,
        fading: Fading | None = None,
        norm: NormName | Normalize | None = None,
        vmin: float | None = None,
        vmax: float | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(norm, Normalize) and not (vmin is None and vmax is None):
            raise ValueError(
                f"vmin and vmax must be given to the norm, not beside it; got vmin={vmin}, "
                f"vmax={vmax}"
            )
        look, is_smoothed = look_of(sky_map), sky_map.is_smoothed
        found: Any = find_norm(norm, is_smoothed=is_smoothed)
        if look.cmap is not None and kwargs.get("cmap") is None:
            kwargs["cmap"] = look.cmap
        # "antialiased" is "auto" by the name that every supported matplotlib knows. Without
        # resample, map pixels between two device pixels would be lost.
        drawing: Any = {"interpolation": "antialiased", "interpolation_stage": "data"}
        drawing |= {"resample": True} | kwargs
        super().__init__(ax, norm=found, origin="lower", extent=extent, **drawing)
        self.sky_map = sky_map
        # Longitude (deg) in the middle of a geographic Axes of matplotlib, and the map's frame.
        self.sky_in_middle: tuple[float, Any] | None = None
        self.opaque_from = None if fading is None else fading.opaque_from
        self.set_data(np.ma.masked_invalid(drawn_values(sky_map, ax)))
        unit = sky_map.unit or u.dimensionless_unscaled
        self.set_clim(_plain_limit(vmin, "vmin", unit), _plain_limit(vmax, "vmax", unit))
        scaled = is_whole(sky_map) & np.isfinite(sky_map.data)
        if fading is not None:
            alpha = fading.opacity(ax)
            self.set_alpha(alpha)
            scaled = self._clearly_seen(scaled, alpha)
        values = self._values_to_scale(sky_map.data[scaled], stacklevel=5)
        set_open_limits(self.norm, values, look, is_smoothed=is_smoothed)
        if norm == "asinh":
            low, high = self.get_clim()
            width = LINEAR_PART * max(abs(low), abs(high)) or 1.0
            # Of absurd limits, values over the width would be too large for numbers.
            width = max(width, 1e-100 * float(np.abs(values).max()))
            self.set_norm(AsinhNorm(width, low, high))
        self.set_transform(ax.transData)
        if kwargs.get("clip_path") is None:
            self.set_clip_path(ax.patch)

    def _clearly_seen(self, pixels: NDArray[np.bool_], alpha: NDArray[np.float64]) -> Any:
        """The marked pixels with an opacity of `FAINT` or more.

        All marked pixels if none of these has a value that the norm can show, as on an Axes that is
        zoomed on the surroundings of a dense cluster.
        """
        seen = pixels & (alpha >= FAINT)
        values = self.sky_map.data[seen]
        can_be_shown = values > 0 if isinstance(self.norm, LogNorm) else np.isfinite(values)
        return seen if can_be_shown.any() else pixels

    def _values_to_scale(
        self, values: NDArray[np.float64], *, stacklevel: int
    ) -> NDArray[np.float64]:
        """The values, of some, that limits of the colour scale follow: at least one."""
        if isinstance(self.norm, LogNorm) and not (values > 0).any():
            return self._log_limits_of_nothing(stacklevel=stacklevel)
        return values if len(values) else np.zeros(1)

    def _log_limits_of_nothing(self, *, stacklevel: int) -> NDArray[np.float64]:
        vmin, vmax = self.get_clim()
        low = vmin or (0.1 if vmax is None else 0.1 * vmax)
        high = vmax or 10 * low
        warnings.warn(
            "norm='log' has no positive value to scale: the map is empty, and its colours are set "
            f"to vmin={low:g}, vmax={high:g}",
            SkyHeatmapWarning,
            stacklevel=stacklevel,
        )
        return np.array([low, high])

    def set_clim(self, vmin: Any = None, vmax: Any = None) -> None:
        """Set the limits of the colour scale; None leaves one as it is.

        Parameters
        ----------
        vmin, vmax : float or `~astropy.units.Quantity`, optional
            In the map's unit, or with a unit of their own; or both as one pair.

        Raises
        ------
        ValueError
            If their unit is not one of the map's.
        """
        if vmax is None:
            with suppress(TypeError, ValueError):  # matplotlib's rule, too
                vmin, vmax = vmin
        unit = self.sky_map.unit or u.dimensionless_unscaled
        super().set_clim(_plain_limit(vmin, "vmin", unit), _plain_limit(vmax, "vmax", unit))

    @property
    def array_extent(self) -> tuple[float, float, float, float]:
        """The extent of ``get_array()``, which of a live map is what the screen shows."""
        return self.get_extent()

    def value_at(self, *position: Any, frame: Any = None, interpolate: bool = False) -> u.Quantity:
        """Return the map's value at positions on the sky; see `SkyMap.value_at`.

        ``heat.value_at(coord)`` or ``heat.value_at(ra, dec)``, where bare numbers are degrees in
        the frame that the map was made with.
        """
        return self.sky_map.value_at(*position, frame=frame, interpolate=interpolate)

    def make_image(
        self, renderer: Any, magnification: float = 1.0, unsampled: bool = False
    ) -> tuple[Any, float, float, Any]:
        """Return the image as `~matplotlib.image.AxesImage` does, up to the edge of the sky.

        Where matplotlib averages, it leaves out every device pixel whose mean takes in a masked
        pixel, which leaves flecks along the rim. These have the value of the pixel they are in.
        """
        made: tuple[Any, float, float, Any] = super().make_image(renderer, magnification, unsampled)
        image = made[0]
        may_average = self.get_interpolation() in ("antialiased", "auto")
        has_gaps = np.ma.is_masked(self.get_array())
        if image is None or unsampled or not (may_average and has_gaps):
            return made
        bad = self.cmap(np.ma.masked_invalid([np.nan]), bytes=True)[0]
        channels = np.s_[:3] if bad[3] else np.s_[3:]
        left_out = (image[..., channels] == bad[channels]).all(axis=-1)
        crisp = copy(self)  # A copy has no stale_callback: changing it does not redraw the figure.
        crisp.set_interpolation("nearest")
        image[left_out] = crisp.make_image(renderer, magnification)[0][left_out]
        return made

    def contour(
        self,
        levels: Any = None,
        *,
        enclosed: Any = None,
        points: Any = None,
        leave_one_out: bool = True,
        filled: bool = False,
        **kwargs: Any,
    ) -> SkyContourSet:
        """Draw contours of the map on it.

        Parameters
        ----------
        levels : int, float, `~astropy.units.Quantity` or list of these, optional
            Levels, as numbers in the map's unit or with a unit; an int is the number of them, for
            matplotlib to choose, as it does by default.
        enclosed : float or list of float, optional
            Fractions of the sources that are to be inside, in place of levels; see
            `SkyMap.contour`.
        points, leave_one_out
            The sources, as in `SkyMap.contour`.
        filled : bool, optional
            Fill the areas between levels; with ``enclosed``, also that inside the innermost.
        **kwargs
            Arguments of `~matplotlib.axes.Axes.contour`: ``colors`` (white by default), ``cmap``,
            ``linewidths``, ``linestyles``, ``alpha``, ``zorder``, ... Lists have the order of the
            levels or fractions as given.

        Returns
        -------
        `~matplotlib.contour.ContourSet`
            For `~matplotlib.axes.Axes.clabel`, which writes fractions in percent. Its
            ``sky_contours`` are the `SkyContour` of each level, with areas.

        Raises
        ------
        TypeError, ValueError
            As `SkyMap.contour`; and of arguments that contours do not have.
        """
        check_contour_keywords(kwargs, "contour")
        if not filled and kwargs.get("colors") is None and kwargs.get("cmap") is None:
            kwargs["colors"] = "w"
        sky_map: Any = self.sky_map
        surface = Surface(sky_map)
        contours = find_contours(
            sky_map,
            levels=levels,
            enclosed=enclosed,
            points=points,
            leave_one_out=leave_one_out,
            surface=surface,
        )
        drawn = draw_contours(
            self.axes,
            sky_map,
            self.get_extent(),
            self.get_transform(),
            contours=contours,
            surface=surface,
            levels=levels,
            filled=filled,
            **kwargs,
        )
        if self.get_clip_path() is not None:
            drawn.set_clip_path(self.get_clip_path())
        drawn.sky_in_middle = self.sky_in_middle
        return drawn

    def format_cursor_data(self, data: Any) -> str:
        """Return the value under the cursor with its unit."""
        if data is None or np.ma.is_masked(data) or not np.isfinite(data):
            return "no value"
        return f"{float(data):.4g} {self.sky_map.unit or ''}".rstrip()

    def add_colorbar(
        self, location: Side = "right", *, label: str | None = None, **kwargs: Any
    ) -> Colorbar:
        """Add a colorbar as tall (or as wide) as the Axes, beside it.

        It stays clear of the Axes' tick labels and follows the Axes under every layout engine.
        In a figure without one, the Axes makes room for it, as it does for
        `~matplotlib.figure.Figure.colorbar`.

        Parameters
        ----------
        location : {"right", "left", "top", "bottom"}, optional
            The side of the Axes.
        label : str, optional
            By default what is counted, and the unit.
        **kwargs
            Further arguments of `~matplotlib.figure.Figure.colorbar`.

        Returns
        -------
        `~matplotlib.colorbar.Colorbar`

        Raises
        ------
        TypeError
            If an argument is given that follows from the Axes (``pad``, ``shrink``, ...).
        ValueError
            If there is no such side.
        """
        check_arguments(location, label, kwargs)
        figure: Any = self.axes.figure
        current = figure.gca()
        cax, arguments = make_side_axes(self.axes, location)
        try:
            colorbar: Colorbar = figure.colorbar(self, cax=cax, **arguments | kwargs)
        except Exception:
            cax.remove()
            raise
        finally:
            figure.sca(current)
        cax.set_axes_locator(FullLength(cax, self.axes, location))
        colorbar.set_label(self.colorbar_label if label is None else label)
        if not {"ticks", "format"} & set(kwargs):
            set_ticks(colorbar, self.norm)
            is_count = self.sky_map.meta.get("stat") == "count" and not self.sky_map.is_smoothed
            if is_count and not self._is_weighted and type(self.norm) is Normalize:
                colorbar.set_ticks(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
        return colorbar

    def mark_peaks(
        self, peaks: QTable | None = None, *, n_peaks: int | None = 10, **kwargs: Any
    ) -> PeakMarks:
        """Mark peaks of the map with circles, and their numbers beside these.

        Numbers lie over no other number, and keep clear of the circles.

        Parameters
        ----------
        peaks : `~astropy.table.QTable`, optional
            A table with ``coord``, and maybe ``id`` for the numbers, as `SkyMap.find_peaks` makes
            it; by default the peaks of the map.
        n_peaks : int, optional
            The most peaks to mark, the first ones; None marks all.
        **kwargs
            Properties of the circles, a `~matplotlib.lines.Line2D` of markers: ``color``,
            ``markersize`` (points), ... By default they are black or white, as the map is light or
            dark.

        Returns
        -------
        PeakMarks
            The `~matplotlib.artist.Artist` of all marks, which has been added to the Axes.

        Raises
        ------
        TypeError
            If the table has no ``coord``.
        """
        if peaks is None:
            peaks = self.sky_map.find_peaks(n_peaks=n_peaks)
        if "coord" not in getattr(peaks, "colnames", ()):
            raise TypeError(
                "peaks must be a table with a column 'coord', as SkyMap.find_peaks makes it; got "
                f"{peaks!r:.60}"
            )
        some = peaks if n_peaks is None else peaks[:n_peaks]
        numbers = some["id"] if "id" in some.colnames else range(1, len(some) + 1)
        plane = plane_of_wcs(self.sky_map.wcs)
        lon, lat, frame = read_positions((some["coord"],), "icrs", plane.frame)
        x, y = project(plane, frame, lon, lat)
        left, right, bottom, top = self.get_extent()
        ny, nx = self.sky_map.data.shape
        positions = np.stack(
            [left + (x + 0.5) * (right - left) / nx, bottom + (y + 0.5) * (top - bottom) / ny],
            axis=-1,
        )
        names = [str(number) for number in numbers]
        return PeakMarks(self.axes, positions, names, self.get_transform(), **kwargs)

    def add_kernel(
        self, corner: str = "bottom left", frame: bool = False, **kwargs: Any
    ) -> KernelMark:
        """Draw the full width of the map's kernel at half maximum in a corner, to scale there.

        A circle on the sky, as radio astronomers draw a beam: on the map it is the ellipse that the
        projection makes of it in that corner, at the size that the figure and the limits of the
        Axes have when it is drawn. Where the corner shows no sky, it has the scale of the nearest
        place that does.

        Parameters
        ----------
        corner : str, optional
            One of {"top right", "top left", "bottom left", "bottom right", "right", "left",
            "bottom", "top"}.
        frame : bool, optional
            Draw a white frame behind it.
        **kwargs
            ``pad`` (0.5) and ``borderpad`` (0.4), room around and outside the frame in font sizes,
            and properties of the `~matplotlib.patches.Circle`: ``color``, ``hatch``, ... By default
            it is black or white, whichever can be read there.

        Returns
        -------
        KernelMark
            The `~matplotlib.artist.Artist`, which has been added to the Axes.

        Raises
        ------
        ValueError
            If there is no such corner, or the kernel has no such width: of arrays, differences and
            `Annulus`, and of maps without a kernel.
        """
        return KernelMark(self, corner, frame=frame, **kwargs)

    def add_scalebar(
        self,
        length: Any,
        label: str | None = None,
        corner: str = "bottom right",
        frame: bool = False,
        **kwargs: Any,
    ) -> ScaleBar:
        """Draw a bar that is as long as an angle in a corner of the map, to scale there.

        The separation of its two ends on the sky is the length, at the size that the figure and the
        limits of the Axes have when it is drawn: zoomed in, the bar is longer. Where the corner
        shows no sky, it has the scale of the nearest place that does.

        Parameters
        ----------
        length : `~astropy.units.Quantity` ['angle'] or str
            Such as ``1*u.deg``; ``20*u.pix`` are pixels of the map. On a map of Cartesian x, y:
            a number in their units.
        label : str, optional
            The text below the bar, by default the length.
        corner, frame
            As of `add_kernel`.
        **kwargs
            Of `mpl_toolkits.axes_grid1.anchored_artists.AnchoredSizeBar`: ``pad`` (0.5),
            ``borderpad`` (0.4), ``sep`` (5), ``color``, ``size_vertical`` (points), ``label_top``,
            ``fontproperties``, ... By default it is black or white, whichever can be read there.

        Returns
        -------
        ScaleBar
            The `~matplotlib.artist.Artist`, which has been added to the Axes.

        Raises
        ------
        ValueError
            If there is no such corner, or the length is no angle below 180 deg.
        """
        return ScaleBar(self, length, label, corner, frame=frame, **kwargs)

    def add_density_key(self, corner: str = "top right", label: str | None = None) -> Axes:
        """Add a key of a map drawn with ``alpha="density"``: values along x, density along y.

        It follows the colours of the map.

        Parameters
        ----------
        corner : str, optional
            As of `add_kernel`.
        label : str, optional
            The text below it, by default that of the colorbar.

        Returns
        -------
        `~matplotlib.axes.Axes`
            A small Axes within that of the map.

        Raises
        ------
        ValueError
            If there is no such corner, or the map is drawn with another opacity.
        """
        return add_density_key(self, corner, self.colorbar_label if label is None else label)

    @property
    def colorbar_label(self) -> str:
        """Label of the colorbar: what is counted, with the unit in mathtext."""
        meta, label, unit = self.sky_map.meta, self.sky_map.label, self.sky_map.unit
        look = look_of(self.sky_map)
        per = look.per
        if per:
            counted = label or ("weight" if self._is_weighted else "sources")
            counted = f"{look.prefix} {counted}".strip()
        elif look.prefix:
            counted = f"{look.prefix} {label or 'values'}"
        else:
            counted = label or meta.get("stat") or "value"
        if per and unit is not None and (unit**-1).is_equivalent(u.sr):
            return f"{counted} / {(unit**-1).to_string('latex_inline')}"
        if unit not in (None, u.dimensionless_unscaled):
            counted += f" [{unit.to_string('latex_inline')}]"
        is_per_area = (
            meta.get("stat") in ("density", "excess") and meta.get("frame") != "flat"
        )  # by its unit
        return counted if is_per_area else f"{counted} {per}".strip()

    @property
    def _is_weighted(self) -> bool:
        counts = self.sky_map.counts
        return counts is not None and counts.dtype.kind == "f"


def check_image_keywords(keywords: dict[str, Any]) -> None:
    """Raise a TypeError for keywords that the image does not have, or that the map decides."""
    known = {*signature(AxesImage).parameters, *signature(SkyHeatmap).parameters}
    known -= {"self", "ax", "fading"}
    for name, value in keywords.items():
        if name in ("extent", "origin", "transform", "aspect"):
            raise TypeError(f"{name} must be left out, as it follows from the map; got {value!r}")
        if name == "interpolation" and value is not None:
            _check_interpolation(value)
        if name in known or hasattr(AxesImage, f"set_{name}"):
            continue
        if name in ("fwhm", "sigma"):
            hint = f"take kernel=mpl_skyheat.Gaussian({name}=...)"
        else:
            options = [*known, *signature(sky_map).parameters, "colorbar"]
            foreign = FOREIGN_NAMES.get(name)
            close = [foreign] if foreign else get_close_matches(name, options, 1, 0.7)
            hint = f"did you mean {close[0]!r}?" if close else "see help(mpl_skyheat.sky_heatmap)"
        raise TypeError(f"sky_heatmap has no argument {name!r}: {hint}")


def _check_interpolation(interpolation: Any) -> None:
    if not isinstance(interpolation, str) or interpolation.lower() not in interpolations_names:
        listed = ", ".join(map(repr, sorted(interpolations_names)))
        raise ValueError(f"interpolation must be one of {listed}; got {interpolation!r:.60}")


def _plain_limit(limit: Any, name: str, unit: u.UnitBase) -> float | None:
    """A limit of the colour scale as a number in the map's unit."""
    if limit is None:
        return None
    if isinstance(limit, u.Quantity) and not limit.unit.is_equivalent(unit):
        raise ValueError(f"{name} must be in the map's unit, {unit}; got {limit}")
    try:
        plain = float(limit.to_value(unit) if isinstance(limit, u.Quantity) else limit)
    except (TypeError, ValueError):
        plain = np.nan
    if isinstance(limit, str | bool) or not np.isfinite(plain):
        raise ValueError(
            f"{name} must be a finite number or Quantity, or None for that of the map; got "
            f"{limit!r:.60}"
        )
    return plain
