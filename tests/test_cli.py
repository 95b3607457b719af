"""The ``skyheat`` command: what it reads, what it draws, and how it refuses."""

import gzip
import io
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable.exceptions import VOWarning
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales
from helpers import number_of_colours
from matplotlib.colors import AsinhNorm, LogNorm, Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

import mpl_skyheat
from mpl_skyheat.__main__ import main
from mpl_skyheat.plotting.peak_marks import PeakMarks

# A clump of 50 stars, and a ring of 1 deg around it that sets what is in view.
CLUMP = SkyCoord(83, -5, unit="deg")
RING = CLUMP.directional_offset_by(np.arange(0, 360, 45) * u.deg, 1 * u.deg)
LON = np.append(np.full(50, 83.0), RING.ra.deg)
LAT = np.append(np.full(50, -5.0), RING.dec.deg)

PROJECTIONS = ("TAN", "SIN", "ARC", "STG", "ZEA", "AIT", "MOL", "CAR", "CEA", "SFL", "HPX")
FORMATS = {
    "fits": "fits",
    "fit": "fits",
    "fits.gz": "fits",
    "FITS": "fits",
    "ecsv": "ascii.ecsv",
    "csv": "ascii.csv",
    "csv.gz": "ascii.csv",
    "vot": "votable",
    "votable": "votable",
    "xml": "votable",
    "parquet": "parquet",
    "pq": "parquet",
}


