"""Significances: published values, exact enumeration, and the sky of random points."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from helpers import make_wcs
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.stats import binom, norm, poisson

from mpl_skyheat import Annulus, Gaussian, Randoms, SkyMap, TopHat, sky_map
from mpl_skyheat.maps.significance import li_ma, z_bi

RING = Annulus("14 arcmin", "40 arcmin")
SIGMA = 4 / 60  # deg, of a hole of 3.5 σ


def of(function, *numbers):
    (found,) = function(*(np.array([float(n)]) for n in numbers))
    return found


@pytest.mark.parametrize(
    ("function", "numbers", "expected"),
    [
        (z_bi, (4, 5, 1 / 5), "1.904"),
        (z_bi, (50, 55, 1 / 2), "3.017"),
        (z_bi, (0, 1000, 0.1), "-13.6"),
        (z_bi, (5, 2000, 0.1), "-18.2"),
        (z_bi, (10, 3000, 0.1), "-22.0"),
        (li_ma, (4, 5, 1 / 5), "1.95"),
        (li_ma, (50, 55, 1 / 2), "3.02"),
        (li_ma, (11, 27, 1 / 3), "0.5529"),
    ],
)
def test_significances_are_those_that_are_published(function, numbers, expected):
    decimals = len(expected.partition(".")[2])
    assert f"{of(function, *numbers):.{decimals}f}" == expected


@pytest.mark.parametrize(
    ("on", "off", "alpha"),
    [(4, 5, 0.2), (3, 90, 0.1), (0, 7, 2), (7, 0, 2), (2000, 100, 0.5), (100, 20000, 0.5),
     (10**4, 10**4, 1), (15 * 10**5, 10**6, 1)],
)  # fmt: skip
def test_z_bi_is_that_of_the_binomial_distribution(on, off, alpha):
    """As scipy sums the tails, by logarithms where they are beyond floats."""
    q = alpha / (1 + alpha)
    is_excess = on >= alpha * off
    beyond = binom.logsf(on, on + off, q) if is_excess else binom.logcdf(on - 1, on + off, q)
    own = binom.logpmf(on, on + off, q) - np.log(2)
    log_p = np.logaddexp(beyond, own) if np.isfinite(beyond) else own
    if log_p > -700:
        expected = norm.isf(np.exp(log_p))
    else:  # Φ(−z) = φ(z) / z (1 − 1/z² …)
        expected = np.sqrt(-2 * log_p)
        for _ in range(50):
            expected = np.sqrt(-2 * (log_p + np.log(expected * np.sqrt(2 * np.pi))
                                     - np.log1p(-1 / expected**2)))  # fmt: skip
    found = of(z_bi, on, off, alpha)
    assert found == pytest.approx(expected if is_excess else -expected, rel=2e-4, abs=1e-6)


# Any counts that a catalogue may have, also effective ones.
counts = st.one_of(st.just(0.0), st.floats(1e-6, 1e13))


@given(counts, counts, st.floats(1e-9, 1e9))
def test_no_counts_have_an_infinite_significance(on, off, alpha):
    for function in (z_bi, li_ma):
        z = of(function, on, off, alpha)
        assert np.isfinite(z)
        if abs(on - alpha * off) > 1e-6 * on and abs(z) > 0.5:
            assert (z > 0) == (on > alpha * off)


def test_of_many_counts_both_significances_are_the_same():
    for on, off, alpha in ((2e9, 1e9, 1.99), (1e6, 1.01e6, 1), (1e12, 1e10, 100)):
        assert of(z_bi, on, off, alpha) == pytest.approx(
            of(li_ma, on, off, alpha), rel=1e-5, abs=1e-4
        )


def test_both_ends_of_the_logarithm_meet():
    on = np.linspace(1000, 3000, 4001)
    z = z_bi(on, np.full(on.shape, 500.0), np.full(on.shape, 0.5))
    assert z.min() < 37 < z.max()
    steps = np.diff(z)
    assert steps.min() > 0
    assert np.abs(np.diff(steps)).max() < 2e-3 * steps.max()


@pytest.mark.parametrize(("function", "within"), [(z_bi, 0.05), (li_ma, 0.08)])
@pytest.mark.parametrize("mean", [10, 20, 50, 200])
@pytest.mark.parametrize("alpha", [0.03, 0.1, 0.5])
def test_without_a_source_so_many_sigmas_are_as_rare_as_they_say(function, within, mean, alpha):
    """By exact enumeration of both Poisson distributions, to 1 … 4 σ."""
    on = np.arange(10, poisson.isf(1e-9, mean) + 1)
    off = np.arange(poisson.isf(1 - 1e-9, mean / alpha), poisson.isf(1e-9, mean / alpha) + 1)
    z = function(*np.broadcast_arrays(on[:, np.newaxis] + 0.0, off + 0.0, alpha))
    p = poisson.pmf(on, mean)[:, np.newaxis] * poisson.pmf(off, mean / alpha)
    for sigma in (1, 2, 3, 4):
        # Counts jump: half of those as significant as the threshold, to 0.1 σ, are above it.
        near = (z > sigma - 0.1) & (z < sigma + 0.1)
        above = p[z >= sigma + 0.1].sum() + 0.5 * p[near].sum()
        expected = norm.sf(sigma + 0.1) + 0.5 * (norm.sf(sigma - 0.1) - norm.sf(sigma + 0.1))
        assert norm.isf(above) / norm.isf(expected) == pytest.approx(1, abs=within)


# Maps


def half_observed(coord):
    """North of −5 deg, but for a hole."""
    return (coord.dec.deg > -5) & (np.hypot(coord.ra.deg - 83.3, coord.dec.deg + 4.6) > 0.2)


def uniform(n_eff, seed, sigma=SIGMA):
    """Positions (deg) of uniform points, of which a Gaussian holds n_eff in the mean."""
    rng = np.random.default_rng(seed)
    density = n_eff / (4 * np.pi * sigma**2)
    number = rng.poisson(density * 36 * np.cos(np.radians(5)))
    sines = np.sin(np.radians([-8, -2]))
    return 83 + rng.uniform(-3, 3, number), np.degrees(np.arcsin(rng.uniform(*sines, number)))


WCS = make_wcs(shape=(100, 100), cdelt=(-0.02, 0.02))


def significance(points, **more):
    given = {"wcs": WCS, "kernel": SIGMA * u.deg, "background": RING, "statistic": "significance"}
    return sky_map(*points, **given | more)


@pytest.mark.slow
@pytest.mark.parametrize("geometry", ["plane", "sphere"])
@pytest.mark.parametrize("n_eff", [10, 30])
@pytest.mark.parametrize("statistic", ["significance", "lima"])
def test_on_a_sky_of_random_points_it_is_a_unit_normal(geometry, n_eff, statistic):
    given = {"coverage": half_observed, "geometry": geometry, "statistic": statistic}
    # Li & Ma's is lower by some hundredths where counts are few.
    bias = 0.05 if statistic == "significance" else 0.08
    skies = 100 if geometry == "plane" else 60
    z = np.array([significance(uniform(n_eff, k), **given).data for k in range(skies)])
    beside = z[:, 50:54]  # the first pixels north of the edge of what was observed
    # Pixels beside it share their backgrounds: the mean of so many skies is known to ± 0.04.
    for values, most in ((z, bias), (beside, bias + 0.08)):
        assert abs(np.nanmean(values)) < most
        assert np.nanstd(values) == pytest.approx(1, abs=0.05)


@pytest.mark.slow
def test_it_is_a_unit_normal_beside_a_mask():
    """On average over many skies, of which each has few independent pixels beside its mask."""
    north = {"coverage": lambda c: c.dec.deg > -5, "geometry": "plane"}
    wcs = make_wcs(shape=(100, 8), center=(83.0, -4.92), cdelt=(-0.02, 0.02))
    beside = [significance(uniform(27, k), wcs=wcs, **north).data for k in range(600)]
    assert abs(np.mean(beside)) < 0.05
    assert np.std(beside) == pytest.approx(1, abs=0.05)


def test_weights_are_counts_once_divided_by_their_mean():
    points = uniform(40, 1)
    plain = significance(points)
    for weight in (3.0, 0.01):
        weighted = significance(points, weights=np.full(len(points[0]), weight))
        np.testing.assert_allclose(weighted.data, plain.data, atol=0.02)
        np.testing.assert_allclose(weighted.n_off, plain.n_off, rtol=0.01)
    rng = np.random.default_rng(2)
    skies = [uniform(40, k) for k in range(12)]
    z = [significance(p, weights=rng.exponential(1, len(p[0]))).data for p in skies]
    assert abs(np.mean(z)) < 0.15
    assert np.std(z) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("geometry", ["plane", "sphere"])
def test_counts_in_a_disc_are_those_of_the_points_in_it(geometry):
    """Of 20,000 points, and of the pixels whose centres are near where they are asked for."""
    points = uniform(40, 5)
    m = significance(points, kernel=TopHat("10 arcmin"), geometry=geometry)
    ra, dec = WCS.pixel_to_world_values(50, 60)
    distance = np.hypot((points[0] - ra) * np.cos(np.radians(dec)), points[1] - dec)
    on = (distance < 10 / 60).sum()
    off = ((distance > 14 / 60) & (distance < 40 / 60)).sum()
    # Steps are as wide as a pixel, on the sphere as a bin.
    assert m.n_on[60, 50] == pytest.approx(on, rel=0.1)
    assert m.n_off[60, 50] == pytest.approx(off, rel=0.1)
    alpha = 10**2 / (40**2 - 14**2)
    assert (m.n_on / m.n_off).mean() == pytest.approx(alpha, rel=0.05)
    assert m.data[60, 50] == pytest.approx(of(z_bi, on, off, alpha), abs=0.5)
    assert m.meta["shared"] == 0


def test_pixels_wider_than_the_kernel_have_the_counts_in_them():
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    wcs = make_wcs("CEA", shape=(36, 22), center=(0.0, 0.0), cdelt=(-10, 5))
    given = {"wcs": wcs, "kernel": "1 deg", "background": Annulus("15 deg", "40 deg")}
    given |= {"statistic": "significance", "geometry": "sphere"}
    m = sky_map(lon, lat, **given)
    np.testing.assert_allclose(m.n_on, m.counts, rtol=1e-9)
    assert m.data.std() == pytest.approx(1, abs=0.08)
    north = sky_map(lon, lat, coverage=lambda c: c.dec.deg > 0, **given)
    np.testing.assert_allclose(north.n_on[~north.mask], north.counts[~north.mask], rtol=1e-9)
    assert north.data[~north.mask].std() == pytest.approx(1, abs=0.12)


def test_randoms_tell_alpha_as_coverage_does():
    points = uniform(40, 3)
    randoms = uniform(600, 9)
    seen = half_observed_of(randoms)
    density = 600 / (4 * np.pi * SIGMA**2) / u.deg**2
    of_points = half_observed_of(points)
    given = {"coverage": Randoms(*(c[seen] for c in randoms), density=density)}
    by_randoms = significance([c[of_points] for c in points], **given)
    by_coverage = significance(points, coverage=half_observed)
    known = ~by_randoms.mask & ~by_coverage.mask
    assert known.mean() > 0.4
    np.testing.assert_allclose(by_randoms.data[known], by_coverage.data[known], atol=1.5)
    assert np.std(by_randoms.data[known] - by_coverage.data[known]) < 0.35  # √(40 / 600)


def half_observed_of(points):
    from astropy.coordinates import SkyCoord

    return half_observed(SkyCoord(*points, unit="deg"))


def test_a_deficit_is_negative():
    ra, dec = uniform(60, 6)
    away = np.hypot(ra - 83, dec + 5) > 0.12
    m = significance((ra[away], dec[away]))
    assert m.data[49:51, 49:51].max() < -6
    lima = significance((ra[away], dec[away]), statistic="lima")
    np.testing.assert_allclose(m.data[50, 50], lima.data[50, 50], rtol=0.1)


@pytest.mark.parametrize("boundary", ["sky", "fill", "wrap"])
def test_a_boundary_leaves_the_middle_of_a_map_as_it_is(boundary):
    points = uniform(40, 7)
    m = significance(
        points, boundary=boundary, kernel=2 * u.pix, background=Annulus(7 * u.pix, 20 * u.pix)
    )
    plain = significance(points, kernel=2 * u.pix, background=Annulus(7 * u.pix, 20 * u.pix))
    middle = np.s_[30:70, 30:70]
    np.testing.assert_allclose(m.data[middle], plain.data[middle], atol=1e-3)


def test_a_flat_map_has_significances():
    rng = np.random.default_rng(8)
    x, y = rng.uniform(0, 100, (2, 20_000))
    given = {"frame": "flat", "bins": 100, "kernel": 2 * u.pix, "statistic": "significance"}
    m = sky_map(x, y, background=Annulus(7 * u.pix, 14 * u.pix), **given)
    inner = m.data[15:85, 15:85]  # beyond the map, no points are as real
    assert abs(inner.mean()) < 0.1
    assert inner.std() == pytest.approx(1, abs=0.1)
    with pytest.raises(ValueError, match=r"background must be in map pixels, .*Annulus\(inner='2"):
        sky_map(x, y, background=Annulus("2 deg", "4 deg"), **given)


def test_a_sum_of_rings_is_a_background():
    points = uniform(40, 2)
    rings = Annulus("14 arcmin", "27 arcmin"), Annulus("27 arcmin", "40 arcmin")
    areas = [(40**2 - 27**2), (27**2 - 14**2)][::-1]
    both = areas[0] * rings[0] + areas[1] * rings[1]
    whole = significance(points)
    np.testing.assert_allclose(significance(points, background=both).data, whole.data, atol=0.05)
    np.testing.assert_allclose(significance(points, background=both).n_off, whole.n_off, rtol=0.02)


def test_pixels_are_masked_by_what_kernel_and_background_see():
    points = uniform(40, 2)
    m = significance(points, coverage=half_observed)
    assert m.mask[:49].all()
    assert not m.mask[51:60, 60:].any()
    assert np.isnan(m.n_on[m.mask]).all()
    assert np.isfinite(m.n_on[~m.mask]).all()

    # A spot that was observed, far from all else: the kernel sees it, the background nothing.
    def spot(c):
        return (np.hypot(c.ra.deg - 83, c.dec.deg + 5) < 0.2) | (c.ra.deg > 83.6)

    spotted = significance(points, coverage=spot)
    assert spotted.mask[50, 50]
    assert not spotted.mask[50, 5]
    excess = significance(points, coverage=spot, statistic="excess")
    assert excess.mask[50, 50]
    assert not significance(points, coverage=spot, statistic="density", background=None).mask[
        50, 50
    ]


def test_excess_is_the_density_less_that_around():
    points = uniform(40, 2)
    m = significance(points, statistic="excess", unit="deg-2")
    density, around = (
        sky_map(*points, wcs=WCS, kernel=k, unit="deg-2") for k in (Gaussian(SIGMA * u.deg), RING)
    )
    np.testing.assert_allclose(m.data, density.data - around.data, atol=1e-6 * density.data.max())
    both = sky_map(*points, wcs=WCS, kernel=Gaussian(SIGMA * u.deg) - RING, unit="deg-2")
    np.testing.assert_allclose(m.uncertainty.array, both.uncertainty.array)
    twice = significance(points, statistic="excess", unit="deg-2", background=2 * RING)
    np.testing.assert_allclose(twice.data, m.data, atol=1e-9 * density.data.max())
    np.testing.assert_allclose(m.n_eff, density.n_eff)
    assert abs((m / m.error).data.mean()) < 0.2
    wide = significance(points, statistic="excess", background="20 arcmin")
    assert wide.unit == 1 / u.deg**2


def test_a_map_of_significances_is_a_map(tmp_path):
    points = uniform(40, 2)
    m = significance(points, label="stars", min_count=20)
    assert m.unit == u.dimensionless_unscaled
    assert m.uncertainty is None
    assert m.meta["signed"] is True
    assert 0.001 < m.meta["shared"] < 0.003  # exp(−3.5² / 2)
    assert (m.n_eff[~m.mask] >= 20).all()
    assert m[10:20, 30:].n_on.shape == m[10:20, 30:].n_off.shape == (10, 70)
    again = pickle.loads(pickle.dumps(m))
    np.testing.assert_array_equal(again.n_off, m.n_off)
    np.testing.assert_array_equal(again.kernel_sums.e2, m.kernel_sums.e2)
    m.write(tmp_path / "m.fits")
    with fits.open(tmp_path / "m.fits") as hdus:
        np.testing.assert_array_equal(hdus["NON"].data, m.n_on)
        np.testing.assert_array_equal(hdus["NOFF"].data, m.n_off)
    heat = Figure().add_subplot(projection=WCS).sky_heatmap(m)
    assert heat.colorbar_label == "significance of stars [σ]"
    assert heat.norm.vmin == -heat.norm.vmax
    assert heat.get_cmap().name == "coolwarm"
    excess = significance(points, label="stars", statistic="excess")
    label = Figure().add_subplot(projection=WCS).sky_heatmap(excess).colorbar_label
    assert label == r"excess of stars / $\mathrm{deg^{2}}$"


def test_maps_that_are_made_by_hand_have_no_counts():
    m = SkyMap(np.ones((3, 4)))
    assert (m.n_on, m.n_off, m.kernel_sums) == (None, None, None)


# What is refused

NO_RING = "background must be an Annulus around the kernel"


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (r"background must be given beside kernel .* got background=None, kernel=Gau",
         {"background": None}),
        (r"background must be given beside kernel .*kernel=None; for the points in a disc take Top",
         {"kernel": None}),
        (r"background must be given beside kernel .*statistic='excess'.*got background=None",
         {"background": None, "statistic": "excess"}),
        (r"background must be left out .* got background=Annulus\(.*statistic='density'",
         {"statistic": None}),
        (NO_RING + r".* got Gaussian\(sigma='1 deg'\)", {"background": "1 deg"}),
        (r"background must be an angle such as .* got '1'", {"background": "1"}),
        (r"background must not be negative anywhere; got .*-1 \* Annulus", {"background": -RING}),
        (r"has 0.135 of Gaussian.*inner radius of '11.2 arcmin' or more would do",
         {"background": Annulus("8 arcmin", "40 arcmin")}),
        (r"has 0.\d+ of Gaussian.*inner radius of '9.33 pix' or more would do",
         {"background": Annulus(8 * u.pix, 20 * u.pix)}),
        (r"has 0.\d+ of <kernel of 5 x 5 pixels>.*inner radius of '2.83 pix' or more would do",
         {"kernel": np.ones((5, 5)), "background": Annulus(2 * u.pix, 20 * u.pix)}),
        (r"kernel must not be negative anywhere with statistic='lima'",
         {"statistic": "lima", "kernel": Gaussian("4 arcmin") - TopHat("5 arcmin")}),
        (r"boundary must be 'sky', 'fill' or 'wrap' .* got 'reflect'", {"boundary": "reflect"}),
        (r"boundary must be 'sky' or 'fill' .* reaches around the map",
         {"boundary": "wrap", "kernel": 9 * u.pix, "background": Annulus(40 * u.pix, 51 * u.pix)}),
        (r"unit is that of a density; got unit='deg-2', statistic='significance'",
         {"unit": "deg-2"}),
    ],
)  # fmt: skip
def test_what_has_no_significance_is_refused(text, more):
    with pytest.raises(ValueError, match=text):
        significance(uniform(10, 1), **more)


@pytest.mark.parametrize("kernel", ["4 arcmin", 3 * u.pix, TopHat("5 arcmin"), np.ones((7, 7))])
def test_the_hole_that_an_error_names_is_accepted(kernel):
    narrow = Annulus("0.5 arcmin", "40 arcmin")
    with pytest.raises(ValueError, match="would do") as error:
        significance(uniform(10, 1), kernel=kernel, background=narrow)
    hole = str(error.value).partition("inner radius of '")[2].partition("'")[0]
    m = significance(uniform(10, 1), kernel=kernel, background=Annulus(hole, "40 arcmin"))
    assert m.meta["shared"] <= 0.02
