"""A field is the sums of a catalogue under any kernel, read at pixels and at positions."""

import numpy as np
import pytest
from astropy import units as u
from astropy.wcs.wcsapi.wrappers.base import BaseWCSWrapper
from helpers import make_wcs, plane_and_grid
from scipy.signal import fftconvolve
from scipy.spatial import cKDTree

from mpl_skyheat import Epanechnikov, Gaussian, Moffat, TopHat, sky_map
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.counting.sums import Sums
from mpl_skyheat.sky.geometry import MapGeometry, SphereLattice
from mpl_skyheat.sky.pixel_scale import pixel_metric
from mpl_skyheat.sky.vectors import to_vectors
from mpl_skyheat.smoothing import field as field_module
from mpl_skyheat.smoothing import plane as plane_module
from mpl_skyheat.smoothing import rings
from mpl_skyheat.smoothing.field import ALL_SKY, EXPOSURE, PlaneField, SphereField

KERNELS = [Gaussian("8 deg"), Moffat("16 deg"), Epanechnikov("24 deg")]


@pytest.fixture(scope="module")
def rows():
    """Positions over the whole sky, weights, and values of both signs."""
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(0, 360, 9000), np.degrees(np.arcsin(rng.uniform(-1, 1, 9000)))
    return lon, lat, rng.exponential(1, 9000), rng.normal(0, 5, 9000)


def sphere_field(rows, kernel, channels=("n",)):
    lon, lat, weights, values = rows
    plane, grid = plane_and_grid(make_wcs("MOL", shape=(100, 50), cdelt=(-3.5, 3.5)))
    sphere = SphereLattice.covering(plane, grid, (49.5, 24.5), kernel.bin_size, kernel.reach, (3,))
    sums = Sums(MapGeometry(plane, grid, sphere=sphere), channels)
    return SphereField(sums.add(read_catalogue((lon, lat), weights=weights, values=values)))


def exact(kernel, rows, amounts, lon, lat, power=1):
    """Return the sum of amounts under a power of a kernel (per sr), over great circles."""
    tree = cKDTree(to_vectors(rows[0], rows[1]))
    places = to_vectors(lon, lat)
    near = tree.query_ball_point(places, 2 * np.sin(0.5 * min(kernel.reach, np.pi)))
    total = np.zeros(len(lon))
    for i, found in enumerate(near):
        chord = np.linalg.norm(tree.data[found] - places[i], axis=1)
        separation = 2 * np.arcsin(np.minimum(0.5 * chord, 1))
        total[i] = (amounts[found] * (kernel.profile(separation) / kernel.integral) ** power).sum()
    return total


def places(number=300, seed=2):
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(0, 360, number), np.degrees(np.arcsin(rng.uniform(-1, 1, number)))
    return np.append(lon, [0, 0, 83, 359.99]), np.append(lat, [90, -90, -5, 10])


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_a_field_on_the_sphere_is_read_anywhere(rows, kernel):
    lon, lat = places()
    found = sphere_field(rows, kernel).smoothed_at("n", kernel, lon, lat)
    expected = exact(kernel, rows, np.ones(9000), lon, lat)
    # The kink at the edge of an Epanechnikov is as wide as a bin.
    within = 2e-3 if isinstance(kernel, Epanechnikov) else 3e-4
    np.testing.assert_allclose(found, expected, rtol=within)


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_squares_are_smoothed_with_the_square_of_the_kernel(rows, kernel):
    """On the lattice of the kernel itself, to 5e-3."""
    lon, lat = places()
    field = sphere_field(rows, kernel, ("w2",))
    found = field.smoothed_at("w2", kernel.product(kernel), lon, lat)
    expected = exact(kernel, rows, rows[2] ** 2, lon, lat, power=2)
    np.testing.assert_allclose(found, expected, rtol=5e-3)
    assert np.median(np.abs(found / expected - 1)) < 1e-3


