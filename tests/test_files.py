"""Catalogue files in every format, and files that are written whole or not at all."""

import gzip
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable.exceptions import VOWarning
from astropy.nddata import CCDData
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from helpers import make_wcs
from matplotlib.figure import Figure

from mpl_skyheat import sky_heatmap, sky_map, subplot
from mpl_skyheat.catalogue.blocks import _is_mapped
from mpl_skyheat.catalogue.files import read_file
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.compute.writing import replacing

# In the field of `make_wcs`, which is around (83, -5).
LON = np.array([82.5, 83.0, 83.25, 83.5])
LAT = np.array([-5.5, -5.0, -4.5, -5.25])
WEIGHTS = np.array([1, 2, 3, 4])

FORMATS = {
    "fits": "fits",
    "fit": "fits",
    "FITS.gz": "fits",
    "ecsv": "ascii.ecsv",
    "csv": "ascii.csv",
    "vot": "votable",
    "votable.gz": "votable",
    "xml": "votable",
    "parquet": "parquet",
    "pq": "parquet",
}
SHORT = "fits", "ecsv", "csv", "vot", "parquet"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(table, ending):
    """Write a table in the format of an ending; return its name."""
    if FORMATS[ending] == "parquet":
        pytest.importorskip("pyarrow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VOWarning)
        table.write("plain", format=FORMATS[ending], overwrite=True)
    content = Path("plain").read_bytes()
    name = f"stars.{ending}"
    Path(name).write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    return name


def stars(**more):
    return Table({"name": ["a", "b", "c", "d"], "ra": LON, "dec": LAT, "w": WEIGHTS, **more})


def positions(*points, **kwargs):
    """Longitudes, latitudes (deg) and weights that are read, and the number of rows dropped."""
    catalogue = read_catalogue(points, **kwargs)
    block = catalogue.rows(slice(0, None))
    return block.lon.tolist(), block.lat.tolist(), block.weights, block.dropped


# The columns that are read of a file


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", [str, Path, os.path.abspath])
def test_a_file_is_read_as_its_columns_are(ending, kind):
    name = kind(write(stars(), ending))
    made = sky_map(data=name, weights="w", wcs=make_wcs())
    expected = sky_map(LON, LAT, weights=WEIGHTS, wcs=make_wcs())
    np.testing.assert_array_equal(made.counts, expected.counts)
    assert made.counts.sum() == 10


def test_axes_are_made_and_drawn_on_from_a_file():
    name = write(stars(), "csv")
    ax = subplot(data=name, figure=Figure())
    heat = sky_heatmap(ax, data=Path(name))
    assert heat.sky_map.meta["inside"] == heat.sky_map.meta["read"] == 4


def test_files_can_follow_one_another():
    names = [write(stars(), "fits"), write(stars(), "ecsv")]
    assert sky_map(data=iter(names), wcs=make_wcs()).counts.sum() == 8
    names.append(write_text("bad.csv", "ra,dec\n1,2\n3,91\n"))
    with pytest.raises(ValueError, match=r"\Ain bad\.csv: dec must .*; row 1 has 91"):
        sky_map(data=iter(names), wcs=make_wcs())


@pytest.mark.parametrize("ending", ["fits", "FITS.gz", "ecsv", "vot", "parquet"])
@pytest.mark.parametrize("kind", [Table, QTable])
def test_units_and_missing_values_are_those_of_the_format(ending, kind):
    table = stars()
    table["ra"] = MaskedColumn(np.radians(LON), mask=[0, 1, 0, 0], unit="rad")
    table["dec"].unit = u.deg
    table["w"] = MaskedColumn(WEIGHTS, mask=[0, 0, 1, 0])
    name = write(kind(table), ending)
    lon, lat, weights, dropped = positions(data=name, weights="w")
    assert lon == pytest.approx(LON[[0, 3]])
    assert lat == LAT[[0, 3]].tolist()
    assert (weights.tolist(), dropped) == ([1, 4], 2)


@pytest.mark.parametrize("ending", ["fits", "ecsv", "parquet"])
def test_a_skycoord_in_a_file_keeps_its_frame(ending):
    place = SkyCoord(LON, LAT, unit="deg", frame="fk5", equinox="J1975")
    name = write(Table({"place": place, "number": [1, 2, 3, 4]}), ending)
    catalogue = read_catalogue((), name)
    assert catalogue.frame.is_equivalent_frame(place.frame)
    assert catalogue.lon.array(slice(None)) == pytest.approx(LON)
    assert positions("place", data=name)[1] == pytest.approx(LAT)


def test_missing_parts_of_a_skycoord_are_dropped():
    pytest.importorskip("pyarrow")
    place = SkyCoord(np.where(LON > 83, np.nan, LON), LAT, unit="deg")
    for ending in ("ecsv", "fits", "parquet"):
        assert positions(data=write(Table({"place": place}), ending))[3] == 2


def write_text(name, text):
    content = text if isinstance(text, bytes) else text.encode()
    Path(name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return name


GAIA = """\
# %ECSV 1.0
# ---
# delimiter: ','
# datatype:
# - {name: solution_id, datatype: int64, description: Solution Identifier}
# - {name: designation, datatype: string, description: 'Unique source designation'}
# - {name: ra, unit: deg, datatype: float64}
# - {name: dec, unit: deg, datatype: float64}
# - {name: parallax, unit: mas, datatype: float64}
# - {name: phot_variable_flag, datatype: string}
# meta: {description: Gaia DR3}
solution_id,designation,ra,dec,parallax,phot_variable_flag
1636148068921376768,"Gaia DR3 4295806720",82.5,-5.5,0.354,"NOT_AVAILABLE"
1636148068921376768,"Gaia DR3 34361129088",83.0,null,null,"VARIABLE"
1636148068921376768,"Gaia DR3 38655544960",83.25,-4.5,3.143,"NOT_AVAILABLE"
"""


@pytest.mark.parametrize("name", ["gaia.csv.gz", "gaia.csv", "gaia.ecsv"])
def test_files_of_the_gaia_archive_are_read(name):
    write_text(name, GAIA)
    assert positions(data=name)[::3] == ([82.5, 83.25], 1)
    lon, _, weights, _ = positions(data=name, weights="parallax")
    assert (lon, weights.tolist()) == ([82.5, 83.25], [0.354, 3.143])
    assert read_catalogue((), name, weights="parallax").weights_unit == u.mas


ROWS = "1,2\n3,4\n"


@pytest.mark.parametrize(
    ("text", "lon"),
    [
        ("ra,dec\n" + ROWS, [1, 3]),
        ("\ufeffra,dec\n" + ROWS, [1, 3]),
        ("#Table1\nra,dec\n" + ROWS, [1, 3]),  # SDSS CasJobs
        ("# made by hand\n\n#\nra,dec\n" + ROWS, [1, 3]),
        ("# made with numpy\n# ra,dec\n" + ROWS, [1, 3]),  # savetxt(header="ra,dec")
        ("ra,dec\r\n1,2\r\n3,4\r\n", [1, 3]),
        ('"ra" , "dec"\n 1 , "2"\n"3",4', [1, 3]),
        ('name,ra,dec\n"a, or\nb",1,2\nc,3,4', [1, 3]),
        ("ra,dec\n1,null\n3,4\n,5\n7\nNULL,8\nNone,9\nN/A,10\nnan,11\n", [3]),
        ("ra,dec\n1e0,2\n+3.0,4d0\n".replace("d0", ""), [1, 3]),
    ],
)
def test_text_is_read_as_it_is_found(text, lon):
    assert positions(data=write_text("stars.csv", text))[0] == lon


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_text_between_the_numbers_may_be_in_any_encoding(encoding):
    text = "namé,ra,dec\nHöfn,1,2\n".encode(encoding)
    assert positions(data=write_text("stars.csv", text))[0] == [1]


def test_of_the_tables_of_a_fits_file_the_first_that_has_the_columns_is_read():
    tables = [Table({"x": [1.0]}), stars(), Table({"RA": [1.0], "w": [1.0]})]
    hdus = [fits.PrimaryHDU(np.ones((3, 4))), *map(fits.BinTableHDU, tables)]
    fits.HDUList(hdus).writeto("stars.fits")
    assert positions(data="stars.fits")[0] == LON.tolist()
    assert positions("x", "x", data="stars.fits")[0] == [1]
    with pytest.raises(ValueError, match=r"\Astars.fits: no column 'y' in data; it has x\Z"):
        positions("y", "x", data="stars.fits")


def test_a_second_table_with_the_columns_is_told_of():
    hdus = [fits.PrimaryHDU(), fits.BinTableHDU(stars()), fits.BinTableHDU(stars())]
    fits.HDUList(hdus).writeto("stars.fits")
    text = r"\Astars.fits has these columns in HDU 1 and in HDU 2: the first is read\Z"
    with pytest.warns(AstropyUserWarning, match=text):
        assert positions(data="stars.fits")[0] == LON.tolist()


def test_a_table_of_text_in_a_fits_file_is_read():
    columns = [fits.Column("RA", "F10.4", array=LON), fits.Column("DEC", "F10.4", array=LAT)]
    fits.TableHDU.from_columns(columns).writeto("stars.fits")
    assert positions(data="stars.fits")[0] == LON.tolist()


def test_the_columns_of_a_votable_go_by_name_and_the_first_table_that_has_them():
    name = write(stars(), "vot")
    text = Path(name).read_text(encoding="utf-8")
    for number, column in enumerate(("ra", "dec")):
        assert f'ID="{column}"' in text
        text = text.replace(f'ID="{column}"', f'ID="col_{number}"')
    start, end = text.index("<RESOURCE"), text.index("</VOTABLE>")
    other = text[start:end].replace('name="ra"', 'name="x"').replace("col_", "other_")
    Path(name).write_text(text[:start] + other + text[start:], encoding="utf-8")
    assert positions(data=name)[0] == LON.tolist()


# Only what is needed


def test_a_fits_file_is_mapped_to_memory():
    names = ["ra", "dec"]
    columns = read_file(write(stars(), "fits"), lambda _: names)
    assert all(_is_mapped(columns.table[name]) for name in names)


def test_a_text_file_of_very_many_columns_is_read():
    many = 100_000
    name = write_text("wide.csv", f"{'x,' * many}ra,dec\n{'y,' * many}1,2\n")
    assert positions(data=name)[0] == [1]
    text = r"\Awide.csv: no column 'z' in data; it has x, x, .*, … \(100,002 in all\)\Z"
    with pytest.raises(ValueError, match=text) as caught:
        positions("z", "dec", data=name)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("ending", SHORT)
def test_a_column_that_is_not_needed_is_not_converted(ending):
    name = write(stars(other=np.arange(4.0)), ending)
    names = ["ra", "dec"]
    table = read_file(name, lambda _: names).table
    converted = getattr(table, "_converted", table)  # FITS_rec converts columns that are read
    assert set(converted) <= set(names)


def test_parquet_needs_pyarrow_and_nothing_else(monkeypatch):
    name = write(stars(), "parquet")
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert positions(data=name)[0] == LON.tolist()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    text = (
        r"stars.parquet is read by pyarrow, which is missing: pip install 'mpl-skyheat\[parquet\]'"
    )
    with pytest.raises(ImportError, match=rf"\A{text}\Z"):
        positions(data=name)


# What is refused


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("nowhere.fits", FileNotFoundError, "no such file: nowhere.fits"),
        (".", FileNotFoundError, "no Parquet file in ."),
        ("ra", ValueError, "data must be a table, or a file whose name ends in .fits, "),
        (
            "https://a.org/stars.fits",
            ValueError,
            "data must be a file on this machine; got 'https:",
        ),
        ("file:///stars.fits", ValueError, "data must be a file on this machine; got 'file:"),
    ],
)
def test_what_is_no_file_is_refused(name, error, text):
    with pytest.raises(error) as caught:
        sky_map(data=name, wcs=make_wcs())
    assert str(caught.value).startswith(text)


