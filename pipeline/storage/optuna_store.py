"""The optuna_store: Optuna's record of a study, one Optuna study for each arm and block, numbered as the plan numbers them.

It is the record that decides: a trial is done when it stands here. Optuna Dashboard opens it as it is.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

import optuna
import pandas as pd
from optuna.exceptions import ExperimentalWarning
from optuna.study import StudyDirection, StudySummary
from optuna.trial import FrozenTrial, TrialState

from pipeline.console.log_records import quiet_loggers
from pipeline.errors import Failed, UserError
from pipeline.storage.addresses import redact, storage_file
from pipeline.storage.backends import at_once, open_storage
from pipeline.storage.dashboard import leave_figure, leave_note, note_of
from pipeline.storage.declarations import DECLARATIONS, declared_anew, difference, latest
from pipeline.storage.opening import opening
from pipeline.study.spec import Arm, Study
from pipeline.training.metrics import BEST_EPOCH, BEST_VAL_ACCURACY, GAP, TEST_ACCURACY, TRAIN_ACCURACY, VAL_ACCURACY
from pipeline.trials.trial import FinishedTrial

OPENING = "opening"
"""What holds the word of :meth:`OptunaStore.announce`."""
PLACE = {"study": str, "arm": str, "block": int, "declaration": str, "mlflow_run": str}
"""The attributes, with their types, of every Optuna study that this program records to."""
RECORDED = {
    **dict.fromkeys(("run_id", "val_correct", "test_correct"), (str,)),
    **dict.fromkeys(("trial", "seed", "epochs", "n_val", "n_test"), (int,)),
    **dict.fromkeys((BEST_VAL_ACCURACY, BEST_EPOCH, GAP, TRAIN_ACCURACY, TEST_ACCURACY, "seconds"), (float, int)),
    "diverged": (bool,),
}
"""The attributes, with their types, of every trial that this program records."""
CONFIRMATION = "confirmation/"
"""What the attributes that confirm a trial begin with; its number follows."""
BLAS = "blas"
"""The attribute that has the BLAS libraries of a study's trials."""
Key = tuple[str, int, int]


