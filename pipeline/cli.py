"""The command line: parse, look the study up, call the job, and turn what went wrong into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import shtab

if TYPE_CHECKING:
    from pipeline.jobs import Job

DEFAULT_STUDY = "random_vs_grid"
TRAINS = ("run", "search", "train", "refine")
HYPERPARAMETERS = ("learning_rate", "l2", "activation", "init", "batch_norm")
EXIT_FAILED, EXIT_USER = 1, 2
EXIT_CODES = "exit codes: 0 done, 1 a check or the job failed, 2 a mistake in what was asked, 130 Ctrl-C, 143 SIGTERM"

VERBS = {
    "run": "check, search and report: the main job",
    "check": "check that the network can learn at all",
    "search": "train and record every trial of the plan that is not recorded yet",
    "report": "write the report from the recorded trials",
    "train": "train one configuration and record it",
    "refine": "propose the next, finer stage of a recorded study, and run it with --run",
    "lecture": "run the experiments of CS231n's lecture on training, or one of them",
    "ui": "open MLflow UI and Optuna Dashboard on what is recorded, until Ctrl-C",
}
EXAMPLES = {
    "run": "babysit run random_vs_grid --workers 2",
    "check": "babysit check random_vs_grid",
    "search": "babysit search random_vs_grid --blocks 2 --trials 20",
    "report": "babysit report random_vs_grid",
    "train": "babysit train random_vs_grid --learning-rate 0.3 --activation tanh",
    "refine": "babysit refine random_vs_grid --run",
    "lecture": "babysit lecture spiral",
    "ui": "babysit ui",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line. An empty value counts as not given, as MLproject's defaults are."""

    def error(self, message: str) -> Any:
        """Say what is wrong, and leave with the exit code of a user's mistake."""
        self.exit(EXIT_USER, f"error: {message}. See {self.prog} --help\n")


def whole(low: int) -> Callable[[str], int | None]:
    """A parser of whole numbers of at least ``low``; empty text is not given."""

    def parse(text: str) -> int | None:
        if not text:
            return None
        if not text.isdecimal() or int(text) < low:
            raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number of at least {low}")
        return int(text)

    return parse


def real(text: str) -> float | None:
    """A number; empty text is not given."""
    try:
        return float(text) if text else None
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number") from None


def truth(text: str) -> bool | None:
    """True or false; empty text is not given."""
    words = {"": None, "true": True, "false": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected true or false")
    return words[text.lower()]


def word(text: str) -> str | float | None:
    """A name, or a number where one is given; empty text is not given."""
    try:
        return float(text)
    except ValueError:
        return text or None


def _compact(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, max_help_position=26)


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="babysit",
        description="Ask one question about training a neural network; get a verdict that holds.",
        epilog=EXIT_CODES,
    )
    shtab.add_argument_to(top, "--print-completion", help="print the completion of a shell")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for verb, says in VERBS.items():
        about: dict[str, Any] = {
            "help": says,
            "description": f"{says[0].upper()}{says[1:]}.",
            "epilog": f"example: {EXAMPLES[verb]}",
        }
        sub = verbs.add_parser(verb, usage=usage(verb), formatter_class=_compact, **about)
        if verb == "lecture":
            sub.add_argument(
                "study", nargs="?", default="", metavar="EXPERIMENT", help="a name, or a file (all of them)"
            )
        elif verb != "ui":
            sub.add_argument(
                "study",
                nargs="?",
                default=DEFAULT_STUDY,
                metavar="STUDY",
                help="a name in studies/, or a file (%(default)s)",
            )
        if verb not in ("report", "ui", "refine"):
            sub.add_argument(
                "--seed", metavar="N", type=whole(0), help="what all randomness derives from (the study's own)"
            )
        if verb == "refine":
            sub.add_argument(
                "--run",
                metavar="BOOL",
                nargs="?",
                const=True,
                type=truth,
                help="check, search and report the proposed stage",
            )
        if verb in ("run", "search", "refine"):
            sub.add_argument(
                "--workers", metavar="N", type=whole(1), help="processes that train (one for each processor)"
            )
            sub.add_argument(
                "--backend",
                metavar="NAME",
                choices=("", "loky", "dask"),
                default="",
                help="loky: this machine's workers; dask: a cluster's",
            )
            sub.add_argument(
                "--scheduler",
                metavar="ADDRESS",
                default="",
                help="the cluster's scheduler: tcp://HOST:PORT",
            )
        if verb in ("run", "search"):
            sub.add_argument(
                "--trials", metavar="N", type=whole(1), help="trials of each arm in each block (the study's own)"
            )
            sub.add_argument(
                "--blocks",
                metavar="N",
                type=whole(1),
                help="blocks, each with its own data split (the study's own)",
            )
            sub.add_argument("--new", action="store_true", help="begin the study anew, beside what is recorded")
        _add_own(verb, sub)
        if verb not in ("report", "ui"):
            sub.add_argument(
                "--data-dir", metavar="DIR", default="", help="where data sets are kept (BABYSIT_DATA_DIR)"
            )
        if verb != "check":
            sub.add_argument(
                "--tracking-uri",
                metavar="URI",
                default="",
                help="MLflow's store (MLFLOW_TRACKING_URI, or mlflow.db)",
            )
            sub.add_argument(
                "--storage",
                metavar="URL",
                default="",
                help="Optuna's store: a file or a URL (optuna.log)",
            )
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return top


