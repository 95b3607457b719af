"""The heatmap as an artist: limits, values, cursor, colorbars, drawing, its life in a figure."""

import gc
import io
import pickle
import re
import weakref

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from astropy.wcs import WCS
from helpers import make_wcs
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.artist import getp
from matplotlib.axes import Axes
from matplotlib.backend_bases import MouseEvent, NavigationToolbar2
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import AsinhNorm, LogNorm, PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Circle
from scipy.ndimage import map_coordinates

import mpl_skyheat
from mpl_skyheat import SkyHeatmap, SkyMap, sky_heatmap, sky_map

SIDES = ["right", "left", "top", "bottom"]
LAYOUTS = [None, "tight", "constrained", "compressed"]
ALL_SKY = make_wcs("MOL", shape=(72, 36), center=(0, 0), cdelt=(-4.5, 4.5))


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def add_axes(wcs=None, **kwargs):
    return Figure(**kwargs).add_subplot(projection=wcs)


def aligned_axes(width, height, **kwargs):
    """Return an Axes of width x height device pixels from (16, 16) on, with nothing around it."""
    figure = Figure(figsize=(4, 4), dpi=64)
    ax = figure.add_axes((1 / 16, 1 / 16, width / 256, height / 256), **kwargs)
    for helper in ax.coords:
        helper.set_ticks_visible(False)
        helper.set_ticklabel_visible(False)
        helper.set_axislabel("")
    ax.coords.frame.set_linewidth(0)
    return ax


