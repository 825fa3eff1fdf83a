"""A job: a study and the stores that it is recorded in. The verbs that record share it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from pipeline.commands import Context
from pipeline.console.console import Console
from pipeline.data import DataDescription, describe
from pipeline.data.dataset import load_rows
from pipeline.data.splits import may_lack_class
from pipeline.errors import UserError
from pipeline.search.confirmation import confirmed
from pipeline.search.interrupts import Stopped
from pipeline.search.pending import PendingTrials, find_pending
from pipeline.search.plan import plan
from pipeline.search.processes import alive
from pipeline.storage.addresses import redact, storage_file
from pipeline.storage.failures import opening
from pipeline.storage.optuna_store import OptunaStore
from pipeline.storage.stores import Stores, network_file_system
from pipeline.storage.study_lock import study_lock
from pipeline.study.metrics import check_classes
from pipeline.study.single_trial import SINGLE_TRIAL, single_trial_name
from pipeline.study.spec import Study
from pipeline.tracking import Tracker
from pipeline.tracking.runs import end_abandoned, end_killed_experiments
from pipeline.trials.task import NETWORK_VERSION
from pipeline.trials.trial import PlannedTrial

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.report.trials_table import TrialsTable

FOREIGN_SHOWN = 5
"""At most this many foreign trials are named on the console."""


@dataclass
class Job:
    """A study and its stores, which are opened when they are first used.

    ``declared`` is the study as its file and the flags declare it, up to the blocks that are trained now. With ``new`` it
    starts again under the next free name, ``NAME-2`` and so on. ``links`` are tags and attributes that name the stage
    before it. ``looks`` are the numbers of blocks that are searched up to, one after the other. ``suite_run`` is the id of
    the run of the suite that the study belongs to.
    """

    declared: Study
    context: Context
    new: bool = False
    links: Mapping[str, str | int] = field(default_factory=dict)
    looks: Sequence[int] = ()
    suite_run: str = ""
    _blas_reported: Sequence[str] = ()

    @property
    def console(self) -> Console:
        return self.context.console

    @property
    def stores(self) -> Stores:
        return self.context.stores

    @property
    def study(self) -> Study:
        """The study under the name that it is recorded by. It opens the Optuna store."""
        return self.optuna_store.study

    @cached_property
    def planned(self) -> list[PlannedTrial]:
        """The plan up to the last look. Raises :class:`UserError` if there can be none, before any store is opened."""
        return plan(replace(self.declared, blocks=max([*self.looks, self.declared.blocks])))

    @cached_property
    def data(self) -> DataDescription:
        """The facts of the study's data. The data is fetched here, before any worker starts.

        Raises :class:`UserError` if the metric is not defined for their number of classes.
        """
        described = describe(self.declared.source)
        check_classes(self.declared.objective, described.classes)
        return described

    @cached_property
    def basis(self) -> dict[str, Any]:
        """The values apart from the declaration that decide a trial's numbers."""
        # named only where it matters, so that all other studies keep the basis that they were recorded with
        exchanged = may_lack_class(load_rows(self.declared.source), self.declared.config)
        splits = {"splits": "rows exchanged for rare classes"} if exchanged else {}
        return {"network_version": NETWORK_VERSION, "data_sha256": self.data.sha256, **splits}

    @cached_property
    def optuna_store(self) -> OptunaStore:
        with opening("--storage", self.stores.storage):
            return OptunaStore(self.declared, self.stores.storage, new=self.new)

    @cached_property
    def tracker(self) -> Tracker:
        with opening("--tracking-uri", self.stores.tracking):
            return Tracker(self.stores.tracking)

    @cached_property
    def pending_trials(self) -> PendingTrials:
        """The missing trials. Raises :class:`UserError` if another study is recorded under the same name."""
        self.optuna_store.check_same(self.basis)
        recorded = self.optuna_store.recorded()
        self.report_foreign()
        planned = [trial for trial in self.planned if trial.block < self.study.blocks]
        return find_pending(self.study, planned, recorded)

    def extend(self, blocks: int) -> None:
        """Take a number of blocks instead of those so far."""
        self.declared = replace(self.declared, blocks=blocks)
        self.optuna_store.study = replace(self.optuna_store.study, blocks=blocks)
        self.__dict__.pop("pending_trials", None)

    def table(self, trials: pd.DataFrame) -> TrialsTable:
        """Return the recorded trials, and their repetitions, as a report's table."""
        import pandas as pd

        from pipeline.report.trials_table import TrialsTable  # takes a second to import

        store = self.optuna_store
        known: dict[str, Any] = {"declarations": store.declarations, "classes": store.classes}
        known |= {"columns": columns} if (columns := store.columns) else {}
        return TrialsTable(trials, self.study, known, pd.DataFrame(confirmed(store)))

    def report_foreign(self) -> None:
        """Name the trials in the study's place in Optuna that this program did not record; they are ignored."""
        if foreign := self.optuna_store.foreign:
            more = f" and {len(foreign) - FOREIGN_SHOWN} more" if len(foreign) > FOREIGN_SHOWN else ""
            names = ", ".join(foreign[:FOREIGN_SHOWN])
            self.console.say(f"ignored, since babysit did not record it in Optuna: {names}{more}")

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the study's lock during the body."""
        self.tracker.verify()
        with study_lock(self.stores.storage, self.study.name) as check_lock:
            self.optuna_store.check_lock = check_lock
            self._print_stores_and_study()
            yield

    def _print_stores_and_study(self) -> None:
        """Warn of stores on a network file system; print the stores and the study, where the console is verbose."""
        study, arms = self.study, ", ".join(arm.name for arm in self.study.arms)
        self.console.detail(self.stores.summary)
        for file in self.stores.files:
            if kind := network_file_system(file):
                self.console.say(
                    f"warning: {file} is on {kind}, where locks may not hold. Record on a disk of this machine"
                )
        self.console.detail(
            f"study: {study.name}, {study.hash}: {study.trials} trials x {study.blocks} blocks x arms {arms}"
        )

    @contextlib.contextmanager
    def study_run(self) -> Iterator[None]:
        """Open the study's MLflow run during the body; the run's status tells how the body ended."""
        self._end_abandoned()
        run_id = None if self._is_single_trial else self.optuna_store.parent_run  # each single trial has its own run
        self.tracker.open(self.study, run_id, self.optuna_store.ensure_generation(), suite_run=self.suite_run)
        # One BLAS thread: on a busy machine, several wait for each other, up to 100 times as long.
        with finished(self.tracker), threadpool_limits(1):
            if self.links:
                self.tracker.set_tags({key: str(value) for key, value in self.links.items()})
            yield

    @property
    def _is_single_trial(self) -> bool:
        """True if the study holds the trials of ``train``."""
        return self.study.arms == (SINGLE_TRIAL,)

    def _end_abandoned(self) -> None:
        """End the runs that a killed ``train`` or ``lecture`` left RUNNING in MLflow, unless a process is recording them."""
        end_killed_experiments(self.tracker.client, alive)
        name = self.study.name if self._is_single_trial else single_trial_name(self.declared.name)
        single = self.optuna_store.for_study(replace(self.study, name=name, arms=(SINGLE_TRIAL,), contrasts=()))
        generation = single.generation
        if generation and self._is_single_trial:
            end_abandoned(self.tracker.client, name, generation)
        elif generation:
            with contextlib.suppress(UserError), study_lock(self.stores.storage, name):
                end_abandoned(self.tracker.client, name, generation)

    def report_blas(self) -> None:
        """Tag the study's run with the BLAS libraries of its trials; warn if there are several."""
        blas = self.optuna_store.blas
        if blas == self._blas_reported:
            return
        self._blas_reported = blas
        self.tracker.set_tags({"blas": "; ".join(blas)})
        if len(blas) > 1:
            self.console.say(
                f"warning: trained on {len(blas)} BLAS set-ups, whose last digits may differ: {'; '.join(blas)}"
            )


@contextlib.contextmanager
def finished(tracker: Tracker) -> Iterator[None]:
    """End the tracker's run after the body; its status tells how the body ended."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(Exception):  # the store itself may have failed; the first error is the one to show
            tracker.finish("KILLED" if isinstance(error, (Stopped, BrokenPipeError)) else "FAILED")
        raise
    tracker.finish("FINISHED")


def recorded_study(study: Study, storage: str) -> Study:
    """Return the study as it was declared when it last ran. Raise :class:`UserError` if it is not recorded there."""
    if recorded := find_recorded(study, storage):
        return recorded
    names = ", ".join(OptunaStore(study, storage).study_names) or "none"
    raise UserError(f"study {study.name!r} is not recorded at {redact(storage)}; recorded there: {names}. Run it first")


def find_recorded(study: Study, storage: str) -> Study | None:
    """Return the study as it was declared when it last ran, None if it is not recorded there.

    Raises :class:`UserError` if there is no storage.
    """
    file = storage_file(storage)
    if file and not file.is_file():
        raise UserError(f"no study is recorded at {storage}; run one first, or give the --storage of one")
    with opening("--storage", storage):
        return OptunaStore(study, storage).declaration
