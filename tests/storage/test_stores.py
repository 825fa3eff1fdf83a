"""The addresses of the stores, checked before anything is written."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.storage.stores import network_file_system, resolve_stores


def test_both_stores_in_one_file_are_refused_under_all_its_names(names):
    """MLflow and Optuna cannot have their stores in one file, whatever names it has."""
    for path in names:
        for scheme in ("", "sqlite:///"):
            with pytest.raises(UserError, match="which is MLflow's store too"):
                resolve_stores(f"sqlite:///{names[0]}", f"{scheme}{path}")


def test_reports_go_next_to_the_file_itself(tmp_path):
    """Reports and the default journal go into the folder of the database itself, not of a link to it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link.db").symlink_to("real/mlflow.db")  # the database does not exist yet
    stores = resolve_stores(f"sqlite:///{tmp_path / 'link.db'}")
    assert (stores.folder, stores.storage) == (tmp_path / "real", str(tmp_path / "real" / "optuna.log"))


def test_the_flags_lead_a_command_to_the_stores(tmp_path, monkeypatch):
    """A command in the current folder needs no flag for the usual stores, and the flags lead it to any others."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    elsewhere = f"sqlite:///{tmp_path}/other/m.db"
    for tracking, storage, names in (
        ("", "", []),
        ("", "optuna.log", []),
        ("", "sqlite:///o.db", ["--storage"]),
        (elsewhere, "", ["--tracking-uri"]),
        (elsewhere, "mine.log", ["--tracking-uri", "--storage"]),
    ):
        stores = resolve_stores(tracking, storage)
        assert stores.flags[::2] == names
        values = dict(zip(names, stores.flags[1::2], strict=True))
        found = resolve_stores(values.get("--tracking-uri", ""), values.get("--storage", ""))
        assert [file.resolve() for file in found.files] == [file.resolve() for file in stores.files]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", elsewhere)
    assert resolve_stores().flags == []


def test_a_network_file_system_is_recognised_by_its_mount(tmp_path, monkeypatch):
    """The longest mount that contains the path decides, with blanks in its name decoded."""
    (tmp_path / "mounts").write_text("root / ext4 rw\nserver /home nfs4 rw\ndisk /home/my\\040disk xfs rw\n")
    monkeypatch.setattr("pipeline.storage.stores.MOUNTS", tmp_path / "mounts")
    kinds = [network_file_system(Path(path)) for path in ("/data/x.db", "/home/x.db", "/home/my disk/x.db")]
    assert kinds == ["", "nfs4", ""]
    monkeypatch.setattr("pipeline.storage.stores.MOUNTS", tmp_path / "missing")
    assert network_file_system(Path("/home/x.db")) == ""
