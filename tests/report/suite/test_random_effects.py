"""The mean over data sets and the next one: known answers, and coverage by simulation."""

import numpy as np
import pytest
from scipy import stats

from pipeline.report.suite.random_effects import (
    SetDifference,
    confidence_draws,
    generalized_q,
    interval_of,
    probabilities,
    random_effects,
    solve_q,
)

Y = np.array([0.01, -0.02, 0.05, 0.03, 0.0])


def test_paule_and_mandels_equation_is_solved():
    """The solution has the asked Q; where even no spread between sets has a smaller Q, it is 0."""
    v = np.array([1e-4, 4e-4, 1e-5, 2e-4, 1e-4])
    between = solve_q(Y, v, np.array(4.0))
    assert between > 0
    assert generalized_q(Y, v, between) == pytest.approx(4.0)
    assert solve_q(Y, np.full(5, 1.0), np.array(4.0)) == 0.0


def test_without_noise_the_mean_has_students_interval_and_the_next_set_its_prediction():
    """Sets that are measured without noise are a sample of numbers: both intervals are then exact t-intervals."""
    effects = random_effects([SetDifference(y, 1e-14, 10) for y in Y])
    sd, t = Y.std(ddof=1), stats.t.ppf(0.975, 4)
    mean, following = interval_of(effects.means), interval_of(effects.next_set)
    assert mean.estimate == pytest.approx(Y.mean(), abs=2e-4)
    assert mean.high - mean.low == pytest.approx(2 * t * sd / np.sqrt(5), rel=0.03)
    assert following.high - following.low == pytest.approx(2 * t * sd * np.sqrt(1 + 1 / 5), rel=0.03)


def test_a_precise_set_weighs_more_where_sets_agree():
    """Between equal true differences, the mean follows the set with the least noise."""
    sets = [SetDifference(0.010, 1e-8, 30), SetDifference(0.02, 1e-3, 10), SetDifference(0.0, 1e-3, 10)]
    assert np.median(random_effects(sets).means) == pytest.approx(0.010, abs=5e-4)


def test_swapped_arms_change_the_sign_alone():
    """The distribution of second minus first mirrors that of first minus second, up to the noise of the draws."""
    one, other = (random_effects([SetDifference(sign * y, 1e-4, 8) for y in Y]) for sign in (1, -1))
    a, b = interval_of(one.means), interval_of(other.means)
    assert (a.low, a.high) == pytest.approx((-b.high, -b.low), abs=2e-3)
    assert probabilities(one.next_set, 0.01).better == pytest.approx(
        probabilities(other.next_set, 0.01).worse, abs=0.01
    )
    assert sum(probabilities(one.means, 0.01)) == pytest.approx(1.0)


CASES = [
    (sets, noise, between, outlier)
    for sets in (4, 8, 15)
    for noise in ("equal", "unequal")
    for between, outlier in ((0.0, False), (0.2, False), (0.8, False), (0.2, True))
]
NOISE = {"equal": [0.7], "unequal": [0.15, 0.4, 0.9, 2.0]}
"""The standard deviation over blocks of each set's differences, in points, repeated over the sets."""
BLOCKS = [6, 10]


def simulated(sets, noise, between, outlier, runs):
    """A generator, and the differences and variances that it has drawn, (runs, sets) each, in points."""
    rng = np.random.default_rng([sets, int(10 * between), outlier])
    blocks, sd = np.resize(BLOCKS, sets), np.resize(NOISE[noise], sets)
    truth = rng.normal(0, between, (runs, sets))
    truth[:, rng.integers(sets)] += 4 * between * outlier
    y = truth + rng.normal(size=(runs, sets)) * sd / np.sqrt(blocks)
    v = sd**2 * rng.chisquare(blocks - 1, (runs, sets)) / (blocks - 1) / blocks
    return rng, y, v


def coverage(sets, noise, between, outlier, runs=2000, draws=500):
    """The shares of simulated suites whose 95 % intervals hold the mean, and the true difference of a next set.

    The true differences have a mean of 0 and the standard deviation ``between``, in points. An outlier is one set that is
    moved by four times that; the truth is still that of the others.
    """
    blocks = np.resize(BLOCKS, sets)
    rng, y, v = simulated(sets, noise, between, outlier, runs)
    held = np.zeros(2)
    for part in np.array_split(np.arange(runs), 20):  # a part fits into the cache
        means, variances = confidence_draws(y[part], v[part], blocks - 1.0, draws, rng)
        following = means + rng.normal(size=means.shape) * np.sqrt(variances)
        for i, (found, true) in enumerate(((means, 0.0), (following, rng.normal(0, between, len(part))))):
            low, high = np.quantile(found, [0.025, 0.975], axis=1)
            held[i] += np.sum((low <= true) & (true <= high))
    return held / runs


def usual_coverage(sets, noise, between, outlier, runs=2000):
    """The same of the usual intervals: Hartung and Knapp's with Paule and Mandel's tau², and Higgins's for the next set."""
    rng, y, v = simulated(sets, noise, between, outlier, runs)
    variances = solve_q(y, v, np.full(runs, sets - 1.0))  # the factor of Hartung and Knapp is then 1, or is raised to 1
    w = 1 / (v + variances[:, None])
    mean, variance = (w * y).sum(axis=1) / w.sum(axis=1), 1 / w.sum(axis=1)
    held = np.abs(mean) < stats.t.ppf(0.975, sets - 1) * np.sqrt(variance)
    following = np.abs(mean - rng.normal(0, between, runs))
    return held.mean(), np.mean(following < stats.t.ppf(0.975, sets - 2) * np.sqrt(variance + variances))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_intervals_over_data_sets_hold_the_truth(case):
    """With 4, 8 and 15 sets, equal and unequal noise, and one outlier, both intervals hold the truth in about 95 %."""
    assert coverage(*case).min() > 0.92


if __name__ == "__main__":
    for case in CASES:
        numbers = [*coverage(*case), *usual_coverage(*case)]
        print(*case, *(f"{share:.3f}" for share in numbers), sep=" | ")  # noqa: T201  run as a script, it prints
