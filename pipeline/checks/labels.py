"""Checks of the labels: a network must learn from the true labels, and nothing from shuffled ones."""

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
from pipeline.training.metrics import VAL_ACCURACY

EPOCHS, STEPS = 5, 50
"""The least number of epochs and of steps. In a small table, an epoch has only one or two steps."""
RATES = (1e-4, 1e-3, 0.01, 0.1, 1.0)
"""The best rate counts. Pixels up to 255 need the first, standardised ones the last."""
MAX_ROWS = 1000
"""The most rows to train on, and to score."""
SHUFFLES = 5
DRAWS = (1, 12)
"""The numbers of draws of the weights that are averaged, in the first and second attempt. One is nearly always enough. But with
classes that are far apart, as in the breast cancer data, an untrained network may reach 0.9 by chance; more draws average it out."""
ERRORS = 8.0
"""Standard errors above a guess that are not chance: 1 in 1,500 for five shuffles (Student's t, four degrees of freedom)."""


def label_checks(study: Study, data: Dataset) -> Iterator[CheckResult]:
    """Train a few epochs on the true labels, and on the same labels shuffled; score both on the validation split.

    A network that has learned nothing still gives similar rows the same output. So chance varies more than independent
    guesses would, and its size is estimated from several shuffles.
    """
    rows, held_out = (Split(split.inputs[:MAX_ROWS], split.labels[:MAX_ROWS]) for split in (data.train, data.val))
    data, config = replace(data, val=held_out), _brief(study.config, len(rows))
    rng = np.random.default_rng(0)
    shuffled = [Split(rows.inputs, rng.permutation(rows.labels)) for _ in range(SHUFFLES)]
    for draws in DRAWS:
        control = np.stack([_accuracies(study.fixed, config, data, split, draws) for split in shuffled])
        true = float(_accuracies(study.fixed, config, data, rows, draws).max())
        result = labels_belong(true, float(control.max()), len(data.val), config.epochs)
        if result.passed:
            break
    yield result
    guess = float(np.bincount(data.val.labels).max()) / len(data.val)
    yield shuffled_teach_nothing(control.mean(axis=1), guess, len(data.val))


def labels_belong(true: float, best_control: float, rows: int, epochs: int) -> CheckResult:
    """Check that training on the true labels gives more right held-out rows than training on any shuffled ones."""
    margin = 2 * math.sqrt(max(best_control * (1 - best_control), 0.01) / rows)
    passed = true > best_control + margin
    advice = "" if passed else "look for rows and labels that were shuffled apart, and for inputs without a signal"
    message = f"{true:.3f} of held-out rows right after {epochs} epochs, at best {best_control:.3f} after shuffling"
    return CheckResult("labels belong to inputs", passed, message, advice, {"check/true_labels_accuracy": true})


def shuffled_teach_nothing(control: Array, guess: float, rows: int) -> CheckResult:
    """Check that training on shuffled labels (one accuracy per shuffle) scores no more than the most frequent class."""
    spread = max(float(control.std(ddof=1)), math.sqrt(guess * (1 - guess) / rows))
    limit, mean = guess + ERRORS * spread / math.sqrt(len(control)), float(control.mean())
    advice = "" if mean <= limit else "look for a leak of labels into inputs or into the scoring"
    message = f"{mean:.3f} of held-out rows right; a guess has {guess:.3f}, and chance at most {limit:.3f}"
    metrics = {"check/shuffled_labels_accuracy": mean}
    return CheckResult("shuffled labels teach nothing", mean <= limit, message, advice, metrics)


def _brief(config: TrainConfig, rows: int) -> TrainConfig:
    """The settings for a short training on ``rows`` rows that is long enough to learn something."""
    size = min(config.batch_size, rows)
    return replace(config, epochs=max(EPOCHS, -(-STEPS * size // rows)), batch_size=size)


def _accuracies(fixed: HyperParams, config: TrainConfig, data: Dataset, rows: Split, draws: int) -> Array:
    """The final validation accuracy of each learning rate, trained on ``rows``: the mean over draws of the weights.

    A trial that diverged scores as a guess.
    """
    seeds = range(fixed.seed, fixed.seed + draws)
    trials = [replace(fixed, learning_rate=rate, l2=0.0, seed=seed) for rate in RATES for seed in seeds]
    history = train(trials, replace(data, train=rows), config)
    accuracies: Array = np.where(history.diverged, data.chance, history.curves[VAL_ACCURACY][:, -1])
    return np.asarray(accuracies.reshape(len(RATES), draws).mean(axis=1))
