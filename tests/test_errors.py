"""What is refused, with messages that say what was got and what to write instead."""

import io
import re
from contextlib import nullcontext

import numpy as np
import pytest
from astropy import units as u
from astropy.convolution import Kernel2D, RickerWavelet2DKernel
from astropy.coordinates import ICRS, SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.visualization.wcsaxes import WCSAxes
from astropy.wcs import WCS
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D

from mpl_skyheat import Annulus, Epanechnikov, Gaussian, Moffat, TopHat, sky_map
from mpl_skyheat.maps import where

RA, DEC = np.array([10.0, 10.5, 9.7]), np.array([20.0, 20.4, 19.7])
TABLE = Table({"ra": RA, "dec": DEC, "flux": [1.0, 2.0, 3.0]})


def make_wcs(*ctypes, shape=None):
    wcs = WCS(naxis=len(ctypes))
    wcs.wcs.ctype = ctypes
    wcs.wcs.crval, wcs.wcs.crpix = ([10, 20, 1e9][: len(ctypes)], [30.5, 20.5, 1][: len(ctypes)])
    wcs.wcs.cdelt = [-0.1, 0.1, 1e6][: len(ctypes)]
    wcs.pixel_shape = shape
    return wcs


SKY_WCS = make_wcs("RA---TAN", "DEC--TAN", shape=(60, 40))
CUBE = make_wcs("RA---TAN", "DEC--TAN", "FREQ")


def refuses(error, text):
    """Expect an error of exactly this text, with anything in place of each …."""
    pattern = ".*".join(re.escape(part) for part in text.split("…"))
    return pytest.raises(error, match=rf"\A{pattern}\Z")


def add_axes(**kwargs):
    return Figure().add_subplot(**kwargs)


NO_POINTS = "points must be two arrays (ra, dec), one SkyCoord, two column names with data=table, "
NO_POINTS += "or data=table alone; got "


@pytest.mark.parametrize(
    ("points", "error", "text"),
    [
        ((RA, DEC[:2]), ValueError, "ra and dec must have the same length; got 3 and 2"),
        ((RA, 20.0), ValueError, "ra and dec must have the same length; got 3 and 1"),
        ((np.ones((2, 3)), np.ones((3, 2))), ValueError, "ra and dec must …(2, 3) and (3, 2)"),
        ((), TypeError, f"{NO_POINTS}nothing"),
        ((RA,), TypeError, f"{NO_POINTS}ndarray"),
        ((RA, DEC, DEC), TypeError, f"{NO_POINTS}ndarray, ndarray, ndarray"),
        (("sky",), TypeError, "points must be named in pairs …; got the single name 'sky'"),
        (("ra", "dec"), TypeError, "ra is the column name 'ra': pass the table too, as data=table"),
        ((RA, "dec"), TypeError, "dec is the column name 'dec': pass the table too, …"),
        (
            (["0h40m"], ["20d"]),
            TypeError,
            "ra must be numbers or angles; got … <U5 (make it numbers…",
        ),
        (([[1, 2], [3]], DEC), TypeError, "ra must be a flat …; got [[1, 2], [3]]"),
        ((RA + 1j, DEC), TypeError, "ra must be numbers or angles; got an array of complex128…"),
        ((SkyCoord(1, 1, unit="deg"), DEC), TypeError, "ra must be …; got a SkyCoord (pass it on…"),
        ((ICRS(),), ValueError, "points must have positions; got the frame <ICRS Frame> without…"),
        ((RA * u.m, DEC), ValueError, "ra must be an angle (plain numbers are…; got unit 'm'"),
        ((RA, DEC * u.Jy), ValueError, "dec must be an angle (…; got unit 'Jy'"),
        ((RA, [20, 91.5, -95]), ValueError, "dec must lie within ±90 deg; row 1 has 91.5"),
        (
            (RA, [20, 5, -999]),
            ValueError,
            "dec …±90 deg (what is missing must be NaN or masked); row…",
        ),
        (
            ([20, 5, -30], [10, 250, 300]),
            ValueError,
            "dec …±90 deg (are ra and dec swapped?); row 1 has 250",
        ),
        (([20, 5, -30], [10, -20, 300]), ValueError, "dec must lie within ±90 deg; row 2 has 300"),
        ((RA, [0, 1, -2] * u.rad), ValueError, "dec must …±90 deg; row 2 has -114.592"),
    ],
)
def test_points_that_are_no_catalogue_are_refused(points, error, text):
    with refuses(error, text):
        sky_map(*points, wcs=SKY_WCS)


