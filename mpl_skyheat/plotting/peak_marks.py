"""Circles around peaks on a map, with numbers that lie over no circle and no other number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform

from mpl_skyheat.plotting.halo import is_light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mpl_skyheat.compute.arrays import BoolArray

# Directions (deg) from a circle in which its number may be, the best first.
DIRECTIONS = (45, 135, -45, -135, 0, 180, 90, -90)

# Gaps between a circle and its number that are tried, in diameters of the circle.
GAPS = (0.1, 0.6, 1.2, 2.0)


class PeakMarks(Artist):
    """Circles and numbers at positions of a map.

    Numbers are placed when they are drawn, at the size that the figure has then: beside their
    circle and within the Axes, or not at all where there is no room.

    Parameters
    ----------
    ax : `~matplotlib.axes.Axes`
        The Axes that they are added to.
    positions : `~numpy.ndarray`
        Of shape (n, 2), in the coordinates of ``transform``.
    names : sequence of str
        The number of each.
    transform : `~matplotlib.transforms.Transform`
        From the positions to the screen.
    **kwargs
        Properties of the circles, a `~matplotlib.lines.Line2D` of markers. Numbers have their
        colour.
    """

    def __init__(
        self,
        ax: Axes,
        positions: NDArray[np.float64],
        names: Sequence[str],
        transform: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        style: dict[str, Any] = {"marker": "o", "markersize": 12, "linestyle": "none"}
        style |= {"markerfacecolor": "none", "markeredgewidth": 1.2, "zorder": 3}
        self._circles = Line2D(*positions.T, **style | kwargs, transform=transform)
        self._has_color = bool({"color", "c", "markeredgecolor", "mec"} & set(kwargs))
        self._numbers = [
            Text(text=name, fontsize="small", ha="center", va="center") for name in names
        ]
        self._positions, self._ax = positions, ax
        self._leaders = Line2D([], [], linewidth=0.8, transform=IdentityTransform())
        self.set_transform(transform)
        self.set_zorder(self._circles.get_zorder())
        ax.add_artist(self)
        self.set_clip_path(ax.patch)
        for child in self.get_children():
            child.set_figure(ax.figure)
        self._circles.set_clip_path(ax.patch)

    def get_children(self) -> list[Artist]:
        """Return the circles, the lines between these and numbers farther away, and the numbers."""
        return [self._leaders, self._circles, *self._numbers]

    def get_tightbbox(self, renderer: Any = None) -> None:
        """Return None: marks are within the Axes, and need no room of a layout."""
        del renderer

    def draw(self, renderer: Any) -> None:
        """Draw the circles, and the numbers beside them."""
        if not self.get_visible():
            return
        light = is_light(self._ax)
        if not self._has_color:
            self._circles.set_color("black" if light else "white")
        # (An alpha of the stroke would fill the circles, too.)
        halo = withStroke(linewidth=3, foreground=(1, 1, 1, 0.6) if light else (0, 0, 0, 0.6))
        centres = self.get_transform().transform(self._positions)
        for number, middle in zip(self._numbers, self._places(centres, renderer), strict=True):
            number.set_visible(middle is not None)
            number.set_position((0.0, 0.0) if middle is None else tuple(middle))
        self._lead(centres, renderer.points_to_pixels(self._circles.get_markersize()))
        for child in self.get_children():
            child.set_path_effects([halo])
            if child is not self._circles:
                child.set(color=self._circles.get_markeredgecolor())
            child.draw(renderer)
        self.stale = False

    def _lead(self, centres: NDArray[np.float64], size: float) -> None:
        """Set lines from circles to the numbers that are not right beside them."""
        ends = []
        for centre, number in zip(centres, self._numbers, strict=True):
            away = np.array(number.get_position()) - centre
            distance = float(np.hypot(*away))
            if number.get_visible() and distance > 1.5 * size:
                edge, label = (
                    centre + away * (part / distance)
                    for part in (0.55 * size, distance - 0.5 * size)
                )
                ends += [edge, label, (np.nan, np.nan)]
        self._leaders.set_data(*np.reshape(ends, (-1, 2)).T)

    def _places(
        self, centres: NDArray[np.float64], renderer: Any
    ) -> list[NDArray[np.float64] | None]:
        """The middles (device pixels) of all numbers, None of those that there is no room for."""
        size = renderer.points_to_pixels(self._circles.get_markersize())
        shown: BoolArray = np.asarray(np.isfinite(centres).all(axis=1))
        shown &= self._ax.patch.contains_points(np.where(shown[:, np.newaxis], centres, -1e9))
        half = 0.5 * size
        taken = [Bbox([centre - half, centre + half]) for centre in centres[shown]]
        taken += [text.get_window_extent(renderer) for text in self._texts()]
        placed: list[NDArray[np.float64] | None] = []
        for centre, is_shown, number in zip(centres, shown, self._numbers, strict=True):
            box = self._free_place(centre, size, number, taken, renderer) if is_shown else None
            placed.append(None if box is None else np.mean(box.get_points(), axis=0))
            taken += [] if box is None else [box]
        return placed

    def _texts(self) -> list[Text]:
        """Other texts of the Axes: its own, and labels of ticks that may be on the map."""
        texts = list(self._ax.texts)
        for axis in (self._ax.xaxis, self._ax.yaxis):
            texts += axis.get_ticklabels() if axis.get_visible() else []
        return [text for text in texts if text.get_visible() and text.get_text()]

    def _free_place(
        self,
        centre: NDArray[np.float64],
        size: float,
        number: Text,
        taken: list[Bbox],
        renderer: Any,
    ) -> Bbox | None:
        """The first box beside a circle that is within the Axes, and overlaps nothing."""
        extent = number.get_window_extent(renderer)
        half = 0.5 * np.array([extent.width, extent.height])
        for gap in GAPS:
            for angle in np.radians(DIRECTIONS):
                away = np.array([np.cos(angle), np.sin(angle)])
                middle = centre + away * ((0.5 + gap) * size + half)
                box = Bbox([middle - half, middle + half])
                is_inside = self._ax.patch.contains_points(box.corners()).all()
                if is_inside and not box.count_overlaps(taken):
                    return box
        return None
