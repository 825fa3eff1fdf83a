"""Search: draw the plan, train what is not recorded yet, and record each trial whole, in the order of the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pipeline.search.executor import execute
from pipeline.search.interrupts import Interrupts
from pipeline.search.ledger import Key, Ledger, check_plan
from pipeline.search.plan import plan, tasks
from pipeline.spec import Study
from pipeline.tracking import Tracker
from pipeline.trial import FinishedTrial, PlannedTrial

RECORD_AT_ONCE = 32
"""Trials written in one go. A crash loses at most these; they are trained again, to the same numbers."""

OnRecord = Callable[[FinishedTrial], None]


def pending_trials(study: Study, ledger: Ledger) -> list[PlannedTrial]:
    """The trials of the plan that are not recorded. Raises ``ValueError`` if recorded ones are not those of the plan."""
    planned, recorded = plan(study), ledger.recorded()
    check_plan(planned, recorded)
    return [trial for trial in planned if trial.key not in recorded]


def search(
    study: Study,
    ledger: Ledger,
    tracker: Tracker,
    *,
    workers: int,
    interrupts: Interrupts,
    on_record: OnRecord,
) -> int:
    """Train and record every trial of the plan that is not recorded yet; how many they were.

    Workers compute; this process alone writes. A trial is in the ledger once its MLflow run is whole, so a crash
    leaves at most runs that the ledger does not know, which the next search discards.
    """
    pending = pending_trials(study, ledger)
    if pending:
        tracker.discard_unknown({trial.user_attrs["run_id"] for trial in ledger.recorded().values()})
    in_order = InOrder(pending)
    for finished in execute(tasks(study, pending), workers):
        for batch in _batches(in_order.release(finished)):
            with interrupts.deferred():
                for trial, run_id in zip(batch, tracker.record(study, batch), strict=True):
                    ledger.add(trial, run_id)
                    on_record(trial)
    return len(pending)


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
        for (arm, block), due in self._due.items():
            while due and (arm, block, due[-1]) in self._held:
                released.append(self._held.pop((arm, block, due.pop())))
        return released


def _batches(trials: Sequence[FinishedTrial]) -> list[Sequence[FinishedTrial]]:
    return [trials[i : i + RECORD_AT_ONCE] for i in range(0, len(trials), RECORD_AT_ONCE)]
