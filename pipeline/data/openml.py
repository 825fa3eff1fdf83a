"""Data sets of openml.org, which scikit-learn downloads and keeps in the data folder."""

from __future__ import annotations

import gzip
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError

from pipeline.data.folder import FOLDER_VARIABLE, data_folder
from pipeline.data.frames import from_frame
from pipeline.data.problems import Problems, first_line
from pipeline.data.rows import Rows
from pipeline.data.table_names import OPENML
from pipeline.errors import UserError
from pipeline.study.data_source import DataSource


def load_openml(source: DataSource) -> Rows:
    """The data set with a number on https://www.openml.org. scikit-learn downloads it and keeps it in the data folder.

    Raises :class:`UserError`, with different messages for an unknown number, no network, a folder that cannot be written,
    and unusable data.
    """
    where, number = source.name, source.name.removeprefix(OPENML)
    if not (number.isascii() and number.isdecimal() and len(number) < 12) or int(number) == 0:
        raise UserError(f"{where}: expected the number of a data set, as in {OPENML}61")
    with _errors_in_one_line(where):
        bunch = _fetch(int(number))
    if bunch.frame is None:
        raise UserError(f"{where}: is a sparse table; expected a dense one. Choose another data set")
    if bunch.target is None or bunch.target.ndim != 1:
        raise UserError(f"{where}: has no single target column. Save it as a table with one, and name that")
    return from_frame(source, bunch.data, bunch.target, Problems(where))


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
def _errors_in_one_line(where: str) -> Iterator[None]:
    """Raise failures as :class:`UserError` with the cause. An argument that scikit-learn refuses is a bug and passes."""
    try:
        yield
    except (ValueError, KeyError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        if isinstance(error, TypeError):  # scikit-learn's error for a wrong argument is a ValueError and a TypeError
            raise
        if "not found" in str(error):
            raise UserError(f"{where}: no such data set on openml.org. Check the number") from error
        raise UserError(f"{where}: the data cannot be used ({first_line(error)}). Choose another data set") from error
    except HTTPError as error:
        error.close()
        raise UserError(f"{where}: openml.org answers {error.code} ({error.reason}). Try again later") from error
    except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
        raise UserError(f"{where}: openml.org cannot be reached ({first_line(error)}). Is there a network?") from error
    except OSError as error:
        raise UserError(
            f"{where}: cannot be kept in {data_folder()} ({first_line(error)}). Set {FOLDER_VARIABLE} to another folder"
        ) from error
