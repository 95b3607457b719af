"""
Where half of the stars are
===========================

``enclosed=`` draws the contours that so large a fraction of the sources is in, and a `SkyContour`
has its area: half of the bright blue stars are in a fifteenth of the sky.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
blue = stars[stars["BT_VT"] < -0.05]
figure = plt.figure(figsize=(8, 5), layout="constrained")
ax = mpl_skyheat.subplot(data=blue, projection="MOL", map_frame="galactic", figure=figure)
heat = ax.sky_heatmap(data=blue, kernel="3 deg", label="blue stars", norm="sqrt", cmap="Blues_r")
lines = heat.contour(enclosed=[0.25, 0.5], points=blue, colors=["yellow", "tomato"])
ax.clabel(lines)
for contour in lines.sky_contours:
    print(f"{contour.enclosed:.0%} of {len(blue)} stars: {contour.area:.0f}")
heat.add_colorbar("bottom")
plt.show()
