"""What must never be in the sources: code from data, shells, archives that unpack themselves, addresses for everybody."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for folder in ("pipeline", "studies", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
FORBIDDEN = {"extractall", "eval", "exec", "system", "popen", "unsafe_load", "full_load", "joblib_load"}
EVERYBODY = ("0.0.0.0", "--disable-security-middleware")  # noqa: S104  it is looked for
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
            for word in node.keywords:
                if word.arg in ("allow_pickle", "shell") and getattr(word.value, "value", None) is not False:
                    yield f"calls with {word.arg}"
        elif isinstance(node, ast.Constant) and node.value in EVERYBODY:
            yield f"says {node.value}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_does_what_it_must_not(path):
    """No pickle is loaded, no archive unpacks itself, no shell is asked, and no server is opened to the network."""
    assert list(dangers(path.read_text())) == []


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
    ],
)
def test_a_danger_is_seen(source):
    """The reader of sources sees each of them."""
    assert list(dangers(source)) != []
