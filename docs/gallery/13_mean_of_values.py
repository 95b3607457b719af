"""
The mean of a column
====================

``values`` are averaged under the kernel, here the colours of stars; their unit, mag, is that of the
map. Where fewer than ``min_count`` stars are under the kernel, nothing is drawn. Young stars along
the Galactic plane are blue; the dust of Ophiuchus, above the Galactic centre, reddens what is
behind it.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
ax = mpl_skyheat.subplot(data=stars, projection="MOL", map_frame="galactic")
ax.sky_heatmap(data=stars, values="BT_VT", kernel="2 deg", min_count=30, label="$B_T - V_T$",
               cmap="coolwarm", vmin=0.4, vmax=1.2, colorbar="bottom")  # fmt: skip
plt.show()
