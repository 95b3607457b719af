"""Planes: what an Axes or a WCS shows of the sky, as a flat plane with sky positions on it.

A `Plane` knows how sky positions become x, y on the plane and back, and which rectangle of it is in
view. The rest of the package sees planes only.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import (
    FK4,
    FK5,
    ICRS,
    BarycentricMeanEcliptic,
    BaseCoordinateFrame,
    SkyCoord,
    Supergalactic,
)
from astropy.time import Time
from astropy.wcs import WCS, NoConvergence
from astropy.wcs.wcsapi import (
    BaseHighLevelWCS,
    BaseLowLevelWCS,
    BaseWCSWrapper,
    HighLevelWCSWrapper,
)

from mpl_skyheat.grid import UNKNOWN, Axis, Projection, SkyGrid, View
from mpl_skyheat.outlines import outline_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mpl_skyheat.outlines import Outline

    FloatArray = NDArray[np.float64]

# Distortions are inverted to this many pixels, far below what could move a point across an edge
# unnoticed; astropy's default, 1e-4, makes the result depend on which other points are inverted.
DISTORTION_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Plane:
    """A flat plane, with positions (deg) in one frame of the sky on it.

    ``frame`` is None for a plane of Cartesian x and y. ``view`` is the rectangle to map, NaN where
    the points' bounds are to be taken. ``wcs`` gives the sky position of the plane's unit pixels,
    whose centres are at whole numbers; it is None for a plane of x and y. On an Axes, ``transform``
    takes the plane to the screen; None stands for ``ax.transData``. ``outline`` are the corners of
    a polygon around the sky, where the patch of the Axes is not one.
    """

    to_plane: Projection
    to_sky: Projection
    frame: BaseCoordinateFrame | None
    view: View
    wcs: BaseLowLevelWCS | None
    # Whether the x and the y limits of the Axes are still those of an empty one.
    is_fresh: tuple[bool, bool] = (False, False)
    transform: Any = None
    outline: FloatArray | None = None
    # The longitude (deg) in the middle, where the Axes would label it with another.
    center: float | None = None
    # Whether its unit pixels are a size to map in, where none is asked for.
    has_pixels: bool = True
    # Whether polynomials may stand for it on tiles: it has no features that are smaller than those.
    is_smooth: bool = True
    # Whether equal areas on it show equal solid angles.
    is_equal_area: bool = False
    # Tells which places show sky, where that is known in closed form.
    shows: Outline | None = None
    # Makes an equal plane that another thread may use at the same time: WCSs are not made for that.
    twin: Callable[[], Plane] | None = None

    def twins(self, number: int) -> list[Plane]:
        """Return this and planes that are equal to it, so many of them; or this alone."""
        if self.twin is None:
            return [self]
        return [self, *(self.twin() for _ in range(number - 1))]


def _same(x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
    return np.asarray(x, float), np.asarray(y, float)


def flat_plane(view: View) -> Plane:
    """Return the plane of Cartesian x and y."""
    return Plane(_same, _same, None, view, None, has_pixels=False)


class ProjectedWCS(BaseLowLevelWCS):
    """The sky on a plane that a projection, of whatever package, puts it on."""

    def __init__(
        self, to_plane: Projection, to_sky: Projection, frame: BaseCoordinateFrame
    ) -> None:
        self._to_plane, self._to_sky, self._frame = to_plane, to_sky, frame

    def pixel_to_world_values(self, *pixel: Any) -> Any:
        return self._to_sky(*pixel)

    def world_to_pixel_values(self, *world: Any) -> Any:
        return self._to_plane(*world)

    @property
    def pixel_n_dim(self) -> int:
        return 2

    @property
    def world_n_dim(self) -> int:
        return 2

    @property
    def world_axis_units(self) -> list[str]:
        return ["deg", "deg"]

    @property
    def world_axis_physical_types(self) -> list[str | None]:
        if self._frame.name == "galactic":
            return ["pos.galactic.lon", "pos.galactic.lat"]
        is_equatorial = "ra" in self._frame.get_representation_component_names()
        return ["pos.eq.ra", "pos.eq.dec"] if is_equatorial else [None, "custom:pos.lat"]

    @property
    def world_axis_object_components(self) -> list[Any]:
        return [
            ("celestial", 0, lambda c: c.spherical.lon.deg),
            ("celestial", 1, lambda c: c.spherical.lat.deg),
        ]

    @property
    def world_axis_object_classes(self) -> dict[str, Any]:
        return {"celestial": (SkyCoord, (), {"frame": self._frame, "unit": (u.deg, u.deg)})}


class GridWCS(BaseWCSWrapper):
    """The sky as seen from the pixels of a grid that is cut on another WCS's pixel plane.

    Pixel i of the grid is centred on ``grid.x.centres[i]`` of the plane; with ``swap``, x of the
    plane is the wrapped WCS's second pixel axis. ``frame`` replaces the frame that the wrapped WCS
    claims, for ecliptic and supergalactic ones, which astropy takes for ICRS or does not know.
    """

    def __init__(
        self,
        wcs: BaseLowLevelWCS,
        grid: SkyGrid,
        *,
        swap: bool = False,
        frame: BaseCoordinateFrame | None = None,
    ) -> None:
        super().__init__(wcs)
        self._grid, self._swap, self._frame = grid, swap, frame
        self._world_to_pixel = _world_to_pixel(wcs)

    def pixel_to_world_values(self, *pixel: Any) -> Any:
        x, y = (_pixel_centre(axis, p) for axis, p in zip(self._axes(), pixel, strict=True))
        return self._wcs.pixel_to_world_values(*((y, x) if self._swap else (x, y)))

    def world_to_pixel_values(self, *world: Any) -> Any:
        x, y = self._world_to_pixel(*world)
        plane = (y, x) if self._swap else (x, y)
        return tuple(_pixel_number(axis, p) for axis, p in zip(self._axes(), plane, strict=True))

    def _axes(self) -> tuple[Axis, Axis]:
        return self._grid.x, self._grid.y

    @property
    def pixel_shape(self) -> tuple[int, int]:
        return self._grid.x.count, self._grid.y.count

    @property
    def array_shape(self) -> tuple[int, int]:
        return self._grid.shape

    @property
    def pixel_bounds(self) -> None:
        return None

    @property
    def pixel_axis_names(self) -> Any:
        names = self._wcs.pixel_axis_names
        return names[::-1] if self._swap else names

    @property
    def axis_correlation_matrix(self) -> Any:
        matrix = self._wcs.axis_correlation_matrix
        return matrix[:, ::-1] if self._swap else matrix

    @property
    def world_axis_object_components(self) -> Any:
        if self._frame is None:
            return self._wcs.world_axis_object_components
        units = [u.Unit(unit) for unit in self._wcs.world_axis_units]
        longitude, latitude = _celestial_order(self._wcs)
        components: list[Any] = [None, None]
        components[longitude] = (
            "celestial",
            0,
            lambda c: c.spherical.lon.to_value(units[longitude]),
        )
        components[latitude] = (
            "celestial",
            1,
            lambda c: c.spherical.lat.to_value(units[latitude]),
        )
        return components

    @property
    def world_axis_object_classes(self) -> Any:
        if self._frame is None:
            return self._wcs.world_axis_object_classes
        order = _celestial_order(self._wcs)
        units = tuple(u.Unit(self._wcs.world_axis_units[i]) for i in order)
        return {"celestial": (SkyCoord, (), {"frame": self._frame, "unit": units})}


def _pixel_centre(axis: Axis, pixel: Any) -> FloatArray:
    return axis.origin + axis.step * (np.asarray(pixel) + axis.first + 0.5)


def _pixel_number(axis: Axis, position: Any) -> FloatArray:
    return (np.asarray(position) - axis.origin) / axis.step - axis.first - 0.5


def grid_wcs(plane: Plane, grid: SkyGrid) -> BaseHighLevelWCS:
    """Return the WCS of a grid's pixels: a FITS WCS where one can say it, else a wrapper."""
    if plane.wcs is None:
        return _linear_wcs(grid)
    if isinstance(plane.wcs, WCS) and _is_whole(grid, plane.wcs):
        return plane.wcs
    if isinstance(plane.wcs, WCS) and plane.wcs.naxis == 2 and not plane.wcs.has_distortion:
        resampled = _resampled_fits_wcs(plane.wcs, grid)
        if _agree(resampled, plane.wcs, grid):
            return resampled
    return HighLevelWCSWrapper(GridWCS(plane.wcs, grid))


