"""Measure large catalogues, all-sky maps and first calls, beside the peers.

Every job asserts its answer; peers take their turns in the same process, or as whole processes.
Machines are noisy: what is reported are ratios of medians. gammapy, healpy and STILTS (of Debian)
are measured where they are installed.

Run as ``python benchmarks/large.py [JOB ...]``; with ``--write`` the table in docs/comparison.md is
written anew, with ``--quick`` there are fewer points, larger pixels and single turns.
``--catalogue`` is a table of stars for the figure of a whole process, by default the one that comes
with the package. Another checkout is measured by
``PYTHONPATH=CHECKOUT python benchmarks/large.py ...``.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, Sip
from recipe import field_wcs, points, recipe
from timing import (
    PEAK_MEMORY,
    environment,
    median,
    output_of,
    parser_of,
    power,
    report,
    seconds,
    turns,
    write_table,
)

import mpl_skyheat
from mpl_skyheat import sky_map

MANY, QUICK_MANY = 10**7, 2 * 10**5
LOADING = 3_000_000  # points for which compiled code is loaded
SIGMA = 2 * u.arcmin

FIRST_CALL = """
import time, zlib
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
print(time.perf_counter() - start, counts.sum(), zlib.crc32(counts.astype(int).tobytes()))
"""
OURS = """
import mpl_skyheat
counts = mpl_skyheat.sky_map(ra, dec, wcs=wcs, kernel=2 * u.arcmin).counts
"""
THEIRS = """
from astropy.convolution import Gaussian2DKernel, convolve
from astropy.coordinates import SkyCoord
x, y = wcs.world_to_pixel(SkyCoord(ra, dec, unit="deg"))
edges = np.arange(181) - 0.5
counts, _, _ = np.histogram2d(y, x, bins=(edges, edges))
convolve(counts, Gaussian2DKernel(2), boundary="fill")
"""


def whole_sky(count, rng):
    """Return ICRS positions (deg), as many everywhere on the sky."""
    return rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))


def load_compiled_code():
    """Load compiled code, by a map of enough points, before any job is timed."""
    sky_map(*points(LOADING, np.random.default_rng(0)), wcs=field_wcs(180))


def local(options):
    """Many points in a field of 180² pixels, against the recipe, gammapy and reading them once."""
    wcs, (ra, dec) = field_wcs(180), points(options.many, np.random.default_rng(1))

    def ours():
        return sky_map(ra, dec, wcs=wcs, kernel=SIGMA)

    mine, theirs, sky, (counts, _) = turns(ours, lambda: recipe(ra, dec, wcs), options.rounds)
    assert np.array_equal(sky.counts, counts)
    reading, _ = median(lambda: ra.sum() + dec.sum(), options.rounds)
    name = f"{power(options.many)} points, 3° of TAN, 180² pixels"
    rows = [report(name, "the recipe", theirs / mine, f"{mine / reading:.1f} × reading them")]
    try:
        from gammapy.maps import Map
    except ImportError:
        print("no gammapy: left out")
        return rows
    center = SkyCoord(56.75, 24.12, unit="deg")

    def gammapy():
        their_map = Map.create(skydir=center, binsz=1 / 60, width=3, proj="TAN")
        their_map.fill_by_coord({"skycoord": SkyCoord(ra, dec, unit="deg")})
        return their_map, their_map.smooth(SIGMA)

    mine, theirs, sky, (their_map, smooth) = turns(ours, gammapy, options.rounds)
    assert np.array_equal(sky.counts, their_map.data)
    # (It is not flat to the edge.)
    inner = np.s_[20:-20, 20:-20]
    expected = (sky.data * sky.unit * sky.solid_angle).to_value(u.one)
    assert np.allclose(smooth.data[inner], expected[inner], rtol=1e-4)
    return [*rows, report("the same", "gammapy", theirs / mine)]


def whole_sky_wcs(lon, lat, side, bins):
    """Return the WCS of the whole sky in (nx, ny) pixels of ``side`` (deg)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix = [lon, lat], [0.5 * count + 0.5 for count in bins]
    wcs.wcs.cdelt, wcs.pixel_shape = [-side, side], bins
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


def check_all_sky(sky, counts, side):
    """Assert that a map without a kernel has these counts, and densities of the whole sky."""
    assert np.array_equal(sky.counts, counts)
    assert abs(sky.solid_angle.sum().to_value(u.sr) / (4 * np.pi) - 1) < 1e-4
    assert abs(np.median(sky.solid_angle[sky.solid_angle > 0]).to_value(u.deg**2) - side**2) < 1e-9
    shown = np.nansum(sky.data * (sky.solid_angle * sky.unit).to_value(u.one))
    assert abs(shown / counts.sum() - 1) < 1e-9


