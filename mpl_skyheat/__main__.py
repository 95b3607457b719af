"""The ``skyheat`` command: a catalogue's heatmap as a picture."""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from matplotlib.colors import AsinhNorm, LogNorm, Normalize, PowerNorm
from matplotlib.figure import Figure

import mpl_skyheat
from mpl_skyheat.catalogue.reading import read_catalogue
from mpl_skyheat.plotting.regions import PROJECTIONS, find_region
from mpl_skyheat.plotting.subplots import (
    ALL_SKY_SIZE,
    FIELD_SIZE,
    OUTLINES,
    add_sky_axes,
    parse_position,
)
from mpl_skyheat.sky.frames import find_frame, find_sky_frame
from mpl_skyheat.sky.views import all_sky_wcs, field_wcs, find_map_frame
from mpl_skyheat.smoothing.kernel_base import parse_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpl_skyheat.plotting.heatmap import SkyHeatmap

FORMATS = (".png", ".pdf", ".svg")
DPI = 200

# Place (left, bottom, width, height) in which a 2 : 1 ellipse has room for labels and a colorbar.
ELLIPSE: Any = (0.04, 0.2, 0.92, 0.736)

# What --center must be.
POSITION = "a position such as '56.75 24.12' or '3h47m +24d07m'"

# Formats of astropy's reader by the ending of the catalogue's name, which ".gz" may follow.
READERS = {".fits": "fits", ".fit": "fits", ".ecsv": "ascii.ecsv", ".csv": "ascii.csv"}
READERS |= {".vot": "votable", ".votable": "votable", ".xml": "votable"}
READERS |= {".parquet": "parquet", ".pq": "parquet"}

EXAMPLES = """
examples:
  skyheat                                  the stars that come with the package
  skyheat gaia.fits -o map.png             columns and view found from the table
  skyheat gaia.parquet -o m31.pdf --center "00h42m44s +41d16m09s" --radius 1.5deg \\
          --pixel-size 1arcmin --kernel 3arcmin --label stars --norm log
  skyheat sources.csv -o sky.svg --ra RAJ2000 --dec DEJ2000 --projection MOL
"""


class Parser(argparse.ArgumentParser):
    """A parser whose errors take one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message}\n")


def parser() -> Parser:
    """The parser of the command's arguments."""
    parser = Parser(
        prog="skyheat",
        description="Draw the smoothed, calibrated sky density of a catalogue.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("catalogue", nargs="?", type=Path, help="FITS, ECSV, CSV, VOTable or Parquet file")
    add("-o", "--output", type=_output, default="skyheat.png", metavar="FILE",
        help="PNG, PDF or SVG to write (default: %(default)s)")  # fmt: skip
    add("--ra", metavar="COLUMN", help="longitude column (default: found by its usual name)")
    add("--dec", metavar="COLUMN", help="latitude column")
    add("--frame", default="icrs", help="frame of the columns (default: %(default)s)")
    add("--map-frame", metavar="FRAME", help="frame of the map (default: that of the columns)")
    add("--center", metavar="POSITION",
        help='"RA DEC", degrees or sexagesimal (default: the middle of the catalogue)')  # fmt: skip
    add("--radius", type=_width, metavar="ANGLE",
        help="from the centre to the map's edge (default: all of the catalogue)")  # fmt: skip
    add("--projection", choices=PROJECTIONS, metavar="CODE", type=str.upper,
        help=f"{', '.join(PROJECTIONS)} (default: TAN for a field, MOL for the sky)")  # fmt: skip
    add("--pixel-size", type=_width, metavar="ANGLE", help='such as 1arcmin or "0.2 deg"')
    add("--kernel", type=partial(_width, in_pixels=True), metavar="ANGLE",
        help="sigma of the Gaussian (default: 2 pixels for a field, none for the sky)")  # fmt: skip
    add("--label", default="sources", help="what is counted (default: %(default)s)")
    add("--cmap", default="magma", help="matplotlib colormap (default: %(default)s)")
    add("--norm", choices=("linear", "log", "asinh", "sqrt"), default="linear",
        help="colour scale (default: %(default)s)")  # fmt: skip
    add("--version", action="version", version=f"%(prog)s {mpl_skyheat.__version__}")
    return parser


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(
            f"must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}; got {text!r}"
        )
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"its folder must exist; got {text!r}")
    return path


def _width(text: str, *, in_pixels: bool = False) -> u.Quantity:
    try:
        width = parse_width(text, "width", in_pixels=in_pixels)
    except ValueError as error:
        hint = ", or 2pix" if in_pixels else ""
        raise argparse.ArgumentTypeError(
            f"must be a positive angle such as 2arcmin{hint}; got {text!r}"
        ) from error
    return width if in_pixels else width.to(u.deg)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    the_parser = parser()
    options = the_parser.parse_args(arguments)
    if options.catalogue is None:
        for name, value in vars(options).items():
            if name != "output" and value != the_parser.get_default(name):
                the_parser.error(f"--{name.replace('_', '-')} needs a CATALOGUE to go with")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parsed(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            figure = _demonstration() if options.catalogue is None else _picture(options)
            _save(figure, options.output)
        except Exception as error:  # A broken file makes a reader raise errors of any class.
            message = " ".join(str(error).split()) or type(error).__name__
            print(f"skyheat: error: {message}", file=sys.stderr)
            return 2
    print(f"wrote {options.output.absolute()}")
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"skyheat: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _save(figure: Figure, path: Path) -> None:
    """Write the picture; an error while it is drawn leaves no file behind."""
    picture = io.BytesIO()
    engine = figure.get_layout_engine()
    if engine is not None:
        figure.set_dpi(DPI)
        # Twice, as the labels' places depend on that of the Axes. savefig() would do it once.
        for _ in range(2):
            engine.execute(figure)
        figure.set_layout_engine("none")
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=DPI)
    path.write_bytes(picture.getvalue())


