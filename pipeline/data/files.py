"""Published files: found in the data folder, or else downloaded and held to their hash."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data.folder import FOLDER_VARIABLE, MIB, say
from pipeline.errors import UserError

MIRRORS_VARIABLE = "BABYSIT_MIRRORS"
RETRIES = 2
TIMEOUT = 30
BLOCK = 2**16


@dataclass(frozen=True)
class Published:
    """A file that is published at ``url`` once and for all: its SHA-256 and its size in bytes.

    ``lookalikes`` tells what else a file of that name may turn out to be: text in its unpacked beginning, and the reason
    why it will not do. ``note`` is said before a download.
    """

    url: str
    sha256: str
    size: int
    lookalikes: tuple[tuple[bytes, str], ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rsplit("/", 1)[-1]

    def sources(self) -> list[str]:
        """Where to ask for it: the mirrors that ``BABYSIT_MIRRORS`` lists, folders on the web, and then its origin."""
        mirrors = os.environ.get(MIRRORS_VARIABLE, "").replace(",", " ").split()
        for mirror in mirrors:
            if not mirror.startswith(("https://", "http://")):
                raise UserError(f"{MIRRORS_VARIABLE}: got {mirror!r}; expected addresses that begin with https://")
        return [f"{mirror.rstrip('/')}/{self.name}" for mirror in mirrors] + [self.url]


def obtain(file: Published, folder: Path, scratch: Path, room: int = 0) -> Path:
    """The file in ``folder``, downloaded if it is not there; ``room`` is how many bytes more will be wanted.

    Raises :class:`UserError` for a file that is not the published one, whether found or downloaded.
    """
    path = folder / file.name
    if path.exists():
        if wrong := complaint(path, file):
            raise UserError(f"{path}: {wrong}. Delete it and run again, or {by_hand(file, folder)}")
        return path
    free = shutil.disk_usage(folder).free
    if free < file.size + room:
        need = f"{file.name} needs {(file.size + room) / MIB:,.0f} MiB"
        raise UserError(f"{folder}: {need}, {free / MIB:,.0f} MiB are free. Make room, or set {FOLDER_VARIABLE}")
    return download(file, folder, scratch)


def download(file: Published, folder: Path, scratch: Path) -> Path:
    """Ask each source in turn, and move what is right into place."""
    say(
        f"{file.name}: not in {folder}; downloading {file.size / MIB:,.0f} MiB. {file.note}To do so yourself, {by_hand(file, folder)}"
    )
    failures = []
    for url in file.sources():
        try:
            _ask(url, file, scratch)
        except _Failed as failure:
            failures.append(f"{url}: {failure}")
        else:
            return (scratch / file.name).replace(folder / file.name)
    raise UserError(
        f"{file.name}: not downloaded ({'; '.join(failures)}). Try again, name a mirror in {MIRRORS_VARIABLE}, or {by_hand(file, folder)}"
    )


class _Failed(Exception):  # noqa: N818  it is caught here
    """A source did not give the file; the reason is the message. No ``ValueError``: those pooch would try again."""


def _ask(url: str, file: Published, scratch: Path) -> None:
    """Download from one source with pooch: into a temporary file, checked, and tried again when the network fails."""
    import pooch  # type: ignore[import-untyped]
    from requests import RequestException

    def downloader(url: str, output: str, asker: Any) -> None:
        meter: Any = Meter(file)
        pooch.HTTPDownloader(progressbar=meter, timeout=TIMEOUT, chunk_size=BLOCK)(url, output, asker)
        if wrong := complaint(Path(output), file):
            raise _Failed(wrong)

    pooch.get_logger().setLevel("WARNING")
    registry = {file.name: f"sha256:{file.sha256}"}
    asker = pooch.create(scratch, base_url="", registry=registry, urls={file.name: url}, retry_if_failed=RETRIES)
    try:
        asker.fetch(file.name, downloader=downloader)
    except RequestException as error:
        raise _Failed(
            f"HTTP {error.response.status_code}" if error.response is not None else type(error).__name__
        ) from error


def complaint(path: Path, file: Published) -> str:
    """What is wrong with a file that should be the published one; nothing if it is."""
    size = path.stat().st_size
    got = sha256(path)
    if got == file.sha256:
        return ""
    numbers = f"expected {file.size:,} bytes of SHA-256 {file.sha256}, got {size:,} bytes of SHA-256 {got}"
    return f"{_likeness(path, file, size)}; {numbers}"


def _likeness(path: Path, file: Published, size: int) -> str:
    """What a wrong file seems to be."""
    with path.open("rb") as stream:
        start = stream.read(512)
    if start.lstrip()[:1] == b"<":
        return "looks like HTML, perhaps the page of a login or of an error"
    inside = _unpacked_start(path)
    for mark, reason in file.lookalikes:
        if mark in inside:
            return reason
    return "is cut short" if size < file.size else "is not the published file"


def _unpacked_start(path: Path) -> bytes:
    try:
        with gzip.open(path) as stream:
            return stream.read(512)
    except (OSError, EOFError, zlib.error):
        return b""


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def by_hand(file: Published, folder: Path) -> str:
    """The command that fetches the file without this program, and goes on where it was stopped."""
    return f"fetch it by hand: curl -L -C - -o '{folder / file.name}' {file.url}"


class Meter:
    """How much has come and how fast, once a second on a terminal; it stops a source that sends more than the file.

    The methods are those that pooch calls.
    """

    def __init__(self, file: Published) -> None:
        self.file, self.total, self.done, self.shown = file, 0, 0, 0.0
        self.start = time.monotonic()

    def update(self, count: int) -> None:
        """So many bytes more have come; pooch rounds them up to a block."""
        self.done += count
        if self.done > self.file.size + BLOCK:
            raise _Failed(f"sends more than the {self.file.size:,} bytes of the file")
        if sys.stderr.isatty() and time.monotonic() - self.shown > 1:
            self.shown = time.monotonic()
            rate = self.done / max(self.shown - self.start, 1e-9) / 1000
            sys.stderr.write(
                f"\r{self.file.name}: {self.done / MIB:,.0f} of {self.file.size / MIB:,.0f} MiB, {rate:,.0f} kB/s "
            )

    def reset(self) -> None:
        """Begin to count anew."""
        self.done = 0

    def close(self) -> None:
        """End the line."""
        if sys.stderr.isatty():
            sys.stderr.write("\n")
