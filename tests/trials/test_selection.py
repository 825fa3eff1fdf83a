"""The choice by validation: how probable each trial is once the rows are drawn again, and who is trained again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from pipeline.study.metrics import METRICS, score_rows
from pipeline.trials.row_scores import pack_bits, pack_scores
from pipeline.trials.selection import (
    CONTENDERS,
    LONGEST,
    RESAMPLES,
    choice_probabilities,
    expected_by_budget,
    repetitions_of,
    share_of_best,
)

ROWS = 40


def rows(right, first=0):
    """Which of the validation rows a trial has right: a number of them, from the first on."""
    return np.isin(np.arange(ROWS), np.arange(first, first + right) % ROWS)


def probabilities(trials, eligible=None, n_val=ROWS, block=0, spread=0.0):
    """The probability that each trial is chosen, from the rows that it has right."""
    correct = np.array(trials)
    eligible = np.ones(len(correct), bool) if eligible is None else np.array(eligible)
    return choice_probabilities(
        correct.mean(axis=1), [pack_bits(row) for row in correct], eligible, n_val, block, spread
    )


def test_trials_that_are_right_on_the_same_rows_share_the_choice():
    """Equal trials have equal probabilities, to the last bit, and a trial that is right on all their rows and more has all."""
    assert probabilities([rows(30), rows(30), rows(20), rows(30)]).tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3])
    nested = probabilities([rows(30), rows(35), rows(20)])
    assert nested[1] > 0.99
    assert nested[2] == 0


def test_errors_on_the_same_rows_stay_correlated():
    """The same lead is certain where it is on top of common rows, and doubtful where the trials are right on others."""
    assert probabilities([rows(36), rows(34)])[0] > 0.85
    apart = probabilities([rows(36), rows(34, first=6)])
    assert 0.6 < apart[0] < 0.85
    assert apart.sum() == pytest.approx(1)


def test_the_probability_is_that_of_the_draws():
    """Of two trials that differ on two rows only, one each, each wins when its row is drawn more often."""
    first, second = rows(30), rows(30)
    first[38], second[39] = True, True
    drawn = np.random.default_rng(3).integers(ROWS, size=(RESAMPLES, ROWS))
    draws = np.array([np.bincount(rows_drawn, minlength=ROWS) for rows_drawn in drawn])
    expected = np.mean((draws[:, 38] > draws[:, 39]) + (draws[:, 38] == draws[:, 39]) / 2)
    assert probabilities([first, second], block=3)[0] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc"])
def test_the_choice_by_row_scores_is_that_of_the_metric_on_the_drawn_rows(name):
    """The probabilities, from a byte a row, are those of computing the metric again on each draw, to 4 points in 100."""
    rng, trials = np.random.default_rng(5), 4
    labels = (rng.random(200) < 0.15).astype(int)
    logits = rng.normal(size=(1, 200)) + 0.5 * rng.normal(size=(trials, 200)) + 2.0 * labels - 1.5
    outputs = np.stack([1 - expit(logits), expit(logits)], axis=2)
    values, scores = score_rows(METRICS[name], labels, outputs)
    found = choice_probabilities(values, [pack_scores(row) for row in scores], np.ones(trials, bool), 200, block=1)
    draws = np.random.default_rng(1).integers(200, size=(RESAMPLES, 200))
    again = np.array([score_rows(METRICS[name], labels[draw], outputs[:, draw])[0] for draw in draws])
    np.testing.assert_allclose(found, share_of_best(again), atol=0.04)
    assert found.max() < 0.95  # the choice is open, so that the test can fail


def test_new_weights_make_the_choice_less_certain():
    """The more a trial's accuracy varies over weights, the closer the probabilities are to equal, and rows alone are 0."""
    trials = [rows(36), rows(34), rows(30)]
    by_spread = np.array([probabilities(trials, spread=spread) for spread in (0.0, 0.02, 0.1, 10.0)])
    assert np.all(np.diff(by_spread[:, 0]) < 0)
    assert np.all(np.diff(by_spread[:, 2]) > 0)
    np.testing.assert_allclose(by_spread[-1], 1 / 3, atol=0.05)
    np.testing.assert_allclose(by_spread.sum(axis=1), 1)
    np.testing.assert_array_equal(by_spread[0], probabilities(trials))


