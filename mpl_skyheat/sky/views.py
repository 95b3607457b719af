"""FITS WCSs that show a field or the whole sky."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord, Supergalactic
from astropy.wcs import WCS

from mpl_skyheat.sky.frames import find_sky_frame
from mpl_skyheat.sky.vectors import circles
from mpl_skyheat.sky.wcs_frames import ecliptic_frame
from mpl_skyheat.sky.wrapped_wcs import IN_DEGREES, sky_coords_in

# The outermost positions that are projected are this far (deg) from the edge of the projection,
# beyond which none is defined. Must be below `grid.SLACK` pixels, so that points at the edge count.
EDGE_GAP = 1e-9

# Projections of the whole sky to a disk around any position.
ROUND = ("ZEA", "ARC")

# Projections whose reference point is their native pole.
ZENITHAL = ("TAN", "SIN", "ARC", "STG", "ZEA")

# CTYPE prefixes and RADESYS of the frames that FITS has keywords for.
AXES = {
    "icrs": (("RA---", "DEC--"), "ICRS"),
    "fk5": (("RA---", "DEC--"), "FK5"),
    "fk4": (("RA---", "DEC--"), "FK4"),
    "galactic": (("GLON-", "GLAT-"), ""),
    "supergalactic": (("SLON-", "SLAT-"), ""),
    "barycentricmeanecliptic": (("ELON-", "ELAT-"), "ICRS"),
}


class FramedWCS(WCS):  # type: ignore[misc]  # (astropy's has no types)
    """A WCS with the frame of mean ecliptic or supergalactic axes, of which astropy tells none.

    On an Axes with it, a SkyCoord in any frame is at the right place.
    """

    @property
    def world_axis_object_classes(self) -> Any:
        axes = self.wcs.ctype[0][:4]
        return sky_coords_in(Supergalactic() if axes == "SLON" else ecliptic_frame(self))

    @property
    def world_axis_object_components(self) -> Any:
        return IN_DEGREES


def find_map_frame(name: str, value: Any) -> BaseCoordinateFrame:
    """Find the frame that an argument asks for; a ValueError if FITS has no keywords for it."""
    asked = value
    if not isinstance(value, str) or value.lower() in AXES:
        frame = find_sky_frame(name, value)
        if frame.name in AXES:
            return frame
        asked = str(frame.name)
    close = get_close_matches(asked.lower(), AXES, 1, cutoff=0.5)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ValueError(
        f"{name} must be a frame that a FITS WCS has a name for ({', '.join(AXES)}); got "
        f"{asked!r}{hint}"
    )


def field_wcs(
    center: SkyCoord,
    radius: u.Quantity,
    pixel_size: u.Quantity,
    code: str,
    *,
    is_round: bool = False,
) -> WCS:
    """Make the WCS of a circle of ``radius`` around a centre, with north up and east left.

    Its frame is that of the centre, or ICRS if FITS has no keywords for that. Of a field that
    ``is_round``, pixels shrink so that its outline is exactly at the radius.
    """
    if center.frame.name not in AXES:
        center = center.icrs
    wcs = blank_wcs(center.frame, center, pixel_size, code)
    hemisphere = (90 - EDGE_GAP) * u.deg  # all that a SIN projection shows
    at = center.spherical
    radius = min(radius, hemisphere) if code == "SIN" else radius
    lon, lat = circles(at.lon.deg, at.lat.deg, radius.to_value(u.rad), 360)
    return _framed(wcs, lon.ravel(), lat.ravel(), fit_pixels=is_round)


def all_sky_wcs(
    frame: BaseCoordinateFrame, pixel_size: u.Quantity, code: str, center: SkyCoord | None = None
) -> WCS:
    """Make the WCS of the whole sky, with a centre's longitude (default 0) in the middle.

    `ROUND` projections have the centre itself in the middle.
    """
    if frame.name not in AXES:
        frame = SkyCoord(0, 0, unit="deg").frame
    middle, height = 0.0, 0.0
    if center is not None:
        at = center.transform_to(frame).spherical
        middle, height = float(at.lon.deg), float(at.lat.deg) if code in ROUND else 0.0
    wcs = blank_wcs(frame, SkyCoord(middle, height, unit="deg", frame=frame), pixel_size, code)
    lon, lat = np.linspace(-1, 1, 361) * (180 - EDGE_GAP), np.linspace(-1, 1, 181) * (90 - EDGE_GAP)
    lon, lat = (v.ravel() for v in np.meshgrid(middle + lon, lat))
    # The rim of a round map is one point of the sky, opposite to the centre.
    rim = circles(np.array(middle + 180), np.array(-height), np.radians(EDGE_GAP), 360)
    lon, lat = (np.append(v, at_rim) for v, at_rim in zip((lon, lat), rim, strict=True))
    return _framed(wcs, lon, lat, fit_pixels=True)


def blank_wcs(frame: Any, center: SkyCoord, pixel_size: u.Quantity, code: str) -> WCS:
    prefixes, radesys = AXES[frame.name]
    wcs = FramedWCS(naxis=2) if prefixes[0] in ("ELON-", "SLON-") else WCS(naxis=2)
    wcs.wcs.ctype = [prefix + code for prefix in prefixes]
    wcs.wcs.crval = [center.spherical.lon.deg, center.spherical.lat.deg]
    wcs.wcs.cdelt = np.array([-1, 1]) * pixel_size.to_value(u.deg)
    wcs.wcs.radesys = radesys
    if code in ZENITHAL:
        # North is up at the north pole, too, where the default of FITS is 0.
        wcs.wcs.lonpole = 180.0
    if hasattr(frame, "equinox"):
        wcs.wcs.equinox = frame.equinox.byear if frame.name == "fk4" else frame.equinox.jyear
    wcs.wcs.set()
    return wcs


def _framed(wcs: WCS, lon: Any, lat: Any, *, fit_pixels: bool = False) -> WCS:
    """Set the reference pixel and the shape so that positions in the WCS's own frame just fit.

    With ``fit_pixels`` the pixels shrink so that a whole number of them spans the positions.
    """
    bounds = np.array([(np.nanmin(p), np.nanmax(p)) for p in wcs.world_to_pixel_values(lon, lat)])
    size = bounds[:, 1] - bounds[:, 0]
    count = np.maximum(np.ceil(size - 1e-6), 1)
    scale = size / count if fit_pixels else np.ones(2)
    # The reference pixel (1-based) keeps its place relative to the middle of the positions.
    offset = wcs.wcs.crpix - 1 - bounds.mean(axis=1)
    wcs.wcs.crpix = offset / scale + 0.5 * (count + 1)
    wcs.wcs.cdelt = wcs.wcs.cdelt * scale
    wcs.pixel_shape = [int(n) for n in count]
    wcs.wcs.set()
    return wcs
