"""
The whole sky
=============

`mpl_skyheat.subplot` makes Axes that fit the points: here the whole sky, turned to Galactic
coordinates by ``map_frame``. Such maps are smoothed on the sphere, right at the poles as well as
where the map is cut open.
"""

import matplotlib.pyplot as plt
from astropy import units as u

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(8, 5), layout="constrained")
ax = mpl_skyheat.subplot(data=stars, projection="MOL", map_frame="galactic", figure=figure)
ax.sky_heatmap(data=stars, kernel=1 * u.deg, norm="log", label="stars", colorbar="bottom")
plt.show()
