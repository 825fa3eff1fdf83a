"""The Optuna store: one Optuna study for each arm and block, with trials numbered as in the plan.

This store decides: a trial is finished once it is recorded here. Optuna Dashboard can open the storage.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from typing import Any
from uuid import uuid4

import optuna
import pandas as pd
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pipeline.console.log_records import quiet_loggers
from pipeline.errors import Failed, UserError
from pipeline.storage.attributes import (
    BLAS,
    COLUMNS,
    CONFIRMATION,
    STUDY_GENERATION,
    Key,
    is_confirmation,
    is_recorded_study,
    is_recorded_trial,
    optuna_name,
)
from pipeline.storage.dashboard import Shown, note_of, save_note, show_report
from pipeline.storage.declarations import (
    DECLARATIONS,
    check_unchanged,
    declarations_of,
    declared_study,
    latest,
    recorded_name,
    with_declaration,
)
from pipeline.storage.journal import add_trials, at_once, open_storage
from pipeline.storage.trial_record import frozen_trial, row_of
from pipeline.study.spec import Arm, Study
from pipeline.trials.trial import FinishedTrial


class OptunaStore:
    """The Optuna studies of one study, in the storage at an address."""

    def __init__(self, study: Study, address: str, *, new: bool = False) -> None:
        """Open the storage. This one process creates it if it is missing, before any worker starts.

        A study that is started again (``new``) is recorded as ``NAME-2``, ``NAME-3``, ...; otherwise the newest of those
        with the same declaration is resumed. :attr:`study` has the name that the study is recorded by, and
        :attr:`declared_name` is the one in its declaration.
        """
        quiet_loggers("optuna")
        self.storage = open_storage(address)
        self.declared_name = study.name
        self.study = replace(study, name=recorded_name(study, self._all_attributes().values(), new=new))
        self._studies: dict[tuple[str, int], optuna.Study] = {}
        self.check_lock: Callable[[], None] = lambda: None  # raises Failed if another process may record the study
        self.foreign: list[str] = []
        self._blas: list[str] | None = None

    def check_same(self, basis: Mapping[str, Any]) -> None:
        """Raise :class:`UserError` if the study's name is used for other trials; the message names the difference.

        Other trials are those of another declaration or another ``basis`` (the version of the network, and the data). A
        foreign Optuna study with the name of one of this study's arms is refused too, if it does not maximize one value.
        """
        places = {self.optuna_name(arm.name, block) for arm in self.study.arms for block in range(self.study.blocks)}
        for frozen in self.storage.get_all_studies():
            if frozen.study_name in places and frozen.directions != [StudyDirection.MAXIMIZE]:
                raise UserError(
                    f"study {self.study.name!r}: an Optuna study {frozen.study_name!r} is there that does not maximize one "
                    "value. Remove or rename that, or give the study another name"
                )
        for attributes in self._attributes().values():
            check_unchanged(self.study, basis, attributes)

    def open(self, parent_run: str, basis: Mapping[str, Any], extra: Mapping[str, Any] | None = None) -> None:
        """Create the missing Optuna studies, and record the declaration as it is now.

        Parameters
        ----------
        parent_run
            The id of the study's run in MLflow.
        basis
            What decides a trial's numbers apart from the declaration.
        extra
            More attributes: facts of the data, and the study that this one refines.

        """
        declared: dict[str, Any] = {"declaration": json.dumps(self.study.to_json()), "declared_as": self.declared_name}
        declared |= {DECLARATIONS: with_declaration(self._latest, self.study, len(self.recorded()))}
        declared |= {
            "basis": dict(basis),
            "mlflow_run": parent_run,
            STUDY_GENERATION: self.ensure_generation(),
            **(extra or {}),
        }
        with at_once(self.storage):
            for arm in self.study.arms:
                for block in range(self.study.blocks):
                    place = {"study": self.study.name, "arm": arm.name, "block": block, "sampler": arm.sampler}
                    self._open_arm(arm, block, place | declared)

    def _open_arm(self, arm: Arm, block: int, attributes: Mapping[str, Any]) -> None:
        name = self.optuna_name(arm.name, block)
        study = self._load_or_create(name)
        recorded = study.user_attrs
        for key, value in attributes.items():
            if recorded.get(key) != value:
                study.set_user_attr(key, value)
        if "study" not in recorded:
            with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                study.set_metric_names([self.study.objective.best_val])
            save_note(self.storage, self.storage.get_study_id_from_name(name), note_of(self.study, attributes))
        self._studies[arm.name, block] = study

    def ensure_generation(self) -> str:
        """Return the study's generation, a random id that no other study has; create it if it is missing.

        It is a tag of the study's MLflow run and of its trials' runs. By it, a study finds its run after a crash that came
        before the run's id was stored here, and changes no other study's runs.
        """
        if not (generation := self.generation):
            generation = uuid4().hex
            self._load_or_create(self._first_name).set_user_attr(STUDY_GENERATION, generation)
        return generation

    @property
    def generation(self) -> str:
        """The study's generation; empty if it has none yet."""
        first = next((s.user_attrs for s in self.storage.get_all_studies() if s.study_name == self._first_name), {})
        everywhere = (*self._attributes().values(), first)
        return next((str(a[STUDY_GENERATION]) for a in everywhere if STUDY_GENERATION in a), "")

    @property
    def _first_name(self) -> str:
        return self.optuna_name(self.study.arms[0].name, 0)

    def for_study(self, study: Study) -> OptunaStore:
        """Return the store of another study in the same storage."""
        other = copy(self)
        other.study = study
        return other

    def _load_or_create(self, name: str) -> optuna.Study:
        return optuna.create_study(storage=self.storage, study_name=name, direction="maximize", load_if_exists=True)

    @property
    def blocks(self) -> int:
        """The most blocks that were opened for the study."""
        return max((attributes["block"] + 1 for attributes in self._attributes().values()), default=0)

    @property
    def parent_run(self) -> str | None:
        """The id of the study's run in MLflow, the parent of its trials' runs."""
        return next((attributes["mlflow_run"] for attributes in self._attributes().values()), None)

    @property
    def declaration(self) -> Study | None:
        """The study as it was declared when it last ran."""
        attributes = self._latest
        return declared_study(attributes) if attributes else None

    @property
    def declarations(self) -> list[dict[str, Any]]:
        """The terms of each declaration, with the time and the number of trials recorded before it."""
        return declarations_of(self._latest)

    @property
    def _latest(self) -> Mapping[str, Any]:
        return latest(self._attributes().values(), self.study)

    @property
    def classes(self) -> int | None:
        """The number of classes of the study's data, if it was recorded."""
        return self._latest.get("classes")

    @property
    def columns(self) -> list[list[Any]]:
        """What is done with each column of the study's table: its name, a clause, its number of inputs."""
        return list(self._latest.get(COLUMNS, ()))

    @property
    def study_names(self) -> list[str]:
        """The names of all studies in the storage."""
        return sorted({str(a["study"]) for a in self._all_attributes().values()})

    def recorded(self) -> dict[Key, FrozenTrial]:
        """Return the study's finished trials by arm, block and number. :attr:`foreign` then names the other trials there."""
        recorded: dict[Key, FrozenTrial] = {}
        self.foreign = []
        for name, attributes in self._attributes().items():
            arm, block = attributes["arm"], attributes["block"]
            for trial in self._finished(name):
                if (
                    is_recorded_trial(trial, self.study, arm, block)
                    and (key := (arm, block, trial.user_attrs["trial"])) not in recorded
                ):
                    recorded[key] = trial
                else:
                    self.foreign.append(f"{name} trial {trial.number}")
        return recorded

    def _finished(self, name: str) -> list[FrozenTrial]:
        study = optuna.load_study(study_name=name, storage=self.storage)
        return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    def add_all(self, trials: Mapping[str, FinishedTrial]) -> None:
        """Record finished trials, by the ids of their runs, each with its point, value, validation curve and attributes.

        Those of an arm and block are recorded in order, in one write.
        """
        self.note_blas(list(trials.values()))
        new: dict[tuple[str, int], list[FrozenTrial]] = {}
        for run_id, trial in trials.items():
            place = trial.plan.arm, trial.plan.block
            new.setdefault(place, []).append(frozen_trial(self.study, trial, run_id))
        with at_once(self.storage):
            for place, frozen in new.items():
                with self._opened(*place) as study:
                    add_trials(self.storage, study, frozen)

    @property
    def blas(self) -> list[str]:
        """The BLAS libraries that trials were trained on (:func:`pipeline.training.blas.blas`), in order of first use."""
        return list(dict.fromkeys(name for a in self._attributes().values() for name in a.get(BLAS, ())))

    def note_blas(self, trials: Sequence[FinishedTrial]) -> None:
        """Record the BLAS libraries of these trials, if the study does not list them yet."""
        if self._blas is None:
            self._blas = self.blas
        for trial in trials:
            if trial.blas and trial.blas not in self._blas:
                self._blas.append(trial.blas)
                self._studies[trial.plan.arm, trial.plan.block].set_user_attr(BLAS, list(self._blas))

    def confirmations(self) -> dict[Key, list[dict[str, Any]]]:
        """Return the repetitions of the trials that were trained again, by arm, block and number."""
        return {
            (a["arm"], a["block"], int(name.removeprefix(CONFIRMATION))): records
            for a in self._attributes().values()
            for name, records in a.items()
            if is_confirmation(name, records)
        }

    def confirm_all(self, repetitions: Mapping[Key, Sequence[Mapping[str, Any]]]) -> None:
        """Record all repetitions of these trials, as attributes of their Optuna studies; in one write if the storage can.

        They are not trials of those studies, so nothing counts, charts or samples them.
        """
        with at_once(self.storage):
            for (arm, block, number), records in repetitions.items():
                with self._opened(arm, block) as study:
                    study.set_user_attr(f"{CONFIRMATION}{number:04d}", list(records))

    @contextmanager
    def _opened(self, arm: str, block: int) -> Iterator[optuna.Study]:
        """Give the body the Optuna study of an arm and block. Raise :class:`Failed` if it has been deleted."""
        try:
            yield self._studies[arm, block]
        except KeyError:
            if (name := self.optuna_name(arm, block)) in optuna.get_all_study_names(self.storage):
                raise
            raise Failed(
                f"Optuna's study {name} was deleted during the search. What is recorded elsewhere stays, and the same command "
                "trains the deleted trials again"
            ) from None

    def show(self, shown: Shown) -> None:
        """Show a report in Optuna Dashboard, on the study of each arm and block, and on the pooled study of each arm."""
        show_report(self.storage, self.study, self._declared_trials(), self._attributes(), shown)

    def table(self) -> pd.DataFrame:
        """Return one row for each trial of the declared budget, in the order of arms, blocks and numbers."""
        # Sorted before the frame is made, since its first row orders the columns.
        return pd.DataFrame([row_of(self.study, trial) for trial in self._declared_trials().values()])

    def _declared_trials(self) -> dict[Key, FrozenTrial]:
        """Return the recorded trials of the declared budget, in the order of arms, blocks and numbers."""
        place = {arm.name: i for i, arm in enumerate(self.study.arms)}
        kept = {key: trial for key, trial in self.recorded().items() if self.study.includes(*key)}
        return {key: kept[key] for key in sorted(kept, key=lambda key: (place[key[0]], *key[1:]))}

    def optuna_name(self, arm: str, block: int) -> str:
        """Return the name of the Optuna study of an arm in a block."""
        return optuna_name(self.study.name, arm, block)

    def _attributes(self) -> dict[str, Mapping[str, Any]]:
        """Return the attributes of each Optuna study of this study, by name."""
        return {name: a for name, a in self._all_attributes().items() if a["study"] == self.study.name}

    def _all_attributes(self) -> dict[str, Mapping[str, Any]]:
        """Return the attributes of each Optuna study that this program recorded, by name."""
        # Optuna's summaries would copy every trial.
        studies = self.storage.get_all_studies()
        return {s.study_name: s.user_attrs for s in studies if is_recorded_study(s.study_name, s.user_attrs)}
