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


def test_nothing_is_clipped_in_print(look):
    """On A4 paper each table ends inside the page, and what is folded on the screen is open, without the figures' numbers."""
    page, _ = look(viewport={"width": 717, "height": 1000})  # A4 without its margins, at 96 pixels an inch
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 717
    right = "[...document.querySelectorAll('table')].map(table => table.getBoundingClientRect().right)"
    assert max(page.evaluate(right)) <= 717
    assert page.locator("#limits p").first.bounding_box()["height"] > 0
    assert not page.locator("figure details").first.is_visible()


def test_tables_fit_and_hide_no_row(look):
    """On a wide screen no table needs its scroll bar, neither sideways nor down, once everything is unfolded."""
    page, _ = look(**screen(1200))
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    wider = "box => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight"
    assert page.evaluate(f"[...document.querySelectorAll('.scroll')].filter({wider}).length") == 0


@pytest.mark.parametrize("scripts", [True, False])
def test_the_contents_lead_to_the_sections(look, scripts):
    """Each entry of the contents moves to its section, with scripts and without."""
    page, _ = look(java_script_enabled=scripts, **screen(400))
    entries = page.get_by_role("navigation").get_by_role("listitem").get_by_role("link")
    assert entries.count() >= 8
    for entry in entries.all():
        entry.click()
        target = page.locator(page.url[page.url.index("#") :])
        assert -1 <= target.bounding_box()["y"] < 800


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dots_are_seen(look, scheme):
    """Each dot of the projection, or its outline, has a contrast of at least 3 to the paper."""
    page, _ = look(color_scheme=scheme)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    dots = page.evaluate(
        "[...document.querySelectorAll('[id^=projection-PathCollection] use')].map(use => {"
        " const style = getComputedStyle(use); return [style.fill, style.stroke] })"
    )
    assert len(dots) >= 6
    assert min(max(contrast(colour, paper) for colour in dot) for dot in dots) >= 3


def contrast(first, second):
    """The contrast of two colours, ``rgb(r, g, b)``, by WCAG 2."""
    dark, light = sorted(map(luminance, (first, second)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    """The relative luminance of a colour."""
    assert colour.startswith("rgb(")
    shares = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
