"""A line on the sky is where astropy has its places, and ends where the map is cut."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from helpers import make_wcs
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from test_axes_kinds import KINDS

from mpl_skyheat import sky_heatmap, sky_line, subplot

PLANE = SkyCoord(l=np.arange(0, 361, 60), b=0, unit="deg", frame="galactic")
ALL_SKY = {code: make_wcs(code, shape=(360, 180), center=(40.0, 0.0), cdelt=(-0.9, 0.9))
           for code in ("AIT", "MOL", "CAR", "HPX")}  # fmt: skip
ALL_SKY["CAR"].wcs.cdelt = [-1.0, 1.0]
ALL_SKY["HPX"].wcs.cdelt = [-1.0, 1.0]


def axes_of(wcs, **kwargs):
    return Figure(figsize=(6, 4)).add_subplot(projection=wcs, **kwargs)


def parts_of(line):
    """Return the parts of a line, as places in its own coordinates."""
    places = np.transpose(line.get_data())
    breaks = np.flatnonzero(np.isnan(places[:, 0]))
    return [part for part in (p[~np.isnan(p[:, 0])] for p in np.split(places, breaks)) if len(part)]


def longest_step(line):
    return max(np.hypot(*np.diff(part, axis=0).T).max() for part in parts_of(line) if len(part) > 1)


@pytest.mark.parametrize("code", ALL_SKY)
def test_a_line_follows_its_great_circle_and_is_cut_at_the_seam(code):
    wcs = ALL_SKY[code]
    ax = axes_of(wcs)
    line = sky_line(ax, PLANE)
    x, y = np.concatenate(parts_of(line)).T
    where = wcs.pixel_to_world(x, y).galactic
    assert np.abs(where.b.deg).max() < 1e-5
    # All of it: no gap is wider than what places are apart.
    lon = np.sort(where.l.deg)
    assert np.diff(lon, append=lon[0] + 360).max() < 1.2
    # Nothing is drawn across the map, and the ends are at its edge.
    diagonal = np.hypot(*wcs.pixel_shape)
    assert longest_step(line) <= 1.01 * diagonal / 200
    ends = np.concatenate([part[[0, -1]] for part in parts_of(line)])
    ra = wcs.pixel_to_world(*ends.T).icrs.ra.deg
    is_start = np.hypot(*(ends - np.transpose(wcs.world_to_pixel(PLANE[0]))).T) < 1e-3
    assert 0 < is_start.sum() <= 2
    if code != "HPX":
        np.testing.assert_allclose((ra[~is_start] - 220 + 180) % 360 - 180, 0, atol=1e-4)
    assert len(parts_of(line)) >= 2


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"aitoff", "hammer"}))
def test_a_line_is_where_markers_are_on_every_kind_of_axes(kind):
    ax, mark = KINDS[kind]()
    if kind == "plain":
        ax.set(xlim=(360, 0), ylim=(-90, 90))
    limits = [*ax.get_xlim(), *ax.get_ylim()]
    line = sky_line(ax, SkyCoord([20, 60, 60], [10, 10, 45], unit="deg"), marker="s", color="r")
    assert [*ax.get_xlim(), *ax.get_ylim()] == limits
    ax.apply_aspect()
    drawn = line.get_transform().transform(np.transpose(line.get_data()))
    for k, (lon, lat) in zip(line.get_markevery(), [(20, 10), (60, 10), (60, 45)], strict=True):
        marker = mark(lon, lat)
        if hasattr(marker, "get_offset_transform"):
            place = marker.get_offset_transform().transform(marker.get_offsets())[0]
        else:
            place = marker.get_transform().transform(np.transpose(marker.get_data(orig=False)))[0]
        ax.set(xlim=limits[:2], ylim=limits[2:]) if kind == "plain" else None
        np.testing.assert_allclose(drawn[k], place, atol=0.3)
    assert np.hypot(*np.diff(drawn, axis=0).T).max() < 0.01 * np.hypot(*ax.bbox.size)


def test_a_line_between_two_places_is_the_great_circle():
    wcs = ALL_SKY["CAR"]
    ends = SkyCoord([0, 90], [60, 60], unit="deg")
    x, y, = sky_line(axes_of(wcs), ends).get_data()  # fmt: skip
    where = wcs.pixel_to_world(x, y)
    angle = ends[0].position_angle(ends[1])
    apart = ends[0].separation(where)
    on_circle = ends[0].directional_offset_by(angle, apart)
    assert where.separation(on_circle).deg.max() < 1e-5
    assert where.dec.deg.max() == pytest.approx(67.79, abs=0.01)  # tan δ = tan 60° / cos 45°


def test_a_line_across_a_small_field():
    center = SkyCoord(l=30, b=0, unit="deg", frame="galactic").icrs
    wcs = make_wcs(shape=(60, 40), center=(center.ra.deg, center.dec.deg), cdelt=(-3e-4, 3e-4))
    x, y = sky_line(axes_of(wcs), PLANE).get_data()
    inside = (np.abs(x - 29.5) < 30) & (np.abs(y - 19.5) < 20)
    assert 50 < inside.sum() < 400
    assert len(x) < 3000
    where = wcs.pixel_to_world(x[inside], y[inside]).galactic
    assert np.abs(where.b.arcsec).max() < 1e-3


def test_one_line_has_one_label_and_one_colour_of_the_cycle():
    ax = axes_of(ALL_SKY["MOL"])
    first = sky_line(ax, PLANE, label="plane")
    second = sky_line(ax, PLANE, lw=3)
    assert isinstance(first, Line2D)
    cycle = rcParams["axes.prop_cycle"].by_key()["color"]
    assert [first.get_color(), second.get_color()] == cycle[:2]
    assert ax.get_legend_handles_labels() == ([first], ["plane"])
    assert first in ax.lines
    assert second.get_linewidth() == 3
    first.remove()
    assert first not in ax.lines


@pytest.mark.parametrize("what", ["WCSAxes", "untouched WCSAxes", "plain", "untouched plain"])
def test_limits_stay(what):
    if "WCSAxes" in what:
        ax = axes_of(make_wcs())
        plot = {"transform": ax.get_transform("icrs")}
    else:
        ax, plot = Figure().add_subplot(), {}
    if "untouched" not in what:
        sky_heatmap(ax, [83.0, 83.4], [-5.0, -4.8])
    before = ax.get_xlim(), ax.get_ylim()
    sky_line(ax, PLANE)
    ax.figure.draw_without_rendering()
    assert (ax.get_xlim(), ax.get_ylim()) == before
    if what == "WCSAxes":
        ax.scatter(83.2, -4.9, **plot)
        ax.figure.draw_without_rendering()
        assert (ax.get_xlim(), ax.get_ylim()) == before


def test_a_map_drawn_after_the_line_has_its_limits():
    ax = axes_of(make_wcs())
    sky_line(ax, PLANE)
    sky_heatmap(ax, [83.0, 83.4], [-5.0, -4.8])
    assert ax.get_xlim() == (-0.5, 29.5)


def test_the_frame_of_axes_without_one_is_that_of_the_map():
    places = {}
    for frame in ("galactic", "icrs", None):
        ax = Figure().add_subplot(projection="hammer")
        if frame:
            sky_heatmap(ax, SkyCoord([10.0, 50.0], [5.0, 40.0], unit="deg"), frame=frame)
        line = sky_line(ax, PLANE[1:3], markevery=5)
        assert line.get_markevery() == 5
        places[frame] = line.get_data()
    np.testing.assert_allclose(places["galactic"][1], 0, atol=1e-9)
    np.testing.assert_array_equal(places["icrs"], places[None])
    assert np.ptp(places["icrs"][1]) > 10


def test_a_line_and_a_map_agree_on_the_middle_of_geographic_axes():
    ax = Figure().add_subplot(projection="hammer")
    sky_heatmap(ax, [10.0, 50.0], [5.0, 40.0], center=180)
    line = sky_line(ax, SkyCoord([180, 190], [0, 0], unit="deg"))
    assert line.get_data()[0][0] == pytest.approx(0, abs=1e-9)
    ax = Figure().add_subplot(projection="hammer")
    sky_line(ax, PLANE)
    with pytest.raises(ValueError, match="center must be that of the map on the Axes, 0 deg"):
        sky_heatmap(ax, [10.0, 50.0], [5.0, 40.0], center=180)


def test_positions_that_are_not_finite_interrupt_a_line():
    lon = np.array([0, 20, np.nan, 40, 60])
    wcs = ALL_SKY["AIT"]
    line = sky_line(axes_of(wcs), SkyCoord(lon, 0 * lon, unit="deg"))
    found = [wcs.pixel_to_world(*part.T).ra.deg for part in parts_of(line)]
    assert [(min(ra) % 360, max(ra)) for ra in found] == [
        pytest.approx((0, 20), abs=1e-6), pytest.approx((40, 60), abs=1e-6),
    ]  # fmt: skip


def test_what_is_behind_a_projection_is_not_drawn():
    wcs = make_wcs("SIN", shape=(120, 120), center=(0.0, 0.0), cdelt=(-1.0, 1.0))
    equator = SkyCoord(np.arange(0, 361, 40), 0, unit="deg")
    line = sky_line(axes_of(wcs), equator)
    x = np.concatenate(parts_of(line))[:, 0] - 59.5
    assert np.abs(x).max() == pytest.approx(np.degrees(1), rel=1e-6)
    assert longest_step(line) < 1
    assert sky_line(axes_of(wcs), equator[3:6]).get_markevery() is not None


def test_lines_in_the_frames_of_rims_are_clipped():
    ax = axes_of(ALL_SKY["MOL"], frame_class=EllipticalFrame)
    assert sky_line(ax, PLANE).get_clip_path() is not None
    ax = KINDS["skyproj Laea"]()[0]
    assert sky_line(ax, PLANE).get_clip_path() is not None


def test_subplots_take_lines(tmp_path):
    ax = subplot(center="3h47m +24d", radius="2 deg", figure=Figure())
    line = sky_line(ax, SkyCoord([55, 59], [23, 25], unit="deg"), color="r")
    ax.figure.savefig(tmp_path / "line.png", dpi=40)
    assert len(parts_of(line)) == 1


@pytest.mark.parametrize(
    ("coords", "error", "text"),
    [
        ((10, 20), TypeError, r"coords must be a SkyCoord of the positions .*; got \(10, 20\)"),
        (PLANE[0], ValueError, r"two positions or more, of shape \(n,\); got the shape \(\)"),
        (PLANE[:1], ValueError, r"got the shape \(1,\)"),
        (PLANE[:6].reshape(2, 3), ValueError, r"got the shape \(2, 3\)"),
        (PLANE[::3], ValueError, "coords must have no two neighbours that are 180 deg apart"),
    ],
)
def test_what_is_no_line_is_refused(coords, error, text):
    ax = axes_of(make_wcs())
    with pytest.raises(error, match=text):
        sky_line(ax, coords)
    assert not ax.lines


def test_axes_without_a_sky_are_refused():
    with pytest.raises(TypeError, match="ax must be an Axes"):
        sky_line(PLANE, PLANE)
    flat = Figure().add_subplot()
    sky_heatmap(flat, [0, 1], [0, 1], frame="flat", bins=2)
    with pytest.raises(TypeError, match=r"ax must show the sky .* Cartesian x, y"):
        sky_line(flat, PLANE)
    with pytest.raises(TypeError, match="sky_heatmap draws on"):
        sky_line(Figure().add_subplot(projection="polar"), PLANE)
    with pytest.raises(TypeError, match="transform must be left out"):
        sky_line(axes_of(make_wcs()), PLANE, transform=1)


def test_positions_with_a_distance_are_those_of_astropy():
    near = SkyCoord([10, 40] * u.deg, [0, 10] * u.deg, [1, 1] * u.kpc, frame="galactic")
    wcs = ALL_SKY["AIT"]
    line = sky_line(axes_of(wcs), near)
    k = line.get_markevery()[-1]
    assert wcs.pixel_to_world(*np.transpose(line.get_data())[k]).separation(near[1]).deg < 1e-6