def _is_whole(grid: SkyGrid, wcs: WCS) -> bool:
    """Tell whether a grid's pixels are all of a WCS's own."""
    return wcs.array_shape == grid.shape and all(
        (axis.origin, axis.step, axis.first) == (-0.5, 1, 0) for axis in (grid.x, grid.y)
    )


def _linear_wcs(grid: SkyGrid) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.crpix = [1.0, 1.0]
    wcs.wcs.crval = [grid.x.centres[0], grid.y.centres[0]]
    wcs.wcs.cdelt = [grid.x.step, grid.y.step]
    wcs.pixel_shape = grid.shape[::-1]
    return wcs


def _resampled_fits_wcs(source: WCS, grid: SkyGrid) -> WCS:
    """Rewrite CRPIXj and PCi_j, CDELTi (or CDi_j) for other pixels on the same plane.

    With steps s, CDELTi PCi_j sj = (CDELTi si) (PCi_j sj / si), which keeps PC a rotation.
    """
    wcs = source.deepcopy()
    steps = np.array([grid.x.step, grid.y.step])
    # CRPIX is 1-based.
    wcs.wcs.crpix = [
        _pixel_number(axis, crpix - 1) + 1
        for axis, crpix in zip((grid.x, grid.y), source.wcs.crpix, strict=True)
    ]
    if wcs.wcs.has_cd():
        wcs.wcs.cd = source.wcs.cd * steps
    else:
        wcs.wcs.pc = source.wcs.get_pc() * steps / steps[:, np.newaxis]
        wcs.wcs.cdelt = source.wcs.get_cdelt() * steps
    wcs.pixel_shape = grid.shape[::-1]
    wcs.wcs.set()
    return wcs


