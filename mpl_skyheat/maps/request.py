"""The arguments that say what map to make, checked as far as they can be on their own."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mpl_skyheat.coverage.parsing import find_coverage
from mpl_skyheat.maps.statistic_table import (
    OF_ROWS,
    PER_PIXEL,
    STATISTICS,
    StatisticName,
)
from mpl_skyheat.smoothing.adaptive import Adaptive
from mpl_skyheat.smoothing.choice import Geometry
from mpl_skyheat.smoothing.kernel_base import KernelAlgebra, angular_kernels, parse_width
from mpl_skyheat.smoothing.kernels import Annulus, as_kernel
from mpl_skyheat.smoothing.plane import Boundary
from mpl_skyheat.smoothing.row_gaussian import RowGaussian

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mpl_skyheat.coverage.base import Coverage
    from mpl_skyheat.coverage.randoms import Randoms
    from mpl_skyheat.smoothing.kernel_base import Terms

# Values of the arguments that are one of a few words.
CHOICES = {"statistic": StatisticName, "boundary": Boundary, "geometry": Geometry}

# Statistics of kernels of more than one width: of rows, or of places in a mode of `Adaptive`.
OF_WIDTHS = {
    "rows": ("density", "count", "sum", "mean", "std"),
    "scatter": ("density", "count"),
    "gather": ("density", "count", "mean", "std"),
}


@dataclass(frozen=True)
class MapRequest:
    """The checked arguments of a map; ``pixel_size`` in rad, in data units with frame="flat"."""

    statistic: StatisticName
    pixel_size: Any
    bins: Any
    kernel: KernelAlgebra | None
    boundary: Boundary
    geometry: Geometry
    unit: u.UnitBase | None
    label: str | None
    frame: Any
    min_count: float | None = None
    # What was observed; pixels, or kernels, of which less is seen than a fraction are masked.
    coverage: Coverage | None = None
    randoms: Randoms | None = None
    min_coverage: float = 0.5
    # Whether the kernel is to be found from the points: it is None until then.
    is_auto: bool = False
    # Around each pixel, of a statistic that is about it.
    background: KernelAlgebra | None = None
    # Whether the picture is read anew at the pixels of each draw.
    live: bool = False
    # Whether the map is for a picture, in which small pixels may be merged.
    is_picture: bool = False
    threads: int | None = None
    progress: Any = False

    @property
    def is_flat(self) -> bool:
        return isinstance(self.frame, str) and self.frame == "flat"

    @property
    def terms(self) -> Terms:
        return () if self.kernel is None else self.kernel.terms

    @property
    def rows_kernel(self) -> RowGaussian | None:
        """The kernel, if each row has a width of its own."""
        return self.kernel if isinstance(self.kernel, RowGaussian) else None

    @property
    def widths(self) -> Any:
        """Widths of the rows' own kernels, as a column's name or an array; None of one kernel."""
        return None if self.rows_kernel is None else self.rows_kernel.widths

    @property
    def all_terms(self) -> Terms:
        """The terms of the kernel, and of the background."""
        return self.terms + (() if self.background is None else self.background.terms)

    @property
    def has_coverage(self) -> bool:
        """Whether it is told what was observed, by a coverage or random points."""
        return self.coverage is not None or self.randoms is not None

    @property
    def is_signed(self) -> bool:
        """Whether the kernel is negative anywhere, as a difference of two is."""
        return self.kernel is not None and self.kernel.is_signed

    @classmethod
    def of_call(cls, arguments: dict[str, Any], *, is_picture: bool = False) -> MapRequest:
        """The request of a call of `sky_map`, or of what draws its maps, by its arguments' names.

        Those that say nothing of the map are left out; an error names the argument that is wrong.
        """
        names = {field.name for field in fields(cls)} & arguments.keys()
        given = {name: arguments[name] for name in names} | {"is_picture": is_picture}
        return cls._checked(given, has_values=arguments["values"] is not None)

    @classmethod
    def _checked(cls, given: dict[str, Any], *, has_values: bool) -> MapRequest:
        """The request of arguments by name.

        ``has_values`` if there are values for each row, whose mean is then the default statistic.
        """
        if given["statistic"] is None:
            given["statistic"] = "mean" if has_values else "density"
        for name, literal in CHOICES.items():
            check_choice(name, given[name], get_args(literal))
        check_label(given["label"])
        pixel_size, bins = given["pixel_size"], given["bins"]
        if pixel_size is not None and bins is not None:
            raise ValueError(
                f"pixel_size and bins exclude each other; got pixel_size={pixel_size}, bins={bins}"
            )
        is_flat = isinstance(given["frame"], str) and given["frame"] == "flat"
        parsers: dict[str, Callable[[Any], Any]] = {
            "pixel_size": lambda size: _parse_pixel_size(size, is_flat=is_flat),
            "bins": _parse_bins,
            "kernel": as_kernel,
            "background": _parse_background,
            "unit": lambda unit: _parse_unit(unit, given["statistic"]),
            "min_count": _parse_min_count,
            "min_coverage": _parse_min_coverage,
            "threads": _parse_threads,
            "progress": _parse_progress,
            "live": _parse_live,
        }
        if isinstance(given["kernel"], str) and given["kernel"] == "auto":
            given["kernel"], given["is_auto"] = None, True
        for name, parse in parsers.items():
            given[name] = None if given.get(name) is None else parse(given[name])
        if given.get("coverage") is not None:
            given["coverage"], given["randoms"] = find_coverage(given["coverage"])
        request = cls(**given)
        if request.live:
            request = _live(request)
        if request.pixel_size == "auto":
            request = replace(request, pixel_size=_pixel_of_kernel(request))
        if request.is_auto and request.statistic not in OF_ROWS:
            raise ValueError(
                f"kernel='auto' is the width for a density; with statistic={request.statistic!r} "
                "give a width, such as the kernel of sky_map(..., kernel='auto')"
            )
        _check_coverage(request)
        _check_background(request)
        _check_statistic(request, has_values=has_values)
        _check_varying(request)
        return request


def _live(request: MapRequest) -> MapRequest:
    """The request of a live map, which is smoothed on the sphere; an error if it cannot be."""
    if request.statistic == "median":
        raise ValueError(
            "statistic must not be 'median' with live=True, as medians of bins make no median of "
            "several: take 'mean', or live=False"
        )
    if request.kernel is None and not request.is_auto:
        return request
    if request.statistic in PER_PIXEL:
        raise ValueError(
            f"statistic={request.statistic!r} is that of a pixel, and the pixels of a live map are "
            "those of the screen: take 'density', leave out the kernel, or give live=False"
        )
    if len(angular_kernels(request.all_terms)) < len(request.all_terms):
        raise ValueError(
            f"kernel must be an angle with live=True, whose pixels are those of the screen; got "
            f"{request.kernel!r}"
        )
    if request.boundary != "sky":
        raise ValueError(
            f"boundary must be 'sky' with live=True, whose view moves; got {request.boundary!r}"
        )
    if request.geometry == "plane":
        raise ValueError("geometry must be 'sphere' or 'auto' with live=True; got 'plane'")
    return replace(request, geometry="sphere")


def _check_statistic(request: MapRequest, *, has_values: bool) -> None:
    """Raise a ValueError if a statistic has no meaning with the other arguments."""
    name = request.statistic
    found = STATISTICS[name]
    if has_values and not found.needs_values:
        raise ValueError(
            f"statistic={name!r} is of rows, not of values: give weights=, to add them up, or a "
            "statistic of values such as 'mean' or 'sum'"
        )
    if found.needs_values and not has_values:
        raise ValueError(f"values must be given with statistic={name!r}")
    if request.kernel is None:
        return
    if not found.is_smoothable:
        raise ValueError(
            f"kernel must be left out with statistic={name!r}, which has no smoothed form; got "
            f"{request.kernel!r}"
        )
    if request.is_signed and not found.is_linear:
        raise ValueError(
            f"kernel must not be negative anywhere with statistic={name!r}; got {request.kernel!r}"
        )
    if request.min_count is not None and (request.is_signed or request.boundary == "reflect"):
        raise ValueError(
            f"min_count={request.min_count:g} needs a number of rows under the kernel, which there "
            "is none of with a difference of kernels, and with boundary='reflect'"
        )


def _check_varying(request: MapRequest) -> None:
    """Raise a ValueError if a kernel of more than one width has no meaning with the others."""
    kernel, name = request.kernel, request.statistic
    if kernel is None or not kernel.varies:
        return
    statistics, boundaries = OF_WIDTHS["rows"], ["sky", "fill"]
    if isinstance(kernel, Adaptive):
        statistics, boundaries = OF_WIDTHS[kernel.mode], ["sky", "fill", "wrap"]
    if name not in statistics:
        is_gathered = name in OF_WIDTHS["gather"]
        other = " (with mode='gather' for 'mean' and 'std', too)" if is_gathered else ""
        raise ValueError(
            f"kernel must have one width with statistic={name!r}; got {kernel!r}, which is for "
            f"{', '.join(map(repr, statistics))}{other}"
        )
    if request.live:
        raise ValueError(f"kernel must have one width with live=True; got {kernel!r}")
    if request.boundary not in boundaries:
        raise ValueError(
            f"boundary must be one of {', '.join(map(repr, boundaries))} with kernel={kernel!r}; "
            f"got {request.boundary!r}"
        )
    if request.randoms is not None:
        raise ValueError(
            "coverage must say what was observed of each pixel, as a MOC or a function does, with "
            f"kernel={kernel!r}; got Randoms"
        )


def _check_background(request: MapRequest) -> None:
    """Raise a ValueError if a background is missing, or has no meaning."""
    name, background = request.statistic, request.background
    if not STATISTICS[name].needs_background:
        if background is not None:
            raise ValueError(
                "background must be left out but with statistic='excess', 'significance' or "
                f"'lima'; got background={background!r}, statistic={name!r}"
            )
        return
    if background is None or request.kernel is None:
        disc = "" if request.kernel is not None else "; for the points in a disc take TopHat"
        raise ValueError(
            f"background must be given beside kernel with statistic={name!r}, such as "
            "kernel='0.5 deg', background=Annulus('2 deg', '4 deg'); got "
            f"background={background!r}, kernel={request.kernel!r}{disc}"
        )
    if background.is_signed:
        raise ValueError(f"background must not be negative anywhere; got {background!r}")
    if request.is_flat and angular_kernels(background.terms):
        raise ValueError(
            "background must be in map pixels, such as Annulus(6*u.pix, 12*u.pix), with "
            f"frame='flat'; got {background!r}"
        )
    if name == "excess":
        return
    if not all(isinstance(kernel, Annulus) for _, kernel in background.terms):
        raise ValueError(
            f"background must be an Annulus around the kernel, or a sum of them, with statistic="
            f"{name!r}, so that no point is in both; got {background!r}"
        )
    if request.boundary == "reflect":
        raise ValueError(
            f"boundary must be 'sky', 'fill' or 'wrap' with statistic={name!r}, as a point and its "
            "mirror image are one; got 'reflect'"
        )


def _check_coverage(request: MapRequest) -> None:
    """Raise an error if what was observed has no meaning with the other arguments."""
    if not request.has_coverage:
        return
    if request.boundary != "sky":
        raise ValueError(
            "boundary must be 'sky' with coverage, which says what was observed of it; got "
            f"{request.boundary!r}"
        )
    if request.randoms is None:
        return
    if request.is_flat:
        raise TypeError("coverage must be an array with frame='flat'; got Randoms")
    if request.kernel is None and not request.is_auto:
        raise ValueError(
            "kernel must be given with coverage=Randoms(...), which do not say what was observed "
            "of each pixel"
        )
    if request.statistic in ("count", "sum"):
        raise ValueError(
            "statistic must not be 'count' or 'sum' with coverage=Randoms(...), which do not say "
            f"what was observed of each pixel; got {request.statistic!r}"
        )


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise a ValueError if an argument is none of a few words."""
    if not isinstance(value, str) or value not in choices:
        listed = ", ".join(map(repr, choices))
        raise ValueError(f"{name} must be one of {listed}; got {repr(value)[:60]}")


