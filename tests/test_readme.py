"""The commands of the README and of docs/running.md run; links, pictures and searches of all pages work."""

import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from pipeline.cli.arguments import FLAGS, VERBS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RUNNING = (ROOT / "docs" / "running.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SEARCHES = re.findall(r"^\| [^|]+ \| (`+)(.+?)\1 \|$", (ROOT / "docs" / "mlflow_ui.md").read_text(), re.MULTILINE)


def blocks(text):
    """The lines of the fenced shell blocks of a page, without comments."""
    fenced = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.split("  #")[0].strip() for block in fenced for line in block.splitlines()]


@pytest.mark.parametrize("line", [line for line in blocks(README + RUNNING) if line.startswith("make")])
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


def test_the_verbs_and_flags_are_those_of_the_command_line():
    """The table of docs/running.md has every verb, with all its own flags, and no other."""
    section = RUNNING[RUNNING.index("## Verbs and flags") :]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*)\|$", section, re.MULTILINE)
    listed = {verb: set(re.findall(r"--[a-z0-9-]+", cell)) for verb, cell in rows if verb in VERBS}
    assert "those of `search`" in dict(rows)["run"]
    listed["run"] |= listed["search"]
    common = {"--data-dir", "--tracking-uri", "--storage"}
    assert listed == {verb: {flag.name for flag in FLAGS if verb in flag.verbs} - common for verb in VERBS}
    assert all(f"`{flag}" in section for flag in (*common, "--quiet", "--verbose", "--help"))


SMALL = "-P blocks=1 -P trials=2 -P workers=1"
MAKE_RUN = 'make run P="-P study=quick"'
BY_HAND = (
    "python3 -m venv .venv && . .venv/bin/activate && pip install uv==0.13.9 && uv sync --frozen && "
    "mlflow run . --env-manager local"
)
TRIED = {
    # The command of the page, and what is run: the same with fewer trials, or only the checks, in a newcomer's environment.
    "uv run mlflow run . --env-manager local": f"uv run mlflow run . --env-manager local {SMALL}",
    "mlflow run . --env-manager uv": ". .venv/bin/activate && mlflow run . --env-manager uv -e check",
    "uvx --from mlflow==3.17.2 mlflow run . --env-manager uv": (
        "uvx --from mlflow==3.17.2 mlflow run . --env-manager uv -e check"
    ),
    "python -m pipeline run": ". .venv/bin/activate && python -m pipeline run --blocks 1 --trials 2 --workers 1",
}
ELSEWHERE = {
    MAKE_RUN: "first of all, to set up",
    BY_HAND: "in a clone of its own",
    "make ui": "with its addresses asked",
    "mlflow run .": "where there is conda",
    "make run": "the same without a smaller budget",
    "make test": "it runs this test",
}


def test_every_command_is_tried_or_has_a_reason():
    """The commands in the blocks and the table of both pages are those that the tests know."""
    table = RUNNING[RUNNING.index("## Other ways to run") : RUNNING.index("## Verbs and flags")]
    shown = blocks(README) + blocks(RUNNING) + re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert set(shown) == {*TRIED, *ELSEWHERE}


def newcomers(home, *, uv):
    """The environment of a newcomer's shell: none of these tests' variables; uv on the PATH or not; MLflow's folder in ``home``."""
    tools = home / "bin"
    tools.mkdir(parents=True, exist_ok=True)
    for name in ("uv", "uvx") if uv else ():
        program = shutil.which(name) or str(Path(sys.executable).parent / name)
        (tools / name).unlink(missing_ok=True)
        (tools / name).symlink_to(program)
    ours = str(Path(sys.executable).parent)
    path = [str(tools)] if uv else []
    path += [part for part in os.environ["PATH"].split(":") if part != ours]
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST")
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    return environment | {"PATH": ":".join(path), "MLFLOW_ENV_ROOT": str(home / "envs")}


def run(line, folder, home, *, uv=False):
    """Run a line of shell as a newcomer types it; it must end with exit code 0."""
    environment = newcomers(home, uv=uv)
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode and re.search(
        r"dns error|Could not (?:connect|resolve)|Network is unreachable|Failed to fetch", done.stderr
    ):
        pytest.skip(f"{line}: needs a network that is absent here")
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def clone_into(folder):
    """Make a fresh clone of the committed files."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone of the repository")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A fresh clone that the small run of the README has set up, without uv on the PATH, and its home."""
    folder = tmp_path_factory.mktemp("readme")
    clone = clone_into(folder / "babysit")
    done = run(MAKE_RUN, clone, folder / "home")
    verdict = re.search("report: .*", done.stdout + done.stderr).group()
    assert verdict.startswith("report: Random search is ahead of the textbook grid"), "as the README shows"
    assert (clone / "reports" / "quick" / "report.html").is_file()
    return clone, folder / "home"


@pytest.mark.slow
@pytest.mark.parametrize("command", TRIED)
def test_the_commands_of_the_readme_run(command, clone):
    """Each one ends with exit code 0 in the fresh clone, after the checks of the default study."""
    folder, home = clone
    done = run(TRIED[command], folder, home, uv="uv run" in command or "uvx" in command)
    assert re.search(r"check: can the network of random_vs_grid learn at all\?", done.stdout + done.stderr)


@pytest.mark.slow
def test_the_dashboards_of_the_readme_open(clone):
    """``make ui`` prints two addresses that answer, and Ctrl-C stops it."""
    folder, home = clone
    settings = {"env": newcomers(home, uv=False), "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(["make", "ui"], cwd=folder, **settings) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        addresses = re.findall(r"^(?:MLflow UI|Optuna Dashboard) +(http\S+)", "".join(lines), re.MULTILINE)
        answers = [urllib.request.urlopen(address, timeout=60).status for address in addresses]  # noqa: S310  our own
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
    assert answers == [200, 200]


@pytest.mark.slow
def test_the_readme_sets_up_by_hand(tmp_path):
    """With Python alone, without make and uv, the line of docs/running.md sets up a clone and runs."""
    clone = clone_into(tmp_path / "babysit")
    done = run(f"{BY_HAND} -e check", clone, tmp_path / "home")
    assert "check: can the network of random_vs_grid learn at all?" in done.stdout + done.stderr


@pytest.mark.slow
def test_the_readme_runs_with_conda(clone):
    """Where there is conda, ``mlflow run .`` builds its environment and runs."""
    if not shutil.which("conda"):
        pytest.skip("conda is not on the PATH")
    folder, home = clone
    run(". .venv/bin/activate && mlflow run . -e check", folder, home)
