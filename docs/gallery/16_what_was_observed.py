"""
What was observed
=================

A survey ends somewhere. Without ``coverage``, what it did not observe counts as empty, and the
density droops to half at its edge (left); with it, densities are those of the observed sky, up to
the edge (right). Here the survey is a function of the position; a MOC, regions, an image, a HEALPix
map or random points would do.
"""

import matplotlib.pyplot as plt
from astropy.coordinates import SkyCoord

import mpl_skyheat


def survey(coord):
    return (coord.icrs.dec.deg > -30) & (abs(coord.galactic.b.deg) > 10)


stars = mpl_skyheat.datasets.bright_stars()
stars = stars[survey(SkyCoord(stars["RA"], stars["DEC"]))]
figure = plt.figure(figsize=(10, 3.6), layout="constrained")
for number, coverage in ((1, None), (2, survey)):
    ax = mpl_skyheat.subplot(data=stars, projection="MOL", position=(1, 2, number), figure=figure)
    ax.sky_heatmap(data=stars, kernel="4 deg", coverage=coverage, label="stars", vmax=12,
                   colorbar="bottom")  # fmt: skip
plt.show()
