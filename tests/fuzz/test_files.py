"""Hostile files: broken, lying and malicious catalogues, of which the command makes one line.

Each is given to the command in a process of its own, with little memory and time, and a network
that is closed. Right is: exit status 2, one line on stderr that names the file, and nothing else.
"""

import gzip
import io
import itertools
import multiprocessing
import os
import socket
import sys
import urllib.request
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from mpl_skyheat.__main__ import main
from mpl_skyheat.catalogue.reading import read_catalogue

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")

# Each process is a fork of one that has imported all that is needed.
processes = multiprocessing.get_context("forkserver") if sys.platform == "linux" else None
if processes is not None:
    processes.set_forkserver_preload(["mpl_skyheat.__main__", "pyarrow.parquet"])

# Seconds of CPU, and bytes beyond what the modules take, that a file may need.
SECONDS = 10
BYTES = 4 * 2**30

# Longest line (characters) that a file may be answered with.
LONGEST = 500

ROWS = 40
LON, LAT = 83 + np.linspace(0, 1, ROWS), -5 + np.linspace(0, 1, ROWS) ** 2


def stars(file_format, table=None, **kwargs):
    """A good catalogue in a format, as bytes."""
    table = Table({"ra": LON, "dec": LAT}) if table is None else table
    if file_format == "parquet":
        path = Path("good.parquet")
        table.write(path, format="parquet")
        content = path.read_bytes()
        path.unlink()
        return content
    out = io.BytesIO() if file_format in ("fits", "votable") else io.StringIO()
    table.write(out, format=file_format, **kwargs)
    content = out.getvalue()
    return content if isinstance(content, bytes) else content.encode()


# FITS


def cards(hdu, **changes):
    """A FITS file with changed cards in the header of an HDU: text is written as it is."""
    content = bytearray(stars("fits"))
    for key, value in changes.items():
        start = content.index(f"{key:8}= ".encode(), 2880 * hdu)
        content[start : start + 80] = f"{key:8}= {value!s:>20}".ljust(80).encode()
    return bytes(content)


def image():
    out = io.BytesIO()
    fits.PrimaryHDU(np.ones((3, 4))).writeto(out)
    return out.getvalue()


FITS = {
    "empty": lambda: b"",
    "garbage": lambda: bytes(range(256)) * 20,
    "one block": lambda: stars("fits")[:2880],
    "cut in the header": lambda: stars("fits")[:4000],
    "cut in the data": lambda: stars("fits")[: 2 * 2880 + 100],
    "NAXIS2 negative": lambda: cards(1, NAXIS2=-500),
    "NAXIS2 a little too large": lambda: cards(1, NAXIS2=ROWS + 200),
    "NAXIS2 huge": lambda: cards(1, NAXIS2=10**12),
    "NAXIS2 beyond int64": lambda: cards(1, NAXIS2=10**19),
    "NAXIS2 text": lambda: cards(1, NAXIS2="'abc'"),
    "NAXIS2 a fraction": lambda: cards(1, NAXIS2=1.5),
    "NAXIS1 negative": lambda: cards(1, NAXIS1=-16),
    "both negative": lambda: cards(1, NAXIS1=-16, NAXIS2=-40),
    "NAXIS1 zero": lambda: cards(1, NAXIS1=0),
    "NAXIS1 of other columns": lambda: cards(1, NAXIS1=8),
    "PCOUNT negative": lambda: cards(1, PCOUNT=-5000),
    "PCOUNT huge": lambda: cards(1, PCOUNT=10**15),
    "GCOUNT negative": lambda: cards(1, GCOUNT=-1),
    "TFIELDS huge": lambda: cards(1, TFIELDS=10**9),
    "TFIELDS negative": lambda: cards(1, TFIELDS=-1),
    "TFIELDS too many": lambda: cards(1, TFIELDS=5),
    "TFORM huge": lambda: cards(1, TFORM1="'99999999999D'"),
    "TFORM unknown": lambda: cards(1, TFORM1="'?       '"),
    "TFORM text": lambda: cards(1, TFORM1="'8A      '"),
    "TFORM of a heap": lambda: cards(1, TFORM1="'1PD     '"),
    "primary NAXIS huge": lambda: cards(0, NAXIS=999),
    "primary NAXIS negative": lambda: cards(0, NAXIS=-1),
    "no END": lambda: stars("fits").replace(b"END" + b" " * 77, b" " * 80) + b" " * 288000,
    "text": lambda: b"ra,dec\n1,2\n",
    "a page": lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "no table": image,
    "cut.gz": lambda: gzip.compress(stars("fits"))[:300],
    "garbage.gz": lambda: b"\x1f\x8b" + b"garbage" * 99,
    "NAXIS2 huge.gz": lambda: gzip.compress(cards(1, NAXIS2=10**12)),
    "NAXIS2 large.gz": lambda: gzip.compress(cards(1, NAXIS2=10**8)),
    "NAXIS2 negative.gz": lambda: gzip.compress(cards(1, NAXIS2=-500)),
}

