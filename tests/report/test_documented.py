"""The page on the report lists its files, figures, tables and chapters: those that there are, and no others."""

import re
from pathlib import Path

import pytest
from synthetic import make_table

from pipeline.report.writer import write_report
from pipeline.study.spec import Arm

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of trials of which there is all that a report can speak of."""
    arms = (Arm("random"), Arm("shifted_grid"), Arm("tpe"))
    diagnosis = {"health": {"good": 2, "diverged": 1}, "sentences": ["learning_rate 1 to 10: 9 of 10 diverge"]}
    table = make_table(arms=arms, test_noise=0.004, blocks=6, repetitions=3, provenance={"diagnosis": diagnosis})
    return write_report(table, tmp_path_factory.mktemp("report"))


def test_the_files_are_those_of_the_page(report):
    """Every file that is written is listed, and every file that is listed is written."""
    written = {path.relative_to(report.page.parent).as_posix() for path in report.paths}
    listing = PAGE[PAGE.index("## The files") :]
    named = set(re.findall(r"`([\w.]+\.(?:html|md|json|parquet|csv|png))`", listing))
    figures = {name.partition("/")[2] for name in written if name.startswith("figures/")}
    tables = {name.partition("/")[2] for name in written if name.startswith("tables/")}
    of_figures = {name.replace(".png", ".csv") for name in figures}
    assert {name for name in named if name.endswith(".png")} == figures
    assert of_figures <= tables
    assert named - figures - of_figures == (tables - of_figures) | {name for name in written if "/" not in name}


def test_the_chapters_are_those_of_the_page(report):
    """Each chapter has its row, in the order of the report."""
    listing = PAGE[PAGE.index("| chapter |") :]
    rows = re.findall(r"^\| `(\w+)` \|", listing.split("\n\n")[0], re.MULTILINE)
    assert rows == re.findall(r'<section id="toy-(\w+)">', report.page.read_text())
