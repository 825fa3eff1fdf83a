"""The storage that Optuna's trials are kept in: a database, or a journal file."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from optuna.storages import BaseStorage, RDBStorage

from pipeline.storage.addresses import is_url
from pipeline.storage.journal import Journal
from pipeline.storage.opening import LOCKED_SECONDS


def open_storage(address: str) -> BaseStorage:
    """Optuna's storage at a database URL, or in a journal file."""
    if is_url(address):
        waits = (
            {"connect_args": {"timeout": LOCKED_SECONDS}} if address.startswith("sqlite") else {"pool_pre_ping": True}
        )
        return RDBStorage(address, engine_kwargs=waits)
    return Journal(Path(os.path.realpath(address)))


def at_once(storage: BaseStorage) -> AbstractContextManager[None]:
    """Record all of the body in one write, where the storage can."""
    return storage.at_once() if isinstance(storage, Journal) else nullcontext()
