"""Values and gradients, optimizers' paths and schedules, compared with PyTorch in float64; skipped where it is not installed."""

import numpy as np
import pytest

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.layers import BatchNorm, Dense, Dropout, LayerNorm, Maxout, Nonlinearity, PReLU, Workspace
from pipeline.nn.losses import smooth, softmax_cross_entropy, softmax_cross_entropy_gradient
from pipeline.nn.network import Architecture, backward, forward, init_network
from pipeline.nn.optimizers import make_optimizer
from pipeline.nn.regularisers import Regularisers, l2_penalty
from pipeline.study.hparams import HyperParams

torch = pytest.importorskip("torch", reason="PyTorch is not installed; these tests compare with it")
F = torch.nn.functional

TRIALS, ROWS, FEATURES, CLASSES = 3, 16, 6, 4
RNG = np.random.default_rng(0)
INPUTS, LABELS = RNG.standard_normal((ROWS, FEATURES)), RNG.integers(0, CLASSES, ROWS)
CLOSE = {"rtol": 1e-10, "atol": 1e-13}

FUNCTIONS = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
    "elu": F.elu,
    "gelu": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
}


def tensor(values, *, grad=False):
    """Return a copy in float64 for PyTorch, with gradients or without."""
    return torch.tensor(np.array(values), dtype=torch.float64, requires_grad=grad)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activations(name):
    """Values and slopes are PyTorch's, from -40 to 40."""
    z = np.concatenate([np.linspace(-40, 40, 161), RNG.standard_normal(200)])
    z = z[z != 0]  # at the kink, a slope is a convention
    values, slope = z.copy(), np.empty(z.shape, bool if ACTIVATIONS[name].binary else float)
    ACTIVATIONS[name].forward(values, slope)
    theirs = tensor(z, grad=True)
    outputs = FUNCTIONS[name](theirs)
    outputs.sum().backward()
    np.testing.assert_allclose(values, outputs.detach(), **CLOSE)
    np.testing.assert_allclose(slope, theirs.grad, **CLOSE)


def test_every_activation_is_compared():
    """Every activation is compared; those with parameters are compared as layers."""
    assert set(FUNCTIONS) | {"prelu", "maxout"} == set(ACTIVATIONS)


def draw(trials=TRIALS, **structure):
    """Return networks in float64 without parameters at 0 or 1."""
    architecture = Architecture((FEATURES, 9, 8, CLASSES), **structure)
    network = init_network(architecture, ["he"] * trials, range(trials), "float64", [0.3, 0.5, 0.1][:trials])
    network.params.values += 0.1 * np.random.default_rng(2).standard_normal(network.params.values.shape)
    return network


def replica(network, k, params, stats, workspace, *, training):
    """Return the logits (B, C) of trial k, computed with PyTorch's functions, which update ``stats``."""
    signal = tensor(INPUTS)
    for layer, p, s in zip(network.layers, params, stats, strict=True):
        if isinstance(layer, Dense):
            signal = F.linear(signal, p["W"].T, p["b"][0])
        elif isinstance(layer, BatchNorm):
            affine = {"weight": p["gamma"][0], "bias": p["beta"][0], "eps": layer.epsilon}
            running = {"momentum": 1 - layer.momentum, "training": training}
            signal = F.batch_norm(signal, s["mean"][0], s["variance"][0], **affine, **running)
        elif isinstance(layer, LayerNorm):
            signal = F.layer_norm(signal, (layer.width,), p["gamma"][0], p["beta"][0], layer.epsilon)
        elif isinstance(layer, PReLU):
            signal = F.prelu(signal, p["a"][0])
        elif isinstance(layer, Maxout):
            signal = signal.reshape(ROWS, 2, layer.width).amax(dim=1)
        elif isinstance(layer, Dropout):
            mask = workspace.like_signal(layer.index, "mask", layer.width)[k]
            signal = signal * tensor(mask) if training else signal
        elif isinstance(layer, Nonlinearity):
            (name,) = [name for name, activation in ACTIVATIONS.items() if activation is layer.activation]
            signal = FUNCTIONS[name](signal)
    return signal


def tensors(parameters, k, *, grad):
    """Return trial k's arrays, by layer and name."""
    return [
        {name: tensor(views[name][k], grad=grad) for name in shapes}
        for views, (shapes, _) in zip(parameters.layers, parameters.layouts, strict=True)
    ]


