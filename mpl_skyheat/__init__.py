"""Calibrated sky-density heatmaps from catalogues, on the matplotlib Axes you already have.

Importing the package gives every Axes the methods ``sky_heatmap`` and ``sky_contour``::

    import matplotlib.pyplot as plt
    import mpl_skyheat

    ax = plt.subplot(projection=wcs)
    heat = ax.sky_heatmap(ra, dec, kernel="2 arcmin", label="stars", colorbar=True)

`sky_heatmap` and `sky_contour` are the same as functions, `sky_map` makes the map without
matplotlib, `compare` says where two maps differ, `sky_rgb` draws three of them as one image,
`sky_line` a line on the sky, and `subplot` makes Axes that fit a catalogue.
Kernels are a width, or a `Gaussian`, `TopHat`, `Epanechnikov`, `Moffat`, `Annulus` or `Adaptive`;
the results are a `SkyMap`, its picture, a `SkyHeatmap`, and its part above a level, a `SkyContour`;
warnings are of the class `SkyHeatmapWarning`; `datasets` has catalogues to try it all with.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mpl_skyheat import datasets
from mpl_skyheat._version import __version__
from mpl_skyheat.axes import register, sky_contour, sky_heatmap, unregister

if TYPE_CHECKING:
    from mpl_skyheat.compute.warning import SkyHeatmapWarning
    from mpl_skyheat.coverage.randoms import Randoms
    from mpl_skyheat.maps.comparison import compare
    from mpl_skyheat.maps.contours import SkyContour
    from mpl_skyheat.maps.making import sky_map
    from mpl_skyheat.maps.sky_map import SkyMap
    from mpl_skyheat.plotting.composites import sky_rgb
    from mpl_skyheat.plotting.heatmap import SkyHeatmap
    from mpl_skyheat.plotting.sky_lines import sky_line
    from mpl_skyheat.plotting.subplots import subplot
    from mpl_skyheat.smoothing.adaptive import Adaptive
    from mpl_skyheat.smoothing.kernels import Annulus, Epanechnikov, Gaussian, Moffat, TopHat

__all__ = [
    "Adaptive",
    "Annulus",
    "Epanechnikov",
    "Gaussian",
    "Moffat",
    "Randoms",
    "SkyContour",
    "SkyHeatmap",
    "SkyHeatmapWarning",
    "SkyMap",
    "TopHat",
    "__version__",
    "compare",
    "datasets",
    "register",
    "sky_contour",
    "sky_heatmap",
    "sky_line",
    "sky_map",
    "sky_rgb",
    "subplot",
    "unregister",
]

# Modules of names that are imported at first use, so that importing the package is fast.
_HOMES = dict.fromkeys(
    ("Annulus", "Epanechnikov", "Gaussian", "Moffat", "TopHat"), "smoothing.kernels"
)
_HOMES["Adaptive"] = "smoothing.adaptive"
_HOMES["Randoms"] = "coverage.randoms"
_HOMES |= {"SkyHeatmap": "plotting.heatmap", "SkyMap": "maps.sky_map"}
_HOMES["SkyContour"] = "maps.contours"
_HOMES |= {"SkyHeatmapWarning": "compute.warning"}
_HOMES |= {"sky_map": "maps.making", "subplot": "plotting.subplots"}
_HOMES["compare"] = "maps.comparison"
_HOMES |= {"sky_line": "plotting.sky_lines", "sky_rgb": "plotting.composites"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mpl_skyheat' has no attribute {name!r}")
    value = getattr(import_module(f"mpl_skyheat.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


register()
