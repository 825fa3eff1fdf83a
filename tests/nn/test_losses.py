"""Softmax cross-entropy: against its definition, at extremes, and with ties."""

import numpy as np
import pytest

from pipeline.nn.losses import smooth, softmax_cross_entropy, softmax_cross_entropy_gradient


def naive(logits, labels):
    """Return -log softmax by its definition, and the probabilities."""
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return -np.log(p[..., np.arange(len(labels)), labels]), p


@pytest.fixture
def case():
    """Logits (K, B, C) and labels (B,)."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((3, 20, 5)), rng.integers(0, 5, 20)


def test_values_are_those_of_the_definition(case):
    """Losses, probabilities and correct rows agree with the definition, for every trial."""
    logits, labels = case
    expected, p = naive(logits, labels)
    losses, correct, probabilities = softmax_cross_entropy(logits.copy(), labels)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    np.testing.assert_allclose(probabilities, p, rtol=1e-12)
    np.testing.assert_array_equal(correct, logits.argmax(axis=-1) == labels)


def test_equal_logits_lose_ln_c():
    """Equal logits have the loss ln C, and the first of them is the prediction."""
    for classes in (2, 3, 10, 100):
        labels = np.arange(classes)
        losses, correct, _ = softmax_cross_entropy(np.zeros((2, classes, classes)), labels)
        np.testing.assert_allclose(losses, np.log(classes), rtol=1e-12)
        np.testing.assert_array_equal(correct, np.broadcast_to(labels == 0, (2, classes)))


def test_a_tie_or_a_nan_of_another_trial_changes_nothing(case):
    """A trial with ties and one with NaN do not change which rows of another trial are correct."""
    logits, labels = case
    _, alone, _ = softmax_cross_entropy(logits[:1].copy(), labels)
    tied = np.where(np.arange(5) < 2, 1.0, 0.0) * np.ones((1, 20, 5))
    spoilt = np.concatenate([logits[:1], tied, np.full((1, 20, 5), np.nan)])
    with np.errstate(invalid="ignore"):
        _, correct, _ = softmax_cross_entropy(spoilt, labels)
    np.testing.assert_array_equal(correct[0], alone[0])
    np.testing.assert_array_equal(correct[1], labels == 0)


def test_huge_logits_do_not_overflow():
    """A logit of 1e4 has the loss 0 if it is correct and 1e4 if it is wrong."""
    losses, _, _ = softmax_cross_entropy(np.array([[[1e4, 0.0], [1e4, 0.0]]]), np.array([0, 1]))
    np.testing.assert_array_equal(losses, [[0, 1e4]])


def test_smoothed_targets_keep_their_sum():
    """Each trial's share of the target is divided equally among the classes; a share of 0 changes nothing."""
    one_hot = np.eye(4)[[0, 3]]
    smoothed = smooth(one_hot, np.array([0.0, 0.2])[:, None, None])
    np.testing.assert_array_equal(smoothed[0], one_hot)
    np.testing.assert_allclose(smoothed[1], [[0.85, 0.05, 0.05, 0.05], [0.05, 0.05, 0.05, 0.85]])


def test_the_gradient_is_scaled_by_each_trials_factor(case):
    """The gradient is (p - y) / B times a factor for each trial."""
    logits, labels = case
    _, p = naive(logits, labels)
    factors = np.array([[1.0], [0.5], [2.0]])
    gradient = softmax_cross_entropy_gradient(p.copy(), np.eye(5)[labels], factors)
    np.testing.assert_allclose(gradient, factors[:, None] * (p - np.eye(5)[labels]) / 20, rtol=1e-12)
