"""Folders with characters that URLs and shells take for their own: stores, artifacts and printed lines lead to the right place."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy import create_engine

from pipeline.commands.report import dashboard_command, mlflow_command
from pipeline.storage.addresses import normalised, sqlite_address, sqlite_file
from pipeline.storage.journal import open_storage
from pipeline.storage.stores import resolve_stores

NAMES = (
    "plain",
    "a b",
    "50% off",
    "a%20b",
    "50%41",
    "what?a=b",
    "a#b",
    "user:pw@x",
    "ü",
    "a;b",
    "[x]",
    "{y}",
    "it's",
    '"q"',
)
ODD = 'it\'s 50%41 "q" ?a {b} :c@d #e'


@pytest.mark.parametrize("name", NAMES)
def test_stores_are_made_in_the_current_folder(name, tmp_path, monkeypatch):
    """Whatever its name is, both stores are made there, and nothing next to it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.chdir(folder)
    stores = resolve_stores(storage=sqlite_address("optuna.db"))
    assert sqlite_file(stores.tracking) == folder / "mlflow.db"
    assert (stores.storage, sqlite_file(stores.storage)) == ("sqlite:///optuna.db", folder / "optuna.db")
    address = sqlite_address(folder / "optuna.db")
    assert normalised(address) == address
    for made in (open_storage(address), RDBStorage(address)):
        made.remove_session()
        made.engine.dispose()
    engine = create_engine(stores.tracking)
    engine.connect().close()
    engine.dispose()
    assert {path.name for path in folder.iterdir()} == {"optuna.db", "mlflow.db"}
    assert list(tmp_path.iterdir()) == [folder]


def test_printed_lines_are_words_of_a_shell(tmp_path):
    """A shell reads each printed line as the words that were meant."""
    folder = tmp_path / ODD
    echo = 'mlflow() { echo "${@: -1}"; }; alias optuna-dashboard=echo; shopt -s expand_aliases\n'
    lines = [mlflow_command(sqlite_address(folder / "m.db")), dashboard_command(str(folder / "optuna.log"))]
    read = subprocess.run(["bash", "-c", echo + "\n".join(lines)], capture_output=True, text=True, check=True).stdout
    assert read.splitlines() == [sqlite_address(folder / "m.db"), str(folder / "optuna.log")]


def get(address):
    """The answer of a server at an address, once it answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310
                return answer.read()
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(address)


@contextmanager
def shell(line, folder):
    """A line of a shell at work in a folder."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = ["bash", "-c", line]
    process = subprocess.Popen(
        words, cwd=folder, env=os.environ | {"PATH": path}, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)


def free_port():
    """A port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
def test_a_study_is_searched_and_looked_at_from_such_a_folder(tmp_path, tiny_source):
    """The records, the artifacts, the printed lines and both user interfaces of ``babysit ui`` all work there."""
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / "tiny.py").write_text(tiny_source)
    command = [sys.executable, "-m", "pipeline"]
    words = [*command, "run", "tiny.py", "--workers", "1", "--trials", "1", "--no-model", "--verbose"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    assert {path.name for path in folder.iterdir()} == {"mlflow.db", "mlruns", "optuna.log", "reports", "tiny.py"}
    assert [path.name for path in tmp_path.iterdir()] == [ODD]
    run = re.search(r"parentRunId%60%20%3D%20%27(\w{32})", done.stdout)[1]
    report = (folder / "reports" / "tiny" / "report.html").read_bytes()
    artifact = f"get-artifact?path=report/report.html&run_uuid={run}"
    port = free_port()
    line = re.search(r"MLflow UI +(\S.*)", done.stdout)[1]
    with shell(f"{line} --port {port}", tmp_path):
        assert get(f"http://127.0.0.1:{port}/{artifact}") == report
    line = re.search(r"Optuna Dashboard +(\S.*)", done.stdout)[1]
    with shell(f"{line} --port {port}", tmp_path):
        assert len(json.loads(get(f"http://127.0.0.1:{port}/api/studies"))["study_summaries"]) == 9
    with shell("exec python -u -m pipeline ui", folder) as process:
        opened = "".join(iter(process.stdout.readline, "Ctrl-C stops both.\n"))
        mlflow, dashboard = re.findall(r"^(?:MLflow UI|Optuna Dashboard) +(\S+)$", opened, re.MULTILINE)
        assert get(f"{mlflow}/{artifact}") == report
        assert len(json.loads(get(f"{dashboard}/api/studies"))["study_summaries"]) == 9
    assert [path.name for path in tmp_path.iterdir()] == [ODD]
