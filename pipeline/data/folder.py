"""The data folder: data sets are written there by one process at a time, and only complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UserError
from pipeline.file_locks import lock_file

FOLDER_VARIABLE = "BABYSIT_DATA_DIR"
MIB = 2**20


def data_folder() -> Path:
    """The folder ``BABYSIT_DATA_DIR``; if it is not set, babysit's folder in the user's cache."""
    import pooch  # type: ignore[import-untyped]

    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given).expanduser().absolute() if given else Path(pooch.os_cache("babysit"))


@contextlib.contextmanager
def scratch_folder(folder: Path, name: str) -> Iterator[Path]:
    """A temporary folder inside ``folder``, for one process at a time; it is deleted at the end.

    What a killed process left in it is deleted by the next one. Raises :class:`UserError` if ``folder`` cannot be written to.
    """
    with _write_errors_in_one_line(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{name}.lock").open("a") as lock:
            if not lock_file(lock, wait=False):
                say(f"{name}: another process is preparing it; waiting for that")
                lock_file(lock, wait=True)
            scratch = folder / f".{name}.partial"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _write_errors_in_one_line(folder: Path) -> Iterator[None]:
    """Raise errors of the file system as :class:`UserError`, with the free space and a remedy."""
    try:
        yield
    except OSError as error:
        remedy = f"Make room, or set {FOLDER_VARIABLE} to a folder that you may write to"
        raise UserError(
            f"{error.filename or folder}: {error.strerror or error} ({_free_space(folder)}). {remedy}"
        ) from error


def _free_space(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / MIB:,.0f} MiB free"
    except OSError:
        return "there is no such folder"


def say(line: str) -> None:
    """Print a line on standard error, apart from the output of the command."""
    sys.stderr.write(f"{line}\n")
