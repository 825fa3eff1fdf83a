"""Standard streams that accept any text, even where they are closed."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path


def ready_streams() -> None:
    """Connect closed standard streams to the null device, and print characters that the encoding lacks as ``?``.

    Closed descriptors are opened too. Otherwise the next file, perhaps a database, would get the number of standard
    output, and child processes would write to it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # opens the lowest free descriptor: this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  open to the end
        elif isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
