"""Kernels and their rasters against analytic profiles, areas and moments, and astropy's kernels."""

import astropy.units as u
import numpy as np
import pytest
from astropy.convolution import Gaussian2DKernel
from scipy.special import erf

from mpl_skyheat import Annulus, Epanechnikov, Gaussian, Moffat, TopHat
from mpl_skyheat.smoothing.kernels import as_kernel

ARCMIN = np.radians(1 / 60)
ARCMIN_PIXEL = np.eye(2) * ARCMIN**2


def rotated(angle):
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([[cos, -sin], [sin, cos]])


# What one step along x and along y moves on the sky, in arcmin.
PIXELS = {
    "square": np.diag([1.0, 1.0]),
    "flipped": np.diag([-1.0, 1.0]),
    "wide": np.diag([-1.5, 0.7]),
    "tall": np.diag([0.5, 1.4]),
    "rotated": rotated(33),
    "rotated, wide": rotated(33) @ np.diag([1.5, 0.7]),
    "sheared": np.array([[1.0, 0.6], [0.0, 0.9]]),
    "sheared, rotated": rotated(-50) @ np.array([[1.2, -0.5], [0.2, 0.8]]),
}


def metric_of(jacobian):
    return ARCMIN**2 * jacobian.T @ jacobian


def offsets(raster):
    """The x and y of a raster's pixels from its centre."""
    rows, columns = raster.shape
    return np.meshgrid(np.arange(columns) - columns // 2, np.arange(rows) - rows // 2)


def covariance_on_sky(raster, jacobian):
    x, y = offsets(raster)
    sky = np.tensordot(jacobian, np.stack([x, y]), axes=1)
    return np.einsum("ayx,byx,yx->ab", sky, sky, raster)


def disc_in_pixels(radius, half, samples=4001):
    """The area of a disc in every pixel, from the lengths of its chords."""
    t = (np.arange(samples) + 0.5) / samples - 0.5
    numbers = np.arange(-half, half + 1)
    chord = np.sqrt(np.maximum(radius**2 - (numbers[:, None] + t) ** 2, 0))
    upper = np.minimum(numbers[:, None, None] + 0.5, chord)
    lower = np.maximum(numbers[:, None, None] - 0.5, -chord)
    return np.maximum(upper - lower, 0).mean(axis=2)


KERNELS = [
    Gaussian("2 arcmin"),
    Gaussian("0.1 arcmin"),
    Gaussian(2 * u.pix),
    Gaussian(0.2 * u.pix),
    TopHat("5 arcmin"),
    TopHat("0.3 arcmin"),
    TopHat(3 * u.pix),
    Epanechnikov("5 arcmin"),
    Epanechnikov(0.4 * u.pix),
    Moffat("4 arcmin"),
    Moffat("4 arcmin", beta=2.5),
    Moffat(3 * u.pix),
    Annulus("3 arcmin", "5 arcmin"),
    Annulus(2 * u.pix, 3.5 * u.pix),
]


@pytest.mark.parametrize("pixel", PIXELS)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_a_raster_sums_to_one_is_odd_and_has_the_symmetry_of_the_pixels(kernel, pixel):
    metric = metric_of(PIXELS[pixel])
    raster = kernel.raster(metric)
    assert raster.sum() == pytest.approx(1, abs=1e-12)
    assert (raster >= 0).all()
    half_x, half_y = kernel.half_sizes(metric)
    assert raster.shape == (2 * half_y + 1, 2 * half_x + 1)
    np.testing.assert_allclose(raster, raster[::-1, ::-1], atol=1e-15)


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1, 1.3, 2, 2.5, 5])
def test_a_gaussian_in_pixels_is_astropys(sigma):
    expected = Gaussian2DKernel(sigma)
    expected.normalize()
    for kernel in (Gaussian(sigma * u.pix), as_kernel(sigma * u.pix)):
        # Whatever the pixels are on the sky.
        raster = kernel.raster(metric_of(PIXELS["sheared"]))
        assert raster.shape == expected.array.shape
        np.testing.assert_allclose(raster, expected.array, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pixel", PIXELS)
@pytest.mark.parametrize("sigma", [1.6, 2.0, 7.0])
def test_a_gaussian_in_angle_is_round_on_the_sky(sigma, pixel):
    jacobian = PIXELS[pixel]
    raster = Gaussian(sigma * u.arcmin).raster(metric_of(jacobian))
    found = covariance_on_sky(raster, jacobian)
    np.testing.assert_allclose(found, sigma**2 * np.eye(2), rtol=0, atol=2e-4 * sigma**2)


@pytest.mark.parametrize("pixel", PIXELS)
def test_a_gaussian_in_angle_has_the_profile_of_the_separation(pixel):
    jacobian = PIXELS[pixel]
    raster = Gaussian("2 arcmin").raster(metric_of(jacobian))
    separation = np.linalg.norm(np.tensordot(jacobian, np.stack(offsets(raster)), axes=1), axis=0)
    area = abs(np.linalg.det(jacobian))
    expected = np.where(separation <= 10, area * np.exp(-(separation**2) / 8) / (8 * np.pi), 0)
    np.testing.assert_allclose(raster, expected, rtol=1e-4, atol=1e-15)
    # It is cut at five sigma in every direction.
    assert separation[[0, -1]].min() > 10 - 1e-9
    assert separation[:, [0, -1]].min() > 10 - 1e-9


def test_a_gaussian_in_angle_is_that_in_pixels_of_this_angle():
    in_angle = Gaussian("3 arcmin").raster(ARCMIN_PIXEL)
    in_pixels = Gaussian(3 * u.pix).raster(ARCMIN_PIXEL)
    margin = (len(in_angle) - len(in_pixels)) // 2
    core = in_angle[margin:-margin, margin:-margin]
    np.testing.assert_allclose(core / core.sum(), in_pixels, rtol=1e-4, atol=4e-6 * core.max())


@pytest.mark.parametrize("width", [3 * u.arcmin, 0.05 * u.deg, "180 arcsec"])
def test_fwhm_is_where_a_gaussian_has_half_its_peak(width):
    raster = Gaussian(fwhm=width).raster(ARCMIN_PIXEL / 100)  # ten pixels an arcmin
    centre = np.array(raster.shape) // 2
    assert raster[centre[0], centre[1] + 15] / raster.max() == pytest.approx(0.5, abs=1e-9)
    assert raster[centre[0] - 15, centre[1]] / raster.max() == pytest.approx(0.5, abs=1e-9)


def test_fwhm_is_2_355_sigma():
    kernel = Gaussian(fwhm="2.3548200450309493 arcmin")
    assert kernel.sigma.to_value("arcmin") == pytest.approx(1, rel=1e-14)
    np.testing.assert_allclose(
        kernel.raster(ARCMIN_PIXEL), Gaussian("1 arcmin").raster(ARCMIN_PIXEL), rtol=1e-10
    )


@pytest.mark.parametrize("unit", [u.pix, u.arcmin])
@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2, 0.3, 0.45])
def test_a_narrow_gaussian_is_integrated_over_the_pixels(sigma, unit):
    raster = Gaussian(sigma * unit).raster(ARCMIN_PIXEL)
    x, y = (np.unique(offset) for offset in offsets(raster))

    def share(n):
        return 0.5 * (erf((n + 0.5) / (np.sqrt(2) * sigma)) - erf((n - 0.5) / (np.sqrt(2) * sigma)))

    np.testing.assert_allclose(raster, np.outer(share(y), share(x)), rtol=0, atol=3e-3)


