"""
A field on a WCSAxes
====================

A WCSAxes with nothing on it shows what its WCS says: here 200 × 200 pixels of 1.5′ about the
Pleiades. ``kernel`` is the σ of a Gaussian, as an angle on the sky.
"""

import matplotlib.pyplot as plt
from astropy import units as u
from astropy.wcs import WCS

import mpl_skyheat  # gives every Axes the method sky_heatmap

stars = mpl_skyheat.datasets.bright_stars()
wcs = WCS({
    "CTYPE1": "RA---TAN", "CRVAL1": 56.75, "CRPIX1": 100.5, "CDELT1": -0.025, "NAXIS1": 200,
    "CTYPE2": "DEC--TAN", "CRVAL2": 24.12, "CRPIX2": 100.5, "CDELT2": 0.025, "NAXIS2": 200,
})  # fmt: skip

figure = plt.figure(layout="constrained")
ax = figure.add_subplot(projection=wcs)
ax.sky_heatmap(stars["RA"], stars["DEC"], kernel=10 * u.arcmin, label="stars", colorbar=True)
plt.show()
