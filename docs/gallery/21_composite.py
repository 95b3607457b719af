"""
Three classes of stars as one image
===================================

`sky_rgb` takes three maps with the same pixels as red, green and blue, each from 0 to its own
largest value. Orion, on the right, is blue, and Carina, at 290°, has many of all three; the dust of
Ophiuchus is dark above the Galactic centre.
"""

import matplotlib.pyplot as plt
from astropy.visualization import LinearStretch

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
stars = stars[~stars["BT_VT"].mask]
figure = plt.figure(figsize=(8, 4.6), layout="constrained")
ax = mpl_skyheat.subplot(data=stars, projection="MOL", map_frame="galactic", figure=figure)
edges = {"$B_T - V_T > 1$": (1, 9), "0.2 to 1": (0.2, 1), "below 0.2": (-9, 0.2)}
maps = [
    mpl_skyheat.sky_map(data=stars[(stars["BT_VT"] > low) & (stars["BT_VT"] <= high)],
                        wcs=ax.wcs, kernel="2 deg", label=label)
    for label, (low, high) in edges.items()
]  # fmt: skip
mpl_skyheat.sky_rgb(ax, maps, stretch=LinearStretch())
plt.show()
