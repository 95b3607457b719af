"""The counts of a map are astropy's: SkyCoord, WCS.world_to_pixel, floor(x + 0.5), pixel by pixel.

Also: the pixels of a map that is not cut along the WCS's own pixels are where its own WCS says.
"""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import BarycentricMeanEcliptic, SkyCoord, Supergalactic
from astropy.wcs import WCS
from matplotlib.figure import Figure

from mpl_skyheat import sky_map

# Every projection that astropy knows, and the parameters that some need or that make them general.
PROJECTIONS = {
    "AZP": {"PV2_1": 2.0, "PV2_2": 30.0},
    "SZP": {"PV2_1": 2.0, "PV2_2": 30.0, "PV2_3": 60.0},
    "TAN": {},
    "STG": {},
    "SIN": {"PV2_1": 0.1, "PV2_2": -0.2},
    "ARC": {},
    "ZPN": {"PV2_0": 0.05, "PV2_1": 0.975, "PV2_2": -0.1},
    "ZEA": {},
    "AIR": {"PV2_1": 45.0},
    "CYP": {"PV2_1": 1.0, "PV2_2": 0.7},
    "CEA": {"PV2_1": 0.8},
    "CAR": {},
    "MER": {},
    "SFL": {},
    "PAR": {},
    "MOL": {},
    "AIT": {},
    "COP": {"PV2_1": 45.0, "PV2_2": 25.0},
    "COE": {"PV2_1": 45.0, "PV2_2": 25.0},
    "COD": {"PV2_1": 45.0, "PV2_2": 25.0},
    "COO": {"PV2_1": 45.0, "PV2_2": 25.0},
    "BON": {"PV2_1": 45.0},
    "PCO": {},
    "TSC": {},
    "CSC": {},
    "QSC": {},
    "HPX": {},
    "XPH": {},
}
NATIVE_LATITUDE = dict.fromkeys(("AZP", "SZP", "TAN", "STG", "SIN", "ARC", "ZPN", "ZEA"), 90.0)
NATIVE_LATITUDE |= {"AIR": 90.0, "XPH": 90.0}
NATIVE_LATITUDE |= dict.fromkeys(("COP", "COE", "COD", "COO"), 45.0)

# A field of 3.6 deg x 2.8 deg whose centre is not CRPIX; its points reach beyond it.
FIELD_SHAPE = (70, 90)
FIELD = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 150.1,
    "CRVAL2": 42.2,
    "CRPIX1": 40.3,
    "CRPIX2": 37.7,
    "CDELT1": -0.04,
    "CDELT2": 0.04,
}
COS, SIN = np.cos(np.radians(33)), np.sin(np.radians(33))
PC = {"PC1_1": COS, "PC1_2": -SIN, "PC2_1": SIN, "PC2_2": COS}
CD = {"CD1_1": -0.04 * COS, "CD1_2": 0.05 * SIN, "CD2_1": 0.04 * SIN, "CD2_2": 0.05 * COS}
SIP = {
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 2,
    "B_ORDER": 2,
    "A_2_0": 3e-4,
    "A_1_1": -1e-4,
    "B_0_2": -2e-4,
    "B_1_1": 1e-4,
}
TPV = {
    "CTYPE1": "RA---TPV",
    "CTYPE2": "DEC--TPV",
    "PV1_1": 1.0,
    "PV1_4": 0.01,
    "PV1_7": 0.002,
    "PV2_1": 1.0,
    "PV2_5": -0.01,
}
DEC_FIRST = {
    "CTYPE1": "DEC--TAN",
    "CTYPE2": "RA---TAN",
    "CRVAL1": 42.2,
    "CRVAL2": 150.1,
    "CDELT1": 0.05,
    "CDELT2": -0.04,
}


def without_cdelt(header):
    return {key: value for key, value in header.items() if not key.startswith("CDELT")}


