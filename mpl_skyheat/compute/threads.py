"""Threads that share the work on one map."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    # Takes pairs of numbers to pairs.
    from collections.abc import Callable, Iterable, Sequence

    from mpl_skyheat.compute.arrays import FloatArray

    Function = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


# Fewer places than these are not worth a second thread.
ALONE = 4000

# BLAS libraries share products of matrices with more terms than this among threads of their own,
# which then keep ours from the cores for some time.
PRODUCT = 2**17

VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")


def thread_count(threads: int | None) -> int:
    """Return the number of threads asked for, in the environment, or of the cores at hand."""
    if threads is not None:
        return threads
    for name in VARIABLES:
        value = os.environ.get(name, "").split(",")[0].strip()
        if value.isdecimal() and int(value) > 0:
            return int(value)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


class Team:
    """This thread and others, which are started once: that may take as long as a task does."""

    def __init__(self, size: int) -> None:
        self.size = size
        # They end with the last reference to this.
        self._others = ThreadPoolExecutor(size - 1) if size > 1 else None

    def share(self, tasks: Iterable[Any], work: Callable[[int, Any], Any]) -> None:
        """Call ``work`` with the number of a thread and a task, for all tasks.

        Raises
        ------
        BaseException
            The first error of a task, once all that have begun have ended; no other is begun.
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
                    todo.clear()  # for the others to stop, too

        running: list[Future[None]] = []
        try:
            for number in range(1, min(self.size, len(todo))):
                assert self._others is not None
                running.append(self._others.submit(take, number))
            take(0)
        finally:
            todo.clear()  # if a thread cannot be started
            wait(running)
        if errors:
            raise errors[0]


def shared(functions: Sequence[Function], team: Team) -> Function:
    """Return one function for equal ones, of which each thread of a team has its own."""

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
    """Return the product of two matrices, found by this thread alone."""
    rows = max(PRODUCT // b.size, 1)
    return np.concatenate([a[i : i + rows] @ b for i in range(0, len(a), rows)])