UNRECOGNISED = "data must have one recognisable pair of columns such as "
EITHER = {"RAJ2000": RA, "DEJ2000": DEC, "ra": RA, "dec": DEC}


@pytest.mark.parametrize(
    ("points", "kwargs", "error", "text"),
    [
        (("RA", "dec"), {}, ValueError, "no column 'RA' in data; it has ra, dec, flux"),
        (
            ("ra", "dec"),
            {"weights": "w"},
            ValueError,
            "weights: no column …; it has ra, dec, …",
        ),
        (("ra",), {}, TypeError, "points must be named in pairs …; got the single name 'ra'"),
        ((), {"data": {"x": RA, "y": DEC}}, ValueError, UNRECOGNISED + "ra/dec; …among x, y: …"),
        ((), {"data": EITHER}, ValueError, UNRECOGNISED + "…found RAJ2000/DEJ2000; ra/dec among…"),
        ((), {"data": {"ra": RA, "dec": DEC, "RA": RA}}, ValueError, UNRECOGNISED + "…RA…"),
        (
            (),
            {"frame": "galactic"},
            ValueError,
            UNRECOGNISED
            + "l/b; found none among ra, dec, …: they are equatorial: give frame='icrs', what…",
        ),
        (
            (),
            {"data": {"GLON": RA, "GLAT": DEC}},
            ValueError,
            UNRECOGNISED + "…: they are Galactic: give frame='galactic', what…",
        ),
        (
            ("GLON", "GLAT"),
            {"data": {"GLON": RA, "GLAT": DEC}},
            ValueError,
            "frame …; got 'icrs' for GLON and GLAT, which are Galactic …: give frame='galactic' (…",
        ),
        (
            ("elon", "elat"),
            {"data": {"elon": RA, "elat": DEC}, "frame": "fk5"},
            ValueError,
            "frame …; got 'fk5' for elon and elat, …: give frame='barycentricmeanecliptic' (…",
        ),
        (
            (),
            {"data": [RA, DEC]},
            TypeError,
            "data must be a table, or a list of tables; got a list of ndarray: "
            "pass arrays themselves, as in sky_map(ra, dec)",
        ),
        ((), {"data": 3}, TypeError, "data must be a table (…; got int"),
        ((), {"data": "stars"}, ValueError, "data must be a table, or a file …; got 'stars'"),
    ],
)
def test_columns_that_are_not_in_the_table_are_refused(points, kwargs, error, text):
    with refuses(error, text):
        sky_map(*points, wcs=SKY_WCS, **({"data": TABLE} | kwargs))


def test_the_row_of_a_latitude_is_that_in_the_whole_catalogue():
    dec = np.zeros(200_000)
    dec[[170_000, 180_000]] = -90.5, 99
    with refuses(ValueError, "dec must lie within ±90 deg; row 170000 has -90.5"):
        sky_map(dec, dec, wcs=SKY_WCS)


def test_weights_must_have_the_shape_of_the_points():
    with refuses(ValueError, "ra and weights must …(2, 3) and (3, 2)"):
        sky_map(np.full((2, 3), 10), np.full((2, 3), 20), weights=np.ones((3, 2)), wcs=SKY_WCS)


