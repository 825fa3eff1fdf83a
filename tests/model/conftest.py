"""A store with a registered model, and a model that is served."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.commands.ui import free_port


@pytest.fixture
def registered(tiny_study, tmp_path, tracking_uri):
    """Return the client of a store with a study's best model, after a search and two reports.

    The current folder is another project, and MLflow must not copy its files into the model.
    """
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\nversion = "1"\n')
    (tmp_path / "uv.lock").write_text("version = 1\n")
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    for _ in range(2):
        assert main(["report", str(tiny_study)]) == 0
    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


@pytest.fixture
def served():
    """Return a function that starts a server, asks it, and returns its answer."""
    return _served


def _served(command, rows, **options):
    """Return what a server, started by a command that lacks the port, answers for rows in MLflow's format."""
    port = free_port(0)
    server = subprocess.Popen(
        [*command, "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )
    try:
        body = json.dumps(rows).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        return _answer(request, server)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answer(request, server):
    """Return the answer to a request, as soon as the server listens."""
    while True:
        assert server.poll() is None
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  our own server
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None
        except urllib.error.URLError:
            time.sleep(0.5)
