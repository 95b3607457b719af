"""`sky_line`: a line through positions on the sky, on every kind of Axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import (
    ICRS,
    BaseCoordinateFrame,
    SkyCoord,
    UnitSphericalRepresentation,
)
from matplotlib.axes import Axes

from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.plotting.showing import frame_shown, show, view_on
from mpl_skyheat.sky.frames import transformed
from mpl_skyheat.sky.great_circles import line_on_plane
from mpl_skyheat.sky.grid import View

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

    from mpl_skyheat.compute.arrays import FloatArray
    from mpl_skyheat.sky.planes import Plane


def sky_line(ax: Axes, coords: Any, **line_kwargs: Any) -> Line2D:
    """Draw a line through positions on the sky, such as the Galactic plane or a stream.

    Between two positions it is the shorter part of a great circle. It is cut where the map is: at
    the rim, and where longitudes end, not drawn across. The limits of the Axes stay, also for what
    is drawn later.

    Parameters
    ----------
    ax : `~astropy.visualization.wcsaxes.WCSAxes` or `~matplotlib.axes.Axes`
        Any that `sky_heatmap` draws the sky on. One that knows no frame (all but WCSAxes) shows the
        sky in that of the map on it, or in ICRS without one.
    coords : `~astropy.coordinates.SkyCoord`
        Two positions or more, in any frame, of shape (n,). The line is interrupted where a position
        is NaN.
    **line_kwargs
        Properties of the `~matplotlib.lines.Line2D`: ``color``, ``linestyle``, ``label``,
        ``marker`` (at the positions given), ...

    Returns
    -------
    `~matplotlib.lines.Line2D`
        All of the line, also where it is in several parts.

    Raises
    ------
    TypeError
        If the Axes shows no sky, the positions are no SkyCoord, or ``transform`` is given.
    ValueError
        If there are less than two positions, or neighbours are opposite each other on the sky.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from astropy.coordinates import SkyCoord
    >>> import mpl_skyheat
    >>> stars = mpl_skyheat.datasets.bright_stars()
    >>> ax = mpl_skyheat.subplot(data=stars, projection="MOL")
    >>> plane = SkyCoord(l=np.arange(0, 361, 90), b=0, unit="deg", frame="galactic")
    >>> line = mpl_skyheat.sky_line(ax, plane, color="k", label="Galactic plane")
    >>> plt.close()
    """
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be an Axes, as in sky_line(ax, coords); got {ax!r:.60}")
    if "transform" in line_kwargs:
        raise TypeError(
            "transform must be left out, as it follows from the Axes; got "
            f"{line_kwargs['transform']!r:.60}"
        )
    coords = _checked(coords)
    on_axes = view_on(ax, read_catalogue((coords,), None, "icrs"), _frame(ax), None)
    plane = on_axes.plane
    lon, lat = _in_frame(coords, plane)
    view = on_axes.view
    if not view.is_known:
        x, y = plane.to_plane(lon, lat)
        view = view.filled(View(np.nanmin(x), np.nanmax(x), np.nanmin(y), np.nanmax(y)))
    x, y, numbers = line_on_plane(plane.to_plane, lon, lat, view)
    # Axes of skyproj have a plot() of their own. A line without places changes no limits.
    line = Axes.plot(
        ax, [], [], scalex=False, scaley=False, **{"markevery": numbers.tolist()} | line_kwargs
    )[0]
    line.set_data(x, y)
    if on_axes.transform is not None:
        show(ax, on_axes, view, lambda: line)
    return line


def _checked(coords: Any) -> SkyCoord:
    """The positions of a line; an error for anything else."""
    if not isinstance(coords, SkyCoord | BaseCoordinateFrame):
        raise TypeError(
            "coords must be a SkyCoord of the positions that the line goes through, such as "
            f"SkyCoord(ra, dec, unit='deg'); got {coords!r:.60}"
        )
    if len(coords.shape) != 1 or coords.size < 2:
        raise ValueError(
            f"coords must be two positions or more, of shape (n,); got the shape {coords.shape}"
        )
    return SkyCoord(coords)


def _frame(ax: Axes) -> BaseCoordinateFrame:
    """The frame of an Axes that knows none: that of the map on it, or ICRS."""
    is_shown, frame = frame_shown(ax)
    if is_shown and frame is None:
        raise TypeError(
            "ax must show the sky for a line of positions; got one that shows Cartesian x, y "
            "(frame='flat'), on which ax.plot draws"
        )
    return ICRS() if frame is None else frame


def _in_frame(coords: SkyCoord, plane: Plane) -> tuple[FloatArray, FloatArray]:
    """Longitudes and latitudes (deg) in the frame of a plane."""
    assert plane.frame is not None
    own = coords.frame
    moved = own if own.is_equivalent_frame(plane.frame) else transformed(own, plane.frame)
    sky = moved.represent_as(UnitSphericalRepresentation)
    return np.array(sky.lon.deg, float), np.array(sky.lat.deg, float)
