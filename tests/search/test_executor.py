"""Worker processes on this machine: their start, their death and their number."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import joblib
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError

from pipeline.search.executor import _pool, default_workers, engine, started
from pipeline.search.worker_memory import bytes_per_worker


def worker_pids():
    """The process ids of two workers."""
    return set(_pool(2)(joblib.delayed(_pid)() for _ in range(8)))


def _pid():
    time.sleep(0.05)  # so that the other worker gets some calls
    return os.getpid()


def test_started_workers_are_those_that_run_tasks():
    """Workers that are started before there are tasks run them, and ignore Ctrl-C."""
    with started(2) as wait:
        wait()
        first = worker_pids()
        for pid in first:
            os.kill(pid, signal.SIGINT)
        assert worker_pids() == first


def test_killed_workers_are_replaced():
    """Workers that die before there are tasks cause no failure: others are started."""
    with started(2) as wait:
        for pid in worker_pids():
            os.kill(pid, signal.SIGKILL)
        wait()
    with contextlib.suppress(TerminatedWorkerError):  # after which tasks are tried again
        worker_pids()
    with started(2) as wait:
        wait()
        assert worker_pids()


def test_an_engine_without_tasks_prints_nothing():
    """Workers that get no task, as when a study is refused, end without any output."""
    code = "from pipeline.search.executor import engine\nwith engine(2): pass"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_the_number_of_workers_respects_a_quota(monkeypatch):
    """The default number of workers is the container's quota, not the machine's number of processors."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert default_workers() == 1


def test_this_process_trains_where_no_worker_can_start(monkeypatch):
    """Without semaphores, as without /dev/shm, this process trains, and the description says why."""

    def refuse():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pipeline.search.executor.multiprocessing.Semaphore", refuse)
    with engine(4) as one_worker:
        assert one_worker.description.startswith("1 worker, since processes have no semaphores here")
        assert one_worker.limit_bytes == bytes_per_worker(1)
        assert list(one_worker.run([])) == []


def _die_elsewhere(parent):
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def test_work_in_the_background_is_done_by_a_worker_or_in_the_end_here():
    """A worker does it and its error is the caller's; one that dies leaves it to this process; one worker is this process."""
    with engine(2) as two:
        assert two.background(os.getpid)() != os.getpid()
        with pytest.raises(ValueError, match="invalid literal"):
            two.background(int, "x")()
        two.background(int, "nobody waits for it")
        assert two.background(_die_elsewhere, os.getpid())() == os.getpid()
    with engine(1) as one:
        assert one.background(os.getpid)() == os.getpid()
