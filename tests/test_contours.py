"""Contours: where they run, what they enclose, and what they are handed on as."""

import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable
from astropy.wcs import WCS
from helpers import make_wcs
from matplotlib.path import Path

from mpl_skyheat import Annulus, Epanechnikov, Gaussian, Randoms, SkyMap, TopHat, sky_map
from mpl_skyheat.maps.surface import Surface

KERNELS = {
    "Gaussian": Gaussian("0.25 deg"),
    "top-hat": TopHat("0.4 deg"),
    "sum": 0.3 * Gaussian("0.15 deg") + 0.7 * Epanechnikov("0.8 deg"),
    "pixels": 2 * u.pix,
    "none": None,
}


@pytest.fixture
def rng():
    return np.random.default_rng(23)


def square(n=100, step=0.1, center=(83.0, -5.0)):
    return make_wcs(shape=(n, n), center=center, cdelt=(-step, step))


def all_sky(code, shape=(370, 190), step=0.9):
    return make_wcs(code, shape=shape, center=(0.0, 0.0), cdelt=(-step, step))


def cluster(rng, number, sigma=10.0, n=100, wcs=None):
    """Return positions of a Gaussian cluster, σ in pixels, in the middle of a square map."""
    wcs = wcs or square(n)
    return wcs.pixel_to_world(*rng.normal(0.5 * (n - 1), sigma, (2, number)))


def around(lon, lat, sigma, number, rng):
    """Return positions of a Gaussian cluster, σ in deg, about a place of the sky."""
    distance = sigma * np.sqrt(-2 * np.log(rng.random(number)))
    center = SkyCoord(lon, lat, unit="deg")
    return center.directional_offset_by(rng.uniform(0, 360, number) * u.deg, distance * u.deg)


def count_inside(contour, sky, points):
    """Return which points are inside the paths of a contour that are closed: an odd number."""
    places = np.stack(sky.wcs.world_to_pixel(points), axis=-1)
    inside = np.zeros(len(points), bool)
    for path in contour.paths:
        inside ^= Path(np.stack(sky.wcs.world_to_pixel(path), axis=-1)).contains_points(places)
    return inside


# Levels


def test_a_contour_at_half_maximum_is_a_circle_of_the_kernels_fwhm():
    sky = sky_map([83.0], [-5.0], wcs=square(), kernel=Gaussian(fwhm="2 deg"))
    contour = sky.contour(0.5 * sky.max())
    (path,) = contour.paths
    center = SkyCoord(83, -5, unit="deg")
    np.testing.assert_allclose(path.separation(center).deg, 1.0, atol=5e-3)
    assert path[0] == path[-1]
    assert contour.area.to_value(u.deg**2) == pytest.approx(np.pi, rel=6e-3)
    assert contour.contains(center)
    assert contour.contains(SkyCoord([84.1], [-5], unit="deg")).tolist() == [False]
    assert contour.contains(83.9, -5) is True


def test_levels_have_the_units_of_the_map_or_their_own(rng):
    sky = sky_map(cluster(rng, 300), wcs=square(), kernel="0.3 deg")
    plain = sky.contour(10)
    assert plain.level == 10 / u.deg**2
    assert sky.contour(10 / u.deg**2).area == plain.area
    assert sky.contour((10 / u.deg**2).to(u.arcmin**-2)).area.value == pytest.approx(
        plain.area.value
    )
    assert (plain.enclosed, plain.attained, plain.inside, plain.left_out) == (None,) * 4
    assert repr(plain) == "<SkyContour level=10 1 / deg2>"


def test_holes_are_holes():
    sky = sky_map([83.0], [-5.0], wcs=square(), kernel=Annulus("1 deg", "2 deg"))
    contour = sky.contour(0.5 * sky.max())
    assert len(contour.paths) == 2
    assert contour.area.to_value(u.deg**2) == pytest.approx(3 * np.pi, rel=0.01)
    assert not contour.contains(83, -5)


def test_contours_of_signed_maps_and_of_significances_may_be_at_any_level(rng):
    kernel = Gaussian("0.3 deg") - Gaussian("1 deg")
    sky = sky_map(cluster(rng, 500), wcs=square(), kernel=kernel)
    assert 0 < sky.contour(0).area < sky.contour(-1).area


