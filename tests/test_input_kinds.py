"""Columns as archives, databases and other packages have them: names, units, nulls, objects."""

import decimal
import re
import warnings
from io import BytesIO
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS

from mpl_skyheat import sky_map
from mpl_skyheat.datasets import bright_stars

RNG = np.random.default_rng(20)
RA, DEC = RNG.uniform(148.5, 151.5, 200), RNG.uniform(18.5, 21.5, 200)
FIELD = WCS(
    {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 20.0, "CRPIX1": 20.5,
     "CRPIX2": 20.5, "CDELT1": -0.1, "CDELT2": 0.1, "NAXIS1": 40, "NAXIS2": 40}
)  # fmt: skip
ALL_SKY = WCS(
    {"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CRVAL1": 180.0, "CRVAL2": 0.0, "CRPIX1": 18.5,
     "CRPIX2": 9.5, "CDELT1": -10.0, "CDELT2": 10.0, "NAXIS1": 36, "NAXIS2": 18}
)  # fmt: skip


def right_counts(ra=RA, dec=DEC):
    x, y = FIELD.world_to_pixel_values(ra, dec)
    return np.histogram2d(y, x, bins=(40, 40), range=[(-0.5, 39.5)] * 2)[0]


def numbered():
    return pd.DataFrame(np.column_stack([RA, DEC]))


def nested():
    return pd.concat({"g": pd.DataFrame({"ra": RA, "dec": DEC})}, axis=1)


@pytest.mark.parametrize(
    ("names", "table"),
    [
        ((0, 1), numbered()),
        ((np.int64(0), np.int64(1)), numbered()),
        ((("g", "ra"), ("g", "dec")), nested()),
        ((2000, "y"), {2000: RA, "y": DEC}),
    ],
)
def test_names_of_columns_need_not_be_text(names, table):
    assert (sky_map(*names, data=table, wcs=FIELD).counts == right_counts()).all()


def test_weights_may_be_named_by_a_number():
    table = numbered().assign(w=2.0).set_axis([0, 1, 2], axis=1)
    assert sky_map(0, 1, data=table, weights=2, wcs=FIELD).counts.sum() == 400


@pytest.mark.parametrize(
    ("names", "table", "message"),
    [
        ((), numbered(), "found none among 0, 1: name the two"),
        ((5, 1), numbered(), "no column 5 in data; it has 0, 1"),
        (("ra", "dec"), nested(), "no column 'ra' in data; .* in a MultiIndex a column's name is"),
        (("ra", "dec"), pd.concat([pd.DataFrame({"ra": RA, "dec": DEC})] * 2, axis=1),
         "'ra' is there twice in data"),
        ((), dict.fromkeys(("RAh", "RAm", "RAs", "DE-", "DEd", "DEm", "DEs"), RA),
         "make a SkyCoord of the columns RAh, RAm, RAs"),
    ],
)  # fmt: skip
def test_names_that_are_not_there_once_are_refused(names, table, message):
    with pytest.raises(ValueError, match=message):
        sky_map(*names, data=table, wcs=FIELD)


@pytest.mark.parametrize(
    "names",
    [
        ("coord_ra", "coord_dec"),
        ("TARGET_RA", "TARGET_DEC"),
        ("ra", "decl"),
        ("ALPHAWIN_J2000", "DELTAWIN_J2000"),
        ("RIGHT_ASCENSION", "DECLINATION"),
    ],
)
def test_the_names_of_archives_are_found(names):
    table = {"id": RA, names[0]: RA, names[1]: DEC}
    assert (sky_map(data=table, wcs=FIELD).counts == right_counts()).all()


def test_the_usual_names_come_before_the_rarer():
    table = {"TARGET_RA": DEC, "TARGET_DEC": RA, "ra": RA, "dec": DEC}
    assert (sky_map(data=table, wcs=FIELD).counts == right_counts()).all()


def arrow_decimals():
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.table(
        {"ra": pyarrow.array(map(decimal.Decimal, map(repr, RA.tolist()))), "dec": DEC}
    )


def xarray_dataset():
    xarray = pytest.importorskip("xarray")
    return xarray.Dataset({"mag": ("star", RA)}, {"ra": ("star", RA), "dec": ("star", DEC)})


