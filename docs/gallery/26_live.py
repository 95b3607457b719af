"""
A map at any zoom
=================

A map has the pixels that it was made for: here 3' wide, which a zoom shows (left). With
``live=True`` the smoothed function is read at the pixels of the screen, or of the print (right).
The notebook below makes it move, after ``%matplotlib widget``.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(9, 4.2), layout="constrained")
given = {"center": "2h20m +57d08m", "radius": "5 deg", "pixel_size": "3 arcmin", "figure": figure}
for number, live in ((1, False), (2, True)):
    ax = mpl_skyheat.subplot(position=(1, 2, number), **given)
    heat = ax.sky_heatmap(data=stars, kernel="4 arcmin", label="stars", live=live, cmap="magma")
    middle = ax.wcs.pixel_shape[0] / 2
    ax.set_xlim(middle - 15, middle + 15)
    ax.set_ylim(middle - 15, middle + 15)
    ax.set_title("live" if live else "pixels of 3'")
heat.add_colorbar()
plt.show()
