"""Studies and experiments are found by name, and their files are read as they are."""

import os
import subprocess
import sys

import pytest

from pipeline.errors import UserError
from pipeline.study.experiment import DEMONSTRATIONS
from pipeline.study.loading import experiment_names, find_declared, find_experiment, find_study


def test_a_study_is_read_again_each_time(tmp_path, monkeypatch):
    """A file that changes within a second but not in size is read again, and no bytecode file is left."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "again.py"
    source = (
        "from pipeline.study.spec import *\nSTUDY = Study(name='a', question='?', space=SearchSpace(l2=Float(0, {})))\n"
    )
    for high in (1, 2, 3):
        path.write_text(source.format(high))
        assert find_study(str(path), {}).space["l2"].high == high
    assert [file.name for file in tmp_path.iterdir()] == ["again.py"]


def test_every_demonstration_has_a_study_file():
    """Each of the lecture's experiments is a file in studies/, found by its name with or without the prefix."""
    assert experiment_names() == [f"lecture_{name}" for name in DEMONSTRATIONS]
    for name in DEMONSTRATIONS:
        assert find_experiment(name, {"seed": 3}) == find_experiment(f"lecture_{name}", {"seed": 3})
        assert find_experiment(name, {}).demonstration == name


def test_an_experiment_is_no_study():
    """Searching one is refused in a line that says how to run it."""
    with pytest.raises(ValueError, match="babysit lecture lecture_spiral"):
        find_study("lecture_spiral", {})
    with pytest.raises(ValueError, match="is no experiment"):
        find_experiment("random_vs_grid", {})


def test_the_nearest_experiment_is_suggested():
    """The suggestion for a misspelt name is an experiment, by its short name."""
    with pytest.raises(ValueError, match=r"^unknown experiment 'spirals'\. Did you mean spiral\?$"):
        find_experiment("spirals", {})


def test_an_unknown_experiment_is_told_the_experiments():
    """If no name is near, the error lists the demonstrations of the lecture, and no search study."""
    with pytest.raises(ValueError, match=r"^unknown experiment 'nosuch'\. Known: ") as error:
        find_experiment("nosuch", {})
    assert str(error.value).partition("Known: ")[2].split(", ") == list(DEMONSTRATIONS)


def test_a_file_in_the_current_folder_is_found_by_its_name(tmp_path, monkeypatch):
    """The name of a file next to it is enough; a name in a ``studies`` folder has precedence; others are not listed."""
    monkeypatch.chdir(tmp_path)
    source = "from pipeline import Float, SearchSpace, Study\nSTUDY = Study(name='{}', question='?', space=SearchSpace(l2=Float(0, 1)))\n"
    for name in ("mystudy", "random_vs_grid"):
        (tmp_path / f"{name}.py").write_text(source.format("mine"))
    assert find_study("mystudy", {}).name == "mine"
    assert find_study("random_vs_grid", {}).name == "random_vs_grid"
    with pytest.raises(ValueError, match=r"^unknown study 'nosuch'\. Known: ") as error:
        find_study("nosuch", {})
    assert "mystudy" not in str(error.value)


BUSY = """
import os, signal, threading, time
from pipeline import Float, SearchSpace, Study
threading.Thread(target=time.sleep, args=(600,)).start()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.chdir("/")
if os.fork() == 0:
    time.sleep(0.1)
STUDY = Study(name="busy", question="?", space=SearchSpace(l2=Float(0, 1)))
"""
LOADER = """
import os, signal
from pathlib import Path
from pipeline.study.loading import find_study
handle = lambda *_: None
signal.signal(signal.SIGTERM, handle)
study = find_study("busy.py", {})
print(study.name, signal.getsignal(signal.SIGTERM) is handle, Path("busy.py").is_file())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_study_that_acts_does_not_change_the_process(tmp_path):
    """Threads and children that a study starts do not outlive it; its signal handlers and its current folder do not stay."""
    (tmp_path / "busy.py").write_text(BUSY)
    command = [sys.executable, "-c", LOADER]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "busy True True\n", "")


def test_a_file_may_declare_further_budgets(tmp_path):
    """``NAME:full`` is the file's FULL, also before a study's name; a file without one is refused by its path."""
    path = tmp_path / "sizes.py"
    path.write_text(
        "from dataclasses import replace\n"
        "from pipeline import Float, SearchSpace, Study, Suite\n"
        "def study(name, blocks, dataset='digits'):\n"
        "    space = SearchSpace(l2=Float(0, 1))\n"
        "    return Study(name=name, question='?', dataset=dataset, blocks=blocks, space=space)\n"
        "STUDY, QUICK = study('small', 2), study('smaller', 1)\n"
        "FULL = Suite(name='large', question='?', studies=(study('one', 9), study('two', 9, 'iris')))\n"
    )
    assert find_declared(str(path), {}).blocks == 2
    assert find_declared(f"{path}:quick", {}).blocks == 1
    assert [study.blocks for study in find_declared(f"{path}:full", {}).studies] == [9, 9]
    assert find_declared(f"{path}:full/two", {}).dataset == "iris"
    assert find_declared("quick", {}).name == "quick"  # a study whose name is that of a budget
    with pytest.raises(UserError, match=r"quick\.py: has no FULL = Study\(\.\.\.\) or Suite\(\.\.\.\)"):
        find_declared("quick:full", {})
