"""Weights of rows and classes in the classifier, and sparse rows."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.ensemble import AdaBoostClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.class_weight import compute_class_weight

from pipeline.estimator import NumpyNetworkClassifier

X, y = (part[:300] for part in load_digits(return_X_y=True))
WEIGHTS = np.random.default_rng(0).exponential(size=300)


def fitted(rows=slice(None), weights=None, **settings):
    """Return a classifier that was fitted for three epochs."""
    return NumpyNetworkClassifier(max_iter=3, **settings).fit(X[rows], y[rows], sample_weight=weights)


def assert_same(first, second):
    """Assert that two classifiers have the same bits."""
    np.testing.assert_array_equal(first.parameters_, second.parameters_)
    assert first.loss_curve_ == second.loss_curve_


def test_a_row_of_weight_0_is_left_out():
    """It changes no bit, also of preprocessing, batch norm and minibatches; the weights of the others count."""
    kept = np.arange(300) % 3 > 0
    settings = {"batch_norm": True, "early_stopping": True}
    assert_same(fitted(weights=WEIGHTS * kept, **settings), fitted(kept, WEIGHTS[kept], **settings))
    assert not np.array_equal(fitted(weights=WEIGHTS).parameters_, fitted().parameters_)


def test_partial_fits_with_weights_equal_a_fit():
    """As many partial fits as epochs, with the same weights, give the bits of one fit."""
    parts = NumpyNetworkClassifier(max_iter=3, class_weight={3: 2.5})
    for _ in range(3):
        parts.partial_fit(X, y, range(10), WEIGHTS)
    assert_same(parts, fitted(weights=WEIGHTS, class_weight={3: 2.5}))


def test_class_weights_multiply_those_of_rows():
    """A dict gives the weights of labels, ``None`` and ``"none"`` give none, and balanced weights are scikit-learn's."""
    assert_same(
        fitted(weights=WEIGHTS, class_weight={1: 3, 7: 0.5}),
        fitted(weights=WEIGHTS * np.where(y == 1, 3, np.where(y == 7, 0.5, 1))),
    )
    assert_same(fitted(class_weight="none"), fitted())
    balanced = compute_class_weight("balanced", classes=np.arange(10), y=y, sample_weight=WEIGHTS)
    ours, theirs = fitted(weights=WEIGHTS, class_weight="balanced"), fitted(weights=WEIGHTS * balanced[y])
    np.testing.assert_allclose(ours.parameters_, theirs.parameters_, atol=1e-5)
    assert not np.allclose(ours.parameters_, fitted(weights=WEIGHTS).parameters_, atol=1e-3)


def test_balanced_classes_find_the_rare_one():
    """With balanced classes, more rows of a rare class are recognised."""
    rng = np.random.default_rng(0)
    labels = (np.arange(2000) % 20 == 0).astype(int)
    rows = rng.standard_normal((2000, 2)) + labels[:, None]
    recalls = [
        NumpyNetworkClassifier(class_weight=kind).fit(rows, labels).predict(rows)[labels == 1].mean()
        for kind in (None, "balanced")
    ]
    assert recalls[1] > recalls[0] + 0.3


def test_partial_fit_refuses_balanced_classes():
    """It sees a part of the rows, whose shares of classes are not those of all."""
    with pytest.raises(ValueError, match="class_weight: got 'balanced'; partial_fit sees a part"):
        NumpyNetworkClassifier(class_weight="balanced").partial_fit(X, y, range(10))


def test_wrong_weights_change_nothing():
    """Weights below 0, missing, of another shape, or all 0 are refused by name."""
    new = NumpyNetworkClassifier()
    for weights in (WEIGHTS - 1, np.full(300, np.nan), WEIGHTS[1:], np.zeros(300)):
        with pytest.raises(ValueError, match=r"sample_weight"):
            new.fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match="class_weight: got zero for every row"):
        new.set_params(class_weight=dict.fromkeys(range(10), 0)).fit(X, y)
    assert not hasattr(new, "parameters_")


def test_adaboost_trains_it():
    """AdaBoost weights the rows for each of ten weak networks, and together they are far better than the first."""
    weak = NumpyNetworkClassifier(hidden=3)
    boosted = AdaBoostClassifier(weak, n_estimators=10, random_state=0).fit(X, y)
    assert len(boosted.estimators_) == 10
    assert boosted.score(X, y) > boosted.estimators_[0].score(X, y) + 0.3


@pytest.mark.parametrize("preprocessing", ["none", "standardise"])
@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix])
def test_sparse_rows_give_the_bits_of_dense_ones(make, preprocessing):
    """Sparse rows train and predict as the same rows in an array do, chunk by chunk."""
    dense = fitted(preprocessing=preprocessing, learning_rate=0.01)
    other = NumpyNetworkClassifier(**dense.get_params()).fit(make(X), y)
    assert_same(dense, other)
    np.testing.assert_array_equal(other.predict_proba(make(X)), dense.predict_proba(X))
    np.testing.assert_array_equal(dense.partial_fit(make(X), y).predict(X), other.partial_fit(X, y).predict(make(X)))
    wrong = np.where((np.arange(300)[:, None] == 2) & (np.arange(64) == 1), -1e300, X)
    with pytest.raises(ValueError, match=r"X: row 3, column 2 is -1e\+300"):
        dense.predict(make(wrong))


def test_a_pipeline_with_one_hot_columns():
    """A default OneHotEncoder, whose output is sparse, comes before it in a pipeline."""
    rng = np.random.default_rng(0)
    colours = np.array(["red", "green", "blue"])[rng.integers(3, size=(200, 2))]
    labels = colours[:, 0] == colours[:, 1]
    steps = make_pipeline(OneHotEncoder(), NumpyNetworkClassifier(max_iter=60)).fit(colours, labels)
    assert steps.score(colours, labels) == 1
