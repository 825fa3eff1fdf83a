"""Load a study, a suite or an experiment, by its name in a ``studies`` folder or by the path of its file."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import re
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pipeline.errors import UserError
from pipeline.study.catalogue import LONGEST_PATH, named_file, study_names
from pipeline.study.experiment import DEMONSTRATIONS, Experiment
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Arm, Float, Int, Pruner, Stage, Study
from pipeline.study.suite import Suite
from pipeline.validation import did_you_mean

PREFIX = "lecture_"
"""The first part of the file names of the lecture's experiments."""

LONGEST = 2**20
"""The most bytes of a study's file."""

BUDGETS = ("quick", "full")
"""The further budgets that a file may declare, as QUICK = ... and FULL = ...; ``NAME:full`` is one of them."""

DECLARATIONS = {
    kind.__name__: kind for kind in (Study, Suite, Arm, Float, Int, Pruner, Stage, HyperParams, TrainConfig, Experiment)
}
"""The classes that a study file uses, by name."""


def find_experiment(name: str, overrides: Mapping[str, Any]) -> Experiment:
    """Return the experiment of that name or path, with these fields replaced; ``lecture_`` may be left out of a name.

    Raises :class:`UserError` for an unknown name or path.
    """
    name = next((full for full in (name, f"{PREFIX}{name}") if full in study_names()), name)
    known = [full.removeprefix(PREFIX) for full in experiment_names()]
    if not name.endswith(".py") and not named_file(name):
        close = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}"
        raise UserError(f"unknown experiment {name!r}. {hint}")
    experiment = _declared(name)
    if not isinstance(experiment, Experiment):
        raise UserError(f"{_path(name)}: is no experiment. Known: {', '.join(known)}")
    return replace(experiment, **overrides)


def experiment_names() -> list[str]:
    """Return the names of the lecture's experiments, in its order."""
    order = [f"{PREFIX}{name}" for name in DEMONSTRATIONS]
    names = [name for name in study_names() if name.startswith(PREFIX)]
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def is_experiment(name: str) -> bool:
    """Return True if the name or path is that of an experiment."""
    return not _parts(name) and isinstance(_declared(name), Experiment)


def find_declared(name: str, overrides: Mapping[str, Any]) -> Study | Suite:
    """Return the study or the suite of that name or path, with these fields of each study replaced.

    ``SUITE/STUDY`` is a study of a suite. Raises :class:`UserError` for an unknown one.
    """
    if parts := _parts(name):
        owner, inner = parts
        suite = _declared(owner)
        if not isinstance(suite, Suite):
            raise UserError(f"{name}: {owner} is no suite, and has no studies. Give it without /{inner}")
        return replace(suite.study(inner), **overrides)
    declared = _declared(name)
    if isinstance(declared, Experiment):
        raise UserError(
            f"{_path(name)}: is an experiment, and there is nothing to search. Run it: {shlex.join(['babysit', 'lecture', name])}"
        )
    if isinstance(declared, Suite):
        return declared.with_each(**overrides)
    if not isinstance(declared, Study):
        raise UserError(
            f"{_path(name)}: it must end in STUDY = Study(...) or SUITE = Suite(...); got {type(declared).__name__}"
        )
    if declared.model and (folder := str(_path(name).absolute().parent)) not in sys.path:
        sys.path.append(folder)  # the model may be in a file next to the study's
    return replace(declared, **overrides)


def find_study(name: str, overrides: Mapping[str, Any]) -> Study:
    """Return the study of that name or path, with these fields replaced. Raises :class:`UserError` for any other."""
    declared = find_declared(name, overrides)
    if isinstance(declared, Suite):
        names = ", ".join(f"{name}/{study.name}" for study in declared.studies)
        raise UserError(f"{name}: is a suite; expected one study. Give one of {names}")
    return declared


def _parts(name: str) -> tuple[str, str] | None:
    """Return the suite's name or path and the study's name of ``SUITE/STUDY``; None for any other name."""
    owner, slash, inner = name.rpartition("/")
    whole, _ = _split_budget(name)
    if not slash or whole.endswith(".py") or len(name) > LONGEST_PATH or named_file(whole):
        return None
    file, _ = _split_budget(owner)
    known = Path(file).is_file() if file.endswith(".py") else named_file(file)
    return (owner, inner) if known else None


def _split_budget(name: str) -> tuple[str, str]:
    """Split ``NAME:full`` into the name or path of a file and the budget, which is empty if none is named."""
    file, _, budget = name.rpartition(":")
    return (file, budget) if file and budget in BUDGETS else (name, "")


