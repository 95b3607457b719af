"""`Adaptive`: every scale, sum and error against convolutions by scipy, and sums over points."""

import copy
import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.convolution import Gaussian2DKernel
from helpers import make_wcs
from matplotlib.figure import Figure
from scipy.signal import fftconvolve

from mpl_skyheat import (
    Adaptive,
    Annulus,
    Gaussian,
    Randoms,
    SkyMap,
    compare,
    sky_contour,
    sky_heatmap,
    sky_map,
)

SHAPE = 60, 80
SIGMAS = np.sqrt(2) ** np.arange(5)  # 1 … 4 pixels
LADDER = {"narrowest": 1 * u.pix, "widest": 4 * u.pix}
MODES = ("scatter", "gather")
RASTERS = [Gaussian2DKernel(sigma).array for sigma in SIGMAS]
RASTERS = [raster / raster.sum() for raster in RASTERS]


@pytest.fixture(scope="module")
def points():
    """A cluster in a field on a flat map: x, y, weights, values."""
    rng = np.random.default_rng(5)
    x = np.append(rng.uniform(0, 80, 1500), rng.normal(30, 4, 500))
    y = np.append(rng.uniform(0, 60, 1500), rng.normal(25, 4, 500))
    inside = (x > 0) & (x < 80) & (y > 0) & (y < 60)
    x, y = x[inside], y[inside]
    return x, y, rng.exponential(2, x.size), rng.normal(10, 3, x.size)


def flat_map(x, y, kernel, **kwargs):
    arguments = {"bins": (80, 60), "boundary": "fill"} | kwargs
    # Two corners without weight set the bounds of the map.
    columns = {name: arguments.pop(name) for name in ("weights", "values") if name in arguments}
    weights = np.append(columns.pop("weights", np.ones(len(x))), [0, 0])
    columns = {name: np.append(column, [0, 0]) for name, column in columns.items()}
    x, y = np.append(x, [0, 80]), np.append(y, [0, 60])
    return sky_map(x, y, frame="flat", kernel=kernel, weights=weights, **columns, **arguments)


def binned(x, y, amounts=None):
    return np.histogram2d(y, x, SHAPE, [(0, 60), (0, 80)], weights=amounts)[0]


def smooth(image, raster, margin=0):
    image = np.pad(image, margin)
    found = fftconvolve(image, raster, "same")
    return found[margin:-margin, margin:-margin] if margin else found


def first_rung(numbers, n_points):
    enough = np.array(numbers) >= n_points
    enough[-1] = True
    return enough.argmax(axis=0)


def pick(images, rung):
    return np.take_along_axis(np.array(images), rung[np.newaxis], axis=0)[0]


def scattered(sums, squares, area, n_points, *, weighted=False):
    """Return rungs, density and variance of scatter by definition; ``area`` is 0 if unobserved."""
    s1, e1 = ([smooth(image, raster) for raster in RASTERS] for image in (sums, area))
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = [s / e / (r**2).sum() for s, e, r in zip(s1, e1, RASTERS, strict=True)]
        if weighted:
            numbers = [
                n * s / smooth(squares, r) for n, s, r in zip(numbers, s1, RASTERS, strict=True)
            ]
    rung = first_rung(numbers, n_points)
    density, variance = np.zeros(SHAPE), np.zeros(SHAPE)
    for i, raster in enumerate(RASTERS):
        exposure = np.maximum(e1[i], 1e-9)
        density += smooth(np.where(rung == i, sums, 0), raster) / exposure
        variance += smooth(np.where(rung == i, squares, 0), raster**2) / exposure**2
    return rung, density, variance


# The kernel itself


def test_a_ladder_has_steps_of_the_root_of_two_from_the_narrowest_to_the_widest():
    sigmas = [
        k.sigma.to_value(u.arcmin) for k in Adaptive(narrowest="1 arcmin", widest="6 arcmin").rungs
    ]
    np.testing.assert_allclose(sigmas, np.sqrt(2) ** np.arange(6))
    assert len(Adaptive(narrowest="3 arcmin", widest="0.05 deg").rungs) == 1
    assert Adaptive(narrowest="3 arcmin", widest="1 deg").resolution_length == pytest.approx(
        (3 * u.arcmin).to_value(u.rad)
    )


