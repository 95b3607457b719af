"""One catalogue on eight kinds of Axes: the same stars at the same places on the sky.

cartopy and skyproj are needed for two of them, which are left out without. A ring marks the
Pleiades on each, put there by the Axes' own means.

Run as ``python examples/every_axes.py [FILE]``.
"""

import importlib
import sys

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from astropy.wcs import WCS

import mpl_skyheat

PLEIADES = SkyCoord("3h47m +24d07m")
RING = {"s": 90, "facecolor": "none", "edgecolor": "white", "linewidth": 1}


def has(package):
    """Tell whether a package is there."""
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def wcsaxes(figure, place):
    """Return a WCSAxes of the sky in ICRS, and how a position is marked on it."""
    wcs = WCS({"CTYPE1": "RA---AIT", "CRPIX1": 162.5, "CDELT1": -1.0, "NAXIS1": 324,
               "CTYPE2": "DEC--AIT", "CRPIX2": 81.5, "CDELT2": 1.0, "NAXIS2": 162})  # fmt: skip
    ax = figure.add_subplot(place, projection=wcs, frame_class=EllipticalFrame)
    ax.coords[0].set_ticklabel_visible(False)
    ax.coords[0].set_ticks_visible(False)
    ax.coords[1].set_ticklabel(size="x-small")
    return ax, lambda c: ax.scatter(c.ra, c.dec, transform=ax.get_transform("icrs"), **RING)


def geographic(name):
    """Return a function that makes one of matplotlib's geographic Axes."""

    def make(figure, place):
        ax = figure.add_subplot(place, projection=name)
        ax.tick_params(labelbottom=False, labelleft=False)
        return ax, lambda c: ax.scatter(-c.ra.wrap_at("180d").rad, c.dec.rad, **RING)

    return make


def cartopy_axes(figure, place):
    """Return a cartopy Axes, on which longitude grows to the right, as on a globe."""
    import cartopy.crs as ccrs

    ax = figure.add_subplot(place, projection=ccrs.EqualEarth())
    return ax, lambda c: ax.scatter(c.ra.deg, c.dec.deg, transform=ccrs.PlateCarree(), **RING)


def skyproj_axes(figure, place):
    """Return a skyproj Axes."""
    import skyproj

    ax = skyproj.McBrydeSkyproj(ax=figure.add_subplot(place)).ax
    ax.tick_params(labelsize="x-small")
    ax.set_xlabel("")
    ax.set_ylabel("")
    return ax, lambda c: ax.plot([c.ra.deg], [c.dec.deg], "o", ms=9, mfc="none", mec="white")


def plain(figure, place):
    """Return a plain Axes, in degrees."""
    ax = figure.add_subplot(place)
    return ax, lambda c: ax.scatter(c.ra.deg, c.dec.deg, **RING)


KINDS = {
    "WCSAxes, AIT": wcsaxes,
    "matplotlib, mollweide": geographic("mollweide"),
    "matplotlib, aitoff": geographic("aitoff"),
    "matplotlib, hammer": geographic("hammer"),
    "matplotlib, lambert": geographic("lambert"),
    "cartopy, EqualEarth": cartopy_axes,
    "skyproj, McBryde-Thomas": skyproj_axes,
    "plain Axes, in degrees": plain,
}
NEEDS = {cartopy_axes: "cartopy", skyproj_axes: "skyproj"}


def main(path="every_axes.png"):
    """Draw the figure."""
    stars = mpl_skyheat.datasets.bright_stars()
    points = SkyCoord(stars["RA"], stars["DEC"])
    is_near = np.abs(points.ra - PLEIADES.ra) < 25 * u.deg
    near = points[is_near & (np.abs(points.dec - PLEIADES.dec) < 25 * u.deg)]
    kinds = {name: make for name, make in KINDS.items() if has(NEEDS.get(make, "matplotlib"))}
    figure = plt.figure(figsize=(10, 2.6 * int(np.ceil(len(kinds) / 2))), layout="constrained")
    grid = figure.add_gridspec(int(np.ceil(len(kinds) / 2)), 2)
    for place, (name, make) in zip(grid, kinds.items(), strict=False):
        ax, mark = make(figure, place)
        sample = near if make is plain else points
        ax.sky_heatmap(sample, kernel=1.5 * u.deg, cmap="inferno", norm="log")
        mark(PLEIADES)
        ax.set_title(name, fontsize="medium", pad=14 if make is skyproj_axes else 6)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
    print(f"wrote {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
