"""The long haul: ten thousand trials in one go, and half an hour of searches that are killed and go on, hold no more and no more."""

import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.long_haul import Watch, haul, session_of, soak, table, watched

MINUTES = float(os.environ.get("BABYSIT_SOAK_MINUTES", "30"))
TRIALS = int(os.environ.get("BABYSIT_HAUL_TRIALS", "10000"))
LEAK = """
import sys
kept = []
for i in range(200):
    kept.append((open("/dev/null"), bytearray(1 << 18)))
    with open("journal", "a") as journal:
        journal.write("x" * 100)
print("done", flush=True)
sys.stdin.read()
"""


def test_the_watch_sees_a_leak(tmp_path):
    """A process that opens a file and keeps a quarter of a megabyte at every record is seen to do so, and to be at work."""
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen([sys.executable, "-c", LEAK], cwd=tmp_path, **quiet)
    with watched(process, tmp_path / "journal") as watch:
        assert process.stdout.readline() == "done\n"
        assert session_of(process.pid) == [process.pid]
        seen = len(watch.samples)
        while len(watch.samples) < seen + 2:  # the second of them was begun once all was held
            time.sleep(0.01)
        process.communicate()
    assert max(sample.files for sample in watch.between(0.99, 1)) >= 200
    assert watch.peak_mb >= max(sample.mb for sample in watch.samples) > 50
    assert session_of(process.pid) == []


def test_a_process_that_is_gone_leaves_no_sample():
    """Looking at a process that has ended adds nothing."""
    watch = Watch()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    watch.look(process.pid, 0.0, Path("journal"))
    assert watch.samples == []


@pytest.mark.slow
@pytest.mark.long
def test_ten_thousand_trials_in_one_go():
    """All of them are recorded, none RUNNING; the main process opens no file more in the second half, and holds little for each."""
    seen = haul(TRIALS)
    assert (seen.trials, seen.running) == (TRIALS, 0)
    assert seen.files_late <= seen.files_early + 5
    assert seen.kb_per_trial < 30
    assert seen.peak_mb < 400 + 30 * TRIALS / 1024


@pytest.mark.slow
@pytest.mark.long
def test_searches_that_are_killed_and_go_on_leave_nothing_behind():
    """Session after session no trial is missing, no run RUNNING, no file and no process left over, and memory and open files do not grow."""
    sessions = soak(MINUTES)
    report = "\n".join([*table(sessions), *(str(asdict(one)) for one in sessions)])
    for one in sessions:
        assert (one.missing, one.running, one.stray) == (0, 0, 0), report
        assert (one.outliving, one.shared) == (0, 0), report
    assert sum(one.kills for one in sessions) > 0, report
    half = len(sessions) // 2
    early, late = sessions[:half], sessions[half:]
    assert max(one.files for one in late) <= max(one.files for one in early) + 5, report
    assert max(one.peak_mb for one in late) <= 1.2 * max(one.peak_mb for one in early), report
    kills = [max(1, sum(one.kills for one in part)) for part in (early, late)]
    left = [sum(one.temporary for one in part) / n for part, n in zip((early, late), kills, strict=True)]
    assert left[1] <= left[0] + 2, report
