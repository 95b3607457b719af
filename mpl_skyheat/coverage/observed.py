"""`Observed`: the observed fraction of pixels of a map, or of bins of a lattice, and rows there.

A coverage is sampled in all cells, and more finely in those that its edge may run through. Rows in
these are asked for one by one, so that what is counted and what it is divided by belong together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.compute.tile_layout import LOST
from mpl_skyheat.coverage.forms import ArrayCoverage
from mpl_skyheat.coverage.sampling import Cells, side_of
from mpl_skyheat.sky.grid import Axis, SkyGrid
from mpl_skyheat.sky.kept import Kept
from mpl_skyheat.sky.sky_edge import SkyTest
from mpl_skyheat.sky.vectors import to_positions, to_vectors

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame
    from numpy.typing import NDArray

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.coverage.base import Coverage
    from mpl_skyheat.sky.geometry import MapGeometry, SphereLattice

# Rows in a cell: none is observed, all are, or each is asked for.
UNSEEN, SEEN, ASKED = 0, 1, 2

_kept: Kept[ObservedSky] = Kept()


class Observed:
    """The observed fractions of cells, and which of the rows in them are observed.

    Parameters
    ----------
    coverage : Coverage
        What rows in cut cells are asked of, one by one.
    fractions : array (ny, nx)
        The observed fraction of each cell, 0 … 1.
    is_cut : array of bool (ny, nx)
        Cells that an edge of the coverage may run through.
    """

    def __init__(self, coverage: Coverage, fractions: FloatArray, is_cut: BoolArray) -> None:
        self.coverage, self.fractions = coverage, fractions
        # (Where none of its places is observed, a pixel is masked, and so are its rows.)
        states = np.where(fractions > 0, np.where(is_cut, ASKED, SEEN), UNSEEN).ravel()
        # OFF … LOST, −1 … −3, index these from the end.
        self._states = np.append(states, [SEEN] * -LOST).astype(np.uint8)

    @property
    def nbytes(self) -> int:
        """Bytes of the fractions and states of cells; the coverage has bytes of its own."""
        return self.fractions.nbytes + self._states.nbytes

    def sees(
        self,
        cells: NDArray[Any],
        lon: FloatArray,
        lat: FloatArray,
        frame: BaseCoordinateFrame | None,
    ) -> BoolArray:
        """Which rows are observed, by the flat indices of their cells and positions (deg).

        Rows off the cells, such as OFF, pass for observed.
        """
        states = self._states[cells]
        seen: BoolArray = states != UNSEEN
        asked = np.flatnonzero(states == ASKED)
        if len(asked):
            seen[asked] = self.coverage.fractions_in(lon[asked], lat[asked], frame) > 0
        return seen


@dataclass(frozen=True)
class ObservedSky:
    """What was observed of a map.

    ``pixels`` are the pixels of the map with those of its margin. On a map that is smoothed on the
    sphere, ``bins`` are those of its lattice, and ``left_out`` the longitudes, latitudes (rad, on
    the lattice) and solid angles (sr) of what was not observed, as points.
    """

    pixels: Observed
    bins: Observed | None = None
    left_out: tuple[FloatArray, FloatArray, FloatArray] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that are held while this is kept: the coverage's arrays, too."""
        parts: list[Any] = [self.pixels.coverage, self.pixels, *(self.left_out or ())]
        parts += [] if self.bins is None else [self.bins]
        return int(sum(part.nbytes for part in parts))


def observed_sky(
    geometry: MapGeometry, coverage: Coverage, frame: BaseCoordinateFrame | None
) -> ObservedSky:
    """What a coverage says was observed of a map of points in a frame; kept for the next map."""
    coverage = coverage.of_points(frame).on(geometry)

    def find() -> ObservedSky:
        side = side_of(geometry.wide, geometry.plane.to_sky)
        pixels = observed_pixels(geometry, coverage, side)
        if geometry.sphere is None:
            return ObservedSky(pixels)
        frame = geometry.plane.frame
        return ObservedSky(pixels, *observed_bins(geometry.sphere, coverage, frame, side))

    if coverage.key is None:
        return find()
    return _kept.get(geometry, coverage.key, find, bytes_of=lambda found: found.nbytes)


def observed_pixels(geometry: MapGeometry, coverage: Coverage, side: float) -> Observed:
    """The observed fractions of a map's pixels, with those of its margin.

    ``side`` (rad) is the length that few sides of pixels are longer than.
    """
    grid, plane = geometry.wide, geometry.plane
    if isinstance(coverage, ArrayCoverage):
        fractions = np.zeros(grid.shape)
        fractions[geometry.core] = coverage.pixels
        return Observed(coverage, fractions, np.zeros(grid.shape, bool))
    sky = SkyTest(grid, plane.to_sky, plane.to_plane, plane.shows)
    areas = geometry.wide_solid_angles
    cells = Cells(grid, plane.to_sky, plane.frame, coverage, side, side, sky)
    fractions, is_cut, _ = cells.sampled(areas > 0)
    return Observed(coverage, _with_slivers(fractions, areas > 0), is_cut)


def observed_bins(
    sphere: SphereLattice, coverage: Coverage, frame: BaseCoordinateFrame | None, part: float
) -> tuple[Observed, tuple[FloatArray, FloatArray, FloatArray]]:
    """The observed fractions of the bins of a lattice, turned against a frame, and what is left.

    ``part`` is the width (rad) of the coverage's parts, if it does not say it.
    """
    lattice = sphere.lattice
    lat_step, lon_step = np.degrees(lattice.lat_step), np.degrees(lattice.lon_step)
    grid = SkyGrid(
        Axis(-0.5 * lattice.columns * lon_step, lon_step, lattice.columns),
        Axis(-0.5 * lattice.rings * lat_step, lat_step, lattice.rings),
    )

    def to_sky(lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        return to_positions(to_vectors(lon, lat) @ sphere.turn)

    def everywhere(x: FloatArray, y: FloatArray) -> BoolArray:
        return np.ones(np.broadcast_shapes(x.shape, y.shape), bool)

    side = max(lattice.lat_step, lattice.lon_step)
    cells = Cells(grid, to_sky, frame, coverage, side, part, everywhere)
    fractions, is_cut, offsets = cells.sampled(np.ones(grid.shape, bool))
    edges = np.sin(np.radians(grid.y.edges))
    area = (1 - fractions) * (lattice.lon_step * np.diff(edges))[:, np.newaxis]
    rows, columns = np.nonzero(area)
    number = np.cumsum(is_cut.ravel()).reshape(is_cut.shape)[rows, columns] - 1
    shift = np.where(is_cut[rows, columns], offsets[:, number], 0.0) if is_cut.any() else 0.0
    y, x = np.stack([rows + 0.5, columns + 0.5]) + shift
    places = np.radians(grid.x.place(x)), np.radians(grid.y.place(y))
    return Observed(coverage, fractions, is_cut), (*places, area[rows, columns])


def _with_slivers(fractions: FloatArray, has_sky: BoolArray) -> FloatArray:
    """Fractions, those of slivers of sky that no place is in as in the nearest pixels."""
    unknown = np.isnan(fractions)
    if not (unknown & has_sky).any():
        return np.nan_to_num(fractions)
    from scipy.ndimage import distance_transform_edt

    nearest = distance_transform_edt(unknown, return_distances=False, return_indices=True)
    return np.where(has_sky, np.nan_to_num(fractions[tuple(nearest)]), np.nan_to_num(fractions))
