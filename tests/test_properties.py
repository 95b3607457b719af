"""What holds for every catalogue and field: nothing is lost, and orientation does not matter."""

import astropy.units as u
import numpy as np
import pytest
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from mpl_skyheat import sky_map
from mpl_skyheat.catalogue import blocks as blocks_module
from mpl_skyheat.catalogue.reading import read_catalogue

FEW = settings(max_examples=25)
FEWER = settings(max_examples=15)  # where each makes four maps

longitudes = st.floats(-720, 720)
latitudes = st.floats(-90, 90)
nothing = st.sampled_from([np.nan, np.inf, -np.inf])
seeds = st.integers(0, 2**32 - 1)


def make_wcs(
    crval=(0.05, 42.2), crpix=(20.5, 15.5), cdelt=0.1, types=("RA---TAN", "DEC--TAN"), **more
):
    return WCS(
        {
            "CTYPE1": types[0],
            "CTYPE2": types[1],
            "CRVAL1": crval[0],
            "CRVAL2": crval[1],
            "CRPIX1": crpix[0],
            "CRPIX2": crpix[1],
            "CDELT1": -cdelt,
            "CDELT2": cdelt,
            **more,
        }
    )


# Points that are all off the map are warned of; here they are meant.
pytestmark = pytest.mark.filterwarnings("ignore:none of the")

SHAPE = (30, 40)
FIELDS = {
    "TAN": make_wcs(),
    "SIP": make_wcs(
        types=("RA---TAN-SIP", "DEC--TAN-SIP"),
        A_ORDER=2,
        B_ORDER=2,
        A_2_0=5e-4,
        A_1_1=-2e-4,
        B_0_2=-4e-4,
    ),
    "FK4 pole": make_wcs(crval=(10, 89.0), RADESYS="FK4", EQUINOX=1950.0),
    "all-sky AIT": make_wcs(crval=(0, 0), cdelt=9.0, types=("GLON-AIT", "GLAT-AIT")),
}
# Those that take long are slow tests.
SOME_FIELDS = [
    "TAN",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("SIP", "FK4 pole", "all-sky AIT")),
]
# Of each kind of grid, and smoothed or not.
OPTIONS = [
    {},
    {"bins": (7, 5)},
    {"pixel_size": 0.3 * u.deg},
    {"kernel": 2 * u.pix},
    {"kernel": 2 * u.pix, "boundary": "wrap"},
]


def suited(field, options):
    """Return options that make sense on a field."""
    if field != "all-sky AIT":
        return options
    if "pixel_size" in options:
        return {"pixel_size": 11 * u.deg}
    return {"kernel": 20 * u.deg} if options.get("kernel") == 2 * u.pix else options


def assert_same(first, second):
    """Assert that maps are the same to the bit; on the sphere, that their counts are."""
    np.testing.assert_array_equal(first.counts, second.counts)
    is_flat = first.meta["geometry"] == "plane"
    np.testing.assert_allclose(first.data, second.data, rtol=0 if is_flat else 1e-11)


def field_points(seed, n=300, wcs=FIELDS["TAN"]):
    """Random points on and around a field."""
    rng = np.random.default_rng(seed)
    sky = wcs.pixel_to_world(rng.uniform(-6, 46, n), rng.uniform(-6, 36, n)).icrs
    return sky.ra.deg, sky.dec.deg, rng.random(n)


@pytest.mark.parametrize("field", FIELDS)
@given(
    rows=st.lists(st.tuples(longitudes | nothing, latitudes | nothing.filter(np.isnan))),
    near=st.lists(st.tuples(st.floats(-4, 4), st.floats(38, 46))),
    options=st.sampled_from(OPTIONS),
)
@FEW
def test_every_row_is_inside_or_outside_or_dropped(field, rows, near, options):
    lon, lat = np.array(rows + near, float).reshape(-1, 2).T
    options = suited(field, options)
    skymap = sky_map(lon, lat, wcs=FIELDS[field], shape=SHAPE, **options)
    rows_by_fate = {key: skymap.meta[key] for key in ("inside", "outside", "dropped")}
    assert sum(rows_by_fate.values()) == skymap.meta["read"] == len(lon)
    assert skymap.counts.sum() == skymap.meta["inside"]
    assert skymap.meta["dropped"] == np.count_nonzero(~np.isfinite(lon) | ~np.isfinite(lat))


@pytest.mark.parametrize("field", ["TAN", "SIP"])
@given(seed=seeds, n=st.integers(0, 50))
@FEW
def test_points_within_the_view_are_inside_and_others_are_outside(field, seed, n):
    rng = np.random.default_rng(seed)
    x, y = (
        np.append(rng.uniform(-0.4, 39.4, n), [60, 10]),
        np.append(rng.uniform(-0.4, 29.4, n), [10, 50]),
    )
    skymap = sky_map(FIELDS[field].pixel_to_world(x, y), wcs=FIELDS[field], shape=SHAPE)
    assert skymap.meta["inside"] == n
    assert skymap.meta["outside"] == 2


@pytest.mark.parametrize("field", FIELDS)
@given(seed=seeds, options=st.sampled_from([*OPTIONS[:2], *OPTIONS[3:]]))
@FEW
def test_the_order_of_points_does_not_matter(field, seed, options):
    lon, lat, _ = field_points(seed, wcs=FIELDS[field])
    options = suited(field, options)
    order = np.random.default_rng(seed).permutation(len(lon))
    first = sky_map(lon, lat, wcs=FIELDS[field], shape=SHAPE, **options)
    second = sky_map(lon[order], lat[order], wcs=FIELDS[field], shape=SHAPE, **options)
    assert_same(first, second)