def test_adaptive_kernels_are_equal_by_value_and_their_repr_makes_them_again():
    kernel = Adaptive(30, narrowest="0.5 deg", widest="4 deg", mode="gather")
    assert repr(kernel) == "Adaptive(30, narrowest='0.5 deg', widest='4 deg', mode='gather')"
    for again in (eval(repr(kernel)), pickle.loads(pickle.dumps(kernel)), copy.copy(kernel)):
        assert again == kernel
        assert hash(again) == hash(kernel)
    assert kernel == Adaptive(30, narrowest="30 arcmin", widest="240 arcmin", mode="gather")
    others = [
        Adaptive(30, narrowest="0.5 deg", widest="4 deg"),
        Adaptive(31, narrowest="0.5 deg", widest="4 deg", mode="gather"),
        Adaptive(30, narrowest="0.5 deg", widest="8 deg", mode="gather"),
        Gaussian("0.5 deg"),
    ]
    assert kernel not in others
    alone = Adaptive(narrowest="1 deg", widest="1 deg")
    assert alone != Gaussian("1 deg")
    assert Gaussian("1 deg") != alone


@pytest.mark.parametrize(
    ("error", "text", "arguments"),
    [
        (TypeError, "narrowest", {"widest": "1 deg"}),
        (TypeError, "widest", {"narrowest": "1 deg"}),
        (
            ValueError,
            r"n_points must be a number of points, 1 or more; got 0\.5",
            {"n_points": 0.5},
        ),
        (ValueError, "n_points must be a number .* got 'many'", {"n_points": "many"}),
        (ValueError, "n_points must be a number .* got nan", {"n_points": np.nan}),
        (ValueError, "mode must be one of 'scatter', 'gather'; got 'spread'", {"mode": "spread"}),
        (ValueError, "narrowest must be an angle .* got 2", {"narrowest": 2}),
        (ValueError, "widest must be positive and finite; got -1.0 deg", {"widest": "-1 deg"}),
        (
            ValueError,
            "narrowest must be at most widest.*got narrowest='2 deg', widest='1 deg'",
            {"narrowest": "2 deg"},
        ),
        (
            ValueError,
            "narrowest must be at most widest, in the same kind.*'1 pix', widest='1 deg'",
            {"narrowest": "1 pix"},
        ),
        (
            ValueError,
            r"widest must be at most 7\.41e\+05 times narrowest; got narrowest='0.1 arcsec'",
            {"narrowest": "0.1 arcsec", "widest": "100 deg"},
        ),
    ],
)
def test_what_adaptive_refuses(error, text, arguments):
    given = {"narrowest": "0.1 deg", "widest": "1 deg"} | arguments
    if error is TypeError:
        given = arguments
    with pytest.raises(error, match=text):
        Adaptive(**given)


@pytest.mark.parametrize(
    "combine",
    [
        lambda a, g: a - g,
        lambda a, g: g - a,
        lambda a, g: a + g,
        lambda a, g: g + a,
        lambda a, _: 2 * a,
        lambda a, _: a * 2,
        lambda a, _: -a,
        lambda a, _: a + a,
        lambda a, g: (g - 2 * g) + a,
    ],
)
def test_adaptive_kernels_have_no_sums(combine):
    kernel = Adaptive(narrowest="0.1 deg", widest="1 deg")
    text = r"^Adaptive\(25, .* has no sums, differences or factors.*add or subtract two maps"
    with pytest.raises(TypeError, match=text):
        combine(kernel, Gaussian("1 deg"))


RINGS = {"background": Annulus("30 pix", "40 pix")}


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"statistic": "sum"}, "one width with statistic='sum'; got Adaptive"),
        (
            {"statistic": "mean"},
            r"statistic='mean'; got Adaptive.*is for 'density', 'count' \(with mode='gather' for",
        ),
        ({"statistic": "std"}, "statistic='std'; got Adaptive.*mode='gather'"),
        ({"statistic": "median"}, "kernel must be left out .*'median'.* got Adaptive"),
        ({"statistic": "excess", **RINGS}, "one width with statistic='excess'; got Adaptive"),
        ({"statistic": "significance", **RINGS}, "with statistic='significance'; got Adaptive"),
        ({"statistic": "lima", **RINGS}, "one width with statistic='lima'; got Adaptive"),
        ({"boundary": "reflect"}, "boundary must be one of 'sky', .*Adaptive.*got 'reflect'"),
    ],
)
def test_what_needs_one_width_is_refused(kwargs, text):
    more = {"values": [3.0]} if kwargs.get("statistic") in ("sum", "mean", "std", "median") else {}
    with pytest.raises(ValueError, match=text):
        sky_map([1.0], [2.0], frame="flat", kernel=Adaptive(**LADDER), **kwargs, **more)


