"""Recorded trials as an Optuna study in memory, for Optuna's importances and figures."""

from __future__ import annotations

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution

from pipeline.console.log_records import quiet_loggers
from pipeline.study.spec import Dimension, Float, SearchSpace
from pipeline.training.metrics import BEST_VAL_ACCURACY


def optuna_study(
    frame: pd.DataFrame, space: SearchSpace, *, linear: bool = False, name: str | None = None
) -> optuna.Study:
    """Build a study in memory with one trial for each row of a frame.

    Parameters
    ----------
    frame
        Rows of the trials table.
    space
        The search space of the trials.
    linear
        Store the logarithm of a hyperparameter that has a log scale. Optuna's fANOVA needs it, because it splits the
        range of a parameter as it is stored.
    name
        The name of the study; Optuna makes one up if it is left out.
    """
    quiet_loggers("optuna")
    study = optuna.create_study(study_name=name, direction="maximize")
    distributions = {name: _distribution(dimension, linear=linear) for name, dimension in space.items()}
    columns = {name: _values(frame[name], dimension, linear=linear) for name, dimension in space.items()}
    points = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    study.add_trials(
        [
            optuna.create_trial(params=point, distributions=distributions, value=float(score))
            for point, score in zip(points, frame[BEST_VAL_ACCURACY], strict=True)
        ]
    )
    for trial in study.get_trials(deepcopy=False):
        trial.distributions = distributions  # one object for all, because Optuna compares them many thousand times
    return study


def _distribution(dimension: Dimension, *, linear: bool) -> BaseDistribution:
    if linear and isinstance(dimension, Float) and dimension.log:
        return FloatDistribution(float(np.log10(dimension.low)), float(np.log10(dimension.high)))
    return dimension.distribution


def _values(column: pd.Series, dimension: Dimension, *, linear: bool) -> list[object]:
    if linear and isinstance(dimension, Float) and dimension.log:
        column = np.log10(column).clip(np.log10(dimension.low), np.log10(dimension.high))
    values: list[object] = column.tolist()
    return values


def thinned(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return at most a number of rows, evenly spaced over the frame."""
    if len(frame) <= rows:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, rows).round().astype(int)]
