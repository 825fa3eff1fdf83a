"""Optuna's database storage, which adds many finished trials in one transaction if its schema is tested.

Optuna's own way takes some 30 ms for each trial, since every value of it is a query, and every trial a transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import func, insert, select

try:  # private: without them, trials are added in Optuna's way
    from optuna.storages._rdb import models
    from optuna.storages._rdb.storage import _create_scoped_session as transaction
except ImportError:
    models = transaction = None  # type: ignore[assignment]

TESTED = ("v3.2.0.a",)
"""The revisions of Optuna's schema of which Optuna writes the same rows (tests/storage/test_database.py)."""
DIALECTS = ("sqlite", "postgresql")
"""The databases that this was tested on."""


class Database(RDBStorage):
    """Optuna's storage in a database."""

    @cached_property
    def writes_rows(self) -> bool:
        """True if trials are added as rows of Optuna's tables; False if Optuna adds one after the other."""
        return bool(models) and self.engine.dialect.name in DIALECTS and self.get_current_version() in TESTED

    def add_trials(self, study_id: int, trials: Sequence[FrozenTrial]) -> None:
        """Add finished trials to a study, in order: all of them, or after an error none.

        Raises ``KeyError`` if there is no such study.
        """
        if not self.writes_rows:
            for trial in trials:
                self.create_new_trial(study_id, trial)
            return
        with transaction(self.scoped_session) as session:
            models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
            rows = [
                models.TrialModel(
                    study_id=study_id,
                    state=trial.state,
                    datetime_start=trial.datetime_start,
                    datetime_complete=trial.datetime_complete,
                )
                for trial in trials
            ]
            session.add_all(rows)
            session.flush()  # gives them their ids
            rows.sort(key=attrgetter("trial_id"))
            earlier = (models.TrialModel.study_id == study_id, models.TrialModel.trial_id < rows[0].trial_id)
            first = session.scalar(select(func.count()).where(*earlier))
            for number, row in enumerate(rows, start=first or 0):
                row.number = number
            for table, values_of in _TABLES.items():
                pairs = zip(rows, trials, strict=True)
                if values := [
                    {"trial_id": row.trial_id, **value} for row, trial in pairs for value in values_of(trial)
                ]:
                    session.execute(insert(getattr(models, table)), values)


def _params(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        yield {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": distribution_to_json(distribution),
        }


def _values(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for objective, number in enumerate(trial.values or ()):
        value, kind = models.TrialValueModel.value_to_stored_repr(number)
        yield {"objective": objective, "value": value, "value_type": kind}


def _intermediate_values(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for step, number in trial.intermediate_values.items():
        value, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(number)
        yield {"step": step, "intermediate_value": value, "intermediate_value_type": kind}


def _attributes(attributes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for key, value in attributes.items():
        yield {"key": key, "value_json": json.dumps(value)}


_TABLES: dict[str, Callable[[FrozenTrial], Iterator[dict[str, Any]]]] = {
    "TrialParamModel": _params,
    "TrialValueModel": _values,
    "TrialIntermediateValueModel": _intermediate_values,
    "TrialUserAttributeModel": lambda trial: _attributes(trial.user_attrs),
    "TrialSystemAttributeModel": lambda trial: _attributes(trial.system_attrs),
}
"""Optuna's tables of what a trial has, and the function that yields a trial's rows without its id."""