def test_backgrounds_and_random_points_are_refused(field, stars):
    kernel = Adaptive(narrowest="0.2 deg", widest="1 deg")
    arguments = {"wcs": field, "statistic": "excess"}
    with pytest.raises(TypeError, match=r"background must have one width; got Adaptive\(25"):
        sky_map(*stars, kernel="0.2 deg", background=kernel, **arguments)
    randoms = Randoms(*stars, density=1000 / u.deg**2)
    with pytest.raises(ValueError, match=r"coverage must say .* of each pixel.*Adaptive.*Randoms"):
        sky_map(*stars, kernel=kernel, wcs=field, coverage=randoms)


@pytest.mark.parametrize("statistic", ["significance", "log_ratio"])
def test_maps_of_more_than_one_width_are_not_compared(field, stars, statistic):
    a = sky_map(*stars, kernel=Adaptive(narrowest="0.2 deg", widest="1 deg"), wcs=field)
    with pytest.raises(TypeError, match=r"a must be .*one of more than one width.* Adaptive\(25"):
        compare(a, a, statistic=statistic)


def test_widths_far_below_a_pixel_are_refused_on_maps_of_the_whole_sky():
    wcs = make_wcs("MOL", shape=(100, 50), cdelt=(-3.5, 3.5), center=(0, 0))
    text = r"kernel must not be narrower than 0.2 pixels, 0.7\*u.deg, on a map.*Adaptive\(25, nar"
    with pytest.raises(ValueError, match=text):
        sky_map([10], [20], wcs=wcs, kernel=Adaptive(narrowest="0.3 deg", widest="20 deg"))


# Scatter


@pytest.mark.parametrize("has_weights", [False, True])
def test_scatter_is_the_sum_over_scales_of_the_points_of_each(points, has_weights):
    x, y, weights, _ = points
    weights = weights if has_weights else np.ones(len(x))
    found = flat_map(x, y, Adaptive(25, **LADDER), weights=weights)
    sums, squares = binned(x, y, weights), binned(x, y, weights**2)
    s1 = [smooth(sums, raster) for raster in RASTERS]
    numbers = [s / (r**2).sum() for s, r in zip(s1, RASTERS, strict=True)]
    numbers = [n * s / smooth(squares, r) for n, s, r in zip(numbers, s1, RASTERS, strict=True)]
    rung = first_rung(numbers, 25)
    assert set(np.unique(rung)) >= {1, 2, 3, 4}
    np.testing.assert_allclose(found.scales.to_value(u.pix), SIGMAS[rung])
    first, second = np.zeros(SHAPE), np.zeros(SHAPE)
    for i, raster in enumerate(RASTERS):
        first += smooth(np.where(rung == i, sums, 0), raster)
        second += smooth(np.where(rung == i, squares, 0), raster**2)
    np.testing.assert_allclose(found.data, first, atol=1e-9 * first.max())
    # Far from its points, S2 of a scale is lost in rounding, and as large as it can be.
    np.testing.assert_allclose(found.error.data, np.sqrt(second), rtol=3e-5)
    np.testing.assert_allclose(found.n_eff, first**2 / second, rtol=6e-5)


def test_equal_weights_change_no_scale(points):
    x, y, *_ = points
    plain = flat_map(x, y, Adaptive(25, **LADDER), weights=np.ones(len(x)))
    found = flat_map(x, y, Adaptive(25, **LADDER), weights=np.full(len(x), 7.0))
    np.testing.assert_array_equal(found.scales, plain.scales)
    np.testing.assert_allclose(found.data, 7 * plain.data, rtol=1e-9, atol=1e-12)


