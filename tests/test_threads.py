"""Threads that share the work on one map."""

import time
from threading import Barrier, Event, Lock

import pytest

from mpl_skyheat.threads import Team


def test_no_more_tasks_are_done_at_once_than_a_team_has_threads():
    team, lock, finished = Team(2), Lock(), Event()
    active = [0]
    most = []

    def work(*_):
        with lock:
            active[0] += 1
            most.append(active[0])
        time.sleep(2e-3)  # long enough for another to start, if it may
        with lock:
            active[0] -= 1

    with team.beside() as start:
        started = Event()
        start(lambda: (started.set(), finished.wait(60)))
        try:
            started.wait(60)
            team.share(range(20), work)
        finally:
            finished.set()
    assert most == [1] * 20  # one thread was busy beside it
    both = Barrier(2, timeout=60)
    team.share(range(2), lambda *_: both.wait())  # and none is, afterwards


@pytest.mark.parametrize(("size", "tasks"), [(2, 1), (2, 2), (3, 2), (3, 3)])
def test_tasks_beside_others_do_not_wait_for_threads_that_are_busy_with_these(size, tasks):
    team, done = Team(size), []
    begun, is_sharing, prepared = Event(), Event(), Event()

    def prepare():
        begun.set()
        assert is_sharing.wait(20)
        team.share(range(8), lambda _, task: done.append(task))
        prepared.set()

    def wait(*_):
        is_sharing.set()
        assert prepared.wait(20)

    with team.beside() as start:
        get = start(prepare)
        assert begun.wait(20)
        team.share(range(tasks), wait)
        get()
    assert sorted(done) == list(range(8))


def test_an_error_in_a_task_is_raised_and_ends_the_others():
    team, done = Team(2), []

    def fail(_, task):
        done.append(task)
        raise ValueError(f"task {task}")

    with pytest.raises(ValueError, match="task"):
        team.share(range(100), fail)
    assert len(done) <= 2
    with team.beside() as start, pytest.raises(ValueError, match="task 7"):
        start(lambda: fail(0, 7))()
    both = Barrier(2, timeout=20)
    team.share(range(2), lambda *_: both.wait())  # all cores are free again
