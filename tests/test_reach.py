"""What may reach a map: nothing is lost, wherever the map is, and little is kept in vain."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, FK5, ICRS, AltAz, EarthLocation, Galactic
from astropy.time import Time
from astropy.wcs import WCS
from astropy_healpix import HEALPix
from helpers import healpix_numbers
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mpl_skyheat.counting.exact_route import pixels_of
from mpl_skyheat.maps.request import MapRequest
from mpl_skyheat.maps.where import choose_where
from mpl_skyheat.sky.frames import change_frame, frame_rotation, rotate
from mpl_skyheat.sky.geometry import MapGeometry
from mpl_skyheat.sky.grid import View, native_grid
from mpl_skyheat.sky.healpix_cells import FINEST, cell_centres, cell_radius
from mpl_skyheat.sky.planes import FlatPlane, plane_of_wcs, project, view_of_shape
from mpl_skyheat.sky.reach import reach_of
from mpl_skyheat.sky.smallest_circle import Circle
from mpl_skyheat.sky.vectors import to_positions, to_vectors

ALT_AZ = AltAz(obstime=Time("2026-01-01"), location=EarthLocation.from_geodetic(10, 50))
FRAMES = (ICRS(), Galactic(), FK5(), FK4())

# Codes, and the pixels (deg) of a map of 60 x 40 that is wholly on the sky, or all of it.
PROJECTIONS = {
    "TAN": 0.5, "SIN": 1.0, "ARC": 2.0, "STG": 2.0, "ZEA": 3.0, "AIT": 9.0, "MOL": 9.0,
    "CAR": 9.0, "CEA": 9.0, "SFL": 9.0, "HPX": 9.0, "PCO": 9.0, "TSC": 9.0,
}  # fmt: skip


def make_wcs(code, center, side, shape=(60, 40), rotation=0.0):
    """Return a WCS of ``shape`` (nx, ny) pixels of ``side`` (deg) around a position."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    on_equator = code in ("AIT", "MOL", "CAR", "CEA", "SFL", "HPX", "PCO", "TSC")
    wcs.wcs.crval = [center[0], 0.0 if on_equator else center[1]]
    wcs.wcs.crpix = [(n + 1) / 2 for n in shape]
    wcs.wcs.cdelt = [-side, side]
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs.wcs.pc = [[c, -s], [s, c]]
    if on_equator and side < 1:
        # A field of the map around the position, which may be beside the edge of the sky.
        x, y = wcs.world_to_pixel_values(*center)
        if np.isfinite(x) and np.isfinite(y):
            wcs.wcs.crpix = wcs.wcs.crpix - [float(x), float(y)] + [n / 2 for n in shape]
    wcs.pixel_shape = shape
    wcs.wcs.set()
    return wcs


def geometry_of(wcs, **asked):
    given = dict.fromkeys(
        ("statistic", "pixel_size", "bins", "kernel", "unit", "label", "values"), None
    ) | {"boundary": "sky", "geometry": "auto", "frame": "icrs"}
    request = MapRequest.of_call(given | asked)
    plane = FlatPlane() if wcs is None else plane_of_wcs(wcs)
    view = asked.pop("view", None) or view_of_shape(wcs)
    return choose_where(request, plane, view, closed=False).geometry


def whole_sky(rng, number):
    return rng.uniform(0, 360, number), np.degrees(np.arcsin(rng.uniform(-1, 1, number)))


def some_points(geometry, frame, rng, number):
    """Return points all over the sky, and others on the map and beside its edges."""
    x_axis, y_axis = geometry.wide.x, geometry.wide.y
    x, y = (axis.place(rng.uniform(-2, axis.count + 2, number)) for axis in (x_axis, y_axis))
    edge = rng.integers(0, 4, number)
    x[edge == 1] = x_axis.bounds[0] + 1e-7 * x_axis.step
    y[edge == 2] = y_axis.bounds[1] - 1e-7 * y_axis.step
    lon, lat = geometry.plane.to_sky(x, y)
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = change_frame(lon[known], lat[known], geometry.plane.frame, frame)
    others = whole_sky(rng, number)
    return np.append(lon, others[0]), np.append(lat, others[1])


def counts_for_something(geometry, frame, lon, lat):
    """Tell which points are in a pixel of a map, or on its window of the lattice."""
    x, y = project(geometry.plane, frame, lon, lat)
    counts, _ = pixels_of(geometry, geometry.plane, x, y)
    sphere = geometry.sphere
    if sphere is not None and not sphere.lattice.has_poles:
        there = change_frame(lon, lat, frame, geometry.plane.frame)
        on_lattice, _ = sphere.lattice.bins_of(*rotate(*there, sphere.turn, is_compiled=False))
        counts |= on_lattice
    return counts


def boxes_around(lon, lat, rng):
    """Return bounds of boxes (deg) with each point somewhere in its own, in turns of longitude."""
    width = 10 ** rng.uniform(-4, 2.5, (4, len(lon))) * rng.integers(0, 2, (4, len(lon)))
    turn = 360 * rng.integers(-1, 2, len(lon))
    west, east = lon - width[0] + turn, lon + width[1] + turn
    return west, east, np.clip(lat - width[2], -90, 90), np.clip(lat + width[3], -90, 90)


