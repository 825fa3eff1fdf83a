"""Samplers: the points of each arm, and that no arm repeats another."""

import re
from collections import Counter
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from mlflow import MlflowClient
from optuna.samplers import BaseSampler, RandomSampler

from pipeline.cli.main import main
from pipeline.errors import Failed, UserError
from pipeline.search.plan import plan
from pipeline.search.samplers import ADAPTIVE, PLANNED, Trajectory, points
from pipeline.study.spec import Arm, Categorical, Float, Int, SearchSpace, Study

SPACE = SearchSpace(
    learning_rate=Float(1e-4, 1, log=True, levels=4),
    momentum=Float(0, 0.9, levels=2),
    activation=Categorical("relu", "tanh", "sigmoid"),
)
STUDY = Study(name="s", question="?", space=SPACE, arms=(Arm("random"), Arm("grid"), Arm("shifted_grid")), blocks=3)
AVAILABLE = [name for name in ADAPTIVE if name != "gp"]  # Optuna's Gaussian process needs torch


@pytest.mark.parametrize("name", [*PLANNED, "grid", "shifted_grid"])
def test_a_larger_budget_starts_with_the_same_points(name):
    """The first ten points of a planned arm do not depend on how many follow."""
    arm = Arm(name)
    assert points(arm, replace(STUDY, trials=10), 1) == points(arm, STUDY, 1)[:10]


@pytest.mark.parametrize("name", [*PLANNED, "grid", "shifted_grid"])
def test_the_order_of_the_space_has_no_effect(name):
    """Listing the hyperparameters in another order gives the same points."""
    reordered = SearchSpace(**dict(reversed(list(SPACE.items()))))
    assert points(Arm(name), replace(STUDY, space=reordered), 0) == points(Arm(name), STUDY, 0)


@pytest.mark.parametrize("name", [*PLANNED, "shifted_grid"])
def test_blocks_have_different_points(name):
    """An arm visits other learning rates in every block, and the same ones when it is drawn again."""
    rates = [{p["learning_rate"] for p in points(Arm(name), STUDY, block)} for block in (0, 1, 2)]
    assert not rates[0] & rates[1]
    assert not rates[1] & rates[2]
    assert points(Arm(name), STUDY, 0) == points(Arm(name), STUDY, 0)


@pytest.mark.parametrize("name", ["grid", "shifted_grid"])
def test_a_grid_is_visited_once_in_shuffled_order(name):
    """Every combination of levels is visited exactly once, in a shuffled order that differs between blocks."""
    visits = [points(Arm(name), STUDY, block) for block in (0, 1)]
    for visited in visits:
        assert set(Counter(tuple(p.values()) for p in visited).values()) == {1}
        assert len(visited) == SPACE.grid_size == 24
        assert len({p["learning_rate"] for p in visited}) == 4
        assert len({p["learning_rate"] for p in visited[:12]}) > 2
    assert [p["activation"] for p in visits[0]] != [p["activation"] for p in visits[1]]


def test_the_shifted_grid_keeps_its_steps_within_the_interval():
    """Its levels are one step apart on the scale of the hyperparameter, and all are in the interval."""
    for block in range(20):
        rates = sorted({p["learning_rate"] for p in points(Arm("shifted_grid"), STUDY, block)})
        np.testing.assert_allclose(np.diff(np.log10(rates)), 1, rtol=1e-9)
        assert 1e-4 <= rates[0] < rates[-1] <= 1


def test_quasi_random_points_fill_the_interval_evenly():
    """Of 24 Sobol points, at least four lie in each quarter of the log range of the learning rate."""
    for block in range(5):
        rates = [p["learning_rate"] for p in points(Arm("sobol"), STUDY, block)]
        shares, _ = np.histogram(np.log10(rates), bins=4, range=(-4, 0))
        assert shares.min() >= 4


@pytest.mark.parametrize("name", AVAILABLE)
def test_an_adaptive_arm_replays_its_record(name):
    """With the same scores, an adaptive sampler draws the same points again, so a study can resume."""

    def walk(count):
        trajectory = Trajectory(Arm(name), STUDY, 0)
        drawn = []
        for _ in range(count):
            drawn.append(trajectory.ask())
            trajectory.tell(-abs(np.log10(drawn[-1]["learning_rate"]) + 2))
        return drawn

    whole = walk(24)
    assert walk(15) == whole[:15]
    assert len({tuple(p.values()) for p in whole}) > 12


def test_an_adaptive_arm_learns():
    """TPE's later points lie closer to the best learning rate than its first, random ones."""
    distances = []
    for block in range(5):
        trajectory = Trajectory(Arm("tpe"), STUDY, block)
        for _ in range(40):
            distances.append(abs(np.log10(trajectory.ask()["learning_rate"]) + 2))
            trajectory.tell(-distances[-1])
    first, last = np.reshape(distances, (5, 40))[:, :10], np.reshape(distances, (5, 40))[:, -10:]
    assert last.mean() < first.mean() / 2


