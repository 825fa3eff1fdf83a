"""A run of kind ``arm`` for each arm and block: the best trial so far by number of trials.

These runs follow from the recorded trials. One that is missing, deleted or at odds with the trials is written again.
"""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mlflow.entities import Metric, Run, RunTag

from pipeline.study.spec import Study
from pipeline.tracking import runs
from pipeline.tracking.links import Links
from pipeline.tracking.run_record import ARM, ARM_KIND, NOTE, MetricPoint, RunRecord, child_tags
from pipeline.training.metrics import (
    DIVERGED,
    DIVERGED_SHARE,
    TRIALS,
)
from pipeline.trials.trial import trial_name

if TYPE_CHECKING:
    from pipeline.tracking.tracker import Tracker

WRITE_SECONDS, WRITE_SHARE = 60, 0.02
"""The runs are written this often during a search, and take at most this share of its time."""

Place = tuple[str, int]
"""An arm's name, and a block."""
Curves = Mapping[str, Mapping[int, float]]
"""Values by metric key and step."""


class ArmTrial(NamedTuple):
    """A recorded trial, as far as its arm's run needs it; ``ended`` is in milliseconds since 1970.

    ``finished`` is False for a trial that was pruned or diverged, which is not chosen if another is there.
    """

    number: int
    run_id: str
    validation: float
    test: float
    diverged: bool
    finished: bool
    ended: int


@dataclass(eq=False)
class _ArmRun:
    """One arm in one block: its trials by number, its run, and the number of trials that the run has.

    ``keys`` are those of the best validation value so far, and of its trial's test value. ``curves`` are the report's values
    that the run lacks.
    """

    arm: str
    block: int
    keys: tuple[str, str]
    run: Run | None = None
    run_id: str = ""
    status: str = ""
    written: int = 0
    trials: list[ArmTrial] = field(default_factory=list)
    curves: Curves = field(default_factory=dict)

    def forget(self) -> None:
        self.run, self.run_id, self.status, self.written = None, "", "", 0

    def choices(self) -> Iterator[ArmTrial]:
        """Yield the chosen trial after each trial: the best-validated one that finished, the earliest of equals."""
        best = self.trials[0]
        for trial in self.trials:
            if (trial.finished, trial.validation) > (best.finished, best.validation):
                best = trial
            yield best

    def points(self) -> list[MetricPoint]:
        """Return what the run lacks. The number of trials comes last, since it tells that the others are written."""
        last, number = self.trials[-1].ended, len(self.trials)
        curves = [MetricPoint(key, v, last, step) for key, curve in self.curves.items() for step, v in curve.items()]
        if self.written == number:
            return curves
        steps = [*zip(self.trials, self.choices(), strict=True)]
        values = [
            MetricPoint(key, value, trial.ended, step)
            for step, (trial, best) in enumerate(steps, start=1)
            if step > self.written
            for key, value in zip(self.keys, (best.validation, best.test), strict=True)
        ]
        diverged = sum(trial.diverged for trial in self.trials)
        totals = {DIVERGED: diverged, DIVERGED_SHARE: diverged / number, TRIALS: number}
        return curves + values + [MetricPoint(key, float(value), last, number) for key, value in totals.items()]


