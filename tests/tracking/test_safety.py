"""What recording does to a store that others read: whole batches or nothing, no lock kept, no memory kept."""

import pickle
import random
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from pipeline.tracking import Tracker, ui_of
from pipeline.tracking.client_writer import ClientRoute

BROKEN = """
SELECT (SELECT count(*) FROM runs WHERE name != 'made_up' AND (status != 'FINISHED' OR end_time IS NULL))
+ abs((SELECT count(*) FROM metrics) - 25 * (SELECT count(*) FROM runs WHERE name != 'made_up'))
"""
"""How many trials are not finished, and how many numbers are missing: each has four curves of five epochs, and five scores."""


def ask(query, **options):
    """What another process that opens the database would see."""
    with closing(sqlite3.connect("mlflow.db", **options)) as connection:
        return connection.execute(query).fetchone()[0]


def count(table="runs"):
    """The rows of a table."""
    return ask(f"SELECT count(*) FROM {table}")  # noqa: S608


def test_a_batch_is_written_whole_or_not_at_all(tracker, study, finish):
    """If one trial of a batch is refused by the database, none of the batch is there, and the next batch is."""
    trials = [finish(number) for number in range(3)]
    tables = ("runs", "tags", "params", "metrics", "latest_metrics")
    before = [count(table) for table in tables]
    nameless = finish(2, scores={None: 1.0})  # a metric needs a key
    with pytest.raises(MlflowException, match="NOT NULL constraint failed"):
        tracker.record(study, [*trials[:2], nameless])
    assert [count(table) for table in tables] == before
    assert len(tracker.record(study, trials)) == 3
    assert count() == before[0] + 3


def test_readers_see_whole_trials_only(tracker, study, finish):
    """While batches are recorded, every look from outside finds each trial FINISHED and with all of its numbers."""
    looks, done = [], threading.Event()

    def read():
        while not done.is_set():
            looks.append((ask("SELECT count(*) FROM runs"), ask(BROKEN)))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for batch in range(10):
            tracker.record(study, [finish(32 * batch + number) for number in range(32)])
    finally:
        done.set()
        reader.join()
    assert [broken for _, broken in looks if broken] == []
    assert len({seen for seen, _ in looks}) > 1
    assert count() == 1 + 320