WIDTHS = {
    "sigma": lambda width: Gaussian(width),
    "fwhm": lambda width: Gaussian(fwhm=width),
    "radius": lambda width: TopHat(width),
    "radius ": lambda width: Epanechnikov(width),
    "fwhm ": lambda width: Moffat(width),
    "inner": lambda width: Annulus(width, "5 deg"),
    "outer": lambda width: Annulus("1 arcmin", width),
    "kernel": lambda width: sky_map(RA, DEC, wcs=SKY_WCS, kernel=width),
    "pixel_size": lambda width: sky_map(RA, DEC, wcs=SKY_WCS, pixel_size=width),
}
AN_ANGLE = "must be an angle such as 2*u.arcmin or '2 arcmin' (or 2*u.pix for map pixels)"


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("width", [-1.5, 0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("unit", ["arcmin", "pix"])
def test_widths_must_be_positive_and_finite(name, width, unit):
    if name == "pixel_size":
        unit = "arcmin"  # in pixels it would mean nothing
    with refuses(ValueError, f"{name.strip()} must be positive and finite; got {width:.1f} {unit}"):
        WIDTHS[name](width * u.Unit(unit))


NO_WIDTHS = [2.0, "2", 2 * u.m]
# Of a `Gaussian` the name of a column, and widths of rows.
NO_SINGLE_WIDTHS = ["two arcmin", [1, 2] * u.deg]


@pytest.mark.parametrize(
    ("name", "width"),
    [(n, w) for n in WIDTHS if n not in ("kernel", "pixel_size") for w in NO_WIDTHS]
    + [(n, w) for n in ("radius", "fwhm ", "inner") for w in NO_SINGLE_WIDTHS],
    ids=str,
)
def test_widths_of_kernels_must_have_a_unit_of_angle_or_pixels(name, width):
    with refuses(ValueError, f"{name.strip()} {AN_ANGLE}; got {width!r}"):
        WIDTHS[name](width)


@pytest.mark.parametrize("size", [2.0, "2", "1 furlong", 2 * u.m, 2 * u.pix, 180 * u.deg], ids=str)
def test_pixel_size_must_be_an_angle(size):
    got = rf"({re.escape(repr(size))}|{size})$"
    with pytest.raises(ValueError, match=f"pixel_size must be an angle .*; got {got}") as caught:
        WIDTHS["pixel_size"](size)
    assert "map pixels" not in str(caught.value)  # a kernel may be in them


@pytest.mark.parametrize("size", [-1, 0, np.nan, np.inf, "1 deg", 1 * u.deg], ids=str)
def test_pixel_size_of_a_flat_map_must_be_a_positive_number(size):
    text = f"pixel_size must be a positive, finite number with frame='flat'; got {size!r}"
    with refuses(ValueError, text):
        sky_map(RA, DEC, frame="flat", pixel_size=size)


@pytest.mark.parametrize("bins", [0, -4, 2.5, np.nan, np.inf, "9", True, (3, 0), (3, 4, 5)])
def test_bins_must_be_positive_integers(bins):
    text = f"bins must be a positive integer or a pair (nx, ny); got {bins!r}"
    with refuses(ValueError, text):
        sky_map(RA, DEC, wcs=SKY_WCS, bins=bins)


@pytest.mark.parametrize("kernel", [2, 2.0, np.float32(2), np.array(2.0), True], ids=repr)
def test_a_bare_number_as_kernel_is_answered_with_both_spellings(kernel):
    text = "kernel must be an angle such as 2*u.arcmin (or 2*u.pix for map pixels), …; got "
    with refuses(TypeError, text + repr(kernel)):
        sky_map(RA, DEC, wcs=SKY_WCS, kernel=kernel)


RIM = [[0, -1, 0], [-1, 4, -1], [0, -1, 0]]


@pytest.mark.parametrize(
    ("kernel", "text"),
    [
        (np.ones((4, 4)), "kernel must be a 2-D array with an odd number of …; got shape (4, 4)"),
        (np.ones((3, 2)), "kernel must be a 2-D array with an odd number of …; got shape (3, 2)"),
        (np.ones(3), "kernel must be a 2-D array …; got shape (3,)"),
        (np.ones((3, 3, 3)), "kernel must be a 2-D array …; got shape (3, 3, 3)"),
        ([[1, 2, 3], [1, 2]], "kernel must be a 2-D array …"),
        (np.zeros((3, 3)), "kernel must not sum to zero, …; got a sum of 0 (…)"),
        (np.array(RIM), "kernel must not sum to zero, …; got a sum of 0 (take Gaussian(a) - …)"),
        (Kernel2D(array=np.array(RIM)), "kernel must not sum to zero, …; got a sum of 0 (…)"),
        # Cut at a finite radius, it sums to 0.0005 of its absolute sum; astropy refuses it, too.
        (RickerWavelet2DKernel(2), "kernel must not sum to zero, …; got a sum of 0.000173… (…)"),
        ([[1, np.nan, 1]], "kernel must have finite values; got NaN or infinity among them"),
        ([[np.inf]], "kernel must have finite values; got NaN or infinity among them"),
    ],
)
def test_arrays_that_make_no_kernel_are_refused(kernel, text):
    with refuses(ValueError, text):
        sky_map(RA, DEC, wcs=SKY_WCS, kernel=kernel)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Gaussian, "Gaussian takes either sigma or fwhm; got sigma=None, fwhm=None"),
        (lambda: Gaussian("1 deg", fwhm="2 deg"), "…; got sigma='1 deg', fwhm='2 deg'"),
        (lambda: Moffat("1 deg", beta=1), "beta must be a finite number of 1.5 or more; got 1"),
        (
            lambda: Moffat("1 deg", beta=np.nan),
            "beta must be a finite number of 1.5 or more; got nan",
        ),
        (lambda: Annulus("2 deg", "1 deg"), "inner …; got inner='2 deg', outer='1 deg'"),
        (lambda: Annulus(1 * u.pix, "1 deg"), "inner must be smaller than outer, in the same…"),
        (lambda: np.inf * TopHat("1 deg"), "a kernel's factor must be a finite number; got inf"),
    ],
)
def test_parameters_that_make_no_kernel_are_refused(make, text):
    with refuses(ValueError, text):
        make()


