"""Rows that each have a Gaussian of their own width: sums for each rung of a ladder of widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy import units as u

from mpl_skyheat.catalogue.blocks import Catalogue
from mpl_skyheat.catalogue.columns import Column
from mpl_skyheat.compute.memory import allowed_bytes
from mpl_skyheat.counting.sums import Sums
from mpl_skyheat.coverage.observed import observed_sky
from mpl_skyheat.maps.adaptive import LadderMoments, Rung
from mpl_skyheat.maps.moments import field_of
from mpl_skyheat.maps.significance import ratio
from mpl_skyheat.maps.where import Where, where_on
from mpl_skyheat.smoothing.choice import Choice
from mpl_skyheat.smoothing.field import PlaneField, SphereField
from mpl_skyheat.smoothing.kernels import Gaussian
from mpl_skyheat.smoothing.row_gaussian import PER_OCTAVE, rungs_of, width_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpl_skyheat.catalogue.blocks import Rows
    from mpl_skyheat.catalogue.streams import Stream
    from mpl_skyheat.compute.arrays import FloatArray, IntArray
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.coverage.observed import ObservedSky
    from mpl_skyheat.maps.request import MapRequest
    from mpl_skyheat.smoothing.field import Field

# Widths below this (pixels at the centre of the map) are taken for as wide: all of a row is then in
# one pixel.
NARROWEST = 0.1


class Octave(NamedTuple):
    """Where rows are added whose widths are within a factor of two."""

    where: Where
    observed: ObservedSky | None


class RowLadder:
    """The rows of a catalogue by the widths of their kernels.

    Rows of each rung have sums of their own, so that a coverage can be divided out; rungs of an
    octave share the pixels of a margin, or a lattice. ``base`` is where the map is without a
    kernel, ``sums`` are those of all rows there.
    """

    def __init__(
        self,
        request: MapRequest,
        base: Where,
        catalogue: Catalogue | Stream,
        sums: Sums,
        team: Team,
    ) -> None:
        assert request.rows_kernel is not None
        self._request, self._kernel, self._base = request, request.rows_kernel, base
        self._frame, self._team, self._all = catalogue.frame, team, sums
        self._unit = catalogue.widths_unit
        # (Kernels on pixels without an area are refused when the first is laid on them.)
        has_side = self._unit != u.pix and base.kernels.side > 0
        side = base.kernels.side if has_side else 1.0
        self._least = int(np.ceil(PER_OCTAVE * np.log2(NARROWEST * side)))
        self._octaves: dict[int, Octave] = {}
        self._sums: dict[int, Sums] = {}

    def add(self, chunk: Catalogue) -> None:
        """Add the rows of a chunk, which have been checked."""
        for rows in chunk.arrays():
            assert rows.widths is not None
            columns = [column for column in rows[1:] if column is not None]
            usable = np.flatnonzero(np.isfinite(columns).all(axis=0))
            sigma = self._kernel.factor * rows.widths[usable]
            lower, upper_share = rungs_of(sigma, self._least)
            for rung in np.unique([lower, lower + 1]):
                share = np.where(lower == rung, 1 - upper_share, 0.0)
                share = np.where(lower + 1 == rung, upper_share, share)
                some = np.flatnonzero(share)
                if len(some):
                    part = _part(chunk, rows, usable[some], share[some])
                    self._sums_of(int(rung)).add(part, team=self._team)

    def moments(self) -> LadderMoments:
        """The sums in the map's pixels."""
        is_on_sphere = self.where.choice.geometry == "sphere"
        accuracy = (SphereField if is_on_sphere else PlaneField).accuracy
        return LadderMoments(self._all, self._rungs, seen=self._seen(), accuracy=accuracy)

    @property
    def where(self) -> Where:
        """Where the map is: on plane or sphere as the widest rows, with a warning of any."""
        base = self._base
        choices = [octave.where.choice for _, octave in sorted(self._octaves.items())]
        if not choices:
            return base
        warning = next((choice.warning for choice in choices if choice.warning), "")
        choice = Choice(choices[-1].geometry, choices[-1].reason, warning)
        return Where(base.geometry, base.kernels, choice, base.centre)

    @property
    def error(self) -> float:
        """The largest error of smoothing with one pixel scale, as a fraction of a source's peak."""
        wheres = (octave.where for octave in self._octaves.values())
        return max((where.kernels.error for where in wheres), default=0.0)

    def _sums_of(self, rung: int) -> Sums:
        if rung not in self._sums:
            octave = self._octave_of(rung)
            self._sums[rung] = Sums(
                octave.where.geometry,
                self._all.channels,
                offset=self._all.offset,
                observed=octave.observed,
            )
            self._check_memory()
        return self._sums[rung]

    def _check_memory(self) -> None:
        takes = sum(sums.nbytes for sums in self._sums.values())
        if takes > allowed_bytes():
            raise ValueError(
                f"kernel={self._kernel!r} has rows of too many widths for maps of so many pixels: "
                f"the sums of {len(self._sums)} widths take {takes / 2**30:.3g} GiB, more than "
                "half of this machine's memory; a larger pixel_size, a smaller region, or widths "
                "that differ less would do"
            )

    def _octave_of(self, rung: int) -> Octave:
        number = (rung - self._least) // PER_OCTAVE
        if number not in self._octaves:
            lowest = self._least + number * PER_OCTAVE
            rungs = lowest, lowest + PER_OCTAVE - 1
            terms = tuple((1.0, self._kernel_of(end)) for end in rungs)
            geometry, request = self._base.geometry, self._request
            where = where_on(request, geometry.plane, geometry.grid, self._base.centre, terms)
            where.geometry.measure(self._team)
            observed = None
            if request.coverage is not None:
                observed = observed_sky(where.geometry, request.coverage, self._frame)
            self._octaves[number] = Octave(where, observed)
        return self._octaves[number]

    def _kernel_of(self, rung: int) -> Gaussian:
        kernel: Gaussian = Gaussian(width_of(rung) << self._unit)
        return kernel

    def _rungs(self) -> Iterator[Rung]:
        fields: dict[int, Field] = {}
        for rung, sums in sorted(self._sums.items()):
            octave = self._octave_of(rung)
            first = fields.get(id(octave))
            field = first.of(sums) if first else self._field(sums, octave)
            fields.setdefault(id(octave), field)
            yield Rung(self._kernel_of(rung), field, field)

    def _field(self, sums: Sums, octave: Octave) -> Field:
        return field_of(sums, octave.where, self._request, self._team)

    def _seen(self) -> FloatArray:
        """What kernels see of full coverage: the mean over rows, each with its own kernel."""
        if self._request.coverage is None:
            return np.ones(())
        total, number = np.zeros(self._base.geometry.grid.shape), 0.0
        for rung in self._rungs():
            rows = float(next(iter(rung.rows.sums.pixels.values())).sum())
            exposure = np.broadcast_to(rung.sky.exposure(rung.kernel), total.shape)
            total += rows * ratio(exposure, rung.sky.full_exposure(rung.kernel))
            number += rows
        return total / number if number else np.ones(())


def _part(chunk: Catalogue, rows: Rows, some: IntArray, share: FloatArray) -> Catalogue:
    """Some rows of a chunk, with the shares of them that count."""

    def column(name: str, values: FloatArray | None) -> Column | None:
        return None if values is None else Column(name, values[some], (len(some),))

    lon, lat = column(chunk.lon.name, rows.lon), column(chunk.lat.name, rows.lat)
    assert lon is not None
    assert lat is not None
    return Catalogue(
        chunk.frame,
        lon,
        lat,
        weights=column("weights", rows.weights),
        values=column("values", rows.values),
        shares=Column("shares", share, (len(some),)),
    )
