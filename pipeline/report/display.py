"""Tables as the page shows them: headings in words with units, an interval in one cell, arms called as in the text.

The CSV files keep the names of the columns, and the ends of an interval in columns of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from pipeline.report.efficiency import QUOTED_SIZES
from pipeline.report.formatting import decimals, number, p_value, points, whole_number
from pipeline.report.intervals import Interval
from pipeline.report.optuna_study import thinned
from pipeline.study.metrics import ACCURACY, METRICS, Metric

SHOWN_ROWS = 40  # of a longer table; its CSV file has every row
Kind = Literal[
    "arm",
    "text",
    "study",
    "run",
    "count",
    "number",
    "value",
    "difference",
    "%",
    "points",
    "plain",
    "s",
    "probability",
    "p",
]
UNITS = ("%", "points", "s")
OF_SHARES: dict[Kind, Kind] = {"value": "%", "difference": "points"}
"""The kinds that a value of the metric, and a difference of values, have if it is a share; otherwise they are plain."""
DECIMALS: dict[Kind, int] = {"%": 1, "points": 2, "plain": 4}
"""The decimals of a value, or of a difference of values, that has no interval; shares are multiplied by 100."""
METRIC = "metric"
"""Stands for the metric in headings, and for its name in keys."""


@dataclass(frozen=True)
class Column:
    """A column's heading and kind, and the confidence of its interval."""

    heading: str
    kind: Kind = "number"
    confidence: str = "95% CI"

    def of(self, metric: Metric) -> Column:
        """Return the column with the metric's title in its heading, and with its kind of values."""
        kind: Kind = OF_SHARES[self.kind] if metric.is_share and self.kind in OF_SHARES else self.kind
        kind = "plain" if kind in OF_SHARES else kind
        return replace(self, heading=self.heading.replace(METRIC, metric.title), kind=kind)

    def title(self, *, interval: bool) -> str:
        """Return the heading with its unit, and with the confidence if cells have an interval."""
        facts = [self.kind if self.kind in UNITS else "", self.confidence if interval else ""]
        unbroken = ", ".join(filter(None, facts)).replace(" ", "\u00a0")
        return f"{self.heading} ({unbroken})" if unbroken else self.heading


