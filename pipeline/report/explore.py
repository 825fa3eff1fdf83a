"""``explore.html``: the same trials to hover over, drawn by Optuna alone; a page that needs its scripts, unlike the report."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.exceptions import ExperimentalWarning
from optuna.visualization import plot_contour, plot_edf, plot_parallel_coordinate, plot_rank, plot_slice

from pipeline.report.analysis import Findings
from pipeline.report.formatting import capital, title
from pipeline.report.optuna_study import optuna_study, thinned
from pipeline.training.metrics import BEST_VAL_ACCURACY

TRIALS = 300  # of an arm; the contour alone has a cell for every pair of their values
TARGET = "validation accuracy"


def explore_parts(findings: Findings) -> list[tuple[str, str]]:
    """A heading and a figure in HTML for each view; the first brings plotly.js, which all of them use."""
    return [
        (heading, figure.to_html(full_html=False, include_plotlyjs=i == 0, div_id=f"view-{i}", default_height="520px"))
        for i, (heading, figure) in enumerate(_views(findings))
    ]


def _views(findings: Findings) -> Iterator[tuple[str, Any]]:
    first = next(arm for arm in findings.study.arms if arm.name in findings.pools)
    name, names = capital(title(first)), _by_importance(findings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = _study(findings, first.name)
        yield f"{name}: each hyperparameter alone", plot_slice(study, params=names, target_name=TARGET)
        if len(names) > 1:
            yield f"{name}: two hyperparameters together", plot_contour(study, params=names[:2], target_name=TARGET)
            yield f"{name}: ranks of the trials", plot_rank(study, params=names[:2], target_name=TARGET)
        yield f"{name}: whole configurations", plot_parallel_coordinate(study, params=names, target_name=TARGET)
        every = [_study(findings, arm.name, named=True) for arm in findings.arms if arm.exchangeable]
        if every:
            yield "How easy the space is: all trials of the arms that do not adapt", plot_edf(every, target_name=TARGET)


def _by_importance(findings: Findings) -> list[str]:
    """The hyperparameters, the most important first where that is known."""
    names, found = list(findings.study.space), findings.importance
    return sorted(names, key=lambda name: -found.separates[names.index(name)]) if found else names


def _study(findings: Findings, arm: str, *, named: bool = False) -> optuna.Study:
    frame = thinned(pd.concat([pool.frame for pool in findings.pools[arm]]), TRIALS)
    scores = frame[BEST_VAL_ACCURACY].to_numpy(float)
    return optuna_study(frame, findings.study.space, np.asarray(scores), name=arm if named else None)