def test_arms_that_share_their_points_are_refused():
    """Unscrambled quasi-random points, which are the same in every block, are refused with the arm's name."""
    unscrambled = Arm("plain_sobol", sampler="sobol", arguments={"scramble": False})
    with pytest.raises(ValueError, match="'plain_sobol' in block 1 begins with the points of 'plain_sobol' in block 0"):
        plan(replace(STUDY, arms=(Arm("random"), unscrambled)))


@pytest.mark.parametrize(
    ("arm", "says"),
    [
        (Arm("bayes"), "unknown sampler 'bayes'; expected one of grid, shifted_grid, random"),
        (Arm("mine", sampler="optuna.samplers.NoSampler"), "unknown sampler 'optuna.samplers.NoSampler'"),
        (Arm("mine", sampler="optuna.create_study"), "is not an Optuna sampler"),
        (Arm("mine", sampler="optunahub:samplers/auto_sampler.AutoSampler"), "'mine': optunahub:samplers/auto_sampler"),
        (Arm("tpe", arguments={"seed": 1}), "a seed is no argument"),
        (Arm("tpe", arguments={"n_startup": 1}), "does not take its arguments: .*n_startup"),
    ],
)
def test_a_sampler_that_cannot_be_created_is_refused(arm, says):
    """An unknown sampler, or arguments that it does not take, are refused in one line that names the arm."""
    with pytest.raises(ValueError, match=says):
        Trajectory(arm, STUDY, 0)


def test_a_sampler_that_fails_during_a_study_is_named(monkeypatch):
    """An error of a sampler some trials into a study gives one line: the arm, block, trial and line of code."""
    trajectory = Trajectory(Arm("mine", sampler="optuna.samplers.RandomSampler"), STUDY, 2)
    trajectory.ask()
    trajectory.tell(0.5)
    monkeypatch.setattr(RandomSampler, "sample_independent", lambda *_: {}["missing"])
    where = rf"arm 'mine', block 2, trial 1: its sampler optuna\.samplers\.RandomSampler failed, at {__file__}:\d+"
    with pytest.raises(Failed, match=rf"{where}: KeyError: 'missing'"):
        trajectory.ask()


def test_any_optuna_sampler_can_be_given_by_its_import_path():
    """A sampler given by import path, with arguments, draws points of the space."""
    arm = Arm("mine", sampler="optuna.samplers.TPESampler", arguments={"multivariate": False, "n_startup_trials": 2})
    trajectory = Trajectory(arm, STUDY, 0)
    for _ in range(4):
        assert set(trajectory.ask()) == set(SPACE)
        trajectory.tell(0.5)


def test_a_sampler_that_has_tried_every_point_ends_well():
    """A sampler that stops its study when it has tried every point accepts the last score like any other."""
    space = SearchSpace(activation=Categorical("relu", "tanh"), batch_norm=Categorical(False, True))
    arm = Arm("all", "optuna.samplers.BruteForceSampler")
    trajectory = Trajectory(arm, replace(STUDY, space=space, arms=(arm,), trials=4), 0)
    drawn = set()
    for _ in range(4):
        drawn.add(tuple(trajectory.ask().items()))
        trajectory.tell(0.5)
    assert (trajectory.number, len(drawn)) == (4, 4)


class Unseeded(RandomSampler):
    """A sampler that takes no seed."""

    def __init__(self) -> None:
        super().__init__()


def test_a_sampler_that_cannot_be_repeated_is_refused():
    """A sampler that draws other points each time it is created is refused, since a study could not resume."""
    with pytest.raises(ValueError, match="needs a parameter `seed`"):
        plan(replace(STUDY, arms=(Arm("mine", f"{__name__}.Unseeded"),)))


class Scripted(BaseSampler):
    """A sampler that draws the listed ``values`` of a name, trial by trial, and a fixed value for other names."""

    values: ClassVar = {}
    relative = False

    def __init__(self, seed=None):
        """Take a seed and ignore it."""

    def infer_relative_search_space(self, study, trial):
        """Return the whole space if points are drawn as a whole."""
        return SPACE.distributions if self.relative else {}

    def sample_relative(self, study, trial, search_space):
        """Return the listed values of this trial."""
        names = self.values if self.relative else ()
        return {name: self.values[name][trial.number] for name in names}

    def sample_independent(self, study, trial, name, distribution):
        """Return the listed value, or a valid one."""
        plain = {"activation": "relu"}.get(name, 0.1)
        return self.values[name][trial.number] if name in self.values else plain


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("learning_rate", 1.1, "learning_rate: got 1.1; expected 0.0001 to 1.0"),
        ("learning_rate", 1e-5, "learning_rate: got 1e-05; expected 0.0001 to 1.0"),
        ("learning_rate", float("nan"), "learning_rate: got nan; expected"),
        ("learning_rate", "0.1", "learning_rate: got '0.1'; expected"),
        ("momentum", True, "momentum: got True; expected 0.0 to 0.9"),
        ("momentum", None, "momentum: got None; expected"),
        ("activation", "rleu", "activation: got 'rleu'; expected one of 'relu', 'tanh', 'sigmoid'"),
        ("activation", 0, "activation: got 0; expected one of"),
        ("activation", np.array(["relu", "tanh"]), "activation: got array"),
    ],
)
def test_a_point_outside_the_space_is_refused_when_it_is_drawn(name, value, says, relative, monkeypatch):
    """A value out of range, of another type or not among the choices is refused with arm, block, trial and name."""
    monkeypatch.setattr(Scripted, "relative", relative)
    good = "relu" if name == "activation" else 0.2
    monkeypatch.setattr(Scripted, "values", {name: [good, value]})
    trajectory = Trajectory(Arm("mine", f"{__name__}.Scripted"), STUDY, 2)
    trajectory.ask()
    trajectory.tell(0.5)
    with pytest.raises(UserError, match=re.escape(f"arm 'mine', block 2, trial 1: {says}")):
        trajectory.ask()


