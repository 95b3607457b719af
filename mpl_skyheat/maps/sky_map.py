"""`SkyMap`: a map of the sky with its unit, WCS, mask, counts and solid angles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.nddata import NDArithmeticMixin, NDData, NDSlicingMixin, StdDevUncertainty
from astropy.wcs import WCS

from mpl_skyheat.catalogue.reading import read_positions
from mpl_skyheat.maps.arithmetic import as_operand, check_geometries, finish
from mpl_skyheat.maps.map_files import write_fits
from mpl_skyheat.maps.request import check_label
from mpl_skyheat.sky.grid import SLACK
from mpl_skyheat.sky.planes import plane_of_wcs, project

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from mpl_skyheat.compute.arrays import FloatArray

# Attributes with arrays of the map's shape, which are sliced with its values.
COMPANIONS = ("counts", "solid_angle", "n_eff", "coverage")


class SkyMap(NDSlicingMixin, NDArithmeticMixin, NDData):
    """A map of a catalogue: `~astropy.nddata.NDData` with counts and solid angles.

    Made by `sky_map`; `SkyHeatmap.sky_map` holds the one that is drawn. Arrays have the shape
    (ny, nx), row 0 at the bottom.

    Maps with the same pixels are added, subtracted, multiplied and divided (``a - b``, or
    ``a.subtract(b)``), and so are a map and a number or Quantity. ``meta["statistic"]`` of the
    result is "total", "difference", "product" or "quotient"; `sky_heatmap` draws it.

    Parameters
    ----------
    data : array-like
        The map's values.
    counts : array-like, optional
        Points, or sum of weights, in each pixel, not smoothed.
    solid_angle : `~astropy.units.Quantity`, optional
        The sky that each pixel shows, whether it was observed or not, in sr (in square data units
        on a map of Cartesian x, y).
    n_eff : array-like, optional
        The effective number of points at each pixel.
    coverage : array-like, optional
        The observed fraction of each pixel.
    spread : callable, optional
        In place of ``uncertainty`` and ``n_eff``: called without arguments when somebody asks for
        one of them, returns both as arrays, or None for one that there is not.
    **kwargs
        Arguments of `~astropy.nddata.NDData`: ``unit``, ``wcs``, ``mask`` (True where there is no
        sky, or no value), ``uncertainty`` and ``meta``.

    Attributes
    ----------
    counts : `~numpy.ndarray` or None
        Points in each pixel (int64), or the sum of their weights (float64); not smoothed. None
        on the result of arithmetic.
    solid_angle : `~astropy.units.Quantity` or None
        The sky that each pixel shows; no footprint of a survey.
    n_eff : `~numpy.ndarray` or None
        The points in each pixel, or under the kernel, (Σ w K)² / Σ w² K²: N points at one place are
        N, and a field of λ per sr is 4πσ²λ under a Gaussian. None where there is no such number:
        of a difference of kernels, with ``boundary="reflect"``, and after arithmetic; NaN where
        the map is masked.
    coverage : `~numpy.ndarray` or None
        The observed fraction of each pixel, 0 … 1; by `Randoms`, of what the kernel sees there.
        None without ``coverage=``: all of the sky is then taken as observed.
    uncertainty : `~astropy.nddata.StdDevUncertainty` or None
        Standard errors of densities, counts, sums and means, as of independent points. Arithmetic
        takes two maps as independent, which a part of a catalogue and all of it are not.
    meta : dict
        ``statistic``, ``kernel``, ``boundary``, ``geometry``, ``label`` and ``frame`` as used,
        ``signed`` (of a difference of kernels or of maps: colours are symmetric about 0),
        ``min_count`` and ``values`` (the name of their column) as given,
        ``geometry_reason`` (why "auto" took that geometry), ``plane_error`` (the error of smoothing
        with one pixel scale, as a fraction of a source's peak), and the rows ``read``, ``dropped``
        (not finite or masked), ``unseen`` (where nothing was observed), ``inside`` and
        ``outside`` the map; dropped + unseen + inside + outside = read.
    """

    def __init__(
        self,
        data: Any,
        *args: Any,
        counts: ArrayLike | None = None,
        solid_angle: u.Quantity | None = None,
        n_eff: ArrayLike | None = None,
        coverage: ArrayLike | None = None,
        spread: Callable[[], tuple[FloatArray | None, FloatArray | None]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data, *args, **kwargs)
        self.counts: Any = None if counts is None else np.asarray(counts)
        self.n_eff = n_eff
        self.coverage = None if coverage is None else np.asarray(coverage, float)
        self._spread = spread
        self.solid_angle = solid_angle

    _n_eff: FloatArray | None = None
    # Finds standard errors and the effective number of points when somebody asks for either.
    _spread: Callable[[], tuple[FloatArray | None, FloatArray | None]] | None = None

    def _find_spread(self) -> None:
        find, self._spread = self._spread, None
        if find is not None:
            error, n_eff = (None if v is None else self._masked(v) for v in find())
            self.n_eff = n_eff
            if error is not None:
                self.uncertainty = StdDevUncertainty(error, unit=self.unit)

    def _masked(self, values: FloatArray) -> FloatArray:
        return values if self.mask is None else np.where(self.mask, np.nan, values)

    def __getstate__(self) -> dict[str, Any]:
        self._find_spread()
        return self.__dict__

    @property
    def uncertainty(self) -> Any:
        self._find_spread()
        return super().uncertainty

    @uncertainty.setter
    def uncertainty(self, value: Any) -> None:
        self._find_spread()
        NDData.uncertainty.fset(self, value)

    @property
    def n_eff(self) -> FloatArray | None:
        self._find_spread()
        return self._n_eff

    @n_eff.setter
    def n_eff(self, value: ArrayLike | None) -> None:
        self._find_spread()
        self._n_eff = None if value is None else np.asarray(value)

    # Numbers, arrays and Quantities leave the operators to the map.
    __array_ufunc__ = None

    def add(self, operand: Any, *args: Any, **kwargs: Any) -> SkyMap:
        return self._with("add", operand, *args, **kwargs)

    def subtract(self, operand: Any, *args: Any, **kwargs: Any) -> SkyMap:
        return self._with("subtract", operand, *args, **kwargs)

    def multiply(self, operand: Any, *args: Any, **kwargs: Any) -> SkyMap:
        return self._with("multiply", operand, *args, **kwargs)

    def divide(self, operand: Any, *args: Any, **kwargs: Any) -> SkyMap:
        return self._with("divide", operand, *args, **kwargs)

    __add__ = __radd__ = add
    __sub__ = subtract
    __mul__ = __rmul__ = multiply
    __truediv__ = divide

    def __rsub__(self, other: Any) -> SkyMap:
        return self._filled(other).subtract(self)

    def __rtruediv__(self, other: Any) -> SkyMap:
        return self._filled(other).divide(self)

    def _filled(self, value: Any) -> SkyMap:
        """A map with a number or Quantity in all pixels."""
        value = u.Quantity(value)
        data = np.full(self.data.shape, value.value)
        meta = {"frame": self.meta.get("frame", "icrs")}
        return SkyMap(data, unit=value.unit, wcs=self.wcs, solid_angle=self.solid_angle, meta=meta)

    def _with(self, name: str, operand: Any, *args: Any, **kwargs: Any) -> SkyMap:
        """The result of NDData's arithmetic, with solid angles and a meta that says what it is."""
        operand = as_operand(operand)
        other = operand if isinstance(operand, SkyMap) else None
        if other is not None:
            check_geometries(self, other)
        kwargs = {"compare_wcs": None, "handle_meta": None} | kwargs
        with np.errstate(divide="ignore", invalid="ignore"):
            try:
                result: SkyMap = getattr(super(), name)(operand, *args, **kwargs)
            except u.UnitConversionError as error:
                its = getattr(operand, "unit", None) or "no unit"
                raise u.UnitConversionError(
                    f"operand must be in a unit such as the map's, {self.unit}; got {its}"
                ) from error
        unit, one = result.unit, u.dimensionless_unscaled
        if unit is not None and unit != one and unit.is_equivalent(one):  # deg⁻² / arcmin⁻²
            result = super(SkyMap, result).multiply(unit.to(one) / unit, **kwargs)
        finish(result, name, self, operand, other)
        return result

    def _slice(self, item: Any) -> dict[str, Any]:
        # NDSlicingMixin's documented hook for further attributes.
        kwargs: dict[str, Any] = super()._slice(item)
        for name in COMPANIONS:
            companion = getattr(self, name)
            kwargs[name] = None if companion is None else companion[item]
        kwargs["wcs"] = self._wcs_of_part(item, kwargs["wcs"])
        return kwargs

    def _wcs_of_part(self, item: Any, part: Any) -> Any:
        """The WCS of a part of the map: a FITS WCS, in place of a wrapped one, if there is one."""
        wcs = getattr(self.wcs, "low_level_wcs", self.wcs)
        slices = item if isinstance(item, tuple) else (item,)
        is_plain = all(isinstance(s, slice) and s.step in (None, 1) for s in slices)
        if not isinstance(wcs, WCS) or not is_plain:
            return part
        sizes = zip(slices, self.data.shape, strict=False)
        return wcs.slice([slice(*s.indices(size)[:2]) for s, size in sizes], numpy_order=True)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The values without their unit, NaN where masked, as for ``plt.imshow``."""
        del copy  # `quantity` is always a copy.
        return np.asarray(self.quantity.value, dtype=dtype)

    @property
    def quantity(self) -> u.Quantity:
        """The values with their unit, NaN where masked, for numpy and astropy."""
        masked = np.ma.array(np.asarray(self.data, float), mask=self.mask)
        return u.Quantity(masked.filled(np.nan), self.unit)

    def to(self, unit: Any) -> SkyMap:
        """Return the map in another unit; errors go along.

        Raises
        ------
        ValueError
            If the unit is not one of the map's.
        """
        try:
            new = u.Unit(unit)
            factor = u.Unit(self.unit or "").to(new)
        except (TypeError, ValueError) as error:
            raise ValueError(f"unit must be one of the map's, {self.unit}; got {unit!r}") from error
        sigma = None if self.uncertainty is None else factor * self.uncertainty.array
        return SkyMap(
            factor * self.data,
            unit=new,
            mask=self.mask,
            wcs=self.wcs,
            uncertainty=None if sigma is None else type(self.uncertainty)(sigma, unit=new),
            counts=self.counts,
            solid_angle=self.solid_angle,
            n_eff=self.n_eff,
            meta=dict(self.meta),
        )

    def like(self, array: ArrayLike, unit: Any = None, label: str | None = None) -> SkyMap:
        """Return a map of another array on the same pixels, such as ``n_eff``, to be drawn.

        Parameters
        ----------
        array : array-like or `~astropy.units.Quantity`
            Of the map's shape; what is not finite is masked.
        unit : `~astropy.units.Unit` or str, optional
            By default that of a Quantity, or none.
        label : str, optional
            What its values are, for the colorbar.

        Raises
        ------
        ValueError
            If the array has another shape.
        """
        check_label(label)
        if array is None:
            raise ValueError(
                "array must have the map's shape; got None, as this map has no such one"
            )
        own = getattr(array, "unit", None)
        mask = np.ma.getmaskarray(np.ma.asarray(getattr(array, "unmasked", array)))
        mask = mask | getattr(array, "mask", False)
        values = u.Quantity(np.ma.getdata(getattr(array, "unmasked", array)), own, dtype=float)
        if unit is not None:
            values = values.value << u.Unit(unit) if own is None else values.to(unit)
        if values.shape != self.data.shape:
            raise ValueError(
                f"array must have the map's shape, {self.data.shape}; got {values.shape}"
            )
        off_sky = False if self.solid_angle is None else self.solid_angle.value <= 0
        bad = mask | ~np.isfinite(values.value) | off_sky
        meta = {"statistic": None, "kernel": None, "label": label}
        return SkyMap(
            np.where(bad, np.nan, values.value),
            unit=values.unit,
            mask=bad,
            wcs=self.wcs,
            solid_angle=self.solid_angle,
            meta={"frame": self.meta.get("frame", "icrs")} | meta,
        )

    @property
    def error(self) -> SkyMap:
        """The map of standard errors; an AttributeError where there are none."""
        if self.uncertainty is None:
            raise AttributeError(
                f"this map of {self.meta.get('statistic')!r} has no standard errors, as densities, "
                "counts, sums and means have (but with boundary='reflect')"
            )
        label = self.meta.get("label")
        found = self.like(self.uncertainty.array, self.unit, f"error of {label or 'the map'}")
        found.meta |= {"statistic": "error", "kernel": self.meta.get("kernel")}
        return found

    @property
    def signal_to_noise(self) -> SkyMap:
        """The map of values over their standard errors; an AttributeError where there are none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.like(self.data / self.error.data, label="signal to noise")
        found.meta |= {key: self.meta.get(key) for key in ("kernel", "signed")}
        return found

    def value_at(self, *position: Any, frame: Any = None, interpolate: bool = False) -> u.Quantity:
        """Return the map's value at positions on the sky.

        Parameters
        ----------
        *position : `~astropy.coordinates.SkyCoord` or two array-likes
            One SkyCoord, or longitude and latitude; bare numbers are degrees. On a map of
            Cartesian x, y: these.
        frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
            The frame of two numbers, by default the one given when the map was made.
        interpolate : bool, optional
            Interpolate between pixel centres (bilinear) in place of taking the nearest pixel.

        Returns
        -------
        `~astropy.units.Quantity`
            Of the positions' shape; NaN outside the map and where it has no sky.

        Raises
        ------
        TypeError, ValueError
            If the positions are of no accepted form, or a latitude is beyond ±90 deg.
        """
        frame = self.meta.get("frame", "icrs") if frame is None else frame
        own = self.meta.get("frame")
        is_flat = isinstance(own, str) and own == "flat"
        plane = None if is_flat else plane_of_wcs(self.wcs)
        lon, lat, sky_frame = read_positions(position, frame, plane and plane.frame)
        if (sky_frame is None) != (plane is None):
            raise TypeError(
                "position must be x, y on a map of Cartesian x, y, and on the sky elsewhere; got "
                f"frame={frame!r}"
            )
        if plane is None:
            x, y = self.wcs.low_level_wcs.world_to_pixel_values(lon, lat)
        else:
            x, y = project(plane, sky_frame, lon, lat)
        values = np.where(self.mask, np.nan, self.data) if self.mask is not None else self.data
        look_up = _bilinear if interpolate else _nearest
        return look_up(values, np.asarray(x), np.asarray(y)) << (
            self.unit or u.dimensionless_unscaled
        )

    def write(self, file: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the map as a FITS file.

        The image has the values, with BUNIT and WCS; extensions MASK, COUNTS, OMEGA (sr), NEFF and
        UNCERT (standard errors, as `~astropy.nddata.CCDData` reads them) have what their names
        say, and the card SKYHEAT has ``meta`` as JSON.

        Parameters
        ----------
        file : str or path-like
            Its name, which ends in .fits or .fits.gz.
        overwrite : bool, optional
            Replace a file that is there. It is kept if the new one cannot be written.

        Raises
        ------
        OSError
            If the file is there already, or cannot be written.
        ValueError
            If the map's WCS is not one of FITS, or the file's name does not end as it must.
        """
        write_fits(self, file, overwrite=overwrite)


def _nearest(values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """The values of the pixels at positions; NaN outside the map."""
    found = np.full(x.shape, np.nan)
    ny, nx = values.shape
    inside = np.abs(x - 0.5 * (nx - 1)) <= 0.5 * nx + SLACK
    inside &= np.abs(y - 0.5 * (ny - 1)) <= 0.5 * ny + SLACK
    columns = np.clip(np.floor(x[inside] + 0.5).astype(int), 0, nx - 1)
    rows = np.clip(np.floor(y[inside] + 0.5).astype(int), 0, ny - 1)
    found[inside] = values[rows, columns]
    return found


def _bilinear(values: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Values between the centres of pixels that have one; NaN where the nearest pixel has none."""
    from scipy.ndimage import map_coordinates

    found = np.full(x.shape, np.nan)
    inside, known = np.isfinite(_nearest(values, x, y)), np.isfinite(values)
    total, weight = (
        map_coordinates(image, (y[inside], x[inside]), order=1, mode="nearest")
        for image in (np.where(known, values, 0.0), known.astype(float))
    )
    found[inside] = total / weight
    return found
