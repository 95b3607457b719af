"""What a figure looks like without being asked: scales, labels, shared panels, colorbars."""

import pickle

import numpy as np
import pytest
from astropy.coordinates import SkyCoord, SkyOffsetFrame
from helpers import make_wcs
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from mpl_skyheat import Gaussian, TopHat, sky_heatmap

GRID = np.meshgrid(np.arange(81.3, 84.8, 0.05), np.arange(-6.2, -3.8, 0.05))
POINTS = GRID[0].ravel(), GRID[1].ravel()
DIFFERENCE = Gaussian("10 arcmin") - Gaussian("20 arcmin")


def add_axes(wcs=None):
    return Figure().add_subplot(projection=wcs)


@pytest.mark.parametrize("statistic", ["density", "count"])
@pytest.mark.parametrize("norm", [None, "linear", "sqrt", "asinh"])
def test_the_scale_starts_at_zero(field, statistic, norm):
    heat = add_axes(field).sky_heatmap(*POINTS, kernel="20 arcmin", statistic=statistic, norm=norm)
    assert heat.sky_map.data.min() > 0
    assert heat.get_clim() == (0, heat.sky_map.data.max())
    assert heat.cmap.name == "viridis"


@pytest.mark.parametrize(
    ("kwargs", "clim"),
    [
        ({}, None),
        ({"norm": "asinh"}, None),
        ({"vmax": 7}, (-7, 7)),
        ({"vmin": -3}, (-3, 3)),
        ({"vmin": -3, "vmax": 9}, (-3, 9)),
        ({"norm": "centered"}, None),
        ({"norm": "centered", "vmax": 7}, (-7, 7)),
        ({"norm": Normalize(0, 5)}, (0, 5)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value),
)
def test_a_difference_of_kernels_is_symmetric_about_zero(field, kwargs, clim):
    heat = add_axes(field).sky_heatmap(*POINTS, kernel=DIFFERENCE, **kwargs)
    largest = np.abs(heat.sky_map.data).max()
    assert heat.get_clim() == (clim or (-largest, largest))
    assert heat.cmap.name == "coolwarm"


def test_signed_is_decided_by_the_kernel_and_not_by_the_data(field):
    def of(kernel, **kwargs):
        return add_axes(field).sky_heatmap([], [], kernel=kernel, **kwargs)

    hat = np.full((3, 3), -0.05)
    hat[1, 1] = 2
    assert [of(k).get_clim() for k in (DIFFERENCE, hat)] == [(-1, 1)] * 2
    sums = Gaussian("5 arcmin") + 2 * TopHat("6 arcmin")
    assert [of(k).get_clim() for k in (sums, np.ones((3, 3)))] == [(0, 1)] * 2
    assert of(DIFFERENCE, cmap="magma").cmap.name == "magma"


def test_a_scale_of_means_is_that_of_the_data(field):
    values = np.linspace(-3, 5, POINTS[0].size)
    for more, clim in [({}, None), ({"vmax": 7}, (None, 7)), ({"norm": "centered"}, "centered")]:
        heat = add_axes(field).sky_heatmap(*POINTS, values=values, **more)
        data = heat.sky_map.data[np.isfinite(heat.sky_map.data)]
        low, high = (data.min(), clim[1] if clim else data.max())
        if clim == "centered":
            low, high = -data.max(), data.max()
        assert heat.get_clim() == (low, high)
        assert heat.cmap.name == "viridis"


def test_a_centered_norm_and_a_log_norm_keep_their_own_limits(field):
    centered = add_axes(field).sky_heatmap(*POINTS, norm="centered")
    assert centered.get_clim()[0] == -centered.get_clim()[1]
    logarithmic = add_axes(field).sky_heatmap(*POINTS, kernel="20 arcmin", norm=LogNorm())
    assert logarithmic.get_clim()[0] > 0


def test_an_asinh_scale_by_name_is_the_same_in_every_unit(field):
    one, other = (
        add_axes(field).sky_heatmap(*POINTS, norm="asinh", unit=unit)
        for unit in ("deg-2", "arcsec-2")
    )
    colors = [heat.norm(heat.sky_map.data) for heat in (one, other)]
    np.testing.assert_allclose(*colors, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ("RADEC", ["RA", "Dec"]),
        ("DECRA", ["Dec", "RA"]),
        ("GLON", ["$l$", "$b$"]),
        ("ELON", ["Ecliptic longitude", "Ecliptic latitude"]),
    ],
)
def test_fresh_wcsaxes_are_named_unless_someone_has(axes, names):
    wcs = make_wcs(axes=axes, center=(20, 10))
    ax = add_axes(wcs)
    ax.sky_heatmap(SkyCoord([], [], unit="deg"))
    assert [helper.get_axislabel() for helper in ax.coords] == names
    ax = add_axes(wcs)
    ax.coords[0].set_axislabel("mine")
    ax.coords[1].set_auto_axislabel(auto_label=False)
    ax.sky_heatmap(SkyCoord([], [], unit="deg"))
    assert [helper.get_axislabel() for helper in ax.coords] == ["mine", ""]


