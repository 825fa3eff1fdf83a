"""The scikit-learn classifier: scikit-learn's checks, and agreement with the trials of studies."""

import copy
import pickle

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from pipeline.data import load_block
from pipeline.data.dataset import load_rows, split
from pipeline.estimator import NumpyNetworkClassifier
from pipeline.estimator.classifier import encode, labels_of
from pipeline.estimator.trial_training import retrain_trial
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.training import train

EQUIVALENCE = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")
REASON = "float32 adds equal rows in another order, and preprocessing does not use the weights"


@parametrize_with_checks(
    [NumpyNetworkClassifier()], expected_failed_checks=lambda _: dict.fromkeys(EQUIVALENCE, REASON)
)
def test_scikit_learns_checks_pass(estimator, check):
    """Every check that scikit-learn has for a classifier passes, but for two that need float64 and raw rows."""
    check(estimator)


@pytest.mark.parametrize("name", EQUIVALENCE)
def test_weights_are_repeated_rows(name):
    """In float64 and without preprocessing, scikit-learn finds that weights equal repeated and removed rows."""
    estimator = NumpyNetworkClassifier(dtype="float64", preprocessing="none")
    getattr(estimator_checks, name)("NumpyNetworkClassifier", estimator)


HPARAMS = HyperParams(learning_rate=0.05, momentum=0.9, batch_norm=True, hidden=(20, 10), dropout=0.1, seed=3)
CONFIG = TrainConfig(epochs=5, batch_size=50, validation=0.2, test=0.2)


@pytest.fixture(scope="module")
def digits():
    """The rows and labels of the digits."""
    return load_digits(return_X_y=True)


@pytest.fixture(scope="module")
def block():
    """The digits in one block's splits, as studies train on them."""
    return load_block("digits", CONFIG, 0)


@pytest.fixture(scope="module")
def of_trial(block):
    """The classifier of a trial."""
    return NumpyNetworkClassifier.of_record(retrain_trial(HPARAMS, block, CONFIG, 4), HPARAMS, block, CONFIG)


def test_a_trial_becomes_a_classifier(of_trial, block, digits):
    """It classifies raw rows as the trial's checkpoint did, with the labels of the data, and has the trial's curves."""
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
    """After storing and loading, predictions and further training have the same bits; skops needs to trust only its type."""
    if through == "pickle":
        other = pickle.loads(pickle.dumps(of_trial))  # noqa: S301  the test made it
    else:
        trusted = ["pipeline.estimator.NumpyNetworkClassifier"]
        stored = skops.io.dumps(of_trial)
        assert skops.io.get_untrusted_types(data=stored) == trusted
        other = skops.io.loads(stored, trusted=trusted)
    X, y = digits
    np.testing.assert_array_equal(other.predict_proba(X), of_trial.predict_proba(X))
    first, second = (copy.deepcopy(estimator).partial_fit(X[:200], y[:200]) for estimator in (other, of_trial))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 50},
        {"momentum": 0.9, "batch_norm": True, "dropout": 0.2, "schedule": "cosine", "warmup": 1, "t0": 9.0},
        {"optimizer": "adagrad", "preprocessing": "whiten", "dtype": "float64", "activation": "prelu"},
    ],
)
def test_partial_fits_equal_a_fit(digits, settings):
    """As many partial fits as epochs, on the same rows, give the same bits as one fit."""
    X, y = digits[0][:400], digits[1][:400]
    whole = NumpyNetworkClassifier(max_iter=3, **settings).fit(X, y)
    parts = NumpyNetworkClassifier(max_iter=3, **settings)
    for _ in range(3):
        parts.partial_fit(X, y, classes=range(10))
    np.testing.assert_array_equal(parts.parameters_, whole.parameters_)
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == whole.n_iter_ == 3


def test_early_stopping_keeps_the_best_epoch(digits):
    """It stops ``n_iter_no_change`` epochs after the best accuracy on held-out rows, and keeps that epoch's network."""
    X, y = digits[0][:600], digits[1][:600]
    settings = {"learning_rate": 1.0, "random_state": 1, "validation_fraction": 0.2}
    stopped = NumpyNetworkClassifier(early_stopping=True, max_iter=60, n_iter_no_change=4, **settings).fit(X, y)
    scores = stopped.validation_scores_
    best = scores.index(max(scores)) + 1
    assert len(scores) == len(stopped.loss_curve_) == len(stopped.validation_loss_curve_) == stopped.n_iter_ == best + 4
    shorter = NumpyNetworkClassifier(early_stopping=True, max_iter=best, n_iter_no_change=60, **settings).fit(X, y)
    np.testing.assert_array_equal(shorter.parameters_, stopped.parameters_)
    _, held_out = train_test_split(np.arange(600), test_size=0.2, stratify=y, random_state=1)
    assert stopped.score(X[held_out], y[held_out]) == max(scores)


