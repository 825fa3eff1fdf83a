"""Tables in text files: fields with a separator under a header, or JSON objects."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from pipeline.data.columns import is_numeric, to_numbers
from pipeline.data.problems import Problems, rows_text
from pipeline.data.recognition import ISO_DATE, NAMELESS

SAMPLE = 50
"""Rows by which the separator is chosen."""
FIRST_ROWS = 1000
"""Rows in which a header's names are looked for."""
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
SPACE = " "
"""The separator of a file whose header none of these divides, if it divides all rows alike."""
DECIMAL_COMMA, DECIMAL_POINT = re.compile(r"[+-]?\d+,\d+"), re.compile(r"[+-]?\d+\.\d+")


@dataclass
class Layout:
    """How the fields of a text file are written: the separator and sign of decimals, the header, and rows of other lengths.

    ``other_lengths`` has the rows, counted from 0, by their number of fields; ``count`` is the number of all rows.
    """

    delimiter: str = ","
    decimal: str = "."
    header: list[str] = field(default_factory=list)
    other_lengths: dict[int, list[int]] = field(default_factory=dict)
    count: int = 0


def opened(path: Path) -> IO[str]:
    """Open a text file in UTF-8, compressed with gzip if its name says so."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def read_delimited(
    path: Path, problems: Problems, warnings: list[str], *, target: str, uses: Callable[[str], str]
) -> pd.DataFrame:
    """Return the table of a file with a header.

    The target and texts keep their spelling: only an empty cell is missing. In columns of numbers and dates, the words
    that pandas knows, such as NA, are missing cells too.

    Parameters
    ----------
    path
        The file.
    problems, warnings
        They get what is wrong with the layout, and what was recognised.
    target
        The column of the labels; the last one if empty.
    uses
        A function from a column's name to the use that the study declares, or to an empty text.
    """
    layout = _layout(path)
    _check_lengths(layout, problems)
    frame = _parsed(path, layout, target, uses)
    _check_header(layout.header, frame, problems, warnings)
    for name in [name for name in frame.columns if NAMELESS.fullmatch(name) and frame[name].isna().all()]:
        frame = frame.drop(columns=name)
        warnings.append(f"column {name!r} has no name and no value; it is left out")
    if layout.decimal == ",":
        warnings.append("fields are separated by semicolons, and numbers have decimal commas")
    return frame


def _layout(path: Path) -> Layout:
    with opened(path) as stream:
        delimiter = _delimiter("".join(islice(stream, SAMPLE)), tabs_first=".tsv" in path.name.lower())
    sample = list(islice(_records(path, delimiter), SAMPLE))
    header = sample[0] if sample else []
    cells = [cell for record in sample[1:] for cell in record]
    layout = Layout(delimiter, header=_unquoted(header))
    if delimiter == ";" and any(map(DECIMAL_COMMA.fullmatch, cells)) and not any(map(DECIMAL_POINT.fullmatch, cells)):
        layout.decimal = ","
    for row, length in enumerate(islice(_lengths(path, delimiter), 1, None)):
        layout.count += 1
        if length != len(header):
            layout.other_lengths.setdefault(length, []).append(row)
    return layout


def _records(path: Path, delimiter: str) -> Iterator[list[str]]:
    """Yield the fields of the header and of each row; blank lines are left out, as pandas does."""
    with opened(path) as stream:
        yield from (
            record
            for record in csv.reader(stream, delimiter=delimiter)
            if len(record) > 1 or any(map(str.strip, record))
        )


def _lengths(path: Path, delimiter: str) -> Iterator[int]:
    """Yield the number of fields of each of :func:`_records`. Only rows with quotes are parsed, which takes long."""
    with opened(path) as stream:
        for line in stream:
            if '"' in line:
                yield len(next(csv.reader(chain([line], stream), delimiter=delimiter)))
            elif delimiter in line or line.strip():
                yield line.count(delimiter) + 1


def _delimiter(sample: str, *, tabs_first: bool) -> str:
    """Return the separator that divides all rows of a sample alike, or else its first line."""
    fitting, dividing = [], []
    for delimiter in sorted(DELIMITERS, key=lambda d: d == "\t" and tabs_first, reverse=True):
        lengths = [len(record) for record in csv.reader(io.StringIO(sample), delimiter=delimiter) if record]
        if lengths and lengths[0] > 1:
            dividing.append(delimiter)
            if len(set(lengths)) == 1:
                fitting.append(delimiter)
    if not dividing:
        lengths = [len(record) for record in csv.reader(io.StringIO(sample), delimiter=SPACE) if record]
        dividing = [SPACE] if len(set(lengths)) == 1 and lengths[0] > 1 else [","]
    return (fitting or dividing)[0]


def _check_lengths(layout: Layout, problems: Problems) -> None:
    expected = len(layout.header)
    if layout.count and len(layout.other_lengths.get(expected + 1, ())) == layout.count:
        problems.add(
            f"every row has {expected + 1} fields and the header {expected}: the first may be the names of rows, or the last "
            "empty. Name it in the header"
        )
        problems.check()
    length, rows = max(layout.other_lengths.items(), key=lambda item: len(item[1]), default=(0, []))
    if len(rows) > layout.count / 2:
        problems.add(
            f"the header has {expected} field{'s' * (expected != 1)} ({', '.join(map(repr, layout.header[:5]))}), and "
            f"{len(rows):,} of {layout.count:,} rows have {length}. Put a line with the names of all columns first, and no "
            "other line before it"
        )
        problems.check()
    for length, rows in sorted(layout.other_lengths.items()):
        verb = "has" if len(rows) == 1 else "have"
        problems.add(
            f"{rows_text(rows)} {verb} {length} field{'s' * (length != 1)}, and the header {expected}. Correct it; a text "
            f"with a {DELIMITERS.get(layout.delimiter, 'space')} needs quotes"
        )


def _parsed(path: Path, layout: Layout, target: str, uses: Callable[[str], str]) -> pd.DataFrame:
    def read(**options: Any) -> pd.DataFrame:
        source: Any = path
        if layout.other_lengths:  # to find the other problems, too
            source = _padded(path, layout)
        elif path.suffix.lower() == ".gz":
            options["compression"] = "gzip"
        frame = pd.read_csv(source, sep=layout.delimiter, decimal=layout.decimal, low_memory=False, **options)
        return frame.set_axis(_unquoted([str(name) for name in frame.columns]), axis=1)

    frame = read()
    filled = [name for name in frame.columns if not (NAMELESS.fullmatch(name) and frame[name].isna().all())]
    target = target or (filled[-1] if filled else "")
    spelled = [
        place
        for place, name in enumerate(frame.columns)
        if name == target or uses(name) == "category" or (not uses(name) and _is_text(frame.iloc[:, place]))
    ]
    if spelled and len(frame):
        texts = read(usecols=spelled, dtype=str, keep_default_na=False, na_values=[""])
        for place, name in enumerate(texts.columns):
            frame[name] = texts.iloc[:, place]
    return frame


def _unquoted(names: list[str]) -> list[str]:
    """Return names without the single quotes around them, if all have such quotes."""
    return [name[1:-1] for name in names] if all(re.fullmatch("'.+'", name) for name in names) else names


def _padded(path: Path, layout: Layout) -> io.StringIO:
    """Return the file with rows of the header's length: longer ones are cut, shorter ones have empty cells."""
    stream = io.StringIO()
    width = len(layout.header)
    writer = csv.writer(stream, delimiter=layout.delimiter)
    writer.writerows((record + [""] * width)[:width] for record in _records(path, layout.delimiter))
    stream.seek(0)
    return stream


