"""The verb ``check``: find out cheaply whether the study's network can learn at all."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

from pipeline.checks import CheckResult, all_checks
from pipeline.commands import Context, given
from pipeline.commands.columns import print_columns
from pipeline.console.console import Console
from pipeline.data.dataset import describe, expect_block, is_plain_and_small
from pipeline.errors import Failed
from pipeline.search.engine import Engine
from pipeline.search.plan import first_trial, make_task
from pipeline.seeds import derive_seed
from pipeline.study.loading import find_declared
from pipeline.study.metrics import check_classes
from pipeline.study.spec import Study
from pipeline.study.suite import Suite
from pipeline.trials.own_models import check_parameters
from pipeline.trials.task import run_task


def command(args: argparse.Namespace, context: Context) -> None:
    """Check the study, or each of a suite. Raises :class:`Failed` if a check is not passed."""
    declared = find_declared(args.study, given(args, "seed"))
    studies = declared.studies if isinstance(declared, Suite) else (declared,)
    for study in studies:
        if study.model:
            check_parameters(study.model, [*study.fixed, *study.space])
        check_classes(study.objective, describe(study.source).classes)
    for study in studies:
        print_columns(study, context.console)
        require(check(study, context.console))


def check_on_worker(study: Study, engine: Engine) -> Callable[[], list[CheckResult]] | None:
    """Start the checks on a worker while this process imports MLflow. Return a function that waits for their results.

    They start only for the network, on small data without columns to encode; then the first block comes back with them, so
    that this process need not import scikit-learn to split it. Otherwise None is returned.
    """
    if study.model or not is_plain_and_small(study.source, study.config):
        return None
    wait = cache(engine.background(all_checks.check_and_split, study))
    expect_block(study.source, study.config, derive_seed(study.seed, "split", 0), lambda: wait()[1])
    return lambda: list(wait()[0])


def check(
    study: Study, console: Console, results_of: Callable[[], Iterable[CheckResult]] | None = None
) -> list[CheckResult]:
    """Return the results of the checks, printed as they come; the first that is not passed is the last.

    ``results_of`` gives those of checks that are already under way.
    """
    results = []
    with console.timed("check"):
        console.say(f"check: can the {'model' if study.model else 'network'} of {study.name} learn at all?")
        for result in results_of() if results_of else _checks(study):
            results.append(result)
            console.say(f"  {result.status:6}  {result.name}: {result.message}")
            for key, value in result.metrics.items():
                console.detail(f"          {key} {value:.4g}")
            if result.advice:
                console.say(f"          {result.advice}")
            if not result.passed:
                break
    return results


def _checks(study: Study) -> Iterator[CheckResult]:
    """Yield the checks of the network; of a study's own model those of the data, by the network, and its first trial."""
    yield from all_checks.check(study)
    if study.model:
        trial = first_trial(study)
        (finished,) = run_task(make_task(study, [trial]))
        result, name = finished.result, "the first trial runs to its end"
        if result.failure:
            yield CheckResult(
                name, False, f"{trial.point}: it {result.failure.sentence}\n{result.failure.trace}".rstrip()
            )
            return
        score = f"validation {study.objective.title} {result.scores[study.objective.best_val]:.3f}"
        yield CheckResult(
            name,
            True,
            f"{score}, in {result.seconds:.2g} s",
            "the network's own checks are left out",
        )


def require(results: Sequence[CheckResult]) -> None:
    """Raise :class:`Failed` if a check is not passed."""
    for result in results:
        if not result.passed:
            raise Failed(f"check {result.name!r} failed: {result.message}")
