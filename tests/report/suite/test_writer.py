"""The page of a suite: its files and numbers, from studies whose truth is known."""

import json
import re

import numpy as np
import pytest
from synthetic import ARMS, make_study, make_table

from pipeline import Suite
from pipeline.report.analysis import Analysis
from pipeline.report.suite.writer import change_notes, write_suite_report
from pipeline.report.trials_table import RUN_ADDRESS, TrialsTable

RANDOM, SHIFTED, GRID = ARMS
NAMES = ("a", "b", "c", "d", "e")


def studies(blocks=10):
    """Five studies of two contrasts, which differ in their data."""
    return tuple(
        make_study(name=name, dataset=f"digits-{200 + i}", arms=(RANDOM, GRID, SHIFTED), blocks=blocks, trials=24)
        for i, name in enumerate(NAMES)
    )


def worse_grid(frame, study, rng):
    """Accuracies by which a search of the grid finds less: two points, and a little more on the first data set."""
    lead = {"a": 0.025}.get(study.name, 0.02)
    return 0.9 - 0.01 * np.abs(rng.normal(size=len(frame))) - lead * on_grid(frame, study)


def on_grid(frame, study):
    """True for the points of the textbook's grid."""
    return frame["learning_rate"].isin(study.space.grid()["learning_rate"]).to_numpy()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder and the results of a suite, of which one study lacks trials and one is not recorded yet."""
    declared = studies()
    tables = {s.name: _table(s, seed) for seed, s in enumerate(declared[:4])}
    lacking = tables["d"]
    tables["d"] = TrialsTable(lacking.frame.iloc[:-3], lacking.study, lacking.provenance)
    folder = tmp_path_factory.mktemp("suite")
    suite = Suite(name="toys", question="Is random search better?", studies=declared)
    analyses = {name: Analysis(tables[name]) for name in reversed(list(tables))}
    return folder, write_suite_report(suite, analyses, folder, "http://127.0.0.1:5000/#/x")


def _table(study, seed):
    options = {"name": study.name, "dataset": study.dataset, "arms": study.arms, "trials": study.trials}
    return make_table(worse_grid, seed, {RUN_ADDRESS: f"http://127.0.0.1:5000/#/{study.name}"}, **options)


def test_the_page_has_its_sentences_figures_and_links(written):
    """The question, a verdict for each contrast, a forest plot for each, and a link to each study's page and run."""
    folder, result = written
    page = (folder / "report.html").read_text()
    assert result.page == folder / "report.html"
    assert "<title>toys: Is random search better?</title>" in page
    assert len(result.verdicts) == 2
    assert all(sentence in page.replace("&#39;", "'") for sentence in result.sentences)
    assert page.count("<svg") == len(list((folder / "figures").iterdir()))
    assert set(re.findall(r'href="\.\./(\w+)/report.html"', page)) == {"a", "b", "c", "d"}
    assert 'href="http://127.0.0.1:5000/#/b">run</a>' in page
    assert "4 studies of 5 recorded" in page
    for name in ("forest_random_grid", "forest_random_shifted_grid", "profiles"):
        assert (folder / "figures" / f"{name}.png").is_file()
    markdown = (folder / "report.md").read_text()
    assert result.verdicts[0] in markdown
    assert "| [b](../b/report.md) |" in markdown


def test_the_numbers_are_those_of_the_verdict(written):
    """``verdict.json``, metrics and tags agree; a study without all its trials is named and left out of the mean."""
    folder, result = written
    verdict = json.loads((folder / "verdict.json").read_text())
    first = verdict["contrasts"][0]
    assert (verdict["suite"], verdict["recorded"]) == ("toys", ["a", "b", "c", "d"])
    assert first["leader"] == result.tags["report/leader"] == "random"
    assert first["sentence"] == result.tags["report/verdict"] == result.verdicts[0]
    assert result.metrics["report/difference"] == first["difference"]["estimate"] > 0.01
    assert result.metrics["report/random-grid/difference"] == first["difference"]["estimate"]
    assert (
        first["prediction"]["low"]
        < first["difference"]["low"]
        < first["difference"]["high"]
        < first["prediction"]["high"]
    )
    left_out = {found["study"]: found["left_out"] for found in verdict["contrasts"][1]["sets"]}
    assert left_out == {"a": "", "b": "", "c": "", "d": "its verdict is withheld"}
    assert any("Left out: d (its verdict is withheld)." in note for note in verdict["contrasts"][1]["notes"])


def test_a_change_of_the_studies_is_noted():
    """Studies that were added to a suite after its first run, or taken out, are named."""
    suite = Suite(name="toys", question="?", studies=studies())
    assert change_notes(suite, NAMES) == []
    (note,) = change_notes(suite, ["a", "b", "c", "x"])
    assert note.startswith("Since its first run the suite has gained d and e and lost x.")


def test_one_block_in_each_study_decides_nothing(tmp_path):
    """Studies of one block have no noise that is known: the page says so, and shows their differences."""
    declared = studies(blocks=1)
    analyses = {}
    for seed, study in enumerate(declared):
        options = {"name": study.name, "dataset": study.dataset, "arms": study.arms, "trials": 24, "blocks": 1}
        analyses[study.name] = Analysis(make_table(seed=seed, **options))
    result = write_suite_report(Suite(name="toys", question="?", studies=declared), analyses, tmp_path)
    assert "needs 3 whose studies count, and 0 studies count" in result.verdicts[0]
    assert result.tags["report/label"] == "too few data sets"
    assert "it has fewer than 2 whole blocks" in (tmp_path / "report.html").read_text()
