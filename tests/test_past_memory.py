"""Files and tables that are read part by part: the same maps as of rows in memory, of less."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.wcs import WCS
from helpers import healpix_numbers, make_wcs, write_hats
from matplotlib.figure import Figure

from mpl_skyheat import (
    Adaptive,
    Gaussian,
    Randoms,
    SkyHeatmapWarning,
    sky_contour,
    sky_heatmap,
    sky_map,
    subplot,
)
from mpl_skyheat.__main__ import main
from mpl_skyheat.catalogue import streams
from mpl_skyheat.catalogue.reading import read_points
from mpl_skyheat.sky.grid import View

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
dataset = pytest.importorskip("pyarrow.dataset")

ROWS = 12_000
MAPS = {
    "TAN": make_wcs("TAN", shape=(40, 30), cdelt=(-0.5, 0.5)),
    "0h": make_wcs("TAN", shape=(40, 30), center=(0.0, 30.0), cdelt=(-0.5, 0.5)),
    "pole": make_wcs("TAN", shape=(40, 30), center=(40.0, 89.0), cdelt=(-0.5, 0.5)),
    "galactic": make_wcs("TAN", shape=(40, 30), center=(0, 0), cdelt=(-0.5, 0.5), axes="GLON"),
    "ZEA": make_wcs("ZEA", shape=(40, 40), center=(100.0, -40.0), cdelt=(-1.5, 1.5)),
    "SIN": make_wcs("SIN", shape=(24, 24), center=(30.0, 50.0), cdelt=(-5.0, 5.0)),
    "MOL": make_wcs("MOL", shape=(36, 18), center=(0.0, 0.0), cdelt=(-10.0, 10.0), axes="GLON"),
}


def columns_of_sky():
    """Return columns of rows all over the sky, by HEALPix number."""
    rng = np.random.default_rng(20)
    ra, dec = rng.uniform(0, 360, ROWS), np.degrees(np.arcsin(rng.uniform(-1, 1, ROWS)))
    columns = {"ra": ra, "dec": dec, "w": rng.uniform(0.5, 2, ROWS), "v": rng.normal(5, 1, ROWS)}
    order = np.argsort(healpix_numbers(ra, dec))
    return {name: column[order] for name, column in columns.items()}


SKY = columns_of_sky()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder of the rows in every form of Parquet."""
    root = tmp_path_factory.mktemp("kept")
    table = pa.table(SKY | {"_healpix_29": healpix_numbers(SKY["ra"], SKY["dec"])})
    parquet.write_table(table, root / "file.parquet", row_group_size=250)
    (root / "folder" / "below").mkdir(parents=True)
    for i in range(6):
        rows = table.slice(i * ROWS // 6, ROWS // 6)
        name = f"below/{i}.parquet" if i > 3 else f"{i}.parquet"
        parquet.write_table(rows, root / "folder" / name, row_group_size=250)
    (root / "folder" / "_metadata").write_text("not one of the files")
    (root / "folder" / "readme.txt").write_text("nor is this")
    main_table = root / "collection" / "main"
    write_hats(main_table, SKY)
    margin = {name: column[:100] for name, column in SKY.items()}
    write_hats(root / "collection" / "margin", margin, dataproduct_type="margin")
    lines = ["obs_collection=c", "hats_primary_table_url=main", "all_margins=margin"]
    (root / "collection" / "collection.properties").write_text("\n".join(lines))
    return root


def dataset_of(root):
    return dataset.dataset(root / "folder", exclude_invalid_files=True)


def polars_frame(root):
    polars = pytest.importorskip("polars")
    return polars.scan_parquet(root / "folder" / "**" / "*.parquet").filter(polars.col("w") > 0)


def duckdb_relation(root):
    duckdb = pytest.importorskip("duckdb")
    return duckdb.sql(f'select *, w as "a "" b" from \'{root}/folder/**/*.parquet\' where w > 0')


def tables_of(root):
    return [parquet.read_table(path) for path in sorted((root / "folder").rglob("*.parquet"))]


# Each form of the same rows, and whether what cannot reach the map is skipped.
FORMS = {
    "file": (lambda root: root / "file.parquet", True),
    "folder": (lambda root: str(root / "folder"), True),
    "glob": (lambda root: f"{root}/folder/**/*.parquet", True),
    "list of files": (lambda root: sorted((root / "folder").rglob("*.parquet")), True),
    "address": (lambda root: (root / "file.parquet").as_uri(), True),
    "HATS root": (lambda root: root / "collection" / "main", True),
    "HATS collection": (lambda root: f"{root}/collection/", True),
    "dataset": (dataset_of, True),
    "filtered": (lambda root: dataset_of(root).filter(dataset.field("w") > 0), False),
    "scanner": (lambda root: dataset_of(root).scanner(), False),
    "dataset in memory": (lambda root: dataset.dataset(tables_of(root)), False),
    "ParquetFile": (lambda root: parquet.ParquetFile(root / "file.parquet"), True),
    "batches": (lambda root: dataset_of(root).scanner().to_reader(), False),
    "LazyFrame": (polars_frame, False),
    "relation": (duckdb_relation, False),
    "list of tables": (tables_of, False),
}  # fmt: skip


def assert_same(made, expected):
    np.testing.assert_array_equal(made.counts, expected.counts)
    np.testing.assert_array_equal(made.mask, expected.mask)
    most = np.nanmax(np.abs(expected.data))
    np.testing.assert_allclose(made.data, expected.data, rtol=0, atol=1e-12 * most)
    assert made.unit == expected.unit
    assert made.meta["read"] + made.meta["skipped"] == expected.meta["read"]
    assert made.meta["inside"] == expected.meta["inside"] > 0


@pytest.mark.parametrize("form", FORMS)
def test_every_form_makes_the_map_of_rows_in_memory(form, kept):
    make, skips = FORMS[form]
    made = sky_map(data=make(kept), wcs=MAPS["0h"], kernel="1 deg")
    assert_same(made, in_memory("0h"))
    assert (made.meta["skipped"] > ROWS / 2) == skips
    # With the names of columns, or as the first argument.
    data = make(kept)
    if isinstance(data, str | Path | list) or form == "batches":
        made = sky_map("ra", "dec", data=data, values="v", weights="w", wcs=MAPS["TAN"])
    else:
        made = sky_map(data, values="v", weights="w", wcs=MAPS["TAN"])
    assert_same(made, sky_map(data=SKY, values="v", weights="w", wcs=MAPS["TAN"]))


# Of maps that are smoothed otherwise.
KERNELS = {
    "ZEA": {"kernel": "3 deg", "geometry": "sphere"},
    "MOL": {"kernel": "15 deg", "geometry": "sphere"},
    "SIN": {},
}


@cache
def in_memory(where):
    """The map of the rows in memory."""
    return sky_map(data=SKY, wcs=MAPS[where], **KERNELS.get(where, {"kernel": "1 deg"}))


SLOW = [("HATS root", "SIN"), ("HATS root", "galactic"), ("file", "pole"), ("file", "ZEA")]


@pytest.mark.parametrize(
    ("form", "where"),
    [("HATS root", where) for where in MAPS if where not in ("SIN", "galactic")]
    + [pytest.param(*case, marks=pytest.mark.slow) for case in SLOW],
)
def test_maps_everywhere_are_those_of_rows_in_memory(where, form, kept):
    data = FORMS[form][0](kept)
    made = sky_map(data=data, wcs=MAPS[where], **KERNELS.get(where, {"kernel": "1 deg"}))
    assert_same(made, in_memory(where))
    assert (made.meta["skipped"] > 0) == (where != "MOL")


def test_means_and_errors_are_those_of_rows_in_memory(kept):
    options = {"wcs": MAPS["TAN"], "values": "v", "weights": "w", "kernel": "2 deg"}
    made, expected = (
        sky_map(data=data, **options) for data in (kept / "collection", SKY)
    )  # fmt: skip
    assert_same(made, expected)
    np.testing.assert_allclose(made.error, expected.error, rtol=1e-10)
    np.testing.assert_allclose(made.n_eff, expected.n_eff, rtol=1e-10)


def test_rows_on_flat_maps_are_skipped_too(tmp_path):
    x = np.sort(np.random.default_rng(3).uniform(0, 100, 4000))
    columns = {"x": x, "y": x[::-1].copy()}
    parquet.write_table(pa.table(columns), tmp_path / "xy.parquet", row_group_size=100)
    ax = Figure().add_subplot(xlim=(0, 10), ylim=(80, 100))
    heat = sky_heatmap(ax, data=tmp_path / "xy.parquet", frame="flat", bins=20)
    ax = Figure().add_subplot(xlim=(0, 10), ylim=(80, 100))
    expected = sky_heatmap(ax, data=columns, frame="flat", bins=20)
    assert_same(heat.sky_map, expected.sky_map)
    assert heat.sky_map.meta["read"] < 600


def test_random_points_come_from_files_too(kept):
    options = {"wcs": MAPS["TAN"], "kernel": "3 deg"}
    density = ROWS / (4 * np.pi * u.sr)
    made, expected = (
        sky_map(data=SKY, coverage=Randoms(data=data, density=density), **options)
        for data in (kept / "file.parquet", SKY)
    )
    np.testing.assert_allclose(made.data, expected.data, rtol=1e-12)


# What is read


@pytest.fixture
def reads(monkeypatch):
    """The columns and the number of row groups of each read of Parquet files."""
    made, read = [], parquet.ParquetFile.read_row_groups

    def spy(self, numbers, columns=None, **more):
        made.append((tuple(columns), len(numbers)))
        return read(self, numbers, columns=columns, **more)

    monkeypatch.setattr(parquet.ParquetFile, "read_row_groups", spy)
    return made


@pytest.mark.parametrize("form", ["file", "folder", "HATS root", "dataset", "ParquetFile"])
def test_columns_and_row_groups_that_are_not_needed_are_not_read(form, kept, reads):
    data = FORMS[form][0](kept)
    sky = sky_map(data=data, values="v", wcs=MAPS["pole"])
    assert {columns for columns, _ in reads} == {("ra", "dec", "v")}
    x, y = MAPS["pole"].world_to_pixel_values(SKY["ra"], SKY["dec"])
    on_map = (np.abs(x - 19.5) < 20) & (np.abs(y - 14.5) < 15)
    needed = np.unique(np.flatnonzero(on_map) // 250)
    assert sky.meta["inside"] == on_map.sum()
    assert sky.meta["read"] <= 2 * 250 * len(needed) < ROWS / 2


def test_partitions_out_of_reach_are_not_opened(tmp_path, monkeypatch):
    """Where the properties of a catalogue tell its number of rows."""
    root = tmp_path / "broken"
    _, cells = write_hats(root, SKY)
    opened, of_file = [], parquet.ParquetFile.__init__
    monkeypatch.setattr(
        parquet.ParquetFile, "__init__", lambda *a, **k: (opened.append(1), of_file(*a, **k))[1]
    )
    sky = sky_map(data=root, wcs=MAPS["TAN"])
    assert sky.meta["read"] + sky.meta["skipped"] == ROWS
    assert 2 <= len(opened) <= len(cells) / 3  # the first also for the names of columns


@pytest.mark.parametrize("rows", [None, "many", 7])
def test_what_is_skipped_is_counted_in_files_where_properties_do_not_tell(rows, tmp_path):
    root = tmp_path / "uncounted"
    write_hats(root, SKY, hats_nrows=rows)
    sky = sky_map(data=root, wcs=MAPS["TAN"])
    assert sky.meta["read"] + sky.meta["skipped"] == ROWS


def test_a_map_beside_all_rows_warns_of_it(tmp_path):
    near = {name: column[np.abs(SKY["ra"] - 260) < 20] for name, column in SKY.items()}
    parquet.write_table(pa.table(near), tmp_path / "near.parquet")
    with pytest.warns(SkyHeatmapWarning, match=r"none of the \d+ rows was read, as files say .* at "
                      r"ra=83, dec=-5 deg; are units, order and frame right\?"):  # fmt: skip
        sky = sky_map(data=tmp_path / "near.parquet", wcs=MAPS["TAN"])
    assert sky.counts.sum() == sky.meta["read"] == 0


def test_a_row_group_larger_than_a_batch_is_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("mpl_skyheat.catalogue.parquet.ARRAY_ROWS", 700)
    bad = dict(SKY, dec=SKY["dec"].copy())
    bad["dec"][11_456] = 91.5
    for name, columns in (("good", SKY), ("bad", bad)):
        parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    chunks = list(read_points((), tmp_path / "good.parquet").chunks())
    assert max(map(len, chunks)) == 700
    assert sum(map(len, chunks)) == ROWS
    with pytest.raises(ValueError, match=r"bad\.parquet: dec .*; row 11456 has 91\.5\Z"):
        sky_map(data=tmp_path / "bad.parquet", wcs=MAPS["MOL"])


# Units and columns


@pytest.mark.parametrize("kind", [Table, QTable])
def test_units_and_masks_that_astropy_wrote_are_kept_in_batches(kind, tmp_path):
    table = Table({"ra": np.radians(SKY["ra"]) * u.rad, "dec": SKY["dec"] * 60 * u.arcmin})
    table["w"] = MaskedColumn(SKY["w"], mask=np.arange(ROWS) % 7 == 0, unit="Jy")
    kind(table).write(tmp_path / "t.parquet")
    as_arrow = parquet.read_table(tmp_path / "t.parquet")
    parquet.write_table(as_arrow, tmp_path / "t.parquet", row_group_size=400)
    options = {"weights": "w", "wcs": MAPS["0h"]}
    expected = sky_map(data=table, **options)
    made = [
        sky_map(data=data, **options)
        for data in (tmp_path / "t.parquet", dataset.dataset(tmp_path))
    ]
    for one in made:
        np.testing.assert_array_equal(one.counts, expected.counts)
        assert one.unit == expected.unit == u.Jy / u.deg**2
        assert one.meta["skipped"] > ROWS / 2


def test_sky_coords_that_astropy_wrote_are_read_in_batches(tmp_path):
    where = SkyCoord(SKY["ra"], SKY["dec"], unit="deg").galactic
    QTable({"where": where}).write(tmp_path / "c.parquet")
    made = sky_map(data=tmp_path / "c.parquet", wcs=MAPS["TAN"])
    assert_same(made, sky_map(where, wcs=MAPS["TAN"]))
    assert made.meta["frame"] == "galactic"


def test_the_columns_of_positions_are_those_of_the_properties(tmp_path):
    columns = {"ra": SKY["dec"], "dec": SKY["dec"], "right": SKY["ra"], "up": SKY["dec"]}
    write_hats(tmp_path / "named", columns, names=("right", "up"))
    made = sky_map(data=tmp_path / "named", wcs=MAPS["0h"])
    assert_same(made, sky_map(data=SKY, wcs=MAPS["0h"]))
    assert made.meta["skipped"] > ROWS / 2


def test_cells_say_nothing_of_other_columns(tmp_path):
    """As of the other epoch, or of the other star of a pair."""
    columns = SKY | {"ra2": (SKY["ra"] + 180) % 360, "dec2": -SKY["dec"]}
    write_hats(tmp_path / "two", columns)
    other = sky_map("ra2", "dec2", data=tmp_path / "two", wcs=MAPS["0h"])
    assert_same(other, sky_map("ra2", "dec2", data=columns, wcs=MAPS["0h"]))
    assert other.meta["skipped"] > 0  # by statistics of these columns


def test_positions_in_another_frame_are_in_reach_in_that(kept):
    """Numbers of FK4 are not those of ICRS, nor are their cells."""
    made = sky_map(data=kept / "collection", frame="fk4", wcs=MAPS["0h"])
    assert_same(made, sky_map(data=SKY, frame="fk4", wcs=MAPS["0h"]))
    assert made.meta["skipped"] > 0


@pytest.mark.parametrize("suffix", ["/", ".parq"])
def test_partitions_may_be_folders_or_have_another_ending(suffix, tmp_path):
    write_hats(tmp_path / "cat", SKY, suffix=suffix)
    made = sky_map(data=tmp_path / "cat", wcs=MAPS["TAN"])
    assert_same(made, sky_map(data=SKY, wcs=MAPS["TAN"]))
    assert made.meta["skipped"] > ROWS / 2


def test_partitions_are_found_by_name_where_they_are_not_listed(tmp_path):
    root = tmp_path / "cat"
    write_hats(root, SKY)
    (root / "hats.properties").rename(root / "properties")
    (root / "partition_info.csv").unlink()
    parquet.write_table(pa.table(SKY).slice(0, 99), root / "dataset" / "data_thumbnail.parquet")
    expected = sky_map(data=SKY, wcs=MAPS["TAN"])
    for name in (root, root / "dataset", f"{root}/dataset/**/*.parquet"):
        assert_same(sky_map(data=name, wcs=MAPS["TAN"]), expected)


def test_names_that_are_no_longer_there_in_a_later_file_are_refused(tmp_path):
    for name, columns in (("1", ("ra", "dec", "w")), ("2", ("ra", "dec"))):
        parquet.write_table(pa.table({c: SKY[c] for c in columns}), tmp_path / f"{name}.parquet")
    with pytest.raises(ValueError, match=r"2\.parquet cannot be read .* it has no column 'w'"):
        sky_map(data=tmp_path, weights="w", wcs=MAPS["TAN"])
    # A dataset has nothing there, which is missing.
    made = sky_map(data=dataset.dataset(tmp_path), weights="w", wcs=MAPS["MOL"])
    assert (made.meta["read"], made.meta["dropped"]) == (2 * ROWS, ROWS)


def test_text_in_place_of_numbers_is_refused_by_file(tmp_path):
    parquet.write_table(pa.table({"ra": ["5h"], "dec": [1.0]}), tmp_path / "t.parquet")
    with pytest.raises(TypeError, match=r"in .*t\.parquet: ra must be numbers or angles; got"):
        sky_map(data=tmp_path / "t.parquet", wcs=MAPS["TAN"])


@pytest.mark.parametrize("values", [np.full(2, "2020-01-01", "datetime64[us]"), [True, False]])
def test_statistics_of_what_is_no_number_skip_nothing(tmp_path, values):
    parquet.write_table(pa.table({"ra": values, "dec": [-80.0, -81.0]}), tmp_path / "t.parquet")
    with pytest.raises(TypeError, match=r"in .*t\.parquet: ra must be numbers or angles; got"):
        sky_map(data=tmp_path / "t.parquet", wcs=MAPS["TAN"])


# What is refused


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"collection.properties": "hats_primary_table_url=https://a.org/main"},
         r"its main table is not in it, but at 'https://a\.org/main': give that itself"),
        ({"collection.properties": "hats_primary_table_url=../main"}, "its main table is not in"),
        ({"collection.properties": "hats_primary_table_url=nowhere"},
         "there is no hats.properties in .*cat/nowhere"),
        ({"hats.properties": "hats_version=1\ndataproduct_type=margin"},
         "it is a table of the type 'margin', not of objects or sources"),
        ({"hats.properties": "hats_version=1", "partition_info.csv": "Norder,Npix\n"},
         "it has no partition"),
    ],
)  # fmt: skip
def test_hats_catalogues_that_are_none_are_refused_with_the_reason(change, text, tmp_path):
    (tmp_path / "cat").mkdir()
    for name, content in change.items():
        (tmp_path / "cat" / name).write_text(content)
    with pytest.raises(ValueError, match=f"cat(/nowhere)? cannot be read as a HATS cat.*: {text}"):
        sky_map(data=tmp_path / "cat", wcs=MAPS["TAN"])