COLUMNS = {
    "study": Column("study", "study"),
    "dataset": Column("data set", "text"),
    "run": Column("in MLflow", "run"),
    "sets": Column("data sets", "count"),
    "next_set": Column("next data set", "difference", "95% prediction interval"),
    **{f"mean_{word}": Column(f"mean {word}", "probability") for word in ("better", "equal", "worse")},
    **{f"next_{word}": Column(f"next data set {word}", "probability") for word in ("better", "equal", "worse")},
    "sd_over_sets": Column("SD over data sets", "difference"),
    "grid_trials": Column("trials of the grid", "count"),
    "grid_accuracy": Column("its test metric", "value"),
    "experiments": Column("experiments", "count"),
    **{
        name: Column(name.replace("_", " "), "value")
        for name in ("least", "quarter", "median", "three_quarters", "greatest")
    },
    "efficiency.grid": Column("grid", "value"),
    "efficiency.ahead": Column("mean minus the grid", "difference"),
    "at_least_as_good": Column("at least as good", "%"),
    **{f"ahead_{n}": Column(f"{n} trials minus the grid", "difference") for n in QUOTED_SIZES},
    **{f"as_good_{n}": Column(f"experiments of {n} at least as good", "%") for n in QUOTED_SIZES},
    **{f"match_{n}": Column(f"{n} match it", "text") for n in QUOTED_SIZES},
    "arm": Column("arm", "arm"),
    "first": Column("first arm", "arm"),
    "second": Column("second arm", "arm"),
    "block": Column("block", "count"),
    "blocks": Column("blocks", "count"),
    "trial": Column("trial", "count"),
    "trials": Column("trials", "count"),
    "test": Column("test metric", "value"),
    "validation": Column("validation metric", "value"),
    "val_metric": Column("validation metric", "value"),
    "test_metric": Column("test metric", "value"),
    "best/val_metric": Column("validation metric", "value"),
    "val/metric": Column("validation metric", "value"),
    "difference": Column("first minus second", "difference"),
    "by_block": Column("lowest to highest block", "difference", ""),
    "equality": Column("for equality", "difference", "90% CI"),
    "sd_over_blocks": Column("SD over blocks", "difference"),
    "p": Column("p", "p"),
    "p_corrected": Column("p, corrected for all pairs", "p"),
    "p_win": Column("P(first arm wins)", "probability"),
    "win_probability.p": Column("P(first arm wins)", "probability"),
    "p_validation": Column("the same by validation metric", "probability"),
    "targets_reached.share": Column("targets reached", "%"),
    "scores.share": Column("trials at or below", "%"),
    "health.share": Column("share of trials", "%"),
    "trials_needed.trials": Column("trials for an even chance", "count"),
    "trials_95": Column("trials for a chance of 95%", "count"),
    "ratio": Column("times the first arm's trials"),
    "hits": Column("trials that reach it", "count"),
    "of": Column("of", "count"),
    "separates": Column("separates the best tenth"),
    "noise_band": Column("95% of noise"),
    "variance_share": Column("share of the variance", "%"),
    "noise_median": Column("median of noise", "%"),
    "gap": Column("validation minus test", "difference"),
    "overtuning": Column("overtuning", "difference"),
    "below_median_incumbent": Column("blocks whose winner tests below its median forerunner", "%"),
    "tied_trials": Column("tied trials"),
    "tie_aware_test": Column("tie-aware test metric", "value"),
    "expected_test": Column("expected test metric", "value"),
    "winner": Column("winning trial", "count"),
    "p_best": Column("P(winner is best)", "probability"),
    "p_best_if_independent": Column("the same, were trials independent", "probability"),
    "seeds": Column("repetitions", "count"),
    "val_again": Column("validation metric, trained again", "value"),
    "test_again": Column("test metric, trained again", "value"),
    "val_luck": Column("luck in validation metric", "difference"),
    "test_luck": Column("luck in test metric", "difference"),
    "promise": Column("promise", "difference"),
    "sd_of_seeds": Column("SD over weights", "difference"),
    "distinct": Column("distinct configurations", "count"),
    "epochs": Column("epochs", "count"),
    "seconds": Column("training", "s"),
    "median_seconds": Column("median trial", "s"),
    "diverged": Column("diverged", "%"),
    "missing": Column("missing trials", "count"),
    "epoch": Column("epoch", "count"),
    "train/accuracy": Column("training accuracy", "%"),
    "val/accuracy": Column("validation accuracy", "%"),
    "train/loss": Column("training loss"),
    "val/loss": Column("validation loss"),
}
"""The column of each name, or of ``table.name`` where a name means something else in one table."""


@dataclass(frozen=True)
class Display:
    """A table in words: headings, the kinds of the columns, rows as shown, and the number of rows of its file."""

    headings: list[str]
    kinds: list[Kind]
    rows: list[tuple[str, ...]]
    total: int


def display(name: str, frame: pd.DataFrame, arms: Mapping[str, str], metric: Metric = ACCURACY) -> Display:
    """Return the table of a name as the page shows it; ``arms`` are the labels of the arms, by name."""
    whole = _reshaped(name, frame)
    shown = thinned(whole, SHOWN_ROWS)
    headings, kinds, columns = [], [], []
    for key, estimate, ends in _cells(shown):
        column = _column(name, key, metric) or _unlisted(name, key, shown, arms, metric)
        headings.append(column.title(interval=bool(ends)))
        kinds.append(column.kind)
        values = zip(*(shown[part] if part else [None] * len(shown) for part in (estimate, *ends)), strict=True)
        columns.append(
            [arms.get(value[0], value[0]) if column.kind == "arm" else cell(column.kind, *value) for value in values]
        )
    return Display(headings, kinds, list(zip(*columns, strict=True)), len(whole))


