"""The note and the report's figures that Optuna Dashboard shows of a study, next to its trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.storages import BaseStorage

from pipeline.storage.attributes import is_recorded_study
from pipeline.storage.journal import open_storage
from pipeline.study.spec import Study

NOTE_LIMIT = 2000
"""Characters that fit into one attribute of a note."""


def save_note(storage: BaseStorage, name: str, text: str) -> None:
    """Set the note of an Optuna study as ``optuna_dashboard.save_note`` does, whose import takes seconds."""
    study_id = storage.get_study_id_from_name(name)
    storage.set_study_system_attr(study_id, "dashboard:note_ver", 1)
    storage.set_study_system_attr(study_id, "dashboard:note_str:0", text[:NOTE_LIMIT])


def save_figure(study: optuna.Study, name: str, figure: str) -> None:
    """Show a figure, given as Plotly's JSON, on the study's page. It replaces the figure of the same name."""
    from optuna_dashboard import save_plotly_graph_object
    from plotly.graph_objects import Figure

    # Without a template Plotly stores its default one, of 6 kB, with every figure.
    save_plotly_graph_object(study, Figure(json.loads(figure)).update_layout(template="none"), graph_object_id=name)


def note_of(study: Study, attributes: Mapping[str, Any]) -> str:
    """Return the note on the Optuna study of an arm in a block, which has these attributes."""
    return (
        f"**{study.question}**\n\n"
        f"- study `{study.name}`, arm `{attributes['arm']}` (sampler `{attributes['sampler']}`), block {attributes['block']}: "
        "the same data split and seeds for every arm\n"
        f"- value: the best validation accuracy over {study.config.epochs} epochs; intermediate values: after each epoch\n"
        f"- in MLflow: the children of run `{attributes['mlflow_run']}`; each trial's own run is its `run_id`\n"
    )


def study_ids(address: str, parent_run: str) -> list[int]:
    """Return the ids, in the dashboard's links, of a run's Optuna studies in the first block."""
    storage = open_storage(address)
    return [
        storage.get_study_id_from_name(study.study_name)
        for study in storage.get_all_studies()
        if is_recorded_study(study.study_name, study.user_attrs)
        and (study.user_attrs["mlflow_run"], study.user_attrs["block"]) == (parent_run, 0)
    ]