def _is_text(cells: pd.Series) -> bool:
    """Return True if a column has texts, and most of them are neither dates nor numbers."""
    if is_numeric(cells):
        return False
    texts = pd.Series([value for value in cells.dropna().unique().tolist() if isinstance(value, str)], dtype=object)
    if all(map(ISO_DATE.fullmatch, texts)):
        return False
    return bool(np.isnan(to_numbers(texts)).mean() >= 0.5)


def _check_header(header: list[str], frame: pd.DataFrame, problems: Problems, warnings: list[str]) -> None:
    """Add problems for a header that is a row of data, or for its repeated names."""
    if len(frame) == 0 or len(header) != len(frame.columns):
        return
    named = [(name, frame.iloc[:, place]) for place, name in enumerate(header) if name.strip()]
    of_numbers = [name for name, cells in named if is_numeric(cells)]
    numbers = [name for name in of_numbers if _as_number(name) is not None]
    rising = len(numbers) > 1 and all(map(str.isdecimal, numbers))
    rising = rising and all(int(first) < int(second) for first, second in pairwise(numbers))
    counted = rising and int(numbers[0]) < 2 and int(numbers[-1]) - int(numbers[0]) == len(numbers) - 1
    only_numbers = bool(numbers) and numbers == of_numbers
    if (only_numbers and not rising) or (not counted and all(_is_value(name, cells) for name, cells in named)):
        problems.add(
            f"the header looks like data: its names are {', '.join(map(repr, header[:5]))}{', ...' * (len(header) > 5)}. Put "
            "a line with the names of the columns first"
        )
        return
    check_repeated(header, problems)
    if numbers and not counted:
        warnings.append(f"the header has numbers as names ({numbers[0]!r}, ...). Is it a row of data?")


