"""Live maps: values at the pixels of the screen and of prints, and what happens in between."""

import io
import pickle

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS
from astropy_healpix import HEALPix
from matplotlib.backend_bases import MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mpl_skyheat import (
    Annulus,
    Gaussian,
    Moffat,
    Randoms,
    SkyHeatmapWarning,
    TopHat,
    sky_map,
)
from mpl_skyheat.maps import live
from mpl_skyheat.maps.summing import summed

SIDE = 200


def wcs_of(code, size=10.0):
    wcs = WCS({"CTYPE1": f"RA---{code}", "CTYPE2": f"DEC--{code}"})
    width = size if code == "TAN" else 324.0
    wcs.wcs.cdelt, wcs.wcs.crpix = [-width / SIDE, width / SIDE], [0.5 * SIDE + 0.5] * 2
    wcs.wcs.crval = [40.0, 30.0] if code == "TAN" else [0.0, 0.0]
    wcs.pixel_shape = (SIDE, SIDE)
    return wcs


def points(code, number=3000):
    rng = np.random.default_rng(4)
    if code == "TAN":
        return rng.normal(40, 1.5, number), rng.normal(30, 1.5, number)
    return rng.uniform(0, 360, number), np.degrees(np.arcsin(rng.uniform(-1, 1, number)))


def axes(projection, dpi=50):
    figure = Figure(figsize=(4, 4), dpi=dpi)
    FigureCanvasAgg(figure)
    return figure.add_axes((0.1, 0.1, 0.8, 0.8), projection=projection)


def zoom(ax, factor, middle=None):
    """Show a part of what the Axes shows, around a place."""
    for number, name in enumerate("xy"):
        low, high = getattr(ax, f"get_{name}lim")()
        half = 0.5 * (high - low) / factor
        at = 0.5 * (low + high) if middle is None else middle[number]
        getattr(ax, f"set_{name}lim")(at - half, at + half)


def screen(heat):
    """The values on the screen, and x, y of its pixels' centres."""
    values, view = heat.live.read(*heat.shown())
    ny, nx = values.shape
    x = view.x_min + (np.arange(nx) + 0.5) / nx * (view.x_max - view.x_min)
    y = view.y_min + (np.arange(ny) + 0.5) / ny * (view.y_max - view.y_min)
    return values, *np.meshgrid(x, y)


def exact(wcs, x, y, lon, lat, kernel):
    """The brute-force sum of a kernel over points, per square degree."""
    here = SkyCoord(*wcs.wcs_pix2world(x, y, 0), unit="deg").cartesian.xyz.value
    there = SkyCoord(lon, lat, unit="deg").cartesian.xyz.value
    total = np.zeros(here.shape[1:])
    for point in there.T:
        distance = 2 * np.arcsin(np.minimum(0.5 * np.linalg.norm(here - point[:, None], axis=0), 1))
        total += np.where(distance <= kernel.reach, kernel.profile(distance), 0)
    return total / kernel.integral * np.radians(1) ** 2


@pytest.mark.parametrize(("code", "width"), [("TAN", 0.2), ("MOL", 6.0)])
@pytest.mark.parametrize("factor", [1, 10, 100])
@pytest.mark.parametrize("kind", [Gaussian, Moffat])
def test_drawn_values_are_those_of_the_exact_sum(code, width, factor, kind):
    wcs, kernel = wcs_of(code), kind(width * u.deg if kind is Gaussian else 2.35 * width * u.deg)
    lon, lat = points(code, 1000)
    ax = axes(wcs)
    heat = ax.sky_heatmap(lon, lat, kernel=kernel, live=True, unit="deg-2")
    zoom(ax, factor, (105.0, 98.0) if factor > 1 else None)
    ax.figure.canvas.draw()
    values, x, y = screen(heat)
    assert values.shape == (160, 160)
    some = np.s_[5::31, 5::31]
    expected = exact(wcs, x[some].ravel(), y[some].ravel(), lon, lat, kernel)
    found, largest = values[some].ravel(), np.nanmax(heat.sky_map.data)
    seen = np.isfinite(found)
    assert seen.sum() > 5
    np.testing.assert_allclose(found[seen], expected[seen], atol=5e-4 * largest)