def test_preprocessing_is_not_learned_from_held_out_rows(digits):
    """With early stopping, preprocessing uses the means of the rows that are trained on."""
    X, y = digits[0][:200], digits[1][:200]
    fitted = NumpyNetworkClassifier(early_stopping=True, max_iter=1, validation_fraction=0.5).fit(X, y)
    kept, _ = train_test_split(np.arange(200), test_size=0.5, stratify=y, random_state=0)
    np.testing.assert_array_equal(fitted.offset_, X[np.sort(kept)].mean(axis=0))


def test_preprocessing_is_learned_from_the_first_partial_fit(digits):
    """Later rows are scaled like the first."""
    X, y = digits[0][:200], digits[1][:200]
    fitted = NumpyNetworkClassifier().partial_fit(X, y, classes=range(10)).partial_fit(5 * X, y)
    np.testing.assert_array_equal(fitted.offset_, X.mean(axis=0))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"learning_rate": 0.01}),
        ({}, {"momentum": 0.9}),
        ({"momentum": 0.9}, {"momentum": 0.0}),
        ({"dropout": 0.1}, {"dropout": 0.6}),
        ({}, {"optimizer": "adam"}),
    ],
)
def test_a_parameter_may_change_between_partial_fits(digits, before, after):
    """Further training uses the parameters as they are now."""
    X, y = digits[0][:200], digits[1][:200]
    unchanged, other = (NumpyNetworkClassifier(**before).partial_fit(X, y, classes=range(10)) for _ in range(2))
    unchanged.partial_fit(X, y)
    other.set_params(**after).partial_fit(X, y)
    assert not np.array_equal(unchanged.parameters_, other.parameters_)


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": (7,)},
        {"activation": "tanh"},
        {"batch_norm": True},
        {"dropout": 0.5},
        {"dtype": "float64"},
        {"preprocessing": "pca"},
    ],
)
def test_a_parameter_that_changes_the_layers_is_refused(digits, settings):
    """Parameters that need other layers are refused by name in partial_fit; predictions use the existing layers."""
    X, y = digits[0][:100], digits[1][:100]
    fitted = NumpyNetworkClassifier().partial_fit(X, y, classes=range(10))
    before = fitted.predict_proba(X)
    fitted.set_params(**settings)
    with pytest.raises(ValueError, match=rf"^{next(iter(settings))}: got .*the network in training was built with"):
        fitted.partial_fit(X, y)
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    fitted.fit(X, y)
    fitted.partial_fit(X, y)


def test_a_pickle_of_an_older_version_predicts(digits):
    """Without ``built_``, the network is built from the parameters."""
    X, y = digits[0][:50], digits[1][:50]
    fitted = NumpyNetworkClassifier(max_iter=1).fit(X, y)
    state = {name: value for name, value in fitted.__getstate__().items() if name != "built_"}
    older = NumpyNetworkClassifier.__new__(NumpyNetworkClassifier)
    older.__setstate__(state)
    np.testing.assert_array_equal(older.predict_proba(X), fitted.predict_proba(X))


def test_an_older_pickle_trains_all_epochs(digits):
    """Its ``n_iter_no_change`` was for early stopping alone, and does not stop on the training loss."""
    X, y = digits[0][:50], digits[1][:50]
    state = NumpyNetworkClassifier(max_iter=15, learning_rate=0.0, n_iter_no_change=10).__getstate__()
    older = NumpyNetworkClassifier.__new__(NumpyNetworkClassifier)
    older.__setstate__({name: v for name, v in state.items() if name not in ("warm_start", "verbose", "class_weight")})
    assert older.fit(X, y).n_iter_ == 15


def test_a_cell_beyond_the_networks_numbers_is_refused(digits):
    """A value beyond float32 in a row to predict is refused with its place."""
    X, y = digits[0][:50], digits[1][:50]
    fitted = NumpyNetworkClassifier(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=r"X: row 3, column 2 is -1e\+300; expected a number within"):
        fitted.predict_proba(np.where((np.arange(50)[:, None] == 2) & (np.arange(64) == 1), -1e300, X))


