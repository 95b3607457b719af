"""Two populations: random labelling, against brute force and on skies that vary; log ratios."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from helpers import make_wcs
from matplotlib.figure import Figure
from scipy.stats import norm

from mpl_skyheat import Gaussian, SkyMap, TopHat, compare, sky_map
from mpl_skyheat.maps.significance import z_bi

WCS = make_wcs(shape=(100, 100), cdelt=(-0.02, 0.02))
SIGMA = 0.04  # deg


def points(n_eff, seed):
    """Positions whose density falls 20-fold to the west; under the kernel n_eff at the least."""
    rng = np.random.default_rng(seed)
    number = rng.poisson(20 * n_eff / (4 * np.pi * SIGMA**2) * 7.84 * np.cos(np.radians(5)))
    ra, dec = 83 + rng.uniform(-1.4, 1.4, number), -5 + rng.uniform(-1.4, 1.4, number)
    keep = rng.uniform(0, 1, number) < 20 ** -np.clip((84 - ra) / 2, 0, 1)
    return ra[keep], dec[keep]


def made(points, **more):
    return sky_map(*points, **{"wcs": WCS, "kernel": SIGMA * u.deg} | more)


def without_a_star(coord):
    return np.hypot(coord.ra.deg - 83.3, coord.dec.deg + 4.6) > 0.3


def of_the_north(coord):
    return coord.dec.deg > -5.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("geometry", "is_weighted"), [("plane", False), ("plane", True), ("sphere", False)]
)
def test_where_nothing_differs_it_is_a_unit_normal(geometry, is_weighted):
    """On a density that varies 20-fold, behind two masks, from 10 points under the kernel."""
    found = []
    for seed in range(150 if geometry == "plane" else 60):
        rng = np.random.default_rng(seed)
        maps = []
        for n_eff, coverage in ((20, without_a_star), (10, of_the_north)):
            some = points(n_eff, rng)
            weights = n_eff * rng.uniform(0.5, 1.5, len(some[0])) if is_weighted else None
            given = {"coverage": coverage, "geometry": geometry, "weights": weights}
            maps.append(made(some, **given))
        z = compare(*maps)
        assert (z.mask == (maps[0].mask | maps[1].mask)).all()
        found.append(z.data)
    z = np.array(found)
    z = z[np.isfinite(z)]
    assert abs(z.mean()) < 0.02
    assert z.std() == pytest.approx(1, abs=0.05)
    for sigma in (1, 2):
        for tail in (z > sigma, z < -sigma):
            assert norm.isf(tail.mean()) == pytest.approx(sigma, rel=0.05)
    if geometry == "plane":  # 18,000 independent places
        assert norm.isf(0.5 * (np.abs(z) > 3).mean()) == pytest.approx(3, rel=0.05)


def test_by_hand_without_a_kernel():
    rng = np.random.default_rng(1)
    ra, dec = 83 + rng.uniform(-1, 1, 9000), -5 + rng.uniform(-1, 1, 9000)
    is_a = rng.uniform(0, 1, 9000) < 0.3
    wcs = make_wcs(shape=(12, 9))
    a, b = (sky_map(ra[s], dec[s], wcs=wcs) for s in (is_a, ~is_a))
    z = compare(a, b)
    alpha = a.counts.sum() / b.counts.sum()
    expected = z_bi(a.counts + 0.0, b.counts + 0.0, np.full(a.counts.shape, alpha))
    np.testing.assert_allclose(z.data, expected, atol=2e-3)  # densities × solid angles
    np.testing.assert_allclose(z.n_on, a.counts)
    np.testing.assert_allclose(z.n_off, b.counts)
    np.testing.assert_allclose(compare(b, a).data, -z.data, atol=1e-9)


def test_a_knot_of_one_population_is_found():
    rng = np.random.default_rng(2)
    a = tuple(
        np.append(c, rng.normal(m, 0.05, 80)) for c, m in zip(points(10, 3), (83, -5), strict=True)
    )
    ours, its = made(a, label="red"), made(points(20, 4), label="blue")
    z = compare(ours, its)
    (peak,) = z.find_peaks(5)
    assert np.hypot(peak["coord"].ra.deg - 83, peak["coord"].dec.deg + 5) < 0.1
    assert peak["p_post_trial"] < 1e-4
    assert z.label == "red against blue"
    assert z.kernel == ours.kernel
    assert (z.meta["stat"], z.meta["signed"]) == ("significance", True)
    # What parts of a map, maps in other units, and maps from elsewhere know, too.
    part = compare(ours[20:60, 30:], its[20:60, 30:])
    assert part.data.shape == (40, 70)
    again = compare(pickle.loads(pickle.dumps(ours)), its.to("arcmin-2"))
    np.testing.assert_allclose(again.data, z.data)
    label = Figure().add_subplot(projection=WCS).sky_heatmap(z).colorbar_label
    assert label == "significance of red against blue [σ]"


def test_the_log_ratio_has_its_error():
    a, b = made(points(10, 5), label="red"), made(points(20, 6), label="blue")
    ratio = compare(a, b, statistic="log_ratio")
    np.testing.assert_allclose(ratio.data, np.log10(a.data / b.data))
    expected = np.sqrt(1 / a.n_eff + 1 / b.n_eff) / np.log(10)
    np.testing.assert_allclose(ratio.uncertainty.array, expected)
    assert ratio.unit == u.dex
    assert ratio.quantity.unit == u.dex
    assert ratio.label == "log(red / blue)"
    heat = Figure().add_subplot(projection=WCS).sky_heatmap(ratio)
    assert heat.colorbar_label == r"log(red / blue) [$\mathrm{dex}$]"
    assert heat.norm.vmin == -heat.norm.vmax
    # Densities are 1 : 2, and pulls as wide as their error says.
    pulls = (ratio.data + np.log10(2)) / expected
    assert abs(pulls.mean()) < 0.2
    assert pulls.std() == pytest.approx(1, abs=0.15)
    empty = compare(made(([83.0], [-5.0])), b, statistic="log_ratio")
    assert empty.mask[0, 0]


def test_comparing_costs_nothing_until_it_is_asked_for(monkeypatch):
    from mpl_skyheat.smoothing.field import PlaneField

    asked = []
    exposure = PlaneField.exposure_of_squares
    monkeypatch.setattr(
        PlaneField, "exposure_of_squares", lambda *a: (asked.append(1), exposure(*a))[1]
    )
    a, b = made(points(10, 7)), made(points(10, 8))
    assert a.n_eff is not None
    assert not asked
    compare(a, b)
    compare(a, b)
    assert len(asked) == 2


A = made(([83.0], [-5.0]))


@pytest.mark.parametrize(
    ("error", "text", "b"),
    [
        (ValueError, r"a and b must have the same kernel; got Gauss.* and TopHat.*kernel=a.kernel",
         made(([83.0], [-5.0]), kernel=TopHat("5 arcmin"))),
        (ValueError, r"maps must have the same pixels; got shapes",
         sky_map([83.0], [-5.0], wcs=make_wcs(), kernel=A.kernel)),
        (TypeError, r"b must be a map of a density or of counts, .* got one of 'mean'",
         made(([83.0], [-5.0]), values=[3.0])),
        (TypeError, r"b must be a map .* got one of 'density', with kernel 1 \* Gaussian",
         made(([83.0], [-5.0]), kernel=Gaussian("4 arcmin") - Gaussian("8 arcmin"))),
        (TypeError, r"b must be a map .* got one of 'density'",
         made(([83.0], [-5.0]), boundary="reflect")),
        (TypeError, r"b must be a map .* got one of 'total'", A + A),
        (TypeError, r"b must be a map .* got 3", 3),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(error, text, b):
    with pytest.raises(error, match=text):
        compare(A, b)


def test_statistics_of_a_comparison_are_named():
    with pytest.raises(ValueError, match=r"statistic must be one of 'significance', 'log_ratio'"):
        compare(A, A, statistic="ratio")
    with pytest.raises(TypeError, match=r"compare\(a, b, statistic='log_ratio'\)"):
        np.log10(A / A)


def test_log_ratios_of_weights_go_by_their_units():
    ra, dec = points(5, 1)
    a, b, c = (made((ra, dec), weights=np.ones(len(ra)) * unit) for unit in (u.kg, u.g, u.s))
    ratio = compare(a, b, statistic="log_ratio")
    np.testing.assert_allclose(ratio.data[~ratio.mask], 3)
    with pytest.raises(ValueError, match=r"a and b must have weights in units of one kind; got kg"):
        compare(a, c, statistic="log_ratio")


@pytest.mark.parametrize("geometry", ["plane", "sphere"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_maps_of_files_are_compared_like_those_that_were_written(geometry, weights, tmp_path):
    rng = np.random.default_rng(4)
    wcs = make_wcs(shape=(40, 30))
    maps, read = [], []
    for name in "ab":
        table = {"ra": rng.normal(83, 1, 2000), "dec": rng.normal(-5, 1, 2000)}
        table["w"] = rng.uniform(1, 2, 2000)
        options = {"kernel": "0.5 deg", "geometry": geometry, "weights": weights}
        maps.append(sky_map(data=table, wcs=wcs, coverage=lambda c: c.dec.deg > -6, **options))
        maps[-1].write(tmp_path / f"{name}.fits")
        read.append(SkyMap.read(tmp_path / f"{name}.fits"))
    for statistic in ("significance", "log_ratio"):
        expected = compare(*maps, statistic=statistic)
        for pair in (read, (read[0], maps[1]), [m[:] for m in read]):
            found = compare(*pair, statistic=statistic)
            np.testing.assert_array_equal(found.data, expected.data)