# Text

MANY = 100_000

CSV = {
    "empty": lambda: b"",
    "blank": lambda: b"\n\n  \n",
    "comments": lambda: b"#Table1\n# nothing else\n",
    "garbage": lambda: bytes(range(256)) * 20,
    "null bytes": lambda: b"ra,dec\n1,2\n\0\0\0\0\n3,4\n",
    "UTF-16": lambda: "ra,dec\n1,2\n".encode("utf-16"),
    "only names": lambda: b"ra,dec\n",
    "only a name, no line feed": lambda: b"http://127.0.0.1/stars.csv",
    "no names": lambda: b"83.1,-5\n83.2,-5\n",
    "many columns": lambda: (
        ",".join(f"column_{i}" for i in range(MANY)) + "\n" + "1," * MANY
    ).encode(),
    "long name": lambda: b"9" * 50_000 + b",dec\n1,2\n",
    "long number": lambda: b"ra,dec\n1," + b"9" * 5000 + b"x\n",
    "long line": lambda: b"ra,dec" * 10**6,
    "names twice": lambda: b"ra,dec,ra\n1,2,3\n",
    "escape sequences": lambda: b"\x1b[31mra\x1b[0m,\x07dec\n1,2\n",
    "a quote is open": lambda: b'ra,dec,name\n1,2,"a\n' + b"3,4,b\n" * 1000,
    "too many fields": lambda: b"ra,dec\n1,2\n3,4,5\n",
    "text for numbers": lambda: b"ra,dec\n5h,+3d\n",
    "beyond the pole": lambda: b"ra,dec\n1,2\n3,91\n",
    "nothing finite": lambda: b"ra,dec\nnan,inf\n",
    "semicolons": lambda: b"ra;dec\n1;2\n",
    "a page": lambda: b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n",
    "cut.gz": lambda: gzip.compress(stars("ascii.csv"))[:200],
    "garbage.gz": lambda: b"\x1f\x8b" + b"garbage" * 99,
    "a bomb.gz": lambda: gzip.compress(b"0" * (80 * 2**20), 1),
    "long rows.gz": lambda: gzip.compress(b"ra,dec\n" + b"0" * (80 * 2**20), 1),
}


def ecsv(header, rows=b"ra dec\n1 2\n3 4\n"):
    lines = header if isinstance(header, str) else header.decode()
    return (
        b"".join(f"# {line}\n".encode() for line in ["%ECSV 1.0", "---", *lines.split("\n")]) + rows
    )


COLUMNS = "datatype:\n- {name: ra, datatype: float64}\n- {name: dec, datatype: float64}"

