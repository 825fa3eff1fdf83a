"""The verb ``report``."""

import re
import shlex
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
from pipeline.report.winner import find_winner
from pipeline.storage.journal import open_storage
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.hparams import HyperParams
from pipeline.study.loading import find_study
from pipeline.study.single_trial import single_trial_study
from pipeline.tracking import Tracker


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
def test_the_lines_of_the_page_run_as_they_are_printed(tiny_study, tmp_path, tracking_uri, capsys):
    """The lines that train, load and serve the best network run; without a model the page has its values alone."""
    assert main(["run", str(tiny_study), "--workers", "1", "--blocks", "1"]) == 0
    assert "the page has its values" in capsys.readouterr().out
    page = tmp_path / "reports" / "tiny" / "report.md"
    hparams, _, classifier, training, _, loading, serving = re.findall(
        r"^```\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL
    )
    table = read_table(page.parent)
    winner = find_winner(table.study, table.frame)
    assert eval(hparams, {"HyperParams": HyperParams}) == winner.plan.hparams  # noqa: S307  the page is our own
    assert classifier.startswith("NumpyNetworkClassifier(")
    for text, printed in ((training, r"0\.\d+\n"), (loading, r"(?s).*\b2 rows x 10 columns.*")):
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True, check=True)
        assert re.fullmatch(printed, done.stdout)
    environment, *words = shlex.split(serving)
    assert words[:3] == ["mlflow", "models", "serve"]
    assert environment == f"MLFLOW_TRACKING_URI={tracking_uri}"
    curves = table.provenance["winner"]["curves"]["val/accuracy"]
    assert max(curves) == winner.validation.value
    assert main(["report", str(tiny_study), "--no-model"]) == 0
    assert f"## The best network: {winner.name}" in page.read_text()
    assert "mlflow" not in page.read_text().partition("## The best network")[2].partition("\n## ")[0]


@pytest.mark.slow
def test_the_best_trial_can_be_trained_from_its_line(tiny_study, tmp_path, tracking_uri):
    """Where each searched hyperparameter has a flag, the page has a command that trains its values in the same stores."""
    flags = ["--storage", str(tmp_path / "other.log"), "--tracking-uri", tracking_uri]
    assert main(["run", str(tiny_study), "--workers", "1", "--blocks", "1", "--no-model", *flags]) == 0
    page = (tmp_path / "reports" / "tiny" / "report.md").read_text()
    (line,) = re.findall(r"^babysit (train .*)$", page, re.MULTILINE)
    assert main(shlex.split(line)) == 0
    study = find_study(str(tiny_study), {})
    store = OptunaStore(single_trial_study(study, {}, None), str(tmp_path / "other.log"))
    (trial,) = store.recorded().values()
    table = read_table(tmp_path / "reports" / "tiny")
    assert trial.params == find_winner(table.study, table.frame).plan.point


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


def test_a_lost_registry_costs_no_page(tiny_study, tmp_path, tracking_uri, monkeypatch):
    """If the model cannot be registered, the report fails after it has written the page, with the network's curves."""
    assert main(["search", str(tiny_study), "--workers", "1", "--blocks", "1"]) == 0

    def lost(*_):
        raise RuntimeError("no registry")

    monkeypatch.setattr(Tracker, "register", lost)
    with pytest.raises(RuntimeError, match="no registry"):
        main(["report", str(tiny_study), "--debug"])
    facts = read_table(tmp_path / "reports" / "tiny").provenance["winner"]
    assert facts["curves"]
    assert "model" not in facts
    assert (tmp_path / "reports" / "tiny" / "report.html").is_file()