FLAT = {"frame": "flat", "wcs": None}


@pytest.mark.parametrize(
    ("text", "kwargs"),
    [
        ("frame must be 'flat' …; got 'icrss' (did you mean 'icrs'?)", {"frame": "icrss"}),
        ("frame must be …; got 'gal' (did you mean 'galactic'?)", {"frame": "gal"}),
        ("frame must be 'flat' or one of altaz, …, icrs, …; got 'xx'", {"frame": "xx"}),
        ("frame must be the name of an astropy frame or a frame; got None", {"frame": None}),
        ("frame …altaz…", {"frame": "altaz"}),  # without place and time
        ("statistic must be one of 'density', 'count'…; got 'mode'", {"statistic": "mode"}),
        ("boundary must be one of 'sky', 'fill', …; got 'nearest'", {"boundary": "nearest"}),
        ("geometry must be one of 'auto', 'plane'…; got 'cube'", {"geometry": "cube"}),
        ("unit must be per solid angle, …; got 'furlong-2'", {"unit": "furlong-2"}),
        ("unit must be per solid angle, such as u.deg**-2; got m", {"unit": u.m}),
        ("unit must be per solid angle, such as u.deg**-2; got deg2", {"unit": "deg2"}),
        ("unit …such as Jy / deg2; got 1 / deg2", {"unit": "deg-2", "weights": RA * u.Jy}),
        ("unit …'deg-2', statistic='count'", {"unit": "deg-2", "statistic": "count"}),
        ("unit must be left out …; got 1 / deg2", FLAT | {"unit": "deg-2"}),
        ("kernel must be in map pixels, …; got Gaussian(…)", FLAT | {"kernel": "6 arcmin"}),
        ("pixel_size and bins …=1 deg, bins=9", {"pixel_size": "1 deg", "bins": 9}),
        ("shape must be two positive integers (ny, nx); got (0, 5)", {"shape": (0, 5)}),
        ("shape must be two positive integers (ny, nx); got 60", {"shape": 60}),
        ("weights must not be negative; row 1 has -0.5", {"weights": [1, -0.5, -2]}),
        ("weights must not be negative; row 2 has -3", {"weights": [1, 1, -3] * u.Jy}),
        ("ra and weights must have the same length; got 3 and 2", {"weights": [1, 2]}),
        ("ra and weights must have the same length; got 3 and 1", {"weights": 2.0}),
        (
            "ra and weights must have the same shape; got (3,) and (3, 2)",
            {"weights": np.ones((3, 2))},
        ),
    ],
)
def test_options_without_meaning_are_refused(text, kwargs):
    with refuses(ValueError, text):
        sky_map(RA, DEC, **({"wcs": SKY_WCS} | kwargs))


