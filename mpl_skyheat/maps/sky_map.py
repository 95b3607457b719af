"""`SkyMap`: a map of the sky with its unit, WCS, mask, counts and solid angles."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.nddata import NDData, NDSlicingMixin, StdDevUncertainty
from astropy.wcs import WCS

from mpl_skyheat.maps.arithmetic import Arithmetic
from mpl_skyheat.maps.contours import SkyContour, contours_of, plain_levels
from mpl_skyheat.maps.healpix import to_healpix, write_healpix
from mpl_skyheat.maps.interpolation import interpolated, nearest, seams_of
from mpl_skyheat.maps.later import Later
from mpl_skyheat.maps.map_files import read_fits, write_fits
from mpl_skyheat.maps.peaks import find_peaks
from mpl_skyheat.maps.places import places_on
from mpl_skyheat.maps.reductions import Reductions
from mpl_skyheat.maps.request import check_label
from mpl_skyheat.maps.totals import total_of
from mpl_skyheat.sky.planes import plane_of_wcs
from mpl_skyheat.smoothing.kernels import as_kernel

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from astropy.table import QTable
    from astropy_healpix import HEALPix
    from numpy.typing import ArrayLike

    from mpl_skyheat.compute.arrays import BoolArray, FloatArray
    from mpl_skyheat.maps.own_share import OwnShare
    from mpl_skyheat.maps.significance import KernelSums

# Attributes with arrays of the map's shape, which are sliced with its values.
COMPANIONS = (
    "counts", "solid_angle", "n_eff", "coverage", "amount", "amount_variance", "n_on", "n_off",
    "scales",
)  # fmt: skip


class SkyMap(Reductions, NDSlicingMixin, Arithmetic, NDData):
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
    scales : `~astropy.units.Quantity`, optional
        The width σ of the kernel at each pixel.
    amount, amount_variance : `~astropy.units.Quantity`, optional
        What the rows in each pixel add up to, not smoothed, and its variance.
    later : dict, optional
        Functions (or `later.Later`) that find what takes long, or None, when somebody asks for it:
        "error" an array of standard errors, "n_eff", "own_share", what one row adds to the map
        where it is, and "kernel_sums", the sums that `compare` needs.
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
    amount, amount_variance : `~astropy.units.Quantity` or None
        What `total` adds up: of maps of weights Σ w and Σ w², of sums Σ w v and Σ w² v² over the
        rows in each pixel, not smoothed. None on others, where `counts` are that or there is none.
    n_on, n_off : `~numpy.ndarray` or None
        Of a significance: the effective counts under the kernel (``n_on``) and in the background,
        with the mean and the variance of Poisson counts.
    scales : `~astropy.units.Quantity` or None
        Of a map with an `Adaptive` kernel: the width σ at each pixel, an angle, or in pixels. Drawn
        by ``ax.sky_heatmap(m.like(m.scales, label="scale"))``.
    kernel : Gaussian, TopHat, Epanechnikov, Moffat, Annulus, Adaptive, a sum of them, or None
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
        or of maps: colours are symmetric about 0); ``perpixel`` (of arithmetic, whether values grow
        with the pixel, as counts do); ``mincount``, ``mincover`` (the arguments
        ``min_count`` and ``min_coverage``) and ``values`` (the name of their column) as given;
        ``frame``, of two bare numbers in `value_at`; ``reason`` (why "auto" took that geometry);
        ``adaptive`` (of an `Adaptive` kernel, its mode); ``planeerr`` (the error of smoothing with
        one pixel scale, as a fraction of a source's peak); and the rows ``read``, ``dropped`` (not
        finite or masked), ``unseen`` (where nothing was observed), ``inside`` and ``outside`` the
        map, dropped + unseen + inside + outside = read; and those ``skipped``, in parts of a file
        that cannot reach the map.
    """

    def __init__(
        self,
        data: Any,
        *args: Any,
        counts: ArrayLike | None = None,
        solid_angle: u.Quantity | None = None,
        n_eff: ArrayLike | None = None,
        coverage: ArrayLike | None = None,
        amount: u.Quantity | None = None,
        amount_variance: u.Quantity | None = None,
        n_on: ArrayLike | None = None,
        n_off: ArrayLike | None = None,
        scales: u.Quantity | None = None,
        kernel: Any = None,
        label: str | None = None,
        later: Mapping[str, Callable[[], Any] | Later] | None = None,
        **kwargs: Any,
    ) -> None:
        check_label(label)
        self.kernel, self.label = as_kernel(kernel), label
        # What is found when somebody asks for it, as most maps are only drawn.
        self._later: dict[str, Later] = {}
        super().__init__(data, *args, **kwargs)
        self.counts: Any = None if counts is None else np.asarray(counts)
        self.n_eff = n_eff
        self.coverage = None if coverage is None else np.asarray(coverage, float)
        self.n_on, self.n_off = (None if n is None else np.asarray(n, float) for n in (n_on, n_off))
        self.amount, self.amount_variance = amount, amount_variance
        self.scales = scales
        self.solid_angle = solid_angle
        lock = RLock()
        self._later = {
            name: find if isinstance(find, Later) else Later(find, lock)
            for name, find in (later or {}).items()
        }

    def _find(self, name: str) -> Any:
        """Return what was left for later; None if there is nothing of the name."""
        later = self._later.get(name)
        return None if later is None else later.get()

    @property
    def kernel_sums(self) -> KernelSums | None:
        """S1, E1 and E2 under the kernel, for `compare`; None where they have no meaning."""
        found: KernelSums | None = self._find("kernel_sums")
        return found

    @property
    def own_share(self) -> OwnShare | None:
        """What one row adds to the map where it is; None where that is not known.

        It is known of densities and counts as they were made, but not of their slices, nor after
        arithmetic.
        """
        share: OwnShare | None = self._find("own_share")
        return share

    def __copy__(self) -> SkyMap:
        new: SkyMap = object.__new__(type(self))
        new.__dict__.update(self.__dict__, _later=dict(self._later))
        return new

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
        if (later := self._later.get("error")) is not None:
            error = later.get()
            if error is not None:
                error = StdDevUncertainty(np.where(self.mask, np.nan, error), unit=self.unit)
            self.uncertainty = error
        return super().uncertainty

    @uncertainty.setter
    def uncertainty(self, value: Any) -> None:
        NDData.uncertainty.fset(self, value)
        self._later.pop("error", None)  # Last: another thread has either of the two.

    @property
    def n_eff(self) -> FloatArray | None:
        if (later := self._later.get("n_eff")) is not None:
            n_eff = later.get()
            self.n_eff = None if n_eff is None else np.where(self.mask, np.nan, n_eff)
        return self._n_eff

    @n_eff.setter
    def n_eff(self, value: ArrayLike | None) -> None:
        self._n_eff = None if value is None else np.asarray(value)
        self._later.pop("n_eff", None)

    def _slice(self, item: Any) -> dict[str, Any]:
        # NDSlicingMixin's documented hook for further attributes.
        kwargs: dict[str, Any] = super()._slice(item)
        for name in COMPANIONS:
            companion = getattr(self, name)
            kwargs[name] = None if companion is None else companion[item]
        kwargs |= {"kernel": self.kernel, "label": self.label}
        if (sums := self._later.get("kernel_sums")) is not None:
            kwargs["later"] = {"kernel_sums": partial(_part_of_sums, sums, item)}
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

    def total(self, region: Any = None) -> tuple[u.Quantity, u.Quantity]:
        """Return what the rows in a region add up to, and its standard error.

        Of densities, counts and significances the number of rows or the sum of weights Σ w, with
        √Σ w²; of sums Σ w v, with √Σ w² v²; from the rows themselves, not from smoothed values.

        Parameters
        ----------
        region : region, MOC, array, callable or any form of ``coverage``, optional
            The pixels with their centre in it are added up; by default, all. A function is called
            with positions in the frame of the map's points.

        Returns
        -------
        total, error : `~astropy.units.Quantity`

        Raises
        ------
        TypeError
            If the map is of a statistic that does not add up, or the region of no accepted form.
        """
        return total_of(self, region)

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
            own = str(self.unit or "") or "which has none"
            raise ValueError(f"unit must be one of the map's, {own}; got {unit!r}") from error
        # What nobody has asked for yet is not found for this.
        later = dict(self._later)
        uncertainty = None
        if "error" in later:
            later["error"] = Later(partial(_scaled, later["error"], factor))
        elif self.uncertainty is not None:
            sigma = self.uncertainty.represent_as(StdDevUncertainty)
            sigma = u.Quantity(sigma.array, sigma.unit or self.unit).to_value(new)
            uncertainty = StdDevUncertainty(sigma, unit=new)
        return SkyMap(
            factor * self.data,
            unit=new,
            mask=self.mask,
            wcs=self.wcs,
            uncertainty=uncertainty,
            **{name: getattr(self, name) for name in COMPANIONS if name not in later},
            kernel=self.kernel,
            label=self.label,
            meta=dict(self.meta),
            later=later,
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
            Interpolate between pixel centres in place of taking the nearest pixel: by cubic
            splines, right to 1.3e-3 of a source's peak where σ of the kernel is 2 pixels, but
            bilinearly within two pixels of masked ones and in maps without a kernel.

        Returns
        -------
        `~astropy.units.Quantity`
            Of the positions' shape; NaN outside the map and where it has no sky.

        Raises
        ------
        TypeError, ValueError
            If the positions are of no accepted form, or a latitude is beyond ±90 deg.
        """
        x, y = places_on(self, position, frame)
        if interpolate:
            is_flat = self.meta.get("frame") == "flat"
            seams = seams_of(None if is_flat else plane_of_wcs(self.wcs), self.data.shape)
            found = interpolated(self.data, x, y, seams, is_smooth=self.is_smoothed)
        else:
            found = nearest(self.data, x, y)
        return found << (self.unit or u.dimensionless_unscaled)

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

    def contour(
        self,
        level: Any = None,
        *,
        enclosed: float | None = None,
        points: Any = None,
        leave_one_out: bool = True,
    ) -> SkyContour:
        """Return the part of the map above a level, or that encloses a fraction of the sources.

        Parameters
        ----------
        level : float or `~astropy.units.Quantity`, optional
            A number in the map's unit, or with a unit.
        enclosed : float, optional
            In place of ``level``, the fraction of the sources (0 … 1) that is to be inside: of the
            map's values at the sources, the level is the quantile that so many are above. Of maps
            of a density or count that are nowhere negative.
        points : `~astropy.coordinates.SkyCoord`, table, file or tuple, optional
            The sources, as in `sky_map`: also ``(ra, dec)``, in deg in the frame of the map's
            points; with weights, if the map has them, ``(coord, weights)`` or ``(ra, dec,
            weights)``. By default the centres of pixels stand for the points in these.
        leave_one_out : bool, optional
            Evaluate each source without what it adds to the map itself. So the region holds as
            large a fraction of *new* sources: else it would be too small, as every source is on a
            hill of its own. For other points than those of the map, give False. Slices, maps
            of files and results of arithmetic do not know what a source adds, nor maps of more than
            one width (`Adaptive`, or by row), nor weighted maps without ``points``: nothing is left
            out there.

        Returns
        -------
        SkyContour
            With its area, paths, `~SkyContour.contains`, and as a MOC or regions.

        Raises
        ------
        TypeError
            If not exactly one of ``level`` and ``enclosed`` is given, or points of no accepted
            form.
        ValueError
            If the level is not finite, or not in a unit of the map's; if a fraction is asked of a
            map that is no density or count, or has negative values; if it is not between 0 and 1,
            no source is on the map, or so many have no other within the kernel's reach that the
            level would be 0.

        Notes
        -----
        The level is a quantile of the density at the sources (Hyndman 1996, The American
        Statistician 50, 120), not a fraction of the integral of the map. Without a source, the
        density there is f − w B / (K ∗ Ω), with B the kernel on the pixels around, read between
        their centres as f is. There are no errors of areas: a bootstrap, of which every sample
        has sources twice, is wrong at 90 %.

        Examples
        --------
        >>> from astropy.wcs import WCS
        >>> from mpl_skyheat import datasets, sky_map
        >>> wcs = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 56.75, "CRVAL2": 24.12,
        ...            "CRPIX1": 40.5, "CRPIX2": 40.5, "CDELT1": -0.05, "CDELT2": 0.05})
        >>> stars = datasets.bright_stars()
        >>> pleiades = sky_map(data=stars, wcs=wcs, shape=(80, 80), kernel="12 arcmin")
        >>> half = pleiades.contour(enclosed=0.5, points=stars)
        >>> bool(half.area < pleiades.contour(enclosed=0.9, points=stars).area)
        True
        """
        if (level is None) == (enclosed is None):
            raise TypeError(
                f"contour takes either level or enclosed; got level={level}, enclosed={enclosed}"
            )
        if level is None:
            options = {"points": points, "leave_one_out": leave_one_out}
            return contours_of(self, enclosed=[enclosed], **options)[0]
        if points is not None:
            raise TypeError(
                f"points must be left out with level, which does not depend on them; got "
                f"{points!r:.60}"
            )
        plain = plain_levels(level, self.unit)
        if plain.shape:
            raise ValueError(f"level must be one number or Quantity; got {level!r:.60}")
        return contours_of(self, [float(plain)])[0]

    def to_healpix(
        self, nside: int, *, order: str = "ring", frame: Any = None
    ) -> tuple[u.Quantity, HEALPix]:
        """Return the map's values in the pixels of HEALPix, which have equal areas.

        The value at the centre of each, as ``value_at(interpolate=True)``, and where the map's
        pixels are finer, their mean. Counts and sums are multiplied by the HEALPix pixel's solid
        angle over that of the map's.

        Parameters
        ----------
        nside : int
            Pixels along the side of a base pixel, a power of two; there are 12 nside².
        order : {"ring", "nested"}, optional
            How they are numbered.
        frame : str or `~astropy.coordinates.BaseCoordinateFrame`, optional
            The frame of the HEALPix pixels; by default that of the map's WCS.

        Returns
        -------
        values : `~astropy.units.Quantity`
            Of shape (12 nside²,); NaN where the map shows no sky, or has no value.
        healpix : `~astropy_healpix.HEALPix`
            The pixels, with their frame.

        Raises
        ------
        ImportError
            If astropy-healpix is not installed.
        TypeError
            If the map is one of Cartesian x, y.
        ValueError
            If ``nside``, ``order`` or ``frame`` is not what it must be.
        """
        return to_healpix(self, nside, order, frame)

    @classmethod
    def read(
        cls,
        file: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002  (astropy's name for it)
    ) -> SkyMap:
        """Read a map that `write` has written; it is equal to the bit.

        Parameters
        ----------
        file : str or path-like
            The name of the FITS file.
        format : "fits", optional
            The only format that is read.

        Returns
        -------
        SkyMap
            The map with all its arrays, its unit, mask, WCS, kernel, label and ``meta``.

        Raises
        ------
        OSError
            If the file is not there, or must not be read.
        ValueError
            If the file is cut off or damaged, has another image than a map, or a map of another
            version of this format.

        Examples
        --------
        >>> again = SkyMap.read("map.fits")  # doctest: +SKIP
        """
        if format not in (None, "fits"):
            raise ValueError(f"format must be 'fits' for a map to be read; got {format!r}")
        return cls(**read_fits(file))

    def write(
        self,
        file: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002  (astropy's name for it)
        overwrite: bool = False,
        **kwargs: Any,
    ) -> None:
        """Write the map as a FITS file, which `read` reads, or as a HEALPix map.

        The image has the values, with BUNIT and WCS; extensions MASK, UNCERT (standard errors, as
        `~astropy.nddata.CCDData` reads them), COUNTS, OMEGA (sr), NEFF, COVERAGE and SCALES have
        what their names say, and the card SKYHEAT has the rest as JSON, of which `read` makes it
        again. A WCS that has no header, as on the Axes of matplotlib and cartopy, is written as the
        FITS WCS with the same positions, or as a TAN-SIP that is right to 0.01 pixel.

        Parameters
        ----------
        file : str or path-like
            Its name, which ends in .fits or .fits.gz.
        format : {"fits", "healpix"}, optional
            By default "fits". "healpix" is for other programs, such as healpy: the values of
            `to_healpix` as a table.
        overwrite : bool, optional
            Replace a file that is there. It is kept if the new one cannot be written.
        **kwargs
            Of "healpix": ``nside``, and ``order`` and ``frame``, as of `to_healpix`.

        Raises
        ------
        OSError
            If the file is there already, or cannot be written.
        TypeError
            If an argument is given that the format does not have.
        ValueError
            If there is no such format, or something of the map cannot be written: a WCS that FITS
            cannot say, a unit that has no name, or an entry of ``meta`` that is no number or text.
        """
        if format == "healpix":
            write_healpix(self, file, overwrite=overwrite, **kwargs)
        elif format not in (None, "fits"):
            raise ValueError(f"format must be 'fits' or 'healpix'; got {format!r}")
        elif kwargs:
            name, value = next(iter(kwargs.items()))
            raise TypeError(f"{name} must be left out unless format='healpix'; got {value!r}")
        else:
            write_fits(self, file, COMPANIONS, overwrite=overwrite)


def _scaled(error: Later, factor: float) -> FloatArray | None:
    """Standard errors in another unit."""
    found: FloatArray | None = error.get()
    return None if found is None else factor * found


def _part_of_sums(sums: Later, item: Any) -> KernelSums | None:
    """The sums under the kernel in a part of a map."""
    found: KernelSums | None = sums.get()
    if found is None:
        return None
    return replace(found, s1=found.s1[item], e1=found.e1[item], e2=found.e2[item])
