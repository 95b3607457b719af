"""
An Axes of matplotlib's
=======================

Matplotlib's mollweide, aitoff, hammer and lambert Axes know no frame: they show the sky in
``frame``, with the longitude ``center`` in the middle and east on the left. Markers are put there
in radians, at minus the longitude from the middle, wrapped to ±180°.
"""

import matplotlib.pyplot as plt
from astropy import units as u
from astropy.coordinates import SkyCoord

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
carina = SkyCoord("10h45m -59d52m")
figure = plt.figure(figsize=(8, 5), layout="constrained")
ax = figure.add_subplot(projection="mollweide")
ax.sky_heatmap(data=stars, kernel=2 * u.deg, center=180 * u.deg, cmap="inferno", norm="sqrt",
               label="stars", colorbar="bottom")  # fmt: skip
x = -(carina.ra - 180 * u.deg).wrap_at(180 * u.deg).rad
ax.plot(x, carina.dec.rad, "o", mfc="none", mec="cyan", ms=14, mew=2)
ax.grid(alpha=0.3)
ax.tick_params(labelbottom=False)
plt.show()
