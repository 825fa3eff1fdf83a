"""Bad input is an error of one line with exit code 2, and nothing is written."""

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from pipeline.cli.main import main
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study

HEAD = """\
from pipeline import Arm, Categorical, Float, HyperParams, Pruner, SearchSpace, Study, TrainConfig
"""
SPACE = "learning_rate=Float(0.01, 1, log=True)"


def study(space=SPACE, **given):
    """Return the source of a study that is valid except for the given fields."""
    given = {"name": "'bad'", "question": "'?'", "arms": "(Arm('random'),)", **given}
    return f"{HEAD}STUDY = Study(space=SearchSpace({space}), {', '.join(f'{k}={v}' for k, v in given.items())})\n"


def refused(source, tmp_path, capsys, verb="search"):
    """Return the one line on standard error for a study file that is refused; no other file may be written."""
    (tmp_path / "bad.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    assert main([verb, "bad.py", "--workers", "1"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["bad.py"]
    return printed.err


FILES = {
    "no UTF-8": (HEAD.encode("utf-16"), "null bytes"),
    "a NUL": (b"STUDY = 1\0", "null bytes"),
    "a missing import": ("import nosuch", "bad.py:1: No module named 'nosuch'"),
    "an exit": ("raise SystemExit(3)", "bad.py:1: it left with 3; a study only declares"),
    "an error of its own": ("x = 1 / 0", "bad.py:1: division by zero"),
    "a key twice": (study(trials=3)[:-2] + ", trials=4)", "bad.py:2: keyword argument repeated: trials"),
    "letters of another encoding": (
        study(question="'caf\u00e9'").encode("latin-1"),
        "bad.py:2: (unicode error) 'utf-8'",
    ),
    "a mistake behind a BOM": (b"\xef\xbb\xbf" + study(trials=0).encode(), "bad.py:2: trials: got 0"),
    "brackets without end": ("x = " + "(" * 5000 + ")" * 5000, "bad.py:1: too many nested parentheses"),
    "a recursion": ("def f():\n    f()\nf()\n", "maximum recursion depth exceeded"),
    "no short file": ("#" * (2**20 + 1), "bad.py: got 1,048,577 bytes; a study is a short file"),
    "no space": (f"{HEAD}STUDY = Study(name='x', question='?')", "Study: it needs 'space'"),
}
KEYS = {
    "of a study": (study(trails=3), "Study: unknown 'trails'; did you mean trials?"),
    "of hyperparameters": (study(fixed="HyperParams(momentun=0.9)"), "unknown 'momentun'; did you mean momentum?"),
    "of the settings": (study(config="TrainConfig(epoch=3)"), "TrainConfig: unknown 'epoch'; did you mean epochs?"),
    "of a dimension": (study("l2=Float(0.1, 1, logg=True)"), "Float: unknown 'logg'; did you mean log?"),
    "of an arm": (study(arms="(Arm('a', sampelr='random'),)"), "Arm: unknown 'sampelr'; did you mean sampler?"),
    "of the space": (study("learning_rat=Float(0.1, 1)"), "'learning_rat'; did you mean learning_rate?"),
    "kept for seeds": (study("seed=Categorical(1, 2)"), "unknown hyperparameter 'seed'"),
}
KINDS = {
    "name": (study(name="3"), "study name: got 3"),
    "question": (study(question="3"), "question: got 3; expected text"),
    "dataset": (study(dataset="3"), "dataset: got 3; expected text"),
    "space": (HEAD + "STUDY = Study(name='x', question='?', space={})", "space: got {}; expected SearchSpace(...)"),
    "fixed": (study(fixed="{}"), "fixed: got {}; expected HyperParams(...)"),
    "config": (study(config="{}"), "config: got {}; expected TrainConfig(...)"),
    "arms": (study(arms="Arm('random')"), "expected a tuple, as in (Arm(...), Arm(...))"),
    "an arm": (study(arms="('random',)"), "arms: got 'random'; expected Arm(...)"),
    "a dimension": (study("l2=0.1"), "SearchSpace: l2: got 0.1; expected Float(...), Int(...) or Categorical(...)"),
    "an empty space": (study(""), "SearchSpace: nothing to search"),
    "stages": (study(stages="3"), "stages: got 3; expected a tuple, as in (Stage(...), Stage(...))"),
    "a pruner's name": (study(pruner="'median'"), "pruner: got 'median'; expected Pruner(...)"),
    "a pruner": (study(pruner="Pruner(['median'])"), "pruner: got ['median']; expected text"),
    "a pruner's arguments": (study(pruner="Pruner('median', 3)"), "arguments: got 3; expected a dict"),
    "a sampler": (study(arms="(Arm('x', sampler=3),)"), "sampler: got 3; expected text"),
    "an arm's name": (study(arms="(Arm('../x'),)"), "arm name: got '../x'"),
    "an arm's arguments": (study(arms="(Arm('tpe', arguments=3),)"), "arguments: got 3; expected a dict"),
}
BUDGETS = {
    **{
        f"trials={v}": (study(trials=v), f"trials: got {v.strip()}")
        for v in ("0", "-5", "2.5", "'10'", "True", "2000000")
    },
    **{f"blocks={v}": (study(blocks=v), f"blocks: got {v}") for v in ("0", "-1", "1.5")},
    "in all": (study(trials=10**5, blocks=100), "blocks x trials x arms: got 10,000,000"),
    **{f"seed={v}": (study(seed=v), f"seed: got {v}") for v in ("-1", "2**64", "'abc'") if v != "2**64"},
    "a seed of 65 bits": (study(seed="2**64"), "seed: got 18446744073709551616"),
    **{f"delta={v}": (study(delta=v), "delta: got ") for v in ("float('nan')", "-1", "1", "'a'")},
    "epochs": (study(config="TrainConfig(epochs=0)"), "epochs: got 0"),
    "epochs without end": (study(config="TrainConfig(epochs=10**9)"), "epochs: got 1000000000"),
    "confirmations": (study(confirm=-1), "confirm: got -1"),
    "half a confirmation": (study(confirm=0.5), "confirm: got 0.5"),
    "no batch": (study(config="TrainConfig(batch_size=0)"), "batch_size: got 0"),
    "a batch beyond the data": (
        study(config="TrainConfig(batch_size=5000)"),
        "batch_size: got 5000; the training split has 1,079 rows",
    ),
    "more than the grid": (study(arms="(Arm('grid'),)", trials=4), "trials: got 4; the grid of 'grid' has 3 points"),
}
RANGES = {
    "low above high": (study("l2=Float(1, 0.1)"), "low must be below high: got low=1.0, high=0.1"),
    "low at high": (study("l2=Float(1, 1)"), "low must be below high"),
    "a log scale from 0": (study("l2=Float(0, 1, log=True)"), "a log scale needs low > 0: got low=0.0"),
    "a log scale from below": (study("l2=Float(-1, 1, log=True)"), "a log scale needs low > 0: got low=-1.0"),
    "nan": (study("l2=Float(float('nan'), 1)"), "low: got nan; expected a finite number"),
    "infinity": (study("l2=Float(0, float('inf'))"), "high: got inf; expected a finite number"),
    "text": (study("l2=Float('a', 1)"), "low: got 'a'; expected a finite number"),
    "no levels": (study("l2=Float(0, 1, levels=0)"), "levels: got 0"),
    "half a level": (study("l2=Float(0, 1, levels=2.5)"), "levels: got 2.5"),
    "a grid without end": (
        study("learning_rate=Float(0.1, 1, levels=10**5), l2=Float(0, 1, levels=10**5)"),
        "its grid has 10,000,000,000 points; the limit is 100,000",
    ),
    "bounds beyond floats": (study("l2=Float(0, 10**400)"), "high: got a number beyond 1.8e+308"),
    "a range beyond floats": (study("l2=Float(-1e308, 1e308)"), "expected a range that is finite"),
    "a range of whole numbers": (study("warmup=Float(0, 3)"), "warmup: got 0.0; expected a whole number"),
    "a rate below 0": (study("learning_rate=Float(-1, 1)"), "learning_rate: got -1.0"),
    "dropout of everything": (study("dropout=Float(0, 1)"), "dropout: got 1.0"),
}
CHOICES = {
    "none": (study("activation=Categorical()"), "Categorical: needs at least one choice"),
    "None": (study("activation=Categorical(None)"), "Categorical: got None"),
    "a list": (study("hidden=Categorical([64], [64, 32])"), "Hidden sizes are text: '64x32'"),
    "equal ones": (study("l2=Categorical(1, 1.0, True)"), "a choice is given twice"),
    "an unknown one": (study("activation=Categorical('relu', 'rleu')"), "activation: got 'rleu'; did you mean relu?"),
    "nan": (study("l2=Categorical(float('nan'))"), "l2: got nan"),
    "hidden sizes misspelt": (study("hidden=Categorical('64xx')"), "hidden: got '64xx'; expected sizes"),
    "a hidden size of 0": (study(fixed="HyperParams(hidden=(0,))"), "hidden: got 0"),
    "a hidden size below 0": (study(fixed="HyperParams(hidden=(-1,))"), "hidden: got -1"),
    "a hidden size of 400 digits": (study("hidden=Categorical('1', '9' * 400)"), "hidden: got a number beyond"),
    "a choice of 70 bits": (study("learning_rate=Categorical(1, 2**70)"), "Categorical: got 1180591620717411303424"),
    "a timeout without end": (
        study("C=Float(1, 2)", model="'sklearn.svm:SVC'", trial_timeout="1e300"),
        "trial_timeout: got 1e+300; expected a finite number of at least 0 and below 1e+09",
    ),
    "a preprocessing of a trial that mixes pixels": (
        study(f"{SPACE}, preprocessing=Categorical('none', 'whiten')", fixed="HyperParams(conv='4')", trials=8),
        "preprocessing: 'whiten' mixes the pixels of images, which conv needs",
    ),
    "a preprocessing that mixes pixels": (
        study(fixed="HyperParams(conv='4')", config="TrainConfig(preprocessing='whiten')"),
        "preprocessing: 'whiten' mixes the pixels of images, which conv needs",
    ),
    "a preprocessing of a trial for images alone": (
        study(f"{SPACE}, preprocessing=Categorical('none', 'channel_mean')", dataset="'iris'", trials=8),
        "channel_mean: the rows have shape",
    ),
    "a network beyond memory": (study(fixed="HyperParams(hidden=(10**6, 10**6))"), "GiB to train; there are"),
    "dropout": (study(fixed="HyperParams(dropout=1.0)"), "dropout: got 1.0"),
    "preprocessing": (study(config="TrainConfig(preprocessing='standardize')"), "did you mean standardise?"),
    "precision": (study(config="TrainConfig(dtype='float16')"), "dtype: got 'float16'; did you mean float"),
    "all rows to choose by": (study(config="TrainConfig(validation=1.0)"), "validation: got 1.0"),
    "no rows to train on": (study(config="TrainConfig(validation=0.6, test=0.5)"), "validation + test: got 1.1"),
    "data": (study(dataset="'cifar11'"), "dataset: got 'cifar11'"),
    "a data file": (study(dataset="'rows.csv'"), "rows.csv: there is no such file"),
    "a data file's name without end": (study(dataset="'x' * 300 + '.csv'"), "dataset: got 304 characters"),
    "a size without end": (study(dataset="'digits-' + '9' * 200"), "dataset: got 'digits-999"),
    "an OpenML id without end": (study(dataset="'openml:' + '9' * 200"), "openml:999"),
    "a choice without end": (
        study("hidden=Categorical('x'.join(['1'] * 3001))"),
        "Categorical: got a choice of 6,001 characters",
    ),
    "an integer beyond floats": (study("l2=Categorical(10**400)"), "Categorical: got a number beyond 1.8e+308"),
    "dropout below 0": (study(fixed="HyperParams(dropout=-0.1)"), "dropout: got -0.1"),
}
ARMS = {
    "none": (study(arms="()"), "arms: got []; expected at least one"),
    "two of one name": (study(arms="(Arm('random'), Arm('random'))"), "arms: got ['random', 'random']"),
    "an unknown sampler": (study(arms="(Arm('rnadom'),)"), "unknown sampler 'rnadom'; did you mean random?"),
    "an unknown path": (
        study(arms="(Arm('x', 'no.such.Sampler'),)"),
        "no.such.Sampler cannot be imported (ModuleNotFoundError: No module named 'no')",
    ),
    "no sampler": (study(arms="(Arm('x', 'collections.Counter'),)"), "collections.Counter is not an Optuna sampler"),
    "unknown arguments": (study(arms="(Arm('tpe', arguments={'n_startup': 1}),)"), "does not take its arguments"),
    "arguments that no record can hold": (
        study(arms="(Arm('tpe', arguments={'gamma': lambda n: 1}),)"),
        "Object of type function is not JSON serializable; expected text, numbers",
    ),
    "arguments of a wrong kind": (
        study(arms="(Arm('tpe', arguments={'n_startup_trials': 'x'}),)"),
        "tpe cannot draw with its arguments {'n_startup_trials': 'x'}",
    ),
    "a relative path": (study(arms="(Arm('x', '..'),)"), ".. cannot be imported"),
    "a seed": (study(arms="(Arm('tpe', arguments={'seed': 1}),)"), "a seed is no argument"),
    "arguments of a grid": (study(arms="(Arm('grid', arguments={'levels': 9}),)"), "a grid takes no arguments"),
    "a pruner in a comparison": (
        study(arms="(Arm('random'), Arm('tpe'))", pruner="Pruner('median')"),
        "a comparison trains every trial to the end",
    ),
}
QUESTIONS = {
    "without end": (study(question="'x' * 10000"), "question: got 10,000 characters; expected 1,000 at most"),
    "of half a letter": (study(question="'\\ud800'"), "no half of a surrogate pair"),
    "with a NUL": (study(question="'\\0'"), "expected no NUL"),
}
NAMES = {
    name: (study(name=repr(name)), "study name: got ")
    for name in ("", "x" * 513, "a\nb", "<img src=x onerror=alert(1)>", "../../x", " x", "x\0", "é")
}
CASES = {
    f"{kind}: {case}": source_and_message
    for kind, cases in (
        ("file", FILES),
        ("unknown key", KEYS),
        ("kind", KINDS),
        ("budget", BUDGETS),
        ("range", RANGES),
        ("choice", CHOICES),
        ("arms", ARMS),
        ("name", NAMES),
        ("question", QUESTIONS),
    )
    for case, source_and_message in cases.items()
}


@pytest.mark.parametrize(("source", "message"), CASES.values(), ids=[ascii(case)[1:41] for case in CASES])
def test_a_bad_study_is_refused(source, message, tmp_path, monkeypatch, capsys):
    """A wrong declaration is refused before anything starts, in one line, and no file, run or study is made."""
    monkeypatch.chdir(tmp_path)
    assert message in refused(source, tmp_path, capsys)


def test_there_are_more_than_sixty_cases():
    """The table keeps its size."""
    assert len(CASES) > 60


def no_file(*_):
    """Make no file."""


def text(folder, name):
    """Make a text file."""
    (folder / name).write_text("hello, hello, hello, hello\n")


def picture(folder, name):
    """Make a file of bytes."""
    (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))


