"""Lockstep training ends at the same parameters as a textbook implementation for one trial."""

import numpy as np
import pytest
from scipy.special import log_softmax

from pipeline.data import Dataset, Split
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import run_epochs
from pipeline.training.lockstep import make_tiles

ROWS, FEATURES, CLASSES, EPOCHS, ORDER = 45, 6, 4, 6, 5
CONFIG = TrainConfig(epochs=EPOCHS, batch_size=20, preprocessing="none", dtype="float64")
ACTIVATIONS = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "silu": (lambda z: z / (1 + np.exp(-z)), lambda z: (1 + np.exp(-z) + z * np.exp(-z)) / (1 + np.exp(-z)) ** 2),
}


def factor(p, t):
    """Return the learning rate of epoch t, counted from 0, as a factor of the configured rate."""
    annealed = {
        "constant": 1.0,
        "step": p.step_factor ** (t // p.step_epochs),
        "exponential": np.exp(-p.decay_rate * t),
        "inverse_time": 1 / (1 + p.decay_rate * t),
        "cosine": 0.5 * (1 + np.cos(np.pi * t / EPOCHS)),
    }
    return annealed[p.schedule] * min(1, (t + 1) / (p.warmup + 1))


class Reference:
    """A textbook network of one trial: parameters W (D, H), b, gamma and beta (H,), and the optimizer's state."""

    def __init__(self, hparams, arrays):
        self.hparams, self.masks = hparams, np.random.default_rng([hparams.seed, 1])
        self.layers = [{name: value.reshape(value.shape[-2:]) for name, value in layer.items()} for layer in arrays]
        self.running = [[0.0, 1.0] for _ in self.layers]
        self.memory = [dict.fromkeys(layer, (0.0, 0.0)) for layer in self.layers]
        self.steps = 0

    def forward(self, x, *, training):
        """Return the logits, the last layer's inputs, and what :meth:`gradients` needs of each hidden layer."""
        p, kept, (f, slope) = self.hparams, [], ACTIVATIONS[self.hparams.activation]
        for i, layer in enumerate(self.layers[:-1]):
            z = x @ layer["W"] + layer["b"]
            normed, std = z, None
            if p.batch_norm:
                mean, variance = (z.mean(0), z.var(0)) if training else self.running[i]
                if training:
                    now = (mean, variance)
                    self.running[i] = [0.9 * old + 0.1 * new for old, new in zip(self.running[i], now, strict=True)]
                std = np.sqrt(variance + 1e-5)
                normed = (z - mean) / std
                z = layer["gamma"] * normed + layer["beta"]
            mask = np.ones_like(z)
            if p.dropout and training:
                drawn = self.masks.random(z.T.shape).T
                mask = (drawn < 1 - p.dropout) / (1 - p.dropout)
            kept.append((x, normed, std, slope(z), mask))
            x = f(z) * mask
        return x @ self.layers[-1]["W"] + self.layers[-1]["b"], x, kept

    def gradients(self, x, y):
        """Return the sum of a minibatch's losses, and the gradients of the mean smoothed loss."""
        p = self.hparams
        logits, hidden, kept = self.forward(x, training=True)
        logs = log_softmax(logits, axis=1)
        targets = (1 - p.label_smoothing) * np.eye(CLASSES)[y] + p.label_smoothing / CLASSES
        delta = (np.exp(logs) - targets) / len(x)
        grads = [{"W": hidden.T @ delta, "b": delta.sum(0, keepdims=True)}]
        for layer, above, (inputs, normed, std, slope, mask) in zip(
            self.layers[-2::-1], self.layers[:0:-1], kept[::-1], strict=True
        ):
            delta = (delta @ above["W"].T) * mask * slope
            grad = {}
            if p.batch_norm:
                grad |= {"gamma": (delta * normed).sum(0, keepdims=True), "beta": delta.sum(0, keepdims=True)}
                scaled = delta * layer["gamma"]
                delta = (scaled - scaled.mean(0) - normed * (scaled * normed).mean(0)) / std
            grads.insert(0, {"W": inputs.T @ delta, "b": delta.sum(0, keepdims=True), **grad})
        return -logs[np.arange(len(y)), y].sum(), grads

    def step(self, x, y, rate):
        """Take one step, and return the sum of the losses before it."""
        p, (loss, grads) = self.hparams, self.gradients(x, y)
        if p.clip:
            norm = np.sqrt(sum((g**2).sum() for layer in grads for g in layer.values()))
            grads = [{name: g * min(1, p.clip / norm) for name, g in layer.items()} for layer in grads]
        self.steps += 1
        if p.t0:
            rate *= p.t0 / max(p.t0, self.steps)
        for layer, grad, memory in zip(self.layers, grads, self.memory, strict=True):
            coupled, decoupled = (0, p.l2) if p.optimizer == "adamw" else (p.l2, 0)
            grad["W"] = grad["W"] + p.l1 * np.sign(layer["W"]) + coupled * layer["W"]
            layer["W"] = layer["W"] * (1 - rate * decoupled)
            for name, g in grad.items():
                moved, memory[name] = self.move(g, rate, *memory[name])
                layer[name] = layer[name] + moved
            if p.max_norm:
                layer["W"] = layer["W"] * np.minimum(1, p.max_norm / np.linalg.norm(layer["W"], axis=0))
        return loss

    def move(self, g, rate, first, second):
        """Return the update of a parameter for a gradient, and the two new state values."""
        p = self.hparams
        if p.optimizer in ("sgd", "nesterov"):
            velocity = p.momentum * first - rate * g
            return (p.momentum * velocity - rate * g if p.optimizer == "nesterov" else velocity), (velocity, 0.0)
        if p.optimizer in ("adagrad", "rmsprop"):
            squares = second + g**2 if p.optimizer == "adagrad" else p.rho * second + (1 - p.rho) * g**2
            return -rate * g / (np.sqrt(squares) + p.epsilon), (0.0, squares)
        mean, square = p.beta1 * first + (1 - p.beta1) * g, p.beta2 * second + (1 - p.beta2) * g**2
        unbiased = mean / (1 - p.beta1**self.steps), square / (1 - p.beta2**self.steps)
        return -rate * unbiased[0] / (np.sqrt(unbiased[1]) + p.epsilon), (mean, square)

    def train(self, data):
        """Return the training and the validation loss of each epoch."""
        p, rng, curves = self.hparams, np.random.default_rng(ORDER), []
        for t in range(EPOCHS):
            rate = p.learning_rate * factor(p, t)
            order, total = rng.permutation(ROWS), 0.0
            for start in range(0, ROWS, CONFIG.batch_size):
                part = order[start : start + CONFIG.batch_size]
                total += self.step(data.train.inputs[part], data.train.labels[part], rate)
            logs = log_softmax(self.forward(data.val.inputs, training=False)[0], axis=1)
            curves.append((total / ROWS, -logs[np.arange(len(data.val)), data.val.labels].mean()))
        return np.array(curves).T


# Before batch norm, the gradient of a bias is rounding noise, which Adam would amplify with the default epsilon.
CASES = {
    "sgd": {"l2": 0.01, "schedule": "step", "step_epochs": 2, "step_factor": 0.7},
    "momentum": {"momentum": 0.9, "l2": 0.02, "batch_norm": True, "schedule": "cosine", "warmup": 2},
    "l1": {"l1": 0.01, "momentum": 0.5},
    "t0": {"t0": 3.5, "momentum": 0.5, "l2": 0.01, "schedule": "step", "step_epochs": 2, "step_factor": 0.7},
    "clip": {"clip": 0.2, "l1": 0.005, "l2": 0.01, "activation": "silu"},
    "max_norm": {"max_norm": 0.6, "label_smoothing": 0.2, "dropout": 0.3},
    "nesterov": {"optimizer": "nesterov", "momentum": 0.8, "schedule": "exponential", "decay_rate": 0.2, "l2": 0.01},
    "adagrad": {"optimizer": "adagrad", "epsilon": 1e-3, "l2": 0.01, "schedule": "inverse_time", "decay_rate": 0.3},
    "rmsprop": {"optimizer": "rmsprop", "rho": 0.8, "epsilon": 1e-3, "label_smoothing": 0.1, "hidden": (7, 6, 5)},
    "adam": {"optimizer": "adam", "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3, "l2": 0.01, "batch_norm": True},
    "adamw": {"optimizer": "adamw", "l2": 0.1, "dropout": 0.2, "clip": 0.5, "l1": 0.001},
    "all": {
        "optimizer": "adam",
        "epsilon": 1e-3,
        "activation": "relu",
        "batch_norm": True,
        "dropout": 0.25,
        "label_smoothing": 0.1,
        "l1": 0.002,
        "l2": 0.01,
        "clip": 0.3,
        "max_norm": 1.2,
        "schedule": "cosine",
        "warmup": 1,
    },
}


def split(rows, seed):
    """Return rows of four overlapping classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, rows)
    return Split(rng.standard_normal((rows, FEATURES)) + labels[:, None] * np.linspace(-0.5, 0.5, FEATURES), labels)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_lockstep_agrees_with_the_textbook(case):
    """Three trials with different rates and seeds have the losses and parameters of the textbook network."""
    data = Dataset(split(ROWS, 0), split(30, 1), split(30, 2), CLASSES)
    base = {"hidden": (8, 5), "activation": "tanh", **case}
    trials = [HyperParams(**base, learning_rate=rate, seed=k) for k, rate in enumerate((0.05, 0.02, 0.01))]
    (tile,) = tiles = make_tiles(trials, FEATURES, CLASSES, CONFIG)
    starts = [_parameters(tile.network, k) for k in range(3)]
    record = run_epochs(tiles, data, CONFIG, np.random.default_rng(ORDER))
    for k, (trial, start) in enumerate(zip(trials, starts, strict=True)):
        reference = Reference(trial, start)
        curves = reference.train(data)
        for key, curve in zip(("train/loss", "val/loss"), curves, strict=True):
            np.testing.assert_allclose(record.curves[key][k], curve, rtol=1e-9)
        for ours, theirs in zip(_parameters(tile.network, k), reference.layers, strict=True):
            for name, value in theirs.items():
                np.testing.assert_allclose(ours[name], value, rtol=1e-7, atol=1e-10, err_msg=name)


def _parameters(network, k):
    """Return copies of a trial's parameters, a dict for each dense layer together with the norm after it."""
    layers = []
    for arrays in network.params.layers:
        parameters = {name: arrays[name][k].copy() for name in ("W", "b", "gamma", "beta") if name in arrays}
        if "W" in parameters:
            layers.append(parameters)
        elif parameters:
            layers[-1] |= parameters
    return layers
