"""Text tables of every layout are read alike, and all problems of a file are named at once."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.tables import load_table
from pipeline.errors import UserError

ROWS = [(i % 7 - 3, f"{i / 7:.3f}", "xyz"[i % 3]) for i in range(30)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in a new folder, which is the home folder too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))


def text(separator=",", header=("a", "b", "y"), rows=ROWS, end="\n"):
    """A table of these rows as text."""
    return "".join(separator.join(map(str, row)) + end for row in (header, *rows))


LAYOUTS = {
    "semicolons": ("table.csv", text(";")),
    "semicolons and decimal commas": ("table.csv", text(";").replace(".", ",")),
    "tabs in a .csv": ("table.csv", text("\t")),
    "tabs": ("table.tsv", text("\t")),
    "bars": ("table.txt", text("|")),
    "capitals": ("table.CSV", text()),
    "Windows lines": ("table.csv", text(end="\r\n")),
    "a byte order mark": ("table.csv", "\ufeff" + text()),
    "blank lines": ("table.csv", text(end="\n\n") + "  \n"),
    "quotes": ("table.csv", text().replace("x", '"x"')),
    "an empty last column": ("table.csv", text(end=",\n")),
    "gzip": ("table.csv.gz", gzip.compress(text().encode())),
    "spaces": ("table.txt", text(" ")),
    "names in single quotes": ("table.csv", text().replace("a,b,y", "'a','b','y'")),
    "a JSON list": ("table.json", json.dumps([{"a": a, "b": float(b), "y": y} for a, b, y in ROWS])),
    "JSON lines": (
        "table.jsonl",
        "".join(json.dumps({"a": a, "b": float(b), "y": y}) + "\n" for a, b, y in ROWS),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_table_of_any_layout_is_read(layout):
    """Separators, decimals, line ends, endings and compression change nothing."""
    name, content = LAYOUTS[layout]
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for where in (name, f"{name}:y", f"~/{name}"):
        rows = load_table(where)
        np.testing.assert_array_equal(rows.inputs, [[a, float(b)] for a, b, _ in ROWS])
        assert [rows.class_names[label] for label in rows.labels] == [y for *_, y in ROWS]


def refusal(content, name="table.csv"):
    """The one line of the error when a table of this content is refused."""
    Path(name).write_text(content)
    with pytest.raises(UserError) as caught:
        load_table(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


REFUSED = {
    "one field more": (text(rows=[*ROWS, (1, 2, "x", 9)]), "row 31 has 4 fields, and the header 3"),
    "one field more in the first row": (text(rows=[(1, 2, "x", 9), *ROWS]), "row 1 has 4 fields, and the header 3"),
    "names of rows": (text(rows=[("r", *row) for row in ROWS]), "the first may be the names of rows"),
    "a repeated name": (text(header=("a", "a", "y")), "columns 1, 2 are all called 'a'"),
    "no header": (text(header=ROWS[0]), "the header looks like data: its names are '-3', '0.000', 'x'"),
    "no header of text": (
        "red,x\n" + "red,x\nblue,y\n" * 9,
        "the header looks like data: its names are 'red', 'x'",
    ),
    "a line before the header": (
        "my table\n" + text(),
        "the header has 1 field ('my table'), and 31 of 31 rows have 3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_layout_is_refused(case):
    """The line says what is wrong with the rows or the header."""
    content, says = REFUSED[case]
    assert says in refusal(content)


@pytest.mark.parametrize(("header", "warns"), [((0, 1, "y"), False), ((2019, 2020, "y"), True), ((5, 1, "y"), None)])
def test_numbers_as_names_are_names_if_they_rise(header, warns):
    """Columns that are numbered from 0 or 1 are read, years with a warning; other numbers look like data."""
    if warns is None:
        assert "looks like data" in refusal(text(header=header))
    else:
        Path("table.csv").write_text(text(header=header))
        assert any("numbers as names" in warning for warning in load_table("table.csv").warnings) == warns


def test_a_word_among_numbers_is_told_from_a_missing_number():
    """Words such as NA are missing numbers, so the line names the other word; in a text column NA is a value."""
    cells = [
        ("NA" if i % 9 == 0 else "oops" if i == 40 else i, "NA" if i % 2 else "u", "xyz"[i % 3]) for i in range(60)
    ]
    assert "row 41, column 'a' is 'oops'; expected a number, as in 52 other rows" in refusal(text(rows=cells))
    Path("table.csv").write_text(text(rows=[row for row in cells if row[0] != "oops"]))
    rows = load_table("table.csv")
    assert rows.uses == (("a", "number, 7 missing"), ("b", "category of 2 values"))
    assert rows.columns[1].levels == ("NA", "u")


def test_all_problems_are_named_at_once():
    """A row of another length, a missing label, a word among numbers and an infinite cell stand in one line."""
    line = refusal(text(rows=[*ROWS, (1, "inf", "x"), (1, 2), (3, 4, ""), ("x", 4, "z")]))
    assert line.startswith("table.csv: 4 problems: (1) row 32 has 2 fields")
    for says in (
        "rows 32, 33 have no label in column 'y'",
        "row 34, column 'a' is 'x'; expected a number",
        "row 31, column 'b' is inf",
    ):
        assert says in line
    assert "All uses" not in line
    line = refusal(text(rows=[(f"{i} km", f"{i} kg", "xyz"[i % 3]) for i in range(60)]))
    assert line.endswith('All uses at once: columns={"a": "drop", "b": "drop"}')


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": 1}', "is one JSON value"),
        ('[{"a": 1', "cannot be read as a table"),
        ('[{"a": 1, "b": 2}, 3]', "row 2 is"),
    ],
)
def test_json_that_is_no_list_of_objects_is_refused(content, says):
    """The line says what the file is instead."""
    assert says in refusal(content, "table.json")


def test_problems_of_json_lines_are_named_at_once():
    """Lines that are no objects, repeat a name or hold lists are named by their row."""
    lines = ['{"a": 1, "y": "u"}', "[1, 2]", '{"a": 1, "a": 2, "y": "u"}', '{"a": ', '{"a": [1], "y": "v"}']
    line = refusal("\n".join(lines), "table.jsonl")
    for says in ("row 2 is '[1, 2]'", "row 3 cannot be read", "row 4 cannot be read", "column 'a' is of type object"):
        assert says in line
