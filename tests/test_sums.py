"""Sums of a catalogue's rows: right for every channel, however they are cut in parts."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import ICRS, Galactic, SkyCoord
from helpers import make_wcs, plane_and_grid

from mpl_skyheat import Gaussian, TopHat, sky_map
from mpl_skyheat.catalogue.reading import read_catalogue, read_points
from mpl_skyheat.compute.threads import Team
from mpl_skyheat.counting import sums as sums_module
from mpl_skyheat.counting.channels import CHANNELS
from mpl_skyheat.counting.sums import Sums
from mpl_skyheat.coverage.forms import ArrayCoverage, FunctionCoverage
from mpl_skyheat.coverage.observed import observed_sky
from mpl_skyheat.sky.geometry import MapGeometry, SphereLattice
from mpl_skyheat.smoothing.field import SphereField

ALL = tuple(CHANNELS)


@pytest.fixture(params=["exact", "compiled"])
def _route(request, monkeypatch):
    monkeypatch.setattr(sums_module, "should_compile", lambda _: request.param == "compiled")


def field_geometry(*, margin=(0, 0), with_lattice=False):
    """Return 30 x 20 pixels of 0.1 deg, or 60 x 40 of 6 deg with a lattice."""
    if with_lattice:
        plane, grid = plane_and_grid(make_wcs("AIT", shape=(60, 30), cdelt=(-6, 6)))
        kernel = Gaussian("12 deg")
        sphere = SphereLattice.covering(
            plane, grid, (29.5, 14.5), kernel.bin_size, kernel.reach, (1, 3)
        )
        return MapGeometry(plane, grid, sphere=sphere)
    plane, grid = plane_and_grid(make_wcs())
    return MapGeometry(plane, grid, margin)


def rows(number=20_000, seed=1, *, whole=False):
    """Return positions, weights and values of any sign, some of each missing."""
    rng = np.random.default_rng(seed)
    if whole:
        ra, dec = rng.uniform(0, 360, number), np.degrees(np.arcsin(rng.uniform(-1, 1, number)))
    else:
        ra, dec = 83 + rng.uniform(-2, 2, number), -5 + rng.uniform(-1.5, 1.5, number)
    weights, values = rng.exponential(1, number), rng.normal(-30, 7, number)
    for column in (ra, weights, values):
        column[rng.integers(number, size=20)] = np.nan
    return ra, dec, weights, values


def catalogue_of(ra, dec, weights, values):
    return read_catalogue((ra, dec), weights=weights, values=values)


def brute_force(geometry, ra, dec, weights, values):
    """Return all channels by numpy, row by row, on the wide grid."""
    usable = np.isfinite(ra) & np.isfinite(dec) & np.isfinite(weights) & np.isfinite(values)
    x, y = geometry.plane.to_plane(ra[usable], dec[usable])
    w, v = weights[usable], values[usable]
    shape = geometry.wide.shape
    found = {"min": np.full(shape, np.inf), "max": np.full(shape, -np.inf)}
    (left, right), (bottom, top) = geometry.wide.x.bounds, geometry.wide.y.bounds
    i, j = np.floor(x - left).astype(int), np.floor(y - bottom).astype(int)
    on = (x >= left) & (x < right) & (y >= bottom) & (y < top)
    at = j[on], i[on]
    for name, amount in {
        "n": np.ones(len(w)), "seen": w > 0, "w": w, "w2": w**2, "wv": w * v, "wv2": w * v**2,
        "w2v": w**2 * v, "w2v2": w**2 * v**2,
    }.items():  # fmt: skip
        found[name] = np.zeros(shape)
        np.add.at(found[name], at, amount[on])
    np.minimum.at(found["min"], at, v[on])
    np.maximum.at(found["max"], at, v[on])
    return found


@pytest.mark.usefixtures("_route")
@pytest.mark.parametrize("margin", [(0, 0), (4, 3)])
def test_every_channel_is_that_of_numpy(margin):
    geometry, table = field_geometry(margin=margin), rows()
    sums = Sums(geometry, ALL).add(catalogue_of(*table), team=Team(2))
    expected = brute_force(geometry, *table)
    for name, image in sums.pixels.items():
        np.testing.assert_allclose(image, expected[name], rtol=1e-12, err_msg=name)
    assert sums.pixels["n"].dtype == np.int64
    told = sums.rows
    assert told["read"] == 20_000
    assert told["dropped"] == np.isnan(np.stack(table)).any(axis=0).sum() > 50
    assert told["inside"] == expected["n"][geometry.core].sum()
    assert told["read"] == sum(told.values()) - told["read"]


@pytest.mark.usefixtures("_route")
def test_values_are_taken_about_an_offset():
    geometry, (ra, dec, weights, values) = field_geometry(), rows()
    sums = Sums(geometry, ALL, offset=-30.0).add(catalogue_of(ra, dec, weights, values))
    expected = brute_force(geometry, ra, dec, weights, values + 30)
    for name in ("w", "wv", "wv2", "w2v", "w2v2"):
        np.testing.assert_allclose(sums.pixels[name], expected[name], rtol=1e-9, atol=1e-9)
    # Extremes are of the values themselves.
    np.testing.assert_array_equal(sums.pixels["min"], expected["min"] - 30)


def test_squares_about_an_offset_survive_a_large_mean():
    geometry, (ra, dec, _, _) = field_geometry(), rows()
    values = 1e9 + np.random.default_rng(2).normal(0, 1e-3, len(ra))
    sums = Sums(geometry, ["wv2"], offset=1e9).add(read_catalogue((ra, dec), values=values))
    n, v1, v2 = (sums.pixels[name][5:15, 5:25] for name in ("w", "wv", "wv2"))
    variance = (v2 / n - (v1 / n) ** 2).mean()
    assert variance == pytest.approx(1e-6, rel=0.1)


@pytest.mark.parametrize("offsets", [(0.0, 0.0), (-30.0, 12.5)])
def test_parts_add_up_about_the_first_offset(offsets):
    geometry, table = field_geometry(with_lattice=True), rows(whole=True)
    halves = [tuple(column[k::2] for column in table) for k in (0, 1)]
    parts = [
        Sums(geometry, ALL, offset=offset).add(catalogue_of(*half))
        for offset, half in zip(offsets, halves, strict=True)
    ]
    together = parts[0] + parts[1]
    whole = Sums(geometry, ALL, offset=offsets[0]).add(catalogue_of(*table))
    assert together.rows == whole.rows
    for name, image in whole.pixels.items():
        np.testing.assert_allclose(together.pixels[name], image, rtol=1e-9, atol=1e-7)
    np.testing.assert_array_equal(together.pixels["n"], whole.pixels["n"])
    for channel in ("n", "w", "wv", "wv2", "w2v2"):
        for order in (1, 3):
            bins = whole.bins(channel, order)
            found = together.bins(channel, order)
            np.testing.assert_allclose(found, bins, rtol=0, atol=1e-11 * np.abs(bins).max())


def test_only_sums_of_a_kind_can_be_added():
    geometry = field_geometry()
    with pytest.raises(ValueError, match="the same geometry and channels"):
        Sums(geometry) + Sums(geometry, ["w"])
    with pytest.raises(ValueError, match="the same geometry and channels"):
        Sums(geometry) + Sums(field_geometry(margin=(1, 1)))
    with pytest.raises(ValueError, match=r"channels must be of n, seen, w, .*; got 'mode'"):
        Sums(geometry, ["mode"])


WORKER = """
import pickle, sys
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.counting.sums import Sums
geometry, channels, lon, lat = pickle.load(sys.stdin.buffer)
catalogue = read_catalogue((lon, lat), frame="galactic")
sums = Sums(geometry, channels).add(catalogue, is_large={large})
sys.stdout.buffer.write(pickle.dumps(sums))
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_large", [False, True])
def test_parts_that_four_processes_make_give_the_map_of_one_pass(is_large):
    geometry = field_geometry(with_lattice=True)
    stars = SkyCoord(*rows(80_000, whole=True)[:2], unit="deg")
    stars = stars[np.isfinite(stars.ra)].galactic
    command = [sys.executable, "-c", WORKER.format(large=is_large)]

    def work(part):
        sent = geometry, ("n",), stars.l.deg[part::4], stars.b.deg[part::4]
        done = subprocess.run(command, input=pickle.dumps(sent), stdout=subprocess.PIPE, check=True)
        return pickle.loads(done.stdout)

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(work, range(4)))
    together = (parts[0] + parts[1]) + (parts[2] + parts[3])
    whole = Sums(geometry).add(read_catalogue((stars.l.deg, stars.b.deg), frame=Galactic()))
    np.testing.assert_array_equal(together.pixels["n"], whole.pixels["n"])
    assert together.rows == whole.rows
    kernel = Gaussian("12 deg")
    one, other = (SphereField(s).smoothed("n", kernel) for s in (whole, together))
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-12 * np.nanmax(one))


