"""`subplot` gives Axes that fit a catalogue, for those who have none."""

import inspect
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.visualization.wcsaxes import WCSAxes
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from astropy.wcs.utils import wcs_to_celestial_frame
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from mpl_skyheat import sky_map, subplot
from mpl_skyheat.datasets import bright_stars
from mpl_skyheat.plotting.regions import WIDEST_WITHIN
from mpl_skyheat.plotting.subplots import FIELD_SIZE

PLACES = {"0h": (0.02, 5.0), "pole": (40.0, 89.9), "south": (310.0, -62.0)}


@pytest.fixture(autouse=True)
def no_figures():
    plt.close("all")
    yield
    plt.close("all")


def field(lon, lat, radius=1.0, frame="icrs"):
    """Return points that fill a circle evenly."""
    rng = np.random.default_rng(4)
    center = SkyCoord(lon, lat, unit="deg", frame=frame)
    return center.directional_offset_by(
        rng.uniform(0, 360, 500) * u.deg, radius * np.sqrt(rng.random(500)) * u.deg
    )


def sky(lon_from=0, lon_to=360):
    rng = np.random.default_rng(5)
    lon = rng.uniform(lon_from, lon_to, 800) % 360
    return lon, np.degrees(np.arcsin(rng.uniform(-0.9, 0.9, 800)))


def longitudes_labelled(ax):
    """Return the labels that longitudes have at each side of a frame, and which sides show them."""
    lon = ax.coords[0]
    labels = lon._ticklabels if hasattr(lon, "_ticklabels") else lon.ticklabels  # astropy 6
    return labels.text, set(labels.get_visible_axes())


@pytest.mark.parametrize("place", PLACES)
def test_a_field_fits_its_points(place):
    points = field(*PLACES[place])
    ax = subplot(points)
    assert isinstance(ax, WCSAxes)
    assert list(ax.wcs.wcs.ctype) == ["RA---TAN", "DEC--TAN"]
    nx, ny = ax.wcs.pixel_shape
    x, y = ax.wcs.world_to_pixel(points)
    assert min(x.min(), y.min()) > -0.5
    assert max(x.max() - nx, y.max() - ny) < -0.5
    # Without much left over.
    assert np.ptp(x) > 0.9 * nx
    assert np.ptp(y) > 0.9 * ny
    heat = ax.sky_heatmap(points, kernel="6 arcmin")
    assert heat.sky_map.meta["inside"] == 500


@pytest.mark.parametrize("code", ["AIT", "MOL", "CAR", "HPX", "SFL", "ZEA", "ARC"])
def test_a_catalogue_that_is_everywhere_is_shown_all_sky(code):
    ax = subplot(*sky(), projection=code.lower())
    assert ax.wcs.wcs.ctype[0] == f"RA---{code}"
    area = sky_map(*sky(), wcs=ax.wcs).solid_angle.sum()
    assert area.to_value(u.sr) == pytest.approx(4 * np.pi, rel=2e-3)


@pytest.mark.parametrize("code", ["AIT", "MOL", "HPX", "SFL", "ZEA", "ARC"])
def test_the_frame_of_the_whole_sky_is_its_outline(code):
    ax = subplot(*sky(), projection=code, map_frame="galactic", center=(40, 0))
    assert isinstance(ax.coords.frame, EllipticalFrame)
    ax.sky_heatmap(*sky(), bins=10)
    ax.coords.frame.update_spines()
    middle = np.array([np.mean(ax.get_xlim()), np.mean(ax.get_ylim())])
    outline = ax.coords.frame["c"].data - middle
    if code == "HPX":  # up and down its teeth, not along its sides
        outline = outline[np.abs(outline[:, 0]) < 0.999 * outline[:, 0].max()]
    for scale, is_sky in ((0.99, True), (1.01, False)):
        places = middle + outline * ((1, scale) if code == "HPX" else scale)
        x, y = ax.wcs.world_to_pixel_values(*ax.wcs.pixel_to_world_values(*places.T))
        back = np.hypot(*(np.array([x, y]).T - places).T) < 1e-3
        assert (back == is_sky).mean() > 0.97  # but at the tips


