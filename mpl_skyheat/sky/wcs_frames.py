"""Which axes of a WCS are longitude and latitude, and in which frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import (
    FK4,
    FK5,
    ICRS,
    BarycentricMeanEcliptic,
    BaseCoordinateFrame,
    SkyCoord,
    Supergalactic,
)
from astropy.time import Time
from astropy.wcs import WCS

if TYPE_CHECKING:
    from astropy.wcs.wcsapi import BaseLowLevelWCS

# Systems of right ascension and declination in FITS that astropy has frames of.
RADESYS = ("ICRS", "FK5", "FK4", "FK4-NO-E")


def celestial_order(wcs: BaseLowLevelWCS) -> tuple[int, int]:
    """Numbers of the world axes that are longitude and latitude."""
    for i, kind in enumerate(wcs.world_axis_physical_types):
        if str(kind).endswith((".lat", ".dec")):
            return 1 - i, i
    # Axes without a UCD, such as supergalactic ones: by the order of SkyCoord's components, or by
    # the name that astropy gives to an axis that it does not know.
    (name, order, _), (_, _, _) = wcs.world_axis_object_components
    return (1, 0) if order == 1 or name == "slat" else (0, 1)


def claimed_frame(wcs: BaseLowLevelWCS) -> BaseCoordinateFrame | None:
    """Frame of the SkyCoord that a WCS makes of a pixel; None if it makes none."""
    classes = wcs.world_axis_object_classes
    components = [c[0] for c in wcs.world_axis_object_components]
    if wcs.pixel_n_dim != 2 or wcs.world_n_dim != 2 or len(set(components)) != 1:
        return None
    cls, _, keywords, *_ = classes[components[0]]
    if not (isinstance(cls, type) and issubclass(cls, SkyCoord)):
        return None
    frame = keywords.get("frame", ICRS())
    return frame() if isinstance(frame, type) else frame


def true_frame(wcs: BaseLowLevelWCS, header: Any) -> BaseCoordinateFrame:
    """Frame of a WCS's positions by its own keywords, which astropy's may contradict.

    ``header`` is the FITS WCS with the keywords (``wcs`` may be a slice of it), or another WCS.
    """
    claimed = claimed_frame(wcs)
    types = [str(t) for t in wcs.world_axis_physical_types]
    if wcs.pixel_n_dim != 2 or wcs.world_n_dim != 2:
        raise ValueError(
            f"wcs must have two celestial axes; got {wcs.pixel_n_dim} pixel and {wcs.world_n_dim} "
            f"world axes ({', '.join(types)}): take wcs.celestial, or slice the other axes away "
            "with slices=('x', 'y', 0), which works where they are not coupled to the sky"
        )
    # astropy takes ecliptic axes for equatorial ones in the system of RADESYS.
    is_equatorial = isinstance(claimed, ICRS | FK5 | FK4 | None)
    if all(t.startswith("pos.ecliptic") for t in types) and is_equatorial:
        return ecliptic_frame(header)
    if any(c.startswith("SLON") for c in ctypes(header)):
        return Supergalactic()
    if claimed is None and isinstance(header, WCS) and header.wcs.radesys.strip():
        asked = header.wcs.radesys
        if all(t.startswith("pos.eq") for t in types) and asked.strip() not in RADESYS:
            raise ValueError(
                f"wcs must have a RADESYS of {', '.join(RADESYS)}, in capitals, for axes of right "
                f"ascension and declination; got {asked!r}: set wcs.wcs.radesys"
            )
    if claimed is None:
        raise ValueError(
            f"wcs must have two celestial axes that astropy knows the frame of; got "
            f"{', '.join(types)} (CTYPE {', '.join(ctypes(header)) or 'unknown'}); "
            "helioprojective and planetary frames need the package that defines them to be "
            "imported (sunpy, for one)"
        )
    return claimed


def ctypes(header: Any) -> list[str]:
    return [str(c) for c in header.wcs.ctype] if isinstance(header, WCS) else []


def ecliptic_frame(header: Any) -> BaseCoordinateFrame:
    """Ecliptic frame of a header's equinox (J2000 if it gives none).

    FITS means the mean ecliptic and equinox: Calabretta & Greisen (2002, A&A 395, 1077), § 3.1.
    """
    if not isinstance(header, WCS):
        return BarycentricMeanEcliptic(equinox="J2000")
    header.wcs.set()  # fills RADESYS in from EQUINOX
    if header.wcs.radesys.upper().startswith("FK4"):
        raise ValueError(
            "wcs must not give ecliptic axes in the FK4 system (RADESYS "
            f"{header.wcs.radesys!r}), for which astropy has no frame; take RADESYS='FK5' or 'ICRS'"
        )
    equinox = header.wcs.equinox
    return BarycentricMeanEcliptic(
        equinox=Time(equinox if np.isfinite(equinox) else 2000.0, format="jyear")
    )
