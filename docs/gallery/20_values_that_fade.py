"""
Values that fade where there are few points
===========================================

A mean of few points is mostly noise. With ``alpha="density"`` colour is the mean, here of the
colours of stars, and opacity the density of the stars that it is of. With a colorbar comes a key of
both: values along x, density along y.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(6.4, 5.2), layout="constrained")
ax = mpl_skyheat.subplot(data=stars, center="3h47m +24d07m", radius="4 deg", figure=figure)
ax.sky_heatmap(data=stars, values="BT_VT", kernel="15 arcmin", label="$B_T - V_T$",
               cmap="coolwarm", vmin=0, vmax=1.6, alpha="density", colorbar=True)  # fmt: skip
plt.show()
