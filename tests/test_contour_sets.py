"""Contours on Axes: where they are drawn, what they are called, and what stays as it is."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from helpers import make_wcs
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.path import Path
from test_axes_kinds import KINDS, PARTS, in_pixels

import mpl_skyheat
from mpl_skyheat import Gaussian, SkyContour, sky_contour, sky_heatmap, sky_map


def wcs_axes(wcs):
    ax = Figure().add_subplot(projection=wcs)
    return ax, lambda lon, lat: ax.scatter(lon, lat, transform=ax.get_transform("icrs"))


def all_sky(code):
    wcs = make_wcs(code, shape=(400, 200), center=(0.0, 0.0), cdelt=(-0.9, 0.9))
    return lambda: wcs_axes(wcs)


# Kinds of Axes, with those of a WCS.
ALL_KINDS = KINDS | {f"WCS {code}": all_sky(code) for code in ("AIT", "CAR")}
SOURCES = {"0h": (0.1, 12.0), "pole": (70.0, 80.0), "rim": (177.5, -20.0)}
SIGMA = 3 * u.deg


@pytest.fixture(autouse=True)
def no_figures():
    yield
    plt.close("all")


@pytest.fixture
def points(stars):
    return SkyCoord(*stars, unit="deg")


def lone_source(lon, lat):
    """Return a source of weight 1, and some of weight 0 that show what the Axes is to show."""
    zero = np.array([[0, 120, 240, 60, 180, 300], [-80, -40, 0, 40, 80, 0]])
    position = np.column_stack([[lon, lat], zero])
    return *position, np.eye(1, position.shape[1])[0]


def lines_of(drawn):
    """Return the lines of a set, in its own units."""
    found = []
    for path in drawn.get_paths():
        starts = np.flatnonzero(path.codes == Path.MOVETO)[1:]
        found += [line for line in np.split(path.vertices, starts) if len(line)]
    return found


def distance_to(lines, place):
    """Return how far a place is from the nearest point of some lines."""
    best = np.inf
    for line in lines:
        start, step = line[:-1], np.diff(line, axis=0)
        length = np.maximum((step**2).sum(axis=1), 1e-30)
        along = np.clip(((place - start) * step).sum(axis=1) / length, 0, 1)
        best = min(best, np.hypot(*(start + along[:, np.newaxis] * step - place).T).min())
    return best


# The rim of a lambert Axes has pixels twenty times as long as wide.
CASES = [
    (kind, place, False)
    for kind in ALL_KINDS
    for place in ("pole", "0h" if kind in {*PARTS, "lambert"} else "rim")
]
CASES += [(kind, "rim", True) for kind in ("mollweide", "cartopy Mollweide", "plain", "WCS AIT")]
# Axes that take a second or two to draw.
SLOW = ("aitoff", *(kind for kind in ALL_KINDS if kind.startswith(("cartopy", "skyproj"))))
CASES = [pytest.param(*case, marks=pytest.mark.slow) if case[0] in SLOW else case for case in CASES]


@pytest.mark.parametrize(("kind", "place", "is_of_map"), CASES)
def test_a_contour_runs_through_the_half_maximum_of_a_lone_source(kind, place, is_of_map):
    lon, lat, weights = lone_source(*SOURCES[place])
    level = 0.5 / (2 * np.pi * SIGMA**2)
    options = {"weights": weights, "kernel": Gaussian(SIGMA), "geometry": "sphere"}
    ax, mark = ALL_KINDS[kind]()
    heat = sky_heatmap(ax, lon, lat, **options)
    if is_of_map:
        wcs = make_wcs("CAR", shape=(720, 360), center=(40.0, 0.0), cdelt=(-0.5, 0.5))
        drawn = sky_contour(ax, sky_map(lon, lat, wcs=wcs, **options), levels=level)
    else:
        drawn = sky_contour(ax, lon, lat, levels=[level], **options)
    ny, nx = heat.get_array().shape
    left, right, bottom, top = heat.get_extent()
    sides = np.array([(right - left) / nx, (top - bottom) / ny])
    lines = [(line - [left, bottom]) / sides - 0.5 for line in lines_of(drawn)]
    assert lines
    radius = SIGMA * np.sqrt(2 * np.log(2))
    center = SkyCoord(*SOURCES[place], unit="deg")
    seen = 0
    for angle in np.arange(8) * 45 * u.deg:
        circle = center.directional_offset_by(angle, radius)
        at = in_pixels(heat, mark(circle.ra.deg, circle.dec.deg))
        if not np.isfinite(at).all() or not (0 < at[0] < nx - 1 and 0 < at[1] < ny - 1):
            continue
        seen += 1
        assert distance_to(lines, np.array(at)) < 0.5
    assert seen >= 3


@pytest.mark.parametrize("code", ["AIT", "MOL"])
def test_lines_and_areas_end_where_the_sky_does(code):
    lon, lat, weights = lone_source(*SOURCES["rim"])
    ax, _ = wcs_axes(make_wcs(code, shape=(370, 190), center=(0.0, 0.0), cdelt=(-0.9, 0.9)))
    options = {"weights": weights, "kernel": Gaussian(SIGMA), "levels": 0.001}
    lines = lines_of(sky_contour(ax, lon, lat, **options))
    filled = sky_contour(ax, lon, lat, filled=True, **options)
    for line in lines + lines_of(filled):
        assert np.isfinite(ax.wcs.wcs_pix2world(line, 0)).all()
    assert len(lines) == 2
    ends = np.array([end for line in lines for end in (line[0], line[-1])])
    sky = SkyCoord(ax.wcs.wcs_pix2world(ends, 0), unit="deg")
    assert all(np.sort(end.separation(sky).deg)[1] < 0.45 for end in sky)


# Arguments


def test_levels_are_numbers_or_quantities(points, field):
    ax, _ = wcs_axes(field)
    first = sky_contour(ax, points, kernel="0.2 deg", levels=[100, 200])
    assert isinstance(first, ContourSet)
    assert first.levels.tolist() == [100, 200]
    for levels in (
        [100, 200] / u.deg**2,
        [100 / u.deg**2, (200 / u.deg**2).to(u.arcmin**-2)],
        np.array([200, 100]),
    ):
        same = sky_contour(ax, points, kernel="0.2 deg", levels=levels)
        np.testing.assert_allclose(same.levels, [100, 200])
    assert [c.level.value for c in first.sky_contours] == [100, 200]
    assert first.sky_contours[0].area > first.sky_contours[1].area
    assert len(sky_contour(ax, points, kernel="0.2 deg", levels=5).levels) >= 4
    assert len(sky_contour(ax, points, kernel="0.2 deg").levels) >= 4


def test_fractions_are_of_the_points_where_they_are(points, field):
    ax, _ = wcs_axes(field)
    drawn = sky_contour(ax, points, kernel="0.2 deg", enclosed=[0.5, 0.9])
    expected = sky_map(points, wcs=field, kernel="0.2 deg")
    for contour, fraction in zip(drawn.sky_contours, (0.9, 0.5), strict=True):
        assert isinstance(contour, SkyContour)
        assert contour.enclosed == fraction
        own = expected.contour(enclosed=fraction, points=points)
        assert contour.level.value == pytest.approx(own.level.value)
        assert contour.inside == own.inside
    counted = sky_contour(ax, iter([points]), kernel="0.2 deg", enclosed=0.5).sky_contours[0]
    assert counted.level == expected.contour(enclosed=0.5).level
    other = points[:50]
    drawn = sky_contour(
        ax, points, kernel="0.2 deg", enclosed=0.5, points=other, leave_one_out=False
    )
    own = expected.contour(enclosed=0.5, points=other, leave_one_out=False)
    assert drawn.sky_contours[0].level.value == pytest.approx(own.level.value)


def test_the_contours_of_an_image_are_those_of_its_map(points, field):
    ax, _ = wcs_axes(field)
    heat = sky_heatmap(ax, points, kernel="0.2 deg")
    drawn = heat.contour(enclosed=[0.3, 0.8], points=points)
    expected = [heat.sky_map.contour(enclosed=p, points=points).level.value for p in (0.8, 0.3)]
    np.testing.assert_allclose(drawn.levels, expected)
    np.testing.assert_array_equal(drawn.get_edgecolor(), [[1, 1, 1, 1]] * 2)
    own = heat.sky_map.contour(expected[0])
    path = np.concatenate([np.stack(field.world_to_pixel(p), -1) for p in own.paths])
    lines = lines_of(heat.contour(expected[0], colors="r"))
    np.testing.assert_allclose(np.concatenate(lines), path, atol=1e-6)
    assert len(heat.contour(5, cmap="viridis").levels) > 3


@pytest.mark.parametrize("filled", [False, True])
def test_colours_have_the_order_that_was_given(points, field, filled):
    ax, _ = wcs_axes(field)
    drawn = sky_contour(
        ax, points, kernel="0.2 deg", enclosed=[0.5, 0.9], colors=["red", "blue"], filled=filled
    )
    found = drawn.get_facecolor() if filled else drawn.get_edgecolor()
    assert found.tolist() == [[0, 0, 1, 1], [1, 0, 0, 1]]  # by ascending level


def test_fractions_are_labelled_in_percent_and_levels_by_value(points, field):
    ax, _ = wcs_axes(field)
    ax.set(xlim=(-0.5, 29.5), ylim=(-0.5, 19.5))
    drawn = sky_contour(ax, points, kernel="0.3 deg", enclosed=[0.25, 0.5])
    assert {text.get_text() for text in ax.clabel(drawn)} == {"25 %", "50 %"}
    named = sky_contour(ax, points, kernel="0.3 deg", enclosed=[0.5])
    assert {text.get_text() for text in ax.clabel(named, fmt="half")} == {"half"}
    plain = sky_contour(ax, points, kernel="0.3 deg", levels=[300])
    assert {text.get_text() for text in ax.clabel(plain)} == {"300"}
    with_unit = sky_contour(ax, points, kernel="0.3 deg", levels=[300])
    assert {text.get_text() for text in ax.clabel(with_unit, fmt="%g deg⁻²")} == {"300 deg⁻²"}


@pytest.mark.parametrize("kind", ["aitoff", "hammer", "cartopy Mollweide", "plain", "WCS AIT"])
def test_labels_are_on_their_contours(kind):
    lon, lat, weights = lone_source(*SOURCES["0h"])
    ax, _ = ALL_KINDS[kind]()
    drawn = sky_contour(ax, lon, lat, weights=weights, kernel=Gaussian("12 deg"), levels=1e-4)
    lines = [drawn.get_transform().transform(line) for line in lines_of(drawn)]
    texts = ax.clabel(drawn)
    assert texts
    for text in texts:
        place = text.get_transform().transform(text.get_position())
        assert distance_to(lines, place) < 3  # device pixels


# What stays as it is


def test_the_limits_of_a_drawn_axes_are_kept(points, field):
    ax, _ = wcs_axes(field)
    ax.imshow(np.zeros((20, 30)))
    ax.set(xlim=(5, 12), ylim=(14, 3))
    ax.figure.draw_without_rendering()
    sky_contour(ax, points, kernel="0.2 deg", levels=4)
    assert (ax.get_xlim(), ax.get_ylim()) == ((5, 12), (14, 3))
    ax.set(xlim=(-10.5, 40.5), ylim=(-10.5, 30.5))
    heat = sky_heatmap(ax, points, kernel="0.2 deg")
    heat.contour(4)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-10.5, 40.5), (-10.5, 30.5))


@pytest.mark.parametrize("kind", ["mollweide", "cartopy Orthographic", "skyproj Laea"])
def test_the_limits_of_every_other_axes_are_kept(kind):
    lon, lat, weights = lone_source(*SOURCES["0h"])
    ax, _ = KINDS[kind]()
    before = ax.get_xlim(), ax.get_ylim()
    heat = sky_heatmap(ax, lon, lat, kernel="5 deg")
    heat.contour(3)
    sky_contour(ax, lon, lat, weights=weights, kernel="5 deg", levels=3)
    np.testing.assert_allclose((ax.get_xlim(), ax.get_ylim()), before)


def test_a_fresh_axes_is_set_to_the_map(points, field):
    ax, _ = wcs_axes(field)
    sky_contour(ax, points, kernel="0.2 deg", levels=4)
    assert (ax.get_xlim(), ax.get_ylim()) == ((-0.5, 29.5), (-0.5, 19.5))
    assert ax.get_aspect() == 1
    plain = Figure().add_subplot()
    sky_contour(plain, points, kernel="0.2 deg", levels=4)
    assert plain.xaxis_inverted()
    assert plain.get_xlabel() == "RA"


def test_contours_and_maps_on_geographic_axes_agree_on_the_middle(points):
    ax = Figure().add_subplot(projection="mollweide")
    sky_contour(ax, points, kernel="5 deg", levels=3, center=90)
    with pytest.raises(ValueError, match="center must be that of the map on the Axes, 90 deg"):
        sky_heatmap(ax, points, kernel="5 deg", center=0)
    heat = sky_heatmap(ax, points, kernel="5 deg")
    assert heat.sky_in_middle[0] == 90
    assert heat.contour(3).sky_in_middle == heat.sky_in_middle


def test_a_plain_figure_with_contours_can_be_pickled():
    rng = np.random.default_rng(1)
    ax = Figure().add_subplot()
    sky_contour(ax, *rng.normal(0, 1, (2, 500)), frame="flat", bins=50, kernel=3 * u.pix, levels=4)
    again = pickle.loads(pickle.dumps(ax.figure))
    assert len(again.axes[0].collections) == 1


def test_contours_of_a_map_of_x_and_y():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (2, 5000))
    ax = Figure().add_subplot()
    ax.set(xlim=(-4, 4), ylim=(-4, 4))
    drawn = sky_contour(ax, x, y, frame="flat", bins=80, kernel=3 * u.pix, enclosed=0.5)
    radii = np.hypot(*np.concatenate(lines_of(drawn)).T)
    assert radii.mean() == pytest.approx(np.sqrt(2 * np.log(2)), rel=0.05)
    same = sky_contour(ax, sky_map(x, y, frame="flat", bins=80, kernel=3 * u.pix), enclosed=0.5)
    radii = np.hypot(*np.concatenate(lines_of(same)).T)
    assert radii.mean() == pytest.approx(np.sqrt(2 * np.log(2)), rel=0.05)


# What is refused


def test_arguments_that_contours_do_not_have_are_refused(points, field):
    ax, _ = wcs_axes(field)
    heat = sky_heatmap(ax, points, kernel="0.2 deg")
    with pytest.raises(TypeError, match=r"sky_contour has no argument 'color'; .* are colors$"):
        sky_contour(ax, points, color="w")
    with pytest.raises(TypeError, match="contour has no argument 'vmim'; those of contours are al"):
        heat.contour(vmim=3)
    with pytest.raises(TypeError, match="extent must be left out, as it follows from the map"):
        heat.contour(extent=(0, 1, 0, 1))
    with pytest.raises(TypeError, match="levels and enclosed exclude each other"):
        heat.contour(3, enclosed=0.5)
    with pytest.raises(TypeError, match=r"ax must be an Axes, as in ax\.sky_contour"):
        sky_contour(points, kernel="0.2 deg")
    with pytest.raises(
        TypeError, match="kernel must be left out with a map, which is made already"
    ):
        sky_contour(ax, heat.sky_map, kernel="0.2 deg")
    with pytest.raises(ValueError, match=r"levels of contours must differ; those of .*0\.5, 0\.5"):
        heat.contour(enclosed=[0.5, 0.5])
    with pytest.raises(ValueError, match="the map must have a value somewhere"):
        sky_contour(ax, points, kernel="0.2 deg", min_count=1e9, levels=3)
    assert len(ax.collections) == 0


def test_the_method_is_taken_back_and_registered_again():
    assert plt.Axes.sky_contour is sky_contour
    mpl_skyheat.unregister()
    try:
        assert not hasattr(plt.Axes, "sky_contour")
    finally:
        mpl_skyheat.register()
    assert plt.Axes.sky_contour is sky_contour


def test_contours_of_a_significance_take_a_background(points):
    ax, _ = wcs_axes(make_wcs(shape=(60, 60), center=(83.0, -1.0), cdelt=(-0.25, 0.25)))
    background = mpl_skyheat.Annulus("2 deg", "4 deg")
    given = {"kernel": "30 arcmin", "statistic": "significance", "background": background}
    drawn = sky_contour(ax, points, levels=[3], **given)
    assert drawn.sky_contours[0].area > 0


def test_points_without_a_fraction_are_refused(points):
    m = sky_map(points, wcs=make_wcs(), kernel="1 deg")
    ax, _ = wcs_axes(make_wcs())
    heat = sky_heatmap(ax, m)
    for draw in (lambda **more: sky_contour(ax, m, **more), heat.contour):
        with pytest.raises(TypeError, match="points must be left out without enclosed"):
            draw(levels=[1], points=points)


def test_a_map_is_shown_in_the_frame_of_its_pixels_on_axes_without_one():
    wcs = make_wcs(shape=(40, 40), center=(120, 20), cdelt=(-0.5, 0.5), axes="GLON")
    star = SkyCoord(l=[121.0], b=[21.0], unit="deg", frame="galactic").icrs
    made = sky_map(star, wcs=wcs, kernel="1 deg")
    ax = Figure().add_subplot(projection="mollweide")
    heat = ax.sky_heatmap(made, center=120)
    assert heat.sky_in_middle[1].name == "galactic"
    assert heat.value_at(star).value[0] > 0.5 * np.nanmax(made.data)
