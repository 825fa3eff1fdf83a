"""The data folder: where data sets are kept, written to by one process at a time, and never half."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pipeline.errors import UserError

FOLDER_VARIABLE = "BABYSIT_DATA_DIR"
MIB = 2**20


def data_folder() -> Path:
    """Where data sets are kept: ``BABYSIT_DATA_DIR``, or else the user's cache folder."""
    import pooch  # type: ignore[import-untyped]

    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given).expanduser().absolute() if given else Path(pooch.os_cache("babysit"))


@contextlib.contextmanager
def workshop(folder: Path, name: str) -> Iterator[Path]:
    """A scratch folder inside ``folder``, for one process at a time; it is gone afterwards.

    What a killed process left behind is cleared away by the next one. Raises :class:`UserError` where nothing can be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f".{name}.lock").open("a") as lock:
            _hold(lock, name)
            scratch = folder / f".{name}.partial"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)


def _hold(lock: IO[str], name: str) -> None:
    """Hold the lock of an open file until it is closed; whoever has to wait for it is told why."""
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"{name}: another process is bringing it; waiting for that")
        fcntl.flock(lock, fcntl.LOCK_EX)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except OSError as error:
        remedy = f"Make room, or set {FOLDER_VARIABLE} to a folder that you may write to"
        raise UserError(
            f"{error.filename or folder}: {error.strerror or error} ({free_space(folder)}). {remedy}"
        ) from error


def free_space(folder: Path) -> str:
    """How much room there is, in words."""
    try:
        return f"{shutil.disk_usage(folder).free / MIB:,.0f} MiB free"
    except OSError:
        return "there is no such folder"


def say(line: str) -> None:
    """Tell the user, beside what a command prints."""
    sys.stderr.write(f"{line}\n")
