"""A journal under several names."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # importlib mode leaves a test's own folder out


@pytest.fixture
def names(tmp_path):
    """Return a journal's path, links to it and to its folder, a hard link, a path with ``..`` and a relative path."""
    real, links = tmp_path / "real", tmp_path / "links"
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
