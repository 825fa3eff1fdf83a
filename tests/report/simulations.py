# ruff: noqa: T201  run as a script, it prints
"""Simulations of the report's statistics with a known truth; ``python tests/report/simulations.py`` prints the tables.

A world is a closed-form accuracy on the unit square plus noise; the rest of a configuration has no effect. The truth is
the mean over a large number of blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from synthetic import EMPTY, GRID, RANDOM, SHIFTED, WORTH, luck_of_the_best, lucky_choice

from pipeline.report.comparison import Comparison
from pipeline.report.curves import Curve, Pool, tuning_curves
from pipeline.report.improvement import improvement, improvement_interval
from pipeline.report.looks import Rules
from pipeline.report.matching import matching
from pipeline.report.targets import Target, draws, estimate_trials_needed
from pipeline.report.verdict import AHEAD, EQUAL, decide
from pipeline.study.spec import Arm

M = 108


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
    return Comparison(*arms, tuple(range(blocks)), np.array([M]), test, validation, test[:, -1])


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


def coverage_of_confirmed(name, truth, blocks, runs=2000):
    """How often an interval of choices that were trained again holds the truth."""
    rng = np.random.default_rng(blocks)
    found = [getattr(lucky_choice(rng, blocks), name) for _ in range(runs)]
    return float(np.mean([i.low <= truth <= i.high for i in found]))


DELTA, ROWS = 0.005, 359
"""The smallest difference that matters, and the test rows of a block, as in the default study."""
LOOKS = (10, 20, 30)


@dataclass(frozen=True)
class Truth:
    """A case of block differences: how they are drawn, (blocks, contrasts), and their true means, (contrasts,)."""

    draw: Callable[[np.random.Generator, int], np.ndarray]
    means: tuple[float, ...]
    looks: tuple[int, ...] = LOOKS
    rows: int = ROWS


@dataclass(frozen=True)
class Rates:
    """Shares of studies.

    ``false_leader`` and ``false_equal`` have at least one such contrast; ``covered`` have all intervals of all looks and
    contrasts around the truth; ``undecided`` have a contrast without a decision at the last look. ``blocks`` is the mean
    number of blocks until all are decided, and ``ahead`` the share of decided leads for each contrast.
    """

    false_leader: float
    false_equal: float
    false_size: float
    covered: float
    undecided: float
    blocks: float
    ahead: tuple[float, ...]


def verdict_rates(truth, runs=2000, seed=0):
    """The rates of a case, by the report's own rules."""
    rng, C = np.random.default_rng(seed), len(truth.means)
    rules = Rules(truth.looks, C, DELTA, truth.rows)
    leaders, equals, sizes, covered, undecided, blocks, ahead = [], [], [], [], [], [], []
    for _ in range(runs):
        drawn = truth.draw(rng, truth.looks[-1])
        verdicts = [_decided(drawn[:, c], rules) for c in range(C)]
        signs = [{"random": 1, "grid": -1}.get(v.leader, 0) for v in verdicts]
        leaders.append(any(sign and sign != np.sign(mean) for sign, mean in zip(signs, truth.means, strict=True)))
        equals.append(any(v.rule == EQUAL and abs(m) >= DELTA for v, m in zip(verdicts, truth.means, strict=True)))
        sizes.append(any(_false_size(v, m) for v, m in zip(verdicts, truth.means, strict=True)))
        covered.append(
            all(
                look.interval.low <= mean <= look.interval.high
                for verdict, mean in zip(verdicts, truth.means, strict=True)
                for look in verdict.looks
            )
        )
        undecided.append(any(v.decided_at is None for v in verdicts))
        blocks.append(max(v.decided_at or truth.looks[-1] for v in verdicts))
        ahead.append([v.rule == AHEAD for v in verdicts])
    shares = (float(np.mean(x)) for x in (leaders, equals, sizes, covered, undecided, blocks))
    return Rates(*shares, tuple(np.mean(ahead, axis=0).tolist()))


def _decided(differences, rules):
    """The verdict when looking from look to look, stopping at the first that decides."""
    verdict = _verdict(differences, rules)
    return _verdict(differences[: verdict.decided_at], rules) if verdict.decided_at else verdict


def _verdict(differences, rules):
    """The verdict on these blocks."""
    blocks = len(differences)
    column = differences[:, None]
    return decide(
        Comparison(RANDOM, GRID, tuple(range(blocks)), np.array([M]), column, column, differences), rules, blocks
    )


def _false_size(verdict, mean):
    """True if a lead is said to be more, or less, than delta and is not."""
    if verdict.rule != AHEAD:
        return False
    more, less = (f"That is {word} than" in verdict.sentence for word in ("more", "less"))
    return (more and abs(mean) < DELTA) or (less and abs(mean) > DELTA)


def normal(*means, sd=(0.0065, 0.0036)):
    """Normal differences of contrasts that share an arm: a correlation of one half. The default spreads are measured."""
    sds = np.resize(sd, len(means))
    mix = np.linalg.cholesky(np.full((len(means),) * 2, 0.5) + 0.5 * np.eye(len(means)))
    return Truth(lambda rng, K: np.array(means) + (rng.normal(size=(K, len(means))) @ mix.T) * sds, means)


def skewed(mean, sd=0.004, sign=1.0):
    """Differences with the skewness 2 of an exponential distribution."""
    return Truth(lambda rng, K: mean + sign * sd * (rng.exponential(size=(K, 1)) - 1), (mean,))


def tied(mean, rows=ROWS, looks=LOOKS):
    """Differences of few rows: each block has a Poisson number of rows that only one arm has right."""
    won, lost = (0.5 * rows * (0.004 + sign * mean) for sign in (1, -1))
    return Truth(
        lambda rng, K: (rng.poisson(max(won, 0), (K, 1)) - rng.poisson(max(lost, 0), (K, 1))) / rows,
        (mean,),
        looks,
        rows,
    )


