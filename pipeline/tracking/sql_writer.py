"""Writes many trials into MLflow in one transaction, as rows of its tables, if their schema is tested."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import mlflow
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlLatestMetric, SqlMetric, SqlParam, SqlRun, SqlTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.utils.uri import append_to_uri_path
from sqlalchemy import Connection, Table, bindparam, insert, select, text

from pipeline.tracking.run_record import MetricPoint, RunRecord

TESTED = {"dc11669786a5": "3.17.2"}
"""Schema revisions, and the version of MLflow whose client writes the same rows (tests/tracking/test_sql_writer.py)."""
DIALECTS = ("sqlite", "postgresql")
"""The databases that this was tested on."""

Row = dict[str, Any]


class SqlWriter:
    """Writes whole batches: all runs of a batch appear at once, FINISHED and with their full curves, or none does."""

    def __init__(self, store: Any) -> None:
        """Take MLflow's ``SqlAlchemyStore``."""
        self.store = store

    def write(self, experiment_id: str, runs: Sequence[RunRecord]) -> list[str]:
        """Insert the runs. Return their ids, in order."""
        ids = sorted(new_run_id() for _ in runs)
        with self.store.ManagedSessionMaker(read_only=False) as session:
            experiment = session.execute(EXPERIMENT, {"id": int(experiment_id)}).one()
            if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
                raise MlflowException(f"The experiment {experiment_id} must be in the 'active' state.")
            for table, rows_of in TABLES:
                if rows := [row for pair in zip(ids, runs, strict=True) for row in rows_of(experiment, *pair)]:
                    _insert(session.connection(), table, rows)
        return ids

    def append(self, points: Mapping[str, Sequence[MetricPoint]]) -> None:
        """Insert metrics that runs do not have yet, by the ids of the runs: all at once, or none."""
        rows = [_metric(run_id, point) for run_id, new in points.items() for point in new]
        last = [_metric(run_id, point) for run_id, new in points.items() for point in _last(new)]
        with self.store.ManagedSessionMaker(read_only=False) as session:
            _insert(session.connection(), SqlMetric.__table__, rows)
            _insert(session.connection(), SqlLatestMetric.__table__, last)


def _insert(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Do what ``execute(insert(table), rows)`` does, without SQLAlchemy's processing of every value.

    That takes as long as the rest. The values are plain numbers and text, which the drivers of :data:`DIALECTS` accept.
    """
    statement = insert(table).compile(dialect=connection.dialect, column_keys=list(rows[0]))
    places = statement.positiontup
    connection.exec_driver_sql(str(statement), [itemgetter(*places)(row) for row in rows] if places else list(rows))


def new_run_id() -> str:
    """Return a new id of 32 hex digits that sorts by time (RFC 9562, version 7).

    The indexes of MLflow's tables grow at their ends with such ids. With random ids, each run would touch other pages of
    every index, and a trial would cost more the more trials there are.
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
    """Yield the value of each metric that MLflow shows and searches: that of the last step."""
    return (_metric(run_id, point) for point in _last(run.points))


def _last(points: Sequence[MetricPoint]) -> list[MetricPoint]:
    return list({point.key: point for point in points}.values())


def _metric(run_id: str, point: MetricPoint) -> Row:
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
"""The tables of a run, in the order that their foreign keys need, and the function that makes its rows."""


def untested(store: Any) -> str:
    """Return the reason why this writer is not tested for a store; empty if it is."""
    if type(store) is not SqlAlchemyStore:  # its subclasses keep workspaces apart
        return f"{type(store).__name__} is no plain database"
    if store.db_type not in DIALECTS:
        return f"it is not tested on {store.db_type}"
    schema = revision(store)
    if schema not in TESTED:
        return f"schema {schema} is not known"
    return "" if mlflow.__version__ == TESTED[schema] else f"MLflow {mlflow.__version__} is not known"


def revision(store: Any) -> str:
    """Return the revision of the database's schema, as MLflow's migrations name it."""
    with store.engine.connect() as connection:
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))