def test_contours_end_at_the_edges_of_the_map():
    sky = sky_map([87.9, 83.0], [-5.0, -5.0], wcs=square(), kernel=Gaussian(fwhm="1 deg"))
    contour = sky.contour(0.1 * sky.max())
    ends = [(p[0], p[-1]) for p in contour.paths if p[0].separation(p[-1]) > 1 * u.arcsec]
    assert len(ends) == 1
    x, _ = sky.wcs.world_to_pixel(SkyCoord(ends[0]))
    np.testing.assert_allclose(x, -0.5, atol=1e-6)


def test_contours_end_at_the_edges_of_masked_pixels(rng):
    points = cluster(rng, 3000, 30)
    seen = np.ones((100, 100))
    seen[:, 50:] = 0
    sky = sky_map(points, wcs=square(), kernel="0.4 deg", coverage=seen)
    contour = sky.contour(0.3 * sky.max())
    x = np.concatenate([sky.wcs.world_to_pixel(path)[0] for path in contour.paths])
    assert x.max() == pytest.approx(49.5, abs=1e-6)
    left, right = sky.wcs.pixel_to_world(49.4, 50), sky.wcs.pixel_to_world(49.6, 50)
    assert contour.contains(left)
    assert not contour.contains(right)
    assert contour.area < 0.51 * sky.solid_angle.sum()


def test_a_map_of_x_and_y_has_contours_in_these(rng):
    x, y = rng.normal(3, 1, (2, 5000))
    sky = sky_map(x, y, frame="flat", bins=60, kernel=2 * u.pix)
    contour = sky.contour(enclosed=0.5, points=(x, y))
    assert contour.paths[0].shape[1] == 2
    np.testing.assert_allclose(contour.paths[0].mean(axis=0), 3, atol=0.2)
    assert contour.area.unit == u.dimensionless_unscaled
    assert contour.area.value == pytest.approx(2 * np.pi * np.log(2), rel=0.1)
    assert contour.contains(3, 3)
    with pytest.raises(TypeError, match="to_moc is for maps of the sky; got one of Cartesian x"):
        contour.to_moc()
    with pytest.raises(TypeError, match="to_regions is for maps of the sky"):
        contour.to_regions()
    with pytest.raises(TypeError, match="points must be x, y on a map of Cartesian x, y"):
        sky.contour(enclosed=0.5, points=SkyCoord([3], [3], unit="deg"))


# Fractions of the sources


@pytest.mark.parametrize("number", [300, 1000, 30_000])
@pytest.mark.parametrize("fraction", [0.5, 0.9])
def test_as_many_sources_are_inside_the_paths_as_were_asked_for(rng, number, fraction):
    points = cluster(rng, number)
    sky = sky_map(points, wcs=square(), kernel=2 * u.pix)
    contour = sky.contour(enclosed=fraction, points=points, leave_one_out=False)
    counted = count_inside(contour, sky, points).mean()
    assert abs(counted - fraction) <= max(2 / number, 1e-3)
    assert abs(contour.contains(points).mean() - fraction) <= 1 / number
    assert contour.attained == contour.inside
    assert contour.inside == pytest.approx(fraction, abs=1 / number)
    assert contour.enclosed == fraction


@pytest.mark.parametrize("fraction", [0.5, 0.9])
def test_the_area_is_that_of_a_gaussian_cluster(fraction):
    areas = []
    for seed in range(10):
        points = cluster(np.random.default_rng(seed), 200_000)
        sky = sky_map(points, wcs=square(), kernel=1 * u.pix)
        areas.append(sky.contour(enclosed=fraction, points=points).area.to_value(u.deg**2))
    expected = 2 * np.pi * np.log(1 / (1 - fraction))
    assert np.mean(areas) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("kernel", [1, 2])
