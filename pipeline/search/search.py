"""Search: train what a study still owes, and record each trial whole, in the order of the plan."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing

from pipeline.search.engine import Engine
from pipeline.search.interrupts import Interrupts
from pipeline.search.pending import PendingTrials
from pipeline.storage.optuna_store import Key, OptunaStore, value_of
from pipeline.tracking import Tracker
from pipeline.trials.trial import FinishedTrial, PlannedTrial

RECORD_AT_ONCE = 32
"""Trials written in one go."""

OnRecord = Callable[[FinishedTrial], None]


def search(
    pending_trials: PendingTrials,
    optuna_store: OptunaStore,
    tracker: Tracker,
    *,
    engine: Engine,
    interrupts: Interrupts,
    on_record: OnRecord,
) -> None:
    """Train and record every trial of the pending_trials.

    The workers of the engine compute; this process alone writes. A trial is in the optuna_store once its MLflow run is whole,
    so a crash leaves at most runs that the optuna_store does not know, which :func:`reconcile` discards. So does a request to a
    tracking server whose answer is lost, since it is sent again; those are discarded at the end.
    """
    known = {trial.user_attrs["run_id"] for trial in pending_trials.recorded.values()}
    with closing(trained(pending_trials, engine)) as batches:
        for batch in batches:
            with interrupts.deferred():
                optuna_store.check_lock()
                recorded = dict(zip(tracker.record(pending_trials.study, batch), batch, strict=True))
                optuna_store.add_all(recorded)
                known.update(recorded)
                for trial in batch:
                    on_record(trial)
    if tracker.repeats:
        tracker.discard_unknown(known)


def reconcile(pending_trials: PendingTrials, tracker: Tracker) -> str:
    """Make both stores agree before a search: what was found and mended, in a line; empty if nothing was.

    The optuna_store decides. A run that it does not know was cut short, and goes; one that it knows and that was deleted comes back.
    """
    known = {trial.user_attrs["run_id"] for trial in pending_trials.recorded.values()}
    discarded = tracker.discard_unknown(known)
    restored, gone = tracker.restore_deleted(known)
    found = {
        f"{discarded} half-recorded runs discarded": discarded,
        f"{restored} deleted runs of recorded trials restored": restored,
        f"{gone} recorded trials whose runs are gone from MLflow (their record in Optuna stays)": gone,
    }
    return ", ".join(words for words, count in found.items() if count)


def trained(pending_trials: PendingTrials, engine: Engine) -> Generator[Sequence[FinishedTrial]]:
    """Finished trials, in batches fit to be recorded: first those of the planned arms, then the adaptive arms' in rounds."""
    for wave in pending_trials.waves():
        in_order = InOrder(wave)
        for finished in engine.execute(pending_trials.tasks(wave, engine.budget_bytes)):
            pending_trials.pruning_history.add(finished)
            yield from _batches(in_order.release(finished))
    yield from rounds(pending_trials, engine)


def rounds(pending_trials: PendingTrials, engine: Engine) -> Iterator[Sequence[FinishedTrial]]:
    """One trial of every adaptive arm in every block at a time: in order within a block, blocks side by side."""
    while asked := pending_trials.ask():
        tasks = pending_trials.tasks([trial for _, trial in asked.values()], engine.budget_bytes)
        for finished in engine.execute(tasks):
            pending_trials.pruning_history.add(finished)
            for trial in finished:
                trajectory, _ = asked[trial.plan.key]
                trajectory.tell(value_of(trial), trial.result.epochs if trial.result.pruned else None)
            yield finished


class InOrder:
    """Holds finished trials back until all before them, in their arm and block, are released.

    So Optuna numbers the trials as the plan does, whichever worker was first, and its charts by trial are true.
    """

    def __init__(self, pending: Iterable[PlannedTrial]) -> None:
        self._due: dict[tuple[str, int], list[int]] = {}
        for trial in pending:
            self._due.setdefault((trial.arm, trial.block), []).append(trial.number)
        for numbers in self._due.values():
            numbers.sort(reverse=True)
        self._held: dict[Key, FinishedTrial] = {}

    def release(self, finished: Sequence[FinishedTrial]) -> list[FinishedTrial]:
        """Take trials in; give out those that are due, in order."""
        self._held |= {trial.plan.key: trial for trial in finished}
        released = []
        for arm, block in {(trial.plan.arm, trial.plan.block): None for trial in finished}:
            due = self._due[arm, block]
            while due and (arm, block, due[-1]) in self._held:
                released.append(self._held.pop((arm, block, due.pop())))
        return released


def _batches(trials: Sequence[FinishedTrial]) -> Iterator[Sequence[FinishedTrial]]:
    for start in range(0, len(trials), RECORD_AT_ONCE):
        yield trials[start : start + RECORD_AT_ONCE]
