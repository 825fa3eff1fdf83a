"""Preprocessing (2.1): centred, standardised, decorrelated and whitened rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.data.preprocessing import learn
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, shown
from pipeline.nn.layers import Array
from pipeline.report.figures.plots import Row, scatter

NAMES = ("none", "centre", "standardise", "pca", "whiten")
ROWS, FEATURES = 5000, 5


def demonstrate(seed: int) -> Outcome:
    """Preprocess correlated rows in five dimensions, for which the right result is known."""
    train, test = cloud(seed, ROWS), cloud(seed + 1, 500) + 0.3
    transforms = {name: learn(name, train) for name in NAMES}
    transformed = {name: transform(train) for name, transform in transforms.items()}
    rows = [_row(name, transformed[name], transform(test)) for name, transform in transforms.items()]
    claims = [*_claims(transformed, train), *_training_rows_alone(train, test)]
    sample = np.random.default_rng(0).choice(ROWS, 300, replace=False)
    panels = {name: (x[sample, 0], x[sample, 1], train[sample, 0]) for name, x in transformed.items()}
    title = "What preprocessing does to a cloud"
    figure = scatter("clouds", title, panels, x="first", y="second", colour="x", rows=rows, log=False)
    return Outcome(claims, rows, [figure], f"{ROWS} x {FEATURES} correlated normal rows, not around 0")


def cloud(seed: int, rows: int) -> Array:
    """Correlated rows (N, 5) around (3, 3, ...), with the same covariance for every seed."""
    mix = np.random.default_rng(12).standard_normal((FEATURES, FEATURES)) * np.array([[3], [2], [1], [0.5], [0.3]])
    return np.asarray(np.random.default_rng([seed, 7]).standard_normal((rows, FEATURES)) @ mix + 3)


def _row(name: str, train: Array, test: Array) -> Row:
    covariance = np.cov(train.T)
    off = covariance - np.diag(np.diag(covariance))
    spread = {"least_std": train.std(axis=0).min(), "greatest_std": train.std(axis=0).max()}
    means = {
        "greatest_train_mean": np.abs(train.mean(axis=0)).max(),
        "greatest_test_mean": np.abs(test.mean(axis=0)).max(),
    }
    return {"word": name, **means, **spread, "greatest_covariance": np.abs(off).max()}


def _claims(transformed: Mapping[str, Array], train: Array) -> Iterator[Claim]:
    for name in NAMES[1:]:
        mean = np.abs(transformed[name].mean(axis=0)).max() / train.std()
        yield at_most("2.1", f"{name}: the training mean of each feature is 0", mean, 1e-10)
    off = np.abs(transformed["standardise"].std(axis=0) - 1).max()
    yield at_most("2.1", "standardise: the spread of each feature is 1, greatest error", off, 1e-10)
    covariance = np.cov(transformed["pca"].T)
    off = np.abs(covariance - np.diag(np.diag(covariance))).max() / np.abs(covariance).max()
    yield at_most("2.1", "PCA: the covariance of two features is 0, relative to the greatest", off, 1e-10)
    covariance, smallest = np.cov(transformed["whiten"].T, bias=True), np.linalg.eigvalsh(np.cov(train.T)).min()
    off = np.abs(covariance - np.eye(len(covariance))).max()
    note = f"The difference comes from the 1e-5 that is added to the smallest eigenvalue, {smallest:.3g}."
    yield at_most("2.1", "whitening: the covariance is I, greatest error", off, 1.1 * 1e-5 / smallest + 1e-9, note=note)


def _training_rows_alone(train: Array, test: Array) -> Iterator[Claim]:
    """The transform is learned from the training rows alone, and applied to other rows unchanged."""
    transform = learn("standardise", train)
    yield at_least("2.1", "the test mean is not made 0", np.abs(transform(test).mean(axis=0)).min(), 0.01)
    before, after = transform(train), transform(np.vstack([train, test * 1000]))[: len(train)]
    same = np.array_equal(before, after)
    observed = "equal to the bit" if same else "different"
    yield shown("2.1", "other rows do not change the training rows", observed, holds=same)
    constant = learn("standardise", np.ones((10, 2)))(np.ones((10, 2)))
    finite = bool(np.isfinite(constant).all())
    yield shown("2.1", "a constant feature gives no NaN", str(constant[0]), holds=finite)
