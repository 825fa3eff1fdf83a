"""Random search against grid search (6.4, 6.5): nine points each, in a simulation and in real trials."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pipeline.lecture.datasets import load_digits
from pipeline.lecture.outcome import Claim, Outcome, at_least, near, shown
from pipeline.nn.layers import Array
from pipeline.report.figures.plots import Row, scatter
from pipeline.search.samplers import points as sampled
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Arm, Float, SearchSpace, Study
from pipeline.training import train
from pipeline.training.metrics import BEST_VAL_ACCURACY

TABLE = {(9, 0.1): (0.700, 0.836, 0.67), (9, 0.05): (0.396, 0.642, 0.67), (9, 0.02): (0.168, 0.363, 0.72)}
TABLE |= {(25, 0.05): (0.617, 0.897, 0.79), (100, 0.05): (0.874, 1.002, 0.84)}
"""By trials and width of the peak: the mean best of grid, that of random, and how often random is better."""
STUDY = Study(
    name="nine",
    question="Nine trials: where do they look?",
    space=SearchSpace(learning_rate=Float(1e-4, 10, log=True), l2=Float(1e-6, 1e-2, log=True)),
    config=TrainConfig(epochs=10),
    arms=(Arm("random"), Arm("grid")),
)


def demonstrate(seed: int, *, repeats: int = 20000, blocks: int = 10) -> Outcome:
    """Simulate the numbers of ``TABLE``, and train nine real trials of each arm, drawn as a search draws them."""
    trials = _trials(seed, blocks)
    rows = [row for block in trials for row in block]
    claims = [*_simulation(seed, repeats), *_axes(), *_log(seed), _real(trials)]
    first = {arm: [row for row in trials[0] if row["arm"] == arm] for arm in ("grid", "random")}
    keys = ("learning_rate", "l2", "val_accuracy")
    panels = {arm: [np.array([row[key] for row in drawn]) for key in keys] for arm, drawn in first.items()}
    colour = "validation accuracy"
    figure = scatter("plane", "Nine trials of each", panels, x="learning rate", y="L2", colour=colour, rows=rows)
    source = f"digits minus their mean, divided by 8; {blocks} blocks of 9 real trials of each arm"
    return Outcome(claims, rows, [figure], source)


def best_of_each(rng: np.random.Generator, repeats: int, trials: int, width: float) -> tuple[Array, Array]:
    """The best of a grid and of random points (repeats,) on a narrow peak in one of two coordinates.

    The function is exp(-((u - c)/w)²/2) + 0.02·v on the unit square; c is random.
    """
    centre = rng.random((repeats, 1))
    levels = (np.arange(math.isqrt(trials)) + 0.5) / math.isqrt(trials)
    grid = np.exp(-(((levels - centre) / width) ** 2) / 2).max(axis=1) + 0.02 * levels.max()
    u, v = rng.random((2, repeats, trials))
    return grid, (np.exp(-(((u - centre) / width) ** 2) / 2) + 0.02 * v).max(axis=1)


def _simulation(seed: int, repeats: int) -> Iterator[Claim]:
    rng = np.random.default_rng(seed)
    for (trials, width), (grid, random, better) in TABLE.items():
        g, r = best_of_each(rng, repeats, trials, width)
        at = f"{trials} trials, a peak of width {width}"
        yield near("6.4", f"{at}: the share in which random is better", (r > g).mean(), better, 0.02)
        observed = f"grid {g.mean():.3f} ({grid}), random {r.mean():.3f} ({random})"
        yield shown("6.4", f"{at}: the mean best of random is higher", observed, holds=r.mean() > g.mean())
    hits = (rng.random((repeats, 60)) < 0.05).any(axis=1).mean()
    yield near("6.4", "the share in which 60 random trials find the best 5 %", hits, 1 - 0.95**60, 0.02)


def _axes() -> Iterator[Claim]:
    """Count the values of each hyperparameter that nine trials test."""
    for name in STUDY.space:
        distinct = {arm.name: len({point[name] for point in sampled(arm, STUDY, 0)}) for arm in STUDY.arms}
        says, observed = (
            f"values of {name} in nine trials: 9 and 3",
            f"random {distinct['random']}, grid {distinct['grid']}",
        )
        yield shown("6.4", says, observed, holds=distinct == {"random": 9, "grid": 3})


def _log(seed: int) -> Iterator[Claim]:
    rng, space = np.random.default_rng(seed), {"linear": Float(1e-6, 1e-3), "log": Float(1e-6, 1e-3, log=True)}
    for scale, share in (("linear", 0.099), ("log", 0.667)):
        drawn = np.array([space[scale].at(u) for u in rng.random(5000)])
        says = f"the share below 1e-4 of rates from 1e-6 to 1e-3 drawn on a {scale} scale"
        yield near("6.5", says, (drawn < 1e-4).mean(), share, 0.02)


def _trials(seed: int, blocks: int) -> list[list[Row]]:
    """Train nine trials of each arm in each block; the rows of each block have their validation accuracies."""
    planned = [(b, arm.name, point) for b in range(blocks) for arm in STUDY.arms for point in sampled(arm, STUDY, b)]
    hparams = [HyperParams(**point, seed=seed + block) for block, _, point in planned]
    history = train(hparams, load_digits(seed), STUDY.config, order_seed=seed)
    rows: list[Row] = [
        {"block": block, "arm": arm, **point, "val_accuracy": float(accuracy)}
        for (block, arm, point), accuracy in zip(planned, history.scores[BEST_VAL_ACCURACY], strict=True)
    ]
    return [[row for row in rows if row["block"] == block] for block in range(blocks)]


def _real(trials: list[list[Row]]) -> Claim:
    """Compare the best of nine real trials of both arms."""

    def best(rows: list[Row], arm: str) -> float:
        return float(max(row["val_accuracy"] for row in rows if row["arm"] == arm))

    differences = [best(rows, "random") - best(rows, "grid") for rows in trials]
    note = (
        "One fixed grid may be good or bad by chance; this one has rates of 0.03 in the middle and 10 at the end. The "
        "advantage of random search is a mean over peaks, so for one network only equality is tested."
    )
    says = "real trials: the best of nine, random minus grid, mean over blocks"
    return at_least("6.4", says, float(np.mean(differences)), -0.01, note=note)
