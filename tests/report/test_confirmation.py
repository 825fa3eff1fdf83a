"""Repetitions of the choices: their numbers in the report, and their rows in the trials table."""

import json
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from synthetic import NOISE, WORTH, luck_of_the_best, lucky_choice, make_frame, make_study, make_table, trained_again

from pipeline.report import confirmation
from pipeline.report.analysis import Analysis
from pipeline.report.confirmation import confirmation_table, spread_of_weights
from pipeline.report.display import display
from pipeline.report.sentences import sentences
from pipeline.report.trials_table import TrialsTable, read_table, write_table
from pipeline.report.verdict_file import summary
from pipeline.study.spec import Arm

TWO = (Arm("random"), Arm("shifted_grid"))


@pytest.fixture(scope="module")
def confirmed():
    """A table whose choices were trained three times more."""
    return make_table(arms=TWO, blocks=6, test_noise=0.01, repetitions=3)


def test_the_one_file_holds_the_repetitions_too(confirmed, tmp_path):
    """Parquet gives repetitions back apart from the trials; the CSV tells them by their column."""
    write_table(confirmed, tmp_path)
    back = read_table(tmp_path)
    pd.testing.assert_frame_equal(back.frame, confirmed.frame)
    pd.testing.assert_frame_equal(back.confirmations, confirmed.confirmations)
    rows = pd.read_csv(tmp_path / "trials.csv")
    assert (rows["repetition"] == 0).sum() == len(confirmed.frame)
    assert (rows["repetition"] > 0).sum() == len(confirmed.confirmations) == 2 * 6 * 3


def test_a_table_of_the_first_version_is_read(table, tmp_path):
    """A file of the first version has no column of repetitions and is read as a table without any."""
    path, _ = write_table(table, tmp_path)
    arrow = pq.read_table(path)
    facts = json.loads(arrow.schema.metadata[b"babysit"])
    assert "repetition" not in arrow.column_names
    pq.write_table(arrow.replace_schema_metadata({b"babysit": json.dumps({**facts, "version": 1}).encode()}), path)
    assert read_table(path).confirmations is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trial": 999}, "the trial that this confirms is not in the table"),
        ({"repetition": 1}, "this trial is in the table twice"),
        ({"repetition": 0}, "repetition must be at least 1; got 0"),
        ({"repetition": "x"}, "column 'repetition' holds a value that is not int64"),
        ({"test/accuracy": 1.5}, "test/accuracy must be a number from 0 to 1; got 1.5"),
    ],
)
def test_wrong_repetitions_are_refused_in_one_line(change, message):
    """A repetition without a trial, a repeated one, or one with an impossible score is named."""
    study = make_study(arms=TWO, blocks=2)
    frame = make_frame(study)
    again = trained_again(frame, 2)
    (name, value), last = next(iter(change.items())), again.index[-1]
    again[name] = again[name].astype(object)
    again.loc[last, name] = value
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        TrialsTable(frame, study, {}, again)
    assert "\n" not in str(caught.value)


def test_the_numbers_are_those_of_the_rows(confirmed):
    """Means over repetitions, then over blocks; luck is the chosen trial's score minus that of its repetitions."""
    again = confirmed.confirmations[confirmed.confirmations["arm"] == "random"]
    trials = confirmed.frame[confirmed.frame["arm"] == "random"]
    best = trials.loc[trials.groupby("block")["best/val_accuracy"].idxmax()].set_index("block")
    per_block = again.groupby("block")[["best/val_accuracy", "test/accuracy"]].mean()
    found = Analysis(confirmed).confirmations["random"]
    assert found.choices["trial"].tolist() == best["trial"].tolist()
    assert found.confirmed.estimate == pytest.approx(per_block["test/accuracy"].mean())
    luck = best["best/val_accuracy"] - per_block["best/val_accuracy"]
    assert found.luck.estimate == pytest.approx(luck.mean())
    assert found.test_luck.estimate == pytest.approx((best["test/accuracy"] - per_block["test/accuracy"]).mean())
    spread = again.groupby("block")["test/accuracy"].var(ddof=1)
    assert found.sd == pytest.approx(np.sqrt(spread.mean()))
    assert found.promise.estimate == pytest.approx(
        found.luck.estimate + (found.choices["val_again"] - found.choices["test_again"]).mean()
    )


