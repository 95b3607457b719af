"""The Mollweide projection of FITS WCSs, without the bisections by which wcslib solves for it.

These take several times as long as other projections. What is found here is the same to rounding,
but not to the bit: good for polynomials that are to go through it, not for points that are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.wcs import WCS

from mpl_skyheat.outlines import plain_projection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mpl_skyheat.grid import Projection

    FloatArray = NDArray[np.float64]

# The solution z of z − sin z = q is a series in s = (6 q)^⅓, exact to rounding for s up to `NEAR`;
# elsewhere it is where Newton's method begins, which then needs so many steps.
SERIES = 1, 1 / 60, 1 / 1400, 1 / 25200, 43 / 17248000
NEAR, STEPS = 0.15, 3

# It must agree with wcslib to so many pixels.
AGREEMENT = 1e-7


def quick_mollweide(wcs: Any) -> Projection | None:
    """Return what takes longitude and latitude (deg) to the pixels (from 0) of a Mollweide WCS.

    None if the WCS is none, or not a plain one.
    """
    if plain_projection(wcs) != "MOL":
        return None
    matrix, crpix = np.linalg.inv(wcs.pixel_scale_matrix), wcs.wcs.crpix
    native = _native(wcs)
    order = wcs.wcs.lng, wcs.wcs.lat

    def to_plane(lon: Any, lat: Any) -> tuple[FloatArray, FloatArray]:
        # (Native coordinates are those of the plate carrée.)
        angles = native.wcs_world2pix(*_ordered(lon, lat, order), 1)
        first, second = _ordered(*mollweide(angles[order[0]], angles[order[1]]), order)
        x, y = (row[0] * first + row[1] * second for row in matrix)
        return x + (crpix[0] - 1), y + (crpix[1] - 1)

    return to_plane if _agree(to_plane, wcs, order) else None


def mollweide(phi: FloatArray, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return x and y (deg) of native longitudes and latitudes (deg).

    x = (2√2 / π) φ cos γ and y = √2 (180° / π) sin γ with 2γ + sin 2γ = π sin θ (Calabretta &
    Greisen 2002, A&A 395, 1077, equations 101-103); z = π − 2 |γ| is what is solved for.
    """
    # 1 − sin |θ|, without loss of digits near the poles.
    q = 2 * np.pi * np.sin(0.5 * np.radians(90 - np.abs(theta))) ** 2
    s = np.cbrt(6 * q)
    z = s * np.polynomial.polynomial.polyval(s**2, SERIES)
    far = s > NEAR
    better, wanted = z[far], q[far]
    for _ in range(STEPS):
        better -= (better - np.sin(better) - wanted) / (1 - np.cos(better))
    z[far] = better
    x = (2 * np.sqrt(2) / np.pi) * phi * np.sin(0.5 * z)
    return x, np.sign(theta) * np.degrees(np.sqrt(2) * np.cos(0.5 * z))


def _native(wcs: WCS) -> WCS:
    """Return the WCS that takes the sky to native longitude and latitude (deg)."""
    native = WCS(naxis=2)
    native.wcs.ctype = [str(ctype).replace("-MOL", "-CAR") for ctype in wcs.wcs.ctype]
    native.wcs.crval, native.wcs.cunit = wcs.wcs.crval, wcs.wcs.cunit
    native.wcs.lonpole, native.wcs.latpole = wcs.wcs.lonpole, wcs.wcs.latpole
    return native


def _ordered(lon: Any, lat: Any, order: tuple[int, int]) -> tuple[Any, Any]:
    return (lon, lat) if order == (0, 1) else (lat, lon)


def _agree(to_plane: Projection, wcs: WCS, order: tuple[int, int]) -> bool:
    """Tell whether positions are where the WCS has them; it may have features not thought of."""
    # All over the sky, on a spiral (Vogel 1979, Math. Biosci. 44, 179).
    number = np.arange(200)
    lon = 137.50776 * number % 360
    lat = np.degrees(np.arcsin(2 * (number + 0.5) / len(number) - 1))
    there = wcs.wcs_world2pix(*_ordered(lon, lat, order), 0)
    return bool(np.allclose(to_plane(lon, lat), there, rtol=0, atol=AGREEMENT))
