"""Measure `sky_map` beside the hand-written recipe, and what importing the package costs.

Both make the same map of the same points, one after the other in one process; the counts are
asserted to be equal and the smoothed maps to agree. Machines are noisy: what is reported are
ratios of medians. Run as ``python benchmarks/recipe.py``; with ``--readme`` the table in README.md
is written anew.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.convolution import Gaussian2DKernel, convolve
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS

from mpl_skyheat import sky_map

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks/recipe.py -->", "<!-- end -->"

FIELD = 3 * u.deg
SIZES = (180, 1000)  # pixels along a side
POINTS = (10**3, 10**4, 10**5, 10**6, 10**7)
SIGMA = 2  # pixels

IMPORT = """
import matplotlib.figure, astropy.wcs, time
start = time.perf_counter()
import mpl_skyheat
print(time.perf_counter() - start)
"""


def field_wcs(size):
    """Return a gnomonic field of ``size`` pixels a side."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [56.75, 24.12]
    wcs.wcs.crpix = [(size + 1) / 2] * 2
    wcs.wcs.cdelt = np.array([-1, 1]) * FIELD.to_value(u.deg) / size
    wcs.pixel_shape = (size, size)
    return wcs


def points(count, rng):
    """Return ICRS positions over the field and a little around it."""
    return 56.75 + rng.uniform(-1.8, 1.8, count), 24.12 + rng.uniform(-1.6, 1.6, count)


def recipe(ra, dec, wcs):
    """Return counts and smoothed counts as they are made by hand."""
    x, y = wcs.world_to_pixel(SkyCoord(ra, dec, unit="deg"))
    nx, ny = wcs.pixel_shape
    counts, _, _ = np.histogram2d(y, x, bins=(np.arange(ny + 1) - 0.5, np.arange(nx + 1) - 0.5))
    return counts, convolve(counts, Gaussian2DKernel(SIGMA), boundary="fill")


def check(ra, dec, wcs):
    """Assert that both give the same answer."""
    counts, smooth = recipe(ra, dec, wcs)
    ours = sky_map(ra, dec, wcs=wcs, kernel=SIGMA * u.pix, boundary="fill", statistic="count")
    assert np.array_equal(ours.counts, counts)
    assert np.allclose(ours.data, smooth, rtol=0, atol=1e-10 * max(counts.max(), 1))


def seconds(job, repeats):
    """Return the times of a job."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        job()
        times.append(time.perf_counter() - start)
    return times


def measure(count, size, rng):
    """Return the median times (s) of the recipe and of `sky_map`, taken in turns."""
    wcs, (ra, dec) = field_wcs(size), points(count, rng)
    check(ra, dec, wcs)
    kernel = SIGMA * FIELD / size
    theirs, ours = [], []
    for _ in range(25 if count < 10**5 else 9 if count < 10**6 else 3):
        theirs += seconds(lambda: recipe(ra, dec, wcs), 1)
        ours += seconds(lambda: sky_map(ra, dec, wcs=wcs, kernel=kernel), 1)
    return statistics.median(theirs), statistics.median(ours)


def import_seconds():
    """Return the median time (s) that the import adds to matplotlib's and astropy.wcs's."""
    command = [sys.executable, "-c", IMPORT]
    times = [float(subprocess.check_output(command)) for _ in range(7)]
    return statistics.median(times)


def table():
    """Return the table of ratios, in Markdown."""
    rng = np.random.default_rng(1)
    rows = ["| points | " + " | ".join(f"{n} × {n} pixels" for n in SIZES) + " |"]
    rows.append("|---:" * (1 + len(SIZES)) + "|")
    for count in POINTS:
        cells = [f"10{str(len(str(count)) - 1).translate(SUPERSCRIPTS)}"]
        for size in SIZES:
            theirs, ours = measure(count, size, rng)
            print(f"{count:9d} points, {size}² pixels: {theirs:.4f} s, {ours:.4f} s")
            cells.append(f"{theirs / ours:.1f} ×")
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def main():
    """Print the numbers; with ``--readme``, write them into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    write = parser.parse_args().readme
    added = f"The import adds {1000 * import_seconds():.0f} ms to matplotlib's and astropy's."
    text = f"{table()}\n\n{added}\n"
    print(text)
    if write:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        README.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
