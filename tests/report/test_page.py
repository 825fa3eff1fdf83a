"""The page's parts that no figure or table has: the line of facts, and the links."""

import html
import re

import pytest
from synthetic import make_table

from pipeline.report.analysis import Analysis
from pipeline.report.page import duration, mlflow_run, pages
from pipeline.report.sections import make_sections
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
    page = html.unescape(pages(analysis, make_sections(analysis))["report.html"])
    assert mlflow_run(analysis) == (address if link else "")
    found = re.findall(r'In MLflow: <a target="_blank" href="([^"]*)">the study\'s run</a>(.*?)</p>', page)
    assert found == ([(address, link)] if link else [])
