"""The command line: what users type, what they see, and what a mistake costs them."""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.cli.arguments import VERBS
from pipeline.cli.main import main


def command(*words, **options):
    """The command line in a process of its own, as users start it."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words], capture_output=True, text=True, check=False, **options
    )


def complaint(words, capsys):
    """The one line that a mistake gets, with the exit code of a user's mistake."""
    try:
        code = main(words)
    except SystemExit as leave:
        code = leave.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


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
    code = "import sys, pipeline.cli.main as c; c.parser(); print({'mlflow', 'optuna', 'sklearn', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["search", "random_vs_gird"], "unknown study 'random_vs_gird'. Did you mean random_vs_grid?"),
        (["search", "missing.py"], "study file not found: missing.py"),
        (
            ["search", "random_vs_grid", "--trials", "many"],
            "argument --trials: got 'many'; expected a whole number of at least 1",
        ),
        (["search", "random_vs_grid", "--blocks", "0"], "argument --blocks: got '0'; expected a whole number"),
        (
            ["search", "random_vs_grid", "--seed", "-1"],
            "argument --seed: got '-1'; expected a whole number of at least 0",
        ),
        (
            ["search", "random_vs_grid", "--wrokers", "2"],
            "unrecognized arguments: --wrokers 2. See babysit search --help",
        ),
        (["search", "random_vs_grid", "--trials", "109"], "the grid of 'shifted_grid' has 108 points"),
        (["find", "random_vs_grid"], "invalid choice: 'find'"),
        (
            ["train", "random_vs_grid", "--learning-rate", "fast"],
            "argument --learning-rate: got 'fast'; expected a number",
        ),
        (["train", "random_vs_grid", "--learning-rate", "-1"], "learning_rate: got -1.0; expected a finite number"),
        (["train", "random_vs_grid", "--activation", "rleu"], "activation: got 'rleu'; did you mean relu?"),
        (
            ["train", "random_vs_grid", "--batch-norm", "maybe"],
            "argument --batch-norm: got 'maybe'; expected true or false",
        ),
        (["run", "random_vs_grid", "--tracking-uri", "runs.db"], "Did you mean sqlite:///runs.db?"),
        (
            ["run", "random_vs_grid", "--tracking-uri", "sqlite:////no/such/folder/m.db"],
            "/no/such/folder does not exist",
        ),
        (["run", "random_vs_grid", "--tracking-uri", "sqlite:///:memory:"], "a database in memory is gone at the end"),
        (["run", "random_vs_grid", "--storage", "trials.db"], "Did you mean sqlite:///trials.db?"),
        (["run", "random_vs_grid", "--storage", "postgres://user@host/db"], "postgresql://"),
        (["run", "random_vs_grid", "--storage", "nowhere/optuna.log"], "nowhere does not exist"),
        (["report", "random_vs_grid"], "no study is recorded at"),
    ],
)
def test_a_mistake_gets_one_line_and_writes_nothing(words, says, tmp_path, monkeypatch, capsys):
    """A user's mistake is named in one line on standard error, with exit code 2, and leaves the folder empty."""
    monkeypatch.chdir(tmp_path)
    line = complaint(words, capsys)
    assert line.startswith("error: ")
    assert says in line
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_named_at_once(tmp_path, monkeypatch, capsys):
    """A tracking server that does not answer is told in one line without the password, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}"
    line = complaint(["run", "random_vs_grid", "--tracking-uri", address], capsys)
    assert "no MLflow server answers at http://user:***@127.0.0.1" in line
    assert list(tmp_path.iterdir()) == []


def test_one_database_for_both_stores_is_refused(tmp_path, monkeypatch, capsys):
    """MLflow and Optuna each need a database of their own; the same file, however written, is refused."""
    monkeypatch.chdir(tmp_path)
    words = ["run", "random_vs_grid", "--tracking-uri", "sqlite:///one.db", "--storage", f"sqlite:///{tmp_path}/one.db"]
    assert "each needs a database of its own" in complaint(words, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "must end in STUDY = Study(...)"),
        ("STUDY = 3", "must end in STUDY = Study(...); got int"),
        ("x = (", "study.py:1: '(' was never closed"),
        (
            "from pipeline.study.spec import *\n\nFloat(2, 1)",
            "study.py:3: low must be below high: got low=2.0, high=1.0",
        ),
        ("from pipeline.study.spec import *\nFloat(0, 1, log=True)", "study.py:2: a log scale needs low > 0"),
        (
            "from pipeline.study.spec import *\nSearchSpace(learning_rat=Float(0, 1))",
            "unknown hyperparameter 'learning_rat'",
        ),
        ("from pipeline.study.spec import *\nCategorical(1, 1.0, True)", "a choice is given twice"),
        ("\nraise KeyboardInterrupt", "study.py:2: it raised KeyboardInterrupt; a study only declares"),
        ("import os\nos._exit(0)", "study.py:2: it left with os._exit; a study only declares"),
        ("import os\nos.execvp('true', ['true'])", "study.py:2: it left with os.execv; a study only declares"),
        ("import sys\nsys.exit()", "study.py:2: it left with exit; a study only declares"),
        ("exit(3)", "study.py:1: it left with 3; a study only declares"),
    ],
)
def test_a_faulty_study_file_is_named_with_its_line(source, says, tmp_path, monkeypatch, capsys):
    """A study file that declares nothing, or something wrong, is refused with the file, the line and the value."""
    (tmp_path / "study.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    assert says in complaint(["search", "study.py"], capsys)
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["study.py"]


def test_a_failed_check_stops_the_job(tiny_study, tmp_path, tracking_uri, capsys):
    """A network that cannot learn ends the job with exit code 1 and the reason, its run FAILED, before any trial is spent."""
    source = tiny_study.read_text().replace("from pipeline import", "from pipeline import HyperParams,")
    tiny_study.write_text(source.replace("    blocks=2,", '    blocks=2,\n    fixed=HyperParams(init="zeros"),'))
    assert main(["run", str(tiny_study)]) == 1
    assert "check 'overfit 20 examples' failed: overfitted at no learning rate" in capsys.readouterr().err
    client = MlflowClient(tracking_uri=tracking_uri)
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.info.status == "FAILED"


def test_run_checks_searches_and_reports(tiny_study, tmp_path, tracking_uri, capsys):
    """The main job says what it does in order, and ends with the page and the commands that open the two user interfaces."""
    assert main(["run", str(tiny_study), "--workers", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [line.split(":")[0] for line in lines if line and not line.startswith(" ")]
    assert [word for word in starts if word in ("check", "search", "report")] == ["check", "search", "report"]
    page = tmp_path / "reports" / "tiny" / "report.html"
    assert any(str(page) in line for line in lines)
    assert page.is_file()
    assert any("mlflow ui --workers 1 --backend-store-uri sqlite:///" in line for line in lines)
    assert any(f"optuna-dashboard {tmp_path / 'optuna.log'}" in line for line in lines)


def test_run_belongs_to_the_run_that_mlflow_opened(tiny_study, tmp_path, tracking_uri, monkeypatch):
    """Under ``mlflow run`` the trials are children of its run, which carries the report; a second one only points there."""
    client = MlflowClient(tracking_uri=tracking_uri)
    opened = [client.create_run("0").info.run_id for _ in range(2)]
    for run_id, verb in zip(opened, ("run", "search"), strict=True):
        monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
        assert main([verb, str(tiny_study), "--workers", "1"]) == 0
    children = client.search_runs(["0"], "tags.kind = 'trial'", max_results=100)
    assert len(children) == 36
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {opened[0]}
    assert "report.html" in {path.path.split("/")[-1] for path in client.list_artifacts(opened[0], "report")}
    assert client.get_run(opened[1]).data.tags["study_run"] == opened[0]


@pytest.mark.slow
def test_report_can_be_made_again(tiny_study, tmp_path, tracking_uri):
    """The report of recorded trials is the same, byte for byte, when it is made again."""
    assert main(["run", str(tiny_study), "--workers", "1"]) == 0
    folder = tmp_path / "reports" / "tiny"
    first = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["report", str(tiny_study)]) == 0
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first


def test_train_records_one_configuration(tracking_uri, tmp_path, capsys):
    """``train`` records what was given, below a run of its own, and counts on when it is called again."""
    for rate in ("0.3", "0.5"):
        assert (
            main(["train", "random_vs_grid", "--learning-rate", rate, "--activation", "sigmoid", "--epochs", "2"]) == 0
        )
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name("babysit").experiment_id
    trials = client.search_runs([experiment], "tags.kind = 'trial'", order_by=["start_time ASC"])
    assert [run.data.params["learning_rate"] for run in trials] == ["0.3", "0.5"]
    assert [run.data.tags["trial"] for run in trials] == ["0", "1"]
    assert {run.data.params["activation"] for run in trials} == {"sigmoid"}
    assert len(client.get_metric_history(trials[0].info.run_id, "val/loss")) == 2
    drawn = {Path(file.path).name for file in client.list_artifacts(trials[1].info.run_id, "pictures")}
    assert {"loss.png", "accuracy.png", "update_ratio.png", "activations.png", "first_weights.png"} <= drawn
    (folder,) = re.findall(r"pictures: (.*manual-b00-0001)$", capsys.readouterr().out, re.MULTILINE)
    assert {file.name for file in Path(folder).iterdir()} == drawn


def test_train_takes_a_study_that_searches_an_architecture(tracking_uri, tmp_path, capsys):
    """Hidden sizes, which such a study writes as text, are recorded in the words of a choice."""
    (tmp_path / "wide.py").write_text(
        "from pipeline.study.spec import Arm, Categorical, Float, SearchSpace, Study\n"
        "STUDY = Study(name='wide', question='How wide?', dataset='digits', arms=(Arm('random'),), blocks=2, trials=2,\n"
        "    space=SearchSpace(learning_rate=Float(0.01, 1, log=True), hidden=Categorical('10', '20x10')))\n"
    )
    assert main(["train", str(tmp_path / "wide.py"), "--learning-rate", "0.3", "--epochs", "1"]) == 0
    client = MlflowClient(tracking_uri=tracking_uri)
    experiment = client.get_experiment_by_name("babysit").experiment_id
    (run,) = client.search_runs([experiment], "tags.kind = 'trial'")
    assert run.data.params["hidden"] == "50"


def test_a_trial_that_diverges_is_recorded_and_not_drawn(tracking_uri, capsys):
    """``train`` at a rate without hope succeeds, says what happened, and has no network to draw."""
    assert main(["train", "random_vs_grid", "--learning-rate", "1e6", "--epochs", "2"]) == 0
    said = capsys.readouterr().out
    assert "diagnosis: diverged" in said
    assert "pictures" not in said


def test_the_module_runs_as_a_command(tmp_path):
    """``python -m pipeline`` is the command line, exit code and all."""
    done = command("search", "nothing", cwd=tmp_path, env={**os.environ, "COLUMNS": "80"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown study 'nothing'. ")


def test_the_completion_is_of_every_verb(capsys):
    """Bash takes the completion that is printed, and it knows each verb; the help names the exit codes."""
    with pytest.raises(SystemExit) as leave:
        main(["--print-completion", "bash"])
    script = capsys.readouterr().out
    assert leave.value.code == 0
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    (verbs,) = re.findall(r"_subparsers=\(([^)]*)\)$", script, re.MULTILINE)
    assert set(VERBS) <= set(verbs.split())
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "exit codes: 0 done, 1" in capsys.readouterr().out


PROGRAM_ERRORS = (
    "np.zeros(2).reshape(3)",
    "list(zip([1], [], strict=True))",
    "(arm,) = ()",
    "np.ones((2, 3)) @ np.ones((2, 3))",
)


@pytest.mark.parametrize("fault", PROGRAM_ERRORS)
def test_an_error_of_the_program_is_not_called_the_users(fault, tmp_path):
    """A ``ValueError`` of NumPy or the interpreter in pipeline code gets a traceback and exit code 1."""
    (tmp_path / "faulty.py").write_text(
        f"""import numpy as np
