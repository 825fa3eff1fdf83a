"""Activation statistics: the numbers of the lecture, and batch norm."""

import numpy as np
import pytest

from pipeline.checks.activations import layer_statistics, signal_fault
from pipeline.data import Dataset, Split
from pipeline.study.hparams import HyperParams


def _gaussian(features=500, rows=1000):
    """Inputs (rows, features) from N(0, 1), and random labels of ten classes."""
    rng = np.random.default_rng(0)
    split = Split(rng.standard_normal((rows, features)), rng.integers(0, 10, rows))
    return Dataset(split, split, split, 10)


LECTURE = {
    ("tanh", 0.01): "collapses",
    ("tanh", 1.0): "saturates",
    ("tanh", "xavier"): "",
    ("relu", "xavier"): "collapses",
    ("relu", "he"): "",
    ("relu", 1.0): "explodes",
}


def test_ten_layers_behave_as_in_the_lecture():
    """CS231n's ten layers of 500 units collapse, saturate, explode or stay healthy, with the spreads of the lecture."""
    data, std = _gaussian(), {}
    for activation in ("tanh", "relu"):
        schemes = [init for name, init in LECTURE if name == activation]
        for init, layers in zip(
            schemes,
            layer_statistics(HyperParams(hidden=(500,) * 10, activation=activation), data, schemes),
            strict=True,
        ):
            expected = LECTURE[activation, init]
            fault = signal_fault(layers, 1.0)
            assert fault.startswith(expected) if expected else not fault
            std[activation, init] = [layer.std for layer in layers]
            if init == 1.0 and activation == "tanh":
                assert all(0.89 < layer.saturated < 0.92 for layer in layers)
    assert std["tanh", 0.01][:6] == pytest.approx(
        [0.213081, 0.047551, 0.010630, 0.002378, 0.000532, 0.000119], rel=0.02
    )
    assert std["tanh", "xavier"][-1] == pytest.approx(0.228, abs=0.006)
    assert 0.012 < std["relu", "xavier"][-1] < 0.040
    assert 0.65 < np.exp(np.mean(np.log(std["relu", "he"]))) < 1.05


def test_batch_norm_makes_the_spread_the_same_for_every_init():
    """With batch norm the spread of each layer differs by less than 0.005 between initialisations."""
    trial = HyperParams(hidden=(100,) * 5, activation="tanh", batch_norm=True)
    spreads = [[layer.std for layer in layers] for layers in layer_statistics(trial, _gaussian(), [0.05, 1.0, "he"])]
    assert np.ptp(spreads, axis=0).max() < 0.005
