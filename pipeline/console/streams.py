"""Standard streams that take whatever is written to them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path


def ready_streams() -> None:
    """Have a closed standard stream lead to the null device, and a character that the encoding lacks become ``?``.

    Descriptors are opened too: the next file, a database perhaps, would else be taken for standard output by children.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free descriptor: this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  open to the end
        elif isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")
