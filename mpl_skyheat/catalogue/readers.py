"""Readers of FITS, ECSV, CSV, VOTable and Parquet files, which take the columns that are needed.

Each yields the tables of a file as `FileTable`. Nothing but the file itself is opened, whatever is
written in it.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias
from xml.parsers import expat

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mpl_skyheat.compute.memory import allowed_bytes
from mpl_skyheat.compute.warning import SkyHeatmapWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Opened: TypeAlias = gzip.GzipFile | IO[bytes]

# Text that stands for a missing number, beside no text at all.
NULLS = ("null", "NULL", "None", "NA", "N/A", "n/a", "--")

# First bytes of a file that gzip has compressed.
GZIP_MAGIC = b"\x1f\x8b"

# First line of an ECSV file, which may be called .csv (the Gaia archive's are).
ECSV_MAGIC = "# %ECSV"

NOT_TEXT = "it has null bytes: it is not text, or text that is not in UTF-8"

# Largest description of a table's columns (characters). 300,000 are read in a second.
LARGEST_YAML = 1_000_000

# Longest line with the names of a text file's columns (bytes).
LONGEST_LINE = 2**26

# Bytes of text that are read at once, and bytes of memory for each that are needed in the end.
CHUNK = 2**26
COPIES = 3

# Most columns that a FITS table may have by the standard.
MOST_FITS_COLUMNS = 999

# Keywords of FITS that must not be negative: with a negative size, astropy reads an HDU for ever.
FITS_SIZES = re.compile(r"NAXIS\d*|PCOUNT|GCOUNT|TFIELDS")

# Comments between which astropy describes the columns of a FITS table.
FITS_YAML = "--BEGIN-ASTROPY-SERIALIZED-COLUMNS--", "--END-ASTROPY-SERIALIZED-COLUMNS--"

# Name of `~astropy.coordinates.SkyCoord` in such descriptions.
SKY_COORD = "astropy.coordinates.sky_coordinate.SkyCoord"


@dataclass(frozen=True)
class FileTable:
    """A table of a file: its columns' names, and a function that reads some of them.

    ``load`` returns anything that `~mpl_skyheat.catalogue.tables.Table` takes. ``coordinates`` are
    the names of SkyCoords, and ``place`` says which table of the file this is. ``positions`` are
    the names of the columns of right ascension and declination, where the file itself tells them.
    """

    column_names: Sequence[str]
    load: Callable[[Sequence[str]], Any]
    coordinates: Sequence[str] = ()
    place: str = ""
    positions: Sequence[str] = ()


def ending_of(path: Path) -> str:
    """The ending of a file's name that tells its format."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _is_compressed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def _open(path: Path) -> Opened:
    """Open a file, which gzip may have compressed."""
    return gzip.open(path) if _is_compressed(path) else path.open("rb")


def _check_memory(needed: int) -> None:
    """Raise a ValueError if some bytes, which a small file can say that it has, are too many."""
    if needed > allowed_bytes():
        raise ValueError(
            f"it takes {needed / 2**30:.3g} GiB, more than half of this machine's memory"
        )


# FITS


def _fits_tables(path: Path) -> Iterator[FileTable]:
    """Yield the tables of a FITS file, which is mapped to memory unless it is compressed."""
    from astropy.io import fits

    with _open(path) as content:
        if content.read(6) != b"SIMPLE":
            raise ValueError("it does not begin with SIMPLE")
    with path.open("rb") as file, fits.open(file, memmap=True) as hdus:
        for number, hdu in enumerate(hdus):
            for card in hdu.header.cards:
                is_size = FITS_SIZES.fullmatch(card.keyword)
                if is_size and (not isinstance(card.value, int) or card.value < 0):
                    raise ValueError(f"{card.keyword} of HDU {number} is {card.value!r}")
            if not hasattr(hdu, "fileinfo"):  # one that astropy calls corrupted
                raise ValueError(f"the header of HDU {number} cannot be read")
            if isinstance(hdu, fits.BinTableHDU | fits.TableHDU):
                yield _fits_table(path, number, hdu)


