"""`Adaptive`: a Gaussian that is narrow where there are many points, and wide where there are few.

Its widths are a ladder, each √2 times the one before. A place has the narrowest of them under which
there are points enough; this is where that is found, in the pixels of the plane or the bins of the
sphere's lattice, for the rows that are there. `GatherMoments` finds it for each pixel of a map.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from mpl_skyheat.smoothing.kernel_base import (
    RadialProduct,
    VaryingKernel,
    digits,
    in_base_unit,
    parse_width,
    text_of,
)
from mpl_skyheat.smoothing.kernels import Gaussian
from mpl_skyheat.smoothing.plane import PAD_MODES, Boundary, ImageTransforms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from astropy import units as u

    from mpl_skyheat.compute.arrays import FloatArray, IntArray
    from mpl_skyheat.counting.sums import Sums
    from mpl_skyheat.smoothing.field import SphereField
    from mpl_skyheat.smoothing.kernel_base import Terms

# Whether each row is spread at the scale of its place, or each pixel gathers rows at its own.
Mode = Literal["scatter", "gather"]

# From one width of the ladder to the next.
STEP = math.sqrt(2)

# Most widths of a ladder: from one to a million of them.
MOST_RUNGS = 40

# By how much rounding may lower a number of points under the kernel.
ROUNDING = 1e-9


class Adaptive(VaryingKernel):
    """A Gaussian whose width follows the points: narrow where there are many of them.

    Parameters
    ----------
    n_points : float, optional
        Points that are to be under the kernel; their effective number, which in a field of λ points
        per sr is 4πσ²λ. With fewer than 10, maps show noise.
    narrowest, widest : `~astropy.units.Quantity` ['angle'] or str
        Smallest and largest σ; ``2*u.pix`` for map pixels. Between them, the widths are a ladder of
        steps of √2, from the narrowest up to at most the widest.
    mode : {"scatter", "gather"}, optional
        With "scatter", each point is spread at the scale of its place, so that the map holds as
        many points as the catalogue. With "gather", each pixel has the density under the kernel of
        its own scale, which is unbiased, and the mean and standard deviation of values. No map is
        both.

    Raises
    ------
    TypeError
        If ``narrowest`` or ``widest`` is missing.
    ValueError
        If a width is not a positive, finite angle, if ``narrowest`` is above ``widest`` or in
        another kind of unit, or another argument is not what it must be.

    Notes
    -----
    "scatter" follows csmooth (Ebeling, White & Rangarajan 2006, MNRAS 368, 65): a place has the
    smallest scale with n = (S1 / E1) / ∫K² ≥ ``n_points``, with S1 = Σ w K and E1 = K ∗ Ω of what
    was observed; the density is Σₛ (Kₛ ∗ wₛ) / E1ₛ over the points wₛ of each scale s, and its
    variance Σₛ (Kₛ² ∗ wₛ²) / E1ₛ². "gather" takes n = S1 E1 / E2, E2 = K² ∗ Ω, and (n − ½) / A as
    the density, with A = E1² / E2: without the ½, scales that have been chosen for their points
    have too many of them. Its standard error is the density over √n. With weights, both n are
    divided by the mean weight Σ w² K / Σ w K. Where even the widest scale has too few points, it is
    taken all the same. That the scale is chosen by the points is not in the errors.

    Examples
    --------
    >>> from mpl_skyheat import Adaptive
    >>> Adaptive(25, narrowest="0.2 deg", widest="3 deg")
    Adaptive(25, narrowest='0.2 deg', widest='3 deg')
    """

    def __init__(
        self,
        n_points: float = 25,
        *,
        narrowest: u.Quantity | str,
        widest: u.Quantity | str,
        mode: Mode = "scatter",
    ) -> None:
        is_number = isinstance(n_points, int | float | np.number)
        if not is_number or isinstance(n_points, bool) or not 1 <= n_points < math.inf:
            raise ValueError(f"n_points must be a number of points, 1 or more; got {n_points!r}")
        if not isinstance(mode, str) or mode not in get_args(Mode):
            raise ValueError(f"mode must be one of 'scatter', 'gather'; got {mode!r:.60}")
        self.n_points, self.mode = float(n_points), mode
        self.narrowest = parse_width(narrowest, "narrowest")
        self.widest = parse_width(widest, "widest")
        self.resolution_length, self.in_pixels = in_base_unit(self.narrowest)
        largest, is_in_pixels = in_base_unit(self.widest)
        ratio = largest / self.resolution_length
        if is_in_pixels != self.in_pixels or ratio < 1 - ROUNDING:
            raise ValueError(
                "narrowest must be at most widest, in the same kind of unit; got "
                f"narrowest={text_of(self.narrowest)}, widest={text_of(self.widest)}"
            )
        steps = math.floor(math.log(ratio, STEP) + ROUNDING)
        if steps >= MOST_RUNGS:
            raise ValueError(
                f"widest must be at most {STEP ** (MOST_RUNGS - 1):.3g} times narrowest; got "
                f"narrowest={text_of(self.narrowest)}, widest={text_of(self.widest)}"
            )
        self.rungs = tuple(Gaussian(self.narrowest * STEP**i) for i in range(steps + 1))

    @property
    def terms(self) -> Terms:
        return tuple((1.0, kernel) for kernel in self.rungs)

    @property
    def identity(self) -> tuple[Any, ...]:
        return "adaptive", self.n_points, self.mode, *(kernel.key for kernel in self.rungs)

    def __repr__(self) -> str:
        widths = f"narrowest={text_of(self.narrowest)}, widest={text_of(self.widest)}"
        mode = "" if self.mode == "scatter" else f", mode={self.mode!r}"
        return f"Adaptive({digits(self.n_points)}, {widths}{mode})"

    def first_with_enough(self, numbers: Iterable[FloatArray]) -> IntArray:
        """The first rung under which there are points enough, of arrays of them by rung.

        Where none has enough, the last one, as where numbers are NaN.
        """
        last = len(self.rungs) - 1
        found: IntArray = np.zeros((), np.intp)
        for rung, number in enumerate(numbers):
            if rung == 0:
                found = np.full(number.shape, last, np.intp)
            enough = number >= (1 - ROUNDING) * self.n_points
            found[enough & (found == last)] = rung
        return found

    def scales(self, rungs: IntArray) -> u.Quantity:
        """The widths σ of rungs by number."""
        return self.narrowest * STEP**rungs


def rungs_on_plane(
    kernel: Adaptive,
    sums: Sums,
    weight: str,
    metric: FloatArray,
    boundary: Boundary,
    margin: tuple[int, int],
) -> IntArray:
    """The rung of each pixel of the wide grid, by the density of what was seen around it.

    ``weight`` is the channel of S1; ``margin`` the pixels that the widest kernel reaches. Nothing
    is seen beyond the wide grid.
    """
    (x, y), area = margin, sums.geometry.wide_solid_angles
    seen = area if sums.observed is None else area * sums.observed.pixels.fractions
    mode: Any = PAD_MODES.get(boundary, "constant")
    images = {name: sums.pixels[name] for name in (weight, "w2") if name in sums.channels}
    images = {
        name: np.pad(np.asarray(image, float), ((y, y), (x, x)), mode=mode)
        for name, image in {**images, "sky": seen}.items()
    }
    transforms = ImageTransforms(images, margin)

    def numbers() -> Iterator[FloatArray]:
        for rung in kernel.rungs:
            raster = rung.raster(metric)
            transfer = transforms.transfer(raster)
            s1 = transforms.convolved(weight, transfer)
            e1 = transforms.convolved("sky", transfer) if boundary == "sky" else area
            number = _over(s1, e1) * area / float((raster**2).sum())
            if "w2" in images:
                number = _over(number, _over(transforms.convolved("w2", transfer), s1))
            yield number

    return kernel.first_with_enough(numbers())


def rungs_on_lattice(kernel: Adaptive, field: SphereField, weight: str) -> IntArray:
    """The rung of each bin of the sphere's lattice, as `rungs_on_plane`."""
    assert field.geometry.sphere is not None
    step = field.geometry.sphere.lattice.lat_step

    def numbers() -> Iterator[FloatArray]:
        for rung in kernel.rungs:
            squared = RadialProduct(rung, rung)
            s1 = field.smoothed_in_bins(weight, rung)
            number = _over(s1, field.exposure_in_bins(rung)) / squared.density_integral(step)
            if "w2" in field.sums.channels:
                number = _over(number, _over(field.smoothed_in_bins("w2", rung), s1))
            yield number

    return kernel.first_with_enough(numbers())


def _over(a: FloatArray, b: FloatArray) -> FloatArray:
    """a / b, 0 where b is 0: where nothing was seen, or nothing found."""
    b = np.broadcast_to(b, a.shape)
    return np.divide(a, b, out=np.zeros(a.shape), where=b > 0)
