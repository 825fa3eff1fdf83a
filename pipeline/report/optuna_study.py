"""Recorded trials as an Optuna study in memory, for what Optuna computes and draws of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution

from pipeline.console.log_records import quiet_loggers
from pipeline.report.intervals import Array
from pipeline.study.spec import Float, SearchSpace


def optuna_study(
    frame: pd.DataFrame, space: SearchSpace, scores: Array, *, straight: bool = False, name: str | None = None
) -> optuna.Study:
    """A study in memory with these trials; ``straight`` stores the logarithm of what is searched on a log scale.

    Optuna's fANOVA cuts the range of a parameter as it is stored, so that a log scale must be made straight for it.
    """
    quiet_loggers("optuna")
    study = optuna.create_study(study_name=name, direction="maximize")
    distributions = {name: _distribution(space, name, straight=straight) for name in space}
    columns = {name: _values(frame[name], space, straight=straight) for name in space}
    points = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    study.add_trials(
        [
            optuna.create_trial(params=point, distributions=distributions, value=float(score))
            for point, score in zip(points, scores, strict=True)
        ]
    )
    for trial in study.get_trials(deepcopy=False):
        trial.distributions = distributions  # one object for all, which Optuna compares many thousand times
    return study


def _distribution(space: SearchSpace, name: str, *, straight: bool) -> BaseDistribution:
    dimension = space[name]
    if straight and isinstance(dimension, Float) and dimension.log:
        return FloatDistribution(float(np.log10(dimension.low)), float(np.log10(dimension.high)))
    return dimension.distribution


def _values(column: pd.Series, space: SearchSpace, *, straight: bool) -> Sequence[object]:
    dimension = space[str(column.name)]
    if straight and isinstance(dimension, Float) and dimension.log:
        straightened: list[object] = np.log10(column).clip(np.log10(dimension.low), np.log10(dimension.high)).tolist()
        return straightened
    values: list[object] = column.tolist()
    return values


def thinned(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """At most so many rows, evenly spaced over the frame."""
    if len(frame) <= rows:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, rows).round().astype(int)]
