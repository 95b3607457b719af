"""
Kernels
=======

A Gaussian, a disc, and the difference of two Gaussians, which takes away whatever is smooth on the
scale of the wider one; its map has both signs, with colours about 0.
"""

import matplotlib.pyplot as plt

from mpl_skyheat import Gaussian, TopHat, datasets, subplot

stars = datasets.bright_stars()
kernels = {
    "Gaussian, σ = 15′": Gaussian("15 arcmin"),
    "TopHat, radius 30′": TopHat("30 arcmin"),
    "Gaussians, 15′ − 1.5°": Gaussian("15 arcmin") - Gaussian("1.5 deg"),
}
figure = plt.figure(figsize=(11, 3.9), layout="constrained")
for i, (name, kernel) in enumerate(kernels.items(), 1):
    ax = subplot(center="2h20m +57d08m", radius="4 deg", figure=figure, position=(1, 3, i))
    ax.sky_heatmap(data=stars, kernel=kernel, label="stars", colorbar="bottom")
    ax.set_title(name)
plt.show()
