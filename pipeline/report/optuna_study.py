"""Recorded trials as an Optuna study in memory, for Optuna's importances."""

from __future__ import annotations

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution

from pipeline.console.log_records import quiet_loggers
from pipeline.study.spec import Dimension, Range, SearchSpace


def optuna_study(frame: pd.DataFrame, space: SearchSpace, score: str) -> optuna.Study:
    """Build a study in memory with one trial for each row of a trials table, with the value of the column ``score``.

    It stores the logarithm of a hyperparameter that has a log scale, because Optuna's importances split the range of a
    parameter as it is stored.
    """
    quiet_loggers("optuna")
    study = optuna.create_study(direction="maximize")
    distributions = {name: _distribution(dimension) for name, dimension in space.items()}
    columns = {name: _values(frame[name], dimension) for name, dimension in space.items()}
    points = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    study.add_trials([optuna.create_trial(value=float(value)) for value in frame[score]])
    for trial, point in zip(study.get_trials(deepcopy=False), points, strict=True):
        # After they are added, since Optuna copies a trial. One object for all, because it compares them many thousand times.
        trial.params, trial.distributions = point, distributions
    return study


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Range) and dimension.log:
        return FloatDistribution(float(np.log10(dimension.low)), float(np.log10(dimension.high)))
    return dimension.distribution


def _values(column: pd.Series, dimension: Dimension) -> list[object]:
    if isinstance(dimension, Range) and dimension.log:
        column = np.log10(column).clip(np.log10(dimension.low), np.log10(dimension.high))
    values: list[object] = column.tolist()
    return values


def thinned(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return at most a number of rows, evenly spaced over the frame."""
    if len(frame) <= rows:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, rows).round().astype(int)]
