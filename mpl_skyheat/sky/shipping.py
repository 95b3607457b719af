"""Pickling of planes, and of the FITS WCSs in them, equal to the bit.

`pickle` of an `astropy.wcs.WCS` goes through a header: CD becomes PC, and positions move by up to
2e-11 pixels, so that points on the edge of a pixel change their pixel (astropy#17334). Here a FITS
WCS is pickled as the numbers of its wcsprm, its distortions and its tables; an equal one is made of
them, and compared, before anything is sent.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import BaseCoordinateFrame
from astropy.wcs import WCS, DistortionLookupTable, Sip

if TYPE_CHECKING:
    from collections.abc import Callable

# Numeric attributes of a wcsprm that decide where its pixels are.
NUMBERS = (
    "crpix", "crval", "cdelt", "lonpole", "latpole", "phi0", "theta0", "equinox", "mjdobs",
    "restfrq", "restwav",
)  # fmt: skip

# Text attributes of a wcsprm, of projection, frame and units.
TEXTS = ("ctype", "cunit", "cname", "radesys", "specsys", "dateobs")

# Attributes of a WCS that are lookup tables of its distortions.
TABLES = ("cpdis1", "cpdis2", "det2im1", "det2im2")


class ShippingError(ValueError):
    """An object cannot be pickled equal to the bit."""


class ExactPickler(pickle.Pickler):
    """Pickles FITS WCSs by their numbers, and all other objects as usual."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, WCS):
            return wcs_of_state, (type(obj), state_of_wcs(obj))
        return NotImplemented


def packed(thing: Any) -> bytes:
    """Pickle an object so that `unpacked` makes an equal one; else, a `ShippingError`."""
    buffer = io.BytesIO()
    try:
        ExactPickler(buffer, protocol=5).dump(thing)
    except ShippingError:
        raise
    except Exception as error:  # objects of other packages raise errors of any type
        raise ShippingError(
            f"the map's plane cannot be sent to another process: {error}"
        ) from error
    return buffer.getvalue()


def unpacked(data: bytes) -> Any:
    """Restore a `packed` object."""
    return pickle.loads(data)


def are_equal(a: Any, b: Any) -> bool:
    """Whether two parts of planes, such as WCSs, frames or projections, are equal to the bit.

    Those that cannot be pickled, or have -TAB coordinates, are equal to none but themselves.
    """
    if a is b:
        return True
    if isinstance(a, WCS) or isinstance(b, WCS):
        if type(a) is not type(b) or len(a.wcs.tab) or len(b.wcs.tab):
            return False
        return _same(_raw_state(a), _raw_state(b))
    if isinstance(a, BaseCoordinateFrame) and isinstance(b, BaseCoordinateFrame):
        return bool(a.is_equivalent_frame(b))
    # Restored ones are compared: pickles of equal originals differ if they share other objects.
    try:
        return type(a) is type(b) and packed(unpacked(packed(a))) == packed(unpacked(packed(b)))
    except ShippingError:
        return False


