"""
A field around a pole
=====================

``center`` and ``radius`` name the part of the sky to show. Nothing changes at a pole, where
right ascensions are far apart in degrees and next to each other on the sky.
"""

import matplotlib.pyplot as plt
from astropy import units as u

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(7.4, 5.4), layout="constrained")
ax = mpl_skyheat.subplot(data=stars, center="0h +90d", radius=20 * u.deg, figure=figure)
ax.sky_heatmap(data=stars, kernel=1 * u.deg, cmap="inferno", label="stars", colorbar=True)
plt.show()
