"""The workers of this machine: when they start, and what is left of them."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from pipeline.search.budget import bytes_per_worker
from pipeline.search.executor import _pool, default_workers, engine, started


def who_works():
    """The processes of two workers."""
    return set(_pool(2)(joblib.delayed(_pid)() for _ in range(8)))


def _pid():
    time.sleep(0.05)  # so that the other one has its share
    return os.getpid()


def test_workers_that_got_ready_are_those_that_work():
    """Who is started before there are tasks does them, and is not disturbed by Ctrl-C."""
    with started(2) as wait:
        wait()
        first = who_works()
        for pid in first:
            os.kill(pid, signal.SIGINT)
        assert who_works() == first


def test_workers_that_were_killed_are_made_up_for():
    """Workers that die before there are tasks fail nobody: others are started."""
    with started(2) as wait:
        for pid in who_works():
            os.kill(pid, signal.SIGKILL)
        wait()
    with contextlib.suppress(TerminatedWorkerError):  # for which tasks are tried again
        who_works()
    with started(2) as wait:
        wait()
        assert who_works()


def test_an_engine_that_has_no_tasks_says_nothing():
    """Workers that are not needed after all end without a word, as where a study is refused."""
    code = "from pipeline.search.executor import engine\nwith engine(2): pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_as_many_workers_as_a_quota_allows(monkeypatch):
    """What the container may use counts, and not what the machine has."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert default_workers() == 1


def test_one_worker_trains_where_no_more_can_start(monkeypatch):
    """Without semaphores, as without /dev/shm, this process trains, and the words say why."""

    def refuse():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pipeline.search.executor.multiprocessing.Semaphore", refuse)
    with engine(4) as trains:
        assert trains.description.startswith("1 worker, since processes have no semaphores here")
        assert trains.budget_bytes == bytes_per_worker(1)
        assert list(trains.run([])) == []