@pytest.mark.parametrize(
    ("text", "kwargs"),
    [
        ("wcs must be given for positions on the sky; got None", {"wcs": None}),
        ("wcs must be a WCS, …; got dict", {"wcs": {"CTYPE1": "RA---TAN"}}),
        ("frame='flat' takes no wcs and no shape: …", {"frame": "flat"}),
        ("weights is the column name 'flux': pass the table too, …", {"weights": "flux"}),
        ("weights must be numbers…; got an array of <U1…", {"weights": ["a", "b", "c"]}),
    ],
)
def test_options_of_another_type_are_refused(text, kwargs):
    with refuses(TypeError, text):
        sky_map(RA, DEC, **({"wcs": SKY_WCS} | kwargs))


HELIOPROJECTIVE = make_wcs("HPLN-TAN", "HPLT-TAN")
NOT_CELESTIAL = [
    (make_wcs("FREQ"), {}, "wcs must have …; got 1 pixel and 1 world axes (em.freq)…"),
    (make_wcs("FREQ", "STOKES"), {}, "wcs must have two celestial axes …(CTYPE FREQ, STOKES)…"),
    (make_wcs("LINEAR", "LINEAR"), {}, "wcs must have two celestial axes …(CTYPE LINEAR, LINEAR)…"),
    (HELIOPROJECTIVE, {}, "wcs …(CTYPE HPLN-TAN, HPLT-TAN); helioprojective …(sunpy, for one)"),
    (
        CUBE,
        {"slices": ("x", 40, "y")},
        "wcs must have two celestial axes; got 2 pixel and 3 world axes (pos.eq.ra, pos.eq.dec, "
        "em.freq): …slices=('x', 'y', 0), which works where they are not coupled to the sky",
    ),
]


@pytest.mark.parametrize(("wcs", "kwargs", "text"), NOT_CELESTIAL)
def test_axes_that_are_not_celestial_are_refused(wcs, kwargs, text):
    ax = add_axes(projection=wcs, **kwargs)
    with refuses(TypeError, f"sky_heatmap draws on …; got a WCSAxes whose {text}"):
        ax.sky_heatmap(RA, DEC)
    assert not ax.images


@pytest.mark.parametrize("wcs", [row[0] for row in NOT_CELESTIAL])
def test_a_wcs_that_is_not_celestial_is_refused(wcs):
    types = ", ".join(str(kind) for kind in wcs.world_axis_physical_types)
    with refuses(ValueError, f"wcs must have two celestial axes…{types}…"):
        sky_map(RA, DEC, wcs=wcs)


def log_axes(name):
    ax = add_axes()
    ax.set(**{f"{name}scale": "log"})
    return ax


