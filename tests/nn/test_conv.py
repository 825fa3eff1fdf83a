"""Convolutional networks: their outputs, their gradients, and the data that they need."""

from dataclasses import replace

import numpy as np
import pytest
from differences import RIGHT, WRONG, draw, greatest_error

from pipeline.data import Dataset, Split
from pipeline.nn.conv import Conv, maps_of
from pipeline.nn.layers import MapNorm, MaxPool, Workspace
from pipeline.nn.network import Architecture, forward, init_network
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import memory, train

ROWS, CLASSES, SHAPE = 6, 4, (3, 7, 6)
RNG = np.random.default_rng(1)
INPUTS, LABELS = RNG.standard_normal((ROWS, 126)), RNG.integers(0, CLASSES, ROWS)


def convolved(images, weights, bias, stride):
    """Compute a convolution by its definition, one output at a time, for (N, C, H, W) images and (F, C, 3, 3) weights."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = ((side - 3) // stride + 1 for side in padded.shape[2:])
    outputs = np.empty((len(images), len(weights), height, width))
    for i, j in np.ndindex(height, width):
        window = padded[:, :, i * stride : i * stride + 3, j * stride : j * stride + 3]
        outputs[:, :, i, j] = np.einsum("nchw,fchw->nf", window, weights) + bias
    return outputs


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("piece", [1, 2**19])
def test_a_convolution_is_its_definition(stride, piece, monkeypatch):
    """Every output is the sum over its window, for each stride and size of the pieces."""
    monkeypatch.setattr("pipeline.nn.conv.PIECE_BYTES", piece)
    layer = Conv(0, SHAPE, 5, stride, first=True)
    weights = RNG.standard_normal((2, 28, 5))
    workspace = Workspace(2, ROWS, "float64")
    outputs = layer.forward({"Wb": weights}, INPUTS, workspace, training=True)
    for k in range(2):
        filters = weights[k, :-1].T.reshape(5, 3, 3, 3)
        expected = convolved(INPUTS.reshape(ROWS, *SHAPE), filters, weights[k, -1], stride)
        np.testing.assert_allclose(outputs[k], expected.reshape(ROWS, -1), atol=1e-12)


def drawn(trials, activation="tanh", conv=("4p", "5s", "3"), **structure):
    """Return networks with convolutions and a hidden layer."""
    return draw(Architecture((126, 7, CLASSES), activation, conv=conv, shape=SHAPE, **structure), trials, [0.3] * 3)


@pytest.mark.parametrize("trials", [1, 3])
@pytest.mark.parametrize("norm", [{}, {"batch_norm": True}])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "prelu", "maxout"])
def test_backward_agrees_with_differences(activation, norm, trials):
    """The gradient is right with stride, pooling of odd maps, batch norm and the mean of maps, for every trial."""
    assert greatest_error(drawn(trials, activation, **norm), INPUTS, LABELS) < RIGHT


@pytest.mark.parametrize("conv", [("4",), ("4sp",), ("2p", "3p"), ("3", "4", "5")])
def test_every_structure_agrees(conv):
    """The gradient is right for one and several convolutions, with dropout and layer norm in the hidden layer."""
    assert greatest_error(drawn(2, conv=conv, dropout=True, layer_norm=True), INPUTS, LABELS) < RIGHT


def no_gradient_of_inputs(monkeypatch):  # noqa: D103  its name says the fault
    monkeypatch.setattr(Conv, "_back", lambda *_: 0)


def norm_without_its_mean(monkeypatch):  # noqa: D103  its name says the fault
    monkeypatch.setattr(MapNorm, "backward", lambda *arguments: arguments[4])


def pool_to_all(monkeypatch):  # noqa: D103  its name says the fault
    right = MaxPool.backward

    def backward(self, *arguments):
        self._right(arguments[-1])[:] = True
        return right(self, *arguments)

    monkeypatch.setattr(MaxPool, "backward", backward)


@pytest.mark.parametrize("fault", [no_gradient_of_inputs, norm_without_its_mean, pool_to_all])
def test_an_injected_fault_shows(fault, monkeypatch):
    """A fault in any of the layers gives an error above 1e-3, so the check can fail."""
    network = drawn(2, batch_norm=True)
    assert greatest_error(network, INPUTS, LABELS) < RIGHT
    fault(monkeypatch)
    assert greatest_error(network, INPUTS, LABELS) > WRONG


def test_maps_lie_where_their_signal_does():
    """Maps are a view of their signal."""
    workspace = Workspace(2, 5, "float32")
    assert np.shares_memory(maps_of(workspace.signal(0, 24), (2, 3, 4)), workspace.signal(0, 24))


CONFIG = TrainConfig(epochs=2, batch_size=60)
KINDS = {
    "plain": {"conv": "4x5"},
    "pooled, with the norm of maps": {"conv": "4px5p", "batch_norm": True},
    "strided": {"conv": "4sx5", "momentum": 0.9},
    "no hidden layer": {"conv": "6p", "hidden": ()},
    "everything": {
        "conv": "4px5s", "batch_norm": True, "dropout": 0.3, "optimizer": "adam", "l1": 1e-4, "l2": 1e-3,
        "max_norm": 2.0, "clip": 1.0, "activation": "maxout", "layer_norm": True,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def images():
    """181 images of 8 x 8 pixels with three channels; minibatches of 60 leave a last one of 61 rows."""
    rng = np.random.default_rng(0)
    labels = np.arange(181) % 4
    inputs = (rng.standard_normal((181, 3, 8, 8)) + np.eye(4, 3)[labels][:, :, None, None]).astype("float32")
    rows = Split(inputs.reshape(181, -1), labels)
    return Dataset(rows, rows, rows, classes=4, shape=(3, 8, 8))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_trial_is_the_same_alone_and_in_a_group(kind, images, monkeypatch):
    """Every kind of convolutional network gets the same bits alone and in a group with tiles of two and a diverging trial."""
    base = HyperParams(**{"learning_rate": 0.02, "hidden": (9,), **kind})
    rates = [0.02, 0.01, 0.005, 0.002, 1e9]
    trials = [replace(base, learning_rate=rate, seed=k) for k, rate in enumerate(rates)]
    assert len({trial.structure for trial in trials}) == 1
    with monkeypatch.context() as patch:
        patch.setattr(memory, "LARGEST_TILE", 2)
        group = train(trials, images, CONFIG)
    assert not group.diverged[:-1].any()
    for k in range(5):
        alone = train([trials[k]], images, CONFIG)
        for key in group.curves:
            np.testing.assert_array_equal(alone.curves[key][0], group.curves[key][k], strict=True)
        np.testing.assert_array_equal(alone.test_correct[0], group.test_correct[k])


def test_it_learns_a_pattern_that_only_a_window_shows():
    """It learns from 300 images whether a dark pixel is to the right of a bright one or below it, anywhere in the image."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    inputs = 0.1 * rng.standard_normal((600, 10, 10)).astype("float32")
    for image, label, (i, j) in zip(inputs, labels, rng.integers(0, 9, (600, 2)), strict=True):
        image[i, j] += 3
        image[i + label, j + 1 - label] -= 3
    parts = [Split(inputs[part].reshape(300, -1), labels[part]) for part in (slice(300), slice(300, None))]
    trial = HyperParams(learning_rate=0.01, optimizer="adam", conv="8", hidden=(), batch_norm=True)
    config = TrainConfig(epochs=10, batch_size=30)
    history = train([trial], Dataset(*parts, parts[1], classes=2, shape=(10, 10)), config)
    assert history.scores["test/accuracy"][0] > 0.95
    dense = train([replace(trial, conv="")], Dataset(*parts, parts[1], classes=2, shape=(10, 10)), config)
    assert dense.scores["test/accuracy"][0] < 0.7


