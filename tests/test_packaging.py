"""The three files that name the environment agree, and so do the verbs that build it."""

import itertools
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from pipeline import __version__
from pipeline.cli.main import parser

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "conda.yaml").read_text())
MLPROJECT = yaml.safe_load((ROOT / "MLproject").read_text())
LOCK = {package["name"]: package for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
DEPENDENCIES = PYPROJECT["project"]["dependencies"]
RANGES = [Requirement(text) for text in DEPENDENCIES]
CONDA_PINS = dict(pin.split("==") for entry in CONDA["dependencies"] if isinstance(entry, dict) for pin in entry["pip"])


def test_conda_and_pyproject_name_the_same_packages():
    """conda.yaml installs through pip exactly the packages that pyproject.toml depends on."""
    assert sorted(CONDA_PINS) == sorted(requirement.name for requirement in RANGES)


@pytest.mark.parametrize("requirement", RANGES, ids=str)
def test_the_lock_lies_within_the_range(requirement):
    """uv.lock has each runtime package at a version that pyproject.toml allows, and conda.yaml names the same version."""
    version = LOCK[requirement.name]["version"]
    assert requirement.specifier.contains(version)
    assert CONDA_PINS[requirement.name] == version


@pytest.mark.parametrize("requirement", RANGES, ids=str)
def test_a_range_has_a_floor_and_excludes_the_next_major_version(requirement):
    """Each range begins at a version of the locked major version, and ends below the next one."""
    major = int(LOCK[requirement.name]["version"].split(".")[0])
    bounds = {bound.operator: bound.version for bound in requirement.specifier}
    assert set(bounds) == {">=", "<"}
    assert bounds["<"] == str(major + 1)
    assert bounds[">="].split(".")[0] == str(major)


def test_nothing_is_built():
    """Babysit runs from its clone: pyproject.toml names no build system, scripts or wheel."""
    assert not {"build-system"} & set(PYPROJECT)
    assert "scripts" not in PYPROJECT["project"]


def test_conda_keeps_its_packages_in_pip():
    """Only Python and pip stand outside the pip section, since mlflow drops all else when it builds with uv."""
    outside = [re.split("[=<>]", entry)[0] for entry in CONDA["dependencies"] if isinstance(entry, str)]
    assert outside == ["python", "pip"]


def test_conda_has_a_python_that_the_project_supports():
    """The Python of conda.yaml is a minor version inside requires-python."""
    (python,) = (entry for entry in CONDA["dependencies"] if isinstance(entry, str) and entry.startswith("python="))
    low, below = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PYPROJECT["project"]["requires-python"]).groups()
    assert int(low) <= int(python.removeprefix("python=3.")) < int(below)


def test_the_lock_was_made_from_this_pyproject():
    """uv.lock records the requirements of pyproject.toml as they stand, those of the extras and the dev group too."""
    project = LOCK[PYPROJECT["project"]["name"]]
    locked = [entry["name"] + entry.get("specifier", "") for entry in project["metadata"]["requires-dist"]]
    extras = [pin for pins in PYPROJECT["project"]["optional-dependencies"].values() for pin in pins]
    assert sorted(locked) == sorted([*DEPENDENCIES, *extras])
    dev = [entry["name"] + entry.get("specifier", "") for entry in project["metadata"]["requires-dev"]["dev"]]
    assert sorted(dev) == sorted(name.lower() for name in PYPROJECT["dependency-groups"]["dev"])
    assert project["version"] == PYPROJECT["project"]["version"] == __version__


def test_the_lock_names_only_the_public_index():
    """Anyone can install from uv.lock: every package comes from PyPI, with its hash."""
    packages = [package for name, package in LOCK.items() if name != PYPROJECT["project"]["name"]]
    assert {package["source"]["registry"] for package in packages} == {"https://pypi.org/simple"}
    assert all(file["hash"].startswith("sha256:") for package in packages for file in package["wheels"])


def test_make_brings_the_locked_uv_where_there_is_none(tmp_path):
    """Without uv on PATH, ``make install`` puts the uv of uv.lock into the environment."""
    (tmp_path / "sed").symlink_to(shutil.which("sed"))
    command = [shutil.which("make"), "--dry-run", "--always-make", "install"]
    path = {"PATH": str(tmp_path)}
    plan = subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, check=True).stdout
    assert f'"uv=={LOCK["uv"]["version"]}"' in plan


@pytest.mark.parametrize("entry", MLPROJECT["entry_points"])
def test_an_entry_point_is_whole(entry):
    """Each parameter of an entry point has a type and a default, and its command uses it and no other."""
    point = MLPROJECT["entry_points"][entry]
    assert all(set(spec) == {"type", "default"} for spec in point["parameters"].values())
    assert set(re.findall(r"{(\w+)}", point["command"])) == set(point["parameters"])


@pytest.mark.parametrize("entry", MLPROJECT["entry_points"])
def test_the_command_line_takes_an_entry_point(entry):
    """The command of each entry point, with all of its defaults, is one that the command line understands."""
    point = MLPROJECT["entry_points"][entry]
    defaults = {name: shlex.quote(spec["default"]) for name, spec in point["parameters"].items()}
    python, m, package, *arguments = shlex.split(point["command"].format(**defaults))
    assert (python, m, package) == ("python", "-m", "pipeline")
    given = vars(parser().parse_args(arguments))
    assert given.pop("verb") == ("run" if entry == "main" else entry)
    assert given.pop("study") == ("" if entry == "lecture" else "random_vs_grid")
    lists = (value if isinstance(value, list) else [value] for value in given.values())
    assert not any(itertools.chain(*lists))


def test_the_readme_shows_the_default_study():
    """The default study in the README is the file, whole."""
    assert (ROOT / "studies" / "random_vs_grid.py").read_text() in (ROOT / "README.md").read_text()


def test_the_pages_name_the_locked_versions():
    """The commands of docs/running.md that name a version name the one of uv.lock; the README names none."""
    assert "==" not in (ROOT / "README.md").read_text()
    named = re.findall(r"\b(uv|mlflow)==([\w.]+)", (ROOT / "docs" / "running.md").read_text())
    assert {name for name, _ in named} == {"uv", "mlflow"}
    assert all(LOCK[name]["version"] == version for name, version in named)
