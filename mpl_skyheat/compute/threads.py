"""Threads that share the work on one map."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mpl_skyheat.compute.arrays import FloatArray

    # Transforms pairs of coordinates.
    Function = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


# Positions of a thread's share, at least: fewer take less time than a second thread costs.
ALONE = 4000

# Terms of a matrix product, at most. BLAS libraries share larger ones among threads of their own,
# which go on to occupy the cores for a while after it.
PRODUCT = 2**17

# Environment variables with the number of threads, the first one that is set.
VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


# Most threads for each usable core: all have copies of the WCS, and more are not faster.
MOST_PER_CORE = 8


def thread_count(threads: int | None) -> int:
    """Number of threads: the argument, else the environment's, else that of the usable cores."""
    cores = _usable_cores()
    wanted = [str(threads or ""), *(os.environ.get(name, "") for name in VARIABLES)]
    numbers = (text.split(",")[0].strip() for text in wanted)
    asked = next((int(n) for n in numbers if n.isdecimal() and int(n) > 0), cores)
    return min(asked, MOST_PER_CORE * cores)


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


class Team:
    """The calling thread and others, which are started once, as starting may take long."""

    def __init__(self, size: int) -> None:
        self.size = size
        # Its threads end with the last reference to it, or when the team may rest.
        self._others: ThreadPoolExecutor | None = None

    def rest(self) -> None:
        """End the other threads, until there is work again."""
        if self._others is not None:
            self._others.shutdown(wait=False)
            self._others = None

    def share(self, tasks: Iterable[Any], work: Callable[[int, Any], Any]) -> None:
        """Call ``work`` with the number of a thread and a task, for all tasks.

        After an error no task is begun; it is raised once the running ones have ended.
        """
        todo = deque(tasks)
        errors: list[BaseException] = []

        def take(number: int) -> None:
            while True:
                try:
                    task = todo.popleft()
                except IndexError:
                    return
                try:
                    work(number, task)
                except BaseException as error:
                    errors.append(error)
                    todo.clear()  # stops the other threads

        running: list[Future[None]] = []
        others = min(self.size, len(todo))
        if others > 1 and self._others is None:
            self._others = ThreadPoolExecutor(self.size - 1)
        try:
            for number in range(1, others):
                assert self._others is not None
                running.append(self._others.submit(take, number))
            take(0)
        finally:
            todo.clear()  # stops the other threads if one could not be started
            wait(running)
        if errors:
            raise errors[0]


def shared(functions: Sequence[Function], team: Team) -> Function:
    """Join equal functions, one per thread of a team, into one that shares its positions."""

    def of_all(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
        a, b = np.broadcast_arrays(a, b)
        if team.size == 1 or a.size < 2 * ALONE:
            return functions[0](a, b)
        u, v = np.empty(a.shape), np.empty(a.shape)
        flat = a.ravel(), b.ravel()

        def work(thread: int, part: slice) -> None:
            u.ravel()[part], v.ravel()[part] = functions[thread](flat[0][part], flat[1][part])

        size = max(-(-a.size // team.size), ALONE)
        team.share((slice(i, i + size) for i in range(0, a.size, size)), work)
        return u, v

    return of_all


def product(a: FloatArray, b: FloatArray) -> FloatArray:
    """Product of two matrices, computed by this thread alone."""
    rows = max(PRODUCT // b.size, 1)
    return np.concatenate([a[i : i + rows] @ b for i in range(0, len(a), rows)])
