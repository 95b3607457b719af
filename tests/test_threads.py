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
        started.wait(60)
        team.share(range(20), work)
        assert most == [1] * 20  # one thread is busy beside it
        finished.set()
    both = Barrier(2, timeout=60)
    team.share(range(2), lambda *_: both.wait())  # and none is, afterwards


def test_tasks_beside_others_do_not_wait_for_threads_that_are_busy_with_these():
    team, prepared = Team(2), Event()
    done = []

    with team.beside() as start:
        is_sharing = Event()

        def prepare():
            is_sharing.wait(60)
            team.share(range(8), lambda _, task: done.append(task))
            prepared.set()

        def wait(*_):
            is_sharing.set()
            assert prepared.wait(20)

        start(prepare)
        team.share(range(2), wait)
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
    team.share(range(3), lambda _, task: done.append(task))  # and all cores are free again
    assert set(done) >= {0, 1, 2}
