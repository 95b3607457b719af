"""`Gaussian` with a width for each row: against the sum of all rows' own Gaussians."""

import copy
import pickle

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from helpers import make_wcs
from matplotlib.figure import Figure

from mpl_skyheat import Adaptive, Annulus, Gaussian, Randoms, SkyMap, TopHat, sky_heatmap, sky_map
from mpl_skyheat.counting import sums as sums_module
from mpl_skyheat.maps import row_ladder
from mpl_skyheat.smoothing.row_gaussian import rungs_of, width_of

FIELD = make_wcs(shape=(90, 60), cdelt=(-1 / 60, 1 / 60))
SKY = make_wcs("MOL", shape=(120, 60), cdelt=(-2.7, 2.7), center=(0, 0))


def rows_at(wcs, x, y, widths, **columns):
    """Return a table of rows at pixel coordinates."""
    lon, lat = wcs.pixel_to_world_values(np.atleast_1d(x), np.atleast_1d(y))
    return QTable({"ra": lon, "dec": lat, "pos_err": np.atleast_1d(widths), **columns})


@pytest.fixture(scope="module")
def sources():
    """300 rows at the centres of pixels, with errors of 1 to 6 arcmin, weights and values."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 90, 300), rng.integers(0, 60, 300)
    widths = np.exp(rng.uniform(0, np.log(6), 300)) * u.arcmin
    columns = {"w": rng.exponential(2, 300), "v": rng.normal(50, 20, 300)}
    return rows_at(FIELD, x, y, widths, **columns)


def kernels_of(table, wcs=FIELD):
    """Return each row's own Gaussian (per deg²) in each pixel: (rows, ny, nx)."""
    nx, ny = wcs.pixel_shape
    pixels = wcs.pixel_to_world(*np.meshgrid(np.arange(nx), np.arange(ny)))
    places = SkyCoord(table["ra"], table["dec"], unit="deg")
    apart = places[:, np.newaxis, np.newaxis].separation(pixels)
    sigma = table["pos_err"][:, np.newaxis, np.newaxis]
    height = np.exp(-0.5 * (apart / sigma).to_value(u.dimensionless_unscaled) ** 2)
    return height / (2 * np.pi * sigma.to_value(u.deg) ** 2)


# One source


def test_widths_are_shared_between_rungs_so_that_their_squares_are_kept():
    sigma = np.exp(np.random.default_rng(0).uniform(-20, 3, 1000))
    lower, share = rungs_of(sigma, -1000)
    assert (share >= 0).all()
    assert (share <= 1).all()
    assert np.ptp(lower) > 200
    np.testing.assert_allclose(
        (1 - share) * width_of(lower) ** 2 + share * width_of(lower + 1) ** 2, sigma**2
    )
    assert (width_of(lower) < sigma * (1 + 1e-9)).all()
    assert (width_of(lower + 1) > sigma * (1 - 1e-9)).all()
    np.testing.assert_allclose(width_of(lower + 1) / width_of(lower), 2**0.125)
    assert rungs_of(np.array([0.3]), 4) == (4, 0)


@pytest.mark.parametrize("geometry", ["plane", "sphere"])
@pytest.mark.parametrize("sigma", [1.63, 2.0, 5.2])
def test_a_lone_source_is_its_own_gaussian(geometry, sigma):
    """To 1 % of its peak, at and between the rungs; so are its errors."""
    table = rows_at(FIELD, 40, 30, sigma * u.arcmin)
    found = sky_map(
        data=table, wcs=FIELD, kernel=Gaussian("pos_err"), geometry=geometry, unit="deg-2"
    )
    assert found.meta["geometry"] == geometry
    (expected,) = kernels_of(table)
    assert np.abs(found.data - expected).max() < 0.01 * expected.max()
    assert np.abs(found.error.data - expected).max() < 0.015 * expected.max()
    assert found.n_eff[expected > 0.1 * expected.max()].max() == pytest.approx(1, abs=5e-3)
    plain = sky_map(data=table, wcs=FIELD, kernel=sigma * u.arcmin, geometry=geometry, unit="deg-2")
    assert np.abs(found.data - plain.data).max() < 0.009 * plain.data.max()