class ArmRuns:
    """The arms' runs of a study whose run is open. Only what they lack is written."""

    def __init__(self, tracker: Tracker, study: Study) -> None:
        """Find the runs that are recorded. A server may have made one twice; the second is discarded."""
        self._tracker, self._study = tracker, study
        self._keys = study.objective.val_so_far, study.objective.test_so_far
        places = [(arm.name, block) for arm in study.arms for block in range(study.blocks)]  # as the UI shall list them
        self._places = {place: _ArmRun(*place, self._keys) for place in places}
        for run in tracker.children(ARM_KIND):
            place = self._place(run.data.tags[ARM], int(run.data.tags["block"]))
            if place.run:
                runs.discard(tracker.client, run.info.run_id)
            else:
                place.run, place.run_id, place.status = run, run.info.run_id, run.info.status
        self._due = time.monotonic() + WRITE_SECONDS

    def add(self, attributes: Mapping[str, Any], run_id: str, ended: float) -> None:
        """Add a recorded trial by its attributes, the id of its run, and its end in seconds since 1970."""
        a, metric = attributes, self._study.objective
        scores = float(a[metric.best_val]), float(a[metric.test])
        finished = not a["diverged"] and a["epochs"] >= self._study.config.epochs
        trial = ArmTrial(a["trial"], run_id, *scores, a["diverged"], finished, int(ended * 1000))
        place = self._place(a["arm"], a["block"])
        if place.written and trial.number < place.trials[place.written - 1].number:
            self._discard(place)  # a trial that was lost is trained again; the later points change
        insort(place.trials, trial)

    def compare(self) -> None:
        """Compare the recorded runs with the trials added so far, and discard those that disagree."""
        for place in self._places.values():
            if place.run:
                metrics = place.run.data.metrics
                number = int(metrics.get(TRIALS, 0))
                best = [*place.choices()][number - 1] if 0 < number <= len(place.trials) else None
                if number and (not best or (best.validation, best.test) != tuple(metrics[key] for key in self._keys)):
                    self._discard(place)
                else:
                    place.written = number

    def set_curves(self, curves: Mapping[Place, Curves]) -> None:
        """Take the report's curves in. A run with other values of them is discarded, since MLflow adds to a curve only."""
        client = self._tracker.client
        for (arm, block), wanted in curves.items():
            place = self._place(arm, block)
            histories = {key: client.get_metric_history(place.run_id, key) for key in wanted if place.run_id}
            recorded = {key: {m.step: m.value for m in points} for key, points in histories.items() if points}
            if recorded != wanted:
                if recorded:
                    self._discard(place)
                place.curves = wanted

    def write_if_due(self) -> None:
        """Write if the last time is long enough ago."""
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Write what the runs lack: whole runs and the report's curves in bulk, the points of growing runs one by one."""
        started = time.monotonic()
        missing = [place for place in self._places.values() if place.trials and self._lacks(place)]
        whole = [place for place in missing if not place.run_id and self._is_complete(place)]
        finished = [place for place in missing if place.written == len(place.trials) and place.status == "FINISHED"]
        if whole:
            self._write_whole(whole)
        if finished:
            self._tracker.writer.append({place.run_id: place.points() for place in finished})
        for place in missing:
            if place not in whole and place not in finished:
                self._append(place)
            place.written, place.curves = len(place.trials), {}
        self._due = time.monotonic() + max(WRITE_SECONDS, (time.monotonic() - started) / WRITE_SHARE)

    def close(self) -> None:
        """Write what is left, end the runs of arms that a stop cut short as KILLED, and fit the view of the arms."""
        self.write()
        for place in self._places.values():
            if place.status == "RUNNING":
                self._end(place, "KILLED")
        if limits := self._limits():
            self._tracker.save_views(self._study, limits)

    def _limits(self) -> tuple[float, float] | None:
        """Return the range of the best so far in the later half of the trials, with a margin; None without trials."""
        halves = [[*place.choices()][len(place.trials) // 2 :] for place in self._places.values() if place.trials]
        values = [value for half in halves for trial in half for value in (trial.validation, trial.test)]
        if not values:
            return None
        margin = max(max(values) - min(values), 0.02) / 4
        return round(min(values) - margin, 3), round(min(max(values) + margin, self._study.objective.range[1]), 3)

    def _place(self, arm: str, block: int) -> _ArmRun:
        return self._places.setdefault((arm, block), _ArmRun(arm, block, self._keys))

    def _lacks(self, place: _ArmRun) -> bool:
        unended = self._is_complete(place) and place.status != "FINISHED"
        return place.written < len(place.trials) or bool(place.curves) or unended

    def _is_complete(self, place: _ArmRun) -> bool:
        return len(place.trials) >= self._study.trials

    def _discard(self, place: _ArmRun) -> None:
        runs.discard(self._tracker.client, place.run_id)
        place.forget()

    def _write_whole(self, places: Sequence[_ArmRun]) -> None:
        now = int(time.time() * 1000)
        times = [now - i for i in range(len(places))]  # the UI lists the last started first
        records = [
            RunRecord(self._name(place), at, at, self._tags(place), {}, tuple(place.points()))
            for at, place in zip(times, places, strict=True)
        ]
        run_ids = self._tracker.writer.write(self._tracker.experiment_id, records)
        for place, run_id in zip(places, run_ids, strict=True):
            place.run_id, place.status = run_id, "FINISHED"

    def _append(self, place: _ArmRun) -> None:
        client = self._tracker.client
        tags = self._tags(place)
        if not place.run_id:
            created = client.create_run(self._tracker.experiment_id, tags=tags, run_name=self._name(place))
            place.run_id, place.status = created.info.run_id, "RUNNING"
        metrics = [Metric(*point) for point in place.points()]
        client.log_batch(place.run_id, metrics, tags=[RunTag(key, value) for key, value in tags.items()])
        if self._is_complete(place) and place.status != "FINISHED":
            self._end(place, "FINISHED")
        elif not self._is_complete(place) and place.status != "RUNNING":
            client.update_run(place.run_id, status="RUNNING")
            place.status = "RUNNING"

    def _end(self, place: _ArmRun, status: str) -> None:
        self._tracker.client.set_terminated(place.run_id, status)
        place.status = status

    def _name(self, place: _ArmRun) -> str:
        return f"{place.arm}-b{place.block:02d}"

    def _tags(self, place: _ArmRun) -> dict[str, str]:
        tracker, study = self._tracker, self._study
        *_, chosen = place.choices()
        choice = trial_name(place.arm, place.block, chosen.number)
        link = Links(tracker.experiment_id, chosen.run_id).run
        trials = tracker.links().trials(arm=place.arm, block=str(place.block))
        number = f"{len(place.trials)} of {study.trials} trials"
        note = f"**{place.arm}, block {place.block}**: after {number} validation chooses [{choice}]({link}). [Its trials]({trials})"
        sampler = next((arm.sampler for arm in study.arms if arm.name == place.arm), "")
        place_tags = {ARM: place.arm, "block": str(place.block), "sampler": sampler}
        facts = {"kind": ARM_KIND, "study": study.name, "budget": str(study.trials), "choice": choice, NOTE: note}
        return facts | place_tags | child_tags(tracker.run_id, tracker.generation)
