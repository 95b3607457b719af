"""Axes for a catalogue, where there are none yet."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D

from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.plotting.halo import Halo
from mpl_skyheat.plotting.regions import PROJECTIONS, Region, find_region
from mpl_skyheat.sky.frames import find_sky_frame
from mpl_skyheat.sky.views import find_map_frame
from mpl_skyheat.smoothing.kernel_base import parse_width

if TYPE_CHECKING:
    from astropy.visualization.wcsaxes import WCSAxes
    from astropy.wcs import WCS
    from numpy.typing import NDArray

# Sizes (inches) of a new figure with a field and with the whole sky, and room for a colorbar: a
# layout engine cuts the labels of a field that is as wide as all the room there is for it.
FIELD_SIZE = (6.7, 5.2)
ALL_SKY_SIZE = (8, 5)

# Seen on dark colours and on light ones.
GRID = {"color": "0.6", "alpha": 0.6, "linewidth": 0.5}

# The outline of all that is shown around its middle, where it is no rectangle; None for an ellipse.
_LAT = np.radians(np.linspace(-90, 90, 181))
_RIGHT_HALF = np.column_stack([np.cos(_LAT), _LAT / _LAT[-1]])
_TEETH = [(1, 0.5), (0.75, 1), (0.5, 0.5), (0.25, 1), (0, 0.5)]
_TEETH += [(-0.25, 1), (-0.5, 0.5), (-0.75, 1), (-1, 0.5)]
OUTLINES = {
    "AIT": None,
    "MOL": None,
    "ZEA": None,
    "ARC": None,
    "SIN": None,
    "SFL": np.concatenate([_RIGHT_HALF, -_RIGHT_HALF]),
    "HPX": np.array([*_TEETH, *((-x, -y) for x, y in _TEETH), _TEETH[0]]),
}

# Round ones: their rim is one point of the sky, or a great circle.
ZENITHAL = ("ZEA", "ARC", "SIN")

# Projections of fields on which a pole is a point, and how far that must be off the edges of one,
# as a fraction of its size, for labels all around. Labels inside are as far off the edges.
FIELD_PROJECTIONS = ("TAN", "SIN", "ARC", "STG", "ZEA")
MARGIN = 0.05

# Where less than this part of a field's longitudes reach its lower or upper edge, more of them are
# labelled: about so many at the lower edge, or at the sides if so many degrees are crowded there.
# The part is found from so many places a side.
CONVERGING = 0.6
LABELS = 5
CROWDED = 120
SAMPLES = 40

# Those whose centre is farther than this (deg) from the equator are maps around a pole.
POLAR = 75

# A map that is wider (deg) shows the whole sky, or of a SIN the half that there is; in two
# projections, fields are as wide.
WHOLE = {"ZEA": 229.0, "ARC": 359.0, "SIN": 114.5, "TAN": np.inf, "STG": np.inf}
WHOLE_OTHER = 300.0

# By so much of its size a frame around the whole sky is inside the edge of it, and so are the ends
# of the lines across round maps that have labels, lest these cross the rim.
INSET = 1e-7
OFF_RIM = 0.08

# What is nearer to a full turn (deg) is none.
ROUNDING = 1e-6

AXIS_NAMES = {
    "RA--": ("RA", "Dec"),
    "GLON": ("Galactic longitude", "Galactic latitude"),
    "ELON": ("Ecliptic longitude", "Ecliptic latitude"),
}


def subplot(
    *points: Any,
    data: Any = None,
    frame: Any = None,
    map_frame: Any = None,
    projection: str | None = None,
    center: Any = None,
    radius: Any = None,
    pixel_size: Any = None,
    figure: FigureBase | None = None,
    position: Any = 111,
) -> WCSAxes:
    """Return a WCSAxes that fits a catalogue, with ticks and a grid that suit it.

    Without ``center`` and ``radius`` it shows the circle that holds the catalogue; one that reaches
    farther than 60° from its centre is shown all-sky, cut open where it has no points.

    Parameters
    ----------
    *points, data
        The catalogue, as in `sky_heatmap`, in one piece. It is not drawn. It may be left out where
        ``center`` and ``radius``, or a radius of 180°, say what to show.
    frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
        The frame of bare numbers; by default ICRS.
    map_frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
        The frame that the Axes show: ICRS, FK5, FK4, Galactic or mean ecliptic. By default that of
        the points, or ICRS where it is none of these.
    projection : {"TAN", "SIN", "ARC", "STG", "ZEA", "AIT", "MOL", "CAR", "CEA", "SFL", "HPX"}, \
