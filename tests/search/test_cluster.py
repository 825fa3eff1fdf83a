"""A Dask cluster: its workers give the same trials as local ones, and lost workers are not waited for."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from distributed import Client

from pipeline.cli.main import main
from pipeline.diagnosis.plugins import load_rules
from pipeline.errors import Failed
from pipeline.search.cluster import run_checked
from pipeline.storage.optuna_store import OptunaStore
from pipeline.study.loading import find_study
from pipeline.trials.task import NETWORK_VERSION

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")  # Dask warns of what the tests kill


def free_port():
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Cluster:
    """A scheduler and its workers, each in its own process."""

    def __init__(self, stack, folder, kernels=(None, None)):
        self.stack, self.folder = stack, folder
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", self.address.rpartition(":")[2])
        flags = "--nthreads", "1", "--no-nanny"
        self.workers = [self.start("worker", self.address, *flags, kernel=kernel) for kernel in kernels]
        with Client(self.address, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)

    def start(self, role, *arguments, sources=ROOT, kernel=None):
        command = [sys.executable, "-m", "dask", role, *arguments, "--no-dashboard"]
        log = self.stack.enter_context((self.folder / f"{role}.log").open("a"))
        environment = os.environ | {"PYTHONPATH": str(sources)} | ({"OPENBLAS_CORETYPE": kernel} if kernel else {})
        process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def kill(self, *processes):
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
def cluster(tmp_path):
    """A cluster of two workers."""
    with ExitStack() as stack:
        yield Cluster(stack, tmp_path)


def table(study_path, journal):
    """The recorded trials, without the columns that differ from run to run."""
    return OptunaStore(find_study(str(study_path), {}), str(journal)).table().drop(columns=["seconds", "run_id"])


def by_one_worker(study_path, folder):
    """The trials of the study, searched by one local worker."""
    other = [f"--storage={folder / 'whole.log'}", f"--tracking-uri=sqlite:///{folder / 'whole.db'}"]
    assert main(["search", str(study_path), "--workers", "1", *other]) == 0
    return table(study_path, folder / "whole.log")


def lengthen(study_path):
    """Give the study some seconds of work."""
    study_path.write_text(study_path.read_text().replace("epochs=2", "epochs=60").replace("blocks=2", "blocks=4"))


def once_recorded(journal, act):
    """Call a function from a thread as soon as the first trials are recorded."""

    def watch():
        while not (journal.exists() and b'"run_id"' in journal.read_bytes()):
            time.sleep(0.02)
        act()

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.slow
def test_a_cluster_changes_nothing(cluster, tiny_study, tmp_path, capsys):
    """The trials of a cluster's workers equal those of one local worker, bit by bit."""
    assert main(["search", str(tiny_study), "--scheduler", cluster.address]) == 0
    assert f"2 workers of {cluster.address}" in capsys.readouterr().out
    assert table(tiny_study, tmp_path / "optuna.log").equals(by_one_worker(tiny_study, tmp_path))


SUITE = """
from pipeline import Arm, Float, SearchSpace, Study, Suite, TrainConfig

SPACE = SearchSpace(learning_rate=Float(1e-2, 1, log=True, levels=2), l2=Float(1e-6, 1e-2, log=True, levels=2))
CONFIG = TrainConfig(epochs=2, batch_size=32)
SUITE = Suite(
    name="tables",
    question="Does a cluster change a suite?",
    studies=tuple(
        Study(name=f"on_{data}", question="?", dataset=data, space=SPACE, config=CONFIG, blocks=2, confirm=1)
        for data in ("wine", "iris", "digits-200")
    ),
)
"""


@pytest.mark.slow
def test_a_cluster_trains_all_studies_of_a_suite(cluster, tracking_uri, tmp_path, capsys):
    """One connection to a cluster trains the studies of a suite; their trials equal those of one local worker."""
    path = tmp_path / "tables.py"
    path.write_text(SUITE)
    assert main(["search", str(path), "--scheduler", cluster.address]) == 0
    assert capsys.readouterr().out.count(f"2 workers of {cluster.address}") == 3
    for name in ("on_wine", "on_iris", "on_digits-200"):
        study = f"{path}/{name}"
        assert table(study, tmp_path / "optuna.log").equals(by_one_worker(study, tmp_path))


