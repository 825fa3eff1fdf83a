"""What every test may lean on: quiet MLflow, commands that find the sources, and a store that is quick to make."""

import contextlib
import gc
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # workers of the tests and their threads would wait for each other
gc.set_threshold(50_000, 20, 20)  # as the command sets it: a look for cycles goes through all of MLflow
os.environ["PYTHONPATH"] = str(ROOT)  # for the commands that tests start in a folder of their own
for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI"):
    os.environ.pop(name, None)  # what a test records is never a part of the run that started the tests


@pytest.fixture(scope="session")
def empty_mlflow_db(tmp_path_factory):
    """An MLflow database with its tables made, which takes MLflow seconds; artifacts go beside it."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with contextlib.chdir(path.parent):  # the default experiment keeps its artifacts where it is made
        MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def tracking_uri(empty_mlflow_db, tmp_path, monkeypatch):
    """A fresh store in the test's own folder, which is the current one too."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(empty_mlflow_db, tmp_path / "mlflow.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("UPDATE experiments SET artifact_location = ?", (f"{tmp_path.as_uri()}/mlruns/0",))
        database.commit()
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture(scope="session")
def postgres():
    """The address, without a database's name, of a PostgreSQL server that runs for the tests."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    found = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    programs = Path(found).resolve().parent
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    if as_user:
        shutil.chown(folder, "postgres")

    def call(program, *arguments):
        subprocess.run(
            [*as_user, programs / program, *map(str, arguments)], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    data = folder / "data"
    call("initdb", "-D", data, "-U", "babysit", "--auth=trust", "--no-sync")
    options = f"-h 127.0.0.1 -p {port} -k {folder} -F"
    call("pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
    try:
        yield f"postgresql://babysit@127.0.0.1:{port}"
    finally:
        call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


TINY_STUDY = """
from pipeline import Arm, Categorical, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="tiny",
    question="Does it work?",
    space=SearchSpace(
        learning_rate=Float(1e-2, 1e3, log=True, levels=3),
        l2=Float(1e-6, 1e-2, log=True, levels=2),
        batch_norm=Categorical(False, True),
    ),
    config=TrainConfig(epochs=2, batch_size=100),
    arms=(Arm("random"), Arm("shifted_grid"), Arm("grid")),
    blocks=2,
    trials=6,
)
"""


@pytest.fixture(scope="session")
def tiny_source():
    """A study of 36 trials over two structures, some of which diverge, as its file declares it."""
    return TINY_STUDY


@pytest.fixture
def tiny_study(tracking_uri, tmp_path, tiny_source):
    """The path of that study, beside a fresh store."""
    path = tmp_path / "tiny.py"
    path.write_text(tiny_source)
    return path
