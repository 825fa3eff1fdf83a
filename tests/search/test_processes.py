"""Child processes: none outlives its parent, and what killed ones left in shared memory is removed."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.search import processes
from pipeline.search.processes import LEFTOVER, remove_leftovers, signals_held, supervised

POOL = """
import joblib, os, time
from pipeline.search.executor import _pool, started
with started(2) as wait:
    wait()
    workers = set()
    while len(workers) < 2:
        workers |= set(_pool(2)(joblib.delayed(os.getpid)() for _ in range(4)))
    # Joblib creates the folder of a call just before it tells its tracker of it, which a kill must not come between.
    sleeps = _pool(2)(joblib.delayed(time.sleep)(600) for _ in range(2))
    print("ready", flush=True)
    next(sleeps)
"""
SERVER = """
import subprocess, sys, time
from pipeline.search.processes import supervised
sleeps = [sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(600)"]
process = subprocess.Popen(supervised(sleeps), stdin=subprocess.PIPE, start_new_session=True)
time.sleep(600)
"""


def run(code):
    """Start a process and wait until it prints that it is ready; its children share its output pipe."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def in_shared_memory(pid):
    """The names of the files that the pools of a process keep there."""
    return [path.name for path in processes.SHARED_MEMORY.iterdir() if re.search(rf"[-_]{pid}[-_]", path.name)]


@pytest.mark.parametrize("stopped", [False, True])
def test_workers_end_with_their_parent(stopped):
    """After a parent is killed its pipe closes, so all its workers have ended, even those that were stopped."""
    process = run(POOL)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [int(pid) for pid in children if b"LokyProcess" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    if stopped:
        os.kill(workers[0], signal.SIGSTOP)
    process.kill()
    process.communicate(timeout=60)
    assert in_shared_memory(process.pid) == []


def test_a_server_ends_with_its_parent():
    """When its parent is killed, a supervised command is killed too."""
    process = run(SERVER)
    process.kill()
    process.communicate(timeout=60)


def test_a_supervised_command_ends_as_it_does_alone():
    """The command's exit code is passed on, and SIGTERM reaches the command."""
    with subprocess.Popen(supervised([sys.executable, "-c", "raise SystemExit(7)"]), stdin=subprocess.PIPE) as process:
        assert process.wait(60) == 7
    words = "import signal, sys; signal.signal(15, lambda *_: sys.exit(3)); print(flush=True); signal.pause()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(supervised([sys.executable, "-c", words]), start_new_session=True, **pipes) as process:
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == 3


def test_only_leftovers_of_dead_processes_are_removed(tmp_path, monkeypatch):
    """Semaphores and folders of a dead process are removed; those of a living process or another user stay."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, living = ended.pid, os.getpid()
    names = [f"sem.loky-{pid}-ab_1" for pid in (dead, living)]
    folders = [f"joblib_memmapping_folder_{pid}_ab_12" for pid in (dead, living)]
    others = [f"sem.mine-{dead}-ab", f"sem.loky-{dead}", "sem.loky-x-ab", f"old joblib_memmapping_folder_{dead}_a_b"]
    for name in (*names, *others):
        (tmp_path / name).touch()
    for name in folders:
        (tmp_path / name).mkdir()
        (tmp_path / name / "array.pkl").touch()
    monkeypatch.setattr(processes, "SHARED_MEMORY", tmp_path)
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(processes.os, "getuid", lambda: 12345)
        remove_leftovers()
    assert (tmp_path / names[0]).exists()
    remove_leftovers()
    assert {path.name for path in tmp_path.iterdir()} == {names[1], folders[1], *others}


def test_the_pattern_of_leftovers_matches_real_ones():
    """The names of a real pool's semaphores and folders match the pattern that finds leftovers."""
    process = run(POOL)
    left = in_shared_memory(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert any(name.startswith("sem.") for name in left)
    assert all(LEFTOVER.fullmatch(name) for name in left)


def test_a_delayed_signal_is_not_lost():
    """Ctrl-C during the body takes effect at its end, even if another thread, such as one of BLAS, receives it."""
    reached, done = [], threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    before = signal.signal(signal.SIGINT, lambda *_: reached.append("handled"))
    try:
        with signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)
            reached.append("body")
    finally:
        signal.signal(signal.SIGINT, before)
        done.set()
        thread.join()
    assert reached == ["body", "handled"]
