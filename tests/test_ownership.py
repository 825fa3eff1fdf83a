"""One search at a time: who owns a study is told, and a lock that went away is not mistaken for one that is held."""

import fcntl
import os

import pytest

from pipeline.search.ownership import owned


@pytest.fixture
def lock(tmp_path):
    """The place of the lock of a study in a journal."""
    return tmp_path / "optuna.log.s.owner"


def assert_owned(folder):
    """A second owner is refused, in one line that names this process alone."""
    with pytest.raises(ValueError, match=rf"^study 's' is at work already: process {os.getpid()} records it here$"):
        owned(str(folder / "optuna.log"), "s").__enter__()


def test_the_owner_alone_is_named(lock, tmp_path):
    """What a killed owner left in the lock's file is not read for the one that has it now; its end removes the file."""
    lock.write_text("process 1\nprocess 2\n")
    with owned(str(tmp_path / "optuna.log"), "s"):
        assert_owned(tmp_path)
    assert not lock.exists()


def test_a_lock_that_its_last_owner_removed_meanwhile_is_made_again(lock, tmp_path, monkeypatch):
    """Between the opening of the file and its lock it may go; then nobody else would see that lock."""
    real, removed = fcntl.flock, []

    def flock(file, operation):
        if not removed:
            lock.unlink()
            removed.append(True)
        return real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with owned(str(tmp_path / "optuna.log"), "s"):
        assert lock.exists()
        assert_owned(tmp_path)
