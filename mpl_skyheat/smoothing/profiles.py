"""Kernels over the distance from their centre: widths, and how much of one is in another.

Distances are in rad, those of kernels in map pixels by the ``side`` (rad) of a pixel; where that is
None, as on a map of Cartesian x and y, all are in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.smoothing.kernel_base import RadialKernel, in_base_unit
from mpl_skyheat.smoothing.kernels import Annulus, ArrayKernel, Epanechnikov

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.smoothing.kernel_base import Terms

# Distances at which a profile is taken.
SAMPLES = 20_000


class Profile(NamedTuple):
    """A kernel at distances from its centre: heights, of unit integral, and areas of thin rings."""

    distance: FloatArray
    height: FloatArray
    area: FloatArray


def profile_of(terms: Terms, side: float | None) -> Profile:
    """The profile of a sum of radial kernels."""
    kernels = [(factor, kernel) for factor, kernel in terms if isinstance(kernel, RadialKernel)]
    scales = [side if k.in_pixels and side is not None else 1.0 for _, k in kernels]
    farthest = max(k.reach * scale for (_, k), scale in zip(kernels, scales, strict=True))
    farthest = farthest if side is None else min(farthest, np.pi)
    step = farthest / SAMPLES
    distance: FloatArray = np.asarray(step * (np.arange(SAMPLES) + 0.5))
    round_it = distance if side is None else np.sin(distance)
    area: FloatArray = np.asarray(2 * np.pi * step * round_it)
    height = np.zeros(SAMPLES)
    for (factor, kernel), scale in zip(kernels, scales, strict=True):
        own = np.where(distance <= kernel.reach * scale, kernel.profile(distance / scale), 0.0)
        height += factor * own / (own * area).sum()
    return Profile(distance, height, area)


def full_width(terms: Terms, side: float | None) -> float | None:
    """The full width at half of the largest height; None of arrays, and of differences."""
    if not _is_plain(terms):
        return None
    profile = profile_of(terms, side)
    high = profile.height >= 0.5 * profile.height.max()
    return 2 * float(profile.distance[high].max())


def roughness(terms: Terms, side: float | None) -> float:
    """Λ = ∫|∇K|² / (2 ∫K²) (rad⁻²), by which noise under a kernel has maxima.

    NaN of kernels that are not smooth: with steps or a kink, and arrays.
    """
    if not _is_plain(terms) or any(
        not isinstance(kernel, RadialKernel) or kernel.has_steps or isinstance(kernel, Epanechnikov)
        for _, kernel in terms
    ):
        return np.nan
    distance, height, area = profile_of(terms, side)
    slope = np.gradient(height, distance)
    return float((slope**2 * area).sum() / (2 * (height**2 * area).sum()))


def fraction_in(terms: Terms, rings: Terms, side: float | None) -> float:
    """The part of a kernel's integral that is in any of some rings."""
    distance, amount = _amounts(terms, side)
    is_in = np.zeros(len(distance), bool)
    for _, ring in rings:
        assert isinstance(ring, Annulus)
        inner, outer = (_scaled(*in_base_unit(width), side) for width in (ring.inner, ring.outer))
        is_in |= (distance >= inner) & (distance <= outer)
    return float(amount[is_in].sum() / amount.sum())


def distance_with(fraction: float, terms: Terms, side: float | None) -> float:
    """The smallest distance from the centre beyond which there is at most a fraction."""
    distance, amount = _amounts(terms, side)
    order = np.argsort(distance)
    inside = np.cumsum(amount[order])
    return float(distance[order][np.searchsorted(inside, (1 - fraction) * inside[-1])])


def _is_plain(terms: Terms) -> bool:
    return all(factor > 0 and isinstance(kernel, RadialKernel) for factor, kernel in terms)


def _scaled(width: float, in_pixels: bool, side: float | None) -> float:
    return width * side if in_pixels and side is not None else width


def _amounts(terms: Terms, side: float | None) -> tuple[FloatArray, FloatArray]:
    """Distances from the centre, and the parts of a kernel's integral that are there."""
    distances, amounts = [], []
    radial = tuple(term for term in terms if isinstance(term[1], RadialKernel))
    if radial:
        distance, height, area = profile_of(radial, side)
        distances.append(distance)
        amounts.append(height * area)
    for factor, kernel in terms:
        if isinstance(kernel, ArrayKernel):
            pixels = kernel.raster(np.eye(2))
            y, x = np.indices(pixels.shape) - (np.array(pixels.shape) // 2)[:, None, None]
            distances.append(np.hypot(x, y).ravel() * (1.0 if side is None else side))
            amounts.append(factor * pixels.ravel())
    return np.concatenate(distances), np.concatenate(amounts)
