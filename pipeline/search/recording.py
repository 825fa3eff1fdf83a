"""Train what is missing of a plan, and record each trial whole, in the order of the plan."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress

from optuna.trial import FrozenTrial

from pipeline.errors import Failed, UserError
from pipeline.search.engine import Engine
from pipeline.search.interrupts import Interrupts, Stopped
from pipeline.search.pending import PendingTrials
from pipeline.storage.attributes import Key
from pipeline.storage.optuna_store import OptunaStore
from pipeline.storage.trial_record import value_of
from pipeline.study.spec import Study
from pipeline.tracking import Tracker
from pipeline.tracking.arm_runs import ArmRuns
from pipeline.trials.trial import Failure, FinishedTrial, PlannedTrial

BATCH_SIZE = 128
"""The most trials that are recorded in one transaction."""
FIRST = 5
"""If this number of trials fail alike before any trial has a result, the search stops."""
BATCH_SECONDS = 0.5
"""Fewer trials than that wait for others, unless the last batch is this old: a transaction's wait for the disk is costly."""


def train_and_record(
    pending_trials: PendingTrials,
    optuna_store: OptunaStore,
    tracker: Tracker,
    *,
    engine: Engine,
    interrupts: Interrupts,
    on_record: Callable[[FinishedTrial], None],
) -> None:
    """Train and record every pending trial.

    The engine's workers train; only this process writes. A trial is added to the Optuna store after its MLflow run is
    complete. So a crash leaves at most runs that the Optuna store does not know, and :func:`reconcile` discards them. A
    request to a tracking server is sent again if its answer is lost; the runs that this repeats are discarded at the end.
    A signal to stop takes effect between two batches. ``on_record`` is called with each trial that is recorded.
    The arms' runs are written after the trials.
    """
    run_ids, arm_runs = pending_trials.run_ids, arm_runs_of(pending_trials.study, pending_trials.recorded, tracker)
    with closed(arm_runs, interrupts), closing(train_pending(pending_trials, engine)) as batches:
        succeeded = any(not trial.user_attrs["diverged"] for trial in pending_trials.recorded.values())
        for batch in batches if succeeded else unless_all_fail(batches):
            with interrupts.deferred():
                optuna_store.check_lock()
                recorded = dict(zip(tracker.record(pending_trials.study, batch), batch, strict=True))
                optuna_store.add_all(recorded)
                run_ids.update(recorded)
                for run_id, trial in recorded.items():
                    arm_runs.add(trial.attributes, run_id, trial.result.ended)
                    on_record(trial)
                arm_runs.write_if_due()
    if tracker.is_server:
        tracker.discard_unknown(run_ids)


def unless_all_fail(batches: Iterable[Sequence[FinishedTrial]]) -> Iterator[Sequence[FinishedTrial]]:
    """Yield the batches. The first ones are held until a trial has a result.

    Raises :class:`Failed`, with the first traceback, if the first :data:`FIRST` trials fail alike: then nothing of them
    is recorded, and more would fail too.
    """
    held: list[Sequence[FinishedTrial]] = []
    for batch in (batches := iter(batches)):
        held.append(batch)
        failures = [trial.result.failure for trials in held for trial in trials]
        alike = {failure.sentence.partition(":")[0] if failure else None for failure in failures}
        if None in alike or len(alike) > 1:
            break
        if len(failures) >= FIRST:
            raise Failed(_all_fail(failures))
    yield from held
    yield from batches


def _all_fail(failures: Sequence[Failure | None]) -> str:
    (first, *_) = (failure for failure in failures if failure)
    return f"the first {len(failures)} trials all failed alike: the model {first.sentence}\n{first.trace}".rstrip()


def arm_runs_of(study: Study, recorded: Mapping[Key, FrozenTrial], tracker: Tracker) -> ArmRuns:
    """Return the runs of a study's arms, with the trials that Optuna has."""
    arm_runs = ArmRuns(tracker, study)
    for trial in recorded.values():
        ended = trial.datetime_complete
        arm_runs.add(trial.user_attrs, trial.user_attrs["run_id"], ended.timestamp() if ended else 0.0)
    arm_runs.compare()
    return arm_runs


