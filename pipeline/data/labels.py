"""The classes of a data set: their names, as the labels are written, and their codes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from pipeline.data.problems import Problems, rows_text, shown
from pipeline.errors import UserError

FEWEST = 3
"""The fewest rows of a class: one for each of the training, validation and test splits."""
SHOWN_CLASSES = 5
"""The most rare classes that a message names."""
MOST_FRACTIONS = 20
"""Numbers with fractions are classes if there are at most this many different ones."""
EXPECTED = (
    "expected whole numbers, truth values or text. Is it the right column? Numbers of classes are stored as integers"
)


def classes_of(where: str, labels: Any, *, written: bool = False) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the C classes, and the class of each row (N,).

    Class 0 is the first label in sorted order: numbers by value, texts by their letters. The labels of a text file
    (``written``) keep their spelling; they are numbers if all of them are, and differ. Raises :class:`UserError` if their
    type cannot name classes, or there are too few rows.
    """
    labels = _of_one_type(where, np.asarray(labels))
    _check_none_is_missing(where, labels)
    values, codes = np.unique(labels, return_inverse=True)
    short = labels.dtype.kind == "f" and labels.dtype.itemsize < 8  # 0.1 in float32 is 0.10000000149011612 in float64
    names = values.astype(str).tolist() if short else [_name(value) for value in values.tolist()]
    counts = np.bincount(codes, minlength=len(names))
    if written and (numbers := _numbers(names)):
        order = sorted(range(len(names)), key=numbers.__getitem__)
        names, counts = [names[place].strip() for place in order], counts[order]
        codes = np.argsort(order)[codes]
    _check_fractions(where, labels, names if labels.dtype.kind == "f" or (written and numbers) else [], counts)
    check_classes(where, names, counts)
    return tuple(names), codes.astype(np.intp)


def _of_one_type(where: str, labels: np.ndarray) -> np.ndarray:
    """Return labels (N,) that NumPy can sort. Those of Python's types become texts, unless they are all of one kind."""
    if labels.dtype == object:
        kinds = {_kind(value) for value in labels.tolist()}
        if kinds == {str}:
            return labels.astype(str)
        if kinds == {bool}:
            return labels.astype(bool)
        if kinds <= {bool, int}:
            return labels if max(map(abs, labels.tolist()), default=0) >= 2**63 else labels.astype(int)
        if len(kinds) == 1 and kinds <= {bytes, float, Decimal}:
            return labels.astype("S" if kinds == {bytes} else float) if kinds != {Decimal} else labels
    elif labels.dtype.kind in "biufUS" and labels.dtype.itemsize and labels.dtype != np.longdouble:
        return labels
    example = f" (row 1 is {labels[:1].tolist()[0]!r})" if labels.size else ""
    raise UserError(f"{where}: the labels are of type {labels.dtype}{example}; {EXPECTED}")


def _check_none_is_missing(where: str, labels: np.ndarray) -> None:
    numbers = labels.dtype.kind == "f"
    missing = ~np.isfinite(labels) if numbers else labels == labels.dtype.type() if labels.dtype.kind in "US" else []
    if np.any(missing):
        verb = "has" if np.sum(missing) == 1 else "have"
        raise UserError(f"{where}: {rows_text(missing)} {verb} no label. Fill or drop it")


def _kind(value: Any) -> type:
    return next((kind for kind in (bool, int, float, str, bytes, Decimal) if isinstance(value, kind)), object)


def _name(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _numbers(names: list[str]) -> list[Decimal]:
    """Return the names as numbers, or none unless all of them are finite numbers that differ."""
    try:
        numbers = [Decimal(name.strip()) for name in names]
    except InvalidOperation:
        return []
    return numbers if all(n.is_finite() for n in numbers) and len(set(numbers)) == len(names) else []


def _check_fractions(where: str, labels: np.ndarray, names: list[str], counts: np.ndarray) -> None:
    """Raise :class:`UserError` if numbers look like measurements: they have fractions, and too many or too rare values."""
    fractions = [name for name in names if Decimal(name) != Decimal(name).to_integral_value()]
    if fractions and (len(names) > MOST_FRACTIONS or counts.min() < FEWEST):
        first = labels[:1].tolist()[0]
        raise UserError(f"{where}: the labels are of type float64 (row 1 is {first}); {EXPECTED}")


def has_label(target: Any) -> np.ndarray:
    """Return a mask of the cells of a target column, a pandas series, that hold a label: an empty text is none."""
    empty = [isinstance(value, (str, bytes)) and not value for value in target.tolist()]
    return np.asarray(~(target.isna().to_numpy(bool) | np.array(empty, bool)))


def check_complete(name: str, labelled: np.ndarray, problems: Problems) -> None:
    """Add a problem if some rows of a mask (N,) have no label in the column of that name."""
    if not labelled.all():
        verb = "has" if (~labelled).sum() == 1 else "have"
        problems.add(
            f"{rows_text(~labelled)} {verb} no label in column {name!r}. Fill it, or say drop_unlabelled=True: then such "
            "rows are left out"
        )


def similar_names(names: Sequence[str]) -> Iterator[str]:
    """Yield a warning for classes whose names differ only in spaces around them or in capital letters."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.strip().casefold(), []).append(name)
    for group in alike.values():
        if len(group) > 1:
            yield f"the labels {', '.join(map(repr, group))} are different classes. If they are one, write them alike"


def check_classes(where: str, names: Any, counts: np.ndarray) -> None:
    """Raise :class:`UserError` unless there are at least two classes, each with a row for every split."""
    if len(names) < 2:
        raise UserError(
            f"{where}: all {counts.sum():,} rows are of class {shown(names[0])}; expected at least two classes"
        )
    if counts.min() < FEWEST:
        rare = np.flatnonzero(counts < FEWEST)
        listed = ", ".join(f"{counts[place]} of class {shown(names[place])}" for place in rare[:SHOWN_CLASSES])
        more = f" and as few of {len(rare) - SHOWN_CLASSES:,} more" if len(rare) > SHOWN_CLASSES else ""
        remedy = (
            "Leave such rows out, or give them another class"
            if 2 * len(rare) < len(names)
            else "Is it the right column?"
        )
        raise UserError(
            f"{where}: {counts.sum():,} rows in {len(names):,} classes, and only {listed}{more}; "
            f"expected at least {FEWEST} of each. {remedy}"
        )
