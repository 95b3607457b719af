"""On every kind of Axes the heatmap is where the Axes' own means put a marker."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from matplotlib.figure import Figure
from matplotlib.projections.geo import GeoAxes

from mpl_skyheat import Gaussian, sky_heatmap
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.plotting.axes_planes import view_of_axes
from mpl_skyheat.sky.frames import find_frame
from mpl_skyheat.sky.grid import View, grid_of_bins
from mpl_skyheat.sky.solid_angles import solid_angles

GEO = ["mollweide", "aitoff", "hammer", "lambert"]


def wrapped(lon, center=0.0):
    return (lon - center + 180) % 360 - 180


def geo(name):
    def make():
        ax = Figure().add_subplot(projection=name)
        return ax, lambda lon, lat: ax.scatter(-np.radians(wrapped(lon)), np.radians(lat))

    return make


def cartopy(name, **kwargs):
    def make():
        crs = pytest.importorskip("cartopy.crs")
        ax = Figure().add_subplot(projection=getattr(crs, name)(**kwargs))
        return ax, lambda lon, lat: ax.scatter(lon, lat, transform=crs.PlateCarree())

    return make


def skyproj(name, **kwargs):
    def make():
        package = pytest.importorskip("skyproj")
        plt.figure()
        ax = getattr(package, name)(ax=plt.subplot(), **kwargs).ax
        return ax, lambda lon, lat: ax.plot([lon], [lat], "o")[0]

    return make


def plain():
    ax = Figure().add_subplot()
    # On an Axes that has been centred on the other side of 0h, the marker must be, too.
    return ax, lambda lon, lat: ax.scatter(lon + 360 * (lon < min(ax.get_xlim())), lat)


KINDS = {
    **{name: geo(name) for name in GEO},
    "cartopy Mollweide": cartopy("Mollweide"),
    "cartopy PlateCarree": cartopy("PlateCarree", central_longitude=90),
    "cartopy Orthographic": cartopy("Orthographic", central_longitude=20, central_latitude=30),
    "skyproj McBryde": skyproj("McBrydeSkyproj"),
    "skyproj Mollweide, 150": skyproj("MollweideSkyproj", lon_0=150.0),
    "skyproj Laea": skyproj("LaeaSkyproj", lon_0=30.0, lat_0=40.0),
    "plain": plain,
}
# A clump at 0h, one at a pole's edge, and one at the rim of most maps.
PLACES = {"0h": (0.1, 12.0), "pole": (70.0, 86.0), "rim": (177.5, -20.0)}
# Kinds that do not show all of the sky, and that rim not.
PARTS = {"cartopy Orthographic", "skyproj Laea"}
# Kinds that take about a second to draw, which `make test-slow` does.
SLOW = {"cartopy Orthographic", "skyproj Mollweide, 150"}


@pytest.fixture(autouse=True)
def no_figures():
    yield
    plt.close("all")


def clump(lon, lat):
    """Return points within a tenth of a degree of a position, and some all around."""
    rng = np.random.default_rng(1)
    center = SkyCoord(lon, lat, unit="deg")
    near = center.directional_offset_by(
        rng.uniform(0, 360, 400) * u.deg, 0.1 * np.sqrt(rng.random(400)) * u.deg
    )
    other = center.directional_offset_by(
        rng.uniform(0, 360, 200) * u.deg, 6 * np.sqrt(rng.random(200)) * u.deg
    )
    return np.concatenate([near.ra.deg, other.ra.deg]), np.concatenate(
        [near.dec.deg, other.dec.deg]
    )


def on_screen(artist):
    """Return where a marker is on the screen."""
    artist.axes.figure.draw_without_rendering()
    if hasattr(artist, "get_offset_transform"):
        return artist.get_offset_transform().transform(artist.get_offsets())[0]
    return artist.get_transform().transform(np.transpose(artist.get_data(orig=False)))[0]


def peak(heat):
    """Return the x and y of the map's largest pixel."""
    data = heat.get_array().filled(0)
    return np.unravel_index(np.argmax(data), data.shape)[::-1]


