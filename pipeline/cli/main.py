"""The command line: parse, look the study up, call the job, and turn what went wrong into one line and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.cli.arguments import EXIT_USER, parser
from pipeline.console.streams import ready_streams
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.commands.job import Job
    from pipeline.console.console import Console

EXIT_FAILED = 1
NO_MEMORY = "there is too little memory, as under ulimit -v or a container's limit; try it with fewer --workers"
TRAINS = ("run", "search", "train", "refine")
HYPERPARAMETERS = ("learning_rate", "l2", "activation", "init", "batch_norm")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 0 done, 1 a failed job, 2 the user's mistake, 129, 130 or 143 stopped."""
    ready_streams()
    args = parser().parse_args(arguments)
    if os.path.expanduser("~") == "~":  # noqa: PTH111  Path.home() raises an error here
        _complain("error: HOME: not set, and this user has no home folder; MLflow needs one. Set HOME to a folder")
        return EXIT_USER
    from pipeline.search.interrupts import Interrupts, Stopped

    interrupts = Interrupts()
    try:
        with interrupts.handled():
            try:
                return dispatch(args, interrupts)
            except OSError as error:
                if stop := interrupts.caused(error):
                    raise stop from error
                raise
    except Stopped as stop:
        _complain(f"stopped by {stop}. What is recorded stays; {_way_on(args)}")
        return stop.exit_code
    except BrokenPipeError:
        _complain(f"stopped, since nobody reads the output any more. What is recorded stays; {_way_on(args)}")
        return EXIT_FAILED
    except Exception as error:
        from pipeline.storage.opening import out_of_memory, store_failure

        if args.debug:
            raise
        if isinstance(error, UserError):
            _complain(f"error: {error}")
            return EXIT_USER
        reason = NO_MEMORY if out_of_memory(error) else store_failure(error)
        if not reason:
            raise
        _complain(f"error: {reason}. What is recorded stays, and {_way_on(args)}")
        return EXIT_FAILED


def dispatch(args: argparse.Namespace, interrupts: Any) -> int:
    """Make the job and call its verb. The data folder is set for the processes that it starts, too."""
    from pipeline.data.folder import FOLDER_VARIABLE
    from pipeline.diagnosis.plugins import load_rules
    from pipeline.errors import Failed

    if getattr(args, "data_dir", ""):
        os.environ[FOLDER_VARIABLE] = args.data_dir
    console = _console(args)
    if args.verb in TRAINS:
        load_rules()  # here, so that one that is broken is told of before anything is written
    try:
        if args.verb == "ui":
            _show(args, console, interrupts)
        elif args.verb == "lecture" or (args.verb == "run" and _is_experiment(args.study)):
            _lecture(args, console)
        elif args.verb == "refine":
            _refine(args, console, interrupts)
        else:
            _call(args, _job(args, console, interrupts))
    except Failed as failure:
        _complain(str(failure))
        return EXIT_FAILED
    return 0


def _console(args: argparse.Namespace) -> Console:
    """The console that the flags ask for."""
    from pipeline.console.console import Console, Verbosity
    from pipeline.console.log_records import log_to_stderr

    if args.verbose:
        log_to_stderr()
        return Console(Verbosity.VERBOSE)
    return Console(Verbosity.QUIET if args.quiet else Verbosity.NORMAL)


def _show(args: argparse.Namespace, console: Console, interrupts: Any) -> None:
    from pipeline.commands.ui import show
    from pipeline.storage.stores import resolve_stores

    def say(line: str) -> None:
        (console.result if line.startswith(("MLflow UI ", "Optuna Dashboard ")) else console.say)(line)

    stores = resolve_stores(args.tracking_uri, args.storage)
    console.detail(stores.words)
    show(stores, say, interrupts, args.port)


def _is_experiment(name: str) -> bool:
    from pipeline.study.loading import is_experiment

    return is_experiment(name)


def _lecture(args: argparse.Namespace, console: Console) -> None:
    from pipeline.commands.lecture import LectureJob
    from pipeline.storage.stores import resolve_stores
    from pipeline.study.loading import experiment_names, find_experiment

    if given := _given(args, ("trials", "blocks")):
        raise UserError(f"--{next(iter(given))}: {args.study} is an experiment, and takes a --seed alone. Leave it out")
    names = [args.study] if args.study else experiment_names()
    experiments = [find_experiment(name, _given(args, ("seed",))) for name in names]
    LectureJob(experiments, resolve_stores(args.tracking_uri, args.storage), console).run()


def _refine(args: argparse.Namespace, console: Console, interrupts: Any) -> None:
    from pipeline.commands.refine import Refinement
    from pipeline.search.executor import default_workers, engine
    from pipeline.storage.stores import resolve_stores
    from pipeline.study.loading import find_study

    stores = resolve_stores(args.tracking_uri, args.storage)
    refinement = Refinement(find_study(args.study, {}), stores, console, interrupts)
    if not args.run:
        refinement.show()
        return
    with engine(args.workers or default_workers(), _scheduler(args)) as workers:
        refinement.run(workers)


def _job(args: argparse.Namespace, console: Console, interrupts: Any) -> Job:
    from pipeline.commands.job import Job
    from pipeline.storage.optuna_store import recorded_study
    from pipeline.storage.stores import resolve_stores
    from pipeline.study.loading import find_study
    from pipeline.study.single_trial import manual_study

    study = find_study(args.study, _given(args, ("seed", "trials", "blocks")))
    stores = resolve_stores(getattr(args, "tracking_uri", ""), getattr(args, "storage", ""))
    if args.verb == "report":
        study = recorded_study(study, stores.storage)
    elif args.verb == "train":
        study = manual_study(study, _given(args, HYPERPARAMETERS), args.epochs or 0)
    flags: dict[str, Any] = {"new": getattr(args, "new", False), "keep_model": not getattr(args, "no_model", False)}
    return Job(study, stores, console, interrupts, **flags)


def _call(args: argparse.Namespace, job: Job) -> None:
    from pipeline.commands.job import require
    from pipeline.search.executor import default_workers, engine

    if args.verb == "check":
        require(job.check())
    elif args.verb == "run":
        with engine(args.workers or default_workers(), _scheduler(args)) as workers:
            job.run(workers)
    elif args.verb == "search":
        with engine(args.workers or default_workers(), _scheduler(args)) as workers, job.searching():
            job.search(workers)
            job.confirm(workers)
    elif args.verb == "report":
        with job.owned(), job.recorded():
            job.report()
    else:
        from pipeline.commands.train import train

        with job.owned(), job.recorded():
            train(job)


def _scheduler(args: argparse.Namespace) -> str:
    """The address of the scheduler of the cluster that trains; empty, for workers on this machine."""
    if args.backend == "dask" and not args.scheduler:
        raise UserError("--backend: dask needs the --scheduler of a cluster, like tcp://HOST:8786")
    if args.backend == "loky" and args.scheduler:
        raise UserError("--backend: loky is this machine's workers, and has no --scheduler. Leave out one of them")
    return str(args.scheduler)


def _given(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """What the command line gives of these; the rest is the study's own."""
    values = {name: getattr(args, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _way_on(args: argparse.Namespace) -> str:
    """How to go on with what was cut short."""
    same = "the same command without --new" if getattr(args, "new", False) else "the same command"
    return f"{same} goes on from there"


def _complain(line: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is closed
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
