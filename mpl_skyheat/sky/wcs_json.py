"""WCSs of maps as JSON that makes an equal one again, to the bit.

The cards of a FITS header do not: they keep 20 characters of a number, and no pixels that are
merged ones of a distorted image. Floats are texts of `float.hex`; arrays, such as those of
distortions, are left to the caller, and numbered in the JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord, UnitSphericalRepresentation
from astropy.wcs import WCS
from astropy.wcs.wcsapi import BaseHighLevelWCS, HighLevelWCSWrapper

from mpl_skyheat.sky.fits_wcs import as_fits_wcs
from mpl_skyheat.sky.grid import Axis, SkyGrid
from mpl_skyheat.sky.shipping import ShippingError, state_of_wcs, wcs_of_state
from mpl_skyheat.sky.views import FramedWCS
from mpl_skyheat.sky.wrapped_wcs import GridWCS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = list[NDArray[Any]]


def wcs_to_json(wcs: Any, shape: tuple[int, ...], arrays: Arrays) -> dict[str, Any]:
    """The JSON of a map's WCS, whose arrays are appended to ``arrays``.

    Of a WCS that is neither one of FITS nor a grid on one, it is that of `as_fits_wcs`.
    """
    low_level = wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs
    if isinstance(low_level, WCS):
        return _fits_to_json(low_level, arrays)
    if isinstance(low_level, GridWCS) and isinstance(low_level.innermost, WCS):
        base, grid, swap, frame = low_level.parts
        axes = [[a.origin, a.step, a.count, a.first, a.closed_at] for a in (grid.x, grid.y)]
        return {
            "grid": _to_json(axes, arrays),
            "swap": swap,
            "frame": None if frame is None else frame_to_text(frame),
            "base": wcs_to_json(base, shape, arrays),
        }
    return _fits_to_json(as_fits_wcs(wcs, shape), arrays)


def wcs_of_json(found: dict[str, Any], arrays: Arrays) -> Any:
    """The WCS of `wcs_to_json`."""
    if "grid" not in found:
        kind = FramedWCS if found["framed"] else WCS
        return wcs_of_state(kind, _of_json(found["fits"], arrays))
    x, y = (Axis(*axis) for axis in _of_json(found["grid"], arrays))
    base = wcs_of_json(found["base"], arrays)
    base = base.low_level_wcs if isinstance(base, BaseHighLevelWCS) else base
    frame = None if found["frame"] is None else frame_of_text(found["frame"])
    return HighLevelWCSWrapper(GridWCS(base, SkyGrid(x, y), swap=found["swap"], frame=frame))


def _fits_to_json(wcs: WCS, arrays: Arrays) -> dict[str, Any]:
    try:
        state = state_of_wcs(wcs)
    except ShippingError as error:
        raise ValueError(
            f"wcs must be one that its numbers make again, for a map to be written: {error}"
        ) from error
    return {"framed": isinstance(wcs, FramedWCS), "fits": _to_json(state, arrays)}


def _to_json(value: Any, arrays: Arrays) -> Any:
    """Nested dicts, sequences, arrays, numbers and texts as JSON."""
    if isinstance(value, dict):
        return {name: _to_json(v, arrays) for name, v in value.items()}
    if isinstance(value, list):
        return [_to_json(v, arrays) for v in value]
    if isinstance(value, tuple):
        return {"tuple": [_to_json(v, arrays) for v in value]}
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays)}
    if isinstance(value, bytes):
        return {"bytes": value.decode("ascii")}
    if isinstance(value, float):
        return {"hex": float(value).hex()}
    return int(value) if isinstance(value, np.integer) else value


def _of_json(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, list):
        return [_of_json(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"tuple": items}:
            return tuple(_of_json(v, arrays) for v in items)
        case {"array": number}:
            return arrays[number - 1]
        case {"bytes": text}:
            return text.encode("ascii")
        case {"hex": text}:
            return float.fromhex(text)
    return {name: _of_json(v, arrays) for name, v in value.items()}


def frame_to_text(frame: BaseCoordinateFrame) -> str:
    """The YAML of a frame with its attributes, by astropy; a ValueError if it has none."""
    from astropy.io.misc import yaml

    try:
        origin = frame.realize_frame(UnitSphericalRepresentation(0 * u.deg, 0 * u.deg))
        text: str = yaml.dump(SkyCoord(origin))
        is_equal = frame_of_text(text).is_equivalent_frame(frame)
    except Exception as error:  # frames of other packages raise errors of any type
        raise ValueError(f"frame must be one that astropy can write; got {frame!r}") from error
    if not is_equal:
        raise ValueError(f"frame must be one that astropy can write; got {frame!r}")
    return text


def frame_of_text(text: str) -> BaseCoordinateFrame:
    """The frame of `frame_to_text`."""
    from astropy.io.misc import yaml

    frame: BaseCoordinateFrame = yaml.load(text).frame.replicate_without_data()
    return frame
