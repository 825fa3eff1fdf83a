"""The table of trials: one row for each trial, written before the report and the only thing that the report reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import UserError
from pipeline.study.spec import Categorical, Float, Study
from pipeline.training.metrics import (
    BEST_EPOCH,
    BEST_VAL_ACCURACY,
    GAP,
    TEST_ACCURACY,
    TEST_LOSS,
    TRAIN_ACCURACY,
    VAL_LOSS,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

VERSION, READABLE = 2, (1, 2)
KEY = b"babysit"
IDENTITY = ("study", "arm", "block", "trial")
TEXTS = ("study", "arm", "val_correct", "test_correct", "run_id")
INTEGERS = ("block", "trial", "seed", BEST_EPOCH, "epochs", "n_val", "n_test")
LOSSES = (VAL_LOSS, TEST_LOSS)
"""A diverged trial has none, and where all trials diverged there is no such column: no store keeps NaN."""
ACCURACIES = (BEST_VAL_ACCURACY, TRAIN_ACCURACY, TEST_ACCURACY)
NUMBERS = (*ACCURACIES, GAP, *LOSSES, "seconds")
COSTS = ("epochs", "seconds")
COLUMNS = (*TEXTS, *INTEGERS, *NUMBERS, "diverged")
BITS = ("val_correct", "test_correct")
REPETITION = "repetition"
"""The column that tells a trial, 0, from those that confirm it, 1 and on; a table without it has none of these."""


@dataclass(frozen=True)
class TrialsTable:
    """The trials of one study: a frame with one row each, the declaration that they answer, and where they come from.

    ``confirmations`` has a row for each time that an arm's choice was trained again from other weights: that trial's
    row with the numbers of the new training, and the column :data:`REPETITION`, from 1. In the files they follow the
    trials.

    The frame has :data:`COLUMNS` and one column for each searched hyperparameter; rows are put in the order of arm,
    block and trial. ``provenance`` holds plain JSON values. Those that the report reads: ``declarations`` (what
    was asked, and ``at`` which time, whenever that changed; the first first), ``classes`` (their number),
    ``samplers`` (settings of each arm, by name), ``diagnosis`` (its tally), ``blas`` (the libraries
    that trained the trials, in words) and ``versions`` (of packages, by name). Raises :class:`UserError`, in one
    line, if the frame cannot be read as such a table.
    """

    frame: pd.DataFrame
    study: Study
    provenance: Mapping[str, Any] = field(default_factory=dict)
    confirmations: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        _check_columns(self.frame, self.study)
        object.__setattr__(self, "frame", _ordered(_typed(self.frame, self.study), self.study))
        _check_rows(self.frame, self.study)
        object.__setattr__(self, "confirmations", self._checked_confirmations())

    def _checked_confirmations(self) -> pd.DataFrame | None:
        """The confirmations as they are kept, or None where there are none."""
        if self.confirmations is None or self.confirmations.empty:
            return None
        _check_columns(self.confirmations, self.study, REPETITION)
        frame = _ordered(_typed(self.confirmations, self.study, REPETITION), self.study)
        _check_rows(frame, self.study, (*IDENTITY, REPETITION))
        _refuse(frame, frame[REPETITION] < 1, f"{REPETITION} must be at least 1", REPETITION)
        place = list(IDENTITY)
        alone = ~frame.set_index(place).index.isin(self.frame.set_index(place).index)
        _refuse(frame, alone, "the trial that this confirms is not in the table", REPETITION)
        return frame

    @property
    def whole(self) -> pd.DataFrame:
        """All rows, as they are written to the files."""
        import pandas as pd

        if self.confirmations is None:
            return self.frame
        return pd.concat([self.frame.assign(**{REPETITION: 0}), self.confirmations], ignore_index=True)


def write_table(table: TrialsTable, folder: Path | str) -> tuple[Path, Path]:
    """Write ``trials.parquet``, which carries the declaration and the provenance, and ``trials.csv``, which people read.

    The CSV leaves out the packed bits, and a text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"version": VERSION, "study": table.study.to_json(), "provenance": dict(table.provenance)}
    arrow = pa.Table.from_pandas(_encoded(table.whole, table.study), preserve_index=False)
    metadata = {KEY: json.dumps(facts).encode()}  # unsorted: the order of a search space is its author's
    pq.write_table(arrow.replace_schema_metadata(metadata), folder / "trials.parquet")
    write_csv(table.whole.drop(columns=list(BITS)), folder / "trials.csv")
    return folder / "trials.parquet", folder / "trials.csv"