def test_scatter_keeps_the_number_of_points_on_the_plane():
    rng = np.random.default_rng(3)
    x, y = rng.normal([[40], [30]], 2, (2, 900))
    kernel = Adaptive(25, narrowest=1 * u.pix, widest=4 * u.pix)
    found = flat_map(x, y, kernel, statistic="count", bins=(160, 120))
    assert len(np.unique(found.scales)) > 2
    assert found.data.sum() == pytest.approx(900, rel=1e-9)


def test_scatter_keeps_the_number_of_points_on_the_sphere():
    rng = np.random.default_rng(4)
    lon, lat = rng.uniform(0, 360, 3000), np.degrees(np.arcsin(rng.uniform(-1, 1, 3000)))
    lon, lat = np.append(lon, rng.normal(83, 3, 500)), np.append(lat, rng.normal(-75, 1, 500))
    wcs = make_wcs("MOL", shape=(120, 60), cdelt=(-2.7, 2.7), center=(0, 0))
    found = sky_map(lon, lat, wcs=wcs, kernel=Adaptive(25, narrowest="3 deg", widest="17 deg"))
    assert found.meta["geometry"] == "sphere"
    assert len(np.unique(found.scales)) >= 4
    total = (found.quantity * found.solid_angle).to_value(u.dimensionless_unscaled)
    assert np.nansum(total) == pytest.approx(3500, rel=1e-3)


