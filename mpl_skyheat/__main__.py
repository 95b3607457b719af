"""The ``skyheat`` command: a catalogue's heatmap as a picture."""

from __future__ import annotations

import argparse
import io
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.visualization.wcsaxes.frame import EllipticalFrame
from matplotlib.patheffects import withStroke

import mpl_skyheat
from mpl_skyheat.grid import separation, to_vectors
from mpl_skyheat.kernels import parse_width
from mpl_skyheat.points import find_frame, read_catalogue
from mpl_skyheat.views import ELLIPTICAL, all_sky_wcs, field_wcs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import BaseCoordinateFrame
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

# How far (deg) these projections show, or how far they do without stretching it beyond measure.
WIDEST = {"TAN": 80, "SIN": 90, "STG": 160}

# The command draws maps of up to so many pixels across.
MOST_PIXELS = 10_000

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
    add("--frame", default="icrs", help="frame of the columns (default: %(default)s)")
    add("--map-frame", metavar="FRAME", help="frame of the map (default: that of the columns)")
    add("--center", metavar="POSITION",
        help='"RA DEC", degrees or sexagesimal (default: the middle of the catalogue)')  # fmt: skip
    add("--radius", type=_angle, metavar="ANGLE",
        help="from the centre to the map's edge (default: all of the catalogue)")  # fmt: skip
    add("--projection", choices=PROJECTIONS, metavar="CODE",
        help=f"{', '.join(PROJECTIONS)} (default: TAN for a field, MOL for the sky)")  # fmt: skip
    add("--pixel-size", type=_angle, metavar="ANGLE", help='such as 1arcmin or "0.2 deg"')
    add("--kernel", type=_kernel, metavar="ANGLE",
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


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    the_parser = parser()
    options = the_parser.parse_args(arguments)
    if options.catalogue is None:
        for name, value in vars(options).items():
            if name != "output" and value != the_parser.get_default(name):
                the_parser.error(f"--{name.replace('_', '-')} needs a CATALOGUE to go with")
    return options


def _kernel(text: str) -> u.Quantity:
    try:
        return parse_width(text, "kernel")
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a positive angle such as 2arcmin, or 2pix; got {text!r}"
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = _parsed(arguments)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run(options)


def _run(options: argparse.Namespace) -> int:
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
    """Write the picture, once all of it is drawn."""
    picture = io.BytesIO()
    # A WCSAxes knows the size of its labels only when it has been drawn; then they are laid out.
    figure.draw_without_rendering()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=200)
    path.write_bytes(picture.getvalue())


def _read_table(path: Path) -> Any:
    from astropy.table import Table

    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    name = path.name.lower().removesuffix(".gz")
    reader = next((READERS[ending] for ending in READERS if name.endswith(ending)), None)
    if reader is None:
        raise ValueError(f"the catalogue must end in {', '.join(READERS)}; got {path}")
    # The columns of a VOTable go by their names, not by the IDs that a server made up.
    options = {"use_names_over_ids": True} if reader == "votable" else {}
    table = Table.read(path, format=reader, **options)
    if not len(table):
        raise ValueError(f"{path} has no rows")
    return table


def _picture(options: argparse.Namespace) -> Figure:
    """Return the figure of a catalogue file."""
    from matplotlib.figure import Figure

    frame = _sky_frame("--frame", options.frame)
    map_frame = _sky_frame("--map-frame", options.map_frame or options.frame)
    names, table = _named_columns(options), _read_table(options.catalogue)
    region = _region(options, _read_positions(names, table, frame))
    wcs = region.wcs(map_frame)
    figure = Figure(figsize=(6.4, 5.2) if region.is_field else (8, 5), layout="constrained")
    kernel = options.kernel
    if kernel is None and region.is_field:
        kernel = 2 * region.pixel_size
    heat = _sky_axes(figure, wcs).sky_heatmap(
        *names, data=table, frame=frame, pixel_size=region.pixel_size, kernel=kernel,
        label=options.label, cmap=options.cmap,
    )  # fmt: skip
    _set_norm(heat, options.norm)
    heat.add_colorbar("right" if region.is_field else "bottom")
    return figure


def _sky_frame(option: str, name: str) -> BaseCoordinateFrame:
    frame = find_frame(name)
    if frame is None:
        raise ValueError(f"{option} must be a frame of the sky; got 'flat'")
    return frame


def _named_columns(options: argparse.Namespace) -> tuple[str, ...]:
    if (options.ra is None) != (options.dec is None):
        raise ValueError("--ra and --dec must be given together")
    return () if options.ra is None else (options.ra, options.dec)


def _read_positions(names: tuple[str, ...], table: Any, frame: Any) -> Catalogue:
    try:
        return read_catalogue(names, table, frame)
    except ValueError as error:
        what, separator, _ = str(error).partition(": name the two")
        if not separator:
            raise
        raise ValueError(f"{what}: name the two with --ra and --dec (and --frame)") from error


