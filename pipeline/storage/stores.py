"""Where records go: the addresses of the MLflow and Optuna stores, checked before anything is written."""

from __future__ import annotations

import http.client
import os
import re
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from pipeline.errors import UserError
from pipeline.storage.addresses import is_url, normalised, redact, same_file, sqlite_address, sqlite_file, storage_file
from pipeline.storage.failures import LOCKED_SECONDS, opening

OPTUNA_FILE = "optuna.log"
SERVER_TIMEOUT = 5
"""Seconds."""
MOUNTS = Path("/proc/self/mounts")
NETWORK = ("nfs", "nfs4", "lustre", "gpfs", "cifs", "smb3", "smbfs", "beegfs", "ceph", "glusterfs", "afs", "fuse.sshfs")
"""Network file systems. The locks that SQLite and journal files need may not hold there."""
TRACKING = "sqlite:///FILE, http://HOST:PORT or postgresql://USER@HOST/DATABASE"


@dataclass(frozen=True)
class Stores:
    """The addresses of the MLflow tracking store and the Optuna storage, and the parent folder of the reports."""

    tracking: str
    storage: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """The files of the two stores; a server has none."""
        return [file for file in (sqlite_file(self.tracking), storage_file(self.storage)) if file]

    @property
    def summary(self) -> str:
        """The addresses in one line, without passwords."""
        return f"stores: MLflow {redact(self.tracking)}, Optuna {redact(self.storage)}, reports in {self.folder / 'reports'}"

    @property
    def flags(self) -> list[str]:
        """The flags, without passwords, that a command in the current folder needs to find the stores."""
        flags = [] if self.tracking == normalised(_default_tracking()) else ["--tracking-uri", redact(self.tracking)]
        usual = same_file(storage_file(self.storage), self.folder / OPTUNA_FILE)
        return flags if usual else [*flags, "--storage", redact(self.storage)]


def _default_tracking() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI", "") or sqlite_address(Path("mlflow.db").absolute())


def resolve_stores(tracking: str = "", storage: str = "") -> Stores:
    """Return the stores at these addresses; by default a SQLite database for MLflow, and a journal next to it.

    Raises :class:`UserError` for an invalid address, one that both stores share, or one at which no store answers.
    """
    tracking = tracking or _default_tracking()
    folder = (sqlite_file(tracking) or Path("mlflow.db").absolute()).parent
    storage = storage or str(folder / OPTUNA_FILE)
    check_tracking(tracking)
    check_storage(storage)
    if same_file(sqlite_file(tracking), storage_file(storage)):
        raise UserError(f"--storage: got {storage}, which is MLflow's store too; each needs a separate database")
    return Stores(normalised(tracking), normalised(storage), folder)


def check_tracking(address: str) -> None:
    """Raise :class:`UserError` unless MLflow can keep runs at the address."""
    name = "--tracking-uri"
    _check_password(name, address)
    if address.startswith(("http://", "https://")):
        _check_server(name, address)
    elif re.match(r"(databricks|uc)(-uc)?(:|$)", address):
        raise UserError(f"{name}: got {address!r}, which is not supported; expected {TRACKING}")
    elif meant := _server_meant(address):
        raise UserError(f"{name}: got {redact(address)!r}; expected a URL. Did you mean {redact(meant)}?")
    elif not is_url(address):
        raise UserError(f"{name}: got {address!r}; expected a URL. Did you mean {sqlite_address(address)}?")
    else:
        _check_database(name, address)


def _server_meant(address: str) -> str:
    """Return the URL of a server whose scheme or slashes are missing; empty for any other address."""
    if match := re.fullmatch(r"(https?):/*([^/].*)", address, re.IGNORECASE):
        return f"{match[1].lower()}://{match[2]}"
    if re.fullmatch(r"([\w-]+(\.[\w-]+)*|\[[\da-fA-F:]+\]):\d{1,5}(/.*)?", address):
        return f"http://{address}"
    return f"http://{address}:5000" if address == "localhost" else ""


def check_storage(address: str) -> None:
    """Raise :class:`UserError` unless Optuna can keep trials at the address."""
    name = "--storage"
    _check_password(name, address)
    if is_url(address):
        _check_database(name, address)
    elif address.endswith((".db", ".sqlite", ".sqlite3")):
        meant = sqlite_address(address)
        raise UserError(f"{name}: got {address!r}; expected a URL or a journal file. Did you mean {meant}?")
    else:
        _check_file(name, Path(address))
        _check_journal(name, Path(address))


