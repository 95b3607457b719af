"""Smoothing on the sphere equals the sum over great circles, everywhere on the sky."""

import itertools

import numpy as np
import pytest
from astropy import units as u
from astropy.convolution import Gaussian2DKernel
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from scipy.ndimage import binary_erosion, spline_filter1d

from mpl_skyheat import (
    Annulus,
    Epanechnikov,
    Gaussian,
    Moffat,
    TopHat,
    sky_map,
)
from mpl_skyheat.compute import loader
from mpl_skyheat.compute.threads import Team
from mpl_skyheat.counting.spreading import PointSpread
from mpl_skyheat.sky.lattice import PAD, Lattice
from mpl_skyheat.sky.vectors import separation, to_vectors
from mpl_skyheat.sky.views import all_sky_wcs, field_wcs
from mpl_skyheat.smoothing import rings

GALACTIC = SkyCoord(0, 0, unit="deg", frame="galactic").frame.replicate_without_data()
PIXEL = 2 * u.deg


def zenithal(code, *, size, center=(50, 70), crota=0.0):
    """Return a square zenithal WCS of 2 deg pixels."""
    cos, sin = np.cos(np.radians(crota)), np.sin(np.radians(crota))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    wcs.wcs.crval, wcs.wcs.crpix = center, [size / 2 + 0.5] * 2
    wcs.wcs.cdelt, wcs.wcs.pc = [-2, 2], [[cos, -sin], [sin, cos]]
    wcs.pixel_shape = (size, size)
    return wcs


def oblique():
    wcs = all_sky_wcs(GALACTIC, PIXEL, "AIT")
    wcs.wcs.crval = [40, 50]
    wcs.wcs.set()
    return wcs


SKIES = {
    "AIT": all_sky_wcs(GALACTIC, PIXEL, "AIT"),
    "MOL": all_sky_wcs(GALACTIC, PIXEL, "MOL"),
    "CAR": all_sky_wcs(GALACTIC, PIXEL, "CAR"),
    "HPX": all_sky_wcs(GALACTIC, PIXEL, "HPX"),
    "ZEA": zenithal("ZEA", size=116, crota=30),
    "SIN": zenithal("SIN", size=59),
    "TAN 60 deg": field_wcs(SkyCoord(20, 60, unit="deg"), 30 * u.deg, 1 * u.deg, "TAN"),
    "oblique": oblique(),
}


@pytest.fixture(scope="module")
def stars():
    """Stars all over the sky, denser at the north pole and about 0h."""
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 30_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 30_000)))
    dec[:700] = 90 - rng.uniform(0, 8, 700)
    ra[700:1400] = rng.normal(0, 3, 700) % 360
    return SkyCoord(ra, dec, unit="deg")


def exact(kernel, stars, positions):
    """Return the sum of a kernel over great-circle separations, per sr, at positions."""
    a = to_vectors(stars.ra.deg, stars.dec.deg)
    b = to_vectors(positions.icrs.ra.deg, positions.icrs.dec.deg)
    total = np.empty(len(b))
    for i in range(0, len(b), 100):
        total[i : i + 100] = kernel.profile(separation(b[i : i + 100, None], a)).sum(axis=1)
    theta = (np.arange(200_000) + 0.5) * (np.pi / 200_000)
    integral = 2 * np.pi * (kernel.profile(theta) * np.sin(theta)).mean() * np.pi
    return total / integral


def sample(skymap, number=250):
    """Return rows and columns of pixels at the rim of the sky and elsewhere, and their centres."""
    on_sky = ~skymap.mask
    rim = on_sky & ~binary_erosion(on_sky)
    rng = np.random.default_rng(5)
    rows, columns = np.hstack(
        [rng.permutation(np.argwhere(part)).T[:, :number] for part in (rim, on_sky & ~rim)]
    )
    centres = skymap.wcs.pixel_to_world(columns, rows)
    known = np.isfinite(centres.spherical.lon.deg)
    return rows[known], columns[known], centres[known]


