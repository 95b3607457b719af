"""WCSs of two kinds that have no FITS header: of a projection, and of a grid's pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, NoConvergence
from astropy.wcs.wcsapi import BaseLowLevelWCS, BaseWCSWrapper, SlicedLowLevelWCS

from mpl_skyheat.sky.wcs_frames import celestial_order, ctypes

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.grid import Projection, SkyGrid

# Distortions are inverted to this many pixels. With astropy's default, 1e-4, the result, and so the
# pixel of a point near an edge, depends on which other points are inverted in the same call.
DISTORTION_TOLERANCE = 1e-9

# FITS codes of projections on several faces, of which wcslib gets places in a row wrong.
ON_FACES = ("TSC", "CSC", "QSC", "HPX")

# How astropy takes longitude and latitude (deg) from a SkyCoord.
IN_DEGREES = [
    ("celestial", 0, lambda sky: sky.spherical.lon.deg),
    ("celestial", 1, lambda sky: sky.spherical.lat.deg),
]


def sky_coords_in(frame: BaseCoordinateFrame) -> dict[str, Any]:
    """How astropy makes a SkyCoord in a frame of longitude and latitude (deg)."""
    return {"celestial": (SkyCoord, (), {"frame": frame, "unit": (u.deg, u.deg)})}


class ProjectedWCS(BaseLowLevelWCS):
    """The WCS of a plane that has a pair of functions, ``to_plane`` and ``to_sky``, and a frame."""

    pixel_n_dim = 2
    world_n_dim = 2
    world_axis_units = ("deg", "deg")

    def __init__(
        self, to_plane: Projection, to_sky: Projection, frame: BaseCoordinateFrame
    ) -> None:
        self._to_plane, self._to_sky, self._frame = to_plane, to_sky, frame

    def pixel_to_world_values(self, *pixel: Any) -> Any:
        return self._to_sky(*pixel)

    def world_to_pixel_values(self, *world: Any) -> Any:
        return self._to_plane(*world)

    @property
    def world_axis_physical_types(self) -> list[str | None]:
        if self._frame.name == "galactic":
            return ["pos.galactic.lon", "pos.galactic.lat"]
        is_equatorial = "ra" in self._frame.get_representation_component_names()
        return ["pos.eq.ra", "pos.eq.dec"] if is_equatorial else [None, "custom:pos.lat"]

    @property
    def world_axis_object_components(self) -> list[Any]:
        return IN_DEGREES

    @property
    def world_axis_object_classes(self) -> dict[str, Any]:
        return sky_coords_in(self._frame)


class GridWCS(BaseWCSWrapper):
    """The WCS of the pixels of a grid on another WCS's pixel plane.

    Pixel i of the grid is centred on ``grid.x.centres[i]`` of the plane; with ``swap``, x of the
    plane is the wrapped WCS's second pixel axis. ``frame`` replaces the wrapped WCS's frame, for
    ecliptic and supergalactic axes, which astropy takes for ICRS or does not know.
    """

    pixel_bounds = None

    def __init__(
        self,
        wcs: BaseLowLevelWCS,
        grid: SkyGrid,
        *,
        swap: bool = False,
        frame: BaseCoordinateFrame | None = None,
    ) -> None:
        super().__init__(wcs)
        self._grid, self._swap, self._frame = grid, swap, frame
        self._axes = grid.x, grid.y
        self._world_to_pixel, self._pixel_to_world = world_to_pixel(wcs), pixel_to_world(wcs)

    @property
    def parts(self) -> tuple[BaseLowLevelWCS, SkyGrid, bool, BaseCoordinateFrame | None]:
        """The arguments of the constructor."""
        return self._wcs, self._grid, self._swap, self._frame

    @property
    def innermost(self) -> BaseLowLevelWCS:
        """The WCS within all grids."""
        return self._wcs.innermost if isinstance(self._wcs, GridWCS) else self._wcs

    def pixel_to_world_values(self, *pixel: Any) -> Any:
        x, y = (axis.place(np.asarray(p) + 0.5) for axis, p in zip(self._axes, pixel, strict=True))
        return self._pixel_to_world(*((y, x) if self._swap else (x, y)))

    def world_to_pixel_values(self, *world: Any) -> Any:
        x, y = self._world_to_pixel(*world)
        plane = (y, x) if self._swap else (x, y)
        return tuple(
            axis.number(np.asarray(p)) - 0.5 for axis, p in zip(self._axes, plane, strict=True)
        )

    @property
    def pixel_shape(self) -> tuple[int, int]:
        return self._grid.x.count, self._grid.y.count

    @property
    def array_shape(self) -> tuple[int, int]:
        return self._grid.shape

    @property
    def pixel_axis_names(self) -> Any:
        names = self._wcs.pixel_axis_names
        return names[::-1] if self._swap else names

    @property
    def axis_correlation_matrix(self) -> Any:
        matrix = self._wcs.axis_correlation_matrix
        return matrix[:, ::-1] if self._swap else matrix

    @property
    def world_axis_object_components(self) -> Any:
        if self._frame is None:
            return self._wcs.world_axis_object_components
        longitude, latitude = order = celestial_order(self._wcs)
        lon_unit, lat_unit = (u.Unit(self._wcs.world_axis_units[i]) for i in order)
        components: list[Any] = [None, None]
        components[longitude] = "celestial", 0, lambda c: c.spherical.lon.to_value(lon_unit)
        components[latitude] = "celestial", 1, lambda c: c.spherical.lat.to_value(lat_unit)
        return components

    @property
    def world_axis_object_classes(self) -> Any:
        if self._frame is None:
            return self._wcs.world_axis_object_classes
        order = celestial_order(self._wcs)
        units = tuple(u.Unit(self._wcs.world_axis_units[i]) for i in order)
        return {"celestial": (SkyCoord, (), {"frame": self._frame, "unit": units})}


def world_to_pixel(wcs: BaseLowLevelWCS) -> Any:
    """The world_to_pixel_values of a WCS; of a distorted one, with a definite inverse."""
    is_distorted = isinstance(wcs, WCS) and wcs.has_distortion
    return Undistorted(wcs) if is_distorted else wcs.world_to_pixel_values


def pixel_to_world(wcs: BaseLowLevelWCS) -> Any:
    """The pixel_to_world_values of a WCS; of one on faces, right along a row of pixels, too."""
    is_on_faces = any(ctype[5:8] in ON_FACES for ctype in ctypes(wcs))
    # A slice does not tell the projection of the WCS in it.
    if is_on_faces or isinstance(wcs, SlicedLowLevelWCS):
        return OnFaces(wcs)
    return wcs.pixel_to_world_values


class OnFaces:
    """The positions of places on faces, `ON_FACES`, also where all have one y.

    In such a row wcslib (8.6) takes the y of one place, moved to its face, for that of the next:
    all after the first on another face are wrong, or NaN. One more place, off the row, prevents it.
    """

    def __init__(self, wcs: BaseLowLevelWCS) -> None:
        self._wcs = wcs

    def __call__(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        if x.size < 2:
            lon, lat = self._wcs.pixel_to_world_values(x, y)
            return lon, lat
        # Steps of 0.25 and 1 pixel: a diagonal is a row of a WCS that is turned by 45°.
        more = (np.append(v, v.flat[0] + step) for v, step in ((x, 0.25), (y, 1.0)))
        lon, lat = (np.reshape(v[:-1], x.shape) for v in self._wcs.pixel_to_world_values(*more))
        return lon, lat


class Undistorted:
    """The inverse of a distorted FITS WCS, to `DISTORTION_TOLERANCE`."""

    def __init__(self, wcs: WCS) -> None:
        # A copy: a distorted WCS that several threads use at once gives wrong positions.
        self._wcs = wcs.deepcopy()

    def __call__(self, *world: Any) -> list[FloatArray]:
        linear = self._wcs.wcs_world2pix(*world, 0)
        if not np.isfinite(linear).all(axis=0).any():  # numpy warns if all of an array is NaN
            return list(linear)
        try:
            pixel = self._wcs.all_world2pix(*world, 0, tolerance=DISTORTION_TOLERANCE, maxiter=50)
        except NoConvergence as failure:
            # Far outside the image the polynomial has no inverse.
            pixel = failure.best_solution.T.copy()
            for lost in (failure.divergent, failure.slow_conv):
                if lost is not None:
                    pixel[:, lost] = np.nan
        for places, bounds in zip(pixel, self._wcs.pixel_bounds or (), strict=False):
            if bounds is not None:
                places[(places < bounds[0]) | (places > bounds[1])] = np.nan
        return list(pixel)
