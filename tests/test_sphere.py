"""Smoothing on the sphere equals the sum over great circles, everywhere on the sky."""

import itertools

import numpy as np
import pytest
from astropy import units as u
from astropy.convolution import Gaussian2DKernel
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from scipy.ndimage import binary_erosion, spline_filter1d

from mpl_skyheat import (
    Annulus,
    Epanechnikov,
    Gaussian,
    Moffat,
    TopHat,
    balancing,
    compiling,
    rings,
    sky_map,
    skypixels,
    sphere,
)
from mpl_skyheat.grid import native_grid, separation, to_vectors
from mpl_skyheat.planes import plane_of_wcs
from mpl_skyheat.rings import Lattice, PointSpread
from mpl_skyheat.sphere import SphereSum
from mpl_skyheat.threads import Team
from mpl_skyheat.views import all_sky_wcs, field_wcs

GALACTIC = SkyCoord(0, 0, unit="deg", frame="galactic").frame.replicate_without_data()
PIXEL = 2 * u.deg


def zenithal(code, *, size, center=(50, 70), crota=0.0):
    """Return a square zenithal WCS of 2 deg pixels."""
    cos, sin = np.cos(np.radians(crota)), np.sin(np.radians(crota))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    wcs.wcs.crval, wcs.wcs.crpix = center, [size / 2 + 0.5] * 2
    wcs.wcs.cdelt, wcs.wcs.pc = [-2, 2], [[cos, -sin], [sin, cos]]
    wcs.pixel_shape = (size, size)
    return wcs


def oblique():
    wcs = all_sky_wcs(GALACTIC, PIXEL, "AIT")
    wcs.wcs.crval = [40, 50]
    wcs.wcs.set()
    return wcs


SKIES = {
    "AIT": all_sky_wcs(GALACTIC, PIXEL, "AIT"),
    "MOL": all_sky_wcs(GALACTIC, PIXEL, "MOL"),
    "CAR": all_sky_wcs(GALACTIC, PIXEL, "CAR"),
    "HPX": all_sky_wcs(GALACTIC, PIXEL, "HPX"),
    "ZEA": zenithal("ZEA", size=116, crota=30),
    "SIN": zenithal("SIN", size=59),
    "TAN 60 deg": field_wcs(SkyCoord(20, 60, unit="deg"), 30 * u.deg, 1 * u.deg, "TAN"),
    "oblique": oblique(),
}


@pytest.fixture(scope="module")
def stars():
    """Stars all over the sky, denser at the north pole and about 0h."""
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 30_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 30_000)))
    dec[:700] = 90 - rng.uniform(0, 8, 700)
    ra[700:1400] = rng.normal(0, 3, 700) % 360
    return SkyCoord(ra, dec, unit="deg")


def exact(kernel, stars, positions):
    """Return the sum of a kernel over great-circle separations, per sr, at positions."""
    a = to_vectors(stars.ra.deg, stars.dec.deg)
    b = to_vectors(positions.icrs.ra.deg, positions.icrs.dec.deg)
    total = np.empty(len(b))
    for i in range(0, len(b), 100):
        total[i : i + 100] = kernel.profile(separation(b[i : i + 100, None], a)).sum(axis=1)
    theta = (np.arange(200_000) + 0.5) * (np.pi / 200_000)
    integral = 2 * np.pi * (kernel.profile(theta) * np.sin(theta)).mean() * np.pi
    return total / integral


def sample(skymap, number=250):
    """Return rows and columns of pixels at the rim of the sky and elsewhere, and their centres."""
    on_sky = ~skymap.mask
    rim = on_sky & ~binary_erosion(on_sky)
    rng = np.random.default_rng(5)
    rows, columns = np.hstack(
        [rng.permutation(np.argwhere(part)).T[:, :number] for part in (rim, on_sky & ~rim)]
    )
    centres = skymap.wcs.pixel_to_world(columns, rows)
    known = np.isfinite(centres.spherical.lon.deg)
    return rows[known], columns[known], centres[known]


@pytest.mark.parametrize("sigma", [4 * u.deg, 9 * u.deg, 20 * u.deg], ids=str)
@pytest.mark.parametrize("sky", SKIES)
def test_a_gaussian_is_right_everywhere_on_the_sky(stars, sky, sigma):
    skymap = sky_map(stars, wcs=SKIES[sky], kernel=sigma)
    assert skymap.meta["geometry"] == "sphere"
    assert np.isfinite(skymap.data[~skymap.mask]).all()
    rows, columns, centres = sample(skymap)
    expected = exact(Gaussian(sigma), stars, centres)
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    error = np.abs(found / expected - 1)
    # At the edge of the sky, and where pixels narrow to a pole or are long, values with a kernel of
    # few pixels are changed a little, to keep the integral.
    few = {"HPX": 7.5, "ZEA": 7.5}.get(sky, 4)
    is_changed = sky in ("CAR", "SIN") or (sigma < few * PIXEL and sky != "TAN 60 deg")
    assert error.max() < (0.01 if is_changed else 1e-3)
    assert np.median(error) < (1e-3 if sky == "SIN" else 3e-4)


@pytest.mark.parametrize(
    ("kernel", "worst", "typical"),
    [
        (Epanechnikov("14 deg"), 0.01, 1e-3),
        (Moffat("9.5 deg"), 0.002, 3e-4),
        # What lies at a step counts or does not: one star is some per cent of those in the ring.
        (TopHat("14 deg"), 0.06, 0.008),
        (Annulus("8 deg", "16 deg"), 0.09, 0.012),
        (Gaussian("4 deg") + 0.5 * TopHat("14 deg"), 0.03, 0.003),
    ],
    ids=repr,
)
def test_every_radial_kernel_is_right_on_the_sphere(stars, kernel, worst, typical):
    skymap = sky_map(stars, wcs=SKIES["AIT"], kernel=kernel, geometry="sphere")
    rows, columns, centres = sample(skymap)
    expected = sum(factor * exact(term, stars, centres) for factor, term in kernel.terms)
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    error = np.abs(found / expected - 1)
    assert error.max() < worst
    assert np.median(error) < typical


