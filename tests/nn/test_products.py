"""Products that are added to what is there, and the steps of descent that are made of them."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from pipeline.data import Dataset, Split
from pipeline.nn.optimizers import SGD
from pipeline.nn.products import subtract_product
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import run_epochs, train
from pipeline.training.lockstep import make_tiles

RNG = np.random.default_rng(0)
LARGE = {"hidden": (300,), "seed": 3}
"""With these and minibatches of 64, the product that makes the first layer's gradient is one that BLAS counts as large."""
CONFIG = TrainConfig(epochs=3, batch_size=64)


def drawn(dtype, *shape):
    """Random numbers, the last but one axis innermost in memory."""
    return RNG.standard_normal((*shape[:-2], shape[-1], shape[-2])).astype(dtype).swapaxes(-1, -2)


@pytest.fixture(scope="module")
def data():
    """Rows of 64 features in three classes; 200 to train on leave a last minibatch of 8, too small a product."""
    parts = {
        name: Split(drawn("float32", n, 64), RNG.integers(0, 3, n))
        for name, n in (("train", 200), ("val", 50), ("test", 50))
    }
    return Dataset(**parts, classes=3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_is_subtracted_in_place(dtype):
    """C becomes keep·C - Xᵀ·U for each trial, and it is the very array that was given."""
    target, inputs, upstream = drawn(dtype, 3, 7, 4), drawn(dtype, 5, 7), drawn(dtype, 3, 5, 4)
    keep = np.array([1, 0.5, 0], dtype)
    expected = keep[:, None, None] * target - inputs.T @ upstream
    subtract_product(target, inputs, upstream, keep)
    np.testing.assert_allclose(target, expected, rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("numbers", [{}, {"momentum": 0.9}], ids=["plain", "momentum"])
def test_a_step_of_descent_has_the_bits_of_an_update(numbers, data, monkeypatch):
    """Without L2, subtracting the gradient while it is made rounds as subtracting it afterwards."""
    trials = [HyperParams(learning_rate=rate, **numbers, **LARGE) for rate in (0.01, 0.1)]
    (tile,) = make_tiles(trials, 64, 3, CONFIG)
    assert tile.descends(64)
    assert not tile.descends(8)
    found = train(trials, data, CONFIG)
    monkeypatch.setattr(SGD, "descends", False)
    for key, curve in train(trials, data, CONFIG).curves.items():
        np.testing.assert_array_equal(found.curves[key], curve)


@pytest.mark.parametrize("numbers", [{}, {"momentum": 0.9}], ids=["plain", "momentum"])
def test_descent_decays_the_weights_and_no_bias(numbers, data, monkeypatch):
    """With L2 the parameters are those of the gradient of the whole loss, to the last digits of float64."""
    config = TrainConfig(epochs=3, batch_size=64, dtype="float64")
    trials = [HyperParams(learning_rate=0.1, l2=l2, **numbers, **LARGE) for l2 in (0.0, 1e-3, 1.0)]

    def parameters():
        (tile,) = make_tiles(trials, 64, 3, config)
        run_epochs([tile], data, config, np.random.default_rng(0))
        return tile.network.params.values

    found = parameters()
    monkeypatch.setattr(SGD, "descends", False)
    np.testing.assert_allclose(found, parameters(), rtol=1e-9, atol=1e-12)


def test_a_trial_that_descends_does_not_depend_on_its_company(data):
    """Alone it has the bits that it has among others with other numbers, of which one diverges."""
    rates = (0.01, 1e30, 0.3)
    trials = [HyperParams(learning_rate=rate, l2=1e-3 * rate, **LARGE) for rate in rates]
    together = train(trials, data, CONFIG)
    assert together.diverged.tolist() == [False, True, False]
    for k, trial in enumerate(trials):
        for key, curve in train([trial], data, CONFIG).curves.items():
            np.testing.assert_array_equal(curve[0], together.curves[key][k])


@pytest.mark.parametrize("reason", [{"clip": 1.0}, {"l1": 1e-3}, {"optimizer": "nesterov"}, {"optimizer": "adam"}])
def test_who_needs_the_gradient_gets_it(reason):
    """Clipping, L1 and the rules that do more with a gradient than to subtract it take no such step."""
    (tile,) = make_tiles([HyperParams(**LARGE, **reason)], 64, 3, CONFIG)
    assert not tile.descends(64)


def test_scipy_is_loaded_for_large_networks_only_and_kept_to_one_thread():
    """A process that trains small networks does without it; one that trains large ones limits the threads of its BLAS too."""
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