@pytest.mark.parametrize(
    ("frame", "names"),
    [
        ("icrs", ("RA", "Dec")),
        ("galactic", ("$l$", "$b$")),
        ("supergalactic", ("SGL", "SGB")),
        ("barycentricmeanecliptic", ("Ecliptic longitude", "Ecliptic latitude")),
        (SkyOffsetFrame(origin=SkyCoord(10, 20, unit="deg")),
         ("Longitude offset", "Latitude offset")),
    ],
    ids=str,
)  # fmt: skip
def test_plain_axes_are_named_by_their_frame(frame, names):
    ax = add_axes()
    ax.sky_heatmap([1.0, 3.0], [2.0, 5.0], frame=frame)
    assert (ax.get_xlabel(), ax.get_ylabel()) == names


@pytest.mark.parametrize(
    ("low", "high"),
    [(-5, 5), (-5.1, 5), (355, 365), (100, 110), (-100, -90), (-160, 160), (0, 300)],
)
def test_plain_axes_have_the_numbers_that_the_points_have(low, high):
    ax = add_axes()
    ax.sky_heatmap(np.linspace(low, high, 50), np.linspace(-5, 5, 50))
    assert sorted(ax.get_xlim()) == pytest.approx([low, high])


def test_plain_axes_do_not_cut_a_field_across_0h():
    ax = add_axes()
    ax.sky_heatmap([358.0, 359, 1, 2], [0.0, 1, 2, 3])
    assert np.ptp(ax.get_xlim()) == pytest.approx(4)


def test_offsets_are_labelled_on_both_sides_of_zero():
    ax = add_axes()
    frame = SkyOffsetFrame(origin=SkyCoord(10, 20, unit="deg"))
    ax.sky_heatmap([-2.0, 2, 359], [-2.0, 2, 0], frame=frame)
    assert sorted(ax.get_xlim()) == pytest.approx([-2, 2])
    assert [ax.xaxis.get_major_formatter()(x) for x in (-1, 0, 359)] == ["-1°", "0°", "-1°"]


@pytest.mark.parametrize("shared", [{"sharex": True, "sharey": True}, {"sharey": True}], ids=str)
def test_panels_that_share_limits_are_all_set_up(shared):
    panels = Figure().subplots(2, 1, **shared)
    for ax in panels:
        ax.sky_heatmap([10.0, 12], [58.0, 62])
    for ax in panels:
        assert ax.xaxis_inverted()
        assert ax.get_aspect() == pytest.approx(2)
        assert ax.get_ylabel() == "Dec"
    assert panels[1].get_xlabel() == "RA"


def test_an_axes_that_shows_something_is_not_set_up_by_its_fresh_sibling():
    first, second = Figure().subplots(1, 2, sharex=True, sharey=True)
    first.plot([9, 13], [57, 63])
    second.sky_heatmap([10.0, 12], [58.0, 62])
    assert (first.get_aspect(), first.get_xlabel()) == ("auto", "")
    assert not first.xaxis_inverted()
    assert second.get_aspect() == pytest.approx(2)


def test_a_figure_with_plain_degrees_can_be_pickled():
    ax = add_axes()
    ax.sky_heatmap([10.0, 12], [58.0, 62], colorbar=True)
    again = pickle.loads(pickle.dumps(ax.figure))
    assert again.axes[0].get_xlim() == ax.get_xlim()


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"colorbar": 3}, TypeError, "colorbar must be True, a side .* got 3"),
        ({"colorbar": np.ones(2)}, TypeError, "colorbar must be True"),
        ({"colorbar": {"location": [1]}}, ValueError, r"location must be one of 'right'.* \[1\]"),
        ({"colorbar": 3}, TypeError, "colorbar must be True, a side such as 'left', .* got 3"),
        ({"norm": "lgo"}, ValueError, "norm must be one of 'linear', 'log', .* got 'lgo'"),
        ({"colorbar": {"pad": 1}}, TypeError, "pad must be left out"),
        ({"colorbar": {"spam": 1}}, TypeError, "spam"),
        ({"colorbar": {"label": 3}}, TypeError, "label must be text"),
        ({"label": 3}, TypeError, "label must be text, such as 'stars', or None; got 3"),
        ({"vmin": np.nan}, ValueError, "vmin must be a finite number .* got nan"),
        ({"vmax": "a"}, ValueError, "vmax must be a finite number .* got 'a'"),
        ({"interpolation": 3}, ValueError, "interpolation must be one of .* got 3"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["plain", "wcs"])
