"""``alpha="density"``: the opacity of a map of values is the density of its rows."""

import copy
import pickle

import matplotlib as mpl
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from helpers import make_wcs
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import mpl_skyheat
from mpl_skyheat import SkyMap, sky_heatmap, sky_map
from mpl_skyheat.plotting.density_key import DensityKey

WCS = make_wcs(shape=(40, 30))


@pytest.fixture
def rows(stars):
    ra, dec = stars
    return {"ra": ra, "dec": dec, "rv": 10 * (ra - 83) * u.km / u.s, "w": 1 + (dec > -5)}


def draw(rows, ax=None, **kwargs):
    ax = Figure().add_subplot(projection=WCS) if ax is None else ax
    given = {"data": rows, "values": "rv", "kernel": "0.2 deg", "alpha": "density"} | kwargs
    return sky_heatmap(ax, **given)


def density_of(rows, wcs=WCS, **kwargs):
    given = {"data": rows, "wcs": wcs, "kernel": "0.2 deg"} | kwargs
    return sky_map(**given).data


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"statistic": "std"},
        {"statistic": "sum"},
        {"weights": "w"},
        {"geometry": "sphere"},
        {"coverage": lambda coord: coord.dec.deg > -5.5},
    ],
)
def test_opacity_is_the_density_under_the_same_kernel(rows, given):
    heat = draw(rows, **given)
    plain = {k: v for k, v in given.items() if k != "statistic"}
    density = density_of(rows, **plain)
    known = ~heat.sky_map.mask
    level = np.quantile(density[known], 0.95)
    assert heat.opaque_from.unit.is_equivalent(u.deg**-2)
    assert heat.opaque_from.to_value(u.deg**-2) == pytest.approx(level, rel=1e-6)
    alpha = heat.get_alpha()
    np.testing.assert_allclose(alpha[known], np.clip(density[known] / level, 0, 1), rtol=1e-6)
    assert (alpha.min() >= 0, alpha.max()) == (True, 1)
    # Values are as they are without it.
    bare = draw(rows, alpha=None, **given)
    np.testing.assert_allclose(heat.sky_map.data, bare.sky_map.data, rtol=1e-9)
    assert bare.opaque_from is None


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_opacity_without_a_kernel_is_that_of_the_rows_in_a_pixel(rows, statistic):
    heat = draw(rows, kernel=None, statistic=statistic, bins=(12, 9))
    density = sky_map(data=rows, wcs=WCS, bins=(12, 9)).data
    known = ~heat.sky_map.mask
    expected = np.clip(density / np.quantile(density[known], 0.95), 0, 1)
    np.testing.assert_allclose(heat.get_alpha()[known], expected[known], rtol=1e-9)


def test_opacity_of_flat_values():
    x, y = np.random.default_rng(4).normal(5, 1, (2, 2000))
    ax = Figure().add_subplot()
    heat = sky_heatmap(ax, x, y, frame="flat", values=x, bins=20, kernel=1 * u.pix, alpha="density")
    assert heat.opaque_from.unit == u.dimensionless_unscaled
    assert 0 < heat.get_alpha().mean() < 1


def test_a_finished_map_has_the_same_opacity(rows, tmp_path):
    made = draw(rows)
    again = Figure().add_subplot(projection=WCS).sky_heatmap(made.sky_map, alpha="density")
    np.testing.assert_array_equal(again.get_alpha(), made.get_alpha())
    made.sky_map.write(tmp_path / "map.fits")
    read = SkyMap.read(tmp_path / "map.fits")
    again = Figure().add_subplot(projection=WCS).sky_heatmap(read, alpha="density")
    np.testing.assert_array_equal(again.get_alpha(), made.get_alpha())
    part = (
        Figure()
        .add_subplot(projection=WCS)
        .sky_heatmap(made.sky_map[5:, 5:], alpha="density", unit="m/s")
    )
    assert part.get_alpha().max() == 1
    assert pickle.loads(pickle.dumps(copy.copy(read))).kernel_sums is not None


def test_a_finished_map_on_other_pixels_has_the_opacity_of_its_own(rows):
    made = draw(rows)
    other = make_wcs(shape=(60, 45), cdelt=(-0.06, 0.06))
    drawn = Figure().add_subplot(projection=other).sky_heatmap(made.sky_map, alpha="density")
    assert drawn.opaque_from == made.opaque_from
    density = density_of(rows, other)
    expected = np.clip(density / made.opaque_from.to_value(u.deg**-2), 0, 1)
    # (Rows are smoothed in bins, which are smaller here: by up to 1.2 % of a source's peak each.)
    np.testing.assert_allclose(drawn.get_alpha(), expected, atol=0.04)


def picture(heat):
    """Return the colours on the screen, row 0 at the bottom."""
    canvas = FigureCanvasAgg(heat.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255


def bare_axes():
    figure = Figure(figsize=(4, 3), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1), projection=WCS)
    for helper in ax.coords:
        helper.set_ticks_visible(False)
        helper.set_ticklabel_visible(False)
    return ax


