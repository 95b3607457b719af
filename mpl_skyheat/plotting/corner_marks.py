"""Marks in a corner of a map that are true to scale there: a kernel's width, and a scale bar.

WCSAxes' own, `add_beam` and `add_scalebar`, take the pixel scale of the WCS's reference everywhere:
in the corner of a TAN of 40° a bar is 11 % too short, on an all-sky map by half.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from matplotlib.colors import to_rgba, to_rgba_array
from matplotlib.offsetbox import AnchoredOffsetbox, AuxTransformBox
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Affine2D
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from mpl_skyheat.maps.request import check_choice
from mpl_skyheat.plotting.halo import are_light
from mpl_skyheat.plotting.local_scale import LocalScale
from mpl_skyheat.smoothing.kernel_base import RadialKernel, parse_width, terms_of
from mpl_skyheat.smoothing.kernels import Annulus
from mpl_skyheat.smoothing.profiles import full_width

if TYPE_CHECKING:
    from matplotlib.transforms import Bbox

# Places in an Axes by the names of WCSAxes, and by those of matplotlib.
CORNERS = {
    "top right": "upper right",
    "top left": "upper left",
    "bottom left": "lower left",
    "bottom right": "lower right",
    "right": "center right",
    "left": "center left",
    "bottom": "lower center",
    "top": "upper center",
}

# Times that the size of a mark follows from its place, which follows from its size.
ROUNDS = 5

# Arguments that give a patch a colour of its own.
COLORS = {"color", "facecolor", "fc", "edgecolor", "ec"}

# Signs of units in the label of a scale bar.
SIGNS = {u.deg: "°", u.arcmin: "′", u.arcsec: "″"}


class CornerMark(AnchoredOffsetbox, ABC):
    """What is sized anew, by the scale of the map in its corner, whenever it is drawn.

    Subclasses set ``heat``, and ``scale``, the transform of their shape to device pixels.
    """

    heat: Any
    scale: Affine2D
    pad: float
    has_own_color = False

    @abstractmethod
    def resize(self, middle: Any, renderer: Any) -> None:
        """Set ``scale`` for a shape whose middle is at a place of the screen."""

    @abstractmethod
    def paint(self, color: str, halo: Any) -> None:
        """Draw in a colour that can be read on the map, with a halo of the other."""

    def middle(self, box: Bbox, renderer: Any) -> Any:
        """The middle of the shape, in the box that it is drawn in."""
        del renderer
        return 0.5 * np.add(box.min, box.max)

    def get_bbox(self, renderer: Any) -> Bbox:
        """Return the size of the mark, which is that of its place."""
        before = np.full(2, np.inf)
        for _ in range(ROUNDS):
            box: Any = super().get_bbox(renderer)
            offset: Any = self.get_offset
            place = self.middle(box.translated(*offset(box, renderer)), renderer)
            if np.abs(place - before).max() < 0.01:  # (px)
                break
            self.resize(place, renderer)
            before = place
        found: Bbox = super().get_bbox(renderer)
        return found

    def draw(self, renderer: Any) -> None:
        """Draw the mark in black or white, whichever can be read there; none without its map."""
        if self.heat.axes is None:  # has been removed
            return
        if self.get_visible() and not self.has_own_color:
            box = self.get_window_extent(renderer)
            light = bool(self.patch.get_visible()) or are_light(self._colors_behind(box))
            color, other = ("black", "white") if light else ("white", "black")
            self.paint(color, [withStroke(linewidth=3, foreground=to_rgba(other, 0.6))])
        super().draw(renderer)

    def _colors_behind(self, box: Bbox) -> Any:
        """Colours (n, 4) that are behind a box: those of map, Axes and figure."""
        heat, ax = self.heat, self.heat.axes
        x, y = np.meshgrid(np.linspace(box.x0, box.x1, 5), np.linspace(box.y0, box.y1, 5))
        places = np.column_stack([x.ravel(), y.ravel()])
        figure, face = to_rgba_array([ax.figure.get_facecolor(), ax.get_facecolor()])
        figure = _over(figure, np.ones(4))
        inside = ax.patch.contains_points(places)
        behind = np.where(inside[:, np.newaxis], _over(face, figure), figure)
        values: Any = np.ma.asarray(heat.get_array())
        ny, nx = values.shape
        left, right, bottom, top = heat.array_extent
        x, y = heat.get_transform().inverted().transform(places).T
        column = np.floor((x - left) / (right - left) * nx)
        row = np.floor((y - bottom) / (top - bottom) * ny)
        on_map = inside & (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
        pixel = row[on_map].astype(int), column[on_map].astype(int)
        colors, alpha = np.array(heat.to_rgba(values[pixel])), heat.get_alpha()
        if alpha is not None:
            colors[:, 3] *= alpha[pixel] if np.ndim(alpha) else alpha
        behind[on_map] = _over(colors, behind[on_map])
        return behind


class KernelMark(CornerMark):
    """The full width of a map's kernel at half maximum, as `SkyHeatmap.add_kernel` draws it.

    Parameters
    ----------
    heat : SkyHeatmap
        The map's image.
    corner, frame, pad, borderpad, **kwargs
        As in `SkyHeatmap.add_kernel`.
    """

    def __init__(
        self,
        heat: Any,
        corner: str,
        *,
        frame: bool,
        pad: float = 0.5,
        borderpad: float = 0.4,
        **kwargs: Any,
    ) -> None:
        check_choice("corner", corner, list(CORNERS))
        self.heat, self.scale = heat, Affine2D()
        self._width, self._in_pixels = _full_width(heat.sky_map)
        self.has_own_color = bool(COLORS & set(kwargs))
        self.circle = Circle((0, 0), 0.5, **{"linewidth": 1.5} | kwargs)
        self.circle.set_clip_box(heat.axes.bbox)
        box = AuxTransformBox(self.scale)
        box.add_artist(self.circle)
        loc = CORNERS[corner]
        super().__init__(loc, child=box, pad=pad, borderpad=borderpad, frameon=frame)
        self.set_in_layout(False)
        heat.axes.add_artist(self)

    def resize(self, middle: Any, renderer: Any) -> None:
        """Set the ellipse to that of a circle on the sky at its place."""
        del renderer
        matrix = np.eye(3)
        scale = LocalScale(self.heat)
        matrix[:2, :2] = scale.ellipse(middle, self._width, in_pixels=self._in_pixels)
        self.scale.set_matrix(matrix)

    def paint(self, color: str, halo: Any) -> None:
        """Draw the outline in a colour: the map is seen in it, and not below a filled halo."""
        self.circle.set(edgecolor=color, facecolor="none", path_effects=halo)


class ScaleBar(CornerMark, AnchoredSizeBar):
    """A level bar that is as long as an angle, as `SkyHeatmap.add_scalebar` draws it.

    Parameters
    ----------
    heat : SkyHeatmap
        The map's image.
    length, label, corner, frame, pad, borderpad, sep, **kwargs
        As in `SkyHeatmap.add_scalebar`.
    """

    def __init__(
        self,
        heat: Any,
        length: Any,
        label: str | None,
        corner: str,
        *,
        frame: bool,
        pad: float = 0.5,
        borderpad: float = 0.4,
        sep: float = 5,
        **kwargs: Any,
    ) -> None:
        check_choice("corner", corner, list(CORNERS))
        is_flat = heat.sky_map.meta.get("frame") == "flat"
        self._length, self._in_pixels, text = _parse_length(length, is_flat=is_flat)
        self.heat, self.scale = heat, Affine2D()
        self._below, self._height = bool(kwargs.get("label_top")), kwargs.get("size_vertical", 0)
        self.has_own_color = kwargs.get("color") is not None
        AnchoredSizeBar.__init__(
            self,
            self.scale,
            1,
            text if label is None else label,
            CORNERS[corner],
            pad=pad,
            borderpad=borderpad,
            sep=sep,
            frameon=frame,
            **kwargs,
        )
        (self.bar,) = self.size_bar.get_children()
        self.bar.set(clip_box=heat.axes.bbox, linewidth=1.5)
        (self.text,) = self.txt_label.get_children()
        self.set_in_layout(False)
        heat.axes.add_artist(self)

    def resize(self, middle: Any, renderer: Any) -> None:
        """Set the bar to the length that the angle has at its place."""
        across = LocalScale(self.heat).across(middle, self._length, in_pixels=self._in_pixels)
        self.scale.clear().scale(across, renderer.points_to_pixels(1.0))

    def paint(self, color: str, halo: Any) -> None:
        """Draw bar and label in a colour."""
        self.bar.set(color=color, path_effects=halo)
        self.text.set(color=color, path_effects=halo)

    def middle(self, box: Bbox, renderer: Any) -> Any:
        """The middle of the bar, above or below its label."""
        pad = self.pad * renderer.points_to_pixels(self.prop.get_size_in_points())
        inset = pad + 0.5 * renderer.points_to_pixels(self._height)
        y = box.y0 + inset if self._below else box.y1 - inset
        return np.array([0.5 * (box.x0 + box.x1), y])


def _over(color: Any, below: Any) -> Any:
    """Colours (…, 4) on opaque ones below."""
    alpha = color[..., 3:]
    mixed = alpha * color[..., :3] + (1 - alpha) * below[..., :3]
    return np.concatenate([mixed, np.ones_like(mixed[..., :1])], axis=-1)


def _full_width(sky_map: Any) -> tuple[float, bool]:
    """The full width of a map's kernel at half maximum, in rad or else in map pixels."""
    terms = terms_of(sky_map.kernel)
    kernels = [kernel for _, kernel in terms]
    in_pixels = {kernel.in_pixels for kernel in kernels if isinstance(kernel, RadialKernel)}
    has_hole = any(isinstance(kernel, Annulus) for kernel in kernels)
    is_one = len(in_pixels) == 1 and not has_hole
    width = full_width(terms, None if True in in_pixels else 1.0) if is_one else None
    if width is None:
        raise ValueError(
            "kernel must be one that has a full width at half maximum, such as kernel='10 arcmin' "
            "or kernel=mpl_skyheat.TopHat('10 arcmin') of sky_heatmap, to be drawn in a corner: "
            "arrays, differences, rings, kernels of more than one width, kernels in pixels of "
            f"another map and maps without one have none; got {sky_map.kernel!r}"
        )
    return width, True in in_pixels


def _parse_length(length: Any, *, is_flat: bool) -> tuple[float, bool, str]:
    """The length of a bar in rad, data units, or map pixels (True), and as text."""
    is_number = isinstance(length, int | float | np.number) and not isinstance(length, bool)
    if is_flat and is_number and 0 < float(length) < math.inf:
        return float(length), False, f"{length:g}"
    if is_flat and not (isinstance(length, u.Quantity) and length.unit.is_equivalent(u.pix)):
        raise ValueError(
            "length must be a positive number in the units of x and y, or such as 20*u.pix for map "
            f"pixels, with frame='flat'; got {length!r:.60}"
        )
    width = parse_width(length, "length")
    sign = SIGNS.get(width.unit, f" {width.unit}")
    if width.unit.is_equivalent(u.pix):
        return float(width.to_value(u.pix)), True, f"{width.value:g}{sign}"
    if width >= 180 * u.deg:
        raise ValueError(f"length must be an angle below 180 deg; got {width}")
    return float(width.to_value(u.rad)), False, f"{width.value:g}{sign}"
