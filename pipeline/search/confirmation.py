"""Confirmation: in each block the trials that validation would most probably choose are trained again from other weights.

So a good choice is told from luck. The configuration, the rows and the order of the minibatches stay the same; only the
seed of the weights differs. It is derived from the block and the repetition and shared by the arms, so that they are
compared on equal terms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from pipeline.search.engine import Engine
from pipeline.search.interrupts import Interrupts
from pipeline.search.plan import tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.seeds import derive_seed
from pipeline.storage.attributes import Key
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.metrics import Metric
from pipeline.study.spec import Study
from pipeline.tracking import Tracker
from pipeline.trials.selection import choice_probabilities, repetitions_of
from pipeline.trials.task import Task
from pipeline.trials.trial import FinishedTrial, PlannedTrial

KIND = "confirmation"
LEFT_OUT = ("val_correct", "test_correct", "val_scores", "test_scores", "diagnosis")
"""The attributes of a trial that are not kept of its repetitions: they are long, and nothing reads them."""


def repetitions(study: Study, recorded: Mapping[Key, FrozenTrial]) -> list[PlannedTrial]:
    """Return the repetitions of a study, in the order of the recorded arms and blocks.

    Each arm and block has as many as the study declares, numbered from 1. They go to the trial that was chosen and to
    those that would most probably be chosen with new validation rows (:func:`pipeline.trials.selection.repetitions_of`).
    """
    by_place: dict[tuple[str, int], list[Key]] = {}
    for key in sorted(key for key in recorded if study.includes(*key)):
        by_place.setdefault(key[:2], []).append(key)
    arms = {arm.name: arm for arm in study.arms}
    chosen = {  # block by block: the arms of a block share random draws
        place: _chosen([recorded[key] for key in by_place[place]], place[1], study.confirm, study.objective)
        for place in sorted(by_place, key=lambda place: place[1])
    }
    planned = []
    for (name, block), keys in by_place.items():
        for repetition, index in enumerate(chosen[name, block], start=1):
            key, trial = keys[index], recorded[keys[index]]
            hparams = study.hyperparams(trial.params, seed=derive_seed(study.seed, KIND, block, repetition))
            planned.append(PlannedTrial(name, arms[name].sampler, block, key[2], trial.params, hparams, repetition))
    return planned


def _chosen(trials: Sequence[FrozenTrial], block: int, number: int, metric: Metric) -> list[int]:
    """Return one index for each repetition. The chosen trial comes first; of equals it is the earliest.

    A pruned trial is chosen only where all were pruned, since it was not trained to the end. Where the row scores of a
    trial are not recorded, all repetitions are of the chosen one.
    """
    facts = [trial.user_attrs for trial in trials]
    validation = np.array([fact[metric.best_val] for fact in facts])
    whole = np.array([trial.state != TrialState.PRUNED for trial in trials])
    winner = int(np.lexsort((-np.arange(len(trials)), validation, whole))[-1])
    eligible = whole & ~np.array([bool(fact.get("diverged")) for fact in facts])
    texts, n_val = [fact.get(metric.row_scores[0], "") for fact in facts], facts[winner].get("n_val", 0)
    probabilities = choice_probabilities(validation, texts, eligible, n_val, block)
    return [winner] * number if probabilities is None else repetitions_of(probabilities, winner, number)


def pending(optuna_store: OptunaStore) -> list[PlannedTrial]:
    """Return the repetitions that are not recorded yet."""
    recorded = {
        (*key, record["repetition"]) for key, records in optuna_store.confirmations().items() for record in records
    }
    planned = repetitions(optuna_store.study, optuna_store.recorded())
    return [trial for trial in planned if (*trial.key, trial.repetition) not in recorded]


def confirm(
    optuna_store: OptunaStore,
    tracker: Tracker,
    pending: Sequence[PlannedTrial],
    *,
    engine: Engine,
    interrupts: Interrupts,
    on_record: Callable[[int], None],
) -> None:
    """Train pending repetitions, and record those of a choice together, when the last of them has finished.

    The choices that a task completes are recorded at once. ``on_record`` is called with the number of repetitions that
    were recorded.
    """
    study, recorded = optuna_store.study, optuna_store.confirmations()
    with closing(train_repetitions(study, pending, engine)) as confirmations:
        for choices in confirmations:
            trials = [trial for repeated in choices.values() for trial in repeated]
            with interrupts.deferred():
                optuna_store.check_lock()
                run_ids = dict(zip((trial.plan.name for trial in trials), tracker.record(study, trials), strict=True))
                optuna_store.note_blas(trials)
                new = {
                    key: [record_of(study, trial, run_ids[trial.plan.name]) for trial in repeated]
                    for key, repeated in choices.items()
                }
                optuna_store.confirm_all({key: [*recorded.get(key, ()), *records] for key, records in new.items()})
            on_record(len(trials))


def train_repetitions(
    study: Study, pending: Sequence[PlannedTrial], engine: Engine
) -> Generator[dict[Key, list[FinishedTrial]]]:
    """Yield the choices that a task has completed, with their finished repetitions in order.

    A choice is complete when all of its repetitions that are pending have finished.
    """
    awaited = Counter(trial.key for trial in pending)
    finished: dict[Key, list[FinishedTrial]] = {key: [] for key in awaited}
    for batch in engine.run(tasks_of(study, pending, engine.limit_bytes)):
        for trial in batch:
            finished[trial.plan.key].append(trial)
        complete = [key for key in {trial.plan.key: None for trial in batch} if len(finished[key]) == awaited[key]]
        if complete:
            yield {key: sorted(finished.pop(key), key=lambda trial: trial.plan.repetition) for key in complete}


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
    """Return a row for the report's table for each recorded repetition, with its point.

    An older version gave all repetitions to the chosen trial; those of them that the study asks for count too.
    """
    study, trials = optuna_store.study, optuna_store.recorded()
    keys = dict.fromkeys(trial.key for trial in repetitions(study, trials))
    recorded = optuna_store.confirmations()
    return [
        {**dict.fromkeys(LEFT_OUT, ""), **trials[key].params, **record}
        for key in keys
        for record in recorded.get(key, ())
        if record["repetition"] <= study.confirm
    ]