@pytest.mark.parametrize("sigma", [4 * u.deg, 9 * u.deg, 20 * u.deg], ids=str)
@pytest.mark.parametrize("sky", SKIES)
def test_a_gaussian_is_right_everywhere_on_the_sky(stars, sky, sigma):
    skymap = sky_map(stars, wcs=SKIES[sky], kernel=sigma)
    assert skymap.meta["geometry"] == "sphere"
    assert np.isfinite(skymap.data[~skymap.mask]).all()
    rows, columns, centres = sample(skymap)
    expected = exact(Gaussian(sigma), stars, centres)
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    error = np.abs(found / expected - 1)
    assert error.max() < 1e-3
    assert np.median(error) < 1e-4


@pytest.mark.parametrize(
    ("kernel", "worst", "typical"),
    [
        (Epanechnikov("14 deg"), 0.01, 1e-3),
        (Moffat("9.5 deg"), 0.002, 3e-4),
        # What lies at a step counts or does not: one star is some per cent of those in the ring.
        (TopHat("14 deg"), 0.06, 0.008),
        (Annulus("8 deg", "16 deg"), 0.09, 0.012),
        (Gaussian("4 deg") + 0.5 * TopHat("14 deg"), 0.03, 0.003),
    ],
    ids=repr,
)
def test_every_radial_kernel_is_right_on_the_sphere(stars, kernel, worst, typical):
    skymap = sky_map(stars, wcs=SKIES["AIT"], kernel=kernel, geometry="sphere")
    rows, columns, centres = sample(skymap)
    expected = sum(factor * exact(term, stars, centres) for factor, term in kernel.terms)
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    error = np.abs(found / expected - 1)
    assert error.max() < worst
    assert np.median(error) < typical


