"""Colorbars along one side of an Axes: as long as that is drawn, and clear of its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args
from weakref import WeakSet

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colorbar import Colorbar, make_axes, make_axes_gridspec
from matplotlib.colors import AsinhNorm, LogNorm
from matplotlib.ticker import (
    AsinhLocator,
    AutoLocator,
    FormatStrFormatter,
    LogLocator,
    NullFormatter,
    SymmetricalLogLocator,
)
from matplotlib.transforms import Bbox

from mpl_skyheat.plotting.axes_planes import is_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._base import _AxesBase

Side = Literal["left", "right", "top", "bottom"]

# Axes whose tight bbox is being computed. Guards against recursion: get_tightbbox() calls the
# locators of the colorbars.
_MEASURED_NOW: WeakSet[Axes] = WeakSet()

# Thickness of a colorbar, as a fraction of the shorter side of the Axes.
THICKNESS = 0.05

# Distance of a colorbar from the labels of the Axes, as a fraction of its shorter side.
PAD = 0.03

# Room for the tick labels and the label of a colorbar, in font sizes: numbers are wider than tall.
LABELS = {"left": 7.0, "right": 7.0, "top": 4.0, "bottom": 4.0}


class SideAxesLocator(Artist):
    """Axes locator that places an Axes along one side of another, as the other is drawn.

    It is an artist, too, the last to be drawn on its Axes, so that it knows when to measure again.
    """

    def __init__(self, ax: Any, location: Side) -> None:
        super().__init__()
        self._ax, self._location = ax, location
        # Colorbars that are on this side of the Axes already.
        self._earlier = [
            other
            for other in (*ax.figure.axes, *ax.child_axes)
            if isinstance(locator := other.get_axes_locator(), FullLength)
            and locator.beside == (ax, location)
        ]
        self._measured: dict[tuple[Any, ...], Bbox] = {}
        self.set_zorder(1000)

    def draw(self, renderer: Any = None) -> None:
        """Draw nothing, but measure again next time: the figure may have changed by then."""
        del renderer
        self._measured.clear()

    # A colorbar that is measured is placed anew, too.
    get_tightbbox = draw

    def __call__(self, cax: _AxesBase, renderer: Any) -> Bbox:
        del cax, renderer
        figure = self._ax.figure
        # The Axes with its labels and the colorbars that are there already, in device pixels.
        labelled = Bbox.union([self._labelled(ax) for ax in (self._ax, *self._earlier)])
        outer = labelled.transformed(figure.transSubfigure.inverted())
        box = self._ax.get_position()
        # The shorter side of the Axes, as fractions of the figure's width and height.
        side = (box.size * figure.bbox.size).min() / figure.bbox.size
        all_of_it = Bbox.union([box, outer])
        left, bottom = all_of_it.min - (PAD + THICKNESS) * side
        right, top = all_of_it.max + PAD * side
        thick_x, thick_y = THICKNESS * side
        places = {
            "left": (left, box.y0, thick_x, box.height),
            "right": (right, box.y0, thick_x, box.height),
            "bottom": (box.x0, bottom, box.width, thick_y),
            "top": (box.x0, top, box.width, thick_y),
        }
        return Bbox.from_bounds(*places[self._location])

    def _labelled(self, ax: Axes) -> Bbox:
        """Bbox (device pixels) of an Axes with its labels."""
        extent = ax.get_window_extent()
        if ax in _MEASURED_NOW:
            return extent
        # Measuring a WCSAxes is slow, and a layout engine asks many times for few positions.
        place = (ax, *extent.bounds, *ax.viewLim.bounds, self._ax.figure.dpi)
        if place not in self._measured:
            _MEASURED_NOW.add(ax)
            try:
                # WCSAxes draws its labels to measure them. On a renderer that is thrown away they
                # do not appear twice.
                nowhere = RendererAgg(1, 1, self._ax.figure.dpi)  # type: ignore[no-untyped-call]
                if is_of(ax, "skyproj.skyaxes", "SkyAxes"):
                    ax.draw(nowhere)  # A SkyAxes places its labels only then.
                lines = (a for a in ax.artists if is_of(a, "cartopy.mpl.gridliner", "Gridliner"))
                labels = [artist for artist in lines if artist.get_in_layout()]
                box = ax.get_tightbbox(nowhere, bbox_extra_artists=labels)
            finally:
                _MEASURED_NOW.discard(ax)
            self._measured[place] = extent if box is None else box
        return self._measured[place]


class FullLength:
    """Axes locator of a colorbar, without the aspect that matplotlib fixes."""

    def __init__(self, cax: Axes, ax: Axes, location: Side) -> None:
        locator: Any = cax.get_axes_locator()
        self._locator, self.beside = locator, (ax, location)
        # The cell in the figure, which tight layout asks a locator for.
        self.get_subplotspec = locator.get_subplotspec

    def __call__(self, cax: _AxesBase, renderer: Any) -> Bbox:
        box: Bbox = self._locator(cax, renderer)
        if cax.get_box_aspect() is not None:
            cax.set_box_aspect(None)
        return box


def check_location(location: Any) -> None:
    """Raise a ValueError if a location is no side of an Axes."""
    if location not in get_args(Side):
        raise ValueError(f"location must be 'right', 'left', 'top' or 'bottom'; got {location!r}")


def make_side_axes(ax: Axes, location: Side) -> tuple[Axes, dict[str, Any]]:
    """Make an Axes along one side of another, and the colorbar's arguments for that side.

    A layout engine makes room for it; without one, the Axes gives up some of its cell in the
    figure, as it does for matplotlib's own colorbars. An Axes placed by hand stays where it is.
    """
    engine = ax.figure.get_layout_engine()
    if engine is not None and not engine.colorbar_gridspec:
        cax, arguments = make_axes(ax, location=location, pad=PAD)
    elif ax.get_subplotspec() is not None:
        share = THICKNESS + PAD if engine is not None else _share(ax, location)
        cax, arguments = make_axes_gridspec(ax, location=location, fraction=share, pad=0)
    else:
        cax, arguments = ax.inset_axes((1, 0, THICKNESS, 1)), {"location": location}
    locator = SideAxesLocator(ax, location)
    cax.set_axes_locator(locator)
    cax.add_artist(locator)
    return cax, arguments


def _share(ax: Axes, location: Side) -> float:
    """Fraction of an Axes' cell that a colorbar and its labels need, at most 0.4."""
    slot = ax.get_position(original=True)
    width, height = slot.width * ax.figure.bbox.width, slot.height * ax.figure.bbox.height
    labels = LABELS[location] * float(ax.xaxis.label.get_fontsize()) * ax.figure.dpi / 72
    cell = ax.get_subplotspec()
    assert cell is not None
    # The topmost cell, too, as a grid may be in a cell of another.
    cells = (cell, cell.get_topmost_subplotspec())
    if location == "right" and all(c.is_first_col() and c.is_last_col() for c in cells):
        # The Axes has no labels on its right, so that the colorbar's may use the figure's margin.
        # With several columns, the last one alone would be wider for it.
        labels = max(labels - (1 - slot.x1) * ax.figure.bbox.width, 0)
    room = (THICKNESS + PAD) * min(width, height) + labels
    return float(min(room / (width if location in ("right", "left") else height), 0.4))


