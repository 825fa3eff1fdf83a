"""The choice by validation, from pools that can be computed by hand and from a simulation whose truth is known."""

import base64
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import RANDOM

from pipeline.report.curves import Pool
from pipeline.report.selection import choice
from pipeline.trials.row_scores import pack_bits, unpack
from pipeline.trials.selection import repetitions_of


def pool(validation, test, correct=None, n=8, diverged=False, block=0):
    """A pool of one block with n validation examples; ``correct`` has a row of booleans, or None, for each trial."""
    rows = [None] * len(validation) if correct is None else correct
    texts = ["" if row is None else pack_bits(np.asarray(row, bool)) for row in rows]
    frame = pd.DataFrame({"val_correct": texts, "n_val": n, "diverged": diverged})
    return Pool(RANDOM, block, np.array(validation, float), np.array(test, float), frame, ())


@pytest.mark.parametrize(
    ("validation", "test", "overtuning", "below"),
    [
        ([0.5, 0.7, 0.6, 0.8], [0.6, 0.9, 0.99, 0.8], 0.1, False),
        ([0.5, 0.7, 0.8], [0.6, 0.9, 0.5], 0.4, True),
        ([0.5, 0.8], [0.6, 0.7], 0.0, False),
        ([0.8, 0.8], [0.6, 0.9], 0.0, False),
    ],
)
def test_overtuning_is_the_lead_of_the_best_earlier_incumbent(validation, test, overtuning, below):
    """Only incumbents count, and the winner is below their median only if it scores less; equal trials share the gap."""
    found = choice(pool(validation, test))
    assert (found.overtuning, found.below_median) == (pytest.approx(overtuning), below)
    tied = np.equal(validation, max(validation))
    assert found.gap == pytest.approx(max(validation) - np.mean(np.array(test)[tied]))


RIGHT = np.array([1, 1, 1, 0, 1, 1, 1, 1])
"""Which of 8 validation rows a trial has right."""


def test_trials_with_the_same_errors_share_the_choice():
    """Two equal trials share every resample; a third that is always wrong is never the best."""
    found = choice(pool([0.875, 0.875, 0.0], [0.7, 0.9, 0.1], [RIGHT, RIGHT, 0 * RIGHT]))
    np.testing.assert_allclose(found.probabilities, [0.5, 0.5, 0])
    assert found.n_tied == pytest.approx(2)
    assert found.tie_aware == pytest.approx(0.8)


def test_a_diverged_trial_keeps_the_joint_probabilities_of_the_others():
    """A diverged trial has no record of its rows and is never chosen; the others still share their validation rows."""
    found = choice(
        pool([0.875, 0.1, 0.875, 0.0], [0.7, 0.1, 0.9, 0.1], [RIGHT, None, RIGHT, 0 * RIGHT], diverged=[0, 1, 0, 0])
    )
    np.testing.assert_allclose(found.probabilities, [0.5, 0, 0.5, 0])
    assert found.n_tied == pytest.approx(2)
    assert found.expected == pytest.approx(0.8)


def test_a_whole_trial_without_its_rows_makes_the_choice_independent():
    """A trial that could be chosen and has no record of its rows leaves only independent normal scores."""
    found = choice(pool([0.4, 0.6], [0.4, 0.6], [[1, 0], None], n=2))
    expected = stats.norm.cdf(0.2 / np.sqrt(2 * 0.24))
    assert found.probabilities.max() == found.independent_top == pytest.approx(expected, abs=0.03)


def test_without_bits_scores_are_normal_and_independent():
    """Each accuracy v of n examples has the variance v (1 - v) / (n - 1)."""
    found = choice(pool([0.4, 0.6], [0.4, 0.6], n=2))
    expected = stats.norm.cdf(0.2 / np.sqrt(2 * 0.24))
    assert found.probabilities.max() == found.independent_top == pytest.approx(expected, abs=0.03)


def test_without_the_number_of_rows_the_best_trials_share_the_choice():
    """Nothing is known of the luck of the rows, so there is none."""
    found = choice(pool([0.8, 0.9, 0.9, 0.7], [0.5, 0.6, 0.8, 0.9], n=0))
    np.testing.assert_array_equal(found.probabilities, [0, 0.5, 0.5, 0])
    assert (found.independent_top, found.expected) == (0.5, pytest.approx(0.7))


@pytest.mark.parametrize("n", [0, 8])
def test_without_bits_a_diverged_trial_is_not_chosen_either(n):
    """It has no share, whatever its accuracy, and the others have what they would have without it."""
    found = choice(pool([0.99, 0.6, 0.6], [0.1, 0.7, 0.9], n=n, diverged=[1, 0, 0]))
    assert found.probabilities[0] == 0
    np.testing.assert_allclose(found.probabilities[1:], 0.5, atol=0.05)


def test_weights_are_drawn_too_where_their_spread_is_known():
    """A trial whose rows are always better is not always chosen if new weights can move it."""
    apart = pool([0.875, 0.75], [0.7, 0.9], [RIGHT, RIGHT * np.where(np.arange(8) == 0, 0, 1)])
    certain, open_ = choice(apart), choice(apart, spread=0.2)
    assert certain.probabilities[0] > open_.probabilities[0] > 0.5
    assert certain.independent_top == open_.independent_top


def test_where_all_trials_diverged_each_can_be_chosen():
    """Trials that are all guesses with the same score share the choice, so that the expected accuracy exists."""
    found = choice(pool([0.1] * 4, [0.1] * 4, diverged=True))
    np.testing.assert_allclose(found.probabilities, np.full(4, 0.25), atol=0.05)
    assert found.expected == pytest.approx(0.1)