def _read_table(path: Path) -> Any:
    from astropy.table import Table

    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    name = path.name.lower().removesuffix(".gz")
    reader = next((READERS[ending] for ending in READERS if name.endswith(ending)), None)
    if reader is None:
        raise ValueError(f"the catalogue must end in {', '.join(READERS)}; got {path}")
    # The IDs of a VOTable's columns may be made up by a server; users know the names.
    options = {"use_names_over_ids": True} if reader == "votable" else {}
    table = Table.read(path, format=reader, **options)
    if not len(table):
        raise ValueError(f"{path} has no rows")
    return table


def _picture(options: argparse.Namespace) -> Figure:
    """The figure of a catalogue file."""
    frame = map_frame = find_sky_frame("--frame", options.frame)
    if options.map_frame is not None:
        map_frame = find_map_frame("--map-frame", options.map_frame)
    if (options.ra is None) != (options.dec is None):
        raise ValueError("--ra and --dec must be given together")
    names = () if options.ra is None else (options.ra, options.dec)
    table = _read_table(options.catalogue)
    try:
        catalogue = read_catalogue(names, table, frame)
    except ValueError as error:
        what, separator, _ = str(error).partition(": name the two")
        if not separator:
            raise
        raise ValueError(f"{what}: name the two with --ra and --dec (and --frame)") from error
    region = find_region(
        catalogue,
        map_frame,
        center=parse_position(options.center, frame, "--center", POSITION),
        radius=options.radius,
        pixel_size=options.pixel_size,
        projection=options.projection,
    )
    is_bent = not region.is_field and region.projection in {*OUTLINES} - {"HPX"}
    # A layout engine takes long with labels along an ellipse.
    layout: Any = None if is_bent else "constrained"
    place = ELLIPSE if is_bent else 111
    figure = Figure(FIELD_SIZE if region.is_field else ALL_SKY_SIZE, layout=layout)
    ax = add_sky_axes(figure, region.wcs(map_frame), place, is_whole=region.is_whole)
    kernel = options.kernel
    if kernel is None and region.is_field:
        kernel = 2 * region.pixel_size
    heat = ax.sky_heatmap(
        *names, data=table, frame=frame, pixel_size=region.pixel_size, kernel=kernel,
        label=options.label, cmap=options.cmap,
    )  # fmt: skip
    _set_norm(heat, options.norm)
    heat.add_colorbar("right" if region.is_field else "bottom")
    return figure


def _set_norm(heat: SkyHeatmap, name: str) -> None:
    """Set the colour scale; on a logarithmic one, empty sky has the lowest colour."""
    # The upper limit of the linear scale, to which slivers at the sky's edge do not count.
    largest = float(heat.get_clim()[1] or 0) or 1.0
    positive = heat.sky_map.data[np.nan_to_num(heat.sky_map.data) > 0]
    smallest = np.percentile(positive, 1) if len(positive) else largest
    norms = {
        "linear": Normalize(0, largest),
        "log": LogNorm(max(smallest, 1e-3 * largest), largest),
        "asinh": AsinhNorm(0.1 * largest, 0, largest),
        "sqrt": PowerNorm(0.5, 0, largest),
    }
    heat.set_norm(norms[name])
    heat.axes.set_facecolor(heat.cmap(0.0))


def _demonstration() -> Figure:
    """The figure of the stars that come with the package: the whole sky, and the Pleiades."""
    stars = mpl_skyheat.datasets.bright_stars()
    figure = Figure(figsize=(10, 4))
    # Placed by hand, as no layout engine gives a 2 : 1 ellipse and a square one height.
    galactic = all_sky_wcs(find_frame("galactic"), 1 * u.deg, "MOL")
    sky = add_sky_axes(figure, galactic, (0.045, 0.23, 0.52, 0.65), is_whole=True)
    heat = sky.sky_heatmap(
        data=stars, pixel_size=0.5 * u.deg, kernel=1 * u.deg, label="stars", cmap="magma"
    )
    _set_norm(heat, "log")
    heat.add_colorbar("bottom")
    sky.set_title("Tycho-2, $V_T$ < 10, Galactic coordinates, Gaussian σ = 1°")

    pleiades = SkyCoord("3h47m +24d07m", frame="icrs")
    wcs = field_wcs(pleiades, 2.5 * u.deg, 1.5 * u.arcmin, "TAN")
    field = add_sky_axes(figure, wcs, (0.655, 0.23, 0.26, 0.65), is_whole=False)
    field.sky_heatmap(data=stars, kernel=10 * u.arcmin, unit="deg-2", label="stars", cmap="magma",
                      colorbar=True)  # fmt: skip
    field.set_title("Pleiades, Gaussian σ = 10′")
    return figure


if __name__ == "__main__":
    sys.exit(main())
