"""A task is what a worker does: train some planned trials in lockstep. It needs NumPy and the data, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.data import Dataset, load_block
from pipeline.diagnosis.diagnose import diagnose
from pipeline.diagnosis.plugins import load_rules
from pipeline.diagnosis.trial_facts import Facts
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import TrainingRecord, score_checkpoints, train, train_group
from pipeline.training.blas import blas
from pipeline.trials.trial import FinishedTrial, PlannedTrial, TrialResult, results

NETWORK_VERSION = 7
"""Raised whenever a trial would get other numbers than before, so that recorded and new trials are never mixed."""


class Judge(Protocol):
    """Watches the trials of a task in training, and stops some early: :class:`pipeline.search.pruners.Judge`.

    ``pruned`` tells, by the trial's place in the task, which were stopped.
    """

    pruned: list[bool]

    def __call__(self, members: np.ndarray, epoch: int, accuracy: np.ndarray) -> np.ndarray:
        """Return a mask (n,) of the members (n,) that train on after an epoch, given their accuracies (n,)."""

    def rungs(self, place: int) -> Mapping[str, Any]:
        """Return what the pruner recorded of a trial."""


class Pruning(Protocol):
    """Makes the judge of a task's trials, by their numbers. A worker imports Optuna only with a task that has one."""

    def judge(self, numbers: Sequence[int]) -> Judge:
        """Return the judge of the trials of these numbers."""


@dataclass(frozen=True)
class Task:
    """Trials of one block and one structure, the seeds of the block's splits and of its minibatches' order, and what prunes."""

    trials: tuple[PlannedTrial, ...]
    dataset: str
    config: TrainConfig
    split_seed: int
    order_seed: int
    pruning: Pruning | None = None


def run_task(task: Task, data: Dataset | None = None) -> list[FinishedTrial]:
    """Train the trials of a task, and read their curves; ``data`` is its block, which is loaded if it is not given.

    On one BLAS thread: with more, the bits of a result could depend on the machine's load.
    """
    with threadpool_limits(1):
        data = data or load_block(task.dataset, task.config, task.split_seed)
        return _diagnosed(task, data, _train(task, data))


def run_single_trial(task: Task, data: Dataset) -> tuple[FinishedTrial, TrainingRecord]:
    """The one trial of a task on its block, as :func:`run_task` trains it, and the record that has its network."""
    start = time.perf_counter()
    with threadpool_limits(1):
        record = train_group([trial.hparams for trial in task.trials], data, task.config, task.order_seed)
        history = score_checkpoints(record, data, start)
        (trial,) = _diagnosed(task, data, results(history, time.time()))
    return trial, record


def _diagnosed(task: Task, data: Dataset, trained: Sequence[TrialResult]) -> list[FinishedTrial]:
    own, library = load_rules(), blas()
    sizes = {"classes": data.classes, "train_rows": len(data.train), "val_rows": len(data.val)}
    return [
        FinishedTrial(
            plan, result, diagnose(result.curves, facts_of(plan.hparams, result, task.config, sizes), own), library
        )
        for plan, result in zip(task.trials, trained, strict=True)
    ]


def facts_of(hparams: HyperParams, result: TrialResult, config: TrainConfig, sizes: Mapping[str, Any]) -> Facts:
    """What diagnosis is told of a trial: its point, and what was measured while it trained; ``sizes`` are of its data."""
    measured: dict[str, Any] = {"diverged": result.diverged, "curves": result.curves, "scores": result.scores}
    return Facts.of(hparams, config, **measured, **sizes)


def _train(task: Task, data: Dataset) -> list[TrialResult]:
    """What became of the trials, of which a pruner may have stopped some."""
    hparams = [trial.hparams for trial in task.trials]
    if task.pruning is None:
        return results(train(hparams, data, task.config, order_seed=task.order_seed), time.time())
    judge = task.pruning.judge([trial.number for trial in task.trials])
    history = train(hparams, data, task.config, order_seed=task.order_seed, watch=judge)
    return [
        replace(result, pruned=judge.pruned[k], rungs=judge.rungs(k))
        for k, result in enumerate(results(history, time.time()))
    ]


def get_ready() -> None:
    """What a worker is first asked to do: to have this module imported, and all that it needs."""