optional
        FITS code of the projection; by default TAN for a field and MOL for the whole sky.
    center : `~astropy.coordinates.SkyCoord`, (float, float) or str, optional
        The middle of the field, or of the whole sky: of that, round maps (ZEA, ARC) are centred on
        the position, and others on its longitude. Numbers (deg) and text are read in the frame of
        the points.
    radius : `~astropy.units.Quantity` ['angle'] or str, optional
        From the centre of the field to the edges; 180° for the whole sky. So is a field that would
        have corners without sky (beyond 44° of a HPX, 57° of a CEA, 67° of a SFL, 72° of an AIT or
        MOL, 90° of a CAR or ZEA, 127° of an ARC); beyond 50°, a SIN shows half of the sky.
        Where points are all over the sky, a field needs a ``center``, too.
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
        raise TypeError(
            "points must be arrays or a table, which can be read again to be drawn; got an "
            "iterator: give center and radius, with points=[], [] in its place"
        )
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
    catalogue = read_catalogue(points, data, "icrs" if frame is None else frame)
    shown = find_sky_frame("frame", catalogue.frame if frame is None else frame)
    if map_frame is not None:
        shown = find_map_frame("map_frame", map_frame)
    region = find_region(
        catalogue,
        shown,
        center=None if center is None else parse_position(center, catalogue.frame),
        radius=radius,
        pixel_size=_parse_angle(pixel_size, "pixel_size"),
        projection=_parse_projection(projection),
    )
    wcs = region.wcs(shown)
    if figure is None:
        figure = _new_figure(region)
    if not isinstance(figure, FigureBase):
        raise TypeError(f"figure must be a Figure or SubFigure; got {type(figure).__name__}")
    try:
        return add_sky_axes(figure, wcs, position)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"position must be as in Figure.add_subplot, such as 111 or (1, 2, 1); got {position!r}"
        ) from error


def _new_figure(region: Region) -> Figure:
    """Return a figure of fitting size: one of pyplot's, if it is in use, so that it is shown."""
    size = FIELD_SIZE if region.is_field else ALL_SKY_SIZE
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    make = Figure if pyplot is None else pyplot.figure
    figure: Figure = make(figsize=size, layout="constrained")
    return figure


def _parse_angle(value: Any, name: str) -> u.Quantity | None:
    return None if value is None else parse_width(value, name, in_pixels=False).to(u.deg)


def _parse_projection(code: str | None) -> str | None:
    if code is None:
        return None
    if not isinstance(code, str) or code.upper() not in PROJECTIONS:
        raise ValueError(f"projection must be one of {', '.join(PROJECTIONS)}; got {code!r}")
    return code.upper()


