"""How many trials train together: as many as a budget of memory holds, by what NumPy really takes."""

import tracemalloc

import pytest

from pipeline.data import load_block
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import train, trials_per_group

BUDGET = 2**26


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_group_fits_into_its_budget_and_uses_it(optimizer):
    """Training as many wide networks as are allowed takes at most the budget, and more than half of it."""
    config = TrainConfig(epochs=1)
    data = load_block("digits", config, 0)
    trial = HyperParams(hidden=(600, 600), optimizer=optimizer, learning_rate=0.01)
    trials = [trial] * trials_per_group(trial, data.features, data.classes, config, BUDGET)
    train([trial], data, config)  # what is imported and kept at first is no trial's
    tracemalloc.start()
    try:
        train(trials, data, config)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert BUDGET / 2 < peak <= BUDGET
