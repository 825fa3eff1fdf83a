"""Trials: the numbers that no store can hold are named."""

import math

import pytest

from pipeline.trials.trial import FinishedTrial, TrialResult


def result(scores, curves, *, diverged=False):
    """Return a result with these measurements."""
    return TrialResult(curves, scores, diverged, 2, 1.0, 1.0, 0, 0, "", "")


@pytest.mark.parametrize(
    ("scores", "curves", "diverged", "named"),
    [
        ({"test/loss": 0.5, "saturated_units": math.nan}, {"val/loss": [1.0, 2.0]}, False, ""),
        ({"test/loss": math.inf, "dead_units": math.nan}, {}, False, "test/loss"),
        ({"test/loss": math.nan}, {"update_ratio/layer1": [math.inf, 1.0]}, False, "test/loss update_ratio/layer1"),
        ({"test/loss": math.nan, "initial/loss": math.nan}, {}, True, "initial/loss"),
        ({"gradient_norm/layer1": math.inf}, {}, True, "gradient_norm/layer1"),
    ],
)
def test_measurements_that_are_not_finite_are_named(scores, curves, diverged, named):
    """Infinite measurements are named, and NaN losses of trials that did not diverge; NaN for not measured is not."""
    trial = FinishedTrial(None, result(scores, curves, diverged=diverged))
    assert trial.not_finite == named
