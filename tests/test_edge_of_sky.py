"""Points at the very edge of the sky: where longitudes are cut, at the poles, at the rim."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from helpers import plane_and_grid
from matplotlib.figure import Figure
from scipy.ndimage import maximum_filter

from mpl_skyheat import sky_map, subplot
from mpl_skyheat.compute import tile_layout
from mpl_skyheat.counting import sums
from mpl_skyheat.sky.grid import SLACK
from mpl_skyheat.sky.sky_edge import grown, snap_to_sky_edge

# Where the middle of maps is, so that edges are no round numbers of the catalogue.
MIDDLE = 83.1
HAIRS = np.array([0, 1e-13, 1e-11, 1e-9, 1e-7, -1e-13, -1e-11, -1e-9, -1e-7])


def edge_points(middle=MIDDLE):
    """Return the longitude and latitude of points at and within a hair of the edges of the sky."""
    seam_lat = np.linspace(-89, 89, 23)
    seam = np.tile(seam_lat, len(HAIRS)), np.repeat(middle + 180 + HAIRS, len(seam_lat))
    pole_lon = np.append(np.linspace(0, 360, 25), [middle + 180, middle - 180])
    poles = np.repeat([[90], [-90]], len(HAIRS), 1) - np.abs(HAIRS) * [[1], [-1]]
    rim = middle + 180 + HAIRS, np.zeros(len(HAIRS))
    lon = np.concatenate([seam[1], np.tile(pole_lon, poles.size), rim[0]])
    lat = np.concatenate([seam[0], np.repeat(poles.ravel(), len(pole_lon)), rim[1]])
    return lon % 360, lat


@pytest.fixture(params=["exact", "compiled"])
def _route(request, monkeypatch):
    monkeypatch.setattr(sums, "should_compile", lambda _: request.param == "compiled")


def plate_carree(middle=MIDDLE, shape=(180, 360), step=1.0):
    """Return the WCS of all of the sky, or of its middle."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---CAR", "DEC--CAR"
    wcs.wcs.crval = middle, 0
    wcs.wcs.crpix = 0.5 * shape[1] + 0.5, 0.5 * shape[0] + 0.5
    wcs.wcs.cdelt = -step, step
    wcs.pixel_shape = shape[::-1]
    return wcs


@pytest.mark.usefixtures("_route")
@pytest.mark.parametrize("code", ["AIT", "MOL", "CAR", "CEA", "SFL", "HPX", "ZEA", "ARC"])
@pytest.mark.parametrize(("of_axes", "of_map"), [(1, None), (1, 7 * u.deg), (0.37, None)])
def test_the_axes_of_the_whole_sky_hold_its_edges(code, of_axes, of_map):
    lon, lat = edge_points()
    ax = subplot(
        projection=code,
        center=(MIDDLE, 0),
        radius=180 * u.deg,
        pixel_size=of_axes * u.deg,
        figure=Figure(),
    )
    heat = ax.sky_heatmap(lon, lat, pixel_size=of_map)
    assert heat.sky_map.meta["inside"] == len(lon)
    assert heat.sky_map.counts.sum() == len(lon)
    assert np.isfinite(heat.value_at(lon, lat)).all()
    if of_map is None:
        assert heat.sky_map.solid_angle.to_value(u.sr).sum() == pytest.approx(4 * np.pi, rel=2e-4)


@pytest.mark.parametrize("point", [(MIDDLE + 180, 0), (MIDDLE - 180, 40), (10, 90), (10, -90)])
def test_one_point_at_the_edge_of_the_sky_is_not_warned_of(point):
    ax = subplot(center=(MIDDLE, 0), radius=180 * u.deg, figure=Figure())
    assert sky_map([point[0]], [point[1]], wcs=ax.wcs).counts.sum() == 1


