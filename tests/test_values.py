"""Statistics of values, and standard errors: against brute force, scipy, and many random skies."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from matplotlib.figure import Figure
from scipy.stats import binned_statistic_2d

from mpl_skyheat import Gaussian, Moffat, TopHat, sky_map
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.counting.sums import Sums
from mpl_skyheat.maps.moments import SmoothMoments
from mpl_skyheat.sky.geometry import MapGeometry
from mpl_skyheat.sky.grid import native_grid
from mpl_skyheat.sky.planes import plane_of_wcs, view_of_shape

SIZE, SCALE = 40, 0.02  # pixels, deg


def field(size=SIZE, scale=SCALE, code="TAN"):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    wcs.wcs.crval = [50, 20]
    wcs.wcs.crpix = [0.5 * size + 0.5] * 2
    wcs.wcs.cdelt = [-scale, scale]
    wcs.pixel_shape = size, size
    return wcs


def rows(number=3000, size=SIZE, seed=1, beyond=1.2):
    """Positions all over a field and around it, with values of both signs and weights."""
    rng = np.random.default_rng(seed)
    wcs = field(size)
    x, y = rng.uniform(0.5 - 0.5 * beyond, 0.5 + 0.5 * beyond, (2, number)) * size - 0.5
    ra, dec = wcs.pixel_to_world_values(x, y)
    values = rng.normal(3, 5, number) + 0.3 * x
    return ra, dec, values, rng.exponential(1, number) + 0.1


def in_pixels(ra, dec, size=SIZE):
    x, y = field(size).world_to_pixel_values(ra, dec)
    return np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)


class Brute:
    """Sums S1 … Q2 over binned rows, one pixel after the other, under a kernel in pixels."""

    def __init__(self, weight_of, weights, values, places):
        self.shape = (SIZE, SIZE)
        column, row = places
        sums = {name: np.zeros(self.shape) for name in ("S1", "S2", "V1", "V2", "Q1", "Q2", "K")}
        amounts = {
            "S1": weights, "V1": weights * values, "V2": weights * values**2,
            "S2": weights**2, "Q1": weights**2 * values, "Q2": weights**2 * values**2,
            "K": np.ones_like(values),
        }  # fmt: skip
        for y in range(SIZE):
            for x in range(SIZE):
                k = weight_of(column - x, row - y)
                for name, amount in amounts.items():
                    power = k**2 if name in ("S2", "Q1", "Q2") else k
                    sums[name][y, x] = (power * amount).sum()
        vars(self).update(sums)

    @property
    def n_eff(self):
        return self.S1**2 / self.S2

    @property
    def mean(self):
        return self.V1 / self.S1

    @property
    def bessel(self):
        return self.n_eff / (self.n_eff - 1)

    @property
    def std(self):
        return np.sqrt((self.V2 / self.S1 - self.mean**2) * self.bessel)

    @property
    def weighted_error(self):
        m = self.mean
        return np.sqrt((self.Q2 - 2 * m * self.Q1 + m**2 * self.S2) * self.bessel) / self.S1


SIGMA = 2.0  # pixels


def gaussian(dx, dy, sigma=SIGMA):
    """The kernel's pixels, of unit sum, in the square that astropy's Gaussian2DKernel takes."""
    reach = Gaussian(sigma * u.pix).reach
    side = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).sum()
    inside = np.maximum(np.abs(dx), np.abs(dy)) <= reach
    return np.where(inside, np.exp(-0.5 * (np.hypot(dx, dy) / sigma) ** 2), 0.0) / side**2


@pytest.mark.parametrize("is_weighted", [False, True])
def test_smoothed_statistics_are_those_of_brute_force(is_weighted):
    ra, dec, values, weights = rows()
    w = weights if is_weighted else np.ones_like(weights)
    brute = Brute(gaussian, w, values, in_pixels(ra, dec))
    given = {"wcs": field(), "values": values, "kernel": SIGMA * u.pix}
    given |= {"weights": weights} if is_weighted else {}
    with np.errstate(invalid="ignore"):
        mean, std, total = (
            sky_map(ra, dec, statistic=name, **given) for name in ("mean", "std", "sum")
        )
    near = 0.1 * gaussian(0, 0) <= brute.K
    assert near.mean() > 0.99
    spread = values.std()
    np.testing.assert_allclose(mean.data[near], brute.mean[near], atol=1e-9 * spread)
    np.testing.assert_allclose(std.data[near], brute.std[near], atol=1e-4 * spread)
    np.testing.assert_allclose(mean.n_eff, brute.n_eff, rtol=1e-9)
    error = brute.weighted_error if is_weighted else brute.std / np.sqrt(brute.n_eff)
    np.testing.assert_allclose(mean.uncertainty.array[near], error[near], rtol=1e-4)
    # Sums are the smoothed sum per sky, and so times a ratio of solid angles near 1.
    ratio = total.data / brute.V1
    assert np.abs(np.nanmedian(ratio) - 1) < 1e-3
    q = total.uncertainty.array / np.sqrt(brute.Q2)
    np.testing.assert_allclose(q, ratio, rtol=1e-6)


def test_standard_errors_of_densities_are_those_of_brute_force():
    ra, dec, values, weights = rows()
    brute = Brute(gaussian, weights, values, in_pixels(ra, dec))
    for statistic in ("density", "count"):
        made = sky_map(
            ra, dec, wcs=field(), weights=weights, kernel=SIGMA * u.pix, statistic=statistic
        )
        expected = made.data * np.sqrt(brute.S2) / brute.S1
        np.testing.assert_allclose(made.uncertainty.array, expected, rtol=1e-9)
        np.testing.assert_allclose(made.n_eff, brute.n_eff, rtol=1e-9)
        np.testing.assert_allclose(
            made.signal_to_noise.data, np.sqrt(brute.n_eff), rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("boundary", ["fill", "wrap", "reflect"])
def test_standard_errors_with_an_explicit_boundary(boundary):
    ra, dec, _, _ = rows(beyond=1.0)
    made = sky_map(ra, dec, wcs=field(), kernel=SIGMA * u.pix, statistic="count", boundary=boundary)
    if boundary == "reflect":  # a row and its image are one
        assert made.uncertainty is None
        assert made.n_eff is None
        return
    counts = made.counts.astype(float)
    half = np.arange(-12, 13)
    kernel = gaussian(*np.meshgrid(half, half))
    mode = {"fill": "constant", "wrap": "wrap"}[boundary]
    from scipy.ndimage import convolve

    np.testing.assert_allclose(
        made.uncertainty.array, np.sqrt(convolve(counts, kernel**2, mode=mode)), rtol=1e-9
    )


def test_standard_errors_of_sums_and_differences_of_kernels():
    ra, dec, values, _ = rows()
    narrow, wide = Gaussian(1.5 * u.pix), Gaussian(4 * u.pix)
    ones, places = np.ones_like(values), in_pixels(ra, dec)
    kernels = [lambda x, y, s=s: gaussian(x, y, s) for s in (1.5, 4.0)]
    for factor in (0.5, -1.0):
        both = Brute(
            lambda x, y, f=factor: kernels[0](x, y) + f * kernels[1](x, y), ones, values, places
        )
        made = sky_map(ra, dec, wcs=field(), kernel=narrow + factor * wide, statistic="count")
        # (Pixels have one solid angle to 1e-4 here, so each exposure is the same.)
        np.testing.assert_allclose(made.uncertainty.array, np.sqrt(both.S2), rtol=2e-3)
        if factor < 0:
            assert made.n_eff is None
        else:
            np.testing.assert_allclose(made.n_eff, both.n_eff, rtol=1e-9)


@pytest.mark.parametrize("kernel", [Gaussian("4 arcmin"), Moffat(fwhm="8 arcmin", beta=3)])
def test_means_on_the_sphere_are_those_of_great_circles(kernel):
    ra, dec, values, weights = rows(4000, beyond=1.6)
    wcs = field()
    given = {"wcs": wcs, "kernel": kernel, "geometry": "sphere", "weights": weights}
    mean = sky_map(ra, dec, values=values, **given)
    density = sky_map(ra, dec, unit="sr-1", **given)
    y, x = np.indices((SIZE, SIZE))
    centres = wcs.pixel_to_world(x.ravel(), y.ravel())
    r = centres[:, np.newaxis].separation(SkyCoord(ra, dec, unit="deg")).rad
    k = np.where(r <= kernel.reach, kernel.profile(r) / kernel.integral, 0.0)
    s1, s2, v1 = (
        (power @ amount).reshape(SIZE, SIZE)
        for power, amount in ((k, weights), (k**2, weights**2), (k, weights * values))
    )
    near = k.sum(axis=1).reshape(SIZE, SIZE) >= 0.1 * kernel.profile(np.zeros(1)) / kernel.integral
    assert np.abs(mean.data - v1 / s1)[near].max() < 2e-3 * values.std()
    np.testing.assert_allclose(density.uncertainty.array, np.sqrt(s2), rtol=5e-3)
    np.testing.assert_allclose(density.n_eff, s1**2 / s2, rtol=5e-3)


def sample_std(values):
    return np.std(values, ddof=1) if len(values) > 1 else np.nan


@pytest.mark.parametrize("statistic", ["sum", "mean", "std", "median", "min", "max"])
def test_statistics_without_a_kernel_are_scipys(statistic):
    ra, dec, values, _ = rows(beyond=1.0)
    made = sky_map(ra, dec, wcs=field(), values=values, statistic=statistic)
    column, row = in_pixels(ra, dec)
    edges = [np.arange(SIZE + 1) - 0.5] * 2
    if statistic == "std":
        statistic = sample_std
    expected = binned_statistic_2d(row, column, values, statistic, edges).statistic
    if statistic in ("median", "min", "max"):
        np.testing.assert_array_equal(made.data, expected)
    np.testing.assert_allclose(made.data, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(made.mask, np.isnan(expected))


def test_errors_of_means_without_a_kernel():
    ra, dec, values, weights = rows(beyond=1.0)
    plain = sky_map(ra, dec, wcs=field(), values=values)
    weighted = sky_map(ra, dec, wcs=field(), values=values, weights=weights)
    column, row = in_pixels(ra, dec)
    for y, x in np.argwhere(plain.counts > 2)[::97]:
        v, w = (a[(row == y) & (column == x)] for a in (values, weights))
        assert len(v) > 1
        assert plain.uncertainty.array[y, x] == pytest.approx(v.std(ddof=1) / np.sqrt(len(v)))
        n = w.sum() ** 2 / (w**2).sum()
        m = (w * v).sum() / w.sum()
        error = np.sqrt((w**2 * (v - m) ** 2).sum() * n / (n - 1)) / w.sum()
        assert weighted.data[y, x] == pytest.approx(m)
        assert weighted.uncertainty.array[y, x] == pytest.approx(error)
    lone = plain.counts == 1
    assert np.isfinite(plain.data[lone]).all()
    assert np.isnan(plain.uncertainty.array[lone]).all()


@pytest.mark.parametrize("geometry", ["plane", "sphere"])
def test_large_values_keep_the_digits_of_their_scatter(geometry):
    ra, dec, values, _ = rows()
    made, shifted = (
        sky_map(ra, dec, wcs=field(), values=v, statistic="std", kernel="4 arcmin",
                geometry=geometry)
        for v in (values, values + 2.0**30)
    )  # fmt: skip
    np.testing.assert_allclose(shifted.data, made.data, rtol=1e-4)


@pytest.mark.parametrize("statistic", ["mean", "std", "sum", "median", "max"])
@pytest.mark.parametrize("is_compiled", [False, True])
def test_parts_chunks_and_threads_make_the_same_map(statistic, is_compiled, monkeypatch):
    ra, dec, values, weights = rows(5000)
    kernel = None if statistic in ("median", "max") else "4 arcmin"
    table = Table({"ra": ra, "dec": dec, "v": values, "w": weights})
    given = {"wcs": field(), "values": "v", "statistic": statistic, "kernel": kernel}
    whole = sky_map(data=table, **given)
    if is_compiled:
        monkeypatch.setattr("mpl_skyheat.compute.loader.FIRST", 0)
        monkeypatch.setattr("mpl_skyheat.compute.loader.ONCE_LOADED", 0)
    for other in (
        sky_map(data=(table[i::7] for i in range(7)), **given),
        sky_map(data=table, threads=2, **given),
    ):
        np.testing.assert_allclose(other.data, whole.data, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(other.mask, whole.mask)


def test_medians_of_parts_add_up():
    ra, dec, values, _ = rows()
    wcs = field()
    plane, grid = plane_of_wcs(wcs), native_grid(view_of_shape(wcs))
    parts = [
        Sums(MapGeometry(plane, grid), ["n", "median"]).add(
            read_catalogue((ra[i::3], dec[i::3]), values=values[i::3])
        )
        for i in range(3)
    ]
    total = parts[0] + parts[1] + parts[2]
    whole = sky_map(ra, dec, wcs=wcs, values=values, statistic="median")
    np.testing.assert_array_equal(total.medians(), whole.data)


def test_a_median_of_more_than_fits_in_memory_is_refused(monkeypatch):
    monkeypatch.setattr("mpl_skyheat.counting.sums.allowed_bytes", lambda: 1000.0)
    ra, dec, values, _ = rows()
    with pytest.raises(ValueError, match="statistic='median' holds the values of all rows"):
        sky_map(ra, dec, wcs=field(), values=values, statistic="median")


SKIES = 40


@pytest.mark.slow
@pytest.mark.parametrize("geometry", ["plane", "sphere"])
@pytest.mark.parametrize("n_eff", [3, 10])
def test_standard_errors_are_those_of_many_skies(n_eff, geometry):
    """Pulls with the true σ, the estimate of the variance, and std² of values: all unbiased."""
    size, sigma = 60, 2.0
    rate = n_eff / (4 * np.pi * sigma**2)  # rows in a pixel
    rng = np.random.default_rng(n_eff)
    wcs, edge = field(size), 10
    area = sky_map([], [], wcs=wcs).solid_angle.to_value(u.deg**2)
    pulls, ratios, scatters = [], [], []
    for _ in range(SKIES):
        number = rng.poisson(rate * (size + 2 * edge) ** 2)
        x, y = rng.uniform(-0.5 - edge, size - 0.5 + edge, (2, number))
        ra, dec = wcs.pixel_to_world_values(x, y)
        given = {"wcs": wcs, "kernel": sigma * SCALE * u.deg, "geometry": geometry}
        made = sky_map(ra, dec, unit="deg-2", **given)
        truth = rate / area
        variance = truth / (4 * np.pi * (sigma * SCALE) ** 2)
        pulls.append((made.data - truth) / np.sqrt(variance))
        ratios.append(np.mean(made.uncertainty.array**2) / np.mean(variance))
        std = sky_map(ra, dec, values=rng.normal(7, 2, number), statistic="std", **given)
        enough = std.n_eff > 0.5 * n_eff
        scatters.append(np.nanmean(std.data[enough] ** 2) / 4)
    effective = SKIES * (size / sigma) ** 2 / (4 * np.pi)  # independent places
    assert abs(np.mean(pulls)) < 0.03 + 3 / np.sqrt(effective)
    assert np.std(pulls) == pytest.approx(1, abs=0.01 + 3 / np.sqrt(2 * effective))
    assert np.mean(ratios) == pytest.approx(1, abs=0.02 + 3 / np.sqrt(effective * n_eff))
    assert np.mean(scatters) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("kernel", "least"), [(None, 4), ("2.4 arcmin", 25)])
def test_pixels_with_few_rows_are_masked(kernel, least):
    ra, dec, values, weights = rows(beyond=1.0)
    given = {"wcs": field(), "values": values, "weights": weights, "kernel": kernel}
    all_of_it = sky_map(ra, dec, **given)
    few = sky_map(ra, dec, min_count=least, **given)
    number = all_of_it.n_eff
    if kernel is None:
        edges = [np.arange(SIZE + 1) - 0.5] * 2
        number, _, _ = np.histogram2d(*in_pixels(ra, dec)[::-1], edges)
    assert 0 < (number < least).sum() < number.size
    np.testing.assert_array_equal(few.mask, all_of_it.mask | (number < least))
    assert np.isnan(few.data[few.mask]).all()


def test_a_lone_row_has_no_disc_of_its_own_value():
    made = sky_map([50.0], [20.0], wcs=field(), values=[7.0], kernel=SIGMA * u.pix)
    y, x = np.indices(made.data.shape)
    r = np.hypot(x - 19.5, y - 19.5)
    assert made.data[r < 2] == pytest.approx(7)
    assert made.mask[r > 3.3 * SIGMA].all()


UNITS = [
    ("km / s", "km / s", "mean rv [$\\mathrm{km\\,s^{-1}}$]"),
    ("mag", "mag", "mean rv [$\\mathrm{mag}$]"),
    ("mag(AB)", "mag", "mean rv [$\\mathrm{mag}$]"),
    ("", "", "mean rv"),
]


@pytest.mark.parametrize(("unit", "of_map", "text"), UNITS)
def test_the_unit_of_the_values_is_that_of_the_map(unit, of_map, text):
    ra, dec, values, _ = rows(500)
    table = Table({"ra": ra, "dec": dec})
    table["rv"] = values * u.Unit(unit) if unit != "mag(AB)" else u.Magnitude(values, unit)
    ax = Figure().add_subplot(projection=field())
    heat = ax.sky_heatmap(data=table, values="rv", kernel="5 arcmin")
    assert heat.sky_map.unit == u.Unit(of_map)
    assert heat.colorbar_label.replace("\\;", "\\,") == text
    assert heat.get_clim()[0] == pytest.approx(np.nanmin(heat.sky_map.data))
    if unit == "km / s":
        other = ax.sky_heatmap(data=table, values="rv", kernel="5 arcmin", unit="m/s")
        np.testing.assert_allclose(other.sky_map.data, 1000 * heat.sky_map.data)
        np.testing.assert_allclose(
            other.sky_map.uncertainty.array, 1000 * heat.sky_map.uncertainty.array
        )


def test_maps_of_errors_and_numbers_are_drawn():
    ra, dec, values, _ = rows()
    made = sky_map(ra, dec, wcs=field(), values=values, kernel="5 arcmin", label="rv")
    ax = Figure().add_subplot(projection=field())
    for one, text in (
        (made.error, "error of rv"),
        (made.signal_to_noise, "signal to noise"),
        (made.like(made.n_eff, label="points"), "points"),
    ):
        heat = ax.sky_heatmap(one)
        assert heat.colorbar_label == text
    assert ax.sky_heatmap(made.error).get_clim()[0] == 0
    with pytest.raises(ValueError, match=r"array must have the map's shape, \(40, 40\); got \(3,"):
        made.like([1, 2, 3])
    with pytest.raises(AttributeError, match="this map of 'std' has no standard errors"):
        _ = sky_map(ra, dec, wcs=field(), values=values, statistic="std").error


def test_errors_go_along_with_arithmetic_slices_and_files(tmp_path):
    ra, dec, _, _ = rows()
    one, two = (
        sky_map(ra[some], dec[some], wcs=field(), kernel="5 arcmin")
        for some in (slice(None, None, 2), slice(1, None, 2))
    )
    difference = one - two
    np.testing.assert_allclose(
        difference.uncertainty.array, np.hypot(one.uncertainty.array, two.uncertainty.array)
    )
    ratio = one / two
    error = ratio.data * np.sqrt(1 / one.n_eff + 1 / two.n_eff)
    np.testing.assert_allclose(ratio.uncertainty.array, error)
    part = one[5:9, 3:20]
    np.testing.assert_array_equal(part.n_eff, one.n_eff[5:9, 3:20])
    np.testing.assert_array_equal(part.uncertainty.array, one.uncertainty.array[5:9, 3:20])
    one.write(tmp_path / "map.fits")
    read = CCDData.read(tmp_path / "map.fits")
    np.testing.assert_array_equal(read.uncertainty.array, one.uncertainty.array)


REFUSED = [
    ({"values": [1, 2], "statistic": "density"}, "statistic='density' is of rows, not of values"),
    ({"statistic": "mean"}, "values must be given with statistic='mean'"),
    ({"values": [1, 2], "statistic": "median", "kernel": "5 arcmin"},
     "kernel must be left out with statistic='median'"),
    ({"values": [1, 2], "kernel": Gaussian("5 arcmin") - Gaussian("9 arcmin")},
     "kernel must not be negative anywhere with statistic='mean'"),
    ({"min_count": 3, "kernel": TopHat("5 arcmin") - TopHat("9 arcmin")}, "min_count=3 needs"),
    ({"min_count": -1}, "min_count must be a number of rows, 0 or more; got -1"),
    ({"min_count": "3"}, "min_count must be a number of rows, 0 or more; got '3'"),
    ({"values": [1, 2] * u.m, "unit": "s"}, "unit must be one of the values, which is m; got s"),
    ({"values": [1, 2], "statistic": "mode"}, "statistic must be one of 'density', 'count', 'sum'"),
    ({"values": [1, 2], "statistic": "max", "weights": [1, 1]}, "weights must be left out with"),
    ({"values": [1, 2, 3]}, "ra and values must have the same length; got 2 and 3"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_what_has_no_meaning_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        sky_map([50, 50], [20, 20], wcs=field(), **given)


def test_values_of_an_iterator_are_columns():
    with pytest.raises(ValueError, match="values must be the name of a column of the chunks"):
        sky_map(iter([([50], [20])]), wcs=field(), values=[3])


def test_rows_without_a_value_are_dropped():
    values = np.ma.array([1.0, np.nan, 3.0], mask=[0, 0, 1])
    made = sky_map([50, 50, 50], [20, 20, 20], wcs=field(), values=values)
    assert made.meta["dropped"] == 2
    assert np.nansum(made.data) == 1


@pytest.mark.parametrize("geometry", ["plane", "sphere"])
@pytest.mark.parametrize("kernel", [None, "4 arcmin"])
def test_rows_without_weight_have_no_mean(geometry, kernel):
    ra, dec, values, _ = rows(beyond=1.0)
    weights = (dec < 20).astype(float)
    given = {"values": values, "weights": weights, "kernel": kernel, "wcs": field()}
    made = sky_map(ra, dec, geometry=geometry if kernel else "auto", **given)
    assert made.mask[39:].mean() > 0.5  # (The kernel ends there.)
    assert np.nanmax(made.data) < np.abs(values).max()
    assert not made.mask[:15].all()
    assert sky_map(ra, dec, **given | {"weights": 0 * weights}).mask.all()


def test_errors_of_kernels_with_negative_values():
    ra, dec, _, _ = rows(beyond=1.0)
    x, y = np.meshgrid(np.arange(-7, 8), np.arange(-7, 8))
    r2 = (x**2 + y**2) / 4
    hat = (1 - r2 / 4) * np.exp(-r2 / 2)
    with np.errstate(all="raise"):
        made = sky_map(ra, dec, wcs=field(), kernel=hat, statistic="count", boundary="fill")
    from scipy.ndimage import convolve

    kernel = pixels_of(hat)
    expected = np.sqrt(convolve(made.counts.astype(float), kernel**2, mode="constant"))
    np.testing.assert_allclose(made.uncertainty.array, expected, rtol=1e-6)
    assert made.n_eff is None


def pixels_of(pixels):
    from mpl_skyheat.smoothing.kernels import as_kernel

    return as_kernel(pixels).raster(np.eye(2))


@pytest.mark.parametrize("narrow", ["20 arcsec", "34 arcsec"])
def test_errors_of_narrow_kernels_on_the_sphere(narrow):
    """The variance is right in the mean over the map, also of differences, and n_eff is of rows."""
    ra, dec, values, _ = rows(20_000, 16, seed=3, beyond=5)
    given = {"wcs": field(16), "geometry": "sphere", "unit": "deg-2"}
    for kernel in (Gaussian(narrow), Gaussian(narrow) - Gaussian("8 arcmin")):
        made = sky_map(ra, dec, kernel=kernel, **given)
        scatter = np.std(made.data) / np.sqrt(np.mean(made.uncertainty.array**2))
        assert 0.65 < scatter < 1.15  # (A mean over a pixel scatters less than the pixel's rows.)
    single = sky_map(ra, dec, kernel=Gaussian(narrow), **given)
    if narrow == "20 arcsec":
        np.testing.assert_allclose(single.n_eff, single.counts)
    with pytest.warns(AstropyUserWarning, match="smooths nothing"):
        tiny = sky_map(ra, dec, values=values, kernel="3 arcsec", wcs=field(16), geometry="sphere")
    assert tiny.mask.mean() < 0.1


def test_the_first_chunk_may_be_empty():
    ra, dec, values, _ = rows()
    table = Table({"ra": ra, "dec": dec, "v": values + 2.0**30})
    given = {"wcs": field(), "values": "v", "statistic": "std", "kernel": "4 arcmin"}
    whole = sky_map(data=table, **given)
    parts = sky_map(data=(table[some] for some in (slice(0), slice(0, 9), slice(9, None))), **given)
    np.testing.assert_allclose(parts.data, whole.data, rtol=1e-4)
    assert parts.meta["read"] == len(table)


def test_rows_at_one_place_are_as_many_as_asked_for():
    for geometry in ("plane", "sphere"):
        made = sky_map([50.0] * 3, [20.0] * 3, wcs=field(), kernel="4 arcmin", min_count=3,
                       geometry=geometry)  # fmt: skip
        assert not made.mask[17:23, 17:23].any()


def test_flags_and_units_that_fits_cannot_say(tmp_path):
    ra, dec, values, _ = rows()
    fraction = sky_map(ra, dec, wcs=field(), values=values > 3, kernel="4 arcmin")
    assert 0 < np.nanmin(fraction.data) < np.nanmax(fraction.data) < 1
    abundance = sky_map(ra, dec, wcs=field(), values=values * u.dex, kernel="4 arcmin")
    abundance.write(tmp_path / "map.fits")
    with fits.open(tmp_path / "map.fits") as hdus:
        assert hdus[0].header["BUNIT"] == ""
        assert '"unit": "dex"' in hdus[0].header["SKYHEAT"]


def test_what_a_map_is_like_is_masked_where_it_is():
    made = sky_map(*rows()[:2], wcs=field())
    array = np.ma.array(made.counts, mask=made.counts > 3)
    other = made.like(array)
    np.testing.assert_array_equal(other.mask, array.mask)
    assert np.isnan(other.data[other.mask]).all()
    with pytest.raises(ValueError, match="array must have the map's shape"):
        made.like((made - made).n_eff)
    with pytest.raises(TypeError, match="label must be text"):
        made.like(made.counts, label=3)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", ["1 deg", "2 deg"])
def test_deviations_in_pixels_wider_than_the_kernel(sigma):
    """No sample deviation is larger than half the range times √2, nor its square biased."""
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(0, 360, 3000), np.degrees(np.arcsin(rng.uniform(-1, 1, 3000)))
    values = rng.normal(size=3000)
    wcs = WCS({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRPIX1": 36.5, "CRPIX2": 18.5,
               "CDELT1": -5, "CDELT2": 5, "NAXIS1": 72, "NAXIS2": 36})  # fmt: skip
    std, mean = (
        sky_map(lon, lat, wcs=wcs, kernel=sigma, values=values, statistic=name)
        for name in ("std", "mean")
    )
    assert np.nanmax(std.data) < np.ptp(values) / np.sqrt(2)
    assert np.nanmean(std.data**2) == pytest.approx(1, abs=0.12)
    known = np.isfinite(mean.uncertainty.array) & (mean.n_eff > 4)
    ratio = np.mean(mean.uncertainty.array[known] ** 2 * mean.n_eff[known])
    assert ratio == pytest.approx(1, abs=0.2)


def test_a_lone_row_has_no_scatter_on_the_sphere():
    wcs = WCS({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRPIX1": 36.5, "CRPIX2": 18.5,
               "CDELT1": -5, "CDELT2": 5, "NAXIS1": 72, "NAXIS2": 36})  # fmt: skip
    for lat in (22.2, 89.9):
        mean = sky_map([3.3], [lat], wcs=wcs, kernel="10 deg", geometry="sphere", values=[3.0])
        np.testing.assert_allclose(mean.data[~mean.mask], 3, rtol=1e-2)
        assert np.isnan(mean.uncertainty.array).all()


def test_errors_of_counts_are_found_when_asked_for_also_of_copies():
    ra, dec, _, _ = rows()
    for statistic in ("density", "count"):
        made = sky_map(ra, dec, wcs=field(), statistic=statistic)
        root = made.data / np.sqrt(np.maximum(made.counts, 1))
        for other in (
            deepcopy(made),
            pickle.loads(pickle.dumps(made)),
            made[:],
            made.to(made.unit),
        ):
            np.testing.assert_allclose(other.uncertainty.array, root, rtol=1e-12)
            np.testing.assert_array_equal(other.n_eff, made.counts)
        assert (made + made).n_eff is None
        np.testing.assert_allclose((made + made).uncertainty.array, np.sqrt(2) * root)


@pytest.mark.parametrize("geometry", ["plane", "sphere"])
def test_errors_of_smoothed_maps_are_found_when_asked_for_also_of_copies(geometry, monkeypatch):
    ra, dec, _, _ = rows()
    squares, second = [], SmoothMoments.second

    def counting(self, channel):
        squares.append(channel)
        return second(self, channel)

    monkeypatch.setattr(SmoothMoments, "second", counting)
    options = {"wcs": field(), "kernel": 0.2 * u.deg, "geometry": geometry}
    made = sky_map(ra, dec, **options)
    assert not squares
    copied = deepcopy(made), pickle.loads(pickle.dumps(made)), made[:], made.to(made.unit)
    assert squares == ["n"]
    for other in copied:
        np.testing.assert_allclose(other.uncertainty.array, made.uncertainty.array, rtol=1e-12)
        np.testing.assert_allclose(other.n_eff, made.n_eff, rtol=1e-12)
    # What somebody sets is not found anew.
    other = sky_map(ra, dec, **options)
    other.uncertainty = None
    assert other.uncertainty is None
    np.testing.assert_allclose(other.n_eff, made.n_eff, rtol=1e-12)


def test_a_kernel_that_reaches_around_the_map_has_no_number_of_rows():
    ra, dec, _, _ = rows(200, beyond=1.0)
    given = {"wcs": field(), "kernel": 20 * u.pix, "boundary": "wrap"}
    made = sky_map(ra, dec, **given)
    assert made.n_eff is None
    assert made.uncertainty is None
    with pytest.raises(ValueError, match="min_count=2 needs a number of rows under the kernel"):
        sky_map(ra, dec, min_count=2, **given)


def test_the_label_of_a_smoothed_sum_with_a_difference_of_kernels():
    ra, dec, values, _ = rows()
    ax = Figure().add_subplot(projection=field())
    kernel = Gaussian("3 arcmin") - Gaussian("6 arcmin")
    heat = ax.sky_heatmap(ra, dec, values=values, statistic="sum", kernel=kernel, label="flux")
    assert heat.colorbar_label == "sum of flux"
    assert heat.get_clim()[0] == -heat.get_clim()[1]
