"""The best model of a study: its choice, its saved state, its registration and its service."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.cli.main import main
from pipeline.commands.ui import free_port
from pipeline.estimator import NumpyNetworkClassifier
from pipeline.model.best import best_trial, load, save
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

ROW = {"diverged": False, "test/accuracy": 0.5}


def test_the_best_is_chosen_on_validation():
    """The highest validation accuracy wins, whatever the test accuracy; diverged and pruned trials are left out."""
    records = [
        {**ROW, "trial": 0, "best/val_accuracy": 0.8, "test/accuracy": 0.9},
        {**ROW, "trial": 1, "best/val_accuracy": 0.9},
        {**ROW, "trial": 2, "best/val_accuracy": 0.9, "test/accuracy": 0.99},
        {**ROW, "trial": 3, "best/val_accuracy": 1.0, "diverged": True},
        {**ROW, "trial": 4, "best/val_accuracy": 1.0, "pruned": True},
    ]
    assert best_trial(records)["trial"] == 1
    assert best_trial(records[3:]) is None


def test_a_saved_classifier_predicts_the_same_bits(tmp_path):
    """The saved files hold no pickle, and load as the same classifier, with its class names."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(60, 5)), np.array(["no", "yes"])[generator.integers(2, size=60)]
    fitted = NumpyNetworkClassifier(max_iter=2, batch_norm=True).fit(X, y)
    again = load(*save(fitted, tmp_path))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert list(again.predict(X)) == list(fitted.predict(X))
    assert {path.name for path in tmp_path.iterdir()} == {"arrays.npz", "estimator.json"}


def test_a_loaded_classifier_trains_on(tmp_path):
    """A loaded classifier continues from the network with new velocities, also from the files of an older version."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(60, 5)), generator.integers(2, size=60)
    fitted = NumpyNetworkClassifier(max_iter=2, batch_norm=True, dropout=0.2, optimizer="adam").fit(X, y)
    arrays, plain = save(fitted, tmp_path)
    plain.write_text(json.dumps({k: v for k, v in json.loads(plain.read_text()).items() if k != "built_"}))
    again = load(arrays, plain).partial_fit(X, y)
    assert again.n_iter_ == 3
    assert not np.array_equal(again.parameters_, fitted.parameters_)


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


@pytest.mark.slow
def test_the_best_model_is_registered_once(registered, tmp_path):
    """The report registers one version, the champion, with its tags; a second report of the same trials adds none."""
    (version,) = registered.search_model_versions("name = 'babysit-tiny'")
    assert registered.get_model_version_by_alias("babysit-tiny", "champion").version == version.version
    study = find_study(str(tmp_path / "tiny.py"), {})
    table = OptunaStore(study, str(tmp_path / "optuna.log")).table()
    best = table.loc[table["best/val_accuracy"].idxmax()]
    assert version.tags["trial_run"] == best["run_id"]
    assert float(version.tags["val_accuracy"]) == best["best/val_accuracy"]
    assert version.tags["same_as_recorded"] == "True"
    assert version.tags["study_hash"] == study.hash
    (logged,) = registered.get_run(version.run_id).outputs.model_outputs
    kept = registered.get_logged_model(logged.model_id)
    assert (kept.source_run_id, kept.status.value) == (version.run_id, "READY")
    pictures = {file.path for file in registered.list_artifacts(version.run_id, "best")}
    assert {"best/loss.png", "best/accuracy.png", "best/update_ratio.png", "best/activations.png"} <= pictures
    folder = version.source.removeprefix("file://")
    names = {name for _, _, files in os.walk(folder) for name in files}
    assert {"MLmodel", "requirements.txt", "serving.py", "arrays.npz", "estimator.json"} <= names
    assert not {"uv.lock", "pyproject.toml"} & names
    assert not any(name.endswith((".pkl", ".pickle", ".skops")) for name in names)
    _loaded_as_mlflow_does(folder)
    _crowns_only_what_is_better(registered, version)


def _loaded_as_mlflow_does(folder):
    """``mlflow.pyfunc.load_model`` gives class probabilities of real rows, under the classes' names."""
    from sklearn.datasets import load_digits

    with warnings.catch_warnings(action="ignore"):
        import mlflow

        loaded = mlflow.pyfunc.load_model(folder)
        found = loaded.predict(load_digits().data[:50])
    assert list(found.columns) == list("0123456789")
    assert np.allclose(found.sum(axis=1), 1)
    assert (found.to_numpy().argmax(axis=1) == load_digits().target[:50]).mean() > 0.5
    assert loaded.metadata.signature.inputs.to_dict()[0]["tensor-spec"]["shape"] == (-1, 64)


def _crowns_only_what_is_better(client, version):
    """A worse model does not take the alias from the champion; a better one does."""
    from pipeline.tracking.registry import _update_champion

    made = {}
    for name, accuracy in (("worse", 0.1), ("better", 1.1)):
        tags = {**version.tags, "val_accuracy": str(accuracy)}
        made[name] = client.create_model_version("babysit-tiny", version.source, version.run_id, tags=tags)
        outcome = _update_champion(client, "babysit-tiny", made[name], accuracy)
        stays = f"version {version.version} stays the champion: its validation accuracy is as high or higher"
        assert outcome == {"better": "it is the champion"}.get(name, stays)
    assert client.get_model_version_by_alias("babysit-tiny", "champion").version == made["better"].version


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
def test_the_champion_is_served(registered, tracking_uri):
    """``mlflow models serve`` answers a real request with the probability of every class."""
    from sklearn.datasets import load_digits

    environment = os.environ | {"MLFLOW_TRACKING_URI": tracking_uri}
    answer = _served("models:/babysit-tiny@champion", load_digits().data[:3], Path(sys.executable), environment)
    assert len(answer["predictions"]) == 3
    for row in answer["predictions"]:
        assert list(row) == list("0123456789")
        assert sum(row.values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_model_needs_what_it_says(registered, tmp_path):
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
        _served(model, rows, python, environment, cwd=elsewhere),
    ):
        assert np.array_equal([list(row.values()) for row in answer["predictions"]], expected)


def _served(model, rows, python, environment, cwd=None):
    """Return what ``mlflow models serve`` answers for these rows, in an interpreter's environment."""
    port = free_port(0)
    words = ["models", "serve", "--model-uri", model, "--env-manager", "local"]
    server = subprocess.Popen(
        [python, "-m", "mlflow", *words, "--host", "127.0.0.1", "--port", str(port)],
        env=environment | {"PATH": f"{python.parent}:{environment['PATH']}"},
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        body = json.dumps({"inputs": rows.tolist()}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        return _answer(request, server)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answer(request, server):
    """Return the answer to a request, as soon as the server listens."""
    while True:
        assert server.poll() is None
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  our own server
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None
        except urllib.error.URLError:
            time.sleep(0.5)
