"""The problems of a file, gathered so that one message names them all."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from pipeline.errors import UserError
from pipeline.validation import did_you_mean

SHOWN = 10
"""The most problems that one message names."""


class Problems:
    """Gathers the problems of one file."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.texts: list[str] = []
        self.uses: dict[str, str] = {}

    def add(self, text: str, column: str = "", use: str = "") -> None:
        """Add a problem: the row and column, what was found, and a remedy; perhaps the use of a column that mends it."""
        if text not in self.texts:
            self.texts.append(text)
        if use:
            self.uses[column] = use

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Add the :class:`UserError` of the body as a problem."""
        try:
            yield
        except UserError as error:
            self.add(str(error).removeprefix(f"{self.where}: "))

    def check(self) -> None:
        """Raise :class:`UserError`, in one line, if there are problems."""
        if len(self.texts) == 1:
            raise UserError(f"{self.where}: {self.texts[0]}")
        if self.texts:
            shown = "; ".join(f"({number}) {text}" for number, text in enumerate(self.texts[:SHOWN], 1))
            more = f"; and {len(self.texts) - SHOWN} more" if len(self.texts) > SHOWN else ""
            together = f". All uses at once: {columns_text(self.uses)}" if len(self.uses) > 1 else ""
            raise UserError(f"{self.where}: {len(self.texts)} problems: {shown}{more}{together}")


def columns_text(uses: Mapping[str, str]) -> str:
    """Return the setting of a study that declares these uses of columns, ready to paste."""
    return f"columns={json.dumps(uses, ensure_ascii=False)}"


def rows_text(wrong: np.ndarray | Iterable[int]) -> str:
    """Return ``row 3``, or ``rows 3, 8, 9 and 2 more``, for a mask of rows or their places from 0."""
    array = np.asarray(list(wrong))
    places = [int(place) + 1 for place in (np.flatnonzero(array) if array.dtype == bool else array)]
    if len(places) == 1:
        return f"row {places[0]}"
    more = f" and {len(places) - 3:,} more" if len(places) > 3 else ""
    return f"rows {', '.join(map(str, places[:3]))}{more}"


def shown(name: str) -> str:
    """Return a name from a file as one line, in quotes if it has spaces around it."""
    return name if name.isprintable() and name == name.strip() else repr(name)


def unknown_column(name: str, known: Collection[str]) -> str:
    """Return the problem of a name that no column has, with the nearest one."""
    return f"no column {name!r}; {did_you_mean(name, known)}expected one of {', '.join(map(shown, list(known)[:20]))}"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its class."""
    return (str(error) or type(error).__name__).splitlines()[0]