def test_the_region_holds_as_large_a_fraction_of_new_sources(kernel):
    new = cluster(np.random.default_rng(99), 20_000)
    left_out, kept = [], []
    for seed in range(20):
        points = cluster(np.random.default_rng(seed), 1000)
        sky = sky_map(points, wcs=square(), kernel=kernel * u.pix)
        contour = sky.contour(enclosed=0.9, points=points)
        assert contour.attained == pytest.approx(0.9, abs=1e-3)
        assert contour.inside > contour.attained
        left_out.append(contour.contains(new).mean())
        whole = sky.contour(enclosed=0.9, points=points, leave_one_out=False)
        kept.append(whole.contains(new).mean())
    assert np.mean(left_out) == pytest.approx(0.9, abs=0.006)
    assert np.mean(kept) < 0.88


def value_without(points, i, weights=None, **kwargs):
    """Return the map's surface at point i, with all points, and without that one."""
    found = []
    for kept in (slice(None), np.arange(len(points)) != i):
        weight = None if weights is None else weights[kept]
        surface = Surface(sky_map(points[kept], weights=weight, **kwargs))
        x, y = surface.places(points.frame, points.ra.deg[i : i + 1], points.dec.deg[i : i + 1])
        found.append(surface.at(x, y)[0])
    return found, (x, y)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("statistic", ["density", "count"])
@pytest.mark.parametrize("kind", ["all", "covered", "explicit"])
def test_a_source_adds_to_the_map_what_is_left_out_of_it(rng, name, statistic, kind):
    points = cluster(rng, 40, 8, 40, square(40))
    kwargs = {"wcs": square(40), "kernel": KERNELS[name], "statistic": statistic}
    if kind == "covered":
        kwargs["coverage"] = lambda sky: sky.dec.deg > -6.0
        points = points[points.dec.deg > -5.8]
    if kind == "explicit":
        kwargs["boundary"] = "fill"
    sky = sky_map(points, **kwargs)
    for i in range(5):
        (full, without), place = value_without(points, i, **kwargs)
        own = sky.own_share.at(Surface(sky), *place)[0]
        assert full - own == pytest.approx(without, abs=1e-6 * own)


def test_what_a_weighted_source_adds_goes_by_its_weight(rng):
    points, weights = cluster(rng, 40, 8, 40, square(40)), rng.uniform(1, 5, 40) * u.Jy
    kwargs = {"wcs": square(40), "kernel": KERNELS["Gaussian"], "unit": "Jy / arcmin2"}
    sky = sky_map(points, weights=weights, **kwargs)
    (full, without), place = value_without(points, 3, weights, **kwargs)
    own = sky.own_share.at(Surface(sky), *place)[0]
    assert full - weights[3].value * own == pytest.approx(without, abs=1e-6 * own)
    contour = sky.contour(enclosed=0.6, points=(points, weights))
    assert contour.attained == pytest.approx(0.6, abs=0.07)
    pair = points.ra.deg, points.dec.deg, weights
    assert sky.contour(enclosed=0.6, points=pair).level == contour.level


@pytest.mark.parametrize("code", ["AIT", "CAR"])
def test_a_source_is_left_out_on_the_sphere_as_well(rng, code):
    points = around(100, 50, 10, 60, rng)
    kwargs = {"wcs": all_sky(code, (410, 210)), "kernel": Gaussian("3 deg")}
    sky = sky_map(points, **kwargs)
    assert sky.meta["geometry"] == "sphere"
    for i in range(8):
        (full, without), place = value_without(points, i, **kwargs)
        own = sky.own_share.at(Surface(sky), *place)[0]
        assert full - own == pytest.approx(without, abs=2e-3 * own)


def test_with_random_points_a_source_is_divided_by_what_they_are(rng):
    points = cluster(rng, 200, 8, 40, square(40))
    x, y = rng.uniform(-10.5, 49.5, (2, 40_000))
    randoms = Randoms(square(40).pixel_to_world(x, y), density=40_000 / 36 / u.deg**2)
    kwargs = {"wcs": square(40), "kernel": "0.3 deg", "coverage": randoms}
    (full, without), place = value_without(points, 0, **kwargs)
    sky = sky_map(points, **kwargs)
    own = sky.own_share.at(Surface(sky), *place)[0]
    assert full - own == pytest.approx(without, abs=1e-6 * own)