def zarr_group():
    zarr = pytest.importorskip("zarr")
    group = zarr.group()
    for name, column in (("ra", RA), ("dec", DEC)):
        group.create_array(name, data=column)
    return group


@pytest.mark.parametrize("make", [arrow_decimals, xarray_dataset, zarr_group])
def test_tables_of_other_packages_are_read(make):
    assert (sky_map("ra", "dec", data=make(), wcs=FIELD).counts == right_counts()).all()


@pytest.mark.parametrize(
    "ra", [[*RA, None], [*map(decimal.Decimal, map(repr, RA.tolist())), None], [*RA, np.nan]]
)
def test_objects_that_are_numbers_or_none_are_numbers(ra):
    sky = sky_map(np.array(ra, object), [*DEC, 1.0], wcs=FIELD)
    assert (sky.counts == right_counts()).all()
    assert sky.meta["dropped"] == 1


@pytest.mark.parametrize("ra", [["150", None], [[1, 2], None], [object()] * 2, ["1", "2"]])
def test_objects_that_are_no_numbers_are_refused(ra):
    with pytest.raises(TypeError, match="ra must be numbers or angles; got an array of"):
        sky_map(np.array([*ra, 0], object)[:2], [20.0, 20.0], wcs=FIELD)


@pytest.mark.parametrize("scale", [1e-5, 2.0**-20])
@pytest.mark.parametrize("zero", [0.0, 150.0])
def test_null_values_of_scaled_integers_are_missing(scale, zero):
    raw = np.round((RA - zero) / scale).astype("i4")
    raw[:5] = -(2**31)
    columns = fits.Column("RA", "J", array=raw), fits.Column("DEC", "D", array=DEC)
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update({"TSCAL1": scale, "TZERO1": zero, "TNULL1": -(2**31), "TUNIT1": "deg"})
    sky = sky_map(data=_written(table)[1], wcs=FIELD)
    assert sky.meta["dropped"] == 5
    assert (sky.counts == right_counts(raw[5:] * scale + zero, DEC[5:])).all()


@pytest.mark.parametrize("missing", [-32768, 7])
def test_null_values_of_unsigned_integers_are_missing(missing):
    raw = np.arange(-100, 100, dtype="i2")
    raw[:3] = missing
    table = fits.BinTableHDU.from_columns(
        [fits.Column("ra", "D", array=RA), fits.Column("dec", "D", array=DEC),
         fits.Column("w", "I", array=raw)]
    )  # fmt: skip
    table.header.update({"TZERO3": 32768, "TNULL3": missing})
    sky = sky_map(data=_written(table)[1], weights="w", wcs=FIELD)
    assert sky.meta["dropped"] == np.count_nonzero(raw == missing)


def _written(table):
    file = BytesIO()
    table.writeto(file)
    return fits.open(BytesIO(file.getvalue()), uint=True)


def test_missing_colours_of_the_shipped_stars_are_masked():
    colour = bright_stars()["BT_VT"]
    assert colour.mask.sum() == 239
    assert colour.min() > -5
    assert colour.unit == u.mag


class Measured(np.ndarray):
    """Numbers of a package with units of its own, as unyt's are."""


@pytest.mark.parametrize("unit", ["rad", "radian", "radians", "'rad'", "Angle[rad]", "RAD"])
def test_units_of_other_packages_and_spellings_are_read(unit):
    ra, dec = (np.radians(v).view(Measured) for v in (RA, DEC))
    ra.units = dec.units = unit
    assert sky_map(ra, dec, wcs=FIELD).counts.sum() == 200


@pytest.mark.parametrize("package", ["pint", "unyt"])
def test_radians_of_pint_and_unyt_are_radians(package):
    units = pytest.importorskip(package)
    make = units.UnitRegistry().Quantity if package == "pint" else units.unyt_array
    ra, dec = (make(np.radians(v), "radian") for v in (RA, DEC))
    assert sky_map(ra, dec, wcs=FIELD).counts.sum() == 200


