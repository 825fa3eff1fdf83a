"""The gradient check: a wrong gradient is found in its array, and kinks are not faults."""

import numpy as np

from pipeline.checks.gradients import gradient_errors
from pipeline.data import Dataset, Split
from pipeline.nn.layers import Dense
from pipeline.study.hparams import HyperParams


def test_the_gradient_check_names_the_wrong_array(monkeypatch):
    """One per cent in the bias gradients is an error above 1e-3 there, and none in the weights."""
    rng = np.random.default_rng(0)
    rows = Split(rng.standard_normal((1000, 500)), rng.integers(0, 10, 1000))
    data, trial = Dataset(rows, rows, rows, 10), HyperParams(hidden=(20, 15))
    assert max(gradient_errors(trial, data).values()) < 1e-6
    right = Dense.backward

    def backward(self, params, grads, *rest):
        result = right(self, params, grads, *rest)
        grads["b"] *= 1.01
        return result

    monkeypatch.setattr(Dense, "backward", backward)
    errors = gradient_errors(trial, data)
    assert {name for name, error in errors.items() if error > 1e-3} == {name for name in errors if name[0] == "b"}
