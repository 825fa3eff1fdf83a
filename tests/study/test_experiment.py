"""The declaration of an experiment: its hash, and the mistakes that are refused."""

from dataclasses import replace

import pytest

from pipeline.study.experiment import Experiment


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"demonstration": "spirals"}, "demonstration: got 'spirals'"),
        ({"question": 3}, "question: got 3; expected text"),
        ({"settings": ["rows"]}, "experiment 'e': settings: got"),
    ],
)
def test_a_wrong_experiment_is_refused(fields, says):
    """A wrong field is a ValueError that names it."""
    with pytest.raises(ValueError, match=says):
        Experiment(**{"name": "e", "question": "?", "demonstration": "spiral", **fields})


def test_an_experiments_hash_is_of_what_decides_its_numbers():
    """The wording changes nothing, the seed and the settings do."""
    experiment = Experiment(name="x", question="?", demonstration="spiral")
    assert replace(experiment, question="!", name="y").hash == experiment.hash
    assert (
        replace(experiment, seed=1).hash != experiment.hash != replace(experiment, settings={"linear_epochs": 3}).hash
    )
