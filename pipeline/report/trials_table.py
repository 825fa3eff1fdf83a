"""The table of trials: one row for each trial, its files, and its checks. The report needs nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.study.spec import Categorical, Float, Int, Range, Study
from pipeline.training.metrics import (
    BEST_EPOCH,
    BEST_VAL_ACCURACY,
    GAP,
    TEST_ACCURACY,
    TEST_LOSS,
    TRAIN_ACCURACY,
    VAL_LOSS,
)

VERSION, READABLE = 2, (1, 2)
KEY = b"babysit"
IDENTITY = ("study", "arm", "block", "trial")
TEXTS = ("study", "arm", "val_correct", "test_correct", "run_id")
INTEGERS = ("block", "trial", "seed", BEST_EPOCH, "epochs", "n_val", "n_test")
OPTIONAL = (VAL_LOSS, TEST_LOSS, TRAIN_ACCURACY, GAP)
"""A diverged trial has no loss, and not every model has a training accuracy. No store keeps NaN: the column is missing then."""
ACCURACIES = (BEST_VAL_ACCURACY, TRAIN_ACCURACY, TEST_ACCURACY)
NUMBERS = (*ACCURACIES, GAP, VAL_LOSS, TEST_LOSS, "seconds")
COSTS = ("epochs", "seconds")
COLUMNS = (*TEXTS, *INTEGERS, *NUMBERS, "diverged")
BITS = ("val_correct", "test_correct")
RUN_ADDRESS = "mlflow_run"
"""The entry of a provenance with the address of the study's run in MLflow UI."""
REPETITION = "repetition"
"""The column that is 0 for a trial and counts its repetitions from 1; it is missing without any."""


@dataclass(frozen=True)
class TrialsTable:
    """The trials of one study.

    Attributes
    ----------
    frame
        One row for each trial: :data:`COLUMNS`, those of the study's metric unless that is accuracy, and a column for each
        searched hyperparameter, in the order of arm, block and trial.
    study
        The declaration that the trials belong to.
    provenance
        Plain JSON values. The report reads ``declarations`` (each different declaration, the first first, and ``at``
        which time it was made), ``classes`` (their number), ``columns`` (what is done with each column of a table),
        ``diagnosis`` (its counts), ``blas`` (the libraries that trained the trials), ``winner`` (the best trial's curves, and
        where its network is) and :data:`RUN_ADDRESS`; the other entries are versions of packages, by name.
    confirmations
        One row for each repetition of an arm's choice, trained again from other weights: the identity of the trial, the
        numbers of the new training, and the column :data:`REPETITION`, from 1. None without any.

    Raises
    ------
    UserError
        If the frame is not such a table.
    """

    frame: pd.DataFrame
    study: Study
    provenance: Mapping[str, Any] = field(default_factory=dict)
    confirmations: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        plain = {
            "study": Study.from_json(self.study.to_json()),
            "provenance": json.loads(json.dumps({**self.provenance})),
        }
        for name, value in plain.items():  # as a file keeps them, so that a table read back equals the one written
            object.__setattr__(self, name, value)
        object.__setattr__(self, "frame", _checked(self.frame, self.study))
        object.__setattr__(self, "confirmations", self._checked_confirmations())

    def _checked_confirmations(self) -> pd.DataFrame | None:
        if self.confirmations is None or self.confirmations.empty:
            return None
        frame = _checked(self.confirmations, self.study, REPETITION)
        _refuse(frame, frame[REPETITION] < 1, f"{REPETITION} must be at least 1", REPETITION)
        trials, confirmed = (pd.MultiIndex.from_frame(rows[list(IDENTITY)]) for rows in (self.frame, frame))
        _refuse(frame, ~confirmed.isin(trials), "the trial that this confirms is not in the table", REPETITION)
        return frame

    @cached_property
    def repetitions(self) -> Counter[tuple[str, int]]:
        """The number of repetitions in each arm and block."""
        if self.confirmations is None:
            return Counter()
        return Counter(zip(self.confirmations["arm"], self.confirmations["block"].tolist(), strict=True))

    @property
    def rows(self) -> pd.DataFrame:
        """Trials and repetitions, as they are in the files."""
        if self.confirmations is None:
            return self.frame
        return pd.concat([self.frame.assign(**{REPETITION: 0}), self.confirmations], ignore_index=True)