def _check_password(name: str, address: str) -> None:
    """Refuse an @ in a password: what follows it would be read as the name of the host."""
    if re.match(r"[^/]+://[^/?#]*@[^/?#]*@", address):
        remedy = "which has an @ too many; in a password write %40 for @, %3A for : and %2F for /"
        raise UserError(f"{name}: got {redact(address)!r}, {remedy}")


def _check_server(name: str, address: str) -> None:
    # MLflow answers /health without a password, and urllib would read a password as part of the host.
    url = re.sub(r"://[^/@]*@", "://", f"{address.rstrip('/')}/health")
    try:
        with urllib.request.urlopen(url, timeout=SERVER_TIMEOUT) as answer:  # noqa: S310  http or https, by check_tracking
            healthy = answer.read(16).strip() == b"OK"
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{name}: no MLflow server answers at {redact(address)} ({reason}). Start one, or give another"
        ) from None
    if not healthy:
        raise UserError(f"{name}: what answers at {redact(address)} is no MLflow server. Give another")


def _check_database(name: str, address: str) -> None:
    try:
        url = make_url(address)
        url.get_dialect()
    except (ArgumentError, NoSuchModuleError, AttributeError, ValueError):  # ValueError: the port is not a number
        expected = "expected sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        raise UserError(f"{name}: got {redact(address)!r}, which is no database URL; {expected}") from None
    if url.drivername.startswith("sqlite"):
        if "?" in address or str(url.database or "").startswith("file:"):
            raise UserError(
                f"{name}: got {address!r}; a SQLite address takes no options. Expected sqlite:///FILE, with %3F for ? in it"
            )
        _check_sqlite(name, address, url.database)
    else:
        _connect(name, address)


def _check_sqlite(name: str, address: str, database: str | None) -> None:
    if not database or database == ":memory:":
        raise UserError(
            f"{name}: got {address!r}; a database in memory is gone at the end. Expected sqlite:///FILE, with three slashes"
        )
    _check_file(name, Path(database))
    if Path(database).is_file() and Path(database).stat().st_size:
        with Path(database).open("rb") as file:
            if not file.read(16).startswith(b"SQLite format 3"):
                raise UserError(f"{name}: {database} is not a SQLite database. Give another file")
        _check_separate(name, address, database)


def _check_separate(name: str, address: str, database: str) -> None:
    """Refuse a database that the other library uses: with the tables of both in it, neither could read it.

    Only SQLite itself may write here: it rolls back what a killed process left half-written.
    """
    other, table = {"--storage": ("MLflow", "experiments"), "--tracking-uri": ("Optuna", "studies")}[name]
    file = f"{Path(database).absolute().as_uri()}?mode=rw"
    with (
        opening(name, address),
        closing(sqlite3.connect(file, uri=True, timeout=LOCKED_SECONDS)) as connection,
    ):
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    if tables:
        raise UserError(f"{name}: {database} is {other}'s database; each needs a separate one")


def _check_journal(name: str, path: Path) -> None:
    """Refuse a file whose first line is no JSON object with an ``op_code``, unless a crash cut it off."""
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        first = file.readline(2**20)
    if not first.startswith(b"{") or (first.endswith(b"\n") and b'"op_code"' not in first):
        raise UserError(f"{name}: {path} is not a journal file of Optuna. Give another")


def _check_file(name: str, path: Path) -> None:
    folder = Path(os.path.realpath(path)).parent
    try:
        kind = "a folder" if path.is_dir() else "no file" if path.exists() and not path.is_file() else ""
    except OSError as error:  # such as a name that is too long
        raise UserError(f"{name}: {error.strerror}: {str(path)[:60]}. Give another") from None
    if not folder.is_dir():
        raise UserError(f"{name}: the folder {folder} does not exist. Make it, or give another")
    if kind:
        raise UserError(f"{name}: {path} is {kind}; expected a file. Give another")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UserError(f"{name}: {path} cannot be written. Change its permissions, or give another")


def _connect(name: str, address: str) -> None:
    try:
        engine = create_engine(address)
        engine.connect().close()
        engine.dispose()
    except ImportError as error:
        raise UserError(
            f"{name}: {redact(address)} needs the package {error.name}; install it in the environment of babysit"
        ) from None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise UserError(
            f"{name}: cannot connect to {redact(address)} ({redact(reason)}). Start its server, or give another"
        ) from None


def network_file_system(path: Path) -> str:
    """Return the type of the network file system of a path; empty for a local disk, or if unknown."""
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    mounts = [(Path(folder.replace("\\040", " ")), kind) for _, folder, kind, *_ in map(str.split, lines)]
    parents = [(len(folder.parts), kind) for folder, kind in mounts if path.absolute().is_relative_to(folder)]
    kind = max(parents, default=(0, ""))[1]
    return kind if kind in NETWORK else ""