def axes_without_wcs():
    coord_meta = {"name": ["lon", "lat"], "type": ["longitude", "latitude"], "wrap": [None, None]}
    coord_meta |= {"unit": [u.deg, u.deg], "format_unit": [None, None]}
    return WCSAxes(Figure(), [0, 0, 1, 1], transform=Affine2D(), coord_meta=coord_meta)


SUPPORTED = "sky_heatmap draws on a WCSAxes …x, y with frame='flat'); got "


@pytest.mark.parametrize(
    ("make", "frame", "error", "text"),
    [
        *(
            (lambda kind=kind: add_axes(projection=kind), frame, TypeError, SUPPORTED + name)
            for kind, name in (
                ("polar", "PolarAxes"),
                ("3d", "Axes3D"),
            )
            for frame in ("icrs", "flat")
        ),
        (lambda: add_axes(projection="hammer"), "flat", TypeError, "frame='flat' …; got Hammer…"),
        (axes_without_wcs, "icrs", TypeError, SUPPORTED + "a WCSAxes that is not made from a WCS"),
        (lambda: add_axes(projection=SKY_WCS), "flat", TypeError, "frame='flat' …; got WCSAxes…"),
        (lambda: log_axes("x"), "flat", ValueError, "…; got a log x axis: map the logarithm of x…"),
        (lambda: log_axes("y"), "flat", ValueError, "…; got a log y axis: map the logarithm of y…"),
    ],
)
def test_other_axes_than_the_frame_asks_for_are_refused(make, frame, error, text):
    with refuses(error, text):
        make().sky_heatmap(RA, DEC, frame=frame)


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"extent": (0, 1, 0, 1)}, TypeError, "extent must be left out, …; got (0, 1, 0, 1)"),
        ({"origin": "upper"}, TypeError, "origin must be left out, …; got 'upper'"),
        ({"aspect": 2}, TypeError, "aspect must be left out, …; got 2"),
        ({"norm": Normalize(), "vmin": 1.5}, ValueError, "vmin …; got vmin=1.5, vmax=None"),
        ({"norm": LogNorm(), "vmax": 2}, ValueError, "vmin and vmax …; got vmin=None, vmax=2"),
        ({"colorbar": {"location": "middle"}}, ValueError, "location must …; got 'middle'"),
    ],
)
def test_image_keywords_that_the_heatmap_fixes_are_refused(kwargs, error, text):
    ax = add_axes(projection=SKY_WCS)
    with refuses(error, text):
        ax.sky_heatmap(RA, DEC, **kwargs)
    assert not ax.images


@pytest.fixture
def small_memory(monkeypatch):
    """Let half of the memory hold a map of 1000 x 1000 pixels."""
    monkeypatch.setattr(where, "allowed_bytes", lambda: 1e6 * where.BYTES_PER_PIXEL)


TOO_LARGE = "…: a map of {} pixels…takes about …GiB, more than half of this machine's memory…"


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize("kernel", [None, "0.2 deg", 20 * u.pix], ids=str)
@pytest.mark.parametrize(
    ("size", "pixels"), [("0.1 arcsec", "216000 x 144000"), ("10 arcsec", "2160 x 1440")]
)
def test_the_pixel_size_suggested_for_too_large_a_map_would_do(size, pixels, kernel):
    with refuses(ValueError, TOO_LARGE.format(pixels)) as caught:
        sky_map(RA, DEC, wcs=SKY_WCS, pixel_size=size, kernel=kernel)
    number, unit = re.search(r"pixel_size=([\d.]+)\*u\.(\w+) would do", str(caught.value)).groups()
    made = sky_map(RA, DEC, wcs=SKY_WCS, pixel_size=float(number) * u.Unit(unit), kernel=kernel)
    assert made.data.size > (0.9 if kernel is None else 0.3) * 1000**2


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize(("bins", "pixels"), [(2000, "2000 x 2000"), ((4000, 600), "4000 x 600")])
def test_the_bins_suggested_for_too_large_a_map_would_do(bins, pixels):
    with refuses(ValueError, TOO_LARGE.format(pixels)) as caught:
        sky_map(RA, DEC, wcs=SKY_WCS, bins=bins)
    nx, ny = re.search(r"bins=\((\d+), (\d+)\) would do", str(caught.value)).groups()
    assert sky_map(RA, DEC, wcs=SKY_WCS, bins=(int(nx), int(ny))).data.size > 0.9 * 1000**2


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize("boundary", ["sky", "fill", "wrap", "reflect"])
def test_a_kernel_that_reaches_beyond_the_memory_is_refused(boundary):
    with refuses(ValueError, "kernel …" + TOO_LARGE.format("60 x 40")):
        sky_map(RA, DEC, wcs=SKY_WCS, kernel=200 * u.pix, boundary=boundary)