def cut(folder, name):
    """Make the first part of MLflow's database."""
    (folder / name).write_bytes((folder / "mlflow.db").read_bytes()[:5000])


def mlflows(folder, name):
    """Make a copy of MLflow's database."""
    (folder / name).write_bytes((folder / "mlflow.db").read_bytes())


def pipe(folder, name):
    """Make a pipe, on which a reader waits forever."""
    os.mkfifo(folder / name)


def journal(line):
    """Return a maker of a journal with a line in its middle that is not Optuna's."""

    def make(folder, name):
        storage = JournalStorage(JournalFileBackend(str(folder / name)))
        optuna.create_study(storage=storage, study_name="a")
        with (folder / name).open("a") as file:
            file.write(f"{line}\n")
        with (folder / name).open("a") as file:
            file.write((folder / name).read_text().splitlines()[0] + "\n")

    return make


def revised(revision):
    """Return a maker of the database of another version of MLflow."""

    def make(folder, name):
        mlflows(folder, name)
        revise(folder / name, revision)

    return make


def optunas(revision):
    """Return a maker of the database of another version of Optuna."""

    def make(folder, name):
        optuna.create_study(storage=f"sqlite:///{folder / name}")
        revise(folder / name, revision)

    return make


def revise(database, revision):
    """Set the revision of a database."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()


STORES = {
    "two slashes": ("--storage sqlite://study.db", no_file, "Expected sqlite:///FILE, with three slashes"),
    "memory": ("--tracking-uri sqlite:///:memory:", no_file, "a database in memory is gone at the end"),
    "a path for MLflow": ("--tracking-uri x.db", no_file, "Did you mean sqlite:///x.db?"),
    "Databricks": (
        "--tracking-uri databricks",
        no_file,
        "'databricks', which is not supported; expected sqlite:///FILE",
    ),
    "Databricks's profile": ("--tracking-uri databricks://me", no_file, "which is not supported"),
    "a host and a port": ("--tracking-uri 127.0.0.1:5000", no_file, "Did you mean http://127.0.0.1:5000?"),
    "a name and a port": ("--tracking-uri localhost:5000", no_file, "Did you mean http://localhost:5000?"),
    "a name of this machine": ("--tracking-uri localhost", no_file, "Did you mean http://localhost:5000?"),
    "one slash": ("--tracking-uri http:/x", no_file, "Did you mean http://x?"),
    "no slash": ("--tracking-uri https:x:5000/y", no_file, "Did you mean https://x:5000/y?"),
    "a path for Optuna": ("--storage x.db", no_file, "Did you mean sqlite:///x.db?"),
    "no folder": ("--storage no/such/o.log", no_file, "does not exist"),
    "a folder": ("--storage .", no_file, "is a folder; expected a file"),
    "a device": ("--storage /dev/null", no_file, "/dev/null is no file; expected a file"),
    "a device for MLflow": ("--tracking-uri sqlite:////dev/null", no_file, "/dev/null is no file; expected a file"),
    "a pipe": ("--storage x.log", pipe, "x.log is no file; expected a file"),
    "a name too long": (f"--storage {'x' * 300}.log", no_file, "--storage: File name too long"),
    "an @ in a password": (
        "--storage postgresql://u:p@canary@127.0.0.1:1/db",
        no_file,
        "got 'postgresql://u:***@127.0.0.1:1/db', which has an @ too many; in a password write %40",
    ),
    "an @ in a server's": ("--tracking-uri http://u:p@canary@127.0.0.1:1", no_file, "which has an @ too many"),
    "a password among options": (
        "--storage postgresql://127.0.0.1:1/db?user=u&password=canary",
        no_file,
        "cannot connect to postgresql://127.0.0.1:1/db?user=u&password=***",
    ),
    "no port for a server": (
        "--tracking-uri http://u:canary@localhost:abc",
        no_file,
        "no MLflow server answers at http://u:***@",
    ),
    "options of SQLite": ("--storage sqlite:///x.db?mode=ro", no_file, "a SQLite address takes no options"),
    "a file's address": (
        "--storage sqlite:///file:x.db?mode=ro&uri=true",
        no_file,
        "a SQLite address takes no options",
    ),
    "a journal with a line of text": (
        "--storage x.log",
        journal("garbage"),
        "x.log, which is damaged in line 2; restore",
    ),
    "a journal with a line of no kind": ("--storage x.log", journal('{"a": 1}'), "cannot open x.log (it is damaged: "),
    "a journal of another age": (
        "--storage x.log",
        journal('{"op_code": 99, "worker_id": "x"}'),
        "cannot open x.log (it is damaged: ",
    ),
    "file store": ("--tracking-uri file:///tmp/x", no_file, "is no database URL"),
    "ftp": ("--tracking-uri ftp://x/y", no_file, "is no database URL"),
    "postgres": ("--storage postgres://u:canary@h/db", no_file, "expected sqlite:///FILE or postgresql://"),
    "a port that is none": ("--storage postgresql://u:canary@h:abc/db", no_file, "u:***@h:abc/db', which is no"),
    "nobody there": (
        "--storage postgresql://u:canary@127.0.0.1:1/db",
        no_file,
        "cannot connect to postgresql://u:***@",
    ),
    "no driver": ("--storage mysql://u:canary@127.0.0.1:1/db", no_file, "needs the package MySQLdb"),
    "no server": ("--tracking-uri http://u:canary@127.0.0.1:1", no_file, "no MLflow server answers at http://u:***@"),
    "one for both": (
        "--tracking-uri sqlite:///x.db --storage sqlite:///./x.db",
        no_file,
        "each needs a separate database",
    ),
    "text for MLflow": ("--tracking-uri sqlite:///x.db", text, "x.db is not a SQLite database"),
    "text for Optuna": ("--storage sqlite:///x.db", text, "x.db is not a SQLite database"),
    "a journal of text": ("--storage x.log", text, "x.log is not a journal file of Optuna"),
    "a journal of bytes": ("--storage x.log", picture, "x.log is not a journal file of Optuna"),
    "MLflow's for Optuna": ("--storage sqlite:///x.db", mlflows, "x.db is MLflow's database"),
    "Optuna's for MLflow": ("--tracking-uri sqlite:///x.db", optunas("v3.2.0.a"), "x.db is Optuna's database"),
    "cut off": ("--tracking-uri sqlite:///x.db", cut, "cannot open"),
    "an older MLflow's": ("--tracking-uri sqlite:///x.db", revised("bd07f7e963c5"), "mlflow db upgrade"),
    "a newer MLflow's": ("--tracking-uri sqlite:///x.db", revised("ffffffffffff"), "if by a newer one, install that"),
}


@pytest.mark.parametrize(("flags", "prepare", "message"), STORES.values(), ids=STORES)
def test_a_bad_store_is_refused(flags, prepare, message, tracking_uri, tmp_path, capsys):
    """A store that cannot be used is an error of one line, without its password; no file is made or changed."""
    (tmp_path / "study.py").write_text(study())
    prepare(tmp_path, flags.replace("sqlite:///", "").split()[-1])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert main(["search", "study.py", "--workers", "1", *flags.split()]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: ")
    assert line.count("\n") == 1
    assert message in line
    assert "canary" not in line
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("revision", ["v2.4.0.a", "v9.9.9"])
def test_an_optuna_database_of_another_version_is_refused(revision, tracking_uri, tmp_path, capsys):
    """Optuna's advice is shown, and the database does not change."""
    (tmp_path / "study.py").write_text(study())
    optunas(revision)(tmp_path, "o.db")
    before = (tmp_path / "o.db").read_bytes()
    assert main(["search", "study.py", "--workers", "1", "--storage", "sqlite:///o.db"]) == 2
    assert "no longer compatible with the table schema" in capsys.readouterr().err
    assert (tmp_path / "o.db").read_bytes() == before


