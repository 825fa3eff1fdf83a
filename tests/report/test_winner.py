"""The winner of a study: which trial it is, its accuracies, and the values that do well."""

import numpy as np
import pytest
from synthetic import RANDOM, make_table

from pipeline.report.winner import Score, find_winner, good_ranges
from pipeline.search.refine import best_tenth


def scored(*changes):
    """The study and the trials of a small table, all equal except for the changes to the first of them."""
    table = make_table(arms=(RANDOM,), blocks=1, trials=8)
    frame = table.frame.assign(**{"best/val_accuracy": 0.5, "test/accuracy": 0.5})
    for place, change in enumerate(changes):
        for name, value in change.items():
            frame.loc[place, name] = value
    return table.study, frame


def test_the_winner_is_chosen_on_validation():
    """The highest validation accuracy wins, the first of equals; diverged and pruned trials are left out."""
    study, frame = scored(
        {"best/val_accuracy": 0.8, "test/accuracy": 0.9},
        {"best/val_accuracy": 0.9},
        {"best/val_accuracy": 0.9, "test/accuracy": 0.99},
        {"best/val_accuracy": 1.0, "diverged": True},
        {"best/val_accuracy": 1.0, "epochs": study_epochs() - 1},
    )
    winner = find_winner(study, frame)
    assert winner.name == "random-b00-0001"
    assert winner.plan.point == {name: frame[name].iloc[1] for name in study.space}
    assert find_winner(study, frame[3:5]) is None


def study_epochs():
    """The epochs of the table's trials."""
    return make_table(arms=(RANDOM,), blocks=1, trials=1).study.config.epochs


def test_an_accuracy_has_the_interval_of_its_rows():
    """The text has as many digits as its interval supports; an unknown number of rows has no interval."""
    assert Score(345 / 359, 359).text == "96.1% (95% CI 93.6 to 97.7; 359 rows)"
    assert Score(0.961, 0).text == "96.1%"


def test_good_values_are_those_of_the_best_tenth():
    """A range holds nine in ten of the best tenth of the trials; a choice has its share of them; bad values are not there."""
    table = make_table(arms=(RANDOM,), blocks=10, trials=40)
    best = table.frame.nlargest(40, "best/val_accuracy", keep="first")
    rows = good_ranges(find_winner(table.study, table.frame), table.study, table.frame).set_index("hyperparameter")
    low, high = map(float, rows.loc["learning_rate", "good"].split(" to "))
    inside = best["learning_rate"].between(low * 0.99, high * 1.01).mean()
    assert 0.9 <= inside < 1
    assert 1e-3 < low < high < 10
    tanh = np.mean(best["activation"] == "tanh")
    assert f"tanh ({100 * tanh:.0f}%)" in rows.loc["activation", "good"]
    assert rows.loc["l2", "searched"] == "1e-06 to 0.1, log scale"


@pytest.mark.parametrize("trials", [1, 3])
def test_few_trials_have_good_values_too(trials):
    """Of fewer than five trials all count, and the heading names no more."""
    assert best_tenth(trials) == trials
    table = make_table(arms=(RANDOM,), blocks=1, trials=trials)
    rows = good_ranges(find_winner(table.study, table.frame), table.study, table.frame).set_index("hyperparameter")
    least, most = (float(end) for end in rows.loc["l2", "good"].split(" to "))
    assert (least, most) == pytest.approx((table.frame["l2"].min(), table.frame["l2"].max()), rel=0.01)
