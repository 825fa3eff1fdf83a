"""The MLflow experiment of a new run: named by the environment as MLflow reads it, or ``Default``, as for ``mlflow run``."""

from __future__ import annotations

import os
from typing import Any

from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pipeline.errors import UserError
from pipeline.storage.addresses import redact

EXPERIMENT = "Default"
"""MLflow's own experiment, which ``mlflow run`` records in too."""
EXPERIMENT_ID, EXPERIMENT_NAME = "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"
"""The variables of the environment that name the experiment."""
LONGEST_NAME = 500
LARGEST_ID = 2**63
"""The integers of databases are below this; MLflow numbers experiments from 0."""


def ensure_experiment(client: MlflowClient, creator: Any, uri: str) -> str:
    """Return the id of the experiment for a new run. The creator, MLflow's client or store, creates a missing one."""
    experiment = find_experiment(client, uri)
    if isinstance(experiment, str):
        try:
            return str(creator.create_experiment(experiment))
        except MlflowException as error:  # another process may have created it since
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = find_experiment(client, uri)
            if isinstance(experiment, str):
                raise
    return str(experiment.experiment_id)


def find_experiment(client: MlflowClient, uri: str) -> Experiment | str:
    """Return the experiment for a new run; only its name if there is no experiment of that name yet.

    Raises :class:`UserError` if the environment names an experiment that is deleted or missing, or two that differ.
    """
    wanted, name = os.environ.get(EXPERIMENT_ID, ""), os.environ.get(EXPERIMENT_NAME, "")
    if len(name) > LONGEST_NAME:
        raise UserError(f"{EXPERIMENT_NAME}: got {len(name):,} characters; MLflow takes {LONGEST_NAME}. Shorten it")
    if wanted:
        experiment = _experiment_with_id(client, wanted, uri)
        if name and experiment.name != name:
            raise UserError(
                f"{EXPERIMENT_ID}: got {wanted}, which is {experiment.name!r}; {EXPERIMENT_NAME} names {name!r}. Unset one"
            )
        return experiment
    name = name or EXPERIMENT
    by_name = client.get_experiment_by_name(name)
    if by_name and by_name.lifecycle_stage != "active":
        raise UserError(f"MLflow's experiment {name!r} is deleted; restore it, or name another in {EXPERIMENT_NAME}")
    return by_name or name


def _experiment_with_id(client: MlflowClient, wanted: str, uri: str) -> Experiment:
    experiment = None
    if wanted.isdecimal() and int(wanted) < LARGEST_ID:
        try:
            experiment = client.get_experiment(wanted)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    if experiment is None or experiment.lifecycle_stage != "active":
        state = "is deleted" if experiment else f"is not at {redact(uri)}"
        raise UserError(
            f"{EXPERIMENT_ID}: got {wanted!r}, an experiment that {state}. Unset it, or name one that is there"
        )
    return experiment