@pytest.mark.parametrize("named", ["a run that never was", "a deleted run", "a deleted experiment"])
def test_a_run_that_cannot_be_resumed_is_refused(named, tracking_uri, tmp_path, monkeypatch, capsys):
    """``MLFLOW_RUN_ID`` of no active run, or a deleted experiment, is refused before any training; no Optuna store is made."""
    (tmp_path / "study.py").write_text(study())
    client = MlflowClient(tracking_uri=tracking_uri)
    if named == "a deleted experiment":
        client.delete_experiment("0")
    else:
        run_id = client.create_run("0").info.run_id
        client.delete_run(run_id)
        monkeypatch.setenv("MLFLOW_RUN_ID", run_id if named == "a deleted run" else "0" * 32)
    assert main(["search", "study.py", "--workers", "1"]) == 2
    assert ("is deleted; restore it" if "experiment" in named else "MLFLOW_RUN_ID names run") in capsys.readouterr().err
    assert not (tmp_path / "optuna.log").exists()


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_server_that_is_not_mlflow_is_refused(status, tracking_uri, tmp_path, capsys):
    """A web server that is not MLflow's is an error of one line, whatever it answers; nothing is written."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>Welcome</html>")

        def log_message(self, *_):
            pass

    (tmp_path / "study.py").write_text(study())
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://me:canary@127.0.0.1:{server.server_address[1]}"
        assert main(["search", "study.py", "--workers", "1", "--tracking-uri", address]) == 2
        server.shutdown()
    (line,) = capsys.readouterr().err.splitlines()
    assert "no MLflow server" in line
    assert "canary" not in line
    assert not (tmp_path / "optuna.log").exists()


def test_a_report_of_an_unrecorded_study_names_the_recorded_ones(tracking_uri, tmp_path, capsys):
    """The error for a study that is not recorded names the recorded studies, and nothing is added."""
    (tmp_path / "study.py").write_text(study())
    (tmp_path / "other.py").write_text(study(name="'other'"))
    OptunaStore(find_study("study.py", {}), "optuna.log").open("0" * 32, {})
    before = (tmp_path / "optuna.log").read_bytes()
    assert main(["report", "other.py"]) == 2
    assert capsys.readouterr().err.endswith("optuna.log; recorded there: bad. Run it first\n")
    assert (tmp_path / "optuna.log").read_bytes() == before


PROJECT = Path(__file__).parent.parent
PARAMETERS = {
    "no number": ("trials=abc", "argument --trials: got 'abc'; expected a whole number of at least 1"),
    "an unknown one": ("trails=1", "unrecognized arguments: --trails 1"),
    "a command": ("study=x; touch owned", "unknown study 'x; touch owned'"),
    "a substitution": ("study=$(touch owned)", "unknown study '$(touch owned)'"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("parameter", "message"), PARAMETERS.values(), ids=PARAMETERS)
def test_a_bad_parameter_of_mlflow_run_is_refused(parameter, message, tracking_uri, tmp_path):
    """``mlflow run`` fails with the same line, its run is FAILED, no shell reads the value, and no study is made."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "mlflow", "run", str(PROJECT), "--env-manager", "local", "-P", parameter]
    changes = {"PATH": path, "MLFLOW_TRACKING_URI": tracking_uri}
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | changes, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"error: {message}" in done.stderr
    assert "Traceback" not in done.stderr
    client = MlflowClient(tracking_uri=tracking_uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert [run.info.status for run in runs] == ["FAILED"]
    assert not list(tmp_path.rglob("owned")) + list(tmp_path.glob("optuna.log*"))
    assert not (PROJECT / "owned").exists()


READ_ONLY = """
mount -t tmpfs none read_only && cp mlflow.db read_only && : > read_only/optuna.log && mount -o remount,ro read_only || exit 77
exec "$0" -m pipeline search study.py --workers 1 "$@"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags", ["--tracking-uri sqlite:///read_only/mlflow.db --storage own.log", "--storage read_only/optuna.log"]
)
def test_a_read_only_file_system_is_refused(flags, tracking_uri, tmp_path):
    """A store that cannot be written is refused before anything starts, also for root, and the other store is not made."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare to mount by")
    (tmp_path / "study.py").write_text(study())
    (tmp_path / "read_only").mkdir()
    command = ["unshare", "--mount", "sh", "-c", READ_ONLY, sys.executable, *flags.split()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip("mounting takes more rights than there are")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "cannot be written" in done.stderr
    assert not (tmp_path / "own.log").exists()


def test_a_record_of_another_version_is_refused(tiny_study, tmp_path, tracking_uri, capsys):
    """The error for a recorded declaration with an unknown field names the field and the remedy."""
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    journal = tmp_path / "optuna.log"
    journal.write_text(journal.read_text().replace('\\"question\\"', '\\"quaestio\\"'))
    capsys.readouterr()
    assert main(["report", str(tiny_study)]) == 2
    assert "has quaestio, which this version does not know" in capsys.readouterr().err


def test_a_report_of_no_trial_is_refused(tiny_study, tmp_path, tracking_uri, capsys):
    """A study without a recorded trial has no report; no file is written."""
    study = find_study(str(tiny_study), {})
    run = MlflowClient(tracking_uri=tracking_uri).create_run("0")
    OptunaStore(study, str(tmp_path / "optuna.log")).open(run.info.run_id, {})
    assert main(["report", str(tiny_study)]) == 2
    assert (
        capsys.readouterr().err
        == "error: study 'tiny': no trial of it is recorded yet; there is nothing to report. Run the search first\n"
    )
    assert not (tmp_path / "reports").exists()


def test_a_report_makes_no_database(tiny_study, tmp_path, tracking_uri, capsys):
    """A report from a missing database is refused, and no database is made."""
    assert main(["report", str(tiny_study), "--storage", "sqlite:///missing.db"]) == 2
    assert "no study is recorded at sqlite:///missing.db" in capsys.readouterr().err
    assert not (tmp_path / "missing.db").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 300, "got 300 characters; expected a name or a path"),
        ("x" * 300 + ".py", "got 303 characters; expected a name or a path"),
        (".", "unknown study '.'"),
        ("folder.py", "folder.py: is a folder; expected a study's file"),
        ("pipe.py", "pipe.py: is no regular file"),
    ],
)
def test_what_is_no_study_file_is_refused(name, message, tmp_path, monkeypatch, capsys):
    """The errors for a name that is too long, a folder and a pipe say what they are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    assert main(["search", name]) == 2
    assert message in capsys.readouterr().err


def test_an_experiment_name_too_long_for_mlflow_is_refused(tiny_study, tmp_path, tracking_uri, monkeypatch, capsys):
    """An experiment name that is too long is refused before Optuna's store is made."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "x" * 1000)
    assert main(["search", str(tiny_study)]) == 2
    assert "MLFLOW_EXPERIMENT_NAME: got 1,000 characters; MLflow takes 500" in capsys.readouterr().err
    assert not (tmp_path / "optuna.log").exists()


