"""Activation statistics: the numbers of the lecture, and batch norm."""

import numpy as np
import pytest

from pipeline.checks.activations import activation_statistics, layer_statistics, signal_fault
from pipeline.data import Dataset, Split
from pipeline.study.hparams import HyperParams
from pipeline.study.spec import Categorical, Float, SearchSpace, Study


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


@pytest.mark.parametrize(
    ("inits", "batch_norm", "advice"),
    [
        (("small", "he"), False, "expect late starts there; He or Xavier, or batch norm may keep the signal"),
        (("xavier", "he"), False, "expect late starts there; He, or batch norm may keep the signal"),
        (("he",), False, "expect late starts there; batch norm may keep the signal"),
        (("he",), True, ""),
    ],
)
def test_the_advice_is_not_what_the_networks_do_already(inits, batch_norm, advice):
    """Where all faulty networks start by He's rule, He is no advice; neither is batch norm where all have it."""
    space = SearchSpace(learning_rate=Float(0.01, 1), init=Categorical(*inits))
    fixed = HyperParams(hidden=(50,) * 40, activation="silu", batch_norm=batch_norm)
    result = activation_statistics(Study(name="s", question="?", space=space, fixed=fixed), _gaussian(64))
    assert result.advice == advice


def test_one_kind_of_network_is_one():
    """The message counts the kinds of networks, and one of them is not "all 1 kinds"."""
    for inits, kinds in ((("he",), ""), (("he", "xavier"), " in all 2 kinds of networks")):
        space = SearchSpace(learning_rate=Float(0.01, 1), init=Categorical(*inits))
        assert activation_statistics(Study(name="s", question="?", space=space), _gaussian(64)).message == (
            f"healthy{kinds}"
        )
