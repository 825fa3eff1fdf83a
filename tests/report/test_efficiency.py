"""Experiments of random trials are scored as Bergstra and Bengio score them, and compared with the grid of their block."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import GRID, RANDOM, make_table

from pipeline.report.analysis import Analysis
from pipeline.report.curves import Pool
from pipeline.report.efficiency import (
    NO,
    OPEN,
    YES,
    efficiency,
    experiments_sentences,
    experiments_table,
    shortened,
    weighted_score,
)
from pipeline.report.figures.efficiency import efficiency_figure, relevance_figure
from pipeline.study.metrics import METRICS
from pipeline.study.spec import Arm

ALL = slice(None)


def pool(validation, test, rows=401, arm=RANDOM, block=0):
    """The trials of an arm in a block with these accuracies."""
    frame = pd.DataFrame({"n_val": [rows] * len(test)})
    return Pool(arm, block, np.array(validation, float), np.array(test, float), frame, ())


def of(random, grid):
    """The efficiency of random trials next to a grid, given the test accuracies of each block; validation equals test."""
    arms = {"random": (RANDOM, random), "grid": (GRID, grid)}
    return efficiency(
        {name: [pool(t, t, arm=arm, block=b) for b, t in enumerate(blocks)] for name, (arm, blocks) in arms.items()},
        (RANDOM, GRID),
    )


def test_a_trial_counts_by_its_probability_of_being_the_best():
    """Two trials count by the normal probability of their difference; equal ones count alike, a clear winner alone."""
    first, second = 0.90, 0.91
    deviation = np.sqrt((first * (1 - first) + second * (1 - second)) / 400)
    probability = stats.norm.cdf((second - first) / deviation)
    assert weighted_score(pool([first, second], [0, 1]), ALL) == pytest.approx(probability, abs=0.05)
    assert weighted_score(pool([0.9, 0.9], [0, 1]), ALL) == pytest.approx(0.5, abs=0.05)
    assert weighted_score(pool([1, 1], [0.2, 0.6]), ALL) == pytest.approx(0.4)
    assert weighted_score(pool([0.2, 0.9, 0.1], [0.3, 0.8, 0.4]), ALL) == 0.8
    assert weighted_score(pool([0.2], [0.3]), ALL) == 0.3


def test_experiments_divide_the_trials_of_a_block():
    """Each trial is in one experiment of a size; an experiment of one trial has its test accuracy."""
    random = [np.linspace(0.1, 0.9, 11), np.linspace(0.2, 0.8, 11)]
    found = of(random, [[0.5], [0.6]])
    assert {size: [len(s) for s in blocks] for size, blocks in found.scores.items()} == {
        1: [11, 11], 2: [5, 5], 4: [2, 2], 8: [1, 1], 11: [1, 1]
    }  # fmt: skip
    assert np.array_equal(found.scores[1][1], random[1])
    assert found.whole.tolist() == [0.5, 0.6]
    assert found.at_least_as_good(1) == pytest.approx((6 + 4) / 22)


def test_a_match_is_not_more_than_delta_below_the_grid():
    """The interval over blocks is above, below or around -delta; one block leaves it open."""
    grid = [[0.9]] * 4
    noise = np.array([-1, 1, -1, 1])[:, None]
    for shift, spread, answer in ((0.0, 1e-4, YES), (-0.02, 1e-4, NO), (-0.01, 0.02, OPEN), (-0.004, 1e-4, YES)):
        assert of(0.9 + shift + spread * noise, grid).matches(1, 0.005) == answer
    assert of([[0.95]], [[0.9]]).matches(1, 0.005) == OPEN


def test_only_random_search_next_to_a_grid_has_a_curve():
    """Other arms, arms without a common block, and other metrics have none."""
    pools = {"random": [pool([0.5], [0.5])], "grid": [pool([0.5], [0.5], arm=GRID, block=1)]}
    assert efficiency(pools, (RANDOM, GRID)) is None
    assert efficiency(pools | {"tpe": pools["random"]}, (Arm("tpe"), GRID)) is None
    assert efficiency(pools, (RANDOM,)) is None
    other = {
        "random": [replace(pool([0.5], [0.5]), metric=METRICS["neg_log_loss"])],
        "grid": [pool([0.5], [0.5], arm=GRID)],
    }
    assert efficiency(other, (RANDOM, GRID)) is None


def test_tables_and_figures_say_the_same():
    """On a space that suits random search, 8 trials match the grid; the figure's table has each size's quartiles."""
    analyses = {f"set {i}": Analysis(make_table(seed=i, blocks=4, arms=(RANDOM, GRID))) for i in range(2)}
    curves = {name: efficiency(a.pools, a.study.headline) for name, a in analyses.items()}
    table = experiments_table(curves, 0.005).set_index("study")
    sentences = experiments_sentences(curves, 0.005)
    for name, answer in table["match_8"].items():
        verb = {YES: "match the grid on", NO: "stay behind it on", OPEN: "leave it open on"}[answer]
        assert verb in sentences[0]
        assert name in sentences[0].split(verb)[1]
    plot = efficiency_figure(curves)
    rows = plot.table[plot.table["study"] == "set 0"].set_index("trials")
    assert rows.loc[1, "median"] == np.median(np.concatenate(curves["set 0"].scores[1]))
    assert rows.loc[8, "ahead"] == table.loc["set 0", "ahead_8"]
    relevance = relevance_figure({name: a.importance for name, a in analyses.items()})
    shares = relevance.table.pivot_table(index="hyperparameter", columns="study", values="variance_share")
    assert (shares.idxmax() == "learning_rate").all()
    assert relevance.alt.startswith("On set 0, learning_rate explains most")


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (("bb_convex", "bb_digits_a", "bb_digits_b"), ["convex", "digits_a", "digits_b"]),
        (("convex", "corners"), ["convex", "corners"]),
        (("bb_digits_a",), ["a"]),
    ],
)
def test_names_are_shown_without_the_words_that_all_begin_with(names, short):
    """Whole words are left out, as far as all names have them."""
    assert list(shortened(dict.fromkeys(names))) == short
