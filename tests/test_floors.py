"""The floors of the house: what each module may import, read from the imports themselves."""

import ast
import re
from pathlib import Path

import pytest

import pipeline

ROOT = Path(__file__).parent.parent
FLOORS = (
    (
        "pipeline.addresses",
        "pipeline.errors",
        "pipeline.hparams",
        "pipeline.mounts",
        "pipeline.nn",
        "pipeline.opening",
        "pipeline.processes",
        "pipeline.seeds",
        "pipeline.validation",
        "pipeline.voice",
    ),
    ("pipeline.space", "pipeline.spec", "pipeline.data", "pipeline.experiment"),
    ("pipeline.training",),
    (
        "pipeline.trial",
        "pipeline.task",
        "pipeline.estimator",
        "pipeline.babysitting",
        "pipeline.samplers",
        "pipeline.pruners",
        "pipeline.stores",
        "pipeline.tracking",
    ),
    ("pipeline.search", "pipeline.progress"),
    ("pipeline.report",),
    ("pipeline.lecture",),
    (
        "pipeline.lookup",
        "pipeline.jobs",
        "pipeline.manual",
        "pipeline.manual_trial",
        "pipeline.publication",
        "pipeline.stages",
        "pipeline.model",
        "pipeline.model_code",
        "pipeline.portrait",
        "pipeline.served",
        "pipeline.ui",
        "pipeline.arguments",
        "pipeline.cli",
        "pipeline.__main__",
    ),
)
ROOMS = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ALLOWED = {
    "optuna": {"pipeline.space", "pipeline.samplers", "pipeline.pruners", "pipeline.search", "pipeline.report"},
    "mlflow": {"pipeline.tracking"},
    "matplotlib": {"pipeline.report"},
}
STUDIES_MAY = {"pipeline.spec", "pipeline.hparams", "pipeline.experiment"}


def name_of(path):
    """A file's module, ``pipeline/nn/layers.py`` being ``pipeline.nn.layers``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source, package=""):
    """Every module that is imported, at the top or inside a function, with ``from a import b`` read as ``a.b`` too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def room_of(module):
    """The room a module is in: itself, or the package of ``pipeline`` that holds it."""
    return ".".join(module.split(".")[:2])


def wrongs(module, imported):
    """What is wrong with these imports, in words."""
    room, top = room_of(module), {name.split(".")[0] for name in imported}
    rooms = {room_of(name) for name in imported if name.startswith("pipeline.")} & set(ROOMS)
    if room.startswith("studies"):
        own = {name for name in imported if name.startswith("pipeline")} - {"pipeline"}
        return [f"{module} imports {name}" for name in own if room_of(name) not in STUDIES_MAY]
    if room not in ROOMS:
        return [f"{module} has no floor"]
    climbs = [f"{module} climbs to {name}" for name in rooms if ROOMS[name] > ROOMS[room]]
    strangers = [f"{module} imports {name}" for name in top & set(ALLOWED) if room not in ALLOWED[name]]
    strangers += [f"{module} imports studies"] if "studies" in top else []
    if room == "pipeline.nn":
        foreign = top - {"numpy", "pipeline", "__future__", "collections", "dataclasses", "functools", "math", "typing"}
        foreign -= {"scipy"} if module == "pipeline.nn.products" else set()
        strangers += [f"{module} imports {name}" for name in foreign]
    return climbs + strangers


SOURCES = sorted(p for folder in ("pipeline", "studies") for p in (ROOT / folder).rglob("*.py"))
IMPORTS = {
    name_of(path): imports_of(path.read_text(), package=".".join(path.relative_to(ROOT).parts[:-1])) for path in SOURCES
}


def test_every_module_is_on_a_floor():
    """A module that is new is given its place before it is used."""
    rooms = {room_of(name) for name in IMPORTS if name.startswith("pipeline.")}
    assert rooms <= set(ROOMS)


@pytest.mark.parametrize("module", sorted(set(IMPORTS) - {"pipeline"}))
def test_imports_only_go_down(module):
    """No module imports from a floor above its own, or a library that belongs to another room."""
    assert wrongs(module, IMPORTS[module]) == []


def test_no_room_imports_in_a_circle():
    """Inside a floor imports go one way: some order of the rooms has each import only from those before it."""
    needs = {room: set() for room in ROOMS}
    for module, imported in IMPORTS.items():
        if (room := room_of(module)) in needs:
            needs[room] |= {room_of(name) for name in imported} & set(ROOMS) - {room}
    while free := {room for room, below in needs.items() if not below}:
        needs = {room: below - free for room, below in needs.items() if room not in free}
    assert needs == {}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pipeline.training", "from pipeline.search import run"),
        ("pipeline.nn.layers", "def f():\n    import scipy.special"),
        ("pipeline.hparams", "from pipeline import spec"),
        ("pipeline.search", "import mlflow.tracking"),
        ("pipeline.cli", "from optuna import load_study"),
        ("pipeline.samplers", "import studies.random_vs_grid"),
        ("pipeline.babysitting.checks", "import matplotlib.pyplot as plt"),
        ("studies.mine", "from pipeline.search import run"),
    ],
)
def test_a_climb_is_seen(module, source):
    """The reader of imports sees a climb, a stranger's library, and an import inside a function."""
    assert wrongs(module, imports_of(source)) != []


def test_the_package_lists_its_rooms():
    """The docstring of ``pipeline`` names every room on its own floor."""
    lists = re.split(r"^F\d  ", pipeline.__doc__, flags=re.MULTILINE)[1:]
    for rooms, text in zip(FLOORS, lists, strict=True):
        expected = {room.removeprefix("pipeline.") for room in rooms} - {"__main__"}
        assert set(re.findall(r"``(\w+)``", text)) == expected