def rare(q, miss=0.03, sd=0.003):
    """The first arm misses by three points in a share q of the blocks, and is equal in the others."""
    return Truth(lambda rng, K: sd * rng.normal(size=(K, 1)) - miss * (rng.uniform(size=(K, 1)) < q), (-miss * q,))


VERDICTS = {
    "both contrasts 0": normal(0.0, 0.0),
    "0.15 and 0.15 points": normal(0.0015, 0.0015),
    "1.5 and 0.15 points (the default study)": normal(0.015, 0.0015),
    "1.5 and 0.25 points": normal(0.015, 0.0025),
    "both at delta, 0.5 points": normal(DELTA, DELTA),
    "both at delta, spread twice as large": normal(DELTA, DELTA, sd=(0.0130, 0.0072)),
    "five contrasts, all 0": normal(*[0.0] * 5, sd=(0.0036,)),
    "five contrasts, all at delta": normal(*[DELTA] * 5, sd=(0.0036,)),
    "one contrast 0, skewed": skewed(0.0),
    "one contrast at delta, skewed up": skewed(DELTA),
    "one contrast at delta, skewed down": skewed(DELTA, sign=-1.0),
    "one contrast 0, ties": tied(0.0),
    "one contrast at delta, ties": tied(DELTA),
    "the same, 36 rows, 6 blocks": tied(DELTA, 36, (6,)),
    "the same, 20 rows, 6 blocks": tied(DELTA, 20, (6,)),
    "one look at 10 blocks, both contrasts 0": replace(normal(0.0, 0.0), looks=(10,)),
    "one look at 10 blocks, both at delta": replace(normal(DELTA, DELTA), looks=(10,)),
    "a miss of 3 points in 5% of blocks": rare(0.05),
    "a miss of 3 points in 10% of blocks": rare(0.1),
    "a miss of 3 points in 20% of blocks": rare(0.2),
}


def leaders(world, second, blocks=10, runs=200):
    """The shares of reports in which random search, the other arm, or none leads, by one look."""
    rng, rules = np.random.default_rng(blocks), Rules((blocks,), 1, DELTA, ROWS)
    named = [decide(comparison(world, (RANDOM, second), blocks, rng), rules, blocks).leader for _ in range(runs)]
    return {name: named.count(name) / runs for name in ("random", second.name, None)}


def equal_arms(world, first, second, blocks, runs=500):
    """Two arms of one kind: the share of reports that name a leader, and the p-values of sign flips."""
    rng, rules = np.random.default_rng(blocks), Rules((blocks,), 1, DELTA, ROWS)
    found = [comparison(world, (first, second), blocks, rng) for _ in range(runs)]
    led = [decide(c, rules, blocks).leader is not None for c in found]
    return float(np.mean(led)), [c.difference.p for c in found]


def coverage_of_matching(world, opponent, blocks, runs=500):
    """How often the interval holds the number of random trials that match all of a grid's."""
    rng = np.random.default_rng(blocks)
    many = [tuning_curves({"x": pools(world, arm, 2000, rng)})["x"] for arm in (RANDOM, opponent)]
    truth = matching(*many).trials
    held = []
    for _ in range(runs):
        found = matching(*(_some(curve, rng.integers(0, 2000, blocks)) for curve in many))
        held.append(found.low <= truth <= found.high)
    return float(np.mean(held))


def _some(curve, rows):
    """The curve of some blocks of many."""
    return Curve(curve.arm, tuple(range(len(rows))), curve.budgets, curve.validation[rows], curve.test[rows])


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
    "random trials that match the whole textbook grid (t)": lambda K: coverage_of_matching(LOW, GRID, K),
    "random trials that match the whole shifted grid (t)": lambda K: coverage_of_matching(LOW, SHIFTED, K),
    "test accuracy of choices trained again (t)": lambda K: coverage_of_confirmed("confirmed", WORTH, K),
    "luck of the choices' weights (t)": lambda K: coverage_of_confirmed("luck", luck_of_the_best(), K),
}
NULLS = {
    "random against random": (RANDOM, Arm("random_again", "random")),
    "shifted grid against shifted grid": (SHIFTED, Arm("shifted_again", "shifted_grid")),
    "grid against the same grid, trained again": (GRID, Arm("grid_again", "grid")),
}


def row(name, values):
    """A row of a Markdown table."""
    return f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |"


def main():
    """Print every rate that docs/report-statistics.md shows."""
    print("| | false leader | false equal | false size | covered | undecided | blocks |\n| --- |" + " --- |" * 6)
    for name, truth in VERDICTS.items():
        rates = verdict_rates(truth)
        shares = (rates.false_leader, rates.false_equal, rates.false_size, rates.covered, rates.undecided)
        print(f"{row(name, shares)} {rates.blocks:.1f} |", flush=True)
    print("\n| | " + " | ".join(f"{K} blocks" for K in SIZES) + " |\n| --- |" + " --- |" * len(SIZES))
    for name, coverage in COVERAGES.items():
        print(row(name, map(coverage, SIZES)), flush=True)
    for name, arms in NULLS.items():
        print(row(f"a leader named: {name}", [equal_arms(LOW, *arms, K)[0] for K in SIZES]), flush=True)
    for name, world, second in (
        ("optimum on a node, textbook grid", ON_GRID, GRID),
        ("optimum off the nodes, textbook grid", LOW, GRID),
        ("one matters, shifted grid", LOW, SHIFTED),
        ("both matter, shifted grid", FULL, SHIFTED),
    ):
        print(row(name, leaders(world, second).values()), flush=True)


if __name__ == "__main__":
    main()