def test_new_weights_move_each_trial_by_itself():
    """Two trials with the same right rows win as often as normal numbers say: half each; a lead of d wins by Φ(d / √2 spread)."""
    same = probabilities([rows(30), rows(30)], spread=0.05)
    np.testing.assert_allclose(same, 0.5, atol=0.04)
    ahead = probabilities([np.ones(ROWS, bool), np.zeros(ROWS, bool)], spread=1.0)  # rows do not matter: the lead is 1
    assert ahead[0] == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.03)


def test_a_trial_that_diverged_is_never_chosen_while_another_can_be():
    """The others share as if it were absent, and its rows need not be known; if none is eligible, all are."""
    trials, eligible = [rows(40), rows(30), rows(28, first=8)], [False, True, True]
    left_out = probabilities(trials, eligible)
    assert left_out.tolist() == [0, *probabilities(trials[1:])]
    bits = ["", *(pack_bits(trial) for trial in trials[1:])]
    unknown = choice_probabilities(np.array([1, 0.75, 0.7]), bits, np.array(eligible), ROWS, 0)
    np.testing.assert_array_equal(unknown, left_out)
    np.testing.assert_array_equal(probabilities(trials, [False] * 3), probabilities(trials))


@pytest.mark.parametrize(("bits", "n_val"), [("", ROWS), (pack_bits(rows(30)), 0), (pack_bits(rows(30)[:8]), ROWS)])
def test_unknown_rows_give_no_probability(bits, n_val):
    """None is returned if a trial that could be chosen has no rows, other rows, or their number is unknown."""
    both = [pack_bits(rows(30)), bits]
    assert choice_probabilities(np.array([0.75, 0.75]), both, np.array([True, True]), n_val, 0) is None


def test_only_the_best_contend():
    """Trials beyond the best two hundred are never chosen, and their rows need not be known."""
    number = CONTENDERS + 3
    bits = [pack_bits(rows(30))] * CONTENDERS + [""] * 3
    validation = np.where(np.arange(number) < CONTENDERS, 0.75, 0.7)
    found = choice_probabilities(validation, bits, np.ones(number, bool), ROWS, 0)
    assert found.tolist() == pytest.approx([1 / CONTENDERS] * CONTENDERS + [0] * 3)


@settings(deadline=None)
@given(
    st.integers(1, 12).flatmap(lambda trials: st.lists(st.integers(0, 2**ROWS - 1), min_size=trials, max_size=trials)),
    st.data(),
)
def test_probabilities_are_shares_of_one_choice(codes, data):
    """They sum to 1, and are 0 for trials that are not eligible; the order of the trials does not matter."""
    correct = np.array([[code >> i & 1 for i in range(ROWS)] for code in codes], bool)
    eligible = np.array(data.draw(st.lists(st.booleans(), min_size=len(codes), max_size=len(codes))))
    found = probabilities(correct, eligible)
    assert found.sum() == pytest.approx(1)
    assert found.min() >= 0
    if eligible.any():
        assert not found[~eligible].any()
    order = np.array(data.draw(st.permutations(range(len(codes)))))
    np.testing.assert_array_equal(probabilities(correct[order], eligible[order]), found[order])