def in_pixels(heat, artist):
    """Return where a marker is in the map's pixels, whose centres are at whole numbers."""
    ny, nx = heat.get_array().shape
    left, right, bottom, top = heat.get_extent()
    on_display = on_screen(artist)  # draws, which may move the Axes
    x, y = heat.get_transform().inverted().transform(on_display)
    return (x - left) / (right - left) * nx - 0.5, (y - bottom) / (top - bottom) * ny - 0.5


def offset_in_pixels(heat, artist):
    """Return how far a marker is from the centre of the map's largest pixel."""
    return np.abs(np.subtract(in_pixels(heat, artist), peak(heat))).max()


def separation_in_pixels(heat, artist):
    """Return the same as an angle, in sides of that pixel."""
    sky_map, (column, row) = heat.sky_map, peak(heat)
    x, y = in_pixels(heat, artist)
    at = sky_map.wcs.pixel_to_world([x, column], [y, row])
    return (at[0].separation(at[1]) / np.sqrt(sky_map.solid_angle[row, column])).to_value(1)


@pytest.mark.parametrize(
    ("kind", "place", "kernel"),
    [
        pytest.param(
            kind,
            place,
            kernel,
            id=f"{kind}-{place}-{name}",
            marks=[pytest.mark.slow] if kind in SLOW else [],
        )
        for kind in KINDS
        for place, kernel, name in (
            ("pole", 1.5 * u.deg, "smoothed"),
            ("0h" if kind in PARTS else "rim", None, "bins"),
        )
    ],
)
def test_a_marker_sits_on_the_peak_of_a_clump(kind, place, kernel):
    """Where that is hardest: smoothed at the pole, and in bins where the map ends.

    The pictures of markers in test_images.py have the other places, a uniform sky below is flat
    to its rim if what is smoothed there is right.
    """
    ax, mark = KINDS[kind]()
    lon, lat = clump(*PLACES[place])
    options = {"bins": 30} if kind == "plain" else {}
    # Counts, as a bin at the rim may be a sliver; smoothed, they follow the pixels' solid angles.
    statistic = "count" if kernel is None else "density"
    heat = sky_heatmap(ax, lon, lat, kernel=kernel, statistic=statistic, **options)
    meta = heat.sky_map.meta
    assert meta["inside"] + meta["outside"] == meta["read"] == 600
    assert heat.sky_map.counts.sum() == meta["inside"] > 550
    limits = [*ax.get_xlim(), *ax.get_ylim()]
    marker = mark(*PLACES[place])
    # Beside the pole, pixels may be so slanted that the nearest in the plane is not so on the sky.
    assert min(offset_in_pixels(heat, marker), separation_in_pixels(heat, marker)) < 1
    assert [*ax.get_xlim(), *ax.get_ylim()] == pytest.approx(limits, rel=1e-6) or kind == "plain"


