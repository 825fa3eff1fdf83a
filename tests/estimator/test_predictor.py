"""What a fitted classifier predicts and shows, when its training stops, and how it resumes."""

import re

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from pipeline.estimator import NumpyNetworkClassifier

X, y = (part[:200] for part in load_digits(return_X_y=True))


def fitted(**settings):
    """Return a fitted classifier."""
    return NumpyNetworkClassifier(**{"max_iter": 3, **settings}).fit(X, y)


def test_weights_and_biases_are_those_of_the_layers():
    """``coefs_`` and ``intercepts_`` of preprocessed rows give the probabilities; before a fit there are none."""
    network = fitted(hidden=(7, 5), activation="tanh", dtype="float64")
    rows = (X - network.offset_) / network.scale_
    for weights, biases in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        rows = np.tanh(rows @ weights + biases)
    logits = rows @ network.coefs_[-1] + network.intercepts_[-1]
    np.testing.assert_allclose(softmax(logits, axis=1), network.predict_proba(X), rtol=1e-10)
    assert [weights.shape for weights in network.coefs_] == [(64, 7), (7, 5), (5, 10)]
    with pytest.raises(NotFittedError):
        NumpyNetworkClassifier().coefs_  # noqa: B018  reading it is the test


def test_logarithms_of_probabilities_are_finite():
    """They are the logarithms of the probabilities, and finite where a probability is 0."""
    network = fitted()
    np.testing.assert_allclose(np.exp(network.predict_log_proba(X)), network.predict_proba(X), rtol=1e-10)
    far = 1e6 * X
    assert (network.predict_proba(far) == 0).any()
    assert np.isfinite(network.predict_log_proba(far)).all()


def test_the_best_loss_is_the_lowest_of_training():
    """It is the minimum of the loss curve, and None with early stopping."""
    network = fitted(learning_rate=1.0)
    assert network.best_loss_ == min(network.loss_curve_)
    assert fitted(early_stopping=True).best_loss_ is None


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "dropout": 0.2, "batch_norm": True}])
def test_a_warm_start_continues(settings):
    """Two warm fits of three epochs give the bits of one fit of six; a cold fit starts again."""
    warm, whole = NumpyNetworkClassifier(max_iter=3, warm_start=True, **settings), fitted(**settings, max_iter=6)
    for epochs in (3, 6):
        warm.fit(X, y)
        assert warm.n_iter_ == len(warm.loss_curve_) == epochs
    np.testing.assert_array_equal(warm.parameters_, whole.parameters_)
    assert warm.loss_curve_ == whole.loss_curve_
    cold = warm.set_params(warm_start=False).fit(X, y)
    np.testing.assert_array_equal(cold.parameters_, fitted(**settings).parameters_)


def test_a_warm_start_keeps_classes_layers_and_validation_curves():
    """Another label or another layer is refused by name; curves of held-out rows are continued."""
    warm = NumpyNetworkClassifier(max_iter=3, warm_start=True, early_stopping=True).fit(X, y).fit(X, y)
    assert len(warm.validation_scores_) == len(warm.validation_loss_curve_) == 6
    with pytest.raises(ValueError, match="y: got 17; expected one of the classes"):
        warm.fit(X, y + 10 * (y == 7))
    with pytest.raises(ValueError, match=r"hidden: got \[7\].*or call fit without warm_start"):
        warm.set_params(hidden=7).fit(X, y)
    assert warm.n_iter_ == 6


def test_training_stops_when_its_loss_stays():
    """A number of epochs without a fall of the loss by ``tol`` ends training; the network has the bits of those epochs."""
    stopped = fitted(max_iter=50, n_iter_no_change=2, tol=0.05)
    assert 3 < stopped.n_iter_ < 50
    falls = -np.diff(stopped.loss_curve_)
    assert (falls[-2:] <= 0.05).all()
    assert (falls[:2] > 0.05).all()
    np.testing.assert_array_equal(stopped.parameters_, fitted(max_iter=stopped.n_iter_).parameters_)


def test_a_loss_that_still_falls_is_warned_of():
    """If ``max_iter`` comes before the stop, scikit-learn's warning says so; not if no stop was asked for."""
    with pytest.warns(ConvergenceWarning, match="max_iter: 4 epochs ended before the training loss stopped falling"):
        fitted(max_iter=4, n_iter_no_change=2)
    for epochs in ("auto", np.inf):
        assert fitted(max_iter=15, learning_rate=0.0, n_iter_no_change=epochs).n_iter_ == 15
    assert fitted(max_iter=15, learning_rate=0.0, early_stopping=True).n_iter_ == 11
    assert fitted(max_iter=15, learning_rate=0.0, early_stopping=True, n_iter_no_change=np.inf).n_iter_ == 15


def test_a_verbose_fit_prints_each_epoch(capsys):
    """It prints a line with the loss of each epoch, and the accuracy of held-out rows; otherwise nothing is printed."""
    network = fitted(verbose=True, early_stopping=True)
    lines = capsys.readouterr().out.splitlines()
    pairs = [re.fullmatch(r"Epoch (\d), loss = (.*), validation accuracy = (.*)", line).groups() for line in lines]
    assert [int(epoch) for epoch, _, _ in pairs] == [1, 2, 3]
    assert [float(loss) for _, loss, _ in pairs] == pytest.approx(network.loss_curve_, abs=1e-6)
    assert [float(accuracy) for _, _, accuracy in pairs] == pytest.approx(network.validation_scores_, abs=1e-4)
    network.set_params(early_stopping=False).partial_fit(X, y)
    assert re.fullmatch(r"Epoch 4, loss = [\d.]+\n", capsys.readouterr().out)
    fitted()
    assert capsys.readouterr().out == ""