STRUCTURES = [
    *({"activation": name} for name in ACTIVATIONS),
    {"activation": "relu", "batch_norm": True},
    {"activation": "tanh", "layer_norm": True},
    {"activation": "prelu", "dropout": True},
    {"activation": "maxout", "batch_norm": True, "layer_norm": True, "dropout": True},
]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_networks_in_training(structure, smoothing):
    """Logits, losses and the gradient of every parameter are PyTorch's, for each of three trials."""
    network = draw(**structure)
    before = [tensors(network.stats, k, grad=False) for k in range(TRIALS)]
    workspace = Workspace(TRIALS, ROWS, "float64")
    signals = forward(network, INPUTS, workspace, training=True)
    logits = signals[-1].copy()
    losses, correct, probabilities = softmax_cross_entropy(signals[-1], LABELS)
    targets = smooth(np.eye(CLASSES)[LABELS], np.full((TRIALS, 1, 1), smoothing))
    upstream = softmax_cross_entropy_gradient(probabilities.copy(), targets)
    grads = network.params.with_values(np.zeros_like(network.params.values))
    backward(network, grads, signals, upstream, workspace)
    for k in range(TRIALS):
        params = tensors(network.params, k, grad=True)
        theirs = replica(network, k, params, before[k], workspace, training=True)
        np.testing.assert_allclose(logits[k], theirs.detach(), **CLOSE)
        np.testing.assert_array_equal(correct[k], theirs.argmax(dim=1).numpy() == LABELS)
        np.testing.assert_allclose(probabilities[k], theirs.softmax(dim=1).detach(), **CLOSE)
        by_row = F.cross_entropy(theirs, torch.tensor(LABELS), reduction="none")
        np.testing.assert_allclose(losses[k], by_row.detach(), **CLOSE)
        F.cross_entropy(theirs, torch.tensor(LABELS), label_smoothing=smoothing).backward()
        for layer, (ours, arrays_of_trial) in enumerate(zip(grads.layers, params, strict=True)):
            for name, parameter in arrays_of_trial.items():
                np.testing.assert_allclose(ours[name][k], parameter.grad, err_msg=f"{layer} {name}", **CLOSE)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_networks_in_testing(structure):
    """Logits in test mode are PyTorch's."""
    network = draw(**structure)
    workspace = Workspace(TRIALS, ROWS, "float64")
    for _ in range(3):  # so that the running statistics are something
        forward(network, INPUTS, workspace, training=True)
    logits = forward(network, INPUTS, workspace, training=False)[-1]
    for k in range(TRIALS):
        params, stats = tensors(network.params, k, grad=False), tensors(network.stats, k, grad=False)
        theirs = replica(network, k, params, stats, workspace, training=False)
        np.testing.assert_allclose(logits[k], theirs, **CLOSE)


def test_running_statistics():
    """The running mean is PyTorch's; the variance is of the population, where PyTorch takes n / (n - 1) of it."""
    network = draw(activation="relu", batch_norm=True)
    layer, running, workspace = network.layers[1], network.stats.layers[1], Workspace(TRIALS, ROWS, "float64")
    theirs = torch.nn.BatchNorm1d(layer.width, dtype=torch.float64)
    for step in range(4):
        inputs = np.random.default_rng(step).standard_normal((TRIALS, ROWS, layer.width)) + step
        layer.forward(network.arrays[1], inputs.copy(), workspace, training=True)
        theirs(tensor(inputs[0]))
    np.testing.assert_allclose(running["mean"][0, 0], theirs.running_mean, **CLOSE)
    start = layer.momentum**4  # what is left of the variance of 1 that both begin with
    np.testing.assert_allclose(
        (running["variance"][0, 0] - start) * ROWS / (ROWS - 1) + start, theirs.running_var, **CLOSE
    )