def usage(verb: str) -> str:
    """How a verb is called, in a line."""
    what = {"ui": "", "lecture": "[EXPERIMENT] "}.get(verb, "[STUDY] ")
    return f"babysit {verb} {what}[OPTIONS]"


def _add_own(verb: str, sub: argparse.ArgumentParser) -> None:
    if verb in ("run", "report"):
        sub.add_argument("--no-model", action="store_true", help="register no model of the best trial")
    if verb == "train":
        _add_hyperparameters(sub)


def _add_hyperparameters(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--learning-rate", metavar="X", type=real, help="the step size")
    sub.add_argument("--l2", metavar="X", type=real, help="the scale of the penalty on squared weights")
    sub.add_argument("--activation", metavar="NAME", type=word, help="relu, tanh, ...")
    sub.add_argument(
        "--init", metavar="NAME", type=word, help="small, xavier, he, ..., or the standard deviation of the weights"
    )
    sub.add_argument("--batch-norm", metavar="BOOL", type=truth, help="true or false")
    sub.add_argument("--epochs", metavar="N", type=whole(1), help="passes over the training rows (the study's own)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code: 0 done, 1 a failed job, 2 the user's mistake, 130 or 143 stopped."""
    args = parser().parse_args(arguments)
    from pipeline.search.interrupts import Interrupts, Stopped

    try:
        with Interrupts().handled() as interrupts:
            return dispatch(args, interrupts)
    except Stopped as stop:
        _complain(f"stopped by {stop}. What is recorded stays; the same command goes on from there")
        return stop.exit_code
    except ValueError as error:
        if args.debug:
            raise
        _complain(f"error: {error}")
        return EXIT_USER
    except Exception as error:
        from pipeline.stores import store_failure

        if args.debug or not (reason := store_failure(error)):
            raise
        _complain(f"error: {reason}. What is recorded stays, and the same command goes on from there")
        return EXIT_FAILED


def dispatch(args: argparse.Namespace, interrupts: Any) -> int:
    """Make the job and call its verb. The data folder is set for the processes that it starts, too."""
    from rich.console import Console

    from pipeline.babysitting.plugins import load_rules
    from pipeline.data.folder import FOLDER_VARIABLE
    from pipeline.errors import Failed

    if getattr(args, "data_dir", ""):
        os.environ[FOLDER_VARIABLE] = args.data_dir
    if args.verb in TRAINS:
        load_rules()  # here, so that one that is broken is told of before anything is written
    try:
        if args.verb == "ui":
            _show(args, interrupts)
        elif args.verb == "lecture" or (args.verb == "run" and _is_experiment(args.study)):
            _lecture(args, Console())
        elif args.verb == "refine":
            _refine(args, Console(), interrupts)
        else:
            _call(args, _job(args, Console(), interrupts))
    except Failed as failure:
        _complain(str(failure))
        return EXIT_FAILED
    return 0


def _show(args: argparse.Namespace, interrupts: Any) -> None:
    from pipeline.stores import resolve_stores
    from pipeline.ui import show

    show(resolve_stores(args.tracking_uri, args.storage), lambda line: print(line, flush=True), interrupts)  # noqa: T201


def _is_experiment(name: str) -> bool:
    from pipeline.lookup import is_experiment

    return is_experiment(name)


def _lecture(args: argparse.Namespace, console: Any) -> None:
    from pipeline.lecture.job import LectureJob
    from pipeline.lookup import experiment_names, find_experiment
    from pipeline.stores import resolve_stores

    if given := _given(args, ("trials", "blocks")):
        raise ValueError(f"--{next(iter(given))}: {args.study} is an experiment, and takes a --seed alone")
    names = [args.study] if args.study else experiment_names()
    experiments = [find_experiment(name, _given(args, ("seed",))) for name in names]
    LectureJob(experiments, resolve_stores(args.tracking_uri, args.storage), console).run()


def _refine(args: argparse.Namespace, console: Any, interrupts: Any) -> None:
    from pipeline.jobs import default_workers
    from pipeline.lookup import find_study
    from pipeline.search.executor import engine
    from pipeline.stages import Refinement
    from pipeline.stores import resolve_stores

    stores = resolve_stores(args.tracking_uri, args.storage)
    refinement = Refinement(find_study(args.study, {}), stores, console, interrupts)
    if not args.run:
        refinement.show()
        return
    with engine(args.workers or default_workers(), _scheduler(args)) as workers:
        refinement.run(workers)


def _job(args: argparse.Namespace, console: Any, interrupts: Any) -> Job:
    from pipeline.jobs import Job, manual_study, recorded_study
    from pipeline.lookup import find_study
    from pipeline.stores import resolve_stores

    study = find_study(args.study, _given(args, ("seed", "trials", "blocks")))
    stores = resolve_stores(getattr(args, "tracking_uri", ""), getattr(args, "storage", ""))
    if args.verb == "report":
        study = recorded_study(study, stores)
    elif args.verb == "train":
        study = manual_study(study, _given(args, HYPERPARAMETERS), args.epochs or 0)
    flags: dict[str, Any] = {"new": getattr(args, "new", False), "keep_model": not getattr(args, "no_model", False)}
    return Job(study, stores, console, interrupts, **flags)


def _call(args: argparse.Namespace, job: Job) -> None:
    from pipeline.jobs import default_workers
    from pipeline.search.executor import engine

    if args.verb == "check":
        job.check()
        return
    if args.verb in ("run", "search"):
        with engine(args.workers or default_workers(), _scheduler(args)) as workers, job.searching():
            if args.verb == "run":
                job.run(workers)
            else:
                job.search(workers)
                job.confirm(workers)
        return
    with job.recorded():
        job.report() if args.verb == "report" else job.train()


def _scheduler(args: argparse.Namespace) -> str:
    """The address of the scheduler of the cluster that trains; empty, for workers on this machine."""
    if args.backend == "dask" and not args.scheduler:
        raise ValueError("--backend: dask needs the --scheduler of a cluster, like tcp://HOST:8786")
    if args.backend == "loky" and args.scheduler:
        raise ValueError("--backend: loky is this machine's workers, and has no --scheduler")
    return str(args.scheduler)


def _given(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """What the command line gives of these; the rest is the study's own."""
    values = {name: getattr(args, name, None) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")
