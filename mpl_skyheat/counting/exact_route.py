"""The pixels of points by the exact route, through astropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.sky.grid import View
from mpl_skyheat.sky.pixel_scale import local_areas
from mpl_skyheat.sky.planes import project
from mpl_skyheat.sky.sky_edge import snap_to_sky_edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mpl_skyheat.catalogue.blocks import Block, Catalogue
    from mpl_skyheat.catalogue.streams import Stream
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.sky.geometry import MapGeometry
    from mpl_skyheat.sky.planes import Plane

# Points where a pixel shows less than this fraction of the median solid angle do not set a map's
# bounds: towards its horizon a gnomonic projection stretches the sky without limit.
STRETCHED = 1e-3

# Bounds of a height (deg) below this are a line.
A_LINE = 1e-6

# Height (deg) of sky that a map shows on the one side of a pole, if its bounds are a line there.
BESIDE_A_POLE = 0.5

# Points that are sampled, at least, for the median solid angle of a pixel.
SOME = 10_000


class ProjectedBlock(NamedTuple):
    """A block of rows, and their positions on the plane."""

    block: Block
    x: FloatArray
    y: FloatArray


def project_blocks(catalogue: Catalogue | Stream, plane: Plane) -> Iterator[ProjectedBlock]:
    """Yield the blocks of a catalogue, projected."""
    for block in catalogue.blocks():
        yield ProjectedBlock(block, *project(plane, catalogue.frame, block.lon, block.lat))


def bounds_of(blocks: Callable[[], Iterable[ProjectedBlock]], plane: Plane) -> View:
    """Bounds of projected rows on a plane; one pixel if there are no rows.

    ``blocks()`` gives the rows, a second time only where some are to be left out.
    """
    found, some = _Extremes(), _Sample()
    for _, x, y in blocks():
        found.add(x, y)
        if plane.frame is not None:
            some.add(x, y)
    if found.places is None:
        return View(-0.5, 0.5, -0.5, 0.5)
    if plane.frame is None:
        return found.view
    smallest = STRETCHED * _median_area(plane, *some.places)
    # NaN, at the edge of the sky, compares as false and keeps a point.
    if (local_areas(plane.to_sky, *found.places) < smallest).any():
        found = _Extremes()
        for _, x, y in blocks():
            keep = ~(local_areas(plane.to_sky, x, y) < smallest)
            found.add(x[keep], y[keep])
    return found.view if plane.has_pixels else _opened_at_pole(found.view)


class _Extremes:
    """The outermost of places on a plane that come bit by bit: leftmost, rightmost and so on."""

    def __init__(self) -> None:
        self.places: tuple[FloatArray, FloatArray] | None = None

    def add(self, x: FloatArray, y: FloatArray) -> None:
        known = np.isfinite(x) & np.isfinite(y)
        if not known.any():
            return
        x, y = x[known], y[known]
        if self.places is not None:
            x, y = (np.append(old, new) for old, new in zip(self.places, (x, y), strict=True))
        rows = [x.argmin(), x.argmax(), y.argmin(), y.argmax()]
        self.places = x[rows], y[rows]

    @property
    def view(self) -> View:
        assert self.places is not None
        x, y = self.places
        return View(float(x[0]), float(x[1]), float(y[2]), float(y[3]))


class _Sample:
    """One in a number of places that come bit by bit: all of few, `SOME` or more of many."""

    def __init__(self) -> None:
        self.places: tuple[FloatArray, FloatArray] = np.empty(0), np.empty(0)
        self._every, self._seen = 1, 0

    def add(self, x: FloatArray, y: FloatArray) -> None:
        known = np.isfinite(x) & np.isfinite(y)
        taken = slice(-self._seen % self._every, None, self._every)
        self._seen += int(np.count_nonzero(known))
        new = x[known][taken], y[known][taken]
        joined = [np.append(*both) for both in zip(self.places, new, strict=True)]
        while len(joined[0]) > 2 * SOME:
            joined = [places[::2] for places in joined]
            self._every *= 2
        self.places = joined[0], joined[1]


def _median_area(plane: Plane, x: FloatArray, y: FloatArray) -> float:
    """The median solid angle of pixels at places; 0 where none is known."""
    areas = local_areas(plane.to_sky, x, y)
    is_known = ~np.isnan(areas)  # not at a pole, on a plane in degrees
    return float(np.median(areas[is_known])) if is_known.any() else 0.0


def pixels_of(
    geometry: MapGeometry, plane: Plane, x: FloatArray, y: FloatArray
) -> tuple[BoolArray, IntArray]:
    """Which positions are on a map or its margin, and the flat pixel indices of these.

    ``plane`` is the geometry's, or a thread's copy of it.
    """
    if plane.frame is not None:
        x, y = snap_to_sky_edge(geometry.grid, plane.to_sky, plane.to_plane, x, y)
    return geometry.wide.index(x, y)


def _opened_at_pole(view: View) -> View:
    """Bounds (deg), with some sky below or above them if they are a line beside a pole."""
    if view.y_max - view.y_min > A_LINE or abs(view.y_max) < 90 - BESIDE_A_POLE:
        return view
    x_min, x_max, y_min, y_max = view
    if y_max > 0:
        return View(x_min, x_max, y_min - BESIDE_A_POLE, 90.0)
    return View(x_min, x_max, -90.0, y_max + BESIDE_A_POLE)