@pytest.mark.parametrize(
    "kernel",
    [
        TopHat("5 deg"),
        TopHat("20 deg"),
        Annulus("8 deg", "16 deg"),
        Epanechnikov("10 deg"),
        Moffat("5 deg"),
        Gaussian("60 deg"),
        Gaussian("120 deg"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("sky", ["AIT", "CAR"])
def test_every_radial_kernel_keeps_the_number_of_stars(stars, kernel, sky):
    skymap = sky_map(stars, wcs=SKIES[sky], kernel=kernel, statistic="count", geometry="sphere")
    assert np.nansum(skymap.data) == pytest.approx(len(stars), rel=1e-3)


def test_a_difference_of_kernels_is_the_difference_of_the_maps(stars):
    wcs = SKIES["MOL"]
    narrow, wide = (sky_map(stars, wcs=wcs, kernel=k).data for k in ("4 deg", "15 deg"))
    both = sky_map(stars, wcs=wcs, kernel=Gaussian("4 deg") - Gaussian("15 deg")).data
    np.testing.assert_allclose(both, narrow - wide, atol=1e-12 * np.nanmax(narrow))


PLACES = {
    "pole": (0, 90),
    "near a pole": (200, 89.3),
    "0h": (0, 20.3),
    "Galactic pole": (192.859, 27.23),
    "middle of the galaxy": (266.4, -28.9),
    "edge of the map": (86.4, 28.9),
}


LONG = {
    # Pixels of half a degree at the poles, those of a quarter of a degree where pixels are merged.
    "MOL": all_sky_wcs(GALACTIC, 0.5 * u.deg, "MOL"),
    "AIT": all_sky_wcs(GALACTIC, 0.5 * u.deg, "AIT"),
    "ZEA": zenithal("ZEA", size=116, center=(266, -29)),
}


def test_long_pixels_are_right_for_many_sources_that_are_spread_over_the_kernel():
    """A wave of them about a pole, beside which pixels of a MOL are longer than the kernel."""
    wcs, rng = LONG["MOL"], np.random.default_rng(8)
    lon, lat = rng.uniform(0, 360, 40_000), 90 - 8 * np.sqrt(rng.uniform(0, 1, 40_000))
    lon = lon[keep := rng.uniform(0, 1, 40_000) < 0.6 + 0.4 * np.cos(np.radians(40 * (90 - lat)))]
    stars = SkyCoord(lon, lat[keep], unit="deg", frame="galactic").icrs
    skymap = sky_map(stars, wcs=wcs, kernel="1 deg")
    rows, columns = np.nonzero(~skymap.mask)
    centres = skymap.wcs.pixel_to_world(columns, rows)
    near = np.isfinite(centres.l) & (centres.b > 84 * u.deg)
    expected = exact(Gaussian("1 deg"), stars, centres[near])
    found = (skymap.data[rows, columns][near] * skymap.unit).to_value(u.sr**-1)
    error = np.abs(found / expected - 1)
    assert len(error) > 300
    assert error.max() < 1e-3
    assert np.median(error) < 1e-4


def test_rings_without_points_give_nothing():
    waves, has_points = np.zeros((6, 2, 4)), np.zeros(6, bool)
    waves[4], has_points[4] = 1.0, True
    transfer = np.full((2, 4), 2.0)
    transfer[0] = np.nan  # of rings 0 and 1, and 5 and 4
    result = np.zeros(waves.shape)
    loader.run("add_rings", waves, has_points, transfer, 0, 1, result)
    assert np.isnan(result[5]).all()
    assert np.isfinite(result[:5]).all()
    assert (result[3] == 2.0).all()  # ring 1 with ring 2, in the other hemisphere


def shifted(code, pixel, shift):
    """Return the WCS of the whole sky whose middle is not in that of a pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = [f"GLON-{code}", f"GLAT-{code}"], [-pixel, pixel]
    nx, ny = int(364 / pixel) + 4, int(184 / pixel) + 4
    wcs.wcs.crpix, wcs.pixel_shape = [nx / 2 + shift[0], ny / 2 + shift[1]], (nx, ny)
    return wcs


@pytest.mark.parametrize(
    ("code", "pixel", "sigma"), [("MOL", 1.0, 2.1), ("MOL", 2.0, 4.1), ("CEA", 1.0, 3.0)]
)
def test_a_uniform_sky_is_flat_where_pixels_are_longer_than_the_kernel_is_wide(code, pixel, sigma):
    healpy = pytest.importorskip("healpy")
    lon, lat = healpy.pix2ang(128, np.arange(12 * 128**2), lonlat=True)
    skymap = sky_map(
        lon, lat, frame="galactic", wcs=shifted(code, pixel, (0.3, 0.4)), kernel=sigma * u.deg
    )
    flat = (skymap.data * skymap.unit).to_value(u.sr**-1) / (12 * 128**2 / (4 * np.pi))
    np.testing.assert_allclose(flat[~skymap.mask], 1, atol=3e-3)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_smallest_fields_are_smoothed_on_the_sphere_where_that_is_asked_for(size):
    wcs = field_wcs(SkyCoord(20, 60, unit="deg"), size / 200 * u.deg, 0.01 * u.deg, "TAN")
    kernel = Moffat("0.2 deg", beta=20)
    sphere, plane = (
        sky_map([20.0, 20.1], [60, 60], wcs=wcs, kernel=kernel, geometry=geometry)
        for geometry in ("sphere", "plane")
    )
    np.testing.assert_allclose(sphere.data, plane.data, rtol=2e-3)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("weights", [None, np.arange(20_000.0)], ids=["counts", "weights"])
def test_points_beyond_a_lattice_are_left_out_of_it_by_compiled_code_too(order, weights):
    rng = np.random.default_rng(2)
    lon = rng.uniform(-180, 180, 20_000)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    # Some of them above and below it, some to its sides.
    lon[:5000] /= 20
    lattice = Lattice.covering(0.2, 0.3, 0.1, 0.02)
    assert not lattice.has_poles
    ours, judge = PointSpread(lattice, order), PointSpread(lattice, order)
    ours.add_compiled(lon, lat, weights, np.eye(3), Team(2))
    judge.add(np.radians(lon), np.radians(lat), weights)
    assert judge.bins.sum() > 100
    np.testing.assert_allclose(ours.bins, judge.bins, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.total, judge.total, rtol=1e-9, atol=1e-9)


def smoothed(lattice, bins, kernel):
    """Return the coefficients of the splines that bins, smoothed with a kernel, are the sum of."""
    framed = rings.RingWaves(lattice, bins, kernel.spline_order).smoothed(kernel).coefficients
    return framed[PAD:-PAD, PAD:-PAD]


def sample_bins(lattice):
    return np.random.default_rng(1).poisson(3, (lattice.rings, lattice.columns)).astype(float)


@pytest.mark.parametrize(
    ("near", "half"),
    [(1, 20), (2, 20), (20, 20), (21, 20), (60, 120), (61, 120), (121, 120), (7, 4000), (30, 4000)],
)
def test_the_transform_of_an_even_function_is_the_same_by_a_matrix_and_by_fft(near, half):
    values = np.random.default_rng(0).normal(size=(7, near))
    padded = np.pad(values, ((0, 0), (0, half + 1 - near)))
    even = np.concatenate([padded, padded[:, -2:0:-1]], axis=1)
    ours = rings._cosine_transform(values, half)
    np.testing.assert_allclose(ours, np.fft.rfft(even, axis=1).real, rtol=0, atol=1e-12)


def test_the_prefilter_along_the_meridians_goes_on_beyond_the_poles():
    waves = np.random.default_rng(3).normal(size=(120, 2, 7))
    turn = np.where(np.arange(7) % 2, -1.0, 1.0)
    circle = np.concatenate([waves, turn * waves[::-1]])
    expected = spline_filter1d(circle, 3, axis=0, mode="grid-wrap")[:120]
    rings._prefilter(waves, turn)
    np.testing.assert_allclose(waves, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("rings_with", [120, 3, 1])
def test_the_prefilter_is_the_same_in_compiled_code(rings_with):
    waves = np.random.default_rng(3).normal(size=(rings_with, 2, 301))
    turn = np.where(np.arange(301) % 2, -1.0, 1.0)
    lattice = Lattice.whole(Gaussian("5 deg").bin_size)
    empty = rings.RingWaves(lattice, np.zeros((lattice.rings, lattice.columns)), 3, Team(2))
    empty._turn = turn
    results = []
    for answer in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rings, "should_compile", lambda _, answer=answer: answer)
            results.append(waves.copy())
            every = np.ones(rings_with, bool)
            empty._prefilter(results[-1], every)
    np.testing.assert_allclose(*results, rtol=1e-12, atol=1e-14)
    assert np.abs(results[0] - waves).max() > 0.1


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("kernel", [Gaussian("3 deg"), TopHat("3 deg")], ids=repr)
def test_rings_without_points_nearby_make_no_difference(kernel, is_compiled, monkeypatch):
    monkeypatch.setattr(rings, "should_compile", lambda _: is_compiled)
    lattice = Lattice.whole(kernel.bin_size)
    bins = sample_bins(lattice)
    total = np.zeros(bins.shape)
    edges = np.array([0, 0.07, 0.4, 0.41, 0.9, 1]) * lattice.rings
    for start, stop in itertools.pairwise(edges.astype(int)):
        some = np.zeros(bins.shape)
        some[start:stop] = bins[start:stop]
        part = smoothed(lattice, some, kernel)
        total += part
        reach = kernel.reach / lattice.lat_step + 2 * rings.FAR + 2
        assert not part[: max(int(start - reach), 0)].any()
        assert not part[int(stop + reach) :].any()
    expected = smoothed(lattice, bins, kernel)
    np.testing.assert_allclose(total, expected, rtol=0, atol=1e-10 * expected.max())


@pytest.mark.parametrize("step", [1.5, 1.4])
def test_rings_add_up_to_the_same_in_compiled_code(step, monkeypatch):
    lattice, kernel = Lattice.whole(np.radians(step)), Gaussian("20 deg")
    results = []
    for is_worth in (True, False):
        monkeypatch.setattr(rings, "should_compile", lambda _, answer=is_worth: answer)
        results.append(smoothed(lattice, sample_bins(lattice), kernel))
    np.testing.assert_allclose(*results, rtol=1e-12)


@pytest.mark.parametrize("place", ["0h", "edge of the map", "Galactic pole"])
def test_a_kernel_with_steps_keeps_its_height_with_few_pixels(place):
    source = SkyCoord(*PLACES[place], unit="deg")
    skymap = sky_map(source.reshape(1), wcs=SKIES["AIT"], kernel=TopHat("6 deg"))
    height = 1 / (2 * np.pi * (1 - np.cos(np.radians(6))))
    peak = (np.nanmax(skymap.data) * skymap.unit).to_value(u.sr**-1)
    assert peak == pytest.approx(height, rel=2e-3)


def test_the_edge_of_a_field_is_no_place_to_even_out():
    """What lies beyond is lost, not moved: a field in the middle of a map has the map's values."""
    sources = [13.1, 9.9, 28.5], [1.2, -4.4, 11.0]
    field, wide = (
        sky_map(*sources, wcs=zenithal("ARC", size=size, center=(10, 0)), kernel=2 * PIXEL)
        for size in (20, 120)
    )
    assert field.meta["geometry"] == wide.meta["geometry"] == "sphere"
    core = np.s_[50:70, 50:70]
    near = field.data > 1e-3 * field.data.max()
    np.testing.assert_allclose(field.data[near], wide.data[core][near], rtol=1e-3)


@pytest.mark.parametrize("sky", SKIES)
def test_a_uniform_sky_is_flat_to_the_rim_and_the_poles(sky):
    healpy = pytest.importorskip("healpy")
    lon, lat = healpy.pix2ang(64, np.arange(12 * 64**2), lonlat=True)
    skymap = sky_map(lon, lat, wcs=SKIES[sky], kernel="5 deg")
    flat = (skymap.data * skymap.unit).to_value(u.sr**-1) / (12 * 64**2 / (4 * np.pi))
    np.testing.assert_allclose(flat[~skymap.mask], 1, atol=3e-3)
    assert np.median(np.abs(flat[~skymap.mask] - 1)) < 1e-3


@pytest.mark.parametrize("sigma", [4, 10])
def test_a_gaussian_map_is_that_of_harmonic_smoothing(stars, sigma):
    """Smooth in harmonic space with ducc0: exact for points, and unlike anything done here."""
    ducc0 = pytest.importorskip("ducc0")
    lmax = int(6 * 57.3 / sigma)
    colatitude = np.stack([np.pi / 2 - stars.dec.rad, stars.ra.rad], axis=1)
    common = {"spin": 0, "lmax": lmax, "epsilon": 1e-10}
    ones = np.ones((1, len(colatitude)))
    alm = ducc0.sht.adjoint_synthesis_general(map=ones, loc=colatitude, **common)
    theta = (np.arange(50_000) + 0.5) * np.pi / 50_000
    profile = np.exp(-0.5 * (theta / np.radians(sigma)) ** 2) * np.sin(theta)
    legendre = np.polynomial.legendre.legvander(np.cos(theta[::10]), lmax)
    beam = (legendre * profile[::10, None]).sum(axis=0) / profile[::10].sum()
    degree = np.concatenate([np.arange(m, lmax + 1) for m in range(lmax + 1)])
    skymap = sky_map(stars, wcs=SKIES["MOL"], kernel=sigma * u.deg)
    rows, columns, centres = sample(skymap, 2000)
    centres = centres.icrs
    where = np.stack([np.pi / 2 - centres.dec.rad, centres.ra.rad], axis=1)
    expected = ducc0.sht.synthesis_general(alm=alm * beam[degree], loc=where, **common)[0]
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    error = np.abs(found / expected - 1)
    assert error.max() < 1e-3
    assert np.median(error) < 1e-4


def test_a_gaussian_map_is_that_of_healpy(stars):
    healpy = pytest.importorskip("healpy")
    nside, sigma = 128, 5 * u.deg
    pixels = healpy.ang2pix(nside, stars.ra.deg, stars.dec.deg, lonlat=True)
    counts = np.bincount(pixels, minlength=12 * nside**2).astype(float)
    smooth = healpy.smoothing(counts, sigma=sigma.to_value(u.rad))
    skymap = sky_map(stars, wcs=SKIES["CAR"], kernel=sigma)
    rows, columns, centres = sample(skymap, 2000)
    there = centres.icrs
    expected = healpy.get_interp_val(smooth, there.ra.deg, there.dec.deg, lonlat=True)
    expected /= healpy.nside2pixarea(nside)
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.01 * expected.mean())


def test_sources_across_the_edge_of_the_map_are_one():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["GLON-CAR", "GLAT-CAR"], [-0.25, 0.25]
    wcs.wcs.crpix, wcs.pixel_shape = [720.5, 8.5], (1440, 16)
    lon = np.full(100, 179.999)
    peaks = [
        np.nanmax(sky_map(lon + shift, 0 * lon, wcs=wcs, frame="galactic", kernel="0.5 deg").data)
        for shift in (-90, 0.002)
    ]
    assert peaks[1] == pytest.approx(peaks[0], rel=1e-3)
    skymap = sky_map(lon, 0 * lon, wcs=wcs, frame="galactic", kernel="0.5 deg")
    assert skymap.value_at(-179.9, 0.1).value > 0.9 * peaks[0]


def test_weights_and_counts_are_smoothed_alike(stars):
    options = {"wcs": SKIES["MOL"], "kernel": 6 * u.deg}
    density = sky_map(stars, **options)
    weighted = sky_map(stars, weights=np.full(len(stars), 2.5) * u.Jy, **options)
    assert weighted.unit == u.Jy * density.unit
    np.testing.assert_allclose(weighted.data, 2.5 * density.data, rtol=1e-9)
    counts = sky_map(stars, statistic="count", **options)
    expected = (density.data * density.unit * density.solid_angle).to_value("")
    np.testing.assert_allclose(counts.data, expected, rtol=1e-12)
    assert counts.counts.sum() == len(stars)


def test_a_kernel_narrower_than_a_pixel_is_averaged_over_it(stars):
    wcs = all_sky_wcs(GALACTIC, 8 * u.deg, "CAR")
    sigma = 3 * u.deg
    skymap = sky_map(stars, wcs=wcs, kernel=sigma, geometry="sphere")
    row, column = 12, 20
    i, j = np.meshgrid((np.arange(40) + 0.5) / 40 - 0.5, (np.arange(40) + 0.5) / 40 - 0.5)
    within = skymap.wcs.pixel_to_world(column + i.ravel(), row + j.ravel())
    expected = exact(Gaussian(sigma), stars, within).mean()
    found = (skymap.data[row, column] * skymap.unit).to_value(u.sr**-1)
    assert found == pytest.approx(expected, rel=0.03)


def test_a_field_needs_a_window_of_the_lattice_only():
    window = Lattice.covering(*np.radians([15, 15, 2.5, 0.2]))
    whole = Lattice.whole(np.radians(0.2))
    assert window.rings * window.columns < 0.06 * whole.rings * whole.columns
    assert Lattice.covering(*np.radians([84, 15, 2.5, 0.2])) == whole
    assert Lattice.covering(*np.radians([30, 160, 2.5, 0.2])) == whole


@pytest.mark.filterwarnings("ignore:the kernel is .* pixels wide")
def test_small_fields_stay_on_the_plane_and_say_why():
    skymap = sky_map([20], [60], wcs=SKIES["CAR"], kernel="1 arcmin")
    assert (skymap.meta["geometry"], skymap.meta["planeerr"] > 0.01) == ("plane", True)
    assert skymap.meta["reason"] == "the kernel is narrower than a pixel"
    wcs = field_wcs(SkyCoord(20, 60, unit="deg"), 1 * u.deg, 2 * u.arcmin, "TAN")
    skymap = sky_map([20], [60], wcs=wcs, kernel="6 arcmin")
    assert skymap.meta["geometry"] == "plane"
    assert skymap.meta["reason"].startswith("one pixel scale is right to 0.")
    assert sky_map([20], [60], wcs=wcs).meta["reason"] == "no kernel"


def test_plane_and_sphere_agree_on_a_small_field(stars):
    wcs = field_wcs(SkyCoord(20, 89, unit="deg"), 2 * u.deg, 4 * u.arcmin, "TAN")
    plane, sphere = (
        sky_map(stars, wcs=wcs, kernel="15 arcmin", geometry=geometry)
        for geometry in ("plane", "sphere")
    )
    assert sphere.meta["reason"] == "asked for"
    np.testing.assert_allclose(sphere.data, plane.data, atol=0.02 * plane.data.max())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kernel": 2 * u.pix}, "needs a kernel in angle, as one in map pixels has no size"),
        ({"kernel": Gaussian2DKernel(2)}, "needs a kernel in angle"),
        ({"kernel": "5 deg", "boundary": "wrap"}, "needs boundary='sky', as 'wrap' is about"),
        ({}, "needs a kernel; take geometry='plane'"),
    ],
)
def test_what_has_no_meaning_on_the_sphere_is_refused(options, text):
    with pytest.raises(ValueError, match=f"geometry='sphere' {text}"):
        sky_map([1], [2], wcs=SKIES["AIT"], geometry="sphere", **options)
    with pytest.raises(ValueError, match="'sphere' is for positions on the sky"):
        sky_map([1], [2], frame="flat", kernel=2 * u.pix, geometry="sphere")


@pytest.mark.filterwarnings("ignore:the kernel is .* pixels wide")
def test_a_kernel_too_narrow_for_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("mpl_skyheat.sky.geometry.allowed_bytes", lambda: 1e9)
    with pytest.raises(ValueError, match=r"kernel is too narrow for so much sky: .* bins and"):
        sky_map([1], [2], wcs=SKIES["AIT"], kernel="1 arcmin", geometry="sphere")


@pytest.mark.parametrize("projection", ["AIT", "CAR", "ZEA", "TAN"])
def test_mean_over_a_wide_pixel_is_that_of_the_great_circle_sum(projection):
    """The oracle: the sum over points in 25² places of equal steps, weighed by their areas."""
    wcs = WCS({"CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}"})
    wcs.wcs.cdelt, wcs.wcs.crpix, wcs.wcs.crval = [-4, 4], [4.5, 4.5], [0, 0]
    lon, lat = np.array([3.0, 355.0, 8.1, 9.9]), np.array([2.0, 4.1, -9.0, 9.9])
    made = sky_map(lon, lat, wcs=wcs, shape=(8, 8), kernel="1 deg", geometry="sphere")
    assert made.meta["inside"] == 4
    fine = (np.arange(25) + 0.5) / 25 - 0.5
    y, x = np.indices((8, 8)).reshape(2, -1, 1, 1)
    x, y = np.broadcast_arrays(x + fine, y + fine[:, np.newaxis])
    step = 1e-3
    here, right, up = (
        SkyCoord(*wcs.wcs_pix2world(x + dx, y + dy, 0), unit="deg").cartesian.xyz.value
        for dx, dy in ((0, 0), (step, 0), (0, step))
    )
    areas = np.linalg.norm(np.cross(right - here, up - here, axis=0), axis=0)
    points = SkyCoord(lon, lat, unit="deg").cartesian.xyz.value.T
    sigma = np.radians(1.0)
    kernel = Gaussian("1 deg")
    values = np.zeros(x.shape)
    for point in points:
        r = 2 * np.arcsin(0.5 * np.linalg.norm(np.moveaxis(here, 0, -1) - point, axis=-1))
        values += np.where(r <= 5 * sigma, np.exp(-0.5 * (r / sigma) ** 2), 0) / kernel.integral
    means = ((areas * values).sum(axis=(1, 2)) / areas.sum(axis=(1, 2))).reshape(8, 8)
    found = made.to("sr-1").data
    np.testing.assert_allclose(found, means, atol=5e-4 * means.max())


