"""The arguments that say what map to make, checked as far as they can be on their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mpl_skyheat.smoothing.kernel_base import KernelAlgebra, parse_width
from mpl_skyheat.smoothing.kernels import as_kernel
from mpl_skyheat.smoothing.plane import PAD_MODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.smoothing.kernel_base import Terms

# Values of the arguments that are one of a few words.
CHOICES = {
    "statistic": ("density", "count"),
    "boundary": ("sky", *PAD_MODES),
    "geometry": ("auto", "plane", "sphere"),
}


@dataclass(frozen=True)
class MapRequest:
    """The checked arguments of a map; ``pixel_size`` in rad, in data units with frame="flat"."""

    statistic: str
    pixel_size: Any
    bins: Any
    kernel: KernelAlgebra | None
    boundary: str
    geometry: str
    unit: u.UnitBase | None
    label: str | None
    frame: Any
    threads: int | None = None

    @property
    def is_flat(self) -> bool:
        return isinstance(self.frame, str) and self.frame == "flat"

    @property
    def terms(self) -> Terms:
        return () if self.kernel is None else self.kernel.terms

    @classmethod
    def checked(cls, **given: Any) -> MapRequest:
        """The request of all arguments by name; an error names the argument that is wrong."""
        for name, choices in CHOICES.items():
            if not isinstance(given[name], str) or given[name] not in choices:
                listed = ", ".join(map(repr, choices))
                raise ValueError(f"{name} must be one of {listed}; got {repr(given[name])[:60]}")
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
            "unit": lambda unit: _parse_unit(unit, given["statistic"]),
            "threads": _parse_threads,
        }
        for name, parse in parsers.items():
            given[name] = None if given.get(name) is None else parse(given[name])
        return cls(**given)


def check_label(label: Any) -> None:
    """Raise a TypeError if a label is no text."""
    if label is not None and not isinstance(label, str):
        raise TypeError(f"label must be text, such as 'stars', or None; got {label!r:.60}")


def _parse_threads(threads: Any) -> int:
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise ValueError(f"threads must be a positive integer, or None; got {threads!r}")
    return int(threads)


def _parse_pixel_size(pixel_size: Any, *, is_flat: bool) -> float:
    """The pixel's side in rad, in data units on a flat map."""
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


def _parse_bins(bins: Any) -> tuple[int, int]:
    try:
        pair = np.atleast_1d(bins)
    except ValueError:
        pair = np.empty(0)
    if pair.shape not in ((1,), (2,)) or pair.dtype.kind not in "iu" or (pair < 1).any():
        raise ValueError(f"bins must be a positive integer or a pair (nx, ny); got {bins!r}")
    return int(pair[0]), int(pair[-1])


def _parse_unit(unit: Any, statistic: str) -> u.UnitBase:
    if statistic != "density":
        raise ValueError(f"unit is that of a density; got unit={unit!r}, statistic={statistic!r}")
    try:
        return u.Unit(unit)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"unit must be per solid angle, such as u.deg**-2 or 'arcmin-2'; got {unit!r}"
        ) from error


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
