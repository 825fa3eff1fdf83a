"""The studies in ``studies/``: each is read and planned, and those of CIFAR-10 run on archives of its format."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.data import describe
from pipeline.data.cifar import ARCHIVES
from pipeline.data.dataset import load_rows
from pipeline.search.plan import plan, tasks
from pipeline.search.pruning_history import PruningHistory
from pipeline.search.samplers import is_planned
from pipeline.study.loading import find_declared, find_study, is_experiment, study_names
from pipeline.study.spec import Study
from pipeline.trials.task import run_task

NAMES = [name for name in study_names() if not is_experiment(name) and isinstance(find_declared(name, {}), Study)]
CIFAR = [name for name in NAMES if name.startswith("cifar10")]


def test_the_studies_of_cifar_exist():
    """There are five studies of CIFAR-10."""
    assert {"cifar10", "cifar10_subset", "cifar10_coarse", "cifar10_mlp", "cifar10_conv"} <= set(CIFAR)


@pytest.mark.parametrize("name", NAMES)
def test_every_study_is_planned(name):
    """A study has the name of its file, and every trial of the planned arms lies in its space."""
    study = find_study(name, {})
    trials = plan(study)
    assert study.name == name
    assert len(trials) == study.blocks * study.trials * sum(map(is_planned, study.arms))
    assert all(trial.point.keys() == study.space.keys() for trial in trials)


def test_bergstra_and_bengios_suite_is_planned():
    """Every budget has the eight data sets of the paper's kind, a grid of 96 points, and names of its own."""
    suites = [find_declared(f"bergstra_bengio{budget}", {}).studies for budget in ("", ":quick", ":full")]
    assert [len(studies) for studies in suites] == [8, 8, 8]
    for study in sum(suites, ()):
        assert (study.space.grid_size, [arm.name for arm in study.arms]) == (96, ["random", "grid"])
        assert describe(study.source).columns == 784
    for study in (*suites[0], *suites[1], suites[2][0]):  # the plan of a study does not depend on its data
        assert len(plan(study)) == 2 * study.blocks * study.trials
    assert len({study.name for studies in suites for study in studies}) == 24


@pytest.mark.parametrize("name", CIFAR)
def test_the_studies_of_cifar_run_on_its_format(name, folder, publish, forge):
    """From an archive in the published format, one trial of each structure trains for one epoch."""
    archive = forge.published(forge.small("cifar10"))
    (folder / publish("cifar10", archive).file.name).write_bytes(archive)
    study = find_study(name, {"blocks": 1})
    config = replace(study.config, epochs=1, batch_size=50, validation=0.2)
    study = replace(study, dataset="cifar10", config=config, stages=())
    structures = {trial.hparams.structure: trial for trial in plan(study)}
    cut = tasks(study, list(structures.values()), PruningHistory(study, {}), 2**28)
    finished = [trial for task in cut for trial in run_task(task)]
    assert {trial.plan.hparams.structure for trial in finished} == set(structures)
    assert all(trial.result.n_val == trial.result.n_test == forge.records for trial in finished)
    assert not any(trial.result.diverged for trial in finished)


def test_the_study_in_the_docs_takes_a_table(tmp_path, monkeypatch):
    """The example in docs/data.md has fewer than ten lines and trains on a table."""
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    source = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    assert len(source.splitlines()) < 10
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(source)
    rows = "".join(f"{i},{i % 3},{'abc'[i % 3]}\n" for i in range(600))
    Path("table.csv").write_text(f"first,second,species\n{rows}")
    study = find_study("own.py", {"blocks": 1, "trials": 2})
    (task, *_) = tasks(study, plan(study), PruningHistory(study, {}), 2**28)
    assert max(trial.result.scores["best/val_accuracy"] for trial in run_task(task)) > 0.9


def test_the_data_folder_may_be_named_on_the_command_line(folder, tmp_path, monkeypatch, capsys):
    """``--data-dir`` overrides the environment: a wrong file there is reported, and nothing is written."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    archive = there / ARCHIVES["cifar10"].file.name
    archive.write_bytes(b"not this")
    monkeypatch.chdir(folder)
    load_rows.cache_clear()
    assert main(["check", "cifar10_subset", "--data-dir", str(there)]) == 2
    assert str(archive) in capsys.readouterr().err
    assert not [*folder.iterdir()]