def test_margins_are_not_counted_again(kept):
    pattern = f"{kept}/collection/**/*.parquet"
    with pytest.raises(ValueError, match=r"has several tables of HATS, of which one may have the "
                       r"rows of another again: .*main, .*margin: give one of them"):  # fmt: skip
        sky_map(data=pattern, wcs=MAPS["TAN"])


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("empty", FileNotFoundError, "no Parquet file in"),
        ("empty/*.parquet", FileNotFoundError, "no Parquet file in"),
        ("none.parquet", FileNotFoundError, "no such file"),
        ("text.parquet", ValueError, "text.parquet cannot be read as Parquet: "),
    ],
)
def test_names_without_parquet_are_refused(name, error, text, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(error, match=text):
        sky_map(data=tmp_path / name, wcs=MAPS["TAN"])


def test_addresses_are_opened_by_fsspec_where_pyarrow_knows_none(kept):
    fsspec = pytest.importorskip("fsspec")
    there = fsspec.filesystem("memory")
    for path in (kept / "collection").rglob("*"):
        if path.is_file():
            there.pipe(f"/sky/{path.relative_to(kept)}", path.read_bytes())
    expected = sky_map(data=SKY, wcs=MAPS["TAN"])
    for name in ("memory://sky/collection", "memory://sky/collection/main",
                 "memory://sky/collection/main/dataset/**/*.parquet"):  # fmt: skip
        made = sky_map(data=name, wcs=MAPS["TAN"])
        assert_same(made, expected)
        assert made.meta["skipped"] > ROWS / 2
    with pytest.raises(ValueError, match="nothing://a/b cannot be read as Parquet: Protocol not"):
        sky_map(data="nothing://a/b", wcs=MAPS["TAN"])


@pytest.mark.parametrize("route", ["exact", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_bad_row_is_named_by_its_partition(route, tmp_path, monkeypatch):
    monkeypatch.setattr("mpl_skyheat.counting.sums.should_compile", lambda _: route == "compiled")
    columns = dict(SKY, dec=SKY["dec"].copy())
    order, cells = write_hats(tmp_path / "cat", columns)
    of_cell = [(np.array(healpix_numbers(SKY["ra"], SKY["dec"], k)) == p) for k, p in cells]
    name = f"Norder={cells[4][0]}, Npix={cells[4][1]}"
    path = next((tmp_path / "cat" / "dataset").rglob(f"Npix={cells[4][1]}.parquet"))
    table = parquet.read_table(path)
    dec = table["dec"].to_numpy().copy()
    assert len(dec) == of_cell[4].sum() > 600
    dec[601] = 90.06
    table = table.set_column(table.schema.get_field_index("dec"), "dec", pa.array(dec))
    parquet.write_table(table, path, row_group_size=500)
    text = rf"\Ain {name}: dec must lie within ±90 deg; row 601 has 90\.06\Z"
    with pytest.raises(ValueError, match=text):
        sky_map(data=tmp_path / "cat", wcs=MAPS["MOL"])
    assert len(order) == ROWS


def test_a_bad_row_after_row_groups_that_are_skipped_has_its_number_in_the_file(tmp_path):
    dec = SKY["dec"].copy()
    on_map = np.flatnonzero((np.abs(SKY["ra"] - 83) < 1) & (np.abs(dec + 5) < 1))
    row = int(on_map[-1])
    weights = np.ones(ROWS)
    weights[row] = -3
    columns = {"ra": SKY["ra"], "dec": dec, "w": weights}
    parquet.write_table(pa.table(columns), tmp_path / "f.parquet", row_group_size=100)
    text = rf"in .*f\.parquet: weights must not be negative; row {row} has -3"
    for data in (tmp_path / "f.parquet", dataset.dataset(tmp_path)):
        with pytest.raises(ValueError, match=text):
            sky_map(data=data, weights="w", wcs=make_wcs())


# Streams


def test_a_list_is_read_as_often_as_it_is_needed():
    tables = [Table({"ra": [10.0, 11], "dec": [1.0, 2]}), {"ra": [12.0], "dec": [4.0]}]
    ax = subplot(data=tables, figure=Figure())
    assert sky_heatmap(ax, data=tables).sky_map.meta["inside"] == 3
    with pytest.raises(TypeError, match="must be names of columns where data is a list of tables"):
        sky_map([1.0], [2.0], data=tables, wcs=MAPS["TAN"])
    with pytest.raises(ValueError, match="data must have at least one table; got an empty list"):
        sky_map(data=[], wcs=MAPS["TAN"])
    with pytest.raises(ValueError, match=r"in chunk 1: dec must lie .*; row 0 has 99"):
        sky_map(data=[tables[0], {"ra": [1.0], "dec": [99.0]}], wcs=MAPS["TAN"])


def test_columns_of_engines_must_be_named(kept):
    data = FORMS["dataset"][0](kept)
    with pytest.raises(TypeError, match="must be names of columns where data comes in batches"):
        sky_map("ra", "dec", data=data, weights=np.ones(ROWS), wcs=MAPS["TAN"])
    with pytest.raises(ValueError, match="no column 'nowhere' in data; it has ra, dec, w, v"):
        sky_map("nowhere", "dec", data=data, wcs=MAPS["TAN"])


def test_names_in_relations_may_have_quotes(kept):
    relation = duckdb_relation(kept)
    made = sky_map(data=relation, weights='a " b', wcs=MAPS["TAN"])
    assert_same(made, sky_map(data=SKY, weights="w", wcs=MAPS["TAN"]))


def test_partition_keys_of_a_dataset_are_columns(tmp_path):
    for key in (2, 5):
        (tmp_path / f"key={key}").mkdir()
        parquet.write_table(pa.table(SKY).slice(0, 10), tmp_path / f"key={key}" / "f.parquet")
    data = dataset.dataset(tmp_path, partitioning="hive")
    made = sky_map(data=data, weights="key", wcs=MAPS["MOL"])
    assert made.counts.sum() == 70


# Bounds


FIELD = {
    name: column[np.hypot(SKY["ra"] - 130, SKY["dec"] - 20) < 20] for name, column in SKY.items()
}
UNBOUNDED = WCS(MAPS["TAN"].to_header())
UNBOUNDED.wcs.crval = 130.0, 20.0


@pytest.fixture
def field_file(tmp_path):
    parquet.write_table(pa.table(FIELD), tmp_path / "field.parquet", row_group_size=50)
    return tmp_path / "field.parquet"


@pytest.mark.parametrize("is_large", [False, True])
def test_bounds_are_those_of_rows_in_memory(is_large, field_file, reads, monkeypatch):
    if is_large:
        monkeypatch.setattr(streams, "MOST_HELD", 300)
    expected = sky_map(data=FIELD, wcs=UNBOUNDED, kernel="2 deg")
    assert_same(sky_map(data=field_file, wcs=UNBOUNDED, kernel="2 deg"), expected)
    groups = sum(number for _, number in reads)
    # Few rows are read once; of many, some, all for the bounds, and all for the map.
    once = -(-len(FIELD["ra"]) // 50)
    assert groups == once if not is_large else 2 * once < groups <= 3 * once
    with pytest.raises(ValueError, match="points must be arrays or a table, which can be read tw"):
        sky_map(data=dataset.dataset(field_file).scanner(), wcs=UNBOUNDED)


@pytest.mark.parametrize("is_large", [False, True])
def test_stretched_points_do_not_set_the_bounds_of_a_file_either(is_large, tmp_path, monkeypatch):
    """Towards its horizon a gnomonic projection stretches the sky without limit."""
    if is_large:
        monkeypatch.setattr(streams, "MOST_HELD", 100)
    columns = {name: np.append(FIELD[name], far) for name, far in (("ra", 130.0), ("dec", -69.9))}
    parquet.write_table(pa.table(columns), tmp_path / "f.parquet", row_group_size=50)
    expected = sky_map(data=columns, wcs=UNBOUNDED, bins=(30, 20))
    assert_same(sky_map(data=tmp_path / "f.parquet", wcs=UNBOUNDED, bins=(30, 20)), expected)
    assert expected.meta["outside"] == 1


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("options", [{}, {"center": (131, 21)}, {"radius": 15 * u.deg}])
def test_axes_for_a_file_are_those_of_rows_in_memory(
    is_large, options, field_file, reads, monkeypatch
):
    if is_large:
        monkeypatch.setattr(streams, "MOST_HELD", 0)
    expected = subplot(data=FIELD, figure=Figure(), **options).wcs
    made = subplot(data=field_file, figure=Figure(), **options).wcs
    np.testing.assert_allclose(made.wcs.crval, expected.wcs.crval, atol=1e-9)
    np.testing.assert_allclose(made.wcs.cdelt, expected.wcs.cdelt, rtol=1e-9)
    once = -(-len(FIELD["ra"]) // 50)
    assert sum(number for _, number in reads) <= (once if not is_large else 3 * once)


def test_axes_are_cut_open_where_a_file_has_no_rows(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(streams, "MOST_HELD", 0)
    monkeypatch.setattr("mpl_skyheat.catalogue.parquet.ARRAY_ROWS", 100)
    band = {name: column[np.abs(SKY["ra"] - 180) > 40] for name, column in SKY.items()}
    parquet.write_table(pa.table(band), tmp_path / "band.parquet", row_group_size=100)
    made = subplot(data=tmp_path / "band.parquet", figure=Figure()).wcs
    assert made.wcs.crval[0] == subplot(data=band, figure=Figure()).wcs.wcs.crval[0] == 0
    # Row groups of longitudes that have a point already are not read.
    assert sum(number for _, number in reads) < 0.5 * len(band["ra"]) / 100


def test_axes_for_what_is_gone_once_it_is_read_are_refused(kept):
    data = dataset_of(kept).scanner()
    with pytest.raises(TypeError, match="points must be arrays or a table, which can be read aga"):
        subplot(data=data)
    ax = subplot(figure=Figure(), center=(83, -5), radius="9 deg")
    assert sky_heatmap(ax, data=data).sky_map.meta["read"] == ROWS


def test_an_empty_file_says_so(tmp_path):
    parquet.write_table(pa.table(SKY).slice(0, 0), tmp_path / "e.parquet")
    with pytest.raises(ValueError, match="the catalogue has no row with a position"):
        subplot(data=tmp_path / "e.parquet")
    assert sky_map(data=tmp_path / "e.parquet", wcs=MAPS["TAN"]).meta["read"] == 0


def test_plain_axes_take_their_middle_from_a_file(field_file):
    heats = [sky_heatmap(Figure().add_subplot(), data=d, bins=20) for d in (field_file, FIELD)]
    assert heats[0].get_extent() == heats[1].get_extent()
    assert_same(heats[0].sky_map, heats[1].sky_map)


@pytest.mark.parametrize(
    "kind",
    [
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("mollweide", "lambert")),
        "degrees",
        "degrees around a pole",
    ],
)
def test_maps_on_axes_without_a_wcs_are_those_of_rows_in_memory(kind, kept):
    limits = {"degrees": ((370, 340), (10, 30)), "degrees around a pole": ((370, 0), (80, 90))}

    def draw(data):
        if kind not in limits:
            return sky_heatmap(Figure().add_subplot(projection=kind), data=data, bins=40).sky_map
        xlim, ylim = limits[kind]
        ax = Figure().add_subplot(xlim=xlim, ylim=ylim)
        return sky_heatmap(ax, data=data, kernel="3 deg", bins=40).sky_map

    made = draw(kept / "collection")
    assert_same(made, draw(SKY))
    assert (made.meta["skipped"] > 0) == (kind in limits)


def test_contours_enclose_the_rows_of_a_file_where_they_are(field_file):
    options = {"kernel": Gaussian("2 deg"), "enclosed": 0.5}
    ax = subplot(data=FIELD, figure=Figure())
    made, expected = (
        sky_contour(ax, data=data, **options).sky_contours[0] for data in (field_file, FIELD)
    )
    assert made.level.value == pytest.approx(expected.level.value, rel=1e-12)
    assert made.attained == expected.attained


@pytest.mark.parametrize(
    ("wcs", "is_large"), [(UNBOUNDED, False), (MAPS["TAN"], True)], ids=["unbounded", "large"]
)
@pytest.mark.filterwarnings("ignore:kernel='auto' took the narrowest")
def test_the_best_width_is_that_of_rows_in_memory(wcs, is_large, tmp_path, monkeypatch):
    if is_large:
        monkeypatch.setattr(streams, "MOST_HELD", 300)
    rng = np.random.default_rng(4)
    columns = {"ra": 83 + rng.normal(0, 2, 3000), "dec": -5 + rng.normal(0, 2, 3000)}
    columns = {name: np.append(values, FIELD[name]) for name, values in columns.items()}
    parquet.write_table(pa.table(columns), tmp_path / "f.parquet", row_group_size=100)
    options = {"kernel": "auto", "wcs": wcs, "bins": (40, 30)}
    made, expected = (sky_map(data=d, **options) for d in (tmp_path / "f.parquet", columns))
    assert_same(made, expected)
    assert made.kernel == expected.kernel
    with pytest.raises(ValueError, match="with kernel='auto', whose width comes from them"):
        sky_map(data=dataset.dataset(tmp_path).scanner(), kernel="auto", wcs=MAPS["TAN"])


@pytest.mark.parametrize(
    ("where", "mode"),
    [
        ("TAN", "scatter"),
        ("TAN", "gather"),
        pytest.param("all around", "scatter", marks=pytest.mark.slow),
    ],
)
def test_adaptive_maps_are_those_of_rows_in_memory(where, mode, kept):
    band = make_wcs("CAR", shape=(90, 4), center=(180.0, 0.0), cdelt=(-4.0, 4.0))
    kernel = Adaptive(5, narrowest="1 deg", widest="2 deg", mode=mode)
    options = {"wcs": band if where == "all around" else MAPS["TAN"], "kernel": kernel}
    made, expected = (sky_map(data=d, **options) for d in (kept / "collection", SKY))
    assert_same(made, expected)
    assert made.meta["skipped"] > 0


def test_rows_with_a_width_of_their_own_reach_as_far_as_that(tmp_path):
    """However far off the map they are."""
    widths = np.where(np.arange(ROWS) % 50 == 0, 5.0, 0.5) * u.deg
    QTable(SKY | {"err": widths}).write(tmp_path / "w.parquet")
    table = parquet.read_table(tmp_path / "w.parquet")
    parquet.write_table(table, tmp_path / "w.parquet", row_group_size=100)
    options = {"wcs": MAPS["TAN"], "kernel": Gaussian("err")}
    made = sky_map(data=tmp_path / "w.parquet", **options)
    assert_same(made, sky_map(data=QTable(SKY | {"err": widths}), **options))


def test_live_maps_read_of_a_file_what_comes_into_view(kept, reads):
    fields = []
    for data in (kept / "file.parquet", SKY):
        ax = subplot(figure=Figure(), center=(83, -5), radius="5 deg")
        heat = sky_heatmap(ax, data=data, kernel="1 deg", live=True)
        fields.append(heat.live)
        skipped = heat.sky_map.meta["skipped"]
        assert (skipped > ROWS / 2) == (data is not SKY)
    before = sum(number for _, number in reads)
    wide = View(-400.0, 100.0, -300.0, 200.0)
    made, expected = (field.read(wide, (40, 40))[0] for field in fields)
    assert sum(number for _, number in reads) > before
    np.testing.assert_allclose(made, expected, rtol=1e-9, atol=1e-9)
    assert np.isfinite(made).all()


# The command


@pytest.mark.parametrize("name", ["folder", "collection", "folder/*.parquet"])
def test_the_command_draws_parquet_of_many_files(name, kept, tmp_path, capsys):
    output = tmp_path / "map.fits"
    given = [f"{kept}/{name}", "--center", "83 -5", "--radius", "9deg", "--kernel", "1deg"]
    assert main([*given, "-o", str(output)]) == 0
    assert output.stat().st_size > 10_000
    assert "wrote" in capsys.readouterr().out


@pytest.mark.parametrize("statistic", ["mean", "std"])
def test_chunks_that_use_their_arrays_again_may_begin_without_values(statistic):
    columns = {name: column.copy() for name, column in SKY.items()}
    columns["v"][:3000] = np.nan

    def chunks():
        arrays = {name: np.empty(1500) for name in columns}
        for start in range(0, ROWS, 1500):
            for name, array in arrays.items():
                array[:] = columns[name][start : start + 1500]
            yield arrays

    asked = {"values": "v", "wcs": MAPS["MOL"], "statistic": statistic}
    found, expected = (sky_map(data=data, **asked) for data in (chunks(), columns))
    assert found.meta["dropped"] == expected.meta["dropped"] == 3000
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-9)