def _fits_table(path: Path, number: int, hdu: Any) -> FileTable:
    header = hdu.header
    if header["TFIELDS"] > MOST_FITS_COLUMNS:
        raise ValueError(f"TFIELDS of HDU {number} is {header['TFIELDS']}")
    names = list(map(str, hdu.columns.names))
    _, _, description = "\n".join(map(str, header.get("COMMENT", ()))).partition(FITS_YAML[0])
    description = description.partition(FITS_YAML[1])[0].replace("\\\n", "")
    coordinates = _coordinates(_yaml_header(description.splitlines()))

    def load(wanted: Sequence[str]) -> Any:
        rows, width = header["NAXIS2"], header["NAXIS1"]
        end = hdu.fileinfo()["datLoc"] + rows * width
        if _is_compressed(path):
            _check_memory(end)
        elif end > path.stat().st_size:
            raise ValueError(
                f"it is cut short, or its header is wrong: HDU {number} should have {rows:,} rows "
                f"of {width:,} bytes"
            )
        if header["XTENSION"].strip() == "BINTABLE" and hdu.columns.dtype.itemsize != width:
            raise ValueError(
                f"its header is wrong: HDU {number} has rows of {width:,} bytes, and columns of "
                f"{hdu.columns.dtype.itemsize:,}"
            )
        table = hdu.data
        if not set(wanted) & set(coordinates):
            return table
        units = {column.name: column.unit for column in table.columns}
        return _with_coordinates(wanted, coordinates, units, lambda _: table)

    return FileTable([*names, *coordinates], load, tuple(coordinates), f"HDU {number}")


# What astropy writes of a table's columns in ECSV, FITS and Parquet


def _yaml_header(lines: Sequence[str]) -> dict[str, Any]:
    """The description of the columns of a table, which is YAML, as a dict."""
    from astropy.table.meta import get_header_from_yaml

    if not lines:
        return {"datatype": []}
    if sum(map(len, lines)) > LARGEST_YAML:
        raise ValueError(f"its header is longer than {LARGEST_YAML:,} characters")
    try:
        header: dict[str, Any] = get_header_from_yaml(lines)
        return header | {"datatype": [dict(column) for column in header["datatype"]]}
    except Exception as error:
        raise ValueError("its header does not describe the columns as ECSV does") from error


def _units(header: Mapping[str, Any]) -> dict[str, str | None]:
    return {str(column["name"]): column.get("unit") for column in header["datatype"]}


