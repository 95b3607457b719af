"""The error of smoothing with one pixel scale, shape and rotation for a whole map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.sky.pixel_scale import local_areas
from mpl_skyheat.sky.vectors import circles, separation, to_vectors

if TYPE_CHECKING:
    from mpl_skyheat.sky.grid import SkyGrid
    from mpl_skyheat.sky.planes import Plane

# Sources that are compared, as fractions of the map's width and height.
PLACES = np.linspace(0, 1, 5)
# Separations from a source, in units of the kernel's spread.
RADII = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
# Directions from a source.
DIRECTIONS = 8
# Neighbours on the sky that are this many times as far away on the plane are beyond a tear in it.
# (Scales that are off by as much make an error of half a peak.)
TEAR = 3.0


def plane_error(spread: float, metric: np.ndarray, grid: SkyGrid, plane: Plane) -> float:
    """The largest error of smoothing on the plane, as a fraction of a source's peak.

    A source at q, smoothed with one metric G for the whole map, has at pixel p the density
    k(√(dᵀ G d)) √|G| / Ω(p), d = p − q, in place of k(separation of p and q). The two are compared
    for a Gaussian of the kernel's ``spread`` (rad) around places all over the map. Where the plane
    is torn within the kernel's reach (at ±180 deg, say), all of the peak is lost: the error is 1.
    Sky that the plane does not show, beyond an image or a horizon, is no tear.
    """
    to_sky = plane.to_sky
    sides = [low + PLACES * (high - low) for low, high in (grid.x.bounds, grid.y.bounds)]
    x, y = (v.ravel()[:, np.newaxis] for v in np.meshgrid(*sides))
    dx, dy = _offsets(spread, metric)
    x_there, y_there = x + dx * grid.x.step, y + dy * grid.y.step
    lon, lat = to_sky(x_there, y_there)
    if _is_torn(lon, lat, spread, metric, grid, plane):
        return 1.0
    around = to_vectors(lon, lat)
    true = separation(around, around[:, :1])
    assumed = _length(dx, dy, metric)
    area = local_areas(to_sky, x, y, grid.x.step, grid.y.step)
    with np.errstate(divide="ignore", invalid="ignore"):  # of grids too fine for any memory
        scale = np.sqrt(np.linalg.det(metric)) / area
        error = np.abs(_gaussian(assumed / spread) * scale - _gaussian(true / spread))
    on_sky = np.isfinite(error)
    return float(error[on_sky].max()) if on_sky.any() else 0.0


def _is_torn(
    lon: np.ndarray,
    lat: np.ndarray,
    spread: float,
    metric: np.ndarray,
    grid: SkyGrid,
    plane: Plane,
) -> bool:
    """Whether sky within the kernel's reach of any source is shown far from it, or past a gap.

    Positions (deg; NaN off the sky) are those of sources and, beside them, of places on the plane.
    """
    on_sky = np.isfinite(lon[:, 0]) & np.isfinite(lat[:, 0])
    has_gap = np.isnan(lon[on_sky, -DIRECTIONS:]).any(axis=1)
    lon, lat = lon[on_sky, 0], lat[on_sky, 0]
    # A polygon around the places on the plane.
    reach = min(1.1 * RADII[-1] * spread, 0.5 * np.pi)
    x, y = plane.to_plane(lon, lat)
    x_there, y_there = plane.to_plane(*circles(lon, lat, reach, DIRECTIONS))
    away = _length((x_there - x) / grid.x.step, (y_there - y) / grid.y.step, metric)
    # In a gap, as of HPX, is no sky, and all around it is shown; beyond an image, it is not.
    return bool((away > TEAR * reach).any() or (has_gap & np.isfinite(away).all(axis=0)).any())


def _length(dx: np.ndarray, dy: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """The angle (rad) that offsets (map pixels) subtend by a metric."""
    # (Not by squares, which overflow on grids too fine for any memory.)
    ((a, b), (_, d)) = np.linalg.cholesky(metric).T
    return np.asarray(np.hypot(a * dx + b * dy, d * dy))


def _gaussian(r: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * r**2))


def _offsets(spread: float, metric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (map pixels) to rings around a source; the source itself comes first."""
    angle = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    ring = np.stack([np.cos(angle), np.sin(angle)])
    unit = np.linalg.inv(np.linalg.cholesky(metric).T) @ ring
    offsets = spread * RADII[np.newaxis, :, np.newaxis] * unit[:, np.newaxis, :]
    dx, dy = offsets.reshape(2, -1)
    return dx, dy