@pytest.mark.parametrize(
    ("probable", "winner", "number", "expected"),
    [
        ([0.5, 0.3, 0.2], 0, 5, [0, 0, 0, 1, 2]),  # quotas 2.5, 1.5 and 1: of equal remainders, the first
        ([0.7, 0.2, 0.1], 2, 5, [2, 2, 0, 0, 0]),  # quotas 3.5, 1 and 0.5: the winner has two
        ([0.1, 0.2, 0.7], 2, 5, [2, 2, 2, 1, 0]),  # quotas 0.5, 1 and 3.5
        ([0.04, 0.06, 0.9], 0, 5, [0, 0, 2, 2, 2]),  # the winner has two, although its quota is 0.2
        ([0.0, 1.0], 0, 5, [0, 0, 1, 1, 1]),  # a winner that diverged
        ([1.0, 0.0], 0, 5, [0] * 5),
        ([0.6, 0.4], 1, 1, [1]),
        ([0.6, 0.4], 1, 0, []),
        ([0.2] * 5, 3, 5, [3, 3, 0, 1, 2]),
        ([0.1] * 10, 9, 5, [9, 9, 0, 1, 2]),
    ],
)
def test_repetitions_are_shared_by_the_largest_remainder(probable, winner, number, expected):
    """The winner comes first with at least two, then the most probable; each has its quota, rounded."""
    assert repetitions_of(np.array(probable), winner, number) == expected


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20).filter(any), st.integers(1, 30), st.data())
def test_each_trial_has_its_quota_rounded(weights, number, data):
    """There are as many as asked for; the winner is first; other trials lack what the winner gets beyond its own."""
    winner = data.draw(st.integers(0, len(weights) - 1))
    probable = np.array(weights) / sum(weights)
    chosen = repetitions_of(probable, winner, number)
    counts, quota = np.bincount(chosen, minlength=len(weights)), number * probable
    assert len(chosen) == number
    assert chosen[0] == winner
    others = np.arange(len(weights)) != winner
    assert np.all(counts[others] <= np.ceil(quota[others] + 1e-9))
    assert np.all(counts[others & (quota == 0)] == 0)
    least = min(number, 2)
    assert max(least, np.floor(quota[winner] - 1e-9)) <= counts[winner] <= max(least, np.ceil(quota[winner] + 1e-9))
    missing = np.maximum(np.floor(quota[others] - 1e-9) - counts[others], 0).sum()
    assert missing <= max(least - quota[winner], 0)
    assert chosen == sorted(chosen, key=lambda trial: (trial != winner, -probable[trial], trial))


def expected(trials, accuracies, eligible=None, spread=0.0):
    """The expected accuracy of the choice among the first n trials, by n."""
    correct = np.array(trials)
    eligible = np.ones(len(correct), bool) if eligible is None else np.array(eligible)
    bits = [pack_bits(row) for row in correct]
    return expected_by_budget(correct.mean(axis=1), bits, eligible, ROWS, 0, spread, np.array(accuracies))


def test_the_expected_accuracy_by_budget_is_that_of_the_first_trials():
    """After n trials it is the sum of probabilities times accuracies of the first n alone, ties shared, by the same draws."""
    trials = [rows(20), rows(30), rows(30, first=5), rows(30), rows(36)]
    accuracies = np.array([0.1, 0.5, 0.9, 0.7, 0.3])
    alone = [probabilities(trials[:n]) @ accuracies[:n] for n in range(1, 6)]
    assert expected(trials, accuracies).tolist() == pytest.approx(alone)
    whole = probabilities(trials, spread=0.05) @ accuracies
    assert expected(trials, accuracies, spread=0.05)[-1] == pytest.approx(whole)


def test_a_trial_that_cannot_be_chosen_adds_nothing():
    """It is NaN before the first trial that can be chosen, and a later one that cannot leaves it as it was."""
    trials, eligible = [rows(39), rows(20), rows(38)], [False, True, False]
    np.testing.assert_array_equal(expected(trials, [0.1, 0.5, 0.9], eligible), [np.nan, 0.5, 0.5])


def test_the_expected_accuracy_by_budget_of_very_many_trials_is_left_out():
    """Their scores in every draw would take too much memory."""
    assert expected([rows(20)] * LONGEST, [0.5] * LONGEST)[-1] == pytest.approx(0.5)
    assert expected([rows(20)] * (LONGEST + 1), [0.5] * (LONGEST + 1)) is None
