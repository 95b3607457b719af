"""Measure `sky_map` beside the hand-written recipe, and what importing the package costs.

Both make the same map of the same points, in turns and in one process; the counts are asserted to
be equal and the smoothed maps to agree. Machines are noisy: what is reported are ratios of medians.
Run as ``python benchmarks/recipe.py``; with ``--write`` the table in README.md is written anew,
with ``--quick`` there are fewer points, and single turns.
"""

import statistics

import numpy as np
from astropy import units as u
from astropy.convolution import Gaussian2DKernel, convolve
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from timing import output_of, parser_of, power, times_as_fast, turns, write_table

from mpl_skyheat import sky_map

FIELD = 3 * u.deg
SIZES = (180, 1000)  # pixels along a side
POINTS = (10**3, 10**4, 10**5, 10**6, 10**7)
QUICK_POINTS = (10**3, 10**5)
SIGMA = 2  # pixels

IMPORT = """
import matplotlib.figure, astropy.wcs, time
start = time.perf_counter()
import mpl_skyheat
print(time.perf_counter() - start)
"""


def field_wcs(size):
    """Return a gnomonic field of 3 deg with ``size`` pixels a side."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [56.75, 24.12]
    wcs.wcs.crpix = [(size + 1) / 2] * 2
    wcs.wcs.cdelt = np.array([-1, 1]) * FIELD.to_value(u.deg) / size
    wcs.pixel_shape = (size, size)
    return wcs


def points(count, rng):
    """Return ICRS positions (deg) over the field and a little around it."""
    return 56.75 + rng.uniform(-1.8, 1.8, count), 24.12 + rng.uniform(-1.6, 1.6, count)


def recipe(ra, dec, wcs):
    """Return counts and smoothed counts as they are made by hand."""
    x, y = wcs.world_to_pixel(SkyCoord(ra, dec, unit="deg"))
    nx, ny = wcs.pixel_shape
    counts, _, _ = np.histogram2d(y, x, bins=(np.arange(ny + 1) - 0.5, np.arange(nx + 1) - 0.5))
    return counts, convolve(counts, Gaussian2DKernel(SIGMA), boundary="fill")


def rounds(count, quick):
    """Number of turns that `sky_map` and the recipe each get with ``count`` points."""
    if quick:
        return 1
    return 25 if count < 10**5 else 9 if count < 10**6 else 3


def measure(count, size, rng, quick):
    """Return how many times as fast as the recipe `sky_map` is, both with the same answer."""
    wcs, (ra, dec) = field_wcs(size), points(count, rng)
    kernel = SIGMA * FIELD / size
    mine, theirs, sky, (counts, smooth) = turns(
        lambda: sky_map(ra, dec, wcs=wcs, kernel=kernel),
        lambda: recipe(ra, dec, wcs),
        rounds(count, quick),
    )
    assert np.array_equal(sky.counts, counts)
    # The recipe takes the sky beyond the map as empty; the timed map does not.
    filled = sky_map(ra, dec, wcs=wcs, kernel=SIGMA * u.pix, boundary="fill", statistic="count")
    assert np.allclose(filled.data, smooth, rtol=0, atol=1e-10 * max(counts.max(), 1))
    print(f"{count:9d} points, {size}² pixels: {theirs:.4f} s, {mine:.4f} s", flush=True)
    return theirs / mine


def import_seconds(starts):
    """Return the median time (s) that the import adds to matplotlib's and astropy.wcs's."""
    return statistics.median(float(output_of(IMPORT)[0]) for _ in range(starts))


def table(quick):
    """Return the table of ratios, in Markdown."""
    rng = np.random.default_rng(1)
    rows = ["| points | " + " | ".join(f"{n} × {n} pixels" for n in SIZES) + " |"]
    rows.append("|---:" * (1 + len(SIZES)) + "|")
    for count in QUICK_POINTS if quick else POINTS:
        cells = [times_as_fast(measure(count, size, rng, quick)) for size in SIZES]
        rows.append("| " + " | ".join([power(count), *cells]) + " |")
    return "\n".join(rows)


def main():
    """Print the numbers; with ``--write``, write them into README.md."""
    options = parser_of(__doc__).parse_args()
    added = 1000 * import_seconds(1 if options.quick else 7)
    text = (
        f"{table(options.quick)}\n\nThe import adds {added:.0f} ms to matplotlib's and astropy's."
    )
    print(text)
    if options.write:
        write_table("recipe.py", text)


if __name__ == "__main__":
    main()
