"""What the choices are worth without their luck: each was trained again from other weights, on the same rows.

The best of many trials is best by its hyperparameters and by luck. Of the luck, that of the weights goes when they are
drawn anew, and the choice falls back towards what its hyperparameters are worth: regression to the mean. What validation
promises beyond that is the luck of its rows, which stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report.comparison import Evidence
from pipeline.report.formatting import count, ends, listed, p_value, points, title
from pipeline.report.intervals import DIFFERENCE, SHARE, Array, Interval, mean_interval
from pipeline.report.table import IDENTITY, TrialsTable
from pipeline.study.spec import Arm
from pipeline.training.metrics import BEST_VAL_ACCURACY, TEST_ACCURACY


@dataclass(frozen=True)
class Confirmation:
    """One arm's choices in K blocks: the trials' own accuracies, (K,), and the means over their repetitions, (K,).

    ``spread`` (K,) is the standard deviation of test accuracy over the repetitions, NaN for one; ``seeds`` is how many
    there are of each, the fewest if blocks differ.
    """

    arm: Arm
    blocks: tuple[int, ...]
    trials: tuple[int, ...]
    seeds: int
    validation: Array
    test: Array
    validation_again: Array
    test_again: Array
    spread: Array

    @property
    def sd(self) -> float:
        """The standard deviation over weights, pooled over blocks; NaN where each choice was trained once more."""
        return float(np.sqrt(np.mean(self.spread**2)))

    @cached_property
    def confirmed(self) -> Interval:
        """The test accuracy of what was chosen, over new weights: mean over blocks and its interval."""
        return mean_interval(self.test_again, within=SHARE)

    @cached_property
    def luck(self) -> Interval:
        """By how much the choice's own weights flattered its validation accuracy."""
        return mean_interval(self.validation - self.validation_again, within=DIFFERENCE)

    @cached_property
    def test_luck(self) -> Interval:
        """By how much the chosen network scores better on test data than its configuration does."""
        return mean_interval(self.test - self.test_again, within=DIFFERENCE)

    @cached_property
    def promise(self) -> Interval:
        """By how much validation promised more than the configuration gives on test data."""
        return mean_interval(self.validation - self.test_again, within=DIFFERENCE)


def confirmations(table: TrialsTable) -> dict[str, Confirmation]:
    """What is known of each arm's choices, by the arm's name; empty where nothing was trained again."""
    if table.confirmations is None:
        return {}
    own = table.confirmations.merge(table.frame, on=list(IDENTITY), suffixes=("_again", ""))
    by_arm = {arm.name: own[own["arm"] == arm.name] for arm in table.study.arms}
    arms = {arm.name: arm for arm in table.study.arms}
    return {name: _of_arm(arms[name], rows.groupby(["block", "trial"])) for name, rows in by_arm.items() if len(rows)}


def _of_arm(arm: Arm, choices: Any) -> Confirmation:
    places = list(choices.groups)

    def values(column: str, how: str) -> Array:
        return np.asarray(choices[column].agg(how), dtype=float)

    return Confirmation(
        arm,
        tuple(int(block) for block, _ in places),
        tuple(int(trial) for _, trial in places),
        int(choices.size().min()),
        values(BEST_VAL_ACCURACY, "first"),
        values(TEST_ACCURACY, "first"),
        values(f"{BEST_VAL_ACCURACY}_again", "mean"),
        values(f"{TEST_ACCURACY}_again", "mean"),
        values(f"{TEST_ACCURACY}_again", "std"),
    )


def confirmed_difference(first: Confirmation, second: Confirmation) -> Evidence | None:
    """The difference of two arms' confirmed test accuracies over the blocks that both have; None if there is none."""
    mates = dict(zip(second.blocks, second.test_again, strict=True))
    found = [float(x - mates[b]) for b, x in zip(first.blocks, first.test_again, strict=True) if b in mates]
    return Evidence(tuple(found)) if found else None


def confirmation_sentence(found: Mapping[str, Confirmation], contrast: tuple[Arm, ...]) -> Iterator[str]:
    """What became of the choices of the compared arms, in one sentence."""
    own = [found[arm.name] for arm in contrast if arm.name in found]
    if own:
        again = f"{count(own[0].seeds, 'time')} more from other weights"
        scores = listed([_score(one, first=one is own[0]) for one in own])
        lucks = listed([_luck(one, first=one is own[0]) for one in own])
        yield f"Trained {again}, {scores}; the luck of its weights had raised the winner's validation accuracy {lucks}."


def _score(one: Confirmation, *, first: bool) -> str:
    size, low, high = points(one.confirmed)
    interval = f" ({ends(low, high, len(one.blocks))})" if len(one.blocks) > 1 else ""
    return (
        f"what {title(one.arm)} chose {'scores ' if first else ''}{size}%{interval}{' on test data' if first else ''}"
    )


def _luck(one: Confirmation, *, first: bool) -> str:
    size, low, high = points(one.luck)
    interval = f" ({ends(low, high, len(one.blocks))})" if len(one.blocks) > 1 else ""
    return f"by {size}{' points' if first else ''} with {title(one.arm)}{interval}"


def confirmation_table(found: Mapping[str, Confirmation]) -> pd.DataFrame:
    """A row for each arm: means over blocks of what was chosen, and of the same trained again, with their intervals."""
    rows = []
    for name, one in found.items():
        own = {"val_accuracy": one.validation.mean(), "test_accuracy": one.test.mean()}
        again = {"val_again": one.validation_again.mean(), **_ends("test_again", one.confirmed)}
        luck = {**_ends("val_luck", one.luck), **_ends("test_luck", one.test_luck), "promise": one.promise.estimate}
        size = {"blocks": len(one.blocks), "seeds": one.seeds}
        rows.append({"arm": name, **size, **own, **again, **luck, "sd_of_seeds": one.sd})
    return pd.DataFrame(rows)


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def choices_again(found: Mapping[str, Confirmation]) -> pd.DataFrame:
    """A row for each choice: its own accuracies, and the means and spread of the same trained again."""
    frames = [
        pd.DataFrame(
            {
                "arm": name,
                "block": one.blocks,
                "trial": one.trials,
                "val_accuracy": one.validation,
                "val_again": one.validation_again,
                "test_accuracy": one.test,
                "test_again": one.test_again,
                "sd_of_seeds": one.spread,
            }
        )
        for name, one in found.items()
    ]
    return pd.concat(frames, ignore_index=True)


def confirmation_words(
    found: Mapping[str, Confirmation], contrast: tuple[Arm, ...], difference: Evidence | None
) -> Iterator[str]:
    """How to read the tables, and what the confirmed accuracies say of the comparison."""
    if found:
        yield (
            "What each arm chose in each block was trained again from other weights, on the same rows in the same order. "
            "The best of many trials is best by its hyperparameters and by luck, and falls back when it is trained again: "
            "val_luck and test_luck are by how much its own weights were better than others on validation and test rows, "
            "and promise is by how much its validation accuracy exceeds the test accuracy of the same trained again."
        )
    if difference and len(difference.differences) > 1:
        first, second = (title(arm) for arm in contrast)
        size, low, high = points(difference.interval)
        yield (
            f"Trained again, {first} minus {second} is {size} points of test accuracy (95% CI {low} to {high}; "
            f"{p_value(difference.p)}). It decides nothing here: what was declared is the comparison of the chosen networks."
        )
