"""The pixels of points by the exact route, through astropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.sky.grid import View
from mpl_skyheat.sky.pixel_scale import local_areas
from mpl_skyheat.sky.planes import project
from mpl_skyheat.sky.sky_edge import snap_to_sky_edge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpl_skyheat.catalogue.blocks import Block, Catalogue
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

# Points that are sampled for the median solid angle of a pixel.
SOME = 10_000


class ProjectedBlock(NamedTuple):
    """A block of rows, and their positions on the plane."""

    block: Block
    x: FloatArray
    y: FloatArray


def project_blocks(catalogue: Catalogue, plane: Plane) -> Iterator[ProjectedBlock]:
    """Yield the blocks of a catalogue, projected."""
    for block in catalogue.blocks():
        yield ProjectedBlock(block, *project(plane, catalogue.frame, block.lon, block.lat))


def bounds_of(blocks: list[ProjectedBlock], plane: Plane) -> View:
    """Bounds of projected rows on a plane; one pixel if there are no rows."""
    x, y = (np.concatenate([np.empty(0), *(block[i] for block in blocks)]) for i in (1, 2))
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if not len(x):
        return View(-0.5, 0.5, -0.5, 0.5)
    if plane.frame is not None:
        x, y = _unstretched(plane, x, y)
    view = View(float(x.min()), float(x.max()), float(y.min()), float(y.max()))
    is_in_degrees = plane.frame is not None and not plane.has_pixels
    return _opened_at_pole(view) if is_in_degrees else view


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


def _unstretched(plane: Plane, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Points without those that a projection has moved towards infinity."""
    some = np.s_[:: len(x) // SOME + 1]
    areas = local_areas(plane.to_sky, x[some], y[some])
    if np.isnan(areas).all():  # at a pole, on a plane in degrees
        return x, y
    smallest = STRETCHED * np.nanmedian(areas)
    extremes = [x.argmin(), x.argmax(), y.argmin(), y.argmax()]
    # NaN, at the edge of the sky, compares as false and keeps a point.
    if not (local_areas(plane.to_sky, x[extremes], y[extremes]) < smallest).any():
        return x, y
    keep = ~(local_areas(plane.to_sky, x, y) < smallest)
    return x[keep], y[keep]
