"""Arithmetic of maps: which maps it takes, and what its result is."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u
from astropy.nddata import NDData

from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.sky.vectors import to_vectors

# What ``meta["statistic"]`` of the result says, and the sign between two labels.
RESULTS = {
    "add": ("total", "+"),
    "subtract": ("difference", "−"),
    "multiply": ("product", "×"),
    "divide": ("quotient", "/"),
}

# Signs in a label that need brackets around it.
SIGNS = tuple(f" {sign} " for _, sign in RESULTS.values())

# Pixels are the same if their positions agree to this fraction of the map's size.
TOLERANCE = 1e-9


def as_operand(value: Any) -> Any:
    """What NDData's arithmetic takes: maps and other NDData, and numbers as Quantities."""
    if isinstance(value, NDData):
        return value
    if isinstance(value, u.UnitBase):
        return u.Quantity(1, value)
    array = value if isinstance(value, u.Quantity) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"operand must be a SkyMap, a number or a Quantity; got {value!r:.60}")
    return value


def _may_be_negative(value: Any) -> bool:
    """Whether a map is signed by its statistic or kernel, or another operand is below 0."""
    if isinstance(value, NDData):
        return bool(value.meta.get("signed"))
    return bool((u.Quantity(value).value < 0).any())


def check_geometries(a: Any, b: Any) -> None:
    """Raise a ValueError unless two maps have the same pixels of the same sky."""
    if a.data.shape != b.data.shape:
        raise ValueError(
            f"maps must have the same pixels; got shapes {a.data.shape} and {b.data.shape}: make "
            "both with one wcs, shape and pixel_size"
        )
    if a.wcs is b.wcs or a.wcs is None or b.wcs is None:
        return
    flat = [m.meta.get("frame") == "flat" for m in (a, b)]
    places = [_places(m.wcs, m.data.shape, is_flat=f) for m, f in zip((a, b), flat, strict=True)]
    size = np.nanmax(np.ptp(places[0].reshape(-1, places[0].shape[-1]), axis=0), initial=0)
    is_same = flat[0] == flat[1] and np.allclose(
        places[0], places[1], 0, TOLERANCE * size, equal_nan=True
    )
    if is_same and not flat[0]:
        frames: Any = [plane_of_wcs(m.wcs).frame for m in (a, b)]
        is_same = frames[0].is_equivalent_frame(frames[1])
    if not is_same:
        raise ValueError(
            "maps must have the same pixels; got two of one shape at different places of the sky: "
            "make both with one wcs, shape and pixel_size"
        )


def _places(wcs: Any, shape: tuple[int, ...], *, is_flat: bool) -> Any:
    """Positions of 25 pixels: unit vectors, or x, y."""
    y, x = np.meshgrid(*(np.linspace(0, n - 1, 5) for n in shape), indexing="ij")
    if is_flat:
        return np.stack(wcs.low_level_wcs.pixel_to_world_values(x, y), axis=-1)
    return to_vectors(*plane_of_wcs(wcs).to_sky(x.ravel(), y.ravel()))


def finish(result: Any, name: str, a: Any, b: Any, other: Any) -> None:
    """Give the result of ``a.<name>(b)`` its meta and solid angles; ``other`` is b if a map.

    Pixels without a finite value are masked.
    """
    if result.wcs is None:
        result.wcs = a.wcs
    result.solid_angle = a.solid_angle
    bad = ~np.isfinite(result.data)
    result.data[bad] = np.nan
    result.mask = bad if result.mask is None else bad | result.mask
    word, sign = RESULTS[name]
    meta = dict(a.meta)
    if other is None:
        scales = name in ("multiply", "divide") and not isinstance(b, u.Quantity)
        meta["statistic"] = a.meta.get("statistic") if scales and np.isscalar(b) else word
    else:
        # Entries that differ between the maps, such as the numbers of rows, are left out.
        meta = {key: v for key, v in a.meta.items() if str(other.meta.get(key)) == str(v)}
        for key in ("label", "kernel"):
            ours, its = a.meta.get(key), other.meta.get(key)
            both = _combined(ours, sign, its) if ours and its else None
            meta[key] = ours if ours == its and key == "kernel" else both
        meta |= {"statistic": word, "frame": a.meta.get("frame", "icrs")}
    kinds = {m.meta.get("statistic") for m in (a, other) if m is not None}
    if meta["statistic"] == "total" and not kinds <= {"density", "count", "total"}:
        meta["statistic"] = "total of values"
    meta["signed"] = name == "subtract" or _may_be_negative(a) or _may_be_negative(b)
    result.meta = meta


def _combined(ours: str, sign: str, its: str) -> str:
    """Two labels with a sign between them, in brackets where one has signs of its own."""
    if sign != "+":
        ours, its = (f"({s})" if any(own in s for own in SIGNS) else s for s in (ours, its))
    return f"{ours} {sign} {its}"