@pytest.mark.parametrize("sigma", [0.01, 0.3, 0.7])
def test_a_source_narrower_than_a_pixel_is_as_with_one_kernel(sigma):
    table = rows_at(FIELD, 40.2, 30.3, sigma * u.arcmin)
    found = sky_map(data=table, wcs=FIELD, kernel=Gaussian("pos_err"))
    plain = sky_map(data=table, wcs=FIELD, kernel=None if sigma < 0.1 else sigma * u.arcmin)
    assert np.abs(found.data - plain.data).max() < 0.01 * plain.data.max()


def test_sources_of_the_whole_sky_are_smoothed_where_each_must_be():
    """A wide one on the sphere; one far below a pixel on the plane, in its own pixel."""
    table = QTable({"ra": [120.0, 250.0], "dec": [80.0, 10.0], "pos_err": [10.0, 0.001] * u.deg})
    found = sky_map(data=table, wcs=SKY, kernel=Gaussian("pos_err"), unit="deg-2")
    assert found.meta["geometry"] == "sphere"
    wide = sky_map(data=table[:1], wcs=SKY, kernel="10 deg", unit="deg-2")
    own = sky_map(data=table[1:], wcs=SKY, unit="deg-2")
    expected = wide.data + own.data
    shown = ~found.mask
    assert (shown == ~wide.mask).all()
    assert np.abs(found.data - expected)[(own.data == 0) & shown].max() < 0.01 * wide.max().value
    assert found.max().value == pytest.approx(own.max().value, rel=1e-4)


# Many rows


def some_of(sources, geometry):
    """Return the rows; on the sphere, which takes longer, those of three rungs."""
    width = sources["pos_err"]
    is_in = (width > 2.4 * u.arcmin) & (width < 2.8 * u.arcmin)
    return sources if geometry == "plane" else sources[is_in]


@pytest.mark.parametrize("geometry", ["plane", "sphere"])
def test_maps_are_sums_of_each_rows_own_gaussian(sources, geometry):
    sources = some_of(sources, geometry)
    kernels = kernels_of(sources)
    w, v = (np.asarray(sources[name])[:, np.newaxis, np.newaxis] for name in ("w", "v"))
    arguments = {"data": sources, "wcs": FIELD, "kernel": Gaussian("pos_err")}
    arguments |= {"geometry": geometry, "unit": None}
    pixel = (1 / 60) ** 2
    for weights, amounts in ((None, np.ones_like(w)), ("w", w))[geometry == "sphere" :]:
        s1, s2 = (amounts * kernels).sum(axis=0), (amounts**2 * kernels**2).sum(axis=0)
        given = arguments | {"weights": weights}
        density = sky_map(**given | {"unit": "deg-2"})
        assert np.abs(density.data - s1).max() < 0.01 * s1.max()
        assert np.abs(density.error.data - np.sqrt(s2)).max() < 0.015 * np.sqrt(s2).max()
        inner = s1 > 0.2 * s1.max()
        np.testing.assert_allclose(density.n_eff[inner], (s1**2 / s2)[inner], rtol=0.025)
        count = sky_map(**given, statistic="count")
        assert np.abs(count.data - pixel * s1).max() < 0.01 * pixel * s1.max()
        # Of values: Σ w v K / Σ w K, with each row's own K.
        given["values"] = "v"
        mean = (amounts * v * kernels).sum(axis=0) / s1
        found = sky_map(**given)
        assert np.abs(found.data - mean)[inner].max() < 0.3  # their scatter is 20
        total = sky_map(**given, statistic="sum")
        expected = pixel * (amounts * v * kernels).sum(axis=0)
        assert np.abs(total.data - expected).max() < 0.01 * expected.max()
        std = sky_map(**given, statistic="std")
        v2 = (amounts * v**2 * kernels).sum(axis=0) / s1
        many = inner & (s1**2 / s2 > 3)
        expected = np.sqrt((v2 - mean**2)[many] / (1 - s2 / s1**2)[many])
        np.testing.assert_allclose(std.data[many], expected, rtol=0.04)


