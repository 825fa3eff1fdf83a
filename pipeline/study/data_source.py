"""The data of a study: its name, and how the columns and rows of a table are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UserError
from pipeline.validation import check_kind, shortened

USES = ("drop", "number", "category", "date")
"""What a study may say about a column. A date may have a format: ``date:%d.%m.%Y``."""
RULES = ("groups", "order", "split")
"""The settings that decide the splits."""
SETTINGS = ("columns", "drop_unlabelled", *RULES)
"""The settings that only a table can have."""


@dataclass(frozen=True)
class DataSource:
    """A data set's name, the declared uses of columns, and the columns that decide the splits.

    Parameters
    ----------
    name
        The name of the data set, as studies have it.
    columns
        Pairs of a column's name and its use, one of ``USES``. The others are recognised from their values.
    groups
        The column whose equal values are never in two splits. Default none.
    order
        The column that the rows are ordered by: the last are the test split. Default none.
    split
        The column that names each row's split, or a file with the test split. Default none.
    drop_unlabelled
        True if rows without a label are left out. Default False: they are refused.
    """

    name: str
    columns: tuple[tuple[str, str], ...] = ()
    groups: str = ""
    order: str = ""
    split: str = ""
    drop_unlabelled: bool = False

    @classmethod
    def of(cls, data: str | DataSource) -> DataSource:
        """Return the source of a data set that is given by its name alone, or as a source."""
        return data if isinstance(data, cls) else cls(str(data))

    @property
    def settings(self) -> list[str]:
        """The names of the settings that only a table can have, as far as they are used."""
        return [name for name in SETTINGS if getattr(self, name)]


def check_data_settings(columns: Any, rules: Mapping[str, Any]) -> None:
    """Raise :class:`UserError` unless ``columns`` are uses by name, and at most one rule of the splits is given."""
    if not isinstance(columns, Mapping) or not all(isinstance(name, str) for name in columns):
        raise UserError(f'columns: got {shortened(columns)}; expected uses by name, like {{"id": "drop"}}')
    for name, use in columns.items():
        kind, _, form = use.partition(":") if isinstance(use, str) else ("", "", "")
        if kind not in USES or (form and kind != "date"):
            raise UserError(
                f"columns: got {shortened(use)} for {name!r}; expected one of {', '.join(USES)}, or date:FORMAT"
            )
    for rule, value in rules.items():
        check_kind(rule, value, str)
    if len(given := [rule for rule, value in rules.items() if value]) > 1:
        raise UserError(f"{given[0]}: got {given[1]} as well; the splits follow one rule. Give one of them")
