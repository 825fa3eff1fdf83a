# ruff: noqa: T201  run as a script, it prints
"""Simulations of the report's statistics with a known truth; ``python tests/report/simulations.py`` prints the tables.

A world is a closed-form accuracy on the unit square plus noise; the rest of a configuration has no effect. The truth is
the mean over a large number of blocks.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pipeline.report.comparison import Comparison
from pipeline.report.confirmation import Confirmation
from pipeline.report.curves import Pool
from pipeline.report.improvement import improvement, improvement_interval
from pipeline.report.intervals import COARSE
from pipeline.report.targets import Target, draws, estimate_trials_needed
from pipeline.report.verdict import decide
from pipeline.study.spec import Arm

M = 108
RANDOM, SHIFTED, GRID = Arm("random"), Arm("shifted_grid"), Arm("grid")
EMPTY = pd.DataFrame()


@dataclass(frozen=True)
class World:
    """The optimum, the weights of two hyperparameters, and the noise of validation and test accuracy."""

    optimum: tuple[float, float] = (0.63, 0.3)
    weights: tuple[float, float] = (1.2, 0.12)
    noise: float = 0.006
    best: float = 0.97
    examples: int = 0  # accuracies are rounded to shares of this number; 0 leaves them unrounded

    def score(self, x):
        """The true accuracy at points x (..., 2)."""
        return self.best - ((x - self.optimum) ** 2) @ np.array(self.weights)


LOW, FULL = World(), World(weights=(0.6, 0.6))
ON_GRID = World(optimum=(0.5, 0.5), weights=(6, 6))
TIED = World(examples=360)


def points(arm, blocks, rng, trials=M):
    """Positions that an arm visits, (blocks, trials, 2); a grid has three levels of each and repeats of the rest."""
    if arm.sampler == "random":
        return rng.uniform(size=(blocks, trials, 2))
    nine = np.array([(i, j) for i in range(3) for j in range(3)], float)
    shift = rng.uniform(size=(blocks, 1, 2)) if arm.sampler == "shifted_grid" else None
    grid = (nine + shift) / 3 if shift is not None else np.broadcast_to(nine / 2, (blocks, 9, 2))
    return np.tile(grid, (1, trials // 9, 1))


def scores(world, arm, blocks, rng, trials=M):
    """Validation and test accuracies of blocks, (blocks, trials) each."""
    truth = world.score(points(arm, blocks, rng, trials))
    measured = [truth + world.noise * rng.normal(size=truth.shape) for _ in range(2)]
    return [np.round(x * world.examples) / world.examples if world.examples else x for x in measured]


def pools(world, arm, blocks, rng, trials=M):
    """The pools of an arm."""
    drawn = zip(*scores(world, arm, blocks, rng, trials), strict=True)
    return [Pool(arm, block, validation, test, EMPTY, ()) for block, (validation, test) in enumerate(drawn)]


def comparison(world, arms, blocks, rng):
    """A comparison of two arms after all trials; validation chooses the best of each pool."""
    ends = []
    for arm in arms:
        validation, test = scores(world, arm, blocks, rng)
        chosen = validation.argmax(axis=1)[:, None]
        ends.append([np.take_along_axis(x, chosen, axis=1) for x in (test, validation)])
    test, validation = (a - b for a, b in zip(*ends, strict=True))
    return Comparison(*arms, tuple(range(blocks)), np.array([M]), test, validation)


def true_difference(world, arms, blocks=50_000):
    """The mean difference over a large number of blocks."""
    return float(comparison(world, arms, blocks, np.random.default_rng(99)).test.mean())


def coverage_of_difference(world, blocks, runs=2000):
    """How often the t-interval of the mean difference, random search minus the shifted grid, holds the truth."""
    truth, rng = true_difference(world, (RANDOM, SHIFTED)), np.random.default_rng(blocks)
    found = [comparison(world, (RANDOM, SHIFTED), blocks, rng).difference.interval for _ in range(runs)]
    return float(np.mean([i.low <= truth <= i.high for i in found]))


def coverage_of_win(world, opponent, blocks, runs=1000):
    """How often the interval of the probability that random search wins holds the truth."""
    rng = np.random.default_rng(blocks)
    many = improvement(*(pools(world, arm, 2000, rng) for arm in (RANDOM, opponent)), np.array([M])).test[:, 0]
    found = [improvement_interval(rng.choice(many, blocks)) for _ in range(runs)]
    return float(np.mean([i.low <= many.mean() <= i.high for i in found]))


def coverage_of_trials_needed(p, blocks, runs=500):
    """How often the interval of random search's trials for an even chance holds ln ½ / ln(1 - p)."""
    rng, truth, target = np.random.default_rng(blocks), draws(p, 0.5), Target("hit", dict.fromkeys(range(blocks), 1.0))
    held = []
    for _ in range(runs):
        hits = (rng.uniform(size=(blocks, M)) < p).astype(float)
        needed = estimate_trials_needed([Pool(RANDOM, b, x, x, EMPTY, ()) for b, x in enumerate(hits)], target)
        held.append(needed.low <= truth <= needed.high)
    return float(np.mean(held))


def coverage_of_median_grid(world, share, blocks, runs=500):
    """How often the interval over blocks holds the shifted grid's median trials for an even chance of a target."""
    rng = np.random.default_rng(blocks)
    value = np.quantile(scores(world, RANDOM, 2000, rng)[0], 1 - share)
    target = Target("share", dict.fromkeys(range(4001), value))
    truth = estimate_trials_needed(pools(world, SHIFTED, 4001, rng), target).median
    held = []
    for _ in range(runs):
        needed = estimate_trials_needed(pools(world, SHIFTED, blocks, rng), target)
        held.append(needed.low <= truth <= needed.high)
    return float(np.mean(held))


