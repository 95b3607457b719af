"""Radial smoothing kernels in angle, and their rasters on a pixel grid.

A kernel is a radial profile k(θ) with a reach; its raster sums to one, so smoothing conserves
counts. Widths are angles (``2*u.arcmin``) or map pixels (``2*u.pix``). Kernels add, subtract and
take factors: ``Gaussian("2 arcmin") - Gaussian("10 arcmin")`` is a background-subtracting filter.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

__all__ = ["Annulus", "Epanechnikov", "Gaussian", "Moffat", "TopHat"]

# FWHM = 2 sqrt(2 ln 2) σ of a Gaussian.
GAUSSIAN_FWHM = 2 * math.sqrt(2 * math.log(2))

# A kernel whose core is narrower than this many pixels is integrated over each pixel: sampled at
# the pixel centres it would not smooth properly.
NARROW = 0.5

# A raster is made from at most this many samples a side.
FINEST = 4000


class KernelAlgebra(ABC):
    """What can be added to, subtracted from and scaled with another kernel."""

    @property
    @abstractmethod
    def terms(self) -> tuple[tuple[float, PixelKernel], ...]:
        """The kernel as a linear combination of unit-sum kernels: (factor, kernel) pairs."""

    def __add__(self, other: object) -> KernelSum:
        if not isinstance(other, KernelAlgebra):
            return NotImplemented
        return KernelSum(self.terms + other.terms)

    def __sub__(self, other: object) -> KernelSum:
        if not isinstance(other, KernelAlgebra):
            return NotImplemented
        return self + (-1.0) * other

    def __mul__(self, factor: Any) -> KernelSum:
        if not isinstance(factor, int | float | np.number) or not math.isfinite(factor):
            raise ValueError(f"a kernel's factor must be a finite number; got {factor!r}")
        return KernelSum(tuple((c * float(factor), kernel) for c, kernel in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> KernelSum:
        return -1.0 * self


class KernelSum(KernelAlgebra):
    """A linear combination of kernels; smoothing with it combines the smoothed maps."""

    def __init__(self, terms: tuple[tuple[float, PixelKernel], ...]) -> None:
        self._terms = terms

    @property
    def terms(self) -> tuple[tuple[float, PixelKernel], ...]:
        return self._terms

    def __repr__(self) -> str:
        return " + ".join(f"{factor:g} * {kernel!r}" for factor, kernel in self._terms)


class PixelKernel(KernelAlgebra):
    """A kernel that can be laid out on a pixel grid."""

    @property
    def terms(self) -> tuple[tuple[float, PixelKernel], ...]:
        return ((1.0, self),)

    @abstractmethod
    def spread_in_pixels(self, pixel: float) -> float:
        """Return the standard deviation along one axis, about, for pixels of so many rad."""

    @abstractmethod
    def half_sizes(self, metric: FloatArray) -> tuple[int, int]:
        """Return how many pixels the kernel reaches from its centre, along x and along y."""

    @abstractmethod
    def raster(self, metric: FloatArray) -> FloatArray:
        """Return the kernel's pixels (odd shape, unit sum).

        ``metric`` is the 2 x 2 matrix G of a map pixel, in rad²: an offset of d = (dx, dy) pixels
        subtends √(dᵀ G d).
        """


class RadialKernel(PixelKernel):
    """A kernel given by its profile over separation.

    Subclasses set ``reach`` (the profile is left out beyond it), ``core`` (the length that the
    pixels must resolve) and ``spread`` (the standard deviation along one axis, about), all in rad,
    or in pixels where ``in_pixels``.
    """

    reach: float
    core: float
    spread: float
    in_pixels: bool
    # A profile with steps is always integrated over the pixels, else its area would be ragged.
    has_steps = False

    @abstractmethod
    def profile(self, r: FloatArray) -> FloatArray:
        """Return k(r), not normalised."""

    @property
    def bin_size(self) -> float:
        """Bins that resolve the kernel: fine enough for interpolation between them."""
        return min(self.core / 4, self.reach / 24) if self.has_steps else self.core / 2.5

    @property
    def spline_order(self) -> int:
        """Order of the splines that suit it: at steps, a cubic one would overshoot."""
        return 1 if self.has_steps else 3

    def smeared_profile(self, r: FloatArray, width: float) -> FloatArray:
        """Return k(r), its steps as wide as a bin so that what bins hold of it is not ragged."""
        if width == 0:
            return self.profile(r)
        shifts = width * (np.arange(9) - 4) / 9
        return np.asarray(sum(self.profile(np.abs(r + shift)) for shift in shifts) / len(shifts))

    @cached_property
    def integral(self) -> float:
        """The integral (sr) of the profile over the sphere, 2π ∫ k(θ) sin θ dθ."""
        theta, weight = _midpoints(min(self.reach, math.pi))
        return float(2 * math.pi * weight * (self.profile(theta) * np.sin(theta)).sum())

    def spread_in_pixels(self, pixel: float) -> float:
        return self.spread if self.in_pixels else self.spread / pixel

    def half_sizes(self, metric: FloatArray) -> tuple[int, int]:
        if self.in_pixels:
            metric = np.eye(2)
        # The ellipse dᵀ G d <= reach² spans ± reach √(G⁻¹)ᵢᵢ along axis i.
        half_x, half_y = np.ceil(self.reach * np.sqrt(np.diag(np.linalg.inv(metric))) - 1e-9)
        return int(half_x), int(half_y)

    def raster(self, metric: FloatArray) -> FloatArray:
        if self.in_pixels:
            metric = np.eye(2)
        half_x, half_y = self.half_sizes(metric)
        pixel = float(np.sqrt(np.diag(metric)).max())
        split = self._subpixels(pixel, max(half_x, half_y))
        x = _subpixel_centres(half_x, split)
        y = _subpixel_centres(half_y, split)
        squared = (
            metric[0, 0] * x**2
            + 2 * metric[0, 1] * x * y[:, np.newaxis]
            + metric[1, 1] * y[:, np.newaxis] ** 2
        )
        r = np.sqrt(np.maximum(squared, 0))
        # A ring that is thinner than the samples are apart must not fall between them.
        is_thin = self.has_steps and self.core < 2 * pixel / split
        fine = self.smeared_profile(r, pixel / split) if is_thin else self.profile(r)
        if not self.in_pixels:
            fine = np.where(r <= self.reach, fine, 0.0)
        pixels = fine.reshape(len(y) // split, split, len(x) // split, split).sum(axis=(1, 3))
        return np.asarray(pixels / pixels.sum())

    def _subpixels(self, pixel: float, half: int) -> int:
        """How many samples along a pixel's side (odd, so that one is at its centre)."""
        if self.has_steps:
            wanted = max(20.0 * pixel / self.core, 5.0)
        else:
            wanted = 4.0 * pixel / self.core if self.core < NARROW * pixel else 0.0
        most = max(FINEST // (2 * half + 1), 1)
        return 2 * min(int(wanted) // 2, most // 2) + 1


class Gaussian(RadialKernel):
    """Gaussian, k(θ) ∝ exp(−θ² / 2σ²).

    Parameters
    ----------
    sigma : `~astropy.units.Quantity` ['angle'] or str, optional
        Standard deviation along one axis; ``2*u.pix`` for map pixels.
    fwhm : `~astropy.units.Quantity` ['angle'] or str, optional
        Full width at half maximum, 2 √(2 ln 2) σ, in place of ``sigma``.

    Raises
    ------
    ValueError
        If not exactly one of the two is given, or it is not a positive, finite angle.

    Notes
    -----
    An angular Gaussian is cut at 5 σ; one in pixels has the pixels of
    `astropy.convolution.Gaussian2DKernel`, which spans ± 4 σ.
    """

    def __init__(
        self,
        sigma: u.Quantity | str | None = None,
        *,
        fwhm: u.Quantity | str | None = None,
    ) -> None:
        if (sigma is None) == (fwhm is None):
            raise ValueError(
                f"Gaussian takes either sigma or fwhm; got sigma={sigma!r}, fwhm={fwhm!r}"
            )
        if sigma is not None:
            self.sigma = parse_width(sigma, "sigma")
        else:
            self.sigma = parse_width(fwhm, "fwhm") / GAUSSIAN_FWHM
        self.core, self.in_pixels = _in_base_unit(self.sigma)
        self.spread = self.core
        self.reach = 5 * self.core
        if self.in_pixels:
            # Gaussian2DKernel's size: 8 σ rounded up to an odd number.
            self.reach = float(math.ceil(8 * self.core) // 2)

    def profile(self, r: FloatArray) -> FloatArray:
        return np.exp(-0.5 * (r / self.core) ** 2)

    def __repr__(self) -> str:
        return f"Gaussian(sigma={_text(self.sigma)})"


class TopHat(RadialKernel):
    """Uniform disc, k(θ) = 1 for θ <= radius.

    Parameters
    ----------
    radius : `~astropy.units.Quantity` ['angle'] or str
        Radius of the disc; ``3*u.pix`` for map pixels.

    Raises
    ------
    ValueError
        If the radius is not a positive, finite angle.
    """

    has_steps = True

    def __init__(self, radius: u.Quantity | str) -> None:
        self.radius = parse_width(radius, "radius")
        self.core, self.in_pixels = _in_base_unit(self.radius)
        self.reach = self.core
        self.spread = self.reach / 2

    def profile(self, r: FloatArray) -> FloatArray:
        return (r <= self.reach).astype(float)

    def __repr__(self) -> str:
        return f"TopHat(radius={_text(self.radius)})"


class Epanechnikov(RadialKernel):
    """Epanechnikov kernel, k(θ) ∝ 1 − (θ / radius)² for θ <= radius.

    It minimises the mean squared error of a density estimate (Epanechnikov 1969,
    Theory Probab. Appl. 14, 153).

    Parameters
    ----------
    radius : `~astropy.units.Quantity` ['angle'] or str
        Where the kernel falls to zero; ``3*u.pix`` for map pixels.

    Raises
    ------
    ValueError
        If the radius is not a positive, finite angle.
    """

    def __init__(self, radius: u.Quantity | str) -> None:
        self.radius = parse_width(radius, "radius")
        self.reach, self.in_pixels = _in_base_unit(self.radius)
        self.core = self.reach / 2
        self.spread = self.reach / math.sqrt(6)

    @property
    def bin_size(self) -> float:
        return self.reach / 12  # for the kink at its edge

    def profile(self, r: FloatArray) -> FloatArray:
        return np.maximum(1 - (r / self.reach) ** 2, 0)

    def __repr__(self) -> str:
        return f"Epanechnikov(radius={_text(self.radius)})"


# With a smaller exponent, 99.9 % of the profile reaches beyond a thousand widths.
MIN_BETA = 1.5


class Moffat(RadialKernel):
    """Moffat (1969, A&A 3, 455) profile of seeing, k(θ) ∝ (1 + (θ / γ)²)^−β.

    Parameters
    ----------
    fwhm : `~astropy.units.Quantity` ['angle'] or str
        Full width at half maximum, 2 γ √(2^(1/β) − 1); ``3*u.pix`` for map pixels.
    beta : float, optional
        Exponent, 1.5 or more, below which the wings have no end. The default, 4.765, is that of
        atmospheric turbulence (Trujillo et al. 2001, MNRAS 328, 977).

    Raises
    ------
    ValueError
        If the width is not a positive, finite angle, or ``beta`` is below 1.5.

    Notes
    -----
    The wings are cut at the radius that holds 99.9 % of the infinite profile.
    """

    def __init__(self, fwhm: u.Quantity | str, beta: float = 4.765) -> None:
        self.fwhm = parse_width(fwhm, "fwhm")
        if not isinstance(beta, int | float | np.number) or not MIN_BETA <= beta < math.inf:
            raise ValueError(f"beta must be a finite number of {MIN_BETA} or more; got {beta!r}")
        self.beta = float(beta)
        width, self.in_pixels = _in_base_unit(self.fwhm)
        self._gamma = width / (2 * math.sqrt(2 ** (1 / self.beta) - 1))
        self.core = width / 2
        self.spread = width / GAUSSIAN_FWHM
        # Enclosed fraction: 1 − (1 + (r/γ)²)^(1−β).
        self.reach = self._gamma * math.sqrt(0.001 ** (1 / (1 - self.beta)) - 1)

    def profile(self, r: FloatArray) -> FloatArray:
        wings = (1 + (r / self._gamma) ** 2) ** -self.beta
        return np.asarray(np.where(r <= self.reach, wings, 0.0))

    def __repr__(self) -> str:
        return f"Moffat(fwhm={_text(self.fwhm)}, beta={self.beta:g})"


class Annulus(RadialKernel):
    """Uniform ring, k(θ) = 1 for inner <= θ <= outer.

    Parameters
    ----------
    inner, outer : `~astropy.units.Quantity` ['angle'] or str
        Radii of the ring, both angles or both map pixels (``3*u.pix``).

    Raises
    ------
    ValueError
        If a radius is not a positive, finite angle, or ``inner`` is not below ``outer``.
    """

    has_steps = True

    def __init__(self, inner: u.Quantity | str, outer: u.Quantity | str) -> None:
        self.inner = parse_width(inner, "inner")
        self.outer = parse_width(outer, "outer")
        self._inner, inner_in_pixels = _in_base_unit(self.inner)
        self.reach, self.in_pixels = _in_base_unit(self.outer)
        if inner_in_pixels != self.in_pixels or not self._inner < self.reach:
            raise ValueError(
                f"inner must be smaller than outer, in the same kind of unit; got "
                f"inner={_text(self.inner)}, outer={_text(self.outer)}"
            )
        self.core = self.reach - self._inner
        self.spread = math.hypot(self._inner, self.reach) / 2

    def profile(self, r: FloatArray) -> FloatArray:
        return ((r >= self._inner) & (r <= self.reach)).astype(float)

    def __repr__(self) -> str:
        return f"Annulus(inner={_text(self.inner)}, outer={_text(self.outer)})"


class ArrayKernel(PixelKernel):
    """A kernel given by its pixels, as astropy's and scipy's are."""

    def __init__(self, array: ArrayLike) -> None:
        try:
            pixels = np.asarray(array, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"kernel must be a 2-D array of numbers; got {array!r}") from error
        if pixels.ndim != 2 or pixels.shape[0] % 2 == 0 or pixels.shape[1] % 2 == 0:
            raise ValueError(
                f"kernel must be a 2-D array with an odd number of rows and columns; got shape "
                f"{pixels.shape}"
            )
        total = pixels.sum()
        if not np.isfinite(total):
            raise ValueError("kernel must have finite values; got NaN or infinity among them")
        # As astropy.convolution does: what is left of such a sum is mostly rounding and cuts.
        if abs(total) <= 0.01 * np.abs(pixels).sum():
            raise ValueError(
                f"kernel must not sum to zero, as it is normalised to unit sum; got a sum of "
                f"{total:g} (take Gaussian(a) - Gaussian(b) for a difference of kernels)"
            )
        self._pixels: FloatArray = pixels / total

    def spread_in_pixels(self, pixel: float) -> float:
        del pixel  # its pixels are the map's
        y, x = (np.arange(n) - n // 2 for n in self._pixels.shape)
        squared = np.add.outer(y**2, x**2) * np.abs(self._pixels)
        return float(np.sqrt(0.5 * squared.sum() / np.abs(self._pixels).sum()))

    def half_sizes(self, metric: FloatArray) -> tuple[int, int]:
        del metric  # its pixels are the map's
        rows, columns = self._pixels.shape
        return columns // 2, rows // 2

    def raster(self, metric: FloatArray) -> FloatArray:
        del metric
        return self._pixels

    def __repr__(self) -> str:
        rows, columns = self._pixels.shape
        return f"array of {rows} x {columns} pixels"


def as_kernel(kernel: Any) -> KernelAlgebra | None:
    """Return the kernel meant by any accepted form of the ``kernel`` argument.

    Raises
    ------
    TypeError
        If it is of no accepted form; a bare number is none.
    ValueError
        If its values make no kernel.
    """
    if kernel is None or isinstance(kernel, KernelAlgebra):
        return kernel
    if isinstance(kernel, str | u.Quantity) and np.ndim(kernel) == 0:
        return Gaussian(parse_width(kernel, "kernel"))
    if isinstance(kernel, list | tuple):
        return ArrayKernel(kernel)
    if np.isscalar(kernel) or isinstance(kernel, u.Quantity) or np.shape(kernel) == ():
        return _of_astropy(kernel)
    return ArrayKernel(kernel)


def _of_astropy(kernel: Any) -> KernelAlgebra:
    # Imported only here, for what is nothing else.
    from astropy.convolution import Kernel

    if isinstance(kernel, Kernel):
        return ArrayKernel(kernel.array)
    raise TypeError(
        f"kernel must be an angle such as 2*u.arcmin (or 2*u.pix for map pixels), a kernel such as "
        f"mpl_skyheat.TopHat('5 arcmin'), an astropy Kernel2D or a 2-D array; got {kernel!r}"
    )


def parse_width(value: Any, name: str, *, in_pixels: bool = True) -> u.Quantity:
    """Return a width as a positive scalar Quantity in angle or, where they will do, in pixels.

    Raises
    ------
    ValueError
        If it is not one; the message names the argument.
    """
    try:
        width = u.Quantity(value) if isinstance(value, str | u.Quantity) else None
    except (TypeError, ValueError):
        width = None
    units = (u.rad, u.pix) if in_pixels else (u.rad,)
    if width is None or not width.isscalar or not any(map(width.unit.is_equivalent, units)):
        hint = " (or 2*u.pix for map pixels)" if in_pixels else ""
        raise ValueError(
            f"{name} must be an angle such as 2*u.arcmin or '2 arcmin'{hint}; got {value!r}"
        )
    if not 0 < width.value < math.inf:
        raise ValueError(f"{name} must be positive and finite; got {width}")
    return width


def _in_base_unit(width: u.Quantity) -> tuple[float, bool]:
    """Return a width in rad, or in pixels, and whether it is the latter."""
    if width.unit.is_equivalent(u.pix):
        return float(width.to_value(u.pix)), True
    return float(width.to_value(u.rad)), False


def _midpoints(limit: float) -> tuple[FloatArray, float]:
    """Nodes and the weight of the midpoint rule on 0 … limit."""
    count = 20_000
    return np.asarray((np.arange(count) + 0.5) * (limit / count), float), limit / count


def _subpixel_centres(half: int, split: int) -> FloatArray:
    """Centres of ``split`` samples a pixel over the pixels −half … half."""
    count = (2 * half + 1) * split
    return np.asarray((np.arange(count) - (count - 1) / 2) / split)


def _text(width: u.Quantity) -> str:
    return f"'{width.value:g} {width.unit}'"
