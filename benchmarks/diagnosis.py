"""What diagnosis costs: the milliseconds of diagnosing a trial, and their share of the time to train it.

One block of the default study is trained as a worker would, then each trial is diagnosed again and again. The table
gives medians over the trials, and the check of the whole study beside them.
"""

import argparse
import os
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import median

os.environ.pop("OPENBLAS_CORETYPE", None)  # OpenBLAS is left to find its kernels by the processor
sys.path.insert(0, str(Path(__file__).parent.parent))

from pipeline.babysitting.checks import check
from pipeline.babysitting.diagnosis import diagnose, health
from pipeline.babysitting.facts import Facts
from pipeline.data import load_block
from pipeline.search.plan import plan, tasks
from pipeline.task import run_task
from pipeline.trial import FinishedTrial
from studies.random_vs_grid import STUDY


def train(blocks: int) -> list[FinishedTrial]:
    """The trials of the default study."""
    study = replace(STUDY, blocks=blocks)
    return [trial for task in tasks(study, plan(study)) for trial in run_task(task)]


def facts_of(trial: FinishedTrial) -> Facts:
    """What diagnosis is told of a trial, beside its curves."""
    data = load_block(STUDY.dataset, STUDY.config, 0)
    sizes = {"classes": data.classes, "train_rows": len(data.train), "val_rows": len(data.val)}
    return Facts.of(trial.plan.hparams, STUDY.config, diverged=trial.result.diverged, **sizes)


def seconds_to_diagnose(trial: FinishedTrial, facts: Facts, repeats: int) -> float:
    """The median of several turns."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        diagnose(trial.result.curves, facts)
        times.append(time.perf_counter() - start)
    return median(times)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=1, help="blocks of the default study (%(default)s)")
    parser.add_argument("--repeats", type=int, default=9, help="turns a trial (%(default)s)")
    arguments = parser.parse_args()
    start = time.perf_counter()
    results = list(check(STUDY))
    checked = time.perf_counter() - start
    trials = train(arguments.blocks)
    facts = [facts_of(trial) for trial in trials]
    pairs = list(zip(trials, facts, strict=True))
    cost = sum(seconds_to_diagnose(trial, known, arguments.repeats) for trial, known in pairs) / len(trials)
    training = sum(trial.result.seconds for trial in trials) / len(trials)
    words = Counter(health(diagnose(trial.result.curves, known)) for trial, known in pairs)
    print(f"| {len(trials)} trials of {STUDY.name} | ms a trial |")
    print("|---|---:|")
    print(f"| training | {1000 * training:.2f} |")
    print(f"| diagnosis | {1000 * cost:.3f} |")
    print(f"| share | {cost / training:.1%} |")
    print(f"\nThe {len(results)} checks of the study took {checked:.2f} s, data loading included.\n")
    print("| health | trials |\n|---|---:|")
    print("\n".join(f"| {word} | {count} |" for word, count in words.most_common()))


if __name__ == "__main__":
    main()
