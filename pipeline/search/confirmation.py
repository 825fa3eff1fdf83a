"""Confirmation: what each arm chose in each block is trained again from other weights, so that luck can be told from choice.

The configuration, the rows and the order of the minibatches stay; the seed of the weights is another. It is derived from
the block and the repetition, and shared by the arms, so that they meet the same luck here too.
"""

from __future__ import annotations

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
from pipeline.storage.optuna_store import Key, OptunaStore
from pipeline.study.spec import Study
from pipeline.tracking import Tracker
from pipeline.training.metrics import BEST_VAL_ACCURACY
from pipeline.trials.task import Task
from pipeline.trials.trial import FinishedTrial, PlannedTrial

KIND = "confirmation"
LEFT_OUT = ("val_correct", "test_correct", "diagnosis")
"""Of a trial's attributes, what is not kept of its repetitions: long, and read by nobody."""


def choices(study: Study, recorded: Mapping[Key, FrozenTrial]) -> dict[Key, FrozenTrial]:
    """What each arm chose in each block: the trial of the best validation accuracy, the first of equals.

    Trials that were pruned are chosen only where no other is, since they were not trained to the end.
    """
    best: dict[tuple[str, int], Key] = {}
    for key in sorted(key for key in recorded if study.budgets(*key)):
        held = best.setdefault(key[:2], key)
        if _merit(recorded[key]) > _merit(recorded[held]):
            best[key[:2]] = key
    return {key: recorded[key] for key in best.values()}


def _merit(trial: FrozenTrial) -> tuple[bool, float]:
    return trial.state != TrialState.PRUNED, trial.user_attrs[BEST_VAL_ACCURACY]


def repetitions(study: Study, key: Key, trial: FrozenTrial) -> Iterator[PlannedTrial]:
    """The trial once for each time that the study has it confirmed, each from weights of its own."""
    name, block, number = key
    (arm,) = (arm for arm in study.arms if arm.name == name)
    for repetition in range(1, study.confirm + 1):
        hparams = study.hyperparams(trial.params, seed=derive_seed(study.seed, KIND, block, repetition))
        yield PlannedTrial(name, arm.sampler, block, number, trial.params, hparams, repetition)


def confirm(
    optuna_store: OptunaStore,
    tracker: Tracker,
    pending: Sequence[PlannedTrial],
    *,
    engine: Engine,
    interrupts: Interrupts,
) -> None:
    """Train and record what is pending; a choice's repetitions are recorded together, when the last of them is done."""
    study, known = optuna_store.study, optuna_store.confirmations()
    with closing(trained(study, pending, engine)) as done:
        for key, trials in done:
            with interrupts.deferred():
                optuna_store.check_lock()
                run_ids = tracker.record(study, trials)
                optuna_store.note_blas(trials)
                records = [record_of(study, trial, run_id) for trial, run_id in zip(trials, run_ids, strict=True)]
                optuna_store.confirm(key, [*known.get(key, ()), *records])


def trained(
    study: Study, pending: Sequence[PlannedTrial], engine: Engine
) -> Generator[tuple[Key, list[FinishedTrial]]]:
    """Train what is pending; each choice with its repetitions, once all of them are done."""
    finished = Finished(pending)
    for batch in engine.run(tasks_of(study, pending, engine.budget_bytes)):
        yield from finished.add(batch)


def tasks_of(study: Study, trials: Sequence[PlannedTrial], budget_bytes: int) -> list[Task]:
    """The tasks that train these to the end: whatever the study prunes, it prunes none of them."""
    return tasks(study, trials, PruningHistory(replace(study, pruner=None), {}), budget_bytes)


class Finished:
    """Gathers finished repetitions until all that are pending of a choice are there."""

    def __init__(self, pending: Sequence[PlannedTrial]) -> None:
        self._due: dict[Key, int] = {}
        for trial in pending:
            self._due[trial.key] = self._due.get(trial.key, 0) + 1
        self._held: dict[Key, list[FinishedTrial]] = {key: [] for key in self._due}

    def add(self, batch: Sequence[FinishedTrial]) -> Iterator[tuple[Key, list[FinishedTrial]]]:
        """Take some in; give out the choices that are complete, each with its repetitions in order."""
        for trial in batch:
            self._held[trial.plan.key].append(trial)
        for key in {trial.plan.key: None for trial in batch}:
            if len(self._held[key]) == self._due[key]:
                yield key, sorted(self._held.pop(key), key=lambda trial: trial.plan.repetition)


def record_of(study: Study, trial: FinishedTrial, run_id: str) -> dict[str, Any]:
    """What is kept of a repetition, as plain values."""
    kept = {name: value for name, value in trial.attributes.items() if name not in LEFT_OUT}
    return {"study": study.name, **kept, "run_id": run_id}


def pending(optuna_store: OptunaStore) -> list[PlannedTrial]:
    """The repetitions of what the arms chose that are not recorded yet."""
    known = {key: {record["repetition"] for record in records} for key, records in optuna_store.confirmations().items()}
    return [
        planned
        for key, trial in choices(optuna_store.study, optuna_store.recorded()).items()
        for planned in repetitions(optuna_store.study, key, trial)
        if planned.repetition not in known.get(key, ())
    ]


def reconcile(optuna_store: OptunaStore, tracker: Tracker) -> None:
    """Discard the runs of repetitions that the optuna_store does not know, which a crash leaves, and restore those it does."""
    known = {record["run_id"] for records in optuna_store.confirmations().values() for record in records}
    tracker.discard_unknown(known, KIND)
    tracker.restore_deleted(known, KIND)


def confirmed(optuna_store: OptunaStore) -> list[dict[str, Any]]:
    """A row for each recorded repetition of what the arms chose, with its point, fit for the report's table."""
    study, known = optuna_store.study, optuna_store.confirmations()
    return [
        {**dict.fromkeys(LEFT_OUT, ""), **trial.params, **record}
        for key, trial in choices(study, optuna_store.recorded()).items()
        for record in known.get(key, ())
        if record["repetition"] <= study.confirm
    ]