def _declared(name: str) -> Any:
    """Return what the file of that name or path assigns to ``STUDY`` or ``SUITE``; None if it assigns nothing.

    With a budget, it is what the file assigns to that name. Raises :class:`UserError` if it is not a study or a suite.
    """
    name, budget = _split_budget(name)
    module = _load(_path(name))
    if budget:
        declared = getattr(module, budget.upper(), None)
        if not isinstance(declared, Study | Suite):
            raise UserError(f"{_path(name)}: has no {budget.upper()} = Study(...) or Suite(...). Leave out {budget}")
        return declared
    study, suite = (getattr(module, variable, None) for variable in ("STUDY", "SUITE"))
    if study is not None and suite is not None:
        raise UserError(f"{_path(name)}: has STUDY and SUITE; expected one of them. Move one to another file")
    return suite if study is None else study


def _path(name: str) -> Path:
    """Return the file of that name or path."""
    if len(name) > LONGEST_PATH:
        raise UserError(f"unknown study {name[:60]!r}...: got {len(name)} characters; expected a name or a path")
    if name.endswith(".py"):
        path = Path(name)
        if path.is_file():
            return path
        if path.exists():
            raise UserError(f"{name}: is {'a folder' if path.is_dir() else 'no regular file'}; expected a study's file")
        raise UserError(f"study file not found: {name} (in {Path.cwd()}). Check its path")
    if file := named_file(name):
        return file
    close = difflib.get_close_matches(name, study_names(), n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(study_names())}"
    raise UserError(f"unknown study {name!r}. {hint}")


class FromSource(SourceFileLoader):
    """Compiles the source each time: cached bytecode of the same second and size could be that of an older file."""

    def get_code(self, fullname: str) -> CodeType:
        """Return the compiled source, without a bytecode file next to it."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _load(path: Path) -> ModuleType:
    """Run a study file as a module. Raises :class:`UserError`, with the line, for any error in it."""
    if (size := path.stat().st_size) > LONGEST:
        raise UserError(f"{path}: got {size:,} bytes; a study is a short file, of {LONGEST:,} at most")
    name = f"study_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=FromSource(name, str(path.absolute())))
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: is no Python file. Give the file of a study")
    module = importlib.util.module_from_spec(spec)
    try:
        with _process_kept(), _exits_refused():
            spec.loader.exec_module(module)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and type(error) is not KeyboardInterrupt:
            raise  # Stopped, which ``Interrupts`` raises for a signal
        raise UserError(f"{path}{_line(error, path)}: {_reason(error)}") from error
    return module


@contextmanager
def _process_kept() -> Iterator[None]:
    """Keep the body from changing this process: its current folder, its handlers of signals, and its end.

    Threads that the body starts end with the process, and a child process that it forks ends with the body.
    """
    process, start = os.getpid(), threading.Thread.start
    handlers = {signum: handler for signum in signal.valid_signals() if callable(handler := signal.getsignal(signum))}

    def start_daemon(thread: threading.Thread) -> None:
        thread.daemon = True
        start(thread)

    threading.Thread.start = start_daemon  # type: ignore[assignment, method-assign]
    try:
        with contextlib.chdir(Path.cwd()):
            yield
    finally:
        if os.getpid() != process:
            os._exit(0)
        threading.Thread.start = start  # type: ignore[method-assign]
        for signum, handler in handlers.items():
            if signal.getsignal(signum) != handler:
                signal.signal(signum, handler)


@contextmanager
def _exits_refused() -> Iterator[None]:
    """Make the functions that end or replace a process without an exception raise ``SystemExit`` in the body."""
    originals = {name: getattr(os, name) for name in ("_exit", "abort", "execv", "execve") if hasattr(os, name)}
    process = os.getpid()

    def refusal(name: str) -> Callable[..., None]:
        def refuse(*arguments: Any) -> None:
            if os.getpid() != process:  # a child process that the body started
                originals[name](*arguments)
            raise SystemExit(f"os.{name}")

        return refuse

    try:
        for name in originals:
            setattr(os, name, refusal(name))
        yield
    finally:
        for name, function in originals.items():
            setattr(os, name, function)


def _reason(error: BaseException) -> str:
    """Return the error of a study file in one line."""
    if isinstance(error, SyntaxError):
        return error.msg
    if isinstance(error, SystemExit):
        return f"it left with {'exit' if error.code is None else error.code}; a study only declares"
    if not isinstance(error, Exception):
        return f"it raised {type(error).__name__}; a study only declares"
    message = " ".join(str(error).split()) or type(error).__name__
    if match := re.match(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", message):
        kind, name = match.groups()
        names = [field.name for field in fields(DECLARATIONS[kind])] if kind in DECLARATIONS else []
        return f"{kind}: unknown {name!r}; {did_you_mean(name, names)}expected one of {', '.join(names)}"
    return re.sub(r"^(\w+)\.__init__\(\) missing .*argument.?: ", r"\1: it needs ", message)


def _line(error: BaseException, path: Path) -> str:
    """Return ``:N``, the line of the study file that raised the error; empty if it is unknown."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}" if error.lineno else ""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path.absolute()
    ]
    return f":{lines[-1]}" if lines else ""
