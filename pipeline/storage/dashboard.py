"""The notes and the report's figures that Optuna Dashboard shows of a study and its trials.

They are attributes of the Optuna study, in the form of ``optuna_dashboard``, whose import takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from pipeline.storage.attributes import Key, is_recorded_study
from pipeline.storage.journal import at_once, open_storage
from pipeline.storage.pooled import is_pooled, pool, pooled_name
from pipeline.study.spec import Study

PART = 2000
"""Characters that fit into one attribute of a note or a figure."""
VERSION = 1
"""The version of a note that this program writes. The dashboard counts it up when a user edits the note."""
DIVERGED_NOTED = 10
"""At most this many diverged trials of an Optuna study have a note."""


@dataclass(frozen=True)
class Shown:
    """What a report shows in Optuna Dashboard.

    Attributes
    ----------
    figures
        Plotly's JSON of each figure, by a name that is a valid HTML id.
    verdicts
        The sentences of the verdicts, the headline first.
    link
        The address in MLflow UI of a run, given by its id.

    """

    figures: Mapping[str, str]
    verdicts: Sequence[str]
    link: Callable[[str], str]


def save_note(storage: BaseStorage, study_id: int, text: str, trial_id: int | None = None) -> None:
    """Set the note of an Optuna study, or of one of its trials. A note that a user edited stays."""
    place = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    if storage.get_study_system_attrs(study_id).get(f"{place}note_ver", VERSION) == VERSION:
        storage.set_study_system_attr(study_id, f"{place}note_ver", VERSION)
        _save_text(storage, study_id, f"{place}note_str:", text)


def save_figure(storage: BaseStorage, study_id: int, name: str, figure: str) -> None:
    """Show a figure, given as Plotly's JSON, on a study's page. It replaces the figure of the same name."""
    _save_text(storage, study_id, f"dashboard:plot_data:{name}:", figure)


def _save_text(storage: BaseStorage, study_id: int, prefix: str, text: str) -> None:
    """Set the parts of a text as attributes PREFIX0, PREFIX1, and so on; parts of an earlier, longer text are emptied."""
    recorded = storage.get_study_system_attrs(study_id)
    parts = {f"{prefix}{i}": text[start : start + PART] for i, start in enumerate(range(0, len(text), PART))}
    for key, part in {**{key: "" for key in recorded if key.startswith(prefix)}, **parts}.items():
        if recorded.get(key) != part:
            storage.set_study_system_attr(study_id, key, part)


def show_report(
    storage: BaseStorage,
    study: Study,
    trials: Mapping[Key, FrozenTrial],
    attributes: Mapping[str, Mapping[str, Any]],
    shown: Shown,
) -> None:
    """Show a report on the study of each arm and block, and on the pooled study of each arm, which is made here.

    Parameters
    ----------
    storage, study
        The storage, and the study that is reported.
    trials
        The recorded trials by arm, block and number, in this order.
    attributes
        The attributes of the Optuna study of each arm and block, by name.
    shown
        What is shown.

    """
    champion = best_of(trials.values())
    for arm in study.arms:
        of_arm = {key: trial for key, trial in trials.items() if key[0] == arm.name}
        pages = [
            (name, facts, [trial for key, trial in of_arm.items() if key[1] == facts["block"]])
            for name, facts in attributes.items()
            if facts["arm"] == arm.name
        ]
        if pages:
            shared = {key: pages[0][1][key] for key in ("study", "arm", "sampler", "mlflow_run")}
            if copies := pool(
                storage, pooled_name(study.name, arm.name), list(of_arm.values()), shared, study.objective
            ):
                pages.append((pooled_name(study.name, arm.name), shared, copies))
        with at_once(storage):
            for name, facts, of_page in pages:
                _show(storage, name, note_of(study, facts, shown), of_page, champion, shown)


def _show(
    storage: BaseStorage,
    name: str,
    note: str,
    trials: Sequence[FrozenTrial],
    champion: FrozenTrial | None,
    shown: Shown,
) -> None:
    """Show the note and the figures of an Optuna study, and a note on each notable one of its trials."""
    study_id = storage.get_study_id_from_name(name)
    save_note(storage, study_id, note + _links(study_id, notable := _notable(trials, champion)))
    for title, figure in shown.figures.items():
        save_figure(storage, study_id, title, figure)
    noted = set(storage.get_study_system_attrs(study_id))
    for trial in trials:
        if trial.number in notable:
            save_note(storage, study_id, _trial_note(trial, notable[trial.number], shown), _id(trial))
        elif f"dashboard:{_id(trial)}:note_ver" in noted:  # it was notable at an earlier report
            save_note(storage, study_id, "", _id(trial))


def _id(trial: FrozenTrial) -> int:
    """Return the id of a trial in its storage, for which Optuna has no public name."""
    return int(trial._trial_id)  # noqa: SLF001


def _links(study_id: int, notable: Mapping[int, str]) -> str:
    """Return lines of a study's note with links to the pages of its notable trials, by reason."""
    page = f"/dashboard/studies/{study_id}/trials?numbers="
    pages = {why: ", ".join(f"[{n}]({page}{n})" for n in notable if notable[n] == why) for why in notable.values()}
    return "".join(f"- {why}: trial {numbers}\n" for why, numbers in pages.items())


