"""The networks that are checked: those with the structures and initialisations of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from pipeline.data import Dataset
from pipeline.nn.initializers import Initializer
from pipeline.nn.network import Network, init_network
from pipeline.study.hparams import HyperParams, as_choice
from pipeline.study.spec import Categorical, Study
from pipeline.training.memory import architecture

STRUCTURAL = ("hidden", "activation", "batch_norm", "layer_norm", "conv")
"""The hyperparameters that give a network other layers. Dropout, which draws random numbers, is not checked."""
Init = str | float


def inits(study: Study) -> list[Init]:
    """The initialisations of the space; for a real range, its grid."""
    return values(study, "init")


def structures(study: Study) -> list[HyperParams]:
    """One trial for each structure in the space, with the fixed hyperparameters of the study."""
    names = [name for name in study.space if isinstance(study.space[name], Categorical) and name in STRUCTURAL]
    points = product(*(values(study, name) for name in names))
    return [replace(study.fixed, **dict(zip(names, point, strict=True))) for point in points]


def kind_of(trial: HyperParams) -> str:
    """The activation and the norms of a trial's network: "relu with batch norm"."""
    norms = [name for name in ("batch_norm", "layer_norm") if getattr(trial, name)]
    return trial.activation + "".join(f" with {name.replace('_', ' ')}" for name in norms)


def name_of(study: Study, trial: HyperParams, init: Init) -> str:
    """An initialisation with the searched part of a structure: "he (hidden 100x50, batch_norm True)"."""
    searched = [f"{name} {as_choice(getattr(trial, name))}" for name in STRUCTURAL if name in study.space]
    return f"{init} ({', '.join(searched)})" if searched else str(init)


def values(study: Study, name: str) -> list[Any]:
    """The values of a hyperparameter: its choices or grid in the space, or its fixed value."""
    return study.space[name].grid() if name in study.space else [getattr(study.fixed, name)]


def networks(
    trial: HyperParams, data: Dataset, schemes: Sequence[Init], dtype: str, seeds: Sequence[int] = ()
) -> Network:
    """Networks of a trial's structure, one for each of K initialisations, from the trial's seed or from K seeds."""
    checked = architecture(replace(trial, dropout=0.0), data.features, data.classes, data.shape)
    rules = [Initializer(scheme, trial.init_scale, trial.init_distribution) for scheme in schemes]
    return init_network(checked, rules, seeds or [trial.seed] * len(schemes), dtype)
