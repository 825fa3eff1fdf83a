"""The lock on a study holds under every name of its storage."""

import fcntl
import os

import pytest

from pipeline.errors import UserError
from pipeline.storage.study_lock import study_lock


@pytest.mark.parametrize("scheme", ["", "sqlite:///"])
def test_a_study_is_owned_under_all_names_of_its_storage(scheme, names, tmp_path):
    """A second owner is refused under every name of the storage; another study of the storage is free."""
    for first in names:
        with study_lock(f"{scheme}{first}", "mine"), study_lock(f"{scheme}{first}", "other"):
            for second in names:
                with (
                    pytest.raises(UserError, match=r"^study 'mine': .* is recording it"),
                    study_lock(f"{scheme}{second}", "mine"),
                ):
                    pass
        assert not list(tmp_path.rglob("*.owner"))


@pytest.fixture
def lock(tmp_path):
    """Return the path of the owner's file of a study in a journal."""
    (tmp_path / "optuna.log").touch()
    return tmp_path / "optuna.log.s.owner"


def assert_owned(folder):
    """A second owner is refused in one line that names this process."""
    with pytest.raises(
        ValueError,
        match=rf"^study 's': process {os.getpid()} is recording it\. Wait for it, or stop it$",
    ):
        study_lock(str(folder / "optuna.log"), "s").__enter__()


def test_the_owner_alone_is_named(lock, tmp_path):
    """The text of a killed owner in the file is replaced, and the file is removed at the end."""
    lock.write_text("process 1\nprocess 2\n")
    with study_lock(str(tmp_path / "optuna.log"), "s"):
        assert_owned(tmp_path)
    assert not lock.exists()


def test_a_lock_that_its_last_owner_removed_meanwhile_is_made_again(lock, tmp_path, monkeypatch):
    """The file may be removed between its opening and its lock; a lock on the removed file would exclude nobody."""
    real, removed = fcntl.flock, []

    def flock(file, operation):
        if not removed:
            lock.unlink()
            removed.append(True)
        return real(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with study_lock(str(tmp_path / "optuna.log"), "s"):
        assert lock.exists()
        assert_owned(tmp_path)
