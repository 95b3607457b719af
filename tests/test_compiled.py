"""The compiled route counts as the exact one does, pixel by pixel, whatever the projection.

The exact route is held against astropy in test_counts.py; here it is the judge.
"""

import os
import subprocess
import sys
import threading
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord
from astropy.table import Table
from astropy.wcs import WCS, DistortionLookupTable
from astropy.wcs.wcsapi import SlicedLowLevelWCS
from helpers import plane_and_grid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation
from test_counts import FIELD, FIELD_SHAPE, FIELDS, NATIVE_LATITUDE, PROJECTIONS, make_wcs

from mpl_skyheat import sky_heatmap, sky_map
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.compute import loader, threads, tile_layout
from mpl_skyheat.counting import compiled_route, sums, tiles
from mpl_skyheat.sky.frames import change_frame
from mpl_skyheat.sky.geometry import MapGeometry
from mpl_skyheat.sky.grid import grid_of_steps
from mpl_skyheat.sky.planes import plane_of_wcs, project, view_of_shape
from mpl_skyheat.sky.vectors import to_vectors

SKY_SHAPE = (60, 75)
# SKYHEAT_TEST_POINTS=1000000 makes a long and thorough run of this module.
NUMBER = int(os.environ.get("SKYHEAT_TEST_POINTS", "200000"))

SKY_OF_GALAXY = {
    "CTYPE1": "GLON-AIT",
    "CTYPE2": "GLAT-AIT",
    "CRPIX1": 38.3,
    "CRPIX2": 28.6,
    "CDELT1": -5.3,
    "CDELT2": 5.1,
}

# Longitudes and latitudes as they are.
FLAT = tiles.Footprint(lambda x, y: (x, y - 45), (90, 180))


@pytest.fixture
def compiled(monkeypatch):
    """Send every catalogue the compiled route."""
    monkeypatch.setattr(sums, "should_compile", lambda _: True)


def exact_map(*points, **kwargs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "should_compile", lambda _: False)
        return sky_map(*points, **kwargs)


def all_over(rng, number):
    return rng.uniform(0, 360, number), np.degrees(np.arcsin(rng.uniform(-1, 1, number)))


