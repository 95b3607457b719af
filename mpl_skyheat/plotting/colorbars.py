"""Colorbars along one side of an Axes: as long as that is drawn, and clear of its labels."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal, get_args
from weakref import WeakSet

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar, make_axes, make_axes_gridspec
from matplotlib.colors import AsinhNorm, LogNorm, PowerNorm, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import (
    AsinhLocator,
    AutoLocator,
    FormatStrFormatter,
    Locator,
    LogLocator,
    NullFormatter,
    SymmetricalLogLocator,
)
from matplotlib.transforms import Affine2D, Bbox

from mpl_skyheat.compute.loaded import is_of
from mpl_skyheat.maps.request import check_choice, check_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._base import _AxesBase

Side = Literal["right", "left", "top", "bottom"]

# Axes whose tight bbox is being computed. Guards against recursion: get_tightbbox() calls the
# locators of the colorbars.
_MEASURED_NOW: WeakSet[Axes] = WeakSet()

# Arguments of Figure.colorbar that follow from the side of the Axes and cannot be given.
PLACED = {"ax", "cax", "use_gridspec", "orientation", "fraction", "pad", "shrink", "aspect"}
PLACED |= {"anchor", "panchor", "ticklocation"}

# Thickness of a colorbar, as a fraction of the shorter side of the Axes.
THICKNESS = 0.05

# Distance of a colorbar from the labels of the Axes, as a fraction of its shorter side.
PAD = 0.03

# Room for the tick labels and the label of a colorbar, in font sizes: numbers are wider than tall.
LABELS = {"left": 7.0, "right": 7.0, "top": 4.0, "bottom": 4.0}


class TextRecorder(RendererAgg):
    """A renderer that is thrown away, but for the bboxes (device pixels) of the text drawn."""

    def __init__(self, width: float, height: float, dpi: float) -> None:
        super().__init__(width, height, dpi)  # type: ignore[no-untyped-call]
        self.boxes: list[Bbox] = []

    def draw_text(
        self,
        gc: Any,
        x: float,
        y: float,
        s: str,
        prop: Any,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        del gc, mtext
        width, height, descent = self.get_text_width_height_descent(s, prop, ismath)  # type: ignore[no-untyped-call]
        turn = Affine2D().rotate_deg(angle).translate(x, self.height - y)
        corners = [(0, -descent), (width, -descent), (width, height - descent), (0, height)]
        points = turn.transform(corners)
        if s.strip():
            self.boxes.append(Bbox([points.min(axis=0), points.max(axis=0)]))


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
            for other in ax.figure.axes
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
        del renderer
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
        place = Bbox.from_bounds(*places[self._location])
        cell = self._ax.get_subplotspec()
        if cell is not None and figure.get_layout_engine() is None:
            place = place.translated(*self._shift_into_figure(cax, place))
        return place

    def _shift_into_figure(self, cax: Any, place: Bbox) -> Any:
        """Move the Axes where its cell is blank, so that the bar's labels are in the figure.

        The share of the cell is that of usual labels: a second grid may have some on this side.
        Returns the shift (in fractions of the figure).
        """
        figure, ax = self._ax.figure, self._ax
        nowhere = TextRecorder(1, 1, figure.dpi)
        labelled = cax.get_tightbbox(nowhere, call_axes_locator=False, bbox_extra_artists=[])
        slot, box, shift = ax.get_position(original=True), ax.get_position(), np.zeros(2)
        if labelled is None:
            return shift
        bare, size = cax.get_window_extent(), figure.bbox.size
        k = 0 if self._location in ("left", "right") else 1
        if self._location in ("right", "top"):
            beyond = place.max[k] + (labelled.max - bare.max)[k] / size[k] - 1
            blank, sign = (box.min - slot.min)[k], -1
        else:
            beyond = -(place.min[k] - (bare.min - labelled.min)[k] / size[k])
            blank, sign = (slot.max - box.max)[k], 1
        shift[k] = sign * min(max(beyond, 0.0), max(blank, 0.0))
        if abs(shift[k]) * size[k] > 0.01:  # (px)
            free = slot.size - box.size
            anchor = [0.5, 0.5]
            for i in range(2):
                if free[i] > 0:
                    anchor[i] = float(np.clip((box.min + shift - slot.min)[i] / free[i], 0, 1))
            ax.set_anchor((anchor[0], anchor[1]))
            ax.apply_aspect()
        return shift

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
                nowhere = TextRecorder(1, 1, self._ax.figure.dpi)
                is_sky_axes = is_of(ax, "skyproj.skyaxes", "SkyAxes")
                if is_sky_axes:
                    ax.draw(nowhere)  # A SkyAxes places its labels only then.
                # (A title may be wider than the Axes, and is above or below what is beside it.)
                box = ax.get_tightbbox(
                    nowhere, for_layout_only=True, bbox_extra_artists=_unclipped(ax)
                )
                # Labels of a SkyAxes are in no bounding box.
                if is_sky_axes:
                    box = Bbox.union([extent if box is None else box, *nowhere.boxes])
            finally:
                _MEASURED_NOW.discard(ax)
            self._measured[place] = extent if box is None else box
        return self._measured[place]


def _unclipped(ax: Any) -> list[Any]:
    """The artists of an Axes that may be drawn beyond its frame.

    Of a WCSAxes that has been zoomed and not drawn since, the patch, which clips the others, is
    that of the limits before.
    """
    return [
        artist
        for artist in ax.get_default_bbox_extra_artists()
        if artist is not ax.patch
        and not (artist.get_clip_on() and (artist.get_clip_box() or artist.get_clip_path()))
    ]


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


def check_location(location: Any, name: str = "location") -> None:
    """Raise a ValueError if a location is no side of an Axes."""
    check_choice(name, location, get_args(Side))


def check_arguments(location: Any, label: Any, arguments: dict[str, Any]) -> None:
    """Raise an error for arguments of `SkyHeatmap.add_colorbar` that it does not take."""
    check_location(location)
    check_label(label)
    for name, value in arguments.items():
        if name in PLACED:
            raise TypeError(
                f"{name} must be left out, as the colorbar follows the Axes; got {value!r}"
            )


def rehearse_colorbar(
    heat: Any, location: Any = "right", *, label: Any = None, **arguments: Any
) -> None:
    """Raise the error that a colorbar's arguments would raise, before anything is changed."""
    check_arguments(location, label, arguments)
    if arguments:
        elsewhere = Figure().add_axes((0, 0, 1, 1))
        mappable = ScalarMappable(deepcopy(heat.norm), heat.cmap)
        try:
            Colorbar(elsewhere, mappable, location=location, **arguments)
        except TypeError as error:
            raise TypeError(
                "colorbar must have arguments that matplotlib.figure.Figure.colorbar takes; got "
                f"{arguments!r}: {error}"
            ) from error


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
        # No child of the Axes, whose title would be pushed up by it.
        cax, arguments = ax.figure.add_axes((0, 0, 1, 1)), {"location": location}
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