def test_what_must_not_be_read_is_refused(monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    name = write(stars(), "csv")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match=r"\Ano permission to read stars.csv\Z"):
        sky_map(data=name, wcs=make_wcs())
    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(PermissionError, match=r"\Astars.csv cannot be read: Permission denied\Z"):
        sky_map(data=name, wcs=make_wcs())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "# nothing\n",
            "stars.csv cannot be read as CSV: it has no line with the names of columns",
        ),
        (
            "ra,dec\n1,2\n3,abc\n",
            "stars.csv cannot be read as CSV: dec must be numbers; row 1 has 'abc'",
        ),
        ("ra,dec\n1,2,3\n", "stars.csv cannot be read as CSV: Number of header columns"),
        ('ra,dec,x\n1,2,"a\n', "stars.csv cannot be read as CSV: a quotation mark is not closed"),
        ("x,y\n1,2\n", "stars.csv: data must have one recognisable pair of columns"),
        ("ra,dec\n1,2\n3,91\n", "in stars.csv: dec must lie within ±90 deg; row 1 has 91"),
    ],
)
def test_an_error_names_the_file_and_the_row(text, message):
    with pytest.raises(ValueError, match=r"\A") as caught:
        sky_map(data=write_text("stars.csv", text), wcs=make_wcs())
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("ending", ["FITS.gz", "ecsv", "csv", "parquet"])
def test_what_does_not_fit_in_memory_is_refused(monkeypatch, ending):
    name = write(stars(), ending)
    monkeypatch.setattr("mpl_skyheat.catalogue.readers.allowed_bytes", lambda: 10)
    with pytest.raises(
        ValueError, match=rf"\A{name} cannot be read as .* it takes .* GiB, more th"
    ):
        positions(data=name)


