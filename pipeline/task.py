"""A task is what a worker does: train some planned trials in lockstep. It needs NumPy and the data, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from pipeline.babysitting.diagnosis import diagnose
from pipeline.babysitting.facts import Facts
from pipeline.babysitting.plugins import load_rules
from pipeline.data import Dataset, load_block
from pipeline.hparams import HyperParams, TrainConfig
from pipeline.training import Record, scored, train, train_record
from pipeline.training.blas import blas
from pipeline.trial import FinishedTrial, PlannedTrial, TrialResult, results

if TYPE_CHECKING:
    from pipeline.pruners import Pruning  # which a worker imports only for a task that has one: it brings Optuna along

NETWORK_VERSION = 7
"""Raised whenever a trial would get other numbers than before, so that recorded and new trials are never mixed."""


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


def train_alone(task: Task, data: Dataset) -> tuple[FinishedTrial, Record]:
    """The one trial of a task on its block, as :func:`run_task` trains it, and the record that has its network."""
    start = time.perf_counter()
    with threadpool_limits(1):
        record = train_record([trial.hparams for trial in task.trials], data, task.config, task.order_seed)
        history = scored(record, data, start)
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
