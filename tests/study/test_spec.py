"""The words of a study: what they accept, what they refuse, and that a declaration survives being written down."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.search.plan import plan
from pipeline.study.experiment import Experiment
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.loading import find_study
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Study
from studies.random_vs_grid import STUDY


def test_a_study_survives_json():
    """The declaration, written as JSON and read again, is the same study with the same hash."""
    again = Study.from_json(json.loads(json.dumps(STUDY.to_json())))
    assert again == STUDY
    assert again.hash == STUDY.hash


def test_the_default_study_is_the_one_that_is_promised():
    """Three arms of 108 trials in ten blocks, over the five hyperparameters of the question."""
    assert set(STUDY.space) == {"learning_rate", "l2", "activation", "init", "batch_norm"}
    assert {arm.name for arm in STUDY.arms} == {"random", "grid", "shifted_grid"}
    assert (STUDY.blocks, STUDY.trials, STUDY.dataset) == (10, 108, "digits")


@pytest.mark.parametrize("budget", [{"blocks": 3}, {"trials": 5}, {"arms": (Arm("random"),)}, {"question": "Why?"}])
def test_the_budget_is_no_part_of_the_identity(budget):
    """More blocks, trials or arms, or other words, leave the hash as it is: recorded trials stay valid."""
    assert replace(STUDY, **budget).hash == STUDY.hash


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"dataset": "cifar10"},
        {"config": TrainConfig(epochs=21)},
        {"fixed": HyperParams(hidden=(60,))},
        {"space": SearchSpace(**{**STUDY.space, "l2": Float(1e-6, 1e-2, log=True)})},
    ],
)
def test_whatever_decides_a_number_is_part_of_the_identity(change):
    """Another seed, data set, setting or interval is another study."""
    assert replace(STUDY, **change).hash != STUDY.hash


def test_the_grid_and_the_interval_derive_from_one_declaration():
    """The textbook's levels run from end to end, evenly on the declared scale."""
    assert Float(1e-3, 10, log=True, levels=5).grid() == pytest.approx([1e-3, 1e-2, 1e-1, 1, 10])
    assert Float(0, 1, levels=3).grid() == [0, 0.5, 1]
    assert Float(1, 100, log=True, levels=1).grid() == pytest.approx([10])
    assert Categorical("a", "b").grid(shift=0.3) == ["a", "b"]


@given(
    low=st.floats(1e-9, 1e3),
    decades=st.floats(0.1, 9),
    log=st.booleans(),
    levels=st.integers(1, 12),
    shift=st.floats(0, 1, exclude_max=True),
)
def test_no_level_leaves_its_interval(low, decades, log, levels, shift):
    """Shifted or not, the levels are distinct, in order and within the interval, to the last bit."""
    dimension = Float(low, low * 10**decades, log=log, levels=levels)
    for grid in (dimension.grid(), dimension.grid(shift)):
        assert len(set(grid)) == levels
        assert grid == sorted(grid)
        assert dimension.low <= grid[0]
        assert grid[-1] <= dimension.high


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Float(1, 0.1), "low must be below high"),
        (lambda: Float(1, 1), "low must be below high"),
        (lambda: Float(0, 1, log=True), "a log scale needs low > 0"),
        (lambda: Float(math.nan, 1), "low: got nan"),
        (lambda: Float(0, math.inf), "high: got inf"),
        (lambda: Float(0, 1, levels=0), "levels: got 0"),
        (lambda: Float(0.1, 1, log="no"), "log: got 'no'; expected True or False"),
        (lambda: Float(0.1, 1, log=1), "log: got 1; expected True or False"),
        (lambda: Experiment(name="e", question=3, demonstration="spiral"), "question: got 3; expected text"),
        (
            lambda: Experiment(name="e", question="?", demonstration="spiral", settings=["rows"]),
            "experiment 'e': settings: got",
        ),
        (Categorical, "at least one choice"),
        (lambda: Categorical(1, 1.0), "given twice"),
        (lambda: Categorical([64, 32]), "expected text, a number"),
        (SearchSpace, "nothing to search"),
        (lambda: SearchSpace(learning_rat=Float(0, 1)), "unknown hyperparameter 'learning_rat'"),
        (lambda: SearchSpace(seed=Float(0, 1)), "unknown hyperparameter 'seed'"),
        (lambda: SearchSpace(l2=(0, 1)), r"expected Float\(...\) or Categorical\(...\)"),
        (lambda: SearchSpace(l2=Float(0, 1, levels=10**6)), "levels: got 1000000; expected .* at most 100,000"),
        (lambda: replace(STUDY, name="../up"), "study name: got '../up'"),
        (lambda: replace(STUDY, arms=()), "arms: got"),
        (lambda: replace(STUDY, arms=(Arm("random"), Arm("random", sampler="grid"))), "each with a name of its own"),
        (lambda: replace(STUDY, blocks=0), "blocks: got 0"),
        (lambda: replace(STUDY, trials=-1), "trials: got -1"),
        (lambda: replace(STUDY, trials=109), "the grid of 'shifted_grid' has 108 points"),
        (lambda: replace(STUDY, space=SearchSpace(activation=Categorical("rleu"))), "activation: got 'rleu'"),
        (lambda: replace(STUDY, space=SearchSpace(l2=Float(-1, 1))), "l2: got -1.0"),
    ],
)
def test_a_mistake_in_a_declaration_is_refused_with_its_value(make, says):
    """What cannot be meant is a ValueError that names the word and the value, when the study is read."""
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize("text", ["100x50", [100, 50], (100, 50)])
def test_an_architecture_can_be_a_choice(text):
    """Hidden sizes may be written as text, so that an architecture is a categorical hyperparameter."""
    assert HyperParams(hidden=text).hidden == (100, 50)


def test_frozen_values_cannot_be_changed():
    """A study is a value: assigning to it is refused."""
    with pytest.raises(AttributeError):
        STUDY.blocks = 3
    np.testing.assert_equal(STUDY.blocks, 10)


def test_a_study_is_read_anew_each_time(tmp_path, monkeypatch):
    """A file that changes within a second, and not in size, is read as it is; no bytecode is left beside it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "again.py"
    source = (
        "from pipeline.study.spec import *\nSTUDY = Study(name='a', question='?', space=SearchSpace(l2=Float(0, {})))\n"
    )
    for high in (1, 2, 3):
        path.write_text(source.format(high))
        assert find_study(str(path), {}).space["l2"].high == high
    assert [file.name for file in tmp_path.iterdir()] == ["again.py"]


def test_a_space_whose_grid_nobody_visits_may_have_every_hyperparameter():
    """Two dozen hyperparameters at once are searched by samplers; only a grid, or a budget of its size, is refused."""
    space = SearchSpace(
        learning_rate=Float(0.01, 1),
        **{name: Float(0.1, 0.5) for name in ("l1", "l2", "rho", "dropout", "momentum")},
        **{name: Float(0.1, 0.5) for name in ("max_norm", "clip", "beta1", "beta2", "step_factor", "decay_rate")},
    )
    study = Study(name="many", question="?", space=space, arms=(Arm("random"), Arm("tpe")), trials=4)
    assert len(plan(study)) == 4 * study.blocks
    for changes in ({"arms": (Arm("grid"),)}, {"trials": None}):
        with pytest.raises(ValueError, match="space: its grid has 531,441 points; the limit is 100,000"):
            replace(study, **changes)