def two_trainings(*differences, more=()):
    """A table with one trial in each block that was trained again twice, with these differences of validation accuracy."""
    study = make_study(arms=TWO[:1], blocks=len(differences), trials=2)
    frame = make_frame(study)
    first = frame[frame["trial"] == 0]
    scores = [np.full(len(differences), 0.7), 0.7 + np.array(differences), *more]
    again = [
        first.assign(repetition=r, run_id=first["run_id"] + f"-{r}", **{"best/val_accuracy": score})
        for r, score in enumerate(scores, start=1)
    ]
    return TrialsTable(frame, study, {}, pd.concat(again, ignore_index=True))


def test_the_spread_of_weights_is_the_mean_difference_of_two_trainings():
    """Of differences 0.02, -0.04 and 0.06 it is 0.04 √π / 2; further trainings of a trial add nothing."""
    expected = 0.04 * np.sqrt(np.pi) / 2
    assert spread_of_weights(two_trainings(0.02, -0.04, 0.06), 10) == pytest.approx(expected)
    assert spread_of_weights(two_trainings(0.02, -0.04, 0.06, more=[np.full(3, 0.1)]), 10) == pytest.approx(expected)


def test_the_spread_of_normal_weights_is_their_standard_deviation():
    """It is that of 400 trials that were trained twice."""
    rng = np.random.default_rng(0)
    found = spread_of_weights(two_trainings(*(np.sqrt(2) * 0.01 * rng.normal(size=400))), 1000)
    assert found == pytest.approx(0.01, rel=4 / np.sqrt(400))


def test_later_blocks_do_not_change_an_earlier_look():
    """The spread over weights comes from the blocks of the first look alone, so a look's numbers stay as they were."""
    early, all_of_them = two_trainings(0.02, -0.04), two_trainings(0.02, -0.04, 0.2, 0.25)
    assert spread_of_weights(all_of_them, 2) == spread_of_weights(early, 2)
    assert spread_of_weights(all_of_them, 4) > spread_of_weights(early, 2)


def test_a_trials_own_training_counts_as_one_of_its_trainings(confirmed):
    """The mean that enters the expected accuracy is over the trial and its repetitions."""
    means = confirmation.trained_again(confirmed)
    again, trials = confirmed.confirmations, confirmed.frame
    (place, mean), *_ = means["random", 2].items()
    trial = trials[(trials["arm"] == "random") & (trials["block"] == 2)].iloc[place]
    rows = again[(again["arm"] == "random") & (again["block"] == 2) & (again["trial"] == trial["trial"])]
    assert mean == pytest.approx(np.mean([trial["test/accuracy"], *rows["test/accuracy"]]))


def test_trials_that_were_trained_again_once_have_no_spread(table):
    """Without repetitions, or with one of each trial, the spread is unknown and weights are not drawn."""
    assert spread_of_weights(table, 10) == 0
    assert spread_of_weights(make_table(arms=TWO, blocks=2, repetitions=1), 10) == 0
    assert spread_of_weights(make_table(arms=TWO, blocks=2, repetitions=2), 10) > 0


def test_training_again_finds_what_a_lucky_choice_is_worth():
    """The best of 108 equal configurations is 2.5 standard deviations too good; repetitions give the true accuracy."""
    rng = np.random.default_rng(1)
    worlds = [lucky_choice(rng, blocks=10) for _ in range(300)]
    assert luck_of_the_best() == pytest.approx(2.53 * NOISE, rel=0.01)
    assert np.mean([w.luck.estimate for w in worlds]) == pytest.approx(luck_of_the_best(), rel=0.01)
    assert np.mean([w.confirmed.estimate for w in worlds]) == pytest.approx(WORTH, abs=1e-3)
    assert np.mean([w.test_luck.estimate for w in worlds]) == pytest.approx(0, abs=1e-3)
    assert np.mean([w.sd**2 for w in worlds]) == pytest.approx(NOISE**2, rel=0.05)