def test_without_points_the_centres_of_pixels_stand_for_them(rng):
    points = cluster(rng, 20_000)
    sky = sky_map(points, wcs=square(), kernel=2 * u.pix)
    contour = sky.contour(enclosed=0.9)
    same = sky.contour(enclosed=0.9, points=points)
    assert contour.level.value == pytest.approx(same.level.value, rel=0.03)
    assert contour.inside > contour.attained
    values, counts = sky.data.ravel(), sky.counts.ravel()
    assert contour.inside == pytest.approx(
        counts[values >= contour.level.value].sum() / counts.sum(), abs=1e-12
    )


def test_maps_in_another_unit_and_from_another_process_leave_sources_out(rng):
    points = cluster(rng, 1000)
    sky = sky_map(points, wcs=square(), kernel=2 * u.pix)
    contour = sky.contour(enclosed=0.9, points=points)
    for other in (pickle.loads(pickle.dumps(sky)), sky.to("arcmin-2"), sky.to("deg-2")):
        same = other.contour(enclosed=0.9, points=points)
        assert same.level.to_value(contour.level.unit) == pytest.approx(contour.level.value)
        assert same.attained < same.inside


def test_parts_of_maps_and_maps_of_files_do_not_know_what_a_source_adds(rng, tmp_path):
    points = cluster(rng, 1000)
    sky = sky_map(points, wcs=square(), kernel=2 * u.pix)
    sky.write(tmp_path / "map.fits")
    contour = SkyMap.read(tmp_path / "map.fits").contour(enclosed=0.8)
    assert contour.attained == contour.inside
    whole = sky.contour(enclosed=0.8, leave_one_out=False)
    assert contour.level.value == pytest.approx(whole.level.value)
    part = sky_map(points, wcs=square(), kernel=2 * u.pix)[20:80, 10:90]
    contour = part.contour(enclosed=0.8, points=points)
    assert contour.attained == contour.inside
    assert contour.left_out > 0
    weighted = sky_map(points, weights=np.ones(1000), wcs=square(), kernel=2 * u.pix)
    contour = weighted.contour(enclosed=0.8)
    assert contour.attained == contour.inside


def test_sources_off_the_map_and_in_masked_pixels_are_left_out_and_counted(rng):
    points = cluster(rng, 1000, 30)
    x, y = square().world_to_pixel(points)
    inside = (np.abs(x - 49.5) < 50) & (np.abs(y - 49.5) < 50)
    seen = np.ones((100, 100))
    seen[:10] = 0
    sky = sky_map(points, wcs=square(), kernel=3 * u.pix, coverage=seen)
    contour = sky.contour(enclosed=0.5, points=points)
    assert contour.left_out == np.count_nonzero(~inside | (y < 9.5))


def test_a_table_or_another_catalogue_may_be_the_sources(rng):
    points = cluster(rng, 2000)
    sky = sky_map(points, wcs=square(), kernel=3 * u.pix)
    table = {"ra": points.ra.deg, "dec": points.dec.deg}
    level = sky.contour(enclosed=0.5, points=points).level
    for same in (table, (points.ra.deg, points.dec.deg), [points.ra, points.dec], points.galactic):
        found = sky.contour(enclosed=0.5, points=same).level
        assert found.value == pytest.approx(level.value, rel=1e-9)
    others = sky.contour(enclosed=0.5, points=cluster(rng, 500, 3), leave_one_out=False)
    assert others.level > level


# What is refused


def test_a_level_or_a_fraction_must_be_given(rng):
    sky = sky_map(cluster(rng, 500), wcs=square(), kernel=2 * u.pix)
    with pytest.raises(TypeError, match="either level or enclosed; got level=None, enclosed=None"):
        sky.contour()
    with pytest.raises(TypeError, match=r"got level=3, enclosed=0\.5"):
        sky.contour(3, enclosed=0.5)
    with pytest.raises(TypeError, match="points must be left out with level"):
        sky.contour(3, points=cluster(rng, 5))


