"""The declaration of an experiment: a question that a demonstration of the lecture answers, without a search."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.seeds import identity_hash
from pipeline.validation import check_arguments, check_choice, check_integer, check_kind, check_name

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
"""The modules of ``pipeline.lecture`` with a function ``demonstrate``, in the order of the lecture."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One demonstration of the lecture; a file that ends in ``STUDY = Experiment(...)`` is run like a study.

    Parameters
    ----------
    name
        1 to 80 letters, digits, ``_``, ``.`` or ``-``.
    question
        The question, as a sentence.
    demonstration
        The module of ``pipeline.lecture`` that answers it, a name in ``DEMONSTRATIONS``.
    settings
        The settings of that demonstration by name. Default none.
    seed
        The seed of all random numbers. Default 0.
    """

    name: str
    question: str
    demonstration: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        check_name("experiment", self.name)
        check_kind("question", self.question, str)
        check_arguments(f"experiment {self.name!r}", self.settings, "settings")
        check_choice("demonstration", self.demonstration, DEMONSTRATIONS)
        check_integer("seed", self.seed, low=0)

    def to_json(self) -> dict[str, Any]:
        """Return the whole declaration as plain values."""
        record: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return record

    @property
    def hash(self) -> str:
        """Twelve hex digits that stand for what decides its numbers."""
        return identity_hash({key: value for key, value in self.to_json().items() if key not in ("name", "question")})
