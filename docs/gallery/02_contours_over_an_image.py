"""
Contours over somebody's image
==============================

``ax.sky_contour`` makes the map and draws its contours only, in the frame and the pixels of the
image. Here the image is made up: 900 galaxies, a third of them in a cluster.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.wcs import WCS

import mpl_skyheat

rng = np.random.default_rng(5)
x = np.concatenate([rng.uniform(0, 300, 600), rng.normal(190, 25, 300)])
y = np.concatenate([rng.uniform(0, 300, 600), rng.normal(130, 25, 300)])
wcs = WCS({"CTYPE1": "RA---TAN", "CRVAL1": 194.9, "CRPIX1": 150, "CDELT1": -1 / 360,
           "CTYPE2": "DEC--TAN", "CRVAL2": 28.0, "CRPIX2": 150, "CDELT2": 1 / 360})  # fmt: skip
image = rng.normal(0, 0.1, (300, 300))
for i, j, flux in zip(x, y, rng.pareto(1.5, 900), strict=True):
    image += flux * np.exp(-np.hypot(np.arange(300) - i, np.arange(300)[:, np.newaxis] - j))

ax = plt.figure(layout="constrained").add_subplot(projection=wcs)
ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
ax.set(xlabel="RA", ylabel="Dec")
kernel = mpl_skyheat.Gaussian("2 arcmin")
lines = ax.sky_contour(wcs.pixel_to_world(x, y), kernel=kernel, unit="arcmin-2",
                       levels=[0.5, 1, 1.5, 2], colors=["C0", "C2", "C1", "C3"])  # fmt: skip
ax.figure.colorbar(lines, label="galaxies / arcmin²")
plt.show()