def adversarial(rng, plane, grid, frame, number):
    """Return points at the edges of bins, at poles, on meridians that a map may be cut along."""
    ny, nx = grid.shape
    tiny = np.array([0, 1e-13, 1e-9, 1e-7, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3])
    tiny = np.concatenate([tiny, -tiny])
    x, y = rng.uniform(0, nx, number), rng.uniform(0, ny, number)
    x[: number // 2] = np.round(x[: number // 2]) + rng.choice(tiny, number // 2)
    y[number // 3 :] = np.round(y[number // 3 :]) + rng.choice(tiny, number - number // 3)
    at_edges = plane.to_sky(grid.x.place(x), grid.y.place(y))
    lon, lat = all_over(rng, number)
    meridians = np.round(lon / 15) * 15 + rng.choice(tiny, number), lat
    poles = lon, np.clip(np.where(lat < 0, -90, 90) + rng.choice(tiny, number), -90, 90)
    found = [np.concatenate(v) for v in zip(at_edges, meridians, poles, strict=True)]
    known = np.isfinite(found[0]) & np.isfinite(found[1])
    moved = change_frame(*(v[known] for v in found), plane.frame, frame)
    # And the same in the frame of the catalogue.
    return [np.concatenate(v) for v in zip(moved, meridians, poles, strict=True)]


def near_map(rng, plane, grid, frame, number):
    ny, nx = grid.shape
    x, y = rng.uniform(-0.1 * nx, 1.1 * nx, number), rng.uniform(-0.1 * ny, 1.1 * ny, number)
    lon, lat = change_frame(*plane.to_sky(grid.x.place(x), grid.y.place(y)), plane.frame, frame)
    known = np.isfinite(lon) & np.isfinite(lat)
    return lon[known], np.clip(lat[known], -90, 90)


def points_for(wcs, shape, *, frame="icrs", number=NUMBER, seed=1):
    """Return points all over the sky, near a map and at places that are hard."""
    rng = np.random.default_rng(seed)
    plane, grid = plane_and_grid(wcs, shape)
    frame = read_catalogue(([], []), None, frame).frame
    parts = [
        all_over(rng, number),
        near_map(rng, plane, grid, frame, number // 2),
        adversarial(rng, plane, grid, frame, number // 10),
    ]
    lon, lat = (np.concatenate(v) for v in zip(*parts, strict=True))
    order = rng.permutation(len(lon))
    return lon[order], np.clip(lat[order], -90, 90)


def check(lon, lat, **kwargs):
    """Assert that both routes say the same of every point and every pixel."""
    ours, judge = sky_map(lon, lat, **kwargs), exact_map(lon, lat, **kwargs)
    np.testing.assert_array_equal(ours.counts, judge.counts)
    assert judge.counts.sum() > 0
    assert ours.meta == judge.meta


# Every kind of projection


# Projections that astropy inverts slowly.
SLOW = ("PCO", "COD", "ZPN", "TSC", "SZP")


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("projection", "is_rotated"),
    [
        *(
            pytest.param(
                code, True, id=f"{code}-rotated", marks=[pytest.mark.slow] if code in SLOW else []
            )
            for code in PROJECTIONS
        ),
        # On the exact route all are native, too, in test_counts.py.
        *(pytest.param(code, False, id=f"{code}-native") for code in ("AZP", "SZP", "TAN")),
    ],
)
def test_counts_are_exact_on_every_projection(projection, is_rotated):
    header = {
        "CTYPE1": f"RA---{projection}",
        "CTYPE2": f"DEC--{projection}",
        "CRVAL1": 0.0,
        "CRVAL2": NATIVE_LATITUDE.get(projection, 0.0),
        "CRPIX1": 38.3,
        "CRPIX2": 28.6,
        "CDELT1": -5.3,
        "CDELT2": 5.1,
    }
    if is_rotated:
        header |= {"CRVAL1": 83.0, "CRVAL2": 21.0, "LONPOLE": 30.0}
    wcs = make_wcs(header | PROJECTIONS[projection])
    check(*points_for(wcs, SKY_SHAPE), wcs=wcs, shape=SKY_SHAPE)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", FIELDS)
def test_counts_are_exact_for_every_orientation_distortion_and_frame(name):
    wcs = make_wcs(FIELDS[name])
    check(*points_for(wcs, FIELD_SHAPE), wcs=wcs, shape=FIELD_SHAPE)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("frame", ["fk5", "fk4", "galactic", "barycentricmeanecliptic"])
def test_counts_are_exact_for_catalogues_in_every_frame(frame):
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, frame=frame)
    check(lon, lat, frame=frame, wcs=wcs, shape=FIELD_SHAPE)
    check(lon - 360, lat, frame=frame, wcs=wcs, shape=FIELD_SHAPE, pixel_size="7 arcmin")


@pytest.mark.usefixtures("compiled")
def test_counts_are_exact_with_a_lookup_table():
    wcs = make_wcs(FIELD)
    table = np.random.default_rng(2).normal(0, 0.3, (9, 9)).astype(np.float32)
    wcs.cpdis1 = DistortionLookupTable(table, (1, 1), (1, 1), (11.25, 8.75))
    wcs.cpdis2 = DistortionLookupTable(table.T.copy(), (1, 1), (1, 1), (11.25, 8.75))
    check(*points_for(wcs, FIELD_SHAPE, number=20_000), wcs=wcs, shape=FIELD_SHAPE)


@pytest.mark.usefixtures("compiled")
def test_counts_are_exact_on_a_gwcs_with_a_bounding_box():
    pytest.importorskip("gwcs")
    from astropy.coordinates import ICRS
    from astropy.modeling import models
    from gwcs import WCS as GWCS
    from gwcs import coordinate_frames

    to_sky = (
        (models.Shift(-39.3) & models.Shift(-36.7))
        | (models.Scale(-0.004) & models.Scale(0.004))
        | models.Pix2Sky_TAN()
        | models.RotateNative2Celestial(150.1, 42.2, 180)
    )
    detector = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(reference_frame=ICRS(), unit=(u.deg, u.deg))
    gwcs = GWCS([(detector, to_sky), (sky, None)])
    gwcs.bounding_box = ((-0.5, 89.5), (-0.5, 69.5))
    check(*points_for(gwcs, FIELD_SHAPE), wcs=gwcs, shape=FIELD_SHAPE)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", ["mollweide", "aitoff", "hammer", "lambert"])
def test_counts_are_exact_on_geographic_axes(name):
    lon, lat = all_over(np.random.default_rng(3), NUMBER)
    counts = []
    for is_exact in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if is_exact:
                patch.setattr(sums, "should_compile", lambda _: False)
            ax = Figure().add_subplot(projection=name)
            heat = sky_heatmap(ax, lon, lat, bins=(200, 100), frame="galactic", center=77)
            counts.append(heat.sky_map.counts)
    np.testing.assert_array_equal(*counts)


@pytest.mark.usefixtures("compiled")
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    code=st.sampled_from(["TAN", "SIN", "ZEA", "AIT", "MOL", "CAR", "SFL", "HPX", "ZPN", "COE"]),
    center=st.tuples(st.floats(0, 360), st.floats(-90, 90)),
    lonpole=st.floats(-180, 180),
    log_pixel=st.floats(-4, 0.8),
    seed=st.integers(0, 2**32 - 1),
)
def test_counts_are_exact_anywhere_at_any_scale(code, center, lonpole, log_pixel, seed):
    pixel = 10**log_pixel
    header = {
        "CTYPE1": f"GLON-{code}",
        "CTYPE2": f"GLAT-{code}",
        "CRVAL1": center[0],
        "CRVAL2": center[1],
        "LONPOLE": lonpole,
        "CRPIX1": 20.2,
        "CRPIX2": 15.9,
        "CDELT1": -pixel,
        "CDELT2": pixel,
    }
    try:
        wcs = make_wcs(header | PROJECTIONS[code])
        wcs.wcs.set()
    except Exception:  # no such orientation
        return
    try:
        lon, lat = points_for(wcs, (30, 40), number=20_000, seed=seed)
        sky_map(lon[:10], lat[:10], wcs=wcs, shape=(30, 40))
    except ValueError:  # the map shows no sky
        return
    except Warning:
        pass
    ours = sky_map(lon, lat, wcs=wcs, shape=(30, 40))
    judge = exact_map(lon, lat, wcs=wcs, shape=(30, 40))
    np.testing.assert_array_equal(ours.counts, judge.counts)


# What the routes do with rows


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", ["f8", ">f8", "f4", ">f4"])
def test_rows_that_are_not_finite_are_dropped_and_counted(dtype):
    wcs = make_wcs(FIELD)
    lon, lat = (v.astype(dtype) for v in points_for(wcs, FIELD_SHAPE, number=20_000))
    lon[5::7], lat[3::11], lat[2::13] = np.nan, np.inf, np.nan
    dropped = int((~(np.isfinite(lon) & np.isfinite(lat))).sum())
    for points in ((lon, lat), (lon * u.deg, lat * u.deg), (np.radians(lon) * u.rad, lat * u.deg)):
        ours = sky_map(*points, wcs=wcs, shape=FIELD_SHAPE)
        assert ours.meta["dropped"] == dropped
        judge = exact_map(*points, wcs=wcs, shape=FIELD_SHAPE)
        np.testing.assert_array_equal(ours.counts, judge.counts)


@pytest.mark.usefixtures("compiled")
def test_masked_rows_are_dropped():
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=20_000)
    lon = np.ma.array(lon, mask=np.arange(len(lon)) % 3 == 0)
    check(lon, lat, wcs=wcs, shape=FIELD_SHAPE)


