"""A study's own model: an estimator or a function by its import path, and the parameters of a trial of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import UserError
from pipeline.validation import check_arguments, check_text, shortened

LONGEST_PATH = 255
"""The most characters of an import path."""
SEED = "random_state"
"""The parameter of an estimator that gets the trial's seed."""
RECORDED = {
    *(
        "study",
        "arm",
        "block",
        "trial",
        "sampler",
        "seed",
        "repetition",
        "run_id",
        "health",
        "diagnosis",
        "diverged",
        "gap",
    ),
    *("epochs", "seconds", "n_val", "n_test", "not_finite", "val_correct", "test_correct", "val_scores", "test_scores"),
}
"""The names that the records of a trial use themselves, next to those of its searched parameters."""


@dataclass(frozen=True)
class ModelParams:
    """The parameters of one trial of a study's own model, and its seed, in the place of :class:`HyperParams`."""

    values: Mapping[str, Any]
    seed: int = 0

    @property
    def structure(self) -> tuple[object, ...]:
        """Nothing: no two trials of another model train together."""
        return ()


def check_model(model: Any, fixed: Any, names: list[str]) -> None:
    """Raise :class:`UserError` unless the model is an import path, and ``fixed`` are plain values by name.

    ``names`` are those of the searched parameters. Nothing is imported.
    """
    if not isinstance(model, str) or not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", model):
        raise UserError(f"model: got {shortened(model)}; expected MODULE:NAME, as in 'sklearn.svm:SVC' or 'mine:fit'")
    check_text("model", model, LONGEST_PATH)
    check_arguments("study", fixed, "fixed", "{'n_estimators': 20}")
    if unknown := [name for name, value in fixed.items() if isinstance(value, float) and not math.isfinite(value)]:
        raise UserError(f"fixed: {unknown[0]} is {fixed[unknown[0]]}; expected a finite number")
    for name in (*fixed, *names):
        if name.rpartition("__")[2] == SEED:
            raise UserError(f"{name}: every trial has a seed of its own, which the estimator gets. Leave it out")
    for name in names:
        if not name.isidentifier():
            raise UserError(f"space: got {shortened(name)}; expected the name of a parameter: letters, digits and _")
        if name in fixed:
            raise UserError(
                f"{name}: is fixed and searched; expected one of them. Leave it out of fixed or of the space"
            )
    if taken := sorted(RECORDED.intersection(names)):
        raise UserError(
            f"space: got {taken[0]!r}, which records of trials use for themselves; expected another name. Give it in fixed, or "
            "search it under another name through a function or a factory"
        )
