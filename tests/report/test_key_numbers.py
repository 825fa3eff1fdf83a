"""The numbers at the top of the page: each has a caption and its interval."""

import re
from dataclasses import replace

import pytest
from synthetic import GRID, RANDOM, make_table

from pipeline.report.analysis import Analysis
from pipeline.report.formatting import points
from pipeline.report.key_numbers import _trials_needed, key_numbers


def test_a_comparison_has_four_key_numbers_and_a_single_arm_two():
    """Two arms have a difference, trials that match, the price of choosing and a best network; one has two numbers."""
    *both, best = key_numbers(Analysis(make_table(arms=(RANDOM, GRID), blocks=6, trials=6)))
    assert re.fullmatch(
        r"test accuracy of the best network, \w+-b0\d-000\d, with [\d.]+% validation accuracy", best.caption
    )
    assert re.fullmatch(r"95% CI [\d.]+ to [\d.]+; 360 rows", best.detail)
    assert [re.sub(r"^trials? ", "", number.caption) for number in both] == [
        "points of expected test accuracy: random search minus textbook grid",
        "of random search match all 6 of the textbook grid",
        "points of accuracy: validation minus test, of what random search chose",
    ]
    assert both[0].detail.endswith("; after 6 trials")
    alone = key_numbers(Analysis(make_table(arms=(RANDOM,), blocks=6, trials=6)))
    assert alone[0].caption == "test accuracy of what random search chooses in a block, the mean over 6 blocks"
    assert "even chance" in alone[1].caption
    assert len(alone) == 2


@pytest.mark.parametrize(("arms", "sign"), [((RANDOM, GRID), "+"), ((GRID, RANDOM), "\u2212")])
def test_the_difference_has_a_sign_and_the_interval_of_the_last_look(arms, sign):
    """The large number is that of the verdict's sentence, as first minus second, with its interval."""
    analysis = Analysis(make_table(arms=arms, blocks=12, looks=(10, 20)))
    size, low, high = points(analysis.verdict.looks[-1].interval)
    shown = key_numbers(analysis)[0]
    assert analysis.verdict.leader == "random"
    assert shown.value == (f"+{size}" if sign == "+" else size)
    assert shown.value.startswith(sign)
    assert shown.detail == f"95% CI {low} to {high}; after 36 trials"


def test_one_block_has_key_numbers_without_intervals():
    """Each but that of the best network, whose interval is over rows, says that one block has no interval."""
    shown = key_numbers(Analysis(make_table(arms=(RANDOM, GRID), blocks=1, trials=6)))[:3]
    assert all("one block: no interval" in number.detail for number in shown)


def test_an_interval_that_only_one_arm_has_names_that_arm():
    """Where the other arm never reaches the target, the interval would otherwise be read as that of both."""
    table = make_table(arms=(RANDOM, GRID))
    grid = table.frame["arm"] == "grid"
    scores = table.frame["best/val_accuracy"].where(~grid, 0.2)
    analysis = Analysis(replace(table, frame=table.frame.assign(**{"best/val_accuracy": scores})))
    needed = _trials_needed(analysis)
    assert re.fullmatch(r"\d+ vs ∞", needed.value)
    assert re.fullmatch(r"95% CI \d+ to \d+ with random search", needed.detail)
