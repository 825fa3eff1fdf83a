"""Batch normalisation (4.1 to 4.6): its effect on signals, initialisations and learning rates, and its two modes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.data import Split
from pipeline.lecture.datasets import first_rows, load_digits
from pipeline.lecture.networks import fit_network
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, near, shown
from pipeline.lecture.stack import Scheme, walk
from pipeline.nn.layers import Array, BatchNorm, Workspace
from pipeline.nn.network import Network, forward
from pipeline.report.figures.plots import Row, lines
from pipeline.report.style import Plot
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import evaluate, train
from pipeline.training.metrics import BEST_VAL_ACCURACY

CONFIG = TrainConfig(epochs=10, batch_size=50, validation=0.3, test=0.145)
SCALES = tuple(float(scale) for scale in np.logspace(-4, 0, 20))
RATES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
DEEP = HyperParams(learning_rate=1e-3, optimizer="adam", hidden=(50,) * 7)


def demonstrate(seed: int) -> Outcome:
    """Test the layer alone, stacks, sweeps of initialisations and rates, and a trained network in both modes."""
    init_claims, init_rows = _inits(seed)
    rate_claims, rate_rows = _rates(seed)
    claims = [*_layer(seed), *_stack(seed), *init_claims, *rate_claims, *_modes(seed)]
    figure = _figure(init_rows, rate_rows)
    return Outcome(claims, [*init_rows, *rate_rows], [figure], "digits minus their mean, divided by 8")


def normalise(values: Array, gamma: Array | float = 1.0, beta: Array | float = 0.0) -> Array:
    """The outputs of batch norm in training mode for rows (B, H), in float64."""
    layer, (rows, width) = BatchNorm(0, values.shape[1]), values.shape
    space = Workspace(1, rows, "float64")
    inputs = space.like_signal(9, "inputs", width)
    inputs[0] = values
    params = {"gamma": np.broadcast_to(gamma, (1, 1, width)), "beta": np.broadcast_to(beta, (1, 1, width))}
    moments = np.zeros((1, 2, width))
    buffers = {"moments": moments, "mean": moments[:, :1], "variance": moments[:, 1:]}
    outputs: Array = layer.forward(params | buffers, inputs, space, training=True)[0].copy()
    return outputs


def _layer(seed: int) -> Iterator[Claim]:
    x = np.random.default_rng(seed).standard_normal((200, 7)) * 5 + 12
    plain = normalise(x)
    yield at_most("4.1", "gamma = 1, beta = 0: the mean of each feature is 0", np.abs(plain.mean(axis=0)).max(), 1e-8)
    yield at_most(
        "4.1", "gamma = 1, beta = 0: the spread of each feature is 1", np.abs(plain.std(axis=0) - 1).max(), 1e-4
    )
    gamma, beta = np.arange(1.0, 8.0), np.arange(7.0)
    moved = normalise(x, gamma, beta)
    off = max(np.abs(moved.mean(axis=0) - beta).max(), np.abs(moved.std(axis=0) / gamma - 1).max())
    yield at_most("4.1", "any gamma and beta: the mean is beta and the spread gamma", off, 1e-4)
    tiny = normalise(x * 1e-4)
    note = "With a variance v of the size of ε, the spread is not gamma but √(v/(v+ε)), which is tested."
    expected = np.sqrt((x * 1e-4).var(axis=0) / ((x * 1e-4).var(axis=0) + 1e-5))
    off = np.abs(tiny.std(axis=0) - expected).max()
    yield at_most("4.1", "inputs with a variance of 2e-7: the spread is √(v/(v+ε))", off, 1e-10, note=note)
    variance, mean = x.var(axis=0), x.mean(axis=0)
    exact = np.abs(normalise(x, np.sqrt(variance + 1e-5), mean) - x).max()
    note = "The lecture says gamma = variance; right is the square root of variance + ε."
    yield at_most("4.2", "gamma = √(variance + ε), beta = mean give the inputs back", exact, 1e-10, note=note)
    wrong = np.abs(normalise(x, variance, mean) - x).max()
    yield at_least("4.2", "gamma = variance does not give the inputs back", wrong, 1, note=note)


def _stack(seed: int) -> Iterator[Claim]:
    for activation, expected in (("tanh", 0.628), ("relu", 0.585)):
        schemes = [Scheme(activation, init, batch_norm=True) for init in (0.01, 1.0, "xavier", "he")]
        layers = walk(schemes, seed, seeds=1)
        stds = np.array([layers[scheme].of("std")[0] for scheme in schemes])
        difference = np.ptp(stds, axis=0).max()
        yield at_most(
            "4.4a", f"{activation}: the spread of each of ten layers differs between inits by", difference, 0.005
        )
        yield near("4.4a", f"{activation}: the mean spread", stds.mean(), expected, 0.005)


def _inits(seed: int) -> tuple[list[Claim], list[Row]]:
    data = first_rows(load_digits(seed, config=CONFIG), 1000)
    trials = [replace(DEEP, init=scale, batch_norm=bn, seed=seed) for bn in (False, True) for scale in SCALES]
    wide = [
        HyperParams(learning_rate=1e-3, optimizer="adam", hidden=(100,) * 5, init=0.02, batch_norm=bn, seed=seed)
        for bn in (False, True)
    ]
    history = train([*trials, *wide], data, CONFIG, order_seed=seed)
    best = history.scores[BEST_VAL_ACCURACY]
    without, with_bn = best[: len(SCALES)], best[len(SCALES) : 2 * len(SCALES)]
    rows: list[Row] = [
        {"sweep": "init", "value": s, "without": a, "with": b}
        for s, a, b in zip(SCALES, without.tolist(), with_bn.tolist(), strict=True)
    ]
    return [*_sweep_claims(np.array(SCALES), without, with_bn), *_wide_claims(best[2 * len(SCALES) :])], rows


def _sweep_claims(scales: Array, without: Array, with_bn: Array) -> Iterator[Claim]:
    middle = with_bn[(scales > 4e-3) & (scales < 0.2)]
    yield at_most(
        "4.4b", "without: the best accuracy at scales up to 0.013 is chance", without[scales <= 1.4e-2].max(), 0.15
    )
    yield at_least("4.4b", "with: the accuracy at 1e-4", with_bn[0], 0.30)
    yield at_least("4.4b", "with: the accuracy at 2.6e-4", with_bn[2], 0.50)
    yield at_least("4.4b", "with: the least accuracy from 4.8e-3 to 0.2", middle.min(), 0.85)
    yield at_least("4.4b", "with: decades of scales with an accuracy above 0.85", _decades(scales, with_bn), 1.5)
    yield at_most("4.4b", "without: decades of scales with an accuracy above 0.85", _decades(scales, without), 0.7)
    note = "Near 0.14 both are equally good: batch norm is not better at every scale."
    at = int(np.abs(np.log(scales / 0.62)).argmin())
    yield at_least("4.4b", "the gain in accuracy by batch norm at 0.62", with_bn[at] - without[at], 0.08, note=note)


def _wide_claims(best: Array) -> Iterator[Claim]:
    yield near("4.4c", "five layers of 100, scale 0.02: the accuracy without", best[0], 0.849, 0.1)
    yield near("4.4c", "five layers of 100, scale 0.02: the accuracy with", best[1], 0.989, 0.02)


def _decades(scales: Array, accuracy: Array) -> float:
    """The width in decades of the range of scales with an accuracy above 0.85."""
    good = np.log10(scales[accuracy > 0.85])
    return float(np.ptp(good)) if good.size else 0.0


def _rates(seed: int) -> tuple[list[Claim], list[Row]]:
    config = replace(CONFIG, epochs=5, batch_size=100, validation=0.1, test=0.1)
    base = HyperParams(hidden=(100, 100), init=0.1, seed=seed)
    trials = [replace(base, learning_rate=rate, batch_norm=bn) for bn in (False, True) for rate in RATES]
    history = train(trials, load_digits(seed, config=config), config, order_seed=seed)
    final = np.nan_to_num(history.curves["val/accuracy"][:, -1], nan=0.0).reshape(2, -1)
    finite = bool(~history.diverged.reshape(2, -1)[1, RATES.index(10.0)])
    rows: list[Row] = [
        {"sweep": "rate", "value": r, "without": a, "with": b} for r, a, b in zip(RATES, *final.tolist(), strict=True)
    ]
    highest = [max(r for r, a in zip(RATES, row, strict=True) if a > 0.9) for row in final]
    return [
        at_least(
            "4.5", "the factor by which the greatest rate that reaches 0.9 is greater with", highest[1] / highest[0], 3
        ),
        shown("4.5", "with batch norm the loss stays finite at a rate of 10", str(finite), holds=finite),
    ], rows


def _modes(seed: int) -> Iterator[Claim]:
    """4.6: a trained network scores single rows, pairs and all rows together."""
    config = replace(CONFIG, epochs=10)
    data = load_digits(seed, config=config)
    trial = HyperParams(learning_rate=1e-3, optimizer="adam", hidden=(100,) * 5, init=0.02, batch_norm=True, seed=seed)
    network = fit_network(trial, data, config)
    val = data.val
    alone = np.concatenate(
        [evaluate(network, Split(val.inputs[i : i + 1], val.labels[i : i + 1]))[1] for i in range(60)], axis=1
    )
    together = evaluate(network, val)[1][:, :60]
    logits = [_logits(network, val.inputs[rows], training=False)[:1] for rows in (slice(0, 1), slice(0, 100))]
    off = np.abs(logits[0] - logits[1]).max()
    same = np.array_equal(alone, together) and off < 1e-4
    says = "testing: the output for a row does not depend on the other rows"
    yield shown("4.6", says, f"logits differ by {off:.1g}", holds=same)
    whole, pairs, single = (_accuracy_in_batches(network, val, size) for size in (len(val), 2, 1))
    test_mode = float(evaluate(network, val)[1].mean())
    yield near(
        "4.6", "the accuracy with the statistics of all rows is that with running statistics", whole, test_mode, 0.02
    )
    yield at_most("4.6", "the accuracy with the statistics of pairs of rows is far lower", pairs, test_mode - 0.2)
    yield at_most("4.6", "the accuracy with the statistics of single rows is that of a guess", single, 0.15)


def _logits(network: Network, inputs: Array, *, training: bool) -> Array:
    space = Workspace(1, len(inputs), "float32")
    logits: Array = forward(network.select(np.arange(1)), inputs, space, training=training)[-1][0].copy()
    return logits


def _accuracy_in_batches(network: Network, rows: Split, size: int) -> float:
    starts: Sequence[int] = range(0, len(rows) - size + 1, size)
    right = [
        _logits(network, rows.inputs[s : s + size], training=True).argmax(axis=1) == rows.labels[s : s + size]
        for s in starts
    ]
    return float(np.concatenate(right).mean())


def _figure(init_rows: Sequence[Row], rate_rows: Sequence[Row]) -> Plot:
    panels = {}
    for heading, rows in (("weight scale, 8 layers", init_rows), ("learning rate, 3 layers", rate_rows)):
        at = [row["value"] for row in rows]
        panels[heading] = {label: (at, [row[label] for row in rows]) for label in ("without", "with")}
    title, rows = "Batch norm against inits and learning rates", [*init_rows, *rate_rows]
    return lines("sweeps", title, panels, x="", y="validation accuracy", rows=rows, log_x=True, limits=(0, 1))