@pytest.mark.parametrize("unit", ["hours", "h", "hourangle"])
def test_hours_of_right_ascension_are_angles(unit):
    ra = (RA / 15).view(Measured)
    ra.units = unit
    assert sky_map(ra, DEC, wcs=FIELD).counts.sum() == 200


def test_a_unit_that_nobody_knows_names_the_column():
    ra = RA.view(Measured)
    ra.units = "furlongs"
    with pytest.raises(ValueError, match=r"ra must be an angle .*got unit 'furlongs'"):
        sky_map(ra, DEC, wcs=FIELD)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("nanomaggies", u.nmgy),
        ("counts", u.ct),
        ("Msun", u.solMass),
        ("counts/s", u.ct / u.s),
        ("electrons", u.electron),
    ],
)
def test_weights_have_the_units_of_archives(text, unit):
    column = u.Unit(text, format="fits", parse_strict="silent")
    table = Table({"ra": RA, "dec": DEC, "w": np.ones(200)}, units={"w": column})
    sky = sky_map(data=table, weights="w", wcs=FIELD)
    assert sky.unit.is_equivalent(unit / u.sr)


def test_weights_keep_a_unit_that_nobody_knows():
    table = Table({"ra": RA, "dec": DEC, "w": np.ones(200)})
    table["w"].unit = u.Unit("widgets", parse_strict="silent")
    first, second = (sky_map(data=table, weights="w", wcs=FIELD) for _ in range(2))
    assert str(first.unit).startswith("widgets")
    assert first.unit == second.unit


WHOLE = RNG.uniform(0, 2 * np.pi, 3_000), np.arcsin(RNG.uniform(-1, 1, 3_000))