@contextmanager
def closed(arm_runs: ArmRuns, interrupts: Interrupts) -> Iterator[None]:
    """Write the rest of the arms' runs after the body, also if it is stopped; the body's error is the one to show.

    After a failure they stay as they are, and the next search completes them: MLflow may not answer, and each request to a
    lost server is repeated for a minute or more.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, (UserError, Stopped)):
            with suppress(Exception):
                arm_runs.close()
        raise
    with interrupts.deferred():
        arm_runs.close()


def reconcile(pending_trials: PendingTrials, tracker: Tracker) -> str:
    """Make MLflow agree with the Optuna store before a search. Return the changes as text, empty without any.

    The Optuna store decides. A run that it does not know is incomplete and is discarded. A deleted run that it knows is
    restored.
    """
    discarded = tracker.discard_unknown(pending_trials.run_ids)
    restored, gone = tracker.restore_deleted(pending_trials.run_ids)
    changes = {
        f"{discarded} half-recorded runs discarded": discarded,
        f"{restored} deleted runs of recorded trials restored": restored,
        f"{gone} recorded trials whose runs are gone from MLflow (their record in Optuna stays)": gone,
    }
    return ", ".join(change for change, count in changes.items() if count)


def train_pending(pending_trials: PendingTrials, engine: Engine) -> Generator[Sequence[FinishedTrial]]:
    """Yield finished trials in batches to record: first those of planned arms, then those of adaptive arms."""
    for wave in pending_trials.waves():
        plan_order, released, recorded_at = PlanOrder(wave), list[FinishedTrial](), time.monotonic()
        for finished in engine.run(pending_trials.tasks(wave, engine.limit_bytes)):
            pending_trials.pruning_history.add(finished)
            released += plan_order.release(finished)
            if len(released) >= BATCH_SIZE or time.monotonic() - recorded_at >= BATCH_SECONDS:
                yield from _batches(released)
                released, recorded_at = [], time.monotonic()
        yield from _batches(released)
    yield from train_adaptive(pending_trials, engine)


def _batches(trials: Sequence[FinishedTrial]) -> Iterator[Sequence[FinishedTrial]]:
    return (trials[start : start + BATCH_SIZE] for start in range(0, len(trials), BATCH_SIZE))


def train_adaptive(pending_trials: PendingTrials, engine: Engine) -> Iterator[Sequence[FinishedTrial]]:
    """Train one trial of every adaptive arm and block at a time: in order within a block, blocks in parallel."""
    while asked := pending_trials.ask():
        tasks = pending_trials.tasks([trial for _, trial in asked.values()], engine.limit_bytes)
        for finished in engine.run(tasks):
            pending_trials.pruning_history.add(finished)
            for trial in finished:
                trajectory, _ = asked[trial.plan.key]
                trajectory.tell(
                    value_of(trial, pending_trials.study.objective),
                    trial.result.epochs if trial.result.pruned else None,
                )
            yield finished


class PlanOrder:
    """Holds finished trials back until all earlier trials of their arm and block are released.

    Optuna then numbers the trials as the plan does, whichever worker finishes first, and its charts by trial number are
    right.
    """

    def __init__(self, pending: Iterable[PlannedTrial]) -> None:
        self._due: defaultdict[tuple[str, int], deque[Key]] = defaultdict(deque)
        for trial in sorted(pending, key=lambda trial: trial.number):
            self._due[trial.arm, trial.block].append(trial.key)
        self._held: dict[Key, FinishedTrial] = {}

    def release(self, finished: Sequence[FinishedTrial]) -> list[FinishedTrial]:
        """Take finished trials in, and return those whose turn has come, in order."""
        self._held |= {trial.plan.key: trial for trial in finished}
        released = []
        for place in {(trial.plan.arm, trial.plan.block): None for trial in finished}:
            due = self._due[place]
            while due and due[0] in self._held:
                released.append(self._held.pop(due.popleft()))
        return released
