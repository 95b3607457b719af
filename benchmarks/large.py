"""Measure large catalogues, smoothing on the sphere and first calls, beside the peers.

Every job asserts its answer; peers take their turns in the same process, or as whole processes.
Machines are noisy: what is reported are ratios of medians. gammapy, healpy and STILTS (of Debian)
are measured where they are installed.

Run as ``python benchmarks/large.py [JOB ...]``; with ``--readme`` the table in README.md is written
anew. ``--catalogue`` is a table of 10⁶ stars or more for the figure of a whole process.
"""

import argparse
import gc
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS, Sip
from recipe import field_wcs, points, recipe

import mpl_skyheat
from mpl_skyheat import sky_map
from mpl_skyheat.counting import Tally
from mpl_skyheat.grid import grid_of_bins
from mpl_skyheat.planes import plane_of_wcs
from mpl_skyheat.points import read_catalogue

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks/large.py -->", "<!-- end -->"

MANY = 10**7
SIGMA = 2 * u.arcmin

FIRST_CALL = """
import sys, time
import numpy as np
from astropy import units as u
from astropy.wcs import WCS
import matplotlib.figure
rng = np.random.default_rng(1)
ra, dec = 56.75 + rng.uniform(-1.8, 1.8, {count}), 24.12 + rng.uniform(-1.6, 1.6, {count})
wcs = WCS(naxis=2)
wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
wcs.wcs.crval = 56.75, 24.12
wcs.wcs.crpix = 90.5, 90.5
wcs.wcs.cdelt = -1 / 60, 1 / 60
wcs.pixel_shape = 180, 180
start = time.perf_counter()
{job}
print(time.perf_counter() - start)
"""
OURS = """
import mpl_skyheat
mpl_skyheat.sky_map(ra, dec, wcs=wcs, kernel=2 * u.arcmin)
"""
THEIRS = """
from astropy.convolution import Gaussian2DKernel, convolve
from astropy.coordinates import SkyCoord
x, y = wcs.world_to_pixel(SkyCoord(ra, dec, unit="deg"))
edges = np.arange(181) - 0.5
counts, _, _ = np.histogram2d(y, x, bins=(edges, edges))
convolve(counts, Gaussian2DKernel(2), boundary="fill")
"""


def environment():
    """Return the environment of a new process, in which modules are compiled to bytecode once."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(job, repeats):
    """Return the times (s) of a job, and its last answer."""
    times = []
    for _ in range(repeats):
        gc.collect()  # what other jobs have left is not for this one to clear away
        start = time.perf_counter()
        answer = job()
        times.append(time.perf_counter() - start)
    return times, answer


def median(job, repeats):
    """Return the median time (s) of a job, and its last answer."""
    times, answer = seconds(job, repeats)
    return statistics.median(times), answer


def turns(ours, theirs, rounds=5):
    """Return the median times (s) and the answers of two jobs that take turns, both warm."""
    ours()
    theirs()
    mine, others = [], []
    for _ in range(rounds):
        times, our_answer = seconds(ours, 1)
        mine += times
        times, their_answer = seconds(theirs, 1)
        others += times
    return statistics.median(mine), statistics.median(others), our_answer, their_answer


def report(name, peer, ratio, more=""):
    """Print a row, and return it for the table."""
    text = f"{ratio:.0f} ×" if ratio >= 9.5 else f"{ratio:.1f} ×"
    print(f"{name}: {text} {peer} {more}", flush=True)
    return f"| {name} | {peer} | {text} |"


def local(_):
    """Many points in a field of 180² pixels, against the recipe, gammapy and reading them once."""
    wcs, (ra, dec) = field_wcs(180), points(MANY, np.random.default_rng(1))

    def ours():
        return sky_map(ra, dec, wcs=wcs, kernel=SIGMA)

    mine, theirs, sky, (counts, _) = turns(ours, lambda: recipe(ra, dec, wcs))
    assert np.array_equal(sky.counts, counts)
    reading, _ = median(lambda: ra.sum() + dec.sum(), 5)
    name = "10⁷ points, 3° of TAN, 180² pixels"
    rows = [report(name, "the recipe", theirs / mine, f"{mine / reading:.1f} × reading them")]
    try:
        from gammapy.maps import Map
    except ImportError:
        return rows
    center = SkyCoord(56.75, 24.12, unit="deg")

    def gammapy():
        their_map = Map.create(skydir=center, binsz=1 / 60, width=3, proj="TAN")
        their_map.fill_by_coord({"skycoord": SkyCoord(ra, dec, unit="deg")})
        return their_map, their_map.smooth(SIGMA)

    mine, theirs, sky, (their_map, _) = turns(ours, gammapy)
    # Its reference pixel may be another by one: the sum tells.
    assert abs(their_map.data.sum() - sky.counts.sum()) < 0.02 * MANY
    return [*rows, report("the same", "gammapy", theirs / mine)]


def whole_sky_wcs(code):
    """Return the Galactic sky in pixels of 0.1 deg."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = f"GLON-{code}", f"GLAT-{code}"
    wcs.wcs.crpix, wcs.wcs.cdelt, wcs.pixel_shape = [1800.5, 900.5], [-0.1, 0.1], (3600, 1800)
    return wcs


