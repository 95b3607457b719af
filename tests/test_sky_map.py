"""Arithmetic of maps, and maps that are drawn again."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData, NDData
from astropy.wcs import WCS
from helpers import make_wcs
from matplotlib.figure import Figure

from mpl_skyheat import Gaussian, SkyMap, TopHat, sky_map, subplot
from mpl_skyheat.maps.interpolation import Seams, interpolated


def wcs_at(ra=50.0):
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": 20}
    return WCS(header | {"CRPIX1": 10.5, "CRPIX2": 8.5, "CDELT1": -0.1, "CDELT2": 0.1})


def made(seed, ra=50.0, shape=(16, 20), **more):
    return sky_map(*points_of(seed), wcs=wcs_at(ra), shape=shape, **more)


def points_of(seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(49.2, 50.8, 2000), rng.uniform(19.4, 20.6, 2000)


KERNEL = Gaussian("6 arcmin")
A, B = made(1, label="red"), made(2, label="blue", unit="arcmin-2")


@pytest.mark.parametrize(
    ("word", "sign", "method"),
    [
        ("total", "+", "add"),
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
    assert result.meta["stat"] == word
    assert result.label == f"red {sign} blue"
    assert "read" not in result.meta or A.meta["read"] == B.meta["read"]
    assert not result.is_smoothed


def test_kernel_and_label_go_along():
    m = made(1, kernel="6 arcmin", label="red")
    for other in (m, m[2:9, 3:], m.to("arcmin-2"), m / 2, m - m.mean()):
        assert (other.kernel, other.label) == (KERNEL, "red")
        assert other.is_smoothed
    assert (m.error.kernel, m.error.label) == (KERNEL, "error of red")
    assert (1 / u.deg**2 - m).kernel == m.signal_to_noise.kernel == KERNEL
    assert made(2, kernel=m.kernel).kernel == m.kernel
    assert (A.kernel, A.label, A.is_smoothed) == (None, "red", False)
    by_hand = SkyMap(np.ones((3, 4)), kernel="6 arcmin", label="red")
    assert (by_hand.kernel, by_hand.label, by_hand.is_smoothed) == (KERNEL, "red", True)
    with pytest.raises(TypeError, match=r"label must be text, .* got 3"):
        SkyMap(np.ones((3, 4)), label=3)
    with pytest.raises(TypeError, match=r"kernel must be an angle .* got 3"):
        SkyMap(np.ones((3, 4)), kernel=3)


@pytest.mark.parametrize(
    ("kernel", "other", "both"),
    [
        (KERNEL, 360 * u.arcsec, KERNEL),
        (KERNEL, TopHat("6 arcmin"), None),
        (KERNEL, None, None),
        (None, KERNEL, None),
    ],
    ids=str,
)
def test_a_map_is_smoothed_whether_or_not_its_kernel_is_known(kernel, other, both):
    result = made(1, kernel=kernel) + made(2, kernel=other)
    assert result.kernel == both
    assert result.is_smoothed
    assert (2 * result[1:]).is_smoothed
    norm = Figure().add_subplot(projection=result[1:].wcs).sky_heatmap(result[1:], norm="log").norm
    assert norm.clip  # as of smoothed maps


@pytest.mark.parametrize(
    "sky",
    [
        A,
        A / B,
        made(1, kernel=KERNEL - TopHat("20 arcmin")),
        made(1, values=np.ones(2000), min_count=2),
        sky_map(SkyCoord(50, 20, unit="deg").skyoffset_frame().realize_frame(
            SkyCoord([0, 0.1], [0, 0], unit="deg").data), wcs=wcs_at(), shape=(16, 20)),
    ],
    ids=["density", "quotient", "signed", "mean", "frame"],
)  # fmt: skip
def test_meta_fits_into_a_fits_header(sky, tmp_path):
    assert all(len(key) <= 8 for key in sky.meta)
    assert all(isinstance(v, str | bool | int | float | None) for v in sky.meta.values())
    CCDData(sky.data, unit="deg-2", meta=sky.meta).write(tmp_path / "m.fits")
    read = CCDData.read(tmp_path / "m.fits").meta
    assert read["STAT"] == sky.meta["stat"]
    assert read["FRAME"] == sky.meta["frame"]
    assert read.get("INSIDE") == sky.meta.get("inside")


def test_a_map_is_written_by_ccddata(tmp_path):
    CCDData(A).write(tmp_path / "m.fits")
    read = CCDData.read(tmp_path / "m.fits")
    np.testing.assert_array_equal(read.data, A.data)
    assert (read.unit, read.meta["STAT"]) == (A.unit, "density")
    np.testing.assert_array_equal(read.uncertainty.array, A.uncertainty.array)


# Masks and reductions


MASKED = made(1, values=np.random.default_rng(3).normal(5, 1, 2000), min_count=6)


def test_masks_are_full_and_have_nan_under_them():
    assert 0 < MASKED.mask.sum() < MASKED.mask.size
    by_hand = SkyMap(np.arange(12).reshape(3, 4), unit="deg-2")
    masked = SkyMap(np.arange(12).reshape(3, 4), mask=np.eye(3, 4) > 0)
    infinite = SkyMap(np.array([[1, np.inf], [np.nan, 2]]))
    results = [MASKED, MASKED[2:5, 3:], MASKED.like(MASKED.n_eff), MASKED.error, A.to("sr-1")]
    results += [A / B, A - B, 1 / A, A / 0, 2 * MASKED, A[3], by_hand, by_hand + by_hand, masked]
    results += [masked * 2, 2 - masked, infinite, made(1)]
    for result in results:
        assert result.mask.dtype == bool
        assert result.mask.shape == result.data.shape
        np.testing.assert_array_equal(result.mask, ~np.isfinite(result.data))
        np.testing.assert_array_equal(np.isnan(result.data), result.mask)
    assert (A / 0).mask.all()
    assert not by_hand.mask.any()
    np.testing.assert_array_equal(masked.mask, np.eye(3, 4) > 0)
    assert (masked * 2).mask.sum() == 3


def test_a_mask_that_is_set_later_has_nan_under_it_and_leaves_the_array_that_was_given():
    given = np.arange(12.0).reshape(3, 4)
    by_hand = SkyMap(given)
    by_hand.mask = np.eye(3, 4) > 0
    assert np.isnan(by_hand.data).sum() == 3
    assert np.isfinite(given).all()


@pytest.mark.parametrize("name", ["max", "min", "sum"])
def test_reductions_are_quantities_over_the_pixels_that_are_not_masked(name):
    for m in (A, MASKED, A - B, A / B):
        found = getattr(m, name)()
        assert isinstance(found, u.Quantity)
        assert found.unit == (m.unit or u.dimensionless_unscaled)
        expected = getattr(np.ma, name)(np.ma.masked_invalid(m.data))
        assert found.value == pytest.approx(expected, rel=1e-13)
        assert getattr(np, name)(m) == found


def test_a_mean_is_over_the_observed_sky():
    # CAR: solid angles that differ by a factor of 50.
    header = {"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRPIX1": 18.5, "CRPIX2": 9.5}
    wcs = WCS(header | {"CDELT1": -10, "CDELT2": 10, "CRVAL1": 180})
    lon, lat = np.random.default_rng(4).uniform([0, -90], [360, 90], (1000, 2)).T
    m = sky_map(lon, lat, wcs=wcs, shape=(18, 36), unit="sr-1")
    assert m.mean().to_value("sr-1") == pytest.approx(1000 / (4 * np.pi), rel=1e-3)
    contrast = m / m.mean() - 1
    assert contrast.unit == u.dimensionless_unscaled
    assert contrast.mean().value == pytest.approx(0, abs=1e-12)
    assert np.mean(m) == m.mean()
    m.coverage = np.where(lat_of(m) > 0, 1, 0.25)
    north, south = ((lat > 0).sum(), (lat <= 0).sum())
    expected = (north + 0.25 * south) / (2 * np.pi * 1.25)
    assert m.mean().to_value("sr-1") == pytest.approx(expected, rel=1e-3)
    by_hand = SkyMap([[1.0, 2.0, 6.0]], unit="m", mask=[[False, False, True]])
    assert by_hand.mean() == 1.5 * u.m


def lat_of(m):
    return m.wcs.pixel_to_world(*np.indices(m.data.shape)[::-1]).dec.deg


def test_reductions_of_nothing_are_nan():
    empty = made(1).like(np.full((16, 20), np.nan), "deg-2")
    for found in (empty.max(), empty.min(), empty.sum(), empty.mean(), np.mean(empty)):
        assert np.isnan(found)
        assert found.unit == u.deg**-2
    text = r"axis must be left out, .*; got 0: take .quantity, as in np.nanmax\(m.quantity, axis=0"
    for reduce in (np.max, np.mean, np.sum):
        with pytest.raises(TypeError, match=text):
            reduce(A, axis=0)


# Operators, and functions of numpy


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
        assert result.meta["stat"] == word
        assert result.solid_angle is A.solid_angle


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.array, u.Quantity])
def test_numbers_of_numpy_on_the_left_leave_operators_to_the_map(kind):
    plain = A * u.deg**2 + 1  # nowhere 0
    for result, expected in [
        (kind(2) * A, 2 * A.data),
        (kind(2) / plain, 2 / plain.data),
        (kind(2) + plain, 2 + plain.data),
        (kind(2) - plain, 2 - plain.data),
    ]:
        assert isinstance(result, SkyMap)
        np.testing.assert_allclose(result.data[~result.mask], expected[np.isfinite(expected)])


def test_arrays_are_operands_if_they_have_the_maps_shape():
    factor = np.linspace(1, 2, A.data.size).reshape(A.data.shape)
    for result in (factor * A, A * factor, A * (factor << u.one), (factor << u.one) * A):
        np.testing.assert_allclose(result.data, factor * A.data)
        assert result.uncertainty is not None
    for part in (factor[0], factor[:3]):
        with pytest.raises(ValueError, match=r"operand must be one number or have the map's shape"):
            A * part
        with pytest.raises(ValueError, match=r"operand must be one number or have the map's shape"):
            part - A


@pytest.mark.parametrize("function", [np.sqrt, np.log10, np.isfinite, np.absolute])
def test_functions_of_numpy_name_the_quantity(function):
    text = rf"numpy.{function.__name__} takes no SkyMap: take .quantity, as in np"
    for m in (A, A / B):
        with pytest.raises(TypeError, match=text):
            function(m)
    with pytest.raises(TypeError, match=r"numpy.add takes no SkyMap"):
        np.add(A, B)
    with pytest.raises(TypeError, match=r"numpy.multiply takes no SkyMap"):
        np.multiply(2, A, out=np.ones(A.data.shape))
    assert np.sqrt(A.quantity).unit == u.deg**-1


def test_results_of_signed_maps_are_drawn_around_zero():
    contrast = (A - B) / (A + B)
    assert contrast.label == "(red − blue) / (red + blue)"
    for result in (contrast, (A - B) + (A - B), -1 * A, A + -1 / u.deg**2, A - (B - A)):
        assert result.meta["signed"]
        norm = Figure().add_subplot(projection=A.wcs).sky_heatmap(result).norm
        assert norm.vmin == -norm.vmax < 0
    for result in (A + B, A * B, A / B, 2 * A):
        assert not result.meta["signed"]
    assert (A - (B - A)).label == "red − (blue − red)"


def test_a_map_takes_units_and_refuses_the_rest():
    for result in (A * u.deg**2, A / u.deg**-2):
        assert result.unit == u.dimensionless_unscaled
        np.testing.assert_allclose(result.data, A.data)
    for bad in (None, "x"):
        with pytest.raises(TypeError, match=f"operand must be a SkyMap, .*; got {bad!r}"):
            A + bad
    with pytest.raises(u.UnitConversionError, match="the map's, 1 / deg2; got no unit"):
        A - 1
    with pytest.raises(u.UnitConversionError, match="the map's, 1 / deg2; got m"):
        A - 1 * u.m


def header_of(**changes):
    return WCS(dict(wcs_at().to_header()) | changes)


FLAT = sky_map([0, 20], [0, 16], frame="flat", bins=(20, 16))


@pytest.mark.parametrize("operator", ["add", "subtract", "multiply", "divide"])
@pytest.mark.parametrize(
    ("other", "text"),
    [
        (made(1, ra=51.0), "pixels up to 0.94"),
        (made(1, shape=(16, 21)), r"shapes \(16, 20\) and \(16, 21\)"),
        (NDData(np.ones((16, 20)), wcs=header_of(CRVAL1=51.0), unit="deg-2"), "pixels up to 0.94"),
        (NDData(np.ones((16, 20)), wcs=header_of(CRPIX1=11.5)), "pixels up to 0.1 deg apart"),
        (NDData(np.ones((16, 20)), wcs=header_of(CTYPE1="GLON-TAN", CTYPE2="GLAT-TAN")),
         "frames <ICRS Frame> and <Galactic Frame>"),
        (NDData(np.ones((16, 20)), wcs=header_of(CDELT1=0.1)), "pixels up to 1.9 deg apart"),
        (NDData(np.ones((3, 20))), r"shapes \(16, 20\) and \(3, 20\)"),
        (FLAT, "one of Cartesian x, y and one of the sky"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_operands_of_other_pixels_are_refused(other, text, operator):
    with pytest.raises(ValueError, match=f"maps must have the same pixels; got {text}.*as its wcs"):
        getattr(A, operator)(other)


def test_flat_maps_of_other_pixels_are_refused():
    with pytest.raises(ValueError, match=r"pixels up to .* apart"):
        FLAT + sky_map([0, 21], [0, 16], frame="flat", bins=(20, 16))


def test_other_data_on_the_same_pixels_is_an_operand():
    exposure = np.linspace(1, 2, A.data.size).reshape(A.data.shape)
    for wcs in (A.wcs, header_of(), None):
        rate = A / NDData(exposure, wcs=wcs, unit="s")
        np.testing.assert_allclose(rate.data, A.data / exposure)
        assert rate.unit == u.deg**-2 / u.s
        assert (rate.label, rate.kernel) == ("red", None)


@pytest.mark.parametrize("result", [A, A - B, A / B], ids=["map", "difference", "quotient"])
def test_a_map_is_drawn_again_as_it_is(result):
    ax = Figure().add_subplot(projection=A.wcs)
    heat = ax.sky_heatmap(result, colorbar=True, label="stars")
    np.testing.assert_array_equal(heat.sky_map.data, result.data)
    assert heat.colorbar_label.startswith("stars")
    ax.figure.canvas.draw()
    if result.meta["stat"] == "difference":
        assert heat.norm.vmin == -heat.norm.vmax
    galactic = subplot(center=SkyCoord(50, 20, unit="deg").galactic, radius="0.5 deg")
    there = galactic.sky_heatmap(result)
    assert there.value_at(50.01, 20.02) == result.value_at(50.01, 20.02)
    for name, value in {"kernel": "2 deg", "data": {}, "bins": 3}.items():
        with pytest.raises(TypeError, match=f"{name} must be left out with a map"):
            ax.sky_heatmap(result, **{name: value})


def test_a_map_drawn_on_other_pixels_has_their_solid_angles():
    fine = subplot(center=(50, 20), radius="1 deg", pixel_size="1 arcmin", projection="ZEA")
    drawn = fine.sky_heatmap(A).sky_map
    # ZEA keeps areas.
    np.testing.assert_allclose(drawn.solid_angle.to_value("arcmin2"), 1, rtol=1e-9)
    total = (drawn * drawn.solid_angle).data[~drawn.mask].sum()
    assert total == pytest.approx(A.meta["inside"], rel=0.01)


def test_a_map_is_drawn_on_axes_that_show_nothing_yet():
    bare = Figure().add_subplot(projection=wcs_at())
    np.testing.assert_array_equal(bare.sky_heatmap(A).sky_map.data, A.data)
    plain = Figure().add_subplot()
    heat = plain.sky_heatmap(A)
    assert plain.xaxis_inverted()
    assert heat.value_at(50.01, 20.02) == A.value_at(50.01, 20.02)
    corners = A.wcs.pixel_to_world([-0.5, -0.5, 19.5, 19.5], [-0.5, 15.5, -0.5, 15.5])
    low, high = sorted(plain.get_xlim())
    assert low == pytest.approx(corners.ra.deg.min(), abs=1e-5)
    assert high == pytest.approx(corners.ra.deg.max(), abs=1e-5)


def test_a_map_on_its_own_pixels_is_drawn_to_the_rim_of_the_sky(tmp_path):
    wcs = make_wcs("MOL", shape=(36, 18), center=(0, 0), cdelt=(-9, 9))
    lon, lat = np.random.default_rng(2).uniform(-1, 1, (2, 500)) * [[180], [90]]
    whole = sky_map(lon, lat, wcs=wcs, kernel="20 deg", label="stars")
    whole.write(tmp_path / "map.fits")
    for made in (whole, SkyMap.read(tmp_path / "map.fits")):
        heat = Figure().add_subplot(projection=made.wcs).sky_heatmap(made)
        assert heat.sky_map is made
    heat = Figure().add_subplot(projection=wcs).sky_heatmap(whole, unit="sr-1", label="suns")
    assert (heat.sky_map.label, whole.label) == ("suns", "stars")
    np.testing.assert_allclose(heat.sky_map.data, whole.to("sr-1").data)
    np.testing.assert_array_equal(heat.sky_map.counts, whole.counts)


def test_a_smoothed_map_is_drawn_between_its_pixels_by_splines():
    smooth = sky_map([50.013], [20.007], wcs=wcs_at(), shape=(16, 20), kernel="0.2 deg",
                     geometry="sphere")  # fmt: skip
    ax = Figure().add_subplot(projection=wcs_at(51.0))
    ax.set(xlim=(-0.5, 39.5), ylim=(-0.5, 15.5))
    drawn = ax.sky_heatmap(smooth).sky_map
    y, x = np.nonzero(~drawn.mask)
    separation = drawn.wcs.pixel_to_world(x, y).separation(SkyCoord(50.013, 20.007, unit="deg"))
    peak = 1 / (2 * np.pi * 0.2**2)
    expected = peak * np.exp(-0.5 * (separation.deg / 0.2) ** 2)
    inner = separation.deg < 0.5
    assert inner.sum() > 60
    np.testing.assert_allclose(drawn.data[y, x][inner], expected[inner], rtol=0, atol=2e-3 * peak)


def test_a_flat_map_is_drawn_again_as_it_is():
    rng = np.random.default_rng(3)
    flat = sky_map(rng.uniform(0, 10, 99), rng.uniform(0, 5, 99), frame="flat", bins=(20, 10))
    ax = Figure().add_subplot()
    heat = ax.sky_heatmap(flat + flat)
    np.testing.assert_array_equal(heat.sky_map.data, 2 * flat.data)
    np.testing.assert_allclose(heat.sky_map.solid_angle, flat.solid_angle, rtol=1e-6)
    x, y = flat.wcs.low_level_wcs.pixel_to_world_values([-0.5, 19.5], [-0.5, 9.5])
    np.testing.assert_allclose(heat.get_extent(), [*x, *y], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("statistic", np.zeros(2)),
        ("boundary", np.array(["sky", "fill"])),
        ("geometry", []),
        ("center", SkyCoord([1, 2], [3, 4], unit="deg")),
    ],
)
def test_an_error_names_the_argument(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be .*got"):
        Figure().add_subplot(projection="mollweide").sky_heatmap([1], [2], **{name: value})


@pytest.mark.parametrize("part", [np.s_[4:12, 3:15], np.s_[-9:, :7], np.s_[2:]])
def test_a_part_of_a_map_has_a_wcs_that_can_be_written(part, tmp_path):
    cut = A[part]
    y, x = np.indices(cut.data.shape)
    np.testing.assert_array_equal(cut.value_at(cut.wcs.pixel_to_world(x, y)).value, A.data[part])
    cut.write(tmp_path / "part.fits")
    assert "CRPIX1" in cut.wcs.to_header()


def test_a_file_that_no_fits_reader_would_open_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^file must have a name that ends in .fits .*a.png$"):
        A.write(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_nothing_is_lost_on_axes_with_coarser_pixels():
    fine = sky_map([50.013], [20.007], wcs=wcs_at(), shape=(16, 20), bins=(200, 160))
    ax = Figure().add_subplot(projection=WCS(wcs_at().to_header()))
    ax.set(xlim=(-0.5, 19.5), ylim=(-0.5, 15.5))
    drawn = ax.sky_heatmap(fine).sky_map
    assert drawn.data.shape == (16, 20)
    ours = np.nansum(drawn.data * drawn.unit * A.solid_angle).to_value("")
    assert ours == pytest.approx(1, rel=1e-6)
    mollweide = Figure().add_subplot(projection="mollweide").sky_heatmap(fine).sky_map
    assert np.nanmax(mollweide.data) > 0


def test_a_map_is_a_quantity_and_an_array():
    assert A.quantity.unit == A.unit
    np.testing.assert_array_equal(np.isnan(A.quantity), A.mask)
    np.testing.assert_array_equal(np.asarray(A)[~A.mask], A.data[~A.mask])
    assert np.asarray(A, dtype="f4").dtype == "f4"
    assert Figure().add_subplot().imshow(A).get_array().shape == A.data.shape


def test_a_map_in_another_unit_has_its_errors_in_it_too():
    factor = A.unit.to("arcmin-2")
    moved = A.to("arcmin-2")
    np.testing.assert_allclose(moved.data, A.data * factor)
    np.testing.assert_allclose(moved.uncertainty.array, A.uncertainty.array * factor)
    np.testing.assert_array_equal(moved.counts, A.counts)
    assert moved.meta == A.meta
    for unit in ("kg", "nonsense", 3.5):
        with pytest.raises(ValueError, match=r"unit must be one of the map.s, .*; got"):
            A.to(unit)


def test_the_pixels_of_a_map_or_a_header():
    header = A.wcs.to_header()
    header["NAXIS1"], header["NAXIS2"] = A.data.shape[::-1]
    for wcs in (A, header):
        other = sky_map(*points_of(1), wcs=wcs)
        np.testing.assert_array_equal(other.counts, A.counts)
        np.testing.assert_allclose((other - A).data, 0)


@pytest.mark.parametrize("shape", [(20, 30), (21, 31)])
def test_the_upper_edge_of_a_map_is_read_between_pixels(shape):
    values = np.add.outer(np.arange(shape[0]), 10.0 * np.arange(shape[1]))
    x, y = (np.array([1.0, n - 0.5]) for n in shape[::-1])
    found, near = (
        interpolated(values, x - off, y - off, Seams(), is_smooth=True) for off in (0, 1e-3)
    )
    assert found == pytest.approx(near, rel=2e-3)