def _agree(resampled: WCS, source: WCS, grid: SkyGrid) -> bool:
    """Tell whether a rewritten WCS has the sky where the source has it.

    It has not where a distortion works on the intermediate coordinates as CDELT scales them (TPV).
    """
    i, j = np.meshgrid(*(np.linspace(0, axis.count - 1, 5) for axis in (grid.x, grid.y)))
    there = source.wcs_pix2world(_pixel_centre(grid.x, i), _pixel_centre(grid.y, j), 0)
    here = resampled.wcs_pix2world(i, j, 0)
    return bool(np.allclose(here, there, rtol=0, atol=1e-9, equal_nan=True))


def plane_of_wcs(wcs: Any, shape: tuple[int, int] | None = None) -> Plane:
    """Return the pixel plane of a celestial WCS; ``shape`` is (ny, nx), by default the WCS's own.

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
    return celestial_plane(low_level, view_of_shape(low_level, shape), header=low_level)


def view_of_shape(wcs: BaseLowLevelWCS, shape: tuple[int, int] | None) -> View:
    """Return the pixels of a shape (ny, nx), by default of that which the WCS has, if any."""
    if shape is not None:
        ny, nx = shape
        return View(-0.5, nx - 0.5, -0.5, ny - 0.5)
    if wcs.pixel_shape is not None and all(wcs.pixel_shape):
        nx, ny = wcs.pixel_shape
        return View(-0.5, nx - 0.5, -0.5, ny - 0.5)
    if wcs.pixel_bounds is not None and all(wcs.pixel_bounds):
        (x_min, x_max), (y_min, y_max) = wcs.pixel_bounds
        return View(float(x_min), float(x_max), float(y_min), float(y_max))
    return UNKNOWN


def celestial_plane(wcs: BaseLowLevelWCS, view: View, *, header: Any, swap: bool = False) -> Plane:
    """Return the pixel plane of a WCS; with ``swap``, its second pixel axis is x.

    Raises
    ------
    ValueError
        If its two axes are not celestial.
    """
    original = wcs
    claimed = _claimed_frame(wcs)
    frame = _true_frame(wcs, claimed, header)
    corrected = None if frame is claimed else frame
    if swap or corrected is not None:
        pixels = SkyGrid(Axis(-0.5, 1, 1), Axis(-0.5, 1, 1))
        wcs = GridWCS(wcs, pixels, swap=swap, frame=corrected)
    longitude, latitude = _celestial_order(wcs)
    units = [u.Unit(unit) for unit in wcs.world_axis_units]
    factors = [units[i].to(u.deg) for i in (longitude, latitude)]
    world_to_pixel = _world_to_pixel(wcs)

    def to_plane(lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        if np.size(lon) == 0:  # gwcs and SIP fail on nothing
            return np.zeros(np.shape(lon)), np.zeros(np.shape(lon))
        world: list[Any] = [None, None]
        world[longitude], world[latitude] = lon / factors[0], lat / factors[1]
        x, y = world_to_pixel(*world)
        return np.asarray(x), np.asarray(y)

    def to_sky(x: Any, y: Any) -> tuple[FloatArray, FloatArray]:
        world = wcs.pixel_to_world_values(x, y)
        return (
            np.asarray(world[longitude]) * factors[0],
            np.asarray(world[latitude]) * factors[1],
        )

    def twin() -> Plane:
        return celestial_plane(deepcopy(original), view, header=header, swap=swap)

    can_twin = isinstance(original, WCS)
    return Plane(
        to_plane,
        to_sky,
        frame,
        view,
        wcs,
        is_smooth=_is_smooth(header),
        is_equal_area=_is_equal_area(header),
        shows=outline_of(original) if wcs is original else None,
        twin=twin if can_twin else None,
    )


# The FITS projections that show equal areas as such (Calabretta & Greisen 2002, A&A 395, 1077, and
# Calabretta & Lowe 2013, PASA 30, e050, for XPH).
EQUAL_AREA = ("AIT", "BON", "CEA", "COE", "HPX", "MOL", "PAR", "QSC", "SFL", "XPH", "ZEA")


def _is_equal_area(wcs: Any) -> bool:
    """Tell whether all pixels of a WCS are known to have the same solid angle."""
    if not isinstance(wcs, WCS) or wcs.has_distortion:
        return False
    return all(ctype[-3:] in EQUAL_AREA for ctype in _ctypes(wcs))


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


def _world_to_pixel(wcs: BaseLowLevelWCS) -> Any:
    """Return the WCS's own world_to_pixel_values, made definite where distortions are inverted."""
    is_distorted = isinstance(wcs, WCS) and wcs.has_distortion
    return Undistorted(wcs) if is_distorted else wcs.world_to_pixel_values


