"""One search at a time, whatever name its storage is reached by."""

import fcntl
import os
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.storage.locks import owned
from pipeline.storage.stores import resolve_stores


def names(folder):
    """A journal under several names: as it is, by a link to it, its folder or itself, and by a path that turns back."""
    real, links = folder / "real", folder / "links"
    real.mkdir()
    links.mkdir()
    (real / "optuna.log").touch()
    (links / "symbolic.log").symlink_to("../real/optuna.log")
    (links / "folder").symlink_to(real)
    (links / "hard.log").hardlink_to(real / "optuna.log")
    return [
        real / "optuna.log",
        links / "symbolic.log",
        links / "folder" / "optuna.log",
        links / "hard.log",
        real / ".." / "real" / "optuna.log",
        Path(os.path.relpath(real / "optuna.log")),
    ]


@pytest.mark.parametrize("scheme", ["", "sqlite:///"])
def test_a_study_is_owned_under_all_names_of_its_storage(scheme, tmp_path):
    """A second owner is refused by whatever name it comes; another study of the storage is free."""
    paths = names(tmp_path)
    for first in paths:
        with owned(f"{scheme}{first}", "mine"), owned(f"{scheme}{first}", "other"):
            for second in paths:
                with (
                    pytest.raises(UserError, match="study 'mine' is at work already"),
                    owned(f"{scheme}{second}", "mine"),
                ):
                    pass
        assert not list(tmp_path.rglob("*.owner"))


def test_both_stores_in_one_file_are_refused_under_all_its_names(tmp_path):
    """A file cannot be MLflow's and Optuna's store at once, by whatever names."""
    paths = names(tmp_path)
    for path in paths:
        for scheme in ("", "sqlite:///"):
            with pytest.raises(UserError, match="which is MLflow's store too"):
                resolve_stores(f"sqlite:///{paths[0]}", f"{scheme}{path}")


def test_reports_go_next_to_the_file_itself(tmp_path):
    """The folder of reports and of a journal that is not named is that of the database, not that of a link to it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link.db").symlink_to("real/mlflow.db")  # which need not be there yet
    stores = resolve_stores(f"sqlite:///{tmp_path / 'link.db'}")
    assert (stores.folder, stores.storage) == (tmp_path / "real", str(tmp_path / "real" / "optuna.log"))


@pytest.fixture
def lock(tmp_path):
    """The place of the lock of a study in a journal."""
    (tmp_path / "optuna.log").touch()
    return tmp_path / "optuna.log.s.owner"


def assert_owned(folder):
    """A second owner is refused, in one line that names this process alone."""
    with pytest.raises(
        ValueError,
        match=rf"^study 's' is at work already: process {os.getpid()} records it here\. Wait for it, or stop it$",
    ):
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