def check_label(label: Any) -> None:
    """Raise a TypeError if a label is no text."""
    if label is not None and not isinstance(label, str):
        raise TypeError(f"label must be text, such as 'stars', or None; got {label!r:.60}")


def _parse_min_count(min_count: Any) -> float:
    is_number = isinstance(min_count, int | float | np.number) and not isinstance(min_count, bool)
    if not is_number or not 0 <= float(min_count) < math.inf:
        raise ValueError(f"min_count must be a number of rows, 0 or more; got {min_count!r}")
    return float(min_count)


def _parse_background(background: Any) -> KernelAlgebra | None:
    is_ring = isinstance(background, list | tuple) and len(background) == 2
    if is_ring or (isinstance(background, str) and "," in background):
        raise TypeError(
            "background must be a ring such as Annulus('1 deg', '2 deg'), or a kernel; got "
            f"{background!r:.60}"
        )
    kernel = as_kernel(background, name="background")
    if kernel is not None and kernel.varies:
        raise TypeError(f"background must have one width; got {kernel!r}")
    return kernel


def _parse_min_coverage(fraction: Any) -> float:
    is_number = isinstance(fraction, int | float | np.number) and not isinstance(fraction, bool)
    if not is_number or not 0 <= float(fraction) <= 1:
        raise ValueError(f"min_coverage must be a fraction of 0 to 1; got {fraction!r:.60}")
    return float(fraction)


