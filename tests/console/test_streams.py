"""Standard streams that lack a character or are closed."""

import os
import subprocess
import sys

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def command(words, redirection="", **variables):
    """Run the command line in a shell, with redirections and environment variables."""
    line = f"{sys.executable} -m pipeline {words} {redirection}"
    return subprocess.run(["bash", "-c", line], capture_output=True, check=False, env=os.environ | variables)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_character_that_the_output_lacks_is_replaced(encoding, tracking_uri, tiny_source, tmp_path):
    """The Σ that a check prints becomes a question mark."""
    (tmp_path / "tiny.py").write_text(tiny_source)
    done = command("check tiny.py", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)
    assert b"?W" in done.stdout  # of ½·l2·ΣW²
    done.stdout.decode(encoding)


@pytest.mark.parametrize("words", ["--help", "run --help"])
def test_help_fits_an_ascii_output(words):
    """Help is written in ASCII if the output has no other characters."""
    done = command(words, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_closed_streams_act_as_the_null_device(tracking_uri, tiny_source, tmp_path):
    """With closed streams workers run, every trial is recorded, and no output is written into a database."""
    (tmp_path / "tiny.py").write_text(tiny_source)
    done = command("search tiny.py --workers 2 -v", "<&- >&- 2>&-")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    studies = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log"))).get_all_studies()
    assert len(studies) == 6


@pytest.mark.parametrize(("words", "code"), [("search missing.py", 2), ("--help", 0), ("run --trials x", 2)])
@pytest.mark.parametrize("redirection", [">&-", ">&- 2>&-"])
def test_exit_codes_stay_the_same_with_closed_outputs(words, code, redirection, tmp_path, monkeypatch):
    """A mistake has its exit code and help has 0, whichever stream is closed."""
    monkeypatch.chdir(tmp_path)
    done = command(words, redirection)
    assert done.returncode == code
    assert b"Traceback" not in done.stdout + done.stderr
