"""Guesses at numbers without a unit that are not degrees, by their spread over the whole sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

# About as many rows are sampled.
SAMPLE = 1000

# Finite positions that the sample must have for a verdict.
MINIMUM = 50

# The mean of sin² of a latitude must be below this for radians: it is 1/3 on the whole sky, lower
# for sources near the plane, and 1/2 where numbers up to 1.57 are degrees, spread evenly.
MOST_SINE_SQUARED = 0.42

# Least spread (deg) of latitudes beside longitudes that are not in degrees. A narrow strip of
# right ascension, 0 … 24 deg, is seldom so long.
TALL = 90

# A whole turn in each unit.
RADIANS, HOURS, DEGREES = 2 * np.pi, 24.0, 360.0


def other_than_degrees(lon: FloatArray, lat: FloatArray) -> str:
    """What a sample of numbers looks like if it is the whole sky, but not in degrees; "" if not.

    With what to write if it is.
    """
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = lon[known], lat[known]
    if len(lon) < MINIMUM:
        return ""
    is_tall = np.abs(lat).max() <= 90 and np.ptp(lat) > TALL
    if _is_around(lon, RADIANS) and _is_height(lat):
        return "those of the whole sky in radians: write ra*u.rad, dec*u.rad"
    if _is_around(lon, RADIANS) and is_tall:
        return "longitudes of the whole sky in radians: write ra*u.rad"
    if _is_around(lon, DEGREES) and _is_height(lat):
        return "latitudes of the whole sky in radians: write dec*u.rad"
    if _is_around(lon, HOURS) and is_tall:
        return "right ascensions of the whole sky in hours: write ra*u.hourangle"
    if _is_around(lat, RADIANS) and _is_height(lon):
        return "those of the whole sky in radians and swapped: write ra*u.rad, dec*u.rad in order"
    if _is_around(lon, RADIANS) and _is_colatitude(lat):
        return "colatitudes of the whole sky in radians: write ra*u.rad, (np.pi/2 - dec)*u.rad"
    if _is_around(lat, RADIANS) and _is_colatitude(lon):
        return "healpy's theta and phi: write phi*u.rad, (np.pi/2 - theta)*u.rad"
    return ""


def _is_around(longitude: FloatArray, turn: float) -> bool:
    """Whether numbers are spread over a whole turn, from 0 or about 0."""
    low, high = longitude.min() / turn, longitude.max() / turn
    return bool(low > -0.505 and high < 1.005 and 0.9 < high - low < 1.005)


def _is_height(latitude: FloatArray) -> bool:
    """Whether numbers are spread as latitudes of the whole sky in radians are."""
    is_within = np.abs(latitude).max() < 0.501 * np.pi and np.ptp(latitude) > 0.9 * np.pi
    return bool(is_within and np.mean(np.sin(latitude) ** 2) < MOST_SINE_SQUARED)


def _is_colatitude(number: FloatArray) -> bool:
    """Whether numbers are spread as colatitudes of the whole sky in radians are."""
    is_within = number.min() > -0.01 and number.max() < 1.001 * np.pi
    return bool(is_within and np.ptp(number) > 0.9 * np.pi and _is_height(number - np.pi / 2))
