"""SkyCoords in frames with an origin: what is seen from there depends on the distance."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import GCRS, ICRS, AltAz, BaseCoordinateFrame, EarthLocation, SkyCoord
from astropy.modeling import models
from astropy.time import Time
from astropy.utils.iers import iers
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from helpers import make_wcs

from mpl_skyheat import sky_map, subplot
from mpl_skyheat.sky.frames import change_frame, find_frame

TIME = Time("2010-06-01T03:00:00")
PARANAL = EarthLocation.from_geodetic(-70.4, -24.6, 2635)
HORIZON, EARTH = AltAz(obstime=TIME, location=PARANAL), GCRS(obstime=TIME)
DISTANCES = {"directions": None, "1 AU": 1 * u.au, "500 km": 500 * u.km}


def wcs_in(frame, center):
    pytest.importorskip("gwcs")
    from gwcs import WCS as GWCS
    from gwcs import coordinate_frames

    to_sky = (
        (models.Shift(-19.5) & models.Shift(-19.5))
        | (models.Scale(-0.1) & models.Scale(0.1))
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(*center, 180)
    )
    plane = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(reference_frame=frame, unit=(u.deg, u.deg))
    wcs = GWCS([(plane, to_sky), (sky, None)])
    wcs.pixel_shape = 40, 40
    return wcs


def points_in(frame, distance=None):
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(118, 122, 100) * u.deg, rng.uniform(38.5, 41.5, 100) * u.deg
    more = {} if distance is None else {"distance": np.full(100, distance.value) * distance.unit}
    return SkyCoord(lon, lat, frame=frame, **more)


@pytest.mark.parametrize("shown", [HORIZON, EARTH, ICRS()], ids=lambda f: f.name)
@pytest.mark.parametrize("given", [HORIZON, EARTH, ICRS()], ids=lambda f: f.name)
@pytest.mark.parametrize("distance", DISTANCES)
def test_counts_are_those_of_world_to_pixel(given, shown, distance):
    points = points_in(given, DISTANCES[distance])
    there = points[0].transform_to(shown)
    wcs = wcs_in(shown, (there.spherical.lon.deg, there.spherical.lat.deg))
    x, y = wcs.world_to_pixel(points)
    want, _, _ = np.histogram2d(y, x, bins=40, range=[(-0.5, 39.5)] * 2)
    assert want.sum() > 10
    found = sky_map(points, wcs=wcs)
    np.testing.assert_array_equal(found.counts, want)
    assert found.meta["inside"] + found.meta["outside"] == 100
    some = np.s_[:3]
    row, column = (np.floor(v[some] + 0.5).astype(int) for v in (y, x))
    inside = (np.minimum(row, column) >= 0) & (np.maximum(row, column) < 40)
    values = found.value_at(points[some]).value
    np.testing.assert_array_equal(values[inside], found.data[row[inside], column[inside]])
    # In chunks.
    chunks = sky_map(iter([points[:30], points[30:]]), wcs=wcs)
    np.testing.assert_array_equal(chunks.counts, want)


def test_equal_frames_are_never_transformed(monkeypatch):
    points = points_in(HORIZON, 1 * u.au)
    wcs = wcs_in(HORIZON, (120.0, 40.0))

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr("mpl_skyheat.catalogue.blocks.transformed", refuse)
    monkeypatch.setattr("mpl_skyheat.sky.frames.transformed", refuse)
    assert sky_map(points, wcs=wcs, kernel="0.3 deg").counts.sum() == 100


def test_each_row_may_have_a_time_of_its_own():
    points = points_in("icrs")
    moving = points.transform_to(
        AltAz(obstime=TIME + np.linspace(0, 5, 100) * u.h, location=PARANAL)
    )
    wcs = make_wcs(shape=(40, 40), center=(120.0, 40.0))
    want = sky_map(points, wcs=wcs).counts
    np.testing.assert_array_equal(sky_map(moving, wcs=wcs).counts, want)


@pytest.mark.skipif(not hasattr(SkyCoord, "masked"), reason="not in this version of astropy")
def test_masked_positions_are_dropped_in_every_frame():
    points = points_in("icrs")
    masked = SkyCoord(Masked(points.ra, mask=np.arange(100) < 7), points.dec)
    wcs = make_wcs(shape=(50, 50), center=(120.0, 40.0))
    for coordinates in (masked, masked.gcrs, masked.galactic):
        found = sky_map(coordinates, wcs=wcs)
        assert (found.meta["dropped"], found.meta["inside"]) == (7, 93)


def test_subplot_shows_what_is_near_where_it_is_seen_from_afar():
    ax = subplot(points_in(HORIZON))
    assert ax.sky_heatmap(points_in(HORIZON)).sky_map.counts.sum() == 100


def helioprojective():
    frames = pytest.importorskip("sunpy.coordinates").frames
    keywords = {
        "CTYPE1": "HPLN-TAN", "CUNIT1": "arcsec", "CRPIX1": 20.5, "CDELT1": 60.0, "NAXIS1": 40,
        "CTYPE2": "HPLT-TAN", "CUNIT2": "arcsec", "CRPIX2": 20.5, "CDELT2": 60.0, "NAXIS2": 40,
        "DATE-OBS": "2020-01-01T00:00:00", "MJD-OBS": 58849.0, "HGLN_OBS": 0.0, "HGLT_OBS": -3.0,
        "DSUN_OBS": 1.471e11, "RSUN_REF": 6.957e8,
    }  # fmt: skip
    wcs = WCS(keywords)
    frame = wcs.pixel_to_world(0, 0).frame.replicate_without_data()
    assert isinstance(frame, frames.Helioprojective)
    return wcs, frame


def test_the_sun_is_mapped_without_touching_icrs():
    wcs, frame = helioprojective()
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-900, 900, (2, 300)) * u.arcsec
    points = SkyCoord(x, y, frame=frame)
    want, _, _ = np.histogram2d(*wcs.world_to_pixel(points)[::-1], 40, [(-0.5, 39.5)] * 2)
    found = sky_map(points, wcs=wcs, kernel="2 arcmin")
    np.testing.assert_array_equal(found.counts, want)
    np.testing.assert_array_equal(sky_map(x, y, frame=frame, wcs=wcs).counts, want)
    assert np.isfinite(found.value_at(points)).all()
    with pytest.raises(
        ValueError, match="'icrs' cannot be transformed to the map's frame 'heliopro"
    ):
        sky_map(x, y, wcs=wcs)


def test_a_table_of_the_earths_rotation_that_is_missing_is_named(monkeypatch):
    """Offline, AltAz, CIRS and TETE of recent dates are an error of several lines in astropy."""

    def refuse(*_):
        raise ValueError(iers.INTERPOLATE_ERROR.format(10.0))

    monkeypatch.setattr(BaseCoordinateFrame, "transform_to", refuse)
    for make in (lambda: find_frame(HORIZON), lambda: change_frame(1.0, 2.0, HORIZON, ICRS())):
        with pytest.raises(ValueError, match=r"auto_max_age = None and \.auto_download") as caught:
            make()
        assert "\n" not in str(caught.value)[-300:]
