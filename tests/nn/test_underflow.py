"""What decays to nothing is set to 0, so that no network is ever slowed by subnormal numbers."""

import numpy as np
import pytest

from pipeline.data import Split
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.underflow import flush
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training.lockstep import FLUSH_STEPS, make_tiles
from pipeline.training.minibatches import minibatches


def subnormal(values):
    """How many numbers are neither 0 nor normal."""
    return int(((values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny)).sum())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_what_is_nothing_is_flushed(dtype):
    """Below the root of the least normal number all is 0, of squares below that number itself; the rest keeps its bits."""
    least = np.finfo(dtype).tiny
    root = np.sqrt(least)
    values = np.array([[least / 4, root / 2, -root / 2, 2 * root], [0, np.nan, np.inf, -1]], dtype)
    squares = values.copy()
    flush(values)
    flush(squares, squared=True)
    rest = [0, np.nan, np.inf, -1]
    np.testing.assert_array_equal(values, np.array([[0, 0, 0, 2 * root], rest], dtype))
    np.testing.assert_array_equal(squares, np.array([[0, root / 2, -root / 2, 2 * root], rest], dtype))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_nothing_stays_subnormal(optimizer):
    """After two hundred steps that halve all weights, none is subnormal, nor is anything that the update rule remembers."""
    rng = np.random.default_rng(0)
    rows = Split(np.zeros((64, 5), "float32"), rng.integers(0, 3, 64))  # no input: nothing holds a weight up
    trial = HyperParams(hidden=(4,), learning_rate=1e-3, l2=500.0, momentum=0.5, optimizer=optimizer, batch_norm=True)
    (tile,) = make_tiles([trial], 5, 3, TrainConfig())
    batches = [*minibatches(rows, 3, [slice(64)], "float32")] * 200
    tile.fit(batches)
    kept = [tile.network.params.values, tile.network.stats.values]
    kept += [value for value in tile.optimizer.memory.values() if isinstance(value, np.ndarray)]
    assert [subnormal(values) for values in kept] == [0] * len(kept)
    weights = tile.network.params.weights[0]
    if optimizer in ("sgd", "nesterov", "adamw"):  # the others take steps of one size, however small the gradient
        assert len(batches) > FLUSH_STEPS
        assert not weights.any()