FIELDS = {
    "plain": FIELD,
    "PC": FIELD | PC,
    "CD": without_cdelt(FIELD) | CD,
    "flipped parity": FIELD | {"CDELT1": 0.04},
    "upside down": FIELD | {"CDELT2": -0.05},
    "Dec first": FIELD | DEC_FIRST,
    "Dec first, PC": FIELD | DEC_FIRST | PC,
    "SIP": FIELD | SIP,
    "SIP, CD": without_cdelt(FIELD) | SIP | CD,
    "TPV": without_cdelt(FIELD) | TPV | CD,
    # WCSLIB applies the polynomial before CDELT, to pixels.
    "TPV, CDELT": FIELD | TPV | {"PV1_4": 1e-4, "PV1_7": 1e-6, "PV2_5": -1e-4},
    "FK5": FIELD | {"RADESYS": "FK5", "EQUINOX": 2000.0},
    "FK5 of 1975": FIELD | {"RADESYS": "FK5", "EQUINOX": 1975.0},
    "FK4": FIELD | {"RADESYS": "FK4", "EQUINOX": 1950.0},
    "Galactic": FIELD
    | {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN", "CRVAL1": 177.6, "CRVAL2": 52.5},
    "on the pole": FIELD | {"CRVAL2": 90.0},
    "across 0h": FIELD | {"CRVAL1": 0.0},
}


def make_wcs(header):
    wcs = WCS(header)
    wcs.pixel_shape = None
    return wcs


def points_around(wcs, shape, n=6000, seed=1):
    """Positions all over a field and a little beyond, in ICRS."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    x, y = rng.uniform(-8, nx + 8, n), rng.uniform(-8, ny + 8, n)
    return wcs.pixel_to_world(x, y).icrs


def points_all_over(n=6000, seed=2):
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return SkyCoord(lon, lat, unit="deg")


def histogram(x, y, shape):
    """Count points by floor(x + 0.5), floor(y + 0.5)."""
    column, row = np.floor(x + 0.5), np.floor(y + 0.5)
    ny, nx = shape
    inside = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    counts = np.zeros(shape, int)
    np.add.at(counts, (row[inside].astype(int), column[inside].astype(int)), 1)
    assert counts.sum() > 100  # else the comparison says little
    return counts


@pytest.mark.parametrize("is_rotated", [False, True], ids=["native", "rotated"])
@pytest.mark.parametrize(
    "projection",
    # (wcslib takes long for PCO.)
    [pytest.param(p, marks=[pytest.mark.slow] if p == "PCO" else []) for p in PROJECTIONS],
)
def test_counts_are_astropys_on_every_projection(projection, is_rotated):
    header = {
        "CTYPE1": f"RA---{projection}",
        "CTYPE2": f"DEC--{projection}",
        "CRVAL1": 0.0,
        "CRVAL2": NATIVE_LATITUDE.get(projection, 0.0),
        "CRPIX1": 38.3,
        "CRPIX2": 28.6,
        "CDELT1": -5.3,
        "CDELT2": 5.1,
    }
    if is_rotated:
        header |= {"CRVAL1": 83.0, "CRVAL2": 21.0, "LONPOLE": 30.0}
    wcs = make_wcs(header | PROJECTIONS[projection])
    stars, shape = points_all_over(), (60, 75)
    expected = histogram(*wcs.world_to_pixel(stars), shape)
    np.testing.assert_array_equal(sky_map(stars, wcs=wcs, shape=shape).counts, expected)


@pytest.mark.parametrize("name", FIELDS)
def test_counts_are_astropys_for_every_orientation_distortion_and_frame(name):
    wcs = make_wcs(FIELDS[name])
    stars = points_around(wcs, FIELD_SHAPE)
    expected = histogram(*wcs.world_to_pixel(stars), FIELD_SHAPE)
    np.testing.assert_array_equal(sky_map(stars, wcs=wcs, shape=FIELD_SHAPE).counts, expected)


@pytest.mark.parametrize("frame", ["fk5", "fk4", "galactic", "barycentricmeanecliptic"])
def test_counts_are_astropys_for_catalogues_in_every_frame(frame):
    wcs = make_wcs(FIELD)
    stars = points_around(wcs, FIELD_SHAPE).transform_to(frame)
    expected = histogram(*wcs.world_to_pixel(stars), FIELD_SHAPE)
    lon, lat = stars.spherical.lon.deg, stars.spherical.lat.deg
    for points in [(stars,), (lon, lat)]:
        counts = sky_map(*points, frame=frame, wcs=wcs, shape=FIELD_SHAPE).counts
        np.testing.assert_array_equal(counts, expected)


ODD_FRAMES = {
    "ecliptic": ("ELON", "ELAT", {}, BarycentricMeanEcliptic(equinox="J2000")),
    "ecliptic, latitude first": ("ELAT", "ELON", {}, BarycentricMeanEcliptic(equinox="J2000")),
    "ecliptic, RADESYS ICRS": (
        "ELON",
        "ELAT",
        {"RADESYS": "ICRS"},
        BarycentricMeanEcliptic(equinox="J2000"),
    ),
    "ecliptic, RADESYS FK5": (
        "ELON",
        "ELAT",
        {"RADESYS": "FK5", "EQUINOX": 2000.0},
        BarycentricMeanEcliptic(equinox="J2000"),
    ),
    "ecliptic, EQUINOX 2015.5": (
        "ELON",
        "ELAT",
        {"EQUINOX": 2015.5},
        BarycentricMeanEcliptic(equinox="J2015.5"),
    ),
    "supergalactic": ("SLON", "SLAT", {}, Supergalactic()),
    "supergalactic, latitude first": ("SLAT", "SLON", {}, Supergalactic()),
}


@pytest.mark.parametrize("name", ODD_FRAMES)
def test_counts_are_right_where_astropy_does_not_know_the_frame(name):
    first, second, system, frame = ODD_FRAMES[name]
    latitude_first = first.endswith("LAT")
    centre = {"CRVAL1": 20.0, "CRVAL2": 140.0} if latitude_first else {"CRVAL1": 140.0}
    wcs = make_wcs(FIELD | {"CTYPE1": f"{first}-TAN", "CTYPE2": f"{second}-TAN"} | centre | system)
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-8, 98, 6000), rng.uniform(-8, 78, 6000)
    world = wcs.wcs_pix2world(x, y, 0)
    lon, lat = world[::-1] if latitude_first else world
    stars = SkyCoord(lon, lat, unit="deg", frame=frame).icrs

    moved = stars.transform_to(frame).spherical
    world = (moved.lat, moved.lon) if latitude_first else (moved.lon, moved.lat)
    expected = histogram(*wcs.wcs_world2pix(*(w.deg for w in world), 0), FIELD_SHAPE)
    np.testing.assert_array_equal(sky_map(stars, wcs=wcs, shape=FIELD_SHAPE).counts, expected)


def test_pixels_of_a_large_wcs_are_merged_k_by_k():
    shape = (1500, 2600)
    wcs = make_wcs(FIELD | {"CDELT1": -0.002, "CDELT2": 0.002, "CRPIX1": 1300, "CRPIX2": 750})
    stars = points_around(wcs, shape, n=50_000)
    x, y = wcs.world_to_pixel(stars)
    # 2600 pixels need k = 3 to be at most 1024.
    expected = histogram((x + 0.5) / 3 - 0.5, (y + 0.5) / 3 - 0.5, (500, 867))
    np.testing.assert_array_equal(drawn(stars, wcs=wcs, shape=shape).counts, expected)
    # A map without a picture keeps them.
    expected = histogram(x, y, shape)
    np.testing.assert_array_equal(sky_map(stars, wcs=wcs, shape=shape).counts, expected)


def drawn(*points, wcs, shape):
    wcs = wcs.deepcopy()
    wcs.pixel_shape = shape[::-1]
    return Figure().add_subplot(projection=wcs).sky_heatmap(*points).sky_map


@pytest.mark.filterwarnings("ignore:none of the")
def test_1024_pixels_are_not_merged():
    wcs = make_wcs(FIELD)
    for size, merged in ((1024, (10, 1024)), (1025, (5, 513))):
        assert drawn([150.1], [42.2], wcs=wcs, shape=(10, size)).counts.shape == merged


@pytest.mark.parametrize("name", FIELDS)
def test_counts_on_a_pixel_size_grid_are_those_by_the_maps_own_wcs(name):
    wcs = make_wcs(FIELDS[name])
    stars = points_around(wcs, FIELD_SHAPE)
    skymap = sky_map(stars, wcs=wcs, shape=FIELD_SHAPE, pixel_size=5 * u.arcmin)
    expected = histogram(*skymap.wcs.world_to_pixel(stars), skymap.counts.shape)
    np.testing.assert_array_equal(skymap.counts, expected)


@pytest.mark.parametrize("name", ["plain", "PC", "CD", "Dec first", "FK4"])
def test_counts_on_a_pixel_size_grid_are_equal_steps_of_the_wcs(name):
    wcs = make_wcs(FIELDS[name])
    stars = points_around(wcs, FIELD_SHAPE)
    skymap = sky_map(stars, wcs=wcs, shape=FIELD_SHAPE, pixel_size=5 * u.arcmin)
    # CRPIX is one point of the sky in either; two more tell the steps.
    scale = np.linalg.inv(wcs.pixel_scale_matrix) @ skymap.wcs.pixel_scale_matrix
    assert scale == pytest.approx(np.diag(np.diag(scale)), abs=1e-12)
    step = np.diag(scale)
    origin = wcs.wcs.crpix - 1 - step * (skymap.wcs.wcs.crpix - 0.5)
    pixels = [
        (v - x0) / s - 0.5 for v, x0, s in zip(wcs.world_to_pixel(stars), origin, step, strict=True)
    ]
    np.testing.assert_array_equal(skymap.counts, histogram(*pixels, skymap.counts.shape))


@pytest.mark.parametrize("name", ["plain", "PC", "Dec first", "SIP", "Galactic"])
def test_bins_are_equal_parts_of_the_view_along_x_and_y(name):
    wcs = make_wcs(FIELDS[name])
    stars = points_around(wcs, FIELD_SHAPE)
    x, y = wcs.world_to_pixel(stars)
    expected, _, _ = np.histogram2d(y, x, bins=(13, 17), range=[(-0.5, 69.5), (-0.5, 89.5)])
    counts = sky_map(stars, wcs=wcs, shape=FIELD_SHAPE, bins=(17, 13)).counts
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("boundary", ["sky", "fill", "wrap", "reflect"])
def test_smoothing_leaves_the_counts_alone(boundary):
    wcs = make_wcs(FIELD)
    stars = points_around(wcs, FIELD_SHAPE)
    expected = histogram(*wcs.world_to_pixel(stars), FIELD_SHAPE)
    smoothed = sky_map(
        stars, wcs=wcs, shape=FIELD_SHAPE, kernel="12 arcmin", boundary=boundary, statistic="count"
    )
    np.testing.assert_array_equal(smoothed.counts, expected)
    assert not np.array_equal(smoothed.data, expected)


@pytest.mark.filterwarnings("ignore:none of the")
@pytest.mark.parametrize("name", ["plain", "SIP", "TPV"])
def test_points_that_are_all_on_the_far_side_of_the_sky_are_outside(name):
    skymap = sky_map([330.0, 331.0], [-42.0, -43.0], wcs=make_wcs(FIELDS[name]), shape=FIELD_SHAPE)
    assert skymap.counts.sum() == 0
    assert skymap.meta["outside"] == 2


def test_counts_are_integers_unless_weighted():
    wcs = make_wcs(FIELD)
    stars = points_around(wcs, FIELD_SHAPE)
    plain = sky_map(stars, wcs=wcs, shape=FIELD_SHAPE, kernel="12 arcmin")
    assert plain.counts.dtype == np.int64
    weighted = sky_map(stars, wcs=wcs, shape=FIELD_SHAPE, weights=np.full(len(stars), 0.5))
    assert weighted.counts.dtype == np.float64
    np.testing.assert_array_equal(weighted.counts, 0.5 * plain.counts)


def test_counts_are_those_of_a_gwcs():
    pytest.importorskip("gwcs")
    from astropy.coordinates import ICRS
    from astropy.modeling import models
    from gwcs import WCS as GWCS
    from gwcs import coordinate_frames

    to_sky = (
        (models.Shift(-39.3) & models.Shift(-36.7))
        | (models.Scale(-0.04) & models.Scale(0.04))
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(150.1, 42.2, 180)
    )
    detector = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(reference_frame=ICRS(), unit=(u.deg, u.deg))
    gwcs = GWCS([(detector, to_sky), (sky, None)])
    stars = points_around(make_wcs(FIELD), FIELD_SHAPE)
    expected = histogram(*gwcs.world_to_pixel(stars), FIELD_SHAPE)
    np.testing.assert_array_equal(sky_map(stars, wcs=gwcs, shape=FIELD_SHAPE).counts, expected)

    binned = sky_map(stars, wcs=gwcs, shape=FIELD_SHAPE, pixel_size=5 * u.arcmin)
    expected = histogram(*binned.wcs.world_to_pixel(stars), binned.counts.shape)
    np.testing.assert_array_equal(binned.counts, expected)


@pytest.mark.parametrize("name", FIELDS)
def test_the_pixels_of_new_bins_are_where_the_maps_wcs_says(name):
    wcs = make_wcs(FIELDS[name])
    stars = points_around(wcs, FIELD_SHAPE)
    weights = np.random.default_rng(4).random(len(stars))  # so that no two pixels are alike
    skymap = sky_map(stars, wcs=wcs, shape=FIELD_SHAPE, bins=(9, 5), weights=weights)

    column, row = np.meshgrid(np.arange(9), np.arange(5))
    positions = skymap.wcs.pixel_to_world(column, row)
    # Nine bins over 90 pixels, from the edge at −0.5 on; five over 70.
    centres = wcs.pixel_to_world(10 * column + 4.5, 14 * row + 6.5)
    assert positions.separation(centres).arcsec.max() < 1e-6
    back = skymap.wcs.world_to_pixel(centres)
    np.testing.assert_allclose(back, [column, row], atol=1e-7)

    assert len(np.unique(skymap.data)) == 45
    np.testing.assert_array_equal(skymap.value_at(centres).value, skymap.data)
    assert skymap.value_at(centres).unit == skymap.unit