def drawn(figure):
    """Return the figure as it is drawn, from below: uint8 of (height, width, RGBA)."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[::-1]


def limits_of(ax):
    return ax.get_xlim(), ax.get_ylim()


# Limits and other artists


@pytest.mark.parametrize("aspect", ["auto", 1.25])
@pytest.mark.parametrize("inverted", ["", "x", "xy"])
@pytest.mark.parametrize("kwargs", [{}, {"pixel_size": 0.23 * u.deg}], ids=str)
def test_axes_that_show_an_image_stay_as_they_were(field, stars, kwargs, inverted, aspect):
    ax = add_axes(field)
    image = ax.imshow(np.arange(600).reshape(20, 30), origin="lower", vmin=3, vmax=70, zorder=1.5)
    (line,) = ax.plot([3, 20], [4, 15], label="cut")
    for axis in inverted:
        getattr(ax, f"invert_{axis}axis")()
    ax.set(title="as it was", aspect=aspect)

    def state():
        return (
            limits_of(ax),
            ax.get_autoscalex_on(),
            ax.get_autoscaley_on(),
            ax.get_aspect(),
            ax.get_position().bounds,
            ax.get_title(),
            image.get_extent(),
            image.get_clim(),
            image.zorder,
            line.get_xydata().tolist(),
        )

    before, artists = state(), ax.get_children()
    heat = sky_heatmap(ax, *stars, **kwargs)
    assert state() == before
    assert [artist for artist in ax.get_children() if artist is not heat] == artists
    drawn(ax.figure)
    assert limits_of(ax) == before[0]


@pytest.mark.filterwarnings("ignore:none of the")
@pytest.mark.parametrize("autoscale", [(True, True), (False, True), (False, False)], ids=str)
def test_autoscaling_is_left_as_it_was(field, stars, autoscale):
    for ax, frame in ((add_axes(field), "icrs"), (add_axes(), "flat")):
        ax.plot([3, 20], [4, 15])
        ax.set(autoscalex_on=autoscale[0], autoscaley_on=autoscale[1])
        sky_heatmap(ax, *stars, frame=frame)
        assert (ax.get_autoscalex_on(), ax.get_autoscaley_on()) == autoscale


@pytest.mark.parametrize("has_image", [False, True], ids=["empty", "image"])
def test_what_is_drawn_later_within_the_view_does_not_move_it(field, stars, has_image):
    ax = add_axes(field)
    if has_image:
        ax.imshow(np.zeros((20, 30)), origin="lower")
    # The map overhangs the view, as 30 x 20 pixels are not whole numbers of its own.
    heat = sky_heatmap(ax, *stars, pixel_size=0.7 * u.deg)
    assert heat.get_extent()[0] < -0.6
    ax.scatter([83.1, 83.4], [-5.2, -4.8], transform=ax.get_transform("icrs"))
    drawn(ax.figure)
    assert limits_of(ax) == ((-0.5, 29.5), (-0.5, 19.5))


@pytest.mark.parametrize("inverted", ["", "x", "y", "xy"])
@pytest.mark.parametrize("is_flat", [False, True], ids=["sky", "flat"])
def test_empty_axes_are_set_to_the_map_and_keep_their_direction(field, stars, is_flat, inverted):
    ax = add_axes() if is_flat else add_axes(field)
    for axis in inverted:
        getattr(ax, f"invert_{axis}axis")()
    heat = sky_heatmap(ax, *stars, frame="flat" if is_flat else "icrs")
    left, right, bottom, top = heat.get_extent()
    if not is_flat:
        assert (left, right, bottom, top) == (-0.5, 29.5, -0.5, 19.5)
    assert ax.get_xlim() == ((right, left) if "x" in inverted else (left, right))
    assert ax.get_ylim() == ((top, bottom) if "y" in inverted else (bottom, top))


def test_empty_flat_axes_are_set_to_the_points():
    ax = add_axes()
    heat = sky_heatmap(ax, [2, 3, 7.5], [-1, 4, 1], frame="flat", bins=5)
    assert limits_of(ax) == ((2, 7.5), (-1, 4))
    assert list(heat.get_extent()) == [2, 7.5, -1, 4]


@pytest.mark.parametrize("name", ["x", "y"])
def test_one_limit_that_is_set_stays_and_the_other_is_that_of_the_map(field, stars, name):
    ax = add_axes(field)
    ax.set(**{f"{name}lim": (3.25, 14.5)})
    sky_heatmap(ax, *stars)
    expected = {"x": (-0.5, 29.5), "y": (-0.5, 19.5)} | {name: (3.25, 14.5)}
    assert limits_of(ax) == (expected["x"], expected["y"])


def test_sky_pixels_are_drawn_square_on_empty_axes(field, stars):
    ax = add_axes(field, figsize=(3, 6))
    sky_heatmap(ax, *stars)
    drawn(ax.figure)
    box = ax.get_window_extent()
    assert box.height / box.width == pytest.approx(20 / 30)


@pytest.mark.parametrize("is_flat", [False, True], ids=["sky", "flat"])
def test_shared_axes_keep_the_limits_of_the_one_that_shows_something(field, stars, is_flat):
    ra, dec = stars
    kwargs = {} if is_flat else {"subplot_kw": {"projection": field}}
    frame = "flat" if is_flat else "icrs"
    first, second = Figure().subplots(1, 2, sharex=True, sharey=True, **kwargs)
    sky_heatmap(first, ra, dec, frame=frame)
    before = limits_of(first)
    sky_heatmap(second, ra[dec > -5], dec[dec > -5], frame=frame)
    drawn(first.figure)
    assert limits_of(first) == limits_of(second) == before


def test_a_second_heatmap_on_the_axes_leaves_the_first_as_it_is(field, stars):
    ax = add_axes(field)
    first = sky_heatmap(ax, *stars, vmax=500)
    before = limits_of(ax), first.get_extent(), first.get_clim(), first.get_array().copy()
    second = sky_heatmap(ax, *stars, bins=(7, 5), alpha=0.5, cmap="magma")
    assert list(ax.images) == [first, second]
    assert (limits_of(ax), first.get_extent(), first.get_clim()) == before[:3]
    np.testing.assert_array_equal(first.get_array(), before[3])


def test_two_heatmaps_in_one_figure_are_independent(field, stars):
    wide, fine = Figure().subplots(2, 1, subplot_kw={"projection": field})
    one = sky_heatmap(wide, *stars, statistic="count", colorbar={"label": "upper"})
    other = sky_heatmap(fine, *stars, bins=(60, 40), colorbar={"label": "lower"})
    drawn(wide.figure)
    assert one.axes is wide
    assert other.axes is fine
    assert (one.get_array().shape, other.get_array().shape) == ((20, 30), (40, 60))
    assert (one.colorbar.ax.get_ylabel(), other.colorbar.ax.get_ylabel()) == ("upper", "lower")


def test_a_heatmap_that_is_removed_is_gone(field, stars):
    ax = add_axes(field)
    ax.set(xlabel="RA", ylabel="Dec")
    blank = drawn(ax.figure)
    heat = sky_heatmap(ax, *stars)
    assert not np.array_equal(drawn(ax.figure), blank)
    heat.remove()
    assert not ax.images
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="auto")
    np.testing.assert_array_equal(drawn(ax.figure), blank)


@pytest.mark.parametrize("is_flat", [False, True], ids=["sky", "flat"])
def test_cleared_axes_take_a_heatmap_as_empty_ones_do(field, stars, is_flat):
    frame = "flat" if is_flat else "icrs"
    ax = add_axes() if is_flat else add_axes(field)
    first = sky_heatmap(ax, *stars, frame=frame)
    values, before = first.get_array().copy(), limits_of(ax)
    ax.clear()
    assert not ax.images
    second = sky_heatmap(ax, *stars, frame=frame)
    assert list(ax.images) == [second]
    assert limits_of(ax) == before
    np.testing.assert_array_equal(second.get_array(), values)


# Values at positions


@pytest.fixture
def smooth(field, stars):
    """A smoothed heatmap of the field."""
    return sky_heatmap(add_axes(field), *stars, kernel="10 arcmin")


def positions(field, n=400, beyond=0.0):
    """Return pixel positions all over the field, and their coordinates."""
    rng = np.random.default_rng(7)
    x = rng.uniform(-0.5 - beyond, 29.5 + beyond, n)
    y = rng.uniform(-0.5 - beyond, 19.5 + beyond, n)
    return x, y, field.pixel_to_world(x, y)


def test_the_value_is_that_of_the_nearest_pixel_and_nan_outside(field, smooth):
    x, y, coords = positions(field, beyond=5)
    column, row = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    inside = (column >= 0) & (column < 30) & (row >= 0) & (row < 20)
    assert 100 < inside.sum() < 350
    expected = np.full(x.shape, np.nan)
    expected[inside] = smooth.sky_map.data[row[inside], column[inside]]
    np.testing.assert_array_equal(smooth.value_at(coords).value, expected)


def test_interpolated_values_without_a_kernel_are_bilinear_and_nan_outside(field, stars):
    counted = sky_heatmap(add_axes(field), *stars)
    x, y, coords = positions(field, beyond=5)
    inside = (x > -0.5) & (x < 29.5) & (y > -0.5) & (y < 19.5)
    # Within half a pixel of the map's edge there is only one pixel to take.
    expected = map_coordinates(counted.sky_map.data, [y, x], order=1, mode="nearest")
    expected[~inside] = np.nan
    values = counted.value_at(coords, interpolate=True)
    np.testing.assert_allclose(
        values.value, expected, rtol=1e-6, atol=1e-6 * expected[inside].max()
    )
    assert values.unit == counted.sky_map.unit


def at_random_around(place, radius, n=300):
    """Positions around one, and their separations from it in rad."""
    rng = np.random.default_rng(3)
    angle, distance = rng.uniform(0, 360, n) * u.deg, radius * np.sqrt(rng.uniform(0, 1, n))
    around = place.directional_offset_by(angle, distance)
    return around, place.separation(around).rad


@pytest.mark.parametrize("shift", [(0, 0), (0.5, 0.5), (0.3, 0), (9.2, 5.3)])
def test_a_smoothed_source_has_its_gaussian_between_pixels(field, shift):
    source = field.pixel_to_world(14 + shift[0], 10 + shift[1])
    heat = sky_heatmap(add_axes(field), source, kernel="0.2 deg", geometry="sphere")  # 2 pixels
    around, separation = at_random_around(source, 0.5 * u.deg)
    peak = 1 / (2 * np.pi * 0.2**2)
    expected = peak * np.exp(-0.5 * (np.degrees(separation) / 0.2) ** 2)
    values = heat.value_at(around, interpolate=True).to_value("deg-2")
    x, y = field.world_to_pixel(around)
    # (In the outermost pixels the spline goes straight on: that is up to 2 % of the peak off here.)
    inside = (x > 1) & (x < 28) & (y > 1) & (y < 18)
    np.testing.assert_allclose(values[inside], expected[inside], rtol=0, atol=2e-3 * peak)
    assert inside.mean() > 0.5
    assert np.nanmin(values) >= 0


@pytest.mark.parametrize(
    ("lon", "lat"), [(0.3, 0.2), (180.2, 10.3), (0.4, 89.7), (123.4, -89.9), (359.8, 60.2)]
)
@pytest.mark.parametrize("middle", [0, 180])
@pytest.mark.parametrize("shape", [(180, 90), (181, 91)], ids=["even", "odd"])
def test_values_between_pixels_go_on_across_0h_and_the_poles(lon, lat, middle, shape):
    step = 360 / shape[0]
    wcs = make_wcs("CAR", shape=shape, center=(middle, 0), cdelt=(-step, 180 / shape[1]))
    source = SkyCoord(lon, lat, unit="deg")
    made = sky_map(source, wcs=wcs, kernel="5 deg", geometry="sphere")
    around, separation = at_random_around(source, 12 * u.deg)
    expected = np.exp(-0.5 * (separation / np.radians(5)) ** 2)
    values = made.value_at(around, interpolate=True)
    np.testing.assert_allclose(values / (1 / (2 * np.pi * (5 * u.deg) ** 2)), expected, rtol=0,
                               atol=3e-3)  # fmt: skip


def test_values_near_masked_pixels_are_not_those_that_took_their_place(field):
    heat = sky_heatmap(add_axes(field), *field.pixel_to_world_values(14, 10), kernel="0.2 deg")
    whole = heat.sky_map
    part = SkyMap(whole.data, unit=whole.unit, wcs=whole.wcs, meta=whole.meta,
                  mask=np.indices(whole.data.shape)[1] > 14)  # fmt: skip
    part.kernel = whole.kernel
    x, y, coords = positions(field, 2000)
    values = part.value_at(coords, interpolate=True).value
    exact = whole.value_at(coords, interpolate=True).value
    np.testing.assert_array_equal(np.isnan(values), x >= 14.5)
    is_far, is_near = x < 12.4, (x < 14) & (x > 12.6)
    np.testing.assert_allclose(values[is_far], exact[is_far], rtol=0, atol=1e-3 * whole.data.max())
    bilinear = map_coordinates(whole.data, [y, x], order=1, mode="nearest")
    np.testing.assert_allclose(values[is_near], bilinear[is_near], rtol=1e-6)


@pytest.mark.parametrize("interpolate", [False, True])
@pytest.mark.parametrize("frame", ["fk5", "fk4", "galactic", "geocentrictrueecliptic"])
def test_the_value_is_the_same_by_whatever_frame(field, smooth, frame, interpolate):
    _, _, coords = positions(field)
    expected = smooth.value_at(coords, interpolate=interpolate)
    moved = coords.transform_to(frame)
    np.testing.assert_allclose(smooth.value_at(moved, interpolate=interpolate), expected, rtol=1e-6)
    lon, lat = moved.spherical.lon, moved.spherical.lat
    for numbers in ((lon.deg, lat.deg), (lon.to(u.rad), lat.to(u.arcmin))):
        values = smooth.value_at(*numbers, frame=frame, interpolate=interpolate)
        np.testing.assert_allclose(values, expected, rtol=1e-6)


def test_bare_numbers_are_in_the_frame_that_the_map_was_made_with(field, stars):
    galactic = SkyCoord(*stars, unit="deg").galactic
    heat = sky_heatmap(add_axes(field), galactic.l.deg, galactic.b.deg, frame="galactic")
    x, y, coords = positions(field)
    expected = heat.sky_map.data[np.floor(y + 0.5).astype(int), np.floor(x + 0.5).astype(int)]
    moved = coords.galactic
    np.testing.assert_array_equal(heat.value_at(moved.l.deg, moved.b.deg).value, expected)
    np.testing.assert_array_equal(
        heat.value_at(coords.ra.deg, coords.dec.deg, frame="icrs").value, expected
    )


@pytest.mark.parametrize("interpolate", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (0,)], ids=str)
def test_values_have_the_shape_of_the_positions(smooth, shape, interpolate):
    ra, dec = np.full(shape, 83.12), np.full(shape, -4.87)
    for position in ((ra, dec), (SkyCoord(ra, dec, unit="deg"),), (ra * u.deg, dec * u.deg)):
        value = smooth.value_at(*position, interpolate=interpolate)
        assert isinstance(value, u.Quantity)
        assert value.shape == shape
        assert value.isscalar == (shape == ())
        assert (value > 0).all()


def test_numbers_give_a_scalar_quantity(smooth):
    value = smooth.value_at(83.12, -4.87)
    assert value.isscalar
    assert value == smooth.value_at(SkyCoord(83.12, -4.87, unit="deg"))


@pytest.mark.parametrize("interpolate", [False, True])
def test_there_is_no_value_off_the_sky_and_no_hole_at_its_rim(interpolate):
    ra, dec = np.meshgrid(np.arange(0.5, 360, 3), np.arange(-88.5, 90, 3))
    heat = sky_heatmap(add_axes(ALL_SKY), ra.ravel(), dec.ravel(), statistic="count")
    sky = heat.value_at(ra, dec, interpolate=interpolate)
    assert np.isfinite(sky).all()
    # The far side of a hemisphere is nowhere on the map.
    hemisphere = make_wcs("SIN", shape=(60, 60), center=(0, 30), cdelt=(-2, 2))
    heat = sky_heatmap(add_axes(hemisphere), ra.ravel(), dec.ravel())
    coords = SkyCoord(ra, dec, unit="deg")
    separation = coords.separation(SkyCoord(0, 30, unit="deg")).deg
    found = np.isfinite(heat.value_at(coords, interpolate=interpolate))
    np.testing.assert_array_equal(found, separation < 90)


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"unit": "deg-2"}, 200 / u.deg**2),
        ({"unit": "arcmin-2"}, 200 / 3600 / u.arcmin**2),
        ({"unit": u.sr**-1}, 200 * np.degrees(1) ** 2 / u.sr),
        ({"statistic": "count"}, 2 * u.dimensionless_unscaled),
        ({"weights": [2, 4] * u.Jy, "unit": "Jy deg-2"}, 600 * u.Jy / u.deg**2),
        ({"weights": [2, 4] * u.Jy, "statistic": "count"}, 6 * u.Jy),
    ],
    ids=str,
)
def test_values_have_the_unit_of_the_map(field, kwargs, expected):
    # Two points in a pixel of 0.01 deg² at the centre of the field.
    value = sky_heatmap(add_axes(field), [83.02] * 2, [-5.02] * 2, **kwargs).value_at(83.02, -5.02)
    assert value.unit == expected.unit
    assert value.value == pytest.approx(expected.value, rel=1e-4)


def test_the_value_on_cartesian_axes_is_that_of_the_bin():
    heat = sky_heatmap(
        add_axes(), [0, 1.5, 1.7, 4], [0, 0.4, 0.2, 2], frame="flat", bins=(4, 2), statistic="count"
    )
    values = heat.value_at([0.5, 1.99, 2.01, 3.9, 4.1], [0.5, 0.99, 0.5, 1.9, 1.0])
    np.testing.assert_array_equal(values.value, [1, 2, 0, 1, np.nan])


# What the cursor reads


class Toolbar(NavigationToolbar2):
    """A toolbar that keeps the message of the cursor."""

    message = ""

    def set_message(self, s):
        self.message = s


def read_by_cursor(ax, x, y):
    """Return what the toolbar says with the cursor at data x, y."""
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    toolbar = Toolbar(canvas)
    toolbar.mouse_move(MouseEvent("motion_notify_event", canvas, *ax.transData.transform((x, y))))
    return toolbar.message


@pytest.mark.parametrize("inverted", ["", "x", "y"])
@pytest.mark.parametrize("kwargs", [{}, {"bins": (15, 10)}], ids=str)
def test_the_cursor_reads_the_pixel_below_it(field, stars, kwargs, inverted):
    ax = add_axes(field)
    for axis in inverted:
        getattr(ax, f"invert_{axis}axis")()
    heat = sky_heatmap(ax, *stars, **kwargs)
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    step = 30 // heat.get_array().shape[1]
    for x, y in [(0, 0), (3.3, 17.6), (28.9, 1.2), (14.6, 9.4), (29.3, 19.3)]:
        event = MouseEvent("motion_notify_event", canvas, *ax.transData.transform((x, y)))
        expected = heat.sky_map.data[int((y + 0.5) // step), int((x + 0.5) // step)]
        assert heat.get_cursor_data(event) == expected
        assert heat.value_at(field.pixel_to_world(x, y)).value == expected


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"statistic": "count"}, "2"),
        ({"unit": "deg-2"}, "200 1 / deg2"),
        ({"unit": "arcmin-2"}, "0.05556 1 / arcmin2"),
        ({"weights": [1.5, 3] * u.Jy, "statistic": "count"}, "4.5 Jy"),
        ({"weights": [1.5, 3] * u.Jy, "unit": "Jy deg-2"}, "450 Jy / deg2"),
    ],
    ids=str,
)
def test_the_toolbar_shows_position_value_and_unit(kwargs, text):
    wcs = make_wcs("CAR", center=(0, 0), shape=(31, 21))
    ax = add_axes(wcs)
    sky_heatmap(ax, [0.01, -0.02], [0.02, 0.01], **kwargs)
    position, _, value = read_by_cursor(ax, 15, 10).rpartition("\n")
    assert position.strip() == ax.format_coord(15, 10).strip()
    assert value.strip("[] ") == text


def test_the_cursor_reads_no_value_off_the_sky():
    ax = add_axes(ALL_SKY)
    heat = sky_heatmap(ax, [0.0, 10.0], [0.0, 10.0], statistic="count")
    assert read_by_cursor(ax, 1, 1).endswith("no value")
    assert not read_by_cursor(ax, 20, 20).endswith("no value")
    assert heat.format_cursor_data(np.ma.masked) == heat.format_cursor_data(np.nan) == "no value"
    bare = SkyMap(np.ones((2, 2)), solid_angle=np.ones((2, 2)) * u.sr)
    assert SkyHeatmap(ax, bare, (0, 1, 0, 1)).format_cursor_data(1.0) == "1"


def test_the_cursor_reads_positions_as_before(field, stars):
    ax = add_axes(field)
    ax.imshow(np.zeros((20, 30)), origin="lower")
    before = ax.format_coord(11.2, 7.4)
    sky_heatmap(ax, *stars)
    assert ax.format_coord(11.2, 7.4) == before


# Colorbars


def outline(colorbar):
    """Return what a colorbar takes up with its extensions, without its labels."""
    path, transform = colorbar.outline.get_path(), colorbar.outline.get_transform()
    return path.transformed(transform).get_extents()


def labelled(ax, **kwargs):
    """Return what an Axes takes up with its labels."""
    return ax.get_tightbbox(FigureCanvasAgg(ax.figure).get_renderer(), **kwargs)


def ends(box, side):
    """Return where a box begins and ends along a side of an Axes."""
    return (box.y0, box.y1) if side in ("left", "right") else (box.x0, box.x1)


def distance(inner, outer, side):
    """Return by how much one box is off another, on one side of it."""
    return {
        "right": outer.x0 - inner.x1,
        "left": inner.x0 - outer.x1,
        "top": outer.y0 - inner.y1,
        "bottom": inner.y0 - outer.y1,
    }[side]


def check_beside(ax, colorbar, side):
    """Check that a colorbar is as long as its Axes, on one side of it and off its labels."""
    ax.figure.draw_without_rendering()
    box, bar = ax.get_window_extent(), outline(colorbar)
    assert ends(bar, side) == pytest.approx(ends(box, side), abs=0.01)
    ax_labelled = labelled(ax, bbox_extra_artists=[])
    assert 0 < distance(ax_labelled, bar, side) < 0.1 * max(box.size)
    assert distance(ax_labelled, labelled(colorbar.ax), side) > 0
    assert 0 < min(bar.size) < 0.15 * min(box.size)


def check_within(colorbar):
    box = labelled(colorbar.ax)
    width, height = colorbar.ax.figure.bbox.size
    assert min(box.x0, box.y0, width - box.x1, height - box.y1) > -1


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("side", SIDES)
def test_a_colorbar_is_as_long_as_the_axes_and_off_its_labels(field, stars, side, layout):
    ax = add_axes(field, layout=layout)
    colorbar = sky_heatmap(ax, *stars, label="stars").add_colorbar(side)
    check_beside(ax, colorbar, side)
    check_within(colorbar)


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("side", SIDES)
def test_a_colorbar_of_tall_axes_is_as_long_and_off_its_labels(stars, side, layout):
    ax = add_axes(make_wcs(shape=(12, 30)), layout=layout, figsize=(4, 6))
    colorbar = sky_heatmap(ax, *stars).add_colorbar(side)
    check_beside(ax, colorbar, side)
    check_within(colorbar)


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("side", SIDES)
def test_a_colorbar_of_cartesian_axes_is_as_long_and_off_its_labels(stars, side, layout):
    ax = add_axes(layout=layout)
    ax.set(xlabel="x", ylabel="y")
    colorbar = sky_heatmap(ax, *stars, frame="flat").add_colorbar(side)
    check_beside(ax, colorbar, side)
    check_within(colorbar)


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("side", ["right", "top"])
def test_a_colorbar_keeps_off_tick_labels_on_its_side(field, stars, side, layout):
    ax = add_axes(field, layout=layout)
    ax.coords[int(side == "right")].set_ticklabel_position(side[0])
    colorbar = sky_heatmap(ax, *stars).add_colorbar(side)
    check_beside(ax, colorbar, side)
    assert distance(ax.get_window_extent(), outline(colorbar), side) > 20


@pytest.mark.parametrize("side", SIDES)
def test_a_colorbar_beside_axes_placed_by_hand_leaves_them_there(field, stars, side):
    ax = Figure().add_axes((0.3, 0.3, 0.4, 0.4), projection=field)
    colorbar = sky_heatmap(ax, *stars).add_colorbar(side)
    check_beside(ax, colorbar, side)
    assert ax.get_position(original=True).bounds == pytest.approx((0.3, 0.3, 0.4, 0.4))


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("side", SIDES)
def test_colorbars_keep_off_the_next_axes(stars, side, layout):
    rows, columns = (1, 2) if side in ("left", "right") else (2, 1)
    wcs = make_wcs(shape=(20, 20))
    figure = Figure(figsize=(6 * columns, 4 * rows), layout=layout)
    axes = figure.subplots(rows, columns, subplot_kw={"projection": wcs})
    bars = [sky_heatmap(ax, *stars).add_colorbar(side) for ax in axes]
    figure.draw_without_rendering()
    for bar, ax, other in zip(bars, axes[::-1], bars[::-1], strict=True):
        box = labelled(bar.ax)
        assert not box.overlaps(ax.get_window_extent())
        assert not box.overlaps(labelled(other.ax))


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("side", SIDES)
def test_a_colorbar_with_extensions_is_as_long_as_the_axes(stars, side, layout):
    ax = add_axes(layout=layout)
    heat = sky_heatmap(ax, *stars, frame="flat", vmin=5, vmax=6)
    check_beside(ax, heat.add_colorbar(side, extend="both"), side)


@pytest.mark.parametrize(
    ("layout", "change"),
    [
        (None, lambda ax: ax.set(xlim=(2, 9), ylim=(1, 18))),
        (None, lambda ax: ax.set_position((0.3, 0.2, 0.3, 0.4))),
        (None, lambda ax: ax.figure.set_size_inches(5, 8)),
        ("constrained", lambda ax: ax.figure.set_size_inches(5, 8)),
        ("constrained", lambda ax: ax.figure.set_dpi(40)),
        ("constrained", lambda ax: ax.coords[0].set_ticklabel(size=20)),
    ],
    ids=["limits", "position", "size", "size, constrained", "dpi, constrained", "labels"],
)
def test_a_colorbar_follows_its_axes(field, stars, layout, change):
    ax = add_axes(field, layout=layout)
    colorbar = sky_heatmap(ax, *stars).add_colorbar("bottom")
    check_beside(ax, colorbar, "bottom")
    before = outline(colorbar).extents
    change(ax)
    check_beside(ax, colorbar, "bottom")
    assert outline(colorbar).extents != pytest.approx(before)


@pytest.mark.parametrize("side", SIDES)
def test_two_colorbars_on_one_side_do_not_cover_each_other(field, stars, side):
    ax = add_axes(field, figsize=(8, 8))
    first = sky_heatmap(ax, *stars).add_colorbar(side)
    second = sky_heatmap(ax, *stars, cmap="magma", alpha=0.5).add_colorbar(side)
    ax.figure.draw_without_rendering()
    assert not labelled(first.ax).overlaps(labelled(second.ax))


def test_two_colorbars_on_different_sides_are_both_beside_the_axes(field, stars):
    ax = add_axes(field, figsize=(8, 8))
    right = sky_heatmap(ax, *stars).add_colorbar("right")
    top = sky_heatmap(ax, *stars, cmap="magma", alpha=0.5).add_colorbar("top")
    check_beside(ax, right, "right")
    check_beside(ax, top, "top")


def test_a_colorbar_in_a_subfigure_is_as_long_as_the_axes_and_stays_in_it(field, stars):
    left, right = Figure(figsize=(10, 4)).subfigures(1, 2)
    for part, side in ((left, "right"), (right, "bottom")):
        ax = part.add_subplot(projection=field)
        heat = sky_heatmap(ax, *stars, colorbar={"location": side})
        part.figure.draw_without_rendering()
        box, bar = ax.get_window_extent(), outline(heat.colorbar)
        assert ends(bar, side) == pytest.approx(ends(box, side), abs=0.01)
        assert part.bbox.x0 < bar.x0
        assert bar.x1 < part.bbox.x1
        assert heat.colorbar.ax.figure is part


@pytest.mark.parametrize("layout", [None, "constrained", "compressed"])
def test_the_axes_are_where_they_were_when_a_colorbar_is_removed(field, stars, layout):
    ax = add_axes(field, layout=layout)
    heat = sky_heatmap(ax, *stars)
    ax.figure.draw_without_rendering()
    before = ax.get_window_extent().extents
    heat.add_colorbar().remove()
    ax.figure.draw_without_rendering()
    assert ax.get_window_extent().extents == pytest.approx(before, abs=0.01)


TEN = np.full(10, 83.02), np.full(10, -5.02)
JANSKY = np.ones(10) * u.Jy


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({}, r"sources / $\mathrm{deg^{2}}$"),
        ({"label": "stars"}, r"stars / $\mathrm{deg^{2}}$"),
        ({"label": "stars", "unit": "arcmin-2"}, r"stars / $\mathrm{arcmin^{2}}$"),
        ({"label": "stars", "statistic": "count"}, "stars per pixel"),
        ({"statistic": "count"}, "sources per pixel"),
        ({"weights": JANSKY}, r"weight [$\mathrm{Jy\,deg^{-2}}$]"),
        ({"weights": JANSKY, "label": "flux"}, r"flux [$\mathrm{Jy\,deg^{-2}}$]"),
        ({"frame": "flat"}, "sources per unit area"),
        ({"frame": "flat", "label": "hits", "statistic": "count"}, "hits per pixel"),
    ],
    ids=str,
)
def test_the_colorbar_says_what_is_counted_and_the_unit(field, kwargs, text):
    ax = add_axes() if "frame" in kwargs else add_axes(field)
    heat = sky_heatmap(ax, *TEN, **kwargs)
    assert heat.add_colorbar().ax.get_ylabel() == text
    assert heat.add_colorbar("top", label="mine").ax.get_xlabel() == "mine"
    assert heat.add_colorbar("bottom", label="").ax.get_xlabel() == ""


@pytest.mark.parametrize("frame", ["icrs", "flat"])
@pytest.mark.parametrize("statistic", ["density", "count"])
def test_the_colorbar_of_weights_names_their_unit(field, frame, statistic):
    ax = add_axes() if frame == "flat" else add_axes(field)
    heat = sky_heatmap(ax, *TEN, weights=JANSKY, frame=frame, statistic=statistic)
    assert "Jy" in heat.add_colorbar().ax.get_ylabel()


@pytest.mark.parametrize(
    ("colorbar", "count", "label"),
    [
        (False, 0, None),
        (True, 1, "stars per pixel"),
        ({}, 1, "stars per pixel"),
        ({"label": "N", "ticks": [1, 2], "extend": "max"}, 1, "N"),
    ],
    ids=str,
)
def test_the_call_adds_a_colorbar_if_asked_to(field, stars, colorbar, count, label):
    ax = add_axes(field)
    heat = sky_heatmap(ax, *stars, statistic="count", label="stars", colorbar=colorbar)
    assert (heat.colorbar is not None) == bool(count)
    if count:
        assert heat.colorbar.ax.get_ylabel() == label
        check_beside(ax, heat.colorbar, "right")
    if colorbar and isinstance(colorbar, dict):
        assert heat.colorbar.extend == "max"
        assert list(heat.colorbar.get_ticks()) == [1, 2]


def test_arguments_of_colorbar_are_left_as_they_were(field, stars):
    arguments = {"location": "top", "label": "N"}
    sky_heatmap(add_axes(field), *stars, colorbar=arguments)
    assert arguments == {"location": "top", "label": "N"}


def test_the_figures_own_colorbar_works(field, stars):
    ax = add_axes(field)
    heat = sky_heatmap(ax, *stars)
    colorbar = ax.figure.colorbar(heat)
    drawn(ax.figure)
    assert colorbar.mappable is heat
    assert (colorbar.vmin, colorbar.vmax) == heat.get_clim()


def test_pyplots_colorbar_is_that_of_the_heatmap(field, stars):
    ax = plt.subplot(projection=field)
    heat = ax.sky_heatmap(*stars)
    assert plt.gci() is heat
    assert plt.colorbar().mappable is heat


def test_the_current_axes_of_pyplot_stay_current(field, stars):
    _, (other, current) = plt.subplots(1, 2, subplot_kw={"projection": field})
    plt.sca(current)
    image = plt.imshow(np.zeros((20, 30)), origin="lower")
    other.sky_heatmap(*stars, colorbar=True)
    assert plt.gca() is current
    assert plt.gci() is image
    current.sky_heatmap(*stars, colorbar=True)
    assert plt.gca() is current


def test_no_pyplot_figure_is_made(field, stars):
    sky_heatmap(add_axes(field), *stars, colorbar=True)
    assert plt.get_fignums() == []


def test_the_colorbar_follows_the_colour_limits(field, stars):
    heat = sky_heatmap(add_axes(field), *stars, colorbar=True)
    heat.set_clim(7, 70)
    assert (heat.colorbar.vmin, heat.colorbar.vmax) == (7, 70)


def test_a_logarithmic_colorbar_of_few_decades_has_plain_labels(field, stars):
    ax = add_axes(field)
    heat = sky_heatmap(ax, *stars, norm=LogNorm(1, 60), statistic="count", colorbar=True)
    ax.figure.draw_without_rendering()
    labels = [text.get_text() for text in heat.colorbar.ax.get_yticklabels()]
    assert {"1", "2", "5", "10", "20", "50"} <= set(labels)
    assert not any("$" in label for label in labels)


@pytest.mark.parametrize(
    ("width", "limits", "expected"),
    [
        (1, (3, 24), "5 10 20"),
        (2, (0, 20), "0 1 2 5 10 20"),
        (1, (0.001, 0.006), "0.001 0.002 0.003 0.004 0.005 0.006"),
    ],
)
def test_an_asinh_colorbar_of_few_decades_has_plain_labels(field, stars, width, limits, expected):
    ax = add_axes(field)
    heat = sky_heatmap(ax, *stars, norm=AsinhNorm(width, *limits))
    heat.set_clim(*limits)
    axis = heat.add_colorbar().ax.yaxis
    ax.figure.draw_without_rendering()
    labels = [
        text.get_text()
        for text, place in zip(axis.get_ticklabels(), axis.get_ticklocs(), strict=True)
        if limits[0] <= place <= limits[1]
    ]
    assert " ".join(labels) == expected


# How it is drawn


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("cmap", "magma", colormaps["magma"]),
        ("cmap", colormaps["cividis"], colormaps["cividis"]),
        ("alpha", 0.3, 0.3),
        ("zorder", 7.5, 7.5),
        ("interpolation", "bilinear", "bilinear"),
        ("resample", False, False),
        ("filternorm", False, False),
        ("filterrad", 2.5, 2.5),
        ("visible", False, False),
        ("rasterized", True, True),
        ("animated", True, True),
        ("url", "https://example.org", "https://example.org"),
        ("gid", "stars", "stars"),
        ("picker", True, True),
        ("clip_on", False, False),
        ("in_layout", False, False),
        ("snap", True, True),
    ],
)
def test_image_keywords_pass_through(field, stars, name, value, expected):
    heat = sky_heatmap(add_axes(field), *stars, **{name: value})
    assert getp(heat, name) == expected


@pytest.mark.parametrize(("vmin", "vmax"), [(3, 60), (None, 60), (3, None), (None, None)])
def test_colour_limits_are_those_given_and_else_the_maps(field, stars, vmin, vmax):
    heat = sky_heatmap(add_axes(field), *stars, statistic="count", vmin=vmin, vmax=vmax)
    values = heat.sky_map.data
    expected = [values.min() if vmin is None else vmin, values.max() if vmax is None else vmax]
    assert list(heat.get_clim()) == expected


@pytest.mark.parametrize(("limits", "expected"), [({"vmin": 1e6}, 1e6), ({"vmax": -2}, -2)])
def test_one_colour_limit_beyond_the_map_is_kept(field, stars, limits, expected):
    ax = add_axes(field)
    heat = sky_heatmap(ax, *stars, **limits)
    drawn(ax.figure)
    assert expected in heat.get_clim()


@pytest.mark.parametrize("norm", ["log", LogNorm()], ids=["name", "object"])
def test_a_logarithmic_scale_begins_at_the_smallest_positive_value(field, norm):
    heat = sky_heatmap(
        add_axes(field), [83.02] * 9 + [83.52] * 2, [-5.02] * 11, statistic="count", norm=norm
    )
    assert isinstance(heat.norm, LogNorm)
    assert heat.get_clim() == (2, 9)


def test_a_norm_is_the_one_given(field, stars):
    norm = PowerNorm(0.5, vmin=1, vmax=90)
    heat = sky_heatmap(add_axes(field), *stars, norm=norm)
    assert heat.norm is norm
    assert heat.get_clim() == (1, 90)


def test_the_colormap_is_that_of_the_rcparams(field, stars):
    with plt.rc_context({"image.cmap": "cividis"}):
        assert sky_heatmap(add_axes(field), *stars).get_cmap().name == "cividis"


def test_a_transform_is_refused(field, stars):
    ax = add_axes(field)
    text = "transform must be left out, as it follows from the map; got "
    with pytest.raises(TypeError, match=re.escape(text)):
        sky_heatmap(ax, *stars, transform=ax.transAxes)
    assert not ax.images


def test_a_keyword_that_no_image_has_is_refused_and_leaves_the_axes_alone(field, stars):
    ax = add_axes(field)
    before = limits_of(ax)
    with pytest.raises((AttributeError, TypeError), match="colour"):
        sky_heatmap(ax, *stars, colour="red")
    assert not ax.images
    assert limits_of(ax) == before


def test_colours_are_not_scaled_to_a_sliver_of_sky():
    latitudes = np.linspace(-80, 80, 500)
    x, y = ALL_SKY.world_to_pixel_values(179.999, latitudes)
    areas = sky_heatmap(add_axes(ALL_SKY), [], []).sky_map.solid_angle
    at_rim = areas[np.floor(y + 0.5).astype(int), np.floor(x + 0.5).astype(int)]
    # One star in the pixel with the least sky, and ten in another.
    rim, middle = (179.999, latitudes[at_rim.argmin()]), (20, 21)
    ra, dec = np.transpose([rim, *[middle] * 10])
    heat = sky_heatmap(add_axes(ALL_SKY), ra, dec)
    assert heat.value_at(*rim) > heat.value_at(*middle)
    assert heat.get_clim()[1] == heat.value_at(*middle).value


@pytest.mark.parametrize("projection", ["MOL", "SIN"])
def test_the_map_is_masked_off_the_sky_and_nowhere_else(projection):
    wcs = make_wcs(projection, shape=(72, 36), center=(0, 0), cdelt=(-4.5, 4.5))
    heat = sky_heatmap(add_axes(wcs), [0.0], [0.0])
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.5, 0.5, 9))
    column, row = np.meshgrid(np.arange(72), np.arange(36))
    world = wcs.pixel_to_world_values(
        column[..., np.newaxis] + x.ravel(), row[..., np.newaxis] + y.ravel()
    )
    on_sky = np.isfinite(world[0]) & np.isfinite(world[1])
    mask = np.ma.getmaskarray(heat.get_array())
    assert mask[~on_sky.any(axis=-1)].all()
    assert not mask[on_sky[..., 40]].any()
    assert 0.1 < mask.mean() < 0.9


def test_what_is_off_the_sky_is_not_drawn():
    wcs = make_wcs("SIN", shape=(28, 28), center=(0, 0), cdelt=(-5, 5))
    ax = aligned_axes(224, 224, projection=wcs)
    ax.set_facecolor((0, 0, 1))
    heat = sky_heatmap(ax, [0.0], [0.0], cmap="gray", vmin=-1, vmax=1e9)
    mask = np.kron(np.ma.getmaskarray(heat.get_array()), np.ones((8, 8), bool))
    is_blue = (drawn(ax.figure)[16:240, 16:240] == (0, 0, 255, 255)).all(axis=-1)
    inner = np.s_[1:-1, 1:-1]  # the frame is antialiased
    np.testing.assert_array_equal(is_blue[inner], mask[inner])


@pytest.mark.parametrize("frame_class", [None, EllipticalFrame])
def test_the_map_is_clipped_to_the_frame(stars, frame_class):
    wcs = make_wcs(shape=(28, 28))
    kwargs = {} if frame_class is None else {"frame_class": frame_class}
    ax = aligned_axes(224, 224, projection=wcs, **kwargs)
    # Pixels of 6 do not fit 28: the map goes beyond the frame.
    heat = sky_heatmap(ax, *stars, pixel_size=0.6 * u.deg, cmap="autumn", vmin=0)
    assert heat.get_extent()[1] > 28
    coloured = drawn(ax.figure)[..., 2] < 100
    across, up = np.meshgrid(np.arange(256) + 0.5 - 128, np.arange(256) + 0.5 - 128)
    distance = np.maximum(abs(across), abs(up)) if frame_class is None else np.hypot(across, up)
    assert not coloured[distance > 113.5].any()
    assert coloured[distance < 110].all()


def test_a_clip_path_of_the_callers_is_kept(stars):
    ax = aligned_axes(224, 224, projection=make_wcs(shape=(28, 28)))
    circle = Circle((128, 128), 50, transform=None)
    sky_heatmap(ax, *stars, cmap="autumn", vmin=0, clip_path=circle)
    coloured = drawn(ax.figure)[..., 2] < 100
    across, up = np.meshgrid(np.arange(256) + 0.5 - 128, np.arange(256) + 0.5 - 128)
    assert coloured[np.hypot(across, up) < 48].all()
    assert not coloured[np.hypot(across, up) > 52].any()


def test_magnified_pixels_are_crisp_squares_of_their_colour(stars):
    ax = aligned_axes(224, 224, projection=make_wcs(shape=(28, 28)))
    heat = sky_heatmap(ax, *stars, statistic="count")
    image = drawn(ax.figure)[16:240, 16:240]
    expected = heat.to_rgba(heat.get_array(), bytes=True)
    assert len(np.unique(expected.reshape(-1, 4), axis=0)) > 10
    np.testing.assert_array_equal(image, np.kron(expected, np.ones((8, 8, 1), np.uint8)))


@pytest.mark.parametrize("period", [2, 4, 8])
def test_minified_pixels_are_averaged(period):
    wcs = make_wcs(shape=(896, 896), cdelt=(-0.005, 0.005))
    x, y = np.meshgrid(np.arange(0, 896, period), np.arange(0, 896))
    ra, dec = wcs.pixel_to_world_values(x.ravel(), y.ravel())
    ax = aligned_axes(112, 112, projection=wcs)
    heat = sky_heatmap(ax, ra, dec, statistic="count", cmap="gray", vmin=0, vmax=1)
    assert set(np.unique(heat.get_array())) == {0, 1}
    image = drawn(ax.figure)[24:120, 24:120, 0] / 255
    assert image.mean() == pytest.approx(1 / period, abs=0.01)
    assert np.ptp(image) < 0.05


def test_a_lone_count_is_not_lost_between_device_pixels():
    wcs = make_wcs(shape=(896, 896), cdelt=(-0.005, 0.005))
    total = []
    for x, y in [(400, 400), (403, 405), (406, 401)]:
        ax = aligned_axes(224, 224, projection=wcs)
        ra, dec = wcs.pixel_to_world_values(x, y)
        sky_heatmap(ax, [ra], [dec], statistic="count", cmap="gray", vmin=0, vmax=1 / 16)
        total.append(drawn(ax.figure)[24:232, 24:232, 0].sum() / 255)
    # Sixteen map pixels make a device pixel.
    assert total == pytest.approx([1, 1, 1], abs=0.15)


# Its life in a figure


@pytest.mark.parametrize(
    ("suffix", "start"), [("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89")]
)
@pytest.mark.parametrize("is_flat", [False, True], ids=["sky", "flat"])
def test_the_figure_is_saved_as_an_image_of_modest_size(field, stars, is_flat, suffix, start):
    ax = add_axes() if is_flat else add_axes(field)
    kwargs = {"frame": "flat"} if is_flat else {}
    sky_heatmap(ax, *stars, bins=300, colorbar=True, **kwargs)
    file = io.BytesIO()
    ax.figure.savefig(file, format=suffix, bbox_inches="tight")
    assert file.getvalue().startswith(start)
    # 90,000 vector squares would take megabytes.
    assert len(file.getvalue()) < 500_000
    if suffix == "svg":
        assert b"<image" in file.getvalue()


def test_a_figure_on_cartesian_axes_can_be_pickled(stars):
    ax = add_axes()
    heat = sky_heatmap(
        ax, *stars, frame="flat", bins=20, norm=LogNorm(1, 50), label="hits", colorbar=True
    )
    figure = pickle.loads(pickle.dumps(ax.figure))
    again = figure.axes[0].images[0]
    assert isinstance(again, SkyHeatmap)
    assert again.get_extent() == heat.get_extent()
    np.testing.assert_array_equal(again.get_array(), heat.get_array())
    assert again.value_at(83.1, -4.9) == heat.value_at(83.1, -4.9)
    np.testing.assert_array_equal(drawn(figure), drawn(ax.figure))


@pytest.mark.parametrize("distorted", [False, True], ids=["TAN", "SIP"])
@pytest.mark.parametrize("kwargs", [{}, {"bins": 7}], ids=str)
def test_a_map_can_be_pickled(field, stars, distorted, kwargs):
    if distorted:
        sip = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-4, "B_0_2": 1e-4, "NAXIS1": 30, "NAXIS2": 20}
        sip |= {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"}
        field = WCS(dict(field.to_header()) | sip)
    sky_map = sky_heatmap(add_axes(field), *stars, **kwargs).sky_map
    again = pickle.loads(pickle.dumps(sky_map))
    np.testing.assert_array_equal(again.data, sky_map.data)
    assert again.value_at(83.1, -4.9) == sky_map.value_at(83.1, -4.9)


@pytest.mark.parametrize("colorbar", [False, True, {"location": "top"}], ids=str)
@pytest.mark.parametrize("with_pyplot", [False, True], ids=["Figure", "pyplot"])
def test_the_heatmap_and_its_map_are_freed_with_the_figure(field, stars, with_pyplot, colorbar):
    figure = plt.figure() if with_pyplot else Figure(layout="constrained")
    heat = figure.add_subplot(projection=field).sky_heatmap(*stars, colorbar=colorbar)
    drawn(figure)
    alive = [weakref.ref(heat), weakref.ref(heat.sky_map)]
    if with_pyplot:
        plt.close(figure)
    del heat, figure
    gc.collect()
    assert [reference() for reference in alive] == [None, None]


def test_a_heatmap_is_freed_when_it_is_removed(field, stars):
    ax = add_axes(field)
    heat = sky_heatmap(ax, *stars)
    drawn(ax.figure)
    alive = weakref.ref(heat.sky_map)
    heat.remove()
    del heat
    gc.collect()
    assert alive() is None


def test_the_heatmap_is_an_image_that_holds_its_map(field, stars):
    ax = add_axes(field)
    heat = sky_heatmap(ax, *stars)
    assert isinstance(heat, AxesImage)
    assert isinstance(heat.sky_map, SkyMap)
    assert heat in ax.images
    np.testing.assert_array_equal(heat.get_array(), heat.sky_map.data)


# Registration


@pytest.fixture
def registration(monkeypatch):
    """Put the methods back as they were."""
    for method in (sky_heatmap, mpl_skyheat.sky_contour):
        monkeypatch.setattr(Axes, method.__name__, method, raising=False)
    return monkeypatch


@pytest.mark.usefixtures("registration")
def test_the_method_is_the_function_and_can_be_taken_back_and_registered_again():
    assert Axes.sky_heatmap is sky_heatmap
    mpl_skyheat.register()
    mpl_skyheat.register()
    assert Axes.sky_heatmap is sky_heatmap
    mpl_skyheat.unregister()
    mpl_skyheat.unregister()
    assert not hasattr(Axes, "sky_heatmap")
    mpl_skyheat.register()
    assert Axes.sky_heatmap is sky_heatmap


def test_the_method_of_another_package_is_neither_replaced_nor_removed(registration):
    def theirs(self):
        """Belongs to somebody else."""

    registration.setattr(Axes, "sky_heatmap", theirs)
    with pytest.raises(RuntimeError, match=r"sky_heatmap must not be taken; got .*theirs"):
        mpl_skyheat.register()
    mpl_skyheat.unregister()
    assert Axes.sky_heatmap is theirs


def test_limits_of_the_colours_may_be_quantities_later_too(field, stars):
    """And are refused where they are of another kind, in place of at the next draw."""
    heat = sky_heatmap(add_axes(field), *stars)
    unit = heat.sky_map.unit
    heat.set_clim(vmax=3600 * unit)
    low = heat.get_clim()[0]
    heat.set_clim(vmax=(3600 * unit).to(u.deg**-2))
    assert heat.get_clim() == (low, pytest.approx(3600))
    heat.set(clim=(0, 5 * unit))
    assert heat.get_clim() == (0, 5)
    with pytest.raises(ValueError, match="vmin must be in the map's unit"):
        heat.set_clim(3 * u.Jy)


@pytest.mark.parametrize("size", [(4, 3.2), (5, 5), (6.4, 4.8)], ids=str)
def test_the_axes_keeps_its_size_beside_a_colorbar_as_with_matplotlibs_own(field, stars, size):
    boxes = []
    for is_own in (True, False):
        figure = Figure(size)
        canvas, ax = FigureCanvasAgg(figure), figure.add_subplot(projection=field)
        heat = sky_heatmap(ax, *stars)
        bar = heat.add_colorbar() if is_own else figure.colorbar(heat, label=heat.colorbar_label)
        canvas.draw()
        boxes.append(ax.get_position())
        assert bar.ax.get_tightbbox(canvas.get_renderer()).x1 <= figure.bbox.x1
    assert boxes[0].width > 0.9 * boxes[1].width


def test_a_colorbar_in_an_inner_grid_stays_off_the_next_axes(field, stars):
    figure = Figure((6, 4))
    outer = figure.add_gridspec(1, 2)
    ax = figure.add_subplot(outer[0].subgridspec(1, 1)[0], projection=field)
    bar = sky_heatmap(ax, *stars).add_colorbar()
    other = figure.add_subplot(outer[1])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert bar.ax.get_tightbbox(canvas.get_renderer()).x1 < other.bbox.x0


@pytest.mark.parametrize("dpi", [10, 30, 57])
@pytest.mark.parametrize("bad", [None, "red", "0.5"])
def test_the_sky_is_drawn_up_to_its_rim_at_every_resolution(dpi, bad):
    ax = add_axes(ALL_SKY)
    cmap = colormaps["viridis"].with_extremes(bad=bad) if bad else "viridis"
    points = [10, 200], [20, -60]
    smooth, crisp = (
        sky_heatmap(ax, *points, kernel=10 * u.deg, cmap=cmap, interpolation=interpolation)
        for interpolation in ("antialiased", "nearest")
    )
    ax.figure.set_dpi(dpi)
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    without_sky = {None: [0, 0, 0, 0], "red": [255, 0, 0, 255], "0.5": [127, 127, 127, 255]}[bad]
    shows_sky = [
        (heat.make_image(renderer)[0] != without_sky).any(axis=-1) for heat in (smooth, crisp)
    ]
    assert 0.7 < shows_sky[0].mean() < 0.85  # π / 4
    np.testing.assert_array_equal(*shows_sky)


@pytest.mark.parametrize("alpha", [None, 0.5])
@pytest.mark.parametrize("cmap", ["gray", "gray_r"])
def test_black_pixels_are_averaged_as_others_are(cmap, alpha):
    ax = add_axes(ALL_SKY, figsize=(1.2, 0.9))
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 2000), np.degrees(np.arcsin(rng.uniform(-1, 1, 2000)))
    heat = sky_heatmap(ax, ra, dec, statistic="count", cmap=cmap, vmin=1, vmax=2, alpha=alpha)
    renderer = FigureCanvasAgg(ax.figure).get_renderer()
    image, averaged = heat.make_image(renderer)[0], AxesImage.make_image(heat, renderer)[0]
    is_drawn = averaged[..., 3] > 0
    assert (averaged[is_drawn][:, 0] == 0).sum() > 20
    np.testing.assert_array_equal(image[is_drawn], averaged[is_drawn])
    assert (image[..., 3] > 0).sum() > is_drawn.sum()


def test_counts_have_whole_numbers_beside_their_colorbar(field):
    ax = add_axes(field)
    ra, dec = np.array([[83.0, -5.0]] * 3 + [[83.5, -5.2]]).T
    heat = sky_heatmap(ax, ra, dec, statistic="count")
    assert list(heat.add_colorbar().get_ticks()) == [0, 1, 2, 3]


@pytest.mark.parametrize("limits", [(0, 900), (-900, 900), (0, 1e6), (0, 0.01), (1e3, 1e3)])
def test_an_asinh_colorbar_has_few_labels_whatever_its_limits(field, stars, limits):
    heat = sky_heatmap(add_axes(field), *stars, norm="asinh")
    colorbar = heat.add_colorbar()
    heat.set_clim(*limits)  # after it
    heat.axes.figure.draw_without_rendering()
    ticks = colorbar.get_ticks()
    assert 1 <= len([t for t in ticks if limits[0] <= t <= limits[1]]) <= 11


def test_panels_with_colorbars_are_of_one_size_without_a_layout_engine(field, stars):
    figure = Figure(figsize=(12, 4))
    for k in range(3):
        ax = figure.add_subplot(1, 3, k + 1, projection=field)
        sky_heatmap(ax, *stars, colorbar=True)
    figure.draw_without_rendering()
    widths = [ax.get_position().width for ax in figure.axes if ax.images]
    assert widths == pytest.approx([widths[0]] * 3)


@pytest.mark.parametrize("step", [2.0, 4.0, 9.0])
def test_a_frame_that_is_wider_than_the_sky_shows_no_flecks_within(step):
    nx, ny = int(326 / step) + 1, int(163 / step) + 1
    wcs = make_wcs("AIT", shape=(nx, ny), center=(0.0, 0.0), cdelt=(-step, step))
    figure = Figure(figsize=(4, 2), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1), projection=wcs, frame_class=EllipticalFrame, aspect="auto")
    for coordinate in ax.coords:
        coordinate.set_ticks_visible(False)
        coordinate.set_ticklabel_visible(False)
    heat = ax.sky_heatmap([10.0], [20.0], kernel="60 deg", cmap="Greys", vmin=-1, vmax=1)
    ax.coords.frame.set_linewidth(0)
    figure.canvas = FigureCanvasAgg(figure)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., 0]
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    width, height = ax.get_window_extent().size
    within = ((x - 199.5) / width) ** 2 + ((y - 99.5) / height) ** 2 < 0.24
    assert picture[within].max() < 200
    assert (picture[0, 0], picture[-1, -1]) == (255, 255)
    # In the picture only.
    off_sky = heat.sky_map.solid_angle == 0
    assert off_sky.any()
    assert np.isnan(heat.sky_map.data[off_sky]).all()
    assert np.isfinite(heat.value_at(10.0, 20.0))


def test_beyond_the_sky_nothing_is_drawn_in_a_rectangle():
    wcs = make_wcs("AIT", shape=(90, 45), center=(0.0, 0.0), cdelt=(-4, 4))
    heat = Figure().add_subplot(projection=wcs).sky_heatmap([10.0], [20.0], kernel="30 deg")
    np.testing.assert_array_equal(heat.get_array().mask, heat.sky_map.mask)


def test_a_colorbar_stays_beside_axes_that_are_zoomed(field, stars):
    ax = add_axes(field)
    bar = ax.sky_heatmap(*stars, kernel="6 arcmin", colorbar=True).colorbar
    figure = ax.figure
    FigureCanvasAgg(figure)
    places, limits = [], (ax.get_xlim(), ax.get_ylim())
    for zoom in (1, 10, 1, 10):
        for name, (low, high) in zip("xy", limits, strict=True):
            half = 0.5 * (high - low) / zoom
            getattr(ax, f"set_{name}lim")(0.5 * (low + high) - half, 0.5 * (low + high) + half)
        figure.canvas.draw()
        places.append([bar.ax.get_position().x0 - ax.get_position().x1, bar.ax.get_position().x1])
    places = np.array(places)
    assert (places[:, 0] > 0).all()
    assert (places[:, 0] < 0.1).all()
    assert (places[:, 1] < 1).all()


def test_a_wide_title_does_not_move_a_colorbar(field, stars):
    places = []
    for title in ("", 90 * "a title "):
        ax = add_axes(field)
        FigureCanvasAgg(ax.figure)
        bar = ax.sky_heatmap(*stars, colorbar=True).colorbar
        ax.set_title(title)
        ax.figure.canvas.draw()
        places.append(bar.ax.get_position().extents)
    np.testing.assert_allclose(*places, atol=1e-9)
