"""The report's page opened as a file: on a wide and a narrow screen, light and dark, with scripts and without."""

import json

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed: uv sync brings it")
pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture
def look(browser, job):
    """Opens the report's page and returns it, with all that it asked for; nothing may go wrong on its console."""
    contexts, wrong = [], []

    def opened(**options):
        contexts.append(browser.new_context(**options))
        page, asked = contexts[-1].new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        address = (job / "reports/random_vs_grid/report.html").as_uri()
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
def test_nothing_scrolls_sideways(look, width, scheme):
    """The page is no wider than the screen, asks for no other file, and its first heading is there to read."""
    page, asked = look(color_scheme=scheme, **screen(width))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert asked == []
    assert page.get_by_role("heading", level=1).is_visible()


def test_dark_is_dark(look):
    """The report takes its paper and ink from the user's scheme, and its figures with it."""
    found = {}
    for scheme in ("light", "dark"):
        page, _ = look(color_scheme=scheme)
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
    page, _ = look(java_script_enabled=False)
    verdict = json.loads((job / "reports/random_vs_grid/verdict.json").read_text())
    assert verdict["sentences"][0] in page.get_by_role("heading", level=1).inner_text()
    figure = page.locator("figure svg").first
    assert figure.is_visible()
    assert figure.locator("path").count() > 10
