"""A kernel's width and a scale bar in a corner of a map are true to scale there."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from helpers import make_wcs
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from test_axes_kinds import KINDS

import mpl_skyheat
from mpl_skyheat import SkyMap, sky_heatmap
from mpl_skyheat.plotting.corner_marks import CornerMark
from mpl_skyheat.plotting.heatmap import SkyHeatmap


def heat_on(wcs, values=0.0, kernel="0.5 deg", **kwargs):
    """Return the image of a map of one value in its own pixels.

    On a plain Axes that shows these, of which 20 are made in the time of a WCSAxes.
    """
    nx, ny = wcs.pixel_shape
    ax = Figure(figsize=(6, 5)).add_subplot(**kwargs)
    sky_map = SkyMap(
        np.full((ny, nx), values), wcs=wcs, solid_angle=np.ones((ny, nx)) * u.sr, kernel=kernel
    )
    heat = SkyHeatmap(ax, sky_map, (-0.5, nx - 0.5, -0.5, ny - 0.5), vmin=-1, vmax=1, cmap="gray")
    ax.add_image(heat)
    ax.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5), aspect="equal")
    return heat


def sky_at(heat, places):
    """Return the positions of places on the screen, by the WCS of the Axes or of the map."""
    left, right, bottom, top = heat.get_extent()
    ny, nx = heat.sky_map.data.shape
    x, y = np.transpose(heat.get_transform().inverted().transform(places))
    x, y = (x - left) / (right - left) * nx - 0.5, (y - bottom) / (top - bottom) * ny - 0.5
    return heat.sky_map.wcs.pixel_to_world(x, y)


def draw(mark):
    """Draw a mark alone, where its Axes are now: all of a WCSAxes would take much longer."""
    mark.axes.apply_aspect()
    mark.draw(FigureCanvasAgg(mark.axes.figure).get_renderer())


def bar_ends(bar):
    """Return the ends of a bar on the screen, as it is drawn."""
    draw(bar)
    box = bar.bar.get_window_extent()
    y = 0.5 * (box.y0 + box.y1)
    return np.array([[box.x0, y], [box.x1, y]])


def length_of(bar, heat):
    """Return the separation of a bar's ends on the sky (deg)."""
    first, last = sky_at(heat, bar_ends(bar))
    return first.separation(last).deg


def diameters(mark, heat, number=12):
    """Return the diameters (deg) of a kernel's outline, in directions all around."""
    draw(mark)
    angle = np.linspace(0, np.pi, number, endpoint=False)
    ends = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    transform = mark.circle.get_transform()
    first, last = (sky_at(heat, transform.transform(sign * ends)) for sign in (-1, 1))
    return first.separation(last).deg


def is_in_corner(mark, words):
    box, ax = mark.get_window_extent(), mark.axes.bbox
    middle = (np.array([box.x0 + box.x1, box.y0 + box.y1]) / 2 - ax.min) / ax.size
    wanted = [0.5, 0.5]
    for k, (low, high) in enumerate((("left", "right"), ("bottom", "top"))):
        wanted[k] = 0.0 if low in words else 1.0 if high in words else 0.5
    return np.abs(middle - wanted).max() < 0.2