def test_half_of_the_sky_has_a_round_frame():
    ax = subplot(center=(10, 20), radius="90 deg", projection="SIN")
    assert isinstance(ax.coords.frame, EllipticalFrame)
    heat = ax.sky_heatmap(*sky(), kernel="5 deg", norm="sqrt")
    assert heat.sky_map.solid_angle.value.sum() == pytest.approx(2 * np.pi, rel=2e-4)
    assert isinstance(heat.norm, PowerNorm)


@pytest.mark.parametrize("code", ["AIT", "MOL", "SFL", "HPX", "CAR", "CEA", "ZEA", "ARC", "SIN"])
def test_a_field_has_no_corners_without_sky(code):
    widest = WIDEST_WITHIN[code]
    ax = subplot(center=(10, 0), radius=widest * u.deg, projection=code)
    nx, ny = ax.wcs.pixel_shape
    x, y = np.array([0, nx - 1, 0, nx - 1]), np.array([0, 0, ny - 1, ny - 1])
    assert np.isfinite(ax.wcs.pixel_to_world_values(x, y)).all() or code == "SIN"
    assert not isinstance(ax.coords.frame, EllipticalFrame)
    ax.figure.draw_without_rendering()
    wider = subplot(center=(10, 0), radius=(widest + 0.1) * u.deg, projection=code)
    if code in ("ZEA", "ARC"):
        assert_ends_at(wider, SkyCoord(10, 0, unit="deg"), widest + 0.1)
        return
    # A wider field shows all of the sky, or all that the projection has.
    sky_map = wider.sky_heatmap(*sky())
    shown = sky_map.sky_map.solid_angle.sum().to_value(u.sr)
    assert shown == pytest.approx((2 if code == "SIN" else 4) * np.pi, rel=2e-3)
    assert isinstance(wider.coords.frame, EllipticalFrame) == (code not in ("CAR", "CEA"))


def assert_ends_at(ax, center, radius):
    """That the outline of a round field is as far (deg) from its centre as asked for."""
    assert isinstance(ax.coords.frame, EllipticalFrame)
    ax.coords.frame.update_spines()
    outline = ax.wcs.pixel_to_world(*ax.coords.frame["c"].data.T)
    assert outline.separation(center).deg == pytest.approx(radius, abs=0.01)


@pytest.mark.parametrize(("code", "radius"), [("ZEA", 100), ("ZEA", 150), ("ARC", 130)])
@pytest.mark.parametrize("center", [(10, -30), (0, 90)])
def test_a_wide_cap_is_round(code, radius, center):
    ax = subplot(*sky(), center=center, radius=radius * u.deg, projection=code)
    assert_ends_at(ax, SkyCoord(*center, unit="deg"), radius)
    sky_map = ax.sky_heatmap(*sky(), kernel="5 deg").sky_map
    near = SkyCoord(*sky(), unit="deg").separation(SkyCoord(*center, unit="deg")).deg < radius
    assert sky_map.counts.sum() >= near.sum()
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize("code", ["MOL", "AIT", "HPX", "SFL"])
def test_latitudes_are_labelled_on_one_side(code):
    ax = subplot(projection=code, radius=180 * u.deg)
    ax.figure.draw_without_rendering()
    left, right = ax.get_window_extent().intervalx
    drawn = ax.get_tightbbox(ax.figure.canvas.get_renderer())
    assert drawn.x0 < left - 10
    assert drawn.x1 < right + 2


@pytest.mark.parametrize("code", ["TAN", "STG"])
def test_a_wide_field_around_a_pole_has_the_frame_of_a_field(code):
    ax = subplot(center=(100, 60), radius=(75 if code == "TAN" else 120) * u.deg, projection=code)
    assert type(ax.coords.frame).__name__ == "PolarFrame"


def test_a_centre_alone_is_no_field():
    with pytest.raises(TypeError, match="radius must be given with a center where there are no"):
        subplot(center=(10, 20))
    for radius in (None, "3 deg"):
        with pytest.raises(TypeError, match="points must be given, as in sky_heatmap, or what"):
            subplot(projection="MOL", radius=radius)