def test_the_picture_is_the_colours_faded_into_the_axes(rows):
    heat = draw(rows, bare_axes(), vmin=-10, vmax=10)
    colors = heat.to_rgba(heat.get_array())[..., :3]
    alpha = heat.get_alpha()[..., np.newaxis]
    expected = alpha * colors + (1 - alpha)
    shown = picture(heat)[5::10, 5::10]
    np.testing.assert_allclose(shown[1:-1, 1:-1], expected[1:-1, 1:-1], atol=2.5 / 255)
    # What is changed later is faded, too.
    heat.set_cmap("magma")
    heat.set_clim(-20, 20)
    colors = mpl.colormaps["magma"]((heat.get_array() + 20) / 40)[..., :3]
    expected = alpha * colors + (1 - alpha)
    shown = picture(heat)[5::10, 5::10]
    np.testing.assert_allclose(shown[1:-1, 1:-1], expected[1:-1, 1:-1], atol=2.5 / 255)


def test_plain_opacity_stays_what_it_is(rows):
    heat = draw(rows, alpha=0.5)
    assert heat.get_alpha() == 0.5
    assert heat.opaque_from is None
    array = np.full((30, 40), 0.3)
    np.testing.assert_array_equal(draw(rows, alpha=array).get_alpha(), array)


def test_a_rim_is_faded_up_to_the_frame():
    wcs = make_wcs("AIT", shape=(120, 60), center=(0.0, 0.0), cdelt=(-2.7, 2.7))
    rng = np.random.default_rng(5)
    coord = SkyCoord(
        rng.uniform(0, 360, 4000), np.degrees(np.arcsin(rng.uniform(-1, 1, 4000))), unit="deg"
    )
    ax = Figure().add_subplot(projection=wcs, frame_class=EllipticalFrame)
    heat = sky_heatmap(ax, coord, values=coord.dec.deg, kernel="6 deg", alpha="density")
    shown = ~np.ma.getmaskarray(heat.get_array())
    assert shown.sum() > (~heat.sky_map.mask).sum()
    assert heat.get_alpha()[shown].min() > 0.2


# The key


def test_the_key_has_values_along_x_and_density_along_y(rows):
    heat = draw(rows, vmin=-10, vmax=10, cmap="coolwarm", label="velocity")
    key = heat.add_density_key("bottom left")
    (image,) = key.images
    colors = image.get_array()
    assert isinstance(image, DensityKey)
    expected = mpl.colormaps["coolwarm"](np.linspace(0, 1, colors.shape[1]))
    np.testing.assert_allclose(colors[-1], expected)
    np.testing.assert_allclose(colors[:, 3, 3], np.linspace(0, 1, len(colors)))
    assert [text.get_text() for text in key.get_xticklabels()] == ["-10", "10"]
    assert key.get_yticklabels()[1].get_text() == f"{heat.opaque_from.value:.3g}"
    assert key.get_xlabel() == heat.colorbar_label
    assert "deg" in key.get_ylabel()


def test_the_key_follows_the_colours(rows):
    heat = draw(rows, vmin=-10, vmax=10)
    key = heat.add_density_key()
    heat.set_cmap("magma")
    heat.set_clim(1, 100)
    heat.set_norm(LogNorm(1, 100))
    expected = mpl.colormaps["magma"](np.linspace(0, 1, 64))
    np.testing.assert_allclose(key.images[0].get_array()[-1], expected)
    assert [text.get_text() for text in key.get_xticklabels()] == ["1", "100"]


def test_a_colorbar_comes_with_a_key_and_is_opaque(rows):
    heat = draw(rows, colorbar=True)
    assert heat.colorbar.alpha is None
    (panel,) = heat.axes.child_axes
    assert [type(image) for image in panel.child_axes[0].images] == [DensityKey]
    assert not draw(rows).axes.child_axes
    assert not draw(rows, alpha=0.5, colorbar=True).axes.child_axes


def test_the_key_is_in_its_corner_whatever_the_figure(rows):
    heat = draw(rows)
    for corner in ("top right", "bottom"):
        panel = [heat.add_density_key(corner), heat.axes.child_axes[-1]][1]
        for size in ((6, 4), (9, 7)):
            heat.figure.set_size_inches(size)
            heat.axes.apply_aspect()
            panel.apply_aspect(panel.get_axes_locator()(panel, None))
            box, ax = panel.bbox, heat.axes.bbox
            assert box.width == pytest.approx(box.height)
            gaps = [box.y0 - ax.y0, ax.y1 - box.y1, ax.x1 - box.x1, box.x0 - ax.x0]
            assert min(gaps) > 0
            near = {"top right": gaps[1:3], "bottom": gaps[:1]}[corner]
            np.testing.assert_allclose(near, 4.2 * heat.figure.dpi / 72, rtol=1e-6)


