"""Which hyperparameters mattered, on random trials alone and against what pure noise would show."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from pipeline.report.curves import Pool
from pipeline.report.intervals import Array, Interval, mean_interval
from pipeline.report.optuna_study import optuna_study, thinned
from pipeline.study.spec import SearchSpace
from pipeline.training.metrics import BEST_VAL_ACCURACY

SHUFFLES = 59
POOLED_TRIALS = 1_000  # of all blocks together, for the shuffles
BLOCK_TRIALS = 200  # of each block, for the forests
TREES, DEPTH = 16, 5  # of a forest
FEWEST = 50  # trials, so that five are among the best tenth


@dataclass(frozen=True)
class Importance:
    """For each of P hyperparameters: raw importances, what noise shows, and how many of them count.

    ``separates`` is PED-ANOVA's importance for being among the best tenth, (P,), and ``band`` the height that no bar of
    pure noise exceeds in 95 % of shuffles. ``variance`` is fANOVA's share of the variance of accuracy in each block,
    (K, P), ``noise`` the median share when the scores are shuffled, (P,).
    """

    names: tuple[str, ...]
    separates: Array
    band: Array
    variance: Array
    noise: Array

    @property
    def distinguishable(self) -> list[str]:
        """The hyperparameters whose bars rise above the band, most important first."""
        order = np.argsort(-self.separates, kind="stable")
        return [self.names[i] for i in order if self.separates[i] > self.band[i]]

    @property
    def effective(self) -> Interval | None:
        """The effective number of hyperparameters and its interval over blocks; None if no share rises above noise."""
        counts = [count for count in map(effective_number, self.variance - self.noise) if count]
        if len(counts) < 2:
            return None
        found = mean_interval(np.array(counts))
        P = len(self.names)
        return Interval(found.estimate, max(found.low, 1.0), min(found.high, float(P)))


def effective_number(shares: Array) -> float:
    """1 / Σ share², with negative shares clipped at 0 and the rest scaled to sum to 1; 0 if none is left."""
    clipped = np.clip(shares, 0, None)
    return float(clipped.sum() ** 2 / (clipped**2).sum()) if clipped.any() else 0.0


def importance(pools: Sequence[Pool], space: SearchSpace) -> Importance | None:
    """The importances over the random pools of all blocks, or None if they are too few or all score the same."""
    frames = [thinned(pool.frame, max(POOLED_TRIALS // len(pools), 1)) for pool in pools]
    scores = [frame[BEST_VAL_ACCURACY].to_numpy(float) for frame in frames]
    if sum(map(len, scores)) < FEWEST or np.ptp(np.concatenate(scores)) == 0:
        return None
    separates, null = _separation(pd.concat(frames), scores, space)
    shares = [_variance(thinned(pool.frame, BLOCK_TRIALS), space, pool.block) for pool in pools]
    variance, noise = np.swapaxes(shares, 0, 1)
    return Importance(tuple(space), separates, noise_band(null), variance, np.median(noise, axis=0))


def noise_band(null: Array) -> Array:
    """The heights (P,) that all bars together stay below in 95 of 100 shuffles (R, P), each in proportion to its mean."""
    scale = np.maximum(null.mean(axis=0), 1e-300)
    highest = np.sort((null / scale).max(axis=1))
    rank = int(np.ceil(0.95 * (len(null) + 1)))
    return np.asarray(scale * highest[min(rank, len(null)) - 1])


def _separation(frame: pd.DataFrame, scores: list[Array], space: SearchSpace) -> tuple[Array, Array]:
    """PED-ANOVA of the scores, (P,), and of scores that are shuffled within their blocks, (R, P)."""
    rng = np.random.default_rng(0)
    shadow = optuna_study(frame, space, np.concatenate(scores), straight=True)
    null = [_separates(shadow, np.concatenate([rng.permutation(x) for x in scores]), space) for _ in range(SHUFFLES)]
    return _separates(shadow, np.concatenate(scores), space), np.array(null)


def _separates(shadow: optuna.Study, scores: Array, space: SearchSpace) -> Array:
    losses = -scores  # a target is taken to be better when it is lower
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna says so of every target
        found = PedAnovaImportanceEvaluator().evaluate(shadow, target=lambda trial: losses[trial.number])
    return np.array([found[name] for name in space])


def _variance(frame: pd.DataFrame, space: SearchSpace, block: int) -> Array:
    """fANOVA's shares of the variance of one block's scores, and of the same scores shuffled, (2, P)."""
    scores = frame[BEST_VAL_ACCURACY].to_numpy(float)
    noise = np.random.default_rng(block).permutation(scores)
    return np.stack([_shares(frame, values, space) for values in (scores, noise)])


def _shares(frame: pd.DataFrame, scores: Array, space: SearchSpace) -> Array:
    if np.ptp(scores) == 0:
        return np.zeros(len(space))
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=0)
    found = evaluator.evaluate(optuna_study(frame, space, scores, straight=True))
    return np.array([found[name] for name in space], dtype=float)
