"""What ``coverage=`` takes: `find_coverage` is the one place that tells the forms apart."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from astropy.io.fits import HDUList, Header
from astropy.nddata import NDData
from astropy.units import Quantity
from astropy.wcs import WCS
from astropy.wcs.wcsapi import BaseHighLevelWCS, BaseLowLevelWCS

from mpl_skyheat.coverage.base import Coverage, Product, without_unit
from mpl_skyheat.coverage.files import read_coverage
from mpl_skyheat.coverage.forms import (
    ArrayCoverage,
    FunctionCoverage,
    HealpixCoverage,
    HealSparseCoverage,
    ImageCoverage,
    MocCoverage,
)
from mpl_skyheat.coverage.randoms import Randoms
from mpl_skyheat.coverage.sky_regions import RegionsCoverage

ACCEPTED = (
    "a function of a SkyCoord, an array of the map's shape, an image with a WCS (NDData, an HDU, "
    "or (array, wcs)), a mocpy.MOC, sky regions, a HEALPix map (healsparse's, or (values, "
    "HEALPix)), Randoms, a file of these, or a list of them"
)


class Observation(NamedTuple):
    """What was observed: where a coverage is not 0, as random points say, or both."""

    coverage: Coverage | None = None
    randoms: Randoms | None = None


def find_coverage(value: Any) -> Observation:
    """What was observed, by any form of ``coverage``; an error names what is accepted."""
    if isinstance(value, Randoms):
        return Observation(None, value)
    if not _is_list_of_forms(value):
        return Observation(_coverage_of(value))
    if value and all(_is_of(item, "regions") for item in value):
        raise TypeError(
            "coverage must be Regions([...]) for the union of sky regions, as a list is what all "
            f"of its parts have observed; got a {type(value).__name__} of {len(value)} regions"
        )
    found = [find_coverage(item) for item in value]
    coverages = [part for one in found if one.coverage is not None for part in one.coverage.parts]
    randoms = [one.randoms for one in found if one.randoms is not None]
    if len(randoms) > 1 or not found:
        raise ValueError(
            f"coverage must have one Randoms at most, and no empty list; got {value!r:.60}"
        )
    return Observation(
        _product_of(coverages) if coverages else None,
        randoms[0] if randoms else None,
    )


def _product_of(coverages: list[Coverage]) -> Coverage:
    """The product of coverages, in which arrays on the map's pixels are one array."""
    arrays = [one for one in coverages if isinstance(one, ArrayCoverage)]
    shapes = list(dict.fromkeys(one.pixels.shape for one in arrays))
    if len(shapes) > 1:
        raise ValueError(f"coverage must have arrays of one shape, the map's; got {shapes}")
    parts = [one for one in coverages if one not in arrays]
    if arrays:
        parts.append(ArrayCoverage(np.prod([one.pixels for one in arrays], axis=0)))
    return parts[0] if len(parts) == 1 else Product(parts)


def _is_list_of_forms(value: Any) -> bool:
    """Whether it is a list of coverages: no pair that is one, and no array as nested lists."""
    if not isinstance(value, list | tuple) or _is_pair(value):
        return False
    first = value[0] if value else None
    while isinstance(first, list) and first:
        first = first[0]
    return not isinstance(first, int | float | np.number | np.bool_)


def _is_pair(value: Any) -> bool:
    """Whether it is (array, wcs) or (values, HEALPix)."""
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return isinstance(value[1], BaseHighLevelWCS | BaseLowLevelWCS | Header) or _is_healpix(
        value[1]
    )


def _coverage_of(value: Any) -> Coverage:
    if isinstance(value, str | os.PathLike):
        return _coverage_of(read_coverage(value))
    if _is_pair(value):
        array, where = value
        if _is_healpix(where):
            return HealpixCoverage(array, where)
        return ImageCoverage(array, _as_wcs(where))
    if _is_of(value, "mocpy") and hasattr(value, "contains_lonlat"):
        return MocCoverage(value)
    if _is_of(value, "healsparse") and hasattr(value, "get_values_pos"):
        return HealSparseCoverage(value)
    if _is_of(value, "regions"):
        regions = getattr(value, "regions", [value])
        return RegionsCoverage(regions)
    if isinstance(value, NDData):
        if value.wcs is None:
            raise ValueError("coverage must be an image with a WCS; got NDData whose wcs is None")
        array = value.data if value.unit is None else Quantity(value.data, value.unit)
        array = np.ma.array(without_unit(array, "coverage"), mask=value.mask)
        return ImageCoverage(array, value.wcs)
    if isinstance(value, HDUList):
        value = next((hdu for hdu in value if hdu.is_image and hdu.data is not None), value)
    if hasattr(value, "header") and hasattr(value, "data") and value.data is not None:
        return ImageCoverage(value.data, _as_wcs(value.header))
    if isinstance(value, np.ndarray | Quantity | list | tuple):
        return ArrayCoverage(value)
    if callable(value) and not isinstance(value, type):
        return FunctionCoverage(value)
    raise TypeError(f"coverage must be {ACCEPTED}; got {value!r:.60}")


def _is_of(value: Any, package: str) -> bool:
    """Whether a class is of a package, which need not be installed."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def _as_wcs(value: Any) -> Any:
    return WCS(value).celestial if isinstance(value, Header) else value


def _is_healpix(value: Any) -> bool:
    return hasattr(value, "lonlat_to_healpix")
