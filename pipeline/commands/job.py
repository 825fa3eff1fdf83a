"""The jobs behind the verbs: check, search, report, and all three in a row."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from pipeline.checks import CheckResult, markdown_table
from pipeline.checks.suite import check
from pipeline.console.console import Console
from pipeline.console.progress import Progress
from pipeline.data import DataDescription, describe
from pipeline.diagnosis.diagnose import RULES
from pipeline.diagnosis.plugins import load_rules
from pipeline.errors import Failed, UserError
from pipeline.search import confirmation
from pipeline.search.affordable import check_affordable
from pipeline.search.engine import Engine
from pipeline.search.interrupts import Interrupts, Stopped
from pipeline.search.pending import PendingTrials, find_pending
from pipeline.search.plan import plan
from pipeline.search.search import reconcile, search
from pipeline.storage.locks import owned
from pipeline.storage.mounts import network_file_system
from pipeline.storage.opening import opening
from pipeline.storage.optuna_store import SCORE, OptunaStore
from pipeline.storage.stores import Stores
from pipeline.study.single_trial import MANUAL, manual_name
from pipeline.study.spec import Study
from pipeline.tracking import Tracker
from pipeline.trials.task import NETWORK_VERSION
from pipeline.trials.trial import PlannedTrial

NAMED = 5
"""The most foreign trials that are named."""
P = ParamSpec("P")
R = TypeVar("R")


def phase(method: Callable[Concatenate[Job, P], R]) -> Callable[Concatenate[Job, P], R]:
    """A method of a job that says, if it is to be verbose, how long it took."""

    @wraps(method)
    def timed(self: Job, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.console.timed(method.__name__):
            return method(self, *args, **kwargs)

    return timed


@dataclass
class Job:
    """A study at work: where it is recorded, and what it says while it goes on."""

    study: Study
    stores: Stores
    console: Console
    interrupts: Interrupts
    new: bool = False
    links: Mapping[str, str | int] = field(default_factory=dict)
    keep_model: bool = True
    _told: Sequence[str] = ()

    @property
    def manual(self) -> bool:
        """Whether a person chooses its trials; each then has a run of its own to be a child of."""
        return self.study.arms == (MANUAL,)

    @cached_property
    def planned(self) -> list[PlannedTrial]:
        """The plan. Raises :class:`UserError` for a study that cannot be planned, before any store is touched."""
        return plan(self.study)

    @cached_property
    def optuna_store(self) -> OptunaStore:
        """Optuna's record."""
        with opening("--storage", self.stores.storage):
            return OptunaStore(self.study, self.stores.storage, new=self.new)

    @cached_property
    def tracker(self) -> Tracker:
        """MLflow's record."""
        with opening("--tracking-uri", self.stores.tracking):
            return Tracker(self.stores.tracking)

    @cached_property
    def data(self) -> DataDescription:
        """The facts of the study's data. The data are fetched here, before any worker starts."""
        return describe(self.study.dataset)

    @cached_property
    def basis(self) -> dict[str, Any]:
        """What decides a trial's numbers in addition to the declaration."""
        return {"network_version": NETWORK_VERSION, "data_sha256": self.data.sha256}

    @cached_property
    def pending_trials(self) -> PendingTrials:
        """What the study still owes. Raises :class:`UserError` if another one is recorded in its name."""
        self.optuna_store.check_same(self.basis)
        recorded = self.optuna_store.recorded()
        self._tell_foreign()
        return find_pending(self.optuna_store.study, self.planned, recorded)

    def _tell_foreign(self) -> None:
        """Name the trials in the study's place in Optuna that this program did not record; they are left aside."""
        if foreign := self.optuna_store.foreign:
            more = f" and {len(foreign) - NAMED} more" if len(foreign) > NAMED else ""
            self.console.say(
                f"left aside, since babysit did not record it in Optuna: {', '.join(foreign[:NAMED])}{more}"
            )

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Do the body as the only process that records to the study."""
        self.tracker.verify()
        with owned(self.stores.storage, self.optuna_store.study.name) as self.optuna_store.check_lock:
            self.study = self.optuna_store.study
            self.introduce()
            yield

    @contextlib.contextmanager
    def searching(self, *, checked: bool = False) -> Iterator[None]:
        """Do the body as the study's owner, under its run; what can be refused is, before anything is written.

        With ``checked``, raise :class:`Failed` if a check is not passed. They come before the study's run, so that one that
        is killed meanwhile leaves none.
        """
        _ = self.planned, self.basis
        check_affordable(self.study, self.planned)
        with self.owned():
            _ = self.pending_trials
            seen = self.check() if checked else []
            with self.recorded():
                self._log_checks(seen)
                besides = {"classes": self.data.classes, **self.links}
                self.optuna_store.open(self.tracker.run_id, self.basis, besides)
                yield

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """Do the body under the study's run in MLflow, whose status tells how it ended."""
        self._end_abandoned()
        known = None if self.manual else self.optuna_store.parent_run
        self.tracker.open(self.study, known, self.optuna_store.announce())
        if self.links:
            self.tracker.set_tags({key: str(value) for key, value in self.links.items()})
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(Exception):  # the store may be what failed; what is told is why
                self.tracker.finish("KILLED" if isinstance(error, (Stopped, BrokenPipeError)) else "FAILED")
            raise
        self.tracker.finish("FINISHED")

    def _end_abandoned(self) -> None:
        """End what a killed ``train`` of the study left RUNNING in MLflow, unless another is at work."""
        name = self.study.name if self.manual else manual_name(self.optuna_store.declared_name)
        generation = self.optuna_store.of(replace(self.study, name=name, arms=(MANUAL,))).generation
        if generation and self.manual:
            self.tracker.end_abandoned(name, generation)
        elif generation:
            with contextlib.suppress(UserError), owned(self.stores.storage, name):
                self.tracker.end_abandoned(name, generation)

    def introduce(self) -> None:
        """Say, if it is to be verbose, what is at work and where; and in any case what may go wrong there."""
        study, arms = self.study, ", ".join(arm.name for arm in self.study.arms)
        self.console.detail(self.stores.words)
        for file in self.stores.files:
            if kind := network_file_system(file):
                self.console.say(
                    f"warning: {file} is on {kind}, where locks may not hold. Record on a disk of this machine"
                )
        self.console.detail(
            f"study: {study.name}, {study.hash}: {study.trials} trials x {study.blocks} blocks x arms {arms}"
        )

    def run(self, engine: Engine) -> None:
        """Check, search, confirm, report: the main job."""
        with self.searching(checked=True):
            self.search(engine)
            self.confirm(engine)
            self.report()

    @phase
    def check(self) -> list[CheckResult]:
        """What the checks see, printed; it ends with the first that is not passed."""
        self.console.say(f"check: can the network of {self.study.name} learn at all?")
        seen = []
        for result in check(self.study):
            seen.append(result)
            self.console.say(f"  {result.status:6}  {result.name}: {result.message}")
            for key, value in result.metrics.items():
                self.console.detail(f"          {key} {value:.4g}")
            if result.advice:
                self.console.say(f"          {result.advice}")
            if not result.passed:
                break
        return seen

    def _log_checks(self, seen: Sequence[CheckResult]) -> None:
        """Log what the checks saw with the study's run: a table, and their metrics."""
        if not seen:
            return
        self.tracker.log_text(markdown_table(seen), "check.md")
        self.tracker.log_metrics({key: value for result in seen for key, value in result.metrics.items()})
        require(seen)

    @phase
    def search(self, engine: Engine) -> None:
        """Train and record what is missing of the plan."""
        study = self.study
        if mended := reconcile(self.pending_trials, self.tracker):
            self.console.say(f"search: the stores differed: {mended}")
        self.tracker.add_dataset(study.dataset, self.data.sha256)
        pending = len(self.pending_trials)
        planned = study.blocks * study.trials * len(study.arms)
        if not pending:
            self.console.say(f"search: nothing to train, all {planned:,} trials are recorded")
            return
        self.console.say(f"search: {pending:,} of {planned:,} trials to train, {engine.words}")
        self.console.detail(f"  diagnosed by {rules_in_words()}")
        self.console.detail(f"  recorded in MLflow {self.tracker.route}")
        if self.console.verbose:
            self.console.detail(f"  {self._groups(engine)}")
        before = [
            (arm, trial.user_attrs[SCORE], trial.user_attrs["diverged"])
            for (arm, *_), trial in self.pending_trials.done.items()
        ]
        with Progress(study, before, self.console.display) as progress:
            search(
                self.pending_trials,
                self.optuna_store,
                self.tracker,
                engine=engine,
                interrupts=self.interrupts,
                on_record=progress.recorded,
            )
        self.console.say(f"  {progress.summary()}")
        self.tell_blas()

    def tell_blas(self) -> None:
        """Tag the study's run with the BLAS libraries of its trials, and warn of several, once."""
        blas = self.optuna_store.blas
        if blas == self._told:
            return
        self._told = blas
        self.tracker.set_tags({"blas": "; ".join(blas)})
        if len(blas) > 1:
            self.console.say(
                f"warning: trained on {len(blas)} BLAS set-ups, whose last digits may differ: {'; '.join(blas)}"
            )

    def _groups(self, engine: Engine) -> str:
        """The groups in which the planned trials train side by side, those of the first wave, where a pruner makes waves."""
        wave = next(self.pending_trials.waves(), [])
        sizes = [len(task.trials) for task in self.pending_trials.tasks(wave, engine.budget_bytes)]
        adaptive = f"{len(self.pending_trials) - len(self.pending_trials.planned):,} trials are asked for one by one"
        if not sizes:
            return f"groups: none, {adaptive}"
        structures = len({trial.hparams.structure for trial in wave})
        said = f"groups: {len(sizes):,} of {min(sizes)} to {max(sizes)} trials, of {structures} structures"
        return f"{said}; {adaptive}" if self.pending_trials.trajectories else said

    @phase
    def confirm(self, engine: Engine) -> None:
        """Train what each arm chose in each block again from other weights, as often as the study says."""
        if not self.study.confirm:
            return
        confirmation.reconcile(self.optuna_store, self.tracker)
        pending = confirmation.pending(self.optuna_store)
        if not pending:
            self.console.say(
                f"confirm: nothing to train, what was chosen has been trained {self.study.confirm} times more"
            )
            return
        again = "again" if self.study.confirm == 1 else f"{self.study.confirm} times more"
        self.console.say(
            f"confirm: what each arm chose in each block, {again} from other weights: {len(pending):,} to train"
        )
        confirmation.confirm(self.optuna_store, self.tracker, pending, engine=engine, interrupts=self.interrupts)
        self.tell_blas()
        if self.tracker.repeats:
            confirmation.reconcile(self.optuna_store, self.tracker)

    @phase
    def report(self) -> None:
        """Write the report from the recorded trials, log it to the study's run, keep the best model, and say where to look."""
        from pipeline.commands.report import Publication  # figures and scikit-learn take a second to import

        publication = Publication(self.study, self.stores, self.console, self.optuna_store, self.tracker)
        publication.report(basis=(lambda: self.basis) if self.keep_model else None)
        if "pending_trials" not in vars(self):
            self._tell_foreign()


def require(seen: Sequence[CheckResult]) -> None:
    """Raise :class:`Failed` if a check is not passed."""
    for result in seen:
        if not result.passed:
            raise Failed(f"check {result.name!r} failed: {result.message}")


def rules_in_words() -> str:
    """How many rules diagnose the trials, and which of them are the user's own."""
    return f"{len(RULES)} built-in rules, and of your own: {', '.join(rule.name for rule in load_rules()) or 'none'}"
