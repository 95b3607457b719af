"""The key of a map whose colour is a value, and whose opacity is the density of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from matplotlib.image import AxesImage
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

from mpl_skyheat.maps.request import check_choice
from mpl_skyheat.plotting.corner_marks import CORNERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours along a key, and opacities.
STEPS = 64

# Font size of labels, as a fraction of that of the labels of the map's Axes.
LABEL_SIZE = 0.7

# Size (font sizes of its labels) of the panel of a key and of the room for labels on its left, at
# least, and below, and distance from the edge of the map.
PANEL, LEFT, BELOW, INSET, ROOM = 12.5, 3.4, 3.4, 0.6, 1.4

# Room (font sizes) on the left beside the number there: for the label, and gaps.
BESIDE = 2.2

# Opacity of the panel that labels are on, as of matplotlib's legends.
FRAME = 0.8


class DensityKey(AxesImage):
    """Colours of a map, fading to nothing downwards: an image on an Axes of its own.

    Parameters
    ----------
    ax : `~matplotlib.axes.Axes`
        The Axes of the key, 1 wide and high.
    heat : SkyHeatmap
        The image of the map, whose colours are followed.
    """

    def __init__(self, ax: Axes, heat: Any) -> None:
        super().__init__(ax, extent=(0, 1, 0, 1), origin="lower", interpolation="nearest")
        # (The key is held by its Axes, not by what calls it.)
        heat.callbacks.connect("changed", self.follow)
        self.follow(heat)
        self.set_clip_path(ax.patch)
        ax.add_image(self)

    def follow(self, heat: Any) -> None:
        """Take the colours that the map has now."""
        colors = np.tile(heat.cmap(np.linspace(0, 1, STEPS)), (STEPS, 1, 1))
        colors[..., 3] *= np.linspace(0, 1, STEPS)[:, np.newaxis]
        self.set_data(colors)
        ax: Any = self.axes
        ax.set_xticks([0, 1], [f"{limit:.3g}" for limit in heat.get_clim()])


class CornerLocator:
    """Axes locator of a square panel in a corner of an Axes, as large as its labels need."""

    def __init__(self, ax: Axes, corner: str, size: float) -> None:
        self._ax, self._corner, self._size = ax, corner, size

    def __call__(self, panel: Any, renderer: Any) -> Bbox:
        del panel, renderer
        ax: Any = self._ax
        box, figure = ax.get_position(), ax.figure
        font = self._size * figure.dpi / 72 / figure.bbox.size  # as fractions of the figure
        low, high = box.min + INSET * font, box.max - (INSET + PANEL) * font
        words = self._corner.split()
        aside = [("left" in words, "right" in words), ("bottom" in words, "top" in words)]
        start = [
            low[k] if first else high[k] if last else 0.5 * (low[k] + high[k])
            for k, (first, last) in enumerate(aside)
        ]
        return Bbox.from_bounds(*start, *(PANEL * font))


def add_density_key(heat: Any, corner: str, label: str) -> Axes:
    """Add the key of a map to a corner of its Axes: see `SkyHeatmap.add_density_key`."""
    check_choice("corner", corner, list(CORNERS))
    opaque = heat.opaque_from
    if opaque is None:
        raise ValueError(
            "alpha must be 'density' for a key of density, as in ax.sky_heatmap(ra, dec, "
            f"values=rv, alpha='density'); got alpha={heat.get_alpha()!r:.60}"
        )
    ax = heat.axes
    size = LABEL_SIZE * float(ax.xaxis.label.get_fontsize())
    panel = ax.inset_axes((0, 0, 1, 1), zorder=6)
    panel.set_axes_locator(CornerLocator(ax, corner, size))
    panel.set(xticks=[], yticks=[], facecolor=(1, 1, 1, FRAME))
    panel.spines[:].set_edgecolor("0.8")
    most = _short(opaque.value)
    left = max(LEFT, BESIDE + TextPath((0, 0), most, size=size).get_extents().width / size)
    across, up = PANEL - left - ROOM, PANEL - BELOW - ROOM
    key: Axes = panel.inset_axes((left / PANEL, BELOW / PANEL, across / PANEL, up / PANEL))
    key.set(xlim=(0, 1), ylim=(0, 1), facecolor=ax.get_facecolor())
    DensityKey(key, heat)
    key.set_yticks([0, 1], ["0", most])
    key.tick_params(labelsize=size, length=2, pad=1)
    unit = opaque.unit
    per = "" if unit == u.dimensionless_unscaled else f" [{unit.to_string('latex_inline')}]"
    # Labels may be longer than the key: they are in the middle of the panel.
    key.set_xlabel(label, fontsize=size, labelpad=1, x=(0.5 * PANEL - left) / across)
    key.set_ylabel(f"density{per}", fontsize=size, labelpad=1, y=(0.5 * PANEL - BELOW) / up)
    return key


def _short(density: float) -> str:
    """A density with three digits, a large or small one with one: the panel has little room."""
    if 1e-2 <= density < 1e4:
        return f"{float(f'{density:.3g}'):g}"
    digit, power = f"{density:.0e}".split("e")
    return rf"${digit}{{\times}}10^{{{int(power)}}}$"