@pytest.mark.usefixtures("compiled")
def test_a_latitude_beyond_the_poles_is_an_error_that_names_the_row():
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=20_000)
    lat[12_345] = 91
    with pytest.raises(ValueError, match="within ±90 deg; row 12345 has 91"):
        sky_map(lon, lat, wcs=wcs, shape=FIELD_SHAPE)
    with pytest.raises(ValueError, match="within ±90 deg; row 12345 has 91"):
        sky_map(lon, lat, weights=np.ones(len(lon)), wcs=wcs, shape=FIELD_SHAPE)


@pytest.mark.usefixtures("compiled")
def test_weights_are_added_as_on_the_exact_route_to_the_bit():
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=50_000)
    weights = np.random.default_rng(4).lognormal(0, 3, len(lon))
    weights[7::19], lon[3::23], lat[6::29] = np.nan, np.nan, np.inf
    ours = sky_map(lon, lat, weights=weights, wcs=wcs, shape=FIELD_SHAPE)
    judge = exact_map(lon, lat, weights=weights, wcs=wcs, shape=FIELD_SHAPE)
    np.testing.assert_array_equal(ours.counts, judge.counts)
    assert ours.meta == judge.meta
    weights[40_000] = -1
    lon[40_000], lat[40_000] = 150.1, 42.2
    with pytest.raises(ValueError, match="not be negative; row 40000 has -1"):
        sky_map(lon, lat, weights=weights, wcs=wcs, shape=FIELD_SHAPE)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("is_weighted", [False, True], ids=["counts", "weights"])
def test_the_result_does_not_depend_on_threads_and_batches(monkeypatch, is_weighted):
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=100_000)
    weights = np.random.default_rng(5).lognormal(0, 3, len(lon)) if is_weighted else None
    maps = []
    cuts = [(2**21, 2**16, 2**18, 1), (2**14, 2**10, 100, 3), (9999, 777, 999, 2)]
    for batch, part, asked, size in cuts:
        monkeypatch.setattr(compiled_route, "BATCH", batch)
        monkeypatch.setattr(compiled_route, "PART", part)
        monkeypatch.setattr(compiled_route, "ASKED", asked)
        maps.append(sky_map(lon, lat, weights=weights, wcs=wcs, shape=FIELD_SHAPE, threads=size))
    for other in maps[1:]:
        np.testing.assert_array_equal(other.counts, maps[0].counts)
        assert other.meta == maps[0].meta


@pytest.mark.parametrize("margin", [tile_layout.EDGE, 0.01, 0.3])
@pytest.mark.parametrize(("edge", "side", "nearest"), [(0, -1, 48), (16, 1, 63)])
def test_points_off_the_map_by_the_margin_are_not_on_it(edge, side, nearest, margin):
    """Where rounding decides whether they are so near to its edge that the exact route is asked."""
    compiled = pytest.importorskip("mpl_skyheat.compute.numba_tiles")
    for step in range(-40, 40):
        at = edge + side * margin + step * 1e-17
        for x, y in ((at, 3.7), (3.7, at)):
            pixel = compiled._pixel(x, y, 16.0, 16.0, margin, tile_layout.ASK)
            assert pixel in (compiled.OFF, tile_layout.ASK)
    assert compiled._pixel(edge - 0.5 * side, 3.5, 16.0, 16.0, margin, tile_layout.ASK) == nearest


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("odd", [0, 50])
def test_counts_are_exact_where_all_points_are_in_one_tile(monkeypatch, odd):
    """In runs as long as they get, with points near the edges of pixels; and some that are none."""
    monkeypatch.setattr(compiled_route, "ASKED", 100)
    monkeypatch.setattr(compiled_route, "BATCH", 30_000)
    wcs, rng = make_wcs(FIELD), np.random.default_rng(9)
    ny, nx = FIELD_SHAPE
    x, y = rng.uniform(0, nx - 1, 150_000), rng.uniform(0, ny - 1, 150_000)
    x[::7] = np.round(x[::7]) + 0.5 + rng.choice([-1e-6, 1e-6], len(x[::7]))
    lon, lat = plane_of_wcs(wcs).to_sky(x, y)
    lon[rng.integers(0, len(lon), odd)] = np.nan
    lat[rng.integers(0, len(lon), odd)] *= -1
    check(lon, lat, wcs=wcs, shape=FIELD_SHAPE)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("center", [(12, 40), (123, -50), (266, 3)])
def test_counts_are_exact_on_a_field_smaller_than_a_tile_in_another_frame(center):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["GLON-TAN", "GLAT-TAN"], [-0.001, 0.001]
    wcs.wcs.crpix, wcs.wcs.crval = [30, 30], center
    middle, rng = SkyCoord(*center, unit="deg", frame="galactic").icrs, np.random.default_rng(3)
    lon, lat = np.array([[middle.ra.deg], [middle.dec.deg]]) + rng.uniform(-0.04, 0.04, (2, 50_000))
    check(lon, lat, wcs=wcs, shape=(60, 60))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("center", [0, 180])