@pytest.mark.parametrize("weights", [None, "w"])
def test_means_end_where_no_row_is_near(weights):
    """A lone row of each width has a disc of its own value, 3 σ wide: where K is 1 % of K(0)."""
    columns = {"v": [3.0, 7.0], "w": [5.0, 0.1]}
    table = rows_at(FIELD, [15, 60], [30, 30], [1.5, 6] * u.arcmin, **columns)
    kernel = Gaussian("pos_err")
    found = sky_map(data=table, wcs=FIELD, values="v", weights=weights, kernel=kernel)
    row = found.data[30]
    shown = np.flatnonzero(np.isfinite(row))
    assert shown.min() == pytest.approx(15 - 3.03 * 1.5, abs=0.6)
    assert row[15] == pytest.approx(3, abs=1e-6)
    assert row[60] == pytest.approx(7, abs=1e-6)
    assert shown[shown > 30].min() == pytest.approx(60 - 3.03 * 6, abs=0.6)


def test_what_was_observed_is_divided_out_for_each_width():
    """Rows of three widths in every pixel of a rectangle: flat into its corners."""
    x, y = (v.ravel() for v in np.meshgrid(np.arange(20, 70), np.arange(10, 50)))
    widths = np.repeat([1, 2, 3.3], x.size) * u.arcmin
    table = rows_at(FIELD, np.tile(x, 3), np.tile(y, 3), widths)

    def is_inside(coord):
        column, row = FIELD.world_to_pixel(coord)
        return (np.abs(column - 44.5) < 25) & (np.abs(row - 29.5) < 20)

    arguments = {"data": table, "wcs": FIELD, "kernel": Gaussian("pos_err"), "unit": "arcmin-2"}
    found = sky_map(**arguments, coverage=is_inside, min_coverage=0)
    assert (~found.mask).sum() == 2000
    np.testing.assert_allclose(found.data[10:50, 20:70], 3, rtol=2e-3)
    # In the corners, kernels see a quarter: that of each row is divided by what it sees.
    half = sky_map(**arguments, coverage=is_inside)
    assert half.mask[10, 20]
    assert not half.mask[30, 20]
    assert sky_map(**arguments).data[10, 20] < 1.5


def test_an_explicit_boundary_keeps_the_number_of_rows():
    rng = np.random.default_rng(2)
    x, y = rng.normal([[50.0], [50.0]], 3, (2, 400))
    x, y = np.append(x, [0, 100]), np.append(y, [0, 100])
    widths = rng.uniform(0.7, 5, 402) * u.pix
    arguments = {"frame": "flat", "bins": 100, "boundary": "fill"}
    found = sky_map(x, y, **arguments, kernel=Gaussian(widths), statistic="count")
    corners = sky_map(x[-2:], y[-2:], **arguments, kernel=Gaussian(widths[-2:]), statistic="count")
    assert found.sum().value - corners.sum().value == pytest.approx(400, rel=1e-9)
    assert found.counts.sum() == 402


# Forms of rows


