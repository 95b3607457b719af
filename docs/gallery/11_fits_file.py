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
wcs = WCS({
    "CTYPE1": "RA---ZEA", "CRVAL1": 161.3, "CRPIX1": 100.5, "CDELT1": -0.1, "NAXIS1": 200,
    "CTYPE2": "DEC--ZEA", "CRVAL2": -59.9, "CRPIX2": 100.5, "CDELT2": 0.1, "NAXIS2": 200,
})  # fmt: skip
sky = mpl_skyheat.sky_map(data=stars, wcs=wcs, kernel="30 arcmin")
with tempfile.TemporaryDirectory() as folder:
    sky.write(f"{folder}/map.fits")
    data, header = fits.getdata(f"{folder}/map.fits", header=True)

ax = plt.figure(layout="constrained").add_subplot(projection=WCS(header))
ax.set(xlabel="RA", ylabel="Dec")
image = ax.imshow(data, origin="lower", cmap="viridis")
ax.figure.colorbar(image, label=header["BUNIT"])
plt.show()
