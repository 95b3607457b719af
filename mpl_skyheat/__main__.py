"""The ``skyheat`` command: a catalogue's heatmap as a picture, or its map as a FITS file."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import warnings
from contextlib import contextmanager, suppress
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, get_args

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from matplotlib.figure import Figure

import mpl_skyheat
from mpl_skyheat.catalogue.engines import batches_of
from mpl_skyheat.catalogue.files import FileColumns
from mpl_skyheat.catalogue.reading import read_catalogue, read_data
from mpl_skyheat.compute.writing import replacing
from mpl_skyheat.maps.map_files import has_map
from mpl_skyheat.maps.significance import SIGNIFICANCES
from mpl_skyheat.maps.statistic_table import StatisticName
from mpl_skyheat.plotting.regions import PROJECTIONS
from mpl_skyheat.plotting.subplots import ALL_SKY_SIZE, FIELD_SIZE, add_map_axes, add_sky_axes
from mpl_skyheat.sky.frames import find_frame, find_sky_frame
from mpl_skyheat.sky.views import all_sky_wcs, field_wcs
from mpl_skyheat.smoothing.kernel_base import parse_width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from matplotlib.axes import Axes

    from mpl_skyheat.plotting.heatmap import SkyHeatmap

# Endings of what can be written: pictures, and the map itself.
PICTURES = (".png", ".pdf", ".svg")
MAPS = (".fits", ".fits.gz")

# Name of the picture in the current folder, without --output and --show.
OUTPUT = Path("skyheat.png")

# Backends of matplotlib that open no window.
WITHOUT_WINDOW = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}

# Largest width and height (inches) and largest dots per inch of a picture.
MOST_INCHES = 100
MOST_DPI = 2400

# Maps that are wider than this many times their height have the colorbar below.
WIDE = 1.5

# Most characters of a line about an error, and how many of these are for the end of a longer one.
LONGEST = 400
END = 100

EXAMPLES = """
examples:
  skyheat                                  the stars that come with the package
  skyheat -o m44.png --center "8h40m +19d40m" --radius 3deg --kernel 10arcmin
  skyheat gaia.fits -o map.png             columns and view found from the table
  skyheat gaia.parquet -o m31.pdf --center "00h42m44s +41d16m09s" --radius 1.5deg \\
          --pixel-size 1arcmin --kernel 3arcmin --label stars --norm log
  skyheat sources.csv -o sky.svg --ra RAJ2000 --dec DEJ2000 --projection MOL
  skyheat sources.csv -o map.fits --kernel 3arcmin --unit arcmin-2
  skyheat map.fits -o map.png --norm log
  skyheat -o clusters.png --statistic significance --kernel 0.5deg \\
          --background 2deg,4deg --peaks peaks.ecsv
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {_one_line(message)}\n")


