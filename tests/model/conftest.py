"""A store with a registered model."""

import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main


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
