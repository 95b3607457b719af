"""Smoothed maps against scipy, astropy, gammapy and sums over great-circle separations."""

import re
import sys
import warnings

import astropy.units as u
import numpy as np
import pytest
import scipy.fft
from astropy.convolution import Box2DKernel, Gaussian2DKernel, convolve
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from scipy.ndimage import gaussian_filter

from mpl_skyheat import Annulus, Epanechnikov, Gaussian, Moffat, TopHat, sky_map
from mpl_skyheat.smoothing import plane as smoothing
from mpl_skyheat.smoothing.plane import ImageTransforms, fast_length

CENTRE = SkyCoord(150.1, 62.2, unit="deg")


def make_wcs(shape, cdelt, projection="TAN", centre=CENTRE, shift=(0, 0)):
    """A map of (ny, nx) pixels of cdelt around a centre."""
    ny, nx = shape
    return WCS(
        {
            "CTYPE1": f"RA---{projection}",
            "CTYPE2": f"DEC--{projection}",
            "CRVAL1": centre.ra.deg,
            "CRVAL2": centre.dec.deg,
            "CRPIX1": (nx + 1) / 2 + shift[0],
            "CRPIX2": (ny + 1) / 2 + shift[1],
            "CDELT1": -u.Quantity(cdelt).to_value(u.deg),
            "CDELT2": u.Quantity(cdelt).to_value(u.deg),
        }
    )


def random_cap(radius, n, seed):
    """Uniform random points within a radius of the centre."""
    rng = np.random.default_rng(seed)
    cosines = rng.uniform(np.cos(u.Quantity(radius).to_value(u.rad)), 1, n)
    return CENTRE.directional_offset_by(rng.uniform(0, 360, n) * u.deg, np.arccos(cosines) * u.rad)


def lattice_cap(radius, n):
    """The same density of points everywhere within a radius of the centre, on a Fibonacci spiral.

    Also returned: the density, per sr.
    """
    height = 1 - np.cos(u.Quantity(radius).to_value(u.rad))
    i = np.arange(n) + 0.5
    angle = np.pi * (1 + np.sqrt(5)) * i * u.rad
    points = CENTRE.directional_offset_by(angle, np.arccos(1 - height * i / n) * u.rad)
    return points, n / (2 * np.pi * height)


def great_circle_density(points, positions, sigma):
    """The sum of exact Gaussians of unit integral over all points, per sr."""
    sigma = u.Quantity(sigma).to_value(u.rad)
    stars = points.cartesian.xyz.value
    density = []
    for position in positions.cartesian.xyz.value.T:
        # |a - b| = 2 sin(separation / 2)
        half = 0.5 * np.linalg.norm(stars - position[:, np.newaxis], axis=0)
        density.append(np.exp(-0.5 * (2 * np.arcsin(np.minimum(half, 1)) / sigma) ** 2).sum())
    return np.array(density) / (2 * np.pi * sigma**2)


