"""
Where do red and blue stars differ?
===================================

`compare` takes two maps with the same pixels and kernel. On the left the logarithm of their ratio,
on the right how sure it is that they differ there: few stars make large ratios that mean nothing.
"""

import matplotlib.pyplot as plt

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
figure = plt.figure(figsize=(9, 4.4), layout="constrained")
given = {"center": "5h36m -1d", "radius": "12 deg", "figure": figure}
left, right = (mpl_skyheat.subplot(position=(1, 2, i), **given) for i in (1, 2))
red, blue = (
    mpl_skyheat.sky_map(data=stars[some], wcs=left.wcs, kernel="1 deg", label=name)
    for some, name in ((stars["BT_VT"] >= 0.5, "red"), (stars["BT_VT"] < 0.5, "blue"))
)
ratio = mpl_skyheat.compare(red, blue, statistic="log_ratio")
left.sky_heatmap(ratio, colorbar="bottom")
right.sky_heatmap(mpl_skyheat.compare(red, blue), colorbar="bottom")
plt.show()
