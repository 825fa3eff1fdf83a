"""PostgreSQL for both libraries: a search is recorded there, resumed, and locked by one process at a time."""

import subprocess
import sys

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, text

from pipeline.errors import Failed
from pipeline.storage.optuna_store import OptunaStore
from pipeline.storage.study_lock import study_lock
from pipeline.study.loading import find_study


def make_database(server, name):
    """Create an empty database, and return its address."""
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


def search(*arguments):
    """Search with one worker in another process. Return its exit code and its output."""
    command = [sys.executable, "-m", "pipeline", "search", *map(str, arguments), "--workers", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.slow
def test_a_study_in_postgresql_is_the_one_in_files(postgres, tiny_study, tmp_path):
    """Searched in two runs, Optuna's trials in PostgreSQL equal those in a journal, and a second search is refused."""
    storage = make_database(postgres, "optuna_trials")
    flags = ["--storage", storage, "--tracking-uri", f"sqlite:///{tmp_path / 'other.db'}"]
    assert search(tiny_study)[0] == 0
    assert search(tiny_study, *flags, "--trials", "3")[0] == 0
    with study_lock(storage, "tiny"):
        code, output = search(tiny_study, *flags)
    assert (code, "study 'tiny': another process is recording it" in output) == (2, True)
    code, output = search(tiny_study, *flags)
    assert (code, "18 of 36 trials to train" in output) == (0, True)
    stores = [
        OptunaStore(find_study(str(tiny_study), {}), address) for address in (storage, str(tmp_path / "optuna.log"))
    ]
    tables = [optuna_store.table().drop(columns=["seconds", "run_id"]) for optuna_store in stores]
    assert isinstance(stores[0].storage, RDBStorage)
    assert tables[0].equals(tables[1])
    stores[0].storage.scoped_session.remove()
    stores[0].storage.engine.dispose()


def end_lock(server):
    """End the connections that hold an advisory lock, as a restart of the server does."""
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        assert connection.execute(text(holders)).all() == [(True,)]
    engine.dispose()


def test_a_lost_lock_is_reported(postgres):
    """After the database closed the lock's connection, the check fails, and another process may lock the study."""
    storage = make_database(postgres, "optuna_lock")
    with study_lock(storage, "tiny") as check_lock:
        check_lock()
        end_lock(postgres)
        with pytest.raises(Failed, match="closed the connection that holds the study's lock"):
            check_lock()
        with study_lock(storage, "tiny") as check_other:
            check_other()
        with pytest.raises(Failed):
            check_lock()
    with study_lock(storage, "tiny"):
        end_lock(postgres)  # the end of the body needs no connection


@pytest.mark.slow
def test_a_search_that_lost_its_lock_records_no_more(postgres, tiny_study, tracking_uri):
    """The search ends with exit code 1, and the same command records the missing trials, each once in both stores."""
    storage = make_database(postgres, "optuna_lost")
    tiny_study.write_text(
        tiny_study.read_text()
        .replace('Arm("random"), Arm("shifted_grid"), Arm("grid")', 'Arm("tpe"), Arm("random")')
        .replace("trials=6", "trials=30")
    )
    command = [sys.executable, "-m", "pipeline", "search", str(tiny_study), "--storage", storage, "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        next(line for line in process.stdout if "trials; best" in line)
        end_lock(postgres)
        _, errors = process.communicate()
    assert (process.returncode, "closed the connection that holds the study's lock" in errors) == (1, True)
    assert search(tiny_study, "--storage", storage)[0] == 0
    optuna_store = OptunaStore(find_study(str(tiny_study), {}), storage)
    recorded = {trial.user_attrs["run_id"] for trial in optuna_store.recorded().values()}
    runs = MlflowClient(tracking_uri).search_runs(["0"], "tags.kind = 'trial'", max_results=1000)
    trials = sum(summary.n_trials for summary in optuna.get_all_study_summaries(optuna_store.storage))
    assert len(recorded) == len(optuna_store.table()) == trials > 100
    assert {run.info.run_id for run in runs} == recorded
    optuna_store.storage.scoped_session.remove()
    optuna_store.storage.engine.dispose()