def flat_points(n=1500, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.gamma(2.0, size=n)


def test_origin_fact_1_the_value_at_one_position():
    rng = np.random.RandomState(1234)  # np.random.seed(1234)
    x, y = rng.randn(1000), rng.randn(1000)
    skymap = sky_map(
        x, y, frame="flat", bins=100, kernel=1 * u.pix, boundary="reflect", statistic="count"
    )
    assert skymap.value_at(0.5413, 1.4404).value == pytest.approx(0.3838459056857143, abs=1e-14)


@pytest.mark.parametrize("bins", [100, (40, 70)])
@pytest.mark.parametrize("boundary", ["fill", "wrap"])
@pytest.mark.parametrize("kernel", [Gaussian2DKernel(2), Gaussian2DKernel(1, 3, 0.4)])
def test_origin_fact_2_boundaries_are_those_of_astropys_convolve(kernel, boundary, bins):
    x, y = flat_points()
    histogram, _, _ = np.histogram2d(x, y, bins=bins)
    expected = convolve(histogram.T, kernel, boundary=boundary)
    found = sky_map(
        x, y, frame="flat", bins=bins, kernel=kernel, boundary=boundary, statistic="count"
    )
    np.testing.assert_allclose(found.data, expected, rtol=0, atol=1e-10)


def test_a_kernel_without_symmetry_is_not_turned_round():
    x, y = flat_points()
    kernel = np.array([[0, 0, 5], [1, 2, 0], [0, 0, 0]]) / 8
    histogram, _, _ = np.histogram2d(x, y, bins=30)
    found = sky_map(x, y, frame="flat", bins=30, kernel=kernel, boundary="fill", statistic="count")
    np.testing.assert_allclose(found.data, convolve(histogram.T, kernel), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("boundary", "mode"), [("reflect", "reflect"), ("wrap", "wrap"), ("fill", "constant")]
)
@pytest.mark.parametrize(
    # The last of them reaches beyond the far side of the map.
    ("bins", "sigma"),
    [((50, 30), 1.0), ((50, 30), 2.5), ((40, 70), 3.0), ((20, 13), 6.0)],
)
def test_boundaries_are_those_of_scipys_gaussian_filter(bins, sigma, boundary, mode):
    x, y = flat_points()
    histogram, _, _ = np.histogram2d(x, y, bins=bins)
    radius = int(np.ceil(8 * sigma)) // 2
    expected = gaussian_filter(histogram.T, sigma, mode=mode, radius=radius)
    found = sky_map(
        x, y, frame="flat", bins=bins, kernel=sigma * u.pix, boundary=boundary, statistic="count"
    )
    np.testing.assert_allclose(found.data, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("boundary", ["fill", "wrap", "reflect"])
def test_boundaries_on_the_sky_are_those_of_the_pixels(boundary):
    shape = (40, 55)
    wcs = make_wcs(shape, 1 * u.arcmin)
    stars = random_cap(1 * u.deg, 4000, seed=2)
    options = {"wcs": wcs, "shape": shape, "kernel": 2 * u.pix, "boundary": boundary}
    counts = sky_map(stars, **options, statistic="count")
    mode = "constant" if boundary == "fill" else boundary
    expected = gaussian_filter(counts.counts.astype(float), 2, mode=mode)
    np.testing.assert_allclose(counts.data, expected, rtol=0, atol=1e-10)
    density = sky_map(stars, **options)
    expected = expected / counts.solid_angle.to_value(1 / density.unit)
    np.testing.assert_allclose(density.data, expected, rtol=1e-9)


@pytest.mark.parametrize("pixel_size", [None, 0.8 * u.arcmin])
def test_smoothing_is_the_sum_over_great_circles_up_to_the_edge(pixel_size):
    shape, sigma = (120, 120), 6 * u.arcmin
    wcs = make_wcs(shape, 1 * u.arcmin)
    stars = random_cap(2.3 * u.deg, 300_000, seed=3)
    # Three times as dense at one side of the field as at the other.
    offset = CENTRE.spherical_offsets_to(stars)[0].deg
    stars = stars[np.random.default_rng(4).random(len(stars)) < 0.5 + 0.25 * offset.clip(-1, 1)]
    skymap = sky_map(stars, wcs=wcs, shape=shape, kernel=sigma, pixel_size=pixel_size)

    ny, nx = skymap.data.shape
    x, y = np.meshgrid(
        np.linspace(0, nx - 1, 15).astype(int), np.linspace(0, ny - 1, 15).astype(int)
    )
    x, y = x.ravel(), y.ravel()
    expected = great_circle_density(stars, skymap.wcs.pixel_to_world(x, y), sigma)
    assert (4 * np.pi * sigma.to_value(u.rad) ** 2 * expected).min() > 400  # sources in a kernel
    found = (skymap.data[y, x] * skymap.unit).to_value(u.sr**-1)
    np.testing.assert_allclose(found, expected, rtol=0.01)


@pytest.mark.filterwarnings("ignore:none of the")
@pytest.mark.parametrize(
    "kernel",
    [Gaussian("6 arcmin"), TopHat("15 arcmin"), Epanechnikov("15 arcmin"), Moffat("14 arcmin")],
    ids=repr,
)
def test_points_just_outside_the_view_are_seen_from_within(kernel):
    shape = (41, 41)
    wcs = make_wcs(shape, 2 * u.arcmin)
    outside = wcs.pixel_to_world([43.0], [20.0])  # three pixels off the right-hand edge
    skymap = sky_map(outside, wcs=wcs, shape=shape, kernel=kernel, unit="arcmin-2")
    assert skymap.meta["outside"] == 1
    assert skymap.counts.sum() == 0
    # It is what is seen of a source at the same distance inside.
    inside = wcs.pixel_to_world([37.0], [20.0])
    mirrored = sky_map(inside, wcs=wcs, shape=shape, kernel=kernel, unit="arcmin-2")
    assert skymap.data[20, 40] > 0
    np.testing.assert_allclose(skymap.data[:, 40], mirrored.data[:, 40], rtol=1e-3, atol=1e-12)


@pytest.mark.filterwarnings("ignore:none of the")
def test_a_source_outside_the_view_has_its_gaussian_inside():
    shape = (41, 41)
    wcs = make_wcs(shape, 2 * u.arcmin)
    outside = wcs.pixel_to_world([43.0], [20.0])
    skymap = sky_map(outside, wcs=wcs, shape=shape, kernel="6 arcmin", unit="arcmin-2")
    expected = np.exp(-0.5 * (2 * np.arange(3, 14) / 6) ** 2) / (2 * np.pi * 36)
    np.testing.assert_allclose(skymap.data[20, 40:29:-1], expected, rtol=2e-3)


def uniform_sources(wcs, shape, reach):
    """One source in every pixel of a field and of a margin, and the pixels' solid angles."""
    ny, nx = shape
    x, y = np.meshgrid(np.arange(-reach, nx + reach), np.arange(-reach, ny + reach))
    wide = wcs.deepcopy()
    wide.wcs.crpix = wcs.wcs.crpix + reach
    area = sky_map([], [], wcs=wide, shape=x.shape).solid_angle
    return wcs.pixel_to_world(x, y), area.to_value(u.arcmin**2)


KERNELS = [
    Gaussian("4 arcmin"),
    TopHat("12 arcmin"),
    Annulus("5 arcmin", "12 arcmin"),
    Gaussian("4 arcmin") + Epanechnikov("9 arcmin"),
    Gaussian(2 * u.pix),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_a_uniform_field_is_flat_to_its_edge(kernel):
    shape = (50, 64)
    wcs = make_wcs(shape, 2 * u.arcmin)
    sources, area = uniform_sources(wcs, shape, 12)
    skymap = sky_map(
        sources.ravel(), weights=area.ravel(), wcs=wcs, shape=shape, kernel=kernel, unit="arcmin-2"
    )
    parts = sum(factor for factor, _ in kernel.terms)
    np.testing.assert_allclose(skymap.data, parts, rtol=1e-9)


def test_a_difference_of_gaussians_of_a_uniform_field_is_zero_to_the_edge():
    shape = (50, 64)
    wcs = make_wcs(shape, 2 * u.arcmin)
    sources, area = uniform_sources(wcs, shape, 25)
    skymap = sky_map(
        sources.ravel(),
        weights=area.ravel(),
        wcs=wcs,
        shape=shape,
        kernel=Gaussian("3 arcmin") - Gaussian("9 arcmin"),
        unit="arcmin-2",
    )
    np.testing.assert_allclose(skymap.data, 0, atol=1e-10)


def test_a_lattice_of_points_on_the_sphere_is_flat_to_the_edge_of_a_field():
    shape = (60, 60)
    points, density = lattice_cap(3 * u.deg, 200_000)
    skymap = sky_map(points, wcs=make_wcs(shape, 2 * u.arcmin), shape=shape, kernel="8 arcmin")
    flat = (skymap.data * skymap.unit).to_value(u.sr**-1) / density
    np.testing.assert_allclose(flat, 1, atol=0.005)


def test_a_random_uniform_field_is_as_bright_at_its_edge_as_in_its_middle():
    shape = (60, 60)
    n = 300_000
    points = random_cap(3 * u.deg, n, seed=5)
    skymap = sky_map(points, wcs=make_wcs(shape, 2 * u.arcmin), shape=shape, kernel="8 arcmin")
    flat = skymap.data / np.median(skymap.data)
    edge = np.ones(shape, bool)
    edge[1:-1, 1:-1] = False
    # Each value has the noise of 4 pi sigma² sources, 2400 of them.
    assert flat[edge].mean() == pytest.approx(flat[~edge].mean(), abs=0.01)
    assert abs(flat[edge] - 1).max() < 0.1


def test_a_uniform_sky_is_flat_to_the_rim_of_an_all_sky_map():
    shape = (60, 110)
    n = 400_000
    points, density = lattice_cap(180 * u.deg, n)
    wcs = make_wcs(shape, 3 * u.deg, "AIT", SkyCoord(0, 0, unit="deg"))
    with pytest.warns(AstropyUserWarning, match="too wide to be smoothed on the plane"):
        skymap = sky_map(points, wcs=wcs, shape=shape, kernel="8 deg", geometry="plane")
    flat = (skymap.data * skymap.unit).to_value(u.sr**-1) / density
    on_sky = np.isfinite(flat)
    # An ellipse of half-axes 2 √2 and √2 rad.
    assert on_sky.sum() == pytest.approx(4 * np.pi / np.radians(3) ** 2, rel=0.05)
    np.testing.assert_allclose(flat[on_sky], 1, atol=0.02)


@pytest.mark.parametrize("pixel_size", [None, 3 * u.arcmin])
def test_an_unsmoothed_density_times_the_solid_angle_is_the_count(pixel_size):
    shape = (50, 64)
    wcs = make_wcs(shape, 2 * u.arcmin)
    stars = random_cap(2 * u.deg, 5000, seed=6)
    skymap = sky_map(stars, wcs=wcs, shape=shape, pixel_size=pixel_size)
    counts = (skymap.data * skymap.unit * skymap.solid_angle).to_value("")
    np.testing.assert_allclose(counts, skymap.counts, rtol=1e-12, atol=1e-12)
    counts = sky_map(stars, wcs=wcs, shape=shape, pixel_size=pixel_size, statistic="count")
    assert counts.unit == u.dimensionless_unscaled
    np.testing.assert_array_equal(counts.data, skymap.counts)


@pytest.mark.parametrize("boundary", ["sky", "fill", "reflect"])
def test_a_smoothed_density_times_the_solid_angle_is_the_smoothed_count(boundary):
    shape = (50, 64)
    stars = random_cap(2 * u.deg, 5000, seed=6)
    options = {
        "wcs": make_wcs(shape, 2 * u.arcmin),
        "shape": shape,
        "kernel": "6 arcmin",
        "boundary": boundary,
    }
    density = sky_map(stars, **options)
    count = sky_map(stars, **options, statistic="count")
    found = (density.data * density.unit * density.solid_angle).to_value("")
    np.testing.assert_allclose(found, count.data, rtol=1e-12)


@pytest.mark.parametrize("kernel", [*KERNELS[:3], Moffat("8 arcmin"), "1 arcmin", 0.3 * u.pix])
def test_an_isolated_source_integrates_to_one(kernel):
    shape = (61, 61)
    wcs = make_wcs(shape, 2 * u.arcmin)
    source = wcs.pixel_to_world([31.0], [27.0])
    skymap = sky_map(source, wcs=wcs, shape=shape, kernel=kernel)
    total = (skymap.data * skymap.unit * skymap.solid_angle).to_value("").sum()
    assert total == pytest.approx(1, abs=2e-4)


def test_there_is_exactly_nothing_far_from_any_source():
    shape = (300, 400)
    wcs = make_wcs(shape, 0.2 * u.arcmin)
    sources = wcs.pixel_to_world([100.0] * 1000 + [300.0], [100.0] * 1000 + [210.0])
    x, y = np.meshgrid(np.arange(400), np.arange(300))
    nearest = np.minimum(np.hypot(x - 100, y - 100), np.hypot(x - 300, y - 210))
    for kernel in (2 * u.pix, Gaussian("0.4 arcmin"), TopHat("0.8 arcmin")):
        for boundary in ("sky", "fill"):
            skymap = sky_map(sources, wcs=wcs, shape=shape, kernel=kernel, boundary=boundary)
            assert (skymap.data[nearest > 20] == 0).all()
            assert (skymap.data >= 0).all()
            assert (skymap.data[nearest < 3] > 0).all()


def test_a_faint_source_is_seen_beside_a_bright_one():
    shape = (100, 100)
    wcs = make_wcs(shape, 0.2 * u.arcmin)
    sources = wcs.pixel_to_world([20.0, 80.0], [20.0, 80.0])
    skymap = sky_map(sources, weights=[1e9, 1.0], wcs=wcs, shape=shape, kernel=2 * u.pix)
    assert skymap.data[80, 80] / skymap.data[20, 20] == pytest.approx(1e-9, rel=1e-4)


def test_units_are_of_the_same_density():
    shape = (50, 64)
    options = {"wcs": make_wcs(shape, 2 * u.arcmin), "shape": shape, "kernel": "6 arcmin"}
    stars = random_cap(2 * u.deg, 5000, seed=6)
    per_deg = sky_map(stars, **options, unit="deg-2")
    per_arcmin = sky_map(stars, **options, unit=u.arcmin**-2)
    assert (per_deg.unit, per_arcmin.unit) == (u.deg**-2, u.arcmin**-2)
    np.testing.assert_allclose(per_deg.data, 3600 * per_arcmin.data, rtol=1e-12)
    # About the density that there is: 5000 points in a cap of 2 deg.
    assert per_deg.data.mean() == pytest.approx(5000 / (np.pi * 4), rel=0.1)


def test_the_unit_of_weights_is_that_of_the_map():
    shape = (50, 64)
    options = {"wcs": make_wcs(shape, 2 * u.arcmin), "shape": shape, "kernel": "6 arcmin"}
    stars = random_cap(2 * u.deg, 5000, seed=6)
    plain = sky_map(stars, **options)
    weighted = sky_map(stars, **options, weights=np.full(5000, 2.5) * u.mJy)
    assert weighted.unit == u.mJy / u.deg**2
    np.testing.assert_allclose(weighted.data, 2.5 * plain.data, rtol=1e-9)
    counts = sky_map(stars, **options, weights=np.full(5000, 2.5) * u.mJy, statistic="count")
    assert counts.unit == u.mJy


def test_a_weight_is_as_many_points():
    shape = (50, 64)
    options = {"wcs": make_wcs(shape, 2 * u.arcmin), "shape": shape, "kernel": "6 arcmin"}
    stars = random_cap(2 * u.deg, 2000, seed=6)
    weights = np.random.default_rng(7).integers(0, 5, 2000)
    weighted = sky_map(stars, **options, weights=weights)
    repeated = sky_map(stars[np.repeat(np.arange(2000), weights)], **options)
    np.testing.assert_array_equal(weighted.counts, repeated.counts)
    np.testing.assert_allclose(weighted.data, repeated.data, rtol=1e-12)


def test_smoothing_is_linear_in_the_kernel():
    shape = (50, 64)
    options = {"wcs": make_wcs(shape, 2 * u.arcmin), "shape": shape}
    stars = random_cap(2 * u.deg, 5000, seed=6)
    a, b = Gaussian("3 arcmin"), TopHat("12 arcmin")
    both = sky_map(stars, **options, kernel=2 * a - 0.5 * b).data
    parts = 2 * sky_map(stars, **options, kernel=a).data
    parts -= 0.5 * sky_map(stars, **options, kernel=b).data
    np.testing.assert_allclose(both, parts, rtol=1e-9, atol=1e-9 * parts.max())


def sources_in_the_corners(wcs, shape):
    ny, nx = shape
    return wcs.pixel_to_world([0, nx - 1, 0, nx - 1], [0, 0, ny - 1, ny - 1])


def error_of_sources(skymap, sources, sigma):
    """The largest error of a map of few sources, in units of the peak of one."""
    x, y = np.meshgrid(*(np.arange(n) for n in skymap.data.shape[::-1]))
    positions = skymap.wcs.pixel_to_world(x.ravel(), y.ravel())
    exact = great_circle_density(sources, positions, sigma)
    found = (skymap.data * skymap.unit).to_value(u.sr**-1).ravel()
    return abs(found - exact).max() * 2 * np.pi * sigma.to_value(u.rad) ** 2


@pytest.mark.parametrize("projection", ["TAN", "SIN", "ZEA", "CAR"])
def test_the_warning_of_a_wide_field_names_the_error(projection):
    shape, sigma = (60, 60), 1.5 * u.deg
    centre = SkyCoord(150, 0 if projection == "CAR" else 62, unit="deg")
    shift = (0, -60) if projection == "CAR" else (0, 0)  # 15 to 45 deg of latitude
    wcs = make_wcs(shape, 0.5 * u.deg, projection, centre, shift)
    sources = sources_in_the_corners(wcs, shape)
    with pytest.warns(AstropyUserWarning, match="too wide .* % of a source's peak") as record:
        skymap = sky_map(sources, wcs=wcs, shape=shape, kernel=sigma, geometry="plane")
    (named,) = (float(re.search(r"up to (\S+) %", str(w.message))[1]) / 100 for w in record)
    error = error_of_sources(skymap, sources, sigma)
    assert 0.5 < named / error < 2
    assert skymap.meta["planeerr"] == pytest.approx(named, rel=0.06)


def test_a_narrow_field_is_not_warned_of():
    shape, sigma = (60, 60), 9 * u.arcmin
    wcs = make_wcs(shape, 3 * u.arcmin)
    sources = sources_in_the_corners(wcs, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skymap = sky_map(sources, wcs=wcs, shape=shape, kernel=sigma)
    assert error_of_sources(skymap, sources, sigma) < 0.01
    assert skymap.meta["planeerr"] < 0.01


@pytest.mark.parametrize("kernel", [3 * u.pix, Gaussian2DKernel(3)], ids=["pix", "astropy"])
def test_a_kernel_in_pixels_stays_on_the_plane_and_is_warned_of_on_an_all_sky_map(kernel):
    wcs = make_wcs((60, 60), 0.2 * u.deg)
    assert sky_map([150.1], [62.2], wcs=wcs, kernel=kernel).meta["geometry"] == "plane"
    wcs = make_wcs((60, 110), 3 * u.deg, "AIT", SkyCoord(0, 0, unit="deg"))
    with pytest.warns(AstropyUserWarning, match="one in map pixels has no size on the sphere"):
        skymap = sky_map([150.1], [62.2], wcs=wcs, kernel=kernel)
    assert skymap.meta["geometry"] == "plane"
    assert sky_map([1], [2], wcs=wcs, kernel=kernel, boundary="fill").meta["geometry"] == "plane"


def test_a_box_of_three_pixels_is_the_mean_of_nine():
    x, y = flat_points()
    histogram, _, _ = np.histogram2d(x, y, bins=(12, 9))
    found = sky_map(
        x, y, frame="flat", bins=(12, 9), kernel=Box2DKernel(3), boundary="fill", statistic="count"
    )
    assert found.data[4, 5] == pytest.approx(histogram.T[3:6, 4:7].mean(), abs=1e-12)


@pytest.mark.parametrize("projection", ["CAR", "TAN"])
def test_counts_and_smoothed_counts_are_gammapys(projection):
    try:
        from gammapy.maps import WcsNDMap
    except ImportError:
        pytest.skip("gammapy is not installed, or does not go with another package that is")
    stars = random_cap(3 * u.deg, 20_000, seed=8)
    peer = WcsNDMap.create(npix=(80, 60), binsz=0.05, skydir=CENTRE, proj=projection, frame="icrs")
    peer.fill_by_coord({"skycoord": stars})
    sigma, reach = 2.5, 10
    options = {"wcs": peer.geom.wcs, "shape": peer.data.shape, "statistic": "count"}
    skymap = sky_map(stars, **options, kernel=sigma * u.pix, boundary="fill")
    np.testing.assert_array_equal(skymap.counts, peer.data)
    # gammapy cuts at four sigma and reflects at the edge.
    expected = peer.smooth(sigma, kernel="gauss").data[reach:-reach, reach:-reach]
    found = skymap.data[reach:-reach, reach:-reach]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * expected.max())
    reflected = sky_map(stars, **options, kernel=sigma * u.pix, boundary="reflect")
    expected = peer.smooth(sigma, kernel="gauss").data
    np.testing.assert_allclose(reflected.data, expected, rtol=0, atol=1e-6 * expected.max())


def test_lengths_of_transforms_are_those_that_scipy_finds_fast():
    lengths = [*range(1, 700), 4095, 12_347]
    expected = [scipy.fft.next_fast_len(length, real=True) for length in lengths]
    assert [fast_length(length) for length in lengths] == expected


def convolved(image, kernel):
    margin = kernel.shape[1] // 2, kernel.shape[0] // 2
    transforms = ImageTransforms({"image": image}, margin)
    return transforms.convolved("image", transforms.transfer(kernel))


def test_large_maps_are_smoothed_as_small_ones(monkeypatch):
    rng = np.random.default_rng(8)
    image, kernel = rng.random((50, 61)), rng.random((7, 9))
    by_scipy = convolved(image, kernel)
    monkeypatch.delitem(sys.modules, "scipy.fft")
    monkeypatch.setattr(smoothing, "_convolutions", iter(range(100)))
    assert smoothing._fft_for(image.size) is np.fft
    by_numpy = convolved(image, kernel)
    monkeypatch.setattr(smoothing, "SMALL", 0)
    assert smoothing._fft_for(image.size) is not np.fft
    np.testing.assert_allclose(by_scipy, by_numpy, rtol=1e-12)