class OptunaStore:
    """The Optuna studies of one study, in the storage at an address."""

    def __init__(self, study: Study, address: str, *, new: bool = False) -> None:
        """Open the storage; a new one is made here, by this one process, before any worker starts.

        A study that was begun anew (``new``) is recorded as ``NAME-2``, ``NAME-3``, ...; the newest of them that has the
        same declaration is gone on with. :attr:`study` is the study under the name it is recorded by, and
        :attr:`declared_name` the one it was declared by.
        """
        quiet_loggers("optuna")
        self.storage = open_storage(address)
        self.declared_name = study.name
        self.study = replace(study, name=self._generation(study, new=new))
        self._studies: dict[tuple[str, int], optuna.Study] = {}
        self.check_lock: Callable[[], None] = lambda: None  # raises Failed if another process may record the study
        self.foreign: list[str] = []
        self._blas: list[str] | None = None

    def _generation(self, study: Study, *, new: bool) -> str:
        recorded = {str(a["study"]): a for a in self._known().values()}
        names = [study.name]
        while names[-1] in recorded:
            names.append(f"{study.name}-{len(names) + 1}")
        own = [name for name in names[:-1] if recorded[name].get("declared_as", study.name) == study.name]
        same = [name for name in own if Study.from_json(json.loads(recorded[name]["declaration"])).hash == study.hash]
        return names[-1] if new else (same[-1] if same else names[0])

    def check_same(self, basis: Mapping[str, Any]) -> None:
        """Raise :class:`UserError`, naming the difference, if trials of another declaration, or on another basis, are recorded.

        ``basis`` is what else decides a trial's numbers: the version of the network, and the data itself. An Optuna study
        of the user's in the place of one of these is refused, too, if it does not maximize one value.
        """
        places = {self.optuna_name(arm.name, block) for arm in self.study.arms for block in range(self.study.blocks)}
        for summary in self._summaries():
            if summary.study_name in places and summary.directions != [StudyDirection.MAXIMIZE]:
                raise UserError(
                    f"study {self.study.name!r}: an Optuna study {summary.study_name!r} is there that does not maximize one "
                    "value. Remove or rename that, or give the study another name"
                )
        for attributes in self._own().values():
            then = Study.from_json(json.loads(attributes["declaration"]))
            if then.hash != self.study.hash or attributes.get("basis") != basis:
                before, now = {**then.identity, **attributes.get("basis", {})}, {**self.study.identity, **basis}
                raise UserError(
                    f"study {self.study.name!r} is already recorded, and what decides its numbers has changed: "
                    f"{difference(before, now)}. Give it another name, begin it anew with --new, or undo the change"
                )

    def open(self, parent_run: str, basis: Mapping[str, Any], besides: Mapping[str, Any] | None = None) -> None:
        """Make the Optuna study of every arm and block that has none yet, and note the declaration as it is now.

        ``besides`` are attributes beside it: facts of its data, and what the study goes on from.
        """
        declared: dict[str, Any] = {"declaration": json.dumps(self.study.to_json()), "declared_as": self.declared_name}
        declared |= {DECLARATIONS: declared_anew(self._latest, self.study, len(self.recorded()))}
        declared |= {"basis": dict(basis), "mlflow_run": parent_run, OPENING: self.announce(), **(besides or {})}
        with at_once(self.storage):
            for arm in self.study.arms:
                for block in range(self.study.blocks):
                    about = {"study": self.study.name, "arm": arm.name, "block": block, "sampler": arm.sampler}
                    self._open_one(arm, block, about | declared)

    def _open_one(self, arm: Arm, block: int, attributes: Mapping[str, Any]) -> None:
        made = self._made(self.optuna_name(arm.name, block))
        known = made.user_attrs
        for key, value in attributes.items():
            if known.get(key) != value:
                made.set_user_attr(key, value)
        if "study" not in known:
            with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                made.set_metric_names([BEST_VAL_ACCURACY])
            leave_note(made, note_of(self.study, attributes))
        self._studies[arm.name, block] = made

    def announce(self) -> str:
        """The study's generation: a word that no other study has, not even one of its name; made where there is none.

        It marks the study's run in MLflow, so that one whose study was killed before it was recorded here is found, and
        the trials' runs, so that each study touches its own alone.
        """
        if not (generation := self.generation):
            generation = uuid4().hex
            self._made(self.optuna_name(self.study.arms[0].name, 0)).set_user_attr(OPENING, generation)
        return generation

    @property
    def generation(self) -> str:
        """The study's generation, as :meth:`announce` made it; empty if it has none yet."""
        known = {summary.study_name: summary.user_attrs for summary in self._summaries()}
        announced = known.get(self.optuna_name(self.study.arms[0].name, 0), {})
        return next((str(a[OPENING]) for a in (*self._own().values(), announced) if OPENING in a), "")

    def of(self, study: Study) -> OptunaStore:
        """The record of another study in the same storage."""
        other = copy(self)
        other.study = study
        return other

    def _made(self, name: str) -> optuna.Study:
        return optuna.create_study(storage=self.storage, study_name=name, direction="maximize", load_if_exists=True)

    @property
    def parent_run(self) -> str | None:
        """The MLflow run that this study's trials are children of."""
        return next((attributes["mlflow_run"] for attributes in self._own().values()), None)

    @property
    def declaration(self) -> Study | None:
        """The study as it was declared when it last ran."""
        known = self._latest
        return Study.from_json(json.loads(known["declaration"])) if known else None

    @property
    def declarations(self) -> list[dict[str, Any]]:
        """What the comparison was declared to be, each time that it changed: when, after how many trials, and its terms."""
        return list(self._latest.get(DECLARATIONS, ()))

    @property
    def _latest(self) -> Mapping[str, Any]:
        return latest(self._own().values(), self.study)

    @property
    def classes(self) -> int | None:
        """The number of classes of the study's data, where it was recorded."""
        return self._latest.get("classes")

    @property
    def study_names(self) -> list[str]:
        """The names of all studies that stand in the storage."""
        return sorted({str(a["study"]) for a in self._known().values()})

    def recorded(self) -> dict[Key, FrozenTrial]:
        """Every finished trial of the study by its arm, block and number; :attr:`foreign` names the others that were met."""
        recorded: dict[Key, FrozenTrial] = {}
        self.foreign = []
        for name, attributes in self._own().items():
            place = attributes["arm"], attributes["block"]
            for trial in self._finished(name):
                if self._is_own(trial, place) and (key := (*place, trial.user_attrs["trial"])) not in recorded:
                    recorded[key] = trial
                else:
                    self.foreign.append(f"{name} trial {trial.number}")
        return recorded

    def _finished(self, name: str) -> list[FrozenTrial]:
        made = optuna.load_study(study_name=name, storage=self.storage)
        return made.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))

    def _is_own(self, trial: FrozenTrial, place: tuple[str, int]) -> bool:
        """Return True if this program recorded the trial in its place: it bears the attributes, of the right types."""
        about = trial.user_attrs
        return (
            trial.value is not None
            and math.isfinite(trial.value)
            and (about.get("study"), about.get("arm"), about.get("block")) == (self.study.name, *place)
            and all(type(about.get(name)) in types for name, types in RECORDED.items())
            and about["trial"] >= 0
        )

    def add_all(self, trials: Mapping[str, FinishedTrial]) -> None:
        """Record finished trials, by the ids of their runs, in order; in one write where the storage can."""
        with at_once(self.storage):
            for run_id, trial in trials.items():
                self.add(trial, run_id)

    def add(self, trial: FinishedTrial, run_id: str) -> None:
        """Record a finished trial whole, in one write: with its point, score, validation curve and attributes."""
        self.note_blas([trial])
        frozen = optuna.trial.create_trial(
            state=TrialState.PRUNED if trial.result.pruned else TrialState.COMPLETE,
            params=trial.plan.point,
            distributions=self.study.space.distributions,
            value=value_of(trial),
            intermediate_values=dict(enumerate(trial.result.curves[VAL_ACCURACY], start=1)),
            user_attrs={"study": self.study.name, **trial.attributes, "run_id": run_id},
            system_attrs=dict(trial.result.rungs),
        )
        # Optuna's times are local and have no zone; it would take the moment of recording for both.
        began, ended = trial.result.ended - trial.result.seconds, trial.result.ended
        frozen.datetime_start = datetime.fromtimestamp(began)  # noqa: DTZ006
        frozen.datetime_complete = datetime.fromtimestamp(ended)  # noqa: DTZ006
        with self._present(trial.plan.arm, trial.plan.block) as made:
            made.add_trial(frozen)

    @property
    def blas(self) -> list[str]:
        """The BLAS libraries that trials were trained on, as :func:`pipeline.training.blas.blas` names them, the first first."""
        return list(dict.fromkeys(name for a in self._own().values() for name in a.get(BLAS, ())))

    def note_blas(self, trials: Sequence[FinishedTrial]) -> None:
        """Record the BLAS libraries of these trials, where the study has no trial of one yet."""
        if self._blas is None:
            self._blas = self.blas
        for trial in trials:
            if trial.blas and trial.blas not in self._blas:
                self._blas.append(trial.blas)
                self._studies[trial.plan.arm, trial.plan.block].set_user_attr(BLAS, list(self._blas))

    def confirmations(self) -> dict[Key, list[dict[str, Any]]]:
        """What became of the trials that were trained again, by their arm, block and number."""
        return {
            (a["arm"], a["block"], int(name.removeprefix(CONFIRMATION))): records
            for a in self._own().values()
            for name, records in a.items()
            if _is_confirmation(name, records)
        }

    def confirm(self, key: Key, records: Sequence[Mapping[str, Any]]) -> None:
        """Record all that became of one trial's repetitions, in one write, as an attribute of its arm's study in its block.

        They are no trials of that study: what counts, charts or samples trials does not see them.
        """
        arm, block, number = key
        with self._present(arm, block) as made:
            made.set_user_attr(f"{CONFIRMATION}{number:04d}", list(records))

    @contextmanager
    def _present(self, arm: str, block: int) -> Iterator[optuna.Study]:
        """Give the body the Optuna study of an arm and block. Raise :class:`Failed` if it was deleted since it was opened."""
        try:
            yield self._studies[arm, block]
        except KeyError:
            if (name := self.optuna_name(arm, block)) in optuna.get_all_study_names(self.storage):
                raise
            raise Failed(
                f"Optuna's study {name} was deleted during the search. What is recorded elsewhere stays, and the same command "
                "trains the deleted trials again"
            ) from None

    def illustrate(self, figures: Mapping[str, str]) -> None:
        """Show figures, Plotly's JSON by their names, in Optuna Dashboard: on the study of each arm in the first block."""
        for name, attributes in self._own().items():
            if attributes["block"] == 0:
                made = optuna.load_study(study_name=name, storage=self.storage)
                for title, figure in figures.items():
                    leave_figure(made, title, figure)

    def table(self) -> pd.DataFrame:
        """One row for each trial of the declared budget, in the order of arms, blocks and numbers."""
        place = {arm.name: i for i, arm in enumerate(self.study.arms)}
        kept = {key: trial for key, trial in self.recorded().items() if self.study.budgets(*key)}
        ordered = sorted(kept, key=lambda key: (place[key[0]], *key[1:]))  # at once, so that columns have an order, too
        return pd.DataFrame([self._row(kept[key]) for key in ordered])

    def _row(self, trial: FrozenTrial) -> dict[str, Any]:
        about = {key: value for key, value in trial.user_attrs.items() if key != BEST_VAL_ACCURACY}
        pruned = {"pruned": trial.state == TrialState.PRUNED} if self.study.pruner else {}
        return {**about, **trial.params, BEST_VAL_ACCURACY: trial.user_attrs[BEST_VAL_ACCURACY], **pruned}

    def optuna_name(self, arm: str, block: int) -> str:
        """A name that sorts."""
        return optuna_name(self.study.name, arm, block)

    def _own(self) -> dict[str, Mapping[str, Any]]:
        return {name: a for name, a in self._known().items() if a["study"] == self.study.name}

    def _known(self) -> dict[str, Mapping[str, Any]]:
        """The attributes of every Optuna study that a study is recorded in, by its name."""
        return {s.study_name: s.user_attrs for s in self._summaries() if _is_recorded(s.study_name, s.user_attrs)}

    def _summaries(self) -> list[StudySummary]:
        return optuna.get_all_study_summaries(self.storage, include_best_trial=False)


