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


@pytest.mark.parametrize("result", [A, A - B, A / B], ids=["map", "difference", "quotient"])
def test_a_map_is_drawn_again_as_it_is(result):
    ax = Figure().add_subplot(projection=A.wcs)
    heat = ax.sky_heatmap(result, colorbar=True, label="stars")
    np.testing.assert_array_equal(heat.sky_map.data, result.data)
    assert heat.quantity.startswith("stars")
    ax.figure.canvas.draw()
    if result.meta["statistic"] == "difference":
        assert heat.norm.vmin == -heat.norm.vmax
    galactic = subplot(center=SkyCoord(50, 20, unit="deg").galactic, radius="0.5 deg")
    there = galactic.sky_heatmap(result)
    assert there.value_at(50.01, 20.02) == result.value_at(50.01, 20.02)
    for name, value in {"kernel": "2 deg", "data": {}, "bins": 3}.items():
        with pytest.raises(TypeError, match=f"{name} must be left out with a map"):
            ax.sky_heatmap(result, **{name: value})


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
