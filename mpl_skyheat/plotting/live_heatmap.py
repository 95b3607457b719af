"""`LiveHeatmap`: a map that is read anew at the device pixels of each draw.

Nothing listens to the canvas or the Axes: what is shown follows from the limits and the resolution
at which the figure is drawn. A print is read at the pixels of the print.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from matplotlib.image import AxesImage

from mpl_skyheat.maps.live import LiveField
from mpl_skyheat.maps.places import places_on
from mpl_skyheat.plotting.colour_scale import look_of, set_open_limits
from mpl_skyheat.plotting.heatmap import SkyHeatmap
from mpl_skyheat.sky.grid import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mpl_skyheat.maps.live import LiveBins
    from mpl_skyheat.maps.sky_map import SkyMap

    # The view and number of pixels of a draw, and what was read: values, and what they fill.
    Key = tuple[View, tuple[int, int]]
    Reading = tuple[NDArray[Any], View]

# Readings that are kept: that of the screen, and that of a print.
KEPT = 2


class LiveHeatmap(SkyHeatmap):
    """The image of a sky map that is read anew at the device pixels of each draw.

    A value depends on the data, the kernel and the unit; zoom, screen and resolution only change
    where it is read. Where a device pixel is wider than the kernel, it shows the mean over it.
    Colours stay as they are until `autoscale`. Pickled, it becomes a `SkyHeatmap` of `sky_map`.

    Parameters
    ----------
    ax, sky_map, extent, **kwargs
        As of `SkyHeatmap`.
    live : LiveField or LiveBins
        What is read.

    Attributes
    ----------
    sky_map : SkyMap
        The map at the pixels of the arguments, for numbers and files.
    """

    # The extent of what is drawn at the moment, in place of the map's.
    drawn_extent: View | None = None

    def __init__(
        self,
        ax: Axes,
        sky_map: SkyMap,
        extent: tuple[float, float, float, float],
        *,
        live: LiveField | LiveBins,
        **kwargs: Any,
    ) -> None:
        self.live: LiveField | LiveBins | None = live
        self._readings: dict[Key, Reading] = {}
        self._shown: Reading | None = None
        super().__init__(ax, sky_map, extent, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return dict(state) | {"live": None, "_readings": {}, "_shown": None}

    def get_extent(self) -> tuple[float, float, float, float]:
        """Return the extent of the map or, in a draw, of what is drawn."""
        return self.drawn_extent or super().get_extent()

    def get_array(self) -> Any:
        """Return the values on the screen since the last draw, before it those of the map."""
        return super().get_array() if self._shown is None else self._shown[0]

    @property
    def array_extent(self) -> tuple[float, float, float, float]:
        """The extent of `get_array`."""
        return super().array_extent if self._shown is None else self._shown[1]

    def make_image(
        self, renderer: Any, magnification: float = 1.0, unsampled: bool = False
    ) -> tuple[Any, float, float, Any]:
        """Return the image as `~matplotlib.image.AxesImage` does, of what is read at its pixels."""
        key = None if unsampled or self.live is None else self._key(magnification)
        if key is None:
            return super().make_image(renderer, magnification, unsampled)
        reading = self._read(key)
        figure: Any = self.axes.figure
        if not figure.canvas.is_saving():
            self._shown = reading
        drawn = self._drawn(reading)
        made: tuple[Any, float, float, Any] = AxesImage.make_image(drawn, renderer, magnification)
        return made

    def _drawn(self, reading: Reading) -> LiveHeatmap:
        """A static image of what was read, which redraws nothing as it has no stale_callback."""
        drawn = copy(self)
        values, drawn.drawn_extent = reading
        drawn.set_data(values)
        if isinstance(self.live, LiveField):
            # Pixels are those of the screen. By rounding, "auto" may take a filter in which what is
            # masked hides its neighbours.
            drawn.set_interpolation("nearest")
        return drawn

    def _key(self, magnification: float) -> Key | None:
        """The view that the Axes shows, to whole device pixels, and their number (ny, nx)."""
        figure: Any = self.axes.figure
        x0, y0, x1, y1 = self.axes.bbox.extents
        (left, bottom), (right, top) = figure.bbox.min, figure.bbox.max
        x0, x1 = np.clip([x0, x1], left, right) * magnification
        y0, y1 = np.clip([y0, y1], bottom, top) * magnification
        x0, y0, x1, y1 = np.floor(x0), np.floor(y0), np.ceil(x1), np.ceil(y1)
        if x1 <= x0 or y1 <= y0:
            return None
        corners = np.array([(x0, y0), (x1, y1)]) / magnification
        (xa, ya), (xb, yb) = self.get_transform().inverted().transform(corners).tolist()
        view = View(min(xa, xb), max(xa, xb), min(ya, yb), max(ya, yb))
        return view, (int(y1 - y0), int(x1 - x0))

    def shown(self) -> Key:
        """Return the view that the screen shows, and the number of its pixels (ny, nx)."""
        key = self._key(1.0)
        if key is None:
            raise ValueError("the Axes must be within the figure to show anything")
        return key

    def _read(self, key: Key) -> Reading:
        if key not in self._readings:
            assert self.live is not None
            values, view = self.live.read(*key)
            while len(self._readings) >= KEPT:
                del self._readings[next(iter(self._readings))]
            self._readings[key] = np.ma.masked_invalid(values), view
        return self._readings[key]

    def autoscale(self) -> None:
        """Scale the colours to what is seen, as at first to the map."""
        shown: Any = self.get_array()
        if self.live is not None:
            self.axes.apply_aspect()  # as a draw does first
            shown, _ = self._read(self.shown())
        norm: Any = self.norm
        # (A colorbar would fill open limits at once.)
        with norm.callbacks.blocked():
            norm.vmin = norm.vmax = None
            values = self._values_to_scale(np.ma.compressed(shown), stacklevel=4)
            look, is_smoothed = look_of(self.sky_map), self.sky_map.is_smoothed
            set_open_limits(norm, values, look, is_smoothed=is_smoothed)
        norm.callbacks.process("changed")

    def value_at(self, *position: Any, frame: Any = None, interpolate: bool = False) -> u.Quantity:
        """Return the function's value at positions on the sky, whatever the zoom.

        Without a kernel, that of the map's pixels, as `SkyMap.value_at`.
        """
        if not isinstance(self.live, LiveField):
            return super().value_at(*position, frame=frame, interpolate=interpolate)
        x, y = places_on(self.sky_map, position, frame)
        left, right, bottom, top = super().get_extent()
        ny, nx = self.sky_map.data.shape
        places = np.broadcast_arrays(
            left + (x + 0.5) * (right - left) / nx, bottom + (y + 0.5) * (top - bottom) / ny
        )
        values = self.live.at(*(place.ravel() for place in places))
        return values.reshape(places[0].shape) << (self.sky_map.unit or u.dimensionless_unscaled)

    def contains(self, mouseevent: Any) -> tuple[bool, dict[str, Any]]:
        """Return whether the mouse is on the Axes, all of which the map fills."""
        if self.live is None:
            return super().contains(mouseevent)
        return bool(self.axes.contains(mouseevent)[0]), {}

    def get_cursor_data(self, event: Any) -> Any:
        """Return the function's value under the cursor, without a kernel that of what is shown."""
        if not isinstance(self.live, LiveField):
            if self._shown is None:
                return super().get_cursor_data(event)
            return self._drawn(self._shown).get_cursor_data(event)
        x, y = self.get_transform().inverted().transform((event.x, event.y))
        return float(self.live.at(np.array([x]), np.array([y]))[0])
