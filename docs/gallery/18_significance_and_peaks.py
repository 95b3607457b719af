"""
Clusters of the sky
===================

``statistic="significance"`` says how surely there are more stars under the kernel than the ring
around it tells, in σ. `SkyMap.find_peaks` makes a table of the highest, and ``mark_peaks`` numbers
them on the map: the Double Cluster, the Pleiades and Praesepe are among the first.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(8, 5), layout="constrained")
ax = mpl_skyheat.subplot(data=stars, projection="MOL", map_frame="galactic", figure=figure)
heat = ax.sky_heatmap(
    data=stars,
    kernel="1 deg",
    statistic="significance",
    background=mpl_skyheat.Annulus("3 deg", "6 deg"),
    vmax=10,
    label="stars",
    colorbar="bottom",
)
peaks = heat.sky_map.find_peaks(5)
heat.mark_peaks(peaks, n_peaks=12)
plt.show()
