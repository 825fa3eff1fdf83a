"""Where records go: the addresses of the MLflow and Optuna stores, read and refused before anything is written."""

from __future__ import annotations

import http.client
import json
import os
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

SERVER_TIMEOUT = 5
LOCKED_SECONDS = 20
"""So long others may lock a SQLite database; MLflow waits as long for its own."""
ORIGINS = {
    "mlflow.MlflowException": "MLflow's store",
    "requests.RequestException": "MLflow's store",
    "optuna.OptunaError": "Optuna's store",
    "sqlalchemy.SQLAlchemyError": "a store",
    "alembic.CommandError": "a store",
    "sqlite3.Error": "a store",
    "builtins.OSError": "a store",
}
"""Where errors come from, by the library and the name of their kind, so that no library need be imported to tell."""
REASONS = {
    "database is locked": "another process has locked the database",
    "disk is full": "there is no room left to write",
    "disk I/O error": "there is no room left to write, or the disk is damaged",
    "No space left": "there is no room left to write",
    "File too large": "there is no room left to write",
    "out-of-date database schema": "made by another version of MLflow; if by an older one, make a copy, then run "
    "mlflow db upgrade URI; if by a newer one, install that",
    "Max retries exceeded": "the tracking server does not answer",
}
"""What libraries say of the commonest failures, and the same in words."""


@dataclass(frozen=True)
class Stores:
    """The address of the MLflow tracking store, that of the Optuna storage, and the folder that reports go to."""

    tracking: str
    storage: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """Those of them that are in files."""
        return [file for file in (sqlite_file(self.tracking), storage_file(self.storage)) if file]

    @property
    def words(self) -> str:
        """Where they are, in a line without passwords."""
        return f"stores: MLflow {redact(self.tracking)}, Optuna {redact(self.storage)}, reports in {self.folder / 'reports'}"


def resolve_stores(tracking: str = "", storage: str = "") -> Stores:
    """The stores at these addresses; by default SQLite for MLflow and, beside it, a journal file for Optuna.

    Raises ``ValueError`` for an address that is none, that both stores share, or at which nothing can be reached.
    """
    tracking = tracking or os.environ.get("MLFLOW_TRACKING_URI", "") or f"sqlite:///{Path('mlflow.db').absolute()}"
    folder = (sqlite_file(tracking) or Path("mlflow.db").absolute()).parent
    storage = storage or str(folder / "optuna.log")
    check_tracking(tracking)
    check_storage(storage)
    if sqlite_file(tracking) and sqlite_file(tracking) == sqlite_file(storage):
        raise ValueError(f"--storage: got {storage}, which is MLflow's store too; each needs a database of its own")
    return Stores(tracking, storage, folder)


def is_url(address: str) -> bool:
    """Whether it has a scheme, like ``sqlite:``; otherwise it is the path of a journal file."""
    return re.match(r"[A-Za-z][\w+.-]+:", address) is not None


def sqlite_file(address: str) -> Path | None:
    """The absolute path of the file behind a SQLite URL, if it is one."""
    if not re.match(r"sqlite(\+\w+)?:", address):
        return None
    database = make_url(address).database
    return Path(database).resolve() if database else None


def check_tracking(address: str) -> None:
    """Raise ``ValueError`` unless MLflow can keep runs at the address."""
    name = "--tracking-uri"
    _check_password(name, address)
    if address.startswith(("http://", "https://")):
        _check_server(name, address)
    elif not is_url(address):
        raise ValueError(f"{name}: got {address!r}; expected a URL. Did you mean sqlite:///{address}?")
    else:
        _check_database(name, address)


def check_storage(address: str) -> None:
    """Raise ``ValueError`` unless Optuna can keep trials at the address."""
    name = "--storage"
    _check_password(name, address)
    if is_url(address):
        _check_database(name, address)
    elif address.endswith((".db", ".sqlite", ".sqlite3")):
        raise ValueError(
            f"{name}: got {address!r}; expected a URL or a journal file. Did you mean sqlite:///{address}?"
        )
    else:
        _check_file(name, Path(address))
        _check_journal(name, Path(address))


def store_failure(error: BaseException) -> str:
    """What failed at a store, in a line; empty for an error that did not come from one."""
    kinds = [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(error).__mro__]
    origin = next((ORIGINS[kind] for kind in kinds if kind in ORIGINS), "")
    said = f"{error} {error.__cause__ or ''}"
    reason = next((words for phrase, words in REASONS.items() if phrase in said), "") or redact(str(error)).strip()
    return f"{origin}: {reason.splitlines()[0] if reason else type(error).__name__}" if origin else ""


@contextmanager
def opening(name: str, address: str) -> Iterator[None]:
    """Open a store in the body. Raises ``ValueError``, with the flag and the address, if it cannot be opened.

    Processes that open SQLite databases of one folder take turns: two that make the same one at once spoil it for good.
    """
    try:
        with _turn_at(sqlite_file(address)):
            yield
    except Exception as error:
        # Optuna says with a RuntimeError that a schema is not its own, and in these ways that a journal is no journal.
        reason = store_failure(error) or (str(error) if isinstance(error, RuntimeError) else "")
        if not reason and isinstance(error, (json.JSONDecodeError, KeyError, AssertionError)):
            reason = f"it is damaged: {type(error).__name__}: {error}; restore a copy of it, or give another"
        if reason:
            raise ValueError(f"{name}: cannot open {redact(address)} ({reason})") from error
        raise


