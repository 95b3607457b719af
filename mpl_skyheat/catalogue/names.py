"""Names that catalogues give to their longitude and latitude, by kind of frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

# Pairs of column names for longitude and latitude in equatorial frames, in lower case.
EQUATORIAL_NAMES = (
    ("ra", "dec"),
    ("ra", "de"),
    ("raj2000", "dej2000"),
    ("raj2000", "decj2000"),
    ("_raj2000", "_dej2000"),
    ("ra_icrs", "de_icrs"),
    ("ra_icrs", "dec_icrs"),
    ("_ra.icrs", "_de.icrs"),
    ("_ra_icrs", "_de_icrs"),
    ("ramean", "decmean"),
    ("_ra", "_de"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("ra_deg", "dec_deg"),
    ("alpha_j2000", "delta_j2000"),
    ("s_ra", "s_dec"),
)
GALACTIC_NAMES = (("l", "b"), ("glon", "glat"), ("gal_l", "gal_b"), ("gal_lon", "gal_lat"))
ECLIPTIC_NAMES = (("elon", "elat"), ("ecl_lon", "ecl_lat"), ("lambda", "beta"))

# The names by kind of frame, and astropy's frame that an error suggests for each kind.
NAMES = {"equatorial": EQUATORIAL_NAMES, "Galactic": GALACTIC_NAMES, "ecliptic": ECLIPTIC_NAMES}
FRAMES = {"equatorial": "icrs", "Galactic": "galactic", "ecliptic": "barycentricmeanecliptic"}


def _check_names(names: tuple[str, ...], frame: BaseCoordinateFrame | None) -> None:
    """Refuse columns such as l and b in an equatorial frame, which is the default."""
    if frame is None or _kind(frame) != "equatorial":
        return
    for kind, pairs in NAMES.items():
        if kind != "equatorial" and (names[0].lower(), names[1].lower()) in pairs:
            raise ValueError(
                f"frame must be that of the columns; got {frame.name!r} for {names[0]} and "
                f"{names[1]}, which are {kind} by their names: give frame='{FRAMES[kind]}' (or "
                "the columns as arrays, if their names mislead)"
            )


def _kind(frame: BaseCoordinateFrame) -> str | None:
    """Kind of a frame in `NAMES`; None for another kind."""
    if frame.name == "galactic":
        return "Galactic"
    if "ecliptic" in frame.name:
        return "ecliptic"
    return "equatorial" if "ra" in frame.get_representation_component_names() else None


def _axis_names(frame: BaseCoordinateFrame | None) -> tuple[str, str]:
    if frame is None:
        return "x", "y"
    is_equatorial = "ra" in frame.get_representation_component_names()
    return ("ra", "dec") if is_equatorial else ("lon", "lat")
