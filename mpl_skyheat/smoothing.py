"""Convolution of maps with kernels on the flat pixel plane."""

from __future__ import annotations

import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    # (factor, kernel pixels) pairs: the kernel is their sum.
    Terms = Sequence[tuple[float, FloatArray]]

# Importing scipy.fft takes longer than it saves on maps of up to so many pixels; if it is there, it
# is somewhat faster than numpy's, and the same to rounding.
SMALL = 2**18

# So many convolutions of small maps are done before scipy.fft is loaded for those that follow.
FEW = 4
_convolutions = count()

# How each explicit boundary continues a map, in numpy.pad's words. scipy.ndimage calls numpy's
# "symmetric" (d c b a | a b c d | d c b a) "reflect".
PAD_MODES = {"fill": "constant", "wrap": "wrap", "reflect": "symmetric"}


def kernel_margin(terms: Terms) -> tuple[int, int]:
    """Return how many pixels the kernel reaches beyond its centre, along x and along y."""
    shapes = np.array([pixels.shape for _, pixels in terms])
    half_y, half_x = shapes.max(axis=0) // 2
    return int(half_x), int(half_y)


def smooth_padded(image: FloatArray, terms: Terms, boundary: str) -> FloatArray:
    """Return K ∗ image, the image continued by ``boundary``: "fill", "wrap" or "reflect"."""
    smoothed = np.zeros(image.shape)
    for factor, pixels in terms:
        half_y, half_x = pixels.shape[0] // 2, pixels.shape[1] // 2
        padded = np.pad(image, ((half_y,) * 2, (half_x,) * 2), mode=PAD_MODES[boundary])  # type: ignore[call-overload]
        smoothed += factor * convolve_valid([padded], pixels)[0]
    return smoothed


def smooth_ratio(image: FloatArray, exposure: FloatArray, terms: Terms) -> FloatArray:
    """Return Σ cᵢ (Kᵢ ∗ image) / (Kᵢ ∗ exposure), without the margin that both images carry.

    Dividing term by term keeps a uniform field flat to its edge for every kernel, and exactly
    zero for a difference of two. NaN where no exposure is within reach.
    """
    margin_x, margin_y = kernel_margin(terms)
    shape = image.shape[0] - 2 * margin_y, image.shape[1] - 2 * margin_x
    smoothed = np.zeros(shape)
    for factor, pixels in terms:
        trim_y, trim_x = (
            margin_y - pixels.shape[0] // 2,
            margin_x - pixels.shape[1] // 2,
        )
        inner = np.s_[trim_y : image.shape[0] - trim_y, trim_x : image.shape[1] - trim_x]
        counts, weight = convolve_valid([image[inner], exposure[inner]], pixels)
        with np.errstate(divide="ignore", invalid="ignore"):
            smoothed += factor * np.where(weight > 0, counts / weight, np.nan)
    return smoothed


def fast_length(length: int) -> int:
    """Return the next length whose only prime factors are 2, 3 and 5: quick to transform."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _fft_for(pixels: int) -> Any:
    is_early = next(_convolutions) < FEW and "scipy.fft" not in sys.modules
    if pixels <= SMALL and is_early:
        return np.fft
    import scipy.fft

    return scipy.fft


def convolve_valid(images: Sequence[FloatArray], pixels: FloatArray) -> list[FloatArray]:
    """Convolve images of one shape with a kernel, where the kernel lies fully within them.

    By FFT, so the cost does not grow with the kernel. What cannot be told from the rounding error
    of the transform is set to exactly zero: on a logarithmic scale it would be drawn as sky.
    """
    rows, columns = images[0].shape
    fft = _fft_for(rows * columns)
    shape = fast_length(rows), fast_length(columns)
    valid = np.s_[pixels.shape[0] - 1 : rows, pixels.shape[1] - 1 : columns]
    transfer = fft.rfft2(pixels, shape)
    smoothed = []
    for image in images:
        result = fft.irfft2(fft.rfft2(image, shape) * transfer, shape)[valid]
        # |error| < ε log₂(N) ‖image‖ ‖kernel‖ (Schatzman 1996, SIAM J. Sci. Comput. 17, 1150).
        noise = np.finfo(float).eps * np.log2(result.size + 2.0)
        noise *= np.sqrt(np.square(image).sum() * np.square(pixels).sum())
        smoothed.append(np.where(np.abs(result) > noise, result, 0.0))
    return smoothed
