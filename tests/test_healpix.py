"""Maps on the pixels of HEALPix, and files of them."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from helpers import make_wcs

from mpl_skyheat import Gaussian, SkyMap, sky_map

pytest.importorskip("astropy_healpix")

rng = np.random.default_rng(5)
SKY = SkyCoord(
    rng.uniform(0, 360, 4000), np.degrees(np.arcsin(rng.uniform(-1, 1, 4000))), unit="deg"
)
FIELD = SkyCoord(rng.uniform(81, 85, 4000), rng.uniform(-7, -3, 4000), unit="deg")


def made(wcs=None, **kwargs):
    wcs = make_wcs(cdelt=(-0.4, 0.4)) if wcs is None else wcs
    return sky_map(FIELD, wcs=wcs, **kwargs)


def whole_sky(code="CAR", lon=0.0, step=2.0, **kwargs):
    """A map of the whole sky, whose left edge is opposite to ``lon``, and the wcs of it."""
    n = round(360 / step)
    wcs = make_wcs(code, shape=(n, n // 2), center=(lon, 0), cdelt=(-step, step))
    return sky_map(SKY, wcs=wcs, **kwargs)


@pytest.mark.parametrize("nside", [4, 16, 32, 128])
@pytest.mark.parametrize("statistic", ["density", "count"])
@pytest.mark.parametrize("kernel", [None, "5 deg"], ids=str)
@pytest.mark.parametrize("code", ["CAR", "AIT", "MOL"])
def test_sums_are_kept_on_coarser_and_finer_pixels(code, kernel, statistic, nside):
    field = whole_sky(code, statistic=statistic, kernel=kernel)
    values, pixels = field.to_healpix(nside)
    assert (values.shape, values.unit) == ((pixels.npix,), field.unit)
    assert np.isfinite(values).all()
    area = pixels.pixel_area if statistic == "density" else 1
    assert (values * area).sum().to_value("") == pytest.approx(len(SKY), rel=0.01)


@pytest.mark.parametrize("order", ["ring", "nested"])
@pytest.mark.parametrize("frame", [None, "galactic"])
@pytest.mark.parametrize("lon", [0.0, 180.0])
def test_values_are_those_of_the_sky_at_poles_and_at_0h_too(lon, frame, order):
    # A map of a smooth function of the position: a plane wave through the sphere.
    def wave(coords):
        return 3 + np.sin(np.tensordot([3.0, 2.0, 4.0], coords.cartesian.xyz.value, 1))

    field = whole_sky(lon=lon, kernel="4 deg")
    y, x = np.indices(field.data.shape)
    smooth = SkyMap(wave(field.wcs.pixel_to_world(x, y)), wcs=field.wcs, unit="K",
                    solid_angle=field.solid_angle, meta=field.meta)  # fmt: skip
    smooth.kernel = Gaussian("4 deg")
    values, pixels = smooth.to_healpix(64, order=order, frame=frame)
    places = pixels.healpix_to_skycoord(np.arange(pixels.npix)).icrs
    np.testing.assert_allclose(values.value, wave(places), rtol=0, atol=2e-4)
    coarse, pixels = smooth.to_healpix(8, order=order, frame=frame)
    places = pixels.healpix_to_skycoord(np.arange(pixels.npix)).icrs
    np.testing.assert_allclose(coarse.value, wave(places), rtol=0, atol=0.05)


def test_healpix_pixels_off_the_map_have_no_value():
    field = made(kernel="1 deg")
    values, pixels = field.to_healpix(128)
    places = pixels.healpix_to_skycoord(np.arange(pixels.npix))
    x, y = field.wcs.world_to_pixel(places)
    inside = (np.abs(x - 14.5) < 15) & (np.abs(y - 9.5) < 10)
    np.testing.assert_array_equal(np.isfinite(values), inside)
    expected = field.value_at(places[inside], interpolate=True)
    np.testing.assert_allclose(values[inside], expected)


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"nside": 100}, ValueError, "nside must be a power of two, such as 256; got 100"),
        ({"nside": True}, ValueError, "nside must be a power of two, such as 256; got True"),
        ({"nside": 2**20}, ValueError, r"nside=1048576 takes 5.9e\+05 GiB, more than half"),
        ({"nside": 8, "order": "nest"}, ValueError, "order must be 'ring' or 'nested'; got 'nest'"),
        ({"nside": 8, "frame": "galatic"}, ValueError, r"frame must be .* mean 'galactic'\?"),
    ],
)
def test_arguments_of_to_healpix_are_checked(kwargs, error, text):
    with pytest.raises(error, match=text):
        made().to_healpix(**kwargs)


def test_a_map_that_shows_no_sky_has_no_healpix():
    flat = sky_map([1, 2], [3, 4], frame="flat", bins=(4, 4))
    with pytest.raises(TypeError, match="to_healpix needs a map of the sky; got one of Cartesian"):
        flat.to_healpix(8)


@pytest.mark.parametrize("order", ["ring", "nested"])
@pytest.mark.parametrize(("frame", "letter"), [(None, "C"), ("galactic", "G")])
def test_healpy_reads_the_file(order, frame, letter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    healpy = pytest.importorskip("healpy")
    field = made(kernel="1 deg")
    field.write("map.fits", format="healpix", nside=128, order=order, frame=frame)
    values, header = healpy.read_map("map.fits", h=True, nest=order == "nested", dtype=float)
    header = dict(header)
    assert (header["PIXTYPE"], header["COORDSYS"]) == ("HEALPIX", letter)
    assert header["ORDERING"] == {"ring": "RING", "nested": "NESTED"}[order]
    assert header["TUNIT1"] == "deg-2"
    place = SkyCoord(83.0, -5.0, unit="deg").transform_to(frame or "icrs").spherical
    pixel = healpy.ang2pix(128, place.lon.deg, place.lat.deg, lonlat=True, nest=order == "nested")
    there = healpy.pix2ang(128, pixel, lonlat=True, nest=order == "nested")
    expected = field.value_at(*there, frame=frame or "icrs", interpolate=True)
    assert values[pixel] == pytest.approx(expected.value)
    assert (values == healpy.UNSEEN).sum() == healpy.nside2npix(128) - (values >= 0).sum()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        field.write("map.fits", "healpix", nside=8)


def test_frames_that_healpix_files_have_no_name_for_are_refused(tmp_path):
    wcs = make_wcs()
    wcs.wcs.radesys, wcs.wcs.equinox = "FK4", 1950.0
    with pytest.raises(ValueError, match=r"frame must be one that HEALPix files .* got 'fk4'"):
        made(wcs).write(tmp_path / "map.fits", format="healpix", nside=8)


def test_sums_and_differences_of_counts_grow_with_the_pixel_too():
    counts = made(kernel="1 deg", statistic="count")
    expected = counts.to_healpix(32)[0]
    for other in (counts - 0.5 * counts, (counts + counts) / 4, -1 * (counts * 0.5 - counts)):
        np.testing.assert_allclose(other.to_healpix(32)[0], 0.5 * expected)
    for ratio in (counts / counts, (counts + counts) / (counts + counts)):
        values = ratio.to_healpix(32)[0]
        np.testing.assert_allclose(values[np.isfinite(values)], 1)
    assert not made(kernel="1 deg").meta.get("perpixel")
