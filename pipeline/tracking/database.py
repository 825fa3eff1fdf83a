"""MLflow's database, made whole or not at all: MLflow itself makes its tables in hundreds of separate steps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient
from sqlalchemy import literal_column, select, table
from sqlalchemy.dialects.sqlite import dialect

from pipeline.storage.addresses import artifact_root, sqlite_file
from pipeline.storage.opening import LOCKED_SECONDS

BOOKKEEPING = ("alembic_version", "workspaces")
"""The tables that have rows before MLflow has finished a database."""


def open_client(uri: str) -> MlflowClient:
    """A client of a database; a new or half-made SQLite database is made whole first.

    New experiments keep their artifacts next to the database, whatever the current folder is.
    """
    if file := sqlite_file(uri):
        _complete(file, artifact_root(uri))
    elif not MLFLOW_ENABLE_WORKSPACES.get():  # type: ignore[no-untyped-call]
        # The default experiment is made here.
        SqlAlchemyStore(uri, artifact_root(uri))  # type: ignore[no-untyped-call]
    client = MlflowClient(tracking_uri=uri)
    # The only way to the store behind a client.
    client._tracking_client.store.artifact_root_uri = artifact_root(uri)  # noqa: SLF001
    return client


def _complete(file: Path, artifacts: str) -> None:
    """Write a whole database in one transaction to a file that holds no record.

    A process that was killed while it made the tables leaves such a file, and MLflow cannot go on with it.
    """
    with closing(sqlite3.connect(file, timeout=LOCKED_SECONDS)) as target:
        if not _is_blank(target):
            return
        # All connections of this process share this database in memory, until the last one closes.
        memory = f"file:/{uuid4().hex}?vfs=memdb"
        with closing(sqlite3.connect(memory, uri=True)) as whole:
            store = SqlAlchemyStore(f"sqlite+pysqlite:///{memory}&uri=true", artifacts)  # type: ignore[no-untyped-call]
            store.engine.dispose()
            if _is_blank(target):  # another program may have finished it meanwhile
                whole.backup(target)


def _is_blank(database: sqlite3.Connection) -> bool:
    """Whether it holds no record: MLflow's last step is to add its default experiment."""
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    names = {name for (name,) in tables} - set(BOOKKEEPING)
    queries = (select(literal_column("1")).select_from(table(name)).compile(dialect=dialect()) for name in names)
    return not any(database.execute(str(query)).fetchone() for query in queries)
