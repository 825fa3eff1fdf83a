"""The fused product, the updates that use it, and the removal of subnormal numbers."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from pipeline.data import Dataset, Split
from pipeline.nn.arithmetic import flush, subtract_product
from pipeline.nn.optimizers import OPTIMIZERS, SGD
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import run_epochs, train
from pipeline.training.lockstep import FLUSH_STEPS, make_tiles
from pipeline.training.minibatches import minibatches

RNG = np.random.default_rng(0)
LARGE = {"hidden": (300,), "seed": 3}
"""With these and minibatches of 64, the product for the first layer's gradient is large."""
CONFIG = TrainConfig(epochs=3, batch_size=64)


def drawn(dtype, *shape):
    """Return random numbers with the last but one axis innermost in memory."""
    return RNG.standard_normal((*shape[:-2], shape[-1], shape[-2])).astype(dtype).swapaxes(-1, -2)


@pytest.fixture(scope="module")
def data():
    """Rows of 64 features in three classes; 200 training rows leave a last minibatch of 8, whose product is small."""
    parts = {
        name: Split(drawn("float32", n, 64), RNG.integers(0, 3, n))
        for name, n in (("train", 200), ("val", 50), ("test", 50))
    }
    return Dataset(**parts, classes=3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_is_subtracted_in_place(dtype):
    """C becomes keep·C - Xᵀ·U for each trial, in the array that was passed."""
    target, inputs, upstream = drawn(dtype, 3, 7, 4), drawn(dtype, 5, 7), drawn(dtype, 3, 5, 4)
    keep = np.array([1, 0.5, 0], dtype)
    expected = keep[:, None, None] * target - inputs.T @ upstream
    subtract_product(target, inputs, upstream, keep)
    np.testing.assert_allclose(target, expected, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("numbers", [{}, {"momentum": 0.9}], ids=["plain", "momentum"])
def test_a_fused_update_has_the_bits_of_an_update(numbers, data, monkeypatch):
    """Without L2, a fused update rounds like computing the gradient and then subtracting it."""
    trials = [HyperParams(learning_rate=rate, **numbers, **LARGE) for rate in (0.01, 0.1)]
    (tile,) = make_tiles(trials, 64, 3, CONFIG)
    assert tile.fuses_update(64)
    assert not tile.fuses_update(8)
    fused = train(trials, data, CONFIG)
    monkeypatch.setattr(SGD, "can_fuse", False)
    for key, curve in train(trials, data, CONFIG).curves.items():
        np.testing.assert_array_equal(fused.curves[key], curve)


@pytest.mark.parametrize("numbers", [{}, {"momentum": 0.9}], ids=["plain", "momentum"])
def test_a_fused_update_decays_the_weights_and_no_bias(numbers, data, monkeypatch):
    """With L2, a fused update agrees with an update to the last digits of float64."""
    config = TrainConfig(epochs=3, batch_size=64, dtype="float64")
    trials = [HyperParams(learning_rate=0.1, l2=l2, **numbers, **LARGE) for l2 in (0.0, 1e-3, 1.0)]

    def parameters():
        (tile,) = make_tiles(trials, 64, 3, config)
        run_epochs([tile], data, config, np.random.default_rng(0))
        return tile.network.params.values

    fused = parameters()
    monkeypatch.setattr(SGD, "can_fuse", False)
    np.testing.assert_allclose(fused, parameters(), rtol=1e-9, atol=1e-12)


def test_a_fused_trial_does_not_depend_on_the_others(data):
    """A trial gets the same bits alone as with other trials, of which one diverges."""
    rates = (0.01, 1e30, 0.3)
    trials = [HyperParams(learning_rate=rate, l2=1e-3 * rate, **LARGE) for rate in rates]
    together = train(trials, data, CONFIG)
    assert together.diverged.tolist() == [False, True, False]
    for k, trial in enumerate(trials):
        for key, curve in train([trial], data, CONFIG).curves.items():
            np.testing.assert_array_equal(curve[0], together.curves[key][k])


@pytest.mark.parametrize("reason", [{"clip": 1.0}, {"l1": 1e-3}, {"optimizer": "nesterov"}, {"optimizer": "adam"}])
def test_no_update_is_fused_where_the_gradient_is_needed(reason):
    """Clipping, L1 and the optimizers that do more than subtract the gradient do not fuse their updates."""
    (tile,) = make_tiles([HyperParams(**LARGE, **reason)], 64, 3, CONFIG)
    assert not tile.fuses_update(64)


def test_scipy_is_loaded_for_large_networks_only_and_kept_to_one_thread():
    """Small networks train without SciPy; for large ones, the limit of threads includes SciPy's BLAS."""
    program = """
        import sys
        import numpy as np
        from threadpoolctl import threadpool_info
        from pipeline.data import Dataset, Split
        from pipeline import HyperParams, TrainConfig
        from pipeline.training import train

        rows = Split(np.zeros((128, 64), "float32"), np.arange(128) % 3)
        data = Dataset(rows, rows, rows, classes=3)
        threads = []

        def watch(members, epoch, accuracy):
            threads.append({library["num_threads"] for library in threadpool_info()})
            return np.ones(len(members), bool)

        for hidden in (20, 300):
            train([HyperParams(hidden=(hidden,))], data, TrainConfig(epochs=2, batch_size=64), watch=watch)
            print("scipy.linalg" in sys.modules, threads.pop(), len(threadpool_info()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "2"},
    )
    assert done.stdout.splitlines() == ["False {1} 1", "True {1} 2"]


def subnormal(values):
    """Return how many numbers are subnormal."""
    return int(((values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny)).sum())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_values_below_the_limit_are_flushed(dtype):
    """Values below the root of the least normal number become 0, squares below the number itself; others keep their bits."""
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
    """After 200 steps that halve all weights, neither they nor the optimizer's state are subnormal."""
    rng = np.random.default_rng(0)
    rows = Split(np.zeros((64, 5), "float32"), rng.integers(0, 3, 64))  # no input: nothing holds a weight up
    trial = HyperParams(hidden=(4,), learning_rate=1e-3, l2=500.0, momentum=0.5, optimizer=optimizer, batch_norm=True)
    (tile,) = make_tiles([trial], 5, 3, TrainConfig())
    batches = [*minibatches(rows, 3, [slice(64)], "float32")] * 200
    tile.take_steps(batches)
    kept = [tile.network.params.values, tile.network.stats.values]
    kept += [value for value in tile.optimizer.state.values() if isinstance(value, np.ndarray)]
    assert [subnormal(values) for values in kept] == [0] * len(kept)
    weights = tile.network.params.weights[0]
    if optimizer in ("sgd", "nesterov", "adamw"):  # the others take steps of one size, however small the gradient
        assert len(batches) > FLUSH_STEPS
        assert not weights.any()