def test_the_numbers_agree_everywhere(confirmed):
    """The sentence after the verdict, verdict.json, the metrics and the table have the same numbers."""
    analysis = Analysis(confirmed)
    (sentence,) = (s for s in sentences(analysis) if s.startswith("The chosen models were trained again "))
    random = analysis.confirmations["random"]
    ends = [100 * x for x in (random.confirmed.estimate, random.confirmed.low, random.confirmed.high)]
    shown = re.search(r"They score ([\d.]+)% with random search \(95% CI ([\d.]+) to ([\d.]+)\)", sentence)
    assert [float(x) for x in shown.groups()] == pytest.approx(ends, abs=0.06)
    verdict = summary(analysis)
    assert verdict["confirmation"]["random"]["test_again"] == random.confirmed.estimate
    assert verdict["metrics"]["report/random/confirmed_test_accuracy"] == random.confirmed.estimate
    assert verdict["metrics"]["report/random/luck_of_weights"] == random.luck.estimate
    table = confirmation_table(analysis.confirmations).set_index("arm")
    assert table.loc["random", "test_again"] == random.confirmed.estimate


def test_without_repetitions_there_is_no_confirmation(table):
    """Without repetitions there is no confirmation and no confirmed difference."""
    analysis = Analysis(table)
    assert analysis.confirmations == {}
    assert analysis.confirmed_difference is None


def test_one_block_with_one_repetition_has_no_interval():
    """An interval or spread that does not exist is null in verdict.json and an empty cell of a table."""
    analysis = Analysis(make_table(arms=TWO, blocks=1, trials=3, repetitions=1))
    again = json.loads(json.dumps(summary(analysis), allow_nan=False))["confirmation"]["random"]
    assert (again["blocks"], again["seeds"], again["sd_of_seeds"], again["test_again_low"]) == (1, 1, None, None)
    text = " ".join(sentences(analysis))
    assert "The chosen models were trained again from new weights. They score " in text
    assert "nan" not in text
    table = display("confirmation", confirmation_table(analysis.confirmations), {})
    assert table.rows[0][table.headings.index("SD over weights (points)")] == ""


def test_blocks_with_unequal_repetitions_report_the_fewest(confirmed):
    """If a repetition of one block is missing, the other means stay, and the fewest repetitions are reported."""
    again = confirmed.confirmations
    less = again[(again["arm"] != "random") | (again["block"] != 2) | (again["repetition"] < 3)]
    found = Analysis(TrialsTable(confirmed.frame, confirmed.study, {}, less)).confirmations
    assert (found["random"].repetitions, found["shifted_grid"].repetitions) == (2, 3)
    whole = Analysis(confirmed).confirmations["random"]
    np.testing.assert_array_equal(*(c.choices["test_again"].drop(2) for c in (found["random"], whole)))


@pytest.mark.parametrize("arm", ["random", "shifted_grid"])
def test_the_confirmed_difference_is_of_the_blocks_that_both_arms_have(arm, confirmed):
    """It is the first arm's mean over repetitions minus the second's, by block."""
    again = confirmed.confirmations
    less = again[(again["arm"] != arm) | (again["block"] != 2)]
    found = Analysis(TrialsTable(confirmed.frame, confirmed.study, {}, less))
    means = again.groupby(["arm", "block"])["test/accuracy"].mean()
    expected = (means["random"] - means["shifted_grid"]).drop(2)
    assert found.confirmed_difference.by_block == pytest.approx(tuple(expected))
    assert found.confirmations[arm].blocks == (0, 1, 3, 4, 5)
