"""Base classes of kernels: profiles, their rasters on pixels, sums and products.

A kernel is a radial profile k(θ) with a reach; its raster sums to one, so that smoothing conserves
counts. Widths are angles (``2*u.arcmin``) or map pixels (``2*u.pix``).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

    # A linear combination of unit-sum kernels: (factor, kernel) pairs.
    Terms = tuple[tuple[float, "PixelKernel"], ...]

# FWHM = 2 sqrt(2 ln 2) σ of a Gaussian.
GAUSSIAN_FWHM = 2 * math.sqrt(2 * math.log(2))

# Kernels with a resolution length below this (pixels) are integrated over each pixel: samples at
# the centres of pixels would miss most of the profile.
NARROW = 0.5

# Separations at which a profile is summed for its integral.
SAMPLES = 20_000

# Most samples along a side of a raster, to bound the memory that it takes.
FINEST = 4000


class KernelAlgebra(ABC):
    """A kernel or a sum of kernels, which can be added, subtracted and scaled."""

    # Whether its width differs from place to place, or from row to row.
    varies = False

    @property
    @abstractmethod
    def terms(self) -> Terms:
        """The kernel as a linear combination of unit-sum kernels."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """What is equal for equal kernels, and for no others."""
        return tuple((factor, kernel.key) for factor, kernel in self.terms)

    @property
    def is_signed(self) -> bool:
        """Whether smoothed counts may be below 0: a term is subtracted, or has negative pixels."""
        return any(factor < 0 or kernel.has_negatives for factor, kernel in self.terms)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KernelAlgebra):
            return NotImplemented
        return self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __add__(self, other: object) -> KernelSum:
        if not isinstance(other, KernelAlgebra) or other.varies:
            return NotImplemented
        return KernelSum(self.terms + other.terms)

    def __sub__(self, other: object) -> KernelSum:
        if not isinstance(other, KernelAlgebra) or other.varies:
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

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    @property
    def terms(self) -> Terms:
        return self._terms

    def __repr__(self) -> str:
        return " + ".join(f"{digits(factor)} * {kernel!r}" for factor, kernel in self._terms)


class VaryingKernel(KernelAlgebra):
    """A kernel whose width differs from place to place, or from row to row.

    Its ``terms`` are the narrowest to the widest of its Gaussians, each with factor 1, that a map
    must have room for. It has no sums, differences or factors.
    """

    varies = True

    def __add__(self, other: object) -> KernelSum:
        raise TypeError(
            f"{self!r:.60} has no sums, differences or factors, as its width is not the same for "
            "all points: add or subtract two maps"
        )

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __add__

    def __neg__(self) -> KernelSum:
        return self + self


class PixelKernel(KernelAlgebra):
    """A kernel that can be laid out on a pixel grid."""

    @property
    def has_negatives(self) -> bool:
        """Whether it is below 0 anywhere."""
        return False

    @property
    def terms(self) -> Terms:
        return ((1.0, self),)

    @property
    @abstractmethod
    def key(self) -> tuple[Any, ...]:
        """Hashable numbers that are equal for equal kernels, and for no others."""

    def product(self, other: PixelKernel) -> PixelKernel:
        """The product of two kernels, K₁ K₂, which has no unit sum.

        Sums of squares are smoothed with K², the product of K with itself: for σ of a map, and for
        its effective number of points.
        """
        if isinstance(self, RadialKernel) and isinstance(other, RadialKernel):
            return RadialProduct(self, other)
        return ProductKernel(self, other)

    @abstractmethod
    def spread_in_pixels(self, pixel: float) -> float:
        """Approximate σ along one axis, in pixels with a side of ``pixel`` rad."""

    @abstractmethod
    def half_sizes(self, metric: FloatArray) -> tuple[int, int]:
        """Pixels that the kernel reaches from its centre, along x and along y."""

    @abstractmethod
    def raster(self, metric: FloatArray) -> FloatArray:
        """The kernel's pixels (odd shape, unit sum).

        ``metric`` is the 2 x 2 matrix G of a map pixel, in rad²: an offset of d = (dx, dy) pixels
        subtends √(dᵀ G d).
        """


class RadialKernel(PixelKernel):
    """A kernel given by its profile over separation.

    Subclasses set ``reach`` (the radius at which the profile is cut), ``resolution_length`` (which
    pixels must resolve) and ``spread`` (the approximate σ along one axis), all in rad, or in pixels
    if ``in_pixels``.
    """

    reach: float
    resolution_length: float
    spread: float
    in_pixels: bool
    # Whether the profile has steps, over which splines would overshoot.
    has_steps = False
    _integral: float | None = None

    @abstractmethod
    def profile(self, r: FloatArray) -> FloatArray:
        """The profile k(r), not normalised."""

    @property
    def bin_size(self) -> float:
        """Size (rad) of lattice bins that are fine enough for interpolation between them."""
        if self.has_steps:
            return min(self.resolution_length / 4, self.reach / 24)
        return self.resolution_length / 2.5

    @property
    def spline_order(self) -> int:
        """Order of the splines for interpolation: at steps, a cubic spline would overshoot."""
        return 1 if self.has_steps else 3

    def smeared_profile(self, r: FloatArray, width: float) -> FloatArray:
        """k(r), with steps as wide as a bin, so that sums over bins are not ragged."""
        if not self.has_steps:
            return self.profile(r)
        shifts = width * (np.arange(9) - 4) / 9
        return np.asarray(sum(self.profile(np.abs(r + shift)) for shift in shifts) / len(shifts))

    @property
    def integral(self) -> float:
        """The integral (sr) of the profile over the sphere, 2π ∫ k(θ) sin θ dθ."""
        if self._integral is None:
            # Midpoint rule.
            limit = min(self.reach, math.pi)
            weight = limit / SAMPLES
            theta = np.asarray(weight * (np.arange(SAMPLES) + 0.5), float)
            profile = self.profile(theta) * np.sin(theta)
            self._integral = float(2 * math.pi * weight * profile.sum())
        return self._integral

    def density(self, r: FloatArray, width: float) -> FloatArray:
        """K(r) (per sr), whose integral over the sphere is 1; steps have a width (rad)."""
        return self.smeared_profile(r, width) / self.integral

    def density_integral(self, width: float) -> float:
        """The integral of `density` over the sphere; that of a product is not 1."""
        del width
        return 1.0

    def __repr__(self) -> str:
        widths = [f"{k}={text_of(v)}" for k, v in vars(self).items() if isinstance(v, u.Quantity)]
        return f"{type(self).__name__}({', '.join(widths)})"

    @property
    def key(self) -> tuple[Any, ...]:
        numbers = {k: v for k, v in vars(self).items() if isinstance(v, float | bool)}
        numbers.pop("_integral", None)
        # Rounded, as 30 arcmin and 0.5 deg are the same to rounding only.
        return type(self).__name__, *((k, float(f"{v:.12g}")) for k, v in sorted(numbers.items()))

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
        pixels = self._in_pixels(metric, self.half_sizes(metric))
        return np.asarray(pixels / pixels.sum())

    def _in_pixels(self, metric: FloatArray, half: tuple[int, int]) -> FloatArray:
        """The integral of the profile over each pixel, in any unit."""
        half_x, half_y = half
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
        fine = self.profile(r)
        if not self.in_pixels:
            fine = np.where(r <= self.reach, fine, 0.0)
        by_pixel = fine.reshape(len(y) // split, split, len(x) // split, split)
        return np.asarray(by_pixel.sum(axis=(1, 3)))

    def _subpixels(self, pixel: float, half: int) -> int:
        """Samples along a pixel's side (odd, so that one is at its centre)."""
        if self.resolution_length >= NARROW * pixel:
            return 1
        most = max(FINEST // (2 * half + 1), 1)
        return 2 * min(int(4.0 * pixel / self.resolution_length) // 2, most // 2) + 1


class ProductKernel(PixelKernel):
    """The product of two kernels, pixel by pixel."""

    def __init__(self, first: PixelKernel, second: PixelKernel) -> None:
        self.factors = first, second

    @property
    def key(self) -> tuple[Any, ...]:
        return "product", *(kernel.key for kernel in self.factors)

    def spread_in_pixels(self, pixel: float) -> float:
        return min(kernel.spread_in_pixels(pixel) for kernel in self.factors)

    def half_sizes(self, metric: FloatArray) -> tuple[int, int]:
        sizes = [kernel.half_sizes(metric) for kernel in self.factors]
        return min(x for x, _ in sizes), min(y for _, y in sizes)

    def raster(self, metric: FloatArray) -> FloatArray:
        if self.factors[0] is self.factors[1]:
            return np.asarray(self.factors[0].raster(metric) ** 2)
        half_x, half_y = self.half_sizes(metric)
        product = np.ones((2 * half_y + 1, 2 * half_x + 1))
        for kernel in self.factors:
            pixels = kernel.raster(metric)
            middle_y, middle_x = pixels.shape[0] // 2, pixels.shape[1] // 2
            rows = slice(middle_y - half_y, middle_y + half_y + 1)
            product *= pixels[rows, middle_x - half_x : middle_x + half_x + 1]
        return product

    def __repr__(self) -> str:
        return " * ".join(map(repr, self.factors))


class RadialProduct(ProductKernel, RadialKernel):
    """The product of two radial kernels: again a radial profile, with an amplitude (per sr²)."""

    def __init__(self, first: RadialKernel, second: RadialKernel) -> None:
        super().__init__(first, second)
        self._radial = first, second
        self.reach = min(first.reach, second.reach)
        self.resolution_length = min(first.resolution_length, second.resolution_length)
        self.spread = min(first.spread, second.spread)
        self.in_pixels = first.in_pixels
        self.has_steps = first.has_steps or second.has_steps

    def profile(self, r: FloatArray) -> FloatArray:
        first, second = self._radial
        return first.profile(r) * second.profile(r)

    def density(self, r: FloatArray, width: float) -> FloatArray:
        first, second = self._radial
        return first.density(r, width) * second.density(r, width)

    def density_integral(self, width: float) -> float:
        limit = min(self.reach + width, math.pi)
        theta = np.asarray(limit / SAMPLES * (np.arange(SAMPLES) + 0.5), float)
        density = self.density(theta, width) * np.sin(theta)
        return float(2 * math.pi * limit / SAMPLES * density.sum())


def terms_of(kernel: KernelAlgebra | None) -> Terms:
    """The terms of a kernel that has one shape everywhere; none of others, and without one."""
    return () if kernel is None or kernel.varies else kernel.terms


def angular_kernels(terms: Terms) -> list[RadialKernel]:
    """The kernels in angle, not in map pixels."""
    return [k for _, k in terms if isinstance(k, RadialKernel) and not k.in_pixels]


def parse_width(value: Any, name: str, *, in_pixels: bool = True) -> u.Quantity:
    """A width as a positive scalar Quantity in angle or, if ``in_pixels``, in pixels.

    The error of any other value names the argument.
    """
    try:
        is_width = isinstance(value, str | u.Quantity)
        width = u.Quantity(value, dtype=float) if is_width else None
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


def in_base_unit(width: u.Quantity) -> tuple[float, bool]:
    """A width in rad or in pixels, and whether it is in pixels."""
    in_pixels = bool(width.unit.is_equivalent(u.pix))
    return float(width.to_value(u.pix if in_pixels else u.rad)), in_pixels


def _subpixel_centres(half: int, split: int) -> FloatArray:
    """Centres of ``split`` samples a pixel over the pixels −half … half."""
    count = (2 * half + 1) * split
    return np.asarray((np.arange(count) - (count - 1) / 2) / split)


def text_of(width: u.Quantity) -> str:
    return f"'{digits(width.value)} {width.unit}'"


def digits(number: float) -> str:
    """A number with all its digits, so that a kernel's repr makes an equal kernel."""
    return repr(float(number)).removesuffix(".0")
