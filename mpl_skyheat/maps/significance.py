"""Significances of counts on a source, of which counts off it tell the background.

N_on counts are from an effective solid angle that is α times that of the N_off counts. Counts need
not be integers: under a kernel they are effective ones, `KernelSums.counts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy import units as u

    from mpl_skyheat.compute.arrays import FloatArray

# With more counts than this on and off, Z_Bi is Li & Ma's to 1e-5, and scipy 1.11 finds it wrong.
MANY = 1e6

# Tail probabilities below this are found by their logarithm: floats end at 1e-308.
SMALLEST = 1e-290


@dataclass(frozen=True)
class KernelSums:
    """Sums under a kernel K of rows of weights w: Σ w K, and K and K² ∗ the solid angle seen.

    ``unit`` is that of the weights; ``mean_weight`` is Σw²/Σw, and 1 without weights.
    """

    s1: FloatArray
    e1: FloatArray
    e2: FloatArray
    mean_weight: FloatArray | float
    unit: u.UnitBase | None = None

    @property
    def density(self) -> FloatArray:
        """S1 / E1, per sr."""
        return ratio(self.s1, self.e1)

    @property
    def solid_angle(self) -> FloatArray:
        """The effective solid angle E1² / E2 (sr) that the counts are from."""
        return ratio(self.e1**2, self.e2)

    @property
    def counts(self) -> FloatArray:
        """Effective counts S1 E1 / E2 / w̄, whose variance is their mean.

        They are the scaled Poisson counts of Bohm & Zech (2014, NIM A 748, 1): with the mean and
        the variance of the sum under the kernel.
        """
        return ratio(self.s1 * self.e1, self.e2 * self.mean_weight)


def ratio(a: FloatArray, b: FloatArray | float) -> FloatArray:
    """a / b, 0 where b is 0: as of the exposure of a sliver of sky, which an FFT may lose."""
    if np.ndim(b) == 0 and b > 0:
        return a / b
    b = np.broadcast_to(b, a.shape)
    return np.divide(a, b, out=np.zeros(a.shape), where=b > 0)


def z_bi(n_on: FloatArray, n_off: FloatArray, alpha: FloatArray) -> FloatArray:
    """Z_Bi of the binomial test (Cousins, Linnemann & Tucker 2008, NIM A 595, 480), with mid-p.

    Given n = N_on + N_off, N_on is binomial with q = α / (1 + α). The probability p of so many or
    more takes in half of that of N_on itself (mid-p: Lancaster 1961, J. Am. Stat. Assoc. 56, 223):
    p = ½ [I_q(N_on, N_off + 1) + I_q(N_on + 1, N_off)], and Z = −Φ⁻¹(p).
    """
    from scipy.special import betainc, gammaln, ndtri, ndtri_exp, xlogy

    total = n_on + n_off
    # The probability of N_on itself, by which both incomplete beta functions differ.
    log_own = gammaln(total + 1) - gammaln(n_on + 1) - gammaln(n_off + 1)
    log_own += xlogy(n_on, alpha) - total * np.log1p(alpha)
    own = np.exp(log_own)
    # The tail beyond N_on on its own side of the mean, which is small: the other is 1 less it.
    is_excess = n_on >= alpha * n_off
    inner, outer = np.where(is_excess, (n_on, n_off), (n_off, n_on))
    q = np.where(is_excess, alpha, 1.0) / (1 + alpha)
    beyond = np.where(outer > 0, betainc(inner + 1, np.where(outer > 0, outer, 1.0), q), 0.0)
    tail = beyond + 0.5 * own
    z = -ndtri(tail)
    small = tail < SMALLEST
    if small.any():
        # Beyond N_on probabilities fall almost as a geometric series, which is right to 1e-4 in Z.
        step = (outer * q / ((inner + 1) * (1 - q)))[small]
        z[small] = -ndtri_exp(log_own[small] + np.log(0.5 + step / (1 - step)))
    z = np.where(is_excess, z, -z) + 0.0
    many = np.minimum(n_on, n_off) > MANY
    z[many] = li_ma(n_on[many], n_off[many], np.broadcast_to(alpha, z.shape)[many])
    return np.asarray(z)


def li_ma(n_on: FloatArray, n_off: FloatArray, alpha: FloatArray) -> FloatArray:
    """The significance of Li & Ma (1983, ApJ 272, 317), eq. 17, negative for deficits."""
    from scipy.special import xlogy

    total = n_on + n_off
    with np.errstate(divide="ignore", invalid="ignore"):
        on = xlogy(n_on, n_on / total * ((1 + alpha) / alpha))
        off = xlogy(n_off, n_off / total * (1 + alpha))
    z = np.sqrt(2 * np.maximum(np.where(total > 0, on + off, 0.0), 0.0))
    return np.asarray(np.where(n_on >= alpha * n_off, z, -z))


SIGNIFICANCES = {"significance": z_bi, "lima": li_ma}
