"""The checks before a study, in order; four of them are here: initial loss, L2, overfitting a few examples, whitening."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.checks import CheckResult
from pipeline.checks.activations import activation_statistics
from pipeline.checks.gradients import gradient_check
from pipeline.checks.labels import label_checks
from pipeline.checks.probe_networks import Init, inits, name_of, networks, structures
from pipeline.data import Dataset, Split, load_block
from pipeline.data.preprocessing import EPSILON
from pipeline.diagnosis.evidence import lowest_first_loss
from pipeline.nn.conv_text import parse_conv_layer
from pipeline.nn.optimizers import SGD
from pipeline.nn.regularisers import l2_penalty
from pipeline.seeds import derive_seed
from pipeline.study.arms import Arm
from pipeline.study.hparams import HyperParams
from pipeline.study.metrics import ACCURACY
from pipeline.study.spec import Float, SearchSpace, Study
from pipeline.training import evaluate, train
from pipeline.training.metrics import VAL_ACCURACY, VAL_LOSS

LOSS_ROWS = 2048
"""The most rows that the loss is computed from; it is within 0.02 of the loss of all rows."""
L2 = 0.1
"""The coefficient of the L2 check."""
SMALL = 0.01
"""With weights of at most this scale all logits are near 0."""
FAINT = 1e-3
"""A direction with less than this share of the greatest variance counts as noise."""
REDRAWN = 15
"""Further draws of the weights, to decide whether a first loss was chance."""
FEW = 20
"""Examples that are overfitted."""
CANDIDATES = 1000
"""Rows that these examples are chosen from."""
OVERFIT_EPOCHS = (200, 1000)
"""The epochs of the first attempt, which is usually enough, and of the second."""
LEARNING_RATES = tuple(10 ** (exponent / 2) for exponent in range(-8, 3))
"""Half-decade steps from 1e-4 to 10. All are tried, because the scale of the data decides which work."""


def check(study: Study) -> Iterator[CheckResult]:
    """Check the networks of a study on the data of its first block. Yields each result when it is known."""
    if study.model:
        network = baseline(study)
        yield from label_checks(network, load_block(study.source, network.config, derive_seed(study.seed, "split", 0)))
        return
    data = load_block(study.source, study.config, derive_seed(study.seed, "split", 0))
    yield initial_loss(study, data)
    yield l2_is_wired(study, data)
    yield gradient_check(study, data)
    yield overfits_few(study, data)
    yield from label_checks(study, data)
    yield activation_statistics(study, data)
    if study.config.preprocessing == "whiten":
        yield noise_of_whitening(data)


def baseline(study: Study) -> Study:
    """Return the study of the network that stands for a study's own model in the checks of its data."""
    config = replace(study.config, preprocessing="standardise")
    network: dict[str, Any] = {
        "model": "",
        "trial_timeout": 0.0,
        "fixed": HyperParams(),
        "space": SearchSpace(l2=Float(0, 1)),
    }
    return replace(study, **network, config=config, arms=(Arm("random"),), contrasts=(), stages=())


def check_and_split(study: Study) -> tuple[list[CheckResult], Dataset]:
    """Return the results of the checks up to the first that is not passed, and the first block; a worker calls it."""
    results = []
    for result in check(study):
        results.append(result)
        if not result.passed:
            break
    return results, load_block(study.source, study.config, derive_seed(study.seed, "split", 0))


def noise_of_whitening(data: Dataset) -> CheckResult:
    """Check for directions with nearly no variance: whitening divides by its root, which amplifies their noise.

    The variances are computed from the transform, whose columns are axes divided by √(variance + ε).
    """
    variances = np.maximum(1 / np.square(np.asarray(data.transform.basis)).sum(axis=0) - EPSILON, 0)
    few = int(np.count_nonzero(variances < FAINT * variances.max()))
    message = f"variances of the principal axes from {variances.min():.2g} to {variances.max():.2g}"
    metrics = {"check/smallest_variance": float(variances.min())}
    if not few:
        return CheckResult("whitening", True, message, metrics=metrics)
    message += f"; {few} of {len(variances)} below {FAINT:g} of the greatest"
    advice = "their noise is amplified to the size of a signal; standardise, or take pca, which keeps them small"
    return CheckResult("whitening", True, message, advice, metrics)


