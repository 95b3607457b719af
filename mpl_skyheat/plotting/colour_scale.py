"""Colour scales of maps: limits, colormap and label of each statistic."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from matplotlib.colors import (
    AsinhNorm,
    CenteredNorm,
    LogNorm,
    Normalize,
    PowerNorm,
    SymLogNorm,
)

from mpl_skyheat.maps.request import check_choice

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.maps.sky_map import SkyMap


class Look(NamedTuple):
    """How the maps of a statistic are drawn.

    Limits are from zero, symmetric about zero, or those of the values ("free"). Without a
    colormap, that of matplotlib's rcParams is taken.
    """

    limits: Literal["from zero", "symmetric", "free"]
    cmap: str | None = None
    # What a value is divided by, or in units of, in the colorbar's label; "" for its own unit.
    per: str = ""
    # What precedes the name of what the values are: "mean" radial velocity.
    prefix: str = ""


# By the statistic, never by the data: noise of 713 to 741 must not fill the whole scale.
LOOKS = {
    "density": Look("from zero", per="per unit area"),
    "count": Look("from zero", per="per pixel"),
    "sum": Look("free", prefix="sum of"),
    "mean": Look("free", prefix="mean"),
    "std": Look("from zero", prefix="std of"),
    "median": Look("free", prefix="median"),
    "min": Look("free", prefix="minimum"),
    "max": Look("free", prefix="maximum"),
    "excess": Look("symmetric", "coolwarm", "per unit area", "excess of"),
    "significance": Look("symmetric", "coolwarm", "[σ]", "significance of"),
    "lima": Look("symmetric", "coolwarm", "[σ]", "significance of"),
    "error": Look("from zero"),
    # Of two maps.
    "log_ratio": Look("symmetric", "coolwarm"),
    "total": Look("from zero"),
    "total of values": Look("free"),
    "difference": Look("symmetric", "coolwarm"),
    "product": Look("free"),
    "quotient": Look("from zero"),
}

# Name of a norm.
NormName = Literal["linear", "log", "symlog", "logit", "asinh", "sqrt", "centered"]

# Norms by name. Matplotlib knows "sqrt" and "centered" by no name, and makes Normalizes of "linear"
# and "asinh" that are of no class of its own.
NORMS: dict[NormName, Any] = {
    "linear": Normalize,
    "sqrt": partial(PowerNorm, 0.5),
    "asinh": AsinhNorm,
    "centered": CenteredNorm,
}

# An asinh scale by name is linear up to this fraction of its largest limit, in every unit.
LINEAR_PART = 0.1

# The log scale of a smoothed map spans at most this fraction to 1 of its largest value: the wings
# of a kernel fall for many decades more.
LOWEST_OF_SMOOTHED = 1e-3


def look_of(sky_map: SkyMap) -> Look:
    """How a map is drawn: as its statistic, or signed if a kernel has made it so."""
    # (A map that somebody has put together may have another, or none.)
    look = LOOKS.get(sky_map.meta.get("stat"), Look("free"))
    if sky_map.meta.get("signed"):
        # (RdBu's white would look like sky that was not observed.)
        return Look("symmetric", "coolwarm", look.per, look.prefix)
    return look


def find_norm(norm: Any, *, is_smoothed: bool) -> Any:
    """The norm of a name, where matplotlib has none that suits maps; others as they are."""
    if not isinstance(norm, str):
        return norm
    check_choice("norm", norm, get_args(NormName))
    if norm == "log" and is_smoothed:
        # Sky that the kernel does not reach has the lowest colour, not none.
        return LogNorm(clip=True)
    return NORMS[norm]() if norm in NORMS else norm


def set_open_limits(norm: Any, values: FloatArray, look: Look, *, is_smoothed: bool) -> None:
    """Set the limits of a norm that are still open, from the values (at least one) of a map."""
    low, high = norm.vmin, norm.vmax
    if low is not None and high is not None and low > high:
        raise ValueError(f"vmin must not be larger than vmax; got vmin={low:g}, vmax={high:g}")
    if isinstance(norm, LogNorm) and low is not None and low <= 0:
        raise ValueError(f"vmin must be positive with norm='log'; got {low:g}")
    if isinstance(norm, LogNorm) and is_smoothed:
        values = np.maximum(values, LOWEST_OF_SMOOTHED * values.max())
    has_zero = type(norm) is Normalize or isinstance(norm, PowerNorm | AsinhNorm | SymLogNorm)
    if has_zero and look.limits == "symmetric" and not isinstance(norm, PowerNorm):
        largest = float(np.abs(values).max()) or 1.0
        if low is None:
            norm.vmin = -high if high is not None and high > 0 else -largest
        if high is None:
            norm.vmax = -low if low is not None and low < 0 else largest
    elif has_zero and look.limits != "free" and low is None:
        norm.vmin = 0.0
    norm.autoscale_None(values)
    if high is None and norm.vmin == norm.vmax == 0:
        norm.vmax = 1.0  # The map is empty.
    assert norm.vmin is not None
    assert norm.vmax is not None
    if norm.vmin > norm.vmax:
        # The limit that was given is beyond all values of the map.
        norm.vmin = norm.vmax = norm.vmax if low is None else norm.vmin
        if isinstance(norm, LogNorm):
            # (A colorbar would move equal limits, also the one that was given.)
            norm.vmin, norm.vmax = (0.1 * high, high) if low is None else (low, 10 * low)
