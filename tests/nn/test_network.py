"""Gradients, checked along random directions in float64: every layer, for one trial and for several at once."""

import numpy as np
import pytest
from differences import RIGHT, STEP, WRONG, draw, greatest_error, moved, objective

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.layers import BatchNorm, Dense, Nonlinearity
from pipeline.nn.losses import softmax_cross_entropy_gradient
from pipeline.nn.network import Architecture, init_network
from pipeline.nn.optimizers import add_decay
from pipeline.nn.regularisers import add_l1, l2_penalty

ROWS, CLASSES, FEATURES = 12, 5, 7
RNG = np.random.default_rng(1)
INPUTS, LABELS = RNG.standard_normal((ROWS, FEATURES)), RNG.integers(0, CLASSES, ROWS)


def drawn(trials, activation="tanh", **structure):
    """Return networks with two hidden layers."""
    return draw(Architecture((FEATURES, 9, 8, CLASSES), activation, **structure), trials, [0.3, 0.5, 0.1])


def error_of(trials=2, smoothing=0.0, **structure):
    """Return the greatest relative error of any trial."""
    return greatest_error(drawn(trials, **structure), INPUTS, LABELS, smoothing)


@pytest.mark.parametrize("trials", [1, 3])
@pytest.mark.parametrize("norm", [{}, {"batch_norm": True}, {"layer_norm": True}])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_agrees_with_differences(activation, norm, trials):
    """Along random directions the gradient is the slope of the loss, for every activation, every norm and every trial."""
    assert error_of(trials, activation=activation, **norm) < RIGHT


@pytest.mark.parametrize("structure", [{"dropout": True}, {"dropout": True, "batch_norm": True, "layer_norm": True}])
@pytest.mark.parametrize("activation", ["relu", "maxout"])
def test_dropout_and_all_norms_together_agree(activation, structure):
    """Dropout's gradient uses the mask that was drawn, with and without both norms."""
    assert error_of(3, activation=activation, **structure) < RIGHT


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_the_gradient_is_that_of_the_smoothed_loss(smoothing):
    """With smoothed labels, the objective is (1 - s) times the label's cross-entropy plus s times the mean over classes."""
    assert error_of(smoothing=smoothing) < RIGHT


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradient_is_that_of_the_weighted_loss(smoothing):
    """With weights of the rows, some of them 0, the objective is the mean of weight times loss."""
    weights = np.where(np.arange(ROWS) % 4, np.random.default_rng(4).exponential(size=ROWS), 0)
    error = greatest_error(drawn(2, batch_norm=True), INPUTS, LABELS, smoothing, weights)
    assert error < RIGHT


def test_no_hidden_layer_is_a_linear_classifier():
    """The gradient of a network without hidden layers agrees with differences."""
    network = init_network(Architecture((FEATURES, CLASSES), "relu"), [0.5], [0], "float64")
    assert greatest_error(network, INPUTS, LABELS) < RIGHT


def l1_penalty(params, l1):
    """l1·Σ|W| of each trial, (K,)."""
    return l1 * sum(np.abs(weights).reshape(len(weights), -1).sum(axis=1) for weights in params.weights)


@pytest.mark.parametrize(("penalty", "add_gradient"), [(l2_penalty, add_decay), (l1_penalty, add_l1)])
def test_the_added_gradient_is_that_of_the_penalty(penalty, add_gradient):
    """½·l2·ΣW² has the gradient l2·W and l1·Σ|W| has l1·sign(W), for each trial's number; biases and norms add nothing."""
    network, strength = drawn(3, batch_norm=True), np.array([0.1, 0.0, 2.0])
    grads = network.params.with_values(np.zeros_like(network.params.values))
    add_gradient(network.params, grads, strength[:, None])
    direction = np.random.default_rng(0).standard_normal(network.params.values.shape)
    ahead, behind = (penalty(moved(network, s * STEP * direction).params, strength) for s in (1, -1))
    np.testing.assert_allclose(
        (ahead - behind) / (2 * STEP), (grads.values * direction).sum(axis=1), rtol=1e-6, atol=1e-9
    )


def test_the_penalty_is_half_l2_times_the_squared_weights():
    """The penalty is ½·l2·ΣW², so l2 = 1000 adds 500·ΣW² to the loss of the lecture's network."""
    network = init_network(Architecture((3072, 50, 10), "relu"), [1e-4] * 2, [0, 1], "float64")
    network.params.layers[0]["b"][:] = 7  # a bias is no weight
    squares = [sum((W[k] ** 2).sum() for W in network.params.weights) for k in range(2)]
    penalty = l2_penalty(network.params, np.array([1e3, 1e3]))
    np.testing.assert_allclose(penalty, 500 * np.array(squares), rtol=1e-12)
    assert np.all(np.abs(np.log(10) + penalty - 3.0731) < 0.012)


def missing_division(monkeypatch):  # noqa: D103  its name says the fault
    right = softmax_cross_entropy_gradient
    monkeypatch.setattr("differences.softmax_cross_entropy_gradient", lambda p, y, *_: right(p, y, ROWS))


def biases_one_per_cent_off(monkeypatch):  # noqa: D103  its name says the fault
    right = Dense.backward

    def backward(self, params, grads, *rest):
        result = right(self, params, grads, *rest)
        grads["b"] *= 1.01
        return result

    monkeypatch.setattr(Dense, "backward", backward)


def slope_missing(monkeypatch):  # noqa: D103  its name says the fault
    monkeypatch.setattr(Nonlinearity, "backward", lambda *arguments: arguments[4])


def batch_norm_without_its_mean(monkeypatch):  # noqa: D103  its name says the fault
    monkeypatch.setattr(BatchNorm, "backward", lambda *arguments: arguments[4])


@pytest.mark.parametrize(
    "fault", [missing_division, biases_one_per_cent_off, slope_missing, batch_norm_without_its_mean]
)
def test_an_injected_fault_shows(fault, monkeypatch):
    """Each of the classical faults gives an error above 1e-3, so the check can fail."""
    structure = {"batch_norm": fault is batch_norm_without_its_mean}
    assert error_of(**structure) < RIGHT
    fault(monkeypatch)
    assert error_of(**structure) > WRONG


@pytest.mark.parametrize("factor", [0.0, 2.0])
def test_a_wrong_l2_gradient_shows(factor):
    """With L2's gradient left out or doubled, the slope of loss + ½·l2·ΣW² has an error above 1e-3."""
    network, l2 = drawn(1), np.array([0.1])
    direction = np.random.default_rng(0).standard_normal(network.params.values.shape)

    def total(step):
        at = moved(network, step * direction)
        return objective(at, INPUTS, LABELS)[0] + l2_penalty(at.params, l2)

    def analytic(times):
        grads = network.params.with_values(objective(moved(network, 0), INPUTS, LABELS)[1])
        add_decay(network.params, grads, times * l2[:, None])
        return (grads.values * direction).sum(axis=1)

    numeric = (total(STEP) - total(-STEP)) / (2 * STEP)

    def error(times):
        return (np.abs(analytic(times) - numeric) / (np.abs(analytic(times)) + np.abs(numeric))).item()

    assert error(1.0) < RIGHT
    assert error(factor) > WRONG