@pytest.mark.parametrize(
    ("density", "text"),
    [(384.2, "384"), (6250.0, "6250"), (0.0123, "0.0123"), (4.1e6, r"$4{\times}10^{6}$"),
     (2.2e-5, r"$2{\times}10^{-5}$")],
)  # fmt: skip
def test_labels_of_the_key_are_in_its_panel(rows, density, text):
    heat = draw(rows)
    heat.opaque_from = density * u.deg**-2
    key = heat.add_density_key()
    assert key.get_yticklabels()[1].get_text() == text
    renderer = FigureCanvasAgg(heat.figure).get_renderer()
    heat.figure.draw(renderer)
    (panel,) = heat.axes.child_axes
    box = key.get_tightbbox(renderer)
    # (Text is wider by a few pixels with other versions of matplotlib.)
    assert box.x0 >= panel.bbox.x0 - 4
    assert box.y0 >= panel.bbox.y0


def test_a_key_without_density_is_refused(rows):
    with pytest.raises(ValueError, match=r"alpha must be 'density' for a key .*; got alpha=0.5"):
        draw(rows, alpha=0.5).add_density_key()
    with pytest.raises(ValueError, match="corner must be one of"):
        draw(rows).add_density_key("north")


# Errors


def test_a_density_needs_values(rows):
    ax = Figure().add_subplot(projection=WCS)
    with pytest.raises(ValueError, match=r"values must be given with alpha='density'.*'density'"):
        sky_heatmap(ax, data=rows, kernel="0.2 deg", alpha="density")
    with pytest.raises(ValueError, match=r"values must be given with alpha='density'.*'count'"):
        sky_heatmap(ax, data=rows, statistic="count", alpha="density")
    made = sky_map(data=rows, wcs=WCS, kernel="0.2 deg")
    with pytest.raises(ValueError, match="values must be given with alpha='density'"):
        ax.sky_heatmap(made, alpha="density")
    with pytest.raises(ValueError, match=r"alpha must be a number of 0 to 1, .*; got 'deep'"):
        draw(rows, ax, alpha="deep")
    assert not ax.images


def test_a_map_without_a_density_is_refused(rows):
    ax = Figure().add_subplot(projection=WCS)
    made = sky_map(data=rows, wcs=WCS, kernel="0.2 deg", values="rv")
    for other in (made.like(made.data), made + made):
        with pytest.raises(ValueError, match="values must be given with alpha='density'"):
            ax.sky_heatmap(other, alpha="density")
    with pytest.raises(ValueError, match="alpha='density' needs the density of the rows"):
        draw(rows, ax, boundary="reflect")
    by_hand = SkyMap(made.data, wcs=WCS, meta={"stat": "mean"}, solid_angle=made.solid_angle)
    with pytest.raises(ValueError, match="alpha='density' needs the density of the rows"):
        ax.sky_heatmap(by_hand, alpha="density")
    assert not ax.images


def test_the_public_names_say_it():
    assert 'alpha="density"' in mpl_skyheat.sky_heatmap.__doc__


def test_colours_are_scaled_to_what_is_seen():
    """A lone row far off a cluster, of an extreme value, is nearly transparent."""
    cluster, lone = WCS.pixel_to_world(20, 25), WCS.pixel_to_world(4, 5)
    rng = np.random.default_rng(7)
    spread = rng.normal(0, 0.3, (2, 500))
    rows = {
        "ra": np.append(cluster.ra.deg + spread[0], lone.ra.deg),
        "dec": np.append(cluster.dec.deg + spread[1], lone.dec.deg),
        "rv": np.append(rng.uniform(-5, 5, 500), 1e4) * u.km / u.s,
    }
    heat, plain = draw(rows), draw(rows, alpha=None)
    assert plain.get_clim()[1] > 1e3
    seen = heat.sky_map.data[(heat.get_alpha() >= 0.1) & ~heat.sky_map.mask]
    assert heat.get_clim() == pytest.approx((seen.min(), seen.max()))
    assert heat.get_clim()[1] < 10


@pytest.mark.parametrize("norm", ["linear", "log"])
def test_colours_follow_all_values_where_all_are_faint(norm):
    """The Axes shows the few rows beside a cluster that is dense enough to be opaque."""
    middle, rng = WCS.pixel_to_world(24, 25), np.random.default_rng(8)
    near, far = rng.normal(0, 0.15, (2, 40000)), rng.uniform(-3, 3, (2, 300))
    rows = {
        "ra": middle.ra.deg + np.append(near[0], far[0]),
        "dec": middle.dec.deg + np.append(near[1], far[1]),
        "rv": rng.uniform(700, 760, 40300),
    }
    made = sky_map(data=rows, wcs=WCS, kernel="0.2 deg", values="rv")
    ax = Figure().add_subplot(projection=WCS)
    ax.set_xlim(-0.5, 5.5)
    heat = ax.sky_heatmap(made, alpha="density", norm=norm)
    assert 0 < heat.get_alpha().max() < 0.1
    low, high = heat.get_clim()
    assert 700 <= low < high <= 760
