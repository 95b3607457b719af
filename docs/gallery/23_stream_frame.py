r"""
The frame of a stream
=====================

Streams are mapped along their own great circle, with longitudes φ₁ along it and latitudes φ₂. Any
frame of astropy is a map's: here a ``SkyOffsetFrame`` along Gould's Belt, the ring of young stars
around the Sun, tilted by 18° to the Galactic plane (dashed).
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord, SkyOffsetFrame

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
blue = stars[(stars["BT_VT"].filled(9) < 0) & (stars["VT"] < 7)]
belt = SkyOffsetFrame(origin=SkyCoord(195 * u.deg, -18 * u.deg, frame="galactic"))
figure = plt.figure(figsize=(8, 4.6), layout="constrained")
ax = figure.add_subplot(xlim=(180, -180), ylim=(-60, 60), xlabel="φ₁ [deg]", ylabel="φ₂ [deg]")
ax.sky_heatmap(SkyCoord(blue["RA"], blue["DEC"]), frame=belt, kernel="3 deg", pixel_size="1 deg",
               label="bright blue stars", cmap="magma", colorbar="bottom")  # fmt: skip
plane = SkyCoord(l=np.arange(0, 361, 30) * u.deg, b=0 * u.deg, frame="galactic")
mpl_skyheat.sky_line(ax, plane, color="white", linestyle="--")
plt.show()