def _parsed_as(parse: Callable[[str], Any], accepted: str) -> Callable[[str], Any]:
    """A function for argparse that parses a text, or says what would be accepted."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except (TypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"must be {accepted}; got {text!r}") from error

    return parsed


def _parse_limit(text: str) -> Any:
    limit = u.Quantity(text)
    if not np.isfinite(limit):
        raise ValueError(text)
    return float(limit.value) if limit.unit == u.dimensionless_unscaled else limit


def _parse_background(text: str) -> Any:
    widths = [parse_width(part, "background") for part in text.split(",")]
    return mpl_skyheat.Annulus(*widths) if len(widths) > 1 else widths[0]


def _parse_size(text: str) -> tuple[float, float]:
    width, height = map(float, re.split("[x,]", text))
    if not (0 < width <= MOST_INCHES and 0 < height <= MOST_INCHES):
        raise ValueError(text)
    return width, height


def _parse_dpi(text: str) -> float:
    dpi = float(text)
    if not 1 <= dpi <= MOST_DPI:
        raise ValueError(text)
    return dpi


def _parse_alpha(text: str) -> float | str:
    if text == "density":
        return text
    alpha = float(text)
    if not 0 <= alpha <= 1:
        raise ValueError(text)
    return alpha


_angle = _parsed_as(
    lambda text: parse_width(text, "angle", in_pixels=False).to(u.deg),
    "a positive angle such as 2arcmin",
)
_kernel = _parsed_as(
    lambda text: text if text == "auto" else parse_width(text, "kernel"),
    "a positive angle such as 2arcmin, 2pix or auto",
)
_background = _parsed_as(
    _parse_background, "the radii of a ring such as 2deg,4deg, or the width of a kernel"
)
_limit = _parsed_as(_parse_limit, "a number, or one with a unit such as '3 arcmin-2'")
_size = _parsed_as(_parse_size, f"width x height in inches, such as 8x5, up to {MOST_INCHES}")
_alpha = _parsed_as(_parse_alpha, "'density', or a number of 0 to 1")
_number = _parsed_as(float, "a number")
_dpi = _parsed_as(_parse_dpi, f"a number of dots per inch up to {MOST_DPI}")


def _output(text: str) -> Path:
    path = Path(text)
    if not path.name.lower().endswith((*PICTURES, *MAPS)):
        raise argparse.ArgumentTypeError(
            f"must end in {', '.join(PICTURES)}, or in .fits for the map; got {text!r}"
        )
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a file; got the folder {text!r}")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"its folder must exist; got {text!r}")
    return path


def _table(text: str) -> Path:
    path = Path(text)
    if not path.name.lower().endswith(".ecsv"):
        raise argparse.ArgumentTypeError(f"must end in .ecsv; got {text!r}")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"its folder must exist; got {text!r}")
    return path


class Option(NamedTuple):
    """An option. ``to`` names the functions that take its value, as an argument of its name."""

    flag: str
    metavar: str
    help: str
    parse: Any = str
    to: tuple[str, ...] = ()
    default: Any = None
    choices: Sequence[str] | None = None

    @property
    def name(self) -> str:
        return self.flag.strip("-").replace("-", "_")


AXES, MAP, BOTH = ("subplot",), ("sky_heatmap",), ("subplot", "sky_heatmap")

# Options with which a map is drawn that is made already.
DRAWING = ("unit", "label", "title", "cmap", "norm", "vmin", "vmax", "alpha", "size", "dpi")

OPTIONS = (
    Option("--ra", "COLUMN", "longitude column (default: found by its usual name)"),
    Option("--dec", "COLUMN", "latitude column"),
    Option("--frame", "FRAME", "frame of the columns (default: %(default)s)", to=BOTH,
           default="icrs"),
    Option("--map-frame", "FRAME", "frame of the map (default: that of the columns)", to=AXES),
    Option("--center", "POSITION", '"LON LAT" in the frame of the columns, degrees or sexagesimal '
           '(default: the middle of the catalogue)', to=AXES),
    Option("--radius", "ANGLE", "half the side of the square field (default: all of the catalogue)",
           _angle, AXES),
    Option("--projection", "CODE", f"{', '.join(PROJECTIONS)} (default: TAN for a field, MOL for "
           "the sky)", str.upper, AXES, choices=PROJECTIONS),
    Option("--pixel-size", "ANGLE", 'such as 1arcmin or "0.2 deg"', _angle, BOTH),
    Option("--kernel", "ANGLE", "sigma of a Gaussian to smooth with, or auto (default: none)",
           _kernel, MAP),
    Option("--weights", "COLUMN", "weights to add up (default: each row counts as one)", to=MAP),
    Option("--values", "COLUMN", "values to map, by default their mean", to=MAP),
    Option("--statistic", "NAME", f"{', '.join(get_args(StatisticName))} (default: density, or "
           "mean with --values)", to=MAP, choices=get_args(StatisticName)),
    Option("--coverage", "FILE", "what was observed: a MOC (FITS or JSON), regions (.reg), an "
           "image or a HEALPix map (FITS)", to=MAP),
    Option("--min-coverage", "FRACTION", "of what the kernel would see of full coverage, below "
           "which nothing is drawn (default: 0.5)", _number, MAP),
    Option("--min-count", "NUMBER", "rows, or effective rows under the kernel, below which nothing "
           "is drawn", _number, MAP),
    Option("--background", "RADII", "of significances and excess: the radii of a ring around the "
           "kernel, such as 2deg,4deg, or for excess the sigma of a Gaussian", _background, MAP),
    Option("--peaks", "FILE", "table (.ecsv) of the peaks of a significance above 5 sigma, which "
           "are marked on the picture", _table),
    Option("--unit", "UNIT", "unit of the map, such as arcmin-2 for a density", to=MAP),
    Option("--label", "TEXT", "what is counted or averaged, for the colorbar", to=MAP),
    Option("--title", "TEXT", "title of the picture"),
    Option("--cmap", "NAME", "matplotlib colormap", to=MAP),
    Option("--norm", "SCALE", "colour scale: linear (the default), log, asinh or sqrt",
           to=MAP, choices=("linear", "log", "asinh", "sqrt")),
    Option("--vmin", "NUMBER", "value of the first colour", _limit, MAP),
    Option("--vmax", "NUMBER", "value of the last colour", _limit, MAP),
    Option("--alpha", "OPACITY", "0 to 1, or 'density': that of the rows, which fades a map of "
           "--values where there are few", _alpha, MAP),
    Option("--size", "WxH", "size of the picture in inches, such as 8x5", _size),
    Option("--dpi", "NUMBER", "dots per inch (default: 200)", _dpi, default=200),
)  # fmt: skip


def parser() -> Parser:
    """The parser of the command's arguments."""
    parser = Parser(
        prog="skyheat",
        description="Draw the smoothed, calibrated sky density of a catalogue.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("catalogue", nargs="?", help="FITS, ECSV, CSV, VOTable or Parquet file; a folder, pattern, "
        "HATS catalogue or address of Parquet files; or a map that this command has written "
        "(default: the stars that come with the package)")  # fmt: skip
    add("-o", "--output", type=_output, metavar="FILE",
        help=f"PNG, PDF or SVG picture, or FITS file of the map (default: {OUTPUT})")  # fmt: skip
    add("--show", action="store_true", help="open a window in which the map can be zoomed; a file "
        "is then written only if --output is given")  # fmt: skip
    for option in OPTIONS:
        add(option.flag, metavar=option.metavar, help=option.help, type=option.parse,
            default=option.default, choices=option.choices)  # fmt: skip
    add("--version", action="version", version=f"%(prog)s {mpl_skyheat.__version__}")
    return parser


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    the_parser = parser()
    options = the_parser.parse_args(arguments)
    if (options.ra is None) != (options.dec is None):
        the_parser.error("--ra and --dec must be given together")
    if options.output is None and not options.show:
        options.output = OUTPUT
    defaults = {name: the_parser.get_default(name) for name in vars(options)}
    asked = {name for name, value in vars(options).items() if value != defaults[name]}
    if options.catalogue is None and (asked - {"output", "dpi"} or _is_map(options.output)):
        options.catalogue = str(files("mpl_skyheat") / "data" / "tycho2_bright.fits.gz")
        options.label = options.label or "stars"
    return options


