"""Prepared rows: a large block is preprocessed once, into a file that all processes of a machine map."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipeline.data.folder import data_folder, workshop
from pipeline.data.transform import Transform

KEPT = 4
"""Blocks that the data folder keeps, those that were used last; of CIFAR-10 one has 703 MiB."""
ROWS_FILE, TRANSFORM_FILE = "rows.bin", "transform.npz"
Make = Callable[[], tuple[Transform, Iterable[np.ndarray]]]
"""Learns the transform, and gives the rows that have been through it, some at a time."""


def prepared(name: str, count: int, dtype: str, make: Make) -> tuple[Transform, np.ndarray]:
    """The transform of that name and its ``count`` rows (N, M), mapped read-only; made by one process, if they are not there.

    Raises :class:`pipeline.errors.UserError` where the data folder cannot hold them.
    """
    folder = data_folder() / "prepared" / name
    while True:
        if not _whole(folder):
            with workshop(folder.parent, "prepared") as scratch:
                if not _whole(folder):  # while this process waited, another may have made them
                    _forget(folder.parent, KEPT - 1, scratch)
                    _write(scratch / name, *make(), dtype)
                    if folder.exists():
                        folder.rename(scratch / "half")
                    (scratch / name).rename(folder)
        with suppress(FileNotFoundError):  # another process may have forgotten them meanwhile
            return _read(folder, count, dtype)


def _whole(folder: Path) -> bool:
    return (folder / ROWS_FILE).exists() and (folder / TRANSFORM_FILE).exists()


def _write(folder: Path, transform: Transform, parts: Iterable[np.ndarray], dtype: str) -> None:
    """Written, not mapped: a full disk is then an error, and no signal that kills."""
    folder.mkdir()
    np.savez(folder / TRANSFORM_FILE, **{key: value for key, value in asdict(transform).items() if value is not None})
    with (folder / ROWS_FILE).open("wb") as stream:
        for part in parts:
            stream.write(np.ascontiguousarray(part, dtype).data)
        stream.flush()
        os.fsync(stream.fileno())


def _read(folder: Path, count: int, dtype: str) -> tuple[Transform, np.ndarray]:
    with np.load(folder / TRANSFORM_FILE, allow_pickle=False) as found:
        transform = Transform(**{key: found[key] for key in found.files})
    rows = np.memmap(folder / ROWS_FILE, dtype, mode="r")
    os.utime(folder)
    return transform, np.asarray(rows).reshape(count, -1)


def _forget(folder: Path, kept: int, scratch: Path) -> None:
    """Delete all but the last used; a process that has one mapped keeps its rows until it lets go of them.

    They are moved away first, so that one which is killed meanwhile leaves no half of any.
    """
    blocks = sorted(
        (path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda p: p.stat().st_mtime
    )
    for path in blocks[: max(0, len(blocks) - kept)]:
        shutil.rmtree(path.rename(scratch / f"old-{path.name}"), ignore_errors=True)
