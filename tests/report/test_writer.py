"""The report as a whole: its files, their common numbers, and that the table alone gives the same files again."""

import html
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import GRID, RANDOM, make_table

from pipeline.report.trials_table import read_table
from pipeline.report.writer import write_report
from pipeline.study.spec import Arm

GOLDEN = Path(__file__).parent / "golden_verdict.json"
CURVES = {f"{part}/{kind}": [0.5] * 20 for part in ("train", "val") for kind in ("accuracy", "loss")}
DIAGNOSIS = {"health": {"good": 2, "diverged": 1}, "sentences": ["learning_rate 1 to 10: 9 of 10 diverge"]}
DOCS = (Path(__file__).parents[2] / "docs" / "report.md").read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a study with a random, a grid and an adaptive arm, which has every file, figure, table and section."""
    arms = (Arm("random"), Arm("shifted_grid"), Arm("tpe"))
    table = make_table(
        arms=arms,
        contrasts=(("random", "shifted_grid"),),
        test_noise=0.004,
        blocks=6,
        repetitions=3,
        provenance={
            "diagnosis": DIAGNOSIS,
            "winner": {"trial": "random-b01-0014", "curves": CURVES},
            "columns": [["sex", "category of 2 values", 2]],
        },
    )
    return write_report(table, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(report):
    """Its page."""
    return report.page.read_text()


def test_the_table_alone_makes_the_report_again(report, tmp_path):
    """From trials.parquet and nothing else every file comes out the same, byte for byte."""
    again = write_report(read_table(report.page.parent), tmp_path)
    assert {p.relative_to(tmp_path) for p in again.paths} == {p.relative_to(report.page.parent) for p in report.paths}
    for path in again.paths:
        assert path.read_bytes() == (report.page.parent / path.relative_to(tmp_path)).read_bytes(), path.name


def test_every_file_is_there(report):
    """All paths exist, and what people look for is among them."""
    names = {path.name for path in report.paths}
    assert all(path.stat().st_size > 0 for path in report.paths)
    expected = {"trials.parquet", "trials.csv", "report.html", "report.md", "verdict.json"}
    assert expected | {"best_after_n.png", "difference.csv", "trials_needed.csv"} <= names


def test_the_files_are_those_that_the_docs_list(report):
    """docs/report.md lists each file that is written, and no other."""
    written = {path.relative_to(report.page.parent).as_posix() for path in report.paths}
    listing = DOCS[DOCS.index("## The files") :]
    named = set(re.findall(r"`([\w.]+\.(?:html|md|json|parquet|csv|png))`", listing))
    figures = {name.partition("/")[2] for name in written if name.startswith("figures/")}
    tables = {name.partition("/")[2] for name in written if name.startswith("tables/")}
    of_figures = {name.replace(".png", ".csv") for name in figures}
    assert {name for name in named if name.endswith(".png")} == figures
    assert of_figures <= tables
    assert named - figures - of_figures == (tables - of_figures) | {name for name in written if "/" not in name}


def test_the_sections_are_those_that_the_docs_list(report):
    """docs/report.md has a row for each section, in the order of the report."""
    listing = DOCS[DOCS.index("| section |") :]
    rows = re.findall(r"^\| `(\w+)` \|", listing.split("\n\n")[0], re.MULTILINE)
    assert rows == re.findall(r'<section id="(\w+)">', report.page.read_text())


def test_the_page_needs_nothing_else(page):
    """No script, no style sheet, no image and no font comes from anywhere: it is one file."""
    assert "<script" not in page
    assert "<link" not in page
    assert "@import" not in page
    assert re.findall(r'(?:src|xlink:href)="(?!#|data:)[^"]*"', page) == []
    assert re.findall(r"url\((?!#)", page) == []


def test_each_link_leads_somewhere(report, page):
    """Links go to a section of the page or to a file that the report wrote, and each figure and table has its own."""
    links = re.findall(r'<a (?:target="_blank" )?href="([^"]*)"', page)
    folder = report.page.parent
    inside = [link.removeprefix("#") for link in links if link.startswith("#")]
    sections = re.findall(r'<section id="(\w+)"', page)
    assert inside == [key for key in sections if key != "curve"]  # which is at the top
    files = {link for link in links if not link.startswith("#")}
    assert files == set(
        re.findall(r'<a target="_blank" href="([^"]*)"', page)
    )  # in MLflow's sandbox such a link does nothing
    assert all((folder / file).exists() for file in files)
    written = {path.relative_to(folder).as_posix() for path in report.paths if path.parent != folder}
    assert written <= files


def test_no_heading_of_a_table_is_an_identifier(page):
    """People read words, and the CSV files keep the names of columns."""
    headings = re.findall(r"<th [^>]*>(.*?)</th>", page)
    assert len(headings) > 50
    assert [heading for heading in headings if "_" in heading or "/" in heading] == []


class Outline(HTMLParser):
    """The tags of a page as they open, and whether each one that must be closed is."""

    VOID = frozenset({"meta", "path", "use", "rect", "br", "link", "line", "circle", "image", "stop"})

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.labels, self.balanced = [], [], [], True

    def handle_starttag(self, tag, attrs):
        """Note the tag, its identifier and its label."""
        named = dict(attrs)
        self.ids += [named["id"]] if "id" in named else []
        self.labels += [named.get("aria-label", "")] if tag == "svg" else []
        self.open += [] if tag in self.VOID else [tag]

    def handle_endtag(self, tag):
        """Close the tag that was opened last."""
        if tag not in self.VOID:
            self.balanced &= bool(self.open) and self.open.pop() == tag


def test_the_page_is_well_formed_and_every_figure_speaks(page):
    """Tags close in order, identifiers are unique, and each figure has words with numbers in them and its table."""
    outline = Outline()
    outline.feed(page)
    assert outline.balanced
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert len(outline.labels) >= 9
    assert all(re.search(r"\d", words) for words in outline.labels)
    assert page.count("<figcaption>") == page.count("<figure>") == len(outline.labels)
    assert all("<details>" in figure for figure in page.split("<figure>")[1:])


def test_figures_take_their_ink_from_the_page(page):
    """Text and axes are drawn in the page's colours, so that dark mode turns them too; text stays text."""
    for colour in ("#1b1b1b", "#666667", "#d9d9da"):
        assert f": {colour}" not in re.sub(r"<style>.*?</style>", "", page, count=1, flags=re.DOTALL)
    assert "fill: var(--ink)" in page
    assert re.search(r"<text[^>]*>random search</text>", page)


