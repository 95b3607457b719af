"""The forms that ``coverage=`` takes, but for regions and random points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord

from mpl_skyheat.coverage.base import Coverage, EdgedCoverage, as_fractions, key_of, without_unit
from mpl_skyheat.sky.frames import find_sky_frame
from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.sky.shipping import ShippingError, packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.geometry import MapGeometry
    from mpl_skyheat.sky.grid import SkyGrid

# Least distance across a HEALPix cell, in roots of its solid angle: of those beside the poles.
NARROWEST = 0.5


class FunctionCoverage(Coverage):
    """A function of a `~astropy.coordinates.SkyCoord`, in the frame of the points."""

    def __init__(
        self, function: Callable[[SkyCoord], Any], frame: BaseCoordinateFrame | None = None
    ) -> None:
        self._function, self.frame = function, frame

    def of_points(self, frame: BaseCoordinateFrame | None) -> Coverage:
        return FunctionCoverage(self._function, frame)

    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        if not len(lon):
            return np.zeros(0)
        found = self._function(SkyCoord(lon, lat, unit=u.deg, frame=self.frame))
        if np.shape(found) != lon.shape:
            raise ValueError(
                "coverage must be a function that returns one fraction for each position of a "
                f"SkyCoord; got an array of shape {np.shape(found)} for {len(lon)} positions"
            )
        return as_fractions(found, "what the function coverage returns")


class ArrayCoverage(Coverage):
    """An array on the map's own pixels; beyond it nothing is observed."""

    def __init__(self, array: Any, geometry: MapGeometry | None = None) -> None:
        self.pixels = as_fractions(array, "coverage")
        if self.pixels.ndim != 2:
            raise ValueError(
                "coverage must be an array of the map's shape (ny, nx); got one of shape "
                f"{self.pixels.shape}"
            )
        self.key = key_of("array", self.pixels)
        self.nbytes = self.pixels.nbytes
        self._geometry = geometry
        if geometry is not None:
            self.frame = geometry.plane.frame

    def on(self, geometry: MapGeometry) -> Coverage:
        if self.pixels.shape != geometry.grid.shape:
            raise ValueError(
                f"coverage must have the map's shape, {geometry.grid.shape}; got an array of "
                f"shape {self.pixels.shape} (of an image with a WCS of its own, give (array, wcs))"
            )
        return ArrayCoverage(self.pixels, geometry)

    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        assert self._geometry is not None
        x, y = self._geometry.plane.to_plane(lon, lat)
        return _looked_up(self.pixels, self._geometry.grid, x, y)


class ImageCoverage(Coverage):
    """An image with a WCS: the value of the pixel that a position is in, 0 beyond it."""

    def __init__(self, array: Any, wcs: Any) -> None:
        self._pixels = as_fractions(array, "coverage")
        if self._pixels.ndim != 2 or not self._pixels.size:
            raise ValueError(
                f"coverage must be an image of two axes; got one of shape {self._pixels.shape}"
            )
        try:
            self._plane = plane_of_wcs(wcs)
        except (TypeError, ValueError) as error:
            raise type(error)(f"coverage must be an image with a celestial WCS: {error}") from error
        self.frame = self._plane.frame
        self.finest, self.nbytes = self._pixel_side(), self._pixels.nbytes
        try:
            self.key = key_of("image", self._pixels), packed(self._plane)
        except ShippingError:
            self.key = None

    def _pixel_side(self) -> float:
        """The side (rad) of the pixel in the middle of the image."""
        from mpl_skyheat.sky.pixel_scale import local_areas

        ny, nx = self._pixels.shape
        area = local_areas(self._plane.to_sky, np.array([0.5 * nx]), np.array([0.5 * ny]))
        return float(np.sqrt(np.nan_to_num(area[0])))

    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        x, y = self._plane.to_plane(lon, lat)
        column, row = np.floor(x + 0.5), np.floor(y + 0.5)
        ny, nx = self._pixels.shape
        inside = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
        found = np.zeros(len(lon))
        found[inside] = self._pixels[row[inside].astype(int), column[inside].astype(int)]
        return found


