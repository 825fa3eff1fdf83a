"""The registered model is loaded and served, also where only its requirements are installed."""

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.model.best import load


@pytest.mark.slow
def test_the_page_loads_the_champion(registered, tracking_uri):
    """The Python code in docs/mlflow_ui.md returns the probabilities of five rows."""
    page = (Path(__file__).parents[2] / "docs" / "mlflow_ui.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    block = block.replace("sqlite:///mlflow.db", tracking_uri).replace("random_vs_grid", "tiny")
    script = f"{block}\nprint(probabilities.shape)"
    shown = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert shown.stdout.split("\n")[-2] == "(5, 10)"


@pytest.mark.slow
def test_the_champion_is_served(registered, served, tracking_uri):
    """``mlflow models serve`` answers a real request with the probability of every class."""
    from sklearn.datasets import load_digits

    environment = os.environ | {"MLFLOW_TRACKING_URI": tracking_uri}
    answer = _served(served, "models:/babysit-tiny@champion", load_digits().data[:3], Path(sys.executable), environment)
    assert len(answer["predictions"]) == 3
    for row in answer["predictions"]:
        assert list(row) == list("0123456789")
        assert sum(row.values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_model_needs_what_it_says(registered, served, tmp_path):
    """In an environment of its requirements, next to another ``pipeline``, it loads, predicts the same and is served."""
    from sklearn.datasets import load_digits

    (version,) = registered.search_model_versions("name = 'babysit-tiny'")
    model = Path(version.source.removeprefix("file://"))
    state = model / "data" / "classifier"
    rows = load_digits().data[:50]
    expected = load(state / "arrays.npz", state / "estimator.json").predict_proba(rows)
    python, elsewhere = tmp_path / "environment" / "bin" / "python", tmp_path / "elsewhere"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    run = partial(subprocess.run, cwd=elsewhere, env=environment, check=True, stdout=subprocess.PIPE)
    (elsewhere / "pipeline").mkdir(parents=True)
    (elsewhere / "pipeline" / "__init__.py").write_text("OWN = True")
    np.save(elsewhere / "rows.npy", rows)
    (elsewhere / "rows.json").write_text(json.dumps({"inputs": rows.tolist()}))
    run([sys.executable, "-m", "venv", python.parents[1]])
    run([python, "-m", "pip", "install", "--quiet", "-r", model / "requirements.txt"])
    script = f"""
import pipeline, mlflow, numpy
model = mlflow.pyfunc.load_model({str(model)!r})
numpy.save("probabilities.npy", model.predict(numpy.load("rows.npy")).to_numpy())
assert pipeline.OWN
"""
    run([python, "-c", script])
    assert np.array_equal(np.load(elsewhere / "probabilities.npy"), expected)
    words = ["models", "predict", "--model-uri", model, "--env-manager", "local", "--input-path", "rows.json"]
    run([python, "-m", "mlflow", *words, "--output-path", "predicted.json"])
    for answer in (
        json.loads((elsewhere / "predicted.json").read_text()),
        _served(served, model, rows, python, environment, cwd=elsewhere),
    ):
        assert np.array_equal([list(row.values()) for row in answer["predictions"]], expected)


def _served(served, model, rows, python, environment, cwd=None):
    """Return what ``mlflow models serve`` answers for these rows, in an interpreter's environment."""
    words = ["models", "serve", "--model-uri", model, "--env-manager", "local", "--host", "127.0.0.1"]
    environment = environment | {"PATH": f"{python.parent}:{environment['PATH']}"}
    return served([python, "-m", "mlflow", *words], {"inputs": rows.tolist()}, env=environment, cwd=cwd)


TABLE_STUDY = """
from pipeline import Arm, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="table",
    question="Does a table work?",
    dataset="table.csv:fate",
    columns={"id": "drop"},
    space=SearchSpace(learning_rate=Float(1e-2, 1, log=True)),
    config=TrainConfig(epochs=3, batch_size=16),
    arms=(Arm("random"),),
    blocks=1,
    trials=2,
    confirm=0,
)
"""


@pytest.mark.slow
def test_a_model_of_a_table_takes_raw_rows(tracking_uri, tmp_path):
    """A study of text, dates and missing cells is recorded with its columns, and its champion predicts from raw rows."""
    generator = np.random.default_rng(0)
    sex, when = generator.choice(["f", "m"], 120), pd.date_range("2020-01-01", periods=120).astype(str)
    frame = pd.DataFrame({"id": range(120), "age": generator.normal(size=120), "sex": sex, "when": when})
    frame["fate"] = np.where((frame["age"] > 0) ^ (sex == "f"), "NA", "lost")
    frame.loc[::9, ["age", "sex"]] = None
    frame.to_csv("table.csv", index=False)
    (tmp_path / "table.py").write_text(TABLE_STUDY)
    for verb in ("search", "report"):
        assert main([verb, "table.py", *(["--workers", "1"] if verb == "search" else [])]) == 0
    page = (tmp_path / "reports" / "table" / "report.md").read_text()
    assert "| id | dropped | 0 |" in page
    assert "| sex | category of 2 values, 14 missing | 3 |" in page
    client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    model = mlflow.pyfunc.load_model(client.get_model_version_by_alias("babysit-table", "champion").source)
    raw = frame.drop(columns="fate")
    probabilities = model.predict(raw)
    assert list(probabilities.columns) == ["NA", "lost"]
    row = raw.iloc[[0]].drop(columns="id").to_dict("records")  # with missing cells, which JSON has as null
    answer = model.predict(pd.DataFrame(json.loads(json.dumps(row).replace("NaN", "null"))))
    np.testing.assert_allclose(answer, probabilities.iloc[[0]], rtol=1e-6)
