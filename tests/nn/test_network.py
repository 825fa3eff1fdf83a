"""Gradients, checked along random directions in float64: every layer, for one trial and for several at once."""

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.layers import BatchNorm, Dense, Nonlinearity, Workspace
from pipeline.nn.losses import smooth, softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Architecture, Network, backward, forward, init_network
from pipeline.nn.optimizers import add_decay
from pipeline.nn.regularisers import add_l1, l2_penalty

STEP, DIRECTIONS = 1e-6, 5
ROWS, CLASSES, FEATURES = 12, 5, 7
RIGHT, WRONG = 1e-6, 1e-3
"""Relative errors (CS231n): a right float64 gradient is below the first, a fault above the second."""
RNG = np.random.default_rng(1)
INPUTS, LABELS = RNG.standard_normal((ROWS, FEATURES)), RNG.integers(0, CLASSES, ROWS)


def draw(trials, activation="tanh", **structure):
    """Return networks without parameters at 0 or 1, which could hide faults."""
    architecture = Architecture((FEATURES, 9, 8, CLASSES), activation, **structure)
    dropout = [0.3, 0.5, 0.1][:trials]
    network = init_network(architecture, ["he", "xavier", 0.5][:trials], range(trials), "float64", dropout)
    network.params.values += 0.1 * np.random.default_rng(2).standard_normal(network.params.values.shape)
    return network


def objective(network, smoothing):
    """Return the mean loss (K,) with smoothed labels, and its gradient over all parameters (K, P)."""
    workspace = Workspace(len(network), ROWS, "float64")
    network.generators = [np.random.default_rng(k) for k in range(len(network))]  # the same dropout every time
    signals = forward(network, INPUTS, workspace, training=True)
    by_class = [softmax_cross_entropy(signals[-1].copy(), np.full(ROWS, c))[0].mean(axis=1) for c in range(CLASSES)]
    losses, _, probabilities = softmax_cross_entropy(signals[-1], LABELS)
    share = np.full((len(network), 1, 1), smoothing)
    upstream = softmax_cross_entropy_gradient(probabilities, smooth(np.eye(CLASSES)[LABELS], share))
    grads = network.params.with_values(np.zeros_like(network.params.values))
    backward(network, grads, signals, upstream, workspace)
    return (1 - smoothing) * losses.mean(axis=1) + smoothing * np.mean(by_class, axis=0), grads.values


def moved(network, step):
    """Return copies of the networks with their parameters moved by a step; statistics are copied, since forward moves them."""
    return Network(
        network.layers,
        network.params.with_values(network.params.values + step),
        network.stats.select([*range(len(network))]),
    )


def slopes(network, smoothing=0.0):
    """Return slopes of the objective along random directions, by backward and by differences, (DIRECTIONS, K) each.

    The step is so small that kinks are rarely crossed; the tests use the median over the directions.
    """
    rng = np.random.default_rng(3)
    directions = rng.standard_normal((DIRECTIONS, *network.params.values.shape))
    _, gradient = objective(moved(network, 0), smoothing)
    ends = [[objective(moved(network, sign * STEP * d), smoothing)[0] for sign in (1, -1)] for d in directions]
    return (gradient * directions).sum(axis=-1), np.array([ahead - behind for ahead, behind in ends]) / (2 * STEP)


def relative_error(analytic, numeric):
    """Return |a - n| / (|a| + |n|) of each trial, by medians over the directions."""
    error = np.median(np.abs(analytic - numeric), axis=0) / np.median(np.abs(analytic) + np.abs(numeric), axis=0)
    assert np.all(np.median(np.abs(numeric), axis=0) > 1e-3)  # there is a slope to be right about
    return error


def error_of(trials=2, smoothing=0.0, **structure):
    """Return the greatest relative error of any trial."""
    return relative_error(*slopes(draw(trials, **structure), smoothing)).max()


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


def test_no_hidden_layer_is_a_linear_classifier():
    """The gradient of a network without hidden layers agrees with differences."""
    network = init_network(Architecture((FEATURES, CLASSES), "relu"), [0.5], [0], "float64")
    assert relative_error(*slopes(network)).max() < RIGHT


def l1_penalty(params, l1):
    """l1·Σ|W| of each trial, (K,)."""
    return l1 * sum(np.abs(weights).reshape(len(weights), -1).sum(axis=1) for weights in params.weights)


@pytest.mark.parametrize(("penalty", "add_gradient"), [(l2_penalty, add_decay), (l1_penalty, add_l1)])
def test_the_added_gradient_is_that_of_the_penalty(penalty, add_gradient):
    """½·l2·ΣW² has the gradient l2·W and l1·Σ|W| has l1·sign(W), for each trial's number; biases and norms add nothing."""
    network, strength = draw(3, batch_norm=True), np.array([0.1, 0.0, 2.0])
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
    monkeypatch.setitem(globals(), "softmax_cross_entropy_gradient", lambda p, y: right(p, y, ROWS))


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
    network, l2 = draw(1), np.array([0.1])
    direction = np.random.default_rng(0).standard_normal(network.params.values.shape)

    def total(step):
        at = moved(network, step * direction)
        return objective(at, 0.0)[0] + l2_penalty(at.params, l2)

    def analytic(times):
        grads = network.params.with_values(objective(moved(network, 0), 0.0)[1])
        add_decay(network.params, grads, times * l2[:, None])
        return (grads.values * direction).sum(axis=1)

    numeric = (total(STEP) - total(-STEP)) / (2 * STEP)

    def error(times):
        return (np.abs(analytic(times) - numeric) / (np.abs(analytic(times)) + np.abs(numeric))).item()

    assert error(1.0) < RIGHT
    assert error(factor) > WRONG
