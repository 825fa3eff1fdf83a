"""The parser of the command line: its verbs, its flags, and the types of their values."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any, NamedTuple

DEFAULT_STUDY = "random_vs_grid"
EXIT_USER = 2
EXIT_CODES = """exit codes: 0 done, 1 a check or the job failed, 2 a mistake in what was asked,
130 Ctrl-C, 143 SIGTERM, 129 SIGHUP"""

VERBS = {
    "run": ("check, search and report: the main job", "babysit run random_vs_grid --workers 2"),
    "check": ("check that the network can learn at all", "babysit check random_vs_grid"),
    "search": (
        "train and record every trial of the plan that is not recorded yet",
        "babysit search random_vs_grid --blocks 2 --trials 20",
    ),
    "report": ("write the report from the recorded trials", "babysit report random_vs_grid --quiet"),
    "train": (
        "train one configuration and record it",
        "babysit train random_vs_grid --learning-rate 0.3 --activation tanh",
    ),
    "refine": (
        "propose the next, finer stage of a recorded study, and run it with --run",
        "babysit refine random_vs_grid --run",
    ),
    "lecture": ("run the experiments of CS231n's lecture on training, or one of them", "babysit lecture spiral"),
    "ui": ("open MLflow UI and Optuna Dashboard on what is recorded, until Ctrl-C", "babysit ui"),
}
"""The help and an example of each verb."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> Any:
        """Print the error, and exit with the code of a user's mistake."""
        self.exit(EXIT_USER, f"error: {message}. See {self.prog} --help\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return the values of the flags; the error for an unknown flag names its verb."""
        values, unknown = self.parse_known_args(args, namespace)
        if unknown:
            verb = getattr(values, "verb", None)
            self.prog = f"{self.prog} {verb}" if verb else self.prog
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return values


class TopParser(Parser):
    """The parser of the verb, whose help lists the studies. They are looked for only when the help is shown."""

    def format_help(self) -> str:
        """Return the help, with the name and the question of each study before the exit codes."""
        from pipeline.study.catalogue import questions

        known = questions()
        width = max(map(len, known), default=0)
        lines = "".join(f"  {name:{width}}  {question}\n" for name, question in known.items())
        text = super().format_help()
        return (
            text.replace(EXIT_CODES, f"studies and suites (or give a file):\n{lines}\n{EXIT_CODES}") if lines else text
        )


LONGEST_NUMBER = 20
"""The most digits of a number; a seed of 64 bits has 20."""
LAST_PORT = 65534
"""The highest value of --port; the dashboard takes the port after it."""


def whole(low: int) -> Callable[[str], int | None]:
    """Return a parser of whole numbers of at least ``low``.

    It returns None for empty text, as the parsers below do: an empty default of MLproject counts as not given.
    """

    def parse(text: str) -> int | None:
        if not text:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER) or int(text) < low:
            shown = text if len(text) <= LONGEST_NUMBER else f"{text[:LONGEST_NUMBER]}..."
            raise argparse.ArgumentTypeError(f"got {shown!r}; expected a whole number of at least {low}")
        return int(text)

    return parse


def port(text: str) -> int | None:
    """Parse a port that has a next one, which the dashboard takes."""
    number = whole(1)(text)
    if number is not None and number > LAST_PORT:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a port from 1 to {LAST_PORT}")
    return number


def decimal(text: str) -> float | None:
    """Parse a number."""
    try:
        return float(text) if text else None
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a number") from None


def boolean(text: str) -> bool | None:
    """Parse true or false."""
    values = {"": None, "true": True, "false": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected true or false")
    return values[text.lower()]


def name_or_number(text: str) -> str | float | None:
    """Parse a number, or else a name."""
    try:
        return float(text)
    except ValueError:
        return text or None


def setting(text: str) -> tuple[str, Any] | None:
    """Parse ``name=value``; the value is a number, true or false, or else text."""
    if not text:
        return None
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"got {text!r}; expected NAME=VALUE, as in l2=0.001")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, {"True": True, "False": False, "None": None}.get(value, value)


class Flag(NamedTuple):
    """A flag, the verbs that take it, and its options in argparse."""

    name: str
    verbs: tuple[str, ...]
    options: dict[str, Any]


def _flag(name: str, verbs: str, text: str, metavar: str = "", **options: Any) -> Flag:
    """Return a flag of these verbs. With a metavar it takes a value, which is text without a type."""
    if metavar:
        options |= {"metavar": metavar} if "type" in options else {"metavar": metavar, "default": ""}
    return Flag(name, tuple(verbs.split()), {"help": text, **options})


