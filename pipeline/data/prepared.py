"""Prepared rows: a large block is preprocessed once, into a file that all processes of a machine map."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipeline.data.folder import data_folder, scratch_folder
from pipeline.data.transform import Transform

KEPT = 4
"""The number of blocks that the data folder keeps, the last used; a block of CIFAR-10 has 703 MiB."""
ROWS_FILE, TRANSFORM_FILE = "rows.bin", "transform.npz"
Make = Callable[[], tuple[Transform, Iterable[np.ndarray]]]
"""A function that learns the transform, and returns it with the transformed rows, a chunk at a time."""


def prepared(name: str, count: int, dtype: str, make: Make) -> tuple[Transform, np.ndarray]:
    """Return a prepared transform and its rows (N, M), mapped read-only. If they do not exist, one process makes them.

    ``name``, that of the folder, is a hash of what decides the rows; ``count`` is N. Raises :class:`UserError` if the data
    folder cannot be written to.
    """
    folder = data_folder() / "prepared" / name
    while True:
        if not _is_complete(folder):
            with scratch_folder(folder.parent, "prepared") as scratch:
                if not _is_complete(folder):  # another process may have made them while this one waited
                    _delete_oldest(folder.parent, KEPT - 1, scratch)
                    _write(scratch / name, *make(), dtype)
                    if folder.exists():
                        folder.rename(scratch / "incomplete")
                    (scratch / name).rename(folder)
        with suppress(FileNotFoundError):  # another process may have deleted them since
            return _read(folder, count, dtype)


def _is_complete(folder: Path) -> bool:
    return (folder / ROWS_FILE).exists() and (folder / TRANSFORM_FILE).exists()


def _write(folder: Path, transform: Transform, parts: Iterable[np.ndarray], dtype: str) -> None:
    """Write the files without mapping them, so that a full disk raises an error and kills no process."""
    folder.mkdir()
    np.savez(folder / TRANSFORM_FILE, **{key: value for key, value in asdict(transform).items() if value is not None})
    with (folder / ROWS_FILE).open("wb") as stream:
        for part in parts:
            stream.write(np.ascontiguousarray(part, dtype).data)
        stream.flush()
        os.fsync(stream.fileno())


def _read(folder: Path, count: int, dtype: str) -> tuple[Transform, np.ndarray]:
    with np.load(folder / TRANSFORM_FILE, allow_pickle=False) as arrays:
        transform = Transform(**{key: arrays[key] for key in arrays.files})
    rows = np.memmap(folder / ROWS_FILE, dtype, mode="r")
    os.utime(folder)
    return transform, np.asarray(rows).reshape(count, -1)


def _delete_oldest(folder: Path, kept: int, scratch: Path) -> None:
    """Delete all blocks except the last used. A process that has mapped a deleted one keeps its rows.

    A block is moved to ``scratch`` first, so that a killed process leaves no incomplete block.
    """
    blocks = sorted(
        (path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda p: p.stat().st_mtime
    )
    for path in blocks[: max(0, len(blocks) - kept)]:
        shutil.rmtree(path.rename(scratch / f"old-{path.name}"), ignore_errors=True)