@np.errstate(all="ignore")  # a loss that overflows is reported, without NumPy's warnings
def initial_loss(study: Study, data: Dataset) -> CheckResult:
    """Check that the loss of an untrained network is near ln C, for every structure and initialisation of the space.

    With small weights it must be within 0.1. With larger ones chance has a part (a scale of 1 may start anywhere above),
    but no loss may be lower than chance explains.
    """
    expected, schemes, trials = math.log(data.classes), inits(study), structures(study)
    rows = Split(data.train.inputs[:LOSS_ROWS], data.train.labels[:LOSS_ROWS])
    losses = {trial: evaluate(networks(trial, data, schemes, study.config.dtype), rows)[0] for trial in trials}
    outside = [
        name_of(study, trial, init)
        for trial in trials
        for init, loss in zip(schemes, losses[trial], strict=True)
        if _is_outside(trial, init, loss, data.classes)
        and _is_outside(trial, init, _usual_loss(trial, init, data, rows, study.config.dtype), data.classes)
    ]
    spans = {init: (min(values), max(values)) for init, *values in zip(schemes, *losses.values(), strict=True)}
    message = ", ".join(f"{init} {_span(*span)}" for init, span in spans.items())
    advice = f"check the scale of {', '.join(outside)}, the labels and the loss" if outside else ""
    metrics = {f"check/initial_loss/{init}": float(greatest) for init, (_, greatest) in spans.items()}
    return CheckResult(
        "initial loss", not outside, f"{message}; a guess has ln {data.classes} = {expected:.3f}", advice, metrics
    )


def _is_outside(trial: HyperParams, init: Init, loss: float, classes: int) -> bool:
    low = lowest_first_loss(classes, small=_is_small(init))
    return not low <= loss <= math.log(classes) + _allowance(init, trial)


def _usual_loss(trial: HyperParams, init: Init, data: Dataset, rows: Split, dtype: str) -> float:
    """The median first loss over further draws of the weights; a single draw may be far from it by chance."""
    drawn = networks(trial, data, [init] * REDRAWN, dtype, range(1, REDRAWN + 1))
    return float(np.median(evaluate(drawn, rows)[0]))


def _span(least: float, greatest: float) -> str:
    return f"{least:.3f}" if f"{least:.3f}" == f"{greatest:.3f}" else f"{least:.3f} to {greatest:.3f}"


def _allowance(init: Init, trial: HyperParams) -> float:
    """How far above ln C the loss may start.

    By He's rule logits have variance 2 on standardised inputs, so the loss is up to half of that, 1, above ln C. Chance
    adds to it if the inputs have few directions, as images do: the maximum over 192 such networks on CIFAR-10 was 1.26,
    and more on tables with few columns. The maxima of pooling are far from centred: such networks by He's rule started up
    to 5.3 above, on noise, smooth images and digits.
    """
    if _is_small(init):
        return 0.1
    if not isinstance(init, str) or init == "large" or trial.init_scale > 1:
        return math.inf
    return 6.0 if any(parse_conv_layer(block).pooled for block in trial.conv) else 1.4


def _is_small(init: Init) -> bool:
    return init in ("zeros", "small") if isinstance(init, str) else init <= SMALL


def l2_is_wired(study: Study, data: Dataset) -> CheckResult:
    """Check that L2 adds ½·l2·ΣW² to the loss, and that a step follows its slope, in every structure."""
    measured = [_l2(trial, data) for trial in structures(study)]
    passed = all(
        math.isclose(rise, expected, rel_tol=1e-6) and math.isclose(slope, moved, rel_tol=1e-6)
        for rise, expected, slope, moved in measured
    )
    rise, expected, slope, moved = max(measured, key=lambda m: max(abs(m[0] - m[1]), abs(m[2] - m[3])))
    message = f"l2 = {L2} raises the loss by {rise:.4f}, ½·l2·ΣW² is {expected:.4f}; its slope is {slope:.6f}, a step follows {moved:.6f}"
    advice = "" if passed else "look at the L2 term of the loss, and at the decay of the weights in the optimizer"
    return CheckResult("L2", passed, message, advice, {"check/l2_rise": rise})


