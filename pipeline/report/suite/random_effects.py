"""The mean difference over data sets, and that on the next one, with data sets as a sample: random effects.

Set i has a true difference of its own, normal around the mean with variance tau², and its measured difference has noise
of variance v. For the true tau² and v, the generalized Q, Σ w (y - mean)² with w = 1 / (v + tau²), has the chi-squared
distribution with k - 1 degrees of freedom. Paule and Mandel (1982) solve Q = k - 1 for tau²; here it is solved for draws of
that distribution (Viechtbauer 2007, Q-profile; Nagashima, Noma and Furukawa 2019), so that the uncertainty of tau² is in
every number. v is drawn too, from its own few degrees of freedom. With equal v the interval of the mean is Student's t, which
Hartung and Knapp (2001) approximate by their factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pipeline.report.intervals import Array, Interval

FEWEST_SETS = 3
"""With two sets the spread between sets has one degree of freedom, and an interval of the mean tells nothing."""
DRAWS = 20_000
HALVINGS = 50
"""The steps of the bisection for tau²; each halves the interval."""


class SetDifference(NamedTuple):
    """The difference of two arms on one data set: the mean over its blocks, the variance of that, and its blocks."""

    estimate: float
    variance: float
    blocks: int


class Probabilities(NamedTuple):
    """The probabilities that a difference is above delta, within plus and minus delta, and below minus delta."""

    better: float
    equal: float
    worse: float


@dataclass(frozen=True)
class RandomEffects:
    """The distributions that the differences on some data sets give to the mean difference and to that on the next set.

    ``means`` and ``between`` are draws of the mean and of tau², (draws,).
    """

    sets: int
    means: Array
    between: Array

    @cached_property
    def next_set(self) -> Array:
        """Draws of the true difference on the next data set, (draws,)."""
        noise = np.random.default_rng(1).standard_normal(len(self.means))
        return self.means + noise * np.sqrt(self.between)

    @cached_property
    def spread(self) -> Interval:
        """The standard deviation of the true differences over data sets, with its 95 % interval."""
        return interval_of(np.sqrt(self.between))


def random_effects(sets: Sequence[SetDifference]) -> RandomEffects:
    """Combine the differences on at least :data:`FEWEST_SETS` data sets."""
    estimates, variances, blocks = (np.array(values, dtype=float) for values in zip(*sets, strict=True))
    means, between = confidence_draws(estimates, variances, blocks - 1, DRAWS, np.random.default_rng(0))
    return RandomEffects(len(sets), means, between)


def confidence_draws(y: Array, v: Array, freedom: Array, draws: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return draws of the mean and of tau², (..., draws) each.

    Parameters
    ----------
    y, v
        The differences and the variances of their noise, (..., k).
    freedom
        The degrees of freedom of the variances, (k,).
    draws
        The number of draws.
    rng
        The generator.
    """
    k, shape = y.shape[-1], (*y.shape[:-1], draws)
    y, v = y[..., None, :], v[..., None, :] * freedom / rng.chisquare(freedom, (*shape, k))
    between = solve_q(y, v, rng.chisquare(k - 1, shape))
    w = 1 / (v + between[..., None])
    total = w.sum(axis=-1)
    return (w * y).sum(axis=-1) / total + rng.standard_normal(shape) / np.sqrt(total), between


def solve_q(y: Array, v: Array, q: Array) -> Array:
    """Return the tau² at which the generalized Q of differences ``y`` with noise ``v``, (..., k), is ``q``, (...); at least 0."""
    low = np.zeros_like(q)
    high = ((y - y.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1) / q  # Q(tau²) is at most Σ (y - ȳ)² / tau²
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = generalized_q(y, v, middle) > q
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(low > 0, (low + high) / 2, 0.0)


def generalized_q(y: Array, v: Array, between: Array) -> Array:
    """Return Σ w (y - mean)² with w = 1 / (v + tau²), (...)."""
    w = 1 / (v + between[..., None])
    mean = (w * y).sum(axis=-1, keepdims=True) / w.sum(axis=-1, keepdims=True)
    q: Array = (w * (y - mean) ** 2).sum(axis=-1)
    return q


def interval_of(draws: Array, error: float = 0.05) -> Interval:
    """Return the median of draws, and the ends that leave half of the error out on each side."""
    low, middle, high = np.quantile(draws, [error / 2, 0.5, 1 - error / 2])
    return Interval(float(middle), float(low), float(high))


def probabilities(draws: Array, delta: float) -> Probabilities:
    """Return the shares of draws above delta, within plus and minus delta, and below minus delta."""
    better, worse = float(np.mean(draws > delta)), float(np.mean(draws < -delta))
    return Probabilities(better, 1.0 - better - worse, worse)