RECORDING = "run search train refine lecture"
"""The verbs that train and record."""
FLAGS = (
    *(  # few files have them, and the help fits a screen
        _flag(
            f"--{name}",
            "run check search report",
            argparse.SUPPRESS,
            dest="budget",
            action="store_const",
            const=name,
            default="",
        )
        for name in ("quick", "full")
    ),
    _flag(
        "--seed", "run check search train lecture", "the seed of all random numbers (the study's)", "N", type=whole(0)
    ),
    _flag("--run", "refine", "check, search and report the stage", "BOOL", type=boolean, nargs="?", const=True),
    _flag("--workers", "run search refine", "processes that train (all usable processors)", "N", type=whole(1)),
    _flag(
        "--backend",
        "run search refine",
        "loky: this machine's workers; dask: a cluster's",
        "NAME",
        choices=("", "loky", "dask"),
    ),
    _flag("--scheduler", "run search refine", "the cluster's scheduler: tcp://HOST:PORT", "ADDRESS"),
    _flag("--trials", "run search", "trials of each arm in each block (the study's)", "N", type=whole(1)),
    _flag("--blocks", "run search", "blocks to train now (the study's looks)", "N", type=whole(1)),
    _flag("--new", "run search", "start the study again, under the next free name", action="store_true"),
    _flag("--skip-checks", "run", "search without the checks; MLflow records that", action="store_true"),
    _flag("--no-model", "run report", "register no model of the best trial", action="store_true"),
    _flag("--learning-rate", "train", "the step size", "X", type=decimal),
    _flag("--l2", "train", "the scale of the penalty on squared weights", "X", type=decimal),
    _flag("--activation", "train", "relu, tanh, ...", "NAME", type=name_or_number),
    _flag("--init", "train", "small, he, ..., or the weights' standard deviation", "NAME", type=name_or_number),
    _flag("--batch-norm", "train", "true or false", "BOOL", type=boolean),
    _flag("--set", "train", "a parameter of the trial; again for others", "NAME=VALUE", type=setting, action="append"),
    _flag("--epochs", "train", "passes over the training rows (the study's)", "N", type=whole(1)),
    _flag("--data-dir", f"{RECORDING} check report", "the folder of data sets (BABYSIT_DATA_DIR)", "DIR"),
    _flag("--port", "ui", "the port of MLflow UI; the dashboard has the next (5000, 8080)", "N", type=port),
    _flag("--tracking-uri", f"{RECORDING} report ui", "MLflow's store (MLFLOW_TRACKING_URI, or mlflow.db)", "URI"),
    _flag("--storage", f"{RECORDING} report ui", "Optuna's store: a file or a URL (optuna.log)", "URL"),
)


def _compact(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, max_help_position=26)


def parser() -> Parser:
    """Return the parser of the whole command line."""
    top = TopParser(
        prog="babysit",
        description="Ask one question about training a neural network; get a verdict that holds.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for verb, (text, example) in VERBS.items():
        sub = verbs.add_parser(
            verb,
            help=text,
            usage=usage(verb),
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example: {example}",
            formatter_class=_compact,
            add_help=False,
        )
        _fill(verb, sub)
    return top


def usage(verb: str) -> str:
    """Return the usage line of a verb."""
    argument = {"ui": "", "lecture": "[EXPERIMENT] "}.get(verb, "[STUDY] ")
    return f"babysit {verb} {argument}[OPTIONS]"


def _fill(verb: str, sub: argparse.ArgumentParser) -> None:
    """Add the argument and the flags of a verb, in one group, so that its help fits a screen."""
    group = sub.add_argument_group("arguments")
    if verb == "lecture":
        group.add_argument("study", nargs="?", default="", metavar="EXPERIMENT", help="a name, or a file (all of them)")
    elif verb != "ui":
        text = "a name in studies/, or a file (%(default)s)"
        group.add_argument("study", nargs="?", default=DEFAULT_STUDY, metavar="STUDY", help=text)
    for flag in FLAGS:
        if verb in flag.verbs:
            group.add_argument(flag.name, **flag.options)
    verbosity = group.add_mutually_exclusive_group()
    verbosity.add_argument("-q", "--quiet", action="store_true", help="print results and errors only")
    verbosity.add_argument("-v", "--verbose", action="store_true", help="print stores, groups, times and logs too")
    group.add_argument("--debug", action="store_true", help="show the traceback of an error")
    group.add_argument("-h", "--help", action="help", help="show this help and exit")
