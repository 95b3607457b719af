"""Where positions are on a map, in its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mpl_skyheat.catalogue.reading import read_positions
from mpl_skyheat.sky.frames import frame_text
from mpl_skyheat.sky.planes import plane_of_wcs, project

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

    from mpl_skyheat.compute.arrays import FloatArray


def places_on(sky_map: Any, position: tuple[Any, ...], frame: Any) -> tuple[FloatArray, FloatArray]:
    """Pixel coordinates of positions: a SkyCoord, or two numbers in a frame; see `value_at`."""
    plane = None if sky_map.meta.get("frame") == "flat" else plane_of_wcs(sky_map.wcs)
    if frame is None:
        frame = frame_of_numbers(sky_map, position, plane and plane.frame)
    lon, lat, sky_frame = read_positions(position, frame, plane and plane.frame)
    if (sky_frame is None) != (plane is None):
        raise TypeError(
            "position must be x, y on a map of Cartesian x, y, and on the sky elsewhere; got "
            f"frame={frame!r}"
        )
    if plane is None:
        x, y = sky_map.wcs.low_level_wcs.world_to_pixel_values(lon, lat)
    else:
        x, y = project(plane, sky_frame, lon, lat)
    return np.asarray(x), np.asarray(y)


def frame_of_numbers(
    sky_map: Any, position: tuple[Any, ...], own: BaseCoordinateFrame | None
) -> Any:
    """The frame of two bare numbers; ``own`` is that of the map's pixels."""
    frame = sky_map.meta.get("frame", "icrs")
    if own is None or not isinstance(frame, str) or not frame.startswith("<"):
        return frame
    if len(position) == 2 and frame != frame_text(own):
        raise TypeError(
            f"frame must be given with two numbers, as the map is of points in {frame}, for "
            f"which there is no name; got {position!r:.60}"
        )
    return own
