"""Measure long and killed searches: ten thousand trials in one search, then half an hour of small ones.

The small searches grow, are killed and resume. Processes are watched from outside, in ``/proc`` (Linux only).
``docs/costs.md`` has the results of ``python benchmarks/long_haul.py``.
"""

import argparse
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pipeline.search.processes import LEFTOVER, SHARED_MEMORY

ROOT = Path(__file__).parent.parent
TRIALS, MINUTES, WORKERS = 10_000, 30.0, 2
PER_BLOCK = 1000
ROUNDS, STEP = 6, 4
"""Searches in a session, and by how many trials of every arm in every block each one grows."""
PAUSE, LEAVING_SECONDS = 0.25, 30
HAUL = """
from pipeline import Arm, Float, HyperParams, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="haul",
    question="Does it hold?",
    space=SearchSpace(learning_rate=Float(1e-3, 10, log=True), l2=Float(1e-6, 1e-2, log=True)),
    fixed=HyperParams(hidden=(8,)),
    config=TrainConfig(epochs=1, batch_size=500),
    arms=({arms}),
    blocks={blocks},
    trials={trials},
)
"""
KEPT = {"haul.py", "mlflow.db", "optuna.log", "optuna.log.owner", "mlruns", "tmp", "__pycache__"}
"""The names that a folder may contain after a search."""


@dataclass(frozen=True)
class Sample:
    """A process at one moment: seconds since its start, bytes of its journal, megabytes of memory, open files."""

    seconds: float
    journal: int
    mb: float
    files: int


