"""Axes for a catalogue, where there are none yet."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS, BaseCoordinateFrame, SkyCoord
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D

from mpl_skyheat.catalogue.reading import read_points
from mpl_skyheat.catalogue.streams import Stream
from mpl_skyheat.compute.warning import SkyHeatmapWarning
from mpl_skyheat.plotting.halo import Halo
from mpl_skyheat.plotting.labels import axis_names
from mpl_skyheat.plotting.regions import PROJECTIONS, ROUND_OUTLINE, Region, find_region
from mpl_skyheat.sky.fits_wcs import as_fits_wcs
from mpl_skyheat.sky.frames import ROTATED_FRAMES, find_sky_frame
from mpl_skyheat.sky.views import AXES, ZENITHAL, find_map_frame
from mpl_skyheat.sky.wcs_frames import true_frame
from mpl_skyheat.smoothing.kernel_base import parse_width

if TYPE_CHECKING:
    from astropy.visualization.wcsaxes import WCSAxes
    from astropy.wcs import WCS

    from mpl_skyheat.maps.sky_map import SkyMap
    from mpl_skyheat.plotting.regions import Projection

# Why a catalogue is refused that is gone once it has been read.
READ_ONCE = (
    "points must be arrays or a table, which can be read again to be drawn; got an iterator: give "
    "center and radius, with points=[], [] in its place"
)

# Size (inches) of a new figure with a field: wider than that, for a colorbar and its labels.
FIELD_SIZE = (6.7, 5.2)

# Size (inches) of a new figure with the whole sky and a colorbar.
ALL_SKY_SIZE = (8, 5)

# Outlines of the whole sky that are no rectangles, in half widths and half heights from the middle;
# None for an ellipse.
_LAT = np.radians(np.linspace(-90, 90, 181))
_RIGHT_HALF = np.column_stack([np.cos(_LAT), _LAT / _LAT[-1]])
_TEETH = np.column_stack([np.linspace(1, -1, 9), np.resize([0.5, 1], 9)])
OUTLINES: dict[str, Any] = dict.fromkeys(("AIT", "MOL", "ZEA", "ARC", "SIN"))
OUTLINES["SFL"] = np.concatenate([_RIGHT_HALF, -_RIGHT_HALF])
OUTLINES["HPX"] = np.concatenate([_TEETH, -_TEETH, _TEETH[:1]])

# A field with a pole is labelled all around if the pole is farther off its edges than this fraction
# of its size. The labels inside are as far off the edges.
MARGIN = 0.05

# Longitudes converge in a field if less than this fraction of them reaches its lower or upper edge.
CONVERGING = 0.6

# Longitudes labelled at the lower edge of a field where they converge.
LABELS = 5

# Longitudes that converge at the upper edge are labelled at the sides, too, if a field has more of
# them than this (deg).
CROWDED = 120

# A round map whose centre is beyond this latitude (deg) is labelled around the pole.
POLAR = 75

# Where such a map has these labels, as a fraction of its radius: on the nearest parallel of 20°.
OUTWARDS = 0.75

# Fraction of its size by which a frame around the whole sky is inside the sky's edge, where there
# are positions for ticks.
INSET = 1e-7

# Fraction of the size of a round map by which its labelled lines end before the rim, so that the
# labels do not cross it.
OFF_RIM = 0.08


def subplot(
    *points: Any,
    data: Any = None,
    frame: Any = None,
    map_frame: Any = None,
    projection: Projection | None = None,
    center: Any = None,
    radius: Any = None,
    pixel_size: Any = None,
    figure: FigureBase | None = None,
    position: Any = 111,
) -> WCSAxes:
    """Return a WCSAxes that fits a catalogue, with ticks and a grid that suit it.

    Without ``center`` and ``radius`` it shows the smallest circle that holds the catalogue; one of
    more than 60° in radius is shown all-sky, cut open where it has no points.

    Parameters
    ----------
    *points, data
        The catalogue, as in `sky_heatmap`, but no iterator. It is not drawn. It may be left out
        where ``center`` and ``radius``, or a radius of 180°, say what to show.
    frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
        The frame of bare numbers; by default ICRS.
    map_frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
        The frame that the Axes show: ICRS, FK5, FK4, Galactic, supergalactic or mean ecliptic. By
        default that of the points; where it is none of these, ICRS, with a warning.
    projection : {"TAN", "SIN", "ARC", "STG", "ZEA", "AIT", "MOL", "CAR", "CEA", "SFL", "HPX"}, \
