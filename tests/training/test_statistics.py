"""Statistics of layers during training agree with direct computations."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data import load_block
from pipeline.nn.layers import Workspace
from pipeline.nn.losses import softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Architecture, backward, forward, init_network
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import train
from pipeline.training.loop import FIRST_ROWS

CONFIG = TrainConfig(epochs=2, batch_size=200, dtype="float64")


@pytest.fixture(scope="module")
def data():
    """The digits in one block's splits, in double precision."""
    return load_block("digits", CONFIG, 0)


def one_step(data, trial, order):
    """Return the network before its first step, its gradients, and the loss over some rows."""
    network = init_network(
        Architecture((data.features, *trial.hidden, data.classes), trial.activation),
        [trial.init],
        [trial.seed],
        "float64",
    )
    rows, labels = data.train.inputs[order], data.train.labels[order]
    grads = network.params.with_values(np.zeros_like(network.params.values))
    signals = forward(network, rows, workspace := Workspace(1, len(rows), "float64"), training=True)
    losses, _, probabilities = softmax_cross_entropy(signals[-1], labels)
    backward(network, grads, signals, softmax_cross_entropy_gradient(probabilities, np.eye(10)[labels]), workspace)
    return network, grads, losses.mean()


def test_sgds_update_ratio_is_its_rate_times_the_gradient_over_the_weights(data):
    """|update|/|W| is η·|g|/|W| to 1e-12, and ten times as much at ten times the rate (lecture 6)."""
    config = replace(CONFIG, epochs=1, batch_size=len(data.train))
    trials = [HyperParams(learning_rate=rate, hidden=(20, 15), seed=3) for rate in (0.01, 0.1)]
    statistics = train(trials, data, config).layer_statistics
    network, grads, _ = one_step(data, trials[0], np.random.default_rng(0).permutation(len(data.train)))
    weights, gradients = ([np.linalg.norm(w) for w in params.weights] for params in (network.params, grads))
    np.testing.assert_allclose(statistics["gradient_norm"][:, 0], [gradients] * 2, rtol=1e-12)
    expected = np.outer([0.01, 0.1], np.divide(gradients, weights))
    np.testing.assert_allclose(statistics["update_ratio"][:, 0], expected, rtol=1e-9)


def test_the_first_loss_is_that_before_the_first_step(data):
    """It is the mean loss over the first training rows with the initial weights."""
    trial = HyperParams(seed=3)
    history = train([trial], data, CONFIG)
    _, _, loss = one_step(data, trial, np.arange(len(data.train))[:FIRST_ROWS])
    assert history.first_loss[0] == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_ratio_is_that_of_the_whole_update(optimizer, data):
    """For every optimizer, the ratio is above 0 after a step and exactly 0 with a learning rate of 0."""
    config = replace(CONFIG, epochs=1, batch_size=len(data.train))
    trial = HyperParams(learning_rate=0.01, optimizer=optimizer, momentum=0.9, l2=0.1, l1=1e-3, clip=0.1, max_norm=1.0)
    still_trial = replace(trial, learning_rate=0.0, max_norm=0.0)
    ratio, still = (train([t], data, config).layer_statistics["update_ratio"][0, 0] for t in (trial, still_trial))
    assert (ratio > 1e-4).all()
    assert (still == 0).all()


def test_dead_and_saturated_units_are_counted(data):
    """High rates give dead ReLUs, and weights of 1 saturate tanh; other activations have neither."""
    trials = [
        *(HyperParams(learning_rate=rate, hidden=(100, 100), seed=1) for rate in (1.0, 2.0, 4.0)),
        HyperParams(learning_rate=1e-6, activation="tanh", init=1.0, hidden=(100, 100)),
        HyperParams(activation="leaky_relu", hidden=(100, 100)),
        HyperParams(activation="elu", hidden=(100, 100)),
    ]
    statistics = train(trials, data, replace(CONFIG, epochs=5)).layer_statistics
    dead, saturated = statistics["dead"][:, -1], statistics["saturated"][:, -1]
    assert dead[0, 1] < 0.1 < dead[1, 1] < dead[2, 1]
    assert (saturated[3] > 0.5).all()
    assert np.isnan(dead[3:]).all()
    assert np.isnan(saturated[[0, 1, 2, 4, 5]]).all()


def test_networks_of_several_depths_share_a_history(data):
    """Each network has statistics of its own layers, and NaN for the others."""
    statistics = train(
        [HyperParams(hidden=(9,)), HyperParams(hidden=(9, 8, 7)), HyperParams(hidden=())], data, CONFIG
    ).layer_statistics
    assert np.isfinite(statistics["update_ratio"][:, 0]).sum(axis=1).tolist() == [2, 4, 1]
    assert np.isfinite(statistics["dead"][:, -1]).sum(axis=1).tolist() == [1, 3, 0]
    assert np.isnan(statistics["dead"][:, 0]).all()  # it is looked for in the last epoch alone


def test_batch_norm_is_scored_in_batches_too(data):
    """The score in batches is near that with running statistics after training, and NaN without batch norm."""
    history = train([HyperParams(batch_norm=True), HyperParams()], data, replace(CONFIG, epochs=20))
    assert history.batch_accuracy[0] == pytest.approx(history.scores["best/val_accuracy"][0], abs=0.02)
    assert np.isnan(history.batch_accuracy[1])


def test_the_measured_step_is_that_of_the_last_whole_minibatch(data):
    """Of minibatches of 400, 400 and fewer rows it is the second; at a rate near 0, its gradient is that of the initial weights."""
    config, trial = replace(CONFIG, epochs=1, batch_size=400), HyperParams(learning_rate=1e-12, hidden=(20,), seed=3)
    measured_norms = train([trial], data, config).layer_statistics["gradient_norm"][0, 0]
    order = np.random.default_rng(0).permutation(len(data.train))
    for rows, measured in ((order[:400], False), (order[400:800], True), (order[800:], False)):
        _, grads, _ = one_step(data, trial, rows)
        norms = [np.linalg.norm(w) for w in grads.weights]
        assert np.allclose(measured_norms, norms, rtol=1e-6) == measured
