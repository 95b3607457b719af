"""Threads that share the work on one map."""

import threading
import time
from threading import Barrier, get_ident

import pytest

from mpl_skyheat.compute.threads import Team, thread_count


@pytest.mark.parametrize(("size", "tasks"), [(1, 5), (2, 1), (2, 20), (3, 2), (3, 300)])
def test_every_task_is_done_once_by_one_of_the_threads(size, tasks):
    team, done, threads = Team(size), [], {}

    def work(number, task):
        done.append(task)
        threads.setdefault(number, set()).add(get_ident())

    team.share(range(tasks), work)
    assert sorted(done) == list(range(tasks))
    assert set(threads) <= set(range(size))
    assert all(len(identities) == 1 for identities in threads.values())


def test_as_many_tasks_are_done_at_once_as_a_team_has_threads():
    team, all_of_them = Team(3), Barrier(3, timeout=60)
    team.share(range(3), lambda *_: all_of_them.wait())


def test_an_error_in_a_task_is_raised_and_ends_the_others():
    team, done = Team(2), []

    def fail(_, task):
        done.append(task)
        raise ValueError(f"task {task}")

    with pytest.raises(ValueError, match="task"):
        team.share(range(100), fail)
    assert len(done) <= 2
    with pytest.raises(IndexError, match="of the task"):
        team.share(range(2), lambda *_: _raise())
    both = Barrier(2, timeout=20)
    team.share(range(2), lambda *_: both.wait())  # the threads are there for the next tasks


def _raise():
    raise IndexError("of the task")


def test_threads_are_no_more_than_help():
    assert thread_count(1) == 1
    assert 1 < thread_count(10**6) == thread_count(10**9) < 10_000


def test_a_team_that_rested_works_again():
    # (Threads of others may end meanwhile.)
    team, before = Team(3), set(threading.enumerate())
    for _ in range(2):
        all_of_them = Barrier(3, timeout=60)
        team.share([all_of_them] * 3, lambda _, barrier: barrier.wait())
        assert set(threading.enumerate()) - before
        team.rest()
        for _ in range(600):
            if not set(threading.enumerate()) - before:
                break
            time.sleep(0.1)
        assert not set(threading.enumerate()) - before
