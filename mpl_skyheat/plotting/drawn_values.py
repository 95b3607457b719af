"""The values of a map that its picture shows, and those that its colours are scaled to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from mpl_skyheat.compute.arrays import BoolArray
    from mpl_skyheat.maps.sky_map import SkyMap


def is_whole(sky_map: SkyMap) -> BoolArray:
    """Whether a pixel shows at least half as much sky as the largest of its neighbours.

    A single source in a sliver at the sky's edge makes a density beyond all others, to which the
    colours must not be scaled.
    """
    area = np.asarray(sky_map.solid_angle)
    if sky_map.coverage is not None:
        area = area * sky_map.coverage
    if area.min() >= 0.5 * area.max():
        return np.ones(area.shape, bool)
    from scipy.ndimage import maximum_filter

    return np.asarray(area >= 0.5 * maximum_filter(area, 3))


def drawn_values(sky_map: SkyMap, ax: Axes) -> NDArray[np.float64]:
    """The map's values, and off the sky beside its rim the mean of the pixels around.

    Pixels end in steps along an elliptical frame, between which white flecks would be left.
    """
    values: NDArray[np.float64] = np.array(sky_map.data, float)
    # WCSAxes draws a rectangle as a path of eight corners, matplotlib as one of five.
    corners = np.shape(ax.patch.get_path().vertices)[0]
    if sky_map.solid_angle is None or corners in (5, 8):
        return values
    from scipy.ndimage import convolve

    off_sky = np.asarray(sky_map.solid_angle) == 0
    for _ in range(2 if off_sky.any() else 0):  # A fleck is up to two pixels wide.
        known = np.isfinite(values)
        total, number = (
            convolve(v, np.ones((3, 3)), mode="constant")
            for v in (np.where(known, values, 0), known.astype(float))
        )
        np.divide(total, number, out=values, where=off_sky & np.isnan(values) & (number > 0))
    return values