def southern(coord):
    """Tell what was observed; a function that can be pickled."""
    return (coord.dec.deg < -5.2) & (coord.ra.deg > 82)


@pytest.mark.usefixtures("_route")
@pytest.mark.parametrize("with_lattice", [False, True])
@pytest.mark.parametrize("channels", [("n",), ALL])
def test_rows_where_nothing_was_observed_are_unseen(channels, with_lattice):
    geometry = field_geometry(with_lattice=with_lattice)
    table = rows(whole=with_lattice)
    ra, dec, weights, values = table
    if channels == ("n",):
        weights = values = None
    catalogue = read_catalogue((ra, dec), weights=weights, values=values)
    coverage = FunctionCoverage(pickle.loads(pickle.dumps(southern)))
    observed = observed_sky(geometry, coverage, catalogue.frame)
    found = Sums(geometry, channels, observed=observed).add(catalogue)
    seen = southern(SkyCoord(ra, dec, unit="deg"))
    left = [None if column is None else column[seen] for column in (ra, dec, weights, values)]
    expected = Sums(geometry, channels).add(catalogue_of(*left))
    for name, image in expected.pixels.items():
        np.testing.assert_allclose(found.pixels[name], image, rtol=1e-12)
    assert found.rows["inside"] == expected.rows["inside"] > 100
    on_map = Sums(geometry).add(catalogue).rows["inside"]
    assert found.rows["unseen"] == on_map - found.rows["inside"] > 100
    assert found.rows["read"] == 20_000 == sum(found.rows.values()) - 20_000
    if with_lattice:
        for order in (1, 3):
            np.testing.assert_allclose(
                found.bins(channels[0], order), expected.bins(channels[0], order), atol=1e-9
            )