def test_what_was_observed_is_divided_out_scale_by_scale(points):
    x, y, weights, _ = points
    seen = np.ones(SHAPE)
    seen[:, 45:] = 0
    seen[10:14, 20:30] = 0
    found = flat_map(x, y, Adaptive(25, **LADDER), boundary="sky", coverage=seen, weights=weights)
    sums, squares = (binned(x, y, w) * seen for w in (weights, weights**2))
    rung, density, variance = scattered(sums, squares, seen, 25, weighted=True)
    fraction = pick([smooth(seen, raster) for raster in RASTERS], rung)
    shown = ~found.mask
    np.testing.assert_array_equal(shown, (seen > 0) & (fraction >= 0.5 - 1e-6))
    assert 0 < (seen > shown).sum() < 100
    np.testing.assert_allclose(found.scales.to_value(u.pix)[shown], SIGMAS[rung][shown])
    np.testing.assert_allclose(found.data[shown], density[shown], rtol=1e-6)
    np.testing.assert_allclose(
        found.error.data[shown], np.sqrt(np.maximum(variance, 0))[shown], rtol=3e-5
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_uniform_field_is_flat_to_the_edge_of_its_survey(mode):
    """Over 20 skies, within a column of the edge, to 2 % and three standard errors."""
    seen, totals = np.zeros((100, 100)), []
    seen[:, :50] = 1
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = rng.uniform(0, 100, (2, rng.poisson(3000)))
        x, y = np.append(x, [0, 100]), np.append(y, [0, 100])
        kernel = Adaptive(25, narrowest=1 * u.pix, widest=8 * u.pix, mode=mode)
        found = sky_map(x, y, frame="flat", bins=100, kernel=kernel, coverage=seen)
        totals.append(found.data[10:-10, [49, 25]].mean(axis=0) / 0.3)
    edge, middle = np.mean(totals, axis=0)
    scatter = np.std(totals, axis=0) / np.sqrt(20)
    assert abs(edge - 1) < 0.02 + 3 * scatter[0]
    assert abs(middle - 1) < 0.02 + 3 * scatter[1]
    assert scatter.max() < 0.02


# Gather


@pytest.mark.parametrize("has_weights", [False, True])
def test_gather_takes_each_pixel_from_the_first_scale_with_points_enough(points, has_weights):
    x, y, weights, values = points
    weights = weights if has_weights else np.ones(len(x))
    kernel = Adaptive(25, **LADDER, mode="gather")
    found = flat_map(x, y, kernel, weights=weights)
    sums, squares = binned(x, y, weights), binned(x, y, weights**2)
    s1 = [smooth(sums, raster) for raster in RASTERS]
    heavy = [smooth(squares, r) / s for s, r in zip(s1, RASTERS, strict=True)]
    numbers = [s / (r**2).sum() / w for s, r, w in zip(s1, RASTERS, heavy, strict=True)]
    rung = first_rung(numbers, 25)
    n, s1 = pick(numbers, rung), pick(s1, rung)
    assert n[rung < 4].min() > 24.99
    assert (n < 25).any()
    np.testing.assert_allclose(found.scales.to_value(u.pix), SIGMAS[rung])
    expected = s1 * np.where(n >= 25, 1 - 0.5 / n, 1)
    np.testing.assert_allclose(found.data, expected, rtol=1e-7)
    np.testing.assert_allclose(found.error.data, expected / np.sqrt(n), rtol=1e-7)
    s2 = pick([smooth(squares, raster**2) for raster in RASTERS], rung)
    np.testing.assert_allclose(found.n_eff, s1**2 / s2, rtol=1e-6)
    few = flat_map(x, y, kernel, weights=weights, min_count=28)
    np.testing.assert_array_equal(few.mask, s1**2 / s2 < 28 * (1 - 1e-6))
    # The mean and the scatter of values are those under the kernel of each pixel.
    v1 = pick([smooth(binned(x, y, weights * values), r) for r in RASTERS], rung) / s1
    v2 = pick([smooth(binned(x, y, weights * values**2), r) for r in RASTERS], rung) / s1
    columns = {"weights": weights, "values": values}
    mean = flat_map(x, y, kernel, **columns)
    assert mean.meta["stat"] == "mean"
    np.testing.assert_allclose(mean.data, v1, rtol=1e-7)
    std = flat_map(x, y, kernel, statistic="std", **columns)
    known = s1**2 / s2
    np.testing.assert_allclose(std.data, np.sqrt((v2 - v1**2) / (1 - 1 / known)), rtol=1e-5)


@pytest.mark.parametrize(("n_points", "most"), [(10, 0.03), (25, 0.01)])
def test_gather_is_unbiased(n_points, most):
    """On Poisson fields of densities over a factor of two, by which scales repeat themselves."""
    found = []
    for density in 0.1 * 2 ** np.linspace(0, 1, 6, endpoint=False):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            number = rng.poisson(density * 150**2)
            x, y = rng.uniform(0, 150, (2, number))
            x, y = np.append(x, [0, 150]), np.append(y, [0, 150])
            kernel = Adaptive(n_points, narrowest=1 * u.pix, widest=16 * u.pix, mode="gather")
            made = sky_map(x, y, frame="flat", bins=150, boundary="wrap", kernel=kernel)
            found.append(made.data.mean() / (len(x) / 150**2) - 1)
    assert abs(np.mean(found)) < most
    assert np.std(found) / np.sqrt(len(found)) < most / 5
    # Without the ½, they would be too high by as much as that.
    assert np.mean(found) + 0.5 / n_points > most


# On the sphere, and on Axes


@pytest.mark.parametrize("geometry", ["plane", "sphere"])
def test_a_lone_source_has_the_widest_scale_and_a_crowd_the_narrowest(geometry):
    """A crowd of 200 and a single point, each the Gaussian of its own scale to 1 % of its peak."""
    wcs = make_wcs(shape=(80, 40), cdelt=(-0.05, 0.05))
    # At the centres of pixels: on the plane, all points are.
    (x, y), number = ([20, 60], [20, 20]), [200, 1]
    lon, lat = (np.repeat(v, number) for v in wcs.pixel_to_world_values(x, y))
    kernel = Adaptive(25, narrowest="0.1 deg", widest="0.4 deg")
    found = sky_map(lon, lat, wcs=wcs, kernel=kernel, geometry=geometry, unit="deg-2")
    assert found.meta["geometry"] == geometry
    assert found.meta["adaptive"] == "scatter"
    pixels = wcs.pixel_to_world(*np.meshgrid(np.arange(80), np.arange(40)))
    for i, sigma in enumerate((0.1, 0.4)):
        apart = pixels.separation(pixels[y[i], x[i]]).to_value(u.deg)
        expected = number[i] * np.exp(-0.5 * (apart / sigma) ** 2) / (2 * np.pi * sigma**2)
        difference = np.abs(found.data - expected)[apart < 1]
        assert difference.max() < 0.005 * expected.max()
        assert found.scales[y[i], x[i]].to_value(u.deg) == pytest.approx(sigma)


@pytest.mark.parametrize("mode", MODES)
def test_plane_and_sphere_agree_on_a_small_field(mode):
    rng = np.random.default_rng(2)
    lon = np.append(rng.uniform(80, 86, 8000), rng.normal(83, 0.4, 2000))
    lat = np.append(rng.uniform(-8, -2, 8000), rng.normal(-5, 0.4, 2000))
    wcs = make_wcs(shape=(60, 60), cdelt=(-0.05, 0.05))
    kernel = Adaptive(25, narrowest="0.1 deg", widest="0.4 deg", mode=mode)
    plane, sphere = (
        sky_map(lon, lat, wcs=wcs, kernel=kernel, geometry=g) for g in ("plane", "sphere")
    )
    # Where the next scale is as good, rounding of positions to pixels decides.
    same = np.isclose(plane.scales.value, sphere.scales.value)
    assert same.mean() > 0.9
    difference = np.abs(plane.data / sphere.data - 1)[same]
    # Histograms are right to 1.2 % where σ is two pixels.
    assert np.median(difference) < 0.02
    assert np.abs(plane.data.mean() / sphere.data.mean() - 1) < 0.003


def test_coverage_on_the_sphere_is_divided_out():
    """The northern half of a uniform sky, flat to 4 % in rings of 6 deg, and to 3 % at its edge."""
    rng = np.random.default_rng(8)
    lon, lat = rng.uniform(0, 360, 20000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20000)))
    wcs = make_wcs("CAR", shape=(120, 60), cdelt=(-3, 3), center=(0, 0))
    true = 20000 / (4 * np.pi * u.sr)
    for mode in MODES:
        kernel = Adaptive(80, narrowest="3 deg", widest="12 deg", mode=mode)
        found = sky_map(lon, lat, wcs=wcs, kernel=kernel, coverage=lambda c: c.dec.deg > 0)
        assert found.meta["geometry"] == "sphere"
        ratio = (found.quantity / true).to_value(u.dimensionless_unscaled)
        rings = np.nanmean(ratio[30:50].reshape(10, 2 * 120), axis=1)
        assert np.abs(rings - 1).max() < 0.04
        assert np.abs(rings[:2].mean() - 1) < 0.03
        assert np.isnan(ratio[:30]).all()
        # 110 points are under 4.2 deg. Half of them are seen at the edge, of half of the sky.
        scales = found.scales.to_value(u.deg)
        assert scales[36:50].mean() == pytest.approx(3 * np.sqrt(2), rel=0.02)
        at_edge = {"scatter": 3 * np.sqrt(2), "gather": 6}
        assert scales[30].mean() == pytest.approx(at_edge[mode], rel=0.1)