def _l2(trial: HyperParams, data: Dataset) -> tuple[float, float, float, float]:
    """Return what L2 adds to the loss, what it should add, and its slope and a step along a direction.

    The slope is computed by differences. Without another gradient, a step of size 1 changes w by -l2·w; biases do not change.
    """
    network = networks(trial, data, ["he"], "float64")
    direction = np.random.default_rng(0).standard_normal(network.params.values.shape)
    before, difference = network.params.values.copy(), 1e-4

    def penalty(position: float) -> float:
        return float(l2_penalty(network.params.with_values(before + position * direction), np.array([L2]))[0])

    slope = (penalty(difference) - penalty(-difference)) / (2 * difference)
    rise = penalty(0.0)
    expected = 0.5 * L2 * sum(float((arrays["W"] ** 2).sum()) for arrays in network.params.layers if "W" in arrays)
    nothing = network.params.with_values(np.zeros_like(before))
    SGD(network.params, np.ones(1), np.array([L2]), np.zeros(1)).update(network.params, nothing)
    return rise, expected, slope, float(((before - network.params.values) * direction).sum())


def overfits_few(study: Study, data: Dataset) -> CheckResult:
    """Check that twenty examples can be overfitted with at least one learning rate; the second attempt is longer.

    Twenty rows of a table with few columns may lie too close for that: the third attempt takes rows that lie apart.
    """
    drawn = few_examples(data.train)
    for few, epochs in (*((drawn, epochs) for epochs in OVERFIT_EPOCHS), (examples_apart(drawn), OVERFIT_EPOCHS[-1])):
        if rates := _overfitting_rates(study, replace(data, train=few, val=few, test=few), epochs):
            break
    at = f"learning rates {', '.join(f'{rate:.2g}' for rate in rates)}" if rates else "no learning rate from 1e-4 to 10"
    advice = "" if rates else "check the gradient, and the scale of the inputs"
    metrics = {"check/overfit_rates": float(len(rates)), "check/overfit_epochs": float(epochs)}
    message = f"overfitted at {at}, in {epochs} epochs"
    return CheckResult(f"overfit {len(few)} examples", bool(rates), message, advice, metrics)


def few_examples(rows: Split) -> Split:
    """Return rows of all classes in turn, drawn at random. Of equal rows one is taken, since their labels may differ."""
    drawn = np.random.default_rng(0).permutation(len(rows))[:CANDIDATES]
    drawn = drawn[np.sort(np.unique(rows.inputs[drawn], axis=0, return_index=True)[1])]  # still in their random order
    labels = rows.labels[drawn]
    turns = [np.count_nonzero(labels[:i] == label) for i, label in enumerate(labels)]
    return rows.take(drawn[np.argsort(turns, kind="stable")[:FEW]])


def examples_apart(rows: Split) -> Split:
    """Return the rows, in their order, that are at least half the median distance from each earlier one of another class."""
    inputs = rows.inputs.reshape(len(rows), -1).astype(float)
    distances = np.sqrt(np.square(inputs[:, None] - inputs).sum(axis=2))
    close = (distances < np.median(distances) / 2) & (rows.labels[:, None] != rows.labels)
    kept: list[int] = []
    for row in range(len(rows)):
        if not close[row, kept].any():
            kept.append(row)
    return rows.take(np.array(kept))


def _overfitting_rates(study: Study, few: Dataset, epochs: int) -> list[float]:
    """The learning rates that reach accuracy 1 and a loss below 0.05 on these rows, with full batches."""
    config = replace(study.config, metric=ACCURACY.name, epochs=epochs, batch_size=len(few.train))
    trials = [replace(study.fixed, learning_rate=rate, l2=0.0, batch_size=0) for rate in LEARNING_RATES]
    curves = train(trials, few, config).curves
    learned = (curves[VAL_ACCURACY] == 1) & (curves[VAL_LOSS] < 0.05)
    return [rate for rate, ok in zip(LEARNING_RATES, learned.any(axis=1), strict=True) if ok]
