"""The verb ``report``."""

import pytest

from pipeline.cli.main import main


@pytest.mark.slow
def test_report_can_be_made_again(tiny_study, tmp_path, tracking_uri):
    """The report of recorded trials has the same bytes when it is written again, and adds none to Optuna's journal."""
    assert main(["run", str(tiny_study), "--workers", "1"]) == 0
    folder = tmp_path / "reports" / "tiny"
    journal = (tmp_path / "optuna.log").read_bytes()
    first = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["report", str(tiny_study)]) == 0
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first
    assert (tmp_path / "optuna.log").read_bytes() == journal