WIDE = make_wcs(shape=(200, 200), cdelt=(-0.2, 0.2))
ROTATED = make_wcs(shape=(200, 160), cdelt=(-0.2, 0.2))
ROTATED.wcs.pc = [[0.8, -0.6], [0.6, 0.8]]
OBLONG = make_wcs(shape=(160, 100), cdelt=(-0.1, 0.3))
FIELDS = {
    "field": make_wcs(shape=(100, 80), cdelt=(-0.02, 0.02)),
    "wide": WIDE,
    "rotated": ROTATED,
    "oblong pixels": OBLONG,
    "Dec first": make_wcs(shape=(90, 120), center=(-5.0, 83.0), cdelt=(0.1, -0.1), axes="DECRA"),
    "CAR": make_wcs("CAR", shape=(180, 140), center=(40.0, 0.0), cdelt=(-1.0, 1.0)),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_bar_has_its_length_in_its_corner(name):
    heat = heat_on(FIELDS[name])
    length = 20 * abs(FIELDS[name].wcs.cdelt[0])
    for corner in ("top right", "bottom left", "left", "top"):
        bar = heat.add_scalebar(length * u.deg, corner=corner)
        assert length_of(bar, heat) == pytest.approx(length, rel=1e-3)
        assert is_in_corner(bar, corner)


@pytest.mark.parametrize("name", FIELDS)
def test_a_kernel_has_its_full_width_in_every_direction(name):
    fwhm = 10 * abs(FIELDS[name].wcs.cdelt[0])
    heat = heat_on(FIELDS[name], kernel=mpl_skyheat.Gaussian(fwhm=fwhm * u.deg))
    for corner in ("top left", "bottom right", "right", "bottom"):
        mark = heat.add_kernel(corner)
        np.testing.assert_allclose(diameters(mark, heat), fwhm, rtol=0.01)
        assert is_in_corner(mark, corner)


@pytest.mark.parametrize(
    ("kernel", "fwhm"),
    [
        ("0.5 deg", 0.5 * 2.354820),
        (mpl_skyheat.TopHat("1 deg"), 2.0),
        (mpl_skyheat.Epanechnikov("1 deg"), 2**0.5),
        (mpl_skyheat.Moffat("1 deg"), 1.0),
        (0.5 * mpl_skyheat.TopHat("1 deg") + 0.5 * mpl_skyheat.TopHat("1 deg"), 2.0),
    ],
)
def test_the_full_width_of_every_kernel(kernel, fwhm):
    heat = heat_on(FIELDS["wide"], kernel=kernel)
    np.testing.assert_allclose(diameters(heat.add_kernel(), heat), fwhm, rtol=0.01)


def test_a_kernel_in_pixels_is_so_many_pixels_wide():
    heat = heat_on(OBLONG, kernel=3 * u.pix)
    mark = heat.add_kernel()
    draw(mark)
    box = mark.circle.get_window_extent()
    (x0, y0), (x1, y1) = heat.axes.transData.inverted().transform(box.get_points())
    np.testing.assert_allclose([x1 - x0, y1 - y0], 3 * 2.354820, rtol=1e-3)


@pytest.mark.parametrize(
    "kind", ["mollweide", "lambert", "cartopy Mollweide", "skyproj Laea", "plain"]
)
def test_marks_are_true_to_scale_on_every_kind_of_axes(kind):
    ax, _ = KINDS[kind]()
    ra, dec = np.random.default_rng(2).uniform(-1, 1, (2, 50)) * [[20], [15]] + [[30], [35]]
    heat = sky_heatmap(ax, ra % 360, dec, kernel="2 deg", bins=60)
    # On the middle of a side, all of these show sky.
    side = "right" if kind == "plain" else "top" if "Ortho" in kind or "Laea" in kind else "left"
    bar, mark = heat.add_scalebar("6 deg", corner=side), heat.add_kernel("bottom")
    length, widths = length_of(bar, heat), diameters(mark, heat)
    assert np.isfinite(widths).all()
    assert length == pytest.approx(6, rel=0.01)
    # Near a pole, and at a rim, a circle of 5 deg is no ellipse.
    np.testing.assert_allclose(np.sort(widths)[6], 2 * 2.354820, rtol=0.05)


@pytest.mark.slow
def test_marks_on_axes_of_ligo_skymap():
    pytest.importorskip("ligo.skymap.plot")
    ax = Figure(figsize=(6, 4)).add_subplot(
        projection="astro zoom", center="5h -20d", radius="8 deg"
    )
    heat = sky_heatmap(ax, [75.0, 76.0], [-20.0, -21.0], kernel="0.5 deg")
    bar, mark = heat.add_scalebar("2 deg"), heat.add_kernel()
    assert length_of(bar, heat) == pytest.approx(2, rel=1e-3)
    np.testing.assert_allclose(diameters(mark, heat), 0.5 * 2.354820, rtol=0.01)


def test_marks_in_data_units():
    ax = Figure().add_subplot()
    heat = sky_heatmap(ax, [0.0, 4.0], [0.0, 9.0], frame="flat", bins=(8, 6), kernel=2 * u.pix)
    bar, pixels = heat.add_scalebar(1.5), heat.add_scalebar(2 * u.pix, corner="top")
    to_data = ax.transData.inverted().transform
    assert np.ptp(to_data(bar_ends(bar))[:, 0]) == pytest.approx(1.5)
    assert np.ptp(to_data(bar_ends(pixels))[:, 0]) == pytest.approx(2 * 4.0 / 8)
    assert bar.text.get_text() == "1.5"
    mark = heat.add_kernel("top left")
    draw(mark)
    box = to_data(mark.circle.get_window_extent().get_points())
    np.testing.assert_allclose(np.ptp(box, axis=0), 2 * 2.354820 * np.array([0.5, 1.5]), rtol=1e-3)


def nearest_on_sky(heat, middle):
    """Return the place of the screen nearest to another, with sky 1/64 of the Axes around it."""
    box = heat.axes.bbox
    around = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]]) / 64 * box.size
    centre, span = 0.5 * np.add(box.min, box.max), box.size
    for _ in range(3):
        t = np.linspace(-0.5, 0.5, 101)
        x, y = np.meshgrid(centre[0] + span[0] * t, centre[1] + span[1] * t)
        places = np.stack([x, y], axis=-1)[..., np.newaxis, :] + around
        data = heat.axes.transData.inverted().transform(places.reshape(-1, 2))
        lon, _ = heat.sky_map.wcs.pixel_to_world_values(*data.T)
        near = places[np.isfinite(lon).reshape(places.shape[:-1]).all(axis=-1)][:, 0]
        centre, span = near[np.argmin(np.linalg.norm(near - middle, axis=-1))], 0.04 * span
    return centre


