"""Demonstrations of CS231n's lecture "Training Neural Networks I": each runs, draws figures, and tests the lecture's claims.

If the lecture is imprecise, a claim tests the correct statement and its note says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from pipeline.study.experiment import Experiment

if TYPE_CHECKING:
    from pipeline.lecture.outcome import Outcome


def demonstrate(experiment: Experiment) -> Outcome:
    """Run an experiment. Raises :class:`UserError` for an unknown setting."""
    check_settings(experiment)
    return _demonstration(experiment.demonstration)(experiment.seed, **experiment.settings)


def check_settings(experiment: Experiment) -> None:
    """Raise :class:`UserError` for an unknown setting; the message lists the known names."""
    function = _demonstration(experiment.demonstration)
    names = [name for name in inspect.signature(function).parameters if name != "seed"]
    for name in experiment.settings:
        if name not in names:
            raise UserError(
                f"experiment {experiment.name!r}: unknown setting {name!r}; expected one of {', '.join(names) or 'none'}"
            )


def _demonstration(name: str) -> Callable[..., Outcome]:
    function: Callable[..., Outcome] = import_module(f"pipeline.lecture.{name}").demonstrate
    return function