def test_widths_are_read_in_every_form(sources, tmp_path):
    arguments = {"wcs": FIELD, "unit": "deg-2"}
    expected = sky_map(data=sources, kernel=Gaussian("pos_err"), **arguments)
    sources.write(tmp_path / "rows.fits")
    sources.write(tmp_path / "rows.ecsv")
    table = Table(sources)  # columns with a unit
    fwhm = QTable(sources)
    fwhm["pos_err"] = (np.sqrt(8 * np.log(2)) * sources["pos_err"]).to(u.arcsec)
    lon, lat = sources["ra"], sources["dec"]
    made = [
        sky_map(lon, lat, kernel=Gaussian(sources["pos_err"]), **arguments),
        sky_map(lon, lat, kernel=Gaussian(table["pos_err"]), **arguments),
        sky_map(lon, lat, kernel=Gaussian(fwhm=fwhm["pos_err"]), **arguments),
        sky_map(SkyCoord(lon, lat, unit="deg"), kernel=Gaussian(table["pos_err"]), **arguments),
        sky_map(data=table, kernel=Gaussian("pos_err"), **arguments),
        sky_map(data=fwhm, kernel=Gaussian(fwhm="pos_err"), **arguments),
        sky_map(data=tmp_path / "rows.fits", kernel=Gaussian("pos_err"), **arguments),
        sky_map(data=str(tmp_path / "rows.ecsv"), kernel=Gaussian("pos_err"), **arguments),
        sky_map(data=iter([sources[:70], sources[70:]]), kernel=Gaussian("pos_err"), **arguments),
    ]
    for found in made:
        np.testing.assert_allclose(found.data, expected.data, rtol=1e-6, atol=1e-9)
        np.testing.assert_array_equal(found.counts, expected.counts)
        assert found.counts.dtype == np.int64


@pytest.mark.parametrize(("geometry", "weights"), [("plane", "w"), ("sphere", None)])
def test_the_compiled_route_adds_the_same(sources, geometry, weights, monkeypatch):
    rows = some_of(sources, geometry)
    arguments = {"data": rows, "wcs": FIELD, "kernel": Gaussian("pos_err")}
    arguments |= {"weights": weights, "values": "v", "geometry": geometry}
    expected = sky_map(**arguments)
    monkeypatch.setattr(sums_module, "should_compile", lambda _: True)
    found = sky_map(**arguments)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-9)
    np.testing.assert_allclose(found.error.data, expected.error.data, rtol=1e-7)


@pytest.mark.parametrize("is_compiled", [False, True])
def test_rows_without_a_width_are_dropped_and_counted(sources, is_compiled, monkeypatch):
    monkeypatch.setattr(sums_module, "should_compile", lambda _: is_compiled)
    rows = sources.copy()
    rows["pos_err"][[3, 5]] = [np.nan, np.inf] * u.arcmin
    rows["ra"][9] = np.nan
    kernel = Gaussian("pos_err")
    found = sky_map(data=rows, wcs=FIELD, kernel=kernel)
    assert found.meta["dropped"] == 3
    assert found.meta["read"] == 300
    kept = np.delete(np.arange(300), [3, 5, 9])
    expected = sky_map(data=sources[kept], wcs=FIELD, kernel=kernel)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-9, atol=1e-9)


def test_every_batch_of_the_compiled_route_is_checked(sources, monkeypatch):
    monkeypatch.setattr(sums_module, "should_compile", lambda _: True)
    # Beyond the block in which the first row with a position is looked for.
    rows = sources[np.resize(np.arange(300), 70_000)]
    rows["pos_err"][68_000] = 0 * u.rad
    with pytest.raises(ValueError, match="row 68000 has 0"):
        sky_map(data=rows, wcs=FIELD, kernel=Gaussian("pos_err"))


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("width", [0, -2])
def test_widths_that_are_not_positive_are_refused_by_row(sources, width, is_compiled, monkeypatch):
    monkeypatch.setattr(sums_module, "should_compile", lambda _: is_compiled)
    rows = sources.copy()
    rows["pos_err"][7] = width * u.rad
    text = rf"kernel must have a positive width for each row .*; row 7 has {width}$"
    with pytest.raises(ValueError, match=text):
        sky_map(data=rows, wcs=FIELD, kernel=Gaussian("pos_err"))
    chunks = iter([sources[:100], rows[2:50]])
    with pytest.raises(ValueError, match=r"in chunk 1: .*; row 5 has"):
        sky_map(data=chunks, wcs=FIELD, kernel=Gaussian("pos_err"))


