"""The checks of the labels see a signal in rare classes and in few rows, and none in rows that were shuffled apart."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_classification

from pipeline.checks.all_checks import examples_apart, few_examples, overfits_few
from pipeline.checks.labels import LEVEL, clearest_signal, find_signal, label_checks, labels_belong, signal_of
from pipeline.data import Dataset, Split
from pipeline.study.hparams import TrainConfig
from studies.random_vs_grid import STUDY


def study(rows):
    """A study with minibatches that fit into the training rows."""
    return replace(STUDY, config=TrainConfig(batch_size=min(64, rows // 2)))


def dataset(X, y, seed=0):
    """The rows in a random order, standardised; three quarters are training rows."""
    order = np.random.default_rng(seed).permutation(len(y))
    X = ((X - X.mean(axis=0)) / (X.std(axis=0) + 1e-6))[order].astype("float32")
    cut = 3 * len(y) // 4
    train, val = Split(X[:cut], y[order][:cut]), Split(X[cut:], y[order][cut:])
    return Dataset(train, val, val, len(np.unique(y)))


def rare(share, seed):
    """Two classes, the greater of them with this share of 3,000 rows."""
    return make_classification(3000, 12, weights=[share], n_informative=5, random_state=seed)


@pytest.mark.parametrize(("share", "seed"), [(0.9, 0), (0.98, 0), (0.98, 1), (0.98, 2)])
def test_rare_classes_have_a_signal(share, seed):
    """A class of 2 in 100 rows is ranked better than chance, although a guess is right in 98 of 100."""
    assert all(result.passed for result in label_checks(study(3000), dataset(*rare(share, seed))))


@pytest.mark.parametrize(
    ("share", "apart"), [(0.5, lambda y, _: np.roll(y, 1)), (0.98, lambda y, rng: rng.permutation(y))]
)
def test_labels_apart_from_their_rows_are_found(share, apart):
    """Shuffled labels, and labels that are one row off, fail the check with advice."""
    X, y = rare(share, 0)
    result = next(label_checks(study(3000), dataset(X, apart(y, np.random.default_rng(1)))))
    assert (result.name, result.status) == ("labels belong to inputs", "FAILED")
    assert "shuffled apart" in result.advice


def test_equal_inputs_have_no_signal():
    """Rows that are all equal fail the check, however few they are."""
    for rows in (24, 600):
        data = dataset(np.ones((rows, 3)), np.arange(rows) % 2)
        assert not labels_belong(find_signal(study(rows), data)).passed


def test_few_rows_pass_with_advice_where_nothing_can_be_told():
    """Six rows that are ranked well pass with advice, since a shuffle may rank them as well; 120 rows decide."""
    X, y = load_iris(return_X_y=True)
    few = labels_belong(
        find_signal(study(6), dataset(X[[0, 1, 2, 50, 51, 52, 100, 101]], y[[0, 1, 2, 50, 51, 52, 100, 101]]))
    )
    assert (few.status, "so few rows" in few.advice) == ("advice", True)
    assert labels_belong(find_signal(study(150), dataset(X, y))).status == "ok"


def test_the_p_is_that_of_all_shuffles():
    """On two folds of two rows, in order of their classes, one of the four arrangements has the greatest statistic."""
    ranks = np.array([[[0.5, -0.5], [-0.5, 0.5]] * 2])
    signal = signal_of(ranks, np.array([0, 1, 0, 1]), [np.array([0, 1]), np.array([2, 3])], np.random.default_rng(0))
    assert signal.p == pytest.approx(1 / 4, abs=0.03)
    assert signal.auc > 0.99


def test_a_forest_is_asked_where_networks_find_nothing():
    """Classes in narrow bands of a column, which short training misses, pass by the forest; shuffled, they fail."""
    rng = np.random.default_rng(0)
    X = rng.random((400, 1))
    y = (X[:, 0] * 16).astype(int) % 2
    signal = clearest_signal(study(400), dataset(X, y))
    assert (signal.found, signal.forest) == (True, True)
    assert "a random forest does" in labels_belong(signal).advice
    assert not labels_belong(clearest_signal(study(400), dataset(X, rng.permutation(y)))).passed


def test_equal_ranks_do_not_make_a_small_table_large():
    """A model that gives most rows the same rank leaves the limit of the p as it is, although it has the best statistic."""
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    ranks = np.stack([(rng.permutation(24)[:, None] + 1) * [1, -1] / 25 % 1 - 0.5, np.zeros((24, 2))])
    ranks[1, 1], ranks[1, 0] = [-0.4, 0.4], [0.4, -0.4]
    alone, both = (signal_of(r, labels, [np.arange(24)], np.random.default_rng(0)) for r in (ranks[:1], ranks))
    assert both.limit == pytest.approx(alone.limit)
    assert both.limit > 0.1


@pytest.mark.slow
def test_shuffled_tables_pass_as_seldom_as_the_level_says():
    """Of noise in 400 tables of 300 rows, at most 3 pass: more have a chance of 1 in 10,000 at the level."""
    assert LEVEL * 400 < 0.25
    found = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        found += find_signal(study(300), dataset(rng.standard_normal((300, 4)), rng.integers(0, 2, 300), seed)).found
    assert found <= 3


def test_the_examples_to_overfit_are_different_rows_of_all_classes():
    """Rows that repeat with other labels are taken once, and a rare class has its turn."""
    X = np.repeat(np.arange(200.0), 5)[:, None]
    y = np.where(np.arange(1000) % 50 == 0, 1, 0)
    few = few_examples(Split(X, y))
    assert len(np.unique(few.inputs)) == len(few) == 20
    assert few.labels.sum() >= 3


def test_the_examples_to_overfit_are_drawn_at_random():
    """The rows come from the whole range of a column, not from its least values."""
    few = few_examples(Split(np.arange(1000.0)[:, None], np.arange(1000) % 2))
    assert few.inputs.max() > 700
    assert (np.diff(few.inputs[:, 0]) < 0).any()


def test_rows_of_one_column_whose_classes_alternate_can_be_overfitted():
    """Where twenty rows lie too close for a small network, the check takes rows that lie apart."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 26, 200).astype(float)[:, None]
    few = examples_apart(few_examples(Split(X, rng.integers(0, 6, 200))))
    distances = np.abs(few.inputs - few.inputs[:, 0])[few.labels[:, None] != few.labels]
    assert len(np.unique(few.labels)) > 1
    assert distances.min() >= 3
    assert overfits_few(study(200), dataset(X, rng.integers(0, 6, 200), 0)).passed
