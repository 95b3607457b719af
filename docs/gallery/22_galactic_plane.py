"""
A line on the sky, a scale bar and the kernel
=============================================

`sky_line` goes through positions along great circles, and ends where the map does. Bar and kernel
(its full width at half maximum) are true to the scale of the map in their corner, and stay so when
the figure is zoomed.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(6.4, 5.4), layout="constrained")
ax = mpl_skyheat.subplot(data=stars, center="20h30m +40d", radius="15 deg", figure=figure)
heat = ax.sky_heatmap(data=stars, kernel="40 arcmin", label="stars", cmap="magma", colorbar=True)
plane = SkyCoord(l=np.arange(0, 361, 30) * u.deg, b=0 * u.deg, frame="galactic")
mpl_skyheat.sky_line(ax, plane, color="white", linestyle="--", label="Galactic plane")
heat.add_scalebar(5 * u.deg, corner="bottom")
heat.add_kernel()
ax.legend(loc="upper right", facecolor="black", framealpha=0.5, labelcolor="white")
plt.show()
