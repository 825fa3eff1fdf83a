"""MLflow's database, created whole or not at all. MLflow itself creates its tables in hundreds of separate steps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.tracking.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from sqlalchemy import literal_column, select, table
from sqlalchemy.dialects.sqlite import dialect

from pipeline.storage.addresses import artifact_root, sqlite_file
from pipeline.storage.failures import LOCKED_SECONDS

BOOKKEEPING = ("alembic_version", "workspaces")
"""The tables that have rows before MLflow has finished a database."""


def open_store(uri: str) -> SqlAlchemyStore:
    """Open MLflow's store at a database. A new or half-created SQLite database is created whole first.

    The experiments that this store creates keep their artifacts next to the database, also from another current folder.
    MLflow's client at the same address shares the store's connections.
    """
    artifacts = artifact_root(uri)
    if file := sqlite_file(uri):
        _complete(file, artifacts)
    workspaces = MLFLOW_ENABLE_WORKSPACES.get()  # type: ignore[no-untyped-call]
    kind = WorkspaceAwareSqlAlchemyStore if workspaces else SqlAlchemyStore
    return kind(uri, artifacts)  # type: ignore[no-untyped-call]


def _complete(file: Path, artifacts: str) -> None:
    """Write a whole database in one transaction to a file that holds no record.

    A process that is killed while it creates the tables leaves such a file, and MLflow cannot resume from it.
    """
    with closing(sqlite3.connect(file, timeout=LOCKED_SECONDS)) as target:
        if not _is_blank(target):
            return
        # All connections of this process share this database in memory, until the last one closes.
        memory = f"file:/{uuid4().hex}?vfs=memdb"
        with closing(sqlite3.connect(memory, uri=True)) as whole:
            store = SqlAlchemyStore(f"sqlite+pysqlite:///{memory}&uri=true", artifacts)  # type: ignore[no-untyped-call]
            store.engine.dispose()
            if _is_blank(target):  # another program may have finished it by now
                whole.backup(target)


def _is_blank(database: sqlite3.Connection) -> bool:
    """Return True if the database holds no record. MLflow's last step in creating one is to add its default experiment."""
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    names = {name for (name,) in tables} - set(BOOKKEEPING)
    queries = (select(literal_column("1")).select_from(table(name)).compile(dialect=dialect()) for name in names)
    return not any(database.execute(str(query)).fetchone() for query in queries)
