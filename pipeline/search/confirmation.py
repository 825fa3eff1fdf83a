"""Confirmation: each arm's choice in each block is trained again from other weights, to tell a good choice from luck.

The configuration, the rows and the order of the minibatches stay the same; only the seed of the weights differs. It is
derived from the block and the repetition and shared by the arms, so that they are compared on equal terms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from pipeline.search.engine import Engine
from pipeline.search.interrupts import Interrupts
from pipeline.search.plan import tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.seeds import derive_seed
from pipeline.storage.attributes import Key
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.spec import Study
from pipeline.tracking import Tracker
from pipeline.training.metrics import BEST_VAL_ACCURACY
from pipeline.trials.task import Task
from pipeline.trials.trial import FinishedTrial, PlannedTrial

KIND = "confirmation"
LEFT_OUT = ("val_correct", "test_correct", "diagnosis")
"""The attributes of a trial that are not kept of its repetitions: they are long, and nothing reads them."""


def choices(study: Study, recorded: Mapping[Key, FrozenTrial]) -> dict[Key, FrozenTrial]:
    """Return each arm's choice in each block: the trial of the best validation accuracy, the first of equals.

    A pruned trial is chosen only where all trials were pruned, since it was not trained to the end.
    """
    best: dict[tuple[str, int], Key] = {}
    for key in sorted(key for key in recorded if study.includes(*key)):
        current = best.setdefault(key[:2], key)
        if _rank(recorded[key]) > _rank(recorded[current]):
            best[key[:2]] = key
    return {key: recorded[key] for key in best.values()}


def _rank(trial: FrozenTrial) -> tuple[bool, float]:
    return trial.state != TrialState.PRUNED, trial.user_attrs[BEST_VAL_ACCURACY]


def repetitions(study: Study, key: Key, trial: FrozenTrial) -> Iterator[PlannedTrial]:
    """Yield a chosen trial once for each declared repetition, each with another seed of the weights."""
    name, block, number = key
    (arm,) = (arm for arm in study.arms if arm.name == name)
    for repetition in range(1, study.confirm + 1):
        hparams = study.hyperparams(trial.params, seed=derive_seed(study.seed, KIND, block, repetition))
        yield PlannedTrial(name, arm.sampler, block, number, trial.params, hparams, repetition)


def pending(optuna_store: OptunaStore) -> list[PlannedTrial]:
    """Return the repetitions of the arms' choices that are not recorded yet."""
    recorded = {
        key: {record["repetition"] for record in records} for key, records in optuna_store.confirmations().items()
    }
    return [
        planned
        for key, trial in choices(optuna_store.study, optuna_store.recorded()).items()
        for planned in repetitions(optuna_store.study, key, trial)
        if planned.repetition not in recorded.get(key, ())
    ]


def confirm(
    optuna_store: OptunaStore,
    tracker: Tracker,
    pending: Sequence[PlannedTrial],
    *,
    engine: Engine,
    interrupts: Interrupts,
) -> None:
    """Train pending repetitions, and record those of a choice together, when the last of them has finished."""
    study, recorded = optuna_store.study, optuna_store.confirmations()
    with closing(train_repetitions(study, pending, engine)) as confirmations:
        for key, trials in confirmations:
            with interrupts.deferred():
                optuna_store.check_lock()
                run_ids = tracker.record(study, trials)
                optuna_store.note_blas(trials)
                records = [record_of(study, trial, run_id) for trial, run_id in zip(trials, run_ids, strict=True)]
                optuna_store.confirm(key, [*recorded.get(key, ()), *records])


def train_repetitions(
    study: Study, pending: Sequence[PlannedTrial], engine: Engine
) -> Generator[tuple[Key, list[FinishedTrial]]]:
    """Yield each choice with its finished repetitions in order, when all that are pending have finished."""
    awaited = Counter(trial.key for trial in pending)
    finished: dict[Key, list[FinishedTrial]] = {key: [] for key in awaited}
    for batch in engine.run(tasks_of(study, pending, engine.limit_bytes)):
        for trial in batch:
            key = trial.plan.key
            finished[key].append(trial)
            if len(finished[key]) == awaited[key]:
                yield key, sorted(finished.pop(key), key=lambda trial: trial.plan.repetition)


def tasks_of(study: Study, trials: Sequence[PlannedTrial], limit_bytes: int) -> list[Task]:
    """Return the tasks that train repetitions to the end: the study's pruner does not apply to them."""
    return tasks(study, trials, PruningHistory(replace(study, pruner=None), {}), limit_bytes)


def record_of(study: Study, trial: FinishedTrial, run_id: str) -> dict[str, Any]:
    """Return what is recorded of a repetition, as plain values."""
    kept = {name: value for name, value in trial.attributes.items() if name not in LEFT_OUT}
    return {"study": study.name, **kept, "run_id": run_id}


def reconcile(optuna_store: OptunaStore, tracker: Tracker) -> None:
    """Discard runs of repetitions that the Optuna store does not know, left by a crash, and restore deleted ones."""
    run_ids = {record["run_id"] for records in optuna_store.confirmations().values() for record in records}
    tracker.discard_unknown(run_ids, KIND)
    tracker.restore_deleted(run_ids, KIND)


def confirmed(optuna_store: OptunaStore) -> list[dict[str, Any]]:
    """Return a row for the report's table for each recorded repetition of the arms' choices, with its point."""
    study, recorded = optuna_store.study, optuna_store.confirmations()
    return [
        {**dict.fromkeys(LEFT_OUT, ""), **trial.params, **record}
        for key, trial in choices(study, optuna_store.recorded()).items()
        for record in recorded.get(key, ())
        if record["repetition"] <= study.confirm
    ]