@pytest.mark.parametrize("radius", [0.3, 0.5, 1.0, 2.5, 3.0, 7.3, 15.0])
@pytest.mark.parametrize("unit", [u.pix, u.arcmin])
def test_a_top_hat_is_the_part_of_each_pixel_in_a_disc(radius, unit):
    raster = TopHat(radius * unit).raster(ARCMIN_PIXEL)
    expected = disc_in_pixels(radius, len(raster) // 2)
    assert expected.sum() == pytest.approx(np.pi * radius**2, rel=1e-4)
    # A pixel wholly within counts one; the samples in a pixel cut by the rim are few.
    np.testing.assert_allclose(raster * np.pi * radius**2, expected, rtol=0, atol=0.25)
    assert abs(raster - expected / expected.sum()).sum() < 0.03
    inside = raster[expected == 1]
    np.testing.assert_allclose(inside * np.pi * radius**2, 1, rtol=0.02)


@pytest.mark.parametrize("pixel", PIXELS)
def test_a_top_hat_has_the_area_and_spread_of_its_disc(pixel):
    jacobian = PIXELS[pixel]
    raster = TopHat("6 arcmin").raster(metric_of(jacobian))
    area = abs(np.linalg.det(jacobian))
    assert raster.max() == pytest.approx(area / (np.pi * 36), rel=0.01)
    # r² / 4 along any axis, and 1/12 pixel² as it is integrated over the pixels.
    expected = 9 * np.eye(2) + jacobian @ jacobian.T / 12
    np.testing.assert_allclose(covariance_on_sky(raster, jacobian), expected, rtol=0, atol=0.2)


@pytest.mark.parametrize(
    ("inner", "outer"), [(2.0, 4.0), (3.3, 4.1), (0.4, 2.0), (5.0, 9.5), (20.0, 21.5)]
)
def test_an_annulus_is_a_disc_without_a_disc(inner, outer):
    raster = Annulus(inner * u.arcmin, outer * u.arcmin).raster(ARCMIN_PIXEL)
    half = len(raster) // 2
    area = np.pi * (outer**2 - inner**2)
    expected = disc_in_pixels(outer, half) - disc_in_pixels(inner, half)
    np.testing.assert_allclose(raster * area, expected, rtol=0, atol=0.25)
    assert abs(raster - expected / expected.sum()).sum() < 0.03
    x, y = offsets(raster)
    hole = np.hypot(abs(x) + 0.5, abs(y) + 0.5) < inner
    assert (raster[hole] == 0).all()


@pytest.mark.parametrize("pixel", PIXELS)
def test_an_epanechnikov_kernel_is_a_parabola(pixel):
    jacobian = PIXELS[pixel]
    radius = 8.0
    raster = Epanechnikov(radius * u.arcmin).raster(metric_of(jacobian))
    separation = np.linalg.norm(np.tensordot(jacobian, np.stack(offsets(raster)), axes=1), axis=0)
    # Its unit integral: 2 / (π r²) (1 − θ² / r²).
    expected = 2 / (np.pi * radius**2) * np.maximum(1 - (separation / radius) ** 2, 0)
    area = abs(np.linalg.det(jacobian))
    np.testing.assert_allclose(raster / area, expected, rtol=0.005, atol=1e-15)
    covariance = covariance_on_sky(raster, jacobian)
    np.testing.assert_allclose(covariance, radius**2 / 6 * np.eye(2), rtol=0, atol=0.1)


@pytest.mark.parametrize("beta", [2.0, 2.5, 4.765, 10.0])
def test_a_moffat_profile_has_its_fwhm_and_holds_999_permille(beta):
    fwhm = 4.0
    raster = Moffat(fwhm * u.arcmin, beta=beta).raster(ARCMIN_PIXEL)
    x, y = offsets(raster)
    r = np.hypot(x, y)
    assert raster[(y == 0) & (x == 2)] == pytest.approx(raster.max() / 2, rel=1e-12)
    gamma = fwhm / (2 * np.sqrt(2 ** (1 / beta) - 1))
    profile = (beta - 1) / (np.pi * gamma**2) * (1 + (r / gamma) ** 2) ** -beta
    np.testing.assert_allclose(raster[r < 5], profile[r < 5] / 0.999, rtol=2e-3)
    # The integral of the infinite profile over what the raster spans.
    assert profile[raster > 0].sum() == pytest.approx(0.999, abs=5e-4)


def test_a_moffat_profile_of_large_beta_is_a_gaussian():
    moffat = Moffat("4 arcmin", beta=1000).raster(ARCMIN_PIXEL)
    gaussian = Gaussian(fwhm="4 arcmin").raster(ARCMIN_PIXEL)
    margin = (len(gaussian) - len(moffat)) // 2
    gaussian = gaussian[margin:-margin, margin:-margin]
    np.testing.assert_allclose(moffat, gaussian, rtol=0, atol=2e-3 * gaussian.max())


def test_kernels_add_subtract_and_take_factors():
    a, b = Gaussian("2 arcmin"), TopHat("5 arcmin")
    assert [(c, k) for c, k in (a + b).terms] == [(1.0, a), (1.0, b)]
    assert [(c, k) for c, k in (a - b).terms] == [(1.0, a), (-1.0, b)]
    assert [(c, k) for c, k in (2 * a - (a + b) * 0.5).terms] == [(2.0, a), (-0.5, a), (-0.5, b)]
    assert [(c, k) for c, k in (-(a - b)).terms] == [(-1.0, a), (1.0, b)]


@pytest.mark.parametrize("factor", [np.nan, np.inf, "2", None])
def test_a_factor_must_be_a_finite_number(factor):
    with pytest.raises((TypeError, ValueError), match="factor must be a finite number"):
        factor * Gaussian("2 arcmin")


def test_kernels_do_not_add_to_anything_else():
    with pytest.raises(TypeError, match="unsupported operand"):
        Gaussian("2 arcmin") + 1


@pytest.mark.parametrize(
    ("spelling", "sigma"),
    [
        ("2 arcmin", 2 * u.arcmin),
        ("2arcmin", 2 * u.arcmin),
        ("0.5 deg", 30 * u.arcmin),
        ("30 arcsec", 0.5 * u.arcmin),
        (2 * u.arcmin, 2 * u.arcmin),
        (0.5 * u.deg, 30 * u.arcmin),
    ],
)
def test_an_angle_is_the_sigma_of_a_gaussian(spelling, sigma):
    kernel = as_kernel(spelling)
    assert isinstance(kernel, Gaussian)
    assert kernel.sigma.to_value("arcmin") == pytest.approx(sigma.to_value("arcmin"), rel=1e-15)


@pytest.mark.parametrize("spelling", ["2 pix", "2 pixel", 2 * u.pix])
def test_pixels_are_the_sigma_of_a_gaussian_too(spelling):
    assert as_kernel(spelling).sigma == 2 * u.pix


@pytest.mark.parametrize("form", [np.asarray, list, lambda a: a.tolist()])
def test_an_array_is_a_kernel_normalised_to_unit_sum(form):
    array = np.arange(15.0).reshape(3, 5)
    raster = as_kernel(form(array)).raster(ARCMIN_PIXEL)
    np.testing.assert_allclose(raster, array / 105, rtol=1e-15)


def test_an_astropy_kernel_is_its_array():
    kernel = Gaussian2DKernel(1.5, 3, theta=0.3)
    raster = as_kernel(kernel).raster(ARCMIN_PIXEL)
    np.testing.assert_allclose(raster, kernel.array / kernel.array.sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        (Gaussian(2 * u.arcmin), "Gaussian(sigma='2 arcmin')"),
        (Gaussian("1.5 pix"), "Gaussian(sigma='1.5 pix')"),
        (TopHat(0.1 * u.deg), "TopHat(radius='0.1 deg')"),
        (Epanechnikov("5 arcmin"), "Epanechnikov(radius='5 arcmin')"),
        (Moffat("5 arcmin", beta=3), "Moffat(fwhm='5 arcmin', beta=3)"),
        (Annulus("3 arcmin", 5 * u.arcmin), "Annulus(inner='3 arcmin', outer='5 arcmin')"),
    ],
)
def test_a_repr_makes_the_kernel_again(kernel, text):
    assert repr(kernel) == text
    again = eval(text)
    assert again == kernel
    np.testing.assert_array_equal(again.raster(ARCMIN_PIXEL), kernel.raster(ARCMIN_PIXEL))


