"""Frames of the sky: finding them by name, and transforming positions between them."""

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
    SphericalRepresentation,
    Supergalactic,
    UnitSphericalRepresentation,
    frame_transform_graph,
)

from mpl_skyheat.compute.loader import run
from mpl_skyheat.sky.vectors import to_vectors

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

# Frames of directions: a direction in one of them gives the direction in every other, whatever the
# distance. Other frames have an origin, such as a place on Earth at a time.
ROTATED_FRAMES = (
    BarycentricMeanEcliptic, FK4, FK4NoETerms, FK5, Galactic, ICRS, Supergalactic,
)  # fmt: skip

# A matrix stands for a transform if test positions agree to this (rad), which is rounding error.
ROTATION_TOLERANCE = 1e-14


def find_frame(frame: Any) -> BaseCoordinateFrame | None:
    """Find the astropy frame of a name, class or object; None for "flat"."""
    if isinstance(frame, str) and frame == "flat":
        return None
    return find_sky_frame("frame", frame, also="'flat' or ")


def find_sky_frame(name: str, value: Any, *, also: str = "") -> BaseCoordinateFrame:
    """Find the frame of the sky that the argument ``name`` asks for; a ValueError if there is none.

    ``also`` has other accepted values for the message.
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


def frame_text(frame: BaseCoordinateFrame) -> str:
    """A frame's name, or its repr in one line where it has more to it than its name says."""
    if isinstance(frame, ROTATED_FRAMES) and frame.is_equivalent_frame(type(frame)()):
        name: str = frame.name
        return name
    return " ".join(repr(frame.replicate_without_data()).split())


def _complete(frame: BaseCoordinateFrame) -> BaseCoordinateFrame:
    """Check that a frame has all that its positions need, such as AltAz's time and place."""
    if not isinstance(frame, ROTATED_FRAMES):
        try:
            # Solar frames have no directions of things at infinity.
            pole = SphericalRepresentation(0 * u.deg, 90 * u.deg, 1 * u.au)
            frame.realize_frame(pole).transform_to(ICRS())
        except Exception as error:
            raise ValueError(
                f"frame {frame.name!r} must come with all that it needs, as a frame object such as "
                f"AltAz(obstime=..., location=...); got {frame!r}, for which astropy says: "
                f"{_reason(error)}"
            ) from error
    return frame


def frame_rotation(source: BaseCoordinateFrame, target: BaseCoordinateFrame) -> FloatArray | None:
    """Matrix that takes unit vectors of one frame to another; None if the transform is no rotation.

    A matrix is far cheaper than astropy's transform. (FK4's removes the E-terms of aberration, and
    is no rotation.)
    """
    # Three axes give the matrix, three other positions test it; one call, as its overhead counts.
    lon = np.array([0.0, 90.0, 0.0, 10.0, 130.0, 250.0])
    lat = np.array([0.0, 0.0, 90.0, -60.0, 5.0, 45.0])
    moved = to_vectors(*change_frame(lon, lat, source, target))
    matrix = moved[:3].T
    rotated = to_vectors(lon[3:], lat[3:]) @ matrix.T
    return matrix if np.allclose(rotated, moved[3:], 0, ROTATION_TOLERANCE) else None


def rotate(
    lon: FloatArray, lat: FloatArray, matrix: FloatArray, *, is_compiled: bool
) -> tuple[FloatArray, FloatArray]:
    """Longitude (−π … π) and latitude (rad) of positions (deg) rotated by a matrix."""
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
    """Transform positions (deg) to another frame, as `~astropy.coordinates.SkyCoord` does."""
    # SkyCoord, too, wraps longitudes to 0 … 360 first. Longitude copies, as it wraps in place.
    wrapped = Longitude(lon, u.deg)
    if source.is_equivalent_frame(target):
        return np.asarray(wrapped.value), np.asarray(lat)
    sky = UnitSphericalRepresentation(wrapped, np.asarray(lat) << u.deg, copy=False)
    moved = transformed(source.realize_frame(sky), target).spherical
    return np.asarray(moved.lon.deg), np.asarray(moved.lat.deg)


def transformed(coordinates: Any, frame: BaseCoordinateFrame) -> BaseCoordinateFrame:
    """Positions in another frame, by astropy; a ValueError if it cannot transform them."""
    try:
        moved: BaseCoordinateFrame = coordinates.transform_to(frame)
    except Exception as error:
        raise ValueError(
            f"points in the frame {coordinates.name!r} cannot be transformed to the map's frame "
            f"{frame.name!r}: {_reason(error)}"
        ) from error
    return moved


def _reason(error: Exception) -> str:
    """Why astropy cannot transform positions, in one line."""
    if "IERS" in str(error):
        return (
            "for so recent a time astropy needs a table of the Earth's rotation, which it could "
            "not download: connect to the network once, or do without the latest values (they move "
            "positions by arcseconds at most) with "
            "astropy.utils.iers.conf.auto_max_age = None and .auto_download = False"
        )
    return " ".join(str(error).split())
