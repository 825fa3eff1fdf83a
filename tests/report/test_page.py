"""The page's parts that no figure or table has: its title, the line of facts, and the links."""

import html
import re

import pytest
from synthetic import ARMS, make_table

from pipeline.report.analysis import Analysis
from pipeline.report.page import duration, facts, mlflow_run, pages
from pipeline.report.sections import _curve, _diagnosis
from pipeline.report.trials_table import RUN_ADDRESS


def test_a_duration_is_in_the_largest_unit_of_which_there_are_two():
    """Seconds become minutes from two minutes on, and hours from two hours on."""
    assert [duration(seconds) for seconds in (45, 119, 720, 12240)] == ["45 s", "119 s", "12.0 min", "3.4 h"]


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("http://127.0.0.1:5000/#/experiments/1/runs/a", ", while babysit ui runs."),
        ("https://mlflow.example/#/experiments/1/runs/a", "."),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)
def test_the_run_in_mlflow_is_linked_by_its_web_address(address, link):
    """The address comes from the table; one that is no web address is left out."""
    analysis = Analysis(make_table(blocks=1, trials=6, provenance={RUN_ADDRESS: address}))
    page = html.unescape(pages(analysis, [*_curve(analysis)])["report.html"])
    assert mlflow_run(analysis) == (address if link else "")
    found = re.findall(r'In MLflow: <a target="_blank" href="([^"]*)">the study\'s run</a>(.*?)</p>', page)
    assert found == ([(address, link)] if link else [])


def test_the_title_says_the_study_and_its_question(table):
    """A browser's tab names the study and the question."""
    analysis = Analysis(table)
    page = pages(analysis, [*_curve(analysis)])["report.html"]
    assert "<title>toy: Is random search better than grid search?</title>" in page


def test_the_report_counts_the_pruned_trials():
    """The line below the verdict and the diagnosis say how many trials a pruner stopped; without any they say nothing."""
    for counts, fact, sentence in (
        ({}, "360 trials in all", ""),
        (
            {"pruned": 36},
            "360 trials in all, 36 of them pruned",
            "The pruner stopped 36 of 360 trials before the last epoch.",
        ),
    ):
        diagnosis = {"health": {"good": 360}, "sentences": [], **counts}
        analysis = Analysis(make_table(arms=ARMS[:1], provenance={"diagnosis": diagnosis}))
        assert fact in facts(analysis)
        (section,) = _diagnosis(analysis)
        assert section.prose == ((sentence,) if sentence else ())
