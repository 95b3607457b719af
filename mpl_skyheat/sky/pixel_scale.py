"""How large and of what shape the pixels of a plane are on the sky, at one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.sky.vectors import separation, to_vectors

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.grid import Projection, SkyGrid, View

# Steps, as fractions of a view, in which the place nearest to another is found.
FINEST = 1 / 2000


def pixel_steps(to_sky: Projection, at: tuple[float, float], size: float) -> tuple[float, float]:
    """Steps along x and y that subtend ``size`` (rad) where centred on a point.

    Near a pole there may be none: a ValueError, as all of a parallel is shorter than ``size``.
    """
    steps: list[float] = []
    for direction in ((1.0, 0.0), (0.0, 1.0)):
        step = 1e-3
        for _ in range(4):  # the angle is all but proportional to the step
            chord = _chord(to_sky, at, direction, step)
            if not chord > 0:  # such a pixel hangs over the edge of the sky, or has no width
                break
            step *= size / chord
            if step < 1e-6:  # and wholly so here, where rounding would show
                break
        if step > 1e-6 and not abs(_chord(to_sky, at, direction, 0.5 * step) / size - 0.5) < 0.05:
            lon, lat = (float(v[0]) for v in to_sky(np.array([at[0]]), np.array([at[1]])))
            raise ValueError(
                f"pixel_size must fit in at the centre of the view, {lon:.5g}, {lat:.5g} deg; got "
                f"{np.degrees(size):.3g} deg, which no step along {'xy'[len(steps)]} spans there: "
                "give bins=, or a view with its centre farther from the pole"
            )
        steps.append(step)
    return steps[0], steps[1]


def _chord(
    to_sky: Projection,
    at: tuple[float, float],
    direction: tuple[float, float],
    step: float,
) -> float:
    """Angle (rad) between the two ends of a step centred on a point."""
    ends = np.array([-0.5, 0.5]) * step
    sky = to_sky(at[0] + direction[0] * ends, at[1] + direction[1] * ends)
    first, last = to_vectors(*sky)
    return float(separation(first, last))


def pixel_metric(to_sky: Projection, at: tuple[float, float], grid: SkyGrid) -> FloatArray:
    """The 2 x 2 metric (rad²) of a map pixel at a point.

    An offset of d = (dx, dy) map pixels subtends √(dᵀ G d), G = Jᵀ J of the central differences J
    of the position's unit vector.
    """
    steps = np.array([grid.x.step, grid.y.step])
    h = np.maximum(1e-2 * steps, 1e-4)  # in smaller steps, rounding would show
    offset_x = np.array([1, -1, 0, 0]) * h[0]
    offset_y = np.array([0, 0, 1, -1]) * h[1]
    right, left, up, down = to_vectors(*to_sky(at[0] + offset_x, at[1] + offset_y))
    # Steps that are refused later on must not underflow when squared here.
    jacobian = np.stack([right - left, up - down], axis=1) / (2 * h) * np.maximum(steps, 1e-70)
    return np.asarray(jacobian.T @ jacobian)


def local_areas(
    to_sky: Projection,
    x: FloatArray,
    y: FloatArray,
    step_x: float = 1.0,
    step_y: float = 1.0,
) -> FloatArray:
    """Areas (sr) of pixels by the scale at their centres, from the diagonals of small squares."""
    side = 0.1
    dx = 0.5 * side * step_x * np.array([-1, 1, 1, -1])
    dy = 0.5 * side * step_y * np.array([-1, -1, 1, 1])
    corners = to_vectors(*to_sky(np.add.outer(dx, x), np.add.outer(dy, y)))
    cross = np.cross(corners[2] - corners[0], corners[3] - corners[1])
    return np.asarray(0.5 * np.linalg.norm(cross, axis=-1) / side**2)


def nearest_sky(
    to_sky: Projection, view: View, to: tuple[float, float] | None = None
) -> tuple[float, float] | None:
    """The place nearest to a view's centre, or another, with sky all around it; None if none has.

    Around is 1/64 of the view, in steps of which places are looked for; then, near another place
    than the centre, in steps down to `FINEST`: beside a rim, the scale changes from step to step.
    """
    centre = view.centre
    width, height = (max(side, 1e-3) for side in (view.x_max - view.x_min, view.y_max - view.y_min))
    # As far around as `pixel_metric` looks, with one pixel for all of the view.
    reach = np.maximum(np.array([width, height]) / 64, 1e-4)
    around = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) * reach
    i, j = np.meshgrid(np.linspace(-0.5, 0.5, 65), np.linspace(-0.5, 0.5, 65))

    def nearest(x: Any, y: Any) -> tuple[float, float] | None:
        lon, _ = to_sky(np.add.outer(around[:, 0], x), np.add.outer(around[:, 1], y))
        distance = np.hypot(np.subtract(x, wanted[0]), np.subtract(y, wanted[1]))
        distance[~np.isfinite(lon).all(axis=0)] = np.inf
        best = np.unravel_index(np.argmin(distance), distance.shape)
        if not np.isfinite(distance[best]):
            return None
        return float(np.asarray(x)[best]), float(np.asarray(y)[best])

    wanted = centre if to is None else to
    found = nearest([wanted[0]], [wanted[1]])
    if found is not None:
        return found
    found = nearest(centre[0] + width * i, centre[1] + height * j)
    part = 1 / 64
    i, j = np.meshgrid(np.arange(-4, 5), np.arange(-4, 5))
    while found is not None and to is not None and part > FINEST:
        # Beside a rim, places far apart along it are almost as near.
        nearer = nearest(found[0] + part * width * i, found[1] + part * height * j)
        part = part / 4 if nearer == found else part
        found = nearer
    return found
