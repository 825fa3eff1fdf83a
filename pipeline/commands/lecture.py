"""The job behind the verb: run experiments, write and log what they leave, and say which the lecture was right about."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.console.console import Console
from pipeline.lecture import check_settings, demonstrate
from pipeline.lecture.outcome import REPRODUCED, Outcome
from pipeline.lecture.writer import write
from pipeline.storage.opening import opening
from pipeline.storage.stores import Stores
from pipeline.study.experiment import Experiment
from pipeline.tracking import Tracker


@dataclass
class LectureJob:
    """Experiments at work: where they are recorded, and what they say."""

    experiments: Sequence[Experiment]
    stores: Stores
    console: Console

    def run(self) -> list[Outcome]:
        """Run each, under one run in MLflow. Raises :class:`UserError` for one that is declared wrong, before any starts."""
        for experiment in self.experiments:
            check_settings(experiment)
        self.console.detail(self.stores.words)
        with opening("--tracking-uri", self.stores.tracking):
            tracker = Tracker(self.stores.tracking)
        together = self.experiments[0] if len(self.experiments) == 1 else Together(self.experiments)
        tracker.open(together, kind="experiment")
        status = "FAILED"
        try:
            done = [(experiment, *self._one(experiment, tracker)) for experiment in self.experiments]
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            tracker.finish(status)
        for line in table(done):
            self.console.result(line)
        return [outcome for _, outcome, _ in done]

    def _one(self, experiment: Experiment, tracker: Tracker) -> tuple[Outcome, float]:
        self.console.say(f"{experiment.name}: {experiment.question}")
        start = time.perf_counter()
        outcome = demonstrate(experiment)
        seconds = time.perf_counter() - start
        for claim in outcome.claims:
            tell = self.console.detail if claim.holds else self.console.say
            tell(f"  {claim.verdict}: {claim.experiment} {claim.says}: {claim.seen}")
        folder = self.stores.folder / "reports" / "lecture" / experiment.name
        write(experiment, outcome, folder)
        tracker.log_files(folder, experiment.name)
        held = sum(claim.holds for claim in outcome.claims)
        counted = {"claims": len(outcome.claims), "claims_reproduced": held, "seconds": seconds}
        tracker.log_metrics({f"{experiment.name}/{key}": value for key, value in counted.items()})
        tracker.set_tags({f"verdict/{experiment.name}": outcome.verdict})
        self.console.say(f"  {outcome.verdict}, {held} of {len(outcome.claims)} claims; {folder}")
        return outcome, seconds


@dataclass(frozen=True)
class Together:
    """Several experiments as one declaration, for the run that they share."""

    experiments: Sequence[Experiment]
    name: str = "lecture"
    question: str = "Is the lecture right?"

    def to_json(self) -> dict[str, Any]:
        """Each declaration by its name."""
        return {experiment.name: experiment.to_json() for experiment in self.experiments}

    @property
    def hash(self) -> str:
        """Twelve hex digits that stand for theirs."""
        return hashlib.sha256("".join(experiment.hash for experiment in self.experiments).encode()).hexdigest()[:12]


def table(done: Sequence[tuple[Experiment, Outcome, float]]) -> list[str]:
    """One line for each experiment: its name, its claims, its verdict, its time."""
    width = max(len(experiment.name) for experiment, *_ in done)
    lines = [f"{'experiment':{width}}  claims  {'verdict':14}  seconds"]
    for experiment, outcome, seconds in done:
        held = f"{sum(claim.holds for claim in outcome.claims)}/{len(outcome.claims)}"
        lines.append(f"{experiment.name:{width}}  {held:>6}  {outcome.verdict:14}  {seconds:7.1f}")
    right = sum(outcome.verdict == REPRODUCED for _, outcome, _ in done)
    return [*lines, f"{right} of {len(done)} experiments reproduced"]
