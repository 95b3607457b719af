"""Catalogues of dask and lsdb, whose partitions are added up where they are."""

import time
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS, Sip
from matplotlib.figure import Figure

from mpl_skyheat import Adaptive, Annulus, Gaussian, Randoms, sky_heatmap, sky_map, subplot
from mpl_skyheat.catalogue.clusters import Partitions

pytest.importorskip("dask.dataframe")
import dask
import dask.dataframe as dd
import pandas as pd

pytestmark = pytest.mark.filterwarnings("ignore:kernel='auto' took the narrowest")

NUMBER = 20_000
AIT = {"CTYPE1": "RA---AIT", "CRPIX1": 60.5, "CDELT1": -3.0, "NAXIS1": 120,
       "CTYPE2": "DEC--AIT", "CRPIX2": 30.5, "CDELT2": 3.0, "NAXIS2": 60}  # fmt: skip
TAN = {"CTYPE1": "RA---TAN", "CRPIX1": 20.5, "CDELT1": -0.5, "CRVAL1": 0.0, "NAXIS1": 40,
       "CTYPE2": "DEC--TAN", "CRPIX2": 20.5, "CDELT2": 0.5, "CRVAL2": 85.0,
       "NAXIS2": 40}  # fmt: skip

HEADERS = {"AIT": AIT, "TAN": TAN}


def rows():
    rng = np.random.default_rng(5)
    lat = np.degrees(np.arcsin(rng.uniform(-1, 1, NUMBER)))
    table = {"ra": rng.uniform(0, 360, NUMBER), "dec": lat, "w": rng.uniform(1, 2, NUMBER)}
    table |= {"v": rng.normal(3, 1, NUMBER), "other": np.arange(NUMBER)}
    table["ra"][7] = np.nan
    return pd.DataFrame(table)


def northern(coord):
    return coord.dec.deg > -20


OPTIONS = {
    "counts": {},
    "smoothed": {"kernel": "4 deg"},
    "pixels": {"kernel": 2 * u.pix},
    "weights": {"kernel": "4 deg", "weights": "w"},
    "mean": {"kernel": "6 deg", "values": "v"},
    "min_count": {"values": "v", "min_count": 2},
    "max": {"values": "v", "statistic": "max"},
    "coverage": {"kernel": "6 deg", "coverage": northern},
    "significance": {"kernel": "5 deg", "statistic": "significance",
                     "background": Annulus("16 deg", "30 deg")},
    "adaptive": {"kernel": Adaptive(25, narrowest="4 deg", widest="16 deg")},
    "top-hat": {"kernel": Gaussian("4 deg") - Gaussian("9 deg")},
}  # fmt: skip


def check_equal(found, expected):
    if expected.counts.dtype.kind == "i":
        np.testing.assert_array_equal(found.counts, expected.counts)
    else:
        np.testing.assert_allclose(found.counts, expected.counts, rtol=1e-12)
    np.testing.assert_array_equal(found.mask, expected.mask)
    largest = np.nanmax(np.abs(expected.data))
    np.testing.assert_allclose(found.data, expected.data, rtol=0, atol=1e-12 * largest)
    numbers = ("read", "dropped", "unseen", "inside", "outside")
    assert [found.meta[n] for n in numbers] == [expected.meta[n] for n in numbers]


# (A whole sky is too wide for a kernel in pixels.)
MAPS = [(name, header) for name in OPTIONS for header in ("AIT", "TAN")]
MAPS.remove(("pixels", "AIT"))


@pytest.mark.parametrize(("name", "header"), MAPS)
def test_maps_are_those_of_the_same_rows_in_memory(name, header):
    header = HEADERS[header]
    options, table = OPTIONS[name], rows()
    expected = sky_map(data=table, wcs=WCS(header), **options)
    found = sky_map(data=dd.from_pandas(table, npartitions=7), wcs=WCS(header), **options)
    check_equal(found, expected)
    if expected.uncertainty is not None:
        np.testing.assert_allclose(found.error.data, expected.error.data, rtol=1e-6)


def test_nothing_is_computed_on_the_client(monkeypatch):
    frame = dd.from_pandas(rows(), npartitions=7)
    monkeypatch.setattr(type(frame), "compute", lambda *_: pytest.fail("computed on the client"))
    assert sky_map(data=frame, wcs=WCS(AIT), kernel="4 deg").meta["read"] == NUMBER


