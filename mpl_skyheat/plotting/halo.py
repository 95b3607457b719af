"""Text that can be read on a map, whatever its colours are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import same_color, to_rgba, to_rgba_array
from matplotlib.patheffects import AbstractPathEffect, withStroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Halo(AbstractPathEffect):
    """Draws text with a dark halo, on light maps with a white one, and white text then in black."""

    def __init__(self, ax: Axes) -> None:
        super().__init__()
        self._ax = ax

    def draw_path(self, renderer: Any, gc: Any, tpath: Any, affine: Any, color: Any = None) -> None:
        """Draw a path in place of ``renderer.draw_path``, which calls its last argument rgbFace."""
        light = is_light(self._ax)
        if light and same_color(color, "white"):
            color = to_rgba("black")
        halo = withStroke(linewidth=1.5, foreground="white" if light else "black", alpha=0.6)
        halo.draw_path(renderer, gc, tpath, affine, color)


def is_light(ax: Axes) -> bool:
    """Whether the lower half of the map's colours is light: most of a map has low values."""
    colors: Any = [ax.get_facecolor()]
    if ax.images:
        colors = ax.images[-1].get_cmap()(np.linspace(0, 0.5, 8))
    return are_light(colors)


def are_light(colors: Any) -> bool:
    """Whether colours are light in the mean, by their luma (Rec. ITU-R BT.601)."""
    luma = to_rgba_array(colors)[:, :3] @ (0.299, 0.587, 0.114)
    return bool(luma.mean() > 0.5)
