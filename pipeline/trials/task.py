"""Tasks: the work of a worker, which trains planned trials, diagnoses them, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.data import Dataset, load_block
from pipeline.diagnosis.diagnose import Rule, diagnose, diagnose_curves
from pipeline.diagnosis.plugins import load_rules
from pipeline.diagnosis.trial_facts import Facts, Finding
from pipeline.study.data_source import DataSource
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import TrainingRecord, score_checkpoints, train_group
from pipeline.training.blas import blas, one_thread
from pipeline.trials.trainers import Lockstep, PruningWatch, Trainer, with_pruning
from pipeline.trials.trial import FinishedTrial, PlannedTrial, TrialResult, results

NETWORK_VERSION = 7
"""Increase it with every change that alters a trial's numbers: trials of two versions are never mixed."""


class Pruning(Protocol):
    """Creates the watch over a task's trials. As a protocol, it spares workers without a pruner the import of Optuna."""

    def watch(self, numbers: Sequence[int]) -> PruningWatch:
        """Return the watch over the trials with these numbers."""


@dataclass(frozen=True)
class Task:
    """Trials of one block that are trained together, with the seeds of the block's splits and of its minibatches."""

    trials: tuple[PlannedTrial, ...]
    dataset: str | DataSource
    config: TrainConfig
    split_seed: int
    order_seed: int
    pruning: Pruning | None = None
    trainer: Trainer = field(default_factory=Lockstep)


def run_task(task: Task, data: Dataset | None = None) -> list[FinishedTrial]:
    """Train and diagnose the trials of a task on the data of its block, loaded if not given.

    It uses one BLAS thread: with more, the bits of a result could depend on the machine's load.
    """
    with one_thread():
        data = data or load_block(task.dataset, task.config, task.split_seed)
        return _diagnosed(task, data, _run_trials(task, data))


def run_single_trial(task: Task, data: Dataset) -> tuple[FinishedTrial, TrainingRecord]:
    """Train the only trial of a task as :func:`run_task` does; return it with the record that holds its network."""
    start = time.perf_counter()
    with one_thread():
        record = train_group([trial.hparams for trial in task.trials], data, task.config, task.order_seed)
        history = score_checkpoints(record, data, start)
        (trial,) = _diagnosed(task, data, results(history, time.time()))
    return trial, record


def _diagnosed(task: Task, data: Dataset, trained: Sequence[TrialResult]) -> list[FinishedTrial]:
    user_rules, blas_library = load_rules(), blas()
    sizes = {"classes": data.classes, "train_rows": len(data.train), "val_rows": len(data.val)}
    return [
        FinishedTrial(
            plan,
            result,
            _findings(plan, result, task.config, sizes, user_rules),
            blas_library,
        )
        for plan, result in zip(task.trials, trained, strict=True)
    ]


def _findings(
    plan: PlannedTrial, result: TrialResult, config: TrainConfig, sizes: Mapping[str, Any], rules: Sequence[Rule]
) -> tuple[Finding, ...]:
    """Return the findings about a trial; of a study's own model those that need its curves alone, or its failure."""
    if result.failure:
        return (Finding(result.failure.kind, result.failure.sentence, "see the run's tag traceback"),)
    if isinstance(plan.hparams, HyperParams):
        return diagnose(result.curves, facts_of(plan.hparams, result, config, sizes), rules)
    return diagnose_curves(result.curves, facts_of(HyperParams(), result, config, sizes))


def facts_of(hparams: HyperParams, result: TrialResult, config: TrainConfig, sizes: Mapping[str, Any]) -> Facts:
    """Return the facts of a trial for diagnosis; ``sizes`` has its data's ``classes``, ``train_rows`` and ``val_rows``."""
    measured: dict[str, Any] = {"diverged": result.diverged, "curves": result.curves, "scores": result.scores}
    return Facts.of(hparams, config, **measured, **sizes)


def _run_trials(task: Task, data: Dataset) -> list[TrialResult]:
    """Train the trials of a task, with its pruner if it has one."""
    if task.pruning is None:
        return task.trainer.train(task.trials, data, task.config, task.order_seed)
    watch = task.pruning.watch([trial.number for trial in task.trials])
    return with_pruning(task.trainer.train(task.trials, data, task.config, task.order_seed, watch), watch)


def warm_up() -> None:
    """Do nothing. The call makes a worker import this module before it gets a task."""
