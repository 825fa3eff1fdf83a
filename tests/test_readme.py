"""The README's words are true: its commands are known, its links and pictures are there, its searches are understood."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SEARCHES = re.findall(r"^\| [^|]+ \| (`+)(.+?)\1 \|$", (ROOT / "docs" / "mlflow_ui.md").read_text(), re.MULTILINE)


def blocks(text):
    """The lines of the fenced shell blocks of a page, without comments."""
    found = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.split("  #")[0].strip() for block in found for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in blocks((ROOT / "README.md").read_text()) if line.startswith("make")])
def test_make_knows_what_the_readme_says(line):
    """Each make command of the README is one that make can carry out."""
    words = re.findall(r'(?:[^\s"]|"[^"]*")+', line)
    command = [shutil.which("make"), "--dry-run", *(word.replace('"', "") for word in words[1:])]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).returncode == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every file that a page links to or shows is there."""
    targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text())
    missing = [t for t in targets if not t.startswith(("http://", "https://")) and not (page.parent / t).exists()]
    assert missing == []


def test_pictures_are_small():
    """No picture weighs more than 300 kB."""
    assert all(path.stat().st_size < 300_000 for path in (ROOT / "docs" / "images").iterdir())


@pytest.mark.parametrize("search", [search for _, search in SEARCHES])
def test_mlflow_understands_the_searches(search, tracking_uri):
    """Each search string of the docs is one that MLflow takes."""
    from mlflow import MlflowClient

    assert MlflowClient(tracking_uri=tracking_uri).search_runs(["0"], search) == []
