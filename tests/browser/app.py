"""A live map in a browser, by matplotlib's WebAgg: prints a line for each reading of the map.

Run as ``python app.py PORT``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from astropy.wcs import WCS

import mpl_skyheat

plt.switch_backend("WebAgg")
plt.rcParams["webagg.open_in_browser"] = False
plt.rcParams["webagg.port"] = int(sys.argv[1])
wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 40.0, "CRVAL2": 30.0,
           "CRPIX1": 100.5, "CRPIX2": 100.5, "CDELT1": -0.05, "CDELT2": 0.05,
           "NAXIS1": 200, "NAXIS2": 200})  # fmt: skip
rng = np.random.default_rng(0)
figure = plt.figure(figsize=(6, 5))
ax = figure.add_axes((0.1, 0.1, 0.7, 0.84), projection=wcs)
points = rng.normal(40, 1, 30_000), rng.normal(30, 1, 30_000)
heat = ax.sky_heatmap(*points, kernel="6 arcmin", live=True, colorbar=True, unit="deg-2")
read = heat.live.read


def told(view, shape):
    print("read", *(round(side, 3) for side in view), *shape, flush=True)
    return read(view, shape)


heat.live.read = told
assert mpl_skyheat
plt.show()