ECSV = {
    "empty": lambda: b"",
    "plain text": lambda: b"ra dec\n1 2\n",
    "only the first line": lambda: b"# %ECSV 1.0\n",
    "no header": lambda: b"# %ECSV 1.0\nra dec\n1 2\n",
    "header of text": lambda: ecsv("nonsense"),
    "header of a list": lambda: ecsv("[1, 2]"),
    "header not YAML": lambda: ecsv("{[}]: -: %"),
    "header of other columns": lambda: ecsv(COLUMNS, b"a b\n1 2\n"),
    "columns of a number": lambda: ecsv("datatype: 3"),
    "columns without names": lambda: ecsv("datatype: [{a: 1}, {b: 2}]"),
    "recursion": lambda: ecsv("datatype: &a [*a, *a]"),
    "deep": lambda: ecsv("datatype: " + "[" * 50_000),
    "laughs": lambda: ecsv(
        "a: &a0 [lol]\n"
        + "\n".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]" for i in range(30))
        + "\ndatatype: *a30"
    ),
    "code": lambda: ecsv("datatype: !!python/object/apply:os.mkdir ['pwned']"),
    "long": lambda: ecsv("datatype:\n" + f"- {{name: {'x' * 50}}}\n" * 100_000),
    "delimiter": lambda: ecsv(COLUMNS + "\ndelimiter: abc"),
    "a class": lambda: ecsv(
        COLUMNS + "\nmeta: {__serialized_columns__: {sky: {__class__: subprocess.Popen}}}",
        b"ra dec\n1 x\n",
    ),
    "a SkyCoord of nothing": lambda: ecsv(
        "datatype: [{name: a}, {name: b}]\nmeta: {__serialized_columns__: {sky: {__class__: "
        "astropy.coordinates.sky_coordinate.SkyCoord}}}",
        b"a b\n1 2\n",
    ),
    "cut": lambda: stars("ascii.ecsv")[:60],
}

# VOTable


def votable(data, *, before="", fields="", rows=""):
    numbers = '<FIELD name="ra" datatype="double"/><FIELD name="dec" datatype="double"/>'
    return (
        f'<?xml version="1.0"?>{before}<VOTABLE version="1.3" '
        f'xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE><TABLE{rows}>{fields or numbers}'
        f"<DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>"
    ).encode()


def stream(href, tag="BINARY"):
    return votable(f'<{tag}><STREAM href="{href}"/></{tag}>')


def entities():
    text = '<!DOCTYPE a [<!ENTITY e0 "ha">'
    text += "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(12))
    return votable("<TABLEDATA><TR><TD>&e12;</TD><TD>1</TD></TR></TABLEDATA>", before=text + "]>")


def external():
    doctype = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    return votable("<TABLEDATA><TR><TD>&x;</TD><TD>1</TD></TR></TABLEDATA>", before=doctype)


NUMBERS = "<TABLEDATA><TR><TD>1</TD><TD>2</TD></TR></TABLEDATA>"

VOTABLE = {
    "empty": lambda: b"",
    "garbage": lambda: bytes(range(256)) * 20,
    "a page": lambda: b"<!DOCTYPE html><html><body><p>404 Not Found</body></html>",
    "a feed": lambda: b"<rss><channel><title>News</title></channel></rss>",
    "cut": lambda: stars("votable")[:900],
    "no table": lambda: b'<VOTABLE version="1.3"><RESOURCE/></VOTABLE>',
    "no rows": lambda: votable("<TABLEDATA/>"),
    "no data": lambda: stars("votable").replace(b"TABLEDATA>", b"NOTHING>"),
    "no numbers": lambda: votable("<TABLEDATA><TR><TD>x</TD><TD>2</TD></TR></TABLEDATA>"),
    "too many cells": lambda: votable(NUMBERS.replace("<TR>", "<TR><TD>0</TD>")),
    "stream http": lambda: stream("http://127.0.0.1:9/stars.bin"),
    "stream https": lambda: stream("https://127.0.0.1:9/stars.fits", "FITS"),
    "stream ftp": lambda: stream("ftp://127.0.0.1/stars.bin", "BINARY2"),
    "stream file": lambda: stream("file:///etc/hostname"),
    "stream parquet": lambda: stream("file:stars.parquet", "PARQUET"),
    "stream UTF-16": lambda: stream("http://127.0.0.1:9/").decode().encode("utf-16"),
    "stream with a prefix": lambda: (
        stream("http://127.0.0.1:9/")
        .replace(b"xmlns=", b"xmlns:v=")
        .replace(b"<", b"<v:")
        .replace(b"<v:/", b"</v:")
        .replace(b"<v:?", b"<?")
    ),
    "stream cut": lambda: votable('<BINARY><STREAM encoding="base64">QFTAAAAA</STREAM></BINARY>'),
    "entities": entities,
    "external entity": external,
    "rows huge": lambda: votable(NUMBERS, rows=' nrows="1000000000000"'),
    "rows many": lambda: votable(NUMBERS, rows=' nrows="300000000"'),
    "rows negative": lambda: votable(NUMBERS, rows=' nrows="-5"'),
    "arrays huge": lambda: votable(
        NUMBERS,
        fields='<FIELD name="ra" datatype="double" arraysize="99999999999"/><FIELD name="dec" '
        'datatype="double"/>',
    ),
    "datatype unknown": lambda: stars("votable").replace(b"double", b"trouble"),
    "deep": lambda: votable("<TABLEDATA>" + "<TR>" * 100_000),
    "cut.gz": lambda: gzip.compress(stars("votable"))[:300],
}