class MocCoverage(EdgedCoverage):
    """A `mocpy.MOC`: what is in its cells is observed."""

    def __init__(self, moc: Any) -> None:
        self._moc, self.frame = moc, ICRS()
        ranges = moc.to_depth29_ranges
        found = np.asarray(ranges() if callable(ranges) else ranges)
        self.key, self.nbytes = key_of("MOC", found), found.nbytes
        self.finest = _side_of_healpix(2 ** int(moc.max_order))

    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        return _contained(self._moc, lon, lat)

    def certain(self, lon: FloatArray, lat: FloatArray, radius: FloatArray) -> FloatArray:
        found = np.full(len(lon), np.nan)
        # Cells of an order are at least this wide; from order 0 on, none is as wide as the radius.
        width = np.maximum(NARROWEST * _side_of_healpix(1) / np.maximum(radius, 1e-12), 0.0)
        orders = np.minimum(np.floor(np.log2(np.maximum(width, 1e-300))), self._moc.max_order)
        for order in np.unique(orders[orders >= 0]):
            some = np.flatnonzero(orders == order)
            # Cells with all of the sky within one cell around them observed, or none.
            full, empty = (
                _degraded(moc, int(order)).add_neighbours()
                for moc in (self._moc.complement(), self._moc)
            )
            for kind, value in ((full, 1.0), (empty, 0.0)):
                found[some[_contained(kind, lon[some], lat[some]) == 0]] = value
        return found


def _degraded(moc: Any, order: int) -> Any:
    """All cells of an order that a MOC has any part of."""
    return moc.degrade_to_order(order) if order < moc.max_order else moc


def _contained(moc: Any, lon: FloatArray, lat: FloatArray) -> FloatArray:
    return np.asarray(moc.contains_lonlat(lon * u.deg, lat * u.deg), float)


class HealpixCoverage(Coverage):
    """Values of all pixels of a `astropy_healpix.HEALPix`."""

    def __init__(self, values: Any, healpix: Any) -> None:
        array = np.ma.asarray(without_unit(values, "coverage"))
        if array.shape != (healpix.npix,):
            raise ValueError(
                f"coverage must have one value for each of the {healpix.npix} pixels of its "
                f"HEALPix; got an array of shape {array.shape}"
            )
        if array.dtype.kind == "f":  # healpy.UNSEEN
            array = np.ma.masked_less(array, -1e30, copy=False)
        self._values, self._healpix = as_fractions(array, "coverage"), healpix
        self.frame = ICRS() if healpix.frame is None else find_sky_frame("coverage", healpix.frame)
        self.finest, self.nbytes = _side_of_healpix(healpix.nside), self._values.nbytes
        self.key = key_of(f"HEALPix {healpix.order} {self.frame!r}", self._values)

    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        pixels = self._healpix.lonlat_to_healpix(lon * u.deg, lat * u.deg)
        return np.asarray(self._values[pixels])


class HealSparseCoverage(Coverage):
    """A `healsparse.HealSparseMap` of fractions or bool, in ICRS."""

    def __init__(self, sparse: Any) -> None:
        self._map, self.frame = sparse, ICRS()
        self.finest = _side_of_healpix(sparse.nside_sparse)
        pixels = sparse.valid_pixels
        values = sparse[pixels]
        self.nbytes = values.nbytes
        self.key = key_of(f"healsparse {sparse.nside_sparse}", pixels, values)

    def fractions(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        values = self._map.get_values_pos(lon, lat, lonlat=True)
        if values.dtype.kind in "iuf":
            values = np.ma.masked_equal(values, self._map.sentinel)
        return as_fractions(values, "coverage")


def _looked_up(pixels: FloatArray, grid: SkyGrid, x: FloatArray, y: FloatArray) -> FloatArray:
    found = np.zeros(len(x))
    inside, flat = grid.index(x, y)
    found[inside] = pixels.ravel()[flat]
    return found


def _side_of_healpix(nside: int) -> float:
    """The root of the solid angle (rad) of a HEALPix pixel."""
    return float(np.sqrt(np.pi / 3) / nside)
