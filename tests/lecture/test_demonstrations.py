"""The lecture's demonstrations: quick ones reproduce the lecture here, all of them in the slow tests."""

import pytest

from pipeline.lecture import demonstrate
from pipeline.study.experiment import Experiment
from pipeline.study.loading import experiment_names, find_experiment


def not_reproduced(outcome):
    """The claims that do not hold, in words."""
    return [(claim.experiment, claim.says, claim.seen) for claim in outcome.claims if not claim.holds]


QUICK = {
    "random_against_grid": {"repeats": 4000, "blocks": 2},
    "coarse_to_fine": {"trials": 60},
}


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_demonstration_reproduces_the_lecture(name):
    """Demonstrations with small settings reproduce the lecture from another seed than the declared one."""
    outcome = demonstrate(Experiment(name=name, question="?", demonstration=name, settings=QUICK[name], seed=1))
    assert not_reproduced(outcome) == []
    assert outcome.figures
    assert outcome.rows


@pytest.mark.slow
@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_reproduces_the_lecture(name):
    """Every experiment reproduces the lecture with its declared settings."""
    assert not_reproduced(demonstrate(find_experiment(name, {}))) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["activations", "preprocessing", "babysitting", "coarse_to_fine", "spiral"])
def test_experiments_hold_from_another_seed(name):
    """The result does not depend on the declared seed."""
    assert not_reproduced(demonstrate(find_experiment(name, {"seed": 7}))) == []


def test_an_unknown_setting_is_refused():
    """The message has the setting and the known ones."""
    with pytest.raises(ValueError, match=r"unknown setting 'seedz'; expected one of seeds, extra"):
        demonstrate(Experiment(name="x", question="?", demonstration="initialisation", settings={"seedz": 3}))
