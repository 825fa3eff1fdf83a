"""The command line: its messages and its exit codes."""

import errno
import os
import resource
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from pipeline.cli.main import LIBRARIES_BYTES, PROCESSOR_BYTES, main
from pipeline.commands import ui


def command(*arguments, **options):
    """Run the command line in a new process, as users start it."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments], capture_output=True, text=True, check=False, **options
    )


def error_line(arguments, capsys):
    """Return the one line on standard error; the exit code must be that of a user's mistake."""
    try:
        code = main(arguments)
    except SystemExit as leave:
        code = leave.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "message"),
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
        (["search", "random_vs_grid", "--trials", "109"], "the grid of 'grid' has 108 points"),
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
        (["run", "quick", "--tracking-uri", "runs.db"], "Did you mean sqlite:///runs.db?"),
        (
            ["run", "quick", "--tracking-uri", "sqlite:////no/such/folder/m.db"],
            "/no/such/folder does not exist",
        ),
        (["run", "quick", "--tracking-uri", "sqlite:///:memory:"], "a database in memory is gone at the end"),
        (["run", "quick", "--storage", "trials.db"], "Did you mean sqlite:///trials.db?"),
        (["run", "quick", "--storage", "postgres://user@host/db"], "postgresql://"),
        (["run", "quick", "--storage", "nowhere/optuna.log"], "nowhere does not exist"),
        (["report", "quick"], "no study is recorded at"),
    ],
)
def test_a_mistake_gets_one_line_and_writes_nothing(arguments, message, tmp_path, monkeypatch, capsys):
    """A user's mistake is one line on standard error, with exit code 2, and leaves the folder empty."""
    monkeypatch.chdir(tmp_path)
    line = error_line(arguments, capsys)
    assert line.startswith("error: ")
    assert message in line
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_named_at_once(tmp_path, monkeypatch, capsys):
    """A tracking server that does not answer is an error of one line without the password, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}"
    line = error_line(["run", "quick", "--tracking-uri", address], capsys)
    assert "no MLflow server answers at http://user:***@127.0.0.1" in line
    assert list(tmp_path.iterdir()) == []


def test_one_database_for_both_stores_is_refused(tmp_path, monkeypatch, capsys):
    """MLflow and Optuna need two databases; the same file is refused, even if it is written in two ways."""
    monkeypatch.chdir(tmp_path)
    arguments = [
        "run",
        "quick",
        "--tracking-uri",
        "sqlite:///one.db",
        "--storage",
        f"sqlite:///{tmp_path}/one.db",
    ]
    assert "each needs a separate database" in error_line(arguments, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "must end in STUDY = Study(...) or SUITE = Suite(...)"),
        ("STUDY = 3", "must end in STUDY = Study(...) or SUITE = Suite(...); got int"),
        ("x = (", "study.py:1: '(' was never closed"),
        (
            "from pipeline.study.spec import *\n\nFloat(2, 1)",
            "study.py:3: low must be below high: got low=2.0, high=1.0",
        ),
        ("from pipeline.study.spec import *\nFloat(0, 1, log=True)", "study.py:2: a log scale needs low > 0"),
        (
            "from pipeline.study.spec import *\nStudy(name='a', question='?', space=SearchSpace(learning_rat=Float(0, 1)))",
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
def test_a_faulty_study_file_is_named_with_its_line(source, message, tmp_path, monkeypatch, capsys):
    """A study file that declares nothing, or a wrong value, is refused with the file, the line and the value."""
    (tmp_path / "study.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    assert message in error_line(["search", "study.py"], capsys)
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["study.py"]


def test_the_module_runs_as_a_command(tmp_path):
    """``python -m pipeline`` is the command line, with its exit codes."""
    done = command("search", "nothing", cwd=tmp_path, env={**os.environ, "COLUMNS": "80"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: unknown study 'nothing'. ")


BUGS = (
    "np.zeros(2).reshape(3)",
    "list(zip([1], [], strict=True))",
    "(arm,) = ()",
    "np.ones((2, 3)) @ np.ones((2, 3))",
)


@pytest.mark.parametrize("fault", BUGS)
def test_a_bug_shows_a_traceback(fault, tmp_path, monkeypatch, capsys):
    """A ``ValueError`` of NumPy or Python inside the pipeline is no user error: a traceback and exit code 1."""
    made = {}
    exec(f"def show(*_): {fault}", vars(ui) | {"np": np}, made)  # noqa: S102  in the module's own names
    monkeypatch.setattr(ui, "show", made["show"])
    monkeypatch.chdir(tmp_path)
    assert main(["ui"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "ValueError: " in shown.splitlines()[-1]


def test_a_user_error_is_one_line(tmp_path, monkeypatch, capsys):
    """A ``UserError`` from the same function is one line, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    assert "nothing is recorded" in error_line(["ui"], capsys)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("x.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_is_one_line(error, monkeypatch, capsys):
    """Too little memory, for arrays or for libraries, is a failed job and not a bug."""

    def fail(*_):
        raise error

    monkeypatch.setattr("pipeline.cli.main.dispatch", fail)
    assert main(["check"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: there is too little memory")


def limited(megabytes):
    """Return a function that limits the address space of a process, as ``ulimit -v`` does."""
    size = megabytes * 10**6
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size))


@pytest.mark.parametrize("megabytes", [300, 500, 700, 900, 1000])
def test_too_little_address_space_is_one_line(megabytes, tmp_path):
    """A limit in which OpenBLAS would wait for ever, or a library abort, is a mistake; nothing is written."""
    done = command("search", "random_vs_grid", cwd=tmp_path, preexec_fn=limited(megabytes), timeout=60)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: memory: ")


@pytest.mark.slow
def test_the_least_address_space_is_enough(tiny_study, tmp_path):
    """A study runs to its report in the address space that is asked for, and what Python takes before."""
    needed = LIBRARIES_BYTES + PROCESSOR_BYTES * len(os.sched_getaffinity(0))
    done = command("run", "tiny.py", "--workers", "2", cwd=tmp_path, preexec_fn=limited(needed // 10**6 + 60))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_terminal_stops_the_job(monkeypatch, capsys):
    """Output that fails after SIGHUP counts as the stop, with the exit code of the signal."""

    def hang_up(*_):
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pipeline.cli.main.dispatch", hang_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` ignores it
    try:
        assert main(["check"]) == 128 + signal.SIGHUP
    finally:
        signal.signal(signal.SIGHUP, before)
    assert capsys.readouterr().err.startswith("stopped by SIGHUP.")
