"""Babysit: ask one question about training a neural network, get tracked trials and a verdict that holds.

Studies import from here; each name is loaded when it is first used. ``docs/architecture.md`` lists the packages, from the
lowest up; imports only go down.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipeline import old_paths

if TYPE_CHECKING:
    from pipeline.diagnosis.evidence import Evidence as Evidence
    from pipeline.diagnosis.trial_facts import Finding as Finding
    from pipeline.study.arms import Arm as Arm
    from pipeline.study.experiment import Experiment as Experiment
    from pipeline.study.hparams import HyperParams as HyperParams
    from pipeline.study.hparams import TrainConfig as TrainConfig
    from pipeline.study.space import Categorical as Categorical
    from pipeline.study.space import Float as Float
    from pipeline.study.space import Int as Int
    from pipeline.study.space import SearchSpace as SearchSpace
    from pipeline.study.spec import Pruner as Pruner
    from pipeline.study.spec import Stage as Stage
    from pipeline.study.spec import Study as Study
    from pipeline.study.suite import Suite as Suite

__version__ = "0.1.0"

PUBLIC = {
    "Arm": "study.arms",
    "Categorical": "study.space",
    "Evidence": "diagnosis.evidence",
    "Experiment": "study.experiment",
    "Finding": "diagnosis.trial_facts",
    "Float": "study.space",
    "HyperParams": "study.hparams",
    "Int": "study.space",
    "Pruner": "study.spec",
    "SearchSpace": "study.space",
    "Stage": "study.spec",
    "Study": "study.spec",
    "Suite": "study.suite",
    "TrainConfig": "study.hparams",
}
"""The module of each public name."""

__all__ = list(PUBLIC)

old_paths.install()


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used; ``babysit --help`` loads none."""
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