@pytest.mark.parametrize("lat", [-90, 90])
@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_counts_are_exact_at_a_pole_on_the_horizon(center, lat, frame):
    """There, wcslib knows the pole at some longitudes, and not at others."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---SIN", "DEC--SIN"], [-2.78, 2.78]
    wcs.wcs.crpix, wcs.wcs.crval = [22.2, 22.1], [center, 0]
    lon, lats = all_over(np.random.default_rng(3), 100_000)
    poles = SkyCoord(np.linspace(0, 360, 10_001), lat, unit="deg").transform_to(frame)
    lon = np.concatenate([lon, poles.spherical.lon.deg])
    lats = np.concatenate([lats, poles.spherical.lat.deg])
    check(lon, lats, wcs=wcs, shape=(43, 43), frame=frame)


@pytest.mark.parametrize(
    ("call", "axis", "value", "calls"),
    [
        (None, 0, np.nan, [tiles.CHECKS**2, tiles.TERMS]),
        # At a node: no polynomial goes through it.
        (1, 0, np.nan, [tiles.CHECKS**2, tiles.TERMS]),
        (1, 1, np.nan, [tiles.CHECKS**2, tiles.TERMS]),
        (1, 1, 1e9, [tiles.CHECKS**2, tiles.TERMS]),
        # In the comparison: nodes are not worth asking of.
        (0, 0, np.nan, [tiles.CHECKS**2]),
        (0, 1, np.nan, [tiles.CHECKS**2]),
        (0, 1, 1e9, [tiles.CHECKS**2]),
    ],
)
def test_a_tile_with_an_unknown_value_or_a_leap_has_no_polynomial(call, axis, value, calls):
    done = []

    def to_pixels(lon, lat):
        xy = lon.copy(), lat.copy()
        if call == len(done):
            xy[axis][7] = value
        done.append(len(lon))
        return xy

    made = tiles.SkyTiles(to_pixels, (90, 180), FLAT)
    middle = np.hypot(made.boxes[:, 0] - 90, made.boxes[:, 1] - 20).argmin()
    assert made._fitted(made.boxes[[middle]])[0] == (
        tile_layout.LEAF if call is None else tile_layout.TORN
    )
    assert done == calls


@pytest.mark.usefixtures("compiled")
def test_counts_beyond_what_the_threads_may_hold_are_the_same(monkeypatch):
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=50_000)
    monkeypatch.setattr(compiled_route, "MOST_OWN_COUNTS", 1)
    check(lon, lat, wcs=wcs, shape=FIELD_SHAPE, threads=4)


@pytest.mark.usefixtures("compiled")
def test_a_table_in_a_file_is_read_where_it_is(tmp_path):
    from astropy.io import fits

    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=50_000)
    Table({"ra": lon, "dec": lat}).write(tmp_path / "stars.fits")
    with fits.open(tmp_path / "stars.fits", memmap=True) as hdus:
        catalogue = read_catalogue(("ra", "dec"), hdus[1].data)
        assert not catalogue.is_in_memory
        ours = sky_map("ra", "dec", data=hdus[1].data, wcs=wcs, shape=FIELD_SHAPE)
    judge = exact_map(lon, lat, wcs=wcs, shape=FIELD_SHAPE)
    np.testing.assert_array_equal(ours.counts, judge.counts)


# Chunks


def chunks_of(lon, lat, *more, size=30_011):
    for start in range(0, len(lon), size):
        rows = slice(start, start + size)
        yield lon[rows], lat[rows], *(values[rows] for values in more)


@pytest.mark.parametrize("route", ["compiled", "exact", "both"])
def test_points_may_come_in_chunks(monkeypatch, route):
    first = {"compiled": 0, "exact": np.inf, "both": 70_000}[route]
    monkeypatch.setattr(sums, "should_compile", lambda points: points >= first)
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=100_000)
    weights = np.random.default_rng(6).lognormal(0, 3, len(lon))
    lon[3::23], weights[5::31] = np.nan, np.nan
    where = {"wcs": wcs, "shape": FIELD_SHAPE, "kernel": "10 arcmin"}
    clean = lon > 0
    coordinates = (SkyCoord(*c, unit="deg") for c in chunks_of(lon[clean], lat[clean]))
    for stream, points, kwargs in (
        (chunks_of(lon, lat), (lon, lat), {}),
        (coordinates, (lon[clean], lat[clean]), {}),
        (chunks_of(lon, lat, weights), (lon, lat), {"weights": weights}),
    ):
        judge = exact_map(*points, **kwargs, **where)
        ours = sky_map(stream, **where)
        np.testing.assert_array_equal(ours.counts, judge.counts)
        np.testing.assert_array_equal(ours.data, judge.data)
        assert ours.meta == judge.meta


@pytest.mark.usefixtures("compiled")
def test_tables_may_come_in_chunks():
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=50_000)
    flux = np.random.default_rng(6).random(len(lon))
    tables = (Table({"ra": a, "dec": b, "flux": c}) for a, b, c in chunks_of(lon, lat, flux))
    ours = sky_map(data=tables, weights="flux", wcs=wcs, shape=FIELD_SHAPE)
    judge = exact_map(lon, lat, weights=flux, wcs=wcs, shape=FIELD_SHAPE)
    np.testing.assert_array_equal(ours.counts, judge.counts)
    ax = Figure().add_subplot(projection=wcs)
    ax.set(xlim=(0, 50), ylim=(0, 40))
    heat = ax.sky_heatmap(chunks_of(lon, lat))
    assert heat.sky_map.meta["read"] == len(lon)


@pytest.mark.parametrize("is_compiled", [False, True], ids=["exact", "compiled"])
@pytest.mark.parametrize("is_weighted", [False, True], ids=["counts", "weights"])
@pytest.mark.parametrize("kernel", [None, "6 arcmin"])
def test_points_in_the_margin_of_a_kernel_are_outside(
    is_compiled, is_weighted, kernel, monkeypatch
):
    monkeypatch.setattr(sums, "should_compile", lambda _: is_compiled)
    wcs, rng = make_wcs(FIELD), np.random.default_rng(12)
    ny, nx = FIELD_SHAPE
    x, y = rng.uniform(-9, nx + 9, 30_000), rng.uniform(-9, ny + 9, 30_000)
    inside = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    lon, lat = plane_of_wcs(wcs).to_sky(x, y)
    lon[:100] = np.nan
    weights = rng.random(len(lon)) if is_weighted else None
    meta = sky_map(lon, lat, weights=weights, wcs=wcs, shape=FIELD_SHAPE, kernel=kernel).meta
    assert (meta["read"], meta["dropped"]) == (30_000, 100)
    assert meta["inside"] == inside[100:].sum()
    assert meta["outside"] == (~inside[100:]).sum() > 1000


@pytest.mark.parametrize("is_compiled", [False, True], ids=["exact", "compiled"])
def test_chunks_are_smoothed_on_the_sphere_in_the_same_pass(is_compiled):
    wcs = WCS({"CTYPE1": "GLON-AIT", "CTYPE2": "GLAT-AIT", "CDELT1": -4.0, "CDELT2": 4.0})
    wcs.pixel_shape = (82, 41)
    wcs.wcs.crpix = 41.5, 21
    lon, lat = all_over(np.random.default_rng(9), 60_000)
    weights = np.random.default_rng(10).random(len(lon))
    lon[::17], lon[1::17], lat[2::17], weights[::19] = np.nan, np.inf, np.nan, np.inf
    for kwargs in ({}, {"weights": weights}):
        judge = exact_map(lon, lat, **kwargs, wcs=wcs, kernel="8 deg")
        assert judge.meta["geometry"] == "sphere"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sums, "should_compile", lambda _: is_compiled)
            whole = sky_map(lon, lat, **kwargs, wcs=wcs, kernel="8 deg")
            ours = sky_map(chunks_of(lon, lat, *kwargs.values()), wcs=wcs, kernel="8 deg")
        np.testing.assert_array_equal(ours.counts, judge.counts)
        np.testing.assert_allclose(ours.data, judge.data, rtol=1e-9)
        np.testing.assert_allclose(whole.data, judge.data, rtol=1e-9)
        assert ours.meta == judge.meta


def test_chunks_that_do_not_go_together_are_refused():
    wcs = make_wcs(FIELD)
    where = {"wcs": wcs, "shape": FIELD_SHAPE}
    star = SkyCoord(150.1, 42.2, unit="deg")
    with pytest.raises(ValueError, match=r"must be in one frame; got .*Galactic.* in chunk 1"):
        sky_map(iter([star, star.galactic]), **where)
    with pytest.raises(ValueError, match=r"weights must be alike in all chunks; got .* chunk 1"):
        sky_map(iter([([150.1], [42.2], [1.0]), ([150.1], [42.2])]), **where)
    with pytest.raises(ValueError, match="weights must come with the points, as chunks of"):
        sky_map(iter([([150.1], [42.2])]), weights=[1.0], **where)
    with pytest.raises(ValueError, match="must have at least one chunk; got an iterator without"):
        sky_map(iter([]), **where)
    with pytest.raises(TypeError, match=r"must come in chunks of .*; got 4 items"):
        sky_map(iter([([150.1], [42.2], [1.0], [2.0])]), **where)
    with pytest.raises(TypeError, match=r"got one by one, as .*: pass the two arrays themselves"):
        sky_map(zip([150.1], [42.2], strict=True), **where)
    with pytest.raises(TypeError, match="must be names of columns where data is an iterator"):
        sky_map([1.0], [2.0], data=iter([Table({"ra": [1.0]})]), **where)
    with pytest.raises(ValueError, match=r"in chunk 1: .*; row 1 has 95"):
        sky_map(iter([([150.1], [42.2]), ([150.1, 150.2], [42.2, 95.0])]), **where)
    with pytest.raises(ValueError, match="got an iterator: give the WCS a shape"):
        sky_map(iter([([150.1], [42.2])]), wcs=wcs)
    with pytest.raises(ValueError, match="got an iterator"):
        Figure().add_subplot().sky_heatmap(iter([([150.1], [42.2])]))


def test_threads_are_those_asked_for_or_of_the_environment(monkeypatch):
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert threads.thread_count(3) == 3
    assert threads.thread_count(None) >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert threads.thread_count(None) == 5
    monkeypatch.setenv("NUMBA_NUM_THREADS", "7")
    assert threads.thread_count(None) == 7
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(ValueError, match="threads must be a positive integer, or None; got"):
            sky_map([1], [2], wcs=make_wcs(FIELD), threads=wrong)


SCRIPT = """
import sys, numpy as np
from astropy.wcs import WCS
from mpl_skyheat import sky_map
wcs = WCS(naxis=2)
wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
wcs.wcs.crval = 10, 20
wcs.wcs.cdelt = -0.1, 0.1
rng = np.random.default_rng(1)
for number in (1000, 3_200_000):
    sky = sky_map(rng.uniform(9, 11, number), rng.uniform(19, 21, number), wcs=wcs, shape=(9, 9))
    print("numba" in sys.modules, sky.meta["read"])