def write(name, table):
    """Write a table to the working folder, in the format that its name says."""
    path, ending = Path(name), name.split(".", 1)[1]
    if FORMATS[ending] == "parquet":
        pytest.importorskip("pyarrow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VOWarning)  # of names that are no XML identifiers
        table.write(name, format=FORMATS[ending], overwrite=True)
    if ending == "csv.gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return name


def stars(lon="ra", lat="dec"):
    return Table({lon: LON, lat: LAT, "mag": np.linspace(5, 10, LON.size)})


def whole_sky():
    rng = np.random.default_rng(7)
    return Table(
        {"ra": rng.uniform(0, 360, 300), "dec": np.degrees(np.arcsin(rng.uniform(-1, 1, 300)))}
    )


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Return a function that runs the command in a folder with ``stars.csv``.

    Its result has the status, the lines on stdout and on stderr, and the figure that was saved.
    Laying the picture out and drawing it take most of the time: neither is done unless it is told
    to ``draw``, and the first only if that is "laid out".
    """
    monkeypatch.chdir(tmp_path)
    write("stars.csv", stars())
    save = Figure.savefig

    def run(*arguments, draw=False):
        saved = []

        def savefig(figure, name, **kwargs):
            saved.append(figure)
            if draw:
                save(figure, name, **kwargs)
            else:
                name.write(b"a picture")

        capsys.readouterr()
        with monkeypatch.context() as patch, warnings.catch_warnings():
            patch.setattr(Figure, "savefig", savefig)
            if draw != "laid out":
                patch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)
            # What Python shows by default, where pytest would make errors of it.
            warnings.simplefilter("default")
            for category in (DeprecationWarning, PendingDeprecationWarning, ResourceWarning):
                warnings.simplefilter("ignore", category)
            try:
                # Coarse pictures, where it is not what they look like that matters.
                status = main(["--dpi", "50", *arguments])
            except SystemExit as leave:
                status = leave.code
        out, err = capsys.readouterr()
        figure = saved[0] if saved else None
        return SimpleNamespace(
            status=status, out=out.splitlines(), err=err.splitlines(), figure=figure
        )

    return run


@pytest.fixture
def heat_of(command):
    """Return a function that runs the command without a warning, and gives the heatmap."""

    def run(*arguments, draw=False):
        result = command(*arguments, draw=draw)
        assert (result.status, result.err) == (0, [])
        return result.figure.axes[0].images[0]

    return run


def is_clump(heat, position=CLUMP):
    """Tell whether the map is largest at a position."""
    return heat.value_at(position).value == np.nanmax(heat.sky_map.data) > 0


# What it reads


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_of_catalogue_is_read(heat_of, ending):
    heat = heat_of(write(f"catalogue.{ending}", stars()))
    assert heat.sky_map.meta["inside"] == heat.sky_map.meta["read"] == LON.size
    assert is_clump(heat)


@pytest.mark.parametrize("ending", ["fits", "ecsv", "csv", "vot", "parquet"])
def test_columns_can_be_named(heat_of, ending):
    name = write(f"catalogue.{ending}", stars("alpha", "delta"))
    assert is_clump(heat_of(name, "--ra", "alpha", "--dec", "delta"))


@pytest.mark.parametrize("names", [("RAJ2000", "DEJ2000"), ("RA", "DEC"), ("raMean", "decMean")])
def test_usual_columns_are_recognised(heat_of, names):
    assert is_clump(heat_of(write("catalogue.fits", stars(*names))))


def test_named_columns_win_over_usual_ones(heat_of):
    table = stars()
    table["alpha"], table["delta"] = table["ra"] + 100, -table["dec"]
    heat = heat_of(write("catalogue.csv", table), "--ra", "alpha", "--dec", "delta")
    assert is_clump(heat, SkyCoord(183, 5, unit="deg"))


@pytest.mark.parametrize("ending", ["ecsv", "csv", "vot", "parquet"])
def test_column_names_need_not_be_ascii(heat_of, ending):
    name = write(f"catalogue.{ending}", stars("α", "δ"))
    assert is_clump(heat_of(name, "--ra", "α", "--dec", "δ"))


@pytest.mark.parametrize("ending", ["fits", "ecsv", "csv", "vot", "parquet"])
def test_masked_rows_are_dropped(heat_of, ending):
    table = stars()
    table["ra"] = MaskedColumn(table["ra"], mask=table["ra"] > 83.5)
    masked = np.count_nonzero(LON > 83.5)
    meta = heat_of(write(f"catalogue.{ending}", table)).sky_map.meta
    assert (meta["dropped"], meta["inside"]) == (masked, LON.size - masked)


def test_units_of_columns_are_minded(heat_of):
    table = Table({"ra": (LON * u.deg).to(u.rad), "dec": (LAT * u.deg).to(u.arcmin)})
    assert is_clump(heat_of(write("catalogue.ecsv", table)))


def test_a_column_of_coordinates_is_read(heat_of):
    table = Table({"position": SkyCoord(LON, LAT, unit="deg")})
    assert is_clump(heat_of(write("catalogue.ecsv", table)))


def test_columns_of_a_votable_go_by_their_names(heat_of):
    path = Path(write("catalogue.vot", stars("ra", "dec")))
    text = path.read_text(encoding="utf-8")
    for number, name in enumerate(("ra", "dec")):
        assert f'ID="{name}"' in text
        text = text.replace(f'ID="{name}"', f'ID="col_{number}"')
    path.write_text(text, encoding="utf-8")
    assert is_clump(heat_of("catalogue.vot"))


def hdus(*tables):
    images = [fits.PrimaryHDU(np.ones((3, 4))), fits.ImageHDU(np.ones((2, 2)))]
    return fits.HDUList([*images, *(fits.BinTableHDU(table) for table in tables)])


def test_the_table_of_a_fits_file_may_follow_images(heat_of):
    hdus(stars()).writeto("catalogue.fits")
    assert is_clump(heat_of("catalogue.fits"))


def test_of_two_tables_the_first_is_taken_with_a_warning(command):
    hdus(stars(), whole_sky()).writeto("catalogue.fits")
    result = command("catalogue.fits")
    assert result.status == 0
    assert is_clump(result.figure.axes[0].images[0])
    text = "catalogue.fits has these columns in HDU 2 and in HDU 3: the first is read"
    assert result.err == [f"skyheat: warning: {text}"]


@pytest.mark.parametrize(
    ("frame", "axis", "names"),
    [
        ("icrs", "RA--", ("ra", "dec")),
        ("fk5", "RA--", ("ra", "dec")),
        ("fk4", "RA--", ("ra", "dec")),
        ("galactic", "GLON", ("l", "b")),
        ("Galactic", "GLON", ("glon", "glat")),
        ("barycentricmeanecliptic", "ELON", ("elon", "elat")),
    ],
)
def test_the_map_is_in_the_frame_of_the_columns(heat_of, frame, axis, names):
    heat = heat_of(write("catalogue.csv", stars(*names)), "--frame", frame)
    assert is_clump(heat, SkyCoord(CLUMP.ra, CLUMP.dec, frame=frame.lower()))
    assert heat.axes.wcs.wcs.ctype[0] == f"{axis}-TAN"
    assert heat.axes.wcs.wcs.crval == pytest.approx([83, -5], abs=0.01)


def test_a_supergalactic_catalogue_has_axes_of_its_frame(heat_of):
    heat = heat_of("stars.csv", "--frame", "supergalactic", "--ra", "ra", "--dec", "dec")
    assert is_clump(heat, SkyCoord(83, -5, unit="deg", frame="supergalactic"))
    assert heat.axes.wcs.wcs.ctype[0] == "SLON-TAN"


# What it shows


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("icrs", "83.5 -5.25"),
        ("icrs", "83.5, -5.25"),
        ("icrs", "83.5d -5.25d"),
        ("icrs", "5h34m -5d15m"),
        ("icrs", "05h34m00s -05:15:00"),
        ("icrs", "05:34:00 -05:15:00"),  # hours, as everywhere
        ("fk5", "05 34 00 -05 15 00"),
        ("galactic", "83.5 -5.25"),
        ("galactic", "83:30:00 -05:15:00"),  # degrees, as everywhere
    ],
)
def test_the_centre_is_given_in_degrees_or_sexagesimal(heat_of, frame, text):
    columns = ("--ra", "ra", "--dec", "dec")
    for radius in (("--radius", "1deg"), ()):
        heat = heat_of("stars.csv", "--frame", frame, "--center", text, *columns, *radius)
        assert heat.axes.wcs.wcs.crval == pytest.approx([83.5, -5.25], abs=1e-9)


@pytest.mark.parametrize("center", [(), ("--center", "83.5 -5.25")])
def test_a_radius_is_that_of_the_circle_that_just_fits(heat_of, center):
    wcs = heat_of("stars.csv", *center, "--radius", "30arcmin").axes.wcs
    size = np.array(wcs.pixel_shape) * proj_plane_pixel_scales(wcs)
    assert size == pytest.approx([1, 1], rel=0.01)
    middle = wcs.pixel_to_world(*(np.array(wcs.pixel_shape) / 2 - 0.5))
    expected = SkyCoord(*(center[1].split() if center else (83, -5)), unit="deg")
    assert middle.separation(expected) < 1 * u.arcmin


@pytest.mark.parametrize("center", [(), ("--center", "83.5 -5.25"), ("--center", "81 -5")])
def test_without_a_radius_all_of_the_catalogue_just_fits(heat_of, center):
    heat = heat_of("stars.csv", *center)
    assert heat.sky_map.meta["inside"] == LON.size
    farthest = SkyCoord(*heat.axes.wcs.wcs.crval, unit="deg").separation(RING).max()
    half = np.array(heat.axes.wcs.pixel_shape) * proj_plane_pixel_scales(heat.axes.wcs) / 2
    # On the tangent plane, a circle grows with the tangent of its radius.
    assert half / np.degrees(np.tan(farthest.rad)) == pytest.approx([1, 1], abs=0.04)


@pytest.mark.parametrize("lon", [0.0, 180.0, 359.9])
@pytest.mark.parametrize("lat", [0.0, 89.8, -90.0])
def test_a_small_catalogue_anywhere_is_a_field_with_north_up_and_east_left(heat_of, lon, lat):
    angles = np.linspace(0, 360, LON.size, endpoint=False) * u.deg
    around = SkyCoord(lon, lat, unit="deg").directional_offset_by(angles, 0.5 * u.deg)
    name = write("catalogue.ecsv", Table({"ra": around.ra, "dec": around.dec}))
    heat = heat_of(name)
    wcs = heat.axes.wcs
    assert wcs.wcs.ctype[0] == "RA---TAN"
    assert heat.sky_map.meta["inside"] == LON.size
    assert proj_plane_pixel_scales(wcs) * wcs.pixel_shape == pytest.approx([1, 1], rel=0.1)
    assert wcs.wcs.cdelt[0] < 0 < wcs.wcs.cdelt[1]


@pytest.mark.parametrize(("options", "frame"), [((), "RA--"), (("--frame", "galactic"), "GLON")])
def test_a_catalogue_of_the_whole_sky_is_drawn_all_sky(heat_of, options, frame):
    table = whole_sky()
    if options:
        table.rename_columns(["ra", "dec"], ["l", "b"])
    heat = heat_of(write("sky.csv", table), "--pixel-size", "6deg", *options)
    wcs = heat.axes.wcs
    assert wcs.wcs.ctype[0] == f"{frame}-MOL"
    width, height = np.array(wcs.pixel_shape) * proj_plane_pixel_scales(wcs)
    # Of an equal-area ellipse around the sphere: 4 sqrt(2) by 2 sqrt(2) rad.
    assert (width, height) == pytest.approx(np.degrees([32**0.5, 8**0.5]), rel=0.02)
    assert heat.sky_map.meta["inside"] == len(table)
    assert heat.sky_map.kernel is None


def test_a_whole_sky_catalogue_is_drawn_as_a_field_with_a_radius(heat_of):
    heat = heat_of(write("sky.csv", whole_sky()), "--radius", "20deg", "--center", "10 20")
    assert heat.axes.wcs.wcs.ctype[0] == "RA---TAN"
    assert heat.sky_map.meta["outside"] > 250


def test_the_centre_of_an_all_sky_map_is_that_asked_for(heat_of):
    name = write("sky.csv", whole_sky())
    heat = heat_of(name, "--pixel-size", "6deg", "--center", "180 0")
    center = np.array(heat.axes.wcs.world_to_pixel_values(180, 0))
    assert center == pytest.approx(np.array(heat.axes.wcs.pixel_shape) / 2 - 0.5)


@pytest.mark.parametrize("code", PROJECTIONS)
def test_every_projection_draws_a_field(heat_of, code):
    heat = heat_of("stars.csv", "--projection", code, "--pixel-size", "2arcmin")
    assert heat.axes.wcs.wcs.ctype[0][-3:] == code
    assert heat.sky_map.meta["inside"] == LON.size
    assert is_clump(heat)


@pytest.mark.parametrize("code", sorted({*PROJECTIONS} - {"TAN", "SIN", "STG"}))
def test_projections_of_the_sky_draw_all_of_it(heat_of, code):
    heat = heat_of(write("sky.csv", whole_sky()), "--pixel-size", "6deg", "--projection", code)
    assert heat.axes.wcs.wcs.ctype[0][-3:] == code
    assert heat.sky_map.meta["inside"] == 300


def test_the_pixel_size_is_exact(heat_of):
    wcs = heat_of("stars.csv", "--pixel-size", "1.7 arcmin").sky_map.wcs
    assert proj_plane_pixel_scales(wcs) * 60 == pytest.approx([1.7, 1.7], rel=1e-6)


@pytest.mark.parametrize(
    ("text", "kernel"),
    [
        ("6arcmin", 6 * u.arcmin),
        ("0.1 deg", 0.1 * u.deg),
        ("1.5pix", 1.5 * u.pix),
        ("3 pix", 3 * u.pix),
        (None, None),
    ],
)
def test_the_kernel_is_that_of_the_call(heat_of, text, kernel):
    size = ("--pixel-size", "2arcmin")
    heat = heat_of("stars.csv", *size, *(() if text is None else ("--kernel", text)))
    expected = mpl_skyheat.sky_map(
        LON, LAT, wcs=heat.axes.wcs, pixel_size=2 * u.arcmin, kernel=kernel
    )
    np.testing.assert_allclose(heat.sky_map.data, expected.data, rtol=1e-9, atol=1e-12)


def test_peaks_of_a_significance_are_a_table_and_marked(command):
    options = ("--statistic", "significance", "--background", "15arcmin,45arcmin")
    options += ("--kernel", "4arcmin", "--pixel-size", "2arcmin")
    result = command("stars.csv", *options, "--peaks", "peaks.ecsv")
    assert (result.status, result.err) == (0, [])
    assert result.out[1] == f"wrote {Path('peaks.ecsv').absolute()}"
    peaks = QTable.read("peaks.ecsv")
    assert peaks["coord"][0].separation(CLUMP) < 2 * u.arcmin
    assert peaks["n_on"][0] > 40
    assert any(isinstance(child, PeakMarks) for child in result.figure.axes[0].get_children())
    result = command("stars.csv", *options, "--peaks", "peaks.ecsv", "-o", "map.fits")
    assert (result.status, result.err) == (0, [])
    with fits.open("map.fits") as hdus:
        assert hdus["NON"].data.max() == pytest.approx(peaks["n_on"].max(), rel=0.01)
    Path("same.ecsv").symlink_to("stars.csv")
    result = command("stars.csv", *options, "--peaks", "same.ecsv")
    assert result.err == ["skyheat: error: --peaks must not be the catalogue; got same.ecsv"]


def test_an_excess_may_be_about_a_kernel_of_any_width(heat_of):
    heat = heat_of("stars.csv", "--statistic", "excess", "--background", "0.5deg",
                   "--kernel", "6arcmin", "--pixel-size", "2arcmin")  # fmt: skip
    expected = mpl_skyheat.sky_map(
        LON, LAT, wcs=heat.sky_map, kernel="6 arcmin", statistic="excess", background="0.5 deg"
    )
    np.testing.assert_allclose(heat.sky_map.data, expected.data, rtol=1e-6, atol=1e-6)


def test_the_label_is_that_of_the_colorbar(heat_of):
    heat = heat_of("stars.csv", "--label", "quasars", "-o", "map.svg", draw=True)
    _, bar = heat.axes.figure.axes
    assert bar.get_ylabel() == r"quasars / $\mathrm{deg^{2}}$"
    assert "quasars" in Path("map.svg").read_text(encoding="utf-8")


def test_the_colormap_is_that_asked_for(heat_of):
    assert heat_of("stars.csv", "--cmap", "viridis_r").cmap.name == "viridis_r"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("linear", Normalize), ("log", LogNorm), ("asinh", AsinhNorm), ("sqrt", PowerNorm)],
)
def test_every_norm_spans_the_map(heat_of, name, kind):
    heat = heat_of("stars.csv", "--norm", name, draw=True)
    assert type(heat.norm) is kind
    assert heat.norm.vmax == np.nanmax(heat.sky_map.data)
    assert heat.norm.vmin == 0 or (name == "log" and heat.norm.vmin > 0)


@pytest.mark.parametrize("name", ["linear", "log", "asinh", "sqrt"])
def test_a_view_without_a_star_is_drawn_empty(command, name):
    view = ("--center", "200 40", "--radius", "1deg", "--pixel-size", "5arcmin")
    result = command("stars.csv", *view, "--norm", name, draw=True)
    assert result.status == 0
    assert result.figure.axes[0].images[0].sky_map.counts.sum() == 0
    assert any("none of the 58 points is on the map" in line for line in result.err)


@pytest.mark.parametrize("count", [1, 3])
def test_stars_at_one_place_make_a_map(heat_of, count):
    heat = heat_of(write("one.csv", stars()[:count]))
    assert heat.sky_map.meta["inside"] == count
    assert is_clump(heat)


def test_python_draws_the_same(heat_of):
    heat = heat_of("stars.csv", "--kernel", "6arcmin", "--label", "stars")
    table = Table.read("stars.csv")
    ax = mpl_skyheat.subplot(data=table, figure=Figure())
    drawn = ax.sky_heatmap(data=table, kernel="6 arcmin", label="stars", vmin=0)
    np.testing.assert_array_equal(heat.sky_map.data, drawn.sky_map.data)
    assert heat.get_clim() == drawn.get_clim()
    assert heat.cmap == drawn.cmap
    assert heat.axes.wcs.wcs.compare(ax.wcs.wcs)


def test_weights_are_summed(heat_of):
    heat = heat_of("stars.csv", "--weights", "mag")
    assert heat.sky_map.counts.sum() == pytest.approx(stars()["mag"].sum())


def test_the_unit_is_that_asked_for(heat_of):
    heat = heat_of("stars.csv", "--unit", "1/arcsec2", "--vmax", "2 arcmin-2", "--vmin", "1e-5")
    assert heat.sky_map.unit == u.arcsec**-2
    assert heat.get_clim() == pytest.approx((1e-5, 2 / 3600))


@pytest.mark.parametrize("name", ["linear", "log", "asinh", "sqrt"])
def test_the_limits_of_the_colours_are_those_asked_for(heat_of, name):
    heat = heat_of("stars.csv", "--norm", name, "--vmin", "0.01", "--vmax", "0.5")
    assert heat.get_clim() == (0.01, 0.5)
    assert heat_of("stars.csv", "--norm", name, "--vmax", "0.5").get_clim()[1] == 0.5


@pytest.mark.parametrize("size", ["6x5", "6,5", "6.0x5"])
def test_the_size_resolution_and_title_are_those_asked_for(heat_of, size):
    options = ("--size", size, "--dpi", "30", "--title", "A title")
    heat = heat_of("stars.csv", *options, "-o", "map.png", draw=True)
    assert plt.imread("map.png").shape[:2] == (150, 180)
    assert heat.axes.get_title() == "A title"


# What it writes

MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-", "svg": b"<?xml"}


@pytest.mark.parametrize("ending", ["png", "pdf", "svg", "PNG"])
def test_the_picture_has_the_format_of_its_name(command, ending):
    before = {*os.listdir()}
    draw = "laid out" if ending == "pdf" else True
    result = command("stars.csv", "--output", f"map.{ending}", draw=draw)
    assert (result.status, result.err) == (0, [])
    content = Path(f"map.{ending}").read_bytes()
    assert content.startswith(MAGIC[ending.lower()])
    assert (b"<svg" in content) == (ending == "svg")
    assert {*os.listdir()} == before | {f"map.{ending}"}


@pytest.mark.parametrize("name", ["map.fits", "map.fits.gz"])
def test_the_map_is_written_as_fits(command, name):
    Path(name).write_text("older")
    result = command("stars.csv", "-o", name, "--kernel", "6arcmin", "--unit", "deg-2")
    assert (result.status, result.err, result.figure) == (0, [], None)
    with fits.open(name) as file:
        assert file[0].header["BUNIT"] == "deg-2"
        assert file["COUNTS"].data.sum() == LON.size
        x, y = WCS(file[0].header).world_to_pixel(CLUMP)
        assert file[0].data[round(float(y)), round(float(x))] == np.nanmax(file[0].data)
    assert {*os.listdir()} == {"stars.csv", name}


@pytest.fixture
def a_map(command):
    """The name of the file of a map of the field around the clump."""
    options = ("--kernel", "6arcmin", "--label", "suns", "--radius", "1deg")
    assert command("stars.csv", "-o", "map.fits", *options).status == 0
    return "map.fits"


def test_a_map_that_is_made_already_is_drawn_with_its_own_label_and_unit(a_map, heat_of):
    heat = heat_of(a_map)
    made = mpl_skyheat.SkyMap.read(a_map)
    np.testing.assert_array_equal(heat.sky_map.data, made.data)
    assert heat.sky_map.unit == "deg-2"
    assert is_clump(heat)
    assert heat.colorbar.ax.get_ylabel() == r"suns / $\mathrm{deg^{2}}$"
    options = ("--unit", "arcmin-2", "--label", "stars", "--cmap", "magma", "--norm", "sqrt")
    heat = heat_of(a_map, *options, "--vmax", "20 deg-2", "--title", "Again", draw=True)
    np.testing.assert_allclose(heat.sky_map.data, made.data / 3600)
    assert heat.colorbar.ax.get_ylabel() == r"stars / $\mathrm{arcmin^{2}}$"
    assert (heat.get_cmap().name, heat.axes.get_title()) == ("magma", "Again")
    assert heat.norm.vmax == pytest.approx(20 / 3600)


@pytest.mark.parametrize("code", ["MOL", "CAR"])
def test_maps_of_the_whole_sky_have_the_outline_of_the_sky(command, heat_of, code):
    options = ("--projection", code, "--pixel-size", "6deg", "--kernel", "20deg")
    command(write("sky.csv", whole_sky()), "-o", "map.fits", *options)
    drawn, again = heat_of("sky.csv", *options), heat_of("map.fits")
    assert again.axes.coords.frame.spine_names == drawn.axes.coords.frame.spine_names
    np.testing.assert_allclose(again.get_array(), drawn.get_array(), rtol=1e-12)
    assert again.figure.get_size_inches().tolist() == drawn.figure.get_size_inches().tolist()


def test_a_map_of_cartesian_points_is_drawn_on_plain_axes(heat_of):
    flat = mpl_skyheat.sky_map([1, 2, 2], [3, 4, 5], frame="flat", bins=(4, 3))
    flat.write("flat.fits")
    np.testing.assert_array_equal(heat_of("flat.fits").sky_map.data, flat.data)


@pytest.mark.parametrize(
    ("option", "value", "got"),
    [
        ("--kernel", "3deg", "3.0 deg"),
        ("--radius", "2deg", "2.0 deg"),
        ("--values", "mag", "mag"),
        ("--frame", "galactic", "galactic"),
        ("--statistic", "count", "count"),
        ("--pixel-size", "1arcmin", r"0.0166667 deg"),
    ],
)
def test_options_that_make_a_map_are_refused_with_one_that_is_made(
    a_map, refuses, option, value, got
):
    error = refuses(a_map, option, value)
    assert error.startswith(f"{option} must be left out with a map, which is made already; got ")
    assert error.endswith(got) or "0.01666" in error


def test_what_else_a_map_refuses(a_map, refuses, command):
    assert refuses(a_map, "--unit", "m") == "--unit must be one of the map's, 1 / deg2; got 'm'"
    for name in ("other.fits", "map.fits"):
        result = command(a_map, "-o", name)
        text = f"--output must be a picture (.png, .pdf, .svg) with a map; got {name}"
        assert result.err == [f"skyheat: error: {text}"]
    content = Path(a_map).read_bytes()
    Path(a_map).write_bytes(content[:-3000])
    assert refuses(a_map).startswith("file must be a whole FITS file that SkyMap.write has written")


def test_options_without_a_catalogue_are_for_the_stars_of_the_package(command):
    result = command("-o", "map.fits", "--center", "8h40m +19d40m", "--radius", "2deg")
    assert (result.status, result.err) == (0, [])
    with fits.open("map.fits") as hdus:
        assert 40 < hdus["COUNTS"].data.sum() < 400
        assert '"label": "stars"' in hdus[0].header["SKYHEAT"]


def test_the_catalogue_is_not_replaced(command):
    content = Path(write("stars.fits", stars())).read_bytes()
    result = command("stars.fits", "-o", "./stars.fits")
    assert result.err == ["skyheat: error: --output must not be the catalogue; got stars.fits"]
    assert Path("stars.fits").read_bytes() == content


def test_a_disk_that_is_full_leaves_the_picture_that_was_there(refuses):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        assert refuses("stars.csv", draw=True) == "cannot write map.png: File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_interruption_takes_one_line(command, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    Path("map.png").write_text("an older picture")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[main.__module__], "read_data", interrupt)
        result = command("stars.csv", "-o", "map.png")
    assert (result.status, result.out) == (130, [])
    assert result.err == ["skyheat: interrupted"]
    assert Path("map.png").read_text() == "an older picture"


class Gone(io.TextIOWrapper):
    """A stream whose reader has gone."""

    def flush(self):
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [None, Gone(io.BytesIO())])
def test_nobody_who_reads_is_no_error(command, monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    assert command("stars.csv").status == 0


def test_a_terminal_may_have_any_encoding(command, monkeypatch):
    terminal = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(terminal, encoding="ascii"))
    assert command("stars.csv", "-o", "häß.png").status == 0
    assert terminal.getvalue().endswith(rb"/h\xe4\xdf.png" + os.linesep.encode())


def test_somebody_at_a_terminal_sees_what_takes_long(command, monkeypatch):
    def log_and_fail(*_, **__):
        logging.getLogger("mpl_skyheat").info("compiling")
        raise ValueError("enough")

    monkeypatch.setattr(sys.modules[main.__module__], "read_data", log_and_fail)
    assert command("stars.csv").err == ["skyheat: error: enough"]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert command("stars.csv").err == ["skyheat: compiling", "skyheat: error: enough"]


@pytest.mark.parametrize("name", ["map.png", "a folder/map.png", "a folder/../map.png"])
def test_the_path_that_is_printed_is_absolute_and_there(command, name):
    Path("a folder").mkdir()
    (line,) = command("stars.csv", "-o", name).out
    path = Path(line.removeprefix("wrote "))
    assert path.is_absolute()
    assert path.samefile(name)


def test_the_picture_is_skyheat_png_unless_named(command):
    assert command("stars.csv").status == 0
    assert Path("skyheat.png").is_file()


def test_an_older_picture_is_replaced(command):
    Path("map.png").write_text("old")
    assert command("stars.csv", "-o", "map.png").status == 0
    assert Path("map.png").read_text() == "a picture"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_picture_has_the_permissions_of_any_new_file(command):
    Path("other").touch()
    assert command("stars.csv", "-o", "map.png").status == 0
    assert Path("map.png").stat().st_mode == Path("other").stat().st_mode


def run_module(*arguments, cwd):
    # HOME may be read-only; the fonts that were found are kept in the cache.
    environment = os.environ | {"MPLCONFIGDIR": mpl.get_cachedir(), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, "-m", "mpl_skyheat", *arguments],
        cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip


def test_without_arguments_it_draws_the_sky_and_the_pleiades(tmp_path):
    done = run_module(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.removeprefix("wrote ").rstrip("\n")).samefile(tmp_path / "skyheat.png")
    picture = plt.imread(tmp_path / "skyheat.png")
    assert picture.shape[0] > 600 < picture.shape[1]
    assert number_of_colours(picture) > 100


def test_the_demonstration_shows_the_milky_way_and_the_cluster(command):
    result = command()
    assert (result.status, result.err) == (0, [])
    sky, field = (ax.images[0] for ax in result.figure.axes if ax.images)
    assert sky.axes.wcs.wcs.ctype[0] == "GLON-MOL"
    latitude = np.array([0, 60, -60]) * u.deg
    plane, north, south = (
        sky.value_at(SkyCoord(np.arange(5, 360, 10) * u.deg, b, frame="galactic")).mean()
        for b in latitude
    )
    assert plane > 2 * max(north, south)
    center, away = SkyCoord("3h47m +24d07m"), SkyCoord("3h41m +25d30m")
    assert field.value_at(center) > 3 * field.value_at(away)


def test_an_error_of_the_module_is_its_exit_status(tmp_path):
    done = run_module("nowhere.fits", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "skyheat: error: no such file: nowhere.fits\n"
    assert not os.listdir(tmp_path)


def test_help_has_examples_of_commands_that_parse(command):
    result = command("--help")
    assert (result.status, result.err) == (0, [])
    examples = result.out[result.out.index("examples:") :]
    assert sum(line.split()[:1] == ["skyheat"] for line in examples) >= 3
    for option in ("--ra", "--dec", "--frame", "--center", "--radius", "--projection", "--norm",
                   "--pixel-size", "--kernel", "--label", "--cmap", "--output", "--weights",
                   "--unit", "--title", "--vmin", "--vmax", "--size", "--dpi"):  # fmt: skip
        assert option in "\n".join(result.out)


def test_the_version_is_the_packages(command):
    result = command("--version")
    assert (result.status, result.out) == (0, [f"skyheat {mpl_skyheat.__version__}"])


# What it says of the rest


def test_warnings_take_one_line_each(command, monkeypatch):
    module = sys.modules[main.__module__]
    read = module.read_data

    def read_with_warnings(*args, **kwargs):
        warnings.warn("on the first line\n    and the second", AstropyUserWarning, stacklevel=2)
        warnings.warn("another", UserWarning, stacklevel=2)
        return read(*args, **kwargs)

    monkeypatch.setattr(module, "read_data", read_with_warnings)
    result = command("stars.csv")
    assert result.status == 0
    assert result.err == [
        "skyheat: warning: on the first line and the second",
        "skyheat: warning: another",
    ]
    assert [line[:6] for line in result.out] == ["wrote "]


def test_the_unit_of_a_column_that_is_not_needed_does_not_matter(heat_of):
    tables = hdus(stars())
    tables[-1].header["TUNIT3"] = "nonsense"
    tables.writeto("catalogue.fits")
    assert is_clump(heat_of("catalogue.fits"))


def test_a_wide_field_is_smoothed_on_the_sphere(heat_of):
    options = ("--radius", "50deg", "--kernel", "3deg", "--pixel-size", "1deg")
    assert heat_of("stars.csv", *options).sky_map.meta["geometry"] == "sphere"


def test_a_map_in_another_frame_than_the_columns(heat_of):
    heat = heat_of("stars.csv", "--map-frame", "galactic")
    assert heat.axes.wcs.wcs.ctype[0] == "GLON-TAN"
    assert is_clump(heat)


@pytest.fixture
def refuses(command):
    """Return a function that expects one line on stderr, status 2 and files as they were."""

    def run(*arguments, draw=False):
        before = {*os.listdir()}
        first = command(*arguments, "-o", "map.png", draw=draw)
        assert {*os.listdir()} == before
        Path("map.png").write_text("an older picture")
        result = command(*arguments, "-o", "map.png", draw=draw)
        assert {*os.listdir()} == before | {"map.png"}
        assert Path("map.png").read_text() == "an older picture"
        assert first.status == result.status == 2
        assert first.out == result.out == []
        (error,) = result.err
        assert error.startswith("skyheat: error: ")
        return error.removeprefix("skyheat: error: ")

    return run


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("nowhere.fits", "no such file: nowhere.fits"),
        (".", "no Parquet file in ."),
        ("notes.txt", "CATALOGUE must be a file whose name ends in .fits, "),
        ("https://a.org/a.fits", "CATALOGUE must be a file on this machine; got 'https://a.org/"),
        ("stars.csv --ra ra", "--ra and --dec must be given together"),
        ("stars.csv --dec dec", "--ra and --dec must be given together"),
        ("stars.csv --ra ra --dec b", "stars.csv: no column 'b' in data; it has ra, dec, mag"),
        ("stars.csv --ra a --dec dec", "stars.csv: no column 'a' in data; it has ra, dec, mag"),
        ("stars.csv --weights w", "stars.csv: no column 'w' in data; it has ra, dec, mag"),
        ("stars.csv --unit nonsense", "--unit must be per solid angle"),
        ("stars.csv --unit m", "--unit must be per solid angle"),
        ("stars.csv --vmin a", "argument --vmin: must be a number, or one with a unit such as "),
        ("stars.csv --vmax nan", "argument --vmax: must be a number, or one with a unit such as "),
        ("stars.csv --vmin 0 --norm log", "--vmin must be positive with --norm log; got 0"),
        ("stars.csv --size 8", "argument --size: must be width x height in inches, such as 8x5"),
        ("stars.csv --size 8xa", "argument --size: must be width x height in inches, such as 8x5"),
        ("stars.csv --size 0x5", "argument --size: must be width x height in inches, such as 8x5"),
        ("stars.csv --size infxinf", "argument --size: must be width x height in inches"),
        ("stars.csv --dpi nan", "argument --dpi: must be a number of dots per inch up to "),
        ("stars.csv --dpi 1e9", "argument --dpi: must be a number of dots per inch up to "),
        ("stars.csv --frame icrss", "--frame must be one of "),
        ("stars.csv --frame flat", "--frame must be a frame of the sky; got 'flat'"),
        ("stars.csv --map-frame lsr", "--map-frame must be a frame that a FITS WCS"),
        ("stars.csv --frame altaz", "frame 'altaz' must come with all that it needs"),
        ("stars.csv --frame galactic", "stars.csv: data must have one recognisable pair of col"),
        ("stars.csv --center nonsense", "--center must be one position, such as "),
        ("stars.csv --center 83.0", "--center must be one position, such as "),
        ("stars.csv --center 83,-95", "--center must be one position, such as "),
        ("stars.csv --kernel nonsense", "argument --kernel: must be a positive angle such as "),
        ("stars.csv --kernel 2", "argument --kernel: must be a positive angle such as "),
        ("stars.csv --kernel 0deg", "argument --kernel: must be a positive angle such as "),
        ("stars.csv --kernel nan", "argument --kernel: must be a positive angle such as "),
        ("stars.csv --kernel 2m", "argument --kernel: must be a positive angle such as "),
        ("stars.csv --cmap nonsense", "'nonsense' is not a valid value for cmap"),
        ("stars.csv --radius nonsense", "argument --radius: must be a positive angle such as "),
        ("stars.csv --radius 2", "argument --radius: must be a positive angle such as "),
        ("stars.csv --radius=-2deg", "argument --radius: must be a positive angle such as "),
        ("stars.csv --radius inf", "argument --radius: must be a positive angle such as "),
        ("stars.csv --pixel-size 2pix", "argument --pixel-size: must be a positive angle "),
        ("stars.csv --pixel-size 0deg", "argument --pixel-size: must be a positive angle "),
        ("stars.csv --pixel-size 0.001arcsec", "--pixel-size is too small: "),
        ("stars.csv --pixel-size 1e-9arcsec", "--pixel-size is too small: "),
        ("stars.csv --statistic lima --kernel 1deg", "--background must be given beside kernel"),
        ("stars.csv --background 2deg,4deg", "--background must be left out but with "),
        ("stars.csv --background 4deg,2deg", "argument --background: must be the radii of a ring"),
        ("stars.csv --background 1deg,2deg,3deg", "argument --background: must be the radii of a "),
        ("stars.csv --background nonsense", "argument --background: must be the radii of a ring"),
        ("stars.csv --peaks a.ecsv", "--peaks must go with --statistic significance or lima; got"),
        ("stars.csv --peaks a.txt", "argument --peaks: must end in .ecsv; got 'a.txt'"),
        ("stars.csv --peaks b/a.ecsv", "argument --peaks: its folder must exist; got 'b/a.ecsv'"),
        ("stars.csv --norm nonsense", "argument --norm: invalid choice: 'nonsense'"),
        ("stars.csv --projection XYZ", "argument --projection: invalid choice: 'XYZ'"),
        ("stars.csv --nonsense", "unrecognized arguments: --nonsense"),
        ("stars.csv --label", "argument --label: expected one argument"),
        ("stars.csv stars.csv", "unrecognized arguments: stars.csv"),
    ],
)
def test_arguments_without_meaning_are_refused(refuses, arguments, text):
    Path("notes.txt").write_text("ra,dec\n1,2\n")
    assert refuses(*arguments.split()).startswith(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.gif", "must end in .png, .pdf, .svg, or in .fits for the map; got 'map.gif'"),
        ("map", "must end in .png, .pdf, .svg, or in .fits for the map; got 'map'"),
        ("folder.png", "must be a file; got the folder 'folder.png'"),
        ("nowhere/map.png", "its folder must exist; got 'nowhere/map.png'"),
        ("stars.csv/map.png", "its folder must exist; got 'stars.csv/map.png'"),
    ],
)
def test_pictures_that_cannot_be_are_refused(command, name, text):
    Path("folder.png").mkdir()
    before = {*os.listdir()}
    result = command("stars.csv", "-o", name)
    assert (result.status, result.out) == (2, [])
    assert result.err == [f"skyheat: error: argument -o/--output: {text}"]
    assert {*os.listdir()} == before


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"x": [1.0], "y": [2.0]}, "catalogue.ecsv: data must have one recognisable pair of"),
        ({"ra": [], "dec": []}, "catalogue.ecsv has no rows"),
        ({"ra": [np.nan] * 2, "dec": [1.0, 2.0]}, "catalogue.ecsv has no row with a position"),
        (
            {"ra": [1.0, 2.0], "dec": [0.0, 91.0]},
            "in catalogue.ecsv: dec must lie within ±90 deg; ",
        ),
        ({"ra": ["5h"], "dec": ["3d"]}, "catalogue.ecsv cannot be read as ECSV: ra must be numb"),
        ({"ra": [1, 2] * u.m, "dec": [1.0, 2.0]}, "catalogue.ecsv: ra must be an angle"),
    ],
)
def test_tables_that_are_no_catalogue_are_refused(refuses, table, text):
    assert refuses(write("catalogue.ecsv", Table(table))).startswith(text)


def test_columns_that_are_not_recognised_are_answered_with_the_options(refuses):
    error = refuses(write("catalogue.csv", Table({"x": [1.0], "y": [2.0]})))
    assert "found none among x, y" in error
    assert "--ra" in error


@pytest.mark.parametrize("latitude", [91.0, -100.0])
def test_a_latitude_beyond_the_poles_is_refused_also_outside_the_view(refuses, latitude):
    name = write("catalogue.csv", Table({"ra": [1.0, 2.0], "dec": [0.0, latitude]}))
    error = refuses(name, "--center", "1 0", "--radius", "1deg")
    assert error == f"in catalogue.csv: dec must lie within ±90 deg; row 1 has {latitude:g}"


DAMAGES = {
    "empty": lambda _: b"",
    "garbage": lambda _: b"\0\1garbage\n\xff\xfe,\n",
    "truncated": lambda content: content[: len(content) // 2],
}


@pytest.mark.parametrize(
    ("damage", "ending"),
    [
        *((damage, "fits") for damage in DAMAGES),
        *((damage, "fits.gz") for damage in DAMAGES),
        *((damage, "vot") for damage in DAMAGES),
        *((damage, "parquet") for damage in DAMAGES),
        *((damage, "csv.gz") for damage in DAMAGES),
        # The first rows of these are as good as all of them.
        *((damage, ending) for damage in ("empty", "garbage") for ending in ("csv", "ecsv")),
    ],
)
def test_broken_files_are_refused(refuses, damage, ending):
    path = Path(write(f"catalogue.{ending}", stars()))
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert path.name in refuses(str(path))


def test_a_fits_file_without_a_table_is_refused(refuses):
    hdus().writeto("catalogue.fits")
    assert refuses("catalogue.fits") == "catalogue.fits has no table that can be read"


def test_a_failure_while_drawing_leaves_nothing_behind(refuses):
    assert "nonsense" in refuses("stars.csv", "--label", r"$\nonsense$", draw="laid out")


def test_a_folder_in_the_pictures_place_stays(command):
    Path("map.png").mkdir()
    before = {*os.listdir()}
    result = command("stars.csv", "-o", "map.png")
    assert result.status == 2
    assert len(result.err) == 1
    assert {*os.listdir()} == before


def test_a_folder_that_is_not_writable_is_refused(command):
    folder = Path("closed")
    folder.mkdir(mode=0o500)
    if os.name == "nt" or os.access(folder, os.W_OK):
        pytest.skip("root, and everybody on Windows, may write here")
    result = command("stars.csv", "-o", "closed/map.png")
    assert result.status == 2
    (line,) = result.err
    assert line.startswith("skyheat: error: ")
    assert "closed" in line
    assert not os.listdir(folder)


@pytest.mark.parametrize(
    ("code", "radius"), [("TAN", 95), ("SIN", 95), ("STG", 180), ("TAN", 180), ("MOL", 200)]
)
def test_a_radius_beyond_the_projection_is_refused(refuses, code, radius):
    options = ("--projection", code, "--radius", f"{radius}deg", "--pixel-size", "6deg")
    error = refuses("stars.csv", *options)
    assert error.startswith("--radius must be ")
    assert (code if radius <= 180 else "at most 180 deg; got 200 deg") in error


@pytest.mark.parametrize("code", ["TAN", "STG"])
def test_a_projection_that_cannot_hold_the_sky_is_refused(refuses, code):
    error = refuses(write("sky.csv", whole_sky()), "--projection", code)
    assert f"in the projection {code}; got 180 deg" in error


@pytest.mark.parametrize("code", ["ZEA", "MOL"])
def test_a_radius_of_180_degrees_is_the_whole_sky(command, code):
    options = ("--projection", code, "--radius", "180deg", "--center", "0 0")
    result = command(write("sky.csv", whole_sky()), *options, "--pixel-size", "6deg")
    assert (result.status, result.figure is None) == (0, False)
    assert result.figure.axes[0].images[0].sky_map.meta["inside"] == 300


# What it leaves as it was


def state():
    mask = os.umask(0o22)
    os.umask(mask)
    return {
        "backend": mpl.get_backend(),
        "rcParams": mpl.rcParams.copy(),
        "figures": plt.get_fignums(),
        "showwarning": warnings.showwarning,
        "filters": list(warnings.filters),
        "umask": mask,
        "folder": os.getcwd(),
        "arguments": list(sys.argv),
    }


@pytest.mark.parametrize(
    "arguments", [("stars.csv",), ("nowhere.csv",), ("stars.csv", "--norm", "x")], ids=" ".join
)
def test_a_call_from_python_leaves_no_traces(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    write("stars.csv", stars())
    with warnings.catch_warnings():  # keeps a failure of this test from other tests
        warnings.simplefilter("ignore")
        before = state()
        try:
            main(arguments)
        except SystemExit:
            assert "--norm" in arguments
        after = state()
    changed = [name for name in before if after[name] != before[name]]
    assert not changed


def test_half_of_the_sky_fills_a_figure_for_fields(command):
    options = ("--projection", "SIN", "--radius", "90deg", "--center", "10 20")
    figure = command(
        write("sky.csv", whole_sky()), *options, "--pixel-size", "6deg", draw="laid out"
    ).figure
    assert figure.axes[0].get_position().height > 0.9


def test_slivers_at_the_edge_of_the_sky_do_not_set_the_colours(heat_of):
    heat = heat_of(write("sky.csv", whole_sky()), "--map-frame", "galactic")
    of_scripts = mpl_skyheat.SkyHeatmap(heat.axes, heat.sky_map, heat.get_extent())
    assert heat.norm.vmax == of_scripts.norm.vmax < np.nanmax(heat.sky_map.data)


def test_values_of_a_column_are_averaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    columns = {"ra": rng.uniform(9, 11, 500), "dec": rng.uniform(-1, 1, 500), "rv": np.arange(500)}
    table = Table(columns)
    table["rv"].unit = "km/s"
    table.write("stars.ecsv")
    options = ["--values", "rv", "--kernel", "20arcmin", "--min-count", "3", "-o", "map.fits"]
    assert main(["stars.ecsv", *options]) == 0
    with fits.open("map.fits") as hdus:
        assert hdus[0].header["BUNIT"] == "km s-1"
        assert 200 < np.nanmean(hdus[0].data) < 300
        assert {"UNCERT", "NEFF"} <= {hdu.name for hdu in hdus}
    assert main(["stars.ecsv", "--values", "rv", "--statistic", "median", "-o", "map.png"]) == 0


def test_values_fade_where_there_are_few_rows(heat_of, refuses):
    rng = np.random.default_rng(1)
    table = Table({"ra": rng.normal(10, 1, 500), "dec": rng.normal(0, 1, 500)})
    table["rv"] = table["ra"] * u.km / u.s
    name = write("values.ecsv", table)
    options = ("--values", "rv", "--kernel", "20arcmin", "--radius", "2deg")
    heat = heat_of(name, *options, "--alpha", "density", draw=True)
    assert heat.opaque_from.unit == u.deg**-2
    assert heat.get_alpha()[5, 5] < 0.2 < heat.get_alpha().max() == 1
    assert heat.axes.child_axes  # the key
    # A map that is made already, too.
    heat.sky_map.write("values.fits")
    np.testing.assert_array_equal(
        heat_of("values.fits", "--alpha", "density").get_alpha(), heat.get_alpha()
    )
    assert heat_of(name, *options, "--alpha", "0.5").get_alpha() == 0.5
    assert refuses(name, "--alpha", "density").startswith(
        "--values must be given with --alpha density, which fades"
    )
    assert "must be 'density', or a number of 0 to 1; got '2'" in refuses(name, "--alpha", "2")


# A window


@pytest.fixture
def window(monkeypatch):
    """Windows that were shown, each with its number of figures, in place of real ones."""
    shown = []
    monkeypatch.setattr(plt, "get_backend", lambda: "WebAgg")
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    yield shown
    plt.close("all")


def test_a_window_shows_a_live_map_and_writes_nothing(command, window, tmp_path):
    before = sorted(tmp_path.iterdir())
    result = command("stars.csv", "--show", "--kernel", "6arcmin")
    assert (result.status, result.err, result.out) == (0, [], [])
    assert len(window) == 1
    (heat,) = plt.gcf().axes[0].images
    assert heat.live is not None
    assert sorted(tmp_path.iterdir()) == before


def test_a_window_and_a_file(command, window, tmp_path):
    result = command("stars.csv", "--show", "-o", "map.png", draw=True)
    assert (result.status, result.err) == (0, [])
    assert len(window) == 1
    assert (tmp_path / "map.png").exists()


def test_a_window_of_a_map_that_is_made_already(command, window):
    assert command("stars.csv", "-o", "map.fits", "--kernel", "6arcmin").status == 0
    result = command("map.fits", "--show")
    assert (result.status, result.err) == (0, [])
    assert len(window) == 1


def test_without_windows_it_says_what_to_set(command):
    result = command("stars.csv", "--show")
    assert result.status == 2
    assert "--show needs a backend of matplotlib that opens windows; got 'agg'" in result.err[0]


def test_what_cannot_be_live_names_the_option(command, window):
    result = command("stars.csv", "--show", "--kernel", "2pix")
    assert result.status == 2
    assert "--kernel must be an angle with --show" in result.err[0]
    assert not window


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(command, monkeypatch, is_terminal):
    pytest.importorskip("tqdm")
    pytest.importorskip("pyarrow")
    stars().write("stars.parquet")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    result = command("stars.parquet", "-o", "map.fits")
    assert result.status == 0
    assert any("rows" in line for line in result.err) == is_terminal