def test_streams_make_the_same_map(field, stars):
    kernel = Adaptive(25, narrowest="0.1 deg", widest="0.8 deg")
    chunks = ((stars[0][i::3], stars[1][i::3]) for i in range(3))
    ours = sky_map(chunks, wcs=field, kernel=kernel)
    np.testing.assert_array_equal(ours.data, sky_map(*stars, wcs=field, kernel=kernel).data)


def test_points_beyond_the_map_and_the_margin_count_as_on_a_larger_map(stars):
    small, large = make_wcs(shape=(30, 20)), make_wcs(shape=(70, 60))
    kernel = Adaptive(60, narrowest="0.1 deg", widest="0.4 deg")
    ours = sky_map(*stars, wcs=small, kernel=kernel)
    theirs = sky_map(*stars, wcs=large, kernel=kernel)
    part = np.s_[20:40, 20:50]
    np.testing.assert_array_equal(ours.scales, theirs.scales[part])
    np.testing.assert_allclose(ours.data, theirs.data[part], rtol=1e-9)


def test_points_beyond_the_map_count_on_the_sphere(stars):
    """As on a larger map, whose lattice has other bins."""
    kernel = Adaptive(60, narrowest="0.1 deg", widest="0.4 deg")
    wcs = [make_wcs(shape=shape) for shape in ((20, 10), (40, 30))]
    ours, theirs = (sky_map(*stars, wcs=w, kernel=kernel, geometry="sphere") for w in wcs)
    part = np.s_[10:20, 10:30]
    assert (ours.scales == theirs.scales[part]).mean() > 0.95
    np.testing.assert_allclose(ours.data, theirs.data[part], rtol=0.02)


