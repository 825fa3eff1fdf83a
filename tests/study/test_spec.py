"""The declaration of a study: its identity, its JSON, and the mistakes that are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.report.trials_table import COLUMNS
from pipeline.search.plan import plan
from pipeline.storage.attributes import TRIAL_ATTRIBUTES
from pipeline.study.hparams import HyperParams, TrainConfig
from pipeline.study.models import RECORDED
from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Stage, Study
from studies.random_vs_grid import STUDY

COARSE = Study(
    name="coarse",
    question="Where?",
    space=SearchSpace(learning_rate=Float(1e-4, 1, log=True)),
    arms=(Arm("random"),),
    stages=(Stage(epochs=1, trials=30), Stage(epochs=5)),
)


def test_a_study_survives_json():
    """The declaration, written as JSON and read again, is the same study with the same hash."""
    again = Study.from_json(json.loads(json.dumps(STUDY.to_json())))
    assert again == STUDY
    assert again.hash == STUDY.hash


def test_the_default_study_is_as_documented():
    """Three arms of 108 trials in ten to thirty blocks, over five hyperparameters; the textbook's grid is the headline."""
    assert set(STUDY.space) == {"learning_rate", "l2", "activation", "init", "batch_norm"}
    assert {arm.name for arm in STUDY.arms} == {"random", "grid", "shifted_grid"}
    assert (STUDY.blocks, STUDY.trials, STUDY.dataset) == (10, 108, "digits")
    assert STUDY.looks == (10, 20, 30)
    assert [(first.name, second.name) for first, second in STUDY.compared] == [
        ("random", "grid"),
        ("random", "shifted_grid"),
    ]


@pytest.mark.parametrize(
    "budget",
    [
        {"blocks": 3},
        {"max_blocks": 40},
        {"looks": (6, 12)},
        {"contrasts": (("grid", "shifted_grid"),)},
        {"trials": 5},
        {"arms": (Arm("random"),)},
        {"question": "Why?"},
    ],
)
def test_the_budget_is_no_part_of_the_identity(budget):
    """Other blocks, looks, contrasts, trials, arms or questions leave the hash as it is: recorded trials stay valid."""
    assert replace(STUDY, **budget).hash == STUDY.hash == "1ea38945b502"


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
def test_what_decides_a_number_is_part_of_the_identity(change):
    """Another seed, data set, setting or interval is another study."""
    assert replace(STUDY, **change).hash != STUDY.hash


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: replace(STUDY, name="../up"), "study name: got '../up'"),
        (lambda: replace(STUDY, arms=()), "arms: got"),
        (
            lambda: replace(STUDY, arms=(Arm("random"), Arm("random", sampler="grid"))),
            "expected at least one, with different names",
        ),
        (lambda: replace(STUDY, blocks=0), "blocks: got 0"),
        (lambda: replace(STUDY, trials=-1), "trials: got -1"),
        (lambda: replace(STUDY, trials=109), "the grid of 'grid' has 108 points"),
        (lambda: replace(STUDY, max_blocks=9), "max_blocks: got 9; expected a whole number of at least 10"),
        (lambda: replace(STUDY, blocks=1, max_blocks=51), "looks: got 51, from 1 to 51 blocks; expected at most 50"),
        (
            lambda: replace(STUDY, looks=(20, 10)),
            "looks: got 2, from 20 to 10 blocks; expected at most 50 that increase",
        ),
        (lambda: replace(STUDY, looks=(0, 10)), "looks: got 0; expected a whole number of at least 1"),
        (lambda: replace(STUDY, looks=[10, 20]), r"looks: got \[10, 20\]; expected numbers of blocks, as in \(10, 20"),
        (lambda: replace(STUDY, max_blocks=10_000), "looks: got 1000, from 10 to 10000 blocks"),
        (lambda: replace(STUDY, contrasts=(("random", "tpe"),)), r"contrasts: got \('random', 'tpe'\); expected two"),
        (lambda: replace(STUDY, contrasts=(("grid", "grid"),)), "expected two different arms of random, grid, shifted"),
        (lambda: replace(STUDY, contrasts=("random", "grid")), "contrasts: got .*; expected pairs of names of arms"),
        (lambda: replace(STUDY, contrasts=[("random", "grid")]), "contrasts: got .*; expected pairs of names of arms"),
        (lambda: replace(STUDY, contrasts=(("random", "grid", "random"),)), "expected pairs of names of arms, as in"),
        (
            lambda: replace(STUDY, contrasts=((Arm("random"), Arm("grid")),)),
            "contrasts: got .*; expected two different",
        ),
        (
            lambda: replace(STUDY, contrasts=(("random", "grid"), ("grid", "random"))),
            "contrasts: got .*; expected each pair once",
        ),
        (lambda: replace(STUDY, space=SearchSpace(activation=Categorical("rleu"))), "activation: got 'rleu'"),
        (lambda: replace(STUDY, space=SearchSpace(l2=Float(-1, 1))), "l2: got -1.0"),
    ],
)
def test_a_mistake_in_a_declaration_is_refused_with_its_value(make, says):
    """A wrong value is a ValueError of one line that names the field and the value."""
    with pytest.raises(ValueError, match=says) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_models_parameter_cannot_have_the_name_of_a_record():
    """Every column of a trial that records write themselves is refused as a name of a searched parameter."""
    own = {name for name in (*COLUMNS, *TRIAL_ATTRIBUTES) if "/" not in name}
    assert own <= RECORDED
    for name in sorted(RECORDED):
        with pytest.raises(UserError, match=f"space: got '{name}', which records of trials use for themselves"):
            Study(name="s", question="?", model="sklearn.svm:SVC", space=SearchSpace(**{name: Float(0, 1)}))