def test_without_early_stopping_all_rows_are_used(digits):
    """There are no validation curves, and the network is that of the last epoch."""
    X, y = digits[0][:300], digits[1][:300]
    fitted = NumpyNetworkClassifier(max_iter=30).fit(X, y)
    assert fitted.validation_loss_curve_ is fitted.validation_scores_ is None
    assert len(fitted.loss_curve_) == fitted.n_iter_ == 30
    assert fitted.score(X, y) == 1


def test_a_grid_search_in_a_pipeline(digits):
    """It works in a grid search behind scikit-learn's scaler, with NumPy numbers as parameters."""
    X, y = digits[0][:300], digits[1][:300]
    steps = make_pipeline(StandardScaler(), NumpyNetworkClassifier(preprocessing="none"))
    grid = {"numpynetworkclassifier__learning_rate": np.logspace(-4, -1, 2)}
    grid["numpynetworkclassifier__hidden"] = [(np.int64(20),), "20x10"]
    search = GridSearchCV(steps, grid, cv=2).fit(X, y)
    assert search.best_params_["numpynetworkclassifier__learning_rate"] == 0.1
    assert search.best_score_ > 0.7


def test_a_clone_of_a_trial_is_not_fitted(of_trial, digits):
    """The clone is not fitted, has the trial's settings, and can be fitted."""
    other = clone(of_trial)
    with pytest.raises(NotFittedError):
        other.predict(digits[0])
    assert (other.hidden, other.dropout, other.random_state, other.max_iter) == ((20, 10), 0.1, 3, 5)
    assert other.fit(*digits).score(*digits) > 0.9


def test_labels_of_any_kind(digits):
    """Text labels and any whole numbers are returned as they are, and classes may be in any order."""
    X, y = digits
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    assert NumpyNetworkClassifier().fit(X, names[y]).score(X, names[y]) > 0.95
    assert set(NumpyNetworkClassifier(max_iter=1).fit(X, y * 7 - 3).predict(X)) <= set(range(-3, 61, 7))
    np.testing.assert_array_equal(encode(np.array(["two", "zero"]), names), [2, 0])


def test_it_has_every_hyperparameter():
    """It has every hyperparameter of studies by name, with the same defaults, but for those that a study sets."""
    other = {"class_weight": None, "batch_size": "auto", "preprocessing": "standardise"}
    defaults = {name: value for name, value in vars(HyperParams()).items() if name != "seed"} | other
    assert defaults.items() <= NumpyNetworkClassifier().get_params().items()


def test_convolutions_of_images(digits):
    """With ``image_shape``, convolutions come before the hidden layers."""
    X, y = digits[0][:300], digits[1][:300]
    fitted = NumpyNetworkClassifier(conv="8p", image_shape=(8, 8), hidden=20, batch_norm=True).fit(X, y)
    assert fitted.score(X, y) > 0.5  # chance is 0.1
    assert fitted.parameters_.size == 9 * 8 + 8 + 2 * 8 + 9 * 20 + 2 * 20 + 21 * 10


