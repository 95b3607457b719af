"""
Flux in place of number
=======================

``weights`` are added up where points are counted: on the left stars per square degree, on the right
their flux. A unit of the weights carries over to the map.
"""

import matplotlib.pyplot as plt
from astropy import units as u

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
flux = 3640 * 10 ** (-0.4 * stars["VT"].filled(99.0).value) * u.Jy  # V = 0: 3640 Jy
figure = plt.figure(figsize=(9, 4.4), layout="constrained")
for i, (weights, label) in enumerate([(None, "stars"), (flux, "flux")], 1):
    ax = mpl_skyheat.subplot(
        center="5h36m -1d", radius=9 * u.deg, figure=figure, position=(1, 2, i)
    )
    ax.sky_heatmap(data=stars, weights=weights, kernel=40 * u.arcmin, norm="sqrt", label=label,
                   colorbar="bottom")  # fmt: skip
plt.show()
