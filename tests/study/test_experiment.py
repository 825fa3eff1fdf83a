"""Declarations beside a study's first form: its stages, and the experiments of the lecture."""

from dataclasses import replace

import pytest

from pipeline.study.experiment import DEMONSTRATIONS, Experiment
from pipeline.study.hparams import TrainConfig
from pipeline.study.loading import experiment_names, find_experiment, find_study
from pipeline.study.spec import Arm, Float, SearchSpace, Stage, Study
from studies.random_vs_grid import STUDY

COARSE = Study(
    name="coarse",
    question="Where?",
    space=SearchSpace(learning_rate=Float(1e-4, 1, log=True)),
    arms=(Arm("random"),),
    stages=(Stage(epochs=1, trials=30), Stage(epochs=5)),
)


def test_a_study_with_stages_is_its_first_stage():
    """Its epochs and trials are those of the first stage, also where the command line gives others; JSON keeps all of it."""
    assert (COARSE.config.epochs, COARSE.trials) == (1, 30)
    assert replace(COARSE, trials=7).trials == 7
    assert Study.from_json(COARSE.to_json()) == COARSE


def test_a_study_without_stages_is_what_it_was():
    """No stages leave no trace in the declaration, and its hash is that of before there were any."""
    assert "stages" not in STUDY.to_json()
    one_epoch = replace(COARSE, stages=(), config=TrainConfig(epochs=1))
    assert one_epoch.hash == COARSE.hash


@pytest.mark.parametrize(("epochs", "trials"), [(0, 1), (1, -1), (1.5, 1)])
def test_a_wrong_stage_is_refused(epochs, trials):
    """Epochs below 1 and trials below 0 are named."""
    with pytest.raises(ValueError, match="stage"):
        Stage(epochs=epochs, trials=trials)


def test_every_demonstration_has_a_study_file():
    """Each of the lecture's experiments is a file in studies/, found by its name with or without the prefix."""
    assert experiment_names() == [f"lecture_{name}" for name in DEMONSTRATIONS]
    for name in DEMONSTRATIONS:
        assert find_experiment(name, {"seed": 3}) == find_experiment(f"lecture_{name}", {"seed": 3})
        assert find_experiment(name, {}).demonstration == name


def test_an_experiment_is_no_study():
    """Searching one is refused in a line that says how to run it."""
    with pytest.raises(ValueError, match="babysit lecture lecture_spiral"):
        find_study("lecture_spiral", {})
    with pytest.raises(ValueError, match="is no experiment"):
        find_experiment("random_vs_grid", {})


def test_a_misspelt_experiment_is_told_its_like():
    """By the name that the verb takes, and not by that of every study."""
    with pytest.raises(ValueError, match=r"^unknown experiment 'spirals'\. Did you mean spiral\?$"):
        find_experiment("spirals", {})


def test_a_wrong_experiment_is_refused():
    """An unknown demonstration is named when the file is read."""
    with pytest.raises(ValueError, match="demonstration: got 'spirals'"):
        Experiment(name="x", question="?", demonstration="spirals")


def test_an_experiments_hash_is_of_what_decides_its_numbers():
    """The wording changes nothing, the seed and the settings do."""
    one = Experiment(name="x", question="?", demonstration="spiral")
    assert replace(one, question="!", name="y").hash == one.hash
    assert replace(one, seed=1).hash != one.hash != replace(one, settings={"linear_epochs": 3}).hash
