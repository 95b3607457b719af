"""Warnings of probable mistakes: swapped columns, a wrong frame, other units read as degrees."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from mpl_skyheat.compute.warning import SkyHeatmapWarning
from mpl_skyheat.sky.frames import change_frame

if TYPE_CHECKING:
    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.catalogue.streams import Stream
    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.counting.sums import Sums

# By what factor random points, where they are many, may be off their density.
MOST_OFF = 2.0

# On maps of less sky (sr) than this, nobody is warned of positions in other units.
LARGE = 0.1


def warn_of_rows(
    sums: Sums, catalogue: Catalogue | Stream, centre: tuple[float, float], *, stacklevel: int
) -> None:
    """Warn of a map without a single point, as by swapped columns, or that no survey has seen.

    Also of positions in other units.

    ``centre`` is the middle of the map on the plane; ``stacklevel`` leads to the user's call.
    """
    for text in (_empty(sums, catalogue, centre), _other_units(sums)):
        if text:
            warnings.warn(text, SkyHeatmapWarning, stacklevel=stacklevel)


def warn_of_density(seen: FloatArray, *, stacklevel: int) -> None:
    """Warn of random points that are far denser, or less dense, than they were said to be.

    ``seen`` is what kernels see of full coverage, by the random points.
    """
    most = float(np.nanpercentile(seen, 95))
    if 0 < most < 1 / MOST_OFF or most > MOST_OFF:
        warnings.warn(
            f"coverage has Randoms that are {most:.2g} times as dense as their density says: is it "
            "that of where all was observed, and its unit right?",
            SkyHeatmapWarning,
            stacklevel=stacklevel,
        )


def _empty(sums: Sums, catalogue: Catalogue | Stream, centre: tuple[float, float]) -> str:
    """The text of a warning of a map without a single point; "" if it has one."""
    rows = sums.rows
    if sums.observed is not None and not sums.observed.pixels.fractions[sums.geometry.core].any():
        return (
            "coverage says that nothing was observed on the map, which is masked: is its frame "
            "right, and is it of this part of the sky?"
        )
    if 0 < rows["read"] == rows["dropped"]:
        needed = "a position" if catalogue.weights is None else "a position and a weight"
        return (
            f"none of the {rows['read']} rows has {needed} that is finite and not masked: "
            "the map is empty"
        )
    if rows["inside"]:
        return ""
    if rows["skipped"] and not rows["read"]:
        return (
            f"none of the {rows['skipped']} rows was read, as files say that none can be on the "
            f"map, whose centre is at {_middle(sums, catalogue, centre)}; are units, order and "
            "frame right?"
        )
    if rows["unseen"]:
        return (
            f"none of the {rows['unseen']} points on the map is where coverage says that something "
            "was observed: is its frame right?"
        )
    if not rows["outside"] or sums.head is None:
        return ""
    return (
        f"none of the {rows['outside'] + rows['skipped']} points is on the map: the first of them "
        f"is at {catalogue.lon.name}={sums.head.lon:.5g}, {catalogue.lat.name}="
        f"{sums.head.lat:.5g}, the map's centre at {_middle(sums, catalogue, centre)}; are units, "
        "order and frame right?"
    )


def _middle(sums: Sums, catalogue: Catalogue | Stream, centre: tuple[float, float]) -> str:
    """Where the middle of a map is, in the frame of a catalogue."""
    plane = sums.geometry.plane
    if plane.frame is None or catalogue.frame is None:
        return f"x={centre[0]:.5g}, y={centre[1]:.5g}"
    sky = plane.to_sky(np.array([centre[0]]), np.array([centre[1]]))
    lon, lat = change_frame(*sky, plane.frame, catalogue.frame)
    return f"{catalogue.lon.name}={lon[0]:.5g}, {catalogue.lat.name}={lat[0]:.5g} deg"


def _other_units(sums: Sums) -> str:
    """The text of a warning of points that look like the whole sky, not in degrees."""
    if sums.head is None or not sums.head.doubt:
        return ""
    if float(sums.geometry.solid_angles.sum()) <= LARGE:
        return ""
    return f"positions are read as degrees, but look like {sums.head.doubt} if they are"
