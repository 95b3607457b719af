"""
A map in a FITS file
====================

``write`` puts values, mask, counts and solid angles into a FITS file with their WCS, which astropy,
ds9 and Aladin open. Here astropy reads it, and matplotlib draws it without the package.
"""

import tempfile

import matplotlib.pyplot as plt
from astropy.io import fits
from astropy.wcs import WCS

import mpl_skyheat

stars = mpl_skyheat.datasets.bright_stars()
field = mpl_skyheat.subplot(center="10h45m -59d52m", radius="12 deg", projection="ZEA").wcs
sky = mpl_skyheat.sky_map(data=stars, wcs=field, kernel="30 arcmin")
with tempfile.TemporaryDirectory() as folder:
    sky.write(f"{folder}/map.fits")
    data, header = fits.getdata(f"{folder}/map.fits", header=True)
plt.close("all")
ax = plt.figure(layout="constrained").add_subplot(projection=WCS(header))
ax.set(xlabel="RA", ylabel="Dec")
image = ax.imshow(data, origin="lower", cmap="viridis")
ax.figure.colorbar(image, label=header["BUNIT"])
plt.show()
