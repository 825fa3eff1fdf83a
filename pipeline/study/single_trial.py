"""The study that holds the trials of ``train``: single configurations that the user chose."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pipeline.errors import UserError
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import INITIALIZERS
from pipeline.study.hparams import as_choice
from pipeline.study.spec import Arm, Categorical, Dimension, Float, Int, SearchSpace, Study
from pipeline.validation import check_number

SINGLE_TRIAL = Arm("manual")
"""The arm of such trials; its name is recorded."""


def single_trial_name(study: str) -> str:
    """Return the name under which the single trials of a study are recorded."""
    return f"{study}-manual"


def single_trial_point(study: Study, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each searched hyperparameter: the chosen one, or the network's default or fixed one.

    Raises :class:`UserError` for a study's own model, whose parameters have no known defaults, if some are not chosen.
    """
    if not study.model:
        fixed = replace(study.fixed, **chosen)
        return {name: _value_in(dimension, getattr(fixed, name)) for name, dimension in study.space.items()}
    if missing := [name for name in study.space if name not in chosen]:
        flags = " ".join(f"--set {name}=VALUE" for name in missing)
        raise UserError(
            f"train: got no value of {', '.join(missing)}; expected one of each searched parameter. Give {flags}"
        )
    for name, dimension in study.space.items():
        if isinstance(dimension, Float):
            check_number(name, chosen[name], low=-math.inf)
    return {name: _value_in(dimension, chosen[name]) for name, dimension in study.space.items()}


def _value_in(dimension: Dimension, value: Any) -> Any:
    """Return a value as one of a dimension: a single width of whole numbers is no text."""
    choice = as_choice(value)
    return int(choice) if isinstance(dimension, Int) and str(choice).isdecimal() else choice


def single_trial_study(study: Study, chosen: Mapping[str, Any], epochs: int | None) -> Study:
    """Return the study that a single trial of ``study`` is recorded in: its space holds the trial's point.

    ``chosen`` are the hyperparameters that the user chose, and ``epochs`` the epochs; the study decides the others.
    """
    point = single_trial_point(study, chosen)
    if study.model:
        fixed: Any = {**study.fixed, **{name: value for name, value in chosen.items() if name not in point}}
    else:
        fixed = replace(study.fixed, **chosen)

    def widened(name: str, dimension: Dimension) -> Dimension:
        value = point[name]
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
