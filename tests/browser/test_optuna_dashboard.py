"""Optuna Dashboard in a real browser: the arms' studies, each with its charts, its note and our own figure."""

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
    """The studies are named so that they sort, and stand in that order or its reverse."""
    page.goto(f"{shown.dashboard}/dashboard")
    expect(page.get_by_text("random_vs_grid/random/b00")).to_be_visible()
    names = re.findall(r"random_vs_grid/\w+/b\d\d", page.inner_text("body"))
    arms = ("shifted_grid", "grid", "random")
    assert names == [f"random_vs_grid/{arm}/b0{block}" for arm in arms for block in (1, 0)]


def test_a_study_has_its_charts_and_ours(page, shown):
    """History, importance, intermediate values and timeline are drawn, and the report's figure, with a line for each arm."""
    opened(page, shown, "random_vs_grid/random/b00")
    for heading in ("History", "Hyperparameter Importance", "Intermediate values", "Timeline"):
        expect(
            page.get_by_role("heading", name=heading).or_(page.locator("p, h6").get_by_text(heading)).first
        ).to_be_visible()
    own = page.locator("[id='user-defined-plot:best_after_n']")
    expect(own.get_by_text("Your best model after n trials: test accuracy, mean over 2 blocks")).to_be_visible()
    for arm in ("Random search", "Shifted grid", "Textbook grid"):
        expect(own.locator(".legend").get_by_text(arm)).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length >= 5")
    charts = {"plot-history", "graph-hyperparameter-importances", "graph-timeline", "graph-intermediate-values"}
    assert charts <= set(drawn(page))


def test_a_studys_note_is_rendered(page, shown):
    """The note says the question, the arm and the MLflow run, as Markdown and not as its source."""
    page.goto(f"{opened(page, shown, 'random_vs_grid/shifted_grid/b01')}/note")
    expect(page.locator("strong").get_by_text("Is random search better than grid search?")).to_be_visible()
    assert {"shifted_grid", "random_vs_grid", shown.run_id} <= set(page.locator("code").all_inner_texts())
    assert "block 1" in page.inner_text("body")


def test_the_arms_are_compared(page, shown):
    """The printed link lays the first block's studies of all arms into one history and one distribution."""
    page.goto(shown.compared)
    for arm in ("random", "shifted_grid", "grid"):
        expect(page.locator(".legend").get_by_text(f"Best Value of random_vs_grid/{arm}/b00")).to_be_visible()
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length >= 2")
    assert len(drawn(page)) >= 2