def _is_map(path: Path | None) -> bool:
    return path is not None and path.name.lower().endswith(MAPS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    try:
        return _run(_parsed(arguments))
    except KeyboardInterrupt:
        _print("skyheat: interrupted", sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    warned: list[str] = []
    try:
        with warnings.catch_warnings(), _log_on_terminal():
            warnings.showwarning = lambda message, *_, **__: warned.append(_one_line(str(message)))
            if options.catalogue is None:
                _save(_demonstration(), options)
            else:
                _write(_heatmap(options), options)
            if options.show:
                _show()
    except Exception as error:  # A broken file makes a reader raise errors of any class.
        text = _as_options(str(error)) or type(error).__name__
        if text.startswith("the catalogue"):
            text = text.replace("the catalogue", options.catalogue, 1)
        _print(f"skyheat: error: {_one_line(text)}", sys.stderr)
        return 2
    for text in dict.fromkeys(warned):
        _print(f"skyheat: warning: {text}", sys.stderr)
    for path in filter(None, (options.output, options.peaks)):
        _print(f"wrote {path.absolute()}", sys.stdout)
    return 0


def _write(heat: SkyHeatmap, options: argparse.Namespace) -> None:
    """Write the picture or the map, and before it the table of peaks."""
    if options.peaks is not None:
        if options.statistic not in SIGNIFICANCES:
            listed = " or ".join(SIGNIFICANCES)
            raise ValueError(f"--peaks must go with --statistic {listed}; got {options.statistic}")
        peaks = heat.sky_map.find_peaks()
        heat.mark_peaks(peaks)
        with replacing(options.peaks) as new:
            peaks.write(new, format="ascii.ecsv", overwrite=True)
    if options.output is None:
        return
    if _is_map(options.output):
        heat.sky_map.write(options.output, overwrite=True)
    else:
        _save(heat.figure, options)


def _one_line(text: str) -> str:
    """A text of any length, which may come from a file, as one line that is safe to print."""
    text = " ".join(text.split())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - END]} … {text[-END:]}"