class Undistorted:
    """The inverse of a distorted FITS WCS."""

    def __init__(self, wcs: WCS) -> None:
        # A distorted WCS that is used by several threads at once gives wrong positions.
        self._wcs = wcs.deepcopy()

    def __call__(self, *world: Any) -> list[FloatArray]:
        linear = self._wcs.wcs_world2pix(*world, 0)
        if not np.isfinite(linear).all(axis=0).any():  # the iteration would warn of nothing but NaN
            return list(linear)
        try:
            pixel = self._wcs.all_world2pix(*world, 0, tolerance=DISTORTION_TOLERANCE, maxiter=50)
        except NoConvergence as failure:
            # Far outside the image, where the polynomial means nothing.
            pixel = failure.best_solution.T.copy()
            for lost in (failure.divergent, failure.slow_conv):
                if lost is not None:
                    pixel[:, lost] = np.nan
        return list(pixel)


def _celestial_order(wcs: BaseLowLevelWCS) -> tuple[int, int]:
    """Return which world axis is the longitude and which the latitude."""
    for i, kind in enumerate(wcs.world_axis_physical_types):
        if str(kind).endswith((".lat", ".dec")):
            return 1 - i, i
    # Without a UCD (supergalactic, say): SkyCoord's longitude comes first, astropy names the rest.
    (name, order, _), (_, _, _) = wcs.world_axis_object_components
    return (1, 0) if order == 1 or name == "slat" else (0, 1)


