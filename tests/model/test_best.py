"""The best model of a study: its choice, its saved state and its registration."""

import json
import os
import warnings

import numpy as np
import pytest

from pipeline.estimator import NumpyNetworkClassifier
from pipeline.model.best import load, save
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study


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
    figures = {file.path for file in registered.list_artifacts(version.run_id, "best")}
    assert {"best/loss.png", "best/accuracy.png", "best/update_ratio.png", "best/activations.png"} <= figures
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