def test_an_argument_that_is_refused_changes_nothing(field, kind, kwargs, error, text):
    ax = add_axes(field if kind == "wcs" else None)

    def state():
        return ax.get_xlim(), ax.get_ylim(), ax.get_aspect(), ax.get_xlabel(), len(ax.images)

    before = state(), len(ax.figure.axes)
    with pytest.raises(error, match=text):
        ax.sky_heatmap([83.0], [-5.0], **kwargs)
    assert (state(), len(ax.figure.axes)) == before


# Colorbars


def placed_by_hand(wcs):
    return Figure((6, 5)).add_axes((0.2, 0.2, 0.5, 0.5), projection=wcs)


def drawn_boxes(ax, bar):
    """Return the window extents of an Axes and of its colorbar, as drawn."""
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    return ax.get_window_extent(), bar.ax.get_window_extent(), canvas.get_renderer()


def test_a_colorbar_on_top_is_just_above_the_title(field):
    ax = placed_by_hand(field)
    ax.set_title("a title")
    bar = sky_heatmap(ax, *POINTS).add_colorbar("top")
    _, box, renderer = drawn_boxes(ax, bar)
    title = ax.title.get_window_extent(renderer)
    assert 0 < box.y0 - title.y1 < 20


def test_a_colorbar_is_beside_what_is_beside_the_axes():
    ax = placed_by_hand(None)
    heat = ax.sky_heatmap(*POINTS)
    second = ax.secondary_yaxis("right")
    second.set_ylabel("a second axis")
    legend = ax.legend(handles=ax.plot([], [], label="a line"), loc="upper left",
                       bbox_to_anchor=(1.2, 1))  # fmt: skip
    bar = heat.add_colorbar()
    _, box, renderer = drawn_boxes(ax, bar)
    assert box.x0 > second.get_tightbbox(renderer).x1
    assert box.x0 > legend.get_window_extent(renderer).x1


@pytest.mark.parametrize("is_first", [True, False], ids=["grid first", "bar first"])
def test_a_second_grid_does_not_push_the_label_out_of_the_figure(is_first):
    figure = Figure(figsize=(8, 4))
    ax = figure.add_subplot(projection=make_wcs(shape=(20, 20)))
    if is_first:
        ax.get_coords_overlay("galactic")[1].set_axislabel("b")
    bar = ax.sky_heatmap(*POINTS, label="stars").add_colorbar()
    if not is_first:
        ax.get_coords_overlay("galactic")[1].set_axislabel("b")
    _, _, renderer = drawn_boxes(ax, bar)
    assert bar.ax.get_tightbbox(renderer).x1 <= figure.bbox.x1 + 0.5


@pytest.mark.parametrize("norm", ["sqrt"])
def test_a_bar_that_is_not_linear_has_labels_in_its_lower_half(field, norm):
    heat = add_axes(field).sky_heatmap(*POINTS, kernel="20 arcmin", norm=norm)
    bar = heat.add_colorbar()
    heat.set_clim(0, 741)
    assert list(bar.get_ticks()) == [0, 20, 100, 200, 300, 500, 700]


def test_longitudes_on_the_map_have_a_halo():
    ax = add_axes("mollweide")
    ax.sky_heatmap([10.0, 200], [20.0, 30])
    assert all(label.get_path_effects() for label in ax.get_xticklabels())
    ax = add_axes("mollweide")
    ax.tick_params(axis="x", labelcolor="red")
    ax.sky_heatmap([10.0, 200], [20.0, 30])
    assert {label.get_color() for label in ax.get_xticklabels()} == {"red"}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"vmin": [1, 2]}, "vmin must be a finite number"),
        ({"vmin": True}, "vmin must be a finite number"),
        ({"vmin": 5, "vmax": 1}, "vmin must not be larger than vmax; got vmin=5, vmax=1"),
        ({"vmin": 0, "norm": "log"}, "vmin must be positive with norm='log'; got 0"),
    ],
)
def test_limits_that_are_none_are_refused(limits, message):
    ax = Figure().add_subplot()
    with pytest.raises(ValueError, match=message):
        ax.sky_heatmap([1.0, 2.0], [3.0, 4.0], **limits)
    assert not ax.images
