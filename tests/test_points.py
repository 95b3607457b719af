"""Every accepted form of a catalogue gives the same counts, and they are astropy's."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from astropy import units as u
from astropy.coordinates import (
    FK4,
    FK5,
    ICRS,
    Angle,
    BarycentricMeanEcliptic,
    Galactic,
    Latitude,
    Longitude,
    SkyCoord,
    Supergalactic,
)
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from astropy.wcs import WCS
from matplotlib.figure import Figure
from numpy.testing import assert_array_equal

from mpl_skyheat import sky_map
from mpl_skyheat.catalogue.blocks import BLOCK_ROWS
from mpl_skyheat.catalogue.reading import read_catalogue

try:
    import pyarrow as pa
except ImportError:  # also where it is too new for the oldest numpy
    pa = None

SHAPE = (30, 40)


def make_wcs(lon="RA---TAN", lat="DEC--TAN", center=(0.3, 20.2), **cards):
    """Return a rotated WCS whose field of 52° x 39° holds RA = 0h."""
    header = {"CTYPE1": lon, "CTYPE2": lat, "CRVAL1": center[0], "CRVAL2": center[1]}
    header |= {"CRPIX1": 20.5, "CRPIX2": 15.5, "CDELT1": -1.3, "CDELT2": 1.3}
    header |= {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8}
    return WCS(header | cards)


def count(x, y, weights=1):
    """Return the counts by the definition: pixel i holds i - 0.5 <= x < i + 0.5."""
    columns, rows = np.floor(x + 0.5).astype(int), np.floor(y + 0.5).astype(int)
    inside = (columns >= 0) & (columns < SHAPE[1]) & (rows >= 0) & (rows < SHAPE[0])
    counts = np.zeros(SHAPE, np.result_type(weights))
    added = np.broadcast_to(weights, x.shape)[inside]
    np.add.at(counts, (rows[inside], columns[inside]), added)
    return counts


# Whole degrees are the same number in every form. One in five is outside the field.
rng = np.random.default_rng(20)
RA = rng.integers(-33, 33, 400) % 360.0
DEC = rng.integers(-3, 43, 400).astype(float)
SKY = SkyCoord(RA, DEC, unit="deg")
WEIGHTS = rng.integers(0, 8, 400) / 4
FIELD = {"wcs": make_wcs(), "shape": SHAPE}
X, Y = FIELD["wcs"].world_to_pixel_values(RA, DEC)
COUNTS = count(X, Y)
WEIGHTED = count(X, Y, WEIGHTS)


def test_positions_are_clear_of_pixel_edges():
    """Else rounding in a change of frame would be a difference, which it is not."""
    from_edge = np.abs(np.array([X, Y]) + 0.5 - np.rint(np.array([X, Y]) + 0.5))
    assert from_edge.min() > 1e-6
    assert 0 < COUNTS.sum() < len(RA)
    assert COUNTS.max() > 1


FAR = SkyCoord(RA, DEC, np.geomspace(1, 1e6, 400), unit=("deg", "deg", "pc"))
MOVING = SkyCoord(
    SKY, pm_ra_cosdec=np.full(400, 9) * u.mas / u.yr, pm_dec=np.full(400, -5) * u.mas / u.yr
)
POINTS = {
    "arrays": (RA, DEC),
    "lists": (RA.tolist(), DEC.tolist()),
    "tuples": (tuple(RA), tuple(DEC)),
    "big-endian arrays": (RA.astype(">f8"), DEC.astype(">f4")),
    "float32 arrays": (RA.astype(np.float32), DEC.astype(np.float32)),
    "int arrays": (RA.astype(np.int64), DEC.astype(np.int16)),
    "unsigned and big-endian ints": (RA.astype(np.uint16), DEC.astype(">i4")),
    "lists of ints": (RA.astype(int).tolist(), DEC.astype(int).tolist()),
    "strided views": (np.column_stack([RA, DEC])[:, 0], np.repeat(DEC, 2)[::2]),
    "2-D arrays": (RA.reshape(20, 20), DEC.reshape(20, 20)),
    "transposed arrays": (RA.reshape(20, 20).T, DEC.reshape(20, 20).T),
    "negative longitudes": (RA - 360, DEC),
    "masked arrays, nothing masked": (np.ma.array(RA), np.ma.array(DEC)),
    "Quantity in deg": (RA * u.deg, DEC * u.deg),
    "Quantity in rad": (np.radians(RA) * u.rad, np.radians(DEC) * u.rad),
    "Quantity in hourangle and arcmin": (RA / 15 * u.hourangle, DEC * 60 * u.arcmin),
    "Quantity and bare numbers": (RA / 15 * u.hourangle, DEC),
    "Masked Quantity": (Masked(RA * u.deg), Masked(DEC * u.deg)),
    "Longitude and Latitude": (Longitude(RA, "deg"), Latitude(DEC, "deg")),
    "Longitude that wraps at 180 deg": (SKY.ra.wrap_at("180d"), SKY.dec),
    "Angle of text": (Angle([f"{a}d" for a in RA]), Angle([f"{a}d" for a in DEC])),
    "lists of Quantity": (list(RA / 15 * u.hourangle), tuple(DEC * u.deg)),
    "Column with unit": (Column(np.radians(RA), unit="rad"), Column(DEC, unit="deg")),
    "Column without unit": (Column(RA), MaskedColumn(DEC)),
    "SkyCoord icrs": (SKY,),
    "SkyCoord galactic": (SKY.galactic,),
    "SkyCoord fk5": (SKY.fk5,),
    "SkyCoord fk5 of J1975": (SKY.transform_to(FK5(equinox="J1975")),),
    "SkyCoord fk4": (SKY.fk4,),
    "SkyCoord barycentricmeanecliptic": (SKY.barycentricmeanecliptic,),
    "SkyCoord gcrs": (SKY.gcrs,),
    "SkyCoord with distances": (FAR,),
    "SkyCoord fk4 with distances": (FAR.fk4,),
    "SkyCoord hcrs with distances": (FAR.hcrs,),
    "SkyCoord of cartesian representation": (SkyCoord(FAR, representation_type="cartesian"),),
    "SkyCoord with proper motions": (MOVING.galactic,),
    "SkyCoord 2-D": (SKY.galactic.reshape(10, 40),),
    "frame with data": (SKY.galactic.frame,),
    "pandas Series": (pd.Series(RA), pd.Series(DEC)),
    "pandas Series of another order": (pd.Series(RA, index=range(400, 0, -1)), pd.Series(DEC)),
    "pandas nullable": (pd.Series(RA, dtype="Float64"), pd.Series(DEC, dtype="Int64")),
    "polars Series": (pl.Series(RA), pl.Series(DEC, dtype=pl.Float32)),
}
COLUMNS = {"id": np.arange(400), "ra": RA, "dec": DEC, "flux": WEIGHTS}


def structured(endian="="):
    array = np.empty(400, [(name, f"{endian}f8") for name in COLUMNS])
    for name, values in COLUMNS.items():
        array[name] = values
    return array


def fits_columns(unit=None):
    scale = u.deg.to(unit) if unit else 1
    return [
        fits.Column("ra", "D", unit, array=RA * scale),
        fits.Column("dec", "D", unit, array=DEC * scale),
        fits.Column("flux", "E", "Jy", array=WEIGHTS),
    ]


def reopened_hdu(path, columns):
    fits.BinTableHDU.from_columns(columns).writeto(path / "stars.fits")
    with fits.open(path / "stars.fits", memmap=False) as hdus:
        return hdus[1].copy()


TABLES = {
    "Table": lambda _: Table(COLUMNS),
    "Table with units": lambda _: Table(COLUMNS, units={"ra": "deg", "dec": "deg"}),
    "masked Table": lambda _: Table(COLUMNS, masked=True),
    "QTable": lambda _: QTable({"ra": RA / 15 * u.hourangle, "dec": Latitude(DEC * u.deg)}),
    "structured array": lambda _: structured(),
    "big-endian recarray": lambda _: structured(">").view(np.recarray),
    "FITS_rec": lambda path: reopened_hdu(path, fits_columns()).data,
    "FITS_rec in rad": lambda path: reopened_hdu(path, fits_columns("rad")).data,
    "FITS_rec of unsigned ints": lambda path: (
        reopened_hdu(
            path,
            [fits.Column("ra", "I", bzero=2**15, array=RA.astype(np.uint16)), fits_columns()[1]],
        ).data
    ),
    "BinTableHDU": lambda _: fits.BinTableHDU.from_columns(fits_columns("deg")),
    "BinTableHDU reopened": lambda path: reopened_hdu(path, fits_columns("rad")),
    "pandas": lambda _: pd.DataFrame(COLUMNS),
    "pandas nullable": lambda _: pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas with a column called header": lambda _: pd.DataFrame(COLUMNS | {"header": 1}),
    "polars": lambda _: pl.DataFrame(COLUMNS),
    "dict": lambda _: COLUMNS,
    "dict of lists and Series": lambda _: {"ra": RA.tolist(), "dec": pd.Series(DEC)},
}
if pa:
    POINTS |= {
        "pyarrow arrays": (pa.array(RA), pa.array(DEC.astype(np.int32))),
        "pyarrow chunked arrays": (pa.chunked_array([RA[:9], RA[9:]]), pa.chunked_array([DEC])),
        "pandas arrow": (pd.Series(RA, dtype="double[pyarrow]"), pd.Series(DEC)),
    }
    TABLES |= {
        "pyarrow Table": lambda _: pa.table(COLUMNS),
        "pyarrow RecordBatch": lambda _: pa.RecordBatch.from_pydict(COLUMNS),
    }


@pytest.fixture(params=[*POINTS, *(f"names, {name}" for name in TABLES)])
def catalogue(request, tmp_path):
    """Return the points and data of one accepted form of a catalogue."""
    form = request.param.removeprefix("names, ")
    if request.param in POINTS:
        return POINTS[form], None
    return ("ra", "dec"), TABLES[form](tmp_path)


def test_every_form_gives_the_same_counts(catalogue):
    points, data = catalogue
    counts = sky_map(*points, data=data, **FIELD).counts
    assert counts.dtype == np.int64
    assert_array_equal(counts, COUNTS)


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_recognised_on_their_own(table, tmp_path):
    assert_array_equal(sky_map(data=TABLES[table](tmp_path), **FIELD).counts, COUNTS)


USUAL_NAMES = """
    ra/dec RA/DEC Ra/Dec RA/DE RAJ2000/DEJ2000 RAJ2000/DECJ2000 _RAJ2000/_DEJ2000 RA_ICRS/DE_ICRS
    RA_ICRS/DEC_ICRS _RA.icrs/_DE.icrs _RA_icrs/_DE_icrs raMean/decMean _RA/_DE RAdeg/DEdeg
    RAdeg/DECdeg ra_deg/dec_deg ALPHA_J2000/DELTA_J2000 s_ra/s_dec