@pytest.mark.parametrize("mode", MODES)
def test_maps_come_back_from_files_to_the_bit(field, stars, tmp_path, mode):
    kernel = Adaptive(25, narrowest="0.1 deg", widest="0.8 deg", mode=mode)
    made = sky_map(*stars, wcs=field, kernel=kernel, label="stars")
    made.write(tmp_path / "map.fits")
    again = SkyMap.read(tmp_path / "map.fits")
    assert again.kernel == kernel
    assert again.kernel_sums is None
    assert again.meta == made.meta
    assert again.scales.unit == made.scales.unit
    for name in ("data", "scales", "n_eff", "counts"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    np.testing.assert_array_equal(again.uncertainty.array, made.uncertainty.array)


def test_scales_go_along_and_are_drawn(field, stars):
    ax = Figure().add_subplot(projection=field)
    kernel = Adaptive(25, narrowest="0.1 deg", widest="0.8 deg")
    heat = sky_heatmap(ax, *stars, kernel=kernel)
    made = heat.sky_map
    np.testing.assert_array_equal(made[3:8, 2:9].scales, made.scales[3:8, 2:9])
    np.testing.assert_array_equal(made.to("arcmin-2").scales, made.scales)
    assert sky_map(*stars, wcs=field, kernel="0.2 deg").scales is None
    drawn = sky_heatmap(ax, made.like(made.scales, unit="arcmin", label="scale"), colorbar=True)
    assert drawn.colorbar_label.startswith("scale [")
    np.testing.assert_allclose(drawn.sky_map.data, made.scales.to_value(u.arcmin))
    lines = sky_contour(ax, *stars, kernel=kernel, enclosed=0.5)
    assert lines.sky_contours[0].attained == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("projection", ["mollweide", None])
def test_adaptive_maps_are_drawn_on_axes_of_all_kinds(projection, stars):
    ax = Figure().add_subplot(projection=projection)
    narrowest, geometry = (2 * u.deg, "sphere") if projection else (0.1 * u.deg, "plane")
    kernel = Adaptive(25, narrowest=narrowest, widest=4 * narrowest)
    heat = sky_heatmap(ax, *stars, kernel=kernel, bins=60)
    assert heat.sky_map.meta["geometry"] == geometry
    assert heat.sky_map.scales[~heat.sky_map.mask].min() == narrowest
    assert heat.sky_map.max() > 0


def test_what_pictures_need_one_width_for_is_refused(field, stars):
    ax = Figure().add_subplot(projection=field)
    kernel = Adaptive(25, narrowest="0.2 deg", widest="0.8 deg", mode="gather")
    with pytest.raises(ValueError, match=r"kernel must have one width with live=True; got Adapt"):
        sky_heatmap(ax, *stars, kernel=kernel, live=True)
    heat = sky_heatmap(ax, *stars, kernel=kernel)
    with pytest.raises(ValueError, match=r"kernels of more than one width, .* got Adaptive\(25"):
        heat.add_kernel()
    with pytest.raises(ValueError, match="a kernel of more than one width"):
        sky_heatmap(ax, *stars, values=stars[0], kernel=kernel, alpha="density")


def test_pixels_may_follow_the_narrowest_width(field, stars):
    kernel = Adaptive(25, narrowest="0.2 deg", widest="0.8 deg")
    made = sky_map(*stars, wcs=field, kernel=kernel, pixel_size="auto")
    side = np.sqrt(made.solid_angle).mean().to_value(u.rad) * u.rad
    assert side.to_value(u.deg) == pytest.approx(0.2 / 4, rel=1e-3)


def test_peaks_of_an_adaptive_map_need_a_separation(field, stars):
    made = sky_map(*stars, wcs=field, kernel=Adaptive(narrowest="0.2 deg", widest="1 deg"))
    with pytest.raises(ValueError, match=r"min_separation must be an angle.*Adaptive\(25"):
        made.find_peaks(3)
    peaks = made.find_peaks(3, min_separation="1 deg", n_peaks=2)
    assert len(peaks) == 2
    assert np.isnan(peaks["p_post_trial"]).all()