def test_rows_that_only_one_trial_has_right_decide():
    """Of two trials that differ in one row each, either wins where its row is drawn more often, and they share the rest."""
    one, other = (np.where(np.arange(8) == i, 0, 1) for i in (0, 1))
    found = choice(pool([0.875, 0.875], [0.7, 0.9], [one, other]))
    np.testing.assert_allclose(found.probabilities, [0.5, 0.5], atol=0.03)
    better = choice(pool([0.875, 0.75], [0.7, 0.9], [RIGHT, RIGHT * one]))
    missed = (7 / 8) ** 8  # the row that only the first has right is not drawn: they share the choice
    np.testing.assert_allclose(better.probabilities, [1 - missed / 2, missed / 2], atol=0.03)


def test_the_expected_accuracy_is_the_weighted_mean_of_new_trainings():
    """Σ w m: a trial that was trained again has the mean of its repetitions, and another one its recorded accuracy."""
    rows = [RIGHT, RIGHT, RIGHT, RIGHT, 0 * RIGHT]
    found = pool([0.875] * 4 + [0.0], [0.9, 0.8, 0.7, 0.6, 0.1], rows)
    assert choice(found).expected == pytest.approx((0.9 + 0.8 + 0.7 + 0.6) / 4)
    assert choice(found, {}).expected == choice(found).tie_aware
    again = choice(found, {0: 0.84, 2: 0.76})
    assert again.expected == pytest.approx((0.84 + 0.8 + 0.76 + 0.6) / 4)
    assert again.tie_aware == pytest.approx((0.9 + 0.8 + 0.7 + 0.6) / 4)


# A simulation with a known truth.

ROWS, TRIALS, REPETITIONS, LUCK = 120, 24, 300, 0.03


def answers(rng, level, easy):
    """Which rows networks of a given accuracy have right, (trials, rows); an easy row is right more often in all."""
    return rng.uniform(size=(len(level), len(easy))) < np.clip(level[:, None] + easy, 0, 1)


def simulated_block(rng, block):
    """One block: the expected accuracy of the choice, the true one, and the test accuracy of what a single search hands over.

    A trial is worth its mean accuracy over weights. Its weights are lucky on validation and test rows alike, the truth is
    the mean worth of the choices by validation rows that are drawn again, one row at a time.
    """
    worth = 0.75 + 0.03 * rng.normal(size=TRIALS)
    level = worth + LUCK * rng.normal(size=TRIALS)
    easy, easy_test = 0.1 * rng.uniform(-1, 1, size=(2, ROWS))
    right, tests = answers(rng, level, easy), answers(rng, level, easy_test)
    planned = choice(pool(right.mean(axis=1), tests.mean(axis=1), right, ROWS, block=block))
    repeated = np.array(repetitions_of(planned.probabilities, planned.winner, REPETITIONS))
    accuracies = answers(rng, worth[repeated] + LUCK * rng.normal(size=REPETITIONS), easy_test).mean(axis=1)
    again = {int(trial): float(accuracies[repeated == trial].mean()) for trial in np.unique(repeated)}
    redrawn = right[:, rng.integers(ROWS, size=(200, ROWS))].sum(axis=2)
    chosen = (redrawn + rng.uniform(size=redrawn.shape) / 2).argmax(axis=0)  # equal trials share the choice
    return replace(planned, again=again).expected, worth[chosen].mean(), tests[planned.winner].mean()


@pytest.fixture(scope="module")
def simulated():
    """Expected accuracy, truth and a single search of 300 blocks, (3, blocks)."""
    rng = np.random.default_rng(0)
    return np.array([simulated_block(rng, block) for block in range(300)]).T


def test_the_expected_accuracy_is_unbiased(simulated):
    """Its mean over blocks is that of the true expected accuracy; the recorded accuracies alone are too high, by lucky weights."""
    expected, truth, single = simulated
    error = stats.sem(expected - truth)
    assert abs((expected - truth).mean()) < 3 * error
    assert (single - truth).mean() > 5 * error


def test_the_expected_accuracy_varies_less_than_a_single_search(simulated):
    """Its error over blocks is at most two thirds of that of the model that one search hands over."""
    expected, truth, single = simulated
    assert (expected - truth).std() < (single - truth).std() * 2 / 3


def test_the_expected_accuracy_by_budget_ends_at_the_declared_one():
    """Its last value is the expected accuracy of the choice, also where it is unknown before, as without the right rows."""
    correct = np.random.default_rng(1).random((6, 24)) < 0.7
    known = choice(pool(correct.mean(axis=1), np.linspace(0, 1, 6), correct, n=24), {2: 0.35}, spread=0.02)
    assert list(known.expected_by_budget) == [1, 2, 3, 4, 5, 6]
    assert known.expected_by_budget[6] == known.expected
    assert known.expected_by_budget[1] == 0
    unknown = choice(pool([0.5, 0.7, 0.6], [0.4, 0.6, 0.5]))
    assert unknown.expected_by_budget == {3: unknown.expected}


def test_packed_bits_are_unpacked_or_unknown():
    """Bits are unpacked as they were packed; a text that is missing, too short or too long for n rows gives None."""
    rows = np.random.default_rng(0).integers(0, 2, (3, 9))
    texts = [pack_bits(row.astype(bool)) for row in rows]
    np.testing.assert_array_equal(unpack(texts, 9, np.zeros(9)), rows)
    for size in (0, 1, 3):
        assert unpack([*texts, base64.b64encode(bytes(size)).decode()], 9, np.zeros(9)) is None
    assert unpack(texts, 0, np.zeros(9)) is None