@pytest.mark.parametrize("level", [np.nan, "high", True, [1, 2], np.inf])
def test_levels_that_are_no_number_are_refused(rng, level):
    sky = sky_map(cluster(rng, 500), wcs=square(), kernel=2 * u.pix)
    with pytest.raises(ValueError, match="level must be"):
        sky.contour(level)


def test_levels_of_another_unit_are_refused(rng):
    sky = sky_map(cluster(rng, 500), wcs=square(), kernel=2 * u.pix)
    with pytest.raises(ValueError, match=r"in the map's unit, 1 / deg2; got 3\.0 mag"):
        sky.contour(3 * u.mag)


@pytest.mark.parametrize("fraction", [0, 1, 1.5, -0.1, np.nan, "half", True])
def test_fractions_beyond_0_and_1_are_refused(rng, fraction):
    sky = sky_map(cluster(rng, 500), wcs=square(), kernel=2 * u.pix)
    with pytest.raises(ValueError, match="enclosed must be a fraction between 0 and 1"):
        sky.contour(enclosed=fraction)


def test_fractions_are_of_densities_and_counts_that_are_nowhere_negative(rng):
    points = cluster(rng, 500)
    values = sky_map(points, values=np.ones(500), wcs=square(), kernel=2 * u.pix)
    with pytest.raises(ValueError, match="of their 'density' or 'count'; got one of 'mean'"):
        values.contour(enclosed=0.5)
    signed = sky_map(points, wcs=square(), kernel=Gaussian("0.3 deg") - Gaussian("1 deg"))
    with pytest.raises(ValueError, match="not told by a map that may be below 0"):
        signed.contour(enclosed=0.5)
    with pytest.raises(ValueError, match="got one of 'difference'"):
        (signed - signed).contour(enclosed=0.5)


def test_a_fraction_whose_sources_are_alone_is_refused(rng):
    points = cluster(rng, 200, 30, 200, square(200))
    sky = sky_map(points, wcs=square(200), kernel=1 * u.pix)
    with pytest.raises(
        ValueError, match=r"enclosed=0\.9 has no level above 0, as .* have no other"
    ):
        sky.contour(enclosed=0.9, points=points)
    assert sky.contour(enclosed=0.9, points=points, leave_one_out=False).inside >= 0.89
    on_sphere = sky_map([10, 50, 90], [0, 40, -30], wcs=all_sky("AIT"), kernel="3 deg")
    with pytest.raises(ValueError, match="as 100 % of the points have no other"):
        on_sphere.contour(enclosed=0.5, points=([10, 50, 90], [0, 40, -30]))


def test_sources_must_be_there(rng):
    sky = sky_map(cluster(rng, 500), wcs=square(), kernel=2 * u.pix)
    with pytest.raises(ValueError, match=r"points must be on the map .*; got 2 of them, all off"):
        sky.contour(enclosed=0.5, points=([0, 1], [0, 1]))
    with pytest.raises(ValueError, match="got 0 of them, all off"):
        sky.contour(enclosed=0.5, points=([], []))
    with pytest.raises(ValueError, match="points must be given for a map without counts"):
        (2 * sky).contour(enclosed=0.5)
    with pytest.raises(TypeError, match=r"points must be a SkyCoord, a table or .*; got 4 items"):
        sky.contour(enclosed=0.5, points=([1], [2], [3], [4]))
    weighted = sky_map(cluster(rng, 500), weights=np.ones(500), wcs=square(), kernel=2 * u.pix)
    with pytest.raises(ValueError, match=r"with their weights, as \(coord, weights\)"):
        weighted.contour(enclosed=0.5, points=cluster(rng, 500))


# The edge of the sky


def ends_of(contour):
    """Return the ends of open paths."""
    ends = [
        end
        for path in contour.paths
        for end in (path[0], path[-1])
        if path[0].separation(path[-1]) > 1 * u.arcsec
    ]
    return SkyCoord(ends) if ends else ends


