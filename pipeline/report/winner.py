"""The winner: the trial of a study with the best validation value, its scores, and the hyperparameters that do well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report.formatting import percent, points, unit, value
from pipeline.report.intervals import Interval, row_score_interval, share_interval
from pipeline.search.plan import planned_trial
from pipeline.search.refine import best_tenth
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.spec import Categorical, Dimension, Range, Study
from pipeline.training.metrics import BEST_EPOCH
from pipeline.trials.row_scores import unpack
from pipeline.trials.trial import PlannedTrial

MIDDLE = 0.05, 0.95
"""The quantiles of the good trials' values that are the ends of a good range."""


@dataclass(frozen=True)
class Score:
    """What a network scores on a number of rows; 0 rows if the number is unknown.

    ``row_scores`` is the text of the rows' scores, which the interval of a metric other than accuracy needs.
    """

    value: float
    rows: int
    metric: Metric = ACCURACY
    row_scores: str = ""

    @property
    def interval(self) -> Interval | None:
        """The value and its 95 % interval; None if it is unknown."""
        if self.metric is ACCURACY:
            return share_interval(round(self.value * self.rows), self.rows) if self.rows else None
        scores = unpack([self.row_scores], self.rows, np.array([self.value]))
        return None if scores is None else row_score_interval(self.value, scores[0], self.metric.range)

    @property
    def text(self) -> str:
        """The value with its interval, as in ``97.8% (95% CI 95.7 to 98.9; 359 rows)``."""
        if not (interval := self.interval):
            return value(self.value, self.metric)
        size, low, high = points(interval, self.metric)
        return f"{size}{unit(self.metric)} (95% CI {low} to {high}; {self.rows:,} rows)"


@dataclass(frozen=True)
class Winner:
    """The trial with the best validation value: its place in the plan, its row of the table, and the number of trials."""

    plan: PlannedTrial
    record: Mapping[str, Any]
    trials: int
    metric: Metric = ACCURACY

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights are kept, from 1."""
        return int(self.record[BEST_EPOCH])

    @property
    def validation(self) -> Score:
        texts = self.metric.row_scores[0]
        return Score(
            float(self.record[self.metric.best_val]), int(self.record["n_val"]), self.metric, self.record[texts]
        )

    @property
    def test(self) -> Score:
        texts = self.metric.row_scores[1]
        return Score(float(self.record[self.metric.test]), int(self.record["n_test"]), self.metric, self.record[texts])


def find_winner(study: Study, trials: pd.DataFrame) -> Winner | None:
    """Return the trial with the highest validation value, the first of equals; None if all diverged or were pruned.

    Pruned trials are left out, since they were not trained to the end. The test split is not used.
    """
    whole = trials[~trials["diverged"].astype(bool) & (trials["epochs"] >= study.config.epochs)]
    if whole.empty:
        return None
    (record,) = whole.loc[[whole[study.objective.best_val].idxmax()]].to_dict("records")
    (arm,) = (arm for arm in study.arms if arm.name == record["arm"])
    point = {name: record[name] for name in study.space}
    plan = planned_trial(study, arm, int(record["block"]), int(record["trial"]), point)
    return Winner(plan, {str(key): cell for key, cell in record.items()}, len(trials), study.objective)


def good_ranges(winner: Winner, study: Study, trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each hyperparameter: the winner's value, the values of the best tenth, and the searched ones."""
    ranked = trials.sort_values(study.objective.best_val, ascending=False, kind="stable")
    best = ranked.head(best_tenth(len(ranked)))
    rows = [
        {
            "hyperparameter": name,
            "best trial": _value(winner.plan.point[name]),
            "good": _good(dimension, best[name]),
            "searched": _searched(dimension),
        }
        for name, dimension in study.space.items()
    ]
    return pd.DataFrame(rows)


def _good(dimension: Dimension, values: pd.Series) -> str:
    """Write the range that holds nine in ten of the good values, or each choice with its share of them."""
    if isinstance(dimension, Range):
        low, high = (values.quantile(at, how) for at, how in zip(MIDDLE, ("lower", "higher"), strict=True))
        return f"{_value(low)} to {_value(high)}"
    shares = ((choice, sum(value == choice for value in values) / len(values)) for choice in dimension.choices)
    return ", ".join(f"{choice} ({percent(share, 0)})" for choice, share in shares if share)


def _searched(dimension: Dimension) -> str:
    if isinstance(dimension, Categorical):
        return ", ".join(map(_value, dimension.choices))
    return f"{_value(dimension.low)} to {_value(dimension.high)}{', log scale' if dimension.log else ''}"


def _value(setting: Any) -> str:
    return f"{setting:.3g}" if isinstance(setting, float) else str(setting)
