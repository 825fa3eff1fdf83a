"""Recording into a store that others read: whole batches or nothing, and neither locks nor memory are kept."""

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

BROKEN = """
SELECT (SELECT count(*) FROM runs WHERE name != 'made_up' AND (status != 'FINISHED' OR end_time IS NULL))
+ abs((SELECT count(*) FROM metrics) - 25 * (SELECT count(*) FROM runs WHERE name != 'made_up'))
"""
"""The number of unfinished trials plus missing values. Each trial has four curves of five epochs, and five scores."""


def ask(query, **options):
    """Return what another process reads from the database."""
    with closing(sqlite3.connect("mlflow.db", **options)) as connection:
        return connection.execute(query).fetchone()[0]


def count(table="runs"):
    """Return the number of rows of a table."""
    return ask(f"SELECT count(*) FROM {table}")  # noqa: S608


def test_a_batch_is_written_whole_or_not_at_all(tracker, study, finish):
    """If the database refuses one trial, nothing of its batch is written, and the next batch is."""
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
    """While batches are recorded, another process only reads trials that are FINISHED and have all values."""
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
    """A batch waits for another process's query or change to end, and is then written."""
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
    """Between batches others may write without waiting, and no file stays next to the database."""
    either.record(study, [finish(0)])
    with closing(sqlite3.connect("mlflow.db", timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("COMMIT")
    assert ask("PRAGMA journal_mode") == "delete"
    assert ask("PRAGMA integrity_check") == "ok"
    assert {path.name for path in Path().glob("mlflow.db*")} == {"mlflow.db"}


def test_memory_stays_flat(tracker, study, finish):
    """After ten more batches, memory has grown by less than half of what one batch needs."""
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
    """After kill -9 at any moment the store is intact, holds only whole batches, and recording can be resumed."""
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
    """At a server's address the client writes the trials, the description says so, and MLflow prints no line for each."""
    with mlflow_server(tracking_uri) as address:
        tracker = Tracker(address)
        tracker.open(study)
        ids = tracker.record(study, [finish(0), finish(1)])
        tracker.finish("FINISHED")
        assert tracker.links(ui_of(address)).charts.startswith(f"{address}/#/experiments/{tracker.experiment_id}/")
    assert tracker.writer_description == "one by one, by MLflow's client: it is a server"
    assert len(ids) == 2
    assert count() == 3
    assert ask(BROKEN) == 0
    assert capfd.readouterr().out == ""
