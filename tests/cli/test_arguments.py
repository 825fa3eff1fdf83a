"""The parser of the command line: its help and its verbs."""

import subprocess
import sys
from pathlib import Path

import pytest

import pipeline.commands
from pipeline.cli.arguments import VERBS
from pipeline.cli.main import main


@pytest.mark.parametrize("verb", VERBS)
def test_help_fits_a_screen_and_shows_an_example(verb, capsys):
    """Each verb's help is at most 24 lines of 80 columns, and ends in an example."""
    with pytest.raises(SystemExit) as leave:
        main([verb, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert leave.value.code == 0
    assert len(lines) <= 24
    assert f"example: babysit {verb}" in lines[-1]


def test_help_loads_nothing_heavy():
    """Asking for help imports neither MLflow nor Optuna nor scikit-learn nor NumPy."""
    code = "import sys, pipeline.cli.main as c; c.parser().format_help(); print({'mlflow', 'optuna', 'sklearn', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_help_names_the_verbs_and_the_exit_codes(capsys):
    """The top help lists every verb and what the exit codes mean."""
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert set(VERBS) <= set(text.split())
    assert "exit codes: 0 done, 1" in text


def test_the_help_lists_the_studies(tmp_path, monkeypatch, capsys):
    """The top help has the name and the question of each study, in a ``studies`` folder here too; a broken file is no error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "mine.py").write_text("STUDY = Study(name='mine', question='Is it ' 'mine?')")
    (tmp_path / "studies" / "broken.py").write_text("STUDY = Study(")
    with pytest.raises(SystemExit) as leave:
        main(["--help"])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert leave.value.code == 0
    assert "mine Is it mine?" in lines
    assert "random_vs_grid Is random search better than grid search?" in lines
    assert "bergstra_bengio Is random search better than grid search, over data sets? (a suite)" in lines
    assert not [line for line in lines if "broken" in line or "lecture_" in line]


def test_each_verb_is_a_module_with_a_command():
    """The verbs of the parser are the modules of ``pipeline.commands`` that have a ``command``."""
    modules = {path.stem: path.read_text() for path in Path(pipeline.commands.__file__).parent.glob("*.py")}
    assert {name for name, source in modules.items() if "\ndef command(args" in source} == set(VERBS)