WORTH, SPREAD, NOISE = 0.95, 0.01, 0.01
"""The mean accuracy over blocks, and the standard deviations over blocks and over a network's weights."""


def lucky_choice(rng, blocks, trials=M, repetitions=5):
    """A search among equal configurations: each score is the block's accuracy plus the luck of the weights."""
    worth = WORTH + SPREAD * rng.normal(size=blocks)
    validation = (worth[:, None] + NOISE * rng.normal(size=(blocks, trials))).max(axis=1)
    again = worth[:, None] + NOISE * rng.normal(size=(2, blocks, repetitions))
    test = worth + NOISE * rng.normal(size=blocks)
    val_again, test_again = again.mean(axis=2)
    choices = {"block": range(blocks), "val_accuracy": validation, "val_again": val_again}
    choices |= {"test_accuracy": test, "test_again": test_again, "sd_of_seeds": again[1].std(axis=1, ddof=1)}
    return Confirmation(RANDOM, repetitions, pd.DataFrame(choices))


def luck_of_the_best(trials=M):
    """The mean of the largest of ``trials`` normal numbers, as a difference of accuracy."""
    x = np.linspace(-8, 8, 200_001)
    return NOISE * float(np.trapezoid(x * trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1), x))


def coverage_of_confirmed(name, truth, blocks, runs=2000):
    """How often an interval of choices that were trained again holds the truth."""
    rng = np.random.default_rng(blocks)
    found = [getattr(lucky_choice(rng, blocks), name) for _ in range(runs)]
    return float(np.mean([i.low <= truth <= i.high for i in found]))


def null_rates(world, first, second, blocks, runs=500):
    """Two arms of one kind: the share of reports that name a leader, and the p-values."""
    rng = np.random.default_rng(blocks)
    found = [comparison(world, (first, second), blocks, rng) for _ in range(runs)]
    led = [decide(c, delta=0.0).leader is not None for c in found]
    return float(np.mean(led)), [c.difference.p for c in found]


def power(blocks, runs=500):
    """The share of reports that detect a difference of the detectable size, by t alone and by the whole verdict."""
    rng, spread = np.random.default_rng(blocks), 0.01
    t = stats.t(blocks - 1)
    size = (t.ppf(0.975) + t.ppf(0.8)) * spread / np.sqrt(blocks) * COARSE.get(blocks, 1.0)
    interval, verdict = [], []
    for _ in range(runs):
        d = rng.normal(size, spread, size=(blocks, 1))
        result = Comparison(RANDOM, SHIFTED, tuple(range(blocks)), np.array([M]), d, d)
        interval.append(result.difference.interval.low > 0)
        verdict.append(decide(result, delta=0.0).leader == "random")
    return float(np.mean(interval)), float(np.mean(verdict))


def leaders(world, second, blocks=10, runs=200):
    """The shares of reports in which random search, the other arm, or none leads."""
    rng = np.random.default_rng(blocks)
    named = [decide(comparison(world, (RANDOM, second), blocks, rng), delta=0.005).leader for _ in range(runs)]
    return {name: named.count(name) / runs for name in ("random", second.name, None)}


SIZES = (6, 10, 20)
COVERAGES = {
    "mean difference, one hyperparameter matters (t)": lambda K: coverage_of_difference(LOW, K),
    "mean difference, both matter (t)": lambda K: coverage_of_difference(FULL, K),
    "probability of a win over the shifted grid (exact)": lambda K: coverage_of_win(LOW, SHIFTED, K),
    "probability of a win over a grid with the optimum on it (exact)": lambda K: coverage_of_win(ON_GRID, GRID, K),
    "probability of a win, accuracies of 360 examples, with ties (exact)": lambda K: coverage_of_win(TIED, SHIFTED, K),
    "trials needed by random search, p = 0.02 (exact)": lambda K: coverage_of_trials_needed(0.02, K),
    "trials needed by random search, p = 0.1 (exact)": lambda K: coverage_of_trials_needed(0.1, K),
    "trials needed by the shifted grid, median (quantile test)": lambda K: coverage_of_median_grid(LOW, 0.1, K),
    "test accuracy of choices trained again (t)": lambda K: coverage_of_confirmed("confirmed", WORTH, K),
    "luck of the choices' weights (t)": lambda K: coverage_of_confirmed("luck", luck_of_the_best(), K),
}
NULLS = {
    "random against random": (RANDOM, Arm("random_again", "random")),
    "shifted grid against shifted grid": (SHIFTED, Arm("shifted_again", "shifted_grid")),
    "grid against the same grid, trained anew": (GRID, Arm("grid_again", "grid")),
}


def row(name, values):
    """A row of a Markdown table."""
    return f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |"


def main():
    """Print every rate that docs/report-statistics.md shows."""
    print("| | " + " | ".join(f"{K} blocks" for K in SIZES) + " |\n| --- |" + " --- |" * len(SIZES))
    for name, coverage in COVERAGES.items():
        print(row(name, map(coverage, SIZES)), flush=True)
    for name, arms in NULLS.items():
        print(row(f"a leader named: {name}", [null_rates(LOW, *arms, K)[0] for K in SIZES]), flush=True)
    powers = [power(K) for K in SIZES]
    print(row("one detectable difference found, interval", [p[0] for p in powers]))
    print(row("one detectable difference found, verdict", [p[1] for p in powers]))
    for name, world, second in (
        ("optimum on a node, textbook grid", ON_GRID, GRID),
        ("optimum off the nodes, textbook grid", LOW, GRID),
        ("one matters, shifted grid", LOW, SHIFTED),
        ("both matter, shifted grid", FULL, SHIFTED),
    ):
        print(row(name, leaders(world, second).values()), flush=True)


if __name__ == "__main__":
    main()
