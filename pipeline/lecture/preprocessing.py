"""Preprocessing (2.1): centred, standardised, decorrelated and whitened rows, learned from the training rows alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.data.preprocessing import learn
from pipeline.lecture.outcome import Claim, Outcome, at_least, at_most, shown
from pipeline.nn.layers import Array
from pipeline.report.figures.plots import Row, scatter

WORDS = ("none", "centre", "standardise", "pca", "whiten")
CLOUD_ROWS, FEATURES = 5000, 5


def demonstrate(seed: int) -> Outcome:
    """Correlated rows in five dimensions, so that what each step should do is known exactly."""
    train, test = cloud(seed, CLOUD_ROWS), cloud(seed + 1, 500) + 0.3
    made = {word: learn(word, train) for word in WORDS}
    rows = [_row(word, transform(train), transform(test)) for word, transform in made.items()]
    claims = [*_claims({word: transform(train) for word, transform in made.items()}, train), *_honest(train, test)]
    shown_rows = np.random.default_rng(0).choice(CLOUD_ROWS, 300, replace=False)
    clouds = {word: transform(train)[shown_rows] for word, transform in made.items()}
    panels = {word: (some[:, 0], some[:, 1], train[shown_rows, 0]) for word, some in clouds.items()}
    picture = scatter(
        "clouds", "What preprocessing does to a cloud", panels, x="first", y="second", colour="x", rows=rows, log=False
    )
    return Outcome(claims, rows, [picture], f"{CLOUD_ROWS} x {FEATURES} correlated normal rows, not around 0")


def cloud(seed: int, rows: int) -> Array:
    """Correlated rows (N, 5) around (3, 3, ...): the same covariance for every seed."""
    mix = np.random.default_rng(12).standard_normal((FEATURES, FEATURES)) * np.array([[3], [2], [1], [0.5], [0.3]])
    return np.asarray(np.random.default_rng([seed, 7]).standard_normal((rows, FEATURES)) @ mix + 3)


def _row(word: str, train: Array, test: Array) -> Row:
    covariance = np.cov(train.T)
    off = covariance - np.diag(np.diag(covariance))
    spread = {"least_std": train.std(axis=0).min(), "greatest_std": train.std(axis=0).max()}
    means = {
        "greatest_train_mean": np.abs(train.mean(axis=0)).max(),
        "greatest_test_mean": np.abs(test.mean(axis=0)).max(),
    }
    return {"word": word, **means, **spread, "greatest_covariance": np.abs(off).max()}


def _claims(made: dict[str, Array], train: Array) -> Iterator[Claim]:
    for word in [word for word in made if word != "none"]:
        mean = float(np.abs(made[word].mean(axis=0)).max() / train.std())
        yield at_most("2.1", f"{word}: the training mean of each feature is 0", mean, 1e-10)
    off = float(np.abs(made["standardise"].std(axis=0) - 1).max())
    yield at_most("2.1", "standardise: the spread of each feature is 1", off, 1e-10)
    if "pca" in made:
        covariance = np.cov(made["pca"].T)
        off = float(np.abs(covariance - np.diag(np.diag(covariance))).max() / np.abs(covariance).max())
        yield at_most("2.1", "PCA: no two features covary", off, 1e-10)
    if "whiten" in made:
        covariance, smallest = np.cov(made["whiten"].T, bias=True), np.linalg.eigvalsh(np.cov(train.T)).min()
        off = float(np.abs(covariance - np.eye(len(covariance))).max())
        note = f"The smallest eigenvalue is {smallest:.3g}; the 1e-5 that is added to it leaves so much."
        yield at_most("2.1", "whitening: the covariance is 1", off, 1.1 * 1e-5 / float(smallest) + 1e-9, note=note)


def _honest(train: Array, test: Array) -> Iterator[Claim]:
    """What is learned comes from the training rows alone, and is applied to others as it is."""
    transform = learn("standardise", train)
    centred = float(np.abs(transform(test).mean(axis=0)).min())
    yield at_least("2.1", "the test mean is not forced to 0", centred, 0.01)
    before, after = transform(train), transform(np.vstack([train, test * 1000]))[: len(train)]
    same = bool(np.array_equal(before, after))
    yield shown(
        "2.1", "other rows change nothing of the training rows", "equal to the bit" if same else "differ", holds=same
    )
    constant = learn("standardise", np.ones((10, 2)))(np.ones((10, 2)))
    finite = bool(np.isfinite(constant).all())
    yield shown("2.1", "a constant feature gives no NaN", str(constant[0]), holds=finite)
