"""Maps in files: read again they are equal to the bit, and other programs take them."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord, SkyOffsetFrame
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.time import Time
from astropy.wcs import WCS, DistortionLookupTable
from astropy.wcs.wcsapi import BaseHighLevelWCS
from helpers import make_wcs
from matplotlib.figure import Figure

from mpl_skyheat import Annulus, Epanechnikov, Gaussian, Moffat, SkyMap, TopHat, sky_map
from mpl_skyheat.maps.sky_map import COMPANIONS
from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.sky.shipping import are_equal
from mpl_skyheat.sky.wrapped_wcs import GridWCS
from mpl_skyheat.smoothing.kernels import as_kernel

rng = np.random.default_rng(5)
SKY = SkyCoord(
    rng.uniform(0, 360, 4000), np.degrees(np.arcsin(rng.uniform(-1, 1, 4000))), unit="deg"
)
FIELD = SkyCoord(rng.uniform(81, 85, 4000), rng.uniform(-7, -3, 4000), unit="deg")


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def distorted(kind):
    """A WCS with numbers that no card of a header holds."""
    header = dict(make_wcs(cdelt=(-0.1234567890123456789, 0.1)).to_header())
    if kind == "SIP":
        header |= {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 3, "B_ORDER": 2}
        header |= {"A_2_0": 3e-4 / 7, "A_0_3": 1e-6 / 3, "A_1_1": -1e-4, "B_0_2": -2e-4 / 3}
    elif kind == "TPV":
        header |= {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "PV1_1": 1.0, "PV2_1": 1.0}
        header |= {"PV1_4": 1e-4, "PV2_5": -1e-4}
    wcs = WCS(fits.Header(header))
    if kind == "tables":
        table = rng.normal(0, 0.05, (9, 9)).astype("f4")
        wcs.cpdis1 = DistortionLookupTable(table, (1.0, 1.0), (1.0, 1.0), (4.0, 4.0))
    wcs.pixel_shape = 30, 20
    return wcs


def are_same(a, b):
    """Whether two WCSs, of FITS or grids on these, are equal to the bit."""
    a, b = (wcs.low_level_wcs if isinstance(wcs, BaseHighLevelWCS) else wcs for wcs in (a, b))
    if not isinstance(a, GridWCS):
        return are_equal(a, b)
    (a, *parts, frame), (b, *others, other) = a.parts, b.parts
    same_frame = frame is other or frame.is_equivalent_frame(other)
    return parts == others and same_frame and are_same(a, b)


def bits(array):
    return None if array is None else (array.dtype, array.shape, np.asarray(array).tobytes())


def written(made, name="map.fits"):
    """The map that is read from the file of a map, after a comparison of all but their WCSs."""
    made.write(name, overwrite=True)
    again = SkyMap.read(name)
    assert bits(again.data) == bits(made.data)
    np.testing.assert_array_equal(again.mask, made.mask)
    for companion in COMPANIONS:
        ours, its = getattr(made, companion), getattr(again, companion)
        assert bits(ours) == bits(its)
        assert getattr(ours, "unit", None) == getattr(its, "unit", None)
    if made.uncertainty is None:
        assert again.uncertainty is None
    else:
        assert bits(again.uncertainty.array) == bits(made.uncertainty.array)
        assert again.uncertainty.unit == made.uncertainty.unit
    assert again.unit == made.unit
    assert again.meta == made.meta
    assert again.kernel == made.kernel
    assert again.label == made.label
    return again


def made(wcs=None, **kwargs):
    return sky_map(FIELD, wcs=make_wcs() if wcs is None else wcs, **kwargs)


WCSS = {
    "TAN": make_wcs(cdelt=(-0.1234567890123456789, 0.1)),
    "CAR": make_wcs("CAR", shape=(40, 20), center=(83, 0), cdelt=(-1, 1)),
    "Dec first": make_wcs(axes="DECRA", center=(-5, 83), cdelt=(0.1, -0.1)),
    "ecliptic": make_wcs(axes="ELON", center=(82.5, -28)),
} | {kind: distorted(kind) for kind in ("SIP", "TPV", "tables")}
WCSS["FK4"] = make_wcs()
WCSS["FK4"].wcs.radesys, WCSS["FK4"].wcs.equinox = "FK4", 1950.0


# (No FITS WCS has the merged pixels of lookup tables.)
@pytest.mark.parametrize(
    ("name", "bins"),
    [(name, None) for name in WCSS] + [(name, (11, 7)) for name in WCSS if name != "tables"],
)
def test_a_map_comes_back_equal_to_the_bit(name, bins):
    kernel = "2 deg" if name == "CAR" else "20 arcmin"
    field = made(WCSS[name], kernel=kernel, bins=bins, label="stars")
    again = written(field)
    assert are_same(field.wcs, again.wcs)
    place = SkyCoord(83.1, -4.7, unit="deg")
    assert again.value_at(place) == field.value_at(place)
    assert not (again - field).data[~field.mask].any()


@pytest.mark.parametrize("name", sorted({*WCSS} - {"tables"}))
def test_the_cards_of_the_header_have_the_positions_of_the_pixels(name):
    # (Of lookup tables, whose pixels are merged, there is a polynomial, if any.)
    made(WCSS[name], bins=(11, 7)).write("map.fits")
    field, cards = SkyMap.read("map.fits"), WCS(fits.getheader("map.fits"))
    x, y = np.array([0, 10.0, 5, 3.3]), np.array([0, 6.0, 2, 5.7])
    there, here = (plane_of_wcs(wcs).to_sky(x, y) for wcs in (field.wcs, cards))
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-9 if name != "TPV" else 1e-6)


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"weights": np.linspace(0, 2, 4000)},
        {"statistic": "count"},
        {"coverage": np.linspace(-0.5, 1, 600).clip(0).reshape(20, 30), "kernel": "20 arcmin"},
        {"values": np.linspace(10, 20, 4000) * u.mag, "kernel": "20 arcmin"},
        {"values": np.linspace(1, 2, 4000) * u.nmgy, "statistic": "sum"},
        {"values": np.linspace(1, 2, 4000) * u.dex(u.cm / u.s**2)},
        {"values": np.linspace(1, 2, 4000) * u.ABmag, "statistic": "max"},
        {"values": np.linspace(1, 2, 4000) * u.jupiterMass, "statistic": "std", "min_count": 3},
        {"kernel": Gaussian("12 arcmin") - Gaussian("40 arcmin"), "unit": "arcmin-2"},
    ],
    ids=str,
)
def test_every_kind_of_map_comes_back(kwargs):
    written(made(**kwargs))


def test_a_map_of_cartesian_points_comes_back():
    x, y = rng.uniform(0, 10, (2, 500))
    flat = sky_map(x, y, frame="flat", bins=(20, 10), kernel="2 pix")
    again = written(flat, "map.fits.gz")
    assert are_same(flat.wcs, again.wcs)
    assert again.value_at(3.0, 4.0) == flat.value_at(3.0, 4.0)
    assert Path("map.fits.gz").read_bytes().startswith(b"\x1f\x8b")


def test_the_file_has_the_arrays_that_fits_readers_find():
    field = made(kernel="20 arcmin", coverage=np.full((20, 30), 0.7))
    field.write("map.fits")
    with fits.open("map.fits") as hdus:
        for name, values in {
            "PRIMARY": field.data,
            "MASK": field.mask,
            "UNCERT": field.uncertainty.array,
            "COUNTS": field.counts,
            "OMEGA": field.solid_angle.value,
            "NEFF": field.n_eff,
            "COVERAGE": field.coverage,
        }.items():
            np.testing.assert_array_equal(hdus[name].data, values)
        assert hdus["COUNTS"].header["BITPIX"] == 64
        assert hdus["OMEGA"].header["BUNIT"] == "sr"
        assert hdus["UNCERT"].header["UTYPE"] == "StdDevUncertainty"


LABELS = ["it's", "a'b'" * 90, "a & b&" * 70, "  ", "σ ≥ 3′, «é»", 'quote " \\ back', "x" * 5000]


@pytest.mark.parametrize("text", LABELS, ids=range(len(LABELS)))
def test_texts_of_all_lengths_come_back(text):
    field = made(label="stars")
    field.label = text
    field.meta |= {"note": text, "n": [1, 2.5, None], "nan": np.nan, "int": np.int64(3)}
    field.write("map.fits")
    again = SkyMap.read("map.fits")
    assert (again.label, again.meta["note"], again.meta["n"]) == (text, text, [1, 2.5, None])
    assert np.isnan(again.meta["nan"])
    assert again.meta["int"] == 3
    assert fits.getheader("map.fits")["SKYHEAT"].isascii()


def test_other_things_of_astropy_in_meta_come_back():
    field = made()
    field.meta |= {"width": 3 * u.arcmin, "when": Time("2020-01-01")}
    field.write("map.fits")
    meta = SkyMap.read("map.fits").meta
    assert (meta["width"], meta["when"]) == (3 * u.arcmin, Time("2020-01-01"))


PIXEL = np.radians(1.3) ** 2 * np.eye(2)

KERNELS = [
    None,
    Gaussian("1.2345678901234567 arcmin"),
    Gaussian(fwhm=np.float32(0.1) * u.deg),
    Gaussian(2 * u.pix),
    TopHat("3 arcmin"),
    Epanechnikov(1e-3 * u.rad),
    Moffat("7 arcmin", beta=2.3456789012345678),
    Annulus("2.5 deg", "4 deg"),
    Gaussian("2 arcmin") - 0.1 * TopHat("10 arcmin") + Moffat("3 arcmin"),
    as_kernel(rng.uniform(0, 1, (5, 7))),
    as_kernel(np.ones((3, 3))) - 0.3 * Gaussian("2 pix"),
]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_a_kernel_comes_back_equal(kernel):
    field = made()
    field.kernel = kernel
    field.write("map.fits")
    again = SkyMap.read("map.fits").kernel
    assert type(again) is type(kernel)
    assert again == kernel
    assert repr(again) == repr(kernel)  # with all digits
    if kernel is not None:
        for (_, ours), (_, its) in zip(kernel.terms, again.terms, strict=True):
            np.testing.assert_array_equal(its.raster(PIXEL), ours.raster(PIXEL))


def test_a_kernel_of_another_package_is_refused():
    class Own(Gaussian):
        pass

    field = made()
    field.kernel = Own("2 arcmin")
    with pytest.raises(
        ValueError, match=r"kernel must be one of Gaussian, .*got Own\(sigma='2 arc"
    ):
        field.write("map.fits")
    assert not Path("map.fits").exists()


def test_a_map_without_all_that_maps_have_comes_back():
    bare = SkyMap(
        np.arange(12.0, dtype="f4").reshape(3, 4), wcs=make_wcs(shape=(4, 3)), meta={"a": 1}
    )
    again = written(bare)
    assert again.counts is again.uncertainty is again.unit is again.solid_angle is None


# Axes without a WCS


def drawn(projection=None, points=SKY, **kwargs):
    ax = Figure().add_subplot(projection=projection)
    return ax.sky_heatmap(points, kernel="8 deg", **kwargs).sky_map


@pytest.mark.parametrize(
    ("projection", "code", "kwargs"),
    [
        ("mollweide", "MOL", {"center": 140.3}),
        ("hammer", "AIT", {}),
        ("lambert", "ZEA", {}),
        (None, "CAR", {"bins": (36, 18)}),
    ],
)
def test_maps_of_axes_have_the_wcs_of_fits_with_their_positions(projection, code, kwargs):
    field = drawn(projection, **kwargs)
    again = written(field)
    assert again.wcs.wcs.ctype[0].endswith(code)
    y, x = (v[~field.mask & (field.solid_angle.value > 0)] for v in np.indices(field.data.shape))
    there, here = (SkyCoord(*plane_of_wcs(m.wcs).to_sky(x, y), unit="deg") for m in (field, again))
    on_sky = np.isfinite(there.ra)
    # (ZEA's own positions on the rim, opposite to its middle, are that bad.)
    limit = 0.03 if code == "ZEA" else 1e-4
    assert there[on_sky].separation(here[on_sky]).max() < limit * u.arcsec


def test_maps_of_cartopy_are_written_where_fits_has_their_projection():
    crs = pytest.importorskip("cartopy.crs")
    assert written(drawn(crs.Mollweide(100))).wcs.wcs.ctype[0] == "RA---MOL"
    ax = Figure().add_subplot(projection=crs.Robinson())
    ax.set_extent((80, 86, -8, -2))
    field = ax.sky_heatmap(FIELD, kernel="20 arcmin", bins=(60, 50)).sky_map
    again = written(field)
    assert again.wcs.wcs.ctype[0] == "RA---TAN-SIP"
    x, y = (v.ravel() for v in np.meshgrid(np.arange(60), np.arange(50)))
    places = plane_of_wcs(again.wcs).to_plane(*plane_of_wcs(field.wcs).to_sky(x, y))
    assert np.hypot(places[0] - x, places[1] - y).max() < 0.01


def test_projections_that_fits_does_not_have_are_refused():
    with pytest.raises(
        ValueError, match=r"wcs must be one that FITS can say .* no TAN-SIP has them"
    ):
        drawn("aitoff").write("map.fits")
    frame = SkyOffsetFrame(origin=SkyCoord(1.1, 2.3, unit="deg"))
    above = drawn(None, SKY.transform_to(frame), frame=frame, bins=(36, 18))
    with pytest.raises(ValueError, match=r"wcs must be in a frame that FITS has a name for"):
        above.write("map.fits")
    with pytest.raises(
        ValueError, match=r"wcs must be one that FITS can say .* got WCS: make the ma"
    ):
        made(WCSS["tables"], bins=(11, 7)).write("map.fits")
    assert not list(Path().iterdir())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"wcs": None}, "wcs must be that of the pixels .*; got None"),
        ({"unit": u.def_unit("furlong", 201 * u.m)}, "unit must be one that astropy finds by its"),
        ({"meta": {"a": open}}, "meta must have numbers, texts .*; got <built-in function open>"),
    ],
)
def test_what_cannot_be_written_is_refused(change, text):
    given = {"wcs": make_wcs(shape=(4, 3)), "unit": "m", "meta": {}} | change
    with pytest.raises(ValueError, match=text):
        SkyMap(np.ones((3, 4)), **given).write("map.fits")
    assert not Path("map.fits").exists()


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"format": "hdf5"}, ValueError, "format must be 'fits' or 'healpix'; got 'hdf5'"),
        ({"nside": 8}, TypeError, "nside must be left out unless format='healpix'; got 8"),
        ({"format": "healpix"}, ValueError, "nside must be a power of two, such as 256; got None"),
    ],
)
def test_arguments_of_write_are_checked(kwargs, error, text):
    pytest.importorskip("astropy_healpix")
    with pytest.raises(error, match=text):
        made().write("map.fits", **kwargs)


# Files that are no maps


@pytest.fixture
def content():
    """The bytes of map.fits, which has a map."""
    made(kernel="20 arcmin").write("map.fits")
    return Path("map.fits").read_bytes()


@pytest.mark.parametrize("part", [0, 1, 100, 2880, 5760, 0.5, 0.9, -2880, -1])
def test_a_file_that_is_cut_off_is_an_error(content, part):
    Path("map.fits").write_bytes(content[: int(part * len(content)) if 0 < part < 1 else part])
    with pytest.raises(
        ValueError, match=r"must be (a whole FITS file|one) that SkyMap.write has wri"
    ):
        SkyMap.read("map.fits")


def test_foreign_files_are_an_error(content):
    Path("map.fits").write_text("ra,dec\n1,2\n")
    with pytest.raises(ValueError, match=r"map.fits is cut off, damaged or no FITS file at all: "):
        SkyMap.read("map.fits")
    Path("map.fits.gz").write_bytes(gzip.compress(content)[:-3000])
    with pytest.raises(ValueError, match=r"map.fits.gz is cut off, damaged or no FITS file"):
        SkyMap.read("map.fits.gz")
    with pytest.raises(FileNotFoundError, match=r"nothing\.fits"):
        SkyMap.read("nothing.fits")
    with pytest.raises(
        ValueError, match="format must be 'fits' for a map to be read; got 'healpix'"
    ):
        SkyMap.read("map.fits", format="healpix")


def test_an_image_is_refused_with_what_to_do():
    fits.PrimaryHDU(np.ones((3, 4)), make_wcs().to_header()).writeto("image.fits")
    text = (
        r"image.fits has no card SKYHEAT: an image is read with .*CCDData.read, and a map is made"
    )
    with pytest.raises(ValueError, match=text):
        SkyMap.read("image.fits")


@pytest.mark.usefixtures("content")
def test_a_map_of_another_version_and_one_without_an_array_are_refused():
    with fits.open("map.fits") as hdus:
        card = json.loads(hdus[0].header["SKYHEAT"])
        hdus[0].header["SKYHEAT"] = json.dumps(card | {"version": 2})
        hdus.writeto("later.fits")
        hdus[0].header["SKYHEAT"] = json.dumps(card)
        del hdus["NEFF"]
        hdus.writeto("less.fits")
    with pytest.raises(
        ValueError, match=r"of version 1 of .*; later.fits is of version 2: read it"
    ):
        SkyMap.read("later.fits")
    with pytest.raises(ValueError, match=r"less.fits is cut off, damaged .*NEFF"):
        SkyMap.read("less.fits")


# Other programs


def test_ccddata_reads_the_map_with_its_errors():
    field = made(kernel="20 arcmin")
    field.write("map.fits")
    read = CCDData.read("map.fits")
    assert read.unit == field.unit
    assert isinstance(read.uncertainty, StdDevUncertainty)
    np.testing.assert_array_equal(read.mask, field.mask)
    np.testing.assert_array_equal(read.uncertainty.array, field.uncertainty.array)


@pytest.mark.parametrize("name", ["TAN", "SIP"])
def test_gammapy_and_reproject_take_the_file(name):
    field = made(WCSS[name], kernel="20 arcmin")
    field.write("map.fits")
    reproject = pytest.importorskip("reproject")
    target = make_wcs(shape=(10, 8))
    moved, _ = reproject.reproject_interp("map.fits", target, shape_out=(8, 10))
    y, x = np.indices((8, 10))
    expected = field.value_at(target.pixel_to_world(x, y), interpolate=True).value
    np.testing.assert_allclose(moved, expected, rtol=0.05, atol=0.02 * field.data.max())
    if name == "TAN":  # (it drops distortions)
        gammapy = pytest.importorskip("gammapy.maps")
        read = gammapy.Map.read("map.fits")
        assert read.unit == field.unit
        places = field.wcs.pixel_to_world([3, 17, 29], [0, 11, 19])
        assert read.get_by_coord(places) == pytest.approx(field.value_at(places).value)


def test_fitsheader_prints_the_card():
    made(label="it's").write("map.fits")
    command = [sys.executable, "-m", "astropy.io.fits.scripts.fitsheader", "map.fits"]
    code = "import sys; from astropy.io.fits.scripts.fitsheader import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "-k", "SKYHEAT", "-e", "0", "map.fits"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 'SKYHEAT = \'{"version": 1' in printed.replace('""', '"')
