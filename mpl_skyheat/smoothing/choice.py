"""Kernels laid on a grid's pixels, and the choice between smoothing on the plane and the sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mpl_skyheat.sky.pixel_scale import pixel_metric
from mpl_skyheat.smoothing.flatness import plane_error
from mpl_skyheat.smoothing.kernel_base import KernelAlgebra, PixelKernel, RadialKernel

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.grid import SkyGrid
    from mpl_skyheat.sky.planes import Plane

# A map for which one pixel scale is off by more than this fraction of a source's peak is too wide
# for the plane. Who gives a kernel in pixels wants the plane, and is told on an all-sky map only.
PLANE_TOLERANCE = 0.01
PIXEL_KERNEL_TOLERANCE = 0.1

# On a wide map, a kernel narrower than this many pixels is best left on the plane: pixels that
# hold all of a source do not mind the shape of what they hold.
POINTLIKE = 0.2

# One that is narrower than this is rather a mistake.
INVISIBLE = 0.1


class GridKernels:
    """The terms of a kernel, as they lie on a grid's pixels."""

    def __init__(
        self,
        kernel: KernelAlgebra | None,
        plane: Plane,
        centre: tuple[float, float],
        grid: SkyGrid,
    ) -> None:
        self.terms: tuple[tuple[float, PixelKernel], ...] = () if kernel is None else kernel.terms
        self._error: float | None = None
        self._plane, self._grid = plane, grid
        if plane.frame is None and self.angular_terms:
            raise ValueError(
                f"kernel must be in map pixels, such as 2*u.pix, with frame='flat'; got "
                f"{self.angular_terms[0][1]!r}"
            )
        # On a plane of x and y, every kernel is in pixels and needs no metric.
        self.metric = np.eye(2)
        if plane.frame is not None:
            self.metric = pixel_metric(plane.to_sky, centre, grid)

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def angular_terms(self) -> list[tuple[float, RadialKernel]]:
        """The terms that are in angle, not in map pixels."""
        return [
            (factor, kernel)
            for factor, kernel in self.terms
            if isinstance(kernel, RadialKernel) and not kernel.in_pixels
        ]

    @property
    def is_flat(self) -> bool:
        """Tell whether the plane is one of Cartesian x and y."""
        return self._plane.frame is None

    @property
    def is_angular(self) -> bool:
        """Tell whether all of the kernel is in angle."""
        return len(self.angular_terms) == len(self.terms)

    def margin(self, *, coarser: float = 1.0) -> tuple[int, int]:
        """How many pixels the kernel reaches along x and y, were the pixels so much coarser."""
        metric = self.metric * coarser**2
        sizes = [kernel.half_sizes(metric) for _, kernel in self.terms]
        return max((x for x, _ in sizes), default=0), max((y for _, y in sizes), default=0)

    @property
    def error(self) -> float:
        """The error of smoothing with one pixel scale, as a fraction of a source's peak."""
        if self._error is None:
            spreads = self._spreads_in_pixels * self._pixel
            if self._plane.frame is None:
                spreads = spreads[:0]
            errors = (plane_error(s, self.metric, self._grid, self._plane) for s in spreads)
            self._error = max(errors, default=0.0)
        return self._error

    @property
    def step(self) -> float:
        """Bins (rad) of the sphere's lattice that resolve the narrowest of the terms."""
        return min(kernel.bin_size for _, kernel in self.angular_terms)

    @property
    def reach(self) -> float:
        """How far (rad) the widest of the terms reaches."""
        return max(kernel.reach for _, kernel in self.angular_terms)

    @property
    def spline_orders(self) -> tuple[int, ...]:
        """Orders of the splines that points are spread with, on the sphere."""
        return tuple(sorted({kernel.spline_order for _, kernel in self.angular_terms}))

    @property
    def is_narrow(self) -> bool:
        """Tell whether all but a little of the kernel stays in a pixel."""
        return bool(self._spreads_in_pixels.min(initial=np.inf) < POINTLIKE)

    @property
    def warning(self) -> str:
        """What to warn of a kernel that is lost in a pixel; "" if it is not."""
        widest = self._spreads_in_pixels.max(initial=0.0)
        if not self.terms or widest >= INVISIBLE:
            return ""
        return (
            f"the kernel is {widest:.2g} pixels wide, and so smooths nothing: is its unit right? "
            "A finer map, with a smaller pixel_size, would show it"
        )

    @property
    def _pixel(self) -> float:
        """The side (rad) of a pixel at the centre of the view."""
        return float(np.linalg.det(self.metric) ** 0.25)

    @property
    def _spreads_in_pixels(self) -> FloatArray:
        return np.array([kernel.spread_in_pixels(self._pixel) for _, kernel in self.terms])


class Choice(NamedTuple):
    """Where to smooth, why, and what to warn of, if anything."""

    geometry: str
    reason: str
    warning: str = ""

    @property
    def summary(self) -> dict[str, str]:
        """What a map's ``meta`` says of it."""
        return {"geometry": self.geometry, "geometry_reason": self.reason}


def choose_geometry(kernels: GridKernels, *, asked: str, boundary: str) -> Choice:
    """Choose the plane, or the sphere where the plane is too wide for one pixel scale.

    ``asked`` is "auto", "plane" or "sphere", ``boundary`` what lies beyond the map.

    Raises
    ------
    ValueError
        If the sphere is asked for and the kernel or the boundary has no meaning there.
    """
    obstacle = _obstacle_to_sphere(kernels, boundary)
    if asked == "sphere":
        if obstacle:
            raise ValueError(f"geometry='sphere' {obstacle}; take geometry='plane'")
        return Choice("sphere", "asked for")
    if not kernels:
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


def _obstacle_to_sphere(kernels: GridKernels, boundary: str) -> str:
    """Return why a map cannot be smoothed on the sphere, in words; "" if it can be."""
    if kernels.is_flat:
        return "is for positions on the sky, and frame='flat' has none"
    if not kernels:
        return "needs a kernel"
    if not kernels.is_angular:
        return "needs a kernel in angle, as one in map pixels has no size on the sphere"
    if boundary != "sky":
        return f"needs boundary='sky', as {boundary!r} is about the edges of a plane"
    return ""