@pytest.mark.parametrize("kernel", [TopHat("1 deg"), Gaussian("1 deg") - Gaussian("2 deg")])
def test_values_at_a_place_are_those_of_any_zoom(kernel):
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap(*points("TAN"), kernel=kernel, live=True)
    values = []
    for factor in (1, 3, 5):
        zoom(ax, factor, (100.0, 100.0))
        ax.figure.canvas.draw()
        shown, x, y = screen(heat)
        at = np.argmin(abs(x[0] - 101)), np.argmin(abs(y[:, 0] - 97))
        place = heat.sky_map.wcs.pixel_to_world(x[0, at[0]], y[at[1], 0])
        values.append((shown[at[::-1]], heat.value_at(place).value))
    largest = np.nanmax(np.abs(heat.sky_map.data))
    for drawn, told in values:
        assert drawn == pytest.approx(told, abs=5e-4 * largest)


@pytest.mark.parametrize("options", [
    {"weights": "w"}, {"values": "v"}, {"values": "v", "statistic": "std"},
    {"statistic": "significance", "background": Annulus("1.2 deg", "2 deg")},
    {"statistic": "lima", "background": Annulus("1.2 deg", "2 deg")},
    {"statistic": "excess", "background": Annulus("1.2 deg", "2 deg")},
    {"coverage": lambda coord: coord.dec.deg > 30}, {"min_count": 5},
    {"coverage": lambda coord: coord.dec.deg > 30, "values": "v", "min_count": 3},
], ids=["weights", "mean", "std", "Z", "lima", "excess", "coverage", "min", "all"])  # fmt: skip
def test_every_statistic_of_fields_is_that_of_a_map_with_the_pixels_of_the_screen(options):
    rng = np.random.default_rng(7)
    lon, lat = points("TAN")
    table = {
        "ra": lon,
        "dec": lat,
        "w": rng.uniform(1, 2, len(lon)),
        "v": rng.normal(size=len(lon)),
    }
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap(data=table, kernel="0.3 deg", live=True, **options)
    zoom(ax, 2)
    ax.figure.canvas.draw()
    values, x, y = screen(heat)
    step = x[0, 1] - x[0, 0]
    finer = wcs_of("TAN")
    finer.wcs.cdelt = np.array(finer.wcs.cdelt) * step
    finer.wcs.crpix = [(99.5 - x[0, 0]) / step + 1, (99.5 - y[0, 0]) / step + 1]
    made = sky_map(data=table, wcs=finer, shape=values.shape, kernel="0.3 deg",
                   geometry="sphere", unit=heat.sky_map.unit if "statistic" not in options
                   and "values" not in options else None, **options)  # fmt: skip
    expected = made.data
    if options.get("statistic") == "excess":
        expected = made.to(heat.sky_map.unit).data
    known = np.isfinite(values) & np.isfinite(expected)
    # (What was observed is told by the map's pixels, and masks are as coarse.)
    assert np.mean(np.isfinite(values) != np.isfinite(expected)) < 0.02
    assert known.mean() > 0.3
    spread = np.nanmax(np.abs(expected))
    assert np.quantile(np.abs(values - expected)[known], 0.99) < 2e-3 * spread


