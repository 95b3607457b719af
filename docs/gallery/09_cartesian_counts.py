"""
Any x and y, counted
====================

With ``frame="flat"`` a plain Axes has Cartesian points: here a colour-magnitude diagram.
``statistic="count"`` is the number in each bin, and kernels are in bins. Magnitudes are given to
0.01: the edges of the bins are halfway between.
"""

import matplotlib.pyplot as plt
from astropy import units as u

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
stars = stars[~stars["BT_VT"].mask]
figure, ax = plt.subplots(figsize=(5, 5.5), layout="constrained")
ax.set(xlim=(-0.305, 1.995), ylim=(10.005, 5.005), xlabel="$B_T - V_T$", ylabel="$V_T$")
ax.sky_heatmap(stars["BT_VT"].value, stars["VT"].value, frame="flat", statistic="count",
               bins=(115, 100), kernel=1.5 * u.pix, norm="log", vmin=1, label="stars",
               colorbar=True)  # fmt: skip
ax.set_aspect("auto")
plt.show()