def test_channels_may_come_last():
    """Images (H, W, C) and (C, H, W) of the same pixels give the same numbers."""
    last = np.moveaxis(INPUTS.reshape(ROWS, *SHAPE), 1, 3).reshape(ROWS, -1)
    logits = []
    for rows, shape in ((INPUTS, SHAPE), (last, (7, 6, 3))):
        network = init_network(Architecture((126, 4), "relu", conv=("5p",), shape=shape), ["he"], [0], "float64")
        logits.append(forward(network, rows, Workspace(1, ROWS, "float64"), training=False)[-1].copy())
    np.testing.assert_array_equal(*logits)


def test_the_scale_of_the_weights_depends_on_the_window():
    """He's standard deviation is √(2 / (9·C)), since a unit's inputs are the pixels of its window."""
    network = init_network(Architecture((3072, 10), "relu", conv=("400",), shape=(3, 32, 32)), ["he"], [0])
    np.testing.assert_allclose(network.params.weights[0].std(), np.sqrt(2 / 27), rtol=0.03)


def test_a_convolution_is_a_part_of_the_structure(images):
    """Trials with other convolutions train in other groups; without any, the structure is unchanged."""
    with_conv, other, without = HyperParams(conv="4"), HyperParams(conv="4p"), HyperParams()
    assert len({with_conv.structure, other.structure, without.structure}) == 3
    assert without.structure == ((50,), "relu", False, False, "sgd", ())
    history = train([with_conv, without], images, CONFIG)
    assert history.curves["val/loss"][0, -1] != history.curves["val/loss"][1, -1]


@pytest.mark.parametrize("shape", [(), (192,), (8, 8, 8), (2, 2, 2, 24)])
def test_rows_that_are_not_images_are_refused(shape, images):
    """The message has the shape, the expected shapes and the remedy."""
    with pytest.raises(ValueError, match=r"conv: the rows have shape .* and are no images; expected .*Leave conv out"):
        train([HyperParams(conv="4")], replace(images, shape=shape), CONFIG)


def test_maps_that_become_too_small_are_refused(images):
    """Pooling 8 x 8 pixels four times leaves none, which is an error."""
    with pytest.raises(ValueError, match=r"conv: .* too small"):
        train([HyperParams(conv="4px4px4px4p")], images, CONFIG)
