"""The bulk route: many trials in one transaction, as rows of MLflow's own tables, where it knows their schema."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import Connection, Table, bindparam, insert, select, text

from pipeline.tracking.run_record import Point, RunRecord

HOLDS_FOR = {"dc11669786a5": "3.17.2"}
"""Schema revisions, and the MLflow whose client was seen to write the same rows (tests/tracking/test_routes.py)."""
DIALECTS = ("sqlite", "postgresql")
"""The databases that was seen on."""

Row = dict[str, Any]


class BulkRoute:
    """Writes whole batches: all of a batch's runs appear at once, FINISHED and with their full curves, or none does."""

    def __init__(self, store: Any) -> None:
        """Take the ``SqlAlchemyStore`` that a client stands on."""
        self.store = store

    def write(self, experiment_id: str, runs: Sequence[RunRecord]) -> list[str]:
        """Insert the runs; their ids, in order."""
        ids = sorted(new_run_id() for _ in runs)
        with self.store.ManagedSessionMaker(read_only=False) as session:
            experiment = session.execute(EXPERIMENT, {"id": int(experiment_id)}).one()
            if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
                raise MlflowException(f"The experiment {experiment_id} must be in the 'active' state.")
            for table, rows_of in TABLES:
                if rows := [row for named in zip(ids, runs, strict=True) for row in rows_of(experiment, *named)]:
                    _insert(session.connection(), table, rows)
        return ids


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """What ``execute(insert(table), rows)`` does, but for SQLAlchemy's look at every value, which takes as long as the rest.

    The values are plain numbers and text, which the drivers of :data:`DIALECTS` take as they are.
    """
    statement = insert(table).compile(dialect=connection.dialect, column_keys=list(rows[0]))
    places = statement.positiontup
    connection.exec_driver_sql(str(statement), [itemgetter(*places)(row) for row in rows] if places else list(rows))


def new_run_id() -> str:
    """A new id that sorts by its time (RFC 9562, version 7), 32 hex digits.

    The indexes of MLflow's tables grow at their ends with such ids. With random ones each run would touch pages of its
    own in all of them, and a trial cost more the more there are.
    """
    value = time.time_ns() // 10**6 << 80 | secrets.randbits(80)
    version, variant = 0xF << 76, 0x3 << 62
    return f"{value & ~(version | variant) | 7 << 76 | 2 << 62:032x}"


def _run(experiment: Any, run_id: str, run: RunRecord) -> Iterator[Row]:
    yield {
        "run_uuid": run_id,
        "name": run.name,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "user_id": run.tags["mlflow.user"],
        "status": "FINISHED",
        "start_time": run.started,
        "end_time": run.ended,
        "deleted_time": None,
        "source_version": "",
        "lifecycle_stage": LifecycleStage.ACTIVE,
        "artifact_uri": append_to_uri_path(experiment.artifact_location, run_id, "artifacts"),  # type: ignore[no-untyped-call]
        "experiment_id": experiment.experiment_id,
    }


def _tags(_: Any, run_id: str, run: RunRecord) -> Iterator[Row]:
    for key, value in {**run.tags, "mlflow.runName": run.name}.items():
        yield {"run_uuid": run_id, "key": key, "value": value}


def _params(_: Any, run_id: str, run: RunRecord) -> Iterator[Row]:
    for key, value in run.params.items():
        yield {"run_uuid": run_id, "key": key, "value": value}


def _metrics(_: Any, run_id: str, run: RunRecord) -> Iterator[Row]:
    return (_metric(run_id, point) for point in run.points)


def _latest(_: Any, run_id: str, run: RunRecord) -> Iterator[Row]:
    """Of each metric the value that MLflow shows and searches: that of the last step."""
    last = {point.key: point for point in run.points}
    return (_metric(run_id, point) for point in last.values())


def _metric(run_id: str, point: Point) -> Row:
    key, value, timestamp, step = point
    return {"run_uuid": run_id, "is_nan": False, "key": key, "value": value, "timestamp": timestamp, "step": step}


EXPERIMENT = select(SqlExperiment.__table__).where(SqlExperiment.experiment_id == bindparam("id"))
ROW_MAKERS: dict[Any, Callable[[Any, str, RunRecord], Iterator[Row]]] = {
    SqlRun: _run,
    SqlTag: _tags,
    SqlParam: _params,
    SqlMetric: _metrics,
    SqlLatestMetric: _latest,
}
TABLES = [(model.__table__, rows_of) for model, rows_of in ROW_MAKERS.items()]
"""The tables that a run is in, in the order their foreign keys ask for, and the rows it has there."""


def unknown(store: Any) -> str:
    """Why the bulk route is not known to be right for a store; empty if it is."""
    if type(store) is not SqlAlchemyStore:  # its subclasses keep workspaces apart
        return f"{type(store).__name__} is no plain database"
    if store.db_type not in DIALECTS:
        return f"it is not known to be right on {store.db_type}"
    found = revision(store)
    return "" if found in HOLDS_FOR else f"schema {found} is not known"


def revision(store: Any) -> str:
    """The revision of the database's schema, as MLflow's migrations name it."""
    with store.engine.connect() as connection:
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))
