"""The user's own data: arrays in an .npz, and tables in text or Parquet files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.frames import from_frame
from pipeline.data.problems import Problems, first_line, unknown_column
from pipeline.data.rows import Rows, labelled
from pipeline.data.table_names import OPENML, RECORDS, SEPARATED, ending, existing, is_file, split_target
from pipeline.data.text_tables import read_delimited, read_records
from pipeline.errors import UserError
from pipeline.study.data_source import DataSource

ARRAYS = {
    "train": (("X", "inputs", "X_train", "x_train"), ("y", "labels", "y_train")),
    "validation": (("X_val", "x_val", "X_valid", "x_valid"), ("y_val", "y_valid")),
    "test": (("X_test", "x_test"), ("y_test",)),
}
"""The accepted names of the inputs and the labels of each split in an .npz file; without the last two it is one table."""


def load_table(source: DataSource | str) -> Rows:
    """The rows of a file or an OpenML data set. Raises :class:`UserError` with all problems and their places."""
    source = DataSource.of(source)
    if source.name.startswith(OPENML):
        from pipeline.data.openml import load_openml

        return load_openml(source)
    path, target = split_target(source.name)
    if ending(path) != ".npz":
        return load_frame(source, path, target)
    if source.settings:
        raise UserError(
            f"{source.settings[0]}: {path} has arrays without names of columns. Leave it out, or save a table"
        )
    return load_arrays(path)


def load_arrays(path: str) -> Rows:
    """The rows of an .npz file of ``X`` or ``inputs`` (N, ...) and ``y`` or ``labels`` (N,); see :data:`ARRAYS`."""
    file, problems = existing(path), Problems(path)
    try:
        with file.open("rb") as stream:  # np.load does not close a file that it cannot read
            _check_magic(path, stream.peek(6))
            parts = _parts(np.load(stream, allow_pickle=False), problems)
    except UserError:
        raise
    except Exception as error:  # damaged files raise many kinds: compression, password, memory
        raise UserError(f"{path}: cannot be read as an .npz file of plain arrays ({first_line(error)})") from error
    rows = labelled(problems, *(_together(arrays, problems) for arrays in zip(*parts.values(), strict=True)))
    if len(parts) == 1:
        return rows
    validation, test = (len(parts[part][1]) if part in parts else 0 for part in ("validation", "test"))
    return replace(rows, validation=validation, test=test, identity=(f"validation {validation}, test {test}",))


def _check_magic(path: str, start: bytes) -> None:
    """Raise :class:`UserError` unless a file begins like NumPy's files; NumPy takes any other for a pickle."""
    if not start.startswith((b"PK", b"\x93NUMPY")):
        raise UserError(f"{path}: is not an .npz file; expected what np.savez(path, X=..., y=...) writes")


def _parts(arrays: Any, problems: Problems) -> dict[str, tuple[Any, ...]]:
    """Return the inputs and labels of each split that the file has, in the order of :data:`ARRAYS`; None for an unusable one."""
    if isinstance(arrays, np.ndarray):
        problems.add("is a single array without a name; expected what np.savez(path, X=..., y=...) writes")
        problems.check()
    parts = {}
    for part, names in ARRAYS.items():
        if part == "train" or any(name in arrays for kind in names for name in kind):
            parts[part] = inputs, labels = tuple(_pick(arrays, kind, problems) for kind in names)
            if inputs is not None and labels is not None and labels.shape != inputs.shape[:1]:
                split = "" if part == "train" else f"{part}: "
                problems.add(
                    f"{split}{len(np.atleast_1d(inputs)):,} rows of inputs, and labels of shape {labels.shape}; expected one each"
                )
    if list(parts) == ["train", "validation"]:
        problems.add("has a validation split and no test split; expected X_test and y_test as well. Add them")
    return parts


def _pick(arrays: Any, names: tuple[str, ...], problems: Problems) -> Any:
    """Return the array of one of these names; adds a problem and returns None if there is none, or it has objects."""
    for name in names:
        if name in arrays:
            try:
                return np.asarray(arrays[name])
            except ValueError as error:
                if "Object arrays" not in str(error):
                    raise
                problems.add(
                    f"the array {name} has Python objects; expected numbers or text. Save texts as {name}.astype(str)"
                )
                return None
    problems.add(f"has the arrays {', '.join(arrays) or 'none'}; expected one called {' or '.join(names)}")
    return None


def _together(arrays: tuple[Any, ...], problems: Problems) -> Any:
    """Return the rows of all splits in one array, or the first split's if another one is of another kind or shape."""
    first, *others = [array for array in arrays if array is not None] or [None]
    for other in others:
        alike = (other.dtype.kind in "US") == (first.dtype.kind in "US") and other.ndim * first.ndim > 0
        if other.shape[1:] != first.shape[1:] or not alike:
            problems.add(
                f"the splits have rows of shape {first.shape[1:]}, {first.dtype}, and {other.shape[1:]}, {other.dtype}; "
                "expected the same. Save them alike"
            )
            return first
    return np.concatenate([first, *others]) if others else first


def load_frame(source: DataSource, path: str, target: str = "") -> Rows:
    """The rows of a table with a header. The default target is the last column."""
    problems, warnings = Problems(path), list[str]()
    frame = read_frame(source, path, target, problems, warnings)
    target = target or str(frame.columns[-1])
    test = 0
    if is_file(source.split):
        other = read_frame(source, split_target(source.split)[0], target, problems, warnings)
        if set(other.columns) != set(frame.columns):
            different = sorted(set(other.columns) ^ set(frame.columns))
            raise UserError(
                f"split: {source.split} and {path} differ in the column {different[0]!r}. Give them the same ones"
            )
        frame, test = pd.concat([frame, other[list(frame.columns)]], ignore_index=True), len(other)
        problems.where = f"{path} and then {source.split}"
    place = list(frame.columns).index(target)
    labels = frame.iloc[:, place]
    features = frame.iloc[:, [other for other in range(len(frame.columns)) if other != place]]
    written = ending(path) in SEPARATED
    return from_frame(source, features, labels, problems, warnings, written=written, test=test)


def read_frame(source: DataSource, path: str, target: str, problems: Problems, warnings: list[str]) -> pd.DataFrame:
    """The table of one file. Raises :class:`UserError` if it cannot be read, or has no target."""
    file, declared = existing(path), dict(source.columns)
    try:
        if ending(path) in SEPARATED:
            frame = read_delimited(
                file, problems, warnings, target=target, uses=lambda name: declared.get(name, "").partition(":")[0]
            )
        else:
            frame = read_records(file, problems) if ending(path) in RECORDS else pd.read_parquet(file)
    except UserError:
        raise
    except Exception as error:
        hint = ". Save it in UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise UserError(f"{path}: cannot be read as a table ({first_line(error)}){hint}") from error
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if len(frame.columns) < 2:
        problems.add(
            f"has {len(frame.columns)} column; expected features and a target, separated by commas, semicolons or tabs"
        )
        problems.check()
    if target and target not in frame.columns:
        problems.add(unknown_column(target, frame.columns))
        problems.check()
    return frame
