"""The study that holds the trials of ``train``: single configurations that the user chose."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pipeline.errors import UserError
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import INITIALIZERS
from pipeline.study.hparams import as_choice
from pipeline.study.spec import Arm, Categorical, Dimension, Float, Int, SearchSpace, Study

SINGLE_TRIAL = Arm("manual")
"""The arm of such trials; its name is recorded."""


def single_trial_name(study: str) -> str:
    """Return the name under which the single trials of a study are recorded."""
    return f"{study}-manual"


def value_in(dimension: Dimension, value: Any) -> Any:
    """Return a hyperparameter's value as one of a dimension: a single width of whole numbers is no text."""
    choice = as_choice(value)
    return int(choice) if isinstance(dimension, Int) and str(choice).isdecimal() else choice


def value_of(fixed: Any, name: str) -> Any:
    """Return a value of the study's fixed hyperparameters, or of its own model's parameters, which have no defaults."""
    if not isinstance(fixed, Mapping):
        return getattr(fixed, name)
    if name not in fixed:
        raise UserError(f"{name}: it has no value. Give it, as in --set {name}=VALUE")
    return fixed[name]


def single_trial_study(study: Study, chosen: Mapping[str, Any], epochs: int | None) -> Study:
    """Return the study that a single trial of ``study`` is recorded in: its values are fixed and its space holds them.

    ``chosen`` are the hyperparameters that the user chose, and ``epochs`` the epochs; the study decides the others.
    """
    fixed = {**study.fixed, **chosen} if study.model else replace(study.fixed, **chosen)

    def widened(name: str, dimension: Dimension) -> Dimension:
        value = value_in(dimension, value_of(fixed, name))
        if isinstance(dimension, Float):
            return Float(min(0.0, value), max(dimension.high, value))
        if isinstance(dimension, Int):  # hidden layers of several widths are text, where the study searches one
            inside = isinstance(value, int)
            return Int(min(dimension.low, value), max(dimension.high, value)) if inside else Categorical(value)
        names: dict[str, Collection[str]] = {"activation": ACTIVATIONS, "init": INITIALIZERS}
        return Categorical(*dict.fromkeys([*names.get(name, dimension.choices), value]))

    return replace(
        study,
        name=single_trial_name(study.name),
        space=SearchSpace(**{name: widened(name, dimension) for name, dimension in study.space.items()}),
        fixed=fixed,
        config=replace(study.config, epochs=epochs or study.config.epochs),
        arms=(SINGLE_TRIAL,),
        contrasts=(),
        pruner=None,
        blocks=1,
        looks=(1,),
        trials=1,
    )
