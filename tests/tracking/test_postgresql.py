"""PostgreSQL under both libraries: a search that is recorded there, gone on with, and owned by one process at a time."""

import subprocess
import sys

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, text

from pipeline.lookup import find_study
from pipeline.search.ledger import Ledger
from pipeline.search.ownership import owned


def make_database(server, name):
    """The address of a new, empty database."""
    engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


def search(*arguments):
    """Search with one worker in a process of its own; its exit code, and all it says."""
    command = [sys.executable, "-m", "pipeline", "search", *map(str, arguments), "--workers", "1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.slow
def test_a_study_in_postgresql_is_the_one_in_files(postgres, tiny_study, tmp_path):
    """Searched in two goes, Optuna's trials in PostgreSQL are those of a journal file, and no second search may join in."""
    storage = make_database(postgres, "optuna_trials")
    flags = ["--storage", storage, "--tracking-uri", f"sqlite:///{tmp_path / 'other.db'}"]
    assert search(tiny_study)[0] == 0
    assert search(tiny_study, *flags, "--trials", "3")[0] == 0
    with owned(storage, "tiny"):
        code, said = search(tiny_study, *flags)
    assert (code, "study 'tiny' is at work already" in said) == (2, True)
    code, said = search(tiny_study, *flags)
    assert (code, "18 of 36 trials to train" in said) == (0, True)
    ledgers = [Ledger(find_study(str(tiny_study), {}), address) for address in (storage, str(tmp_path / "optuna.log"))]
    tables = [ledger.table().drop(columns=["seconds", "run_id"]) for ledger in ledgers]
    assert isinstance(ledgers[0].storage, RDBStorage)
    assert tables[0].equals(tables[1])
    ledgers[0].storage.scoped_session.remove()
    ledgers[0].storage.engine.dispose()
