"""A study's own model: how it is found, what it returns, and its curves."""

import re

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.trials.own_models import Curves, ModelData, check_parameters, fit_trial, is_function

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(90, 4)), np.arange(90) % 3
X[np.arange(90), Y] += 3
DATA = ModelData(X[:60], Y[:60], X[60:75], Y[60:75], X[75:], 3, 4)
CURVES = {"train/accuracy", "val/accuracy", "train/loss", "val/loss"}


def returning(val, test):
    """Return a function that fits nothing and returns these predictions."""
    return lambda *_: (val, test)


def pipe():
    """Return a pipeline, as a factory of a study does."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=3))


def ends(params, data, seed, report):
    """Return what the parameters name; a function of a study."""
    return params["val"], params["test"]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")  # six epochs are few
@pytest.mark.parametrize(
    ("model", "params", "epochs", "keys"),
    [
        ("sklearn.ensemble:HistGradientBoostingClassifier", {"max_iter": 5}, 5, CURVES),
        ("sklearn.linear_model:SGDClassifier", {}, 4, {"train/accuracy", "val/accuracy"}),
        ("sklearn.neural_network:MLPClassifier", {}, 4, CURVES),
        ("sklearn.neural_network:MLPClassifier", {"max_iter": 6}, 6, {"train/loss"}),
        ("sklearn.svm:SVC", {"C": 2.0}, 0, set()),
        (f"{__name__}:pipe", {"gradientboostingclassifier__learning_rate": 0.5}, 3, CURVES),
    ],
)
def test_an_estimator_has_the_curves_it_can_give(model, params, epochs, keys):
    """Curves come from partial_fit, from stages or from the loss of the fit; a seed repeats all to the last bit."""
    first, again, other = (fit_trial(model, params, seed, DATA, Curves()) for seed in (2**63, 2**63, 1))
    assert (first.epochs, set(first.curves)) == (epochs, keys)
    assert all(len(values) == epochs for values in first.curves.values())
    assert np.array_equal(first.test, again.test)
    assert first.curves == again.curves
    assert first.val.shape[0] == 15
    if "MLP" in model:
        assert not np.array_equal(first.test, other.test)
    if "val/accuracy" in keys:
        assert first.curves["val/accuracy"][-1] == np.mean(
            (first.val.argmax(1) if first.val.ndim == 2 else first.val) == DATA.y_val
        )


def test_a_class_without_training_rows_has_no_probability():
    """Probabilities have a column for each class of the data, whichever the training rows have."""
    some = ModelData(X[:60][Y[:60] != 1], Y[:60][Y[:60] != 1], X[60:75], Y[60:75], X[75:], 3, 1)
    outcome = fit_trial("sklearn.naive_bayes:GaussianNB", {}, 0, some, Curves())
    assert outcome.test.shape == (15, 3)
    assert not outcome.test[:, 1].any()


@pytest.mark.parametrize(
    ("val", "test", "says"),
    [
        (np.zeros(14, int), np.zeros(15, int), r"validation predictions: got shape \(14,\)"),
        (np.full(15, 3), np.zeros(15, int), "expected classes from 0 to 2"),
        (np.zeros(15, int), np.full((15, 3), 0.5), "a sum of 1 in each row"),
        (np.zeros(15, int), np.full((15, 3), np.nan), "finite"),
    ],
)
def test_wrong_predictions_are_refused(val, test, says):
    """Predictions are classes or probabilities of every row; others raise an error that names their shape."""
    with pytest.raises(ValueError, match=says):
        fit_trial(f"{__name__}:ends", {"val": val, "test": test}, 0, DATA, Curves())


def test_reports_are_curves_and_may_prune():
    """Epochs count from 1 without gaps; the pruner's answer is what report returns, and it stays."""
    curves = Curves(lambda _, accuracy: accuracy < 0.5)
    assert not curves(1, val_accuracy=0.6, mine=1)
    assert curves(2, val_accuracy=0.4)
    assert curves(3, val_accuracy=0.9)
    assert curves.values["val/accuracy"] == [0.6, 0.4, 0.9]
    assert np.array_equal(curves.values["mine"], [1, np.nan, np.nan], equal_nan=True)
    with pytest.raises(ValueError, match="got epoch 5; expected 4"):
        curves(5)
    with pytest.raises(ValueError, match="a pruner needs val_accuracy"):
        Curves(lambda *_: False)(1, train_loss=1.0)


@pytest.mark.parametrize(
    ("model", "names", "says"),
    [
        ("sklearn.svm:SVCC", [], "did you mean SVC"),
        ("sklearn.svmm:SVC", [], "cannot be imported"),
        ("nowhere:fit", [], "Install its package, or put its file next to the study's"),
        ("sklearn.svm:SVC", ["gama"], "unknown parameter 'gama'; did you mean gamma"),
        (
            f"{__name__}:pipe",
            ["gradientboostingclassifier__max_dept"],
            "did you mean gradientboostingclassifier__max_depth",
        ),
        ("sklearn.linear_model:Ridge", [], "Ridge is a regressor; expected a classifier"),
        ("builtins:exit", [], "SystemExit"),
        ("builtins:dict", [], "got dict; expected a scikit-learn classifier"),
        (f"{__name__}:returning", [], "Expected a class or a factory that needs no arguments, or a function"),
    ],
)
def test_a_model_or_parameter_that_does_not_exist_is_refused(model, names, says):
    """The error names the nearest name of a module, a model or a parameter."""
    with pytest.raises(UserError, match=says):
        check_parameters(model, names)


def test_a_function_takes_four_arguments():
    """A class and a factory make estimators; a function that needs the four arguments fits by itself."""
    assert is_function(ends)
    assert not is_function(pipe)
    assert not is_function(dict)


@pytest.mark.parametrize(
    "name", ["test_accuracy", "test/accuracy", "best/val_accuracy", "best_epoch", "gap", "val_", "", "a b", "x" * 300]
)
def test_a_model_cannot_report_its_results(name):
    """A name that is that of a result, or that stores refuse, is an error of the model; the curves stay as they are."""
    report = Curves()
    report(1, val_accuracy=0.5, my_loss=2)
    with pytest.raises(ValueError, match=re.escape(f"report: got the metric {name!r:.60}; expected a name")):
        report(2, val_accuracy=0.6, **{name: 0.99})
    assert report.values == {"val/accuracy": [0.5], "my_loss": [2.0]}
