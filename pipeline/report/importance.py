"""The importance of each hyperparameter, from random trials alone, compared with what pure noise gives."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

from pipeline.report.curves import Pool
from pipeline.report.intervals import SHARE, Array, Interval, mean_band, mean_interval
from pipeline.report.optuna_study import optuna_study, thinned
from pipeline.study.spec import SearchSpace

SHUFFLES = 59
POOLED_TRIALS = 1_000  # of all blocks together, for PED-ANOVA and its shuffles
BLOCK_TRIALS = 200  # of each block, for fANOVA's forests
TREES, DEPTH = 16, 5  # of a forest
FEWEST = 50  # trials; five of them are the best tenth


@dataclass(frozen=True)
class Importance:
    """The importances of P hyperparameters and the level of noise.

    ``separates`` (P,) is PED-ANOVA's importance for being among the best tenth, and ``band`` (P,) the height that no bar of
    pure noise exceeds in 95 % of shuffles. ``variance`` (K, P) is fANOVA's share of the variance of the scores in each block,
    and ``noise`` (P,) the median share over blocks when the scores are shuffled.
    """

    names: tuple[str, ...]
    separates: Array
    band: Array
    variance: Array
    noise: Array

    @property
    def above_noise(self) -> NDArray[np.bool_]:
        """True for each bar that exceeds its own mark of noise, (2, P): PED-ANOVA's, then fANOVA's with its interval."""
        _, low, _ = mean_band(self.variance, within=SHARE)
        return np.array([self.separates > self.band, low > self.noise])  # a single block has no interval: False

    @property
    def distinguishable(self) -> list[str]:
        """The hyperparameters that PED-ANOVA tells from noise, most important first."""
        order = np.argsort(-self.separates, kind="stable")
        return [self.names[i] for i in order if self.above_noise[0, i]]

    @property
    def effective(self) -> Interval | None:
        """The effective number of hyperparameters and its interval; None if fewer than two blocks exceed noise."""
        counts = [count for count in map(effective_number, self.variance - self.noise) if count]
        if len(counts) < 2:
            return None
        interval = mean_interval(np.array(counts))
        return Interval(interval.estimate, max(interval.low, 1.0), min(interval.high, float(len(self.names))))


def effective_number(shares: Array) -> float:
    """Compute 1 / Σ share² of the positive shares, scaled to sum to 1; 0 without any."""
    clipped = np.clip(shares, 0, None)
    return float(clipped.sum() ** 2 / (clipped**2).sum()) if clipped.any() else 0.0


def importance(pools: Sequence[Pool], space: SearchSpace) -> Importance | None:
    """Compute the importances from the random pools of all blocks; None for few trials or equal scores."""
    frames = [thinned(pool.frame, max(POOLED_TRIALS // len(pools), 1)) for pool in pools]
    scores = [frame[pools[0].metric.best_val].to_numpy(float) for frame in frames]
    if sum(map(len, scores)) < FEWEST or np.ptp(np.concatenate(scores)) == 0:
        return None
    separates, null = _separation(pd.concat(frames), scores, space, pools[0].metric.best_val)
    shares = [_variance_shares(thinned(pool.frame, BLOCK_TRIALS), space, pool) for pool in pools]
    variance, noise = np.swapaxes(shares, 0, 1)
    return Importance(tuple(space), separates, noise_band(null), variance, np.median(noise, axis=0))


def noise_band(null: Array) -> Array:
    """Return the heights (P,) that all bars together stay below in 95 of 100 shuffles, given those of R shuffles, (R, P).

    Each height is in proportion to the mean of its column.
    """
    scale = np.maximum(null.mean(axis=0), 1e-300)
    highest = np.sort((null / scale).max(axis=1))
    rank = int(np.ceil(0.95 * (len(null) + 1)))
    return np.asarray(scale * highest[min(rank, len(null)) - 1])


def _separation(frame: pd.DataFrame, scores: list[Array], space: SearchSpace, column: str) -> tuple[Array, Array]:
    """PED-ANOVA of the scores, (P,), and of scores that are shuffled within their blocks, (R, P)."""
    rng = np.random.default_rng(0)
    study, evaluator = optuna_study(frame, space, column), PedAnovaImportanceEvaluator()
    shuffles = [np.concatenate([rng.permutation(x) for x in scores]) for _ in range(SHUFFLES)]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # Optuna warns of every target that a lower value is taken as better
        separates, *null = (_evaluate(evaluator, study, -x, space) for x in (np.concatenate(scores), *shuffles))
    return separates, np.array(null)


def _variance_shares(frame: pd.DataFrame, space: SearchSpace, pool: Pool) -> Array:
    """fANOVA's shares of the variance of one block's scores, and of the same scores shuffled, (2, P)."""
    scores = frame[pool.metric.best_val].to_numpy(float)
    if np.ptp(scores) == 0:
        return np.zeros((2, len(space)))
    study, noise = (
        optuna_study(frame, space, pool.metric.best_val),
        np.random.default_rng(pool.block).permutation(scores),
    )
    evaluator = FanovaImportanceEvaluator(n_trees=TREES, max_depth=DEPTH, seed=0)
    return np.stack([_evaluate(evaluator, study, values, space) for values in (scores, noise)])


def _evaluate(evaluator: BaseImportanceEvaluator, study: optuna.Study, values: Array, space: SearchSpace) -> Array:
    """The importance of each hyperparameter for a value of each trial, (P,)."""
    importances = evaluator.evaluate(study, target=lambda trial: values[trial.number])
    return np.array([importances[name] for name in space], dtype=float)