def test_the_numbers_agree_everywhere(report, page):
    """The page, its figures' words, verdict.json, the metrics and the tables all say the same numbers."""
    verdict = json.loads((report.page.parent / "verdict.json").read_text())
    text = html.unescape(page)
    assert verdict["metrics"] == report.metrics
    assert verdict["sentences"] == list(report.sentences)
    assert [contrast["sentence"] for contrast in verdict["contrasts"]] == list(report.verdicts)
    assert all(sentence in text for sentence in report.sentences)
    tables = {
        name: pd.read_csv(report.page.parent / "tables" / f"{name}.csv")
        for name in ("difference", "looks", "estimates")
    }
    for row in (tables["looks"].iloc[0], verdict["contrasts"][0]["looks"][-1]):
        for name in ("difference", "difference_low", "difference_high"):
            assert row[name] == pytest.approx(report.metrics[f"report/{name}"], rel=1e-12)
    estimates = tables["estimates"].drop_duplicates("estimate").set_index("estimate")
    figure, chosen = tables["difference"].iloc[-1], estimates.loc["the very model that was chosen"]
    for end, column in (("", "difference"), ("_low", "low"), ("_high", "high")):
        assert figure[column] == pytest.approx(report.metrics[f"report/chosen_difference{end}"], rel=1e-12)
        assert chosen[f"difference{end}"] == pytest.approx(figure[column], rel=1e-12)
    curve = pd.read_csv(report.page.parent / "tables" / "best_after_n.csv").groupby("arm").last()
    for arm, ends in verdict["ends"].items():
        assert curve.loc[arm, "test"] == pytest.approx(ends["test_accuracy"], rel=1e-12)
        assert f"{100 * ends['test_accuracy']:.1f}% test accuracy" in text
    chosen = pd.read_csv(report.page.parent / "tables" / "selection.csv").set_index("arm")
    for arm, row in chosen.iterrows():  # equal trials share the choice in both
        assert row["test_accuracy"] == pytest.approx(report.metrics[f"report/{arm}/test_accuracy"], rel=1e-12)
        assert row["gap"] == pytest.approx(report.metrics[f"report/{arm}/optimism"], abs=1e-12)


def test_metrics_and_tags_are_plain(report):
    """What the study's run is given are finite floats and short texts, under names that MLflow takes."""
    assert all(isinstance(value, float) and abs(value) < float("inf") for value in report.metrics.values())
    assert all(re.fullmatch(r"[\w./ -]+", key) for key in (*report.metrics, *report.tags))
    assert report.tags["report/verdict"] == report.verdicts[0]
    assert {"report/difference", "report/win_probability", "report/random/trials_needed"} <= set(report.metrics)


def test_the_verdict_of_a_frozen_table_is_golden(report):
    """Every word and number of verdict.json, from a table that never changes, is what was read and agreed to."""
    found, golden = json.loads((report.page.parent / "verdict.json").read_text()), json.loads(GOLDEN.read_text())
    numbers, agreed = found.pop("metrics"), golden.pop("metrics")
    assert numbers == pytest.approx(agreed, rel=1e-9)
    ends, agreed_ends = found.pop("ends"), golden.pop("ends")
    assert ends.keys() == agreed_ends.keys()
    assert all(ends[arm] == pytest.approx(agreed_ends[arm], rel=1e-9) for arm in ends)
    assert found == golden


