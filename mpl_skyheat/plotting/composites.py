"""`sky_rgb`: three maps as the red, green and blue of one image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.visualization import AsinhStretch, BaseStretch
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from matplotlib.patches import Patch

from mpl_skyheat.maps.arithmetic import check_geometries
from mpl_skyheat.maps.resampling import corners_of, frame_of_pixels, resampled
from mpl_skyheat.maps.sky_map import SkyMap
from mpl_skyheat.plotting.drawn_values import drawn_values, is_whole
from mpl_skyheat.plotting.showing import show, view_on
from mpl_skyheat.sky.grid import View

if TYPE_CHECKING:
    from mpl_skyheat.compute.arrays import FloatArray

# The colours of the maps, in their order.
COLORS = ("red", "lime", "blue")
NAMES = ("red", "green", "blue")


def sky_rgb(
    ax: Axes, maps: Any, *, stretch: BaseStretch | None = None, key: bool = True
) -> AxesImage:
    """Draw three maps as the red, green and blue of one image.

    Each is scaled from 0 to its own largest value, so that a place that is as far from empty in
    all of them is grey.

    Parameters
    ----------
    ax : `~astropy.visualization.wcsaxes.WCSAxes` or `~matplotlib.axes.Axes`
        Any that `sky_heatmap` draws a map on.
    maps : sequence of three SkyMap
        Maps of the same pixels, nowhere negative: the red one, the green one, the blue one.
    stretch : `~astropy.visualization.BaseStretch`, optional
        From the scaled values to the brightness of all three, 0 … 1: by default
        ``AsinhStretch()``, which is linear up to about a tenth of the largest value.
    key : bool, optional
        Add a legend in the upper right corner, which says whose colour is whose by the labels of
        the maps.

    Returns
    -------
    `~matplotlib.image.AxesImage`
        The image, which has been added to the Axes. It is transparent where any of the maps is
        masked.

    Raises
    ------
    TypeError
        If the maps are not three SkyMaps, or the Axes is of no supported kind.
    ValueError
        If they have different pixels, or one of them is negative anywhere or has no value at all.

    Notes
    -----
    The colours are those of `~astropy.visualization.make_rgb` with an interval from 0 to the
    largest value of each map. Pixels at the rim, which show little sky, do not count for that.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import mpl_skyheat
    >>> stars = mpl_skyheat.datasets.bright_stars()
    >>> ax = mpl_skyheat.subplot(data=stars, center="5h36m -1d", radius="10 deg")
    >>> classes = (stars[(stars["VT"] > v) & (stars["VT"] <= v + 1)] for v in (9, 8, 7))
    >>> maps = [mpl_skyheat.sky_map(data=some, wcs=ax.wcs, kernel="1 deg") for some in classes]
    >>> image = mpl_skyheat.sky_rgb(ax, maps, key=False)
    >>> plt.close()
    """
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be an Axes, as in sky_rgb(ax, maps); got {ax!r:.60}")
    maps = _checked(maps)
    stretch = AsinhStretch() if stretch is None else stretch
    if not isinstance(stretch, BaseStretch):
        raise TypeError(
            "stretch must be one of astropy.visualization, such as AsinhStretch() or "
            f"SqrtStretch(); got {stretch!r:.60}"
        )
    on_axes = view_on(ax, corners_of(maps[0]), frame_of_pixels(maps[0]), None)
    drawn = [resampled(m, on_axes.plane, on_axes.view, None, None) for m in maps]
    grid = drawn[0][1]
    values = [drawn_values(m, ax) for m, _ in drawn]
    channels = [_brightness(v, _largest(m), stretch) for v, m in zip(values, maps, strict=True)]
    is_known = np.isfinite(values).all(axis=0)
    # As of SkyHeatmap: "antialiased" is "auto" by the name that every supported matplotlib knows.
    image = AxesImage(ax, origin="lower", extent=grid.extent, interpolation="antialiased",
                      resample=True)  # fmt: skip
    image.set_data(np.stack([*channels, is_known], axis=-1))
    image.set_transform(ax.transData)
    image.set_clip_path(ax.patch)
    view = on_axes.view if on_axes.view.is_known else View(*grid.extent)
    show(ax, on_axes, view, lambda: ax.add_image(image))
    if key:
        _add_key(ax, [m.label or name for m, name in zip(maps, NAMES, strict=True)])
    return image


def _checked(maps: Any) -> list[SkyMap]:
    """Three maps of the same pixels; an error for anything else."""
    is_several = isinstance(maps, Iterable) and not isinstance(maps, SkyMap)
    found = list(maps) if is_several else [maps]
    if len(found) != 3 or not all(isinstance(m, SkyMap) for m in found):
        got = ", ".join(type(m).__name__ for m in found) or "nothing"
        raise TypeError(
            f"maps must be three SkyMaps, the red, the green and the blue one; got {got}"
        )
    for other in found[1:]:
        check_geometries(found[0], other)
    for name, one in zip(NAMES, found, strict=True):
        known = one.data[~one.mask]
        if not len(known):
            raise ValueError(f"maps must have a value somewhere; all of the {name} one is masked")
        if known.min() < 0:
            raise ValueError(
                f"maps must be nowhere negative, to be brightness; got {known.min():.4g} in the "
                f"{name} one"
            )
    return found


def _largest(sky_map: SkyMap) -> float:
    """The largest value of pixels that show as much sky as those beside them; 1 of an empty map."""
    known = sky_map.data[~sky_map.mask & is_whole(sky_map)]
    return float(known.max(initial=0.0) or sky_map.data[~sky_map.mask].max() or 1.0)


def _brightness(values: FloatArray, largest: float, stretch: BaseStretch) -> FloatArray:
    """The brightness (0 … 1) of values, black where there are none."""
    scaled = np.clip(np.nan_to_num(values) / largest, 0, 1)
    return np.asarray(np.clip(stretch(scaled), 0, 1))


def _add_key(ax: Axes, labels: list[str]) -> None:
    """Add a legend beside any that the Axes has."""
    patches = [Patch(facecolor=color) for color in COLORS]
    key = Legend(ax, patches, labels, loc="upper right")
    ax.add_artist(key)
