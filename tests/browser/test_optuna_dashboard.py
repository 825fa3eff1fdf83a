"""Optuna Dashboard in a real browser: the arms' studies, pooled too, with their charts, notes and our own figure."""

import json
import re

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed: uv sync brings it")
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def drawn(page):
    """The charts of a page that hold a trace, by their ids."""
    return page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].filter(e => e._fullData.length).map(e => e.id)"
    )


def opened(page, shown, name):
    """The address of a study's page, found by its name as a user finds it: by a click in the list."""
    page.goto(f"{shown.dashboard}/dashboard")
    page.get_by_text(re.compile(rf"\. {name}$")).click()
    expect(page).to_have_url(re.compile(r"/studies/\d+$"))
    return page.url


def test_the_list_has_every_arm_and_block(page, shown):
    """The studies are named so that they sort, and stand in that order or its reverse; the pooled ones come first."""
    page.goto(f"{shown.dashboard}/dashboard")
    expect(page.get_by_text("random_vs_grid/random/b00")).to_be_visible()
    names = re.findall(r"random_vs_grid/\w+/(?:b\d\d|all blocks)", page.inner_text("body"))
    arms = ("shifted_grid", "grid", "random")
    assert names == [
        *(f"random_vs_grid/{arm}/all blocks" for arm in arms),
        *(f"random_vs_grid/{arm}/b0{block}" for arm in arms for block in (1, 0)),
    ]


@pytest.mark.parametrize("place", ["b00", "b01", "all blocks"])
def test_a_study_has_its_charts_and_ours(page, shown, place):
    """History, importance and timeline are drawn, curves in a block, and the report's figure with a line for each arm."""
    opened(page, shown, f"random_vs_grid/random/{place}")
    charts = {"History": "plot-history", "Hyperparameter Importance": "graph-hyperparameter-importances"}
    charts |= {"Timeline": "graph-timeline"}
    charts |= {} if place == "all blocks" else {"Intermediate values": "graph-intermediate-values"}
    for heading in charts:
        expect(
            page.get_by_role("heading", name=heading).or_(page.locator("p, h6").get_by_text(heading)).first
        ).to_be_visible()
    own = page.locator("[id='user-defined-plot:best_after_n']")
    expect(own.get_by_text("Your best model after n trials: test accuracy, mean over 2 blocks")).to_be_visible()
    for arm in ("Random search", "Shifted grid", "Textbook grid"):
        expect(own.locator(".legend").get_by_text(arm)).to_be_visible()
    low, high = own.evaluate("chart => chart._fullLayout.yaxis.range")
    assert 0 < low < high < 1.1
    page.wait_for_function(f"document.querySelectorAll('.js-plotly-plot').length >= {len(charts) + 1}")
    assert set(charts.values()) <= set(drawn(page))


def test_a_pooled_study_has_the_trials_of_all_blocks(page, shown):
    """Its history has six trials of each of two blocks, and its note says that nothing is searched there."""
    opened(page, shown, "random_vs_grid/random/all blocks")
    page.wait_for_function("document.querySelector('#plot-history')?._fullData?.length")
    assert page.evaluate("Math.max(...document.querySelector('#plot-history')._fullData.map(t => t.x.length))") == 12
    page.goto(f"{page.url}/note")
    expect(page.get_by_text("nothing is searched here")).to_be_visible()


def test_a_studys_note_is_rendered(page, shown):
    """The note says the question, the verdict, the arm and the MLflow run with its link, as Markdown and not its source."""
    page.goto(f"{opened(page, shown, 'random_vs_grid/shifted_grid/b01')}/note")
    expect(page.locator("strong").get_by_text("Is random search better than grid search?")).to_be_visible()
    assert {"shifted_grid", "random_vs_grid"} <= set(page.locator("code").all_inner_texts())
    verdict = json.loads((shown.folder / "reports/random_vs_grid/verdict.json").read_text())
    for text in (verdict["sentences"][0], "block 1"):
        assert text in page.inner_text("body")
    link = page.get_by_role("link", name=f"run {shown.run_id}").get_attribute("href")
    assert link.partition("#")[2] == shown.verdict.partition("#")[2]


def test_the_best_trial_is_a_click_away(page, shown):
    """The study's note leads to its best trial, whose own note has the diagnosis and leads to its run."""
    page.goto(f"{opened(page, shown, 'random_vs_grid/random/b01')}/note")
    page.locator("li").filter(has_text="best of").get_by_role("link").click()
    expect(page.get_by_text(re.compile(r"^Trial \d+ \(trial_id"))).to_be_visible()
    expect(page.get_by_text("Best Trial", exact=True).first).to_be_visible()
    expect(page.get_by_text("Diagnosis: ")).to_be_visible()
    assert "/runs/" in page.get_by_role("link", name="Its run in MLflow").get_attribute("href")


def test_the_arms_are_compared(page, shown):
    """The printed link lays all arms over all blocks into one history and one distribution."""
    page.goto(shown.compared)
    for arm in ("random", "shifted_grid", "grid"):
        expect(page.locator(".legend").get_by_text(f"Best Value of random_vs_grid/{arm}/all blocks")).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length >= 2")
    assert len(drawn(page)) >= 2
