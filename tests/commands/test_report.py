"""The verb ``report``."""

import shutil
import subprocess
import sys
import time
from collections import Counter

import optuna
import pandas as pd
import pytest

from pipeline.cli.main import main
from pipeline.report.trials_table import read_table
from pipeline.storage.journal import open_storage


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


@pytest.mark.slow
def test_pooled_studies_change_no_search(tiny_study, tmp_path, tracking_uri):
    """A study that is reported, killed and resumed has the trials of an undisturbed one, whatever a user adds to the pool."""
    words = [sys.executable, "-m", "pipeline", "run", str(tiny_study), "--workers", "1", "--no-model"]
    journal = tmp_path / "optuna.log"
    assert subprocess.run([*words, "--blocks", "1"], check=False).returncode == 0
    pooled = optuna.load_study(study_name="tiny/random/all blocks", storage=open_storage(str(journal)))
    pooled.add_trial(optuna.trial.create_trial(value=2.0, user_attrs={**pooled.trials[0].user_attrs, "trial": 99}))
    pooled.ask()
    before = journal.stat().st_size
    process = subprocess.Popen(words)
    while journal.stat().st_size == before and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert subprocess.run(words, check=False).returncode == 0
    aside = tmp_path / "aside"
    aside.mkdir()
    shutil.copyfile(tiny_study, aside / "tiny.py")
    assert subprocess.run(words, cwd=aside, check=False).returncode == 0
    disturbed, whole = (read_table(folder / "reports" / "tiny").frame for folder in (tmp_path, aside))
    changing = ["seconds", "run_id"]
    pd.testing.assert_frame_equal(disturbed.drop(columns=changing), whole.drop(columns=changing))
    runs = [trial.user_attrs["run_id"] for trial in pooled.trials if "run_id" in trial.user_attrs]
    assert Counter(runs) == Counter([*disturbed.query("arm == 'random'")["run_id"], runs[0]])