@pytest.mark.parametrize("kernel", [None, "1 arcmin"])
@pytest.mark.parametrize("size", ["1e-9 arcsec", "1e-300 arcsec"])
def test_absurdly_small_pixels_are_too_small(size, kernel):
    with refuses(ValueError, "pixel_size is too small: …"):
        sky_map(RA, DEC, wcs=SKY_WCS, pixel_size=size, kernel=kernel)


NAN = np.full(3, np.nan)
NO_FINITE_POINTS = {
    "nothing": (([], []), 0),
    "no angles": (([] * u.deg, [] * u.deg), 0),
    "no coordinates": ((SkyCoord([], [], unit="deg", frame="fk4"),), 0),
    "only NaN": ((NAN, DEC), 3),
    "only NaN coordinates": ((SkyCoord(NAN, NAN, unit="deg"),), 3),
}


def warns_of_nothing_but_nan(rows):
    """Expect the warning of rows that are all dropped; none of no rows."""
    if rows == 0:
        return nullcontext()
    text = f"none of the {rows} rows has a position that is finite and not masked: the map is empty"
    return pytest.warns(AstropyUserWarning, match=text)


def test_rows_without_weights_are_warned_of():
    with pytest.warns(AstropyUserWarning, match="has a position and a weight that is finite"):
        skymap = sky_map(RA, DEC, weights=NAN, wcs=SKY_WCS)
    assert (skymap.counts == 0).all()


@pytest.mark.parametrize("kernel", ["0.01 arcsec", 0.004 * u.pix, 0.09 * u.pix], ids=str)
def test_a_kernel_that_is_lost_in_a_pixel_is_warned_of(kernel):
    with pytest.warns(AstropyUserWarning, match="pixels wide, and so smooths nothing: is its unit"):
        sky_map(RA, DEC, wcs=SKY_WCS, kernel=kernel)


def test_a_kernel_of_a_tenth_of_a_pixel_is_not_warned_of():
    assert sky_map(RA, DEC, wcs=SKY_WCS, kernel=0.11 * u.pix).counts.sum() == len(RA)


@pytest.mark.parametrize("form", NO_FINITE_POINTS)
@pytest.mark.parametrize("wcs", [SKY_WCS, make_wcs("RA---TAN", "DEC--TAN")], ids=["shape", "none"])
@pytest.mark.parametrize("kernel", [None, "6 arcmin"])
def test_a_catalogue_of_no_points_draws_an_empty_map(form, wcs, kernel):
    points, read = NO_FINITE_POINTS[form]
    ax = add_axes(projection=wcs)
    with warns_of_nothing_but_nan(read):
        heat = ax.sky_heatmap(*points, kernel=kernel, colorbar=True)
    ax.figure.savefig(io.BytesIO())
    assert (heat.get_array() == 0).all()
    assert heat.sky_map.meta["read"] == heat.sky_map.meta["dropped"] == read


