"""Which places show sky, where the inverse of a WCS is inexact or an image has bounds."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import ICRS
from astropy.io import fits
from astropy.modeling import models
from astropy.wcs import WCS
from helpers import make_wcs

from mpl_skyheat import sky_map
from mpl_skyheat.sky.planes import plane_of_wcs

PIXEL = 3.4e-5  # deg, as of JWST's NIRCam


def detector(off=0.0, box=None, shape=(52, 50)):
    """A gwcs of a small field whose inverse is off by a number of pixels."""
    pytest.importorskip("gwcs")
    from gwcs import WCS as GWCS
    from gwcs import coordinate_frames

    to_sky = (
        (models.Shift(-25.5) & models.Shift(-24.5))
        | (models.Scale(-PIXEL) & models.Scale(PIXEL))
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(53.16, -27.79, 180)
    )
    to_sky.inverse = to_sky.inverse | (models.Shift(off) & models.Shift(-0.5 * off))
    plane = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(reference_frame=ICRS(), unit=(u.deg, u.deg))
    wcs = GWCS([(plane, to_sky), (sky, None)])
    wcs.pixel_shape, wcs.bounding_box = shape, box
    return wcs


@pytest.mark.parametrize("bins", [None, (104, 100), (520, 500)])
@pytest.mark.parametrize("off", [0.05, 1.0])
def test_an_inexact_inverse_loses_no_sky(off, bins):
    rng = np.random.default_rng(1)
    wcs = detector(off)
    lon, lat = wcs.pixel_to_world_values(rng.uniform(5, 45, 300), rng.uniform(5, 45, 300))
    found = sky_map(lon, lat, wcs=wcs, bins=bins, kernel="0.3 arcsec")
    assert not found.mask.any()
    area = 52 * 50 * np.radians(PIXEL) ** 2
    assert found.solid_angle.to_value(u.sr).sum() == pytest.approx(area, rel=1e-6)
    assert np.isfinite(found.data).all()


@pytest.mark.parametrize("off", [0.0, 0.05])
@pytest.mark.parametrize("kernel", ["2 arcsec", 2 * u.pix])
def test_the_sky_beyond_a_bounding_box_is_no_tear(off, kernel):
    wcs = detector(off, ((-0.5, 51.5), (-0.5, 49.5)))
    lon, lat = wcs.pixel_to_world_values(*np.mgrid[5:45, 5:45].reshape(2, -1).astype(float))
    found = sky_map(lon, lat, wcs=wcs, kernel=kernel)
    assert found.meta["planeerr"] < 1e-3
    assert found.meta["geometry"] == "plane"
    area = 52 * 50 * np.radians(PIXEL) ** 2
    # Of a strip as wide as the inverse is off, no position is in the box.
    assert found.solid_angle.to_value(u.sr).sum() == pytest.approx(area, rel=0.06 * off + 3e-6)


@pytest.mark.parametrize("code", ["TAN", "ZEA", "CAR", "TAN-SIP"])
@pytest.mark.parametrize("bins", [None, (60, 40)])
def test_the_bounds_of_a_fits_wcs_are_those_of_its_sky(code, bins):
    rng = np.random.default_rng(2)
    wcs = make_wcs(code[:3], center=(83.0, 0.0))
    if code.endswith("SIP"):
        header = wcs.to_header()
        header.update({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP"})
        header.update({"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-4, "B_0_2": -1e-4})
        wcs = WCS(header)
        wcs.pixel_shape = 30, 20
    wcs.pixel_bounds = (4.5, 24.5), (2.5, 16.5)
    if np.isfinite(wcs.pixel_to_world_values(0, 0)).all():
        pytest.skip("positions of this version of astropy do not end at the bounds")
    lon, lat = rng.uniform(81.2, 84.8, 800), rng.uniform(-1.2, 1.2, 800)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = sky_map(lon, lat, wcs=wcs, bins=bins, kernel="0.3 deg")
    assert found.meta["planeerr"] < 0.01
    assert found.counts.sum() == np.isfinite(wcs.world_to_pixel_values(lon, lat)).all(axis=0).sum()
    shown = found.solid_angle.to_value(u.deg**2).sum()
    assert shown == pytest.approx(20 * 14 * 0.01, rel=3e-3)
    again = sky_map(lon, lat, wcs=found.wcs, shape=found.data.shape)
    np.testing.assert_array_equal(again.counts, found.counts)
    np.testing.assert_allclose(again.solid_angle, found.solid_angle, rtol=1e-6, atol=1e-15)


def test_a_wcs_with_tables_of_coordinates():
    header, steps = fits.Header({"NAXIS": 2, "NAXIS1": 40, "NAXIS2": 40}), np.arange(40)
    for axis, name in enumerate(("RA---TAB", "DEC--TAB"), 1):
        keywords = {"CTYPE": name, "CUNIT": "deg", "CRPIX": 1.0, "CRVAL": 1.0, "CDELT": 1.0}
        header.update({f"{key}{axis}": value for key, value in keywords.items()})
        header.update({f"PS{axis}_0": "T", f"PS{axis}_1": f"c{axis}"})
        header.update({f"PV{axis}_1": 1, f"PV{axis}_3": 1})
    tables = 152 - 0.1 * steps - 5e-4 * steps**1.5, -2 + 0.1 * steps
    columns = [
        fits.Column(f"c{i}", "40D", dim="(1,40)", array=table[np.newaxis, :, np.newaxis])
        for i, table in enumerate(tables, 1)
    ]
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="T")])
    wcs = WCS(header, hdus)
    wcs.pixel_shape = 40, 40
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(148, 152, 500), rng.uniform(-2, 2, 500)
    found = sky_map(lon, lat, wcs=wcs, kernel="0.3 deg")
    x, y = wcs.world_to_pixel_values(lon, lat)
    want, _, _ = np.histogram2d(y, x, bins=40, range=[(-0.5, 39.5)] * 2)
    np.testing.assert_array_equal(found.counts, want)
    assert found.meta["planeerr"] < 0.01
    assert not plane_of_wcs(wcs).is_smooth  # its polynomials have kinks
    (west, south), (east, north) = (wcs.pixel_to_world_values(*[p] * 2) for p in (-0.5, 39.5))
    area = (west - east) * np.degrees(np.sin(np.radians(north)) - np.sin(np.radians(south)))
    assert found.solid_angle.to_value(u.deg**2).sum() == pytest.approx(area, rel=1e-6)


@pytest.mark.parametrize("code", ["CAR", "SFL", "COE"])
@pytest.mark.parametrize("pixel_size", ["3 deg", "1.3 deg"])
def test_repeated_sky_is_none_however_fine_the_pixels_are(code, pixel_size):
    """Beside ±180 deg and near the pole, where both sides of the cut are close together."""
    is_cone = code == "COE"
    wcs = make_wcs(code, shape=(400, 360), center=(0.0, 45.0 * is_cone), cdelt=(-1.0, 1.0))
    if is_cone:
        wcs.wcs.set_pv([(2, 1, 45.0)])
    found = sky_map([10.0], [10.0], wcs=wcs, pixel_size=pixel_size)
    assert found.solid_angle.to_value(u.sr).sum() == pytest.approx(4 * np.pi, rel=3e-4)


def test_the_size_of_a_cube_is_that_of_its_celestial_axes():
    header = make_wcs().to_header()
    header.update({"NAXIS": 3, "NAXIS1": 30, "NAXIS2": 20, "NAXIS3": 7})
    header.update({"WCSAXES": 3, "CTYPE3": "FREQ", "CUNIT3": "Hz", "CRPIX3": 1.0, "CDELT3": 1e6})
    assert sky_map([83.0], [-5.0], wcs=WCS(header, naxis=2)).data.shape == (20, 30)
    with pytest.raises(ValueError, match=r"^wcs must have two celestial axes; got 3 pixel"):
        sky_map([83.0], [-5.0], wcs=WCS(header))


@pytest.mark.parametrize("wrong", ["GCRS", "icrs", "J2000"])
def test_an_unknown_radesys_is_named(wrong):
    wcs = make_wcs()
    wcs.wcs.radesys = wrong
    with pytest.raises(ValueError, match=rf"wcs must have a RADESYS of ICRS, .*got '{wrong}'"):
        sky_map([83.0], [-5.0], wcs=wcs)
