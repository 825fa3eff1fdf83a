"""The verb ``lecture``: run experiments, log their results, and print which claims of the lecture they reproduce."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.commands import Context, given
from pipeline.errors import UserError
from pipeline.lecture import check_settings, demonstrate
from pipeline.lecture.outcome import REPRODUCED, Outcome
from pipeline.lecture.writer import write
from pipeline.search.processes import alive
from pipeline.seeds import short_hash
from pipeline.storage.failures import opening
from pipeline.study.experiment import Experiment
from pipeline.study.loading import experiment_names, find_experiment
from pipeline.tracking import Tracker
from pipeline.tracking.runs import EXPERIMENT_KIND, end_killed_experiments


def command(args: argparse.Namespace, context: Context) -> None:
    """Run the experiment that the command line names, or all of them."""
    if budget := given(args, "trials", "blocks"):
        raise UserError(
            f"--{next(iter(budget))}: {args.study} is an experiment, and takes a --seed alone. Leave it out"
        )
    names = [args.study] if args.study else experiment_names()
    run_experiments([find_experiment(name, given(args, "seed")) for name in names], context)


def run_experiments(experiments: Sequence[Experiment], context: Context) -> list[Outcome]:
    """Run experiments under one run in MLflow. Raises :class:`UserError` for wrong settings, before any of them starts."""
    for experiment in experiments:
        check_settings(experiment)
    context.console.detail(context.stores.summary)
    with opening("--tracking-uri", context.stores.tracking):
        tracker = Tracker(context.stores.tracking)
    end_killed_experiments(tracker.client, alive)
    tracker.open(experiments[0] if len(experiments) == 1 else Together(experiments), kind=EXPERIMENT_KIND)
    status = "FAILED"
    try:
        results = [(experiment, *_run_one(experiment, tracker, context)) for experiment in experiments]
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)
    for line in table(results):
        context.console.result(line)
    return [outcome for _, outcome, _ in results]


def _run_one(experiment: Experiment, tracker: Tracker, context: Context) -> tuple[Outcome, float]:
    """Run and log one experiment; return its outcome and the seconds that it took."""
    console = context.console
    console.say(f"{experiment.name}: {experiment.question}")
    start = time.perf_counter()
    outcome = demonstrate(experiment)
    seconds = time.perf_counter() - start
    for claim in outcome.claims:
        show = console.detail if claim.holds else console.say
        show(f"  {claim.verdict}: {claim.experiment} {claim.says}: {claim.seen}")
    folder = context.stores.folder / "reports" / "lecture" / experiment.name
    write(experiment, outcome, folder)
    tracker.log_files(folder, experiment.name)
    reproduced = sum(claim.holds for claim in outcome.claims)
    metrics = {"claims": len(outcome.claims), "claims_reproduced": reproduced, "seconds": seconds}
    tracker.log_metrics({f"{experiment.name}/{key}": value for key, value in metrics.items()})
    tracker.set_tags({f"verdict/{experiment.name}": outcome.verdict})
    console.say(f"  {outcome.verdict}, {reproduced} of {len(outcome.claims)} claims; {folder}")
    return outcome, seconds


@dataclass(frozen=True)
class Together:
    """Several experiments as one declaration, for the run that they share."""

    experiments: Sequence[Experiment]
    name: str = "lecture"
    question: str = "Is the lecture right?"

    def to_json(self) -> dict[str, Any]:
        """Return each declaration by its name."""
        return {experiment.name: experiment.to_json() for experiment in self.experiments}

    @property
    def hash(self) -> str:
        """Twelve hex digits that stand for the hashes of the experiments."""
        return short_hash("".join(experiment.hash for experiment in self.experiments))


def table(results: Sequence[tuple[Experiment, Outcome, float]]) -> list[str]:
    """Return one line for each experiment: its name, claims, verdict and seconds; and a line with the total."""
    width = max(len(experiment.name) for experiment, *_ in results)
    lines = [f"{'experiment':{width}}  claims  {'verdict':14}  seconds"]
    for experiment, outcome, seconds in results:
        claims = f"{sum(claim.holds for claim in outcome.claims)}/{len(outcome.claims)}"
        lines.append(f"{experiment.name:{width}}  {claims:>6}  {outcome.verdict:14}  {seconds:7.1f}")
    reproduced = sum(outcome.verdict == REPRODUCED for _, outcome, _ in results)
    return [*lines, f"{reproduced} of {len(results)} experiments reproduced"]
