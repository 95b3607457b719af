"""What an Axes shows of a catalogue, and artists that are added to it."""

from __future__ import annotations

import math
import sys
from inspect import signature
from typing import TYPE_CHECKING, Any

from matplotlib.path import Path

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.coordinates import BaseCoordinateFrame
    from matplotlib.axes import Axes

    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.catalogue.streams import Stream
    from mpl_skyheat.plotting.axes_planes import AxesView
    from mpl_skyheat.plotting.heatmap import SkyHeatmap
    from mpl_skyheat.sky.grid import View


def check_left_out(function: Any, given: dict[str, Any], taken: set[str]) -> None:
    """Raise a TypeError for arguments that a map, which is made already, has no use for."""
    for name, parameter in signature(function).parameters.items():
        value = given[name]
        is_default = value is parameter.default or (
            isinstance(value, str) and value == parameter.default
        )
        if name not in taken and not is_default:
            raise TypeError(
                f"{name} must be left out with a map, which is made already; got {repr(value)[:60]}"
            )


def view_on(
    ax: Axes, catalogue: Catalogue | Stream, frame: BaseCoordinateFrame | None, center: Any
) -> AxesView:
    """What an Axes shows of a catalogue: ``frame`` is that of an Axes that knows none."""
    from mpl_skyheat.maps.request import parse_center
    from mpl_skyheat.plotting.axes_planes import view_of_axes

    return view_of_axes(ax, catalogue, frame, _agreed_center(ax, frame, parse_center(center)))


def _agreed_center(ax: Axes, frame: Any, center: float | None) -> float | None:
    """The longitude (deg) in the middle of a geographic Axes: that of a map on it, if any."""
    shown_in = (getattr(artist, "sky_in_middle", None) for artist in ax.get_children())
    earlier = next(filter(None, shown_in), None)
    if earlier is None:
        return center
    shown: float = earlier[0]
    its_frame = earlier[1]
    if frame is not None and not frame.is_equivalent_frame(its_frame):
        ours, its = frame.name, its_frame.name
        ours, its = (repr(ours), repr(its)) if ours != its else (repr(frame), repr(its_frame))
        raise ValueError(
            f"frame must be that of the map on the Axes, {its}, unless that is removed; got "
            f"{ours} (a SkyCoord in any frame is turned to it)"
        )
    if center is not None and abs((center - shown + 180) % 360 - 180) > 1e-9:
        raise ValueError(
            f"center must be that of the map on the Axes, {shown:g} deg, unless that is removed; "
            f"got {center:g} deg"
        )
    return shown


def frame_shown(ax: Axes) -> tuple[bool, BaseCoordinateFrame | None]:
    """Whether a map is on an Axes, and the frame that it is shown in; None for Cartesian x, y."""
    shown = [artist for artist in ax.get_children() if hasattr(artist, "sky_frame")]
    return bool(shown), shown[0].sky_frame if shown else None


def show(ax: Axes, on_axes: AxesView, view: View, add: Callable[[], Any]) -> Any:
    """Add an artist, by a function that returns it, to an Axes that shows a view."""
    if on_axes.transform is not None:
        artist = _show_projected(ax, on_axes, add)
    else:
        artist = _show_in_data(ax, on_axes, view, add)
    artist.sky_frame = on_axes.plane.frame
    return artist


def _show_in_data(ax: Axes, on_axes: AxesView, view: View, add: Callable[[], Any]) -> Any:
    """Add an artist in data coordinates, and return it; fresh limits become those of the view."""
    from mpl_skyheat.plotting.labels import name_wcsaxes, set_up_degrees

    limits = ax.get_xlim(), ax.get_ylim()
    left, right, bottom, top = view
    frame, has_pixels = on_axes.plane.frame, on_axes.plane.has_pixels
    if has_pixels and not ax.images and ax.get_aspect() == "auto":
        ax.set_aspect("equal")  # as imshow does
    fresh_x, fresh_y = map(math.isnan, on_axes.limits[::2])
    is_in_degrees = frame is not None and not has_pixels
    if has_pixels and frame is not None:
        name_wcsaxes(ax, frame)
    if is_in_degrees and on_axes.is_empty:
        set_up_degrees(ax, frame, view)
    artist = add()
    # Without these limits, an artist that is added later would make the Axes shrink to itself.
    ax.update_datalim([(left, bottom), (right, top)])
    artist.sticky_edges.x[:] = [left, right]
    artist.sticky_edges.y[:] = [bottom, top]
    for setter, old, new, is_fresh in (
        (ax.set_xlim, limits[0], (left, right), fresh_x),
        (ax.set_ylim, limits[1], (bottom, top), fresh_y),
    ):
        if is_fresh:
            old = new[::-1] if old[0] > old[1] else new
        setter(old, auto=None)
    if is_in_degrees and on_axes.is_empty and fresh_x and not ax.xaxis_inverted():
        ax.invert_xaxis()  # East is left.
    return artist


def _show_projected(ax: Axes, on_axes: AxesView, add: Callable[[], Any]) -> Any:
    """Add an artist in the units of the plane, and return it; the Axes keeps its limits."""
    from mpl_skyheat.plotting.labels import label_longitudes

    artist = add()
    if on_axes.center is not None:
        artist.sky_in_middle = on_axes.center, on_axes.plane.frame
        label_longitudes(ax, on_axes.center)
    artist.set_transform(on_axes.transform)
    if on_axes.outline is not None:
        artist.set_clip_path(Path(on_axes.outline, closed=False), on_axes.transform)
    left, right, bottom, top = on_axes.view
    if on_axes.transform.contains_branch(ax.transData):
        # As in _show_in_data().
        to_data = on_axes.transform - ax.transData
        ax.update_datalim(to_data.transform([(left, bottom), (right, top)]))
    return artist


def make_current(ax: Axes, heat: SkyHeatmap) -> None:
    """Let plt.colorbar() act on the image, if the Axes is pyplot's current one."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and pyplot.get_fignums():
        figure = pyplot.gcf()
        if ax in figure.axes and figure.gca() is ax:
            pyplot.sci(heat)