# Streams


def chunks_of(ra, dec, size):
    for start in range(0, len(ra), size):
        yield ra[start : start + size], dec[start : start + size]


def test_small_chunks_are_gathered_for_the_pass(monkeypatch):
    ra, dec, _, _ = rows()
    stream = read_points((chunks_of(ra, dec, 700),))
    monkeypatch.setattr("mpl_skyheat.catalogue.streams.ARRAY_ROWS", 6000)
    sizes = [len(chunk) for chunk in stream.gathered(6000)]
    assert sizes == [6300, 6300, 6300, 1100]


def test_whether_to_compile_is_decided_for_all_of_a_stream(monkeypatch):
    """The first rows of a long one are not sent the slow way."""
    asked, routes = [], []
    monkeypatch.setattr(sums_module, "should_compile", lambda number: number > 15_000)
    monkeypatch.setattr(
        sums_module, "is_worth_compiling", lambda number: (asked.append(number), number > 15_000)[1]
    )
    add = Sums._add_by_tiles
    monkeypatch.setattr(
        Sums, "_add_by_tiles", lambda *args: (routes.append(len(args[1])), add(*args))[1]
    )
    gathered = type(read_points((iter([([1.0], [2.0])]),))).gathered
    monkeypatch.setattr(
        "mpl_skyheat.catalogue.streams.Stream.gathered", lambda self: gathered(self, 4000)
    )
    ra, dec, _, _ = rows()
    sums = Sums(field_geometry()).add(read_points((chunks_of(ra, dec, 700),)))
    assert sum(routes) == 20_000 == sums.rows["read"]
    assert max(asked) < 20_000
    routes.clear()
    Sums(field_geometry()).add(read_points((chunks_of(ra[:9000], dec[:9000], 700),)))
    assert not routes


def test_no_stream_is_held_in_memory_where_code_cannot_be_compiled(monkeypatch):
    monkeypatch.setattr(sums_module, "should_compile", lambda _: False)
    monkeypatch.setattr(sums_module, "is_worth_compiling", lambda number: number > 5000)
    ra, dec, _, _ = rows()
    begun = []

    class Stream:
        frame = ICRS()

        def gathered(self):
            for start in range(0, len(ra), 1000):
                begun.append(start)
                yield read_catalogue((ra[start : start + 1000], dec[start : start + 1000]))

    add, before_first = Sums._add_blocks, []
    monkeypatch.setattr(
        Sums, "_add_blocks", lambda *args: (before_first.append(len(begun)), add(*args))[1]
    )
    sums = Sums(field_geometry()).add(Stream())
    assert sums.rows["read"] == len(ra)
    assert before_first[0] == 6


@pytest.mark.usefixtures("_route")
def test_a_bad_row_of_a_gathered_stream_is_named_by_its_chunk():
    ra, dec, _, _ = rows()
    dec[1405] = 95.0
    with pytest.raises(ValueError, match=r"in chunk 2: dec must lie within ±90 deg; row 5 has 95"):
        Sums(field_geometry()).add(read_points((chunks_of(ra, dec, 700),)))


@pytest.mark.usefixtures("_route")
def test_a_bad_row_after_an_empty_chunk_is_named_by_its_own():
    def chunks():
        for number in range(12):
            dec = np.full(0 if number == 9 else 5, -5.0)
            if number == 10:
                dec[2] = 95.0
            yield np.full(len(dec), 83.0), dec

    with pytest.raises(ValueError, match=r"in chunk 10: .*; row 2 has 95"):
        Sums(field_geometry()).add(read_points((chunks(),)))


