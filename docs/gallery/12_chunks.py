"""
A catalogue in chunks
=====================

Catalogues larger than memory come as an iterator of chunks. ``sky_map.meta`` says what became of
every row: here those of a survey that ends at declination +30°, where the density falls to 0.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
stars = stars[stars["DEC"] < 30]


def chunks(size=20_000):
    for start in range(0, len(stars), size):  # or from a database
        rows = stars[start : start + size]
        yield rows["RA"], rows["DEC"]


figure = plt.figure(layout="constrained")
ax = mpl_skyheat.subplot(center="6h +25d", radius="12 deg", figure=figure)
heat = ax.sky_heatmap(chunks(), kernel="1 deg", label="stars", colorbar=True)
meta = heat.sky_map.meta
ax.set_title(f"{meta['read']:,} rows, {meta['inside']:,} in the map", size="medium")
plt.show()
