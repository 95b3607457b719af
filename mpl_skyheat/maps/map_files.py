"""Maps as FITS files, and back, equal to the bit."""

from __future__ import annotations

import gzip
import io
import json
import os
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import nddata
from astropy import units as u
from astropy.utils.exceptions import AstropyUserWarning

from mpl_skyheat.compute.writing import FITS_ENDINGS, replacing
from mpl_skyheat.maps.significance import KernelSums
from mpl_skyheat.sky.fits_wcs import as_fits_wcs
from mpl_skyheat.sky.wcs_json import wcs_of_json, wcs_to_json
from mpl_skyheat.smoothing.kernel_json import kernel_of_json, kernel_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

# The card with all that is no array, and the version of what it says.
CARD, VERSION = "SKYHEAT", 1

# Extensions of companions that are not called as these are.
EXTENSIONS = {"solid_angle": "OMEGA", "n_eff": "NEFF", "n_on": "NON", "n_off": "NOFF"}

# The sums that `compare` needs, by name and extension.
SUMS = ("s1", "e1", "e2")

# The extension of arrays that the card refers to by number (EXTVER): of a WCS, or of a kernel.
ARRAYS = "ARRAY"

# What a compressed file starts with.
GZIP = b"\x1f\x8b"

UNCERTAINTIES = ("StdDevUncertainty", "VarianceUncertainty", "InverseVariance")

# What reading a damaged file raises.
DAMAGES = (OSError, ValueError, TypeError, LookupError, EOFError, zlib.error, AstropyUserWarning)


def check_target(file: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise an error if a FITS file of that name must not be written."""
    if not os.fspath(file).lower().endswith(FITS_ENDINGS):
        raise ValueError(f"file must have a name that ends in .fits or .fits.gz; got {file!s}")
    if os.path.lexists(file) and not overwrite:
        raise FileExistsError(f"{file} is there already: overwrite=True replaces it")


def write_fits(
    sky_map: Any, file: str | os.PathLike[str], companions: Sequence[str], *, overwrite: bool
) -> None:
    """Write a map with the arrays in its attributes ``companions``: see `SkyMap.write`."""
    check_target(file, overwrite=overwrite)
    hdus = _hdus(sky_map, companions)
    with replacing(file) as new:
        hdus.writeto(new)


def _hdus(sky_map: Any, companions: Sequence[str]) -> Any:
    from astropy.io import fits

    if sky_map.wcs is None:
        raise ValueError("wcs must be that of the pixels for a map to be written; got None")
    wcs = as_fits_wcs(sky_map.wcs, sky_map.data.shape)
    hdus = wcs.to_fits(relax=True)
    hdus[0].data = np.asarray(sky_map.data)
    if sky_map.unit is not None:
        hdus[0].header["BUNIT"] = fits_unit(sky_map.unit)

    def append(name: str, values: Any, unit: Any = None) -> None:
        hdus.append(fits.ImageHDU(np.asarray(values), wcs.to_header(relax=True), name))
        if unit is not None:
            hdus[-1].header["BUNIT"] = fits_unit(unit)

    # The names and attributes of masks and uncertainties are those that CCDData reads.
    append("MASK", sky_map.mask.astype(np.uint8))
    error = sky_map.uncertainty
    if error is not None:
        append("UNCERT", error.array, error.unit or sky_map.unit)
        hdus[-1].header["UTYPE"] = type(error).__name__
    arrays = {name: getattr(sky_map, name) for name in companions}
    arrays = {name: values for name, values in arrays.items() if values is not None}
    for name, values in arrays.items():
        append(_extension(name), values, getattr(values, "unit", None))
    if (sums := sky_map.kernel_sums) is not None:
        for name in SUMS:
            append(name.upper(), getattr(sums, name))
    referred: list[NDArray[Any]] = []
    hdus[0].header[CARD] = _card_text(sky_map, arrays, referred)
    for number, array in enumerate(referred, 1):
        hdus.append(fits.ImageHDU(array, name=ARRAYS, ver=number))
    return hdus


def _card_text(sky_map: Any, arrays: dict[str, Any], referred: list[NDArray[Any]]) -> str:
    """The JSON of all that is no array of the map's shape; what it refers to is appended."""
    error, sums = sky_map.uncertainty, sky_map.kernel_sums
    card = {
        "version": VERSION,
        "unit": _unit_text(sky_map.unit),
        "label": sky_map.label,
        "kernel": kernel_to_json(sky_map.kernel, referred),
        "meta": sky_map.meta,
        "uncertainty": None if error is None else [type(error).__name__, _unit_text(error.unit)],
        "arrays": {name: _unit_text(getattr(v, "unit", None)) for name, v in arrays.items()},
        "wcs": wcs_to_json(sky_map.wcs, sky_map.data.shape, referred),
        "sums": None if sums is None else [float(sums.mean_weight), _unit_text(sums.unit)],
    }
    # astropy loses what follows quotes that a CONTINUE divides.
    return json.dumps(card, default=_default).replace("'", r"\u0027")


def _extension(companion: str) -> str:
    return EXTENSIONS.get(companion, companion.upper())


def _default(value: Any) -> Any:
    """JSON of what `json` has none for, as in ``meta``."""
    from astropy.io.misc import yaml

    if isinstance(value, np.generic):
        return value.item()
    try:
        return {"yaml": yaml.dump(value)}
    except Exception as error:  # it calls methods of any class
        raise ValueError(
            "meta must have numbers, texts and what astropy.io.misc.yaml can write, for a map to "
            f"be written; got {value!r:.60}"
        ) from error


def _restored(found: dict[str, Any]) -> Any:
    """What `_default` has made JSON of; other objects as they are."""
    from astropy.io.misc import yaml

    return yaml.load(found["yaml"]) if "yaml" in found else found


def fits_unit(unit: u.UnitBase) -> str:
    """A unit in the words of FITS; "" of one that it has no word for, such as dex."""
    try:
        text: str = unit.to_string("fits")
    except ValueError:
        return ""
    return text


def _unit_text(unit: Any) -> str | None:
    if unit is None:
        return None
    text = str(unit)
    try:
        is_equal = u.Unit(text) == unit
    except (TypeError, ValueError):
        is_equal = False
    if not is_equal:
        raise ValueError(
            f"unit must be one that astropy finds by its name, for a map to be written; got {text}"
            " (SkyMap.to takes another)"
        )
    return text


def has_map(file: str | os.PathLike[str]) -> bool:
    """Whether a file is a FITS file that `SkyMap.write` has written, as far as its name says."""
    from astropy.io import fits

    if not os.fspath(file).lower().endswith(FITS_ENDINGS):
        return False
    try:
        return CARD in fits.getheader(file)
    except Exception:  # A broken file makes a reader raise errors of any class.
        return False


def read_fits(file: str | os.PathLike[str]) -> dict[str, Any]:
    """The arguments of `SkyMap` for the map in a file."""
    from astropy.io import fits

    content = Path(file).read_bytes()
    try:
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", AstropyUserWarning)  # of a file that is cut off
            with fits.open(io.BytesIO(content), memmap=False) as hdus:
                card = _card_of(hdus, file)
                return _arguments(card, hdus)
    except NotAMapError:
        raise
    except DAMAGES as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"file must be a whole FITS file that SkyMap.write has written; {file} is cut off, "
            f"damaged or no FITS file at all: {reason:.120}"
        ) from error


