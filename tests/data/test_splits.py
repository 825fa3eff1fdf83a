"""Every class is in every split; groups, an order and given splits are followed, or refused in one line."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from pipeline.data.dataset import load_rows
from pipeline.data.rows import Rows
from pipeline.data.splits import may_lack_class, split_indices
from pipeline.data.tables import load_table
from pipeline.errors import UserError
from pipeline.study.data_source import DataSource
from pipeline.study.hparams import TrainConfig


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a new folder."""
    monkeypatch.chdir(tmp_path)
    load_rows.cache_clear()


def rows_of(labels, **facts):
    """Rows with these labels, and inputs that count them."""
    labels = np.asarray(labels)
    return Rows(np.arange(len(labels))[:, None] * 1.0, labels, tuple("abcdef"[: labels.max() + 1]), **facts)


@settings(deadline=None, max_examples=150)
@given(
    rarest=st.integers(3, 6),
    others=st.integers(15, 150),
    shares=st.tuples(st.floats(0.05, 0.45), st.floats(0.05, 0.45)),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_rare_class_is_in_every_split(rarest, others, shares, seed):
    """With three rows of a class and any shares, each split has every class and each row is in one; or one line refuses."""
    rows = rows_of([*[0, 1] * others, *[2] * rarest])
    config = TrainConfig(validation=shares[0], test=shares[1])
    try:
        parts = split_indices(rows, config, seed)
    except UserError as error:
        assert "a split of" in str(error)  # noqa: PT017  the refusal is one of two right results
        return
    assert sorted(np.concatenate(parts)) == list(range(len(rows)))
    assert all(set(rows.labels[part]) == {0, 1, 2} for part in parts)
    sizes = [round(share * len(rows)) for share in shares]
    assert [len(part) for part in parts[1:]] == sizes
    again = split_indices(rows, config, seed)
    assert all(np.array_equal(part, other) for part, other in zip(parts, again, strict=True))


@settings(deadline=None, max_examples=150)
@given(
    rarest=st.integers(3, 14),
    others=st.integers(15, 60),
    shares=st.tuples(st.floats(0.1, 0.4), st.floats(0.1, 0.4)),
    test=st.sampled_from([0, 20]),
    seed=st.integers(0, 2**32 - 1),
)
def test_where_no_class_can_be_lacking_no_row_is_exchanged(rarest, others, shares, test, seed):
    """The splits are then those of scikit-learn, which older versions recorded."""
    labels = np.array([*[0, 1] * others, *[2] * rarest, *[0, 1, 2] * test])
    rows, config = rows_of(labels, test=3 * test), TrainConfig(validation=shares[0], test=shares[1])
    assume(not may_lack_class(rows, config))
    count = len(rows) - rows.test
    rest = np.arange(count)
    if not test:
        size = round(shares[1] * count)
        rest = np.sort(train_test_split(rest, test_size=size, stratify=labels[rest], random_state=seed)[0])
    size = round(shares[0] * count)
    parts = train_test_split(rest, test_size=size, stratify=labels[rest], random_state=seed)
    train, val, _ = split_indices(rows, config, seed)
    assert np.array_equal(train, np.sort(parts[0]))
    assert np.array_equal(val, np.sort(parts[1]))


def test_few_rows_of_a_class_may_be_lacking():
    """With the usual shares, four rows of a class may not reach each split, and the digits always do."""
    assert may_lack_class(rows_of([*[0, 1] * 50, *[2] * 4]), TrainConfig())
    assert not may_lack_class(load_rows("digits"), TrainConfig())


def test_groups_stay_together():
    """No group is in two splits, another seed gives other splits, and every class is in each."""
    groups = np.arange(300) // 6
    rows = rows_of(np.arange(300) % 3, groups=groups)
    parts = split_indices(rows, TrainConfig(), 0)
    sets = [set(groups[part]) for part in parts]
    assert sum(map(len, sets)) == 50
    assert len(set.union(*sets)) == 50
    assert all(set(rows.labels[part]) == {0, 1, 2} for part in parts)
    assert not np.array_equal(parts[2], split_indices(rows, TrainConfig(), 1)[2])


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        (np.arange(90) % 3, "got 3 groups"),
        (np.arange(90) // 15, "class a is in 2 of them"),
        (np.arange(90) // 9, "in none of 100 draws"),
    ],
)
def test_groups_that_cannot_be_divided_are_refused(groups, says):
    """Too few groups, and groups of one class each, are refused."""
    labels = np.arange(90) // 30
    with pytest.raises(UserError, match=says):
        split_indices(rows_of(labels, groups=groups), TrainConfig(validation=0.1, test=0.1), 0)


def test_an_order_puts_the_last_rows_into_the_test_split():
    """Training rows come before validation rows and these before test rows, and equal places stay together."""
    order = np.random.default_rng(0).permutation(np.arange(100) // 7)
    rows = rows_of(np.arange(100) % 2, order=order.astype(float))
    train, val, test = split_indices(rows, TrainConfig(), 0)
    assert order[train].max() < order[val].min()
    assert order[val].max() < order[test].min()
    assert abs(len(test) - 20) < 7
    assert abs(len(val) - 20) < 7
    assert np.array_equal(test, split_indices(rows, TrainConfig(), 1)[2])


def test_an_order_by_class_is_refused():
    """The line names the split and the class that it lacks."""
    rows = rows_of(np.arange(90) // 30, order=np.arange(90.0))
    with pytest.raises(UserError, match="order: the training split, of 54 rows, has no row of class c"):
        split_indices(rows, TrainConfig(), 0)


def table(**columns):
    """Write a table of 90 rows with further columns; return its name."""
    frame = pd.DataFrame({"a": np.arange(90) * 7 % 90 / 9, **columns, "y": np.arange(90) % 3})
    frame.to_csv("table.csv", index=False)
    return "table.csv"


def test_a_column_may_give_the_splits():
    """Rows are in the split that a column names; the column is no input, unless a study says its kind."""
    part = np.array(["Train", "VAL", "test"])[np.arange(90) // 3 % 3]
    rows = load_table(DataSource(table(part=part), split="part"))
    train, val, test = split_indices(rows, TrainConfig(), 5)
    original = np.arange(90) * 7 % 90 / 9
    for rows_of_part, name in ((train, "Train"), (val, "VAL"), (test, "test")):
        assert set(rows.inputs[rows_of_part, 0]) == set(original[part == name])
    assert rows.inputs.shape[1] == 1
    assert load_table(DataSource("table.csv", (("part", "category"),), split="part")).columns[1].name == "part"


def test_without_validation_rows_each_block_draws_them():
    """A column with train and test alone fixes the test split; the seed draws the validation split."""
    rows = load_table(DataSource(table(part=np.where(np.arange(90) < 60, "train", "test")), split="part"))
    first, second = (split_indices(rows, TrainConfig(), seed) for seed in (0, 1))
    assert np.array_equal(first[2], second[2])
    assert not np.array_equal(first[1], second[1])


def test_a_file_may_give_the_test_split():
    """The rows of another file are the test split of every block; other columns are refused."""
    name = table()
    frame = pd.read_csv(name)
    frame.head(30)[["y", "a"]].to_csv("test.csv", index=False)
    rows = load_table(DataSource(f"{name}:y", split="test.csv"))
    assert (len(rows), rows.test) == (120, 30)
    np.testing.assert_array_equal(rows.inputs[-30:, 0], frame["a"].head(30))
    frame.rename(columns={"a": "b"}).to_csv("test.csv", index=False)
    with pytest.raises(UserError, match=r"split: test\.csv and table\.csv differ in the column 'a'"):
        load_table(DataSource(f"{name}:y", split="test.csv"))


@pytest.mark.parametrize("names", [("X", "y", "X_test", "y_test"), ("x_train", "y_train", "x_test", "y_test")])
def test_arrays_may_give_the_test_split(names):
    """The test arrays of an .npz are the test split of every block."""
    inputs, labels = np.arange(60.0).reshape(30, 2), np.arange(30) % 3
    np.savez("own.npz", **dict(zip(names, (inputs, labels, -inputs[:9], labels[:9]), strict=True)))
    rows = load_table("own.npz")
    np.testing.assert_array_equal(rows.inputs[split_indices(rows, TrainConfig(), 0)[2]], -inputs[:9])


BAD_ARRAYS = {
    "no labels": ({"X_test": np.zeros((9, 2))}, "expected one called y_test"),
    "other rows": (
        {"X_test": np.zeros((9, 3)), "y_test": np.arange(9) % 3},
        "the splits have rows of shape (2,), float64",
    ),
    "lengths": (
        {"X_test": np.zeros((9, 2)), "y_test": np.arange(8) % 3},
        "test: 9 rows of inputs, and labels of shape (8,)",
    ),
    "validation alone": ({"X_val": np.zeros((9, 2)), "y_val": np.arange(9) % 3}, "and no test split"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_of_a_split_are_refused(case):
    """The line has the fault of the arrays."""
    arrays, says = BAD_ARRAYS[case]
    np.savez("own.npz", X=np.arange(60.0).reshape(30, 2), y=np.arange(30) % 3, **arrays)
    with pytest.raises(UserError) as caught:
        load_table("own.npz")
    assert says in str(caught.value)


def test_a_given_split_without_a_class_is_refused():
    """The line names the split and the class that it lacks."""
    np.savez(
        "own.npz",
        X=np.arange(60.0).reshape(30, 2),
        y=np.arange(30) % 3,
        X_test=np.zeros((9, 2)),
        y_test=np.zeros(9, int),
    )
    with pytest.raises(UserError, match="split: the test split, of 9 rows, has no row of class 1"):
        split_indices(load_table("own.npz"), TrainConfig(), 0)


def test_a_class_of_the_given_test_split_alone_is_refused():
    """More test rows of it would not help, so the line says where it is and is lacking."""
    np.savez("own.npz", X=np.zeros((30, 2)), y=np.arange(30) % 3, X_test=np.zeros((16, 2)), y_test=np.arange(16) % 4)
    with pytest.raises(UserError, match=r"class 3 is in the given test split alone\. Add rows"):
        split_indices(load_table("own.npz"), TrainConfig(), 0)


@pytest.mark.parametrize(
    ("rule", "cells", "says"),
    [
        ("groups", ["u", ""] * 45, "of column 'g' (groups) is missing"),
        ("order", ["soon", "late"] * 45, "column 'g' (order) is 'soon'; expected numbers, or dates"),
        ("split", ["train", "test", "oops"] * 30, "column 'g' (split) is 'oops'; expected train, validation or test"),
        ("split", ["train"] * 90, "expected rows of the training split and of the test split"),
    ],
)
def test_a_column_that_gives_no_splits_is_refused(rule, cells, says):
    """The line has the row, the column, the rule and the cell."""
    with pytest.raises(UserError) as caught:
        load_table(DataSource(table(g=cells), **{rule: "g"}))
    assert says in str(caught.value)


@pytest.mark.parametrize("rule", ["groups", "order", "split"])
def test_an_unknown_column_is_refused(rule):
    """The line has the rule and the columns."""
    with pytest.raises(UserError, match=f"{rule}: no column 'G'; expected one of a"):
        load_table(DataSource(table(), **{rule: "G"}))
