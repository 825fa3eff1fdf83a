"""A study of a scikit-learn classifier from its file to the registered model, and one whose trials all fail."""

import json
import re
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pipeline.cli.main import main
from pipeline.data.dataset import load_rows
from pipeline.data.splits import split_indices
from pipeline.search.plan import first_trial, make_task
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.trials.row_scores import pack_bits

STUDY = """
from pipeline import Arm, Float, SearchSpace, Study
STUDY = Study(
    name="own", question="?", dataset="table.csv:fate", model="sklearn.ensemble:HistGradientBoostingClassifier",
    fixed={"max_iter": 3}, space=SearchSpace(learning_rate=Float(0.01, 1, log=True)), arms=(Arm("random"),),
    blocks=1, trials=3, confirm=0,
)
"""
LOADED = """
import json, sys, mlflow, pandas
mlflow.set_tracking_uri(sys.argv[1])
rows = pandas.read_csv("table.csv").drop(columns="fate")
classifier = mlflow.sklearn.load_model("models:/babysit-own@champion")
served = mlflow.pyfunc.load_model("models:/babysit-own@champion")
assert list(classifier.predict(rows)) == list(served.predict(rows))
assert classifier.predict_proba(rows).shape == (120, 2)
assert "pipeline" not in sys.modules
print(json.dumps(list(classifier.predict(rows))))
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


@pytest.fixture
def table(folder):
    """Return the recorded study of a table with text, dates and empty cells; whole, it was run with its report."""
    generator = np.random.default_rng(0)
    sex, when = generator.choice(["f", "m"], 120), pd.date_range("2020-01-01", periods=120).astype(str)
    frame = pd.DataFrame({"age": generator.normal(size=120), "sex": sex, "when": when})
    frame["fate"] = np.where((frame["age"] > 0) ^ (sex == "f"), "saved", "lost")
    frame.loc[::9, ["age", "sex"]] = None
    frame.to_csv("table.csv", index=False)
    (folder / "own.py").write_text(STUDY)
    for words in (["search", "own.py", "--workers", "1"], ["report", "own.py"]):
        assert main([*words, "--quiet"]) == 0
    return find_study("own.py", {})


def codes(folder):
    """Return the texts of the winner's box of the page, by the first word of their headings."""
    page = (folder / "reports" / "own" / "report.md").read_text()
    return dict(re.findall(r"\n(\w+)[^\n]*\n\n```\n(.*?)\n```", page, re.DOTALL))


def test_the_champion_takes_raw_rows_and_predicts_as_recorded(table, folder, tracking_uri, monkeypatch, capsys):
    """In a new process, both loaders of MLflow predict the names of the classes from cells, each as in the recorded trial.

    The page's lines make the winner's classifier, load the champion, and train its values again.
    """
    found = OptunaStore(table, "optuna.log").table()
    best = found.loc[found["best/val_accuracy"].idxmax()]
    shown = subprocess.run(
        [sys.executable, "-P", "-c", LOADED, tracking_uri], stdout=subprocess.PIPE, text=True, check=True
    )
    names = np.array(json.loads(shown.stdout.splitlines()[-1]))
    task, rows = make_task(table, [first_trial(table)]), load_rows(table.source)
    _, val, test = split_indices(rows, task.config, task.split_seed)
    right = names == np.array(rows.class_names)[rows.labels]
    assert [pack_bits(right[part]) for part in (val, test)] == [best["val_correct"], best["test_correct"]]
    lines, made = codes(folder), {}
    exec(lines["Its"], made)  # noqa: S102  the text is our own
    params = made["classifier"].get_params()
    assert (params["learning_rate"], params["max_iter"]) == (best["learning_rate"], 3)
    assert params["random_state"] == best["seed"] % 2**32
    capsys.readouterr()
    exec(lines["Load"].replace("mlflow.set_tracking_uri", "str"), {})  # noqa: S102  the address would last for later tests
    assert capsys.readouterr().out.split() == [f"['{names[0]}'", f"'{names[1]}']"]
    assert main(shlex.split(lines["Train"])[1:]) == 0
    assert "\n  epoch   3  " in capsys.readouterr().out


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
