"""How large angles are at places of the screen, on the pixels of a map that is drawn there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.sky.grid import Axis, SkyGrid, View
from mpl_skyheat.sky.pixel_scale import nearest_sky, pixel_metric
from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.sky.sky_edge import SkyTest
from mpl_skyheat.sky.vectors import separation

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

# Times that the length of a line on the screen is mended by the angle between its ends.
ROUNDS = 8


class LocalScale:
    """The scale of a map around places of the screen (device pixels, as it is drawn now).

    Where the screen shows no sky, that of the nearest place that does, and 1/64 of the Axes around.

    Parameters
    ----------
    heat : SkyHeatmap
        The map's image, which may be smaller than its Axes.
    """

    def __init__(self, heat: Any) -> None:
        self._heat, sky_map = heat, heat.sky_map
        self._shape: tuple[int, int] = sky_map.data.shape
        self._plane = None if sky_map.meta.get("frame") == "flat" else plane_of_wcs(sky_map.wcs)
        self._grid = SkyGrid(*(Axis(-0.5, 1, n) for n in self._shape[::-1]))
        if self._plane is not None:
            to_sky, to_plane = self._plane.to_sky, self._plane.to_plane
            self._shows_sky = SkyTest(self._grid, to_sky, to_plane, self._plane.shows)

    def pixels(self, places: Any) -> FloatArray:
        """The map's pixel coordinates (…, 2), whose centres are at whole numbers."""
        corner, sides = self._corner_and_sides()
        data = self._heat.get_transform().inverted().transform(places)
        return np.asarray((data - corner) / sides - 0.5)

    def ellipse(self, place: Any, width: float, *, in_pixels: bool = False) -> FloatArray:
        """The matrix (2, 2) from a circle of diameter 1 to one that is ``width`` across there.

        The width is in rad (on a map of Cartesian x, y in their units), or in map pixels.
        """
        # d = width √G⁻¹ c has dᵀ G d = width² for all |c| = 1.
        metric = self._metric(self._on_sky(place), in_pixels=in_pixels)
        values, vectors = np.linalg.eigh(metric)
        return np.asarray(width * self._on_screen() @ vectors / np.sqrt(values))

    def across(self, place: Any, length: float, *, in_pixels: bool = False) -> float:
        """How long (device pixels) a level line around a place is, with units as in `ellipse`.

        If both ends show sky, their separation is the length; else it is as long as the scale in
        its middle says.
        """
        place = self._on_sky(place)
        direction = np.linalg.solve(self._on_screen(), (1.0, 0.0))
        metric = self._metric(place, in_pixels=in_pixels)
        found = length / float(np.sqrt(direction @ metric @ direction))
        if in_pixels or self._plane is None:
            return found
        step = found
        for _ in range(ROUNDS):
            ends = place + 0.5 * step * np.outer((-1, 1), direction)
            angle = float(separation(*self._vectors(*ends.T)))
            if not angle > 0:  # an end is off the sky
                return found
            step *= length / angle
        return step if abs(angle / length - 1) < 1e-3 else found

    def _corner_and_sides(self) -> tuple[FloatArray, FloatArray]:
        """The lower left corner of the map, and the sides of a pixel, in units of its extent."""
        left, right, bottom, top = self._heat.get_extent()
        ny, nx = self._shape
        return np.array([left, bottom]), np.array([(right - left) / nx, (top - bottom) / ny])

    def _on_screen(self) -> FloatArray:
        """The matrix (2, 2) from steps in map pixels to steps on the screen."""
        corner, sides = self._corner_and_sides()
        ends = corner + np.array([[0.0, 0.0], [sides[0], 0.0], [0.0, sides[1]]])
        origin, right, up = self._heat.get_transform().transform(ends)
        return np.stack([right - origin, up - origin], axis=-1)

    def _to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        """Positions (deg) of pixel coordinates, NaN also where the projection repeats the sky."""
        assert self._plane is not None
        x, y = np.asarray(x, float), np.asarray(y, float)
        lon, lat = self._plane.to_sky(x, y)
        shows = self._shows_sky(x, y)
        return np.where(shows, lon, np.nan), np.where(shows, lat, np.nan)

    def _vectors(self, x: FloatArray, y: FloatArray) -> FloatArray:
        shows = self._shows_sky(x, y)
        return np.where(shows[:, np.newaxis], self._shows_sky.vectors(x, y), np.nan)

    def _on_sky(self, place: Any) -> FloatArray:
        """Pixel coordinates of a place of the screen, or of the nearest one that shows sky."""
        pixel = self.pixels(place)
        if self._plane is None:
            return pixel
        corners = self.pixels(self._heat.axes.bbox.corners())
        (x_min, y_min), (x_max, y_max) = corners.min(axis=0), corners.max(axis=0)
        view = View(x_min, x_max, y_min, y_max)
        found = nearest_sky(self._to_sky, view, to=(float(pixel[0]), float(pixel[1])))
        return pixel if found is None else np.array(found)

    def _metric(self, pixel: FloatArray, *, in_pixels: bool) -> FloatArray:
        """The metric of a map pixel: √(dᵀ G d) is as long as a step d."""
        if in_pixels:
            return np.eye(2)
        if self._plane is None:
            return np.diag(self._corner_and_sides()[1] ** 2)
        return pixel_metric(self._plane.to_sky, (float(pixel[0]), float(pixel[1])), self._grid)
