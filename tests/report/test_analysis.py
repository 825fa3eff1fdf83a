"""A report that is honest changes with its table: swapped arms, reversed scores, shuffled tests."""

import numpy as np
import pandas as pd
import pytest
from synthetic import bowl, make_frame, make_study, make_table, unit

from pipeline.report.analysis import Analysis
from pipeline.report.sentences import sentences
from pipeline.report.table import TrialsTable
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
    """With the contrast the other way round the leader stays, and difference and probability are mirrored exactly."""
    there = Analysis(clear)
    back = Analysis(TrialsTable(clear.frame, make_study(arms=(SHIFTED, RANDOM))))
    assert there.verdict == back.verdict
    assert there.verdict.leader == "random"
    np.testing.assert_array_equal(there.comparison.test, -back.comparison.test)
    assert there.improvement.interval.estimate == pytest.approx(1 - back.improvement.interval.estimate)


def test_relabelled_arms_move_the_verdict_with_them(clear):
    """If each arm's trials are given the other's name, the other is ahead, by the same number."""
    names = {"random": "shifted_grid", "shifted_grid": "random"}
    other = Analysis(TrialsTable(clear.frame.assign(arm=clear.frame["arm"].map(names)), clear.study))
    there, back = (f.comparison.difference.interval for f in (Analysis(clear), other))
    assert other.verdict.leader == "shifted_grid"
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low))


def test_reversed_test_scores_reverse_the_difference_and_silence_the_claim(clear):
    """With test accuracies upside down the difference changes sign exactly; validation then contradicts, so none leads."""
    upside = TrialsTable(clear.frame.assign(**{"test/accuracy": 1 - clear.frame["test/accuracy"]}), clear.study)
    there, back = Analysis(clear), Analysis(upside)
    np.testing.assert_allclose(back.comparison.test, -there.comparison.test, atol=1e-12)
    assert back.verdict.label == "not detected"
    said = sentences(back)[1]
    assert said.startswith("Test and validation disagree. By test accuracy: The shifted grid is ahead")
    assert "By validation accuracy: Random search is ahead" in said


def test_test_scores_that_are_dealt_anew_leave_no_difference(clear):
    """Test accuracies shuffled within a block over both arms carry no difference, and none is claimed."""
    rng = np.random.default_rng(0)
    dealt = clear.frame.copy()
    for _, rows in dealt.groupby("block"):
        dealt.loc[rows.index, "test/accuracy"] = rng.permutation(rows["test/accuracy"])
    found = Analysis(TrialsTable(dealt, clear.study))
    assert found.verdict.leader is None
    assert found.verdict.rule in (4, 5)


def test_a_diverged_trial_that_is_dropped_changes_the_curve():
    """Diverged trials count: without them the same arm looks better, which is why they stay in the table."""
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


def test_a_grid_that_wins_is_said_to_win():
    """With the optimum on a node of the textbook's grid, the grid is ahead, and the report says so."""
    found = Analysis(make_table(on_a_node, arms=(RANDOM, Arm("grid")), n_val=0))
    assert found.verdict.leader == "grid"
    assert found.verdict.sentence.startswith("The textbook grid is ahead: after 36 trials")


def test_an_adaptive_arm_is_taken_in_the_order_it_went():
    """Reordering the trials of an adaptive arm changes its curve; of a random one it does not."""
    study = make_study(arms=(RANDOM, Arm("tpe")))
    frame = make_frame(study)
    back = pd.concat([frame.assign(trial=35 - frame["trial"])])
    there, then = (Analysis(TrialsTable(f, study)).curves for f in (frame, back))
    np.testing.assert_allclose(there["random"].test, then["random"].test, atol=1e-12)
    assert np.abs(there["tpe"].test - then["tpe"].test).max() > 0.01
