"""`MapGeometry`: where a map is, before any row of a catalogue is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.compute.memory import allowed_bytes
from mpl_skyheat.compute.threads import Team
from mpl_skyheat.sky.grid import SkyGrid
from mpl_skyheat.sky.lattice import Lattice
from mpl_skyheat.sky.solid_angles import solid_angles
from mpl_skyheat.sky.vectors import to_vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpl_skyheat.compute.arrays import FloatArray, IntArray
    from mpl_skyheat.sky.planes import Plane

# Places along each side of a map at which, beside its border, its reach on the lattice is measured.
# A map that holds a pole of the lattice reaches far beyond a gap between these.
SAMPLES = 33

# Most products of a ring with a kernel's ring, over all columns: some 5 s on one core. Only
# kernels with wings of hundreds of widths take more on a lattice that fits in memory.
MOST_PRODUCTS = 3e9


class SphereLattice:
    """A lattice, turned against the frame of a plane.

    The matrix ``turn`` (3, 3) takes unit vectors of the plane's frame to the lattice; ``orders``
    are those of the splines, 1 or 3, that points are spread with, and ``reach`` (rad) is that of
    the kernel.
    """

    def __init__(
        self, lattice: Lattice, turn: FloatArray, orders: Sequence[int], reach: float
    ) -> None:
        self.lattice, self.turn, self.orders = lattice, turn, tuple(orders)
        self.reach = reach

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SphereLattice):
            return NotImplemented
        is_same = (self.lattice, self.orders) == (other.lattice, other.orders)
        return is_same and np.array_equal(self.turn, other.turn)

    @classmethod
    def covering(
        cls,
        plane: Plane,
        grid: SkyGrid,
        centre: tuple[float, float],
        step: float,
        reach: float,
        orders: Sequence[int],
    ) -> SphereLattice:
        """The lattice (bins of ``step`` rad) that a grid's pixels and a kernel's reach (rad) need.

        The middle of the map is turned to longitude and latitude zero, so that the lattice of a
        small map is a small window.
        """
        middle = plane.to_sky(np.array([centre[0]]), np.array([centre[1]]))
        turn = _rotation_to_origin(float(middle[0][0]), float(middle[1][0]))
        extent = _extent(plane, grid, turn)
        lattice = Lattice.whole(step) if extent is None else Lattice.covering(*extent, reach, step)
        pairs = lattice.rings * min(reach / lattice.lat_step + 1, lattice.rings)
        takes = ""
        if lattice.bytes > allowed_bytes():
            takes = f"{lattice.bytes / 2**30:.3g} GiB, more than half of this machine's memory"
        elif pairs * lattice.columns > MOST_PRODUCTS:
            takes = f"{pairs * lattice.columns:.2g} products, as its wings reach far"
        if takes:
            raise ValueError(
                f"kernel is too narrow for so much sky: smoothing on the sphere takes "
                f"{lattice.rings} x {lattice.columns} bins and {takes}; a wider kernel, a smaller "
                "region, or geometry='plane' would do"
            )
        return cls(lattice, turn, orders, reach)


class MapGeometry:
    """Where a map is: a plane, its pixels with a margin around them, and the sphere's lattice.

    It is made before any row is added, and is equal to the bit after pickling. Points in the
    ``margin``, a number of pixels beyond each side along x and y, count for smoothing. Only maps
    that are smoothed on the sphere have a ``sphere``.
    """

    def __init__(
        self,
        plane: Plane,
        grid: SkyGrid,
        margin: tuple[int, int] = (0, 0),
        sphere: SphereLattice | None = None,
    ) -> None:
        self.plane, self.grid, self.margin, self.sphere = plane, grid, margin, sphere
        self._solid_angles: FloatArray | None = None

    def __eq__(self, other: object) -> bool:
        """Whether sums on both geometries can be added."""
        if not isinstance(other, MapGeometry):
            return NotImplemented
        return self is other or (
            (self.grid, self.margin) == (other.grid, other.margin)
            and self.sphere == other.sphere
            and self.plane == other.plane
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return MapGeometry, (self.plane, self.grid, self.margin, self.sphere)

    @property
    def wide(self) -> SkyGrid:
        """The pixels with those of the margin."""
        return self.grid.grown(*self.margin)

    @property
    def core(self) -> tuple[slice, slice]:
        """The map's rows and columns among those of the wide grid."""
        margin_x, margin_y = self.margin
        rows = slice(margin_y, margin_y + self.grid.y.count)
        return rows, slice(margin_x, margin_x + self.grid.x.count)

    @property
    def wide_solid_angles(self) -> FloatArray:
        """Solid angles (sr; data units² on a plane of x and y) of the wide grid's pixels."""
        if self._solid_angles is None:
            self.measure(Team(1))
        assert self._solid_angles is not None
        return self._solid_angles

    def measure(self, team: Team) -> None:
        """Find the solid angles, in bands of rows that the threads of a team share."""
        grid = self.wide
        if self.plane.frame is None:
            self._solid_angles = np.full(grid.shape, grid.x.step * grid.y.step)
            return
        planes = self.plane.twins(team.size)
        areas = np.empty(grid.shape)

        def measure(thread: int, rows: slice) -> None:
            plane = planes[thread]
            areas[rows] = solid_angles(
                SkyGrid(grid.x, grid.y.part(rows.start, rows.stop)),
                plane.to_sky,
                plane.to_plane,
                is_equal_area=plane.is_equal_area,
                outline=plane.shows,
            )

        (team if len(planes) == team.size else Team(1)).share(grid.bands(), measure)
        self._solid_angles = areas

    def lattice_bins(self) -> IntArray:
        """The flat index of the lattice's bin that the centre of each pixel is in, (ny, nx).

        Pixels with their centre off the sky have that of the nearest pixel with a centre on it.
        """
        assert self.sphere is not None
        x, y = np.meshgrid(self.grid.x.centres, self.grid.y.centres)
        vectors = to_vectors(*self.plane.to_sky(x.ravel(), y.ravel())) @ self.sphere.turn.T
        lon = np.arctan2(vectors[:, 1], vectors[:, 0])
        lat = np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1]))
        known = np.isfinite(lon)
        bins: IntArray = np.zeros(len(lon), np.intp)
        on_lattice, found = self.sphere.lattice.bins_of(lon[known], lat[known])
        known[known] = on_lattice
        bins[known] = found
        if known.all() or not known.any():
            return bins.reshape(x.shape)
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(
            ~known.reshape(x.shape), return_distances=False, return_indices=True
        )
        return np.asarray(bins.reshape(x.shape)[tuple(nearest)])

    @property
    def solid_angles(self) -> FloatArray:
        """Solid angles of the map's pixels; 0 where there is no sky."""
        return self.wide_solid_angles[self.core]


