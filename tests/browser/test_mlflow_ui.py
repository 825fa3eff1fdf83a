"""MLflow UI in a real browser: what a user sees of a study by the links that are printed, without a click."""

import csv
import json
import re

import pytest
from mlflow import MlflowClient

pytest.importorskip("playwright", reason="Playwright is not installed: uv sync brings it")
from playwright.sync_api import expect

from pipeline.tracking.views import TITLES

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ARMS = ["grid", "random", "shifted_grid"]
TRIAL = re.compile(r"^(grid|random|shifted_grid)-b0\d-\d{4}(-r\d)?$")
DRAWN = ".js-plotly-plot"


def lines_of(page, metric):
    """The legend of the chart of a metric."""
    texts = page.get_by_text(re.compile(rf"\({re.escape(metric)}\)$")).all_inner_texts()
    return sorted({text.removesuffix(f" ({metric})") for text in texts})


def test_the_runs_page_has_the_study_and_its_trials_below(page, shown):
    """The table shows the study's run with its data set; unfolded, its arms' runs, its trials, and then the repetitions."""
    page.goto(shown.runs)
    expect(page.get_by_role("link", name="random_vs_grid", exact=True)).to_be_visible()
    expect(page.get_by_text("73 matching runs")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^digits \(\w+")).first).to_be_visible()
    rows = page.locator(".ag-center-cols-container .ag-row")
    assert rows.count() == 1
    page.locator("[data-component-id*='runnamecellrenderer']").first.click()
    expect(rows.nth(9)).to_be_attached()
    names = page.get_by_role("link", name=re.compile(r"-b\d\d")).all_inner_texts()
    assert names[:6] == [f"{arm}-b0{block}" for arm in ("random", "grid", "shifted_grid") for block in (0, 1)]
    assert TRIAL.match(names[6])
    assert [bool(re.search(r"-r\d$", name)) for name in names[6:72]] == [False] * 36 + [True] * 30


def test_the_studys_page_says_what_was_found(page, shown):
    """The study's run has its name, its description with the verdict and links that work, its data set, tags, metrics."""
    page.goto(shown.verdict)
    expect(page.get_by_role("heading", name="random_vs_grid")).to_be_visible()
    verdict = json.loads((shown.folder / "reports/random_vs_grid/verdict.json").read_text())
    for text in ("Is random search better than grid search?", verdict["sentences"][0]):
        expect(page.locator("strong, p").get_by_text(text, exact=True).first).to_be_visible()
    expect(page.get_by_text(re.compile(r"^digits \(\w+")).first).to_be_visible()
    for text in ("report/label", "study_hash", "report/verdict", "check/initial_loss", "health/good"):
        expect(page.get_by_text(re.compile(f"^{text}")).first).to_be_attached()
    links = {name: page.get_by_role("link", name=name, exact=True) for name in TITLES.values()}
    assert [link.evaluate("link => link.href") for link in links.values()] == [shown.arms, shown.best, shown.every]
    with page.expect_popup() as opened:
        page.get_by_role("link", name="The report", exact=True).click()
    expect(opened.value.get_by_text("report/report.html", exact=True)).to_be_visible()
    opened.value.close()


def test_the_report_opens_among_the_artifacts(page, shown):
    """report.html stands in its sandbox as it stands alone: the verdict, the first figure drawn; no link blanks it."""
    page.goto(shown.verdict.replace("?", "/artifacts/report/report.html?"))
    frame = page.frame_locator("iframe")
    verdict = json.loads((shown.folder / "reports/random_vs_grid/verdict.json").read_text())
    expect(frame.get_by_role("heading", level=1)).to_contain_text(verdict["sentences"][0])
    first = frame.locator("figure svg").first
    expect(first).to_be_visible()
    assert first.bounding_box()["width"] > 300
    frame.get_by_role("link", name="trials.csv").click()  # the sandbox opens no tab
    expect(first).to_be_visible()


def test_the_arms_stand_side_by_side(page, shown):
    """Grouped by arm and folded, the arms' curves by number of trials come first, a line for each arm; none is empty."""
    page.goto(shown.arms)
    expect(page.get_by_text("Group by: arm")).to_be_visible()
    expect(page.get_by_text("6 matching runs")).to_be_visible()
    for metric in ("best_so_far/test_accuracy", "expected/test_accuracy", "best_so_far/val_accuracy"):
        legend = page.get_by_text(f"{ARMS[0]} ({metric})", exact=True)
        page.mouse.move(900, 500)
        for _ in range(40):  # a chart is drawn when it is scrolled to
            if legend.count():
                break
            page.mouse.wheel(0, 200)
            page.wait_for_timeout(500)
        expect(legend).to_be_visible()
        assert lines_of(page, metric) == ARMS
    chart = page.locator(DRAWN).first
    assert chart.evaluate("chart => chart._fullData.length") >= len(ARMS)
    assert chart.evaluate("chart => Math.max(...chart._fullData.flatMap(line => line.x))") == 6
    assert page.get_by_role("link", name=re.compile(r"-b\d\d$")).count() == 0
    said = page.inner_text("body")
    heads = ["after n trials\n(3)", "all trials\n(2)", "numbers\n(2)"]
    places = [said.index(head) for head in heads]
    assert places == sorted(places)
    assert "No charts" not in said


def test_the_run_of_an_arm_names_its_choice(page, shown):
    """The page of an arm's run says which trial validation chooses, with a link to it."""
    query = "tags.kind = 'arm' and tags.arm = 'random' and tags.block = '0'"
    (run,) = MlflowClient(f"sqlite:///{shown.folder / 'mlflow.db'}").search_runs(["0"], query)
    page.goto(shown.verdict.replace(shown.run_id, run.info.run_id))
    choice = page.get_by_role("link", name=re.compile(r"^random-b00-\d{4}$")).first
    expect(choice).to_be_visible()
    assert re.search(r"/runs/\w{32}\?", choice.evaluate("link => link.href"))


@pytest.mark.parametrize(("view", "order"), [("best", "best/val_accuracy"), ("every", "trial")])
def test_trials_have_an_axis_for_the_arm(view, order, page, shown):
    """The first chart has the arm and the hyperparameters, those on a log scale by their logarithms."""
    page.goto(getattr(shown, view))
    expect(page.get_by_text(f"Sort: {order}")).to_be_visible()
    expect(page.get_by_text("Parallel Coordinates", exact=True)).to_be_visible()
    expect(page.locator("svg text").get_by_text("batch_norm", exact=True)).to_be_visible()
    axes = set(page.locator("svg text").all_text_contents())
    assert {"arm", "log10_learning_rate", "log10_l2", "activation", "init", "batch_norm", "best/val_accuracy"} <= axes
    assert set(ARMS) <= axes


def test_the_best_trials_come_first(page, shown):
    """The trials of that view are sorted by validation accuracy."""
    page.goto(shown.best)
    expect(page.get_by_text("Sort: best/val_accuracy")).to_be_visible()
    expect(page.get_by_role("link", name=TRIAL).first).to_be_visible()
    names = page.get_by_role("link", name=TRIAL).all_inner_texts()
    with (shown.folder / "reports/random_vs_grid/trials.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["repetition"] == "0"]
    scores = {f"{r['arm']}-b{int(r['block']):02d}-{int(r['trial']):04d}": float(r["best/val_accuracy"]) for r in rows}
    shown_scores = [scores[name] for name in names]
    assert shown_scores == sorted(scores.values(), reverse=True)[: len(names)]
    assert len(names) > 9
