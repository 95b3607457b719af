"""Arithmetic of maps, and maps that are drawn again."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from matplotlib.figure import Figure

from mpl_skyheat import sky_map, subplot


def wcs_at(ra=50.0):
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": 20}
    return WCS(header | {"CRPIX1": 10.5, "CRPIX2": 8.5, "CDELT1": -0.1, "CDELT2": 0.1})


def made(seed, ra=50.0, shape=(16, 20), **more):
    return sky_map(*points_of(seed), wcs=wcs_at(ra), shape=shape, **more)


def points_of(seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(49.2, 50.8, 2000), rng.uniform(19.4, 20.6, 2000)


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


@pytest.mark.parametrize("more", [{"ra": 51.0}, {"shape": (16, 21)}], ids=str)
def test_maps_of_other_pixels_are_refused(more):
    with pytest.raises(ValueError, match="maps must have the same pixels; got"):
        A - made(1, **more)


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
