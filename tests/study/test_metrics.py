"""The metrics that a study can be judged by, compared with scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from pipeline.errors import UserError
from pipeline.study.metrics import METRICS, check_classes, find_metric, score_rows

REFERENCES = {
    "accuracy": lambda y, p: sklearn_metrics.accuracy_score(y, p.argmax(1)),
    "balanced_accuracy": lambda y, p: sklearn_metrics.balanced_accuracy_score(y, p.argmax(1)),
    "f1_macro": lambda y, p: sklearn_metrics.f1_score(y, p.argmax(1), average="macro", zero_division=0),
    "neg_log_loss": lambda y, p: -sklearn_metrics.log_loss(y, p, labels=range(p.shape[1])),
    "roc_auc": lambda y, p: sklearn_metrics.roc_auc_score(y, p[:, 1]),
    "roc_auc_ovr": lambda y, p: sklearn_metrics.roc_auc_score(
        y, p if p.shape[1] > 2 else p[:, 1], multi_class="ovr", labels=range(p.shape[1])
    ),
}


def rows_of(seed, classes, rows, trials=3, signal=1.0, digits=None, absent=()):
    """Labels with rare classes, and the probabilities of trials that know something; few digits make ties."""
    rng = np.random.default_rng(seed)
    present = [c for c in range(classes) if c not in absent]
    shares = rng.dirichlet(np.ones(len(present)))
    labels = rng.permutation(np.concatenate([present, rng.choice(present, rows - len(present), p=shares)]))
    logits = rng.normal(size=(trials, rows, classes)) + signal * np.eye(classes)[labels]
    logits = logits if digits is None else logits.round(digits)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    return labels, probabilities


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    classes=st.integers(2, 5),
    rows=st.integers(12, 80),
    digits=st.sampled_from([None, 0]),
    signal=st.sampled_from([0.0, 1.0, 60.0]),
)
def test_every_metric_is_scikit_learns_and_the_mean_of_its_rows(name, seed, classes, rows, digits, signal):
    """Values equal scikit-learn's, also with ties, perfect and constant predictions; row scores have them as means."""
    labels, probabilities = rows_of(seed, 2 if name == "roc_auc" else classes, rows, signal=signal, digits=digits)
    probabilities[0] = np.eye(probabilities.shape[2])[0] * 0.5 + 0.5 / probabilities.shape[2]  # always class 0
    values, scores = score_rows(METRICS[name], labels, probabilities)
    assert values == pytest.approx([REFERENCES[name](labels, p) for p in probabilities], abs=1e-9)
    assert scores.mean(axis=1) == pytest.approx(values, abs=1e-9)
    alone = score_rows(METRICS[name], labels, probabilities[1:2])
    np.testing.assert_array_equal(alone[0], values[1:2])
    np.testing.assert_array_equal(alone[1], scores[1:2])


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss"])
def test_a_class_may_be_absent(name):
    """A class without rows is left out as in scikit-learn; F1 still counts it where it is predicted."""
    labels, probabilities = rows_of(1, 4, 40, absent=(2,))
    values, _ = score_rows(METRICS[name], labels, probabilities)
    assert values == pytest.approx([REFERENCES[name](labels, p) for p in probabilities], abs=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_row_scores_give_the_standard_error_of_the_metric(name):
    """The standard error by row scores is that of drawing rows and computing the metric again, to 15 %."""
    labels, probabilities = rows_of(3, 2 if name == "roc_auc" else 3, 400, trials=1)
    _, scores = score_rows(METRICS[name], labels, probabilities)
    rng = np.random.default_rng(0)
    draws = [rng.integers(len(labels), size=len(labels)) for _ in range(400)]
    again = [score_rows(METRICS[name], labels[draw], probabilities[:, draw])[0][0] for draw in draws]
    assert scores[0].std() / np.sqrt(len(labels)) == pytest.approx(np.std(again), rel=0.15)


def test_probabilities_of_one_row_in_float32_are_scored_as_in_float64():
    """A probability of 0 costs the same in both precisions, as scikit-learn clips it in float64."""
    probabilities = np.array([[[1.0, 0.0], [0.25, 0.75]]])
    values = [score_rows(METRICS["neg_log_loss"], np.array([1, 1]), probabilities.astype(d))[0] for d in ("f4", "f8")]
    assert values[0] == values[1] == pytest.approx(-sklearn_metrics.log_loss([1, 1], probabilities[0], labels=[0, 1]))


def test_what_a_metric_cannot_score_is_refused_with_a_remedy():
    """An unknown name, classes in place of probabilities, AUC of three classes or of rows of one class: one line each."""
    labels, probabilities = rows_of(0, 3, 30)
    with pytest.raises(UserError, match="did you mean roc_auc"):
        find_metric("roc_acu")
    with pytest.raises(UserError, match="'roc_auc' needs probabilities"):
        score_rows(METRICS["roc_auc"], labels, probabilities.argmax(axis=2))
    with pytest.raises(UserError, match=r"got 'roc_auc' for 3 classes; expected 2\. Give 'roc_auc_ovr'"):
        score_rows(METRICS["roc_auc"], labels, probabilities)
    with pytest.raises(UserError, match="rows of one"):
        score_rows(METRICS["roc_auc"], np.ones(4, int), probabilities[:, :4, :2])
    check_classes(METRICS["roc_auc_ovr"], 2)


@pytest.mark.parametrize("name", METRICS)
def test_a_guess_has_the_value_of_a_constant_prediction(name):
    """The score of a diverged trial is that of one constant output over classes of one size."""
    classes = 2 if name == "roc_auc" else 4
    labels, constant = np.repeat(np.arange(classes), 5), np.full((1, 5 * classes, classes), 1 / classes)
    assert score_rows(METRICS[name], labels, constant)[0] == pytest.approx([METRICS[name].guess(classes)])
