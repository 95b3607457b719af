"""
Half of the LMC
===============

``enclosed=`` draws the contours that so large a fraction of the sources is in, and each has its
area: half of the blue stars of Tycho-2 within 5° of the Large Magellanic Cloud are in a tenth of
that circle. ``attained`` and ``inside`` of a contour say how exactly.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = "lmc_blue_stars.fits"
figure = plt.figure(figsize=(6.5, 5), layout="constrained")
ax = mpl_skyheat.subplot(center="5h23m -69d", radius="5 deg", figure=figure)
heat = ax.sky_heatmap(data=stars, kernel="0.4 deg", label="blue stars", cmap="Blues_r",
                      colorbar=True)  # fmt: skip
lines = heat.contour(enclosed=[0.5, 0.9], points=stars, colors=["yellow", "tomato"])
ax.clabel(lines)
for contour in reversed(lines.sky_contours):
    print(f"{contour.enclosed:.0%} of the stars are in {contour.area:.1f}")
plt.show()