@pytest.mark.parametrize(
    "kernel",
    [
        Gaussian(fwhm="5 arcmin"),
        TopHat(np.pi * u.arcmin),
        Moffat("5 arcmin", beta=3.123456789),
        (1 / 3) * Gaussian("2 arcmin") - 1e-7 * TopHat("5 arcmin"),
    ],
    ids=str,
)
def test_a_repr_has_all_digits(kernel):
    assert eval(repr(kernel)) == kernel


def test_kernels_are_equal_by_value():
    for degrees in np.arange(1, 100) / 20:
        kernel, same = Gaussian(degrees * u.deg), Gaussian(60 * degrees * u.arcmin)
        assert kernel == same
        assert hash(kernel) == hash(same)
    others = [Gaussian("2 arcmin"), Gaussian("2.001 arcmin"), Gaussian("2 pix"), TopHat("2 arcmin")]
    others += [2 * Gaussian("2 arcmin"), Gaussian("2 arcmin") - Gaussian("4 arcmin")]
    others += [as_kernel(np.ones((3, 3))), as_kernel(np.ones((3, 5))), as_kernel(np.eye(3))]
    assert len(set(others)) == len(others)
    assert as_kernel(2 * np.eye(3)) == as_kernel(np.eye(3))
    assert 1 * Gaussian("2 arcmin") == Gaussian("2 arcmin") != "2 arcmin"


