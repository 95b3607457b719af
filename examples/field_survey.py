"""The four-panel figure of a survey field: colours, positions, density, smoothed density.

The field is the Double Cluster, h and χ Persei, in the stars that come with the package. Blue
stars are selected from the colour-magnitude diagram, and mapped.

Run as ``python examples/field_survey.py [FILE]``.
"""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

import mpl_skyheat

CENTER = SkyCoord("2h20m +57d08m")
PIXEL = 5 * u.arcmin  # a star or two in a pixel of the clusters
SIZE = 60  # pixels along a side
BRIGHT, FAINT = 6.5, 10.0
BLUE, VERY_BLUE = 0.5, 0.3  # upper limits in BT - VT


def field_wcs():
    """Return a gnomonic projection of 5 x 5 degrees, north up and east left."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [CENTER.ra.deg, CENTER.dec.deg]
    wcs.wcs.crpix = [(SIZE + 1) / 2, (SIZE + 1) / 2]
    wcs.wcs.cdelt = [-PIXEL.to_value(u.deg), PIXEL.to_value(u.deg)]
    wcs.pixel_shape = (SIZE, SIZE)
    return wcs


def main(path="field_survey.png"):
    """Draw the figure."""
    stars = mpl_skyheat.datasets.bright_stars()
    stars = stars[SkyCoord(stars["RA"], stars["DEC"]).separation(CENTER) < 4.5 * u.deg]
    color, magnitude = stars["BT_VT"].filled(np.nan), stars["VT"].filled(np.nan)
    in_limits = (magnitude > BRIGHT) & (magnitude < FAINT)
    blue = stars[in_limits & (color < BLUE)]
    very_blue = stars[in_limits & (color < VERY_BLUE)]

    mpl.rcParams["font.size"] = 9
    figure = plt.figure(figsize=(8.6, 7.6), layout="constrained")
    diagram = figure.add_subplot(2, 2, 1)
    diagram.plot(color, magnitude, ".", color="0.6", markersize=2, label="all")
    for sample, name, tint in ((blue, "blue", "C0"), (very_blue, "very blue", "navy")):
        label = f"{name}: {len(sample)}"
        diagram.plot(sample["BT_VT"], sample["VT"], ".", color=tint, markersize=3, label=label)
    for limit, tint in ((BLUE, "C0"), (VERY_BLUE, "navy")):
        diagram.plot([limit, limit], [BRIGHT, FAINT], color=tint, linewidth=1)
    diagram.set(xlim=(-0.5, 2.2), ylim=(10.2, 5.5), xlabel="$B_T - V_T$", ylabel="$V_T$")
    diagram.set_box_aspect(1)
    diagram.legend(loc="upper right", framealpha=1)
    diagram.set_title("Colour cuts")

    wcs = field_wcs()
    sky = figure.add_subplot(2, 2, 2, projection=wcs)
    sky.set(xlim=(-0.5, SIZE - 0.5), ylim=(-0.5, SIZE - 0.5), aspect="equal")
    for sample, tint in ((blue, "C0"), (very_blue, "navy")):
        sky.scatter(
            sample["RA"], sample["DEC"], transform=sky.get_transform("icrs"), s=3, color=tint
        )
    sky.set_title("Blue stars")

    density = figure.add_subplot(2, 2, 3, projection=wcs)
    density.sky_heatmap(
        data=blue, unit="deg-2", label="blue stars", cmap="inferno", vmin=0, colorbar=True
    )
    density.set_title(f"Density in {PIXEL.value:.0f}′ pixels")

    smooth = figure.add_subplot(2, 2, 4, projection=wcs)
    smooth.sky_heatmap(
        data=blue,
        kernel=2 * u.pix,
        unit="deg-2",
        label="blue stars",
        cmap="inferno",
        vmin=0,
        colorbar=True,
    )
    smooth.set_title("Smoothed, Gaussian σ = 2 pixels")

    for ax in (sky, density, smooth):
        # At this declination WCSAxes would have put the right ascensions on top.
        for helper, side, name in zip(ax.coords, "bl", ("RA", "Dec"), strict=True):
            helper.set_ticklabel_position(side)
            helper.set_axislabel_position(side)
            helper.set_axislabel(name)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"wrote {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
