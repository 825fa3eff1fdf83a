"""Finding a study: by its name in a ``studies`` folder, or by the path of its file."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import shlex
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pipeline
from pipeline.errors import UserError
from pipeline.study.experiment import DEMONSTRATIONS, Experiment
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.spec import Arm, Float, Pruner, Stage, Study
from pipeline.validation import did_you_mean

PREFIX = "lecture_"
"""The files of the lecture's experiments begin with it."""

FOLDERS = (Path("studies"), Path(pipeline.__file__).parents[1] / "studies")
"""Where names are looked up: the current folder's studies first, then those that come with the pipeline."""


LONGEST = 2**20
"""Bytes that a study's file may have."""

LONGEST_PATH = 255
"""Characters that the name of a study or of its file may have."""

DECLARATIONS = {
    kind.__name__: kind for kind in (Study, Arm, Float, Pruner, Stage, HyperParams, TrainConfig, Experiment)
}
"""What a study file is made of, by name."""


def find_experiment(name: str, overrides: Mapping[str, Any]) -> Experiment:
    """The experiment of that name, with ``lecture_`` before it or not. Raises :class:`UserError` if there is none."""
    name = next((full for full in (name, f"{PREFIX}{name}") if full in study_names()), name)
    if name not in study_names() and not name.endswith(".py"):
        short = [full.removeprefix(PREFIX) for full in experiment_names()]
        if close := difflib.get_close_matches(name.removeprefix(PREFIX), short, n=1):
            raise UserError(f"unknown experiment {name!r}. Did you mean {close[0]}?")
    declared = getattr(_load(_path(name)), "STUDY", None)
    if not isinstance(declared, Experiment):
        raise UserError(f"{_path(name)}: is no experiment. Known: {', '.join(experiment_names())}")
    return replace(declared, **overrides)


def experiment_names() -> list[str]:
    """The experiments of the lecture, in its order."""
    order = [f"{PREFIX}{name}" for name in DEMONSTRATIONS]
    known = [name for name in study_names() if name.startswith(PREFIX)]
    return sorted(known, key=lambda name: (order.index(name) if name in order else len(order), name))


def is_experiment(name: str) -> bool:
    """Whether what the name stands for is an experiment, and no search."""
    return isinstance(getattr(_load(_path(name)), "STUDY", None), Experiment)


def find_study(name: str, overrides: Mapping[str, Any]) -> Study:
    """The study of that name or path, with the overrides that are given. Raises :class:`UserError` with one line if there is none."""
    study = getattr(_load(_path(name)), "STUDY", None)
    if isinstance(study, Experiment):
        raise UserError(
            f"{_path(name)}: is an experiment, and there is nothing to search. Run it: {shlex.join(['babysit', 'lecture', name])}"
        )
    if not isinstance(study, Study):
        raise UserError(f"{_path(name)}: it must end in STUDY = Study(...); got {type(study).__name__}")
    return replace(study, **overrides)


def study_names() -> list[str]:
    """The names that :func:`find_study` knows."""
    return sorted({path.stem for folder in FOLDERS for path in folder.glob("*.py") if not path.stem.startswith("_")})


def _path(name: str) -> Path:
    if len(name) > LONGEST_PATH:
        raise UserError(f"unknown study {name[:60]!r}...: got {len(name)} characters; expected a name or a path")
    if name.endswith(".py"):
        if Path(name).is_dir() or (Path(name).exists() and not Path(name).is_file()):
            raise UserError(
                f"{name}: is {'a folder' if Path(name).is_dir() else 'no regular file'}; expected a study's file"
            )
        if not Path(name).is_file():
            raise UserError(f"study file not found: {name} (in {Path.cwd()})")
        return Path(name)
    for folder in FOLDERS:
        if (folder / f"{name}.py").is_file():
            return folder / f"{name}.py"
    close = difflib.get_close_matches(name, study_names(), n=1)
    hint = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(study_names())}"
    raise UserError(f"unknown study {name!r}. {hint}")


class FromSource(SourceFileLoader):
    """Reads the source every time: bytecode kept from the same second and of the same size would pass for the file as it is."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the source; none is kept, so that looking at a study leaves nothing beside it."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _load(path: Path) -> ModuleType:
    if (size := path.stat().st_size) > LONGEST:
        raise UserError(f"{path}: got {size:,} bytes; a study is a short file, of {LONGEST:,} at most")
    name = f"study_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=FromSource(name, str(path.absolute())))
    if spec is None or spec.loader is None:
        raise UserError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        with _kept_alive():
            spec.loader.exec_module(module)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and type(error) is not KeyboardInterrupt:
            raise  # a signal, which ``Interrupts`` turns into a kind of its own
        raise UserError(f"{path}{_line(error, path)}: {_says(error)}") from error
    return module


@contextmanager
def _kept_alive() -> Iterator[None]:
    """Have what would end or replace this process without an exception raise ``SystemExit`` in the body."""
    kept = {name: getattr(os, name) for name in ("_exit", "abort", "execv", "execve") if hasattr(os, name)}
    process = os.getpid()

    def refusal(name: str) -> Callable[..., None]:
        def refuse(*arguments: Any) -> None:
            if os.getpid() != process:  # a process that the body started ends as it likes
                kept[name](*arguments)
            raise SystemExit(f"os.{name}")

        return refuse

    try:
        for name in kept:
            setattr(os, name, refusal(name))
        yield
    finally:
        for name, function in kept.items():
            setattr(os, name, function)


def _says(error: BaseException) -> str:
    """What a study file is told about its error, in one line."""
    if isinstance(error, SyntaxError):
        return error.msg
    if isinstance(error, SystemExit):
        return f"it left with {'exit' if error.code is None else error.code}; a study only declares"
    if not isinstance(error, Exception):
        return f"it raised {type(error).__name__}; a study only declares"
    says = " ".join(str(error).split()) or type(error).__name__
    if slip := re.match(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", says):
        kind, word = slip.groups()
        known = [field.name for field in fields(DECLARATIONS[kind])] if kind in DECLARATIONS else []
        return f"{kind}: unknown {word!r}; {did_you_mean(word, known)}expected one of {', '.join(known)}"
    return re.sub(r"^(\w+)\.__init__\(\) missing .*argument.?: ", r"\1: it needs ", says)


def _line(error: BaseException, path: Path) -> str:
    """``:N``, the line of the study file that is to blame, if one is."""
    if isinstance(error, SyntaxError):
        return f":{error.lineno}" if error.lineno else ""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path.absolute()
    ]
    return f":{lines[-1]}" if lines else ""
