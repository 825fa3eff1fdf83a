"""A finished trial as an Optuna trial, and a recorded one as a row of the trials table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from pipeline.study.metrics import Metric
from pipeline.study.spec import Study
from pipeline.trials.trial import FinishedTrial


def frozen_trial(study: Study, trial: FinishedTrial, run_id: str) -> FrozenTrial:
    """Return the trial in Optuna's form, with its point, value, validation curve, attributes and times."""
    frozen = optuna.trial.create_trial(
        state=TrialState.PRUNED if trial.result.pruned else TrialState.COMPLETE,
        params=trial.plan.point,
        distributions=study.space.distributions,
        value=value_of(trial, study.objective),
        intermediate_values=dict(enumerate(trial.result.curves.get(study.objective.val, ()), start=1)),
        user_attrs={"study": study.name, **trial.attributes, "run_id": run_id},
        system_attrs=dict(trial.result.rungs),
    )
    # Optuna's times are local and have no zone. Its own would be the time of recording, for both.
    began, ended = trial.result.ended - trial.result.seconds, trial.result.ended
    frozen.datetime_start = datetime.fromtimestamp(began)  # noqa: DTZ006
    frozen.datetime_complete = datetime.fromtimestamp(ended)  # noqa: DTZ006
    return frozen


def value_of(trial: FinishedTrial, metric: Metric) -> float:
    """Return a trial's value in Optuna: its best validation value or, for a pruned trial, the last."""
    return trial.result.curves[metric.val][-1] if trial.result.pruned else trial.result.scores[metric.best_val]


def row_of(study: Study, trial: FrozenTrial) -> dict[str, Any]:
    """Return a recorded trial's attributes, point and score, by column."""
    score = study.objective.best_val
    attributes = {key: value for key, value in trial.user_attrs.items() if key != score}
    pruned = {"pruned": trial.state == TrialState.PRUNED} if study.pruner else {}
    return {**attributes, **trial.params, score: trial.user_attrs[score], **pruned}