BARE = {"ra": [83.0], "dec": [-5.0], "pos_err": [2.0], "mag": [2.0] * u.Jy}
IN_FIELD = {"wcs": FIELD}


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (
            ValueError,
            "kernel of rows must be angles .*numbers without a unit.*unit = 'arcsec'",
            lambda: sky_map(data=BARE, kernel=Gaussian("pos_err"), **IN_FIELD),
        ),
        (
            ValueError,
            r"column 'pos_err': give them one, as in data\['pos_err'\].unit = 'arcsec'",
            lambda: sky_map(data=Table(BARE), kernel=Gaussian("pos_err"), **IN_FIELD),
        ),
        (
            ValueError,
            "kernel of rows must be angles .*; got unit 'Jy' of column 'mag'",
            lambda: sky_map(data=QTable(BARE), kernel=Gaussian("mag"), **IN_FIELD),
        ),
        (
            ValueError,
            "kernel: no column 'pos_er' in data; it has ra, dec, pos_err",
            lambda: sky_map(data=BARE, kernel=Gaussian("pos_er"), **IN_FIELD),
        ),
        (
            TypeError,
            "kernel is the column name '2 arcmn': pass the table too",
            lambda: sky_map([1], [2], kernel=Gaussian("2 arcmn"), **IN_FIELD),
        ),
        (
            ValueError,
            "ra and kernel must have the same length; got 2 and 3",
            lambda: sky_map([1, 2], [1, 2], kernel=Gaussian([1, 2, 3] * u.deg), **IN_FIELD),
        ),
        (
            ValueError,
            "kernel must have one width for all rows where points come from an iterator",
            lambda: sky_map(iter([([1], [2])]), kernel=Gaussian("pos_err"), **IN_FIELD),
        ),
        (
            TypeError,
            "the kernel's widths must be names of columns",
            lambda: sky_map(
                "ra", "dec", data=iter([BARE]), kernel=Gaussian([1] * u.deg), **IN_FIELD
            ),
        ),
        (
            ValueError,
            "widths must be alike in all chunks",
            lambda: sky_map(
                data=iter([QTable(BARE | {"e": [1] * unit}) for unit in (u.deg, u.pix)]),
                kernel=Gaussian("e"),
                **IN_FIELD,
            ),
        ),
        (
            ValueError,
            "kernel must be in map pixels, such as 2.u.pix, with frame='flat'",
            lambda: sky_map([1, 2], [1, 2], frame="flat", kernel=Gaussian([1, 2] * u.deg)),
        ),
        (
            TypeError,
            r"kernel must be one width, or Gaussian\(widths\) for one of each row; .* \(2,\)",
            lambda: sky_map([1, 2], [1, 2], kernel=[1, 2] * u.deg, **IN_FIELD),
        ),
        (ValueError, "sigma of rows .* got numbers without a unit", lambda: Gaussian([1.0, 2.0])),
        (ValueError, "fwhm of rows .* got unit 'm'", lambda: Gaussian(fwhm=[1.0, 2.0] * u.m)),
        (ValueError, "sigma must be an angle .* got ''", lambda: Gaussian("")),
        (ValueError, "either sigma or fwhm", lambda: Gaussian("a", fwhm="b")),
    ],
)
def test_widths_that_are_none_are_refused(error, text, call):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    ("error", "text", "arguments"),
    [
        (ValueError, "kernel must have one width with statistic='significance'; got Gaussian", {
            "statistic": "significance", "background": Annulus("20 arcmin", "30 arcmin")}),
        (ValueError, "one width with statistic='excess'; got Gaussian", {
            "statistic": "excess", "background": "20 arcmin"}),
        (ValueError, "boundary must be one of 'sky', 'fill' with kernel=Gaussian.*'wrap'", {
            "boundary": "wrap"}),
        (ValueError, "coverage must say what .*Gaussian.'pos_err'.*Randoms", {
            "coverage": Randoms([1], [2], density=1 / u.deg**2)}),
    ],
)  # fmt: skip
def test_what_widths_of_rows_have_no_meaning_with(sources, error, text, arguments):
    with pytest.raises(error, match=text):
        sky_map(data=sources, wcs=FIELD, kernel=Gaussian("pos_err"), **arguments)


