"""The summary of diagnoses: the values of the space where a finding is frequent."""

import numpy as np

from pipeline.diagnosis.summary import summary
from pipeline.study.spec import Categorical, Float, SearchSpace

SPACE = SearchSpace(
    learning_rate=Float(1e-4, 10, log=True), activation=Categorical("relu", "sigmoid"), init=Categorical("small", "he")
)


def test_the_summary_names_the_pair_of_values():
    """If only sigmoids with small weights never start, the pair is named and not the sigmoid alone."""
    rng = np.random.default_rng(0)

    def trial(activation, init, health):
        return {"activation": activation, "init": init, "learning_rate": 10 ** rng.uniform(-4, 1), "health": health}

    trials = [trial("sigmoid", "small", "never-starts" if k < 41 else "good") for k in range(43)]
    trials += [
        trial(*others, "good") for others in (("relu", "small"), ("relu", "he"), ("sigmoid", "he")) for _ in range(43)
    ]
    assert [tally.sentence for tally in summary(trials, SPACE)] == [
        "activation sigmoid with init small: 41 of 43 never start"
    ]


def test_the_summary_counts_rates_by_decade():
    """Learning rates are counted by decade; the end of the range belongs to the last one."""
    trials = [
        {"activation": "relu", "init": "he", "learning_rate": rate, "health": "diverged" if rate > 1 else "good"}
        for rate in np.geomspace(1e-4, 10, 50)
    ]
    (tally,) = summary(trials, SPACE)
    assert (tally.values, tally.hits) == ({"learning_rate": "1 to 10"}, 10)