"""


@pytest.mark.parametrize("names", USUAL_NAMES.split())
def test_usual_names_are_recognised(names):
    lon, lat = names.split("/")
    table = {"l": DEC, "b": DEC, lon: RA, "pmra": DEC, lat: DEC, "ra_error": DEC}
    assert_array_equal(sky_map(data=table, **FIELD).counts, COUNTS)


@pytest.mark.parametrize(
    ("frame", "names"),
    [
        *(("galactic", n) for n in ("l/b", "L/B", "GLON/GLAT", "gal_lon/gal_lat")),
        *(("barycentricmeanecliptic", n) for n in ("elon/elat", "ecl_lon/ecl_lat")),
    ],
)
def test_usual_names_are_those_of_the_frame(frame, names):
    lon, lat = names.split("/")
    sky = SKY.transform_to(frame).spherical
    table = {"ra": DEC, "dec": DEC, lon: sky.lon.deg, lat: sky.lat.deg}
    assert_array_equal(sky_map(data=table, frame=frame, **FIELD).counts, COUNTS)


@pytest.mark.parametrize("points", [(), ("sky",)], ids=["alone", "by name"])
@pytest.mark.parametrize("kind", [Table, QTable])
def test_a_skycoord_column_is_a_catalogue(kind, points):
    table = kind({"mag": DEC, "sky": SKY.galactic})
    assert_array_equal(sky_map(*points, data=table, **FIELD).counts, COUNTS)


def test_a_name_and_an_array_go_together():
    assert_array_equal(sky_map("ra", DEC, data=Table(COLUMNS), **FIELD).counts, COUNTS)


def test_a_skycoord_keeps_its_frame_whatever_the_frame_of_numbers():
    assert_array_equal(sky_map(SKY.galactic, frame="fk4", **FIELD).counts, COUNTS)


@pytest.mark.parametrize("points", [(2, 25), (2 * u.deg, 25.0), (SkyCoord("2d 25d"),)])
def test_one_point_is_a_catalogue(points):
    x, y = FIELD["wcs"].world_to_pixel_values([2], [25])
    assert_array_equal(sky_map(*points, **FIELD).counts, count(x, y))


# Rows that are missing in the position, and those that are so by the weight.
LOST = [0, 77, 399]
UNWEIGHED = [5, 77]
HOLES = np.isin(np.arange(400), LOST)
KEPT = count(X[~HOLES], Y[~HOLES])
RA_NAN = np.where(HOLES, np.nan, RA)
RA_NONE = [None if hole else ra for hole, ra in zip(HOLES, RA, strict=True)]
INCOMPLETE = {
    "NaN": (RA_NAN, DEC),
    "infinite longitude": (np.where(HOLES, np.inf, RA), DEC),
    "infinite latitude": (RA, np.where(HOLES, np.inf, DEC)),
    "latitude of minus infinity": (RA, np.where(HOLES, -np.inf, DEC)),
    "NaN in a Quantity": (RA_NAN * u.deg, DEC * u.deg),
    "NaN in a SkyCoord": (SkyCoord(RA_NAN, DEC, unit="deg").fk4,),
    "masked array": (np.ma.array(RA, mask=HOLES), DEC),
    "masked int array": (RA, np.ma.array(DEC.astype(int), mask=HOLES)),
    "Masked Quantity": (Masked(RA * u.deg, mask=HOLES), DEC * u.deg),
    "Masked Latitude": (RA, Masked(Latitude(DEC * u.deg), mask=HOLES)),
    "MaskedColumn of -999": (RA, MaskedColumn(np.where(HOLES, -999, DEC), mask=HOLES)),
    "masked QTable column": (QTable({"ra": Masked(RA * u.deg, mask=HOLES)})["ra"], DEC),
    "pandas NA": (pd.Series(RA).mask(HOLES).astype("Float64"), DEC),
    "pandas NA among ints": (RA, pd.Series(DEC).mask(HOLES).astype("Int64")),
    "polars null": (pl.Series(RA_NONE), DEC),
}
if pa:
    INCOMPLETE |= {
        "pyarrow null": (pa.array(RA_NONE), DEC),
        "pandas arrow null": (pd.Series(RA_NONE, dtype="double[pyarrow]"), DEC),
    }


@pytest.mark.parametrize("form", INCOMPLETE)
def test_missing_positions_are_dropped_and_counted(form):
    made = sky_map(*INCOMPLETE[form], **FIELD)
    assert_array_equal(made.counts, KEPT)
    assert (made.meta["read"], made.meta["dropped"]) == (400, 3)
    assert made.meta["inside"] == KEPT.sum()
    assert made.meta["outside"] == 397 - KEPT.sum()


def test_blocks_of_rows_are_one_catalogue():
    repeats = BLOCK_ROWS // 400 + 2
    made = sky_map(np.tile(RA_NAN, repeats), np.tile(DEC, repeats), **FIELD)
    assert_array_equal(made.counts, repeats * KEPT)
    assert made.meta["dropped"] == 3 * repeats


WEIGHT_FORMS = {
    "array": (WEIGHTS, None),
    "big-endian float32": (WEIGHTS.astype(">f4"), None),
    "list": (WEIGHTS.tolist(), None),
    "pandas nullable": (pd.Series(WEIGHTS, dtype="Float64"), None),
    "polars": (pl.Series(WEIGHTS), None),
    "column name": ("flux", None),
    "Quantity": (WEIGHTS * u.Jy, u.Jy),
    "list of Quantity": (list(WEIGHTS * u.Jy), u.Jy),
    "Column with unit": (Column(WEIGHTS, unit="Jy"), u.Jy),
}


@pytest.mark.parametrize("form", WEIGHT_FORMS)
@pytest.mark.parametrize(
    ("statistic", "per"), [("density", u.deg**2), ("count", u.dimensionless_unscaled)]
)
def test_weights_are_summed_and_their_unit_carries_over(form, statistic, per):
    weights, unit = WEIGHT_FORMS[form]
    made = sky_map("ra", "dec", data=COLUMNS, weights=weights, statistic=statistic, **FIELD)
    assert_array_equal(made.counts, WEIGHTED)
    assert made.unit == (unit or u.dimensionless_unscaled) / per


def test_unit_of_a_fits_column_of_weights_carries_over(tmp_path):
    made = sky_map(data=reopened_hdu(tmp_path, fits_columns()), weights="flux", **FIELD)
    assert_array_equal(made.counts, WEIGHTED)
    assert made.unit == u.Jy / u.deg**2


NO_WEIGHT = np.isin(np.arange(400), UNWEIGHED)
LOST_WEIGHTS = {
    "NaN": np.where(NO_WEIGHT, np.nan, WEIGHTS),
    "infinity": np.where(NO_WEIGHT, np.inf, WEIGHTS),
    "masked": np.ma.array(WEIGHTS, mask=NO_WEIGHT),
    "Masked Quantity": Masked(WEIGHTS * u.Jy, mask=NO_WEIGHT),
    "masked -999": MaskedColumn(np.where(NO_WEIGHT, -999, WEIGHTS), mask=NO_WEIGHT),
    "pandas NA": pd.Series(WEIGHTS).mask(NO_WEIGHT).astype("Float64"),
}


@pytest.mark.parametrize("form", LOST_WEIGHTS)
def test_rows_without_weight_are_dropped_and_counted(form):
    made = sky_map(RA_NAN, DEC, weights=LOST_WEIGHTS[form], **FIELD)
    keep = ~(HOLES | NO_WEIGHT)
    assert_array_equal(made.counts, count(X[keep], Y[keep], WEIGHTS[keep]))
    assert made.meta["dropped"] == len({*LOST, *UNWEIGHED})
    assert sum(made.meta[part] for part in ("dropped", "inside", "outside")) == 400


OF_NUMBERS = [
    ("icrs", ICRS()),
    ("galactic", Galactic()),
    ("FK5", FK5(equinox="J2000")),
    ("fk4", FK4(equinox="B1950")),
    ("supergalactic", Supergalactic()),
    ("barycentricmeanecliptic", BarycentricMeanEcliptic(equinox="J2000")),
    (Galactic, Galactic()),
    (FK5(equinox="J1975"), FK5(equinox="J1975")),
    (FK4(equinox="B1900", obstime="J1980"), FK4(equinox="B1900", obstime="J1980")),
    (BarycentricMeanEcliptic(equinox="J1975"), BarycentricMeanEcliptic(equinox="J1975")),
    (SKY.galactic[0].frame, Galactic()),
    (SKY.fk4[0], FK4(equinox="B1950")),
]
GALACTIC_CENTER = (SKY.galactic[0].l.deg, SKY.galactic[0].b.deg)
OF_WCS = {
    "ICRS": (make_wcs(), ICRS()),
    "FK5": (make_wcs(RADESYS="FK5", EQUINOX=1975.0), FK5(equinox="J1975")),
    "FK4": (make_wcs(RADESYS="FK4", EQUINOX=1950.0), FK4(equinox="B1950")),
    "Galactic": (make_wcs("GLON-TAN", "GLAT-TAN", GALACTIC_CENTER), Galactic()),
}


@pytest.mark.parametrize("of_wcs", OF_WCS)
@pytest.mark.parametrize(("frame", "meant"), OF_NUMBERS, ids=lambda frame: str(frame)[:40])
def test_counts_in_every_frame_are_those_of_astropy(frame, meant, of_wcs):
    wcs, wcs_frame = OF_WCS[of_wcs]
    lon, lat = np.random.default_rng(2).uniform(-20, 20, (2, 2000)) + wcs.wcs.crval[:, np.newaxis]
    in_field = SkyCoord(lon, lat, unit="deg", frame=wcs_frame).transform_to(meant).spherical
    lon, lat = in_field.lon.deg, in_field.lat.deg

    sky = SkyCoord(lon, lat, unit="deg", frame=meant).transform_to(wcs_frame).spherical
    expected = count(*wcs.world_to_pixel_values(sky.lon.deg, sky.lat.deg))
    assert expected.sum() > 800
    assert_array_equal(sky_map(lon, lat, frame=frame, wcs=wcs, shape=SHAPE).counts, expected)


def test_a_map_tells_the_frame_that_its_positions_are_in():
    """That of a SkyCoord, too: `value_at` reads bare numbers in it."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.pixel_shape = ["RA---CAR", "DEC--CAR"], (360, 180)
    wcs.wcs.cdelt, wcs.wcs.crpix = [-1, 1], [180.5, 90.5]
    sky = SkyCoord([120.2, 120.2], [30.1, 30.1], unit="deg", frame="galactic")
    skymap = sky_map(sky, wcs=wcs, statistic="count")
    assert skymap.meta["frame"] == "galactic"
    assert skymap.value_at(120.2, 30.1).value == 2
    assert sky_map(sky.icrs, wcs=wcs).meta["frame"] == "icrs"
    old = sky.transform_to(FK5(equinox="J1975"))
    skymap = sky_map(old, wcs=wcs, statistic="count")
    assert skymap.meta["frame"] == "<FK5 Frame (equinox=J1975.000)>"
    assert skymap.value_at(old[0]).value == 2
    assert skymap.value_at(old[0].ra, old[0].dec, frame=FK5(equinox="J1975")).value == 2
    with pytest.raises(TypeError, match=r"frame must be given with two numbers, .*equinox=J1975"):
        skymap.value_at(old[0].ra, old[0].dec)
    for frame in ("Galactic", Galactic, Galactic()):
        assert sky_map(sky.l, sky.b, frame=frame, wcs=wcs).meta["frame"] == "galactic"