def test_the_repr_of_a_sum_makes_it_again():
    kernel = Gaussian("2 arcmin") - 0.5 * TopHat("5 arcmin")
    assert repr(kernel) == "1 * Gaussian(sigma='2 arcmin') + -0.5 * TopHat(radius='5 arcmin')"
    assert repr(eval(repr(kernel))) == repr(kernel)
    assert repr(as_kernel(np.ones((3, 5)))) == "<kernel of 3 x 5 pixels>"


@pytest.mark.parametrize("pixel", PIXELS)
@pytest.mark.parametrize("radius", [0.3, 0.5, 0.7, 1.0, 2.5])
def test_a_disc_is_integrated_over_pixels_exactly(pixel, radius):
    """By the lengths of chords, on a fine lattice of lines through turned and sheared pixels."""
    jacobian = PIXELS[pixel]
    raster = TopHat(radius * u.arcmin).raster(metric_of(jacobian))
    t = (np.arange(4000) + 0.5) / 4000
    count_y, count_x = raster.shape
    y = np.concatenate([row - count_y / 2 + t for row in range(count_y)])
    # A line of constant y enters and leaves the disc, |J (x, y)| = radius, at two x.
    (a, b), (_, d) = jacobian.T @ jacobian
    root = np.sqrt(np.maximum((b * y) ** 2 - a * (d * y**2 - radius**2), 0))
    first, last = ((-b * y + side * root) / a for side in (-1, 1))
    left = np.arange(count_x)[:, None] - count_x / 2
    inside = np.maximum(np.minimum(last, left + 1) - np.maximum(first, left), 0)
    want = inside.reshape(count_x, count_y, len(t)).mean(axis=2).T
    area = np.pi * radius**2 / abs(np.linalg.det(jacobian))
    np.testing.assert_allclose(raster, want / area, rtol=0, atol=2e-5)
    assert raster.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("width", [1e-1, 1e-3, 1e-9, 1e-14])