def test_sums_of_values_of_both_signs_are_smoothed(rows):
    kernel, (lon, lat) = Gaussian("8 deg"), places()
    field = sphere_field(rows, kernel, ("wv",))
    found = field.smoothed_at("wv", kernel, lon, lat)
    expected = exact(kernel, rows, rows[2] * rows[3], lon, lat)
    assert (expected < 0).any()
    assert (expected > 0).any()
    scale = exact(kernel, rows, np.abs(rows[2] * rows[3]), lon, lat)
    np.testing.assert_allclose(found / scale, expected / scale, atol=3e-4)


def test_a_field_has_at_pixels_what_it_has_at_their_centres(rows):
    kernel = Gaussian("8 deg")
    field = sphere_field(rows, kernel)
    image = field.smoothed("n", kernel)
    row, column = np.nonzero(
        field.geometry.solid_angles > 0.999 * field.geometry.solid_angles.max()
    )
    lon, lat = field.geometry.plane.to_sky(column.astype(float), row.astype(float))
    np.testing.assert_allclose(
        image[row, column], field.smoothed_at("n", kernel, lon, lat), rtol=1e-4
    )
    assert np.isnan(image[field.geometry.solid_angles == 0]).all()
    assert (field.exposure(kernel) == 1).all()


def plane_field(kernel, boundary="sky", channels=("n",)):
    rng = np.random.default_rng(4)
    plane, grid = plane_and_grid(make_wcs(shape=(60, 40)))
    metric = pixel_metric(plane.to_sky, (29.5, 19.5), grid)
    margin = kernel.half_sizes(metric)
    geometry = MapGeometry(plane, grid, margin if boundary == "sky" else (0, 0))
    ra, dec = 83 + rng.uniform(-5, 5, 30_000), -5 + rng.uniform(-4, 4, 30_000)
    sums = Sums(geometry, channels).add(
        read_catalogue((ra, dec), weights=rng.exponential(1, 30_000))
    )
    return PlaneField(sums, metric, boundary, margin), metric


@pytest.mark.parametrize("kernel", [Gaussian("12 arcmin"), TopHat("20 arcmin")], ids=repr)
def test_a_field_on_the_plane_is_the_smoothed_histogram(kernel):
    field, metric = plane_field(kernel, channels=("w", "w2"))
    sums, raster = field.sums.pixels, kernel.raster(metric)
    expected = fftconvolve(sums["w"], raster, mode="valid")
    np.testing.assert_allclose(field.smoothed("w", kernel), expected, rtol=1e-9)
    squared = kernel.product(kernel)
    expected = fftconvolve(sums["w2"], raster**2, mode="valid")
    np.testing.assert_allclose(field.smoothed("w2", squared), expected, rtol=1e-9)
    exposure = fftconvolve(field.geometry.wide_solid_angles, raster, mode="valid")
    np.testing.assert_allclose(field.exposure(kernel), exposure, rtol=1e-9)


def test_kernels_of_several_widths_share_one_margin():
    narrow, wide = Gaussian("6 arcmin"), Gaussian("24 arcmin")
    field, metric = plane_field(wide)
    raster = narrow.raster(metric)
    trim_y, trim_x = (
        (n - (m - 1) - k) // 2
        for n, m, k in zip(
            field.sums.pixels["n"].shape, raster.shape, field.geometry.grid.shape, strict=True
        )
    )
    expected = fftconvolve(field.sums.pixels["n"].astype(float), raster, mode="valid")
    expected = expected[trim_y : expected.shape[0] - trim_y, trim_x : expected.shape[1] - trim_x]
    np.testing.assert_allclose(field.smoothed("n", narrow), expected, rtol=1e-9)
    product = narrow.product(wide)
    assert product.raster(metric).shape == raster.shape
    assert product.raster(metric).max() == pytest.approx(raster.max() * wide.raster(metric).max())


def test_a_field_on_the_plane_is_read_between_its_pixels():
    kernel = Gaussian("18 arcmin")
    field, _ = plane_field(kernel)
    image = field.smoothed("n", kernel)
    row, column = np.mgrid[4:36:5, 4:56:5].reshape(2, -1)
    lon, lat = field.geometry.plane.to_sky(column.astype(float), row.astype(float))
    np.testing.assert_allclose(
        field.smoothed_at("n", kernel, lon, lat), image[row, column], rtol=1e-9
    )
    between = field.smoothed_at("n", kernel, *field.geometry.plane.to_sky(column + 0.5, row + 0.0))
    middle = (9 * (image[row, column] + image[row, column + 1])
              - image[row, column - 1] - image[row, column + 2]) / 16  # fmt: skip
    np.testing.assert_allclose(between, middle, rtol=2e-3)
    outside = field.smoothed_at("n", kernel, np.array([200.0]), np.array([80.0]))
    assert np.isnan(outside).all()