class NotAMapError(ValueError):
    """A FITS file that has no map, or one of another version."""


def _card_of(hdus: Any, file: Any) -> dict[str, Any]:
    header = hdus[0].header
    if any(hdu.header.get("PIXTYPE") == "HEALPIX" for hdu in hdus):
        raise NotAMapError(
            f"file must be one that SkyMap.write has written as FITS; {file} is a HEALPix map, "
            "which is read with healpy.read_map, and may be the coverage of another map"
        )
    if CARD not in header:
        raise NotAMapError(
            f"file must be one that SkyMap.write has written; {file} has no card {CARD}: an image "
            "is read with astropy.nddata.CCDData.read, and a map is made on its pixels with "
            "sky_map(ra, dec, wcs=header)"
        )
    card: dict[str, Any] = json.loads(header[CARD], object_hook=_restored)
    if card["version"] != VERSION:
        raise NotAMapError(
            f"file must be of version {VERSION} of the maps of SkyMap.write; {file} is of version "
            f"{card['version']}: read it with the mpl_skyheat that wrote it, or a later one"
        )
    return card


def _arguments(card: dict[str, Any], hdus: Any) -> dict[str, Any]:
    referred = [_native(hdu.data) for hdu in hdus if hdu.name == ARRAYS]
    data = _native(hdus[0].data)

    def array(extension: str, unit: str | None = None) -> Any:
        values = _native(hdus[extension].data)
        if values.shape != data.shape:
            raise ValueError(f"{extension} has the shape {values.shape}, not {data.shape}")
        return values if unit is None else values << u.Unit(unit)

    uncertainty = None
    if card["uncertainty"] is not None:
        name, unit = card["uncertainty"]
        kind = getattr(nddata, UNCERTAINTIES[UNCERTAINTIES.index(name)])
        uncertainty = kind(array("UNCERT"), unit=None if unit is None else u.Unit(unit))
    sums = None if card["sums"] is None else _sums(card["sums"], array)
    companions = {name: array(_extension(name), unit) for name, unit in card["arrays"].items()}
    return {
        "data": data,
        "unit": None if card["unit"] is None else u.Unit(card["unit"]),
        "mask": array("MASK").astype(bool),
        "wcs": wcs_of_json(card["wcs"], referred),
        "uncertainty": uncertainty,
        "meta": card["meta"],
        "kernel": kernel_of_json(card["kernel"], referred),
        "label": card["label"],
        "later": {"kernel_sums": lambda: sums},
        **companions,
    }


def _sums(told: tuple[float, str | None], array: Callable[[str], NDArray[Any]]) -> KernelSums:
    """The sums that two maps are compared by."""
    weight, unit = told
    s1, e1, e2 = (array(name.upper()) for name in SUMS)
    return KernelSums(s1, e1, e2, weight, None if unit is None else u.Unit(unit))


def _native(array: Any) -> NDArray[Any]:
    """An array in the byte order of the machine."""
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))
