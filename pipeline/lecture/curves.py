"""Monitoring (7.1 to 7.5): loss curves with their diagnoses, gaps, update ratios and first-layer weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.data import Dataset
from pipeline.diagnosis.diagnose import RULES
from pipeline.lecture.datasets import load_digits
from pipeline.lecture.networks import first_layer, fit_network, healths, minibatch_losses
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, between, shown
from pipeline.nn.layers import Array
from pipeline.report.figures.plots import Row, images, lines
from pipeline.report.style import Plot
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import History, train

CONFIG = TrainConfig(epochs=40, batch_size=100)
EXPLODES = ("diverged", "dead", "lr-too-high", "late-explosion")
FLAT = ("flat-then-drop",)
Gallery = Mapping[str, tuple[HyperParams, tuple[str, ...]]]
CLEAN: Gallery = {
    "lr 1e-4": (HyperParams(learning_rate=1e-4), ("low-lr",)),
    "lr 1e-3": (HyperParams(learning_rate=1e-3), ("low-lr",)),
    "lr 3e-3": (HyperParams(learning_rate=3e-3), ("low-lr",)),
    "lr 1e-2": (HyperParams(learning_rate=1e-2), ("slightly-low-lr",)),
    "lr 0.1": (HyperParams(learning_rate=0.1), ("good",)),
    "lr 0.3": (HyperParams(learning_rate=0.3), ("good",)),
    "lr 10": (HyperParams(learning_rate=10), EXPLODES),
    "3 ReLU, W 0.03": (HyperParams(learning_rate=0.3, hidden=(50,) * 3, init=0.03), FLAT),
    "2 ReLU, W 0.01": (HyperParams(learning_rate=0.3, hidden=(50,) * 2, init=0.01), FLAT),
    "3 sigmoid": (HyperParams(learning_rate=1, hidden=(50,) * 3, init="xavier", activation="sigmoid"), FLAT),
    "3 tanh, W 0.01": (
        HyperParams(learning_rate=0.3, hidden=(50,) * 3, init=0.01, activation="tanh"),
        ("never-starts",),
    ),
    "5 ReLU": (HyperParams(learning_rate=0.1, hidden=(50,) * 5), ("good",)),
}
NOISY: Gallery = {
    "noise, lr 2": (HyperParams(learning_rate=2), ("good", "overfitting")),
    "noise, lr 6": (HyperParams(learning_rate=6), ("high-plateau", *EXPLODES)),
    "noise, 2 units": (HyperParams(learning_rate=0.3, hidden=(2,)), ("underfitting",)),
}
MISLABELLED = 0.4
MEMORISER = HyperParams(learning_rate=1.0, hidden=(500,))


def demonstrate(seed: int, *, seeds: int = 3) -> Outcome:
    """Train every curve of the gallery from several seeds, and test the other quantities to monitor."""
    clean, noisy = load_digits(seed), load_digits(seed, noise=0.2)
    claims: list[Claim] = []
    rows: list[Row] = []
    histories: dict[str, tuple[History, int]] = {}
    for gallery, data in ((CLEAN, clean), (NOISY, noisy)):
        gallery_claims, gallery_rows, history = _gallery(gallery, data, range(seed, seed + seeds))
        claims, rows = claims + gallery_claims, rows + gallery_rows
        histories |= {name: (history, k * seeds) for k, name in enumerate(gallery)}
    gap, memorised = _gap(load_digits(seed, noise=MISLABELLED), seed)
    claims += [*_better_init(clean, seed), *_batches(noisy, seed), *gap, *_ratios(clean, rows, seed)]
    figures = [_curves(histories), _update_ratios(histories), _gap_figure(memorised), _weights(clean, seed)]
    source = "digits minus their mean, divided by 8; some with 20 % of their training labels drawn at random"
    return Outcome(claims, rows, figures, source)


def _gallery(gallery: Gallery, data: Dataset, seeds: range) -> tuple[list[Claim], list[Row], History]:
    trials = [replace(trial, seed=seed) for trial, _ in gallery.values() for seed in seeds]
    history = train(trials, data, CONFIG)
    codes = healths(trials, history, data, CONFIG)
    claims, rows = [], []
    for k, (name, (_, expected)) in enumerate(gallery.items()):
        members = range(k * len(seeds), (k + 1) * len(seeds))
        observed = [codes[i] for i in members]
        claims.append(
            shown("7.1", f"{name}: {' or '.join(expected)}", ", ".join(observed), holds={*observed} <= {*expected})
        )
        rows += [_row(name, history, i, codes[i]) for i in members]
    return claims, rows, history


def _row(name: str, history: History, k: int, code: str) -> Row:
    first, loss = float(history.first_loss[k]), history.curves["train/loss"][k]
    ratio = history.layer_statistics["update_ratio"][k]
    median = float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else float("nan")
    return {
        "curve": name,
        "health": code,
        "first_loss": first,
        "last_loss": float(loss[-1]),
        "median_update_ratio": median,
    }


def _better_init(data: Dataset, seed: int) -> Iterator[Claim]:
    flat = [trial for trial, expected in CLEAN.values() if expected == FLAT and trial.activation == "relu"]
    trials = [replace(trial, init="he", seed=seed) for trial in flat]
    history = train(trials, data, CONFIG)
    codes = healths(trials, history, data, CONFIG)
    holds = not {"flat-then-drop", "late-start", "never-starts"} & set(codes)
    yield shown("7.2", "with He's weights there is no flat part", ", ".join(codes), holds=holds)
    ratio = (history.curves["train/loss"][:, 0] / history.first_loss).max()
    yield at_most("7.2", "the loss falls by 5 % or more in the first epoch: the ratio to the first loss", ratio, 0.95)


def _batches(data: Dataset, seed: int) -> Iterator[Claim]:
    """7.1: larger minibatches give a steadier loss, and with full batches only a high rate raises it."""
    rate, wiggles = HyperParams(learning_rate=0.1, seed=seed), []
    for size in (1, 10, 100, 400):
        losses = minibatch_losses(rate, data, replace(CONFIG, epochs=5, batch_size=size))
        wiggles.append(float(np.diff(losses).std() / np.sqrt(2) / losses.mean()))
    says, observed = (
        "batches of 1, 10, 100 and 400: the loss varies less",
        ", ".join(f"{wiggle:.2f}" for wiggle in wiggles),
    )
    yield shown("7.1", says, observed, holds=wiggles == sorted(wiggles, reverse=True))
    full = replace(CONFIG, epochs=100, batch_size=len(data.train))
    trials = [replace(rate, learning_rate=r) for r in (0.1, 3.0)]
    losses = train(trials, data, full).curves["train/loss"]
    rises = [int((np.diff(loss) > 1e-6 * loss[1:]).sum()) for loss in losses]
    says = "with full batches the loss never rises at a rate of 0.1, but does at 3"
    yield shown("7.1", says, f"{rises[0]} and {rises[1]} rises", holds=rises[0] == 0 < rises[1])


def _gap(data: Dataset, seed: int) -> tuple[list[Claim], History]:
    trials = [replace(MEMORISER, seed=seed), replace(NOISY["noise, 2 units"][0], seed=seed)]
    history = train(trials, data, replace(CONFIG, epochs=80))
    train_accuracy, val = history.curves["train/accuracy"], history.curves["val/accuracy"]
    large, small = healths(trials, history, data, replace(CONFIG, epochs=80))
    return [
        at_least("7.3", "500 units overfit wrong labels: training accuracy", train_accuracy[0, -1], 0.98),
        at_least("7.3", "500 units: the gap to validation accuracy", train_accuracy[0, -1] - val[0, -1], 0.10),
        shown("7.3", "500 units: the diagnosis is overfitting", large, holds=large == "overfitting"),
        at_most("7.3", "two units: the gap to validation accuracy", train_accuracy[1, -1] - val[1, -1], 0.02),
        shown("7.3", "two units: the diagnosis is underfitting", small, holds=small == "underfitting"),
    ], history


def _ratios(data: Dataset, rows: Sequence[Row], seed: int) -> Iterator[Claim]:
    def median(name: str) -> float:
        return float(np.median([row["median_update_ratio"] for row in rows if row["curve"] == name]))

    yield between(
        "7.4", "|update|/|W| is about 1e-3 in a healthy trial: at a rate of 0.3", median("lr 0.3"), 5e-4, 1e-2
    )
    yield at_most("7.4", "|update|/|W| is lower at a rate of 1e-4", median("lr 1e-4"), 2e-4)
    config = replace(CONFIG, epochs=1, batch_size=len(data.train), dtype="float64")
    trials = [HyperParams(learning_rate=rate, seed=seed) for rate in (0.01, 0.1)]
    low, high = train(trials, data, config).layer_statistics["update_ratio"][:, 0]
    error = np.abs(high / low / 10 - 1).max()
    yield at_most("7.4", "ten times the rate gives ten times the ratio, relative error", error, 1e-9)
    zero = train([HyperParams(init="zeros", seed=seed)], data, config).layer_statistics["update_ratio"][0, 0]
    yield shown("7.4", "|update|/|W| is left out if all weights are 0", str(zero), holds=bool(np.isnan(zero).all()))
    yield shown("7.1", "there are more than 20 rules of diagnosis", f"{len(RULES)}", holds=len(RULES) > 20)


def _epochs(values: Array) -> tuple[Array, Array]:
    return np.arange(1, len(values) + 1), values


def _curves(histories: Mapping[str, tuple[History, int]]) -> Plot:
    rates = ["lr 1e-3", "lr 1e-2", "lr 0.3", "lr 10", "noise, lr 6"]
    starts = [name for name, (_, expected) in CLEAN.items() if expected in (FLAT, ("never-starts",))]
    panels = {
        heading: {name: _epochs(histories[name][0].curves["train/loss"][histories[name][1]]) for name in names}
        for heading, names in (("learning rates", rates), ("initialisations", starts))
    }
    return lines("gallery", "A gallery of loss curves", panels, x="epoch", y="training loss", limits=(0, 4))


def _update_ratios(histories: Mapping[str, tuple[History, int]]) -> Plot:
    panel = {}
    for name in ("lr 1e-4", "lr 1e-2", "lr 0.3", "3 tanh, W 0.01", "noise, lr 2"):
        history, k = histories[name]
        panel[name] = _epochs(history.layer_statistics["update_ratio"][k, :, 0])
    panel["1e-3"] = _epochs(np.full(CONFIG.epochs, 1e-3))
    title = "Updates of the first layer, relative to its weights"
    return lines("update_ratio", title, {"": panel}, x="epoch", y="|update|/|W|", log_y=True)


def _gap_figure(history: History) -> Plot:
    panels = {
        heading: {split: _epochs(history.curves[f"{split}/accuracy"][k]) for split in ("train", "val")}
        for k, heading in enumerate(("500 units, noisy labels", "2 units"))
    }
    return lines("gap", "Training and validation accuracy", panels, x="epoch", y="accuracy", limits=(0, 1.02))


def _weights(data: Dataset, seed: int) -> Plot:
    trials = {
        "He, untrained": HyperParams(learning_rate=0.0, seed=seed),
        "lr 0.3": HyperParams(learning_rate=0.3, seed=seed),
        "lr 0.3, L2 0.01": HyperParams(learning_rate=0.3, l2=0.01, seed=seed),
    }
    weights = {name: first_layer(fit_network(trial, data, CONFIG), (8, 8)) for name, trial in trials.items()}
    rows = [{"network": name, "greatest_weight": float(np.abs(w).max())} for name, w in weights.items()]
    return images("first_layer", "First-layer weights on the digits", weights, rows)
