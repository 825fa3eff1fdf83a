"""Optimizers: each step against its formula, for trials with different hyperparameters."""

import numpy as np
import pytest

from pipeline.nn.network import Architecture, init_network
from pipeline.nn.optimizers import OPTIMIZERS, make_optimizer

STEPS, TRIALS = 4, 3
NUMBERS = {
    "learning_rate": np.array([0.1, 0.01, 0.5]),
    "l2": np.array([0.0, 0.1, 0.01]),
    "momentum": np.array([0.9, 0.0, 0.5]),
    "epsilon": np.array([1e-8, 1e-6, 1e-3]),
    "rho": np.array([0.99, 0.9, 0.5]),
    "beta1": np.array([0.9, 0.8, 0.0]),
    "beta2": np.array([0.999, 0.99, 0.9]),
}


def network():
    """Three small networks in float64."""
    return init_network(Architecture((4, 3, 2), "relu", batch_norm=True), ["he"] * TRIALS, range(TRIALS), "float64")


def gradients(size):
    """Return the gradients of a few steps, (STEPS, K, P)."""
    return np.random.default_rng(1).standard_normal((STEPS, TRIALS, size))


def run(name, numbers=NUMBERS, select=slice(None), factors=None):
    """Return the parameters after a few steps of the optimizer."""
    params = network().params.select(select)
    chosen = {key: value[select] for key, value in numbers.items()}
    optimizer = make_optimizer(name, params, chosen)
    for t, gradient in enumerate(gradients(params.values.shape[1])):
        if factors is not None:
            optimizer.anneal(np.full(len(params), factors[t]))
        optimizer.update(params, params.with_values(gradient[select] * optimizer.scale))
    return params.values


def formula(name, k):
    """Return the parameters of one trial after the same steps by the formula."""
    n = {key: value[k] for key, value in NUMBERS.items()}
    params = network().params
    is_weight = params.with_values(np.zeros((1, params.values.shape[1])))
    for weights in is_weight.weights:
        weights[:] = 1
    decayed = n["l2"] * is_weight.values[0]
    w, v, c, m = params.values[k].copy(), 0, 0, 0
    for t, g in enumerate(gradients(w.size)[:, k], start=1):
        g = g if name == "adamw" else g + decayed * w  # noqa: PLW2901  the regularised gradient
        rate, root = n["learning_rate"], None
        if name in ("sgd", "nesterov"):
            v = n["momentum"] * v - rate * g
            w = w + v if name == "sgd" else w + n["momentum"] * v - rate * g
        elif name in ("adagrad", "rmsprop"):
            c = c + g**2 if name == "adagrad" else n["rho"] * c + (1 - n["rho"]) * g**2
            root = np.sqrt(c) + n["epsilon"]
            w = w - rate * g / root
        else:
            w = w - rate * decayed * w if name == "adamw" else w
            m = n["beta1"] * m + (1 - n["beta1"]) * g
            c = n["beta2"] * c + (1 - n["beta2"]) * g**2
            root = np.sqrt(c / (1 - n["beta2"] ** t)) + n["epsilon"]
            w = w - rate * m / (1 - n["beta1"] ** t) / root
    return w


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_the_formula(name):
    """Four steps agree to 1e-12 for trials with different hyperparameters; L2 acts on weights only."""
    np.testing.assert_allclose(run(name), [formula(name, k) for k in range(TRIALS)], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_trial_steps_as_it_does_alone(name):
    """A trial gets the same bits in a group of three and alone."""
    together = run(name)
    for k in range(TRIALS):
        np.testing.assert_array_equal(run(name, select=slice(k, k + 1))[0], together[k])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_group_does_not_change_when_a_trial_leaves(name):
    """After two steps one trial is removed, and the others get the same bits as with it."""
    params = network().params
    optimizer = make_optimizer(name, params, NUMBERS)
    stay = np.array([True, False, True])
    for t, gradient in enumerate(gradients(params.values.shape[1])):
        if t == 2:
            params, optimizer = params.select(stay), optimizer.select(stay)
        mine = gradient if t < 2 else gradient[stay]
        optimizer.update(params, params.with_values(mine * optimizer.scale))
    np.testing.assert_array_equal(params.values, run(name)[stay])


@pytest.mark.parametrize("name", ["sgd", "nesterov"])
def test_momentum_zero_is_plain_descent(name):
    """Without momentum both are w - η·(g + l2·w), also in a group with momentum."""
    none = {**NUMBERS, "momentum": np.zeros(TRIALS)}
    still = {**NUMBERS, "momentum": np.array([0.0, 0.0, 0.5])}
    np.testing.assert_array_equal(run(name, none)[:2], run(name, still)[:2])
    np.testing.assert_array_equal(run(name, none)[1], run("sgd")[1])


def test_adams_first_step_is_the_learning_rate():
    """Its size is η·|g| / (|g| + ε)."""
    params = network().params
    numbers = {**NUMBERS, "l2": np.zeros(TRIALS)}
    before, gradient = params.values.copy(), 1e-3 * gradients(params.values.shape[1])[0]
    make_optimizer("adam", params, numbers).update(params, params.with_values(gradient.copy()))
    size = np.abs(gradient)
    expected = numbers["learning_rate"][:, None] * size / (size + numbers["epsilon"][:, None])
    np.testing.assert_allclose(np.abs(params.values - before), expected, rtol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_annealing_scales_the_initial_rate(name):
    """Factors multiply the initial rate, not the last one, so 0.1 and then 1 returns to it."""
    once = {**NUMBERS, "learning_rate": 0.5 * NUMBERS["learning_rate"]}
    np.testing.assert_allclose(run(name, factors=[0.5] * STEPS), run(name, once), rtol=1e-12)
    assert not np.allclose(run(name, factors=[1, 0.1, 1, 1]), run(name, factors=[1, 1, 1, 1]))


def test_float32_keeps_the_betas_digits():
    """1 - β is computed before rounding: Adam's first steps in float32 agree with float64 to 2e-6."""
    paths = []
    for dtype in ("float32", "float64"):
        params = init_network(Architecture((4, 3, 2), "relu"), ["zeros"], [0], dtype).params
        numbers = {key: value[:1] for key, value in {**NUMBERS, "l2": np.zeros(1)}.items()}
        optimizer = make_optimizer("adam", params, numbers)
        for gradient in gradients(params.values.shape[1])[:, :1]:
            optimizer.update(params, params.with_values(gradient.astype(dtype)))
        paths.append(params.values)
    np.testing.assert_allclose(paths[0], paths[1], rtol=2e-6, atol=1e-8)