def _parse_live(live: Any) -> bool:
    if not isinstance(live, bool | np.bool_):
        raise TypeError(f"live must be True or False; got {live!r:.60}")
    return bool(live)


def _parse_progress(progress: Any) -> Any:
    if not isinstance(progress, bool) and not callable(progress):
        raise TypeError(
            "progress must be True, False or a function of the numbers done and of all; got "
            f"{progress!r:.60}"
        )
    return progress


def _parse_threads(threads: Any) -> int:
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise ValueError(f"threads must be a positive integer, or None; got {threads!r}")
    return int(threads)


def _parse_pixel_size(pixel_size: Any, *, is_flat: bool) -> float | str:
    """The pixel's side in rad, in data units on a flat map; "auto" follows the kernel."""
    if isinstance(pixel_size, str) and pixel_size == "auto":
        return pixel_size
    if is_flat:
        is_number = isinstance(pixel_size, int | float | np.number)
        if not is_number or not 0 < float(pixel_size) < math.inf:
            raise ValueError(
                "pixel_size must be a positive, finite number with frame='flat'; got "
                f"{pixel_size!r}"
            )
        return float(pixel_size)
    width = parse_width(pixel_size, "pixel_size", in_pixels=False)
    if width >= 180 * u.deg:
        raise ValueError(f"pixel_size must be an angle below 180 deg; got {pixel_size}")
    return float(width.to_value(u.rad))


