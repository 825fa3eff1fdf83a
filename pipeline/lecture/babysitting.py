"""Babysitting (5.1 to 5.7): a two-layer network on images, its first loss, overfitting, and bad learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from pipeline.data import Dataset, Split
from pipeline.lecture.datasets import SCALE, SHAPE, Pictures, load_digits, load_images
from pipeline.lecture.networks import first_layer, fit_network, healths
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, near, shown
from pipeline.nn.network import Network, init_network
from pipeline.nn.regularisers import l2_penalty
from pipeline.report.figures.plots import Lines, Row, images, lines
from pipeline.report.style import Plot
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import History, evaluate, train
from pipeline.training.memory import architecture

TRIAL = HyperParams(learning_rate=1e-3, init=1e-4, l2=1e-6)
CONFIG = TrainConfig(epochs=10, batch_size=100)
LOG = {1: 2.302603, 5: 2.300044, 10: 2.234787, 15: 1.820876, 19: 1.421527, 195: 0.002694, 200: 0.002597}
"""The costs in the lecture's log, by epoch, while 20 examples are overfitted."""
SWEPT = 10_000
"""Training rows for the sweep of rates; the lecture's rates are tried on all rows."""
TOO_HIGH = {"diverged", "dead", "late-explosion", "lr-too-high"}


def demonstrate(seed: int) -> Outcome:
    """Follow the lecture's steps in order, on CIFAR-10 or its stand-in."""
    pictures = load_images(seed)
    overfit, history = _overfit(pictures, seed)
    claims = [*_first_loss(pictures, seed), *overfit, *_low(pictures, seed), *_far_too_high(pictures, seed)]
    too_high, rows, losses = _too_high(pictures, seed)
    claims += [*too_high, *_scale(seed)]
    log = [
        {"epoch": e, "lecture": cost, "here": float(history.curves["train/loss"][0, e - 1])} for e, cost in LOG.items()
    ]
    figures = [_overfit_figure(history), _rates_figure(losses), _weights_figure(pictures, seed)]
    return Outcome(claims, rows, figures, pictures.description, {"twenty": log})


def _network(data: Dataset, seed: int) -> Network:
    return init_network(architecture(TRIAL, data.features, data.classes), [TRIAL.init], [seed], "float64")


def _first_loss(pictures: Pictures, seed: int) -> Iterator[Claim]:
    network, train = _network(pictures.data, seed), pictures.data.train
    loss = float(evaluate(network, Split(train.inputs[:2500], train.labels[:2500]))[0][0])
    says = "the first loss without regularisation is ln 10 (the lecture prints 2.30261)"
    yield near("5.1", says, loss, math.log(10), 1e-3)
    rise = float(l2_penalty(network.params, np.array([1e3]))[0])
    exact = 0.5e3 * sum(float((w.astype("float64") ** 2).sum()) for w in network.params.weights)
    yield at_most("5.2", "a regularisation of 1e3 adds ½·1e3·ΣW², relative error", abs(rise / exact - 1), 1e-6)
    yield near("5.2", "the first loss with it is 3.0731 (the lecture prints 3.06860)", loss + rise, 3.0731, 0.012)


def _overfit(pictures: Pictures, seed: int) -> tuple[list[Claim], History]:
    data = pictures.data
    few = Split(data.train.inputs[:20], data.train.labels[:20])
    other = Split(few.inputs, np.random.default_rng(seed).permutation(few.labels))
    config = TrainConfig(epochs=200, batch_size=20)
    trial = replace(TRIAL, l2=0.0, seed=seed)
    history, control = (train([trial], Dataset(rows, rows, data.val, 10), config) for rows in (few, other))
    loss, accuracy = history.curves["train/loss"][0], history.curves["val/accuracy"][0]
    first = int(np.argmax(accuracy == 1)) + 1 if (accuracy == 1).any() else 0
    note = "The accuracy falls on the way, as in the lecture's log; only its end is tested."
    learned, held_out = control.curves["val/accuracy"][0, -1], control.scores["test/accuracy"][0]
    observed = f"accuracy {learned:.2f} on them, {held_out:.2f} on other rows"
    says = "20 shuffled labels are overfitted, too, so passing does not depend on the inputs"
    return [
        shown("5.3", "20 examples are overfitted in 200 epochs", f"in {first}", holds=accuracy[-1] == 1, note=note),
        at_most("5.3", "the last cost (the lecture prints 0.002597)", loss[-1], 0.01),
        shown("5.3", says, observed, holds=learned == 1 and held_out < 0.2),
    ], history


def _low(pictures: Pictures, seed: int) -> Iterator[Claim]:
    rates = [1e-6] if pictures.real else [1e-6, 1e-5]
    trials = [replace(TRIAL, learning_rate=rate, seed=seed) for rate in rates]
    history = train(trials, pictures.data, CONFIG, order_seed=seed)
    changes = np.abs(history.curves["train/loss"][:, -1] / history.curves["train/loss"][:, 0] - 1)
    yield at_most("5.4", "at 1e-6 the cost changes by less than 0.1 % in 10 epochs", changes[0], 1e-3)
    note = "" if pictures.real else "The stand-in shows this at 1e-5, with an equally flat loss."
    says = f"at {rates[-1]:g} the loss changes by {changes[-1]:.2%}, but accuracy rises above 1.5 times that of a guess"
    yield at_least("5.4", says, history.curves["val/accuracy"][-1, -1], 0.15, note=note)
    health = healths(trials, history, pictures.data, CONFIG)[-1]
    says = "the diagnosis is a low rate, and not a broken gradient"
    yield shown("5.4", says, health, holds=health in ("barely-moves", "low-lr"))


