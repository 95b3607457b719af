"""The equirectangular lattice that maps are smoothed on, on the sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

# Rings and columns around the bins of a lattice, which hold what is spread beyond its edges.
PAD = 3

# Rings and columns kept between what is read off and the edge of a partial lattice: over this many
# bins the spline prefilter forgets the edge, to 0.27¹⁰ ~ 2e-6.
MARGIN = 10

# Bins are never wider (rad): weights spread along a ring pull a point towards its pole.
WIDEST_BIN = np.radians(1.5)

# Bytes that smoothing takes for each bin of a lattice, of which points in threads have four copies.
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
        """Return the lattice for pixels within ± lat and ± lon, and a kernel's reach (all rad)."""
        from scipy.fft import next_fast_len

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
        columns = 2 * next_fast_len(int(np.ceil(lon_limit / step)), real=True)
        return cls(rings, columns, step, step, has_poles=False)

    @classmethod
    def whole(cls, step: float) -> Lattice:
        """Return the lattice of the whole sphere."""
        from scipy.fft import next_fast_len

        step = min(step, WIDEST_BIN)
        rings = 2 * int(np.ceil(np.pi / 2 / step))
        columns = 2 * next_fast_len(int(np.ceil(np.pi / step)), real=True)
        return cls(rings, columns, np.pi / rings, 2 * np.pi / columns, has_poles=True)

    @property
    def bytes(self) -> float:
        """Bytes that smoothing on the lattice takes."""
        return BYTES_PER_BIN * self.rings * self.columns

    @property
    def padded_shape(self) -> tuple[int, int]:
        """Rings and columns, with those beyond its edges."""
        return self.rings + 2 * PAD, self.columns + 2 * PAD

    @property
    def latitudes(self) -> FloatArray:
        """Latitudes (rad) of the rings."""
        return np.asarray((np.arange(self.rings) - 0.5 * (self.rings - 1)) * self.lat_step, float)

    def position(self, lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return row and column (0 at the centre of the first bin) of positions (rad)."""
        row = lat / self.lat_step + 0.5 * (self.rings - 1)
        return row, lon / self.lon_step + 0.5 * (self.columns - 1)
