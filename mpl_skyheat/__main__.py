"""The ``skyheat`` command: a catalogue's heatmap as a picture."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes.frame import EllipticalFrame

import mpl_skyheat
from mpl_skyheat.grid import separation, to_vectors
from mpl_skyheat.points import find_frame, read_catalogue
from mpl_skyheat.views import ELLIPTICAL, all_sky_wcs, field_wcs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.wcs import WCS
    from matplotlib.figure import Figure

    from mpl_skyheat.artist import SkyHeatmap
    from mpl_skyheat.points import Catalogue

FORMATS = (".png", ".pdf", ".svg")
NORMS = ("linear", "log", "asinh", "sqrt")
PROJECTIONS = ("TAN", "SIN", "ARC", "STG", "ZEA", "AIT", "MOL", "CAR", "CEA", "SFL", "HPX")

# What astropy reads a catalogue with, by the ending of its name (".gz" may follow).
READERS = {
    ".fits": "fits",
    ".fit": "fits",
    ".ecsv": "ascii.ecsv",
    ".csv": "ascii.csv",
    ".vot": "votable",
    ".votable": "votable",
    ".xml": "votable",
    ".parquet": "parquet",
    ".pq": "parquet",
}

# Without --radius, a catalogue that reaches farther than this from its centre is drawn all-sky.
WIDEST_FIELD = 60 * u.deg

# Map pixels across a field; the side of a pixel of an all-sky map.
FIELD_PIXELS = 240
ALL_SKY_PIXEL = 1 * u.deg

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
    """Return the parser of the command's arguments."""
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
    add("--frame", default="icrs", help="frame of the columns and the map (default: %(default)s)")
    add("--center", metavar="POSITION",
        help='"RA DEC", degrees or sexagesimal (default: the middle of the catalogue)')  # fmt: skip
    add("--radius", type=_angle, metavar="ANGLE",
        help="from the centre to the map's edge (default: all of the catalogue)")  # fmt: skip
    add("--projection", choices=PROJECTIONS, metavar="CODE",
        help=f"{', '.join(PROJECTIONS)} (default: TAN for a field, MOL for the sky)")  # fmt: skip
    add("--pixel-size", type=_angle, metavar="ANGLE", help='such as 1arcmin or "0.2 deg"')
    add("--kernel", metavar="ANGLE",
        help="sigma of the Gaussian (default: 2 pixels for a field, none for the sky)")  # fmt: skip
    add("--label", default="sources", help="what is counted (default: %(default)s)")
    add("--cmap", default="magma", help="matplotlib colormap (default: %(default)s)")
    add("--norm", choices=NORMS, default="linear", help="colour scale (default: %(default)s)")
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


def _angle(text: str) -> u.Quantity:
    try:
        angle = u.Quantity(text).to(u.deg)
    except (TypeError, ValueError, u.UnitConversionError):
        angle = np.nan * u.deg
    if not 0 * u.deg < angle < np.inf * u.deg:
        raise argparse.ArgumentTypeError(f"must be a positive angle such as 2arcmin; got {text!r}")
    return angle


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args(arguments)
    warnings.showwarning = _show_warning
    try:
        figure = _demonstration() if options.catalogue is None else _picture(options)
        _save(figure, options.output)
    except Exception as error:  # whatever a broken file makes a reader raise
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"skyheat: error: {message}", file=sys.stderr)
        return 2
    print(f"wrote {options.output.absolute()}")
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"skyheat: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _save(figure: Figure, path: Path) -> None:
    """Write the picture whole or not at all."""
    handle, name = tempfile.mkstemp(suffix=path.suffix, dir=path.absolute().parent)
    os.close(handle)
    try:
        figure.savefig(name, dpi=200)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Return the process's umask, which temporary files do not follow."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read_table(path: Path) -> Any:
    from astropy.table import Table

    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    name = path.name.lower().removesuffix(".gz")
    reader = next((READERS[ending] for ending in READERS if name.endswith(ending)), None)
    if reader is None:
        raise ValueError(f"the catalogue must end in {', '.join(READERS)}; got {path}")
    table = Table.read(path, format=reader)
    if not len(table):
        raise ValueError(f"{path} has no rows")
    return table


def _picture(options: argparse.Namespace) -> Figure:
    """Return the figure of a catalogue file."""
    from matplotlib.figure import Figure

    if (options.ra is None) != (options.dec is None):
        raise ValueError("--ra and --dec must be given together")
    frame = find_frame(options.frame)
    if frame is None:
        raise ValueError("--frame must be a frame of the sky; got 'flat'")
    names = () if options.ra is None else (options.ra, options.dec)
    table = _read_table(options.catalogue)
    center, radius = _view(options, read_catalogue(names, table, frame))
    is_field = radius <= (WIDEST_FIELD if options.radius is None else 180 * u.deg)
    pixel_size = options.pixel_size
    if pixel_size is None:
        pixel_size = 2 * radius / FIELD_PIXELS if is_field else ALL_SKY_PIXEL
    kernel = options.kernel or (2 * pixel_size if is_field else None)
    if is_field:
        wcs = field_wcs(center, radius, pixel_size, options.projection or "TAN")
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    else:
        wcs = all_sky_wcs(frame, pixel_size, options.projection or "MOL")
        figure = Figure(figsize=(8, 5), layout="constrained")
    ax = _sky_axes(figure, wcs)
    heat = ax.sky_heatmap(
        *names, data=table, frame=frame, pixel_size=pixel_size, kernel=kernel,
        label=options.label, cmap=options.cmap,
    )  # fmt: skip
    _set_norm(heat, options.norm)
    heat.add_colorbar("right" if is_field else "bottom")
    return figure


