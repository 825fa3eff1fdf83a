"""Labels keep their names, and only an empty cell is no label."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pipeline.data.labels import classes_of
from pipeline.data.tables import load_table
from pipeline.errors import UserError
from pipeline.study.data_source import DataSource


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a new folder."""
    monkeypatch.chdir(tmp_path)


def names_in_csv(*labels):
    """The class names of a CSV whose rows have these labels in turn, as they are written."""
    rows = "".join(f"{i},{i * i},{labels[i % len(labels)]}\n" for i in range(12))
    with open("table.csv", "w") as stream:  # noqa: PTH123  a name in the current folder
        stream.write(f"a,b,kind\n{rows}")
    return load_table("table.csv").class_names


@pytest.mark.parametrize(
    "word", ["NA", "None", "none", "nan", "null", "NULL", "n/a", "#N/A", "<NA>", "unknown", "-", " "]
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_every_word_is_a_class(word, quote):
    """The words that pandas takes for a missing cell are classes in a CSV, bare and in quotes."""
    assert set(names_in_csv("mild", f"{quote}{word}{quote}", "severe")) == {"mild", word, "severe"}


@pytest.mark.parametrize("cell", ["", '""'])
def test_an_empty_cell_is_no_label(cell):
    """The line names the rows without a label."""
    with pytest.raises(UserError, match=r"rows 2, 5, 8 and 1 more have no label in column 'kind'"):
        names_in_csv("mild", cell, "severe")


def test_rows_without_a_label_may_be_left_out(tmp_path):
    """A study may drop them, of a test file and of a rule's column too, and a warning counts them; the others are unchanged."""
    frame = pd.DataFrame({"a": np.arange(30.0) % 7, "g": np.arange(30) % 10, "y": [*"xyz"] * 10})
    frame.to_csv("whole.csv", index=False)
    frame.assign(y=frame.y.where(frame.index % 5 > 0)).to_csv("some.csv", index=False)
    whole, some = (
        load_table(DataSource(f"{name}.csv", groups="g", drop_unlabelled=True)) for name in ("whole", "some")
    )
    kept = frame.index % 5 > 0
    assert some.warnings == ("6 of 30 rows have no label in column 'y'; they are left out",)
    assert whole.warnings == ()
    for array in ("inputs", "labels", "groups"):
        np.testing.assert_array_equal(getattr(some, array), getattr(whole, array)[kept])
    rows = load_table(DataSource("whole.csv", split="some.csv", drop_unlabelled=True))
    assert (len(rows), rows.test) == (54, 24)
    frame.assign(y="").to_csv("none.csv", index=False)
    with pytest.raises(UserError, match="no row of the test split has a label"):
        load_table(DataSource("whole.csv", split="none.csv", drop_unlabelled=True))
    with pytest.raises(UserError, match=r"no row has a label in column 'y'\. Is it the right column\?"):
        load_table(DataSource("none.csv", drop_unlabelled=True))


def test_names_of_classes_that_look_alike_are_told():
    """A warning names classes that differ only in spaces or capital letters, and they stay different."""
    frame = pd.DataFrame({"a": np.arange(30.0) % 7, "y": ["Yes", "yes ", "no"] * 10})
    frame.to_csv("table.csv", index=False)
    rows = load_table("table.csv")
    assert rows.class_names == ("Yes", "no", "yes ")
    assert rows.warnings == ("the labels 'Yes', 'yes ' are different classes. If they are one, write them alike",)


def test_rare_classes_are_named():
    """The line names the classes with too few rows, and asks for the right column only where most classes have."""
    with pytest.raises(
        UserError, match=r"only 1 of class c, 2 of class d; expected at least 3 of each. Leave such rows"
    ):
        classes_of("table", np.array([*"aabb" * 9, *"eeee", "c", "d", "d"]))
    with pytest.raises(UserError, match=r"1 of class 4 and as few of 25 more; expected .* Is it the right column\?"):
        classes_of("table", np.arange(30))


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("01", "02", "10"), ("01", "02", "10")),
        (("7", "07", "12"), ("07", "12", "7")),
        (('"9"', '"10"', '"-1"'), ("-1", "9", "10")),
        (("0.0", "1.0"), ("0.0", "1.0")),
        ((" 2", " 10"), ("2", "10")),
        ((" no", " yes"), (" no", " yes")),
        (("0.5", "2.0", "10.0"), ("0.5", "2.0", "10.0")),
        (("TRUE", "FALSE"), ("FALSE", "TRUE")),
        ((str(10**20), str(10**20 + 1)), (str(10**20), str(10**20 + 1))),
        ((str(10**40), "2"), ("2", str(10**40))),
        (("é", "日本"), ("é", "日本")),
    ],
)
def test_labels_of_a_csv_keep_their_spelling(labels, names):
    """Zeros, signs, decimals and long codes stay; numbers are sorted by value, unless two are equal."""
    assert names_in_csv(*labels) == names


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([b"cat", b"dog"]), ("cat", "dog")),
        (np.array([0.1, 1.0], "float32"), ("0.1", "1.0")),
        (np.array([0.5, 1.5]), ("0.5", "1.5")),
        (np.array([10**20, 10**20 + 1], object), (str(10**20), str(10**20 + 1))),
        (np.array([Decimal("0.50"), Decimal("1.25")], object), ("0.50", "1.25")),
        (np.array([True, False], object), ("False", "True")),
        (np.array([b"a", b"\xff"], object), ("a", "\\xff")),
        (np.array(["10", "9"]), ("10", "9")),
    ],
    ids=str,
)
def test_labels_of_other_types_keep_their_names(labels, names):
    """Bytes, decimals, whole and other numbers name their classes as they print."""
    found, codes = classes_of("data", np.tile(labels, 3))
    assert found == names
    assert np.bincount(codes).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.linspace(0, 1, 90).repeat(3), "the labels are of type float64"),
        (np.array([1, "a", 2.5] * 3, object), "the labels are of type object"),
        (np.array(["2020-01-01"] * 6, "datetime64[D]"), "expected whole numbers, truth values or text"),
        (np.array([0, 1, np.inf] * 3), "rows 3, 6, 9 have no label"),
    ],
    ids=["measurements", "mixed", "dates", "infinite"],
)
def test_other_labels_are_refused(labels, says):
    """Measurements, mixed types and dates are no classes."""
    with pytest.raises(UserError, match=says):
        classes_of("data", labels)


def test_decimals_in_parquet_are_classes_and_numbers():
    """A column of decimals is a number, as an input, and names classes, as the target."""
    frame = pd.DataFrame({"price": [Decimal(f"{k}.25") for k in range(8)], "y": [Decimal(k % 2) for k in range(8)]})
    frame.to_parquet("table.parquet")
    rows = load_table("table.parquet")
    assert rows.class_names == ("0", "1")
    np.testing.assert_array_equal(rows.inputs[:, 0], np.arange(8) + 0.25)