@pytest.mark.parametrize("points", [([], []), (NAN, DEC)], ids=["nothing", "only NaN"])
def test_no_points_draw_an_empty_flat_map(points):
    ax = add_axes()
    with warns_of_nothing_but_nan(len(points[0])):
        heat = ax.sky_heatmap(*points, frame="flat", kernel=1 * u.pix)
    ax.figure.savefig(io.BytesIO())
    assert heat.sky_map.counts.shape == (100, 100)
    assert (heat.get_array() == 0).all()


@pytest.mark.parametrize("norm", ["log", LogNorm()])
def test_a_logarithmic_norm_over_an_empty_map_warns_and_draws(norm):
    ax = add_axes(projection=SKY_WCS)
    text = "norm='log' has no positive value to scale: the map is empty, .* vmin=0.1, vmax=1"
    with pytest.warns(AstropyUserWarning, match=text) as caught:
        heat = ax.sky_heatmap([], [], norm=norm, colorbar=True)
    assert caught[0].filename == __file__
    ax.figure.savefig(io.BytesIO())
    assert heat.get_clim() == (0.1, 1)


@pytest.mark.filterwarnings("ignore:norm='log' has no positive value")
def test_a_logarithmic_norm_with_limits_keeps_them_over_an_empty_map():
    heat = add_axes(projection=SKY_WCS).sky_heatmap([], [], norm=LogNorm(2, 200))
    assert heat.get_clim() == (2, 200)


@pytest.mark.filterwarnings("ignore:norm='log' has no positive value")
@pytest.mark.parametrize("norm", [None, "log"])
@pytest.mark.parametrize("limits", [{"vmin": 2}, {"vmax": 0.01}], ids=str)
def test_one_given_limit_of_the_colours_draws_over_an_empty_map(norm, limits):
    ax = add_axes(projection=SKY_WCS)
    heat = ax.sky_heatmap([], [], norm=norm, **limits)
    ax.figure.savefig(io.BytesIO())
    assert limits.items() <= {"vmin": heat.norm.vmin, "vmax": heat.norm.vmax}.items()


def test_a_sky_coord_on_a_flat_map_is_refused():
    wcs = make_wcs("RA---TAN", "DEC--TAN", shape=(10, 10))
    with pytest.raises(TypeError, match="frame='flat' takes plain x, y; got positions on the sky"):
        sky_map(SkyCoord(RA, DEC, unit="deg"), wcs=wcs, frame="flat")


def test_a_map_that_is_nearly_all_margin_is_refused(monkeypatch):
    # (Of a machine with enough memory for it.)
    monkeypatch.setattr(where, "allowed_bytes", lambda: 2**40)
    wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 83.0, "CRVAL2": -5.0})
    wcs.wcs.crpix, wcs.wcs.cdelt, wcs.pixel_shape = (150.5, 150.5), (-0.001, 0.001), (300, 300)
    text = "…: a map of 300 x 300 pixels, with the margin…GiB, nearly all for the margin; …"
    with refuses(ValueError, f"kernel is too wide{text}a narrower one would do"):
        sky_map([83.0], [-5.0], wcs=wcs, kernel=800 * u.pix)
    with refuses(ValueError, f"kernel is too wide{text}a larger pixel_size would do"):
        sky_map([83.0], [-5.0], wcs=wcs, kernel="0.8 deg", geometry="plane")
    with refuses(ValueError, f"pixel_size is too small{text}pixel_size=…would do") as caught:
        sky_map(
            [83.0], [-5.0], wcs=wcs, pixel_size="3.6 arcsec", kernel="0.8 deg", geometry="plane"
        )
    with refuses(ValueError, "bins are too many…nearly all for the margin; bins=(…would do"):
        sky_map([83.0], [-5.0], wcs=wcs, bins=(100_000, 3), kernel="0.05 deg", geometry="plane")
    size = str(caught.value).rpartition("pixel_size=")[2].partition(" ")[0]
    assert 4 < u.Quantity(size.replace("*u.", " ")).to_value(u.arcsec) < 8
