"""Arithmetic of maps: which maps it takes, and what its result is."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from astropy import units as u
from astropy.nddata import NDArithmeticMixin, NDData

from mpl_skyheat.maps.statistic_table import is_per_pixel
from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.sky.vectors import to_vectors

# What ``meta["stat"]`` of the result says, and the sign between two labels.
RESULTS = {
    "add": ("total", "+"),
    "subtract": ("difference", "−"),
    "multiply": ("product", "×"),
    "divide": ("quotient", "/"),
}

# Operators that numbers, arrays and Quantities on the left of a map leave to it.
REFLECTED: dict[Any, str] = {np.add: "__radd__", np.subtract: "__rsub__"}
REFLECTED |= {np.multiply: "__rmul__", np.true_divide: "__rtruediv__"}

# Signs in a label that need brackets around it.
SIGNS = tuple(f" {sign} " for _, sign in RESULTS.values())

# Pixels are the same if their positions agree to this fraction of the map's size.
TOLERANCE = 1e-9


def as_operand(value: Any, shape: tuple[int, ...]) -> Any:
    """What NDData's arithmetic takes: maps and other NDData, and numbers as Quantities."""
    if isinstance(value, NDData):
        return value
    if isinstance(value, u.UnitBase):
        return u.Quantity(1, value)
    array = value if isinstance(value, u.Quantity) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"operand must be a SkyMap, a number or a Quantity; got {value!r:.60}")
    if array.shape not in ((), shape):
        raise ValueError(
            f"operand must be one number or have the map's shape, {shape}; got {array.shape}"
        )
    return value


def _may_be_negative(value: Any) -> bool:
    """Whether a map is signed by its statistic or kernel, or another operand is below 0."""
    if isinstance(value, NDData):
        return bool(value.meta.get("signed"))
    return bool((u.Quantity(value).value < 0).any())


def check_geometries(a: Any, b: Any) -> None:
    """Raise a ValueError unless two maps, or a map and other NDData, have the same pixels."""
    difference = _difference(a, b)
    if difference:
        raise ValueError(
            f"maps must have the same pixels; got {difference}: make one with the other as its wcs"
        )


def _difference(a: Any, b: Any) -> str:
    """In what the pixels of two maps differ; "" if they are the same."""
    if a.data.shape != b.data.shape:
        return f"shapes {a.data.shape} and {b.data.shape}"
    if a.wcs is b.wcs or a.wcs is None or b.wcs is None:
        return ""
    flat = [m.meta.get("frame") == "flat" for m in (a, b)]
    if flat[0] != flat[1]:
        return "one of Cartesian x, y and one of the sky"
    if not flat[0]:
        frames: Any = [plane_of_wcs(m.wcs).frame for m in (a, b)]
        if not frames[0].is_equivalent_frame(frames[1]):
            return f"frames {frames[0]!r} and {frames[1]!r}"
    places = [_places(m.wcs, m.data.shape, is_flat=flat[0]) for m in (a, b)]
    if (np.isnan(places[0]) != np.isnan(places[1])).any():
        return "sky in other pixels"
    size = np.nanmax(np.ptp(places[0], axis=0), initial=0)
    apart = np.nanmax(np.linalg.norm(places[1] - places[0], axis=-1), initial=0)
    if apart <= TOLERANCE * size:
        return ""
    if flat[0]:
        return f"pixels up to {apart:.3g} apart"
    return f"pixels up to {np.degrees(2 * np.arcsin(min(apart / 2, 1))):.3g} deg apart"


def _places(wcs: Any, shape: tuple[int, ...], *, is_flat: bool) -> Any:
    """Positions of 25 pixels: unit vectors, or x, y."""
    y, x = (v.ravel() for v in np.meshgrid(*(np.linspace(0, n - 1, 5) for n in shape)))
    if is_flat:
        return np.stack(wcs.low_level_wcs.pixel_to_world_values(x, y), axis=-1)
    return to_vectors(*plane_of_wcs(wcs).to_sky(x, y))