@pytest.mark.usefixtures("_route")
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_a_catalogue_of_whole_degrees_is_all_on_a_map_with_edges_at_them(is_weighted, frame):
    lon, lat = (v.ravel() for v in np.meshgrid(np.arange(0.0, 361), np.arange(-90.0, 91)))
    stars = SkyCoord(lon, lat, unit="deg").transform_to(frame)
    weights = np.full(len(lon), 0.5) if is_weighted else None
    m = sky_map(stars, wcs=plate_carree(180.0), weights=weights)
    assert m.meta["inside"] == len(lon)
    assert m.meta["outside"] == m.meta["dropped"] == 0
    assert m.counts.sum() == len(lon) * (0.5 if is_weighted else 1)
    if frame == "icrs":
        # Each pixel has the point at its lower corner, and at the upper edge of the map those of
        # the poles; longitude 0 is there three times, as 360 is the same.
        expected = np.ones((180, 360)) * (0.5 if is_weighted else 1)
        assert (m.counts[:-1, 1:-1] == expected[:-1, 1:-1]).all()
        assert (m.counts[-1, 1:-1] == 2 * expected[-1, 1:-1]).all()


@pytest.mark.usefixtures("_route")
def test_the_margin_of_a_kernel_takes_no_points_from_the_edge_of_the_sky():
    lon, lat = edge_points()
    wcs = plate_carree()
    with pytest.warns(AstropyUserWarning, match="too wide to be smoothed on the plane"):
        m = sky_map(lon, lat, wcs=wcs, kernel=3 * u.deg, geometry="plane")
    assert m.meta["inside"] == m.counts.sum() == len(lon)
    np.testing.assert_array_equal(m.counts, sky_map(lon, lat, wcs=wcs).counts)


@pytest.mark.usefixtures("_route")
@pytest.mark.parametrize("off", [0, 1e-13, 1e-9])
def test_the_upper_edges_of_a_field_are_not_part_of_it(off):
    # So that of two maps side by side one has each point.
    wcs = plate_carree(shape=(40, 40))
    lower, upper = -0.5 - off, 39.5 + off
    x, y = [3.3, 3.3, lower, upper], [lower, upper, 3.3, 3.3]
    lon, lat = wcs.wcs_pix2world([*x, 5.0], [*y, 5.0], 0)
    m = sky_map(lon, lat, wcs=wcs)
    x, y = wcs.wcs_world2pix(lon, lat, 0)
    inside = (x >= -0.5) & (x < 39.5) & (y >= -0.5) & (y < 39.5)
    assert inside.sum() < 5
    assert m.meta["inside"] == inside.sum()


def test_at_the_corner_of_the_sky_only_its_edge_is_snapped_to():
    # A map that ends at the pole, but not where longitudes do.
    wcs = plate_carree(shape=(40, 40))
    wcs.wcs.crpix = 20.5, -49.5  # from dec 50 to 90 deg
    lon, lat = [MIDDLE, MIDDLE - 20, MIDDLE + 20 - 1e-6], [90.0, 90.0, 90.0]
    x, y = wcs.wcs_world2pix(lon, lat, 0)
    np.testing.assert_allclose(y, 39.5, atol=1e-12)
    m = sky_map(lon, lat, wcs=wcs)
    assert m.meta["inside"] == ((x >= -0.5) & (x < 39.5)).sum() == 2
    assert m.counts[39].sum() == 2


@pytest.mark.parametrize("x", [-0.5 - 1e-8, 359.5, 359.5 + 1e-8])
@pytest.mark.parametrize("y", [-0.5 - 1e-8, 179.5, 179.5 + 1e-8])
def test_at_a_pole_where_longitudes_are_cut_points_are_snapped_to_both(x, y):
    plane, grid = plane_and_grid(plate_carree())
    pulled = snap_to_sky_edge(grid, plane.to_sky, plane.to_plane, np.array([x]), np.array([y]))
    assert grid.index(*pulled)[0].all()
    # Nothing else is.
    off = snap_to_sky_edge(grid, plane.to_sky, plane.to_plane, np.array([x]), np.array([180.0]))
    assert not grid.index(*off)[0].any()


