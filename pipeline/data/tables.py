"""The user's own data: arrays in an .npz, tables in a .csv or .parquet file, and data sets of OpenML."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import numpy as np

from pipeline.data.folder import FOLDER_VARIABLE, data_folder
from pipeline.data.rows import Rows, check_labels, labelled
from pipeline.errors import UserError

INPUTS, LABELS = ("X", "inputs"), ("y", "labels")
"""The accepted names of the arrays in an .npz file."""
TABLES = (".csv", ".parquet")
OPENML = "openml:"
NAME_FORMS = "FILE.npz, FILE.csv[:TARGET], FILE.parquet[:TARGET], FOLDER of images, openml:ID"


def is_table(name: str) -> bool:
    """Return True if a data set's name is a file of arrays, a table or a number on OpenML."""
    path, _ = split_target(name)
    return name.startswith(OPENML) or path.endswith((".npz", *TABLES))


def split_target(name: str) -> tuple[str, str]:
    """Split ``table.csv:species`` into the file and its target column, which is empty if none is named."""
    for suffix in TABLES:
        path, separator, target = name.partition(f"{suffix}:")
        if separator:
            return path + suffix, target
    return name, ""


def load_table(name: str) -> Rows:
    """The rows of a file or an OpenML data set. Raises :class:`UserError` with the fault and its place."""
    if name.startswith(OPENML):
        return load_openml(name.removeprefix(OPENML))
    path, target = split_target(name)
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such file in {Path.cwd()}")
    return load_arrays(path) if path.endswith(".npz") else load_frame(path, target)


def load_arrays(path: str) -> Rows:
    """The rows of an .npz file of ``X`` or ``inputs`` (N, ...) and ``y`` or ``labels`` (N,)."""
    try:
        with Path(path).open("rb") as stream:  # np.load does not close a file that it cannot read
            _check_magic(path, stream.peek(6))
            inputs, labels = _pair(path, np.load(stream, allow_pickle=False))
    except UserError:
        raise
    except Exception as error:  # damaged files raise many kinds: compression, password, memory
        raise UserError(f"{path}: cannot be read as an .npz file of plain arrays ({_first_line(error)})") from error
    return labelled(path, inputs, labels)


def _check_magic(path: str, start: bytes) -> None:
    """Raise :class:`UserError` unless a file begins like NumPy's files; NumPy takes any other for a pickle."""
    if not start.startswith((b"PK", b"\x93NUMPY")):
        raise UserError(f"{path}: is not an .npz file; expected what np.savez(path, X=..., y=...) writes")