def by_hand(ra, dec, wcs):
    """Return the counts of `SkyCoord`, `WCS.world_to_pixel` and `numpy.bincount`."""
    x, y = wcs.world_to_pixel(SkyCoord(ra, dec, unit="deg"))
    nx, ny = wcs.pixel_shape
    i, j = np.floor(x + 0.5), np.floor(y + 0.5)
    inside = (i >= 0) & (i < nx) & (j >= 0) & (j < ny)
    pixels = (j[inside] * nx + i[inside]).astype(int)
    return np.bincount(pixels, minlength=nx * ny).reshape(ny, nx)


def catalogue_order(ra, dec):
    """Return the order of nested HEALPix cells, in which surveys publish their tables."""
    try:
        import healpy
    except ImportError:  # then of strips
        return np.lexsort((ra // 0.25, dec // 0.25))
    return np.argsort(healpy.ang2pix(1024, ra, dec, lonlat=True, nest=True), kind="stable")


def our_counts(ra, dec, wcs):
    """Return the counts alone, without solid angles."""
    plane = plane_of_wcs(wcs)
    grid = grid_of_bins(plane.view, *wcs.pixel_shape)
    return Tally(read_catalogue((ra, dec)), plane).counts(grid, np.s_[:, :])


def all_sky(_):
    """Many points of the whole sky, in catalogue order and in none: the counts alone."""
    rng = np.random.default_rng(2)
    ra, dec = rng.uniform(0, 360, MANY), np.degrees(np.arcsin(rng.uniform(-1, 1, MANY)))
    order = catalogue_order(ra, dec)
    rows = []
    for code in ("AIT", "MOL"):
        wcs = whole_sky_wcs(code)
        for name, rows_of in (("in catalogue order", order), ("in random order", slice(None))):
            lon, lat = ra[rows_of].copy(), dec[rows_of].copy()
            mine, theirs, counts, judge = turns(
                lambda lon=lon, lat=lat, wcs=wcs: our_counts(lon, lat, wcs),
                lambda lon=lon, lat=lat, wcs=wcs: by_hand(lon, lat, wcs),
            )
            assert np.array_equal(counts, judge)
            title = f"counts of 10⁷ points {name}, Galactic {code}, 0.1° pixels"
            rows.append(report(title, "SkyCoord, WCS and bincount", theirs / mine))
    return rows


def distorted(_):
    """Many points in a field with Dec first, distortions and FK5."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "DEC--TAN-SIP", "RA---TAN-SIP"
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [24.12, 56.75], [90.5, 90.5], [1 / 60, -1 / 60]
    wcs.wcs.radesys, wcs.wcs.equinox = "FK5", 2000.0
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], a[0, 2], b[1, 1], b[2, 0] = 3e-6, -2e-6, 4e-6, 1e-6
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.pixel_shape = (180, 180)
    ra, dec = points(MANY, np.random.default_rng(3))
    mine, theirs, sky, (counts, _) = turns(
        lambda: sky_map(ra, dec, wcs=wcs, kernel=SIGMA), lambda: recipe(ra, dec, wcs)
    )
    # astropy inverts distortions to 1e-4 pixels by default, the package to 1e-9.
    assert np.abs(sky.counts - counts).sum() < 1e-3 * MANY
    return [report("10⁷ points, Dec first, TAN-SIP, FK5", "the recipe", theirs / mine)]


def figure(options):
    """The figure of a whole catalogue, from a file to a picture, as whole processes."""
    stilts = shutil.which("stilts")
    if stilts is None or options.catalogue is None:
        print("no STILTS, or no --catalogue: left out")
        return []
    with tempfile.TemporaryDirectory() as folder:
        theirs = [stilts, "plot2sky", "xpix=1600", "ypix=1000", "projection=aitoff",
                  "layer1=skydensity", f"in1={options.catalogue}", "lon1=RA", "lat1=DEC",
                  "level1=6", f"out={folder}/stilts.png"]  # fmt: skip
        ours = [sys.executable, "-m", "mpl_skyheat", options.catalogue, "--projection", "AIT",
                "-o", f"{folder}/skyheat.png"]  # fmt: skip

        def run(command):
            subprocess.run(command, check=True, capture_output=True, env=environment())
            assert Path(command[-1].removeprefix("out=")).stat().st_size > 10_000

        mine, other, _, _ = turns(lambda: run(ours), lambda: run(theirs))
    return [report("Tycho-2, 2.6 million stars, file to PNG", "STILTS", other / mine)]


def first_call(_):
    """The first call in a new process, of catalogues of modest size."""
    rows = []
    for count, name in ((10**3, "10³"), (10**4, "10⁴"), (10**5, "10⁵")):
        times = {OURS: [], THEIRS: []}
        for number in range(-1, 11):
            for job, found in times.items():
                code = FIRST_CALL.format(count=count, job=job)
                command = [sys.executable, "-c", code]
                spent = float(subprocess.check_output(command, env=environment()))
                found += [spent] if number >= 0 else []
        ratio = statistics.median(times[THEIRS]) / statistics.median(times[OURS])
        rows.append(report(f"{name} points, first call in a new process", "the recipe", ratio))
    return rows


def sphere(_):
    """The whole sky at 0.25 deg, smoothed by 1 deg, against healpy on pixels of that size."""
    try:
        import healpy
    except ImportError:
        return []
    rng = np.random.default_rng(4)
    count = 2_600_000
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))

    def theirs():
        pixels = healpy.ang2pix(256, ra, dec, lonlat=True)
        counts = np.bincount(pixels, minlength=healpy.nside2npix(256)).astype(float)
        return healpy.smoothing(counts, sigma=np.radians(1)) / healpy.nside2pixarea(256)

    rows = []
    for name, lon, lat, bins in (
        ("CAR", "RA---CAR", "DEC--CAR", (1440, 720)),
        ("Galactic AIT", "GLON-AIT", "GLAT-AIT", (1440, 720)),
        ("Galactic MOL", "GLON-MOL", "GLAT-MOL", (1440, 720)),
        ("Galactic HPX", "GLON-HPX", "GLAT-HPX", (1440, 720)),
        ("Galactic ZEA", "GLON-ZEA", "GLAT-ZEA", (920, 920)),
    ):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crpix = [lon, lat], [0.5 * count + 0.5 for count in bins]
        wcs.wcs.cdelt, wcs.pixel_shape = [-0.25, 0.25], bins

        def ours(wcs=wcs, bins=bins):
            return sky_map(ra, dec, wcs=wcs, bins=bins, kernel=1 * u.deg, unit="sr-1")

        mine, other, sky, smooth = turns(ours, theirs, 15)
        at = np.nonzero(~sky.mask)
        at = tuple(index[rng.integers(0, len(at[0]), 500)] for index in at)
        position = sky.wcs.pixel_to_world(*at[::-1]).icrs
        known = np.isfinite(position.ra.deg)  # (not at the rim)
        where = position.ra.deg[known], position.dec.deg[known]
        values = healpy.get_interp_val(smooth, *where, lonlat=True)
        assert np.abs(values / sky.data[at][known] - 1).max() < 0.03
        title = f"2.6 million points, all-sky {name} of 0.25°, σ = 1°, on the sphere"
        rows.append(report(title, "healpy (HEALPix map only)", other / mine))
    return rows


GROWTH = """
import sys, time
from pathlib import Path
import numpy as np
sys.path.insert(0, {folder!r})
from large import SIGMA
from recipe import field_wcs, points
from mpl_skyheat import sky_map
wcs, size = field_wcs(180), 10**6
lon, lat = points(size, np.random.default_rng(5))
def chunks(count):
    for number in range(count // size):
        yield np.roll(lon, number), lat  # other points in every chunk, at next to no cost
sky_map(chunks(4 * size), wcs=wcs, kernel=SIGMA)
start = time.perf_counter()
for chunk in chunks({count}):
    pass
made = time.perf_counter()
sky = sky_map(chunks({count}), wcs=wcs, kernel=SIGMA)
spent = time.perf_counter() - made - (made - start)
assert sky.meta["read"] == {count} == sky.meta["inside"] + sky.meta["outside"]
status = Path("/proc/self/status").read_text()  # of Linux
peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
print(1e9 * spent / {count}, int(peak.split()[1]) / 1024)
"""


def growth(options):
    """Time per point and memory, from 10⁶ to 10⁹ points streamed in generated chunks."""
    for count in (10**6, 10**7, 10**8, 10**9)[: 4 if options.billion else 3]:
        code = GROWTH.format(folder=str(Path(__file__).parent), count=count)
        output = subprocess.check_output([sys.executable, "-c", code], env=environment())
        nanoseconds, peak = map(float, output.split())
        print(f"{count:.0e} points in chunks: {nanoseconds:.1f} ns a point, {peak:.0f} MB at most")
    return []


def pixels(_):
    """The same points on maps of 180² to 8192² pixels."""
    ra, dec = points(MANY, np.random.default_rng(6))
    for size in (180, 512, 1024, 2048, 4096, 8192):
        wcs = field_wcs(size)
        spent, sky = median(lambda w=wcs, n=size: sky_map(ra, dec, wcs=w, bins=n, kernel=SIGMA), 2)
        assert sky.counts.sum() == sky.meta["inside"]
        print(f"{size}² pixels: {spent:.2f} s, {1e9 * spent / MANY:.1f} ns a point")
    return []


JOBS = {
    job.__name__: job
    for job in (local, all_sky, distorted, figure, first_call, sphere, growth, pixels)
}


def main():
    """Run the jobs named, or all; with ``--readme``, write their rows into README.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], metavar="JOB", help=", ".join(JOBS))
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    parser.add_argument("--catalogue", help="a FITS table of stars, with RA and DEC")
    parser.add_argument("--billion", action="store_true", help="stream 10⁹ points, too")
    options = parser.parse_args()
    print(f"mpl_skyheat {mpl_skyheat.__version__}")
    rows = ["| job | beside | times as fast |", "|---|---|---:|"]
    for name in options.jobs or JOBS:
        rows += JOBS[name](options)
    if options.readme:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        table = "\n".join(rows)
        README.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