@pytest.mark.parametrize(
    ("lon", "lat", "message"),
    [
        (WHOLE[0], WHOLE[1], r"whole sky in radians: write ra\*u.rad, dec\*u.rad"),
        (WHOLE[0] - np.pi, WHOLE[1], r"whole sky in radians: write ra\*u.rad, dec\*u.rad"),
        (WHOLE[0] * 12 / np.pi, np.degrees(WHOLE[1]), "right ascensions .* in hours"),
        (WHOLE[0], np.degrees(WHOLE[1]), "longitudes of the whole sky in radians"),
        (np.degrees(WHOLE[0]), WHOLE[1], "latitudes of the whole sky in radians"),
        (WHOLE[1], WHOLE[0], "in radians and swapped"),
        (WHOLE[0], np.pi / 2 - WHOLE[1], "colatitudes"),
        (np.pi / 2 - WHOLE[1], WHOLE[0], "healpy's theta and phi"),
    ],
)
def test_a_whole_sky_that_is_not_in_degrees_is_warned_of(lon, lat, message):
    with pytest.warns(AstropyUserWarning, match=message):
        sky_map(lon, lat, wcs=ALL_SKY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sky_map(lon * u.deg, lat * u.deg, wcs=ALL_SKY)


@pytest.mark.parametrize(
    ("lon", "lat"),
    [
        (np.degrees(WHOLE[0]), np.degrees(WHOLE[1])),
        # A stripe on the equator, evenly filled.
        (np.degrees(WHOLE[0]), RNG.uniform(-1.5, 1.5, 3_000)),
        (np.degrees(WHOLE[0]), RNG.uniform(-1.25, 1.25, 3_000)),
        # Fields, and strips of right ascension.
        (WHOLE[0], RNG.uniform(-30, 30, 3_000)),
        (RNG.uniform(0, 24, 3_000), RNG.uniform(-40, 40, 3_000)),
        (RNG.uniform(5, 20, 3_000), np.degrees(WHOLE[1])),
    ],
)
def test_positions_in_degrees_are_not_warned_of(lon, lat):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sky_map(lon, lat, wcs=ALL_SKY)


def test_colatitudes_are_named_where_they_are_refused():
    with pytest.raises(ValueError, match=r"write 90 - dec if it is a colatitude"):
        sky_map(np.degrees(WHOLE[0]), 90 - np.degrees(WHOLE[1]), wcs=ALL_SKY)


def test_an_empty_chunk_is_refused_by_name():
    with pytest.raises(TypeError, match=r"points must come in chunks of .* got 0 items"):
        sky_map(iter([()]), wcs=FIELD)


@pytest.mark.parametrize("name", ["variables", "colnames", "column_names", "keys", "columns"])
def test_names_of_columns_may_be_those_of_attributes(name):
    table = pd.DataFrame({"ra": RA, "dec": DEC, name: 1.0})
    assert (sky_map(data=table, wcs=FIELD).counts == right_counts()).all()


def test_names_of_columns_may_be_any_value():
    table = pd.DataFrame({0.5: RA, pd.Timestamp("2020"): DEC})
    counts = sky_map(0.5, pd.Timestamp("2020"), data=table, wcs=FIELD).counts
    assert (counts == right_counts()).all()


def test_a_column_that_is_there_twice_is_named_where_names_are_not_given():
    table = pd.concat([pd.DataFrame({"ra": RA, "dec": DEC})] * 2, axis=1)
    with pytest.raises(ValueError, match="the column 'ra' is there twice in data"):
        sky_map(data=table, wcs=FIELD)


TABLE = Table({"ra": RA, "dec": DEC})


@pytest.mark.parametrize(
    "table",
    [TABLE, TABLE.to_pandas(), TABLE.as_array(), dict(TABLE.columns), fits.table_to_hdu(TABLE),
     iter([TABLE.to_pandas()])],
    ids=lambda table: type(table).__name__,
)  # fmt: skip
def test_a_table_may_be_the_first_argument(table):
    assert (sky_map(table, wcs=FIELD).counts == right_counts()).all()


@pytest.mark.parametrize("missing", [pd.NA, None, np.ma.masked])
def test_missing_objects_are_dropped(missing):
    ra = np.ma.array([*RA, 0], object)
    ra[-1] = missing
    sky = sky_map(ra if missing is np.ma.masked else ra.data, [*DEC, 1.0], wcs=FIELD)
    assert (sky.counts == right_counts()).all()
    assert sky.meta["dropped"] == 1


class Stored(np.ndarray):
    """Numbers with attributes in a mapping that is no dict, as those of zarr and h5py."""


@pytest.mark.parametrize("unit", ["rad", b"radians"])
def test_units_of_stored_arrays_are_read(unit):
    ra, dec = (np.radians(v).view(Stored) for v in (RA, DEC))
    ra.attrs = dec.attrs = MappingProxyType({"units": unit})
    assert sky_map(ra, dec, wcs=FIELD).counts.sum() == 200


@pytest.mark.parametrize("unit", ["[deg]", "furlongs"])
@pytest.mark.parametrize("kind", ["FITS", "Table", "QTable"])
def test_a_unit_that_is_no_angle_names_the_column_of_the_table(kind, unit):
    hdu = fits.BinTableHDU.from_columns(
        [fits.Column(n, "D", unit=unit, array=v) for n, v in (("RAJ2000", RA), ("DEJ2000", DEC))]
    )
    table = hdu.data
    if kind != "FITS":
        table = {"Table": Table, "QTable": QTable}[kind]({"RAJ2000": RA, "DEJ2000": DEC})
        table["RAJ2000"].unit = u.Unit(unit, parse_strict="silent")
    with pytest.raises(ValueError, match=rf"got unit '{re.escape(unit)}' of column 'RAJ2000'"):
        sky_map(data=table, wcs=FIELD)


def test_declinations_are_not_in_hours():
    with pytest.raises(ValueError, match="dec must be an angle"):
        sky_map(RA / 15 * u.hour, DEC / 15 * u.hour, wcs=FIELD)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("e-/sec", u.electron / u.s),
        ("'electron'.s**-1", u.electron / u.s),  # of the Gaia archive
        ("1e-17 erg/(s cm2 Ang)", u.Unit("1e-17 erg / (s cm2 Angstrom)")),
        ("[Msun]", None),  # a logarithm in tables of CDS
    ],
)
def test_spellings_within_units_of_weights_are_read(text, unit):
    weights = np.ones(200).view(Measured)
    weights.units = text
    sky = sky_map(RA, DEC, weights=weights, wcs=FIELD)
    assert sky.unit.is_equivalent((unit or u.solMass) / u.sr) is (unit is not None)
