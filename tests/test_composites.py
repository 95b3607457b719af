"""Three maps as one image: the colours are astropy's, and where the maps are."""

import numpy as np
import pytest
from astropy import units as u
from astropy import visualization
from astropy.coordinates import SkyCoord
from astropy.visualization import AsinhStretch, LinearStretch, SqrtStretch
from helpers import make_wcs
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.legend import Legend
from test_axes_kinds import KINDS, on_screen

import mpl_skyheat
from mpl_skyheat import SkyMap, sky_rgb

WCS = make_wcs(shape=(30, 20))


def maps_of(values, wcs=WCS, labels=("red", "green", "blue"), **kwargs):
    area = np.ones((wcs.pixel_shape[1], wcs.pixel_shape[0])) * u.sr
    return [
        SkyMap(v, wcs=wcs, solid_angle=area, label=label, **kwargs)
        for v, label in zip(values, labels, strict=True)
    ]


@pytest.fixture
def values():
    return np.random.default_rng(3).uniform(0, [[[3.0]], [[5.0]], [[1.0]]], (3, 20, 30))


@pytest.mark.parametrize("stretch", [None, LinearStretch(), SqrtStretch()])
def test_colours_are_those_of_the_stretch(values, stretch):
    image = sky_rgb(Figure().add_subplot(projection=WCS), maps_of(values), stretch=stretch)
    drawn = image.get_array()
    assert type(image) is AxesImage
    assert drawn.shape == (20, 30, 4)
    own = AsinhStretch() if stretch is None else stretch
    for k, one in enumerate(values):
        np.testing.assert_allclose(drawn[..., k], own(one / one.max()), rtol=1e-12)
    assert (drawn[..., 3] == 1).all()


@pytest.mark.skipif(not hasattr(visualization, "make_rgb"), reason="astropy 7 and later")
def test_colours_are_those_of_astropy(values):
    drawn = sky_rgb(Figure().add_subplot(projection=WCS), maps_of(values)).get_array()
    interval = [visualization.ManualInterval(0, v.max()) for v in values]
    made = visualization.make_rgb(
        *values, interval=interval, stretch=AsinhStretch(), output_dtype=float
    )
    np.testing.assert_allclose(drawn[..., :3], made, rtol=1e-12)


def test_what_is_masked_in_any_map_is_transparent(values):
    values[0, 3, 4], values[2, 5, 6] = np.nan, np.nan
    drawn = sky_rgb(Figure().add_subplot(projection=WCS), maps_of(values)).get_array()
    assert np.argwhere(drawn[..., 3] == 0).tolist() == [[3, 4], [5, 6]]
    assert np.isfinite(drawn).all()


def test_an_empty_map_is_black(values):
    values[1] = 0
    drawn = sky_rgb(Figure().add_subplot(projection=WCS), maps_of(values)).get_array()
    assert (drawn[..., 1] == 0).all()
    assert drawn[..., 0].max() == 1


def test_slivers_of_sky_do_not_set_the_scale(values):
    maps = maps_of(values)
    area = np.ones((20, 30))
    area[0, 0] = 0.01
    values[0, 0, 0] = 1e6
    maps[0] = SkyMap(values[0], wcs=WCS, solid_angle=area * u.sr)
    drawn = sky_rgb(Figure().add_subplot(projection=WCS), maps, stretch=LinearStretch())
    red = drawn.get_array()[..., 0]
    assert np.sort(red.ravel())[-3] > 0.9
    assert red.max() == 1


def test_a_composite_is_where_markers_are():
    ax, mark = KINDS["hammer"]()
    wcs = make_wcs(shape=(60, 60), center=(40.0, 20.0), cdelt=(-0.5, 0.5))
    star = SkyCoord(42, 24, unit="deg")
    y, x = np.indices((60, 60))
    here = np.hypot(x - wcs.world_to_pixel(star)[0], y - wcs.world_to_pixel(star)[1])
    values = [np.exp(-0.5 * (here / 3) ** 2), np.ones((60, 60)), np.zeros((60, 60))]
    image = sky_rgb(ax, maps_of(values, wcs, kernel="1.5 deg"), stretch=LinearStretch())
    marker = mark(42, 24)
    red = image.get_array()[..., 0]
    row, column = np.argwhere(red > 0.5).mean(axis=0)
    left, right, bottom, top = image.get_extent()
    place = on_screen(marker)  # draws, which may move the Axes
    x, y = image.get_transform().inverted().transform(place)
    ny, nx = red.shape
    assert abs((x - left) / (right - left) * nx - 0.5 - column) < 1.5
    assert abs((y - bottom) / (top - bottom) * ny - 0.5 - row) < 1.5
    # Beyond the map there is nothing.
    assert image.get_array()[..., 3].min() == 0
    assert (image.get_clip_path() or image.get_clip_box()) is not None