"""


@pytest.mark.slow
def test_the_compiler_is_loaded_for_large_catalogues_and_needs_no_cache(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for can_write in (True, False):
        if not can_write:
            # A file in the place of a folder: there is none to write to.
            (tmp_path / "file").write_text("")
            environment["NUMBA_CACHE_DIR"] = str(tmp_path / "file")
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.splitlines() == ["False 1000", "True 3200000"], done.stderr
    assert list((tmp_path / "cache").rglob("*.nbi"))


def run_script(tmp_path, script, *lines):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, script])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1].split()[-1] == "3200000", done.stderr
    return done.stderr


@pytest.mark.slow
def test_where_the_disk_is_full_code_is_compiled_without_being_kept(tmp_path):
    fill = (
        "from numba.core import caching",
        "def full(*args, **kwargs): raise OSError(28, 'No space left on device')",
        "caching.IndexDataCacheFile.save = full",
    )
    assert not run_script(tmp_path, SCRIPT, *fill)


def test_without_numba_large_catalogues_go_the_exact_route(tmp_path):
    stderr = run_script(tmp_path, SCRIPT, "import sys", "sys.modules['numba'] = None")
    assert "large catalogues take long, as numba cannot be imported" in stderr


@pytest.mark.usefixtures("compiled")
def test_a_small_bump_in_a_lookup_table_is_not_missed():
    wcs = make_wcs(FIELD | {"CDELT1": -0.001, "CDELT2": 0.001, "CRPIX1": 500, "CRPIX2": 500})
    table = np.zeros((64, 64), np.float32)
    table[31, 33] = 5
    wcs.cpdis1 = DistortionLookupTable(table, (1, 1), (1, 1), (16, 16))
    check(*points_for(wcs, (1000, 1000), number=100_000), wcs=wcs, shape=(1000, 1000))


@pytest.mark.usefixtures("compiled")
def test_skycoords_in_chunks_may_have_weights():
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=20_000)
    flux = np.random.default_rng(6).random(len(lon))
    stream = ((SkyCoord(a, b, unit="deg"), c) for a, b, c in chunks_of(lon, lat, flux))
    ours = sky_map(stream, wcs=wcs, shape=FIELD_SHAPE)
    judge = exact_map(lon, lat, weights=flux, wcs=wcs, shape=FIELD_SHAPE)
    np.testing.assert_array_equal(ours.counts, judge.counts)


# The tiles themselves


def tiles_of(wcs, shape, lon, lat):
    plane, grid = plane_and_grid(wcs, shape)
    route = compiled_route.CompiledRoute(ICRS(), MapGeometry(plane, grid), threads.Team(1))
    route._plan(lon, lat, 100)
    return route._tiles


def test_a_small_field_is_one_tile():
    lon, lat = (np.repeat(v, 10) for v in np.meshgrid(*2 * (np.linspace(-1.3, 1.3, 20),)))
    made = tiles_of(make_wcs(FIELD), FIELD_SHAPE, 150.1 + lon.ravel(), 42.2 + lat.ravel())
    assert (made.child == tile_layout.LEAF).sum() == 1
    assert not np.isin(made.child, [tile_layout.ROUGH, tile_layout.TORN]).any()


def test_a_projection_that_no_polynomial_fits_is_left_to_the_exact_route():
    rng = np.random.default_rng(6)

    def noise(lon, lat):
        return rng.uniform(0, 10, lon.shape), rng.uniform(0, 10, lat.shape)

    made = tiles.SkyTiles(noise, (10, 10), FLAT)
    made.make(np.full(len(made.child), 10**6))
    assert not (made.child == tile_layout.LEAF).any()
    # It gives up soon.
    assert len(made.child) < 100_000


def test_what_is_behind_the_horizon_is_known_to_be_off_the_map():
    wcs = WCS({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CDELT1": -0.5, "CDELT2": 0.5})
    wcs.wcs.crpix = 120.5, 120.5
    lon, lat = all_over(np.random.default_rng(7), 200_000)
    made = tiles_of(wcs, (240, 240), lon, lat)
    is_tile = made.child < 0
    middle = SkyCoord(*made.boxes[is_tile, :2].T, unit="deg")
    behind = middle.separation(SkyCoord(0, 0, unit="deg")).deg > 110
    assert behind.sum() > 50
    assert (made.child[is_tile][behind] == tile_layout.OUTSIDE).all()


@pytest.fixture(scope="module")
def all_sky():
    wcs = WCS({"CTYPE1": "GLON-AIT", "CTYPE2": "GLAT-AIT", "CDELT1": -0.5, "CDELT2": 0.5})
    lon, lat = all_over(np.random.default_rng(7), 200_000)
    made = tiles_of(wcs, (300, 600), lon, lat)
    leaves = np.flatnonzero(made.child == tile_layout.LEAF)
    assert len(leaves) > 100
    return plane_of_wcs(wcs), made, leaves


def powers_of(degree, u, v):
    i, j = tiles._powers(degree)
    return u[:, None] ** i * v[:, None] ** j


def test_polynomials_are_within_their_tolerance_everywhere_in_their_tiles(all_sky):
    plane, made, leaves = all_sky
    rng = np.random.default_rng(8)
    frame = SkyCoord(0, 0, unit="deg").frame.replicate_without_data()
    for leaf in leaves[:: len(leaves) // 40 + 1]:
        u_, v = rng.uniform(-1, 1, (2, 500))
        box = made.boxes[leaf]
        x, y = project(plane, frame, box[0] + u_ / box[2], box[1] + v / box[3])
        terms = made.coefficients[leaf, : 2 * tiles.TERMS].reshape(2, -1)
        fitted = powers_of(tile_layout.DEGREE, u_, v) @ terms.T
        assert np.abs(fitted - np.column_stack([x + 0.5, y + 0.5])).max() < 2e-7


def test_drafts_are_within_their_margins_everywhere_in_their_tiles(all_sky):
    _, made, leaves = all_sky
    # With the edges, where the terms that drafts have not are largest.
    u_, v = (v.ravel() for v in np.meshgrid(*2 * (np.linspace(-1, 1, 41),)))
    full, draft, margin = np.split(
        made.coefficients[leaves], [2 * tiles.TERMS, tiles.WIDTH - 1], axis=1
    )
    values = full.reshape(-1, tiles.TERMS) @ powers_of(tile_layout.DEGREE, u_, v).T
    drafts = draft.reshape(-1, tiles.DRAFT_TERMS) @ powers_of(tile_layout.DRAFT_DEGREE, u_, v).T
    off = np.abs(values - drafts).max(axis=1).reshape(-1, 2).max(axis=1)
    assert (off + tile_layout.EDGE <= margin[:, 0] + 1e-9).all()
    assert np.median(margin) < 1e-3


@pytest.mark.usefixtures("compiled")
def test_bins_that_are_no_whole_pixels_are_counted_exactly():
    wcs = make_wcs(FIELD)
    lon, lat = points_for(wcs, FIELD_SHAPE, number=50_000)
    grid = grid_of_steps(view_of_shape(wcs, FIELD_SHAPE), 3.3, 1.7)
    assert grid.x.step == 3.3
    check(lon, lat, wcs=wcs, shape=FIELD_SHAPE, pixel_size="3.3 arcmin")
    check(lon, lat, wcs=wcs, shape=FIELD_SHAPE, bins=(37, 23), kernel="10 arcmin")


def test_only_what_is_known_to_be_smooth_is_replaced_by_polynomials():
    assert plane_of_wcs(make_wcs(FIELDS["SIP"])).is_smooth
    lookup = make_wcs(FIELD)
    table = np.zeros((9, 9), np.float32)
    lookup.det2im1 = DistortionLookupTable(table, (1, 1), (1, 1), (10, 10))
    assert not plane_of_wcs(lookup).is_smooth
    sliced = SlicedLowLevelWCS(make_wcs(FIELD), np.s_[2:30, 3:40])
    assert not plane_of_wcs(sliced).is_smooth  # as nobody says what it is a slice of


def test_a_gwcs_with_a_table_in_it_goes_the_exact_route():
    pytest.importorskip("gwcs")
    from astropy.coordinates import ICRS
    from astropy.modeling import models
    from gwcs import WCS as GWCS
    from gwcs import coordinate_frames

    detector = coordinate_frames.Frame2D(name="detector", unit=(u.pix, u.pix))
    sky = coordinate_frames.CelestialFrame(reference_frame=ICRS(), unit=(u.deg, u.deg))
    scaled = models.Scale(0.01) & models.Scale(0.01)
    to_sky = scaled | models.Pix2Sky_TAN() | models.RotateNative2Celestial(150, 42, 180)
    table = models.Tabular1D(points=[0, 50, 100], lookup_table=[0, 51, 100])
    for start, is_smooth in ((models.Shift(1) & models.Shift(2), True), (table & table, False)):
        gwcs = GWCS([(detector, start | to_sky), (sky, None)])
        assert plane_of_wcs(gwcs).is_smooth == is_smooth


def test_positions_are_turned_as_by_numpy():
    compiled = pytest.importorskip("mpl_skyheat.compute.numba_sphere")
    rng = np.random.default_rng(6)
    lon, lat = np.meshgrid(np.arange(-720, 721, 22.5), np.arange(-90, 91, 11.25))
    lon = np.concatenate([lon.ravel(), rng.uniform(-1e3, 1e3, 10_000), [1e-9, 359.999999]])
    lat = np.concatenate(
        [lat.ravel(), np.degrees(np.arcsin(rng.uniform(-1, 1, 10_000))), [0, -0.0]]
    )
    for turn in (np.eye(3), Rotation.random(random_state=7).as_matrix()):
        found = np.empty((2, len(lon)))
        compiled.rotate(lon, lat, turn, *found)
        x, y, z = turn @ to_vectors(lon, lat).T
        expected = np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])
        np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-14)
        # Towards a pole, and beside the branch cut, the longitude is known less well.
        away = (np.abs(found[1]) < 1.57) & (np.abs(expected[0]) < np.pi - 1e-9)
        np.testing.assert_allclose(found[0, away], expected[0, away], rtol=0, atol=1e-11)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_team_does_every_task_once_with_a_number_for_each_thread(size):
    team, done = threads.Team(size), []
    for tasks in ([], [1], range(100)):
        done.clear()
        numbers = {}

        def work(number, task, numbers=numbers):
            done.append(task)
            assert numbers.setdefault(number, threading.get_ident()) == threading.get_ident()

        team.share(tasks, work)
        assert sorted(done) == list(tasks)
        assert set(numbers) <= set(range(size))


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("bad", [0, 5, 99])
def test_what_goes_wrong_in_a_team_is_raised_when_all_have_stopped(size, bad):
    running = []

    def work(_, task):
        running.append(task)
        time.sleep(1e-3)
        if task == bad:
            raise ValueError(f"no {task}")
        running.remove(task)

    team = threads.Team(size)
    with pytest.raises(ValueError, match=f"no {bad}"):
        team.share(range(100), work)
    assert running == [bad]
    team.share([1], lambda *_: None)


def test_a_team_stops_soon_after_something_goes_wrong():
    done = []

    def work(number, task):
        if number:
            raise ValueError("not I")
        done.append(task)
        time.sleep(1e-3)

    with pytest.raises(ValueError, match="not I"):
        threads.Team(2).share(range(500), work)
    assert len(done) < 250


def test_a_team_whose_threads_cannot_start_does_nothing_behind_ones_back(monkeypatch):
    done, starts = [], []
    start = threading.Thread.start

    def work(_, task):
        done.append(task)
        time.sleep(1e-3)

    def fail(thread):
        starts.append(thread)
        if len(starts) > 1:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="can't start"):
        threads.Team(3).share(range(400), work)
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count < 400


def test_more_threads_than_there_are_tiles_for():
    team = threads.Team(24)
    to_pixels = threads.shared([lambda lon, lat: (lon, lat)] * 24, team)
    made = tiles.SkyTiles(to_pixels, (90, 180), FLAT)
    for count in (1, 19, 22, 60, 200):
        kind, coefficients = made._fitted(made.boxes[:count])
        assert len(kind) == len(coefficients) == count


def test_threads_share_the_places_of_a_function_each_with_one_of_its_own():
    team, used = threads.Team(3), [0, 0, 0]

    def swapped(number, a, b):
        used[number] += a.size
        return 2 * b, a

    functions = [partial(swapped, number) for number in range(3)]
    function = threads.shared(functions, team)
    a, b = np.arange(30_000.0).reshape(100, 300), np.linspace(0, 1, 300)
    u, v = function(a, b)
    np.testing.assert_array_equal(u, 2 * np.broadcast_to(b, a.shape))
    np.testing.assert_array_equal(v, a)
    assert sum(used) == a.size
    # A few are not worth it.
    used[:] = 0, 0, 0
    np.testing.assert_array_equal(function(a[0], b), [2 * b, a[0]])
    assert used == [300, 0, 0]


def test_every_thread_has_a_wcs_of_its_own():
    wcs = make_wcs(FIELDS["SIP"])
    plane, grid = plane_and_grid(wcs, FIELD_SHAPE)
    route = compiled_route.CompiledRoute(ICRS(), MapGeometry(plane, grid), threads.Team(3))
    assert len({id(plane.wcs) for plane in route._planes}) == 3
    lon, lat = plane.to_sky(np.arange(20.0), np.arange(20.0))
    for twin in route._planes:
        np.testing.assert_array_equal(twin.to_plane(lon, lat), plane.to_plane(lon, lat))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("kernel", ["9 deg", None])
@pytest.mark.parametrize("projection", ["AIT", "ZEA", "CAR"])
def test_maps_do_not_depend_on_the_number_of_threads(projection, kernel):
    wcs = make_wcs(SKY_OF_GALAXY | {"CTYPE1": f"GLON-{projection}", "CTYPE2": f"GLAT-{projection}"})
    lon, lat = all_over(np.random.default_rng(9), 5000)
    kwargs = {"wcs": wcs, "shape": SKY_SHAPE, "kernel": kernel}
    one, *others = (sky_map(lon, lat, threads=number, **kwargs) for number in (1, 2, 3))
    for other in others:
        np.testing.assert_array_equal(other.counts, one.counts)
        np.testing.assert_array_equal(other.solid_angle, one.solid_angle)
        # (numpy 1.26 rounds arctan2 by where arrays lie in memory, on processors with AVX-512.)
        np.testing.assert_allclose(other.data, one.data, rtol=1e-12)
    assert one.meta["geometry"] == ("plane" if kernel is None else "sphere")


@pytest.mark.parametrize("is_cached", [True, False])
def test_what_takes_long_is_logged_before_it_does(monkeypatch, caplog, tmp_path, is_cached):
    if is_cached:
        (tmp_path / "numba_tiles.locate-1.py311.nbi").touch()
    stats = SimpleNamespace(cache_path=str(tmp_path))
    module = SimpleNamespace(locate=SimpleNamespace(stats=stats))
    monkeypatch.setattr(loader, "is_loaded", lambda: False)
    monkeypatch.setattr(loader, "import_module", lambda _: module)
    caplog.set_level("INFO", "mpl_skyheat")
    assert loader.should_compile(10**7)
    assert [record.message[:9] for record in caplog.records] == ["compiling"] * (not is_cached)


BROKEN_CACHE = """
import sys
from pathlib import Path
import numpy as np
from mpl_skyheat.compute import loader
flat = np.zeros(4, np.int64)
print(loader.run("tally", np.array([0, 1, 1], np.int32), flat), *flat)
"""


@pytest.mark.slow
def test_a_broken_entry_of_the_cache_is_replaced(tmp_path):
    """As a full disk, or a process that is killed, leaves behind."""
    cache = tmp_path / "cache"

    def entries(kind):
        return [entry for entry in cache.rglob(f"*.{kind}") if "tally" in entry.name]

    for kind, size in ((None, 0), ("nbi", 0), ("nbi", 20), ("nbc", 0), ("nbc", 2000)):
        if kind is not None:
            (broken,) = entries(kind)
            with broken.open("r+b") as file:
                file.truncate(size)
        done = subprocess.run(
            [sys.executable, "-c", BROKEN_CACHE],
            env=os.environ | {"NUMBA_CACHE_DIR": str(cache)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == ["3", "1", "2", "0", "0"], done.stderr
        (replaced,) = entries("nbc")
        assert replaced.stat().st_size > 2000
