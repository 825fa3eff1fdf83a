"""The words of the command line: its verbs, its flags, and what their values may be."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

DEFAULT_STUDY = "random_vs_grid"
EXIT_USER = 2
EXIT_CODES = "exit codes: 0 done, 1 a check or the job failed, 2 a mistake in what was asked, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP"

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
    "report": "babysit report random_vs_grid --quiet",
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

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The values of the flags; one that is unknown is told with the verb that does not have it."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            verb = getattr(found, "verb", None)
            self.prog = f"{self.prog} {verb}" if verb else self.prog
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found


LONGEST_NUMBER = 20
"""Digits: seeds, the longest of them, have 64 bits."""
LAST_PORT = 65534


def whole(low: int) -> Callable[[str], int | None]:
    """A parser of whole numbers of at least ``low``; empty text is not given."""

    def parse(text: str) -> int | None:
        if not text:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER) or int(text) < low:
            shown = text if len(text) <= LONGEST_NUMBER else f"{text[:LONGEST_NUMBER]}..."
            raise argparse.ArgumentTypeError(f"got {shown!r}; expected a whole number of at least {low}")
        return int(text)

    return parse


def port(text: str) -> int | None:
    """A port that has a next one; empty text is not given."""
    number = whole(1)(text)
    if number is not None and number > LAST_PORT:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a port from 1 to {LAST_PORT}")
    return number


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


class Flag(NamedTuple):
    """A flag, the verbs that take it, and what argparse is told of it."""

    name: str
    verbs: tuple[str, ...]
    options: dict[str, Any]


def _flag(name: str, verbs: str, says: str, **options: Any) -> Flag:
    return Flag(name, tuple(verbs.split()), {"help": says, **options})


def _valued(name: str, verbs: str, metavar: str, says: str, **options: Any) -> Flag:
    return _flag(name, verbs, says, metavar=metavar, **({"default": ""} if "type" not in options else {}), **options)


STORED = "run search report train refine lecture ui"
FLAGS = (
    _valued(
        "--seed",
        "run check search train lecture",
        "N",
        "what all randomness derives from (the study's own)",
        type=whole(0),
    ),
    _valued(
        "--run", "refine", "BOOL", "check, search and report the proposed stage", type=truth, nargs="?", const=True
    ),
    _valued(
        "--workers", "run search refine", "N", "processes that train (one for each processor it may use)", type=whole(1)
    ),
    _valued(
        "--backend",
        "run search refine",
        "NAME",
        "loky: this machine's workers; dask: a cluster's",
        choices=("", "loky", "dask"),
    ),
    _valued("--scheduler", "run search refine", "ADDRESS", "the cluster's scheduler: tcp://HOST:PORT"),
    _valued("--trials", "run search", "N", "trials of each arm in each block (the study's own)", type=whole(1)),
    _valued("--blocks", "run search", "N", "blocks, each with its own data split (the study's own)", type=whole(1)),
    _flag("--new", "run search", "begin the study anew, beside what is recorded", action="store_true"),
    _flag("--no-model", "run report", "register no model of the best trial", action="store_true"),
    _valued("--learning-rate", "train", "X", "the step size", type=real),
    _valued("--l2", "train", "X", "the scale of the penalty on squared weights", type=real),
    _valued("--activation", "train", "NAME", "relu, tanh, ...", type=word),
    _valued("--init", "train", "NAME", "small, he, ..., or the weights' standard deviation", type=word),
    _valued("--batch-norm", "train", "BOOL", "true or false", type=truth),
    _valued("--epochs", "train", "N", "passes over the training rows (the study's own)", type=whole(1)),
    _valued(
        "--data-dir",
        "run check search report train refine lecture",
        "DIR",
        "where data sets are kept (BABYSIT_DATA_DIR)",
    ),
    _valued("--port", "ui", "N", "the port of MLflow UI; the dashboard takes the next (5000, 8080)", type=port),
    _valued("--tracking-uri", STORED, "URI", "MLflow's store (MLFLOW_TRACKING_URI, or mlflow.db)"),
    _valued("--storage", STORED, "URL", "Optuna's store: a file or a URL (optuna.log)"),
)


def _compact(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, max_help_position=26)


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog="babysit",
        description="Ask one question about training a neural network; get a verdict that holds.",
        epilog=EXIT_CODES,
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for verb, says in VERBS.items():
        about: dict[str, Any] = {
            "help": says,
            "description": f"{says[0].upper()}{says[1:]}.",
            "epilog": f"example: {EXAMPLES[verb]}",
        }
        _fill(verb, verbs.add_parser(verb, usage=usage(verb), formatter_class=_compact, add_help=False, **about))
    return top


def usage(verb: str) -> str:
    """How a verb is called, in a line."""
    what = {"ui": "", "lecture": "[EXPERIMENT] "}.get(verb, "[STUDY] ")
    return f"babysit {verb} {what}[OPTIONS]"


def _fill(verb: str, sub: argparse.ArgumentParser) -> None:
    """Give a verb its argument and its flags, in one group: so its help fits a screen."""
    group = sub.add_argument_group("arguments")
    if verb == "lecture":
        group.add_argument("study", nargs="?", default="", metavar="EXPERIMENT", help="a name, or a file (all of them)")
    elif verb != "ui":
        says = "a name in studies/, or a file (%(default)s)"
        group.add_argument("study", nargs="?", default=DEFAULT_STUDY, metavar="STUDY", help=says)
    for flag in FLAGS:
        if verb in flag.verbs:
            group.add_argument(flag.name, **flag.options)
    verbosity = group.add_mutually_exclusive_group()
    verbosity.add_argument("-q", "--quiet", action="store_true", help="say the results alone, and what went wrong")
    verbosity.add_argument(
        "-v", "--verbose", action="store_true", help="say stores, groups, times, libraries' records too"
    )
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")
    group.add_argument("-h", "--help", action="help", help="show this help, and leave")