def _pair(path: str, arrays: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(arrays, np.ndarray):
        raise UserError(f"{path}: is a single array without a name; expected what np.savez(path, X=..., y=...) writes")
    return _pick(path, arrays, INPUTS), _pick(path, arrays, LABELS)


def _pick(path: str, arrays: Any, names: tuple[str, ...]) -> np.ndarray:
    for name in names:
        if name in arrays:
            array: np.ndarray = arrays[name]
            return array
    raise UserError(f"{path}: has the arrays {', '.join(arrays) or 'none'}; expected one called {' or '.join(names)}")


def load_frame(path: str, target: str = "") -> Rows:
    """The rows of a table with a header. The default target is the last column; all other columns are numbers."""
    import pandas as pd

    try:
        frame = pd.read_csv(path, low_memory=False) if path.endswith(".csv") else pd.read_parquet(path)
    except Exception as error:
        raise UserError(f"{path}: cannot be read as a table ({_first_line(error)})") from error
    columns = [str(column) for column in frame.columns]
    if len(columns) < 2:
        raise UserError(f"{path}: has {len(columns)} column; expected features and a target, separated by commas")
    target = target or columns[-1]
    if target not in columns:
        raise UserError(f"{path}: no column {target!r}; expected one of {', '.join(columns[:20])}")
    frame.columns = columns
    return from_frame(path, frame.drop(columns=target), frame[target])


def from_frame(where: str, features: Any, target: Any) -> Rows:
    """Rows of a data frame of features and a series of labels."""
    if not len(features):
        raise UserError(f"{where}: has no rows; expected some under the header")
    missing = np.flatnonzero(target.isna())
    if len(missing):
        raise UserError(f"{where}: row {missing[0] + 1} has no label in column {target.name!r}. Fill or drop it")
    labels = check_labels(where, _plain_labels(target))  # first, because a wrong target causes the other errors
    inputs = np.column_stack([_numbers(where, features[column]) for column in features.columns])
    return labelled(where, inputs, labels, [str(column) for column in features.columns])


def _numbers(where: str, column: Any) -> np.ndarray:
    """A feature column (N,) as numbers, NaN where one is missing."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
        numbers: np.ndarray = column.to_numpy(float, na_value=np.nan) if column.isna().any() else column.to_numpy()
        return numbers
    texts = column.astype(str)
    wrong = pd.to_numeric(texts, errors="coerce").isna().to_numpy() & column.notna().to_numpy()
    row = int(wrong.argmax())
    raise UserError(
        f"{where}: row {row + 1}, column {str(column.name)!r} is {texts.iloc[row]!r}; expected a number. Encode or drop the column"
    )


def _plain_labels(target: Any) -> np.ndarray:
    """A target column (N,) as integers or text. Other types are returned unchanged; the next check refuses them."""
    values: np.ndarray = target.to_numpy()
    if values.dtype == object and all(isinstance(value, str) for value in values):
        return values.astype(str)
    return values.astype(int) if values.dtype == object and all(isinstance(v, (bool, int)) for v in values) else values


def load_openml(number: str) -> Rows:
    """The data set with a number on https://www.openml.org. scikit-learn downloads it and keeps it in the data folder.

    Raises :class:`UserError`, with different messages for an unknown number, no network, a folder that cannot be written,
    and unusable data.
    """
    where = f"{OPENML}{number}"
    if not (number.isascii() and number.isdecimal() and len(number) < 12) or int(number) == 0:
        raise UserError(f"{where}: expected the number of a data set, as in {OPENML}61")
    with _openml_errors_in_one_line(where):
        bunch = _fetch(int(number))
    if bunch.frame is None:
        raise UserError(f"{where}: is a sparse table; expected a dense one. Choose another data set")
    if bunch.target is None or bunch.target.ndim != 1:
        raise UserError(f"{where}: has no single target column. Save it as a table with one, and name that")
    return from_frame(where, bunch.data, bunch.target)


def _fetch(number: int) -> Any:
    """scikit-learn's result; it repeats the download once if the network fails."""
    from sklearn.datasets import fetch_openml

    fetch = partial(fetch_openml, data_id=number, n_retries=1, data_home=str(data_folder()))
    with warnings.catch_warnings():  # of failed attempts: the last error is raised
        warnings.filterwarnings("ignore", "A network error|Invalid cache")
        try:
            return fetch()
        except ValueError:
            raise
        except TypeError:  # scikit-learn's fast parser fails on classes named true and false
            return fetch(parser="liac-arff")


@contextmanager
def _openml_errors_in_one_line(where: str) -> Iterator[None]:
    """Raise failures as :class:`UserError` with the cause. An argument that scikit-learn refuses is a bug and passes."""
    try:
        yield
    except (ValueError, KeyError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        if isinstance(error, TypeError):  # scikit-learn's error for a wrong argument is a ValueError and a TypeError
            raise
        if "not found" in str(error):
            raise UserError(f"{where}: no such data set on openml.org. Check the number") from error
        raise UserError(f"{where}: the data cannot be used ({_first_line(error)}). Choose another data set") from error
    except HTTPError as error:
        error.close()
        raise UserError(f"{where}: openml.org answers {error.code} ({error.reason}). Try again later") from error
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        raise UserError(f"{where}: openml.org cannot be reached ({_first_line(error)}). Is there a network?") from error
    except OSError as error:
        raise UserError(
            f"{where}: cannot be kept in {data_folder()} ({_first_line(error)}). Set {FOLDER_VARIABLE} to another folder"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
