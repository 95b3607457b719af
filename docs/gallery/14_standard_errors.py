"""
How sure is it?
===============

Maps have standard errors (``uncertainty``), and the number of stars at each pixel (``n_eff``). The
difference of two maps takes its errors from both: the map on the right is in units of them.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(9, 4.4), layout="constrained")
given = {"center": "5h36m -1d", "radius": "12 deg", "figure": figure}
left, right = (mpl_skyheat.subplot(position=(1, 2, i), **given) for i in (1, 2))
blue, red = (
    mpl_skyheat.sky_map(data=stars[some], wcs=left.wcs, kernel="1 deg", label=name)
    for some, name in ((stars["BT_VT"] < 0.5, "blue"), (stars["BT_VT"] >= 0.5, "red"))
)
difference = blue - red
left.sky_heatmap(difference, colorbar="bottom")
right.sky_heatmap(difference.signal_to_noise, label="difference / error", colorbar="bottom")
plt.show()
