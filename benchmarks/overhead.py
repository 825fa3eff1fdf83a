"""Measure a tracked trial: Babysit's default study against the script without Babysit (users_script.py).

The two take turns, each command in a fresh process and a fresh folder. A ratio is taken inside its pair; the table gives medians.
The script's seconds a trial exclude its imports and the creation of its databases. Babysit's are given for the search (plan,
training, recording), for search and report, and for the whole command, with start-up and checks.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
# OpenBLAS chooses its kernels by the processor, as by default, and has one thread on both sides: with more, the
# script's small products only wait for each other, longer on a busy machine.
ENVIRONMENT = {
    key: value for key, value in os.environ.items() if key not in ("OPENBLAS_CORETYPE", "MLFLOW_TRACKING_URI")
}
ENVIRONMENT |= {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
PARTS = ("check", "search", "report")


def run(*command: str) -> tuple[str, float]:
    """Return what a command prints, and its seconds, in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = subprocess.run(
            [sys.executable, *command], cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True
        )
        return result.stdout, time.perf_counter() - start


def users_script(trials: int) -> float:
    """Return the script's seconds a trial."""
    output, _ = run(str(ROOT / "benchmarks" / "users_script.py"), "--trials", str(trials))
    return float(re.search(r"([\d.]+) seconds per trial", output)[1])


def babysit(workers: int, blocks: int) -> dict[str, float]:
    """Return the seconds of each part of ``python -m pipeline run``, and the number of trials."""
    output, whole = run(__file__, "--timed-run", "--workers", str(workers), "--blocks", str(blocks))
    times: dict[str, float] = json.loads(output.splitlines()[-1])
    return times | {"whole": whole, "start-up": whole - sum(times[part] for part in PARTS)}


def timed_run(workers: int, blocks: int) -> None:
    """Do what the command does, time its parts, and print the times as the last line."""
    from pipeline.cli import main as cli
    from pipeline.commands import report, run, search
    from pipeline.storage.optuna_store import OptunaStore
    from pipeline.tracking import Tracker

    times: Counter[str] = Counter()

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                times[name] += time.perf_counter() - start

        return wrapper

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(optuna_store: OptunaStore, trials: Mapping[str, Any]) -> Any:
            times["trials"] += len(trials)
            times["train"] += sum(trial.result.seconds for trial in trials.values())
            return method(optuna_store, trials)

        return wrapper

    for part, module in zip(PARTS, (run, search, report), strict=True):
        setattr(module, part, timed(part, getattr(module, part)))
    Tracker.record = timed("record", Tracker.record)
    OptunaStore.add_all = timed("record", counted(OptunaStore.add_all))
    if code := cli.main(["run", "random_vs_grid", "--workers", str(workers), "--blocks", str(blocks)]):
        sys.exit(code)
    print(json.dumps(times))


def table(pairs: list[tuple[float, dict[str, float]]], workers: int) -> str:
    """Return the medians, in Markdown."""

    def part(name: str) -> float:
        return median(times[name] for _, times in pairs)

    def row(label: str, *parts: str) -> str:
        per_trial = [sum(times[name] for name in parts) / times["trials"] for _, times in pairs]
        ratio = median(script / mine for (script, _), mine in zip(pairs, per_trial, strict=True))
        return f"| {label} | {1000 * median(per_trial):.1f} | {ratio:.1f} |"

    def share(label: str, name: str) -> str:
        return f"| {label} | {part(name):.1f} | {1000 * part(name) / part('trials'):.1f} |"

    return "\n".join(
        [
            f"| a tracked trial ({part('trials'):.0f} trials, {workers} workers) | ms | times as fast as the script |",
            "|---|---:|---:|",
            f"| the script | {1000 * median(script for script, _ in pairs):.1f} | 1.0 |",
            row("Babysit, search", "search"),
            row("Babysit, search and report", "search", "report"),
            row("Babysit, the whole command", "whole"),
            "",
            "| where Babysit's time goes | seconds | ms a trial |",
            "|---|---:|---:|",
            share("start-up: imports, making the stores", "start-up"),
            share("check", "check"),
            share("search, by the clock", "search"),
            share(f"- training, summed over {workers} workers", "train"),
            share("- recording in MLflow and Optuna, meanwhile", "record"),
            share("report", "report"),
        ]
    )


def main() -> None:
    """Measure in turns and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20, help="trials of the script (%(default)s)")
    parser.add_argument("--blocks", type=int, default=1, help="blocks of Babysit's study (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="workers of Babysit's study (%(default)s)")
    parser.add_argument("--timed-run", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.timed_run:
        timed_run(arguments.workers, arguments.blocks)
        return
    pairs = [
        (users_script(arguments.trials), babysit(arguments.workers, arguments.blocks)) for _ in range(arguments.pairs)
    ]
    print(table(pairs, arguments.workers))
    print(f"\nMedians of {len(pairs)} pairs.")


if __name__ == "__main__":
    main()
