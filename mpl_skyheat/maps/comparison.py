"""`compare`: where the density of one catalogue differs from that of another, and how surely."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty

from mpl_skyheat.maps.arithmetic import check_geometries
from mpl_skyheat.maps.request import check_choice
from mpl_skyheat.maps.significance import KernelSums, ratio, z_bi
from mpl_skyheat.maps.sky_map import SkyMap
from mpl_skyheat.maps.statistic_table import OF_ROWS

if TYPE_CHECKING:
    from typing import Any

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray

Comparison = Literal["significance", "log_ratio"]


def compare(a: SkyMap, b: SkyMap, *, statistic: Comparison = "significance") -> SkyMap:
    """Compare the densities of two catalogues, in maps with the same pixels and kernel.

    Parameters
    ----------
    a, b : SkyMap
        Maps of densities or counts, of two catalogues that share no points. Make one with the
        other as its ``wcs``.
    statistic : {"significance", "log_ratio"}, optional
        How sure it is, in σ, that points of ``a`` are more frequent among both at a place than they
        are in the mean of the map, or rarer (negative); or log₁₀(a / b), in dex, with its standard
        error, which is where their numbers differ, too.

    Returns
    -------
    SkyMap
        The map of one or the other, masked where either map is; the effective counts of a and b,
        ``n_on`` and ``n_off``, go along with significances.

    Raises
    ------
    TypeError
        If one is no map of a density or of counts, as `sky_map` makes it with a kernel that is
        nowhere negative and has one width.
    ValueError
        If their pixels or kernels differ, or weights are in units of different kinds.

    Notes
    -----
    The significance is that of random labelling (Kelsall & Diggle 1995, Stat. Med. 14, 2335): given
    all points, which of them are a's? It is Z_Bi with mid-p of the effective counts N = S1 E1 / E2
    (see `sky_heatmap`) of a, given those of b, with α the ratio of the numbers of points over all
    pixels that are seen in both, times that of the effective solid angles E1² / E2. The density may
    vary, and coverages may differ. With weights, N is divided by Σ w² / Σ w of each map.

    The standard error of the log ratio is √(1/n_a + 1/n_b) / ln 10, with the effective numbers of
    points ``n_eff``. `SkyMap.subtract` has the difference of densities.

    Examples
    --------
    >>> from astropy.wcs import WCS
    >>> from mpl_skyheat import compare, datasets, sky_map
    >>> wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 83.8, "CRVAL2": -1,
    ...            "CRPIX1": 40.5, "CRPIX2": 40.5, "CDELT1": -0.25, "CDELT2": 0.25})
    >>> stars = datasets.bright_stars()
    >>> is_red = stars["BT_VT"] > 0.5
    >>> red = sky_map(data=stars[is_red], wcs=wcs, shape=(80, 80), kernel="1 deg", label="red")
    >>> blue = sky_map(data=stars[~is_red], wcs=red, kernel=red.kernel, label="blue")
    >>> print(f"{compare(red, blue).min():.1f}")  # Orion's stars are blue
    -8.3
    """
    check_choice("statistic", statistic, get_args(Comparison))
    sums = {"a": _sums_of("a", a), "b": _sums_of("b", b)}
    check_geometries(a, b)
    if a.kernel != b.kernel:
        raise ValueError(
            f"a and b must have the same kernel; got {a.kernel!r} and {b.kernel!r}: make one with "
            "kernel=a.kernel"
        )
    factor = _factor_to(sums["a"], sums["b"])
    seen = ~(a.mask | b.mask)
    more: dict[str, Any] = {}
    unit = u.dimensionless_unscaled
    with np.errstate(divide="ignore", invalid="ignore"):
        if statistic == "significance":
            values, more["n_on"], more["n_off"] = _significance(a, sums["a"], sums["b"], seen)
        else:
            values, unit = _log_ratio(sums["a"], sums["b"], factor), u.dex
            assert a.n_eff is not None
            assert b.n_eff is not None
            error = np.sqrt(1 / a.n_eff + 1 / b.n_eff) / math.log(10)
            more["uncertainty"] = StdDevUncertainty(np.where(seen, error, np.nan), unit=u.dex)
    ours, its = a.label or "a", b.label or "b"
    is_ratio = statistic == "log_ratio"
    meta = {k: v for k, v in a.meta.items() if str(b.meta.get(k)) == str(v)}
    return SkyMap(
        values,
        unit=unit,
        mask=~seen,
        wcs=a.wcs,
        solid_angle=a.solid_angle,
        kernel=a.kernel,
        label=f"log({ours} / {its})" if is_ratio else f"{ours} against {its}",
        meta={"frame": "icrs"} | meta | {"stat": statistic, "signed": True},
        **more,
    )


def _sums_of(name: str, sky_map: Any) -> KernelSums:
    is_density = isinstance(sky_map, SkyMap) and sky_map.meta.get("stat") in OF_ROWS
    sums: KernelSums | None = sky_map.kernel_sums if is_density else None
    if sums is None:
        raise TypeError(
            f"{name} must be a map of a density or of counts, as sky_map makes it (and not with a "
            "difference of kernels, one of more than one width, nor with boundary='reflect'); got "
            f"{_text_of(sky_map)}"
        )
    return sums


def _text_of(sky_map: Any) -> str:
    if not isinstance(sky_map, SkyMap):
        return f"{sky_map!r:.60}"
    return f"one of {sky_map.meta.get('stat')!r}, with kernel {sky_map.kernel!r}"


def _significance(
    a: SkyMap, of_a: KernelSums, of_b: KernelSums, seen: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Z of random labelling, and the effective counts of both."""
    areas = np.asarray(a.solid_angle)
    totals = [float((sums.density * areas)[seen].sum()) for sums in (of_a, of_b)]
    n_a, n_b = of_a.counts, of_b.counts
    w_a, w_b = of_a.mean_weight, of_b.mean_weight
    # How many of a's points come on one of b's, where neither differs from its mean.
    expected = (totals[0] / w_a) / (totals[1] / w_b) if totals[1] > 0 else math.inf
    alpha = expected * ratio(of_a.solid_angle, of_b.solid_angle)
    known = seen & np.isfinite(alpha) & (alpha > 0)
    values = np.full(n_a.shape, np.nan)
    values[known] = z_bi(n_a[known], n_b[known], alpha[known])
    n_a, n_b = (np.where(known, n, np.nan) for n in (n_a, n_b))
    return values, n_a, n_b


def _log_ratio(of_a: KernelSums, of_b: KernelSums, factor: float) -> FloatArray:
    """log₁₀ of the ratio of densities; not finite where either is 0.

    ``factor`` takes weights of b to the unit of those of a.
    """
    return np.asarray(np.log10(of_a.density / (factor * of_b.density)))


def _factor_to(of_a: KernelSums, of_b: KernelSums) -> float:
    """The factor from the unit of b's weights to that of a's; a ValueError if there is none."""
    ours, its = (sums.unit or u.dimensionless_unscaled for sums in (of_a, of_b))
    try:
        return float(its.to(ours))
    except u.UnitConversionError as error:
        raise ValueError(
            f"a and b must have weights in units of one kind; got {ours or 'none'!s} and "
            f"{its or 'none'!s}"
        ) from error
