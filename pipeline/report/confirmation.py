"""The confirmation of each arm's choices: good configurations trained again from other weights, on the same rows.

The best of many trials is best by its hyperparameters and by luck. New weights remove the luck of the first weights, so
that its score falls back towards what the hyperparameters are worth (regression to the mean). What validation promises
beyond that is the luck of the validation rows, which stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline.report.arm_titles import title
from pipeline.report.comparison import Difference
from pipeline.report.formatting import amount, drawn_again, listed, on_test, size_and_ends, unit
from pipeline.report.intervals import Array, Interval, mean_interval
from pipeline.report.trials_table import IDENTITY, TrialsTable
from pipeline.study.metrics import ACCURACY, Metric
from pipeline.study.spec import Arm, Study


@dataclass(frozen=True)
class Confirmation:
    """The very trials that one arm chose in K blocks, and their repetitions.

    ``repetitions`` is the number for each choice, the fewest if blocks differ. ``choices`` has a row for each
    block: the ``block`` and ``trial`` of the choice, its values of the metric, such as ``val_accuracy`` and
    ``test_accuracy``, and their means over repetitions, ``val_again`` and ``test_again``. ``sd`` is the standard deviation of
    the test value over weights, pooled over all trials that were trained again at least twice; NaN if none was.
    """

    arm: Arm
    repetitions: int
    choices: pd.DataFrame
    sd: float
    metric: Metric = ACCURACY

    @property
    def blocks(self) -> tuple[int, ...]:
        return tuple(self.choices["block"].tolist())

    @cached_property
    def confirmed(self) -> Interval:
        """The test value of the repetitions: mean over blocks and its interval."""
        return mean_interval(self._column("test_again"), within=self.metric.range)

    @cached_property
    def luck(self) -> Interval:
        """By how much the first weights raised the validation value."""
        return self._gap(f"val_{self.metric.name}", "val_again")

    @cached_property
    def test_luck(self) -> Interval:
        """By how much the first weights raised the test value."""
        return self._gap(f"test_{self.metric.name}", "test_again")

    @cached_property
    def promise(self) -> Interval:
        """By how much the validation value exceeds the test value of the repetitions."""
        return self._gap(f"val_{self.metric.name}", "test_again")

    def _column(self, name: str) -> Array:
        values: Array = self.choices[name].to_numpy(float)
        return values

    def _gap(self, first: str, second: str) -> Interval:
        return mean_interval(self._column(first) - self._column(second), within=self.metric.differences)


def confirmations(table: TrialsTable) -> dict[str, Confirmation]:
    """Summarise the repetitions of each arm's choices, by the arm's name; empty without any."""
    if table.confirmations is None:
        return {}
    merged = table.confirmations.merge(table.frame, on=list(IDENTITY), suffixes=("_again", ""))
    best = table.frame.groupby(["arm", "block"], sort=False)[
        table.study.objective.best_val
    ].idxmax()  # the first of equals
    chosen = merged.merge(table.frame.loc[best, list(IDENTITY)], on=list(IDENTITY))
    by_arm = ((arm, merged[merged["arm"] == arm.name], chosen[chosen["arm"] == arm.name]) for arm in table.study.arms)
    metric = table.study.objective
    return {arm.name: _of_arm(arm, all_of_arm, rows, metric) for arm, all_of_arm, rows in by_arm if len(rows)}


def trained_again(table: TrialsTable) -> dict[tuple[str, int], dict[int, float]]:
    """Return the mean test value of the trials with repetitions, by arm and block, then by the trial's place in its pool.

    The trial's own training counts as one of them: a repetition that fails then moves the mean less.
    """
    if table.confirmations is None:
        return {}
    identity, repeated = list(IDENTITY), table.confirmations
    own = table.frame.merge(repeated[identity].drop_duplicates(), on=identity)
    means = pd.concat([own, repeated]).groupby(["arm", "block", "trial"])[table.study.objective.test].mean()
    places = {
        key: dict(zip(rows, range(len(rows)), strict=True))
        for key, rows in table.frame.groupby(["arm", "block"])["trial"]
    }
    again: dict[tuple[str, int], dict[int, float]] = {}
    for (arm, block, trial), mean in means.items():
        again.setdefault((arm, block), {})[places[arm, block][trial]] = float(mean)
    return again


def spread_of_weights(table: TrialsTable, blocks: int) -> float:
    """Estimate the standard deviation of a trial's validation value over its initial weights; 0 if it is unknown.

    Only the first ``blocks`` blocks count, those of the first look, so that later blocks do not change an earlier look.

    It is the mean difference of the first two repetitions of a trial, over all trials that have two, times sqrt(pi) / 2,
    which is exact for normal values and less moved by a training that fails than the root of a mean square.
    """
    if table.confirmations is None:
        return 0.0
    early = table.confirmations[table.confirmations["block"] < blocks]
    scores = early.groupby(["arm", "block", "trial"])[table.study.objective.best_val].agg(list)
    differences = [abs(first - second) for first, second, *_ in (found for found in scores if len(found) > 1)]
    return float(np.mean(differences) * np.sqrt(np.pi) / 2) if differences else 0.0


def _of_arm(arm: Arm, all_of_arm: pd.DataFrame, chosen: pd.DataFrame, metric: Metric) -> Confirmation:
    spread = all_of_arm.groupby(["block", "trial"])[f"{metric.test}_again"].agg(["var", "count"]).query("count > 1")
    freedom = spread["count"] - 1
    sd = float(np.sqrt((spread["var"] * freedom).sum() / freedom.sum())) if len(spread) else np.nan
    grouped = chosen.groupby(["block", "trial"])
    columns = {
        f"val_{metric.name}": (metric.best_val, "first"),
        "val_again": (f"{metric.best_val}_again", "mean"),
        f"test_{metric.name}": (metric.test, "first"),
        "test_again": (f"{metric.test}_again", "mean"),
    }
    choices: pd.DataFrame = grouped.agg(**columns).reset_index()
    return Confirmation(arm, int(grouped.size().min()), choices, sd, metric)


def confirmed_difference(first: Confirmation, second: Confirmation) -> Difference | None:
    """Subtract the second arm's confirmed test values on the common blocks; None without any."""
    pairs = first.choices.merge(second.choices, on="block", suffixes=("_1", "_2"))
    gaps = tuple((pairs["test_again_1"] - pairs["test_again_2"]).tolist())
    return Difference(gaps, first.metric.differences) if gaps else None