def all_sky(options):
    """Many points of the whole sky, in catalogue order and in none, as a calibrated density."""
    ra, dec = whole_sky(options.many, np.random.default_rng(2))
    order = catalogue_order(ra, dec)
    side, bins = (0.5, (720, 360)) if options.quick else (0.1, (3600, 1800))
    rows = []
    for code in ("AIT", "MOL"):
        wcs = whole_sky_wcs(f"GLON-{code}", f"GLAT-{code}", side, bins)
        for name, rows_of in (("in catalogue order", order), ("in random order", slice(None))):
            lon, lat = ra[rows_of].copy(), dec[rows_of].copy()
            mine, theirs, sky, counts = turns(
                lambda lon=lon, lat=lat, wcs=wcs: sky_map(lon, lat, wcs=wcs, bins=bins),
                lambda lon=lon, lat=lat, wcs=wcs: by_hand(lon, lat, wcs),
                options.rounds,
            )
            check_all_sky(sky, counts, side)
            title = f"{power(options.many)} points {name}, Galactic {code}, {side}° pixels"
            peer = "SkyCoord, WCS and bincount (counts only)"
            rows.append(report(title, peer, theirs / mine))
    return rows


def distorted(options):
    """Many points in a field with Dec first, distortions and FK5."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "DEC--TAN-SIP", "RA---TAN-SIP"
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [24.12, 56.75], [90.5, 90.5], [1 / 60, -1 / 60]
    wcs.wcs.radesys, wcs.wcs.equinox = "FK5", 2000.0
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], a[0, 2], b[1, 1], b[2, 0] = 3e-6, -2e-6, 4e-6, 1e-6
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.pixel_shape = (180, 180)
    ra, dec = points(options.many, np.random.default_rng(3))
    mine, theirs, sky, (counts, _) = turns(
        lambda: sky_map(ra, dec, wcs=wcs, kernel=SIGMA),
        lambda: recipe(ra, dec, wcs),
        options.rounds,
    )
    # astropy inverts distortions to 1e-4 pixels by default, the package to 1e-9.
    assert np.abs(sky.counts - counts).sum() < 1e-3 * options.many
    title = f"{power(options.many)} points, Dec first, TAN-SIP, FK5"
    return [report(title, "the recipe", theirs / mine)]


def draw(command):
    """Run a command whose last word is the picture that it makes, or out=…, and look for it."""
    subprocess.run(command, check=True, capture_output=True, env=environment())
    assert Path(command[-1].removeprefix("out=")).stat().st_size > 10_000


def figure(options):
    """The figure of a whole catalogue, from a file to a picture, as whole processes."""
    stilts = shutil.which("stilts")
    with tempfile.TemporaryDirectory() as folder:
        catalogue = options.catalogue
        if catalogue is None:
            catalogue = f"{folder}/bright_stars.fits"
            mpl_skyheat.datasets.bright_stars().write(catalogue)
        ours = [sys.executable, "-m", "mpl_skyheat", catalogue, "--projection", "AIT",
                "-o", f"{folder}/skyheat.png"]  # fmt: skip
        title = f"{fits.getval(catalogue, 'NAXIS2', 1) / 1e6:.2g} million stars, file to PNG"
        if stilts is None:
            print(f"{title}: {seconds(lambda: draw(ours))[0]:.1f} s (no STILTS: left out)")
            return []
        theirs = [stilts, "plot2sky", "xpix=1600", "ypix=1000", "projection=aitoff",
                  "layer1=skydensity", f"in1={catalogue}", "lon1=RA", "lat1=DEC",
                  "level1=6", f"out={folder}/stilts.png"]  # fmt: skip
        mine, other, _, _ = turns(lambda: draw(ours), lambda: draw(theirs), options.rounds)
    return [report(title, "STILTS", other / mine)]


def first_call(options):
    """The first call in a new process, of catalogues of modest size."""
    rows = []
    for count in (10**3,) if options.quick else (10**3, 10**4, 10**5):
        mine, theirs = [], []
        for number in range(1 if options.quick else 12):
            found = [output_of(FIRST_CALL.format(count=count, job=job)) for job in (OURS, THEIRS)]
            (spent, *counts), (other, *their_counts) = (map(float, words) for words in found)
            assert counts == their_counts
            if number or options.quick:  # the first turns are not warm
                mine.append(spent)
                theirs.append(other)
        ratio = statistics.median(theirs) / statistics.median(mine)
        title = f"{power(count)} points, first call in a new process"
        rows.append(report(title, "the recipe", ratio))
    return rows


def check_smoothed(sky, values_at, rng):
    """Assert that a map has the values at some of its pixels, to 3 %."""
    at = np.nonzero(~sky.mask)
    at = tuple(index[rng.integers(0, len(at[0]), 500)] for index in at)
    position = sky.wcs.pixel_to_world(*at[::-1]).icrs
    known = np.isfinite(position.ra.deg)  # (not at the rim)
    values = values_at(position.ra.deg[known], position.dec.deg[known])
    assert np.abs(values / sky.data[at][known] - 1).max() < 0.03


# Titles, axes, and pixels (nx, ny) of 0.25 deg.
SPHERE_MAPS = (
    ("CAR", "RA---CAR", "DEC--CAR", (1440, 720)),
    ("Galactic AIT", "GLON-AIT", "GLAT-AIT", (1440, 720)),
    ("Galactic MOL", "GLON-MOL", "GLAT-MOL", (1440, 720)),
    ("Galactic HPX", "GLON-HPX", "GLAT-HPX", (1440, 720)),
    ("Galactic ZEA", "GLON-ZEA", "GLAT-ZEA", (920, 920)),
)


def sphere(options):
    """The whole sky at 0.25 deg, smoothed by 1 deg, against healpy on pixels of that size."""
    try:
        import healpy
    except ImportError:
        print("no healpy: left out")
        return []
    # (Where it is to be quick, all angles are four times as large.)
    larger, count = (4, QUICK_MANY) if options.quick else (1, 2_600_000)
    side, sigma, nside = 0.25 * larger, larger * u.deg, 256 // larger
    rng = np.random.default_rng(4)
    ra, dec = whole_sky(count, rng)

    def theirs():
        pixels = healpy.ang2pix(nside, ra, dec, lonlat=True)
        counts = np.bincount(pixels, minlength=healpy.nside2npix(nside)).astype(float)
        smooth = healpy.smoothing(counts, sigma=sigma.to_value(u.rad))
        return smooth / healpy.nside2pixarea(nside)

    rows = []
    for name, lon, lat, full in SPHERE_MAPS:
        bins = tuple(number // larger for number in full)
        wcs = whole_sky_wcs(lon, lat, side, bins)

        def ours(wcs=wcs, bins=bins):
            return sky_map(ra, dec, wcs=wcs, bins=bins, kernel=sigma, unit="sr-1")

        mine, other, sky, smooth = turns(ours, theirs, 1 if options.quick else 15)
        check_smoothed(
            sky, lambda *where, of=smooth: healpy.get_interp_val(of, *where, lonlat=True), rng
        )
        title = (
            f"{count / 1e6:g} million points, all-sky {name} of {side:g}°, σ = {sigma.value:g}°, "
            "on the sphere"
        )
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
peak = peak_memory()
assert sky.meta["read"] == {count} == sky.meta["inside"] + sky.meta["outside"]
assert sky.counts.sum() == sky.meta["inside"]
two = sky_map(*(np.concatenate(both) for both in zip(*chunks(2 * size))), wcs=wcs)
assert np.array_equal(sky_map(chunks(2 * size), wcs=wcs).counts, two.counts)
print(1e9 * spent / {count}, peak)
"""


