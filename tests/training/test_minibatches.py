"""Minibatches: how the rows of a split are divided and weighted."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.data import Dataset, Split, load_block
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import run_epochs, train
from pipeline.training.lockstep import make_tiles
from pipeline.training.minibatches import training_cuts, weighted


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 4, 1]),
        (129, 64, [64, 65]),
        (143, 64, [64, 79]),
        (144, 64, [64, 64, 16]),
        (64, 64, [64]),
        (70, 64, [70]),
        (3, 64, [3]),
    ],
)
def test_a_small_rest_joins_the_last_minibatch(count, size, sizes):
    """Every row is in one minibatch, and a last one of less than a quarter of the size joins the one before."""
    parts = training_cuts(count, size)
    assert [part.stop - part.start for part in parts] == sizes
    assert [row for part in parts for row in range(count)[part]] == list(range(count))


LABELS = np.array([0, 0, 0, 1, 1, 2])


@pytest.mark.parametrize(
    ("given", "class_weight", "expected"),
    [
        (None, "none", None),
        ([2, 2, 2, 2, 2, 2], "none", [1, 1, 1, 1, 1, 1]),
        ([1e-300, 0, 0, 0, 0, 2e-300], "none", [2, 0, 0, 0, 0, 4]),
        ([1e308, 1e308, 1e308, 0, 0, 0], "none", [2, 2, 2, 0, 0, 0]),
        (None, "balanced", [2 / 3, 2 / 3, 2 / 3, 1, 1, 2]),
        ([1, 3, 0, 0, 0, 1], "balanced", [3 / 4, 9 / 4, 0, 0, 0, 3]),
    ],
)
def test_weights_have_the_mean_one(given, class_weight, expected):
    """Weights of any scale get the mean 1; balanced ones have the same sum in each class that has any."""
    weights = None if given is None else np.array(given, float)
    rows = weighted(Split(np.zeros((6, 1)), LABELS.astype("uint64"), weights), class_weight, 4)
    if expected is None:
        assert rows.weights is None
    else:
        np.testing.assert_allclose(rows.weights, expected, rtol=1e-12)


FULL = TrainConfig(epochs=5, batch_size=12, preprocessing="none", dtype="float64")
KINDS = [
    {},
    {"optimizer": "adam", "activation": "tanh", "label_smoothing": 0.1},
    {"momentum": 0.9, "l2": 0.01, "l1": 0.001, "clip": 0.3, "layer_norm": True},
]


def trained(rows, **kind):
    """Return the parameters (1, P) and the training losses of a network that was trained on full batches of the rows."""
    data = Dataset(rows, rows.empty, rows.empty, 3)
    config = replace(FULL, batch_size=len(rows))
    tiles = make_tiles([HyperParams(**{"hidden": (5,), "learning_rate": 0.3, **kind})], 3, 3, config)
    record = run_epochs(tiles, data, config, np.random.default_rng(0))
    return tiles[0].network.params.values, record.curves["train/loss"]


def six(weights=None):
    """Return six rows of three classes."""
    return Split(np.random.default_rng(1).standard_normal((6, 3)), LABELS, weights)


def assert_same(found, expected):
    """Assert that two results of :func:`trained` agree, up to the order of sums."""
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_weight_is_a_number_of_equal_rows(kind):
    """On full batches, a weight of n trains as n copies of the row, and a weight of 0 as no row; so does the loss."""
    counts = np.array([1, 3, 0, 2, 2, 4])
    assert_same(trained(six(counts / 7), **kind), trained(six().take(np.repeat(np.arange(6), counts)), **kind))


@pytest.mark.parametrize("kind", KINDS)
def test_balanced_classes_train_as_equally_many_rows(kind):
    """On full batches, balanced classes train as if the rows of each were repeated to the same number."""
    repeated = six().take(np.repeat(np.arange(6), [2, 2, 2, 3, 3, 6]))
    assert_same(trained(six(), class_weight="balanced", **kind), trained(repeated, **kind))
    assert not np.allclose(trained(six(), **kind)[0], trained(repeated, **kind)[0], rtol=1e-3)


@pytest.mark.parametrize("size", [60, 4])
def test_equal_weights_change_no_bit(size):
    """Equal weights of any scale give the bits of no weights, in single precision and minibatches."""
    data = load_block("digits", TrainConfig(), 0)
    few, config = replace(data, train=data.train.take(slice(181))), TrainConfig(epochs=2, batch_size=size)
    equal = replace(few, train=replace(few.train, weights=np.full(181, 0.1)))
    trials = [HyperParams(batch_norm=True, seed=k, learning_rate=0.1 / (k + 1)) for k in range(3)]
    with_weights, without = (train(trials, each, config) for each in (equal, few))
    for key, curve in without.curves.items():
        np.testing.assert_array_equal(with_weights.curves[key], curve)


def test_class_weights_are_searched_without_changing_other_trials():
    """Trials with balanced classes train in a group of their own, and the others keep their bits."""
    data, config = load_block("digits", TrainConfig(), 0), TrainConfig(epochs=1)
    skewed = replace(data, train=data.train.take((data.train.labels < 5) | (np.arange(len(data.train)) % 5 == 0)))
    trials = [HyperParams(seed=k, class_weight=name) for k in range(2) for name in ("none", "balanced")]
    together, plain = train(trials, skewed, config), train(trials[::2], skewed, config)
    np.testing.assert_array_equal(together.curves["val/loss"][::2], plain.curves["val/loss"])
    assert (together.curves["val/loss"][1::2] != plain.curves["val/loss"]).all()
