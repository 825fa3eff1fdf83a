"""Locks on files and folders. The kernel holds them, so they end with the process, however that ends."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pipeline.seeds import derive_seed

try:
    import fcntl
except ImportError:  # Windows has no such locks; its users must not record one study from two processes
    fcntl = None  # type: ignore[assignment]

AVAILABLE = fcntl is not None
FIRST_BYTE = 1 << 61
"""No file is as long as this, and SQLite locks no byte there."""


def lock_file(file: IO[str] | int, *, wait: bool) -> bool:
    """Lock an open file or folder until it is closed. Return False if it is taken and ``wait`` is False."""
    try:
        if AVAILABLE:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked_byte(file: Path, name: str, *, wait: bool) -> Iterator[None]:
    """Lock a byte far beyond the end of a file during the body.

    Unlike the lock of a path, this one holds under every name of the file. ``name`` selects the byte, so different names do
    not exclude each other. Only Linux has such locks. Elsewhere, and on a file system without them, the body runs without a
    lock. Raises ``BlockingIOError`` if another process holds the byte and ``wait`` is False.
    """
    if sys.platform != "linux":
        yield
        return
    descriptor = os.open(file, os.O_RDWR)
    try:
        byte = FIRST_BYTE + derive_seed("byte", name)
        lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, lock)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
        yield
    finally:
        os.close(descriptor)
