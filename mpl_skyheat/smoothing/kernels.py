"""Smoothing kernels: Gaussian, top-hat, Epanechnikov, Moffat, annulus, and arrays of pixels.

Kernels add, subtract and take factors: ``Gaussian("2 arcmin") - Gaussian("10 arcmin")`` is a
background-subtracting filter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from mpl_skyheat.smoothing.discs import disc_in_pixels
from mpl_skyheat.smoothing.kernel_base import (
    GAUSSIAN_FWHM,
    KernelAlgebra,
    PixelKernel,
    RadialKernel,
    digits,
    in_base_unit,
    parse_width,
    text_of,
)
from mpl_skyheat.smoothing.row_gaussian import RowGaussian, is_of_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from mpl_skyheat.compute.arrays import FloatArray

__all__ = ["Annulus", "Epanechnikov", "Gaussian", "Moffat", "TopHat"]


class Gaussian(RadialKernel):
    """Gaussian, k(θ) ∝ exp(−θ² / 2σ²).

    Parameters
    ----------
    sigma : `~astropy.units.Quantity` ['angle'] or str, optional
        Standard deviation along one axis; ``2*u.pix`` for map pixels. For a width of each row, such
        as the errors of positions: a Quantity with one for each, or the name of a column of
        ``data``, which any text is that is no angle.
    fwhm : `~astropy.units.Quantity` ['angle'] or str, optional
        Full width at half maximum, 2 √(2 ln 2) σ, in place of ``sigma``.

    Raises
    ------
    ValueError
        If not exactly one of the two is given, or it is not a positive, finite angle.
    TypeError
        If widths of rows are no numbers.

    Notes
    -----
    An angular Gaussian is cut at 5 σ; one in pixels has the pixels of
    `astropy.convolution.Gaussian2DKernel`, which spans ± 4 σ.

    Widths of rows are shared between the two nearest of a ladder of widths by 2^⅛, so that σ² is
    kept: a lone source is its own Gaussian to 1 % of its peak. Rows without a finite width are
    dropped, and counted like rows without a position. Kernels of rows have no sums or differences.
    """

    def __new__(cls, sigma: Any = None, *, fwhm: Any = None) -> Any:
        given = fwhm if sigma is None else sigma
        if (sigma is None or fwhm is None) and is_of_rows(given):
            return RowGaussian(given, is_fwhm=sigma is None)
        return super().__new__(cls)

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
        self.resolution_length, self.in_pixels = in_base_unit(self.sigma)
        self.spread = self.resolution_length
        self.reach = 5 * self.resolution_length
        if self.in_pixels:
            # Gaussian2DKernel's size: 8 σ rounded up to an odd number.
            self.reach = float(math.ceil(8 * self.resolution_length) // 2)

    def profile(self, r: FloatArray) -> FloatArray:
        return np.exp(-0.5 * (r / self.resolution_length) ** 2)


# Rings thinner than this fraction of their radius are taken for as thick, in which digits are left.
THINNEST = 1e-7


class UniformKernel(RadialKernel):
    """A disc, or a ring around an inner radius, on which the profile is 1."""

    has_steps = True
    _inner = 0.0

    def profile(self, r: FloatArray) -> FloatArray:
        return ((r >= self._inner) & (r <= self.reach)).astype(float)

    @property
    def integral(self) -> float:
        outer = min(self.reach, math.pi)
        return (
            4 * math.pi * math.sin((outer - self._inner) / 2) * math.sin((outer + self._inner) / 2)
        )

    def _in_pixels(self, metric: FloatArray, half: tuple[int, int]) -> FloatArray:
        disc = disc_in_pixels(self.reach, metric, half)
        if not self._inner:
            return disc
        inner = min(self._inner, (1 - THINNEST) * self.reach)
        return np.maximum(disc - disc_in_pixels(inner, metric, half), 0)


class TopHat(UniformKernel):
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

    def __init__(self, radius: u.Quantity | str) -> None:
        self.radius = parse_width(radius, "radius")
        self.resolution_length, self.in_pixels = in_base_unit(self.radius)
        self.reach = self.resolution_length
        self.spread = self.reach / 2


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
        self.reach, self.in_pixels = in_base_unit(self.radius)
        self.resolution_length = self.reach / 2
        self.spread = self.reach / math.sqrt(6)

    @property
    def bin_size(self) -> float:
        return self.reach / 12  # for the kink at its edge

    def profile(self, r: FloatArray) -> FloatArray:
        return np.maximum(1 - (r / self.reach) ** 2, 0)


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
        width, self.in_pixels = in_base_unit(self.fwhm)
        self._gamma = width / (2 * math.sqrt(2 ** (1 / self.beta) - 1))
        self.resolution_length = width / 2
        self.spread = width / GAUSSIAN_FWHM
        # Enclosed fraction: 1 − (1 + (r/γ)²)^(1−β).
        self.reach = self._gamma * math.sqrt(0.001 ** (1 / (1 - self.beta)) - 1)

    def profile(self, r: FloatArray) -> FloatArray:
        wings = (1 + (r / self._gamma) ** 2) ** -self.beta
        return np.asarray(np.where(r <= self.reach, wings, 0.0))

    def __repr__(self) -> str:
        return f"Moffat(fwhm={text_of(self.fwhm)}, beta={digits(self.beta)})"


class Annulus(UniformKernel):
    """Uniform ring, k(θ) = 1 for inner <= θ <= outer.

    Parameters
    ----------
    inner, outer : `~astropy.units.Quantity` ['angle'] or str
        Radii of the ring, both angles or both map pixels (``3*u.pix``).

    Raises
    ------
    ValueError
        If a radius is not a positive, finite angle, or ``inner`` is not below ``outer`` and below
        180 deg.
    """

    def __init__(self, inner: u.Quantity | str, outer: u.Quantity | str) -> None:
        self.inner = parse_width(inner, "inner")
        self.outer = parse_width(outer, "outer")
        self._inner, inner_in_pixels = in_base_unit(self.inner)
        self.reach, self.in_pixels = in_base_unit(self.outer)
        if inner_in_pixels != self.in_pixels or not self._inner < self.reach:
            raise ValueError(
                f"inner must be smaller than outer, in the same kind of unit; got "
                f"inner={text_of(self.inner)}, outer={text_of(self.outer)}"
            )
        if not self.in_pixels and self._inner >= math.pi:
            raise ValueError(
                f"inner must be less than 180 deg, where the sky ends; got {text_of(self.inner)}"
            )
        self.resolution_length = self.reach - self._inner
        self.spread = math.hypot(self._inner, self.reach) / 2


class ArrayKernel(PixelKernel):
    """A kernel given by its pixels, as astropy's and scipy's are.

    With ``is_normalised`` they are its pixels to the bit, where division would round.
    """

    def __init__(self, array: ArrayLike, *, is_normalised: bool = False) -> None:
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
        self._pixels: FloatArray = pixels if is_normalised else pixels / total

    @property
    def has_negatives(self) -> bool:
        return bool((self._pixels < 0).any())

    @property
    def key(self) -> tuple[Any, ...]:
        return "array", self._pixels.shape, self._pixels.tobytes()

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
        return f"<kernel of {rows} x {columns} pixels>"


def as_kernel(kernel: Any, name: str = "kernel") -> KernelAlgebra | None:
    """The kernel that any accepted form of the argument of a name stands for."""
    if kernel is None or isinstance(kernel, KernelAlgebra):
        return kernel
    if isinstance(kernel, str | u.Quantity) and np.ndim(kernel) == 0:
        return Gaussian(parse_width(kernel, name))
    is_scalar = not isinstance(kernel, list | tuple) and np.ndim(kernel) == 0
    if not is_scalar and not isinstance(kernel, u.Quantity):
        return ArrayKernel(kernel)
    if isinstance(kernel, u.Quantity):
        raise TypeError(
            f"{name} must be one width, or Gaussian(widths) for one of each row; got widths of "
            f"shape {kernel.shape}"
        )
    raise TypeError(
        f"{name} must be an angle such as 2*u.arcmin (or 2*u.pix for map pixels), a kernel such as "
        f"mpl_skyheat.TopHat('5 arcmin'), an astropy Kernel2D, a 2-D array or 'auto'; got "
        f"{kernel!r}"
    )