def test_without_a_kernel_bins_stay_and_are_shown_as_means():
    lon, lat = points("TAN", 20_000)
    ax = axes(wcs_of("TAN"), dpi=30)  # 96 px for 200 pixels
    heat = ax.sky_heatmap(lon, lat, live=True, unit="deg-2")
    ax.figure.canvas.draw()
    values, view = heat.live.read(*heat.shown())
    assert values.shape == (100, 100)
    counts, areas = heat.sky_map.counts, heat.sky_map.solid_angle.to_value("deg2")
    sums = [v.reshape(100, 2, 100, 2).sum(axis=(1, 3)) for v in (counts, areas)]
    np.testing.assert_allclose(values, sums[0] / sums[1], rtol=1e-12)
    assert view == pytest.approx((-0.5, 199.5, -0.5, 199.5))
    zoom(ax, 4)
    ax.figure.canvas.draw()
    values, view = heat.live.read(*heat.shown())
    rows, columns = (slice(round(a + 0.5), round(b + 0.5)) for a, b in (view[2:], view[:2]))
    np.testing.assert_array_equal(values, heat.sky_map.data[rows, columns])
    assert 50 <= values.shape[0] <= 52
    assert heat.value_at(SkyCoord(40, 30, unit="deg")) == heat.sky_map.value_at(
        SkyCoord(40, 30, unit="deg")
    )


@pytest.mark.parametrize("statistic", ["count", "sum", "mean", "std", "min", "max"])
def test_bins_of_every_statistic_merge(statistic):
    rng = np.random.default_rng(3)
    lon, lat = points("TAN", 20_000)
    options = {} if statistic == "count" else {"values": rng.normal(3, 1, len(lon))}
    options |= {"statistic": statistic}
    ax = axes(wcs_of("TAN"), dpi=30)
    heat = ax.sky_heatmap(lon, lat, live=True, **options)
    values, _ = heat.live.read(*heat.shown())
    ax.figure.canvas.draw()
    coarse = sky_map(lon, lat, wcs=wcs_of("TAN"), shape=(200, 200), bins=100, **options)
    np.testing.assert_allclose(values, coarse.data, rtol=1e-9)


@pytest.mark.parametrize("form", ["png", "pdf", "svg"])
@pytest.mark.parametrize("kernel", ["0.3 deg", None])
def test_a_print_is_read_at_its_own_pixels(form, kernel, monkeypatch):
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap(*points("TAN"), kernel=kernel, live=True)
    ax.figure.canvas.draw()
    before, limits = heat.get_array(), (ax.get_xlim(), ax.get_ylim())
    sizes, read = [], heat.live.read
    monkeypatch.setattr(
        heat.live, "read", lambda view, shape: sizes.append(shape) or read(view, shape)
    )
    ax.figure.savefig(io.BytesIO(), format=form, dpi=300)
    # Of a vector format, the canvas has 72 dots per inch.
    assert len(sizes) == 1
    assert all(abs(n - 960) <= 1 for n in sizes[0])
    assert heat.get_array() is before
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    ax.figure.canvas.draw()
    assert len(sizes) == 1


def test_a_draw_listens_to_nothing_and_asks_for_no_draw():
    ax = axes(wcs_of("TAN"))
    calls = []
    canvas = ax.figure.canvas
    canvas.draw_idle = lambda *_: calls.append(1)
    listeners = [dict(o.callbacks.callbacks) for o in (canvas, ax)]
    heat = ax.sky_heatmap(*points("TAN"), kernel="0.3 deg", live=True)
    assert [dict(o.callbacks.callbacks) for o in (canvas, ax)] == listeners
    numbers = []
    for _ in range(2):
        canvas.draw()
        zoom(ax, 3)
        stale = []
        ax.stale_callback = lambda *_, stale=stale: stale.append(1)
        canvas.draw()
        numbers.append(len(stale))
        ax.stale_callback = None
        if heat in ax.images:
            heat.remove()
    with_map, without = numbers
    assert with_map == without
    assert not calls


def test_colours_stay_until_asked_to_follow():
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap(*points("TAN"), kernel="0.3 deg", live=True, colorbar=True)
    limits = heat.get_clim()
    zoom(ax, 8, (100.0, 130.0))
    ax.figure.canvas.draw()
    assert heat.get_clim() == limits
    zoom(ax, 2)  # and not drawn
    heat.autoscale()
    assert heat.get_clim()[0] == 0
    assert heat.get_clim()[1] < 0.9 * limits[1]
    ax.figure.canvas.draw()
    assert heat.get_array().min() > 0
    assert heat.get_clim()[1] == pytest.approx(heat.get_array().max(), rel=0.01)
    assert heat.colorbar.vmax == heat.get_clim()[1]


