"""Arithmetic of maps, and maps that are drawn again."""

import numpy as np
import pytest
from astropy import units as u
from astropy.wcs import WCS

from mpl_skyheat import sky_map


def wcs_at(ra=50.0):
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": 20}
    return WCS(header | {"CRPIX1": 10.5, "CRPIX2": 8.5, "CDELT1": -0.1, "CDELT2": 0.1})


def made(seed, ra=50.0, shape=(16, 20), **more):
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(49.2, 50.8, 2000), rng.uniform(19.4, 20.6, 2000)
    return sky_map(lon, lat, wcs=wcs_at(ra), shape=shape, **more)


A, B = made(1, label="red"), made(2, label="blue", unit="arcmin-2")


@pytest.mark.parametrize(
    ("word", "sign", "method"),
    [
        ("sum", "+", "add"),
        ("difference", "−", "subtract"),
        ("product", "×", "multiply"),
        ("quotient", "/", "divide"),
    ],
)
def test_maps_with_the_same_pixels_are_combined(word, sign, method):
    a, b = (m.data * m.unit for m in (A, B))
    operation = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}
    result = getattr(A, method)(B)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = operation.get(method, np.divide)(a, b)
    assert result.unit == (u.dimensionless_unscaled if method == "divide" else expected.unit)
    known = np.isfinite(expected)
    np.testing.assert_allclose(result.data[known], expected.to_value(result.unit)[known])
    assert (result.mask == ~known).all()
    assert result.solid_angle is A.solid_angle
    assert result.wcs is A.wcs
    assert result.meta["statistic"] == word
    assert result.meta["label"] == f"red {sign} blue"
    assert "read" not in result.meta or A.meta["read"] == B.meta["read"]


def test_a_map_takes_numbers_and_quantities_on_both_sides():
    one = 1 / u.deg**2
    for result, expected, word in [
        (2 * A, 2 * A.data, "density"),
        (A / 2, 0.5 * A.data, "density"),
        (A - one, A.data - 1, "difference"),
        (one - A, 1 - A.data, "difference"),
        (A / one, A.data, "quotient"),
        (one * A, A.data, "product"),
    ]:
        np.testing.assert_allclose(result.data, expected)
        assert result.meta["statistic"] == word
        assert result.solid_angle is A.solid_angle


@pytest.mark.parametrize("more", [{"ra": 51.0}, {"shape": (16, 21)}], ids=str)
def test_maps_of_other_pixels_are_refused(more):
    with pytest.raises(ValueError, match="maps must have the same pixels; got"):
        A - made(1, **more)
