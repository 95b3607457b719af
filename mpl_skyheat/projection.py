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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mpl_skyheat.planes import Plane

    FloatArray = NDArray[np.float64]


def project(
    plane: Plane, frame: BaseCoordinateFrame | None, lon: Any, lat: Any
) -> tuple[FloatArray, FloatArray]:
    """Return the plane's x, y of positions (deg) in a frame; NaN where it has none for them."""
    if frame is not None and plane.frame is not None:
        lon, lat = change_frame(lon, lat, frame, plane.frame)
    return plane.to_plane(lon, lat)


def change_frame(
    lon: Any, lat: Any, source: BaseCoordinateFrame, target: BaseCoordinateFrame
) -> tuple[FloatArray, FloatArray]:
    """Return positions (deg) of one frame in another, as `~astropy.coordinates.SkyCoord` does."""
    # SkyCoord, too, wraps longitudes to 0 … 360 before anything else.
    wrapped = Longitude(lon, u.deg, copy=False)
    if source.is_equivalent_frame(target):
        return np.asarray(wrapped.value), np.asarray(lat)
    sky = UnitSphericalRepresentation(wrapped, np.asarray(lat) << u.deg, copy=False)
    moved = source.realize_frame(sky).transform_to(target).spherical
    return np.asarray(moved.lon.deg), np.asarray(moved.lat.deg)
