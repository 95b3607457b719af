"""Points at the very edge of the sky: where longitudes are cut, at the poles, at the rim."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from matplotlib.figure import Figure

from mpl_skyheat import counting, sky_map, subplot

# Where the middle of maps is, so that edges are no round numbers of the catalogue.
MIDDLE = 83.1
HAIRS = np.array([0, 1e-13, 1e-11, 1e-9, 1e-7, -1e-13, -1e-11, -1e-9, -1e-7])


def edge_points(middle=MIDDLE):
    """Return the longitude and latitude of points at and within a hair of the edges of the sky."""
    seam_lat = np.linspace(-89, 89, 23)
    seam = np.tile(seam_lat, len(HAIRS)), np.repeat(middle + 180 + HAIRS, len(seam_lat))
    pole_lon = np.linspace(0, 360, 25)
    poles = np.repeat([[90], [-90]], len(HAIRS), 1) - np.abs(HAIRS) * [[1], [-1]]
    rim = middle + 180 + HAIRS, np.zeros(len(HAIRS))
    lon = np.concatenate([seam[1], np.tile(pole_lon, poles.size), rim[0]])
    lat = np.concatenate([seam[0], np.repeat(poles.ravel(), len(pole_lon)), rim[1]])
    return lon % 360, lat


@pytest.fixture(params=["exact", "compiled"])
def _route(request, monkeypatch):
    monkeypatch.setattr(counting, "is_worth", lambda _: request.param == "compiled")


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
@pytest.mark.parametrize("pixel_size", [None, 7 * u.deg])
def test_the_axes_of_the_whole_sky_hold_its_edges(code, pixel_size):
    lon, lat = edge_points()
    ax = subplot(projection=code, center=(MIDDLE, 0), radius=180 * u.deg)
    heat = ax.sky_heatmap(lon, lat, pixel_size=pixel_size)
    assert heat.sky_map.meta["inside"] == len(lon)
    assert heat.sky_map.counts.sum() == len(lon)
    assert np.isfinite(heat.value_at(lon, lat)).all()
    if pixel_size is None:
        assert heat.sky_map.solid_angle.to_value(u.sr).sum() == pytest.approx(4 * np.pi, rel=2e-4)


@pytest.mark.parametrize("point", [(MIDDLE + 180, 0), (MIDDLE - 180, 40), (10, 90), (10, -90)])
def test_one_point_at_the_edge_of_the_sky_is_not_warned_of(point):
    ax = subplot(center=(MIDDLE, 0), radius=180 * u.deg)
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


def test_at_the_corner_of_the_sky_only_its_edge_is_pulled_in():
    # A map that ends at the pole, but not where longitudes do.
    wcs = plate_carree(shape=(40, 40))
    wcs.wcs.crpix = 20.5, -49.5  # from dec 50 to 90 deg
    lon, lat = [MIDDLE, MIDDLE - 20, MIDDLE + 20 - 1e-6], [90.0, 90.0, 90.0]
    x, y = wcs.wcs_world2pix(lon, lat, 0)
    np.testing.assert_allclose(y, 39.5, atol=1e-12)
    m = sky_map(lon, lat, wcs=wcs)
    assert m.meta["inside"] == ((x >= -0.5) & (x < 39.5)).sum() == 2
    assert m.counts[39].sum() == 2


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
    for _ in range(30):
        center = SkyCoord(rng.uniform(0, 360), rng.uniform(-90, 90), unit="deg")
        ax = subplot(center=center, radius=90 * u.deg, projection="SIN")
        nx, ny = ax.wcs.pixel_shape
        assert nx == ny == 153
        middle = ax.wcs.world_to_pixel(center)
        np.testing.assert_allclose(middle, 76, atol=1e-4)
