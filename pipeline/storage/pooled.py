"""The pooled study of an arm: copies of its trials of all blocks in one Optuna study, for the charts of Optuna Dashboard.

Nothing is searched in it and nothing is read from it: the attributes by which this program recognises its studies are
missing there (:func:`pipeline.storage.attributes.is_recorded_study`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from pipeline.storage.journal import add_trials, at_once
from pipeline.study.metrics import Metric

POOLED = "pooled"
"""The attribute, True, of a pooled study."""
KEPT = ("block", "trial", "run_id", "diverged", "health", "diagnosis")
"""The attributes of a copied trial, with its test value. It has no curve: that of a trial is shown in the study of its block."""


def pooled_name(study: str, arm: str) -> str:
    """Return the name of an arm's pooled study. The space keeps it from the names of arms and blocks."""
    return f"{study}/{arm}/all blocks"


def is_pooled(attributes: Mapping[str, Any]) -> bool:
    """Return True if an Optuna study with these attributes is a pooled one."""
    return attributes.get(POOLED) is True


def pool(
    storage: BaseStorage, name: str, trials: Sequence[FrozenTrial], attributes: Mapping[str, Any], metric: Metric
) -> list[FrozenTrial]:
    """Copy the trials that are missing to the pooled study of that name. Return all copies; none if a user has that name.

    A study with a copy of a trial that is no longer recorded is made again. What a user adds to it stays, and is ignored.
    """
    with at_once(storage):
        study = _load_or_create(storage, name)
        if not is_pooled(study.user_attrs) and (study.user_attrs or study.get_trials(deepcopy=False)):
            return []
        wanted = {trial.user_attrs["run_id"]: trial for trial in trials}
        if _copies(study).keys() - wanted.keys():
            optuna.delete_study(study_name=name, storage=storage)
            study = _load_or_create(storage, name)
        for key, value in {**attributes, POOLED: True}.items():
            if study.user_attrs.get(key) != value:
                study.set_user_attr(key, value)
        if study.metric_names is None:
            with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                study.set_metric_names([metric.best_val])
        copied = _copies(study)
        new = [_copy(trial, metric.test) for run_id, trial in wanted.items() if run_id not in copied]
        add_trials(storage, study, new)
        return list(_copies(study).values())


def _load_or_create(storage: BaseStorage, name: str) -> optuna.Study:
    if name in optuna.get_all_study_names(storage):  # else each call would add a line to the journal
        return optuna.load_study(study_name=name, storage=storage)
    return optuna.create_study(storage=storage, study_name=name, direction="maximize")


def _copies(study: optuna.Study) -> dict[str, FrozenTrial]:
    """Return the copied trials of a pooled study, by the ids of their runs; not those that a user added."""
    copies: dict[str, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        if "run_id" in trial.user_attrs:
            copies.setdefault(trial.user_attrs["run_id"], trial)
    return copies


def _copy(trial: FrozenTrial, test: str) -> FrozenTrial:
    copied = optuna.trial.create_trial(
        state=trial.state,
        params=trial.params,
        distributions=trial.distributions,
        value=trial.value,
        user_attrs={name: trial.user_attrs[name] for name in (*KEPT[:3], test, *KEPT[3:]) if name in trial.user_attrs},
    )
    copied.datetime_start, copied.datetime_complete = trial.datetime_start, trial.datetime_complete
    return copied
