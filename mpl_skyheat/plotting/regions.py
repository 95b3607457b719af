"""The part of the sky that a figure shows: as asked for, or that which holds the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from astropy import units as u
from astropy.coordinates import BaseCoordinateFrame, SkyCoord

from mpl_skyheat.sky.frames import change_frame
from mpl_skyheat.sky.smallest_circle import Circle, smallest_circle
from mpl_skyheat.sky.vectors import separation, to_positions, to_vectors
from mpl_skyheat.sky.views import all_sky_wcs, field_wcs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.wcs import WCS

    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.catalogue.streams import Stream
    from mpl_skyheat.compute.arrays import BoolArray, FloatArray

# Code of FITS for a projection.
Projection = Literal["TAN", "SIN", "ARC", "STG", "ZEA", "AIT", "MOL", "CAR", "CEA", "SFL", "HPX"]
PROJECTIONS: tuple[Projection, ...] = get_args(Projection)

# Without a radius, a catalogue that reaches farther than this from its centre is shown all-sky.
WIDEST_FIELD = 60 * u.deg

# Largest radius (deg) that a projection has, or has without stretching it by a large factor.
WIDEST = {"TAN": 80, "SIN": 90, "STG": 160}

# Fields of a larger radius (deg) would have corners, or notches, without sky: the whole sky is
# shown in their place, or a round field.
WIDEST_WITHIN = {"AIT": 72, "MOL": 72, "SFL": 67, "HPX": 44, "CAR": 90, "CEA": 57}
WIDEST_WITHIN |= {"ZEA": 90, "ARC": 127, "SIN": 50}

# Projections with a round outline: one point of the sky, or a great circle. Their large fields are
# round, too.
ROUND_OUTLINE = ("ZEA", "ARC", "SIN")

# Narrowest field: positions in deg, as floats, are exact to 6e-14.
NARROWEST = 1e-9 * u.deg

# Pixels across the largest view.
MOST_PIXELS = 10_000

# Why a catalogue does not say what to show.
NO_POSITION = (
    "the catalogue has no row with a position: points must have one, unless center and radius are "
    "given"
)

# An all-sky view is cut open in the widest gap of the points in longitude, if it has this many deg.
WIDE_GAP = 30


@dataclass(frozen=True)
class Region:
    """A part of the sky and its projection; the whole sky unless ``is_field``."""

    center: SkyCoord | None
    radius: u.Quantity
    is_field: bool
    pixel_size: u.Quantity
    projection: Projection

    def __post_init__(self) -> None:
        widest = WIDEST.get(self.projection, 180) * u.deg
        if self.radius < NARROWEST:
            raise ValueError(
                f"radius must be at least {NARROWEST:g}, as positions are not more exact; got "
                f"{self.radius:.4g}"
            )
        if self.radius > 180 * u.deg:
            raise ValueError(f"radius must be at most 180 deg; got {self.radius:.4g}")
        if self.radius > widest:
            raise ValueError(
                f"radius must be at most {widest:g} in the projection {self.projection}; got "
                f"{self.radius:.4g}: give a radius that fits, or take the projection ZEA, AIT or "
                "MOL"
            )
        pixels = float(2 * self.radius / self.pixel_size)
        if pixels < 1:
            raise ValueError(
                f"pixel_size must be at most the width of the region, {2 * self.radius:.4g}; got "
                f"{self.pixel_size:.4g}"
            )
        if pixels > MOST_PIXELS:
            raise ValueError(
                f"pixel_size is too small: a map of {pixels:.3g} pixels across; "
                f"{(2 * self.radius / MOST_PIXELS).to_value(u.arcsec):.3g}arcsec would do"
            )

    @property
    def has_outline(self) -> bool:
        """Whether the view ends at an outline: that of the whole sky, or of a round field."""
        return not self.is_field or self.radius > WIDEST_WITHIN.get(self.projection, 180) * u.deg

    def wcs(self, frame: BaseCoordinateFrame) -> WCS:
        """The WCS of the field, or of the sky with the centre's longitude in the middle."""
        if self.center is not None and self.is_field:
            center = self.center.transform_to(frame)
            size = self.radius, self.pixel_size
            return field_wcs(center, *size, self.projection, is_round=self.has_outline)
        return all_sky_wcs(frame, self.pixel_size, self.projection, self.center)


