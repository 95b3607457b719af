"""The level of a map above which a fraction of the sources is.

It is a quantile of the map at the sources (Hyndman 1996, The American Statistician 50, 120), not a
fraction of the map's own integral, which a background without end would make meaningless.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy.coordinates import BaseCoordinateFrame, SkyCoord

from mpl_skyheat.catalogue.blocks import Catalogue
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.maps.places import frame_of_numbers
from mpl_skyheat.maps.statistic_table import OF_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.maps.surface import Surface


class Enclosed(NamedTuple):
    """The level above which a fraction of the sources is, in the unit of the map.

    ``attained`` is that fraction, where each source is evaluated without itself, ``inside`` that
    with all sources, and ``left_out`` the number of sources off the map or in masked pixels.
    """

    level: float
    fraction: float
    attained: float
    inside: float
    left_out: int


class SourceValues:
    """A map at the sources: with all of them, and without the one that is there.

    Parameters
    ----------
    sky_map : SkyMap
        A map of densities or counts.
    surface : Surface
        Its surface.
    points : Catalogue, array-like or None
        The sources, in a form that `read_sources` takes.
    leave_one_out : bool
        Whether to evaluate each source without itself. Where the map does not know what a source
        adds to it, this is not done.
    """

    def __init__(self, sky_map: Any, surface: Surface, points: Any, *, leave_one_out: bool) -> None:
        check_statistic(sky_map)
        share = sky_map.own_share if leave_one_out else None
        if points is None:
            blocks: Iterable[tuple[FloatArray, ...]] = _counted(sky_map)
            # Of a sum of weights in a pixel, those of its rows are not known.
            share = None if _is_weighted(sky_map) else share
        else:
            catalogue = read_sources(sky_map, points, surface.frame)
            blocks = _placed(catalogue, surface)
            if share is not None and _is_weighted(sky_map) and catalogue.weights is None:
                raise ValueError(
                    "points must come with their weights, as (coord, weights), on a map of "
                    "weighted points, each of which is left out with its own; or give "
                    "leave_one_out=False"
                )
        self.left_out = 0
        found = [(np.zeros(0),) * 3]
        for x, y, weights in blocks:
            full = surface.at(x, y)
            known = np.isfinite(full)
            self.left_out += int(np.count_nonzero(~known))
            full, weights = full[known], weights[known]
            without = full
            if share is not None:
                own = share.at(surface, x[known], y[known]) * share.unit.to(sky_map.unit)
                without = _without(full, own if points is None else weights * own, share.rounding)
            found.append((full, without, weights))
        full, without, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if not weights.sum() > 0:
            raise ValueError(
                "points must be on the map for a fraction of them to be enclosed; got "
                f"{self.left_out} of them, all off the map or in masked pixels"
            )
        self._full, self._weights = full, weights
        self._without, self._order = without, np.argsort(without, kind="stable")

    def level(self, fraction: float) -> Enclosed:
        """The level between two sources above which the fraction of sources is nearest to it."""
        values, weights = self._without[self._order], self._weights[self._order]
        # The sources from each on, where that is above the one before.
        above = weights.sum() - np.concatenate([[0.0], np.cumsum(weights)[:-1]])
        starts = np.flatnonzero(np.concatenate([[True], values[1:] > values[:-1]]))
        first = starts[np.argmin(np.abs(above[starts] - fraction * weights.sum()))]
        level = float(values[first] if first == 0 else 0.5 * (values[first - 1] + values[first]))
        if not level > 0:
            alone = weights[values <= 0].sum() / weights.sum()
            raise ValueError(
                f"enclosed={fraction:g} has no level above 0, as {100 * alone:.3g} % of the points "
                "have no other within the kernel's reach: take a wider kernel, a fraction below "
                f"{1 - alone:.2g}, or leave_one_out=False"
            )
        attained, inside = (
            float(self._weights[found >= level].sum() / self._weights.sum())
            for found in (self._without, self._full)
        )
        return Enclosed(level, fraction, attained, inside, self.left_out)


def _without(values: FloatArray, own: FloatArray, rounding: float) -> FloatArray:
    """Values without own shares; 0 where nothing is left, as no other is within the reach."""
    left = values - own
    return np.where(left > rounding * own, left, 0.0)


def check_statistic(sky_map: Any) -> None:
    """Raise a ValueError unless a fraction of sources has a meaning on a map."""
    stat = sky_map.meta.get("stat")
    if stat not in OF_ROWS:
        raise ValueError(
            "enclosed is a fraction of the points, for a map of their 'density' or 'count'; got "
            f"one of {stat!r}: give level="
        )
    if sky_map.meta.get("signed"):
        raise ValueError(
            "enclosed is a fraction of the points, which is not told by a map that may be below "
            f"0, as of kernel={sky_map.kernel!r:.60}: give level="
        )


def check_fraction(enclosed: Any) -> float:
    """A fraction between 0 and 1, as a number."""
    try:
        fraction = np.nan if isinstance(enclosed, bool | str) else float(enclosed)
    except (TypeError, ValueError):
        fraction = np.nan
    if not 0 < fraction < 1:
        raise ValueError(
            f"enclosed must be a fraction between 0 and 1, such as 0.9; got {enclosed!r:.60}"
        )
    return fraction


def read_sources(
    sky_map: Any, points: Any, frame_of_pixels: BaseCoordinateFrame | None
) -> Catalogue:
    """The sources of a map: a SkyCoord, a table or its file, (coord, weights), (ra, dec) …"""
    if isinstance(points, Catalogue):
        return points
    if isinstance(points, str | Path):
        return read_catalogue((), points, frame_of_numbers(sky_map, (points,), frame_of_pixels))
    parts = tuple(points) if isinstance(points, tuple | list) else (points,)
    is_one = len(parts) == 1 or isinstance(parts[0], SkyCoord | BaseCoordinateFrame)
    position, weights = (parts[:1], parts[1:]) if is_one else (parts[:2], parts[2:])
    if not parts or len(weights) > 1:
        raise TypeError(
            "points must be a SkyCoord, a table or its file, (coord, weights), "
            f"(ra, dec) or (ra, dec, weights); got {len(parts)} items"
        )
    frame = frame_of_numbers(sky_map, position, frame_of_pixels)
    return read_catalogue(position, None, frame, *weights)


def _placed(
    catalogue: Catalogue, surface: Surface
) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Pixel coordinates and weights of the rows of a catalogue, in blocks."""
    if (catalogue.frame is None) != (surface.frame is None):
        raise TypeError(
            "points must be x, y on a map of Cartesian x, y, and on the sky elsewhere; got them in "
            f"the frame {catalogue.frame!r}"
        )
    catalogue = catalogue.in_frame(surface.frame)
    for block in catalogue.blocks():
        x, y = surface.places(catalogue.frame, block.lon, block.lat)
        yield x, y, np.ones(len(x)) if block.weights is None else block.weights


def _is_weighted(sky_map: Any) -> bool:
    return sky_map.counts is not None and sky_map.counts.dtype.kind == "f"


def _counted(sky_map: Any) -> list[tuple[FloatArray, FloatArray, Any]]:
    """The centres of pixels, with the number (or sum of weights) of points in each."""
    if sky_map.counts is None:
        raise ValueError("points must be given for a map without counts, as after arithmetic")
    rows, columns = np.nonzero(sky_map.counts)
    return [(columns.astype(float), rows.astype(float), sky_map.counts[rows, columns])]