def optuna_name(study: str, arm: str, block: int) -> str:
    """The name of the Optuna study of an arm in a block; it sorts."""
    return f"{study}/{arm}/b{block:02d}"


def _is_recorded(name: str, attributes: Mapping[str, Any]) -> bool:
    """Return True if the attributes of an Optuna study are those that this program gives to the study of that name."""
    return all(type(attributes.get(key)) is kind for key, kind in PLACE.items()) and name == optuna_name(
        *(attributes[key] for key in ("study", "arm", "block"))
    )


def _is_confirmation(name: str, records: Any) -> bool:
    return (
        name.startswith(CONFIRMATION)
        and name.removeprefix(CONFIRMATION).isdecimal()
        and isinstance(records, list)
        and all(isinstance(r, dict) and type(r.get("repetition")) is int and "run_id" in r for r in records)
    )


def value_of(trial: FinishedTrial) -> float:
    """A trial's value in Optuna: its score or, if it was pruned, the last value it had, as Optuna would have it."""
    return trial.result.curves[VAL_ACCURACY][-1] if trial.result.pruned else trial.result.scores[BEST_VAL_ACCURACY]


def recorded_study(study: Study, storage: str) -> Study:
    """The study as it was declared when it last ran. Raises :class:`UserError` if it is not recorded there."""
    file = storage_file(storage)
    if file and not file.is_file():
        raise UserError(f"no study is recorded at {storage}; run one first, or give the --storage of one")
    with opening("--storage", storage):
        optuna_store = OptunaStore(study, storage)
    if optuna_store.declaration is None:
        known = ", ".join(optuna_store.study_names) or "none"
        raise UserError(f"study {study.name!r} is not recorded at {redact(storage)}; recorded there: {known}")
    return optuna_store.declaration


def study_ids(address: str, parent_run: str) -> list[int]:
    """The ids, in Optuna Dashboard's links, of the arms' studies in the first block of the study with that MLflow run."""
    found = open_storage(address).get_all_studies()
    return [
        study._study_id  # noqa: SLF001  Optuna has no other way to it
        for study in found
        if _is_recorded(study.study_name, study.user_attrs)
        and (study.user_attrs["mlflow_run"], study.user_attrs["block"]) == (parent_run, 0)
    ]