def best_of(trials: Iterable[FrozenTrial]) -> FrozenTrial | None:
    """Return the trial with the highest value, the first of equals; none that diverged or was pruned."""
    whole = [t for t in trials if t.state == TrialState.COMPLETE and not t.user_attrs["diverged"]]
    return max(whole, key=lambda trial: float(trial.value or 0), default=None)


def _notable(trials: Sequence[FrozenTrial], champion: FrozenTrial | None) -> dict[int, str]:
    """Return why a trial has a note, by its number: it is the best, or one of the first that diverged."""
    reasons = {}
    if best := best_of(trials):
        of_all = champion and best.user_attrs["run_id"] == champion.user_attrs["run_id"]
        reasons[best.number] = "best of all arms and blocks" if of_all else "best of this study"
    diverged = [trial.number for trial in trials if trial.user_attrs["diverged"]]
    return reasons | dict.fromkeys(diverged[:DIVERGED_NOTED], "diverged")


def _trial_note(trial: FrozenTrial, reason: str, shown: Shown) -> str:
    """Return the note on a trial: why it has one, its place, its diagnosis, and a link to its run."""
    facts = trial.user_attrs
    return (
        f"**{reason}** (block {facts['block']}, trial {facts['trial']})\n\n"
        f"Diagnosis: {facts.get('diagnosis') or 'nothing wrong'}\n\n"
        f"[Its run in MLflow]({shown.link(facts['run_id'])})\n"
    )


def note_of(study: Study, attributes: Mapping[str, Any], shown: Shown | None = None) -> str:
    """Return the note on an Optuna study with these attributes; after a report with the verdicts and a link."""
    block, run = attributes.get("block"), attributes["mlflow_run"]
    place = "all blocks" if block is None else f"block {block}: the same data split and seeds for every arm"
    lines = [f"**{study.question}**\n", *(f"{sentence}\n" for sentence in (shown.verdicts if shown else ()))]
    lines += [f"- study `{study.name}`, arm `{attributes['arm']}` (sampler `{attributes['sampler']}`), {place}"]
    if block is None:
        lines += [
            "- copies of the trials of all blocks, for charts; nothing is searched here. Curves: in each block's study"
        ]
    curves = "" if block is None else "; intermediate values: after each epoch"
    lines += [f"- value: the best validation {study.objective.title} over {study.config.epochs} epochs{curves}"]
    name = f"run `{run}`" if shown is None else f"[run `{run}`]({shown.link(run)})"
    lines += [f"- in MLflow: the children of {name}; each trial's own run is its `run_id`"]
    return "\n".join(lines) + "\n"


def study_ids(address: str, parent_run: str) -> list[int]:
    """Return the ids, in the dashboard's links, of a run's pooled studies; before a report those of the first block."""
    storage = open_storage(address)
    studies = [study for study in storage.get_all_studies() if study.user_attrs.get("mlflow_run") == parent_run]
    pooled = [study for study in studies if is_pooled(study.user_attrs)]
    first = [s for s in studies if is_recorded_study(s.study_name, s.user_attrs) and s.user_attrs["block"] == 0]
    return [storage.get_study_id_from_name(study.study_name) for study in pooled or first]