def _coordinates(header: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that are SkyCoords, and how each was taken apart into columns of numbers."""
    entries = (header.get("meta") or {}).get("__serialized_columns__", {})
    return {name: entry for name, entry in entries.items() if entry["__class__"] == SKY_COORD}


def _parts(entry: Mapping[str, Any]) -> dict[str, str]:
    """The components of a SkyCoord, and the names of their columns."""
    parts = {}
    for component, part in entry.items():
        while isinstance(part, dict) and "name" not in part:
            part = part.get("value", part.get("data"))
        if isinstance(part, dict):
            parts[component] = part["name"]
    return parts


def _with_coordinates(
    wanted: Sequence[str],
    coordinates: Mapping[str, Any],
    units: Mapping[str, str | None],
    read: Callable[[list[str]], Any],
) -> dict[str, Any]:
    """Columns by name, of which some are SkyCoords; ``read`` reads columns of numbers."""
    parts = {name: _parts(coordinates[name]) for name in wanted if name in coordinates}
    numbers = [name for name in wanted if name not in parts]
    table = read([*numbers, *(part for each in parts.values() for part in each.values())])
    columns = {name: table[name] for name in numbers}
    for name, components in parts.items():
        given = {
            component: np.ma.filled(np.ma.asarray(table[part]).astype(float), np.nan)
            << u.Unit(units[part])
            for component, part in components.items()
        }
        more = {k: v for k, v in coordinates[name].items() if k not in (*given, "__class__")}
        columns[name] = SkyCoord(**given, **more)
    return columns


# CSV and ECSV


def _text_tables(path: Path) -> Iterator[FileTable]:
    """Yield the table of a CSV or ECSV file."""
    with _open(path) as file:
        comments, line = [], _next_line(file)
        while line.startswith("#") or line.isspace():
            comments.append(line.strip())
            line = _next_line(file)
        if not line:
            raise ValueError("it has no line with the names of columns")
        if comments and comments[0].startswith(ECSV_MAGIC):
            yield _ecsv_table(comments, line, file)
        elif ending_of(path) == ".ecsv":
            raise ValueError(f"it does not begin with {ECSV_MAGIC!r}")
        else:
            yield _csv_table(comments, line, file)


def _next_line(file: Opened) -> str:
    line = file.readline(LONGEST_LINE)
    if b"\0" in line:
        raise ValueError(NOT_TEXT)
    if len(line) == LONGEST_LINE:
        raise ValueError(f"its first line is longer than {LONGEST_LINE >> 20} MiB")
    return line.decode("utf-8-sig", errors="replace")


def _rest(file: Opened) -> str:
    """The rows, without what is not ASCII: astropy's fast reader takes no more, nor do numbers."""
    parts, size = [], 0
    while part := file.read(CHUNK):
        parts.append(part.decode("ascii", errors="ignore"))
        size += len(part)
        _check_memory(COPIES * size)
    return "".join(parts)


def _csv_table(comments: list[str], line: str, file: Opened) -> FileTable:
    names = _fields(line, ",")
    if comments and names and all(map(_is_number, names)):
        # numpy.savetxt() writes the names as a comment.
        above = _fields(comments[-1].lstrip("# "), ",")
        if len(above) == len(names):
            return FileTable(above, lambda wanted: _rows(above, wanted, line + _rest(file), ","))
    return FileTable(names, lambda wanted: _rows(names, wanted, _rest(file), ","))


def _ecsv_table(comments: list[str], line: str, file: Opened) -> FileTable:
    header = _yaml_header([comment.removeprefix("#")[1:] for comment in comments[1:]])
    units, coordinates = _units(header), _coordinates(header)
    delimiter = header.get("delimiter", " ")
    names = _fields(line, delimiter)
    if names != list(units):
        raise ValueError("its header does not describe the columns that it has")

    def read(wanted: list[str]) -> dict[str, Any]:
        columns = _rows(names, wanted, _rest(file), delimiter)
        for name, column in columns.items():
            column.unit = _unit(units[name])
        return columns

    return FileTable(
        [*names, *coordinates],
        lambda wanted: _with_coordinates(wanted, coordinates, units, read),
        tuple(coordinates),
    )


def _unit(text: str | None) -> u.UnitBase | None:
    return None if text is None else u.Unit(text, parse_strict="silent")


def _fields(line: str, delimiter: str) -> list[str]:
    rows = csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True)
    return [name.strip() for name in next(rows, [])]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rows(names: list[str], wanted: Sequence[str], text: str, delimiter: str) -> dict[str, Any]:
    """Columns of numbers of the rows of a text, with a mask where one is missing."""
    from astropy.io import ascii as text_tables

    if "\0" in text:
        raise ValueError(NOT_TEXT)
    if text.count('"') % 2 and not _has_closed_quotes(text, delimiter):
        raise ValueError("a quotation mark is not closed")
    # Columns go by their number: names may be there twice.
    header = delimiter.join(map(str, range(len(names))))
    numbers = {name: str(names.index(name)) for name in wanted}
    # (In a text with a line feed, astropy does not see the name of a file or an address.)
    table = text_tables.read(
        f"{header}\n{text}\n",
        format="csv" if delimiter == "," else "basic",
        delimiter=delimiter,
        guess=False,
        fast_reader="force",
        include_names=list(numbers.values()),
        fill_values=[(null, "0") for null in ("", *NULLS)],
    )
    return {name: _as_numbers(table[number], name) for name, number in numbers.items()}


def _has_closed_quotes(text: str, delimiter: str) -> bool:
    try:
        for _ in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True):
            pass
    except csv.Error:
        return False
    return True


def _as_numbers(column: Any, name: str) -> Any:
    """A column as it is, if it has numbers; text is an error that names the first row of it."""
    if column.dtype.kind != "U":
        return column
    for row, text in enumerate(column):
        if text is not np.ma.masked and not _is_number(text):
            raise ValueError(
                f"{name} must be numbers; row {row} has {text[:60]!r} (read sexagesimal text with "
                "SkyCoord)"
            )
    return column.astype(float)


# VOTable


def _votable_tables(path: Path) -> Iterator[FileTable]:
    """Yield the tables of a VOTable."""
    with _open(path) as file:
        outlines = _votable_columns(file)
    for number, names in enumerate(outlines):
        yield FileTable(names, partial(_votable, path, number, names), place=f"table {number}")