@pytest.mark.parametrize(
    ("fixed", "name", "says"),
    [
        ({}, "a b", "space: got 'a b'; expected the name of a parameter"),
        ({"C": 1}, "C", "C: is fixed and searched"),
        ({"gamma": float("nan")}, "C", "fixed: gamma is nan; expected a finite number"),
    ],
)
def test_wrong_parameters_of_a_model_are_refused(fixed, name, says):
    """A name that is none, one that is given twice, and a number that no record holds are mistakes of the declaration."""
    with pytest.raises(UserError, match=says):
        Study(name="s", question="?", model="sklearn.svm:SVC", fixed=fixed, space=SearchSpace(**{name: Float(0, 1)}))


def test_frozen_values_cannot_be_changed():
    """A study is a value: assigning to it is refused."""
    with pytest.raises(AttributeError):
        STUDY.blocks = 3
    np.testing.assert_equal(STUDY.blocks, 10)


def test_a_large_space_is_refused_for_a_grid_only():
    """Samplers search a dozen hyperparameters at once; a grid of them, or a budget of the grid's size, is refused."""
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


def test_a_study_with_stages_is_the_first_stage():
    """Epochs and trials are those of the first stage, unless trials are given; JSON keeps all stages."""
    assert (COARSE.config.epochs, COARSE.trials) == (1, 30)
    assert replace(COARSE, trials=7).trials == 7
    assert Study.from_json(COARSE.to_json()) == COARSE


def test_no_stages_leave_no_trace():
    """Without stages the declaration has no such field, and the hash is that of older versions."""
    assert "stages" not in STUDY.to_json()
    one_epoch = replace(COARSE, stages=(), config=TrainConfig(epochs=1))
    assert one_epoch.hash == COARSE.hash


@pytest.mark.parametrize(("epochs", "trials"), [(0, 1), (1, -1), (1.5, 1)])
def test_a_wrong_stage_is_refused(epochs, trials):
    """Epochs below 1 and trials below 0 are refused."""
    with pytest.raises(ValueError, match="stage"):
        Stage(epochs=epochs, trials=trials)


@pytest.mark.parametrize(
    ("sampler", "grid", "exchangeable"), [("grid", 1, 1), ("shifted_grid", 1, 1), ("random", 0, 1), ("tpe", 0, 0)]
)
def test_an_arm_knows_its_kind(sampler, grid, exchangeable):
    """Both grids are grids; the order of their trials and of random ones is random."""
    arm = Arm("a", sampler)
    assert (arm.is_grid, arm.exchangeable) == (bool(grid), bool(exchangeable))


def test_the_total_counts_every_arm_and_block():
    """Three arms of 108 trials in ten blocks are 3,240."""
    assert STUDY.total_trials == 3240


