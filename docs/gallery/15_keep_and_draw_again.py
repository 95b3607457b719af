"""
Keep a map and draw it again
============================

``write`` keeps a map with its errors, kernel and label, and ``SkyMap.read`` makes it again, equal
to the bit. It is drawn on Axes with other pixels, too (left), and ``to_healpix`` has its values in
the pixels of HEALPix, of equal areas (right: their centres).
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
whole = mpl_skyheat.subplot(data=stars, projection="MOL").wcs
sky = mpl_skyheat.sky_map(data=stars, wcs=whole, kernel="2 deg", label="stars")
with tempfile.TemporaryDirectory() as folder:
    sky.write(f"{folder}/sky.fits")
    again = mpl_skyheat.SkyMap.read(f"{folder}/sky.fits")

plt.close("all")
figure = plt.figure(figsize=(9.5, 4.2), layout="constrained")
options = {"center": (161.3, -59.9), "radius": "40 deg", "projection": "ZEA", "figure": figure}
left, right = (mpl_skyheat.subplot(position=(1, 2, i), **options) for i in (1, 2))
heat = left.sky_heatmap(again, norm="sqrt", colorbar=True)

values, healpix = again.to_healpix(32)
places = healpix.healpix_to_skycoord(np.arange(healpix.npix))
right.scatter(places.ra, places.dec, 16, values.value, norm=heat.norm,
              transform=right.get_transform("icrs"))  # fmt: skip
right.coords[1].set_ticklabel_visible(False)
plt.show()