def _same(a: Any, b: Any) -> bool:
    """Whether states, of nested dicts, sequences and arrays, are equal; NaN equals NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    return bool(a == b or (a != a and b != b))


def state_of_wcs(wcs: WCS) -> dict[str, Any]:
    """State of a FITS WCS; a `ShippingError` if it does not make an equal WCS."""
    if len(wcs.wcs.tab):
        raise ShippingError("a WCS with -TAB coordinates cannot be sent to another process")
    wcs.wcs.set()
    state = _raw_state(wcs)
    other = wcs_of_state(type(wcs), state)
    if not (_same(state, _raw_state(other)) and _agree(wcs, other)):
        raise ShippingError("this WCS does not arrive in another process equal to the bit")
    return state


def _raw_state(wcs: WCS) -> dict[str, Any]:
    """Numbers and texts of a FITS WCS, of which `wcs_of_state` makes an equal one."""
    prm = wcs.wcs
    matrix = "cd" if prm.has_cd() else "crota" if prm.has_crota() else "pc"
    # With CD, wcslib ignores CDELT, and astropy warns when it is read.
    names = [name for name in NUMBERS if name != "cdelt" or matrix != "cd"]
    state: dict[str, Any] = {
        "naxis": wcs.naxis,
        "matrix": (matrix, getattr(prm, matrix).tolist()),
        "pv": prm.get_pv(),
        "ps": prm.get_ps(),
        "pixel_shape": wcs.pixel_shape,
        "pixel_bounds": wcs.pixel_bounds,
        "values": {name: _plain(getattr(prm, name)) for name in (*TEXTS, *names)},
        "sip": None if wcs.sip is None else _sip_state(wcs.sip),
        "header": _header_of_tpv(wcs),
    }
    for name in TABLES:
        if (table := getattr(wcs, name)) is not None:
            places = (tuple(getattr(table, part)) for part in ("crpix", "crval", "cdelt"))
            state[name] = np.array(table.data), *places
    return state


def _header_of_tpv(wcs: WCS) -> bytes | None:
    """Header of a TPV projection, as wcslib has its coefficients in no other form; else None.

    It has them with 14 digits. (A WCS with longer ones is refused by `state_of_wcs`.)
    """
    if "-TPV'" not in wcs.wcs.to_header(True):  # once set, its CTYPE says TAN
        return None
    header = wcs.to_header(relax=True)
    # A matrix of either form is set later on, with all digits.
    del header["PC?_?"]
    return bytes(header.tostring(), "ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if isinstance(value, str | float) else [str(v) for v in value]


def _sip_state(sip: Sip) -> tuple[Any, ...]:
    arrays = (sip.a, sip.b, sip.ap, sip.bp)
    return *(None if array is None else np.array(array) for array in arrays), np.array(sip.crpix)


def wcs_of_state(kind: Callable[..., WCS], state: dict[str, Any]) -> WCS:
    """Make the FITS WCS of a state."""
    wcs = kind(state["header"]) if state["header"] is not None else kind(naxis=state["naxis"])
    _set_numbers(wcs.wcs, state)
    if state["sip"] is not None:
        wcs.sip = Sip(*state["sip"])
    for name in TABLES:
        if name in state:
            setattr(wcs, name, DistortionLookupTable(*state[name]))
    wcs.pixel_shape, wcs.pixel_bounds = state["pixel_shape"], state["pixel_bounds"]
    wcs.wcs.set()
    return wcs


def _set_numbers(prm: Any, state: dict[str, Any]) -> None:
    for name, value in state["values"].items():
        is_unset = isinstance(value, float | str) and (value in ("", None) or value != value)
        if not is_unset and not (isinstance(value, list) and _plain(getattr(prm, name)) == value):
            setattr(prm, name, value)
    name, matrix = state["matrix"]
    setattr(prm, name, matrix)
    if state["header"] is None:
        prm.set_pv(state["pv"])
        prm.set_ps(state["ps"])


def _agree(wcs: WCS, other: WCS) -> bool:
    """Whether two WCSs have the same positions, to the bit, at 9 × 9 places of the image."""
    size = wcs.pixel_shape or [float(2 * abs(p) + 100) for p in wcs.wcs.crpix]
    along = [np.linspace(-0.5, n - 0.5, 9) if i < 2 else np.zeros(1) for i, n in enumerate(size)]
    pixel = [v.ravel() for v in np.meshgrid(*along)]
    world = wcs.wcs_pix2world(*pixel, 0)
    same_world = np.array_equal(world, other.wcs_pix2world(*pixel, 0), equal_nan=True)
    there = wcs.wcs_world2pix(*world, 0), other.wcs_world2pix(*world, 0)
    same_frame = _plain(wcs.wcs.ctype) == _plain(other.wcs.ctype)
    same_frame &= wcs.wcs.radesys == other.wcs.radesys
    return same_world and same_frame and np.array_equal(*there, equal_nan=True)
