"""The choice by validation, from pools that can be computed by hand."""

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
def test_overtuning_is_the_lead_of_the_best_earlier_incumbent(validation, test, overtuning, below):
    """Only incumbents count, and the winner is below their median only if it scores less."""
    found = choice(pool(validation, test))
    assert (found.overtuning, found.below_median) == (pytest.approx(overtuning), below)
    assert found.gap == validation[found.winner] - test[found.winner]


def test_trials_with_the_same_errors_share_the_choice():
    """Two equal trials share every resample; a third that is always wrong is never the best."""
    right = np.array([1, 1, 1, 0, 1, 1, 1, 1])
    found = choice(pool([0.875, 0.875, 0.0], [0.7, 0.9, 0.1], [right, right, 0 * right]))
    assert (found.n_tied, found.top) == (pytest.approx(2), pytest.approx(0.5))
    assert found.tie_aware == pytest.approx(0.8)


def test_without_bits_scores_are_normal_and_independent():
    """Each accuracy v of n examples has the variance v (1 - v) / (n - 1)."""
    found = choice(pool([0.4, 0.6], [0.4, 0.6], n=2))
    expected = stats.norm.cdf(0.2 / np.sqrt(2 * 0.24))
    assert found.top == found.independent_top == pytest.approx(expected, abs=0.03)


def test_packed_bits_are_unpacked_or_unknown():
    """Bits are unpacked as they were packed; a text that is missing, too short or too long for n rows gives None."""
    rows = np.random.default_rng(0).integers(0, 2, (3, 9))
    texts = [pack_bits(row.astype(bool)) for row in rows]
    np.testing.assert_array_equal(correctness(texts, 9), rows)
    for size in (0, 1, 3):
        assert correctness([*texts, base64.b64encode(bytes(size)).decode()], 9) is None
    assert correctness(texts, 0) is None