def _extent(plane: Plane, grid: SkyGrid, turn: FloatArray) -> tuple[float, float] | None:
    """The largest |latitude| and |longitude| (rad) of a grid; None if it leaves the sky."""
    inner = [np.linspace(*axis.bounds, SAMPLES) for axis in (grid.x, grid.y)]
    x, y = (v.ravel() for v in np.meshgrid(*inner))
    (left, right), (bottom, top) = grid.x.bounds, grid.y.bounds
    along_x, along_y = grid.x.edges, grid.y.edges
    x = np.concatenate([x, along_x, along_x, np.full_like(along_y, left), 0 * along_y + right])
    y = np.concatenate([y, 0 * along_x + bottom, 0 * along_x + top, along_y, along_y])
    vectors = to_vectors(*plane.to_sky(x, y)) @ turn.T
    if not np.isfinite(vectors).all():
        return None
    lat = np.arctan2(vectors[:, 2], np.hypot(vectors[:, 0], vectors[:, 1]))
    lon = np.arctan2(vectors[:, 1], vectors[:, 0])
    return float(np.abs(lat).max()), float(np.abs(lon).max())


def _rotation_to_origin(lon: float, lat: float) -> FloatArray:
    """The rotation that takes a position (deg) to zero, with north kept up."""
    (x,) = to_vectors(np.array([lon]), np.array([lat]))
    (z,) = to_vectors(np.array([lon]), np.array([lat + 90.0]))
    return np.stack([x, np.cross(z, x), z])
