"""A task is what a worker does: train some planned trials in lockstep. It needs NumPy and the data, and writes nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from pipeline.babysitting.diagnosis import diagnose
from pipeline.babysitting.facts import Facts
from pipeline.data import load_block
from pipeline.hparams import TrainConfig
from pipeline.training import train
from pipeline.trial import FinishedTrial, PlannedTrial, results

NETWORK_VERSION = 1
"""Raised whenever a trial would get other numbers than before, so that recorded and new trials are never mixed."""


@dataclass(frozen=True)
class Task:
    """Trials of one block and one structure, and the seeds of the block's splits and of its minibatches' order."""

    trials: tuple[PlannedTrial, ...]
    dataset: str
    config: TrainConfig
    split_seed: int
    order_seed: int


def run_task(task: Task) -> list[FinishedTrial]:
    """Train the trials of a task, and read their curves.

    On one BLAS thread: with more, the bits of a result could depend on the machine's load.
    """
    with threadpool_limits(1):
        data = load_block(task.dataset, task.config, task.split_seed)
        history = train([trial.hparams for trial in task.trials], data, task.config, order_seed=task.order_seed)
    sizes = {"classes": data.classes, "train_rows": len(data.train), "val_rows": len(data.val)}
    return [
        FinishedTrial(
            plan,
            result,
            diagnose(result.curves, Facts.of(plan.hparams, task.config, diverged=result.diverged, **sizes)),
        )
        for plan, result in zip(task.trials, results(history, time.time()), strict=True)
    ]


def run_task_in_worker(task: Task) -> list[FinishedTrial]:
    """:func:`run_task`, undisturbed by the Ctrl-C that is meant for the parent."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return run_task(task)