def read_table(path: Path | str) -> TrialsTable:
    """Read a table that :func:`write_table` wrote, from its Parquet file or the folder that holds it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path) / "trials.parquet" if Path(path).is_dir() else Path(path)
    try:
        arrow = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no table of trials here") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a Parquet file that can be read ({str(error).splitlines()[0]})") from None
    facts = json.loads((arrow.schema.metadata or {}).get(KEY, b"{}"))
    if facts.get("version") not in READABLE:
        raise UserError(
            f"{path}: a table of version {facts.get('version')}; this report reads {READABLE[0]} to {VERSION}"
        )
    study = Study.from_json(facts["study"])
    rows = _decoded(arrow.to_pandas(), study)
    again = rows[REPETITION] > 0 if REPETITION in rows else np.zeros(len(rows), bool)
    return TrialsTable(rows[~again], study, facts["provenance"], rows[again])


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV in which no cell can run as a formula of a spreadsheet."""
    frame.map(_guarded).to_csv(path, index=False, lineterminator="\n")


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _mixed(study: Study) -> list[str]:
    """The searched hyperparameters whose choices are of several types, which one Parquet column cannot hold."""
    kinds = {name: {type(c) for c in d.choices} for name, d in study.space.items() if isinstance(d, Categorical)}
    return [name for name, types in kinds.items() if len(types) > 1]


def _encoded(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].map(json.dumps) for name in _mixed(study)})


def _decoded(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].map(json.loads).astype(object) for name in _mixed(study)})


def _check_columns(frame: pd.DataFrame, study: Study, *also: str) -> None:
    missing = [name for name in (*COLUMNS, *study.space, *also) if name not in frame.columns and name not in LOSSES]
    if missing:
        raise UserError(f"table of trials: there is no column {missing[0]!r}")
    if frame.empty:
        raise UserError(f"table of trials: study {study.name!r} has no finished trial yet")


def _typed(frame: pd.DataFrame, study: Study, *also: str) -> pd.DataFrame:
    """The frame with one type for each column, so that a table read back equals the one written."""
    kinds = dict.fromkeys(TEXTS, "str") | dict.fromkeys((*INTEGERS, *also), "int64") | dict.fromkeys(NUMBERS, "float64")
    floats = {name: "float64" for name, d in study.space.items() if isinstance(d, Float)}
    names = [*IDENTITY, *study.space, *(name for name in (*COLUMNS, *also) if name not in IDENTITY)]
    frame = frame.reindex(columns=names)
    for name, kind in {**kinds, **floats, "diverged": "bool"}.items():
        try:
            frame[name] = frame[name].astype(kind)
        except (TypeError, ValueError):
            raise UserError(f"table of trials: column {name!r} holds a value that is not {kind}") from None
    return frame


def _ordered(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    rank = {arm.name: i for i, arm in enumerate(study.arms)}
    for name in frame["arm"].unique():
        if name not in rank:
            raise UserError(f"table of trials: arm {name!r} is not an arm of study {study.name!r}")
    by = ["arm", "block", "trial", *([REPETITION] if REPETITION in frame else [])]
    order = frame.assign(arm=frame["arm"].map(rank)).sort_values(by, kind="stable").index
    return frame.loc[order].reset_index(drop=True)


def _check_rows(frame: pd.DataFrame, study: Study, identity: Sequence[str] = IDENTITY) -> None:
    for name in frame["study"].unique():
        if name != study.name:
            raise UserError(f"table of trials: holds trials of study {name!r}; expected {study.name!r} alone")
    for name in ACCURACIES:
        _refuse(frame, ~frame[name].between(0, 1), f"{name} must be a number from 0 to 1", name)
    for name in COSTS:
        _refuse(frame, ~frame[name].between(0, np.finfo(float).max), f"{name} must be a number of at least 0", name)
    _refuse(frame, frame.duplicated(list(identity)), "this trial is in the table twice", "trial")
    for name, dimension in study.space.items():
        inside = (
            frame[name].between(dimension.low, dimension.high)
            if isinstance(dimension, Float)
            else frame[name].isin(dimension.choices)
        )
        _refuse(frame, ~inside, f"{name} is outside of the search space", name)


def _refuse(frame: pd.DataFrame, wrong: pd.Series | NDArray[np.bool_], reason: str, column: str) -> None:
    if wrong.any():
        row = frame[wrong].iloc[0]
        where = f"arm {row['arm']!r}, block {row['block']}, trial {row['trial']}"
        raise UserError(f"table of trials: {where}: {reason}; got {row[column]}")
