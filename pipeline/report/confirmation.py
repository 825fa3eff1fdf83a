"""The confirmation of each arm's choices: the same configurations trained again from other weights, on the same rows.

The best of many trials is best by its hyperparameters and by luck. New weights remove the luck of the first weights, so
that the accuracy falls back towards what the hyperparameters are worth (regression to the mean). What validation promises
beyond that is the luck of the validation rows, which stay the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pipeline.report.comparison import Difference
from pipeline.report.formatting import count, listed, p_value, points, size_and_ends, title
from pipeline.report.intervals import DIFFERENCE, SHARE, Array, Interval, mean_interval
from pipeline.report.table import IDENTITY, TrialsTable
from pipeline.study.spec import Arm
from pipeline.training.metrics import BEST_VAL_ACCURACY, TEST_ACCURACY


@dataclass(frozen=True)
class Confirmation:
    """One arm's choices in K blocks.

    Attributes
    ----------
    seeds
        The number of repetitions of each choice; the fewest if blocks differ.
    validation, test
        The accuracies of the chosen trials, (K,).
    validation_again, test_again
        The mean accuracies of their repetitions, (K,).
    spread
        The standard deviation of test accuracy over repetitions, (K,); NaN for a single repetition.
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
        """The standard deviation over weights, pooled over blocks; NaN for a single repetition."""
        return float(np.sqrt(np.mean(self.spread**2)))

    @cached_property
    def confirmed(self) -> Interval:
        """The test accuracy of the repetitions: mean over blocks and its interval."""
        return mean_interval(self.test_again, within=SHARE)

    @cached_property
    def luck(self) -> Interval:
        """By how much the first weights raised the validation accuracy."""
        return mean_interval(self.validation - self.validation_again, within=DIFFERENCE)

    @cached_property
    def test_luck(self) -> Interval:
        """By how much the first weights raised the test accuracy."""
        return mean_interval(self.test - self.test_again, within=DIFFERENCE)

    @cached_property
    def promise(self) -> Interval:
        """By how much the validation accuracy exceeds the test accuracy of the repetitions."""
        return mean_interval(self.validation - self.test_again, within=DIFFERENCE)


def confirmations(table: TrialsTable) -> dict[str, Confirmation]:
    """Summarise the repetitions of each arm's choices, by the arm's name; empty if there are none."""
    if table.confirmations is None:
        return {}
    merged = table.confirmations.merge(table.frame, on=list(IDENTITY), suffixes=("_again", ""))
    rows = ((arm, merged[merged["arm"] == arm.name]) for arm in table.study.arms)
    return {arm.name: _of_arm(arm, frame.groupby(["block", "trial"])) for arm, frame in rows if len(frame)}


def _of_arm(arm: Arm, choices: Any) -> Confirmation:
    blocks, trials = zip(*choices.groups, strict=True)

    def values(column: str, how: str) -> Array:
        return np.asarray(choices[column].agg(how), dtype=float)

    return Confirmation(
        arm,
        tuple(map(int, blocks)),
        tuple(map(int, trials)),
        int(choices.size().min()),
        values(BEST_VAL_ACCURACY, "first"),
        values(TEST_ACCURACY, "first"),
        values(f"{BEST_VAL_ACCURACY}_again", "mean"),
        values(f"{TEST_ACCURACY}_again", "mean"),
        values(f"{TEST_ACCURACY}_again", "std"),
    )


def confirmed_difference(first: Confirmation, second: Confirmation) -> Difference | None:
    """Subtract the second arm's confirmed test accuracies on the common blocks; None if there are none."""
    partners = dict(zip(second.blocks, second.test_again, strict=True))
    differences = [float(x - partners[b]) for b, x in zip(first.blocks, first.test_again, strict=True) if b in partners]
    return Difference(tuple(differences)) if differences else None


def confirmation_sentence(confirmations: Mapping[str, Confirmation], contrast: tuple[Arm, ...]) -> Iterator[str]:
    """Yield one sentence on the choices of the compared arms, if any were trained again."""
    compared = [confirmations[arm.name] for arm in contrast if arm.name in confirmations]
    if compared:
        again = f"{count(compared[0].seeds, 'time')} more from other weights"
        scores = listed([_score(c, first=c is compared[0]) for c in compared])
        lucks = listed([_luck(c, first=c is compared[0]) for c in compared])
        yield f"Trained {again}, {scores}; the luck of its weights had raised the winner's validation accuracy {lucks}."


def _score(confirmation: Confirmation, *, first: bool) -> str:
    size, interval = size_and_ends(confirmation.confirmed, len(confirmation.blocks))
    scores, data = ("scores ", " on test data") if first else ("", "")
    return f"what {title(confirmation.arm)} chose {scores}{size}%{interval}{data}"


def _luck(confirmation: Confirmation, *, first: bool) -> str:
    size, interval = size_and_ends(confirmation.luck, len(confirmation.blocks))
    return f"by {size}{' points' if first else ''} with {title(confirmation.arm)}{interval}"


def confirmation_table(confirmations: Mapping[str, Confirmation]) -> pd.DataFrame:
    """Return a row for each arm: means over blocks of the choices and of their repetitions, with intervals."""
    return pd.DataFrame(
        [
            {
                "arm": name,
                "blocks": len(c.blocks),
                "seeds": c.seeds,
                "val_accuracy": c.validation.mean(),
                "test_accuracy": c.test.mean(),
                "val_again": c.validation_again.mean(),
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
    """Return a row for each choice: its own accuracies, and the means and spread of its repetitions."""
    frames = [
        pd.DataFrame(
            {
                "arm": name,
                "block": c.blocks,
                "trial": c.trials,
                "val_accuracy": c.validation,
                "val_again": c.validation_again,
                "test_accuracy": c.test,
                "test_again": c.test_again,
                "sd_of_seeds": c.spread,
            }
        )
        for name, c in confirmations.items()
    ]
    return pd.concat(frames, ignore_index=True)


def confirmation_notes(
    confirmations: Mapping[str, Confirmation], contrast: tuple[Arm, ...], difference: Difference | None
) -> Iterator[str]:
    """Yield how to read the tables, and the confirmed difference of the compared arms."""
    if confirmations:
        yield (
            "What each arm chose in each block was trained again from other weights, on the same rows in the same order. "
            "The best of many trials is best by its hyperparameters and by luck, and falls back when it is trained again: "
            "val_luck and test_luck are by how much its own weights were better than others on validation and test rows, "
            "and promise is by how much its validation accuracy exceeds the test accuracy of the same trained again."
        )
    if difference and len(difference.by_block) > 1:
        first, second = (title(arm) for arm in contrast)
        size, low, high = points(difference.interval)
        yield (
            f"Trained again, {first} minus {second} is {size} points of test accuracy (95% CI {low} to {high}; "
            f"{p_value(difference.p)}). It decides nothing here: what was declared is the comparison of the chosen networks."
        )