@dataclass(frozen=True)
class Region:
    """What is drawn of the sky, how; the whole of it unless ``is_field``."""

    center: SkyCoord | None
    radius: u.Quantity
    is_field: bool
    pixel_size: u.Quantity
    projection: str

    def __post_init__(self) -> None:
        widest = WIDEST.get(self.projection, 180) * u.deg
        if self.radius > 180 * u.deg or (self.radius >= widest and widest < 180 * u.deg):
            raise ValueError(
                f"--projection {self.projection} shows at most {widest.value:g} deg around its "
                f"centre; got {self.radius:.4g}: give a smaller --radius, or take ZEA, AIT or MOL"
            )
        pixels = float(2 * self.radius / self.pixel_size)
        if pixels > MOST_PIXELS:
            raise ValueError(
                f"pixel_size is too small: a map of {pixels:.3g} pixels across; --pixel-size "
                f"{(2 * self.radius / MOST_PIXELS).to_value(u.arcsec):.3g}arcsec would do"
            )

    def wcs(self, frame: Any) -> WCS:
        """Return the WCS of the field, or of the sky with the centre's longitude in the middle."""
        if self.center is not None and self.is_field:
            center = self.center.transform_to(frame)
            return field_wcs(center, self.radius, self.pixel_size, self.projection)
        return all_sky_wcs(frame, self.pixel_size, self.projection, self.center)


def _region(options: argparse.Namespace, catalogue: Catalogue) -> Region:
    """Return the region asked for, or the circle that holds the catalogue, or all of the sky."""
    frame = catalogue.frame
    asked = None if options.center is None else _position_of_text(options.center, frame)
    center, radius = asked, options.radius
    if center is None or radius is None:
        center, radius = _circle_around(catalogue, center, radius)
    is_field = radius < 180 * u.deg if options.radius is not None else radius <= WIDEST_FIELD
    pixel_size = options.pixel_size
    if pixel_size is None:
        pixel_size = 2 * radius / FIELD_PIXELS if is_field else ALL_SKY_PIXEL
    return Region(
        center if is_field else asked,
        radius if is_field or options.radius is not None else 180 * u.deg,
        is_field,
        pixel_size,
        options.projection or ("TAN" if is_field else "MOL"),
    )


def _circle_around(
    catalogue: Catalogue, center: SkyCoord | None, radius: u.Quantity | None
) -> tuple[SkyCoord, u.Quantity]:
    """Return the centre and radius of a circle that just holds a catalogue, where they are None."""
    positions = np.concatenate(
        [to_vectors(block.lon, block.lat) for block in catalogue.blocks()] or [np.empty((0, 3))]
    )
    if not len(positions):
        raise ValueError("the catalogue has no row with a position")
    if center is None:
        frame = catalogue.frame
        mean = SkyCoord(*positions.mean(axis=0), representation_type="cartesian", frame=frame)
        center = SkyCoord(mean.spherical.lon, mean.spherical.lat, frame=frame)
    if radius is None:
        middle = to_vectors(center.spherical.lon.deg, center.spherical.lat.deg)
        farthest = np.degrees(separation(positions, middle).max())
        radius = max(1.02 * farthest, 1e-4) * u.deg
    return center, radius


def _position_of_text(text: str, frame: Any) -> SkyCoord:
    words = text.replace(",", " ").split()
    is_equatorial = "ra" in frame.get_representation_component_names()
    # Sexagesimal right ascensions are hours, as in every catalogue.
    is_sexagesimal = len(words) == 6 or ":" in text
    unit = ("hourangle" if is_equatorial and is_sexagesimal else "deg", "deg")
    try:
        return SkyCoord(" ".join(words), unit=unit, frame=frame)
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
    if not is_elliptical:
        for helper, side in zip(ax.coords, "bl", strict=True):
            helper.set_ticks_position(side)
            helper.set_ticklabel_position(side)
            helper.set_axislabel_position(side)
    if is_elliptical:
        ax.coords.grid(color="white", alpha=0.25, linewidth=0.5)
        ax.coords[0].set_ticks(spacing=60 * u.deg)
        ax.coords[1].set_ticks(spacing=30 * u.deg)
        ax.coords[0].set_ticklabel(
            color="white",
            size="small",
            exclude_overlapping=True,
            path_effects=[withStroke(linewidth=1.5, foreground="black", alpha=0.6)],
        )
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
    heat = sky.sky_heatmap(
        data=stars, pixel_size=0.5 * u.deg, kernel=1 * u.deg, label="stars", cmap="magma"
    )
    _set_norm(heat, "log")
    heat.add_colorbar("bottom")
    sky.set_title("Tycho-2, $V_T$ < 10, Galactic coordinates, Gaussian σ = 1°")

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