def assert_none_lost(geometry, frame, rng, number=300):
    lon, lat = some_points(geometry, frame, rng, number)
    needed = counts_for_something(geometry, frame, lon, lat)
    lon, lat = lon[needed], lat[needed]
    reach = reach_of(geometry, frame)
    number = healpix_numbers(lon, lat)
    order = rng.integers(0, FINEST + 1, len(lon))
    assert reach.cells(order, number >> (2 * (FINEST - order))).all()
    longer = (2.0 ** rng.uniform(0, 58, (2, len(lon)))).astype(np.int64)
    assert reach.ranges(number - longer[0], number + longer[1]).all()
    assert reach.boxes(*boxes_around(lon, lat, rng)).all()
    return needed


fields = {
    "code": st.sampled_from(sorted(PROJECTIONS)),
    "center": st.tuples(
        st.one_of(st.floats(0, 360), st.just(0.0)),
        st.one_of(st.floats(-90, 90), st.sampled_from([90.0, -90.0, 89.9])),
    ),
    "zoom": st.sampled_from([1, 1, 30, 1000]),
    "shape": st.sampled_from([(60, 40), (200, 5), (3, 90)]),
    "rotation": st.sampled_from([0.0, 33.0]),
    "frame": st.sampled_from(FRAMES),
    "sigma": st.sampled_from([0.0, 0.0, 1.0, 6.0]),
    "seed": st.integers(0, 2**32 - 1),
}


@settings(max_examples=25)
@given(**fields)
def test_nothing_that_counts_is_out_of_reach(
    code, center, zoom, shape, rotation, frame, sigma, seed
):
    side = PROJECTIONS[code] / zoom
    wcs = make_wcs(code, center, side, shape, rotation)
    if code == "TAN" and max(shape) * side > 60:  # whose margin would not fit in memory
        sigma = 0.0
    kernel = sigma * side * u.deg if sigma else None
    try:
        geometry = geometry_of(wcs, kernel=kernel)
    except ValueError:  # it shows no sky, or the kernel's margin is too large
        assume(False)
    assert_none_lost(geometry, frame, np.random.default_rng(seed))


@pytest.mark.parametrize(
    "frame",
    [pytest.param(FK4(), id="FK4"), pytest.param(ALT_AZ, id="AltAz", marks=pytest.mark.slow)],
)
def test_frames_that_are_no_rotation_lose_nothing_either(frame):
    geometry = geometry_of(make_wcs("TAN", (80, 40), 0.05))
    assert frame_rotation(frame, ICRS()) is None
    assert assert_none_lost(geometry, frame, np.random.default_rng(3), 100).sum() > 50


# Row groups as they are in files: by HEALPix number, or in strips of declination.

NEEDED = {
    "TAN": ("TAN", (10, 20), 0.05, (100, 60), "15 arcmin"),
    "0h": ("TAN", (0, -50), 0.05, (100, 60), "15 arcmin"),
    "pole": ("TAN", (10, 89.5), 0.05, (100, 60), None),
    "ZEA of 40°": ("ZEA", (100, -30), 0.4, (100, 100), None),
    "ZEA on the sphere": ("ZEA", (100, -30), 1.0, (100, 100), "2 deg"),
    "SIN": ("SIN", (100, -30), 1.0, (120, 120), None),
    "SIN at its limb": ("SIN", (100, -30), 0.3, (40, 40), None),
    "strip": ("CAR", (0, 0), 0.1, (2000, 20), None),
    "all-sky strip on the sphere": ("CAR", (0, 0), 0.5, (700, 10), "1 deg"),
}


@pytest.fixture(scope="module")
def by_number():
    """Points all over the sky by HEALPix number, and these."""
    lon, lat = whole_sky(np.random.default_rng(5), 60_000)
    number = healpix_numbers(lon, lat)
    order = np.argsort(number)
    return lon[order], lat[order], number[order]


@pytest.mark.parametrize("case", NEEDED)
def test_few_row_groups_are_read_in_vain(case, by_number):
    """At most twice those that have a point on the map, or its margin."""
    code, center, side, shape, kernel = NEEDED[case]
    wcs = make_wcs(code, center, side, shape)
    if case == "SIN at its limb":
        wcs.wcs.crpix = [-160.0, -60.0]
    geometry = geometry_of(wcs, kernel=kernel)
    lon, lat, number = by_number
    needed = counts_for_something(geometry, ICRS(), lon, lat)
    if geometry.sphere is not None and geometry.sphere.lattice.has_poles:
        reach = geometry.sphere.reach + 30 * geometry.sphere.lattice.lat_step
        needed = np.abs(lat) < 2.5 + np.degrees(reach)
    groups = needed.reshape(-1, 10), number.reshape(-1, 10)
    has_some = groups[0].any(axis=1)
    read = reach_of(geometry, ICRS()).ranges(groups[1][:, 0], groups[1][:, -1])
    assert not (has_some & ~read).any()
    assert read.sum() <= 2 * has_some.sum()