# Slivers of sky


@pytest.mark.parametrize("code", ["AIT", "MOL", "CAR", "CEA", "SFL", "PAR", "ZEA", "HPX", "SIN"])
def test_hardly_a_row_is_in_a_pixel_without_sky(code):
    """Fewer than one in a million: solid angles find all but the thinnest slivers."""
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(0, 360, 10**6), np.degrees(np.arcsin(rng.uniform(-1, 1, 10**6)))
    wcs = make_wcs(code, shape=(360, 190), center=(40.0, 0.0), cdelt=(-1.03, 1.01))
    plane, grid = plane_and_grid(wcs)
    geometry = MapGeometry(plane, grid)
    sums = Sums(geometry).add(read_catalogue((lon, lat)), team=Team(2))
    assert sums.rows["inside"] > 2e5
    assert sums.pixels["n"][geometry.solid_angles == 0].sum() < 1
    counted = sums.pixels["n"].copy()
    sums.settle()
    np.testing.assert_array_equal(sums.pixels["n"], counted)


def test_a_row_in_a_pixel_without_sky_goes_to_the_nearest_with_sky():
    geometry = field_geometry()
    lost = geometry.wide_solid_angles
    lost[4:7, 10:13] = 0.0
    x, y = [11.0, 10.1, 12.0], [4.0, 5.0, 6.0]
    ra, dec = geometry.plane.to_sky(np.array(x), np.array(y))
    values = np.array([3.0, -8.0, 5.0])
    sums = Sums(geometry, ALL).add(read_catalogue((ra, dec), values=values))
    assert sums.rows["inside"] == 3
    sums.settle()
    sums.settle()
    assert sums.pixels["n"].sum() == 3
    assert not sums.pixels["n"][lost == 0].any()
    assert sums.pixels["n"][3, 11] == 1
    assert sums.pixels["wv"][3, 11] == 3.0
    assert sums.pixels["min"][5, 9] == sums.pixels["max"][5, 9] == -8.0
    assert np.isinf(sums.pixels["min"][lost == 0]).all()


def test_a_row_without_weight_in_a_pixel_without_sky_is_moved_too():
    geometry = field_geometry()
    lost = geometry.wide_solid_angles
    lost[4:7, 10:13] = 0.0
    ra, dec = geometry.plane.to_sky(np.array([11.0]), np.array([4.0]))
    sums = Sums(geometry, ("w", "n", "min"))
    sums.add(read_catalogue((ra, dec), weights=np.zeros(1), values=np.ones(1))).settle()
    assert sums.pixels["n"][3, 11] == sums.pixels["min"][3, 11] == 1
    assert not sums.pixels["n"][lost == 0].any()


def test_sums_of_nothing_and_of_values_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="channels must name at least one"):
        Sums(field_geometry(), ())
    with pytest.raises(ValueError, match="'wv' needs values"):
        Sums(field_geometry(), ("wv",)).add(read_catalogue(([83.0], [-5.0])))


# One pass for kernels of both kinds


def test_kernels_of_both_kinds_have_the_map_of_each_on_its_own():
    ra, dec, _, _ = rows(whole=True)
    wcs = make_wcs("AIT", shape=(60, 30), cdelt=(-6, 6))
    smooth, steep = Gaussian("14 deg"), TopHat("30 deg")
    both = sky_map(ra, dec, wcs=wcs, kernel=smooth - 0.5 * steep, unit="deg-2").data
    one, other = (
        sky_map(ra, dec, wcs=wcs, kernel=k, unit="deg-2", geometry="sphere").data
        for k in (smooth, steep)
    )
    np.testing.assert_allclose(both, one - 0.5 * other, atol=2e-3 * np.nanmax(one))
    assert (20_000 * u.one / (4 * np.pi * u.sr)).to_value("deg-2") == pytest.approx(
        np.nanmedian(one), rel=0.1
    )


def test_sums_of_other_coverages_are_not_added():
    geometry = field_geometry()
    array = np.ones(geometry.grid.shape)
    half = array.copy()
    half[:10] = 0
    skies = [observed_sky(geometry, ArrayCoverage(a), ICRS()) for a in (array, array, half)]
    first, same, other = (Sums(geometry, observed=sky) for sky in skies)
    assert (first + same).rows["read"] == 0
    for sums in (other, Sums(geometry)):
        with pytest.raises(ValueError, match="sums must have the same coverage to be added"):
            first + sums


def test_partitions_that_were_skipped_add_up():
    parts = [Sums(field_geometry()) for _ in range(2)]
    for number, part in enumerate(parts, 3):
        part.parts_skipped = number
    assert (parts[0] + parts[1]).parts_skipped == 7
