"""What Optuna Dashboard shows of a study beside its trials: a note in Markdown, and figures of our own.

It is stored as ``optuna_dashboard.save_note`` and ``save_plotly_graph_object`` store it, in attributes of the study that
are cut into pieces, without importing the dashboard, which takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna

from pipeline.study.spec import Study

NOTE_LIMIT = 2000
"""Characters that the dashboard keeps in one piece of a note."""
PIECE = 2045
"""Characters that it keeps in one piece of a figure."""


def leave_note(study: optuna.Study, body: str) -> None:
    """Make a text the study's note."""
    _store(study, {"dashboard:note_ver": 1, "dashboard:note_str:0": body[:NOTE_LIMIT]})


def leave_figure(study: optuna.Study, name: str, figure: str) -> None:
    """Show a figure, Plotly's JSON, on the study's page; the one that had its name is replaced, and an equal one stays.

    A piece that a longer figure left behind is emptied, since the dashboard joins them all.
    """
    prefix = f"dashboard:plot_data:{name}:"
    before = study._storage.get_study_system_attrs(study._study_id)  # noqa: SLF001
    pieces = {key: "" for key in before if key.startswith(prefix)}
    pieces |= {f"{prefix}{i}": figure[at : at + PIECE] for i, at in enumerate(range(0, len(figure), PIECE))}
    _store(study, {key: piece for key, piece in pieces.items() if before.get(key) != piece})


def _store(study: optuna.Study, attributes: Mapping[str, Any]) -> None:
    for key, value in attributes.items():
        study._storage.set_study_system_attr(study._study_id, key, value)  # noqa: SLF001  Optuna has no other way to it


def note_of(study: Study, about: Mapping[str, Any]) -> str:
    """What the dashboard says about the study of an arm in a block."""
    return (
        f"**{study.question}**\n\n"
        f"- study `{study.name}`, arm `{about['arm']}` (sampler `{about['sampler']}`), block {about['block']}: "
        "the same data split and seeds for every arm\n"
        f"- value: the best validation accuracy over {study.config.epochs} epochs; intermediate values: after each epoch\n"
        f"- in MLflow: the children of run `{about['mlflow_run']}`; each trial's own run is its `run_id`\n"
    )
