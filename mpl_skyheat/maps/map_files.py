"""Maps as FITS files."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
from astropy import units as u
from astropy.wcs import WCS

from mpl_skyheat.compute.writing import replacing

# Endings of the names of FITS files; others would be opened by what cannot read them.
ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz")


def write_fits(sky_map: Any, file: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write a map: see `SkyMap.write`."""
    if not isinstance(sky_map.wcs, WCS):
        raise ValueError(
            "wcs must be one that FITS can say for a map to be written, which it is not where its "
            f"pixels are merged ones of a distorted image; got {type(sky_map.wcs).__name__}"
        )
    if not os.fspath(file).lower().endswith(ENDINGS):
        raise ValueError(f"file must have a name that ends in .fits or .fits.gz; got {file!s}")
    if os.path.lexists(file) and not overwrite:
        raise FileExistsError(f"{file} is there already: overwrite=True replaces it")
    with replacing(file) as new:
        _hdus(sky_map, sky_map.wcs).writeto(new)


def _hdus(sky_map: Any, wcs: WCS) -> Any:
    from astropy.io import fits

    hdus = wcs.to_fits(relax=True)
    hdus[0].data = np.asarray(sky_map.data)
    unit = _fits_unit(sky_map.unit)
    if sky_map.unit is not None:
        hdus[0].header["BUNIT"] = unit
    kernel = None if sky_map.kernel is None else repr(sky_map.kernel)
    told = {"label": sky_map.label, "kernel": kernel} | dict(sky_map.meta)
    told |= {} if unit else {"unit": str(sky_map.unit or "")}
    hdus[0].header["SKYHEAT"] = json.dumps(told, default=str)
    for name, values in (
        ("MASK", sky_map.mask.astype(np.uint8)), ("COUNTS", sky_map.counts),
        ("OMEGA", sky_map.solid_angle), ("NEFF", sky_map.n_eff),
        ("NON", sky_map.n_on), ("NOFF", sky_map.n_off),
    ):  # fmt: skip
        if values is not None:
            hdus.append(fits.ImageHDU(np.asarray(values), wcs.to_header(relax=True), name))
    if sky_map.uncertainty is not None:
        hdu = fits.ImageHDU(sky_map.uncertainty.array, wcs.to_header(relax=True), "UNCERT")
        hdu.header["UTYPE"] = type(sky_map.uncertainty).__name__  # as CCDData reads it
        hdu.header["BUNIT"] = unit
        hdus.append(hdu)
    if sky_map.solid_angle is not None:
        hdus["OMEGA"].header["BUNIT"] = sky_map.solid_angle.unit.to_string("fits")
    return hdus


def _fits_unit(unit: Any) -> str:
    """A unit in the words of FITS; "" of one that it has no word for, such as dex."""
    try:
        text: str = (unit or u.dimensionless_unscaled).to_string("fits")
    except ValueError:
        return ""
    return text
