"""Finished trials made by hand, an open tracker on a fresh store, both of its writers, and servers."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.search.plan import planned_trial
from pipeline.study.hparams import TrainConfig
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Study
from pipeline.tracking import Tracker
from pipeline.tracking.client_writer import ClientWriter
from pipeline.tracking.sql_writer import SqlWriter
from pipeline.trials.trial import FinishedTrial, TrialResult

EPOCHS = 5
ENDED = 1_700_000_000.25


@pytest.fixture(scope="session")
def study():
    """A study of one log-scaled, one linear and one categorical hyperparameter."""
    return Study(
        name="made_up",
        question="Is it written down?",
        space=SearchSpace(
            learning_rate=Float(1e-3, 10, log=True), momentum=Float(0, 0.9), init=Categorical("he", "xavier", 0.05)
        ),
        config=TrainConfig(epochs=EPOCHS),
    )


@pytest.fixture(scope="session")
def finish(study):
    """Make the n-th finished trial of an arm; keywords replace parts of its result."""

    def make(number, arm="random", **changes):
        point = {"learning_rate": 10.0 ** (number % 4 - 3), "momentum": 0.1 * (number % 7), "init": "he"}
        curve = [(number + 1) / (number + 1 + epoch) for epoch in range(EPOCHS)]
        result = {
            "curves": {f"{split}/{name}": curve for split in ("train", "val") for name in ("loss", "accuracy")},
            "scores": {
                "best/val_accuracy": 1 / (number + 2),
                "best/epoch": 3.0,
                "gap": 0.01 * number,
                "test/accuracy": 0.9,
                "test/loss": 0.3,
                "train/loss": curve[2],
            },
            "diverged": False,
            "epochs": EPOCHS,
            "seconds": 1.5,
            "ended": ENDED + number,
            "n_val": 359,
            "n_test": 359,
            "val_correct": "",
            "test_correct": "",
        }
        return FinishedTrial(planned_trial(study, Arm(arm), 2, number, point), TrialResult(**{**result, **changes}))

    return make


@pytest.fixture
def tracker(tracking_uri, study):
    """A tracker on a fresh SQLite store, with the study's run open."""
    tracker = Tracker(tracking_uri)
    tracker.open(study)
    return tracker


@pytest.fixture(params=["bulk", "client"])
def either(request, tracker):
    """The tracker, once with each writer."""
    assert isinstance(tracker.writer, SqlWriter)
    if request.param == "client":
        tracker.writer = ClientWriter(tracker.client)
    return tracker


def free_port():
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def postgresql_stores(folder, postgres):
    """Two fresh PostgreSQL databases with MLflow's tables."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import create_engine, text

    def create(name, template):
        name = f"{name}_{uuid.uuid4().hex[:8]}"
        engine = create_engine(f"{postgres}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        engine.dispose()
        return f"{postgres}/{name}"

    first = create("client", "template1")
    Tracker(first)
    SqlAlchemyStore._engine_map[first].dispose()  # a database is copied while nobody is connected to it
    uris = [first, create("bulk", first.rpartition("/")[2])]
    yield [(uri, uri) for uri in uris]
    for uri in uris:
        SqlAlchemyStore._engine_map[uri].dispose()


@contextmanager
def serve(database, *options):
    """Yield the address of a tracking server for a database."""
    address, environment = (
        f"http://127.0.0.1:{free_port()}",
        os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    where = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--backend-store-uri", database]
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", *where, *options]
    with Path("server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        await_health(address, process)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its workers too
        process.wait(timeout=60)


@pytest.fixture(scope="session")
def mlflow_server():
    """Start a tracking server, as a context: its arguments are the database's address and the server's options."""
    return serve


def await_health(address, process):
    """Return once the server answers."""
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):  # noqa: S310
                return
        except OSError:
            assert process.poll() is None, Path("server.log").read_text()
            time.sleep(0.1)