@pytest.mark.parametrize("lock", ["BEGIN", "BEGIN IMMEDIATE"], ids=["reader", "writer"])
def test_others_are_waited_for(lock, either, study, finish):
    """A batch that meets somebody in the middle of a query or a change is written once they are through, and is not lost."""
    with closing(sqlite3.connect("mlflow.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute(lock)
        seen = [other.execute("SELECT count(*) FROM runs").fetchone()[0]]

        def leave():
            seen.append(other.execute("SELECT count(*) FROM runs").fetchone()[0])
            other.execute("COMMIT")

        timer = threading.Timer(0.3, leave)
        timer.start()
        either.record(study, [finish(0)])
        timer.join()
    assert seen == [1, 1]
    assert count() == 2


def test_no_lock_is_kept(either, study, finish):
    """Between batches others may write at once; the journal is SQLite's plain one, and no file stays beside the database."""
    either.record(study, [finish(0)])
    with closing(sqlite3.connect("mlflow.db", timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("COMMIT")
    assert ask("PRAGMA journal_mode") == "delete"
    assert ask("PRAGMA integrity_check") == "ok"
    assert {path.name for path in Path().glob("mlflow.db*")} == {"mlflow.db"}


def test_memory_stays_flat(tracker, study, finish):
    """Ten batches later, what is held has grown by less than half of what one batch takes meanwhile."""
    tracker.record(study, [finish(number) for number in range(32)])
    tracemalloc.start()
    try:
        held = []
        for batch in range(1, 13):
            tracker.record(study, [finish(32 * batch + number) for number in range(32)])
            held.append(tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()
    batch_size = held[1][1] - held[1][0]
    assert held[-1][0] - held[1][0] < batch_size / 2


def test_an_unknown_schema_goes_through_the_client(tracking_uri, study, finish, monkeypatch):
    """A revision that the contract was not seen to hold for is written by MLflow's client, and the route says why."""
    monkeypatch.setattr("pipeline.tracking.sql_writer.HOLDS_FOR", {"0123456789ab": "9.9.9"})
    tracker = Tracker(tracking_uri)
    assert tracker.route == "one by one, by MLflow's client: schema dc11669786a5 is not known"
    assert isinstance(tracker.writer, ClientRoute)
    tracker.open(study)
    (run_id,) = tracker.record(study, [finish(0)])
    assert tracker.client.get_run(run_id).info.status == "FINISHED"


def test_an_unknown_database_goes_through_the_client(tracking_uri, monkeypatch):
    """So is a kind of database that the contract was not seen to hold on."""
    monkeypatch.setattr("pipeline.tracking.sql_writer.DIALECTS", ("postgresql",))
    assert Tracker(tracking_uri).route == "one by one, by MLflow's client: it is not known to be right on sqlite"


def test_workspaces_go_through_the_client(tracking_uri, study, finish, monkeypatch):
    """So is a store that keeps workspaces apart, where more than the rows may decide what is shown."""
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    monkeypatch.setenv("MLFLOW_WORKSPACE", "default")
    tracker = Tracker(tracking_uri)
    assert tracker.route == "one by one, by MLflow's client: WorkspaceAwareSqlAlchemyStore is no plain database"
    tracker.open(study)
    assert len(tracker.record(study, [finish(0)])) == 1


RECORD_FOR_EVER = """
import pickle, sys
from pipeline.tracking import Tracker
study, trials = pickle.load(open("trials.pickle", "rb"))
tracker = Tracker(sys.argv[1])
tracker.open(study)
while True:
    print(*tracker.record(study, trials), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_killed_recorder_leaves_whole_batches(seed, tracking_uri, study, finish):
    """After kill -9 at any moment the store is sound, holds whole batches of whole trials alone, and can be gone on with."""
    Path("trials.pickle").write_bytes(pickle.dumps((study, [finish(number) for number in range(32)])))
    command = [sys.executable, "-c", RECORD_FOR_EVER, tracking_uri]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline().split()
        time.sleep(random.Random(seed).uniform(0, 0.3))
        process.kill()
    assert ask("PRAGMA integrity_check") == "ok"
    assert count() % 32 == 1
    assert ask(BROKEN) == 0
    tracker = Tracker(tracking_uri)
    tracker.open(study, tracker.client.get_run(first[0]).data.tags["mlflow.parentRunId"])
    strays = count() - 1 - 32
    assert tracker.discard_unknown(first) == strays
    assert len(tracker.record(study, [finish(0)])) == 1


@pytest.mark.slow
def test_a_server_reads_along(tracker, study, finish, mlflow_server):
    """A tracking server on the same database answers every search while batches are recorded, with whole trials only."""
    answers, done = [], threading.Event()
    with mlflow_server(tracker.uri) as address:
        client = MlflowClient(address)

        def poll():
            while not done.is_set():
                runs = client.search_runs([tracker.experiment_id], "tags.kind = 'trial'", max_results=100)
                answers.append({(run.info.status, len(run.data.metrics)) for run in runs})

        with ThreadPoolExecutor() as pool:
            polling = pool.submit(poll)
            try:
                for batch in range(20):
                    tracker.record(study, [finish(32 * batch + number) for number in range(32)])
            finally:
                done.set()
            polling.result()
        found = client.search_runs([tracker.experiment_id], "tags.kind = 'trial'", max_results=1000)
    assert set().union(*answers) == {("FINISHED", 9)}
    assert len(found) == 640


@pytest.mark.slow
def test_a_server_is_written_through_the_client(tracking_uri, study, finish, mlflow_server, capfd):
    """Behind a server's address trials go through the client; the route says so, and MLflow prints no line for each."""
    with mlflow_server(tracking_uri) as address:
        tracker = Tracker(address)
        tracker.open(study)
        ids = tracker.record(study, [finish(0), finish(1)])
        tracker.finish("FINISHED")
        assert tracker.links(ui_of(address)).charts.startswith(f"{address}/#/experiments/{tracker.experiment_id}/")
    assert tracker.route == "one by one, by MLflow's client: it is a server"
    assert len(ids) == 2
    assert count() == 3
    assert ask(BROKEN) == 0
    assert capfd.readouterr().out == ""
