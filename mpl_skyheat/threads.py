"""Threads that share the work on one map."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property
from threading import Lock, Semaphore, local
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    # Takes pairs of numbers to pairs.
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
        # No more tasks are done at a time than there are cores for the team.
        self._cores = Semaphore(size)
        self._own = local()

    @cached_property
    def _others(self) -> ThreadPoolExecutor:
        # They end with the last reference to this.
        return ThreadPoolExecutor(self.size - 1)

    def share(self, tasks: Iterable[Any], work: Callable[[int, Any], Any]) -> None:
        """Call ``work`` with the number of a thread and a task, for all tasks.

        Each needs a core while it is done. A task may share its own work in turn.
        """
        todo = deque(tasks)
        busy = [Lock() for _ in range(self.size)]
        errors: list[BaseException] = []

        def take(number: int) -> None:
            is_left = True
            while is_left:
                with self._core(), busy[number]:
                    is_left = do_one(number)

        def do_one(number: int) -> bool:
            try:
                task = todo.popleft()
            except IndexError:
                return False
            try:
                work(number, task)
            except BaseException as error:
                errors.append(error)
                todo.clear()  # for the others to stop, too
            return True

        running: list[Future[None]] = []
        try:
            for number in range(1, min(self.size, len(todo))):
                running += [self._others.submit(take, number)]
            take(0)
        finally:
            todo.clear()  # if a thread cannot be started
            # What is being done is waited for, but no thread that waits for a core: there is
            # nothing left for it.
            for result in running:
                result.cancel()
            for lock in busy:
                with lock:
                    pass
        if errors:
            raise errors[0]

    @contextmanager
    def _core(self) -> Iterator[None]:
        """Hold a core, which is waited for unless this thread has one."""
        if getattr(self._own, "has_core", False):
            yield
            return
        with self._cores:
            self._own.has_core = True
            try:
                yield
            finally:
                self._own.has_core = False

    @contextmanager
    def beside(self) -> Iterator[Callable[[Callable[[], Any]], Callable[[], Any]]]:
        """Yield what starts tasks, which one more thread does in their order.

        Each of them has one of the team's cores from its beginning to its end. What starts a task
        returns what waits for its result; without other threads, what does the task when it is
        first called.
        """
        if self.size == 1:
            yield cache
            return
        _ = self._others  # made by one thread, before there are two that may use them
        one = ThreadPoolExecutor(1)

        def on_a_core(work: Callable[[], Any]) -> Any:
            with self._core():
                return work()

        try:
            yield lambda work: one.submit(on_a_core, work).result
        finally:
            # After an error, not all that was to be done is waited for.
            one.shutdown(cancel_futures=True)


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
