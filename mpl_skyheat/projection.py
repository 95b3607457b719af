"""Sky positions to points of a plane: the exact route, through astropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import (
    BaseCoordinateFrame,
    Longitude,
    UnitSphericalRepresentation,
)

from mpl_skyheat.compiling import run
from mpl_skyheat.grid import to_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mpl_skyheat.planes import Plane

    FloatArray = NDArray[np.float64]


# How far (rad) a rotation may be off: rounding, and no more.
ROTATION_TOLERANCE = 1e-14


def project(
    plane: Plane, frame: BaseCoordinateFrame | None, lon: Any, lat: Any
) -> tuple[FloatArray, FloatArray]:
    """Return the plane's x, y of positions (deg) in a frame; NaN where it has none for them."""
    if frame is not None and plane.frame is not None:
        lon, lat = change_frame(lon, lat, frame, plane.frame)
    return plane.to_plane(lon, lat)


def frame_rotation(source: BaseCoordinateFrame, target: BaseCoordinateFrame) -> FloatArray | None:
    """Return the matrix that takes unit vectors of one frame to another; None if none does.

    The transform between most frames is a rotation, and then far cheaper as one. (That from FK4
    is not: it takes off the E-terms of aberration.)
    """
    # Three that give it, and three that judge; together, as most of what each takes is overhead.
    lon = np.array([0.0, 90.0, 0.0, 10.0, 130.0, 250.0])
    lat = np.array([0.0, 0.0, 90.0, -60.0, 5.0, 45.0])
    moved = to_vectors(*change_frame(lon, lat, source, target))
    matrix = moved[:3].T
    judged = to_vectors(lon[3:], lat[3:]) @ matrix.T
    return matrix if np.allclose(judged, moved[3:], 0, ROTATION_TOLERANCE) else None


def turned(
    lon: FloatArray, lat: FloatArray, matrix: FloatArray, *, is_compiled: bool
) -> tuple[FloatArray, FloatArray]:
    """Return longitude (−π … π) and latitude (rad) of positions (deg), turned by a matrix."""
    if is_compiled:
        turned_lon, turned_lat = np.empty((2, *lon.shape))
        out = turned_lon.ravel(), turned_lat.ravel()
        run("turned", np.ravel(lon), np.ravel(lat), matrix, *out)
        return turned_lon, turned_lat
    x, y, z = np.moveaxis(to_vectors(lon, lat) @ matrix.T, -1, 0)
    return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))


def change_frame(
    lon: Any, lat: Any, source: BaseCoordinateFrame, target: BaseCoordinateFrame
) -> tuple[FloatArray, FloatArray]:
    """Return positions (deg) of one frame in another, as `~astropy.coordinates.SkyCoord` does."""
    # SkyCoord, too, wraps longitudes to 0 … 360 before anything else.
    wrapped = Longitude(lon, u.deg)  # a copy: it wraps in place
    if source.is_equivalent_frame(target):
        return np.asarray(wrapped.value), np.asarray(lat)
    sky = UnitSphericalRepresentation(wrapped, np.asarray(lat) << u.deg, copy=False)
    moved = source.realize_frame(sky).transform_to(target).spherical
    return np.asarray(moved.lon.deg), np.asarray(moved.lat.deg)
