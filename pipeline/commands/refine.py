"""From coarse to fine: the next stage of a study, made from what the last one found, shown, and run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pipeline.commands.job import Job
from pipeline.console.console import Console
from pipeline.search import confirmation
from pipeline.search.engine import Engine
from pipeline.search.interrupts import Interrupts
from pipeline.search.refine import Proposal, propose
from pipeline.storage.optuna_store import OptunaStore, recorded_study
from pipeline.storage.stores import Stores
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Arm, Categorical, Dimension, Float, Stage, Study


@dataclass(frozen=True)
class NextStage:
    """The study of a stage, counted from 1, the reasons for its ranges, and the stage that it goes on from."""

    number: int
    study: Study
    reasons: tuple[str, ...]
    links: Mapping[str, str | int]


@dataclass
class Refinement:
    """A study's stages at work."""

    study: Study
    stores: Stores
    console: Console
    interrupts: Interrupts

    def show(self) -> NextStage:
        """Say what the next stage should be, and why. Raises :class:`UserError` if nothing is recorded, or too little."""
        stage = self._next()
        self.console.say("")
        self.console.result(declaration(stage.study))
        return stage

    def run(self, engine: Engine) -> None:
        """Show and run the next stage; where stages are declared, all that are left of them."""
        stage = self._next()
        while True:
            self.console.say(f"\n{declaration(stage.study)}")
            job = Job(stage.study, self.stores, self.console, self.interrupts, links=stage.links)
            job.run(engine)
            os.environ.pop("MLFLOW_RUN_ID", None)  # the run that `mlflow run` opened is that of the first of them
            if stage.number >= len(self.study.stages):
                return
            stage = self._next()

    def _next(self) -> NextStage:
        """The next stage, and why it is that one, said."""
        self.console.detail(self.stores.words)
        stage = next_stage(self.study, self.stores)
        self.console.say(f"refine: {stage.study.name}, from what {stage.links['previous_stage']} found")
        for reason in stage.reasons:
            self.console.say(f"  {reason}")
        return stage


def next_stage(study: Study, stores: Stores) -> NextStage:
    """The stage after the last one that is recorded, or the last one itself, if a crash left it unfinished.

    Raises :class:`UserError` if none is recorded, or it has fewer than five trials.
    """
    number, last = _last(study, stores)
    optuna_store = OptunaStore(last, stores.storage)
    planned = last.total_trials
    done = len(optuna_store.table())
    if number > 1 and (unfinished := _unfinished(optuna_store, done, planned)):
        return NextStage(number, last, (f"{unfinished}; it goes on",), _links(study, number, stores))
    rows = [{str(key): value for key, value in row.items()} for row in optuna_store.table().to_dict("records")]
    proposal = propose(last, rows)
    found = fine_study(study, proposal, number + 1)
    return NextStage(number + 1, found, proposal.reasons, _links(study, number + 1, stores))


def _unfinished(optuna_store: OptunaStore, done: int, planned: int) -> str:
    """What a stage that was stopped still owes, in words; empty if it owes nothing."""
    if done < planned:
        return f"{done} of {planned} trials of it are recorded"
    return "not all that it chose is confirmed" if confirmation.pending(optuna_store) else ""


def _links(study: Study, number: int, stores: Stores) -> dict[str, str | int]:
    """What ties a stage to the one before it."""
    before = stage_name(study, number - 1)
    run = OptunaStore(replace(study, name=before), stores.storage).parent_run
    return {"stage": number, "previous_stage": before, "previous_stage_run": run or ""}


def _last(study: Study, stores: Stores) -> tuple[int, Study]:
    """The number of the last stage that is recorded, and its study as it was declared when it ran."""
    last = recorded_study(study, stores.storage)
    stages: Iterator[tuple[int, str]] = ((n, stage_name(study, n)) for n in range(2, 100))
    number = 1
    for n, name in stages:
        declared = OptunaStore(replace(study, name=name), stores.storage).declaration
        if declared is None:
            break
        number, last = n, declared
    return number, last


def stage_name(study: Study, number: int) -> str:
    """``NAME`` is the first stage's, ``NAME.stage2`` the second's."""
    return study.name if number == 1 else f"{study.name}.stage{number}"


def fine_study(study: Study, proposal: Proposal, number: int) -> Study:
    """The proposed study with the epochs and trials that are declared for the stage, or those of the one before."""
    stage = study.stages[number - 1] if number <= len(study.stages) else Stage(proposal.study.config.epochs)
    config = replace(proposal.study.config, epochs=stage.epochs)
    grids = any(arm.is_grid for arm in study.arms)
    wanted = stage.trials or proposal.study.trials
    trials = min(wanted, proposal.study.space.grid_size) if grids else wanted
    return replace(proposal.study, name=stage_name(study, number), config=config, trials=trials, stages=())


def declaration(study: Study) -> str:
    """The study as a file in ``studies/`` that declares it."""
    space = "".join(f"        {name}={_dimension(dimension)},\n" for name, dimension in study.space.items())
    given = {"fixed": _changed(study.fixed, HyperParams()), "config": _changed(study.config, TrainConfig())}
    rest = {name: value for name, value in given.items() if not value.endswith("()")}
    rest["arms"] = f"({', '.join(map(_arm, study.arms))},)"
    if study.pruner:
        rest["pruner"] = repr(study.pruner)
    rest |= {name: repr(getattr(study, name)) for name in ("blocks", "trials", "delta", "seed", "confirm")}
    return (
        "from pipeline.study.hparams import HyperParams, TrainConfig\n"
        "from pipeline.study.spec import Arm, Categorical, Float, Pruner, SearchSpace, Study\n\n"
        f"STUDY = Study(\n    name={study.name!r},\n    question={study.question!r},\n    dataset={study.dataset!r},\n"
        f"    space=SearchSpace(\n{space}    ),\n"
        + "".join(f"    {name}={value},\n" for name, value in rest.items())
        + ")"
    )


def _dimension(dimension: Dimension) -> str:
    if isinstance(dimension, Categorical):
        return f"Categorical({', '.join(map(repr, dimension.choices))})"
    scale = f", log={dimension.log}" if dimension.log else ""
    levels = f", levels={dimension.levels}" if dimension.levels != Float(0, 1).levels else ""
    return f"Float({dimension.low!r}, {dimension.high!r}{scale}{levels})"


def _arm(arm: Arm) -> str:
    if arm == Arm(arm.name):
        return f"Arm({arm.name!r})"
    return f"Arm({arm.name!r}, {arm.sampler!r}, {dict(arm.arguments)!r})"


def _changed(value: Any, plain: Any) -> str:
    """A frozen value as the call that makes it, with what is not by default."""
    own = [(f.name, getattr(value, f.name)) for f in fields(value) if getattr(value, f.name) != getattr(plain, f.name)]
    return f"{type(value).__name__}({', '.join(f'{name}={given!r}' for name, given in own)})"