# Parquet


def patched(start, replacement):
    content = bytearray(stars("parquet"))
    start %= len(content)
    content[start : start + len(replacement)] = replacement
    return bytes(content)


def described():
    """A Parquet file whose description by astropy is broken."""
    from pyarrow import BufferOutputStream, parquet, table

    out = BufferOutputStream()
    columns = table({"ra": LON, "dec": LAT})
    parquet.write_table(columns.replace_schema_metadata({"table_meta_yaml": "{[}"}), out)
    return out.getvalue().to_pybytes()


PARQUET = {
    "empty": lambda: b"",
    "garbage": lambda: bytes(range(256)) * 20,
    "magic only": lambda: b"PAR1",
    "magic twice": lambda: b"PAR1PAR1",
    "text": lambda: b"ra,dec\n1,2\n",
    "cut": lambda: stars("parquet")[:-100],
    "footer too long": lambda: patched(-8, b"\xff\xff\xff\x7f"),
    "footer negative": lambda: patched(-8, b"\xff\xff\xff\xff"),
    "footer zero": lambda: patched(-8, b"\0\0\0\0"),
    "footer of zeros": lambda: patched(-300, b"\0" * 280),
    "footer of ones": lambda: patched(-300, b"\xff" * 280),
    "footer of noise": lambda: patched(-900, np.random.default_rng(1).bytes(800)),
    "encrypted": lambda: patched(-4, b"PARE"),
    "pages of noise": lambda: patched(4, np.random.default_rng(2).bytes(300)),
    "pages of zeros": lambda: patched(4, b"\0" * 300),
    "YAML": described,
    "no columns": lambda: stars("parquet", Table({"x": [1.0], "y": [2.0]})),
    "whole.gz": lambda: gzip.compress(stars("parquet")),
}

ENDINGS = {"fits": FITS, "csv": CSV, "ecsv": ECSV, "vot": VOTABLE, "parquet": PARQUET}

# Not files


def pipe(path):
    os.mkfifo(path)


PLACES = {
    "folder.fits": lambda path: path.mkdir(),
    "folder": lambda path: path.mkdir(),
    "missing.fits": lambda path: path,
    "pipe.csv": pipe,
    "dangling.fits": lambda path: path.symlink_to("nowhere.fits"),
    "loop.fits": lambda path: path.symlink_to("loop.fits"),
    "no ending": lambda path: path.write_text("ra,dec\n1,2\n"),
    "unknown.txt": lambda path: path.write_text("ra,dec\n1,2\n"),
    "stars.csv/within.csv": lambda path: path.parent.write_text("ra,dec\n1,2\n"),
    f"{'x' * 300}.csv": lambda path: path,
    "line\nfeed.csv": lambda path: path.write_text("x,y\n1,2\n"),
}

MISSING = "missing.fits", "dangling.fits", "loop.fits", "stars.csv/within.csv"

FILES = {
    f"{name}.{ending}" if not name.endswith(".gz") else f"{name[:-3]}.{ending}.gz": make
    for ending, makers in ENDINGS.items()
    for name, make in makers.items()
}


def limited(folder, function, arguments):
    """Run a function in a folder, in a process of which this is all, within limits."""

    def refuse(*_, **__):
        Path("connected").touch()
        raise OSError("no network here")

    socket.socket.connect = socket.getaddrinfo = urllib.request.urlopen = refuse
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + BYTES,) * 2)
    with Path("out").open("w") as sys.stdout, Path("err").open("w") as sys.stderr:
        try:
            status = function(*arguments)
        except SystemExit as leave:
            status = leave.code
    os._exit(status)