def test_a_radius_alone_is_around_the_points():
    rng = np.random.default_rng(1)
    lon, lat = (np.append(rng.normal(c, 1, 1000), far) for c, far in ((56, 200), (24, -30)))
    center = subplot(lon, lat, radius="3 deg").wcs.wcs.crval
    np.testing.assert_allclose(center, (56, 24), atol=0.2)
    half = subplot(*(v[sky()[1] < 0] for v in sky()), projection="ZEA", radius="85 deg")
    assert half.wcs.wcs.crval[1] < -80


def test_all_of_the_sky_needs_no_points():
    ax = subplot(projection="AIT", radius=180 * u.deg, map_frame="galactic")
    assert isinstance(ax.coords.frame, EllipticalFrame)
    # A SIN shows the half of it around a centre.
    for points in ((), sky()):
        radius = {} if points else {"radius": "90 deg"}
        half = subplot(*points, projection="SIN", center="0h -90d", **radius)
        assert half.sky_heatmap(*sky()).sky_map.solid_angle.value.sum() == pytest.approx(
            2 * np.pi, rel=2e-3
        )


@pytest.mark.parametrize("code", ["AIT", "MOL", "HPX", "SFL", "ZEA", "ARC"])
def test_the_whole_sky_has_its_longitudes_along_the_equator(code):
    ax = subplot(*sky(), projection=code)
    ax.sky_heatmap(*sky(), bins=10)
    ax.figure.canvas.draw()
    pixels = np.asarray(ax.figure.canvas.buffer_rgba())[::-1, :, :3]
    is_white = (pixels > 180).all(axis=-1)
    box = ax.get_window_extent()
    middle_x, middle_y = int(box.x0 + box.width / 2), int(box.y0 + box.height / 2)
    half = int(0.4 * box.width)
    below = is_white[middle_y - 20 : middle_y - 1, middle_x - half : middle_x + half]
    assert below.sum() > 50
    # The rim of zenithal maps is one point: parallels have labels where they cross the middle.
    upper = is_white[middle_y + 5 : middle_y + int(0.2 * box.height), middle_x - 30 : middle_x + 30]
    assert (upper.sum() > 20) == (code in ("ZEA", "ARC"))


@pytest.mark.parametrize("code", ["AIT", "MOL", "HPX", "SFL", "ZEA", "ARC"])
def test_a_part_of_the_sky_has_a_rectangular_frame(code):
    ax = subplot(center=(40, 10), radius="20 deg", projection=code)
    assert not isinstance(ax.coords.frame, EllipticalFrame)


@pytest.mark.parametrize(
    ("points", "middle"),
    [(sky(), 0), (sky(80, 280), 180), (sky(-60, 95), 15), (sky(0, 340), 0)],
    ids=["everywhere", "80 to 280", "300 to 95", "a narrow gap"],
)
def test_the_sky_is_cut_open_where_there_are_no_points(points, middle):
    assert subplot(*points, projection="MOL").wcs.wcs.crval[0] == pytest.approx(middle)
    assert subplot(*points, center=(33, 0)).wcs.wcs.crval[0] == 33


def test_the_axes_are_in_the_frame_of_the_points_or_that_asked_for():
    points = field(*PLACES["0h"])
    galactic = points.galactic
    for ax, name in [
        (subplot(points), "icrs"),
        (subplot(galactic), "galactic"),
        (subplot(points, frame="galactic"), "galactic"),
        (subplot(galactic.l, galactic.b, frame="galactic"), "galactic"),
        (subplot(galactic.l, galactic.b, frame="galactic", map_frame="fk5"), "fk5"),
        (subplot(points, map_frame="barycentricmeanecliptic"), "ELON"),  # unknown to astropy
        (subplot(points, map_frame="supergalactic"), "SLON"),  # unknown to astropy, too
        (subplot(points.transform_to("supergalactic")), "SLON"),
    ]:
        assert name in (ax.wcs.pixel_to_world(0, 0).frame.name, ax.wcs.wcs.ctype[0][:4])
        assert ax.sky_heatmap(points).sky_map.meta["inside"] == 500


