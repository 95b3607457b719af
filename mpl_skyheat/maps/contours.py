"""`SkyContour`: the part of a map above a level, with its outline, its area and as regions."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord

from mpl_skyheat.maps.enclosed import SourceValues, check_fraction
from mpl_skyheat.maps.places import places_on
from mpl_skyheat.maps.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.maps.enclosed import Enclosed

# Places along each side of a pixel that the contour cuts, of which those inside are counted.
PLACES = 8

# Orders between the cells of a MOC and those, no smaller than pixels, that pixels are found in.
COARSER = 2

# Orders by which a MOC may be finer than by default.
FINER = 3


class SkyContour:
    """The part of a map at or above a level; made by `SkyMap.contour`.

    Parameters
    ----------
    sky_map : SkyMap
        The map.
    level : float
        In the unit of the map.
    found : Enclosed, optional
        The fraction of the sources that the level encloses.
    surface : Surface, optional
        That of the map, if it is known.

    Attributes
    ----------
    level : `~astropy.units.Quantity`
        The level, in the unit of the map.
    enclosed : float or None
        The fraction of the sources that was asked for.
    attained : float or None
        The fraction that is at or above the level, each source evaluated without itself.
    inside : float or None
        The fraction with all sources: that which is inside the contour as drawn.
    left_out : int or None
        The number of sources off the map or in masked pixels, which no fraction is of.
    """

    def __init__(
        self,
        sky_map: Any,
        level: float,
        found: Enclosed | None = None,
        surface: Surface | None = None,
    ) -> None:
        self._map, self._surface = sky_map, surface or Surface(sky_map)
        self.level = u.Quantity(level, sky_map.unit)
        self.enclosed = None if found is None else found.fraction
        self.attained = None if found is None else found.attained
        self.inside = None if found is None else found.inside
        self.left_out = None if found is None else found.left_out

    def __repr__(self) -> str:
        text = f"level={self.level:.6g}"
        if self.enclosed is not None:
            text += f", enclosed={self.enclosed:g}, attained={self.attained:.4g}"
        return f"<SkyContour {text}>"

    @cached_property
    def _generator(self) -> Any:
        from contourpy import FillType, LineType, contour_generator

        x, y, values = self._surface.nodes()
        return contour_generator(
            x,
            y,
            values,
            name="serial",
            corner_mask=False,
            line_type=LineType.Separate,
            fill_type=FillType.OuterOffset,
        )

    @cached_property
    def paths(self) -> list[Any]:
        """The lines of the contour, each as a `~astropy.coordinates.SkyCoord` of its corners.

        Closed lines end where they begin. Others end at the edge of the map, of masked pixels, or
        of the sky, where the sky goes on at the other side of the map. On a map of Cartesian x, y:
        arrays (n, 2).
        """
        lines = self._generator.lines(self.level.value)
        parts = (part for line in lines for part in self._surface.clipped(line))
        return [self._to_sky(part) for part in parts]

    def _to_sky(self, places: FloatArray) -> Any:
        positions = self._surface.positions(*places.T)
        if self._surface.frame is None:
            return np.stack(positions, axis=-1)
        return SkyCoord(*positions, unit=u.deg, frame=self._surface.frame)

    def contains(self, *position: Any, frame: Any = None) -> Any:
        """Whether positions are inside.

        Parameters
        ----------
        *position : `~astropy.coordinates.SkyCoord` or two array-likes
            As in `SkyMap.value_at`.
        frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
            The frame of two numbers, by default the one given when the map was made.

        Returns
        -------
        bool or `~numpy.ndarray`
            Of the positions' shape; False off the map and in masked pixels.
        """
        inside = self._holds(*places_on(self._map, position, frame))
        return inside if inside.shape else bool(inside)

    def _holds(self, x: FloatArray, y: FloatArray) -> BoolArray:
        with np.errstate(invalid="ignore"):
            return np.asarray(self._surface.at(x, y) >= self.level.value)

    @cached_property
    def area(self) -> u.Quantity:
        """The solid angle inside, in deg²; in square data units on a map of Cartesian x, y.

        The sky that pixels show, whether it was observed or not.
        """
        areas = self._map.solid_angle
        if areas is None:
            raise ValueError("solid_angle must be that of the map's pixels for an area; got None")
        area = (self._fractions() * areas).sum()
        return area if self._surface.frame is None else area.to(u.deg**2)

    def _fractions(self) -> FloatArray:
        """The fraction of each pixel that is inside."""
        padded = np.pad(self._surface.at(*self._centres()), 1, mode="edge")
        # The surface in a pixel is between the values at the centres around.
        around = [
            padded[i : padded.shape[0] - 2 + i, j : padded.shape[1] - 2 + j]
            for i in range(3)
            for j in range(3)
        ]
        with np.errstate(invalid="ignore"):
            found = np.asarray(np.min(around, axis=0) >= self.level.value, float)
            is_out = np.max(around, axis=0) < self.level.value
        rows, columns = np.nonzero(self._surface.valid & ~is_out & (found < 1))
        part = (np.arange(PLACES) + 0.5) / PLACES - 0.5
        for i in part:
            holds = [self._holds(columns + j, rows + i) for j in part]
            found[rows, columns] += np.mean(holds, axis=0) / PLACES
        return np.where(self._surface.valid, found, 0.0)

    def _centres(self) -> tuple[FloatArray, FloatArray]:
        y, x = np.indices(self._surface.shape, dtype=float)
        return x, y

    def to_moc(self, max_depth: int | None = None) -> Any:
        """Return the inside as a `mocpy.MOC`, of the HEALPix cells whose centres are inside.

        Parameters
        ----------
        max_depth : int, optional
            The order of the cells, by default one more than that whose cells are no larger than
            the map's pixels.

        Returns
        -------
        `mocpy.MOC`

        Raises
        ------
        TypeError
            If the map is one of Cartesian x, y.
        ValueError
            If the depth is no integer, or has cells far below the map's pixels.
        ImportError
            If mocpy or astropy_healpix is not installed.
        """
        self._check_is_on_sky("to_moc")
        from astropy_healpix import HEALPix
        from mocpy import MOC

        depth = self._checked_depth(max_depth)
        coarse, fine = (
            HEALPix(2**order, order="nested", frame="icrs")
            for order in (self._coarse_depth(depth), depth)
        )
        pixels = np.argwhere(self._fractions() > 0)[:, ::-1]
        centres = self._to_sky(pixels.astype(float))
        on_sky = np.isfinite(centres.spherical.lon)
        cells = np.unique(coarse.skycoord_to_healpix(centres[on_sky]))
        if len(cells):
            with np.errstate(invalid="ignore"):
                cells = np.union1d(cells, coarse.neighbours(cells))
        cells = cells[cells >= 0]  # -1 is a neighbour that is not there.
        children = fine.npix // coarse.npix
        cells = (cells[:, np.newaxis] * children + np.arange(children)).ravel()
        inside = self.contains(fine.healpix_to_skycoord(cells)) if len(cells) else np.zeros(0, bool)
        kept = cells[inside].astype(np.uint64)
        return MOC.from_healpix_cells(kept, np.full(len(kept), depth, np.uint8), depth)

    def _checked_depth(self, max_depth: int | None) -> int:
        depth = self._depth()
        most = min(depth + FINER, 29)
        if max_depth is None:
            return depth
        is_integer = isinstance(max_depth, int | np.integer) and not isinstance(max_depth, bool)
        if not is_integer or not 0 <= max_depth <= most:
            raise ValueError(
                f"max_depth must be an integer of 0 to {most}, whose cells are still as large as "
                f"an eighth of those of the default, {depth}; got {max_depth!r}"
            )
        return int(max_depth)

    def _coarse_depth(self, depth: int) -> int:
        """The order of cells that are at least as large as pixels, in which finer ones are."""
        return max(min(depth, self._depth()) - COARSER, 0)

    def _depth(self) -> int:
        """One more than the order of the HEALPix cells that are as large as a pixel, or smaller."""
        pixel = float(np.median(self._map.solid_angle[self._surface.valid]).to_value(u.sr))
        return int(np.clip(np.ceil(0.5 * np.log2(np.pi / 3 / pixel)) + 1, 0, 29))

    def to_regions(self) -> Any:
        """Return the inside as polygons of the package regions.

        Their sides are the contour and, where it is open, the edges of the map, of masked pixels,
        or of the sky. Holes come after the polygons that they are in, with ``include=False`` in
        their ``meta``; a part within a hole is a polygon of its own.

        Returns
        -------
        `regions.Regions`
            Of `regions.PolygonSkyRegion`.

        Raises
        ------
        TypeError
            If the map is one of Cartesian x, y.
        ImportError
            If regions is not installed.
        """
        self._check_is_on_sky("to_regions")
        from regions import PolygonSkyRegion, RegionMeta, Regions

        level, most = self.level.value, float(np.max(self._map.data[self._surface.valid]))
        if not level < most:
            return Regions([])
        found = []
        areas = self._generator.filled(level, most + abs(most) + 1)
        for points, offsets in zip(*areas, strict=True):
            for k, (start, stop) in enumerate(pairwise(offsets)):
                corners = self._surface.outlined(points[start:stop])[:-1]
                if len(corners):
                    meta = RegionMeta({"include": k == 0})
                    found.append(PolygonSkyRegion(self._to_sky(corners), meta=meta))
        return Regions(found)

    def _check_is_on_sky(self, method: str) -> None:
        if self._surface.frame is None:
            raise TypeError(f"{method} is for maps of the sky; got one of Cartesian x, y")


def contours_of(
    sky_map: Any,
    levels: Sequence[float] = (),
    *,
    enclosed: Sequence[Any] = (),
    points: Any = None,
    leave_one_out: bool = True,
    surface: Surface | None = None,
) -> list[SkyContour]:
    """The contours of a map at levels in its unit, or that enclose fractions of the sources."""
    surface = surface or Surface(sky_map)
    if not len(enclosed):
        return [SkyContour(sky_map, level, surface=surface) for level in levels]
    fractions = [check_fraction(fraction) for fraction in enclosed]
    values = SourceValues(sky_map, surface, points, leave_one_out=leave_one_out)
    found = [values.level(fraction) for fraction in fractions]
    return [SkyContour(sky_map, one.level, one, surface) for one in found]


def plain_levels(levels: Any, unit: u.UnitBase | None) -> FloatArray:
    """Levels as numbers in the unit of a map; a ValueError if they are not."""
    own = unit or u.dimensionless_unscaled
    try:
        if isinstance(levels, list | tuple) and any(isinstance(v, u.Quantity) for v in levels):
            levels = u.Quantity(levels)
        plain = (
            levels.to_value(own) if isinstance(levels, u.Quantity) else np.asarray(levels, float)
        )
    except u.UnitConversionError as error:
        raise ValueError(f"level must be in the map's unit, {own}; got {levels}") from error
    except (TypeError, ValueError):
        plain = np.array(np.nan)
    if np.asarray(levels).dtype.kind in "bUS" or not np.isfinite(plain).all():
        raise ValueError(
            f"level must be finite, as a number in the map's unit ({own}) or a Quantity; got "
            f"{levels!r:.60}"
        )
    return np.asarray(plain, float)