@pytest.mark.parametrize("code", ["AIT", "MOL", "CAR", "SFL"])
@pytest.mark.parametrize("lat", [10, -40, 75])
def test_contours_go_on_at_the_other_side_of_the_map(rng, code, lat):
    sky = sky_map(around(180, lat, 5, 4000, rng), wcs=all_sky(code, (410, 210)), kernel="3 deg")
    contour = sky.contour(enclosed=0.7)
    ends = ends_of(contour)
    assert len(ends) == 4
    for end in ends:
        assert np.sort(end.separation(ends).deg)[1] < 0.45  # half a pixel
    assert contour.contains(SkyCoord(180, lat, unit="deg"))
    # As where the map has no edge there.
    middle = make_wcs(code, shape=(410, 210), center=(180.0, 0.0), cdelt=(-0.9, 0.9))
    same = sky_map(around(180, lat, 5, 4000, np.random.default_rng(23)), wcs=middle, kernel="3 deg")
    whole = same.contour(contour.level)
    assert len(whole.paths) == 1
    assert contour.area.value == pytest.approx(whole.area.value, rel=0.01)


def test_contours_have_no_seam_at_0h(rng):
    points = around(0, 20, 0.5, 2000, rng)
    sky = sky_map(points, wcs=square(center=(0.0, 20.0)), kernel="0.3 deg")
    contour = sky.contour(enclosed=0.5, points=points)
    (path,) = contour.paths
    assert path.ra.min().deg < 1
    assert path.ra.max().deg > 359
    assert path[0].separation(path[-1]) < 1 * u.arcsec
    assert path[1:].separation(path[:-1]).max() < 0.15 * u.deg


def test_a_contour_around_a_pole_is_closed_in_a_zenithal_projection(rng):
    points = around(0, 90, 5, 4000, rng)
    wcs = make_wcs("ARC", shape=(100, 100), center=(0.0, 90.0), cdelt=(-0.5, 0.5))
    sky = sky_map(points, wcs=wcs, kernel="2 deg")
    contour = sky.contour(enclosed=0.5, points=points)
    assert len(contour.paths) == 1
    assert not len(ends_of(contour))
    assert contour.contains(0, 90)


# Handed on


@pytest.mark.parametrize("lat", [10, 60])
def test_a_moc_has_the_area_of_the_contour(rng, lat):
    pytest.importorskip("mocpy")
    points = around(180, lat, 8, 5000, rng)
    contour = sky_map(points, wcs=all_sky("MOL"), kernel="3 deg").contour(enclosed=0.8)
    moc = contour.to_moc()
    whole_sky = 4 * np.pi * (180 / np.pi) ** 2
    assert moc.sky_fraction * whole_sky == pytest.approx(contour.area.value, rel=4e-3)
    places = around(180, lat, 10, 3000, rng)
    agree = moc.contains_skycoords(places) == contour.contains(places)
    assert agree.mean() > 0.99
    coarse = contour.to_moc(max_depth=5)
    assert coarse.max_order == 5
    assert coarse.sky_fraction * whole_sky == pytest.approx(contour.area.value, rel=0.05)
    with pytest.raises(ValueError, match=r"max_depth must be an integer of 0 to \d+, .*; got 29"):
        contour.to_moc(29)


def test_a_moc_of_a_field_is_right_to_a_thousandth(rng):
    pytest.importorskip("mocpy")
    points = cluster(rng, 5000)
    contour = sky_map(points, wcs=square(), kernel="0.2 deg").contour(enclosed=0.8)
    area = contour.to_moc().sky_fraction * 4 * np.pi * (180 / np.pi) ** 2
    assert area == pytest.approx(contour.area.value, rel=2e-3)
    nothing = sky_map(points, wcs=square(), kernel="0.2 deg").contour(1e6)
    assert nothing.to_moc().sky_fraction == 0
    assert nothing.area == 0
    assert nothing.paths == []


