"""Checks of the labels: from the true ones a network learns something of rows it has not seen, from shuffled ones nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pipeline.checks import CheckResult
from pipeline.data import Dataset, Split
from pipeline.nn.layers import Array
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Study
from pipeline.training import train

EPOCHS, STEPS = 5, 50
"""At least so many of either: an epoch of a small table is a step or two."""
RATES = (1e-4, 1e-3, 0.01, 0.1, 1.0)
"""The best of them is what counts: pixels up to 255 are learned from at the first, standardised ones at the last."""
ROWS = 1000
"""Rows that are trained on, and that are scored, at most."""
SHUFFLES = 5
DRAWS = (1, 12)
"""So many draws of the weights are averaged: one tells nearly always. But where classes are far apart, as in breast cancer's
data, one that was hardly trained may be right of 0.9 of the rows by luck, and the others tell it from that."""
ERRORS = 8.0
"""Standard errors above a guess that are no luck: of five shuffles, one in 1,500 (Student's t, four degrees of freedom)."""


def label_checks(study: Study, data: Dataset) -> Iterator[CheckResult]:
    """Train a few epochs on the true labels, and on the same labels shuffled; score both on the validation split.

    A network that knows nothing still gives the rows of a class one answer, so luck is wider than that of so many
    tosses: it is read off several shuffles.
    """
    rows, held_out = (Split(split.inputs[:ROWS], split.labels[:ROWS]) for split in (data.train, data.val))
    data, config = replace(data, val=held_out), _brief(study.config, len(rows))
    rng = np.random.default_rng(0)
    shuffled = [Split(rows.inputs, rng.permutation(rows.labels)) for _ in range(SHUFFLES)]
    for draws in DRAWS:
        control = np.stack([_accuracies(study.fixed, config, data, split, draws) for split in shuffled])
        true = float(_accuracies(study.fixed, config, data, rows, draws).max())
        result = belongs(true, float(control.max()), len(data.val), config.epochs)
        if result.passed:
            break
    yield result
    guess = float(np.bincount(data.val.labels).max()) / len(data.val)
    yield teaches_nothing(control.mean(axis=1), guess, len(data.val))


def belongs(true: float, best_control: float, rows: int, epochs: int) -> CheckResult:
    """Trained on the true labels, a network knows more of held-out rows than any that was trained on shuffled ones."""
    margin = 2 * math.sqrt(max(best_control * (1 - best_control), 0.01) / rows)
    passed = true > best_control + margin
    advice = "" if passed else "look for rows and labels that were shuffled apart, and for inputs without a signal"
    said = f"{true:.3f} of held-out rows right after {epochs} epochs, at best {best_control:.3f} after shuffling"
    return CheckResult("labels belong to inputs", passed, said, advice, {"check/true_labels_accuracy": true})


def teaches_nothing(control: Array, guess: float, rows: int) -> CheckResult:
    """Trained on shuffled labels (one accuracy for each shuffle), a network knows what the commonest class would score."""
    spread = max(float(control.std(ddof=1)), math.sqrt(guess * (1 - guess) / rows))
    luck, mean = guess + ERRORS * spread / math.sqrt(len(control)), float(control.mean())
    advice = "" if mean <= luck else "look for a leak of labels into inputs or into the scoring"
    said = f"{mean:.3f} of held-out rows right; a guess has {guess:.3f}, and luck ends at {luck:.3f}"
    metrics = {"check/shuffled_labels_accuracy": mean}
    return CheckResult("shuffled labels teach nothing", mean <= luck, said, advice, metrics)


def _brief(config: TrainConfig, rows: int) -> TrainConfig:
    """The settings for a training on so many rows that is long enough to learn something."""
    size = min(config.batch_size, rows)
    return replace(config, epochs=max(EPOCHS, -(-STEPS * size // rows)), batch_size=size)


def _accuracies(fixed: HyperParams, config: TrainConfig, data: Dataset, rows: Split, draws: int) -> Array:
    """The final validation accuracy of each learning rate, trained on ``rows``, the mean over so many draws of the weights.

    One that diverged has that of a guess.
    """
    seeds = range(fixed.seed, fixed.seed + draws)
    trials = [replace(fixed, learning_rate=rate, l2=0.0, seed=seed) for rate in RATES for seed in seeds]
    history = train(trials, replace(data, train=rows), config)
    accuracies: Array = np.where(history.diverged, data.chance, history.curves["val/accuracy"][:, -1])
    return np.asarray(accuracies.reshape(len(RATES), draws).mean(axis=1))
