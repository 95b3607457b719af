"""Frames of the sky: finding them by name, and taking positions from one to another."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import (
    FK4,
    FK5,
    ICRS,
    BarycentricMeanEcliptic,
    BaseCoordinateFrame,
    FK4NoETerms,
    Galactic,
    Longitude,
    SkyCoord,
    Supergalactic,
    UnitSphericalRepresentation,
    frame_transform_graph,
)

from mpl_skyheat.compute.loader import run
from mpl_skyheat.sky.vectors import to_vectors

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

# Frames that are rotations of the sky (and the E-terms of FK4): the direction in one of them gives
# the direction in every other, whatever the distance. From all others, positions go to ICRS first.
ROTATED_FRAMES = (
    BarycentricMeanEcliptic,
    FK4,
    FK4NoETerms,
    FK5,
    Galactic,
    ICRS,
    Supergalactic,
)


def find_frame(frame: Any) -> BaseCoordinateFrame | None:
    """Return the astropy frame of a name, class or object; None for "flat".

    Raises
    ------
    ValueError
        If astropy has no such frame.
    """
    if isinstance(frame, str) and frame == "flat":
        return None
    return find_sky_frame("frame", frame, also="'flat' or ")


def find_sky_frame(name: str, value: Any, *, also: str = "") -> BaseCoordinateFrame:
    """Return the frame of the sky that an argument asks for, which may ``also`` be something else.

    Raises
    ------
    ValueError
        If astropy has no such frame, or it is none of the sky. The message names the argument.
    """
    if isinstance(value, str):
        if value == "flat":
            raise ValueError(f"{name} must be a frame of the sky; got 'flat'")
        found = frame_transform_graph.lookup_name(value.lower())
        if found is None:
            names = sorted(frame_transform_graph.get_names())
            close = get_close_matches(value.lower(), names, 1, cutoff=0.5)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ValueError(f"{name} must be {also}one of {', '.join(names)}; got {value!r}{hint}")
        return _complete(found())
    if isinstance(value, type) and issubclass(value, BaseCoordinateFrame):
        return _complete(value())
    if isinstance(value, SkyCoord):
        value = value.frame
    if isinstance(value, BaseCoordinateFrame):
        return _complete(value.replicate_without_data())
    raise ValueError(f"{name} must be the name of an astropy frame or a frame; got {value!r}")


def _complete(frame: BaseCoordinateFrame) -> BaseCoordinateFrame:
    """Return a frame whose positions are on the sky; without time and place, AltAz's are not."""
    if not isinstance(frame, ROTATED_FRAMES):
        try:
            pole = UnitSphericalRepresentation(0 * u.deg, 90 * u.deg)
            frame.realize_frame(pole).transform_to(ICRS())
        except Exception as error:
            raise ValueError(
                f"frame {frame.name!r} must come with all that it needs, as a frame object such as "
                f"AltAz(obstime=..., location=...); got {frame!r}, for which astropy says: {error}"
            ) from error
    return frame


# How far (rad) a rotation may be off: rounding, and no more.
ROTATION_TOLERANCE = 1e-14


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


def rotate(
    lon: FloatArray, lat: FloatArray, matrix: FloatArray, *, is_compiled: bool
) -> tuple[FloatArray, FloatArray]:
    """Return longitude (−π … π) and latitude (rad) of positions (deg), turned by a matrix."""
    if is_compiled:
        rotated_lon, rotated_lat = np.empty((2, *lon.shape))
        out = rotated_lon.ravel(), rotated_lat.ravel()
        run("rotate", np.ravel(lon), np.ravel(lat), matrix, *out)
        return rotated_lon, rotated_lat
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
