"""What the browser's tests share: a small job that was run for real, both interfaces on it, and Chromium."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = "/usr/bin/chromium"
PATIENCE = 120_000
"""Milliseconds that a page may take where processors are busy; a page that comes is not waited for."""
NO_FIRST_VISIT = "try { localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true') } catch {}"
"""MLflow UI opens the panel of its assistant on the first visit, over a quarter of the page; a sandbox has no storage."""
NOT_OURS = ("/mlflow/users/current", "ResizeObserver loop", "AG Grid", "status of 404", "'allow-popups'")
"""MLflow UI asks for the user, which a server without log-in answers by 404; the request itself is looked at. Its sandbox opens no tab."""


@dataclass(frozen=True)
class Shown:
    """Where ``babysit ui`` shows the job, by the addresses that it prints, and the folder that the job ran in."""

    mlflow: str
    dashboard: str
    verdict: str
    arms: str
    best: str
    every: str
    compared: str
    folder: Path

    @property
    def run_id(self):
        """The study's run in MLflow."""
        return re.search(r"/runs/(\w{32})", self.verdict)[1]

    @property
    def runs(self):
        """MLflow's table of the experiment's runs."""
        return self.verdict.replace(f"/{self.run_id}?", "?")


@pytest.fixture(scope="session")
def job(empty_mlflow_db, tmp_path_factory):
    """The folder of the default study, run small, by its command."""
    folder = tmp_path_factory.mktemp("job")
    shutil.copyfile(empty_mlflow_db, folder / "mlflow.db")
    words = [sys.executable, "-m", "pipeline", "run", "--blocks", "2", "--trials", "6"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def shown(job):
    """Both interfaces on the job. Stopped as by Ctrl-C at the end, nothing is left of them."""
    words = [sys.executable, "-m", "pipeline", "ui"]
    process = subprocess.Popen(words, cwd=job, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    while not lines or "Ctrl-C" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    addresses = [line.split()[-1] for line in lines[:-1]]
    verdict, arms, best, every, compared, mlflow, dashboard = addresses
    yield Shown(mlflow, dashboard, verdict, arms, best, every, compared, job)
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "both stopped\n", "")
    for group in children:
        with pytest.raises(ProcessLookupError):
            os.killpg(int(group), 0)


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: uv sync brings it")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def context(browser):
    """One visitor for all pages of the interfaces, who keeps what was loaded; small, with patience."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE)
    context.add_init_script(NO_FIRST_VISIT)
    yield context
    context.close()


@pytest.fixture
def page(context, shown):
    """A page of the interfaces that says nothing wrong on its console and asks nobody but the two servers."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda said: wrong.append(f"{said.type}: {said.text}") if said.type == "error" else None)
    page.on("response", lambda answer: wrong.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
    page.on("request", lambda request: wrong.append(f"left: {request.url}") if _leaves(request.url, shown) else None)
    yield page
    page.close()
    assert [line for line in wrong if not any(known in line for known in NOT_OURS)] == []


def _leaves(url, shown):
    """Whether a request is to somebody else."""
    return not url.startswith((f"{shown.mlflow}/", f"{shown.dashboard}/", "data:", "blob:"))