def _far_too_high(pictures: Pictures, seed: int) -> Iterator[Claim]:
    data = pictures.data
    few = Dataset(Split(data.train.inputs[:500], data.train.labels[:500]), data.val, data.test, 10)
    trial, config = replace(TRIAL, learning_rate=1e6, seed=seed), replace(CONFIG, epochs=1)
    history = train([trial], few, config)
    note = "The rate is 1e6 in the slides and 1e-6 in the transcript."
    diverged = bool(history.diverged[0])
    yield shown("5.5", "at 1e6 the cost is not finite within 5 steps", str(diverged), holds=diverged, note=note)
    (health,) = healths([trial], history, few, config)
    yield shown("5.5", "the diagnosis is a far too high rate", health, holds=health == "diverged")
    network = fit_network(trial, few, replace(config, epochs=2))
    right, zeros = float(evaluate(network, data.val)[1].mean()), float((data.val.labels == 0).mean())
    observed = f"{right:.3f}, and {zeros:.3f} of the rows are of class 0"
    yield shown("5.5", "the accuracy is the share of class 0, the argmax of NaN", observed, holds=right == zeros)


def _too_high(pictures: Pictures, seed: int) -> tuple[list[Claim], list[Row], Mapping[float, np.ndarray]]:
    data, train_rows = pictures.data, pictures.data.train
    part = replace(data, train=Split(train_rows.inputs[:SWEPT], train_rows.labels[:SWEPT]))
    rates = [1e-5 * 2**i for i in range(15)]
    trials = [replace(TRIAL, learning_rate=rate, seed=seed) for rate in rates]
    history = train(trials, part, CONFIG, order_seed=seed)
    codes = healths(trials, history, part, CONFIG)
    highest = max((rate for rate, code in zip(rates, codes, strict=True) if code not in TOO_HIGH), default=math.nan)
    rate = 3e-3 if pictures.real else 3 * highest
    edge = replace(TRIAL, learning_rate=rate, seed=seed)
    (code,) = healths([edge], train([edge], data, CONFIG, order_seed=seed), data, CONFIG)
    note = f"On CIFAR-10 that is 3e-3; here it is three times {highest:.2g}, the highest rate that does not explode."
    accuracy = history.scores["best/val_accuracy"].tolist()
    rows: list[Row] = [
        {"learning_rate": r, "health": c, "best_val_accuracy": a}
        for r, c, a in zip(rates, codes, accuracy, strict=True)
    ]
    useful = [row["learning_rate"] for row in rows if row["best_val_accuracy"] > 0.9 * max(accuracy)]
    explodes, best = f"at {rate:.2g} the loss explodes within 10 epochs", f"{min(useful):.2g} to {max(useful):.2g}"
    in_range = "the best rates lie in the range that the lecture would search next, 1e-5 to 1e-3"
    claims = [
        shown("5.6", explodes, code, holds=code in TOO_HIGH, note="" if pictures.real else note),
        shown("5.6", in_range, best, holds=min(useful) < 1.2e-3),
    ]
    return claims, rows, dict(zip(rates, history.curves["train/loss"], strict=True))


def _scale(seed: int) -> Iterator[Claim]:
    """5.7: the lecture's recipe is for pixels from 0 to 255; on another scale it fails without a fault."""
    data = load_digits(seed)
    few = Split(data.train.inputs[:20], data.train.labels[:20])
    raw = Split(few.inputs * SCALE, few.labels)
    config = TrainConfig(epochs=200, batch_size=20)
    recipe = train([replace(TRIAL, l2=0.0, seed=seed)], Dataset(raw, raw, raw, 10), config)
    scaled = [HyperParams(learning_rate=rate, seed=seed) for rate in (0.1, 0.5)]
    losses = train(scaled, Dataset(few, few, few, 10), config).curves["train/loss"][:, -1]
    note = "Therefore the check tries several learning rates before it fails."
    says = "the same recipe does not overfit 20 digits: the last loss"
    yield at_least("5.7", says, recipe.curves["train/loss"][0, -1], 1, note=note)
    yield at_most("5.7", "He's weights at a rate of 0.1 overfit them: the last loss", losses[0], 0.03)
    yield at_most("5.7", "He's weights at a rate of 0.5 overfit them: the last loss", losses[1], 0.005)


def _overfit_figure(history: History) -> Plot:
    epochs = np.arange(1, 201)
    cost: Lines = {
        "here": (epochs, history.curves["train/loss"][0]),
        "the lecture's log": (list(LOG), list(LOG.values())),
    }
    panels: dict[str, Lines] = {"cost": cost, "accuracy": {"here": (epochs, history.curves["val/accuracy"][0])}}
    return lines("twenty", "Twenty examples overfitted", panels, x="epoch", y="")


def _rates_figure(losses: Mapping[float, np.ndarray]) -> Plot:
    every_other = list(losses.items())[::2]
    panel = {f"{rate:.2g}": (np.arange(1, len(loss) + 1), loss) for rate, loss in every_other}
    return lines("rates", "The cost by learning rate", {"10 epochs": panel}, x="epoch", y="cost", limits=(0, 5))


def _weights_figure(pictures: Pictures, seed: int) -> Plot:
    """First-layer weights before and after training."""
    trial = replace(TRIAL, learning_rate=3e-4 if pictures.real else 1e-3, momentum=0.9, seed=seed)
    networks = {"before": _network(pictures.data, seed), "after": fit_network(trial, pictures.data, CONFIG)}
    weights = {label: np.moveaxis(first_layer(network, SHAPE), 1, -1) for label, network in networks.items()}
    rows = [{"when": label, "greatest_weight": float(np.abs(w).max())} for label, w in weights.items()]
    return images("first_layer", "First-layer weights", weights, rows)
