"""The pages of the docs list what exists, and the Python and commands that they show run."""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import MISSING, fields
from inspect import getdoc
from pathlib import Path

import pytest

from pipeline.cli.arguments import VERBS, parser
from pipeline.diagnosis.diagnose import RULES
from pipeline.diagnosis.trial_facts import RULE_FAILED
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.initializers import DISTRIBUTIONS, INITIALIZERS
from pipeline.nn.optimizers import OPTIMIZERS
from pipeline.nn.schedules import SCHEDULES
from pipeline.report.verdict import LABELS
from pipeline.search.pruners import PRUNERS
from pipeline.search.samplers import ADAPTIVE, PLANNED
from pipeline.study.arms import GRIDS
from pipeline.study.experiment import DEMONSTRATIONS, Experiment
from pipeline.study.hparams import CLASS_WEIGHTS, PREPROCESSING_NAMES, HyperParams, TrainConfig
from pipeline.study.loading import find_study
from pipeline.study.spec import Arm, Categorical, Float, Pruner, Stage, Study
from pipeline.study.suite import Suite

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md", *sorted(DOCS.glob("*.md"))]

NAMES = {"HyperParams": HyperParams, "TrainConfig": TrainConfig, "Arm": Arm}


def page(name):
    """The text of a page of the docs."""
    return (DOCS / name).read_text()


def blocks(text, *languages):
    """The fenced blocks of a page in these languages, in order."""
    return [
        block
        for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if kind in languages
    ]


def rows(text, heading):
    """The rows of the first table under a heading, each a list of cells."""
    table = text[text.index(heading) :]
    lines = re.search(r"^\|.*?\n(?!\|)", table, re.MULTILINE | re.DOTALL).group().splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def commands(text):
    """The commands of the shell blocks of a page, without comments."""
    lines = [line.split("  #")[0].strip() for block in blocks(text, "sh") for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize(
    ("kind", "heading"),
    [
        (Study, "\n## Study\n"),
        (Float, "\n| `Float`"),
        (Arm, "\n## Arm\n"),
        (Pruner, "\n## Pruner\n"),
        (Stage, "\n## Stage\n"),
        (HyperParams, "\n## HyperParams\n"),
        (TrainConfig, "\n## TrainConfig\n"),
        (Suite, "\n## Suite\n"),
        (Experiment, "\n## Experiment\n"),
    ],
)
def test_every_word_of_a_study_is_listed_with_its_default(kind, heading):
    """Each table of the page has the fields of its class, in their order, with the defaults that they have."""
    table = rows(page("studies.md"), heading)
    words = kind.__dataclass_fields__.values()  # with those that are only arguments, such as max_blocks
    assert [row[0] for row in table] == [f"`{field.name}`" for field in words]
    for field, (_, default, _) in zip(words, table, strict=True):
        if default == "required":
            assert (field.default, field.default_factory) == (MISSING, MISSING)
        elif default.startswith("`"):
            value = field.default if field.default is not MISSING else field.default_factory()
            shown = eval(default.strip("`"), NAMES)  # noqa: S307  the page is our own
            assert shown == value, field.name
        else:
            assert default in ("the name", "the grid's size")


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("activation", ACTIVATIONS),
        ("init", INITIALIZERS),
        ("optimizer", OPTIMIZERS),
        ("schedule", SCHEDULES),
        ("class_weight", CLASS_WEIGHTS),
        ("init_distribution", DISTRIBUTIONS),
        ("preprocessing", PREPROCESSING_NAMES),
        ("demonstration", DEMONSTRATIONS),
        ("sampler", (*GRIDS, *PLANNED, *ADAPTIVE)),
    ],
)
def test_every_choice_is_listed(word, known):
    """What a word of a study may be is on the page, whole."""
    *_, row = re.findall(rf"^\| `{word}` \|.*\|$", page("studies.md"), re.MULTILINE)
    assert {f"`{name}`" for name in known} <= set(re.findall(r"`[^`]+`", row))


def test_every_pruner_is_listed():
    """The pruners of the page are those that there are."""
    listed = rows(page("studies.md"), "\n## Pruner\n")[0][2]
    assert set(re.findall(r"`(\w+)`", listed)) == set(PRUNERS)


def test_no_word_of_a_study_is_left_out():
    """Choices, and how many of them a grid takes, are all that a categorical hyperparameter has."""
    assert [row[0] for row in rows(page("studies.md"), "\n| `Categorical`")] == ["`choices`", "`levels`"]
    assert [field.name for field in fields(Categorical)] == ["choices", "levels"]


def codes():
    """The codes that the built-in rules can give, read from their sources."""
    sources = "".join(path.read_text() for path in (ROOT / "pipeline" / "diagnosis").glob("*.py"))
    literal = set(re.findall(r'\bFinding\(\s*"([a-z0-9-]+)"', sources))
    return literal | set(re.findall(r'"(updates-(?:low|high))"', sources))


