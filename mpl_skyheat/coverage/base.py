"""`Coverage`: the observed fraction of the sky, as a function of position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from mpl_skyheat.sky.frames import change_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.geometry import MapGeometry

# By how much fractions may be beyond 0 and 1: rounding of single precision.
SLACK = 1e-6


class Coverage(ABC):
    """The observed fraction, 0 … 1, anywhere on the sky; not of the sky, on a map of x and y.

    ``finest`` is the width (rad) of the cells that it is made of, 0 if it is made of none;
    ``nbytes`` are the bytes of its arrays. Coverages of equal ``key`` are equal; one without a key
    is equal to none.
    """

    frame: BaseCoordinateFrame | None = None
    finest = 0.0
    nbytes = 0
    key: Any = None

    @property
    def parts(self) -> tuple[Coverage, ...]:
        """The coverages that this is the product of."""
        return (self,)

    def of_points(self, frame: BaseCoordinateFrame | None) -> Coverage:
        """This coverage for points in a frame."""
        del frame
        return self

    def on(self, geometry: MapGeometry) -> Coverage:
        """This coverage for a map; an error if it is of no use there."""
        if geometry.plane.frame is None:
            raise TypeError(
                "coverage must be an array of the map's shape with frame='flat'; got "
                f"{type(self).__name__}"
            )
        return self

    @abstractmethod
    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        """The observed fraction at positions (deg, finite, in one dimension) in `frame`."""

    def fractions_in(
        self, lon: FloatArray, lat: FloatArray, frame: BaseCoordinateFrame | None
    ) -> FloatArray:
        """The observed fraction at positions (deg) in another frame."""
        if self.frame is not None and frame is not None:
            lon, lat = change_frame(lon, lat, frame, self.frame)
        return self.fractions(np.asarray(lon), np.asarray(lat))


class EdgedCoverage(Coverage):
    """A coverage that knows where its edges are, so that holes of every size are found."""

    @abstractmethod
    def certain(self, lon: FloatArray, lat: FloatArray, radius: FloatArray) -> FloatArray:
        """The fraction all over a radius (rad) around positions (deg); NaN if it may differ."""


class Product(Coverage):
    """What all of several coverages have observed: fractions are multiplied."""

    def __init__(self, parts: Sequence[Coverage]) -> None:
        self._parts = tuple(parts)
        self.frame = self._parts[0].frame
        keys = tuple(part.key for part in parts)
        self.key = None if None in keys else keys
        self.nbytes = sum(part.nbytes for part in parts)

    def of_points(self, frame: BaseCoordinateFrame | None) -> Coverage:
        return Product([part.of_points(frame) for part in self._parts])

    def on(self, geometry: MapGeometry) -> Coverage:
        return Product([part.on(geometry) for part in self._parts])

    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        product = np.ones(len(lon))
        for part in self._parts:
            # What one part has not observed, the others need not be asked about.
            left = np.flatnonzero(product)
            product[left] *= part.fractions_in(lon[left], lat[left], self.frame)
        return product

    @property
    def parts(self) -> tuple[Coverage, ...]:
        return self._parts


def as_fractions(values: Any, what: str) -> FloatArray:
    """Values as fractions of 0 … 1, 0 where they are masked or NaN; else an error."""
    array: Any = np.ma.asarray(without_unit(values, what))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} must be numbers of 0 to 1, or bool; got {array.dtype}")
    # In place, as maps of 10⁹ pixels are given.
    found: FloatArray = array.astype(float).filled(0.0)
    np.nan_to_num(found, copy=False, nan=0.0, posinf=np.inf, neginf=-np.inf)
    is_bad = (found < -SLACK) | (found > 1 + SLACK)
    if is_bad.any():
        raise ValueError(
            f"{what} must be fractions of 0 to 1; got {found[is_bad][0]:g} (of exposure times, "
            "give weights=1/exposure, and coverage=exposure > 0)"
        )
    return np.clip(found, 0.0, 1.0, out=found)


def without_unit(values: Any, what: str) -> Any:
    """Values as plain numbers, of percents their hundredth; an error if they have a unit."""
    if not isinstance(values, u.Quantity):
        return values
    try:
        return values.to_value(u.dimensionless_unscaled)
    except u.UnitConversionError as error:
        raise ValueError(
            f"{what} must be fractions of 0 to 1, without a unit; got some in {values.unit}"
        ) from error


def key_of(kind: str, *arrays: Any) -> tuple[Any, ...]:
    """A key of the contents of arrays."""
    digest = blake2b(digest_size=16)
    for array in arrays:
        found = np.ascontiguousarray(array)
        digest.update(str((found.shape, found.dtype)).encode())
        digest.update(found.data if found.size else b"")
    return kind, digest.digest()
