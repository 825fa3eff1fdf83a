"""The attributes of the Optuna studies and trials that this program records, by which it recognises them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from pipeline.study.spec import Study
from pipeline.training.metrics import BEST_EPOCH, BEST_VAL_ACCURACY, TEST_ACCURACY

STUDY_GENERATION = "opening"
"""The attribute of a study, and the tag of its run, with its generation (:meth:`OptunaStore.ensure_generation`)."""
STUDY_ATTRIBUTES = {"study": str, "arm": str, "block": int, "declaration": str, "mlflow_run": str}
"""The attributes of every recorded Optuna study, with their types."""
TRIAL_ATTRIBUTES = {
    **dict.fromkeys(("run_id", "val_correct", "test_correct"), (str,)),
    **dict.fromkeys(("trial", "seed", "epochs", "n_val", "n_test"), (int,)),
    **dict.fromkeys((BEST_VAL_ACCURACY, BEST_EPOCH, TEST_ACCURACY, "seconds"), (float, int)),
    "diverged": (bool,),
}
"""The attributes of every recorded trial, with their types."""
CONFIRMATION = "confirmation/"
"""The prefix of a study's attributes that hold the repetitions of a trial; the trial's number follows."""
BLAS = "blas"
"""The attribute of a study that lists the BLAS libraries of its trials."""
COLUMNS = "columns"
"""The attribute of a study with what is done with each column of a table: its name, a clause, its number of inputs."""
Key = tuple[str, int, int]
"""A trial's arm, block and number."""


def optuna_name(study: str, arm: str, block: int) -> str:
    """Return the name of the Optuna study of an arm in a block. Names sort by block."""
    return f"{study}/{arm}/b{block:02d}"


def is_recorded_study(name: str, attributes: Mapping[str, Any]) -> bool:
    """Return True if an Optuna study has the attributes that this program records, and the name they give."""
    return all(type(attributes.get(key)) is kind for key, kind in STUDY_ATTRIBUTES.items()) and name == optuna_name(
        *(attributes[key] for key in ("study", "arm", "block"))
    )


def is_recorded_trial(trial: FrozenTrial, study: Study, arm: str, block: int) -> bool:
    """Return True if a trial has a finite value, the attributes of this program, and was recorded in this place."""
    recorded, metric = trial.user_attrs, study.objective
    scores = dict.fromkeys((metric.best_val, metric.test), (float, int)) | dict.fromkeys(metric.row_scores, (str,))
    return (
        trial.value is not None
        and math.isfinite(trial.value)
        and (recorded.get("study"), recorded.get("arm"), recorded.get("block")) == (study.name, arm, block)
        and all(type(recorded.get(name)) in types for name, types in (TRIAL_ATTRIBUTES | scores).items())
        and recorded["trial"] >= 0
    )


def is_confirmation(name: str, records: Any) -> bool:
    """Return True if an attribute of a study holds the repetitions of a trial."""
    return (
        name.startswith(CONFIRMATION)
        and name.removeprefix(CONFIRMATION).isdecimal()
        and isinstance(records, list)
        and all(isinstance(r, dict) and type(r.get("repetition")) is int and "run_id" in r for r in records)
    )
