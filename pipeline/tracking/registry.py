"""The model registry: the best model of a study as a version of its registered model, and the alias ``champion``."""

from __future__ import annotations

import logging
import math
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pipeline.study.metrics import ACCURACY, Metric
from pipeline.tracking.runs import all_pages

CHAMPION = "champion"
IDENTITY = ("study_hash", "data_sha256", "network_version", "trial")
"""The tags that identify a version: the same trial is registered once."""


@dataclass(frozen=True)
class SavedModel:
    """A model on disk, ready to be registered.

    Attributes
    ----------
    files
        The folder with the model's state.
    code, loader
        The folder of the package that loads the state, and the module in it that MLflow calls.
    tags
        Where the model comes from, as tags of its version.
    example, outputs
        Rows (N, D) to try the model on, or raw rows of a table; and its predictions of them.
    requirements
        The packages it needs, with versions.
    metric
        What versions are compared by; the tag ``val_`` with its name has a version's validation value.
    estimator, trusted
        A scikit-learn classifier that is saved by skops in place of files and a loader, and the types that it may hold.

    """

    files: Path
    code: Path
    loader: str
    tags: Mapping[str, str]
    example: np.ndarray | pd.DataFrame
    outputs: np.ndarray | pd.DataFrame
    requirements: Sequence[str]
    metric: Metric = ACCURACY
    estimator: Any = None
    trusted: Sequence[str] = ()


def register(client: MlflowClient, experiment_id: str, run_id: str, name: str, model: SavedModel) -> tuple[str, str]:
    """Log a saved model with a run and register it under a name, once.

    Returns
    -------
    The model's version, and a clause on the champion.

    """
    version = _known(client, name, model.tags) or _new(client, experiment_id, run_id, name, model)
    return str(version.version), _update_champion(
        client, name, version, float(model.tags[_tag(model.metric)]), model.metric
    )


def end_pending(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    """End the PENDING models of a run as FAILED. No other process may register models of the run.

    A registration that was cut short leaves such a model. So does a request whose answer is lost, since it is repeated.
    """
    query = f"source_run_id = '{run_id}'"
    for model in all_pages(lambda token: client.search_logged_models([experiment_id], query, page_token=token)):
        if model.status == LoggedModelStatus.PENDING and "trial_run" in model.tags:
            client.finalize_logged_model(model.model_id, "FAILED")


def _known(client: MlflowClient, name: str, tags: Mapping[str, str]) -> ModelVersion | None:
    identity = {key: tags[key] for key in IDENTITY}
    versions = all_pages(lambda token: client.search_model_versions(f"name = '{name}'", page_token=token))
    return next((version for version in versions if identity.items() <= dict(version.tags).items()), None)


def _new(client: MlflowClient, experiment_id: str, run_id: str, name: str, model: SavedModel) -> ModelVersion:
    tags = dict(model.tags)
    logged = client.create_logged_model(
        experiment_id, name=tags["trial"], source_run_id=run_id, tags=tags, model_type="classifier"
    )
    with tempfile.TemporaryDirectory() as folder:
        _save(Path(folder) / "model", model, run_id, logged.model_id)
        client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    try:
        client.create_registered_model(name, description=f"The best model of the study {tags['study']}.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(
        name, logged.artifact_location, run_id, tags=tags, model_id=logged.model_id, await_creation_for=0
    )


def _save(folder: Path, model: SavedModel, run_id: str, model_id: str) -> None:
    """Write the model in MLflow's format: from code, with a signature, an example and the packages it needs."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")  # the current folder may be any project
    for name in ("mlflow.pyfunc", "mlflow.models", "mlflow.utils.environment"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # about type hints, in MLflow and missing in the model
        from mlflow.models import Model
        from mlflow.pyfunc import save_model

        shared: dict[str, Any] = {
            "mlflow_model": Model(run_id=run_id, model_id=model_id),
            "signature": _signature(model.example, model.outputs),
            "input_example": model.example,
            "pip_requirements": list(model.requirements),
            "code_paths": [str(model.code)],
        }
        if model.estimator is not None:
            from mlflow import sklearn

            sklearn.save_model(
                model.estimator,
                str(folder),
                serialization_format="skops",
                skops_trusted_types=list(model.trusted),
                **shared,
            )
            return
        save_model(
            str(folder),
            loader_module=model.loader,
            data_path=str(model.files),
            **shared,
        )


def _signature(example: np.ndarray | pd.DataFrame, outputs: np.ndarray | pd.DataFrame) -> Any:
    """Return the types of inputs and outputs; of raw rows of a table only those of the outputs.

    MLflow would refuse whole numbers in a column of decimals, and missing ones in a column of whole numbers; the model
    itself checks raw rows.
    """
    from mlflow.models import ModelSignature, infer_signature

    if isinstance(example, pd.DataFrame):
        return ModelSignature(outputs=infer_signature(outputs).inputs)
    return infer_signature(example, outputs)


def _tag(metric: Metric) -> str:
    return f"val_{metric.name}"


def _update_champion(
    client: MlflowClient, name: str, version: ModelVersion, score: float, metric: Metric = ACCURACY
) -> str:
    """Give the version the alias, unless the champion is as good or cannot be compared. Return the outcome as a clause.

    If MLflow does not answer, its error is raised and the alias stays.
    """
    champion = _champion(client, name)
    if champion and champion.version == version.version:
        return "it is the champion"
    if champion:
        to_beat = _score(champion, _tag(metric))
        if math.isnan(to_beat):
            return f"the champion stays version {champion.version}, which has no tag {_tag(metric)} to compare"
        if to_beat >= score:
            return f"version {champion.version} stays the champion: its validation {metric.title} is as high or higher"
    client.set_registered_model_alias(name, CHAMPION, version.version)
    return "it is the champion"


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """Return the version that has the alias; None if MLflow answers that there is no such version."""
    number = client.get_registered_model(name).aliases.get(CHAMPION)
    if number is None:
        return None
    try:
        return client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _score(version: ModelVersion, tag: str) -> float:
    """Return a version's validation value; NaN if its tag is missing, or has no number in it."""
    try:
        return float(version.tags.get(tag, math.nan))
    except ValueError:
        return math.nan