def test_a_ring_thinner_than_pixels_is_its_arc_in_each(width):
    raster = Annulus(3 * u.arcmin, (3 + width) * u.arcmin).raster(ARCMIN_PIXEL)
    angle = 2 * np.pi * (np.arange(400_000) + 0.5) / 400_000
    radius, half = 3 + width / 2, raster.shape[0] // 2
    edges = np.arange(-half - 0.5, half + 1)
    arc, _, _ = np.histogram2d(radius * np.sin(angle), radius * np.cos(angle), bins=[edges] * 2)
    np.testing.assert_allclose(raster, arc / len(angle), rtol=0, atol=5e-6 + 2e-3 * width)
    assert raster.sum() == pytest.approx(1, abs=1e-12)


def test_rings_of_all_widths_have_their_integral():
    for inner, outer in (("3 arcmin", "3.003 arcmin"), ("10 deg", "179 deg"), ("1 deg", "300 deg")):
        ring = Annulus(inner, outer)
        a, b = u.Quantity(inner).to_value(u.rad), min(u.Quantity(outer).to_value(u.rad), np.pi)
        theta = a + (b - a) * (np.arange(10_000) + 0.5) / 10_000
        want = 2 * np.pi * np.sin(theta).mean() * (b - a)
        assert ring.integral == pytest.approx(want, rel=1e-6)


def test_a_ring_beyond_the_sky_is_refused():
    with pytest.raises(ValueError, match=r"inner must be less than 180 deg.*; got '200 deg'"):
        Annulus("200 deg", "300 deg")
