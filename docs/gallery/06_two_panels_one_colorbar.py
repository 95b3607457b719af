"""
Two panels, one colorbar
========================

Maps that share a colorbar share ``unit``, ``vmin`` and ``vmax``. A limit may be a Quantity in any
unit of the same kind.
"""

import matplotlib.pyplot as plt
from astropy import units as u

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(9, 4.6), layout="constrained")
places = {"Pleiades": "3h47m +24d07m", "Double Cluster": "2h20m +57d08m"}
axes = []
for i, (name, center) in enumerate(places.items(), 1):
    ax = mpl_skyheat.subplot(center=center, radius=2.5 * u.deg, figure=figure, position=(1, 2, i))
    heat = ax.sky_heatmap(data=stars, kernel=10 * u.arcmin, unit="deg-2", label="stars",
                          vmax=0.025 / u.arcmin**2)  # fmt: skip
    ax.set_title(name)
    axes.append(ax)
figure.colorbar(heat, ax=axes, label=heat.colorbar_label, shrink=0.8)
plt.show()