@pytest.mark.parametrize("how", ["auto", "randoms"])
def test_widths_and_randoms_are_found_by_the_workers(how, monkeypatch):
    x, y = np.random.default_rng(6).normal(0, 4, (2, NUMBER))
    table = pd.DataFrame({"ra": 20 + x, "dec": y})
    frame = dd.from_pandas(table, npartitions=5)
    asked = {"wcs": WCS({**TAN, "CRVAL1": 20.0, "CRVAL2": 0.0}), "pixel_size": "0.1 deg"}

    def made(data):
        density = 200 / u.deg**2
        if how == "auto":
            return sky_map(data=data, kernel="auto", **asked)
        return sky_map(
            data=data, kernel="2 deg", coverage=Randoms(data=data, density=density), **asked
        )

    expected = made(table)
    monkeypatch.setattr(Partitions, "read", lambda *_: pytest.fail("read on the client"))
    found = made(frame)
    assert found.kernel == expected.kernel
    check_equal(found, expected)


def test_a_scheduler_that_has_been_chosen_goes_before_a_client(monkeypatch):
    distributed = pytest.importorskip("distributed")
    frame = dd.from_pandas(rows(), npartitions=2)
    monkeypatch.setattr(distributed, "default_client", lambda: pytest.fail("client asked for"))
    with dask.config.set(scheduler="synchronous"):
        assert sky_map(data=frame, wcs=WCS(AIT)).meta["read"] == NUMBER


def test_only_the_columns_that_are_needed_are_asked_for(tmp_path):
    rows().to_parquet(tmp_path / "rows.parquet")
    asked = []

    def spied(part):
        asked.append(list(part.columns))
        return part

    frame = dd.read_parquet(tmp_path)
    sky_map(data=frame.map_partitions(spied, meta=frame.head(0)), wcs=WCS(AIT))
    plan = frame[["ra", "dec"]]
    assert list(plan.columns) == ["ra", "dec"]
    assert asked


def test_widths_of_maps_by_cross_validation_are_those_in_memory():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"ra": rng.normal(0, 20, 3000) % 360, "dec": rng.normal(85, 1.5, 3000)})
    table = table[table.dec < 90]
    asked = {"wcs": WCS(TAN), "kernel": "auto", "pixel_size": "0.1 deg"}
    expected = sky_map(data=table, **asked)
    found = sky_map(data=dd.from_pandas(table, npartitions=3), **asked)
    assert found.kernel == expected.kernel
    check_equal(found, expected)


def test_a_figure_and_its_bounds():
    frame = dd.from_pandas(rows(), npartitions=4)
    ax = subplot(data=frame, projection="MOL", figure=Figure())
    heat = ax.sky_heatmap(data=frame, kernel="5 deg", live=True)
    assert heat.sky_map.meta["inside"] == NUMBER - 1
    plain = sky_heatmap(Figure().add_subplot(), data=frame)
    assert plain.sky_map.meta["inside"] == NUMBER - 1


