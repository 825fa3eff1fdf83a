"""The interactive figures of ``explore.html``, drawn by Optuna; unlike the report, that page needs scripts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import optuna
import pandas as pd
from optuna.exceptions import ExperimentalWarning
from optuna.visualization import plot_contour, plot_edf, plot_parallel_coordinate, plot_rank, plot_slice

from pipeline.report.analysis import Analysis
from pipeline.report.formatting import capital, title
from pipeline.report.optuna_study import optuna_study, thinned

TRIALS_SHOWN = 300  # of an arm; the contour has a cell for every pair of their values
TARGET = "validation accuracy"


def explore_parts(analysis: Analysis) -> list[tuple[str, str]]:
    """Return a heading and a figure in HTML for each view; the first includes plotly.js, which all of them use."""
    return [
        (heading, figure.to_html(full_html=False, include_plotlyjs=i == 0, div_id=f"view-{i}", default_height="520px"))
        for i, (heading, figure) in enumerate(_views(analysis))
    ]


def _views(analysis: Analysis) -> Iterator[tuple[str, Any]]:
    first = next(arm for arm in analysis.study.arms if arm.name in analysis.pools)
    name, names = capital(title(first)), _by_importance(analysis)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = _study(analysis, first.name)
        yield f"{name}: each hyperparameter alone", plot_slice(study, params=names, target_name=TARGET)
        if len(names) > 1:
            yield f"{name}: two hyperparameters together", plot_contour(study, params=names[:2], target_name=TARGET)
            yield f"{name}: ranks of the trials", plot_rank(study, params=names[:2], target_name=TARGET)
        yield f"{name}: whole configurations", plot_parallel_coordinate(study, params=names, target_name=TARGET)
        exchangeable = [_study(analysis, arm.name, named=True) for arm in analysis.arms if arm.exchangeable]
        if exchangeable:
            heading = "How easy the space is: all trials of the arms that do not adapt"
            yield heading, plot_edf(exchangeable, target_name=TARGET)


def _by_importance(analysis: Analysis) -> list[str]:
    """Return the hyperparameters, the most important first where that is known."""
    names, importance = list(analysis.study.space), analysis.importance
    return sorted(names, key=lambda name: -importance.separates[names.index(name)]) if importance else names


def _study(analysis: Analysis, arm: str, *, named: bool = False) -> optuna.Study:
    frame = thinned(pd.concat([pool.frame for pool in analysis.pools[arm]]), TRIALS_SHOWN)
    return optuna_study(frame, analysis.study.space, name=arm if named else None)
