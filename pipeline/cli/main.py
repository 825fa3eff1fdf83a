"""The command line: parse the arguments, call the verb, and turn an error into one line and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.cli.arguments import EXIT_USER, parser
from pipeline.console.streams import ready_streams
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.console.console import Console
    from pipeline.search.interrupts import Interrupts

EXIT_FAILED = 1
NO_MEMORY = "there is too little memory, as under ulimit -v or a container's limit; try it with fewer --workers"
LIBRARIES_BYTES, PROCESSOR_BYTES = 950 * 2**20, 80 * 2**20
"""The address space that the libraries of a study need, and what OpenBLAS, in NumPy and in SciPy, adds per processor."""
DIAGNOSING_VERBS = ("run", "search", "train", "refine")
"""The verbs that apply diagnosis rules."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Return the exit code: 0 done, 1 failed, 2 user's mistake, 129, 130 or 143 stopped."""
    ready_streams()
    args = parser().parse_args(arguments)
    if fault := _environment_fault():
        _print_error(f"error: {fault}")
        return EXIT_USER
    from pipeline.search.interrupts import Interrupts, Stopped
    from pipeline.search.processes import end_with_project_runner

    interrupts = Interrupts()
    try:
        with interrupts.handled():
            end_with_project_runner()
            try:
                return dispatch(args, interrupts)
            except Exception as error:
                if stop := interrupts.cause():
                    raise stop from error
                raise
    except Stopped as stop:
        _print_error(f"stopped by {stop}. What is recorded stays; {_how_to_resume(args)}")
        return stop.exit_code
    except BrokenPipeError:
        _print_error(f"stopped, since the output is closed. What is recorded stays; {_how_to_resume(args)}")
        return EXIT_FAILED
    except Exception as error:
        if args.debug:
            raise
        return _report_error(error, args)


def _environment_fault() -> str:
    """Return why no command can run here; empty if one can.

    OpenBLAS never stops asking for address space that it does not get, so that a limit is checked before it is loaded.
    """
    if os.path.expanduser("~") == "~":  # noqa: PTH111  Path.home() raises an error here
        return "HOME: not set, and this user has no home folder; MLflow needs one. Set HOME to a folder"
    if sys.platform == "linux":
        needed = LIBRARIES_BYTES + PROCESSOR_BYTES * len(os.sched_getaffinity(0))
        try:
            mmap.mmap(-1, needed, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        except OSError:
            return f"memory: the libraries need {needed // 2**20:,} MiB of address space. Raise the limit of ulimit -v"
    return ""


def _report_error(error: Exception, args: argparse.Namespace) -> int:
    """Print an error, in one line unless it is a bug; return the exit code."""
    from pipeline.storage.failures import out_of_memory, store_failure

    if isinstance(error, UserError):
        _print_error(f"error: {error}")
        return EXIT_USER
    if reason := NO_MEMORY if out_of_memory(error) else store_failure(error):
        _print_error(f"error: {reason}. What is recorded stays, and {_how_to_resume(args)}")
    else:
        traceback.print_exception(error)
    return EXIT_FAILED


def dispatch(args: argparse.Namespace, interrupts: Interrupts) -> int:
    """Call ``command`` of the verb's module in :mod:`pipeline.commands`; return the exit code."""
    from pipeline.commands import Context
    from pipeline.data.folder import FOLDER_VARIABLE
    from pipeline.diagnosis.plugins import load_rules
    from pipeline.errors import Failed

    if getattr(args, "data_dir", ""):
        os.environ[FOLDER_VARIABLE] = args.data_dir  # in the environment, so that worker processes have it too
    if args.verb in DIAGNOSING_VERBS:
        load_rules()  # early, so that a broken rule is an error before anything is written
    if getattr(args, "budget", ""):
        args.study += f":{args.budget}"
    given = {name: getattr(args, name, "") for name in ("tracking_uri", "storage", "study")}
    try:
        module = import_module(f"pipeline.commands.{args.verb}")
        module.command(args, Context(_console(args), interrupts, **given))
    except Failed as failure:
        _print_error(str(failure))
        return EXIT_FAILED
    return 0


def _console(args: argparse.Namespace) -> Console:
    """Return a console as loud as the flags ask for."""
    from pipeline.console.console import Console, Verbosity
    from pipeline.console.log_records import log_to_stderr

    if args.verbose:
        log_to_stderr()
        return Console(Verbosity.VERBOSE)
    return Console(Verbosity.QUIET if args.quiet else Verbosity.NORMAL)


def _how_to_resume(args: argparse.Namespace) -> str:
    """Return the sentence that says how to resume a command that was stopped."""
    same = "the same command without --new" if getattr(args, "new", False) else "the same command"
    return f"{same} continues from there"


def _print_error(line: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is closed
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