def run(folder, function, *arguments):
    """A function's exit status, and the lines that it wrote on stdout and stderr."""
    process = processes.Process(target=limited, args=(folder, function, arguments))
    process.start()
    process.join(6 * SECONDS)
    if process.exitcode is None:
        process.kill()
        process.join()
    texts = []
    for name in ("out", "err"):
        texts.append((folder / name).read_text().splitlines())
        (folder / name).unlink()
    return process.exitcode, *texts


def listing(folder):
    return sorted(str(path) for path in folder.rglob("*"))


def is_refused(folder, name):
    """Give a file to the command: one line, status 2, and no other file in the folder."""
    before = listing(folder)
    status, out, err = run(folder, main, [name, "-o", "map.png"])
    assert (status, out, len(err)) == (2, [], 1), (status, out, err)
    (line,) = err
    assert line.startswith("skyheat: error: ")
    assert line.isprintable()
    assert len(line) < LONGEST
    assert listing(folder) == before
    return line


def some(names, every):
    """Parameters of a test: the first of each ``every`` names; the others are marked slow."""
    return [
        pytest.param(name, marks=[] if number % every == 0 else pytest.mark.slow)
        for number, name in enumerate(names)
    ]


@pytest.mark.parametrize("name", some(FILES, 5))
def test_a_hostile_file_is_refused_in_one_line(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(FILES[name]())
    assert name in is_refused(tmp_path, name)


@pytest.mark.parametrize("name", some(PLACES, 4))
def test_what_is_no_file_is_refused_in_one_line(tmp_path, name):
    PLACES[name](tmp_path / name)
    line = is_refused(tmp_path, name)
    assert ("no such file" in line) == (name in MISSING)


GOOD = {
    "fits": ("fits", False),
    "fits.gz": ("fits", True),
    "csv": ("ascii.csv", False),
    "csv.gz": ("ascii.csv", True),
    "ecsv": ("ascii.ecsv", False),
    "vot": ("votable", False),
    "parquet": ("parquet", False),
}


def good(ending):
    file_format, is_compressed = GOOD[ending]
    content = stars(file_format)
    return gzip.compress(content) if is_compressed else content


@pytest.mark.parametrize("ending", some(GOOD, 7))
def test_a_good_file_is_read_within_the_same_limits(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    Path(f"stars.{ending}").write_bytes(good(ending))
    status, out, err = run(tmp_path, main, [f"stars.{ending}", "-o", "map.fits"])
    assert (status, len(out), err) == (0, 1, [])
    assert fits.getdata("map.fits", "COUNTS").sum() == ROWS


def damaged(content, rng):
    """A copy with some bytes changed, left out or repeated."""
    content = bytearray(content)
    for kind in rng.integers(4, size=rng.integers(1, 6)):
        place, length = int(rng.integers(len(content))), int(rng.integers(1, 30))
        if kind == 0:
            content[place] = int(rng.choice(list(b"0123456789-.,'\"<> ABDEPQX\0\xff")))
        elif kind == 1:
            content[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            content[place : place + length] = b""
        else:
            content[place:place] = content[place : place + length]
        content = content or bytearray(b"x")
    return bytes(content)


def read_damaged(ending, content, seed):
    """Read damaged files for half of the time that there is: numbers, or an error with the name."""
    warnings.simplefilter("ignore")
    name = f"stars.{ending}"
    for number in itertools.count():
        if sum(os.times()[:2]) > SECONDS / 2:
            return 0
        Path(name).write_bytes(damaged(content, np.random.default_rng([seed, number])))
        print(number, file=sys.stderr, flush=True)
        try:
            assert all(block.dropped >= 0 for block in read_catalogue((), name).blocks())
        except (OSError, TypeError, ValueError) as error:
            if name not in str(error):
                raise
    return 1


@pytest.mark.slow
@pytest.mark.parametrize("ending", GOOD)
def test_damaged_files_are_read_or_refused(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    seed = int(os.environ.get("SEED", "1"))
    status, _, numbers = run(tmp_path, read_damaged, ending, good(ending), seed)
    assert status == 0, f"SEED={seed}, file {numbers[-1]}"
    assert len(numbers) > 20