# With fewer labels than this, a colorbar has those of a linear scale.
FEWEST_LABELS = 3

# At most this many labels fit along a colorbar.
MOST_LABELS = 9


def _set_ticks(colorbar: Colorbar, norm: Any) -> None:
    """Label 1, 2 and 5 as plain numbers on an asinh scale, or a log scale of few decades.

    Matplotlib would label powers of ten, of which there may be only one, or 2 × 10⁰.
    """
    vmin, vmax = norm.vmin, norm.vmax
    if isinstance(norm, AsinhNorm):
        colorbar.set_ticks(AsinhTicks(norm.linear_width, symthresh=0))
    elif isinstance(norm, LogNorm) and 1e-3 < vmin < vmax < min(1e5, 1e3 * vmin):
        colorbar.set_ticks(LogLocator(subs=(1, 2, 5)))
    else:
        return
    colorbar.formatter = FormatStrFormatter("%g")
    colorbar.minorformatter = NullFormatter()


class AsinhTicks(AsinhLocator):
    """Ticks at 0 and ± 1, 2 and 5 times powers of ten, or at powers of ten if there is no room."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """The ticks between two limits."""
        vmin, vmax = sorted((vmin, vmax))
        for subs in ((1, 2, 5), (1,)):
            locator = SymmetricalLogLocator(base=10, linthresh=self.linear_width, subs=subs)
            ticks = np.unique(locator.tick_values(vmin, vmax))
            inside = np.count_nonzero((ticks >= vmin) & (ticks <= vmax))
            if inside < FEWEST_LABELS:
                return AutoLocator().tick_values(vmin, vmax)
            if inside <= MOST_LABELS:
                return ticks
        return super().tick_values(vmin, vmax)
