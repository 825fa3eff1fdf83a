"""A password in an address is used, and never recorded."""

import subprocess
import sys

import pytest

CANARY = "canary"


@pytest.mark.slow
def test_a_password_reaches_no_record(tiny_study, tmp_path, mlflow_server):
    """A password in the tracking address is in no store, artifact, report or line of output when a study has run."""
    with mlflow_server(f"sqlite:///{tmp_path / 'mlflow.db'}", "--serve-artifacts") as address:
        secret = address.replace("://", f"://user:{CANARY}@")
        command = [sys.executable, "-m", "pipeline", "run", str(tiny_study), "--workers", "2", "--tracking-uri", secret]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert CANARY not in done.stdout
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"mlflow.db", "optuna.log", "report.html"} <= {path.name for path in written}
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []
