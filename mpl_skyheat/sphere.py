"""Smoothing on the sphere: brings a catalogue, kernels in angle and a plane's pixels together.

Positions are turned so that the middle of the map lies at longitude and latitude zero of the
lattice of `rings`: that of a field is then a small window.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.grid import SkyGrid, to_vectors
from mpl_skyheat.memory import allowed_bytes
from mpl_skyheat.projection import change_frame, frame_rotation, turned
from mpl_skyheat.rings import Lattice, PointSpread, Smoothing
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


# How well (in bins) positions of pixels on the lattice are interpolated.
ACCURACY = 1e-5


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
        middle = plane.to_sky(np.array([centre[0]]), np.array([centre[1]]))
        self._turn = _rotation_to_origin(float(middle[0][0]), float(middle[1][0]))
        self._rotation = frame_rotation(frame, plane.frame)
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

    def _pixels_of(self, area: FloatArray) -> SkyPixels:
        finest = min(kernel.bin_size for _, kernel in self._terms)
        accuracy = ACCURACY * finest
        return SkyPixels(self._plane, self._grid, area, self._turn, accuracy)

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

    def density(self) -> FloatArray:
        """Return the sum in the pixels with an area; NaN in the others."""
        if not self._spreads:
            return np.full(self._grid.shape, np.nan)
        density = np.zeros(self._grid.shape)
        for spread, (factor, kernel) in zip(self._spreads, self._terms, strict=True):
            smooth = Smoothing(spread.lattice, kernel, self._team)(spread.bins)
            density += factor * self._pixels.values(smooth, kernel)
        return density


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
