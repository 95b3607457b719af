"""The observed fractions of cells, sampled: in all of them, and finely where an edge may run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.coverage.base import EdgedCoverage
from mpl_skyheat.sky.block_polynomials import interpolated
from mpl_skyheat.sky.frames import change_frame, frame_rotation
from mpl_skyheat.sky.grid import BAND, SkyGrid
from mpl_skyheat.sky.sky_edge import lattice_in_pixels, places_all_over
from mpl_skyheat.sky.vectors import separation, to_positions, to_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray
    from mpl_skyheat.coverage.base import Coverage
    from mpl_skyheat.sky.grid import Projection

# Places along each side of a cell that the edge of the coverage may run through.
FINE = 8

# Places in the smallest part of a coverage, along each side, that none of it is missed. Where its
# size is not known, parts are taken to be as wide as the map's pixels.
PLACES_IN_PART = 2

# Places along each side of a map at which the sides of pixels are measured, and the percentage of
# these that are shorter than what stands for them.
PLACES = 16
MOST = 98

# Most cells along each side of a block that is looked at in place of these.
LARGEST_BLOCK = 32

# Fractions that differ by less than this, as of a completeness that varies, do not make an edge: a
# mean of few is right to a quarter of it. What was observed and what was not always do.
STEP = 0.2

# Positions of samples are right to this fraction of a cell.
ACCURACY = 0.01

# By how much the radius of a cell is taken larger than that of a parallelogram.
ROOM = 1.1

# Largest cells (rad) between whose corners positions are interpolated: a quarter of the side's
# square, in cells, is by how much they are off.
SMALL_CELL = np.radians(1.0)

# Cells that are sampled finely together.
TOGETHER = BAND // FINE**2


@dataclass(frozen=True)
class Cells:
    """Cells of about one ``side`` (rad) on a plane whose positions are in a frame.

    ``part`` is the width (rad) of parts of a coverage that does not say how fine it is.
    """

    grid: SkyGrid
    to_sky: Projection
    frame: BaseCoordinateFrame | None
    coverage: Coverage
    side: float
    part: float
    is_sky: Callable[[FloatArray, FloatArray], BoolArray]

    def sampled(self, has_sky: BoolArray) -> tuple[FloatArray, BoolArray, FloatArray]:
        """Observed fractions of all cells, NaN without a place on the sky; and which may be cut.

        Of the cut ones, offsets (2, m) along y and x (cells) from the middle to that of what was
        not observed.
        """
        fractions, is_cut = self._of_all_parts()
        is_cut &= has_sky
        return fractions, is_cut, self._sampled_finely(fractions, is_cut)

    def _of_all_parts(self) -> tuple[FloatArray, BoolArray]:
        """Products over the coverage's parts, and cells in which these may differ."""
        fractions, is_cut = np.ones(self.grid.shape), np.zeros(self.grid.shape, bool)
        is_empty = np.zeros(self.grid.shape, bool)
        for coverage in self.coverage.parts:
            found, may_differ = replace(self, coverage=coverage).looked_at()
            is_empty |= (found == 0) & ~may_differ
            fractions *= found
            # Cells in which no place was on the sky, beside its edge, are looked at finely, too.
            is_cut |= may_differ | np.isnan(found)
        fractions[is_empty] = 0.0
        return fractions, is_cut & ~is_empty

    def _sampled_finely(self, fractions: FloatArray, is_cut: BoolArray) -> FloatArray:
        """Set the fractions of the cut cells; return the offsets of what was not observed there."""
        rows, columns = np.divmod(np.flatnonzero(is_cut), self.grid.x.count)
        offsets = np.zeros((2, len(rows)))
        for start in range(0, len(rows), TOGETHER):
            some = slice(start, start + TOGETHER)
            parts = self._asked(self._finely(rows[some], columns[some]))
            known = np.isfinite(parts)
            means = _mean(parts[:, :, np.newaxis], known[:, :, np.newaxis])
            fractions[rows[some], columns[some]] = means[:, 0]
            offsets[:, some] = _offsets(np.where(known, 1 - parts, 0.0))
        return offsets

    def looked_at(self) -> tuple[FloatArray, BoolArray]:
        """Fractions of all cells, NaN or rough where they may differ within a cell; which may."""
        coverage = self.coverage
        # The cells of a MOC that are wider than two pixels are not missed by a place in each pixel.
        if isinstance(coverage, EdgedCoverage) and coverage.finest < PLACES_IN_PART * self.side:
            return self._certain(coverage)
        return self.compared()

    def _certain(self, coverage: EdgedCoverage) -> tuple[FloatArray, BoolArray]:
        """Fractions of cells that the coverage says are the same all over; the others are cut."""
        shape = self.grid.shape
        vectors = np.concatenate([self._vectors(rows, 1) for rows in self.grid.bands()])
        radius = _radii(vectors)
        fractions = np.full(shape, np.nan)
        known = np.isfinite(radius)
        lon, lat = self._positions(vectors[known])
        fractions[known] = coverage.certain(lon, lat, radius[known])
        return fractions, np.isnan(fractions)

    def compared(self) -> tuple[FloatArray, BoolArray]:
        """Fractions at some places in each cell, and cells where these, or those around, differ."""
        merged = int(self.coverage.finest / (PLACES_IN_PART * self.side))
        if merged > 1:
            return self._compared_in_blocks(min(merged, LARGEST_BLOCK))
        fractions, least, most = (np.empty(self.grid.shape) for _ in range(3))
        number = self._places_along_side()
        for rows in self.grid.bands(number**2):
            parts = self._asked(self._vectors(rows, number))
            parts = parts.reshape(-1, number, self.grid.x.count, number)
            known = np.isfinite(parts)
            fractions[rows] = _mean(parts, known)
            least[rows] = np.where(known, parts, np.inf).min(axis=(1, 3))
            most[rows] = np.where(known, parts, -np.inf).max(axis=(1, 3))
        return fractions, _differ_around(least, most)

    def _compared_in_blocks(self, merged: int) -> tuple[FloatArray, BoolArray]:
        """The same of cells far smaller than the coverage's parts, of blocks of them first."""
        blocks = replace(self, grid=self.grid.merged(merged), side=merged * self.side)
        ny, nx = self.grid.shape
        block = np.ones((merged, merged), bool)
        of_blocks, cut_blocks = blocks.compared()
        fractions = np.asarray(np.kron(of_blocks, block)[:ny, :nx], float)
        is_cut = np.kron(cut_blocks, block)[:ny, :nx]
        # (np.nonzero is slow in two dimensions.)
        rows, columns = np.divmod(np.flatnonzero(is_cut | np.isnan(fractions)), nx)
        places = self.grid.x.centres[columns], self.grid.y.centres[rows]
        fractions[rows, columns] = self._asked(self._on_sky(*places))
        # Only beside these may others differ.
        is_cut = np.zeros(self.grid.shape, bool)
        is_cut[rows, columns] = _differ_beside(fractions, rows, columns)
        return fractions, is_cut

    def _places_along_side(self) -> int:
        finest = self.coverage.finest or self.part
        return int(np.clip(np.ceil(PLACES_IN_PART * self.side / finest), 1, FINE))

    def _vectors(self, rows: slice, number: int) -> FloatArray:
        """Unit vectors of n × n places in the cells of some rows, (n × rows, n × columns, 3)."""
        part = SkyGrid(self.grid.x, self.grid.y.part(rows.start, rows.stop)).split(number)

        def positions(x: FloatArray, y: FloatArray) -> FloatArray:
            return np.moveaxis(to_vectors(*self.to_sky(x, y)), -1, 0)

        images, known = interpolated(
            part, positions, self.is_sky, number=3, atol=ACCURACY * self.side
        )
        vectors = np.moveaxis(images, 0, -1)
        y, x = np.nonzero(~known)
        vectors[y, x] = self._on_sky(part.x.centres[x], part.y.centres[y])
        return vectors

    def _on_sky(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Unit vectors of places; NaN off the sky."""
        vectors = to_vectors(*self.to_sky(x, y))
        vectors[~self.is_sky(x, y)] = np.nan
        return vectors

    def _finely(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Unit vectors (m, `FINE`, `FINE`, 3) in cells, from those of their corners."""
        along = (np.arange(FINE) + 0.5) / FINE
        corners = self._on_sky(*lattice_in_pixels(self.grid, rows, columns, 1))
        (a, b), (c, d) = np.moveaxis(corners, (1, 2), (0, 1))
        s, t = along[:, np.newaxis, np.newaxis], along[:, np.newaxis]
        a, b, c, d = (v[:, np.newaxis, np.newaxis] for v in (a, b, c, d))
        vectors = (1 - s) * ((1 - t) * a + t * b) + s * ((1 - t) * c + t * d)
        size = np.max([separation(*ends) for ends in ((a, d), (b, c))], axis=0).ravel()
        exact = np.flatnonzero(~(size < min(SMALL_CELL, 4 * self.side)))
        x = self.grid.x.place(columns[exact, np.newaxis, np.newaxis] + along)
        y = self.grid.y.place(rows[exact, np.newaxis, np.newaxis] + along[:, np.newaxis])
        vectors[exact] = self._on_sky(*np.broadcast_arrays(x, y))
        return np.asarray(vectors)

    def _asked(self, vectors: FloatArray) -> FloatArray:
        """The observed fractions at unit vectors of the plane's frame; NaN where they are NaN."""
        found = np.full(vectors.shape[:-1], np.nan)
        known = np.isfinite(vectors[..., 0])
        found[known] = self.coverage.fractions(*self._positions(vectors[known]))
        return found

    def _positions(self, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions (deg) in the frame of the coverage of unit vectors (n, 3) of the plane's."""
        source, target = self.frame, self.coverage.frame
        if source is None or target is None or source.is_equivalent_frame(target):
            return to_positions(vectors)
        if (rotation := frame_rotation(source, target)) is not None:
            return to_positions(vectors @ rotation.T)
        return change_frame(*to_positions(vectors), source, target)


def side_of(grid: SkyGrid, to_sky: Projection) -> float:
    """The length (rad) that few sides of pixels are longer than, as those across a tear."""
    x, y = places_all_over(grid, PLACES)
    here, right, up = (
        to_vectors(*to_sky(x + dx, y + dy))
        for dx, dy in ((0, 0), (grid.x.step, 0), (0, grid.y.step))
    )
    lengths = np.concatenate([separation(here, right), separation(here, up)], axis=None)
    known = lengths[np.isfinite(lengths)]
    return float(np.percentile(known, MOST)) if len(known) else np.pi


def _radii(vectors: FloatArray) -> FloatArray:
    """Radii (rad) around the middles of cells that these are in; NaN beside the edge of the sky.

    Half of the ways to the next middles along both axes, with some room.
    """
    if min(vectors.shape[:2]) < 2:
        return np.full(vectors.shape[:2], np.nan)
    up = np.pad(separation(vectors[1:], vectors[:-1]), ((1, 1), (0, 0)), mode="edge")
    right = np.pad(separation(vectors[:, 1:], vectors[:, :-1]), ((0, 0), (1, 1)), mode="edge")
    ways = np.maximum(up[1:], up[:-1]) + np.maximum(right[:, 1:], right[:, :-1])
    return np.asarray(0.5 * ROOM * ways)


def _differ_around(least: FloatArray, most: FloatArray) -> BoolArray:
    """Cells of whose values, or of those of the cells around, the least and the most differ.

    Off the sky, which is no edge, they are infinite.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    return _is_edge(minimum_filter(least, 3), maximum_filter(most, 3))


def _differ_beside(fractions: FloatArray, rows: IntArray, columns: IntArray) -> BoolArray:
    """Which of some cells have a fraction that differs from those around; NaN off the sky."""
    padded = np.pad(fractions, 1, constant_values=np.nan)
    around = np.stack([padded[rows + y, columns + x] for y in range(3) for x in range(3)])
    known = np.isfinite(around)
    least, most = (np.where(known, around, none) for none in (np.inf, -np.inf))
    return _is_edge(least.min(axis=0), most.max(axis=0))


def _is_edge(low: FloatArray, high: FloatArray) -> BoolArray:
    """Whether fractions between a low and a high one make an edge."""
    return np.asarray((high > low + STEP) | ((low == 0) & (high > 0)))


def _mean(parts: FloatArray, known: BoolArray) -> FloatArray:
    """Means of (rows, n, columns, n) over places in cells; NaN without one."""
    numbers = known.sum(axis=(1, 3))
    total = np.where(known, parts, 0.0).sum(axis=(1, 3))
    means: FloatArray = np.full(total.shape, np.nan)
    np.divide(total, numbers, out=means, where=numbers > 0)
    return means


def _offsets(weights: FloatArray) -> FloatArray:
    """Means (2, m), along y and x, of places in cells, weighed by (m, `FINE`, `FINE`)."""
    along = (np.arange(FINE) + 0.5) / FINE - 0.5
    total = weights.sum(axis=(1, 2))
    sums = np.stack([weights.sum(axis=2) @ along, weights.sum(axis=1) @ along])
    means: FloatArray = np.zeros(sums.shape)
    np.divide(sums, total, out=means, where=total > 0)
    return means