def test_class_names_that_are_numbers_give_number_labels():
    """If all class names are whole numbers, labels are numbers; otherwise all are text."""
    assert labels_of(("0", "1", "10")).tolist() == [0, 1, 10]
    assert labels_of(("1", "two")).tolist() == ["1", "two"]
    assert labels_of(("-1", "1")).tolist() == [-1, 1]
    assert labels_of(("01", "1")).tolist() == ["01", "1"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": (5, 0)}, "hidden: got 0; expected a whole number of at least 1"),
        ({"learning_rate": -0.1}, "learning_rate: got -0.1; expected a finite number"),
        ({"learning_rate": 1e9, "preprocessing": "none"}, "learning_rate: got 1000000000.0; training diverges"),
        ({"dtype": "object"}, "dtype: got 'object'; expected one of float32, float64"),
        ({"dtype": object}, "dtype: got <class 'object'>; expected one of"),
        ({"batch_size": 101}, "batch_size: got 101; there are 100 rows"),
        ({"batch_size": "all"}, "batch_size: got 'all'; expected a whole number"),
        ({"max_iter": 0}, "max_iter: got 0; expected a whole number"),
        ({"activation": "cos"}, "activation: got 'cos'; expected one of relu"),
        ({"preprocessing": "zca"}, "preprocessing: got 'zca'; expected one of none"),
        ({"preprocessing": "channel_mean"}, r"channel_mean: the rows have shape \(64,\), and are no images"),
        ({"early_stopping": "yes"}, "early_stopping: got 'yes'; expected True or False"),
        (
            {"early_stopping": True, "validation_fraction": 1.5},
            "validation_fraction: got 1.5; expected a finite number",
        ),
        (
            {"early_stopping": True, "validation_fraction": 0.0},
            "validation_fraction: got 0.0; expected a finite number",
        ),
        ({"image_shape": 5}, r"image_shape: got 5; expected sizes, like \(3, 32, 32\)"),
        (
            {"image_shape": (5, 5), "preprocessing": "channel_mean"},
            r"image_shape: got \(5, 5\), of 25 numbers; rows have 64",
        ),
        ({"early_stopping": True, "n_iter_no_change": 0}, "n_iter_no_change: got 0; expected a whole number"),
        ({"early_stopping": True, "tol": -1.0}, "tol: got -1.0; expected a finite number"),
        ({"n_iter_no_change": "never"}, "n_iter_no_change: got 'never'; expected a whole number"),
        ({"warm_start": 2}, "warm_start: got 2; expected True or False"),
        ({"class_weight": "heavy"}, "class_weight: got 'heavy'; expected one of none, balanced"),
        ({"class_weight": {11: 2.0}}, r"class_weight: got 11; expected one of the classes \[0, 1"),
        ({"class_weight": {3: -1}}, "class_weight: 3: got -1; expected a finite number of at least 0"),
    ],
)
def test_a_wrong_parameter_changes_nothing(digits, settings, message):
    """The error names it with its value; a new estimator stays unfitted, and a fitted one does not change."""
    X, y = digits[0][:100], digits[1][:100]
    new = NumpyNetworkClassifier(**settings)
    with pytest.raises(ValueError, match=message):
        new.fit(X, y)
    assert vars(new) == vars(NumpyNetworkClassifier(**settings))
    fitted = NumpyNetworkClassifier(max_iter=2).fit(X[:, :30], y)
    before = fitted.predict_proba(X[:, :30])
    state = {name: value for name, value in vars(fitted).items() if name.endswith("_")}
    with pytest.raises(ValueError, match=message):
        fitted.set_params(**settings).fit(X, y)
    assert all(vars(fitted)[name] is value for name, value in state.items())
    np.testing.assert_array_equal(
        fitted.set_params(**NumpyNetworkClassifier().get_params()).predict_proba(X[:, :30]), before
    )


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.eye(4), [0, 1, 0.5, 2], "Unknown label type: continuous"),
        (np.eye(4), [0, 1, 2, np.nan], "NaN"),
        (np.where(np.eye(4), np.nan, 0), [0, 1, 0, 1], "NaN"),
        (np.eye(4), [3, 3, 3, 3], r"y: got one class, 3; expected at least two"),
        (np.where(np.eye(4), 1e300, 0), [0, 1, 0, 1], r"X: row 1, column 1 is 1e\+300; expected a number within"),
        (np.array([["a", "b"]] * 4, dtype=object), [0, 1, 0, 1], "could not convert string to float: 'a'"),
    ],
)
def test_bad_rows_are_refused(X, y, message):
    """Wrong labels, missing numbers, a single class and text are refused, and the estimator does not change."""
    new = NumpyNetworkClassifier()
    with pytest.raises(ValueError, match=message):
        new.fit(X, y)
    assert vars(new) == vars(NumpyNetworkClassifier())


def test_partial_fit_checks_its_classes(digits):
    """The first call needs the classes, a later one may not pass others, and labels must be among them."""
    X, y = digits[0][:50], digits[1][:50]
    new = NumpyNetworkClassifier()
    with pytest.raises(ValueError, match="classes: got None; the first call"):
        new.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y: got 8; expected one of the classes \[0, 1\]"):
        new.partial_fit(X[8:], y[8:], classes=[0, 1])
    assert vars(new) == vars(NumpyNetworkClassifier())
    new.partial_fit(X, y, classes=range(10))
    with pytest.raises(ValueError, match=r"classes: got \[0, 1\]; expected those of the first call"):
        new.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="early_stopping: got True"):
        new.set_params(early_stopping=True).partial_fit(X, y)
    assert new.n_iter_ == 1


def test_a_trial_that_diverges_is_refused(block):
    """A diverged trial gives an error, since it has no checkpoint."""
    with pytest.raises(ValueError, match=r"learning_rate: got 100000.0; training diverges"):
        retrain_trial(HyperParams(learning_rate=1e5), block, CONFIG)


@pytest.mark.parametrize("value", [-1, np.int64(-2)])
def test_a_wrong_random_state_is_named(value):
    """A negative ``random_state`` is refused under its own name."""
    X, y = load_digits(return_X_y=True)
    with pytest.raises(ValueError, match=f"random_state: got {value}; expected a whole number of at least 0"):
        NumpyNetworkClassifier(random_state=value, max_iter=1).fit(X[:100], y[:100])
