"""
Narrow where there are many
===========================

One width is too wide for the stars of the Double Cluster, or too narrow for the few away from the
Milky Way. `Adaptive` takes at each place the narrowest of its Gaussians that has 25 stars under it;
``SkyMap.scales`` says which.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(11, 3.9), layout="constrained")
given = {"center": "2h20m +57d", "radius": "6 deg", "figure": figure}
fixed, adaptive, scales = (mpl_skyheat.subplot(position=(1, 3, i), **given) for i in (1, 2, 3))
kernel = mpl_skyheat.Adaptive(25, narrowest="5 arcmin", widest="2 deg")
look = {"data": stars, "vmax": 120, "label": "stars", "colorbar": "bottom"}
fixed.sky_heatmap(kernel="30 arcmin", **look)
heat = adaptive.sky_heatmap(kernel=kernel, **look)
sigma = heat.sky_map.like(heat.sky_map.scales, unit="arcmin", label="σ")
scales.sky_heatmap(sigma, vmin=0, cmap="cividis", colorbar="bottom")
for ax, title in (
    (fixed, "σ = 30′"),
    (adaptive, "25 stars under the kernel"),
    (scales, "σ of the kernel"),
):
    ax.set_title(title)
plt.show()