def test_an_adaptive_arm_is_drawn_as_it_went(page):
    """The page says that the adaptive line is of single paths, and leaves that arm out of the distribution of scores."""
    assert "The line of TPE is the mean of the paths that were walked" in page
    assert "Median validation accuracy of a trial: random search" in page
    assert "Median validation accuracy of a trial: TPE" not in page


def test_one_arm_in_one_block_still_has_its_report(tmp_path):
    """The smallest study has a page without intervals or numbers that do not exist; its text is escaped."""
    hostile = "<img src=x onerror=alert(1)>"
    small = write_report(make_table(arms=(Arm("random"),), blocks=1, trials=3, question=hostile), tmp_path)
    assert hostile not in small.page.read_text()
    assert html.escape(hostile) in small.page.read_text()
    assert small.verdicts[0].startswith("The best of 3 trials of random search, random-b00-000")
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", small.page.read_text(), flags=re.DOTALL)
    assert "report/difference" not in small.metrics


def test_one_arm_has_a_page_about_its_best_network(tmp_path):
    """A study of one arm begins with the best network, and says nothing of verdicts, looks, sign flips and other arms."""
    facts = {"diagnosis": DIAGNOSIS, "columns": [["sex", "category of 2 values", 2]]}
    alone = make_table(arms=(Arm("random"),), blocks=6, trials=12, repetitions=2, provenance=facts)
    page = re.sub(r"<style>.*?</style>", "", write_report(alone, tmp_path).page.read_text(), flags=re.DOTALL)
    sections = re.findall(r'<section id="(\w+)">', page)
    assert sections[:4] == ["winner", "curve", "diagnosis", "why"]
    assert page.index('id="winner"') < page.index("<figure>")
    assert not {"difference", "chance", "pairs"} & set(sections)
    assert "columns" in sections
    assert not re.findall("(?:test_accuracy|tie_aware_test|expected_test)(?!\\.)", re.sub("<[^>]*>", "", page))
    words = r"class=\"label|verdict(?!\.json)|sign flips|contrast|the arms compared|all arms|any arm|a grid spends|\blooks?\b"
    assert re.findall(words, page, re.IGNORECASE) == []


def test_importing_the_report_is_light():
    """The command line can name the report without loading what draws it."""
    heavy = "{'matplotlib', 'plotly', 'scipy.stats', 'pandas', 'sklearn'}"
    code = f"import sys, pipeline.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "options",
    [
        {"blocks": 1},
        {"blocks": 3, "looks": (10, 20)},
        {"blocks": 7, "looks": (6,), "delta": 0.0},
        {"blocks": 6, "objective": lambda frame, _study, _rng: np.full(len(frame), 0.9)},
        {"blocks": 6, "objective": lambda frame, _study, _rng: np.full(len(frame), 0.1)},
    ],
    ids=["one block", "before the first look", "beyond the last look", "equal trials", "diverged trials"],
)
def test_unusual_tables_have_their_report(options, tmp_path):
    """A comparison of few, of equal and of diverged trials has a page with plain numbers, and a verdict for each contrast."""
    found = write_report(make_table(trials=6, **options), tmp_path)
    assert len(found.verdicts) == 2
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", found.page.read_text(), flags=re.DOTALL)
    json.loads((tmp_path / "verdict.json").read_text(), parse_constant=pytest.fail)


ODD = r"(?<![\d.,])1 (?!is|was|has|does|minus|as)[a-z]+s\b|\ball [12]\b|(?:by|exceeded|higher|raised)[^.|]{0,40} \u2212"
"""A plural of one, all of one or two, and a negative amount by which something is more."""


def test_small_counts_make_whole_sentences(tmp_path):
    """One or two blocks, trials and arms are written as a person would, and so are negative amounts."""
    for blocks, trials, arms in ((1, 1, (RANDOM, GRID, Arm("tpe"))), (2, 2, (RANDOM, GRID)), (1, 1, (RANDOM,))):
        options = {"blocks": blocks, "trials": trials, "arms": arms, "repetitions": 2, "test_noise": 0.05}
        write_report(make_table(**options), tmp_path)
        prose = [line for line in (tmp_path / "report.md").read_text().splitlines() if not line.startswith("|")]
        assert not re.findall(ODD, "\n".join(prose))


@pytest.mark.parametrize("missing", [["random"], ["shifted_grid"], ["random", "shifted_grid"]])
def test_a_missing_arm_of_the_headline_leaves_a_report(missing, tmp_path):
    """Without trials of one or both arms of the headline the page has whole sentences about the others."""
    table = make_table(blocks=6, trials=6)
    found = write_report(replace(table, frame=table.frame[~table.frame["arm"].isin(missing)]), tmp_path)
    assert found.verdicts[0].startswith("Verdict withheld: ")
    (needed,) = (sentence for sentence in found.sentences if sentence.startswith("The target of "))
    assert re.search(r"validation accuracy: (random search|the \w+ grid) ", needed)
    assert not any(sentence.endswith(" .") for sentence in found.sentences)
