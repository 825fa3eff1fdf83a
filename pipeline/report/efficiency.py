"""How good are small experiments of random search, next to a whole grid? The efficiency curves of Bergstra and Bengio (2012)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from pipeline.report.curves import Pool
from pipeline.report.formatting import count, listed
from pipeline.report.intervals import DIFFERENCE, Array, Interval, mean_interval
from pipeline.study.metrics import ACCURACY
from pipeline.study.spec import Arm
from pipeline.trials.selection import share_of_best

T = TypeVar("T")
DRAWS = 1_000
"""Draws of validation accuracies, which tell how probably each trial is the best."""
PAPERS_SIZE = 8
"""The trials of an experiment that matches grids of about 100 trials in the paper (its figure 5)."""
QUOTED_SIZES = (PAPERS_SIZE, 32)
YES, NO, OPEN = "yes", "no", "open"
VERBS = {YES: "match the grid", NO: "stay behind it", OPEN: "leave it open"}


@dataclass(frozen=True)
class Efficiency:
    """Experiments of n random trials and a whole grid, by the test accuracy of what they find.

    ``scores`` has the accuracies of the experiments by n, one array for each of K blocks: the M trials of a block are
    divided into ⌊M/n⌋ experiments, in their random order. ``whole`` are the accuracies of all trials of the grid, (K,).
    """

    arm: Arm
    grid: Arm
    scores: Mapping[int, Sequence[Array]]
    whole: Array
    grid_trials: int

    def ahead(self, size: int) -> Interval:
        """Return how far experiments of a size are ahead of the grid: the mean over blocks with its t-interval."""
        means = np.array([block.mean() for block in self.scores[size]])
        return mean_interval(means - self.whole, within=DIFFERENCE)

    def at_least_as_good(self, size: int) -> float:
        """Return the share of the experiments of a size that score at least as much as the grid of their block."""
        return float(np.mean(np.concatenate([s >= w for s, w in zip(self.scores[size], self.whole, strict=True)])))

    def matches(self, size: int, delta: float) -> str:
        """Return whether experiments of a size match the grid: their mean is not more than ``delta`` below it.

        The answer is open if the interval over blocks holds ``-delta``, or there is one block.
        """
        ahead = self.ahead(size)
        if ahead.low >= -delta:
            return YES
        return NO if ahead.high < -delta else OPEN


def efficiency(pools: Mapping[str, Sequence[Pool]], headline: Sequence[Arm]) -> Efficiency | None:
    """Return the efficiency curve of the headline's random arm next to its grid; None without both or a common block.

    Studies of another metric than accuracy have none: the weights are those of accuracies.
    """
    arm, grid = (
        next((a for a in headline if a.is_grid is is_grid and a.exchangeable and a.name in pools), None)
        for is_grid in (False, True)
    )
    if not arm or not grid or pools[arm.name][0].metric != ACCURACY:
        return None
    grids = {pool.block: pool for pool in pools[grid.name]}
    random = [pool for pool in pools[arm.name] if pool.block in grids]
    if not random:
        return None
    smallest = min(map(len, random))
    sizes = sorted({*(2**i for i in range(smallest.bit_length())), smallest})
    whole = np.array([weighted_score(grids[pool.block], slice(None)) for pool in random])
    scores = {size: [_experiments(pool, size) for pool in random] for size in sizes}
    return Efficiency(arm, grid, scores, whole, min(map(len, grids.values())))


def _experiments(pool: Pool, size: int) -> Array:
    return np.array([weighted_score(pool, slice(i * size, (i + 1) * size)) for i in range(len(pool) // size)])


def weighted_score(pool: Pool, part: slice) -> float:
    """Return the expected test accuracy of the best of some trials, whose validation accuracies are uncertain.

    A trial counts by its probability of being the best: accuracies v are drawn with variance v(1 - v)/(n - 1), where n is
    the number of validation rows (Bergstra and Bengio 2012, equation 5).
    """
    validation, rows = pool.validation[part], pool.frame["n_val"].to_numpy(float)[part]
    if len(validation) == 1:
        return float(pool.test[part][0])
    deviation = np.sqrt(validation * (1 - validation) / np.maximum(rows - 1, 1))
    draws = np.random.default_rng([pool.block, part.start or 0, len(validation)]).standard_normal(
        (DRAWS, len(validation))
    )
    return float(pool.test[part] @ share_of_best(validation + deviation * draws))


def experiments_table(by_study: Mapping[str, Efficiency], delta: float) -> pd.DataFrame:
    """Return, for each study, how the experiments of the quoted sizes compare with its grid."""
    return pd.DataFrame([_row(name, efficiency, delta) for name, efficiency in by_study.items()])


def _row(name: str, efficiency: Efficiency, delta: float) -> dict[str, Any]:
    row = {"study": name, "grid_trials": efficiency.grid_trials, "grid_accuracy": float(efficiency.whole.mean())}
    for size in (size for size in QUOTED_SIZES if size in efficiency.scores):
        row |= efficiency.ahead(size).named(f"ahead_{size}")
        row |= {f"as_good_{size}": efficiency.at_least_as_good(size), f"match_{size}": efficiency.matches(size, delta)}
    return row


def experiments_sentences(by_study: Mapping[str, Efficiency], delta: float) -> list[str]:
    """Return on which data sets experiments of each quoted size match the grid, and what the paper says of it."""
    sentences = []
    for size in QUOTED_SIZES:
        answers = {name: e.matches(size, delta) for name, e in shortened(by_study).items() if size in e.scores}
        if not answers:
            continue
        groups = {answer: [name for name, given in answers.items() if given == answer] for answer in (YES, NO, OPEN)}
        clauses = [f"{verb} on {len(groups[a])} ({listed(groups[a])})" for a, verb in VERBS.items() if groups[a]]
        sentences.append(
            f"Experiments of {size} random trials, on {count(len(answers), 'data set')}: they {', '.join(clauses)}."
        )
    paper = f"In the paper, random searches of {PAPERS_SIZE} trials match or outperform grids of 100 trials on average (figure 5)."
    return [*sentences, paper] if sentences else []


def shortened(by_study: Mapping[str, T]) -> dict[str, T]:
    """Return the values by the names of their studies, without the words with which all of these begin: ``bb_``."""
    start = commonprefix(list(by_study))  # noqa: RUF071  characters are to be compared
    return {name[start.rfind("_") + 1 :]: value for name, value in by_study.items()}