def confirmation_sentence(confirmations: Mapping[str, Confirmation], study: Study) -> Iterator[str]:
    """Yield what the choices of the arms of the headline score when they are trained again, if any were."""
    compared = [confirmations[arm.name] for arm in study.headline if arm.name in confirmations]
    drawn = drawn_again(study)
    if compared:
        yield (
            f"The chosen models were trained again from new {drawn}. They score "
            f"{listed([_score(c) for c in compared])} {on_test(compared[0].metric)}. The luck of the first {drawn}, in validation "
            f"{compared[0].metric.title}, was {listed([_luck(c) for c in compared])}."
        )


def _score(confirmation: Confirmation) -> str:
    size, interval = size_and_ends(confirmation.confirmed, len(confirmation.blocks), confirmation.metric)
    return f"{size}{unit(confirmation.metric)} with {title(confirmation.arm)}{interval}"


def _luck(confirmation: Confirmation) -> str:
    size, interval = size_and_ends(confirmation.luck, len(confirmation.blocks), confirmation.metric)
    return f"{amount(size, confirmation.metric)} with {title(confirmation.arm)}{interval}"


def confirmation_table(confirmations: Mapping[str, Confirmation]) -> pd.DataFrame:
    """Return a row for each arm: means over blocks of the choices and of their repetitions, with intervals."""
    return pd.DataFrame(
        [
            {
                "arm": name,
                "blocks": len(c.blocks),
                "seeds": c.repetitions,
                **{name: c.choices[name].mean() for name in (f"val_{c.metric.name}", f"test_{c.metric.name}")},
                "val_again": c.choices["val_again"].mean(),
                **c.confirmed.named("test_again"),
                **c.luck.named("val_luck"),
                **c.test_luck.named("test_luck"),
                "promise": c.promise.estimate,
                "sd_of_seeds": c.sd,
            }
            for name, c in confirmations.items()
        ]
    )


def choices_again(confirmations: Mapping[str, Confirmation]) -> pd.DataFrame:
    """Return a row for each choice: its own values, and the means of its repetitions."""
    return pd.concat({name: c.choices for name, c in confirmations.items()}, names=["arm"]).reset_index("arm")


def confirmation_note(confirmations: Mapping[str, Confirmation], study: Study) -> Iterator[str]:
    """Yield how to read the tables of trials that were trained again, if there are any."""
    if confirmations:
        metric = next(iter(confirmations.values())).metric.title
        drawn, order = drawn_again(study), "" if study.model else " in the same order"
        yield (
            f"In each block the trials that validation would most probably choose were trained again from other "
            f"{drawn}, on the same rows{order}. The best of many trials is best by its hyperparameters and by luck, and falls "
            "back when it is trained again. Luck is how much the chosen trial's first "
            f"{drawn} raised its validation or its test {metric}. The promise is its validation {metric} minus the test {metric} of its repetitions."
        )