def test_each_image_is_transformed_once_for_all_kernels(rows, monkeypatch):
    made = []
    init = rings.RingWaves.__init__
    monkeypatch.setattr(
        rings.RingWaves, "__init__", lambda *a, **k: (made.append(1), init(*a, **k))[1]
    )
    field = sphere_field(rows, Gaussian("8 deg"), ("n", "w2"))
    for kernel in (
        Gaussian("8 deg"),
        Gaussian("12 deg"),
        Gaussian("8 deg").product(Moffat("30 deg")),
    ):
        for channel in ("n", "w2"):
            field.smoothed(channel, kernel)
    assert len(made) == 2

    forward = []
    fft = plane_module._fft_for(2**19)

    class Counting:
        irfft2 = staticmethod(fft.irfft2)

        @staticmethod
        def rfft2(*args):
            forward.append(1)
            return fft.rfft2(*args)

    monkeypatch.setattr(plane_module, "_fft_for", lambda _: Counting)
    field_module._kept.clear()
    field, _ = plane_field(Gaussian("24 arcmin"), channels=("w", "w2"))
    for width in (6, 12, 24):
        for channel in ("w", "w2", EXPOSURE):
            field.smoothed(channel, Gaussian(width * u.arcmin))
    assert len(forward) == 3 + 3  # images, and kernels


def test_exposures_are_kept_for_the_next_map_of_the_same_pixels_and_kernel(monkeypatch):
    found = []
    smoothed = PlaneField.smoothed

    def counting(self, channel, kernel):
        found.append(channel)
        return smoothed(self, channel, kernel)

    monkeypatch.setattr(PlaneField, "smoothed", counting)
    field_module._kept.clear()
    wcs = make_wcs(center=(83.0, -4.321))

    def density(kernel, **options):
        rng = np.random.default_rng(len(found))
        return sky_map(
            83 + rng.uniform(-1, 1, 50),
            -5 + rng.uniform(-1, 1, 50),
            wcs=wcs,
            kernel=kernel,
            **options,
        )

    density("12 arcmin")
    density("12 arcmin")
    assert found.count(ALL_SKY) == 1
    assert found.count("n") == 2
    density("13 arcmin")
    density("12 arcmin", pixel_size="5 arcmin")
    assert found.count(ALL_SKY) == 3
    density("12 arcmin")
    assert found.count(ALL_SKY) == 3


def test_a_wcs_that_is_changed_in_place_has_an_exposure_of_its_own():
    rng = np.random.default_rng(3)
    points = 83 + rng.uniform(-1, 1, 500), -5 + rng.uniform(-0.7, 0.7, 500)
    wcs = make_wcs(center=(83.0, -5.0))
    for _ in range(2):
        smoothed = sky_map(*points, wcs=wcs, kernel=2 * u.pix, unit="sr-1")
        total = np.nansum(smoothed.data * smoothed.solid_angle.value)
        assert total == pytest.approx(smoothed.counts.sum(), rel=0.05)
        wcs.wcs.cdelt = 2 * wcs.wcs.cdelt


class Own(BaseWCSWrapper):
    """A WCS of someone else, that cannot be pickled."""

    def __init__(self, wcs):
        super().__init__(wcs)
        self.scale = lambda: 1.0

    def pixel_to_world_values(self, *pixel):
        return self._wcs.pixel_to_world_values(*pixel)

    def world_to_pixel_values(self, *world):
        return self._wcs.world_to_pixel_values(*world)


def test_a_wcs_that_cannot_be_pickled_makes_the_same_map_twice():
    maps = [
        sky_map([83.0], [-5.0], wcs=Own(make_wcs()), shape=(20, 30), kernel="12 arcmin")
        for _ in range(2)
    ]
    np.testing.assert_array_equal(maps[0].data, maps[1].data)
