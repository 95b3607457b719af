"""Planes: a flat plane of x and y with positions of the sky on it.

A `Plane` knows how positions on the sky become x, y on the plane and back. It is a WCS's pixel
plane, what an Axes without a WCS is drawn on, or plain x and y. It knows no data and no Axes, can
be pickled, and arrives equal to the bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.wcs import WCS
from astropy.wcs.wcsapi import BaseHighLevelWCS, BaseLowLevelWCS

from mpl_skyheat.sky.frames import change_frame
from mpl_skyheat.sky.grid import UNKNOWN, Axis, SkyGrid, View
from mpl_skyheat.sky.outlines import outline_of
from mpl_skyheat.sky.shipping import are_equal, packed, unpacked
from mpl_skyheat.sky.wcs_frames import celestial_order, claimed_frame, ctypes, true_frame
from mpl_skyheat.sky.wrapped_wcs import GridWCS, ProjectedWCS, world_to_pixel

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.outlines import Outline


class Plane(ABC):
    """A flat plane, with positions (deg) in one frame of the sky on it.

    Attributes
    ----------
    frame : `~astropy.coordinates.BaseCoordinateFrame` or None
        That of the positions; None for a plane of Cartesian x and y.
    wcs : `~astropy.wcs.wcsapi.BaseLowLevelWCS` or None
        The positions of the plane's unit pixels, whose centres are at whole numbers.
    has_pixels : bool
        Whether its unit pixels are a size to map in, where none is asked for.
    is_smooth : bool
        Whether polynomials may stand for it on tiles: it has no features that are smaller.
    is_equal_area : bool
        Whether equal areas on it show equal solid angles.
    shows : Outline or None
        Tells which places show sky, where that is known in closed form.
    """

    frame: BaseCoordinateFrame | None = None
    wcs: BaseLowLevelWCS | None = None
    has_pixels = True
    is_smooth = True
    is_equal_area = False
    shows: Outline | None = None

    @abstractmethod
    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        """Return the x and y of positions (deg); NaN where the plane has no place for them."""

    @abstractmethod
    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        """Return the longitudes and latitudes (deg) of places; NaN off the sky."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Any, ...]:
        """The arguments that make an equal plane."""

    def __eq__(self, other: object) -> bool:
        """Tell whether another plane has the same positions, to the bit."""
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Plane)
        return all(map(are_equal, self.parts, other.parts))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of_parts, (packed(self.parts),)

    @classmethod
    def of_parts(cls, data: bytes) -> Plane:
        """Return the plane of packed parts."""
        return cls(*unpacked(data))

    def twins(self, number: int) -> list[Plane]:
        """Return as many equal planes, each for a thread of its own; or this one alone.

        FITS WCSs are not made for several threads at once.
        """
        del number  # nobody has seen what other planes do in threads
        return [self]


class FlatPlane(Plane):
    """The plane of Cartesian x and y."""

    has_pixels = False

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        return np.asarray(lon, float), np.asarray(lat, float)

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        return np.asarray(x, float), np.asarray(y, float)

    @property
    def parts(self) -> tuple[Any, ...]:
        return ()


class ProjectedPlane(Plane):
    """The plane of a projection that has no WCS, as Axes of several packages have it.

    ``projection`` has the methods ``to_plane`` and ``to_sky``.
    """

    def __init__(
        self,
        projection: Any,
        frame: BaseCoordinateFrame,
        *,
        is_equal_area: bool = False,
        has_pixels: bool = True,
    ) -> None:
        self._projection, self.frame = projection, frame
        self.is_equal_area, self.has_pixels = is_equal_area, has_pixels
        self.wcs = ProjectedWCS(projection.to_plane, projection.to_sky, frame)

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        found: tuple[FloatArray, FloatArray] = self._projection.to_plane(lon, lat)
        return found

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        found: tuple[FloatArray, FloatArray] = self._projection.to_sky(x, y)
        return found

    @property
    def parts(self) -> tuple[Any, ...]:
        return self._projection, self.frame, self.is_equal_area, self.has_pixels

    @classmethod
    def of_parts(cls, data: bytes) -> Plane:
        """Return the plane of packed parts."""
        projection, frame, is_equal_area, has_pixels = unpacked(data)
        return cls(projection, frame, is_equal_area=is_equal_area, has_pixels=has_pixels)


