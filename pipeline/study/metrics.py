"""The metrics that a study can be judged by, under scikit-learn's scorer names; a higher value is always better.

Each metric of N rows is also the mean of one score for each row: so rows can be drawn again without computing it again. For
accuracy these scores are 1 and 0, for the log-loss minus the losses. Otherwise they are the value plus the influence of
each row on it (the delta method); those of the AUC are the components of DeLong et al. (1988).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UserError
from pipeline.validation import check_choice

Array = np.ndarray
Scored = tuple[Array, Array]
"""The values of K trials, (K,), and their row scores (K, N), whose means are the values."""
SMALLEST = float(np.finfo(float).eps)
"""Probabilities are clipped to this and 1 minus this in the log-loss, as scikit-learn does in float64."""


@dataclass(frozen=True)
class Metric:
    """A metric of the rows of a split.

    Attributes
    ----------
    name
        scikit-learn's name of the scorer.
    title
        The metric in words.
    score
        Computes it from labels (N,) and predicted classes (K, N) or, if ``needs_probabilities``, probabilities (K, N, C).
    guess
        The value of a guess among C classes; a diverged trial has it.
    needs_probabilities
        True if predicted classes are not enough.
    low
        The lowest value; the highest is 1 for a share, else 0.
    """

    name: str
    title: str
    score: Callable[[Array, Array], Scored]
    guess: Callable[[int], float]
    needs_probabilities: bool = False
    low: float = 0.0

    @property
    def is_share(self) -> bool:
        """True if the values lie from 0 to 1, so that they can be shown as percentages."""
        return self.low == 0

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        return self.low, 1.0 if self.is_share else 0.0

    @property
    def differences(self) -> tuple[float, float]:
        """The lowest and the highest difference of two values."""
        width = self.range[1] - self.range[0]
        return -width, width

    @property
    def val(self) -> str:
        """The key of the validation value of each epoch."""
        return f"val/{self.name}"

    @property
    def best_val(self) -> str:
        """The key of a trial's best validation value, by which trials are compared."""
        return f"best/val_{self.name}"

    @property
    def test(self) -> str:
        """The key of the checkpoint's test value."""
        return f"test/{self.name}"

    @property
    def val_so_far(self) -> str:
        """The key of the best validation value of the first n trials, by n."""
        return f"best_so_far/val_{self.name}"

    @property
    def test_so_far(self) -> str:
        """The key of the test value of the trial that has the best validation value of the first n, by n."""
        return f"best_so_far/test_{self.name}"

    @property
    def expected(self) -> str:
        """The key of the expected test value of the choice among the first n trials, by n."""
        return f"expected/test_{self.name}"

    @property
    def spread(self) -> str:
        """The key of the validation values by percent of the trials."""
        return f"spread/val_{self.name}"

    @property
    def row_scores(self) -> tuple[str, str]:
        """The names under which a trial's row scores of validation and test are recorded, as text."""
        return ("val_correct", "test_correct") if self.name == "accuracy" else ("val_scores", "test_scores")


def find_metric(name: str) -> Metric:
    """Return the metric of a name. Raises :class:`UserError` for an unknown one."""
    check_choice("metric", name, METRICS)
    return METRICS[name]


def check_classes(metric: Metric, classes: int) -> None:
    """Raise :class:`UserError` if the metric is not defined for this number of classes."""
    if metric.name == "roc_auc" and classes != 2:
        raise UserError(
            f"metric: got 'roc_auc' for {classes} classes; expected 2. Give 'roc_auc_ovr', the mean over the classes of each "
            "against the rest"
        )


def score_rows(metric: Metric, labels: Array, outputs: Array) -> Scored:
    """Score K trials on N rows: return their values (K,) and their row scores (K, N).

    Parameters
    ----------
    metric
        One of :data:`METRICS`.
    labels
        The classes of the rows, whole numbers from 0, (N,).
    outputs
        The predicted classes of each trial, (K, N), or the probabilities of all classes, (K, N, C).

    Raises
    ------
    UserError
        If the metric needs probabilities and gets classes, is not defined for this number of classes, or ranks rows that
        are all of one class.
    """
    if outputs.ndim == 3:
        check_classes(metric, outputs.shape[2])
        outputs = outputs if metric.needs_probabilities else outputs.argmax(axis=2)
    elif metric.needs_probabilities:
        raise UserError(f"metric: {metric.name!r} needs probabilities; got predicted classes. Predict probabilities")
    return metric.score(labels, outputs)


def _accuracy(labels: Array, predicted: Array) -> Scored:
    correct = predicted == labels
    return correct.mean(axis=1), correct