def test_limits_and_pixels_are_those_of_a_heatmap(values):
    wcs = make_wcs(shape=(30, 20))
    images, boxes = [], []
    for draw in (
        lambda ax: sky_rgb(ax, maps_of(values)),
        lambda ax: ax.sky_heatmap(maps_of(values)[0]),
    ):
        ax = Figure().add_subplot(projection=wcs)
        images.append(draw(ax))
        boxes.append([*ax.get_xlim(), *ax.get_ylim(), ax.get_aspect(), *images[-1].get_extent()])
    assert boxes[0] == boxes[1]


def test_one_pixel_on_the_screen_has_its_colour():
    values = np.zeros((3, 20, 30))
    values[:, 0, 0] = 1
    values[0, 12, 20] = 1
    figure = Figure(figsize=(3, 2), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1), projection=WCS)
    sky_rgb(ax, maps_of(values), key=False)
    for helper in ax.coords:
        helper.set_ticks_visible(False)
        helper.set_ticklabel_visible(False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[::-1]
    assert picture[125, 205].tolist() == [255, 0, 0, 255]
    assert picture[135, 205].tolist() == [0, 0, 0, 255]


def test_the_key_names_the_maps(values):
    ax = Figure().add_subplot(projection=WCS)
    ax.plot([1, 2], [3, 4], label="a line")
    own = ax.legend()
    sky_rgb(ax, maps_of(values, labels=("giants", None, "dwarfs")))
    (key,) = [a for a in ax.get_children() if isinstance(a, Legend) and a is not own]
    assert [text.get_text() for text in key.get_texts()] == ["giants", "green", "dwarfs"]
    assert [p.get_facecolor()[:3] for p in key.get_patches()] == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert ax.get_legend() is own
    bare = Figure().add_subplot(projection=WCS)
    sky_rgb(bare, maps_of(values), key=False)
    assert not [a for a in bare.get_children() if isinstance(a, Legend)]


def test_maps_as_they_are_made():
    stars = mpl_skyheat.datasets.bright_stars()
    wcs = make_wcs("MOL", shape=(62, 32), center=(0.0, 0.0), cdelt=(-5.4, 5.4))
    maps = [mpl_skyheat.sky_map(data=stars[k::9], wcs=wcs, kernel="10 deg") for k in range(3)]
    image = sky_rgb(Figure().add_subplot(projection=wcs), maps)
    drawn = image.get_array()
    np.testing.assert_array_equal(drawn[..., 3] == 0, maps[0].mask)
    # Thirds of one catalogue are grey.
    assert np.ptp(drawn[..., :3], axis=-1)[~maps[0].mask].max() < 0.15


def refused(values):
    good = maps_of(values)
    other = make_wcs(shape=(30, 20), center=(84.0, -5.0))
    yield good[:2], TypeError, "maps must be three SkyMaps, .*; got SkyMap, SkyMap$"
    yield good[0], TypeError, "maps must be three SkyMaps, .*; got SkyMap$"
    yield [], TypeError, "got nothing"
    yield None, TypeError, "maps must be three SkyMaps, .*; got NoneType$"
    yield [*good[:2], values[2]], TypeError, "got SkyMap, SkyMap, ndarray"
    shifted = maps_of(values, other)
    yield [*good[:2], shifted[2]], ValueError, "maps must have the same pixels; got pixels up to"
    yield (
        [good[0], *maps_of(-values)[1:]],
        ValueError,
        "nowhere negative, .*; got -4.9.* in the green",
    )
    yield [*good[:2], maps_of(values * np.nan)[2]], ValueError, "all of the blue one is masked"


@pytest.mark.parametrize("case", range(8))
def test_what_is_no_composite_is_refused(values, case):
    maps, error, text = [*refused(values)][case]
    ax = Figure().add_subplot(projection=WCS)
    with pytest.raises(error, match=text):
        sky_rgb(ax, maps)
    assert not ax.images


def test_other_arguments_that_are_wrong(values):
    with pytest.raises(TypeError, match="ax must be an Axes"):
        sky_rgb(maps_of(values), None)
    with pytest.raises(
        TypeError, match=r"stretch must be one of astropy.visualization.*; got 'log'"
    ):
        sky_rgb(Figure().add_subplot(projection=WCS), maps_of(values), stretch="log")
    with pytest.raises(TypeError, match="sky_heatmap draws on"):
        sky_rgb(Figure().add_subplot(projection="polar"), maps_of(values))
