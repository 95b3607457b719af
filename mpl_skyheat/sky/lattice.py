"""The equirectangular lattice that maps are smoothed on, on the sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray, IntArray

# Rings and columns beyond each edge of a lattice, where points near the edge are spread to.
PAD = 3

# Rings and columns between the map and the edge of a partial lattice: over this many bins the
# spline prefilter damps the effect of the edge to 0.27¹⁰ ~ 2e-6.
MARGIN = 10

# Widest bin (rad): weights that are spread along a ring pull a point towards its pole.
WIDEST_BIN = np.radians(1.5)

# Memory (bytes) that smoothing takes for each bin of a lattice; threads keep four copies of sums.
BYTES_PER_BIN = 168.0


@dataclass(frozen=True)
class Lattice:
    """Bins of ``rings`` × ``columns`` about latitude and longitude zero.

    A lattice that reaches the poles has rings of 360 deg; another is a window, surrounded by sky
    that the kernel does not reach across. Steps are in rad.
    """

    rings: int
    columns: int
    lat_step: float
    lon_step: float
    has_poles: bool

    @classmethod
    def covering(cls, lat: float, lon: float, reach: float, step: float) -> Lattice:
        """The lattice for pixels within ± lat and ± lon, and a kernel's reach (all rad)."""
        step = min(step, WIDEST_BIN)
        lat_limit = lat + reach + MARGIN * step
        if lat_limit >= np.radians(85):
            return cls.whole(step)
        # A circle of radius ρ around latitude φ spans ± arcsin(sin ρ / sin(90° − φ)) in longitude.
        across = np.arcsin(min(np.sin(min(reach, np.pi / 2)) / np.cos(lat_limit), 1.0))
        lon_limit = lon + across + MARGIN * step / np.cos(lat_limit)
        if lon_limit >= np.radians(150):
            return cls.whole(step)
        rings = 2 * int(np.ceil(lat_limit / step))
        columns = _columns(lon_limit / step)
        return cls(rings, columns, step, step, has_poles=False)

    @classmethod
    def whole(cls, step: float) -> Lattice:
        """The lattice of the whole sphere, in bins of about ``step`` (rad)."""
        step = min(step, WIDEST_BIN)
        rings = 2 * int(np.ceil(np.pi / 2 / step))
        columns = _columns(np.pi / step)
        return cls(rings, columns, np.pi / rings, 2 * np.pi / columns, has_poles=True)

    @property
    def bytes(self) -> float:
        """Memory (bytes) that smoothing on the lattice takes."""
        return BYTES_PER_BIN * self.rings * self.columns

    @property
    def padded_shape(self) -> tuple[int, int]:
        """Rings and columns, with `PAD` more beyond each edge."""
        return self.rings + 2 * PAD, self.columns + 2 * PAD

    @property
    def latitudes(self) -> FloatArray:
        """Latitudes (rad) of the rings."""
        return np.asarray((np.arange(self.rings) - 0.5 * (self.rings - 1)) * self.lat_step, float)

    @property
    def centres(self) -> tuple[FloatArray, FloatArray]:
        """Longitudes and latitudes (rad) of the bins' centres, both (rings, columns)."""
        lon = (np.arange(self.columns) - 0.5 * (self.columns - 1)) * self.lon_step
        centres = np.meshgrid(lon, self.latitudes)
        return centres[0], centres[1]

    @property
    def bin_areas(self) -> FloatArray:
        """The solid angle (sr) of a bin of each ring."""
        edges = (np.arange(self.rings + 1) - 0.5 * self.rings) * self.lat_step
        return np.asarray(self.lon_step * np.diff(np.sin(edges)), float)

    def position(self, lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Row and column (0 at the centre of the first bin) of positions (rad)."""
        row = lat / self.lat_step + 0.5 * (self.rings - 1)
        return row, lon / self.lon_step + 0.5 * (self.columns - 1)

    def bins_of(self, lon: FloatArray, lat: FloatArray) -> tuple[BoolArray, IntArray]:
        """Which positions (rad) are on the lattice, and the flat indices of the bins of these."""
        row, column = (np.floor(place + 0.5) for place in self.position(lon, lat))
        if self.has_poles:
            row, column = np.clip(row, 0, self.rings - 1), column % self.columns
        inside = (row >= 0) & (row < self.rings) & (column >= 0) & (column < self.columns)
        return inside, (row[inside] * self.columns + column[inside]).astype(np.intp)


def _columns(half: float) -> int:
    """An even number of columns, at least twice ``half``, that an FFT is fast for."""
    from scipy.fft import next_fast_len

    return 2 * int(next_fast_len(int(np.ceil(half)), real=True))
