"""What choosing by validation cost, from pools that can be computed by hand."""

import base64

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.report.curves import Pool
from pipeline.report.selection import choice, correctness
from pipeline.study.spec import Arm
from pipeline.trials.trial import pack_bits


def pool(validation, test, correct=None, n=8):
    """A pool of one block with n validation examples; ``correct`` has a row of booleans for each trial."""
    texts = [""] * len(validation) if correct is None else [pack_bits(np.asarray(row, bool)) for row in correct]
    frame = pd.DataFrame({"val_correct": texts, "n_val": n})
    return Pool(Arm("random"), 0, np.array(validation), np.array(test), frame, ())


@pytest.mark.parametrize(
    ("validation", "test", "overtuning", "below"),
    [
        ([0.5, 0.7, 0.6, 0.8], [0.6, 0.9, 0.99, 0.8], 0.1, False),
        ([0.5, 0.7, 0.8], [0.6, 0.9, 0.5], 0.4, True),
        ([0.5, 0.8], [0.6, 0.7], 0.0, False),
        ([0.8, 0.8], [0.6, 0.9], 0.0, False),
    ],
)
def test_overtuning_is_what_the_best_former_leader_had_more(validation, test, overtuning, below):
    """Only trials that were in the lead count, and the winner is below the median only if it scores less than that."""
    found = choice(pool(validation, test))
    assert (found.overtuning, found.below_median) == (pytest.approx(overtuning), below)
    assert found.gap == validation[found.winner] - test[found.winner]


def test_trials_that_are_right_on_the_same_rows_share_the_choice():
    """Two equal trials are the best in every resample, half of it each; a third that is always wrong never is."""
    right = np.array([1, 1, 1, 0, 1, 1, 1, 1])
    found = choice(pool([0.875, 0.875, 0.0], [0.7, 0.9, 0.1], [right, right, 0 * right]))
    assert (found.n_tied, found.top) == (pytest.approx(2), pytest.approx(0.5))
    assert found.tie_aware == pytest.approx(0.8)


def test_without_records_of_rows_scores_are_normal_and_independent():
    """Each accuracy v of n examples has the variance v (1 - v) / (n - 1)."""
    found = choice(pool([0.4, 0.6], [0.4, 0.6], n=2))
    expected = stats.norm.cdf(0.2 / np.sqrt(2 * 0.24))
    assert found.top == found.independent_top == pytest.approx(expected, abs=0.03)


def test_packed_rows_come_back_or_are_not_known():
    """Bits are read as they were packed; a text that is missing, too short or too long for n rows is no record."""
    rows = np.random.default_rng(0).integers(0, 2, (3, 9))
    texts = [pack_bits(row.astype(bool)) for row in rows]
    np.testing.assert_array_equal(correctness(texts, 9), rows)
    for size in (0, 1, 3):
        assert correctness([*texts, base64.b64encode(bytes(size)).decode()], 9) is None
    assert correctness(texts, 0) is None
