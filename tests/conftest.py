"""What every test may lean on: quiet MLflow, commands that find the sources, and a store that is quick to make."""

import contextlib
import gc
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import traceback
import warnings
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
    return copy_store(empty_mlflow_db.parent, tmp_path)


def copy_store(source, folder):
    """Copy the MLflow database of a folder to another one, and return its address; artifacts go beside the copy."""
    path = folder / "mlflow.db"
    shutil.copyfile(source / "mlflow.db", path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            moved = f"replace(replace({column}, 'file://', ''), ?, ?)"
            database.execute(f"UPDATE {table} SET {column} = {moved}", (str(source), folder.as_uri()))  # noqa: S608
        database.commit()
    return f"sqlite:///{path}"


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


@pytest.fixture(scope="session")
def searched_folder(empty_mlflow_db, tmp_path_factory, tiny_source):
    """A folder in which that study was searched by one worker."""
    from pipeline.cli.main import main

    folder = tmp_path_factory.mktemp("searched")
    copy_store(empty_mlflow_db.parent, folder)
    (folder / "tiny.py").write_text(tiny_source)
    with contextlib.chdir(folder):
        assert main(["search", "tiny.py", "--workers", "1"]) == 0
    return folder


@pytest.fixture
def searched_study(searched_folder, tiny_study, tmp_path):
    """The path of that study, beside copies of its records."""
    copy_store(searched_folder, tmp_path)
    for name in ("optuna.log", "mlruns"):
        (shutil.copytree if (searched_folder / name).is_dir() else shutil.copyfile)(
            searched_folder / name, tmp_path / name
        )
    return tiny_study


@pytest.fixture(scope="session")
def fork():
    """Start a function in a fork of this process, which has imported everything, and return the process's number.

    The arguments are the folder to run in, the function, which returns the exit code, and its arguments. The process leads
    a group of its own, and prints nothing.
    """

    def start(folder, function, *arguments):
        with warnings.catch_warnings(action="ignore"):  # of newer versions of Python, since this process has threads
            child = os.fork()
        if child:
            return child
        code = 1
        try:
            os.setsid()
            os.chdir(folder)
            code = function(*arguments)
        except BaseException:  # noqa: BLE001  nothing of the tests' process may go on here
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    return start
