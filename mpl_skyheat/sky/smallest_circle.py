"""The smallest circle on the sky that holds a catalogue."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.sky.reach import SLACK, Caps, SkyReach
from mpl_skyheat.sky.vectors import separation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mpl_skyheat.compute.arrays import FloatArray

# Positions beyond a circle by less than this fraction of its radius, or this angle (rad), are on
# it: they differ from it by rounding.
RELATIVE, ABSOLUTE = 1e-9, 1e-15


class Circle(SkyReach):
    """A circle that grows; only positions outside of it may count.

    Its centre is a unit vector. The radius (rad) of one that holds nothing is negative.
    """

    def __init__(self, center: FloatArray, radius: float = -1.0) -> None:
        self.center, self.radius = center, radius

    @property
    def caps(self) -> Caps:
        # From the opposite point to the circle; all of the sky around none.
        return Caps(-self.center[np.newaxis], np.array([np.pi - max(self.radius, 0.0) + SLACK]))


def smallest_circle(
    blocks: Callable[[Circle], Iterable[FloatArray]], widest: float
) -> tuple[FloatArray, float]:
    """Centre (a unit vector) and radius (rad) of the smallest circle that holds unit vectors.

    The radius is π if that is wider than ``widest``, which is below π/2; it is negative if there
    are no vectors. ``blocks(circle)`` gives the vectors (n, 3), and is called again until none is
    outside; what is in the circle so far may be left out.

    The circle is that of two or three of the positions. The one farthest from it joins them, and
    the circle of these four is larger, so that the search ends (Gärtner 1999, ESA '99, 325).
    """
    circle, on_rim = Circle(np.array([1.0, 0.0, 0.0])), np.empty((0, 3))
    is_growing = True
    while is_growing:
        is_growing = False
        for vectors in blocks(circle):
            while True:
                offset = vectors - circle.center
                farthest = int(np.argmax(np.einsum("ij,ij->i", offset, offset)))
                distance = float(separation(vectors[farthest], circle.center))
                if distance <= circle.radius * (1 + RELATIVE) + ABSOLUTE:
                    break
                found = _circle_of_few(np.vstack([on_rim, vectors[farthest]]), widest)
                if found is None:
                    return vectors[0], np.pi
                if found[1] <= circle.radius:  # by rounding
                    circle.radius = distance
                    break
                is_growing = True
                circle.center, circle.radius, on_rim = found
    return circle.center, circle.radius


def _circle_of_few(
    points: FloatArray, widest: float
) -> tuple[FloatArray, float, FloatArray] | None:
    """The smallest circle that holds up to four positions, and those on it; None if too wide."""
    best = None
    for number in (1, 2, 3):
        for some in map(np.array, combinations(points, number)):
            middle = some.mean(axis=0)
            if number == 3:
                # The centre of the plane circle, which has full precision on small ones.
                a, b = some[1] - some[0], some[2] - some[0]
                normal = np.cross(a, b)
                if not normal.any():
                    continue
                offset = np.cross((a @ a) * b - (b @ b) * a, normal) / (2 * normal @ normal)
                middle = some[0] + offset
            length = np.linalg.norm(middle)
            if length == 0:
                continue
            center = middle / length
            radius = float(separation(some, center).max())
            reach = separation(points, center).max()
            is_larger = best is not None and radius >= best[1]
            if is_larger or radius > widest or reach > radius * (1 + RELATIVE) + ABSOLUTE:
                continue
            best = center, radius, some
    return best