@pytest.mark.parametrize(
    "case", ["pole", *(pytest.param(case, marks=pytest.mark.slow) for case in ("0h", "strip"))]
)
def test_boxes_lose_nothing_and_are_not_all_read(case):
    code, center, side, shape, kernel = NEEDED[case]
    geometry = geometry_of(make_wcs(code, center, side, shape), kernel=kernel)
    lon, lat = whole_sky(np.random.default_rng(6), 20_000)
    order = np.lexsort((lon // 2, lat // 2))
    lon, lat = (v[order].reshape(-1, 5) for v in (lon, lat))
    needed = counts_for_something(geometry, ICRS(), lon.ravel(), lat.ravel())
    has_some = needed.reshape(lon.shape).any(axis=1)
    bounds = (lon.min(axis=1), lon.max(axis=1), lat.min(axis=1), lat.max(axis=1))
    read = reach_of(geometry, ICRS()).boxes(*bounds)
    assert not (has_some & ~read).any()
    assert read.sum() <= 2 * has_some.sum() + 4


def test_bounds_that_are_unknown_or_impossible_are_in_reach():
    reach = reach_of(geometry_of(make_wcs("TAN", (10, 20), 0.05)), ICRS())
    west, east, south, north = np.array(
        [[200.0, 201, 0, 1], [np.nan] * 4, [200, 201, 0, np.nan], [200, 201, 0, 95]]
    ).T
    assert reach.boxes(west, east, south, north).tolist() == [False, True, True, True]
    low = np.array([-5, 0])
    assert reach.ranges(low, np.array([12 * 4**29 + 5, 3])).tolist() == [True, False]


def test_a_map_that_says_nothing_of_its_sky_may_show_all_of_it():
    """Its WCS has positions for no node, though all of the sky is on one of its pixels."""
    wcs = make_wcs("AIT", (0, 0), 5000.0, (1001, 1001))
    wcs.wcs.crpix = [333.25, 333.25]
    geometry = MapGeometry(plane_of_wcs(wcs), native_grid(view_of_shape(wcs), is_merged=False))
    assert np.isnan(geometry.plane.to_sky(*np.meshgrid(np.linspace(0, 1000, 90), 5.0))[0]).all()
    assert_none_lost(geometry, ICRS(), np.random.default_rng(7))


def test_plain_x_and_y_are_within_a_rectangle():
    geometry = geometry_of(None, view=View(0.0, 10.0, -1.0, 1.0), frame="flat", bins=(10, 4))
    reach = reach_of(geometry, None)
    west, east = np.array([-5.0, -5, 11, 3, np.nan]), np.array([-1.0, 0, 12, 4, np.nan])
    south, north = np.array([0.0, 0, 0, 2, 0]), np.array([0.5, 0.5, 0.5, 3, 0.5])
    assert reach.boxes(west, east, south, north).tolist() == [False, True, False, False, True]


def test_a_circle_that_grows_is_in_reach_from_outside():
    circle = Circle(to_vectors(np.array(10.0), np.array(20.0)))
    cell = np.array([5]), np.array([healpix_numbers(np.array([10.0]), np.array([20.0]), 5)[0]])
    assert circle.cells(*cell).all()  # of no circle yet
    circle.radius = np.radians(5)
    assert not circle.cells(*cell).any()
    lon, lat = whole_sky(np.random.default_rng(8), 2000)
    away = np.degrees(np.arccos(np.clip(to_vectors(lon, lat) @ circle.center, -1, 1)))
    assert circle.boxes(lon, lon, lat, lat)[away > 5].all()
    assert not circle.boxes(lon, lon, lat, lat)[away < 4.99].any()


# HEALPix


@pytest.mark.parametrize("order", [0, 1, 2, 5, 13, 29])
def test_cells_are_where_astropy_healpix_has_them(order):
    cells = HEALPix(2**order, order="nested")
    rng = np.random.default_rng(order)
    pixel = np.arange(cells.npix) if order < 4 else rng.integers(0, 12 * 4**order, 3000)
    lon, lat = (v.to_value(u.deg) for v in cells.healpix_to_lonlat(pixel))
    centres = cell_centres(order, pixel)
    np.testing.assert_allclose(centres, to_vectors(lon, lat), atol=3e-15)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-15)
    own = healpix_numbers(*to_positions(centres), order)
    assert order > 25 or np.array_equal(own, pixel)  # positions in deg are rounded


@pytest.mark.parametrize("order", [0, 1, 3, 8, 20])
def test_cells_are_within_their_radius(order):
    cells = HEALPix(2**order, order="nested")
    rng = np.random.default_rng(order)
    pixel = np.arange(cells.npix) if order < 4 else rng.integers(0, 12 * 4**order, 2000)
    edges = cells.boundaries_lonlat(pixel, step=4)
    corners = to_vectors(*(v.to_value(u.deg) for v in edges))
    chord = np.linalg.norm(corners - cell_centres(order, pixel)[:, np.newaxis], axis=-1)
    widest = 2 * np.arcsin(0.5 * chord.max())
    assert widest <= cell_radius(order) * (1 + 1e-6)
    assert order > 3 or widest > 0.99 * cell_radius(order)