@contextmanager
def _turn_at(database: Path | None) -> Iterator[None]:
    """Hold the database's folder during the body, once those who hold it have let go; nothing is left in it."""
    if fcntl is None or database is None or not database.parent.is_dir():
        yield
        return
    folder = os.open(database.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def storage_file(address: str) -> Path | None:
    """The file behind the address of an Optuna storage, if it is in one."""
    return sqlite_file(address) if is_url(address) else Path(address)


def redact(address: str) -> str:
    """The address without its password, which may hold an @, and may stand among the options."""
    return re.sub(r"([?&]password=)[^&\s]*", r"\1***", re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", address))


def _check_password(name: str, address: str) -> None:
    """An @ in a password would be taken for the one before the host, and what follows it for the host's name."""
    if re.match(r"[^/]+://[^/?#]*@[^/?#]*@", address):
        said = "which has an @ too many; in a password write %40 for @, %3A for : and %2F for /"
        raise ValueError(f"{name}: got {redact(address)!r}, {said}")


def _check_server(name: str, address: str) -> None:
    # MLflow answers its health without a password, and urllib would take one for a part of the host.
    url = re.sub(r"://[^/@]*@", "://", f"{address.rstrip('/')}/health")
    try:
        with urllib.request.urlopen(url, timeout=SERVER_TIMEOUT) as answer:  # noqa: S310  http or https, as seen above
            healthy = answer.read(16).strip() == b"OK"
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ValueError(f"{name}: no MLflow server answers at {redact(address)} ({reason})") from None
    if not healthy:
        raise ValueError(f"{name}: what answers at {redact(address)} is no MLflow server")


def _check_database(name: str, address: str) -> None:
    try:
        url = make_url(address)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, AttributeError, ValueError):  # ValueError: a port that is no number
        expected = "expected sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        raise ValueError(f"{name}: got {redact(address)!r}, which is no database URL; {expected}") from None
    if url.drivername.startswith("sqlite"):
        if url.query or str(url.database or "").startswith("file:"):
            raise ValueError(f"{name}: got {address!r}; a SQLite address takes no options. Expected sqlite:///FILE")
        _check_sqlite(name, address, url.database)
    else:
        _connect(name, address)


def _check_sqlite(name: str, address: str, database: str | None) -> None:
    if not database or database == ":memory:":
        raise ValueError(
            f"{name}: got {address!r}; a database in memory is gone at the end. Expected sqlite:///FILE, with three slashes"
        )
    _check_file(name, Path(database))
    if Path(database).is_file() and Path(database).stat().st_size:
        with Path(database).open("rb") as file:
            if not file.read(16).startswith(b"SQLite format 3"):
                raise ValueError(f"{name}: {database} is not a SQLite database")
        _check_owner(name, database)


def _check_owner(name: str, database: str) -> None:
    """MLflow and Optuna would each make their tables in the other's database, and then neither could read it."""
    other, table = {"--storage": ("MLflow", "experiments"), "--tracking-uri": ("Optuna", "studies")}[name]
    file = f"file:{quote(str(Path(database).absolute()))}?mode=ro"
    with (
        opening(name, database),
        closing(sqlite3.connect(file, uri=True, timeout=LOCKED_SECONDS)) as connection,
    ):
        found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    if found:
        raise ValueError(f"{name}: {database} is {other}'s database; each needs one of its own")


def _check_journal(name: str, path: Path) -> None:
    """Every line of a journal is a JSON object, but for a last one that a crash cut off; the first says what the file is."""
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        first = file.readline(2**20)
    if not first.startswith(b"{") or (first.endswith(b"\n") and b'"op_code"' not in first):
        raise ValueError(f"{name}: {path} is not a journal file of Optuna")


def _check_file(name: str, path: Path) -> None:
    folder = path.absolute().parent
    try:
        kind = "a folder" if path.is_dir() else "no file" if path.exists() and not path.is_file() else ""
    except OSError as error:  # as of a name that is too long
        raise ValueError(f"{name}: {error.strerror}: {str(path)[:60]}") from None
    if not folder.is_dir():
        raise ValueError(f"{name}: the folder {folder} does not exist")
    if kind:
        raise ValueError(f"{name}: {path} is {kind}; expected a file")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ValueError(f"{name}: {path} cannot be written")


def _connect(name: str, address: str) -> None:
    try:
        engine = create_engine(address)
        engine.connect().close()
        engine.dispose()
    except ImportError as error:
        raise ValueError(
            f"{name}: {redact(address)} needs the package {error.name}; install it beside babysit"
        ) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise ValueError(f"{name}: cannot connect to {redact(address)} ({redact(reason)})") from None