def _as_options(text: str) -> str:
    """The message of an error with the options of the command for the arguments of functions."""
    text = re.sub("name the two, as in .*", "name the two with --ra and --dec (and --frame)", text)
    text = re.sub(r"\bframe='(\w+)'", r"--frame \1", text)
    text = re.sub("^data must be (a table, or )?", "CATALOGUE must be ", text)
    text = text.replace("with norm='log'", "with --norm log")
    text = text.replace("with live=True", "with --show").replace(", or live=False,", "")
    text = text.replace("alpha='density'", "--alpha density")
    for option in OPTIONS:
        if option.to:
            text = re.sub(rf"^{option.name} (?=must|is)", f"{option.flag} ", text)
    return text


def _print(text: str, stream: TextIO | None) -> None:
    """Print a line, in any encoding, to a stream that may be closed, full or gone."""
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            # Python will flush, and fail, again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def _log_on_terminal() -> Iterator[None]:
    """Show what the package logs to somebody who waits for it."""
    logger, level = logging.getLogger("mpl_skyheat"), logging.getLogger("mpl_skyheat").level
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("skyheat: %(message)s"))
    if sys.stderr is not None and sys.stderr.isatty():
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _save(figure: Any, options: argparse.Namespace) -> None:
    """Write the picture; if it cannot be drawn or written, what was there stays."""
    engine = figure.get_layout_engine()
    if engine is not None:
        figure.set_dpi(options.dpi)
        # Once: savefig() would do it for each of its passes.
        engine.execute(figure)
        figure.set_layout_engine("none")
    with replacing(options.output) as new, new.open("wb") as file:
        figure.savefig(file, format=options.output.suffix[1:].lower(), dpi=options.dpi)


def _heatmap(options: argparse.Namespace) -> SkyHeatmap:
    """The heatmap of a file, which has a catalogue, or a map."""
    return _of_map(options) if has_map(options.catalogue) else _of_catalogue(options)


def _of_map(options: argparse.Namespace) -> SkyHeatmap:
    """The heatmap of a map that is made already, on its own pixels."""
    for option in OPTIONS:
        value = getattr(options, option.name)
        if option.name not in DRAWING and value != option.default:
            raise ValueError(
                f"{option.flag} must be left out with a map, which is made already; got {value}"
            )
    if _is_map(options.output):
        raise ValueError(
            f"--output must be a picture ({', '.join(PICTURES)}) with a map; got {options.output}"
        )
    sky_map = mpl_skyheat.SkyMap.read(options.catalogue)
    figure = _new_figure(options)
    ny, nx = sky_map.data.shape
    given = {name: value for name, value in _given(options, "sky_heatmap").items()
             if name in DRAWING}  # fmt: skip
    return _finished(add_map_axes(figure, sky_map), (sky_map,), given, options, nx > WIDE * ny)


