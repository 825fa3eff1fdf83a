"""The verb ``refine``: propose the next, finer stage of a recorded study, and run it with ``--run``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipeline.commands import Context, workers_of
from pipeline.commands.job import Job, recorded_study
from pipeline.commands.run import run
from pipeline.commands.search import look
from pipeline.report.formatting import count
from pipeline.search import confirmation
from pipeline.search.engine import Engine
from pipeline.search.refine import Proposal, propose
from pipeline.storage.optuna_store import OptunaStore
from pipeline.storage.stores import Stores
from pipeline.study.data_source import SETTINGS
from pipeline.study.hparams import source_text
from pipeline.study.loading import find_study
from pipeline.study.spec import Arm, Categorical, Dimension, Float, Int, Stage, Study


def command(args: argparse.Namespace, context: Context) -> None:
    """Show the next stage of the study, or run it."""
    study = find_study(args.study, {})
    if args.run:
        with workers_of(args) as engine:
            run_stages(study, context, engine)
    else:
        stage = next_stage(study, context)
        context.console.say("")
        context.console.result(declaration(stage.study))


@dataclass(frozen=True)
class NextStage:
    """A stage that is to be run: its place, from 1, its declaration, and tags that name the stage before it."""

    number: int
    study: Study
    links: Mapping[str, str | int]


def run_stages(study: Study, context: Context, engine: Engine) -> None:
    """Run the next stage; where the study declares stages, run all that are left."""
    number = 0
    while number < max(1, len(study.stages)):
        stage = next_stage(study, context)
        number = stage.number
        context.console.say(f"\n{declaration(stage.study)}")
        blocks, looks = stage.study.blocks, stage.study.looks
        looks = looks if blocks in looks else (blocks,)
        run(Job(stage.study, context, links=stage.links, looks=looks), engine)
        os.environ.pop("MLFLOW_RUN_ID", None)  # the run that `mlflow run` opened is that of the first of them


def next_stage(study: Study, context: Context) -> NextStage:
    """Return the next stage, and print the reasons for its ranges.

    It is the stage after the last recorded one, or the last one itself if a crash left it unfinished. Raises
    :class:`UserError` if no stage is recorded, or the last one has fewer than five trials.
    """
    stores, console = context.stores, context.console
    console.detail(stores.summary)
    number, last = _last(study, stores)
    job = Job(last, context)
    trials = job.optuna_store.table()
    if number > 1 and (unfinished := _unfinished(job, len(trials))):
        stage = Proposal(last, (f"{unfinished}; it is resumed",))
    else:
        number += 1
        coarse = [{str(key): value for key, value in row.items()} for row in trials.to_dict("records")]
        proposal = propose(last, coarse)
        stage = Proposal(fine_study(study, proposal, number), proposal.reasons)
    before = stage_name(study, number - 1)
    console.say(f"refine: {stage.study.name}, from what {before} found")
    for reason in stage.reasons:
        console.say(f"  {reason}")
    run_id = OptunaStore(replace(study, name=before), stores.storage).parent_run or ""
    return NextStage(number, stage.study, {"stage": number, "previous_stage": before, "previous_stage_run": run_id})


def _unfinished(job: Job, recorded: int) -> str:
    """Return what is missing of a stage that was stopped; empty if nothing is missing."""
    study = job.study
    if recorded < (total := study.total_trials):
        return f"{recorded} of {total} trials of it are recorded"
    if confirmation.pending(job.optuna_store):
        return "not all that it chose is confirmed"
    more = study.blocks in study.looks[:-1] and not look(job)[1]
    return f"it is not decided after {count(study.blocks, 'block')}, and a look is left" if more else ""


def _last(study: Study, stores: Stores) -> tuple[int, Study]:
    """Return the number of the last recorded stage, and its study as it was declared when it ran."""
    number, last = 1, recorded_study(study, stores.storage)
    while declared := OptunaStore(replace(study, name=stage_name(study, number + 1)), stores.storage).declaration:
        number, last = number + 1, declared
    return number, last


def stage_name(study: Study, number: int) -> str:
    """Return ``NAME`` for the first stage, ``NAME.stage2`` for the second."""
    return study.name if number == 1 else f"{study.name}.stage{number}"


def fine_study(study: Study, proposal: Proposal, number: int) -> Study:
    """Return the proposed study with the epochs and trials that the stage declares, or those of the stage before."""
    stage = study.stages[number - 1] if number <= len(study.stages) else Stage(proposal.study.config.epochs)
    config = replace(proposal.study.config, epochs=stage.epochs)
    grids = any(arm.is_grid for arm in study.arms)
    trials = stage.trials or proposal.study.trials
    trials = min(trials, proposal.study.space.grid_size) if grids else trials
    blocks = min(proposal.study.blocks, proposal.study.looks[0])
    name = stage_name(study, number)
    return replace(proposal.study, name=name, config=config, blocks=blocks, trials=trials, stages=())


def declaration(study: Study) -> str:
    """Return the source of a file in ``studies/`` that declares the study."""
    space = "".join(f"        {name}={_dimension(dimension)},\n" for name, dimension in study.space.items())
    fixed = repr(study.fixed) if study.model else source_text(study.fixed)
    settings = {"fixed": fixed, "config": source_text(study.config)}
    rest = {name: value for name, value in settings.items() if not value.endswith("()")}
    rest["arms"] = f"({', '.join(map(_arm, study.arms))},)"
    if study.contrasts:
        rest["contrasts"] = repr(study.contrasts)
    if study.pruner:
        rest["pruner"] = repr(study.pruner)
    rest |= {name: repr(getattr(study, name)) for name in ("blocks", "looks", "trials", "delta", "seed", "confirm")}
    rest |= {name: repr(value) for name in (*SETTINGS, "model", "trial_timeout") if (value := getattr(study, name))}
    return (
        "from pipeline import Arm, Categorical, Float, HyperParams, Int, Pruner, SearchSpace, Study, TrainConfig\n\n"
        f"STUDY = Study(\n    name={study.name!r},\n    question={study.question!r},\n    dataset={study.dataset!r},\n"
        f"    space=SearchSpace(\n{space}    ),\n"
        + "".join(f"    {name}={value},\n" for name, value in rest.items())
        + ")"
    )


def _dimension(dimension: Dimension) -> str:
    if isinstance(dimension, Categorical):
        levels = f", levels={dimension.levels}" if dimension.levels < len(dimension.choices) else ""
        return f"Categorical({', '.join(map(repr, dimension.choices))}{levels})"
    scale = f", log={dimension.log}" if dimension.log else ""
    levels = f", levels={dimension.levels}" if dimension.levels != Float(0, 1).levels else ""
    step = f", step={dimension.step}" if isinstance(dimension, Int) and dimension.step > 1 else ""
    return f"{type(dimension).__name__}({dimension.low!r}, {dimension.high!r}{scale}{levels}{step})"


def _arm(arm: Arm) -> str:
    if arm == Arm(arm.name):
        return f"Arm({arm.name!r})"
    return f"Arm({arm.name!r}, {arm.sampler!r}, {dict(arm.arguments)!r})"