import pipeline.commands.ui as ui
exec("def show(*_): " + {fault!r}, vars(ui) | {{"np": np}}, vars(ui))
import sys
from pipeline.cli.main import main
sys.exit(main(["ui"]))
"""
    )
    done = subprocess.run([sys.executable, "faulty.py"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: " in done.stderr.splitlines()[-1]


def test_a_mistake_of_the_user_is_told_in_a_line(tmp_path, monkeypatch, capsys):
    """What is raised on purpose has one line and exit code 2, from the same place."""
    monkeypatch.chdir(tmp_path)
    assert "nothing is recorded" in complaint(["ui"], capsys)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("x.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_is_told_in_a_line(error, monkeypatch, capsys):
    """Memory that cannot be had, for arrays or for libraries, is a failed job and no bug."""

    def fail(*_):
        raise error

    monkeypatch.setattr("pipeline.cli.main.dispatch", fail)
    assert main(["check"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: there is too little memory")


def test_a_terminal_that_is_closed_stops_the_job(monkeypatch, capsys):
    """Output that fails after SIGHUP is the stop that it was, and its exit code is that of the signal."""

    def hang_up(*_):
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pipeline.cli.main.dispatch", hang_up)
    assert main(["check"]) == 128 + signal.SIGHUP
    assert capsys.readouterr().err.startswith("stopped by SIGHUP.")