def _of_catalogue(options: argparse.Namespace) -> SkyHeatmap:
    """The heatmap of a catalogue, as `subplot` and `sky_heatmap` make it."""
    frame = find_sky_frame("--frame", options.frame)
    names = () if options.ra is None else (options.ra, options.dec)
    data = batches_of(options.catalogue)
    if data is None:
        data = read_data(names, options.catalogue, frame, options.weights, options.values)
    is_here = Path(options.catalogue).exists()  # and no address, or pattern of names
    for flag, path in (("--output", options.output), ("--peaks", options.peaks)):
        if path is not None and path.exists() and is_here and path.samefile(options.catalogue):
            raise ValueError(f"{flag} must not be the catalogue; got {path}")
    if isinstance(data, FileColumns) and not len(read_catalogue(names, data, frame)):
        raise ValueError(f"{options.catalogue} has no rows")
    figure = _new_figure(options)
    ax = mpl_skyheat.subplot(*names, data=data, figure=figure, **_given(options, "subplot"))
    nx, ny = ax.wcs.pixel_shape
    given = {"data": data, "live": options.show, "progress": _has_bar()}
    given |= _given(options, "sky_heatmap")
    return _finished(ax, names, given, options, nx > WIDE * ny)


def _has_bar() -> bool:
    """Whether somebody waits at a terminal for what is read, and tqdm is there to show it."""
    is_watched = sys.stderr is not None and sys.stderr.isatty()
    return is_watched and find_spec("tqdm") is not None


def _new_figure(options: argparse.Namespace) -> Figure:
    """An empty figure; one in a window, which is not shown yet, with --show."""
    if not options.show:
        return Figure(layout="constrained")
    # (The command is an application, and pyplot is what opens windows.)
    import matplotlib.pyplot as plt

    if plt.get_backend().lower() in WITHOUT_WINDOW:
        raise ValueError(
            f"--show needs a backend of matplotlib that opens windows; got {plt.get_backend()!r}: "
            "set MPLBACKEND, such as to QtAgg, TkAgg or WebAgg, and see that there is a display"
        )
    return plt.figure(layout="constrained")


def _show() -> None:
    """Show the window until it is closed."""
    import matplotlib.pyplot as plt

    plt.show()


def _finished(
    ax: Axes, points: Any, given: dict[str, Any], options: argparse.Namespace, is_wide: bool
) -> SkyHeatmap:
    """The heatmap with its colorbar and title, in a figure of fitting size."""
    figure: Any = ax.figure
    figure.set_size_inches(options.size or (ALL_SKY_SIZE if is_wide else FIELD_SIZE))
    heat = mpl_skyheat.sky_heatmap(ax, *points, **given)
    heat.add_colorbar("bottom" if is_wide else "right")
    if heat.opaque_from is not None:
        heat.add_density_key()
    if options.title is not None:
        ax.set_title(options.title)
    return heat


def _given(options: argparse.Namespace, function: str) -> dict[str, Any]:
    """The arguments of a function that were given as options."""
    given = {o.name: getattr(options, o.name) for o in OPTIONS if function in o.to}
    return {name: value for name, value in given.items() if value is not None}


def _demonstration() -> Figure:
    """The figure of the stars that come with the package: the whole sky, and the Pleiades."""
    stars = mpl_skyheat.datasets.bright_stars()
    figure = Figure(figsize=(10, 4))
    # Placed by hand, as no layout engine gives a 2 : 1 ellipse and a square one height.
    galactic = all_sky_wcs(find_frame("galactic"), 1 * u.deg, "MOL")
    sky = add_sky_axes(figure, galactic, (0.045, 0.23, 0.52, 0.65), has_outline=True)
    heat = sky.sky_heatmap(
        data=stars,
        pixel_size=0.5 * u.deg,
        kernel=1 * u.deg,
        label="stars",
        cmap="magma",
        norm="log",
    )
    heat.add_colorbar("bottom")
    sky.set_title("Tycho-2, $V_T$ < 10, Galactic coordinates, Gaussian σ = 1°")

    pleiades = SkyCoord("3h47m +24d07m", frame="icrs")
    wcs = field_wcs(pleiades, 2.5 * u.deg, 1.5 * u.arcmin, "TAN")
    field = add_sky_axes(figure, wcs, (0.655, 0.23, 0.26, 0.65), has_outline=False)
    field.sky_heatmap(data=stars, kernel=10 * u.arcmin, unit="deg-2", label="stars", cmap="magma",
                      colorbar=True)  # fmt: skip
    field.set_title("Pleiades, Gaussian σ = 10′")
    return figure


if __name__ == "__main__":
    sys.exit(main())