def _as_number(name: str) -> float | None:
    try:
        return float(name)
    except ValueError:
        return None


def _is_value(name: str, cells: pd.Series) -> bool:
    """Return True if a name is a value of its own column."""
    return (_as_number(name) if is_numeric(cells) else name) in set(cells.head(FIRST_ROWS).tolist())


def check_repeated(names: Collection[str], problems: Problems) -> None:
    """Add a problem for each name that several columns have."""
    for name, times in Counter(names).items():
        if times > 1 and name:
            places = [place for place, other in enumerate(names, 1) if other == name]
            problems.add(f"columns {', '.join(map(str, places))} are all called {name!r}. Rename or drop all but one")


def read_records(path: Path, problems: Problems) -> pd.DataFrame:
    """Return the table of a file of JSON objects, in a list or one in each line.

    Their keys are the columns, in the order of first use.
    """
    lines = path.name.lower().removesuffix(".gz").endswith(("jsonl", "ndjson"))
    records = []
    for row, record in enumerate(_json_lines(path, problems) if lines else _json_list(path, problems)):
        if isinstance(record, dict):
            records.append(record)
        elif record is not None:
            problems.add(f"row {row + 1} is {json.dumps(record)!r:.40}; expected an object, like {{...}}. Correct it")
    return pd.DataFrame(records)


def _json_lines(path: Path, problems: Problems) -> Iterator[Any]:
    """Yield the value of each line that is not blank; None for one that is no JSON, which is a problem."""
    with opened(path) as stream:
        for row, line in enumerate(line for line in stream if line.strip()):
            try:
                yield json.loads(line, object_pairs_hook=_unrepeated)
            except ValueError as error:
                problems.add(f"row {row + 1} cannot be read as JSON ({error}). Correct it")
                yield None


def _json_list(path: Path, problems: Problems) -> list[Any]:
    with opened(path) as stream:
        values = json.load(stream, object_pairs_hook=_unrepeated)
    if not isinstance(values, list):
        problems.add("is one JSON value; expected a list of objects, like [{...}, {...}], or a .jsonl file")
        problems.check()
    return list(values)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError(f"a name is repeated among {', '.join(repr(name) for name, _ in pairs[:20])}")
    return record
