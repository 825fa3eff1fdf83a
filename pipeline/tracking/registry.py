"""The model registry: the best model of a study as a version of its registered model, and ``champion`` where it wins."""

from __future__ import annotations

import logging
import math
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

CHAMPION = "champion"
IDENTITY = ("study_hash", "data_sha256", "network_version", "trial")
"""The tags that tell a version from others: the same trial is registered once."""


def register(
    client: MlflowClient, experiment_id: str, run_id: str, name: str, kept: Mapping[str, Any]
) -> tuple[str, str]:
    """Log a saved model with a run and register it under a name; its version, and what became of the champion, in words.

    ``kept`` is what :func:`pipeline.model.best.keeping` gives: the folder of the ``files`` of the model's state; that of
    its ``code``, and the ``loader``, a module in it; ``evidence``, the tags; ``example``, rows (N, D); ``probabilities`` (N, C)
    of them, and ``classes``; ``requirements``.
    """
    evidence = kept["evidence"]
    version = _known(client, name, evidence) or _new(client, experiment_id, run_id, name, kept)
    return str(version.version), _crown(client, name, version, float(evidence["val_accuracy"]))


def end_pending(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    """End the models of a run that are PENDING as FAILED; the caller knows that nobody else registers a model of it.

    A registration that was cut short leaves such a model; so does a request whose answer is lost, since it is sent again.
    """
    query, token = f"source_run_id = '{run_id}'", None
    while True:
        page = client.search_logged_models([experiment_id], query, page_token=token)
        for model in page:
            if model.status == LoggedModelStatus.PENDING and "trial_run" in model.tags:
                client.finalize_logged_model(model.model_id, "FAILED")
        if not (token := page.token):
            return


def _known(client: MlflowClient, name: str, evidence: dict[str, str]) -> ModelVersion | None:
    identity, token = {key: evidence[key] for key in IDENTITY}, None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        for version in page:
            if identity.items() <= dict(version.tags).items():
                return version
        if not (token := page.token):
            return None


def _new(client: MlflowClient, experiment_id: str, run_id: str, name: str, kept: Mapping[str, Any]) -> ModelVersion:
    evidence = kept["evidence"]
    made = client.create_logged_model(
        experiment_id, name=evidence["trial"], source_run_id=run_id, tags=evidence, model_type="classifier"
    )
    with tempfile.TemporaryDirectory() as folder:
        _save(Path(folder) / "model", kept, run_id, made.model_id)
        client.log_model_artifacts(made.model_id, str(Path(folder) / "model"))
    client.finalize_logged_model(made.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])
    try:
        client.create_registered_model(name, description=f"The best model of the study {evidence['study']}.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(
        name, made.artifact_location, run_id, tags=evidence, model_id=made.model_id, await_creation_for=0
    )


def _save(folder: Path, kept: Mapping[str, Any], run_id: str, model_id: str) -> None:
    """Write the model as MLflow has it: from code, with a signature, an example and the packages it needs."""
    example, probabilities = kept["example"], pd.DataFrame(kept["probabilities"], columns=kept["classes"])
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")  # the project of the current folder may be anything
    for name in ("mlflow.pyfunc", "mlflow.models", "mlflow.utils.environment"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # of type hints, MLflow's own and those that it would like
        from mlflow.models import Model, infer_signature
        from mlflow.pyfunc import save_model

        save_model(
            str(folder),
            loader_module=kept["loader"],
            data_path=kept["files"],
            code_paths=[kept["code"]],
            signature=infer_signature(np.asarray(example), probabilities),
            input_example=example,
            pip_requirements=kept["requirements"],
            mlflow_model=Model(run_id=run_id, model_id=model_id),
        )


def _crown(client: MlflowClient, name: str, version: ModelVersion, val_accuracy: float) -> str:
    """Give the version the alias, unless the champion is as good, or not to be compared; what became of it, in words.

    Raises what MLflow raises if it does not answer: nothing is decided then.
    """
    champion = _champion(client, name)
    if champion and champion.version == version.version:
        return "it is the champion"
    if champion:
        known = _val_accuracy(champion)
        if math.isnan(known):
            return f"the champion stays version {champion.version}, which has no tag val_accuracy to compare"
        if known >= val_accuracy:
            return "the champion stays another, which did no worse"
    client.set_registered_model_alias(name, CHAMPION, version.version)
    return "it is the champion"


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version that has the alias; None if MLflow answers that there is none, or no such version any more."""
    number = client.get_registered_model(name).aliases.get(CHAMPION)
    if number is None:
        return None
    try:
        return client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _val_accuracy(version: ModelVersion) -> float:
    """A version's validation accuracy, by its tag; NaN where that is missing or no number, as on a version of the user's."""
    try:
        return float(version.tags.get("val_accuracy", math.nan))
    except ValueError:
        return math.nan