def test_supergalactic_axes_have_degrees():
    ax = subplot(field(*PLACES["0h"]), map_frame="supergalactic")
    assert [coord.coord_type for coord in ax.coords] == ["longitude", "latitude"]


def test_a_frame_that_fits_has_not_is_named():
    points = field(*PLACES["0h"])
    with pytest.warns(AstropyUserWarning, match=r"the Axes show ICRS, .* 'skyoffseticrs' of the p"):
        ax = subplot(points.transform_to(points[0].skyoffset_frame()))
    assert wcs_to_celestial_frame(ax.wcs).name == "icrs"
    assert ax.sky_heatmap(points).sky_map.meta["inside"] == 500


@pytest.mark.parametrize("place", [(0, -90), (0.01, 20), (200, 60)], ids=str)
@pytest.mark.parametrize("radius", [1e-4, 1, 29.9])
def test_the_centre_is_that_of_the_smallest_circle(place, radius):
    # Far more points on one side of the circle: the centre follows the extent.
    rng = np.random.default_rng(6)
    middle = SkyCoord(*place, unit="deg")
    angle = np.append(rng.uniform(0, 360, 50), rng.uniform(0, 20, 500))
    fraction = np.append(np.ones(50), rng.random(500))
    points = middle.directional_offset_by(angle * u.deg, fraction * radius * u.deg)
    # Two opposite positions on the rim fix the circle.
    ends = middle.directional_offset_by([90, 270] * u.deg, radius * u.deg)
    ra, dec = (np.append(getattr(points, c).deg, getattr(ends, c).deg) for c in ("ra", "dec"))
    found = SkyCoord(*subplot(ra, dec).wcs.wcs.crval, unit="deg")
    assert found.separation(middle).deg < 1e-6 * radius


def test_an_error_leaves_no_figure():
    with pytest.raises(ValueError, match="position must be as in"):
        subplot(*sky(), position=999999)
    assert not plt.get_fignums()


def test_a_cap_is_centred_on_its_pole():
    stars = bright_stars()
    south = stars[stars["DEC"] < -60]
    assert subplot(data=south).wcs.wcs.crval[1] < -89.5


@pytest.mark.parametrize(
    "center", [SkyCoord(56.75, 24.12, unit="deg").galactic, (56.75, 24.12), "3h47m +24d07m12s"]
)
def test_centre_and_radius_can_be_chosen(center):
    ax = subplot(*sky(), center=center, radius=2 * u.deg, pixel_size="1 arcmin")
    assert ax.wcs.pixel_shape == (241, 241)  # a tangent is longer than its angle
    assert SkyCoord(*ax.wcs.wcs.crval, unit="deg").separation(
        SkyCoord(56.75, 24.12, unit="deg")
    ) < (1 * u.arcsec)
    assert ax.wcs.wcs.cdelt == pytest.approx([-1 / 60, 1 / 60])
    assert subplot(*sky(), radius=180 * u.deg).wcs.wcs.ctype[0] == "RA---MOL"


def test_no_points_are_needed_with_a_centre_and_a_radius():
    ax = subplot(center=(10, 20), radius="1 deg")
    assert tuple(ax.wcs.wcs.crval) == (10, 20)
    ax = subplot([], [], center=(10, 20), radius="1 deg")
    assert tuple(ax.wcs.wcs.crval) == (10, 20)
    with pytest.raises(ValueError, match="no row with a position: points must have one"):
        subplot([], [])


def test_a_table_is_read_as_sky_heatmap_reads_it():
    points = field(*PLACES["south"])
    table = Table({"RAJ2000": points.ra.deg, "DEJ2000": points.dec.deg})
    own, named = subplot(data=table), subplot("RAJ2000", "DEJ2000", data=table)
    assert own.wcs.wcs.compare(named.wcs.wcs)


def test_three_lines_are_enough():
    points = sky()
    ax = subplot(*points, projection="AIT")
    ax.sky_heatmap(*points, kernel="5 deg", colorbar="bottom")
    assert ax.figure is plt.gcf()  # that plt.show() shows
    assert plt.gca() is ax
    ax.figure.draw_without_rendering()