def test_a_corner_without_sky_has_the_scale_of_the_nearest_sky():
    wcs = make_wcs("AIT", shape=(360, 180), center=(0.0, 0.0), cdelt=(-0.9, 0.9))
    heat = heat_on(
        wcs, kernel=mpl_skyheat.Gaussian(fwhm="2 deg"), projection=wcs, frame_class=EllipticalFrame
    )
    bar, mark = heat.add_scalebar("2 deg"), heat.add_kernel("bottom left")
    ends = bar_ends(bar)
    draw(mark)
    middle = mark.circle.get_transform().transform((0, 0))
    radii = mark.circle.get_transform().transform([(1, 0), (0, 1), (0.6, 0.8)]) - middle
    for place, half in (
        (nearest_on_sky(heat, ends.mean(axis=0)), [0.5 * (ends[1] - ends[0])]),
        (nearest_on_sky(heat, middle), radii),
    ):
        first, last = (sky_at(heat, place + sign * np.asarray(half)) for sign in (-1, 1))
        np.testing.assert_allclose(first.separation(last).deg, 2, rtol=0.01)
    # By the scale of the middle, it would be far off.
    assert np.ptp(ends[:, 0]) < 0.9 * 2 / 0.9 * heat.axes.bbox.width / 360


def test_a_bar_stays_true_when_the_figure_changes():
    heat = heat_on(WIDE, projection=WIDE)
    bar = heat.add_scalebar("2 deg")
    before = np.ptp(bar_ends(bar)[:, 0])
    heat.axes.set(xlim=(20, 60), ylim=(120, 160))
    assert length_of(bar, heat) == pytest.approx(2, rel=1e-3)
    assert np.ptp(bar_ends(bar)[:, 0]) > 3 * before
    heat.figure.set_dpi(250)
    assert length_of(bar, heat) == pytest.approx(2, rel=1e-3)
    heat.figure.set_size_inches(9, 4)
    heat.figure.subplots_adjust(left=0.3)
    assert length_of(bar, heat) == pytest.approx(2, rel=1e-3)


def test_marks_need_no_room_of_a_layout_and_stay_in_the_axes():
    places = []
    for has_marks in (False, True):
        heat = heat_on(FIELDS["field"], kernel="3 deg")  # wider than the Axes
        heat.figure.set_layout_engine("tight")
        if has_marks:
            mark, _ = heat.add_kernel(), heat.add_scalebar("5 deg")
        heat.figure.draw_without_rendering()
        places.append(heat.axes.get_position().bounds)
    assert places[0] == places[1]
    assert mark.circle.get_clip_box() is heat.axes.bbox


@pytest.mark.parametrize(("value", "color"), [(-1, "white"), (1, "black")])
def test_marks_are_light_on_dark_and_dark_on_light(value, color):
    heat = heat_on(FIELDS["field"], values=float(value))
    bar, mark = heat.add_scalebar("0.2 deg"), heat.add_kernel()
    framed, own = heat.add_scalebar("0.2 deg", frame=True), heat.add_kernel(color="red")
    heat.figure.draw_without_rendering()
    assert same_color(bar.text.get_color(), color)
    assert same_color(mark.circle.get_edgecolor(), color)
    assert same_color(framed.text.get_color(), "black")
    assert same_color(own.circle.get_edgecolor(), "red")
    heat.set_alpha(np.zeros((80, 100)))  # the white Axes is seen
    draw(bar)
    assert same_color(bar.text.get_color(), "black")


def test_marks_beyond_the_rim_are_on_the_figure():
    wcs = make_wcs("AIT", shape=(360, 180), center=(0.0, 0.0), cdelt=(-0.9, 0.9))
    heat = heat_on(wcs, values=-1.0, projection=wcs, frame_class=EllipticalFrame)
    bar = heat.add_scalebar("10 deg")
    for face, color in (("white", "black"), ("0.1", "white"), ("none", "black")):
        heat.figure.set_facecolor(face)
        draw(bar)
        assert same_color(bar.text.get_color(), color)


@pytest.mark.parametrize(
    ("length", "given", "text"),
    [
        (2 * u.deg, None, "2°"),
        ("30 arcmin", None, "30′"),
        ("5 arcsec", None, "5″"),
        (0.01 * u.rad, None, "0.01 rad"),
        (20 * u.pix, None, "20 pix"),
        ("30 arcmin", "4 pc", "4 pc"),
        ("30 arcmin", "", ""),
    ],
)
def test_the_label_of_a_bar_is_its_length(length, given, text):
    heat = heat_on(FIELDS["field"])
    assert heat.add_scalebar(length, given).text.get_text() == text


