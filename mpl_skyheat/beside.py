"""An Axes for a colorbar that keeps beside another, as tall as it is drawn and off its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from matplotlib.transforms import Bbox

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axes._base import _AxesBase
    from matplotlib.figure import Figure

# Thickness of a colorbar and its distance, as fractions of the shorter side of the Axes.
THICKNESS = 0.05
PAD = 0.03

# Room that a colorbar's tick labels and label take, in font sizes.
LABELS = 6.0


class Beside:
    """Axes locator: places an Axes along one side of another as that is drawn."""

    def __init__(self, ax: Axes, location: str) -> None:
        self._ax, self._location = ax, location
        self._measuring = False

    def __call__(self, _: _AxesBase, renderer: Any) -> Bbox:
        figure = self._ax.figure
        box = self._ax.get_position()
        outer = self._decorated(renderer).transformed(figure.transSubfigure.inverted())
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

    def _decorated(self, renderer: Any) -> Bbox:
        """The Axes with its tick labels, in device pixels, or bare where that cannot be told."""
        ax = self._ax
        # matplotlib asks for this position, too, while it measures the Axes; and it moves a title
        # above a colorbar at the top, which must then not keep clear of the title.
        has_title = self._location == "top" and ax.get_title()
        if renderer is None or self._measuring or has_title:
            return ax.get_window_extent(renderer)
        self._measuring = True
        try:
            box = ax.get_tightbbox(renderer, call_axes_locator=False, bbox_extra_artists=[])
        finally:
            self._measuring = False
        return ax.get_window_extent(renderer) if box is None else box


def beside(ax: Axes, location: str) -> Axes:
    """Return a new Axes along one side of another, with room for it where no layout engine is."""
    if ax.figure.get_layout_engine() is None:
        _make_room(ax, location)
    cax = ax.inset_axes((1.0, 0.0, THICKNESS, 1.0))
    cax.set_axes_locator(Beside(ax, location))
    return cax


def _make_room(ax: Axes, location: str) -> None:
    spec = ax.get_subplotspec()
    if spec is None:  # placed by hand, and to stay there
        return
    is_vertical = location in ("right", "left")
    # A SubFigure will do, whatever the annotations of matplotlib say.
    figure = cast("Figure", ax.figure)
    box = spec.get_position(figure)
    width, height = ax.figure.bbox.size
    slot_width, slot_height = box.width * width, box.height * height
    labels = LABELS * float(ax.xaxis.label.get_fontsize()) * ax.figure.dpi / 72
    room = (THICKNESS + PAD) * min(slot_width, slot_height) + labels
    share = min(room / (slot_width if is_vertical else slot_height), 0.4)
    first = location in ("left", "top")
    ratios = [share, 1 - share] if first else [1 - share, share]
    if is_vertical:
        cells = spec.subgridspec(1, 2, width_ratios=ratios, wspace=0)
    else:
        cells = spec.subgridspec(2, 1, height_ratios=ratios, hspace=0)
    cell = cells[1 if first else 0]
    ax.set_subplotspec(cell)
    ax.set_position(cell.get_position(figure))
