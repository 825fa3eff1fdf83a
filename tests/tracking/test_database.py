"""MLflow's database is created whole or not at all, and artifacts go next to it, whatever the current folder is."""

import itertools
import os
import random
import signal
import sqlite3
from contextlib import closing

import pytest
from mlflow import MlflowClient
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine

from pipeline.cli.main import main
from pipeline.storage.addresses import sqlite_address
from pipeline.storage.journal import open_storage
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.tracking import Tracker
from pipeline.tracking.experiments import ensure_experiment

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
ONE_TRIAL = ["--trials", "1", "--blocks", "1", "--workers", "1"]


class Cut(BaseException):
    """Ends an operation in the middle, as the end of a process does."""


def stop_at(number, make):
    """Call ``make``, and end it before the SQL statement of this number. Return True if it was ended."""
    statements = iter(range(number))

    def count(*_):
        if next(statements, None) is None:
            raise Cut

    event.listen(Engine, "before_cursor_execute", count)
    try:
        make()
    except Cut:
        return True
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    return False


def rows(path, table):
    """Return the number of rows of a table."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608


@pytest.mark.parametrize("number", [130, 492])
def test_a_database_that_mlflow_left_half_made_is_made_whole(number, tmp_path):
    """A database without a record, whose creation was cut short, is completed when it is opened."""
    path = tmp_path / "mlflow.db"
    assert stop_at(number, lambda: MlflowClient(sqlite_address(path)).search_experiments())
    assert rows(path, "sqlite_master") > 0
    assert Tracker(sqlite_address(path)).find_latest() is None
    assert rows(path, "experiments") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_half_made_database_that_has_a_record_is_told(tmp_path, monkeypatch, tiny_source, capsys):
    """A half-made database with an experiment in it is refused with one line and exit code 2, and not changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(tiny_source)
    address = sqlite_address(tmp_path / "mlflow.db")
    assert stop_at(492, lambda: MlflowClient(address).search_experiments())
    with closing(sqlite3.connect("mlflow.db")) as connection:
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (1, 'mine', 'active')"
        )
        connection.commit()
    before = (tmp_path / "mlflow.db").read_bytes()
    assert main(["search", "tiny.py", *ONE_TRIAL]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "some of its tables are missing; restore a copy of it" in line
    assert (tmp_path / "mlflow.db").read_bytes() == before


def test_a_database_is_made_in_one_transaction(tmp_path):
    """If its creation is stopped, the file has no table, and is completed when it is opened next."""
    path = tmp_path / "mlflow.db"
    assert stop_at(492, lambda: Tracker(sqlite_address(path)))
    assert rows(path, "sqlite_master") == 0
    Tracker(sqlite_address(path))
    assert rows(path, "experiments") == 1


@pytest.mark.parametrize("number", range(0, 60, 3))
def test_optunas_database_is_completed(number, tmp_path):
    """Optuna creates its missing tables, wherever it was stopped before."""
    address = sqlite_address(tmp_path / "optuna.db")
    stop_at(number, lambda: open_storage(address))
    storage = open_storage(address)
    storage.get_all_studies()
    storage.remove_session()
    storage.engine.dispose()


@pytest.mark.parametrize("name", ["plain", 'it\'s 50%41 "q" ?a {b} :c'])
def test_artifacts_go_next_to_the_database(name, tmp_path, monkeypatch):
    """Both the default experiment and new ones keep their artifacts in ``mlruns/`` of the database's folder."""
    folder, elsewhere = tmp_path / name, tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    tracker = Tracker(sqlite_address(folder / "mlflow.db"))
    for experiment in ("0", ensure_experiment(tracker.client, tracker.store, tracker.uri)):
        run = tracker.client.create_run(experiment)
        tracker.client.log_text(run.info.run_id, "text", "a.txt")
        assert (folder / "mlruns" / experiment / run.info.run_id / "artifacts" / "a.txt").read_text() == "text"
    assert list(elsewhere.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {name, "elsewhere"}


def signalled(number, signum, function, *arguments):
    """Return what a function returns; this process gets a signal before an SQL statement."""
    statements = itertools.count(1)
    event.listen(
        Engine,
        "before_cursor_execute",
        lambda *_: os.kill(os.getpid(), signum) if next(statements) == number else None,
    )
    return function(*arguments)


def make_tables(address):
    """Make MLflow's tables by MLflow's own means."""
    MlflowClient(address).search_experiments()


def exit_code(child):
    """Wait for a process and return its exit code, as subprocess does."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["optuna.log", "sqlite:///optuna.db"])
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_first_search_that_is_stopped_is_resumed(signum, storage, tmp_path, monkeypatch, tiny_source, fork):
    """Wherever a signal stops the very first search, the same command records the whole study."""
    draw = random.Random(f"{signum} {storage}")
    for stop in range(9):
        folder = tmp_path / str(stop)
        folder.mkdir()
        monkeypatch.chdir(folder)
        (folder / "tiny.py").write_text(tiny_source)
        words = ["search", "tiny.py", *ONE_TRIAL, "--storage", storage]
        code = exit_code(fork(folder, signalled, draw.randrange(1, 2200), signum, main, words))
        assert code in (0, 130, 143, -signal.SIGKILL)
        assert main(words) == 0
        trials = OptunaStore(find_study("tiny.py", {}), storage).recorded()
        runs = MlflowClient(sqlite_address(folder / "mlflow.db")).search_runs(["0"], "tags.kind = 'trial'")
        assert sorted(run.info.run_id for run in runs) == sorted(t.user_attrs["run_id"] for t in trials.values())
        assert len(trials) == 3
        assert {path.name for path in folder.iterdir()} - {"mlruns", "__pycache__"} == {
            "mlflow.db",
            "tiny.py",
            storage.removeprefix("sqlite:///"),
        }


@pytest.mark.slow
def test_a_half_made_database_in_postgresql_is_completed(postgres, tmp_path, monkeypatch, fork):
    """Wherever the creation of MLflow's tables in PostgreSQL is stopped, the next process completes it."""
    folder = tmp_path / "it's"
    folder.mkdir()
    monkeypatch.chdir(folder)
    server = create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
    for number in (3, 150, 400):
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE half_{number}"))
        address = f"{postgres}/half_{number}"
        child = fork(tmp_path, signalled, number, signal.SIGKILL, make_tables, address)
        assert exit_code(child) == -signal.SIGKILL
        tracker = Tracker(address)
        assert tracker.find_latest() is None
        assert tracker.client.get_experiment("0").artifact_location == f"{folder.as_uri()}/mlruns/0"
        tracker.store.engine.dispose()
    server.dispose()