@pytest.mark.slow
def test_a_cluster_without_the_users_rules_is_refused(cluster, tiny_study, tmp_path, monkeypatch, capsys):
    """A diagnosis rule that is installed here but not on the workers is named before anything is written."""
    info = tmp_path / "site" / "acme_rules-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[babysit.diagnosis]\nquiet = acme_rules:quiet\n")
    (tmp_path / "site" / "acme_rules.py").write_text("def quiet(evidence):\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    load_rules.cache_clear()
    try:
        assert main(["search", str(tiny_study), "--scheduler", cluster.address]) == 2
    finally:
        load_rules.cache_clear()
    assert "has other installed diagnosis rules (none) than here ('quiet' of acme-rules 1.0)" in capsys.readouterr().err
    assert not (tmp_path / "optuna.log").exists()


@pytest.mark.slow
def test_a_worker_with_another_network_that_joins_late_is_refused(cluster, tiny_study, tmp_path, monkeypatch, capsys):
    """Its trials are not recorded: the search ends with a line that names the version, and can be resumed without it."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "other" / "pipeline")
    changed = tmp_path / "other" / "pipeline" / "trials" / "task.py"
    changed.write_text(changed.read_text().replace(f"NETWORK_VERSION = {NETWORK_VERSION}", "NETWORK_VERSION = 0"))
    late = cluster.start("worker", cluster.address, "--nthreads", "1", "--no-nanny", sources=tmp_path / "other")
    with Client(cluster.address, timeout=60) as client:
        client.wait_for_workers(3, timeout=60)
    monkeypatch.setattr("pipeline.search.cluster._check_workers", lambda *_: None)  # the worker joins after the check
    assert main(["search", str(tiny_study), "--scheduler", cluster.address]) == 1
    assert "a worker of the cluster has version 0 of the network" in capsys.readouterr().err
    cluster.kill(late)
    assert main(["search", str(tiny_study), "--workers", "2"]) == 0
    assert table(tiny_study, tmp_path / "optuna.log").equals(by_one_worker(tiny_study, tmp_path))


def test_a_worker_checks_the_version_before_it_trains():
    """A worker that has another version of the network fails with both versions before it trains."""
    with pytest.raises(Failed, match=f"has version {NETWORK_VERSION} of the network .* expected version 0"):
        run_checked(None, 0, ())


@pytest.mark.slow
def test_a_killed_worker_of_a_cluster_is_replaced(cluster, tiny_study, tmp_path):
    """When a worker is killed the others train its trials, to the same numbers."""
    lengthen(tiny_study)
    once_recorded(tmp_path / "optuna.log", lambda: cluster.kill(cluster.workers[0]))
    assert main(["search", str(tiny_study), "--scheduler", cluster.address]) == 0
    assert cluster.workers[0].wait() == -signal.SIGKILL
    assert table(tiny_study, tmp_path / "optuna.log").equals(by_one_worker(tiny_study, tmp_path))


@pytest.mark.slow
def test_a_killed_search_of_an_own_model_is_resumed_on_a_cluster(cluster, tracking_uri, tmp_path, monkeypatch):
    """The study of boosting, killed on a cluster and resumed there, has the tables and the verdict of one local worker."""
    words, on_cluster = ["search", "boosting", "--trials=4", "--blocks=2"], ["--scheduler", cluster.address]
    search = subprocess.Popen([sys.executable, "-P", "-m", "pipeline", *words, *on_cluster])
    once_recorded(tmp_path / "optuna.log", search.kill)
    assert search.wait() == -signal.SIGKILL
    assert 0 < len(table("boosting", tmp_path / "optuna.log")) < 16
    (tmp_path / "alone").mkdir()
    for folder, where in ((tmp_path, on_cluster), (tmp_path / "alone", ["--workers", "1"])):
        monkeypatch.chdir(folder)
        assert main([*words, *where]) == 0
        assert main(["report", "boosting", "--no-model"]) == 0
    assert table("boosting", tmp_path / "optuna.log").equals(table("boosting", tmp_path / "alone" / "optuna.log"))
    whole, alone = (contents(folder / "reports" / "boosting") for folder in (tmp_path, tmp_path / "alone"))
    assert whole == alone


def contents(report):
    """The verdict and the tables of a report, without those that have seconds."""
    tables = {path.name: path.read_text() for path in (report / "tables").glob("*.csv")}
    del tables["cost.csv"], tables["ledger.csv"]
    return (report / "verdict.json").read_text(), tables


@pytest.mark.slow
@pytest.mark.parametrize("who", ["workers", "scheduler"])
def test_a_lost_cluster_is_not_waited_for(*, who, cluster, tiny_study, tmp_path, monkeypatch, capsys):
    """Without workers or a scheduler, a search ends with one line and exit code 1; a rerun completes the study."""
    monkeypatch.setattr("pipeline.search.cluster.WORKERLESS_SECONDS", 3)
    lengthen(tiny_study)
    lost = cluster.workers if who == "workers" else [cluster.scheduler]
    once_recorded(tmp_path / "optuna.log", lambda: cluster.kill(*lost))
    assert main(["search", str(tiny_study), "--scheduler", cluster.address]) == 1
    assert "What is recorded stays, and the same command continues from there" in capsys.readouterr().err
    done = len(table(tiny_study, tmp_path / "optuna.log"))
    assert main(["search", str(tiny_study), "--workers", "2"]) == 0
    assert 0 < done < 72
    assert table(tiny_study, tmp_path / "optuna.log").equals(by_one_worker(tiny_study, tmp_path))


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler: no Dask scheduler answers at tcp://127.0.0.1:1"),
        (["--scheduler", "nonsense://x"], "--scheduler: no Dask scheduler answers at nonsense://x"),
        (["--backend", "dask"], "--backend: dask needs the --scheduler of a cluster"),
        (["--backend", "loky", "--scheduler", "tcp://a:1"], "loky is this machine's workers, and has no --scheduler"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_refused(*, flags, says, tiny_study, tmp_path, monkeypatch, capsys):
    """A wrong address or combination of flags gives one line and exit code 2, and nothing is recorded."""
    monkeypatch.setattr("pipeline.search.cluster.CONNECT_SECONDS", 1)
    assert main(["search", str(tiny_study), *flags]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "optuna.log").exists()


@pytest.mark.slow
def test_a_cluster_of_several_kernels_is_named(tiny_study, tmp_path, capsys):
    """A search on workers with different BLAS kernels says so in one line, and its report does too."""
    lengthen(tiny_study)
    kernels = "Haswell", "SandyBridge"
    with ExitStack() as stack:
        cluster = Cluster(stack, tmp_path, kernels)
        assert main(["run", str(tiny_study), "--scheduler", cluster.address, "--no-model"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: "))
    page = (tmp_path / "reports" / "tiny" / "report.md").read_text()
    (noted,) = (line for line in page.splitlines() if "The trials were trained on 2 BLAS set-ups" in line)
    for kernel in kernels:
        assert kernel.lower() in line.lower()
        assert kernel.lower() in noted.lower()