def test_text_in_a_votable_is_told_of():
    name = write(stars(), "vot")
    content = Path(name).read_text(encoding="utf-8").replace("<TD>83.25</TD>", "<TD>x</TD>")
    Path(name).write_text(content, encoding="utf-8")
    with pytest.warns(
        AstropyUserWarning, match=r"\Ain stars.vot: .* Invalid literal for float 'x'"
    ):
        assert positions(data=name)[3] == 1


@pytest.mark.parametrize("href", ["http://127.0.0.1:9/a", "ftp://a.org/b", "file:///etc/hostname"])
def test_a_votable_that_refers_to_something_else_is_not_followed(monkeypatch, href):
    monkeypatch.setattr("urllib.request.urlopen", lambda *_: pytest.fail("it was opened"))
    name = write(stars(), "vot")
    content = Path(name).read_text(encoding="utf-8")
    start, end = content.index("<TABLEDATA>"), content.index("</DATA>")
    stream = f'<BINARY><STREAM href="{href}"/></BINARY>'
    Path(name).write_text(content[:start] + stream + content[end:], encoding="utf-8")
    text = (
        rf"stars.vot cannot be read as a VOTable: its rows are elsewhere, in '{href}', which is not"
    )
    with pytest.raises(ValueError, match=rf"\A{text} opened"):
        positions(data=name)


