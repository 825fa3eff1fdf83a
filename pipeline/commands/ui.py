"""The verb ``ui``: MLflow UI and Optuna Dashboard on the stores, for this machine only, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import IO, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from pipeline.commands import Context
from pipeline.errors import Failed, UserError
from pipeline.search.interrupts import Interrupts, Stopped
from pipeline.search.processes import supervised
from pipeline.storage.addresses import artifact_root, redact, sqlite_file, storage_file
from pipeline.storage.failures import opening
from pipeline.storage.stores import Stores

HOST = "127.0.0.1"
MLFLOW_PORT, DASHBOARD_PORT = 5000, 8080
"""The usual ports; another is used where one of these is taken."""
START_SECONDS, STOP_SECONDS = 90, 5


@dataclass(frozen=True)
class Interfaces:
    """The addresses of both interfaces, and the MLflow server's process; None if the server was running already."""

    mlflow: str
    dashboard: str
    process: subprocess.Popen[bytes] | None


def command(args: argparse.Namespace, context: Context) -> None:
    """Open both interfaces at ``--port`` and the next one, or at free ports. A quiet console gets only the addresses."""
    console = context.console

    def say(line: str) -> None:
        (console.result if line.startswith(("MLflow UI ", "Optuna Dashboard ")) else console.say)(line)

    console.detail(context.stores.summary)
    show(context.stores, say, context.interrupts, args.port, console.working("starting both interfaces"))


def show(
    stores: Stores,
    say: Callable[[str], None],
    interrupts: Interrupts,
    port: int | None = None,
    starting: AbstractContextManager[Any] = nullcontext(),  # noqa: B008  it has no state
) -> None:
    """Open both interfaces, say where they are and what to look at first, and wait for Ctrl-C or SIGTERM.

    ``say`` is called with each line of output, and ``starting`` is entered until both have started. MLflow UI is at
    ``port`` and the dashboard at the next one; without it, both are at the usual ports or free ones. Raises
    :class:`UserError` if a store is missing or a port is taken, and :class:`Failed` if MLflow's server does not start, or
    ends by itself.
    """
    check_recorded(stores)
    with suppress(Stopped), ExitStack() as stack:
        with starting:
            opened = stack.enter_context(interfaces(stores, interrupts, port))
            lines = list(directions(stores, opened))
        for line in lines:
            say(line)
        while opened.process is None or opened.process.poll() is None:
            time.sleep(0.2)
        raise Failed(f"MLflow UI ended by itself, with exit code {opened.process.returncode}")
    say("both stopped")


def check_recorded(stores: Stores) -> None:
    """Raise :class:`UserError` if a store is missing: a server would make it, and show an empty page."""
    files = (sqlite_file(stores.tracking), "--tracking-uri"), (storage_file(stores.storage), "--storage")
    for path, flag in files:
        if path and not path.is_file():
            raise UserError(f"nothing is recorded at {path}. Run a study first (babysit run), or say where with {flag}")


@contextmanager
def interfaces(stores: Stores, interrupts: Interrupts, port: int | None = None) -> Iterator[Interfaces]:
    """Open both interfaces during the body. A tracking server that already runs is not touched."""
    from pipeline.tracking import Tracker

    with ExitStack() as stack:
        dashboard = stack.enter_context(optuna_dashboard(stores.storage, port and port + 1))
        if stores.tracking.startswith("http"):
            yield Interfaces(redact(stores.tracking).rstrip("/"), dashboard, None)
        else:
            with opening("--tracking-uri", stores.tracking):
                Tracker(stores.tracking)  # completes a half-made database, which MLflow's server cannot
            address, process = stack.enter_context(mlflow_ui(stores.tracking, interrupts, port))
            yield Interfaces(address, dashboard, process)


def directions(stores: Stores, opened: Interfaces) -> Iterator[str]:
    """Yield the pages of the study that ran last, and the bare addresses. MLflow's opens on traces of language models."""
    from pipeline.storage.dashboard import study_ids
    from pipeline.tracking import Tracker

    tracker = Tracker(stores.tracking)
    if latest := tracker.find_latest():
        links = tracker.links(opened.mlflow)
        if suite := tracker.suite_links(opened.mlflow):
            yield f"the suite         {suite.run}"
        yield f"the verdict       {links.run}"
        yield f"arms compared     {links.view('arms')}"
        yield f"best trials       {links.view('best')}"
        yield f"good and bad      {links.view('all')}"
        if ids := study_ids(stores.storage, latest):
            yield f"arms in Optuna    {opened.dashboard}/dashboard/compare-studies?ids={','.join(map(str, ids))}"
    yield f"MLflow UI         {opened.mlflow}"
    yield f"Optuna Dashboard  {opened.dashboard}"
    yield "Ctrl-C stops both."


