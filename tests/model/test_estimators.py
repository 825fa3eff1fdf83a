"""A study of a scikit-learn classifier from its file to the registered model, and one whose trials all fail."""

import re
from pathlib import Path

import mlflow
import numpy as np
import pytest

from pipeline.cli.main import main
from pipeline.data import load_block
from pipeline.data.dataset import load_rows
from pipeline.data.splits import split_indices
from pipeline.search.plan import make_task, plan
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.trials.own_models import accuracy

STUDY = """
from pipeline import Arm, Float, SearchSpace, Study
STUDY = Study(
    name="nb", question="?", dataset="iris", model="sklearn.naive_bayes:GaussianNB", blocks=1, trials=4, confirm=1,
    space=SearchSpace(var_smoothing=Float(1e-9, 1, log=True)), arms=(Arm("random"), Arm("tpe")),
)
"""
FAILS = """
from pipeline import Arm, Float, SearchSpace, Study
def fit(params, data, seed, report):
    raise ValueError(f"no luck with {params['rate']}")
STUDY = Study(
    name="fails", question="?", dataset="iris", model="fails:fit", blocks=2, trials=4,
    space=SearchSpace(rate=Float(0, 1)), arms=(Arm("random"),),
)
"""


@pytest.fixture
def folder(tmp_path, tracking_uri, monkeypatch):
    """Return an empty folder, which the stores are in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_registered_pipeline_is_the_recorded_trial(folder, tracking_uri, monkeypatch):
    """The model of a study takes raw rows, and has the accuracy of the trial that was chosen; no pickle is in it."""
    (folder / "nb.py").write_text(STUDY)
    assert main(["run", "nb.py", "--workers", "1", "--quiet"]) == 0
    study = find_study("nb.py", {})
    records = OptunaStore(study, "optuna.log").recorded()
    assert len(records) == 8
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)  # set_tracking_uri would last for all later tests
    model = mlflow.sklearn.load_model("models:/babysit-nb@champion")
    task, rows = make_task(study, plan(study)[:1]), load_rows(study.source)
    _, val, _ = split_indices(rows, task.config, task.split_seed)
    best = max(trial.value for trial in records.values())
    assert accuracy(model.predict_proba(rows.inputs[val]), rows.labels[val]) == best
    prepared = load_block(task.dataset, task.config, task.split_seed).val.inputs
    assert np.allclose(model[0].transform(rows.inputs[val]), prepared, atol=1e-5)
    files = mlflow.artifacts.download_artifacts("models:/babysit-nb@champion", dst_path=str(folder / "model"))
    assert {path.suffix for path in Path(files).rglob("model*")} == {".skops"}


def test_a_study_whose_trials_all_fail_stops_with_the_first_traceback(folder, capsys):
    """The check refuses it; without checks the first five failures stop the search. Either way nothing is recorded."""
    (folder / "fails.py").write_text(FAILS)
    assert main(["run", "fails.py", "--workers", "1"]) == 1
    assert "the first trial runs to its end" in capsys.readouterr().err
    assert main(["search", "fails.py", "--workers", "1"]) == 1
    error = capsys.readouterr().err
    assert re.search(r"the first \d trials all failed alike: the model raised ValueError: no luck with", error)
    assert "Traceback" in error
    assert not OptunaStore(find_study("fails.py", {}), "optuna.log").recorded()