def _balanced_accuracy(labels: Array, predicted: Array) -> Scored:
    """The mean over the classes that occur of the share of their rows that is classified correctly."""
    present, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    correct = predicted == labels
    recalls = np.stack([correct[:, labels == c].sum(axis=1) for c in present], axis=1) / counts
    values = recalls.mean(axis=1)
    weights = len(labels) / (len(present) * counts[place])
    return values, values[:, None] + weights * (correct - recalls[:, place])


def _macro_f1(labels: Array, predicted: Array) -> Scored:
    """The mean of F1 = 2 TP / (rows + predictions of the class) over the classes that occur or are predicted."""
    trials, rows = predicted.shape
    total, classes, influence = np.zeros(trials), np.zeros(trials), np.zeros((trials, rows))
    for c in np.union1d(labels, predicted):
        true, claimed = labels == c, predicted == c
        hit, size = true & claimed, true.astype(int) + claimed
        sizes = size.sum(axis=1)
        f1 = 2 * hit.sum(axis=1) / np.maximum(sizes, 1)
        total += f1
        classes += sizes > 0
        influence += (2 * hit - f1[:, None] * size) * (rows / np.maximum(sizes, 1))[:, None]
    values = total / classes
    return values, values[:, None] + influence / classes[:, None]


def _negative_log_loss(labels: Array, probabilities: Array) -> Scored:
    """The mean logarithm of the probability of the label."""
    picked = probabilities[:, np.arange(len(labels)), labels].astype(float)
    scores = np.ascontiguousarray(np.log(np.clip(picked, SMALLEST, 1 - SMALLEST)))
    return scores.mean(axis=1), scores


def _auc(labels: Array, probabilities: Array) -> Scored:
    """The mean over the classes of the probability that a row of the class ranks above another; of two, that of class 1."""
    classes = [1] if probabilities.shape[2] == 2 else [c for c in np.unique(labels) if (labels != c).any()]
    if not classes or len(np.unique(labels)) < 2:
        raise UserError("metric: an AUC compares rows of different classes; got rows of one. Give rows of every class")
    scored = [_binary_auc(labels == c, np.ascontiguousarray(probabilities[:, :, c])) for c in classes]
    values, scores = (sum(parts[1:], start=parts[0]) / len(parts) for parts in zip(*scored, strict=True))
    return values, scores


def _binary_auc(positive: Array, scores: Array) -> Scored:
    """The AUC of scores (K, N) for a mask (N,) of the positive rows; equal scores count half."""
    trials, rows = scores.shape
    order = np.argsort(scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    changes = ranked[:, 1:] != ranked[:, :-1]
    edge, places = np.ones((trials, 1), bool), np.arange(rows)
    start = np.maximum.accumulate(np.where(np.hstack([edge, changes]), places, 0), axis=1)
    end = np.minimum.accumulate(np.where(np.hstack([changes, edge]), places + 1, rows)[:, ::-1], axis=1)[:, ::-1]
    is_positive = positive[order]
    negatives = np.hstack([np.zeros((trials, 1), int), np.cumsum(~is_positive, axis=1)])
    below = (np.take_along_axis(negatives, start, axis=1) + np.take_along_axis(negatives, end, axis=1)) / 2
    positives, others = int(positive.sum()), rows - int(positive.sum())
    above = positives - ((start + end) / 2 - below)
    values = np.where(is_positive, below, 0).sum(axis=1) / (positives * others)  # a sum of halves is exact
    beaten = np.where(is_positive, below / others, above / positives)
    weights = np.where(is_positive, rows / positives, rows / others)
    components = np.empty_like(scores, dtype=float)
    np.put_along_axis(components, order, values[:, None] + weights * (beaten - values[:, None]), axis=1)
    return values, components


def _one_in(classes: int) -> float:
    return 1 / classes


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", _accuracy, _one_in),
        Metric("balanced_accuracy", "balanced accuracy", _balanced_accuracy, _one_in),
        # F1 of the class that is always predicted is 2/(C + 1) if classes are of one size, that of the others 0
        Metric("f1_macro", "macro F1", _macro_f1, lambda classes: 2 / (classes * (classes + 1))),
        Metric(
            "neg_log_loss",
            "negative log-loss",
            _negative_log_loss,
            lambda classes: -math.log(classes),
            needs_probabilities=True,
            low=math.log(SMALLEST),
        ),
        Metric("roc_auc", "AUC", _auc, lambda _: 0.5, needs_probabilities=True),
        Metric("roc_auc_ovr", "macro AUC", _auc, lambda _: 0.5, needs_probabilities=True),
    )
}
ACCURACY = METRICS["accuracy"]
