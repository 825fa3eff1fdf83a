"""Stores that are full, locked, broken or away for a while: records stay whole, failures are one line, and a rerun completes them."""

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.console.progress import Progress
from pipeline.storage.failures import store_failure
from pipeline.storage.journal import open_storage
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

GO_ON = "What is recorded stays, and the same command continues from there"


def search(study_path, *flags, **options):
    """Search in another process. Return its exit code and its error output."""
    command = [sys.executable, "-m", "pipeline", "search", str(study_path), "--workers", "1", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stderr


def audit(study_path, tracking_uri, count, journal="optuna.log"):
    """Check that ``count`` trials are recorded, each once, with one finished run each and no other run."""
    trials = OptunaStore(find_study(str(study_path), {}), journal).recorded()
    client = MlflowClient(tracking_uri=tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "tags.kind = 'trial'", max_results=1000)
    assert Counter(run.info.run_id for run in runs) == Counter(t.user_attrs["run_id"] for t in trials.values())
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(trials) == count


def limit_files(size):
    """Let no file of this process grow beyond a size, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
@pytest.mark.parametrize("full", ["mlflow.db", "optuna.log"])
def test_a_full_disk_stops_a_search_cleanly(full, tiny_study, tmp_path, tracking_uri):
    """Without room for a store a search ends with one line and exit code 1; with room, the same command completes it."""
    tiny_study.write_text(tiny_study.read_text().replace("blocks=2", "blocks=36"))
    if full == "optuna.log":
        other = optuna.create_study(study_name="other", storage=open_storage("optuna.log"))
        for n in range(8):
            other.set_user_attr(f"ballast{n}", "x" * 500_000)
    room = (tmp_path / full).stat().st_size + (4_000_000 if full == "mlflow.db" else 500_000)
    code, errors = search(tiny_study, preexec_fn=limit_files(room))
    assert (code, errors.count("\n")) == (1, 1), errors
    assert "there is no room left to write" in errors
    assert GO_ON in errors
    assert 0 < len(OptunaStore(find_study(str(tiny_study), {}), "optuna.log").recorded()) < 648
    assert search(tiny_study) == (0, "")
    audit(tiny_study, tracking_uri, 648)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["mlflow.db", "optuna.db"])
def test_a_locked_database_is_waited_for(store, tiny_study, tmp_path, tracking_uri):
    """While another process locks a store, the search waits; then it continues, and nothing is lost."""
    storage = "sqlite:///optuna.db"
    open_storage(storage).remove_session()
    with closing(sqlite3.connect(store, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        threading.Timer(3, lambda: other.execute("COMMIT")).start()
        assert search(tiny_study, "--storage", storage) == (0, "")
    audit(tiny_study, tracking_uri, 36, storage)


IMPATIENT = """
import sys
import pipeline.storage.failures as failures

failures.LOCKED_SECONDS = 2  # Optuna tries five times to write a trial, and waits for the lock each time
from pipeline.cli.main import main
from pipeline.storage import journal, stores

assert journal.LOCKED_SECONDS == stores.LOCKED_SECONDS == 2
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("store", ["mlflow.db", "optuna.db"])
def test_a_database_that_stays_locked_is_reported(store, tiny_study, tmp_path, tracking_uri):
    """If a store stays locked, the search ends with a line and exit code 1, and a rerun completes the study."""
    storage = "sqlite:///optuna.db"
    tiny_study.write_text(tiny_study.read_text().replace("blocks=2", "blocks=16"))
    command = [sys.executable, "-c", IMPATIENT, "search", str(tiny_study), "--workers", "1", "--storage", storage]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while "trials;" not in process.stdout.readline():
        assert process.poll() is None, process.stderr.read()
    with closing(sqlite3.connect(store, timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        _, errors = process.communicate(timeout=240)
    assert (process.returncode, errors.count("\n")) == (1, 1), errors
    assert "another process has locked the database" in errors
    assert search(tiny_study, "--storage", storage) == (0, "")
    audit(tiny_study, tracking_uri, 288, storage)


class Server:
    """A tracking server that can be killed, and started again at the same address."""

    def __init__(self, database):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        where = ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", database]
        self.command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", *where]
        self.start()

    def start(self):
        with Path("server.log").open("a") as log:
            quiet = {"env": os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, "stdout": log, "stderr": log}
            self.process = subprocess.Popen(self.command, **quiet, start_new_session=True)
        while True:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=5).close()  # noqa: S310
            except OSError:
                assert self.process.poll() is None, Path("server.log").read_text()
                time.sleep(0.1)
            else:
                return

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_server_that_goes_away(comes_back, tiny_study, tmp_path, tracking_uri, capfd):
    """A tracking server may be away for ten seconds during a search; if it stays away, a line says so, and a rerun completes it."""
    server = Server(tracking_uri)
    flags = ["--tracking-uri", server.address, "--storage", "optuna.log"]
    try:
        command = [sys.executable, "-m", "pipeline", "search", str(tiny_study), "--workers", "1", *flags]
        retries = {} if comes_back else {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
        pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=os.environ | retries, **pipes)
        while "trials;" not in process.stdout.readline():
            assert process.poll() is None, process.stderr.read()
        server.kill()
        if comes_back:
            time.sleep(10)
            server.start()
        _, errors = process.communicate(timeout=180)
        if not comes_back:
            assert (process.returncode, errors.splitlines()[-1]) == (
                1,
                f"error: MLflow's store: the tracking server does not answer. {GO_ON}",
            )
            server.start()
            assert search(tiny_study, *flags)[0] == 0
        else:
            assert process.returncode == 0, errors
    finally:
        server.kill()
    audit(tiny_study, tracking_uri, 36)


def test_a_store_of_another_kind_is_refused(tiny_study, tmp_path, tracking_uri, capsys):
    """Optuna's database as MLflow's, or the reverse, is refused in a line with the flag and exit code 2, and not changed."""
    open_storage("sqlite:///optuna.db").remove_session()
    before = [Path(name).read_bytes() for name in ("mlflow.db", "optuna.db")]
    for flag, name in (("--tracking-uri", "optuna.db"), ("--storage", "mlflow.db")):
        other = "sqlite:///elsewhere.db" if flag == "--storage" else "sqlite:///mlflow.db"
        elsewhere = ["--storage", "elsewhere.log"] if flag == "--tracking-uri" else ["--tracking-uri", other]
        assert main(["search", str(tiny_study), flag, f"sqlite:///{name}", *elsewhere]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        owner = "Optuna" if name == "optuna.db" else "MLflow"
        assert line == f"error: {flag}: {name} is {owner}'s database; each needs a separate one"
    assert [Path(name).read_bytes() for name in ("mlflow.db", "optuna.db")] == before


def test_a_database_of_another_version_is_refused(tiny_study, tmp_path, tracking_uri, capsys):
    """A store with an unknown schema is refused in a line with the flag, and exit code 2."""
    open_storage("sqlite:///optuna.db").remove_session()
    for flag, name in (("--tracking-uri", "mlflow.db"), ("--storage", "optuna.db")):
        with closing(sqlite3.connect(name)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
            connection.commit()
        assert main(["search", str(tiny_study), flag, f"sqlite:///{name}"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {flag}: cannot open sqlite:///{name} (")
        (tmp_path / name).unlink()


HALF = """
import os, sqlite3
connection = sqlite3.connect("mlflow.db")
connection.execute("PRAGMA cache_size = 5")  # so that some of the transaction is in the file when it is cut short
connection.execute("BEGIN")
connection.execute("UPDATE tags SET value = value || hex(randomblob(2000))")
os.kill(os.getpid(), 9)
"""


def test_a_database_cut_short_in_a_transaction_is_resumed(tiny_study, tmp_path, tracking_uri):
    """A transaction that was cut short is rolled back, and the same command resumes the search."""
    assert main(["search", str(tiny_study), "--workers", "1", "--blocks", "1"]) == 0
    subprocess.run([sys.executable, "-c", HALF], cwd=tmp_path, check=False)
    assert (tmp_path / "mlflow.db-journal").stat().st_size
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    assert not (tmp_path / "mlflow.db-journal").exists()
    audit(tiny_study, tracking_uri, 36)


def test_only_errors_of_stores_are_store_failures():
    """An error of the program is no failure of a store, and the line contains no password."""
    assert store_failure(KeyError("x")) == ""
    assert store_failure(OSError(28, "No space left on device")) == "a file: there is no room left to write"
    assert "secret" not in store_failure(ConnectionError("cannot reach http://me:secret@host/"))


@pytest.mark.parametrize("storage", ["optuna.log", "sqlite:///optuna.db"])
def test_a_deleted_optuna_study_ends_a_search_with_a_line(storage, tiny_study, tracking_uri, monkeypatch, capsys):
    """A study deleted in the dashboard during a search is named, and the same command records its trials again, each once."""
    source = tiny_study.read_text().replace(
        'Arm("random"), Arm("shifted_grid"), Arm("grid")', 'Arm("tpe"), Arm("random")'
    )
    tiny_study.write_text(source)
    command = ["search", str(tiny_study), "--workers", "1", "--storage", storage]
    count, deleted = Progress.count, []

    def delete(progress, trial):
        count(progress, trial)
        if trial.plan.key == ("tpe", 0, 2) and not deleted:
            deleted.append(trial.plan.name)
            optuna.delete_study(study_name="tiny/tpe/b00", storage=open_storage(storage))

    monkeypatch.setattr(Progress, "count", delete)
    assert main(command) == 1
    assert "Optuna's study tiny/tpe/b00 was deleted during the search" in capsys.readouterr().err
    assert main(command) == 0
    audit(tiny_study, tracking_uri, 24, storage)
