"""The study that holds a single trial: its values are fixed, and its space holds them."""

from dataclasses import replace

import pytest

from pipeline.errors import UserError
from pipeline.study.hparams import HyperParams
from pipeline.study.single_trial import SINGLE_TRIAL, single_trial_point, single_trial_study
from pipeline.study.spec import Categorical, Float, Int, Pruner, SearchSpace
from studies.random_vs_grid import STUDY


def test_the_space_holds_the_chosen_values():
    """A value outside its range widens it, and each value is one of the choices."""
    study = single_trial_study(STUDY, {"learning_rate": 30.0, "activation": "gelu", "init": 0.02}, None)
    assert (study.fixed.learning_rate, study.fixed.activation, study.fixed.init) == (30.0, "gelu", 0.02)
    assert study.space["learning_rate"].high == 30.0
    assert "gelu" in study.space["activation"].choices
    assert 0.02 in study.space["init"].choices
    assert set(study.space) == set(STUDY.space)


def test_it_is_one_trial_of_one_arm_under_its_own_name():
    """Budget, pruner and epochs are those of a single trial; the recorded names are kept."""
    pruned = replace(STUDY, arms=STUDY.arms[:1], pruner=Pruner("median"))
    study = single_trial_study(pruned, {}, 3)
    assert (study.name, study.arms, SINGLE_TRIAL.name) == ("random_vs_grid-manual", (SINGLE_TRIAL,), "manual")
    assert (study.blocks, study.trials, study.pruner, study.config.epochs) == (1, 1, None, 3)
    assert single_trial_study(pruned, {}, None).config == pruned.config


def test_sizes_are_written_as_a_choice():
    """Hidden sizes that the study fixes are among the choices as text."""
    space = {**STUDY.space, "hidden": Categorical("10", "20x10")}
    study = replace(STUDY, space=type(STUDY.space)(**space), fixed=HyperParams(hidden=(5, 4)))
    assert single_trial_study(study, {}, None).space["hidden"].choices == ("10", "20x10", "5x4")


def test_a_width_is_a_whole_number_where_the_study_searches_widths():
    """One width widens the range; several are a choice of their own."""
    study = replace(STUDY, space=type(STUDY.space)(hidden=Int(8, 32)), trials=1)
    assert single_trial_study(study, {"hidden": (50,)}, None).space["hidden"] == Int(8, 50)
    assert single_trial_study(study, {"hidden": (50, 20)}, None).space["hidden"] == Categorical("50x20")


def test_a_model_of_the_users_own_needs_a_value_of_each_searched_parameter():
    """Its parameters have no known defaults: the missing ones are named together. Others that are chosen are fixed."""
    space = SearchSpace(C=Float(0.1, 1), degree=Int(1, 3), kernel=Categorical("rbf", "poly"))
    study = replace(STUDY, model="sklearn.svm:SVC", fixed={"tol": 0.1}, space=space, arms=STUDY.arms[:1])
    with pytest.raises(UserError, match=r"no value of C, kernel; .* Give --set C=VALUE --set kernel=VALUE"):
        single_trial_study(study, {"degree": 2}, None)
    with pytest.raises(UserError, match="C: got 'much'; expected a"):
        single_trial_study(study, {"C": "much", "degree": 2, "kernel": "rbf"}, None)
    chosen = {"C": 5.0, "degree": 9, "kernel": "linear", "tol": 0.2}
    single = single_trial_study(study, chosen, None)
    assert (single.space["C"].high, single.space["degree"].high, single.fixed) == (5.0, 9, {"tol": 0.2})
    assert single_trial_point(study, chosen) == {"C": 5.0, "degree": 9, "kernel": "linear"}