def test_the_axes_go_where_they_are_wanted():
    figure = Figure()
    first = subplot(*sky(), figure=figure, position=(1, 2, 1))
    second = subplot(*sky(), figure=figure, position=122)
    grid = figure.add_gridspec(2, 2)
    third = subplot(*sky(), figure=figure, position=grid[1, 0])
    assert figure.axes == [first, second, third]
    assert third.get_subplotspec() == grid[1, 0]
    assert not plt.get_fignums()
    part = Figure().subfigures(1, 2)[0]
    assert subplot(*sky(), figure=part).get_figure() is part


def test_without_pyplot_the_figure_is_ones_own():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import mpl_skyheat; ax = mpl_skyheat.subplot([10, 11], [20, 21]);"
            "print(type(ax.figure.canvas.manager), ax.figure.get_layout_engine())",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("<class 'NoneType'>"), done.stderr
    assert "ConstrainedLayoutEngine" in done.stdout


def test_what_is_no_figure_or_catalogue_is_refused():
    with pytest.raises(TypeError, match="figure must be a Figure or SubFigure; got int"):
        subplot(*sky(), figure=3)
    with pytest.raises(TypeError, match=r"points must be arrays or a table, .* got an iterator"):
        subplot(iter([sky()]))
    with pytest.raises(ValueError, match="frame must be a frame of the sky; got 'flat'"):
        subplot(field(*PLACES["0h"]), frame="flat")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"projection": "XYZ"}, r"projection must be one of TAN, .*; got 'XYZ'"),
        ({"projection": 3}, r"projection must be one of TAN, .*; got 3"),
        ({"projection": "SIN"}, r"center must be given for a SIN of the sky, which shows half of"),
        ({"map_frame": "galatic"}, r"map_frame .*; got 'galatic' \(did you mean 'galactic'\?\)"),
        ({"projection": "TAN"}, r"radius must be at most 80.* in the projection TAN; got 180 deg"),
        ({"center": "nowhere"}, r"center must be one position, such as .*; got 'nowhere'"),
        ({"center": 3}, r"center must be one position, such as .*; got 3"),
        ({"center": (3, 95)}, r"center must be one position, such as .*; got \(3, 95\)"),
        (
            {"radius": "1e-12 deg", "center": (0, 0)},
            r"radius must be at least 1e-09 deg, .*; got 1e",
        ),
        (
            {"pixel_size": "179 deg", "center": (0, 0), "radius": "20 deg"},
            r"pixel_size must be at most the width of the region, 40 deg; got 179 deg",
        ),
        ({"radius": 3}, r"radius must be an angle such as .*; got 3"),
        ({"radius": -3 * u.deg}, r"radius must be positive and finite; got -3.0 deg"),
        ({"pixel_size": "2 pix"}, r"pixel_size must be an angle such as .*; got '2 pix'"),
        ({"pixel_size": "0.01 arcsec"}, r"pixel_size is too small: a map of .* would do"),
        ({"frame": "flat"}, r"frame must be a frame of the sky; got 'flat'"),
        ({"map_frame": "flat"}, r"map_frame must be a frame that a FITS .*; got 'flat'"),
        ({"map_frame": "cirs"}, r"map_frame must be a frame that a FITS WCS has a name .*; got 'c"),
        ({"map_frame": "ecliptic"}, r"map_frame .*'ecliptic' \(did you mean 'barycentricmeanecl"),
        ({"map_frame": 3}, r"map_frame must be the name of an astropy frame or a frame; got 3"),
        ({"radius": "2 deg"}, r"center must be given with a radius \(2 deg\): points are all over"),
        ({"center": (1, 2, 3)}, r"center must be one position, such as .*; got \(1, 2, 3\)"),
        ({"center": (np.nan, 0)}, r"center must be one position, such as .*; got \(nan, 0\)"),
        ({"position": "x", "figure": Figure()}, r"position must be as in .*; got 'x'"),
    ],
    ids=str,
)
def test_what_cannot_be_shown_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        subplot(*sky(), **arguments)
    assert not plt.get_fignums()


