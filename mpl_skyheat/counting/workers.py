"""Sums that dask's workers make: what is sent to them, what comes back, and how it is added.

A job is where the map is, which sums are wanted and what was observed; it is sent once. Of each
group of partitions the sums come back as boxes, the smallest arrays that hold all that is not
empty, which are added in a tree on the workers. What is smoothed is smoothed where the map is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpl_skyheat.catalogue.clusters import Computed
from mpl_skyheat.counting.sums import COMBINE, Sums

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from mpl_skyheat.catalogue.clusters import LazyTable
    from mpl_skyheat.catalogue.streams import Batched, Stream
    from mpl_skyheat.counting.sums import Head
    from mpl_skyheat.coverage.observed import ObservedSky
    from mpl_skyheat.sky.geometry import MapGeometry

# Tasks, at least, of a job that has as many partitions: for some workers, a few for each.
TASKS = 64

# Parts that are added together.
TOGETHER = 8


class Box(NamedTuple):
    """What is not empty of an image: its values, and the row and column of their first."""

    row: int
    column: int
    values: NDArray[Any]

    @classmethod
    def of(cls, image: NDArray[Any], empty: float) -> Box:
        """The smallest box of an image whose empty pixels have a value."""
        is_full = image != empty
        rows, columns = (np.flatnonzero(is_full.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return cls(0, 0, image[:0, :0].copy())
        top, left = int(rows[0]), int(columns[0])
        return cls(top, left, image[top : rows[-1] + 1, left : columns[-1] + 1].copy())

    def added_to(self, image: NDArray[Any], combine: Callable[..., Any]) -> None:
        """Combine the box with the pixels of an image, in place."""
        height, width = self.values.shape
        part = image[self.row : self.row + height, self.column : self.column + width]
        combine(part, self.values, out=part)


@dataclass
class PartOfSums:
    """Sums of some partitions: boxes by the name of a channel, and of a spline's order or None."""

    boxes: dict[tuple[str, int | None], Box]
    rows: dict[str, int]
    head: Head | None

    @classmethod
    def of(cls, sums: Sums) -> PartOfSums:
        """Boxes of sums."""
        boxes: dict[tuple[str, int | None], Box] = {
            (name, None): Box.of(image, COMBINE[sums.channels[name].extreme][0])
            for name, image in sums.pixels.items()
        }
        boxes |= {key: Box.of(spread.total, 0.0) for key, spread in sums.spreads.items()}
        return cls(boxes, dict(sums.rows), sums.head)

    def add_to(self, sums: Sums) -> None:
        """Add the boxes to sums, in place."""
        pixels = sums.pixels
        for (name, order), box in self.boxes.items():
            if order is None:
                box.added_to(pixels[name], COMBINE[sums.channels[name].extreme][1])
            else:
                box.added_to(sums.spreads[name, order].total, np.add)
        for name, number in self.rows.items():
            sums.rows[name] += number
        sums.head = sums.head or self.head


@dataclass(frozen=True)
class Job:
    """What a worker needs to add up rows: about 1 kB, the WCS, and what was observed."""

    geometry: MapGeometry
    channels: tuple[str, ...]
    offset: float
    observed: ObservedSky | None
    stream: Stream
    source: Batched

    def empty(self) -> Sums:
        """Sums of no rows."""
        return Sums(self.geometry, self.channels, offset=self.offset, observed=self.observed)

    def part(self, names: tuple[str, ...], *tables: Any) -> PartOfSums:
        """The sums of some tables, by their names in errors."""
        rows = self.stream.of(self.source.of(Computed(tables, names)))
        # Whether to compile is a matter of the job, not of each of its many parts.
        return PartOfSums.of(self.empty().add(rows, is_large=True))

    def total(self, *parts: PartOfSums) -> PartOfSums:
        """The sum of some parts."""
        sums = self.empty()
        for part in parts:
            part.add_to(sums)
        return PartOfSums.of(sums)


def _part(job: Job, names: tuple[str, ...], *tables: Any) -> PartOfSums:
    return job.part(names, *tables)


def _total(job: Job, *parts: PartOfSums) -> PartOfSums:
    return job.total(*parts)


def add_by_workers(sums: Sums, stream: Stream, told: Any = None) -> None:
    """Add the rows of a stream whose partitions dask computes, on whatever scheduler it has.

    ``told`` is called with the numbers of partitions done and of all, or shows dask's own bar if it
    is True.
    """
    held = [name for name, channel in sums.channels.items() if channel.is_held]
    if held:
        raise ValueError(
            f"statistic={held[0]!r} needs all values in one place, and these are on workers: take "
            "'mean', or give data.compute()"
        )
    from dask import delayed

    source = stream.lazy_source
    assert source is not None
    tables, left_out = source.lazy(stream.reach)
    bare = source.of(Computed((), ()))
    where = sums.geometry, tuple(sums.channels), sums.offset, sums.observed
    job = Job(*where, stream.of(bare), bare)
    sent = delayed(job, traverse=False)
    parts = [
        delayed(_part)(sent, tuple(table.name for table in some), *(table.table for table in some))
        for some in _groups(tables)
    ]
    if not parts:
        return
    level = parts
    while len(level) > 1:
        level = [
            delayed(_total)(sent, *level[i : i + TOGETHER]) for i in range(0, len(level), TOGETHER)
        ]
    _computed(level[0], parts, told).add_to(sums)
    sums.parts_skipped += left_out


def _groups(tables: list[LazyTable]) -> list[list[LazyTable]]:
    """Tables, some together where there are many: a task has its price, too."""
    size = max(len(tables) // TASKS, 1)
    return [tables[i : i + size] for i in range(0, len(tables), size)]


def _computed(total: Any, parts: list[Any], told: Any) -> PartOfSums:
    """What a delayed object computes to; an interruption stops the workers' tasks."""
    client = _client()
    if client is None:
        return _computed_here(total, parts, told)
    import distributed

    future = client.compute(total)
    try:
        if told is True:
            distributed.progress(future, notebook=False)
        found: PartOfSums = future.result()
    except BaseException:
        client.cancel([future], force=True)
        raise
    return found


def _client() -> Any:
    """The client of dask.distributed that computes by default, if there is one."""
    import sys

    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def _computed_here(total: Any, parts: list[Any], told: Any) -> PartOfSums:
    from contextlib import nullcontext

    from dask.diagnostics import ProgressBar

    with ProgressBar() if told is True else nullcontext():
        found: PartOfSums = total.compute()
    return found
