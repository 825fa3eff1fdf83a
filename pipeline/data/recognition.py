"""Recognises the kind of each column of a table from its cells, or follows what the study says about it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import pandas as pd

from pipeline.data.columns import (
    CATEGORY,
    DATE,
    ISO,
    NUMBER,
    Column,
    distinct,
    is_missing,
    is_numeric,
    level_names,
    to_numbers,
)
from pipeline.data.problems import Problems, columns_text, rows_text
from pipeline.data.rows import LARGEST
from pipeline.errors import UserError

FEW_LEVELS, MOST_LEVELS = 20, 200
"""A text column has at most the first number of values, or at most the second with five rows for each of them."""
ROWS_PER_LEVEL = 5
FEW_WORDS = 0.05
"""Words in a smaller share of the rows of a column of numbers are mistakes, not values of a category."""
MOST_DECLARED = 10_000
"""The most values of a column that a study calls a category."""
INDEX = "index"
"""The kind of a column of texts that are all different and have no name: an index that was written with the table."""
IDS = "ids"
"""The kind of a column of many different texts that is named like an id: it names what the rows belong to."""
NAMELESS = re.compile(r"Unnamed: \d+|")
ROW_NAMES = re.compile(r"(?i:row_?names?|)|Unnamed: \d+")
ID_NAME = re.compile(
    r"(?i:(.*[_. ])?((case|customer|patient|subject|user)?id|index|idx|key|uuid|row_?names?))|.*[a-z]I[Dd]"
)
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
DAY_FORMATS = (
    *("%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y"),
    *("%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y"),
)
"""The formats that are tried for a column of dates, after ISO 8601."""


@dataclass(frozen=True)
class Use:
    """What is done with a column: a clause for people, and the input column, unless it is dropped; perhaps a warning."""

    name: str
    done: str
    column: Column | None = None
    warning: str = ""


class ColumnError(UserError):
    """A problem of a column, and the use that mends it."""

    def __init__(self, text: str, use: str) -> None:
        super().__init__(text)
        self.use = use


def recognise(frame: pd.DataFrame, declared: Mapping[str, str], problems: Problems) -> list[Use]:
    """Return the use of each feature column. Adds a problem for each that cannot be used."""
    return [use for name in frame.columns for use in _use(frame[name].rename(name), declared.get(name, ""), problems)]


def _use(cells: pd.Series, declared: str, problems: Problems) -> Iterator[Use]:
    name, missing = str(cells.name), is_missing(cells)
    kind, _, form = declared.partition(":")
    if kind == "drop" or missing.all():
        yield Use(name, "dropped" if kind == "drop" else "dropped, since it is empty")
        return
    try:
        kind = kind or _kind_of(cells, missing)
        if kind == INDEX:
            yield Use(name, "dropped, since it names the rows")
            return
        if kind == IDS:
            yield _ids(cells, missing)
            return
        blank = Column(name, kind, missing=bool(missing.any()), form=form)
        use = {NUMBER: _number, CATEGORY: _category, DATE: _date}[kind](cells, missing, blank)
    except UserError as problem:
        problems.add(str(problem), name, getattr(problem, "use", ""))
    else:
        yield replace(use, done=f"{use.done}, {missing.sum():,} missing") if missing.any() else use


def _kind_of(cells: pd.Series, missing: np.ndarray) -> str:
    """Return the kind of a column by its cells. Raises :class:`UserError` if it has none."""
    if is_numeric(cells):
        return NUMBER
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return CATEGORY
    if pd.api.types.is_datetime64_any_dtype(cells):
        return DATE
    kinds = {_value_kind(value) for value in distinct(cells[~missing])[1]}
    if kinds == {"text"}:
        return _text_kind(cells, missing)
    if len(kinds) == 1 and (kind := kinds.pop()) in (NUMBER, DATE):
        return kind
    row = next((row for row in np.flatnonzero(~missing) if _value_kind(cells.iloc[row]) not in ("text", NUMBER)), 0)
    odd = cells.iloc[row if kinds - {"text", NUMBER} else int((~missing).argmax())]
    raise ColumnError(
        f"column {cells.name!r} is of type {cells.dtype} (row {row + 1} is {odd!r:.60}); expected numbers, text or dates "
        f"alone. Convert it, or say {columns_text({str(cells.name): 'drop'})}",
        "drop",
    )


def _value_kind(value: object) -> str:
    if isinstance(value, (str, bytes)):
        return "text"
    if isinstance(value, (bool, int, float, Decimal, np.number, np.bool_)):
        return NUMBER
    return DATE if isinstance(value, (dt.date, np.datetime64)) else type(value).__name__


def _text_kind(cells: pd.Series, missing: np.ndarray) -> str:
    """Return the kind of a column of texts: numbers, dates or categories. Raises :class:`UserError` if it is none."""
    texts = level_names(cells)[~missing]
    numbers = to_numbers(texts)
    if not np.isnan(numbers).any():
        return NUMBER
    values, name = texts.unique(), cells.name
    if all(map(ISO_DATE.fullmatch, values)):
        return DATE
    levels = len(values)
    crowded = levels > FEW_LEVELS and (levels > MOST_LEVELS or len(texts) < ROWS_PER_LEVEL * levels)
    odd = np.isnan(numbers)
    few = not crowded and not (levels == len(texts) > ROWS_PER_LEVEL)
    if few and odd.mean() >= FEW_WORDS:
        return CATEGORY
    if levels == len(cells) and ROW_NAMES.fullmatch(str(name)):
        return INDEX
    if odd.mean() < 0.5:  # numbers with some words among them
        row = np.flatnonzero(~missing)[odd.argmax()]
        raise ColumnError(
            f"row {row + 1}, column {name!r} is {texts.iloc[odd.argmax()]!r:.60}; expected a number, as in "
            f"{(~odd).sum():,} other rows. Correct it, or say {columns_text({str(name): 'number'})}: then it counts as "
            'missing; or "category"',
            "number",
        )
    if len(forms := _formats(texts)) == 1:
        return DATE
    if not forms and ID_NAME.fullmatch(str(name)):
        return IDS
    uses = [f"date:{form}" for form in forms[:2]] or ("drop", "category")
    raise ColumnError(
        f"column {name!r} is text of {levels:,} different values in {len(texts):,} rows (row "
        f"{np.flatnonzero(~missing)[0] + 1} is {texts.iloc[0]!r:.60}); expected a number, or a few values. Say "
        f'{columns_text({str(name): uses[0]})}, or "{uses[1]}"',
        uses[0],
    )


def _ids(cells: pd.Series, missing: np.ndarray) -> Use:
    name, values = str(cells.name), level_names(cells)[~missing].nunique()
    found = f"{values:,} different values in {(~missing).sum():,} rows"
    return Use(
        name,
        f"dropped, since it is text of {found}",
        warning=f"column {name!r} is dropped: it looks like ids, with {found}. If it is an input, say "
        f'{columns_text({name: "category"})}; if it is what rows belong to, groups="{name}"',
    )


def _number(cells: pd.Series, missing: np.ndarray, blank: Column) -> Use:
    codes, wrong = blank.code(cells)
    if wrong[~missing].all():
        raise UserError(f"column {blank.name!r} is called a number, and no cell is one. Say category, date or drop")
    beyond = np.abs(codes) > LARGEST
    if beyond.any():
        raise UserError(
            f"{rows_text(beyond)}, column {blank.name!r} is {codes[beyond][0]:g}; expected a number within ±{LARGEST:g}. "
            "Fill, clip or drop it"
        )
    if not wrong.any():
        return Use(blank.name, NUMBER, blank)
    texts = sorted(set(level_names(cells)[wrong]))[:3]  # only a declared number has them
    done = f"number, {wrong.sum():,} cells that are none ({', '.join(map(repr, texts))}) count as missing"
    return Use(blank.name, done, replace(blank, missing=True, lenient=True))


def _category(cells: pd.Series, _: np.ndarray, blank: Column) -> Use:
    levels = tuple(sorted(level_names(cells).dropna().unique()))
    if len(levels) > MOST_DECLARED:
        raise UserError(
            f"column {blank.name!r} has {len(levels):,} values; a category has at most {MOST_DECLARED:,}. Drop it"
        )
    numbers = int(np.isfinite(to_numbers(pd.Series(levels, dtype=object))).sum())
    mixed = f", {numbers:,} of them numbers" if 0 < numbers < len(levels) else ""
    done = f"category of {len(levels):,} value{'s' * (len(levels) > 1)}{mixed}"
    return Use(blank.name, done, replace(blank, levels=levels))


def _date(cells: pd.Series, missing: np.ndarray, blank: Column) -> Use:
    if is_numeric(cells) and not blank.form:
        raise UserError(
            f'column {blank.name!r} is a number; a date of numbers needs a format, like "date:%Y%m%d". Give one'
        )
    row = int((~missing).argmax())
    forms = [blank.form] if blank.form else _formats(cells)
    if not forms and ISO_DATE.fullmatch(str(cells.iloc[row])):
        forms = [ISO]  # names the row of another format, below
    if len(forms) != 1:
        found = f"fits {forms[0]} and {forms[1]}" if forms else "fits no usual format of dates"
        use = f"date:{[*forms, '%d.%m.%Y'][0]}"
        raise UserError(
            f"column {blank.name!r} (row {row + 1} is {cells.iloc[row]!r}) {found}; expected one. Give it, as in "
            f"{columns_text({blank.name: use})}"
        )
    column = replace(blank, form=forms[0])
    days, wrong = column.code(cells)
    if wrong.any():
        raise UserError(
            f"{rows_text(wrong)}, column {blank.name!r} is {cells[wrong].iloc[0]!r}; expected a date as {forms[0]}. Correct "
            f"it, or say {columns_text({blank.name: 'drop'})}"
        )
    column = replace(column, times=bool((days[~np.isnan(days)] % 1 > 0).any()))
    return Use(blank.name, f"date, as {', '.join(column.parts[:-1])} and {column.parts[-1]}", column)


def _formats(cells: pd.Series) -> list[str]:
    """Return the format of dates, or several if all cells fit them; ISO 8601 has no other reading."""
    blank = Column(str(cells.name), DATE)
    fitting = (form for form in (ISO, *DAY_FORMATS) if not replace(blank, form=form).code(cells)[1].any())
    first = next(fitting, None)
    return [] if first is None else [first] if first == ISO else [first, *fitting]


def index_warnings(frame: pd.DataFrame, declared: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each column that looks like an id or a written index and that the study does not mention."""
    for name in frame.columns:
        cells = frame[name]
        if name in declared or not is_numeric(cells) or cells.dtype.kind == "b" or len(cells) <= ROWS_PER_LEVEL:
            continue
        numbers = cells.to_numpy("float64", na_value=np.nan)
        if not (numbers % 1 == 0).all() or len(np.unique(numbers)) < len(numbers):
            continue
        steps = np.diff(numbers)
        marks = {
            "has no name": bool(NAMELESS.fullmatch(name)),
            "counts the rows": bool((steps == 1).all()),
            "rises from row to row": bool((steps > 0).all() and (steps != 1).any()),
            "is named like an id": bool(ID_NAME.fullmatch(name)),
        }
        if found := [mark for mark, holds in marks.items() if holds]:
            yield (
                f"column {name!r} looks like an id or a written index: every value is different, and it "
                f"{' and '.join(found)}. If so, say {columns_text({name: 'drop'})}"
            )
