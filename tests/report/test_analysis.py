"""The analysis follows its table: swapped arms, reversed scores, shuffled test accuracies."""

import numpy as np
import pandas as pd
import pytest
from synthetic import bowl, make_frame, make_study, make_table, unit

from pipeline.report.analysis import Analysis
from pipeline.report.sentences import sentences
from pipeline.report.trials_table import TrialsTable
from pipeline.study.spec import Arm

RANDOM, SHIFTED = Arm("random"), Arm("shifted_grid")


def shift_lowered(frame, study, rng):
    """A bowl in which the shifted grid always does a little worse."""
    return bowl(frame, study, rng) - 0.02 * (frame["l2"].nunique() < 5)


@pytest.fixture(scope="module")
def clear():
    """A table in which random search is clearly ahead."""
    return make_table(shift_lowered, arms=(RANDOM, SHIFTED))


def test_swapped_arms_mirror_every_number(clear):
    """With the arms of the contrast swapped the leader stays, and difference and probability are mirrored exactly."""
    there = Analysis(clear)
    back = Analysis(TrialsTable(clear.frame, make_study(arms=(SHIFTED, RANDOM))))
    assert there.verdict == back.verdict
    assert there.verdict.leader == "random"
    np.testing.assert_array_equal(there.comparison.test, -back.comparison.test)
    assert there.improvement.interval.estimate == pytest.approx(1 - back.improvement.interval.estimate)


def test_relabelled_arms_move_the_verdict_with_them(clear):
    """If the arms swap their names, the other one is ahead, by the same difference."""
    names = {"random": "shifted_grid", "shifted_grid": "random"}
    other = Analysis(TrialsTable(clear.frame.assign(arm=clear.frame["arm"].map(names)), clear.study))
    there, back = (f.comparison.difference.interval for f in (Analysis(clear), other))
    assert other.verdict.leader == "shifted_grid"
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low))


def test_reversed_test_scores_reverse_the_difference_and_withdraw_the_claim(clear):
    """With 1 - test accuracy the difference changes sign; validation contradicts it, so no arm leads."""
    reverse = TrialsTable(clear.frame.assign(**{"test/accuracy": 1 - clear.frame["test/accuracy"]}), clear.study)
    there, back = Analysis(clear), Analysis(reverse)
    np.testing.assert_allclose(back.comparison.test, -there.comparison.test, atol=1e-12)
    assert back.verdict.label == "not detected"
    sentence = sentences(back)[1]
    assert sentence.startswith("Test and validation disagree. By test accuracy: The shifted grid is ahead")
    assert "By validation accuracy: Random search is ahead" in sentence


def test_shuffled_test_scores_leave_no_difference(clear):
    """If test accuracies are shuffled within each block over both arms, no difference is claimed."""
    rng = np.random.default_rng(0)
    shuffled = clear.frame.copy()
    for _, rows in shuffled.groupby("block"):
        shuffled.loc[rows.index, "test/accuracy"] = rng.permutation(rows["test/accuracy"])
    found = Analysis(TrialsTable(shuffled, clear.study))
    assert found.verdict.leader is None
    assert found.verdict.rule in (4, 5)


def test_a_diverged_trial_that_is_dropped_changes_the_curve():
    """Diverged trials count: without them the same arm has a higher curve."""
    frame = make_frame(make_study(arms=(RANDOM,)))
    lost = frame["trial"] % 4 == 0
    kept = frame.assign(diverged=lost, **{"best/val_accuracy": frame["best/val_accuracy"].where(~lost, 0.1)})
    dropped = kept[~lost].assign(trial=kept[~lost].groupby("block").cumcount())
    curves = [Analysis(TrialsTable(f, make_study(arms=(RANDOM,)))).curves["random"] for f in (kept, dropped)]
    assert curves[0].validation.mean(axis=0)[3] < curves[1].validation.mean(axis=0)[3]


def on_a_node(frame, study, rng):
    """A bowl whose optimum is a node of the textbook's grid."""
    far = sum((unit(study.space[name], frame[name]) - 0.5) ** 2 for name in ("learning_rate", "l2"))
    return 0.97 - 1.2 * far + 0.001 * rng.normal(size=len(frame))


def test_a_grid_that_wins_is_the_leader():
    """With the optimum on a node of the textbook grid, the verdict is that the grid is ahead."""
    found = Analysis(make_table(on_a_node, arms=(RANDOM, Arm("grid")), n_val=0))
    assert found.verdict.leader == "grid"
    assert found.verdict.sentence.startswith("The textbook grid is ahead: after 36 trials")


def test_an_adaptive_arm_keeps_the_order_of_its_trials():
    """Reordering its trials changes the curve of an adaptive arm and not that of a random arm."""
    study = make_study(arms=(RANDOM, Arm("tpe")))
    frame = make_frame(study)
    back = pd.concat([frame.assign(trial=35 - frame["trial"])])
    there, then = (Analysis(TrialsTable(f, study)).curves for f in (frame, back))
    np.testing.assert_allclose(there["random"].test, then["random"].test, atol=1e-12)
    assert np.abs(there["tpe"].test - then["tpe"].test).max() > 0.01