@given(seed=seeds, turns=st.integers(-2, 2))
@FEW
def test_whole_turns_of_longitude_do_not_matter(seed, turns):
    lon, lat, _ = field_points(seed)
    first = sky_map(lon, lat, wcs=FIELDS["TAN"], shape=SHAPE)
    second = sky_map(lon + 360 * turns, lat, wcs=FIELDS["TAN"], shape=SHAPE)
    np.testing.assert_array_equal(first.counts, second.counts)


@pytest.mark.parametrize("is_rotated", [False, True])
@given(seed=seeds)
@FEW
def test_a_declination_first_wcs_gives_the_transposed_map(is_rotated, seed):
    cos, sin = (0.8, 0.6) if is_rotated else (1.0, 0.0)
    plain = make_wcs(PC1_1=cos, PC1_2=-sin, PC2_1=sin, PC2_2=cos)
    # World axis i and pixel axis j of the one are 3 − i and 3 − j of the other.
    swapped = make_wcs(
        crval=(42.2, 0.05),
        crpix=(15.5, 20.5),
        cdelt=-0.1,
        types=("DEC--TAN", "RA---TAN"),
        PC1_1=cos,
        PC1_2=sin,
        PC2_1=-sin,
        PC2_2=cos,
    )
    lon, lat, weights = field_points(seed)
    for options in ({}, {"kernel": "18 arcmin"}, {"kernel": "18 arcmin", "boundary": "reflect"}):
        first = sky_map(lon, lat, wcs=plain, shape=SHAPE, **options)
        second = sky_map(lon, lat, wcs=swapped, shape=SHAPE[::-1], **options)
        np.testing.assert_array_equal(first.counts, second.counts.T)
        tolerance = 1e-9 * first.data.max()
        np.testing.assert_allclose(first.data, second.data.T, rtol=0, atol=tolerance)
    first = sky_map(lon, lat, wcs=plain, shape=SHAPE, bins=(8, 5), weights=weights)
    second = sky_map(lon, lat, wcs=swapped, shape=SHAPE[::-1], bins=(5, 8), weights=weights)
    np.testing.assert_array_equal(first.counts, second.counts.T)


@pytest.mark.parametrize("kernel", ["18 arcmin", 2 * u.pix], ids=str)
@given(seed=seeds)
@FEW
def test_a_field_turned_by_a_right_angle_gives_the_turned_map(kernel, seed):
    plain = make_wcs()
    # np.rot90 moves pixel (x, y) of (nx, ny) to (y, nx − 1 − x).
    ny, nx = SHAPE
    turned = make_wcs(crpix=(15.5, nx + 1 - 20.5), PC1_1=0.0, PC1_2=-1.0, PC2_1=1.0, PC2_2=0.0)
    lon, lat, _ = field_points(seed)
    first = sky_map(lon, lat, wcs=plain, shape=SHAPE, kernel=kernel)
    second = sky_map(lon, lat, wcs=turned, shape=(nx, ny), kernel=kernel)
    assert first.counts.sum() > 100
    np.testing.assert_array_equal(np.rot90(first.counts), second.counts)
    tolerance = 1e-9 * first.data.max()
    np.testing.assert_allclose(np.rot90(first.data), second.data, rtol=0, atol=tolerance)


@pytest.mark.parametrize("field", SOME_FIELDS)
@given(seed=seeds, rows=st.integers(30, 400), options=st.sampled_from(OPTIONS[:1] + OPTIONS[3:]))
@FEWER
def test_the_size_of_the_blocks_read_does_not_matter_to_the_bit(field, seed, rows, options):
    lon, lat, weights = field_points(seed, wcs=FIELDS[field])
    lat[::50] = np.nan
    options = {"wcs": FIELDS[field], "shape": SHAPE, **suited(field, options)}
    at_once = sky_map(lon, lat, **options)
    weighted_at_once = sky_map(lon, lat, weights=weights, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks_module, "BLOCK_ROWS", rows)
        in_blocks = sky_map(lon, lat, **options)
        weighted_in_blocks = sky_map(lon, lat, weights=weights, **options)
    assert in_blocks.meta == at_once.meta
    for first, second in ((in_blocks, at_once), (weighted_in_blocks, weighted_at_once)):
        assert_same(first, second)


def test_a_catalogue_is_read_in_blocks(monkeypatch):
    # As in the test above.
    monkeypatch.setattr(blocks_module, "BLOCK_ROWS", 4)
    catalogue = read_catalogue((np.arange(10.0), np.arange(10.0)))
    blocks = [block.lon.tolist() for block in catalogue.blocks()]
    assert blocks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("field", SOME_FIELDS)
@given(seed=seeds, cut=st.integers(0, 300))
@FEW
def test_the_counts_of_two_catalogues_add(field, seed, cut):
    lon, lat, _ = field_points(seed, wcs=FIELDS[field])
    for options in OPTIONS[:2]:
        options = {"wcs": FIELDS[field], "shape": SHAPE, **options}
        both = sky_map(lon, lat, **options)
        first = sky_map(lon[:cut], lat[:cut], **options)
        second = sky_map(lon[cut:], lat[cut:], **options)
        np.testing.assert_array_equal(both.counts, first.counts + second.counts)
        for key in ("read", "inside", "outside", "dropped"):
            assert both.meta[key] == first.meta[key] + second.meta[key]


@given(seed=seeds)
@FEW
def test_smoothed_maps_of_two_catalogues_add(seed):
    lon, lat, _ = field_points(seed)
    options = {"wcs": FIELDS["TAN"], "shape": SHAPE, "kernel": "18 arcmin"}
    both = sky_map(lon, lat, **options).data
    parts = sky_map(lon[:100], lat[:100], **options).data
    parts = parts + sky_map(lon[100:], lat[100:], **options).data
    np.testing.assert_allclose(both, parts, rtol=0, atol=1e-10 * both.max())
