"""Peaks: where they are, which are left out, how often noise makes them, and their marks."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from helpers import make_wcs
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mpl_skyheat import (
    Annulus,
    Epanechnikov,
    Gaussian,
    Moffat,
    SkyMap,
    TopHat,
    datasets,
    sky_heatmap,
    sky_map,
)
from mpl_skyheat.sky.frames import find_frame
from mpl_skyheat.sky.views import all_sky_wcs
from mpl_skyheat.smoothing.profiles import full_width, roughness

COLUMNS = ["id", "coord", "peak_value", "n_on", "n_off", "density", "p_pre_trial", "p_post_trial"]

# SIMBAD
CLUSTERS = {
    "h and χ Persei": SkyCoord("2h20m +57d08m"),
    "Praesepe": SkyCoord("8h40.4m +19d40m"),
    "Pleiades": SkyCoord("3h47m +24d07m"),
}


def whole_sky(code, side, frame="icrs"):
    return all_sky_wcs(find_frame(frame), side * u.deg, code)


@pytest.mark.parametrize("sigma", [0.5, 1.0])
@pytest.mark.parametrize("outer", [(3, 6), (4, 7)])
def test_the_clusters_of_the_sky_are_its_first_peaks(sigma, outer):
    m = sky_map(
        data=datasets.bright_stars(),
        wcs=whole_sky("MOL", sigma / 2, "galactic"),
        kernel=sigma * u.deg,
        statistic="significance",
        background=Annulus(*(n * sigma * u.deg for n in outer)),
    )
    peaks = m.find_peaks(n_peaks=10)
    assert len(peaks) == 10
    for position in CLUSTERS.values():
        nearest = position.separation(peaks["coord"]).min()
        assert nearest < 0.5 * np.sqrt(8 * np.log(2)) * sigma * u.deg
        assert nearest < {0.5: 0.28, 1.0: 0.64}[sigma] * u.deg
    assert (np.diff(peaks["peak_value"]) <= 0).all()
    assert (peaks["p_post_trial"] < 1e-6).all()
    pixel = m.wcs.world_to_pixel(peaks["coord"])
    there = tuple(np.round(v).astype(int) for v in pixel[::-1])
    np.testing.assert_allclose(peaks["n_on"], m.n_on[there], rtol=0.05)
    # The effective solid angle of a Gaussian is 4πσ².
    expected = peaks["n_on"] / (4 * np.pi * (sigma * u.deg) ** 2)
    np.testing.assert_allclose(peaks["density"].to_value(u.deg**-2), expected.value, rtol=0.01)


PLACES = {
    "0h": [(359.9, 10), (0.1, -20), (0, 35), (180, 3)],
    "poles": [(40, 90), (0, -90), (200, 60)],
    "both": [(0, 89.8), (180, 89.9 - 20), (180.1, 0), (179.9, 40), (0, -89.9)],
}


@pytest.mark.parametrize("code", ["CAR", "AIT", "MOL", "ZEA"])
@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_a_peak_is_one_row_wherever_a_map_is_cut(code, places):
    lon, lat = np.array(places, float).T
    wcs = whole_sky(code, 1.0)
    weights = np.linspace(2, 1, len(lon))
    m = sky_map(lon, lat, wcs=wcs, kernel="4 deg", weights=weights)
    peaks = m.find_peaks(0.2 * m.max())
    coords = SkyCoord(lon, lat, unit="deg")
    nearest, separation, _ = peaks["coord"].match_to_catalog_sky(coords)
    assert sorted(nearest) == list(range(len(lon)))
    # Of pixels of 1 deg, which are longer at a rim.
    assert separation.max() < 2 * u.deg
    assert list(peaks["id"]) == list(range(1, len(lon) + 1))


def test_no_two_peaks_are_nearer_than_asked_for():
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(0, 360, 4000), np.degrees(np.arcsin(rng.uniform(-1, 1, 4000)))
    m = sky_map(lon, lat, wcs=whole_sky("AIT", 2.0), kernel="3 deg")
    for separation in (None, 15 * u.deg, "40 deg"):
        coords = m.find_peaks(0, min_separation=separation)["coord"]
        least = np.sqrt(8 * np.log(2)) * 3 * u.deg if separation is None else u.Quantity(separation)
        assert len(coords) > 10
        apart = coords[:, np.newaxis].separation(coords)
        assert apart[~np.eye(len(coords), dtype=bool)].min() >= least
    assert len(m.find_peaks(0, n_peaks=3)) == 3


def test_a_slope_across_0h_is_no_peak():
    """A source beside the cut, whose wing goes on across it, farther than peaks must be apart."""
    lon, lat = np.array([186.0]), np.array([10.0])
    m = sky_map(lon, lat, wcs=whole_sky("CAR", 1.0), kernel="10 deg")
    peaks = m.find_peaks(0.1 * m.max(), min_separation="2 deg")
    assert len(peaks) == 1
    assert peaks["coord"].separation(SkyCoord(lon, lat, unit="deg")).max() < 0.1 * u.deg


def by_hand(values, **more):
    """A map of 0.1 deg pixels with given values."""
    values = np.asarray(values, float)
    wcs = make_wcs(shape=values.shape[::-1])
    area = np.full(values.shape, 0.01) * u.deg**2
    given = {"solid_angle": area.to(u.sr), "unit": "deg-2", "meta": {"stat": "density"}}
    return SkyMap(values, wcs=wcs, **given | more)


def test_a_plateau_is_one_peak_and_a_step_none():
    values = np.zeros((20, 30))
    values[5:8, 5:9] = 3
    values[14, 20:25] = 2  # leads up to
    values[14, 25] = 4
    values[2, 20] = np.nan
    peaks = by_hand(values).find_peaks(1, min_separation="0.11 deg")
    assert list(peaks["peak_value"].value) == [4, 3]
    x, y = by_hand(values).wcs.world_to_pixel(peaks["coord"])
    assert 4.9 <= x[1] <= 8.1
    assert 4.9 <= y[1] <= 7.1


def test_peaks_lie_between_pixels():
    y, x = np.indices((20, 30))
    m = by_hand(10 - (x - 12.3) ** 2 - 0.5 * (y - 7.6) ** 2 + 0.3 * (x - 12.3) * (y - 7.6))
    (found,) = zip(
        *m.wcs.world_to_pixel(m.find_peaks(5, min_separation="1 deg")["coord"]), strict=True
    )
    np.testing.assert_allclose(found, (12.3, 7.6), atol=1e-9)


def test_a_table_without_peaks_has_all_columns(tmp_path):
    m = by_hand(np.ones((9, 9)))
    for threshold in (5, 5 / u.deg**2, 0.1 / u.arcmin**2):
        peaks = m.find_peaks(threshold, min_separation="1 deg")
        assert (len(peaks), peaks.colnames) == (0, COLUMNS)
    peaks.write(tmp_path / "peaks.ecsv")
    peaks = m.find_peaks(0.5, min_separation="20 deg")
    assert len(peaks) == 1
    assert np.isnan(peaks["n_on"]).all()
    assert np.isnan(peaks["p_post_trial"]).all()
    peaks.write(tmp_path / "one.ecsv")
    again = QTable.read(tmp_path / "one.ecsv")
    assert again["coord"].separation(peaks["coord"]).max() < 1e-9 * u.deg


@pytest.mark.parametrize(
    ("error", "text", "arguments"),
    [
        (ValueError, r"threshold must be given, .* got None, with a map of 'density'", {}),
        (ValueError, r"threshold must be a finite .* map's unit, 1 / deg2,.* got <Quantity 5. Jy>",
         {"threshold": 5 * u.Jy}),
        (ValueError, r"threshold must be a finite number .* got nan", {"threshold": np.nan}),
        (ValueError, r"min_separation must be an angle, such as 1\*u.deg, .* got None, with None",
         {"threshold": 1}),
        (ValueError, r"min_separation must be an angle .* got '2 pix'",
         {"threshold": 1, "min_separation": "2 pix"}),
        (ValueError, r"n_peaks must be a positive integer, or None for all; got 0",
         {"threshold": 1, "min_separation": "1 deg", "n_peaks": 0}),
    ],
)  # fmt: skip
def test_what_finds_no_peaks_is_refused(error, text, arguments):
    with pytest.raises(error, match=text):
        by_hand(np.ones((9, 9))).find_peaks(**arguments)


def test_maps_without_a_sky_have_no_peaks():
    flat = sky_map([1.0, 2.0], [3.0, 4.0], frame="flat")
    with pytest.raises(TypeError, match="find_peaks needs a map of the sky"):
        flat.find_peaks(1)
    with pytest.raises(ValueError, match="solid_angle must be that of the map's pixels"):
        by_hand(np.ones((9, 9)), solid_angle=None).find_peaks(1)
    m = sky_map([83.0], [-5.0], wcs=make_wcs(), kernel=Gaussian("0.2 deg") - Gaussian("0.4 deg"))
    with pytest.raises(ValueError, match=r"min_separation .* got None, with 1 \* Gaussian"):
        m.find_peaks(1)


# Kernels, and the noise under them

RAD = np.pi / 180


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (Gaussian(fwhm="1 deg"), 1),
        (Moffat("1 deg", 3), 1),
        (TopHat("1 deg"), 2),
        (Epanechnikov("1 deg"), np.sqrt(2)),
        (Gaussian(fwhm=4 * u.pix), 2),
        (0.5 * Gaussian(fwhm="1 deg") + 0.5 * Gaussian(fwhm="1 deg"), 1),
    ],
    ids=repr,
)
def test_the_full_width_of_a_kernel(kernel, expected):
    assert full_width(kernel.terms, 0.5 * RAD) / RAD == pytest.approx(expected, rel=1e-3)


def test_lambda_is_that_of_the_formulas():
    assert roughness(Gaussian(fwhm="1 deg").terms, RAD) * RAD**2 == pytest.approx(
        4 * np.log(2), rel=2e-3
    )
    for beta in (1.5, 3.0, 4.765):
        gamma = 0.5 / np.sqrt(2 ** (1 / beta) - 1)
        expected = beta * (2 * beta - 1) / ((2 * beta + 1) * gamma**2)
        found = roughness(Moffat("1 deg", beta).terms, RAD) * RAD**2
        assert found == pytest.approx(expected, rel=0.02)
    assert np.isnan(roughness(TopHat("1 deg").terms, RAD))
    assert np.isnan(roughness(Epanechnikov("1 deg").terms, RAD))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [Gaussian("4 arcmin"), Moffat("9.4 arcmin", 4.765)], ids=repr)
def test_noise_makes_as_many_peaks_as_expected(kernel):
    """On 250 skies of 60 points under the kernel, above 3 σ."""
    wcs = make_wcs(shape=(120, 120), cdelt=(-0.02, 0.02))
    number, expected = 0, 0.0
    for seed in range(250):
        rng = np.random.default_rng(seed)
        points = rng.poisson(60 / (4 * np.pi * (4 / 60) ** 2) * 64 * np.cos(np.radians(5)))
        ra, dec = 83 + rng.uniform(-4, 4, points), -5 + rng.uniform(-4, 4, points)
        background = Annulus("20 arcmin", "60 arcmin")
        m = sky_map(
            ra, dec, wcs=wcs, kernel=kernel, statistic="significance", background=background
        )
        number += len(m.find_peaks(3, min_separation="3 arcmin"))
        # Of the probability of a peak of exactly 3 σ.
        top = by_hand(np.full((1, 1), 3.0), solid_angle=[[m.solid_angle.sum().value]] * u.sr,
                      kernel=kernel, unit="", meta={"stat": "significance"})  # fmt: skip
        expected += -np.log1p(-top.find_peaks(2)["p_post_trial"][0])
    assert expected > 200
    assert number / expected == pytest.approx(1, abs=0.08 + 2 / np.sqrt(expected))


# Marks

FORMS = {
    "WCSAxes": lambda figure: figure.add_subplot(projection=whole_sky("MOL", 1.0)),
    "mollweide": lambda figure: figure.add_subplot(projection="mollweide"),
    "plain": lambda figure: figure.add_subplot(),
}


def drawn(make, number=25, **kwargs):
    """A map of two knots of points, with marks on it; the figure, heatmap, marks and renderer."""
    figure = Figure(figsize=(6, 4))
    rng = np.random.default_rng(2)
    knots = [(60 + 25 * i, 20 + 25 * j) for i in range(-1, 2) for j in range(-1, 2)]
    lon, lat = (np.concatenate([rng.normal(k[i], 0.5, 60) for k in knots]) for i in (0, 1))
    heat = sky_heatmap(make(figure), lon, lat, kernel="1.5 deg", **kwargs)
    marks = heat.mark_peaks(heat.sky_map.find_peaks(0.2 * heat.sky_map.max(), n_peaks=number))
    return heat, marks, renderer_of(figure)


def renderer_of(figure):
    """Draw a figure; return what has drawn it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