def growth(options):
    """Time per point and memory, from 10⁶ to 10⁹ points streamed in generated chunks."""
    most = 6 if options.quick else 9 if options.billion else 8
    for exponent in range(6, most + 1):
        code = PEAK_MEMORY + GROWTH.format(folder=str(Path(__file__).parent), count=10**exponent)
        nanoseconds, peak = map(float, output_of(code))
        print(
            f"{power(10**exponent)} points in chunks: {nanoseconds:.1f} ns a point, "
            f"{peak:.0f} MiB at most",
            flush=True,
        )
    return []


def pixels(options):
    """The same points on maps of 180² to 8192² pixels."""
    ra, dec = points(options.many, np.random.default_rng(6))
    inside, rounds = set(), 1 if options.quick else 3
    for size in (180, 1024) if options.quick else (180, 512, 1024, 2048, 4096, 8192):
        wcs = field_wcs(size)
        spent, sky = median(
            lambda w=wcs, n=size: sky_map(ra, dec, wcs=w, bins=n, kernel=SIGMA), rounds
        )
        assert sky.counts.sum() == sky.meta["inside"]
        inside.add(sky.meta["inside"])
        per_point = 1e9 * spent / options.many
        print(f"{size}² pixels: {spent:.2f} s, {per_point:.1f} ns a point", flush=True)
    assert len(inside) == 1  # the field is the same
    return []


JOBS = {
    job.__name__: job
    for job in (local, all_sky, distorted, figure, first_call, sphere, growth, pixels)
}


def main():
    """Run the jobs named, or all; with ``--write``, write their rows into the site."""
    parser = parser_of(__doc__)
    parser.add_argument("jobs", nargs="*", choices=[*JOBS, []], metavar="JOB", help=", ".join(JOBS))
    parser.add_argument("--catalogue", help="a FITS table of stars, with RA and DEC")
    parser.add_argument("--billion", action="store_true", help="stream 10⁹ points, too")
    options = parser.parse_args()
    if options.write and options.jobs:
        parser.error("--write writes the whole table: it goes with all jobs")
    options.many = QUICK_MANY if options.quick else MANY
    options.rounds = 1 if options.quick else 5
    if options.quick:
        print("the answers are looked at, and the times are not to be read")
    print(f"mpl_skyheat {mpl_skyheat.__version__} of {Path(mpl_skyheat.__file__).parents[1]}")
    load_compiled_code()
    rows = ["| job | beside | times as fast |", "|---|---|---:|"]
    for name in options.jobs or JOBS:
        rows += JOBS[name](options)
    if options.write:
        write_table("large.py", "\n".join(rows))


if __name__ == "__main__":
    main()