def parse_position(position: Any, frame: BaseCoordinateFrame) -> SkyCoord:
    """Return a position: a SkyCoord, a pair of numbers (deg) or angles, or text, in a frame.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    try:
        if isinstance(position, str):
            return position_of_text(position, frame)
        found = position
        if not isinstance(found, SkyCoord):
            lon, lat = position
            found = SkyCoord(lon, lat, unit="deg", frame=frame)
        if found.isscalar and np.isfinite(found.spherical.lon + found.spherical.lat):
            return found
    except (TypeError, ValueError, u.UnitsError):
        pass
    raise ValueError(
        "center must be one position, such as SkyCoord(...), (56.75, 24.12) or '3h47m +24d07m'; "
        f"got {position!r}"
    )


def position_of_text(text: str, frame: BaseCoordinateFrame) -> SkyCoord:
    """Return the position that a text tells, as `~astropy.coordinates.SkyCoord` reads it."""
    words = text.replace(",", " ").split()
    is_equatorial = "ra" in frame.get_representation_component_names()
    # Sexagesimal right ascensions are hours, as in every catalogue.
    is_sexagesimal = len(words) == 6 or ":" in text
    unit = ("hourangle" if is_equatorial and is_sexagesimal else "deg", "deg")
    return SkyCoord(" ".join(words), unit=unit, frame=frame)


def has_outline(wcs: WCS) -> bool:
    """Tell whether a WCS shows the whole sky, or all it can, in a shape that is no rectangle."""
    return wcs.wcs.ctype[0][-3:] in OUTLINES and _is_whole(wcs)


def _is_whole(wcs: WCS) -> bool:
    """Tell whether a WCS shows the whole sky, or all it can."""
    return bool(_width(wcs) > WHOLE.get(wcs.wcs.ctype[0][-3:], WHOLE_OTHER) * u.deg)


@cache
def _frame_class(code: str) -> Any:
    """Return a frame around the whole sky; one that is bent has a middle, too."""
    from astropy.visualization.wcsaxes.frame import EllipticalFrame, RectangularFrame

    outline = _dense(OUTLINES.get(code))
    base: Any = EllipticalFrame if code in OUTLINES else RectangularFrame

    class WholeFrame(base):
        """A frame a hair inside the edge of the sky, where there are positions for ticks.

        A bent one has lines below and at the left of it, which are not drawn, for names of axes.
        """

        spine_names = base.spine_names if base is RectangularFrame else base.spine_names + "bl"

        def update_spines(self) -> None:
            view = np.array([self.parent_axes.get_xlim(), self.parent_axes.get_ylim()])
            (left, right), (bottom, top) = view
            if base is EllipticalFrame:
                self["b"].data = np.array([(left, bottom), (right, bottom)])
                self["l"].data = np.array([(left, top), (left, bottom)])
            super().update_spines()
            middle, half = view.mean(axis=1), 0.5 * np.diff(view, axis=1).ravel()
            for name, spine in self.items():
                is_given = name == "c" and outline is not None
                offset = half * outline if is_given else spine.data - middle
                inset = OFF_RIM if name in ("h", "v") else INSET
                spine.data = middle + (1 - inset) * offset

    return WholeFrame


def _dense(outline: NDArray[np.float64] | None) -> Any:
    """Return points along an outline, if any, as ticks are found from one to the next."""
    if outline is None:
        return None
    corner = np.linspace(0, len(outline) - 1, 20 * (len(outline) - 1) + 1)
    return np.column_stack([np.interp(corner, np.arange(len(outline)), v) for v in outline.T])


def add_sky_axes(figure: FigureBase, wcs: WCS, position: Any = 111) -> WCSAxes:
    """Add a WCSAxes with a grid and labels that suit a field or the whole sky.

    ``position`` is one of `~matplotlib.figure.Figure.add_subplot`, or left, bottom, width, height.
    """
    options: dict[str, Any] = {"projection": wcs}
    code = wcs.wcs.ctype[0][-3:]
    is_polar = _shows_pole(wcs)
    if _is_whole(wcs):
        options["frame_class"] = _frame_class(code)
    elif is_polar:
        options["frame_class"] = _polar_frame_class()
    if isinstance(position, tuple) and len(position) == 4:
        ax: Any = figure.add_axes(position, **options)
    elif isinstance(position, tuple):
        ax = figure.add_subplot(*position, **options)
    else:
        ax = figure.add_subplot(position, **options)
    # Limits that are set stay as they are, whatever is drawn that lies outside.
    nx, ny = wcs.pixel_shape
    ax.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5), aspect="equal")
    ax.coords.grid(**GRID)
    names = AXIS_NAMES[wcs.wcs.ctype[0][:4]]
    if has_outline(wcs):
        is_polar = code in ZENITHAL and abs(wcs.wcs.crval[1]) > POLAR
        _label_inside(ax, code, is_polar=is_polar)
    elif is_polar:
        _label_around(ax, names[0])
    else:
        _label_sides(ax, names)
    return ax


def _shows_pole(wcs: WCS) -> bool:
    """Tell whether a field shows a pole, well off its edges, as a point."""
    if wcs.wcs.ctype[0][-3:] not in FIELD_PROJECTIONS:
        return False
    pole = 90.0 if wcs.wcs.crval[1] > 0 else -90.0
    place = np.array(wcs.world_to_pixel_values(0.0, pole)) / wcs.pixel_shape
    return bool(((place > MARGIN) & (place < 1 - MARGIN)).all())


@cache
def _polar_frame_class() -> Any:
    """Return a rectangular frame that draws no other lines that have ticks."""
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
    """Label longitudes around a field with a pole, latitudes along a meridian.

    Not above it: matplotlib puts titles there.
    """
    lon, lat = ax.coords
    _name_zero(lon)
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


def _name_zero(lon: Any) -> None:
    """Label what is 360° but for rounding 0h, not 24h."""
    lon.set_coord_type("longitude", coord_wrap=(360 - ROUNDING) * u.deg)


def _set_inside(ax: Any, helper: Any) -> None:
    """Make labels readable on the map."""
    helper.set_ticks_visible(False)
    effects = [Halo(ax)]
    helper.set_ticklabel(
        color="white", size="small", exclude_overlapping=True, path_effects=effects
    )


def _label_sides(ax: Any, names: tuple[str, str]) -> None:
    lon = ax.coords[0]
    _name_zero(lon)
    for helper, name, side in zip(ax.coords, names, "bl", strict=True):
        helper.set_axislabel(name)
        helper.set_ticks_position(side)
        helper.set_ticklabel_position(side)
        helper.set_axislabel_position(side)
        helper.set_ticklabel(exclude_overlapping=True, **_whole_labels(helper))
    _label_beside_pole(ax)


def _whole_labels(helper: Any) -> dict[str, bool]:
    """Return the option by which every label has its hours: one that others rely on may be hidden.

    (astropy 6.1 does not have it.)
    """
    is_known = "simplify" in inspect.signature(helper.set_ticklabel).parameters
    return {"simplify": False} if is_known else {}


def _label_beside_pole(ax: Any) -> None:
    """Label more longitudes where those of a field lead to a pole, on it or beside it."""
    lon, wcs = ax.coords[0], ax.wcs
    nx, ny = wcs.pixel_shape
    x, y = np.meshgrid(np.linspace(-0.5, nx - 0.5, SAMPLES), np.linspace(-0.5, ny - 0.5, SAMPLES))
    offset = (wcs.pixel_to_world_values(x, y)[0] - wcs.wcs.crval[0] + 180) % 360 - 180
    bottom, top, all_over = (np.nanmax(v) - np.nanmin(v) for v in (offset[0], offset[-1], offset))
    if bottom < CONVERGING * all_over:
        lon.set_ticks(number=int(LABELS * all_over / bottom))
    elif top < CONVERGING * all_over and all_over > CROWDED:
        # They are far apart at the top, where matplotlib puts titles.
        lon.set_ticks(spacing=2 * u.hourangle)
        lon.set_ticks_position("br")
        lon.set_ticklabel_position("br")


def _label_inside(ax: Any, code: str, *, is_polar: bool) -> None:
    """Take a graticule of 60° by 30°, with its longitudes along the equator."""
    lon, lat = ax.coords
    for helper, side, spacing in zip((lon, lat), "bl", (60, 30), strict=True):
        helper.set_axislabel("")
        helper.set_axislabel_position(side)
        helper.set_ticks(spacing=spacing * u.deg)
    along = "parallel" if is_polar else "h"
    if is_polar:
        off_rim = 40 if code == "SIN" else 0  # of which the equator is the rim
        lat.add_tickable_gridline(along, np.copysign(off_rim, ax.wcs.wcs.crval[1]) * u.deg)
        lon.set_ticks_position([along])
    lon.set_ticklabel_position([along])
    _set_inside(ax, lon)
    if code in ZENITHAL:
        lat.set_ticklabel_position(["v"])
        _set_inside(ax, lat)
    else:
        lat.set_ticks_position(["c"])
        lat.set_ticklabel_position(["c"])
        lat.set_ticklabel(exclude_overlapping=True)  # in the notches of a HPX


def _width(wcs: WCS) -> u.Quantity:
    return wcs.pixel_shape[0] * abs(wcs.wcs.cdelt[0]) * u.deg
