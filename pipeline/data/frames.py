"""Rows of a data frame: the labels, the columns that are inputs, and those that decide the splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.data.columns import ISO, NUMBER, Column, is_missing, is_numeric, level_names, to_days, to_numbers
from pipeline.data.labels import check_complete, classes_of, has_label, similar_names
from pipeline.data.problems import Problems, rows_text, unknown_column
from pipeline.data.recognition import Use, index_warnings, recognise
from pipeline.data.rows import Rows
from pipeline.data.table_names import is_file
from pipeline.data.text_tables import check_repeated
from pipeline.errors import UserError
from pipeline.study.data_source import RULES, DataSource

PART_NAMES = {
    0: ("train", "training", "fit"),
    1: ("validation", "valid", "val", "dev"),
    2: ("test", "testing", "holdout"),
}
"""The words of a split column for the training, validation and test rows, in any case."""


def from_frame(
    source: DataSource,
    features: pd.DataFrame,
    target: pd.Series,
    problems: Problems,
    warnings: Sequence[str] = (),
    *,
    written: bool = False,
    test: int = 0,
) -> Rows:
    """Rows of a data frame of features and a series of labels.

    Parameters
    ----------
    source
        The declared uses of columns, and the rule of the splits.
    features, target
        The cells.
    problems, warnings
        What reading the file has found.
    written
        True if the labels have the spelling of a text file.
    test
        The number of the last rows that a file of their own has, which are the test split.

    Raises
    ------
    UserError
        With all problems of the table.
    """
    features, declared = _named(features, problems), dict(source.columns)
    for name in declared:
        if name not in features.columns:
            problems.add(f"columns: {unknown_column(name, features.columns)}")
    kept = has_label(target)
    if not kept.any():
        problems.add(f"no row has a label in column {str(target.name)!r}. Is it the right column?")
    elif not source.drop_unlabelled:
        check_complete(str(target.name), kept, problems)
    elif test and not kept[-test:].any():
        problems.add("split: no row of the test split has a label. Leave split out, or add the labels")
    class_names, labels = _classes(target[kept], problems, written=written)
    rules = _rule_columns(source, features, problems)
    inputs = features.drop(columns=[name for name in rules.values() if name not in declared])
    uses = recognise(inputs, declared, problems)
    if not any(use.column for use in uses) and not problems.texts:
        dropped = "; ".join(f"{use.name!r} is {use.done}" for use in uses[:3])
        problems.add(f"no column is left as an input{dropped and f' ({dropped})'}; expected at least one")
    groups, order, parts = (_rule(rule, features[rules[rule]], problems) if rule in rules else None for rule in RULES)
    problems.check()
    codes, columns = _coded(inputs, uses, plain=not declared and not rules)
    warnings = [
        *warnings,
        *similar_names(class_names),
        *(use.warning for use in uses if use.warning),
        *index_warnings(inputs, declared),
    ]
    if not kept.all():
        codes, test = codes[kept], int(kept[len(kept) - test :].sum())
        groups, order, parts = (None if array is None else array[kept] for array in (groups, order, parts))
        warnings.append(
            f"{(~kept).sum():,} of {len(kept):,} rows have no label in column {target.name!r}; they are left out"
        )
    ruled = [Use(name, f"decides the splits ({rule})") for rule, name in rules.items() if name not in declared]
    rows = Rows(
        codes,
        labels,
        class_names,
        shape=codes.shape[1:],
        test=test,
        columns=columns,
        groups=groups,
        order=order,
        uses=tuple((use.name, use.done) for use in (*uses, *ruled)) if columns else (),
        warnings=tuple(warnings),
        identity=(f"test {test}",) if test else (),
    )
    return rows if parts is None else in_parts(rows, parts)


def _named(features: pd.DataFrame, problems: Problems) -> pd.DataFrame:
    """Return features with texts as names, each once. Raises :class:`UserError` if there are no rows."""
    if not len(features):
        problems.add("has no rows; expected some under the header")
        problems.check()
    features = features.set_axis([str(name) for name in features.columns], axis=1)
    check_repeated(list(features.columns), problems)
    return features.loc[:, ~features.columns.duplicated()]


def _classes(cells: pd.Series, problems: Problems, *, written: bool) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the classes and the class of each row; adds a problem if the labels cannot be classes."""
    if not len(cells):
        return (), np.zeros(0, np.intp)
    if isinstance(cells.dtype, pd.CategoricalDtype):
        cells = cells.astype(cells.cat.categories.dtype)
    with problems.gathered():
        return classes_of(problems.where, cells.to_numpy(), written=written)
    return (), np.zeros(0, np.intp)


def _rule_columns(source: DataSource, features: pd.DataFrame, problems: Problems) -> dict[str, str]:
    """Return the columns that decide the splits, by their rule. Adds a problem for a name that no column has."""
    rules = {rule: getattr(source, rule) for rule in RULES if getattr(source, rule)}
    if is_file(rules.get("split", "")):
        del rules["split"]
    for rule, name in rules.items():
        if name not in features.columns:
            problems.add(f"{rule}: {unknown_column(name, features.columns)}")
    return {rule: name for rule, name in rules.items() if name in features.columns}


def _rule(rule: str, cells: pd.Series, problems: Problems) -> np.ndarray | None:
    """Return the numbers (N,) of a column that decides the splits: groups, places in an order, or splits."""
    missing = is_missing(cells)
    if missing.any():
        problems.add(
            f"{rows_text(missing)} of column {cells.name!r} ({rule}) is missing; expected a value in each row. Fill it"
        )
        return None
    if rule == "groups":
        return np.asarray(pd.factorize(level_names(cells), sort=True)[0])
    if rule == "order":
        numbers = to_numbers(cells)
        numbers = to_days(cells, ISO) if np.isnan(numbers).any() else numbers
        wrong, expected = np.isnan(numbers), "numbers, or dates like 2020-01-31"
    else:
        words = {word: part for part, names in PART_NAMES.items() for word in names}
        numbers = level_names(cells).str.strip().str.lower().map(words).to_numpy("float64", na_value=np.nan)
        wrong, expected = np.isnan(numbers), "train, validation or test"
    if wrong.any():
        problems.add(
            f"{rows_text(wrong)}, column {cells.name!r} ({rule}) is {cells[wrong].iloc[0]!r}; expected {expected}"
        )
    return numbers


def _coded(inputs: pd.DataFrame, uses: Sequence[Use], *, plain: bool) -> tuple[np.ndarray, tuple[Column, ...]]:
    """Return the codes (N, C) of the input columns, and these columns; none for a table of numbers alone."""
    columns = tuple(use.column for use in uses if use.column)
    if plain and all(use.column and use.column.kind == NUMBER and not use.column.missing for use in uses):
        return np.column_stack([_numbers(inputs[name]) for name in inputs.columns]), ()
    return np.column_stack([column.code(inputs[column.name])[0] for column in columns]), columns


def _numbers(cells: pd.Series) -> np.ndarray:
    return cells.to_numpy() if is_numeric(cells) else to_numbers(cells)


def in_parts(rows: Rows, parts: np.ndarray) -> Rows:
    """Return rows ordered by their given splits: training, validation, and test rows last."""
    order = np.argsort(parts, kind="stable")
    validation, test = (int((parts == part).sum()) for part in (1, 2))
    if not test or validation + test == len(parts):
        raise UserError("split: expected rows of the training split and of the test split. Name them train and test")
    return replace(
        rows,
        inputs=rows.inputs[order],
        labels=rows.labels[order],
        test=test,
        validation=validation,
        identity=(f"validation {validation}, test {test}",),
    )
