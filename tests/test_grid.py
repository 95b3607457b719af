"""Solid angles, pixel sizes and edges of map pixels, against analytic values, astropy and numpy."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from helpers import plane_and_grid
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.integrate import quad

from mpl_skyheat import sky_map
from mpl_skyheat.sky import block_polynomials
from mpl_skyheat.sky import solid_angles as areas
from mpl_skyheat.sky.grid import Axis, SkyGrid, View, grid_of_bins, native_grid
from mpl_skyheat.sky.pixel_scale import local_areas
from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.sky.sky_edge import SkyTest
from mpl_skyheat.sky.solid_angles import smooth_solid_angles

ARCMIN = np.radians(1 / 60)


def make_wcs(projection="TAN", crval=(150.1, 42.2), crpix=(30.5, 25.5), cdelt=0.1, **more):
    dx, dy = np.broadcast_to(cdelt, 2)
    return WCS(
        {
            "CTYPE1": f"RA---{projection}",
            "CTYPE2": f"DEC--{projection}",
            "CRVAL1": crval[0],
            "CRVAL2": crval[1],
            "CRPIX1": crpix[0],
            "CRPIX2": crpix[1],
            "CDELT1": -float(dx),
            "CDELT2": float(dy),
            **more,
        }
    )


def empty_map(wcs, shape, **kwargs):
    return sky_map([], [], wcs=wcs, shape=shape, **kwargs)


def solid_angles(wcs, shape, **kwargs):
    return empty_map(wcs, shape, **kwargs).solid_angle.to_value(u.sr)


def all_sky_wcs(projection, nx=180, ny=90, step=2.0, **more):
    """A map of the whole sky: nx x ny pixels around (0, 0)."""
    crpix = ((nx + 1) / 2, (ny + 1) / 2)
    return make_wcs(projection, crval=(0, 0), crpix=crpix, cdelt=step, **more)


def rotation(angle, parity=1):
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return {"PC1_1": cos, "PC1_2": -parity * sin, "PC2_1": sin, "PC2_2": parity * cos}


SIP = {
    "CTYPE1": "RA---TAN-SIP",
    "CTYPE2": "DEC--TAN-SIP",
    "A_ORDER": 2,
    "B_ORDER": 2,
    "A_2_0": 3e-4,
    "B_0_2": -2e-4,
    "B_1_1": 1e-4,
}


@pytest.mark.parametrize("step", [0.5, 1.0, 5.0])
def test_car_pixels_have_the_area_between_two_meridians_and_two_parallels(step):
    nx, ny = int(60 / step), int(180 / step)
    wcs = make_wcs("CAR", crval=(0, 0), crpix=((nx + 1) / 2, (ny + 1) / 2), cdelt=step)
    sines = np.sin(np.radians(np.linspace(-90, 90, ny + 1)))
    expected = np.radians(step) * np.diff(sines)
    areas = solid_angles(wcs, (ny, nx))
    np.testing.assert_allclose(areas, np.broadcast_to(expected[:, None], areas.shape), rtol=3e-4)


@pytest.mark.parametrize(
    ("projection", "constants", "scale"),
    [
        ("AIT", {}, 1),
        ("MOL", {}, 1),
        ("CEA", {"PV2_1": 1.0}, 1),
        ("CEA", {"PV2_1": 0.25}, 0.25),
        ("ZEA", {}, 1),
        ("SFL", {}, 1),
        ("BON", {"PV2_1": 45.0}, 1),
        # y = 135/2 sin(lat) and 180 sin(lat/3), in deg (Calabretta & Greisen 2002).
        ("HPX", {}, 8 / (3 * np.pi)),
        ("PAR", {}, 3 / np.pi),
    ],
)
def test_equal_area_pixels_are_equal(projection, constants, scale):
    # Within 30 deg of (150, 0), far from where the sky is cut.
    wcs = make_wcs(projection, crval=(150, 0), crpix=(30.5, 30.5), cdelt=1.0, **constants)
    np.testing.assert_allclose(solid_angles(wcs, (60, 60)), scale * np.radians(1.0) ** 2, rtol=2e-4)


@pytest.mark.parametrize("projection", ["ZEA", "AIT", "MOL"])
def test_equal_area_pixels_are_equal_up_to_the_rim_of_the_sky(projection):
    step, nx, ny = np.radians(2.0), 180, 120
    wcs = all_sky_wcs(projection, nx, ny, 2.0)
    split = 20  # parts of a pixel, each of them on the sky or off it
    x, y = (step * ((np.arange(n * split) + 0.5) / split - n / 2) for n in (nx, ny))
    x, y = np.meshgrid(x, y)
    # The sky is a disc of radius 2 rad, and ellipses of 2 √2 and √2 rad.
    on_sky = np.hypot(x, y) < 2 if projection == "ZEA" else x**2 / 8 + y**2 / 2 < 1
    share = on_sky.reshape(ny, split, nx, split).mean(axis=(1, 3))
    found = solid_angles(wcs, (ny, nx)) / step**2
    np.testing.assert_allclose(found[share == 1], 1, rtol=3e-3)
    np.testing.assert_allclose(found, share, atol=0.03)


@pytest.mark.parametrize("projection", ["AIT", "MOL", "CEA", "CAR", "SFL", "PAR", "ZEA", "ARC"])
@pytest.mark.parametrize("step", [2.0, 7.3])
def test_the_pixels_of_the_whole_sky_sum_to_4_pi(projection, step):
    n = int(np.ceil(400 / step))
    wcs = make_wcs(projection, crval=(0, 0), crpix=((n + 1) / 2, (n + 1) / 2), cdelt=step)
    assert solid_angles(wcs, (n, n)).sum() == pytest.approx(4 * np.pi, rel=1e-3)


@pytest.mark.parametrize("projection", ["HPX", "TSC", "CSC", "QSC", "XPH"])
def test_the_pixels_of_the_whole_sky_on_faces_sum_to_4_pi(projection):
    # Cubes lay their four equatorial faces out from -45 to 315 deg, to the left.
    crpix, shape = {"HPX": ((90.5, 50.5), (100, 180)), "XPH": ((70.5, 70.5), (140, 140))}.get(
        projection, ((170.5, 70.5), (140, 200))
    )
    centre = (0, 90) if projection == "XPH" else (0, 0)
    wcs = make_wcs(projection, crval=centre, crpix=crpix, cdelt=2.0)
    assert solid_angles(wcs, shape).sum() == pytest.approx(4 * np.pi, rel=1e-3)


@pytest.mark.parametrize("crval", [(0, 0), (83, 21)])
def test_the_whole_sky_sums_to_4_pi_wherever_it_is_centred(crval):
    wcs = make_wcs("MOL", crval=crval, crpix=(90.5, 45.5), cdelt=2.0)
    assert solid_angles(wcs, (90, 180)).sum() == pytest.approx(4 * np.pi, rel=1e-3)


@pytest.mark.parametrize("step", [0.6, 3.0, 7.3])
def test_orthographic_pixels_have_their_solid_angle_up_to_slivers_at_the_limb(step):
    n = int(np.ceil(116 / step))
    wcs = make_wcs("SIN", crval=(30, 40), crpix=((n + 1) / 2, (n + 1) / 2), cdelt=step)
    # ∫∫ dx dy / √(1 - x² - y²) from 0 to a node, on the disc of radius 1.
    x = np.clip(np.radians(step) * (np.arange(n + 1) - n / 2), -1 + 1e-15, 1 - 1e-15)
    y = x[:, np.newaxis]
    up_to_node = (
        x * np.arcsin(np.clip(y / np.sqrt(1 - x**2), -1, 1))
        + y * np.arcsin(np.clip(x / np.sqrt(1 - y**2), -1, 1))
        - np.arctan2(x * y, np.sqrt(np.maximum(1 - x**2 - y**2, 0)))
    )
    expected = np.diff(np.diff(up_to_node, axis=0), axis=1)
    found = solid_angles(wcs, (n, n))
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=1e-5 * np.radians(step) ** 2)
    assert found.sum() == pytest.approx(2 * np.pi, rel=3e-4)


@pytest.mark.parametrize(("step", "within"), [(1 / 3, 0.01), (1 / 60, 0.05), (1 / 600, 0.05)])
def test_fine_orthographic_pixels_at_the_limb_have_their_solid_angle(step, within):
    # Of a field around the limb, in the direction of 45 deg: about 1 / sqrt(1 - x² - y²), which is
    # integrated along y exactly, and along x by quadrature.
    n, limb = 24, np.degrees(np.sqrt(0.5))
    corner = n / 2 - limb / step + 0.5
    areas = solid_angles(
        make_wcs("SIN", crval=(30, 40), crpix=(corner, corner), cdelt=step), (n, n)
    )
    edges = np.radians(limb + step * (np.arange(n + 1) - n / 2))
    for row, column in np.ndindex(n, n):
        expected = _of_rectangle(*edges[[column, column + 1]], *edges[[row, row + 1]])
        if expected > 1e-2 * areas.max():
            assert areas[row, column] == pytest.approx(expected, rel=within)


def _of_rectangle(left, right, bottom, top):
    """Return the solid angle of a rectangle on an orthographic disc of radius 1."""

    def across(x):
        half = np.sqrt(max(1 - x * x, 1e-300))
        return np.diff(np.arcsin(np.clip([bottom / half, top / half], -1, 1)))[0]

    limb = [np.sqrt(1 - y * y) for y in (bottom, top) if y < 1]
    return quad(across, left, right, points=[x for x in limb if left < x < right] or None)[0]


@pytest.mark.parametrize("cdelt", [0.1, 0.5])
def test_tan_pixels_shrink_as_the_cube_of_the_cosine(cdelt):
    wcs = make_wcs("TAN", crpix=(40.5, 30.5), cdelt=cdelt)
    x, y = np.meshgrid(np.arange(80) - 39.5, np.arange(60) - 29.5)
    # On the tangent plane, in units of the sphere's radius; Ω = ∫∫ dx dy / (1 + x² + y²)^(3/2).
    step = np.radians(cdelt)
    squared = (x**2 + y**2) * step**2
    expected = step**2 * (1 + squared) ** -1.5
    # The next order of the integral over the pixel.
    laplacian = (-6 + 9 * squared) / (1 + squared) ** 2
    expected *= 1 + step**2 / 24 * laplacian
    np.testing.assert_allclose(solid_angles(wcs, (60, 80)), expected, rtol=1e-7)


@pytest.mark.parametrize("shape", [(4, 5), (30, 40)])
@pytest.mark.parametrize("crval", [(150.1, 42.2), (0.0, -89.999), (359.9999, 0.0)])
@pytest.mark.parametrize(("code", "step"), [("TAN", 0.01), ("ZEA", 0.001), ("SFL", 0.001)])
def test_tiny_pixels_keep_their_area(shape, crval, code, step):
    wcs = make_wcs(code, crval=crval, crpix=(3, 2), cdelt=step / 3600)
    found = solid_angles(wcs, shape)
    np.testing.assert_allclose(
        found, np.radians(step / 3600) ** 2, rtol=1e-5 if code == "TAN" else 2e-6
    )


@pytest.mark.parametrize(
    ("wcs", "shape"),
    [
        (make_wcs("TAN", cdelt=0.05), (60, 70)),
        (make_wcs("TAN", cdelt=(0.05, 0.02), **rotation(33)), (60, 70)),
        (make_wcs("TAN", crval=(10, 89.9), cdelt=0.02), (60, 70)),
        (make_wcs("TAN", crval=(0, 5), cdelt=0.02), (60, 70)),
        (make_wcs("TAN", cdelt=0.02, **SIP), (60, 70)),
        (make_wcs("ZEA", cdelt=0.3, crpix=(-10, 80)), (60, 70)),
        (make_wcs("SIN", cdelt=0.01), (300, 40)),
        (make_wcs("CAR", crval=(150, 0), crpix=(30, -600), cdelt=0.1), (60, 70)),
        (make_wcs("AIT", crval=(150, 0), crpix=(-400, -200), cdelt=0.1), (60, 70)),
    ],
    ids=["TAN", "rotated", "pole", "0h", "SIP", "ZEA", "SIN", "CAR", "AIT"],
)
def test_a_polynomial_gives_the_solid_angles_of_all_of_a_field(wcs, shape, monkeypatch):
    plane, grid = plane_and_grid(wcs, shape)
    smooth, known = smooth_solid_angles(grid, SkyTest(grid, plane.to_sky, plane.to_plane))
    assert known.all()
    np.testing.assert_allclose(smooth, pixel_by_pixel(plane, grid, monkeypatch), rtol=1e-6)


def pixel_by_pixel(plane, grid, monkeypatch):
    """Return the solid angles without any polynomial."""
    monkeypatch.setattr(block_polynomials, "SMALLEST_GRID", 10**9)
    return areas.solid_angles(grid, plane.to_sky, plane.to_plane)


@pytest.mark.parametrize(
    ("code", "more"),
    [(code, {}) for code in ("AIT", "MOL", "CAR", "SIN", "ZEA", "HPX", "TSC", "SFL", "XPH")]
    + [
        ("ZPN", {"PV2_0": 0.0, "PV2_1": 1.0, "PV2_3": -0.03}),
        ("COE", {"PV2_1": 45.0, "PV2_2": 25.0}),
        ("CAR", {"crval": (40, 0), "crpix": (450.5, 270.5)}),
    ],
)
def test_polynomials_on_blocks_give_the_solid_angles_of_an_all_sky_map(code, more, monkeypatch):
    more = {"crval": (0, 0), "crpix": (300.5, 150.5)} | more
    plane, grid = plane_and_grid(make_wcs(code, cdelt=0.6, **more), (300, 600))
    _, known = smooth_solid_angles(grid, SkyTest(grid, plane.to_sky, plane.to_plane))
    assert known.mean() > 0.02
    found = areas.solid_angles(grid, plane.to_sky, plane.to_plane)
    exact = pixel_by_pixel(plane, grid, monkeypatch)
    np.testing.assert_allclose(found, exact, rtol=3e-5)
    assert 0 < (found > 0).mean() < 1 or code == "CAR"


@pytest.mark.parametrize("depth", [0.24, 0.6, 3.0])
@pytest.mark.parametrize("radius", [60, 413])
@pytest.mark.parametrize("line", [0.0, 256.0], ids=["border", "within"])
def test_an_edge_that_grazes_a_block_is_seen(line, radius, depth, monkeypatch):
    """No sky in a disc that reaches a little beyond the border of the map, or of a block."""
    grid = SkyGrid(Axis(0.0, 1.0, 640), Axis(0.0, 1.0, 512))

    def to_sky(x, y):
        lost = np.hypot(x - 301.3, y - (line - radius + depth)) < radius
        return np.where(lost, np.nan, 0.01 * x), np.where(lost, np.nan, 0.01 * y)

    def to_plane(lon, lat):
        return 100 * lon, 100 * lat

    plane = SimpleNamespace(to_sky=to_sky, to_plane=to_plane)
    sky = SkyTest(grid, to_sky, to_plane)
    assert 0.5 < smooth_solid_angles(grid, sky)[1].mean() < 1
    found = areas.solid_angles(grid, to_sky, to_plane)
    np.testing.assert_allclose(found, pixel_by_pixel(plane, grid, monkeypatch), rtol=1e-6)


def test_a_cut_that_is_thinner_than_a_block_is_seen(monkeypatch):
    """A cone of almost a plane: its sky has a gap of 2 deg, across which areas are smooth."""
    more = {"PV2_1": 88.0, "PV2_2": 0.0, "crval": (0, 88), "crpix": (330.0, 220.0)}
    plane, grid = plane_and_grid(make_wcs("COE", cdelt=0.45, **more), (400, 800))
    found = areas.solid_angles(grid, plane.to_sky, plane.to_plane)
    np.testing.assert_allclose(found, pixel_by_pixel(plane, grid, monkeypatch), rtol=1e-6)


def test_a_small_sky_anywhere_on_a_large_map_is_found():
    for crpix in ((300.5, 120.5), (60.5, 340.5), (433.0, 222.0)):
        wcs = make_wcs("AIT", crval=(0, 0), crpix=crpix, cdelt=4.0)
        assert solid_angles(wcs, (400, 800)).sum() == pytest.approx(4 * np.pi, rel=1e-3)


# Parameters, and where the middle of the sky is on a map of 400 × 800 pixels of 0.45 deg.
EQUAL_AREA = {
    "AIT": {},
    "BON": {"PV2_1": 45.0},
    "CEA": {"PV2_1": 0.7},
    "COE": {"PV2_1": 45.0, "PV2_2": 25.0},
    "HPX": {},
    "MOL": {},
    "PAR": {},
    "QSC": {"crpix": (600.5, 200.5)},
    "SFL": {"crval": (33, 0)},
    "XPH": {"crval": (0, 90)},
    "ZEA": {"crval": (33, 60), "CDELT1": -0.9},
}


@pytest.mark.parametrize("code", EQUAL_AREA)
def test_pixels_of_equal_area_have_the_solid_angle_of_what_they_show(code):
    more = {"crval": (0, 0), "crpix": (400.5, 200.5)} | EQUAL_AREA[code]
    plane, grid = plane_and_grid(make_wcs(code, cdelt=0.45, **more), (400, 800))
    assert plane.is_equal_area
    found = areas.solid_angles(grid, plane.to_sky, plane.to_plane, is_equal_area=True)
    whole = found.max()
    rng = np.random.default_rng(3)
    rows, columns = np.nonzero(found > 0)
    middle = rng.integers(len(rows), size=500)
    scale = local_areas(plane.to_sky, grid.x.centres[columns[middle]], grid.y.centres[rows[middle]])
    assert whole == pytest.approx(np.nanmedian(scale), rel=1e-6)
    # At the rim: 1600 places in a pixel show sky or do not.
    cut = np.argwhere((found < 0.999 * whole) & ndimage.binary_dilation(found > 0, iterations=2))
    cut = rng.permutation(cut)[:1000]
    t = (np.arange(40) + rng.uniform(0, 1, (len(cut), 1, 40))) / 40
    x = grid.x.edges[cut[:, 1]][:, None, None] + t
    y = grid.y.edges[cut[:, 0]][:, None, None] + t.transpose(0, 2, 1)
    sky = SkyTest(grid, plane.to_sky, plane.to_plane)(*np.broadcast_arrays(x, y))
    error = found[cut[:, 0], cut[:, 1]] / whole - sky.mean(axis=(1, 2))
    assert np.abs(error).max() < 0.04
    assert np.sqrt(np.mean(error**2)) < 0.008
    # The general way, which knows of solid angles only.
    general = areas.solid_angles(grid, plane.to_sky, plane.to_plane)
    assert found.sum() == pytest.approx(general.sum(), rel=1e-4)
    assert np.median(np.abs(found - general)[found > 0]) < 2e-5 * whole


NOTCHED = {
    "square": ("HPX", (180, 360), {}),
    "large": ("HPX", (520, 620), {}),
    "long": ("HPX", (360, 180), {"CDELT1": -2.0, "CDELT2": 0.5}),
    "longer": ("HPX", (360, 90), {"CDELT1": -4.0, "CDELT2": 0.5}),
    "coarse": ("HPX", (23, 22), {"CDELT1": -16.4, "CDELT2": 8.2}),
    "few": ("HPX", (5, 5), {"CDELT1": -72.0, "CDELT2": 36.0}),
    "one": ("AIT", (1, 1), {"CDELT1": -325.0, "CDELT2": 163.0}),
    "XPH": ("XPH", (300, 300), {"crval": (0, 90)}),
    "turned": ("HPX", (400, 400), rotation(45)),
}


def local_area(plane, grid):
    """Return the solid angle of a whole pixel, by a tiny square."""
    x, y = np.meshgrid(*(np.linspace(*axis.bounds, 60) for axis in (grid.x, grid.y)))
    return np.nanmedian(local_areas(plane.to_sky, x, y, 1e-3, 1e-3)) * 1e6 * np.prod(grid.steps)


@pytest.mark.parametrize("name", NOTCHED)
def test_what_a_notch_or_a_tip_of_the_sky_cuts_is_no_whole_pixel(name):
    code, shape, more = NOTCHED[name]
    options = {"crval": (0, 0), "crpix": (shape[1] / 2 + 0.5, shape[0] / 2 + 0.5)} | more
    plane, grid = plane_and_grid(make_wcs(code, cdelt=1.0, **options), shape)
    sky = SkyTest(grid, plane.to_sky, plane.to_plane)
    found = areas.solid_angles(
        grid, plane.to_sky, plane.to_plane, is_equal_area=True, outline=plane.shows
    )
    fractions = found / local_area(plane, grid)
    t = (np.arange(12) + 0.5) / 12
    for row in range(0, shape[0], 1 + shape[0] // 130):
        x = grid.x.edges[:-1][:, None, None] + t
        y = grid.y.edges[row] + t[:, None]
        found = sky(*np.broadcast_arrays(x, y)).mean(axis=(1, 2))
        np.testing.assert_allclose(fractions[row], found, atol=0.07)


def test_sky_that_bulges_into_a_pixel_between_its_corners_is_seen():
    grid = SkyGrid(Axis(0.0, 1.0, 160), Axis(0.0, 1.0, 160))

    def to_sky(x, y):
        known = np.hypot(x - 80.5, y - 80.0) < 1.1
        return np.where(known, 0.01 * x, np.nan), np.where(known, 0.01 * y, np.nan)

    found = areas.solid_angles(
        grid, to_sky, lambda lon, lat: (100 * lon, 100 * lat), is_equal_area=True
    )
    fractions = found / np.radians(0.01) ** 2
    # A segment of the disc, 0.1 high.
    angle = 2 * np.arccos(1 / 1.1)
    assert fractions[81, 80] == pytest.approx(0.5 * 1.21 * (angle - np.sin(angle)), abs=0.01)
    assert fractions.sum() == pytest.approx(np.pi * 1.21, rel=0.01)


@pytest.mark.parametrize(("code", "nx", "ny"), [("AIT", 12, 6), ("MOL", 24, 12), ("ZEA", 9, 9)])
def test_coarse_pixels_of_equal_area_have_the_solid_angle_of_the_plane(code, nx, ny):
    wcs = make_wcs(code, crval=(0, 0), crpix=((nx + 1) / 2, (ny + 1) / 2), cdelt=330 / nx)
    found = solid_angles(wcs, (ny, nx))
    assert found.max() == pytest.approx(np.radians(330 / nx) ** 2, rel=1e-6)


@pytest.mark.parametrize(("nx", "ny"), [(1, 60), (60, 1), (3, 2)])
@pytest.mark.parametrize("code", ["ARC", "AIT"])
def test_pixels_tens_of_degrees_wide_are_the_sums_of_fine_ones(code, nx, ny):
    wcs = make_wcs(code, crval=(150, 40), crpix=(90.5, 90.5), cdelt=2.0)
    fine = solid_angles(wcs, (180, 180))
    found = sky_map([], [], wcs=wcs, shape=(180, 180), bins=(nx, ny)).solid_angle.to_value(u.sr)
    expected = fine.reshape(ny, 180 // ny, nx, 180 // nx).sum(axis=(1, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize("code", ["CAR", "CEA"])
def test_a_large_map_that_goes_around_the_sky_more_than_once_shows_it_once(code):
    wcs = make_wcs(code, crval=(0, 0), crpix=(500.5, 260.5), cdelt=0.9)
    assert solid_angles(wcs, (520, 1000)).sum() == pytest.approx(4 * np.pi, rel=1e-3)


@pytest.mark.parametrize(
    ("projection", "more"),
    [
        ("TAN", {}),
        ("CAR", {}),
        ("ARC", {}),
        ("ZEA", SIP | {"CTYPE1": "RA---ZEA-SIP", "CTYPE2": "DEC--ZEA-SIP"}),
    ],
    ids=["TAN", "CAR", "ARC", "ZEA-SIP"],
)
def test_other_projections_are_not_taken_for_equal_area(projection, more):
    assert not plane_of_wcs(make_wcs(projection, **more)).is_equal_area


@pytest.mark.parametrize("radius", [2.5, 0.4])
def test_an_equal_area_map_with_sky_between_the_places_that_are_tried(radius):
    """Between the first, 10 pixels apart, and also between the second, 0.6 pixels apart."""
    grid = SkyGrid(Axis(0.0, 1.0, 160), Axis(0.0, 1.0, 160))

    def to_sky(x, y):
        known = np.hypot(x - 20.0, y - 20.0) < radius
        return np.where(known, 0.01 * x, np.nan), np.where(known, 0.01 * y, np.nan)

    found = areas.solid_angles(grid, to_sky, lambda lon, lat: (100 * lon, 100 * lat))
    equal = areas.solid_angles(
        grid, to_sky, lambda lon, lat: (100 * lon, 100 * lat), is_equal_area=True
    )
    assert found.sum() == pytest.approx(np.pi * np.radians(0.01 * radius) ** 2, rel=0.02)
    np.testing.assert_allclose(equal, found, rtol=1e-3)


@pytest.mark.parametrize("code", ["AIT", "MOL", "SFL", "ZEA", "CEA"])
def test_solid_angles_are_equal_up_to_the_poles_where_nothing_says_they_must_be(code):
    wcs = make_wcs(code, crval=(0, 0), crpix=(360.5, 180.5), cdelt=0.5)
    plane, grid = plane_and_grid(wcs, (360, 720))
    omega = areas.solid_angles(grid, plane.to_sky, plane.to_plane)
    omega /= np.radians(0.5) ** 2
    error = np.abs(omega - 1)[ndimage.binary_erosion(omega > 0, np.ones((3, 3)))]
    # (A few pixels beside a pole span tens of degrees in longitude.)
    assert error.max() < 0.1
    assert (error > 0.01).mean() < 1e-3
    assert np.median(error) < 2e-5


@pytest.mark.parametrize("projection", ["AIT", "SIN"])
def test_pixels_off_the_sky_are_masked_and_have_no_area(projection):
    skymap = empty_map(all_sky_wcs(projection), (90, 180))
    x, y = np.meshgrid(
        np.radians(2 * (np.arange(180) - 89.5)), np.radians(2 * (np.arange(90) - 44.5))
    )
    # An ellipse of 2 √2 and √2 rad, and a disc of one radian.
    squared = x**2 / 8 + y**2 / 2 if projection == "AIT" else x**2 + y**2
    assert skymap.mask[squared > 1.15].all()
    assert not skymap.mask[squared < 1].any()
    np.testing.assert_array_equal(skymap.solid_angle.value == 0, skymap.mask)
    assert np.isnan(skymap.data[skymap.mask]).all()


VIEWS = {
    "TAN": (make_wcs(), (50, 60)),
    "rotated": (make_wcs(**rotation(33)), (50, 60)),
    "sheared": (make_wcs(PC1_2=0.4, PC2_1=0.1), (50, 60)),
    "off-centre": (make_wcs(crpix=(-200.0, 160.0)), (50, 60)),
    "non-square": (make_wcs(cdelt=(0.1, 0.03)), (150, 60)),
    "SIP": (make_wcs(**SIP), (50, 60)),
    "near the pole": (make_wcs(crval=(20, 88.0)), (50, 60)),
    "CAR at 60 deg": (make_wcs("CAR", crval=(0, 0), crpix=(30, -575)), (50, 60)),
    "AIT": (all_sky_wcs("AIT"), (90, 180)),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("size", [7 * u.arcmin, 1.3 * u.deg])
def test_pixel_size_is_exact_at_the_centre_of_the_view(name, size):
    wcs, (ny, nx) = VIEWS[name]
    if name == "AIT" and size < 1 * u.deg:
        size = 33 * u.arcmin
    skymap = empty_map(wcs, (ny, nx), pixel_size=size)
    middle = wcs.pixel_to_world((nx - 1) / 2, (ny - 1) / 2)
    x, y = skymap.wcs.world_to_pixel(middle)
    left, right = skymap.wcs.pixel_to_world([x - 0.5, x + 0.5], [y, y])
    bottom, top = skymap.wcs.pixel_to_world([x, x], [y - 0.5, y + 0.5])
    assert (left.separation(right) / size).to_value("") == pytest.approx(1, abs=1e-6)
    assert (bottom.separation(top) / size).to_value("") == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("size", [33 * u.arcmin, 1.3 * u.deg])
def test_the_grid_overhangs_the_view_evenly_by_less_than_one_pixel(name, size):
    wcs, (ny, nx) = VIEWS[name]
    skymap = empty_map(wcs, (ny, nx), pixel_size=size)
    rows, columns = skymap.data.shape
    middle_x, middle_y = (nx - 1) / 2, (ny - 1) / 2
    near = 3  # pixels from the middle, where every projection shows sky
    x, y = skymap.wcs.world_to_pixel(
        wcs.pixel_to_world(
            [middle_x, middle_x + near, middle_x], [middle_y, middle_y, middle_y + near]
        )
    )
    # The middle of the view is that of the grid, and its sides lie within the outermost pixels.
    assert (x[0], y[0]) == pytest.approx(((columns - 1) / 2, (rows - 1) / 2), abs=1e-6)
    width, height = nx / near * abs(x[1] - x[0]), ny / near * abs(y[2] - y[0])
    assert columns - 1 < width <= columns + 1e-6
    assert rows - 1 < height <= rows + 1e-6


def test_a_view_of_whole_pixels_does_not_overhang():
    wcs = make_wcs("CAR", crval=(0, 0), crpix=(30.5, 30.5), cdelt=0.1)
    assert empty_map(wcs, (60, 60), pixel_size=0.2 * u.deg).data.shape == (30, 30)


@pytest.mark.parametrize(
    ("size", "unit"),
    [
        (1 * u.deg, "deg-2"),
        (5 * u.arcmin, "deg-2"),
        (4.9 * u.arcmin, "arcmin-2"),
        (6 * u.arcsec, "arcmin-2"),
        (5 * u.arcsec, "arcmin-2"),
        (4.9 * u.arcsec, "arcsec-2"),
        (0.01 * u.arcsec, "arcsec-2"),
    ],
)
def test_the_unit_of_a_density_suits_the_width_of_the_view(size, unit):
    """Of 12 pixels; their own size changes nothing."""
    wcs = make_wcs(crpix=(6.5, 6.5), cdelt=size.to_value(u.deg))
    assert empty_map(wcs, (12, 12)).unit == u.Unit(unit)
    assert empty_map(wcs, (12, 12), bins=5).unit == u.Unit(unit)
    # Not the data: a hundred points change nothing.
    assert sky_map([150.1] * 100, [42.2] * 100, wcs=wcs, shape=(12, 12)).unit == u.Unit(unit)


@st.composite
def axes_and_points(draw):
    """An axis, and points at random, on its edges and next to them."""
    axis = Axis(
        draw(st.floats(-1e4, 1e4)),
        draw(st.floats(1e-3, 1e3)),
        draw(st.integers(1, 50)),
        draw(st.integers(-20, 20)),
    )
    edges = axis.edges
    fractions = draw(st.lists(st.floats(-0.1, 1.1), max_size=20))
    within = edges[0] + np.array(fractions, float) * (edges[-1] - edges[0])
    beside = [np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)]
    return axis, np.concatenate([within, edges, *beside])


@given(axes_and_points())
@settings(max_examples=25)
def test_points_go_to_the_bins_between_the_edges_that_hold_them(axis_and_points):
    axis, x = axis_and_points
    inside = axis.contains(x)
    # numpy.histogram's last bin holds its upper edge; an axis's does not, as the next one would.
    np.testing.assert_array_equal(inside, (x >= axis.edges[0]) & (x < axis.edges[-1]))
    found = np.bincount(axis.index(x[inside]), minlength=axis.count)
    expected, _ = np.histogram(x[inside], bins=axis.edges)
    np.testing.assert_array_equal(found, expected)


@given(axes_and_points(), st.integers(0, 10))
@settings(max_examples=25)
def test_an_axis_keeps_its_bins_when_a_margin_is_added(axis_and_points, margin):
    axis, x = axis_and_points
    wide = axis.grown(margin)
    np.testing.assert_array_equal(wide.edges[margin : margin + axis.count + 1], axis.edges)
    inside = x[axis.contains(x)]
    np.testing.assert_array_equal(wide.index(inside), axis.index(inside) + margin)


@given(
    st.lists(
        st.tuples(st.integers(-50, 50), st.floats(-7, 7)).map(lambda p: (p[0] / 10, p[1])),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 30),
    st.integers(1, 30),
)
@settings(max_examples=25)
def test_flat_bins_are_those_of_numpy_histogram2d(points, nx, ny):
    x, y = np.transpose(points)
    counts = sky_map(x, y, frame="flat", bins=(nx, ny)).counts
    expected, _, _ = np.histogram2d(x, y, bins=(nx, ny))
    np.testing.assert_array_equal(counts, expected.T)


def test_the_last_flat_bin_holds_its_upper_edge():
    grid = grid_of_bins(View(0.0, 0.7, 0.0, 1.0), 7, 3, closed=True)
    assert grid.extent == (0.0, 0.7, 0.0, 1.0)
    inside, pixels = grid.index(np.array([0.7, 0.0]), np.array([1.0, 0.0]))
    assert inside.all()
    assert pixels.tolist() == [20, 0]


@pytest.mark.parametrize("latitude", [42.2, -89.0])
def test_a_wcs_without_shape_shows_all_the_points(latitude):
    wcs = make_wcs(crval=(359.9, latitude))
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-30.2, 44.3, 500), rng.uniform(7.1, 61.8, 500)
    skymap = sky_map(wcs.pixel_to_world(x, y), wcs=wcs)
    # The WCS's own pixels, from the first that holds a point to the last.
    columns = np.floor(x.max() + 0.5) - np.floor(x.min() + 0.5) + 1
    rows = np.floor(y.max() + 0.5) - np.floor(y.min() + 0.5) + 1
    assert skymap.data.shape == (rows, columns)
    assert skymap.counts.sum() == 500
    assert skymap.meta["inside"] == 500


@pytest.mark.filterwarnings("ignore:none of the")
def test_the_wcs_own_shape_is_the_view():
    wcs = make_wcs()
    wcs.pixel_shape = (60, 50)
    assert sky_map([150.1], [42.2], wcs=wcs).data.shape == (50, 60)
    assert sky_map([150.1], [42.2], wcs=wcs, shape=(7, 9)).data.shape == (7, 9)


def test_the_horizon_does_not_blow_up_a_gnomonic_map_of_the_whole_sky():
    rng = np.random.default_rng(6)
    stars = SkyCoord(
        rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000))), unit="deg"
    )
    wcs = make_wcs(crval=(30, 60), crpix=(1, 1), cdelt=0.5)
    skymap = sky_map(stars, wcs=wcs)
    scale = skymap.wcs.proj_plane_pixel_scales()[0]
    assert scale <= 5 * u.deg
    distance = stars.separation(SkyCoord(30, 60, unit="deg"))
    # All within 80 deg of the centre are on the map, which is well over three quarters of those
    # that the projection shows at all, and none of the others' half of the sky is.
    assert skymap.meta["inside"] >= np.count_nonzero(distance < 80 * u.deg)
    assert skymap.meta["inside"] <= np.count_nonzero(distance < 90 * u.deg)
    assert skymap.counts.sum() == skymap.meta["inside"]


def test_a_map_of_no_points_and_no_shape_is_one_pixel():
    skymap = sky_map([], [], wcs=make_wcs())
    assert skymap.data.shape == (1, 1)
    assert skymap.counts.sum() == 0


@pytest.mark.parametrize("lost", [None, (3.0, 7.5), (40.0, 20.0), (12.5, 5.0), (22.0, 30.0)])
def test_the_border_of_a_block_must_show_sky_on_all_sides(lost):
    """One lost place on the left, the right, the bottom or the top is seen, in this block only."""
    grid = native_grid(View(-0.5, 59.5, -0.5, 39.5))
    blocks = np.array([[5, 30, 3, 40], [0, 3, 41, 60]])  # bottom, top, left and right

    def is_sky(x, y):
        number_x, number_y = grid.x.number(x), grid.y.number(y)
        if lost is None:
            return np.ones(x.shape, bool)
        return np.hypot(number_x - lost[0], number_y - lost[1]) > 0.1

    assert block_polynomials._has_border(grid, blocks, is_sky).tolist() == [lost is None, True]
    assert block_polynomials._has_border(grid, blocks[:0], is_sky).tolist() == []
