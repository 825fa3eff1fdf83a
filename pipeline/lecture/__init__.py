"""The lecture's demonstrations: CS231n, "Training Neural Networks I", each one run, drawn, and held against its numbers.

Where the lecture's words are loose, a claim tests the correct statement and its note says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module

from pipeline.experiment import Experiment
from pipeline.lecture.outcome import Outcome

DEMONSTRATIONS = (
    "activations",
    "preprocessing",
    "initialisation",
    "batch_norm",
    "babysitting",
    "coarse_to_fine",
    "random_against_grid",
    "curves",
    "spiral",
)
"""The modules of this package that have a ``demonstrate``, in the order of the lecture."""


def demonstrate(experiment: Experiment) -> Outcome:
    """Run an experiment. Raises ``ValueError`` for a demonstration or a setting that there is not."""
    function = _demonstration(experiment.demonstration)
    known = [name for name in inspect.signature(function).parameters if name != "seed"]
    for name in experiment.settings:
        if name not in known:
            raise ValueError(
                f"experiment {experiment.name!r}: unknown setting {name!r}; expected one of {', '.join(known) or 'none'}"
            )
    return function(experiment.seed, **experiment.settings)


def _demonstration(name: str) -> Callable[..., Outcome]:
    if name not in DEMONSTRATIONS:
        raise ValueError(f"demonstration: got {name!r}; expected one of {', '.join(DEMONSTRATIONS)}")
    function: Callable[..., Outcome] = import_module(f"pipeline.lecture.{name}").demonstrate
    return function
