"""What must never be in the sources: code from data, shells, archives that unpack themselves, addresses for everybody."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for folder in ("pipeline", "studies", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
FORBIDDEN = {"extractall", "eval", "exec", "system", "popen", "unsafe_load", "full_load", "joblib_load"}
EVERYBODY = ("0.0.0.0", "--disable-security-middleware")  # noqa: S104  it is looked for
OWN_CHILD = {"trials/model_process.py": ["imports pickle"]}
"""A worker and the child process that it started exchange objects, as joblib and Dask do; nothing else reaches the pipe."""
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}


def dangers(source):
    """What a source does that it must not."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from (f"imports {name}" for name in names if name.split(".")[0] in PICKLES)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield from [f"calls {name}"] if name in FORBIDDEN else []
            if name in ("text", "execute") and node.args and isinstance(node.args[0], ast.JoinedStr):
                yield f"makes SQL of values in {name}"
            for word in node.keywords:
                if word.arg in ("allow_pickle", "shell") and getattr(word.value, "value", None) is not False:
                    yield f"calls with {word.arg}"
        elif isinstance(node, ast.Constant) and node.value in EVERYBODY:
            yield f"says {node.value}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_does_what_it_must_not(path):
    """No pickle of a file or a server is loaded, no archive unpacks itself, no shell is asked, and no server is opened to the network."""
    allowed = OWN_CHILD.get(path.relative_to(ROOT / "pipeline").as_posix(), []) if "pipeline" in path.parts else []
    assert list(dangers(path.read_text())) == allowed


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import load",
        "np.load(f, allow_pickle=True)",
        "tar.extractall(d)",
        "subprocess.run(c, shell=True)",
        "host = '0.0.0.0'",
        "os.system(c)",
        "connection.execute(f'SELECT {x}')",
    ],
)
def test_a_danger_is_seen(source):
    """The reader of sources sees each of them."""
    assert list(dangers(source)) != []


PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "Makefile", ROOT / "MLproject", *ROOT.glob(".ci/*")]
)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_opens_a_server_to_everybody(path):
    """No command that people are shown, or that CI runs, binds a server to the network or turns its checks off."""
    assert [word for word in EVERYBODY if word in path.read_text()] == []


def test_nothing_is_told_to_anybody():
    """MLflow's telemetry is off in whatever Babysit starts, though its user never heard of it."""
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_DISABLE_TELEMETRY"}
    script = (
        "import pipeline.tracking, os; from mlflow.telemetry.utils import is_telemetry_disabled as off; print(off())"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_the_page_loads_nothing_from_anywhere():
    """The report's page tells the browser to fetch nothing, and to run no script."""
    text = (ROOT / "pipeline" / "report" / "templates" / "page.html.j2").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text).group(1)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "http" not in policy