def _claimed_frame(wcs: BaseLowLevelWCS) -> BaseCoordinateFrame | None:
    """Return the frame of the SkyCoord that the WCS makes of a pixel, None if it makes none."""
    classes = wcs.world_axis_object_classes
    components = [c[0] for c in wcs.world_axis_object_components]
    if wcs.pixel_n_dim != 2 or wcs.world_n_dim != 2 or len(set(components)) != 1:
        return None
    cls, _, keywords, *_ = classes[components[0]]
    if not (isinstance(cls, type) and issubclass(cls, SkyCoord)):
        return None
    frame = keywords.get("frame", ICRS())
    return frame() if isinstance(frame, type) else frame


def _true_frame(
    wcs: BaseLowLevelWCS, claimed: BaseCoordinateFrame | None, header: Any
) -> BaseCoordinateFrame:
    types = [str(t) for t in wcs.world_axis_physical_types]
    if wcs.pixel_n_dim != 2 or wcs.world_n_dim != 2:
        raise ValueError(
            f"wcs must have two celestial axes; got {wcs.pixel_n_dim} pixel and {wcs.world_n_dim} "
            f"world axes ({', '.join(types)}): take wcs.celestial, or slice the other axes away "
            "with slices=('x', 'y', 0), which works where they are not coupled to the sky"
        )
    # astropy takes these axes for equatorial ones, in the system of RADESYS.
    is_equatorial = isinstance(claimed, ICRS | FK5 | FK4 | None)
    if all(t.startswith("pos.ecliptic") for t in types) and is_equatorial:
        return ecliptic_frame(header)
    if any(c.startswith("SLON") for c in _ctypes(header)):
        return Supergalactic()
    if claimed is None:
        raise ValueError(
            f"wcs must have two celestial axes that astropy knows the frame of; got "
            f"{', '.join(types)} (CTYPE {', '.join(_ctypes(header)) or 'unknown'}); "
            "helioprojective and planetary frames need the package that defines them to be "
            "imported (sunpy, for one)"
        )
    return claimed


def _ctypes(header: Any) -> list[str]:
    return [str(c) for c in header.wcs.ctype] if isinstance(header, WCS) else []


def ecliptic_frame(header: Any) -> BaseCoordinateFrame:
    """Return the ecliptic frame of a header's equinox (J2000 if it gives none).

    The mean ecliptic and equinox are those of Calabretta &
    Greisen (2002, A&A 395, 1077), section 3.1.
    """
    if not isinstance(header, WCS):
        return BarycentricMeanEcliptic(equinox="J2000")
    header.wcs.set()  # fills RADESYS in from EQUINOX
    if header.wcs.radesys.upper().startswith("FK4"):
        raise ValueError(
            "wcs must not give ecliptic axes in the FK4 system (RADESYS "
            f"{header.wcs.radesys!r}), for which astropy has no frame; take RADESYS='FK5' or 'ICRS'"
        )
    equinox = header.wcs.equinox
    return BarycentricMeanEcliptic(
        equinox=Time(equinox if np.isfinite(equinox) else 2000.0, format="jyear")
    )