NUMBERS = {
    "learning_rate": np.array([0.1, 0.01, 0.5]),
    "l2": np.array([0.0, 0.1, 0.01]),
    "momentum": np.array([0.9, 0.3, 0.5]),
    "epsilon": np.array([1e-8, 1e-6, 1e-3]),
    "rho": np.array([0.99, 0.9, 0.5]),
    "beta1": np.array([0.9, 0.8, 0.0]),
    "beta2": np.array([0.999, 0.99, 0.9]),
}
OPTIMIZERS = {
    "sgd": lambda groups, n: torch.optim.SGD(groups, n["learning_rate"], momentum=n["momentum"]),
    "nesterov": lambda groups, n: torch.optim.SGD(groups, n["learning_rate"], momentum=n["momentum"], nesterov=True),
    "adagrad": lambda groups, n: torch.optim.Adagrad(groups, n["learning_rate"], eps=n["epsilon"]),
    "rmsprop": lambda groups, n: torch.optim.RMSprop(groups, n["learning_rate"], alpha=n["rho"], eps=n["epsilon"]),
    "adam": lambda groups, n: torch.optim.Adam(groups, n["learning_rate"], (n["beta1"], n["beta2"]), n["epsilon"]),
    "adamw": lambda groups, n: torch.optim.AdamW(groups, n["learning_rate"], (n["beta1"], n["beta2"]), n["epsilon"]),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    """The parameters after six steps are PyTorch's, with weight decay on the weights alone."""
    network = draw(activation="relu", batch_norm=True)
    params = network.params
    start = [tensors(params, k, grad=True) for k in range(TRIALS)]
    gradients = np.random.default_rng(1).standard_normal((6, *params.values.shape))
    optimizer = make_optimizer(name, params, NUMBERS)
    for gradient in gradients:
        optimizer.update(params, params.with_values(gradient * optimizer.scale))
    for k, arrays_of_trial in enumerate(start):
        numbers = {key: float(value[k]) for key, value in NUMBERS.items()}
        weights = [p for arrays in arrays_of_trial for key, p in arrays.items() if key == "W"]
        others = [p for arrays in arrays_of_trial for key, p in arrays.items() if key != "W"]
        groups = [{"params": weights, "weight_decay": numbers["l2"]}, {"params": others, "weight_decay": 0.0}]
        theirs = OPTIMIZERS[name](groups, numbers)
        for gradient in gradients:
            for arrays, views in zip(arrays_of_trial, params.with_values(gradient).layers, strict=True):
                for key, parameter in arrays.items():
                    parameter.grad = tensor(views[key][k])
            theirs.step()
        for arrays, views in zip(arrays_of_trial, params.layers, strict=True):
            for key, parameter in arrays.items():
                np.testing.assert_allclose(views[key][k], parameter.detach(), err_msg=key, **CLOSE)


def test_penalties_and_clips():
    """½·l2·ΣW², the gradient of l1·Σ|W|, the clip of the gradient's norm, and the limit of the norms into a unit."""
    network = draw(activation="relu")
    params, numbers = network.params, np.array([0.3, 0.01, 2.0])
    gradients = params.with_values(np.random.default_rng(1).standard_normal(params.values.shape))
    before = gradients.values.copy()
    l2 = l2_penalty(params, numbers)
    Regularisers(clip=numbers[:, None]).before(params, gradients, np.ones((TRIALS, 1)))
    clipped = gradients.values.copy()
    gradients.values[:] = 0
    Regularisers(l1=numbers[:, None]).before(params, gradients, np.ones((TRIALS, 1)))
    arrays_of_trial = [tensors(params, k, grad=True) for k in range(TRIALS)]
    Regularisers(max_norm=numbers[:, None]).after(params)
    for k in range(TRIALS):
        weights = [arrays["W"] for arrays in arrays_of_trial[k] if "W" in arrays]
        np.testing.assert_allclose(l2[k], 0.5 * numbers[k] * sum((w * w).sum() for w in weights).detach(), **CLOSE)
        penalty = numbers[k] * sum(w.abs().sum() for w in weights)
        penalty.backward()
        for ours, w in zip(gradients.weights, weights, strict=True):
            np.testing.assert_allclose(ours[k], w.grad, **CLOSE)
        flat = torch.nn.Parameter(torch.zeros(before.shape[1], dtype=torch.float64))
        flat.grad = tensor(before[k])
        torch.nn.utils.clip_grad_norm_([flat], float(numbers[k]))
        np.testing.assert_allclose(clipped[k], flat.grad, rtol=1e-5)  # PyTorch adds 1e-6 to the norm
        for ours, w in zip(params.weights, weights, strict=True):
            np.testing.assert_allclose(
                ours[k], torch.renorm(w.detach(), 2, 1, float(numbers[k])), rtol=1e-6
            )  # 1e-7 here


EPOCHS = 12
SCHEDULES = {
    "constant": lambda o: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0),
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=3, gamma=0.5),
    "exponential": lambda o: torch.optim.lr_scheduler.ExponentialLR(o, gamma=float(np.exp(-0.2))),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=EPOCHS),
    "inverse_time": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 1 / (1 + 0.2 * epoch)),
}


def rates(schedule, *others):
    """Return the learning rate of each epoch, from 0.1 on, by PyTorch's schedulers."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1)
    schedulers = [make(optimizer) for make in (schedule, *others)]
    values = []
    for _ in range(EPOCHS):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return values


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    """The learning rate of every epoch is PyTorch's."""
    trial = HyperParams(learning_rate=0.1, schedule=name, step_epochs=3, decay_rate=0.2)
    ours = [trial.learning_rate * trial.rate_factor(epoch, EPOCHS) for epoch in range(EPOCHS)]
    np.testing.assert_allclose(ours, rates(SCHEDULES[name]), rtol=1e-12)


def test_warm_up():
    """Warm-up is PyTorch's linear schedule from 1 / (w + 1) over w epochs, chained with another schedule."""
    trial = HyperParams(learning_rate=0.1, schedule="step", step_epochs=3, warmup=4)
    ours = [trial.learning_rate * trial.rate_factor(epoch, EPOCHS) for epoch in range(EPOCHS)]

    def warm(optimizer):
        return torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 5, total_iters=4)

    np.testing.assert_allclose(ours, rates(SCHEDULES["step"], warm), rtol=1e-12)