@pytest.mark.slow
def test_wcs_ships_to_the_bit():
    """Points on the edges of pixels of a WCS with a CD matrix and SIP."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.wcs.cd = np.array([[-1.2345678901234567e-2, 1.1e-4], [1.3e-4, 1.2345678901234567e-2]])
    wcs.wcs.crpix, wcs.wcs.crval = [30.5, 30.5], [123.456789, -12.3456789]
    a = np.zeros((3, 3))
    a[2, 0], a[1, 1] = 1e-5, 3e-6
    wcs.sip = Sip(a, a.T, None, None, [30.5, 30.5])
    wcs.pixel_shape = (60, 60)
    x, y = (v.ravel() for v in np.meshgrid(np.arange(60) - 0.5, np.arange(60) - 0.5))
    lon, lat = wcs.all_pix2world(x, y, 0)
    table = pd.DataFrame({"ra": lon, "dec": lat})
    with dask.config.set(scheduler="processes", num_workers=1):
        found = sky_map(data=dd.from_pandas(table, npartitions=2), wcs=wcs)
    np.testing.assert_array_equal(found.counts, sky_map(data=table, wcs=wcs).counts)


def test_a_bad_row_names_its_partition():
    table = rows()
    table.loc[15_000, "dec"] = 90.06
    frame = dd.from_pandas(table, npartitions=4)
    with pytest.raises(ValueError, match=r"in partition 3: dec must lie within .* has 90\.06"):
        sky_map(data=frame, wcs=WCS(AIT))
    with pytest.raises(ValueError, match="in partition 3"):
        sky_map(data=frame, wcs=WCS(AIT), kernel="4 deg")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"values": "v", "statistic": "median"}, "statistic='median' needs all values in one"),
        ({"weights": "nothing"}, "no column 'nothing' in data"),
        ({"weights": np.ones(NUMBER)}, "must be names of columns where data comes in batches"),
        ({"progress": 3}, "progress must be True, False or a function .* got 3"),
    ],
    ids=["median", "column", "array", "progress"],
)
def test_refusals(options, text):
    frame = dd.from_pandas(rows(), npartitions=2)
    with pytest.raises((TypeError, ValueError), match=text):
        sky_map(data=frame, wcs=WCS(AIT), **options)


def test_widths_of_rows_are_refused():
    table = rows()
    frame = dd.from_pandas(table, npartitions=2)
    with pytest.raises(ValueError, match="got numbers without a unit of column 'w'"):
        sky_map(data=frame, wcs=WCS(AIT), kernel=Gaussian("w"))


def check_progress(capsys, word):
    """Check that a function is told of partitions, and that dask's own bar says a word."""
    frame, told = dd.from_pandas(rows(), npartitions=5), []
    sky_map(data=frame, wcs=WCS(AIT), progress=lambda *numbers: told.append(numbers))
    assert told == [(i, 5) for i in range(1, 6)]
    sky_map(data=frame, wcs=WCS(AIT), progress=True)
    assert word in capsys.readouterr().out


