"""Measure diagnosis: the milliseconds to diagnose a trial, and to measure its layers while it trains.

One block of the default study is trained as a worker would train it; then each trial is diagnosed several times. The table gives
means over trials of medians over turns, and the check of the whole study. The cost of measuring is the processor time of
training with it and without it, in turns: the median of their ratios.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

os.environ.pop("OPENBLAS_CORETYPE", None)  # OpenBLAS is left to find its kernels by the processor
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.checks.all_checks import check
from pipeline.data import load_block
from pipeline.diagnosis.diagnose import diagnose, health
from pipeline.diagnosis.trial_facts import Facts
from pipeline.search.plan import plan, tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.study.spec import Study
from pipeline.training import loop
from pipeline.training.lockstep import PreparedRows, Tile, evaluate
from pipeline.training.statistics import STATISTICS
from pipeline.trials.task import Task, facts_of, run_task
from pipeline.trials.trial import FinishedTrial
from studies.random_vs_grid import STUDY


def train(blocks: int) -> list[FinishedTrial]:
    """Return the trials of the default study."""
    study = replace(STUDY, blocks=blocks)
    return [trial for task in tasks_of(study) for trial in run_task(task)]


def tasks_of(study: Study) -> list[Task]:
    """Return the tasks of a study without records."""
    return tasks(study, plan(study), PruningHistory(study, {}), limit_bytes=2**30)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Train in the body without measuring the layers, the first loss, or batch norm's two scores."""
    step, score, rows, in_batches = Tile.step, Tile.score, loop.FIRST_ROWS, loop.evaluate_in_batches

    def plain_score(self: Tile, val: PreparedRows, *, measure: bool = False) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001
        self.statistics = {key: np.zeros((len(self), 0)) for key in STATISTICS}
        return evaluate(self.network, val)

    Tile.step = lambda self, batch, measure=False: step(self, batch, measure=False)  # noqa: ARG005
    Tile.score, loop.FIRST_ROWS = plain_score, 1
    loop.evaluate_in_batches = lambda network, rows: np.zeros(len(network))  # noqa: ARG005
    try:
        yield
    finally:
        Tile.step, Tile.score, loop.FIRST_ROWS, loop.evaluate_in_batches = step, score, rows, in_batches


def cost_of_measuring(turns: int, count: int) -> float:
    """Return the time of training some tasks of the default study relative to that without measuring, minus 1."""
    study = replace(STUDY, blocks=1)
    some = tasks_of(study)[:count]
    data = load_block(study.dataset, study.config, some[0].split_seed)

    def seconds() -> float:
        start = time.process_time()
        for task in some:
            loop.train([trial.hparams for trial in task.trials], data, study.config)
        return time.process_time() - start

    ratios = []
    with threadpool_limits(1):
        seconds()
        for _ in range(turns):
            with unmeasured():
                without = seconds()
            ratios.append(seconds() / without)
    return median(ratios) - 1


def known_of(trial: FinishedTrial) -> Facts:
    """Return the facts of a trial that diagnosis needs besides its curves."""
    data = load_block(STUDY.dataset, STUDY.config, 0)
    sizes = {"classes": data.classes, "train_rows": len(data.train), "val_rows": len(data.val)}
    return facts_of(trial.plan.hparams, trial.result, STUDY.config, sizes)


def seconds_to_diagnose(trial: FinishedTrial, facts: Facts, repeats: int) -> float:
    """Return the median of several turns."""
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
    parser.add_argument(
        "--turns", type=int, default=9, help="turns of training with measuring and without (%(default)s)"
    )
    parser.add_argument("--tasks", type=int, default=4, help="tasks that are trained in a turn (%(default)s)")
    arguments = parser.parse_args()
    start = time.perf_counter()
    results = list(check(STUDY))
    checked = time.perf_counter() - start
    trials = train(arguments.blocks)
    facts = [known_of(trial) for trial in trials]
    pairs = list(zip(trials, facts, strict=True))
    cost = sum(seconds_to_diagnose(trial, known, arguments.repeats) for trial, known in pairs) / len(trials)
    training = sum(trial.result.seconds for trial in trials) / len(trials)
    words = Counter(health(diagnose(trial.result.curves, known)) for trial, known in pairs)
    print(f"| {len(trials)} trials of {STUDY.name} | ms a trial |")
    print("|---|---:|")
    print(f"| training | {1000 * training:.2f} |")
    print(f"| diagnosis | {1000 * cost:.3f} |")
    print(f"| share | {cost / training:.1%} |")
    print(f"| measuring while training, share | {cost_of_measuring(arguments.turns, arguments.tasks):.1%} |")
    print(f"\nThe {len(results)} checks of the study took {checked:.2f} s, data loading included.\n")
    print("| health | trials |\n|---|---:|")
    print("\n".join(f"| {word} | {count} |" for word, count in words.most_common()))


if __name__ == "__main__":
    main()
