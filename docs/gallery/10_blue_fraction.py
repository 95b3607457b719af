"""
One map over another
====================

Maps with the same pixels are added, subtracted, multiplied and divided; `sky_heatmap` draws the
result. Of bright stars, the blue ones are young: they follow the Galactic plane, and Gould's belt,
which is tilted against it.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(8, 5), layout="constrained")
ax = mpl_skyheat.subplot(data=stars, projection="MOL", map_frame="galactic", figure=figure)
total = mpl_skyheat.sky_map(data=stars, wcs=ax.wcs, kernel="3 deg")
blue = mpl_skyheat.sky_map(data=stars[stars["BT_VT"] < 0.2], wcs=ax.wcs, kernel="3 deg")
ax.sky_heatmap(blue / total, label="blue fraction", cmap="Blues_r", colorbar="bottom")
plt.show()
