"""`SkyContourSet`: contours of a map as matplotlib draws them, to the edges of map and sky."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import is_color_like
from matplotlib.contour import ContourSet, QuadContourSet
from matplotlib.path import Path

from mpl_skyheat.maps.contours import SkyContour, contours_of, plain_levels
from mpl_skyheat.maps.surface import Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mpl_skyheat.compute.arrays import FloatArray

# Arguments of contours that may have one value for each level.
BY_LEVEL = ("colors", "linewidths", "linestyles", "hatches")

# Arguments of `~matplotlib.axes.Axes.contour` that follow from the map.
FROM_MAP = ("origin", "extent", "transform", "corner_mask", "algorithm", "data")


class SkyContourSet(QuadContourSet):
    """Contours of a sky map: a `~matplotlib.contour.QuadContourSet`, as `sky_contour` returns it.

    Parameters
    ----------
    ax : `~matplotlib.axes.Axes`
        The Axes that they are drawn on, whose limits are kept.
    surface : Surface
        The surface of the map that is drawn.
    extent : (float, float, float, float)
        Left, right, bottom and top edge of the map.
    transform : `~matplotlib.transforms.Transform`
        From the units of the extent to the screen.
    percent : dict, optional
        Labels of levels.
    **kwargs
        Arguments of `~matplotlib.axes.Axes.contour`.

    Attributes
    ----------
    sky_contours : list of SkyContour
        What each line encloses, in the order of ``levels``.
    """

    def __init__(
        self,
        ax: Axes,
        surface: Surface,
        extent: tuple[float, float, float, float],
        transform: Any,
        percent: dict[float, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self._surface, self._sky_extent, self._percent = surface, extent, percent
        # Longitude (deg) in the middle of a geographic Axes of matplotlib, and the map's frame.
        self.sky_in_middle: tuple[float, Any] | None = None
        self.sky_contours: list[SkyContour] = []
        limits = ax.get_xlim(), ax.get_ylim()
        x, y, values = surface.nodes()
        x, y = self._to_data(np.stack(np.meshgrid(x, y), axis=-1)).T
        super().__init__(ax, x.T, y.T, values, transform=transform, corner_mask=False, **kwargs)
        for setter, now, before in (
            (ax.set_xlim, ax.get_xlim(), limits[0]),
            (ax.set_ylim, ax.get_ylim(), limits[1]),
        ):
            if now != before:
                setter(before, auto=None)
        if surface.meets_edge:
            self.set_paths([self._on_sky(path) for path in self.get_paths()])

    def _to_data(self, places: FloatArray) -> FloatArray:
        """The coordinates (…, 2) of pixel coordinates, in the units of the extent."""
        corner, sides = self._corner_and_sides()
        return corner + (places + 0.5) * sides

    def _corner_and_sides(self) -> tuple[FloatArray, FloatArray]:
        left, right, bottom, top = self._sky_extent
        ny, nx = self._surface.shape
        return np.array([left, bottom]), np.array([(right - left) / nx, (top - bottom) / ny])

    def _on_sky(self, path: Path) -> Path:
        """The part of a line, or of an area, that is on the sky."""
        vertices = np.asarray(path.vertices)
        if not len(vertices):
            return path
        corner, sides = self._corner_and_sides()
        places = (vertices - corner) / sides - 0.5
        lines = np.split(places, np.flatnonzero(np.asarray(path.codes) == Path.MOVETO)[1:])
        if self.filled:
            parts = [part for line in lines if len(part := self._surface.outlined(line))]
        else:
            parts = [part for line in lines for part in self._surface.clipped(line)]
        if not parts:
            return Path(np.empty((0, 2)))
        return Path.make_compound_path(
            *(Path(self._to_data(part), closed=bool(self.filled)) for part in parts)
        )

    def clabel(self, levels: Any = None, *, fmt: Any = None, **kwargs: Any) -> Any:
        """Label the contours, as `~matplotlib.axes.Axes.clabel` does.

        Levels that enclose a fraction of the sources have that in percent by default, others their
        value, in the map's unit.

        Parameters
        ----------
        levels, fmt, **kwargs
            As for `~matplotlib.axes.Axes.clabel`.

        Returns
        -------
        list of `~matplotlib.text.Text`
        """
        return super().clabel(levels, fmt=self._percent if fmt is None else fmt, **kwargs)

    def add_label(self, x: float, y: float, rotation: float, lev: float, cvalue: Any) -> None:
        """Add a label at a place of the screen, in the contours' own units.

        Data coordinates, which matplotlib would take, some geographic Axes cannot find.
        """
        super().add_label(x, y, rotation, lev, cvalue)
        label = self.labelTexts[-1]
        x, y = self.get_transform().inverted().transform((x, y))
        label.set_position((x, y))
        label.set_transform(self.get_transform())


def draw_contours(
    ax: Axes,
    sky_map: Any,
    extent: tuple[float, float, float, float],
    transform: Any,
    *,
    contours: list[SkyContour] | None = None,
    surface: Surface | None = None,
    levels: Any = None,
    filled: bool = False,
    **kwargs: Any,
) -> SkyContourSet:
    """Draw contours of a map that lies on an Axes.

    ``contours`` are those at ``levels``, or that enclose fractions of the sources, in the order
    that the caller gave; None where ``levels`` are a number of levels or left to matplotlib.
    """
    surface = surface or Surface(sky_map)
    if not surface.valid.any():
        raise ValueError("the map must have a value somewhere to have contours; all are masked")
    percent = None
    if contours is not None:
        kwargs = _by_ascending_level(contours, kwargs)
        contours = sorted(contours, key=lambda contour: contour.level.value)
        levels = [float(contour.level.value) for contour in contours]
        if (np.diff(levels) <= 0).any():
            what = [c.level.value if c.enclosed is None else c.enclosed for c in contours]
            raise ValueError(f"levels of contours must differ; those of {what} are {levels}")
        percent = {
            level: f"{100 * contour.enclosed:.6g} %"
            for level, contour in zip(levels, contours, strict=True)
            if contour.enclosed is not None
        }
        if filled and (percent or len(levels) == 1):
            # The area above the highest level, too.
            most = max(float(np.max(sky_map.data[surface.valid])), levels[-1])
            levels = [*levels, np.nextafter(most + 1e-9 * abs(most), np.inf)]
    drawn = SkyContourSet(
        ax, surface, extent, transform, percent or None, levels=levels, filled=filled, **kwargs
    )
    drawn.sky_contours = contours or [
        SkyContour(sky_map, float(level), surface=surface) for level in drawn.levels
    ]
    return drawn


def find_contours(
    sky_map: Any,
    *,
    levels: Any,
    enclosed: Any,
    points: Any,
    leave_one_out: bool,
    surface: Surface | None = None,
) -> list[SkyContour] | None:
    """The contours that the arguments of `sky_contour` ask for; None if matplotlib chooses."""
    if levels is not None and enclosed is not None:
        raise TypeError(
            f"levels and enclosed exclude each other; got levels={levels!r:.40}, "
            f"enclosed={enclosed!r:.40}"
        )
    if enclosed is not None:
        fractions = np.atleast_1d(enclosed).tolist()
        options = {"points": points, "leave_one_out": leave_one_out, "surface": surface}
        return contours_of(sky_map, enclosed=fractions, **options)
    is_number = isinstance(levels, int | np.integer) and not isinstance(levels, bool)
    if levels is None or is_number:
        return None
    plain = np.atleast_1d(plain_levels(levels, sky_map.unit))
    return contours_of(sky_map, plain.tolist(), surface=surface)


def check_contour_keywords(keywords: dict[str, Any], name: str) -> None:
    """Raise a TypeError for keywords that contours do not have, or that the map decides."""
    known = {*signature(ContourSet.__init__).parameters, "zorder", "nchunk"} - {
        "self", "ax", "args", "kwargs", "levels", "filled",
    }  # fmt: skip
    for keyword, value in keywords.items():
        if keyword in FROM_MAP:
            raise TypeError(
                f"{keyword} must be left out, as it follows from the map; got {value!r:.60}"
            )
        if keyword not in known:
            hint = "colors" if keyword in ("color", "c") else ", ".join(sorted(known - {*FROM_MAP}))
            raise TypeError(f"{name} has no argument {keyword!r}; those of contours are {hint}")


def _by_ascending_level(contours: list[SkyContour], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments with one value for each contour, in the order of levels that matplotlib wants."""
    order = np.argsort([contour.level.value for contour in contours], kind="stable")
    found = dict(kwargs)
    for name in BY_LEVEL:
        given = kwargs.get(name)
        if isinstance(given, list | tuple) and len(given) == len(order):
            found[name] = given if is_color_like(given) else [given[i] for i in order]
    return found