@pytest.mark.parametrize("make", FORMS.values(), ids=FORMS)
def test_marks_are_where_the_peaks_are_and_numbers_beside_them(make):
    heat, marks, renderer = drawn(make)
    leaders, circles, *numbers = marks.get_children()
    assert len(numbers) == 9
    assert [n.get_text() for n in numbers] == [str(i) for i in range(1, 10)]
    assert all(n.get_visible() for n in numbers)
    centres = circles.get_transform().transform(circles.get_xydata())
    # The map's own pixel there is the brightest of those around.
    inverse = heat.get_transform().inverted().transform(centres)
    left, right, bottom, top = heat.get_extent()
    ny, nx = heat.sky_map.data.shape
    column = np.floor((inverse[:, 0] - left) / (right - left) * nx).astype(int)
    row = np.floor((inverse[:, 1] - bottom) / (top - bottom) * ny).astype(int)
    peaks = heat.sky_map.find_peaks(0.2 * heat.sky_map.max())
    np.testing.assert_allclose(heat.sky_map.data[row, column], peaks["peak_value"].value, rtol=0.1)
    boxes = [n.get_window_extent(renderer) for n in numbers]
    size = renderer.points_to_pixels(12)
    rings = [Bbox([c - size / 2, c + size / 2]) for c in centres]
    for i, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:i] + boxes[i + 1 :])
        assert not box.count_overlaps(rings)
    assert leaders.get_linestyle() == "-"