def _votable_columns(file: Opened) -> list[list[str]]:
    """The names of the columns of each table of a VOTable that refers to nothing outside it.

    astropy would open what a STREAM refers to, be it an address or another file.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    tables: list[list[str]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "TABLE":
            tables.append([])
            rows = attributes.get("nrows", "0")
            if not rows.isdecimal() or int(rows) > size:
                raise ValueError(f"nrows of table {len(tables) - 1} is {rows[:60]!r}")
        elif tag == "FIELD" and tables:
            tables[-1].append(attributes.get("name", attributes.get("ID", "")))
        elif tag == "STREAM" and "href" in attributes:
            raise ValueError(
                f"its rows are elsewhere, in {attributes['href'][:60]!r}, which is not opened: "
                "save the table together with its rows"
            )

    def entity(name: str, *_: Any) -> None:
        raise ValueError(f"it defines the XML entity {name[:60]!r}, which no table needs")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EntityDeclHandler = start, entity
    parser.ParseFile(file)
    return tables


def _votable(path: Path, number: int, names: list[str], wanted: Sequence[str]) -> dict[str, Any]:
    from astropy.io import votable

    numbers = sorted({names.index(name) for name in wanted})
    with _open(path) as file, warnings.catch_warnings(record=True) as caught:
        # Of all that breaks the standard, only text in place of a number matters.
        warnings.simplefilter("ignore", votable.exceptions.VOWarning)
        warnings.simplefilter("always", votable.exceptions.W30)
        tree = votable.parse(file, columns=numbers, table_number=number, verify="warn")
        table = list(tree.iter_tables())[number].to_table()
    if caught:
        warnings.warn(f"in {path}: {caught[0].message}", SkyHeatmapWarning, stacklevel=2)
    columns = list(table.columns.values())
    if len(columns) < len(names):  # astropy 6.1 has the others, too, without their values
        names = [names[number] for number in numbers]
    return {name: columns[names.index(name)] for name in wanted}


# Parquet


def _parquet_tables(path: Path) -> Iterator[FileTable]:
    """Yield the table of a Parquet file."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            f"{path} is read by pyarrow, which is missing: pip install 'mpl-skyheat[parquet]'"
        ) from error

    with parquet.ParquetFile(path, memory_map=True) as file:
        columns = ArrowColumns(file.schema_arrow)

        def load(wanted: Sequence[str]) -> dict[str, Any]:
            stored = columns.stored(wanted)
            _check_memory(8 * file.metadata.num_rows * len(stored))
            return columns.taken(file.read(columns=stored), wanted)

        yield columns.described(load)


class ArrowColumns:
    """The columns that a schema of Arrow has, as astropy may have described them in a Parquet file.

    Those that astropy took apart are put together again: units, masks, and SkyCoords.
    """

    def __init__(self, schema: Any) -> None:
        self.names: list[str] = list(schema.names)
        metadata: Mapping[bytes, bytes] = schema.metadata or {}
        header = _yaml_header(metadata.get(b"table_meta_yaml", b"").decode().splitlines())
        self._units, self._coordinates = _units(header), _coordinates(header)

    def described(
        self, load: Callable[[Sequence[str]], Any], positions: Sequence[str] = ()
    ) -> FileTable:
        """A table of these columns, which a function reads."""
        names = [*self.names, *self._coordinates]
        return FileTable(names, load, tuple(self._coordinates), positions=positions)

    def stored(self, wanted: Sequence[str]) -> list[str]:
        """The names of the columns of a file that make the columns that are wanted."""
        parts = [
            part
            for name in wanted
            for part in (
                _parts(self._coordinates[name]).values() if name in self._coordinates else (name,)
            )
        ]
        masks = [f"{name}.mask" for name in parts if f"{name}.mask" in self._units]
        return list(dict.fromkeys([*parts, *masks]))

    def taken(self, table: Any, wanted: Sequence[str]) -> dict[str, Any]:
        """The columns that are wanted, by name, of an Arrow table of those that are stored."""

        def read(names: list[str]) -> dict[str, Any]:
            return {name: self._column(table, name) for name in names}

        return _with_coordinates(wanted, self._coordinates, self._units, read)

    def _column(self, table: Any, name: str) -> Any:
        """A column with the unit and the mask that astropy wrote beside it."""
        from astropy.table import MaskedColumn

        column, mask = table.column(name), f"{name}.mask"
        if self._units.get(name) is None and mask not in self._units:
            return column
        is_missing = table.column(mask).to_numpy() if mask in self._units else False
        return MaskedColumn(column.to_numpy(), mask=is_missing, unit=_unit(self._units[name]))


# Name and reader of each format, by the ending of a file's name, which ".gz" may follow.
READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    **dict.fromkeys((".fits", ".fit"), ("FITS", _fits_tables)),
    ".ecsv": ("ECSV", _text_tables),
    ".csv": ("CSV", _text_tables),
    **dict.fromkeys((".vot", ".votable", ".xml"), ("a VOTable", _votable_tables)),
    **dict.fromkeys((".parquet", ".pq"), ("Parquet", _parquet_tables)),
}