optional
        FITS code of the projection; by default TAN for a field and MOL for the whole sky.
    center : `~astropy.coordinates.SkyCoord`, (float, float) or str, optional
        The middle of the field, or of the whole sky: of that, round maps (ZEA, ARC) are centred on
        the position, and others on its longitude. Numbers (deg) and text are read in the frame of
        the points.
    radius : `~astropy.units.Quantity` ['angle'] or str, optional
        From the centre of the field to the edges; 180° for the whole sky. Fields that would have
        corners without sky are round (beyond 90° of a ZEA, 127° of an ARC, and 50° of a SIN, which
        shows half of the sky), or the whole sky (beyond 44° of a HPX, 57° of a CEA, 67° of a SFL,
        72° of an AIT or MOL, 90° of a CAR). Where points are all over the sky, a field needs a
        ``center``, too.
    pixel_size : `~astropy.units.Quantity` ['angle'] or str, optional
        Side of the Axes' pixels; by default 240 across a field, and 1° on the whole sky. They are
        those of a map unless it says otherwise, merged k × k above 1024 along a side.
    figure : `~matplotlib.figure.Figure` or `~matplotlib.figure.SubFigure`, optional
        Where to add the Axes; by default a new figure (pyplot's, if pyplot is in use).
    position : int, (int, int, int) or `~matplotlib.gridspec.SubplotSpec`, optional
        Where in the figure, as in `~matplotlib.figure.Figure.add_subplot`.

    Returns
    -------
    `~astropy.visualization.wcsaxes.WCSAxes`
        The Axes, empty.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used, or the projection cannot show the region. The message names
        the argument, the value and what to write in its place.

    Examples
    --------
    >>> import mpl_skyheat
    >>> stars = mpl_skyheat.datasets.bright_stars()
    >>> ax = mpl_skyheat.subplot(data=stars, projection="MOL", map_frame="galactic")
    >>> heat = ax.sky_heatmap(data=stars, kernel="3 deg", label="stars")
    """
    if any(isinstance(given, Iterator) for given in (*points, data)):
        raise TypeError(READ_ONCE)
    if figure is not None and not isinstance(figure, FigureBase):
        raise TypeError(f"figure must be a Figure or SubFigure; got {type(figure).__name__}")
    radius = _parse_angle(radius, "radius")
    if not points and data is None:
        if radius is None and center is not None:
            raise TypeError("radius must be given with a center where there are no points")
        if center is None and (radius is None or radius < 180 * u.deg):
            raise TypeError(
                "points must be given, as in sky_heatmap, or what to show without them: center and "
                "radius, or radius=180*u.deg for the whole sky"
            )
        points = [], []
    catalogue = read_points(points, data, "icrs" if frame is None else frame)
    if isinstance(catalogue, Stream) and catalogue.is_read_once:
        raise TypeError(READ_ONCE)
    if not isinstance(catalogue.frame, ROTATED_FRAMES):
        catalogue = catalogue.in_frame(ICRS())
    catalogue = catalogue.held() if radius is None or center is None else catalogue
    shown = find_sky_frame("frame", catalogue.frame if frame is None else frame)
    if map_frame is not None:
        shown = find_map_frame("map_frame", map_frame)
    elif shown.name not in AXES:
        warnings.warn(
            f"the Axes show ICRS, as FITS has no axes for the frame {shown.name!r} of the points: "
            "map_frame='icrs' says so without this warning",
            SkyHeatmapWarning,
            stacklevel=2,
        )
        shown = ICRS()
    region = find_region(
        catalogue,
        shown,
        center=parse_position(center, catalogue.frame),
        radius=radius,
        pixel_size=_parse_angle(pixel_size, "pixel_size"),
        projection=_parse_projection(projection),
    )
    wcs = region.wcs(shown)
    is_new = figure is None
    if figure is None:
        figure = _new_figure(region)
    try:
        return add_sky_axes(figure, wcs, position, has_outline=region.has_outline)
    except (TypeError, ValueError) as error:
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        if is_new and pyplot is not None:
            pyplot.close(figure)
        raise ValueError(
            f"position must be as in Figure.add_subplot, such as 111 or (1, 2, 1); got {position!r}"
        ) from error


def _new_figure(region: Region) -> Figure:
    """A figure of fitting size: one of pyplot's if pyplot is in use, so that it is shown."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    make: Any = Figure if pyplot is None else pyplot.figure
    figure: Figure = make(
        figsize=FIELD_SIZE if region.is_field else ALL_SKY_SIZE, layout="constrained"
    )
    return figure


def _parse_angle(value: Any, name: str) -> u.Quantity | None:
    return None if value is None else parse_width(value, name, in_pixels=False).to(u.deg)


def _parse_projection(code: Any) -> Projection | None:
    if code is None:
        return None
    for known in PROJECTIONS:
        if isinstance(code, str) and code.upper() == known:
            return known
    raise ValueError(f"projection must be one of {', '.join(PROJECTIONS)}; got {code!r}")


def parse_position(
    position: Any,
    frame: BaseCoordinateFrame,
    name: str = "center",
    form: str = "one position, such as SkyCoord(...), (56.75, 24.12) or '3h47m +24d07m'",
) -> SkyCoord | None:
    """The position given as a SkyCoord, a pair of numbers (deg) or angles, or text, in a frame.

    The error of any other value names the argument, and the form that it must have.
    """
    if position is None:
        return None
    try:
        if isinstance(position, str):
            return _position_of_text(position, frame)
        found = position
        if not isinstance(position, SkyCoord):
            lon, lat = position
            found = SkyCoord(lon, lat, unit="deg", frame=frame)
        if found.isscalar and np.isfinite(found.spherical.lon + found.spherical.lat):
            return found
    except (TypeError, ValueError, u.UnitsError):
        pass
    raise ValueError(f"{name} must be {form}; got {repr(position)[:60]}")


def _position_of_text(text: str, frame: BaseCoordinateFrame) -> SkyCoord:
    """The position in a text, as `~astropy.coordinates.SkyCoord` reads it."""
    words = text.replace(",", " ").split()
    is_equatorial = "ra" in frame.get_representation_component_names()
    # Sexagesimal right ascensions are hours, as in every catalogue.
    is_sexagesimal = len(words) == 6 or ":" in text
    unit = ("hourangle" if is_equatorial and is_sexagesimal else "deg", "deg")
    return SkyCoord(" ".join(words), unit=unit, frame=frame)


@cache
def _frame_class(code: str) -> Any:
    """The class of the frame around the whole sky in a projection."""
    from astropy.visualization.wcsaxes.frame import EllipticalFrame, RectangularFrame

    outline: Any = OUTLINES.get(code)
    if outline is not None:
        # Ticks are found between two points of an outline: 20 from corner to corner.
        sides = np.linspace(outline[:-1], outline[1:], 20, endpoint=False, axis=1)
        outline = np.vstack([sides.reshape(-1, 2), outline[-1]])
    base: Any = EllipticalFrame if code in OUTLINES else RectangularFrame

    class WholeFrame(base):
        """A frame just inside the edge of the sky, where there are positions for ticks.

        One that is no rectangle has lines below (b) and left (l) of it for the axes' names, and
        its western half (w) for labels; they are not drawn.
        """

        spine_names = base.spine_names if base is RectangularFrame else base.spine_names + "blw"

        def update_spines(self) -> None:
            view = np.array([self.parent_axes.get_xlim(), self.parent_axes.get_ylim()])
            (left, right), (bottom, top) = view
            if base is EllipticalFrame:
                self["b"].data = np.array([(left, bottom), (right, bottom)])
                self["l"].data = np.array([(left, top), (left, bottom)])
            super().update_spines()
            middle, half = view.mean(axis=1), 0.5 * np.diff(view, axis=1).ravel()
            for name, spine in self.items():
                if name == "w":
                    places = self["c"].data
                    spine.data = places[places[:, 0] < middle[0]]
                    continue
                is_given = name == "c" and outline is not None
                offset = half * outline if is_given else spine.data - middle
                inset = OFF_RIM if name in ("h", "v") else INSET
                spine.data = middle + (1 - inset) * offset

    return WholeFrame


def add_map_axes(figure: FigureBase, sky_map: SkyMap) -> Any:
    """Add Axes on which a map has its own pixels: a WCSAxes, or a plain one for Cartesian x, y."""
    if sky_map.meta.get("frame") == "flat":
        return figure.add_subplot()
    wcs = as_fits_wcs(sky_map.wcs, sky_map.data.shape).deepcopy()
    wcs.pixel_shape = sky_map.data.shape[::-1]
    is_sky = np.asarray(sky_map.solid_angle) > 0
    ny, nx = is_sky.shape
    sides = [is_sky[ny // 2, 0], is_sky[ny // 2, -1], is_sky[0, nx // 2], is_sky[-1, nx // 2]]
    is_round = not is_sky[:: max(ny - 1, 1), :: max(nx - 1, 1)].any() and all(sides)
    return add_sky_axes(figure, wcs, 111, has_outline=is_round)


def add_sky_axes(figure: FigureBase, wcs: WCS, position: Any, *, has_outline: bool) -> WCSAxes:
    """Add a WCSAxes with a grid and labels that suit a field.

    Or, if ``has_outline``, the whole sky or a round field.

    ``position`` is one of `~matplotlib.figure.Figure.add_subplot`, or left, bottom, width, height.
    """
    options: dict[str, Any] = {"projection": wcs}
    code = wcs.wcs.ctype[0][-3:]
    is_polar = _shows_pole(wcs)
    if has_outline:
        options["frame_class"] = _frame_class(code)
    elif is_polar:
        options["frame_class"] = _polar_frame_class()
    place = position if isinstance(position, tuple) else (position,)
    if len(place) == 4:
        ax: Any = figure.add_axes(place, **options)
    else:
        ax = figure.add_subplot(*place, **options)
    # Limits that are set are not changed by artists that lie outside of them.
    nx, ny = wcs.pixel_shape
    ax.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5), aspect="equal")
    # Longitudes that rounding has put just below 360° are labelled 0h, not 24h.
    ax.coords[0].set_coord_type("longitude", coord_wrap=(360 - 1e-6) * u.deg)
    if wcs.wcs.ctype[0].startswith("SLON"):
        ax.coords[1].set_coord_type("latitude")  # which astropy does not know
    ax.coords.grid(color="0.6", alpha=0.6, linewidth=0.5)  # visible on dark and light colours
    names = axis_names(true_frame(wcs, wcs))
    if has_outline and code in OUTLINES:
        _label_inside(ax, code)
    elif is_polar:
        _label_around(ax, names[0])
    else:
        _label_sides(ax, names)
    return ax


def _shows_pole(wcs: WCS) -> bool:
    """Whether a field shows a pole as a point, off its edges by MARGIN."""
    if wcs.wcs.ctype[0][-3:] not in ZENITHAL:
        return False
    pole = 90.0 if wcs.wcs.crval[1] > 0 else -90.0
    place = np.array(wcs.world_to_pixel_values(0.0, pole)) / wcs.pixel_shape
    return bool(((place > MARGIN) & (place < 1 - MARGIN)).all())


@cache
def _polar_frame_class() -> Any:
    """The class of a rectangular frame that does not draw the meridian on which it has labels."""
    from astropy.visualization.wcsaxes.frame import RectangularFrame

    class PolarFrame(RectangularFrame):
        def update_spines(self) -> None:
            super().update_spines()
            if "meridian" in self:
                view = np.array([self.parent_axes.get_xlim(), self.parent_axes.get_ylim()])
                reach = (0.5 - MARGIN) * np.diff(view, axis=1).ravel()
                line = self["meridian"].data
                is_inside = (np.abs(line - view.mean(axis=1)) < reach).all(axis=1)
                self["meridian"].data = line[is_inside]

        def draw(self, renderer: Any) -> None:
            corners = np.vstack([self[side].data for side in "brtl"])
            style = {"linewidth": self.get_linewidth(), "color": self.get_color()}
            line = Line2D(*corners.T, transform=self.parent_axes.transData, **style)
            line.draw(renderer)

    return PolarFrame


def _label_around(ax: Any, name: str) -> None:
    """Label latitudes along a meridian, longitudes around a field with a pole, but for the top.

    Matplotlib puts titles there.
    """
    lon, lat = ax.coords
    lon.set_axislabel(name)
    lon.set_axislabel_position("b")
    lon.set_ticks_position("brl")
    lon.set_ticklabel_position("brl")
    lon.set_ticklabel(exclude_overlapping=True)
    lon.add_tickable_gridline("meridian", ax.wcs.wcs.crval[0] * u.deg)
    lat.set_axislabel("")
    lat.set_ticks_position(["meridian"])
    lat.set_ticklabel_position(["meridian"])
    _set_inside(ax, lat)


def _set_inside(ax: Any, helper: Any) -> None:
    """Give labels on the map a halo, to be readable on all its colours."""
    helper.set_ticks_visible(False)
    style = {"color": "white", "size": "small", "path_effects": [Halo(ax)]}
    helper.set_ticklabel(exclude_overlapping=True, **style)


def _label_sides(ax: Any, names: tuple[str, str]) -> None:
    for helper, name, side in zip(ax.coords, names, "bl", strict=True):
        helper.set_axislabel(name)
        helper.set_ticks_position(side)
        helper.set_ticklabel_position(side)
        helper.set_axislabel_position(side)
        # Every label has its hours, as the one that others rely on may be hidden. (astropy 6.1 has
        # no such option.)
        is_known = "simplify" in inspect.signature(helper.set_ticklabel).parameters
        options = {"simplify": False} if is_known else {}
        helper.set_ticklabel(exclude_overlapping=True, **options)
    _label_beside_pole(ax)


def _label_beside_pole(ax: Any) -> None:
    """Label more longitudes in a field where they converge to a pole, inside or outside of it."""
    lon, wcs = ax.coords[0], ax.wcs
    nx, ny = wcs.pixel_shape
    x, y = np.meshgrid(np.linspace(-0.5, nx - 0.5, 40), np.linspace(-0.5, ny - 0.5, 40))
    offset = (wcs.pixel_to_world_values(x, y)[0] - wcs.wcs.crval[0] + 180) % 360 - 180
    # NaN, without a warning, of an edge off the sky.
    bottom, top, all_over = (
        np.fmax.reduce(v, axis=None) - np.fmin.reduce(v, axis=None)
        for v in (offset[0], offset[-1], offset)
    )
    if 0 < bottom < CONVERGING * all_over:
        lon.set_ticks(number=int(LABELS * all_over / bottom))
    elif top < CONVERGING * all_over and all_over > CROWDED:
        # Not at the top, where they are far apart and matplotlib puts titles.
        lon.set_ticks(spacing=2 * u.hourangle)
        lon.set_ticks_position("br")
        lon.set_ticklabel_position("br")


def _label_inside(ax: Any, code: str) -> None:
    """Draw a graticule of 60° by 30°, with longitudes labelled along the equator or a parallel."""
    lon, lat = ax.coords
    for helper, side, spacing in zip((lon, lat), "bl", (60, 30), strict=True):
        helper.set_axislabel("")
        helper.set_axislabel_position(side)
        helper.set_ticks(spacing=spacing * u.deg)
    along = "h"
    if code in ROUND_OUTLINE and abs(ax.wcs.wcs.crval[1]) > POLAR:
        along = "parallel"
        x, y = ax.wcs.wcs.crpix - 1
        _, labelled = ax.wcs.pixel_to_world_values(x + 0.5 * OUTWARDS * ax.wcs.pixel_shape[0], y)
        lat.add_tickable_gridline(along, 20 * np.round(labelled / 20) * u.deg)
        lon.set_ticks_position([along])
    lon.set_ticklabel_position([along])
    _set_inside(ax, lon)
    if code in ROUND_OUTLINE:
        lat.set_ticklabel_position(["v"])
        _set_inside(ax, lat)
    else:
        # On one side: labels on the other would crowd what is beside the Axes.
        lat.set_ticks_position(["w"])
        lat.set_ticklabel_position(["w"])
        # They overlap in the notches of a HPX. Below the equator, where the outline slopes towards
        # them, labels need more room (points) than the default.
        lat.set_ticklabel(exclude_overlapping=True, pad=7)