@pytest.mark.parametrize("kind", ["hole", "edge of the map"])
def test_regions_hold_what_the_contour_holds(rng, kind):
    pytest.importorskip("regions")
    kernel = Annulus("1 deg", "2 deg") if kind == "hole" else Gaussian("1 deg")
    lon = 83.0 if kind == "hole" else 87.5
    wcs = square()
    sky = sky_map([lon], [-5.0], wcs=wcs, kernel=kernel)
    contour = sky.contour(0.3 * sky.max())
    regions = contour.to_regions()
    assert [r.meta["include"] for r in regions] == [True] + [False] * (kind == "hole")
    places = wcs.pixel_to_world(*rng.uniform(-0.5, 99.5, (2, 4000)))
    held = np.zeros(len(places), bool)
    for region in regions:
        region.meta["include"] = True
        held ^= region.contains(places, wcs)
    assert (held == contour.contains(places)).mean() > 0.998


def test_regions_at_the_rim_end_there(rng):
    pytest.importorskip("regions")
    sky = sky_map(around(180, 10, 5, 4000, rng), wcs=all_sky("AIT"), kernel="3 deg")
    regions = sky.contour(enclosed=0.7).to_regions()
    assert len(regions) == 2
    for region in regions:
        assert np.isfinite(region.vertices.ra).all()
        lon = region.vertices.ra.wrap_at(180 * u.deg).deg
        assert np.abs(lon).max() == pytest.approx(180, abs=1e-3)
    assert not len(sky.contour(1e9).to_regions())
    contour = sky.contour(enclosed=0.7)
    inside = sky_map([178.0], [10.0], wcs=all_sky("AIT"), coverage=regions)
    area = (inside.coverage * inside.solid_angle).sum()
    assert area.to_value(u.deg**2) == pytest.approx(contour.area.value, rel=0.01)


@pytest.mark.parametrize("code", ["AIT", "MOL"])
def test_a_region_of_the_whole_sky_ends_at_its_rim(code):
    pytest.importorskip("regions")
    sky = sky_map([10.0], [0.0], wcs=all_sky(code), kernel="30 deg")
    contour = sky.contour(-1)
    assert contour.paths == []
    assert contour.area.to_value(u.sr) == pytest.approx(4 * np.pi, rel=2e-3)
    (region,) = contour.to_regions()
    lon = region.vertices.ra.wrap_at(180 * u.deg).deg
    np.testing.assert_allclose(np.abs(lon)[np.abs(region.vertices.dec.deg) < 80], 180, atol=0.01)


def test_a_contour_may_be_the_coverage_of_another_map(rng):
    pytest.importorskip("mocpy")
    points = cluster(rng, 5000)
    contour = sky_map(points, wcs=square(), kernel="0.2 deg").contour(enclosed=0.5, points=points)
    inside = sky_map(points, wcs=square(), coverage=contour.to_moc())
    assert inside.meta["inside"] / 5000 == pytest.approx(contour.inside, abs=0.02)


def test_maps_made_by_hand_have_contours_but_no_area_without_solid_angles():
    y, x = np.indices((40, 50), float)
    wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -0.1, "CDELT2": 0.1})
    by_hand = SkyMap(np.hypot(x - 20, y - 20), wcs=wcs, unit="mag")
    contour = by_hand.contour(10)
    assert len(contour.paths) == 1
    with pytest.raises(ValueError, match="solid_angle must be that of the map's pixels"):
        _ = contour.area


def test_a_map_on_which_all_is_masked_has_no_inside(rng):
    pytest.importorskip("mocpy")
    pytest.importorskip("regions")
    contour = sky_map(cluster(rng, 100), wcs=square(), kernel="1 deg", min_count=1e6).contour(1.0)
    assert (contour.area, contour.paths, len(contour.to_regions())) == (0, [], 0)
    assert contour.to_moc().empty()


def test_sources_may_be_a_file(rng, tmp_path):
    points = cluster(rng, 500)
    table = QTable({"ra": points.ra, "dec": points.dec})
    table.write(tmp_path / "sources.ecsv")
    sky = sky_map(points, wcs=square(), kernel="0.3 deg")
    expected = sky.contour(enclosed=0.5, points=points)
    for file in (tmp_path / "sources.ecsv", str(tmp_path / "sources.ecsv")):
        assert sky.contour(enclosed=0.5, points=file).level == expected.level
    with pytest.raises(FileNotFoundError, match=r"nowhere\.fits"):
        sky.contour(enclosed=0.5, points="nowhere.fits")
