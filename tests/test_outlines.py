"""Outlines in closed form are where wcslib's projections end."""

import numpy as np
import pytest
from astropy.wcs import WCS, Sip
from helpers import plane_and_grid

from mpl_skyheat.sky import solid_angles as areas
from mpl_skyheat.sky.outlines import SHAPES, outline_of, plain_projection
from mpl_skyheat.sky.sky_edge import SkyTest

SHAPE = 150, 300


def make_wcs(code, **header):
    plain = {"CTYPE1": f"GLON-{code}", "CTYPE2": f"GLAT-{code}", "CDELT1": -1.25, "CDELT2": 1.25}
    return WCS(plain | {"CRPIX1": 150.2, "CRPIX2": 75.7} | header)


WCSS = {
    "plain": {},
    "oblique": {"CRVAL1": 30, "CRVAL2": 50},
    "turned": {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8, "CRVAL1": 200},
    "native pole": {"CRVAL1": 200, "LONPOLE": 77},
    "CD": {"CD1_1": -1.2, "CD1_2": 0.3, "CD2_1": 0.4, "CD2_2": 1.1},
    "arcmin": {"CUNIT1": "arcmin", "CUNIT2": "arcmin", "CDELT1": -80, "CDELT2": 75},
    "part": {"CRPIX1": -20.0, "CRPIX2": 130.0},
}


def grid_and_plane(code, **header):
    plane, grid = plane_and_grid(make_wcs(code, **header), SHAPE)
    return grid, plane


@pytest.mark.parametrize("header", WCSS.values(), ids=WCSS)
@pytest.mark.parametrize("code", SHAPES)
def test_an_outline_is_where_the_sky_ends(code, header):
    assert_outline_agrees(*grid_and_plane(code, **header))


@pytest.mark.parametrize("code", SHAPES)
def test_longitude_may_come_second(code):
    header = {"CTYPE1": f"GLAT-{code}", "CTYPE2": f"GLON-{code}", "CDELT1": 0.9, "CDELT2": -1.25}
    assert_outline_agrees(*grid_and_plane(code, **header))


def assert_outline_agrees(grid, plane):
    """Assert that an outline and round trips agree, but for a tenth of a pixel at its edge."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-10, 310, 40_000), rng.uniform(-10, 160, 40_000)
    shows = plane.shows(x, y)
    assert shows.mean() > 0.02
    clear = np.all(
        [plane.shows(x + dx, y + dy) == shows for dx in (-0.2, 0.2) for dy in (-0.2, 0.2)], axis=0
    )
    test = SkyTest(grid, plane.to_sky, plane.to_plane)
    np.testing.assert_array_equal(shows[clear], test(x[clear], y[clear]))
    assert clear.mean() > 0.97
    # Nothing in it is off the sky.
    assert np.isfinite(plane.to_sky(x[shows], y[shows])).all()


@pytest.mark.parametrize("code", SHAPES)
def test_solid_angles_are_those_of_the_test_by_round_trips(code):
    grid, plane = grid_and_plane(code)
    kwargs = {"is_equal_area": plane.is_equal_area}
    judge = areas.solid_angles(grid, plane.to_sky, plane.to_plane, **kwargs)
    found = areas.solid_angles(grid, plane.to_sky, plane.to_plane, outline=plane.shows, **kwargs)
    assert np.count_nonzero((found > 0) & (found < 0.9 * np.median(found[found > 0]))) > 100
    np.testing.assert_allclose(found, judge, rtol=0, atol=3e-4 * judge.max())


def test_what_is_more_than_a_plain_projection_has_no_outline():
    distorted = make_wcs("AIT")
    distorted.sip = Sip(np.zeros((3, 3)), np.zeros((3, 3)), None, None, (1, 1))
    wcss = {
        "distorted": distorted,
        "parameters": make_wcs("SIN", PV2_1=0.1, PV2_2=0.2),
        "CROTA": make_wcs("AIT", CROTA2=10.0),
        "three axes": WCS({"CTYPE1": "GLON-AIT", "CTYPE2": "GLAT-AIT", "CTYPE3": "VELO"}),
        "no sky": WCS({"CTYPE1": "FREQ", "CTYPE2": "VELO"}),
        "none": WCS(naxis=2),
        "of another kind": object(),
    }
    for name, wcs in wcss.items():
        assert plain_projection(wcs) == "", name
        assert outline_of(wcs) is None, name
    assert plain_projection(make_wcs("TAN")) == "TAN"
    assert outline_of(make_wcs("TAN")) is None