def test_at_a_bounding_box_the_sky_goes_on():
    """Of two maps side by side one has each point, though beyond their boxes there is nothing."""
    pytest.importorskip("gwcs")
    number = 400
    edge = np.full(number, 39.5), np.linspace(-0.4, 39.4, number)
    lon, lat = field_gwcs(0.0).pixel_to_world_values(*edge)
    found = 0
    for left in (0.0, 40.0):
        wcs = field_gwcs(left)
        counts = sky_map(lon, lat, wcs=wcs).counts
        wcs.bounding_box = None
        np.testing.assert_array_equal(counts, sky_map(lon, lat, wcs=wcs).counts)
        found += counts.sum()
    assert 0.9 * number < found <= number


def field_gwcs(left):
    """Return a WCS with a bounding box, of pixels so many to the left of which another has its."""
    from astropy.modeling import models
    from gwcs import WCS as GWCS
    from gwcs import coordinate_frames

    to_sky = (
        (models.Shift(left - 20) & models.Shift(-20))
        | (models.Scale(-0.1) & models.Scale(0.1))
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(83.0, 20.0, 180.0)
    )
    detector = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(reference_frame=ICRS(), unit=(u.deg, u.deg))
    wcs = GWCS([(detector, to_sky), (sky, None)])
    wcs.pixel_shape, wcs.bounding_box = (40, 40), ((-0.5, 39.5), (-0.5, 39.5))
    return wcs


def test_what_is_well_beyond_the_edge_of_a_map_stays_outside():
    # A map of less than the sky, at whose edge there is more.
    wcs = plate_carree(shape=(180, 358))
    lon, lat = edge_points()
    m = sky_map(np.append(lon, MIDDLE), np.append(lat, 0), wcs=wcs)
    far = np.abs((lon - MIDDLE + 180) % 360 - 180) > 179
    assert m.meta["outside"] == far.sum()


@pytest.mark.usefixtures("_route")
@pytest.mark.parametrize("name", ["mollweide", "aitoff", "hammer", "lambert", "rectilinear"])
def test_axes_without_a_wcs_hold_the_edges_of_the_sky(name):
    lon, lat = edge_points(0.0)
    ax = Figure().add_subplot(projection=name)
    options = {}
    if name == "rectilinear":
        ax.set(xlim=(180, -180), ylim=(-90, 90))
        options = {"bins": (90, 45)}
    heat = ax.sky_heatmap(lon, lat, **options)
    assert heat.sky_map.meta["inside"] == heat.sky_map.counts.sum() == len(lon)
    assert np.isfinite(heat.value_at(lon, lat)).all()


def test_all_of_half_the_sky_is_shown():
    """Its circle is whole wherever its middle is, though rounding may put its limb off the map."""
    rng = np.random.default_rng(3)
    centers = [(0, 0), (266.4, 0), (10, 90), (10, -90), (0, 45)]
    centers += zip(rng.uniform(0, 360, 25), rng.uniform(-90, 90, 25), strict=True)
    for center in (SkyCoord(*c, unit="deg") for c in centers):
        ax = subplot(center=center, radius=90 * u.deg, projection="SIN", figure=Figure())
        nx, ny = ax.wcs.pixel_shape
        assert nx == ny == 153
        middle = ax.wcs.world_to_pixel(center)
        np.testing.assert_allclose(middle, 76, atol=1e-4)


def test_what_is_snapped_is_asked_of_the_exact_route():
    assert SLACK < 0.4 * tile_layout.EDGE


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 7, 30])
def test_marked_pixels_grow_by_squares(steps):
    pixels = np.random.default_rng(steps).random((23, 17)) < 0.02
    expected = maximum_filter(pixels, 2 * steps + 1, mode="constant") if steps else pixels
    np.testing.assert_array_equal(grown(pixels, steps), expected)