def write_table(table: TrialsTable, folder: Path | str) -> tuple[Path, Path]:
    """Write ``trials.parquet``, with the declaration and the provenance, and ``trials.csv`` for people and spreadsheets.

    The CSV has no row scores.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    frame = table.rows
    mixed = {name: frame[name].map(json.dumps) for name in _mixed(table.study)}
    facts = {"version": VERSION, "study": table.study.to_json(), "provenance": table.provenance}
    arrow = pa.Table.from_pandas(frame.assign(**mixed), preserve_index=False)
    metadata = {KEY: json.dumps(facts).encode()}  # unsorted, because the order of a search space is part of it
    pq.write_table(arrow.replace_schema_metadata(metadata), folder / "trials.parquet")
    write_csv(frame.drop(columns=list({*BITS, *table.study.objective.row_scores})), folder / "trials.csv")
    return folder / "trials.parquet", folder / "trials.csv"


def read_table(path: Path | str) -> TrialsTable:
    """Read a table from the Parquet file that :func:`write_table` wrote, or from its folder."""
    path = Path(path) / "trials.parquet" if Path(path).is_dir() else Path(path)
    try:
        arrow = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no table of trials here. Make the report first") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as Parquet ({str(error).splitlines()[0]}). Make the report again"
        ) from None
    facts = json.loads((arrow.schema.metadata or {}).get(KEY, b"{}"))
    if facts.get("version") not in READABLE:
        raise UserError(
            f"{path}: a table of version {facts.get('version')}; this report reads {READABLE[0]} to {VERSION}. "
            "Use the version of babysit that wrote it"
        )
    study = Study.from_json(facts["study"])
    rows = arrow.to_pandas()
    rows = rows.assign(**{name: rows[name].map(json.loads) for name in _mixed(study)})
    again = rows[REPETITION] > 0 if REPETITION in rows else np.zeros(len(rows), bool)
    return TrialsTable(rows[~again], study, facts["provenance"], rows[again])


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV; a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    frame.map(_guarded).to_csv(path, index=False, lineterminator="\n")


def _guarded(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _mixed(study: Study) -> list[str]:
    """The hyperparameters whose choices have several types; a Parquet column has one type, so it holds them as JSON."""
    choices = {name: d.choices for name, d in study.space.items() if isinstance(d, Categorical)}
    return [name for name, values in choices.items() if len(set(map(type, values))) > 1]


def _checked(frame: pd.DataFrame, study: Study, *also: str) -> pd.DataFrame:
    """The frame with its columns, types and order as declared; ``also`` names a further column of the identity."""
    _check_columns(frame, study, *also)
    frame = _ordered(_typed(frame, study, *also), study)
    _check_rows(frame, study, (*IDENTITY, *also))
    return frame


def _check_columns(frame: pd.DataFrame, study: Study, *also: str) -> None:
    wanted = (*COLUMNS, *_texts_of(study), *_numbers_of(study), *study.space, *also)
    missing = [name for name in wanted if name not in frame.columns and name not in OPTIONAL]
    if missing:
        raise UserError(
            f"table of trials: there is no column {missing[0]!r}. Take trials.parquet as a report writes it"
        )
    if frame.empty:
        raise UserError(f"table of trials: study {study.name!r} has no finished trial yet. Run the search first")


def _numbers_of(study: Study) -> tuple[str, ...]:
    """The columns of the values of a metric other than accuracy."""
    metric = study.objective
    return tuple(name for name in (metric.best_val, metric.test) if name not in COLUMNS)


def _texts_of(study: Study) -> tuple[str, ...]:
    """The columns of the row scores of a metric other than accuracy."""
    return tuple(name for name in study.objective.row_scores if name not in COLUMNS)


def _typed(frame: pd.DataFrame, study: Study, *also: str) -> pd.DataFrame:
    """The frame with one type for each column, the one that a file gives back."""
    texts, numbers = _texts_of(study), _numbers_of(study)
    kinds = dict.fromkeys((*TEXTS, *texts), "str") | dict.fromkeys((*INTEGERS, *also), "int64")
    kinds |= dict.fromkeys((*NUMBERS, *numbers), "float64")
    kinds |= {name: "float64" for name, d in study.space.items() if isinstance(d, Float)}
    kinds |= {name: "int64" for name, d in study.space.items() if isinstance(d, Int)}
    kinds |= dict.fromkeys(_mixed(study), "object") | {"diverged": "bool"}
    names = [*IDENTITY, *study.space, *(name for name in (*COLUMNS, *texts, *numbers, *also) if name not in IDENTITY)]
    frame = frame.reindex(columns=names).infer_objects()
    for name, kind in kinds.items():
        try:
            frame[name] = frame[name].astype(kind)
        except (TypeError, ValueError):
            raise UserError(f"table of trials: column {name!r} holds a value that is not {kind}. Correct it") from None
    return frame


def _ordered(frame: pd.DataFrame, study: Study) -> pd.DataFrame:
    rank = {arm.name: i for i, arm in enumerate(study.arms)}
    for name in frame["arm"].unique():
        if name not in rank:
            raise UserError(f"table of trials: arm {name!r} is not an arm of study {study.name!r}. Leave out its rows")
    by = ["arm", "block", "trial", *([REPETITION] if REPETITION in frame else [])]
    order = frame.assign(arm=frame["arm"].map(rank)).reset_index(drop=True).sort_values(by, kind="stable").index
    return frame.iloc[order].reset_index(drop=True)


def _check_rows(frame: pd.DataFrame, study: Study, identity: Sequence[str]) -> None:
    for name in frame["study"].unique():
        if name != study.name:
            raise UserError(
                f"table of trials: holds trials of study {name!r}; expected {study.name!r} alone. Leave them out"
            )
    limits = dict.fromkeys(ACCURACIES, (0, 1)) | dict.fromkeys(_numbers_of(study), study.objective.range)
    for name, (low, high) in limits.items():
        known = frame[name].notna() | (name not in OPTIONAL)
        _refuse(
            frame, known & ~frame[name].between(low, high), f"{name} must be a number from {low:g} to {high:g}", name
        )
    for name in COSTS:
        _refuse(frame, ~frame[name].between(0, np.finfo(float).max), f"{name} must be a number of at least 0", name)
    _refuse(frame, frame.duplicated(list(identity)), "this trial is in the table twice", "trial")
    for name, dimension in study.space.items():
        inside = (
            frame[name].between(dimension.low, dimension.high)
            if isinstance(dimension, Range)
            else frame[name].isin(dimension.choices)
        )
        _refuse(frame, ~inside, f"{name} is outside of the search space", name)


def _refuse(frame: pd.DataFrame, wrong: pd.Series | NDArray[np.bool_], reason: str, column: str) -> None:
    if wrong.any():
        row = frame[wrong].iloc[0]
        where = f"arm {row['arm']!r}, block {row['block']}, trial {row['trial']}"
        raise UserError(f"table of trials: {where}: {reason}; got {row[column]}. Correct or drop this row")
