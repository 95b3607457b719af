"""Projections of Axes that have no WCS: matplotlib's, cartopy's, skyproj's, and plain degrees."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.sky.vectors import to_vectors

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

# Half-axes of the whole sky on matplotlib's geographic axes.
GEO_SIZES = {
    "mollweide": (2 * np.sqrt(2), np.sqrt(2)),
    "hammer": (2 * np.sqrt(2), np.sqrt(2)),
    "aitoff": (np.pi, np.pi / 2),
    "lambert": (2.0, 2.0),
}


@dataclass(frozen=True)
class GeoProjection:
    """One of matplotlib's geographic projections, with longitude to the left as the sky has it."""

    transform: Any
    name: str
    center: float

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        lon, lat = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        x = -np.radians(_wrapped(lon, self.center) - self.center)
        if self.name == "mollweide":
            return _mollweide(x, np.radians(lat))
        x, y = _transformed(self.transform, x, np.radians(lat))
        return x * self.stretch, y

    @property
    def stretch(self) -> float:
        """Factor in x that matplotlib leaves to the aspect of the Axes."""
        return 2.0 if self.name == "aitoff" else 1.0

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        if self.name == "aitoff":
            # Matplotlib has no inverse. It is the azimuthal equidistant projection of (λ/2, φ) with
            # x doubled (Snyder 1993, Flattening the Earth, p. 130).
            lon, lat = _inverse_azimuthal(0.5 * x, y, is_equal_area=False)
            lon = 2 * lon
        elif self.name == "lambert":
            lon, lat = self._inverse_lambert(x, y)
        else:
            lon, lat = _transformed(self.transform.inverted(), x, y)
        width, height = GEO_SIZES[self.name]
        off = (x / width) ** 2 + (y / height) ** 2 > 1
        lon, lat = (np.where(off, np.nan, np.degrees(v)) for v in (lon, lat))
        return self.center - lon, lat

    def _inverse_lambert(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Invert the Lambert projection, as matplotlib's inverse is right for one half only.

        Its centre follows from where it puts the pole, 2 sin(c/2) from the middle, and the origin.
        """
        (_, pole), origin = self.transform.transform([(0.0, 0.5 * np.pi), (0.0, 0.0)])
        latitude = 0.5 * np.pi - 2 * np.arcsin(0.5 * pole)
        longitude = -_inverse_azimuthal(origin[0], origin[1], latitude)[0]
        lon, lat = _inverse_azimuthal(x, y, latitude)
        return lon + longitude, lat


def _transformed(transform: Any, x: FloatArray, y: FloatArray) -> FloatArray:
    """Both coordinates, along the first axis, that a transform of matplotlib's gives points."""
    with np.errstate(divide="ignore", invalid="ignore"):
        points = transform.transform(np.column_stack([x.ravel(), y.ravel()]))
    return np.reshape(points.T, (2, *x.shape))


def _mollweide(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The Mollweide projection (Snyder 1987, USGS PP 1395, p. 251), to the last digits.

    Matplotlib's is off by up to 0.1 deg, which depends on the positions that it is given at once.
    """
    # With e = π/2 − θ, 2 e − sin 2 e = π (1 − sin |φ|), which Newton's method solves from where the
    # left side is 4/3 e³, as it is at the pole.
    right = 2 * np.pi * np.sin(0.25 * np.pi - 0.5 * np.abs(lat)) ** 2
    e = np.cbrt(0.75 * right)
    for _ in range(6):
        is_far = e > 1e-3
        step = (right - 2 * e + np.sin(2 * e)) / np.where(is_far, 4 * np.sin(e) ** 2, 1)
        e = e + np.where(is_far, step, 0)
    x = 2 * np.sqrt(2) / np.pi * lon * np.sin(e)
    return x, np.copysign(np.sqrt(2) * np.cos(e), lat)


def _inverse_azimuthal(
    x: Any, y: Any, latitude: float = 0.0, *, is_equal_area: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Invert the azimuthal equal-area, or else equidistant, projection around (0, latitude).

    Snyder 1987, USGS PP 1395, pp. 186 and 196.
    """
    distance = np.hypot(x, y)
    with np.errstate(invalid="ignore"):  # off the sky
        c = 2 * np.arcsin(0.5 * distance) if is_equal_area else distance
    # sin(c) / distance
    ratio = np.where(distance > 0, np.sin(c) / np.where(distance > 0, distance, 1), 1)
    sine = np.cos(c) * np.sin(latitude) + y * ratio * np.cos(latitude)
    east, north = x * ratio, np.cos(c) * np.cos(latitude) - y * ratio * np.sin(latitude)
    return np.asarray(np.arctan2(east, north)), np.asarray(np.arcsin(np.clip(sine, -1, 1)))


class ForeignProjection:
    """A projection of another package, which off the sky returns any position."""

    # Radius of the sphere, in units of the plane.
    radius: float
    # The projection and its inverse, with points as rows.
    forward: Any
    inverse: Any

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        # cartopy leaves longitudes beyond ±180 deg where they are, in one of its projections.
        return _applied(self.forward, _wrapped(np.asarray(lon, float), 0.0), lat)

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        lon, lat = _applied(self.inverse, x, y)
        # Off the sky, (lon, lat) is a position of another place on the plane.
        again = self.to_plane(lon, lat)
        on_sky = np.hypot(again[0] - x, again[1] - y) < 1e-6 * self.radius
        on_sky &= np.abs(lat) <= 90
        return np.where(on_sky, lon, np.nan), np.where(on_sky, lat, np.nan)


@dataclass(frozen=True)
class CartopyProjection(ForeignProjection):
    """A projection of cartopy's, from longitudes and latitudes on its globe."""

    crs: Any
    geodetic: Any
    radius: float

    @classmethod
    def of(cls, crs: Any) -> CartopyProjection:
        geodetic = sys.modules["cartopy.crs"].Geodetic(globe=crs.globe)
        # In deg on a plate carrée, else in m; the limits are about 6 radii across.
        radius = float(np.hypot(np.ptp(crs.x_limits), np.ptp(crs.y_limits))) / 6
        return cls(crs, geodetic, radius)

    def forward(self, lon: FloatArray, lat: FloatArray) -> Any:
        return self.crs.transform_points(self.geodetic, lon, lat)

    def inverse(self, x: FloatArray, y: FloatArray) -> Any:
        return self.geodetic.transform_points(self.crs, x, y)


@dataclass(frozen=True)
class SkyprojProjection(ForeignProjection):
    """A projection of skyproj's."""

    crs: Any
    radius: float

    @classmethod
    def of(cls, crs: Any) -> SkyprojProjection:
        return cls(crs, float(crs.radius))

    def forward(self, lon: FloatArray, lat: FloatArray) -> Any:
        points = self.crs.transform_points(lon, lat)
        if self.crs.name == "gnom":
            # Beyond its horizon, 90 deg from the centre, skyproj returns uninitialised memory.
            middle = to_vectors(self.crs.lon_0, self.crs.lat_0)
            points[to_vectors(lon, lat) @ middle < 1e-9] = np.nan
        return points

    def inverse(self, x: FloatArray, y: FloatArray) -> Any:
        return self.crs.transform_points(x, y, inverse=True)


def _applied(function: Any, a: Any, b: Any) -> tuple[FloatArray, FloatArray]:
    """What a function of flat, writeable arrays has in rows; NaN where it is not finite."""
    a, b = np.broadcast_arrays(np.asarray(a, float), np.asarray(b, float))
    points = np.array(function(a.flatten(), b.flatten()), float)[..., :2].reshape(-1, 2)
    points[~np.isfinite(points).all(axis=1)] = np.nan
    x, y = points.T.reshape(2, *a.shape)
    return x, y


@dataclass(frozen=True)
class DegreeProjection:
    """Longitude and latitude in degrees as x and y, without a tear within 180 deg of a centre."""

    center: float

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        return _wrapped(np.asarray(lon, float), self.center), np.asarray(lat, float)

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        on_sky = (np.abs(x - self.center) <= 180) & (np.abs(y) <= 90)
        return np.where(on_sky, x, np.nan), np.where(on_sky, y, np.nan)


def _wrapped(lon: FloatArray, center: float) -> FloatArray:
    return np.asarray((lon - center + 180) % 360 - 180 + center)


@dataclass(frozen=True)
class Scaled:
    """A projection in units of ``scale`` of its own."""

    projection: Any
    scale: float

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        x, y = self.projection.to_plane(lon, lat)
        return x / self.scale, y / self.scale

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        lon, lat = self.projection.to_sky(np.asarray(x) * self.scale, np.asarray(y) * self.scale)
        return lon, lat
