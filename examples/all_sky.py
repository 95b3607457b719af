"""The shipped stars in four frames and projections, smoothed on the sphere with one kernel.

The Pleiades and the Carina nebula are marked on each, with the Galactic plane: the same structures
at the same places on the sky.

Run as ``python examples/all_sky.py [FILE]``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes.frame import EllipticalFrame, RectangularFrame
from astropy.wcs import WCS
from matplotlib.colors import LogNorm

import mpl_skyheat

MARKS = {"Pleiades": SkyCoord("3h47m +24d07m"), "Carina": SkyCoord("10h45m -59d52m")}
KERNEL = 1.5 * u.deg

# Frame, CTYPE prefixes, projection, pixels along x and y, and longitude in the middle.
VIEWS = {
    "Galactic, Mollweide": ("galactic", ("GLON", "GLAT"), "MOL", (324, 162), 0),
    "ICRS, Hammer–Aitoff": ("icrs", ("RA--", "DEC-"), "AIT", (324, 162), 180),
    "ecliptic, plate carrée": ("barycentricmeanecliptic", ("ELON", "ELAT"), "CAR", (360, 180), 0),
    "ICRS, zenithal equal-area": ("icrs", ("RA--", "DEC-"), "ZEA", (230, 230), 90),
}


def sky_wcs(prefixes, code, size, longitude):
    """Return the WCS of the whole sky in pixels of a degree."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"{prefix}-{code}" for prefix in prefixes]
    wcs.wcs.crval = [longitude, 90 if code == "ZEA" else 0]
    wcs.wcs.crpix = [(n + 1) / 2 for n in size]
    wcs.wcs.cdelt = [-1, 1]
    wcs.pixel_shape = size
    return wcs


def mark(ax, plane, frame):
    """Draw the Galactic plane and two clusters, given in the frame of the Axes' own coordinates.

    (From other frames, WCSAxes takes ecliptic coordinates for equatorial ones.)
    """
    world = ax.get_transform("world")
    line = plane.transform_to(frame).spherical
    ax.plot(line.lon.deg, line.lat.deg, ".", color="white", markersize=0.6, transform=world)
    for name, place in MARKS.items():
        at = place.transform_to(frame).spherical
        ax.scatter(
            at.lon.deg, at.lat.deg, s=60, facecolor="none", edgecolor="cyan", transform=world
        )
        x, y = ax.wcs.world_to_pixel_values(at.lon.deg, at.lat.deg)
        is_right = x > 0.7 * ax.wcs.pixel_shape[0]
        ax.annotate(
            name,
            (x, y),
            (-6 if is_right else 6, 6),
            textcoords="offset points",
            ha="right" if is_right else "left",
            color="white",
            fontsize="small",
        )


def main(path="all_sky.png"):
    """Draw the figure."""
    stars = mpl_skyheat.datasets.bright_stars()
    plane = SkyCoord(np.linspace(0, 360, 721), 0, unit="deg", frame="galactic")
    figure = plt.figure(figsize=(10, 6.6), layout="constrained")
    axes = []
    for i, (name, (frame, *view)) in enumerate(VIEWS.items()):
        shape = RectangularFrame if "CAR" in view else EllipticalFrame
        ax = figure.add_subplot(2, 2, i + 1, projection=sky_wcs(*view), frame_class=shape)
        heat = ax.sky_heatmap(data=stars, kernel=KERNEL, unit="deg-2", label="stars", cmap="magma",
                              norm=LogNorm(2.5, 50))  # fmt: skip
        ax.autoscale(False)
        mark(ax, plane, frame)
        for helper in ax.coords:
            helper.set_ticks_visible(False)
            helper.set_ticklabel_visible(False)
            helper.set_axislabel("")
        ax.coords.grid(color="white", alpha=0.2, linewidth=0.5)
        ax.set_title(name)
        axes.append(ax)
    bar = figure.colorbar(heat, ax=axes, label=heat.colorbar_label, shrink=0.7, extend="both",
                          ticks=[3, 5, 10, 20, 50], format="%g")  # fmt: skip
    bar.minorticks_off()
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
    print(f"wrote {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