def set_ticks(colorbar: Colorbar, norm: Any) -> None:
    """Label 1, 2 and 5 as plain numbers on an asinh scale, or a log scale of few decades.

    Matplotlib would label powers of ten, of which there may be only one, or 2 × 10⁰.
    """
    vmin, vmax = norm.vmin, norm.vmax
    if isinstance(norm, AsinhNorm):
        colorbar.set_ticks(AsinhTicks(norm.linear_width, symthresh=0))
    elif isinstance(norm, LogNorm) and 1e-3 < vmin < vmax < min(1e5, 1e3 * vmin):
        colorbar.set_ticks(LogLocator(subs=(1, 2, 5)))
    elif isinstance(norm, PowerNorm | TwoSlopeNorm):
        colorbar.set_ticks(EvenTicks(norm))
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


class EvenTicks(Locator):
    """Round numbers, about evenly along a colorbar whose scale is not linear.

    Matplotlib's own are even in value: on a square root's, none is in the lower half.
    """

    def __init__(self, norm: Any) -> None:
        self._norm = norm

    def __call__(self) -> Any:
        return self.tick_values(self._norm.vmin, self._norm.vmax)

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """The ticks of the scale, between its limits."""
        even = np.asarray(self._norm.inverse(np.linspace(0, 1, MOST_LABELS - 2)), float)
        gaps = np.diff(even)
        if not (gaps > 0).all():
            return np.array([vmin])
        # The nearer neighbour says how far a tick may be moved to a round number.
        nearer = np.minimum(np.append(gaps, gaps[-1]), np.append(gaps[0], gaps))
        unit = 10 ** np.floor(np.log10(nearer))
        unit = np.where(nearer >= 5 * unit, 5 * unit, unit)
        ticks = np.unique(np.round(even / unit) * unit)
        return ticks[(ticks >= vmin - 1e-9 * unit[0]) & (ticks <= vmax + 1e-9 * unit[-1])]
