"""Optuna's database storage: the rows that are added at once are those that Optuna writes."""

import math
from datetime import datetime

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import create_engine, select, text

from pipeline.storage import database
from pipeline.storage.database import Database
from pipeline.storage.journal import open_storage

DISTRIBUTIONS = {
    "learning_rate": optuna.distributions.FloatDistribution(1e-5, 10, log=True),
    "width": optuna.distributions.IntDistribution(1, 9),
    "init": optuna.distributions.CategoricalDistribution(["he", 0.05]),
}


def trial(number, value, state=TrialState.COMPLETE):
    """A finished trial with something in each of Optuna's tables, and text that needs quotes."""
    made = optuna.trial.create_trial(
        state=state,
        value=value,
        params={"learning_rate": 0.1 / (number + 1), "width": number + 1, "init": "he" if number % 2 else 0.05},
        distributions=DISTRIBUTIONS,
        user_attrs={"trial": number, "text": "it's \u00fc\u2212 100 % {}", "list": [1, None, 0.5]},
        system_attrs={"rung": 0.2},
        intermediate_values={1: 0.25, 2: math.nan, 3: math.inf},
    )
    made.datetime_start = datetime(2026, 5, 1, 12, 0, number)  # noqa: DTZ001
    made.datetime_complete = datetime(2026, 5, 1, 12, 1, number, 5)  # noqa: DTZ001
    return made


TRIALS = [trial(0, 0.5), trial(1, -math.inf), trial(2, 0.25, TrialState.PRUNED)]


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request, tmp_path):
    """An empty storage of each dialect."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path / 'optuna.db'}"
    else:
        server = request.getfixturevalue("postgres")
        engine = create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("DROP DATABASE IF EXISTS rows_of_trials WITH (FORCE)"))
            connection.execute(text("CREATE DATABASE rows_of_trials"))
        engine.dispose()
        address = f"{server}/rows_of_trials"
    storage = open_storage(address)
    yield storage
    storage.scoped_session.remove()
    storage.engine.dispose()


def rows(storage, study_id):
    """The rows that each table of Optuna has of a study's trials, with numbers in place of ids."""
    models, found = database.models, {}
    with storage.engine.connect() as connection:
        trials = models.TrialModel.__table__
        query = select(trials).where(trials.c.study_id == study_id).order_by(trials.c.trial_id)
        numbers = {}
        found["trials"] = []
        for row in connection.execute(query).mappings():
            numbers[row["trial_id"]] = row["number"]
            found["trials"].append({k: v for k, v in row.items() if k not in ("trial_id", "study_id")})
        for name in database._TABLES:
            table = getattr(models, name).__table__
            (key,) = table.primary_key.columns
            found[name] = [
                {**{k: v for k, v in row.items() if k != key.name}, "trial_id": numbers[row["trial_id"]]}
                for row in connection.execute(select(table).order_by(key)).mappings()
                if row["trial_id"] in numbers
            ]
    return found


def test_the_rows_are_those_that_optuna_writes(storage):
    """Every table has the same rows, whether trials are added at once, in two parts, or by Optuna."""
    ids = [storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], name) for name in "abc"]
    assert storage.writes_rows
    storage.add_trials(ids[0], TRIALS)
    storage.add_trials(ids[1], TRIALS[:1])
    storage.add_trials(ids[1], TRIALS[1:])
    for one in TRIALS:
        storage.create_new_trial(ids[2], one)
    expected = rows(storage, ids[2])
    assert all(map(len, expected.values()))
    assert rows(storage, ids[0]) == rows(storage, ids[1]) == expected


def test_an_error_adds_nothing(storage):
    """If one trial cannot be written, none is; a study that was deleted is a ``KeyError``."""
    study = optuna.create_study(study_name="a", storage=storage)
    study_id = storage.get_study_id_from_name("a")
    with pytest.raises(TypeError):
        storage.add_trials(study_id, [TRIALS[0], optuna.trial.create_trial(value=1.0, user_attrs={"set": {1}})])
    assert study.trials == []
    optuna.delete_study(study_name="a", storage=storage)
    with pytest.raises(KeyError):
        storage.add_trials(study_id, TRIALS)


def test_another_schema_is_left_to_optuna(tmp_path, monkeypatch):
    """In a database of an unknown revision, Optuna adds the same trials."""
    monkeypatch.setattr(database, "TESTED", ())
    storage = Database(f"sqlite:///{tmp_path / 'optuna.db'}")
    study = optuna.create_study(study_name="a", storage=storage, direction="maximize")
    storage.add_trials(storage.get_study_id_from_name("a"), TRIALS)
    assert [t.params for t in study.trials] == [t.params for t in TRIALS]
    storage.engine.dispose()