def test_crowded_numbers_do_not_overlap_at_any_size():
    rng = np.random.default_rng(3)
    coords = SkyCoord(83 + rng.uniform(-0.4, 0.4, 40), -5 + rng.uniform(-0.4, 0.4, 40), unit="deg")
    for size in (2, 5):
        figure = Figure(figsize=(size, size))
        heat = figure.add_subplot(projection=make_wcs()).sky_heatmap([83.0], [-5.0])
        marks = heat.mark_peaks(QTable({"coord": coords}), n_peaks=None)
        renderer = renderer_of(figure)
        shown = [n for n in marks.get_children()[2:] if n.get_visible()]
        boxes = [n.get_window_extent(renderer) for n in shown]
        assert not any(b.count_overlaps(boxes[:i]) for i, b in enumerate(boxes))
        assert len(shown) > 0
    assert len(shown) > 30


def test_marks_have_the_colour_that_is_asked_for_and_can_be_removed():
    heat, marks, _ = drawn(FORMS["plain"], cmap="magma")
    assert marks.get_children()[1].get_markeredgecolor() == "white"
    red = heat.mark_peaks(heat.sky_map.find_peaks(1, n_peaks=2), color="red", markersize=20)
    renderer_of(heat.figure)
    assert red.get_children()[2].get_color() == "red"
    assert red.get_children()[1].get_markersize() == 20
    before = len(heat.axes.get_children())
    marks.remove()
    assert len(heat.axes.get_children()) == before - 1
    with pytest.raises(TypeError, match=r"peaks must be a table with a column 'coord', .* got \[1"):
        heat.mark_peaks([1, 2])


def test_by_default_the_ten_first_peaks_are_marked():
    stars = datasets.bright_stars()
    heat = Figure().add_subplot(projection=whole_sky("MOL", 1.0)).sky_heatmap(
        data=stars, kernel="1 deg", statistic="significance", background=Annulus("3 deg", "6 deg")
    )  # fmt: skip
    marks = heat.mark_peaks()
    assert len(marks.get_children()) == 2 + 10