@pytest.mark.parametrize(
    "kernel",
    [
        TopHat("5 deg"),
        TopHat("20 deg"),
        Annulus("8 deg", "16 deg"),
        Epanechnikov("10 deg"),
        Moffat("5 deg"),
        Gaussian("60 deg"),
        Gaussian("120 deg"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("sky", ["AIT", "CAR"])
def test_every_radial_kernel_keeps_the_number_of_stars(stars, kernel, sky):
    skymap = sky_map(stars, wcs=SKIES[sky], kernel=kernel, statistic="count", geometry="sphere")
    assert np.nansum(skymap.data) == pytest.approx(len(stars), rel=1e-3)


def test_a_difference_of_kernels_is_the_difference_of_the_maps(stars):
    wcs = SKIES["MOL"]
    narrow, wide = (sky_map(stars, wcs=wcs, kernel=k).data for k in ("4 deg", "15 deg"))
    both = sky_map(stars, wcs=wcs, kernel=Gaussian("4 deg") - Gaussian("15 deg")).data
    np.testing.assert_allclose(both, narrow - wide, atol=1e-12 * np.nanmax(narrow))


PLACES = {
    "pole": (0, 90),
    "near a pole": (200, 89.3),
    "0h": (0, 20.3),
    "Galactic pole": (192.859, 27.23),
    "middle of the galaxy": (266.4, -28.9),
    "edge of the map": (86.4, 28.9),
}


@pytest.mark.parametrize(
    ("sky", "place"),
    [
        (sky, place)
        for sky in ("AIT", "CAR", "HPX", "MOL", "ZEA", "oblique")
        for place in PLACES
        # The pixels there are longer than the kernel is wide.
        if (sky, place) != ("MOL", "Galactic pole")
    ],
)
def test_one_source_has_its_flux_its_place_and_its_width(sky, place):
    source = SkyCoord(*PLACES[place], unit="deg")
    sigma = 4 * u.deg  # two map pixels
    skymap = sky_map(source.reshape(1), wcs=SKIES[sky], kernel=sigma, statistic="count")
    assert np.nansum(skymap.data) == pytest.approx(1, abs=1e-3)
    rows, columns = np.nonzero(np.nan_to_num(skymap.data) > 0)
    vectors = shown(skymap.wcs, columns, rows)
    weights = skymap.data[rows, columns]
    mean = (weights[:, None] * vectors).sum(axis=0)
    middle = SkyCoord(*mean, representation_type="cartesian")
    assert middle.separation(source) < 0.05 * PIXEL
    # 1 - <cos θ> is half the mean square distance.
    (truth,) = to_vectors(source.ra.deg[None], source.dec.deg[None])
    spread = np.sqrt(1 - (weights * (vectors @ truth)).sum() / weights.sum())
    theta = (np.arange(100_000) + 0.5) * np.pi / 100_000
    profile = np.exp(-0.5 * (theta / sigma.to_value(u.rad)) ** 2) * np.sin(theta)
    expected = np.sqrt(1 - (profile * np.cos(theta)).sum() / profile.sum())
    assert spread == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("sky", ["AIT", "CAR", "HPX", "oblique", "MOL", "ZEA"])
@pytest.mark.parametrize("sigma", [2, 2.7, 3.6])
def test_one_source_anywhere_at_the_edge_of_the_map_has_its_flux(sky, sigma):
    wcs, rng = SKIES[sky], np.random.default_rng(7)
    on_sky = ~sky_map([], [], wcs=wcs).mask
    rim = np.argwhere(on_sky & ~binary_erosion(on_sky, iterations=3))
    rim = rim[rng.integers(len(rim), size=40)] + rng.uniform(-0.5, 0.5, (40, 2))
    sources = wcs.pixel_to_world(*rim.T[::-1])
    for source in sources[np.isfinite(sources.spherical.lon)][:6]:
        skymap = sky_map(
            source.reshape(1), wcs=wcs, kernel=sigma * PIXEL, statistic="count", geometry="sphere"
        )
        assert np.nansum(skymap.data) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("lon", "lat"), [(3.66, -86.48), (269.48, 42.43), (178.9, 37.1)])
@pytest.mark.parametrize("sigma", [3.6, 4.5, 6])
def test_a_source_where_the_outline_of_a_map_has_notches_has_its_flux(lon, lat, sigma):
    wcs = all_sky_wcs(GALACTIC, 1.5 * u.deg, "HPX")
    options = {"frame": "galactic", "kernel": sigma * 1.5 * u.deg, "statistic": "count"}
    skymap = sky_map([lon], [lat], wcs=wcs, geometry="sphere", **options)
    assert np.nansum(skymap.data) == pytest.approx(1, abs=1e-3)


LONG = {
    # Pixels of half a degree at the poles, those of a quarter of a degree where pixels are merged.
    "MOL": all_sky_wcs(GALACTIC, 0.5 * u.deg, "MOL"),
    "AIT": all_sky_wcs(GALACTIC, 0.5 * u.deg, "AIT"),
    "ZEA": zenithal("ZEA", size=116, center=(266, -29)),
}


@pytest.mark.parametrize("sigma", [2, 2.7, 4.5, 8])
@pytest.mark.parametrize("distance", [0.01, 1.1, 2.5, 7, 23])
@pytest.mark.parametrize("sky", LONG)
def test_a_source_where_pixels_are_longer_than_the_kernel_has_its_flux(sky, distance, sigma):
    """Beside the poles of a MOL, and towards the rim of a ZEA, opposite to its centre."""
    wcs = LONG[sky]
    pixel = np.sqrt(np.abs(np.linalg.det(wcs.pixel_scale_matrix))) * u.deg
    frame, lon, lat = ("icrs", 86, 29) if sky == "ZEA" else ("galactic", 40, 90)
    options = {"frame": frame, "kernel": sigma * pixel, "statistic": "count"}
    skymap = sky_map([lon], [lat - distance], wcs=wcs, **options)
    assert skymap.meta["geometry"] == "sphere"
    assert np.nansum(skymap.data) == pytest.approx(1, abs=3e-4)


@pytest.mark.parametrize(("pixel", "sigma", "nearest"), [(2, 2, 6), (1, 2, 10), (0.5, 4, 6)])
@pytest.mark.parametrize("angle", [0, 3, 40])
def test_a_source_not_far_from_the_limb_of_a_sin_has_its_flux(pixel, sigma, nearest, angle):
    """Closer to it, pixels are longer than the kernel is wide, and values are right, not sums."""
    wcs, size = WCS(naxis=2), int(115 / pixel) + 4
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---SIN", "DEC--SIN"], [-pixel, pixel]
    wcs.wcs.crpix, wcs.pixel_shape = [0.5 * size + 0.8, 0.5 * size + 0.3], (size, size)
    origin = SkyCoord(0, 0, unit="deg")
    for away in (nearest, nearest + 1):
        distance = 90 - away * sigma * pixel
        source = origin.directional_offset_by(angle * u.deg, distance * u.deg).reshape(1)
        skymap = sky_map(source, wcs=wcs, kernel=sigma * pixel * u.deg, statistic="count")
        assert skymap.meta["geometry"] == "sphere"
        assert np.nansum(skymap.data) == pytest.approx(1, abs=1e-3)


PARTS = {
    # CRPIX, shape and a place far from the edges of the map.
    "MOL": ((70.9, 75.8), (129, 124), (31.1, 16.98)),
    "MOL with a pole": ((60.5, 20.5), (120, 130), (20, 80)),
    "CEA": ((124.3, 38.7), (137, 73), (43.3, -15.9)),
    "SFL with a pole": ((50.2, 100.4), (100, 130), (10, -82)),
    "CAR with a pole": ((180.5, 20.5), (360, 110), (70, 89)),
    "PAR": ((3.4, 88.4), (43, 93), (-15.1, -18.3)),
    "STG": ((52.6, 30.3), (91, 98), (5, 40)),
}


@pytest.mark.parametrize("sigma", [2, 3])
@pytest.mark.parametrize("part", PARTS)
def test_a_source_has_its_flux_on_a_map_of_a_part_of_the_sky(part, sigma):
    wcs, (crpix, shape, place) = WCS(naxis=2), PARTS[part]
    wcs.wcs.ctype, wcs.wcs.cdelt = [f"GLON-{part[:3]}", f"GLAT-{part[:3]}"], [-1, 1]
    wcs.wcs.crpix, wcs.pixel_shape = crpix, shape
    options = {"frame": "galactic", "statistic": "count", "geometry": "sphere"}
    skymap = sky_map(*([v] for v in place), wcs=wcs, kernel=sigma * u.deg, **options)
    assert 0.03 < skymap.solid_angle.value.sum() / (4 * np.pi) < 0.7
    assert np.nansum(skymap.data) == pytest.approx(1, abs=1e-3)


def test_a_source_has_its_flux_on_a_wide_field_with_distortions():
    """Which cannot be inverted far from it."""
    wcs = WCS(
        {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": 20, "CRVAL2": 60}
        | {"CRPIX1": 70.5, "CRPIX2": 70.5, "CDELT1": -1, "CDELT2": 1, "A_ORDER": 2, "B_ORDER": 2}
        | {"A_2_0": 1e-4, "B_0_2": 1e-4, "NAXIS1": 140, "NAXIS2": 140}
    )
    skymap = sky_map([20.0], [60.0], wcs=wcs, kernel=2.5 * u.deg, statistic="count")
    assert skymap.meta["geometry"] == "sphere"
    assert np.nansum(skymap.data) == pytest.approx(1, abs=1e-3)


def pixels_of(wcs, turn):
    """Return the pixels of a WCS on a lattice."""
    plane, middle = plane_of_wcs(wcs), tuple(wcs.wcs.crpix - 1)
    area = sky_map([], [], wcs=wcs, bins=wcs.pixel_shape).solid_angle.value
    return skypixels.SkyPixels(plane, native_grid(plane.view), area, middle, turn, 1e-3)


def test_parts_of_bins_add_up_to_what_a_map_shows():
    for code, size in (("ARC", 40), ("SIN", 59)):
        wcs = zenithal(code, size=size, center=(10, 40))
        pixels = pixels_of(wcs, sphere._rotation_to_origin(10, 40))
        for kernel in (Gaussian("8 deg"), Gaussian("4 deg")):
            lattice = pixels.lattice(kernel)
            sums = balancing._Sums(pixels, rings.Smoothing(lattice, kernel))
            belt = rings.EVERYWHERE.grown(0.1)
            parts = sums._parts_shown(belt)
            bins = lattice.uniform(3)[:, None] * parts
            assert bins.sum() == pytest.approx(pixels._area.sum(), rel=2e-3)
            # All of the kernel is on the map in its middle.
            wanted = sums.wanted(belt)
            assert wanted[lattice.rings // 2, lattice.columns // 2] == pytest.approx(1, abs=1e-4)
            assert wanted.min() > -1e-3


@pytest.mark.parametrize("sky", ["TAN 60 deg", "SIN"])
def test_only_what_is_uneven_is_evened_out(sky, monkeypatch):
    """It takes as long as smoothing does."""
    calls = []
    monkeypatch.setattr(
        sphere, "balanced", lambda *args: calls.append(1) or balancing.balanced(*args)
    )
    pixel = 1 * u.deg if sky == "TAN 60 deg" else PIXEL
    sky_map([50.0], [70.0], wcs=SKIES[sky], kernel=2 * pixel, geometry="sphere")
    assert len(calls) == (sky == "SIN")


def test_long_pixels_are_right_for_many_sources_that_are_spread_over_the_kernel():
    """What keeps the flux of each does not show in what they are together, a wave of them here."""
    wcs, rng = LONG["MOL"], np.random.default_rng(8)
    lon, lat = rng.uniform(0, 360, 40_000), 90 - 8 * np.sqrt(rng.uniform(0, 1, 40_000))
    lon = lon[keep := rng.uniform(0, 1, 40_000) < 0.6 + 0.4 * np.cos(np.radians(40 * (90 - lat)))]
    stars = SkyCoord(lon, lat[keep], unit="deg", frame="galactic").icrs
    skymap = sky_map(stars, wcs=wcs, kernel="1 deg")
    rows, columns = np.nonzero(~skymap.mask)
    centres = skymap.wcs.pixel_to_world(columns, rows)
    near = np.isfinite(centres.l) & (centres.b > 84 * u.deg)
    expected = exact(Gaussian("1 deg"), stars, centres[near])
    found = (skymap.data[rows, columns][near] * skymap.unit).to_value(u.sr**-1)
    error = np.abs(found / expected - 1)
    assert len(error) > 300
    assert error.max() < 0.01
    assert np.median(error) < 0.003


def test_what_is_balanced_is_so_between_the_latitudes_that_need_it_only(monkeypatch):
    wcs, ranges = LONG["MOL"], []
    shown = balancing._Sums.shown
    monkeypatch.setattr(
        balancing._Sums, "shown", lambda *args: (ranges.append(args[1]), shown(*args))[1]
    )
    sky_map([10.0], [10.0], wcs=wcs, kernel=2.5 * u.deg)
    assert len(ranges) == 1
    assert np.degrees(ranges[0][0]) > 20
    # With fewer pixels, the rim all around is looked at, and then the poles, in some rounds.
    sky_map([10.0], [10.0], wcs=wcs, kernel=1 * u.deg)
    assert ranges[1][0] < 0
    assert 3 <= len(ranges) < 2 + balancing.ROUNDS
    assert np.degrees([belt.lowest for belt in ranges[2:]]).min() > 50


def test_only_the_hemisphere_with_the_rim_is_balanced(monkeypatch):
    belts = []
    monkeypatch.setattr(
        sphere, "balanced", lambda *args: (belts.append(args[2]), balancing.balanced(*args))[1]
    )
    sky_map([10.0], [10.0], wcs=LONG["ZEA"], kernel=9 * u.deg)
    (belt,) = belts
    assert belt.is_south + belt.is_north == 1
    assert belt.lowest > 0


def test_a_belt_that_grows_across_the_equator_goes_on_beyond_it():
    lat = np.radians([-60.0, -30.0, -5.0, 5.0, 30.0, 60.0, np.nan])
    belt = rings.Belt.around(lat[4:6], np.radians(1))
    assert belt.holds(lat).tolist() == [False] * 4 + [True] * 2 + [False]
    assert belt.grown(np.radians(28)).holds(lat).tolist() == [False] * 3 + [True] * 3 + [False]
    assert belt.grown(np.radians(29.5)).holds(lat).tolist() == [True] * 6 + [False]
    south = rings.Belt.around(lat[:2])
    assert south.holds(lat).tolist() == [True] * 2 + [False] * 5


def test_a_pixel_whose_centre_is_off_the_sky_is_in_a_belt_if_what_is_farthest_out_is():
    pixels = pixels_of(LONG["ZEA"], np.eye(3))
    (lost,) = np.nonzero(np.isnan(pixels.centres[0]))
    assert len(lost) > 10
    lat = np.tile(np.radians([[-10.0], [-2.0], [1.0], [np.nan]]), len(lost))
    pixels._split_lost = [(0.0, 0.0, (np.zeros(lat.shape), lat))]
    south = rings.Belt(np.radians(5), 2.0, is_north=False)
    assert np.isin(lost, pixels.in_belt(south)).all()
    north = rings.Belt(np.radians(5), 2.0, is_south=False)
    assert not np.isin(lost, pixels.in_belt(north)).any()


def test_rings_without_points_give_nothing():
    waves, has_points = np.zeros((6, 2, 4)), np.zeros(6, bool)
    waves[4], has_points[4] = 1.0, True
    transfer = np.full((2, 4), 2.0)
    transfer[0] = np.nan  # of rings 0 and 1, and 5 and 4
    result = np.zeros(waves.shape)
    compiling.run("add_rings", waves, has_points, transfer, 0, 1, result)
    assert np.isnan(result[5]).all()
    assert np.isfinite(result[:5]).all()
    assert (result[3] == 2.0).all()  # ring 1 with ring 2, in the other hemisphere


def test_compiled_code_is_given_arrays_of_one_type():
    """Each of another type is compiled for again, for seconds."""
    pixels = pixels_of(all_sky_wcs(GALACTIC, 4 * u.deg, "CAR"), np.eye(3))
    for belt in (rings.EVERYWHERE.grown(0.1), rings.Belt(0.5, 1.0)):
        for part in pixels.places_and_areas(belt):
            assert all(v.ndim == 1 and v.flags.c_contiguous and v.flags.writeable for v in part)
            assert len({len(v) for v in part}) == 1


def shifted(code, pixel, shift):
    """Return the WCS of the whole sky whose middle is not in that of a pixel."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = [f"GLON-{code}", f"GLAT-{code}"], [-pixel, pixel]
    nx, ny = int(364 / pixel) + 4, int(184 / pixel) + 4
    wcs.wcs.crpix, wcs.pixel_shape = [nx / 2 + shift[0], ny / 2 + shift[1]], (nx, ny)
    return wcs


@pytest.mark.parametrize(
    ("code", "pixel", "sigma"), [("MOL", 1.0, 2.1), ("MOL", 2.0, 4.1), ("CEA", 1.0, 3.0)]
)
def test_a_uniform_sky_is_flat_where_pixels_are_longer_than_the_kernel_is_wide(code, pixel, sigma):
    healpy = pytest.importorskip("healpy")
    lon, lat = healpy.pix2ang(128, np.arange(12 * 128**2), lonlat=True)
    skymap = sky_map(
        lon, lat, frame="galactic", wcs=shifted(code, pixel, (0.3, 0.4)), kernel=sigma * u.deg
    )
    flat = (skymap.data * skymap.unit).to_value(u.sr**-1) / (12 * 128**2 / (4 * np.pi))
    np.testing.assert_allclose(flat[~skymap.mask], 1, atol=0.0099)


@pytest.mark.parametrize(
    ("code", "pixel", "shift", "sigma", "place"),
    [
        # The centres of its last pixels are off the sky.
        ("CEA", 1.0, (0, -0.35), 8.0, (40, -90)),
        ("CEA", 3.0, (0, -0.35), 15.0, (40, -90)),
        ("MOL", 1.0, (0.3, 0.4), 2.1, (60, -89)),
        ("PAR", 1.0, (0.3, 0.4), 4.1, (170, 89)),
    ],
)
def test_a_source_has_its_flux_wherever_the_pixels_of_a_map_lie(code, pixel, shift, sigma, place):
    wcs = shifted(code, pixel, shift)
    options = {"bins": wcs.pixel_shape, "kernel": sigma * u.deg}
    skymap = sky_map(*([v] for v in place), wcs=wcs, frame="galactic", statistic="count", **options)
    assert skymap.meta["geometry"] == "sphere"
    assert np.nansum(skymap.data) == pytest.approx(1, abs=1e-3)


def test_a_source_beside_a_straight_side_that_cuts_pixels_has_its_flux():
    wcs = shifted("CAR", 0.849, (0, 0))
    wcs.wcs.crpix, wcs.pixel_shape = [215.14046202, 109.31547367], (432, 220)
    options = {"frame": "galactic", "bins": wcs.pixel_shape, "statistic": "count"}
    skymap = sky_map([182.39], [-30.79], wcs=wcs, kernel=3.95 * 0.849 * u.deg, **options)
    assert np.nansum(skymap.data) == pytest.approx(1, abs=8e-4)


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_smallest_fields_are_smoothed_on_the_sphere_where_that_is_asked_for(size):
    wcs = field_wcs(SkyCoord(20, 60, unit="deg"), size / 200 * u.deg, 0.01 * u.deg, "TAN")
    kernel = Moffat("0.2 deg", beta=20)
    sphere, plane = (
        sky_map([20.0, 20.1], [60, 60], wcs=wcs, kernel=kernel, geometry=geometry)
        for geometry in ("sphere", "plane")
    )
    np.testing.assert_allclose(sphere.data, plane.data, rtol=2e-3)


@pytest.mark.parametrize("order", [1, 3])
def test_a_uniform_sky_has_the_same_in_every_bin_of_a_ring(order):
    healpy = pytest.importorskip("healpy")
    lattice, nside = Lattice.whole(np.radians(6)), 256
    lon, lat = healpy.pix2ang(nside, np.arange(12 * nside**2), lonlat=True)
    spread = PointSpread(lattice, order)
    spread.add((np.radians(lon) + np.pi) % (2 * np.pi) - np.pi, np.radians(lat), None)
    rings = spread.bins.mean(axis=1) * (4 * np.pi / (12 * nside**2))
    np.testing.assert_allclose(lattice.uniform(order), rings, rtol=0.005)


@pytest.mark.parametrize("lat", [86, 80])
def test_what_a_map_does_not_show_is_not_made_up_for_with_a_wide_kernel(lat):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["GLON-CAR", "GLAT-CAR"], [-6, 6]
    wcs.wcs.crpix, wcs.pixel_shape = [30.5, 15], (60, 29)
    source = SkyCoord([0], [lat], unit="deg", frame="galactic").icrs
    skymap = sky_map(source, wcs=wcs, kernel="15.5 deg")
    rows, columns = np.nonzero(skymap.data > 0.01 * np.nanmax(skymap.data))
    expected = exact(Gaussian("15.5 deg"), source, skymap.wcs.pixel_to_world(columns, rows))
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    np.testing.assert_allclose(found, expected, rtol=0.01)


@pytest.mark.parametrize("height", [174, 178.2])
def test_what_a_map_does_not_show_is_not_made_up_for(height):
    """All but a cap at each pole: sources there show as they are where they reach into the map."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["GLON-CAR", "GLAT-CAR"], [-0.6, 0.6]
    wcs.pixel_shape = 600, round(height / 0.6)
    wcs.wcs.crpix = 300.5, wcs.pixel_shape[1] / 2 + 0.5
    sources = SkyCoord([10, 200, 77, 5], [89.8, -89.7, 88.9, 0], unit="deg", frame="galactic").icrs
    skymap = sky_map(sources, wcs=wcs, kernel=2 * 0.6 * u.deg, geometry="sphere")
    rows, columns = np.nonzero(skymap.data > 0.01 * np.nanmax(skymap.data))
    expected = exact(Gaussian(1.2 * u.deg), sources, skymap.wcs.pixel_to_world(columns, rows))
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    np.testing.assert_allclose(found, expected, rtol=0.015)


@pytest.mark.parametrize("lat", [90, 89, 88, 87, -90])
@pytest.mark.parametrize("sigma", [2, 3])
def test_a_source_beside_slivers_of_sky_has_its_flux(lat, sigma):
    """On this grid, the very tips of an AIT are a sixteenth of a pixel high."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["GLON-AIT", "GLAT-AIT"], [-0.5, 0.5]
    wcs.wcs.crpix, wcs.pixel_shape = [325.5, 163.5], (650, 326)
    skymap = sky_map(
        [40.0], [lat], frame="galactic", wcs=wcs, kernel=sigma * u.deg / 2, statistic="count"
    )
    assert skymap.meta["geometry"] == "sphere"
    assert np.nansum(skymap.data) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("pixel", [0.7, 2])
@pytest.mark.parametrize("code", ["AIT", "MOL", "SFL", "PAR", "CAR", "ZEA", "HPX"])
def test_which_outlines_have_notches(code, pixel):
    wcs = all_sky_wcs(GALACTIC, pixel * u.deg, code)
    plane = plane_of_wcs(wcs)
    area = sky_map([], [], wcs=wcs, bins=wcs.pixel_shape).solid_angle.value
    grid, middle = native_grid(plane.view), tuple(wcs.wcs.crpix - 1)
    pixels = skypixels.SkyPixels(plane, grid, area, middle, np.eye(3), 1e-3)
    assert pixels._is_ragged == (code == "HPX")


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("weights", [None, np.arange(20_000.0)], ids=["counts", "weights"])
def test_points_beyond_a_lattice_are_left_out_of_it_by_compiled_code_too(order, weights):
    rng = np.random.default_rng(2)
    lon = rng.uniform(-180, 180, 20_000)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    # Some of them above and below it, some to its sides.
    lon[:5000] /= 20
    lattice = Lattice.covering(0.2, 0.3, 0.1, 0.02)
    assert not lattice.has_poles
    ours, judge = PointSpread(lattice, order), PointSpread(lattice, order)
    ours.add_compiled(lon, lat, weights, np.eye(3), Team(2))
    judge.add(np.radians(lon), np.radians(lat), weights)
    assert judge.bins.sum() > 100
    np.testing.assert_allclose(ours.bins, judge.bins, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours._parts.sum(axis=0), judge._total.image, rtol=1e-9, atol=1e-9)


def sample_bins(lattice):
    return np.random.default_rng(1).poisson(3, (lattice.rings, lattice.columns)).astype(float)


@pytest.mark.parametrize(
    "kernel", [Gaussian("5 deg"), TopHat("10 deg"), Moffat("5 deg", beta=2)], ids=repr
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_what_is_kept_for_the_next_map_changes_nothing(kernel, is_whole):
    size = 2 * kernel.bin_size
    lattice = Lattice.whole(size) if is_whole else Lattice.covering(0.2, 0.3, kernel.reach, size)
    bins = sample_bins(lattice)
    keeping = rings.Smoothing(lattice, kernel, keeps=True)
    # With fewer rings at first, fewer transforms are kept.
    some = np.where(np.arange(lattice.rings)[:, None] < 3, bins, 0)
    for part in (some, bins, bins):
        once = rings.Smoothing(lattice, kernel)(part).coefficients
        np.testing.assert_array_equal(keeping(part).coefficients, once)


@pytest.mark.parametrize(
    ("near", "half"),
    [(1, 20), (2, 20), (20, 20), (21, 20), (60, 120), (61, 120), (121, 120), (7, 4000), (30, 4000)],
)
def test_the_transform_of_an_even_function_is_the_same_by_a_matrix_and_by_fft(near, half):
    values = np.random.default_rng(0).normal(size=(7, near))
    padded = np.pad(values, ((0, 0), (0, half + 1 - near)))
    even = np.concatenate([padded, padded[:, -2:0:-1]], axis=1)
    ours = rings._cosine_transform(values, half)
    np.testing.assert_allclose(ours, np.fft.rfft(even, axis=1).real, rtol=0, atol=1e-12)


def test_the_prefilter_along_the_meridians_goes_on_beyond_the_poles():
    waves = np.random.default_rng(3).normal(size=(120, 2, 7))
    turn = np.where(np.arange(7) % 2, -1.0, 1.0)
    circle = np.concatenate([waves, turn * waves[::-1]])
    expected = spline_filter1d(circle, 3, axis=0, mode="grid-wrap")[:120]
    rings._prefilter(waves, turn)
    np.testing.assert_allclose(waves, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("rings_with", [120, 3, 1])
def test_the_prefilter_is_the_same_in_compiled_code(rings_with):
    waves = np.random.default_rng(3).normal(size=(rings_with, 2, 301))
    turn = np.where(np.arange(301) % 2, -1.0, 1.0)
    kernel = Gaussian("5 deg")
    lattice = Lattice.whole(kernel.bin_size)
    results = []
    for answer in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rings, "is_worth", lambda _, answer=answer: answer)
            results.append(waves.copy())
            every = np.ones(rings_with, bool)
            rings.Smoothing(lattice, kernel, Team(2))._prefilter(results[-1], every, turn)
    np.testing.assert_allclose(*results, rtol=1e-12, atol=1e-14)
    assert np.abs(results[0] - waves).max() > 0.1


@pytest.mark.parametrize("is_compiled", [True, False])
@pytest.mark.parametrize("kernel", [Gaussian("3 deg"), TopHat("3 deg")], ids=repr)
def test_rings_without_points_nearby_make_no_difference(kernel, is_compiled, monkeypatch):
    monkeypatch.setattr(rings, "is_worth", lambda _: is_compiled)
    lattice = Lattice.whole(kernel.bin_size)
    bins, smooth = sample_bins(lattice), rings.Smoothing(lattice, kernel)
    total = np.zeros(bins.shape)
    edges = np.array([0, 0.07, 0.4, 0.41, 0.9, 1]) * lattice.rings
    for start, stop in itertools.pairwise(edges.astype(int)):
        some = np.zeros(bins.shape)
        some[start:stop] = bins[start:stop]
        part = smooth(some).coefficients
        total += part
        reach = kernel.reach / lattice.lat_step + 2 * rings.FAR + 2
        assert not part[: max(int(start - reach), 0)].any()
        assert not part[int(stop + reach) :].any()
    expected = smooth(bins).coefficients
    np.testing.assert_allclose(total, expected, rtol=0, atol=1e-10 * expected.max())


@pytest.mark.parametrize(
    ("code", "size", "at_pole"),
    [("ZEA", 120, True), ("ARC", 186, True), ("SIN", 62, False), ("ZEA", 45, False)],
)
def test_a_map_whose_edge_is_one_point_has_that_at_a_pole_of_the_lattice(code, size, at_pole):
    wcs = zenithal(code, size=size)
    plane = plane_of_wcs(wcs)
    area = sky_map([], [], wcs=wcs, bins=wcs.pixel_shape).solid_angle.value
    middle = tuple(wcs.wcs.crpix - 1)
    terms = [(1.0, Gaussian("8 deg"))]
    made = SphereSum(plane.frame, plane, middle, native_grid(plane.view), area, terms, Team(1))
    (antipode,) = -to_vectors(*(np.array([v]) for v in wcs.wcs.crval)) @ made._turn.T
    expected = (0, 0, -1) if at_pole else (-1, 0, 0)
    np.testing.assert_allclose(antipode, expected, atol=1e-12)
    assert np.linalg.det(made._turn) == pytest.approx(1)


@pytest.mark.parametrize("step", [1.5, 1.4])
def test_rings_add_up_to_the_same_in_compiled_code(step, monkeypatch):
    lattice, kernel = Lattice.whole(np.radians(step)), Gaussian("20 deg")
    results = []
    for is_worth in (True, False):
        monkeypatch.setattr(rings, "is_worth", lambda _, answer=is_worth: answer)
        results.append(rings.Smoothing(lattice, kernel)(sample_bins(lattice)).coefficients)
    np.testing.assert_allclose(*results, rtol=1e-12)


def test_positions_of_bins_are_in_their_middle():
    lattice = Lattice.covering(0.2, 0.3, 0.1, 0.02)
    rows, columns = np.indices((lattice.rings, lattice.columns))
    places = lattice.places(rows, columns)
    np.testing.assert_allclose(lattice.position(*places), (rows, columns), rtol=0, atol=1e-10)
    np.testing.assert_allclose(places[1][:, 0], lattice.latitudes, rtol=0, atol=1e-15)


def vectors_of(wcs, x, y):
    return to_vectors(*wcs.pixel_to_world_values(x, y))


def shown(wcs, columns, rows):
    """Return (ICRS) where pixels are on the sky: at their centres, or in the middle of what is."""
    tenths = (np.arange(10) + 0.5) / 10 - 0.5
    dx, dy = (np.append(0, v.ravel()) for v in np.meshgrid(tenths, tenths))
    centres = wcs.pixel_to_world(columns[:, None] + dx, rows[:, None] + dy).icrs
    vectors = to_vectors(centres.ra.deg.ravel(), centres.dec.deg.ravel()).reshape(-1, len(dx), 3)
    lost = np.isnan(vectors[:, 0, 0])
    number = np.isfinite(vectors[lost, :, :1]).sum(axis=1)  # none in a few slivers
    vectors[lost, 0] = np.nansum(vectors[lost], axis=1) / np.maximum(number, 1)
    return vectors[:, 0]


@pytest.mark.parametrize("place", ["0h", "edge of the map", "Galactic pole"])
def test_a_kernel_with_steps_keeps_its_height_with_few_pixels(place):
    source = SkyCoord(*PLACES[place], unit="deg")
    skymap = sky_map(source.reshape(1), wcs=SKIES["AIT"], kernel=TopHat("6 deg"))
    height = 1 / (2 * np.pi * (1 - np.cos(np.radians(6))))
    peak = (np.nanmax(skymap.data) * skymap.unit).to_value(u.sr**-1)
    assert peak == pytest.approx(height, rel=2e-3)


@pytest.mark.parametrize(("kernel", "times"), [(TopHat("6 deg"), 1), (Gaussian("6 deg"), 0)])
def test_values_are_evened_out_in_one_way_or_the_other(kernel, times, monkeypatch):
    calls = []
    monkeypatch.setattr(skypixels.SkyPixels, "_even_out", lambda *_: calls.append(1))
    sky_map([20.0], [80.0], wcs=SKIES["CAR"], kernel=kernel, geometry="sphere")
    assert len(calls) == times


@pytest.mark.parametrize("code", ["AIT", "CAR"])
def test_many_pixels_are_evened_out_as_few_are(code, monkeypatch):
    wcs = all_sky_wcs(GALACTIC, 0.7 * u.deg, code)
    options = {"wcs": wcs, "frame": "galactic", "kernel": 1.6 * u.deg}
    one = sky_map([179.8, 3.0], [24.3, 89.0], **options)
    for module in (balancing, skypixels):
        monkeypatch.setattr(module, "is_worth", lambda _: False)
    other = sky_map([179.8, 3.0], [24.3, 89.0], **options)
    np.testing.assert_allclose(one.data, other.data, rtol=1e-9, atol=1e-9 * np.nanmax(one.data))


def test_the_edge_of_a_field_is_no_place_to_even_out():
    """What lies beyond is lost, not moved: a field in the middle of a map has the map's values."""
    sources = [13.1, 9.9, 28.5], [1.2, -4.4, 11.0]
    field, wide = (
        sky_map(*sources, wcs=zenithal("ARC", size=size, center=(10, 0)), kernel=2 * PIXEL)
        for size in (20, 120)
    )
    assert field.meta["geometry"] == wide.meta["geometry"] == "sphere"
    core = np.s_[50:70, 50:70]
    near = field.data > 1e-3 * field.data.max()
    np.testing.assert_allclose(field.data[near], wide.data[core][near], rtol=1e-3)


@pytest.mark.parametrize(("sigma", "loss"), [(0.3, 0.03), (0.7, 0.02), (1, 0.01), (2, 0.002)])
@pytest.mark.parametrize("dec", [89.9, 88.5, 87])
def test_a_narrow_source_beside_a_pole_keeps_its_flux(dec, sigma, loss):
    """With kernels of 0.15 to one pixel, where the pixels of a CAR narrow to a point."""
    wcs = all_sky_wcs(SkyCoord(0, 0, unit="deg").frame.replicate_without_data(), PIXEL, "CAR")
    options = {"kernel": sigma * u.deg, "geometry": "sphere", "statistic": "count"}
    skymap = sky_map([20.0], [dec], wcs=wcs, **options)
    assert np.nansum(skymap.data) == pytest.approx(1, abs=loss)


@pytest.mark.parametrize("sky", SKIES)
def test_a_uniform_sky_is_flat_to_the_rim_and_the_poles(sky):
    healpy = pytest.importorskip("healpy")
    lon, lat = healpy.pix2ang(64, np.arange(12 * 64**2), lonlat=True)
    skymap = sky_map(lon, lat, wcs=SKIES[sky], kernel="5 deg")
    flat = (skymap.data * skymap.unit).to_value(u.sr**-1) / (12 * 64**2 / (4 * np.pi))
    np.testing.assert_allclose(flat[~skymap.mask], 1, atol=0.01 if sky == "SIN" else 0.006)
    assert np.median(np.abs(flat[~skymap.mask] - 1)) < 1e-3


@pytest.mark.parametrize("sigma", [4, 10])
def test_a_gaussian_map_is_that_of_harmonic_smoothing(stars, sigma):
    """Smooth in harmonic space with ducc0: exact for points, and unlike anything done here."""
    ducc0 = pytest.importorskip("ducc0")
    lmax = int(6 * 57.3 / sigma)
    colatitude = np.stack([np.pi / 2 - stars.dec.rad, stars.ra.rad], axis=1)
    common = {"spin": 0, "lmax": lmax, "epsilon": 1e-10}
    ones = np.ones((1, len(colatitude)))
    alm = ducc0.sht.adjoint_synthesis_general(map=ones, loc=colatitude, **common)
    theta = (np.arange(50_000) + 0.5) * np.pi / 50_000
    profile = np.exp(-0.5 * (theta / np.radians(sigma)) ** 2) * np.sin(theta)
    legendre = np.polynomial.legendre.legvander(np.cos(theta[::10]), lmax)
    beam = (legendre * profile[::10, None]).sum(axis=0) / profile[::10].sum()
    degree = np.concatenate([np.arange(m, lmax + 1) for m in range(lmax + 1)])
    skymap = sky_map(stars, wcs=SKIES["MOL"], kernel=sigma * u.deg)
    rows, columns, centres = sample(skymap, 2000)
    centres = centres.icrs
    where = np.stack([np.pi / 2 - centres.dec.rad, centres.ra.rad], axis=1)
    expected = ducc0.sht.synthesis_general(alm=alm * beam[degree], loc=where, **common)[0]
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    error = np.abs(found / expected - 1)
    assert error.max() < (0.01 if sigma < 8 else 3e-3)
    assert np.median(error) < 3e-4


def test_a_gaussian_map_is_that_of_healpy(stars):
    healpy = pytest.importorskip("healpy")
    nside, sigma = 128, 5 * u.deg
    pixels = healpy.ang2pix(nside, stars.ra.deg, stars.dec.deg, lonlat=True)
    counts = np.bincount(pixels, minlength=12 * nside**2).astype(float)
    smooth = healpy.smoothing(counts, sigma=sigma.to_value(u.rad))
    skymap = sky_map(stars, wcs=SKIES["CAR"], kernel=sigma)
    rows, columns, centres = sample(skymap, 2000)
    there = centres.icrs
    expected = healpy.get_interp_val(smooth, there.ra.deg, there.dec.deg, lonlat=True)
    expected /= healpy.nside2pixarea(nside)
    found = (skymap.data[rows, columns] * skymap.unit).to_value(u.sr**-1)
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.01 * expected.mean())


def test_sources_across_the_edge_of_the_map_are_one():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["GLON-CAR", "GLAT-CAR"], [-0.25, 0.25]
    wcs.wcs.crpix, wcs.pixel_shape = [720.5, 8.5], (1440, 16)
    lon = np.full(100, 179.999)
    peaks = [
        np.nanmax(sky_map(lon + shift, 0 * lon, wcs=wcs, frame="galactic", kernel="0.5 deg").data)
        for shift in (-90, 0.002)
    ]
    assert peaks[1] == pytest.approx(peaks[0], rel=1e-3)
    skymap = sky_map(lon, 0 * lon, wcs=wcs, frame="galactic", kernel="0.5 deg")
    assert skymap.value_at(-179.9, 0.1).value > 0.9 * peaks[0]


def test_weights_and_counts_are_smoothed_alike(stars):
    options = {"wcs": SKIES["MOL"], "kernel": 6 * u.deg}
    density = sky_map(stars, **options)
    weighted = sky_map(stars, weights=np.full(len(stars), 2.5) * u.Jy, **options)
    assert weighted.unit == u.Jy * density.unit
    np.testing.assert_allclose(weighted.data, 2.5 * density.data, rtol=1e-9)
    counts = sky_map(stars, statistic="count", **options)
    expected = (density.data * density.unit * density.solid_angle).to_value("")
    np.testing.assert_allclose(counts.data, expected, rtol=1e-12)
    assert counts.counts.sum() == len(stars)


def test_a_kernel_narrower_than_a_pixel_is_averaged_over_it(stars):
    wcs = all_sky_wcs(GALACTIC, 8 * u.deg, "CAR")
    sigma = 3 * u.deg
    skymap = sky_map(stars, wcs=wcs, kernel=sigma, geometry="sphere")
    row, column = 12, 20
    i, j = np.meshgrid((np.arange(40) + 0.5) / 40 - 0.5, (np.arange(40) + 0.5) / 40 - 0.5)
    within = skymap.wcs.pixel_to_world(column + i.ravel(), row + j.ravel())
    expected = exact(Gaussian(sigma), stars, within).mean()
    found = (skymap.data[row, column] * skymap.unit).to_value(u.sr**-1)
    assert found == pytest.approx(expected, rel=0.03)


def test_a_field_needs_a_window_of_the_lattice_only():
    window = Lattice.covering(*np.radians([15, 15, 2.5, 0.2]))
    whole = Lattice.whole(np.radians(0.2))
    assert window.rings * window.columns < 0.06 * whole.rings * whole.columns
    assert Lattice.covering(*np.radians([84, 15, 2.5, 0.2])) == whole
    assert Lattice.covering(*np.radians([30, 160, 2.5, 0.2])) == whole


@pytest.mark.filterwarnings("ignore:the kernel is .* pixels wide")
def test_small_fields_stay_on_the_plane_and_say_why():
    skymap = sky_map([20], [60], wcs=SKIES["CAR"], kernel="1 arcmin")
    assert (skymap.meta["geometry"], skymap.meta["plane_error"] > 0.01) == ("plane", True)
    assert skymap.meta["geometry_reason"] == "the kernel is narrower than a pixel"
    wcs = field_wcs(SkyCoord(20, 60, unit="deg"), 1 * u.deg, 2 * u.arcmin, "TAN")
    skymap = sky_map([20], [60], wcs=wcs, kernel="6 arcmin")
    assert skymap.meta["geometry"] == "plane"
    assert skymap.meta["geometry_reason"].startswith("one pixel scale is right to 0.")
    assert sky_map([20], [60], wcs=wcs).meta["geometry_reason"] == "no kernel"


def test_plane_and_sphere_agree_on_a_small_field(stars):
    wcs = field_wcs(SkyCoord(20, 89, unit="deg"), 2 * u.deg, 4 * u.arcmin, "TAN")
    plane, sphere = (
        sky_map(stars, wcs=wcs, kernel="15 arcmin", geometry=geometry)
        for geometry in ("plane", "sphere")
    )
    assert sphere.meta["geometry_reason"] == "asked for"
    np.testing.assert_allclose(sphere.data, plane.data, atol=0.02 * plane.data.max())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kernel": 2 * u.pix}, "needs a kernel in angle, as one in map pixels has no size"),
        ({"kernel": Gaussian2DKernel(2)}, "needs a kernel in angle"),
        ({"kernel": "5 deg", "boundary": "wrap"}, "needs boundary='sky', as 'wrap' is about"),
        ({}, "needs a kernel; take geometry='plane'"),
    ],
)
def test_what_has_no_meaning_on_the_sphere_is_refused(options, text):
    with pytest.raises(ValueError, match=f"geometry='sphere' {text}"):
        sky_map([1], [2], wcs=SKIES["AIT"], geometry="sphere", **options)
    with pytest.raises(ValueError, match="'sphere' is for positions on the sky"):
        sky_map([1], [2], frame="flat", kernel=2 * u.pix, geometry="sphere")


@pytest.mark.filterwarnings("ignore:the kernel is .* pixels wide")
def test_a_kernel_too_narrow_for_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("mpl_skyheat.sphere.allowed_bytes", lambda: 1e9)
    with pytest.raises(ValueError, match=r"kernel is too narrow for so much sky: .* bins and"):
        sky_map([1], [2], wcs=SKIES["AIT"], kernel="1 arcmin", geometry="sphere")


def test_a_sliver_of_sky_has_the_mean_of_what_is_around_it():
    image = np.array([[1.0, np.nan, 1.0], [7.0, 7.0, 7.0], [2.0, 9.0, np.nan]])
    skypixels.fill(image, np.array([1, 8]))
    assert image[0, 1] == pytest.approx(23 / 5)
    assert image[2, 2] == pytest.approx(23 / 3)