def test_the_cursor_reads_the_function():
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap(*points("TAN"), kernel="0.3 deg", live=True, unit="deg-2")
    zoom(ax, 20)
    ax.figure.canvas.draw()
    for place in ((97.3, 101.2), (103.9, 96.4)):
        event = MouseEvent("motion_notify_event", ax.figure.canvas, *ax.transData.transform(place))
        assert heat.contains(event) == (True, {})
        place = ax.transData.inverted().transform((event.x, event.y))
        coord = heat.sky_map.wcs.pixel_to_world(*place)
        value = heat.get_cursor_data(event)
        assert value == pytest.approx(heat.value_at(coord).value, rel=1e-6)
        assert heat.format_cursor_data(value) == f"{value:.4g} 1 / deg2"
    event = MouseEvent("motion_notify_event", ax.figure.canvas, 1, 1)
    assert heat.contains(event) == (False, {})


def test_a_view_beyond_the_field_gets_a_new_one_but_from_a_stream():
    lon, lat = points("TAN")
    for source in ((lon, lat), (iter([(lon, lat)]),)):
        ax = axes(wcs_of("TAN"))
        zoom_first = 4
        ax.set_xlim(80, 120)
        ax.set_ylim(80, 120)
        heat = ax.sky_heatmap(*source, kernel="0.3 deg", live=True, unit="deg-2")
        zoom(ax, 1 / zoom_first)
        ax.figure.canvas.draw()
        values, x, y = screen(heat)
        inside = (abs(x - 100) < 19) & (abs(y - 100) < 19)
        assert np.isfinite(values[inside]).all()
        whole = sky_map(lon, lat, wcs=wcs_of("TAN"), shape=(SIDE, SIDE), kernel="0.3 deg",
                        geometry="sphere", unit="deg-2")  # fmt: skip
        at = wcs_of("TAN").pixel_to_world(x, y)
        expected = whole.value_at(at, interpolate=True).value
        known = np.isfinite(values) & np.isfinite(expected)
        np.testing.assert_allclose(values[known], expected[known], atol=0.02 * np.nanmax(expected))
        is_stream = len(source) == 1
        beyond = (abs(x - 100) > 21) | (abs(y - 100) > 21)
        assert np.isfinite(values[beyond]).any() != is_stream


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "mollweide",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("cartopy", "skyproj")),
    ],
)
def test_on_other_axes(name):
    lon, lat = points("TAN")
    figure = plt.figure(figsize=(4, 3), dpi=50)
    if name == "cartopy":
        crs = pytest.importorskip("cartopy.crs")
        ax = figure.add_subplot(projection=crs.Orthographic(-40, 30))
    elif name == "skyproj":
        ax = pytest.importorskip("skyproj").MollweideSkyproj(ax=plt.subplot()).ax
    else:
        ax = figure.add_subplot(**({} if name == "plain" else {"projection": name}))
    heat = ax.sky_heatmap(lon, lat, kernel="2 deg", live=True, unit="deg-2")
    figure.canvas.draw()
    values, view = heat.live.read(*heat.shown())
    peak = heat.value_at(40.0, 30.0).value
    assert np.nanmax(values) == pytest.approx(peak, rel=0.1)
    assert heat.sky_map.value_at(40.0, 30.0, interpolate=True).value == pytest.approx(
        peak, rel=0.01
    )
    if name in ("plain", "cartopy"):
        ax.set_xlim(np.array(ax.get_xlim()) * 0.5 + (20 if name == "plain" else 0))
        figure.canvas.draw()
        assert heat.shown()[0] != view
    plt.close("all")