def test_an_unknown_experiment_id_is_refused(tiny_study, tmp_path, tracking_uri, monkeypatch, capsys):
    """An unknown experiment id is an error of one line, before Optuna's store is made."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "4711")
    assert main(["search", str(tiny_study)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: MLFLOW_EXPERIMENT_ID: got '4711', an experiment that is not at sqlite:///")
    assert not (tmp_path / "optuna.log").exists()


def test_stores_on_a_network_file_system_get_a_warning(tiny_study, tmp_path, tracking_uri, monkeypatch, capsys):
    """Stores on NFS get a warning that names the file and the kind; a local disk mounted inside gets none."""
    table = tmp_path / "mounts"
    table.write_text(f"server:/x {tmp_path.parent} nfs4 rw 0 0\nproc /proc proc rw 0 0\n")
    monkeypatch.setattr("pipeline.storage.stores.MOUNTS", table)
    assert main(["train", str(tiny_study), "--epochs", "1"]) == 0
    assert f"warning: {tmp_path / 'optuna.log'} is on nfs4, where locks may not hold" in capsys.readouterr().out
    table.write_text(f"server:/x {tmp_path.parent} nfs4 rw 0 0\n/dev/sda {tmp_path} ext4 rw 0 0\n")
    assert main(["train", str(tiny_study), "--epochs", "1"]) == 0
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("search study.py --workers 0", "expected a whole number of at least 1"),
        ("search study.py --trials " + "9" * 30, "got '99999999999999999999...'"),
        ("search study.py --trials \u0663", "expected a whole number of at least 1"),
        (f"search study.py --seed {2**64}", "seed: got 18446744073709551616"),
        ("train study.py --learning-rate nan", "learning_rate: got nan"),
        ("train study.py --learning-rate 1e400", "learning_rate: got inf"),
        ("train study.py --l2 inf", "l2: got inf"),
        ("train study.py --init -1", "init: got "),
        ("train study.py --activation 3", "activation: got 3"),
        ("train study.py --epochs 1000000000", "epochs: got 1000000000"),
        ("refine study.py --run maybe", "expected true or false"),
    ],
)
def test_a_bad_flag_is_refused(command, message, tmp_path, monkeypatch, capsys):
    """A wrong value of a flag is an error of one line with exit code 2, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.py").write_text(study())
    try:
        code = main(command.split())
    except SystemExit as left:
        code = left.code
    printed = capsys.readouterr()
    assert (code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert message in printed.err
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["study.py"]


def test_an_empty_database_is_a_new_one(tiny_study, tmp_path, tracking_uri):
    """An empty file, as ``touch`` makes it, becomes a new database."""
    (tmp_path / "o.db").touch()
    command = ["search", str(tiny_study), "--workers", "1", "--blocks", "1", "--storage", "sqlite:///o.db"]
    assert main(command) == 0
    assert (tmp_path / "o.db").stat().st_size > 0


def test_arms_may_differ_in_case_only(tiny_study, tmp_path, tracking_uri):
    """Arms ``a`` and ``A`` are two arms, each with its trials in both stores."""
    tiny_study.write_text(
        tiny_study.read_text().replace(
            '(Arm("random"), Arm("shifted_grid"), Arm("grid"))', '(Arm("a", "random"), Arm("A", "sobol"))'
        )
    )
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    table = OptunaStore(find_study(str(tiny_study), {}), str(tmp_path / "optuna.log")).table()
    assert table["arm"].value_counts().to_dict() == {"a": 12, "A": 12}
