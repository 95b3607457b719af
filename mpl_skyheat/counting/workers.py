"""Sums that dask's workers make: what is sent to them, what comes back, and how it is added.

A job is where the map is, which sums are wanted and what was observed; it is sent once. Of each
group of partitions the sums come back as boxes, the smallest arrays that hold all that is not
empty, which are added in a tree on the workers. What is smoothed is smoothed where the map is made.

dask is imported by what runs on it only.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mpl_skyheat.catalogue.streams import Stream
from mpl_skyheat.counting.sums import COMBINE, Sums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mpl_skyheat.catalogue.blocks import Catalogue
    from mpl_skyheat.catalogue.clusters import LazyTables
    from mpl_skyheat.compute.progress import Told
    from mpl_skyheat.compute.threads import Team
    from mpl_skyheat.counting.exact_route import ProjectedBlock
    from mpl_skyheat.counting.sums import Head
    from mpl_skyheat.coverage.observed import ObservedSky
    from mpl_skyheat.sky.geometry import MapGeometry

# Tasks, at least, of a job that has as many partitions: for some workers, a few for each.
TASKS = 64

# Names of the scheduler that a client is.
OF_CLIENTS = ("dask.distributed", "distributed")

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
    """What a worker needs to add up rows: where, which sums, what was observed, and the columns.

    ``columns`` is a stream without rows.
    """

    geometry: MapGeometry
    channels: tuple[str, ...]
    offset: float
    observed: ObservedSky | None
    columns: Stream

    def empty(self) -> Sums:
        """Sums of no rows."""
        return Sums(self.geometry, self.channels, offset=self.offset, observed=self.observed)

    def part(self, names: Sequence[str], *tables: Any) -> PartOfSums:
        """The sums of some tables, by their names in errors."""
        # Whether to compile is a matter of the job, not of each of its many parts.
        rows = self.columns.of_tables(tables, names)
        return PartOfSums.of(self.empty().add(rows, is_large=True))

    def total(self, *parts: PartOfSums) -> PartOfSums:
        """The sum of some parts."""
        sums = self.empty()
        for part in parts:
            part.add_to(sums)
        return PartOfSums.of(sums)


def _part(job: Job, names: Sequence[str], *tables: Any) -> PartOfSums:
    return job.part(names, *tables)


def _total(job: Job, *parts: PartOfSums) -> PartOfSums:
    return job.total(*parts)


def add_rows(
    sums: Sums,
    catalogue: Catalogue | Stream,
    team: Team,
    blocks: list[ProjectedBlock] | None = None,
    *,
    progress: bool | Told = False,
) -> None:
    """Add the rows of a catalogue to sums: here, or by the workers that have them.

    ``blocks`` are the rows, if they have been projected already.
    """
    if isinstance(catalogue, Stream) and (lazy := catalogue.lazy_tables()) is not None:
        add_by_workers(sums, catalogue, lazy, progress)
        sums.finish_rows()
    else:
        sums.add(catalogue, team=team, projected=blocks, progress=progress)


def add_by_workers(
    sums: Sums, stream: Stream, lazy: LazyTables, progress: bool | Told = False
) -> None:
    """Add the rows of the lazy tables of a stream, on whatever scheduler dask has.

    ``progress`` shows dask's own bar, or is told the numbers of groups of partitions.
    """
    held = [name for name, channel in sums.channels.items() if channel.is_held]
    if held:
        raise ValueError(
            f"statistic={held[0]!r} needs all values in one place, and these are on workers: take "
            "'mean', or give data.compute()"
        )
    from dask.delayed import delayed

    sums.parts_skipped += lazy.left_out
    if not lazy.tables:
        return
    where = sums.geometry, tuple(sums.channels), sums.offset, sums.observed
    job = delayed(Job(*where, stream.of_tables((), ())), traverse=False)
    # A task has its price, too: many partitions come in groups.
    size = max(len(lazy.tables) // TASKS, 1)
    groups = [slice(i, i + size) for i in range(0, len(lazy.tables), size)]
    parts = [delayed(_part)(job, lazy.names[some], *lazy.tables[some]) for some in groups]
    client = _client()
    found = _by_client(client, job, parts, progress) if client else _here(job, parts, progress)
    found.add_to(sums)


def _tree(job: Any, parts: list[Any]) -> Any:
    """The sum of all parts, added in groups."""
    from dask.delayed import delayed

    while len(parts) > 1:
        parts = [
            delayed(_total)(job, *parts[i : i + TOGETHER]) for i in range(0, len(parts), TOGETHER)
        ]
    return parts[0]


def _client() -> Any:
    """The client of dask.distributed, if there is one and no other scheduler has been chosen."""
    from dask import config

    distributed = sys.modules.get("distributed")
    if config.get("scheduler", None) not in (None, *OF_CLIENTS):
        return None
    try:
        return None if distributed is None else distributed.default_client()
    except ValueError:
        return None


def _by_client(client: Any, job: Any, parts: list[Any], progress: bool | Told) -> PartOfSums:
    """What workers of dask.distributed find; an interruption stops their tasks."""
    from distributed import as_completed, futures_of
    from distributed import progress as show

    parts = client.persist(parts)
    future = client.compute(_tree(job, parts))
    try:
        if callable(progress):
            for done, _ in enumerate(as_completed(futures_of(parts)), 1):
                progress(done, len(parts))
        elif progress:
            show(future, notebook=False)
        found: PartOfSums = future.result()
    except BaseException:
        client.cancel([future, *futures_of(parts)], force=True)
        raise
    return found


def _here(job: Any, parts: list[Any], progress: bool | Told) -> PartOfSums:
    """What threads or processes of dask's own find."""
    with _shown_here(len(parts), progress):
        found: PartOfSums = _tree(job, parts).compute()
    return found


def _shown_here(number: int, progress: bool | Told) -> Any:
    if not progress:
        return nullcontext()
    if not callable(progress):
        from dask.diagnostics import ProgressBar

        return ProgressBar()
    from dask.callbacks import Callback

    done = 0

    def after(key: Any, *_: Any) -> None:
        nonlocal done
        if str(key).startswith(_part.__name__):
            done += 1
            progress(done, number)

    return Callback(posttask=after)
