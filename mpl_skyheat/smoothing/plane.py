"""Convolution of maps with kernels on the flat pixel plane."""

from __future__ import annotations

import sys
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

# What lies beyond a map.
Boundary = Literal["sky", "fill", "wrap", "reflect"]

# Largest map (pixels) on which importing scipy.fft takes longer than its greater speed saves. Its
# results and numpy's are equal to rounding.
SMALL = 2**18

# Number of convolutions of small maps after which scipy.fft is imported all the same.
FEW = 4
_convolutions = count()

# How each explicit boundary continues a map, in numpy.pad's words. scipy.ndimage calls numpy's
# "symmetric" (d c b a | a b c d | d c b a) "reflect".
PAD_MODES: dict[Boundary, str] = {"fill": "constant", "wrap": "wrap", "reflect": "symmetric"}


def fast_length(length: int) -> int:
    """The next length whose only prime factors are 2, 3 and 5: fast to transform."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


class Transfer(NamedTuple):
    """The transform of a kernel's pixels; half their width and height, norm, largest and sum."""

    values: Any
    half_x: int
    half_y: int
    norm: float
    peak: float
    total: float


class ImageTransforms:
    """Transforms of images of one shape, each made once, for convolution with many kernels.

    ``margin`` are the pixels around each image, along x and y, that results are returned without:
    at least as many as a kernel reaches.
    """

    def __init__(self, images: dict[str, FloatArray], margin: tuple[int, int]) -> None:
        self._images, self._margin = images, margin
        self._shape = next(iter(images.values())).shape
        rows, columns = self._shape
        self._fft = _fft_for(rows * columns)
        self._padded = fast_length(rows), fast_length(columns)
        self._transforms: dict[str, Any] = {}
        self._norms: dict[str, float] = {}

    def transfer(self, pixels: FloatArray) -> Transfer:
        """The transform of the pixels of a kernel, for any number of images."""
        values = self._fft.rfft2(pixels, self._padded)
        half_x, half_y = pixels.shape[1] // 2, pixels.shape[0] // 2
        peak, total = float(pixels.max()), float(pixels.sum())
        return Transfer(values, half_x, half_y, _norm(pixels), peak, total)

    def convolved(self, name: str, kernel: Transfer) -> FloatArray:
        """An image, convolved with a kernel, without the margin.

        By FFT, so that the cost does not grow with the kernel. Values below the rounding error of
        the transform are set to 0, so that logarithmic scales do not show them.
        """
        if name not in self._transforms:
            self._transforms[name] = self._fft.rfft2(self._images[name], self._padded)
            self._norms[name] = _norm(self._images[name])
        (rows, columns), (margin_x, margin_y) = self._shape, self._margin
        smooth = self._fft.irfft2(self._transforms[name] * kernel.values, self._padded)
        result = smooth[
            margin_y + kernel.half_y : rows - margin_y + kernel.half_y,
            margin_x + kernel.half_x : columns - margin_x + kernel.half_x,
        ]
        # |error| < ε log₂(N) ‖image‖ ‖kernel‖ (Schatzman 1996, SIAM J. Sci. Comput. 17, 1150).
        noise = np.finfo(float).eps * np.log2(result.size + 2.0)
        noise *= self._norms[name] * kernel.norm
        return np.where(np.abs(result) > noise, result, 0.0)


def _norm(image: FloatArray) -> float:
    """The root of the sum of squares, which may be too large or too small for a number."""
    largest = max(float(image.max(initial=0.0)), -float(image.min(initial=0.0)))
    scale = 1.0 if 1e-100 < largest < 1e100 else largest or 1.0
    # (No product of vectors, for which BLAS would start threads.)
    return scale * float(np.sqrt(np.square(image if scale == 1.0 else image / scale).sum()))


def _fft_for(pixels: int) -> Any:
    is_early = next(_convolutions) < FEW and "scipy.fft" not in sys.modules
    if pixels <= SMALL and is_early:
        return np.fft
    import scipy.fft

    return scipy.fft
