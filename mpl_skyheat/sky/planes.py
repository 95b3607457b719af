"""Planes: transforms between positions on the sky and x, y on a flat plane.

A plane is that of a WCS's pixels, that of an Axes without a WCS, or plain x and y. It holds no data
and no Axes, and a pickled one is restored equal to the bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.wcs import WCS, WcsError
from astropy.wcs.wcsapi import BaseHighLevelWCS, BaseLowLevelWCS

from mpl_skyheat.sky.frames import change_frame
from mpl_skyheat.sky.grid import UNKNOWN, Axis, SkyGrid, View
from mpl_skyheat.sky.outlines import outline_of
from mpl_skyheat.sky.shipping import are_equal, packed, unpacked
from mpl_skyheat.sky.wcs_frames import celestial_order, claimed_frame, ctypes, true_frame
from mpl_skyheat.sky.wrapped_wcs import GridWCS, ProjectedWCS, pixel_to_world, world_to_pixel

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.outlines import Outline


class Plane(ABC):
    """A flat plane of x and y, and its transforms to and from positions (deg) on the sky."""

    # Frame of the positions; None for a plane of Cartesian x and y.
    frame: BaseCoordinateFrame | None = None
    # The WCS of the plane's unit pixels, whose centres are at whole numbers.
    wcs: BaseLowLevelWCS | None = None
    # Whether a map has the unit pixels if no other size is asked for.
    has_pixels = True
    # Whether these are somebody's, as those of a WCS are; else a narrow kernel may split them.
    has_own_pixels = True
    # Whether polynomials on tiles may replace `to_plane`: it has no jumps or small features.
    is_smooth = True
    # Whether equal areas on the plane are equal solid angles.
    is_equal_area = False
    # Closed form of where the plane shows sky, if there is one.
    shows: Outline | None = None

    @abstractmethod
    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        """The x and y of positions (deg); NaN for positions that are not on the plane."""

    @abstractmethod
    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        """The longitude and latitude (deg) of x, y; NaN off the sky."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Any, ...]:
        """The arguments of the constructor."""

    def __eq__(self, other: object) -> bool:
        """Whether another plane has the same positions, to the bit."""
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Plane)
        return all(map(are_equal, self.parts, other.parts))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).of_parts, (packed(self.parts),)

    @classmethod
    def of_parts(cls, data: bytes) -> Plane:
        """Make a plane of packed parts."""
        return cls(*unpacked(data))

    def twins(self, number: int) -> list[Plane]:
        """This plane and equal ones, one per thread, as a FITS WCS is not thread-safe.

        This plane alone if it must not be used by several threads at all.
        """
        del number
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
    """The plane of an Axes without a WCS, whose ``projection`` has ``to_plane`` and ``to_sky``."""

    has_own_pixels = False

    def __init__(
        self,
        projection: Any,
        frame: BaseCoordinateFrame,
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


class WCSPlane(Plane):
    """The pixel plane of a celestial WCS; with ``swap``, its second pixel axis is x.

    ``frame`` is the frame of its positions, also where astropy takes them for another's.
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
        self._pixel_to_world = pixel_to_world(self.wcs)

    def to_plane(self, lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        if np.size(lon) == 0:  # gwcs and SIP fail on empty arrays
            return np.zeros(np.shape(lon)), np.zeros(np.shape(lon))
        world: list[Any] = [None, None]
        for axis, value, factor in zip(self._order, (lon, lat), self._factors, strict=True):
            world[axis] = value / factor
        x, y = self._world_to_pixel(*world)
        return np.asarray(x), np.asarray(y)

    def to_sky(self, x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        world = self._pixel_to_world(x, y)
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
    """Make the pixel plane of a WCS; with ``swap``, its second pixel axis is x.

    ``header`` is the WCS with the keywords of frame and projection: ``wcs``, or the one that it is
    a slice of. Axes that are not two celestial ones are a ValueError.
    """
    try:
        frame = true_frame(wcs, header)
    except WcsError as error:
        raise ValueError(f"wcs has keywords that contradict: {_first_reason(error)}") from error
    return WCSPlane(wcs, frame, swap, _is_smooth(header), _is_equal_area(header))


def _first_reason(error: WcsError) -> str:
    """What wcslib says, without the places in its sources."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("ERROR")]
    return " ".join(lines) or str(error)


def plane_of_wcs(wcs: Any) -> WCSPlane:
    """Make the pixel plane of a celestial WCS, low-level or high-level."""
    low_level = wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs
    if not isinstance(low_level, BaseLowLevelWCS):
        raise TypeError(
            f"wcs must be a WCS, such as astropy.wcs.WCS(header); got {type(wcs).__name__}"
        )
    return celestial_plane(low_level, header=low_level)


def view_of_shape(wcs: Any, shape: tuple[int, int] | None = None) -> View:
    """View of the pixels of a shape (ny, nx), or else of the WCS's own shape or bounds."""
    wcs = wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs
    # WCS(header, naxis=2) keeps the NAXISi of further axes.
    sides = (wcs.pixel_shape or (0, 0))[:2] if shape is None else shape[::-1]
    if all(sides):
        nx, ny = sides
        return View(-0.5, nx - 0.5, -0.5, ny - 0.5)
    if wcs.pixel_bounds is not None and all(wcs.pixel_bounds):
        (x_min, x_max), (y_min, y_max) = wcs.pixel_bounds
        return View(float(x_min), float(x_max), float(y_min), float(y_max))
    return UNKNOWN


# The equal-area projections of FITS (Calabretta & Greisen 2002, A&A 395, 1077; XPH: Calabretta &
# Lowe 2013, PASA 30, e050).
EQUAL_AREA = ("AIT", "BON", "CEA", "COE", "HPX", "MOL", "PAR", "QSC", "SFL", "XPH", "ZEA")


def _is_equal_area(wcs: Any) -> bool:
    """Whether all pixels of a WCS are known to have the same solid angle."""
    if not isinstance(wcs, WCS) or wcs.has_distortion:
        return False
    return all(ctype[-3:] in EQUAL_AREA for ctype in ctypes(wcs))


# Modules of astropy whose models have no steps, kinks or tables.
SMOOTH_MODULES = tuple(
    f"astropy.modeling.{name}" for name in ("mappings", "polynomial", "projections", "rotations")
)

# Smooth models of other modules; of a compound model all submodels are looked at.
SMOOTH_MODELS = ("CompoundModel", "Const1D", "Multiply", "Scale", "Shift")


def _is_smooth(wcs: Any) -> bool:
    """Whether a WCS is known to have no small features, such as those of a lookup table."""
    if isinstance(wcs, WCS):
        tables = wcs.cpdis1, wcs.cpdis2, wcs.det2im1, wcs.det2im2
        has_tables = any(ctype.endswith("-TAB") for ctype in ctypes(wcs))
        return not has_tables and all(table is None for table in tables)
    transform = getattr(wcs, "forward_transform", None)  # of a gwcs
    if transform is None:
        return False
    is_compound = hasattr(transform, "traverse_postorder")
    models = transform.traverse_postorder() if is_compound else [transform]
    return all(
        type(model).__module__.startswith(SMOOTH_MODULES) or type(model).__name__ in SMOOTH_MODELS
        for model in models
    )


def project(
    plane: Plane, frame: BaseCoordinateFrame | None, lon: Any, lat: Any
) -> tuple[FloatArray, FloatArray]:
    """The x, y of positions (deg) in a frame; NaN for positions that are not on the plane."""
    if frame is not None and plane.frame is not None:
        lon, lat = change_frame(lon, lat, frame, plane.frame)
    return plane.to_plane(lon, lat)