@contextmanager
def mlflow_ui(
    uri: str, interrupts: Interrupts, wanted: int | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run MLflow's server on a database during the body; yield its address and process.

    Without a wanted port it is at the usual one, or at a free one if another program takes that first.
    Raises :class:`UserError` if the wanted port is taken, and :class:`Failed` if the server does not start.
    """
    with ExitStack() as stack:
        port = free_port(wanted or MLFLOW_PORT)
        if wanted and port != wanted:
            raise taken(wanted)
        try:
            opened = stack.enter_context(mlflow_server(uri, port, interrupts))
        except Failed:
            if free_port(port) == port:
                raise
            if wanted:
                raise taken(wanted) from None
            opened = stack.enter_context(mlflow_server(uri, free_port(0), interrupts))
        yield opened


@contextmanager
def mlflow_server(uri: str, port: int, interrupts: Interrupts) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run MLflow's server during the body, in its own process group; yield its address and process.

    The server only accepts requests for its own address, which is stricter than MLflow's default, and its jobs are off.
    It ends with this process, however that ends. The database's address is passed in the environment, since a list of
    processes would show it.
    """
    command = [sys.executable, "-m", "mlflow", "ui", "--host", HOST, "--port", str(port), "--workers", "1"]
    address, name = f"http://{HOST}:{port}", f"{secrets.token_hex(8)}.localhost"
    settings = {
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT") or artifact_root(uri),
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join((*hosts(port), name)),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603  our interpreter, our arguments
            supervised(command),
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            await_answer(address, name, process, log)
            yield address, process
        finally:
            with interrupts.deferred():
                end(process)


def await_answer(address: str, name: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    """Wait until the server answers to a secret host name, which another server that took the port first would refuse.

    Raises :class:`Failed` with the last line of its log if it ends, or does not answer within ``START_SECONDS``.
    """
    request = urllib.request.Request(address, headers={"Host": name})  # noqa: S310  our own server
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(request, timeout=1):  # noqa: S310  our own server
            return
        time.sleep(0.1)
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines() or ["it printed nothing"]
    raise Failed(f"MLflow UI did not start: {redact(lines[-1])}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server and its process group: with SIGTERM, and after ``STOP_SECONDS`` with SIGKILL."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


@contextmanager
def optuna_dashboard(storage: str, wanted: int | None = None) -> Iterator[str]:
    """Run Optuna Dashboard on a storage during the body, in threads of this process; yield its address.

    Raises :class:`UserError` if the wanted port is taken.
    """
    from optuna_dashboard import wsgi

    from pipeline.storage.journal import open_storage

    with opening("--storage", storage):
        application = wsgi(open_storage(storage))
    with listening(wanted) as server:
        server.set_app(Guard(application, server.server_port))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def listening(wanted: int | None) -> WSGIServer:
    """Return a server without an application, on the wanted port; without one, on the usual port or a free one.

    Raises :class:`UserError` if the wanted port is taken.
    """
    with suppress(OSError):
        return ThreadedServer((HOST, wanted or DASHBOARD_PORT), QuietHandler)
    if wanted:
        raise taken(wanted)
    return ThreadedServer((HOST, 0), QuietHandler)


def taken(port: int) -> UserError:
    """Return the error for a port that cannot be used."""
    return UserError(f"--port: {port} is taken, or not allowed to this user. Give another, or leave it out")


class ThreadedServer(ThreadingMixIn, WSGIServer):
    """Handles each request in a thread; the threads end with the process."""

    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    """Does not list requests on the terminal."""

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@dataclass(frozen=True)
class Guard:
    """Lets a WSGI application answer only to its own address.

    The dashboard has no login. Without this guard, any web page that the user opens could read and change studies, by
    its scripts or by a host name that leads to this machine.
    """

    app: Callable[..., Iterable[bytes]]
    port: int

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        allowed = hosts(self.port)
        origin = environ.get("HTTP_ORIGIN", "")
        if environ.get("HTTP_HOST") in allowed and (not origin or origin.removeprefix("http://") in allowed):
            return self.app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This dashboard answers only to its own address.\n"]


def hosts(port: int) -> tuple[str, ...]:
    """Return the two spellings of a local server's address."""
    return f"{HOST}:{port}", f"localhost:{port}"


def free_port(wanted: int) -> int:
    """Return the wanted port if it is free, or any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise Failed("no port is free on this machine")  # pragma: no cover