def test_a_pickled_figure_keeps_the_map():
    ax = axes(None)
    figure = ax.figure
    heat = ax.sky_heatmap(*points("TAN"), kernel="0.3 deg", live=True)
    again = pickle.loads(pickle.dumps(figure)).axes[0].images[0]
    assert again.live is None
    np.testing.assert_array_equal(again.sky_map.data, heat.sky_map.data)
    again.axes.figure.canvas.draw()
    again.axes.figure.savefig(io.BytesIO())


def test_pixels_of_the_kernels_size():
    m = sky_map(*points("TAN"), wcs=wcs_of("TAN"), kernel="0.4 deg", pixel_size="auto")
    assert np.sqrt(m.solid_angle.max().to_value("deg2")) == pytest.approx(0.1, rel=0.01)
    m = sky_map(*points("TAN"), wcs=wcs_of("TAN"), kernel=TopHat("0.4 deg"), pixel_size="auto")
    assert np.sqrt(m.solid_angle.max().to_value("deg2")) == pytest.approx(0.05, rel=0.01)
    for kernel in (None, 2 * u.pix):
        with pytest.raises(ValueError, match=r"pixel_size='auto' follows the kernel, .* got"):
            sky_map(*points("TAN"), wcs=wcs_of("TAN"), kernel=kernel, pixel_size="auto")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kernel": 2 * u.pix}, r"kernel must be an angle with live=True"),
        ({"kernel": np.ones((3, 3))}, r"kernel must be an angle with live=True"),
        ({"kernel": "1 deg", "boundary": "fill"}, r"boundary must be 'sky' with live=True"),
        ({"kernel": "1 deg", "statistic": "count"}, r"statistic='count' is that of a pixel"),
        ({"kernel": "1 deg", "geometry": "plane"}, r"geometry must be 'sphere' or 'auto'"),
        ({"values": np.ones(3000), "statistic": "median"}, r"statistic must not be 'median'"),
        ({"values": np.ones(3000), "alpha": "density"}, r"number with live=True; got 'density'"),
        ({"alpha": np.ones((SIDE, SIDE))}, r"with live=True; got an array of shape \(200, 200\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(options, text):
    with pytest.raises(ValueError, match=text):
        axes(wcs_of("TAN")).sky_heatmap(*points("TAN"), live=True, **options)


def test_live_is_yes_or_no():
    with pytest.raises(TypeError, match="live must be True or False; got 'no'"):
        axes(wcs_of("TAN")).sky_heatmap(*points("TAN"), live="no")


def test_a_lattice_that_is_too_large_names_the_narrowest_kernel():
    with pytest.raises(ValueError, match=r"kernel must be at least 0\.2\d deg wide in so large"):
        axes(wcs_of("MOL")).sky_heatmap(*points("MOL"), kernel="0.1 deg", live=True)


def test_a_finished_map_is_not_live():
    sky = sky_map(*points("TAN"), wcs=wcs_of("TAN"), kernel="0.4 deg")
    with pytest.raises(TypeError, match="live must be left out with a map"):
        axes(wcs_of("TAN")).sky_heatmap(sky, live=True)


def test_randoms():
    rng = np.random.default_rng(1)
    lon, lat = points("TAN")
    randoms = Randoms(rng.uniform(33, 47, 40_000), rng.uniform(23, 37, 40_000),
                      density=40_000 / (14**2 * np.cos(np.radians(30))) / u.deg**2)  # fmt: skip
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap(lon, lat, kernel="0.5 deg", coverage=randoms, live=True, unit="deg-2")
    values, x, y = screen(heat)
    expected = heat.sky_map.value_at(heat.sky_map.wcs.pixel_to_world(x, y), interpolate=True).value
    known = np.isfinite(values) & np.isfinite(expected)
    assert known.mean() > 0.9
    np.testing.assert_allclose(values[known], expected[known], atol=0.01 * np.nanmax(expected))


def test_the_first_draw_needs_no_other_field(monkeypatch):
    # The edges of the Axes are between two device pixels.
    made = []
    monkeypatch.setattr(live, "summed", lambda *args: made.append(1) or summed(*args))
    figure = Figure(figsize=(5, 3), dpi=77)
    FigureCanvasAgg(figure)
    heat = figure.add_subplot(projection=wcs_of("TAN")).sky_heatmap(
        *points("TAN"), kernel="0.3 deg", live=True
    )
    figure.canvas.draw()
    view = heat.shown()[0]
    assert view.x_min < -0.5 - 1e-3 or view.y_min < -0.5 - 1e-3
    assert not made
    zoom(heat.axes, 1, (300.0, 100.0))
    figure.canvas.draw()
    assert made == [1]
    zoom(heat.axes, 1, (99.5, 99.5))
    figure.canvas.draw()
    assert made == [1]


def test_values_on_the_map_stay_when_the_view_leaves_it():
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap(*points("TAN"), kernel="0.3 deg", live=True)
    places = SkyCoord([40.0, 43.0], [30.0, 27.0], unit="deg")
    before = heat.value_at(places)
    zoom(ax, 1, (400.0, 100.0))
    ax.figure.canvas.draw()
    np.testing.assert_array_equal(heat.value_at(places), before)
    beyond = heat.sky_map.wcs.pixel_to_world(400.0, 100.0)
    assert np.isfinite(heat.live.at(np.array([400.0]), np.array([100.0]))).all()
    assert np.isnan(heat.sky_map.value_at(beyond))


def test_rows_that_were_skipped_are_read_for_a_view_that_needs_them(tmp_path):
    # The lattice of a strip from pole to pole is the whole sphere.
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(0, 360, 4000), np.degrees(np.arcsin(rng.uniform(-1, 1, 4000)))
    cells = HEALPix(4, order="nested").lonlat_to_healpix(lon * u.deg, lat * u.deg)
    order = np.argsort(cells)
    table = Table({"ra": lon[order], "dec": lat[order]})
    arrow = pytest.importorskip("pyarrow").table({n: np.asarray(table[n]) for n in table.colnames})
    pytest.importorskip("pyarrow.parquet").write_table(
        arrow, tmp_path / "sky.parquet", row_group_size=20
    )
    wcs = WCS({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRVAL1": 180.0, "CRPIX1": 90.5,
               "CRPIX2": 45.5, "CDELT1": -2.0, "CDELT2": 2.0})  # fmt: skip
    wcs.pixel_shape = (180, 90)
    drawn = []
    for given in ({"data": tmp_path / "sky.parquet"}, {"data": table}):
        ax = axes(wcs)
        ax.set_xlim(85, 95)
        ax.set_ylim(0, 89)
        heat = ax.sky_heatmap(**given, kernel="2 deg", live=True)
        ax.figure.canvas.draw()
        assert (heat.sky_map.meta["skipped"] > 500) == (given["data"] is not table)
        ax.set_xlim(-0.5, 179.5)
        ax.figure.canvas.draw()
        drawn.append(heat.get_array().filled(np.nan))
    np.testing.assert_allclose(*drawn, atol=1e-3 * np.nanmax(drawn))


@pytest.mark.parametrize("factor", [0.5, 3.7, 40.0])
def test_the_cursor_reads_the_bins_that_are_shown(factor):
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap(*points("TAN"), live=True, unit="deg-2")
    zoom(ax, factor, (101.0, 98.0))
    ax.figure.canvas.draw()
    values, view = heat.live.read(*heat.shown())
    ny, nx = values.shape
    for x, y in ((101.2, 97.9), (102.6, 98.8), (99.0, 96.3)):
        event = MouseEvent("motion_notify_event", ax.figure.canvas, *ax.transData.transform((x, y)))
        x, y = ax.transData.inverted().transform((event.x, event.y))
        column = int((x - view.x_min) / (view.x_max - view.x_min) * nx)
        row = int((y - view.y_min) / (view.y_max - view.y_min) * ny)
        assert heat.get_cursor_data(event) == values[row, column]


def test_a_figure_pickled_after_a_zoom_has_the_whole_map():
    ax = axes(None)
    heat = ax.sky_heatmap(*points("TAN"), kernel="0.3 deg", live=True)
    whole = heat.get_array().copy()
    zoom(ax, 8)
    ax.figure.canvas.draw()
    assert heat.get_array().shape != whole.shape
    again = pickle.loads(pickle.dumps(ax.figure)).axes[0].images[0]
    np.testing.assert_array_equal(again.get_array(), whole)
    assert again.get_extent() == heat.get_extent()


def test_subfigures_are_read_at_their_own_pixels():
    figure = Figure(figsize=(8, 4), dpi=50)
    FigureCanvasAgg(figure)
    ax = figure.subfigures(1, 2)[1].add_axes((0.1, 0.1, 0.8, 0.8), projection=wcs_of("TAN"))
    heat = ax.sky_heatmap(*points("TAN"), kernel="0.3 deg", live=True)
    zoom(ax, 5)
    figure.canvas.draw()
    assert heat.get_array().shape == (160, 160)
    assert heat.shown()[0] == pytest.approx((*ax.get_xlim(), *ax.get_ylim()))


def test_colours_of_a_view_without_any_value_can_be_drawn():
    ax = axes(wcs_of("TAN"))
    heat = ax.sky_heatmap([40.0], [30.0], kernel="0.1 deg", norm="log", live=True, colorbar=True)
    zoom(ax, 20, (20.0, 20.0))
    ax.figure.canvas.draw()
    with pytest.warns(SkyHeatmapWarning, match="norm='log' has no positive value to scale"):
        heat.autoscale()
    assert heat.get_clim() == (0.1, 1.0)
    ax.figure.canvas.draw()


def test_corner_marks_can_be_read_on_what_the_screen_shows():
    # Dark on the left, light on the right; the screen has other pixels than the map.
    ax = axes(wcs_of("TAN"))
    lon, lat = (v.ravel() for v in np.meshgrid(np.linspace(33, 39, 60), np.linspace(23, 37, 140)))
    heat = ax.sky_heatmap(lon, lat, kernel="0.5 deg", cmap="gray", live=True)
    left, right = (heat.add_kernel(f"bottom {side}") for side in ("left", "right"))
    for limits, color in (((0, 140), (0, 0, 0, 1)), ((-60, 80), (1, 1, 1, 1))):
        ax.set_xlim(limits)
        ax.figure.canvas.draw()
        assert left.circle.get_edgecolor() == (1, 1, 1, 1)
        assert right.circle.get_edgecolor() == color


@pytest.mark.skipif(
    tuple(map(int, mpl.__version__.split(".")[:2])) < (3, 9),
    reason="matplotlib before 3.9 may draw images a device pixel aside",
)
@pytest.mark.parametrize("side", [0.7, 0.8])
def test_what_is_masked_hides_no_pixel_beside_it(side):
    figure = Figure(figsize=(3.37, 3.11), dpi=57)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0.13, 0.11, 0.77, side), projection=wcs_of("SIN"))
    for coord in ax.coords:
        coord.set_ticks_visible(False)
        coord.set_ticklabel_visible(False)
    heat = ax.sky_heatmap(*points("MOL"), kernel="30 deg", live=True, cmap="gray", vmin=0)
    zoom(ax, 0.2)
    figure.canvas.draw()
    values = heat.get_array()
    (row, column), (x, y) = np.nonzero(~np.ma.getmaskarray(values)), ax.bbox.min
    assert 50 < len(row) < 0.1 * values.size
    picture = np.asarray(figure.canvas.buffer_rgba())[::-1]
    drawn = picture[row + int(np.floor(y)), column + int(np.floor(x)), 0]
    expected = 255 * heat.norm(values[row, column])
    np.testing.assert_allclose(drawn, expected, atol=2)