def find_region(
    catalogue: Catalogue | Stream,
    frame: BaseCoordinateFrame,
    *,
    center: SkyCoord | None = None,
    radius: u.Quantity | None = None,
    pixel_size: u.Quantity | None = None,
    projection: Projection | None = None,
) -> Region:
    """The region asked for, or the circle that holds the catalogue, or the whole sky.

    Of a stream with statistics, what cannot change the region is not read.
    An all-sky view is cut open at longitudes in ``frame`` that have no points.
    """
    asked, whole = center, 180 * u.deg
    if radius is None:
        center, found = _circle_around(catalogue, center)
        radius = found if found <= WIDEST_FIELD else whole
        if radius == whole and projection == "SIN":
            if asked is None:
                raise ValueError(
                    "center must be given for a SIN of the sky, which shows half of it"
                )
            radius = WIDEST["SIN"] * u.deg
    elif center is None and radius < whole:
        center, together = _mean_position(catalogue)
        if together < 0.2:  # It is 0.5 for points on half of the sky.
            raise ValueError(
                f"center must be given with a radius ({radius:.4g}): points are all over the sky"
            )
    is_field = radius < whole
    if projection is not None and is_field:
        is_field = radius <= WIDEST_WITHIN.get(projection, 180) * u.deg
        if projection in ROUND_OUTLINE and not is_field:
            is_field = True
            radius = max(radius, WIDEST["SIN"] * u.deg) if projection == "SIN" else radius
    if pixel_size is None:
        pixel_size = 2 * radius / 240 if is_field else 1 * u.deg
    if not is_field:
        center = asked or _uncut(catalogue, frame)
    return Region(
        center, radius, is_field, pixel_size, projection or ("TAN" if is_field else "MOL")
    )


def _vectors(catalogue: Catalogue | Stream) -> Iterator[FloatArray]:
    """Positions as unit vectors, block by block."""
    for block in catalogue.blocks():
        if len(block.lon):
            yield to_vectors(block.lon, block.lat)


def _mean_position(catalogue: Catalogue | Stream) -> tuple[SkyCoord, float]:
    """The mean position, and the length of the mean vector: 1 of one place, 0 of the whole sky."""
    total, count = np.zeros(3), 0
    for vectors in _vectors(catalogue):
        total, count = total + vectors.sum(axis=0), count + len(vectors)
    if not count:
        raise ValueError(NO_POSITION)
    center = SkyCoord(*to_positions(total), unit="deg", frame=catalogue.frame)
    return center, float(np.linalg.norm(total)) / count


def _circle_around(
    catalogue: Catalogue | Stream, center: SkyCoord | None
) -> tuple[SkyCoord, u.Quantity]:
    """Centre (the one given, else the best) and radius of the smallest circle with a catalogue."""
    if center is None:
        middle, farthest = smallest_circle(
            lambda circle: _vectors(catalogue.within(circle)), WIDEST_FIELD.to_value(u.rad)
        )
        center = SkyCoord(*to_positions(middle), unit="deg", frame=catalogue.frame)
    else:
        middle = to_vectors(center.spherical.lon.deg, center.spherical.lat.deg)
        circle = Circle(middle)
        for vectors in _vectors(catalogue.within(circle)):
            circle.radius = max(circle.radius, float(separation(vectors, middle).max()))
        farthest = circle.radius
    if farthest < 0:
        raise ValueError(NO_POSITION)
    return center, max(1.02 * float(np.degrees(farthest)), 1e-4) * u.deg


class Unoccupied:
    """Whole degrees of longitude in which there is no point yet."""

    def __init__(self) -> None:
        self.counts = np.zeros(360, int)

    def boxes(
        self, west: FloatArray, east: FloatArray, south: FloatArray, north: FloatArray
    ) -> BoolArray:
        """Whether boxes may have points in a degree that has none yet; bounds in deg."""
        reached = np.ones(len(west), bool)
        is_known = np.isfinite(west) & np.isfinite(east) & (south >= -90) & (north <= 90)
        for i in np.flatnonzero(is_known):
            degrees = np.arange(np.floor(west[i]), np.floor(east[i]) + 1).astype(int)
            reached[i] = not self.counts[degrees[:360] % 360].all()
        return reached


def _uncut(catalogue: Catalogue | Stream, frame: BaseCoordinateFrame) -> SkyCoord | None:
    """A centre opposite to the widest gap in longitude; None if no gap is wide."""
    assert catalogue.frame is not None
    unoccupied = Unoccupied()
    if frame.is_equivalent_frame(catalogue.frame):
        catalogue = catalogue.within(unoccupied)
    counts = unoccupied.counts
    for block in catalogue.blocks():
        lon, lat = change_frame(block.lon, block.lat, catalogue.frame, frame)
        lon = lon[np.abs(lat) <= 75]  # Points near the poles do not close a gap in longitude.
        counts += np.bincount((lon % 360).astype(int) % 360, minlength=360)
    occupied = np.flatnonzero(counts)
    if not len(occupied):
        return None
    gaps = np.diff(np.append(occupied, occupied[0] + 360)) - 1
    widest = int(np.argmax(gaps))
    if gaps[widest] < WIDE_GAP:
        return None
    # In steps of 1h, so that the middle of the map has a round longitude.
    middle = occupied[widest] + 0.5 * gaps[widest] + 1 + 180
    return SkyCoord(15 * round(middle / 15) % 360, 0, unit="deg", frame=frame)
