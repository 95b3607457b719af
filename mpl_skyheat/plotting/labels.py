"""Labels of Axes that a map is the first to be drawn on: names, degrees, and a halo."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from astropy.coordinates import BaseCoordinateFrame, SkyOffsetFrame
from matplotlib.colors import same_color
from matplotlib.ticker import Formatter

from mpl_skyheat.plotting.halo import Halo

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mpl_skyheat.sky.grid import View

# What journals print for the names that astropy has for a frame's longitude and latitude.
SYMBOLS = {"ra": "RA", "dec": "Dec", "l": "$l$", "b": "$b$", "sgl": "SGL", "sgb": "SGB"}
SYMBOLS |= {"az": "Azimuth", "alt": "Altitude"}


class DegreeFormatter(Formatter):
    """Labels in degrees, wrapped into the 360° from ``first`` on; latitudes (None) as they are.

    A class, as a figure with a function on its Axes cannot be pickled.
    """

    def __init__(self, first: float | None = None) -> None:
        self._first = first

    def __call__(self, x: float, pos: int | None = None) -> str:
        del pos
        wrapped = x if self._first is None else (x - self._first) % 360 + self._first
        return f"{wrapped:.6g}°"


class LeftFormatter(Formatter):
    """Labels the longitudes (rad from the middle) of an Axes as they grow to the left."""

    def __init__(self, center: float) -> None:
        self._center = center

    def __call__(self, x: float, pos: int | None = None) -> str:
        del pos
        return f"{(self._center - math.degrees(x)) % 360:.0f}°"


def axis_names(frame: BaseCoordinateFrame) -> tuple[str, str]:
    """Names of a frame's longitude and latitude on the axes of a figure."""
    components = frame.get_representation_component_names()
    own = {theirs: name for name, theirs in components.items()}
    if isinstance(frame, SkyOffsetFrame):
        return "Longitude offset", "Latitude offset"
    if "ecliptic" in frame.name:
        return "Ecliptic longitude", "Ecliptic latitude"
    if own.get("lon", "lon") == "lon":
        return "Longitude", "Latitude"
    lon, lat = (SYMBOLS.get(own[name], own[name]) for name in ("lon", "lat"))
    return lon, lat


def name_wcsaxes(ax: Any, frame: BaseCoordinateFrame) -> None:
    """Name the axes of a WCSAxes in place of ``pos.eq.ra``, unless someone has named them."""
    names = dict(zip(("longitude", "latitude"), axis_names(frame), strict=True))
    for helper in ax.coords:
        is_default = helper.get_auto_axislabel() and helper.get_axislabel() == helper.default_label
        if is_default and helper.coord_type in names:
            helper.set_axislabel(names[helper.coord_type])


def set_up_degrees(ax: Axes, frame: BaseCoordinateFrame, view: View) -> None:
    """Set up a plain Axes with nothing on it: equal scales at its middle, labels in degrees."""
    cosine = max(math.cos(math.radians(view.centre[1])), 0.01)
    if ax.get_aspect() == "auto":
        ax.set_aspect(1 / cosine)
    ax.xaxis.set_major_formatter(
        DegreeFormatter(-180.0 if isinstance(frame, SkyOffsetFrame) else 0.0)
    )
    ax.yaxis.set_major_formatter(DegreeFormatter())
    if not ax.get_xlabel() and not ax.get_ylabel():
        # Panels that share an axis have its ticks labelled on the outer ones only.
        for axis, name, side in zip(
            (ax.xaxis, ax.yaxis), axis_names(frame), ("labelbottom", "labelleft"), strict=True
        ):
            if axis.get_tick_params().get(side, True):
                axis.set_label_text(name)


def label_longitudes(ax: Axes, center: float) -> None:
    """Label longitudes that grow to the left, unless the user has set a formatter.

    They are on the map, and have a halo unless the user has given them a colour.
    """
    from matplotlib.projections.geo import GeoAxes

    formatter = ax.xaxis.get_major_formatter()
    if type(formatter) is not GeoAxes.ThetaFormatter and not isinstance(formatter, LeftFormatter):
        return
    ax.xaxis.set_major_formatter(LeftFormatter(center))
    default: Any = mpl.rcParams["xtick.labelcolor"]
    if default == "inherit":
        default = mpl.rcParams["xtick.color"]
    for label in ax.get_xticklabels():
        if same_color(label.get_color(), default):
            label.set(color="white", path_effects=[Halo(ax)])