def finish(result: Any, name: str, b: Any, maps: list[Any]) -> None:
    """Give the result of ``a.<name>(b)`` its WCS, solid angles, kernel, label and meta.

    ``maps`` are those of a and b that are a SkyMap.
    """
    a = maps[0]
    if result.wcs is None:
        result.wcs = a.wcs
    result.solid_angle = a.solid_angle
    word, sign = RESULTS[name]
    # Entries that differ between the maps, such as the numbers of rows, are left out.
    meta = {k: v for k, v in a.meta.items() if all(str(m.meta.get(k)) == str(v) for m in maps)}
    if len({m.kernel for m in maps}) == 1:
        result.kernel = a.kernel
    if all(m.label for m in maps):
        result.label = a.label if len(maps) == 1 else _combined(a.label, sign, b.label)
    scales = name in ("multiply", "divide") and np.isscalar(b)
    meta["stat"] = a.meta.get("stat") if scales else word
    if word == "total" and not {m.meta.get("stat") for m in maps} <= {"density", "count", "total"}:
        meta["stat"] = "total of values"
    meta["smoothed"] = any(m.is_smoothed for m in maps)
    meta["signed"] = name == "subtract" or _may_be_negative(a) or _may_be_negative(b)
    meta.pop("perpixel", None)
    if _is_per_pixel(name, maps):
        meta["perpixel"] = True
    result.meta = {"frame": a.meta.get("frame", "icrs")} | meta


def _is_per_pixel(name: str, maps: list[Any]) -> bool:
    """Whether a result grows with the pixel: of counts that are added, or scaled by a number."""
    if name in ("multiply", "divide") and len(maps) > 1:
        return False
    return all(is_per_pixel(m.meta) for m in maps)


def _combined(ours: str, sign: str, its: str) -> str:
    """Two labels with a sign between them, in brackets where one has signs of its own."""
    if sign != "+":
        ours, its = (f"({s})" if any(own in s for own in SIGNS) else s for s in (ours, its))
    return f"{ours} {sign} {its}"


class Arithmetic(NDArithmeticMixin):
    """The operators of a `SkyMap`, and its refusal of numpy's functions."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Self:
        if ufunc in REFLECTED and method == "__call__" and not kwargs and inputs[0] is not self:
            result: Self = getattr(self, REFLECTED[ufunc])(inputs[0])
            return result
        hint = ""
        if ufunc in (np.log10, np.log, np.log2):
            hint = "; mpl_skyheat.compare(a, b, statistic='log_ratio') has log₁₀(a / b) with both"
        raise TypeError(
            f"numpy.{ufunc.__name__} takes no SkyMap: take .quantity, as in "
            f"np.{ufunc.__name__}(m.quantity), which has no errors and no WCS{hint}"
        )

    def add(self, operand: Any, **kwargs: Any) -> Self:
        return self._with("add", operand, **kwargs)

    def subtract(self, operand: Any, **kwargs: Any) -> Self:
        return self._with("subtract", operand, **kwargs)

    def multiply(self, operand: Any, **kwargs: Any) -> Self:
        return self._with("multiply", operand, **kwargs)

    def divide(self, operand: Any, **kwargs: Any) -> Self:
        return self._with("divide", operand, **kwargs)

    __add__ = __radd__ = add
    __sub__ = subtract
    __mul__ = __rmul__ = multiply
    __truediv__ = divide

    def __rsub__(self, other: Any) -> Self:
        return self._filled(other).subtract(self)

    def __rtruediv__(self, other: Any) -> Self:
        return self._filled(other).divide(self)

    def _filled(self, value: Any) -> Self:
        """A map with a number or Quantity in all pixels, or an array of the map's shape."""
        value = u.Quantity(as_operand(value, self.data.shape))
        data = np.full(self.data.shape, value.value)
        meta = {"frame": self.meta.get("frame", "icrs"), "perpixel": is_per_pixel(self.meta)}
        return type(self)(
            data,
            unit=value.unit,
            wcs=self.wcs,
            solid_angle=self.solid_angle,
            kernel=self.kernel,
            meta=meta,
        )

    def _with(self, name: str, operand: Any, **kwargs: Any) -> Self:
        """The result of NDData's arithmetic, with solid angles and a meta that says what it is."""
        operand = as_operand(operand, self.data.shape)
        if isinstance(operand, NDData):
            check_geometries(self, operand)
        kwargs = {"compare_wcs": None, "handle_meta": None} | kwargs
        with np.errstate(divide="ignore", invalid="ignore"):
            try:
                result: Self = getattr(super(), name)(operand, **kwargs)
            except u.UnitConversionError as error:
                its = getattr(operand, "unit", None) or "no unit"
                raise u.UnitConversionError(
                    f"operand must be in a unit such as the map's, {self.unit}; got {its}"
                ) from error
        unit, one = result.unit, u.dimensionless_unscaled
        if unit is not None and unit != one and unit.is_equivalent(one):  # deg⁻² / arcmin⁻²
            result = super(Arithmetic, result).multiply(unit.to(one) / unit, **kwargs)
        finish(result, name, operand, [m for m in (self, operand) if isinstance(m, Arithmetic)])
        return result
