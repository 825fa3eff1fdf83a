"""The report's pages opened as files: on a wide and a narrow screen, light and dark, with scripts and without."""

import json

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed: uv sync brings it")
pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def look(browser, job):
    """Opens a page of the report and returns it, with all that it asked for; nothing may go wrong on its console."""
    contexts, wrong = [], []

    def opened(name, **options):
        contexts.append(browser.new_context(**options))
        page, asked = contexts[-1].new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        address = (job / "reports/random_vs_grid" / name).as_uri()
        page.goto(address)
        return page, [url for url in asked if url != address and not url.startswith("data:")]

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def screen(width):
    """A screen of that width, and as high as a telephone's."""
    return {"viewport": {"width": width, "height": 800}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", ["report.html", "explore.html"])
def test_nothing_scrolls_sideways(look, name, width, scheme):
    """The page is no wider than the screen, asks for no other file, and its first heading is there to read."""
    page, asked = look(name, color_scheme=scheme, **screen(width))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert asked == []
    assert page.get_by_role("heading", level=1).is_visible()


def test_dark_is_dark(look):
    """The report takes its paper and ink from the user's scheme, and its figures with it."""
    found = {}
    for scheme in ("light", "dark"):
        page, _ = look("report.html", color_scheme=scheme)
        found[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('figure svg text')).fill]"
        )
    brightness = {
        scheme: [sum(map(float, c[c.index("(") + 1 : -1].split(",")[:3])) for c in pair]
        for scheme, pair in found.items()
    }
    paper, ink = zip(brightness["light"], brightness["dark"], strict=True)
    assert paper[0] - ink[0] > 400  # of 765
    assert ink[1] - paper[1] > 400


def test_the_report_needs_no_script(look, job):
    """Without JavaScript the verdict is read and the first figure seen, its lines drawn."""
    page, _ = look("report.html", java_script_enabled=False)
    verdict = json.loads((job / "reports/random_vs_grid/verdict.json").read_text())
    assert verdict["sentences"][0] in page.get_by_role("heading", level=1).inner_text()
    figure = page.locator("figure svg").first
    assert figure.is_visible()
    assert figure.locator("path").count() > 10


def test_what_needs_scripts_says_so(look):
    """Without JavaScript the page to explore sends its reader to the report instead of standing empty."""
    page, _ = look("explore.html", java_script_enabled=False)
    assert page.get_by_role("link", name="report.html").is_visible()


def test_every_view_is_drawn(look):
    """Each heading of the page to explore has its figure, with data in it."""
    page, _ = look("explore.html")
    page.wait_for_function(
        "document.querySelectorAll('.js-plotly-plot').length == document.querySelectorAll('h2').length"
    )
    assert all(page.evaluate("[...document.querySelectorAll('.js-plotly-plot')].map(e => e._fullData.length)"))
