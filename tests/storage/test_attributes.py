"""Records of other origin in the study's place: they are left aside and named, and the plan is completed."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from pipeline.cli.main import main
from pipeline.storage.journal import open_storage
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

SOURCE = """
from pipeline import Arm, Categorical, Float, SearchSpace, Study, TrainConfig

STUDY = Study(
    name="tiny",
    question="Does it work?",
    dataset="digits-200",
    space=SearchSpace(learning_rate=Float(1e-2, 1, log=True, levels=2), batch_norm=Categorical(False, True)),
    config=TrainConfig(epochs=1, batch_size=32),
    arms=(Arm("random"), Arm("tpe")),
    blocks=2,
    trials=3,
    confirm=1,
)
"""
SPACE = {"learning_rate": FloatDistribution(1e-2, 1, log=True), "batch_norm": CategoricalDistribution((False, True))}
STORAGE = "optuna.log"
PLANNED = 12


@pytest.fixture
def study_path(tracking_uri, tmp_path):
    """Return the path of a study with a planned and an adaptive arm, next to a fresh store."""
    path = tmp_path / "tiny.py"
    path.write_text(SOURCE)
    return str(path)


def loaded(name):
    """An Optuna study of the storage."""
    return optuna.load_study(study_name=name, storage=open_storage(STORAGE))


def by_hand(**attributes):
    """Return a finished trial of the study's space, made by hand."""
    point = {"learning_rate": 0.3, "batch_norm": True}
    return optuna.trial.create_trial(value=1.0, params=point, distributions=SPACE, user_attrs=attributes)


def optuna_store(study_path, trials=3):
    """The study's record."""
    return OptunaStore(find_study(study_path, {"trials": trials}), STORAGE)


def test_foreign_trials_are_left_aside_and_named(study_path, capsys):
    """Trials made by hand, enqueued, copied or with broken attributes are not changed; the search completes the plan."""
    assert main(["search", study_path, "--workers", "1", "--trials", "2", "--quiet"]) == 0
    before = optuna_store(study_path, 2).table()
    for arm in ("random", "tpe"):
        optuna_study = loaded(f"tiny/{arm}/b00")
        recorded = optuna_study.get_trials()[0]
        optuna_study.add_trial(by_hand())
        optuna_study.add_trial(by_hand(**{**recorded.user_attrs, "trial": [2]}))
        optuna_study.add_trial(by_hand(**{**recorded.user_attrs, "trial": 2, "run_id": None}))
        optuna_study.add_trial(recorded)
        optuna_study.enqueue_trial({"learning_rate": 0.1})
        optuna_study.set_user_attr("confirmation/by hand", "mine")
    optuna.copy_study(
        from_study_name="tiny/random/b00",
        from_storage=open_storage(STORAGE),
        to_storage=open_storage(STORAGE),
        to_study_name="tiny/mine",
    )
    optuna.create_study(storage=open_storage(STORAGE), study_name="tiny/random/b07")
    capsys.readouterr()
    assert main(["search", study_path, "--workers", "1"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("ignored, since"))
    for number in range(2, 6):
        assert f"tiny/random/b00 trial {number}" in line
    assert line.endswith(" and 3 more")
    record = optuna_store(study_path)
    table = record.table()
    assert len(table) == PLANNED
    assert table[table["trial"] < 2].reset_index(drop=True).equals(before)
    assert len(record.foreign) == 8
    assert len(record.confirmations()) >= 4
    assert main(["report", study_path, "--no-model", "--quiet"]) == 0
    assert main(["refine", study_path]) == 0


def test_a_foreign_study_in_an_arms_place_is_refused(study_path, tmp_path, capsys):
    """A user's Optuna study that minimizes, with the name of an arm's, is named in a line, and nothing is written."""
    optuna.create_study(storage=open_storage(STORAGE), study_name="tiny/tpe/b01")
    before = (tmp_path / STORAGE).read_bytes()
    assert main(["search", study_path, "--workers", "1"]) == 2
    assert "'tiny/tpe/b01' is there that does not maximize one value" in capsys.readouterr().err
    assert (tmp_path / STORAGE).read_bytes() == before
