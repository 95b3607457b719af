"""`kernel="auto"`: the best width, where its definition says it is, and what it refuses."""

import logging

import numpy as np
import pytest
from astropy import units as u
from astropy.wcs import WCS
from matplotlib.figure import Figure

from mpl_skyheat import Gaussian, Randoms, SkyHeatmapWarning, TopHat, sky_heatmap, sky_map

SIDE = 128  # pixels
DEGREES = 4.0


def field():
    wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 359.5, "CRVAL2": 30.0})
    wcs.wcs.cdelt, wcs.wcs.crpix = [-DEGREES / SIDE, DEGREES / SIDE], [0.5 * SIDE + 0.5] * 2
    return {"wcs": wcs, "shape": (SIDE, SIDE)}


def clusters(seed, number=2000):
    """Clusters in a field: positions in pixels, and the density per pixel that they are of."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE, SIDE))
    density = np.full((SIDE, SIDE), number / SIDE**2)
    places = [rng.uniform(-0.5, SIDE - 0.5, (2, number))]
    for _ in range(6):
        (x0, y0), sigma = rng.uniform(20, SIDE - 20, 2), rng.uniform(5, 10)
        square = ((x - x0) ** 2 + (y - y0) ** 2) / sigma**2
        density += number / 6 * np.exp(-0.5 * square) / (2 * np.pi * sigma**2)
        places.append(rng.normal([[x0], [y0]], sigma, (2, number // 6)))
    return np.concatenate(places, axis=1), density


def half_masked():
    coverage = np.ones((SIDE, SIDE))
    coverage[:, : SIDE // 3] = 0
    coverage[50:60, 80:100] = 0
    return coverage


@pytest.mark.parametrize("coverage", [None, half_masked()], ids=["all", "half masked"])
def test_error_is_within_5_percent_of_that_of_the_best_width(coverage):
    """In the mean: of one catalogue, the best width is a matter of chance, too."""
    options = {"coverage": coverage, "min_coverage": 0, "unit": "deg-2", **field()}
    ratios = []
    for seed in range(1, 6):
        (x, y), density = clusters(seed)
        lon, lat = field()["wcs"].wcs_pix2world(x, y, 0)
        made = [sky_map(lon, lat, kernel="auto", **options)]
        assert made[0].meta["autoneff"] > 5
        around = 2 ** (np.arange(-6, 7) / 8)
        kernels = [Gaussian(factor * made[0].kernel.sigma) for factor in around]
        made += [sky_map(lon, lat, kernel=kernel, **options) for kernel in kernels]
        truth = density / made[0].solid_angle.to_value("deg2")
        errors = [np.nansum((one.data - truth) ** 2) for one in made]
        ratios.append(errors[0] / min(errors))
    assert np.mean(ratios) <= 1.05
    assert max(ratios) <= 1.2


def test_plane_and_sphere_choose_alike():
    lon, lat = field()["wcs"].wcs_pix2world(*clusters(5)[0], 0)
    widths = [
        sky_map(lon, lat, kernel="auto", geometry=geometry, **field()).kernel.sigma
        for geometry in ("plane", "sphere")
    ]
    assert widths[0].to_value("arcmin") == pytest.approx(widths[1].to_value("arcmin"), rel=0.05)


def test_score_is_that_of_its_definition():
    """The oracle: densities without each row in turn, summed over points."""
    (x, y), _ = clusters(6, number=60)
    inside = (abs(x - 63.5) < 64) & (abs(y - 63.5) < 64)
    x, y = np.round(x[inside]), np.round(y[inside])
    rows, columns = np.indices((SIDE, SIDE))
    scores = []
    widths = np.geomspace(4, 30, 40)
    for sigma in widths:

        def kernel(dx, dy, sigma=sigma):
            square = (dx**2 + dy**2) / sigma**2
            return np.where(square <= 25, np.exp(-0.5 * square), 0) / (2 * np.pi * sigma**2)

        def along(at, sigma=sigma):
            places = np.arange(SIDE)
            near = np.exp(-0.5 * ((at[:, None] - places) / sigma) ** 2)
            return near.sum(axis=1) / (np.sqrt(2 * np.pi) * sigma)

        seen = np.outer(along(np.arange(SIDE)), along(np.arange(SIDE)))
        density = sum(kernel(columns - a, rows - b) for a, b in zip(x, y, strict=True)) / seen
        pairs = kernel(x[:, None] - x, y[:, None] - y)
        np.fill_diagonal(pairs, 0)
        without = pairs.sum(axis=1) / (along(x) * along(y))
        number = len(x)
        scores.append((density**2).sum() - 2 * number / (number - 1) * without.sum())
    best = widths[int(np.argmin(scores))]
    lon, lat = field()["wcs"].wcs_pix2world(x, y, 0)
    made = sky_map(lon, lat, kernel="auto", geometry="plane", **field())
    pixel = DEGREES / SIDE * u.deg
    assert (made.kernel.sigma / pixel).to_value("") == pytest.approx(best, rel=0.08)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_featureless_field_has_the_widest(seed):
    x, y = np.random.default_rng(seed).uniform(-0.5, SIDE - 0.5, (2, 4000))
    lon, lat = field()["wcs"].wcs_pix2world(x, y, 0)
    made = sky_map(lon, lat, kernel="auto", **field())
    assert made.kernel.sigma.to_value("deg") == pytest.approx(DEGREES / 4, rel=0.01)


def test_uniform_weights_and_randoms_change_nothing():
    lon, lat = field()["wcs"].wcs_pix2world(*clusters(7)[0], 0)
    plain = sky_map(lon, lat, kernel="auto", **field()).kernel.sigma
    weighted = sky_map(lon, lat, weights=np.full(len(lon), 3.0), kernel="auto", **field())
    assert weighted.kernel.sigma.to_value("deg") == pytest.approx(plain.to_value("deg"), rel=0.01)
    x, y = np.random.default_rng(8).uniform(-0.5, SIDE - 0.5, (2, 200_000))
    density = len(x) / sky_map(lon, lat, **field()).solid_angle.sum()
    randoms = Randoms(*field()["wcs"].wcs_pix2world(x, y, 0), density=density)
    seen = sky_map(lon, lat, coverage=randoms, kernel="auto", **field()).kernel.sigma
    assert seen.to_value("deg") == pytest.approx(plain.to_value("deg"), rel=0.1)


def test_choice_is_told_and_can_be_given_again(caplog):
    lon, lat = field()["wcs"].wcs_pix2world(*clusters(9)[0], 0)
    with caplog.at_level(logging.INFO, logger="mpl_skyheat"):
        made = sky_map(lon, lat, kernel="auto", **field())
    (record,) = caplog.records
    assert record.getMessage().startswith(
        f"kernel='auto' is a Gaussian of σ = {made.kernel.sigma}, of 9 widths from 3.75 arcmin to"
    )
    again = sky_map(lon, lat, kernel=made.kernel, **field())
    np.testing.assert_array_equal(again.data, made.data)


@pytest.mark.parametrize("frame", ["icrs", "flat"])
def test_plain_axes_have_1024_bins(frame):
    x, y = clusters(4)[0]
    heat = sky_heatmap(Figure().add_subplot(), 0.01 * x, 0.01 * y, frame=frame, kernel="auto")
    assert heat.sky_map.data.shape == (1024, 1024)
    sigma = heat.sky_map.kernel.sigma
    step = 0.01 * np.ptp(x) / 1024
    assert 0.02 < (sigma.value * step if frame == "flat" else sigma.to_value("deg")) < 0.1


@pytest.mark.slow
def test_projection_has_up_to_1024_pixels():
    ax = Figure().add_subplot(projection="mollweide")
    rng = np.random.default_rng(2)
    heat = sky_heatmap(ax, rng.normal(20, 8, 3000), rng.normal(10, 8, 3000), kernel="auto")
    assert heat.sky_map.data.shape == (489, 975)  # 3 × 3 in each pixel of 1 deg
    assert 1 < heat.sky_map.kernel.sigma.to_value("deg") < 6


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"statistic": "mean", "values": [1.0, 2.0]}, "kernel='auto' is the width for a density"),
        ({"statistic": "significance"}, "kernel='auto' is the width for a density"),
        ({"shape": (7, 90)}, "kernel='auto' looks for a width .* got 7 pixels along the shorter"),
        ({}, "kernel='auto' finds no width: under the best .* are 1.5 points, fewer than 5"),
        (
            {"coverage": half_masked() * 0},
            "kernel='auto' needs several points on the map, .* got 0",
        ),
    ],
    ids=["mean", "significance", "small", "noise", "unseen"],
)
def test_refusals(options, text):
    with pytest.raises(ValueError, match=text):
        sky_map([359.3, 0.9], [30.1, 29.2], **{**field(), "kernel": "auto", **options})


def test_stream_cannot_be_read_twice():
    stream = iter([(np.array([359.5]), np.array([30.0]))])
    with pytest.raises(ValueError, match=r"points must be arrays or a table, .* kernel='auto'"):
        sky_map(stream, kernel="auto", **field())


def test_auto_is_no_kernel_in_a_sum():
    with pytest.raises(ValueError, match="sigma must be an angle"):
        Gaussian("auto")
    with pytest.raises(TypeError):
        TopHat("1 deg") - "auto"


def test_narrowest_width_is_warned_of():
    rng = np.random.default_rng(1)
    x, y = rng.normal([[60.0], [60.0]], 0.7, (2, 3000))
    lon, lat = field()["wcs"].wcs_pix2world(x, y, 0)
    with pytest.warns(SkyHeatmapWarning, match=r"took the narrowest width, 3\.75 arcmin, of 2 pix"):
        sky_map(lon, lat, kernel="auto", **field())


def test_one_of_kernel_and_pixels_must_have_a_size():
    with pytest.raises(ValueError, match="give the size of one of them"):
        sky_map([359.5], [30.0], kernel="auto", pixel_size="auto", **field())


@pytest.mark.parametrize("weight", [1e-100, 1e150])
def test_width_does_not_depend_on_the_unit_of_weights(weight):
    lon, lat = field()["wcs"].wcs_pix2world(*clusters(7)[0], 0)
    plain = sky_map(lon, lat, kernel="auto", **field()).kernel.sigma.to_value("deg")
    weights = np.full(len(lon), weight)
    made = sky_map(lon, lat, weights=weights, kernel="auto", **field())
    assert made.kernel.sigma.to_value("deg") == pytest.approx(plain, rel=0.05)


@pytest.mark.parametrize("weight", [1e-200, 1e200])
def test_weights_whose_squares_are_no_numbers_are_named(weight):
    lon, lat = field()["wcs"].wcs_pix2world(*clusters(7)[0], 0)
    with pytest.raises(ValueError, match="weights must have squares that are finite and not 0"):
        sky_map(lon, lat, weights=np.full(len(lon), weight), kernel="auto", **field())