def test_a_frame_without_a_name_is_that_of_axes_that_show_it():
    old = SkyCoord([120.2, 120.2], [30.1, 30.1], unit="deg", frame=FK5(equinox="J1975"))
    ax = Figure().add_subplot(projection="mollweide")
    made = ax.sky_heatmap(old, frame=FK5(equinox="J1975"), statistic="count").sky_map
    assert made.value_at(120.2, 30.1).value == 2
    again = Figure().add_subplot(projection="mollweide").sky_heatmap(made)
    assert again.value_at(120.2, 30.1).value == 2


def test_columns_of_galactic_positions_are_asked_for_their_frame():
    table = Table({"l": [1.0], "b": [2.0]})
    with pytest.raises(ValueError, match=r"found none among l, b: .*frame='galactic'"):
        sky_map(data=table)


def test_magnitudes_are_no_weights():
    with pytest.raises(TypeError, match=r"weights must .*; got 'mag' \(take 10\*\*\(-0.4"):
        sky_map([1.0], [2.0], weights=[3.0] * u.mag, wcs=make_wcs())


@pytest.mark.parametrize("names", [("l", "b"), ("ra", "dec"), ("b", "l")])
def test_columns_that_are_named_are_in_the_frame_that_is_given(names):
    table = dict.fromkeys(("l", "b", "ra", "dec"), np.array([1.0, 2.0]))
    catalogue = read_catalogue(names, table, "galactic")
    assert catalogue.frame.name == "galactic"
    assert len(catalogue) == 2
