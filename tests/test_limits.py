"""Scales, kernels and weights near the ends of what numbers can hold."""

import astropy.units as u
import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning
from helpers import make_wcs

from mpl_skyheat import Annulus, Moffat, sky_map, subplot


@pytest.mark.parametrize("radius", [1e-10, 1e-11, 1e-12, 1e-40])
@pytest.mark.parametrize("projection", ["SIN", "CAR"])
def test_pixels_finer_than_positions_are_refused(radius, projection):
    with pytest.raises(ValueError, match="radius must be at least 1e-09 deg, as positions are not"):
        subplot(center=(83.0, -5.0), radius=radius * u.deg, projection=projection)
    wcs = make_wcs(projection, cdelt=(-0.01 * radius, 0.01 * radius))
    with pytest.raises(ValueError, match=r"too fine|finer than positions have digits|no area"):
        sky_map([83.0], [-5.0], wcs=wcs, kernel=0.1 * radius * u.deg)


def test_a_scale_of_zero_is_refused():
    wcs = make_wcs()
    wcs.wcs.cd = [[0.1, 0.1], [0.1, 0.1]]
    with pytest.raises(ValueError, match="no area on the sky at the centre, 83, -5 deg"):
        sky_map([83.0], [-5.0], wcs=wcs, kernel="1 deg")
    wcs = make_wcs(cdelt=(0.0, 0.1))
    with pytest.raises(ValueError, match=r"wcs has keywords that contradict: .*singular"):
        sky_map([83.0], [-5.0], wcs=wcs, kernel="1 deg")


def test_wings_that_take_too_long_are_refused():
    wcs = make_wcs(center=(10.0, 41.8), shape=(16, 2), cdelt=(-2e-6, 2e-6))
    kernel = Moffat("4.6e-7 deg", 1.5)
    with pytest.raises(ValueError, match=r"kernel is too narrow for so much sky: .* products, as"):
        sky_map([10.0], [41.8], wcs=wcs, bins=(192, 178), kernel=kernel, geometry="sphere")


def test_a_ring_far_narrower_than_a_pixel_smooths_nothing():
    wcs, rng = make_wcs(), np.random.default_rng(1)
    points = rng.uniform(81.6, 84.4, 2000), rng.uniform(-5.9, -4.1, 2000)
    plain = sky_map(*points, wcs=wcs)
    with pytest.warns(AstropyUserWarning, match="pixels wide, and so smooths nothing"):
        same = sky_map(*points, wcs=wcs, kernel=Annulus("0.01 arcsec", "0.02 arcsec"))
    atol = 1e-9 * plain.data.max()
    np.testing.assert_allclose(same.data, plain.data, rtol=1e-9, atol=atol)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_weights_of_any_size_are_smoothed(size):
    wcs, rng = make_wcs(), np.random.default_rng(1)
    points = rng.uniform(81.6, 84.4, 200), rng.uniform(-5.9, -4.1, 200)
    one = sky_map(*points, wcs=wcs, kernel="12 arcmin")
    other = sky_map(*points, wcs=wcs, kernel="12 arcmin", weights=np.full(200, size))
    np.testing.assert_allclose(other.data / size, one.data, rtol=1e-6, atol=1e-12)