def test_pixels_of_an_axes_without_any_resolve_the_narrowest_row():
    ax = Figure().add_subplot()
    rows = QTable({"ra": [10.0, 12.0], "dec": [0.0, 2.0], "pos_err": [0.02, 0.5] * u.deg})
    heat = sky_heatmap(ax, data=rows, kernel=Gaussian("pos_err"))
    sides = np.sqrt(heat.sky_map.solid_angle).to_value(u.rad) * u.rad
    assert sides.to_value(u.deg).mean() == pytest.approx(0.02 / 2, rel=0.02)
    with pytest.raises(ValueError, match=r"one width with live=True; got Gaussian\('pos_err'\)"):
        sky_heatmap(ax, data=rows, kernel=Gaussian("pos_err"), live=True)


def test_kernels_of_rows_have_no_sums():
    for combine in (
        lambda k: k - TopHat("1 deg"),
        lambda k: Gaussian("1 deg") + k,
        lambda k: 2 * k,
        lambda k: Adaptive(narrowest="1 deg", widest="2 deg") - k,
    ):
        with pytest.raises(TypeError, match="has no sums, differences or factors"):
            combine(Gaussian("pos_err"))


def test_too_many_widths_for_the_memory_are_refused(sources, monkeypatch):
    monkeypatch.setattr(row_ladder, "allowed_bytes", lambda: 1e6)
    text = r"kernel=Gaussian\('pos_err'\) has rows of too many widths .* sums of \d+ widths take"
    with pytest.raises(ValueError, match=text):
        sky_map(data=sources, wcs=FIELD, kernel=Gaussian("pos_err"))


# The kernel, and files


def test_kernels_of_rows_are_equal_by_value(tmp_path, sources):
    widths = [1, 2] * u.deg
    kernels = [
        Gaussian("pos_err"),
        Gaussian(fwhm="pos_err"),
        Gaussian("e_pos"),
        Gaussian(widths),
        Gaussian([1, 3] * u.deg),
        Gaussian("1 deg"),
    ]
    assert len(set(kernels)) == len(kernels)
    assert Gaussian([60, 120] * u.arcmin) == Gaussian(widths)
    assert repr(kernels[0]) == "Gaussian('pos_err')"
    assert repr(kernels[1]) == "Gaussian(fwhm='pos_err')"
    assert repr(kernels[3]) == "Gaussian(<widths of 2 rows>)"
    for kernel in kernels:
        assert pickle.loads(pickle.dumps(kernel)) == kernel
        assert copy.deepcopy(kernel) == kernel
        made = sky_map(data=sources[:2], wcs=FIELD, kernel="9 arcmin")
        made.kernel = kernel
        made.write(tmp_path / "map.fits", overwrite=True)
        assert SkyMap.read(tmp_path / "map.fits").kernel == kernel


def test_maps_come_back_from_files_to_the_bit(sources, tmp_path):
    made = sky_map(data=sources, wcs=FIELD, kernel=Gaussian("pos_err"), weights="w")
    made.write(tmp_path / "map.fits")
    again = SkyMap.read(tmp_path / "map.fits")
    for name in ("data", "n_eff", "counts"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    np.testing.assert_array_equal(again.uncertainty.array, made.uncertainty.array)
    assert again.meta == made.meta
    assert again.kernel == made.kernel
    assert again.scales is None
    assert made.total()[0].value == pytest.approx(sources["w"].sum())
