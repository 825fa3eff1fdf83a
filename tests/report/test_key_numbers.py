"""The numbers at the top of the page: each has a caption and its interval."""

import re
from dataclasses import replace

from simulations import GRID, RANDOM
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.key_numbers import key_numbers


def test_a_comparison_has_three_key_numbers_and_a_single_arm_two():
    """Two arms have a difference, a chance of a win and trials needed; one arm has an accuracy and trials needed."""
    both = key_numbers(Analysis(make_table(arms=(RANDOM, GRID), blocks=6, trials=6)))
    assert [number.caption.split(":")[0] for number in both[:2]] == [
        "points of test accuracy",
        "probability that random search wins, one search of each kind",
    ]
    assert both[0].detail.endswith("; after 6 trials")
    alone = key_numbers(Analysis(make_table(arms=(RANDOM,), blocks=6, trials=6)))
    assert alone[0].caption == "test accuracy of the choice of random search"
    assert [len(both), len(alone)] == [3, 2]


def test_an_interval_that_only_one_arm_has_names_that_arm():
    """Where the other arm never reaches the target, the interval would otherwise be read as that of both."""
    table = make_table(arms=(RANDOM, GRID))
    grid = table.frame["arm"] == "grid"
    scores = table.frame["best/val_accuracy"].where(~grid, 0.2)
    analysis = Analysis(replace(table, frame=table.frame.assign(**{"best/val_accuracy": scores})))
    (needed,) = [number for number in key_numbers(analysis) if "even chance" in number.caption]
    assert re.fullmatch(r"\d+ vs ∞", needed.value)
    assert re.fullmatch(r"95% CI \d+ to \d+ with random search", needed.detail)
