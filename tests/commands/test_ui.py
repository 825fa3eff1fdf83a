"""The verb ``ui``: both interfaces on the stores, for this machine only, and no process left when they are stopped."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.cli.main import main
from pipeline.commands.ui import HOST, Guard, await_answer, check_recorded, end, free_port, mlflow_ui, optuna_dashboard
from pipeline.errors import Failed
from pipeline.search.interrupts import Interrupts
from pipeline.storage.journal import open_storage
from pipeline.storage.optuna_store import OptunaStore
from pipeline.storage.stores import Stores
from pipeline.study.loading import find_study


def ask(address, path, *, method="GET", body=None, **headers):
    """Return the status of a request, and its answer."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)) as connection:
        connection.request(method, path, body=body, headers={name.replace("_", "-"): v for name, v in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()


def group_of(process_group):
    """Return the running processes of a process group, from /proc."""
    running = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = stat.read_text().rpartition(") ")[2].split()[:3]
        except OSError:
            continue
        running += [stat.parent.name] if int(group) == process_group and state != "Z" else []
    return running


@pytest.fixture
def recorded(tiny_study, tmp_path):
    """Return the stores of a study whose trials are recorded."""
    assert main(["search", str(tiny_study), "--workers", "1"]) == 0
    return Stores(f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "optuna.log"), tmp_path)


@pytest.fixture
def storage(tmp_path):
    """Return the Optuna storage of three arms in two blocks, without trials."""
    study = find_study("random_vs_grid", {"blocks": 2})
    OptunaStore(study, str(tmp_path / "optuna.log")).open("0" * 32, {})
    return str(tmp_path / "optuna.log")


@pytest.mark.parametrize("missing", ["mlflow.db", "optuna.log"])
def test_a_missing_store_is_named_and_not_made(missing, tmp_path, monkeypatch, capsys):
    """One line names the missing file and the remedy, and no empty store is made."""
    monkeypatch.chdir(tmp_path)
    other = {"mlflow.db": "optuna.log", "optuna.log": "mlflow.db"}[missing]
    (tmp_path / other).touch()
    assert main(["ui"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: nothing is recorded at {tmp_path / missing}. Run a study first")
    assert [path.name for path in tmp_path.iterdir()] == [other]


def test_stores_on_servers_are_no_files(tmp_path):
    """A tracking server and a database server have no file that could be missing."""
    check_recorded(Stores("http://127.0.0.1:5000", "postgresql://user@host/db", tmp_path))


def test_the_dashboard_shows_the_study_to_its_own_address_alone(storage):
    """It lists the arms' studies; a request under a foreign host name or from a foreign page is refused."""
    with optuna_dashboard(storage) as address:
        status, body = ask(address, "/api/studies")
        names = [study["study_name"] for study in json.loads(body)["study_summaries"]]
        assert status == 200
        assert sorted(names) == [
            f"random_vs_grid/{arm}/b0{b}" for arm in ("grid", "random", "shifted_grid") for b in (0, 1)
        ]
        assert ask(address, "/api/studies", Host="10.evil.com")[0] == 403
        forged = {"method": "DELETE", "Origin": "http://evil.com"}
        assert ask(address, "/api/studies/0", **forged)[0] == 403
        assert ask(address, "/api/studies")[1] == body
        page = ask(address, "/dashboard", Origin=address)
        assert page[0] == 200
        assert b"Optuna Dashboard" in page[1]
    with pytest.raises(ConnectionRefusedError):
        ask(address, "/api/studies")


def test_the_guard_lets_its_own_page_write():
    """A request of the dashboard's page, by either name of this machine, reaches the application."""
    reached = []
    guard = Guard(lambda environ, _: reached.append(environ["HTTP_HOST"]) or [], 8080)
    for host in ("127.0.0.1:8080", "localhost:8080"):
        guard({"HTTP_HOST": host, "HTTP_ORIGIN": f"http://{host}"}, None)
    assert reached == ["127.0.0.1:8080", "localhost:8080"]


def test_another_port_is_taken_where_one_is_in_use(storage):
    """Two dashboards run at once, and both addresses are of this machine."""
    with optuna_dashboard(storage) as first, optuna_dashboard(storage) as second:
        assert first != second
        assert urlsplit(first).hostname == urlsplit(second).hostname == HOST
        assert ask(second, "/api/studies")[0] == 200
        assert free_port(urlsplit(first).port) != urlsplit(first).port


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path):
    """The last line of a server's log is the reason in the error, without a password."""
    with (tmp_path / "log").open("w+b") as log:
        source = "import sys; sys.exit('cannot open sqlite://user:secret@host')"
        process = subprocess.Popen([sys.executable, "-c", source], stderr=log)
        with pytest.raises(Failed, match=r"did not start: cannot open sqlite://user:\*\*\*@host"):
            await_answer(f"http://{HOST}:{free_port(0)}", "a-name.localhost", process, log)


def test_the_answer_of_another_server_is_not_taken_for_its_own(storage, tmp_path):
    """If another program has the port, its answer does not count as the start of the server."""
    with optuna_dashboard(storage) as taken, (tmp_path / "log").open("w+b") as log:
        assert ask(taken, "/dashboard")[0] == 200
        source = "import sys, time; time.sleep(1); sys.exit('address in use')"
        process = subprocess.Popen([sys.executable, "-c", source], stderr=log)
        with pytest.raises(Failed, match="address in use"):
            await_answer(taken, "a-name.localhost", process, log)


def test_a_server_that_ignores_sigterm_is_killed(monkeypatch):
    """A server that ignores SIGTERM is killed, with the processes that it started."""
    monkeypatch.setattr("pipeline.commands.ui.STOP_SECONDS", 0.2)
    deaf = "import signal, subprocess, sys; signal.signal(15, signal.SIG_IGN); subprocess.Popen(['sleep', '60']); print(flush=True); signal.pause()"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    assert len(group_of(process.pid)) == 2
    end(process)
    process.stdout.close()
    looks = (
        group_of(process.pid) for _ in range(1000) if not time.sleep(0.01)
    )  # the system takes a moment to remove them
    assert [] in looks


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ui_opens_both_and_leaves_nothing(recorded, tmp_path, signum):
    """The printed addresses answer, MLflow checks the host, the trials are linked, and no process is left after the stop."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "ui"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []
    while not lines or "Ctrl-C" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    output = "".join(lines)
    mlflow = re.search(r"MLflow UI +(\S+)", output)[1]
    dashboard = re.search(r"Optuna Dashboard +(\S+)", output)[1]
    assert ask(dashboard, "/api/studies")[0] == 200
    query = "/ajax-api/2.0/mlflow/experiments/search?max_results=1"
    assert ask(mlflow, query)[0] == 200
    assert ask(mlflow, query, Host="10.evil.com")[0] == 403
    parent = re.search(rf"{mlflow}/#/experiments/\d+/runs/(\w{{32}})\?", output)[1]
    for view in ("arms", "best", "all"):
        assert f"viewStateShareKey={view}{parent[:12]}" in output
    assert parent in lines[0]  # the verdict
    assert [line.split()[-1] for line in lines[-3:-1]] == [mlflow, dashboard]
    assert re.search(r"compare-studies\?ids=0,2,4\n", output)
    process.send_signal(signum)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "both stopped\n", "")
    assert [group_of(int(child)) for child in children] == [[]]


def test_a_wanted_port_is_used_or_refused(storage, tmp_path, monkeypatch, capsys):
    """The dashboard is at the wanted port; a port that is taken is an error of one line, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    port = free_port(0)
    with optuna_dashboard(storage, port) as address:
        assert urlsplit(address).port == port
        Path("mlflow.db").touch()
        line = f"error: --port: {port} is taken, or not allowed to this user. Give another, or leave it out\n"
        for wanted in (port - 1, port):  # the port is that of the dashboard, then that of MLflow UI
            assert main(["ui", "--port", str(wanted), "--storage", storage]) == 2
            assert capsys.readouterr().err == line
    with pytest.raises(SystemExit, match="2"):
        main(["ui", "--port", "65535"])
    assert "expected a port from 1 to 65534" in capsys.readouterr().err


@pytest.mark.slow
def test_the_servers_end_with_a_command_that_is_killed(recorded, tmp_path):
    """MLflow's server and all of its processes end with a command that is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "ui"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = iter(process.stdout.readline, "Ctrl-C stops both.\n")
    address = re.search(r"MLflow UI +(\S+)", "".join(lines))[1]
    (server,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(group_of(int(server))) > 1
    process.kill()
    process.communicate(timeout=60)
    looks = (group_of(int(server)) for _ in range(1000) if not time.sleep(0.01))
    assert [] in looks
    with pytest.raises(ConnectionError):
        ask(address, "/health")


@pytest.mark.slow
def test_two_servers_that_start_at_once_have_two_addresses(recorded, monkeypatch):
    """Two servers that find the same port free both run, each at the address that it reports."""
    port = free_port(0)
    monkeypatch.setattr("pipeline.commands.ui.MLFLOW_PORT", port)
    opened = []
    with ExitStack() as stack:

        def start():
            opened.append(stack.enter_context(mlflow_ui(recorded.tracking, Interrupts())))

        threads = [threading.Thread(target=start) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (first, one_process), (second, other_process) = opened
        assert first != second
        assert f"http://{HOST}:{port}" in (first, second)
        assert [one_process.poll(), other_process.poll()] == [None, None]
        assert [ask(address, "/health")[0] for address in (first, second)] == [200, 200]


def test_show_starts_no_second_tracking_server(storage, tmp_path, monkeypatch):
    """No server is started where a tracking server already runs, and a signal ends the wait."""
    from pipeline.commands import ui

    lines = []
    monkeypatch.setattr(ui, "directions", lambda _, opened: [opened.mlflow, opened.dashboard, opened.process])
    monkeypatch.setattr(ui.time, "sleep", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    server = Stores("http://user:secret@tracking:5000/", storage, tmp_path)
    with Interrupts().handled() as interrupts:
        ui.show(server, lines.append, interrupts)
    assert lines[0] == "http://user:***@tracking:5000"
    assert lines[2:] == [None, "both stopped"]


def test_each_study_has_a_note(storage):
    """The study of each arm and block has a note: the question, the arm, the block, the MLflow run."""
    import optuna
    from optuna_dashboard import get_note

    study = optuna.load_study(study_name="random_vs_grid/shifted_grid/b01", storage=open_storage(storage))
    note = get_note(study)
    assert note.startswith("**Is random search better than grid search?**")
    assert "arm `shifted_grid`" in note
    assert "block 1" in note
    assert "0" * 32 in note
