"""The Mollweide projection that tiles are made with is that of wcslib, and better at the poles."""

import numpy as np
import pytest
from astropy.wcs import WCS

from mpl_skyheat import counting, sky_map
from mpl_skyheat.mollweide import mollweide, quick_mollweide


def mollweide_wcs(**header):
    plain = {"CTYPE1": "GLON-MOL", "CTYPE2": "GLAT-MOL", "CDELT1": -0.25, "CDELT2": 0.25}
    return WCS(plain | {"CRPIX1": 720.5, "CRPIX2": 360.5} | header)


WCSS = {
    "plain": {},
    "oblique": {"CRVAL1": 30, "CRVAL2": 50},
    "turned": {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8, "CRVAL1": 200},
    "native pole": {"CRVAL1": 200, "LONPOLE": 77},
    "southern pole": {"CRVAL1": 30, "CRVAL2": 20, "LONPOLE": 30, "LATPOLE": -90},
    "CD": {"CD1_1": -0.2, "CD1_2": 0.05, "CD2_1": 0.05, "CD2_2": 0.2},
    "latitude first": {"CTYPE1": "DEC--MOL", "CTYPE2": "RA---MOL", "CRVAL1": 20},
    "arcmin": {"CUNIT1": "arcmin", "CUNIT2": "arcmin", "CDELT1": -15, "CDELT2": 15},
}


@pytest.mark.parametrize("header", WCSS.values(), ids=WCSS)
def test_positions_are_where_wcslib_has_them(header):
    wcs, rng = mollweide_wcs(**header), np.random.default_rng(1)
    quick = quick_mollweide(wcs)
    assert quick is not None
    lon, lat = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    lat[:1000] = rng.choice([-1, 1], 1000) * (90 - 10 ** rng.uniform(-1, 1, 1000))
    lat[1000:1003] = 0, 1e-13, -1e-13
    world = (lat, lon) if wcs.wcs.lng else (lon, lat)
    np.testing.assert_allclose(quick(lon, lat), wcs.wcs_world2pix(*world, 0), rtol=0, atol=3e-7)


def test_the_equation_is_solved_to_rounding_up_to_the_poles():
    """2 γ + sin 2γ = π sin θ, told by what is left to the pole: z − sin z = π (1 − sin θ)."""
    theta = np.concatenate([np.linspace(0, 89, 500), 90 - np.geomspace(1e-9, 1, 500), [90]])
    _, y = mollweide(np.zeros(len(theta)), theta)
    x, _ = mollweide(np.full(len(theta), 90.0), theta)
    # x = √2 cos γ there, from which z comes without loss near the pole.
    x, y = np.radians(x), np.radians(y)
    z = 2 * np.arcsin(x / np.sqrt(2))
    series = (
        z**3
        / 6
        * (1 - z**2 / 20 * (1 - z**2 / 42 * (1 - z**2 / 72 * (1 - z**2 / 110 * (1 - z**2 / 156)))))
    )
    left = np.where(z < 0.5, series, z - np.sin(z))
    wanted = 2 * np.pi * np.sin(0.5 * np.radians(90 - theta)) ** 2
    np.testing.assert_allclose(left, wanted, rtol=1e-13)
    np.testing.assert_allclose(np.hypot(x, y), np.sqrt(2), rtol=1e-15)
    np.testing.assert_array_equal(np.radians(mollweide(theta, -theta)[1]), -y)


@pytest.mark.parametrize(
    "header",
    [
        {"CTYPE1": "GLON-AIT", "CTYPE2": "GLAT-AIT"},
        {"PV1_1": 10, "PV1_2": 0},
        {"CTYPE1": "RA---MOL-SIP", "CTYPE2": "DEC--MOL-SIP", "A_ORDER": 2, "A_2_0": 1e-5}
        | {"B_ORDER": 2, "B_0_2": 1e-5},
        {"CROTA2": 20},
    ],
    ids=["AIT", "PV", "SIP", "CROTA"],
)
def test_others_are_left_to_wcslib(header):
    assert quick_mollweide(mollweide_wcs(**header)) is None


def test_what_is_no_wcs_is_left_alone():
    assert quick_mollweide(None) is None


def test_what_disagrees_with_wcslib_is_not_taken(monkeypatch):
    wcs = mollweide_wcs()
    monkeypatch.setattr(
        "mpl_skyheat.mollweide.mollweide", lambda phi, theta: (phi, theta + 1e-3 * (theta > 60))
    )
    assert quick_mollweide(wcs) is None


def test_many_points_are_counted_through_it(monkeypatch):
    made = []
    monkeypatch.setattr(counting, "is_worth", lambda _: True)
    monkeypatch.setattr(
        counting, "quick_mollweide", lambda wcs: made.append(wcs) or quick_mollweide(wcs)
    )
    rng = np.random.default_rng(2)
    lon, lat = rng.uniform(0, 360, 300_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 300_000)))
    wcs = mollweide_wcs()
    wcs.pixel_shape = 1440, 720
    quick = sky_map(lon, lat, frame="galactic", wcs=wcs).counts
    assert made
    monkeypatch.setattr(counting, "is_worth", lambda _: False)
    np.testing.assert_array_equal(quick, sky_map(lon, lat, frame="galactic", wcs=wcs).counts)