@pytest.mark.parametrize(("projection", "worst"), [("AIT", 0.04), ("MOL", 0.04)])
def test_mean_over_the_sky_of_pixels_at_the_rim_is_that_of_the_kernel_in_them(projection, worst):
    """The oracle: how much of the sources, spread by the kernel at random, is in each pixel."""
    rng = np.random.default_rng(3)
    wcs = WCS({"CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}"})
    wcs.wcs.cdelt, wcs.wcs.crpix, wcs.wcs.crval = [-6, 6], [32.8, 17.7], [0, 0]
    lon = np.repeat(rng.uniform(150, 210, 40), 20_000)
    lat = np.repeat(np.degrees(np.arcsin(rng.uniform(-1, 1, 40))), 20_000)
    sources = SkyCoord(lon, lat, unit="deg")
    made = sky_map(sources[::20_000], wcs=wcs, shape=(35, 64), kernel="1.2 deg", geometry="sphere",
                   unit="sr-1")  # fmt: skip
    away = np.radians(1.2) * np.sqrt(-2 * np.log(1 - (1 - np.exp(-12.5)) * rng.random(len(lon))))
    spread = sources.directional_offset_by(rng.uniform(0, 360, len(lon)) * u.deg, away * u.rad)
    column, row = (np.floor(np.array(v) + 0.5).astype(int) for v in wcs.world_to_pixel(spread))
    share = np.zeros(made.data.shape)
    np.add.at(share, (row, column), 1 / 20_000)
    y, x = np.nonzero(made.solid_angle.value > 0.01 * np.radians(6) ** 2)
    off = ~np.isfinite(wcs.wcs_pix2world(x, y, 0)[0])
    y, x = y[off], x[off]
    assert len(x) > 30
    expected = share[y, x] / made.solid_angle.value[y, x]
    # (Counts of the oracle scatter by a percent.)
    np.testing.assert_allclose(made.data[y, x], expected, atol=worst * np.nanmax(made.data))
