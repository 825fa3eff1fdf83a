"""The sections of a report: what each says of a table."""

from dataclasses import replace

import pytest
from synthetic import GRID, RANDOM, SHIFTED, make_table

from pipeline.report import sections
from pipeline.report.analysis import Analysis
from pipeline.report.methods import limits
from pipeline.study.spec import Arm


@pytest.mark.parametrize(("trials", "explained"), [(36, True), (12, False)])
def test_the_full_grid_is_explained_only_where_there_is_one(trials, explained):
    """The accuracy that the full grid found is a target, and is explained, if every point was visited."""
    (section,) = sections._targets(Analysis(make_table(trials=trials)))
    assert any("full grid" in sentence for sentence in section.prose) == explained


def difference_section(analysis):
    """The section on the difference, with its tables by name."""
    (section,) = sections._difference(analysis)
    return section, {table.name: table.frame for table in section.tables}


def test_the_difference_is_told_by_each_estimate():
    """Each contrast has the verdict's estimate, that of the chosen models, of validation and of the choices trained again."""
    analysis = Analysis(make_table(repetitions=2, test_noise=0.004))
    _, tables = difference_section(analysis)
    rows = tables["estimates"]
    assert len(rows) == 8
    assert rows.groupby(["first", "second"]).size().to_dict() == {("random", "shifted_grid"): 4, ("random", "grid"): 4}
    headline = rows[rows["second"] == "shifted_grid"].set_index("estimate")["difference"].to_dict()
    comparison = analysis.comparison
    assert headline == pytest.approx(
        {
            "expected accuracy of the choice": comparison.expected.mean(),
            "the very model that was chosen": comparison.test[:, -1].mean(),
            "its validation accuracy, which is flattered": comparison.validation[:, -1].mean(),
            "the chosen trial trained again": analysis.confirmed_difference.interval.estimate,
        }
    )


def test_the_looks_have_a_row_each():
    """The table of the looks says after how many blocks what was decided; before the first look there is none."""
    _, tables = difference_section(Analysis(make_table(blocks=20, looks=(10, 20), arms=(RANDOM, GRID))))
    rows = tables["looks"]
    assert rows["blocks"].tolist() == [10, 20]
    assert rows["decided"].tolist() == ["ahead", "ahead"]
    assert (rows["difference_low"] > 0).all()
    assert "looks" not in difference_section(Analysis(make_table(blocks=5)))[1]


def test_a_named_choice_has_its_own_scores():
    """The row of a winning trial has the test accuracy of that trial, not the mean of the trials that equal it."""
    analysis = Analysis(make_table(arms=(RANDOM, GRID), n_val=40, test_noise=0.05))
    (section,) = sections._price_of_choosing(analysis)
    (rows,) = (table.frame for table in section.tables if table.name == "near_ties")
    own = rows.merge(analysis.table.frame, left_on=["arm", "block", "winner"], right_on=["arm", "block", "trial"])
    assert own["test_accuracy"].tolist() == own["test/accuracy"].tolist()
    assert own["val_accuracy"].tolist() == own["best/val_accuracy"].tolist()


def test_equal_differences_in_all_blocks_are_no_certainty():
    """Where every block gave the same difference, the section says that this is not certainty."""
    table = make_table(arms=(RANDOM, SHIFTED))
    better = 0.8 + 0.1 * (table.frame["arm"] == "random")
    same = replace(table, frame=table.frame.assign(**{"test/accuracy": better}))
    text = "Every block gave the same difference; that is not certainty."
    assert text in difference_section(Analysis(same))[0].prose
    assert text not in difference_section(Analysis(table))[0].prose


def test_with_many_arms_only_the_contrast_has_bands():
    """Six arms have two bands, those of the contrast, and one sentence about the arms whose trials have an order."""
    arms = tuple(map(Arm, ("random", "shifted_grid", "tpe", "sobol", "halton", "cmaes")))
    analysis = Analysis(make_table(arms=arms, blocks=6, trials=8))
    (section,) = sections._curve(analysis)
    assert "both for the two arms of the first contrast" in section.plots[0].aid
    assert section.plots[0].svg.count("FillBetween") == 2
    (sentence,) = section.prose
    assert sentence.startswith("The lines of TPE, the Sobol sequence, the Halton sequence and CMA-ES are each the mean")


def test_the_columns_of_a_table_have_a_section():
    """What is done with each column is a table; a study of numbers alone has no such section."""
    columns = [["id", "dropped", 0], ["sex", "category of 2 values", 2]]
    analysis = Analysis(make_table(provenance={"columns": columns}))
    (section,) = sections._columns(analysis)
    (table,) = section.tables
    assert table.frame.to_numpy().tolist() == columns
    prose = " ".join(sections.methods(analysis))
    assert not any(words in prose for words in ("columns 1", "Versions: columns"))
    assert list(sections._columns(Analysis(make_table()))) == []


@pytest.mark.parametrize("rule", [{"order": "date"}, {"split": "test.csv"}])
def test_splits_that_are_the_same_in_every_block_are_a_limit(rule):
    """The limits do not claim new splits where an order or the data give them."""
    same, usual = (" ".join(limits(Analysis(table))) for table in (make_table(**rule), make_table()))
    assert "The test rows are the same in every block" in same
    assert "the intervals hold for new splits" not in same
    assert "the intervals hold for new splits" in usual
