"""Smoothing on the sphere: brings a catalogue, kernels in angle and a plane's pixels together.

Positions are turned so that the middle of the map lies at longitude and latitude zero of the
lattice of `rings`: that of a field is then a small window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.balancing import Factors, balanced
from mpl_skyheat.grid import SkyGrid, to_vectors
from mpl_skyheat.memory import allowed_bytes
from mpl_skyheat.projection import change_frame, frame_rotation, turned
from mpl_skyheat.rings import Lattice, PointSpread, Smoothing
from mpl_skyheat.skyedge import inner_pixels, marked
from mpl_skyheat.skypixels import SkyPixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import BaseCoordinateFrame
    from numpy.typing import NDArray

    from mpl_skyheat.kernels import RadialKernel
    from mpl_skyheat.planes import Plane
    from mpl_skyheat.points import Catalogue
    from mpl_skyheat.threads import Team

    FloatArray = NDArray[np.float64]
    Smoother = tuple[Smoothing, Factors | None]


# How well (in bins) positions of pixels on the lattice are interpolated.
ACCURACY = 1e-5

# The edge of a map is one point of the sky, opposite to its centre, if so many pixels all along it
# are on average not farther from that than this fraction of a unit sphere's radius.
SOME, NEAR = 64, 0.1


class SphereSum:
    """Σ cᵢ Σₚ wₚ Kᵢ(separation) per sr in the pixels of a grid, over points that come in chunks."""

    def __init__(
        self,
        frame: BaseCoordinateFrame,
        plane: Plane,
        centre: tuple[float, float],
        grid: SkyGrid,
        area: FloatArray,
        terms: Sequence[tuple[float, RadialKernel]],
        team: Team,
    ) -> None:
        assert plane.frame is not None
        self._plane, self._grid, self._terms, self._team = plane, grid, terms, team
        self._centre = centre
        middle = plane.to_sky(np.array([centre[0]]), np.array([centre[1]]))
        self._turn = _rotation_to_origin(float(middle[0][0]), float(middle[1][0]))
        rim = _rim(plane, grid, area)
        if len(rim) and float(np.linalg.norm(rim.mean(axis=0) + self._turn[0])) < NEAR:
            # At a pole of the lattice, few rings have the long pixels of the rim.
            self._turn = self._turn[[1, 2, 0]]
        self._rotation = frame_rotation(frame, plane.frame)
        self._smoothers: list[Smoother] = []
        self._spreads: list[PointSpread] = []
        if not (area > 0).any():
            return
        self._pixels = self._pixels_of(area)
        lattices = [self._pixels.lattice(kernel) for _, kernel in terms]
        _check_memory(lattices)
        self._spreads = [
            PointSpread(lattice, kernel.spline_order)
            for lattice, (_, kernel) in zip(lattices, terms, strict=True)
        ]

    def balance(self) -> None:
        """Find the factors that go with the pixels; points may be added meanwhile."""
        found: list[Smoother] = []
        for spread, (_, kernel) in zip(self._spreads, self._terms, strict=True):
            belt = self._pixels.uneven_belt(kernel)
            smoothing = Smoothing(spread.lattice, kernel, self._team, keeps=belt is not None)
            factors = None if belt is None else balanced(self._pixels, smoothing, belt)
            found.append((smoothing, factors))
        self._smoothers = found

    def _pixels_of(self, area: FloatArray) -> SkyPixels:
        finest = min(kernel.bin_size for _, kernel in self._terms)
        accuracy = ACCURACY * finest
        return SkyPixels(self._plane, self._grid, area, self._centre, self._turn, accuracy)

    def add(self, chunk: Catalogue, *, is_compiled: bool) -> None:
        """Add points, in the frame that was told before."""
        if is_compiled and self._rotation is not None:
            whole = self._turn @ self._rotation
            for lon, lat, weights in chunk.arrays():
                for spread in self._spreads:
                    spread.add_compiled(lon, lat, weights, whole, self._team)
            return
        for block in chunk.blocks():
            lon, lat = block.lon, block.lat
            if self._rotation is None:
                lon, lat = change_frame(lon, lat, chunk.frame, self._plane.frame)
            whole = self._turn if self._rotation is None else self._turn @ self._rotation
            positions = turned(lon, lat, whole, is_compiled=False)
            for spread in self._spreads:
                spread.add(*positions, block.weights)

    def density(self, area: FloatArray) -> FloatArray:
        """Return the sum in the pixels with an area; NaN in the others."""
        if not self._spreads:
            return np.full(self._grid.shape, np.nan)
        if np.count_nonzero(area) != self._pixels.count:  # points have shown more sky
            self._pixels, self._smoothers = self._pixels_of(area), []
        if not self._smoothers:
            self.balance()
        density = np.zeros(self._grid.shape)
        for spread, (smoothing, factors), (factor, kernel) in zip(
            self._spreads, self._smoothers, self._terms, strict=True
        ):
            bins = spread.bins
            if factors is not None:
                bins *= factors.of_bins
            density += factor * self._pixels.values(
                smoothing(bins), kernel, factors and factors.of_pixels
            )
        return density


def _rim(plane: Plane, grid: SkyGrid, area: FloatArray) -> FloatArray:
    """Return unit vectors to some of the pixels at the edge of the sky."""
    on_sky = area > 0
    row, column = marked(on_sky & ~inner_pixels(on_sky))
    some = np.s_[:: len(row) // SOME + 1]
    vectors = to_vectors(*plane.to_sky(grid.x.centres[column[some]], grid.y.centres[row[some]]))
    return vectors[np.isfinite(vectors[:, 0])]


def _check_memory(lattices: Sequence[Lattice]) -> None:
    needed = sum(lattice.bytes for lattice in lattices)
    if needed > allowed_bytes():
        finest = max(lattices, key=lambda lattice: lattice.bytes)
        raise ValueError(
            f"kernel is too narrow for so much sky: smoothing on the sphere takes {finest.rings} x "
            f"{finest.columns} bins and {needed / 2**30:.3g} GiB, more than half of this machine's "
            "memory; a wider kernel, a smaller region, or geometry='plane' would do"
        )


def _rotation_to_origin(lon: float, lat: float) -> FloatArray:
    """Return the rotation that takes a position (deg) to zero, with north kept up."""
    (x,) = to_vectors(np.array([lon]), np.array([lat]))
    (z,) = to_vectors(np.array([lon]), np.array([lat + 90.0]))
    return np.stack([x, np.cross(z, x), z])
