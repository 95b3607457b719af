"""An Axes for a colorbar that keeps beside another, as tall as it is drawn and off its labels."""

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
    Locator,
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

# Those that are being measured: matplotlib places the colorbars on them meanwhile, too.
_MEASURED_NOW: WeakSet[Axes] = WeakSet()

# Thickness of a colorbar and its distance, as fractions of the shorter side of the Axes.
THICKNESS = 0.05
PAD = 0.03

# Room that a colorbar's tick labels and label take, in font sizes: numbers are wider than tall.
LABELS = {"left": 7.0, "right": 7.0, "top": 4.0, "bottom": 4.0}


class SideAxesLocator:
    """Axes locator: places an Axes along one side of another as that is drawn."""

    def __init__(self, ax: Axes, location: Side) -> None:
        self._ax, self._location = ax, location
        self._earlier = colorbars_beside(ax, location)
        self._measured: dict[tuple[Any, ...], Bbox] = {}

    def forget(self) -> None:
        """Measure anew: what is drawn may be changed before it is drawn again."""
        self._measured.clear()

    def __call__(self, cax: _AxesBase, renderer: Any) -> Bbox:
        del cax, renderer
        figure = self._ax.figure
        outer = self._decorated().transformed(figure.transSubfigure.inverted())
        box = self._ax.get_position()
        width, height = figure.bbox.size
        side = min(box.width * width, box.height * height)
        pad_x, pad_y = PAD * side / width, PAD * side / height
        thick_x, thick_y = THICKNESS * side / width, THICKNESS * side / height
        if self._location == "right":
            return Bbox.from_bounds(max(box.x1, outer.x1) + pad_x, box.y0, thick_x, box.height)
        if self._location == "left":
            left = min(box.x0, outer.x0) - pad_x - thick_x
            return Bbox.from_bounds(left, box.y0, thick_x, box.height)
        if self._location == "top":
            return Bbox.from_bounds(box.x0, max(box.y1, outer.y1) + pad_y, box.width, thick_y)
        bottom = min(box.y0, outer.y0) - pad_y - thick_y
        return Bbox.from_bounds(box.x0, bottom, box.width, thick_y)

    def _decorated(self) -> Bbox:
        """The Axes with its tick labels and earlier colorbars, in device pixels."""
        return Bbox.union([self._labelled(ax) for ax in (self._ax, *self._earlier)])

    def _labelled(self, ax: Axes) -> Bbox:
        if ax in _MEASURED_NOW:
            return ax.get_window_extent()
        # A layout asks many times for few places, and to measure a WCSAxes takes long.
        extent = ax.get_window_extent()
        place = (ax, *extent.bounds, *ax.viewLim.bounds, self._ax.figure.dpi)
        if place not in self._measured:
            _MEASURED_NOW.add(ax)
            try:
                # WCSAxes draws its labels to measure them: here, where nobody sees them twice.
                nowhere = RendererAgg(1, 1, self._ax.figure.dpi)  # type: ignore[no-untyped-call]
                if is_of(ax, "skyproj.skyaxes", "SkyAxes"):
                    ax.draw(nowhere)  # which is when it places its labels
                lines = (a for a in ax.artists if is_of(a, "cartopy.mpl.gridliner", "Gridliner"))
                labels = [artist for artist in lines if artist.get_in_layout()]
                box = ax.get_tightbbox(nowhere, bbox_extra_artists=labels)
            finally:
                _MEASURED_NOW.discard(ax)
            self._measured[place] = extent if box is None else box
        return self._measured[place]


class _Forget(Artist):
    """Draws nothing, last of all on a colorbar: then that has its place."""

    def __init__(self, locator: SideAxesLocator) -> None:
        super().__init__()
        self._locator = locator
        self.set_zorder(1000)

    def draw(self, renderer: Any) -> None:
        del renderer
        self._locator.forget()

    def get_tightbbox(self, renderer: Any = None) -> None:
        """Forget as well when the colorbar is measured; there is nothing to measure here."""
        del renderer
        self._locator.forget()