def test_keywords_of_wcsaxes():
    heat = heat_on(FIELDS["field"])
    bar = heat.add_scalebar(
        "0.2 deg", "x", "top left", True, color="red", size_vertical=3, label_top=True, sep=9, pad=1
    )
    draw(bar)
    box = bar.bar.get_window_extent()
    assert box.height == pytest.approx(3 * heat.figure.dpi / 72)
    assert box.y1 < bar.text.get_window_extent().y0
    assert length_of(bar, heat) == pytest.approx(0.2, rel=1e-3)
    assert heat.add_kernel(hatch="//", linewidth=3, borderpad=2).circle.get_hatch() == "//"


def test_marks_on_a_map_that_is_made_already():
    wcs = make_wcs(shape=(60, 50))
    stars = SkyCoord([83.0, 83.5], [-5.0, -4.6], unit="deg")
    made = mpl_skyheat.sky_map(stars, wcs=wcs, kernel="0.3 deg")
    ax = Figure().add_subplot(projection=make_wcs(shape=(80, 80), cdelt=(-0.07, 0.07)))
    heat = ax.sky_heatmap(made)
    np.testing.assert_allclose(diameters(heat.add_kernel(), heat), 0.3 * 2.354820, rtol=0.01)
    # Pixels of the one are not those of the other.
    made = mpl_skyheat.sky_map(stars, wcs=wcs, kernel=2 * u.pix)
    with pytest.raises(ValueError, match="kernels in pixels of another map"):
        ax.sky_heatmap(made).add_kernel()
    own = Figure().add_subplot(projection=wcs).sky_heatmap(made)
    np.testing.assert_allclose(diameters(own.add_kernel(), own), 0.2 * 2.354820, rtol=0.01)
    assert own.sky_map.kernel == made.kernel


@pytest.mark.parametrize(
    "kernel",
    [
        None,
        np.ones((3, 3)),
        mpl_skyheat.Annulus("1 deg", "2 deg"),
        mpl_skyheat.Gaussian("1 deg") - mpl_skyheat.Gaussian("2 deg"),
        mpl_skyheat.Gaussian("1 deg") + mpl_skyheat.Gaussian(2 * u.pix),
    ],
)
def test_a_kernel_without_a_width_is_refused(kernel):
    with pytest.raises(
        ValueError, match=r"kernel must be one .* such as kernel='10 arcmin'.*; got"
    ):
        heat_on(FIELDS["field"], kernel=kernel).add_kernel()


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (3, r"length must be an angle such as 2\*u.arcmin or '2 arcmin' \(or .*\); got 3"),
        (-1 * u.deg, "length must be positive and finite; got -1.0 deg"),
        (200 * u.deg, "length must be an angle below 180 deg; got 200.0 deg"),
        (2 * u.m, "length must be an angle"),
    ],
)
def test_a_length_that_is_no_angle_is_refused(length, text):
    with pytest.raises(ValueError, match=text):
        heat_on(FIELDS["field"]).add_scalebar(length)


@pytest.mark.parametrize("length", [0, True, "3", 1 * u.deg, np.nan])
def test_a_length_that_is_no_number_is_refused_on_a_flat_map(length):
    heat = sky_heatmap(Figure().add_subplot(), [0, 1], [0, 1], frame="flat", bins=2)
    with pytest.raises(ValueError, match=r"length must be a positive number .* frame='flat'; got"):
        heat.add_scalebar(length)


@pytest.mark.parametrize("name", ["add_kernel", "add_scalebar"])
def test_a_corner_that_is_not_there_is_refused(name):
    heat, given = heat_on(FIELDS["field"]), ("1 deg",) if name == "add_scalebar" else ()
    with pytest.raises(
        ValueError, match=r"corner must be one of 'top right', .*; got 'lower left'"
    ):
        getattr(heat, name)(*given, corner="lower left")
    assert not [a for a in heat.axes.get_children() if isinstance(a, CornerMark)]


def test_marks_go_with_their_map():
    heat = heat_on(make_wcs())
    heat.add_kernel()
    heat.add_scalebar("0.5 deg")
    canvas = FigureCanvasAgg(heat.axes.figure)
    canvas.draw()
    drawn = np.array(canvas.buffer_rgba())
    heat.remove()
    canvas.draw()
    without = np.array(canvas.buffer_rgba())
    assert (without != drawn).any()
    for mark in [a for a in canvas.figure.axes[0].artists if hasattr(a, "heat")]:
        mark.remove()
    canvas.draw()
    np.testing.assert_array_equal(np.array(canvas.buffer_rgba()), without)
