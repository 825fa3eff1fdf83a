"""Measure the recording of a trial in MLflow: one by one through its client, and in bulk as table rows.

The two routes take turns on separate databases, in one process. A ratio is taken inside its pair; the table gives medians. A
trial has four curves of 20 epochs, five scores, seven params and a dozen tags. Then many trials are recorded in bulk, to see
whether time and memory stay flat, and a tracker is opened in fresh processes.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # it is run from the clone, which is never installed

from pipeline.search.plan import planned_trial
from pipeline.tracking import Tracker
from pipeline.tracking.client_writer import ClientWriter
from pipeline.trials.trial import FinishedTrial, TrialResult
from studies.random_vs_grid import STUDY

CHUNKS = (1, 8, 32)
ROUTES = ("client", "bulk")
OPEN = """
import json, sys, time
readings = [time.perf_counter()]
from pipeline.tracking import Tracker
readings.append(time.perf_counter())
Tracker(sys.argv[1])
readings.append(time.perf_counter())
print(json.dumps([after - before for before, after in zip(readings, readings[1:])]))
"""


def made_up(number: int) -> FinishedTrial:
    """Return a finished trial with random numbers, shaped as in the default study."""
    draw = random.Random(number).random
    point = {"learning_rate": 10 ** -draw(), "l2": 1e-4, "activation": "relu", "init": "he", "batch_norm": False}
    keys = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
    result = TrialResult(
        curves={key: [draw() for _ in range(STUDY.config.epochs)] for key in keys},
        scores={key: draw() for key in ("best/val_accuracy", "best/epoch", "gap", "test/accuracy", "test/loss")},
        diverged=False,
        epochs=STUDY.config.epochs,
        seconds=draw(),
        ended=time.time(),
        n_val=359,
        n_test=359,
        val_correct="",
        test_correct="",
    )
    return FinishedTrial(planned_trial(STUDY, STUDY.arms[0], 0, number, point), result)


def tracker(route: str) -> Tracker:
    """Return a tracker on a new SQLite database in the current folder, with the study's run open."""
    made = Tracker(f"sqlite:///{Path(f'{route}.db').absolute()}")
    if route == "client":
        made.writer = ClientWriter(made.client)
    made.open(STUDY)
    return made


def milliseconds(tracker: Tracker, trials: Sequence[FinishedTrial], at_once: int) -> float:
    """Return the milliseconds a trial, with a number of trials recorded at once."""
    start = time.perf_counter()
    for first in range(0, len(trials), at_once):
        tracker.record(STUDY, trials[first : first + at_once])
    return 1000 * (time.perf_counter() - start) / len(trials)


def compare(rounds: int) -> str:
    """Return a Markdown table of the routes, in turns, for each number of trials at once."""
    trackers, trials = {route: tracker(route) for route in ROUTES}, [made_up(number) for number in range(max(CHUNKS))]
    readings: dict[int, list[dict[str, float]]] = {at_once: [] for at_once in CHUNKS}
    for _ in range(rounds + 1):
        for at_once, pairs in readings.items():
            pairs.append({route: milliseconds(each, trials, at_once) for route, each in trackers.items()})
    lines = ["| trials at once | client, ms a trial | bulk, ms a trial | times as fast |", "|---:|---:|---:|---:|"]
    for at_once, (_, *pairs) in readings.items():  # the first round warms up
        client, bulk = (median(pair[route] for pair in pairs) for route in ROUTES)
        ratio = median(pair["client"] / pair["bulk"] for pair in pairs)
        lines.append(f"| {at_once} | {client:.1f} | {bulk:.2f} | {ratio:.1f} |")
    return "\n".join(lines)


def go_on(total: int) -> str:
    """Record many trials in bulk, 32 at once; return a sentence on the first and last tenth, and the growth of memory."""
    many, tenth, at_once = tracker("many"), [], max(CHUNKS)
    before = 0
    for first in range(0, total, at_once):
        trials = [made_up(number) for number in range(first, min(first + at_once, total))]
        tenth.append(milliseconds(many, trials, at_once))
        before = before or peak_memory()
    size = max(1, len(tenth) // 10)
    return (
        f"{total:,} trials in bulk, {at_once} at once: {median(tenth[:size]):.2f} ms a trial in the first tenth, "
        f"{median(tenth[-size:]):.2f} in the last; peak memory grew by {peak_memory() - before:.1f} MB after the first "
        f"batch; the database is {Path('many.db').stat().st_size / 1e6:.0f} MB"
    )


def peak_memory() -> float:
    """Return the peak resident size of this process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def opening(rounds: int) -> str:
    """Return a Markdown table: seconds to import and open a tracker in fresh processes, on new and existing databases."""

    def seconds(path: Path) -> list[float]:
        command = [sys.executable, "-c", OPEN, f"sqlite:///{path.absolute()}"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
        return list(json.loads(output))

    new, existing = [], []
    for number in range(rounds):
        path = Path(f"opened{number}.db")
        new.append(seconds(path))
        existing.append(seconds(path))
    lines = ["| a database that is | import, s | open, s |", "|---|---:|---:|"]
    for name, readings in (("new", new), ("there", existing)):
        lines.append(f"| {name} | {' | '.join(f'{median(column):.2f}' for column in zip(*readings, strict=True))} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of the two routes (%(default)s)")
    parser.add_argument("--trials", type=int, default=3240, help="trials to go on with (%(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        print(compare(arguments.rounds), go_on(arguments.trials), opening(min(3, arguments.rounds)), sep="\n\n")
        print(f"\nMedians of {arguments.rounds} turns.")
        os.chdir(ROOT)


if __name__ == "__main__":
    main()