def _column(name: str, key: str, metric: Metric) -> Column | None:
    """Return the column of a key in a table, if it is listed."""
    generic = key.removesuffix(metric.name) + METRIC if key.endswith(metric.name) else key
    listed = COLUMNS.get(f"{name}.{key}") or COLUMNS.get(generic) or COLUMNS.get(key)
    return listed.of(metric) if listed else None


def _reshaped(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the number of its columns bounded: a range for the blocks, a row for each hyperparameter."""
    if name == "values_tried":
        return frame.set_index("arm").T.rename_axis("hyperparameter").reset_index()
    if name == "difference":
        by_block = frame.filter(regex=r"^block_\d+$")
        return frame.drop(columns=by_block).assign(
            by_block_low=by_block.min(axis=1), by_block_high=by_block.max(axis=1)
        )
    return frame


def _cells(frame: pd.DataFrame) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the key of each column that is shown, its estimate's column, if it has one, and those of its two ends."""
    names = list(map(str, frame.columns))
    starts = {name: name.removesuffix("low").removesuffix("_") for name in names if name.endswith("low")}
    ends = {name for low in starts for name in (low, f"{low.removesuffix('low')}high")}
    for name, following in zip(names, [*names[1:], ""], strict=True):
        interval = (following, f"{following.removesuffix('low')}high")
        if name not in ends:
            yield name, name, interval if starts.get(following) in ("", name) else ()
        elif starts.get(name) and starts[name] not in names:
            yield starts[name], "", (name, f"{starts[name]}_high")


def _unlisted(name: str, key: str, frame: pd.DataFrame, arms: Mapping[str, str], metric: Metric) -> Column:
    """Return the column of an arm, or of a hyperparameter, whose name is no identifier on the page."""
    if key in arms:
        return replace(Column("", "value").of(metric), heading=arms[key]) if name == "finals" else Column(arms[key])
    kind: Kind = "number" if pd.api.types.is_numeric_dtype(frame[key]) else "text"
    return Column(key.replace("_", " "), kind)


def cell(kind: Kind, estimate: Any, low: float = math.nan, high: float = math.nan) -> str:
    """Write an estimate with the ends of its interval, if there are any: ``97.0 (96.6 to 97.4)``; nothing for NaN.

    The spaces inside the brackets do not break. An end that is not known leaves the estimate alone.
    """
    if math.isnan(low) or math.isnan(high):
        return _single(kind, estimate)
    written = _interval(kind, Interval(math.nan if estimate is None else estimate, low, high))
    ends = f"{written[1]}\u00a0to\u00a0{written[2]}"
    return ends if estimate is None else f"{written[0]} ({ends})"


def _interval(kind: Kind, interval: Interval) -> tuple[str, ...]:
    """Write an estimate and the ends of its interval, at two digits of the interval's width."""
    if kind in DECIMALS:
        return points(interval, METRICS["neg_log_loss"] if kind == "plain" else ACCURACY)
    values = interval.estimate, interval.low, interval.high
    return tuple(
        whole_number(x) if kind == "count" else number(x, decimals(interval.high - interval.low)) for x in values
    )


def _single(kind: Kind, value: Any) -> str:
    """Write a value that has no interval: a number has at most three significant digits, a missing one is empty."""
    if isinstance(value, (str, bool)) or not pd.api.types.is_number(value):
        return "" if value is None else str(value)
    if math.isnan(value):
        return ""
    if kind == "p":
        return p_value(value).removeprefix("p ").removeprefix("= ")
    if kind in DECIMALS:
        return number(value if kind == "plain" else 100 * value, DECIMALS[kind])
    if kind == "probability":
        return number(value, 2)
    whole = kind == "count" or math.isinf(value) or abs(value) >= 1000 or float(value).is_integer()
    return whole_number(value) if whole else f"{value:.3g}"