def test_progress_of_partitions_and_of_rows(capsys):
    check_progress(capsys, "100%")
    told = []
    chunks = (Table.from_pandas(rows()) for _ in range(3))
    sky_map(data=chunks, wcs=WCS(AIT), progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (3 * NUMBER, None)
    told.clear()
    table = Table.from_pandas(rows())
    table["w"].unit = "deg"
    sky_map(
        data=iter([table, table]),
        wcs=WCS(AIT),
        kernel=Gaussian("w"),
        progress=lambda *numbers: told.append(numbers),
    )
    assert told[-1] == (2 * NUMBER, None)


def test_rows_of_streams_are_shown_by_tqdm(capsys):
    pytest.importorskip("tqdm")
    chunks = (Table.from_pandas(rows()) for _ in range(2))
    sky_map(data=chunks, wcs=WCS(AIT), progress=True)
    assert "40.0k rows" in capsys.readouterr().err


def test_an_empty_partition_is_none():
    table = rows()
    frame = dd.from_pandas(table, npartitions=4)
    found = sky_map(data=frame[frame.other > 12_000], wcs=WCS(AIT), kernel="4 deg")
    check_equal(found, sky_map(data=table[table.other > 12_000], wcs=WCS(AIT), kernel="4 deg"))


# lsdb


@pytest.fixture(scope="module")
def lsdb_catalogue():
    lsdb = pytest.importorskip("lsdb")
    table = rows().dropna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about lsdb
        return lsdb.from_dataframe(table, ra_column="ra", dec_column="dec", partition_rows=3000)


@pytest.mark.slow
@pytest.mark.parametrize("header", [AIT, TAN], ids=["AIT", "TAN"])
@pytest.mark.parametrize("kernel", [None, "4 deg"])
@pytest.mark.parametrize("cut", ["all", "query", "cone"])
def test_lsdb(lsdb_catalogue, header, kernel, cut):
    table = rows().dropna()
    if cut == "query":
        table, catalogue = table[table.v > 3], lsdb_catalogue.query("v > 3")
    elif cut == "cone":
        here = SkyCoord(table.ra, table.dec, unit="deg")
        within = here.separation(SkyCoord(20, 70, unit="deg")) <= 25 * u.deg
        table, catalogue = table[within], lsdb_catalogue.cone_search(20, 70, 25 * 3600)
    else:
        catalogue = lsdb_catalogue
    expected = sky_map(data=table, wcs=WCS(header), kernel=kernel)
    found = sky_map(data=catalogue, wcs=WCS(header), kernel=kernel)
    np.testing.assert_array_equal(found.counts, expected.counts)
    largest = np.nanmax(expected.data)
    np.testing.assert_allclose(found.data, expected.data, rtol=0, atol=1e-12 * largest)
    if header is TAN and cut == "all":
        # What cannot reach the map is not read, and counted in partitions.
        assert found.meta["skippart"] > 0
        assert found.meta["read"] < 0.6 * expected.meta["read"]


@pytest.mark.slow
def test_a_cone_beside_an_lsdb_catalogue_is_an_empty_map():
    lsdb = pytest.importorskip("lsdb")
    table = rows().dropna()
    table = table[table.dec > 45]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about lsdb
        north = lsdb.from_dataframe(table, ra_column="ra", dec_column="dec", lowest_order=3)
        beside = north.cone_search(200, -60, 3600)
    found = sky_map(data=beside, wcs=WCS(TAN), kernel="4 deg")
    assert found.counts.sum() == found.meta["read"] == 0


@pytest.mark.slow
def test_lsdb_names_the_cell_of_a_bad_row(lsdb_catalogue):
    names = "|".join(
        f"Norder={cell.order}, Npix={cell.pixel}"
        for cell in lsdb_catalogue.get_ordered_healpix_pixels()
    )

    def spoiled(part):
        part = part.copy()
        part.loc[part.index[:1], "dec"] = 91.0
        return part

    bad = lsdb_catalogue.map_partitions(spoiled)
    with pytest.raises(ValueError, match=f"in ({names}): dec must lie within"):
        sky_map(data=bad, wcs=WCS(AIT))


# Processes of dask.distributed


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


# Time (s) that a task waits for, longer than a test does for it to be cancelled.
WAIT = 8


def at_once(part, how):
    """Do to a worker what must not be done, in the partition with row 19,000."""
    import os
    import time

    if len(part) and part.other.iloc[-1] > 19_000:
        if how == "die":
            os._exit(1)
        time.sleep(WAIT)
    return part


@pytest.mark.slow
@pytest.mark.parametrize("name", ["counts", "weights", "mean", "coverage", "significance"])
@pytest.mark.usefixtures("client")
def test_worker_processes_make_the_same_map(name):
    table, options = rows(), OPTIONS[name]
    frame = dd.from_pandas(table, npartitions=9)
    for header in (AIT, TAN):
        found = sky_map(data=frame, wcs=WCS(header), **options)
        check_equal(found, sky_map(data=table, wcs=WCS(header), **options))


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_lsdb_on_worker_processes(lsdb_catalogue):
    table = rows().dropna()
    found = sky_map(data=lsdb_catalogue.query("v > 3"), wcs=WCS(AIT), kernel="4 deg")
    expected = sky_map(data=table[table.v > 3], wcs=WCS(AIT), kernel="4 deg")
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_allclose(
        found.data, expected.data, rtol=0, atol=1e-12 * np.nanmax(expected.data)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_progress_on_worker_processes(capsys):
    check_progress(capsys, "Completed")


@pytest.mark.slow
def test_an_interrupted_map_stops_the_workers(client):
    frame = dd.from_pandas(rows(), npartitions=8)
    frame = frame.map_partitions(at_once, "wait", meta=frame.head(0))

    def stop(done, number):
        assert done < number
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sky_map(data=frame, wcs=WCS(AIT), progress=stop)
    for _ in range(3 * WAIT):
        waiting = [keys for keys in client.processing().values() if keys]
        if not waiting:
            break
        time.sleep(0.1)
    assert not waiting  # after less than `WAIT`


@pytest.mark.slow
def test_a_worker_that_dies_passes_on_the_engines_error(client):
    distributed = pytest.importorskip("distributed")
    frame = dd.from_pandas(rows(), npartitions=8)
    frame = frame.map_partitions(at_once, "die", meta=frame.head(0))
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        ax = Figure().add_subplot(projection=WCS(AIT))
        with pytest.raises(distributed.scheduler.KilledWorker):
            ax.sky_heatmap(data=frame)
    assert not ax.images
    assert client.status == "running"
