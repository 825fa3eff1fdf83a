"""Compare the cost of a trial in a large and in a small study, and two workers with one.

Every search is a command in a fresh process and a fresh folder. The cost of a trial is that of the search (plan, training,
recording), without imports and the creation of databases; its memory is the peak of the main process. The sizes take turns, and
so do one worker and two. Ratios are taken inside a turn; the table gives medians.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    key: value for key, value in os.environ.items() if key not in ("OPENBLAS_CORETYPE", "MLFLOW_TRACKING_URI")
}
ENVIRONMENT |= {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
STUDY = """
from pipeline import Arm, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="scale",
    question="Does a trial cost more in a larger study?",
    space=SearchSpace(learning_rate=Float(1e-3, 1, log=True), l2=Float(1e-6, 1e-2, log=True)),
    config=TrainConfig(epochs={epochs}),
    arms=(Arm("random"),),
    blocks={blocks},
    trials={trials},
)
"""
PER_BLOCK = 1000
"""Blocks of a large study are also larger than those of a small one."""

USUAL = 3000
"""About as many trials as in the default study."""

Reading = dict[str, float]


def measure(trials: int, epochs: int, workers: int) -> Reading:
    """A search of a number of trials: its seconds, those of its plan, and the megabytes of the main process."""
    blocks = max(1, trials // PER_BLOCK)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "scale.py").write_text(STUDY.format(epochs=epochs, blocks=blocks, trials=trials // blocks))
        command = [sys.executable, __file__, "--search", "--workers", str(workers)]
        done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True)
    reading: Reading = json.loads(done.stdout.splitlines()[-1])
    return reading | {"ms": 1000 * reading["seconds"] / trials}


def search(workers: int) -> None:
    """Search the study of this folder, and print the measurements as the last line."""
    from pipeline.cli import main as cli
    from pipeline.commands import search as verb
    from pipeline.commands.job import Job

    times: Reading = {}
    whole, planned = verb.search, Job.planned.func

    def timed(name: str, call: Callable[..., Any], *arguments: Any) -> Any:
        start = time.perf_counter()
        result = call(*arguments)
        times[name] = time.perf_counter() - start
        return result

    verb.search = lambda job, engine: timed("search", whole, job, engine)
    Job.planned.func = lambda job: timed("plan", planned, job)
    if code := cli.main(["search", "scale.py", "--workers", str(workers)]):
        sys.exit(code)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": times["search"] + times["plan"], "plan": times["plan"], "mb": megabytes}))


def size_table(turns: list[tuple[Reading, Reading]], small: int, large: int) -> str:
    """Return a Markdown table of a trial's cost in a small and in a large study."""

    def row(label: str, key: str) -> str:
        before, after = (median(turn[i][key] for turn in turns) for i in (0, 1))
        return f"| {label} | {before:.1f} | {after:.1f} | {median(b[key] / a[key] for a, b in turns):.2f} |"

    head = f"| | {small:,} trials | {large:,} trials | ratio |\n|---|---:|---:|---:|"
    return "\n".join((head, row("ms a trial", "ms"), row("MB of the main process", "mb")))


def worker_table(turns: list[tuple[Reading, Reading]]) -> str:
    """Return a Markdown table of one worker and two."""
    one, two = (median(turn[i]["seconds"] for turn in turns) for i in (0, 1))
    ratio = median(a["seconds"] / b["seconds"] for a, b in turns)
    return f"| | 1 worker | 2 workers | times as fast |\n|---|---:|---:|---:|\n| seconds | {one:.1f} | {two:.1f} | {ratio:.2f} |"


def main() -> None:
    """Measure as the command line asks, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=100, help="trials of the small study")
    parser.add_argument("--large", type=int, default=2000, help="trials of the large study; 10000 takes ten minutes")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--search", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.search:
        search(args.workers)
        return
    sizes = [(measure(args.small, 2, 1), measure(args.large, 2, 1)) for _ in range(args.turns)]
    print(size_table(sizes, args.small, args.large))
    workers = [(measure(USUAL, 20, 1), measure(USUAL, 20, 2)) for _ in range(args.turns)]
    print(worker_table(workers))


if __name__ == "__main__":
    main()
