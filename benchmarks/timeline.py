"""Measure where the time of ``mlflow run .`` goes, from the command to the shell's prompt.

The parts are told apart by the first line that each prints. Every run is in a new folder. The script of ``users_script.py``
takes turns with it; its row is its time for as many trials. Processor seconds, of all processes together, matter less on a busy
machine than the clock's.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from overhead import ENVIRONMENT, ROOT, users_script

PARTS = {
    "start": "start of mlflow, imports, making the stores",
    "check:": "check",
    "search:": "search",
    "confirm:": "confirmation",
    "diagnosis:": "report, model",
    "end": "from the last line to the prompt",
}
"""The first word of the line that a part begins with, and its name in the table."""


def timeline(study: str) -> dict[str, float]:
    """Return the seconds of each part of one run, of all parts, and of the processors, and the number of trials."""
    with tempfile.TemporaryDirectory() as folder:
        environment = ENVIRONMENT | {
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }
        command = ["mlflow", "run", str(ROOT), "--env-manager", "local", "-P", f"study={study}"]
        seconds, part, trials = dict.fromkeys(PARTS, 0.0), "start", 0
        before, begun = processor(), time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        last = begun
        for line in process.stdout:
            now = time.perf_counter()
            seconds[part] += now - last
            last, part = now, next((word for word in PARTS if line.startswith(word)), part)
            if found := re.match(r"search: ([\d,]+) of", line):
                trials += int(found[1].replace(",", ""))
            if line.startswith("look at every trial"):
                part = "end"
        if process.wait():
            sys.exit(f"{' '.join(command)} failed")
        ended = time.perf_counter()
        seconds[part] += ended - last
        return seconds | {"whole": ended - begun, "processor": processor() - before, "trials": trials}


def processor() -> float:
    """Return the processor seconds of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(runs: list[dict[str, float]], script: list[float]) -> str:
    """Return the medians, in Markdown."""
    trials = runs[0]["trials"]
    lines = [f"| `mlflow run .`, {trials:,.0f} trials | seconds | times the search |", "|---|---:|---:|"]

    def row(name: str, values: list[float]) -> str:
        shares = [value / run["search:"] for value, run in zip(values, runs, strict=True)]
        return f"| {name} | {median(values):.1f} | {median(shares):.2f} |"

    lines += [row(name, [run[word] for run in runs]) for word, name in PARTS.items()]
    lines.append(row("whole", [run["whole"] for run in runs]))
    lines.append(row("all but the search", [run["whole"] - run["search:"] for run in runs]))
    lines.append(row("processor seconds of the whole", [run["processor"] for run in runs]))
    if script:
        lines.append(row("the script, for as many trials", [seconds * trials for seconds in script]))
    return "\n".join(lines)


def main() -> None:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="random_vs_grid", help="(%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--trials", type=int, default=20, help="trials of the script; 0 leaves it out (%(default)s)")
    arguments = parser.parse_args()
    runs, script = [], []
    for _ in range(arguments.runs):
        runs.append(timeline(arguments.study))
        script += [users_script(arguments.trials)] if arguments.trials else []
    print(table(runs, script))


if __name__ == "__main__":
    main()
