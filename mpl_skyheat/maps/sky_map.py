"""`SkyMap`: a map of the sky with its unit, WCS, mask, counts and solid angles."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.nddata import NDArithmeticMixin, NDData, NDSlicingMixin, StdDevUncertainty
from astropy.wcs import WCS

from mpl_skyheat.catalogue.reading import read_positions
from mpl_skyheat.maps.arithmetic import as_operand, check_geometries, finish
from mpl_skyheat.maps.map_files import write_fits
from mpl_skyheat.maps.peaks import find_peaks
from mpl_skyheat.maps.request import check_label
from mpl_skyheat.sky.frames import frame_text
from mpl_skyheat.sky.grid import SLACK
from mpl_skyheat.sky.planes import plane_of_wcs, project
from mpl_skyheat.smoothing.kernels import as_kernel

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from astropy.coordinates import BaseCoordinateFrame
    from astropy.table import QTable
    from numpy.typing import ArrayLike, NDArray

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.maps.significance import KernelSums

# Attributes with arrays of the map's shape, which are sliced with its values.
COMPANIONS = ("counts", "solid_angle", "n_eff", "coverage", "n_on", "n_off")

# Operators that numbers, arrays and Quantities on the left of a map leave to it.
REFLECTED: dict[Any, str] = {np.add: "__radd__", np.subtract: "__rsub__"}
REFLECTED |= {np.multiply: "__rmul__", np.true_divide: "__rtruediv__"}


class SkyMap(NDSlicingMixin, NDArithmeticMixin, NDData):
    """A map of a catalogue: `~astropy.nddata.NDData` with counts and solid angles.

    Made by `sky_map`; `SkyHeatmap.sky_map` holds the one that is drawn. Arrays have the shape
    (ny, nx), row 0 at the bottom.

    Maps with the same pixels are added, subtracted, multiplied and divided (``a - b``, or
    ``a.subtract(b)``), and so are a map and a number or Quantity. ``meta["stat"]`` of the result
    is "total", "difference", "product" or "quotient"; `sky_heatmap` draws it. For functions of
    numpy, take ``m.quantity``.

    Parameters
    ----------
    data : array-like
        The map's values, which become floats: NaN where the map is masked.
    counts : array-like, optional
        Points, or sum of weights, in each pixel, not smoothed.
    solid_angle : `~astropy.units.Quantity`, optional
        The sky that each pixel shows, whether it was observed or not, in sr (in square data units
        on a map of Cartesian x, y).
    n_eff : array-like, optional
        The effective number of points at each pixel.
    kernel : `~astropy.units.Quantity` ['angle'], str, kernel or array-like, optional
        What the map is smoothed with, in any form that `sky_heatmap` takes.
    label : str, optional
        What is counted, or what the values are.
    coverage : array-like, optional
        The observed fraction of each pixel.
    n_on, n_off : array-like, optional
        The effective counts under the kernel, and those of the background.
    spread : callable, optional
        In place of ``uncertainty`` and ``n_eff``: called without arguments when somebody asks for
        one of them, returns both as arrays, or None for one that there is not.
    kernel_sums : callable, optional
        Called without arguments when somebody compares the map, returns the sums that `compare`
        needs.
    **kwargs
        Arguments of `~astropy.nddata.NDData`: ``unit``, ``wcs``, ``mask``, ``uncertainty`` and
        ``meta``.

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
    n_on, n_off : `~numpy.ndarray` or None
        Of a significance: the effective counts under the kernel (``n_on``) and in the background,
        with the mean and the variance of Poisson counts.
    kernel : Gaussian, TopHat, Epanechnikov, Moffat, Annulus, a sum of them, or None
        What the map is smoothed with, for the ``kernel=`` of another. None without smoothing, and
        on the result of two maps with different kernels. Kernels are equal by value.
    label : str or None
        What is counted, or what the values are; of two maps "red / blue".
    mask : `~numpy.ndarray`
        True where there is no sky, no value, or one that is not finite; of the map's shape.
    uncertainty : `~astropy.nddata.StdDevUncertainty` or None
        Standard errors of densities, counts, sums and means, as of independent points. Arithmetic
        takes two maps as independent, which a part of a catalogue and all of it are not.
    meta : dict
        Numbers, bools, text or None, by names of 8 letters or fewer, as in the header of a FITS
        file: the statistic ``stat``, ``boundary`` and ``geometry`` as used; ``smoothed`` (whether
        by a kernel, which of two maps may have no one name); ``signed`` (of a difference of kernels
        or of maps: colours are symmetric about 0); ``mincount``, ``mincover`` (the arguments
        ``min_count`` and ``min_coverage``) and ``values`` (the name of their column) as given;
        ``frame``, of two bare numbers in `value_at`; ``reason`` (why "auto" took that geometry);
        ``planeerr`` (the error of smoothing with one pixel scale, as a fraction of a source's
        peak); and the rows ``read``, ``dropped``
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
        n_on: ArrayLike | None = None,
        n_off: ArrayLike | None = None,
        kernel: Any = None,
        label: str | None = None,
        spread: Callable[[], tuple[FloatArray | None, FloatArray | None]] | None = None,
        kernel_sums: Callable[[], KernelSums] | None = None,
        **kwargs: Any,
    ) -> None:
        check_label(label)
        self.kernel, self.label = as_kernel(kernel), label
        super().__init__(data, *args, **kwargs)
        self.counts: Any = None if counts is None else np.asarray(counts)
        self.n_eff = n_eff
        self.coverage = None if coverage is None else np.asarray(coverage, float)
        self.n_on, self.n_off = (None if n is None else np.asarray(n, float) for n in (n_on, n_off))
        self._spread, self._find_kernel_sums = spread, kernel_sums
        self.solid_angle = solid_angle

    _n_eff: FloatArray | None = None
    # Finds standard errors and the effective number of points when somebody asks for either.
    _spread: Callable[[], tuple[FloatArray | None, FloatArray | None]] | None = None

    def _find_spread(self) -> None:
        find, self._spread = self._spread, None
        if find is not None:
            error, n_eff = (None if v is None else np.where(self.mask, np.nan, v) for v in find())
            self.n_eff = n_eff
            if error is not None:
                self.uncertainty = StdDevUncertainty(error, unit=self.unit)

    @property
    def kernel_sums(self) -> KernelSums | None:
        """S1, E1 and E2 under the kernel, for `compare`; None where they have no meaning."""
        find, self._find_kernel_sums = self._find_kernel_sums, None
        if find is not None:
            self._kernel_sums = find()
        return self._kernel_sums

    _kernel_sums: KernelSums | None = None
    _find_kernel_sums: Callable[[], KernelSums] | None = None

    def __getstate__(self) -> dict[str, Any]:
        self._find_spread()
        _ = self.kernel_sums  # of which what finds them cannot be pickled
        return self.__dict__

    _data: Any
    _mask: BoolArray

    @property
    def mask(self) -> BoolArray:
        return self._mask

    # NDData sets it after its data, so that every map passes here.
    @mask.setter
    def mask(self, value: Any) -> None:
        values: FloatArray = np.asarray(self._data, float)
        masked = ~np.isfinite(values)
        if value is not None:
            masked = masked | value
        if not np.isnan(values[masked]).all():
            values = np.where(masked, np.nan, values)
        self._data, self._mask = values, masked

    @property
    def is_smoothed(self) -> bool:
        """Whether a kernel has smoothed the map, or one of those that it was made of."""
        return self.kernel is not None or bool(self.meta.get("smoothed"))

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

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> SkyMap:
        if ufunc in REFLECTED and method == "__call__" and not kwargs and inputs[0] is not self:
            result: SkyMap = getattr(self, REFLECTED[ufunc])(inputs[0])
            return result
        hint = ""
        if ufunc in (np.log10, np.log, np.log2):
            hint = "; mpl_skyheat.compare(a, b, statistic='log_ratio') has log₁₀(a / b) with both"
        raise TypeError(
            f"numpy.{ufunc.__name__} takes no SkyMap: take .quantity, as in "
            f"np.{ufunc.__name__}(m.quantity), which has no errors and no WCS{hint}"
        )

    def add(self, operand: Any, **kwargs: Any) -> SkyMap:
        return self._with("add", operand, **kwargs)

    def subtract(self, operand: Any, **kwargs: Any) -> SkyMap:
        return self._with("subtract", operand, **kwargs)

    def multiply(self, operand: Any, **kwargs: Any) -> SkyMap:
        return self._with("multiply", operand, **kwargs)

    def divide(self, operand: Any, **kwargs: Any) -> SkyMap:
        return self._with("divide", operand, **kwargs)

    __add__ = __radd__ = add
    __sub__ = subtract
    __mul__ = __rmul__ = multiply
    __truediv__ = divide

    def __rsub__(self, other: Any) -> SkyMap:
        return self._filled(other).subtract(self)

    def __rtruediv__(self, other: Any) -> SkyMap:
        return self._filled(other).divide(self)

    def _filled(self, value: Any) -> SkyMap:
        """A map with a number or Quantity in all pixels, or an array of the map's shape."""
        value = u.Quantity(as_operand(value, self.data.shape))
        data = np.full(self.data.shape, value.value)
        meta = {"frame": self.meta.get("frame", "icrs")}
        return SkyMap(
            data,
            unit=value.unit,
            wcs=self.wcs,
            solid_angle=self.solid_angle,
            kernel=self.kernel,
            meta=meta,
        )

    def _with(self, name: str, operand: Any, **kwargs: Any) -> SkyMap:
        """The result of NDData's arithmetic, with solid angles and a meta that says what it is."""
        operand = as_operand(operand, self.data.shape)
        if isinstance(operand, NDData):
            check_geometries(self, operand)
        kwargs = {"compare_wcs": None, "handle_meta": None} | kwargs
        with np.errstate(divide="ignore", invalid="ignore"):
            try:
                result: SkyMap = getattr(super(), name)(operand, **kwargs)
            except u.UnitConversionError as error:
                its = getattr(operand, "unit", None) or "no unit"
                raise u.UnitConversionError(
                    f"operand must be in a unit such as the map's, {self.unit}; got {its}"
                ) from error
        unit, one = result.unit, u.dimensionless_unscaled
        if unit is not None and unit != one and unit.is_equivalent(one):  # deg⁻² / arcmin⁻²
            result = super(SkyMap, result).multiply(unit.to(one) / unit, **kwargs)
        finish(result, name, operand, [m for m in (self, operand) if isinstance(m, SkyMap)])
        return result

    def max(self, **numpy: None) -> u.Quantity:
        """The largest value, a scalar Quantity; NaN if all are masked."""
        return self._unmasked(numpy).max()

    def min(self, **numpy: None) -> u.Quantity:
        """The smallest value, a scalar Quantity; NaN if all are masked."""
        return self._unmasked(numpy).min()

    def sum(self, **numpy: None) -> u.Quantity:
        """The sum of the values, a scalar Quantity; NaN if all are masked."""
        return self._unmasked(numpy).sum()

    def mean(self, **numpy: None) -> u.Quantity:
        """The mean over the observed sky, a scalar Quantity; NaN if all of it is masked.

        Values are weighed by the solid angle of their pixels and its fraction that was observed,
        ``solid_angle`` and ``coverage`` where the map has them, so that ``m / m.mean() - 1`` is the
        contrast.
        """
        values = self._unmasked(numpy)
        weights = np.ones(values.shape)
        for name in ("solid_angle", "coverage"):
            share = getattr(self, name, None)
            if share is not None and not self.mask.all():
                weights *= np.asarray(share)[~self.mask]
        return (weights * values).sum() / weights.sum()

    def _unmasked(self, numpy: dict[str, Any]) -> u.Quantity:
        """The values that are not masked, or one NaN; no argument of numpy's functions is taken."""
        for name, value in numpy.items():
            if value is not None:
                raise TypeError(
                    f"{name} must be left out, as a SkyMap is reduced over its pixels; got "
                    f"{value!r:.60}: take .quantity, as in np.nanmax(m.quantity, axis=0)"
                )
        values = self.data[~self.mask]
        return u.Quantity(values if len(values) else [np.nan], self.unit)

    def _slice(self, item: Any) -> dict[str, Any]:
        # NDSlicingMixin's documented hook for further attributes.
        kwargs: dict[str, Any] = super()._slice(item)
        for name in COMPANIONS:
            companion = getattr(self, name)
            kwargs[name] = None if companion is None else companion[item]
        kwargs |= {"kernel": self.kernel, "label": self.label}
        if self._has_kernel_sums:
            kwargs["kernel_sums"] = partial(self._kernel_sums_of, item)
        kwargs["wcs"] = self._wcs_of_part(item, kwargs["wcs"])
        return kwargs

    @property
    def _has_kernel_sums(self) -> bool:
        return self._kernel_sums is not None or self._find_kernel_sums is not None

    def _kernel_sums_of(self, item: Any) -> KernelSums:
        """Those of a part of the map."""
        found = self.kernel_sums
        assert found is not None
        return replace(found, s1=found.s1[item], e1=found.e1[item], e2=found.e2[item])

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
        return u.Quantity(self.data, self.unit)

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
            **{name: getattr(self, name) for name in COMPANIONS},
            kernel_sums=partial(self._kernel_sums_of, ()) if self._has_kernel_sums else None,
            kernel=self.kernel,
            label=self.label,
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
        return SkyMap(
            values.value,
            unit=values.unit,
            mask=mask | off_sky,
            wcs=self.wcs,
            solid_angle=self.solid_angle,
            label=label,
            meta={"frame": self.meta.get("frame", "icrs"), "stat": None},
        )

    @property
    def error(self) -> SkyMap:
        """The map of standard errors; an AttributeError where there are none."""
        if self.uncertainty is None:
            raise AttributeError(
                f"this map of {self.meta.get('stat')!r} has no standard errors, as densities, "
                "counts, sums and means have (but with boundary='reflect')"
            )
        label = f"error of {self.label or 'the map'}"
        found = self.like(self.uncertainty.array, self.unit, label)
        found.kernel = self.kernel
        found.meta |= {"stat": "error", "smoothed": self.is_smoothed}
        return found

    @property
    def signal_to_noise(self) -> SkyMap:
        """The map of values over their standard errors; an AttributeError where there are none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.like(self.data / self.error.data, label="signal to noise")
        found.kernel = self.kernel
        found.meta |= {"smoothed": self.is_smoothed, "signed": self.meta.get("signed")}
        return found

    def value_at(self, *position: Any, frame: Any = None, interpolate: bool = False) -> u.Quantity:
        """Return the map's value at positions on the sky.

        Parameters
        ----------
        *position : `~astropy.coordinates.SkyCoord` or two array-likes
            One SkyCoord, or longitude and latitude; bare numbers are degrees. On a map of
            Cartesian x, y: these.
        frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
            The frame of two numbers, by default the one given when the map was made:
            ``meta["frame"]``.
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
        plane = None if self.meta.get("frame") == "flat" else plane_of_wcs(self.wcs)
        if frame is None:
            frame = self._frame_of_numbers(position, plane and plane.frame)
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
        look_up = _bilinear if interpolate else _nearest
        return look_up(self.data, np.asarray(x), np.asarray(y)) << (
            self.unit or u.dimensionless_unscaled
        )

    def find_peaks(
        self,
        threshold: float | u.Quantity | None = None,
        *,
        min_separation: Any = None,
        n_peaks: int | None = None,
    ) -> QTable:
        """Return the maxima of the map, the highest first.

        Parameters
        ----------
        threshold : float or `~astropy.units.Quantity`, optional
            The least value of a peak, in the map's unit; by default 5 of a significance.
        min_separation : `~astropy.units.Quantity` ['angle'] or str, optional
            The least separation of two peaks, of which the higher stays; by default the kernel's
            full width at half maximum.
        n_peaks : int, optional
            The most peaks to return; by default all.

        Returns
        -------
        `~astropy.table.QTable`
            One row a peak, maybe none: ``id``, from 1; ``coord``, the top of a parabola through the
            pixel and its neighbours; ``peak_value``, of the pixel; ``n_on``, ``n_off``, the
            effective counts; ``density``, that under the kernel; ``p_pre_trial``, the probability
            that noise is so high there; ``p_post_trial``, that noise makes such a peak anywhere on
            the map. Columns that the map says nothing of are NaN.

        Raises
        ------
        ValueError
            If there is no threshold with another map than of a significance, no ``min_separation``
            with a kernel that has no such width, or an argument is not what it must be.
        TypeError
            If the map is one of Cartesian x, y.

        Notes
        -----
        With u the peak's σ and A the unmasked area, p_post_trial is 1 − exp(−E), where
        E = A Λ (2π)^−3/2 u exp(−u²/2) peaks of noise are expected (Adler 1981, The Geometry of
        Random Fields) and Λ = ∫|∇K|² / (2 ∫K²) = 1 / (2σ²) of a Gaussian. It is right to 8 % at 3
        to 4 σ where ``n_eff`` is 50; where it is 10, there are 1.4 to 1.9 times as many. It is NaN
        below 2 σ, and of kernels that are not smooth: `TopHat`, `Epanechnikov`, arrays. All this is
        about points that know nothing of each other: clustered ones make more.
        """
        return find_peaks(self, threshold, min_separation, n_peaks)

    def _frame_of_numbers(self, position: tuple[Any, ...], own: BaseCoordinateFrame | None) -> Any:
        """The frame of two bare numbers; ``own`` is that of the map's pixels."""
        frame = self.meta.get("frame", "icrs")
        if own is None or not isinstance(frame, str) or not frame.startswith("<"):
            return frame
        if len(position) == 2 and frame != frame_text(own):
            raise TypeError(
                f"frame must be given with two numbers, as the map is of points in {frame}, for "
                f"which there is no name; got {position!r:.60}"
            )
        return own

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
