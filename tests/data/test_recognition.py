"""The kind of each column is recognised or declared, and what cannot be used is refused with a remedy."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data.problems import Problems
from pipeline.data.recognition import index_warnings, recognise
from pipeline.data.tables import load_table
from pipeline.errors import UserError
from pipeline.study.data_source import DataSource

N = 60


def use_of(cells, use=""):
    """The use of one column ``c``. Raises UserError if it has problems."""
    frame, problems = pd.DataFrame({"c": cells}), Problems("data")
    (found,) = recognise(frame, {"c": use} if use else {}, problems) or [None]
    problems.check()
    return found


KINDS = {
    "integers": (np.arange(N), "number"),
    "unsigned": (np.arange(N, dtype="uint8"), "number"),
    "half precision": (np.arange(N, dtype="float16"), "number"),
    "decimals": ([Decimal(i) / 4 for i in range(N)], "number"),
    "beyond 64 bits": ([5, 10**20, -3] * 20, "number"),
    "texts of numbers": (["5", str(10**20), "-3"] * 20, "number"),
    "nullable": (pd.array([1, None, 3] * 20, "Int64"), "number, 20 missing"),
    "truth values": ([True, None, False] * 20, "number, 20 missing"),
    "text": (["red", "blue", ""] * 20, "category of 2 values, 20 missing"),
    "bytes": ([b"red", b"blue"] * 30, "category of 2 values"),
    "a category of numbers": (pd.Categorical([1, 2, 3] * 20), "category of 3 values"),
    "numbers and words": (["0", "1", "2", "3+"] * 15, "category of 4 values, 3 of them numbers"),
    "ISO dates": ([f"2020-01-{i % 28 + 1:02d}" for i in range(N)], "date, as day, month, day of month and weekday"),
    "datetimes": (
        pd.date_range("2020-01-01", periods=N, freq="7h", tz="Europe/Paris"),
        "date, as day, month, day of month, weekday and hour",
    ),
    "dates of Python": (
        [dt.date(2020, 1, i % 28 + 1) for i in range(N)],
        "date, as day, month, day of month and weekday",
    ),
    "nothing": ([None] * N, "dropped, since it is empty"),
}


@pytest.mark.parametrize("case", KINDS)
def test_the_kind_is_recognised(case):
    """Each type of cell has its kind, and missing cells are counted."""
    cells, done = KINDS[case]
    assert use_of(cells).done == done


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y/%m/%d", "%b %d %Y", "%d.%m.%Y", "%m/%d/%Y", "%d %B %Y"])
def test_dates_of_one_usual_format_are_recognised(form):
    """A column whose cells fit a single usual format is a date, as if they were written by ISO 8601."""
    days = pd.date_range("2019-12-15", periods=N)
    use, iso = use_of(days.strftime(form)), use_of(days.strftime("%Y-%m-%d"))
    assert use.done == iso.done
    cells = [pd.Series(days.strftime(written)) for written in (form, "%Y-%m-%d")]
    np.testing.assert_array_equal(use.column.code(cells[0])[0], iso.column.code(cells[1])[0])


DECLARED = {
    "drop": (["a", "b"] * 30, "drop", "dropped"),
    "codes": ([1, 2, 3] * 20, "category", "category of 3 values"),
    "words as missing": (
        ["1", "2", "?"] * 20,
        "number",
        "number, 20 cells that are none ('?') count as missing",
    ),
    "one format": (["31/01/2020", "01/02/2020"] * 30, "date", "date, as day, month, day of month and weekday"),
    "a format": (["01/02/2020"] * N, "date:%d/%m/%Y", "date, as day, month, day of month and weekday"),
    "numbers as dates": ([20200131, 20200201] * 30, "date:%Y%m%d", "date, as day, month, day of month and weekday"),
}


@pytest.mark.parametrize("case", DECLARED)
def test_a_declared_use_is_followed(case):
    """A study may drop a column, or say its kind and the format of dates."""
    cells, use, done = DECLARED[case]
    assert use_of(cells, use).done == done


REFUSED = {
    "names": ([f"n{i}" for i in range(N)], "", "is text of 60 different values in 60 rows (row 1 is 'n0'); expected"),
    "dates of two formats": (
        [f"{i % 12 + 1}/{i // 12 + 1}/2020" for i in range(N)],
        "",
        'columns={"c": "date:%m/%d/%Y"}, or "date:%d/%m/%Y"',
    ),
    "a word among numbers": ([*map(str, range(N - 1)), "?"], "", "row 60, column 'c' is '?'; expected a number"),
    "mixed types": ([1, "a", 2.5] * 20, "", "is of type object (row 1 is 1); expected numbers, text or dates alone"),
    "lists": ([[1, 2]] * N, "", "is of type object (row 1 is [1, 2]); expected numbers"),
    "durations": (pd.to_timedelta(range(N), "h"), "", "is of type timedelta64"),
    "complex": (np.arange(N) * 1j, "", "is of type complex128"),
    "no number": (["a", "b"] * 30, "number", "is called a number, and no cell is one"),
    "two formats": (["01/02/2020"] * N, "date", "fits %m/%d/%Y and %d/%m/%Y; expected one"),
    "no date": (["a", "b"] * 30, "date", "fits no usual format of dates"),
    "a number as a date": ([1, 2] * 30, "date", "needs a format"),
    "another format": (["2020-01-01", "soon"] * 30, "date:%Y-%m-%d", "rows 2, 4, 6 and 27 more, column 'c' is 'soon'"),
    "no such day": (["2020-01-31", "2020-13-45"] * 30, "", "column 'c' is '2020-13-45'; expected a date as ISO8601"),
    "infinite": ([1.0, np.inf] * 30, "", "column 'c' is inf; expected a number within ±1e+30"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused(case):
    """The line has the column, what was found and a remedy."""
    cells, use, says = REFUSED[case]
    with pytest.raises(UserError) as caught:
        use_of(cells, use)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "cells", "mark"),
    [
        ("Unnamed: 0", np.arange(N), "has no name and counts the rows"),
        ("row", np.arange(N) + 1, "counts the rows"),
        ("time", np.arange(N) * 3, "rises from row to row"),
        ("patient_id", np.arange(N)[::-1] * 7 % 61, "is named like an id"),
        ("caseid", np.arange(N)[::-1] * 7 % 61, "is named like an id"),
        ("price", np.arange(N)[::-1] * 7 % 61, ""),
        ("paid", np.arange(N)[::-1] * 7 % 61, ""),
        ("share", np.arange(N) / 7, ""),
        ("flag", np.arange(N) > 3, ""),
    ],
)
def test_ids_and_written_indexes_are_named(name, cells, mark):
    """Whole numbers that all differ are named if they rise, have no name or that of an id; a declared one is not."""
    frame = pd.DataFrame({name: cells})
    warnings = list(index_warnings(frame, {}))
    assert len(warnings) == bool(mark)
    assert all(mark in warning and f'columns={{"{name}": "drop"}}' in warning for warning in warnings)
    assert not list(index_warnings(frame, {name: "number"}))


MANY = {
    "names": [f"n{'abcdefghij'[i % 10]}{'klmnop'[i // 10]}" for i in range(N)],
    "words that repeat": [f"w{'abcdefghijklmnopqrstuvwxyz'[i % 25]}" for i in range(N)],
    "codes": [f"A-{i % 25}" for i in range(N)],
    "numbers with units": [f"{i % 25} km" for i in range(N)],
}


@pytest.mark.parametrize("case", MANY)
def test_text_of_many_values_is_refused(case):
    """The line has the setting to paste, which drops the column."""
    problems = Problems("data")
    assert recognise(pd.DataFrame({"c": MANY[case]}), {}, problems) == []
    assert problems.uses == {"c": "drop"}
    assert 'Say columns={"c": "drop"}, or "category"' in problems.texts[0]


def test_text_that_is_named_like_an_id_is_dropped():
    """Codes of patients that repeat are dropped, and the warning names the rule that keeps them in one split."""
    (use,) = recognise(pd.DataFrame({"patient_id": [f"A-{i % 25}" for i in range(N)]}), {}, Problems("data"))
    assert use.column is None
    assert 'columns={"patient_id": "category"}; if it is what rows belong to, groups="patient_id"' in use.warning


@pytest.mark.parametrize("name", ["Unnamed: 0", "rownames", "row_names"])
def test_names_of_rows_are_dropped(name):
    """A column of different texts without a name of its own is an index, which is dropped and said."""
    (use,) = recognise(pd.DataFrame({name: [f"n{i}" for i in range(N)]}), {}, Problems("data"))
    assert (use.done, use.column) == ("dropped, since it names the rows", None)


def test_an_unknown_column_is_refused(tmp_path):
    """The line has the nearest name."""
    path = tmp_path / "table.csv"
    path.write_text("age,sex,y\n" + "1,m,u\n2,f,v\n" * 9)
    with pytest.raises(UserError, match="columns: no column 'agee'; did you mean age"):
        load_table(DataSource(str(path), columns=(("agee", "drop"),)))


def test_a_declared_category_keeps_its_zeros(tmp_path):
    """Codes with zeros in front stay different values."""
    path = Path(tmp_path / "table.csv")
    path.write_text("zip,y\n" + "01234,u\n1234,v\n99,u\n" * 9)
    rows = load_table(DataSource(str(path), columns=(("zip", "category"),)))
    assert rows.columns[0].levels == ("01234", "1234", "99")
