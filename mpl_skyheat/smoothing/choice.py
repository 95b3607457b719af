"""Kernels laid on a grid's pixels, and the choice between smoothing on the plane and the sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mpl_skyheat.sky.pixel_scale import pixel_metric
from mpl_skyheat.smoothing.flatness import plane_error
from mpl_skyheat.smoothing.kernel_base import angular_kernels

if TYPE_CHECKING:
    from mpl_skyheat.sky.grid import SkyGrid
    from mpl_skyheat.sky.planes import Plane
    from mpl_skyheat.smoothing.kernel_base import Terms
    from mpl_skyheat.smoothing.plane import Boundary

# Where to smooth.
Geometry = Literal["auto", "plane", "sphere"]

# Largest error of one pixel scale for the whole map, as a fraction of a source's peak, with which a
# map is smoothed on the plane.
PLANE_TOLERANCE = 0.01

# The same for a kernel in pixels, which can only be smoothed on the plane: more gives a warning.
PIXEL_KERNEL_TOLERANCE = 0.1

# Kernels with σ below this (pixels) are smoothed on the plane even on wide maps: almost all of a
# source falls in one pixel.
POINTLIKE = 0.2

# Kernels with σ below this (pixels) smooth nothing, and give a warning.
INVISIBLE = 0.1


class GridKernels:
    """The terms of a kernel, laid on a grid's pixels."""

    def __init__(
        self, terms: Terms, plane: Plane, centre: tuple[float, float], grid: SkyGrid
    ) -> None:
        self.terms = terms
        self.angular = angular_kernels(self.terms)
        self.is_angular = len(self.angular) == len(self.terms)
        self.is_flat = plane.frame is None
        if self.is_flat and self.angular:
            raise ValueError(
                "kernel must be in map pixels, such as 2*u.pix, with frame='flat'; got "
                f"{self.angular[0]!r}"
            )
        # On a plane of x and y, every kernel is in pixels and needs no metric.
        self.metric = np.eye(2)
        if not self.is_flat:
            self.metric = pixel_metric(plane.to_sky, centre, grid)
        has_size = np.isfinite(self.metric).all() and np.linalg.det(self.metric) > 0
        if self.terms and not has_size:
            lon, lat = (float(v[0]) for v in plane.to_sky(*np.array(centre)[:, np.newaxis]))
            raise ValueError(
                f"kernel has no size in the map's pixels, which have no area on the sky at the "
                f"centre, {lon:.5g}, {lat:.5g} deg: the scale of the WCS is 0 there, or its pixels "
                "are finer than positions have digits"
            )
        # The side (rad) of a pixel at the centre of the view.
        self.side = float(np.linalg.det(self.metric) ** 0.25) if has_size else np.nan
        self._sigmas = np.array([kernel.spread_in_pixels(self.side) for _, kernel in self.terms])
        # Whether almost all of the kernel stays in a pixel.
        self.is_narrow = bool(self._sigmas.min(initial=np.inf) < POINTLIKE)
        # The error of smoothing with one pixel scale, as a fraction of a source's peak.
        self.error = 0.0
        if self.terms and not self.is_flat:
            self.error = max(
                plane_error(s, self.metric, grid, plane) for s in self.side * self._sigmas
            )

    def margin(self, *, coarser: float = 1.0) -> tuple[int, int]:
        """Pixels that the kernel reaches along x and y, with pixels ``coarser`` times as wide."""
        metric = self.metric * coarser**2
        sizes = [kernel.half_sizes(metric) for _, kernel in self.terms]
        return max((x for x, _ in sizes), default=0), max((y for _, y in sizes), default=0)

    @property
    def warning(self) -> str:
        """The text of a warning of a kernel far narrower than a pixel; "" if it is wider."""
        widest = self._sigmas.max(initial=0.0)
        if not self.terms or widest >= INVISIBLE:
            return ""
        return (
            f"the kernel is {widest:.2g} pixels wide, and so smooths nothing: is its unit right? "
            "A finer map, with a smaller pixel_size, would show it"
        )


class Choice(NamedTuple):
    """Where to smooth, why, and the text of a warning, if any."""

    geometry: Literal["plane", "sphere"]
    reason: str
    warning: str = ""


def choose_geometry(kernels: GridKernels, *, asked: Geometry, boundary: Boundary) -> Choice:
    """Choose the plane, or the sphere where the plane is too wide for one pixel scale.

    ``boundary`` says what lies beyond the map.
    """
    obstacle = _obstacle_to_sphere(kernels, boundary)
    if asked == "sphere":
        if obstacle:
            raise ValueError(f"geometry='sphere' {obstacle}; take geometry='plane'")
        return Choice("sphere", "asked for")
    if not kernels.terms:
        return Choice("plane", "no kernel")
    percent = 100 * kernels.error
    if kernels.error <= PLANE_TOLERANCE:
        return Choice("plane", f"one pixel scale is right to {percent:.2g} % of a source's peak")
    if kernels.is_narrow:
        return Choice("plane", "the kernel is narrower than a pixel")
    wide = f"one pixel scale is off by up to {percent:.2g} % of a source's peak"
    if asked == "auto" and not obstacle:
        return Choice("sphere", wide)
    is_meant = not kernels.is_angular and (
        boundary != "sky" or kernels.error <= PIXEL_KERNEL_TOLERANCE
    )
    remedy = f"geometry='sphere' {obstacle or 'would be right'}"
    warning = f"the map is too wide to be smoothed on the plane: {wide}; {remedy}"
    reason = f"geometry='sphere' {obstacle}" if obstacle else "asked for"
    return Choice("plane", reason, "" if is_meant else warning)


def _obstacle_to_sphere(kernels: GridKernels, boundary: Boundary) -> str:
    """Why a map cannot be smoothed on the sphere, in words; "" if it can be."""
    if kernels.is_flat:
        return "is for positions on the sky, and frame='flat' has none"
    if not kernels.terms:
        return "needs a kernel"
    if not kernels.is_angular:
        return "needs a kernel in angle, as one in map pixels has no size on the sphere"
    if boundary != "sky":
        return f"needs boundary='sky', as {boundary!r} is about the edges of a plane"
    return ""