# Writing


@pytest.fixture
def target():
    Path("map.fits").write_text("old")
    return Path("map.fits")


def test_a_file_takes_the_place_of_another_with_its_permissions(target):
    target.chmod(0o640)
    mode = target.stat().st_mode
    with replacing(target) as new:
        assert (new.parent, new.suffix) == (Path.cwd(), ".fits")
        new.write_text("new")
        assert target.read_text() == "old"
    assert (target.read_text(), target.stat().st_mode) == ("new", mode)
    assert os.listdir() == ["map.fits"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_failure_leaves_what_was_there(target, error, is_there):
    if not is_there:
        target.unlink()

    def write_half():
        with replacing(target) as new:
            new.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert os.listdir() == ["map.fits"] * is_there
    assert not is_there or target.read_text() == "old"


def test_a_failure_names_the_file(target):
    text = r"\Acannot write map.fits: No space left on device\Z"
    with pytest.raises(OSError, match=text), replacing(target):
        raise OSError(28, "No space left on device")


def test_a_link_to_a_file_stays_one(target):
    link = Path("link.fits")
    link.symlink_to(target)
    with replacing(link) as new:
        new.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it is a device of Linux")
def test_a_device_is_written_to():
    with pytest.raises(OSError, match="No space left"), replacing("/dev/full") as new:
        new.write_text("new")
    assert not Path("/dev/full").is_file()


# (Some bytes of a map of this size do not fit in the limit.)
def test_a_disk_that_is_full_leaves_the_map_that_was_there(target):
    resource = pytest.importorskip("resource")
    made = sky_map(LON, LAT, wcs=make_wcs())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"\Acannot write map.fits: File too large\Z"):
            made.write(target, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert target.read_text() == "old"
    assert os.listdir() == ["map.fits"]


def test_a_map_is_written_with_its_wcs_unit_mask_counts_and_solid_angles(target):
    wcs = make_wcs()
    made = sky_map(LON, LAT, wcs=wcs, kernel="12 arcmin", label="stars")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        made.write("map.fits")
    made.write(target, overwrite=True)
    read = CCDData.read("map.fits")
    np.testing.assert_array_equal(read.data, made.data)
    np.testing.assert_array_equal(read.mask, made.mask)
    assert read.unit == made.unit
    assert read.wcs.pixel_to_world(3, 4).separation(wcs.pixel_to_world(3, 4)) < 1e-9 * u.deg
    with fits.open("map.fits") as hdus:
        assert hdus["COUNTS"].data.dtype.kind == "i"
        np.testing.assert_array_equal(hdus["COUNTS"].data, made.counts)
        np.testing.assert_array_equal(hdus["OMEGA"].data, made.solid_angle.value)
        assert hdus["OMEGA"].header["BUNIT"] == "sr"
        assert WCS(hdus["OMEGA"].header).wcs.ctype[0] == "RA---TAN"
        card = json.loads(hdus[0].header["SKYHEAT"])
    assert (card["label"], card["meta"]["read"]) == ("stars", 4)
