"""The number of trials that train at a time: groups within a limit of memory, measured in NumPy, and tiles."""

import tracemalloc

import pytest

from pipeline.data import load_block
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import memory, train, trials_per_group

LIMIT = 2**26


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_group_fits_into_its_limit_and_uses_it(optimizer):
    """Training the greatest group of wide networks takes at most the limit, and more than half of it."""
    config = TrainConfig(epochs=1)
    data = load_block("digits", config, 0)
    trial = HyperParams(hidden=(600, 600), optimizer=optimizer, learning_rate=0.01)
    trials = [trial] * trials_per_group(trial, data.features, data.classes, config, LIMIT)
    train([trial], data, config)  # what is imported and kept at first is no trial's
    tracemalloc.start()
    try:
        train(trials, data, config)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert LIMIT / 2 < peak <= LIMIT


@pytest.mark.parametrize(
    ("trials", "length", "sizes"), [(1, 8, [1]), (8, 8, [8]), (9, 8, [4, 5]), (32, 14, [10, 11, 11])]
)
def test_tiles_are_few_and_even(trials, length, sizes):
    """A group is divided into as few tiles as possible, whose lengths differ by one at most."""
    parts = memory.even_slices(trials, length)
    assert [len(range(trials)[part]) for part in parts] == sizes
    assert [k for part in parts for k in range(trials)[part]] == list(range(trials))


def test_networks_too_large_for_the_cache_share_a_tile():
    """A tile has many small networks, one that just fits into the cache, or several that are larger than the cache."""
    lengths = [
        memory.trials_per_tile(memory.architecture(HyperParams(hidden=(width,)), features, 10).layers(), 64, "float32")
        for features, width in ((64, 50), (64, 2400), (3072, 100))
    ]
    assert lengths[0] == memory.LARGEST_TILE
    assert lengths[1] == 1 < lengths[2]