def _view(options: argparse.Namespace, catalogue: Catalogue) -> tuple[SkyCoord, u.Quantity]:
    """Return the centre and radius asked for, or those of a circle that holds the catalogue."""
    frame = catalogue.frame
    center = None
    if options.center is not None:
        try:
            center = SkyCoord(options.center, unit="deg", frame=frame)
        except (TypeError, ValueError, u.UnitsError):
            center = _center_of_text(options.center, frame)
        if options.radius is not None:
            return center, options.radius
    positions = np.concatenate(
        [to_vectors(block.lon, block.lat) for block in catalogue.blocks()] or [np.empty((0, 3))]
    )
    if not len(positions):
        raise ValueError("the catalogue has no row with a position")
    if center is None:
        mean = SkyCoord(*positions.mean(axis=0), representation_type="cartesian", frame=frame)
        center = SkyCoord(mean.spherical.lon, mean.spherical.lat, frame=frame)
    if options.radius is not None:
        return center, options.radius
    middle = to_vectors(center.spherical.lon.deg, center.spherical.lat.deg)
    radius = float(separation(positions, middle).max())
    return center, max(np.degrees(radius) * 1.02, 1e-4) * u.deg


def _center_of_text(text: str, frame: Any) -> SkyCoord:
    try:
        return SkyCoord(text.replace(",", " "), unit="deg", frame=frame)
    except (TypeError, ValueError, u.UnitsError) as error:
        raise ValueError(
            f"--center must be a position such as '56.75 24.12' or '3h47m +24d07m'; got {text!r}"
        ) from error


def _sky_axes(
    figure: Figure, wcs: WCS, rect: tuple[float, float, float, float] | None = None
) -> Any:
    """Add a WCSAxes with a grid and labels that suit a field or the whole sky."""
    is_elliptical = wcs.wcs.ctype[0][-3:] in ELLIPTICAL and _width(wcs) > 300 * u.deg
    options = {"projection": wcs}
    if is_elliptical:
        options["frame_class"] = EllipticalFrame
    ax: Any = figure.add_axes(rect, **options) if rect else figure.add_subplot(**options)
    is_galactic = wcs.wcs.ctype[0].startswith("GLON")
    names = ("Galactic longitude", "Galactic latitude") if is_galactic else ("RA", "Dec")
    if wcs.wcs.ctype[0].startswith("ELON"):
        names = ("Ecliptic longitude", "Ecliptic latitude")
    for helper, name in zip(ax.coords, names, strict=True):
        helper.set_axislabel("" if is_elliptical else name)
    if is_elliptical:
        ax.coords.grid(color="white", alpha=0.25, linewidth=0.5)
        ax.coords[0].set_ticks(spacing=60 * u.deg)
        ax.coords[1].set_ticks(spacing=30 * u.deg)
        ax.coords[0].set_ticklabel(color="white", size="small", exclude_overlapping=True)
        ax.coords[0].set_ticks_visible(False)
    return ax


def _width(wcs: WCS) -> u.Quantity:
    return wcs.pixel_shape[0] * abs(wcs.wcs.cdelt[0]) * u.deg


def _set_norm(heat: SkyHeatmap, name: str) -> None:
    """Set the colour scale; on a logarithmic one, empty sky has the lowest colour."""
    from matplotlib.colors import AsinhNorm, LogNorm, Normalize, PowerNorm

    largest = float(np.nanmax(heat.sky_map.data, initial=0)) or 1.0
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
    """Return the figure of the stars that come with the package: the sky, and the Pleiades."""
    from matplotlib.figure import Figure

    stars = mpl_skyheat.datasets.bright_stars()
    figure = Figure(figsize=(10, 4))
    # Placed by hand: a 2 : 1 ellipse and a square of one height, which no layout engine finds.
    sky = _sky_axes(
        figure,
        all_sky_wcs(find_frame("galactic"), 1 * u.deg, "MOL"),
        rect=(0.045, 0.23, 0.52, 0.65),
    )
    heat = sky.sky_heatmap(data=stars, pixel_size=1.5 * u.deg, label="stars", cmap="magma")
    _set_norm(heat, "log")
    heat.add_colorbar("bottom")
    sky.set_title("Tycho-2, $V_T$ < 10, Galactic coordinates")

    pleiades = SkyCoord("3h47m +24d07m", frame="icrs")
    field = _sky_axes(
        figure,
        field_wcs(pleiades, 2.5 * u.deg, 1.5 * u.arcmin, "TAN"),
        rect=(0.655, 0.23, 0.26, 0.65),
    )
    field.sky_heatmap(data=stars, kernel=10 * u.arcmin, unit="deg-2", label="stars", cmap="magma",
                      colorbar=True)  # fmt: skip
    field.set_title("Pleiades, Gaussian σ = 10′")
    return figure


if __name__ == "__main__":
    sys.exit(main())