def test_the_diagnosis_codes_are_those_of_the_rules():
    """Every code that a rule gives has its row, every row a rule, and each rule's pitfall is on the page."""
    listed = [re.findall(r"`([a-z0-9-]+)`", row[0]) for row in rows(page("diagnosis.md"), "| code | pitfall")]
    assert {code for cell in listed for code in cell} == codes()
    assert len(listed) == len(RULES)
    assert RULE_FAILED in page("diagnosis.md")
    for rule in RULES:
        for pitfall in re.findall(r"\bP\d+\b", getdoc(rule).split(":")[0]):
            assert re.search(rf"\b{pitfall}\b", page("diagnosis.md")), pitfall


def test_the_rules_of_the_verdict_are_listed():
    """Each rule of the verdict has its row, with its label."""
    listed = [(int(row[0]), row[1].strip("`")) for row in rows(page("report.md"), "\n## The verdict\n")]
    assert listed == list(enumerate(LABELS))


def test_the_picture_shows_rooms_that_there_are():
    """Each box of the picture that names a module or a package names one that exists."""
    (picture,) = blocks(page("architecture.md"), "mermaid")
    named = re.findall(r'\["([a-z_.]+):', picture)
    assert len(named) > 10
    for name in named:
        path = ROOT / "pipeline" / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


@pytest.mark.parametrize("text", PAGES, ids=lambda path: path.name)
def test_the_files_that_pages_name_exist(text):
    """A file of the sources that is named in running text is there."""
    named = re.findall(r"`((?:pipeline|studies|tests|benchmarks|docs)/[\w/.-]+)`", text.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("text", PAGES, ids=lambda path: path.name)
def test_the_command_line_takes_what_pages_show(text, monkeypatch):
    """Every command of babysit in a page is one that it takes, and every make target and MLproject entry is known."""
    shown = [
        *commands(text.read_text()),
        *re.findall(r"`((?:babysit|python -m pipeline) [a-z][^`]*)`", text.read_text()),
    ]
    for line in shown:
        words = [word for word in shlex.split(line) if "=" not in word or word.startswith("-")]
        if words[:3] == ["python", "-m", "pipeline"]:
            words = ["babysit", *words[3:]]
        if words[0] == "babysit" and words[1] in VERBS:
            parser().parse_args(words[1:])
    entries = set(re.findall(r"-e (\w+)", " ".join(shown)))
    assert entries <= set(re.findall(r"^  (\w+):", (ROOT / "MLproject").read_text(), re.MULTILINE))


PYTHON = [
    (path.name, i, block)
    for path in PAGES
    for i, block in enumerate(blocks(path.read_text(), "python"))
    if "models:/" not in block  # what needs a registered model is run where there is one, in test_model.py
]


@pytest.mark.parametrize(("name", "i", "block"), PYTHON, ids=lambda value: str(value)[:20].replace("\n", " "))
def test_the_python_of_pages_runs(name, i, block, tmp_path, monkeypatch):
    """Each block of Python runs as it stands, in an empty folder; a study declares what it says."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{Path(name).stem.replace('-', '_')}_{i}.py"
    path.write_text(block)
    if "STUDY = Study(" in block:
        assert find_study(str(path), {}).name in block
    else:
        exec(compile(block, str(path), "exec"), {"__name__": path.stem})  # noqa: S102  the page is our own


def walk(folder):
    """Write the files of the page on extending into a folder, and run its commands there, as its reader would."""
    text = page("extending.md")
    for block in blocks(text, "python", "toml"):
        name, _, source = block.partition("\n")
        path = folder / name.removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "VIRTUAL_ENV": str(binaries.parent)}
    del environment["PYTHONPATH"]
    for line in commands(text):
        yield (
            line,
            subprocess.run(
                ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
            ),
        )


@pytest.mark.slow
def test_what_extends_the_pipeline_does_so_from_outside(tmp_path):
    """A study, arrays, a sampler and an installed rule of one's own, in a folder of one's own, by the page's commands."""
    if not (Path(sys.executable).parent / "babysit").exists():
        pytest.skip("the command babysit is not installed here; make install does so")
    folder = tmp_path / "of my own"
    folder.mkdir()
    outputs = {}
    for line, done in walk(folder):
        assert done.returncode == 0, (line, done.stderr)
        outputs[line] = done.stdout
    quiet, verbose, last = (
        outputs[f"PYTHONPATH={line}"]
        for line in (
            ". babysit report mine.py --quiet",
            ".:rules babysit search mine.py --new --verbose",
            ".:rules babysit report mine.py",
        )
    )
    assert re.fullmatch(r"report: .*\npage: .*/of my own/reports/mine/report.html\n", quiet)
    assert "installed rules: 'too-short' of patience 1.0" in verbose
    assert "diagnosis: " in last
    assert "nearby" in (folder / "reports" / "mine-2" / "trials.csv").read_text()
    first, second = (folder / "optuna.log").read_text().split('"mine-2/', maxsplit=1)
    assert "the loss still fell in epoch 5" in second
    assert "the loss still fell in epoch 5" not in first
