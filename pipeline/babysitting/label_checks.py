"""Checks of the labels: from the true ones a network learns something of rows it has not seen, from shuffled ones nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pipeline.babysitting.check_result import CheckResult
from pipeline.data import Dataset, Split
from pipeline.nn.layers import Array
from pipeline.spec import Study
from pipeline.training import train

EPOCHS = 5
RATES = (1e-4, 1e-3, 0.01, 0.1, 1.0)
"""The best of them is what counts: pixels up to 255 are learned from at the first, standardised ones at the last."""
ROWS = 1000
"""Rows that are trained on, and that are scored, at most."""
SHUFFLES = 5
ERRORS = 8.0
"""Standard errors above a guess that are no luck: of five shuffles, one in 1,500 (Student's t, four degrees of freedom)."""


def label_checks(study: Study, data: Dataset) -> Iterator[CheckResult]:
    """Train a few epochs on the true labels, and on the same labels shuffled; score both on the validation split.

    A network that knows nothing still gives the rows of a class one answer, so luck is wider than that of so many
    tosses: it is read off several shuffles.
    """
    rows, held_out = (Split(split.inputs[:ROWS], split.labels[:ROWS]) for split in (data.train, data.val))
    data = replace(data, val=held_out)
    rng = np.random.default_rng(0)
    true = _accuracies(study, data, rows)
    control = np.stack(
        [_accuracies(study, data, Split(rows.inputs, rng.permutation(rows.labels))) for _ in range(SHUFFLES)]
    )
    yield belongs(float(true.max()), float(control.max()), len(data.val))
    guess = float(np.bincount(data.val.labels).max()) / len(data.val)
    yield teaches_nothing(control.mean(axis=1), guess, len(data.val))


def belongs(true: float, best_control: float, rows: int) -> CheckResult:
    """Trained on the true labels, a network knows more of held-out rows than any that was trained on shuffled ones."""
    margin = 2 * math.sqrt(max(best_control * (1 - best_control), 0.01) / rows)
    passed = true > best_control + margin
    advice = "" if passed else "look for rows and labels that were shuffled apart, and for inputs without a signal"
    said = f"{true:.3f} of held-out rows right after {EPOCHS} epochs, at best {best_control:.3f} after shuffling"
    return CheckResult("labels belong to inputs", passed, said, advice, {"check/true_labels_accuracy": true})


def teaches_nothing(control: Array, guess: float, rows: int) -> CheckResult:
    """Trained on shuffled labels (one accuracy for each shuffle), a network knows what the commonest class would score."""
    spread = max(float(control.std(ddof=1)), math.sqrt(guess * (1 - guess) / rows))
    luck, mean = guess + ERRORS * spread / math.sqrt(len(control)), float(control.mean())
    advice = "" if mean <= luck else "look for a leak of labels into inputs or into the scoring"
    said = f"{mean:.3f} of held-out rows right; a guess has {guess:.3f}, and luck ends at {luck:.3f}"
    metrics = {"check/shuffled_labels_accuracy": mean}
    return CheckResult("shuffled labels teach nothing", mean <= luck, said, advice, metrics)


def _accuracies(study: Study, data: Dataset, rows: Split) -> Array:
    """The final validation accuracy of each learning rate, trained on ``rows``; that of a guess where it diverged."""
    config = replace(study.config, epochs=EPOCHS, batch_size=min(study.config.batch_size, len(rows)))
    trials = [replace(study.fixed, learning_rate=rate, l2=0.0) for rate in RATES]
    history = train(trials, replace(data, train=rows), config)
    accuracies: Array = np.where(history.diverged, data.chance, history.curves["val/accuracy"][:, -1])
    return accuracies