@dataclass
class Watch:
    """The samples of a process, and its peak memory in megabytes."""

    samples: list[Sample] = field(default_factory=list)
    peak_mb: float = 0.0

    def look(self, pid: int, started: float, journal: Path) -> None:
        """Take a sample, if the process still exists."""
        with contextlib.suppress(OSError, KeyError):
            said = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            held, peak = (int(said[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
            files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  a name is all there is to count
            size = journal.stat().st_size if journal.exists() else 0
            self.samples.append(Sample(time.monotonic() - started, size, held, files))
            self.peak_mb = max(self.peak_mb, peak)

    def between(self, low: float, high: float) -> list[Sample]:
        """Return the samples between two shares of the final size of the journal."""
        end = max((s.journal for s in self.samples), default=0)
        return [s for s in self.samples if end and low * end <= s.journal <= high * end]


@contextlib.contextmanager
def watched(process: subprocess.Popen[str], journal: Path) -> Iterator[Watch]:
    """Watch a process from a thread while the body runs."""
    watch, done, started = Watch(), threading.Event(), time.monotonic()

    def look() -> None:
        while not done.is_set():
            watch.look(process.pid, started, journal)
            done.wait(PAUSE)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        done.set()
        thread.join()


def start(folder: Path, *flags: str) -> subprocess.Popen[str]:
    """Start a search in a folder, in a new session, with its temporary files in the folder too."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    own = {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary), "JOBLIB_TEMP_FOLDER": str(temporary)}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | own
    command = [sys.executable, "-m", "pipeline", "search", "haul.py", "--workers", str(WORKERS), *flags]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=quiet, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(folder: Path, *flags: str) -> Watch:
    """Search to the end, watched; raise ``RuntimeError`` with the output if it fails or prints an error."""
    process = start(folder, *flags)
    with watched(process, folder / "optuna.log") as watch:
        _, errors = process.communicate()
    if process.returncode or errors:
        raise RuntimeError(f"exit code {process.returncode}: {errors}")
    if left := remaining(process.pid):
        raise RuntimeError(f"processes {left} are left")
    return watch


def remaining(pid: int) -> list[int]:
    """Return the processes left of a session, after they had time to notice the end of its first one."""
    deadline = time.monotonic() + LEAVING_SECONDS
    while (left := session_of(pid)) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return left


def session_of(pid: int) -> list[int]:
    """Return the processes, without zombies, of the session that a process started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, session, *_ = stat.read_text().rpartition(")")[2].split()
            found += [int(stat.parent.name)] if int(session) == pid and state != "Z" else []
    return found


def statuses(folder: Path) -> dict[str, int]:
    """Count the runs in MLflow that are not deleted, by status; the runs of trials separately, as ``trials``."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        by_status = "SELECT status, count(*) FROM runs WHERE lifecycle_stage = 'active' GROUP BY status"
        of_trials = """
            SELECT count(*) FROM tags JOIN runs USING (run_uuid)
            WHERE key = 'kind' AND value = 'trial' AND lifecycle_stage = 'active'
        """
        found = dict(connection.execute(by_status).fetchall())
        return found | {"trials": connection.execute(of_trials).fetchone()[0]}


@dataclass(frozen=True)
class Haul:
    """A long search: the records, and the memory and open files of its main process."""

    trials: int
    running: int
    seconds: float
    peak_mb: float
    kb_per_trial: float
    files_early: int
    files_late: int
    journal_mb: float
    mlflow_mb: float


def haul(trials: int = TRIALS) -> Haul:
    """Train and record a number of trials in one search, in a fresh folder. Memory per trial excludes the first fifth."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blocks = max(1, trials // PER_BLOCK)
        (folder / "haul.py").write_text(HAUL.format(arms='Arm("random"),', blocks=blocks, trials=trials // blocks))
        watch, found = finish(folder), statuses(folder)
        early, late = watch.between(0.05, 0.5), watch.between(0.5, 1)
        fifth, end = watch.between(0.2, 1)[0], watch.between(0.99, 1)
        grown = max(s.mb for s in end) - fifth.mb
        written = trials * (1 - fifth.journal / end[-1].journal)
        return Haul(
            found["trials"],
            found.get("RUNNING", 0),
            watch.samples[-1].seconds,
            watch.peak_mb,
            1024 * grown / written,
            max(s.files for s in early),
            max(s.files for s in late),
            *((folder / store).stat().st_size / 2**20 for store in ("optuna.log", "mlflow.db")),
        )


@dataclass
class Session:
    """Several searches of one study that grows, in separate stores, some of them killed."""

    searches: int = 0
    kills: int = 0
    trials: int = 0
    missing: int = 0
    running: int = 0
    stray: int = 0
    temporary: int = 0
    outliving: int = 0
    shared: int = 0
    files: int = 0
    peak_mb: float = 0.0


def session(rng: random.Random) -> Session:
    """Run one session; before half of its searches another is killed, with its workers or alone, at a random moment."""
    seen, killed = Session(), set()
    with tempfile.TemporaryDirectory() as name:
        folder, arms = Path(name), 'Arm("random"), Arm("tpe", arguments={"n_startup_trials": 4})'
        (folder / "haul.py").write_text(HAUL.format(arms=arms, blocks=2, trials=STEP))
        for n in range(1, ROUNDS + 1):
            flags = ("--trials", str(STEP * n))
            if rng.random() < 0.5:
                pid, alive, outliving = kill_while_at_work(folder, flags, rng)
                killed.add(pid)
                seen.kills += alive
                seen.outliving += outliving
            watch, found = finish(folder, *flags), statuses(folder)
            seen.searches += 1
            seen.missing += 2 * 2 * STEP * n - found["trials"]
            seen.running += found.get("RUNNING", 0)
            seen.files = max(seen.files, *(s.files for s in watch.samples))
            seen.peak_mb = max(seen.peak_mb, watch.peak_mb)
        seen.trials = found["trials"]
        seen.stray = len({path.name for path in folder.iterdir()} - KEPT)
        seen.temporary = len(list((folder / "tmp").iterdir()))
        pools = [match for path in SHARED_MEMORY.iterdir() if (match := LEFTOVER.fullmatch(path.name))]
        seen.shared = sum(int(match[1] or match[2]) in killed for match in pools)
    return seen


def kill_while_at_work(folder: Path, flags: Sequence[str], rng: random.Random) -> tuple[int, bool, int]:
    """Start a search and kill it, with its workers or alone, after a few writes or some time.

    Returns the process, True if it was alive, and how many others outlive it by more than ``LEAVING_SECONDS``.
    """
    process, journal = start(folder, *flags), folder / "optuna.log"
    size, writes = journal.stat().st_size if journal.exists() else 0, rng.randint(0, 12)
    deadline = time.monotonic() + (rng.uniform(0.5, 6) if not writes else 120)
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
        now = journal.stat().st_size if journal.exists() else 0
        writes, size = (writes - 1, now) if now != size else (writes, size)
        if not writes and now != 0 and deadline - time.monotonic() > 10:
            break
    alive = process.poll() is None
    alone = rng.random() < 0.5
    for pid in [process.pid] if alone else session_of(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    left = remaining(process.pid)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    return process.pid, alive, len(left)


def soak(minutes: float, seed: int = 0) -> list[Session]:
    """Run sessions one after the other until the time is up, at least two."""
    rng, end, seen = random.Random(seed), time.monotonic() + 60 * minutes, []
    while len(seen) < 2 or time.monotonic() < end:
        seen.append(session(rng))
    return seen


def tables(one: Haul, sessions: Sequence[Session]) -> Iterator[str]:
    """Yield the table of the one search and that of the sessions, line by line."""
    yield f"| {one.trials:,} trials in one search, {WORKERS} workers, {one.seconds / 60:.1f} minutes | |\n|---|---|"
    yield f"| most memory of the main process | {one.peak_mb:.0f} MB |"
    yield f"| of which for each trial, from a fifth of them to the end | {one.kb_per_trial:.1f} KB |"
    yield f"| most files open, in the first half and in the second | {one.files_early} and {one.files_late} |"
    yield f"| journal of Optuna, database of MLflow | {one.journal_mb:.0f} MB, {one.mlflow_mb:.0f} MB |"
    yield f"| runs left RUNNING | {one.running} |\n"
    yield from table(sessions)


def table(sessions: Sequence[Session]) -> Iterator[str]:
    """Yield a table with a column for each third of the sessions, which shows growth."""
    cut = [len(sessions) * i // 3 for i in range(4)]
    thirds = [sessions[a:b] for a, b in pairwise(cut) if b > a]
    rows = {
        "sessions": [len(third) for third in thirds],
        "searches to the end": [sum(s.searches for s in third) for third in thirds],
        "killed while alive": [sum(s.kills for s in third) for third in thirds],
        "trials recorded": [sum(s.trials for s in third) for third in thirds],
        "trials missing or double": [sum(abs(s.missing) for s in third) for third in thirds],
        "runs left RUNNING": [sum(s.running for s in third) for third in thirds],
        "stray files left": [sum(s.stray for s in third) for third in thirds],
        "temporary files left, also by kills": [sum(s.temporary for s in third) for third in thirds],
        "processes that outlive a killed one": [sum(s.outliving for s in third) for third in thirds],
        "shared memory left by kills": [sum(s.shared for s in third) for third in thirds],
        "most files open": [max(s.files for s in third) for third in thirds],
        "most memory of a main process, MB": [round(max(s.peak_mb for s in third)) for third in thirds],
    }
    names = (
        ["first third", "second third", "last third"] if len(thirds) == 3 else [f"{i + 1}" for i in range(len(thirds))]
    )
    yield f"| | {' | '.join(names)} |\n|{'---|' * (len(thirds) + 1)}"
    for name, values in rows.items():
        yield f"| {name} | {' | '.join(f'{value:,}' for value in values)} |"


def main() -> None:
    """Measure both, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    args = parser.parse_args()
    for line in tables(haul(args.trials), soak(args.minutes)):
        print(line)


if __name__ == "__main__":
    main()
