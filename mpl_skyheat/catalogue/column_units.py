"""Units of columns, as archives and other packages of units spell them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from astropy import units as u

# Spellings of files of archives, in lower case, that are not astropy's.
SPELLINGS = {
    "degrees": u.deg, "deg.": u.deg, "decimal degrees": u.deg, "degrees_east": u.deg,
    "degrees_north": u.deg, "radians": u.rad, "arcmins": u.arcmin, "arcminutes": u.arcmin,
    "arcsecs": u.arcsec, "arcseconds": u.arcsec, "hours": u.hour, "hrs": u.hour,
    "sec": u.s, "ang": u.AA, "hour_angle": u.hourangle, "counts": u.ct, "electrons": u.electron,
    "e-": u.electron, "photons": u.photon, "maggies": u.mgy, "nanomaggies": u.nmgy, "ergs": u.erg,
    "dimensionless": u.dimensionless_unscaled, "unitless": u.dimensionless_unscaled,
}  # fmt: skip

# As in "Angle[deg]", of which the unit is in brackets. "[deg]" is a logarithm in tables of CDS.
BRACKETED = re.compile(r"[A-Za-z ]+\[(.*)\]")

WORD = re.compile(r"\be-(?!\d)|[A-Za-z_]+")


def unit_of(values: Any) -> u.UnitBase | None:
    """The unit of a column of astropy, pint, unyt, xarray, zarr or h5py; None without one.

    A unit that astropy does not know is one of its own, to which no other is equal.
    """
    if type(values).__module__.startswith("pandas"):  # which takes a row's label for an attribute
        return None
    unit = getattr(values, "unit", None)
    if unit is None:
        unit = getattr(values, "units", None)
    if unit is None and isinstance(attributes := getattr(values, "attrs", None), Mapping):
        unit = attributes.get("units", attributes.get("unit"))
        unit = unit.decode() if isinstance(unit, bytes) else unit
    if unit is None or (isinstance(unit, u.UnitBase) and not isinstance(unit, u.UnrecognizedUnit)):
        return unit
    return _parsed(str(unit)) if not isinstance(unit, u.FunctionUnitBase) else unit


@cache
def _parsed(text: str) -> u.UnitBase | None:
    """A unit by its name; kept, as units that astropy does not know equal themselves only."""
    text = re.sub("['\"]", "", text).strip()  # as in 'electron'.s**-1 of Gaia
    bracketed = BRACKETED.fullmatch(text)
    text = bracketed[1].strip() if bracketed else text
    if not text:
        return None
    if text.lower() in SPELLINGS:
        return SPELLINGS[text.lower()]
    words = WORD.sub(lambda word: str(SPELLINGS.get(word[0].lower(), word[0])), text)
    for spelling in (text, words, text.lower()):
        try:
            return u.Unit(spelling)
        except ValueError:
            continue
    return u.def_unit(text)
