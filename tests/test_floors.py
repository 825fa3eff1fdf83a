"""The rooms and their order: what each module may import, read from the imports themselves."""

import ast
import re
from pathlib import Path

import pytest

import pipeline

ROOT = Path(__file__).parents[1]
GROUND = ("errors", "seeds", "validation", "file_locks", "old_paths")
ROOMS = (
    "nn",
    "study",
    "data",
    "training",
    "estimator",
    "diagnosis",
    "checks",
    "trials",
    "console",
    "storage",
    "tracking",
    "search",
    "report",
    "model",
    "lecture",
    "commands",
    "cli",
)
ORDER = {name: place for place, name in enumerate((*GROUND, *ROOMS))}
ALLOWED = {
    "optuna": {"study.space", "search", "storage", "report"},
    "mlflow": {"tracking"},
    "matplotlib": {"report"},
}
"""The modules or rooms that may import a library."""
NUMPY_ALONE = {"numpy", "pipeline", "__future__", "collections", "dataclasses", "functools", "math", "typing"}


def name_of(path):
    """A file's module, ``pipeline/nn/layers.py`` being ``pipeline.nn.layers``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source):
    """Every module that is imported, at the top or inside a function, with ``from a import b`` read as ``a.b`` too."""
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import names its whole path"
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return imported


def modules_of(imported):
    """The modules among these names; a package is not one of them where a module inside of it is what is imported."""
    modules = imported & set(MODULES)
    return modules - {module.rpartition(".")[0] for module in modules}


def room_of(module):
    """The room of ``pipeline`` that a module is in, or the loose module itself."""
    return module.split(".")[1]


def wrongs(module, imported):
    """What is wrong with a module's imports, one text each."""
    libraries = {name.split(".")[0] for name in imported}
    if module.startswith("studies"):
        public = {"pipeline", *(f"pipeline.{name}" for name in pipeline.__all__)}
        return [f"{module} imports {name}" for name in imported - public if name.startswith("pipeline")]
    room = room_of(module)
    if room == "__main__":
        return []
    rooms = {room_of(name) for name in imported if name.startswith("pipeline.")} & set(ORDER)
    faults = [f"{module} climbs to {name}" for name in rooms if ORDER[name] > ORDER[room]]
    inside = module.removeprefix("pipeline.")
    faults += [f"{module} imports {name}" for name in libraries & set(ALLOWED) if not {inside, room} & ALLOWED[name]]
    faults += [f"{module} imports studies"] if "studies" in libraries else []
    if room == "nn":
        extra = {"scipy"} if module == BLAS else set()
        faults += [f"{module} imports {name}" for name in libraries - NUMPY_ALONE - extra]
    return faults


BLAS = "pipeline.nn.arithmetic"
"""The one module of ``nn`` that calls SciPy's BLAS."""
SOURCES = sorted(p for folder in ("pipeline", "studies") for p in (ROOT / folder).rglob("*.py"))
IMPORTS = {name_of(path): imports_of(path.read_text()) for path in SOURCES}
MODULES = sorted(set(IMPORTS) - {"pipeline", "studies"})


def test_every_module_is_in_a_room():
    """A new room, or a new module that lies loose in ``pipeline``, is given its place in the order before it is used."""
    assert {room_of(name) for name in MODULES if name.startswith("pipeline.")} == {*ORDER, "__main__"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_only_go_down(module):
    """No module imports from a room above its own, or a library that belongs to another room."""
    assert wrongs(module, IMPORTS[module]) == []


def test_modules_do_not_import_in_a_circle():
    """Inside the rooms, too, imports go one way: some order of the modules has each import only from those before it."""
    needs = {module: modules_of(imported) - {module} for module, imported in IMPORTS.items()}
    while free := {module for module, below in needs.items() if not below}:
        needs = {module: below - free for module, below in needs.items() if module not in free}
    assert needs == {}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pipeline.training.lockstep", "from pipeline.search import plan"),
        ("pipeline.nn.layers", "def f():\n    import scipy.special"),
        ("pipeline.nn.layers", "from pipeline.study import hparams"),
        ("pipeline.search.plan", "import mlflow.tracking"),
        ("pipeline.cli.main", "from optuna import load_study"),
        ("pipeline.study.spec", "from optuna import load_study"),
        ("pipeline.search.samplers", "import studies.random_vs_grid"),
        ("pipeline.checks.all_checks", "import matplotlib.pyplot as plt"),
        ("studies.mine", "from pipeline.search.plan import plan"),
    ],
)
def test_a_fault_is_seen(module, source):
    """The reader of imports sees an import from above, a library of another room, and an import inside a function."""
    assert wrongs(module, imports_of(source)) != []


def test_the_docs_list_the_floors():
    """``docs/architecture.md`` lists the modules below all rooms, then the rooms in order."""
    listed = re.findall(r"^(\d+)\. (.*?):", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
    floors = [list(GROUND), *([room] for room in ROOMS)]
    assert [(int(number), re.findall(r"`(\w+)`", names)) for number, names in listed] == list(enumerate(floors))