def test_a_value_of_an_unknown_hyperparameter_is_refused(monkeypatch):
    """A sampler that draws a hyperparameter that the space does not have is refused."""
    monkeypatch.setattr(Scripted, "relative", True)
    monkeypatch.setattr(Scripted, "values", {"l2": [0.1]})
    with pytest.raises(UserError, match="arm 'mine', block 0, trial 0: got a value of 'l2'; expected one of learning"):
        Trajectory(Arm("mine", f"{__name__}.Scripted"), STUDY, 0).ask()


def test_numpy_scalars_become_plain_values(monkeypatch):
    """A sampler may draw NumPy scalars: the point has Python numbers, and the choices of the space."""
    values = {"learning_rate": [np.float32(0.5)], "momentum": [np.int64(0)], "activation": [np.str_("tanh")]}
    monkeypatch.setattr(Scripted, "values", values)
    point = Trajectory(Arm("mine", f"{__name__}.Scripted"), STUDY, 0).ask()
    assert point == {"learning_rate": 0.5, "momentum": 0.0, "activation": "tanh"}
    assert {name: type(value) for name, value in point.items()} == {
        "learning_rate": float,
        "momentum": float,
        "activation": str,
    }


WHOLE = SearchSpace(hidden=Int(4, 64, log=True), warmup=Int(0, 8, step=4))


@pytest.mark.parametrize("name", [*PLANNED, *AVAILABLE, "grid", "shifted_grid"])
def test_every_sampler_draws_whole_numbers(name):
    """Points of a range of whole numbers are integers on its steps, different in each level of a grid."""
    study = replace(STUDY, space=WHOLE, trials=9, arms=(Arm(name),))
    if name in AVAILABLE:
        trajectory, drawn = Trajectory(Arm(name), study, 0), []
        for _ in range(9):
            drawn.append(trajectory.ask())
            trajectory.tell(1 / drawn[-1]["hidden"])
    else:
        drawn = points(Arm(name), study, 0)
    assert all(type(value) is int for point in drawn for value in point.values())
    assert {point["warmup"] for point in drawn} <= {0, 4, 8}
    assert all(4 <= point["hidden"] <= 64 for point in drawn)
    if name.endswith("grid"):
        assert [len({point[axis] for point in drawn}) for axis in WHOLE] == [3, 3]


def test_whole_numbers_of_another_sampler_are_checked(monkeypatch):
    """A sampler may draw a whole number as a real one; a fraction, or one between the steps, is refused."""
    monkeypatch.setattr(Scripted, "values", {"hidden": [np.float64(16), 16], "warmup": [np.int32(8), 3]})
    trajectory = Trajectory(Arm("mine", f"{__name__}.Scripted"), replace(STUDY, space=WHOLE, trials=9), 0)
    assert repr(trajectory.ask()) == "{'hidden': 16, 'warmup': 8}"
    trajectory.tell(0.5)
    with pytest.raises(UserError, match="warmup: got 3; expected a whole number from 0 to 8 in steps of 4"):
        trajectory.ask()


OVERSHOOT = f"""
from pipeline import Arm, Float, SearchSpace, Study, TrainConfig
STUDY = Study(
    name="over", question="?", space=SearchSpace(learning_rate=Float(1e-2, 0.35)), blocks=1, trials=6, confirm=0,
    arms=(Arm("mine", "{__name__}.Scripted"),), config=TrainConfig(epochs=1, batch_size=100),
)
"""


def test_a_point_outside_the_space_ends_a_search(tmp_path, tracking_uri, monkeypatch, capsys):
    """The trials before it stay recorded, the study's run ends FAILED, and a rerun gives the same line."""
    (tmp_path / "over.py").write_text(OVERSHOOT)
    monkeypatch.setattr(Scripted, "values", {"learning_rate": [0.1, 0.2, 0.3, 0.4, 0.1, 0.1]})
    client = MlflowClient(tracking_uri)
    for _ in range(2):
        assert main(["search", "over.py", "--workers", "1", "--tracking-uri", tracking_uri]) == 2
        assert "arm 'mine', block 0, trial 3: learning_rate: got 0.4; expected 0.01 to 0.35." in capsys.readouterr().err
        runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
        assert sorted((run.data.tags["kind"], run.info.status) for run in runs) == [
            ("arm", "KILLED"),
            ("study", "FAILED"),
            *[("trial", "FINISHED")] * 3,
        ]
