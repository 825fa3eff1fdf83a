"""The number of trials that train at a time: groups within a limit of memory, measured in NumPy, and tiles."""

import tracemalloc

import pytest

from pipeline.data import load_block
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import memory, train, trials_per_group

LIMIT = 2**26


def peak_bytes(trials, data, config):
    """Return the most memory that training takes at a time."""
    train(trials[:1], data, config)  # what is imported and kept at first is no trial's
    tracemalloc.start()
    try:
        train(trials, data, config)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_group_fits_into_its_limit_and_uses_it(optimizer):
    """Training the greatest group of wide networks takes at most the limit, and more than half of it."""
    config = TrainConfig(epochs=1)
    data = load_block("digits", config, 0)
    trial = HyperParams(hidden=(600, 600), optimizer=optimizer, learning_rate=0.01)
    trials = [trial] * trials_per_group(trial, data.features, data.classes, config, LIMIT)
    assert LIMIT / 2 < peak_bytes(trials, data, config) <= LIMIT


@pytest.mark.parametrize(
    ("hparams", "settings"),
    [
        ({"hidden": (600, 600)}, {}),
        ({"hidden": (1000, 1000), "optimizer": "adam"}, {}),
        ({"hidden": (600, 600), "batch_norm": True, "dropout": 0.3}, {"dtype": "float64"}),
        ({"hidden": (3000,), "optimizer": "nesterov"}, {"batch_size": 16}),
        ({"hidden": (100,) * 12, "layer_norm": True}, {"batch_size": 500}),
        ({"hidden": (50,), "conv": "16px32p"}, {}),
    ],
)
def test_the_estimate_for_one_trial_is_near_its_peak(hparams, settings):
    """The memory that is estimated for a trial alone is within a factor of 1.5 of what its training takes."""
    config = TrainConfig(epochs=1, **settings)
    data = load_block("digits", config, 0)
    trial = HyperParams(learning_rate=0.01, **hparams)
    estimate = memory.bytes_per_trial(trial, data.features, data.classes, config, data.shape)
    assert 1 / 1.5 < peak_bytes([trial], data, config) / estimate < 1.5


@pytest.mark.parametrize(
    ("trials", "length", "sizes"), [(1, 8, [1]), (8, 8, [8]), (9, 8, [4, 5]), (32, 14, [10, 11, 11])]
)
def test_tiles_are_few_and_even(trials, length, sizes):
    """A group is divided into as few tiles as possible, whose lengths differ by one at most."""
    parts = memory.even_slices(trials, length)
    assert [len(range(trials)[part]) for part in parts] == sizes
    assert [k for part in parts for k in range(trials)[part]] == list(range(trials))


def test_a_tile_holds_all_arrays_of_its_trials():
    """As many networks are in a tile as fit with parameters, gradients, the optimizer's state and signals."""
    layers = memory.architecture(HyperParams(hidden=(200,)), 64, 10).layers()
    for memories in (0, 2):
        length = memory.trials_per_tile(layers, 16, "float32", memories)
        numbers = (2 + memories) * (65 * 200 + 201 * 10) + 16 * sum(layer.numbers_per_row for layer in layers)
        assert length * 4 * numbers <= memory.TILE_BYTES < (length + 1) * 4 * numbers


def test_networks_too_large_for_the_cache_share_a_tile():
    """A tile has many small networks, one that just fits into the cache, or several that are larger than the cache."""
    lengths = [
        memory.trials_per_tile(memory.architecture(HyperParams(hidden=(width,)), features, 10).layers(), 64, "float32")
        for features, width in ((64, 50), (64, 2400), (3072, 100))
    ]
    assert lengths[0] == memory.LARGEST_TILE
    assert lengths[1] == 1 < lengths[2]
