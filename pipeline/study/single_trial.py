"""The study of the trials that a person chooses one by one, with ``train``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import INITIALIZERS
from pipeline.study.hparams import as_choice
from pipeline.study.spec import Arm, Categorical, Dimension, Float, SearchSpace, Study

MANUAL = Arm("manual")
"""The arm of such trials."""


def manual_name(study: str) -> str:
    """The name under which the trials that a person chooses for a study are recorded."""
    return f"{study}-manual"


def manual_study(study: Study, chosen: Mapping[str, Any], epochs: int) -> Study:
    """The study that a person's own trial is recorded in: what they chose is fixed, and its space holds whatever that is."""
    fixed = replace(study.fixed, **chosen)

    def widened(name: str, dimension: Dimension) -> Dimension:
        value = as_choice(getattr(fixed, name))
        if isinstance(dimension, Float):
            return Float(min(0.0, value), max(dimension.high, value))
        known: dict[str, Collection[str]] = {"activation": ACTIVATIONS, "init": INITIALIZERS}
        return Categorical(*dict.fromkeys([*known.get(name, dimension.choices), value]))

    return replace(
        study,
        name=manual_name(study.name),
        space=SearchSpace(**{name: widened(name, dimension) for name, dimension in study.space.items()}),
        fixed=fixed,
        config=replace(study.config, epochs=epochs or study.config.epochs),
        arms=(MANUAL,),
        pruner=None,
        blocks=1,
        trials=1,
    )
