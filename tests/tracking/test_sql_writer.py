"""The contract of the two writers: the same trials leave the same rows and the same answers, whichever wrote them.

It holds for the MLflow versions and schema revisions in ``sql_writer.TESTED``. Another version is entered there when
these tests pass with it; until then its stores are written through the client.
"""

import json
import re
import shutil
import uuid
from collections import Counter

import mlflow
import numpy as np
import pytest
from sqlalchemy import create_engine, inspect, text

from pipeline.tracking import Tracker
from pipeline.tracking.client_writer import ClientWriter
from pipeline.tracking.sql_writer import TESTED, SqlWriter, new_run_id, revision

CURVES = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
QUERIES = (
    ("", "attributes.start_time DESC"),
    ("metrics.`best/val_accuracy` > 0.15", "metrics.`best/val_accuracy` DESC"),
    ("metrics.`val/loss` < 0.6 and metrics.gap >= 0", "metrics.gap ASC"),
    ("metrics.`test/loss` != 1", "metrics.`test/loss` ASC"),
    ("params.init = 'he' and params.learning_rate = '0.01'", "params.momentum DESC"),
    ("tags.arm = 'grid' and tags.diverged = 'False'", "tags.trial ASC"),
    ("attributes.status = 'FINISHED' and run_name LIKE 'random-b02-%'", "run_name DESC"),
    ("attributes.end_time > 1700000003000", "attributes.end_time ASC"),
    ("tags.`mlflow.parentRunId` != 'none' and tags.kind = 'trial'", "params.log10_learning_rate ASC"),
)


@pytest.fixture(scope="module")
def trials(finish):
    """Return trials of two arms, with NumPy's numbers, a short curve, missing scores, and no number at all."""
    plain = [finish(number) for number in range(4)]
    plain += [finish(number, arm="grid", ended=1_700_000_100.5 + number) for number in range(3)]
    arrays = {key: np.linspace(0, 1, 5, dtype=np.float32) for key in CURVES}
    scores = {"best/val_accuracy": 0.1, "best/epoch": np.int64(0), "gap": np.nan, "test/loss": np.inf}
    return [
        *plain,
        finish(4, curves=arrays),
        finish(5, curves={key: [0.5, np.nan] for key in CURVES}, scores=scores, diverged=True),
        finish(6, curves=dict.fromkeys(CURVES, ()), scores={}, diverged=True),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The current folder, below which MLflow keeps its artifacts."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        path = tmp_path_factory.mktemp("contract")
        monkeypatch.chdir(path)
        yield path


@pytest.fixture(scope="module")
def databases(folder, empty_mlflow_db):
    """Return a function that makes SQLite databases and returns their addresses."""
    return lambda *names: [f"sqlite:///{shutil.copyfile(empty_mlflow_db, folder / name)}" for name in names]


@pytest.fixture(scope="module")
def sqlite_stores(databases):
    """Two fresh SQLite databases."""
    return [(uri, uri) for uri in databases("client.db", "bulk.db")]


@pytest.fixture(scope="module")
def server_stores(folder, databases, mlflow_server):
    """A tracking server in front of a fresh SQLite database, and a fresh database itself."""
    behind, beside = databases("behind.db", "beside.db")
    with mlflow_server(behind, "--default-artifact-root", str(folder / "mlruns"), "--no-serve-artifacts") as address:
        yield [(address, behind), (beside, beside)]


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "server")]


@pytest.fixture(scope="module", params=["sqlite", *SLOW])
def both(request, folder, study, trials):
    """Record the same trials with each writer. Return, for each, the tracker, the names of the ids and the new rows."""
    by_client, in_bulk = request.getfixturevalue(f"{request.param}_stores")
    return [recorded(*by_client, ClientWriter, study, trials), recorded(*in_bulk, SqlWriter, study, trials)]


def recorded(uri, database, route, study, trials):
    """Record the trials in two batches. Return the tracker, the name of each id, and the database's new rows."""
    tracker = Tracker(uri)
    tracker.open(study)
    if route is ClientWriter:
        tracker.writer = ClientWriter(tracker.client)
    assert type(tracker.writer) is route
    before = rows(database)
    ids = tracker.record(study, trials[:6]) + tracker.record(study, trials[6:])
    names = {run_id: trial.plan.name for run_id, trial in zip(ids, trials, strict=True)} | {tracker.run_id: "parent"}
    return tracker, names, renamed(list((rows(database) - before).elements()), names)


def rows(database):
    """Count every row of every table, with the types of its values."""
    engine = create_engine(database)
    with engine.connect() as connection:
        tables = inspect(engine).get_table_names()
        found = Counter(
            (table, *((column, type(value).__name__, value) for column, value in row.items()))
            for table in tables
            for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings()  # noqa: S608
        )
    engine.dispose()
    return found


def renamed(plain, names):
    """Return a plain value with names in place of ids, and without the root of artifacts, which a server chooses."""
    text = re.sub(r'"[^"]*(/\d+/[^"/]+/artifacts")', r'"root\1', json.dumps(plain))
    for run_id, name in names.items():
        text = text.replace(run_id, name)
    return json.loads(text)


def test_the_rows_are_the_same(both, trials):
    """Apart from the ids, the new rows of every table are equal in value and type."""
    (_, _, by_client), (_, _, in_bulk) = both
    assert sorted(in_bulk) == sorted(by_client)
    tables = Counter(table for table, *_ in in_bulk)
    assert set(tables) == {"runs", "tags", "params", "metrics", "latest_metrics"}
    assert tables["runs"] == len(trials)


def test_the_runs_are_the_same(both):
    """``get_run`` answers the same for every trial."""
    by_client, in_bulk = [
        [renamed(tracker.client.get_run(run_id).to_dictionary(), names) for run_id in names if run_id != tracker.run_id]
        for tracker, names, _ in both
    ]
    assert in_bulk == by_client


@pytest.mark.parametrize(("query", "order"), QUERIES)
def test_searches_find_the_same(query, order, both):
    """``search_runs`` answers the same runs in the same order, for filters and orders of every kind."""
    found = []
    for tracker, names, _ in both:
        runs = tracker.client.search_runs([tracker.experiment_id], query, order_by=[order])
        found.append([names[run.info.run_id] for run in runs if run.info.run_id != tracker.run_id])
    assert found[0] == found[1] != []


def test_the_histories_are_the_same(both):
    """``get_metric_history`` answers the same points in the same order, for every metric of every trial."""
    histories = [
        {
            (name, key): [renamed(dict(point), names) for point in tracker.client.get_metric_history(run_id, key)]
            for run_id, name in names.items()
            for key in (*CURVES, "best/val_accuracy", "best/epoch", "gap", "test/accuracy", "test/loss")
        }
        for tracker, names, _ in both
    ]
    assert histories[0] == histories[1]
    assert sum(map(len, histories[0].values())) > 150


def test_the_contract_is_with_this_mlflow(tracking_uri):
    """The installed MLflow and its schema are in ``TESTED``."""
    store = Tracker(tracking_uri).store
    assert TESTED[revision(store)] == mlflow.__version__


def test_ids_are_of_version_7_and_sort_by_time(monkeypatch):
    """Ids are distinct UUIDs of version 7 (RFC 9562), and an id made a millisecond later sorts later."""
    monkeypatch.setattr("pipeline.tracking.sql_writer.time.time_ns", iter(range(10**18, 2 * 10**18, 10**6)).__next__)
    ids = [new_run_id() for _ in range(200)]
    assert ids == sorted(set(ids))
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids} == {(7, uuid.RFC_4122)}