EQUAL_AREA = {
    *("mollweide", "hammer", "lambert", "cartopy Mollweide"),
    *("skyproj McBryde", "skyproj Mollweide, 150", "skyproj Laea"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_equal_areas_are_found_without_their_names(kind):
    ax, _ = KINDS[kind]()
    plane = view_of_axes(ax, read_catalogue(([1.0], [2.0])), find_frame("icrs"), None).plane
    assert plane.is_equal_area == (kind in EQUAL_AREA)


def test_areas_on_an_ellipsoid_are_not_equal_on_the_sky():
    ax, _ = cartopy("LambertAzimuthalEqualArea")()
    plane = view_of_axes(ax, read_catalogue(([1.0], [2.0])), find_frame("icrs"), None).plane
    assert not plane.is_equal_area


@pytest.mark.parametrize(
    "kind", [*GEO, "cartopy Mollweide", "skyproj McBryde", "skyproj Mollweide, 150"]
)
def test_the_whole_sky_is_4_pi_and_nothing_is_drawn_beside_it(kind):
    ax, _ = KINDS[kind]()
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(0, 360, 5000), np.degrees(np.arcsin(rng.uniform(-1, 1, 5000)))
    heat = sky_heatmap(ax, lon, lat, kernel=10 * u.deg)
    area = heat.sky_map.solid_angle.to_value(u.sr)
    assert area.sum() == pytest.approx(4 * np.pi, rel=1e-3)
    assert heat.sky_map.meta["outside"] <= 1
    np.testing.assert_array_equal(heat.sky_map.mask, area == 0)
    assert heat.get_array().mask[0, 0]
    flat = heat.sky_map.data[area > 0]
    assert flat.std() / flat.mean() < 0.1


@pytest.mark.parametrize("kind", [*GEO, "cartopy Mollweide", "skyproj McBryde"])
def test_solid_angles_are_those_of_the_pixels_corners(kind):
    ax, _ = KINDS[kind]()
    heat = sky_heatmap(ax, [10.0], [20.0])
    wcs, area = heat.sky_map.wcs, heat.sky_map.solid_angle
    x, y = heat.sky_map.data.shape[1] // 3, heat.sky_map.data.shape[0] // 3
    corners = wcs.pixel_to_world(
        x + 0.5 * np.array([-1, 1, 1, -1]), y + 0.5 * np.array([-1, -1, 1, 1])
    )
    sides = corners.separation(np.roll(corners, -1))
    diagonal = corners[0].separation(corners[2])
    half = 0.5 * (sides[0] + sides[1] + diagonal).rad, 0.5 * (sides[2] + sides[3] + diagonal).rad
    expected = 0
    for s, (a, b) in zip(half, ((sides[0], sides[1]), (sides[2], sides[3])), strict=True):
        parts = [np.tan(0.5 * (s - v.rad)) for v in (a, b, diagonal)]
        expected += 4 * np.arctan(np.sqrt(np.tan(0.5 * s) * np.prod(parts)))
    assert area[y, x].to_value(u.sr) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", GEO)
def test_the_frame_and_the_centre_of_geographic_axes_can_be_chosen(name):
    place = SkyCoord(266.4, -28.9, unit="deg")
    points = SkyCoord(*clump(266.4, -28.9), unit="deg")
    ax = Figure().add_subplot(projection=name)
    heat = ax.sky_heatmap(points, frame="galactic", center=30 * u.deg)
    lon = wrapped(place.galactic.l.deg, 30)
    marker = ax.scatter(-np.radians(lon), place.galactic.b.rad)
    assert offset_in_pixels(heat, marker) < 1
    assert heat.value_at(place) == heat.value_at(place.galactic.l.deg, place.galactic.b.deg)
    for center in (30, SkyCoord(30, 0, unit="deg", frame="galactic")):
        again = (
            Figure()
            .add_subplot(projection=name)
            .sky_heatmap(points, frame="galactic", center=center)
        )
        np.testing.assert_array_equal(again.sky_map.counts, heat.sky_map.counts)


@pytest.mark.slow
def test_no_longitude_is_lost_on_cartopys_plate_carree():
    crs = pytest.importorskip("cartopy.crs")
    lon = np.arange(360) + 0.5
    for center in (0, 1e-9, 90, 360):
        ax = Figure().add_subplot(projection=crs.PlateCarree(center))
        bins = None if center == 1e-9 else (36, 18)
        for points in (lon, lon - 360, lon - 180):
            heat = ax.sky_heatmap(points, 0.3 + 0 * lon, bins=bins)
            assert heat.sky_map.meta["inside"] == 360
    ax.set_extent([-3, 3, -3, 3], crs=crs.PlateCarree())
    heat = ax.sky_heatmap([359.0, 1.0], [0.0, 0.0])
    assert heat.sky_map.meta["inside"] == 2
    # A field has pixels of its own size.
    assert max(heat.sky_map.data.shape) >= 240


@pytest.mark.parametrize("name", GEO)
def test_longitudes_are_labelled_as_the_map_has_them(name):
    ax = Figure().add_subplot(projection=name)
    ax.sky_heatmap([1.0], [2.0], center=60, bins=9)
    label = ax.xaxis.get_major_formatter()
    assert [label(x, 0) for x in np.radians([-90, 0, 60, 120])] == ["150°", "60°", "0°", "300°"]
    # What is drawn before makes no difference, but labels of one's own are kept.
    ax = Figure().add_subplot(projection=name)
    ax.scatter([0.1], [0.1])
    ax.sky_heatmap([1.0], [2.0], bins=9)
    assert ax.xaxis.get_major_formatter()(np.radians(60), 0) == "300°"
    ax = Figure().add_subplot(projection=name)
    ax.set_xticks(np.radians([-60, 60]), ["4h", "20h"])
    ax.sky_heatmap([1.0], [2.0], bins=9)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["4h", "20h"]

    class OnesOwn(GeoAxes.ThetaFormatter):
        pass

    ax = Figure().add_subplot(projection=name)
    ax.xaxis.set_major_formatter(OnesOwn(60))
    ax.sky_heatmap([1.0], [2.0], bins=9)
    assert isinstance(ax.xaxis.get_major_formatter(), OnesOwn)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [*((name, {}) for name in GEO), ("lambert", {"center_longitude": 0.3, "center_latitude": 1.5})],
    ids=str,
)
def test_later_maps_have_the_centre_of_the_first(name, kwargs):
    points = np.random.default_rng(8).uniform(-60, 60, (2, 200))
    ax = Figure().add_subplot(projection=name, **kwargs)
    bins = (48, 24)
    first = ax.sky_heatmap(*points, center=77, bins=bins).sky_map
    for again in ({}, {"center": 77}, {"center": 437}, {"frame": "icrs"}):
        counts = ax.sky_heatmap(*points, **again, bins=bins).sky_map.counts
        np.testing.assert_array_equal(counts, first.counts)
    with pytest.raises(
        ValueError, match=r"center must be that of the map .*, 77 deg, .*; got 50 deg"
    ):
        ax.sky_heatmap(*points, center=50)
    with pytest.raises(
        ValueError, match=r"frame must be .* on the Axes, 'icrs', .*; got 'galactic' \(a"
    ):
        ax.sky_heatmap(*points, frame="galactic")
    for image in list(ax.images):
        image.remove()
    moved = ax.sky_heatmap(*points, center=50, frame="galactic", bins=bins).sky_map
    assert not np.array_equal(moved.counts, first.counts)
    assert ax.xaxis.get_major_formatter()(0.0) == "50°"


@pytest.mark.parametrize("layout", [None, "constrained"])
@pytest.mark.parametrize("side", ["left", "right", "bottom", "top"])
def test_colorbars_are_off_the_labels_of_cartopy(side, layout):
    crs = pytest.importorskip("cartopy.crs")
    figure = Figure(layout=layout)
    ax = figure.add_subplot(projection=crs.PlateCarree())
    ax.set_extent([50, 60, 20, 28])
    lines = ax.gridlines(draw_labels=True)
    heat = ax.sky_heatmap([55], [24], kernel="1 deg", colorbar=side)
    figure.draw_without_rendering()
    labels = [label.get_window_extent() for label in getattr(lines, f"{side}_label_artists")]
    assert len(labels) > 2
    bar = heat.colorbar.ax.get_window_extent()
    assert not any(bar.overlaps(label) for label in labels)


def test_colorbars_are_off_the_labels_of_skyproj():
    ax, _ = skyproj("McBrydeSkyproj")()
    heat = ax.sky_heatmap([55], [24], kernel="5 deg", colorbar="bottom")
    ax.figure.draw_without_rendering()
    label = ax.xaxis.label.get_window_extent()
    assert label.y0 > heat.colorbar.ax.get_window_extent().y1


def test_colorbars_do_not_draw_an_axes_of_skyproj_again_for_each_other(monkeypatch):
    crs = pytest.importorskip("skyproj.skycrs")
    figure = Figure()
    ax = figure.add_axes((0.2, 0.2, 0.6, 0.6), projection=crs.get_crs("mbtfpq"))
    heat = ax.sky_heatmap([55], [24], kernel="5 deg")
    for _ in range(4):
        heat.add_colorbar(location="bottom")
    draw, drawn = ax.draw, []
    monkeypatch.setattr(ax, "draw", lambda *args: (drawn.append(1), draw(*args)))
    figure.draw_without_rendering()
    assert 1 < len(drawn) < 30  # (not 120, as where each measuring draws all others)


def test_a_gnomonic_axes_of_skyproj_ends_at_its_horizon():
    ax, _ = skyproj("GnomonicSkyproj", lon_0=56.0, lat_0=24.0)()
    ax.set_extent([54, 58, 22, 26])
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(0, 360, 100_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 100_000)))
    wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 56.0, "CRVAL2": 24.0})
    x, y = (np.radians(v) for v in wcs.wcs_world2pix(lon, lat, 0))
    low, high = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    radius = ax.projection.radius
    x, y = radius * (x - np.radians(-1)), radius * (y - np.radians(-1))
    is_inside = (x >= low[0]) & (x < low[1]) & (y >= high[0]) & (y < high[1])
    assert ax.sky_heatmap(lon, lat).sky_map.counts.sum() == np.count_nonzero(is_inside) > 20