@pytest.mark.parametrize(
    ("values", "looks"),
    [
        ({}, (10,)),
        ({"blocks": 6}, (6,)),
        ({"blocks": 6, "max_blocks": 6}, (6,)),
        ({"blocks": 6, "max_blocks": 7}, (6, 7)),
        ({"blocks": 6, "max_blocks": 20}, (6, 12, 18, 20)),
        ({"max_blocks": 30}, (10, 20, 30)),
        ({"blocks": 1, "max_blocks": 50}, tuple(range(1, 51))),
        ({"looks": (8, 20)}, (8, 20)),
    ],
)
def test_looks_are_after_each_blocks_up_to_the_most(values, looks):
    """A study is looked at after its blocks, twice as many and so on, and after the most; or as it declares."""
    study = Study(name="looks", question="?", space=STUDY.space, **values)
    assert study.looks == looks
    assert study.terms["looks"] == list(looks)
    assert Study.from_json(json.loads(json.dumps(study.to_json()))) == study


def test_other_blocks_keep_the_looks():
    """The flag for blocks changes no look; both, or the most alone, declare other looks."""
    assert replace(STUDY, blocks=3).looks == replace(STUDY, blocks=40).looks == (10, 20, 30)
    assert replace(STUDY, max_blocks=20).looks == (10, 20)
    assert replace(STUDY, blocks=7, max_blocks=14).looks == (7, 14)


def test_a_large_last_look_counts():
    """The limit of trials holds for all looks."""
    with pytest.raises(ValueError, match="blocks x trials x arms: got 1,036,800; a study has at most 1,000,000"):
        replace(STUDY, looks=(10, 3200))


def test_the_first_arm_is_compared_with_each_other():
    """By default; declared contrasts are compared in their order, and the first is the headline. One arm has none."""
    names = [[arm.name for arm in pair] for pair in STUDY.compared]
    assert names == STUDY.terms["contrasts"] == [["random", "grid"], ["random", "shifted_grid"]]
    declared = replace(STUDY, contrasts=(("shifted_grid", "grid"), ("random", "grid")))
    assert [arm.name for arm in declared.headline] == ["shifted_grid", "grid"]
    assert declared.terms["contrasts"] == [["shifted_grid", "grid"], ["random", "grid"]]
    assert Study.from_json(json.loads(json.dumps(declared.to_json()))) == declared
    alone = replace(STUDY, arms=(Arm("random"),))
    assert (alone.compared, alone.headline, alone.terms["contrasts"]) == ((), alone.arms, [])
    assert Study.from_json(alone.to_json()) == alone


def test_a_record_of_an_older_version_has_one_look_and_one_contrast():
    """It compared the first two arms, after all blocks. It keeps its hash, and is then written as one of this version."""
    record = {name: value for name, value in STUDY.to_json().items() if name not in ("looks", "contrasts")}
    older = Study.from_json(record)
    assert (older.looks, older.contrasts, older.hash) == ((10,), (("random", "grid"),), STUDY.hash)
    assert Study.from_json(json.loads(json.dumps(older.to_json()))) == older
    alone = Study.from_json({**record, "arms": record["arms"][:1], "blocks": 4})
    assert (alone.looks, alone.compared) == ((4,), ())


def test_another_metric_is_part_of_the_identity_and_survives_json():
    """``metric`` sets that of ``config``; accuracy keeps the hash of older studies, and two different ones are refused."""
    judged = {name: replace(STUDY, metric=name) for name in ("accuracy", "roc_auc_ovr", "neg_log_loss")}
    assert judged["accuracy"] == STUDY
    assert judged["accuracy"].hash == STUDY.hash
    assert len({study.hash for study in judged.values()}) == 3
    again = Study.from_json(json.loads(json.dumps(judged["neg_log_loss"].to_json())))
    assert (again, again.objective.title) == (judged["neg_log_loss"], "negative log-loss")
    with pytest.raises(UserError, match="metric: got 'roc_auc', and config has 'f1_macro'"):
        replace(STUDY, config=TrainConfig(metric="f1_macro"), metric="roc_auc")
    with pytest.raises(UserError, match="metric: got 'f1_macro' without validation rows"):
        TrainConfig(validation=0.0, metric="f1_macro")