def _pixel_of_kernel(request: MapRequest) -> float:
    """The side (rad) of pixels that resolve the kernel: a quarter of σ, an eighth of a radius."""
    if request.is_auto:
        raise ValueError(
            "pixel_size='auto' follows the kernel, and kernel='auto' the pixels: give the size of "
            "one of them"
        )
    kernels = angular_kernels(request.terms)
    if not kernels or len(kernels) < len(request.terms):
        raise ValueError(
            "pixel_size='auto' follows the kernel, which must be an angle; got "
            f"kernel={request.kernel!r}"
        )
    return min(k.resolution_length / (8 if k.has_steps else 4) for k in kernels)


def _parse_bins(bins: Any) -> tuple[int, int]:
    try:
        pair = np.atleast_1d(bins)
    except ValueError:
        pair = np.empty(0)
    if pair.shape not in ((1,), (2,)) or pair.dtype.kind not in "iu" or (pair < 1).any():
        raise ValueError(f"bins must be a positive integer or a pair (nx, ny); got {bins!r}")
    return int(pair[0]), int(pair[-1])


def _parse_unit(unit: Any, statistic: StatisticName) -> u.UnitBase:
    if statistic == "count" or STATISTICS[statistic].unit == "none":
        raise ValueError(f"unit is that of a density; got unit={unit!r}, statistic={statistic!r}")
    try:
        return u.Unit(unit)
    except (TypeError, ValueError) as error:
        wanted = "per solid angle, such as u.deg**-2 or 'arcmin-2'"
        wanted = wanted if STATISTICS[statistic].unit == "area" else "one of the values"
        raise ValueError(f"unit must be {wanted}; got {unit!r}") from error


def parse_center(center: Any) -> float | None:
    """The longitude (deg) of the ``center`` argument: a SkyCoord, an angle or degrees."""
    if center is None:
        return None
    if isinstance(center, SkyCoord) and center.isscalar:
        return float(center.spherical.lon.deg)
    try:
        lon = u.Quantity(center)
        lon = lon * u.deg if lon.unit == u.dimensionless_unscaled else lon
        value = float(lon.to_value(u.deg))
    except (TypeError, ValueError, u.UnitConversionError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"center must be a longitude, such as 180*u.deg, or one SkyCoord; got "
            f"{repr(center)[:60]}"
        )
    return value
