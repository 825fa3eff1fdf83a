"""The analysis follows its table: swapped arms, reversed scores, shuffled test accuracies."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from synthetic import ARMS, GRID, RANDOM, SHIFTED, bowl, make_frame, make_study, make_table, unit

from pipeline.report.analysis import Analysis
from pipeline.report.run_results import metrics, tags
from pipeline.report.sentences import sentences
from pipeline.report.trials_table import TrialsTable
from pipeline.report.verdict_file import summary
from pipeline.study.spec import Arm


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
    assert there.verdict.sentence == back.verdict.sentence
    assert there.verdict.leader == back.verdict.leader == "random"
    np.testing.assert_array_equal(there.comparison.expected, -back.comparison.expected)
    np.testing.assert_array_equal(there.comparison.test, -back.comparison.test)
    assert there.improvement.interval.estimate == pytest.approx(1 - back.improvement.interval.estimate)


def test_relabelled_arms_move_the_verdict_with_them(clear):
    """If the arms swap their names, the other one is ahead, by the same difference."""
    names = {"random": "shifted_grid", "shifted_grid": "random"}
    other = Analysis(TrialsTable(clear.frame.assign(arm=clear.frame["arm"].map(names)), clear.study))
    there, back = (f.verdict.interval for f in (Analysis(clear), other))
    assert other.verdict.leader == "shifted_grid"
    assert (back.estimate, back.low, back.high) == pytest.approx((-there.estimate, -there.high, -there.low))


def test_reversed_test_scores_reverse_the_difference_and_the_leader(clear):
    """With 1 - test accuracy the difference changes sign and the other arm leads, whatever validation says."""
    reverse = TrialsTable(clear.frame.assign(**{"test/accuracy": 1 - clear.frame["test/accuracy"]}), clear.study)
    there, back = Analysis(clear), Analysis(reverse)
    np.testing.assert_allclose(back.comparison.test, -there.comparison.test, atol=1e-12)
    np.testing.assert_allclose(back.comparison.expected, -there.comparison.expected, atol=1e-12)
    np.testing.assert_array_equal(back.comparison.validation, there.comparison.validation)
    assert back.verdict.leader == "shifted_grid"


def test_shuffled_test_scores_leave_no_difference(clear):
    """If test accuracies are shuffled within each block over both arms, no difference is claimed."""
    rng = np.random.default_rng(0)
    shuffled = clear.frame.copy()
    for _, rows in shuffled.groupby("block"):
        shuffled.loc[rows.index, "test/accuracy"] = rng.permutation(rows["test/accuracy"])
    found = Analysis(TrialsTable(shuffled, clear.study))
    assert found.verdict.leader is None
    assert found.verdict.rule in (3, 4)


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
    found = Analysis(make_table(on_a_node, arms=(RANDOM, GRID), n_val=3600))
    assert found.verdict.leader == "grid"
    assert found.verdict.sentence.startswith("The textbook grid is ahead of random search: what a search of 36 trials")


def test_an_adaptive_arm_keeps_the_order_of_its_trials():
    """Reordering its trials changes the curve of an adaptive arm and not that of a random arm."""
    study = make_study(arms=(RANDOM, Arm("tpe")))
    frame = make_frame(study)
    back = pd.concat([frame.assign(trial=35 - frame["trial"])])
    there, then = (Analysis(TrialsTable(f, study)).curves for f in (frame, back))
    np.testing.assert_allclose(there["random"].test, then["random"].test, atol=1e-12)
    assert np.abs(there["tpe"].test - then["tpe"].test).max() > 0.01


@pytest.fixture(scope="module")
def three(table):
    """The analysis of random search against both grids."""
    return Analysis(table)


def test_the_first_arm_is_compared_with_each_other(three):
    """Each contrast has its verdict; the first is the headline."""
    assert [[arm.name for arm in verdict.contrast] for verdict in three.verdicts] == [
        ["random", "shifted_grid"],
        ["random", "grid"],
    ]
    assert (three.verdict, three.comparison) == (three.verdicts[0], three.comparisons[0][1])
    assert sentences(three)[:2] == tuple(verdict.sentence for verdict in three.verdicts)
    assert [verdict.label for verdict in three.verdicts] == ["undecided", "ahead"]


def test_what_holds_of_several_contrasts_is_said_once():
    """Of two contrasts before the first look, and of two undecided ones, the first alone says what more blocks need."""
    few = Analysis(make_table(blocks=2)).verdicts
    assert [verdict.label for verdict in few] == ["too few repeats"] * 2
    assert ["needs" in verdict.sentence or "need" in verdict.sentence for verdict in few] == [True, False]
    equal = make_table(blocks=8, looks=(8, 20), objective=lambda frame, _study, rng: 0.8 + 0.1 * rng.random(len(frame)))
    undecided = Analysis(equal).verdicts
    assert [verdict.label for verdict in undecided] == ["undecided"] * 2
    assert ["next look" in verdict.sentence for verdict in undecided] == [True, False]


def test_two_contrasts_share_the_error(three):
    """Each of two contrasts has a t-interval of 97.5 %, although the other one is decided."""
    for verdict, (_, compared) in zip(three.verdicts, three.comparisons, strict=True):
        expected = stats.ttest_1samp(compared.expected, 0).confidence_interval(0.975)
        assert (verdict.interval.low, verdict.interval.high) == pytest.approx((expected.low, expected.high))


def test_declared_contrasts_are_the_ones_that_are_judged():
    """A study that declares one pair of its three arms has one verdict, with the whole error."""
    found = Analysis(make_table(contrasts=(("grid", "shifted_grid"),)))
    (verdict,) = found.verdicts
    assert verdict.contrast == (GRID, SHIFTED)
    assert verdict.leader == "shifted_grid"
    expected = stats.ttest_1samp(found.comparison.expected, 0).confidence_interval(0.95)
    assert (verdict.interval.low, verdict.interval.high) == pytest.approx((expected.low, expected.high))
    assert [(m.arm, m.other) for m in found.matchings] == [(GRID, SHIFTED)]


def test_a_contrast_without_trials_is_withheld_alone():
    """Without the shifted grid the headline is withheld, and the other contrast keeps its verdict and its share of the error."""
    study = make_study()
    frame = make_frame(study)
    found = Analysis(TrialsTable(frame[frame["arm"] != "shifted_grid"], study))
    assert [verdict.label for verdict in found.verdicts] == ["withheld", "ahead"]
    assert found.verdicts[1] == Analysis(TrialsTable(frame, study)).verdicts[1]


def test_the_files_have_each_contrast(three):
    """verdict.json has a verdict for each contrast; metrics have the headline's numbers and those of each by its arms' names."""
    found, numbers = summary(three), metrics(three)
    assert [contrast["arms"] for contrast in found["contrasts"]] == [["random", "shifted_grid"], ["random", "grid"]]
    assert [contrast["decided_at"] for contrast in found["contrasts"]] == [None, 10]
    assert found["contrasts"][1]["looks"][0]["ahead"]
    assert tags(three)["report/contrast"] == "random - shifted_grid"
    for key in ("difference", "difference_low", "difference_high", "p_value", "blocks"):
        assert numbers[f"report/{key}"] == numbers[f"report/random-shifted_grid/{key}"]
        assert f"report/random-grid/{key}" in numbers
    assert numbers["report/random-grid/difference"] == pytest.approx(three.comparisons[1][1].expected.mean())


def test_an_undecided_contrast_says_what_the_next_look_costs():
    """It has the trials and repetitions of all arms up to the next look, and their time at the mean rate."""
    later = Analysis(make_table(looks=(10, 25), repetitions=5))
    seconds = later.table.frame["seconds"].mean() * 15 * (36 + 5) * 3 / 60
    expected = f"The next look, after 25 blocks, costs 1,845 trainings, about {seconds:.1f} min of one worker."
    assert later.verdicts[0].sentence.endswith(expected)
    assert expected not in later.verdicts[1].sentence
    assert "That was the last look" in Analysis(make_table()).verdicts[0].sentence


def test_blocks_beyond_the_last_look_are_in_the_figures_alone():
    """Fourteen blocks of a study with one look after ten have the verdicts of ten, and curves of fourteen."""
    study = make_study(blocks=14, looks=(10,))
    frame = make_frame(study)
    ten = Analysis(TrialsTable(frame[frame["block"] < 10], study))
    more = Analysis(TrialsTable(frame, study))
    assert more.verdicts == ten.verdicts
    assert len(more.curves["random"].blocks) == 14
    assert len(more.comparison.blocks) == 14


def test_an_arm_that_has_no_record_of_its_own_rows_is_compared():
    """The expected accuracy of each choice is in the analysis, by arm and block, whatever is known of the rows."""
    found = Analysis(make_table(arms=ARMS[:2], blocks=6, repetitions=2))
    assert found.expected.keys() == {"random", "shifted_grid"}
    assert list(found.expected["random"]) == list(range(6))
    gains = [found.expected["random"][block] - found.expected["shifted_grid"][block] for block in range(6)]
    assert found.comparison.expected == pytest.approx(gains)
