"""WCSs, and a catalogue whose map cannot be mistaken when it is turned or mirrored."""

import numpy as np
from astropy.wcs import WCS

from mpl_skyheat.sky.grid import native_grid
from mpl_skyheat.sky.planes import plane_of_wcs, view_of_shape


def make_wcs(code="TAN", *, shape=(30, 20), center=(83.0, -5.0), cdelt=(-0.1, 0.1), axes="RADEC"):
    """Return a WCS of ``shape`` (nx, ny) pixels with its reference in the middle."""
    prefixes = {
        "RADEC": ("RA---", "DEC--"),
        "DECRA": ("DEC--", "RA---"),
        "GLON": ("GLON-", "GLAT-"),
        "ELON": ("ELON-", "ELAT-"),
    }[axes]
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [prefix + code for prefix in prefixes]
    wcs.wcs.crval = center
    wcs.wcs.crpix = [(n + 1) / 2 for n in shape]
    wcs.wcs.cdelt = cdelt
    wcs.pixel_shape = shape
    return wcs


def plane_and_grid(wcs, shape=None):
    """Return the plane of a WCS, and its own pixels."""
    return plane_of_wcs(wcs), native_grid(view_of_shape(wcs, shape))


def letter_f(wcs):
    """Return positions that draw a letter F, upright to the pixels' x and y, one point a pixel."""
    nx, ny = wcs.pixel_shape
    left, bottom, top = nx // 4, ny // 5, 4 * ny // 5
    stem = [(left, y) for y in range(bottom, top + 1)]
    arm = [(x, top) for x in range(left, 3 * nx // 4)]
    short = [(x, (bottom + top) // 2) for x in range(left, nx // 2)]
    x, y = np.array(stem + arm + short).T
    return wcs.pixel_to_world_values(x + 0.1, y - 0.2)


def number_of_colours(picture):
    """Return how many colours a picture (ny, nx, 3 or 4; 0 … 1) has."""
    levels = np.round(255 * picture).astype(np.int64)
    return len(np.unique(levels @ 256 ** np.arange(picture.shape[2])))