class FullLength:
    """Axes locator: that of a colorbar, without the ratio of its sides that matplotlib fixes."""

    def __init__(self, cax: Axes, ax: Axes, location: Side) -> None:
        self._locator: Any = cax.get_axes_locator()
        self.beside = ax, location

    def __call__(self, cax: _AxesBase, renderer: Any) -> Bbox:
        box: Bbox = self._locator(cax, renderer)
        if cax.get_box_aspect() is not None:
            cax.set_box_aspect(None)
        return box

    def get_subplotspec(self) -> Any:
        """Return the cell in the figure, which tight layout asks a locator for."""
        return self._locator.get_subplotspec()


def colorbars_beside(ax: Axes, location: Side) -> list[Axes]:
    """Return the colorbars that are on a side of an Axes already."""
    everywhere: list[Any] = [*ax.figure.axes, *ax.child_axes]
    return [
        other
        for other in everywhere
        if isinstance(locator := other.get_axes_locator(), FullLength)
        and locator.beside == (ax, location)
    ]


def check_location(location: Any) -> None:
    """Raise an error if there is no such side of an Axes."""
    if location not in get_args(Side):
        raise ValueError(f"location must be 'right', 'left', 'top' or 'bottom'; got {location!r}")


def make_side_axes(ax: Axes, location: Side) -> tuple[Axes, dict[str, Any]]:
    """Return a new Axes along one side of another, and the colorbar's arguments for that side.

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
    cax.add_artist(_Forget(locator))
    return cax, arguments


def _share(ax: Axes, location: Side) -> float:
    """Return the share of an Axes' cell that a colorbar and its labels need."""
    slot = ax.get_position(original=True)
    width, height = slot.width * ax.figure.bbox.width, slot.height * ax.figure.bbox.height
    labels = LABELS[location] * float(ax.xaxis.label.get_fontsize()) * ax.figure.dpi / 72
    cell = ax.get_subplotspec()
    # (A grid may be in a cell of another.)
    cells = () if cell is None else (cell, cell.get_topmost_subplotspec())
    if location == "right" and cells and all(c.is_first_col() and c.is_last_col() for c in cells):
        # The Axes' own labels are on its other sides: these have the margin of the figure. (Of
        # several columns the last would be wider, if it alone made use of that.)
        labels = max(labels - (1 - slot.x1) * ax.figure.bbox.width, 0)
    room = (THICKNESS + PAD) * min(width, height) + labels
    return float(min(room / (width if location in ("right", "left") else height), 0.4))


# So many labels fit along a colorbar.
FEWEST_LABELS, MOST_LABELS = 3, 9


def _set_ticks(colorbar: Colorbar, norm: Any) -> None:
    """Label 1, 2 and 5 plainly on a scale of few decades.

    Matplotlib would label powers of ten, maybe a single one, or 2 × 10⁰, which is hard to read.
    """
    vmin, vmax = norm.vmin, norm.vmax
    if isinstance(norm, AsinhNorm):
        colorbar.set_ticks(AsinhTicks(norm.linear_width))
    elif (
        isinstance(norm, LogNorm)
        and vmin is not None
        and vmax is not None
        and 1e-3 < vmin < vmax < min(1e5, 1e3 * vmin)
    ):
        colorbar.set_ticks(LogLocator(subs=(1, 2, 5)))
    else:
        return
    colorbar.formatter = FormatStrFormatter("%g")
    colorbar.minorformatter = NullFormatter()


class AsinhTicks(Locator):
    """Ticks at 0 and ± 1, 2 and 5 times powers of ten, or at powers of ten if there is no room."""

    def __init__(self, linear_width: float) -> None:
        self._linear_width = linear_width

    def __call__(self) -> Any:
        """Return the ticks of the axis."""
        axis: Any = self.axis
        return self.tick_values(*sorted(axis.get_view_interval()))

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Return the ticks between two limits."""
        for subs in ((1, 2, 5), (1,)):
            locator = SymmetricalLogLocator(base=10, linthresh=self._linear_width, subs=subs)
            ticks = np.unique(locator.tick_values(vmin, vmax))
            inside = np.count_nonzero((ticks >= vmin) & (ticks <= vmax))
            if inside < FEWEST_LABELS:
                return AutoLocator().tick_values(vmin, vmax)
            if inside <= MOST_LABELS:
                return ticks
        return AsinhLocator(self._linear_width).tick_values(vmin, vmax)
