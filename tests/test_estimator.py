"""The scikit-learn estimator does all that scikit-learn asks of a classifier, over the core that studies train with."""

import copy
import pickle

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from pipeline.data import load_block
from pipeline.data.dataset import load_rows, split
from pipeline.estimator import NumpyNetworkClassifier
from pipeline.hparams import HyperParams, TrainConfig
from pipeline.training import train


@parametrize_with_checks([NumpyNetworkClassifier()])
def test_scikit_learn_is_content(estimator, check):
    """Every check that scikit-learn has for an estimator of this kind, none expected to fail."""
    check(estimator)


HPARAMS = HyperParams(learning_rate=0.05, momentum=0.9, batch_norm=True, hidden=(20, 10), dropout=0.1, seed=3)
CONFIG = TrainConfig(epochs=5, batch_size=50, validation=0.2, test=0.2)


@pytest.fixture(scope="module")
def digits():
    """The rows and labels of the digits."""
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def block():
    """A block of the digits, as studies train on it."""
    return load_block("digits", CONFIG, 0)


@pytest.fixture(scope="module")
def of_trial(block):
    """The estimator of a trial."""
    return NumpyNetworkClassifier.of_trial(HPARAMS, block, CONFIG, order_seed=4)


def test_a_trial_as_an_estimator(of_trial, block, digits):
    """It classifies the raw rows as the trial's checkpoint did, with the labels that the data have, and keeps the curves."""
    with threadpool_limits(1):
        history = train([HPARAMS], block, CONFIG, order_seed=4)
    raw = split(load_rows("digits"), CONFIG, 0)
    for rows, correct in ((raw.val, history.val_correct[0]), (raw.test, history.test_correct[0])):
        np.testing.assert_array_equal(of_trial.predict(rows.inputs) == rows.labels, correct)
    assert of_trial.score(*digits) > 0.9
    assert of_trial.loss_curve_ == history.curves["train/loss"][0].tolist()
    assert of_trial.validation_loss_curve_ == history.curves["val/loss"][0].tolist()
    assert of_trial.validation_scores_ == history.curves["val/accuracy"][0].tolist()
    assert (of_trial.n_iter_, of_trial.n_features_in_) == (5, 64)


@pytest.mark.parametrize("through", ["pickle", "skops"])
def test_an_estimator_is_stored(of_trial, digits, through):
    """Stored and loaded, it says the same and learns on to the same bits; skops needs trust in its own type alone."""
    if through == "pickle":
        other = pickle.loads(pickle.dumps(of_trial))  # noqa: S301  of this test's own making
    else:
        trusted = ["pipeline.estimator.NumpyNetworkClassifier"]
        stored = skops.io.dumps(of_trial)
        assert skops.io.get_untrusted_types(data=stored) == trusted
        other = skops.io.loads(stored, trusted=trusted)
    X, y = digits
    np.testing.assert_array_equal(other.predict_proba(X), of_trial.predict_proba(X))
    first, second = (copy.deepcopy(one).partial_fit(X[:200], y[:200]) for one in (other, of_trial))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