def test_the_labels_of_a_field_with_a_colorbar_are_in_the_figure():
    figure = Figure(figsize=FIELD_SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    ax = subplot(center="2h20m +57d08m", radius="1.5deg", figure=figure)
    ax.sky_heatmap(data=bright_stars(), kernel="4 arcmin", colorbar=True)
    figure.canvas.draw()
    assert ax.get_tightbbox(figure.canvas.get_renderer()).x0 > 0


def test_a_plain_axes_of_the_whole_sky_is_cut_at_0h():
    ax = Figure().add_subplot()
    ax.sky_heatmap(*sky(), bins=(36, 18))
    np.testing.assert_allclose(ax.get_xlim(), [360, 0], atol=2)


def test_what_lies_outside_a_field_does_not_move_its_limits():
    ax = subplot(center=(56.75, 24.12), radius="2 deg")
    nx, ny = ax.wcs.pixel_shape
    limits = (-0.5, nx - 0.5), (-0.5, ny - 0.5)
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    ax.sky_heatmap([57], [24])
    ra, dec = np.meshgrid(np.arange(0, 360, 10), np.arange(-80, 90, 10))
    ax.scatter(ra, dec, transform=ax.get_transform("icrs"))
    ax.figure.draw_without_rendering()
    assert (ax.get_xlim(), ax.get_ylim()) == limits


@pytest.mark.parametrize("code", ["ZEA", "ARC"])
@pytest.mark.parametrize("center", [(40, 90), (40, -90), (300, -60), (10, 20)])
def test_a_round_map_of_the_whole_sky_is_centred_on_a_position(code, center):
    points = sky()
    ax = subplot(*points, center=center, radius="180 deg", projection=code)
    x, y = ax.wcs.world_to_pixel_values(*center)
    nx, ny = ax.wcs.pixel_shape
    assert (x, y) == pytest.approx((nx / 2 - 0.5, ny / 2 - 0.5), abs=1e-6)
    sky_map = ax.sky_heatmap(*points).sky_map
    assert sky_map.counts.sum() == len(points[0])
    assert sky_map.solid_angle.sum().to_value(u.sr) == pytest.approx(4 * np.pi, rel=1e-3)


@pytest.mark.parametrize(("code", "radius"), [("ZEA", 180), ("ARC", 180), ("SIN", 90)])
def test_a_map_around_a_pole_has_its_longitudes_along_a_parallel(code, radius):
    ax = subplot(center=(0, -90), radius=radius * u.deg, projection=code)
    assert "parallel" in ax.coords.frame
    ax.figure.draw_without_rendering()
    along = ax.coords.frame["parallel"].data
    latitudes = ax.wcs.pixel_to_world_values(*along.T)[1]
    assert latitudes == pytest.approx({"SIN": -40, "ZEA": 0, "ARC": 40}[code], abs=1e-3)
    ax = subplot(center=(0, 0), radius=radius * u.deg, projection=code)
    assert "parallel" not in ax.coords.frame


@pytest.mark.parametrize(
    ("center", "radius", "code", "is_polar"),
    [
        ((40, 90), 5, "TAN", True),
        ((40, -90), 0.01, "TAN", True),
        ((200, -80), 15, "TAN", True),
        ((200, 80), 60, "ZEA", True),
        ((200, 80), 10.2, "TAN", False),  # at the very edge
        ((200, 20), 30, "TAN", False),
        ((200, 80), 30, "CAR", False),
    ],
)
def test_a_field_around_a_pole_has_its_longitudes_all_around(center, radius, code, is_polar):
    ax = subplot(center=center, radius=radius * u.deg, projection=code)
    assert ("meridian" in ax.coords.frame) == is_polar
    ax.figure.draw_without_rendering()
    # The frame is the map's, whatever else has ticks.
    outline = ax.patch.get_path().get_extents()
    nx, ny = ax.wcs.pixel_shape
    assert outline.extents == pytest.approx([-0.5, -0.5, nx - 0.5, ny - 0.5], abs=1e-3 * nx)


@pytest.mark.parametrize(
    ("center", "radius", "code"),
    [((120, -89.9), 1, "TAN"), ((0, 90), 5, "TAN"), ((0, 0), 180, "CAR"), ((0, 10), 20, "TAN")],
)
def test_the_hour_circle_of_the_equinox_is_0h(center, radius, code):
    ax = subplot(center=center, radius=radius * u.deg, projection=code)
    ax.figure.draw_without_rendering()
    labels = {text.split("$")[0] for side in longitudes_labelled(ax)[0].values() for text in side}
    assert "0" in labels
    assert "24" not in labels


@pytest.mark.parametrize(
    ("center", "radius", "side"),
    [
        ((40, 78), 12.5, "b"),
        ((40, 70), 12.5, "b"),
        ((40, 85), 5.1, "b"),
        ((40, -78), 12.5, "r"),
        ((40, -70), 19, "r"),
    ],
)
def test_a_field_beside_a_pole_has_some_longitudes_labelled(center, radius, side):
    ax = subplot(center=center, radius=radius * u.deg)
    ax.figure.draw_without_rendering()
    labels, sides = longitudes_labelled(ax)
    assert sides == {"b", side}
    assert len(labels[side]) >= (4 if side == "b" else 2)
    ax = subplot(center=(center[0], 0.5 * center[1]), radius=radius * u.deg)
    ax.figure.draw_without_rendering()
    assert longitudes_labelled(ax)[1] == {"b"}


@pytest.mark.parametrize("center", [(50, 70), (10, -86)])
def test_a_map_whose_lower_edge_is_one_position_of_the_sky_is_drawn(center):
    subplot(center=center, radius=90 * u.deg, projection="CAR").figure.canvas.draw()


@pytest.mark.parametrize("code", ["SIN", "ZEA", "ARC", "MOL", "HPX"])
def test_labels_of_bent_maps_are_off_the_rim(code):
    ax = subplot(center=(100, 20), radius=(90 if code == "SIN" else 180) * u.deg, projection=code)
    ax.figure.draw_without_rendering()
    middle = 0.5 * np.array(ax.wcs.pixel_shape) - 0.5
    for axis, side in enumerate("hv"):
        offset = np.abs(ax.coords.frame[side].data - middle).max()
        assert 0.85 < offset / (middle[axis] + 0.5) < 0.95


def test_no_longitude_is_labelled_across_the_rim():
    ax = subplot(center=(179, 0), radius=180 * u.deg, projection="MOL")
    ax.figure.draw_without_rendering()
    labels, _ = longitudes_labelled(ax)
    assert len(labels["h"]) == 5  # and not 0h


@pytest.mark.parametrize(
    ("cmap", "facecolor", "shades"),
    [("Greys", "red", (0, 255)), ("viridis", "red", (255, 0)), (None, "white", (0, 255))],
)
def test_labels_inside_are_dark_on_light_maps_and_light_on_dark_ones(cmap, facecolor, shades):
    """Their halo is what they are not; both follow the colours that a map is given later."""
    ax = subplot(center=(0, 90), radius=180 * u.deg, projection="ZEA")
    ax.coords.grid(draw_grid=False)
    ax.figure.set_dpi(200)
    ax.set_facecolor(facecolor)
    if cmap is not None:
        ax.sky_heatmap([], [], vmin=0, vmax=1).set_cmap(cmap)

    def drawn():
        canvas = FigureCanvasAgg(ax.figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)

    labelled = drawn()
    for helper in ax.coords:
        helper.set_ticklabel_visible(False)
    change = (labelled - drawn()).sum(axis=2)
    text, halo = shades
    assert (labelled[change != 0] == text).all(axis=-1).sum() > 50
    background = drawn()[tuple(s // 2 for s in labelled.shape[:2])]
    if (background == halo).all():  # then there is no halo to be seen
        assert change.max() <= 0
    else:
        assert change.min() < 0 < change.max()


def test_labels_inside_keep_a_colour_that_is_asked_for():
    ax = subplot(center=(0, 90), radius=180 * u.deg, projection="ZEA")
    for helper in ax.coords:
        helper.set_ticklabel(color="red")
    ax.figure.set_dpi(200)
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    assert (np.asarray(canvas.buffer_rgba())[..., :3] == (255, 0, 0)).all(axis=-1).sum() > 50


def test_north_is_up_on_a_pole_as_it_is_beside_it():
    places = []
    for lat in (90, 89.9999):
        wcs = subplot(center=(40, lat), radius="5 deg").wcs
        places.append(np.array(wcs.world_to_pixel_values(40, 87)))
    assert places[0] == pytest.approx(places[1], abs=0.01)


def test_latitudes_around_a_pole_are_labelled_off_the_frame():
    ax = subplot(center=(0, 90), radius="10 deg")  # which is the outermost circle of the grid
    ax.figure.draw_without_rendering()
    line = ax.coords.frame["meridian"].data
    assert len(line) > 10
    assert line.min() > 0.04 * 240
    assert line.max() < 0.96 * 240


@pytest.mark.parametrize("code", ["MOL", "TAN"])
def test_positions_of_any_frame_are_in_place_on_ecliptic_axes(code):
    center = SkyCoord(100, 20, unit="deg")
    lon, lat = center.ra.deg + np.linspace(-2, 2, 50), np.full(50, center.dec.deg)
    radius = (180 if code == "MOL" else 10) * u.deg
    ax = subplot(
        lon, lat, center=center, radius=radius, projection=code, map_frame="barycentricmeanecliptic"
    )
    heat = ax.sky_heatmap(lon, lat)
    row, column = np.nonzero(heat.sky_map.counts)
    pixel = ax.wcs.world_to_pixel(SkyCoord(lon, lat, unit="deg"))
    drawn = (ax.get_transform("icrs") - ax.transData).transform(np.column_stack([lon, lat]))
    assert drawn == pytest.approx(np.transpose(pixel), abs=1e-3)
    assert {*zip(column, row, strict=True)} == {*map(tuple, np.round(drawn).astype(int))}
    assert isinstance(ax.wcs.pixel_to_world(10, 10).frame, BarycentricMeanEcliptic)
    # A copy, and the map's own WCS, have the same frame.
    for wcs in (ax.wcs.deepcopy(), heat.sky_map.wcs):
        assert wcs.pixel_to_world(90, 70).separation(ax.wcs.pixel_to_world(90, 70)).deg < 1e-9


@pytest.mark.parametrize("code", ["MOL", "ZEA"])
def test_names_of_axes_are_beside_a_bent_frame(code):
    ax = subplot(projection=code, center=(0, 0), radius="180 deg")
    ax.set(xlabel="l", ylabel="b")
    for helper in ax.coords:
        helper.set_ticklabel(color="lightgray")
    ax.figure.canvas.draw()
    inside = ax.get_window_extent()
    pixels = np.asarray(ax.figure.canvas.buffer_rgba())[::-1, :, :3]
    x, y = int(0.5 * (inside.x0 + inside.x1)), int(0.5 * (inside.y0 + inside.y1))
    assert (pixels[: int(inside.y0) - 2, x - 15 : x + 15] < 100).any()
    assert (pixels[y - 15 : y + 15, : int(inside.x0) - 2] < 100).any()
    # Once each: nothing is black in the map.
    assert not (pixels[y - 90 : y + 90, x - 60 : x + 60] < 50).any()


def test_every_label_of_a_field_has_its_hours():
    ax = subplot(center=(10, 20), radius="8 deg")
    if "simplify" not in inspect.signature(ax.coords[0].set_ticklabel).parameters:
        pytest.skip("astropy 6.1 shortens labels")
    ax.figure.canvas.draw()
    labels = longitudes_labelled(ax)[0]["b"]
    assert len(labels) >= 4
    assert all("^h" in label for label in labels)


@pytest.mark.parametrize(("projection", "radius"), [("AIT", 44), ("MOL", 57), ("CAR", 90)])
def test_pixels_as_wide_as_the_field_need_no_labels(projection, radius):
    size = radius * 1.9 * u.deg
    ax = subplot(center=(10, 20), radius=radius * u.deg, projection=projection, pixel_size=size)
    assert max(ax.wcs.pixel_shape) <= 2
