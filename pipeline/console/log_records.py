"""The log records of libraries: warnings only, or all of them on standard error with ``--verbose``."""

from __future__ import annotations

import logging
import sys

SILENCED = ("optuna.storages._in_memory",)
"""Loggers of the temporary studies that a search makes; they repeat one message many times."""


class StderrHandler(logging.Handler):
    """Writes log records to the current standard error, which a live display replaces while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record on one line: the logger's name and the message."""
        if record.name not in SILENCED or record.levelno > logging.INFO:
            sys.stderr.write(f"  {record.name}: {' '.join(record.getMessage().split())}\n")


def log_to_stderr() -> None:
    """Write the records of all libraries, from INFO on, to standard error for the rest of the process."""
    logging.basicConfig(level=logging.INFO, handlers=[StderrHandler()], force=True)


def quiet_loggers(*names: str) -> None:
    """Keep only these libraries' warnings, or send all records to the root logger after :func:`log_to_stderr`."""
    verbose = any(isinstance(handler, StderrHandler) for handler in logging.getLogger().handlers)
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO if verbose else logging.WARNING)
        if verbose:
            logger.handlers.clear()
            logger.propagate = True