def test_a_centre_is_for_geographic_axes():
    with pytest.raises(
        ValueError, match="center must be left out on Axes, which has its own; got 3"
    ):
        Figure().add_subplot().sky_heatmap([1], [2], center=3)
    with pytest.raises(ValueError, match=r"got 0 deg \(colours that are .* are norm='centered'\)"):
        Figure().add_subplot().sky_heatmap([1], [2], center=0)
    with pytest.raises(
        ValueError, match=r"center must be a longitude, such as 180.u.deg, or one Sky"
    ):
        Figure().add_subplot(projection="hammer").sky_heatmap([1], [2], center="middle")


def test_plain_axes_show_the_sky_in_degrees():
    ax = Figure().add_subplot()
    rng = np.random.default_rng(3)
    ra, dec = rng.normal(0, 1.5, 500) % 360, rng.uniform(58, 62, 500)
    ax.sky_heatmap(ra, dec, bins=40)
    left, right = ax.get_xlim()
    assert left > right  # east left
    assert left - right < 12  # not torn at 0h
    assert ax.get_aspect() == pytest.approx(2, rel=0.01)
    labels = [ax.xaxis.get_major_formatter()(x) for x in (-2, 0, 3.5, 361)]
    assert labels == ["358°", "0°", "3.5°", "1°"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("RA", "Dec")


@pytest.mark.parametrize(
    ("kernel", "fewest", "most"),
    [
        (None, 100, 100),
        ("10 deg", 100, 100),
        ("1 deg", 340, 720),
        (Gaussian("20 arcmin") - Gaussian("2 deg"), 480, 1024),
    ],
    ids=str,
)
def test_plain_axes_have_pixels_that_show_the_kernel(kernel, fewest, most):
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(0, 360, 500), np.degrees(np.arcsin(rng.uniform(-1, 1, 500)))
    sky_map = plt.figure().add_subplot().sky_heatmap(lon, lat, kernel=kernel).sky_map
    assert max(sky_map.data.shape) == pytest.approx(most, rel=0.01)
    assert min(sky_map.data.shape) >= fewest
    at_pole = plt.figure().add_subplot().sky_heatmap([10, 200], [89.9, 90], kernel="1 arcmin")
    assert at_pole.sky_map.counts.sum() == 2


@pytest.mark.parametrize("lat", [90, -90, 89.99999, -89.8])
@pytest.mark.parametrize("kernel", [None, "10 arcmin"])
def test_points_at_a_pole_alone_are_shown_on_plain_axes(lat, kernel):
    ax = plt.figure().add_subplot()
    sky_map = ax.sky_heatmap([10, 12], [lat, lat], kernel=kernel).sky_map
    assert sky_map.counts.sum() == 2
    bottom, top = ax.get_ylim()
    assert bottom >= -90
    assert top <= 90
    assert top - bottom > 0.5 - 1e-6
    assert not sky_map.mask.any()


def test_plain_axes_that_show_something_stay_as_they_are():
    ax = Figure().add_subplot()
    ax.scatter([10, 20], [5, 15])
    ax.set(xlabel="longitude", ylabel="latitude")
    before = ax.get_xlim(), ax.get_ylim(), ax.get_aspect(), ax.get_xlabel()
    heat = ax.sky_heatmap([12.0], [8.0])
    assert (ax.get_xlim(), ax.get_ylim(), ax.get_aspect(), ax.get_xlabel()) == before
    assert heat.sky_map.data.shape == (100, 100)
    assert heat.value_at(12, 8) > 0


def test_the_cursor_reads_the_value_on_geographic_axes():
    ax = Figure().add_subplot(projection="mollweide")
    heat = ax.sky_heatmap([30.0] * 50, [20.0] * 50, statistic="count")
    ax.figure.draw_without_rendering()
    at = ax.transData.transform((-np.radians(30), np.radians(20)))
    event = type("Event", (), {"x": at[0], "y": at[1]})()
    assert heat.get_cursor_data(event) == 50


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_to_be_sky_is_where_it_is_said_to_be(kind):
    ax, _ = KINDS[kind]()
    shown = view_of_axes(ax, read_catalogue(([10.0], [20.0])), find_frame("icrs"), None)
    plane, view = shown.plane, shown.view
    view = view if view.is_known else View(-200, 200, -100, 100)
    rng = np.random.default_rng(6)
    x, y = (1.4 * rng.uniform(*sides, 4000) for sides in (view[:2], view[2:]))
    lon, lat = plane.to_sky(x, y)
    on_sky = np.isfinite(lon)
    assert 0.2 < on_sky.mean() < 0.8
    np.testing.assert_array_less(np.abs(lat[on_sky]), 90 + 1e-9)
    again = plane.to_plane(lon[on_sky], lat[on_sky])
    np.testing.assert_allclose(again, (x[on_sky], y[on_sky]), atol=1e-4)


@pytest.mark.parametrize(
    "kind",
    [
        "mollweide",
        pytest.param("cartopy Mollweide", marks=pytest.mark.slow),
        pytest.param("skyproj Mollweide, 150", marks=pytest.mark.slow),
    ],
)
def test_pixels_that_are_nobodys_resolve_the_kernel(kind):
    ax, _ = KINDS[kind]()
    sizes = []
    for kernel in (None, "4 deg", "1 deg", "0.05 deg"):
        heat = sky_heatmap(ax, [10.0, 50.0], [5.0, 20.0], kernel=kernel)
        sizes.append((heat.sky_map.data.shape, heat.sky_map.solid_angle.max().to_value("deg2")))
    (coarse, wide), (same, _), (fine, area), (finest, _) = sizes
    assert same == coarse
    assert wide == pytest.approx(1.0, rel=0.01)
    assert fine == tuple(2 * n for n in coarse)
    assert np.sqrt(area) == pytest.approx(0.5, rel=0.01)
    assert 512 < max(finest) <= 1024


@pytest.mark.parametrize("kind", GEO[:1] + GEO[2:])
def test_equal_areas_are_known_where_the_sky_is_two_rows_of_many(kind):
    """Rows are those of a kernel's margin in map pixels. No other pixel's edge is traced then."""
    ax, _ = KINDS[kind]()
    view = view_of_axes(ax, read_catalogue(([1.0], [2.0])), find_frame("icrs"), None)
    plane, asked = view.plane, []

    def to_sky(x, y):
        asked.append(np.size(x))
        return plane.to_sky(x, y)

    grid = grid_of_bins(view.view, 183, 2).grown(70, 70)
    areas = solid_angles(grid, to_sky, plane.to_plane, is_equal_area=True, outline=plane.shows)
    assert areas.sum() == pytest.approx(4 * np.pi, rel=1e-3)
    assert sum(asked) < 8e6