class WCSPlane(Plane):
    """The pixel plane of a celestial WCS; with ``swap``, its second pixel axis is x.

    ``frame`` is that of the positions, which may be another than astropy takes them for.
    """

    def __init__(
        self,
        wcs: BaseLowLevelWCS,
        frame: BaseCoordinateFrame,
        swap: bool,
        is_smooth: bool,
        is_equal_area: bool,
    ) -> None:
        self._original, self._swap, self.frame = wcs, swap, frame
        self.is_smooth, self.is_equal_area = is_smooth, is_equal_area
        claimed = claimed_frame(wcs)
        is_right = claimed is not None and claimed.is_equivalent_frame(frame)
        self.wcs = wcs
        if swap or not is_right:
            pixels = SkyGrid(Axis(-0.5, 1, 1), Axis(-0.5, 1, 1))
            self.wcs = GridWCS(wcs, pixels, swap=swap, frame=None if is_right else frame)
        self.shows = outline_of(wcs) if self.wcs is wcs else None
        self._order = celestial_order(self.wcs)
        units = [u.Unit(unit) for unit in self.wcs.world_axis_units]
        self._factors = [units[i].to(u.deg) for i in self._order]
        self._world_to_pixel = world_to_pixel(self.wcs)

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        if np.size(lon) == 0:  # gwcs and SIP fail on nothing
            return np.zeros(np.shape(lon)), np.zeros(np.shape(lon))
        world: list[Any] = [None, None]
        for axis, value, factor in zip(self._order, (lon, lat), self._factors, strict=True):
            world[axis] = value / factor
        x, y = self._world_to_pixel(*world)
        return np.asarray(x), np.asarray(y)

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        assert self.wcs is not None
        world = self.wcs.pixel_to_world_values(x, y)
        lon, lat = (
            np.asarray(world[axis]) * factor
            for axis, factor in zip(self._order, self._factors, strict=True)
        )
        return lon, lat

    @property
    def parts(self) -> tuple[Any, ...]:
        return self._original, self.frame, self._swap, self.is_smooth, self.is_equal_area

    def twins(self, number: int) -> list[Plane]:
        if not isinstance(self._original, WCS):
            return [self]
        others = (deepcopy(self._original) for _ in range(number - 1))
        return [self, *(WCSPlane(other, *self.parts[1:]) for other in others)]


def celestial_plane(wcs: BaseLowLevelWCS, *, header: Any, swap: bool = False) -> WCSPlane:
    """Return the pixel plane of a WCS; with ``swap``, its second pixel axis is x.

    ``header`` is the WCS that tells of frames and projections: ``wcs``, or what that is a slice of.

    Raises
    ------
    ValueError
        If its two axes are not celestial.
    """
    frame = true_frame(wcs, claimed_frame(wcs), header)
    return WCSPlane(wcs, frame, swap, _is_smooth(header), _is_equal_area(header))


def plane_of_wcs(wcs: Any) -> WCSPlane:
    """Return the pixel plane of a celestial WCS.

    Raises
    ------
    TypeError
        If it is no WCS.
    ValueError
        If its two axes are not celestial.
    """
    low_level = wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs
    if not isinstance(low_level, BaseLowLevelWCS):
        raise TypeError(
            f"wcs must be a WCS, such as astropy.wcs.WCS(header); got {type(wcs).__name__}"
        )
    return celestial_plane(low_level, header=low_level)


def view_of_shape(wcs: Any, shape: tuple[int, int] | None = None) -> View:
    """Return the pixels of a shape (ny, nx), by default of that which the WCS has, if any."""
    if shape is not None:
        ny, nx = shape
        return View(-0.5, nx - 0.5, -0.5, ny - 0.5)
    wcs = wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs
    if wcs.pixel_shape is not None and all(wcs.pixel_shape):
        nx, ny = wcs.pixel_shape
        return View(-0.5, nx - 0.5, -0.5, ny - 0.5)
    if wcs.pixel_bounds is not None and all(wcs.pixel_bounds):
        (x_min, x_max), (y_min, y_max) = wcs.pixel_bounds
        return View(float(x_min), float(x_max), float(y_min), float(y_max))
    return UNKNOWN


# The FITS projections that show equal areas as such (Calabretta & Greisen 2002, A&A 395, 1077, and
# Calabretta & Lowe 2013, PASA 30, e050, for XPH).
EQUAL_AREA = ("AIT", "BON", "CEA", "COE", "HPX", "MOL", "PAR", "QSC", "SFL", "XPH", "ZEA")


def _is_equal_area(wcs: Any) -> bool:
    """Tell whether all pixels of a WCS are known to have the same solid angle."""
    if not isinstance(wcs, WCS) or wcs.has_distortion:
        return False
    return all(ctype[-3:] in EQUAL_AREA for ctype in ctypes(wcs))


# Where the models are that have no steps, kinks or tables; and some that are elsewhere.
SMOOTH_MODULES = tuple(
    f"astropy.modeling.{name}" for name in ("mappings", "polynomial", "projections", "rotations")
)
SMOOTH_MODELS = ("Const1D", "Multiply", "Scale", "Shift")


def _is_smooth(wcs: Any) -> bool:
    """Tell whether a WCS is known to have no small features, such as a lookup table may have."""
    if isinstance(wcs, WCS):
        tables = wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2
        return all(table is None for table in tables)
    transform = getattr(wcs, "forward_transform", None)  # of a gwcs
    if transform is None:
        return False
    is_compound = hasattr(transform, "traverse_postorder")
    models = transform.traverse_postorder() if is_compound else [transform]
    return all(
        type(model).__module__.startswith(SMOOTH_MODULES)
        or type(model).__name__ in (*SMOOTH_MODELS, "CompoundModel")
        for model in models
    )


def project(
    plane: Plane, frame: BaseCoordinateFrame | None, lon: Any, lat: Any
) -> tuple[FloatArray, FloatArray]:
    """Return the plane's x, y of positions (deg) in a frame; NaN where it has none for them."""
    if frame is not None and plane.frame is not None:
        lon, lat = change_frame(lon, lat, frame, plane.frame)
    return plane.to_plane(lon, lat)
