"""Where projections of FITS WCSs show sky, in closed form.

A round trip through the WCS answers the same question at ten times the cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.wcs import WCS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray

    # Intermediate world coordinates (deg) -> whether they show sky.
    Shape = Callable[[Any, Any], BoolArray]


# Radius (deg) of the generating sphere, r₀ in Calabretta & Greisen.
RADIUS = float(np.degrees(1))

# Places within this fraction of the rim count as beyond it, as they may to the WCS.
ROUNDING = 1e-12


def plain_projection(wcs: Any) -> str:
    """The code of a WCS that is a projection without distortions and parameters, or else ``""``."""
    if not isinstance(wcs, WCS) or wcs.naxis != 2 or wcs.has_distortion:
        return ""
    if wcs.wcs.has_crota() or wcs.wcs.get_pv():
        return ""
    codes = {str(ctype)[4:] for ctype in wcs.wcs.ctype}
    return codes.pop()[1:] if len(codes) == 1 else ""


@dataclass(frozen=True)
class Outline:
    """Whether places (pixels from 0) of a FITS WCS show sky, in closed form.

    ``matrix`` takes offsets from CRPIX to intermediate world coordinates (deg) in the order
    longitude, latitude.
    """

    code: str
    matrix: tuple[tuple[float, float], tuple[float, float]]
    crpix: tuple[float, float]

    def __call__(self, x: FloatArray, y: FloatArray) -> BoolArray:
        offsets = np.asarray(x) - self.crpix[0], np.asarray(y) - self.crpix[1]
        # (On most maps, half the elements are 0.)
        rows = ([m * d for m, d in zip(row, offsets, strict=True) if m] for row in self.matrix)
        return np.asarray(SHAPES[self.code](*(sum(row[1:], row[0]) for row in rows)))


def outline_of(wcs: Any) -> Outline | None:
    """The outline of the sky on the pixels of a WCS; None if no closed form is known."""
    code = plain_projection(wcs)
    if code not in SHAPES or any(str(unit) != "deg" for unit in wcs.wcs.cunit):
        return None
    matrix = wcs.pixel_scale_matrix / (1 - ROUNDING)
    if wcs.wcs.lng != 0:
        matrix = matrix[::-1]
    first, second = (tuple(row) for row in matrix.tolist())
    crpix_x, crpix_y = (wcs.wcs.crpix - 1).tolist()
    return Outline(code, (first, second), (crpix_x, crpix_y))


def _on_ellipse(x: FloatArray, y: FloatArray) -> BoolArray:
    """The sky of Hammer-Aitoff and Mollweide (Calabretta & Greisen 2002, A&A 395, 1077, 5.3)."""
    return np.asarray(x**2 + (2 * y) ** 2 <= 8 * RADIUS**2)


def _on_disk(radius: float) -> Shape:
    """The sky of zenithal projections (ibid., 5.1)."""
    return lambda x, y: np.asarray(x**2 + y**2 <= radius**2)


def _between_sines(x: FloatArray, y: FloatArray) -> BoolArray:
    """The sky of Sanson-Flamsteed (ibid., 5.3)."""
    return np.asarray((np.abs(y) <= 90) & (np.abs(x) <= 180 * np.cos(np.radians(y))))


def _in_teeth(x: FloatArray, y: FloatArray) -> BoolArray:
    """The sky of HEALPix, a belt with eight teeth (Calabretta & Roukema 2007, MNRAS 381, 865)."""
    from_middle = np.abs((x + 180) % 90 - 45)
    above = np.maximum(np.abs(y) - 45, 0)
    return np.asarray((np.abs(x) <= 180) & (from_middle <= 45 - above))


SHAPES: dict[str, Shape] = {
    "AIT": _on_ellipse,
    "MOL": _on_ellipse,
    "SFL": _between_sines,
    "HPX": _in_teeth,
    "ZEA": _on_disk(2 * RADIUS),
    "ARC": _on_disk(180.0),
    "SIN": _on_disk(RADIUS),
}
